#pragma once
/* The verifier: evidence in, appraisal out. Pure: no I/O, no clock, no allocation, no globals; the caller's expectations
 * are arguments and none may be left out. Works alone: base, wire, crypto and cose are all it needs (architecture.md
 * section 5). RFC 9334 gives the words: evidence, endorsements (here: collateral), reference values, appraisal. */
#include "base/bytes.h"

/* What made the evidence, as its signature chain shows it; never taken from a label. */
enum bulla_tee {
	BULLA_TEE_NONE = 0,
	BULLA_TEE_DEV = 1,      /* Nitro's format under a development anchor, whoever signed: `dev` or `emulator` class */
	BULLA_TEE_NITRO = 2,    /* AWS Nitro Enclaves */
	BULLA_TEE_NITROTPM = 3, /* EC2 NitroTPM: same root, another thing; never satisfies an enclave policy */
	BULLA_TEE_SNP = 4,      /* AMD SEV-SNP */
	BULLA_TEE_TDX = 5,      /* Intel TDX */
	BULLA_TEE_SGX = 6,      /* Intel SGX (DCAP) */
	BULLA_TEE_AZ_SNP = 7,   /* Azure confidential VM on SNP: HCL report and vTPM quote */
	BULLA_TEE_AZ_TDX = 8,   /* Azure confidential VM on TDX */
	BULLA_TEE_PSA = 9,      /* ARM PSA (RFC 9783) */
	BULLA_TEE_CCA = 10,     /* ARM CCA */
	BULLA_TEE_COUNT
};
#define BULLA_TEE_BIT(tee) (UINT32_C(1) << (tee))

/* "nitro", "sev-snp", ...; "none". Static strings. */
const char *bulla_tee_name(enum bulla_tee tee);
enum bulla_tee bulla_tee_from_name(bulla_bytes name);

/* How much the signature is worth; a property of the anchor, in rising order. Zero is "not accepted by anything". */
enum bulla_assurance { BULLA_ASSURANCE_NONE, BULLA_ASSURANCE_DEV, BULLA_ASSURANCE_EMULATOR, BULLA_ASSURANCE_HARDWARE };

/* A literal, as results show it: `hardware`, `emulator`, `dev`, `none`. */
const char *bulla_assurance_name(enum bulla_assurance assurance);

/* ---- trust anchors ---- */
enum bulla_anchor_how {
	BULLA_ANCHOR_CERTIFICATE = 1, /* id = SHA-256 of the root certificate's DER */
	BULLA_ANCHOR_KEY = 2,         /* id = SHA-256 of the root's SubjectPublicKeyInfo; its self-signature is checked */
	BULLA_ANCHOR_DEVICE = 3,      /* PSA, CCA: id = instance id (33 bytes), key = endorsed SPKI DER */
	BULLA_ANCHOR_SECRET = 4,      /* PSA under COSE_Mac0: id = instance id, key = HMAC-SHA-256 key, which the verifier shares */
};

/* As the id of a DEVICE or SECRET: the one key counts for whatever instance a token names. For a key that somebody handed in for one
 * device; never from a manifest or a store of many devices, where each key must stand for its own instance alone. */
#define BULLA_ANCHOR_ANY_INSTANCE ((bulla_bytes){NULL, 0})

struct bulla_attest_anchor {
	uint8_t tee;       /* enum bulla_tee; NITRO stands for NITROTPM, SNP for AZ_SNP, TDX for SGX and AZ_TDX too */
	uint8_t assurance; /* enum bulla_assurance of what chains to it */
	uint8_t how;       /* enum bulla_anchor_how */
	bulla_bytes id;
	bulla_bytes key;
};

struct bulla_attest_anchors {
	const struct bulla_attest_anchor *list;
	size_t count; /* <= 64 */
};

/* The vendors' roots (AWS Nitro G1, AMD Milan, Genoa, Turin, Intel SGX Root CA), all of hardware class. */
struct bulla_attest_anchors bulla_attest_vendor_anchors(void);

/* ---- collateral: what the untrusted side fetched; every byte is checked ---- */
struct bulla_dcap_collateral; /* attest/dcap.h: read once, used many times */

#define BULLA_ATTEST_CERTIFICATES 8
#define BULLA_ATTEST_CRLS 4

