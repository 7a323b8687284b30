#define _GNU_SOURCE
#include "base/secret.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A slot: canary, size, next free slot, bytes. The slab has a guard page on each side. */
struct slot {
	uint64_t canary;
	uint32_t size; /* 0 = free */
	uint32_t next;
	uint8_t bytes[BULLA_SECRET_MAX];
};

#define CANARY UINT64_C(0xb011ab011ab011a5)

/* The one secret slab of the process: allow-listed writable state (architecture section 10, rule 5). */
static struct {
	uint8_t *map;
	size_t map_size;
	struct slot *slots;
	uint32_t count;
	uint32_t used;
	uint32_t free_head; /* index + 1 */
} slab;

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bulla_rc protect(uint8_t *map, size_t page, size_t inner)
{
	if (mprotect(map + page, inner, PROT_READ | PROT_WRITE) != 0)
		return BULLA_FAIL_OS(BULLA_E_LOCK, "memory for keys cannot be mapped", errno);
	if (mlock(map + page, inner) != 0)
		return BULLA_FAIL_OS(BULLA_E_LOCK, "memory for keys cannot be locked: raise the memlock limit", errno);
	if (madvise(map + page, inner, MADV_DONTDUMP) != 0 || madvise(map + page, inner, MADV_WIPEONFORK) != 0)
		return BULLA_FAIL_OS(BULLA_E_LOCK, "memory for keys cannot be kept out of dumps and forks", errno);
	return BULLA_OK;
}

bulla_rc bulla_secret_slab_init(uint32_t slots)
{
	size_t page = page_size();
	size_t inner = ((size_t)slots * sizeof(struct slot) + page - 1) / page * page;
	size_t size = inner + 2 * page;
	uint8_t *map;
	bulla_rc rc;

	if (slab.map != NULL)
		return BULLA_FAIL(BULLA_E_STATE, "memory for keys exists already");
	if (slots == 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a slab needs slots");
	map = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return BULLA_FAIL_OS(BULLA_E_LOCK, "memory for keys cannot be mapped", errno);
	rc = protect(map, page, inner);
	if (rc != BULLA_OK) {
		munmap(map, size);
		return rc;
	}
	slab.map = map;
	slab.map_size = size;
	slab.slots = (struct slot *)(void *)(map + page);
	slab.count = slots;
	slab.used = 0;
	slab.free_head = 1;
	for (uint32_t i = 0; i < slots; i++)
		slab.slots[i].next = i + 1 < slots ? i + 2 : 0;
	return BULLA_OK;
}

void bulla_secret_slab_done(void)
{
	if (slab.map == NULL)
		return;
	bulla_wipe(slab.slots, (size_t)slab.count * sizeof(struct slot));
	munmap(slab.map, slab.map_size);
	bulla_zero(&slab, sizeof(slab));
}

uint32_t bulla_secret_slab_used(void)
{
	return slab.used;
}

uint32_t bulla_secret_slab_size(void)
{
	return slab.count;
}

bulla_rc bulla_secret_alloc(size_t size, bulla_secret *ret, uint8_t **ret_p)
{
	struct slot *slot;
	uint32_t handle = slab.free_head;

	if (size == 0 || size > BULLA_SECRET_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a secret has 1 to 64 bytes");
	if (handle == 0)
		return BULLA_FAIL(BULLA_E_LIMIT, "no slot for a key is free");
	slot = &slab.slots[handle - 1];
	slab.free_head = slot->next;
	slab.used++;
	slot->canary = CANARY;
	slot->size = (uint32_t)size;
	*ret = (bulla_secret){handle};
	*ret_p = slot->bytes;
	return BULLA_OK;
}

bulla_rc bulla_secret_new(bulla_bytes bytes, bulla_secret *ret)
{
	uint8_t *p = NULL;

	BULLA_TRY(bulla_secret_alloc(bytes.n, ret, &p));
	bulla_copy(p, bytes.p, bytes.n);
	return BULLA_OK;
}

static struct slot *live(bulla_secret secret)
{
	struct slot *slot;

	if (secret.slot == 0 || secret.slot > slab.count)
		abort();
	slot = &slab.slots[secret.slot - 1];
	if (slot->size == 0 || slot->canary != CANARY)
		abort();
	return slot;
}

bulla_bytes bulla_secret_view(bulla_secret secret)
{
	const struct slot *slot = live(secret);

	return (bulla_bytes){slot->bytes, slot->size};
}

void bulla_secret_free(bulla_secret *secret)
{
	struct slot *slot;

	if (secret == NULL || secret->slot == 0)
		return;
	slot = live(*secret);
	bulla_wipe(slot, sizeof(*slot));
	slot->next = slab.free_head;
	slab.free_head = secret->slot;
	slab.used--;
	*secret = BULLA_SECRET_NONE;
}
