/* Who signed: start records, receipts, tokens, orders, the ledger's head. */
#include "crypto/hash.h"
#include "cose/sign1.h"
#include "manifest/manifest.h"
#include "receipt/order.h"
#include "verify/state.h"
#include "wire/kinds.h"

bulla_rc verify_party_key(struct bulla_verify *v, const bulla_digest *kid, const struct bulla_party **ret_party,
	struct bulla_verify_key **ret_key)
{
	const struct bulla_manifest *m = verify_run_manifest(v);
	const struct bulla_party *party = bulla_manifest_party_kid(m, kid);
	size_t index;

	if (party == NULL)
		return BULLA_FAIL(BULLA_E_PARTY, "the manifest has no party with this key");
	index = (size_t)(party - m->parties);
	if (v->party_keys[index] == NULL)
		BULLA_TRY(bulla_verify_key_spki(party->spki, &v->party_keys[index]));
	*ret_party = party;
	*ret_key = v->party_keys[index];
	return BULLA_OK;
}

static bool batch_known(const struct bulla_verify *v, const struct verify_batch *batch)
{
	for (size_t i = 0; i < VERIFY_BATCHES; i++)
		if (v->batches[i].kind == batch->kind && bulla_digest_eq(&v->batches[i].root, &batch->root) &&
			bulla_digest_eq(&v->batches[i].kid, &batch->kid) &&
			bulla_bytes_eq(BULLA_BYTES_ARRAY(v->batches[i].signature), BULLA_BYTES_ARRAY(batch->signature)))
			return true;
	return false;
}

bulla_rc verify_auth(struct bulla_verify *v, const struct bulla_auth *auth, struct bulla_verify_key *key,
	enum bulla_signed single, bulla_bytes payload, const bulla_digest *digest)
{
	struct verify_batch batch = {.kind = (uint8_t)(single + 1)};

	if (!auth->batched) {
		const struct bulla_verify_job job = {
			.kind = single, .spki = bulla_verify_key_der(key), .payload = payload, .auth = auth};

		if (v->take != NULL && v->take(v->take_ctx, &job))
			return BULLA_OK;
		return bulla_auth_verify(auth, key, single, payload);
	}
	batch.kid = *bulla_verify_key_kid(key);
	bulla_copy(batch.signature, auth->signature, sizeof(batch.signature));
	BULLA_TRY(bulla_auth_root(auth, digest, &batch.root));
	if (batch_known(v, &batch))
		return BULLA_OK;
	BULLA_TRY(bulla_batch_verify(key, single + 1, &batch.root, auth->signature));
	v->batches[v->batch_next++ % VERIFY_BATCHES] = batch;
	return BULLA_OK;
}

/* One record may wait for its entry; the pairs are kept until then. */
static bulla_rc begin_pending(struct bulla_verify *v, bulla_bytes pairs)
{
	BULLA_TRY(VERIFY(v, GRAPH_WHOLE, !v->pending.is_start && !v->pending.is_receipt, BULLA_E_GRAPH,
		"a receipt stands in no entry of the ledger"));
	bulla_buf_clear(&v->pending.pairs);
	return bulla_buf_append(&v->pending.pairs, pairs);
}

/* --- start --- */

static bool start_is_here(const struct bulla_verify *v, const struct bulla_start *start)
{
	const struct bulla_slot *slot = &v->header.slot;

	return bulla_handle_eq(&start->tenant, &slot->tenant) && bulla_run_id_eq(&start->run, &slot->run) &&
		bulla_digest_eq(&start->workflow, &slot->workflow) &&
		bulla_digest_eq(&start->manifest, &v->header.manifest);
}

bulla_rc verify_day_key_item(struct bulla_verify *v, bulla_bytes body)
{
	struct verify_day *place = &v->days[v->day_count];
	struct bulla_day_key day;
	bulla_rc rc = bulla_day_key_open(body, v->ledger, &day);

	BULLA_TRY(verify_form(v, BULLA_VERIFY_START_DAY_KEY, rc, "a day key is not the ledger's"));
	if (v->day_count == VERIFY_DAYS)
		return BULLA_OK;
	bulla_sha256(day.public_key, &place->digest);
	place->begins_ms = day.begins_ms;
	place->ends_ms = day.ends_ms;
	v->day_count++;
	return BULLA_OK;
}

/* Held when one of the day keys given is the start's; when none is, nothing is said: the bundle need not have them. */
static bulla_rc check_day_key(struct bulla_verify *v, const struct bulla_start *start)
{
	for (size_t i = 0; i < v->day_count; i++)
		if (bulla_digest_eq(&v->days[i].digest, &start->day_key))
			return VERIFY(v, START_DAY_KEY,
				start->time_ms + BULLA_MAX_CLOCK_SKEW_MS >= v->days[i].begins_ms && start->time_ms <= v->days[i].ends_ms,
				BULLA_E_EVIDENCE_STALE, "the run was started outside its day key's time");
	return BULLA_OK;
}

