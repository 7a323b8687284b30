#include "io/frame.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/rd.h"
#include "io/idset.h"
#include "wire/messages.h"

#define IDLE_US INT64_C(5000000)
#define DEAD_US INT64_C(15000000)
#define CHUNKS_AHEAD 4
#define BOOT_ID 16
#define JOINED_KEPT ((size_t)256 << 10) /* memory that a busy connection keeps for messages in chunks */
/* Output beyond this means that the owner ignored bulla_frames_backlog: the connection ends. */
#define OUTPUT_HARD ((size_t)BULLA_MAX_OUTPUT_BUFFER * 8)
/* The same for messages that wait for credit: a bundle's pieces. */
#define CHUNKED_HARD ((size_t)BULLA_MAX_OUTPUT_BUFFER * 32)

/* A message that waits to be sent in chunks. */
struct chunked {
	struct chunked *next;
	struct bulla_buf body;
	size_t sent;
	uint32_t stream;
	uint16_t flags;
	uint8_t op;
};

struct bulla_frames {
	struct bulla_frames_events events;
	void (*on_output)(void *ctx);
	void *output_ctx;
	uint32_t window, message_max;
	uint64_t peer_role;
	uint32_t peer_window;
	bool hello_in, failed, pinged;
	int64_t now_us, alive_us;
	uint32_t next_stream;
	struct bulla_idset open_in, open_out;
	struct bulla_buf in, out;
	struct bulla_buf joined; /* chunks of the message that arrives */
	struct bulla_frame join; /* its header; op 0: none arrives */
	struct chunked *first, *last;
	size_t chunked_bytes;
	unsigned chunks_ahead; /* sent with MORE and not yet credited */
};

static bulla_rc put_frame(struct bulla_frames *frames, uint8_t op, uint16_t flags, uint32_t stream, bulla_bytes body)
{
	struct bulla_frame frame = {.op = op, .flags = flags, .stream = stream, .body = body};
	bulla_wr w = bulla_wr_buf(&frames->out);
	size_t before = frames->out.n;
	bulla_bytes ignored;
	bulla_rc rc;

	bulla_frame_write(&w, &frame);
	rc = bulla_wr_end(&w, &ignored);
	if (rc != BULLA_OK) {
		frames->out.n = before; /* half a frame must never go out */
		return rc;
	}
	if (frames->on_output != NULL)
		frames->on_output(frames->output_ctx);
	return BULLA_OK;
}

static struct chunked *chunked_free(struct chunked *message)
{
	bulla_buf_done(&message->body);
	bulla_free(message);
	return NULL;
}

/* Sends chunks of a message as far as the credit goes; *sent: how much of it went. */
static bulla_rc send_some(struct bulla_frames *frames, const struct bulla_frame *message, size_t *sent)
{
	do {
		size_t left = message->body.n - *sent;
		bool last = left <= BULLA_MAX_FRAME_CHUNK;
		bulla_bytes part = {message->body.p + *sent, last ? left : BULLA_MAX_FRAME_CHUNK};

		if (!last && frames->chunks_ahead == CHUNKS_AHEAD)
			return BULLA_OK;
		BULLA_TRY(put_frame(frames, message->op, (uint16_t)(message->flags | (last ? 0 : BULLA_FRAME_MORE)),
			message->stream, part));
		*sent += part.n;
		frames->chunks_ahead += !last;
	} while (*sent < message->body.n);
	return BULLA_OK;
}

/* The same for those that wait, in their order. */
static bulla_rc send_chunks(struct bulla_frames *frames)
{
	while (frames->first != NULL) {
		struct chunked *message = frames->first;
		const struct bulla_frame frame = {message->op, message->flags, message->stream, bulla_buf_view(&message->body)};
		size_t before = message->sent;
		bulla_rc rc = send_some(frames, &frame, &message->sent);

		frames->chunked_bytes -= message->sent - before;
		if (rc != BULLA_OK || message->sent < frame.body.n)
			return rc;
		frames->first = message->next;
		if (frames->first == NULL)
			frames->last = NULL;
		chunked_free(message);
	}
	return BULLA_OK;
}

