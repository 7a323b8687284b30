#include "signed.h"

#include "flow/parents.h"

#include <stdlib.h>
#include <string.h>

#define SESSION_MS 2000 /* mostly at least */

uint8_t enclave_agents(uint32_t i)
{
	return (uint8_t)(i == 0 ? SIM_AGENTS_SHORT : SIM_AGENTS);
}

/* --- life --- */

static void attest_later(struct sim *sim, uint32_t i, int64_t delay_us);

void enclave_boot(struct sim *sim, uint32_t i)
{
	struct sim_enclave *enclave = &sim->enclaves[i];

	for (size_t j = 0; j < SIM_JOBS; j++)
		free(enclave->jobs[j].result);
	memset(enclave->jobs, 0, sizeof(enclave->jobs));
	enclave->seen_count = 0;
	enclave->kid = sim_digest((uint8_t)(16 + i));
	enclave->kid.b[1] = (uint8_t)enclave->boot;
	if (sim->is_signed && !signed_boot(i, enclave->life, &enclave->kid))
		return;
	enclave->life++;
	enclave->alive = true;
	enclave->boot++;
	enclave->session = enclave->attesting = 0;
	attest_later(sim, i, 1);
	net_connect(sim, CONN_ENCLAVE(i));
}

void enclave_crash(struct sim *sim, uint32_t i)
{
	struct sim_enclave *enclave = &sim->enclaves[i];

	if (!enclave->alive)
		return;
	sim_trace(sim, "enclave crashes", i, 0, 0);
	sim->crashes++;
	enclave->alive = false;
	enclave->boot++;
	net_cut(sim, CONN_ENCLAVE(i));
	sim_at(sim, 1000 + (int64_t)sim_rand(sim, 100000), (struct sim_event){.kind = EV_ENCLAVE_BOOT, .a = i});
}

static void say_instance(struct sim *sim, uint32_t i)
{
	struct sim_enclave *enclave = &sim->enclaves[i];
	uint8_t id[BULLA_SESSION_ID_BYTES], body[16384];
	bulla_handle agents[SIM_AGENTS];
	bulla_bytes list[SIM_AGENTS];
	struct bulla_msg_instance message = {.kid = bulla_bytes_digest(&enclave->kid),
		.session = BULLA_BYTES_ARRAY(id),
		.agents = bulla_pb_list_of(list, enclave_agents(i)),
		.record = BULLA_BYTES_LITERAL("record"),
		.window = 4,
		.reattest_ms = (uint64_t)enclave->lapses_ms,
		.manifest = bulla_bytes_digest(&sim->manifest_digest)};
	bulla_wr w = bulla_wr_fixed(body, sizeof(body));

	if (enclave->session == 0)
		return;
	if (sim->is_signed)
		message.record = signed_instance(i, enclave->life - 1);
	sim_session_id(enclave->session, id);
	for (uint8_t k = 0; k < SIM_AGENTS; k++) {
		agents[k] = sim_handle((uint8_t)('a' + k));
		list[k] = bulla_handle_view(&agents[k]);
	}
	bulla_msg_instance_encode(&message, &w);
	net_send(sim, CONN_ENCLAVE(i), SIDE_HOST, BULLA_OP_INSTANCE, BULLA_ENGINE_EVENT, 0, bulla_bytes_of(body, w.n));
}

void enclave_up(struct sim *sim, uint32_t i)
{
	say_instance(sim, i);
}

/* Only the newest of these events counts. */
static void attest_later(struct sim *sim, uint32_t i, int64_t delay_us)
{
	struct sim_enclave *enclave = &sim->enclaves[i];

	sim_at(sim, delay_us, (struct sim_event){
		.kind = EV_ENCLAVE_ATTEST, .a = i, .b = ++enclave->attest_seq, .gen = enclave->boot});
}

