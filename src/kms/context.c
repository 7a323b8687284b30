#include "kms/context.h"

#include "wire/text.h"

bulla_rc bulla_kms_context_add(struct bulla_kms_context *context, bulla_bytes key, bulla_bytes value)
{
	size_t at = context->count;

	if (context->count == BULLA_KMS_CONTEXT_MAX || key.n == 0 || key.n > BULLA_KMS_CONTEXT_BYTES ||
		value.n > BULLA_KMS_CONTEXT_BYTES)
		return BULLA_FAIL(BULLA_E_LIMIT, "an encryption context is too large");
	for (size_t i = 0; i < context->count; i++)
		if (bulla_bytes_eq(context->pairs[i].key, key))
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a key is twice in an encryption context");
	for (; at > 0 && bulla_bytes_cmp(context->pairs[at - 1].key, key) > 0; at--)
		context->pairs[at] = context->pairs[at - 1];
	context->pairs[at] = (struct bulla_kms_pair){key, value};
	context->count++;
	return BULLA_OK;
}

void bulla_kms_context_write(bulla_wr *w, const struct bulla_kms_context *context)
{
	size_t count = context == NULL ? 0 : context->count;

	bulla_wr_u32be(w, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		bulla_wr_u32be(w, (uint32_t)context->pairs[i].key.n);
		bulla_wr_bytes(w, context->pairs[i].key);
		bulla_wr_u32be(w, (uint32_t)context->pairs[i].value.n);
		bulla_wr_bytes(w, context->pairs[i].value);
	}
}

bulla_rc bulla_kms_seed_context_make(const uint8_t tenant[8], const uint8_t agent[8], uint64_t epoch,
	const bulla_digest *manifest, struct bulla_kms_seed_context *ret)
{
	bulla_wr w = bulla_wr_fixed(ret->text, sizeof(ret->text));
	bulla_bytes text;
	size_t digits;

	ret->context = (struct bulla_kms_context){.count = 0};
	bulla_text_wr_hex(&w, bulla_bytes_of(agent, 8));
	bulla_text_wr_hex(&w, bulla_bytes_of(tenant, 8));
	bulla_text_wr_hex(&w, bulla_bytes_digest(manifest));
	bulla_text_wr_uint(&w, epoch);
	BULLA_TRY(bulla_wr_end(&w, &text));
	digits = text.n - 96;
	BULLA_TRY(bulla_kms_context_add(&ret->context, BULLA_BYTES_LITERAL("bulla:agent"), bulla_bytes_of(text.p, 16)));
	BULLA_TRY(
		bulla_kms_context_add(&ret->context, BULLA_BYTES_LITERAL("bulla:tenant"), bulla_bytes_of(text.p + 16, 16)));
	BULLA_TRY(
		bulla_kms_context_add(&ret->context, BULLA_BYTES_LITERAL("bulla:manifest"), bulla_bytes_of(text.p + 32, 64)));
	return bulla_kms_context_add(&ret->context, BULLA_BYTES_LITERAL("bulla:epoch"),
		bulla_bytes_of(text.p + 96, digits));
}
