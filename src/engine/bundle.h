#pragma once
/* Inside of bundle*.c: a bundle in the making. The client takes it piece by piece, and says of each that it has it; the engine
 * holds what it has not sent, where the run's records are, one page of the ledger's record and some records that this page
 * names. The run may be larger than memory. */
#include "engine/spans.h"
#include "engine/state.h"
#include "receipt/bundle.h"

struct bundle {
	bulla_engine_peer peer;
	uint32_t stream;
	uint64_t ticket; /* of the question that is under way; 0: none */
	int64_t since_ms; /* the client's word or piece was the last then */
	int64_t again_ms; /* something could not be asked; 0: no */
	bool headers_only;
	uint8_t unseen; /* pieces sent that the client did not answer for */
	bulla_run_id run;
	bulla_digest manifest;
	uint64_t run_no;
	bulla_wr w;
	struct bulla_buf out; /* not sent yet */
	struct bulla_bundle_writer *writer;
	uint64_t objects[BULLA_MAX_OBJECTS / 64]; /* that are in it */
	/* the host's records: STARTED and where the others are, a hash of results by their receipts */
	struct bulla_block *index;
	bulla_bytes started, entries;
	uint32_t *hash, hash_mask, token; /* hash: entry number + 1; token: entries before it need no look */
	uint32_t birth; /* objects before it need no look for births */
	/* the ledger's */
	bool page_wanted;
	struct bulla_block *page;
	struct bulla_msg_record record; /* views page */
	struct bulla_pb_iter items;
	bulla_bytes item; /* the one at hand; NULL: take the next */
	/* records that were read back for it, in order */
	struct bulla_block *loaded;
	size_t loaded_at;
};

/* Questions; b->ticket is set, or b->again_ms: later. Other errors are the bundle's end. */
BULLA_CHECK bulla_rc bundle_ask_librarian(struct bulla_engine *e, struct bundle *b, enum bulla_engine_question question,
	bulla_bytes arg);
BULLA_CHECK bulla_rc bundle_ask_page(struct bulla_engine *e, struct bundle *b);

/* The index came: it begins. */
BULLA_CHECK bulla_rc bundle_begin(struct bulla_engine *e, struct bundle *b, bulla_bytes index);

/* Writes one item, or asks for what it takes. BULLA_E_CLOSED: that was all. */
BULLA_CHECK bulla_rc bundle_put_next(struct bulla_engine *e, struct bundle *b);
