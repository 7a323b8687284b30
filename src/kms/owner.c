#include "kms/owner.h"

#include "wire/text.h"

#define BODY_MAX 65536

bulla_rc bulla_kms_write_create_key(const struct bulla_kms_call *call, bulla_bytes policy, bulla_bytes description,
	struct bulla_buf *ret)
{
	BULLA_AUTO_BUF buf;
	bulla_bytes body;

	bulla_buf_init(&buf, BODY_MAX);
	bulla_wr w = bulla_wr_buf(&buf);
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "Policy");
	bulla_json_wr_string(&j, policy);
	bulla_json_wr_name(&j, "Description");
	bulla_json_wr_string(&j, description);
	bulla_json_wr_object_end(&j);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return bulla_kms_write_call(call, "TrentService.CreateKey", body, ret);
}

bulla_rc bulla_kms_read_create_key(const struct bulla_http_message *response, struct bulla_buf *ret)
{
	bulla_json root, metadata, arn;

	BULLA_TRY(bulla_kms_read_root(response, &root));
	BULLA_TRY(bulla_json_get_str(root, "KeyMetadata", &metadata));
	BULLA_TRY(bulla_json_get_str(metadata, "Arn", &arn));
	return bulla_kms_read_string(arn, 2048, ret);
}

static void put_statement(bulla_json_wr *j, const char *effect, const char *const *actions)
{
	bulla_json_wr_object(j);
	bulla_json_wr_name(j, "Effect");
	bulla_json_wr_str(j, effect);
	bulla_json_wr_name(j, "Action");
	bulla_json_wr_array(j);
	for (; *actions != NULL; actions++)
		bulla_json_wr_str(j, *actions);
	bulla_json_wr_array_end(j);
	bulla_json_wr_name(j, "Resource");
	bulla_json_wr_str(j, "*");
	bulla_json_wr_name(j, "Principal");
}

/* Condition keys: AWS's names for Nitro's registers, ours for all else. "bulla:RecipientAttestation:rtmr:1" */
static void put_value(bulla_json_wr *j, bool nitro, const struct bulla_attest_value *value)
{
	char name[96];
	bulla_wr w = bulla_wr_fixed((uint8_t *)name, sizeof(name));

	bulla_text_wr(&w, nitro ? "kms:RecipientAttestation:PCR" : "bulla:RecipientAttestation:");
	if (!nitro)
		bulla_text_wr(&w, bulla_claim_name((enum bulla_claim)value->claim));
	if (!nitro && value->index > 0)
		bulla_text_wr(&w, ":");
	if (nitro || value->index > 0)
		bulla_text_wr_uint(&w, value->index);
	bulla_wr_u8(&w, 0);
	if (w.rc != BULLA_OK)
		name[0] = '\0';
	bulla_json_wr_name(j, name);
	bulla_json_wr_hex(j, value->value);
}

/* Numbers and texts of an image are left to the manifest: it is judged by, too. */
static void put_image(bulla_json_wr *j, const struct bulla_kms_image *image)
{
	bool nitro = bulla_bytes_eq_str(image->tee, "nitro");

	if (!nitro) {
		bulla_json_wr_name(j, "bulla:RecipientAttestation:tee");
		bulla_json_wr_string(j, image->tee);
	}
	for (size_t i = 0; i < image->count; i++)
		if (bulla_claim_print((enum bulla_claim)image->values[i].claim) == BULLA_PRINT_HEX)
			put_value(j, nitro, &image->values[i]);
}

static void put_attested(bulla_json_wr *j, const struct bulla_kms_image *image, const uint8_t tenant[8],
	const uint8_t agent[8])
{
	bulla_json_wr_name(j, "Condition");
	bulla_json_wr_object(j);
	bulla_json_wr_name(j, "StringEqualsIgnoreCase");
	bulla_json_wr_object(j);
	put_image(j, image);
	bulla_json_wr_object_end(j);
	bulla_json_wr_name(j, "StringEquals");
	bulla_json_wr_object(j);
	bulla_json_wr_name(j, "kms:EncryptionContext:bulla:tenant");
	bulla_json_wr_hex(j, bulla_bytes_of(tenant, 8));
	bulla_json_wr_name(j, "kms:EncryptionContext:bulla:agent");
	bulla_json_wr_hex(j, bulla_bytes_of(agent, 8));
	bulla_json_wr_object_end(j);
	bulla_json_wr_object_end(j);
}

static void put_statements(bulla_json_wr *j, bulla_bytes admin_arn, const struct bulla_kms_image *images, size_t count,
	const uint8_t tenant[8], const uint8_t agent[8])
{
	static const char *const use[] = {"kms:GenerateDataKey", "kms:Decrypt", NULL};
	static const char *const look[] = {"kms:GetKeyPolicy", "kms:DescribeKey", NULL};
	static const char *const manage[] = {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", NULL};

	for (size_t i = 0; i < count; i++) {
		put_statement(j, "Allow", use);
		bulla_json_wr_str(j, "*");
		put_attested(j, &images[i], tenant, agent);
		bulla_json_wr_object_end(j);
	}
	put_statement(j, "Allow", look);
	bulla_json_wr_str(j, "*");
	bulla_json_wr_object_end(j);
	put_statement(j, "Allow", manage);
	bulla_json_wr_object(j);
	bulla_json_wr_name(j, "AWS");
	bulla_json_wr_string(j, admin_arn);
	bulla_json_wr_object_end(j);
	bulla_json_wr_object_end(j);
}

bulla_rc bulla_kms_default_policy(bulla_bytes admin_arn, const struct bulla_kms_image *images, size_t count,
	const uint8_t tenant[8], const uint8_t agent[8], struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes ignored;

	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "Version");
	bulla_json_wr_str(&j, "2012-10-17");
	bulla_json_wr_name(&j, "Statement");
	bulla_json_wr_array(&j);
	put_statements(&j, admin_arn, images, count, tenant, agent);
	bulla_json_wr_array_end(&j);
	bulla_json_wr_object_end(&j);
	return bulla_wr_end(&w, &ignored);
}
