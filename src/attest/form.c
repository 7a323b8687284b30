#include "attest/form.h"

#define PARTS 4 /* protected header, unprotected header, payload, signature or MAC */
#define TAGS_MAX 4
#define EMPTY_MAP 0xa0

static const char *newest_text(void)
{
	unsigned count;
	const struct bulla_trail_entry *trail = bulla_trail(&count);

	return count > 0 && trail[0].what != NULL ? trail[0].what : "the evidence is not in its form";
}

static bool is_tag(const bulla_cbor_rd *r)
{
	bulla_cbor_rd next = *r;
	uint64_t tag;

	return bulla_cbor_rd_tag(&next, &tag) == BULLA_OK;
}

static bool is_encoded_well(const bulla_cbor_rd *r)
{
	bulla_cbor_rd next = *r;
	bulla_bytes ignored;

	return bulla_cbor_rd_skip(&next, &ignored) == BULLA_OK;
}

struct bulla_form_fault bulla_form_fault_of(bulla_rc rc, const bulla_cbor_rd *r, bool outermost)
{
	struct bulla_form_fault fault = {BULLA_FACTOR_FIELDS, r->rd.at, newest_text()};

	if (rc == BULLA_E_TRAILING)
		fault.factor = BULLA_FACTOR_TRAILING;
	else if (rc == BULLA_E_TRUNCATED && outermost)
		fault = (struct bulla_form_fault){BULLA_FACTOR_SIZE, r->rd.n, "the bytes end early"};
	else if (rc == BULLA_E_FORMAT && is_tag(r))
		fault = (struct bulla_form_fault){BULLA_FACTOR_ENCODING, r->rd.at, "a tag stands where none, or another one, may"};
	else if (rc == BULLA_E_FORMAT && !is_encoded_well(r)) /* which has its own, newer reason */
		fault = (struct bulla_form_fault){BULLA_FACTOR_ENCODING, r->rd.at, newest_text()};
	return fault;
}

struct bulla_form_fault bulla_form_json_fault(bulla_rc rc, size_t at)
{
	struct bulla_form_fault fault = {BULLA_FACTOR_ENCODING, at, newest_text()};

	if (rc == BULLA_E_TRAILING)
		fault.factor = BULLA_FACTOR_TRAILING;
	else if (rc == BULLA_E_TRUNCATED)
		fault.factor = BULLA_FACTOR_SIZE;
	else if (rc == BULLA_E_DUPLICATE || rc == BULLA_E_LIMIT)
		fault.factor = BULLA_FACTOR_FIELDS;
	return fault;
}

static bulla_rc enter(bulla_cbor_rd *r, uint64_t tag)
{
	enum bulla_cbor_type type;
	bulla_cbor_rd inside;
	size_t count;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type == BULLA_CBOR_TAG)
		BULLA_TRY(bulla_cbor_rd_expect_tag(r, tag));
	inside = *r;
	BULLA_TRY(bulla_cbor_rd_array(&inside, SIZE_MAX, &count));
	if (count != PARTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a COSE message has four parts");
	*r = inside;
	return BULLA_OK;
}

static bulla_rc read_unprotected(bulla_cbor_rd *r, bool empty, bulla_bytes *ret)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type != BULLA_CBOR_MAP)
		return BULLA_FAIL(BULLA_E_FORMAT, "an unprotected header is no map");
	if (empty && r->rd.p[r->rd.at] != EMPTY_MAP)
		return BULLA_FAIL(BULLA_E_LIMIT, "the unprotected header is not empty");
	return bulla_cbor_rd_skip(r, ret);
}

/* E_SIGNATURE: the protected header is another one. */
static bulla_rc read_parts(bulla_cbor_rd *r, uint64_t tag, bulla_bytes header, struct bulla_sign1 *ret)
{
	BULLA_TRY(enter(r, tag));
	bulla_cbor_rd next = *r;
	BULLA_TRY(bulla_cbor_rd_bytes(&next, &ret->protected_raw));
	if (header.n > 0 && !bulla_bytes_eq(ret->protected_raw, header))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "the protected header names another algorithm, none, or more than it");
	*r = next;
	BULLA_TRY(read_unprotected(r, header.n > 0, &ret->unprotected));
	BULLA_TRY(bulla_cbor_rd_bytes(r, &ret->payload));
	BULLA_TRY(bulla_cbor_rd_bytes(r, &ret->signature));
	return bulla_cbor_rd_end(r);
}

bulla_rc bulla_form_cose(bulla_bytes message, uint64_t tag, bulla_bytes header, struct bulla_sign1 *ret,
	struct bulla_form_fault *ret_fault)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(message);
	struct bulla_sign1 parts = {0};
	bulla_rc rc = read_parts(&r, tag, header, &parts);

	if (rc == BULLA_OK)
		*ret = parts;
	else
		*ret_fault = bulla_form_fault_of(rc, &r, true);
	if (rc == BULLA_E_SIGNATURE)
		ret_fault->factor = BULLA_FACTOR_ALGORITHM;
	return rc;
}

bool bulla_form_is_cose(bulla_bytes bytes, bulla_bytes *ret_message)
{
	static const uint8_t heads[] = {0x83, 0x84, 0x85, 0x98, 0x9f};
	bulla_bytes message = bulla_form_behind_tags(bytes);
	bool like = false;

	for (size_t i = 0; i < sizeof(heads) && message.n > 0; i++)
		like = like || message.p[0] == heads[i];
	if (!like || (message.n > 1 && message.p[0] == 0x83 && (message.p[1] >> 5 == 0 || message.p[1] >> 5 == 3)))
		return false;
	*ret_message = message;
	return true;
}

bulla_bytes bulla_form_behind_tags(bulla_bytes bytes)
{
	for (unsigned i = 0; i < TAGS_MAX && bytes.n > 0 && bytes.p[0] >> 5 == 6; i++) {
		unsigned info = bytes.p[0] & 31;
		size_t size = info < 24 ? 1 : info < 28 ? 1 + ((size_t)1 << (info - 24)) : bytes.n;

		size = size < bytes.n ? size : bytes.n;
		bytes = bulla_bytes_of(bytes.p + size, bytes.n - size);
	}
	return bytes;
}

bool bulla_form_has(bulla_bytes bytes, bulla_bytes word)
{
	for (size_t i = 0; i + word.n <= bytes.n; i++)
		if (bytes.p[i] == word.p[0] && bulla_bytes_eq(bulla_bytes_of(bytes.p + i, word.n), word))
			return true;
	return false;
}
