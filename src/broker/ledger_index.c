#include "broker/ledger_index.h"

#include "base/limits.h"
#include "base/mem.h"

#define PAGES (BULLA_MAX_JOURNAL_SEGMENT / BULLA_JOURNAL_PAGE)
#define SEGMENTS (UINT32_MAX / PAGES)

void ledger_index_done(struct ledger_index *index)
{
	bulla_free(index->entries);
	*index = (struct ledger_index){0};
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
	struct ledger_index larger = {.size = index->size == 0 ? 1024 : index->size * 2, .count = index->count};
	void *p = NULL;

	if (larger.size > BULLA_MAX_LEDGER_INDEX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the index of ended runs is full");
	BULLA_TRY(bulla_alloc(larger.size, sizeof(struct ledger_index_entry), &p));
	larger.entries = p;
	for (uint32_t i = 0; i < index->size; i++)
		if (index->entries[i].first != 0)
			*place_of(&larger, &index->entries[i].run) = index->entries[i];
	bulla_free(index->entries);
	*index = larger;
	return BULLA_OK;
}

bulla_rc ledger_index_put(struct ledger_index *index, const bulla_run_id *run, uint32_t first, uint32_t last)
{
	struct ledger_index_entry *entry;

	if (index->count + 1 > index->size - index->size / 4)
		BULLA_TRY(grow(index));
	entry = place_of(index, run);
	if (entry->first == 0)
		index->count++;
	*entry = (struct ledger_index_entry){*run, first + 1, last + 1};
	return BULLA_OK;
}

bool ledger_index_get(const struct ledger_index *index, const bulla_run_id *run, uint32_t *ret_first, uint32_t *ret_last)
{
	const struct ledger_index_entry *entry = index->size > 0 ? place_of(index, run) : NULL;

	if (entry == NULL || entry->first == 0)
		return false;
	*ret_first = entry->first - 1;
	*ret_last = entry->last - 1;
	return true;
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
