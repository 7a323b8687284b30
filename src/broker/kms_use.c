#include "broker/kms_use.h"

#include "base/checks.h"
#include "base/mem.h"
#include "broker/audit.h"
#include "broker/release.h"
#include "cose/sign1.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "judge/judge.h"
#include "manifest/pcr.h"
#include "wire/text.h"

#define SKEW_MS 60000
#define DATA_KEY_MAX 1024

bulla_rc bulla_kms_use_init(struct bulla_kms_use *use, struct bulla_broker *broker, size_t body_size)
{
	void *p = NULL;

	bulla_buf_init(&use->body, body_size + 1);
	bulla_buf_init(&use->scratch, 2 * body_size + 2048);
	use->now_ms = bulla_wall_ms(broker->clock);
	BULLA_TRY(bulla_random_fill(broker->random, use->request_id, sizeof(use->request_id)));
	BULLA_TRY(bulla_alloc(1, sizeof(*use->result), &p));
	use->result = (struct bulla_attest_result *)p;
	return BULLA_OK;
}

void bulla_kms_use_done(struct bulla_kms_use *use)
{
	bulla_buf_done(&use->body);
	bulla_buf_done(&use->scratch);
	bulla_free(use->result);
	use->result = NULL;
}

bool bulla_kms_use_open(enum bulla_kms_op op)
{
	return op != BULLA_KMS_CREATE_KEY && op != BULLA_KMS_LIST_KEYS && op != BULLA_KMS_PUT_KEY_POLICY;
}

/* --- the document --- */

bulla_rc bulla_kms_use_prepare(struct bulla_kms_use *use, const struct bulla_broker *broker)
{
	struct bulla_attest_anchors vendors = bulla_attest_vendor_anchors();
	const size_t max = sizeof(use->anchor_list) / sizeof(use->anchor_list[0]);
	const struct bulla_epoch *current = bulla_epochs_current(&broker->epochs), *open = NULL;
	size_t count = 0;

	use->assurance = current == NULL ? BULLA_ASSURANCE_HARDWARE : current->manifest.assurance;
	for (size_t i = 0; i < vendors.count && count < max; i++)
		use->anchor_list[count++] = vendors.list[i];
	for (size_t e = broker->epochs.count; e > 0; e--) {
		const struct bulla_manifest *manifest = &broker->epochs.list[e - 1]->manifest;

		if (bulla_epochs_open(&broker->epochs, &manifest->digest, &open) != BULLA_OK)
			continue;
		for (size_t i = 0; i < manifest->anchor_count && count < max; i++)
			use->anchor_list[count++] = (struct bulla_attest_anchor){
				.tee = (uint8_t)bulla_tee_from_name(manifest->anchors[i].tee),
				.assurance = manifest->anchors[i].assurance,
				.how = manifest->anchors[i].how,
				.id = manifest->anchors[i].id,
				.key = manifest->anchors[i].key,
			};
	}
	use->anchors = (struct bulla_attest_anchors){use->anchor_list, count};
	return bulla_recipient_is(use->request.document) ? bulla_release_prepare(use, broker) : BULLA_OK;
}

static void take_claims(struct bulla_kms_use *use)
{
	const struct bulla_attest_claim *claim = bulla_attest_find(use->result, BULLA_CLAIM_MODULE_ID, 0);

	use->module_id = claim == NULL ? (bulla_bytes){NULL, 0} : claim->bytes;
	claim = bulla_attest_find(use->result, BULLA_CLAIM_PUBLIC_KEY, 0);
	use->public_key = claim == NULL ? (bulla_bytes){NULL, 0} : claim->bytes;
	for (unsigned i = 0; i < BULLA_KMS_PCRS; i++) {
		claim = bulla_attest_find(use->result, BULLA_CLAIM_PCR, i);
		use->facts.pcrs[i] = claim == NULL ? (bulla_bytes){NULL, 0} : claim->bytes;
	}
}

/* Measurements are the key policy's business, so any will do here; all else is not. demanded: what who runs the broker asks
 * beside that; may be NULL. */
