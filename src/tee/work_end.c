/* A step after its agent: outputs sealed for their readers, receipt, commit request. Receipts of a turn are signed once;
 * no output leaves unsigned. */
#include "tee/enclave_internal.h"

#include "crypto/hash.h"
#include "crypto/random.h"
#include "wire/json.h"
#include "wire/kinds.h"

void bulla_work_free(struct bulla_work *work)
{
	bulla_secret_free(&work->run_secret);
	bulla_wipe(work->input.p, work->input.p == NULL ? 0 : work->input.n);
	work->input.n = 0;
	work->sealed.n = 0;
	work->output_count = work->pair_count = work->link_count = 0;
	work->state = BULLA_WORK_FREE;
}

/* --- outcome --- */

/* Which of the plan's words the public field holds: its index is the outcome. */
static uint32_t word_of(const struct bulla_work *work, bulla_json output)
{
	const struct bulla_flow_step *plan = work->plan;
	bulla_json value;

	if (plan->words.count == 0)
		return BULLA_OUTCOME_OK;
	if (bulla_json_select(output, work->flow->names + plan->outcome.first, plan->outcome.count, &value) != BULLA_OK ||
		bulla_json_type(value) != BULLA_JSON_STRING)
		return BULLA_OUTCOME_OUTPUT;
	for (uint32_t i = 0; i < plan->words.count; i++)
		if (bulla_json_string_is(value, work->flow->names[plan->words.first + i]))
			return i;
	return BULLA_OUTCOME_OUTPUT;
}

/* --- sealing --- */

/* A link that the host may not have yet goes along with this result. */
static void carry_link(struct bulla_work *work, uint16_t index)
{
	if (work->enclave->mine[index].stored || work->link_count == BULLA_OUTBOX_LINKS)
		return;
	for (size_t i = 0; i < work->link_count; i++)
		if (work->links[i] == index)
			return;
	work->links[work->link_count++] = index;
}

static bulla_rc find_readers(struct bulla_work *work, struct bulla_flow_span span, enum bulla_envelope_kind kind,
	struct bulla_envelope_reader ret[BULLA_MAX_READERS], size_t *ret_count)
{
	if (span.count > BULLA_MAX_READERS)
		return BULLA_FAIL(BULLA_E_LIMIT, "an output has too many readers");
	for (uint32_t i = 0; i < span.count; i++) {
		const struct bulla_flow_actor *actor = &work->flow->actors[work->flow->readers[span.first + i]];
		const struct bulla_link *link;
		enum bulla_recipient to;
		uint16_t index;

		BULLA_TRY(bulla_work_reader(work->enclave, actor, &to, &index, &link));
		carry_link(work, index);
		ret[i] = (struct bulla_envelope_reader){.link = link->id, .secret = link->secret,
			.run_secret = bulla_envelope_is_covered(true, to, false, kind) ? work->run_secret : BULLA_SECRET_NONE};
	}
	*ret_count = span.count;
	return BULLA_OK;
}

