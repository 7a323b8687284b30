#include "bench.h"

#include "base/limits.h"
#include "receipt/merkle.h"

static struct bulla_ledger_slot_view slot_of(const struct bench *bench, uint32_t step)
{
	struct bulla_ledger_slot_view view = {0};
	uint32_t cursor = 0;

	while (bulla_ledger_slot_next(bench->ledger, &bench->run, &cursor, &view) == BULLA_OK)
		if (view.step == step)
			return view;
	return (struct bulla_ledger_slot_view){0};
}

/* A whole run: two steps, tokens, the end. */
static void two_steps(void **state)
{
	struct bench bench;
	bulla_digest start, first = sim_digest(0xa1), root;
	struct bulla_ledger_commit tokens[8];

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	start = bench_start_digest(&bench, 0);
	assert_ok(bulla_parents_root(bulla_bytes_digest(&start), &root));
	assert_int_equal(bench.permit.tries_left, 2);
	assert_bytes(bench.permit.parents, bulla_bytes_digest(&start));
	assert_int_equal(bench.permit.expires_ms, BENCH_NOW + 5000 + 60000);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	assert_int_equal(bench.answer.filled, 1);
	assert_int_equal(bench.answer.sequence, 6); /* three sessions, RUN, PERMIT, COMMIT */
	assert_int_equal(bulla_ledger_tokens(bench.ledger, tokens, 8), 0); /* no run ends with it: a token when asked for */
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	assert_int_equal(bulla_ledger_tokens(bench.ledger, tokens, 8), 1);
	assert_true(bulla_digest_eq(&tokens[0].token.receipt, &first));
	assert_int_equal(tokens[0].token.sequence, 6);
	assert_int_equal(tokens[0].token.head.b[0], 7);
	assert_int_equal(bulla_ledger_tokens(bench.ledger, tokens, 8), 0);
	assert_ok(bench_permit(&bench, (struct say){.permit = 2, .session = 2, .parents = &first, .parent_count = 1}));
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_OPEN);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 2, 1, 0, 0xa2), 2, true));
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_DONE);
	assert_true(slot_of(&bench, 2).filled);
	assert_int_equal(bulla_ledger_tokens(bench.ledger, tokens, 8), 1); /* the run's last */
	bench_close(&bench);
}

/* Each question asked again gets the same answer, and no record. */
static void again(void **state)
{
	struct bench bench;
	bulla_digest start;
	uint32_t records;
	struct bulla_permit permit;

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	start = bench_start_digest(&bench, 0);
	permit = bench.permit;
	records = bench.log_count;
	bench.now += 1000;
	assert_ok(bench_start(&bench, (struct say){.made_ms = BENCH_NOW}));
	assert_ok(bench_permit(&bench, (struct say){.permit = 1, .session = 1, .parents = &start, .parent_count = 1}));
	assert_int_equal(bench.permit.time_ms, permit.time_ms);
	assert_int_equal(bench.permit.expires_ms, permit.expires_ms);
	assert_int_equal(bench.log_count, records);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	for (int i = 0; i < 3; i++) {
		bench.now += 1000000; /* also after the permit's end */
		assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
		assert_int_equal(bench.answer.sequence, 6);
		assert_int_equal(bench.answer.filled, 1);
	}
	assert_int_equal(bench.log_count, records + 1);
	bench_close(&bench);
}

/* A failure with tries left ends its attempt; the last one fills the slot and ends the run. */
static void failures(void **state)
{
	struct bench bench;
	bulla_digest start;

	(void)state;
	bench_open(&bench);
	assert_ok(bench_start(&bench, (struct say){0}));
	start = bench_start_digest(&bench, 0);
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		assert_ok(bench_permit(&bench,
			(struct say){.permit = 1, .attempt = attempt, .session = 1, .parents = &start, .parent_count = 1}));
		assert_int_equal(bench.permit.tries_left, 3 - attempt);
		assert_ok(bench_commit(&bench,
			bench_commit_of(&bench, 1, attempt, BULLA_OUTCOME_CRASH, (uint8_t)(0xa0 + attempt)), 1, true));
		assert_int_equal(bench.answer.filled, attempt == 3);
	}
	/* the earlier failures still get their answers */
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 2, BULLA_OUTCOME_CRASH, 0xa2), 1, true));
	assert_int_equal(bench.answer.filled, 0);
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_FAILED);
	bench_close(&bench);
}

