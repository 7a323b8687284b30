#pragma once
/* Inside of the verifier: one appraisal under way. Each TEE's file gets a run, records factors and claims in it. */
#include "attest/attest.h"
#include "attest/cache.h"
#include "attest/form.h"
#include "crypto/x509.h"
#include "wire/json.h"

#define BULLA_RUN_ORIGINS 12 /* Azure: five values and three certificates */

struct bulla_attest_origin {
	bulla_bytes bytes;
	bulla_json from;
};

struct bulla_attest_run {
	bulla_bytes whole;    /* as given: offsets count from here */
	bulla_bytes evidence; /* without a CMW record around it */
	bulla_bytes label;    /* media type of that record; empty: none */
	const struct bulla_attest_collateral *collateral;
	const struct bulla_attest_anchors *anchors;
	const struct bulla_attest_policy *policy;
	const struct bulla_attest_binding *binding;
	struct bulla_attest_time time;
	struct bulla_attest_cache *cache;
	struct bulla_attest_result *result;
	struct bulla_attest_origin origins[BULLA_RUN_ORIGINS];
	size_t origin_count;
};

/* One kind of evidence. */
struct bulla_attest_ops {
	const char *name;
	const char *media_type; /* of the CMW record around it */
	enum bulla_tee guess;   /* what it is, most likely */
	enum bulla_tee (*guess_of)(bulla_bytes evidence); /* where the bytes may say more; NULL: that */
	uint32_t tees;          /* what it may turn out to be */
	const uint8_t *factors; /* its rules; each ends held, failed or not checked */
	size_t factor_count;
	/* True when the bytes look like it; decides only which parser says no. */
	bool (*sniff)(bulla_bytes evidence);
	/* Records every factor it reaches. Stops at the first one without which the rest means nothing. */
	void (*appraise)(struct bulla_attest_run *run);
};

extern const struct bulla_attest_ops *const bulla_attest_table[];
extern const size_t bulla_attest_table_size;

/* Records a factor as held unless it failed before. */
void bulla_run_hold(struct bulla_attest_run *run, enum bulla_factor factor);

/* Records a factor as failed at a byte offset, with a literal; returns false. In mutant builds a factor that is switched
 * off is recorded as held and true is returned. */
bool bulla_run_fail(struct bulla_attest_run *run, enum bulla_factor factor, size_t at, const char *text);

/* The same where nothing can follow: always false, in mutant builds too. */
bool bulla_run_stop(struct bulla_attest_run *run, enum bulla_factor factor, size_t at, const char *text);

/* Says why the factor was not checked; one that failed stays failed. */
void bulla_run_skip(struct bulla_attest_run *run, enum bulla_factor factor, enum bulla_factor_why why);

/* hold or fail; returns whether the run may go on. */
bool bulla_run_check(struct bulla_attest_run *run, enum bulla_factor factor, bool ok, size_t at, const char *text);

/* Fails with what a reader of `read` found; always false. */
bool bulla_run_unreadable(struct bulla_attest_run *run, const struct bulla_form_fault *fault, bulla_bytes read);

/* Notes that bytes were decoded from a value of the evidence (or of what was decoded before): a JSON string or list, or as
 * raw text the PEM of one certificate. Both must live as long as the run. */
void bulla_run_origin(struct bulla_attest_run *run, bulla_bytes bytes, bulla_json from);

/* Offset of a view within the whole evidence; of what was decoded from it: of the text that says so. 0 when it lies elsewhere
 * (collateral). */
size_t bulla_run_at(const struct bulla_attest_run *run, bulla_bytes view);

/* The same of the byte at offset in the view. */
static inline size_t bulla_run_in(const struct bulla_attest_run *run, bulla_bytes view, size_t offset)
{
	return bulla_run_at(run, bulla_bytes_of(view.p + offset, 0));
}

/* Records a claim; beyond BULLA_ATTEST_CLAIMS it is dropped (formats are bounded below that). */
void bulla_run_claim(struct bulla_attest_run *run, enum bulla_claim id, unsigned index, bulla_bytes bytes);
/* Memory of the result that lives as long as it does; NULL when it is used up. */
uint8_t *bulla_run_keep(struct bulla_attest_run *run, size_t size);

/* The same with a copy of the bytes in the result: for what was decoded on the stack. */
void bulla_run_claim_kept(struct bulla_attest_run *run, enum bulla_claim id, unsigned index, bulla_bytes bytes);
void bulla_run_claim_number(struct bulla_attest_run *run, enum bulla_claim id, unsigned index, bulla_bytes at,
	uint64_t number);

/* The window in which all that was checked so far holds gets narrower: Unix seconds. */
void bulla_run_window(struct bulla_attest_run *run, int64_t from_s, int64_t to_s);

/* At which Unix second certificates are judged; signed_ms is the evidence's own time, 0 when it has none. */
int64_t bulla_run_seconds(struct bulla_attest_run *run, int64_t signed_ms);

/* FRESH, NOT_FUTURE, CLOCK from the evidence's own signed time in ms. signed_ms 0: no such field. */
void bulla_run_fresh(struct bulla_attest_run *run, int64_t signed_ms, size_t at);

/* One of BINDER, NONCE, PUBLIC_KEY: found equals expected. A binder that is shorter than found must be followed by zeros
 * when padded is true. */
void bulla_run_bound(struct bulla_attest_run *run, enum bulla_factor factor,
	const struct bulla_attest_expected *expected, bulla_bytes found, bool padded);

/* A field that this evidence does not have: not checked, but failed when a value is expected that no binder covers. */
void bulla_run_no_field(struct bulla_attest_run *run, enum bulla_factor factor,
	const struct bulla_attest_expected *expected);

/* BINDER and NONCE where one field holds either: an expected binder covers the nonce. */
void bulla_run_challenge(struct bulla_attest_run *run, bulla_bytes found);

/* A register that was zero and then extended with each part in order: SHA-384(old || part). Parts are part_size bytes of
 * expected; in the register's TEE the part itself or its SHA-384 (hashed) is what extends it. */
void bulla_run_register(struct bulla_attest_run *run, enum bulla_factor factor,
	const struct bulla_attest_expected *expected, bulla_bytes found, bool hashed);

/* Extends a register with each 32-byte part of parts in order; hashed as above. False unless parts are whole. */
bool bulla_register_extend(uint8_t value[48], bulla_bytes parts, bool hashed);

/* TEE, CLASS, DEBUG, MEASUREMENT, REQUIRED from the claims recorded so far. */
void bulla_run_policy(struct bulla_attest_run *run, bool debug, size_t debug_at);

/* PLATFORM_ALLOWED: id is in the policy's list. */
void bulla_run_platform(struct bulla_attest_run *run, bulla_bytes id);

/* value is in list. */
bool bulla_bytes_in(bulla_bytes value, const bulla_bytes *list, size_t count);

/* Both halves of r || s have the curve's full width and lie in [1, n-1]. High s is fine: half of all genuine evidence has
 * it. */
bool bulla_signature_in_range(enum bulla_key_type curve, bulla_bytes signature);

/* SubjectPublicKeyInfo's kind by its fixed head; false for another. */
bool bulla_spki_type(bulla_bytes spki, enum bulla_key_type *ret);
