#pragma once
/* Inside journal/: a window over one segment's file, and the list of segments in a folder. */
#include "base/sys.h"
#include "journal/format.h"

/* Bytes of one segment, read through a window that holds any whole batch. */
struct bulla_journal_window {
	const struct bulla_disk *disk;
	int file;         /* -1: none */
	uint64_t segment; /* whose file it is */
	uint64_t bytes;   /* its size: whole pages */
	uint8_t *p;       /* BULLA_MAX_JOURNAL_BATCH bytes */
	uint64_t from;    /* offset of p[0]; meaningless when n == 0 */
	size_t n;
};

/* No segment open; BULLA_E_MEMORY. done closes and frees. */
BULLA_CHECK bulla_rc bulla_journal_window_init(struct bulla_journal_window *window, const struct bulla_disk *disk);
void bulla_journal_window_done(struct bulla_journal_window *window);

/* Opens a segment's file (closing the one before). */
BULLA_CHECK bulla_rc bulla_journal_window_open(struct bulla_journal_window *window, uint64_t segment);

/* A view of at least `want` bytes (<= BULLA_MAX_JOURNAL_BATCH) from this page on; fewer only at the segment's end. */
BULLA_CHECK bulla_rc bulla_journal_window_at(struct bulla_journal_window *window, uint64_t offset, size_t want,
	bulla_bytes *ret);

/* The batch at this page, whole. Errors of bulla_journal_batch_parse; TRUNCATED becomes BULLA_E_CORRUPT: it would pass
 * the segment's end. */
BULLA_CHECK bulla_rc bulla_journal_window_batch(struct bulla_journal_window *window, uint64_t offset,
	const bulla_journal_store *store, struct bulla_journal_batch *ret);

/* Numbers of the segment files in a folder, ascending. */
struct bulla_journal_list {
	uint64_t *numbers; /* owned; bulla_free */
	size_t count, capacity;
};

/* Errors of the disk; ret->numbers is then not made. */
BULLA_CHECK bulla_rc bulla_journal_list_read(const struct bulla_disk *disk, struct bulla_journal_list *ret);
