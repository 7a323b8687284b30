#pragma once
/* PSA and CCA devices of our own. */
#include "attest/psa.h"
#include "pki.h"

struct arm_lab {
	EVP_PKEY *device, *realm;
	uint8_t id[33], nonce[64], spki[256], realm_point[97];
	size_t spki_size;
	uint64_t lifecycle;
	const char *profile;
	int64_t alg;
	bool mac, cwt;        /* COSE_Mac0; inside of tag 61 */
	bulla_bytes find, put; /* replaced in the platform's claims before they are signed */
	bulla_bytes realm_find, realm_put; /* the same in the realm's */
	uint64_t half_format; /* CCA: halves as CMW records of this content format; 0: byte strings */
	bool twice, unknown, no_nonce, unbound, realm_signed_by_other;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_result result;
	struct bulla_buf token;
};

/* Keys, and everything else as it must be: PSA or CCA. */
void arm_lab_open(struct arm_lab *lab, enum bulla_tee tee);
void arm_lab_close(struct arm_lab *lab);

/* Makes a token of the fields and appraises it. */
bulla_rc arm_lab_psa(struct arm_lab *lab);
bulla_rc arm_lab_cca(struct arm_lab *lab);

/* One of the two alone. */
bulla_rc arm_lab_appraise(struct arm_lab *lab);
void arm_lab_make_cca(struct arm_lab *lab);
