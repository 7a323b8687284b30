/* Costs of the primitives and of one step's cryptography (PROTOCOL.md section 13): CPU microseconds per operation, the best
 * of several rounds. One JSON line. */
#include "base/mem.h"
#include "crypto/aead.h"
#include "crypto/ecdh.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "crypto/mac.h"
#include "crypto/random.h"
#include "crypto/sign.h"
#include "seal/envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 7

static struct {
	bulla_secret key, state, salt, instance, run;
	struct bulla_link link;
	struct bulla_sign_key *sign;
	struct bulla_verify_key *verify;
	struct bulla_sign_key *sign384;
	struct bulla_verify_key *verify384;
	uint8_t signature[64], signature384[96];
	uint8_t public_key[32];
	uint8_t bytes[65536 + 64];
	struct bulla_buf envelope, memory;
} world;

static void must(bulla_rc rc)
{
	if (rc != BULLA_OK) {
		fprintf(stderr, "crypto_bench: %s\n", bulla_rc_id(rc));
		exit(1);
	}
}

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void measure(const char *name, unsigned count, void (*op)(void))
{
	double best = 1e18;

	op();
	for (int round = 0; round < ROUNDS; round++) {
		double start = cpu_us(), took;

		for (unsigned i = 0; i < count; i++)
			op();
		took = (cpu_us() - start) / count;
		if (took < best)
			best = took;
	}
	printf(",\"%s_us\":%.3f", name, best);
}

static void aead_1k(void)
{
	must(bulla_aead_seal(world.key, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, bulla_bytes_of(world.bytes, 1024), world.bytes));
}

static void aead_64k(void)
{
	must(bulla_aead_seal(world.key, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, bulla_bytes_of(world.bytes, 65536), world.bytes));
}

static void sha256_1k(void)
{
	bulla_digest digest;

	bulla_sha256(bulla_bytes_of(world.bytes, 1024), &digest);
}

static void mac_64(void)
{
	bulla_digest tag;

	bulla_mac(world.key, bulla_bytes_of(world.bytes, 64), &tag);
}

static void kdf_one(void)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;

	must(bulla_kdf2(world.key, world.run, BULLA_LABEL_WRAP, bulla_bytes_of(world.bytes, 111), &key));
}

static void key_wrap(void)
{
	uint8_t wrapped[BULLA_WRAPPED_SIZE];

	must(bulla_key_wrap(world.key, world.run, wrapped));
}

static void es256_sign(void)
{
	must(bulla_sign(world.sign, bulla_bytes_of(world.bytes, 330), world.signature));
}

static void es256_verify(void)
{
	must(bulla_verify(world.verify, BULLA_ES256, bulla_bytes_of(world.bytes, 330), BULLA_BYTES_ARRAY(world.signature)));
}

static void es384_verify(void)
{
	must(bulla_verify(world.verify384, BULLA_ES384, bulla_bytes_of(world.bytes, 330), BULLA_BYTES_ARRAY(world.signature384)));
}

static void x25519_derive(void)
{
	BULLA_AUTO_SECRET shared = BULLA_SECRET_NONE;

	must(bulla_x25519(world.key, BULLA_BYTES_ARRAY(world.public_key), &shared));
}

static struct bulla_envelope_spec spec_of(const struct bulla_envelope_reader *reader)
{
	return (struct bulla_envelope_spec){.position = {.attempt = 1}, .kind = BULLA_ENVELOPE_OUTPUT, .path = bulla_path_whole,
		.salt = world.salt, .instance = world.instance, .random = bulla_random_os(), .readers = reader, .reader_count = 1};
}

static void envelope_seal(void)
{
	const struct bulla_envelope_reader reader = {world.link.id, world.link.secret, world.run};
	struct bulla_envelope_spec spec = spec_of(&reader);
	bulla_digest digest, commitment;

	bulla_buf_clear(&world.envelope);
	must(bulla_envelope_seal(&spec, bulla_bytes_of(world.bytes, 1000), &world.envelope, &digest, &commitment));
}

static bulla_rc find(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	(void)ctx;
	(void)id;
	*ret = &world.link;
	return BULLA_OK;
}

static void envelope_open(void)
{
	const struct bulla_envelope_keys keys = {.find = find, .run_secret = world.run};
	struct bulla_envelope_expected expected;
	struct bulla_envelope envelope;
	struct bulla_opened opened;

	bulla_buf_clear(&world.memory);
	must(bulla_envelope_parse(bulla_buf_view(&world.envelope), &envelope));
	expected = (struct bulla_envelope_expected){envelope.position, envelope.kind, envelope.path, envelope.producer};
	must(bulla_envelope_open(&envelope, &expected, &keys, &world.memory, &opened));
	bulla_secret_free(&opened.salt);
}

static void set_up(void)
{
	must(bulla_secret_slab_init(64));
	must(bulla_random_secret(bulla_random_os(), 32, &world.key));
	must(bulla_random_secret(bulla_random_os(), 32, &world.salt));
	must(bulla_random_secret(bulla_random_os(), 32, &world.instance));
	must(bulla_random_secret(bulla_random_os(), 32, &world.run));
	must(bulla_random_secret(bulla_random_os(), 32, &world.link.secret));
	must(bulla_sign_key_new(BULLA_ES256, &world.sign));
	must(bulla_verify_key_spki(bulla_sign_key_spki(world.sign), &world.verify));
	must(bulla_sign_key_new(BULLA_ES384, &world.sign384));
	must(bulla_verify_key_spki(bulla_sign_key_spki(world.sign384), &world.verify384));
	must(bulla_sign(world.sign384, bulla_bytes_of(world.bytes, 330), world.signature384));
	must(bulla_x25519_public(world.run, world.public_key));
	bulla_buf_init(&world.envelope, BULLA_ENVELOPE_MAX);
	bulla_buf_init(&world.memory, BULLA_ENVELOPE_MAX);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 && strcmp(argv[1], "--quick") == 0 ? 20 : 2000;

	set_up();
	printf("{\"bench\":\"crypto\"");
	measure("aes_256_gcm_1k_new_key", n * 5, aead_1k);
	measure("aes_256_gcm_64k", n / 5, aead_64k);
	measure("sha256_1k", n * 5, sha256_1k);
	measure("hmac_64", n * 5, mac_64);
	measure("kdf", n * 5, kdf_one);
	measure("key_wrap", n * 5, key_wrap);
	measure("es256_sign", n / 2, es256_sign);
	es256_sign();
	memset(world.bytes, 7, sizeof(world.bytes));
	es256_sign();
	measure("es256_verify", n / 4, es256_verify);
	must(bulla_sign(world.sign384, bulla_bytes_of(world.bytes, 330), world.signature384));
	measure("es384_verify", n / 20, es384_verify);
	measure("x25519", n / 4, x25519_derive);
	measure("envelope_seal_1k", n, envelope_seal);
	measure("envelope_open_1k", n, envelope_open);
	printf(",\"allocations\":%llu}\n", (unsigned long long)bulla_alloc_count());
	return 0;
}
