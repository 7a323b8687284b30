#pragma once
/* Certificate chains of evidence: linear, root first, to a pinned anchor, each rule a factor of its own. */
#include "attest/run.h"

struct bulla_chain_rules {
	enum bulla_tee family;   /* anchors of this TEE count; NITRO also takes DEV anchors */
	unsigned ca_types;       /* 1 << enum bulla_key_type of keys of all but the leaf */
	unsigned leaf_types;
	bool leaf_signs;         /* the leaf must have keyUsage digitalSignature and basicConstraints (Nitro, Intel) */
	int64_t time;            /* Unix seconds */
};

/* All chain factors for certs[0..count), certs[0] the root. True when the leaf's key may be believed: *ret_key is then
 * owned by the caller, *ret_anchor is the anchor. Fails the factor and gives false else; a failure of CHAIN_DATES alone
 * still gives true, so that the rest is looked at too. */
bool bulla_run_chain(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count,
	const struct bulla_chain_rules *rules, const struct bulla_attest_anchor **ret_anchor,
	struct bulla_verify_key **ret_key);

/* The same without looking for an anchor or making a key: certs[0]'s key is trusted already. For side chains. */
bool bulla_run_links(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count,
	const struct bulla_chain_rules *rules);

/* Signature of cert under issuer's key, through the cache. */
bool bulla_run_signed_by(struct bulla_attest_run *run, const struct bulla_cert *cert, const struct bulla_cert *issuer);

/* True for the SHA-256 of a vendor's published root certificate: its own signature is known to be good. */
bool bulla_attest_root_is_known(const bulla_digest *certificate);
