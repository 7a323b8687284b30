#include "broker/audit.h"

#include "kms/timetext.h"
#include "wire/text.h"

static void member(bulla_json_wr *j, const char *name, bulla_bytes value)
{
	bulla_json_wr_name(j, name);
	bulla_json_wr_string(j, value);
}

static void member_str(bulla_json_wr *j, const char *name, const char *value)
{
	member(j, name, bulla_bytes_str(value));
}

static void put_identity(bulla_json_wr *j, const struct bulla_kms_facts *facts)
{
	bulla_json_wr_name(j, "userIdentity");
	bulla_json_wr_object(j);
	if (facts->principal.n > 0) {
		member_str(j, "type", "IAMUser");
		member(j, "arn", facts->principal);
		member(j, "accountId", facts->account);
	} else {
		member_str(j, "type", "Unknown");
	}
	bulla_json_wr_object_end(j);
}

static void put_parameters(bulla_json_wr *j, const struct bulla_kms_request *request)
{
	const struct bulla_kms_context *context = &request->context;
	char name[BULLA_KMS_CONTEXT_BYTES + 1];

	bulla_json_wr_name(j, "requestParameters");
	bulla_json_wr_object(j);
	if (request->key_id.n > 0)
		member(j, "keyId", request->key_id);
	if (context->count > 0) {
		bulla_json_wr_name(j, "encryptionContext");
		bulla_json_wr_object(j);
		for (size_t i = 0; i < context->count; i++) {
			bulla_zero(name, sizeof(name));
			bulla_copy(name, context->pairs[i].key.p, context->pairs[i].key.n);
			member(j, name, context->pairs[i].value);
		}
		bulla_json_wr_object_end(j);
	}
	if (request->op == BULLA_KMS_GENERATE_DATA_KEY && request->size == 32)
		member_str(j, "keySpec", "AES_256");
	bulla_json_wr_object_end(j);
}

/* Of TEEs that AWS does not know, in our own names. */
static void put_evidence(bulla_json_wr *j, const struct bulla_audit_event *event)
{
	const struct bulla_attest_result *evidence = event->facts->evidence;
	const struct bulla_attest_claim *measurement = bulla_attest_find(evidence, BULLA_CLAIM_MEASUREMENT, 0);

	member_str(j, "bullaTee", bulla_tee_name((enum bulla_tee)evidence->tee));
	bulla_json_wr_name(j, "bullaInstance");
	bulla_json_wr_hex(j, bulla_bytes_digest(event->instance));
	if (measurement == NULL)
		return;
	bulla_json_wr_name(j, "bullaMeasurement");
	bulla_json_wr_hex(j, measurement->bytes);
}

/* Names of facts section 1.5: AWS's, as in its documentation of Nitro Enclaves' events. */
static void put_recipient(bulla_json_wr *j, const struct bulla_audit_event *event)
{
	static const struct {
		unsigned index;
		const char *name;
	} rows[] = {
		{0, "attestationDocumentEnclaveImageDigest"}, {1, "attestationDocumentEnclavePCR1"},
		{2, "attestationDocumentEnclavePCR2"},        {3, "attestationDocumentEnclavePCR3"},
		{4, "attestationDocumentEnclavePCR4"},        {8, "attestationDocumentEnclavePCR8"},
		{16, "attestationDocumentEnclavePCR16"},      {17, "attestationDocumentEnclavePCR17"},
	};

	if (!event->facts->attested)
		return;
	bulla_json_wr_name(j, "additionalEventData");
	bulla_json_wr_object(j);
	bulla_json_wr_name(j, "recipient");
	bulla_json_wr_object(j);
	if (event->instance != NULL)
		put_evidence(j, event);
	else
		member(j, "attestationDocumentModuleId", event->module_id);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (event->facts->pcrs[rows[i].index].n == 0)
			continue;
		bulla_json_wr_name(j, rows[i].name);
		bulla_json_wr_hex(j, event->facts->pcrs[rows[i].index]);
	}
	bulla_json_wr_object_end(j);
	bulla_json_wr_object_end(j);
}

static bulla_rc put_ids(bulla_json_wr *j, const struct bulla_audit_event *event)
{
	uint8_t memory[36];
	bulla_wr id = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text;

	bulla_kms_uuid_write(&id, event->request_id);
	BULLA_TRY(bulla_wr_end(&id, &text));
	member(j, "requestID", text);
	member(j, "eventID", text);
	return BULLA_OK;
}

static void put_resources(bulla_json_wr *j, const struct bulla_audit_event *event)
{
	if (event->key_arn.n == 0)
		return;
	bulla_json_wr_name(j, "resources");
	bulla_json_wr_array(j);
	bulla_json_wr_object(j);
	member(j, "accountId", event->facts->account);
	member_str(j, "type", "AWS::KMS::Key");
	member(j, "ARN", event->key_arn);
	bulla_json_wr_object_end(j);
	bulla_json_wr_array_end(j);
}

bulla_rc bulla_audit_write(const struct bulla_audit_event *event, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_json_wr j = bulla_json_wr_of(&w);
	uint8_t time[BULLA_TIMETEXT];
	bulla_bytes ignored;

	bulla_timetext(event->wall_ms, time);
	bulla_json_wr_object(&j);
	member_str(&j, "eventVersion", "1.08");
	put_identity(&j, event->facts);
	member(&j, "eventTime", BULLA_BYTES_ARRAY(time));
	member_str(&j, "eventSource", "kms.amazonaws.com");
	member_str(&j, "eventName", bulla_kms_op_name(event->request->op));
	member_str(&j, "awsRegion", BULLA_WRAPPING_REGION);
	if (event->rc != BULLA_OK) {
		member_str(&j, "errorCode", bulla_kms_fault_type(bulla_kms_fault_of(event->rc)));
		member_str(&j, "errorMessage", bulla_rc_id(event->rc));
	}
	put_parameters(&j, event->request);
	bulla_json_wr_name(&j, "responseElements");
	bulla_json_wr_null(&j);
	put_recipient(&j, event);
	BULLA_TRY(put_ids(&j, event));
	bulla_json_wr_name(&j, "readOnly");
	bulla_json_wr_bool(&j, true);
	put_resources(&j, event);
	member_str(&j, "eventType", "AwsApiCall");
	bulla_json_wr_name(&j, "managementEvent");
	bulla_json_wr_bool(&j, true);
	member(&j, "recipientAccountId", event->facts->account);
	bulla_json_wr_object_end(&j);
	bulla_text_wr(&w, "\n");
	return bulla_wr_end(&w, &ignored);
}
