#pragma once
/* A bundle taken apart in memory: what `open` and `logs` look into. It proves nothing by itself: `verify` does that. */
#include "cmd/runs.h"
#include "receipt/bundle.h"
#include "receipt/receipt.h"

#define RUN_BUNDLE_ITEMS 65536

/* Views into bytes, messages (objects) into objects. */
struct run_bundle {
	struct bulla_buf bytes;
	struct bulla_buf objects;
	struct bulla_bundle_header header;
	bulla_bytes *receipts, *envelopes, *object_items;
	size_t receipt_count, envelope_count, object_count;
};

/* The bundle that `RUN|FILE` names (cli->args[0]; none: the latest run), with project, key and manifest opened. client is
 * NULL when it is a file. Says what is wrong; exit code or 0. */
int run_bundle_open(struct cli *cli, struct context *context, struct client **client, struct run_bundle *ret);

/* From a file. BULLA_E_BUNDLE, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc run_bundle_read(struct arena *arena, const char *path, struct run_bundle *ret);

/* From the engine. */
BULLA_CHECK bulla_rc run_bundle_fetch(struct arena *arena, struct client *client, const bulla_run_id *run,
	struct run_bundle *ret);
void run_bundle_done(struct run_bundle *bundle);

/* The receipt that ended this step last (highest attempt), and its record's bytes. BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc run_bundle_receipt(const struct run_bundle *bundle, uint32_t step, bulla_bytes *ret_record,
	struct bulla_receipt_record *ret);

/* Asks the engine for a run's bundle: its bytes are appended to ret. */
BULLA_CHECK bulla_rc run_bundle_bytes(struct client *client, const bulla_run_id *run, struct bulla_buf *ret);
