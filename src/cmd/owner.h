#pragma once
/* The owner's cryptography: what a run starts with is sealed here, what it gives is opened here. */
#include "cmd/context.h"
#include "flow/plan.h"
#include "receipt/receipt.h"
#include "receipt/start.h"
#include "seal/envelope.h"
#include "wire/messages.h"

/* Starts runs of one workflow: its links to the readers of step `input` are made once. */
struct owner_starter;

/* keys: the engine's answer to KEYS, borrowed for the starter's life; what it says of the broker and of births is checked.
 * BULLA_E_CLOCK: the broker's day key is of another day; BULLA_E_SIGNATURE: it is not the manifest's broker's. */
BULLA_CHECK bulla_rc owner_starter_new(struct context *context, const struct bulla_workflow *workflow,
	const struct bulla_msg_keys_reply *keys, struct owner_starter **ret);
struct owner_starter *owner_starter_free(struct owner_starter *starter);

/* Builds the body of START (message `start`, appended to ret): a fresh run secret, envelopes for the readers of step
 * `input`, links that were not sent before, the signed start record. id: business id or NULL. BULLA_E_ARGUMENT: the input
 * has not the field that a step reads; BULLA_E_BIRTH_MISSING; errors of judge/birth.h. */
BULLA_CHECK bulla_rc owner_starter_make(struct owner_starter *starter, bulla_bytes input, const char *id, bool follow,
	struct bulla_buf *ret, bulla_run_id *ret_run);

/* The same for starts that are made together, under one signature: hold each one, sign them all, take each one's body by its
 * number (0 is the first one held), release. BULLA_E_LIMIT: more than OWNER_STARTS_HELD are held. */
#define OWNER_STARTS_HELD 64
BULLA_CHECK bulla_rc owner_starter_hold(struct owner_starter *starter, bulla_bytes input, const char *id,
	bulla_run_id *ret_run);
BULLA_CHECK bulla_rc owner_starter_sign(struct owner_starter *starter);
BULLA_CHECK bulla_rc owner_starter_held(struct owner_starter *starter, size_t index, bool follow, struct bulla_buf *ret);
void owner_starter_release(struct owner_starter *starter);

/* What a receipt's envelope is asked for: the whole output, a field of it, or the failure. */
struct owner_wish {
	const bulla_bytes *path; /* names; count 0: the whole */
	size_t path_count;
	enum bulla_envelope_kind kind; /* OUTPUT, FAILURE or LOG */
	bool result;                   /* of the step that ends the run: of none that others must follow */
};

/* What a receipt must be of to be shown for a run; the engine's word alone is none. BULLA_E_POSITION_TENANT, _WORKFLOW, _RUN;
 * BULLA_E_EPOCH_OLD: another manifest; BULLA_E_POSITION_STEP: result, but a later step runs in any case. */
struct owner_expected {
	struct bulla_slot slot; /* tenant, workflow, run */
	bulla_digest manifest;
	bool any_run;
};
BULLA_CHECK bulla_rc owner_receipt_check(const struct owner_expected *expected, const struct bulla_flow *flow, bool result,
	const struct bulla_receipt *receipt);

/* Opens results of one workflow for the party whose key this is: instances' evidence, links and batch signatures are checked
 * once. run: receipts of others are refused; NULL: of any run. BULLA_E_NO_RIGHT: the key is no party of the manifest. */
struct owner_opener;
BULLA_CHECK bulla_rc owner_opener_new(struct context *context, const struct bulla_workflow *workflow,
	const bulla_run_id *run, struct owner_opener **ret);
struct owner_opener *owner_opener_free(struct owner_opener *opener);

/* Opens the wished envelope of a receipt: the receipt's run, evidence of the instance that signed, the receipt's
 * signature, the link, the envelope, in that order. The payload is appended to ret. objects: links and instance records
 * (messages `object`) that were not given before. BULLA_E_NOT_FOUND: the receipt names no such part;
 * BULLA_E_NOT_ADDRESSED: not for this key. */
BULLA_CHECK bulla_rc owner_opener_open(struct owner_opener *opener, bulla_bytes receipt_record,
	const struct bulla_pb_list *envelopes, const struct bulla_pb_list *objects, const struct owner_wish *wish,
	struct bulla_buf *ret);

/* The part of owner_opener_open that needs only the receipt, for one that comes ahead of its token: the signature is not checked
 * again then. objects as there. BULLA_E_NOT_FOUND: its signer is not known yet. */
BULLA_CHECK bulla_rc owner_opener_receipt(struct owner_opener *opener, bulla_bytes receipt_record,
	const struct bulla_pb_list *objects, bool result);

/* The broker's commit token covers this receipt of this run: BULLA_E_SIGNATURE, BULLA_E_PARENT. */
BULLA_CHECK bulla_rc owner_opener_token(struct owner_opener *opener, bulla_bytes token, bulla_bytes receipt_record);

/* The plan of a compiled workflow, decoded in the context's arena. */
BULLA_CHECK bulla_rc owner_plan(struct context *context, const struct bulla_workflow *workflow, struct bulla_flow *ret);
