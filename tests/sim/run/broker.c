#include "signed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bulla_rc replay(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct sim *sim = arg;

	truth_record(sim, record, true);
	return bulla_ledger_replay_at(sim->broker.ledger, record, at);
}

static bulla_rc read_back(void *ctx, struct bulla_journal_place from, struct bulla_journal_place to, bulla_journal_each each,
	void *arg)
{
	const struct sim_world *world = ctx;

	return bulla_journal_scan(world->disk, from, to, each, arg);
}

/* A broker that is content with some of the plan's parents: the enclave's own check of them is all that is left. */
static bulla_rc short_permit(void *ctx, const uint8_t session[BULLA_SESSION_ID_BYTES], struct bulla_permit *permit,
	struct bulla_buf *ret)
{
	const struct bulla_position *p = &permit->position;

	if (permit->parents.n > sizeof(bulla_digest) && (p->slot.run.b[8] + p->slot.step + p->attempt) % 2 == 0)
		permit->parents.n -= sizeof(bulla_digest);
	return sim_world_table(ctx).make_permit(ctx, session, permit, ret);
}

void broker_start(struct sim *sim)
{
	struct sim_broker *broker = &sim->broker;
	struct bulla_ledger_options options = {.world = sim_world_table(&sim->world), .residents = 64, .sessions = 64,
		.closed_kept = 1 + (uint32_t)sim_rand(sim, 3), .record_page = 1 + (uint32_t)sim_rand(sim, 8)};
	bool lost;

	broker->alive = true;
	broker->gen++;
	broker->tokens_due = false;
	sim->world.disk = &broker->w.disk.table;
	options.world.read = read_back;
	if (sim->is_signed)
		signed_world(&options.world);
	if (sim->short_permits)
		options.world.make_permit = short_permit;
	if (bulla_ledger_new(&options, &broker->ledger) != BULLA_OK)
		sim_fail(sim, "the ledger does not start", 0, 0);
	truth_reset(sim);
	decay(sim, &broker->w, &lost);
	if (lost)
		fault_rolled_back(sim);
	if (!writer_open(sim, &broker->w, 0, replay, sim)) {
		broker_crash(sim, true);
		return;
	}
	bulla_ledger_durable(broker->ledger, broker->w.next_lsn, &broker->w.writer.end.chain);
	if (broker->w.next_lsn <= sim->ledger_count)
		sim_fail(sim, "what the ledger had acknowledged is gone", 0, 0);
	sim_trace(sim, "broker starts", broker->w.next_lsn, broker->gen, 0);
	sim_at(sim, 1, (struct sim_event){.kind = EV_BROKER_FILL, .gen = broker->gen});
	net_connect(sim, CONN_BROKER);
	net_connect(sim, CONN_INTRUDER);
}

void broker_crash(struct sim *sim, bool power)
{
	struct sim_broker *broker = &sim->broker;

	if (!broker->alive)
		return;
	sim_trace(sim, "broker crashes", power, 0, 0);
	broker->alive = false;
	broker->gen++;
	sim->crashes++;
	net_cut(sim, CONN_BROKER);
	net_cut(sim, CONN_INTRUDER);
	for (; broker->reply_count > 0; broker->reply_count--) {
		free(broker->replies[broker->reply_head].p);
		broker->reply_head = (broker->reply_head + 1) % 512;
	}
	bulla_ledger_free(broker->ledger);
	broker->ledger = NULL;
	writer_close(&broker->w);
	if (power)
		sim_disk_crash(&broker->w.disk);
	else
		sim_disk_restart(&broker->w.disk);
	sim_at(sim, 1000 + (int64_t)sim_rand(sim, 200000), (struct sim_event){.kind = EV_BROKER_START});
}

/* --- a turn: check, change memory, one batch, sync, reply --- */

static void send_replies(struct sim *sim, uint64_t durable)
{
	struct sim_broker *broker = &sim->broker;

	while (broker->reply_count > 0 && broker->replies[broker->reply_head].lsn <= durable) {
		struct sim_reply *reply = &broker->replies[broker->reply_head];

		if (reply->op == BULLA_OP_ADVANCE && (reply->flags & BULLA_ENGINE_ERROR) == 0)
			mischief_permits(sim, bulla_bytes_of(reply->p, reply->n));
		if (sim->conns[reply->conn].gen == reply->conn_gen)
			net_send(sim, reply->conn, SIDE_HOST, reply->op, reply->flags, reply->stream, bulla_bytes_of(reply->p, reply->n));
		free(reply->p);
		broker->reply_head = (broker->reply_head + 1) % 512;
		broker->reply_count--;
	}
}

