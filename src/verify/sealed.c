/* Births, links, and the headers of envelopes: who could read what. */
#include "base/mem.h"
#include "crypto/hash.h"
#include "seal/birth.h"
#include "verify/state.h"
#include "wire/kinds.h"

static bool manifest_of(const struct bulla_verify *v, const bulla_digest *digest, uint8_t *ret)
{
	for (size_t i = 0; i < v->manifest_count; i++)
		if (bulla_digest_eq(&v->manifests[i].m.digest, digest)) {
			*ret = (uint8_t)i;
			return true;
		}
	return false;
}

/* --- births --- */

/* The same birth again changes nothing: repeated ones must not take the places of those that links are checked against. */
static bulla_rc keep_birth(struct bulla_verify *v, const struct bulla_birth *birth, uint8_t manifest)
{
	struct verify_birth one = {.agent = birth->agent, .manifest = manifest};

	bulla_sha256(birth->public_key, &one.public_key);
	for (size_t i = 0; i < v->birth_count; i++)
		if (v->births[i].manifest == manifest && bulla_handle_eq(&v->births[i].agent, &one.agent) &&
			bulla_digest_eq(&v->births[i].public_key, &one.public_key))
			return BULLA_OK;
	if (v->birth_count == BULLA_MAX_AGENTS)
		return verify_failed(v, BULLA_VERIFY_BUNDLE_ORDER, BULLA_E_LIMIT, "too many births");
	v->births[v->birth_count++] = one;
	v->result.facts.births++;
	return BULLA_OK;
}

bulla_rc verify_birth_item(struct bulla_verify *v, bulla_bytes body)
{
	struct verify_instance *signer;
	const struct bulla_agent *agent;
	const struct bulla_manifest *m;
	struct bulla_birth birth;
	uint8_t manifest = 0;
	bulla_rc rc;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_BIRTH_SIGNATURE, bulla_birth_peek(body, &birth),
		"a birth record is not in its form"));
	signer = verify_instance_find(v, &birth.signer);
	if (signer == NULL)
		return verify_failed(v, BULLA_VERIFY_BIRTH_SIGNATURE, BULLA_E_KEY_SUBSTITUTED,
			"a birth record's signer is attested by nothing");
	if (!manifest_of(v, &birth.manifest, &manifest))
		return verify_failed(v, BULLA_VERIFY_BIRTH_AGENT, BULLA_E_KEY_CONTEXT,
			"a birth record is of a manifest that the bundle does not have");
	m = &v->manifests[manifest].m;
	agent = bulla_manifest_agent(m, &birth.agent);
	if (agent == NULL)
		return verify_failed(v, BULLA_VERIFY_BIRTH_AGENT, BULLA_E_KEY_CONTEXT, "a birth record is of an unknown agent");
	struct bulla_birth_expected expected = {.tenant = m->tenant, .agent = birth.agent, .epoch = m->epoch,
		.manifest = m->digest, .wrapping_key = agent->wrapping_key, .policy_form = agent->policy_form,
		.evidence = birth.evidence};
	rc = bulla_birth_verify(body, &expected, signer->key, &birth);
	BULLA_TRY(VERIFY(v, BIRTH_SIGNATURE, rc != BULLA_E_KEY_SUBSTITUTED, rc, "a birth record's signature does not verify"));
	BULLA_TRY(VERIFY(v, BIRTH_AGENT, rc != BULLA_E_KEY_CONTEXT && rc != BULLA_E_KEY_POLICY, rc,
		"a birth record is of another agent, epoch or wrapping key"));
	if (v->birth_assurance == BULLA_ASSURANCE_NONE || signer->assurance < v->birth_assurance)
		v->birth_assurance = signer->assurance;
	return keep_birth(v, &birth, manifest);
}

/* --- links --- */

static bulla_rc links_memory(struct bulla_verify *v)
{
	void *memory;

	if (v->links != NULL)
		return BULLA_OK;
	BULLA_TRY(bulla_alloc(VERIFY_LINKS, sizeof(*v->links), &memory));
	v->links = memory;
	return BULLA_OK;
}

static bulla_rc sender_key(struct bulla_verify *v, const bulla_digest *kid, struct bulla_verify_key **ret)
{
	struct verify_instance *instance = verify_instance_find(v, kid);
	const struct bulla_party *party;

	if (instance == NULL)
		return verify_party_key(v, kid, &party, ret);
	*ret = instance->key;
	return BULLA_OK;
}

