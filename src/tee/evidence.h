#pragma once
/* Evidence of the machine this runs in, besides the Nitro module (tee/nsm.h): files of the kernel or of Gramine under a
 * root folder, "" on a real machine, a fake tree in tests; Azure's vTPM through a transport. Blocks; called at boot and at
 * renewal. What comes out is judged by nobody here: the kernel's files belong to the same TEE. */
#include "attest/attest.h"
#include "base/buf.h"

#define BULLA_EVIDENCE_BINDER 64
#define BULLA_EVIDENCE_PATH 512

struct bulla_evidence {
	enum bulla_tee tee;    /* as the driver says; the verifier looks for itself */
	struct bulla_buf report; /* report, quote, token, or Azure's JSON */
	struct bulla_buf aux;    /* SNP: certificate table; else empty */
};

/* Empty buffers up to BULLA_MAX_EVIDENCE; done frees them. */
void bulla_evidence_init(struct bulla_evidence *ret);
void bulla_evidence_done(struct bulla_evidence *evidence);

/* configfs-tsm (Documentation/ABI/testing/configfs-tsm-report): SNP, TDX, CCA by `provider`. The entry's `generation` rises
 * by one per write: when it did not, or rises while the blobs are read, another writer interfered, and all is tried again,
 * as on EBUSY; at most `tries` times (BULLA_E_BUSY). The report must carry the binder (BULLA_E_BINDER). The privilege level
 * is the kernel's default. BULLA_E_IO, BULLA_E_UNSUPPORTED for another provider. */
BULLA_CHECK bulla_rc bulla_evidence_tsm(const char *root, const uint8_t binder[BULLA_EVIDENCE_BINDER], unsigned tries,
	struct bulla_evidence *ret);

/* Gramine: /dev/attestation/{attestation_type,user_report_data,quote}; DCAP only (BULLA_E_UNSUPPORTED). */
BULLA_CHECK bulla_rc bulla_evidence_gramine(const char *root, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	struct bulla_evidence *ret);

/* One exchange with a TPM (TCG TPM 2.0 Library, part 3): writes a command, reads the response. */
struct bulla_tpm {
	int fd;
	bulla_rc (*call)(const struct bulla_tpm *tpm, bulla_bytes command, struct bulla_buf *ret_response);
};

/* Transport over /dev/tpmrm0; the descriptor stays the caller's. */
struct bulla_tpm bulla_tpm_device(int fd);

/* Azure: writes user_data (64 bytes) to NV index 0x01400002, reads the HCL report from 0x01400001, quotes all 24 SHA-256
 * registers with the AK at 0x81000003 over nonce (1..64 bytes), and puts all of it into Trustee's JSON (version 2, without
 * a VCEK: collateral is fetched by the untrusted side). On TDX the report in it is made a quote by `service`. BULLA_E_IO,
 * BULLA_E_FORMAT, BULLA_E_DENIED: the TPM refuses; BULLA_E_UNSUPPORTED: neither SNP nor TDX; errors of the service. */
BULLA_CHECK bulla_rc bulla_evidence_azure(const struct bulla_tpm *tpm, const char *service, bulla_bytes user_data,
	bulla_bytes nonce, struct bulla_evidence *ret);

/* Azure's metadata service, or one like it: POST /acc/tdquote {"report": base64url}, {"quote": base64url}. It is on the
 * untrusted side: it turns a report that only this machine's TDX module verifies into a quote that all can, and cannot make
 * one up. service: an address (io/addr.h). BULLA_E_UNREACHABLE, BULLA_E_TIMEOUT (five seconds), BULLA_E_DENIED: another status
 * than 200, BULLA_E_FORMAT, BULLA_E_LIMIT. */
#define BULLA_EVIDENCE_QUOTE_SERVICE "169.254.169.254:80"
#define BULLA_EVIDENCE_TD_QUOTE 16384
BULLA_CHECK bulla_rc bulla_evidence_td_quote(const char *service, bulla_bytes td_report, struct bulla_buf *ret);
