#pragma once
/* A DCAP world of our own: root, PCK CA, PCK leaf, TCB signer, quotes and collateral under them. */
#include "attest/dcap.h"
#include "pki.h"
#include "samples.h"

#define LAB_NOW INT64_C(1795000000)
#define LAB_QUOTE_MAX 16384

struct dcap_lab {
	int64_t now; /* Unix seconds: what is dated is good then */
	struct pki_cert root, ca, pck, signer;
	EVP_PKEY *attestation;
	/* what goes into the quote */
	unsigned version;    /* 3, 4, 5 */
	bool tdx, td15;
	uint8_t body[648], qe_report[384], auth[32];
	unsigned certification_type;
	bool reverse_chain;
	/* what goes into the PCK extension */
	uint8_t components[16];
	unsigned pcesvn;
	bool short_extension; /* without FMSPC */
	/* what goes into the collateral */
	char tcb_info[8192], qe_identity[4096];
	int revoked_pck, revoked_ca;     /* serials on the lists; 0: none */
	int64_t crl_from, crl_to;
	const struct pki_cert *list_ca;  /* whose list of PCK certificates it is; NULL: ca */
	bool sign_by_pck;                /* TCB info signed by the PCK key and chain */
	/* made */
	uint8_t quote[LAB_QUOTE_MAX];
	size_t quote_size;
	struct bulla_buf memory;
	uint8_t tcb_signature[64], qe_signature[64], pck_crl[2048], root_crl[2048];
	char tcb_chain[8192], ca_chain[8192];
	struct bulla_dcap_parts parts;
	struct bulla_dcap_collateral dcap;
	bool with_collateral;
	/* expectations */
	bulla_digest anchor_id;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_collateral collateral;
	struct bulla_attest_time time;
	struct bulla_attest_result result;
};

/* Keys and certificates, and everything else as it must be: an accepted TD 1.0 quote of version 4. */
void dcap_lab_open(struct dcap_lab *lab);
void dcap_lab_open_at(struct dcap_lab *lab, int64_t now); /* the other is at LAB_NOW */
void dcap_lab_close(struct dcap_lab *lab);

/* Fields and expectations as after open; keys stay. */
void dcap_lab_reset(struct dcap_lab *lab);

/* Makes quote and collateral of the fields and appraises. */
bulla_rc dcap_lab_judge(struct dcap_lab *lab);

/* The same for the quote as it stands in lab->quote. */
bulla_rc dcap_lab_judge_quote(struct dcap_lab *lab);

/* The collateral as one file: dcap-qvl's bundle. ret is made here. */
bulla_bytes dcap_lab_bundle(const struct dcap_lab *lab, struct bulla_buf *ret);

/* Replaces the first `from` in text by `to`, of the same or another length. */
void dcap_lab_replace(char *text, size_t size, const char *from, const char *to);
