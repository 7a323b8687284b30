#include "broker/ledger_fact.h"
#include "crypto/hash.h"
#include "sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The invariants of engine.md section 11. What the ledger has durably on record is folded here a second time, by rules
 * that know nothing of plans: attempts in a row, one open, one receipt per slot. */

uint32_t truth_find(const struct sim *sim, const bulla_run_id *id)
{
	for (uint32_t i = 0; i < SIM_RUNS; i++)
		if (bulla_run_id_eq(&sim->runs[i].id, id))
			return i;
	return SIM_RUNS;
}

void truth_reset(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_RUNS; i++) {
		sim->runs[i].known = false;
		memset(sim->runs[i].slots, 0, sizeof(sim->runs[i].slots));
	}
}

/* Records are numbered, and what was durable once is the same for ever. */
static void remember(struct sim *sim, const struct bulla_journal_record *record)
{
	bulla_digest digest;
	bulla_bytes parts[2] = {bulla_bytes_of(&record->run_no, sizeof(record->run_no)), record->body};

	bulla_sha256_parts(parts, 2, &digest);
	if (record->lsn <= sim->ledger_count) {
		if (!bulla_digest_eq(&digest, &sim->ledger_records[record->lsn - 1]))
			sim_fail(sim, "the ledger's history has changed", (uint32_t)record->lsn, 0);
		return;
	}
	if (record->lsn != sim->ledger_count + 1)
		sim_fail(sim, "the ledger's history has a gap", (uint32_t)record->lsn, 0);
	if (sim->ledger_count == sim->ledger_capacity) {
		sim->ledger_capacity = sim->ledger_capacity == 0 ? 256 : 2 * sim->ledger_capacity;
		sim->ledger_records = realloc(sim->ledger_records, sim->ledger_capacity * sizeof(bulla_digest));
		assert(sim->ledger_records != NULL);
	}
	sim->ledger_records[sim->ledger_count++] = digest;
}

/* Every parent that the plan names is committed, and the permit is for exactly those. */
static void parents(struct sim *sim, uint32_t run, const struct bulla_entry *entry)
{
	const struct bulla_flow *flow = sim->world.plans[sim->runs[run].plan];
	struct bulla_flow_span deps = flow->steps[entry->step].deps;
	bulla_digest digests[SIM_STEPS], root;

	for (uint32_t i = 0; i < deps.count; i++) {
		const struct truth_slot *parent = &sim->runs[run].slots[flow->refs[deps.first + i]];

		if (!parent->filled)
			sim_fail(sim, "a permit before its parents are committed", run, entry->step);
		digests[i] = parent->receipt;
	}
	if (bulla_parents_root(bulla_bytes_of(digests, deps.count * sizeof(digests[0])), &root) != BULLA_OK ||
		!bulla_digest_eq(&root, &entry->digest))
		sim_fail(sim, "a permit on other parents", run, entry->step);
}

static uint8_t agent_letter(const struct sim *sim, uint32_t run, uint32_t step)
{
	const struct bulla_flow *flow = sim->world.plans[sim->runs[run].plan];

	return flow->actors[flow->steps[step].actor].handle[0];
}

static void permit(struct sim *sim, uint32_t run, struct truth_slot *slot, const struct ledger_fact *fact)
{
	const struct bulla_entry *entry = &fact->entry;
	uint32_t session = 0;

	bulla_copy(&session, fact->session, sizeof(session));
	if (session >= 1024 || sim->session_lapses[session] <= (int64_t)entry->time_ms)
		sim_fail(sim, "a permit for a session that has lapsed", run, session);
	if (sim->session_short[session % 1024] && agent_letter(sim, run, entry->step) >= 'a' + SIM_AGENTS_SHORT)
		sim_fail(sim, "a permit for an instance without the agent", run, entry->step);
	parents(sim, run, entry);
	if (slot->filled)
		sim_fail(sim, "a permit after the slot was filled", run, entry->step);
	if (slot->open)
		sim_fail(sim, "two attempts of a slot are open", run, entry->step);
	if (entry->attempt != slot->last + 1)
		sim_fail(sim, "attempts are not counted one by one", run, entry->step);
	slot->last = entry->attempt;
	slot->open = true;
	slot->instance = entry->who;
}