/* A session: asked for, durable, said. Renewed before it lapses; asked for again when the broker forgot. */
static void attest(struct sim *sim, uint32_t i)
{
	struct sim_enclave *enclave = &sim->enclaves[i];

	if (enclave->attesting != 0 && broker_has(sim, enclave->attest_lsn)) {
		enclave->session = enclave->attesting;
		enclave->attesting = 0;
		say_instance(sim, i);
		attest_later(sim, i, enclave->lasts_ms * 750);
		return;
	}
	if (enclave->attesting == 0 || !sim->broker.alive || enclave->attest_gen != sim->broker.gen) {
		enclave->attesting = 0;
		enclave->lasts_ms = sim_one_in(sim, 4) ? 400 + (int64_t)sim_rand(sim, 600) : SESSION_MS + (int64_t)sim_rand(sim, 40000);
		enclave->lapses_ms = sim_now_ms(sim) + enclave->lasts_ms;
		if (broker_attest(sim, i, sim->sessions + 1, enclave->lapses_ms, &enclave->attest_lsn)) {
			enclave->attesting = ++sim->sessions;
			enclave->attest_gen = sim->broker.gen;
		}
	}
	attest_later(sim, i, 20000);
}

/* --- a step --- */

static void refuse(struct sim *sim, uint32_t i, const struct sim_event *event, bulla_rc rc)
{
	uint8_t body[128];
	struct bulla_msg_error error = {.id = bulla_bytes_str(bulla_rc_id(rc))};
	bulla_wr w = bulla_wr_fixed(body, sizeof(body));

	sim_trace(sim, "enclave refuses", i, rc, 0);
	sim->refused_jobs++;
	bulla_msg_error_encode(&error, &w);
	net_send(sim, CONN_ENCLAVE(i), SIDE_HOST, event->op, BULLA_ENGINE_REPLY | BULLA_ENGINE_ERROR, event->stream,
		bulla_bytes_of(body, w.n));
}

/* The parents shown are those that the permit names: in its order. */
static bulla_rc read_parents(const struct sim *sim, const struct bulla_permit *permit,
	const struct bulla_msg_execute *execute, struct bulla_flow_parent *ret, size_t *ret_count)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(&execute->parents);
	bulla_bytes item;
	size_t n = 0;

	while (bulla_pb_list_next(&iter, &item)) {
		struct bulla_receipt_record receipt;
		struct bulla_start_record start;

		if ((n + 1) * sizeof(bulla_digest) > (sim->options.no_listed ? sizeof(bulla_digest) * SIM_STEPS : permit->parents.n))
			return BULLA_E_PARENT;
		if (bulla_start_record_decode(item, &start) == BULLA_OK)
			ret[n] = (struct bulla_flow_parent){.digest = start.digest};
		else if (bulla_receipt_record_decode(item, &receipt) == BULLA_OK)
			ret[n] = (struct bulla_flow_parent){.step = (uint16_t)receipt.receipt.position.slot.step,
				.outcome = receipt.receipt.outcome,
				.attempt = receipt.receipt.position.attempt,
				.digest = receipt.digest};
		else
			return BULLA_E_FORMAT;
		if (!sim->options.no_listed && !bulla_bytes_eq(bulla_bytes_digest(&ret[n].digest),
			bulla_bytes_of(permit->parents.p + n * sizeof(bulla_digest), sizeof(bulla_digest))))
			return BULLA_E_PARENT;
		n++;
	}
	*ret_count = n;
	return sim->options.no_listed || n * sizeof(bulla_digest) == permit->parents.n ? BULLA_OK : BULLA_E_PARENT;
}

static bool seen(const struct sim_enclave *enclave, const struct bulla_position *position)
{
	for (size_t k = 0; k < enclave->seen_count; k++)
		if (bulla_position_eq(&enclave->seen[k], position))
			return true;
	return false;
}

static struct sim_job *free_job(struct sim_enclave *enclave)
{
	for (size_t k = 0; k < SIM_JOBS; k++)
		if (!enclave->jobs[k].used)
			return &enclave->jobs[k];
	return NULL;
}

