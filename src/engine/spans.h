#pragma once
/* What is read back of a run: its records lie in the journal where its spans say. The librarian's work without its thread
 * and files; pure. A run may be larger than memory: nothing here holds more of it than one record and what is asked for. */
#include "engine/core.h"
#include "engine/records.h"

struct bulla_spans_reader {
	void *ctx;
	/* The record that begins at this place; *ret's body views memory, which is empty. */
	bulla_rc (*read)(void *ctx, struct bulla_engine_place place, struct bulla_buf *memory,
		struct bulla_journal_record *ret);
};

/* The next of a run's spans (BULLA_REC_SPAN_BYTES each). BULLA_E_TRUNCATED. */
BULLA_CHECK bulla_rc bulla_span_next(bulla_rd *spans, struct bulla_engine_place *ret);

/* Appends the framed records at these spans, in order. BULLA_E_CORRUPT: of another run. BULLA_E_LIMIT: more than ret takes. */
BULLA_CHECK bulla_rc bulla_spans_load(const struct bulla_spans_reader *reader, uint64_t run_no, bulla_bytes spans,
	struct bulla_buf *ret);

/* Appends what answers for a run, as framed records: of a small run all of them; of a larger one its start, each result
 * without receipt and envelopes, but the one whole that bulla_rec_answers says, the last token, how it ended. */
BULLA_CHECK bulla_rc bulla_spans_sum(const struct bulla_spans_reader *reader, const struct bulla_rec_row *row,
	struct bulla_buf *ret);

/* Appends the framed STARTED, then for each RESULT and TOKENS an entry: where it is, by which digest (a result's receipt). */
#define BULLA_SPANS_ENTRY_BYTES (1 + 32 + BULLA_REC_SPAN_BYTES) /* record type, digest (of TOKENS: zeros), span */
BULLA_CHECK bulla_rc bulla_spans_index(const struct bulla_spans_reader *reader, const struct bulla_rec_row *row,
	struct bulla_buf *ret);

/* Answers one of the engine's questions about a run's records: arg of LOAD_SPANS or SUM_SPANS; row of the others. */
BULLA_CHECK bulla_rc bulla_spans_answer(const struct bulla_spans_reader *reader, enum bulla_engine_question question,
					bulla_bytes arg, const struct bulla_rec_row *row, struct bulla_buf *ret);
