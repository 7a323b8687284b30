#include "test.h"

#include "flow/flow.h"
#include "flow/flows.h"

#define STEPS 16
#define FACTS 512

static struct flows f;

struct world {
	struct bulla_flow_slot slots[STEPS];
	struct bulla_flow_run run;
	struct bulla_flow_command wanted[64]; /* union of deltas, what facts closed taken out */
	size_t wanted_count;
};

struct history {
	struct bulla_flow_event facts[FACTS];
	size_t count;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed += 0x9e3779b97f4a7c15U;
	uint64_t z = *seed;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static void begin(const struct bulla_flow *flow, struct world *w)
{
	bulla_zero(w, sizeof(*w));
	assert_ok(bulla_flow_begin(flow, w->slots, STEPS, 7, &w->run));
}

static struct bulla_flow_event result(uint16_t step, uint32_t attempt, uint8_t outcome, int64_t at)
{
	struct bulla_flow_event event = {
		.kind = BULLA_FLOW_RESULT, .outcome = outcome, .step = step, .attempt = attempt, .at_ms = at};

	event.digest.b[0] = (uint8_t)step;
	event.digest.b[1] = (uint8_t)attempt;
	event.digest.b[2] = outcome;
	return event;
}

static struct bulla_flow_event started(void)
{
	return (struct bulla_flow_event){.kind = BULLA_FLOW_STARTED, .at_ms = 1000, .digest.b[0] = 9};
}

static size_t drain(const struct bulla_flow *flow, struct world *w, struct bulla_flow_command *ret, size_t capacity)
{
	size_t n = 0, got;

	do {
		assert_ok(bulla_flow_decide(flow, &w->run, ret + n, 1, &got));
		n += got;
		assert_true(n < capacity);
	} while (got == 1);
	return n;
}

static void linear_runs_to_its_end(void **state)
{
	const struct bulla_flow *flow = flows_linear(&f, 2);
	struct bulla_flow_event event = started();
	struct bulla_flow_command c[8];
	struct world w;

	(void)state;
	begin(flow, &w);
	assert_int_equal(drain(flow, &w, c, 8), 0);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(drain(flow, &w, c, 8), 1);
	assert_int_equal(c[0].kind, BULLA_FLOW_RUN);
	assert_int_equal(c[0].step, 1);
	assert_int_equal(c[0].attempt, 1);
	event = result(1, 1, 0, 1100);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(drain(flow, &w, c, 8), 1);
	assert_int_equal(c[0].step, 2);
	event = result(2, 1, 0, 1200);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(drain(flow, &w, c, 8), 1);
	assert_int_equal(c[0].kind, BULLA_FLOW_COMPLETE);
	assert_int_equal(c[0].step, 2);
	assert_int_equal(w.run.state, BULLA_RUN_DONE);
	assert_int_equal(w.run.ended_ms, 1200);
}

static void failures_are_retried_and_then_fill(void **state)
{
	const struct bulla_flow *flow = flows_linear(&f, 2);
	struct bulla_flow_event event = started();
	struct bulla_flow_command c[8];
	struct world w;

	(void)state;
	begin(flow, &w);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		assert_int_equal(drain(flow, &w, c, 8), 1);
		assert_int_equal(c[0].attempt, attempt);
		assert_int_equal(bulla_flow_tries_left(flow, &w.slots[1]), 4 - attempt);
		if (attempt == 2) /* back-off: 1 s and up to a quarter */
			assert_in_range((uint64_t)c[0].due_ms, 2000 + 1000, 2000 + 1250);
		if (attempt == 3)
			assert_in_range((uint64_t)c[0].due_ms, 4000 + 2000, 4000 + 2500);
		event = result(1, attempt, BULLA_OUTCOME_FAILED, 2000 * (int64_t)attempt);
		assert_ok(bulla_flow_apply(flow, &w.run, &event));
	}
	assert_int_equal(drain(flow, &w, c, 8), 1);
	assert_int_equal(c[0].kind, BULLA_FLOW_FAIL);
	assert_int_equal(c[0].why, BULLA_OUTCOME_FAILED);
	assert_int_equal(c[0].step, 1);
	assert_int_equal(c[0].attempt, 3);
	assert_int_equal(w.run.state, BULLA_RUN_FAILED);
	event = (struct bulla_flow_event){.kind = BULLA_FLOW_CLOSED};
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	size_t cursor = 0;
	assert_rc(BULLA_E_NOT_FOUND, bulla_flow_outstanding(flow, &w.run, &cursor, c));
}

