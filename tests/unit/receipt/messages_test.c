/* Permits, commits, receipts, starts, orders, heads, tokens, run secrets: who may have made them, and what they may hold. */
#include "attack.h"
#include "cose/sign1.h"
#include "crypto/hash.h"
#include "crypto/slab.h"
#include "keys.h"
#include "receipt/commit.h"
#include "receipt/entry.h"
#include "receipt/instance.h"
#include "receipt/merkle.h"
#include "receipt/order.h"
#include "receipt/permit.h"
#include "receipt/receipt.h"
#include "receipt/run_secret.h"
#include "receipt/start.h"
#include "receipt/token.h"
#include "wire/kinds.h"

static const uint8_t session[BULLA_SESSION_ID_BYTES] = {1, 2, 3}, other_session[BULLA_SESSION_ID_BYTES] = {1, 2, 4};

static void secret(bulla_secret *ret, const char *text)
{
	assert_ok(bulla_secret_new(bulla_bytes_str(text), ret));
}

static void permits(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE, wrong = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF buf;
	struct bulla_permit permit = {.position.attempt = 1, .tries_left = 2, .expires_ms = 5}, opened;
	uint8_t id[BULLA_SESSION_ID_BYTES];
	bulla_digest many[65] = {{{0}}};

	(void)state;
	secret(&key, "0123456789abcdef0123456789abcdef");
	secret(&wrong, "0123456789abcdef0123456789abcdeg");
	bulla_buf_init(&buf, BULLA_PERMIT_MAX);
	permit.parents = bulla_bytes_of(many, 64 * sizeof(bulla_digest));
	assert_ok(bulla_permit_make(&permit, session, key, &buf));
	assert_true(buf.n <= BULLA_PERMIT_MAX);
	assert_ok(bulla_permit_session(bulla_buf_view(&buf), id));
	assert_memory_equal(id, session, sizeof(id));
	assert_ok(bulla_permit_open(bulla_buf_view(&buf), session, key, &opened));
	assert_int_equal(opened.parents.n, permit.parents.n);
	assert_attack(PERMIT_MAC, BULLA_E_MAC, bulla_permit_open(bulla_buf_view(&buf), session, wrong, &opened));
	assert_true(bulla_permit_open(bulla_buf_view(&buf), other_session, key, &opened) != BULLA_OK);
	permit.parents = BULLA_BYTES_ARRAY(many);
	assert_rc(BULLA_E_LIMIT, bulla_permit_make(&permit, session, key, &buf));
}

/* Each direction has its own key, and each kind its own content type: no permit is a commit. */
static void commits(void **state)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE, wrong = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF buf;
	struct bulla_commit commit = {.position.attempt = 1, .lengths = BULLA_BYTES_LITERAL("\0\0\0\7")}, opened;
	struct bulla_permit permit;

	(void)state;
	secret(&key, "0123456789abcdef0123456789abcdef");
	secret(&wrong, "0123456789abcdef0123456789abcdeg");
	bulla_buf_init(&buf, BULLA_COMMIT_MAX);
	assert_ok(bulla_commit_make(&commit, session, key, &buf));
	assert_ok(bulla_commit_open(bulla_buf_view(&buf), session, key, &opened));
	assert_bytes(opened.lengths, commit.lengths);
	assert_attack(LEDGER_COMMIT_MAC, BULLA_E_MAC, bulla_commit_open(bulla_buf_view(&buf), session, wrong, &opened));
	assert_rc(BULLA_E_FORMAT, bulla_permit_open(bulla_buf_view(&buf), session, key, &permit));
	commit.lengths.n = 4 * BULLA_COMMIT_LISTS + 4;
	assert_rc(BULLA_E_LIMIT, bulla_commit_make(&commit, session, key, &buf));
}

