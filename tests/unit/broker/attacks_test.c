/* What a hostile host, instance or party asks of the ledger, and the one check that stops it. Each attack works on a
 * ledger of its own, because it is made twice in builds of mutants. */
#include "attack.h"
#include "bench.h"

/* Runs `attack` on a new bench. */
static bulla_rc on_bench(bulla_rc (*attack)(struct bench *bench))
{
	struct bench bench;
	bulla_rc rc;

	bench_open(&bench);
	rc = attack(&bench);
	bench_close(&bench);
	return rc;
}

static bulla_rc ask(struct bench *bench, uint32_t step, uint32_t attempt, uint32_t session, const bulla_digest *parent)
{
	return bench_permit(bench, (struct say){
		.permit = step, .attempt = attempt, .session = session, .parents = parent, .parent_count = parent != NULL});
}

/* Up to step 3, which is party c's, or step 4, which sleeps. */
static void branch(struct bench *bench, uint8_t outcome)
{
	bench->plan = BRANCHES;
	bench_first_step(bench);
	assert_ok(bench_commit(bench, bench_commit_of(bench, 1, 1, outcome, 0xa1), 1, true));
}

/* --- starts --- */

static bulla_rc old_start(struct bench *bench)
{
	return bench_start(bench, (struct say){.made_ms = bench->now - BULLA_MAX_START_AGE_MS - 1});
}

static bulla_rc future_start(struct bench *bench)
{
	return bench_start(bench, (struct say){.made_ms = bench->now + BULLA_MAX_CLOCK_SKEW_MS + 1});
}

static bulla_rc second_start(struct bench *bench)
{
	assert_ok(bench_start(bench, (struct say){0}));
	return bench_start(bench, (struct say){.input = 9});
}

static void starts(void **state)
{
	(void)state;
	assert_attack(LEDGER_START_AGE, BULLA_E_CLOCK, on_bench(old_start));
	assert_attack(LEDGER_START_AGE, BULLA_E_CLOCK, on_bench(future_start));
	assert_attack(LEDGER_START_ONCE, BULLA_E_EXISTS, on_bench(second_start));
}

/* --- permits: who asks --- */

static bulla_rc lapsed_session(struct bench *bench)
{
	bulla_digest start;

	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	bench->now += 3600000;
	return ask(bench, 1, 1, 1, &start);
}

/* What is revoked, and how: instance 1 with its image, agent a's bundle, epoch 1. */
static const struct revocation {
	uint8_t kind, letter;
	size_t size;
} revocations[] = {{BULLA_ORDER_REVOKE_INSTANCE, '1', 32}, {BULLA_ORDER_REVOKE_MEASUREMENT, '1', 48},
	{BULLA_ORDER_REVOKE_MEASUREMENT, 'a', 32}, {BULLA_ORDER_REVOKE_EPOCH, 1, 8}};
static const struct revocation *revocation;

static void revoke(struct bench *bench)
{
	uint8_t subject[48] = {0};

	memset(subject, revocation->letter, sizeof(subject));
	if (revocation->kind == BULLA_ORDER_REVOKE_INSTANCE) {
		bulla_digest instance = sim_instance('1');

		memcpy(subject, instance.b, 32);
	} else if (revocation->kind == BULLA_ORDER_REVOKE_EPOCH) {
		memset(subject, 0, 7);
	}
	assert_ok(bench_revoke(bench, revocation->kind, bulla_bytes_of(subject, revocation->size)));
}

static bulla_rc revoked_permit(struct bench *bench)
{
	bulla_digest start;

	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	revoke(bench);
	return ask(bench, 1, 1, 1, &start);
}

static bulla_rc revoked_commit(struct bench *bench)
{
	bench_first_step(bench);
	revoke(bench);
	return bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true);
}

static bulla_rc revoked_start(struct bench *bench)
{
	revoke(bench);
	return bench_start(bench, (struct say){0});
}

/* A later appraisal of the instance was refused: no permit, and the one that is open commits nothing. */
static bulla_rc turned_bad(struct bench *bench)
{
	bulla_digest start, instance = sim_instance('1');

	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	assert_ok(bulla_ledger_end_sessions(bench->ledger, &instance, BULLA_E_MEASUREMENT, bench->now));
	return ask(bench, 1, 1, 1, &start);
}

