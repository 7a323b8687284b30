#include "test.h"

#include "engine/town.h"
#include "receipt/bundle.h"

/* What starters may do to the engine, and what is too large for it: nobody else notices, and it can be started again. */

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

static void settle_well(uint32_t results)
{
	town_settle(&town);
	assert_int_equal(town.errors, 0);
	assert_int_equal(town.results, results);
	assert_int_equal(town.result.state, BULLA_RUN_DONE);
}

/* --- what a start brings along --- */

/* START of this run with one object. */
static void start_with(uint32_t number, uint64_t kind, bulla_bytes id, bulla_bytes object)
{
	BULLA_AUTO_BUF bare = {.max = 8192};
	BULLA_AUTO_BUF body = {.max = 8192};
	BULLA_AUTO_BUF item = {.max = 8192};
	struct bulla_msg_object o = {.kind = kind, .id = id, .body = object};
	bulla_run_id run = town_run_id(number);
	bulla_wr w = bulla_wr_buf(&item), wb = bulla_wr_buf(&body);
	struct bulla_msg_start m;
	bulla_bytes view;

	town_write_start(&town, &run, true, BULLA_BYTES_LITERAL("sealed input"), &bare);
	assert_ok(bulla_msg_start_decode(bulla_buf_view(&bare), &m));
	bulla_msg_object_encode(&o, &w);
	assert_ok(bulla_wr_end(&w, &view));
	m.objects = bulla_pb_list_of(&view, 1);
	bulla_msg_start_encode(&m, &wb);
	assert_ok(wb.rc);
	town_say(&town, BULLA_OP_START, number, bulla_buf_view(&body));
	town_settle(&town);
}

static void starters_bring_links_alone(void **state)
{
	static uint8_t large[BULLA_MAX_LINK + 1];
	uint8_t id[16] = {9};
	uint32_t number = 1;

	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab");
	for (uint64_t kind = 1; kind < 7; kind++) {
		if (kind == BULLA_OBJECT_LINK)
			continue;
		start_with(number++, kind, BULLA_BYTES_ARRAY(id), BULLA_BYTES_LITERAL("rubbish"));
		assert_rc(BULLA_E_FORMAT, town.error);
	}
	start_with(number++, BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(id), BULLA_BYTES_ARRAY(large));
	assert_rc(BULLA_E_FORMAT, town.error);
	start_with(number++, BULLA_OBJECT_LINK, bulla_bytes_of(id, 15), bulla_bytes_of(large, 100));
	assert_rc(BULLA_E_FORMAT, town.error);
	assert_int_equal(town.errors, number - 1);
	assert_int_equal(town.results, 0);
	town.errors = 0;
	start_with(number, BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(id), bulla_bytes_of(large, BULLA_MAX_LINK));
	settle_well(1);
	town_crash(&town); /* a manifest that is none would stand in the way of every start of the program */
	town_start(&town, number + 1, true);
	settle_well(2);
	town_close(&town);
}

static unsigned links_in_bundle(void)
{
	struct bulla_bundle_reader *reader;
	enum bulla_bundle_kind kind;
	bulla_bytes body;
	unsigned n = 0;

	assert_ok(bulla_bundle_reader_new(&reader));
	assert_ok(bulla_bundle_feed(reader, bulla_buf_view(&town.result_body)));
	while (bulla_bundle_next(reader, &kind, &body) == BULLA_OK)
		n += kind == BULLA_BUNDLE_LINK;
	assert_ok(bulla_bundle_ended(reader));
	bulla_bundle_reader_free(reader);
	return n;
}

/* Every `bulla run` makes links of its own. They stay with their run: nothing that all runs share grows. */
static void starters_links_stay_with_their_run(void **state)
{
	struct town_enclave *a;
	uint8_t id[16] = {9};
	unsigned shared = 0;

	(void)state;
	town_open(&town, two_steps);
	a = town_enclave(&town, "ab");
	a->need = BULLA_BYTES_ARRAY(id);
	for (uint32_t i = 1; i <= 40; i++) {
		id[1] = (uint8_t)i;
		a->ask_need = true;
		start_with(i, BULLA_OBJECT_LINK, BULLA_BYTES_ARRAY(id), BULLA_BYTES_LITERAL("its body"));
		settle_well(i);
		assert_int_equal(a->objects, i + 1); /* it asked, and got it; and its own record once */
	}
	for (size_t i = 0; i < town.durable; i++) {
		bulla_rd r = bulla_rd_of(bulla_buf_view(&town.records[i].bytes));
		struct bulla_journal_record record;

		assert_ok(bulla_journal_record_next(&r, &record));
		shared += record.type == BULLA_HOST_OBJECT;
	}
	assert_true(shared <= 2); /* the enclave's */
	town_crash(&town);
	town_settle(&town);
	town_ask(&town, BULLA_OP_BUNDLE, 3, false);
	town_settle(&town);
	assert_int_equal(town.errors, 0);
	assert_int_equal(links_in_bundle(), 1);
	town_close(&town);
}

