#include "kms/api.h"

#include "wire/text.h"

static const char *const op_names[] = {
#define BULLA_KMS_OP_ROW_(name, text) text,
	BULLA_KMS_OPS(BULLA_KMS_OP_ROW_)
#undef BULLA_KMS_OP_ROW_
};

/* Operations of AWS KMS that are not served (yet): they get their own error. */
static const char *const other_ops[] = {
	"CancelKeyDeletion",
	"ConnectCustomKeyStore",
	"CreateAlias",
	"CreateCustomKeyStore",
	"CreateGrant",
	"DeleteAlias",
	"DeleteCustomKeyStore",
	"DeleteImportedKeyMaterial",
	"DeriveSharedSecret",
	"DescribeCustomKeyStores",
	"DisableKey",
	"DisableKeyRotation",
	"DisconnectCustomKeyStore",
	"EnableKey",
	"EnableKeyRotation",
	"GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext",
	"GenerateMac",
	"GetKeyRotationStatus",
	"GetParametersForImport",
	"GetPublicKey",
	"ImportKeyMaterial",
	"ListAliases",
	"ListGrants",
	"ListKeyPolicies",
	"ListKeyRotations",
	"ListResourceTags",
	"ListRetirableGrants",
	"ReEncrypt",
	"ReplicateKey",
	"RetireGrant",
	"RevokeGrant",
	"RotateKeyOnDemand",
	"ScheduleKeyDeletion",
	"Sign",
	"TagResource",
	"UntagResource",
	"UpdateAlias",
	"UpdateCustomKeyStore",
	"UpdateKeyDescription",
	"UpdatePrimaryRegion",
	"Verify",
	"VerifyMac",
};

const char *bulla_kms_op_name(enum bulla_kms_op op)
{
	return (unsigned)op < BULLA_KMS_OP_COUNT ? op_names[op] : "unknown";
}

bulla_rc bulla_kms_target(bulla_bytes target, enum bulla_kms_op *ret)
{
	bulla_bytes prefix = BULLA_BYTES_LITERAL("TrentService.");
	bulla_bytes name = {target.p + prefix.n, target.n - prefix.n};

	if (target.n <= prefix.n || !bulla_bytes_eq((bulla_bytes){target.p, prefix.n}, prefix))
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no operation of KMS");
	for (unsigned i = 0; i < BULLA_KMS_OP_COUNT; i++) {
		if (!bulla_bytes_eq_str(name, op_names[i]))
			continue;
		*ret = (enum bulla_kms_op)i;
		return BULLA_OK;
	}
	for (size_t i = 0; i < sizeof(other_ops) / sizeof(other_ops[0]); i++)
		if (bulla_bytes_eq_str(name, other_ops[i]))
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "an operation of KMS that is not served here");
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "no operation of KMS");
}

/* Unescapes a string into scratch, which has the room: views do not move. */
static bulla_rc read_text(bulla_json value, size_t max, struct bulla_buf *scratch, bulla_bytes *ret)
{
	size_t room = scratch->cap - scratch->n, size = 0;

	BULLA_TRY(bulla_json_string(value, room < max ? room : max, scratch->p + scratch->n, &size));
	*ret = bulla_bytes_of(scratch->p + scratch->n, size);
	scratch->n += size;
	return BULLA_OK;
}

static bulla_rc read_blob(bulla_json value, size_t max, struct bulla_buf *scratch, bulla_bytes *ret)
{
	size_t room = scratch->cap - scratch->n, size = 0;
	bulla_bytes text;

	BULLA_TRY(bulla_json_string_view(value, &text));
	BULLA_TRY(bulla_text_base64(text, room < max ? room : max, scratch->p + scratch->n, &size));
	if (size == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a blob is empty");
	*ret = bulla_bytes_of(scratch->p + scratch->n, size);
	scratch->n += size;
	return BULLA_OK;
}

static bulla_rc read_context(bulla_json value, struct bulla_buf *scratch, struct bulla_kms_context *ret)
{
	struct bulla_json_iter iter = bulla_json_begin(value);
	bulla_json name, item;
	bulla_bytes k, v;

	if (bulla_json_type(value) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "an encryption context is a map of strings");
	while (bulla_json_next(&iter, &name, &item)) {
		BULLA_TRY(read_text(name, BULLA_KMS_CONTEXT_BYTES, scratch, &k));
		BULLA_TRY(read_text(item, BULLA_KMS_CONTEXT_BYTES, scratch, &v));
		BULLA_TRY(bulla_kms_context_add(ret, k, v));
	}
	return BULLA_OK;
}

static bulla_rc read_recipient(bulla_json value, struct bulla_buf *scratch, struct bulla_kms_request *ret)
{
	bulla_json algorithm, document;

	ret->recipient = true;
	if (bulla_json_get_str(value, "KeyEncryptionAlgorithm", &algorithm) != BULLA_OK ||
		!bulla_json_string_is(algorithm, BULLA_BYTES_LITERAL("RSAES_OAEP_SHA_256")))
		return BULLA_FAIL(BULLA_E_FORMAT, "a Recipient's algorithm is RSAES_OAEP_SHA_256");
	if (bulla_json_get_str(value, "AttestationDocument", &document) != BULLA_OK || bulla_json_count(value) != 2)
		return BULLA_FAIL(BULLA_E_EVIDENCE_MISSING, "a Recipient without a document");
	return read_blob(document, BULLA_MAX_EVIDENCE, scratch, &ret->document);
}

static bulla_rc read_size(bulla_json value, bool spec, struct bulla_kms_request *ret)
{
	int64_t number = 0;

	if (ret->size != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "KeySpec and NumberOfBytes exclude each other");
	if (!spec) {
		BULLA_TRY(bulla_json_int(value, 1, 1024, &number));
		ret->size = (uint32_t)number;
		return BULLA_OK;
	}
	if (ret->op == BULLA_KMS_CREATE_KEY)
		return bulla_json_string_is(value, BULLA_BYTES_LITERAL("SYMMETRIC_DEFAULT"))
		? BULLA_OK
		: BULLA_FAIL(BULLA_E_UNSUPPORTED, "only symmetric keys are made here");
	ret->size = bulla_json_string_is(value, BULLA_BYTES_LITERAL("AES_256"))   ? 32
		: bulla_json_string_is(value, BULLA_BYTES_LITERAL("AES_128")) ? 16
		: 0;
	return ret->size != 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "a KeySpec is AES_256 or AES_128");
}

