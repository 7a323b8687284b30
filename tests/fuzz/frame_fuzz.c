/* First byte: in which portions the rest arrives at a connection's machine. It takes any bytes, and its own output is
 * always made of frames. */
#include "fuzz.h"
#include "io/frame.h"

static bulla_rc on_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	(void)ctx;
	(void)frames;
	(void)role;
	(void)boot_id;
	return BULLA_OK;
}

/* Answers requests with what they carried. */
static bulla_rc on_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	(void)ctx;
	fuzz_assert((message->flags & BULLA_FRAME_MORE) == 0);
	if (message->flags == 0 && bulla_op_find(message->op) != NULL)
		(void)!bulla_frames_reply(frames, (enum bulla_op_number)message->op, message->stream, message->body);
	return BULLA_OK;
}

static void check_output(bulla_bytes out)
{
	struct bulla_frame frame;
	size_t size;

	while (out.n > 0) {
		fuzz_assert(bulla_frame_read(out, &frame, &size) == BULLA_OK && size <= out.n);
		out = bulla_bytes_of(out.p + size, out.n - size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t boot[16] = {1};
	struct bulla_frames_options options = {.role = BULLA_ROLE_HOST, .boot_id = BULLA_BYTES_ARRAY(boot), .window = 4};
	struct bulla_frames_events events = {.on_hello = on_hello, .on_message = on_message};
	struct bulla_frames *frames = NULL;
	size_t portion;

	if (n < 1 || bulla_frames_new(&options, &events, &frames) != BULLA_OK)
		return 0;
	portion = (size_t)p[0] + 1;
	for (size_t at = 1; at < n; at += portion) {
		size_t some = n - at < portion ? n - at : portion;

		if (bulla_frames_feed(frames, bulla_bytes_of(p + at, some), (int64_t)at) != BULLA_OK)
			break;
	}
	check_output(bulla_frames_output(frames));
	frames = bulla_frames_free(frames);
	return 0;
}