/* --- manifests --- */

static void put_manifest(uint64_t epoch)
{
	uint8_t memory[8192], message[8400];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory)), wm = bulla_wr_fixed(message, sizeof(message));
	struct bulla_msg_put_manifest m = {.approvals = {.count = 0}};
	bulla_bytes body;

	town_write_manifest(&town, epoch, &w, &m.manifest);
	bulla_msg_put_manifest_encode(&m, &wm);
	assert_ok(bulla_wr_end(&wm, &body));
	town_say(&town, BULLA_OP_PUT_MANIFEST, (uint32_t)epoch, body);
	town_settle(&town);
}

/* A project that is changed every day for a month, and its first run is still asked for. */
static void epochs_come_without_end(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	put_manifest(5); /* among the objects, as in a real host */
	town.errors = 0;
	town_enclave(&town, "ab");
	town_start(&town, 1, true);
	settle_well(1);
	town_broker_down(&town);
	for (uint64_t epoch = 6; epoch < 40; epoch++) {
		put_manifest(epoch);
		assert_int_equal(town.errors, 0);
	}
	town_broker_up(&town);
	town_start(&town, 2, true); /* under the first one: it was put out and comes back */
	settle_well(2);
	town_ask(&town, BULLA_OP_BUNDLE, 1, false);
	town_settle(&town);
	assert_int_equal(town.errors, 0);
	assert_int_equal(town.last_op, BULLA_OP_BUNDLE);
	town_crash(&town);
	town_start(&town, 3, true);
	settle_well(3);
	town_close(&town);
}

/* Enclaves of an epoch that was replaced leave when its last run has ended, and not before. */
static void enclaves_of_an_old_epoch_leave(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	put_manifest(5); /* among the objects, as in a real host */
	town.errors = 0;
	town_enclave(&town, "a");
	town_start(&town, 1, true);
	town_pass(&town, 1000); /* waits for b */
	put_manifest(6);
	town.errors = 0; /* this broker takes no manifests */
	town_pass(&town, 60000);
	assert_int_equal(town.leaves, 0);
	town_enclave(&town, "b");
	town_pass(&town, 1000);
	settle_well(1);
	town_pass(&town, 3000);
	assert_int_equal(town.leaves, 0); /* a moment for starts that are on their way */
	town_pass(&town, 3500);
	assert_int_equal(town.leaves, 2);
	town_close(&town);
}

/* --- sizes --- */

