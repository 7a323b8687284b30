#include "kms/client.h"

#include "crypto/cms.h"
#include "kms/api.h"
#include "wire/text.h"

#define BODY_MAX 524288
#define SEED 32

bulla_rc bulla_kms_write_call(const struct bulla_kms_call *call, const char *target, bulla_bytes body, struct bulla_buf *ret)
{
	struct bulla_http_message request = {
		.method = BULLA_BYTES_LITERAL("POST"), .target = BULLA_BYTES_LITERAL("/"), .body = body, .header_count = 3};
	BULLA_AUTO_BUF scratch;
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	bulla_buf_init(&scratch, 16384);
	request.headers[0] = (struct bulla_http_header){BULLA_BYTES_LITERAL("host"), call->host};
	request.headers[1] = (struct bulla_http_header){BULLA_BYTES_LITERAL("content-type"),
		BULLA_BYTES_LITERAL("application/x-amz-json-1.1")};
	request.headers[2] = (struct bulla_http_header){BULLA_BYTES_LITERAL("x-amz-target"), bulla_bytes_str(target)};
	if (call->sign != NULL)
		BULLA_TRY(call->sign(&request, call->credential, call->wall_ms, &scratch));
	bulla_http_write_request(&w, &request);
	return bulla_wr_end(&w, &ignored);
}

static void put_key_id(bulla_json_wr *j, const struct bulla_kms_call *call)
{
	bulla_json_wr_name(j, "KeyId");
	bulla_json_wr_string(j, call->key_id);
}

static void put_context(bulla_json_wr *j, const struct bulla_kms_context *context)
{
	if (context == NULL || context->count == 0)
		return;
	bulla_json_wr_name(j, "EncryptionContext");
	bulla_json_wr_object(j);
	for (size_t i = 0; i < context->count; i++) {
		char name[BULLA_KMS_CONTEXT_BYTES + 1] = {0};

		bulla_copy(name, context->pairs[i].key.p, context->pairs[i].key.n);
		bulla_json_wr_name(j, name);
		bulla_json_wr_string(j, context->pairs[i].value);
	}
	bulla_json_wr_object_end(j);
}

static void put_recipient(bulla_json_wr *j, bulla_bytes document)
{
	if (document.n == 0)
		return;
	bulla_json_wr_name(j, "Recipient");
	bulla_json_wr_object(j);
	bulla_json_wr_name(j, "KeyEncryptionAlgorithm");
	bulla_json_wr_str(j, "RSAES_OAEP_SHA_256");
	bulla_json_wr_name(j, "AttestationDocument");
	bulla_json_wr_base64(j, document);
	bulla_json_wr_object_end(j);
}

/* A new key (blob NULL), or the one in a blob, sealed to the recipient. */
static bulla_rc write_release(const struct bulla_kms_call *call, const bulla_bytes *blob, const char *target, struct bulla_buf *ret)
{
	BULLA_AUTO_BUF buf;
	bulla_bytes body;

	bulla_buf_init(&buf, BODY_MAX);
	bulla_wr w = bulla_wr_buf(&buf);
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_json_wr_object(&j);
	put_key_id(&j, call);
	bulla_json_wr_name(&j, blob == NULL ? "KeySpec" : "CiphertextBlob");
	if (blob == NULL)
		bulla_json_wr_str(&j, "AES_256");
	else
		bulla_json_wr_base64(&j, *blob);
	put_context(&j, call->context);
	put_recipient(&j, call->document);
	bulla_json_wr_object_end(&j);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return bulla_kms_write_call(call, target, body, ret);
}

bulla_rc bulla_kms_write_generate(const struct bulla_kms_call *call, struct bulla_buf *ret)
{
	return write_release(call, NULL, "TrentService.GenerateDataKey", ret);
}

bulla_rc bulla_kms_write_decrypt(const struct bulla_kms_call *call, bulla_bytes blob, struct bulla_buf *ret)
{
	return write_release(call, &blob, "TrentService.Decrypt", ret);
}

bulla_rc bulla_kms_write_get_policy(const struct bulla_kms_call *call, struct bulla_buf *ret)
{
	uint8_t memory[4096];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes body;

	bulla_json_wr_object(&j);
	put_key_id(&j, call);
	bulla_json_wr_name(&j, "PolicyName");
	bulla_json_wr_str(&j, "default");
	bulla_json_wr_object_end(&j);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return bulla_kms_write_call(call, "TrentService.GetKeyPolicy", body, ret);
}

static const struct {
	const char *type;
	bulla_rc rc;
} aws_errors[] = {
	{"AccessDeniedException", BULLA_E_DENIED},
	{"InvalidCiphertextException", BULLA_E_KEY_CONTEXT},
	{"IncorrectKeyException", BULLA_E_KEY_CONTEXT},
	{"NotFoundException", BULLA_E_NOT_FOUND},
	{"ThrottlingException", BULLA_E_BUSY},
	{"InvalidSignatureException", BULLA_E_SIGNATURE},
	{"UnrecognizedClientException", BULLA_E_NO_RIGHT},
	{"MissingAuthenticationTokenException", BULLA_E_NO_RIGHT},
	{"ValidationException", BULLA_E_ARGUMENT},
	{"UnsupportedOperationException", BULLA_E_UNSUPPORTED},
	{"DisabledException", BULLA_E_STATE},
	{"KMSInvalidStateException", BULLA_E_STATE},
};

