#include "journal/format.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "journal/crc32c.h"

#define SEGMENT_MAGIC UINT64_C(0x314a414c4c554200) /* "\0BULLAJ1" */
#define BATCH_MAGIC UINT32_C(0x314a4242)           /* "BBJ1" */
#define SEGMENT_HEADER 80
#define BODY_MAX (BULLA_MAX_JOURNAL_BATCH - BULLA_JOURNAL_BATCH_HEADER)

bulla_rc bulla_journal_record_put(const struct bulla_journal_record *record, struct bulla_buf *buf)
{
	uint8_t header[BULLA_JOURNAL_RECORD_HEADER];
	bulla_wr w = bulla_wr_fixed(header, sizeof(header));
	bulla_bytes view;

	if (record->body.n > BODY_MAX - BULLA_JOURNAL_RECORD_HEADER)
		return BULLA_FAIL(BULLA_E_LIMIT, "a record does not fit a batch");
	bulla_wr_u32le(&w, (uint32_t)record->body.n);
	bulla_wr_u8(&w, record->type);
	bulla_wr_u8(&w, record->flags);
	bulla_wr_u16le(&w, 0);
	bulla_wr_u64le(&w, record->run_no);
	bulla_wr_u32le(&w, record->seq);
	BULLA_TRY(bulla_wr_end(&w, &view));
	BULLA_TRY(bulla_buf_reserve(buf, view.n + record->body.n));
	BULLA_TRY(bulla_buf_append(buf, view));
	return bulla_buf_append(buf, record->body);
}