static void receipt(struct sim *sim, uint32_t run, struct truth_slot *slot, const struct bulla_entry *entry)
{
	if (slot->filled)
		sim_fail(sim, "two receipts for a slot", run, entry->step);
	if (entry->kind == BULLA_ENTRY_COMMIT) {
		if (!slot->open || entry->attempt != slot->last)
			sim_fail(sim, "a commit of an attempt that is not open", run, entry->step);
		if (!sim->lossy_ledger && !bulla_digest_eq(&entry->digest, &sim->runs[run].made[entry->step][entry->attempt % SIM_ATTEMPTS]))
			sim_fail(sim, "a commit of a receipt that no enclave made", run, entry->step);
		if (!bulla_digest_eq(&entry->who, &slot->instance))
			sim_fail(sim, "a commit by another instance", run, entry->step);
	}
	slot->open = false;
	if (entry->filled == 0)
		return;
	if (sim->world.plans[sim->runs[run].plan]->steps[entry->step].kind == BULLA_FLOW_CLOCK &&
		entry->time_ms < sim->runs[run].slots[entry->step - 1].filled_ms + 10000)
		sim_fail(sim, "the clock spoke too early", run, entry->step);
	slot->filled = true;
	slot->filled_ms = entry->time_ms;
	slot->receipt = entry->digest;
	slot->outcome = entry->outcome;
	slot->filled_by = entry->attempt;
}

static void entry_of(struct sim *sim, const struct ledger_fact *fact, uint32_t run)
{
	struct truth_slot *slot = &sim->runs[run].slots[fact->entry.step % SIM_STEPS];

	sim_trace(sim, fact->type == BULLA_LEDGER_PERMIT ? "  permit" : fact->type == BULLA_LEDGER_COMMIT ? "  commit" :
		fact->type == BULLA_LEDGER_GIVEN_UP ? "  given up" : fact->type == BULLA_LEDGER_CLOCK ? "  clock" : "  order",
		run, fact->entry.step, fact->entry.attempt);
	switch (fact->type) {
	case BULLA_LEDGER_PERMIT:
		permit(sim, run, slot, fact);
		break;
	case BULLA_LEDGER_COMMIT:
	case BULLA_LEDGER_CLOCK:
		receipt(sim, run, slot, &fact->entry);
		break;
	case BULLA_LEDGER_GIVEN_UP:
		if (!slot->open || fact->entry.attempt != slot->last)
			sim_fail(sim, "an attempt is given up that is not open", run, fact->entry.step);
		slot->open = false;
		if (++slot->lost > 16)
			sim_fail(sim, "more than sixteen lost attempts", run, fact->entry.step);
		break;
	default:
		break;
	}
}

/* Runs are numbered by the ledger in order of their RUN records: this maps back. */
static uint32_t run_of(struct sim *sim, const struct bulla_journal_record *record, const struct ledger_fact *fact)
{
	struct bulla_start_record start;
	uint32_t run;

	if (fact->type != BULLA_LEDGER_RUN) {
		for (run = 0; run < SIM_RUNS; run++)
			if (sim->runs[run].known && sim->runs[run].ledger_no == record->run_no)
				return run;
		return SIM_RUNS;
	}
	if (bulla_start_record_decode(fact->rest, &start) != BULLA_OK)
		return SIM_RUNS;
	run = truth_find(sim, &start.start.run);
	if (run == SIM_RUNS)
		return run;
	if (sim->runs[run].known)
		sim_fail(sim, "a run is started twice", run, 0);
	sim->runs[run].known = true;
	sim->runs[run].ledger_no = record->run_no;
	sim->runs[run].start = start.digest;
	sim->runs[run].slots[0] = (struct truth_slot){.filled = true, .receipt = start.digest};
	return run;
}

void truth_record(struct sim *sim, const struct bulla_journal_record *record, bool replay)
{
	struct ledger_fact fact;
	bulla_run_id id;
	bool named;
	uint32_t run;

	(void)replay;
	remember(sim, record);
	if (ledger_fact_of(record, &fact, &id, &named) != BULLA_OK) {
		sim_fail(sim, "a ledger record does not parse", (uint32_t)record->lsn, 0);
		return;
	}
	if (fact.type == BULLA_LEDGER_SESSION) {
		uint32_t session = 0;

		bulla_copy(&session, fact.session, sizeof(session));
		sim->session_lapses[session % 1024] = (int64_t)fact.expires_ms;
		sim->session_short[session % 1024] = fact.rest.n < SIM_AGENTS * sizeof(bulla_handle);
	}
	if (fact.type >= BULLA_LEDGER_SESSION)
		return;
	run = run_of(sim, record, &fact);
	if (run == SIM_RUNS)
		sim_fail(sim, "a ledger record of an unknown run", (uint32_t)record->lsn, fact.type);
	else if (fact.type != BULLA_LEDGER_RUN)
		entry_of(sim, &fact, run);
}

