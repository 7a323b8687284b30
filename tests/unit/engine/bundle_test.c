#include "test.h"

#include "base/mem.h"
#include "engine/town.h"
#include "receipt/bundle.h"

/* Bundles as a stream: made piece by piece, however large the run, and only as fast as the client takes them. */

static struct town town;

static const struct bulla_flow *two_steps(struct flows *f)
{
	return flows_linear(f, 2);
}

static const struct bulla_flow *twelve_steps(struct flows *f)
{
	return flows_linear(f, 12);
}

static struct bulla_engine_counts counts(void)
{
	struct bulla_engine_counts c;

	bulla_engine_count(town.engine, &c);
	return c;
}

struct seen {
	unsigned items[BULLA_BUNDLE_KINDS];
	size_t bytes;
};

static struct seen read_bundle(void)
{
	struct bulla_bundle_reader *reader;
	struct seen seen = {.bytes = town.result_body.n};
	bulla_bytes left = bulla_buf_view(&town.result_body), body;
	enum bulla_bundle_kind kind;

	assert_int_equal(town.last_op, BULLA_OP_BUNDLE);
	assert_ok(bulla_bundle_reader_new(&reader));
	while (left.n > 0) {
		size_t some = left.n < 65536 ? left.n : 65536;

		assert_ok(bulla_bundle_feed(reader, bulla_bytes_of(left.p, some)));
		left = bulla_bytes_of(left.p + some, left.n - some);
		while (bulla_bundle_next(reader, &kind, &body) == BULLA_OK)
			seen.items[kind]++;
	}
	assert_ok(bulla_bundle_ended(reader));
	bulla_bundle_reader_free(reader);
	return seen;
}

static struct seen fetch(uint32_t number)
{
	town_ask(&town, BULLA_OP_BUNDLE, number, false);
	town_pass(&town, 100);
	assert_int_equal(town.errors, 0);
	return read_bundle();
}

static void run_one(const struct bulla_flow *(*flow)(struct flows *))
{
	town_open(&town, flow);
	town_enclave(&town, "ab")->fail_times = 1;
	town_start(&town, 1, true);
	town_pass(&town, 20000);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
}

/* The smallest pieces, pages and portions give the items of the largest. */
static void pieces_make_no_difference(void **state)
{
	struct seen whole, small;
	uint32_t events;

	(void)state;
	run_one(two_steps);
	events = town.events;
	whole = fetch(1);
	assert_int_equal(town.events, events); /* small: in one piece */
	town_close(&town);
	town.piece_bytes = town.load_bytes = town.record_page = 1;
	run_one(two_steps);
	events = town.events;
	small = fetch(1);
	assert_true(town.events >= events + 10);
	town.piece_bytes = town.load_bytes = town.record_page = 0;
	assert_memory_equal(&whole.items, &small.items, sizeof(whole.items));
	assert_int_equal(whole.bytes, small.bytes);
	town_close(&town);
}

static size_t memory_of_twelve(size_t size)
{
	static uint8_t output[900000];
	struct seen seen;

	town_open(&town, twelve_steps);
	town.output = bulla_bytes_of(output, size);
	town_enclave(&town, "abcdef");
	town_enclave(&town, "ghijkl");
	bulla_buf_done(&town.pieces);
	bulla_buf_done(&town.result_body);
	bulla_buf_init(&town.pieces, 16 << 20);
	bulla_buf_init(&town.result_body, 16 << 20);
	town_start(&town, 1, true);
	town_pass(&town, 1000);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	town_crash(&town);
	town_ask(&town, BULLA_OP_GET, 1, false);
	town_settle(&town);
	assert_int_equal(town.errors, 0);
	assert_int_equal(town.results, 2);
	assert_int_equal(town.result.events.count, 12);
	assert_int_equal(town.result.receipts.count, 1);
	assert_true(town.result.token.n > 0);
	seen = fetch(1);
	assert_int_equal(seen.items[BULLA_BUNDLE_RECEIPT], 12);
	assert_int_equal(seen.items[BULLA_BUNDLE_TOKEN] >= 1, 1);
	assert_int_equal(seen.items[BULLA_BUNDLE_RUN_HEAD], 1);
	assert_true(seen.bytes > 11 * size);
	return town.most_loaded;
}

/* Eleven megabytes of outputs: neither the run's answer nor its bundle takes more than two records at a time. */
static void a_large_run_is_never_read_at_once(void **state)
{
	(void)state;
	assert_true(memory_of_twelve(900000) < 2200000);
	town_close(&town);
}