static bulla_rc turned_bad_before_its_commit(struct bench *bench)
{
	bulla_digest instance = sim_instance('1');

	bench_first_step(bench);
	assert_ok(bulla_ledger_end_sessions(bench->ledger, &instance, BULLA_E_MEASUREMENT, bench->now));
	return bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true);
}

/* Evidence was demanded within a minute, and did not come; another one's session goes on. */
static bulla_rc demanded_and_silent(struct bench *bench)
{
	bulla_digest start, instance = sim_instance('1'), other = sim_instance('2');

	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	assert_ok(bulla_ledger_demand(bench->ledger, &other, bench->now + 10000, bench->now));
	assert_ok(bulla_ledger_demand(bench->ledger, &instance, bench->now + 60000, bench->now));
	assert_ok(bulla_ledger_demand(bench->ledger, NULL, bench->now + 120000, bench->now)); /* never later */
	bench->now += 60000;
	return ask(bench, 1, 1, 1, &start);
}

static bulla_rc session_without_the_agent(struct bench *bench)
{
	bulla_digest start;

	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	return ask(bench, 1, 1, 3, &start);
}

static bulla_rc session_of_another_epoch(struct bench *bench)
{
	bulla_digest start;

	bench_session(bench, 4, '4', 9, "ab"); /* epoch 9 serves nothing */
	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	return ask(bench, 1, 1, 4, &start);
}

static void who_asks(void **state)
{
	(void)state;
	assert_attack(LEDGER_SESSION, BULLA_E_EVIDENCE_STALE, on_bench(lapsed_session));
	assert_attack(LEDGER_SESSION, BULLA_E_EVIDENCE_STALE, on_bench(demanded_and_silent));
	assert_attack(LEDGER_ENDED, BULLA_E_MEASUREMENT, on_bench(turned_bad));
	assert_attack(LEDGER_ENDED, BULLA_E_MEASUREMENT, on_bench(turned_bad_before_its_commit));
	for (revocation = revocations; revocation < revocations + 4; revocation++) {
		assert_attack(LEDGER_REVOKED, BULLA_E_REVOKED, on_bench(revoked_permit));
		assert_attack(LEDGER_REVOKED, BULLA_E_REVOKED, on_bench(revoked_commit));
	}
	revocation = &revocations[3]; /* the epoch: it starts nothing, either */
	assert_attack(LEDGER_REVOKED, BULLA_E_REVOKED, on_bench(revoked_start));
	assert_attack(LEDGER_SESSION_AGENT, BULLA_E_PERMIT_INSTANCE, on_bench(session_without_the_agent));
	assert_attack(LEDGER_SESSION_EPOCH, BULLA_E_EPOCH_OLD, on_bench(session_of_another_epoch));
}

/* --- permits: for what --- */

static bulla_rc other_parents(struct bench *bench)
{
	bulla_digest other = sim_digest(0xee);

	assert_ok(bench_start(bench, (struct say){0}));
	return ask(bench, 1, 1, 1, &other);
}

/* Step 2 runs only if step 1 said `low`; it said `refer`. */
static bulla_rc branch_not_taken(struct bench *bench)
{
	bulla_digest first = sim_digest(0xa1);

	branch(bench, 1);
	return ask(bench, 2, 1, 1, &first);
}

static bulla_rc two_attempts_at_once(struct bench *bench)
{
	bulla_digest start;

	bench_first_step(bench);
	start = bench_start_digest(bench, 0);
	return ask(bench, 1, 2, 2, &start);
}

static bulla_rc skipped_attempt(struct bench *bench)
{
	bulla_digest start;

	assert_ok(bench_start(bench, (struct say){0}));
	start = bench_start_digest(bench, 0);
	return ask(bench, 1, 3, 1, &start);
}

static bulla_rc filled_slot(struct bench *bench)
{
	bulla_digest start;

	bench_first_step(bench);
	assert_ok(bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true));
	start = bench_start_digest(bench, 0);
	return ask(bench, 1, 2, 1, &start);
}

