#include "base/limits.h"
#include "base/mem.h"
#include "io/frame.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* One side under test with what reached its owner. */
struct side {
	struct bulla_frames *frames;
	unsigned messages, hellos;
	struct bulla_frame last;
	struct bulla_buf body; /* of last */
	bool answer;           /* reply at once with the same body */
};

static bulla_rc on_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	(void)frames;
	assert_int_equal(boot_id.n, 16);
	((struct side *)ctx)->hellos++;
	return role == BULLA_ROLE_BROKER ? BULLA_FAIL(BULLA_E_DENIED, "no broker here") : BULLA_OK;
}

static bulla_rc on_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct side *side = (struct side *)ctx;

	side->messages++;
	side->last = *message;
	bulla_buf_clear(&side->body);
	BULLA_TRY(bulla_buf_append(&side->body, message->body));
	if (side->answer && message->flags == 0)
		return bulla_frames_reply(frames, (enum bulla_op_number)message->op, message->stream, message->body);
	return BULLA_OK;
}

static void side_open(struct side *side, enum bulla_role role, uint32_t window)
{
	static const uint8_t boot[16] = {1};
	struct bulla_frames_options options = {.role = role, .boot_id = BULLA_BYTES_ARRAY(boot), .window = window};
	struct bulla_frames_events events = {.ctx = side, .on_hello = on_hello, .on_message = on_message};

	*side = (struct side){.messages = 0};
	bulla_buf_init(&side->body, 1 << 23);
	assert_ok(bulla_frames_new(&options, &events, &side->frames));
}

static void side_close(struct side *side)
{
	side->frames = bulla_frames_free(side->frames);
	bulla_buf_done(&side->body);
}

/* Carries all output both ways, `chunk` bytes at a time, until both are still. */
static bulla_rc carry(struct side *a, struct side *b, size_t chunk)
{
	struct side *from = a, *to = b;
	int still = 0;

	while (still < 2) {
		bulla_bytes view = bulla_frames_output(from->frames);
		size_t n = chunk == 0 || chunk > view.n ? view.n : chunk;
		bulla_rc rc = bulla_frames_feed(to->frames, bulla_bytes_of(view.p, n), 1);

		if (rc != BULLA_OK)
			return rc;
		bulla_frames_sent(from->frames, n);
		still = n == 0 ? still + 1 : 0;
		struct side *swap = from;
		from = to;
		to = swap;
	}
	return BULLA_OK;
}

static void test_codec(void **state)
{
	uint8_t memory[64];
	struct bulla_frame frame = {
		.op = 48, .flags = BULLA_FRAME_REPLY, .stream = 0x01020304, .body = BULLA_BYTES_LITERAL("ab")};
	static const uint8_t golden[] = {2, 0, 0, 0, 1, 48, 1, 0, 4, 3, 2, 1, 'a', 'b'};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_frame got;
	bulla_bytes wire;
	size_t size = 0;

	(void)state;
	bulla_frame_write(&w, &frame);
	assert_ok(bulla_wr_end(&w, &wire));
	assert_bytes(wire, BULLA_BYTES_ARRAY(golden));
	for (size_t n = 0; n < wire.n; n++) {
		assert_rc(BULLA_E_AGAIN, bulla_frame_read(bulla_bytes_of(wire.p, n), &got, &size));
		assert_int_equal(size, n < 12 ? 12 : 14);
	}
	assert_ok(bulla_frame_read(wire, &got, &size));
	assert_int_equal(got.stream, frame.stream);
	assert_bytes(got.body, frame.body);
	memory[4] = 2;
	assert_rc(BULLA_E_VERSION, bulla_frame_read(wire, &got, &size));
	memory[4] = 1;
	memory[7] = 1;
	assert_rc(BULLA_E_FORMAT, bulla_frame_read(wire, &got, &size));
	memory[7] = 0;
	memory[2] = 5;
	assert_rc(BULLA_E_LIMIT, bulla_frame_read(wire, &got, &size));
}