/* Members whose only good value is the default, and members that do not matter. */
static bulla_rc read_other(bulla_json name, bulla_json value)
{
	static const char *const ignored[] = {"Tags", "BypassPolicyLockoutSafetyCheck", "Limit", "Marker"};
	static const char *const fixed[][2] = {
		{"KeyUsage", "ENCRYPT_DECRYPT"}, {"CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"},
		{"Origin", "AWS_KMS"},           {"EncryptionAlgorithm", "SYMMETRIC_DEFAULT"},
		{"PolicyName", "default"},
	};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (bulla_json_string_is(name, bulla_bytes_str(ignored[i])))
			return BULLA_OK;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (bulla_json_string_is(name, bulla_bytes_str(fixed[i][0])) &&
			bulla_json_string_is(value, bulla_bytes_str(fixed[i][1])))
			return BULLA_OK;
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a request has a member that is not served here");
}

static bulla_rc read_member(bulla_json name, bulla_json value, struct bulla_buf *scratch, struct bulla_kms_request *ret)
{
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("KeyId")))
		return read_text(value, 2048, scratch, &ret->key_id);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("EncryptionContext")))
		return read_context(value, scratch, &ret->context);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("CiphertextBlob")))
		return read_blob(value, BULLA_KMS_BLOB_MAX, scratch, &ret->blob);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Plaintext")))
		return read_blob(value, BULLA_KMS_PLAIN_MAX, scratch, &ret->plain);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Recipient")))
		return read_recipient(value, scratch, ret);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("KeySpec")))
		return read_size(value, true, ret);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("NumberOfBytes")))
		return read_size(value, false, ret);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Policy")))
		return read_text(value, 32768, scratch, &ret->policy);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Description")))
		return read_text(value, 8192, scratch, &ret->description);
	return read_other(name, value);
}

bulla_rc bulla_kms_request_parse(enum bulla_kms_op op, bulla_bytes body, struct bulla_buf *scratch,
	struct bulla_kms_request *ret)
{
	struct bulla_json_iter iter;
	bulla_json root, name, value;

