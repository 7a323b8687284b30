#pragma once
/* A Milan machine of our own: report, VCEK, and the chain above it. */
#include "attest/attest.h"
#include "pki.h"

#define AMD "1.3.6.1.4.1.3704.1."

struct snp_lab {
	struct pki_cert root, issuer, leaf;
	uint8_t report[1184];
	uint8_t chip[64];
	bulla_digest anchor_id;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_collateral collateral;
	struct bulla_attest_time time;
	struct bulla_attest_result result;
	int64_t now;  /* Unix seconds */
	bool resign; /* false: leave the signature as it is */
	struct pki_extension extensions[9];
	size_t extension_count;
	uint8_t data[64];
};

/* Keys, certificates, and everything else as it must be. */
void snp_lab_open(struct snp_lab *lab, int64_t now);
void snp_lab_unchain(struct snp_lab *lab);

/* The parts of open: fields of the report; the VCEK's extensions; certificates; expectations. */
void snp_lab_report(struct snp_lab *lab);
void snp_lab_extensions(struct snp_lab *lab);
void snp_lab_chain(struct snp_lab *lab, const char *root_cn, const char *issuer_cn);
void snp_lab_expect(struct snp_lab *lab);

/* Signs the report as it stands. */
void snp_lab_sign(struct snp_lab *lab);

/* Signs, unless `resign` is false, and appraises. */
bulla_rc snp_lab_judge(struct snp_lab *lab);

/* At the end: the keys are shared by all labs. */
void snp_lab_free_keys(void);
