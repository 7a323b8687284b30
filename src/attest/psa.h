#pragma once
/* PSA attestation tokens (RFC 9783) and the platform half of CCA tokens: COSE_Sign1 over a map of claims. */
#include "attest/run.h"
#include "cose/sign1.h"
#include "wire/cbor.h"

#define BULLA_PSA_SIZE_MAX 8192
#define BULLA_PSA_COMPONENTS 32

enum bulla_psa_profile { BULLA_PSA_OTHER, BULLA_PSA_RFC9783, BULLA_PSA_2_0_0, BULLA_PSA_IOT_1, BULLA_PSA_CCA };

/* Claims of a token: views into its payload. */
struct bulla_psa_claims {
	enum bulla_psa_profile profile;
	bulla_bytes profile_name, challenge, instance_id, implementation_id, boot_seed;
	bulla_bytes components[BULLA_PSA_COMPONENTS]; /* measurement value of each */
	size_t component_count;
	uint64_t lifecycle;
	bulla_bytes lifecycle_raw; /* its encoding, to say where */
	int64_t client_id;
	unsigned seen; /* a bit for each claim that is there: bulla_psa_claims_whole */
	unsigned unknown;
	size_t unknown_at; /* the first, in the payload */
};

/* Takes the outer form off: COSE_Sign1 or COSE_Mac0 (*ret_mac), with or without CWT's tag 61 around it. Nothing is verified.
 * On failure *ret_fault says what broke where in the token. */
BULLA_CHECK bulla_rc bulla_psa_open(bulla_bytes token, struct bulla_sign1 *ret, bool *ret_mac,
	struct bulla_form_fault *ret_fault);

/* The algorithm in the protected header of a message that bulla_form_cose took apart. */
BULLA_CHECK bulla_rc bulla_psa_headers(bulla_bytes message, struct bulla_sign1 *cose, struct bulla_form_fault *ret_fault);

/* Reads the claims. On failure *ret_fault says what broke where in payload. BULLA_E_FORMAT, _DUPLICATE, _LIMIT, _TRUNCATED... */
BULLA_CHECK bulla_rc bulla_psa_claims_read(bulla_bytes payload, struct bulla_psa_claims *ret,
	struct bulla_form_fault *ret_fault);

/* Whether nothing is missing that the claims' own profile makes mandatory: the client id (PSA), the configuration and the hash's
 * name (CCA platform), software components (RFC 9783 section 4.4.1); PSA_IOT_PROFILE_1 may say instead that it has none. */
bool bulla_psa_claims_whole(const struct bulla_psa_claims *claims);

/* A hash by its name in the IANA registry: sha-256, sha-384, sha-512. BULLA_E_FORMAT at the name. */
BULLA_CHECK bulla_rc bulla_psa_hash_name(bulla_cbor_rd *r, bulla_bytes *ret);

/* A byte string of a hash's size: 32, 48 or 64. BULLA_E_LIMIT at it. */
BULLA_CHECK bulla_rc bulla_psa_measurement(bulla_cbor_rd *r, bulla_bytes *ret);

/* The instance id (33 bytes, a view) that a PSA token, or the platform half of a CCA token, claims: to find the endorsed key
 * by. Nothing is verified. BULLA_E_FORMAT, ... */
BULLA_CHECK bulla_rc bulla_psa_instance(bulla_bytes token, bulla_bytes *ret);
BULLA_CHECK bulla_rc bulla_cca_instance(bulla_bytes token, bulla_bytes *ret);

/* The rules that PSA and CCA platform tokens share: outer form, key by instance id, test keys, signature, profile, life
 * cycle, implementation. tee: whose anchors count. True when the claims may be believed; *ret_debug: a debug life cycle. */
bool bulla_psa_judge(struct bulla_attest_run *run, bulla_bytes token, enum bulla_tee tee, struct bulla_psa_claims *ret,
	bool *ret_debug);
