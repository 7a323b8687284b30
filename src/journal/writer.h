#pragma once
/* Group commit without threads: what journal/thread.h runs in its writer thread, and the simulator at will. Submissions
 * are gathered into one batch, written by one durable pwrite. A failed write is never retried: the writer is dead from
 * then on and the process must exit and recover. */
#include "journal/recover.h"

struct bulla_journal_writer {
	const struct bulla_disk *disk;
	struct bulla_journal_end end; /* where the next batch goes */
	uint64_t bytes;               /* size of the active segment's file */
	uint64_t made;                /* highest segment file that is ready, set by bulla_journal_writer_made() */
	uint8_t *memory;              /* a page for a segment header, then a batch; begins on a page */
	void *allocated;              /* memory is in there */
	size_t body;                  /* bytes gathered */
	uint32_t count;               /* records gathered */
	int file;                     /* of the active segment; -1: none open */
	bool dead;
};

/* What one flush made durable. */
struct bulla_journal_done {
	uint64_t lsn;   /* first record of the batch */
	uint32_t count; /* 0: an empty batch that confirms the one before */
	bulla_digest chain;
	struct bulla_journal_place at; /* of the first record (after the batch header) */
	size_t bytes;                  /* of records */
	bool urgent;                   /* of a submission (journal/thread.h): somebody waits */
};

/* p moved up to a page: durable writes from there go to the disk without a copy (io/sys.c). */
static inline uint8_t *bulla_journal_align(void *p)
{
	uint8_t *byte = p;

	return byte + (BULLA_JOURNAL_PAGE - (uintptr_t)byte % BULLA_JOURNAL_PAGE) % BULLA_JOURNAL_PAGE;
}

/* end comes from recovery (its store identity set). Allocates its batch memory, opens nothing yet. */
BULLA_CHECK bulla_rc bulla_journal_writer_init(struct bulla_journal_writer *writer, const struct bulla_disk *disk,
	const struct bulla_journal_end *end);
void bulla_journal_writer_done(struct bulla_journal_writer *writer);

/* Tells the writer that segment files up to this number exist, zero-filled and synced (bulla_journal_fill). */
void bulla_journal_writer_made(struct bulla_journal_writer *writer, uint64_t number);

/* Gathers framed records (count of them, whole). BULLA_E_BUSY: they do not fit any more, flush first; nothing changed.
 * BULLA_E_LIMIT: they fit no batch at all. */
BULLA_CHECK bulla_rc bulla_journal_writer_add(struct bulla_journal_writer *writer, bulla_bytes records, uint32_t count);

/* Writes what is gathered as one batch and returns when it is durable; with nothing gathered, an empty batch that
 * confirms the last one. BULLA_E_FULL: the next segment is not ready (disk full): nothing is lost, call again when it is.
 * Any other error is final. */
BULLA_CHECK bulla_rc bulla_journal_writer_flush(struct bulla_journal_writer *writer, int64_t now_ms,
	struct bulla_journal_done *ret);

/* Makes segment files ahead of need: zeros in steps, so that it can share a disk with the writer. The first segment of a
 * store is small, so that a new store is ready at once; a segment is as large as its file. */
struct bulla_journal_fill {
	const struct bulla_disk *disk;
	uint64_t segment_bytes;
	uint8_t *zeros;  /* a chunk of them; begins on a page */
	void *allocated; /* zeros are in there */
	uint64_t made;   /* highest segment that is ready */
	uint64_t filled; /* bytes of the one in the making */
	int file;        /* -1: none in the making */
};

#define BULLA_JOURNAL_SPARES 2

/* segment_bytes: whole pages, at least two. Removes what an earlier process left unfinished. */
BULLA_CHECK bulla_rc bulla_journal_fill_init(struct bulla_journal_fill *fill, const struct bulla_disk *disk,
	uint64_t segment_bytes, const struct bulla_journal_end *end);
void bulla_journal_fill_done(struct bulla_journal_fill *fill);

/* One step (a chunk of zeros, or the rename that makes a segment ready; then fill->made grows) towards segment `wanted`.
 * BULLA_E_FULL: no space now, call again later. BULLA_E_NOT_FOUND: nothing to do. Other errors are final. */
BULLA_CHECK bulla_rc bulla_journal_fill_step(struct bulla_journal_fill *fill, uint64_t wanted);
