#include "flow/flow.h"

#include "flow/plan_check.h"

#define NO_SLOT BULLA_FLOW_NO_SLOT
#define ENDING_FACTS 4 /* the limit's own receipt, a cancel, an erase, CLOSED */

/* What of a fact is looked at more than once. */
struct fact {
	const struct bulla_flow *flow;
	struct bulla_flow_run *run;
	const struct bulla_flow_event *event;
	struct bulla_flow_slot *slot;
};

static bool is_final(const struct bulla_flow_run *run)
{
	return run->state != BULLA_RUN_OPEN;
}

/* So few facts are left that no further attempt may begin: of each that is open the end still finds room, and the run's.
 * ahead: facts that may have come to be besides. */
static bool is_spent(const struct bulla_flow *flow, const struct bulla_flow_run *run, uint32_t ahead)
{
	return run->facts + ahead + run->slot_count + ENDING_FACTS >= flow->facts_max;
}

uint32_t bulla_flow_slots(const struct bulla_flow *flow)
{
	return flow->step_count;
}

bulla_rc bulla_flow_begin(const struct bulla_flow *flow, struct bulla_flow_slot *slots, uint32_t capacity,
	uint32_t seed, struct bulla_flow_run *ret_run)
{
	if (capacity < flow->step_count)
		return BULLA_FAIL(BULLA_E_LIMIT, "too few slots for the flow");
	for (uint32_t i = 0; i < flow->step_count; i++)
		if (flow->steps[i].max_items > 0 || flow->steps[i].undoes != BULLA_FLOW_NONE)
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "for_each and undo are not carried out yet");
	for (uint32_t i = 0; i < flow->step_count; i++)
		slots[i] = (struct bulla_flow_slot){
			.step = (uint16_t)i, .waits = flow->steps[i].deps.count, .next = NO_SLOT};
	*ret_run = (struct bulla_flow_run){.slots = slots,
		.slot_count = flow->step_count,
		.slot_capacity = capacity,
		.head = NO_SLOT,
		.tail = NO_SLOT,
		.open_steps = flow->forward_count,
		.seed = seed,
		.state = BULLA_RUN_OPEN};
	return BULLA_OK;
}

bulla_rc bulla_flow_run_move(struct bulla_flow_run *run, struct bulla_flow_slot *slots, uint32_t capacity)
{
	if (capacity < run->slot_count)
		return BULLA_FAIL(BULLA_E_LIMIT, "too few slots for the run");
	bulla_copy(slots, run->slots, run->slot_count * sizeof(*slots));
	run->slots = slots;
	run->slot_capacity = capacity;
	return BULLA_OK;
}

const struct bulla_flow_slot *bulla_flow_slot_of(const struct bulla_flow *flow, const struct bulla_flow_run *run,
	uint16_t step, uint32_t item)
{
	return step < flow->step_count && item == 0 ? &run->slots[step] : NULL;
}

uint32_t bulla_flow_tries_left(const struct bulla_flow *flow, const struct bulla_flow_slot *slot)
{
	uint16_t tries = flow->steps[slot->step].tries;

	return tries > slot->failures ? (uint32_t)(tries - slot->failures) : 0;
}

/* --- queue of new commands, in (step, item) order, each slot once --- */

static bool comes_before(const struct bulla_flow_slot *a, const struct bulla_flow_slot *b)
{
	return a->step != b->step ? a->step < b->step : a->item < b->item;
}

static void enqueue(struct bulla_flow_run *run, uint32_t index)
{
	struct bulla_flow_slot *slot = &run->slots[index];
	uint32_t *link = &run->head;

	if (slot->queued)
		return;
	slot->queued = 1;
	if (run->tail != NO_SLOT && comes_before(&run->slots[run->tail], slot))
		link = &run->slots[run->tail].next;
	while (*link != NO_SLOT && comes_before(&run->slots[*link], slot))
		link = &run->slots[*link].next;
	slot->next = *link;
	*link = index;
	if (slot->next == NO_SLOT)
		run->tail = index;
}

/* --- semantics --- */

/* Back-off doubles with each failure and gets up to a quarter more, so that runs do not come back together. */
static int64_t backoff_ms(const struct bulla_flow_step *step, const struct bulla_flow_run *run,
	const struct bulla_flow_slot *slot)
{
	int64_t wait = step->backoff_min_ms;
	uint64_t mix = ((uint64_t)run->seed << 32) ^ ((uint64_t)slot->step << 40) ^ ((uint64_t)slot->item << 8) ^ slot->attempt;

	for (unsigned i = 1; i < slot->failures && wait < step->backoff_max_ms; i++)
		wait *= 2;
	if (wait > step->backoff_max_ms)
		wait = step->backoff_max_ms;
	mix = (mix ^ (mix >> 30)) * 0xbf58476d1ce4e5b9U;
	mix = (mix ^ (mix >> 27)) * 0x94d049bb133111ebU;
	mix ^= mix >> 31;
	return wait + (int64_t)(mix % (uint64_t)(wait / 4 + 1));
}

