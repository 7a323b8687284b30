#pragma once
/* Where the evidence of this enclave comes from: the drivers behind one table, chosen by what there is. */
#include "tee/evidence.h"
#include "tee/nsm.h"

struct bulla_source;

struct bulla_source_ops {
	const char *name; /* for --evidence */
	/* What it is here; BULLA_TEE_NONE: not there. */
	enum bulla_tee (*probe)(const struct bulla_source *source);
	bulla_rc (*make)(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER], bulla_bytes nonce,
		bulla_bytes public_key, struct bulla_evidence *ret);
	/* Measures a 32-byte digest for good; NULL: this TEE says it in the binder alone. */
	bulla_rc (*measure)(const struct bulla_source *source, bulla_bytes digest);
	bool carries_key; /* its evidence has a place for a public key: AWS KMS answers to it as it is */
};

struct bulla_source {
	const struct bulla_source_ops *ops;
	const char *root; /* before the kernel's paths: "", or a fake tree in tests */
	const char *quotes; /* Azure on TDX: the service that makes quotes; the real one unless the caller sets another */
	struct bulla_nsm nsm;
	struct bulla_tpm tpm;
	enum bulla_tee tee;
};

/* how: "auto", "dev" or "nsm" (both speak to nsm), "tsm", "gramine", "azure". nsm: an open module, NULL: none. Borrowed:
 * root; descriptors stay the caller's. auto takes the first that is there, in that order. BULLA_E_NOT_FOUND: it is not
 * there; BULLA_E_ARGUMENT: no such word. */
BULLA_CHECK bulla_rc bulla_source_open(const char *how, const char *root, const struct bulla_nsm *nsm,
	const struct bulla_tpm *tpm, struct bulla_source *ret);

/* The driver's word in binders and instance records: "nitro" (also of the development TEE), "sev-snp", "tdx", "sgx", ... */
bulla_bytes bulla_source_word(const struct bulla_source *source);

/* Evidence bound to the binder, answering the nonce where it has a place of its own. BULLA_E_UNSUPPORTED: a public key that it
 * has no place for. */
BULLA_CHECK bulla_rc bulla_source_make(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret);

/* The manifest's digest, then each bundle's, into the register that the TEE has for it; nothing where it has none. Not for
 * "nsm": boot does that, with locks. */
BULLA_CHECK bulla_rc bulla_source_measure(const struct bulla_source *source, const bulla_digest *manifest,
	bulla_bytes bundles);
