#include "broker/ledger_index.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/wr.h"
#include "journal/crc32c.h"

#define PAGES (BULLA_MAX_JOURNAL_SEGMENT / BULLA_JOURNAL_PAGE)
#define SEGMENTS (UINT32_MAX / PAGES)
#define TRY_AFTER 256u /* runs */
#define BLOCK_PAGES (LEDGER_INDEX_BLOCK / LEDGER_INDEX_PAGE_RUNS)

void ledger_index_done(struct ledger_index *index)
{
	bulla_free(index->entries);
	bulla_free(index->blocks);
	*index = (struct ledger_index){.file = index->file};
}

static uint32_t hash_of(const bulla_run_id *run)
{
	uint64_t parts[2], hash;

	bulla_copy(parts, run->b, sizeof(parts));
	hash = (parts[0] ^ parts[1] * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(hash ^ hash >> 31);
}

/* The run's entry, or the free one where it belongs. */
static struct ledger_index_entry *place_of(const struct ledger_index *index, const bulla_run_id *run)
{
	uint32_t at = hash_of(run) & (index->size - 1);

	while (index->entries[at].first != 0 && !bulla_run_id_eq(&index->entries[at].run, run))
		at = (at + 1) & (index->size - 1);
	return &index->entries[at];
}

static bulla_rc grow(struct ledger_index *index)
{
	uint32_t old_size = index->size, size = old_size == 0 ? 1024 : old_size * 2;
	struct ledger_index_entry *old = index->entries;
	void *p = NULL;

	if (size > BULLA_MAX_LEDGER_INDEX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the index of ended runs is full");
	BULLA_TRY(bulla_alloc(size, sizeof(struct ledger_index_entry), &p));
	index->entries = p;
	index->size = size;
	for (uint32_t i = 0; i < old_size; i++)
		if (old[i].first != 0)
			*place_of(index, &old[i].run) = old[i];
	bulla_free(old);
	return BULLA_OK;
}

/* --- into the file --- */

static int compare(const bulla_run_id *a, const bulla_run_id *b)
{
	return bulla_bytes_cmp(bulla_run_id_view(a), bulla_run_id_view(b));
}

/* Shell's, with gaps of (3^k - 1) / 2. */
static void sort(struct ledger_index_entry *entries, uint32_t count)
{
	for (uint32_t gap = 1093; gap > 0; gap /= 3)
		for (uint32_t i = gap; i < count; i++) {
			struct ledger_index_entry one = entries[i];
			uint32_t at = i;

			for (; at >= gap && compare(&entries[at - gap].run, &one.run) > 0; at -= gap)
				entries[at] = entries[at - gap];
			entries[at] = one;
		}
}

static bulla_rc write_page(const struct ledger_index *index, uint32_t page, const struct ledger_index_entry *entries)
{
	uint8_t memory[LEDGER_INDEX_PAGE];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes bytes;

	for (uint32_t i = 0; i < LEDGER_INDEX_PAGE_RUNS; i++) {
		bulla_wr_bytes(&w, bulla_run_id_view(&entries[i].run));
		bulla_wr_u32le(&w, entries[i].first);
		bulla_wr_u32le(&w, entries[i].last);
	}
	bulla_wr_u64le(&w, page);
	bulla_wr_u32le(&w, 0);
	bulla_wr_u32le(&w, bulla_crc32c(0, bulla_bytes_of(memory, w.n)));
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	return index->file.write(index->file.ctx, (uint64_t)page * LEDGER_INDEX_PAGE, bytes);
}

static bulla_rc make_room(struct ledger_index *index)
{
	uint32_t room = index->block_room == 0 ? 64 : index->block_room * 2;
	void *p = NULL;

	if (index->block_count < index->block_room)
		return BULLA_OK;
	if (room > BULLA_MAX_LEDGER_BLOCKS)
		return BULLA_FAIL(BULLA_E_LIMIT, "the file of ended runs is full");
	BULLA_TRY(bulla_alloc(room, sizeof(index->blocks[0]), &p));
	if (index->block_count > 0)
		bulla_copy(p, index->blocks, index->block_count * sizeof(index->blocks[0]));
	bulla_free(index->blocks);
	index->blocks = p;
	index->block_room = room;
	return BULLA_OK;
}

static bulla_rc write_sorted(struct ledger_index *index, const struct ledger_index_entry *sorted)
{
	BULLA_TRY(make_room(index));
	for (uint32_t i = 0; i < BLOCK_PAGES; i++)
		BULLA_TRY(write_page(index, index->block_count * BLOCK_PAGES + i, sorted + i * LEDGER_INDEX_PAGE_RUNS));
	index->blocks[index->block_count++] =
		(struct ledger_index_block){sorted[0].run, sorted[LEDGER_INDEX_BLOCK - 1].run};
	return BULLA_OK;
}

/* As many blocks of the hash's entries as it holds and the disk takes, lowest ids first; the others stay. */
static bulla_rc write_blocks(struct ledger_index *index)
{
	struct ledger_index_entry *sorted;
	uint32_t count = 0, written = 0;
	void *p = NULL;

	BULLA_TRY(bulla_alloc(index->count, sizeof(sorted[0]), &p));
	sorted = p;
	for (uint32_t i = 0; i < index->size; i++)
		if (index->entries[i].first != 0)
			sorted[count++] = index->entries[i];
	sort(sorted, count);
	while (count - written >= LEDGER_INDEX_BLOCK && write_sorted(index, sorted + written) == BULLA_OK)
		written += LEDGER_INDEX_BLOCK;
	if (written > 0) {
		bulla_zero(index->entries, index->size * sizeof(index->entries[0]));
		for (uint32_t i = written; i < count; i++)
			*place_of(index, &sorted[i].run) = sorted[i];
		index->count = count - written;
	}
	bulla_free(p);
	return BULLA_OK;
}

bulla_rc ledger_index_put(struct ledger_index *index, const bulla_run_id *run, uint32_t first, uint32_t last)
{
	struct ledger_index_entry *entry;

	/* what the disk does not take stays in memory, and is tried again with some more */
	if (index->count >= LEDGER_INDEX_BLOCK && index->count >= index->try_at && index->file.write != NULL) {
		BULLA_TRY(write_blocks(index));
		index->try_at = index->count >= LEDGER_INDEX_BLOCK ? index->count + TRY_AFTER : 0;
	}
	if (index->count + 1 > index->size - index->size / 4)
		BULLA_TRY(grow(index));
	entry = place_of(index, run);
	if (entry->first == 0)
		index->count++;
	*entry = (struct ledger_index_entry){*run, first + 1, last + 1};
	return BULLA_OK;
}

/* --- finding --- */

static bulla_rc read_page(const struct ledger_index *index, uint32_t page, struct ledger_index_entry *ret)
{
	uint8_t memory[LEDGER_INDEX_PAGE];
	bulla_rd r = bulla_rd_of(BULLA_BYTES_ARRAY(memory));
	uint32_t zero, crc;
	uint64_t number;
	bulla_bytes id;

	BULLA_TRY(index->file.read(index->file.ctx, (uint64_t)page * LEDGER_INDEX_PAGE, memory, sizeof(memory)));
	for (uint32_t i = 0; i < LEDGER_INDEX_PAGE_RUNS; i++) {
		BULLA_TRY(bulla_rd_bytes(&r, sizeof(ret[i].run.b), &id));
		BULLA_TRY(bulla_bytes_copy_exact(id, sizeof(ret[i].run.b), ret[i].run.b));
		BULLA_TRY(bulla_rd_u32le(&r, &ret[i].first));
		BULLA_TRY(bulla_rd_u32le(&r, &ret[i].last));
	}
	BULLA_TRY(bulla_rd_u64le(&r, &number));
	BULLA_TRY(bulla_rd_u32le(&r, &zero));
	BULLA_TRY(bulla_rd_u32le(&r, &crc));
	if (number != page || crc != bulla_crc32c(0, bulla_bytes_of(memory, sizeof(memory) - sizeof(crc))))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a page of the index of ended runs is damaged: a restart makes it anew");
	return BULLA_OK;
}

static const struct ledger_index_entry *find_in_page(const struct ledger_index_entry *entries, const bulla_run_id *run)
{
	uint32_t from = 0, to = LEDGER_INDEX_PAGE_RUNS;

	while (from < to) {
		uint32_t middle = (from + to) / 2;
		int order = compare(run, &entries[middle].run);

		if (order == 0)
			return &entries[middle];
		*(order < 0 ? &to : &from) = order < 0 ? middle : middle + 1;
	}
	return NULL;
}

/* Halves the block's pages until the run lies between the first and the last of one. */
static bulla_rc find_in_block(const struct ledger_index *index, uint32_t block, const bulla_run_id *run,
	struct ledger_index_entry *ret, bool *ret_found)
{
	struct ledger_index_entry entries[LEDGER_INDEX_PAGE_RUNS];
	uint32_t from = block * BLOCK_PAGES, to = from + BLOCK_PAGES;

	while (from < to) {
		uint32_t middle = (from + to) / 2;
		const struct ledger_index_entry *found;

		BULLA_TRY(read_page(index, middle, entries));
		if (compare(run, &entries[0].run) < 0) {
			to = middle;
			continue;
		}
		if (compare(run, &entries[LEDGER_INDEX_PAGE_RUNS - 1].run) > 0) {
			from = middle + 1;
			continue;
		}
		found = find_in_page(entries, run);
		*ret_found = found != NULL;
		if (found != NULL)
			*ret = *found;
		return BULLA_OK;
	}
	return BULLA_OK;
}

/* The latest word on a run counts: the hash, then blocks from the last to the first. */
bulla_rc ledger_index_get(const struct ledger_index *index, const bulla_run_id *run, bool *ret_found, uint32_t *ret_first,
	uint32_t *ret_last)
{
	struct ledger_index_entry entry = {.first = 0};
	bool found = false;

	if (index->size > 0)
		entry = *place_of(index, run);
	found = entry.first != 0;
	for (uint32_t i = index->block_count; i > 0 && !found; i--) {
		const struct ledger_index_block *block = &index->blocks[i - 1];

		if (compare(run, &block->first) >= 0 && compare(run, &block->last) <= 0)
			BULLA_TRY(find_in_block(index, i - 1, run, &entry, &found));
	}
	*ret_found = found;
	if (found) {
		*ret_first = entry.first - 1;
		*ret_last = entry.last - 1;
	}
	return BULLA_OK;
}

bulla_rc ledger_index_page(struct bulla_journal_place place, uint32_t *ret)
{
	if (place.segment >= SEGMENTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "the ledger has too many segments");
	*ret = (uint32_t)(place.segment * PAGES + place.batch / BULLA_JOURNAL_PAGE);
	return BULLA_OK;
}

struct bulla_journal_place ledger_index_place(uint32_t page)
{
	return (struct bulla_journal_place){
		.segment = page / PAGES, .batch = (uint64_t)(page % PAGES) * BULLA_JOURNAL_PAGE};
}
