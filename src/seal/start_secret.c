#include "seal/start_secret.h"

#include "base/wr.h"

#define SECRET_SIZE 32
#define TAG_SIZE 16
#define INFO BULLA_BYTES_LITERAL("bulla/1 start")
#define CONTEXT_MAX 256

/* [tenant, workflow, manifest, run, party, day key]: associated data, so that a sealed secret is of one start only. */
static bulla_rc context_of(const struct bulla_start *start, uint8_t memory[CONTEXT_MAX], bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, CONTEXT_MAX);

	bulla_cbor_wr_array(&w, 6);
	bulla_cbor_wr_bytes(&w, bulla_handle_view(&start->tenant));
	bulla_cbor_wr_digest(&w, &start->workflow);
	bulla_cbor_wr_digest(&w, &start->manifest);
	bulla_cbor_wr_bytes(&w, bulla_run_id_view(&start->run));
	bulla_cbor_wr_digest(&w, &start->party);
	bulla_cbor_wr_digest(&w, &start->day_key);
	return bulla_wr_end(&w, ret);
}

bulla_rc bulla_start_secret_seal(const struct bulla_start *start, enum bulla_kem kem, bulla_bytes day_public,
	bulla_secret run_secret, const struct bulla_random *random, struct bulla_buf *ret)
{
	uint8_t memory[CONTEXT_MAX], sealed[BULLA_HPKE_ENC_MAX + SECRET_SIZE + TAG_SIZE];
	size_t enc_size = bulla_kem_enc_size(kem);
	bulla_bytes secret = bulla_secret_view(run_secret), context;

	if (secret.n != SECRET_SIZE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a run secret has 32 bytes");
	BULLA_TRY(context_of(start, memory, &context));
	BULLA_TRY(bulla_hpke_seal(kem, day_public, INFO, context, secret, random, sealed, sealed + enc_size));
	return bulla_buf_append(ret, bulla_bytes_of(sealed, enc_size + SECRET_SIZE + TAG_SIZE));
}

bulla_rc bulla_start_secret_open(const struct bulla_start *start, enum bulla_kem kem, bulla_secret day_private,
	bulla_secret *ret)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	bulla_rd r = bulla_rd_of(start->secret);
	uint8_t memory[CONTEXT_MAX], *p = NULL;
	bulla_bytes context, enc, sealed;

	BULLA_TRY(bulla_rd_bytes(&r, bulla_kem_enc_size(kem), &enc));
	BULLA_TRY(bulla_rd_bytes(&r, SECRET_SIZE + TAG_SIZE, &sealed));
	BULLA_TRY(bulla_rd_end(&r));
	BULLA_TRY(context_of(start, memory, &context));
	BULLA_TRY(bulla_secret_alloc(SECRET_SIZE, &secret, &p));
	BULLA_TRY(bulla_hpke_open(kem, day_private, enc, INFO, context, sealed, p));
	*ret = bulla_secret_take(&secret);
	return BULLA_OK;
}
