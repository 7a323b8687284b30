#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "io/tls.h"
#include "test.h"

static struct bulla_tls_context *server_context, *client_context;
static struct bulla_buf key_der, certificate_der;
static bulla_digest pin;

/* Carries bytes between the two until both are still; chunk: how many at a time, 0: all. */
static bulla_rc carry(struct bulla_tls *from, struct bulla_tls *to, size_t chunk, struct bulla_buf *plain, bool *moved)
{
	BULLA_AUTO_BUF wire;

	bulla_buf_init(&wire, 1 << 20);
	BULLA_TRY(bulla_tls_take(from, &wire));
	for (size_t at = 0; at < wire.n;) {
		size_t some = chunk == 0 || chunk > wire.n - at ? wire.n - at : chunk;

		*moved = true;
		BULLA_TRY(bulla_tls_feed(to, bulla_bytes_of(wire.p + at, some), plain));
		at += some;
	}
	return BULLA_OK;
}

static bulla_rc shake(struct bulla_tls *client, struct bulla_tls *server, size_t chunk)
{
	BULLA_AUTO_BUF plain;
	bool moved = true;

	bulla_buf_init(&plain, 1 << 20);
	while (moved) {
		moved = false;
		BULLA_TRY(carry(client, server, chunk, &plain, &moved));
		BULLA_TRY(carry(server, client, chunk, &plain, &moved));
	}
	return BULLA_OK;
}

static void run(enum bulla_tls_alpn alpn, size_t chunk)
{
	struct bulla_tls *client, *server;
	BULLA_AUTO_BUF got;
	uint8_t a[32], b[32], c[32];
	bool moved;

	bulla_buf_init(&got, 1 << 20);
	assert_ok(bulla_tls_new(client_context, alpn, &client));
	assert_ok(bulla_tls_new(server_context, alpn, &server));
	assert_rc(BULLA_E_STATE, bulla_tls_write(client, BULLA_BYTES_LITERAL("early")));
	assert_rc(BULLA_E_STATE, bulla_tls_export(client, "bulla-session", 32, a));
	assert_ok(shake(client, server, chunk));
	assert_true(bulla_tls_ready(client) && bulla_tls_ready(server));
	assert_int_equal(bulla_tls_protocol(client), alpn);
	assert_int_equal(bulla_tls_protocol(server), alpn);
	assert_ok(bulla_tls_export(client, "bulla-session", 32, a));
	assert_ok(bulla_tls_export(server, "bulla-session", 32, b));
	assert_ok(bulla_tls_export(server, "bulla-session-keys", 32, c));
	assert_bytes(BULLA_BYTES_ARRAY(a), BULLA_BYTES_ARRAY(b));
	assert_false(bulla_bytes_eq(BULLA_BYTES_ARRAY(a), BULLA_BYTES_ARRAY(c)));
	assert_ok(bulla_tls_write(client, BULLA_BYTES_LITERAL("ping")));
	assert_ok(carry(client, server, chunk, &got, &moved));
	assert_bytes(bulla_buf_view(&got), BULLA_BYTES_LITERAL("ping"));
	bulla_tls_close(client);
	assert_rc(BULLA_E_CLOSED, carry(client, server, 0, &got, &moved));
	bulla_tls_free(client);
	bulla_tls_free(server);
}

static void test_both_protocols(void **state)
{
	(void)state;
	run(BULLA_TLS_FRAMES, 0);
	run(BULLA_TLS_HTTP, 0);
	run(BULLA_TLS_FRAMES, 1);
}

static void test_wrong_pin(void **state)
{
	struct bulla_tls_context *context;
	struct bulla_tls *client, *server;
	bulla_digest other = pin;

	(void)state;
	other.b[0] ^= 1;
	assert_ok(bulla_tls_client_new(&other, &context));
	assert_ok(bulla_tls_new(context, BULLA_TLS_FRAMES, &client));
	assert_ok(bulla_tls_new(server_context, BULLA_TLS_FRAMES, &server));
	assert_rc(BULLA_E_SIGNATURE, shake(client, server, 0));
	assert_false(bulla_tls_ready(client));
	bulla_tls_free(client);
	bulla_tls_free(server);
	bulla_tls_context_free(context);
}

