#include "attest/textual.h"

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bulla_rc bulla_foreign_hex(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size)
{
	if (text.n % 2 != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "an odd number of hexadecimal digits");
	if (text.n / 2 > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a hexadecimal field is too long");
	for (size_t i = 0; i < text.n / 2; i++) {
		int high = nibble(text.p[2 * i]), low = nibble(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a digit is not hexadecimal");
		ret[i] = (uint8_t)(high << 4 | low);
	}
	*ret_size = text.n / 2;
	return BULLA_OK;
}

/* *alphabet: bit 0 set by + and /, bit 1 by - and _ */
static int digit(uint8_t c, unsigned *alphabet)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '/')
		*alphabet |= 1;
	else if (c == '-' || c == '_')
		*alphabet |= 2;
	else
		return -1;
	return c == '+' || c == '-' ? 62 : 63;
}

static bulla_bytes without_padding(bulla_bytes text)
{
	size_t n = text.n;

	while (n > 0 && text.n - n < 2 && text.n % 4 == 0 && text.p[n - 1] == '=')
		n--;
	return bulla_bytes_of(text.p, n);
}

bulla_rc bulla_foreign_base64(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size)
{
	bulla_bytes digits = without_padding(text);
	unsigned alphabet = 0, bits = 0;
	uint32_t value = 0;
	size_t n = 0;

	for (size_t i = 0; i < digits.n; i++) {
		int found = digit(digits.p[i], &alphabet);

		if (found < 0 || alphabet == 3)
			return BULLA_FAIL(BULLA_E_FORMAT, "a character is no base64");
		value = (value << 6 | (uint32_t)found) & 0xfff;
		bits += 6;
		if (bits < 8)
			continue;
		if (n == max)
			return BULLA_FAIL(BULLA_E_LIMIT, "a base64 field is too long");
		bits -= 8;
		ret[n++] = (uint8_t)(value >> bits);
	}
	if (digits.n % 4 == 1 || (value & ((1u << bits) - 1)) != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "base64 has bits behind its end");
	*ret_size = n;
	return BULLA_OK;
}

static bulla_rc read_list(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size)
{
	bulla_json name, item;
	int64_t byte;
	size_t n = 0;

	for (struct bulla_json_iter iter = bulla_json_begin(value); bulla_json_next(&iter, &name, &item);) {
		BULLA_TRY(bulla_json_int(item, 0, 255, &byte));
		if (n == max)
			return BULLA_FAIL(BULLA_E_LIMIT, "a list of bytes is too long");
		ret[n++] = (uint8_t)byte;
	}
	*ret_size = n;
	return BULLA_OK;
}

bulla_rc bulla_foreign_bytes(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size)
{
	bulla_bytes text;

	if (bulla_json_type(value) == BULLA_JSON_ARRAY)
		return read_list(value, max, ret, ret_size);
	BULLA_TRY(bulla_json_string_view(value, &text));
	return bulla_foreign_base64(text, max, ret, ret_size);
}
