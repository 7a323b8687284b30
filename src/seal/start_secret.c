#include "seal/start_secret.h"

#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

#define SECRET_SIZE 32
#define TAG_SIZE 16
#define INFO BULLA_BYTES_LITERAL("bulla/1 start")
#define CONTEXT_MAX 256

/* [tenant, party, day key]: associated data of the starter's secret. */
static bulla_rc starter_context(const struct bulla_start *start, uint8_t memory[CONTEXT_MAX], bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, CONTEXT_MAX);

	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_bytes(&w, bulla_handle_view(&start->tenant));
	bulla_cbor_wr_digest(&w, &start->party);
	bulla_cbor_wr_digest(&w, &start->day_key);
	return bulla_wr_end(&w, ret);
}

/* [tenant, workflow, manifest, run, party, day key, digest(inputs)]: context of the key that wraps, so that a run secret is of
 * one start, and the key of one secret: two starts in the name of one run id have sealed their inputs under fresh salts. */
static bulla_rc run_context(const struct bulla_start *start, uint8_t memory[CONTEXT_MAX], bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, CONTEXT_MAX);
	bulla_digest inputs;

	bulla_sha256(start->inputs, &inputs);
	bulla_cbor_wr_array(&w, 7);
	bulla_cbor_wr_bytes(&w, bulla_handle_view(&start->tenant));
	bulla_cbor_wr_digest(&w, &start->workflow);
	bulla_cbor_wr_digest(&w, &start->manifest);
	bulla_cbor_wr_bytes(&w, bulla_run_id_view(&start->run));
	bulla_cbor_wr_digest(&w, &start->party);
	bulla_cbor_wr_digest(&w, &start->day_key);
	bulla_cbor_wr_digest(&w, &inputs);
	return bulla_wr_end(&w, ret);
}

bulla_rc bulla_start_sealer_new(const struct bulla_start *start, const struct bulla_kem *kem, bulla_bytes day_public,
	const struct bulla_random *random, struct bulla_start_sealer *ret)
{
	size_t enc_size = kem->enc_size;
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	uint8_t memory[CONTEXT_MAX];
	bulla_bytes context;

	BULLA_TRY(starter_context(start, memory, &context));
	BULLA_TRY(bulla_random_secret(random, SECRET_SIZE, &secret));
	BULLA_TRY(bulla_hpke_seal(
		kem, day_public, INFO, context, bulla_secret_view(secret), random, ret->sealed, ret->sealed + enc_size));
	ret->kem = kem;
	ret->size = enc_size + SECRET_SIZE + TAG_SIZE;
	ret->secret = bulla_secret_take(&secret);
	return BULLA_OK;
}

void bulla_start_sealer_done(struct bulla_start_sealer *sealer)
{
	bulla_secret_free(&sealer->secret);
	sealer->size = 0;
}

/* The key that wraps the run secret of this start: used once. */
static bulla_rc run_kek(const struct bulla_start *start, bulla_secret starter, bulla_secret *ret)
{
	uint8_t memory[CONTEXT_MAX];
	bulla_bytes context;

	BULLA_TRY(run_context(start, memory, &context));
	return bulla_kdf(starter, BULLA_LABEL_START, context, ret);
}

bulla_rc bulla_start_secret_seal(const struct bulla_start *start, const struct bulla_start_sealer *sealer,
	bulla_secret run_secret, struct bulla_buf *ret)
{
	BULLA_AUTO_SECRET kek = BULLA_SECRET_NONE;
	uint8_t wrapped[BULLA_WRAPPED_SIZE];

	if (bulla_secret_view(run_secret).n != SECRET_SIZE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a run secret has 32 bytes");
	BULLA_TRY(run_kek(start, sealer->secret, &kek));
	BULLA_TRY(bulla_key_wrap(kek, run_secret, wrapped));
	BULLA_TRY(bulla_buf_append(ret, bulla_bytes_of(sealer->sealed, sealer->size)));
	return bulla_buf_append(ret, BULLA_BYTES_ARRAY(wrapped));
}

struct parts {
	bulla_bytes enc, sealed, wrapped;
};

static bulla_rc split(const struct bulla_start *start, const struct bulla_kem *kem, struct parts *ret)
{
	bulla_rd r = bulla_rd_of(start->secret);

	BULLA_TRY(bulla_rd_bytes(&r, kem->enc_size, &ret->enc));
	BULLA_TRY(bulla_rd_bytes(&r, SECRET_SIZE + TAG_SIZE, &ret->sealed));
	BULLA_TRY(bulla_rd_bytes(&r, BULLA_WRAPPED_SIZE, &ret->wrapped));
	return bulla_rd_end(&r);
}

bulla_rc bulla_start_sealed_digest(const struct bulla_start *start, const struct bulla_kem *kem, bulla_digest *ret)
{
	uint8_t memory[CONTEXT_MAX];
	struct parts parts;
	bulla_bytes context;

	BULLA_TRY(split(start, kem, &parts));
	BULLA_TRY(starter_context(start, memory, &context));
	bulla_sha256_parts((const bulla_bytes[]){context, parts.enc, parts.sealed}, 3, ret);
	return BULLA_OK;
}

bulla_rc bulla_start_sealed_open(const struct bulla_start *start, const struct bulla_kem *kem, bulla_secret day_private,
	bulla_secret *ret)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	uint8_t memory[CONTEXT_MAX], *p = NULL;
	struct parts parts;
	bulla_bytes context;

	BULLA_TRY(split(start, kem, &parts));
	BULLA_TRY(starter_context(start, memory, &context));
	BULLA_TRY(bulla_secret_alloc(SECRET_SIZE, &secret, &p));
	BULLA_TRY(bulla_hpke_open(kem, day_private, parts.enc, INFO, context, parts.sealed, p));
	*ret = bulla_secret_take(&secret);
	return BULLA_OK;
}

bulla_rc bulla_start_secret_open(const struct bulla_start *start, const struct bulla_kem *kem, bulla_secret starter,
	bulla_secret *ret)
{
	BULLA_AUTO_SECRET kek = BULLA_SECRET_NONE;
	struct parts parts;

	BULLA_TRY(split(start, kem, &parts));
	BULLA_TRY(run_kek(start, starter, &kek));
	return bulla_key_unwrap(kek, parts.wrapped, ret);
}
