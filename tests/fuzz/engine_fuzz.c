/* Frames from anybody into the engine's core: the input is a sequence of (who and flags, op, length u16, body). Nothing of
 * it may be an error of the core, and what it appends to the journal it must be able to read back. */
#include "base/mem.h"
#include "engine/core.h"
#include "engine/records.h"
#include "fuzz.h"

static bulla_rc call(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	(void)ctx, (void)peer, (void)op, (void)stream, (void)body;
	return BULLA_OK;
}

static void say(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	(void)ctx, (void)peer, (void)op, (void)stream, (void)body;
}

static void refuse(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_rc rc,
	uint64_t retry_ms)
{
	(void)ctx, (void)peer, (void)op, (void)stream, (void)retry_ms;
	fuzz_assert(rc != BULLA_OK);
}

static bulla_rc append(void *ctx, bulla_bytes records, uint32_t count, bool urgent)
{
	bulla_rd r = bulla_rd_of(records);
	struct bulla_journal_record record;

	(void)ctx, (void)urgent;
	for (uint32_t i = 0; i < count; i++)
		fuzz_assert(bulla_journal_record_next(&r, &record) == BULLA_OK);
	fuzz_assert(bulla_rd_end(&r) == BULLA_OK);
	return BULLA_OK;
}

static void arm(void *ctx, int64_t due_ms)
{
	(void)ctx, (void)due_ms;
}

static bulla_rc ask(void *ctx, uint64_t ticket, enum bulla_engine_question question, bulla_bytes arg)
{
	(void)ctx, (void)ticket, (void)question, (void)arg;
	return BULLA_OK;
}

static bulla_rc tell(void *ctx, enum bulla_engine_question question, bulla_bytes arg)
{
	(void)ctx, (void)question, (void)arg;
	return BULLA_OK;
}

static void note(void *ctx, enum bulla_engine_note n, uint64_t number)
{
	(void)ctx, (void)n, (void)number;
}

/* The readers of stored bodies, on anything. */
static void read_records(bulla_bytes body)
{
	struct bulla_rec_started started;
	struct bulla_rec_result result;
	struct bulla_rec_closed closed;
	struct bulla_rec_token token;
	struct bulla_rec_row row;
	uint8_t out[256];
	bulla_wr w = bulla_wr_fixed(out, sizeof(out));
	bulla_bytes again;

	(void)(bulla_rec_started_read(body, &started) == BULLA_OK);
	(void)(bulla_rec_result_read(body, &result) == BULLA_OK);
	(void)(bulla_rec_token_read(body, &token) == BULLA_OK);
	(void)(bulla_rec_row_read(body, &row) == BULLA_OK);
	if (bulla_rec_closed_read(body, &closed) != BULLA_OK)
		return;
	bulla_rec_closed_write(&w, &closed);
	fuzz_assert(bulla_wr_end(&w, &again) == BULLA_OK && bulla_bytes_eq(again, body));
}

static void frames(struct bulla_engine *engine, bulla_rd *r)
{
	uint8_t who, op;
	uint16_t size;
	bulla_bytes body;

	while (bulla_rd_u8(r, &who) == BULLA_OK && bulla_rd_u8(r, &op) == BULLA_OK && bulla_rd_u16le(r, &size) == BULLA_OK) {
		struct bulla_engine_input input = {.kind = BULLA_ENGINE_FRAME,
			.peer = 1025U + who % 3,
			.op = op,
			.flags = (uint16_t)((who >> 2 & 1 ? BULLA_ENGINE_REPLY : 0) |
				(who >> 3 & 1 ? BULLA_ENGINE_ERROR : 0) |
				(who >> 4 & 1 ? BULLA_ENGINE_EVENT : 0)),
			.stream = who >> 5,
			.now_ms = 1800000000000};

		if (bulla_rd_bytes(r, size < bulla_rd_left(r) ? size : bulla_rd_left(r), &body) != BULLA_OK)
			return;
		input.body = body;
		fuzz_assert(bulla_engine_step(engine, &input) == BULLA_OK);
		input = (struct bulla_engine_input){.kind = BULLA_ENGINE_TURN, .now_ms = 1800000000000, .has_room = true};
		fuzz_assert(bulla_engine_step(engine, &input) == BULLA_OK);
		read_records(body);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum bulla_role roles[] = {BULLA_ROLE_CLIENT, BULLA_ROLE_ENCLAVE, BULLA_ROLE_BROKER};
	struct bulla_engine_options options = {.now_ms = 1800000000000, .residents = 64};
	struct bulla_engine_effects effects = {NULL, call, say, say, refuse, append, arm, ask, tell, note};
	struct bulla_engine *engine;
	bulla_rd r = bulla_rd_of(bulla_bytes_of(p, n));

	if (bulla_engine_new(&options, &effects, &engine) != BULLA_OK)
		return 0;
	for (uint32_t i = 0; i < 3; i++) {
		struct bulla_engine_input input = {
			.kind = BULLA_ENGINE_PEER_UP, .peer = 1025 + i, .role = roles[i], .now_ms = 1800000000000};

		fuzz_assert(bulla_engine_step(engine, &input) == BULLA_OK);
	}
	frames(engine, &r);
	for (uint32_t i = 0; i < 3; i++) {
		struct bulla_engine_input input = {.kind = BULLA_ENGINE_PEER_DOWN, .peer = 1025 + i};

		fuzz_assert(bulla_engine_step(engine, &input) == BULLA_OK);
	}
	bulla_engine_free(engine);
	return 0;
}