static void run_secrets(void **state)
{
	BULLA_AUTO_SECRET wrapping = BULLA_SECRET_NONE, run = BULLA_SECRET_NONE, opened = BULLA_SECRET_NONE;
	struct bulla_position position = {.attempt = 1}, next = {.attempt = 2};
	uint8_t wrapped[BULLA_WRAPPED_SECRET_BYTES];

	(void)state;
	secret(&wrapping, "0123456789abcdef0123456789abcdef");
	secret(&run, "run secret of 32 bytes, for tests");
	bulla_secret_free(&run);
	secret(&run, "run secret of 32 bytes for tests");
	assert_ok(bulla_run_secret_wrap(wrapping, &position, run, wrapped));
	assert_ok(bulla_run_secret_unwrap(wrapping, &position, wrapped, &opened));
	assert_true(bulla_bytes_eq_ct(bulla_secret_view(run), bulla_secret_view(opened)));
	bulla_secret_free(&opened);
	assert_rc(BULLA_E_MAC, bulla_run_secret_unwrap(wrapping, &next, wrapped, &opened));
	wrapped[0] ^= 1;
	assert_rc(BULLA_E_MAC, bulla_run_secret_unwrap(wrapping, &position, wrapped, &opened));
}

static struct bulla_receipt receipt_of(const bulla_digest *kid)
{
	struct bulla_receipt receipt = {.position.attempt = 1, .executor = BULLA_EXECUTOR_AGENT, .kid = *kid};

	receipt.reuse = BULLA_REUSE_FRESH;
	receipt.agent.b[0] = 1;
	bulla_pairs_root(NULL, 0, &receipt.outputs);
	return receipt;
}

static bulla_rc record_rc(const struct bulla_receipt *receipt, struct bulla_sign_key *key, struct bulla_verify_key *by)
{
	uint8_t payload[BULLA_RECEIPT_BYTES], memory[BULLA_RECEIPT_RECORD_BYTES];
	bulla_wr p = bulla_wr_fixed(payload, sizeof(payload)), w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_receipt_record record;
	struct bulla_auth auth;
	bulla_bytes bytes;

	bulla_receipt_write(&p, receipt);
	BULLA_TRY(bulla_auth_sign(key, BULLA_SIGNED_RECEIPT, BULLA_BYTES_ARRAY(payload), &auth));
	bulla_receipt_record_write(&w, BULLA_BYTES_ARRAY(payload), &auth, (bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0});
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	BULLA_TRY(bulla_receipt_record_decode(bytes, &record));
	return bulla_receipt_record_verify(&record, by);
}

static void receipts(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_VERIFY_KEY verify = NULL;
	BULLA_AUTO_SIGN_KEY key_b = NULL;
	BULLA_AUTO_VERIFY_KEY verify_b = NULL;
	struct bulla_receipt receipt;

	(void)state;
	assert_ok(test_key(0, &key, &verify));
	assert_ok(test_key(1, &key_b, &verify_b));
	receipt = receipt_of(bulla_sign_key_kid(key));
	assert_ok(record_rc(&receipt, key, verify));
	/* signed by another key than the receipt names; and checked under another key */
	assert_rc(BULLA_E_SIGNATURE, record_rc(&receipt, key_b, verify));
	assert_rc(BULLA_E_SIGNATURE, record_rc(&receipt, key_b, verify_b));
	receipt.executor = BULLA_EXECUTOR_CLOCK;
	assert_rc(BULLA_E_FORMAT, record_rc(&receipt, key, verify));
	receipt.reuse = BULLA_REUSE_NONE;
	assert_rc(BULLA_E_FORMAT, record_rc(&receipt, key, verify));
	receipt.agent.b[0] = 0;
	assert_ok(record_rc(&receipt, key, verify));
	receipt.executor = 9;
	assert_rc(BULLA_E_FORMAT, record_rc(&receipt, key, verify));
	receipt.executor = BULLA_EXECUTOR_CLOCK;
	receipt.outputs.b[0] ^= 1;
	assert_rc(BULLA_E_GRAPH, record_rc(&receipt, key, verify));
}

