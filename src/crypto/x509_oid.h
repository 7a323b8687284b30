#pragma once
/* Inside crypto/: content octets of the OBJECT IDENTIFIERs of RFC 5280 that are read and written. */
#include "base/bytes.h"

#define OID(literal) BULLA_BYTES_LITERAL(literal)
#define OID_KEY_USAGE "\x55\x1d\x0f"
#define OID_BASIC_CONSTRAINTS "\x55\x1d\x13"
#define OID_EXTENDED_USAGE "\x55\x1d\x25"
#define OID_COMMON_NAME "\x55\x04\x03"
#define OID_ORGANIZATION "\x55\x04\x0a"
