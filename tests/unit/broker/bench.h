#pragma once
/* A ledger on a work bench: one linear flow (a, b), one with branches, sessions 1..3, and a short way to say things. */
#include "test.h"

#include "broker/ledger.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "flow/flows.h"
#include "wire/messages.h"
#include "world.h"

#include <string.h>

/* Digest of the image of session `letter`: 48 times that letter. */
static inline bulla_digest sim_image(uint8_t letter)
{
	uint8_t bytes[48];
	bulla_digest ret;

	memset(bytes, letter, sizeof(bytes));
	bulla_sha256(BULLA_BYTES_ARRAY(bytes), &ret);
	return ret;
}

#define BENCH_NOW INT64_C(1800000000000)
#define LINEAR 0
#define BRANCHES 1
/* branches: a = 1 (agent), b = 2, c = 3 (party), d = 4 (sleep), e = 5 */

struct bench {
	struct sim_world world;
	struct flows linear, branches;
	struct bulla_ledger *ledger;
	bulla_run_id run;
	int64_t now;
	uint32_t plan;
	/* the last answer */
	struct bulla_msg_advanced_run answer;
	struct bulla_permit permit; /* when permit_rc is OK */
	struct bulla_buf reply, log; /* log: framed records of all turns so far */
	struct bulla_buf sent;       /* body of the last ADVANCE */
	uint32_t log_count;
	uint32_t record_page; /* of ledgers made from now on */
};

struct say {
	bool start, bad_start;
	uint8_t input, epoch;              /* of the start record; 0: 1 */
	int64_t made_ms;                   /* 0: now */
	uint32_t permit, attempt, session; /* step, ... ; 0: no permit asked; attempt 0: 1 */
	const bulla_digest *parents;
	size_t parent_count;
	uint32_t given_up, given_up_attempt;
	uint32_t clock;
	uint32_t stored;
	bulla_bytes commit, order, escrow;
};

static inline void bench_session(struct bench *bench, uint32_t number, uint8_t letter, uint8_t epoch, const char *agents)
{
	bulla_handle handles[8];
	struct bulla_ledger_session session = {
		.instance = sim_instance(letter), .manifest = sim_digest(epoch), .lapses_ms = BENCH_NOW + 3600000};
	size_t n = 0;

	session.image = sim_image(letter);
	session.epoch = epoch;
	for (; agents[n] != 0; n++)
		handles[n] = sim_handle((uint8_t)agents[n]);
	session.agents = bulla_bytes_of(handles, n * sizeof(bulla_handle));
	sim_session_id(number, session.id);
	assert_ok(bulla_ledger_session_add(bench->ledger, &session));
}

/* An approver's order: against these bytes. */
static inline bulla_rc bench_revoke(struct bench *bench, uint8_t kind, bulla_bytes subject)
{
	struct bulla_order order = {.kind = kind, .subject = subject, .time_ms = (uint64_t)bench->now};
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_BUF sign1 = {.max = BULLA_ORDER_MAX};

	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	assert_ok(bulla_order_make(&order, key, &sign1));
	return bulla_ledger_revoke(bench->ledger, bulla_buf_view(&sign1), bench->now);
}

static inline void bench_new_ledger(struct bench *bench)
{
	struct bulla_ledger_options options = {.world = sim_world_table(&bench->world), .residents = 256, .sessions = 16,
		.record_page = bench->record_page};

	assert_ok(bulla_ledger_new(&options, &bench->ledger));
}

static inline void bench_open(struct bench *bench)
{
	uint8_t random[10] = {1};

	*bench = (struct bench){.now = BENCH_NOW, .plan = LINEAR};
	sim_world_init(&bench->world);
	sim_world_add(&bench->world, flows_linear(&bench->linear, 2));
	sim_world_add(&bench->world, flows_branches(&bench->branches));
	bulla_buf_init(&bench->reply, 1 << 20);
	bulla_buf_init(&bench->log, 1 << 20);
	bulla_buf_init(&bench->sent, 1 << 16);
	bench->run = bulla_run_id_make((uint64_t)BENCH_NOW, random);
	bench_new_ledger(bench);
	bench_session(bench, 1, '1', 1, "abde");
	bench_session(bench, 2, '2', 1, "abde");
	bench_session(bench, 3, '3', 1, "x");
}