/* Is this the recipient's key? An agent's by its birth record: who leaves that out leaves open who could read. */
static bool recipient_has(const struct bulla_verify *v, const struct bulla_link_body *body)
{
	const struct bulla_party *party;
	bulla_digest key;

	if (body->to == BULLA_TO_PARTY) {
		party = bulla_manifest_party(verify_run_manifest(v), &body->recipient);
		if (party == NULL)
			return false;
		bulla_sha256(party->hpke, &key);
		return bulla_digest_eq(&key, &body->recipient_key);
	}
	for (size_t i = 0; i < v->birth_count; i++)
		if (bulla_handle_eq(&v->births[i].agent, &body->recipient) &&
			bulla_digest_eq(&v->births[i].public_key, &body->recipient_key))
			return true;
	return false;
}

static bulla_rc check_recipient(struct bulla_verify *v, const struct bulla_link_body *body)
{
	bool known = body->to != BULLA_TO_AGENT || bulla_manifest_agent(verify_run_manifest(v), &body->recipient) != NULL;

	BULLA_TRY(VERIFY(v, LINK_SENDER, known, BULLA_E_LINK_SENDER, "a link is to an agent that the manifest does not have"));
	if (body->to == BULLA_TO_BROKER || !known)
		return BULLA_OK;
	return VERIFY(v, LINK_KEY, recipient_has(v, body), BULLA_E_KEY_SUBSTITUTED,
		"a link is to another key than the recipient's, or its birth record is missing");
}

bulla_rc verify_link_item(struct bulla_verify *v, bulla_bytes body)
{
	struct bulla_link_expected expected = {.epoch_open = true};
	struct bulla_verify_key *key = NULL;
	struct bulla_link_body link;
	bulla_link_id id;
	uint8_t manifest;
	bulla_rc rc;

	BULLA_TRY(links_memory(v));
	BULLA_TRY(verify_form(v, BULLA_VERIFY_LINK_SIGNATURE, bulla_link_peek(body, &link, &id), "a link is not in its form"));
	BULLA_TRY(verify_form(v, BULLA_VERIFY_LINK_SENDER, sender_key(v, &link.sender, &key),
		"a link's sender is no attested instance and no party"));
	if (!manifest_of(v, &link.manifest, &manifest))
		return verify_failed(v, BULLA_VERIFY_LINK_SENDER, BULLA_E_LINK_SENDER,
			"a link is of a manifest that the bundle does not have");
	expected.sender = link.sender;
	expected.to = link.to;
	expected.recipient = link.recipient;
	expected.manifest = link.manifest;
	expected.epoch = v->manifests[manifest].m.epoch;
	rc = bulla_link_check(body, &expected, key);
	BULLA_TRY(VERIFY(v, LINK_SIGNATURE, rc == BULLA_OK, rc, "a link's signature does not verify"));
	BULLA_TRY(check_recipient(v, &link));
	if (v->link_count == VERIFY_LINKS)
		return verify_failed(v, BULLA_VERIFY_BUNDLE_ORDER, BULLA_E_LIMIT, "too many links");
	v->links[v->link_count++] = (struct verify_link){id, link.sender, link.recipient_key, link.recipient, (uint8_t)link.to};
	v->result.facts.links++;
	return BULLA_OK;
}

static const struct verify_link *find_link(const struct bulla_verify *v, const bulla_link_id *id)
{
	for (size_t i = v->link_count; i > 0; i--)
		if (bulla_link_id_eq(&v->links[i - 1].id, id))
			return &v->links[i - 1];
	return NULL;
}

/* --- envelopes --- */

/* Place of the envelope among the outputs that the pending record signs. */
static bool listed(const struct bulla_verify *v, const struct bulla_envelope *envelope, size_t *ret_index)
{
	bulla_bytes pairs = bulla_buf_view(&v->pending.pairs);
	struct bulla_pair pair;

	for (size_t i = 0; i < bulla_pairs_count(pairs); i++)
		if (bulla_pairs_get(pairs, i, &pair) == BULLA_OK && bulla_digest_eq(&pair.envelope, &envelope->digest) &&
			bulla_digest_eq(&pair.commitment, &envelope->commitment)) {
			*ret_index = i;
			return true;
		}
	return false;
}

static uint8_t expected_kind(const struct bulla_verify *v)
{
	if (v->pending.is_start)
		return BULLA_ENVELOPE_INPUT;
	return BULLA_OUTCOME_IS_FAILURE(v->pending.receipt.outcome) ? BULLA_ENVELOPE_FAILURE : BULLA_ENVELOPE_OUTPUT;
}

/* The part of the plan at this place; NULL for a failure. */
static const struct bulla_flow_part *part_at(const struct bulla_verify *v, size_t index)
{
	const struct bulla_flow_step *step = &v->flow.steps[v->pending.receipt.position.slot.step];

	if (expected_kind(v) == BULLA_ENVELOPE_FAILURE || index >= step->parts.count)
		return NULL;
	return &v->flow.parts[step->parts.first + index];
}

