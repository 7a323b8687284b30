#include "platform/deployment.h"

#include "wire/cbor.h"

#define VERSION 1
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

		bulla_cbor_wr_array(w, 4);
		bulla_cbor_wr_text(w, agent->handle);
		bulla_cbor_wr_text(w, agent->label);
		bulla_cbor_wr_text(w, agent->bundle);
		bulla_cbor_wr_uint(w, agent->replicas);
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

	BULLA_TRY(bulla_cbor_rd_expect_array(r, 4));
	BULLA_TRY(bulla_cbor_rd_text(r, 16, &agent->handle));
	BULLA_TRY(bulla_cbor_rd_text(r, 32, &agent->label));
	BULLA_TRY(bulla_cbor_rd_text(r, BULLA_DEPLOYMENT_PATH, &agent->bundle));
	BULLA_TRY(bulla_cbor_rd_uint_max(r, REPLICAS_MAX, &replicas));
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
