#pragma once
/* The appraisal of DCAP quotes in parts: who signed (dcap_trust.c), what the collateral says (dcap_levels.c), what the TD
 * or enclave is (tdx.c, sgx.c). */
#include "attest/chain.h"
#include "attest/dcap.h"
#include "attest/pck.h"
#include "attest/quote.h"

struct bulla_dcap_judged {
	struct bulla_quote quote;
	struct bulla_cert certs[3]; /* root, CA, PCK leaf */
	struct bulla_pck pck;
	uint8_t memory[3 * 2048];   /* decoded certificates */
	int64_t time;               /* Unix seconds */
};

/* Form, PCK chain, QE report and quote signature. True when the quote's body may be believed; its claims are recorded as soon as
 * it is read. */
bool bulla_dcap_trust(struct bulla_attest_run *run, bulla_bytes bytes, struct bulla_dcap_judged *ret);

/* All factors of the collateral. */
void bulla_dcap_levels(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged);

/* The claims of a report body: of what fails later, too. */
void bulla_tdx_record(struct bulla_attest_run *run, bulla_bytes body);
void bulla_sgx_record(struct bulla_attest_run *run, bulla_bytes body);

/* The rules about a TD or an enclave, its binding. */
void bulla_tdx_judge(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged);
/* The same without binding and registers: for a TD behind a vTPM. */
void bulla_tdx_judge_platform(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged);
void bulla_sgx_judge(struct bulla_attest_run *run, const struct bulla_dcap_judged *judged);

/* Replays a CCEL event log against RTMR0..3 (each 48 bytes, in order). BULLA_E_FORMAT when it is damaged,
 * BULLA_E_MEASUREMENT when a register differs; *ret_events counts what was replayed. */
BULLA_CHECK bulla_rc bulla_ccel_replay(bulla_bytes log, bulla_bytes rtmrs, size_t *ret_events);
