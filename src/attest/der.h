#pragma once
/* The few DER elements that vendors' certificate extensions are made of (X.690 section 10): definite, shortest lengths. */
#include "base/rd.h"

#define BULLA_DER_INTEGER 0x02
#define BULLA_DER_OCTETS 0x04
#define BULLA_DER_OID 0x06
#define BULLA_DER_ENUMERATED 0x0a
#define BULLA_DER_SEQUENCE 0x30

/* The next element whatever it is: its tag (one byte; longer tags are BULLA_E_FORMAT) and content. */
BULLA_CHECK bulla_rc bulla_der_any(bulla_rd *r, uint8_t *ret_tag, bulla_bytes *ret_content);

/* The next element, which must have this tag; BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_der_take(bulla_rd *r, uint8_t tag, bulla_bytes *ret_content);

/* An INTEGER (or with another tag) of 0..max. */
BULLA_CHECK bulla_rc bulla_der_uint(bulla_rd *r, uint8_t tag, uint32_t max, uint32_t *ret);
