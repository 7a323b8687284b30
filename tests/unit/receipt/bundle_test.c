#include "receipt/bundle.h"

#include "test.h"

static struct bulla_bundle_writer *begin(bulla_wr *w)
{
	struct bulla_bundle_header header = {.headers_only = true};
	struct bulla_bundle_writer *writer;

	assert_ok(bulla_bundle_writer_new(&header, w, &writer));
	return writer;
}

/* The same items come out, whatever the size of the pieces they are fed in. */
static void streams(void **state)
{
	uint8_t memory[2048];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_bundle_writer *writer = begin(&w);
	struct bulla_bundle_header header;

	(void)state;
	for (uint8_t i = 0; i < 20; i++)
		assert_ok(bulla_bundle_put(writer, BULLA_BUNDLE_ENTRY, bulla_bytes_of(memory, 3 * i), &w));
	assert_ok(bulla_bundle_finish(writer, &w));
	assert_rc(BULLA_E_STATE, bulla_bundle_put(writer, BULLA_BUNDLE_ENTRY, (bulla_bytes){NULL, 0}, &w));
	bulla_bundle_writer_free(writer);
	assert_ok(w.rc);
	for (size_t piece = 1; piece < 64; piece += 5) {
		struct bulla_bundle_reader *reader;
		enum bulla_bundle_kind kind;
		size_t items = 0;
		bulla_bytes body;

		assert_ok(bulla_bundle_reader_new(&reader));
		for (size_t at = 0; at < w.n; at += piece) {
			bulla_rc rc;

			assert_ok(bulla_bundle_feed(reader,
				bulla_bytes_of(memory + at, at + piece < w.n ? piece : w.n - at)));
			while ((rc = bulla_bundle_next(reader, &kind, &body)) == BULLA_OK) {
				if (items == 0) {
					assert_int_equal(kind, BULLA_BUNDLE_HEADER);
					assert_ok(bulla_bundle_header_decode(body, &header));
					assert_true(header.headers_only);
				} else if (items <= 20) {
					assert_int_equal(kind, BULLA_BUNDLE_ENTRY);
					assert_int_equal(body.n, 3 * (items - 1));
				}
				items++;
			}
			assert_rc(at + piece < w.n ? BULLA_E_AGAIN : BULLA_E_CLOSED, rc);
		}
		assert_int_equal(items, 22);
		assert_ok(bulla_bundle_ended(reader));
		assert_ok(bulla_bundle_feed(reader, BULLA_BYTES_LITERAL("x")));
		assert_rc(BULLA_E_BUNDLE, bulla_bundle_next(reader, &kind, &body));
		bulla_bundle_reader_free(reader);
	}
}

static bulla_rc first_error(bulla_bytes bytes)
{
	struct bulla_bundle_reader *reader;
	enum bulla_bundle_kind kind;
	bulla_bytes body;
	bulla_rc rc;

	assert_ok(bulla_bundle_reader_new(&reader));
	assert_ok(bulla_bundle_feed(reader, bytes));
	while ((rc = bulla_bundle_next(reader, &kind, &body)) == BULLA_OK)
		;
	bulla_bundle_reader_free(reader);
	return rc;
}

static void not_bundles(void **state)
{
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_bundle_writer *writer = begin(&w);
	size_t header = w.n;

	(void)state;
	assert_rc(BULLA_E_AGAIN, first_error((bulla_bytes){NULL, 0}));
	assert_rc(BULLA_E_BUNDLE, first_error(BULLA_BYTES_LITERAL("PK\003\004")));
	assert_rc(BULLA_E_BUNDLE, first_error(BULLA_BYTES_LITERAL("\x82\x01\x40")));             /* no header first */
	assert_rc(BULLA_E_BUNDLE, first_error(BULLA_BYTES_LITERAL("\x82\x18\x40\x40")));         /* unknown kind */
	assert_rc(BULLA_E_BUNDLE, first_error(BULLA_BYTES_LITERAL("\x82\x00\x5a\x00\x40\x00\x00"))); /* too large */
	assert_ok(bulla_bundle_finish(writer, &w));
	bulla_bundle_writer_free(writer);
	assert_rc(BULLA_E_CLOSED, first_error(bulla_bytes_of(memory, w.n)));
	bulla_copy(memory + header, memory, header); /* a second header */
	assert_rc(BULLA_E_BUNDLE, first_error(bulla_bytes_of(memory, 2 * header)));
}

static void refuses(void **state)
{
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_bundle_writer *writer = begin(&w);

	(void)state;
	assert_rc(BULLA_E_ARGUMENT, bulla_bundle_put(writer, BULLA_BUNDLE_HEADER, (bulla_bytes){NULL, 0}, &w));
	assert_rc(BULLA_E_ARGUMENT, bulla_bundle_put(writer, BULLA_BUNDLE_TRAILER, (bulla_bytes){NULL, 0}, &w));
	assert_rc(BULLA_E_LIMIT,
		bulla_bundle_put(writer, BULLA_BUNDLE_LINK, (bulla_bytes){memory, BULLA_BUNDLE_BODY_MAX + 1}, &w));
	bulla_bundle_writer_free(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams),
		cmocka_unit_test(not_bundles),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
