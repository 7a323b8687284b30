#include "test.h"

#include "base/mem.h"
#include "engine/town.h"
#include "receipt/bundle.h"

static struct town town;

static const struct bulla_flow *two_steps(struct flows *f)
{
	return flows_linear(f, 2);
}

static struct bulla_engine_counts counts(void)
{
	struct bulla_engine_counts c;

	bulla_engine_count(town.engine, &c);
	return c;
}

static void two_steps_run(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "a");
	town_enclave(&town, "b");
	town_start(&town, 1, true);
	town_settle(&town);
	assert_int_equal(town.errors, 0);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	assert_int_equal(town.result.receipts.count, 1);
	assert_true(town.result.token.n > 0);
	assert_int_equal(town.result.events.count, 2);
	assert_true(town.events >= 5); /* each step: running, done; before the reply the last receipt */
	assert_int_equal(town.ahead, 1);
	assert_int_equal(town.last_op, BULLA_OP_START);
	assert_int_equal(counts().done, 1);
	assert_int_equal(town.rows, 1);
	assert_int_equal(town.enclaves[0].runs, 1);
	assert_int_equal(town.enclaves[1].runs, 1);
	town_close(&town);
}

static uint64_t commits(void)
{
	struct bulla_ledger_counts ledger;

	bulla_ledger_count(town.ledger, &ledger);
	return ledger.commits;
}

/* G1, G3: nothing is said and, with many runs under way, nothing committed before the record is durable. */
#define MANY 33 /* more than travel in escrow */

static void nothing_before_it_is_durable(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab")->window = 128;
	for (uint32_t i = 1; i <= MANY; i++)
		town_start(&town, i, false);
	while (town_turn(&town))
		;
	assert_int_equal(town.started, 0);
	assert_int_equal(town.enclaves[0].runs, MANY); /* G2: a step may begin before its run is durable */
	assert_int_equal(commits(), 0);
	assert_true(town_durable(&town));
	while (town_turn(&town))
		;
	assert_int_equal(town.started, MANY);
	assert_int_equal(commits(), 0); /* G3: so many are not in escrow */
	town_settle(&town);
	assert_int_equal(counts().done, MANY);
	town_ask(&town, BULLA_OP_WAIT, 1, false);
	town_settle(&town);
	assert_int_equal(town.results, 1);
	town_close(&town);
}

/* With few runs the result travels in the commit: the run ends though nothing after STARTED is durable here; what a
 * crash takes comes back from the broker, which forgets it once it is stored here. Before STARTED is durable nothing of it
 * is committed: the host could forget the run. */
static void few_runs_travel_in_escrow(void **state)
{
	struct bulla_ledger_slot_view slot;
	bulla_run_id id = town_run_id(1);
	uint32_t cursor = 0;

	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab");
	town_start(&town, 9, true); /* links are stored: results that name new ones wait for them */
	town_settle(&town);
	assert_int_equal(commits(), 2);
	town_start(&town, 1, true);
	while (town_turn(&town))
		;
	assert_int_equal(town.enclaves[0].runs, 3);
	assert_int_equal(commits(), 2);
	assert_true(town_durable(&town));
	while (town_turn(&town))
		;
	assert_int_equal(town.results, 2);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	assert_int_equal(commits(), 4);
	town_crash(&town);
	town_settle(&town);
	assert_int_equal(town.enclaves[0].runs, 4); /* nothing ran again */
	town_ask(&town, BULLA_OP_WAIT, 1, false);
	town_settle(&town);
	assert_int_equal(town.results, 3);
	assert_int_equal(town.result.receipts.count, 1);
	while (bulla_ledger_slot_next(town.ledger, &id, &cursor, &slot) == BULLA_OK)
		assert_int_equal(slot.escrow.n, 0);
	town_close(&town);
}

/* That a result is stored wakes no enclave of its own at once: it goes with a step, or a little later. */
static void stored_is_told_with_a_step(void **state)
{
	struct town_enclave *enclave;

	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "a");
	enclave = town_enclave(&town, "b");
	town_start(&town, 1, true);
	town_settle(&town);
	assert_int_equal(town.results, 1);
	assert_true(enclave->outbox.n > 0);
	town_pass(&town, 19);
	assert_true(enclave->outbox.n > 0);
	town_pass(&town, 1);
	assert_int_equal(enclave->outbox.n, 0);
	town_close(&town);
}

