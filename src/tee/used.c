#include "tee/used.h"

#include "base/limits.h"
#include "base/mem.h"

#define PLACES (2u * BULLA_USED_GENERATION)
_Static_assert((PLACES & (PLACES - 1)) == 0, "places are found by a mask");

/* Attempts are digests already: their first bytes spread. Two attempts with the same mark: one of them is refused. */
static uint64_t mark_of(const bulla_digest *attempt)
{
	uint64_t mark = 0;

	for (size_t i = 0; i < 8; i++)
		mark = mark << 8 | attempt->b[i];
	return mark == 0 ? 1 : mark;
}

static bulla_rc allocate(struct bulla_used_generation *generation)
{
	void *memory;

	BULLA_TRY(bulla_alloc(PLACES, sizeof(generation->marks[0]), &memory));
	generation->marks = memory;
	return BULLA_OK;
}

bulla_rc bulla_used_init(struct bulla_used *used)
{
	*used = (struct bulla_used){0};
	BULLA_TRY(allocate(&used->young));
	return allocate(&used->old);
}

void bulla_used_done(struct bulla_used *used)
{
	bulla_free(used->young.marks);
	bulla_free(used->old.marks);
	*used = (struct bulla_used){0};
}

/* Its place, or the free one where it belongs. */
static uint64_t *place_of(const struct bulla_used_generation *generation, uint64_t mark)
{
	uint32_t at = (uint32_t)mark & (PLACES - 1);

	while (generation->marks[at] != 0 && generation->marks[at] != mark)
		at = (at + 1) & (PLACES - 1);
	return &generation->marks[at];
}

bool bulla_used_has(const struct bulla_used *used, const bulla_digest *attempt, uint64_t sequence)
{
	uint64_t mark = mark_of(attempt);

	return sequence <= used->forgotten || *place_of(&used->young, mark) != 0 || *place_of(&used->old, mark) != 0;
}

static void forget(struct bulla_used *used)
{
	struct bulla_used_generation gone = used->old;

	used->forgotten = gone.last > used->forgotten ? gone.last : used->forgotten;
	used->old = used->young;
	bulla_zero(gone.marks, PLACES * sizeof(gone.marks[0]));
	used->young = (struct bulla_used_generation){.marks = gone.marks};
}

void bulla_used_add(struct bulla_used *used, const bulla_digest *attempt, uint64_t sequence)
{
	if (used->young.count == BULLA_USED_GENERATION)
		forget(used);
	*place_of(&used->young, mark_of(attempt)) = mark_of(attempt);
	used->young.count++;
	used->young.last = sequence > used->young.last ? sequence : used->young.last;
}