static void receipt_as_cose(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_VERIFY_KEY verify = NULL;
	uint8_t payload[BULLA_RECEIPT_BYTES], memory[BULLA_RECEIPT_RECORD_BYTES], cose[1024];
	bulla_wr p = bulla_wr_fixed(payload, sizeof(payload)), w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_wr c = bulla_wr_fixed(cose, sizeof(cose));
	struct bulla_receipt_record record;
	struct bulla_receipt receipt;
	struct bulla_auth auth;

	(void)state;
	assert_ok(test_key(0, &key, &verify));
	receipt = receipt_of(bulla_sign_key_kid(key));
	bulla_receipt_write(&p, &receipt);
	assert_ok(bulla_auth_sign(key, BULLA_SIGNED_RECEIPT, BULLA_BYTES_ARRAY(payload), &auth));
	bulla_receipt_record_write(&w, BULLA_BYTES_ARRAY(payload), &auth, (bulla_bytes){NULL, 0}, (bulla_bytes){NULL, 0});
	assert_ok(bulla_receipt_record_decode(bulla_bytes_of(memory, w.n), &record));
	assert_ok(bulla_receipt_cose(&record, &c));
	assert_ok(bulla_sign1_open(bulla_bytes_of(cose, c.n), BULLA_CONTENT("receipt"), verify, &record.payload));
	assert_bytes(record.payload, BULLA_BYTES_ARRAY(payload));
	record.auth.batched = true;
	assert_rc(BULLA_E_UNSUPPORTED, bulla_receipt_cose(&record, &c));
}

static void pairs(void **state)
{
	struct bulla_pair list[3] = {{{{1}}, {{2}}}, {{{3}}, {{4}}}, {{{5}}, {{6}}}}, got;
	bulla_digest a, b;

	(void)state;
	bulla_pairs_root(list, 3, &a);
	assert_ok(bulla_merkle_list_root(BULLA_BYTES_ARRAY(list), BULLA_PAIR_BYTES, &b));
	assert_true(bulla_digest_eq(&a, &b));
	assert_ok(bulla_pairs_get(BULLA_BYTES_ARRAY(list), 2, &got));
	assert_int_equal(got.commitment.b[0], 6);
	assert_rc(BULLA_E_NOT_FOUND, bulla_pairs_get(BULLA_BYTES_ARRAY(list), 3, &got));
}

static void starts(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_SIGN_KEY key_b = NULL;
	BULLA_AUTO_VERIFY_KEY verify = NULL;
	BULLA_AUTO_VERIFY_KEY verify_b = NULL;
	uint8_t payload[512], memory[1024];
	bulla_wr p = bulla_wr_fixed(payload, sizeof(payload)), w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_start start = {.time_ms = 7};
	struct bulla_start_record record;
	struct bulla_auth auth;

	(void)state;
	assert_ok(test_key(0, &key, &verify));
	assert_ok(test_key(1, &key_b, &verify_b));
	start.party = *bulla_sign_key_kid(key);
	assert_ok(bulla_start_write(&p, &start));
	assert_ok(bulla_auth_sign(key, BULLA_SIGNED_START, bulla_bytes_of(payload, p.n), &auth));
	bulla_start_record_write(&w, bulla_bytes_of(payload, p.n), &auth);
	assert_ok(bulla_start_record_decode(bulla_bytes_of(memory, w.n), &record));
	assert_ok(bulla_start_record_verify(&record, verify));
	assert_rc(BULLA_E_SIGNATURE, bulla_start_record_verify(&record, verify_b));
	start.inputs = BULLA_BYTES_LITERAL("not pairs");
	assert_rc(BULLA_E_ARGUMENT, bulla_start_write(&p, &start));
	start.inputs.n = 0;
	start.secret.n = BULLA_SEALED_SECRET_MAX + 1;
	assert_rc(BULLA_E_LIMIT, bulla_start_write(&p, &start));
}

static void signed_by_the_ledger(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_SIGN_KEY key_b = NULL;
	BULLA_AUTO_VERIFY_KEY verify = NULL;
	BULLA_AUTO_VERIFY_KEY verify_b = NULL;
	BULLA_AUTO_BUF buf;
	struct bulla_day_key day = {1, BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), 1, 2}, day_out;
	struct bulla_run_head head = {.count = 3, .sequence = 9, .state = BULLA_RUN_DONE}, head_out;

	(void)state;
	assert_ok(test_key(0, &key, &verify));
	assert_ok(test_key(1, &key_b, &verify_b));
	bulla_buf_init(&buf, 4096);
	assert_ok(bulla_day_key_make(&day, key, &buf));
	assert_ok(bulla_day_key_open(bulla_buf_view(&buf), verify, &day_out));
	assert_bytes(day_out.public_key, day.public_key);
	assert_rc(BULLA_E_SIGNATURE, bulla_day_key_open(bulla_buf_view(&buf), verify_b, &day_out));
	assert_rc(BULLA_E_FORMAT, bulla_run_head_open(bulla_buf_view(&buf), verify, &head_out));
	bulla_buf_clear(&buf);
	assert_ok(bulla_run_head_make(&head, key, &buf));
	assert_true(buf.n <= BULLA_RUN_HEAD_MAX);
	assert_ok(bulla_run_head_open(bulla_buf_view(&buf), verify, &head_out));
	assert_int_equal(head_out.count, 3);
	assert_rc(BULLA_E_SIGNATURE, bulla_run_head_open(bulla_buf_view(&buf), verify_b, &head_out));
}