/* A copy of the rest of a message. */
static bulla_rc queue_rest(struct bulla_frames *frames, const struct bulla_frame *frame, size_t sent)
{
	struct chunked *message;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*message), &p));
	message = (struct chunked *)p;
	*message = (struct chunked){.stream = frame->stream, .flags = frame->flags, .op = frame->op};
	bulla_buf_init(&message->body, frame->body.n - sent);
	rc = bulla_buf_append(&message->body, bulla_bytes_of(frame->body.p + sent, frame->body.n - sent));
	if (rc != BULLA_OK) {
		chunked_free(message);
		return rc;
	}
	*(frames->last == NULL ? &frames->first : &frames->last->next) = message;
	frames->last = message;
	frames->chunked_bytes += message->body.n;
	return BULLA_OK;
}

/* What the credit does not let go at once waits. */
static bulla_rc put_chunked(struct bulla_frames *frames, const struct bulla_frame *frame)
{
	size_t sent = 0;
	bulla_rc rc = BULLA_OK;

	if (frame->body.n > BULLA_MAX_MESSAGE || frames->chunked_bytes + frame->body.n > CHUNKED_HARD)
		return BULLA_FAIL(BULLA_E_LIMIT, "a message is too long, or too many wait");
	if (frames->first == NULL) {
		rc = send_some(frames, frame, &sent);
		if (sent == frame->body.n || (rc != BULLA_OK && sent == 0))
			return rc;
	}
	rc = queue_rest(frames, frame, sent);
	frames->failed = frames->failed || (rc != BULLA_OK && sent > 0); /* half a message is out */
	return rc;
}

static bulla_rc put_message(struct bulla_frames *frames, uint8_t op, unsigned flags, uint32_t stream, bulla_bytes body)
{
	struct bulla_frame frame = {.op = op, .flags = (uint16_t)flags, .stream = stream, .body = body};
	bool overtakes = false; /* a longer one of its stream */

	for (const struct chunked *message = frames->first; message != NULL; message = message->next)
		overtakes = overtakes || message->stream == stream;
	if (body.n <= BULLA_MAX_FRAME_CHUNK && !overtakes)
		return put_frame(frames, op, (uint16_t)flags, stream, body);
	return put_chunked(frames, &frame);
}

