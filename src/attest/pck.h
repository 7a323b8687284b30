#pragma once
/* Intel's extension of PCK certificates (1.2.840.113741.1.13.1; Intel SGX PCK Certificate and CRL Profile). */
#include "crypto/x509.h"

struct bulla_pck {
	bulla_bytes ppid;       /* 16 bytes */
	uint8_t components[16]; /* the TCB that counts; not the raw CPUSVN */
	uint16_t pcesvn;
	bulla_bytes cpusvn;     /* 16 */
	bulla_bytes pceid;      /* 2 */
	bulla_bytes fmspc;      /* 6 */
};

/* All of PPID, TCB, PCEID and FMSPC must be there once. BULLA_E_FORMAT, BULLA_E_DUPLICATE, BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_pck_read(const struct bulla_cert *leaf, struct bulla_pck *ret);
