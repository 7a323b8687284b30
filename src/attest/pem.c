#include "attest/pem.h"

#include "base/rd.h"

static const char begin_line[] = "-----BEGIN CERTIFICATE-----";
static const char end_line[] = "-----END CERTIFICATE-----";

/* Value of a base64 character (RFC 4648 section 4), -1 for another. */
static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

struct decoder {
	uint8_t *memory;
	size_t size, used;
	uint32_t bits;
	unsigned count; /* characters of the group, '=' included */
	unsigned padding;
};

static bulla_rc flush(struct decoder *decoder)
{
	unsigned bytes = 3 - decoder->padding;

	if (decoder->size - decoder->used < bytes)
		return BULLA_FAIL(BULLA_E_LIMIT, "a certificate is larger than its room");
	if ((decoder->bits & ((1u << (8 * decoder->padding)) - 1)) != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "base64 has bits behind its end");
	for (unsigned i = 0; i < bytes; i++)
		decoder->memory[decoder->used++] = (uint8_t)(decoder->bits >> (16 - 8 * i));
	decoder->bits = 0;
	decoder->count = 0;
	return BULLA_OK;
}

static bulla_rc put(struct decoder *decoder, uint8_t c)
{
	int value = digit(c);

	if (c == '=' && decoder->count >= 2) {
		decoder->padding++;
		value = 0;
	} else if (value < 0 || decoder->padding > 0) {
		return BULLA_FAIL(BULLA_E_FORMAT, "a character of a certificate is no base64");
	}
	decoder->bits = decoder->bits << 6 | (uint32_t)value;
	return ++decoder->count == 4 ? flush(decoder) : BULLA_OK;
}

static bulla_rc take_word(bulla_rd *r, const char *word)
{
	bulla_bytes expected = bulla_bytes_str(word), found;

	BULLA_TRY(bulla_rd_bytes(r, expected.n, &found));
	if (bulla_bytes_eq(found, expected))
		return BULLA_OK;
	r->at -= expected.n;
	return BULLA_FAIL(BULLA_E_FORMAT, "a PEM line is not as expected");
}

static void skip_line_end(bulla_rd *r)
{
	if (bulla_rd_left(r) > 0 && r->p[r->at] == '\r')
		r->at++;
	if (bulla_rd_left(r) > 0 && r->p[r->at] == '\n')
		r->at++;
}

bulla_rc bulla_pem_next(bulla_rd *r, uint8_t *memory, size_t size, bulla_bytes *ret)
{
	struct decoder decoder = {.memory = memory, .size = size};
	bulla_rc rc = BULLA_OK;

	BULLA_TRY(take_word(r, begin_line));
	for (skip_line_end(r); bulla_rd_left(r) > 0 && r->p[r->at] != '-' && rc == BULLA_OK; skip_line_end(r)) {
		rc = put(&decoder, r->p[r->at]);
		r->at += rc == BULLA_OK ? 1 : 0;
	}
	BULLA_TRY(rc);
	if (decoder.count != 0 || decoder.used == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "the base64 of a certificate is cut short");
	BULLA_TRY(take_word(r, end_line));
	skip_line_end(r);
	*ret = bulla_bytes_of(memory, decoder.used);
	return BULLA_OK;
}

bool bulla_pem_more(const bulla_rd *r)
{
	return bulla_rd_left(r) > 0 && !(bulla_rd_left(r) == 1 && r->p[r->at] == 0);
}

bulla_rc bulla_pem_chain(bulla_bytes text, uint8_t *memory, size_t memory_size, size_t max, bulla_bytes *ret,
	size_t *ret_count)
{
	bulla_rd r = bulla_rd_of(text);
	size_t used = 0, count = 0;

	while (bulla_pem_more(&r)) {
		if (count == max)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are more certificates than a chain has");
		BULLA_TRY(bulla_pem_next(&r, memory + used, memory_size - used, &ret[count]));
		used += ret[count++].n;
	}
	*ret_count = count;
	return BULLA_OK;
}
