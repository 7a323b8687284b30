#include "journal/writer.h"

#include "base/limits.h"
#include "base/mem.h"
#include "journal/crc32c.h"

/* Memory: one page for a segment header, then the batch. */
#define MEMORY (BULLA_JOURNAL_PAGE + (size_t)BULLA_MAX_JOURNAL_BATCH)
#define BODY_AT (BULLA_JOURNAL_PAGE + BULLA_JOURNAL_BATCH_HEADER)

bulla_rc bulla_journal_writer_init(struct bulla_journal_writer *writer, const struct bulla_disk *disk,
	const struct bulla_journal_end *end)
{
	void *memory = NULL;

	BULLA_TRY(bulla_alloc(MEMORY + BULLA_JOURNAL_PAGE, 1, &memory));
	*writer = (struct bulla_journal_writer){.disk = disk,
		.end = *end,
		.made = end->last_made,
		.memory = bulla_journal_align(memory),
		.allocated = memory,
		.file = -1};
	return BULLA_OK;
}

void bulla_journal_writer_done(struct bulla_journal_writer *writer)
{
	if (writer->file >= 0)
		writer->disk->close(writer->disk->ctx, writer->file);
	bulla_free(writer->allocated);
	*writer = (struct bulla_journal_writer){.file = -1, .dead = true};
}

void bulla_journal_writer_made(struct bulla_journal_writer *writer, uint64_t number)
{
	if (number > writer->made)
		writer->made = number;
}

bulla_rc bulla_journal_writer_add(struct bulla_journal_writer *writer, bulla_bytes records, uint32_t count)
{
	size_t room = BULLA_MAX_JOURNAL_BATCH - BULLA_JOURNAL_BATCH_HEADER;

	if (writer->dead)
		return BULLA_FAIL(BULLA_E_STATE, "the journal's writer has failed");
	if (records.n > room)
		return BULLA_FAIL(BULLA_E_LIMIT, "records do not fit a batch");
	if (records.n > room - writer->body)
		return BULLA_E_BUSY;
	bulla_copy(writer->memory + BODY_AT + writer->body, records.p, records.n);
	writer->body += records.n;
	writer->count += count;
	return BULLA_OK;
}

static bulla_rc open_segment(struct bulla_journal_writer *writer, uint64_t number)
{
	const struct bulla_disk *disk = writer->disk;
	char name[BULLA_JOURNAL_NAME];

	if (writer->file >= 0)
		disk->close(disk->ctx, writer->file);
	writer->file = -1;
	bulla_journal_name(number, name);
	BULLA_TRY(disk->open(disk->ctx, name, false, &writer->file));
	BULLA_TRY(disk->size(disk->ctx, writer->file, &writer->bytes));
	writer->bytes -= writer->bytes % BULLA_JOURNAL_PAGE;
	return BULLA_OK;
}

/* Puts the header of the next segment in front of the batch and moves there. */
static bulla_rc next_segment(struct bulla_journal_writer *writer)
{
	uint64_t number = writer->end.at.segment + 1;
	struct bulla_journal_segment segment = {
		.store = writer->end.store, .number = number, .first_lsn = writer->end.lsn, .chain = writer->end.chain};

	if (number > writer->made)
		return BULLA_E_FULL;
	BULLA_TRY(open_segment(writer, number));
	BULLA_TRY(bulla_journal_segment_put(&segment, writer->memory));
	writer->end.at = (struct bulla_journal_place){number, 0, 0};
	if (writer->end.first_segment == 0)
		writer->end.first_segment = number;
	return BULLA_OK;
}

/* Opens the right segment for a batch of size bytes; *ret_header: its header page goes along. */
static bulla_rc place(struct bulla_journal_writer *writer, size_t size, bool *ret_header)
{
	if (writer->file < 0 && writer->end.at.segment != 0)
		BULLA_TRY(open_segment(writer, writer->end.at.segment));
	*ret_header = writer->end.at.segment == 0 || writer->end.at.offset == 0 ||
		writer->end.at.offset + size > writer->bytes;
	if (*ret_header)
		BULLA_TRY(next_segment(writer));
	if (*ret_header && BULLA_JOURNAL_PAGE + size > writer->bytes)
		return BULLA_FAIL(BULLA_E_LIMIT, "a batch does not fit a segment");
	return BULLA_OK;
}

static bulla_rc flush(struct bulla_journal_writer *writer, int64_t now_ms, struct bulla_journal_done *ret)
{
	struct bulla_journal_batch batch = {
		.store = writer->end.store,
		.count = writer->count,
		.lsn = writer->end.lsn,
		.time_ms = now_ms,
		.by_crc = writer->end.by_crc,
		.body = bulla_bytes_of(writer->memory + BODY_AT, writer->body)};
	size_t size = bulla_journal_padded(BULLA_JOURNAL_BATCH_HEADER + writer->body);
	const struct bulla_disk *disk = writer->disk;
	bool header = false;
	bulla_bytes pages;

	batch.crc = bulla_crc32c(0, batch.body);
	BULLA_TRY(bulla_journal_chain(&batch, &writer->end.chain, &batch.chain));
	BULLA_TRY(place(writer, size, &header));
	BULLA_TRY(bulla_journal_batch_seal(&batch, writer->memory + BULLA_JOURNAL_PAGE, MEMORY - BULLA_JOURNAL_PAGE, &pages));
	if (header)
		pages = bulla_bytes_of(writer->memory, BULLA_JOURNAL_PAGE + pages.n);
	writer->dead = true; /* unless this returns well: a failed write may have left anything */
	BULLA_TRY(disk->pwrite(disk->ctx, writer->file, writer->end.at.offset, pages, true));
	writer->dead = false;
	writer->end.at.offset += pages.n;
	*ret = (struct bulla_journal_done){.lsn = batch.lsn,
		.count = batch.count,
		.chain = batch.chain,
		.at = {writer->end.at.segment, writer->end.at.offset - size + BULLA_JOURNAL_BATCH_HEADER,
			writer->end.at.offset - size},
		.bytes = batch.body.n};
	writer->end.lsn += batch.count;
	writer->end.chain = batch.chain;
	writer->body = 0;
	writer->count = 0;
	return BULLA_OK;
}

bulla_rc bulla_journal_writer_flush(struct bulla_journal_writer *writer, int64_t now_ms, struct bulla_journal_done *ret)
{
	bulla_rc rc;

	if (writer->dead)
		return BULLA_FAIL(BULLA_E_STATE, "the journal's writer has failed");
	rc = flush(writer, now_ms, ret);
	if (rc != BULLA_OK && rc != BULLA_E_FULL) /* FULL: no spare yet, all is as it was */
		writer->dead = true;
	return rc;
}