static inline void bench_close(struct bench *bench)
{
	bulla_ledger_free(bench->ledger);
	sim_world_done(&bench->world);
	bulla_buf_done(&bench->reply);
	bulla_buf_done(&bench->log);
	bulla_buf_done(&bench->sent);
}

/* Takes the turn's records into the log, as the journal would. */
static inline void bench_turn(struct bench *bench)
{
	bulla_bytes records;
	uint32_t count;
	uint64_t lsn;
	bulla_digest chain = {{7}};

	bulla_ledger_turn(bench->ledger, &records, &count, &lsn);
	assert_ok(bulla_buf_append(&bench->log, records));
	bench->log_count += count;
	assert_int_equal(lsn, bench->log_count + 1);
	bulla_ledger_durable(bench->ledger, lsn, &chain);
}

static inline void bench_slot_ref(uint32_t step, uint32_t attempt, struct bulla_buf *ret)
{
	struct bulla_msg_slot_ref ref = {.step = step, .attempt = attempt};
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	bulla_msg_slot_ref_encode(&ref, &w);
	assert_ok(bulla_wr_end(&w, &ignored));
}

static inline void bench_ask(const struct say *say, struct bulla_buf *ret)
{
	uint8_t id[BULLA_SESSION_ID_BYTES];
	bulla_bytes parents[8], ignored;
	struct bulla_msg_permit_ask ask = {.step = say->permit, .attempt = say->attempt != 0 ? say->attempt : 1};
	bulla_wr w = bulla_wr_buf(ret);

	sim_session_id(say->session, id);
	for (size_t i = 0; i < say->parent_count; i++)
		parents[i] = bulla_bytes_digest(&say->parents[i]);
	ask.session = BULLA_BYTES_ARRAY(id);
	ask.parents = bulla_pb_list_of(parents, say->parent_count);
	bulla_msg_permit_ask_encode(&ask, &w);
	assert_ok(bulla_wr_end(&w, &ignored));
}

