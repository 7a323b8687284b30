#pragma once
/* What `bulla attest show|verify|reference` share: a file of evidence, its collateral, anchors, and the appraisal. */
#include "cmd/say.h"

#include "attest/foreign.h"
#include "attest/reference.h"

#define ATTEST_FILES 16
#define ATTEST_NONCE_MAX 1024 /* bytes; Nitro's is up to 512 */
#define ATTEST_BINDER_MAX 64
#define ATTEST_FAILURE 256 /* characters with the end */

struct attest_job {
	struct cli *cli;
	struct bulla_buf file;
	struct bulla_buf extra[ATTEST_FILES];
	unsigned extra_count;
	struct bulla_foreign foreign;
	struct bulla_reference_file reference;
	bulla_bytes evidence;
	bool has_evidence;    /* a file was named, whatever is in it */
	bulla_rc unread;      /* why the envelope around the evidence did not come off (foreign.fault): then there is no evidence */
	struct bulla_attest_anchor anchors[16];
	struct bulla_attest_anchors all;
	bulla_digest anchor_id;
	struct bulla_buf anchor_file;
	uint8_t device_key[256], device_id[33];
	uint8_t nonce[ATTEST_NONCE_MAX], binder[ATTEST_BINDER_MAX];
	struct bulla_attest_binding binding;
	struct bulla_attest_time time;
	struct bulla_attest_result result;
};

/* Reads evidence (args[0]), collateral (--collateral) and anchor (--anchor); what was typed was looked at before
 * (attest_options.h). 0, or the exit code after saying why. */
int attest_open(struct cli *cli, struct attest_job **ret);
void attest_close(struct attest_job *job);

/* The same without an anchor, and without judging collateral: to see what is in a file. */
int attest_open_unjudged(struct cli *cli, struct attest_job **ret);

/* A job without evidence: vendors' anchors, --anchor, --collateral. */
int attest_new(struct cli *cli, struct attest_job **ret);

/* --reference or --any-code into the job's policy, with --max-age, --debug, --no-collateral. 0 or an exit code. */
int attest_read_policy(struct attest_job *job);

/* --at, or now: the clock that certificates are judged by. */
void attest_read_time(struct attest_job *job);

/* --nonce, --binder: where this kind of evidence carries them. 0 or an exit code. */
int attest_expect(struct attest_job *job);

/* Everything may be anything: for show and reference. */
void attest_lax(struct attest_job *job);

/* Judges the evidence under the job's policy, binding and time. Places in the result are those of the file. */
bulla_rc attest_appraise(struct attest_job *job);

/* The rule that refused it, why and where: "size: the report ends before its 1184 bytes (byte 500)"; empty when none did. */
void attest_failure(const struct attest_job *job, char ret[ATTEST_FAILURE]);

/* A description for people to stdout. */
void attest_print(struct attest_job *job, void (*write)(bulla_wr *w, const struct bulla_attest_result *result));

