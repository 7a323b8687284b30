#include "tee/uplink.h"

#include "base/limits.h"

#define RELAY_PART 16384 /* bytes per frame: engine.md section 2, emulated vsock */
#define PLAIN_MAX ((size_t)2 << 20)

static void end(struct bulla_uplink *uplink, bulla_rc why)
{
	if (uplink->host == NULL)
		return;
	bulla_uplink_close(uplink, false);
	if (uplink->on_end != NULL)
		uplink->on_end(uplink->ctx, why);
}

static bulla_rc push_cipher(struct bulla_uplink *uplink)
{
	size_t at = 0;

	uplink->cipher.n = 0;
	BULLA_TRY(bulla_tls_take(uplink->tls, &uplink->cipher));
	while (at < uplink->cipher.n) {
		size_t size = uplink->cipher.n - at < RELAY_PART ? uplink->cipher.n - at : RELAY_PART;

		BULLA_TRY(bulla_frames_push(uplink->host, BULLA_OP_RELAY, uplink->stream,
			bulla_bytes_of(uplink->cipher.p + at, size)));
		at += size;
	}
	return BULLA_OK;
}

bulla_rc bulla_uplink_open(struct bulla_uplink *uplink, struct bulla_frames *host, struct bulla_tls_context *context,
	enum bulla_tls_alpn alpn)
{
	BULLA_TRY(bulla_tls_new(context, alpn, &uplink->tls));
	bulla_buf_init(&uplink->plain, PLAIN_MAX);
	bulla_buf_init(&uplink->cipher, PLAIN_MAX);
	uplink->host = host;
	uplink->stream = bulla_frames_stream(host);
	uplink->ready_told = false;
	BULLA_TRY(bulla_frames_call(host, BULLA_OP_RELAY, uplink->stream, bulla_bytes_of(NULL, 0)));
	return push_cipher(uplink);
}

static bulla_rc take_plain(struct bulla_uplink *uplink, int64_t now_us)
{
	bulla_bytes plain = bulla_buf_view(&uplink->plain);

	if (!uplink->ready_told && bulla_tls_ready(uplink->tls)) {
		uplink->ready_told = true;
		BULLA_TRY(uplink->on_ready(uplink->ctx));
	}
	if (plain.n == 0)
		return BULLA_OK;
	if (uplink->frames != NULL)
		return bulla_frames_feed(uplink->frames, plain, now_us);
	return uplink->on_bytes(uplink->ctx, plain);
}

void bulla_uplink_message(struct bulla_uplink *uplink, const struct bulla_frame *message, int64_t now_us)
{
	bulla_rc closed = BULLA_OK;
	bulla_rc rc;

	if ((message->flags & BULLA_FRAME_EVENT) == 0) { /* the relay's final reply */
		end(uplink, (message->flags & BULLA_FRAME_ERROR) != 0 ? bulla_frames_error_of(message, NULL) : BULLA_E_CLOSED);
		return;
	}
	uplink->plain.n = 0;
	rc = bulla_tls_feed(uplink->tls, message->body, &uplink->plain);
	if (rc == BULLA_E_CLOSED) {
		closed = rc;
		rc = BULLA_OK;
	}
	if (rc == BULLA_OK)
		rc = take_plain(uplink, now_us);
	bulla_wipe(uplink->plain.p, uplink->plain.p == NULL ? 0 : uplink->plain.n);
	if (rc == BULLA_OK && uplink->host != NULL)
		bulla_uplink_flush(uplink);
	if (rc != BULLA_OK || closed != BULLA_OK)
		end(uplink, rc != BULLA_OK ? rc : closed);
}

bulla_rc bulla_uplink_frames(struct bulla_uplink *uplink, const struct bulla_frames_options *options,
	const struct bulla_frames_events *events)
{
	return bulla_frames_new(options, events, &uplink->frames);
}

bulla_rc bulla_uplink_write(struct bulla_uplink *uplink, bulla_bytes plain)
{
	if (uplink->tls == NULL)
		return BULLA_FAIL(BULLA_E_CLOSED, "the connection to the broker is closed");
	return bulla_tls_write(uplink->tls, plain);
}

static bulla_rc flush(struct bulla_uplink *uplink)
{
	while (uplink->frames != NULL && bulla_frames_output(uplink->frames).n > 0) {
		bulla_bytes output = bulla_frames_output(uplink->frames);

		BULLA_TRY(bulla_tls_write(uplink->tls, output));
		bulla_frames_sent(uplink->frames, output.n);
	}
	return push_cipher(uplink);
}

void bulla_uplink_flush(struct bulla_uplink *uplink)
{
	bulla_rc rc = uplink->host == NULL ? BULLA_OK : flush(uplink);

	if (rc != BULLA_OK)
		end(uplink, rc);
}

void bulla_uplink_close(struct bulla_uplink *uplink, bool lost)
{
	if (uplink->host == NULL)
		return;
	if (!lost) {
		bulla_tls_close(uplink->tls);
		bulla_rc rc = push_cipher(uplink);

		if (rc == BULLA_OK)
			rc = bulla_frames_push(uplink->host, BULLA_OP_RELAY, uplink->stream, bulla_bytes_of(NULL, 0));
		(void)(rc == BULLA_OK); /* it is the end anyway */
	}
	uplink->frames = bulla_frames_free(uplink->frames);
	uplink->tls = bulla_tls_free(uplink->tls);
	bulla_buf_done(&uplink->plain);
	bulla_buf_done(&uplink->cipher);
	uplink->host = NULL;
}
