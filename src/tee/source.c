#include "tee/source.h"

#include "crypto/hash.h"
#include "tee/evidence_files.h"

#define TSM_TRIES 50
#define KERNEL_LEVEL (-1) /* the kernel's own privilege level */
#define RTMR3 "/sys/class/misc/tdx_guest/measurements/rtmr3:sha384"
#define PART 32

static enum bulla_tee probe_nsm(const struct bulla_source *source)
{
	return source->nsm.call != NULL ? BULLA_TEE_NITRO : BULLA_TEE_NONE;
}

static bulla_rc make_nsm(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER], bulla_bytes nonce,
	bulla_bytes public_key, struct bulla_evidence *ret)
{
	return bulla_nsm_attest(&source->nsm, bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER), nonce, public_key, &ret->report);
}

static enum bulla_tee probe_tsm(const struct bulla_source *source)
{
	enum bulla_tee tee = BULLA_TEE_NONE;
	bulla_rc rc = bulla_evidence_tsm_provider(source->root, &tee);

	return rc == BULLA_OK ? tee : BULLA_TEE_NONE;
}

static bulla_rc make_tsm(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER], bulla_bytes nonce,
	bulla_bytes public_key, struct bulla_evidence *ret)
{
	(void)nonce; /* it is in the binder */
	(void)public_key;
	return bulla_evidence_tsm(source->root, binder, KERNEL_LEVEL, TSM_TRIES, ret);
}

/* TDX: the kernel extends RTMR3 by what is written. Others have no register for the guest. */
static bulla_rc measure_tsm(const struct bulla_source *source, bulla_bytes digest)
{
	uint8_t hash[BULLA_SHA384_SIZE];

	if (source->tee != BULLA_TEE_TDX)
		return BULLA_OK;
	bulla_sha384(digest, hash);
	return bulla_evidence_write(source->root, RTMR3, BULLA_BYTES_ARRAY(hash));
}

static enum bulla_tee probe_gramine(const struct bulla_source *source)
{
	return bulla_evidence_exists(source->root, "/dev/attestation/quote") ? BULLA_TEE_SGX : BULLA_TEE_NONE;
}

static bulla_rc make_gramine(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret)
{
	(void)nonce;
	(void)public_key;
	return bulla_evidence_gramine(source->root, binder, ret);
}

static enum bulla_tee probe_azure(const struct bulla_source *source)
{
	enum bulla_tee tee = BULLA_TEE_NONE;
	bulla_rc rc = source->tpm.call == NULL ? BULLA_E_NOT_FOUND : bulla_evidence_azure_kind(&source->tpm, &tee);

	return rc == BULLA_OK ? tee : BULLA_TEE_NONE;
}

static bulla_rc make_azure(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret)
{
	(void)public_key;
	return bulla_evidence_azure(&source->tpm, source->quotes, bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER), nonce, ret);
}

static const struct bulla_source_ops table[] = {
	{"nsm", probe_nsm, make_nsm, NULL, true},
	{"dev", probe_nsm, make_nsm, NULL, true},
	{"tsm", probe_tsm, make_tsm, measure_tsm, false},
	{"gramine", probe_gramine, make_gramine, NULL, false},
	{"azure", probe_azure, make_azure, NULL, false},
};

bulla_rc bulla_source_open(const char *how, const char *root, const struct bulla_nsm *nsm, const struct bulla_tpm *tpm,
	struct bulla_source *ret)
{
	bool any = bulla_bytes_eq_str(bulla_bytes_str(how), "auto"), known = any;
	struct bulla_source source = {.root = root, .quotes = BULLA_EVIDENCE_QUOTE_SERVICE};

	if (nsm != NULL)
		source.nsm = *nsm;
	if (tpm != NULL)
		source.tpm = *tpm;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!any && !bulla_bytes_eq_str(bulla_bytes_str(how), table[i].name))
			continue;
		known = true;
		source.tee = table[i].probe(&source);
		if (source.tee == BULLA_TEE_NONE)
			continue;
		source.ops = &table[i];
		*ret = source;
		return BULLA_OK;
	}
	return known ? BULLA_FAIL(BULLA_E_NOT_FOUND, "there is no such source of evidence here")
	             : BULLA_FAIL(BULLA_E_ARGUMENT, "evidence comes from: auto, dev, nsm, tsm, gramine, azure");
}

bulla_bytes bulla_source_word(const struct bulla_source *source)
{
	return bulla_bytes_str(bulla_tee_name(source->tee));
}

bulla_rc bulla_source_make(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret)
{
	if (public_key.n > 0 && !source->ops->carries_key)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "this TEE's evidence has no place for a public key");
	bulla_buf_clear(&ret->report);
	bulla_buf_clear(&ret->aux);
	return source->ops->make(source, binder, nonce, public_key, ret);
}

bulla_rc bulla_source_measure(const struct bulla_source *source, const bulla_digest *manifest, bulla_bytes bundles)
{
	if (source->ops->measure == NULL)
		return BULLA_OK;
	BULLA_TRY(source->ops->measure(source, bulla_bytes_digest(manifest)));
	for (size_t at = 0; at + PART <= bundles.n; at += PART)
		BULLA_TRY(source->ops->measure(source, bulla_bytes_of(bundles.p + at, PART)));
	return BULLA_OK;
}