bulla_rc verify_start_item(struct bulla_verify *v, bulla_bytes body)
{
	struct bulla_start_record record;
	const struct bulla_party *party;
	struct bulla_verify_key *key;
	bulla_rc rc;

	verify_at(v, BULLA_STEP_INPUT, 0, 1);
	BULLA_TRY(verify_form(v, BULLA_VERIFY_START_PLACE, bulla_start_record_decode(body, &record),
		"the start record is not in its form"));
	BULLA_TRY(VERIFY(v, START_PLACE, start_is_here(v, &record.start), BULLA_E_POSITION_RUN,
		"the start record is of another run, workflow, tenant or manifest"));
	rc = verify_party_key(v, &record.start.party, &party, &key);
	BULLA_TRY(verify_form(v, BULLA_VERIFY_START_RIGHT, rc, "the starter is no party of the manifest"));
	BULLA_TRY(VERIFY(v, START_RIGHT, (party->rights & BULLA_RIGHT_START) != 0, BULLA_E_NO_RIGHT,
		"this party may not start runs"));
	rc = verify_auth(v, &record.auth, key, BULLA_SIGNED_START, record.payload, &record.digest);
	BULLA_TRY(VERIFY(v, START_SIGNATURE, rc == BULLA_OK, BULLA_E_SIGNATURE, "the start record's signature does not verify"));
	BULLA_TRY(check_day_key(v, &record.start));
	BULLA_TRY(begin_pending(v, record.start.inputs));
	v->pending.is_start = true;
	v->pending.digest = record.digest;
	v->pending.receipt = (struct bulla_receipt){.position = {v->header.slot, 1}, .kid = record.start.party,
		.time_ms = record.start.time_ms};
	return BULLA_OK;
}

/* --- receipts --- */

static bool receipt_is_here(const struct bulla_verify *v, const struct bulla_receipt *receipt)
{
	const struct bulla_slot *a = &v->header.slot, *b = &receipt->position.slot;

	return bulla_handle_eq(&a->tenant, &b->tenant) && bulla_run_id_eq(&a->run, &b->run) &&
		bulla_digest_eq(&a->workflow, &b->workflow) && bulla_digest_eq(&receipt->manifest, &v->header.manifest);
}

static bool instance_hosts(const struct verify_instance *instance, const bulla_handle *agent)
{
	struct bulla_instance view = {.agents = bulla_buf_view(&instance->agents)};

	return bulla_instance_hosts(&view, agent);
}

/* The step's agent ran, as the manifest has it, in an instance that was attested to host it. */
static bulla_rc agent_signer(struct bulla_verify *v, const struct bulla_receipt *receipt,
	const struct bulla_flow_step *step, struct bulla_verify_key **ret_key)
{
	struct verify_instance *instance = verify_instance_find(v, &receipt->kid);
	const struct bulla_agent *agent;
	bulla_handle handle;

	if (instance == NULL)
		return verify_failed(v, BULLA_VERIFY_RECEIPT_SIGNER, BULLA_E_PRODUCER, "a receipt's key is attested by nothing");
	bulla_copy(handle.b, v->flow.actors[step->actor].handle, sizeof(handle.b));
	agent = bulla_manifest_agent(verify_run_manifest(v), &handle);
	BULLA_TRY(VERIFY(v, RECEIPT_AGENT, agent != NULL && bulla_digest_eq(&agent->bundle, &receipt->agent),
		BULLA_E_PRODUCER, "the step ran another agent than the manifest names"));
	BULLA_TRY(VERIFY(v, RECEIPT_SIGNER, instance_hosts(instance, &handle), BULLA_E_PRODUCER,
		"the instance was not attested to host this agent"));
	BULLA_TRY(VERIFY(v, RECEIPT_FRESH,
		(step->flags & BULLA_FLOW_FRESH) == 0 || receipt->reuse == BULLA_REUSE_FRESH, BULLA_E_DENIED,
		"the step demands a fresh process and had none"));
	v->pending.tee = instance->tee;
	v->pending.assurance = instance->assurance;
	*ret_key = instance->key;
	return BULLA_OK;
}