static void sixteen_lost_attempts_are_the_end(void **state)
{
	const struct bulla_flow *flow = flows_linear(&f, 1);
	struct bulla_flow_event event = started();
	struct bulla_flow_command c[8];
	struct world w;

	(void)state;
	begin(flow, &w);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	for (uint32_t attempt = 1; attempt <= BULLA_MAX_FLOW_LOST; attempt++) {
		assert_int_equal(drain(flow, &w, c, 8), 1);
		assert_int_equal(c[0].kind, BULLA_FLOW_RUN);
		event = (struct bulla_flow_event){.kind = BULLA_FLOW_LOST, .step = 1, .attempt = attempt};
		assert_ok(bulla_flow_apply(flow, &w.run, &event));
		assert_int_equal(bulla_flow_tries_left(flow, &w.slots[1]), 3);
	}
	assert_int_equal(drain(flow, &w, c, 8), 1);
	assert_int_equal(c[0].kind, BULLA_FLOW_ASK_CLOCK);
	assert_int_equal(c[0].why, BULLA_OUTCOME_LOST);
	assert_rc(BULLA_E_PLAN, bulla_flow_wants(flow, &w.run, 1, 0, BULLA_MAX_FLOW_LOST + 1));
	event = result(1, BULLA_MAX_FLOW_LOST + 1, 0, 5000);
	assert_rc(BULLA_E_PLAN, bulla_flow_apply(flow, &w.run, &event));
	event.outcome = BULLA_OUTCOME_LOST;
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(w.run.state, BULLA_RUN_FAILED);
}

static void branches_skip_what_is_not_taken(void **state)
{
	static const uint8_t kinds[] = {BULLA_FLOW_RUN, BULLA_FLOW_ASK_PARTY, BULLA_FLOW_ASK_CLOCK};
	const struct bulla_flow *flow = flows_branches(&f);

	(void)state;
	for (uint8_t outcome = 0; outcome < 3; outcome++) {
		struct bulla_flow_event event = started();
		struct bulla_flow_command c[8];
		struct world w;

		begin(flow, &w);
		assert_ok(bulla_flow_apply(flow, &w.run, &event));
		event = result(1, 1, outcome, 2000);
		assert_ok(bulla_flow_apply(flow, &w.run, &event));
		assert_int_equal(drain(flow, &w, c, 8), 1);
		assert_int_equal(c[0].kind, kinds[outcome]);
		assert_int_equal(c[0].step, 2 + outcome);
		if (outcome == 2)
			assert_int_equal(c[0].due_ms, 12000);
		for (uint16_t other = 2; other < 5; other++)
			assert_int_equal(w.slots[other].state,
				other == 2 + outcome ? BULLA_FLOW_WANTED : BULLA_FLOW_SKIPPED);
		event = result((uint16_t)(2 + outcome), 1, 0, 13000);
		assert_ok(bulla_flow_apply(flow, &w.run, &event));
		assert_int_equal(drain(flow, &w, c, 8), 1);
		assert_int_equal(c[0].step, 5);
	}
}

static void orders_end_a_run(void **state)
{
	const struct bulla_flow *flow = flows_parallel(&f);
	struct bulla_flow_event event = started();
	struct bulla_flow_command c[8];
	struct world w;

	(void)state;
	begin(flow, &w);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	event = result(1, 1, 0, 2000);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	event = (struct bulla_flow_event){.kind = BULLA_FLOW_OPENED, .step = 2, .attempt = 1};
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	drain(flow, &w, c, 8);
	event = (struct bulla_flow_event){.kind = BULLA_FLOW_CANCELLED, .at_ms = 3000};
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(drain(flow, &w, c, 8), 1);
	assert_int_equal(c[0].kind, BULLA_FLOW_STOP);
	assert_int_equal(w.run.state, BULLA_RUN_OPEN); /* the open attempt may still commit */
	assert_rc(BULLA_E_RUN_CLOSED, bulla_flow_wants(flow, &w.run, 3, 0, 1));
	event = result(2, 1, 0, 4000);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(w.run.state, BULLA_RUN_CANCELLED);
	event = result(3, 1, 0, 4000);
	assert_rc(BULLA_E_RUN_CLOSED, bulla_flow_apply(flow, &w.run, &event));
	event = (struct bulla_flow_event){.kind = BULLA_FLOW_ERASED};
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(w.run.state, BULLA_RUN_ERASED);
}