/* All checks of protocol.md section 9 before a step runs, as far as a model has them. */
static bulla_rc check(struct sim *sim, struct sim_enclave *enclave, const struct bulla_msg_execute *execute,
	struct sim_job *ret, struct bulla_flow_parent *ret_parents, size_t *ret_count)
{
	uint8_t session[BULLA_SESSION_ID_BYTES];
	struct bulla_permit permit;
	uint32_t plan;

	BULLA_TRY(bulla_permit_session(execute->permit, session));
	BULLA_TRY(bulla_permit_open(execute->permit, session, sim->world.mac, &permit));
	if (!sim->options.no_instance && !bulla_digest_eq(&permit.instance, &enclave->kid))
		return BULLA_E_PERMIT_INSTANCE;
	if (permit.expires_ms <= (uint64_t)sim_now_ms(sim))
		return BULLA_E_PERMIT_EXPIRED;
	if (!sim->options.no_once && seen(enclave, &permit.position))
		return BULLA_E_PERMIT_USED;
	for (plan = 0; plan < SIM_FLOWS; plan++)
		if (bulla_digest_eq(&sim->world.workflows[plan], &permit.position.slot.workflow))
			break;
	if (plan == SIM_FLOWS)
		return BULLA_E_PLAN;
	BULLA_TRY(read_parents(sim, &permit, execute, ret_parents, ret_count));
	if (!sim->options.no_parents)
		BULLA_TRY(bulla_flow_check_parents(sim->world.plans[plan], (uint16_t)permit.position.slot.step, 0, ret_parents,
			*ret_count));
	ret->position = permit.position;
	ret->plan = plan;
	ret->manifest = permit.manifest;
	bulla_copy(&ret->session, session, sizeof(ret->session));
	return bulla_parents_root(permit.parents, &ret->parents);
}

static void execute(struct sim *sim, uint32_t i, const struct sim_event *event)
{
	struct sim_enclave *enclave = &sim->enclaves[i];
	struct bulla_flow_parent parents[BULLA_MAX_PARENTS];
	struct sim_job *job = free_job(enclave), made = {0};
	struct bulla_msg_execute message;
	size_t count = 0;
	int64_t delay = 30 + (int64_t)sim_rand(sim, 300);
	bulla_rc rc = bulla_msg_execute_decode(bulla_bytes_of(event->body, event->n), &message);
	uint64_t at = sim->seen_execute_count++ % 64;

	free(sim->seen_executes[at]);
	sim->seen_executes[at] = sim_copy(bulla_bytes_of(event->body, event->n));
	sim->seen_execute_sizes[at] = event->n;
	if (rc == BULLA_OK)
		rc = job == NULL ? BULLA_E_BUSY : check(sim, enclave, &message, &made, parents, &count);
	if (rc == BULLA_OK && sim->is_signed)
		rc = signed_inputs(sim->world.plans[made.plan], made.position.slot.step, parents, count, &message.parents, &made.inputs);
	if (rc != BULLA_OK) {
		refuse(sim, i, event, rc);
		return;
	}
	truth_begins(sim, &made.position, &enclave->kid, parents, count);
	if (enclave->seen_count < 512 && !sim->options.forget_used)
		enclave->seen[enclave->seen_count++] = made.position;
	made.used = made.running = true;
	made.conn_gen = event->gen;
	made.stream = event->stream;
	*job = made;
	if (sim_one_in(sim, 20))
		delay += (int64_t)sim_rand(sim, 20000);
	if (!sim->faults_over && sim_one_in(sim, 100))
		delay += (int64_t)sim_rand(sim, 20000000); /* longer than anybody waits */
	sim_at(sim, delay, (struct sim_event){
		.kind = EV_ENCLAVE_DONE, .a = i, .b = (uint32_t)(job - enclave->jobs), .gen = enclave->boot});
}