static void test_call_and_reply(void **state)
{
	struct side a, b;

	(void)state;
	for (size_t chunk = 0; chunk < 4; chunk++) {
		side_open(&a, BULLA_ROLE_CLIENT, 4);
		side_open(&b, BULLA_ROLE_HOST, 2);
		b.answer = true;
		assert_rc(BULLA_E_STATE, bulla_frames_call(a.frames, BULLA_OP_STATUS, 1, BULLA_BYTES_LITERAL("x")));
		assert_ok(carry(&a, &b, chunk));
		assert_int_equal(bulla_frames_peer_role(a.frames), BULLA_ROLE_HOST);
		assert_ok(bulla_frames_call(a.frames, BULLA_OP_STATUS, 7, BULLA_BYTES_LITERAL("one")));
		assert_ok(bulla_frames_call(a.frames, BULLA_OP_STATUS, 8, BULLA_BYTES_LITERAL("two")));
		assert_rc(BULLA_E_BUSY, bulla_frames_call(a.frames, BULLA_OP_STATUS, 9, BULLA_BYTES_LITERAL("3")));
		assert_int_equal(bulla_frames_open_out(a.frames), 2);
		assert_ok(carry(&a, &b, chunk));
		assert_int_equal(a.messages, 2);
		assert_int_equal(b.messages, 2);
		assert_int_equal(a.last.stream, 8);
		assert_bytes(bulla_buf_view(&a.body), BULLA_BYTES_LITERAL("two"));
		assert_int_equal(bulla_frames_open_out(a.frames), 0);
		assert_int_equal(bulla_frames_open_in(b.frames), 0);
		side_close(&a);
		side_close(&b);
	}
}

static void test_chunks_and_credit(void **state)
{
	static uint8_t big[1 << 20];
	struct side a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 31 + (i >> 8));
	side_open(&a, BULLA_ROLE_CLIENT, 4);
	side_open(&b, BULLA_ROLE_HOST, 4);
	b.answer = true;
	assert_ok(carry(&a, &b, 0));
	assert_ok(bulla_frames_call(a.frames, BULLA_OP_START, 1, BULLA_BYTES_ARRAY(big)));
	assert_ok(bulla_frames_call(a.frames, BULLA_OP_START, 2, bulla_bytes_of(big, 65537)));
	assert_ok(bulla_frames_call(a.frames, BULLA_OP_STATUS, 3, BULLA_BYTES_LITERAL("small goes ahead")));
	assert_true(bulla_frames_output(a.frames).n < 5 * 65536); /* four chunks ahead, no more */
	assert_true(bulla_frames_backlog(a.frames) > sizeof(big));
	assert_ok(carry(&a, &b, 100000));
	assert_int_equal(a.messages, 3);
	assert_int_equal(b.messages, 3);
	assert_int_equal(a.last.stream, 2);
	assert_bytes(bulla_buf_view(&a.body), bulla_bytes_of(big, 65537));
	assert_int_equal(bulla_frames_backlog(a.frames), 0);
	side_close(&a);
	side_close(&b);
}

/* Two long events and their short reply, or an empty one: whoever hears the reply has the events. */
static void test_a_short_reply_does_not_overtake(void **state)
{
	static uint8_t big[600000];
	struct side a, b;

	(void)state;
	for (size_t size = 0; size < 20; size += 10) {
		side_open(&a, BULLA_ROLE_CLIENT, 4);
		side_open(&b, BULLA_ROLE_HOST, 4);
		assert_ok(carry(&a, &b, 0));
		assert_ok(bulla_frames_call(a.frames, BULLA_OP_BUNDLE, 1, BULLA_BYTES_LITERAL("")));
		assert_ok(carry(&a, &b, 0));
		assert_ok(bulla_frames_event(b.frames, BULLA_OP_BUNDLE, 1, BULLA_BYTES_ARRAY(big)));
		assert_ok(bulla_frames_event(b.frames, BULLA_OP_BUNDLE, 1, BULLA_BYTES_ARRAY(big)));
		assert_ok(bulla_frames_reply(b.frames, BULLA_OP_BUNDLE, 1, bulla_bytes_of(big, size)));
		assert_ok(carry(&a, &b, 100000));
		assert_int_equal(a.messages, 3);
		assert_int_equal(a.last.flags, BULLA_FRAME_REPLY);
		assert_int_equal(a.body.n, size);
		assert_int_equal(bulla_frames_backlog(b.frames), 0);
		side_close(&a);
		side_close(&b);
	}
}