static bulla_rc cancelled_run(struct bench *bench)
{
	bulla_digest first = sim_digest(0xa1);
	BULLA_AUTO_BUF cancel = {.max = 4096};

	bench_first_step(bench);
	assert_ok(bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true));
	sim_order(BULLA_ORDER_CANCEL, &bench->run, 1, 'o', true, &cancel);
	bench_say(bench, (struct say){.order = bulla_buf_view(&cancel)});
	assert_ok((bulla_rc)bench->answer.order_rc);
	return ask(bench, 2, 1, 1, &first);
}

static bulla_rc erased_run(struct bench *bench)
{
	BULLA_AUTO_BUF erase = {.max = 4096};

	bench_first_step(bench);
	sim_order(BULLA_ORDER_ERASE, &bench->run, 1, 'o', true, &erase);
	bench_say(bench, (struct say){.order = bulla_buf_view(&erase)});
	assert_ok((bulla_rc)bench->answer.order_rc);
	return bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true);
}

static void for_what(void **state)
{
	(void)state;
	assert_attack(LEDGER_PARENTS, BULLA_E_PARENT, on_bench(other_parents));
	assert_attack(LEDGER_PLAN, BULLA_E_PLAN, on_bench(branch_not_taken));
	assert_attack(LEDGER_ATTEMPT_ONE, BULLA_E_ATTEMPT_OPEN, on_bench(two_attempts_at_once));
	assert_attack(LEDGER_ATTEMPT_NEXT, BULLA_E_ATTEMPT_NUMBER, on_bench(skipped_attempt));
	/* the fold is the second line: it takes no permit for an attempt that nothing asked for */
	assert_attack_then(LEDGER_SLOT_FREE, BULLA_E_SLOT_FILLED, BULLA_E_ATTEMPT_NUMBER, on_bench(filled_slot));
	assert_attack(LEDGER_RUN_OPEN, BULLA_E_RUN_CLOSED, on_bench(cancelled_run));
	assert_attack(LEDGER_RUN_OPEN, BULLA_E_RUN_CLOSED, on_bench(erased_run));
}

/* --- commits --- */

static bulla_rc lost_attempt(struct bench *bench)
{
	bench_first_step(bench);
	bench_say(bench, (struct say){.given_up = 1, .given_up_attempt = 1});
	return bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true);
}

static bulla_rc commit_of_another_instance(struct bench *bench)
{
	bench_first_step(bench);
	return bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 2, true);
}

static bulla_rc late_commit(struct bench *bench)
{
	bench_first_step(bench);
	bench->now += 65000;
	return bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true);
}

static bulla_rc second_receipt(struct bench *bench)
{
	bench_first_step(bench);
	assert_ok(bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa1), 1, true));
	return bench_commit(bench, bench_commit_of(bench, 1, 1, 0, 0xa9), 1, true);
}

static void commits(void **state)
{
	(void)state;
	assert_attack(LEDGER_COMMIT_ATTEMPT, BULLA_E_ATTEMPT_CLOSED, on_bench(lost_attempt));
	assert_attack(LEDGER_COMMIT_INSTANCE, BULLA_E_PERMIT_INSTANCE, on_bench(commit_of_another_instance));
	assert_attack(LEDGER_COMMIT_EXPIRY, BULLA_E_PERMIT_EXPIRED, on_bench(late_commit));
	/* the attempt is closed: with the answer forgotten, that check is what still stands */
	assert_attack_then(LEDGER_COMMIT_REPEAT, BULLA_E_FORK, BULLA_E_SLOT_FILLED, on_bench(second_receipt));
}

/* --- parties and clock --- */

static bulla_rc signal_by(struct bench *bench, uint8_t party, uint8_t parent)
{
	struct bulla_receipt answer = {.executor = BULLA_EXECUTOR_PARTY, .manifest = sim_digest(1), .kid = sim_digest(party)};
	bulla_digest parents = sim_digest(parent), ignored;
	BULLA_AUTO_BUF record = {.max = 4096};

	branch(bench, 1);
	answer.position = sim_position(&bench->run, BRANCHES, 3, 1);
	assert_ok(bulla_parents_root(bulla_bytes_digest(&parents), &answer.parents));
	bulla_pairs_root(NULL, 0, &answer.outputs);
	sim_signal(&answer, true, &record, &ignored);
	bench_say(bench, (struct say){.commit = bulla_buf_view(&record)});
	return (bulla_rc)bench->answer.commit_rc;
}

