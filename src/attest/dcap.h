#pragma once
/* Intel's collateral for TDX and SGX quotes: TCB info, QE identity, revocation lists (PCS v4). Read once into a plain
 * struct, used for many quotes. Signatures are verified while reading; dates, revocation and levels at each appraisal.
 * Faults do not stop the reading: they are kept by name and fail the appraisals that use it. */
#include "attest/attest.h"
#include "base/buf.h"
#include "crypto/x509.h"

/* The parts, as PCS gives them; any may be empty (its factors then fail). */
struct bulla_dcap_parts {
	bulla_bytes tcb_info;           /* JSON of the inner object, exactly as signed */
	bulla_bytes tcb_info_signature; /* 64 bytes */
	bulla_bytes tcb_info_chain;     /* PEM: TCB signing certificate, root */
	bulla_bytes qe_identity;
	bulla_bytes qe_identity_signature;
	bulla_bytes qe_identity_chain;
	bulla_bytes pck_crl; /* DER */
	bulla_bytes pck_crl_chain; /* PEM: PCK CA, root */
	bulla_bytes root_crl; /* DER */
};

#define BULLA_DCAP_CHAINS_SIZE 24576 /* memory for the decoded certificates of three chains */
#define BULLA_DCAP_LEVELS 48
#define BULLA_DCAP_MODULES 16
#define BULLA_DCAP_SVN_LEVELS 16
#define BULLA_DCAP_ADVISORIES 16
#define BULLA_DCAP_FAULTS 8

/* Level of a QE identity or TDX module: reached when the SVN is at least isvsvn. */
struct bulla_dcap_svn_level {
	uint16_t isvsvn;
	uint8_t status;         /* enum bulla_tcb_status */
	bulla_bytes advisories; /* JSON array, empty when absent */
};

struct bulla_dcap_level {
	uint8_t sgx[16];
	uint8_t tdx[16];
	uint16_t pcesvn;
	uint8_t status;
	bulla_bytes date;
	bulla_bytes advisories;
};

struct bulla_dcap_module {
	uint8_t version; /* of id "TDX_03" */
	uint8_t mrsigner[48], attributes[8], mask[8];
	struct bulla_dcap_svn_level levels[BULLA_DCAP_SVN_LEVELS];
	size_t level_count;
};

struct bulla_dcap_tcb_info {
	bool present, tdx;
	int64_t issued, next; /* Unix seconds */
	uint8_t fmspc[6], pceid[2];
	uint32_t evaluation;
	bool has_module; /* tdxModule: what TDX module version 0 must be */
	struct bulla_dcap_module module;
	struct bulla_dcap_module modules[BULLA_DCAP_MODULES];
	size_t module_count;
	struct bulla_dcap_level levels[BULLA_DCAP_LEVELS];
	size_t level_count;
};

struct bulla_dcap_qe_identity {
	bool present, tdx;
	int64_t issued, next;
	uint32_t evaluation;
	uint8_t miscselect[4], miscselect_mask[4], attributes[16], attributes_mask[16], mrsigner[32];
	uint16_t isvprodid;
	struct bulla_dcap_svn_level levels[BULLA_DCAP_SVN_LEVELS];
	size_t level_count;
};

struct bulla_dcap_fault {
	uint8_t factor;
	const char *text;
};

/* A verified signing chain: root, signer. */
struct bulla_dcap_signer {
	bool present;
	struct bulla_cert root, cert;
};

struct bulla_dcap_collateral {
	struct bulla_dcap_tcb_info tcb;
	struct bulla_dcap_qe_identity qe;
	struct bulla_dcap_signer tcb_signer, qe_signer, crl_signer; /* crl_signer.cert: the PCK CA */
	struct bulla_crl pck_crl, root_crl;
	bool has_pck_crl, has_root_crl;
	struct bulla_dcap_fault faults[BULLA_DCAP_FAULTS];
	size_t fault_count;
};

/* Reads and verifies. Everything in *ret borrows from parts and from memory (decoded certificates; it grows by at most
 * BULLA_DCAP_CHAINS_SIZE): both must outlive *ret. anchors: the root of each chain must be a TDX anchor of them. Fails only with
 * BULLA_E_MEMORY or BULLA_E_LIMIT (memory is too small). */
BULLA_CHECK bulla_rc bulla_dcap_collateral_read(const struct bulla_dcap_parts *parts,
	const struct bulla_attest_anchors *anchors, struct bulla_buf *memory, struct bulla_dcap_collateral *ret);

/* Splits dcap-qvl's bundle (one JSON object of nine strings) into parts; CRLs and signatures are hexadecimal there. Decoded
 * bytes go to memory. Also takes PCS's own wrapping {"tcbInfo": ..., "signature": ...} when given alone through
 * bulla_dcap_unwrap. BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_dcap_bundle_read(bulla_bytes json, struct bulla_buf *memory, struct bulla_dcap_parts *ret);

/* PCS's answer {"tcbInfo": {...}, "signature": "hex"} (or "enclaveIdentity"): the raw inner object and the signature. */
BULLA_CHECK bulla_rc bulla_dcap_unwrap(bulla_bytes json, const char *name, bulla_bytes *ret_inner,
	uint8_t ret_signature[64]);

/* --- used by the appraisal --- */
BULLA_CHECK bulla_rc bulla_dcap_tcb_info_read(bulla_bytes json, struct bulla_dcap_tcb_info *ret);
BULLA_CHECK bulla_rc bulla_dcap_qe_identity_read(bulla_bytes json, struct bulla_dcap_qe_identity *ret);

/* What the platform and module are, for the level search. */
struct bulla_dcap_platform {
	const uint8_t *components; /* 16, of the PCK certificate */
	uint16_t pcesvn;
	const uint8_t *tee_tcb_svn;  /* TDX: 16; SGX: NULL */
	const uint8_t *tee_tcb_svn2; /* TD 1.5: 16; else NULL */
	uint8_t qe_status;           /* enum bulla_tcb_status */
};

struct bulla_dcap_verdict {
	const struct bulla_dcap_level *level;        /* NULL: none matches */
	const struct bulla_dcap_svn_level *module_level; /* NULL: none, or not asked */
	const struct bulla_dcap_module *module;
	uint8_t status; /* converged; UNKNOWN when no level or module matches */
};

/* Intel's matching: first level that the platform reaches, then converged with QE and module; for TD 1.5 also judged at
 * the current SVN: what is only out of date because the TD was launched earlier is TDRelaunchAdvised. */
void bulla_dcap_evaluate(const struct bulla_dcap_tcb_info *tcb, const struct bulla_dcap_platform *platform,
	struct bulla_dcap_verdict *ret);

/* The first level that svn reaches; NULL. */
const struct bulla_dcap_svn_level *bulla_dcap_svn_level_of(const struct bulla_dcap_svn_level *levels, size_t count,
	unsigned svn);