/* Ten steps that read the input, and one that reads them all. */
static const struct bulla_flow *wide(struct flows *f)
{
	static const char *const keys[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
	uint16_t a, b, steps[10];

	flows_init(f);
	a = flows_actor(f, BULLA_FLOW_AGENT, 'a');
	b = flows_actor(f, BULLA_FLOW_AGENT, 'b');
	for (unsigned i = 0; i < 10; i++) {
		steps[i] = flows_step(f, BULLA_FLOW_AGENT, a);
		flows_reads(f, 0, NULL);
	}
	flows_step(f, BULLA_FLOW_AGENT, b);
	for (unsigned i = 0; i < 10; i++)
		flows_reads(f, steps[i], keys[i]);
	return flows_done(f);
}

/* Each output may be a megabyte, and ten of them are more than a message. The run says so; others go on. */
static void inputs_larger_than_a_message_end_their_run(void **state)
{
	static uint8_t large[900000];

	(void)state;
	town_open(&town, wide);
	town_enclave(&town, "ab");
	town.output = BULLA_BYTES_ARRAY(large);
	town_start(&town, 1, true);
	town_settle(&town);
	assert_int_equal(town.results, 1);
	assert_int_equal(town.result.state, BULLA_RUN_STUCK);
	assert_int_equal(town.result.outcome, BULLA_E_LIMIT); /* why, and after a crash too */
	town_crash(&town);
	town_settle(&town);
	town_ask(&town, BULLA_OP_GET, 1, false);
	town_settle(&town);
	assert_int_equal(town.result.state, BULLA_RUN_STUCK);
	assert_int_equal(town.result.outcome, BULLA_E_LIMIT);
	town.output.n = 100;
	town_start(&town, 2, true);
	settle_well(3);
	town_close(&town);
}

/* The disk stands still while large results come: not more of them than there is room for, and all go on with it. */
static void a_disk_that_stands_still_holds_the_steps(void **state)
{
	static uint8_t large[900000];

	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab")->window = 8;
	town_enclave(&town, "ab")->window = 8;
	town.output = BULLA_BYTES_ARRAY(large);
	for (uint32_t i = 1; i <= 60; i++)
		town_start(&town, i, true);
	while (town_turn(&town))
		;
	assert_true(town_durable(&town)); /* the starts */
	for (unsigned i = 0; i < 20; i++) {
		while (town_turn(&town))
			;
		town.now += 30;
	}
	assert_true(town.enclaves[0].runs + town.enclaves[1].runs < 50);
	town_pass(&town, 2000);
	assert_int_equal(counts().done, 60);
	assert_int_equal(town.errors, 0);
	assert_int_equal(counts().lost, 0);
	town_close(&town);
}

/* Nothing runs at that enclave: no answer of it says when its connection has room again. */
static void a_full_connection_is_tried_again(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_enclave(&town, "ab");
	town.busy = 3;
	town_start(&town, 1, true);
	town_pass(&town, 200);
	assert_int_equal(town.busy, 0);
	assert_int_equal(counts().lost, 0);
	settle_well(1);
	town_close(&town);
}

/* --- one run that waits, and millions that came and went since --- */

static void an_old_run_does_not_keep_the_program_from_starting(void **state)
{
	(void)state;
	town_open(&town, two_steps);
	town_start(&town, 1, true); /* no enclave: it waits */
	town_start(&town, 2, true);
	town_settle(&town);
	for (size_t i = 0; i < town.durable; i++) {
		uint8_t *number = town.records[i].bytes.p + 8; /* of the run, little-endian (journal/format.h) */

		if (number[0] == 2)
			number[3] = 9; /* 150 million later */
	}
	town_crash(&town);
	town_enclave(&town, "ab");
	town_pass(&town, 1000);
	assert_int_equal(counts().done, 2);
	town_close(&town);
}

/* --- dates --- */

#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)

/* The date is a year ahead for a moment, or a year back: what waits, waits as long as the plan says. */
static void a_date_that_jumps_delays_nothing(void **state)
{
	static const int64_t skews[] = {YEAR_MS, -YEAR_MS};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct town_enclave *a;

		town_open(&town, two_steps);
		a = town_enclave(&town, "ab");
		a->fail_times = 2;
		town_start(&town, 1, true);
		town_settle(&town);
		town.skew = skews[i];
		town_pass(&town, 1500); /* the second try fails at that date */
		town.skew = 0;
		assert_int_equal(town.results, 0);
		town_pass(&town, 20000);
		settle_well(1);
		assert_int_equal(a->runs, 4);
		assert_int_equal(counts().lost, 0);
		assert_true(town.result.ended_ms >= town.result.started_ms);
		town_close(&town);
	}
}

/* Started by a clock that was a day ahead; the next start of the program has the right date. */
static void a_date_that_was_wrong_before_a_crash_delays_nothing(void **state)
{
	struct town_enclave *a;

	(void)state;
	town_open(&town, two_steps);
	town.skew = 20 * HOUR_MS;
	a = town_enclave(&town, "ab");
	a->fail_times = 2; /* each once */
	town_start(&town, 1, false);
	town_start(&town, 2, false);
	town_settle(&town);
	assert_int_equal(counts().done, 0);
	town.skew = 0;
	town_crash(&town);
	town_pass(&town, 20000);
	assert_int_equal(counts().done, 2);
	town_ask(&town, BULLA_OP_WAIT, 1, false);
	settle_well(1);
	assert_true(town.result.ended_ms >= town.result.started_ms);
	town_close(&town);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starters_bring_links_alone),
		cmocka_unit_test(starters_links_stay_with_their_run),
		cmocka_unit_test(epochs_come_without_end),
		cmocka_unit_test(enclaves_of_an_old_epoch_leave),
		cmocka_unit_test(inputs_larger_than_a_message_end_their_run),
		cmocka_unit_test(a_full_connection_is_tried_again),
		cmocka_unit_test(a_disk_that_stands_still_holds_the_steps),
		cmocka_unit_test(an_old_run_does_not_keep_the_program_from_starting),
		cmocka_unit_test(a_date_that_jumps_delays_nothing),
		cmocka_unit_test(a_date_that_was_wrong_before_a_crash_delays_nothing),
	};

	return cmocka_run_group_tests_name("engine_hostile", tests, NULL, NULL);
}
