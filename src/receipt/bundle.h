#pragma once
/* Bundle framing: a run with all its proof in one file, written and read as a stream. A CBOR sequence (RFC 8742) of
 * items [kind, h'body'], first the header, last the trailer. Order: HEADER, MANIFEST and APPROVAL (the run's, then other
 * epochs'), BIRTH, INSTANCE, LINK, COLLATERAL as they are first needed, START, then in the ledger's order for each
 * ENTRY the records it names before it (RECEIPT or START, then its ENVELOPEs), TOKENs anywhere after their receipt, RUN_HEAD,
 * TRAILER. A parent stands before its children, an instance before its first receipt. */
#include "receipt/position.h"

enum bulla_bundle_kind {
	BULLA_BUNDLE_HEADER = 0,     /* [1, "bulla-bundle", h'tenant', h'workflow', h'manifest', h'run', headers only] */
	BULLA_BUNDLE_MANIFEST = 1,   /* manifest bytes */
	BULLA_BUNDLE_APPROVAL = 2,   /* COSE_Sign1 over the manifest before it */
	BULLA_BUNDLE_BIRTH = 3,      /* birth record, COSE_Sign1 */
	BULLA_BUNDLE_INSTANCE = 4,   /* instance record */
	BULLA_BUNDLE_COLLATERAL = 5, /* opaque to the framing: certificates, CRLs, TCB info for the TEE */
	BULLA_BUNDLE_LINK = 6,       /* link, COSE_Sign1 */
	BULLA_BUNDLE_START = 7,      /* start record */
	BULLA_BUNDLE_RECEIPT = 8,    /* receipt record */
	BULLA_BUNDLE_ENVELOPE = 9,   /* whole envelope */
	BULLA_BUNDLE_ENVELOPE_HEADER = 10, /* its protected header only */
	BULLA_BUNDLE_ENTRY = 11,     /* one entry of the ledger's record of the run */
	BULLA_BUNDLE_TOKEN = 12,     /* commit token record */
	BULLA_BUNDLE_RUN_HEAD = 13,  /* signed head over the entries */
	BULLA_BUNDLE_ORDER = 14,     /* signed cancel or erase */
	BULLA_BUNDLE_DAY_KEY = 15,   /* the broker's day keys used, COSE_Sign1 */
	BULLA_BUNDLE_TRAILER = 16,   /* [1, [count per kind 0..15], h'SHA-256 of all bytes before the trailer item'] */
	BULLA_BUNDLE_KINDS
};

/* Largest body; larger payloads travel as blobs. */
#define BULLA_BUNDLE_BODY_MAX ((size_t)2 << 20)

struct bulla_bundle_header {
	struct bulla_slot slot; /* tenant, workflow, run; step and item zero */
	bulla_digest manifest;
	bool headers_only;      /* envelopes without their ciphertext */
};

/* Writing: a small state that counts and hashes. Each call appends one item to w, which may be emptied between calls. */
struct bulla_bundle_writer;
BULLA_CHECK bulla_rc bulla_bundle_writer_new(const struct bulla_bundle_header *header, bulla_wr *w,
	struct bulla_bundle_writer **ret);
struct bulla_bundle_writer *bulla_bundle_writer_free(struct bulla_bundle_writer *writer);

/* BULLA_E_LIMIT for a body above BULLA_BUNDLE_BODY_MAX. */
BULLA_CHECK bulla_rc bulla_bundle_put(struct bulla_bundle_writer *writer, enum bulla_bundle_kind kind,
	bulla_bytes body, bulla_wr *w);

/* The trailer; nothing may follow. */
BULLA_CHECK bulla_rc bulla_bundle_finish(struct bulla_bundle_writer *writer, bulla_wr *w);

/* Reading: feed bytes as they come, take items until BULLA_E_AGAIN. */
struct bulla_bundle_reader; /* at most two items' memory */
BULLA_CHECK bulla_rc bulla_bundle_reader_new(struct bulla_bundle_reader **ret);
struct bulla_bundle_reader *bulla_bundle_reader_free(struct bulla_bundle_reader *reader);

/* Takes more bytes. BULLA_E_STATE when items were left untaken and the buffer is full. */
BULLA_CHECK bulla_rc bulla_bundle_feed(struct bulla_bundle_reader *reader, bulla_bytes bytes);

/* The next item; its body is borrowed until the next call of feed or next. BULLA_E_AGAIN: feed more. BULLA_E_BUNDLE:
 * not a bundle, an unknown kind, no header first, a wrong trailer. After the trailer BULLA_E_CLOSED, and any further
 * byte is BULLA_E_BUNDLE. */
BULLA_CHECK bulla_rc bulla_bundle_next(struct bulla_bundle_reader *reader, enum bulla_bundle_kind *ret_kind,
	bulla_bytes *ret_body);

/* BULLA_OK when the trailer was read and was right. */
BULLA_CHECK bulla_rc bulla_bundle_ended(const struct bulla_bundle_reader *reader);

/* The header's content; after the first item. */
BULLA_CHECK bulla_rc bulla_bundle_header_decode(bulla_bytes body, struct bulla_bundle_header *ret);