static bool path_fits(const struct bulla_verify *v, const struct bulla_flow_part *part, bulla_bytes path)
{
	uint8_t memory[BULLA_PATH_MAX];
	bulla_bytes expected = bulla_path_whole;

	if (part != NULL && bulla_path_write(v->flow.names + part->path.first, part->path.count, BULLA_PATH_NO_INDEX, memory,
		&expected) != BULLA_OK)
		return false;
	return bulla_bytes_eq(expected, path);
}

static bool is_actor(const struct bulla_flow_actor *actor, const struct verify_link *link)
{
	uint8_t to = actor->kind == BULLA_FLOW_AGENT ? BULLA_TO_AGENT : BULLA_TO_PARTY;

	return link->to == to && bulla_bytes_eq(bulla_handle_view(&link->recipient), BULLA_BYTES_ARRAY(actor->handle));
}

/* Every reader is one that the plan names, by a link of this producer; all of them, none twice. */
static bool readers_fit(const struct bulla_verify *v, const struct bulla_envelope *envelope, struct bulla_flow_span span)
{
	uint64_t seen = 0;

	if (envelope->reader_count != span.count || span.count > BULLA_MAX_READERS)
		return false;
	for (size_t i = 0; i < envelope->reader_count; i++) {
		const struct verify_link *link;
		bulla_link_id id;
		bulla_bytes wrapped;
		uint32_t k = 0;

		if (bulla_envelope_reader_at(envelope, i, &id, &wrapped) != BULLA_OK)
			return false;
		link = find_link(v, &id);
		if (link == NULL || !bulla_digest_eq(&link->sender, &envelope->producer))
			return false;
		while (k < span.count && !is_actor(&v->flow.actors[v->flow.readers[span.first + k]], link))
			k++;
		if (k == span.count || (seen >> k & 1) != 0)
			return false;
		seen |= UINT64_C(1) << k;
	}
	return true;
}

static bulla_rc check_listed(struct bulla_verify *v, const struct bulla_envelope *envelope)
{
	const struct bulla_flow_part *part;
	size_t index = 0;

	BULLA_TRY(VERIFY(v, ENVELOPE_LISTED, listed(v, envelope, &index), BULLA_E_COMMITMENT,
		"an envelope is not one that the receipt signs"));
	part = part_at(v, index);
	BULLA_TRY(VERIFY(v, ENVELOPE_PLACE, envelope->kind == expected_kind(v) && path_fits(v, part, envelope->path),
		BULLA_E_POSITION_PATH, "an envelope holds another field than the plan names"));
	return VERIFY(v, ENVELOPE_READERS, readers_fit(v, envelope, part != NULL ? part->readers : v->flow.log_readers),
		BULLA_E_NOT_ADDRESSED, "an envelope's readers are not those of the plan");
}

bulla_rc verify_envelope_item(struct bulla_verify *v, bulla_bytes body)
{
	const struct bulla_receipt *receipt = &v->pending.receipt;
	struct bulla_position expected = {v->header.slot, receipt->position.attempt};
	struct bulla_envelope envelope;
	bulla_rc rc;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_ENVELOPE_FORM, bulla_envelope_parse(body, &envelope),
		"an envelope is not in its form"));
	verify_held(v, BULLA_VERIFY_ENVELOPE_FORM);
	verify_at(v, envelope.position.slot.step, envelope.position.slot.item, envelope.position.attempt);
	if (!v->pending.is_start && !v->pending.is_receipt)
		return verify_failed(v, BULLA_VERIFY_ENVELOPE_LISTED, BULLA_E_GRAPH, "an envelope belongs to no receipt");
	expected.slot.step = receipt->position.slot.step;
	expected.slot.item = receipt->position.slot.item;
	rc = bulla_position_check(&expected, &envelope.position);
	BULLA_TRY(VERIFY(v, ENVELOPE_PLACE, rc == BULLA_OK, rc, "an envelope is of another position"));
	BULLA_TRY(VERIFY(v, ENVELOPE_PRODUCER, bulla_digest_eq(&envelope.producer, &receipt->kid), BULLA_E_PRODUCER,
		"an envelope was sealed by another than who signed the receipt"));
	if (envelope.kind == BULLA_ENVELOPE_LOG)
		BULLA_TRY(VERIFY(v, ENVELOPE_READERS, readers_fit(v, &envelope, v->flow.log_readers), BULLA_E_NOT_ADDRESSED,
			"a log's readers are not those of the plan"));
	else if (envelope.kind != BULLA_ENVELOPE_STATE)
		BULLA_TRY(check_listed(v, &envelope));
	v->result.facts.envelopes++;
	return BULLA_OK;
}
