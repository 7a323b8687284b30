#pragma once
/* Approvals: M of N COSE_Sign1 (kind "manifest") over a manifest's digest. Payload: CBOR [1, h'manifest digest', epoch]. */
#include "base/buf.h"
#include "crypto/sign.h"
#include "manifest/manifest.h"

#define BULLA_APPROVAL_MAX 256

/* Signs; appends the COSE_Sign1. */
BULLA_CHECK bulla_rc bulla_approval_make(const struct bulla_manifest *manifest, struct bulla_sign_key *key,
	struct bulla_buf *ret);

/* Checks one approval against the approvers of `by` (the manifest itself, or the one in force before it): *ret_approver
 * is its index there. BULLA_E_SIGNATURE; BULLA_E_PARTY: signed by nobody of them; BULLA_E_APPROVALS: of another manifest. */
BULLA_CHECK bulla_rc bulla_approval_check(const struct bulla_manifest *manifest, const struct bulla_manifest *by,
	bulla_bytes approval, size_t *ret_approver);

/* At least by->need different approvers of `by` signed. Approvals by others, or by one of them twice, do not count; a
 * bad signature in a known approver's name is an error. *ret_signers: bit n: approver n signed. BULLA_E_APPROVALS. */
BULLA_CHECK bulla_rc bulla_approvals_check(const struct bulla_manifest *manifest, const struct bulla_manifest *by,
	const bulla_bytes *approvals, size_t count, uint32_t *ret_signers);
