/* My links to the readers that plans name. */
#include "tee/enclave_internal.h"

static bulla_handle handle_of(const struct bulla_flow_actor *actor)
{
	bulla_handle handle = {0};

	bulla_copy(handle.b, actor->handle, sizeof(handle.b));
	return handle;
}

bool bulla_work_reader_known(const struct bulla_enclave *enclave, const struct bulla_flow_actor *actor)
{
	bulla_handle handle = handle_of(actor);

	return actor->kind != BULLA_FLOW_AGENT || bulla_peers_key(&enclave->peers, &handle).n > 0;
}

/* Fills whom the link is for; its place among `mine`. */
static bulla_rc find_reader(const struct bulla_enclave *enclave, const struct bulla_flow_actor *actor,
	struct bulla_link_spec *spec, uint16_t *ret_index)
{
	const struct bulla_manifest *manifest = &enclave->base->manifest;
	const struct bulla_party *party;
	const struct bulla_agent *agent;

	spec->recipient = handle_of(actor);
	if (actor->kind == BULLA_FLOW_AGENT) {
		agent = bulla_manifest_agent(manifest, &spec->recipient);
		if (agent == NULL)
			return BULLA_FAIL(BULLA_E_PLAN, "a reader is no agent of the manifest");
		spec->to = BULLA_TO_AGENT;
		spec->public_key = bulla_peers_key(&enclave->peers, &spec->recipient);
		*ret_index = (uint16_t)(agent - manifest->agents);
		return spec->public_key.n > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_BIRTH_MISSING, "a reader's key is not known");
	}
	party = bulla_manifest_party(manifest, &spec->recipient);
	if (party == NULL)
		return BULLA_FAIL(BULLA_E_PARTY, "a reader is no party of the manifest");
	spec->to = BULLA_TO_PARTY;
	spec->public_key = party->hpke;
	*ret_index = (uint16_t)(manifest->agent_count + (size_t)(party - manifest->parties));
	return BULLA_OK;
}

bulla_rc bulla_work_reader(struct bulla_enclave *enclave, const struct bulla_flow_actor *actor,
	enum bulla_recipient *ret_to, uint16_t *ret_index, const struct bulla_link **ret)
{
	const struct bulla_manifest *manifest = &enclave->base->manifest;
	struct bulla_link_spec spec = {.kem = enclave->join.kem, .epoch = manifest->epoch, .manifest = manifest->digest};
	uint16_t index;

	BULLA_TRY(find_reader(enclave, actor, &spec, &index));
	BULLA_TRY(bulla_my_link_use(&enclave->mine[index], &spec, bulla_tee_receipt_key(enclave->base),
		enclave->base->random, bulla_mono_us(enclave->base->clock) / 1000));
	*ret_to = spec.to;
	*ret_index = index;
	*ret = &enclave->mine[index].link;
	return BULLA_OK;
}