/* Sixteen lost attempts, then the broker's receipt fills the slot. */
static void lost(void **state)
{
	struct bench bench;
	bulla_digest start;
	struct bulla_receipt_record record;
	bulla_bytes item;

	(void)state;
	bench_open(&bench);
	assert_ok(bench_start(&bench, (struct say){0}));
	start = bench_start_digest(&bench, 0);
	for (uint32_t attempt = 1; attempt <= BULLA_MAX_FLOW_LOST; attempt++)
		assert_ok(bench_permit(&bench,
			(struct say){.permit = 1, .attempt = attempt, .session = 1, .parents = &start, .parent_count = 1,
				.given_up = 1, .given_up_attempt = attempt - 1}));
	bench_say(&bench, (struct say){.given_up = 1, .given_up_attempt = BULLA_MAX_FLOW_LOST});
	assert_rc(BULLA_E_PLAN, bench_permit(&bench,
		(struct say){.permit = 1, .attempt = BULLA_MAX_FLOW_LOST + 1, .session = 1, .parents = &start, .parent_count = 1}));
	bench_say(&bench, (struct say){.clock = 1});
	assert_int_equal(bench.answer.clock.count, 1);
	item = bulla_pb_list_at(&bench.answer.clock, 0);
	assert_ok(bulla_receipt_record_decode(item, &record));
	assert_int_equal(record.receipt.outcome, BULLA_OUTCOME_LOST);
	assert_int_equal(record.receipt.executor, BULLA_EXECUTOR_BROKER);
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_FAILED);
	bench_close(&bench);
}

/* The run has as many facts as there may be: no attempt begins, and the broker's receipt says so. */
static void too_long(void **state)
{
	struct bench bench;
	bulla_digest start;
	struct bulla_receipt_record record;

	(void)state;
	bench_open(&bench);
	assert_ok(bench_start(&bench, (struct say){0}));
	start = bench_start_digest(&bench, 0);
	bench_say(&bench, (struct say){.clock = 1});
	assert_int_equal(bench.answer.clock.count, 0); /* not before */
	assert_ok(bench_permit(&bench, (struct say){.permit = 1, .attempt = 1, .session = 1, .parents = &start, .parent_count = 1}));
	bench.linear.decoded.facts_max = 1 + 3 + 4;
	bench_say(&bench, (struct say){.clock = 1});
	assert_int_equal(bench.answer.clock.count, 0); /* nor while an attempt is open */
	bench_say(&bench, (struct say){.given_up = 1, .given_up_attempt = 1});
	assert_rc(BULLA_E_LIMIT,
		bench_permit(&bench, (struct say){.permit = 1, .attempt = 2, .session = 1, .parents = &start, .parent_count = 1}));
	bench_say(&bench, (struct say){.clock = 1});
	assert_int_equal(bench.answer.clock.count, 1);
	assert_ok(bulla_receipt_record_decode(bulla_pb_list_at(&bench.answer.clock, 0), &record));
	assert_int_equal(record.receipt.outcome, BULLA_OUTCOME_LIMIT);
	assert_int_equal(record.receipt.executor, BULLA_EXECUTOR_BROKER);
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_FAILED);
	bench_close(&bench);
}

/* An expired attempt makes way for the next one; its commit comes too late. */
static void expiry(void **state)
{
	struct bench bench;
	bulla_digest start;

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	start = bench_start_digest(&bench, 0);
	bench.now += 64999;
	assert_rc(BULLA_E_ATTEMPT_OPEN, bench_permit(&bench,
		(struct say){.permit = 1, .attempt = 2, .session = 2, .parents = &start, .parent_count = 1}));
	bench.now += 1;
	assert_rc(BULLA_E_PERMIT_EXPIRED, bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	assert_ok(bench_permit(&bench,
		(struct say){.permit = 1, .attempt = 2, .session = 2, .parents = &start, .parent_count = 1}));
	assert_rc(BULLA_E_ATTEMPT_CLOSED, bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 2, 0, 0xa2), 2, true));
	bench_close(&bench);
}