static bulla_rc seal(struct bulla_work *work, enum bulla_envelope_kind kind, struct bulla_flow_span readers,
	bulla_bytes path, bulla_secret salt, bulla_bytes payload)
{
	const struct bulla_tee_base *base = work->enclave->base;
	struct bulla_envelope_reader list[BULLA_MAX_READERS];
	struct bulla_envelope_spec spec = {.position = work->receipt.position, .kind = kind, .path = path,
		.producer = base->kid, .padding = {base->manifest.padding, base->manifest.padding_size}, .salt = salt,
		.instance = base->instance_secret, .random = base->random, .readers = list};
	struct bulla_pair pair;

	if (work->output_count == BULLA_TEE_OUTPUTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a step has too many outputs");
	BULLA_TRY(find_readers(work, readers, kind, list, &spec.reader_count));
	BULLA_TRY(bulla_envelope_seal(&spec, payload, &work->sealed, &pair.envelope, &pair.commitment));
	if (kind != BULLA_ENVELOPE_LOG)
		work->pairs[work->pair_count++] = pair;
	work->ends[work->output_count++] = work->sealed.n;
	return BULLA_OK;
}

static bulla_rc seal_part(struct bulla_work *work, const struct bulla_flow_part *part, bulla_secret whole,
	bulla_bytes value)
{
	BULLA_AUTO_SECRET salt = BULLA_SECRET_NONE;
	uint8_t memory[BULLA_PATH_MAX];
	bulla_bytes path;

	BULLA_TRY(bulla_path_write(work->flow->names + part->path.first, part->path.count, BULLA_PATH_NO_INDEX, memory, &path));
	if (part->path.count == 0)
		return seal(work, BULLA_ENVELOPE_OUTPUT, part->readers, path, whole, value);
	BULLA_TRY(bulla_envelope_part_salt(whole, path, &salt));
	return seal(work, BULLA_ENVELOPE_OUTPUT, part->readers, path, salt, value);
}

/* One envelope per part of the plan. BULLA_E_AGENT_OUTPUT: the output lacks a field that the plan names. */
static bulla_rc seal_outputs(struct bulla_work *work, bulla_json output)
{
	const struct bulla_flow_span *parts = &work->plan->parts;
	BULLA_AUTO_SECRET whole = BULLA_SECRET_NONE;

	BULLA_TRY(bulla_random_secret(work->enclave->base->random, 32, &whole));
	for (uint32_t i = 0; i < parts->count; i++) {
		const struct bulla_flow_part *part = &work->flow->parts[parts->first + i];
		bulla_json value;

		if (bulla_json_select(output, work->flow->names + part->path.first, part->path.count, &value) != BULLA_OK)
			return BULLA_FAIL(BULLA_E_AGENT_OUTPUT, "the output lacks a field that the plan names");
		BULLA_TRY(seal_part(work, part, whole, value.raw));
	}
	return BULLA_OK;
}

static bulla_rc seal_alone(struct bulla_work *work, enum bulla_envelope_kind kind, bulla_bytes payload)
{
	BULLA_AUTO_SECRET salt = BULLA_SECRET_NONE;

	if (work->flow->log_readers.count == 0)
		return BULLA_OK; /* the plan names nobody who may read it */
	BULLA_TRY(bulla_random_secret(work->enclave->base->random, 32, &salt));
	return seal(work, kind, work->flow->log_readers, bulla_path_whole, salt, payload);
}

static const char *class_name(uint32_t outcome)
{
	static const char *const names[] = {"failed", "retry", "crash", "timeout", "memory", "output", "denied", "lost"};

	return outcome >= BULLA_OUTCOME_FAILED && outcome <= BULLA_OUTCOME_LOST ? names[outcome - BULLA_OUTCOME_FAILED] : "failed";
}

/* {"failure": CLASS} or {"failure": CLASS, "log": TEXT}. */
static bulla_rc write_failure(uint32_t outcome, bulla_bytes log, bulla_wr *w, bulla_bytes *ret)
{
	bulla_json_wr j = bulla_json_wr_of(w);

	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "failure");
	bulla_json_wr_str(&j, class_name(outcome));
	if (log.n > 0) {
		bulla_json_wr_name(&j, "log");
		bulla_json_wr_string(&j, log);
	}
	bulla_json_wr_object_end(&j);
	return bulla_wr_end(w, ret);
}

/* The log is whatever the agent wrote, and cut anywhere: what is no UTF-8 loses its foreign characters. */
static bulla_rc seal_failure(struct bulla_work *work, uint32_t outcome, bulla_bytes log)
{
	struct bulla_buf *text = &work->enclave->plain;
	uint8_t plain[BULLA_MAX_AGENT_LOG];
	bulla_bytes payload = {0};
	bulla_wr w;

	work->sealed.n = 0;
	work->output_count = work->pair_count = 0;
	text->n = 0;
	w = bulla_wr_buf(text);
	if (write_failure(outcome, log, &w, &payload) != BULLA_OK) {
		for (size_t i = 0; i < log.n && i < sizeof(plain); i++)
			plain[i] = log.p[i] < 128 ? log.p[i] : '?';
		text->n = 0;
		w = bulla_wr_buf(text);
		BULLA_TRY(write_failure(outcome, bulla_bytes_of(plain, log.n < sizeof(plain) ? log.n : sizeof(plain)), &w, &payload));
	}
	return seal_alone(work, BULLA_ENVELOPE_FAILURE, payload);
}