static bulla_rc appraise_nitro(struct bulla_kms_use *use, const struct bulla_attest_policy *demanded, struct bulla_attest_cache *cache)
{
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding = {
		.binder = BULLA_EXPECT_ANYTHING,
		.nonce = BULLA_EXPECT_ANYTHING,
		.public_key = BULLA_EXPECT_ANYTHING,
		.manifest = BULLA_EXPECT_ANYTHING,
		.bundles = BULLA_EXPECT_ANYTHING,
	};
	struct bulla_attest_collateral collateral = {.certificate_count = 0};
	struct bulla_attest_time time = {.now_ms = use->now_ms, .clock = BULLA_CLOCK_ONLINE};
	struct bulla_sign1 sign1;

	bulla_attest_policy_init(&policy);
	policy.tees = BULLA_TEE_BIT(BULLA_TEE_NITRO) | BULLA_TEE_BIT(BULLA_TEE_DEV);
	policy.assurance = use->assurance;
	policy.max_age_ms = BULLA_KMS_MAX_AGE_MS;
	policy.skew_ms = SKEW_MS;
	policy.any_measurement = true;
	if (BULLA_CHECK_ON(BROKER_DEMANDS) && demanded != NULL)
		BULLA_TRY(bulla_attest_appraise(use->request.document, &collateral, &use->anchors, demanded, &binding, time, cache,
			use->result));
	BULLA_TRY(bulla_attest_appraise(use->request.document, &collateral, &use->anchors, &policy, &binding, time, cache,
		use->result));
	BULLA_TRY(bulla_sign1_parse(use->request.document, &sign1));
	bulla_sha256(sign1.payload, &use->payload);
	take_claims(use);
	if (use->public_key.n == 0)
		return BULLA_FAIL(BULLA_E_EVIDENCE_POLICY, "the document has no public key to answer to");
	return BULLA_OK;
}

bulla_rc bulla_kms_use_appraise(struct bulla_kms_use *use, struct bulla_attest_cache *cache, struct bulla_kept_collateral *kept)
{
	if (use->by != NULL)
		BULLA_TRY(bulla_release_appraise(use, cache, kept));
	else
		BULLA_TRY(appraise_nitro(use, kept != NULL ? kept->demanded : NULL, cache));
	use->facts.evidence = use->result;
	use->attested = true;
	return BULLA_OK;
}

/* --- operations --- */

static void put_key_id(bulla_json_wr *j, const struct bulla_wrapping_key *key)
{
	bulla_json_wr_name(j, "KeyId");
	bulla_json_wr_string(j, bulla_wrapping_arn(key));
}

static void put_str(bulla_json_wr *j, const char *name, const char *value)
{
	bulla_json_wr_name(j, name);
	bulla_json_wr_str(j, value);
}

static void put_base64(bulla_json_wr *j, const char *name, bulla_bytes bytes)
{
	bulla_json_wr_name(j, name);
	bulla_json_wr_base64(j, bytes);
}

static void put_metadata(bulla_json_wr *j, const struct bulla_wrapping_key *key)
{
	bulla_bytes arn = bulla_wrapping_arn(key);

	bulla_json_wr_name(j, "KeyMetadata");
	bulla_json_wr_object(j);
	put_str(j, "AWSAccountId", BULLA_WRAPPING_ACCOUNT);
	bulla_json_wr_name(j, "Arn");
	bulla_json_wr_string(j, arn);
	bulla_json_wr_name(j, "KeyId");
	bulla_json_wr_string(j, bulla_bytes_of(arn.p + arn.n - 36, 36));
	bulla_json_wr_name(j, "CreationDate");
	bulla_json_wr_int(j, key->created_ms / 1000);
	bulla_json_wr_name(j, "CurrentKeyMaterialId");
	bulla_json_wr_hex(j, bulla_bytes_digest(&key->material.id));
	bulla_json_wr_name(j, "Description");
	bulla_json_wr_string(j, bulla_buf_view(&key->description));
	bulla_json_wr_name(j, "Enabled");
	bulla_json_wr_bool(j, true);
	bulla_json_wr_name(j, "EncryptionAlgorithms");
	bulla_json_wr_array(j);
	bulla_json_wr_str(j, "SYMMETRIC_DEFAULT");
	bulla_json_wr_array_end(j);
	static const char *const fixed[][2] = {{"CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"}, {"KeyManager", "CUSTOMER"},
		{"KeySpec", "SYMMETRIC_DEFAULT"}, {"KeyState", "Enabled"},
		{"KeyUsage", "ENCRYPT_DECRYPT"}, {"Origin", "AWS_KMS"}};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		put_str(j, fixed[i][0], fixed[i][1]);
	bulla_json_wr_name(j, "MultiRegion");
	bulla_json_wr_bool(j, false);
	bulla_json_wr_object_end(j);
}

