#include "platform/deployment.h"

#include "wire/cbor.h"
#include "wire/text.h"

#define VERSION 2
#define REPLICAS_MAX 16

bulla_rc bulla_deployment_write(const struct bulla_deployment *deployment, bulla_wr *w)
{
	bulla_bytes ignored;

	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_uint(w, VERSION);
	bulla_cbor_wr_text(w, deployment->manifest);
	bulla_cbor_wr_array(w, deployment->agent_count);
	for (size_t i = 0; i < deployment->agent_count; i++) {
		const struct bulla_deployed_agent *agent = &deployment->agents[i];

		bulla_cbor_wr_array(w, 5);
		bulla_cbor_wr_text(w, agent->handle);
		bulla_cbor_wr_text(w, agent->label);
		bulla_cbor_wr_text(w, agent->bundle);
		bulla_cbor_wr_uint(w, agent->replicas);
		bulla_cbor_wr_text(w, agent->manifest);
	}
	bulla_cbor_wr_uint(w, deployment->port);
	return bulla_wr_end(w, &ignored);
}

static bool is_plain(bulla_bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return text.n > 0;
}

static bulla_rc read_agent(bulla_cbor_rd *r, struct bulla_deployed_agent *agent)
{
	uint64_t replicas;

	BULLA_TRY(bulla_cbor_rd_expect_array(r, 5));
	BULLA_TRY(bulla_cbor_rd_text(r, 16, &agent->handle));
	BULLA_TRY(bulla_cbor_rd_text(r, 32, &agent->label));
	BULLA_TRY(bulla_cbor_rd_text(r, BULLA_DEPLOYMENT_PATH, &agent->bundle));
	BULLA_TRY(bulla_cbor_rd_uint_max(r, REPLICAS_MAX, &replicas));
	BULLA_TRY(bulla_cbor_rd_text(r, BULLA_DEPLOYMENT_PATH, &agent->manifest));
	if (!is_plain(agent->handle) || !is_plain(agent->label) || replicas == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "an agent of the deployment has no plain name or no replica");
	agent->replicas = (uint32_t)replicas;
	return BULLA_OK;
}

bulla_rc bulla_deployment_read(bulla_bytes bytes, struct bulla_deployment *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	uint64_t port;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 4));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, VERSION));
	BULLA_TRY(bulla_cbor_rd_text(&r, BULLA_DEPLOYMENT_PATH, &ret->manifest));
	BULLA_TRY(bulla_cbor_rd_array(&r, BULLA_MAX_AGENTS, &ret->agent_count));
	for (size_t i = 0; i < ret->agent_count; i++)
		BULLA_TRY(read_agent(&r, &ret->agents[i]));
	BULLA_TRY(bulla_cbor_rd_uint_max(&r, UINT16_MAX, &port));
	ret->port = (uint32_t)port;
	return bulla_cbor_rd_end(&r);
}

void bulla_deployment_digest(bulla_bytes deployment, bulla_bytes manifest, bulla_digest *ret)
{
	bulla_sha256_parts((const bulla_bytes[]){deployment, manifest}, 2, ret);
}

bulla_rc bulla_deployed_write(const bulla_digest *digest, bulla_rc result, bulla_wr *w)
{
	bulla_bytes ignored;

	bulla_text_wr_hex(w, bulla_bytes_digest(digest));
	bulla_text_wr(w, " ");
	bulla_text_wr(w, bulla_rc_id(result));
	bulla_text_wr(w, "\n");
	return bulla_wr_end(w, &ignored);
}

bulla_rc bulla_deployed_read(bulla_bytes text, const bulla_digest *digest, bulla_rc *ret_result)
{
	const size_t digits = 2 * sizeof(digest->b);
	bulla_digest found;
	char id[BULLA_DEPLOYED_MAX] = "";
	bulla_rc result;

	if (text.n <= digits + 2 || text.n >= BULLA_DEPLOYED_MAX || text.p[digits] != ' ' || text.p[text.n - 1] != '\n')
		return BULLA_FAIL(BULLA_E_FORMAT, "the supervisor's answer is damaged");
	BULLA_TRY(bulla_text_hex(bulla_bytes_of(text.p, digits), sizeof(found.b), found.b));
	bulla_copy(id, text.p + digits + 1, text.n - digits - 2);
	result = bulla_rc_from_id(id);
	if (result == BULLA_RC_COUNT)
		return BULLA_FAIL(BULLA_E_FORMAT, "the supervisor's answer is damaged");
	if (!bulla_digest_eq(&found, digest))
		return BULLA_E_NOT_FOUND;
	*ret_result = result;
	return BULLA_OK;
}
