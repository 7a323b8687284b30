#pragma once
/* EAT attestation results (draft-ietf-rats-ear) with the AR4SI trustworthiness vector, as JWT and as CWT. Beside the
 * draft's claims each submodule carries "bulla.assurance" and "bulla.factors" (name: state). */
#include "attest/attest.h"
#include "base/buf.h"
#include "crypto/sign.h"

/* AR4SI (draft-ietf-rats-ar4si) claims in the order of their CBOR keys. */
enum bulla_ar4si {
	BULLA_AR4SI_INSTANCE_IDENTITY,
	BULLA_AR4SI_CONFIGURATION,
	BULLA_AR4SI_EXECUTABLES,
	BULLA_AR4SI_FILE_SYSTEM,
	BULLA_AR4SI_HARDWARE,
	BULLA_AR4SI_RUNTIME_OPAQUE,
	BULLA_AR4SI_STORAGE_OPAQUE,
	BULLA_AR4SI_SOURCED_DATA,
	BULLA_AR4SI_COUNT
};

/* Tiers; a vector value belongs to the tier below or at it. */
enum bulla_ear_tier { BULLA_EAR_NONE = 0, BULLA_EAR_AFFIRMING = 2, BULLA_EAR_WARNING = 32, BULLA_EAR_CONTRAINDICATED = 96 };

struct bulla_ear_about {
	const char *profile;   /* NULL: "tag:github.com,2023:veraison/ear" */
	const char *developer; /* verifier's developer and build */
	const char *build;
	const char *submodule; /* NULL: the TEE's name */
	const char *policy;    /* appraisal policy id; NULL: none */
	bulla_bytes nonce;     /* eat_nonce; empty: none */
	int64_t issued_s;      /* iat */
	int64_t expires_s;     /* exp; 0: none */
};

/* What the appraisal means in AR4SI's words. dev and emulated hardware are contraindicated (96), always. */
void bulla_ear_vector(const struct bulla_attest_result *result, int8_t ret[BULLA_AR4SI_COUNT]);

/* The overall tier: of the worst value, and contraindicated whenever the appraisal failed. */
enum bulla_ear_tier bulla_ear_status(const struct bulla_attest_result *result);
const char *bulla_ear_tier_name(enum bulla_ear_tier tier);

/* Signs with ES256 or ES384, as the key is; appends to ret. */
BULLA_CHECK bulla_rc bulla_ear_jwt(const struct bulla_attest_result *result, const struct bulla_ear_about *about,
	struct bulla_sign_key *key, struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_ear_cwt(const struct bulla_attest_result *result, const struct bulla_ear_about *about,
	struct bulla_sign_key *key, struct bulla_buf *ret);
