#include "crypto/kdf.h"

#include "crypto/mac.h"

#include <assert.h>

static const char *const label_texts[BULLA_LABEL_COUNT] = {
#define BULLA_LABEL(name, text) text,
#include "crypto/labels.def"
#undef BULLA_LABEL
};

const char *bulla_label_text(enum bulla_label label)
{
	assert((unsigned)label < BULLA_LABEL_COUNT);
	return label_texts[label];
}

/* RFC 5869 section 2.2. */
static void extract(bulla_bytes salt, const bulla_bytes *parts, size_t count, bulla_digest *ret)
{
	struct bulla_hmac hmac;

	bulla_hmac_init(&hmac, salt);
	for (size_t i = 0; i < count; i++)
		bulla_hmac_add(&hmac, parts[i]);
	bulla_hmac_end(&hmac, ret);
}

/* RFC 5869 section 2.3; size <= 64, so at most two blocks. */
static void expand(bulla_bytes prk, const bulla_bytes *parts, size_t count, size_t size, uint8_t *ret)
{
	struct bulla_hmac keyed, hmac;
	bulla_digest block;
	size_t done = 0;

	bulla_hmac_init(&keyed, prk);
	for (uint8_t number = 1; done < size; number++) {
		size_t some = size - done < sizeof(block) ? size - done : sizeof(block);

		hmac = keyed;
		if (number > 1)
			bulla_hmac_add(&hmac, bulla_bytes_digest(&block));
		for (size_t i = 0; i < count; i++)
			bulla_hmac_add(&hmac, parts[i]);
		bulla_hmac_add(&hmac, bulla_bytes_of(&number, 1));
		bulla_hmac_end(&hmac, &block);
		bulla_copy(ret + done, block.b, some);
		done += some;
	}
	bulla_wipe(&keyed, sizeof(keyed));
	bulla_wipe(&block, sizeof(block));
}

bulla_rc bulla_hkdf_extract(bulla_bytes salt, const bulla_bytes *parts, size_t count, bulla_secret *ret)
{
	bulla_digest prk;
	uint8_t *p = NULL;

	BULLA_TRY(bulla_secret_alloc(sizeof(prk), ret, &p));
	extract(salt, parts, count, &prk);
	bulla_copy(p, prk.b, sizeof(prk));
	bulla_wipe(&prk, sizeof(prk));
	return BULLA_OK;
}

bulla_rc bulla_hkdf_expand(bulla_secret prk, const bulla_bytes *parts, size_t count, size_t size, bulla_secret *ret)
{
	uint8_t *p = NULL;

	BULLA_TRY(bulla_secret_alloc(size, ret, &p));
	expand(bulla_secret_view(prk), parts, count, size, p);
	return BULLA_OK;
}

/* kdf of protocol.md section 1, from the concatenation of count secrets. */
static void derive(const bulla_bytes *secrets, size_t count, enum bulla_label label, bulla_bytes context, size_t size,
	uint8_t *ret)
{
	static const uint8_t zero = 0;
	bulla_digest prk;
	const bulla_bytes info[] = {BULLA_BYTES_LITERAL("bulla/1 "), bulla_bytes_str(bulla_label_text(label)),
		bulla_bytes_of(&zero, 1), context};

	extract((bulla_bytes){NULL, 0}, secrets, count, &prk);
	expand(bulla_bytes_digest(&prk), info, sizeof(info) / sizeof(info[0]), size, ret);
	bulla_wipe(&prk, sizeof(prk));
}

bulla_rc bulla_kdf(bulla_secret secret, enum bulla_label label, bulla_bytes context, bulla_secret *ret)
{
	bulla_bytes bytes = bulla_secret_view(secret);
	uint8_t *p = NULL;

	BULLA_TRY(bulla_secret_alloc(BULLA_KEY_SIZE, ret, &p));
	derive(&bytes, 1, label, context, BULLA_KEY_SIZE, p);
	return BULLA_OK;
}

bulla_rc bulla_kdf2(bulla_secret first, bulla_secret second, enum bulla_label label, bulla_bytes context,
	bulla_secret *ret)
{
	static const uint8_t zeros[BULLA_KEY_SIZE];
	const bulla_bytes bytes[] = {
		bulla_secret_view(first), second.slot != 0 ? bulla_secret_view(second) : BULLA_BYTES_ARRAY(zeros)};
	uint8_t *p = NULL;

	BULLA_TRY(bulla_secret_alloc(BULLA_KEY_SIZE, ret, &p));
	derive(bytes, 2, label, context, BULLA_KEY_SIZE, p);
	return BULLA_OK;
}

bulla_rc bulla_kdf_bytes(bulla_secret secret, enum bulla_label label, bulla_bytes context, size_t size, uint8_t *ret)
{
	bulla_bytes bytes = bulla_secret_view(secret);

	if (size == 0 || size > BULLA_SECRET_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a derivation gives 1 to 64 bytes");
	derive(&bytes, 1, label, context, size, ret);
	return BULLA_OK;
}
