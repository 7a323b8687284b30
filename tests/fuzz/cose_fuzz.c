/* First byte: which of the COSE readers. Views stay inside; a CMW record is written as it was read. */
#include "cose/cmw.h"
#include "cose/mac0.h"
#include "cose/sign1.h"
#include "fuzz.h"

static uint8_t memory[1 << 16];

static void check_inside(bulla_bytes view, bulla_bytes in)
{
	fuzz_assert(view.n == 0 || (view.p >= in.p && view.p + view.n <= in.p + in.n));
}

static void fuzz_cmw(bulla_bytes in)
{
	struct bulla_cmw_item items[BULLA_CMW_ITEMS];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_cmw record;
	bulla_bytes out, type;
	size_t count;

	if (bulla_cmw_parse(in, &record) == BULLA_OK) {
		bulla_cmw_write(&w, &record);
		if (bulla_wr_end(&w, &out) == BULLA_OK)
			fuzz_assert(bulla_bytes_eq(out, in));
	}
	if (bulla_cmw_collection_parse(in, &type, items, &count) == BULLA_OK) {
		fuzz_assert(count <= BULLA_CMW_ITEMS);
		for (size_t i = 0; i < count; i++)
			check_inside(items[i].record.value, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	bulla_bytes in, payload, kid;
	struct bulla_sign1 sign1;
	bulla_digest digest;

	if (n < 1)
		return 0;
	in = bulla_bytes_of(p + 1, n - 1);
	if (p[0] % 3 == 0 && bulla_sign1_parse(in, &sign1) == BULLA_OK) {
		check_inside(sign1.payload, in);
		check_inside(sign1.signature, in);
		check_inside(sign1.unprotected, in);
		check_inside(sign1.kid, in);
	}
	if (p[0] % 3 == 0 && bulla_sign1_peek(in, BULLA_CONTENT("receipt"), &digest, &payload) == BULLA_OK)
		check_inside(payload, in);
	if (p[0] % 3 == 1 && bulla_mac0_peek(in, BULLA_CONTENT("permit"), &kid, &payload) == BULLA_OK) {
		check_inside(payload, in);
		check_inside(kid, in);
	}
	if (p[0] % 3 == 2)
		fuzz_cmw(in);
	return 0;
}
