#pragma once
/* The root of the development TEE: a P-384 key made at the first `bulla up`. It proves nothing about hardware; its
 * certificates say DEVELOPMENT ONLY and so does everything that chains to it. */
#include "base/buf.h"
#include "base/sys.h"
#include "crypto/sign.h"

#define BULLA_DEV_CERT_MAX 1024

struct bulla_dev_pki {
	struct bulla_sign_key *root;
	struct bulla_buf root_der; /* its self-signed certificate */
};

/* What signs the documents of one enclave, as a Nitro hypervisor's chain does: root, instance, leaf. */
struct bulla_dev_chain {
	struct bulla_sign_key *leaf;
	struct bulla_buf instance_der, leaf_der;
	int64_t ends_ms; /* the leaf's notAfter */
};

/* Reads root.key (PKCS#8) and root.der from the folder, or makes them. BULLA_E_CORRUPT when one is there without the
 * other, or they do not belong together. */
BULLA_CHECK bulla_rc bulla_dev_pki_open(const char *folder, const struct bulla_clock *clock,
	const struct bulla_random *random, struct bulla_dev_pki *ret);
void bulla_dev_pki_done(struct bulla_dev_pki *pki);

/* A fresh chain below the root: instance certificate for a day, leaf for three hours, both from three seconds ago. */
BULLA_CHECK bulla_rc bulla_dev_chain_make(const struct bulla_dev_pki *pki, const char *module_id,
	const struct bulla_clock *clock, const struct bulla_random *random, struct bulla_dev_chain *ret);
void bulla_dev_chain_done(struct bulla_dev_chain *chain);
