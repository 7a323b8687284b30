#include "engine/state.h"

#include "base/mem.h"

/* Runs are made in chunks and never freed: a place is used again. */
#define RUN_CHUNK 64
#define HASH_SIZE 16384u /* chains are short: four at the most residents */
#define BLOOM_BITS ((uint32_t)1 << 23)
#define WAITERS_STEP 256u

static uint32_t hash_of(const bulla_run_id *id)
{
	uint32_t h = 0;

	/* the last bytes are random, or of an HMAC */
	for (unsigned i = 0; i < 4; i++)
		h = h << 8 | id->b[12 + i];
	return h % HASH_SIZE;
}

struct run *run_at(struct bulla_engine *e, uint32_t index)
{
	return &e->chunks[index / RUN_CHUNK][index % RUN_CHUNK];
}

static const struct run *run_peek(const struct bulla_engine *e, uint32_t index)
{
	return &e->chunks[index / RUN_CHUNK][index % RUN_CHUNK];
}

bulla_rc runs_init(struct bulla_engine *e)
{
	void *p;

	BULLA_TRY(bulla_alloc(BULLA_MAX_RUN_RESIDENT / RUN_CHUNK + 1, sizeof(*e->chunks), &p));
	e->chunks = p;
	BULLA_TRY(bulla_alloc(HASH_SIZE, sizeof(*e->run_hash), &p));
	e->run_hash = p;
	BULLA_TRY(bulla_alloc(BLOOM_BITS / 64, sizeof(*e->bloom), &p));
	e->bloom = p;
	e->free_run = e->newest = e->oldest = e->newest_kept = e->oldest_kept = NO_REF;
	e->free_waiter = NO_REF;
	return BULLA_OK;
}

void runs_done(struct bulla_engine *e)
{
	for (uint32_t i = 0; i < e->run_count; i++) {
		struct run *run = run_at(e, i);

		if (!run->used)
			continue;
		for (uint32_t s = 0; run->works && s < run->fold.slot_count; s++) {
			bulla_pool_give(&e->pool, run->works[s].permit);
			bulla_pool_give(&e->pool, run->works[s].result);
			bulla_pool_give(&e->pool, run->works[s].token);
		}
		bulla_pool_give(&e->pool, run->started);
		bulla_pool_give(&e->pool, run->memory);
		bulla_pool_give(&e->pool, run->spans);
	}
	for (uint32_t i = 0; e->chunks && i * RUN_CHUNK < e->run_count; i++)
		bulla_free(e->chunks[i]);
	bulla_free(e->chunks);
	bulla_free(e->run_hash);
	bulla_free(e->bloom);
	bulla_free(e->waiters);
}

/* The hash holds index + 1; chains go through next_hash (index + 1). */
uint32_t run_find(struct bulla_engine *e, const bulla_run_id *id)
{
	uint32_t at = e->run_hash[hash_of(id)];

	while (at != 0) {
		struct run *run = run_at(e, at - 1);

		if (bulla_run_id_eq(&run->id, id))
			return at - 1;
		at = run->next_hash;
	}
	return NO_REF;
}

static void hash_add(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	uint32_t *slot = &e->run_hash[hash_of(&run->id)];

	run->next_hash = *slot;
	*slot = index + 1;
}

static void hash_remove(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);
	uint32_t *slot = &e->run_hash[hash_of(&run->id)];

	while (*slot != index + 1)
		slot = &run_at(e, *slot - 1)->next_hash;
	*slot = run->next_hash;
}

/* --- lists: open runs and kept ones --- */

static void list_push(struct bulla_engine *e, uint32_t *newest, uint32_t *oldest, uint32_t index)
{
	struct run *run = run_at(e, index);

	run->older = *newest;
	run->newer = NO_REF;
	if (*newest != NO_REF)
		run_at(e, *newest)->newer = index;
	else
		*oldest = index;
	*newest = index;
}

static void list_remove(struct bulla_engine *e, uint32_t *newest, uint32_t *oldest, uint32_t index)
{
	struct run *run = run_at(e, index);

	if (run->newer != NO_REF)
		run_at(e, run->newer)->older = run->older;
	else
		*newest = run->older;
	if (run->older != NO_REF)
		run_at(e, run->older)->newer = run->newer;
	else
		*oldest = run->newer;
}

/* --- a run --- */