/* The error of an answer that is not 200; the broker's own word first, as far as it is one. */
static bulla_rc read_error(const struct bulla_http_message *response)
{
	bulla_bytes own = bulla_http_header(response, "x-bulla-error");
	bulla_json root, type;
	char id[64] = {0};
	bulla_rc rc = BULLA_RC_COUNT;

	if (own.n > 0 && own.n < sizeof(id)) {
		bulla_copy(id, own.p, own.n);
		rc = bulla_rc_from_id(id);
	}
	if (rc != BULLA_RC_COUNT && rc != BULLA_OK)
		return BULLA_FAIL(rc, "the key service refuses");
	if (bulla_json_parse(response->body, &root) == BULLA_OK && bulla_json_get_str(root, "__type", &type) == BULLA_OK)
		for (size_t i = 0; i < sizeof(aws_errors) / sizeof(aws_errors[0]); i++)
			if (bulla_json_string_is(type, bulla_bytes_str(aws_errors[i].type)))
				return BULLA_FAIL(aws_errors[i].rc, "the key service refuses");
	return BULLA_FAIL(BULLA_E_UNREACHABLE, "the key service fails");
}

bulla_rc bulla_kms_read_root(const struct bulla_http_message *response, bulla_json *ret)
{
	if (response->status != 200)
		return read_error(response);
	return bulla_json_parse(response->body, ret);
}

/* The ARN that an answer names is the key's, whether the manifest has the ARN or only the uuid. */
static bool names_key(bulla_json arn, bulla_bytes key_id)
{
	bulla_bytes text;

	if (bulla_json_string_view(arn, &text) != BULLA_OK)
		return false;
	if (bulla_bytes_eq(text, key_id))
		return true;
	return key_id.n == 36 && text.n > 37 && text.p[text.n - 37] == '/' &&
		bulla_bytes_eq((bulla_bytes){text.p + text.n - 36, 36}, key_id);
}

static bulla_rc read_base64(bulla_json root, const char *name, size_t max, struct bulla_buf *ret)
{
	bulla_json value;
	bulla_bytes text;
	size_t size = 0, room;

	if (bulla_json_get_str(root, name, &value) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_FORMAT, "an answer of the key service lacks a member");
	BULLA_TRY(bulla_json_string_view(value, &text));
	room = ret->max - ret->n < max ? ret->max - ret->n : max;
	BULLA_TRY(bulla_buf_reserve(ret, room));
	BULLA_TRY(bulla_text_base64(text, room, ret->p + ret->n, &size));
	ret->n += size;
	return BULLA_OK;
}

static bulla_rc open_seed(bulla_json root, struct bulla_rsa_key *key, bulla_secret *ret_seed)
{
	BULLA_AUTO_BUF message, plain;

	bulla_buf_init(&message, BULLA_CMS_MAX);
	bulla_buf_init(&plain, BULLA_CMS_MAX);
	BULLA_TRY(read_base64(root, "CiphertextForRecipient", BULLA_CMS_MAX, &message));
	BULLA_TRY(bulla_cms_open(key, bulla_buf_view(&message), &plain));
	if (plain.n != SEED)
		return BULLA_FAIL(BULLA_E_CRYPTO, "the released key has another size");
	return bulla_secret_new(bulla_buf_view(&plain), ret_seed);
}

bulla_rc bulla_kms_read_key(const struct bulla_http_message *response, struct bulla_rsa_key *key, bulla_bytes key_id,
	struct bulla_buf *ret_blob, bulla_secret *ret_seed)
{
	bulla_json root, arn, plain;

	BULLA_TRY(bulla_kms_read_root(response, &root));
	if (bulla_json_get_str(root, "KeyId", &arn) != BULLA_OK || !names_key(arn, key_id))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the answer is of another wrapping key");
	/* a key that came in clear was seen by others: it is no seed */
	if (bulla_json_get_str(root, "Plaintext", &plain) == BULLA_OK && bulla_json_type(plain) != BULLA_JSON_NULL &&
		!bulla_json_string_is(plain, (bulla_bytes){NULL, 0}))
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the answer has the key in clear");
	if (ret_blob != NULL)
		BULLA_TRY(read_base64(root, "CiphertextBlob", BULLA_KMS_BLOB_MAX, ret_blob));
	return open_seed(root, key, ret_seed);
}

bulla_rc bulla_kms_read_string(bulla_json value, size_t max, struct bulla_buf *ret)
{
	size_t size = 0, room = ret->max - ret->n < max ? ret->max - ret->n : max;

	BULLA_TRY(bulla_buf_reserve(ret, room));
	BULLA_TRY(bulla_json_string(value, room, ret->p + ret->n, &size));
	ret->n += size;
	return BULLA_OK;
}

bulla_rc bulla_kms_read_policy(const struct bulla_http_message *response, struct bulla_buf *ret)
{
	bulla_json root, policy;

	BULLA_TRY(bulla_kms_read_root(response, &root));
	BULLA_TRY(bulla_json_get_str(root, "Policy", &policy));
	return bulla_kms_read_string(policy, 32768, ret);
}
