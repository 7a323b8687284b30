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

static uint64_t key_of(const bulla_run_id *run)
{
	uint64_t parts[2], key;

	bulla_copy(parts, run->b, sizeof(parts));
	key = (parts[0] ^ parts[1] * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	key ^= key >> 31;
	return key != 0 ? key : 1;
}

/* The key's entry, or the free one where it belongs. */
static struct ledger_index_entry *place_of(const struct ledger_index *index, uint64_t key)
{
	uint32_t at = (uint32_t)key & (index->size - 1);

	while (index->entries[at].key != 0 && index->entries[at].key != key)
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
		if (index->entries[i].key != 0)
			*place_of(&larger, index->entries[i].key) = index->entries[i];
	bulla_free(index->entries);
	*index = larger;
	return BULLA_OK;
}

bulla_rc ledger_index_put(struct ledger_index *index, const bulla_run_id *run, uint32_t first, uint32_t last)
{
	uint64_t key = key_of(run);
	struct ledger_index_entry *entry;

	if (index->count + 1 > index->size - index->size / 4)
		BULLA_TRY(grow(index));
	entry = place_of(index, key);
	if (entry->key == 0)
		index->count++;
	*entry = (struct ledger_index_entry){key, first, last};
	return BULLA_OK;
}

bool ledger_index_get(const struct ledger_index *index, const bulla_run_id *run, uint32_t *ret_first, uint32_t *ret_last)
{
	const struct ledger_index_entry *entry = index->size > 0 ? place_of(index, key_of(run)) : NULL;

	if (entry == NULL || entry->key == 0)
		return false;
	*ret_first = entry->first;
	*ret_last = entry->last;
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
