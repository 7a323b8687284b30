#pragma once
/* Reading a store back: every record in order, the torn tail cut, damage refused with its place. Also the way to read
 * records again later. All disk through the table, so that the simulator replaces it. */
#include "base/sys.h"
#include "journal/format.h"

struct bulla_journal_place {
	uint64_t segment;
	uint64_t offset; /* bytes into its file */
	uint64_t batch;  /* of a record: where its batch begins, for bulla_journal_scan */
};

/* Where a store ends: what the writer goes on from. */
struct bulla_journal_end {
	bulla_journal_store store;
	uint64_t lsn; /* of the next record; the first record of a store has lsn 1 */
	bulla_digest chain;
	struct bulla_journal_place at; /* where the next batch goes; segment 0: there is no segment yet */
	uint64_t last_made;            /* highest segment number that exists as file, spares included */
	uint64_t first_segment;        /* lowest that is still kept */
	bool cut;                      /* a torn tail was found and zeroed */
	bool format_old;               /* written by an older format: continue in a fresh segment */
	bool by_crc;                   /* recovery's: the chain is the host's (journal/format.h) */
};

/* Called once per record, in order of lsn; body is valid during the call. An error stops recovery and is returned. */
typedef bulla_rc (*bulla_journal_each)(void *arg, const struct bulla_journal_record *record,
	struct bulla_journal_place at);

struct bulla_journal_recovery {
	const struct bulla_disk *disk;
	uint64_t from_lsn;                   /* segments wholly before it are not read; 0 or 1: everything */
	bulla_journal_each each;             /* records from from_lsn on */
	void *arg;
	bool by_crc;                         /* the host's journal: its chain holds no hashes of records */
	bool keep_tail;                      /* true: only look, write nothing (verify, bundle, --scrub) */
	struct bulla_journal_place damaged;  /* out: place of what BULLA_E_CORRUPT refused */
};

/* Reads the store. An empty folder gives an end with lsn 1 and no segment, and a zero store identity: the caller draws
 * one. BULLA_E_CORRUPT: a bad batch, header or gap that a good later batch follows; recovery->damaged says where; nothing
 * was changed. BULLA_E_VERSION: written by a newer format. A bad batch with no good later one is the torn tail of a crash:
 * zeroed, durable, before this returns. */
BULLA_CHECK bulla_rc bulla_journal_recover(struct bulla_journal_recovery *recovery, struct bulla_journal_end *ret);

/* Every record of the batches from the one at `from` to the one at `to`, both included (segment and batch count, offset does
 * not). Batches are checked by crc; the chain is not. BULLA_E_CORRUPT, BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_journal_scan(const struct bulla_disk *disk, struct bulla_journal_place from,
	struct bulla_journal_place to, bulla_journal_each each, void *arg);

/* Reads the record that begins at this place (each's, or writer's + offset into the submission) into buf; *ret's body is a
 * view of it, lsn 0. The batch's crc is not checked again: what is in the body must carry its own proof. */
BULLA_CHECK bulla_rc bulla_journal_read_back(const struct bulla_disk *disk, struct bulla_journal_place at,
	struct bulla_buf *buf, struct bulla_journal_record *ret);
