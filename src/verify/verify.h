#pragma once
/* Whole runs, offline: a bundle goes in as a stream, a verdict comes out (protocol.md section 11, experience.md section 6).
 * Pure: no I/O, no clock. Memory is bounded: the manifest, one item of the bundle, and about 150 bytes per slot. */
#include "attest/attest.h"
#include "manifest/manifest.h"
#include "receipt/auth.h"
#include "verify/trust.h"

/* The word of line one. */
enum bulla_verdict {
	BULLA_VERDICT_VERIFIED,
	BULLA_VERDICT_DEV_ONLY,       /* intact, but never confidential */
	BULLA_VERDICT_EMULATOR_ONLY,  /* the same, emulated hardware */
	BULLA_VERDICT_UNKNOWN_SIGNER, /* intact; nobody you trust approved it, or too few approved */
	BULLA_VERDICT_REFUSED,
};

/* "VERIFIED", "DEV ONLY", ... and "verified", "dev-only", ...; static strings. */
const char *bulla_verdict_word(enum bulla_verdict verdict);
const char *bulla_verdict_id(enum bulla_verdict verdict);

/* Exit code of experience.md section 5. accept: BULLA_ACCEPT_* of --accept. */
#define BULLA_ACCEPT_DEV 1u
#define BULLA_ACCEPT_EMULATOR 2u
int bulla_verdict_exit(enum bulla_verdict verdict, unsigned accept);

enum bulla_verify_check {
#define BULLA_VERIFY_CHECK(name, id, text) BULLA_VERIFY_##name,
#include "verify/checks.def"
#undef BULLA_VERIFY_CHECK
	BULLA_VERIFY_COUNT
};

/* Literals: `order.revoked`, and the sentence that a verdict shows. */
const char *bulla_verify_check_id(enum bulla_verify_check check);
const char *bulla_verify_check_text(enum bulla_verify_check check);

enum bulla_verify_state { BULLA_VERIFY_NOT_CHECKED, BULLA_VERIFY_HELD, BULLA_VERIFY_FAILED };

struct bulla_verify_row {
	uint8_t state;  /* enum bulla_verify_state */
	uint64_t times; /* how often it held */
};

/* What a run did, from its verified receipts; for `verify` and `show`. */
struct bulla_verify_facts {
	bulla_handle tenant;
	bulla_run_id run;
	bulla_digest workflow, manifest;
	bulla_handle workflow_handle;
	uint64_t epoch;
	uint8_t mode, suite;
	uint8_t run_state;       /* enum bulla_run_state as the fold has it */
	uint8_t assurance;       /* least of all evidence that made a receipt or an agent's key: enum bulla_assurance */
	uint8_t tee;             /* enum bulla_tee of the first evidence */
	uint32_t signers;        /* bit n: approver n of the manifest signed */
	uint32_t signed_by, need, trusted;
	uint32_t steps;          /* slots filled, without the input */
	uint32_t attempts;       /* permits */
	uint32_t failed, lost;   /* attempts that ended so */
	uint32_t agents;         /* different agents that ran */
	uint32_t instances, receipts, entries, envelopes, tokens, links, births;
	uint64_t started_ms, ended_ms;
	uint64_t evidence_first_ms, evidence_last_ms;
};

struct bulla_verify_result {
	enum bulla_verdict verdict;
	bulla_rc rc;                   /* REFUSED: why; UNKNOWN SIGNER: BULLA_E_APPROVALS when too few signed */
	enum bulla_verify_check failed; /* REFUSED: which check */
	const char *text;              /* REFUSED: a literal */
	uint32_t step, item, attempt;  /* REFUSED: where; step BULLA_STEP_RUN: not at a step */
	uint64_t at;                   /* REFUSED: bytes of the bundle read before the item that failed */
	struct bulla_verify_row checks[BULLA_VERIFY_COUNT];
	struct bulla_verify_facts facts;
};

struct bulla_verify; /* opaque */

/* A record's own signature, to be checked by whoever has time: bulla_auth_verify(auth, key of spki, kind, payload). All
 * of it is borrowed for the call. */
struct bulla_verify_job {
	enum bulla_signed kind;
	bulla_bytes spki, payload;
	const struct bulla_auth *auth;
};

/* Takes a job for later; false: it is checked here and now. */
typedef bool bulla_verify_take(void *ctx, const struct bulla_verify_job *job);

/* trust: whom to believe; NULL: nobody is known. Borrowed until free. */
BULLA_CHECK bulla_rc bulla_verify_new(const struct bulla_trust *trust, struct bulla_verify **ret);

/* Signatures may be checked elsewhere, beside this pass: those that are taken count as held here. The result of the pass is
 * the verdict if and only if all of them do hold; if not, the bundle is to be read again without anybody's help, which names
 * the first failure. So it is the same for any number of helpers. Before the first feed. */
void bulla_verify_helped(struct bulla_verify *verify, bulla_verify_take *take, void *ctx);
struct bulla_verify *bulla_verify_free(struct bulla_verify *verify);

/* The next bytes of the bundle, of any number. BULLA_OK also after a check has failed (the rest is ignored); other results
 * are BULLA_E_MEMORY and the like: no verdict. */
BULLA_CHECK bulla_rc bulla_verify_feed(struct bulla_verify *verify, bulla_bytes bytes);

/* The bundle is over: the verdict. *ret borrows nothing. */
BULLA_CHECK bulla_rc bulla_verify_end(struct bulla_verify *verify, struct bulla_verify_result *ret);

