#pragma once
/* A run's bundle as `open` and `logs` read it: a stream that is verified while it goes by; kept is only what was asked for. */
#include "cmd/runs.h"
#include "receipt/bundle.h"
#include "receipt/receipt.h"

#define RUN_BUNDLE_ITEMS 65536                   /* receipts, envelopes or objects kept */
#define RUN_BUNDLE_KEPT_MAX ((size_t)64 << 20) /* bytes kept, however large the bundle is */

struct run_bundle {
	struct arena arena; /* what the lists view */
	struct bulla_buf scratch;
	struct bulla_bundle_header header;
	struct bulla_buf manifest_bytes;
	struct bulla_manifest manifest; /* in force when the context was opened; the context's is then the run's */
	const struct bulla_workflow *compiled; /* of the run's manifest */
	const struct workflow *workflow;
	uint32_t step; /* 0: all */
	bool logs;     /* envelopes of logs; else those of outputs and failures */
	bulla_bytes *receipts, *envelopes, *objects; /* RUN_BUNDLE_ITEMS each; objects are messages `object` */
	size_t receipt_count, envelope_count, object_count;
};

/* What to take from a bundle: the step of this name (up to a '.'; `result`: the last one; NULL: all), its logs or outputs. */
struct run_wish {
	const char *step;
	bool logs;
};

/* The bundle that `RUN|FILE` names (cli->args[0]; none: the latest run), with project and key opened, and the run's own
 * manifest: it may be of an earlier epoch, approved by those whom the one in force names. Nothing is given of one that does
 * not verify. client is NULL when it is a file. Says what is wrong; exit code or 0. run_bundle_done in
 * every case. */
int run_bundle_open(struct cli *cli, struct context *context, struct client **client, const struct run_wish *wish,
	struct run_bundle *ret);
void run_bundle_done(struct run_bundle *bundle);

/* The receipt that ended the wished step last (highest attempt), and its record's bytes. BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc run_bundle_receipt(const struct run_bundle *bundle, bulla_bytes *ret_record,
	struct bulla_receipt_record *ret);

/* Takes a piece of a bundle, at most 64 KiB; what it returns ends the reading. */
typedef bulla_rc run_bundle_take(void *ctx, bulla_bytes piece);

/* The engine's bundle of a run, piece by piece as it comes, until take fails; asked for again for 10 s while the run's end is not
 * durable or the engine is busy. BULLA_E_STATE: the run goes on; BULLA_E_RUN_UNKNOWN; errors of the connection and of take. */
BULLA_CHECK bulla_rc run_bundle_stream(struct client *client, const bulla_run_id *run, run_bundle_take *take, void *ctx);

/* Says why the engine gives no bundle of this run; the exit code. */
int run_bundle_refused(const struct cli *cli, bulla_rc rc, const bulla_run_id *run);

/* The same of a file. BULLA_E_NOT_FOUND, BULLA_E_IO, errors of take. */
BULLA_CHECK bulla_rc run_bundle_pieces(const char *path, run_bundle_take *take, void *ctx);