bulla_rc bulla_journal_record_next(bulla_rd *r, struct bulla_journal_record *ret)
{
	struct bulla_journal_record record = {0};
	bulla_rd at = *r;
	uint32_t bytes = 0;
	uint16_t zero = 0;

	BULLA_TRY(bulla_rd_u32le(&at, &bytes));
	BULLA_TRY(bulla_rd_u8(&at, &record.type));
	BULLA_TRY(bulla_rd_u8(&at, &record.flags));
	BULLA_TRY(bulla_rd_u16le(&at, &zero));
	BULLA_TRY(bulla_rd_u64le(&at, &record.run_no));
	BULLA_TRY(bulla_rd_u32le(&at, &record.seq));
	if (record.type == 0 || zero != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a record's header is not one");
	BULLA_TRY(bulla_rd_bytes(&at, bytes, &record.body));
	*r = at;
	*ret = record;
	return BULLA_OK;
}

/* What the chain holds of the records: digest of their digests, or (by_crc) nothing yet. They parse and are count many. */
static bulla_rc body_digest(const struct bulla_journal_batch *batch, bulla_digest *ret)
{
	struct bulla_sha256 all;
	bulla_rd r = bulla_rd_of(batch->body);
	uint32_t count = 0;

	bulla_sha256_init(&all);
	while (bulla_rd_left(&r) > 0) {
		struct bulla_journal_record record;
		bulla_digest one;
		size_t from = r.at;

		BULLA_TRY(bulla_journal_record_next(&r, &record));
		count++;
		if (batch->by_crc)
			continue;
		bulla_sha256(bulla_bytes_of(batch->body.p + from, r.at - from), &one);
		bulla_sha256_add(&all, bulla_bytes_digest(&one));
	}
	if (count != batch->count)
		return BULLA_FAIL(BULLA_E_FORMAT, "a batch holds another number of records");
	bulla_sha256_end(&all, ret);
	return BULLA_OK;
}

bulla_rc bulla_journal_chain(const struct bulla_journal_batch *batch, const bulla_digest *before, bulla_digest *ret)
{
	uint8_t numbers[24];
	bulla_wr w = bulla_wr_fixed(numbers, sizeof(numbers));
	bulla_digest body;
	bulla_bytes parts[3] = {bulla_bytes_digest(before), {0}, bulla_bytes_digest(&body)};

	BULLA_TRY(body_digest(batch, &body));
	bulla_wr_u64le(&w, batch->lsn);
	bulla_wr_u32le(&w, batch->count);
	bulla_wr_u64le(&w, (uint64_t)batch->time_ms);
	if (batch->by_crc)
		bulla_wr_u32le(&w, batch->crc);
	BULLA_TRY(bulla_wr_end(&w, &parts[1]));
	bulla_sha256_parts(parts, batch->by_crc ? 2 : 3, ret);
	return BULLA_OK;
}

/* All of the header but magic and crc. */
static void batch_rest(bulla_wr *w, const struct bulla_journal_batch *batch)
{
	bulla_wr_u32le(w, batch->bytes);
	bulla_wr_u32le(w, batch->count);
	bulla_wr_u64le(w, batch->lsn);
	bulla_wr_bytes(w, BULLA_BYTES_ARRAY(batch->store.b));
	bulla_wr_u64le(w, (uint64_t)batch->time_ms);
	bulla_wr_digest(w, &batch->chain);
}

bulla_rc bulla_journal_batch_seal(struct bulla_journal_batch *batch, uint8_t *memory, size_t size, bulla_bytes *ret_pages)
{
	uint8_t rest[BULLA_JOURNAL_BATCH_HEADER - 8];
	bulla_wr w = bulla_wr_fixed(rest, sizeof(rest));
	bulla_wr header = bulla_wr_fixed(memory, BULLA_JOURNAL_BATCH_HEADER);
	size_t bytes = BULLA_JOURNAL_BATCH_HEADER + batch->body.n;
	bulla_bytes view, ignored;

	if (batch->body.n > BODY_MAX || bulla_journal_padded(bytes) > size)
		return BULLA_FAIL(BULLA_E_LIMIT, "a batch is too long");
	batch->bytes = (uint32_t)bytes;
	batch_rest(&w, batch);
	BULLA_TRY(bulla_wr_end(&w, &view));
	bulla_wr_u32le(&header, BATCH_MAGIC);
	bulla_wr_u32le(&header, bulla_crc32c(batch->crc, view));
	bulla_wr_bytes(&header, view);
	BULLA_TRY(bulla_wr_end(&header, &ignored));
	bulla_zero(memory + bytes, bulla_journal_padded(bytes) - bytes);
	*ret_pages = bulla_bytes_of(memory, bulla_journal_padded(bytes));
	return BULLA_OK;
}

static bulla_rc batch_fields(bulla_rd *r, struct bulla_journal_batch *batch)
{
	uint64_t time_ms = 0;

	BULLA_TRY(bulla_rd_u32le(r, &batch->bytes));
	BULLA_TRY(bulla_rd_u32le(r, &batch->count));
	BULLA_TRY(bulla_rd_u64le(r, &batch->lsn));
	BULLA_TRY(bulla_rd_copy(r, sizeof(batch->store.b), batch->store.b));
	BULLA_TRY(bulla_rd_u64le(r, &time_ms));
	BULLA_TRY(bulla_rd_digest(r, &batch->chain));
	batch->time_ms = (int64_t)time_ms;
	return BULLA_OK;
}

bulla_rc bulla_journal_batch_parse(bulla_bytes bytes, const bulla_journal_store *store, struct bulla_journal_batch *ret)
{
	struct bulla_journal_batch batch = {0};
	bulla_rd r = bulla_rd_of(bytes);
	uint32_t magic = 0, crc = 0;
	bulla_bytes rest;

	BULLA_TRY(bulla_rd_u32le(&r, &magic));
	if (magic != BATCH_MAGIC)
		return BULLA_E_NOT_FOUND; /* the usual end of a segment: no error to trace */
	BULLA_TRY(bulla_rd_u32le(&r, &crc));
	BULLA_TRY(batch_fields(&r, &batch));
	if (batch.bytes < BULLA_JOURNAL_BATCH_HEADER || batch.bytes > BULLA_MAX_JOURNAL_BATCH)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a batch has an impossible length");
	if (batch.bytes > bytes.n) {
		ret->bytes = batch.bytes;
		return BULLA_E_TRUNCATED;
	}
	rest = bulla_bytes_of(bytes.p + 8, BULLA_JOURNAL_BATCH_HEADER - 8);
	batch.body = bulla_bytes_of(bytes.p + BULLA_JOURNAL_BATCH_HEADER, batch.bytes - BULLA_JOURNAL_BATCH_HEADER);
	batch.crc = bulla_crc32c(0, batch.body);
	if (crc != bulla_crc32c(batch.crc, rest))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a batch's checksum differs");
	if (store != NULL && !bulla_bytes_eq(BULLA_BYTES_ARRAY(batch.store.b), BULLA_BYTES_ARRAY(store->b)))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a batch belongs to another store");
	*ret = batch;
	return BULLA_OK;
}

/* Of all but magic and itself. */
static uint32_t segment_crc(bulla_bytes page)
{
	uint32_t crc = bulla_crc32c(0, bulla_bytes_of(page.p + 8, 4));

	return bulla_crc32c(crc, bulla_bytes_of(page.p + 16, SEGMENT_HEADER - 16));
}

bulla_rc bulla_journal_segment_put(const struct bulla_journal_segment *segment, uint8_t ret_page[BULLA_JOURNAL_PAGE])
{
	bulla_wr w = bulla_wr_fixed(ret_page, BULLA_JOURNAL_PAGE);
	bulla_wr head = bulla_wr_fixed(ret_page, 16);
	bulla_bytes view;

	bulla_wr_zeros(&w, 16);
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(segment->store.b));
	bulla_wr_u64le(&w, segment->number);
	bulla_wr_u64le(&w, segment->first_lsn);
	bulla_wr_digest(&w, &segment->chain);
	bulla_wr_zeros(&w, BULLA_JOURNAL_PAGE - SEGMENT_HEADER);
	BULLA_TRY(bulla_wr_end(&w, &view));
	bulla_wr_u64le(&head, SEGMENT_MAGIC);
	bulla_wr_u32le(&head, BULLA_JOURNAL_FORMAT);
	bulla_wr_u32le(&head, segment_crc(bulla_bytes_of(ret_page, SEGMENT_HEADER)));
	return bulla_wr_end(&head, &view);
}

