/* Walks any DER to a depth of 16 with every typed read; what is written back is what was read. */
#include "fuzz.h"
#include "wire/der.h"

static uint8_t memory[1 << 16];

static void check_same(bulla_bytes whole, bulla_wr *w)
{
	bulla_bytes out;

	if (bulla_wr_end(w, &out) == BULLA_OK)
		fuzz_assert(bulla_bytes_eq(out, whole));
}

static void read_typed(struct bulla_der element)
{
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_rd r = bulla_rd_of(element.whole);
	bulla_bytes view;
	int64_t time;
	uint64_t number;
	bool truth;

	if (bulla_der_rd_uint(&r, UINT64_MAX, &number) == BULLA_OK) {
		bulla_der_wr_number(&w, element.value);
		check_same(element.whole, &w);
	} else if (bulla_der_rd_bits(&r, &view) == BULLA_OK) {
		bulla_der_wr_bits(&w, view);
		check_same(element.whole, &w);
	} else if (bulla_der_rd_time(&r, &time) == BULLA_OK) {
		fuzz_assert(bulla_rd_end(&r) == BULLA_OK);
	} else if (bulla_der_rd_integer(&r, &view) != BULLA_OK && bulla_der_rd_bool(&r, &truth) != BULLA_OK) {
		fuzz_assert(r.at == 0);
		bulla_der_wr(&w, element.tag, element.value);
		check_same(element.whole, &w);
	}
}

static void walk(bulla_bytes bytes, unsigned depth)
{
	bulla_rd r = bulla_rd_of(bytes);
	struct bulla_der element;
	size_t before = 0;

	while (depth > 0 && bulla_der_rd(&r, &element) == BULLA_OK) {
		fuzz_assert(r.at > before && element.whole.n == r.at - before);
		before = r.at;
		read_typed(element);
		if (element.tag & 0x20)
			walk(element.value, depth - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	walk(bulla_bytes_of(p, n), 16);
	return 0;
}