static void test_damage_and_replay(void **state)
{
	struct bulla_tls *client, *server;
	BULLA_AUTO_BUF wire, plain;

	(void)state;
	bulla_buf_init(&wire, 1 << 16);
	bulla_buf_init(&plain, 1 << 16);
	for (int replay = 0; replay < 2; replay++) {
		assert_ok(bulla_tls_new(client_context, BULLA_TLS_FRAMES, &client));
		assert_ok(bulla_tls_new(server_context, BULLA_TLS_FRAMES, &server));
		assert_ok(shake(client, server, 0));
		assert_ok(bulla_tls_write(client, BULLA_BYTES_LITERAL("x")));
		bulla_buf_clear(&wire);
		assert_ok(bulla_tls_take(client, &wire));
		if (replay == 0)
			wire.p[wire.n - 1] ^= 1;
		else
			assert_ok(bulla_tls_feed(server, bulla_buf_view(&wire), &plain));
		assert_rc(BULLA_E_CRYPTO, bulla_tls_feed(server, bulla_buf_view(&wire), &plain));
		assert_rc(BULLA_E_CRYPTO, bulla_tls_feed(server, BULLA_BYTES_LITERAL("more"), &plain));
		bulla_tls_free(client);
		bulla_tls_free(server);
	}
}

/* Either side shows a key and takes any; both see the same two. */
static void test_mutual(void **state)
{
	struct bulla_tls_context *contexts[2];
	struct bulla_tls *client, *server;
	bulla_digest c[2], s[2];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_ok(bulla_tls_mutual_new(i == 0, bulla_buf_view(&key_der), bulla_buf_view(&certificate_der), &contexts[i]));
	for (int with = 0; with < 2; with++) {
		assert_ok(bulla_tls_new(contexts[0], BULLA_TLS_FRAMES, &server));
		assert_ok(bulla_tls_new(with == 1 ? contexts[1] : client_context, BULLA_TLS_FRAMES, &client));
		assert_rc(BULLA_E_STATE, bulla_tls_keys(client, &c[0], &s[0]));
		if (with == 1) {
			assert_ok(shake(client, server, 0));
			assert_ok(bulla_tls_keys(client, &c[0], &s[0]));
			assert_ok(bulla_tls_keys(server, &c[1], &s[1]));
			assert_true(bulla_digest_eq(&c[0], &pin) && bulla_digest_eq(&c[1], &pin));
			assert_true(bulla_digest_eq(&s[0], &pin) && bulla_digest_eq(&s[1], &pin));
		} else {
			assert_rc(BULLA_E_CRYPTO, shake(client, server, 0)); /* no certificate where one is demanded */
		}
		bulla_tls_free(client);
		bulla_tls_free(server);
	}
	/* an ordinary client has none: zero */
	assert_ok(bulla_tls_new(client_context, BULLA_TLS_FRAMES, &client));
	assert_ok(bulla_tls_new(server_context, BULLA_TLS_FRAMES, &server));
	assert_ok(shake(client, server, 0));
	assert_ok(bulla_tls_keys(server, &c[0], &s[0]));
	assert_true(bulla_bytes_is_zero_ct(bulla_bytes_digest(&c[0])) && bulla_digest_eq(&s[0], &pin));
	bulla_tls_free(client);
	bulla_tls_free(server);
	bulla_tls_context_free(contexts[0]);
	bulla_tls_context_free(contexts[1]);
}

static void test_rubbish(void **state)
{
	struct bulla_tls *server;
	BULLA_AUTO_BUF plain;

	(void)state;
	bulla_buf_init(&plain, 1 << 16);
	assert_ok(bulla_tls_new(server_context, BULLA_TLS_FRAMES, &server));
	assert_rc(BULLA_E_CRYPTO, bulla_tls_feed(server, BULLA_BYTES_LITERAL("GET / HTTP/1.1\r\n\r\n"), &plain));
	bulla_tls_free(server);
}

static int set_up(void **state)
{
	static const uint8_t serial[] = {1};
	BULLA_AUTO_SIGN_KEY key = NULL;
	struct bulla_cert_spec spec = {.common_name = "bulla-kms",
		.serial = BULLA_BYTES_ARRAY(serial),
		.not_before = 0,
		.not_after = INT64_C(4102444800),
		.pathlen = -1,
		.usage = BULLA_USAGE_SIGNATURE};

	(void)state;
	bulla_buf_init(&key_der, 1024);
	bulla_buf_init(&certificate_der, 8192);
	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	assert_ok(bulla_sign_key_export(key, &key_der));
	spec.spki = bulla_sign_key_spki(key);
	assert_ok(bulla_cert_write(&spec, key, &certificate_der));
	bulla_sha256(spec.spki, &pin);
	assert_ok(bulla_tls_server_new(bulla_buf_view(&key_der), bulla_buf_view(&certificate_der), &server_context));
	assert_ok(bulla_tls_client_new(&pin, &client_context));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bulla_tls_context_free(server_context);
	bulla_tls_context_free(client_context);
	bulla_buf_done(&key_der);
	bulla_buf_done(&certificate_der);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_protocols), cmocka_unit_test(test_wrong_pin),
		cmocka_unit_test(test_damage_and_replay), cmocka_unit_test(test_mutual), cmocka_unit_test(test_rubbish)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