static bool condition_holds(const struct bulla_flow_run *run, const struct bulla_flow_condition *condition)
{
	const struct bulla_flow_slot *on = &run->slots[condition->step];

	return on->state == BULLA_FLOW_FILLED && on->outcome < 64 && (condition->mask >> on->outcome & 1) != 0;
}

static bool conditions_hold(const struct bulla_flow *flow, const struct bulla_flow_run *run, uint32_t step)
{
	struct bulla_flow_span conditions = flow->steps[step].conditions;

	for (uint32_t i = 0; i < conditions.count; i++)
		if (!condition_holds(run, &flow->conditions[conditions.first + i]))
			return false;
	return true;
}

static int64_t due_of(const struct bulla_flow_step *step, int64_t now)
{
	if (step->kind == BULLA_FLOW_CLOCK)
		return now + step->timeout_ms;
	if (step->kind == BULLA_FLOW_PARTY)
		return step->timeout_ms > 0 ? now + step->timeout_ms : 0;
	return now;
}

static void mark_closed(struct bulla_flow_run *run, struct bulla_flow_slot *slot, uint8_t state, int64_t at_ms)
{
	slot->state = state;
	slot->at_ms = at_ms;
	slot->order = ++run->closed;
	if (slot->open)
		run->open_attempts--;
	slot->open = 0;
	run->open_steps--;
}

/* A slot that was just closed frees those who wait for it; those who are skipped free others in turn. Skipped slots are
 * chained through `next` (they are in no queue), so depth needs no stack. */
static void release(const struct bulla_flow *flow, struct bulla_flow_run *run, uint32_t closed, int64_t at_ms)
{
	uint32_t todo = NO_SLOT;

	for (;;) {
		struct bulla_flow_span waiting = flow->steps[run->slots[closed].step].waiting;

		for (uint32_t i = 0; i < waiting.count; i++) {
			uint32_t index = flow->refs[waiting.first + i];
			struct bulla_flow_slot *slot = &run->slots[index];

			if (--slot->waits > 0)
				continue;
			if (!conditions_hold(flow, run, index)) {
				mark_closed(run, slot, BULLA_FLOW_SKIPPED, at_ms);
				slot->next = todo;
				todo = index;
				continue;
			}
			slot->state = BULLA_FLOW_WANTED;
			slot->attempt = 1;
			slot->at_ms = due_of(&flow->steps[index], at_ms);
			enqueue(run, index);
		}
		if (todo == NO_SLOT)
			return;
		closed = todo;
		todo = run->slots[closed].next;
		run->slots[closed].next = NO_SLOT;
	}
}

static uint16_t last_output(const struct bulla_flow *flow, const struct bulla_flow_run *run)
{
	for (uint32_t i = flow->forward_count; i-- > 0;)
		if (run->slots[i].state == BULLA_FLOW_FILLED && flow->steps[i].kind != BULLA_FLOW_CLOCK)
			return (uint16_t)i;
	return 0;
}

/* Ends the run when nothing is wanted any more. */
static void finish(const struct bulla_flow *flow, struct bulla_flow_run *run, int64_t at_ms)
{
	if (is_final(run))
		return;
	if (run->ending != 0 && run->open_attempts > 0)
		return;
	if (run->ending == 0 && run->open_steps > 0)
		return;
	run->state = run->ending != 0 ? run->ending : BULLA_RUN_DONE;
	run->ended_ms = at_ms;
	run->result = last_output(flow, run);
}

/* From now on nothing forward is wanted; open attempts are told to stop. */
static void begin_ending(struct bulla_flow_run *run, uint8_t state, uint8_t why)
{
	run->ending = state;
	run->why = why;
	for (uint32_t i = 0; i < run->slot_count; i++)
		if (run->slots[i].state == BULLA_FLOW_WANTED && run->slots[i].open)
			enqueue(run, i);
}

/* --- facts --- */