/* Escrow comes back in SYNC until the host has stored the result. */
static void escrow(void **state)
{
	struct bench bench;
	struct bulla_commit commit;
	BULLA_AUTO_BUF mac0 = {.max = 4096};
	uint8_t big[BULLA_MAX_ESCROW + 1] = {0};

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	commit = bench_commit_of(&bench, 1, 1, 0, 0xa1);
	sim_commit(&bench.world, &commit, 1, true, &mac0);
	bench_say(&bench, (struct say){.commit = bulla_buf_view(&mac0), .escrow = BULLA_BYTES_LITERAL("the result")});
	assert_ok((bulla_rc)bench.answer.commit_rc);
	assert_bytes(slot_of(&bench, 1).escrow, BULLA_BYTES_LITERAL("the result"));
	bench_say(&bench, (struct say){.stored = 1});
	assert_int_equal(slot_of(&bench, 1).escrow.n, 0);
	/* too large: taken without it */
	bulla_digest first = sim_digest(0xa1);
	assert_ok(bench_permit(&bench, (struct say){.permit = 2, .session = 2, .parents = &first, .parent_count = 1}));
	commit = bench_commit_of(&bench, 2, 1, 0, 0xa2);
	bulla_buf_clear(&mac0);
	sim_commit(&bench.world, &commit, 2, true, &mac0);
	bench_say(&bench, (struct say){.commit = bulla_buf_view(&mac0), .escrow = BULLA_BYTES_ARRAY(big)});
	assert_ok((bulla_rc)bench.answer.commit_rc);
	assert_int_equal(slot_of(&bench, 2).escrow.n, 0);
	bench_close(&bench);
}

/* A revoked epoch gets no commit, of a party neither. */
static void a_signal_after_a_revocation(void **state)
{
	static const uint8_t epoch[8] = {0, 0, 0, 0, 0, 0, 0, 1};
	struct bench bench;
	struct bulla_receipt answer = {.executor = BULLA_EXECUTOR_PARTY, .manifest = sim_digest(1), .kid = sim_digest('c')};
	bulla_digest parent = sim_digest(0xa1), digest;
	BULLA_AUTO_BUF signal = {.max = 4096};

	(void)state;
	bench_open(&bench);
	bench.plan = BRANCHES;
	bench_first_step(&bench);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 1, 0xa1), 1, true));
	answer.position = sim_position(&bench.run, BRANCHES, 3, 1);
	assert_ok(bulla_parents_root(bulla_bytes_digest(&parent), &answer.parents));
	bulla_pairs_root(NULL, 0, &answer.outputs);
	sim_signal(&answer, true, &signal, &digest);
	assert_ok(bench_revoke(&bench, BULLA_ORDER_REVOKE_EPOCH, BULLA_BYTES_ARRAY(epoch)));
	bench_say(&bench, (struct say){.commit = bulla_buf_view(&signal)});
	assert_rc(BULLA_E_REVOKED, (bulla_rc)bench.answer.commit_rc);
	assert_false(slot_of(&bench, 3).filled);
	bench_close(&bench);
}

/* Party and clock: the signal answers what was committed, the sleep ends when it is due. */
static void party_and_clock(void **state)
{
	for (uint8_t outcome = 1; outcome <= 2; outcome++) {
		struct bench bench;
		struct bulla_receipt answer = {.executor = BULLA_EXECUTOR_PARTY, .manifest = sim_digest(1), .kid = sim_digest('c')};
		bulla_digest parent = sim_digest(0xa1), digest;
		struct bulla_receipt_record record;
		BULLA_AUTO_BUF signal = {.max = 4096};

		(void)state;
		bench_open(&bench);
		bench.plan = BRANCHES;
		bench_first_step(&bench);
		assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, outcome, 0xa1), 1, true));
		if (outcome == 1) { /* refer: step 3 is party c's */
			answer.position = sim_position(&bench.run, BRANCHES, 3, 1);
			assert_ok(bulla_parents_root(bulla_bytes_digest(&parent), &answer.parents));
			bulla_pairs_root(NULL, 0, &answer.outputs);
			answer.outcome = BULLA_FLOW_OUTCOME_TIMEOUT; /* before its time, and not by the clock */
			sim_signal(&answer, true, &signal, &digest);
			bench_say(&bench, (struct say){.commit = bulla_buf_view(&signal)});
			assert_rc(BULLA_E_CLOCK_RECEIPT, (bulla_rc)bench.answer.commit_rc);
			answer.outcome = BULLA_OUTCOME_OK;
			bulla_buf_clear(&signal);
			sim_signal(&answer, true, &signal, &digest);
			bench_say(&bench, (struct say){.commit = bulla_buf_view(&signal)});
			assert_ok((bulla_rc)bench.answer.commit_rc);
			bench_say(&bench, (struct say){.commit = bulla_buf_view(&signal)});
			assert_ok((bulla_rc)bench.answer.commit_rc);
			parent = slot_of(&bench, 3).receipt;
			assert_true(bulla_digest_eq(&parent, &digest));
		} else { /* high: step 4 sleeps 10 s */
			bench.now += 9999;
			bench_say(&bench, (struct say){.clock = 4});
			assert_int_equal(bench.answer.clock.count, 0);
			bench.now += 1;
			bench_say(&bench, (struct say){.clock = 4});
			assert_int_equal(bench.answer.clock.count, 1);
			bench.now += 1000; /* asked again: the same word */
			bench_say(&bench, (struct say){.clock = 4});
			assert_ok(bulla_receipt_record_decode(bulla_pb_list_at(&bench.answer.clock, 0), &record));
			assert_int_equal(record.receipt.time_ms, BENCH_NOW + 10000);
			digest = slot_of(&bench, 4).receipt;
			assert_true(bulla_digest_eq(&digest, &record.digest));
		}
		bench_close(&bench);
	}
}

