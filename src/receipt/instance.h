#pragma once
/* Instance records: what shows that a receipt key belongs to an attested enclave. Evidence, the fields of its binder and
 * the key (protocol.md section 4). The host stores and forwards them; whoever needs one checks the evidence. */
#include "cose/binder.h"
#include "receipt/position.h"

enum bulla_purpose {
	BULLA_PURPOSE_SESSION = 1, /* "session": challenge by the broker, channel = digest(TLS exporter) */
	BULLA_PURPOSE_BOOT = 2,    /* "boot": challenge zero, channel = digest(SPKI of the RSA key) */
	BULLA_PURPOSE_RELEASE = 3, /* "release": challenge of the connection (receipt/recipient.h), channel as in "boot" */
};

#define BULLA_INSTANCE_VERSION 1

/* tee: the evidence driver's word ("nitro", "sev-snp", "tdx", "sgx", "dev"), 1 to 16 characters. */
struct bulla_instance {
	bulla_bytes tee;
	uint8_t purpose;
	uint8_t challenge[32];
	bulla_digest channel;
	bulla_bytes receipt_key; /* SPKI DER, P-256 */
	bulla_bytes agents;      /* handles hosted, 8 bytes each, in rising order */
	bulla_digest manifest;
	bulla_bytes evidence;    /* CMW record as it was attested */
	bulla_bytes collateral;  /* what appraising it needs besides; may be empty */
	uint64_t time_ms;        /* when the record was made, by the instance's clock of the session; 0 unknown */
};

/* CBOR: [1, tee, purpose, h'challenge', h'channel', h'receipt key', h'agents', h'manifest', h'evidence',
 * h'collateral', time]. Limits: BULLA_MAX_EVIDENCE for evidence and for collateral, BULLA_MAX_AGENTS agents. */
BULLA_CHECK bulla_rc bulla_instance_write(bulla_wr *w, const struct bulla_instance *instance);
BULLA_CHECK bulla_rc bulla_instance_decode(bulla_bytes bytes, struct bulla_instance *ret);

/* kid = digest(SPKI). */
void bulla_instance_kid(const struct bulla_instance *instance, bulla_digest *ret);

/* The binder of these fields (cose/binder.h). The enclave puts it into its evidence, the appraiser expects it there. */
BULLA_CHECK bulla_rc bulla_instance_binder(const struct bulla_instance *instance, uint8_t ret[BULLA_BINDER_BYTES]);

/* True when the instance says it hosts this agent. */
bool bulla_instance_hosts(const struct bulla_instance *instance, const bulla_handle *agent);