/* The secret bytes of an answer: sealed to the document's key, or in clear where the policy allows that. */
static bulla_rc put_plain(struct bulla_broker *broker, const struct bulla_kms_use *use, bulla_json_wr *j,
	bulla_bytes plain)
{
	BULLA_AUTO_BUF sealed;

	bulla_buf_init(&sealed, BULLA_CMS_MAX);
	if (!use->attested) {
		put_base64(j, "Plaintext", plain);
		return BULLA_OK;
	}
	if (bulla_cms_seal(use->public_key, plain, broker->random, &sealed) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_EVIDENCE_POLICY, "the document's public key is no RSA-2048 key");
	put_base64(j, "CiphertextForRecipient", bulla_buf_view(&sealed));
	return BULLA_OK;
}

static bulla_rc op_generate(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	uint8_t plain[DATA_KEY_MAX];
	bulla_bytes view = bulla_bytes_of(plain, use->request.size);
	BULLA_AUTO_BUF blob;
	bulla_rc rc;

	bulla_buf_init(&blob, BULLA_KMS_BLOB_MAX);
	if (view.n == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "KeySpec or NumberOfBytes is needed");
	BULLA_TRY(bulla_random_fill(broker->random, plain, view.n));
	rc = bulla_kms_blob_seal(&key->material, &use->request.context, broker->random, view, &blob);
	put_key_id(j, key);
	if (rc == BULLA_OK)
		put_base64(j, "CiphertextBlob", bulla_buf_view(&blob));
	if (rc == BULLA_OK && use->request.op == BULLA_KMS_GENERATE_DATA_KEY)
		rc = put_plain(broker, use, j, view);
	bulla_wipe(plain, sizeof(plain));
	return rc;
}

