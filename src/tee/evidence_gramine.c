#include "tee/source.h"

#include "tee/evidence_files.h"

#define FOLDER "/dev/attestation"
#define QUOTE_MAX 16384
#define REPORT_DATA_AT (48 + 320)

bulla_rc bulla_evidence_gramine(const char *root, const uint8_t binder[BULLA_EVIDENCE_BINDER], struct bulla_evidence *ret)
{
	BULLA_AUTO_BUF type;
	bulla_bytes wanted = bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER);

	bulla_buf_init(&type, 64);
	BULLA_TRY(bulla_evidence_read(root, FOLDER "/attestation_type", &type));
	if (type.n > 0 && type.p[type.n - 1] == '\n')
		type.n--;
	if (!bulla_bytes_eq_str(bulla_buf_view(&type), "dcap"))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "Gramine is not set up for DCAP quotes");
	BULLA_TRY(bulla_evidence_write(root, FOLDER "/user_report_data", wanted));
	ret->report.max = QUOTE_MAX;
	BULLA_TRY(bulla_evidence_read(root, FOLDER "/quote", &ret->report));
	bulla_buf_clear(&ret->aux);
	ret->tee = BULLA_TEE_SGX;
	if (ret->report.n < REPORT_DATA_AT + BULLA_EVIDENCE_BINDER)
		return BULLA_FAIL(BULLA_E_FORMAT, "the quote is too short");
	if (!bulla_bytes_eq(bulla_bytes_of(ret->report.p + REPORT_DATA_AT, BULLA_EVIDENCE_BINDER), wanted))
		return BULLA_FAIL(BULLA_E_BINDER, "the quote carries something else than was asked for");
	return BULLA_OK;
}

/* --- as a source --- */

static bulla_rc open_gramine(struct bulla_source *source)
{
	source->tee = BULLA_TEE_SGX;
	return bulla_evidence_exists(source->root, FOLDER "/quote") ? BULLA_OK
		: BULLA_FAIL(BULLA_E_NOT_FOUND, "Gramine gives no quotes here");
}

static bulla_rc make_gramine(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret)
{
	(void)nonce; /* it is in the binder */
	(void)public_key;
	return bulla_evidence_gramine(source->root, binder, ret);
}

const struct bulla_source_ops bulla_source_gramine = {.open = open_gramine, .make = make_gramine};
