#pragma once
/* Frames of engine.md section 2: the pure codec, and one side of a connection as a machine over bytes. No descriptor
 * here: io/pipe.h carries the bytes over sockets and TLS, tests and the simulator over anything.
 *
 *   length u32 (of the body) | version u8 = 1 | op u8 | flags u16 | stream u32, all little-endian, then the body
 *
 * Streams are chosen by the caller of an operation; each side has a number space of its own: the REPLY flag says that
 * the number is the receiver's. A request (neither REPLY nor EVENT) is answered by exactly one frame with REPLY alone
 * (with ERROR and an `error` message where it failed); before it the callee may send EVENT|REPLY frames, the caller
 * EVENT frames. EVENT with stream 0 belongs to the connection (TOKENS, INSTANCE). Bodies above 64 KiB travel as chunks
 * with MORE on all but the last; one chunked message at a time in each direction, at most four chunks ahead of the
 * receiver's CREDIT. Messages of one stream keep their order, short ones of other streams pass by. RELAY: the request opens
 * it, event frames with raw bytes go both ways, an empty one asks to close, the callee's final reply ends it. */
#include "base/wr.h"
#include "base/sys.h"
#include "wire/kinds.h"
#include "wire/ops.h"

enum bulla_frame_flag {
	BULLA_FRAME_REPLY = 1,
	BULLA_FRAME_ERROR = 2,
	BULLA_FRAME_MORE = 4,
	BULLA_FRAME_CREDIT = 8,
	BULLA_FRAME_EVENT = 16,
};

#define BULLA_FRAME_HEADER 12
#define BULLA_FRAME_VERSION 1

struct bulla_frame {
	uint8_t op;
	uint16_t flags;
	uint32_t stream;
	bulla_bytes body; /* borrowed */
};

/* Reads one frame off the front of bytes: *ret_size is what it took. BULLA_E_AGAIN: more bytes are needed, *ret_size is
 * how many there must be in all. BULLA_E_VERSION, BULLA_E_LIMIT (longer than BULLA_MAX_FRAME_BODY), BULLA_E_FORMAT
 * (unknown flag). Unknown operations pass: the answer to them is an error reply. */
BULLA_CHECK bulla_rc bulla_frame_read(bulla_bytes bytes, struct bulla_frame *ret, size_t *ret_size);

/* Writes header and body; the body must fit BULLA_MAX_FRAME_BODY. */
void bulla_frame_write(bulla_wr *w, const struct bulla_frame *frame);

struct bulla_frames;

/* What the owner of a connection gives. Called from bulla_frames_feed and _tick; body views are valid during the call.
 * Any call may use bulla_frames_send and so on, but must not end the connection object itself: return an error instead.
 */
struct bulla_frames_events {
	void *ctx;
	/* The other side's HELLO came: role and boot id may be refused with an error. */
	bulla_rc (*on_hello)(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id);
	/* A request, reply or event (see its flags; MORE is never set: chunks are joined). CANCEL arrives with op CANCEL;
	 * its stream names the request, which still gets its one reply. HELLO, PING, CREDIT do not come here. An error
	 * return ends the connection. */
	bulla_rc (*on_message)(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message);
};

struct bulla_frames_options {
	enum bulla_role role; /* mine */
	bulla_bytes boot_id;  /* 16 bytes */
	uint32_t window;      /* open requests accepted from the other side; <= BULLA_MAX_BROKER_WINDOW */
	uint32_t message_max; /* longest joined body accepted; 0: BULLA_MAX_MESSAGE */
	int64_t now_us;
};

/* Makes a side; HELLO is queued at once. boot_id is copied, events are copied. */
BULLA_CHECK bulla_rc bulla_frames_new(const struct bulla_frames_options *options,
	const struct bulla_frames_events *events, struct bulla_frames **ret);
struct bulla_frames *bulla_frames_free(struct bulla_frames *frames);

/* The carrier: on_output(ctx) is called whenever output was added, so that it is flushed at the end of the turn. */
void bulla_frames_on_output(struct bulla_frames *frames, void (*on_output)(void *ctx), void *ctx);

/* Bytes that arrived, any split. An error (BULLA_E_FORMAT, BULLA_E_LIMIT, BULLA_E_VERSION, or what a callback returned)
 * means that the connection has to end; the machine takes nothing more. */
BULLA_CHECK bulla_rc bulla_frames_feed(struct bulla_frames *frames, bulla_bytes bytes, int64_t now_us);

/* The next free stream number for a call; never 0. */
uint32_t bulla_frames_stream(struct bulla_frames *frames);

/* Opens a request. BULLA_E_BUSY when the other side's window is full, BULLA_E_STATE before its HELLO. */
BULLA_CHECK bulla_rc bulla_frames_call(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream,
	bulla_bytes body);

/* The final answer to a request (op as in the request, or the one that the operation allows) and an event before it. */
BULLA_CHECK bulla_rc bulla_frames_reply(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream,
	bulla_bytes body);
BULLA_CHECK bulla_rc bulla_frames_event(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream,
	bulla_bytes body);
BULLA_CHECK bulla_rc bulla_frames_error(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream,
	bulla_rc error, uint64_t retry_ms, uint64_t a, uint64_t b);

/* An event on a request of mine, or of the connection (stream 0). */
BULLA_CHECK bulla_rc bulla_frames_push(struct bulla_frames *frames, enum bulla_op_number op, uint32_t stream,
	bulla_bytes body);

/* Asks the other side to cancel my request; its final reply still comes. */
BULLA_CHECK bulla_rc bulla_frames_cancel(struct bulla_frames *frames, uint32_t stream);

/* Result of a reply with the ERROR flag: the bulla_rc its body names, BULLA_E_FORMAT when unreadable. ret_retry_ms may be
 * NULL. */
bulla_rc bulla_frames_error_of(const struct bulla_frame *reply, uint64_t *ret_retry_ms);

/* Output waiting for the carrier: view of the front, and after writing, how many bytes went. */
bulla_bytes bulla_frames_output(const struct bulla_frames *frames);
void bulla_frames_sent(struct bulla_frames *frames, size_t size);

/* Bytes waiting in all, chunked messages included: above BULLA_MAX_OUTPUT_BUFFER whoever feeds this is not read. */
size_t bulla_frames_backlog(const struct bulla_frames *frames);

/* PING after 5 s idle, BULLA_E_TIMEOUT after 15 s without a byte. Call at the deadline (mono µs) or more often. */
int64_t bulla_frames_deadline(const struct bulla_frames *frames);
BULLA_CHECK bulla_rc bulla_frames_tick(struct bulla_frames *frames, int64_t now_us);

/* The carrier made progress without a byte coming in: a slow reader that takes output is alive. */
void bulla_frames_progress(struct bulla_frames *frames, int64_t now_us);

/* Requests of the other side that wait for my reply; mine that wait for theirs; its role (0 before HELLO). */
uint32_t bulla_frames_open_in(const struct bulla_frames *frames);
uint32_t bulla_frames_open_out(const struct bulla_frames *frames);
uint64_t bulla_frames_peer_role(const struct bulla_frames *frames);