bool bulla_journal_is_zero(bulla_bytes bytes)
{
	/* each byte equals the one before it, and the first is zero */
	return bytes.n == 0 ||
		(bytes.p[0] == 0 && bulla_bytes_eq(bulla_bytes_of(bytes.p, bytes.n - 1), bulla_bytes_of(bytes.p + 1, bytes.n - 1)));
}

static bulla_rc segment_fields(bulla_rd *r, struct bulla_journal_segment *segment)
{
	BULLA_TRY(bulla_rd_copy(r, sizeof(segment->store.b), segment->store.b));
	BULLA_TRY(bulla_rd_u64le(r, &segment->number));
	BULLA_TRY(bulla_rd_u64le(r, &segment->first_lsn));
	return bulla_rd_digest(r, &segment->chain);
}

bulla_rc bulla_journal_segment_parse(bulla_bytes page, struct bulla_journal_segment *ret)
{
	struct bulla_journal_segment segment;
	bulla_rd r = bulla_rd_of(page);
	uint64_t magic = 0;
	uint32_t format = 0, crc = 0;

	if (page.n < SEGMENT_HEADER || bulla_journal_is_zero(page))
		return BULLA_E_NOT_FOUND;
	BULLA_TRY(bulla_rd_u64le(&r, &magic));
	BULLA_TRY(bulla_rd_u32le(&r, &format));
	BULLA_TRY(bulla_rd_u32le(&r, &crc));
	if (magic != SEGMENT_MAGIC || crc != segment_crc(page))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a segment's header is damaged");
	if (format != BULLA_JOURNAL_FORMAT)
		return BULLA_FAIL(BULLA_E_VERSION, "a segment is of another format");
	BULLA_TRY(segment_fields(&r, &segment));
	*ret = segment;
	return BULLA_OK;
}

void bulla_journal_name(uint64_t number, char ret_name[BULLA_JOURNAL_NAME])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++)
		ret_name[i] = digits[number >> (60 - 4 * i) & 15];
	bulla_copy(ret_name + 16, ".seg", 5);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bulla_rc bulla_journal_name_parse(const char *name, uint64_t *ret_number)
{
	bulla_bytes text = bulla_bytes_str(name);
	uint64_t number = 0;

	if (text.n != 20 || !bulla_bytes_eq_str(bulla_bytes_of(text.p + 16, 4), ".seg"))
		return BULLA_E_NOT_FOUND;
	for (int i = 0; i < 16; i++) {
		int value = hex_value(name[i]);

		if (value < 0)
			return BULLA_E_NOT_FOUND;
		number = number << 4 | (uint64_t)value;
	}
	if (number == 0)
		return BULLA_E_NOT_FOUND;
	*ret_number = number;
	return BULLA_OK;
}