static bulla_rc apply_started(struct fact *f)
{
	struct bulla_flow_slot *slot = &f->run->slots[0];

	if (slot->state == BULLA_FLOW_FILLED)
		return bulla_digest_eq(&slot->digest, &f->event->digest)
		? BULLA_OK
		: BULLA_FAIL(BULLA_E_FORK, "the run has another start record");
	if (is_final(f->run))
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run has ended");
	slot->digest = f->event->digest;
	mark_closed(f->run, slot, BULLA_FLOW_FILLED, f->event->at_ms);
	f->run->started_ms = f->event->at_ms;
	f->run->facts++;
	release(f->flow, f->run, 0, f->event->at_ms);
	return BULLA_OK;
}

/* An attempt that is not the wanted one: a repetition, or an impossible fact. */
static bulla_rc other_attempt(const struct fact *f)
{
	const struct bulla_flow_slot *slot = f->slot;
	const struct bulla_flow_event *event = f->event;

	if (event->attempt == 0 || event->attempt > slot->attempt)
		return BULLA_FAIL(BULLA_E_ATTEMPT_NUMBER, "that attempt is not wanted");
	if (slot->state == BULLA_FLOW_FILLED && event->attempt == slot->attempt) {
		if (event->kind != BULLA_FLOW_RESULT)
			return event->kind == BULLA_FLOW_OPENED
		? BULLA_OK
		: BULLA_FAIL(BULLA_E_SLOT_FILLED, "the slot has its receipt");
		return bulla_digest_eq(&slot->digest, &event->digest)
		? BULLA_OK
		: BULLA_FAIL(BULLA_E_FORK, "the slot has another receipt");
	}
	return BULLA_OK;
}