static void test_events_errors_cancel(void **state)
{
	struct side a, b;
	uint64_t retry = 0;

	(void)state;
	side_open(&a, BULLA_ROLE_ENCLAVE, 4);
	side_open(&b, BULLA_ROLE_HOST, 4);
	assert_ok(carry(&a, &b, 0));
	assert_rc(BULLA_E_STATE, bulla_frames_reply(b.frames, BULLA_OP_RELAY, 5, BULLA_BYTES_LITERAL("")));
	assert_ok(bulla_frames_call(a.frames, BULLA_OP_RELAY, 5, BULLA_BYTES_LITERAL("")));
	assert_ok(bulla_frames_push(a.frames, BULLA_OP_RELAY, 5, BULLA_BYTES_LITERAL("up")));
	assert_ok(bulla_frames_push(a.frames, BULLA_OP_INSTANCE, 0, BULLA_BYTES_LITERAL("of the connection")));
	assert_rc(BULLA_E_STATE, bulla_frames_push(a.frames, BULLA_OP_RELAY, 6, BULLA_BYTES_LITERAL("up")));
	assert_ok(carry(&a, &b, 0));
	assert_int_equal(b.messages, 3);
	assert_int_equal(b.last.flags, BULLA_FRAME_EVENT);
	assert_ok(bulla_frames_event(b.frames, BULLA_OP_RELAY, 5, BULLA_BYTES_LITERAL("down")));
	assert_ok(bulla_frames_cancel(a.frames, 5));
	assert_ok(carry(&a, &b, 0));
	assert_int_equal(a.last.flags, BULLA_FRAME_EVENT | BULLA_FRAME_REPLY);
	assert_int_equal(b.last.op, BULLA_OP_CANCEL);
	assert_ok(bulla_frames_error(b.frames, BULLA_OP_RELAY, 5, BULLA_E_BUSY, 40, 0, 0));
	assert_ok(bulla_frames_push(a.frames, BULLA_OP_RELAY, 5, BULLA_BYTES_LITERAL("crosses the end")));
	assert_ok(bulla_frames_cancel(a.frames, 5));
	assert_ok(carry(&b, &a, 0));
	a.last.body = bulla_buf_view(&a.body);
	assert_rc(BULLA_E_BUSY, bulla_frames_error_of(&a.last, &retry));
	assert_int_equal(retry, 40);
	assert_int_equal(b.messages, 4);
	side_close(&a);
	side_close(&b);
}

/* --- a hostile peer --- */
static bulla_rc feed(struct side *side, uint8_t op, uint16_t flags, uint32_t stream, bulla_bytes body)
{
	BULLA_AUTO_BUF buf;
	struct bulla_frame frame = {.op = op, .flags = flags, .stream = stream, .body = body};
	bulla_bytes wire;

	bulla_buf_init(&buf, 1 << 20);
	bulla_wr w = bulla_wr_buf(&buf);
	bulla_frame_write(&w, &frame);
	assert_ok(bulla_wr_end(&w, &wire));
	return bulla_frames_feed(side->frames, wire, 1);
}

static const uint8_t hello_body[] = {0x08, 1, 0x10, 1, 0x1a, 16, 1, 2, 3, 4, 5,    6,
	7,    8, 9,    1, 2,    3,  4, 5, 6, 7, 0x20, 9};

static void hello(struct side *side, uint32_t window)
{
	side_open(side, BULLA_ROLE_HOST, window);
	assert_ok(feed(side, BULLA_OP_HELLO, 0, 0, BULLA_BYTES_ARRAY(hello_body)));
	assert_int_equal(side->hellos, 1);
}

