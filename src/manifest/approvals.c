#include "manifest/approvals.h"

#include "base/checks.h"
#include "cose/sign1.h"

#define CONTENT BULLA_CONTENT("manifest")
enum { PAYLOAD_MAX = 64, APPROVAL_VERSION = 1 };

static bulla_bytes payload_of(const struct bulla_manifest *manifest, uint8_t memory[PAYLOAD_MAX])
{
	bulla_wr w = bulla_wr_fixed(memory, PAYLOAD_MAX);

	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_uint(&w, APPROVAL_VERSION);
	bulla_cbor_wr_digest(&w, &manifest->digest);
	bulla_cbor_wr_uint(&w, manifest->epoch);
	return bulla_bytes_of(memory, w.n);
}

bulla_rc bulla_approval_make(const struct bulla_manifest *manifest, struct bulla_sign_key *key, struct bulla_buf *ret)
{
	uint8_t memory[PAYLOAD_MAX];

	return bulla_sign1_make(key, CONTENT, payload_of(manifest, memory), ret);
}

bulla_rc bulla_approval_check(const struct bulla_manifest *manifest, const struct bulla_manifest *by,
	bulla_bytes approval, size_t *ret_approver)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	const struct bulla_approver *approver;
	uint8_t memory[PAYLOAD_MAX];
	bulla_bytes payload;
	bulla_digest kid;

	BULLA_TRY(bulla_sign1_peek(approval, CONTENT, &kid, &payload));
	approver = bulla_manifest_approver(by, &kid);
	if (approver == NULL)
		return BULLA_FAIL(BULLA_E_PARTY, "an approval is signed by nobody who may approve");
	BULLA_TRY(bulla_verify_key_spki(approver->spki, &key));
	BULLA_TRY(bulla_sign1_open(approval, CONTENT, key, &payload));
	if (!bulla_bytes_eq(payload, payload_of(manifest, memory)))
		return BULLA_FAIL(BULLA_E_APPROVALS, "an approval is of another manifest");
	*ret_approver = (size_t)(approver - by->approvers);
	return BULLA_OK;
}

bulla_rc bulla_approvals_check(const struct bulla_manifest *manifest, const struct bulla_manifest *by,
	const bulla_bytes *approvals, size_t count, uint32_t *ret_signers)
{
	uint32_t signers = 0, signed_by = 0;

	for (size_t i = 0; i < count; i++) {
		size_t approver;
		bulla_rc rc = bulla_approval_check(manifest, by, approvals[i], &approver);

		if (rc == BULLA_E_PARTY)
			continue;
		BULLA_TRY(rc);
		if (BULLA_CHECK_ON(APPROVAL_ONCE) && (signers >> approver & 1) != 0)
			continue;
		signers |= UINT32_C(1) << approver;
		signed_by++;
	}
	if (BULLA_CHECK_ON(APPROVAL_NUMBER) && signed_by < by->need)
		return BULLA_FAIL(BULLA_E_APPROVALS, "fewer approvers have signed than must");
	*ret_signers = signers;
	return BULLA_OK;
}
