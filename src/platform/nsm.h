#pragma once
/* The security module of one development enclave: registers and signed documents, by the requests of /dev/nsm (the table
 * is in tee/nsm.h). Pure but for clock and random; the socket is the supervisor's. */
#include "cose/nitro_doc.h"
#include "platform/pki.h"

#define BULLA_DEV_MODULE_ID 40

struct bulla_dev_nsm {
	const struct bulla_dev_pki *pki;
	const struct bulla_clock *clock;
	const struct bulla_random *random;
	char module_id[BULLA_DEV_MODULE_ID + 1];
	uint8_t pcrs[BULLA_NITRO_PCRS][BULLA_NITRO_PCR_SIZE];
	uint32_t locked; /* bit n: register n; 0 to 15 are from the start */
	struct bulla_dev_chain chain;
};

/* Registers zero but PCR0..2, which are what was measured; a new module id. pki, clock, random are borrowed. */
BULLA_CHECK bulla_rc bulla_dev_nsm_init(struct bulla_dev_nsm *nsm, const struct bulla_dev_pki *pki,
	const struct bulla_clock *clock, const struct bulla_random *random,
	const uint8_t measured[3][BULLA_NITRO_PCR_SIZE]);
void bulla_dev_nsm_done(struct bulla_dev_nsm *nsm);

/* Answers one request (appends to ret). A request that is no request gets {"Error": "InvalidArgument"}; what the module
 * refuses gets the error that the real one gives. Errors are returned only when the platform itself cannot answer. */
BULLA_CHECK bulla_rc bulla_dev_nsm_answer(struct bulla_dev_nsm *nsm, bulla_bytes request, struct bulla_buf *ret);
