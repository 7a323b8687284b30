#include "receipt/auth.h"

#include "cose/sign1.h"
#include "crypto/hash.h"
#include "crypto/slab.h"
#include "keys.h"

struct keys {
	struct bulla_sign_key *sign[2];
	struct bulla_verify_key *verify[2];
};

static void keys_up(struct keys *keys)
{
	for (int i = 0; i < 2; i++)
		assert_ok(test_key(i, &keys->sign[i], &keys->verify[i]));
}

static void keys_down(struct keys *keys)
{
	for (int i = 0; i < 2; i++) {
		bulla_sign_key_free(keys->sign[i]);
		bulla_verify_key_free(keys->verify[i]);
	}
}

/* Our signature over the parts is that of the whole COSE_Sign1, as others verify it. */
static void is_cose(void **state)
{
	struct keys keys;
	struct bulla_auth auth;
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	(void)state;
	keys_up(&keys);
	assert_ok(bulla_auth_sign(keys.sign[0], BULLA_SIGNED_RECEIPT, BULLA_BYTES_LITERAL("payload"), &auth));
	assert_ok(bulla_auth_write_sign1(&w, &auth, bulla_sign_key_kid(keys.sign[0]), BULLA_SIGNED_RECEIPT,
		BULLA_BYTES_LITERAL("payload")));
	assert_ok(bulla_sign1_open(bulla_bytes_of(memory, w.n), BULLA_CONTENT("receipt"), keys.verify[0], &payload));
	assert_bytes(payload, BULLA_BYTES_LITERAL("payload"));
	keys_down(&keys);
}

static void lone(void **state)
{
	bulla_bytes payload = BULLA_BYTES_LITERAL("payload"), other = BULLA_BYTES_LITERAL("Payload");
	struct bulla_auth auth;
	struct keys keys;

	(void)state;
	keys_up(&keys);
	assert_ok(bulla_auth_sign(keys.sign[0], BULLA_SIGNED_START, payload, &auth));
	assert_ok(bulla_auth_verify(&auth, keys.verify[0], BULLA_SIGNED_START, payload));
	assert_rc(BULLA_E_SIGNATURE, bulla_auth_verify(&auth, keys.verify[0], BULLA_SIGNED_START, other));
	assert_rc(BULLA_E_SIGNATURE, bulla_auth_verify(&auth, keys.verify[1], BULLA_SIGNED_START, payload));
	/* a signature of one kind says nothing of another kind */
	assert_rc(BULLA_E_SIGNATURE, bulla_auth_verify(&auth, keys.verify[0], BULLA_SIGNED_RECEIPT, payload));
	for (size_t bit = 0; bit < 512; bit += 7) {
		auth.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_rc(BULLA_E_SIGNATURE, bulla_auth_verify(&auth, keys.verify[0], BULLA_SIGNED_START, payload));
		auth.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	keys_down(&keys);
}

static bulla_bytes number(const uint32_t *value)
{
	return bulla_bytes_of(value, sizeof(*value));
}

static void batch_of(struct bulla_batch *batch, struct keys *keys, uint32_t count)
{
	bulla_digest digest, root;
	struct bulla_auth auth;
	uint32_t index;

	bulla_batch_clear(batch);
	for (uint32_t i = 0; i < count; i++) {
		bulla_sha256(number(&i), &digest);
		assert_ok(bulla_batch_add(batch, &digest, &index));
		assert_int_equal(index, i);
	}
	assert_rc(BULLA_E_STATE, bulla_batch_auth(batch, 0, &auth));
	assert_ok(bulla_batch_sign(batch, keys->sign[0], BULLA_SIGNED_RECEIPTS));
	assert_rc(BULLA_E_STATE, bulla_batch_add(batch, &digest, &index));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t wrong = i + 1;

		assert_ok(bulla_batch_auth(batch, i, &auth));
		assert_ok(bulla_auth_verify(&auth, keys->verify[0], BULLA_SIGNED_RECEIPT, number(&i)));
		assert_true(bulla_auth_verify(&auth, keys->verify[0], BULLA_SIGNED_RECEIPT, number(&wrong)) !=
			BULLA_OK);
		bulla_sha256(number(&i), &digest);
		assert_ok(bulla_auth_root(&auth, &digest, &root));
		assert_ok(bulla_batch_verify(keys->verify[0], BULLA_SIGNED_RECEIPTS, &root, auth.signature));
		assert_rc(BULLA_E_SIGNATURE,
			bulla_batch_verify(keys->verify[0], BULLA_SIGNED_TOKENS, &root, auth.signature));
		/* the count is signed: the same proof in a list of another length does not hold */
		auth.count++;
		assert_true(bulla_auth_verify(&auth, keys->verify[0], BULLA_SIGNED_RECEIPT, number(&i)) !=
			BULLA_OK);
	}
}

static void batches(void **state)
{
	struct bulla_batch *batch;
	struct keys keys;
	bulla_digest digest = {{0}};
	uint32_t index;

	(void)state;
	keys_up(&keys);
	assert_ok(bulla_batch_new(9, &batch));
	assert_rc(BULLA_E_STATE, bulla_batch_sign(batch, keys.sign[0], BULLA_SIGNED_RECEIPTS));
	for (uint32_t count = 1; count <= 9; count++)
		batch_of(batch, &keys, count);
	bulla_batch_clear(batch);
	for (uint32_t i = 0; i < 9; i++)
		assert_ok(bulla_batch_add(batch, &digest, &index));
	assert_rc(BULLA_E_LIMIT, bulla_batch_add(batch, &digest, &index));
	assert_int_equal(bulla_batch_count(batch), 9);
	batch = bulla_batch_free(batch);
	assert_rc(BULLA_E_LIMIT, bulla_batch_new(BULLA_BATCH_MAX + 1, &batch));
	assert_rc(BULLA_E_LIMIT, bulla_batch_new(0, &batch));
	keys_down(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_cose),
		cmocka_unit_test(lone),
		cmocka_unit_test(batches),
	};

	return cmocka_run_group_tests(tests, slab_up, slab_down);
}