static bulla_rc op_decrypt(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	BULLA_AUTO_BUF plain;

	bulla_buf_init(&plain, BULLA_KMS_BLOB_MAX);
	BULLA_TRY(bulla_kms_blob_open(&key->material, &use->request.context, use->request.blob, &plain));
	put_key_id(j, key);
	put_str(j, "EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
	return put_plain(broker, use, j, bulla_buf_view(&plain));
}

static bulla_rc op_encrypt(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	BULLA_AUTO_BUF blob;

	bulla_buf_init(&blob, BULLA_KMS_BLOB_MAX);
	BULLA_TRY(bulla_kms_blob_seal(&key->material, &use->request.context, broker->random, use->request.plain, &blob));
	put_key_id(j, key);
	put_base64(j, "CiphertextBlob", bulla_buf_view(&blob));
	put_str(j, "EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
	return BULLA_OK;
}

static bulla_rc op_random(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	uint8_t plain[DATA_KEY_MAX];
	bulla_bytes view = bulla_bytes_of(plain, use->request.size);
	bulla_rc rc;

	(void)key;
	if (use->principal.n == 0 && !use->attested)
		return BULLA_FAIL(BULLA_E_EVIDENCE_MISSING, "neither credential nor evidence");
	if (view.n == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "NumberOfBytes is needed");
	BULLA_TRY(bulla_random_fill(broker->random, plain, view.n));
	rc = put_plain(broker, use, j, view);
	bulla_wipe(plain, sizeof(plain));
	return rc;
}

static bulla_rc op_describe(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	(void)broker;
	(void)use;
	put_metadata(j, key);
	return BULLA_OK;
}

static bulla_rc op_get_policy(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	(void)broker;
	(void)use;
	bulla_json_wr_name(j, "Policy");
	bulla_json_wr_string(j, bulla_buf_view(&key->policy));
	put_str(j, "PolicyName", "default");
	return BULLA_OK;
}

static bulla_rc check_policy(struct bulla_kms_use *use)
{
	bulla_rc rc = bulla_kms_policy_check(use->request.policy);

	use->policy_bad = rc != BULLA_OK;
	if (rc != BULLA_OK)
		return BULLA_FAIL(BULLA_E_FORMAT, "the policy is not of the subset that is evaluated here");
	return BULLA_OK;
}

static bulla_rc op_put_policy(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	(void)j;
	BULLA_TRY(check_policy(use));
	return bulla_wrapping_put_policy(&broker->wrapping, key, use->request.policy);
}

static bulla_rc op_create(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	static const char nobody_else[] =
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":"
		"\"arn:aws:iam::" BULLA_WRAPPING_ACCOUNT ":root\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}]}";

	if (use->request.policy.n == 0)
		use->request.policy = bulla_bytes_str(nobody_else); /* as AWS's default policy */
	BULLA_TRY(check_policy(use));
	BULLA_TRY(bulla_wrapping_create(&broker->wrapping, broker->cells, broker->random, use->request.policy,
		use->request.description, use->now_ms, &key));
	use->key_arn = bulla_wrapping_arn(key);
	put_metadata(j, key);
	return BULLA_OK;
}

static bulla_rc op_list(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	bulla_json_wr *j)
{
	(void)use;
	(void)key;
	bulla_json_wr_name(j, "Keys");
	bulla_json_wr_array(j);
	for (size_t i = 0; i < broker->wrapping.count; i++) {
		bulla_bytes arn = bulla_wrapping_arn(broker->wrapping.list[i]);

		bulla_json_wr_object(j);
		bulla_json_wr_name(j, "KeyArn");
		bulla_json_wr_string(j, arn);
		bulla_json_wr_name(j, "KeyId");
		bulla_json_wr_string(j, bulla_bytes_of(arn.p + arn.n - 36, 36));
		bulla_json_wr_object_end(j);
	}
	bulla_json_wr_array_end(j);
	bulla_json_wr_name(j, "Truncated");
	bulla_json_wr_bool(j, false);
	return BULLA_OK;
}

static const struct {
	const char *action;
	bool keyed, released; /* a key's policy decides; key material leaves */
	/* Writes the members of the answer's object. */
	bulla_rc (*serve)(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
		bulla_json_wr *j);
} table[BULLA_KMS_OP_COUNT] = {
	[BULLA_KMS_CREATE_KEY] = {"kms:CreateKey", false, true, op_create},
	[BULLA_KMS_DESCRIBE_KEY] = {"kms:DescribeKey", true, false, op_describe},
	[BULLA_KMS_LIST_KEYS] = {"kms:ListKeys", false, false, op_list},
	[BULLA_KMS_GENERATE_DATA_KEY] = {"kms:GenerateDataKey", true, true, op_generate},
	[BULLA_KMS_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT] = {"kms:GenerateDataKeyWithoutPlaintext", true, true, op_generate},
	[BULLA_KMS_DECRYPT] = {"kms:Decrypt", true, true, op_decrypt},
	[BULLA_KMS_ENCRYPT] = {"kms:Encrypt", true, true, op_encrypt},
	[BULLA_KMS_GENERATE_RANDOM] = {"kms:GenerateRandom", false, false, op_random},
	[BULLA_KMS_GET_KEY_POLICY] = {"kms:GetKeyPolicy", true, false, op_get_policy},
	[BULLA_KMS_PUT_KEY_POLICY] = {"kms:PutKeyPolicy", true, true, op_put_policy},
};

/* The key that the request names; Decrypt may leave that to the blob, but must not contradict it. */
static bulla_rc find_key(struct bulla_broker *broker, const struct bulla_kms_use *use, struct bulla_wrapping_key **ret)
{
	uint8_t uuid[BULLA_KMS_UUID];
	struct bulla_wrapping_key *named = NULL;
	bulla_digest material;

	if (use->request.op != BULLA_KMS_DECRYPT)
		return bulla_wrapping_find(&broker->wrapping, use->request.key_id, ret);
	if (bulla_kms_blob_read(use->request.blob, uuid, &material) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "not a ciphertext blob of this broker");
	if (use->request.key_id.n > 0)
		BULLA_TRY(bulla_wrapping_find(&broker->wrapping, use->request.key_id, &named));
	BULLA_TRY(bulla_wrapping_find_uuid(&broker->wrapping, uuid, ret));
	if (named != NULL && named != *ret)
		return BULLA_FAIL(BULLA_E_KEY_SUBSTITUTED, "the blob is of another wrapping key");
	return BULLA_OK;
}

static bulla_rc allow(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key **ret_key)
{
	use->audited = table[use->request.op].released;
	use->facts.action = bulla_bytes_str(table[use->request.op].action);
	use->facts.principal = use->principal;
	use->facts.account = BULLA_BYTES_LITERAL(BULLA_WRAPPING_ACCOUNT);
	use->facts.context = &use->request.context;
	use->facts.attested = use->attested;
	use->facts.secure_transport = true;
	use->facts.wall_ms = use->now_ms;
	if (!table[use->request.op].keyed)
		return BULLA_OK;
	BULLA_TRY(find_key(broker, use, ret_key));
	use->key_arn = bulla_wrapping_arn(*ret_key);
	use->facts.resource = use->key_arn;
	return bulla_kms_policy_eval(bulla_buf_view(&(*ret_key)->policy), &use->facts);
}

static bulla_rc context_value(const struct bulla_kms_context *context, const char *name, size_t size, uint8_t *ret)
{
	for (size_t i = 0; i < context->count; i++)
		if (bulla_bytes_eq_str(context->pairs[i].key, name))
			return bulla_text_hex(context->pairs[i].value, size, ret);
	return BULLA_E_NOT_FOUND;
}

/* The agent whose seed it is; BULLA_E_NOT_FOUND: the context names none. */
static bulla_rc named_agent(const struct bulla_kms_use *use, bulla_handle *ret)
{
	return context_value(&use->request.context, "bulla:agent", sizeof(ret->b), ret->b);
}

/* No seed of an agent, or to an enclave, that an approver revoked. by: what the enclave was measured with. */
static bulla_rc check_revoked(const struct bulla_broker *broker, const struct bulla_kms_use *use, const struct bulla_epoch *by,
	const bulla_digest *named)
{
	const struct bulla_epoch *epoch = bulla_epochs_find(&broker->epochs, named);
	struct bulla_revocable what = {.epoch = by->manifest.epoch, .run_epoch = epoch->manifest.epoch};
	const struct bulla_agent *agent;
	bulla_handle handle;
	bulla_digest image;
	bulla_rc rc;

	if (use->by != NULL)
		bulla_judge_image(use->result, &image);
	else
		bulla_sha256(use->facts.pcrs[0], &image);
	what.image = &image;
	what.instance = use->by != NULL ? &use->kid : NULL; /* a Nitro document does not name it */
	rc = named_agent(use, &handle);
	if (rc != BULLA_E_NOT_FOUND)
		BULLA_TRY(rc);
	agent = rc == BULLA_OK ? bulla_manifest_agent(&epoch->manifest, &handle) : NULL;
	what.bundle = agent != NULL ? &agent->bundle : NULL;
	return bulla_ledger_revoked(broker->ledger, &what);
}

/* The manifest that the enclave was measured with: a Nitro document shows it in PCR16. */
static bulla_rc find_measured(const struct bulla_broker *broker, const struct bulla_kms_use *use, const struct bulla_epoch **ret)
{
	uint8_t expected[BULLA_PCR_BYTES];

	*ret = use->by;
	for (size_t i = 0; i < broker->epochs.count && *ret == NULL; i++) {
		bulla_pcr_manifest(&broker->epochs.list[i]->manifest.digest, expected);
		if (bulla_bytes_eq(use->facts.pcrs[BULLA_PCR_MANIFEST], BULLA_BYTES_ARRAY(expected)))
			*ret = broker->epochs.list[i];
	}
	return *ret != NULL ? BULLA_OK : BULLA_FAIL(BULLA_E_MEASUREMENT, "the document is of an enclave under no accepted manifest");
}

/* A seed's context names a manifest; who asks for it was measured with that one, or with one that may serve its runs. The
 * enclave's code computes the context from the manifest that it measured: this check does not rest on that. */
static bulla_rc check_manifest(const struct bulla_broker *broker, const struct bulla_kms_use *use)
{
	const struct bulla_epoch *by = NULL;
	bulla_digest named;
	bulla_rc rc = context_value(&use->request.context, "bulla:manifest", sizeof(named.b), named.b);

	if (rc == BULLA_E_NOT_FOUND || !use->attested)
		return BULLA_OK; /* not a seed's context; or the policy has let somebody in who shows no document */
	BULLA_TRY(rc);
	BULLA_TRY(find_measured(broker, use, &by));
	BULLA_TRY(bulla_epochs_serves(&broker->epochs, &by->manifest.digest, &named));
	return check_revoked(broker, use, by, &named);
}

/* A recipient says which agents its enclave hosts: it gets no other one's seed. */
static bulla_rc check_hosted(const struct bulla_kms_use *use)
{
	bulla_handle handle;
	bulla_rc rc = use->by == NULL ? BULLA_E_NOT_FOUND : named_agent(use, &handle);

	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_OK;
	BULLA_TRY(rc);
	if (BULLA_CHECK_ON(RELEASE_AGENT) && !bulla_instance_hosts(&use->recipient.instance, &handle))
		return BULLA_FAIL(BULLA_E_KEY_CONTEXT, "the enclave does not host the agent whose seed it asks for");
	return BULLA_OK;
}

/* By the module id that all of an enclave's Nitro documents carry, else by its receipt key. */
static bulla_rc check_standing(const struct bulla_broker *broker, const struct bulla_kms_use *use)
{
	if (!use->attested)
		return BULLA_OK;
	return bulla_standing_check(&broker->standing, use->by != NULL ? bulla_bytes_digest(&use->kid) : use->module_id);
}

static bulla_rc answer(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_wrapping_key *key,
	struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes written;

	if (use->request.op == BULLA_KMS_PUT_KEY_POLICY) /* AWS answers with an empty body */
		return table[use->request.op].serve(broker, use, key, &j);
	bulla_json_wr_object(&j);
	BULLA_TRY(table[use->request.op].serve(broker, use, key, &j));
	bulla_json_wr_object_end(&j);
	return bulla_wr_end(&w, &written);
}

bulla_rc bulla_kms_use_execute(struct bulla_broker *broker, struct bulla_kms_use *use, struct bulla_buf *ret)
{
	struct bulla_wrapping_key *key = NULL;

	BULLA_TRY(check_standing(broker, use));
	BULLA_TRY(check_hosted(use));
	BULLA_TRY(allow(broker, use, &key));
	if (BULLA_CHECK_ON(EVIDENCE_MANIFEST))
		BULLA_TRY(check_manifest(broker, use));
	/* only what would be answered uses a document up: nobody can spoil another one's by showing it to the wrong key */
	if (use->attested)
		BULLA_TRY(bulla_seen_once(&broker->seen, &use->payload, use->now_ms,
			use->now_ms + BULLA_KMS_MAX_AGE_MS + 2 * SKEW_MS));
	return answer(broker, use, key, ret);
}

bulla_rc bulla_kms_use_audit(struct bulla_broker *broker, const struct bulla_kms_use *use, bulla_rc rc)
{
	struct bulla_audit_event event = {
		.request = &use->request,
		.facts = &use->facts,
		.key_arn = use->key_arn,
		.module_id = use->module_id,
		.instance = use->by != NULL ? &use->kid : NULL,
		.request_id = use->request_id,
		.wall_ms = use->now_ms,
		.rc = rc,
	};
	BULLA_AUTO_BUF line;

	bulla_buf_init(&line, 131072);
	BULLA_TRY(bulla_audit_write(&event, &line));
	return bulla_sys_append(broker->audit, bulla_buf_view(&line));
}
