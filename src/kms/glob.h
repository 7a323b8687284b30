#pragma once
/* Patterns of policies: '*' any bytes, '?' one byte. Linear in pattern times text at worst; no recursion. */
#include "base/bytes.h"

/* Whether the whole text matches. */
bool bulla_kms_glob(bulla_bytes pattern, bulla_bytes text);