static void test_hostile_frames(void **state)
{
	static uint8_t chunk[65537];
	static const struct {
		uint8_t op;
		uint16_t flags;
		uint32_t stream;
		size_t size;
		bulla_rc rc;
	} rows[] = {
		{BULLA_OP_HELLO, 0, 0, 0, BULLA_E_FORMAT},                  /* twice */
		{BULLA_OP_STATUS, BULLA_FRAME_REPLY, 3, 0, BULLA_E_FORMAT}, /* nothing was asked */
		{BULLA_OP_STATUS, BULLA_FRAME_REPLY | BULLA_FRAME_EVENT, 3, 0, BULLA_E_FORMAT},
		{BULLA_OP_STATUS, BULLA_FRAME_ERROR, 3, 0, BULLA_E_FORMAT},  /* an error that is no reply */
		{BULLA_OP_STATUS, 0, 0, 0, BULLA_E_ARGUMENT},                /* stream 0 */
		{BULLA_OP_CREDIT, BULLA_FRAME_CREDIT, 3, 0, BULLA_E_FORMAT}, /* nothing was sent */
		{BULLA_OP_CREDIT, 0, 3, 0, BULLA_E_FORMAT},
		{BULLA_OP_PING, 0, 3, 1, BULLA_E_FORMAT},
		{BULLA_OP_CANCEL, BULLA_FRAME_REPLY, 3, 0, BULLA_E_FORMAT},
		{BULLA_OP_START, BULLA_FRAME_MORE, 3, 0, BULLA_E_FORMAT}, /* a chunk of nothing */
		{BULLA_OP_START, BULLA_FRAME_MORE, 3, 65537, BULLA_E_FORMAT},
		{BULLA_OP_CANCEL, 0, 77, 0, BULLA_OK}, /* it may have crossed */
		{BULLA_OP_RELAY, BULLA_FRAME_EVENT, 77, 5, BULLA_OK},
		{200, 0, 4, 0, BULLA_OK}, /* unknown: the owner answers */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct side side;

		hello(&side, 4);
		assert_rc(rows[i].rc,
			feed(&side, rows[i].op, rows[i].flags, rows[i].stream, bulla_bytes_of(chunk, rows[i].size)));
		if (rows[i].rc != BULLA_OK)
			assert_rc(BULLA_E_STATE, feed(&side, BULLA_OP_PING, 0, 1, bulla_bytes_of(NULL, 0)));
		side_close(&side);
	}
}

static void test_hostile_hello(void **state)
{
	uint8_t body[sizeof(hello_body)];
	struct side side;

	(void)state;
	side_open(&side, BULLA_ROLE_HOST, 4);
	assert_rc(BULLA_E_FORMAT, feed(&side, BULLA_OP_PING, 0, 1, bulla_bytes_of(NULL, 0)));
	side_close(&side);
	bulla_copy(body, hello_body, sizeof(body));
	body[3] = BULLA_ROLE_BROKER; /* refused by the owner */
	side_open(&side, BULLA_ROLE_HOST, 4);
	assert_rc(BULLA_E_DENIED, feed(&side, BULLA_OP_HELLO, 0, 0, BULLA_BYTES_ARRAY(body)));
	side_close(&side);
	body[3] = 9;
	side_open(&side, BULLA_ROLE_HOST, 4);
	assert_rc(BULLA_E_FORMAT, feed(&side, BULLA_OP_HELLO, 0, 0, BULLA_BYTES_ARRAY(body)));
	side_close(&side);
	body[3] = 1;
	body[1] = 2;
	side_open(&side, BULLA_ROLE_HOST, 4);
	assert_rc(BULLA_E_VERSION, feed(&side, BULLA_OP_HELLO, 0, 0, BULLA_BYTES_ARRAY(body)));
	side_close(&side);
}

static void test_window(void **state)
{
	struct side side;

	(void)state;
	hello(&side, 2);
	assert_ok(feed(&side, BULLA_OP_STATUS, 0, 1, bulla_bytes_of(NULL, 0)));
	assert_ok(feed(&side, BULLA_OP_STATUS, 0, 2, bulla_bytes_of(NULL, 0)));
	assert_rc(BULLA_E_LIMIT, feed(&side, BULLA_OP_STATUS, 0, 3, bulla_bytes_of(NULL, 0)));
	side_close(&side);
	hello(&side, 2);
	assert_ok(feed(&side, BULLA_OP_STATUS, 0, 1, bulla_bytes_of(NULL, 0)));
	assert_rc(BULLA_E_DUPLICATE, feed(&side, BULLA_OP_STATUS, 0, 1, bulla_bytes_of(NULL, 0)));
	side_close(&side);
}

/* Endless chunks end at the limit of a message, two chunked messages at a time at once. */
static void test_endless_chunks(void **state)
{
	static uint8_t chunk[65536];
	struct side side;
	bulla_rc rc = BULLA_OK;
	size_t sent = 0;

	(void)state;
	hello(&side, 2);
	for (; rc == BULLA_OK; sent += sizeof(chunk)) {
		rc = feed(&side, BULLA_OP_START, BULLA_FRAME_MORE, 1, BULLA_BYTES_ARRAY(chunk));
		bulla_frames_sent(side.frames, bulla_frames_output(side.frames).n);
	}
	assert_rc(BULLA_E_LIMIT, rc);
	assert_int_equal(sent, BULLA_MAX_MESSAGE + sizeof(chunk));
	side_close(&side);
	hello(&side, 2);
	assert_ok(feed(&side, BULLA_OP_START, BULLA_FRAME_MORE, 1, BULLA_BYTES_ARRAY(chunk)));
	assert_rc(BULLA_E_FORMAT, feed(&side, BULLA_OP_START, BULLA_FRAME_MORE, 2, BULLA_BYTES_ARRAY(chunk)));
	side_close(&side);
}

