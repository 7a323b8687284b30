#pragma once
/* Published test keys: their signatures are good and mean nothing. */
#include "base/bytes.h"

/* True for a key on the list: SubjectPublicKeyInfo, or a shared secret's bytes. */
bool bulla_key_is_published(bulla_bytes key);
