/* First byte: which text form. What decodes, encodes to the same text. */
#include "fuzz.h"
#include "wire/text.h"

static uint8_t decoded[1 << 15], encoded[1 << 16];

static bool decode(unsigned kind, bulla_bytes text, bulla_wr *w)
{
	size_t size = text.n / 2;
	uint64_t number;
	int64_t integer;

	if (kind == 0 && size <= sizeof(decoded) && bulla_text_hex(text, size, decoded) == BULLA_OK)
		bulla_text_wr_hex(w, bulla_bytes_of(decoded, size));
	else if (kind == 1 && bulla_text_base64(text, sizeof(decoded), decoded, &size) == BULLA_OK)
		bulla_text_wr_base64(w, bulla_bytes_of(decoded, size));
	else if (kind == 2 && bulla_text_base64url(text, sizeof(decoded), decoded, &size) == BULLA_OK)
		bulla_text_wr_base64url(w, bulla_bytes_of(decoded, size));
	else if (kind == 3 && bulla_text_uint(text, UINT64_MAX, &number) == BULLA_OK)
		bulla_text_wr_uint(w, number);
	else if (kind == 4 && bulla_text_int(text, INT64_MIN, INT64_MAX, &integer) == BULLA_OK)
		bulla_text_wr_int(w, integer);
	else
		return false;
	return true;
}

/* Up to 10 bytes and what was typed: what is written begins with each of its beginnings, and with what else has_prefix takes. */
static void check_base32(bulla_bytes text)
{
	bulla_bytes run = bulla_bytes_of(text.p, text.n < 10 ? text.n : 10), typed = bulla_bytes_of(text.p + run.n, text.n - run.n);
	bulla_wr w = bulla_wr_fixed(decoded, sizeof(decoded));

	bulla_text_wr_base32(&w, run);
	for (size_t n = 0; n <= w.n; n++)
		fuzz_assert(bulla_text_base32_has_prefix(run, bulla_bytes_of(decoded, n)));
	if (bulla_text_base32_has_prefix(run, typed))
		fuzz_assert(typed.n <= w.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	bulla_wr w = bulla_wr_fixed(encoded, sizeof(encoded));
	bulla_bytes text, out;

	if (n < 1)
		return 0;
	text = bulla_bytes_of(p + 1, n - 1);
	if (decode(p[0], text, &w) && bulla_wr_end(&w, &out) == BULLA_OK)
		fuzz_assert(bulla_bytes_eq(out, text));
	if (p[0] == 5)
		check_base32(text);
	(void)bulla_text_is_utf8(text);
	return 0;
}
