/* Golden bytes, one canonical form, and no way past a flipped bit or a missing byte, for every format. */
#include "formats.h"

#include "base/mem.h"
#include "base/secret.h"
#include "unit/test.h"
#include "wire/cbor.h"

#include <stdio.h>

static size_t make(const struct bulla_format *format, uint8_t *memory, size_t size)
{
	bulla_wr w = bulla_wr_fixed(memory, size);
	bulla_bytes bytes;

	assert_ok(format->make(&w));
	assert_ok(bulla_wr_end(&w, &bytes));
	return bytes.n;
}

static bulla_rc again(const struct bulla_format *format, bulla_bytes bytes, uint8_t *memory, size_t size, bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, size);

	BULLA_TRY(format->again(bytes, &w));
	return bulla_wr_end(&w, ret);
}

/* A changed byte here is a changed format: it needs a new version number and a new file. */
static void golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < bulla_format_count; i++) {
		uint8_t memory[4096], text[8193];
		char path[256];
		size_t n = make(&bulla_formats[i], memory, sizeof(memory)), size;
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s.hex", VECTORS, bulla_formats[i].name);
		file = fopen(path, "r");
		if (file == NULL) {
			print_message("missing: %s\n", path);
			for (size_t k = 0; k < n; k++)
				fprintf(stderr, "%02x%s", memory[k], k + 1 == n ? "\n" : "");
			fail();
		}
		size = fread(text, 1, sizeof(text), file);
		fclose(file);
		assert_true(size == 2 * n + 1);
		for (size_t k = 0; k < n; k++) {
			char hex[3];

			snprintf(hex, sizeof(hex), "%02x", memory[k]);
			if (hex[0] != (char)text[2 * k] || hex[1] != (char)text[2 * k + 1])
				fail_msg("%s differs at byte %zu", bulla_formats[i].name, k);
		}
	}
}

static void round_trip(void **state)
{
	uint8_t memory[4096], out[4096];

	(void)state;
	for (size_t i = 0; i < bulla_format_count; i++) {
		size_t n = make(&bulla_formats[i], memory, sizeof(memory));
		bulla_bytes bytes;

		assert_ok(again(&bulla_formats[i], bulla_bytes_of(memory, n), out, sizeof(out), &bytes));
		assert_bytes(bytes, bulla_bytes_of(memory, n));
	}
}

/* Any CBOR reader must be able to take it apart: as many items in each array as its head says. A bundle is a sequence. */
static void one_item(void **state)
{
	uint8_t memory[4096];

	(void)state;
	for (size_t i = 0; i < bulla_format_count; i++) {
		bulla_cbor_rd r = bulla_cbor_rd_of(bulla_bytes_of(memory, make(&bulla_formats[i], memory, sizeof(memory))));
		bulla_bytes raw;

		do
			assert_ok(bulla_cbor_rd_skip(&r, &raw));
		while (bulla_bytes_eq_str(bulla_bytes_str(bulla_formats[i].name), "bundle") && bulla_cbor_rd_end(&r) != BULLA_OK);
		if (bulla_cbor_rd_end(&r) != BULLA_OK)
			fail_msg("%s goes on after its end", bulla_formats[i].name);
	}
}

static void truncation(void **state)
{
	uint8_t memory[4096], out[4096];

	(void)state;
	for (size_t i = 0; i < bulla_format_count; i++) {
		size_t n = make(&bulla_formats[i], memory, sizeof(memory));
		bulla_bytes bytes;

		for (size_t k = 0; k < n; k++)
			if (again(&bulla_formats[i], bulla_bytes_of(memory, k), out, sizeof(out), &bytes) == BULLA_OK)
				fail_msg("%s cut to %zu bytes was accepted", bulla_formats[i].name, k);
		memory[n] = 0;
		if (again(&bulla_formats[i], bulla_bytes_of(memory, n + 1), out, sizeof(out), &bytes) == BULLA_OK)
			fail_msg("%s with one more byte was accepted", bulla_formats[i].name);
	}
}

/* Each flipped bit is refused, or is another value in its one form. */
static void bit_flips(void **state)
{
	uint8_t memory[4096], out[4096];

	(void)state;
	for (size_t i = 0; i < bulla_format_count; i++) {
		size_t n = make(&bulla_formats[i], memory, sizeof(memory));

		for (size_t bit = 0; bit < 8 * n; bit++) {
			bulla_bytes bytes;

			memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (again(&bulla_formats[i], bulla_bytes_of(memory, n), out, sizeof(out), &bytes) == BULLA_OK)
				assert_bytes(bytes, bulla_bytes_of(memory, n));
			memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* What lies under a MAC or a digest: no flipped bit at all. */
static void sealed_bit_flips(void **state)
{
	static const char *const names[] = {"permit-mac0", "commit-mac0", "bundle"};
	uint8_t memory[4096], out[4096];

	(void)state;
	for (size_t i = 0; i < bulla_format_count; i++) {
		bool sealed = false;
		size_t n;

		for (size_t k = 0; k < 3; k++)
			sealed = sealed || bulla_bytes_eq_str(bulla_bytes_str(names[k]), bulla_formats[i].name);
		n = sealed ? make(&bulla_formats[i], memory, sizeof(memory)) : 0;
		for (size_t bit = 0; bit < 8 * n; bit++) {
			bulla_bytes bytes;

			memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (again(&bulla_formats[i], bulla_bytes_of(memory, n), out, sizeof(out), &bytes) == BULLA_OK)
				fail_msg("%s: flipped bit %zu was accepted", bulla_formats[i].name, bit);
			memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* Each allocation may fail; nothing leaks (sanitizer builds) and nothing is accepted. */
static void no_memory(void **state)
{
	uint8_t memory[4096], out[4096];

	(void)state;
	for (size_t i = 0; i < bulla_format_count; i++) {
		size_t n = make(&bulla_formats[i], memory, sizeof(memory));

		for (uint64_t nth = 1; nth < 100; nth++) {
			bulla_bytes bytes;
			bulla_rc rc;

			bulla_alloc_fail_nth(nth);
			rc = again(&bulla_formats[i], bulla_bytes_of(memory, n), out, sizeof(out), &bytes);
			bulla_alloc_fail_nth(0);
			if (rc == BULLA_OK)
				break;
			assert_rc(BULLA_E_MEMORY, rc);
		}
	}
}

static int up(void **state)
{
	(void)state;
	return bulla_secret_slab_init(16) == BULLA_OK ? 0 : -1;
}

static int down(void **state)
{
	uint32_t used = bulla_secret_slab_used();

	(void)state;
	bulla_secret_slab_done();
	return used == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(one_item),
		cmocka_unit_test(truncation),
		cmocka_unit_test(bit_flips),
		cmocka_unit_test(sealed_bit_flips),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, up, down);
}
