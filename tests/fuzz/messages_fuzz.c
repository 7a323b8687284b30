/* First byte: which message. What decodes, encodes to the same bytes; lists hold what they say. */
#include "fuzz.h"
#include "wire/ops.h"

static uint8_t memory[1 << 16];

static void check_lists(const struct bulla_msg_desc *desc, const uint8_t *msg, bulla_bytes in)
{
	for (size_t i = 0; i < desc->count; i++) {
		const struct bulla_pb_list *list = (const void *)(msg + desc->fields[i].offset);
		struct bulla_pb_iter iter;
		bulla_bytes item;
		size_t count = 0;

		if (desc->fields[i].kind != BULLA_MSG_LIST)
			continue;
		for (iter = bulla_pb_list_begin(list); bulla_pb_list_next(&iter, &item); count++)
			fuzz_assert(item.n == 0 || (item.p >= in.p && item.p + item.n <= in.p + in.n));
		fuzz_assert(count == list->count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static _Alignas(16) uint8_t msg[4096];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	const struct bulla_msg_desc *desc;
	bulla_bytes in, out;

	desc = n > 0 ? bulla_msg_desc_at(p[0]) : NULL;
	if (desc == NULL)
		return 0;
	fuzz_assert(desc->size <= sizeof(msg));
	in = bulla_bytes_of(p + 1, n - 1);
	if (bulla_msg_decode(desc, in, msg) != BULLA_OK)
		return 0;
	check_lists(desc, msg, in);
	bulla_msg_encode(desc, msg, &w);
	fuzz_assert(bulla_msg_size(desc, msg) == in.n);
	if (bulla_wr_end(&w, &out) == BULLA_OK)
		fuzz_assert(bulla_bytes_eq(in, out));
	return 0;
}