static bulla_rc put_hello(struct bulla_frames *frames, const struct bulla_frames_options *options)
{
	struct bulla_msg_hello hello = {
		.version = BULLA_FRAME_VERSION, .role = options->role, .boot_id = options->boot_id, .window = options->window};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_hello_encode(&hello, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return put_frame(frames, BULLA_OP_HELLO, 0, 0, body);
}

bulla_rc bulla_frames_new(const struct bulla_frames_options *options, const struct bulla_frames_events *events,
	struct bulla_frames **ret)
{
	struct bulla_frames *frames;
	void *p = NULL;
	bulla_rc rc;

	if (options->boot_id.n != BOOT_ID || options->window == 0 || options->window > BULLA_MAX_BROKER_WINDOW)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a boot id has 16 bytes, a window 1 to 4096 places");
	BULLA_TRY(bulla_alloc(1, sizeof(*frames), &p));
	frames = (struct bulla_frames *)p;
	frames->events = *events;
	frames->window = options->window;
	frames->message_max = options->message_max == 0 ? BULLA_MAX_MESSAGE : options->message_max;
	frames->now_us = frames->alive_us = options->now_us;
	bulla_buf_init(&frames->in, 2 * (size_t)BULLA_MAX_FRAME_BODY + BULLA_FRAME_HEADER);
	bulla_buf_init(&frames->out, OUTPUT_HARD);
	bulla_buf_init(&frames->joined, frames->message_max);
	rc = bulla_idset_init(&frames->open_in, options->window);
	if (rc == BULLA_OK)
		rc = bulla_idset_init(&frames->open_out, BULLA_MAX_BROKER_WINDOW);
	if (rc == BULLA_OK)
		rc = put_hello(frames, options);
	if (rc != BULLA_OK) {
		bulla_frames_free(frames);
		return rc;
	}
	*ret = frames;
	return BULLA_OK;
}

struct bulla_frames *bulla_frames_free(struct bulla_frames *frames)
{
	if (frames == NULL)
		return NULL;
	while (frames->first != NULL) {
		struct chunked *next = frames->first->next;

		chunked_free(frames->first);
		frames->first = next;
	}
	bulla_buf_done(&frames->in);
	bulla_buf_done(&frames->out);
	bulla_buf_done(&frames->joined);
	bulla_idset_done(&frames->open_in);
	bulla_idset_done(&frames->open_out);
	bulla_free(frames);
	return NULL;
}

void bulla_frames_on_output(struct bulla_frames *frames, void (*on_output)(void *ctx), void *ctx)
{
	frames->on_output = on_output;
	frames->output_ctx = ctx;
}

static bulla_rc take_hello(struct bulla_frames *frames, const struct bulla_frame *frame)
{
	struct bulla_msg_hello hello;

	if (frame->op != BULLA_OP_HELLO || frame->flags != 0 || frame->stream != 0 || frames->hello_in)
		return BULLA_FAIL(BULLA_E_FORMAT, "a connection begins with exactly one HELLO");
	BULLA_TRY(bulla_msg_hello_decode(frame->body, &hello));
	if (hello.version != BULLA_FRAME_VERSION)
		return BULLA_FAIL(BULLA_E_VERSION, "the other side speaks another version");
	if (hello.boot_id.n != BOOT_ID || hello.role < BULLA_ROLE_CLIENT || hello.role > BULLA_ROLE_BROKER ||
		hello.window == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a HELLO lacks its role, boot id or window");
	frames->hello_in = true;
	frames->peer_role = hello.role;
	frames->peer_window = hello.window > BULLA_MAX_BROKER_WINDOW ? BULLA_MAX_BROKER_WINDOW : (uint32_t)hello.window;
	if (frames->events.on_hello == NULL)
		return BULLA_OK;
	return frames->events.on_hello(frames->events.ctx, frames, hello.role, hello.boot_id);
}

static bulla_rc take_credit(struct bulla_frames *frames, const struct bulla_frame *frame)
{
	if (frame->op != BULLA_OP_CREDIT || frame->body.n != 0 || frames->chunks_ahead == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a credit for nothing");
	frames->chunks_ahead--;
	return send_chunks(frames);
}

static bulla_rc take_ping(struct bulla_frames *frames, const struct bulla_frame *frame)
{
	if (frame->body.n != 0 || (frame->flags != 0 && frame->flags != BULLA_FRAME_REPLY))
		return BULLA_FAIL(BULLA_E_FORMAT, "a PING is empty");
	if (frame->flags == BULLA_FRAME_REPLY)
		return BULLA_OK;
	return put_frame(frames, BULLA_OP_PING, BULLA_FRAME_REPLY, frame->stream, frame->body);
}

static bulla_rc hand_up(struct bulla_frames *frames, const struct bulla_frame *message)
{
	return frames->events.on_message(frames->events.ctx, frames, message);
}

/* A CANCEL may cross my reply: then there is nothing to cancel any more. */
static bulla_rc take_cancel(struct bulla_frames *frames, const struct bulla_frame *message)
{
	if ((message->flags & (BULLA_FRAME_REPLY | BULLA_FRAME_EVENT)) != 0 || message->body.n != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CANCEL only names a stream");
	return bulla_idset_has(&frames->open_in, message->stream) ? hand_up(frames, message) : BULLA_OK;
}

/* An event belongs to the connection, to a request of mine (with REPLY), or to one of theirs, which may just have had
 * its final reply. */
static bulla_rc take_event(struct bulla_frames *frames, const struct bulla_frame *message)
{
	bool mine = (message->flags & BULLA_FRAME_REPLY) != 0;

	if (mine && !bulla_idset_has(&frames->open_out, message->stream))
		return BULLA_FAIL(BULLA_E_FORMAT, "an event for a request that is not open");
	if (!mine && message->stream != 0 && !bulla_idset_has(&frames->open_in, message->stream))
		return BULLA_OK;
	return hand_up(frames, message);
}

/* A whole message: books it, and hands it up. */
static bulla_rc take_message(struct bulla_frames *frames, const struct bulla_frame *message)
{
	bool reply = (message->flags & BULLA_FRAME_REPLY) != 0;
	bool event = (message->flags & BULLA_FRAME_EVENT) != 0;

	if ((message->flags & BULLA_FRAME_ERROR) != 0 && (!reply || event))
		return BULLA_FAIL(BULLA_E_FORMAT, "only a final reply can be an error");
	if (message->op == BULLA_OP_CANCEL)
		return take_cancel(frames, message);
	if (event)
		return take_event(frames, message);
	if (!reply)
		BULLA_TRY(bulla_idset_add(&frames->open_in, message->stream));
	else if (!bulla_idset_remove(&frames->open_out, message->stream))
		return BULLA_FAIL(BULLA_E_FORMAT, "a reply to a request that is not open");
	return hand_up(frames, message);
}

static bool same_message(const struct bulla_frame *a, const struct bulla_frame *b)
{
	return a->op == b->op && a->stream == b->stream && (a->flags & ~BULLA_FRAME_MORE) == (b->flags & ~BULLA_FRAME_MORE);
}

/* A chunk of the message that is being joined, the first one included. */
static bulla_rc take_chunk(struct bulla_frames *frames, const struct bulla_frame *frame)
{
	bool more = (frame->flags & BULLA_FRAME_MORE) != 0;
	struct bulla_frame whole;
	bulla_rc rc;

	if (more && frames->join.op != 0 && !same_message(frame, &frames->join))
		return BULLA_FAIL(BULLA_E_FORMAT, "two chunked messages at a time");
	if (more && (frame->body.n == 0 || frame->body.n > BULLA_MAX_FRAME_CHUNK))
		return BULLA_FAIL(BULLA_E_FORMAT, "a chunk has 1 to 65536 bytes");
	frames->join = *frame;
	frames->join.flags = (uint16_t)(frame->flags & ~BULLA_FRAME_MORE);
	BULLA_TRY(bulla_buf_append(&frames->joined, frame->body));
	if (more)
		return put_frame(frames, BULLA_OP_CREDIT,
			(uint16_t)(BULLA_FRAME_CREDIT | (frames->join.flags & BULLA_FRAME_REPLY)), frame->stream,
			(bulla_bytes){NULL, 0});
	whole = frames->join;
	whole.body = bulla_buf_view(&frames->joined);
	frames->join.op = 0;
	rc = take_message(frames, &whole);
	if (frames->joined.cap > JOINED_KEPT)
		bulla_buf_done(&frames->joined);
	else
		bulla_buf_clear(&frames->joined); /* the next one need not grow it again */
	return rc;
}

static bulla_rc take_frame(struct bulla_frames *frames, const struct bulla_frame *frame)
{
	if (!frames->hello_in || frame->op == BULLA_OP_HELLO)
		return take_hello(frames, frame);
	if ((frame->flags & BULLA_FRAME_CREDIT) != 0)
		return take_credit(frames, frame);
	if (frame->op == BULLA_OP_CREDIT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CREDIT without its flag");
	if (frame->op == BULLA_OP_PING)
		return take_ping(frames, frame);
	if ((frame->flags & BULLA_FRAME_MORE) != 0 || (frames->join.op != 0 && same_message(frame, &frames->join)))
		return take_chunk(frames, frame);
	return take_message(frames, frame);
}

/* Takes all whole frames off the front of bytes; *ret_used is how much that was. */
static bulla_rc take_frames(struct bulla_frames *frames, bulla_bytes bytes, size_t *ret_used)
{
	struct bulla_frame frame;
	size_t used = 0, size = 0;

	for (;;) {
		bulla_rc rc = bulla_frame_read((bulla_bytes){bytes.p + used, bytes.n - used}, &frame, &size);

		if (rc == BULLA_E_AGAIN)
			break;
		BULLA_TRY(rc);
		BULLA_TRY(take_frame(frames, &frame));
		used += size;
	}
	*ret_used = used;
	return BULLA_OK;
}

static bulla_rc feed_some(struct bulla_frames *frames, bulla_bytes bytes)
{
	size_t used = 0;

	if (frames->in.n == 0) {
		BULLA_TRY(take_frames(frames, bytes, &used));
		return bulla_buf_append(&frames->in, (bulla_bytes){bytes.p + used, bytes.n - used});
	}
	BULLA_TRY(bulla_buf_append(&frames->in, bytes));
	BULLA_TRY(take_frames(frames, bulla_buf_view(&frames->in), &used));
	bulla_buf_consume(&frames->in, used);
	return BULLA_OK;
}

bulla_rc bulla_frames_feed(struct bulla_frames *frames, bulla_bytes bytes, int64_t now_us)
{
	if (frames->failed)
		return BULLA_FAIL(BULLA_E_STATE, "the connection has failed");
	frames->now_us = frames->alive_us = now_us;
	frames->pinged = false;
	while (bytes.n > 0) {
		size_t some = bytes.n < BULLA_MAX_FRAME_BODY ? bytes.n : BULLA_MAX_FRAME_BODY;
		bulla_rc rc = feed_some(frames, (bulla_bytes){bytes.p, some});

		if (rc != BULLA_OK) {
			frames->failed = true;
			bulla_trail_pass(rc, __FILE__, __LINE__);
			return rc;
		}
		bytes = (bulla_bytes){bytes.p + some, bytes.n - some};
	}
	return BULLA_OK;
}

uint32_t bulla_frames_stream(struct bulla_frames *frames)
{
	do
		frames->next_stream++;
	while (frames->next_stream == 0 || bulla_idset_has(&frames->open_out, frames->next_stream));
	return frames->next_stream;
}

bulla_rc bulla_frames_call(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	bulla_rc rc;

	if (!frames->hello_in || frames->failed)
		return BULLA_FAIL(BULLA_E_STATE, "the other side has not said HELLO");
	if (frames->open_out.count >= frames->peer_window)
		return BULLA_E_BUSY;
	BULLA_TRY(bulla_idset_add(&frames->open_out, stream));
	rc = put_message(frames, (uint8_t)op, 0, stream, body);
	if (rc != BULLA_OK)
		bulla_idset_remove(&frames->open_out, stream);
	return rc;
}

static bulla_rc put_reply(struct bulla_frames *frames, enum bulla_op_number op, unsigned flags, uint32_t stream,
	bulla_bytes body)
{
	if (!bulla_idset_has(&frames->open_in, stream))
		return BULLA_FAIL(BULLA_E_STATE, "no such request is open");
	BULLA_TRY(put_message(frames, (uint8_t)op, flags, stream, body));
	if ((flags & BULLA_FRAME_EVENT) == 0)
		bulla_idset_remove(&frames->open_in, stream);
	return BULLA_OK;
}

bulla_rc bulla_frames_reply(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	return put_reply(frames, op, BULLA_FRAME_REPLY, stream, body);
}

bulla_rc bulla_frames_event(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	return put_reply(frames, op, BULLA_FRAME_REPLY | BULLA_FRAME_EVENT, stream, body);
}

bulla_rc bulla_frames_push(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	if (stream != 0 && !bulla_idset_has(&frames->open_out, stream))
		return BULLA_FAIL(BULLA_E_STATE, "no such request is open");
	return put_message(frames, (uint8_t)op, BULLA_FRAME_EVENT, stream, body);
}

bulla_rc bulla_frames_error(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream, bulla_rc error,
	uint64_t retry_ms, uint64_t a, uint64_t b)
{
	struct bulla_msg_error message = {.id = bulla_bytes_str(bulla_rc_id(error)), .retry_ms = retry_ms, .a = a, .b = b};
	uint8_t memory[128];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_error_encode(&message, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return put_reply(frames, op, BULLA_FRAME_REPLY | BULLA_FRAME_ERROR, stream, body);
}

bulla_rc bulla_frames_cancel(struct bulla_frames *frames, uint32_t stream)
{
	if (!bulla_idset_has(&frames->open_out, stream))
		return BULLA_OK; /* its reply came meanwhile */
	return put_frame(frames, BULLA_OP_CANCEL, 0, stream, (bulla_bytes){NULL, 0});
}

bulla_rc bulla_frames_error_of(const struct bulla_frame *reply, uint64_t *ret_retry_ms)
{
	struct bulla_msg_error message;
	char id[64] = {0};
	bulla_rc rc;

	if ((reply->flags & BULLA_FRAME_ERROR) == 0)
		return BULLA_OK;
	if (bulla_msg_error_decode(reply->body, &message) != BULLA_OK || message.id.n >= sizeof(id))
		return BULLA_FAIL(BULLA_E_FORMAT, "an error reply cannot be read");
	bulla_copy(id, message.id.p, message.id.n);
	rc = bulla_rc_from_id(id);
	if (rc == BULLA_RC_COUNT || rc == BULLA_OK)
		return BULLA_FAIL(BULLA_E_FORMAT, "an error reply names no error");
	if (ret_retry_ms != NULL)
		*ret_retry_ms = message.retry_ms;
	return rc;
}

bulla_bytes bulla_frames_output(const struct bulla_frames *frames)
{
	return bulla_buf_view(&frames->out);
}

void bulla_frames_sent(struct bulla_frames *frames, size_t size)
{
	bulla_buf_consume(&frames->out, size);
}

size_t bulla_frames_backlog(const struct bulla_frames *frames)
{
	return frames->out.n + frames->chunked_bytes;
}

int64_t bulla_frames_deadline(const struct bulla_frames *frames)
{
	return frames->alive_us + (frames->pinged || !frames->hello_in ? DEAD_US : IDLE_US);
}

bulla_rc bulla_frames_tick(struct bulla_frames *frames, int64_t now_us)
{
	frames->now_us = now_us;
	if (now_us - frames->alive_us >= DEAD_US)
		return BULLA_FAIL(BULLA_E_TIMEOUT, "the other side is silent");
	if (now_us - frames->alive_us < IDLE_US || frames->pinged || !frames->hello_in)
		return BULLA_OK;
	if (frames->join.op == 0)
		bulla_buf_done(&frames->joined); /* idle: it gives its memory back */
	frames->pinged = true;
	return put_frame(frames, BULLA_OP_PING, 0, bulla_frames_stream(frames), (bulla_bytes){NULL, 0});
}

void bulla_frames_progress(struct bulla_frames *frames, int64_t now_us)
{
	frames->alive_us = now_us;
	frames->pinged = false;
}

uint32_t bulla_frames_open_in(const struct bulla_frames *frames)
{
	return frames->open_in.count;
}

uint32_t bulla_frames_open_out(const struct bulla_frames *frames)
{
	return frames->open_out.count;
}

uint64_t bulla_frames_peer_role(const struct bulla_frames *frames)
{
	return frames->peer_role;
}
