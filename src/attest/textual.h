#pragma once
/* Bytes in foreign JSON: hexadecimal, base64 and base64url with or without padding, lists of numbers. */
#include "wire/json.h"

/* Hexadecimal digits of either case: text.n / 2 bytes. BULLA_E_FORMAT, BULLA_E_LIMIT beyond max. */
BULLA_CHECK bulla_rc bulla_foreign_hex(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size);

/* Either alphabet (not both), padding as it should be or none. */
BULLA_CHECK bulla_rc bulla_foreign_base64(bulla_bytes text, size_t max, uint8_t *ret, size_t *ret_size);

/* A JSON string in base64, or an array of numbers 0..255. */
BULLA_CHECK bulla_rc bulla_foreign_bytes(bulla_json value, size_t max, uint8_t *ret, size_t *ret_size);
