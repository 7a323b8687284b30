#pragma once
/* The messages of messages.def: struct bulla_msg_NAME, its descriptor bulla_msg_NAME_desc, and typed functions
 * bulla_msg_NAME_encode and bulla_msg_NAME_decode. Nothing is allocated: decoded fields are views of the input. */
#include "wire/pb.h"

enum bulla_msg_kind { BULLA_MSG_U64, BULLA_MSG_BYTES, BULLA_MSG_LIST };

struct bulla_msg_field {
	const char *name;
	uint32_t tag; /* as on the wire: number << 3 | wire type */
	uint16_t offset;
	uint8_t kind; /* enum bulla_msg_kind */
};

struct bulla_msg_desc {
	const char *name;
	size_t size;                          /* of the struct */
	const struct bulla_msg_field *fields; /* by ascending number */
	size_t count;
};

/* Writes msg; zero numbers, empty byte fields and empty lists are absent. Errors stick in w; BULLA_E_LIMIT for a list
 * of more than BULLA_MAX_MESSAGE_ITEMS. */
void bulla_msg_encode(const struct bulla_msg_desc *desc, const void *msg, bulla_wr *w);

/* Bytes that bulla_msg_encode writes. */
size_t bulla_msg_size(const struct bulla_msg_desc *desc, const void *msg);

/* Fills the struct with views of bytes. Refused: unknown fields (BULLA_E_FORMAT), fields twice (BULLA_E_DUPLICATE),
 * fields out of order, zero or empty where absent is the one form, a list of more than BULLA_MAX_MESSAGE_ITEMS
 * (BULLA_E_LIMIT). On failure *ret is all zero. */
BULLA_CHECK bulla_rc bulla_msg_decode(const struct bulla_msg_desc *desc, bulla_bytes bytes, void *ret);

/* All descriptors in the order of messages.def; NULL at and after their number. For tests and dumps. */
const struct bulla_msg_desc *bulla_msg_desc_at(size_t index);

#define MESSAGE_BEGIN(message) struct bulla_msg_##message {
#define U64(message, number, field) uint64_t field;
#define BYTES(message, number, field) bulla_bytes field;
#define LIST(message, number, field) struct bulla_pb_list field;
#define MESSAGE_END(message) \
	}; \
	extern const struct bulla_msg_desc bulla_msg_##message##_desc; \
	static inline void bulla_msg_##message##_encode(const struct bulla_msg_##message *msg, bulla_wr *w) \
	{ \
		bulla_msg_encode(&bulla_msg_##message##_desc, msg, w); \
	} \
	BULLA_CHECK static inline bulla_rc bulla_msg_##message##_decode( \
		bulla_bytes bytes, struct bulla_msg_##message *ret) \
	{ \
		return bulla_msg_decode(&bulla_msg_##message##_desc, bytes, ret); \
	}
#include "wire/messages.def"
#undef MESSAGE_BEGIN
#undef U64
#undef BYTES
#undef LIST
#undef MESSAGE_END
