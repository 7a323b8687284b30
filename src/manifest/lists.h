#pragma once
/* Reading the nested lists of a manifest (within this folder). */
#include "wire/cbor.h"

#define BULLA_LIST_ITEM_MAX 4096

/* An array of at most max texts (BULLA_CBOR_TEXT), or of names: texts or byte strings (BULLA_CBOR_BYTES); *ret is its
 * encoding. */
BULLA_CHECK bulla_rc bulla_list_read(bulla_cbor_rd *r, enum bulla_cbor_type type, size_t max, bulla_bytes *ret);

/* An array of at most max accepted images, each with a value. */
BULLA_CHECK bulla_rc bulla_images_read(bulla_cbor_rd *r, size_t max, bulla_bytes *ret);
