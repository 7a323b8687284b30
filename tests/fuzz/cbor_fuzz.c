/* First byte: options. Then one item: skip must not disagree with the typed reads; what the strict reader takes, our
 * writer writes the same. */
#include "fuzz.h"
#include "wire/cbor.h"

static uint8_t memory[1 << 16];

static bulla_rc copy_item(bulla_cbor_rd *r, bulla_wr *w, unsigned depth);

static bulla_rc copy_map(bulla_cbor_rd *r, bulla_wr *w, unsigned depth)
{
	enum bulla_cbor_type type;
	struct bulla_cbor_map map;
	bulla_bytes text;
	int64_t number;

	BULLA_TRY(bulla_cbor_rd_map(r, SIZE_MAX, &map));
	bulla_cbor_wr_map(w, map.left);
	while (bulla_cbor_map_more(r, &map)) {
		BULLA_TRY(bulla_cbor_rd_peek(r, &type));
		if (type == BULLA_CBOR_TEXT) {
			BULLA_TRY(bulla_cbor_rd_key_text(r, &map, &text));
			bulla_cbor_wr_text(w, text);
		} else {
			BULLA_TRY(bulla_cbor_rd_key_int(r, &map, &number));
			bulla_cbor_wr_int(w, number);
		}
		BULLA_TRY(copy_item(r, w, depth));
	}
	return BULLA_OK;
}

static bulla_rc copy_array(bulla_cbor_rd *r, bulla_wr *w, unsigned depth)
{
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(r, SIZE_MAX, &count));
	bulla_cbor_wr_array(w, count);
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(copy_item(r, w, depth));
	return BULLA_OK;
}

static bulla_rc copy_scalar(bulla_cbor_rd *r, bulla_wr *w, enum bulla_cbor_type type)
{
	bulla_bytes view;
	uint64_t number;
	int64_t integer;
	bool truth;

	if (type == BULLA_CBOR_UINT) {
		BULLA_TRY(bulla_cbor_rd_uint(r, &number));
		bulla_cbor_wr_uint(w, number);
	} else if (type == BULLA_CBOR_NEGATIVE) {
		BULLA_TRY(bulla_cbor_rd_int(r, &integer));
		bulla_cbor_wr_int(w, integer);
	} else if (type == BULLA_CBOR_BYTES) {
		BULLA_TRY(bulla_cbor_rd_bytes(r, &view));
		bulla_cbor_wr_bytes(w, view);
	} else if (type == BULLA_CBOR_TEXT) {
		BULLA_TRY(bulla_cbor_rd_text(r, SIZE_MAX, &view));
		bulla_cbor_wr_text(w, view);
	} else if (type == BULLA_CBOR_BOOL) {
		BULLA_TRY(bulla_cbor_rd_bool(r, &truth));
		bulla_cbor_wr_bool(w, truth);
	} else {
		BULLA_TRY(bulla_cbor_rd_null(r));
		bulla_cbor_wr_null(w);
	}
	return BULLA_OK;
}

static bulla_rc copy_item(bulla_cbor_rd *r, bulla_wr *w, unsigned depth)
{
	enum bulla_cbor_type type;
	uint64_t tag;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type != BULLA_CBOR_MAP && type != BULLA_CBOR_ARRAY && type != BULLA_CBOR_TAG)
		return copy_scalar(r, w, type);
	if (depth == 0)
		return BULLA_E_FORMAT;
	if (type == BULLA_CBOR_MAP)
		return copy_map(r, w, depth - 1);
	if (type == BULLA_CBOR_ARRAY)
		return copy_array(r, w, depth - 1);
	BULLA_TRY(bulla_cbor_rd_tag(r, &tag));
	bulla_cbor_wr_tag(w, tag);
	return copy_item(r, w, depth - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_cbor_options options = {0};
	bulla_cbor_rd skipper, reader;
	bulla_bytes raw, out;
	bulla_rc skipped, read;
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	if (n < 1)
		return 0;
	options.indefinite_top_map = p[0] & 1;
	options.unordered_keys = p[0] & 2;
	options.floats = p[0] & 4;
	skipper = bulla_cbor_rd_with(bulla_bytes_of(p + 1, n - 1), options);
	reader = skipper;
	skipped = bulla_cbor_rd_skip(&skipper, &raw);
	read = copy_item(&reader, &w, BULLA_MAX_CBOR_DEPTH);
	if (read == BULLA_OK)
		fuzz_assert(skipped == BULLA_OK && reader.rd.at == skipper.rd.at && raw.n == reader.rd.at);
	if (read == BULLA_OK && (p[0] & 7) == 0) {
		if (bulla_wr_end(&w, &out) == BULLA_OK)
			fuzz_assert(bulla_bytes_eq(out, raw));
		fuzz_assert(bulla_cbor_check(raw) == BULLA_OK);
	}
	if (skipped != BULLA_OK)
		fuzz_assert(skipper.rd.at == 0);
	return 0;
}
