#pragma once
/* Trustee's SNP evidence: {"attestation_report": the fields of the sev crate's struct, "cert_chain": [{cert_type, data}]}. */
#include "attest/foreign.h"
#include "wire/json.h"

/* Puts the 1184 bytes together again; a wrong guess about a layout gives a report whose signature fails. */
BULLA_CHECK bulla_rc bulla_foreign_snp(struct bulla_foreign *foreign, bulla_json object, bulla_bytes *ret_report);
