#include "attest/dcap.h"

#include "attest/pem.h"
#include "crypto/hash.h"

static void fault(struct bulla_dcap_collateral *collateral, enum bulla_factor factor, const char *text)
{
	if (collateral->fault_count < BULLA_DCAP_FAULTS)
		collateral->faults[collateral->fault_count++] = (struct bulla_dcap_fault){(uint8_t)factor, text};
}

static bool self_signed(const struct bulla_cert *root)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;

	return bulla_cert_key(root, &key) == BULLA_OK && bulla_cert_signed_by(root, key) == BULLA_OK;
}

static bool is_anchor(const struct bulla_attest_anchors *anchors, const struct bulla_cert *root)
{
	bulla_digest der, spki;

	bulla_sha256(root->der, &der);
	bulla_sha256(root->spki, &spki);
	for (size_t i = 0; i < anchors->count; i++) {
		const struct bulla_attest_anchor *anchor = &anchors->list[i];
		bool certificate = anchor->how == BULLA_ANCHOR_CERTIFICATE, key = anchor->how == BULLA_ANCHOR_KEY;
		bulla_bytes found = bulla_bytes_digest(certificate ? &der : &spki);

		if (anchor->tee == BULLA_TEE_TDX && (certificate || key) && bulla_bytes_eq(anchor->id, found))
			return certificate || self_signed(root);
	}
	return false;
}

static bool is_ca(const struct bulla_cert *cert)
{
	return cert->has_basic && cert->ca && (!cert->has_usage || (cert->usage & BULLA_USAGE_CERT_SIGN) != 0);
}

/* [certificate, root] in either order, root pinned, signature verified. */
static bulla_rc read_signer(bulla_bytes pem, const struct bulla_attest_anchors *anchors, struct bulla_buf *memory,
	struct bulla_dcap_signer *ret)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	struct bulla_cert first, second;
	bulla_bytes chain[2];
	size_t count;

	BULLA_TRY(bulla_pem_chain(pem, memory->p + memory->n, memory->cap - memory->n, 2, chain, &count));
	if (count != 2)
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "a chain of the collateral has not two certificates");
	memory->n += chain[0].n + chain[1].n;
	BULLA_TRY(bulla_cert_parse(chain[0], &first));
	BULLA_TRY(bulla_cert_parse(chain[1], &second));
	bool swapped = bulla_bytes_eq(first.issuer, first.subject);
	ret->cert = swapped ? second : first;
	ret->root = swapped ? first : second;
	if (!is_anchor(anchors, &ret->root) || !is_ca(&ret->root) ||
		!bulla_bytes_eq(ret->cert.issuer, ret->root.subject) || ret->cert.alg != BULLA_ES256 ||
		ret->cert.unknown_critical)
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "a chain of the collateral does not end in the pinned root");
	BULLA_TRY(bulla_cert_key(&ret->root, &key));
	BULLA_TRY(bulla_cert_signed_by(&ret->cert, key));
	ret->present = true;
	return BULLA_OK;
}

/* Only Intel's TCB signing certificate may sign TCB info and identities: a PCK key must not. */
static bool is_tcb_signer(const struct bulla_cert *cert)
{
	static const uint8_t common_name[] = {0x55, 0x04, 0x03};
	bulla_bytes name;

	return bulla_name_find(cert->subject, BULLA_BYTES_ARRAY(common_name), &name) == BULLA_OK &&
		bulla_bytes_eq_str(name, "Intel SGX TCB Signing") && !(cert->has_basic && cert->ca) && cert->has_usage &&
		(cert->usage & BULLA_USAGE_SIGNATURE) != 0;
}

static bulla_rc verify_text(bulla_bytes text, bulla_bytes signature, bulla_bytes pem,
	const struct bulla_attest_anchors *anchors, struct bulla_buf *memory, struct bulla_dcap_signer *ret)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;

	BULLA_TRY(read_signer(pem, anchors, memory, ret));
	if (!is_tcb_signer(&ret->cert))
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "the signer is not Intel's TCB signing certificate");
	BULLA_TRY(bulla_cert_key(&ret->cert, &key));
	return bulla_verify(key, BULLA_ES256, text, signature);
}

static void read_texts(const struct bulla_dcap_parts *parts, const struct bulla_attest_anchors *anchors,
	struct bulla_buf *memory, struct bulla_dcap_collateral *ret)
{
	if (verify_text(parts->tcb_info, parts->tcb_info_signature, parts->tcb_info_chain, anchors, memory,
		    &ret->tcb_signer) != BULLA_OK)
		fault(ret, BULLA_FACTOR_TCB_INFO_SIGNATURE, "the TCB info is not signed by Intel, or missing");
	else if (bulla_dcap_tcb_info_read(parts->tcb_info, &ret->tcb) != BULLA_OK)
		fault(ret, BULLA_FACTOR_TCB_INFO_SIGNATURE, "the TCB info is not in its form");
	if (verify_text(parts->qe_identity, parts->qe_identity_signature, parts->qe_identity_chain, anchors, memory,
		    &ret->qe_signer) != BULLA_OK)
		fault(ret, BULLA_FACTOR_QE_IDENTITY_SIGNATURE, "the QE identity is not signed by Intel, or missing");
	else if (bulla_dcap_qe_identity_read(parts->qe_identity, &ret->qe) != BULLA_OK)
		fault(ret, BULLA_FACTOR_QE_IDENTITY_SIGNATURE, "the QE identity is not in its form");
}

/* Dates are checked at each appraisal: a list is verified at its own beginning here. */
static void read_crls(const struct bulla_dcap_parts *parts, const struct bulla_attest_anchors *anchors,
	struct bulla_buf *memory, struct bulla_dcap_collateral *ret)
{
	if (read_signer(parts->pck_crl_chain, anchors, memory, &ret->crl_signer) != BULLA_OK ||
		!is_ca(&ret->crl_signer.cert)) {
		fault(ret, BULLA_FACTOR_CRL_SIGNATURE, "the revocation list's issuer does not chain to the root");
		return;
	}
	if (bulla_crl_parse(parts->pck_crl, &ret->pck_crl) != BULLA_OK ||
		bulla_crl_verify(&ret->pck_crl, &ret->crl_signer.cert, ret->pck_crl.this_update) != BULLA_OK)
		fault(ret, BULLA_FACTOR_CRL_SIGNATURE, "the PCK revocation list is not its CA's, or missing");
	else
		ret->has_pck_crl = true;
	if (bulla_crl_parse(parts->root_crl, &ret->root_crl) != BULLA_OK ||
		bulla_crl_verify(&ret->root_crl, &ret->crl_signer.root, ret->root_crl.this_update) != BULLA_OK)
		fault(ret, BULLA_FACTOR_CRL_SIGNATURE, "the root's revocation list is not the root's, or missing");
	else
		ret->has_root_crl = true;
}

bulla_rc bulla_dcap_collateral_read(const struct bulla_dcap_parts *parts, const struct bulla_attest_anchors *anchors,
	struct bulla_buf *memory, struct bulla_dcap_collateral *ret)
{
	if (memory->cap - memory->n < BULLA_DCAP_CHAINS_SIZE && memory->n > 0)
		return BULLA_FAIL(BULLA_E_LIMIT, "views into the memory would move: reserve it first");
	BULLA_TRY(bulla_buf_reserve(memory, BULLA_DCAP_CHAINS_SIZE));
	*ret = (struct bulla_dcap_collateral){0};
	read_texts(parts, anchors, memory, ret);
	read_crls(parts, anchors, memory, ret);
	return BULLA_OK;
}