/* Takes the turn's records to the journal; *ret_lsn: what must be durable before anything of it is said. */
static void end_turn(struct sim *sim, uint64_t *ret_lsn)
{
	struct sim_broker *broker = &sim->broker;
	bulla_bytes records;
	uint32_t count;

	bulla_ledger_turn(broker->ledger, &records, &count, ret_lsn);
	if (count == 0)
		return;
	writer_submit(&broker->w, records, count);
	sim_at(sim, 1 + (int64_t)sim_rand(sim, 10), (struct sim_event){.kind = EV_BROKER_WRITE, .gen = broker->gen});
}

static void reply_later(struct sim *sim, uint32_t conn, const struct sim_event *event, uint16_t flags, bulla_bytes body,
	uint64_t lsn)
{
	struct sim_broker *broker = &sim->broker;
	struct sim_reply *reply = &broker->replies[(broker->reply_head + broker->reply_count) % 512];

	if (broker->reply_count == 512) {
		sim_fail(sim, "replies pile up", 0, 0);
		return;
	}
	broker->reply_count++;
	*reply = (struct sim_reply){.lsn = lsn, .conn = conn, .conn_gen = event->gen, .stream = event->stream, .op = event->op,
		.flags = (uint16_t)(BULLA_ENGINE_REPLY | flags), .p = sim_copy(body), .n = body.n};
	send_replies(sim, sim->options.early_answer ? UINT64_MAX : broker->w.writer.end.lsn - (broker->w.busy ? broker->w.done.count : 0));
}

static void tokens_soon(struct sim *sim)
{
	if (sim->broker.tokens_due)
		return;
	sim->broker.tokens_due = true;
	sim_at(sim, 20 + (int64_t)sim_rand(sim, 300), (struct sim_event){.kind = EV_BROKER_TOKENS, .gen = sim->broker.gen});
}

static void trace_advance(struct sim *sim, bulla_bytes body)
{
	struct bulla_msg_advance message;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	if (!sim->options.trace || bulla_msg_advance_decode(body, &message) != BULLA_OK)
		return;
	for (iter = bulla_pb_list_begin(&message.runs); bulla_pb_list_next(&iter, &item);) {
		struct bulla_msg_advance_run run;
		struct bulla_msg_permit_ask ask = {0};
		struct bulla_msg_slot_ref lost = {0}, clock = {0};
		bulla_run_id id;

		if (bulla_msg_advance_run_decode(item, &run) != BULLA_OK ||
			bulla_bytes_copy_exact(run.run_id, sizeof(id.b), id.b) != BULLA_OK)
			continue;
		if (run.permit.n > 0 && bulla_msg_permit_ask_decode(run.permit, &ask) != BULLA_OK)
			continue;
		if (run.given_up.count > 0 && bulla_msg_slot_ref_decode(bulla_pb_list_at(&run.given_up, 0), &lost) != BULLA_OK)
			continue;
		if (run.clock.count > 0 && bulla_msg_slot_ref_decode(bulla_pb_list_at(&run.clock, 0), &clock) != BULLA_OK)
			continue;
		printf("           ask %u: start %zu, commit %zu, permit %u/%u, given up %u/%u, clock %u/%u\n", truth_find(sim, &id),
			run.start.n, run.commit.n, (unsigned)ask.step, (unsigned)ask.attempt, (unsigned)lost.step,
			(unsigned)lost.attempt, (unsigned)clock.step, (unsigned)clock.attempt);
	}
}

static void trace_advanced(struct sim *sim, bulla_bytes body)
{
	struct bulla_msg_advanced_run run;
	struct bulla_msg_advanced message;
	struct bulla_pb_iter iter;
	bulla_bytes item;
	bulla_run_id id;

	if (!sim->options.trace || bulla_msg_advanced_decode(body, &message) != BULLA_OK)
		return;
	for (iter = bulla_pb_list_begin(&message.runs); bulla_pb_list_next(&iter, &item);) {
		if (bulla_msg_advanced_run_decode(item, &run) != BULLA_OK ||
			bulla_bytes_copy_exact(run.run_id, sizeof(id.b), id.b) != BULLA_OK)
			continue;
		printf("           run %u step %u: start %s, commit %s, permit %s (%zu), clock %zu\n", truth_find(sim, &id),
			(unsigned)(run.tag & 0xffff), bulla_rc_id((bulla_rc)run.start_rc), bulla_rc_id((bulla_rc)run.commit_rc),
			bulla_rc_id((bulla_rc)run.permit_rc), run.permit.n, run.clock.count);
	}
}