static void impossible_facts_change_nothing(void **state)
{
	const struct bulla_flow *flow = flows_linear(&f, 2);
	struct bulla_flow_event event = started();
	struct world w, before;

	(void)state;
	begin(flow, &w);
	event = result(1, 1, 0, 0);
	assert_rc(BULLA_E_PLAN, bulla_flow_apply(flow, &w.run, &event));
	event = started();
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	before = w;
	event.digest.b[0] = 8;
	assert_rc(BULLA_E_FORK, bulla_flow_apply(flow, &w.run, &event));
	event = result(2, 1, 0, 0);
	assert_rc(BULLA_E_PLAN, bulla_flow_apply(flow, &w.run, &event));
	event = result(1, 2, 0, 0);
	assert_rc(BULLA_E_ATTEMPT_NUMBER, bulla_flow_apply(flow, &w.run, &event));
	event = result(1, 1, 1, 0);
	assert_rc(BULLA_E_ARGUMENT, bulla_flow_apply(flow, &w.run, &event));
	event = result(9, 1, 0, 0);
	assert_rc(BULLA_E_ARGUMENT, bulla_flow_apply(flow, &w.run, &event));
	event = (struct bulla_flow_event){.kind = BULLA_FLOW_CLOSED};
	assert_rc(BULLA_E_PLAN, bulla_flow_apply(flow, &w.run, &event));
	event = (struct bulla_flow_event){.kind = 77};
	assert_rc(BULLA_E_ARGUMENT, bulla_flow_apply(flow, &w.run, &event));
	assert_memory_equal(&w, &before, sizeof(w));
	event = result(1, 1, 0, 5);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	before = w;
	event.digest.b[5] = 1;
	assert_rc(BULLA_E_FORK, bulla_flow_apply(flow, &w.run, &event));
	event = result(1, 1, 0, 99);
	assert_ok(bulla_flow_apply(flow, &w.run, &event)); /* again */
	assert_memory_equal(&w, &before, sizeof(w));
}

/* --- laws over random histories --- */

/* A random fact that answers one of the outstanding commands; false when there is none. */
static bool random_fact(const struct bulla_flow *flow, const struct world *w, uint64_t *seed, int64_t now,
			struct bulla_flow_event *ret)
{
	struct bulla_flow_command c, pick = {0};
	size_t cursor = 0, n = 0;

	while (bulla_flow_outstanding(flow, &w->run, &cursor, &c) == BULLA_OK)
		if (next_random(seed) % ++n == 0)
			pick = c;
	if (n == 0)
		return false;
	if (pick.kind == BULLA_FLOW_COMPLETE || pick.kind == BULLA_FLOW_FAIL)
		*ret = (struct bulla_flow_event){.kind = BULLA_FLOW_CLOSED};
	else if (pick.kind == BULLA_FLOW_RUN && next_random(seed) % 8 == 0)
		*ret = (struct bulla_flow_event){.kind = BULLA_FLOW_LOST, .step = pick.step, .attempt = pick.attempt};
	else if (pick.kind == BULLA_FLOW_RUN && next_random(seed) % 5 == 0)
		*ret = (struct bulla_flow_event){.kind = BULLA_FLOW_OPENED, .step = pick.step, .attempt = pick.attempt};
	else if (pick.kind == BULLA_FLOW_RUN && next_random(seed) % 6 == 0)
		*ret = result(pick.step, pick.attempt, BULLA_OUTCOME_CRASH, now);
	else if (pick.why == BULLA_OUTCOME_LOST)
		*ret = result(pick.step, pick.attempt, BULLA_OUTCOME_LOST, now);
	else
		*ret = result(pick.step, pick.attempt,
			(uint8_t)(next_random(seed) % (flow->steps[pick.step].words.count + 1) %
					(flow->steps[pick.step].words.count ? flow->steps[pick.step].words.count : 1)),
			now);
	if (next_random(seed) % 64 == 0 && w->run.state == BULLA_RUN_OPEN)
		*ret = (struct bulla_flow_event){.kind = BULLA_FLOW_CANCELLED};
	ret->at_ms = now;
	return true;
}

