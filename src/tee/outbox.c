#include "tee/outbox.h"

#include "base/mem.h"

#define BODY_MAX ((size_t)BULLA_MAX_OUTBOX_BYTES)

bulla_rc bulla_outbox_init(struct bulla_outbox *outbox)
{
	void *memory;

	BULLA_TRY(bulla_alloc(BULLA_MAX_OUTBOX_RESULTS, sizeof(outbox->entries[0]), &memory));
	*outbox = (struct bulla_outbox){.entries = memory};
	for (uint32_t i = 0; i < BULLA_MAX_OUTBOX_RESULTS; i++)
		bulla_buf_init(&outbox->entries[i].body, BODY_MAX);
	return BULLA_OK;
}

void bulla_outbox_done(struct bulla_outbox *outbox)
{
	for (uint32_t i = 0; outbox->entries != NULL && i < BULLA_MAX_OUTBOX_RESULTS; i++)
		bulla_buf_done(&outbox->entries[i].body);
	bulla_free(outbox->entries);
	*outbox = (struct bulla_outbox){0};
}

bool bulla_outbox_has_room(const struct bulla_outbox *outbox, uint32_t more)
{
	return outbox->count + more < BULLA_MAX_OUTBOX_RESULTS && outbox->bytes < BULLA_MAX_OUTBOX_BYTES;
}

bulla_rc bulla_outbox_take(struct bulla_outbox *outbox, struct bulla_outbox_entry **ret)
{
	for (uint32_t i = 0; i < BULLA_MAX_OUTBOX_RESULTS; i++) {
		if (outbox->entries[i].used)
			continue;
		outbox->entries[i].body.n = 0;
		outbox->entries[i].link_count = 0;
		*ret = &outbox->entries[i];
		return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_BUSY, "the outbox is full");
}

void bulla_outbox_kept(struct bulla_outbox *outbox, struct bulla_outbox_entry *entry)
{
	entry->used = true;
	outbox->count++;
	outbox->bytes += entry->body.n;
}

struct bulla_outbox_entry *bulla_outbox_find(const struct bulla_outbox *outbox, const bulla_digest *receipt)
{
	for (uint32_t i = 0; i < BULLA_MAX_OUTBOX_RESULTS; i++)
		if (outbox->entries[i].used && bulla_digest_eq(&outbox->entries[i].receipt, receipt))
			return &outbox->entries[i];
	return NULL;
}

void bulla_outbox_forget(struct bulla_outbox *outbox, struct bulla_outbox_entry *entry)
{
	outbox->count--;
	outbox->bytes -= entry->body.n;
	entry->used = false;
	entry->body.n = 0;
}
