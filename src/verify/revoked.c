/* Revocations: orders of approvers that the ledger recorded, and what must not have happened after them. */
#include "base/mem.h"
#include "verify/state.h"

/* The approver's key out of any manifest of the bundle; *ret NULL: the bundle does not have it. */
static bulla_rc approver_key(const struct bulla_verify *v, const bulla_digest *kid, struct bulla_verify_key **ret)
{
	*ret = NULL;
	for (size_t i = 0; i < v->manifest_count; i++) {
		const struct bulla_approver *approver = bulla_manifest_approver(&v->manifests[i].m, kid);

		if (approver != NULL)
			return bulla_verify_key_spki(approver->spki, ret);
	}
	return BULLA_OK;
}

static bulla_rc keep(struct bulla_verify *v, const struct bulla_order *order)
{
	struct verify_revocation *place;
	void *p = NULL;

	if (v->revocations == NULL) {
		BULLA_TRY(bulla_alloc(BULLA_MAX_REVOCATIONS, sizeof(struct verify_revocation), &p));
		v->revocations = (struct verify_revocation *)p;
	}
	if (v->revocation_count == BULLA_MAX_REVOCATIONS)
		return verify_failed(v, BULLA_VERIFY_BUNDLE_ORDER, BULLA_E_LIMIT, "too many revocations");
	place = &v->revocations[v->revocation_count];
	place->order = *order;
	bulla_copy(place->bytes, order->subject.p, order->subject.n);
	place->order.subject = bulla_bytes_of(place->bytes, order->subject.n);
	return BULLA_OK;
}

static bool names_one_of_these(const struct bulla_verify *v, const struct bulla_order *order)
{
	for (size_t i = 0; i < v->manifest_count; i++)
		if (bulla_digest_eq(&v->manifests[i].m.digest, &order->manifest))
			return true;
	return false;
}

/* An approver of another epoch than the bundle's may have signed: then the ledger's word, which only makes this stricter,
 * stands alone. Under a manifest that is here its approvers are known. */
bulla_rc verify_revocation_item(struct bulla_verify *v, bulla_bytes body, const struct bulla_order *order,
	const bulla_digest *kid)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	struct bulla_order opened;
	bulla_rc rc = approver_key(v, kid, &key);

	BULLA_TRY(rc);
	BULLA_TRY(VERIFY(v, ORDER_SIGNATURE, key != NULL || !names_one_of_these(v, order), BULLA_E_NO_RIGHT,
		"a revocation is by no approver of the manifest that it names"));
	if (key != NULL) {
		rc = bulla_order_open(body, key, &opened);
		BULLA_TRY(VERIFY(v, ORDER_SIGNATURE, rc == BULLA_OK, BULLA_E_SIGNATURE, "a revocation's signature does not verify"));
	}
	BULLA_TRY(VERIFY(v, ORDER_SIGNATURE, bulla_handle_eq(&order->tenant, &v->header.slot.tenant), BULLA_E_NO_RIGHT,
		"a revocation is of another tenant"));
	v->has_order = true;
	v->order = (struct bulla_order_seen){.kid = *kid, .kind = order->kind};
	BULLA_TRY(bulla_order_digest(order, &v->order.digest));
	return keep(v, order);
}

bulla_rc verify_revocation_entry(struct bulla_verify *v, const struct bulla_entry *entry)
{
	BULLA_TRY(VERIFY(v, ORDER_SIGNATURE,
		v->has_order && v->order.kind >= BULLA_ORDER_REVOKE_INSTANCE && bulla_digest_eq(&v->order.digest, &entry->digest) &&
			bulla_digest_eq(&v->order.kid, &entry->who),
		BULLA_E_NO_RIGHT, "the ledger carried out a revocation that nobody signed"));
	if (v->has_order && v->revocations != NULL) /* in builds of mutants there may be none */
		v->revocations[v->revocation_count++].epoch = entry->other;
	v->has_order = false;
	return BULLA_OK;
}

bulla_rc verify_not_revoked(struct bulla_verify *v, const struct bulla_entry *entry)
{
	const struct verify_instance *instance = verify_instance_find(v, &entry->who);
	const struct bulla_manifest *run = verify_run_manifest(v);
	const struct bulla_flow_step *step = &v->flow.steps[entry->step];
	struct bulla_revocable what = {.instance = &entry->who, .run_epoch = run->epoch, .epoch = run->epoch};
	const struct bulla_agent *agent;
	bulla_handle handle;

	if (instance != NULL) {
		what.image = &instance->image;
		what.epoch = v->manifests[instance->manifest].m.epoch;
	}
	if (step->kind == BULLA_FLOW_AGENT) {
		bulla_copy(handle.b, v->flow.actors[step->actor].handle, sizeof(handle.b));
		agent = bulla_manifest_agent(run, &handle);
		what.bundle = agent != NULL ? &agent->bundle : NULL;
	}
	for (size_t i = 0; i < v->revocation_count; i++)
		BULLA_TRY(VERIFY(v, ORDER_REVOKED, !bulla_order_revokes(&v->revocations[i].order, v->revocations[i].epoch, &what),
			BULLA_E_REVOKED, "a step was permitted or committed after its instance, agent, image or epoch was revoked"));
	return verify_held(v, BULLA_VERIFY_ORDER_REVOKED);
}