/* A parked run of that size comes back bit by bit. */
static void a_large_run_parks_and_wakes(void **state)
{
	static uint8_t output[900000];
	struct town_enclave *last;

	(void)state;
	town_open(&town, twelve_steps);
	town.output = BULLA_BYTES_ARRAY(output);
	town_enclave(&town, "abcdef");
	town_enclave(&town, "ghijk");
	town_start(&town, 1, true);
	town_pass(&town, 13 * 60000);
	assert_int_equal(counts().parked, 1);
	town.busy_asks = 2;
	last = town_enclave(&town, "l");
	town_pass(&town, 10000);
	assert_int_equal(last->runs, 1);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
	assert_true(town.most_loaded < 2200000);
	town_close(&town);
}

/* Who takes nothing gets two pieces, and after a minute an error; nobody else waits. */
static void a_client_that_takes_nothing_is_let_go(void **state)
{
	uint32_t events;

	(void)state;
	town.piece_bytes = 1;
	run_one(two_steps);
	town.piece_bytes = 0;
	events = town.events;
	town.takes_nothing = true;
	town_ask(&town, BULLA_OP_BUNDLE, 1, false);
	town_pass(&town, 50000);
	assert_int_equal(town.events, events + 2);
	assert_int_equal(town.errors, 0);
	town_pass(&town, 11000);
	assert_int_equal(town.errors, 1);
	assert_rc(BULLA_E_TIMEOUT, town.error);
	town.takes_nothing = false;
	town.errors = 0;
	town.pieces.n = 0;
	fetch(1);
	town_close(&town);
}

static void ask_as(uint32_t stream)
{
	bulla_run_id id = town_run_id(1);
	struct bulla_msg_fetch m = {.run_id = bulla_run_id_view(&id)};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_fetch_encode(&m, &w);
	assert_ok(bulla_wr_end(&w, &body));
	town_say(&town, BULLA_OP_BUNDLE, stream, body);
}

static void only_so_many_at_once(void **state)
{
	(void)state;
	town.piece_bytes = 1;
	run_one(two_steps);
	town.piece_bytes = 0;
	town.takes_nothing = true;
	for (uint32_t i = 0; i < BULLA_MAX_BUNDLES; i++)
		ask_as(1000 + i);
	town_settle(&town);
	assert_int_equal(town.errors, 0);
	ask_as(2000);
	town_settle(&town);
	assert_int_equal(town.errors, 1);
	assert_rc(BULLA_E_BUSY, town.error);
	town_say(&town, BULLA_OP_CANCEL, 1001, (bulla_bytes){NULL, 0}); /* one goes, one comes */
	town_settle(&town);
	assert_int_equal(town.errors, 2);
	assert_rc(BULLA_E_CANCELLED, town.error);
	town.takes_nothing = false;
	town.pieces.n = 0;
	ask_as(2001);
	town_settle(&town);
	assert_int_equal(town.errors, 2);
	assert_int_equal(read_bundle().items[BULLA_BUNDLE_RUN_HEAD], 1);
	town_close(&town);
}

static void others_may_be_busy_or_away(void **state)
{
	(void)state;
	run_one(two_steps);
	town.busy_asks = 3;
	fetch(1);
	town_broker_down(&town);
	town_ask(&town, BULLA_OP_BUNDLE, 1, false);
	town_settle(&town);
	assert_int_equal(town.errors, 1);
	assert_rc(BULLA_E_BROKER, town.error);
	town_broker_up(&town);
	town.errors = 0;
	town.drop_broker_answers = true; /* it dies over the question */
	town_ask(&town, BULLA_OP_BUNDLE, 1, false);
	town_settle(&town);
	town_broker_down(&town);
	town_settle(&town);
	assert_int_equal(town.errors, 1);
	assert_rc(BULLA_E_BROKER, town.error);
	town.drop_broker_answers = false;
	town_broker_up(&town);
	town.errors = 0;
	town_settle(&town);
	fetch(1);
	town_ask(&town, BULLA_OP_BUNDLE, 9, false);
	town_settle(&town);
	assert_rc(BULLA_E_RUN_UNKNOWN, town.error);
	town_close(&town);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_make_no_difference),
		cmocka_unit_test(a_large_run_is_never_read_at_once),
		cmocka_unit_test(a_large_run_parks_and_wakes),
		cmocka_unit_test(a_client_that_takes_nothing_is_let_go),
		cmocka_unit_test(only_so_many_at_once),
		cmocka_unit_test(others_may_be_busy_or_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
