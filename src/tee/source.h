#pragma once
/* Where the evidence of this enclave comes from: one driver, linked by the program that is made for its TEE. */
#include "tee/evidence.h"
#include "tee/nsm.h"

struct bulla_source;

struct bulla_source_ops {
	/* The option that only this driver has, NULL: none; its argument and its help, for the command line. */
	const char *option, *argument, *help;
	/* Opens what it speaks to and sets the TEE. BULLA_E_IO, BULLA_E_NOT_FOUND, BULLA_E_UNSUPPORTED: it is not there. */
	bulla_rc (*open)(struct bulla_source *source);
	/* Evidence bound to the binder; nonce and public key where it has a place for them. */
	bulla_rc (*make)(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER], bulla_bytes nonce,
		bulla_bytes public_key, struct bulla_evidence *ret);
	/* Measures the manifest's digest and each bundle's (32 bytes each) for good; NULL: this TEE says it in the binder alone. */
	bulla_rc (*measure)(const struct bulla_source *source, const bulla_digest *manifest, bulla_bytes bundles);
	bool carries_key; /* its evidence has a place for a public key: AWS KMS answers to it as it is */
};

/* The drivers: nsm (Nitro, and the development TEE), configfs-tsm (SNP, TDX, CCA), Gramine (SGX), Azure's vTPM. */
extern const struct bulla_source_ops bulla_source_nsm;
extern const struct bulla_source_ops bulla_source_tsm;
extern const struct bulla_source_ops bulla_source_gramine;
extern const struct bulla_source_ops bulla_source_azure;

struct bulla_source {
	const struct bulla_source_ops *ops;
	const char *root;  /* before the kernel's paths: "", or a fake tree in tests */
	const char *given; /* the driver's own option, NULL: not given */
	struct bulla_nsm nsm;
	struct bulla_tpm tpm;
	enum bulla_tee tee;
};

/* Opens a driver. Borrowed: root, given; descriptors stay open as long as the process. Errors of ops->open. */
BULLA_CHECK bulla_rc bulla_source_open(const struct bulla_source_ops *ops, const char *root, const char *given,
	struct bulla_source *ret);

/* Opens a device below the root for reading and writing; the descriptor is the caller's. BULLA_E_IO. */
BULLA_CHECK bulla_rc bulla_source_device(const char *root, const char *path, int *ret);

/* The driver's word in binders and instance records: "nitro" (also of the development TEE), "sev-snp", "tdx", "sgx", ... */
bulla_bytes bulla_source_word(const struct bulla_source *source);

/* Evidence bound to the binder, answering the nonce where it has a place of its own. BULLA_E_UNSUPPORTED: a public key that it
 * has no place for. */
BULLA_CHECK bulla_rc bulla_source_make(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret);