/* The agent's answer: mostly an output, sometimes a failure. */
static uint8_t outcome_of(struct sim *sim)
{
	static const uint8_t failures[] = {BULLA_OUTCOME_RETRY, BULLA_OUTCOME_CRASH, BULLA_OUTCOME_TIMEOUT};

	return sim_one_in(sim, 12) ? failures[sim_rand(sim, 3)] : BULLA_OUTCOME_OK;
}

/* What the model seals: bytes without meaning. */
static void dummy_outputs(struct sim *sim, uint32_t parts, struct signed_outputs *ret)
{
	ret->count = parts;
	ret->object_count = 0;
	memset(ret->memory, (int)sim_rand(sim, 256), 100);
	for (uint32_t k = 0; k < parts; k++) {
		ret->pairs[k].envelope = sim_digest((uint8_t)sim_rand(sim, 256));
		ret->pairs[k].commitment = ret->pairs[k].envelope;
		ret->envelopes[k] = bulla_bytes_of(ret->memory, 100);
	}
}

static void remember_commit(struct sim *sim, const struct sim_job *job, bulla_bytes mac0)
{
	uint64_t at = sim->seen_commit_count % 64;

	if (mac0.n > sizeof(sim->seen_commits[at].bytes))
		return;
	sim->seen_commit_count++;
	sim->seen_commits[at].run = job->position.slot.run;
	sim->seen_commits[at].n = mac0.n;
	bulla_copy(sim->seen_commits[at].bytes, mac0.p, mac0.n);
}

/* The receipt record, and its digest. */
static void make_record(struct sim *sim, uint32_t i, struct sim_job *job, uint8_t outcome, struct signed_outputs *outputs,
	struct bulla_buf *ret)
{
	const struct bulla_flow *flow = sim->world.plans[job->plan];
	uint8_t payload[BULLA_RECEIPT_BYTES], pairs[4 * BULLA_PAIR_BYTES];
	struct bulla_receipt receipt = {.position = job->position, .manifest = job->manifest,
		.executor = BULLA_EXECUTOR_AGENT, .reuse = BULLA_REUSE_FRESH, .outcome = outcome, .kid = sim->enclaves[i].kid,
		.parents = job->parents, .inputs = job->inputs, .time_ms = (uint64_t)sim_now_ms(sim)};
	struct bulla_auth auth = {.signature = {SIM_SIGNED}};
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload)), r = bulla_wr_buf(ret);

	bulla_pairs_root(NULL, 0, &receipt.capabilities);
	if (!sim->is_signed) {
		receipt.inputs = receipt.capabilities;
		dummy_outputs(sim, BULLA_OUTCOME_IS_FAILURE(outcome) ? 1 : flow->steps[job->position.slot.step].parts.count, outputs);
	} else {
		signed_outputs_of(i, sim->enclaves[i].life - 1, flow, &receipt, outputs);
	}
	bulla_pairs_root(outputs->pairs, outputs->count, &receipt.outputs);
	signed_pairs(outputs, pairs);
	bulla_receipt_write(&w, &receipt);
	bulla_receipt_digest(&receipt, &job->receipt);
	if (sim->is_signed)
		signed_receipt(i, sim->enclaves[i].life - 1, bulla_bytes_of(payload, w.n), &auth);
	bulla_receipt_record_write(&r, bulla_bytes_of(payload, w.n), &auth,
		bulla_bytes_of(pairs, outputs->count * BULLA_PAIR_BYTES), (bulla_bytes){0});
}

