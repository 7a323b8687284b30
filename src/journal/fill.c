#include "journal/writer.h"

#include "base/limits.h"
#include "base/mem.h"

#define CHUNK ((size_t)256 << 10) /* a batch that comes meanwhile waits for so much */
#define SPARE "spare.tmp"

bulla_rc bulla_journal_fill_init(struct bulla_journal_fill *fill, const struct bulla_disk *disk, uint64_t segment_bytes,
	const struct bulla_journal_end *end)
{
	void *zeros = NULL;
	bulla_rc rc;

	rc = disk->unlink(disk->ctx, SPARE);
	if (rc != BULLA_OK && rc != BULLA_E_NOT_FOUND)
		return rc;
	BULLA_TRY(bulla_alloc((segment_bytes < CHUNK ? (size_t)segment_bytes : CHUNK) + BULLA_JOURNAL_PAGE, 1, &zeros));
	*fill = (struct bulla_journal_fill){.disk = disk,
		.segment_bytes = segment_bytes,
		.zeros = bulla_journal_align(zeros),
		.allocated = zeros,
		.made = end->last_made,
		.file = -1};
	return BULLA_OK;
}

void bulla_journal_fill_done(struct bulla_journal_fill *fill)
{
	if (fill->file >= 0)
		fill->disk->close(fill->disk->ctx, fill->file);
	bulla_free(fill->allocated);
	*fill = (struct bulla_journal_fill){.file = -1};
}

static uint64_t target(const struct bulla_journal_fill *fill)
{
	bool small = fill->made == 0 && fill->segment_bytes > BULLA_MAX_JOURNAL_FIRST;

	return small ? BULLA_MAX_JOURNAL_FIRST : fill->segment_bytes;
}

/* The file is whole and synced: give it its name. */
static bulla_rc name_it(struct bulla_journal_fill *fill)
{
	const struct bulla_disk *disk = fill->disk;
	char name[BULLA_JOURNAL_NAME];

	bulla_journal_name(fill->made + 1, name);
	BULLA_TRY(disk->sync(disk->ctx, fill->file));
	disk->close(disk->ctx, fill->file);
	fill->file = -1;
	BULLA_TRY(disk->rename(disk->ctx, SPARE, name));
	BULLA_TRY(disk->sync_folder(disk->ctx));
	fill->made++;
	fill->filled = 0;
	return BULLA_OK;
}

bulla_rc bulla_journal_fill_step(struct bulla_journal_fill *fill, uint64_t wanted)
{
	const struct bulla_disk *disk = fill->disk;
	uint64_t left;
	size_t size;

	if (fill->made >= wanted)
		return BULLA_E_NOT_FOUND;
	if (fill->file < 0)
		BULLA_TRY(disk->open(disk->ctx, SPARE, true, &fill->file));
	left = target(fill) - fill->filled;
	if (left == 0)
		return name_it(fill);
	size = left < CHUNK ? (size_t)left : CHUNK;
	/* durable: the dirty pages of a segment must not queue up before a batch's sync */
	BULLA_TRY(disk->pwrite(disk->ctx, fill->file, fill->filled, bulla_bytes_of(fill->zeros, size), true));
	fill->filled += size;
	return BULLA_OK;
}
