#include "wire/der.h"

#include "wire/date.h"

#define LONG_FORM 0x80

static bulla_rc read_length(bulla_rd *r, size_t *ret)
{
	uint8_t first, octet;
	size_t length = 0;

	BULLA_TRY(bulla_rd_u8(r, &first));
	if (first < LONG_FORM) {
		*ret = first;
		return BULLA_OK;
	}
	if (first == LONG_FORM || first > LONG_FORM + 4)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER length is indefinite or has too many octets");
	for (unsigned i = first - LONG_FORM; i > 0; i--) {
		BULLA_TRY(bulla_rd_u8(r, &octet));
		if (length == 0 && octet == 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a DER length has a leading zero");
		length = length << 8 | octet;
	}
	if (length < LONG_FORM)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER length is not in its shortest form");
	*ret = length;
	return BULLA_OK;
}

bulla_rc bulla_der_rd(bulla_rd *r, struct bulla_der *ret)
{
	bulla_rd at = *r;
	struct bulla_der found;
	size_t length;

	BULLA_TRY(bulla_rd_u8(&at, &found.tag));
	if ((found.tag & 0x1f) == 0x1f)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER tag has more than one octet");
	BULLA_TRY(read_length(&at, &length));
	BULLA_TRY(bulla_rd_bytes(&at, length, &found.value));
	BULLA_TRY(bulla_rd_bytes(r, at.at - r->at, &found.whole));
	*ret = found;
	return BULLA_OK;
}

static bulla_rc read_tagged(bulla_rd *r, unsigned tag, struct bulla_der *ret)
{
	bulla_rd at = *r;

	BULLA_TRY(bulla_der_rd(&at, ret));
	if (ret->tag != tag)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER element has another tag");
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_der_rd_value(bulla_rd *r, unsigned tag, bulla_bytes *ret_value)
{
	struct bulla_der found;

	BULLA_TRY(read_tagged(r, tag, &found));
	*ret_value = found.value;
	return BULLA_OK;
}

bulla_rc bulla_der_rd_whole(bulla_rd *r, unsigned tag, bulla_bytes *ret_whole)
{
	struct bulla_der found;

	BULLA_TRY(read_tagged(r, tag, &found));
	*ret_whole = found.whole;
	return BULLA_OK;
}

bulla_rc bulla_der_rd_enter(bulla_rd *r, unsigned tag, bulla_rd *ret_inner)
{
	bulla_bytes value;

	BULLA_TRY(bulla_der_rd_value(r, tag, &value));
	*ret_inner = bulla_rd_of(value);
	return BULLA_OK;
}

bool bulla_der_next_is(const bulla_rd *r, unsigned tag)
{
	bulla_rd at = *r;
	uint8_t next;

	return bulla_rd_left(&at) > 0 && bulla_rd_u8(&at, &next) == BULLA_OK && next == tag;
}

bulla_rc bulla_der_rd_integer(bulla_rd *r, bulla_bytes *ret)
{
	bulla_rd at = *r;
	bulla_bytes value;

	BULLA_TRY(bulla_der_rd_value(&at, BULLA_DER_INTEGER, &value));
	if (value.n == 0 || (value.n > 1 && ((value.p[0] == 0 && value.p[1] < 0x80) || (value.p[0] == 0xff && value.p[1] >= 0x80))))
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER integer is not in its shortest form");
	*ret = value;
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_der_rd_uint(bulla_rd *r, uint64_t max, uint64_t *ret)
{
	bulla_rd at = *r;
	bulla_bytes value;
	uint64_t number = 0;

	BULLA_TRY(bulla_der_rd_integer(&at, &value));
	if (value.p[0] >= 0x80)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER integer is negative");
	if (value.n > 9 || (value.n == 9 && value.p[0] != 0))
		return BULLA_FAIL(BULLA_E_LIMIT, "a DER integer is too large");
	for (size_t i = 0; i < value.n; i++)
		number = number << 8 | value.p[i];
	if (number > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a DER integer is too large");
	*ret = number;
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_der_rd_bool(bulla_rd *r, bool *ret)
{
	bulla_rd at = *r;
	bulla_bytes value;

	BULLA_TRY(bulla_der_rd_value(&at, BULLA_DER_BOOLEAN, &value));
	if (value.n != 1 || (value.p[0] != 0 && value.p[0] != 0xff))
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER boolean is neither of the two");
	*ret = value.p[0] != 0;
	*r = at;
	return BULLA_OK;
}

bulla_rc bulla_der_rd_bits(bulla_rd *r, bulla_bytes *ret)
{
	bulla_rd at = *r;
	bulla_bytes value;

	BULLA_TRY(bulla_der_rd_value(&at, BULLA_DER_BIT_STRING, &value));
	if (value.n == 0 || value.p[0] != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER bit string is not of whole octets");
	*ret = bulla_bytes_of(value.p + 1, value.n - 1);
	*r = at;
	return BULLA_OK;
}

/* --- times --- */

static bulla_rc two_digits(bulla_rd *r, unsigned most, unsigned *ret)
{
	uint8_t tens, ones;

	BULLA_TRY(bulla_rd_u8(r, &tens));
	BULLA_TRY(bulla_rd_u8(r, &ones));
	if (tens < '0' || tens > '9' || ones < '0' || ones > '9')
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER time has other characters than digits");
	*ret = (unsigned)(tens - '0') * 10 + (unsigned)(ones - '0');
	if (*ret > most)
		return BULLA_FAIL(BULLA_E_FORMAT, "a part of a DER time is too large");
	return BULLA_OK;
}

static bulla_rc read_time(bulla_rd *r, bool utc, int64_t *ret)
{
	static const uint8_t most[6] = {99, 12, 31, 23, 59, 59};
	unsigned century = 0, f[6];
	uint8_t zulu;

	if (!utc)
		BULLA_TRY(two_digits(r, 99, &century));
	for (size_t i = 0; i < 6; i++)
		BULLA_TRY(two_digits(r, most[i], &f[i]));
	if (utc)
		century = f[0] >= 50 ? 19 : 20; /* RFC 5280 section 4.1.2.5.1 */
	f[0] += century * 100;
	BULLA_TRY(bulla_rd_u8(r, &zulu));
	BULLA_TRY(bulla_rd_end(r));
	if (zulu != 'Z')
		return BULLA_FAIL(BULLA_E_FORMAT, "a DER time is no time of UTC");
	return bulla_date_seconds(f, ret);
}

bulla_rc bulla_der_rd_time(bulla_rd *r, int64_t *ret)
{
	bulla_rd at = *r, inner;
	bool utc = bulla_der_next_is(r, BULLA_DER_UTC_TIME);
	int64_t time;

	BULLA_TRY(bulla_der_rd_enter(&at, utc ? BULLA_DER_UTC_TIME : BULLA_DER_TIME, &inner));
	BULLA_TRY(read_time(&inner, utc, &time));
	*ret = time;
	*r = at;
	return BULLA_OK;
}

/* --- writer --- */

void bulla_der_wr_head(bulla_wr *w, unsigned tag, size_t size)
{
	unsigned octets = size > 0xffffff ? 4 : size > 0xffff ? 3 : size > 0xff ? 2 : 1;

	bulla_wr_u8(w, (uint8_t)tag);
	if (size > UINT32_MAX)
		bulla_wr_fail(w, BULLA_E_LIMIT);
	if (size >= LONG_FORM)
		bulla_wr_u8(w, (uint8_t)(LONG_FORM + octets));
	for (unsigned i = octets; i > 0; i--)
		bulla_wr_u8(w, (uint8_t)(size >> 8 * (i - 1)));
}

void bulla_der_wr(bulla_wr *w, unsigned tag, bulla_bytes value)
{
	bulla_der_wr_head(w, tag, value.n);
	bulla_wr_bytes(w, value);
}

void bulla_der_wr_number(bulla_wr *w, bulla_bytes number)
{
	while (number.n > 1 && number.p[0] == 0)
		number = bulla_bytes_of(number.p + 1, number.n - 1);
	if (number.n > 0 && number.p[0] < 0x80) {
		bulla_der_wr(w, BULLA_DER_INTEGER, number);
		return;
	}
	bulla_der_wr_head(w, BULLA_DER_INTEGER, number.n + 1);
	bulla_wr_u8(w, 0);
	bulla_wr_bytes(w, number);
}

void bulla_der_wr_bits(bulla_wr *w, bulla_bytes bits)
{
	bulla_der_wr_head(w, BULLA_DER_BIT_STRING, bits.n + 1);
	bulla_wr_u8(w, 0);
	bulla_wr_bytes(w, bits);
}

static void write_two(bulla_wr *w, int64_t value)
{
	bulla_wr_u8(w, (uint8_t)('0' + value / 10 % 10));
	bulla_wr_u8(w, (uint8_t)('0' + value % 10));
}

void bulla_der_wr_time(bulla_wr *w, int64_t unix_seconds)
{
	int64_t days = unix_seconds / 86400, second = unix_seconds % 86400, year = 1970, month = 1;

	if (unix_seconds < 0 || unix_seconds > INT64_C(253402300799)) { /* 9999-12-31T23:59:59Z */
		bulla_wr_fail(w, BULLA_E_ARGUMENT);
		return;
	}
	year += days / 366; /* never too late; then forward to the right one */
	while (bulla_date_days(year + 1, 1, 1) <= days)
		year++;
	while (month < 12 && bulla_date_days(year, month + 1, 1) <= days)
		month++;
	bulla_der_wr_head(w, year < 2050 ? BULLA_DER_UTC_TIME : BULLA_DER_TIME, year < 2050 ? 13 : 15);
	if (year >= 2050)
		write_two(w, year / 100);
	write_two(w, year);
	write_two(w, month);
	write_two(w, days - bulla_date_days(year, month, 1) + 1);
	write_two(w, second / 3600);
	write_two(w, second / 60 % 60);
	write_two(w, second % 60);
	bulla_wr_u8(w, 'Z');
}
