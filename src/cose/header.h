#pragma once
/* Inside cose/: the protected header of our COSE objects (RFC 9052 section 3): {1: alg, ? 3: content type, ? 4: kid}. */
#include "base/bytes.h"
#include "wire/cbor.h"

#define COSE_CONTENT_TYPE_MAX 128
#define COSE_KID_MAX 64
/* Size of an encoded header of ours, and of a Sig_structure's or MAC_structure's bytes before the payload. */
#define COSE_HEADER_MAX 256
#define COSE_PREFIX_MAX (COSE_HEADER_MAX + 64)

struct cose_header {
	int64_t alg;
	bulla_bytes content_type; /* empty: absent */
	bulla_bytes kid;          /* empty: absent */
};

/* Reads the content of a protected bstr: alg must be there and be an integer, other labels are refused. */
BULLA_CHECK bulla_rc bulla_cose_header_read(bulla_bytes protected_raw, struct cose_header *ret);

/* Writes the map itself. */
void bulla_cose_header_write(bulla_wr *w, const struct cose_header *header);

/* The array's elements before the signature or tag. */
struct cose_message {
	bulla_bytes protected_raw;
	bulla_bytes unprotected;
	bulla_bytes payload;
	bulla_bytes seal; /* signature or tag */
	struct cose_header header;
};

/* An array of four, with or without this tag, nothing after it. */
BULLA_CHECK bulla_rc bulla_cose_message_read(bulla_bytes message, uint64_t tag, struct cose_message *ret);

/* The same, as cose/sign1.h and cose/mac0.h show it. */
struct bulla_sign1;
BULLA_CHECK bulla_rc bulla_cose_message_parse(bulla_bytes message, uint64_t tag, struct bulla_sign1 *ret);

/* Also: exactly our form: content type as named, kid present, unprotected empty, no tag. BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_cose_message_ours(bulla_bytes message, const char *content_type, struct cose_message *ret);

/* Sig_structure and MAC_structure (RFC 9052 sections 4.4, 6.3) up to and with the payload's head: the payload follows. */
BULLA_CHECK bulla_rc bulla_cose_prefix(const char *context, bulla_bytes protected_raw, bulla_bytes aad, size_t payload,
	uint8_t memory[COSE_PREFIX_MAX], bulla_bytes *ret);
