#include "engine/spans.h"

#include "receipt/receipt.h"

#define SUM_WHOLE ((size_t)1 << 20) /* records of a run up to here are given as they are */

bulla_rc bulla_span_next(bulla_rd *spans, struct bulla_engine_place *ret)
{
	BULLA_TRY(bulla_rd_u32le(spans, &ret->segment));
	BULLA_TRY(bulla_rd_u32le(spans, &ret->offset));
	return bulla_rd_u32le(spans, &ret->bytes);
}

/* What is done with each record of a run. */
typedef bulla_rc each_record(void *arg, const struct bulla_journal_record *record, bulla_bytes span);

static bulla_rc each(const struct bulla_spans_reader *reader, uint64_t run_no, bulla_bytes spans, each_record *take, void *arg)
{
	bulla_rd r = bulla_rd_of(spans);
	BULLA_AUTO_BUF memory = {.max = BULLA_MAX_JOURNAL_BATCH};

	while (bulla_rd_left(&r) > 0) {
		bulla_bytes span = bulla_bytes_of(spans.p + r.at, BULLA_REC_SPAN_BYTES);
		struct bulla_engine_place place;
		struct bulla_journal_record record;

		BULLA_TRY(bulla_span_next(&r, &place));
		memory.n = 0;
		BULLA_TRY(reader->read(reader->ctx, place, &memory, &record));
		if (record.run_no != run_no)
			return BULLA_FAIL(BULLA_E_CORRUPT, "a record is not where the catalogue says");
		BULLA_TRY(take(arg, &record, span));
	}
	return BULLA_OK;
}

static bulla_rc put_whole(void *arg, const struct bulla_journal_record *record, bulla_bytes span)
{
	(void)span;
	return bulla_journal_record_put(record, arg);
}

bulla_rc bulla_spans_load(const struct bulla_spans_reader *reader, uint64_t run_no, bulla_bytes spans, struct bulla_buf *ret)
{
	return each(reader, run_no, spans, put_whole, ret);
}

/* --- what answers for a run --- */

struct sum {
	const struct bulla_rec_row *row;
	struct bulla_rec_result final; /* no views */
	bool found;
	bulla_bytes last_token; /* its span */
	struct bulla_buf *ret;
	struct bulla_buf scratch;
};

static bulla_rc find_final(void *arg, const struct bulla_journal_record *record, bulla_bytes span)
{
	struct sum *sum = arg;
	struct bulla_rec_result result;

	if (record->type == BULLA_HOST_TOKENS)
		sum->last_token = span;
	if (record->type != BULLA_HOST_RESULT || sum->row->closed.state == BULLA_RUN_OPEN)
		return BULLA_OK;
	BULLA_TRY(bulla_rec_result_read(record->body, &result));
	if (!bulla_rec_answers(&sum->row->closed, &result, sum->found ? &sum->final : NULL))
		return BULLA_OK;
	result.executed = (bulla_bytes){NULL, 0};
	sum->final = result;
	sum->found = true;
	return BULLA_OK;
}

static bool is_final(const struct sum *sum, const struct bulla_rec_result *result)
{
	return sum->found && result->step == sum->final.step && result->item == sum->final.item &&
		result->attempt == sum->final.attempt;
}

/* A result without what only its readers need. */
static bulla_rc put_short(struct sum *sum, const struct bulla_journal_record *record, struct bulla_rec_result result)
{
	struct bulla_journal_record copy = *record;
	struct bulla_msg_executed executed, kept;
	bulla_wr w = bulla_wr_buf(&sum->scratch);

	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	kept = (struct bulla_msg_executed){.outcome = executed.outcome, .took_us = executed.took_us};
	sum->scratch.n = 0;
	result.executed = (bulla_bytes){NULL, 0};
	bulla_rec_result_write(&w, &result);
	bulla_msg_executed_encode(&kept, &w);
	BULLA_TRY(bulla_wr_end(&w, &copy.body));
	return bulla_journal_record_put(&copy, sum->ret);
}

