#include "attack.h"
#include "crypto/random.h"
#include "seal/link.h"
#include "slab.h"

static struct {
	struct bulla_sign_key *sender, *other;
	struct bulla_verify_key *sender_public, *other_public;
	bulla_secret private_key, other_private;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX], other_key[BULLA_HPKE_PUBLIC_MAX];
	struct bulla_link_spec spec;
	struct bulla_link_expected expected;
} world;

static int up(void **state)
{
	if (slab_up(state) != 0 || bulla_sign_key_new(BULLA_ES256, &world.sender) != BULLA_OK ||
		bulla_sign_key_new(BULLA_ES256, &world.other) != BULLA_OK ||
		bulla_verify_key_spki(bulla_sign_key_spki(world.sender), &world.sender_public) != BULLA_OK ||
		bulla_verify_key_spki(bulla_sign_key_spki(world.other), &world.other_public) != BULLA_OK ||
		bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &world.private_key, world.public_key) != BULLA_OK ||
		bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &world.other_private, world.other_key) != BULLA_OK)
		return -1;
	world.spec = (struct bulla_link_spec){.to = BULLA_TO_AGENT, .recipient = {{1, 2, 3}}, .kem = &bulla_kem_x25519,
		.public_key = bulla_bytes_of(world.public_key, 32), .epoch = 7, .manifest = {{9}}};
	world.expected = (struct bulla_link_expected){.sender = *bulla_sign_key_kid(world.sender), .to = BULLA_TO_AGENT,
		.recipient = {{1, 2, 3}}, .manifest = {{9}}, .epoch = 7, .epoch_open = true};
	return 0;
}

static int down(void **state)
{
	bulla_sign_key_free(world.sender);
	bulla_sign_key_free(world.other);
	bulla_verify_key_free(world.sender_public);
	bulla_verify_key_free(world.other_public);
	bulla_secret_free(&world.private_key);
	bulla_secret_free(&world.other_private);
	return slab_down(state);
}

/* Accepts and frees: for attacks, whose answer alone matters. */
static bulla_rc accept(bulla_bytes link, const struct bulla_link_expected *expected, struct bulla_verify_key *key)
{
	struct bulla_link got = {.secret = BULLA_SECRET_NONE};
	bulla_rc rc = bulla_link_accept(link, expected, key, &bulla_kem_x25519, world.private_key, &got);

	bulla_link_done(&got);
	return rc;
}

static void both_sides_agree(void **state)
{
	BULLA_AUTO_BUF link = {0};
	struct bulla_link made, got;
	struct bulla_link_body body;
	bulla_link_id id;

	(void)state;
	bulla_buf_init(&link, BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &made));
	assert_ok(bulla_link_accept(bulla_buf_view(&link), &world.expected, world.sender_public, &bulla_kem_x25519, world.private_key,
		&got));
	assert_true(bulla_link_id_eq(&made.id, &got.id));
	assert_true(bulla_digest_eq(&made.sender, &got.sender));
	assert_bytes(bulla_secret_view(made.secret), bulla_secret_view(got.secret));
	assert_ok(bulla_link_peek(bulla_buf_view(&link), &body, &id));
	assert_true(bulla_link_id_eq(&made.id, &id));
	assert_int_equal(body.epoch, 7);
	assert_ok(bulla_link_check(bulla_buf_view(&link), &world.expected, world.sender_public));
	bulla_link_done(&made);
	bulla_link_done(&got);
}

static void two_links_differ(void **state)
{
	BULLA_AUTO_BUF link = {0};
	struct bulla_link a, b;

	(void)state;
	bulla_buf_init(&link, 2 * BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &a));
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &b));
	assert_false(bulla_link_id_eq(&a.id, &b.id));
	assert_memory_not_equal(bulla_secret_view(a.secret).p, bulla_secret_view(b.secret).p, 32);
	bulla_link_done(&a);
	bulla_link_done(&b);
}

/* A host signs a link with a key of its own in an attested sender's name. */
static void a_forged_signature(void **state)
{
	BULLA_AUTO_BUF link = {0};
	struct bulla_link made;

	(void)state;
	bulla_buf_init(&link, BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &made));
	bulla_link_done(&made);
	link.p[link.n - 1] ^= 1;
	assert_attack(LINK_SIGNATURE, BULLA_E_LINK_SIGNATURE, accept(bulla_buf_view(&link), &world.expected, world.sender_public));
}

/* A genuine link of somebody who may not speak here, to another recipient, of another manifest. */
static void senders_that_may_not_speak(void **state)
{
	struct bulla_link_expected expected = world.expected;
	BULLA_AUTO_BUF link = {0};
	struct bulla_link made;

	(void)state;
	bulla_buf_init(&link, BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&world.spec, world.other, bulla_random_os(), &link, &made));
	bulla_link_done(&made);
	assert_attack(LINK_SENDER, BULLA_E_LINK_SENDER, accept(bulla_buf_view(&link), &expected, world.other_public));
	bulla_buf_clear(&link);
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &made));
	bulla_link_done(&made);
	expected.recipient.b[0] = 5;
	assert_attack(LINK_SENDER, BULLA_E_LINK_SENDER, accept(bulla_buf_view(&link), &expected, world.sender_public));
	expected = world.expected;
	expected.to = BULLA_TO_PARTY;
	assert_attack(LINK_SENDER, BULLA_E_LINK_SENDER, accept(bulla_buf_view(&link), &expected, world.sender_public));
	expected = world.expected;
	expected.manifest.b[1] = 1;
	assert_attack(LINK_SENDER, BULLA_E_LINK_SENDER, accept(bulla_buf_view(&link), &expected, world.sender_public));
}

