#include "attest/dcap.h"

#include "attest/chain.h"
#include "attest/pem.h"
#include "base/mem.h"
#include "crypto/hash.h"

static void fault(struct bulla_dcap_collateral *collateral, enum bulla_factor factor, const char *text)
{
	if (collateral->fault_count < BULLA_DCAP_FAULTS)
		collateral->faults[collateral->fault_count++] = (struct bulla_dcap_fault){(uint8_t)factor, text};
}

/* What one reading knows already: a root that is an anchor, and the signer of the text before, each with its key. */
struct reading {
	const struct bulla_attest_anchors *anchors;
	struct bulla_buf *memory;
	bulla_bytes root, pem; /* the root's DER; the text of the last chain that held */
	struct bulla_verify_key *root_key, *signer_key;
	struct bulla_dcap_signer signer;
};

/* A root that its key must answer for: a published one did before. */
static bool self_signed(const struct bulla_cert *root, const bulla_digest *der, struct bulla_verify_key *key)
{
	return bulla_attest_root_is_known(der) || bulla_cert_signed_by(root, key) == BULLA_OK;
}

static bool is_anchor(const struct bulla_attest_anchors *anchors, const struct bulla_cert *root,
	struct bulla_verify_key *key)
{
	bulla_digest der, spki;

	bulla_sha256(root->der, &der);
	bulla_sha256(root->spki, &spki);
	for (size_t i = 0; i < anchors->count; i++) {
		const struct bulla_attest_anchor *anchor = &anchors->list[i];
		bool by_certificate = anchor->how == BULLA_ANCHOR_CERTIFICATE, by_key = anchor->how == BULLA_ANCHOR_KEY;
		bulla_bytes found = bulla_bytes_digest(by_certificate ? &der : &spki);

		if (anchor->tee == BULLA_TEE_TDX && (by_certificate || by_key) && bulla_bytes_eq(anchor->id, found))
			return by_certificate || self_signed(root, &der, key);
	}
	return false;
}

static bulla_rc use_root(struct reading *reading, const struct bulla_cert *root)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;

	if (reading->root_key != NULL && bulla_bytes_eq(reading->root, root->der))
		return BULLA_OK;
	BULLA_TRY(bulla_cert_key(root, &key));
	if (!is_anchor(reading->anchors, root, key))
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "a chain of the collateral does not end in the pinned root");
	bulla_verify_key_free(reading->root_key);
	reading->root_key = bulla_take(&key);
	reading->root = root->der;
	return BULLA_OK;
}

static bool is_ca(const struct bulla_cert *cert)
{
	return cert->has_basic && cert->ca && (!cert->has_usage || (cert->usage & BULLA_USAGE_CERT_SIGN) != 0);
}

/* [certificate, root] in either order. */
static bulla_rc read_pair(struct bulla_buf *memory, bulla_bytes pem, struct bulla_dcap_signer *ret)
{
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
	return BULLA_OK;
}

/* Root pinned, signature verified. The two texts usually come with the same chain: it is looked at once. */
static bulla_rc read_signer(struct reading *reading, bulla_bytes pem, struct bulla_dcap_signer *ret)
{
	struct bulla_dcap_signer signer = {0};

	if (reading->signer.present && bulla_bytes_eq(reading->pem, pem)) {
		*ret = reading->signer;
		return BULLA_OK;
	}
	BULLA_TRY(read_pair(reading->memory, pem, &signer));
	BULLA_TRY(use_root(reading, &signer.root));
	if (!is_ca(&signer.root) || !bulla_bytes_eq(signer.cert.issuer, signer.root.subject) ||
		signer.cert.alg != BULLA_ES256 || signer.cert.unknown_critical)
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "a chain of the collateral does not end in the pinned root");
	BULLA_TRY(bulla_cert_signed_by(&signer.cert, reading->root_key));
	signer.present = true;
	reading->signer_key = bulla_verify_key_free(reading->signer_key);
	reading->signer = signer;
	reading->pem = pem;
	*ret = signer;
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

static bulla_rc verify_text(struct reading *reading, bulla_bytes text, bulla_bytes signature, bulla_bytes pem,
	struct bulla_dcap_signer *ret)
{
	BULLA_TRY(read_signer(reading, pem, ret));
	if (!is_tcb_signer(&ret->cert))
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "the signer is not Intel's TCB signing certificate");
	if (reading->signer_key == NULL)
		BULLA_TRY(bulla_cert_key(&ret->cert, &reading->signer_key));
	return bulla_verify(reading->signer_key, BULLA_ES256, text, signature);
}

static void read_texts(struct reading *reading, const struct bulla_dcap_parts *parts, struct bulla_dcap_collateral *ret)
{
	if (verify_text(reading, parts->tcb_info, parts->tcb_info_signature, parts->tcb_info_chain, &ret->tcb_signer) !=
		BULLA_OK)
		fault(ret, BULLA_FACTOR_TCB_INFO_SIGNATURE, "the TCB info is not signed by Intel, or missing");
	else if (bulla_dcap_tcb_info_read(parts->tcb_info, &ret->tcb) != BULLA_OK)
		fault(ret, BULLA_FACTOR_TCB_INFO_SIGNATURE, "the TCB info is not in its form");
	if (verify_text(reading, parts->qe_identity, parts->qe_identity_signature, parts->qe_identity_chain,
		&ret->qe_signer) != BULLA_OK)
		fault(ret, BULLA_FACTOR_QE_IDENTITY_SIGNATURE, "the QE identity is not signed by Intel, or missing");
	else if (bulla_dcap_qe_identity_read(parts->qe_identity, &ret->qe) != BULLA_OK)
		fault(ret, BULLA_FACTOR_QE_IDENTITY_SIGNATURE, "the QE identity is not in its form");
}

/* Dates are checked at each appraisal: a list is verified at its own beginning here. */
static void read_crls(struct reading *reading, const struct bulla_dcap_parts *parts, struct bulla_dcap_collateral *ret)
{
	if (read_signer(reading, parts->pck_crl_chain, &ret->crl_signer) != BULLA_OK ||
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
	struct reading reading = {.anchors = anchors, .memory = memory};

	if (memory->cap - memory->n < BULLA_DCAP_CHAINS_SIZE && memory->n > 0)
		return BULLA_FAIL(BULLA_E_LIMIT, "views into the memory would move: reserve it first");
	BULLA_TRY(bulla_buf_reserve(memory, BULLA_DCAP_CHAINS_SIZE));
	*ret = (struct bulla_dcap_collateral){0};
	read_texts(&reading, parts, ret);
	read_crls(&reading, parts, ret);
	bulla_verify_key_free(reading.root_key);
	bulla_verify_key_free(reading.signer_key);
	return BULLA_OK;
}