/* A crash before STARTED is durable: the host forgets the run; its client comes again, ledger and enclave know it. */
static void a_forgotten_start_comes_again(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab");
	town_start(&town, 1, true);
	while (town_turn(&town))
		;
	town_ask(&town, BULLA_OP_WAIT, 1, false);
	while (town_turn(&town))
		;
	assert_int_equal(town.results, 0);
	town_crash(&town);
	town_start(&town, 1, true);
	town_settle(&town);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	town_close(&town);
}

static void failures_are_tried_again(void **state)
{
	struct town_enclave *a;

	(void)state;
	town_open(&town, two_steps);
	a = town_enclave(&town, "ab");
	a->fail_times = 2;
	town_start(&town, 1, true);
	town_settle(&town);
	assert_int_equal(town.results, 0); /* backs off */
	town_pass(&town, 20000);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	assert_int_equal(a->runs, 4);
	a->fail_times = 9;
	town_start(&town, 2, true);
	town_pass(&town, 20000);
	assert_int_equal(town.results, 2);
	assert_int_equal(town.result.state, BULLA_RUN_FAILED);
	assert_int_equal(town.result.outcome, BULLA_OUTCOME_FAILED);
	assert_int_equal(town.result.failed_step, 1);
	assert_int_equal(a->runs, 7);
	town_close(&town);
}

static void a_lost_enclave_is_replaced(void **state)
{
	struct town_enclave *a, *b;

	(void)state;
	town_open(&town, two_steps);
	a = town_enclave(&town, "ab");
	a->mute = true;
	town_start(&town, 1, true);
	town_settle(&town);
	assert_int_equal(town.results, 0);
	b = town_enclave(&town, "ab");
	town_enclave_down(&town, a);
	town_pass(&town, 1000);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	assert_int_equal(b->runs, 2);
	assert_int_equal(counts().lost, 1);
	town_close(&town);
}

/* No enclave for long: the run's records leave memory, and come back when they are asked for or a step can go on. */
static void an_idle_run_is_parked(void **state)
{
	struct town_enclave *a;

	(void)state;
	town_open(&town, two_steps);
	town_start(&town, 1, true);
	town_pass(&town, 60000);
	assert_int_equal(counts().parked, 0);
	town_pass(&town, 11 * 60000);
	assert_int_equal(counts().parked, 1);
	town_ask(&town, BULLA_OP_GET, 1, false);
	town_settle(&town);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_OPEN);
	assert_int_equal(counts().parked, 1);
	a = town_enclave(&town, "a"); /* the first step only */
	town_settle(&town);
	assert_int_equal(a->runs, 1);
	assert_int_equal(counts().parked, 0);
	town_pass(&town, 13 * 60000);
	assert_int_equal(counts().parked, 1);
	a = town_enclave(&town, "b");
	town_pass(&town, 1000);
	assert_int_equal(a->runs, 1);
	assert_int_equal(town.results, 2);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	assert_int_equal(counts().parked, 0);
	town_close(&town);
}

/* A run of as many facts as there may be ends with that word, in the journal and at the ledger; others go on. */
static void a_run_too_long_ends(void **state)
{
	struct town_enclave *a;
	unsigned ended = 0;

	(void)state;
	for (town.facts_max = 9; town.facts_max < 16; town.facts_max++) {
		town_open(&town, two_steps);
		a = town_enclave(&town, "a");
		town_enclave(&town, "b");
		a->fail_times = 2; /* of three tries */
		town_start(&town, 1, true);
		town_pass(&town, 60000);
		assert_int_equal(town.errors, 0);
		assert_int_equal(town.results, 1);
		if (town.result.state == BULLA_RUN_FAILED) {
			assert_int_equal(town.result.outcome, BULLA_OUTCOME_LIMIT);
			assert_int_equal(counts().failed, 1);
			ended++;
		}
		town_crash(&town); /* it stays so */
		town_ask(&town, BULLA_OP_WAIT, 1, false);
		town_settle(&town);
		assert_int_equal(town.results, 2);
		assert_true(town.result.state == BULLA_RUN_FAILED || town.result.state == BULLA_RUN_DONE);
		town_close(&town);
	}
	assert_true(ended >= 3 && ended < 7);
	town.facts_max = 0;
}

static void a_hanging_enclave_is_given_up(void **state)
{
	struct town_enclave *a;

	(void)state;
	town_open(&town, two_steps);
	a = town_enclave(&town, "ab");
	a->mute = true;
	town_start(&town, 1, true);
	town_pass(&town, 12000); /* time-out 5 s, 3 s of grace */
	assert_int_equal(counts().lost, 1);
	assert_int_equal(town.retried, BULLA_OUTCOME_LOST);
	a->mute = false;
	town_pass(&town, 12000);
	assert_int_equal(town.results, 1);
	town_close(&town);
}