void broker_deliver(struct sim *sim, uint32_t conn, const struct sim_event *event)
{
	bulla_bytes body = bulla_bytes_of(event->body, event->n);
	BULLA_AUTO_BUF reply = {.max = 4 << 20};
	bulla_rc rc = BULLA_OK;
	uint64_t lsn;

	if (event->op == BULLA_OP_ADVANCE)
		rc = bulla_ledger_advance(sim->broker.ledger, body, sim_now_ms(sim), !sim->broker.w.full, &reply);
	else if (event->op == BULLA_OP_SYNC)
		rc = bulla_ledger_sync(sim->broker.ledger, body, sim_now_ms(sim), &reply);
	else if (event->op == BULLA_OP_RECORD)
		rc = bulla_ledger_record(sim->broker.ledger, body, sim_now_ms(sim), &reply);
	else if (event->op == BULLA_OP_BROKER_KEYS && sim->is_signed)
		signed_keys(&reply);
	else if (event->op != BULLA_OP_BROKER_KEYS)
		return;
	/* runs that ended are read back: from a disk that just died, the process is about to follow */
	if (rc != BULLA_OK && conn == CONN_BROKER && !sim->broker.w.disk.dead &&
		!(event->op == BULLA_OP_RECORD && sim->lossy_ledger)) /* an old one was put back between two pages */
		sim_fail(sim, "the ledger refuses a frame of the host", (uint32_t)rc, event->op);
	if (event->op == BULLA_OP_ADVANCE)
		trace_advance(sim, body);
	if (event->op == BULLA_OP_ADVANCE)
		trace_advanced(sim, bulla_buf_view(&reply));
	end_turn(sim, &lsn);
	reply_later(sim, conn, event, rc == BULLA_OK ? 0 : BULLA_ENGINE_ERROR, bulla_buf_view(&reply), lsn);
	if (event->op == BULLA_OP_SYNC || event->op == BULLA_OP_ADVANCE)
		tokens_soon(sim);
	if (event->op == BULLA_OP_ADVANCE && conn == CONN_BROKER) {
		uint64_t at = sim->seen_count++ % 64;

		free(sim->seen_frames[at]);
		sim->seen_frames[at] = sim_copy(body);
		sim->seen_sizes[at] = body.n;
	}
}

static void write(struct sim *sim)
{
	struct sim_writer *w = &sim->broker.w;
	int64_t delay = 80 + (int64_t)sim_rand(sim, 80);
	bool began = false;

	if (w->busy || (w->queue.count + w->flying.count == 0 && !writer_confirms(sim, w)))
		return;
	if (!writer_begin(sim, w, &began)) {
		broker_crash(sim, true);
		return;
	}
	if (!sim->faults_over && sim_one_in(sim, 50))
		delay += (int64_t)sim_rand(sim, 100000);
	if (began)
		fault_ambush(sim, w, 1, delay);
	sim_at(sim, began ? delay : 1000, (struct sim_event){
		.kind = began ? EV_BROKER_WRITTEN : EV_BROKER_WRITE, .gen = sim->broker.gen});
	sim_at(sim, 10, (struct sim_event){.kind = EV_BROKER_FILL, .gen = sim->broker.gen});
}

/* The batch is durable: the ledger's second hand reads it, then the replies go out. */
static void written(struct sim *sim)
{
	struct sim_broker *broker = &sim->broker;
	struct sim_writer *w = &broker->w;

	writer_end(sim, w);
	if (w->ambush_after && w->ambush == 1) { /* between sync and reply */
		w->ambush = 0;
		broker_crash(sim, sim_one_in(sim, 2));
		return;
	}
	while (w->flying.count > 0) {
		struct sim_parcel *parcel = &w->flying.items[w->flying.head];
		bulla_rd r = bulla_rd_of(bulla_bytes_of(parcel->p, parcel->n));
		uint64_t lsn = parcel->lsn;

		while (bulla_rd_left(&r) > 0) {
			struct bulla_journal_record record;

			if (bulla_journal_record_next(&r, &record) != BULLA_OK)
				abort();
			record.lsn = lsn++;
			truth_record(sim, &record, false);
		}
		w->backlog -= parcel->n;
		free(parcel->p);
		w->flying.head = (w->flying.head + 1) % 512;
		w->flying.count--;
	}
	if (w->done.count > 0 && bulla_ledger_placed(broker->ledger, w->done.lsn, w->done.count, w->done.at) != BULLA_OK)
		sim_fail(sim, "the ledger does not take places", 0, 0);
	bulla_ledger_durable(broker->ledger, w->done.lsn + w->done.count, &w->done.chain);
	send_replies(sim, w->done.lsn + w->done.count);
	tokens_soon(sim);
	for (uint32_t i = 0; i < SIM_ENCLAVES; i++)
		if (sim->enclaves[i].attesting != 0)
			sim_at(sim, 30, (struct sim_event){.kind = EV_ENCLAVE_ATTEST, .a = i,
				.b = sim->enclaves[i].attest_seq, .gen = sim->enclaves[i].boot});
	sim_at(sim, w->queue.count > 0 ? 1 : WRITER_CONFIRM_US, (struct sim_event){.kind = EV_BROKER_WRITE, .gen = broker->gen});
}