static void random_history(const struct bulla_flow *flow, uint64_t seed, struct history *h)
{
	struct world w;
	struct bulla_flow_command c[64];

	begin(flow, &w);
	h->count = 0;
	h->facts[h->count++] = started();
	assert_ok(bulla_flow_apply(flow, &w.run, &h->facts[0]));
	while (h->count < FACTS &&
		random_fact(flow, &w, &seed, 1000 + (int64_t)h->count * 10, &h->facts[h->count])) {
		assert_ok(bulla_flow_apply(flow, &w.run, &h->facts[h->count]));
		h->count++;
		drain(flow, &w, c, 64);
	}
	assert_true(h->count < FACTS);
	assert_true(w.run.state != BULLA_RUN_OPEN);
}

static bool same_command(const struct bulla_flow_command *a, const struct bulla_flow_command *b)
{
	return a->kind == b->kind && a->why == b->why && a->step == b->step && a->item == b->item &&
		a->attempt == b->attempt && a->due_ms == b->due_ms;
}

/* Is this delta of earlier still wanted? Then it is among the outstanding ones. */
static bool is_outstanding(const struct bulla_flow *flow, const struct world *w, const struct bulla_flow_command *c)
{
	struct bulla_flow_command o;
	size_t cursor = 0;

	while (bulla_flow_outstanding(flow, &w->run, &cursor, &o) == BULLA_OK)
		if (same_command(c, &o))
			return true;
	return false;
}

/* Applies facts; where the bits of `cuts` say so, decide is drained, and the deltas are collected. */
static void replay(const struct bulla_flow *flow, const struct history *h, size_t upto, uint64_t cuts, bool twice,
	struct world *w)
{
	size_t kept = 0;

	begin(flow, w);
	for (size_t i = 0; i < upto; i++) {
		assert_ok(bulla_flow_apply(flow, &w->run, &h->facts[i]));
		if (twice)
			assert_ok(bulla_flow_apply(flow, &w->run, &h->facts[i]));
		if (cuts >> (i % 61) & 1)
			w->wanted_count += drain(flow, w, w->wanted + w->wanted_count, 64 - w->wanted_count);
		kept = 0;
		for (size_t k = 0; k < w->wanted_count; k++)
			if (is_outstanding(flow, w, &w->wanted[k]))
				w->wanted[kept++] = w->wanted[k];
		w->wanted_count = kept;
	}
	w->wanted_count += drain(flow, w, w->wanted + w->wanted_count, 64 - w->wanted_count);
}

static void check_union(const struct bulla_flow *flow, const struct world *w)
{
	struct bulla_flow_command o;
	size_t cursor = 0, n = 0;

	while (bulla_flow_outstanding(flow, &w->run, &cursor, &o) == BULLA_OK) {
		bool found = false;

		for (size_t k = 0; k < w->wanted_count; k++)
			found = found || same_command(&o, &w->wanted[k]);
		assert_true(found);
		n++;
	}
	assert_int_equal(n, w->wanted_count);
}

static void check_same(const struct world *a, const struct world *b)
{
	struct bulla_flow_run ra = a->run, rb = b->run;

	ra.slots = NULL;
	rb.slots = NULL;
	assert_memory_equal(&ra, &rb, sizeof(ra));
	assert_memory_equal(a->slots, b->slots, sizeof(a->slots));
}

static void laws_hold(void **state)
{
	static struct history h;
	static struct world once, split, twice;
	const struct bulla_flow *flows[3];
	static struct flows f1, f2, f3;

	(void)state;
	flows[0] = flows_linear(&f1, 4);
	flows[1] = flows_branches(&f2);
	flows[2] = flows_parallel(&f3);
	for (uint64_t seed = 1; seed <= 1500; seed++) {
		const struct bulla_flow *flow = flows[seed % 3];
		uint64_t cuts = seed * 0x9e3779b97f4a7c15U;

		random_history(flow, seed, &h);
		for (size_t upto = 1; upto <= h.count; upto += 1 + h.count / 7) {
			replay(flow, &h, upto, 0, false, &once);
			replay(flow, &h, upto, cuts, false, &split);
			replay(flow, &h, upto, cuts, true, &twice);
			check_same(&once, &split);
			check_same(&once, &twice);
			check_union(flow, &once);
			check_union(flow, &split);
		}
	}
}