/* A signal that nobody sent in time: the clock says so. */
static void signal_timeout(void **state)
{
	struct bench bench;
	struct bulla_receipt_record record;

	(void)state;
	bench_open(&bench);
	bench.plan = BRANCHES;
	bench_first_step(&bench);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 1, 0xa1), 1, true));
	bench.now += 60000;
	bench_say(&bench, (struct say){.clock = 3});
	assert_int_equal(bench.answer.clock.count, 1);
	assert_ok(bulla_receipt_record_decode(bulla_pb_list_at(&bench.answer.clock, 0), &record));
	assert_int_equal(record.receipt.outcome, BULLA_FLOW_OUTCOME_TIMEOUT);
	bench_close(&bench);
}

static void orders(void **state)
{
	struct bench bench;
	bulla_digest start;
	BULLA_AUTO_BUF cancel = {.max = 4096}, erase = {.max = 4096};

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	start = bench_start_digest(&bench, 0);
	sim_order(BULLA_ORDER_CANCEL, &bench.run, 1, 'o', true, &cancel);
	sim_order(BULLA_ORDER_ERASE, &bench.run, 1, 'o', true, &erase);
	bench_say(&bench, (struct say){.order = bulla_buf_view(&cancel)});
	assert_ok((bulla_rc)bench.answer.order_rc);
	/* an open attempt may still commit; then nothing more */
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	assert_rc(BULLA_E_RUN_CLOSED, bench_permit(&bench,
		(struct say){.permit = 2, .session = 1, .parents = &start, .parent_count = 1}));
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_CANCELLED);
	bench_say(&bench, (struct say){.order = bulla_buf_view(&erase)});
	assert_ok((bulla_rc)bench.answer.order_rc);
	assert_int_equal(bench.world.secrets_erased, 1);
	bench_say(&bench, (struct say){.order = bulla_buf_view(&erase)});
	assert_ok((bulla_rc)bench.answer.order_rc);
	assert_int_equal(bench.world.secrets_erased, 1);
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_ERASED);
	bench_close(&bench);
}

static void same_slots(const struct bench *bench, struct bulla_ledger *other)
{
	struct bulla_ledger_slot_view a, b;
	uint32_t i = 0, j = 0;

	while (bulla_ledger_slot_next(bench->ledger, &bench->run, &i, &a) == BULLA_OK) {
		assert_ok(bulla_ledger_slot_next(other, &bench->run, &j, &b));
		assert_int_equal(a.step, b.step);
		assert_int_equal(a.attempt, b.attempt);
		assert_int_equal(a.open, b.open);
		assert_int_equal(a.filled, b.filled);
		assert_int_equal(a.sequence, b.sequence);
		assert_true(bulla_digest_eq(&a.receipt, &b.receipt));
		assert_bytes(a.escrow, b.escrow);
	}
	assert_rc(BULLA_E_NOT_FOUND, bulla_ledger_slot_next(other, &bench->run, &j, &b));
	assert_int_equal(bulla_ledger_run_state(bench->ledger, &bench->run), bulla_ledger_run_state(other, &bench->run));
}

/* Replays the log of the bench into a new ledger, which takes the old one's place. */
static void replay(struct bench *bench)
{
	struct bulla_ledger *old = bench->ledger;
	bulla_rd r = bulla_rd_of(bulla_buf_view(&bench->log));
	uint64_t lsn = 1;
	bulla_digest chain = {{7}};

	bench_new_ledger(bench);
	while (bulla_rd_left(&r) > 0) {
		struct bulla_journal_record record;

		assert_ok(bulla_journal_record_next(&r, &record));
		record.lsn = lsn++;
		assert_ok(bulla_ledger_replay(bench->ledger, &record));
	}
	bulla_ledger_durable(bench->ledger, lsn, &chain);
	if (bulla_ledger_run_state(old, &bench->run) != 0)
		same_slots(bench, old);
	bulla_ledger_free(old);
}

