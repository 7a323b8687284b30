#include "tee/evidence.h"

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