static void run_release(struct bulla_engine *e, uint32_t index)
{
	struct run *run = run_at(e, index);

	for (uint32_t s = 0; s < run->fold.slot_count; s++) {
		bulla_pool_give(&e->pool, run->works[s].permit);
		bulla_pool_give(&e->pool, run->works[s].result);
		bulla_pool_give(&e->pool, run->works[s].token);
	}
	bulla_pool_give(&e->pool, run->started);
	bulla_pool_give(&e->pool, run->memory);
	bulla_pool_give(&e->pool, run->spans);
	hash_remove(e, index);
	replay_forget(e, index);
	e->projects[run->manifest].runs--;
	run->used = 0;
	run->generation++;
	run->next_hash = e->free_run;
	e->free_run = index;
	e->counts.resident--;
}

static bulla_rc run_place(struct bulla_engine *e, uint32_t *ret)
{
	void *p;

	if (e->free_run != NO_REF) {
		*ret = e->free_run;
		e->free_run = run_at(e, *ret)->next_hash;
		return BULLA_OK;
	}
	if (e->run_count >= e->options.residents)
		return BULLA_FAIL(BULLA_E_BUSY, "as many runs as may be resident");
	if (e->run_count % RUN_CHUNK == 0) {
		BULLA_TRY(bulla_alloc(RUN_CHUNK, sizeof(struct run), &p));
		e->chunks[e->run_count / RUN_CHUNK] = p;
	}
	*ret = e->run_count++;
	run_at(e, *ret)->generation = 1;
	return BULLA_OK;
}

const struct workflow *run_workflow(const struct bulla_engine *e, const struct run *run)
{
	return &e->projects[run->manifest].workflows[run->workflow];
}

const struct bulla_flow *run_flow(const struct bulla_engine *e, const struct run *run)
{
	return &run_workflow(e, run)->flow;
}

bool run_forget(struct bulla_engine *e)
{
	uint32_t oldest = e->oldest_kept;

	if (oldest == NO_REF)
		return false;
	list_remove(e, &e->newest_kept, &e->oldest_kept, oldest);
	e->kept_count--;
	run_release(e, oldest);
	return true;
}

bulla_rc run_new(struct bulla_engine *e, const bulla_run_id *id, uint16_t project, uint16_t workflow, uint32_t *ret)
{
	const struct bulla_flow *flow = &e->projects[project].workflows[workflow].flow;
	uint32_t slots = bulla_flow_slots(flow), index, generation, seed = 0;
	struct bulla_block *memory;
	struct run *run;

	BULLA_TRY(bulla_pool_take(&e->pool, slots * (sizeof(struct bulla_flow_slot) + sizeof(struct work)), &memory));
	bulla_zero(memory->data, memory->size);
	if (e->free_run == NO_REF && e->run_count >= e->options.residents)
		(void)run_forget(e);
	if (run_place(e, &index) != BULLA_OK) {
		bulla_pool_give(&e->pool, memory);
		return BULLA_E_BUSY;
	}
	run = run_at(e, index);
	generation = run->generation;
	*run = (struct run){.id = *id,
		.generation = generation,
		.used = 1,
		.manifest = project,
		.workflow = workflow,
		.waiters = NO_REF,
		.memory = memory,
		.touched_ms = e->now_ms,
		.run_no = e->next_run_no++};
	run->works = (void *)(memory->data + slots * sizeof(struct bulla_flow_slot));
	for (uint32_t s = 0; s < slots; s++)
		run->works[s].next = run->works[s].speculation = NO_REF;
	for (unsigned i = 0; i < 4; i++)
		seed = seed << 8 | id->b[8 + i];
	BULLA_TRY(bulla_flow_begin(flow, (void *)memory->data, slots, seed, &run->fold));
	hash_add(e, index);
	list_push(e, &e->newest, &e->oldest, index);
	bloom_add(e, id);
	e->projects[project].runs++;
	e->counts.resident++;
	e->counts.open++;
	*ret = index;
	return BULLA_OK;
}

void run_keep(struct bulla_engine *e, uint32_t index)
{
	list_remove(e, &e->newest, &e->oldest, index);
	run_at(e, index)->used = 2;
	list_push(e, &e->newest_kept, &e->oldest_kept, index);
	e->counts.open--;
	if (++e->kept_count > e->options.closed_kept)
		(void)run_forget(e);
}