static bulla_rc put_summed(void *arg, const struct bulla_journal_record *record, bulla_bytes span)
{
	struct sum *sum = arg;
	struct bulla_rec_result result;

	if (record->type == BULLA_HOST_STARTED || record->type == BULLA_HOST_CLOSED || span.p == sum->last_token.p)
		return bulla_journal_record_put(record, sum->ret);
	if (record->type != BULLA_HOST_RESULT)
		return BULLA_OK;
	BULLA_TRY(bulla_rec_result_read(record->body, &result));
	return is_final(sum, &result) ? bulla_journal_record_put(record, sum->ret) : put_short(sum, record, result);
}

static size_t bytes_of(bulla_bytes spans)
{
	bulla_rd r = bulla_rd_of(spans);
	struct bulla_engine_place place;
	size_t sum = 0;

	while (bulla_rd_left(&r) > 0 && bulla_span_next(&r, &place) == BULLA_OK)
		sum += place.bytes;
	return sum;
}

bulla_rc bulla_spans_sum(const struct bulla_spans_reader *reader, const struct bulla_rec_row *row, struct bulla_buf *ret)
{
	struct sum sum = {.row = row, .ret = ret};
	bulla_rc rc;

	if (bytes_of(row->spans) <= SUM_WHOLE)
		return bulla_spans_load(reader, row->run_no, row->spans, ret);
	bulla_buf_init(&sum.scratch, 256);
	rc = each(reader, row->run_no, row->spans, find_final, &sum);
	if (rc == BULLA_OK)
		rc = each(reader, row->run_no, row->spans, put_summed, &sum);
	bulla_buf_done(&sum.scratch);
	return rc;
}

/* --- what is where --- */

static bulla_rc receipt_of(bulla_bytes body, bulla_digest *ret)
{
	struct bulla_rec_result result;
	struct bulla_msg_executed executed;
	struct bulla_receipt_record receipt;

	BULLA_TRY(bulla_rec_result_read(body, &result));
	BULLA_TRY(bulla_msg_executed_decode(result.executed, &executed));
	BULLA_TRY(bulla_receipt_record_decode(executed.receipt, &receipt));
	*ret = receipt.digest;
	return BULLA_OK;
}

static bulla_rc put_entry(void *arg, const struct bulla_journal_record *record, bulla_bytes span)
{
	bulla_wr w = bulla_wr_buf(arg);
	bulla_digest digest = {{0}};
	bulla_bytes ignored;

	if (record->type == BULLA_HOST_STARTED)
		return bulla_journal_record_put(record, arg);
	if (record->type != BULLA_HOST_RESULT && record->type != BULLA_HOST_TOKENS)
		return BULLA_OK;
	if (record->type == BULLA_HOST_RESULT)
		BULLA_TRY(receipt_of(record->body, &digest));
	bulla_wr_u8(&w, record->type);
	bulla_wr_digest(&w, &digest);
	bulla_wr_bytes(&w, span);
	return bulla_wr_end(&w, &ignored);
}

bulla_rc bulla_spans_index(const struct bulla_spans_reader *reader, const struct bulla_rec_row *row, struct bulla_buf *ret)
{
	return each(reader, row->run_no, row->spans, put_entry, ret);
}

/* --- questions --- */

bulla_rc bulla_spans_answer(const struct bulla_spans_reader *reader, enum bulla_engine_question question, bulla_bytes arg,
	const struct bulla_rec_row *row, struct bulla_buf *ret)
{
	struct bulla_rec_row open = {.closed = {.state = BULLA_RUN_OPEN}};
	bulla_rd r = bulla_rd_of(arg);

	if (question == BULLA_ENGINE_LOAD_RUN)
		return bulla_spans_sum(reader, row, ret);
	if (question == BULLA_ENGINE_INDEX_RUN)
		return bulla_spans_index(reader, row, ret);
	BULLA_TRY(bulla_rd_u64le(&r, &open.run_no));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &open.spans));
	if (question == BULLA_ENGINE_SUM_SPANS)
		return bulla_spans_sum(reader, &open, ret);
	return bulla_spans_load(reader, open.run_no, open.spans, ret);
}