/* After each turn the ledger is thrown away and made anew from its records: nothing changes, and it goes on. */
static void replayed(void **state)
{
	struct bench bench;
	bulla_digest start, first = sim_digest(0xa2);
	struct bulla_commit commit;
	BULLA_AUTO_BUF mac0 = {.max = 4096};

	(void)state;
	bench_open(&bench);
	bench_turn(&bench);
	replay(&bench);
	bench_first_step(&bench);
	start = bench_start_digest(&bench, 0);
	replay(&bench);
	assert_ok(bench_permit(&bench, (struct say){.permit = 1, .session = 1, .parents = &start, .parent_count = 1}));
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, BULLA_OUTCOME_RETRY, 0xa1), 1, true));
	replay(&bench);
	assert_ok(bench_permit(&bench,
		(struct say){.permit = 1, .attempt = 2, .session = 2, .parents = &start, .parent_count = 1}));
	replay(&bench);
	bench_say(&bench, (struct say){.given_up = 1, .given_up_attempt = 2});
	replay(&bench);
	assert_ok(bench_permit(&bench,
		(struct say){.permit = 1, .attempt = 3, .session = 2, .parents = &start, .parent_count = 1}));
	commit = bench_commit_of(&bench, 1, 3, 0, 0xa2);
	sim_commit(&bench.world, &commit, 2, true, &mac0);
	bench_say(&bench, (struct say){.commit = bulla_buf_view(&mac0), .escrow = BULLA_BYTES_LITERAL("escrow")});
	assert_ok((bulla_rc)bench.answer.commit_rc);
	replay(&bench);
	bench_say(&bench, (struct say){.stored = 1});
	replay(&bench);
	assert_ok(bench_permit(&bench, (struct say){.permit = 2, .session = 1, .parents = &first, .parent_count = 1}));
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 2, 1, 0, 0xa3), 1, true));
	replay(&bench);
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_DONE);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, BULLA_OUTCOME_RETRY, 0xa1), 1, true));
	assert_int_equal(bench.answer.filled, 0);
	bench_close(&bench);
}

/* A revocation is in force after a restart, too, and stands in the record of every run, where it came. */
static void revocation_kept(void **state)
{
	static const uint8_t kinds[] = {BULLA_ENTRY_START, BULLA_ENTRY_PERMIT, BULLA_ENTRY_REVOKE};
	struct bench bench;
	bulla_digest start, instance = sim_instance('2');
	BULLA_AUTO_BUF ask = {.max = 64}, reply = {.max = 65536};
	struct bulla_msg_record_ask message = {.from = 0};
	struct bulla_msg_record record;
	bulla_wr w = bulla_wr_buf(&ask);
	bulla_bytes body;
	size_t seen = 0;

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	start = bench_start_digest(&bench, 0);
	assert_ok(bench_revoke(&bench, BULLA_ORDER_REVOKE_INSTANCE, bulla_bytes_digest(&instance)));
	bench_say(&bench, (struct say){.given_up = 1, .given_up_attempt = 1});
	replay(&bench);
	assert_rc(BULLA_E_REVOKED, bench_permit(&bench,
		(struct say){.permit = 1, .attempt = 2, .session = 2, .parents = &start, .parent_count = 1}));
	assert_ok(bench_permit(&bench,
		(struct say){.permit = 1, .attempt = 2, .session = 1, .parents = &start, .parent_count = 1}));
	message.run_id = bulla_run_id_view(&bench.run);
	bulla_msg_record_ask_encode(&message, &w);
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_ledger_record(bench.ledger, body, bench.now, &reply));
	assert_ok(bulla_msg_record_decode(bulla_buf_view(&reply), &record));
	assert_int_equal(record.items.count, 7); /* START, PERMIT, order, REVOKE, GIVEN_UP, PERMIT, head */
	for (size_t i = 0; i < 4; i++) {
		struct bulla_entry entry;

		if (bulla_entry_decode(bulla_pb_list_at(&record.items, i), &entry) == BULLA_OK)
			assert_int_equal(entry.kind, kinds[seen++]);
	}
	assert_int_equal(seen, 3);
	for (unsigned i = 1; i < BULLA_MAX_REVOCATIONS; i++) {
		instance.b[0] = (uint8_t)(i + '2'); /* all but the one above */
		assert_ok(bench_revoke(&bench, BULLA_ORDER_REVOKE_INSTANCE, bulla_bytes_digest(&instance)));
	}
	instance.b[2] ^= 1;
	assert_rc(BULLA_E_LIMIT, bench_revoke(&bench, BULLA_ORDER_REVOKE_INSTANCE, bulla_bytes_digest(&instance)));
	bench_close(&bench);
}

