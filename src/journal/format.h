#pragma once
/* Bytes of a journal (engine.md section 4), pure. A store is a folder of segments. A segment is one page of header, then
 * batches, then zeros. A batch begins on a page and holds records. All numbers little-endian.
 *
 *   segment header (one page, zeros after):  magic u64 | format u32 | crc32c u32 of format and what follows | store 16
 *                                            | number u64 | first lsn u64 | chain 32 before its first batch
 *   batch header, 80 bytes:                  magic u32 | crc32c u32 of body, then of what follows | bytes u32 (header and
 *                                            body) | count u32 | lsn u64 of the first record | store 16 | time_ms u64
 *                                            | chain 32
 *   record:                                  bytes u32 of the body | type u8 | flags u8 | 0 u16 | run_no u64 | seq u32 | body
 *
 * Records are numbered by lsn without gaps; an empty batch carries the lsn of the next record. chain = SHA-256(chain
 * before || lsn u64 || count u32 || time_ms u64 || SHA-256 of each record): in the ledger the chain of a batch is the ledger
 * head, and a record is shown under it with the other records' 32-byte hashes alone. The host proves nothing by its journal:
 * there the body's crc32c u32 stands for the hashes. */
#include "base/rd.h"
#include "base/wr.h"

#define BULLA_JOURNAL_PAGE 4096
#define BULLA_JOURNAL_FORMAT 1
#define BULLA_JOURNAL_BATCH_HEADER 80
#define BULLA_JOURNAL_RECORD_HEADER 20

/* Identity of a store: random, in each header, so that bytes of another store are never taken for ours. */
typedef struct bulla_journal_store {
	uint8_t b[16];
} bulla_journal_store;

struct bulla_journal_record {
	uint64_t lsn;    /* by position; not in the bytes */
	uint64_t run_no; /* 0: of no run */
	uint32_t seq;    /* counts the records of a run from 0 */
	uint8_t type;    /* 1..255, meaning belongs to the store's user */
	uint8_t flags;
	bulla_bytes body;
};

struct bulla_journal_segment {
	bulla_journal_store store;
	uint64_t number; /* from 1 */
	uint64_t first_lsn;
	bulla_digest chain;
};

struct bulla_journal_batch {
	bulla_journal_store store;
	uint32_t bytes; /* header and body, without padding */
	uint32_t count;
	uint64_t lsn;
	int64_t time_ms;
	bulla_digest chain;
	uint32_t crc;     /* crc32c of body */
	bool by_crc;      /* the host's: the chain holds crc in place of the records' hashes */
	bulla_bytes body; /* the records; a view into what was parsed */
};

/* Up to whole pages. */
static inline size_t bulla_journal_padded(size_t bytes)
{
	return (bytes + BULLA_JOURNAL_PAGE - 1) / BULLA_JOURNAL_PAGE * BULLA_JOURNAL_PAGE;
}

/* Appends one framed record to buf (lsn is ignored). BULLA_E_LIMIT: body over JOURNAL_BATCH less headers, or buf full. */
BULLA_CHECK bulla_rc bulla_journal_record_put(const struct bulla_journal_record *record, struct bulla_buf *buf);

/* Reads the next record; the body is a view. *ret has lsn 0. BULLA_E_FORMAT, BULLA_E_TRUNCATED. */
BULLA_CHECK bulla_rc bulla_journal_record_next(bulla_rd *r, struct bulla_journal_record *ret);

/* The chain after a batch of these framed records; crc and by_crc are given. BULLA_E_FORMAT when records do not parse or are
 * not count many. */
BULLA_CHECK bulla_rc bulla_journal_chain(const struct bulla_journal_batch *batch, const bulla_digest *before,
	bulla_digest *ret);

/* Writes header and padding around batch->body that is already in place: memory holds BATCH_HEADER free bytes, then the
 * body (body.p == memory + BATCH_HEADER), then room up to the padded size, which is cleared. store, count, lsn, time_ms,
 * chain, crc are given; bytes is set here. Returns the view of whole pages. */
BULLA_CHECK bulla_rc bulla_journal_batch_seal(struct bulla_journal_batch *batch, uint8_t *memory, size_t size,
	bulla_bytes *ret_pages);

/* Parses one batch at the start of bytes (a page boundary; more may follow). BULLA_E_NOT_FOUND: a page of zeros or no
 * magic. BULLA_E_TRUNCATED: bytes end before the batch does; batch->bytes is set then and nothing else. BULLA_E_CORRUPT:
 * crc, lengths or foreign store (NULL: any store). The chain is not checked here; by_crc is false. */
BULLA_CHECK bulla_rc bulla_journal_batch_parse(bulla_bytes bytes, const bulla_journal_store *store,
	struct bulla_journal_batch *ret);

/* Only zeros; public bytes, quick. */
bool bulla_journal_is_zero(bulla_bytes bytes);

/* One page of segment header. Parse: BULLA_E_NOT_FOUND for a page of zeros (a spare), BULLA_E_CORRUPT, BULLA_E_VERSION
 * for a format this program does not read. */
BULLA_CHECK bulla_rc bulla_journal_segment_put(const struct bulla_journal_segment *segment,
	uint8_t ret_page[BULLA_JOURNAL_PAGE]);
BULLA_CHECK bulla_rc bulla_journal_segment_parse(bulla_bytes page, struct bulla_journal_segment *ret);

#define BULLA_JOURNAL_NAME 24
/* "0000000000000007.seg" and back; parse refuses any other name with BULLA_E_NOT_FOUND. */
void bulla_journal_name(uint64_t number, char ret_name[BULLA_JOURNAL_NAME]);
BULLA_CHECK bulla_rc bulla_journal_name_parse(const char *name, uint64_t *ret_number);
