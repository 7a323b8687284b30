/* Prints a sealed whole, its part, and a link, with all secrets in hex, one "name value" a line, for envelope_model.py. */
#include "seal/internal.h"

#include <stdio.h>

static void put(const char *name, bulla_bytes bytes)
{
	printf("%s ", name);
	for (size_t i = 0; i < bytes.n; i++)
		printf("%02x", bytes.p[i]);
	printf("\n");
}

static bulla_rc dump(const struct bulla_envelope_spec *spec, bulla_bytes payload, const char *name, struct bulla_buf *buf)
{
	bulla_digest digest, commitment;

	bulla_buf_clear(buf);
	BULLA_TRY(bulla_envelope_seal(spec, payload, buf, &digest, &commitment));
	put(name, bulla_buf_view(buf));
	put("digest", bulla_bytes_digest(&digest));
	put("commitment", bulla_bytes_digest(&commitment));
	return BULLA_OK;
}

static bulla_rc dump_both(struct bulla_buf *buf)
{
	const bulla_bytes names[] = {BULLA_BYTES_LITERAL("risk"), BULLA_BYTES_LITERAL("grade")};
	BULLA_AUTO_SECRET link = BULLA_SECRET_NONE, run = BULLA_SECRET_NONE, salt = BULLA_SECRET_NONE;
	BULLA_AUTO_SECRET part = BULLA_SECRET_NONE, instance = BULLA_SECRET_NONE;
	struct bulla_envelope_reader readers[2];
	struct bulla_envelope_spec spec = {.position = {.slot = {{{1}}, {{2}}, {{3}}, 4, 5}, .attempt = 6},
		.kind = BULLA_ENVELOPE_OUTPUT, .path = bulla_path_whole, .producer = {{7}}, .random = bulla_random_os(),
		.readers = readers, .reader_count = 2};
	uint8_t path[BULLA_PATH_MAX];

	BULLA_TRY(bulla_random_secret(spec.random, 32, &link));
	BULLA_TRY(bulla_random_secret(spec.random, 32, &run));
	BULLA_TRY(bulla_random_secret(spec.random, 32, &salt));
	BULLA_TRY(bulla_random_secret(spec.random, 32, &instance));
	readers[0] = (struct bulla_envelope_reader){{{1}}, link, run};
	readers[1] = (struct bulla_envelope_reader){{{2}}, link, BULLA_SECRET_NONE};
	spec.salt = salt;
	spec.instance = instance;
	put("link", bulla_secret_view(link));
	put("run", bulla_secret_view(run));
	put("salt", bulla_secret_view(salt));
	BULLA_TRY(dump(&spec, BULLA_BYTES_LITERAL("{\"risk\":{\"grade\":\"B\"}}"), "whole", buf));
	BULLA_TRY(bulla_path_write(names, 2, BULLA_PATH_NO_INDEX, path, &spec.path));
	BULLA_TRY(bulla_envelope_part_salt(salt, spec.path, &part));
	spec.salt = part;
	spec.padding.rule = 2;
	return dump(&spec, BULLA_BYTES_LITERAL("\"B\""), "part", buf);
}

static bulla_rc dump_link(struct bulla_sign_key *sender, struct bulla_buf *buf)
{
	BULLA_AUTO_SECRET private_key = BULLA_SECRET_NONE;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];
	struct bulla_link_spec spec = {.to = BULLA_TO_AGENT, .recipient = {{9}}, .kem = &bulla_kem_x25519, .epoch = 300,
		.public_key = bulla_bytes_of(public_key, 32), .manifest = {{8}}};
	struct bulla_link link;

	BULLA_TRY(bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &private_key, public_key));
	bulla_buf_clear(buf);
	BULLA_TRY(bulla_link_make(&spec, sender, bulla_random_os(), buf, &link));
	put("private", bulla_secret_view(private_key));
	put("message", bulla_buf_view(buf));
	put("kid", bulla_bytes_digest(bulla_sign_key_kid(sender)));
	put("id", BULLA_BYTES_ARRAY(link.id.b));
	put("secret", bulla_secret_view(link.secret));
	bulla_link_done(&link);
	return BULLA_OK;
}

int main(void)
{
	BULLA_AUTO_SIGN_KEY sender = NULL;
	BULLA_AUTO_BUF buf = {0};

	bulla_buf_init(&buf, BULLA_ENVELOPE_MAX);
	if (bulla_secret_slab_init(32) != BULLA_OK || dump_both(&buf) != BULLA_OK ||
		bulla_sign_key_new(BULLA_ES256, &sender) != BULLA_OK || dump_link(sender, &buf) != BULLA_OK)
		return 1;
	return 0;
}