static void make_result(struct sim *sim, uint32_t i, struct sim_job *job)
{
	static struct signed_outputs outputs;
	static uint8_t body[32768];
	struct bulla_commit commit = {.position = job->position, .outcome = outcome_of(sim)};
	struct bulla_msg_executed message = {.outcome = commit.outcome, .took_us = 5};
	BULLA_AUTO_BUF record = {.max = 4096}, mac0 = {.max = 4096};
	bulla_wr b = bulla_wr_fixed(body, sizeof(body));

	make_record(sim, i, job, commit.outcome, &outputs, &record);
	commit.receipt = job->receipt;
	sim_commit(&sim->world, &commit, job->session, true, &mac0);
	message.receipt = bulla_buf_view(&record);
	message.commit = bulla_buf_view(&mac0);
	message.outputs = bulla_pb_list_of(outputs.envelopes, outputs.count);
	message.objects = bulla_pb_list_of(outputs.objects, outputs.object_count);
	bulla_msg_executed_encode(&message, &b);
	if (b.rc != BULLA_OK)
		abort();
	remember_commit(sim, job, bulla_buf_view(&mac0));
	truth_makes(sim, &job->position, &commit.receipt);
	mischief_sees(sim, bulla_buf_view(&record), &commit.receipt);
	mischief_commit(sim, &job->position.slot.run, bulla_buf_view(&mac0));
	job->result = sim_copy(bulla_bytes_of(body, b.n));
	job->n = b.n;
}

static void done(struct sim *sim, uint32_t i, struct sim_job *job)
{
	make_result(sim, i, job);
	job->running = false;
	if (sim->conns[CONN_ENCLAVE(i)].gen == job->conn_gen)
		net_send(sim, CONN_ENCLAVE(i), SIDE_HOST, BULLA_OP_EXECUTE, BULLA_ENGINE_REPLY, job->stream,
			bulla_bytes_of(job->result, job->n));
}

static void stored(struct sim_enclave *enclave, const struct sim_event *event)
{
	struct bulla_msg_stored message;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	if (bulla_msg_stored_decode(bulla_bytes_of(event->body, event->n), &message) != BULLA_OK)
		return;
	iter = bulla_pb_list_begin(&message.receipts);
	while (bulla_pb_list_next(&iter, &item))
		for (size_t k = 0; k < SIM_JOBS; k++) {
			struct sim_job *job = &enclave->jobs[k];

			if (job->result == NULL || !bulla_bytes_eq(bulla_bytes_digest(&job->receipt), item))
				continue;
			free(job->result);
			memset(job, 0, sizeof(*job));
		}
}

/* The outbox again, then the answer. */
static void resume(struct sim *sim, uint32_t i, const struct sim_event *event)
{
	struct sim_enclave *enclave = &sim->enclaves[i];

	for (size_t k = 0; k < SIM_JOBS; k++)
		if (enclave->jobs[k].result != NULL)
			net_send(sim, CONN_ENCLAVE(i), SIDE_HOST, BULLA_OP_EXECUTE, BULLA_ENGINE_EVENT, 0,
				bulla_bytes_of(enclave->jobs[k].result, enclave->jobs[k].n));
	net_send(sim, CONN_ENCLAVE(i), SIDE_HOST, BULLA_OP_RESUME, BULLA_ENGINE_REPLY, event->stream, (bulla_bytes){0});
}

void enclave_deliver(struct sim *sim, uint32_t i, const struct sim_event *event)
{
	if (event->op == BULLA_OP_EXECUTE)
		execute(sim, i, event);
	else if (event->op == BULLA_OP_STORED)
		stored(&sim->enclaves[i], event);
	else if (event->op == BULLA_OP_RESUME)
		resume(sim, i, event);
}

void enclave_event(struct sim *sim, struct sim_event *event)
{
	struct sim_enclave *enclave = &sim->enclaves[event->a];

	if (event->kind == EV_ENCLAVE_BOOT) {
		if (!enclave->alive)
			enclave_boot(sim, event->a);
		return;
	}
	if (!enclave->alive || event->gen != enclave->boot)
		return;
	if (event->kind == EV_ENCLAVE_ATTEST && event->b == enclave->attest_seq)
		attest(sim, event->a);
	else if (event->kind == EV_ENCLAVE_DONE && enclave->jobs[event->b].running)
		done(sim, event->a, &enclave->jobs[event->b]);
}