static void the_broker_may_go_and_come(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab");
	town_broker_down(&town);
	town_start(&town, 1, true);
	town_pass(&town, 5000);
	assert_int_equal(town.results, 0);
	town_broker_up(&town);
	town_pass(&town, 1000);
	assert_int_equal(town.results, 1);
	/* answers are lost: asked again, nothing is done twice */
	town_start(&town, 2, true);
	town.drop_broker_answers = true;
	town_settle(&town);
	town.drop_broker_answers = false;
	town_broker_down(&town);
	town_broker_up(&town);
	town_pass(&town, 5000);
	assert_int_equal(town.results, 2);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	town_close(&town);
}

static void objects_are_sent_on_demand(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab")->ask_need = true;
	town_start(&town, 1, true);
	town_settle(&town);
	assert_int_equal(town.results, 1);
	town_close(&town);
}

static void the_same_start_is_the_same_run(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab");
	town_start(&town, 1, false);
	town_start(&town, 1, false);
	town_settle(&town);
	assert_int_equal(town.started, 2);
	assert_int_equal(counts().started, 1);
	town.start_skew = 5; /* another record: another digest */
	town_start(&town, 1, false);
	town_settle(&town);
	assert_rc(BULLA_E_EXISTS, town.error);
	town_close(&town);
}

static void an_unknown_run_is_unknown(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_ask(&town, BULLA_OP_WAIT, 77, false);
	town_settle(&town);
	assert_rc(BULLA_E_RUN_UNKNOWN, town.error);
	town_close(&town);
}

static void a_bundle_holds_the_run(void **state)
{
	struct bulla_bundle_reader *reader;
	enum bulla_bundle_kind kind;
	bulla_bytes body;
	unsigned counts_of[BULLA_BUNDLE_KINDS] = {0};

	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab")->fail_times = 1;
	town_start(&town, 1, true);
	town_pass(&town, 20000);
	town_ask(&town, BULLA_OP_BUNDLE, 1, false);
	town_settle(&town);
	assert_int_equal(town.errors, 0);
	assert_int_equal(town.last_op, BULLA_OP_BUNDLE);
	assert_ok(bulla_bundle_reader_new(&reader));
	assert_ok(bulla_bundle_feed(reader, bulla_buf_view(&town.result_body)));
	while (bulla_bundle_next(reader, &kind, &body) == BULLA_OK)
		counts_of[kind]++;
	assert_ok(bulla_bundle_ended(reader));
	assert_int_equal(counts_of[BULLA_BUNDLE_MANIFEST], 1);
	assert_int_equal(counts_of[BULLA_BUNDLE_START], 1);
	assert_int_equal(counts_of[BULLA_BUNDLE_RECEIPT], 3); /* the failed try too */
	assert_int_equal(counts_of[BULLA_BUNDLE_ENVELOPE], 2); /* input, output of a */
	assert_int_equal(counts_of[BULLA_BUNDLE_ENTRY], 7);    /* start, three permits, three commits */
	assert_int_equal(counts_of[BULLA_BUNDLE_RUN_HEAD], 1);
	assert_true(counts_of[BULLA_BUNDLE_TOKEN] >= 1);
	bulla_bundle_reader_free(reader);
	town_close(&town);
}

static void runs_are_listed(void **state)
{
	struct bulla_msg_listing listing;

	(void)state;
	town_open(&town, two_steps);
	town_start(&town, 1, false); /* no enclave: it waits */
	town_start(&town, 2, false);
	town_settle(&town);
	town_ask(&town, BULLA_OP_LIST, 0, false);
	/* an empty `list` message: everything */
	town.in.frames[(town.in.head + town.in.count - 1) % TOWN_QUEUE].body.n = 0;
	town_settle(&town);
	assert_int_equal(town.last_op, BULLA_OP_LIST);
	assert_ok(bulla_msg_listing_decode(bulla_buf_view(&town.result_body), &listing));
	assert_int_equal(listing.runs.count, 2);
	struct bulla_msg_run_row row;
	assert_ok(bulla_msg_run_row_decode(bulla_pb_list_at(&listing.runs, 0), &row));
	assert_rc(BULLA_E_UNREACHABLE, (bulla_rc)row.why);
	town_ask(&town, BULLA_OP_GET, 1, false);
	town_settle(&town);
	assert_int_equal(town.result.state, BULLA_RUN_OPEN);
	town_close(&town);
}