/* A valid stream with any one byte changed never harms the process; a byte at a time gives the same as at once. */
static void test_bit_flips_byte_at_a_time(void **state)
{
	struct side a, b;
	static uint8_t wire[400];
	size_t n;

	(void)state;
	side_open(&a, BULLA_ROLE_CLIENT, 4);
	side_open(&b, BULLA_ROLE_HOST, 4);
	assert_ok(carry(&b, &a, 0));
	side_close(&b);
	side_open(&b, BULLA_ROLE_CLIENT, 4);
	side_close(&a);
	side_open(&a, BULLA_ROLE_CLIENT, 4);
	assert_ok(bulla_frames_feed(a.frames, bulla_frames_output(b.frames), 1));
	assert_ok(bulla_frames_call(a.frames, BULLA_OP_STATUS, 1, BULLA_BYTES_LITERAL("some body")));
	assert_ok(bulla_frames_call(a.frames, BULLA_OP_STATUS, 2, BULLA_BYTES_LITERAL("")));
	n = bulla_frames_output(a.frames).n;
	assert_in_range(n, 60, sizeof(wire));
	bulla_copy(wire, bulla_frames_output(a.frames).p, n);
	side_close(&a);
	side_close(&b);
	for (size_t bit = 0; bit <= 8 * n; bit++) {
		bulla_rc rc = BULLA_OK;

		if (bit < 8 * n)
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
		side_open(&b, BULLA_ROLE_HOST, 4);
		for (size_t i = 0; i < n && rc == BULLA_OK; i++)
			rc = bulla_frames_feed(b.frames, bulla_bytes_of(wire + i, 1), 1);
		if (bit < 8 * n)
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
		else
			assert_int_equal(b.messages, 2);
		side_close(&b);
	}
}

static void test_silence(void **state)
{
	struct side side;

	(void)state;
	hello(&side, 2); /* heard at 1 µs */
	bulla_frames_sent(side.frames, bulla_frames_output(side.frames).n);
	assert_int_equal(bulla_frames_deadline(side.frames), 5000001);
	assert_ok(bulla_frames_tick(side.frames, 5000000));
	assert_int_equal(bulla_frames_output(side.frames).n, 0);
	assert_ok(bulla_frames_tick(side.frames, 5000001));
	assert_int_equal(bulla_frames_output(side.frames).n, 12); /* PING */
	assert_int_equal(bulla_frames_deadline(side.frames), 15000001);
	assert_ok(bulla_frames_tick(side.frames, 15000000));
	assert_rc(BULLA_E_TIMEOUT, bulla_frames_tick(side.frames, 15000001));
	side_close(&side);
}

/* Small messages, and such in three chunks, which the credit lets go at once. */
static void test_no_allocation_when_warm(void **state)
{
	static uint8_t big[150000];
	struct side a, b;
	uint64_t before = 0;

	(void)state;
	side_open(&a, BULLA_ROLE_CLIENT, 4);
	side_open(&b, BULLA_ROLE_HOST, 4);
	b.answer = true;
	assert_ok(carry(&a, &b, 0));
	for (int i = 0; i < 1000; i++) {
		bulla_bytes body = i % 20 == 0 ? BULLA_BYTES_ARRAY(big) : BULLA_BYTES_LITERAL("x");

		if (i == 40)
			before = bulla_alloc_count();
		big[i] = (uint8_t)i;
		assert_ok(bulla_frames_call(a.frames, BULLA_OP_START, bulla_frames_stream(a.frames), body));
		assert_ok(carry(&a, &b, 0));
		assert_bytes(bulla_buf_view(&a.body), body);
	}
	assert_int_equal(bulla_alloc_count(), before);
	side_close(&a);
	side_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codec),
		cmocka_unit_test(test_call_and_reply),
		cmocka_unit_test(test_chunks_and_credit),
		cmocka_unit_test(test_a_short_reply_does_not_overtake),
		cmocka_unit_test(test_events_errors_cancel),
		cmocka_unit_test(test_hostile_frames),
		cmocka_unit_test(test_hostile_hello),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_endless_chunks),
		cmocka_unit_test(test_bit_flips_byte_at_a_time),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_no_allocation_when_warm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
