#include "wire/text.h"

/* --- UTF-8 --- */

/* Length of the well-formed sequence at p (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (p[0] < 0xc2 || p[0] > 0xf4 || n < size)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return size;
}

bool bulla_text_is_utf8(bulla_bytes text)
{
	for (size_t i = 0; i < text.n;) {
		size_t size = text.p[i] < 0x80 ? 1 : utf8_sequence(text.p + i, text.n - i);

		if (size == 0)
			return false;
		i += size;
	}
	return true;
}

void bulla_text_wr(bulla_wr *w, const char *text)
{
	bulla_wr_bytes(w, bulla_bytes_str(text));
}

/* --- alphabets: value of a character, or NONE --- */

#define NONE 0xff

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base32_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

static uint8_t hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0');
	return c >= 'a' && c <= 'f' ? (uint8_t)(c - 'a' + 10) : NONE;
}

static uint8_t base64_value(uint8_t c, const char *digits)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 52);
	if (c == (uint8_t)digits[62])
		return 62;
	return c == (uint8_t)digits[63] ? 63 : NONE;
}

static uint8_t base32_value(uint8_t c)
{
	c = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
	c = c == 'i' || c == 'l' ? '1' : c == 'o' ? '0' : c;
	for (uint8_t i = 0; i < 32; i++) {
		if ((uint8_t)base32_digits[i] == c)
			return i;
	}
	return NONE;
}

/* --- hexadecimal --- */

void bulla_text_wr_hex(bulla_wr *w, bulla_bytes bytes)
{
	uint8_t out[64];

	for (size_t i = 0; i < bytes.n;) {
		size_t n = 0;

		for (; n < sizeof(out) && i < bytes.n; i++) {
			out[n++] = (uint8_t)hex_digits[bytes.p[i] >> 4];
			out[n++] = (uint8_t)hex_digits[bytes.p[i] & 15];
		}
		bulla_wr_bytes(w, (bulla_bytes){out, n});
	}
}

bulla_rc bulla_text_hex(bulla_bytes text, size_t size, uint8_t *ret)
{
	if (text.n / 2 != size || text.n % 2 != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "hexadecimal text has the wrong length");
	for (size_t i = 0; i < size; i++) {
		uint8_t high = hex_value(text.p[2 * i]), low = hex_value(text.p[2 * i + 1]);

		if (high == NONE || low == NONE)
			return BULLA_FAIL(BULLA_E_FORMAT, "a character is no hexadecimal digit");
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return BULLA_OK;
}

/* --- base64 --- */

static void write_base64(bulla_wr *w, bulla_bytes bytes, const char *digits, bool padded)
{
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t some = bytes.n - i < 3 ? bytes.n - i : 3;
		uint8_t out[4] = {0, 0, '=', '='};
		uint32_t group = 0;

		for (size_t j = 0; j < some; j++)
			group |= (uint32_t)bytes.p[i + j] << (16 - 8 * j);
		for (size_t j = 0; j <= some; j++)
			out[j] = (uint8_t)digits[group >> (18 - 6 * j) & 63];
		bulla_wr_bytes(w, (bulla_bytes){out, padded ? 4 : some + 1});
	}
}

void bulla_text_wr_base64(bulla_wr *w, bulla_bytes bytes)
{
	write_base64(w, bytes, base64_digits, true);
}

void bulla_text_wr_base64url(bulla_wr *w, bulla_bytes bytes)
{
	write_base64(w, bytes, base64url_digits, false);
}

