#pragma once
/* AMD SEV-SNP attestation reports (SEV-SNP firmware ABI 56860, ATTESTATION_REPORT), versions 2 to 5, and the certificates
 * that endorse them (57230). */
#include "attest/run.h"

#define BULLA_SNP_REPORT_SIZE 1184
#define BULLA_SNP_SIGNED_SIZE 0x2a0

/* Fields of a report: numbers and views into it. */
struct bulla_snp_report {
	bulla_bytes raw;
	uint32_t version, guest_svn, vmpl, signature_algorithm, key_flags;
	uint64_t policy, platform_info, launch_mitigations, current_mitigations;
	bulla_bytes family_id, image_id, report_data, measurement, host_data, id_key_digest, author_key_digest, report_id,
		report_id_ma, chip_id;
	bulla_bytes current_tcb, reported_tcb, committed_tcb, launch_tcb; /* 8 bytes each */
	uint8_t cpu_family, cpu_model, cpu_stepping;                     /* version 3 and later */
};

/* Signer kinds: key_flags bits 4:2. */
enum bulla_snp_signer { BULLA_SNP_VCEK = 0, BULLA_SNP_VLEK = 1, BULLA_SNP_NO_KEY = 7 };

/* Processor generations: how a TCB is laid out, and how certificates name them. */
struct bulla_snp_generation {
	const char *name; /* "Milan" */
	bool has_fmc;     /* Turin and later: FMC, BL, TEE, SNP, -, -, -, microcode; before: BL, TEE, -, -, -, -, SNP, microcode */
};

/* What a VCEK or VLEK certificate says. */
struct bulla_snp_endorsement {
	enum bulla_snp_signer signer;
	const struct bulla_snp_generation *generation;
	struct bulla_snp_tcb tcb;
	bulla_bytes hardware_id; /* VCEK */
	bulla_bytes csp_id;      /* VLEK */
};

/* Splits a report of exactly BULLA_SNP_REPORT_SIZE bytes; nothing but the size is judged. BULLA_E_TRUNCATED, _TRAILING. */
BULLA_CHECK bulla_rc bulla_snp_read(bulla_bytes bytes, struct bulla_snp_report *ret);

/* By CPUID family and model; NULL for an unknown one. */
const struct bulla_snp_generation *bulla_snp_generation_of_cpu(unsigned family, unsigned model);
/* By the name in a certificate: "Milan", "Milan-B0". */
const struct bulla_snp_generation *bulla_snp_generation_of_name(bulla_bytes name);

/* The eight bytes of a TCB version as this generation lays them out (AMD 56860, TCB_VERSION); the caller has checked the
 * size. At least: in every part. */
struct bulla_snp_tcb bulla_snp_tcb_of(const struct bulla_snp_generation *generation, bulla_bytes bytes);
bool bulla_snp_tcb_at_least(struct bulla_snp_tcb tcb, struct bulla_snp_tcb least);
bool bulla_snp_tcb_equal(struct bulla_snp_tcb a, struct bulla_snp_tcb b);

/* AMD's extensions of a leaf certificate. BULLA_E_FORMAT when one is missing or not in its form. */
BULLA_CHECK bulla_rc bulla_snp_endorsement_read(const struct bulla_cert *leaf, struct bulla_snp_endorsement *ret);

/* Picks the leaf that fits the report, its issuer and root out of the collateral (certificates and GHCB table) and AMD's
 * published certificates, root first. False: recorded why. */
bool bulla_snp_pick_chain(struct bulla_attest_run *run, const struct bulla_snp_report *report, struct bulla_cert ret[3]);

/* Form, chain, signature and all rules that are AMD's own; not freshness, binding and measurements. True when the report
 * may be believed. */
bool bulla_snp_judge(struct bulla_attest_run *run, bulla_bytes bytes, struct bulla_snp_report *ret);