void truth_begins(struct sim *sim, const struct bulla_position *position, const bulla_digest *instance,
	const struct bulla_flow_parent *parents, size_t count)
{
	uint32_t run = truth_find(sim, &position->slot.run), step = position->slot.step;
	struct truth_slot *slot;

	if (run == SIM_RUNS || step >= SIM_STEPS || position->attempt >= SIM_ATTEMPTS) {
		sim_fail(sim, "an enclave begins what nobody asked for", run, step);
		return;
	}
	slot = &sim->runs[run].slots[step];
	if (sim->runs[run].ran[step][position->attempt]++ > 0 && !sim->lossy_ledger)
		sim_fail(sim, "an attempt runs twice", run, step);
	if (sim->lossy_ledger)
		return; /* it forgot permits and commits that were given */
	if (slot->last < position->attempt && sim->broker.alive)
		sim_fail(sim, "an attempt runs before its permit is durable", run, step);
	if (slot->last == position->attempt && !bulla_digest_eq(&slot->instance, instance))
		sim_fail(sim, "an attempt runs in another instance", run, step);
	if (count != sim->world.plans[sim->runs[run].plan]->steps[step].deps.count)
		sim_fail(sim, "a child runs without one of its parents", run, step);
	for (size_t i = 0; i < count; i++) {
		const struct truth_slot *parent = &sim->runs[run].slots[parents[i].step % SIM_STEPS];

		if (sim->broker.alive && (!parent->filled || !bulla_digest_eq(&parent->receipt, &parents[i].digest)))
			sim_fail(sim, "a child runs before its parent is committed", run, step);
	}
}

void truth_makes(struct sim *sim, const struct bulla_position *position, const bulla_digest *receipt)
{
	uint32_t run = truth_find(sim, &position->slot.run);

	sim->runs[run].made[position->slot.step][position->attempt] = *receipt;
}

/* A client sees a result: the ledger has the very same receipt, durably. */
void truth_result(struct sim *sim, uint32_t run, const struct bulla_msg_run_result *result)
{
	struct bulla_receipt_record record;
	const struct truth_slot *slot;

	sim_trace(sim, "result", run, result->state, result->outcome);
	if (sim->runs[run].ended)
		return;
	sim->runs[run].ended = true;
	sim->runs[run].state = (uint8_t)result->state;
	if (result->state != BULLA_RUN_DONE)
		return;
	if (result->receipts.count == 0 || bulla_receipt_record_decode(bulla_pb_list_at(&result->receipts, 0), &record) != BULLA_OK) {
		sim_fail(sim, "a result without its receipt", run, 0);
		return;
	}
	slot = &sim->runs[run].slots[record.receipt.position.slot.step % SIM_STEPS];
	if (sim->broker.alive && !sim->lossy_ledger && (!slot->filled || !bulla_digest_eq(&slot->receipt, &record.digest)))
		sim_fail(sim, "a result that the ledger does not have", run, record.receipt.position.slot.step);
	if (result->token.n == 0)
		sim_fail(sim, "a result without its token", run, 0);
}

/* Every run ended, and host and ledger agree. */
void truth_end(struct sim *sim)
{
	bool named = sim->mischief || sim->lossy_host || sim->lossy_ledger;

	for (uint32_t i = 0; i < sim->run_count; i++) {
		const struct sim_run *run = &sim->runs[i];
		bool ledger = sim->broker.alive && !sim->broker.w.disk.dead; /* runs that ended are read back */
		uint8_t state = ledger ? bulla_ledger_run_state(sim->broker.ledger, &run->id) : 0;

		if (!run->ended)
			sim_fail(sim, "a run never ends", i, 0);
		if (run->ended && run->state == BULLA_RUN_DONE && ledger && !sim->lossy_ledger && state != BULLA_RUN_DONE)
			sim_fail(sim, "host and ledger disagree", i, state);
		if (run->ended && run->state == BULLA_RUN_STUCK && !named)
			sim_fail(sim, "a run is stuck", i, 0);
	}
}