static bulla_rc party_signer(struct bulla_verify *v, const struct bulla_receipt *receipt,
	const struct bulla_flow_step *step, struct bulla_verify_key **ret_key)
{
	const struct bulla_flow_actor *actor = step->kind == BULLA_FLOW_PARTY ? &v->flow.actors[step->actor] : NULL;
	const struct bulla_party *party;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_PARTY_RIGHT, verify_party_key(v, &receipt->kid, &party, ret_key),
		"an answer is of no party of the manifest"));
	return VERIFY(v, PARTY_RIGHT,
		actor != NULL && bulla_bytes_eq(bulla_handle_view(&party->handle), BULLA_BYTES_ARRAY(actor->handle)),
		BULLA_E_PARTY, "an answer is of another party than the plan asks");
}

/* What the ledger may say by itself: a sleep is over, nobody answered in time, an agent's attempts were all lost, the run is
 * too long. When, the fold knows. */
static bool is_ledgers_word(const struct bulla_receipt *receipt, const struct bulla_flow_step *step)
{
	if (step->kind == BULLA_FLOW_AGENT)
		return receipt->outcome == BULLA_OUTCOME_LOST || receipt->outcome == BULLA_OUTCOME_LIMIT;
	return step->kind == BULLA_FLOW_CLOCK || receipt->outcome == BULLA_FLOW_OUTCOME_TIMEOUT;
}

static bulla_rc signer_of(struct bulla_verify *v, const struct bulla_receipt *receipt,
	const struct bulla_flow_step *step, struct bulla_verify_key **ret_key)
{
	bool by_ledger = receipt->executor == BULLA_EXECUTOR_CLOCK || receipt->executor == BULLA_EXECUTOR_BROKER;

	BULLA_TRY(VERIFY(v, CLOCK_WORD, by_ledger == is_ledgers_word(receipt, step), BULLA_E_CLOCK_RECEIPT,
		"the ledger speaks for another, or another for the ledger"));
	if (receipt->executor == BULLA_EXECUTOR_AGENT && step->kind == BULLA_FLOW_AGENT)
		return agent_signer(v, receipt, step, ret_key);
	if (receipt->executor == BULLA_EXECUTOR_PARTY)
		return party_signer(v, receipt, step, ret_key);
	BULLA_TRY(VERIFY(v, RECEIPT_SIGNER, receipt->executor != BULLA_EXECUTOR_AGENT, BULLA_E_PRODUCER,
		"an agent answered where the plan has none"));
	BULLA_TRY(VERIFY(v, RECEIPT_SIGNER, bulla_digest_eq(&receipt->kid, bulla_verify_key_kid(v->ledger)),
		BULLA_E_CLOCK_RECEIPT, "a receipt of the clock is not the ledger's"));
	*ret_key = v->ledger;
	return BULLA_OK;
}

bulla_rc verify_receipt_item(struct bulla_verify *v, bulla_bytes body)
{
	const struct bulla_flow_step *step;
	struct bulla_receipt_record record;
	struct bulla_verify_key *key = NULL;
	bulla_rc rc;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_RECEIPT_FORM, bulla_receipt_record_decode(body, &record),
		"a receipt is not in its form"));
	verify_held(v, BULLA_VERIFY_RECEIPT_FORM);
	verify_at(v, record.receipt.position.slot.step, record.receipt.position.slot.item, record.receipt.position.attempt);
	BULLA_TRY(VERIFY(v, RECEIPT_PLACE, receipt_is_here(v, &record.receipt), BULLA_E_POSITION_RUN,
		"a receipt is of another run, workflow, tenant or manifest"));
	rc = bulla_flow_step_at(&v->flow, record.receipt.position.slot.step, &step);
	BULLA_TRY(verify_form(v, BULLA_VERIFY_RECEIPT_PLACE, rc, "a receipt is of a step that the plan does not have"));
	BULLA_TRY(begin_pending(v, record.outputs));
	BULLA_TRY(signer_of(v, &record.receipt, step, &key));
	rc = verify_auth(v, &record.auth, key, BULLA_SIGNED_RECEIPT, record.payload, &record.digest);
	BULLA_TRY(VERIFY(v, RECEIPT_SIGNATURE, rc == BULLA_OK, BULLA_E_SIGNATURE, "a receipt's signature does not verify"));
	BULLA_TRY(VERIFY(v, RECEIPT_EACH, !record.auth.batched || (v->flow.flags & BULLA_FLOW_RECEIPTS_EACH) == 0,
		BULLA_E_SIGNATURE, "the workflow demands a signature for each receipt"));
	v->pending.is_receipt = true;
	v->pending.receipt = record.receipt;
	v->pending.digest = record.digest;
	v->result.facts.receipts++;
	return BULLA_OK;
}

/* --- orders --- */