#define TOKENS 64

/* The token batch, after the replies. */
static void tokens(struct sim *sim)
{
	struct bulla_ledger_commit commits[TOKENS];
	uint8_t records[TOKENS][512], items[TOKENS][768], body[TOKENS * 800];
	bulla_bytes list[TOKENS];
	size_t count = bulla_ledger_tokens(sim->broker.ledger, commits, TOKENS);
	struct bulla_msg_tokens message;
	bulla_wr w;

	sim->broker.tokens_due = false;
	for (size_t i = 0; i < count; i++) {
		struct bulla_auth auth = {.signature = {SIM_SIGNED}};
		struct bulla_msg_token_for item = {.run_id = bulla_run_id_view(&commits[i].token.slot.run),
			.receipt = bulla_bytes_digest(&commits[i].token.receipt)};

		if (sim->is_signed)
			signed_token(&commits[i].token, &auth);
		w = bulla_wr_fixed(records[i], sizeof(records[i]));
		bulla_token_record_write(&w, &commits[i].token, &auth);
		item.token = bulla_bytes_of(records[i], w.n);
		w = bulla_wr_fixed(items[i], sizeof(items[i]));
		bulla_msg_token_for_encode(&item, &w);
		list[i] = bulla_bytes_of(items[i], w.n);
	}
	if (count == 0)
		return;
	message.tokens = bulla_pb_list_of(list, count);
	w = bulla_wr_fixed(body, sizeof(body));
	bulla_msg_tokens_encode(&message, &w);
	if (w.rc != BULLA_OK)
		abort();
	net_send(sim, CONN_BROKER, SIDE_HOST, BULLA_OP_TOKENS, BULLA_ENGINE_EVENT, 0, bulla_bytes_of(body, w.n));
	if (count == TOKENS)
		tokens_soon(sim);
}

static void fill(struct sim *sim)
{
	bool more = false;

	if (!writer_fill(&sim->broker.w, &more))
		broker_crash(sim, true);
	else if (more || sim->broker.w.full)
		sim_at(sim, more ? 20 : 100000, (struct sim_event){.kind = EV_BROKER_FILL, .gen = sim->broker.gen});
}

void broker_event(struct sim *sim, struct sim_event *event)
{
	if (!sim->broker.alive || event->gen != sim->broker.gen)
		return;
	if (event->kind == EV_BROKER_WRITE)
		write(sim);
	else if (event->kind == EV_BROKER_WRITTEN)
		written(sim);
	else if (event->kind == EV_BROKER_TOKENS)
		tokens(sim);
	else
		fill(sim);
}

/* --- sessions: what the enclave's TLS would carry --- */

bool broker_attest(struct sim *sim, uint32_t enclave, uint32_t session, int64_t lapses_ms, uint64_t *ret_lsn)
{
	bulla_handle agents[SIM_AGENTS];
	struct bulla_ledger_session added = {.instance = sim->enclaves[enclave].kid, .manifest = sim->manifest_digest,
		.agents = bulla_bytes_of(agents, enclave_agents(enclave) * sizeof(agents[0])), .lapses_ms = lapses_ms};

	if (!sim->broker.alive)
		return false;
	for (uint8_t i = 0; i < SIM_AGENTS; i++)
		agents[i] = sim_handle((uint8_t)('a' + i));
	sim_session_id(session, added.id);
	if (bulla_ledger_session_add(sim->broker.ledger, &added) != BULLA_OK) {
		sim_fail(sim, "a session is refused", enclave, session);
		return false;
	}
	end_turn(sim, ret_lsn);
	return true;
}

bool broker_has(const struct sim *sim, uint64_t lsn)
{
	return sim->ledger_count + 1 >= lsn;
}