static bulla_rc answer_of_another_party(struct bench *bench)
{
	return signal_by(bench, 'x', 0xa1);
}

static bulla_rc answer_to_another_question(struct bench *bench)
{
	return signal_by(bench, 'c', 0xa2);
}

static bulla_rc early_clock(struct bench *bench)
{
	branch(bench, 2);
	bench->now += 9999;
	bench_say(bench, (struct say){.clock = 4});
	return bench->answer.clock.count > 0 ? BULLA_OK : BULLA_E_CLOCK_RECEIPT;
}

static void parties_and_clock(void **state)
{
	(void)state;
	assert_attack(LEDGER_PARTY_RIGHT, BULLA_E_PARTY, on_bench(answer_of_another_party));
	assert_attack(LEDGER_PARTY_PARENTS, BULLA_E_PARENT, on_bench(answer_to_another_question));
	assert_attack(LEDGER_CLOCK_DUE, BULLA_E_CLOCK_RECEIPT, on_bench(early_clock));
}

/* --- frames of a hostile host --- */

static bool is_of_the_form(bulla_rc rc)
{
	return rc == BULLA_E_FORMAT || rc == BULLA_E_TRUNCATED || rc == BULLA_E_TRAILING || rc == BULLA_E_LIMIT ||
		rc == BULLA_E_DUPLICATE;
}

/* Whatever stands in an ADVANCE: it is answered or refused, what was committed stays, and the ledger goes on. */
static void hear(struct bench *bench, bulla_bytes body)
{
	bulla_buf_clear(&bench->reply);
	bulla_rc rc = bulla_ledger_advance(bench->ledger, body, bench->now, true, &bench->reply);

	assert_true(rc == BULLA_OK || is_of_the_form(rc));
	bench_turn(bench);
}

static void hear_all_of(struct bench *bench, const struct bulla_buf *sent)
{
	uint8_t bytes[8192];

	assert_true(sent->n <= sizeof(bytes));
	for (size_t n = 0; n < sent->n; n++)
		hear(bench, bulla_bytes_of(sent->p, n));
	for (size_t bit = 0; bit < 8 * sent->n; bit++) {
		memcpy(bytes, sent->p, sent->n);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		hear(bench, bulla_bytes_of(bytes, sent->n));
	}
}

static void hostile_advances(void **state)
{
	struct bulla_ledger_slot_view slot;
	struct bulla_ledger_counts before, after;
	BULLA_AUTO_BUF first = {.max = 1 << 16}, second = {.max = 1 << 16};
	struct bench bench;
	uint32_t cursor = 0;

	(void)state;
	bench_open(&bench);
	bench_first_step(&bench);
	assert_ok(bulla_buf_append(&first, bulla_buf_view(&bench.sent))); /* the permit's question */
	assert_ok(bench_commit(&bench, bench_commit_of(&bench, 1, 1, 0, 0xa1), 1, true));
	assert_ok(bulla_buf_append(&second, bulla_buf_view(&bench.sent)));
	bulla_ledger_count(bench.ledger, &before);
	hear_all_of(&bench, &first);
	hear_all_of(&bench, &second);
	bulla_ledger_count(bench.ledger, &after);
	assert_int_equal(after.commits, before.commits); /* no bit of a commit request but was signed for */
	assert_int_equal(after.runs, before.runs);
	assert_ok(bulla_ledger_slot_next(bench.ledger, &bench.run, &cursor, &slot));
	assert_true(slot.filled && slot.receipt.b[0] == 0xa1);
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts),
		cmocka_unit_test(who_asks),
		cmocka_unit_test(for_what),
		cmocka_unit_test(commits),
		cmocka_unit_test(parties_and_clock),
		cmocka_unit_test(hostile_advances),
	};

	return cmocka_run_group_tests_name("broker_attacks", tests, NULL, NULL);
}
