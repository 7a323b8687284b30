#include "engine/records.h"

#include "wire/kinds.h"

void bulla_rec_started_write(bulla_wr *w, const struct bulla_rec_started *started)
{
	bulla_wr_u64le(w, (uint64_t)started->at_ms);
	bulla_wr_bytes(w, started->start);
}

bulla_rc bulla_rec_started_read(bulla_bytes body, struct bulla_rec_started *ret)
{
	bulla_rd r = bulla_rd_of(body);
	uint64_t at;
	bulla_bytes start;

	BULLA_TRY(bulla_rd_u64le(&r, &at));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &start));
	*ret = (struct bulla_rec_started){.at_ms = (int64_t)at, .start = start};
	return BULLA_OK;
}

void bulla_rec_result_write(bulla_wr *w, const struct bulla_rec_result *result)
{
	bulla_wr_u64le(w, (uint64_t)result->at_ms);
	bulla_wr_u16le(w, result->step);
	bulla_wr_u32le(w, result->item);
	bulla_wr_u32le(w, result->attempt);
	bulla_wr_u8(w, result->outcome);
	bulla_wr_bytes(w, result->executed);
}

bulla_rc bulla_rec_result_read(bulla_bytes body, struct bulla_rec_result *ret)
{
	bulla_rd r = bulla_rd_of(body);
	struct bulla_rec_result result = {0};
	uint64_t at;

	BULLA_TRY(bulla_rd_u64le(&r, &at));
	BULLA_TRY(bulla_rd_u16le(&r, &result.step));
	BULLA_TRY(bulla_rd_u32le(&r, &result.item));
	BULLA_TRY(bulla_rd_u32le(&r, &result.attempt));
	BULLA_TRY(bulla_rd_u8(&r, &result.outcome));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &result.executed));
	result.at_ms = (int64_t)at;
	*ret = result;
	return BULLA_OK;
}

bool bulla_rec_answers(const struct bulla_rec_closed *closed, const struct bulla_rec_result *result,
	const struct bulla_rec_result *before)
{
	if (closed->state == BULLA_RUN_DONE ? BULLA_OUTCOME_IS_FAILURE(result->outcome) : result->step != closed->failed_step)
		return false;
	return !before || result->step > before->step || (result->step == before->step && result->attempt >= before->attempt);
}

static bulla_rc read_closed(bulla_rd *r, struct bulla_rec_closed *ret)
{
	struct bulla_rec_closed closed;
	uint64_t started, ended;

	BULLA_TRY(bulla_rd_u64le(r, &started));
	BULLA_TRY(bulla_rd_u64le(r, &ended));
	BULLA_TRY(bulla_rd_u8(r, &closed.state));
	BULLA_TRY(bulla_rd_u8(r, &closed.outcome));
	BULLA_TRY(bulla_rd_u16le(r, &closed.failed_step));
	BULLA_TRY(bulla_rd_u16le(r, &closed.steps_done));
	BULLA_TRY(bulla_rd_u16le(r, &closed.steps));
	closed.started_ms = (int64_t)started;
	closed.ended_ms = (int64_t)ended;
	*ret = closed;
	return BULLA_OK;
}

void bulla_rec_closed_write(bulla_wr *w, const struct bulla_rec_closed *closed)
{
	bulla_wr_u64le(w, (uint64_t)closed->started_ms);
	bulla_wr_u64le(w, (uint64_t)closed->ended_ms);
	bulla_wr_u8(w, closed->state);
	bulla_wr_u8(w, closed->outcome);
	bulla_wr_u16le(w, closed->failed_step);
	bulla_wr_u16le(w, closed->steps_done);
	bulla_wr_u16le(w, closed->steps);
}

bulla_rc bulla_rec_closed_read(bulla_bytes body, struct bulla_rec_closed *ret)
{
	bulla_rd r = bulla_rd_of(body);
	struct bulla_rec_closed closed;

	BULLA_TRY(read_closed(&r, &closed));
	BULLA_TRY(bulla_rd_end(&r));
	*ret = closed;
	return BULLA_OK;
}

void bulla_rec_token_write(bulla_wr *w, const struct bulla_rec_token *token)
{
	bulla_wr_digest(w, &token->receipt);
	bulla_wr_bytes(w, token->token);
}

bulla_rc bulla_rec_token_read(bulla_bytes body, struct bulla_rec_token *ret)
{
	bulla_rd r = bulla_rd_of(body);
	struct bulla_rec_token token;

	BULLA_TRY(bulla_rd_digest(&r, &token.receipt));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &token.token));
	*ret = token;
	return BULLA_OK;
}

void bulla_rec_row_write(bulla_wr *w, const struct bulla_rec_row *row)
{
	bulla_wr_bytes(w, bulla_run_id_view(&row->run));
	bulla_wr_u64le(w, row->run_no);
	bulla_wr_u64le(w, row->replay_lsn);
	bulla_wr_u64le(w, row->closed_lsn);
	bulla_wr_digest(w, &row->workflow);
	bulla_wr_digest(w, &row->start);
	bulla_wr_u64le(w, row->epoch);
	bulla_rec_closed_write(w, &row->closed);
	bulla_wr_bytes(w, row->spans);
}

bulla_rc bulla_rec_row_read(bulla_bytes body, struct bulla_rec_row *ret)
{
	bulla_rd r = bulla_rd_of(body);
	struct bulla_rec_row row;

	BULLA_TRY(bulla_rd_copy(&r, sizeof(row.run.b), row.run.b));
	BULLA_TRY(bulla_rd_u64le(&r, &row.run_no));
	BULLA_TRY(bulla_rd_u64le(&r, &row.replay_lsn));
	BULLA_TRY(bulla_rd_u64le(&r, &row.closed_lsn));
	BULLA_TRY(bulla_rd_digest(&r, &row.workflow));
	BULLA_TRY(bulla_rd_digest(&r, &row.start));
	BULLA_TRY(bulla_rd_u64le(&r, &row.epoch));
	BULLA_TRY(read_closed(&r, &row.closed));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &row.spans));
	if (row.spans.n % BULLA_REC_SPAN_BYTES != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "spans of a run are not whole");
	*ret = row;
	return BULLA_OK;
}
