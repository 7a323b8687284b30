#pragma once
/* Births of agent keys (protocol.md section 5): what is derived from an agent's seed, and the birth record by which
 * everybody knows the agent's public key. COSE_Sign1 of kind "birth", doc/formats.md section `birth`. */
#include "cose/sign1.h"
#include "receipt/position.h"
#include "seal/hpke.h"

#define BULLA_SEED_SIZE 32
#define BULLA_BIRTH_MAX 4096

/* Keys that every instance of one agent and epoch derives from its seed. Secrets are owned: bulla_agent_keys_done. */
struct bulla_agent_keys {
	const struct bulla_kem *kem;
	bulla_secret private_key;
	bulla_secret state;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];
	size_t public_size;
};

/* From the 32-byte seed (else BULLA_E_ARGUMENT): HPKE key pair and state key. done frees the secrets. */
BULLA_CHECK bulla_rc bulla_agent_keys_derive(bulla_secret seed, const struct bulla_kem *kem, struct bulla_agent_keys *ret);
void bulla_agent_keys_done(struct bulla_agent_keys *keys);

struct bulla_birth {
	bulla_handle tenant;
	bulla_handle agent;
	uint64_t epoch;
	bulla_digest manifest;
	uint64_t kem;             /* BULLA_KEM_NUMBER_X25519 or _HYBRID */
	bulla_bytes public_key;
	bulla_digest blob;        /* digest of the key blob */
	bulla_bytes wrapping_key; /* text: key id or ARN */
	uint64_t policy_form;     /* 1 managed, 2 frozen */
	bulla_digest policy;      /* digest of the wrapping key's policy as the instance read it */
	bulla_digest evidence;    /* digest of the evidence in the signer's instance record */
	bulla_digest signer;      /* kid of the receipt key that signed; from the header when read */
};

/* Signs a record with the instance's receipt key (birth->signer is not read); appends to ret. */
BULLA_CHECK bulla_rc bulla_birth_make(const struct bulla_birth *birth, struct bulla_sign_key *key, struct bulla_buf *ret);

/* Reads without believing: to find the signer's instance record. */
BULLA_CHECK bulla_rc bulla_birth_peek(bulla_bytes record, struct bulla_birth *ret);

struct bulla_birth_expected {
	bulla_handle tenant;
	bulla_handle agent;
	uint64_t epoch;
	bulla_digest manifest;
	bulla_bytes wrapping_key;  /* the manifest's */
	uint64_t policy_form;      /* the manifest's */
	bulla_digest evidence;     /* of the instance record that was appraised */
};

/* Checks in order: signature by `signer` (the receipt key of the instance record whose evidence the caller appraised), the
 * evidence's digest: BULLA_E_KEY_SUBSTITUTED · tenant, agent, epoch, manifest: BULLA_E_KEY_CONTEXT · wrapping key and
 * policy form: BULLA_E_KEY_POLICY. The views point into record. */
BULLA_CHECK bulla_rc bulla_birth_verify(bulla_bytes record, const struct bulla_birth_expected *expected,
	struct bulla_verify_key *signer, struct bulla_birth *ret);

/* A later instance's check: the keys it derived are the born ones, and the blob is that one: BULLA_E_KEY_SUBSTITUTED. */
BULLA_CHECK bulla_rc bulla_birth_check_keys(const struct bulla_birth *birth, const struct bulla_agent_keys *keys,
	const bulla_digest *blob);