static bulla_rc seal_result(struct bulla_work *work, const struct bulla_agent_result *result)
{
	bulla_json output = {.raw = result->output};
	uint32_t outcome = result->outcome == BULLA_OUTCOME_OK ? word_of(work, output) : result->outcome;
	bulla_rc rc = BULLA_OK;

	if (!BULLA_OUTCOME_IS_FAILURE(outcome))
		rc = seal_outputs(work, output);
	if (rc == BULLA_E_AGENT_OUTPUT || rc == BULLA_E_LIMIT)
		outcome = BULLA_OUTCOME_OUTPUT;
	else
		BULLA_TRY(rc);
	if (BULLA_OUTCOME_IS_FAILURE(outcome))
		BULLA_TRY(seal_failure(work, outcome, result->log));
	if (result->log.n > 0)
		BULLA_TRY(seal_alone(work, BULLA_ENVELOPE_LOG, result->log));
	work->receipt.outcome = (uint8_t)outcome;
	work->receipt.reuse = result->reused ? BULLA_REUSE_REUSED : BULLA_REUSE_FRESH;
	bulla_pairs_root(work->pairs, work->pair_count, &work->receipt.outputs);
	return BULLA_OK;
}

/* --- receipt --- */

static bulla_rc write_receipt(struct bulla_work *work)
{
	struct bulla_enclave *enclave = work->enclave;
	bulla_wr w = bulla_wr_fixed(work->payload, sizeof(work->payload));
	bulla_bytes payload;

	bulla_receipt_write(&w, &work->receipt);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	bulla_sha256(payload, &work->digest);
	if ((work->flow->flags & BULLA_FLOW_RECEIPTS_EACH) != 0)
		return BULLA_OK;
	return bulla_batch_add(enclave->batch, &work->digest, &work->batch_index);
}

static void refuse(struct bulla_work *work, bulla_rc rc)
{
	struct bulla_enclave *enclave = work->enclave;

	enclave->open--;
	enclave->stats.refused++;
	if (enclave->host != NULL && work->stream != 0 &&
		bulla_frames_error(enclave->host, BULLA_OP_EXECUTE, work->stream, rc, 0, 0, 0) != BULLA_OK)
		work->stream = 0;
	bulla_work_free(work);
}

void bulla_work_agent_done(void *ctx, struct bulla_agent_job *job)
{
	struct bulla_work *work = ctx;
	struct bulla_enclave *enclave = work->enclave;
	bulla_rc rc = BULLA_E_CANCELLED;

	work->took_us = job->result.took_us;
	if (job->result.outcome != BULLA_OUTCOME_LOST)
		rc = seal_result(work, &job->result);
	if (rc == BULLA_OK)
		rc = write_receipt(work);
	if (rc != BULLA_OK) {
		refuse(work, rc);
		return;
	}
	work->state = BULLA_WORK_SEALED;
	work->next = NULL;
	if (enclave->sealed_last != NULL)
		enclave->sealed_last->next = work;
	else
		enclave->sealed_first = work;
	enclave->sealed_last = work;
}

/* --- sending --- */

static bulla_rc make_auth(struct bulla_work *work, struct bulla_auth *ret)
{
	struct bulla_enclave *enclave = work->enclave;

	if ((work->flow->flags & BULLA_FLOW_RECEIPTS_EACH) == 0)
		return bulla_batch_auth(enclave->batch, work->batch_index, ret);
	enclave->stats.signatures++;
	return bulla_auth_sign(bulla_tee_receipt_key(enclave->base), BULLA_SIGNED_RECEIPT, BULLA_BYTES_ARRAY(work->payload), ret);
}

/* Two digests, one behind the other: a list of pairs is its own encoding. */
_Static_assert(sizeof(struct bulla_pair) == BULLA_PAIR_BYTES, "no padding");

