#pragma once
/* JSON Canonicalization Scheme (RFC 8785): one text per value, to hash and sign. */
#include "wire/json.h"

/* Writes value (from bulla_json_parse) in canonical form: no space, members ordered by UTF-16 code units, shortest
 * escapes, numbers as ECMAScript prints them. Errors stick in w: BULLA_E_LIMIT for numbers beyond the range of a double
 * or longer than 1,024 characters, BULLA_E_MEMORY. Allocates while it sorts an object. */
void bulla_jcs_write(bulla_json value, bulla_wr *w);

/* The canonical text of a finite double (RFC 8785 section 3.2.2.3). */
void bulla_jcs_number(double number, bulla_wr *w);
