#include "io/frame.h"

#include "base/limits.h"
#include "base/rd.h"

#define KNOWN_FLAGS (BULLA_FRAME_REPLY | BULLA_FRAME_ERROR | BULLA_FRAME_MORE | BULLA_FRAME_CREDIT | BULLA_FRAME_EVENT)

bulla_rc bulla_frame_read(bulla_bytes bytes, struct bulla_frame *ret, size_t *ret_size)
{
	bulla_rd r = bulla_rd_of(bytes);
	uint32_t length, stream;
	uint16_t flags;
	uint8_t version, op;

	if (bytes.n < BULLA_FRAME_HEADER) {
		*ret_size = BULLA_FRAME_HEADER;
		return BULLA_E_AGAIN;
	}
	BULLA_TRY(bulla_rd_u32le(&r, &length));
	BULLA_TRY(bulla_rd_u8(&r, &version));
	BULLA_TRY(bulla_rd_u8(&r, &op));
	BULLA_TRY(bulla_rd_u16le(&r, &flags));
	BULLA_TRY(bulla_rd_u32le(&r, &stream));
	if (version != BULLA_FRAME_VERSION)
		return BULLA_FAIL(BULLA_E_VERSION, "a frame of another version");
	if (length > BULLA_MAX_FRAME_BODY)
		return BULLA_FAIL(BULLA_E_LIMIT, "a frame is too long");
	if ((flags & ~KNOWN_FLAGS) != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a frame has an unknown flag");
	*ret_size = BULLA_FRAME_HEADER + (size_t)length;
	if (bytes.n < *ret_size)
		return BULLA_E_AGAIN;
	*ret = (struct bulla_frame){.op = op, .flags = flags, .stream = stream};
	return bulla_rd_bytes(&r, length, &ret->body);
}

void bulla_frame_write(bulla_wr *w, const struct bulla_frame *frame)
{
	if (frame->body.n > BULLA_MAX_FRAME_BODY) {
		bulla_wr_fail(w, BULLA_FAIL(BULLA_E_LIMIT, "a frame is too long"));
		return;
	}
	bulla_wr_u32le(w, (uint32_t)frame->body.n);
	bulla_wr_u8(w, BULLA_FRAME_VERSION);
	bulla_wr_u8(w, frame->op);
	bulla_wr_u16le(w, frame->flags);
	bulla_wr_u32le(w, frame->stream);
	bulla_wr_bytes(w, frame->body);
}
