#include "cmd/wrapping.h"

#include "cmd/https.h"
#include "cmd/names.h"
#include "io/sys.h"
#include "kms/owner.h"

#define FILE_MAX ((size_t)256 * 1024)
#define ARN_MAX 256

struct known {
	bulla_handle agent;
	uint8_t pcr0[BULLA_NITRO_PCR_SIZE];
	bulla_bytes arn;
};

struct table {
	struct known rows[BULLA_MAX_AGENTS];
	size_t count;
};

static bulla_rc read_table(struct context *context, const char *path, struct table *ret)
{
	BULLA_AUTO_BUF bytes;
	bulla_rc rc;

	bulla_buf_init(&bytes, FILE_MAX);
	rc = bulla_sys_read_file(path, &bytes);
	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_OK;
	BULLA_TRY(rc);
	bulla_cbor_rd r = bulla_cbor_rd_of(bulla_buf_view(&bytes));
	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 2));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, 1));
	BULLA_TRY(bulla_cbor_rd_array(&r, BULLA_MAX_AGENTS, &ret->count));
	for (size_t i = 0; i < ret->count; i++) {
		const char *copy = NULL;
		bulla_bytes arn;

		BULLA_TRY(bulla_cbor_rd_expect_array(&r, 3));
		BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(ret->rows[i].agent.b), ret->rows[i].agent.b));
		BULLA_TRY(bulla_cbor_rd_copy(&r, BULLA_NITRO_PCR_SIZE, ret->rows[i].pcr0));
		BULLA_TRY(bulla_cbor_rd_text(&r, ARN_MAX, &arn));
		BULLA_TRY(arena_text(&context->arena, arn, &copy));
		ret->rows[i].arn = bulla_bytes_str(copy);
	}
	return bulla_cbor_rd_end(&r);
}

static bulla_rc write_table(const char *path, const struct table *table)
{
	BULLA_AUTO_BUF bytes;
	bulla_wr w;
	bulla_bytes view;

	bulla_buf_init(&bytes, FILE_MAX);
	w = bulla_wr_buf(&bytes);
	bulla_cbor_wr_array(&w, 2);
	bulla_cbor_wr_uint(&w, 1);
	bulla_cbor_wr_array(&w, table->count);
	for (size_t i = 0; i < table->count; i++) {
		bulla_cbor_wr_array(&w, 3);
		bulla_cbor_wr_bytes(&w, bulla_handle_view(&table->rows[i].agent));
		bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(table->rows[i].pcr0));
		bulla_cbor_wr_text(&w, table->rows[i].arn);
	}
	BULLA_TRY(bulla_wr_end(&w, &view));
	return bulla_sys_write_file(path, view, 0600);
}

static struct known *find(struct table *table, const bulla_handle *agent)
{
	for (size_t i = 0; i < table->count; i++)
		if (bulla_handle_eq(&table->rows[i].agent, agent))
			return &table->rows[i];
	return NULL;
}

/* CreateKey with the policy for this image, agent and tenant. */
static bulla_rc create_key(struct context *context, const struct broker_info *broker, const struct compile_facts *facts,
	const bulla_handle *agent, bulla_bytes *ret_arn)
{
	bulla_handle tenant = name_handle(context->name_key, "tenant", context->project.name);
	const struct bulla_kms_credential credential = {broker->access_key, broker->secret_key,
		BULLA_BYTES_LITERAL("us-east-1"), BULLA_BYTES_LITERAL("kms")};
	const struct bulla_kms_call call = {.host = BULLA_BYTES_LITERAL("localhost"),
		.sign = bulla_kms_sigv4_sign,
		.credential = &credential,
		.wall_ms = bulla_wall_ms(bulla_sys_clock())};
	struct bulla_http_message response;
	struct bulla_attest_value values[3];
	const struct bulla_kms_image image = {BULLA_BYTES_LITERAL("nitro"), values, 3};
	char socket[CONTEXT_PATH];
	const char *copy = NULL;
	BULLA_AUTO_BUF policy, request, memory, arn;

	bulla_buf_init(&policy, 32768);
	bulla_buf_init(&request, 65536);
	bulla_buf_init(&memory, 65536);
	bulla_buf_init(&arn, ARN_MAX);
	for (uint16_t i = 0; i < 3; i++)
		values[i] = (struct bulla_attest_value){BULLA_CLAIM_PCR, i, bulla_bytes_of(facts->measured[i], BULLA_NITRO_PCR_SIZE)};
	BULLA_TRY(bulla_kms_default_policy(broker->arn, &image, 1, tenant.b, agent->b, &policy));
	BULLA_TRY(bulla_kms_write_create_key(&call, bulla_buf_view(&policy), BULLA_BYTES_LITERAL("agent seeds"), &request));
	path_join(socket, context->runtime, "broker-tls.sock");
	BULLA_TRY(https_call(socket, &broker->tls_pin, bulla_buf_view(&request), &memory, &response));
	BULLA_TRY(bulla_kms_read_create_key(&response, &arn));
	BULLA_TRY(arena_text(&context->arena, bulla_buf_view(&arn), &copy));
	*ret_arn = bulla_bytes_str(copy);
	return BULLA_OK;
}

static bulla_rc one_key(struct context *context, const struct broker_info *broker, struct compile_facts *facts,
	struct table *table, unsigned index, bool *changed)
{
	bulla_handle agent = name_handle(context->name_key, "agent", context->project.agents[index].name);
	struct known *row = find(table, &agent);
	bulla_bytes pcr0 = bulla_bytes_of(facts->measured[0], BULLA_NITRO_PCR_SIZE);

	if (row == NULL || !bulla_bytes_eq(BULLA_BYTES_ARRAY(row->pcr0), pcr0)) {
		if (row == NULL && table->count == BULLA_MAX_AGENTS)
			return BULLA_FAIL(BULLA_E_LIMIT, "too many agents have had wrapping keys");
		row = row == NULL ? &table->rows[table->count++] : row;
		row->agent = agent;
		bulla_copy(row->pcr0, pcr0.p, pcr0.n);
		BULLA_TRY(create_key(context, broker, facts, &agent, &row->arn));
		*changed = true;
	}
	facts->wrapping_keys[index] = row->arn;
	return BULLA_OK;
}

int wrapping_keys(struct context *context, const struct broker_info *broker, struct compile_facts *facts)
{
	char path[CONTEXT_PATH];
	void *memory = NULL;
	bool changed = false;
	bulla_rc rc;

	path_join(path, context->state, "owner/wrapping");
	rc = arena_alloc(&context->arena, sizeof(struct table), &memory);
	struct table *table = memory;
	rc = rc == BULLA_OK ? read_table(context, path, table) : rc;
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, path, "move the file away and call bulla up again: keys are made anew");
	for (unsigned i = 0; i < context->project.agent_count && rc == BULLA_OK; i++)
		rc = one_key(context, broker, facts, table, i, &changed);
	if (rc == BULLA_OK && changed)
		rc = write_table(path, table);
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, "broker, CreateKey", "bulla status");
}