static void orders(void **state)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_SIGN_KEY key_b = NULL;
	BULLA_AUTO_VERIFY_KEY verify = NULL;
	BULLA_AUTO_VERIFY_KEY verify_b = NULL;
	BULLA_AUTO_BUF buf;
	struct bulla_order order = {.kind = BULLA_ORDER_ERASE, .run.b[3] = 3}, opened;
	bulla_digest kid;

	(void)state;
	assert_ok(test_key(0, &key, &verify));
	assert_ok(test_key(1, &key_b, &verify_b));
	bulla_buf_init(&buf, BULLA_ORDER_MAX);
	assert_ok(bulla_order_make(&order, key, &buf));
	assert_ok(bulla_order_peek(bulla_buf_view(&buf), &kid, &opened));
	assert_true(bulla_digest_eq(&kid, bulla_sign_key_kid(key)));
	assert_ok(bulla_order_open(bulla_buf_view(&buf), verify, &opened));
	assert_int_equal(opened.kind, BULLA_ORDER_ERASE);
	assert_rc(BULLA_E_SIGNATURE, bulla_order_open(bulla_buf_view(&buf), verify_b, &opened));
	order.subject = BULLA_BYTES_LITERAL("12345678");
	assert_rc(BULLA_E_FORMAT, bulla_order_make(&order, key, &buf));
	order.kind = BULLA_ORDER_REVOKE_EPOCH;
	assert_rc(BULLA_E_FORMAT, bulla_order_make(&order, key, &buf)); /* names a run */
	order.run.b[3] = 0;
	bulla_buf_clear(&buf);
	assert_ok(bulla_order_make(&order, key, &buf));
	order.kind = BULLA_ORDER_REVOKE_INSTANCE;
	assert_rc(BULLA_E_FORMAT, bulla_order_make(&order, key, &buf));
}

static void instances(void **state)
{
	struct bulla_instance instance = {.tee = BULLA_BYTES_LITERAL("nitro"), .purpose = BULLA_PURPOSE_SESSION,
		.receipt_key = BULLA_BYTES_LITERAL("key"), .agents = BULLA_BYTES_LITERAL("agent 01agent 02")};
	uint8_t a[BULLA_BINDER_BYTES], b[BULLA_BINDER_BYTES];
	bulla_handle hosted, stranger;

	(void)state;
	bulla_copy(hosted.b, "agent 02", 8);
	bulla_copy(stranger.b, "agent 03", 8);
	assert_true(bulla_instance_hosts(&instance, &hosted));
	assert_false(bulla_instance_hosts(&instance, &stranger));
	assert_ok(bulla_instance_binder(&instance, a));
	instance.purpose = BULLA_PURPOSE_BOOT;
	assert_ok(bulla_instance_binder(&instance, b));
	assert_memory_not_equal(a, b, sizeof(a));
	instance.purpose = BULLA_PURPOSE_SESSION;
	instance.receipt_key = BULLA_BYTES_LITERAL("kez");
	assert_ok(bulla_instance_binder(&instance, b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permits),
		cmocka_unit_test(commits),
		cmocka_unit_test(run_secrets),
		cmocka_unit_test(receipts),
		cmocka_unit_test(receipt_as_cose),
		cmocka_unit_test(pairs),
		cmocka_unit_test(starts),
		cmocka_unit_test(signed_by_the_ledger),
		cmocka_unit_test(orders),
		cmocka_unit_test(instances),
	};

	return cmocka_run_group_tests(tests, slab_up, slab_down);
}
