#include "io/idset.h"

#include "base/mem.h"

#define IDSET_MAX 65536

bulla_rc bulla_idset_init(struct bulla_idset *set, uint32_t max)
{
	uint32_t size = 4;
	void *p = NULL;

	if (max == 0 || max > IDSET_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a window has 1 to 65536 places");
	while (size < 2 * max)
		size *= 2;
	BULLA_TRY(bulla_alloc(size, sizeof(uint32_t), &p));
	*set = (struct bulla_idset){.slots = (uint32_t *)p, .mask = size - 1, .max = max};
	return BULLA_OK;
}

void bulla_idset_done(struct bulla_idset *set)
{
	bulla_free(set->slots);
	*set = (struct bulla_idset){.slots = NULL};
}

/* Fibonacci hashing: callers choose the numbers, so a bad choice makes only their own connection slower. */
static uint32_t home_of(const struct bulla_idset *set, uint32_t id)
{
	return (uint32_t)(((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & set->mask;
}

static uint32_t place_of(const struct bulla_idset *set, uint32_t id)
{
	uint32_t at = home_of(set, id);

	while (set->slots[at] != 0 && set->slots[at] != id)
		at = (at + 1) & set->mask;
	return at;
}

bool bulla_idset_has(const struct bulla_idset *set, uint32_t id)
{
	return id != 0 && set->slots[place_of(set, id)] == id;
}

bulla_rc bulla_idset_add(struct bulla_idset *set, uint32_t id)
{
	uint32_t at;

	if (id == 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "stream 0 carries no request");
	at = place_of(set, id);
	if (set->slots[at] == id)
		return BULLA_FAIL(BULLA_E_DUPLICATE, "a stream is open already");
	if (set->count == set->max)
		return BULLA_FAIL(BULLA_E_LIMIT, "more open requests than the window");
	set->slots[at] = id;
	set->count++;
	return BULLA_OK;
}

bool bulla_idset_remove(struct bulla_idset *set, uint32_t id)
{
	uint32_t hole, next;

	if (!bulla_idset_has(set, id))
		return false;
	hole = place_of(set, id);
	set->slots[hole] = 0;
	set->count--;
	for (next = (hole + 1) & set->mask; set->slots[next] != 0; next = (next + 1) & set->mask) {
		uint32_t home = home_of(set, set->slots[next]);

		/* it may move into the hole unless its home lies cyclically after the hole */
		if (((next - home) & set->mask) >= ((next - hole) & set->mask)) {
			set->slots[hole] = set->slots[next];
			set->slots[next] = 0;
			hole = next;
		}
	}
	return true;
}
