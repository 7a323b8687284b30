#pragma once
/* The KMS API's messages on the server's side: AWS JSON 1.1 requests to a struct, answers and errors from one. Names of
 * operations and errors are AWS's (facts: KMS API reference, botocore model kms 2014-11-01). */
#include "base/buf.h"
#include "io/http.h"
#include "kms/blob.h"
#include "kms/context.h"
#include "wire/json.h"

/* BULLA_KMS_OP(NAME, "AWS name") of what is served. */
#define BULLA_KMS_OPS(X) \
	X(CREATE_KEY, "CreateKey") \
	X(DESCRIBE_KEY, "DescribeKey") \
	X(LIST_KEYS, "ListKeys") \
	X(GENERATE_DATA_KEY, "GenerateDataKey") \
	X(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT, "GenerateDataKeyWithoutPlaintext") \
	X(DECRYPT, "Decrypt") \
	X(ENCRYPT, "Encrypt") \
	X(GENERATE_RANDOM, "GenerateRandom") \
	X(GET_KEY_POLICY, "GetKeyPolicy") \
	X(PUT_KEY_POLICY, "PutKeyPolicy")

enum bulla_kms_op {
#define BULLA_KMS_OP_ENUM_(name, text) BULLA_KMS_##name,
	BULLA_KMS_OPS(BULLA_KMS_OP_ENUM_)
#undef BULLA_KMS_OP_ENUM_
		BULLA_KMS_OP_COUNT
};

/* X(NAME, "AWS type", HTTP status) */
#define BULLA_KMS_FAULTS(X) \
	X(ACCESS_DENIED, "AccessDeniedException", 400) \
	X(NOT_FOUND, "NotFoundException", 400) \
	X(INVALID_CIPHERTEXT, "InvalidCiphertextException", 400) \
	X(INCORRECT_KEY, "IncorrectKeyException", 400) \
	X(VALIDATION, "ValidationException", 400) \
	X(MALFORMED_POLICY, "MalformedPolicyDocumentException", 400) \
	X(LIMIT_EXCEEDED, "LimitExceededException", 400) \
	X(UNSUPPORTED, "UnsupportedOperationException", 400) \
	X(UNKNOWN_OPERATION, "UnknownOperationException", 400) \
	X(MISSING_TOKEN, "MissingAuthenticationTokenException", 400) \
	X(INCOMPLETE_SIGNATURE, "IncompleteSignatureException", 400) \
	X(INVALID_SIGNATURE, "InvalidSignatureException", 400) \
	X(UNRECOGNIZED_CLIENT, "UnrecognizedClientException", 400) \
	X(THROTTLING, "ThrottlingException", 400) \
	X(INTERNAL, "KMSInternalException", 500)

enum bulla_kms_fault {
#define BULLA_KMS_FAULT_ENUM_(name, type, status) BULLA_KMS_FAULT_##name,
	BULLA_KMS_FAULTS(BULLA_KMS_FAULT_ENUM_)
#undef BULLA_KMS_FAULT_ENUM_
		BULLA_KMS_FAULT_COUNT
};

/* A request's body: views into the caller's scratch. Empty: not given. */
struct bulla_kms_request {
	enum bulla_kms_op op;
	bulla_bytes key_id;
	struct bulla_kms_context context;
	bulla_bytes blob;     /* decoded */
	bulla_bytes plain;    /* decoded */
	bulla_bytes document; /* decoded; the attestation document of Recipient */
	bool recipient;
	uint32_t size; /* KeySpec or NumberOfBytes; 0: not given */
	bulla_bytes policy, description;
};

/* "Decrypt". */
const char *bulla_kms_op_name(enum bulla_kms_op op);

/* Operation of an X-Amz-Target header; BULLA_E_NOT_FOUND: no operation of KMS. BULLA_E_UNSUPPORTED: one that is not
 * served. */
BULLA_CHECK bulla_rc bulla_kms_target(bulla_bytes target, enum bulla_kms_op *ret);

/* Parses the body for ret->op. scratch is empty and may grow to 2 × body + 1024; wiped by its owner. BULLA_E_FORMAT and
 * BULLA_E_LIMIT for what AWS calls ValidationException, BULLA_E_UNSUPPORTED for members that would change the meaning.
 */
BULLA_CHECK bulla_rc bulla_kms_request_parse(enum bulla_kms_op op, bulla_bytes body, struct bulla_buf *scratch,
	struct bulla_kms_request *ret);

/* The fault that a result is for AWS's clients. */
enum bulla_kms_fault bulla_kms_fault_of(bulla_rc rc);

/* "AccessDeniedException". */
const char *bulla_kms_fault_type(enum bulla_kms_fault fault);

/* Appends a whole response: request id (16 bytes, as uuid), and for errors type, message and the x-bulla-error header.
 */
BULLA_CHECK bulla_rc bulla_kms_write_answer(bulla_bytes body, const uint8_t request_id[16], struct bulla_buf *ret);
BULLA_CHECK bulla_rc bulla_kms_write_fault(enum bulla_kms_fault fault, bulla_rc rc, const uint8_t request_id[16],
	struct bulla_buf *ret);

/* 36 characters of a uuid, and back (BULLA_E_FORMAT). */
void bulla_kms_uuid_write(bulla_wr *w, const uint8_t uuid[16]);
BULLA_CHECK bulla_rc bulla_kms_uuid_read(bulla_bytes text, uint8_t ret[16]);
