#pragma once
/* Whom a verifier believes: a small text file that comes by another way than the bundle. Lines, in any order but the first:
 *   bulla-trust 1
 *   tenant HEX16                          at most once: only this tenant's runs
 *   approver NAME BASE64URL               SPKI of a P-256 key; NAME has no spaces, "-" for none
 *   need N                                so many of them must have signed; default 1
 *   anchor TEE CLASS HEX64                CLASS dev, emulator or hardware; SHA-256 of the root certificate's DER
 *   anchor-key TEE CLASS HEX64            SHA-256 of the root's SPKI, whatever its certificate
 *   anchor-device TEE CLASS HEX66 BASE64URL  PSA, CCA: instance id and SPKI of one device
 *   epoch N                               no older epoch
 * Empty lines and lines that begin with '#' say nothing. */
#include "base/wr.h"
#include "manifest/manifest.h"

#define BULLA_TRUST_APPROVERS 64
#define BULLA_TRUST_ANCHORS 32
#define BULLA_TRUST_MAX 65536
#define BULLA_TRUST_ID 33
#define BULLA_TRUST_KEY 256

struct bulla_trust_approver {
	bulla_bytes name; /* borrowed from the text */
	bulla_digest kid;
};

struct bulla_trust_anchor {
	uint8_t tee, assurance, how; /* enums of attest/attest.h */
	uint8_t id[BULLA_TRUST_ID], key[BULLA_TRUST_KEY];
	size_t id_size, key_size;
};

struct bulla_trust {
	bool has_tenant;
	bulla_handle tenant;
	uint32_t need;
	uint64_t epoch;
	struct bulla_trust_approver approvers[BULLA_TRUST_APPROVERS];
	size_t approver_count;
	struct bulla_trust_anchor anchors[BULLA_TRUST_ANCHORS];
	size_t anchor_count;
};

/* BULLA_E_FORMAT, BULLA_E_VERSION, BULLA_E_LIMIT, BULLA_E_DUPLICATE; *ret_line (may be NULL) counts from 1. */
BULLA_CHECK bulla_rc bulla_trust_parse(bulla_bytes text, struct bulla_trust *ret, unsigned *ret_line);

/* The trust file of a project: its manifest's tenant, approvers, M and anchors. names: of the approvers, or NULL. */
BULLA_CHECK bulla_rc bulla_trust_write(const struct bulla_manifest *manifest, const bulla_bytes *names, bulla_wr *w);

/* The same without the detour through text: whoever is inside a project trusts its own approvers. */
void bulla_trust_of(const struct bulla_manifest *manifest, struct bulla_trust *ret);

/* Is this one of the approvers? */
bool bulla_trust_has(const struct bulla_trust *trust, const bulla_digest *kid);
