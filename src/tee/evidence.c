#include "tee/evidence.h"

#include "tee/evidence_files.h"

#define REPORT_MAX 65536

void bulla_evidence_init(struct bulla_evidence *ret)
{
	ret->tee = BULLA_TEE_NONE;
	bulla_buf_init(&ret->report, REPORT_MAX);
	bulla_buf_init(&ret->aux, REPORT_MAX);
}

void bulla_evidence_done(struct bulla_evidence *evidence)
{
	bulla_buf_done(&evidence->report);
	bulla_buf_done(&evidence->aux);
}

enum bulla_tee bulla_evidence_detect(const char *root)
{
	static const struct {
		const char *path;
		enum bulla_tee tee;
	} places[] = {
		{"/dev/nsm", BULLA_TEE_NITRO},
		{"/dev/sev-guest", BULLA_TEE_SNP},
		{"/dev/tdx_guest", BULLA_TEE_TDX},
		{"/dev/attestation/quote", BULLA_TEE_SGX},
		{"/sys/kernel/config/tsm/report", BULLA_TEE_SNP},
		{"/dev/tpmrm0", BULLA_TEE_AZ_SNP},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (bulla_evidence_exists(root, places[i].path))
			return places[i].tee;
	return BULLA_TEE_NONE;
}
