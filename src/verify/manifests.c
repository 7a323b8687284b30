/* Manifests, their approvals, the anchors and the plan. */
#include "base/mem.h"
#include "crypto/hash.h"
#include "manifest/approvals.h"
#include "verify/state.h"

/* What the manifest's own approvers call hardware is not hardware for a verifier: only vendors' roots and the trust
 * file say that. */
static uint8_t claimed_class(uint8_t assurance)
{
	return assurance >= BULLA_ASSURANCE_EMULATOR ? BULLA_ASSURANCE_EMULATOR : BULLA_ASSURANCE_DEV;
}

static void add_anchor(struct bulla_verify *v, struct bulla_attest_anchor anchor)
{
	for (size_t i = 0; i < v->anchor_count; i++)
		if (v->anchors[i].tee == anchor.tee && bulla_bytes_eq(v->anchors[i].id, anchor.id))
			return; /* the first word counts: trust file, vendors, manifest */
	if (v->anchor_count < VERIFY_ANCHORS)
		v->anchors[v->anchor_count++] = anchor;
}

static void gather_anchors(struct bulla_verify *v)
{
	struct bulla_attest_anchors vendors = bulla_attest_vendor_anchors();

	for (size_t i = 0; i < v->trust->anchor_count; i++) {
		const struct bulla_trust_anchor *anchor = &v->trust->anchors[i];

		add_anchor(v, (struct bulla_attest_anchor){anchor->tee, anchor->assurance, anchor->how,
			bulla_bytes_of(anchor->id, anchor->id_size), bulla_bytes_of(anchor->key, anchor->key_size)});
	}
	for (size_t i = 0; i < vendors.count; i++)
		add_anchor(v, vendors.list[i]);
	for (size_t k = 0; k < v->manifest_count; k++)
		for (size_t i = 0; i < v->manifests[k].m.anchor_count; i++) {
			const struct bulla_anchor *anchor = &v->manifests[k].m.anchors[i];

			add_anchor(v, (struct bulla_attest_anchor){(uint8_t)bulla_tee_from_name(anchor->tee),
				claimed_class(anchor->assurance), anchor->how, anchor->id, anchor->key});
		}
}

static bulla_rc check_first(struct bulla_verify *v, const struct bulla_manifest *m)
{
	struct bulla_verify_facts *facts = &v->result.facts;

	BULLA_TRY(VERIFY(v, MANIFEST_DIGEST, bulla_digest_eq(&m->digest, &v->header.manifest), BULLA_E_BUNDLE,
		"the manifest is not the one that the run names"));
	BULLA_TRY(VERIFY(v, MANIFEST_TENANT,
		bulla_handle_eq(&m->tenant, &v->header.slot.tenant) &&
			(!v->trust->has_tenant || bulla_handle_eq(&m->tenant, &v->trust->tenant)),
		BULLA_E_POSITION_TENANT, "the manifest is of another tenant"));
	BULLA_TRY(VERIFY(v, MANIFEST_EPOCH, m->epoch >= v->trust->epoch, BULLA_E_EPOCH_OLD,
		"the run's epoch is older than you accept"));
	facts->epoch = m->epoch;
	facts->mode = m->mode;
	facts->suite = m->suite;
	facts->need = m->need;
	return BULLA_OK;
}

/* Another epoch's manifest is there because its instances served this run: it must leave the run's epoch open. */
static bulla_rc check_other(struct bulla_verify *v, const struct bulla_manifest *m)
{
	const struct bulla_manifest *run = verify_run_manifest(v);

	BULLA_TRY(VERIFY(v, MANIFEST_TENANT, bulla_handle_eq(&m->tenant, &run->tenant), BULLA_E_POSITION_TENANT,
		"a manifest is of another tenant"));
	return VERIFY(v, MANIFEST_EPOCH, bulla_manifest_epoch_open(m, run->epoch, &run->digest), BULLA_E_EPOCH_CLOSED,
		"a manifest does not leave the run's epoch open");
}

bulla_rc verify_manifest_item(struct bulla_verify *v, bulla_bytes body)
{
	struct verify_manifest *place = &v->manifests[v->manifest_count];
	bulla_rc rc;

	if (v->manifest_count == VERIFY_MANIFESTS)
		return verify_failed(v, BULLA_VERIFY_BUNDLE_ORDER, BULLA_E_LIMIT, "too many manifests");
	bulla_buf_init(&place->bytes, BULLA_MAX_MANIFEST);
	rc = bulla_buf_append(&place->bytes, body);
	if (rc == BULLA_OK)
		rc = bulla_manifest_decode(bulla_buf_view(&place->bytes), &place->m);
	if (rc != BULLA_OK)
		bulla_buf_done(&place->bytes);
	BULLA_TRY(verify_form(v, BULLA_VERIFY_MANIFEST_FORM, rc, "a manifest is not in its form"));
	v->manifest_count++;
	verify_held(v, BULLA_VERIFY_MANIFEST_FORM);
	return v->manifest_count == 1 ? check_first(v, &place->m) : check_other(v, &place->m);
}