/* A run of as many facts as there may be begins no further attempt: the broker's word ends it, and finds room. */
static void a_long_run_ends_by_its_limit(void **state)
{
	const struct bulla_flow *decoded = flows_linear(&f, 2);
	struct bulla_flow low = *decoded;
	const struct bulla_flow *flow = &low;
	struct bulla_flow_event event = started(), early = result(1, 1, BULLA_OUTCOME_LIMIT, 5000);
	struct bulla_flow_command c[8];
	struct world w;

	(void)state;
	low.facts_max = 3 + 3 + 4 + 2; /* slots, the same for who is behind, the end, and two attempts */
	begin(flow, &w);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_rc(BULLA_E_PLAN, bulla_flow_apply(flow, &w.run, &early)); /* not yet */
	assert_int_equal(drain(flow, &w, c, 8), 1);
	for (uint32_t attempt = 1; c[0].kind == BULLA_FLOW_RUN; attempt++) {
		assert_true(attempt <= 5);
		assert_ok(bulla_flow_wants(flow, &w.run, 1, 0, attempt));
		event = (struct bulla_flow_event){.kind = BULLA_FLOW_OPENED, .step = 1, .attempt = attempt};
		assert_ok(bulla_flow_apply(flow, &w.run, &event));
		event.kind = BULLA_FLOW_LOST;
		assert_ok(bulla_flow_apply(flow, &w.run, &event));
		assert_int_equal(drain(flow, &w, c, 8), 1);
	}
	assert_int_equal(c[0].kind, BULLA_FLOW_ASK_CLOCK);
	assert_int_equal(c[0].why, BULLA_OUTCOME_LIMIT);
	assert_rc(BULLA_E_LIMIT, bulla_flow_wants(flow, &w.run, 1, 0, c[0].attempt));
	event = result(1, c[0].attempt, BULLA_OUTCOME_LIMIT, 5000);
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	assert_int_equal(w.run.state, BULLA_RUN_FAILED);
	assert_int_equal(w.run.why, BULLA_OUTCOME_LIMIT);
	event = (struct bulla_flow_event){.kind = BULLA_FLOW_CLOSED};
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
	event.kind = BULLA_FLOW_ERASED;
	assert_ok(bulla_flow_apply(flow, &w.run, &event));
}

/* An attempt that is open when the limit comes ends as it ends. */
static void an_open_attempt_outlives_the_limit(void **state)
{
	const struct bulla_flow *decoded = flows_linear(&f, 2);
	struct bulla_flow low = *decoded;
	struct bulla_flow_event event = started();
	struct bulla_flow_command c[8];
	struct world w;

	(void)state;
	begin(&low, &w);
	assert_ok(bulla_flow_apply(&low, &w.run, &event));
	assert_int_equal(drain(&low, &w, c, 8), 1);
	event = (struct bulla_flow_event){.kind = BULLA_FLOW_OPENED, .step = 1, .attempt = 1};
	assert_ok(bulla_flow_apply(&low, &w.run, &event));
	low.facts_max = w.run.facts + 3 + 4; /* now */
	assert_rc(BULLA_E_ATTEMPT_OPEN, bulla_flow_wants(&low, &w.run, 1, 0, 1));
	event = result(1, 1, 0, 5000);
	assert_ok(bulla_flow_apply(&low, &w.run, &event));
	assert_int_equal(drain(&low, &w, c, 8), 1);
	assert_int_equal(c[0].step, 2);
	assert_int_equal(c[0].why, BULLA_OUTCOME_LIMIT);
}

static void limits_are_kept(void **state)
{
	const struct bulla_flow *flow = flows_linear(&f, 3);
	struct bulla_flow_event event = started();
	struct world w;

	(void)state;
	assert_rc(BULLA_E_LIMIT, bulla_flow_begin(flow, w.slots, 3, 0, &w.run));
	begin(flow, &w);
	w.run.facts = BULLA_MAX_FLOW_FACTS;
	assert_rc(BULLA_E_LIMIT, bulla_flow_apply(flow, &w.run, &event));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_runs_to_its_end),
		cmocka_unit_test(failures_are_retried_and_then_fill),
		cmocka_unit_test(sixteen_lost_attempts_are_the_end),
		cmocka_unit_test(a_long_run_ends_by_its_limit),
		cmocka_unit_test(an_open_attempt_outlives_the_limit),
		cmocka_unit_test(branches_skip_what_is_not_taken),
		cmocka_unit_test(orders_end_a_run),
		cmocka_unit_test(impossible_facts_change_nothing),
		cmocka_unit_test(laws_hold),
		cmocka_unit_test(limits_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