bulla_rc verify_order_item(struct bulla_verify *v, bulla_bytes body)
{
	const struct bulla_party *party;
	struct bulla_verify_key *key;
	struct bulla_order order;
	bulla_bytes payload;
	bulla_digest kid;
	uint32_t right;
	bulla_rc rc;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_ORDER_SIGNATURE, bulla_order_peek(body, &kid, &order),
		"an order is not in its form"));
	if (order.kind >= BULLA_ORDER_REVOKE_INSTANCE)
		return verify_revocation_item(v, body, &order, &kid);
	rc = verify_party_key(v, &kid, &party, &key);
	BULLA_TRY(verify_form(v, BULLA_VERIFY_ORDER_SIGNATURE, rc, "an order is of no party of the manifest"));
	rc = bulla_order_open(body, key, &order);
	BULLA_TRY(VERIFY(v, ORDER_SIGNATURE, rc == BULLA_OK, BULLA_E_SIGNATURE, "an order's signature does not verify"));
	right = order.kind == BULLA_ORDER_CANCEL ? BULLA_RIGHT_CANCEL : order.kind == BULLA_ORDER_ERASE ? BULLA_RIGHT_ERASE : 0;
	BULLA_TRY(VERIFY(v, ORDER_SIGNATURE, (party->rights & right) != 0 && bulla_run_id_eq(&order.run, &v->header.slot.run),
		BULLA_E_NO_RIGHT, "an order is of another run, or of a party who may not give it"));
	BULLA_TRY(bulla_sign1_peek(body, BULLA_CONTENT("order"), &kid, &payload));
	v->has_order = true;
	v->order.kid = kid;
	v->order.kind = order.kind;
	bulla_sha256(payload, &v->order.digest);
	return BULLA_OK;
}

/* --- tokens and the ledger's head --- */

bulla_rc verify_token_item(struct bulla_verify *v, bulla_bytes body)
{
	const struct bulla_flow_slot *slot = NULL;
	struct bulla_token_record record;
	bulla_rc rc;

	BULLA_TRY(verify_form(v, BULLA_VERIFY_TOKEN_SIGNATURE, bulla_token_record_decode(body, &record),
		"a commit token is not in its form"));
	verify_at(v, record.token.slot.step, record.token.slot.item, 0);
	rc = verify_auth(v, &record.auth, v->ledger, BULLA_SIGNED_TOKEN, record.payload, &record.digest);
	BULLA_TRY(VERIFY(v, TOKEN_SIGNATURE, rc == BULLA_OK, BULLA_E_SIGNATURE, "a commit token's signature does not verify"));
	if (v->started && record.token.slot.step < v->flow.step_count)
		slot = bulla_flow_slot_of(&v->flow, &v->run, (uint16_t)record.token.slot.step, record.token.slot.item);
	BULLA_TRY(VERIFY(v, TOKEN_COMMIT,
		slot != NULL && slot->state == BULLA_FLOW_FILLED && bulla_run_id_eq(&record.token.slot.run, &v->header.slot.run),
		BULLA_E_PARENT, "a commit token covers no committed receipt of this run"));
	BULLA_TRY(VERIFY(v, TOKEN_COMMIT, slot == NULL || bulla_digest_eq(&slot->digest, &record.token.receipt), BULLA_E_FORK,
		"a commit token covers another receipt than the one committed"));
	v->result.facts.tokens++;
	return BULLA_OK;
}

static bool head_is_here(const struct bulla_verify *v, const struct bulla_run_head *head)
{
	return bulla_run_id_eq(&head->run, &v->header.slot.run) && bulla_handle_eq(&head->tenant, &v->header.slot.tenant);
}

bulla_rc verify_head_item(struct bulla_verify *v, bulla_bytes body)
{
	struct bulla_run_head head = {0};
	bulla_digest root;
	bulla_rc rc = bulla_run_head_open(body, v->ledger, &head);

	BULLA_TRY(VERIFY(v, LEDGER_HEAD, rc == BULLA_OK, BULLA_E_SIGNATURE, "the ledger's head does not verify"));
	bulla_merkle_root(&v->entries, &root);
	BULLA_TRY(VERIFY(v, LEDGER_HEAD, head_is_here(v, &head), BULLA_E_POSITION_RUN, "the ledger's head is of another run"));
	BULLA_TRY(VERIFY(v, LEDGER_HEAD,
		head.count == v->entries.count && bulla_digest_eq(&head.root, &root) && head.sequence >= v->last_sequence,
		BULLA_E_GRAPH, "entries of the ledger were dropped, added or changed"));
	BULLA_TRY(VERIFY(v, LEDGER_STATE, !v->started || head.state == v->run.state, BULLA_E_GRAPH,
		"the run's state is not the one that the ledger signed"));
	BULLA_TRY(VERIFY(v, LEDGER_ENDED, v->started && v->run.state != BULLA_RUN_OPEN, BULLA_E_GRAPH,
		"the run had not ended when the ledger signed: what came after may be left out"));
	v->has_head = true;
	return BULLA_OK;
}