bulla_rc verify_approval_item(struct bulla_verify *v, bulla_bytes body)
{
	struct verify_manifest *place;
	size_t approver;
	bulla_rc rc;

	if (v->manifest_count == 0)
		return verify_failed(v, BULLA_VERIFY_BUNDLE_ORDER, BULLA_E_BUNDLE, "an approval comes before its manifest");
	place = &v->manifests[v->manifest_count - 1];
	rc = bulla_approval_check(&place->m, &place->m, body, &approver);
	if (rc == BULLA_E_PARTY) /* signed by somebody else: says nothing */
		return BULLA_OK;
	BULLA_TRY(VERIFY(v, MANIFEST_SIGNATURES, rc == BULLA_OK, BULLA_E_SIGNATURE, "an approval does not verify"));
	if (rc != BULLA_OK)
		approver = 0; /* builds of mutants only: the forged approval counts */
	if ((place->signers >> approver & 1) != 0)
		return BULLA_OK;
	place->signers |= UINT32_C(1) << approver;
	place->signed_by++;
	if (bulla_trust_has(v->trust, &place->m.approvers[approver].kid))
		place->trusted++;
	return BULLA_OK;
}

static bulla_rc decode_plan(struct bulla_verify *v, bulla_bytes plan)
{
	size_t size, slots;
	void *p;

	BULLA_TRY(bulla_flow_measure(plan, &size));
	BULLA_TRY(bulla_alloc(1, size, &v->flow_memory));
	BULLA_TRY(bulla_flow_decode(plan, v->flow_memory, size, &v->flow));
	slots = bulla_flow_slots(&v->flow);
	BULLA_TRY(bulla_alloc(slots, sizeof(struct bulla_flow_slot), &p));
	v->flow_slots = p;
	BULLA_TRY(bulla_alloc(slots, sizeof(struct verify_slot), &p));
	v->slots = p;
	BULLA_TRY(bulla_alloc(slots, sizeof(struct bulla_flow_parent), &p));
	v->parents = p;
	BULLA_TRY(bulla_alloc(BULLA_MAX_FLOW_INPUTS, sizeof(struct bulla_flow_binding), &p));
	v->bindings = p;
	return bulla_flow_begin(&v->flow, v->flow_slots, (uint32_t)slots, 0, &v->run);
}

static bulla_rc find_plan(struct bulla_verify *v)
{
	const struct bulla_workflow *workflow =
		bulla_manifest_workflow(verify_run_manifest(v), &v->header.slot.workflow);

	if (workflow == NULL)
		return verify_failed(v, BULLA_VERIFY_PLAN, BULLA_E_POSITION_WORKFLOW,
			"the manifest has no such workflow");
	v->result.facts.workflow_handle = workflow->handle;
	BULLA_TRY(verify_form(v, BULLA_VERIFY_PLAN, decode_plan(v, workflow->plan), "the plan is not sound"));
	return verify_held(v, BULLA_VERIFY_PLAN);
}

bulla_rc verify_manifests_end(struct bulla_verify *v)
{
	struct bulla_verify_facts *facts = &v->result.facts;
	uint32_t trusted = UINT32_MAX;
	bool approved = true;
	bulla_rc rc;

	if (v->manifest_count == 0)
		return verify_failed(v, BULLA_VERIFY_BUNDLE_ORDER, BULLA_E_BUNDLE, "the bundle has no manifest");
	gather_anchors(v);
	facts->signers = v->manifests[0].signers;
	facts->signed_by = v->manifests[0].signed_by;
	for (size_t i = 0; i < v->manifest_count; i++) {
		approved = approved && v->manifests[i].signed_by >= v->manifests[i].m.need;
		trusted = v->manifests[i].trusted < trusted ? v->manifests[i].trusted : trusted;
	}
	if (!approved && facts->signed_by >= facts->need)
		facts->signed_by = 0; /* another epoch's manifest lacks approvals: nothing it served is approved */
	facts->trusted = trusted;
	rc = bulla_verify_key_spki(verify_run_manifest(v)->ledger_spki, &v->ledger);
	BULLA_TRY(verify_form(v, BULLA_VERIFY_MANIFEST_FORM, rc, "the manifest's ledger key is no key"));
	return find_plan(v);
}