static void a_closed_epoch(void **state)
{
	struct bulla_link_expected expected = world.expected;
	BULLA_AUTO_BUF link = {0};
	struct bulla_link made;

	(void)state;
	bulla_buf_init(&link, BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &made));
	bulla_link_done(&made);
	expected.epoch_open = false;
	assert_attack(LINK_EPOCH, BULLA_E_EPOCH_CLOSED, accept(bulla_buf_view(&link), &expected, world.sender_public));
	expected.epoch_open = true;
	expected.epoch = 8;
	assert_attack(LINK_EPOCH, BULLA_E_EPOCH_CLOSED, accept(bulla_buf_view(&link), &expected, world.sender_public));
}

/* Somebody re-signs another sender's `enc` as his own: the recipient accepts the link, but the secret is one that neither
 * of the two senders has. */
static void a_resigned_enc(void **state)
{
	static const char type[] = BULLA_CONTENT("link");
	struct bulla_link_expected expected = world.expected;
	BULLA_AUTO_BUF link = {0};
	BULLA_AUTO_BUF stolen = {0};
	struct bulla_link made, got;
	struct bulla_link_body body;
	bulla_link_id id;
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	(void)state;
	bulla_buf_init(&link, BULLA_LINK_MAX);
	bulla_buf_init(&stolen, BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &made));
	assert_ok(bulla_link_peek(bulla_buf_view(&link), &body, &id));
	bulla_cbor_wr_array(&w, 9);
	bulla_cbor_wr_uint(&w, 1);
	bulla_cbor_wr_digest(&w, bulla_sign_key_kid(world.other));
	bulla_cbor_wr_uint(&w, body.to);
	bulla_cbor_wr_bytes(&w, bulla_handle_view(&body.recipient));
	bulla_cbor_wr_digest(&w, &body.recipient_key);
	bulla_cbor_wr_uint(&w, body.epoch);
	bulla_cbor_wr_digest(&w, &body.manifest);
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(body.salt));
	bulla_cbor_wr_bytes(&w, body.enc);
	assert_ok(bulla_wr_end(&w, &payload));
	assert_ok(bulla_sign1_make(world.other, type, payload, &stolen));
	expected.sender = *bulla_sign_key_kid(world.other);
	assert_ok(bulla_link_accept(bulla_buf_view(&stolen), &expected, world.other_public, &bulla_kem_x25519, world.private_key, &got));
	assert_memory_not_equal(bulla_secret_view(got.secret).p, bulla_secret_view(made.secret).p, 32);
	bulla_link_done(&made);
	bulla_link_done(&got);
}

static void another_key_and_damage(void **state)
{
	BULLA_AUTO_BUF link = {0};
	struct bulla_link made, got;

	(void)state;
	bulla_buf_init(&link, 2 * BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&world.spec, world.sender, bulla_random_os(), &link, &made));
	bulla_link_done(&made);
	assert_rc(BULLA_E_NOT_ADDRESSED, bulla_link_accept(bulla_buf_view(&link), &world.expected, world.sender_public,
		&bulla_kem_x25519, world.other_private, &got));
	for (size_t bit = 0; bit < 8 * link.n; bit += 3) {
		link.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bulla_link_check(bulla_buf_view(&link), &world.expected, world.sender_public) == BULLA_OK)
			fail_msg("bit %zu does not matter", bit);
		link.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < link.n; size++)
		assert_int_not_equal(
			bulla_link_check(bulla_bytes_of(link.p, size), &world.expected, world.sender_public), BULLA_OK);
}

static void links_wear_out(void **state)
{
	(void)state;
	assert_false(bulla_link_is_worn(1000, 1000 + BULLA_LINK_AGE_MS - 1, BULLA_LINK_ENVELOPES - 1));
	assert_true(bulla_link_is_worn(1000, 1000 + BULLA_LINK_AGE_MS, 0));
	assert_true(bulla_link_is_worn(1000, 1000, BULLA_LINK_ENVELOPES));
	assert_true(bulla_link_is_worn(1000, 999, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_agree),
		cmocka_unit_test(two_links_differ),
		cmocka_unit_test(a_forged_signature),
		cmocka_unit_test(senders_that_may_not_speak),
		cmocka_unit_test(a_closed_epoch),
		cmocka_unit_test(a_resigned_enc),
		cmocka_unit_test(another_key_and_damage),
		cmocka_unit_test(links_wear_out),
	};

	return cmocka_run_group_tests_name("seal_link", tests, up, down);
}