/* `bulla up` asks whose enclave it is that was refused: of the epoch that it brings up, or of one before. */
static void a_refused_enclave_s_manifest_is_known(void **state)
{
	const bulla_digest before = {{7}};
	struct bulla_msg_status status;
	struct bulla_msg_status_peer peer;

	(void)state;
	town_open(&town, two_steps);
	town_enclave_refused(&town, town_enclave(&town, "ab"), BULLA_E_REVOKED, &before);
	town_settle(&town);
	town_say(&town, BULLA_OP_STATUS, 9, (bulla_bytes){NULL, 0});
	town_settle(&town);
	assert_int_equal(town.last_op, BULLA_OP_STATUS);
	assert_ok(bulla_msg_status_decode(bulla_buf_view(&town.result_body), &status));
	assert_ok(bulla_msg_status_peer_decode(bulla_pb_list_at(&status.peers, 0), &peer));
	assert_int_equal(peer.up, 0);
	assert_rc(BULLA_E_REVOKED, (bulla_rc)peer.why);
	assert_bytes(peer.manifest, bulla_bytes_digest(&before));
	town_close(&town);
}

/* Kill after each of the first N moves (a frame's turn, a sync): every run ends well, nothing runs twice in a slot. */
static void crashes_lose_nothing(void **state)
{
	(void)state;
	for (unsigned kill = 1; kill < 40; kill++) {
		unsigned moves = 0;
		bool moved = true;

		town_open(&town, two_steps);
		town_enclave(&town, "ab");
		town_start(&town, 1, false);
		town_start(&town, 2, true);
		while (moved && moves < kill) {
			moved = false;
			if (town_turn(&town)) {
				moved = true;
				moves++;
			}
			if (moves < kill && town_durable(&town)) {
				moved = true;
				moves++;
			}
		}
		town_crash(&town);
		town_pass(&town, 60000);
		/* clients ask again */
		town.results = 0;
		town.errors = 0;
		town_start(&town, 1, true);
		town_start(&town, 2, true);
		town_pass(&town, 60000);
		assert_int_equal(town.errors, 0);
		assert_int_equal(town.results, 2);
		assert_int_equal(town.result.state, BULLA_RUN_DONE);
		for (uint32_t number = 1; number <= 2; number++) {
			bulla_run_id id = town_run_id(number);

			assert_int_equal(bulla_ledger_run_state(town.ledger, &id), BULLA_RUN_DONE);
		}
		town_close(&town);
	}
}

/* After warm-up the engine allocates nothing: 64 rounds of 16 runs at once, two steps each. */
static void many_runs_without_malloc(void **state)
{
	uint64_t before = 0;

	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab");
	town_enclave(&town, "ab");
	for (uint32_t round = 0; round < 64; round++) {
		if (round == 40)
			before = town.engine_allocs;
		for (uint32_t i = 0; i < 16; i++)
			town_start(&town, round * 16 + i + 1, true);
		town_settle(&town);
		assert_int_equal(counts().done, (round + 1) * 16);
	}
	assert_int_equal(town.engine_allocs - before, 0);
	assert_int_equal(town.results, 1024);
	assert_true(counts().resident <= 256);
	town_close(&town);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_steps_run),
		cmocka_unit_test(nothing_before_it_is_durable),
		cmocka_unit_test(few_runs_travel_in_escrow),
		cmocka_unit_test(a_forgotten_start_comes_again),
		cmocka_unit_test(stored_is_told_with_a_step),
		cmocka_unit_test(failures_are_tried_again),
		cmocka_unit_test(a_lost_enclave_is_replaced),
		cmocka_unit_test(an_idle_run_is_parked),
		cmocka_unit_test(a_run_too_long_ends),
		cmocka_unit_test(a_hanging_enclave_is_given_up),
		cmocka_unit_test(the_broker_may_go_and_come),
		cmocka_unit_test(objects_are_sent_on_demand),
		cmocka_unit_test(the_same_start_is_the_same_run),
		cmocka_unit_test(an_unknown_run_is_unknown),
		cmocka_unit_test(a_bundle_holds_the_run),
		cmocka_unit_test(runs_are_listed),
		cmocka_unit_test(a_refused_enclave_s_manifest_is_known),
		cmocka_unit_test(crashes_lose_nothing),
		cmocka_unit_test(many_runs_without_malloc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
