#pragma once
/* One connection from this enclave to the broker: TLS 1.3 to the pinned key, over bytes that the host relays (frames of
 * RELAY). The host sees ciphertext only. On top: frames (ALPN bulla/1) or plain HTTP bytes (http/1.1). */
#include "io/frame.h"
#include "io/tls.h"

struct bulla_uplink {
	struct bulla_frames *host;   /* carries the relay; NULL: closed */
	uint32_t stream;
	struct bulla_tls *tls;
	struct bulla_frames *frames; /* ALPN bulla/1, after the handshake */
	struct bulla_buf plain, cipher;
	bool ready_told;
	/* Given by the owner before open. An error ends the uplink. */
	void *ctx;
	bulla_rc (*on_ready)(void *ctx);                    /* the handshake is done */
	bulla_rc (*on_bytes)(void *ctx, bulla_bytes bytes); /* http/1.1: plain text came */
	void (*on_end)(void *ctx, bulla_rc why);            /* once; the uplink is closed */
};

/* Opens the relay and begins the handshake. The uplink must be closed (zeroed but for ctx and callbacks). */
BULLA_CHECK bulla_rc bulla_uplink_open(struct bulla_uplink *uplink, struct bulla_frames *host,
	struct bulla_tls_context *context, enum bulla_tls_alpn alpn);

/* A frame of the host on the uplink's stream. Handles its own errors (on_end). */
void bulla_uplink_message(struct bulla_uplink *uplink, const struct bulla_frame *message, int64_t now_us);

/* Puts frames on top (in on_ready). */
BULLA_CHECK bulla_rc bulla_uplink_frames(struct bulla_uplink *uplink, const struct bulla_frames_options *options,
	const struct bulla_frames_events *events);

/* Plain text out. */
BULLA_CHECK bulla_rc bulla_uplink_write(struct bulla_uplink *uplink, bulla_bytes plain);

/* Sends what frames and TLS have ready. Errors end the uplink. */
void bulla_uplink_flush(struct bulla_uplink *uplink);

/* Closes in silence; a closed one is allowed. lost: the host's connection is gone, nothing is sent. */
void bulla_uplink_close(struct bulla_uplink *uplink, bool lost);
