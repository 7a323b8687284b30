#include "tee/used.h"

#include "base/limits.h"
#include "base/mem.h"

#define FIRST_SIZE 4096u

/* Attempts are digests already: their first bytes spread. */
static uint64_t mark_of(const bulla_digest *attempt)
{
	uint64_t mark = 0;

	for (size_t i = 0; i < 8; i++)
		mark = mark << 8 | attempt->b[i];
	return mark == 0 ? 1 : mark;
}

static bulla_rc allocate(uint32_t size, struct bulla_used *ret)
{
	void *memory;

	BULLA_TRY(bulla_alloc(size, sizeof(ret->entries[0]), &memory));
	*ret = (struct bulla_used){.entries = memory, .size = size};
	return BULLA_OK;
}

bulla_rc bulla_used_init(struct bulla_used *used)
{
	return allocate(FIRST_SIZE, used);
}

void bulla_used_done(struct bulla_used *used)
{
	bulla_free(used->entries);
	*used = (struct bulla_used){0};
}

static uint32_t place_of(const struct bulla_used *used, uint64_t mark)
{
	uint32_t at = (uint32_t)mark & (used->size - 1);

	while (used->entries[at].mark != 0 && used->entries[at].mark != mark)
		at = (at + 1) & (used->size - 1);
	return at;
}

bool bulla_used_has(const struct bulla_used *used, const bulla_digest *attempt)
{
	return used->entries[place_of(used, mark_of(attempt))].mark != 0;
}

static void put(struct bulla_used *used, uint64_t mark, uint64_t expires_ms)
{
	uint32_t at = place_of(used, mark);

	used->count += used->entries[at].mark == 0;
	used->entries[at] = (struct bulla_used_entry){mark, expires_ms};
}

/* Copies what lives into a table of that size. */
static bulla_rc rebuild(struct bulla_used *used, uint32_t size, uint64_t now_ms)
{
	struct bulla_used fresh;

	BULLA_TRY(allocate(size, &fresh));
	for (uint32_t i = 0; i < used->size; i++)
		if (used->entries[i].mark != 0 && used->entries[i].expires_ms > now_ms)
			put(&fresh, used->entries[i].mark, used->entries[i].expires_ms);
	bulla_used_done(used);
	*used = fresh;
	return BULLA_OK;
}

static uint32_t count_alive(const struct bulla_used *used, uint64_t now_ms)
{
	uint32_t alive = 0;

	for (uint32_t i = 0; i < used->size; i++)
		alive += used->entries[i].mark != 0 && used->entries[i].expires_ms > now_ms;
	return alive;
}

bulla_rc bulla_used_add(struct bulla_used *used, const bulla_digest *attempt, uint64_t expires_ms, uint64_t now_ms)
{
	if (used->count >= used->size / 4 * 3) {
		uint32_t alive = count_alive(used, now_ms);
		uint32_t size = alive > used->size / 2 ? used->size * 2 : used->size;

		if (size > BULLA_MAX_USED_PERMITS)
			return BULLA_FAIL(BULLA_E_BUSY, "too many attempts with living permits ran here");
		BULLA_TRY(rebuild(used, size, now_ms));
	}
	put(used, mark_of(attempt), expires_ms);
	return BULLA_OK;
}
