/* First byte: batch (as it is, or with its checksum made right), records, or segment header. */
#include "fuzz.h"
#include "journal/crc32c.h"
#include "journal/format.h"

static uint8_t memory[1 << 17];

static void fuzz_records(bulla_bytes in)
{
	struct bulla_journal_record record;
	bulla_rd r = bulla_rd_of(in);
	size_t before = 0;

	while (bulla_journal_record_next(&r, &record) == BULLA_OK) {
		fuzz_assert(r.at > before && record.body.n <= in.n);
		before = r.at;
	}
}

static void check_batch(bulla_bytes bytes)
{
	struct bulla_journal_batch batch;
	bulla_digest before = {{0}}, chain;

	if (bulla_journal_batch_parse(bytes, NULL, &batch) != BULLA_OK)
		return;
	fuzz_assert(batch.bytes <= bytes.n && batch.body.n + BULLA_JOURNAL_BATCH_HEADER == batch.bytes);
	fuzz_records(batch.body);
	(void)!bulla_journal_chain(&batch, &before, &chain);
	batch.by_crc = true;
	(void)!bulla_journal_chain(&batch, &before, &chain);
}

/* Any body under a right header: what an attacker who can write the disk makes. */
static void seal_and_check(bulla_bytes in)
{
	struct bulla_journal_batch batch = {.count = in.n > 0 ? in.p[0] : 0, .lsn = 1};
	bulla_bytes pages;

	if (in.n > sizeof(memory) / 2)
		return;
	bulla_copy(memory + BULLA_JOURNAL_BATCH_HEADER, in.p, in.n);
	batch.body = bulla_bytes_of(memory + BULLA_JOURNAL_BATCH_HEADER, in.n);
	batch.crc = bulla_crc32c(0, batch.body);
	if (bulla_journal_batch_seal(&batch, memory, sizeof(memory), &pages) == BULLA_OK)
		check_batch(pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_journal_segment segment;
	bulla_bytes in;

	if (n < 1)
		return 0;
	in = bulla_bytes_of(p + 1, n - 1);
	if (p[0] % 4 == 0)
		check_batch(in);
	else if (p[0] % 4 == 1)
		seal_and_check(in);
	else if (p[0] % 4 == 2)
		fuzz_records(in);
	else
		(void)!bulla_journal_segment_parse(in, &segment);
	return 0;
}
