#pragma once
/* Conceptual Message Wrapper (RFC 9999), CBOR form; its JSON form is written only (attest/foreign.h reads it). A record is [type, value, ? ind]; a collection a map from label to CMW.
 * We write records and flat collections of records under text labels. */
#include "base/bytes.h"
#include "base/wr.h"

/* Bits of `ind` (RFC 9999): what is inside. */
#define BULLA_CMW_REFERENCE_VALUES (1u << 0)
#define BULLA_CMW_ENDORSEMENTS (1u << 1)
#define BULLA_CMW_EVIDENCE (1u << 2)
#define BULLA_CMW_RESULTS (1u << 3)
#define BULLA_CMW_TRUST_ANCHORS (1u << 4)

#define BULLA_CMW_ITEMS 16

struct bulla_cmw {
	bulla_bytes media_type; /* text; empty when content_format is used */
	uint64_t content_format;
	bulla_bytes value;
	uint64_t ind; /* 0: absent */
};

struct bulla_cmw_item {
	bulla_bytes label; /* text */
	struct bulla_cmw record;
};

/* Exactly one record; deterministic CBOR, nothing after. */
BULLA_CHECK bulla_rc bulla_cmw_parse(bulla_bytes message, struct bulla_cmw *ret);
void bulla_cmw_write(bulla_wr *w, const struct bulla_cmw *record);
/* The JSON form: ["type", "base64url", ? ind]. */
void bulla_cmw_write_json(bulla_wr *w, const struct bulla_cmw *record);

struct bulla_cbor_rd; /* wire/cbor.h */

/* One record, whatever follows; on failure r stands at what is wrong. */
BULLA_CHECK bulla_rc bulla_cmw_rd(struct bulla_cbor_rd *r, struct bulla_cmw *ret);

/* A flat collection, in its order; at most BULLA_CMW_ITEMS (BULLA_E_LIMIT). type is the text of "__cmwc_t" (view; empty when
 * absent). Nested collections and integer labels are BULLA_E_UNSUPPORTED. */
BULLA_CHECK bulla_rc bulla_cmw_collection_parse(bulla_bytes message, bulla_bytes *ret_type, struct bulla_cmw_item *ret_items,
	size_t *ret_count);

/* Items must come in deterministic order of their labels (shorter first, then bytewise): BULLA_E_ARGUMENT sticks in w. */
void bulla_cmw_collection_write(bulla_wr *w, bulla_bytes type, const struct bulla_cmw_item *items, size_t count);

/* The JSON form, without a type: one member for each item, in their order; BULLA_E_ARGUMENT sticks as above. */
void bulla_cmw_collection_write_json(bulla_wr *w, const struct bulla_cmw_item *items, size_t count);