	*ret = (struct bulla_kms_request){.op = op};
	BULLA_TRY(bulla_json_parse(body, &root));
	if (bulla_json_type(root) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a request is an object");
	BULLA_TRY(bulla_buf_reserve(scratch, 2 * body.n + 1024));
	iter = bulla_json_begin(root);
	while (bulla_json_next(&iter, &name, &value))
		BULLA_TRY(read_member(name, value, scratch, ret));
	return BULLA_OK;
}

struct fault_row {
	const char *type;
	unsigned status;
};

static const struct fault_row faults[] = {
#define BULLA_KMS_FAULT_ROW_(name, type_, status_) {type_, status_},
	BULLA_KMS_FAULTS(BULLA_KMS_FAULT_ROW_)
#undef BULLA_KMS_FAULT_ROW_
};

static const struct {
	bulla_rc rc;
	enum bulla_kms_fault fault;
} fault_of[] = {
	{BULLA_E_DENIED, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_NO_RIGHT, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_FORMAT, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_CHAIN, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_SIGNATURE, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_STALE, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_DEBUG, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_POLICY, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_MISSING, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EVIDENCE_REPLAYED, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_MEASUREMENT, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_BINDER, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_REVOKED, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EPOCH_OLD, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_EPOCH_CLOSED, BULLA_KMS_FAULT_ACCESS_DENIED},
	{BULLA_E_NOT_FOUND, BULLA_KMS_FAULT_NOT_FOUND},
	{BULLA_E_KEY_CONTEXT, BULLA_KMS_FAULT_INVALID_CIPHERTEXT},
	{BULLA_E_KEY_SUBSTITUTED, BULLA_KMS_FAULT_INCORRECT_KEY},
	{BULLA_E_FORMAT, BULLA_KMS_FAULT_VALIDATION},
	{BULLA_E_TRUNCATED, BULLA_KMS_FAULT_VALIDATION},
	{BULLA_E_TRAILING, BULLA_KMS_FAULT_VALIDATION},
	{BULLA_E_DUPLICATE, BULLA_KMS_FAULT_VALIDATION},
	{BULLA_E_ARGUMENT, BULLA_KMS_FAULT_VALIDATION},
	{BULLA_E_LIMIT, BULLA_KMS_FAULT_LIMIT_EXCEEDED},
	{BULLA_E_FULL, BULLA_KMS_FAULT_LIMIT_EXCEEDED},
	{BULLA_E_UNSUPPORTED, BULLA_KMS_FAULT_UNSUPPORTED},
	{BULLA_E_SIGNATURE, BULLA_KMS_FAULT_INVALID_SIGNATURE},
	{BULLA_E_CLOCK, BULLA_KMS_FAULT_INVALID_SIGNATURE},
	{BULLA_E_BUSY, BULLA_KMS_FAULT_THROTTLING},
};

enum bulla_kms_fault bulla_kms_fault_of(bulla_rc rc)
{
	for (size_t i = 0; i < sizeof(fault_of) / sizeof(fault_of[0]); i++)
		if (fault_of[i].rc == rc)
			return fault_of[i].fault;
	return BULLA_KMS_FAULT_INTERNAL;
}

const char *bulla_kms_fault_type(enum bulla_kms_fault fault)
{
	return (unsigned)fault < BULLA_KMS_FAULT_COUNT ? faults[fault].type : "unknown";
}

void bulla_kms_uuid_write(bulla_wr *w, const uint8_t uuid[16])
{
	static const uint8_t parts[] = {4, 2, 2, 2, 6};
	size_t at = 0;

	for (size_t i = 0; i < sizeof(parts); at += parts[i++]) {
		if (i > 0)
			bulla_wr_u8(w, '-');
		bulla_text_wr_hex(w, bulla_bytes_of(uuid + at, parts[i]));
	}
}

bulla_rc bulla_kms_uuid_read(bulla_bytes text, uint8_t ret[16])
{
	uint8_t digits[32];
	size_t n = 0;

	if (text.n != 36)
		return BULLA_FAIL(BULLA_E_FORMAT, "a uuid has 36 characters");
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash != (text.p[i] == '-'))
			return BULLA_FAIL(BULLA_E_FORMAT, "a uuid has its dashes elsewhere");
		if (!dash)
			digits[n++] = text.p[i];
	}
	return bulla_text_hex(BULLA_BYTES_ARRAY(digits), 16, ret);
}

static bulla_rc write_response(unsigned status, bulla_bytes body, const uint8_t request_id[16], const char *bulla_error,
	struct bulla_buf *ret)
{
	struct bulla_http_message message = {.status = status, .body = body, .header_count = 2};
	uint8_t memory[40];
	bulla_wr id = bulla_wr_fixed(memory, sizeof(memory));
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes text;

	bulla_kms_uuid_write(&id, request_id);
	BULLA_TRY(bulla_wr_end(&id, &text));
	message.headers[0] = (struct bulla_http_header){BULLA_BYTES_LITERAL("x-amzn-RequestId"), text};
	message.headers[1] = (struct bulla_http_header){BULLA_BYTES_LITERAL("content-type"),
		BULLA_BYTES_LITERAL("application/x-amz-json-1.1")};
	if (bulla_error != NULL)
		message.headers[message.header_count++] =
			(struct bulla_http_header){BULLA_BYTES_LITERAL("x-bulla-error"), bulla_bytes_str(bulla_error)};
	bulla_http_write_response(&w, &message);
	return bulla_wr_end(&w, &text);
}

bulla_rc bulla_kms_write_answer(bulla_bytes body, const uint8_t request_id[16], struct bulla_buf *ret)
{
	return write_response(200, body, request_id, NULL, ret);
}

bulla_rc bulla_kms_write_fault(enum bulla_kms_fault fault, bulla_rc rc, const uint8_t request_id[16],
	struct bulla_buf *ret)
{
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes body;

	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "__type");
	bulla_json_wr_str(&j, faults[fault].type);
	if (fault != BULLA_KMS_FAULT_INVALID_CIPHERTEXT) { /* AWS has no message there either */
		bulla_json_wr_name(&j, "message");
		bulla_json_wr_str(&j, bulla_rc_text(rc));
	}
	bulla_json_wr_object_end(&j);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return write_response(faults[fault].status, body, request_id, bulla_rc_id(rc), ret);
}
