#pragma once
/* Client of the Nitro Security Module: CBOR requests as in aws-nitro-enclaves-nsm-api, over /dev/nsm or, in the
 * development TEE, over an inherited socket (each message behind its length as u32 little-endian).
 *
 *   {"DescribePCR": {"index": n}}     -> {"DescribePCR": {"lock": bool, "data": bytes}}
 *   {"ExtendPCR": {"index": n, "data": bytes}} -> {"ExtendPCR": {"data": bytes}}
 *   {"LockPCR": {"index": n}}         -> "LockPCR"
 *   {"Attestation": {"user_data": bytes|null, "nonce": bytes|null, "public_key": bytes|null}}
 *                                     -> {"Attestation": {"document": bytes}}
 *   "GetRandom"                       -> {"GetRandom": {"random": bytes}}
 *   any                               -> {"Error": "InvalidArgument" | ...} */
#include "base/buf.h"

#define BULLA_NSM_PCR_SIZE 48
#define BULLA_NSM_PCR_MANIFEST 16
#define BULLA_NSM_PCR_AGENTS 17
#define BULLA_NSM_REQUEST_MAX 4096
#define BULLA_NSM_RESPONSE_MAX 16384
#define BULLA_NSM_SOCKET_MAX 65536 /* of the development form: its certificates may be longer */

/* One exchange: the transport is the only thing that differs. Blocks; called at boot and at renewal. */
struct bulla_nsm {
	int fd;
	bulla_rc (*call)(const struct bulla_nsm *nsm, bulla_bytes request, struct bulla_buf *ret_response);
};

/* Transport over the device. The descriptor stays the caller's. */
struct bulla_nsm bulla_nsm_device(int fd);

/* Transport over a stream socket, of the development TEE. The same. */
struct bulla_nsm bulla_nsm_socket(int fd);

/* All: BULLA_E_IO when the module cannot be spoken to, BULLA_E_FORMAT on an answer of another form, BULLA_E_DENIED when
 * it refuses (a locked PCR, a wrong index). */
BULLA_CHECK bulla_rc bulla_nsm_describe_pcr(const struct bulla_nsm *nsm, uint16_t index, bool *ret_locked,
	uint8_t ret_value[BULLA_NSM_PCR_SIZE]);
BULLA_CHECK bulla_rc bulla_nsm_extend_pcr(const struct bulla_nsm *nsm, uint16_t index, bulla_bytes data,
	uint8_t ret_value[BULLA_NSM_PCR_SIZE]);
BULLA_CHECK bulla_rc bulla_nsm_lock_pcr(const struct bulla_nsm *nsm, uint16_t index);

/* An attestation document (COSE_Sign1). An empty view is sent as null. Appended to ret_document. */
BULLA_CHECK bulla_rc bulla_nsm_attest(const struct bulla_nsm *nsm, bulla_bytes user_data, bulla_bytes nonce,
	bulla_bytes public_key, struct bulla_buf *ret_document);

/* size bytes of the module's generator. BULLA_E_RANDOM when it gives none; errors of the device. */
BULLA_CHECK bulla_rc bulla_nsm_random(const struct bulla_nsm *nsm, uint8_t *ret, size_t size);
