/* Envelopes: views stay inside, a stripped envelope is one with the same digest, and nothing opens without keys. */
#include "fuzz.h"
#include "seal/envelope.h"

static bulla_rc find_none(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	(void)ctx;
	(void)id;
	(void)ret;
	return BULLA_E_NOT_FOUND;
}

static void check_inside(bulla_bytes view, bulla_bytes in)
{
	fuzz_assert(view.n == 0 || (view.p >= in.p && view.p + view.n <= in.p + in.n));
}

static void check_stripped(const struct bulla_envelope *envelope)
{
	struct bulla_envelope header;
	BULLA_AUTO_BUF buf = {0};

	bulla_buf_init(&buf, BULLA_ENVELOPE_MAX);
	fuzz_assert(bulla_envelope_strip(envelope, &buf) == BULLA_OK);
	fuzz_assert(bulla_envelope_parse(bulla_buf_view(&buf), &header) == BULLA_OK);
	fuzz_assert(bulla_digest_eq(&header.digest, &envelope->digest));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct bulla_envelope_keys keys = {.find = find_none};
	struct bulla_envelope_expected expected;
	bulla_bytes in = bulla_bytes_of(p, n), wrapped;
	struct bulla_envelope envelope;
	struct bulla_opened opened;
	BULLA_AUTO_BUF memory = {0};
	bulla_link_id id;

	if (bulla_envelope_parse(in, &envelope) != BULLA_OK)
		return 0;
	check_inside(envelope.core, in);
	check_inside(envelope.readers, in);
	check_inside(envelope.path, in);
	check_inside(envelope.ciphertext, in);
	for (size_t i = 0; i < envelope.reader_count; i++)
		fuzz_assert(bulla_envelope_reader_at(&envelope, i, &id, &wrapped) == BULLA_OK);
	fuzz_assert(bulla_envelope_reader_at(&envelope, envelope.reader_count, &id, &wrapped) == BULLA_E_NOT_FOUND);
	check_stripped(&envelope);
	bulla_buf_init(&memory, BULLA_ENVELOPE_MAX);
	expected = (struct bulla_envelope_expected){envelope.position, envelope.kind, envelope.path, envelope.producer};
	fuzz_assert(bulla_envelope_open(&envelope, &expected, &keys, &memory, &opened) != BULLA_OK);
	return 0;
}
