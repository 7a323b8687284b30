#pragma once
/* The journal of a program, for one owning thread (its loop). While the disk is quick the owner writes its small batches
 * itself, at the end of a turn: handing them over costs two wake-ups, more than a sync. Large ones, and all while the disk is
 * slow, are a writer thread's; a filler thread makes segments ahead of need. No locks: single-producer single-consumer
 * rings and one eventfd each way. */
#include "journal/writer.h"

struct bulla_journal; /* opaque */

struct bulla_journal_options {
	const struct bulla_disk *disk;   /* outlives the journal */
	const struct bulla_clock *clock; /* outlives the journal */
	uint64_t segment_bytes;          /* 0: BULLA_MAX_JOURNAL_SEGMENT */
	struct bulla_journal_end end;    /* from recovery; its store identity set */
};

/* Starts the threads. */
BULLA_CHECK bulla_rc bulla_journal_open(const struct bulla_journal_options *options, struct bulla_journal **ret);

/* Writes and syncs what was submitted, ends the threads, frees. NULL is allowed. */
void bulla_journal_close(struct bulla_journal *journal);

/* The owner's duty: at the end of each turn of its loop, after its output went out, bulla_journal_turn, which writes what is
 * due: it waits for the disk when the batch is small and the last write took at most half a millisecond, else it hands the
 * batch to the thread. In each turn, bulla_journal_next until BULLA_E_AGAIN. The loop sleeps no longer than until
 * bulla_journal_due (mono µs; INT64_MAX: as long as it likes) or until the fd is readable, the thread being done:
 * bulla_journal_woken. */
void bulla_journal_turn(struct bulla_journal *journal);
int64_t bulla_journal_due(const struct bulla_journal *journal);
int bulla_journal_fd(const struct bulla_journal *journal);
void bulla_journal_woken(struct bulla_journal *journal);

/* Submits framed records (bulla_journal_record_put), copied. *ret_lsn is the first one's. urgent: somebody waits, written by
 * the next bulla_journal_turn; else they ride along with the next batch, at the latest after 5 ms. Order is kept. count 0: no
 * submission; urgent: somebody waits for what was submitted before, from now on (*ret_lsn is not written).
 * BULLA_E_BUSY: the backlog of JOURNAL_BACKLOG bytes or submissions is reached. */
BULLA_CHECK bulla_rc bulla_journal_submit(struct bulla_journal *journal, bulla_bytes records, uint32_t count,
	bool urgent, uint64_t *ret_lsn);

/* The next submission that is durable, in order: lsn, count, place and bytes are the submission's, chain is the one of
 * the batch that it went out with. BULLA_E_AGAIN: none now. BULLA_E_IO (final): a write failed; exit and recover. */
BULLA_CHECK bulla_rc bulla_journal_next(struct bulla_journal *journal, struct bulla_journal_done *ret);

/* lsn of the next record to be submitted; bytes submitted and not yet durable. */
uint64_t bulla_journal_lsn(const struct bulla_journal *journal);
size_t bulla_journal_backlog(const struct bulla_journal *journal);

/* False when a spare segment cannot be made (disk full): refuse new starts, let running work go on. */
bool bulla_journal_has_room(const struct bulla_journal *journal);