struct bulla_attest_collateral {
	bulla_bytes certificates[BULLA_ATTEST_CERTIFICATES]; /* DER, any order: VCEK or VLEK, ASK or ASVK, ARK */
	size_t certificate_count;
	bulla_bytes certificate_table; /* SNP: GHCB table (configfs-tsm auxblob) */
	bulla_bytes crls[BULLA_ATTEST_CRLS]; /* SNP: DER lists of the ARK */
	size_t crl_count;
	const struct bulla_dcap_collateral *dcap; /* TDX, SGX */
	bulla_bytes event_log;                    /* TDX: CCEL table data */
};

/* ---- policy and expectations ---- */

/* One value that a claim must have. */
struct bulla_attest_value {
	uint16_t claim; /* enum bulla_claim */
	uint16_t index; /* register number, else 0 */
	bulla_bytes value;
};

/* One accepted image: all its values must match. */
struct bulla_attest_reference {
	const struct bulla_attest_value *values;
	size_t count;
};

/* Either a value or an explicit word that any will do. A zeroed one is "forgotten" and makes appraise refuse. */
enum bulla_expect_how { BULLA_EXPECT_FORGOTTEN, BULLA_EXPECT_VALUE, BULLA_EXPECT_ANY };

struct bulla_attest_expected {
	uint8_t how; /* enum bulla_expect_how; ANY is reported as "not checked" */
	bulla_bytes value;
};

#define BULLA_EXPECT_ANYTHING ((struct bulla_attest_expected){BULLA_EXPECT_ANY, {NULL, 0}})
#define BULLA_EXPECT_BYTES(bytes_) ((struct bulla_attest_expected){BULLA_EXPECT_VALUE, (bytes_)})

/* To what the evidence must be bound. Nitro has three fields; the others have one, the binder (64 bytes; a shorter
 * value must be followed by zeros), and the vTPM's nonce. */
struct bulla_attest_binding {
	struct bulla_attest_expected binder;     /* user_data, REPORT_DATA, challenge: attest/binder.h makes it */
	struct bulla_attest_expected nonce;      /* Nitro, vTPM quote */
	struct bulla_attest_expected public_key; /* Nitro: SPKI DER */
	struct bulla_attest_expected manifest;   /* 32-byte digest that PCR16 (TDX: RTMR3) was extended with, alone */
	struct bulla_attest_expected bundles;    /* concatenated 32-byte digests that PCR17 was extended with, in order */
};

enum bulla_attest_clock {
	BULLA_CLOCK_FORGOTTEN,
	BULLA_CLOCK_ONLINE, /* everything is judged at `now`, the time of a running clock */
	BULLA_CLOCK_AT,     /* the same at any `now` that the caller names: as if it were then */
	BULLA_CLOCK_AUDIT,  /* certificates are judged at the evidence's own signed time where it has one (Nitro); that time
			     * must lie within `skew_ms` of `now`, which is the receipt's or the log's. Otherwise at `now` */
};

struct bulla_attest_time {
	int64_t now_ms; /* ms since 1970 */
	uint8_t clock;  /* enum bulla_attest_clock */
};

/* Parts of an SNP TCB; also minima. FMC exists from Turin on. */
struct bulla_snp_tcb {
	uint8_t fmc, bootloader, tee, snp, microcode;
};

struct bulla_snp_policy {
	struct bulla_snp_tcb minimum;
	uint64_t guest_policy_refused;  /* bits of POLICY that must be 0 beside debug and migration */
	uint64_t guest_policy_demanded; /* bits that must be 1 */
	uint64_t platform_refused;      /* bits of PLATFORM_INFO */
	uint64_t platform_demanded;     /* e.g. bit 5: alias check done (BadRAM) */
	uint64_t mitigations_demanded;  /* bits of CURRENT_MIT_VECTOR (version 5) */
	uint32_t guest_svn_minimum;
	uint8_t vmpls;     /* bit n: VMPL n is accepted; 0 = only VMPL 0 */
	uint8_t abi_major, abi_minor;
	bool allow_migration;
	bool allow_masked_chip; /* CHIP_ID zero under a VCEK (MASK_CHIP_KEY) */
	const bulla_bytes *csps; /* accepted CSP ids of VLEK certificates; none: VLEK refused */
	size_t csp_count;
	bool any_csp;            /* explicit: any cloud provider; reported as not checked */
};

/* TCB statuses of Intel's matching rules, worst last. */
enum bulla_tcb_status {
	BULLA_TCB_UP_TO_DATE,
	BULLA_TCB_SW_HARDENING_NEEDED,
	BULLA_TCB_CONFIGURATION_NEEDED,
	BULLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
	BULLA_TCB_RELAUNCH_ADVISED,
	BULLA_TCB_RELAUNCH_ADVISED_CONFIGURATION_NEEDED,
	BULLA_TCB_OUT_OF_DATE,
	BULLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
	BULLA_TCB_REVOKED,
	BULLA_TCB_UNKNOWN,
};
#define BULLA_TCB_BIT(status) (UINT32_C(1) << (status))

