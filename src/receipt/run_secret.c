#include "receipt/run_secret.h"

#include "crypto/aead.h"
#include "crypto/kdf.h"

static bulla_rc wrapping_kek(bulla_secret wrapping_key, const struct bulla_position *position, bulla_secret *ret)
{
	uint8_t memory[BULLA_POSITION_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_position_write(&w, position);
	return bulla_kdf(wrapping_key, BULLA_LABEL_RUN, BULLA_BYTES_ARRAY(memory), ret);
}

bulla_rc bulla_run_secret_wrap(bulla_secret wrapping_key, const struct bulla_position *position,
	bulla_secret run_secret, uint8_t ret[BULLA_WRAPPED_SECRET_BYTES])
{
	BULLA_AUTO_SECRET kek = BULLA_SECRET_NONE;

	BULLA_TRY(wrapping_kek(wrapping_key, position, &kek));
	return bulla_key_wrap(kek, run_secret, ret);
}

bulla_rc bulla_run_secret_unwrap(bulla_secret wrapping_key, const struct bulla_position *position,
	const uint8_t wrapped[BULLA_WRAPPED_SECRET_BYTES], bulla_secret *ret)
{
	BULLA_AUTO_SECRET kek = BULLA_SECRET_NONE;

	BULLA_TRY(wrapping_kek(wrapping_key, position, &kek));
	return bulla_key_unwrap(kek, bulla_bytes_of(wrapped, BULLA_WRAPPED_SECRET_BYTES), ret);
}