static bulla_rc write_record(struct bulla_work *work, struct bulla_buf *ret)
{
	struct bulla_auth auth;
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	BULLA_TRY(make_auth(work, &auth));
	bulla_receipt_record_write(&w, BULLA_BYTES_ARRAY(work->payload), &auth,
		bulla_bytes_of(work->pairs, work->pair_count * BULLA_PAIR_BYTES), bulla_bytes_of(NULL, 0));
	return bulla_wr_end(&w, &ignored);
}

static bulla_rc write_commit(struct bulla_work *work, struct bulla_buf *ret)
{
	const struct bulla_tee_session *session = bulla_enclave_session(work->enclave, work->session);
	struct bulla_commit commit = {
		.position = work->receipt.position, .receipt = work->digest, .outcome = work->receipt.outcome};

	if (session == NULL)
		return BULLA_FAIL(BULLA_E_SESSION, "the step's session has ended");
	return bulla_commit_make(&commit, work->session, session->session.keys.mac_up, ret);
}

static bulla_rc write_executed(struct bulla_work *work, bulla_bytes receipt, bulla_bytes commit, struct bulla_buf *ret)
{
	bulla_bytes outputs[BULLA_TEE_OUTPUTS], objects[BULLA_OUTBOX_LINKS], ignored;
	struct bulla_msg_executed executed = {.receipt = receipt, .commit = commit, .outcome = work->receipt.outcome,
		.took_us = (uint64_t)work->took_us};
	bulla_wr w = bulla_wr_buf(ret);

	for (size_t i = 0, from = 0; i < work->output_count; from = work->ends[i], i++)
		outputs[i] = bulla_bytes_of(work->sealed.p + from, work->ends[i] - from);
	for (size_t i = 0; i < work->link_count; i++)
		objects[i] = bulla_buf_view(&work->enclave->mine[work->links[i]].object);
	executed.outputs = bulla_pb_list_of(outputs, work->output_count);
	executed.objects = bulla_pb_list_of(objects, work->link_count);
	bulla_msg_executed_encode(&executed, &w);
	return bulla_wr_end(&w, &ignored);
}

/* Into the outbox in its final form, then to the host. */
static bulla_rc send(struct bulla_work *work)
{
	struct bulla_enclave *enclave = work->enclave;
	struct bulla_outbox_entry *entry;
	size_t middle;

	enclave->text.n = 0;
	BULLA_TRY(bulla_outbox_take(&enclave->outbox, &entry));
	BULLA_TRY(write_record(work, &enclave->text));
	middle = enclave->text.n;
	BULLA_TRY(write_commit(work, &enclave->text));
	BULLA_TRY(write_executed(work, bulla_bytes_of(enclave->text.p, middle),
		bulla_bytes_of(enclave->text.p + middle, enclave->text.n - middle), &entry->body));
	entry->receipt = work->digest;
	entry->link_count = work->link_count;
	bulla_copy(entry->links, work->links, work->link_count * sizeof(work->links[0]));
	bulla_outbox_kept(&enclave->outbox, entry);
	if (enclave->host != NULL && work->stream != 0)
		return bulla_frames_reply(enclave->host, BULLA_OP_EXECUTE, work->stream, bulla_buf_view(&entry->body));
	return BULLA_OK;
}

void bulla_work_send_sealed(struct bulla_enclave *enclave)
{
	bulla_rc rc = BULLA_OK;

	if (enclave->sealed_first == NULL)
		return;
	if (bulla_batch_count(enclave->batch) > 0) {
		rc = bulla_batch_sign(enclave->batch, bulla_tee_receipt_key(enclave->base), BULLA_SIGNED_RECEIPTS);
		enclave->stats.signatures++;
	}
	while (enclave->sealed_first != NULL) {
		struct bulla_work *work = enclave->sealed_first;
		bulla_rc sent;

		enclave->sealed_first = work->next;
		sent = rc == BULLA_OK ? send(work) : rc;
		if (sent != BULLA_OK) {
			refuse(work, sent);
			continue;
		}
		enclave->open--;
		enclave->stats.steps++;
		bulla_work_free(work);
	}
	enclave->sealed_last = NULL;
	bulla_batch_clear(enclave->batch);
}