struct bulla_dcap_policy {
	uint32_t statuses;                 /* BULLA_TCB_BIT of each accepted one; 0 = only UpToDate */
	uint32_t evaluation_minimum;       /* tcbEvaluationDataNumber */
	const bulla_bytes *advisories;     /* accepted "INTEL-SA-nnnnn"; NULL with any_advisory */
	size_t advisory_count;
	bool any_advisory;
	bool without_collateral;           /* verify signatures only; the TCB factors are reported as not checked */
	bool allow_no_sept_ve_disable;     /* Azure's TDs have it clear */
	uint64_t attributes_refused;       /* further TD attribute bits that must be 0 */
	uint64_t xfam_refused;
	const bulla_bytes *service_tds;    /* accepted MRSERVICETD values; zero is always accepted */
	size_t service_td_count;
	bool any_service_td; /* explicit: whichever is bound; reported as not checked */
	uint16_t isvsvn_minimum;
	bool demand_event_log;
};

struct bulla_psa_policy {
	bool allow_legacy_profile; /* PSA_IOT_PROFILE_1 */
	bool allow_test_keys;      /* published keys of TF-M, TF-RMM, OP-TEE: tests only */
	const bulla_bytes *implementations; /* accepted implementation ids; none: any */
	size_t implementation_count;
};

struct bulla_attest_policy {
	uint32_t tees;      /* BULLA_TEE_BIT of each accepted one; 0 is an error */
	uint8_t assurance;  /* least enum bulla_assurance; NONE is an error */
	bool allow_debug;
	bool strict;        /* unknown fields are refused */
	uint64_t generation; /* names this policy in the cache: another number never sees the other's entries */
	int64_t max_age_ms; /* of evidence with a signed time; <= 0 is an error */
	int64_t skew_ms;    /* clocks may differ by this much, default 60 s */
	const struct bulla_attest_reference *references; /* one of these must match, all its values */
	size_t reference_count;
	bool any_measurement; /* explicit: no reference; reported as not checked */
	const struct bulla_attest_value *required; /* each must match, whatever the image */
	size_t required_count;
	const bulla_bytes *platforms; /* accepted CHIP_ID, PPID, instance (module id's "i-..." part), instance id; none: any */
	size_t platform_count;
	struct bulla_snp_policy snp;
	struct bulla_dcap_policy dcap;
	struct bulla_psa_policy psa;
};

/* A policy that is strict about everything, accepts no TEE and no measurement yet: fill tees, assurance, references.
 * Ages 300 s, skew 60 s. */
void bulla_attest_policy_init(struct bulla_attest_policy *ret);

/* ---- the appraisal ---- */
enum bulla_factor {
#define BULLA_FACTOR(name, id, rc, text) BULLA_FACTOR_##name,
#include "attest/factors.def"
#undef BULLA_FACTOR
	BULLA_FACTOR_COUNT
};

enum bulla_factor_state {
	BULLA_FACTOR_NONE, /* not a rule of this TEE */
	BULLA_FACTOR_HELD,
	BULLA_FACTOR_FAILED,
	BULLA_FACTOR_NOT_CHECKED,
};

/* Why a factor was not checked. */
enum bulla_factor_why {
	BULLA_WHY_NONE,
	BULLA_WHY_NOT_REACHED,   /* an earlier factor failed */
	BULLA_WHY_POLICY_ANY,    /* the caller said that any value will do */
	BULLA_WHY_NO_COLLATERAL, /* the caller gave none and said so */
	BULLA_WHY_NO_SUCH_FIELD, /* this version of the format has no such field */
	BULLA_WHY_COUNT
};

struct bulla_factor_result {
	uint8_t state; /* enum bulla_factor_state */
	uint8_t why;   /* enum bulla_factor_why */
	uint32_t at;   /* failed: byte offset in the evidence (in the named collateral for collateral's factors) */
	const char *text; /* failed: what exactly, a literal */
};

enum bulla_claim {
#define BULLA_CLAIM(name, id, print) BULLA_CLAIM_##name,
#include "attest/claims.def"
#undef BULLA_CLAIM
	BULLA_CLAIM_COUNT
};

enum bulla_claim_print { BULLA_PRINT_TEXT, BULLA_PRINT_HEX, BULLA_PRINT_NUMBER, BULLA_PRINT_TIME, BULLA_PRINT_FLAGS };

