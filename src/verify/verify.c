#include "verify/verify.h"

#include "base/mem.h"
#include "verify/state.h"
#include "wire/kinds.h"

enum { FEED_BYTES = 1 << 16 };

bulla_rc verify_held(struct bulla_verify *v, enum bulla_verify_check check)
{
	struct bulla_verify_row *row = &v->result.checks[check];

	if (row->state != BULLA_VERIFY_FAILED)
		row->state = BULLA_VERIFY_HELD;
	row->times++;
	return BULLA_OK;
}

bulla_rc verify_failed(struct bulla_verify *v, enum bulla_verify_check check, bulla_rc rc, const char *text)
{
	if (!v->failed) {
		v->failed = true;
		v->result.rc = rc;
		v->result.failed = check;
		v->result.text = text;
		v->result.at = v->bytes_read;
		v->result.checks[check].state = BULLA_VERIFY_FAILED;
	}
	return rc;
}

void verify_at(struct bulla_verify *v, uint32_t step, uint32_t item, uint32_t attempt)
{
	v->result.step = step;
	v->result.item = item;
	v->result.attempt = attempt;
}

bulla_rc bulla_verify_new(const struct bulla_trust *trust, struct bulla_verify **ret)
{
	struct bulla_verify *v;
	void *memory, *instances;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*v), &memory));
	v = memory;
	v->nobody.need = 1;
	v->trust = trust != NULL ? trust : &v->nobody;
	v->result.step = BULLA_STEP_RUN;
	bulla_attest_cache_init(&v->cache);
	bulla_merkle_init(&v->entries);
	bulla_buf_init(&v->leaves, VERIFY_LEAVES_MAX);
	bulla_buf_init(&v->pending.pairs, (size_t)BULLA_MAX_RECEIPT_PAIRS * BULLA_PAIR_BYTES);
	rc = bulla_bundle_reader_new(&v->reader);
	if (rc == BULLA_OK)
		rc = bulla_alloc(VERIFY_INSTANCES, sizeof(struct verify_instance), &instances);
	if (rc != BULLA_OK) {
		bulla_verify_free(v);
		return rc;
	}
	v->instances = instances;
	*ret = v;
	return BULLA_OK;
}

void bulla_verify_helped(struct bulla_verify *v, bulla_verify_take *take, void *ctx)
{
	v->take = take;
	v->take_ctx = ctx;
}

struct bulla_verify *bulla_verify_free(struct bulla_verify *v)
{
	if (v == NULL)
		return NULL;
	for (size_t i = 0; i < v->manifest_count; i++) {
		bulla_manifest_done(&v->manifests[i].m);
		bulla_buf_done(&v->manifests[i].bytes);
	}
	for (size_t i = 0; i < v->instance_count; i++) {
		bulla_verify_key_free(v->instances[i].key);
		bulla_buf_done(&v->instances[i].agents);
	}
	for (size_t i = 0; i < BULLA_MAX_PARTIES; i++)
		bulla_verify_key_free(v->party_keys[i]);
	bulla_verify_key_free(v->ledger);
	bulla_bundle_reader_free(v->reader);
	bulla_buf_done(&v->leaves);
	bulla_buf_done(&v->pending.pairs);
	bulla_free(v->instances);
	bulla_free(v->links);
	bulla_free(v->revocations);
	bulla_free(v->flow_memory);
	bulla_free(v->flow_slots);
	bulla_free(v->slots);
	bulla_free(v->parents);
	bulla_free(v->bindings);
	bulla_free(v);
	return NULL;
}

/* --- items --- */

static bulla_rc header_item(struct bulla_verify *v, bulla_bytes body)
{
	struct bulla_verify_facts *facts = &v->result.facts;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_BUNDLE_FORM, bulla_bundle_header_decode(body, &v->header),
		"the bundle's header is not in its form"));
	facts->tenant = v->header.slot.tenant;
	facts->run = v->header.slot.run;
	facts->workflow = v->header.slot.workflow;
	facts->manifest = v->header.manifest;
	return verify_held(v, BULLA_VERIFY_BUNDLE_FORM);
}

/* Manifests come first; with the first other item their part is over. */
static bulla_rc begin_rest(struct bulla_verify *v)
{
	if (v->manifests_done)
		return BULLA_OK;
	v->manifests_done = true;
	return verify_manifests_end(v);
}

static bulla_rc early_item(struct bulla_verify *v, enum bulla_bundle_kind kind, bulla_bytes body, bool *ret_done)
{
	*ret_done = true;
	if (kind == BULLA_BUNDLE_HEADER)
		return header_item(v, body);
	if (kind != BULLA_BUNDLE_MANIFEST && kind != BULLA_BUNDLE_APPROVAL) {
		*ret_done = false;
		return begin_rest(v);
	}
	BULLA_TRY(VERIFY(v, BUNDLE_ORDER, !v->manifests_done, BULLA_E_BUNDLE, "a manifest follows other items"));
	return kind == BULLA_BUNDLE_MANIFEST ? verify_manifest_item(v, body) : verify_approval_item(v, body);
}

