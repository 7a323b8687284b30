/* First byte: in which portions the rest arrives. The reader ends, and says the same whatever the portions are. */
#include "fuzz.h"
#include "receipt/bundle.h"

static bulla_rc take_items(struct bulla_bundle_reader *reader, size_t *items)
{
	enum bulla_bundle_kind kind;
	bulla_bytes body;
	bulla_rc rc;

	for (rc = bulla_bundle_next(reader, &kind, &body); rc == BULLA_OK; rc = bulla_bundle_next(reader, &kind, &body)) {
		fuzz_assert((unsigned)kind < BULLA_BUNDLE_KINDS);
		++*items;
	}
	return rc;
}

static bulla_rc read_all(bulla_bytes in, size_t portion, size_t *ret_items)
{
	struct bulla_bundle_reader *reader = NULL;
	bulla_rc rc = bulla_bundle_reader_new(&reader);
	size_t at = 0, items = 0;

	fuzz_assert(rc == BULLA_OK);
	rc = BULLA_E_AGAIN;
	while (at < in.n && (rc == BULLA_E_AGAIN || rc == BULLA_E_CLOSED)) {
		size_t some = in.n - at < portion ? in.n - at : portion;

		rc = bulla_bundle_feed(reader, bulla_bytes_of(in.p + at, some));
		at += some;
		if (rc == BULLA_OK)
			rc = take_items(reader, &items);
	}
	fuzz_assert(bulla_bundle_ended(reader) != BULLA_OK || rc == BULLA_E_CLOSED || rc == BULLA_E_BUNDLE);
	reader = bulla_bundle_reader_free(reader);
	*ret_items = items;
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t whole = 0, parts = 0;
	bulla_bytes in;
	bulla_rc rc;

	if (n < 2)
		return 0;
	in = bulla_bytes_of(p + 1, n - 1);
	rc = read_all(in, in.n, &whole);
	fuzz_assert(read_all(in, (size_t)p[0] + 1, &parts) == rc && whole == parts);
	return 0;
}
