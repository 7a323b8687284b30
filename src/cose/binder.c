#include "cose/binder.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "wire/cbor.h"

#define HANDLE_BYTES 8

static bool is_purpose(bulla_bytes purpose)
{
	static const char *const purposes[] = {"session", "boot", "release", "client", "server"};

	for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++)
		if (bulla_bytes_eq_str(purpose, purposes[i]))
			return true;
	return false;
}

static bulla_rc check(const struct bulla_binder *binder)
{
	if (!is_purpose(binder->purpose))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "evidence is made for a session, a boot, a release, or a channel's client or server");
	if (binder->tee.n == 0 || binder->tee.n > 16)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a TEE's word has 1 to 16 characters");
	if (binder->agents.n % HANDLE_BYTES != 0 || binder->agents.n / HANDLE_BYTES > BULLA_MAX_AGENTS)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "agents are handles of 8 bytes, not too many");
	for (size_t i = HANDLE_BYTES; i < binder->agents.n; i += HANDLE_BYTES)
		if (bulla_bytes_cmp(bulla_bytes_of(binder->agents.p + i - HANDLE_BYTES, HANDLE_BYTES),
			bulla_bytes_of(binder->agents.p + i, HANDLE_BYTES)) >= 0)
			return BULLA_FAIL(BULLA_E_ARGUMENT, "agents stand in rising order");
	return BULLA_OK;
}

bulla_rc bulla_binder_make(const struct bulla_binder *binder, uint8_t ret[BULLA_BINDER_BYTES])
{
	uint8_t memory[256 + BULLA_MAX_AGENTS * (HANDLE_BYTES + 1)];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text;

	BULLA_TRY(check(binder));
	bulla_wr_bytes(&w, BULLA_BYTES_LITERAL("bulla-att-v1"));
	bulla_cbor_wr_array(&w, 7);
	bulla_cbor_wr_text(&w, binder->tee);
	bulla_cbor_wr_text(&w, binder->purpose);
	bulla_cbor_wr_digest(&w, &binder->challenge);
	bulla_cbor_wr_digest(&w, &binder->channel);
	bulla_cbor_wr_digest(&w, &binder->key);
	bulla_cbor_wr_array(&w, binder->agents.n / HANDLE_BYTES);
	for (size_t i = 0; i < binder->agents.n; i += HANDLE_BYTES)
		bulla_cbor_wr_bytes(&w, bulla_bytes_of(binder->agents.p + i, HANDLE_BYTES));
	bulla_cbor_wr_digest(&w, &binder->manifest);
	BULLA_TRY(bulla_wr_end(&w, &text));
	bulla_sha512(text, ret);
	return BULLA_OK;
}
