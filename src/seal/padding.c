#include "seal/internal.h"

#define RULE_CLASSES 0
#define RULE_FIXED 1
#define RULE_EXACT 2

/* A text of 1 KiB with what JSON puts around it is in the smallest. */
static const uint32_t classes[] = {2048, 8192, 32768, 131072, 524288, 1048576};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static bulla_rc class_of(size_t size, uint32_t *ret_class)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (size <= classes[i]) {
			*ret_class = classes[i];
			return BULLA_OK;
		}
	return BULLA_FAIL(BULLA_E_LIMIT, "a payload is larger than the largest padding class");
}

bulla_rc bulla_padding_class(struct bulla_padding_rule rule, size_t size, uint32_t *ret_class)
{
	if (size > BULLA_MAX_PAYLOAD)
		return BULLA_FAIL(BULLA_E_LIMIT, "a payload is larger than 1 MiB");
	if (rule.rule == RULE_CLASSES)
		return class_of(size, ret_class);
	if (rule.rule == RULE_FIXED && size > rule.size)
		return BULLA_FAIL(BULLA_E_LIMIT, "a payload is larger than the manifest's one padding class");
	if (rule.rule != RULE_EXACT && (rule.rule != RULE_FIXED || rule.size > BULLA_MAX_PAYLOAD || rule.size == 0))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a padding rule is none of the three");
	*ret_class = rule.rule == RULE_FIXED ? rule.size : 0;
	return BULLA_OK;
}

size_t bulla_padding_size(size_t payload, uint32_t class_size)
{
	return BULLA_ENVELOPE_OVERHEAD + (class_size != 0 ? class_size : payload);
}

/* salt, then the length in 4 bytes big endian */
static void write_head(bulla_bytes salt, size_t size, uint8_t ret[BULLA_ENVELOPE_OVERHEAD])
{
	bulla_copy(ret, salt.p, BULLA_ENVELOPE_SALT);
	for (unsigned i = 0; i < 4; i++)
		ret[BULLA_ENVELOPE_SALT + i] = (uint8_t)(size >> 8 * (3 - i));
}

void bulla_padding_digest(bulla_bytes salt, bulla_bytes payload, uint32_t class_size, bulla_digest *ret)
{
	static const uint8_t zeros[4096];
	uint8_t head[BULLA_ENVELOPE_OVERHEAD];
	size_t left = bulla_padding_size(payload.n, class_size) - BULLA_ENVELOPE_OVERHEAD - payload.n;
	struct bulla_sha256 hash;

	write_head(salt, payload.n, head);
	bulla_sha256_init(&hash);
	bulla_sha256_add(&hash, BULLA_BYTES_ARRAY(head));
	bulla_sha256_add(&hash, payload);
	while (left > 0) {
		size_t some = left < sizeof(zeros) ? left : sizeof(zeros);

		bulla_sha256_add(&hash, bulla_bytes_of(zeros, some));
		left -= some;
	}
	bulla_sha256_end(&hash, ret);
	bulla_wipe(head, sizeof(head));
}

void bulla_padding_write(bulla_bytes salt, bulla_bytes payload, uint32_t class_size, uint8_t *ret)
{
	size_t size = bulla_padding_size(payload.n, class_size);

	write_head(salt, payload.n, ret);
	bulla_copy(ret + BULLA_ENVELOPE_OVERHEAD, payload.p, payload.n);
	bulla_zero(ret + BULLA_ENVELOPE_OVERHEAD + payload.n, size - BULLA_ENVELOPE_OVERHEAD - payload.n);
}

bulla_rc bulla_envelope_commitment(bulla_secret salt, bulla_bytes payload, struct bulla_padding_rule padding,
	bulla_digest *ret)
{
	uint32_t class_size;

	BULLA_TRY(bulla_padding_class(padding, payload.n, &class_size));
	bulla_padding_digest(bulla_secret_view(salt), payload, class_size, ret);
	return BULLA_OK;
}

bulla_rc bulla_envelope_part_check(bulla_secret whole_salt, bulla_bytes path, bulla_bytes part,
	struct bulla_padding_rule padding, const bulla_digest *commitment)
{
	BULLA_AUTO_SECRET salt = BULLA_SECRET_NONE;
	bulla_digest right;

	BULLA_TRY(bulla_envelope_part_salt(whole_salt, path, &salt));
	BULLA_TRY(bulla_envelope_commitment(salt, part, padding, &right));
	if (BULLA_CHECK_ON(ENVELOPE_PART) && !bulla_digest_eq(&right, commitment))
		return BULLA_FAIL(BULLA_E_PART, "a part is not the part of its whole");
	return BULLA_OK;
}
