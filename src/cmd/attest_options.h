#pragma once
/* What was typed behind `bulla attest VERB`, looked at before any file is read and anything is fetched: what cannot work is
 * refused at once, and nobody waits for, or believes, half of an answer. Each returns 0, or EXIT_USAGE after saying why. */
#include "cmd/cli.h"
#include "cmd/keyfile.h"

/* --collateral: not more files than fit. */
int attest_check_files(const struct cli *cli);

/* --reference or --any-code: one of them. */
int attest_check_policy(const struct cli *cli);

/* --nonce, --binder, --any-nonce: at least one of them, hexadecimal, none that waives another. */
int attest_check_binding(const struct cli *cli);

/* --at: a time. Where ret_ms is not NULL and --at was given, ms since 1970. */
int attest_check_at(const struct cli *cli, int64_t *ret_ms);

/* --from: the https URL of a server. */
int attest_check_from(const struct cli *cli);

/* --out: a file in a folder that is there and can be written to. EXIT_NOT_FOUND when not. */
int attest_check_out(const struct cli *cli);

/* The file of the key that verdicts are signed with: --key, else BULLA_KEY; NULL when neither says. */
const char *attest_key_path(const struct cli *cli);

/* That key: of `bulla key new`, or P-256 as PKCS#8 in DER. make: where there is no such file, one is made. 0, or an exit code
 * after saying why. */
int attest_open_key(const struct cli *cli, bool make, struct keyfile *ret);