/* Somebody sets the machine's clock back, before a restart and after it: verify would refuse a record that goes back in time. */
static void clock_set_back(void **state)
{
	struct bench bench;
	BULLA_AUTO_BUF ask = {.max = 64}, reply = {.max = 65536};
	struct bulla_msg_record_ask message = {.from = 0};
	struct bulla_msg_record record;
	bulla_wr w = bulla_wr_buf(&ask);
	uint64_t last_ms = 0;
	bulla_bytes body;

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	bench.now -= 3600000;
	bench_say(&bench, (struct say){.given_up = 1, .given_up_attempt = 1});
	replay(&bench);
	bench.now -= 1000;
	assert_ok(bench_permit(&bench, (struct say){.permit = 1, .attempt = 2, .session = 1,
		.parents = (bulla_digest[]){bench_start_digest(&bench, 0)}, .parent_count = 1}));
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 2, 0, 0xa1), 1, true));
	message.run_id = bulla_run_id_view(&bench.run);
	bulla_msg_record_ask_encode(&message, &w);
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_ledger_record(bench.ledger, body, bench.now, &reply));
	assert_ok(bulla_msg_record_decode(bulla_buf_view(&reply), &record));
	assert_int_equal(record.items.count, 6); /* START, PERMIT, GIVEN_UP, PERMIT, COMMIT, head */
	for (size_t i = 0; i < 5; i++) {
		struct bulla_entry entry;

		assert_ok(bulla_entry_decode(bulla_pb_list_at(&record.items, i), &entry));
		assert_true(entry.time_ms >= last_ms);
		last_ms = entry.time_ms;
	}
	bench_close(&bench);
}

/* SYNC and RECORD */
static void sync_and_record(void **state)
{
	struct bench bench;
	bulla_bytes ids[2], item;
	uint8_t unknown[16] = {9};
	BULLA_AUTO_BUF ask = {.max = 4096}, reply = {.max = 65536};
	struct bulla_msg_sync sync;
	struct bulla_msg_synced synced;
	struct bulla_msg_sync_run run;
	struct bulla_msg_sync_slot slot;
	struct bulla_msg_record_ask record_ask = {.from = 0};
	struct bulla_msg_record record;
	struct bulla_merkle tree;
	bulla_digest root;
	bulla_wr w = bulla_wr_buf(&ask);

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	ids[0] = bulla_run_id_view(&bench.run);
	ids[1] = BULLA_BYTES_ARRAY(unknown);
	sync.runs = bulla_pb_list_of(ids, 2);
	bulla_msg_sync_encode(&sync, &w);
	assert_ok(bulla_wr_end(&w, &item));
	assert_ok(bulla_ledger_sync(bench.ledger, bulla_buf_view(&ask), bench.now, &reply));
	assert_ok(bulla_msg_synced_decode(bulla_buf_view(&reply), &synced));
	assert_int_equal(synced.runs.count, 2);
	assert_ok(bulla_msg_sync_run_decode(bulla_pb_list_at(&synced.runs, 0), &run));
	assert_int_equal(run.known, 1);
	assert_int_equal(run.slots.count, 1);
	assert_ok(bulla_msg_sync_slot_decode(bulla_pb_list_at(&run.slots, 0), &slot));
	assert_int_equal(slot.step, 1);
	assert_int_equal(slot.receipt.p[0], 0xa1);
	assert_ok(bulla_msg_sync_run_decode(bulla_pb_list_at(&synced.runs, 1), &run));
	assert_int_equal(run.known, 0);

	bulla_buf_clear(&ask);
	bulla_buf_clear(&reply);
	record_ask.run_id = bulla_run_id_view(&bench.run);
	w = bulla_wr_buf(&ask);
	bulla_msg_record_ask_encode(&record_ask, &w);
	assert_ok(bulla_wr_end(&w, &item));
	assert_ok(bulla_ledger_record(bench.ledger, bulla_buf_view(&ask), bench.now, &reply));
	assert_ok(bulla_msg_record_decode(bulla_buf_view(&reply), &record));
	assert_int_equal(record.items.count, 4); /* START, PERMIT, COMMIT, head */
	bulla_merkle_init(&tree);
	for (size_t i = 0; i < 3; i++) {
		struct bulla_entry entry;

		item = bulla_pb_list_at(&record.items, i);
		assert_ok(bulla_entry_decode(item, &entry));
		assert_int_equal(entry.kind, i + 1);
		assert_int_equal(entry.sequence, 4 + i);
		assert_ok(bulla_merkle_add(&tree, item));
	}
	bulla_merkle_root(&tree, &root);
	item = bulla_pb_list_at(&record.items, 3);
	assert_bytes(bulla_bytes_of(item.p, 32), bulla_bytes_digest(&root));
	bench_close(&bench);
}

