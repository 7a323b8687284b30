#pragma once
/* Appraisals as people and programs read them. */
#include "attest/attest.h"
#include "base/wr.h"

/* A few lines: what it is, when it was made, which code, whom it is bound to. */
void bulla_attest_show(bulla_wr *w, const struct bulla_attest_result *result);

/* Every factor, one a line: name, state, what holds or why not, with the byte where it failed. */
void bulla_attest_show_factors(bulla_wr *w, const struct bulla_attest_result *result);

/* Every claim, one a line. */
void bulla_attest_show_claims(bulla_wr *w, const struct bulla_attest_result *result);

/* The whole appraisal as one JSON object. */
void bulla_attest_show_json(bulla_wr *w, const struct bulla_attest_result *result);

/* "2026-08-14 09:12:03Z" of ms since 1970. */
void bulla_attest_show_time(bulla_wr *w, int64_t ms);

/* "AWS Nitro enclave", "AMD SEV-SNP guest", ... */
const char *bulla_tee_title(enum bulla_tee tee);