/* BULLA_OK and *ret_fresh: go on; BULLA_OK and not: a repetition. */
static bulla_rc find_attempt(struct fact *f, bool *ret_fresh)
{
	const struct bulla_flow_event *event = f->event;

	*ret_fresh = false;
	if (event->step == 0 || event->step >= f->flow->step_count || event->item != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	f->slot = &f->run->slots[event->step];
	if (f->slot->state == BULLA_FLOW_WAITING || f->slot->state == BULLA_FLOW_SKIPPED)
		return BULLA_FAIL(BULLA_E_PLAN, "nothing asks for that step");
	if (f->slot->state == BULLA_FLOW_FILLED || event->attempt != f->slot->attempt)
		return other_attempt(f);
	if (is_final(f->run))
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run has ended");
	*ret_fresh = true;
	return BULLA_OK;
}

static bulla_rc check_outcome(const struct fact *f)
{
	const struct bulla_flow_step *step = &f->flow->steps[f->event->step];
	bool lost = f->event->outcome == BULLA_OUTCOME_LOST;

	/* Who folds what the ledger says may be behind it by an attempt of each slot. */
	if (f->event->outcome == BULLA_OUTCOME_LIMIT)
		return step->kind == BULLA_FLOW_AGENT && is_spent(f->flow, f->run, f->run->slot_count)
		? BULLA_OK
		: BULLA_FAIL(BULLA_E_PLAN, "limit is said of runs with as many facts as there may be, and only then");
	if (lost != (f->slot->lost >= BULLA_MAX_FLOW_LOST))
		return BULLA_FAIL(BULLA_E_PLAN, "lost is said after the last lost attempt, and only then");
	if (BULLA_OUTCOME_IS_FAILURE(f->event->outcome))
		return f->event->outcome <= BULLA_OUTCOME_LOST
		? BULLA_OK
		: BULLA_FAIL(BULLA_E_ARGUMENT, "no such failure");
	if (f->event->outcome >= bulla_flow_outcome_count(step))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such outcome");
	return BULLA_OK;
}

static void end_attempt(struct fact *f, int64_t due_ms)
{
	struct bulla_flow_slot *slot = f->slot;

	if (slot->open)
		f->run->open_attempts--;
	slot->open = 0;
	slot->attempt++;
	slot->at_ms = due_ms;
	if (f->run->ending == 0)
		enqueue(f->run, slot->step);
}

static void fail_run(struct fact *f)
{
	f->run->failed_step = f->event->step;
	f->run->failed_item = f->event->item;
	f->run->failed_attempt = f->event->attempt;
	begin_ending(f->run, BULLA_RUN_FAILED, f->event->outcome);
}

static bulla_rc apply_result(struct fact *f)
{
	const struct bulla_flow_event *event = f->event;
	bool fresh, failure = BULLA_OUTCOME_IS_FAILURE(event->outcome);

	BULLA_TRY(find_attempt(f, &fresh));
	if (!fresh)
		return BULLA_OK;
	BULLA_TRY(check_outcome(f));
	f->run->facts++;
	f->slot->digest = event->digest;
	f->slot->outcome = event->outcome;
	if (failure)
		f->slot->failures++;
	if (failure && event->outcome < BULLA_OUTCOME_LOST && bulla_flow_tries_left(f->flow, f->slot) > 0) {
		end_attempt(f, event->at_ms + backoff_ms(&f->flow->steps[event->step], f->run, f->slot));
	} else {
		mark_closed(f->run, f->slot, BULLA_FLOW_FILLED, event->at_ms);
		if (failure && f->run->ending == 0)
			fail_run(f);
		else if (!failure && f->run->ending == 0)
			release(f->flow, f->run, event->step, event->at_ms);
	}
	finish(f->flow, f->run, event->at_ms);
	return BULLA_OK;
}

static bulla_rc apply_lost(struct fact *f)
{
	bool fresh;

	BULLA_TRY(find_attempt(f, &fresh));
	if (!fresh)
		return BULLA_OK;
	if (f->flow->steps[f->event->step].kind != BULLA_FLOW_AGENT || f->slot->lost >= BULLA_MAX_FLOW_LOST)
		return BULLA_FAIL(BULLA_E_PLAN, "that attempt cannot be lost");
	f->run->facts++;
	f->slot->lost++;
	end_attempt(f, f->event->at_ms);
	finish(f->flow, f->run, f->event->at_ms);
	return BULLA_OK;
}

static bulla_rc apply_opened(struct fact *f)
{
	bool fresh;

	BULLA_TRY(find_attempt(f, &fresh));
	if (!fresh || f->slot->open)
		return BULLA_OK;
	if (f->run->ending != 0)
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run is ending");
	f->slot->open = 1; /* no fact of its own: its end is, and hosts see no permits here */
	f->run->open_attempts++;
	return BULLA_OK;
}

/* CANCELLED, EXPIRED, ERASED: the first one counts, but an erased run is erased whatever was before. */
static bulla_rc apply_order(struct fact *f)
{
	struct bulla_flow_run *run = f->run;

	if (f->event->kind == BULLA_FLOW_ERASED) {
		if (run->state == BULLA_RUN_ERASED)
			return BULLA_OK;
		run->facts++;
		run->ended_ms = is_final(run) ? run->ended_ms : f->event->at_ms;
		run->state = BULLA_RUN_ERASED;
		return BULLA_OK;
	}
	if (run->ending != 0)
		return BULLA_OK;
	if (is_final(run))
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run has ended");
	run->facts++;
	if (f->event->kind == BULLA_FLOW_CANCELLED)
		begin_ending(run, BULLA_RUN_CANCELLED, 0);
	else
		begin_ending(run, BULLA_RUN_FAILED, BULLA_OUTCOME_TIMEOUT);
	finish(f->flow, run, f->event->at_ms);
	return BULLA_OK;
}

static bulla_rc apply_closed(struct fact *f)
{
	if (!is_final(f->run))
		return BULLA_FAIL(BULLA_E_PLAN, "the run has not ended");
	if (!f->run->recorded)
		f->run->facts++;
	f->run->recorded = 1;
	return BULLA_OK;
}

static bulla_rc apply_items(struct fact *f)
{
	(void)f;
	return BULLA_FAIL(BULLA_E_PLAN, "the flow has no for_each");
}

bulla_rc bulla_flow_apply(const struct bulla_flow *flow, struct bulla_flow_run *run,
	const struct bulla_flow_event *event)
{
	static bulla_rc (*const table[])(struct fact *) = {
		[BULLA_FLOW_STARTED] = apply_started,  [BULLA_FLOW_RESULT] = apply_result,
		[BULLA_FLOW_LOST] = apply_lost,        [BULLA_FLOW_OPENED] = apply_opened,
		[BULLA_FLOW_ITEMS] = apply_items,      [BULLA_FLOW_CANCELLED] = apply_order,
		[BULLA_FLOW_ERASED] = apply_order,     [BULLA_FLOW_EXPIRED] = apply_order,
		[BULLA_FLOW_CLOSED] = apply_closed,
	};
	struct fact f = {.flow = flow, .run = run, .event = event};

	if (event->kind == 0 || event->kind >= sizeof(table) / sizeof(table[0]))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such fact");
	if (run->facts >= flow->facts_max)
		return BULLA_FAIL(BULLA_E_LIMIT, "facts of a run");
	return table[event->kind](&f);
}

/* --- commands --- */

/* False when the slot asks for nothing. */
static bool command_of(const struct bulla_flow *flow, const struct bulla_flow_run *run,
	const struct bulla_flow_slot *slot, struct bulla_flow_command *ret)
{
	static const uint8_t verbs[] = {[BULLA_FLOW_AGENT] = BULLA_FLOW_RUN,
					[BULLA_FLOW_PARTY] = BULLA_FLOW_ASK_PARTY,
					[BULLA_FLOW_CLOCK] = BULLA_FLOW_ASK_CLOCK};

	if (slot->state != BULLA_FLOW_WANTED || is_final(run) || (run->ending != 0 && !slot->open))
		return false;
	*ret = (struct bulla_flow_command){.kind = verbs[flow->steps[slot->step].kind],
		.step = slot->step,
		.item = slot->item,
		.attempt = slot->attempt,
		.due_ms = slot->at_ms};
	if (run->ending != 0)
		ret->kind = BULLA_FLOW_STOP;
	else if (slot->lost >= BULLA_MAX_FLOW_LOST) {
		ret->kind = BULLA_FLOW_ASK_CLOCK;
		ret->why = BULLA_OUTCOME_LOST;
	} else if (ret->kind == BULLA_FLOW_RUN && !slot->open && is_spent(flow, run, 0)) {
		ret->kind = BULLA_FLOW_ASK_CLOCK;
		ret->why = BULLA_OUTCOME_LIMIT;
		ret->due_ms = 0;
	}
	return true;
}

static struct bulla_flow_command last_command(const struct bulla_flow_run *run)
{
	if (run->state == BULLA_RUN_DONE)
		return (struct bulla_flow_command){
			.kind = BULLA_FLOW_COMPLETE, .step = run->result, .due_ms = run->ended_ms};
	return (struct bulla_flow_command){.kind = BULLA_FLOW_FAIL,
		.why = run->why,
		.step = run->failed_step,
		.item = run->failed_item,
		.attempt = run->failed_attempt,
		.due_ms = run->ended_ms};
}

bulla_rc bulla_flow_decide(const struct bulla_flow *flow, struct bulla_flow_run *run,
	struct bulla_flow_command *ret_commands, size_t capacity, size_t *ret_count)
{
	size_t n = 0;

	while (run->head != NO_SLOT && n < capacity) {
		struct bulla_flow_slot *slot = &run->slots[run->head];

		run->head = slot->next;
		slot->next = NO_SLOT;
		slot->queued = 0;
		if (command_of(flow, run, slot, &ret_commands[n]))
			n++;
	}
	if (run->head == NO_SLOT)
		run->tail = NO_SLOT;
	if (run->head == NO_SLOT && n < capacity && is_final(run) && !run->announced) {
		if (!run->recorded)
			ret_commands[n++] = last_command(run);
		run->announced = 1;
	}
	*ret_count = n;
	return BULLA_OK;
}

bulla_rc bulla_flow_outstanding(const struct bulla_flow *flow, const struct bulla_flow_run *run, size_t *cursor,
				struct bulla_flow_command *ret_command)
{
	while (*cursor < run->slot_count)
		if (command_of(flow, run, &run->slots[(*cursor)++], ret_command))
			return BULLA_OK;
	if (*cursor == run->slot_count && is_final(run) && !run->recorded) {
		(*cursor)++;
		*ret_command = last_command(run);
		return BULLA_OK;
	}
	return BULLA_E_NOT_FOUND;
}

bulla_rc bulla_flow_wants(const struct bulla_flow *flow, const struct bulla_flow_run *run, uint16_t step,
	uint32_t item, uint32_t attempt)
{
	const struct bulla_flow_slot *slot = bulla_flow_slot_of(flow, run, step, item);

	if (!slot || step == 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "no such slot");
	if (is_final(run) || run->ending != 0)
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run has ended or is ending");
	if (slot->state == BULLA_FLOW_FILLED)
		return BULLA_FAIL(BULLA_E_SLOT_FILLED, "the slot has its receipt");
	if (slot->state != BULLA_FLOW_WANTED || slot->lost >= BULLA_MAX_FLOW_LOST)
		return BULLA_FAIL(BULLA_E_PLAN, "nothing asks for that step");
	if (slot->open)
		return BULLA_FAIL(BULLA_E_ATTEMPT_OPEN, "an attempt is open");
	if (slot->attempt != attempt)
		return BULLA_FAIL(BULLA_E_ATTEMPT_NUMBER, "another attempt is wanted");
	if (flow->steps[step].kind == BULLA_FLOW_AGENT && is_spent(flow, run, 0))
		return BULLA_FAIL(BULLA_E_LIMIT, "the run has as many facts as a run may have");
	return BULLA_OK;
}