static bulla_rc take(struct bulla_verify *v, enum bulla_bundle_kind kind, bulla_bytes body)
{
	bool done;

	BULLA_TRY(early_item(v, kind, body, &done));
	if (done)
		return BULLA_OK;
	switch (kind) {
	case BULLA_BUNDLE_BIRTH:
		return verify_birth_item(v, body);
	case BULLA_BUNDLE_INSTANCE:
		return verify_instance_item(v, body);
	case BULLA_BUNDLE_LINK:
		return verify_link_item(v, body);
	case BULLA_BUNDLE_START:
		return verify_start_item(v, body);
	case BULLA_BUNDLE_RECEIPT:
		return verify_receipt_item(v, body);
	case BULLA_BUNDLE_ENVELOPE:
	case BULLA_BUNDLE_ENVELOPE_HEADER:
		return verify_envelope_item(v, body);
	case BULLA_BUNDLE_ENTRY:
		return verify_entry_item(v, body);
	case BULLA_BUNDLE_TOKEN:
		return verify_token_item(v, body);
	case BULLA_BUNDLE_RUN_HEAD:
		return verify_head_item(v, body);
	case BULLA_BUNDLE_ORDER:
		return verify_order_item(v, body);
	case BULLA_BUNDLE_DAY_KEY:
		return verify_day_key_item(v, body);
	case BULLA_BUNDLE_HEADER:
	case BULLA_BUNDLE_MANIFEST:
	case BULLA_BUNDLE_APPROVAL:
	case BULLA_BUNDLE_COLLATERAL:
	case BULLA_BUNDLE_TRAILER:
	case BULLA_BUNDLE_KINDS:
	default:
		return BULLA_OK;
	}
}

static bulla_rc take_all(struct bulla_verify *v)
{
	enum bulla_bundle_kind kind;
	bulla_bytes body;
	bulla_rc rc;

	while (!v->failed && (rc = bulla_bundle_next(v->reader, &kind, &body)) != BULLA_E_AGAIN) {
		if (rc == BULLA_E_CLOSED)
			return BULLA_OK;
		if (rc != BULLA_OK)
			return verify_failed(v, v->bytes_read == 0 ? BULLA_VERIFY_BUNDLE_FORM : BULLA_VERIFY_BUNDLE_WHOLE,
				BULLA_E_BUNDLE, "the bytes are not those of a whole bundle");
		verify_at(v, BULLA_STEP_RUN, 0, 0);
		BULLA_TRY(take(v, kind, body));
		v->bytes_read += body.n;
	}
	return BULLA_OK;
}

bulla_rc bulla_verify_feed(struct bulla_verify *v, bulla_bytes bytes)
{
	while (bytes.n > 0 && !v->failed) {
		size_t n = bytes.n < FEED_BYTES ? bytes.n : FEED_BYTES;
		bulla_rc rc;

		BULLA_TRY(bulla_bundle_feed(v->reader, bulla_bytes_of(bytes.p, n)));
		rc = take_all(v);
		if (rc != BULLA_OK && !v->failed)
			return rc;
		bytes = bulla_bytes_of(bytes.p + n, bytes.n - n);
	}
	return BULLA_OK;
}

/* --- the verdict --- */

/* What only the end can tell. */
static bulla_rc finish(struct bulla_verify *v)
{
	verify_at(v, BULLA_STEP_RUN, 0, 0);
	BULLA_TRY(VERIFY(v, BUNDLE_WHOLE, bulla_bundle_ended(v->reader) == BULLA_OK, BULLA_E_BUNDLE,
		"the bundle ends before its trailer"));
	BULLA_TRY(begin_rest(v));
	BULLA_TRY(VERIFY(v, GRAPH_WHOLE, !v->pending.is_start && !v->pending.is_receipt, BULLA_E_GRAPH,
		"a receipt stands in no entry of the ledger"));
	return VERIFY(v, LEDGER_HEAD, v->has_head, BULLA_E_GRAPH, "the ledger's signed head is missing");
}

static enum bulla_verdict verdict_of(struct bulla_verify *v)
{
	const struct bulla_verify_facts *facts = &v->result.facts;
	struct bulla_verify_row *rows = v->result.checks;

	if (v->failed)
		return BULLA_VERDICT_REFUSED;
	if (facts->signed_by >= facts->need)
		verify_held(v, BULLA_VERIFY_MANIFEST_APPROVED);
	else if (BULLA_CHECK_ON(VERIFY_MANIFEST_APPROVED))
		rows[BULLA_VERIFY_MANIFEST_APPROVED].state = BULLA_VERIFY_FAILED;
	if (facts->trusted >= v->trust->need)
		verify_held(v, BULLA_VERIFY_MANIFEST_TRUSTED);
	else if (BULLA_CHECK_ON(VERIFY_MANIFEST_TRUSTED))
		rows[BULLA_VERIFY_MANIFEST_TRUSTED].state = BULLA_VERIFY_FAILED;
	if (rows[BULLA_VERIFY_MANIFEST_APPROVED].state == BULLA_VERIFY_FAILED)
		v->result.rc = BULLA_E_APPROVALS;
	if (rows[BULLA_VERIFY_MANIFEST_APPROVED].state == BULLA_VERIFY_FAILED ||
		rows[BULLA_VERIFY_MANIFEST_TRUSTED].state == BULLA_VERIFY_FAILED)
		return BULLA_VERDICT_UNKNOWN_SIGNER;
	if (facts->assurance == BULLA_ASSURANCE_HARDWARE)
		return BULLA_VERDICT_VERIFIED;
	return facts->assurance == BULLA_ASSURANCE_EMULATOR ? BULLA_VERDICT_EMULATOR_ONLY : BULLA_VERDICT_DEV_ONLY;
}

bulla_rc bulla_verify_end(struct bulla_verify *v, struct bulla_verify_result *ret)
{
	if (!v->failed) {
		bulla_rc rc = finish(v);

		if (rc != BULLA_OK && !v->failed)
			return rc;
	}
	if (v->started)
		v->result.facts.run_state = v->run.state;
	v->result.verdict = verdict_of(v);
	*ret = v->result;
	return BULLA_OK;
}