/* text without padding. */
static bulla_rc read_base64(bulla_bytes text, const char *digits, size_t max, uint8_t *ret, size_t *ret_size)
{
	size_t size = text.n / 4 * 3 + (text.n % 4 > 0 ? text.n % 4 - 1 : 0), n = 0;
	uint32_t bits = 0;
	unsigned count = 0;

	if (text.n % 4 == 1)
		return BULLA_FAIL(BULLA_E_FORMAT, "base64 text has the wrong length");
	if (size > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "base64 text is too long");
	for (size_t i = 0; i < text.n; i++) {
		uint8_t value = base64_value(text.p[i], digits);

		if (value == NONE)
			return BULLA_FAIL(BULLA_E_FORMAT, "a character is no base64 digit");
		bits = bits << 6 | value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			ret[n++] = (uint8_t)(bits >> count);
		}
	}
	if ((bits & ((1u << count) - 1)) != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "base64 text has bits behind its end");
	*ret_size = n;
	return BULLA_OK;
}

bulla_rc bulla_text_base64(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size)
{
	size_t padding = 0;

	if (text.n % 4 != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "base64 text has the wrong length");
	while (padding < 2 && padding < text.n && text.p[text.n - 1 - padding] == '=')
		padding++;
	return read_base64((bulla_bytes){text.p, text.n - padding}, base64_digits, max, ret, ret_size);
}

bulla_rc bulla_text_base64url(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size)
{
	return read_base64(text, base64url_digits, max, ret, ret_size);
}

/* --- base32 --- */

/* Value of the character at index in the base32 form of bytes. */
static uint8_t base32_at(bulla_bytes bytes, size_t index)
{
	size_t at = index * 5 / 8;
	unsigned pair = (unsigned)bytes.p[at] << 8 | (at + 1 < bytes.n ? bytes.p[at + 1] : 0u);

	return (uint8_t)(pair >> (11 - index * 5 % 8) & 31);
}

static size_t base32_size(size_t size)
{
	return (size * 8 + 4) / 5;
}

void bulla_text_wr_base32(bulla_wr *w, bulla_bytes bytes)
{
	for (size_t i = 0; i < base32_size(bytes.n); i++)
		bulla_wr_u8(w, (uint8_t)base32_digits[base32_at(bytes, i)]);
}

bool bulla_text_base32_has_prefix(bulla_bytes bytes, bulla_bytes typed)
{
	if (typed.n > base32_size(bytes.n))
		return false;
	for (size_t i = 0; i < typed.n; i++) {
		if (base32_value(typed.p[i]) != base32_at(bytes, i))
			return false;
	}
	return true;
}

/* --- decimal --- */

void bulla_text_wr_uint(bulla_wr *w, uint64_t value)
{
	uint8_t out[20];
	size_t at = sizeof(out);

	do {
		out[--at] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	bulla_wr_bytes(w, (bulla_bytes){out + at, sizeof(out) - at});
}

void bulla_text_wr_int(bulla_wr *w, int64_t value)
{
	if (value < 0)
		bulla_wr_u8(w, '-');
	bulla_text_wr_uint(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

bulla_rc bulla_text_uint(bulla_bytes text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
		return BULLA_FAIL(BULLA_E_FORMAT, "a number is empty or begins with 0");
	for (size_t i = 0; i < text.n; i++) {
		uint8_t digit = (uint8_t)(text.p[i] - '0');

		if (digit > 9)
			return BULLA_FAIL(BULLA_E_FORMAT, "a character of a number is no digit");
		if (value > max / 10 || (value == max / 10 && digit > max % 10))
			return BULLA_FAIL(BULLA_E_LIMIT, "a number is too large");
		value = value * 10 + digit;
	}
	*ret = value;
	return BULLA_OK;
}

bulla_rc bulla_text_int(bulla_bytes text, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = text.n > 0 && text.p[0] == '-';
	uint64_t size;
	int64_t value;

	BULLA_TRY(bulla_text_uint(negative ? bulla_bytes_of(text.p + 1, text.n - 1) : text, (uint64_t)INT64_MAX + negative,
		&size));
	if (negative && size == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a number is minus zero");
	value = negative ? -1 - (int64_t)(size - 1) : (int64_t)size;
	if (value < min || value > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a number is out of its range");
	*ret = value;
	return BULLA_OK;
}
