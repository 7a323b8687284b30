#include "receipt/instance.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "receipt/fixed.h"

enum { INSTANCE_ITEMS = 11, TEE_MAX = 16, RECEIPT_KEY_MAX = 256 };

bulla_rc bulla_instance_write(bulla_wr *w, const struct bulla_instance *instance)
{
	if (instance->tee.n == 0 || instance->tee.n > TEE_MAX || instance->receipt_key.n > RECEIPT_KEY_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an instance record's TEE or key has no possible size");
	if (instance->evidence.n > BULLA_MAX_EVIDENCE || instance->collateral.n > BULLA_MAX_EVIDENCE ||
		instance->agents.n > sizeof(bulla_handle) * BULLA_MAX_AGENTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "an instance record is too large");
	bulla_cbor_wr_array(w, INSTANCE_ITEMS);
	bulla_cbor_wr_uint(w, BULLA_INSTANCE_VERSION);
	bulla_cbor_wr_text(w, instance->tee);
	bulla_cbor_wr_uint(w, instance->purpose);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(instance->challenge));
	bulla_cbor_wr_digest(w, &instance->channel);
	bulla_cbor_wr_bytes(w, instance->receipt_key);
	bulla_cbor_wr_bytes(w, instance->agents);
	bulla_cbor_wr_digest(w, &instance->manifest);
	bulla_cbor_wr_bytes(w, instance->evidence);
	bulla_cbor_wr_bytes(w, instance->collateral);
	bulla_fixed_wr_u64(w, instance->time_ms);
	return BULLA_OK;
}

static bulla_rc read_binder_fields(bulla_cbor_rd *r, struct bulla_instance *instance)
{
	uint64_t purpose;

	BULLA_TRY(bulla_cbor_rd_text(r, TEE_MAX, &instance->tee));
	BULLA_TRY(bulla_cbor_rd_uint_max(r, BULLA_PURPOSE_RELEASE, &purpose));
	if (instance->tee.n == 0 || purpose < BULLA_PURPOSE_SESSION)
		return BULLA_FAIL(BULLA_E_FORMAT, "an instance record has no TEE or an unknown purpose");
	instance->purpose = (uint8_t)purpose;
	BULLA_TRY(bulla_cbor_rd_copy(r, sizeof(instance->challenge), instance->challenge));
	BULLA_TRY(bulla_cbor_rd_digest(r, &instance->channel));
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, RECEIPT_KEY_MAX, &instance->receipt_key));
	BULLA_TRY(bulla_fixed_rd_list(r, sizeof(bulla_handle), BULLA_MAX_AGENTS, &instance->agents));
	return bulla_cbor_rd_digest(r, &instance->manifest);
}

bulla_rc bulla_instance_decode(bulla_bytes bytes, struct bulla_instance *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_instance instance;

	BULLA_TRY(bulla_fixed_rd_version(&r, INSTANCE_ITEMS, BULLA_INSTANCE_VERSION));
	BULLA_TRY(read_binder_fields(&r, &instance));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_MAX_EVIDENCE, &instance.evidence));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_MAX_EVIDENCE, &instance.collateral));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &instance.time_ms));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = instance;
	return BULLA_OK;
}

void bulla_instance_kid(const struct bulla_instance *instance, bulla_digest *ret)
{
	bulla_sha256(instance->receipt_key, ret);
}

bulla_rc bulla_instance_binder(const struct bulla_instance *instance, uint8_t ret[BULLA_BINDER_BYTES])
{
	static const char *const words[] = {"", "session", "boot", "release"};
	struct bulla_binder binder = {
		.tee = instance->tee,
		.purpose = bulla_bytes_str(words[instance->purpose <= BULLA_PURPOSE_RELEASE ? instance->purpose : 0]),
		.channel = instance->channel,
		.agents = instance->agents,
		.manifest = instance->manifest,
	};

	bulla_copy(binder.challenge.b, instance->challenge, sizeof(binder.challenge.b));
	bulla_instance_kid(instance, &binder.key);
	return bulla_binder_make(&binder, ret);
}

bool bulla_instance_hosts(const struct bulla_instance *instance, const bulla_handle *agent)
{
	bulla_rd r = bulla_rd_of(instance->agents);
	bulla_bytes hosted;

	while (bulla_rd_left(&r) >= sizeof(*agent)) {
		if (bulla_rd_bytes(&r, sizeof(*agent), &hosted) != BULLA_OK)
			return false;
		if (bulla_bytes_eq(hosted, bulla_handle_view(agent)))
			return true;
	}
	return false;
}
