/* What parses stays inside its text, and has one canonical form that is canonical itself. */
#include "fuzz.h"
#include "wire/jcs.h"

static uint8_t first[1 << 16], second[1 << 16];

static void walk(bulla_json value, bulla_bytes text, unsigned depth)
{
	struct bulla_json_iter iter = bulla_json_begin(value);
	bulla_json name, item, found;
	uint8_t string[256];
	size_t size, count = 0;
	int64_t number;

	fuzz_assert(value.raw.p >= text.p && value.raw.p + value.raw.n <= text.p + text.n && depth <= BULLA_MAX_JSON_DEPTH);
	(void)!bulla_json_int(value, INT64_MIN, INT64_MAX, &number);
	for (; bulla_json_next(&iter, &name, &item); count++) {
		walk(item, text, depth + 1);
		if (name.raw.n > 0 && bulla_json_string(name, sizeof(string), string, &size) == BULLA_OK) {
			fuzz_assert(bulla_json_get(value, bulla_bytes_of(string, size), &found) == BULLA_OK);
			fuzz_assert(found.raw.p == item.raw.p);
		}
	}
	fuzz_assert(count == bulla_json_count(value));
}

static bulla_rc canonical(bulla_bytes text, uint8_t *memory, size_t size, bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, size);
	bulla_json value;

	BULLA_TRY(bulla_json_parse(text, &value));
	bulla_jcs_write(value, &w);
	return bulla_wr_end(&w, ret);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	bulla_bytes text = bulla_bytes_of(p, n), out, again;
	bulla_json value;

	if (bulla_json_parse(text, &value) != BULLA_OK)
		return 0;
	if (n < 4096)
		walk(value, text, 0);
	if (canonical(text, first, sizeof(first), &out) != BULLA_OK)
		return 0;
	fuzz_assert(canonical(out, second, sizeof(second), &again) == BULLA_OK);
	fuzz_assert(bulla_bytes_eq(out, again));
	return 0;
}