/* One page from this entry on, its items to `all`, one behind the other; what to ask next. */
static uint64_t record_page(struct bench *bench, uint64_t from, struct bulla_buf *all, size_t *ret_items)
{
	struct bulla_msg_record_ask ask = {.run_id = bulla_run_id_view(&bench->run), .from = from};
	BULLA_AUTO_BUF reply = {.max = 65536};
	struct bulla_msg_record record;
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_record_ask_encode(&ask, &w);
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_ledger_record(bench->ledger, body, bench->now, &reply));
	assert_ok(bulla_msg_record_decode(bulla_buf_view(&reply), &record));
	for (size_t i = 0; i < record.items.count; i++)
		assert_ok(bulla_buf_append(all, bulla_pb_list_at(&record.items, i)));
	*ret_items += record.items.count;
	return record.next;
}

/* Page by page a run's record is the same as at once, also when a revocation comes between two pages. */
static void record_comes_in_pages(void **state)
{
	struct bench bench;
	BULLA_AUTO_BUF whole = {.max = 65536}, paged = {.max = 65536};
	bulla_digest instance = sim_instance('9');
	size_t whole_items = 0, items = 0;
	uint64_t next = 0, last;

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	assert_ok(bench_revoke(&bench, BULLA_ORDER_REVOKE_INSTANCE, bulla_bytes_digest(&instance)));
	bench.record_page = 2;
	bench_turn(&bench);
	replay(&bench);
	next = record_page(&bench, 0, &paged, &items);
	assert_int_equal(next, 2);
	instance.b[0] ^= 1;
	assert_ok(bench_revoke(&bench, BULLA_ORDER_REVOKE_INSTANCE, bulla_bytes_digest(&instance)));
	bench_turn(&bench);
	while (next != 0) {
		last = next;
		next = record_page(&bench, next, &paged, &items);
		assert_true(next == 0 || next > last);
	}
	bench.record_page = 0;
	replay(&bench);
	assert_int_equal(record_page(&bench, 0, &whole, &whole_items), 0);
	assert_int_equal(items, whole_items);
	assert_bytes(bulla_buf_view(&whole), bulla_buf_view(&paged));
	bench_close(&bench);
}

/* Words that no ledger understands: format errors, nothing changed. */
static void bad_frames(void **state)
{
	struct bench bench;
	uint8_t bytes[40] = {0x0a, 38};

	(void)state;
	bench_open(&bench);
	bench_turn(&bench);
	for (int i = 0; i < 256; i++) {
		bytes[2] = (uint8_t)i;
		bulla_buf_clear(&bench.reply);
		assert_true(bulla_ledger_advance(bench.ledger, BULLA_BYTES_ARRAY(bytes), bench.now, true, &bench.reply) != BULLA_OK);
	}
	bench_turn(&bench);
	assert_int_equal(bench.log_count, 3);
	bench_close(&bench);
}

/* --- runs that have left memory --- */

static struct bench *read_from;
static uint32_t read_records; /* so many are given, then the disk fails */

static bulla_rc read_log(void *ctx, struct bulla_journal_place from, struct bulla_journal_place to, bulla_journal_each each,
	void *arg)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&read_from->log));
	struct bulla_journal_record record;

	(void)ctx;
	(void)from;
	for (uint32_t i = 0; bulla_rd_left(&r) > 0; i++) {
		if (i == read_records)
			return BULLA_E_CORRUPT;
		assert_ok(bulla_journal_record_next(&r, &record));
		record.lsn = i + 1;
		BULLA_TRY(each(arg, &record, to));
	}
	return BULLA_OK;
}

static void whole_run(struct bench *bench, uint8_t number)
{
	bulla_digest start, first = sim_digest(0xa1);
	uint8_t random[10] = {number};

	bench->run = bulla_run_id_make((uint64_t)BENCH_NOW, random);
	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	assert_ok(bench_permit(bench, (struct say){.permit = 1, .session = 1, .parents = &start, .parent_count = 1}));
	assert_ok(bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true));
	assert_ok(bench_permit(bench, (struct say){.permit = 2, .session = 1, .parents = &first, .parent_count = 1}));
	assert_ok(bench_commit(bench, bench_commit_of(bench, 2, 1, 0, 0xa2), 1, true));
	assert_int_equal(bulla_ledger_run_state(bench->ledger, &bench->run), BULLA_RUN_DONE);
}