/* Where a record of the run is; the block doubles when it is full. */
bulla_rc run_span(struct bulla_engine *e, struct run *run, struct bulla_engine_place place)
{
	size_t used = (size_t)run->span_count * BULLA_REC_SPAN_BYTES, room = run->spans ? run->spans->size : 0;
	struct bulla_block *larger;
	bulla_wr w;

	if (used + BULLA_REC_SPAN_BYTES > room) {
		BULLA_TRY(bulla_pool_take(&e->pool, room ? 2 * room : 96, &larger));
		if (used > 0)
			bulla_copy(larger->data, run->spans->data, used);
		bulla_pool_give(&e->pool, run->spans);
		run->spans = larger;
	}
	w = bulla_wr_fixed(run->spans->data + used, BULLA_REC_SPAN_BYTES);
	bulla_wr_u32le(&w, place.segment);
	bulla_wr_u32le(&w, place.offset);
	bulla_wr_u32le(&w, place.bytes);
	run->span_count++;
	return w.rc;
}

/* --- ids that were ever used: no means no, yes means perhaps --- */

static uint32_t bloom_bit(const bulla_run_id *id, unsigned n)
{
	/* four overlapping windows of the random part */
	uint32_t a = (uint32_t)id->b[6 + n] << 16 | (uint32_t)id->b[8 + n] << 8 | id->b[11 + n];

	return (a ^ (uint32_t)id->b[15 - n] * 0x9e3779b1U) % BLOOM_BITS;
}

bool bloom_has(const struct bulla_engine *e, const bulla_run_id *id)
{
	for (unsigned n = 0; n < 4; n++)
		if ((e->bloom[bloom_bit(id, n) / 64] >> (bloom_bit(id, n) % 64) & 1) == 0)
			return false;
	return true;
}

/* noipa: gcc 12.2 at -O2 drops calls of this. The loop's id->b[15 - n] becomes an access with a zero base and the address in
 * its index (ivopts); the second local-pure-const pass reads that as "NULL memory access; terminating BB", never comes to the
 * store behind it, and declares the function pure. No aliasing of ours: 40 lines of it alone do the same, are clean under
 * -fsanitize=undefined,address, and -fno-strict-aliasing changes nothing; -fno-ivopts, -fno-delete-null-pointer-checks or
 * both of -fno-ipa-pure-const -fno-ipa-modref do. The dump of that pass (-fdump-tree-local-pure-const2) shows every function
 * that it happens to: in src/ this is the only one. The simulator found it, by a run started twice. */
__attribute__((noipa)) void bloom_add(struct bulla_engine *e, const bulla_run_id *id)
{
	for (unsigned n = 0; n < 4; n++)
		e->bloom[bloom_bit(id, n) / 64] |= (uint64_t)1 << (bloom_bit(id, n) % 64);
}

/* --- waiters --- */

static bulla_rc waiters_grow(struct bulla_engine *e)
{
	uint32_t capacity = e->waiter_capacity ? 2 * e->waiter_capacity : WAITERS_STEP;
	void *p;

	BULLA_TRY(bulla_alloc(capacity, sizeof(*e->waiters), &p));
	if (e->waiter_capacity > 0)
		bulla_copy(p, e->waiters, e->waiter_capacity * sizeof(*e->waiters));
	bulla_free(e->waiters);
	e->waiters = p;
	for (uint32_t i = capacity; i-- > e->waiter_capacity;) {
		e->waiters[i].next = e->free_waiter;
		e->free_waiter = i;
	}
	e->waiter_capacity = capacity;
	return BULLA_OK;
}

bulla_rc waiter_add(struct bulla_engine *e, struct run *run, const struct waiter *waiter)
{
	uint32_t index;

	if (e->free_waiter == NO_REF)
		BULLA_TRY(waiters_grow(e));
	index = e->free_waiter;
	e->free_waiter = e->waiters[index].next;
	e->waiters[index] = *waiter;
	e->waiters[index].next = run->waiters;
	run->waiters = index;
	return BULLA_OK;
}

void waiter_free(struct bulla_engine *e, uint32_t index)
{
	e->waiters[index].next = e->free_waiter;
	e->free_waiter = index;
}

uint64_t bulla_engine_replay_lsn(const struct bulla_engine *e)
{
	uint64_t least = e->durable_lsn;

	if (e->oldest != NO_REF && run_peek(e, e->oldest)->first_lsn < least)
		least = run_peek(e, e->oldest)->first_lsn;
	return least;
}