struct bulla_attest_claim {
	uint16_t id;       /* enum bulla_claim */
	uint16_t index;
	uint32_t at;       /* byte offset in the evidence */
	bulla_bytes bytes; /* borrowed from the evidence, the collateral, or a literal */
	uint64_t number;   /* of NUMBER, TIME and FLAGS claims */
};

#define BULLA_ATTEST_CLAIMS 96
#define BULLA_ATTEST_KEPT 12288

struct bulla_attest_result {
	bulla_rc rc;       /* BULLA_OK, or the rc of the first failed factor in the list's order of severity */
	uint8_t tee;       /* enum bulla_tee */
	uint8_t assurance; /* enum bulla_assurance; NONE unless the signature holds */
	bool accepted;     /* rc == BULLA_OK: every factor held, or was left unchecked on the caller's explicit word */
	uint16_t failed;   /* enum bulla_factor of the first failed, BULLA_FACTOR_COUNT when none */
	int64_t time_ms;   /* at which time certificates were judged */
	int64_t valid_to_ms; /* when the first thing it rests on expires: the appraisal lapses then */
	struct bulla_factor_result factors[BULLA_FACTOR_COUNT];
	struct bulla_attest_claim claims[BULLA_ATTEST_CLAIMS];
	size_t claim_count;
	uint8_t kept[BULLA_ATTEST_KEPT]; /* what claims borrow that is not in the input as it stands: decoded text */
	size_t kept_size;
};

struct bulla_attest_cache; /* attest/cache.h */

/* Appraises. *ret is always written in full and borrows from evidence, collateral and itself: it is not copied. Returns
 * ret->rc, except BULLA_E_ARGUMENT when an expectation is missing: then nothing was looked at. cache may be NULL. Evidence is
 * at most
 * BULLA_MAX_EVIDENCE bytes; it may be wrapped in a CMW record (RFC 9999), which is only an envelope: its label is
 * compared with what the evidence turns out to be. Stack: below 64 KiB. */
BULLA_CHECK bulla_rc bulla_attest_appraise(bulla_bytes evidence, const struct bulla_attest_collateral *collateral,
	const struct bulla_attest_anchors *anchors, const struct bulla_attest_policy *policy,
	const struct bulla_attest_binding *binding, struct bulla_attest_time time, struct bulla_attest_cache *cache,
	struct bulla_attest_result *ret);

/* What is wrong with the form of bytes that were read. */
struct bulla_form_fault {
	enum bulla_factor factor;
	size_t at;        /* offset in what was read */
	const char *text; /* a literal; NULL: nothing is wrong */
};

/* What the bytes look like before anything is checked: where a nonce would be, which collateral to look for. A guess. */
enum bulla_tee bulla_attest_guess(bulla_bytes evidence);

/* The evidence without the one CMW record (RFC 9999, CBOR) that may be around it: a view, unchecked. */
bulla_bytes bulla_attest_inside(bulla_bytes evidence);

/* The media type of an envelope (RFC 9999) around this evidence; NULL for bytes of no known kind. A literal. */
const char *bulla_attest_media_type(bulla_bytes evidence);

/* Whether the media type of an envelope (RFC 9999) may stand around this evidence: false when it is one of ours, of another
 * kind; labels of others and bytes of no known kind fit. Also for a reader of envelopes of its own. */
BULLA_CHECK bool bulla_attest_label_fits(bulla_bytes label, bulla_bytes evidence);

/* True for kinds whose evidence has a nonce beside the binder; for the others the nonce is the binder, or a part of it. */
bool bulla_attest_has_nonce(enum bulla_tee tee);

/* The first claim of this id and index, or NULL. */
const struct bulla_attest_claim *bulla_attest_find(const struct bulla_attest_result *result, enum bulla_claim id,
	unsigned index);

/* Static strings: "chain-dates", what holds; "not reached", ...; "pcr". */
const char *bulla_factor_name(enum bulla_factor factor);
const char *bulla_factor_text(enum bulla_factor factor);
bulla_rc bulla_factor_rc(enum bulla_factor factor);
const char *bulla_factor_why_text(enum bulla_factor_why why);
const char *bulla_claim_name(enum bulla_claim claim);
enum bulla_claim_print bulla_claim_print(enum bulla_claim claim);
/* BULLA_CLAIM_COUNT when there is none of this name. */
enum bulla_claim bulla_claim_from_name(bulla_bytes name);
const char *bulla_tcb_status_name(enum bulla_tcb_status status);
