#pragma once
/* Text forms of bytes and numbers. Every decoder accepts exactly what its encoder writes. */
#include "base/rd.h"
#include "base/wr.h"

/* True for well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
bool bulla_text_is_utf8(bulla_bytes text);