/* A run whose records the disk gives only in part is not taken for one that goes on: its steps would run, and commit, twice. */
static void a_run_that_is_not_read_back_is_refused(void **state)
{
	struct bulla_ledger_options options = {.residents = 256, .sessions = 16, .closed_kept = 1};
	struct bulla_journal_place at = {.segment = 1, .batch = BULLA_JOURNAL_PAGE, .offset = BULLA_JOURNAL_PAGE};
	struct bench bench;
	bulla_digest parent;
	bulla_run_id first;

	(void)state;
	bench_open(&bench);
	options.world = sim_world_table(&bench.world);
	options.world.read = read_log;
	bulla_ledger_free(bench.ledger);
	assert_ok(bulla_ledger_new(&options, &bench.ledger));
	bench_session(&bench, 1, '1', 1, "ab");
	whole_run(&bench, 1);
	first = bench.run;
	whole_run(&bench, 2);
	assert_ok(bulla_ledger_placed(bench.ledger, 1, bench.log_count, at));
	bench.run = first;
	read_from = &bench;
	parent = bench_start_digest(&bench, 0);
	for (read_records = 0; read_records < 7; read_records++) { /* session, start, permit, commit, permit, commit; RUN of the other */
		uint32_t before = bench.log_count;

		for (int i = 0; i < 3; i++) {
			bench_say(&bench, (struct say){.permit = 1, .attempt = 2, .session = 1, .parents = &parent, .parent_count = 1});
			assert_rc(BULLA_E_CORRUPT, (bulla_rc)bench.answer.permit_rc);
			assert_rc(BULLA_E_CORRUPT, bench_start(&bench, (struct say){0}));
			assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), 0);
		}
		assert_int_equal(bench.log_count, before);
	}
	read_records = UINT32_MAX;
	assert_int_equal(bulla_ledger_run_state(bench.ledger, &bench.run), BULLA_RUN_DONE);
	assert_rc(BULLA_E_RUN_CLOSED,
		bench_permit(&bench, (struct say){.permit = 1, .attempt = 2, .session = 1, .parents = &parent, .parent_count = 1}));
	bench_close(&bench);
}

/* As if the index pointed where the run is not. */
static bulla_rc read_nothing(void *ctx, struct bulla_journal_place from, struct bulla_journal_place to, bulla_journal_each each,
	void *arg)
{
	(void)ctx;
	(void)from;
	(void)to;
	(void)each;
	(void)arg;
	return BULLA_OK;
}

static void a_run_that_is_not_where_it_was_is_refused(void **state)
{
	struct bulla_ledger_options options = {.residents = 256, .sessions = 16, .closed_kept = 1};
	struct bulla_journal_place at = {.segment = 1, .batch = BULLA_JOURNAL_PAGE, .offset = BULLA_JOURNAL_PAGE};
	struct bench bench;
	bulla_run_id first;

	(void)state;
	bench_open(&bench);
	options.world = sim_world_table(&bench.world);
	options.world.read = read_nothing;
	bulla_ledger_free(bench.ledger);
	assert_ok(bulla_ledger_new(&options, &bench.ledger));
	bench_session(&bench, 1, '1', 1, "ab");
	whole_run(&bench, 1);
	first = bench.run;
	whole_run(&bench, 2);
	assert_ok(bulla_ledger_placed(bench.ledger, 1, bench.log_count, at));
	bench.run = first;
	assert_rc(BULLA_E_CORRUPT, bench_start(&bench, (struct say){0}));
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_steps),
		cmocka_unit_test(again),
		cmocka_unit_test(failures),
		cmocka_unit_test(lost),
		cmocka_unit_test(too_long),
		cmocka_unit_test(expiry),
		cmocka_unit_test(escrow),
		cmocka_unit_test(party_and_clock),
		cmocka_unit_test(a_signal_after_a_revocation),
		cmocka_unit_test(signal_timeout),
		cmocka_unit_test(orders),
		cmocka_unit_test(replayed),
		cmocka_unit_test(revocation_kept),
		cmocka_unit_test(clock_set_back),
		cmocka_unit_test(sync_and_record),
		cmocka_unit_test(record_comes_in_pages),
		cmocka_unit_test(bad_frames),
		cmocka_unit_test(a_run_that_is_not_read_back_is_refused),
		cmocka_unit_test(a_run_that_is_not_where_it_was_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
