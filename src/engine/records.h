#pragma once
/* Bodies of the host's journal records and of catalogue rows (engine.md section 4, doc/formats.md section `host
 * records`). Fixed-width little-endian heads, then protobuf messages as they came. */
#include "receipt/position.h"
#include "wire/messages.h"

/* STARTED: when, then the `start` message without follow; its links are nobody else's. */
struct bulla_rec_started {
	int64_t at_ms;
	bulla_bytes start; /* borrowed */
};

/* RESULT: which attempt, then the `executed` message without objects. */
struct bulla_rec_result {
	int64_t at_ms;
	uint16_t step;
	uint32_t item, attempt;
	uint8_t outcome;
	bulla_bytes executed; /* borrowed */
};

/* GIVEN_UP: the head of RESULT alone. CLOSED: how the run ended. */
struct bulla_rec_closed {
	int64_t started_ms, ended_ms;
	uint8_t state;   /* enum bulla_run_state */
	uint8_t outcome; /* of the last step, or the failure; stuck: why, a bulla_rc */
	uint16_t failed_step, steps_done, steps;
};

/* Does this result answer for a run that ended so, rather than the best one before it (NULL: none)? The last step's, or the
 * failed step's, of the latest attempt. */
bool bulla_rec_answers(const struct bulla_rec_closed *closed, const struct bulla_rec_result *result,
	const struct bulla_rec_result *before);

/* TOKENS: receipt digest, then the token record. */
struct bulla_rec_token {
	bulla_digest receipt;
	bulla_bytes token; /* borrowed */
};

/* What the catalogue keeps of a run that ended: CLOSED and where its records are. */
#define BULLA_ROW_SPANS 64
struct bulla_rec_row {
	bulla_run_id run;
	uint64_t run_no;
	uint64_t replay_lsn; /* at the time of writing */
	uint64_t closed_lsn; /* of its CLOSED */
	bulla_digest workflow, start;
	uint64_t epoch;
	struct bulla_rec_closed closed;
	bulla_bytes spans; /* 12 bytes each: segment u32, offset u32, bytes u32; borrowed */
};

#define BULLA_REC_STARTED_HEAD 8
#define BULLA_REC_RESULT_HEAD 19
#define BULLA_REC_CLOSED_BYTES 24
#define BULLA_REC_SPAN_BYTES 12

/* Bodies of the engine's records, layouts in doc/formats.md; lengths are the caller's to check. */
void bulla_rec_started_write(bulla_wr *w, const struct bulla_rec_started *started);
void bulla_rec_result_write(bulla_wr *w, const struct bulla_rec_result *result);
void bulla_rec_closed_write(bulla_wr *w, const struct bulla_rec_closed *closed);
void bulla_rec_token_write(bulla_wr *w, const struct bulla_rec_token *token);
void bulla_rec_row_write(bulla_wr *w, const struct bulla_rec_row *row);

/* Views borrow from body. BULLA_E_TRUNCATED, BULLA_E_TRAILING, BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_rec_started_read(bulla_bytes body, struct bulla_rec_started *ret);
BULLA_CHECK bulla_rc bulla_rec_result_read(bulla_bytes body, struct bulla_rec_result *ret);
BULLA_CHECK bulla_rc bulla_rec_closed_read(bulla_bytes body, struct bulla_rec_closed *ret);
BULLA_CHECK bulla_rc bulla_rec_token_read(bulla_bytes body, struct bulla_rec_token *ret);
BULLA_CHECK bulla_rc bulla_rec_row_read(bulla_bytes body, struct bulla_rec_row *ret);