/* One ADVANCE of one run; the answer is in bench->answer. */
static inline void bench_say(struct bench *bench, struct say say)
{
	BULLA_AUTO_BUF start = {.max = 4096}, ask = {.max = 4096}, given_up = {.max = 64}, clock = {.max = 64};
	BULLA_AUTO_BUF stored = {.max = 64}, run = {.max = 1 << 16}, message = {.max = 1 << 16};
	struct bulla_msg_advance_run advance_run = {.run_id = bulla_run_id_view(&bench->run),
		.commit = say.commit, .order = say.order, .escrow = say.escrow, .tag = 99};
	bulla_bytes up_item, clock_item, stored_item, run_item, item;
	struct bulla_msg_advance advance;
	struct bulla_msg_advanced advanced;
	struct bulla_pb_iter iter;
	bulla_wr w;

	if (say.start)
		sim_start_record(&bench->run, bench->plan, say.epoch != 0 ? say.epoch : 1,
			say.made_ms != 0 ? say.made_ms : bench->now, say.input, !say.bad_start, &start);
	if (say.permit != 0)
		bench_ask(&say, &ask);
	if (say.given_up != 0)
		bench_slot_ref(say.given_up, say.given_up_attempt, &given_up);
	if (say.clock != 0)
		bench_slot_ref(say.clock, 0, &clock);
	if (say.stored != 0)
		bench_slot_ref(say.stored, 0, &stored);
	up_item = bulla_buf_view(&given_up);
	clock_item = bulla_buf_view(&clock);
	stored_item = bulla_buf_view(&stored);
	advance_run.start = bulla_buf_view(&start);
	advance_run.permit = bulla_buf_view(&ask);
	advance_run.given_up = bulla_pb_list_of(&up_item, say.given_up != 0);
	advance_run.clock = bulla_pb_list_of(&clock_item, say.clock != 0);
	advance_run.stored = bulla_pb_list_of(&stored_item, say.stored != 0);
	w = bulla_wr_buf(&run);
	bulla_msg_advance_run_encode(&advance_run, &w);
	assert_ok(bulla_wr_end(&w, &item));
	run_item = bulla_buf_view(&run);
	advance.runs = bulla_pb_list_of(&run_item, 1);
	w = bulla_wr_buf(&message);
	bulla_msg_advance_encode(&advance, &w);
	assert_ok(bulla_wr_end(&w, &item));
	bulla_buf_clear(&bench->sent);
	assert_ok(bulla_buf_append(&bench->sent, bulla_buf_view(&message)));
	bulla_buf_clear(&bench->reply);
	assert_ok(bulla_ledger_advance(bench->ledger, bulla_buf_view(&message), bench->now, true, &bench->reply));
	assert_ok(bulla_msg_advanced_decode(bulla_buf_view(&bench->reply), &advanced));
	assert_int_equal(advanced.time_ms, bench->now);
	iter = bulla_pb_list_begin(&advanced.runs);
	assert_true(bulla_pb_list_next(&iter, &item));
	assert_ok(bulla_msg_advanced_run_decode(item, &bench->answer));
	assert_int_equal(bench->answer.tag, 99);
	if (bench->answer.permit.n > 0) {
		uint8_t id[BULLA_SESSION_ID_BYTES];

		sim_session_id(say.session, id);
		assert_ok(bulla_permit_open(bench->answer.permit, id, bench->world.mac, &bench->permit));
	}
	bench_turn(bench);
}

static inline bulla_rc bench_start(struct bench *bench, struct say say)
{
	say.start = true;
	bench_say(bench, say);
	return (bulla_rc)bench->answer.start_rc;
}

static inline bulla_rc bench_permit(struct bench *bench, struct say say)
{
	bench_say(bench, say);
	return (bulla_rc)bench->answer.permit_rc;
}

static inline struct bulla_commit bench_commit_of(const struct bench *bench, uint32_t step, uint32_t attempt,
	uint8_t outcome, uint8_t receipt)
{
	return (struct bulla_commit){.position = sim_position(&bench->run, bench->plan, step, attempt),
		.receipt = sim_digest(receipt), .outcome = outcome};
}

static inline bulla_rc bench_commit(struct bench *bench, struct bulla_commit commit, uint32_t session, bool good)
{
	BULLA_AUTO_BUF mac0 = {.max = 4096};

	sim_commit(&bench->world, &commit, session, good, &mac0);
	bench_say(bench, (struct say){.commit = bulla_buf_view(&mac0)});
	return (bulla_rc)bench->answer.commit_rc;
}

/* The start record's digest: what permits of first steps name. */
static inline bulla_digest bench_start_digest(const struct bench *bench, uint8_t input)
{
	BULLA_AUTO_BUF start = {.max = 4096};
	struct bulla_start_record record;

	sim_start_record(&bench->run, bench->plan, 1, BENCH_NOW, input, true, &start);
	assert_ok(bulla_start_record_decode(bulla_buf_view(&start), &record));
	return record.digest;
}

/* Starts the run and has step 1 permitted to session 1. */
static inline void bench_first_step(struct bench *bench)
{
	bulla_digest parent;

	assert_ok(bench_start(bench, (struct say){0}));
	parent = bench_start_digest(bench, 0);
	assert_ok(bench_permit(bench, (struct say){.permit = 1, .session = 1, .parents = &parent, .parent_count = 1}));
}
