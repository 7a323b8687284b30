#include "attack.h"
#include "broker/kms_use.h"
#include "manifest/pcr.h"
#include "real.h"
#include "receipt/run_secret.h"
#include "wire/text.h"

#include <unistd.h>

/* The ledger's questions asked one by one. */

/* --- epochs --- */

/* Into a table of its own that knows this broker's keys and owner. */
static bulla_rc put_first(const struct spec *spec)
{
	struct bulla_epochs epochs = {
		.tls = broker->epochs.tls, .ledger = broker->epochs.ledger, .owner = *bulla_sign_key_kid(owner)};
	bool is_new = false;
	bulla_rc rc = bulla_epochs_put(&epochs, make_put(spec), &is_new);

	bulla_epochs_done(&epochs);
	return rc;
}

/* A project that is changed every day for more than a year; in a table of its own. */
static void test_many_epochs(void)
{
	static struct bulla_epochs many;
	bulla_digest first;
	bool is_new = false;

	many = (struct bulla_epochs){
		.tls = broker->epochs.tls, .ledger = broker->epochs.ledger, .owner = *bulla_sign_key_kid(owner)};
	assert_ok(bulla_epochs_put(&many, make_put(&(struct spec){1, owner, owner, NULL, false}), &is_new));
	first = bulla_epochs_current(&many)->manifest.digest;
	for (unsigned i = 2; i < 400; i++)
		assert_ok(bulla_epochs_put(&many, make_put(&(struct spec){i, owner, owner, NULL, false}), &is_new));
	assert_non_null(bulla_epochs_find(&many, &first));
	bulla_epochs_done(&many);
}

static void test_epochs(void **state)
{
	struct bulla_epochs *epochs = &broker->epochs;
	const struct bulla_epoch *found = NULL;
	struct bulla_earlier one;
	bulla_digest first, second, unknown = {{1}};
	bool is_new = false;

	(void)state;
	assert_rc(BULLA_E_APPROVALS,
		bulla_epochs_put(epochs, make_put(&(struct spec){1, owner, stranger, NULL, false}), &is_new));
	assert_rc(BULLA_E_DENIED, bulla_epochs_put(epochs, make_put(&(struct spec){1, owner, owner, NULL, true}), &is_new));
	assert_rc(BULLA_E_UNSUPPORTED,
		bulla_epochs_put(epochs, make_put(&(struct spec){1, owner, owner, NULL, false, true}), &is_new));
	assert_null(bulla_epochs_current(epochs));
	/* whoever comes first is not the owner by that */
	assert_attack(MANIFEST_OWNER, BULLA_E_OWNER, put_first(&(struct spec){1, stranger, stranger, NULL, false}));
	assert_null(bulla_epochs_current(epochs));
	assert_ok(bulla_epochs_put(epochs, make_put(&(struct spec){1, owner, owner, NULL, false}), &is_new));
	assert_true(is_new);
	first = bulla_epochs_current(epochs)->manifest.digest;
	assert_ok(bulla_epochs_put(epochs, make_put(&(struct spec){1, owner, owner, NULL, false}), &is_new));
	assert_false(is_new);
	/* approvers change only by the old ones' word, numbers only rise */
	assert_rc(BULLA_E_APPROVALS,
		bulla_epochs_put(epochs, make_put(&(struct spec){2, stranger, stranger, NULL, false}), &is_new));
	assert_rc(BULLA_E_EPOCH_OLD,
		bulla_epochs_put(epochs, make_put(&(struct spec){1, stranger, owner, NULL, false}), &is_new));
	one = (struct bulla_earlier){1, first};
	assert_ok(bulla_epochs_put(epochs, make_put(&(struct spec){2, owner, owner, &one, false}), &is_new));
	second = bulla_epochs_current(epochs)->manifest.digest;
	assert_ok(bulla_epochs_open(epochs, &first, &found));
	assert_ok(bulla_epochs_serves(epochs, &second, &first)); /* new instances serve the runs of the epoch left open */
	assert_ok(bulla_epochs_serves(epochs, &first, &first));
	assert_rc(BULLA_E_EPOCH_CLOSED, bulla_epochs_serves(epochs, &first, &second));
	assert_rc(BULLA_E_NOT_FOUND, bulla_epochs_open(epochs, &unknown, &found));
	assert_ok(bulla_epochs_put(epochs, make_put(&(struct spec){3, owner, owner, NULL, false}), &is_new));
	assert_rc(BULLA_E_EPOCH_OLD, bulla_epochs_open(epochs, &first, &found));
	assert_rc(BULLA_E_EPOCH_OLD, bulla_epochs_serves(epochs, &first, &first));
	assert_rc(BULLA_E_EPOCH_OLD,
		bulla_epochs_put(epochs, make_put(&(struct spec){2, owner, owner, &one, false}), &is_new));
	assert_rc(BULLA_E_FORMAT, bulla_epochs_put(epochs, BULLA_BYTES_LITERAL("rubbish"), &is_new));
	test_many_epochs();
}

/* --- starts --- */

static void test_start(void **state)
{
	struct bulla_start_record start;
	BULLA_AUTO_BUF record;

	(void)state;
	bulla_buf_init(&record, 16384);
	make_start(owner, bulla_sign_key_kid(owner), 1, &record);
	assert_ok(world.open_start(world.ctx, bulla_buf_view(&record), &start));
	assert_ok(world.keep_secret(world.ctx, &start.start));
	/* in another one's name */
	bulla_buf_clear(&record);
	make_start(stranger, bulla_sign_key_kid(owner), 2, &record);
	assert_attack(LEDGER_START_SIGNATURE, BULLA_E_SIGNATURE,
		world.open_start(world.ctx, bulla_buf_view(&record), &start));
	/* a party without the right */
	bulla_buf_clear(&record);
	make_start(reader, bulla_sign_key_kid(reader), 3, &record);
	assert_attack(LEDGER_PARTY_RIGHT, BULLA_E_NO_RIGHT, world.open_start(world.ctx, bulla_buf_view(&record), &start));
	/* nobody */
	bulla_buf_clear(&record);
	make_start(stranger, bulla_sign_key_kid(stranger), 4, &record);
	assert_rc(BULLA_E_PARTY, world.open_start(world.ctx, bulla_buf_view(&record), &start));
}

/* Starts signed together: each is checked under the batch's root, also when its signature was seen before. */
static void test_batched_starts(void **state)
{
	struct bulla_start_record starts[2], got;
	struct bulla_batch *batch = NULL;
	struct bulla_buf records[2];
	BULLA_AUTO_BUF wire;
	struct bulla_auth auth;
	bulla_bytes view;
	uint32_t index;

	(void)state;
	bulla_buf_init(&wire, 16384);
	assert_ok(bulla_batch_new(4, &batch));
	for (uint8_t i = 0; i < 2; i++) {
		bulla_buf_init(&records[i], 16384);
		make_start(owner, bulla_sign_key_kid(owner), (uint8_t)(20 + i), &records[i]);
		assert_ok(bulla_start_record_decode(bulla_buf_view(&records[i]), &starts[i]));
		assert_ok(bulla_batch_add(batch, &starts[i].digest, &index));
	}
	assert_ok(bulla_batch_sign(batch, owner, BULLA_SIGNED_STARTS));
	for (uint32_t i = 0; i < 6; i++) {
		bulla_wr w = bulla_wr_buf(&wire);

		bulla_buf_clear(&wire);
		assert_ok(bulla_batch_auth(batch, i % 2, &auth));
		auth.signature[9] ^= i >= 4 ? 1 : 0;
		bulla_start_record_write(&w, starts[i >= 2 && i < 4 ? 1 - i % 2 : i % 2].payload, &auth);
		assert_ok(bulla_wr_end(&w, &view));
		if (i < 2)
			assert_ok(world.open_start(world.ctx, view, &got));
		else /* another one's proof, another signature */
			assert_rc(BULLA_E_SIGNATURE, world.open_start(world.ctx, view, &got));
	}
	bulla_batch_free(batch);
	bulla_buf_done(&records[0]);
	bulla_buf_done(&records[1]);
}

static void test_wrong_day_key(void **state)
{
	struct bulla_start_record start;
	BULLA_AUTO_BUF record;

	(void)state;
	bulla_buf_init(&record, 16384);
	make_start(owner, bulla_sign_key_kid(owner), 5, &record);
	assert_ok(world.open_start(world.ctx, bulla_buf_view(&record), &start));
	start.start.run.b[0] ^= 1; /* the secret is sealed for its run */
	assert_rc(BULLA_E_MAC, world.keep_secret(world.ctx, &start.start));
	start.start.run.b[0] ^= 1;
	start.start.day_key.b[0] ^= 1;
	assert_rc(BULLA_E_NOT_FOUND, world.keep_secret(world.ctx, &start.start));
}

/* --- permits and commits --- */

static const uint8_t session_id[16] = {7};

static void add_session(struct bulla_session_keys *ret)
{
	uint8_t exporter[32] = {5};
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;

	assert_ok(bulla_secret_new(BULLA_BYTES_ARRAY(exporter), &secret));
	assert_ok(bulla_sessions_add(broker->sessions, session_id, secret, INT64_MAX / 2));
	assert_ok(bulla_session_keys_derive(BULLA_BYTES_ARRAY(exporter), ret)); /* the instance's side */
}

static void test_permit_commit_erase(void **state)
{
	struct bulla_session_keys mine;
	struct bulla_permit permit = {.position = {.slot = {.run = run_of(1), .step = 1}, .attempt = 1}};
	struct bulla_permit got;
	struct bulla_commit commit = {.position = permit.position}, read;
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF mac0;

	(void)state;
	bulla_buf_init(&mac0, BULLA_PERMIT_MAX);
	assert_rc(BULLA_E_SESSION, world.make_permit(world.ctx, session_id, &permit, &mac0));
	add_session(&mine);
	assert_ok(world.make_permit(world.ctx, session_id, &permit, &mac0));
	assert_ok(bulla_permit_open(bulla_buf_view(&mac0), session_id, mine.mac_down, &got));
	assert_ok(bulla_run_secret_unwrap(mine.wrap, &got.position, got.run_secret, &secret));
	assert_bytes(bulla_secret_view(secret), bulla_secret_view(run_secret));
	bulla_buf_clear(&mac0);
	assert_ok(bulla_commit_make(&commit, session_id, mine.mac_up, &mac0));
	assert_ok(world.open_commit(world.ctx, session_id, bulla_buf_view(&mac0), &read));
	/* a permit's key makes no commit: reflected */
	bulla_buf_clear(&mac0);
	assert_ok(bulla_commit_make(&commit, session_id, mine.mac_down, &mac0));
	assert_rc(BULLA_E_MAC, world.open_commit(world.ctx, session_id, bulla_buf_view(&mac0), &read));
	world.erase_secret(world.ctx, &permit.position.slot.run);
	bulla_buf_clear(&mac0);
	assert_rc(BULLA_E_RUN_CLOSED, world.make_permit(world.ctx, session_id, &permit, &mac0));
	bulla_session_keys_done(&mine);
}

static void test_orders(void **state)
{
	const struct bulla_epoch *epoch = bulla_epochs_current(&broker->epochs);
	struct bulla_order order = {.kind = BULLA_ORDER_ERASE,
		.tenant = handle_of('t'),
		.manifest = epoch->manifest.digest,
		.run = {{1}},
		.time_ms = 1};
	struct bulla_order read;
	BULLA_AUTO_BUF sign1;
	bulla_digest kid;

	(void)state;
	bulla_buf_init(&sign1, BULLA_ORDER_MAX);
	assert_ok(bulla_order_make(&order, owner, &sign1));
	assert_ok(world.open_order(world.ctx, bulla_buf_view(&sign1), &epoch->manifest.digest, &read, &kid));
	assert_true(bulla_digest_eq(&kid, bulla_sign_key_kid(owner)));
	bulla_buf_clear(&sign1);
	assert_ok(bulla_order_make(&order, reader, &sign1));
	assert_attack(LEDGER_PARTY_RIGHT, BULLA_E_NO_RIGHT,
		world.open_order(world.ctx, bulla_buf_view(&sign1), &epoch->manifest.digest, &read, &kid));
}

/* A revocation is an approver's, and under the manifest in force. */
static void test_revocations(void **state)
{
	const struct bulla_epoch *epoch = bulla_epochs_current(&broker->epochs);
	static const uint8_t kid[32] = {1};
	struct bulla_order order = {.kind = BULLA_ORDER_REVOKE_INSTANCE, .tenant = handle_of('t'), .subject = BULLA_BYTES_ARRAY(kid),
		.manifest = epoch->manifest.digest}, read;
	struct bulla_revocable what = {.epoch = 3, .run_epoch = 3};
	uint64_t number = 0;
	bulla_digest signer, revoked = {{1}};
	BULLA_AUTO_BUF sign1;

	(void)state;
	what.instance = &revoked;
	bulla_buf_init(&sign1, BULLA_ORDER_MAX);
	assert_ok(bulla_order_make(&order, reader, &sign1)); /* a party, no approver */
	assert_rc(BULLA_E_PARTY, world.open_revocation(world.ctx, bulla_buf_view(&sign1), &read, &signer, &number));
	bulla_buf_clear(&sign1);
	order.manifest = broker->epochs.list[0]->manifest.digest;
	assert_ok(bulla_order_make(&order, owner, &sign1)); /* of another time */
	assert_rc(BULLA_E_EPOCH_OLD, world.open_revocation(world.ctx, bulla_buf_view(&sign1), &read, &signer, &number));
	bulla_buf_clear(&sign1);
	order.manifest = epoch->manifest.digest;
	assert_ok(bulla_order_make(&order, owner, &sign1));
	sign1.p[sign1.n - 1] ^= 1;
	assert_rc(BULLA_E_SIGNATURE, bulla_ledger_revoke(broker->ledger, bulla_buf_view(&sign1), 5));
	assert_ok(bulla_ledger_revoked(broker->ledger, &what));
	sign1.p[sign1.n - 1] ^= 1;
	assert_ok(bulla_ledger_revoke(broker->ledger, bulla_buf_view(&sign1), 5));
	assert_attack(LEDGER_REVOKED, BULLA_E_REVOKED, bulla_ledger_revoked(broker->ledger, &what));
	bulla_buf_clear(&sign1); /* an order to a run is none */
	order = (struct bulla_order){.kind = BULLA_ORDER_CANCEL, .tenant = handle_of('t'), .manifest = epoch->manifest.digest};
	assert_ok(bulla_order_make(&order, owner, &sign1));
	assert_rc(BULLA_E_ARGUMENT, bulla_ledger_revoke(broker->ledger, bulla_buf_view(&sign1), 5));
}

static void test_own_receipts(void **state)
{
	struct bulla_receipt receipt = {.position = {.slot = {.step = 1}, .attempt = 1}, .executor = BULLA_EXECUTOR_CLOCK};
	struct bulla_receipt_record record;
	BULLA_AUTO_BUF bytes;

	(void)state;
	bulla_buf_init(&bytes, 4096);
	bulla_pairs_root(NULL, 0, &receipt.outputs); /* as the ledger fills it in */
	assert_ok(world.make_receipt(world.ctx, &receipt, &bytes));
	assert_ok(bulla_receipt_record_decode(bulla_buf_view(&bytes), &record));
	assert_ok(bulla_receipt_record_verify(&record, broker->ledger_public));
}

/* --- evidence at the KMS API --- */

/* A request of an attested instance whose PCR16 shows this manifest, in the context of that one. */
static bulla_rc ask(const bulla_digest *measured, const bulla_digest *named)
{
	static struct bulla_kms_use use;
	static uint8_t pcr[BULLA_PCR_BYTES], hex[64], count;
	bulla_wr w = bulla_wr_fixed(hex, sizeof(hex));
	BULLA_AUTO_BUF answer;
	bulla_rc rc;

	bulla_buf_init(&answer, 65536);
	use = (struct bulla_kms_use){.attested = true, .payload = {{++count}}};
	assert_ok(bulla_kms_use_init(&use, broker, 16));
	bulla_pcr_manifest(measured, pcr);
	bulla_text_wr_hex(&w, bulla_bytes_digest(named));
	assert_ok(
		bulla_kms_context_add(&use.request.context, BULLA_BYTES_LITERAL("bulla:manifest"), BULLA_BYTES_ARRAY(hex)));
	use.request.op = BULLA_KMS_GENERATE_RANDOM;
	use.request.size = 16;
	use.facts.pcrs[BULLA_PCR_MANIFEST] = BULLA_BYTES_ARRAY(pcr);
	use.public_key = bulla_rsa_key_spki(rsa);
	rc = bulla_kms_use_execute(broker, &use, &answer);
	bulla_kms_use_done(&use);
	return rc;
}

static void test_evidence_of_the_manifest(void **state)
{
	bulla_digest current = bulla_epochs_current(&broker->epochs)->manifest.digest, unknown = {{1}};
	bulla_digest first = broker->epochs.list[0]->manifest.digest;

	(void)state;
	assert_ok(ask(&current, &current));
	assert_attack(EVIDENCE_MANIFEST, BULLA_E_MEASUREMENT, ask(&unknown, &current));
	assert_attack(EVIDENCE_MANIFEST, BULLA_E_EPOCH_OLD, ask(&first, &first)); /* closed by the one in force */
	assert_attack(EVIDENCE_MANIFEST, BULLA_E_EPOCH_CLOSED, ask(&current, &unknown));
}

/* --- a restart --- */

/* The same folder, set up again for somebody else. */
static bulla_rc another_owner(void)
{
	struct bulla_broker *other = NULL;
	bulla_rc rc;

	broker = bulla_broker_close(broker);
	rc = bulla_broker_open(folder, bulla_sign_key_kid(stranger), &other);
	bulla_broker_close(other);
	assert_ok(bulla_broker_open(folder, bulla_sign_key_kid(owner), &broker));
	return rc;
}

static void test_restart(void **state)
{
	bulla_digest tls = broker->epochs.tls, ledger = broker->epochs.ledger,
		day = bulla_days_today(&broker->days)->digest;
	struct bulla_permit permit = {.position = {.slot = {.run = run_of(9), .step = 1}, .attempt = 1}};
	bulla_run_id run = run_of(9);
	bulla_bytes epoch;
	uint64_t lsn = 0;
	BULLA_AUTO_BUF mac0;
	struct bulla_session_keys mine;

	(void)state;
	bulla_buf_init(&mac0, BULLA_PERMIT_MAX);
	epoch = bulla_buf_view(&bulla_epochs_current(&broker->epochs)->put);
	assert_ok(bulla_ledger_append(broker->ledger, BULLA_LEDGER_EPOCH, epoch, &lsn));
	assert_ok(begin_run(9));
	assert_ok(sync_all());
	assert_rc(BULLA_E_OWNER, another_owner());
	reopen_broker();
	assert_true(bulla_digest_eq(&tls, &broker->epochs.tls) && bulla_digest_eq(&ledger, &broker->epochs.ledger));
	assert_non_null(bulla_days_find(&broker->days, &day));
	assert_int_equal(bulla_epochs_current(&broker->epochs)->manifest.epoch, 3);
	assert_int_equal(bulla_ledger_run_state(broker->ledger, &run), BULLA_RUN_OPEN);
	assert_true(bulla_ledger_run_is_open(broker->ledger, &run));
	add_session(&mine);
	assert_ok(world.make_permit(world.ctx, session_id, &permit, &mac0));
	bulla_session_keys_done(&mine);
}

/* Keys whose ledger is gone serve nobody: it would begin anew, and every step could be permitted again. */
static void test_ledger_gone(void **state)
{
	char journal[128], aside[128];
	struct bulla_broker *other = NULL;

	(void)state;
	snprintf(journal, sizeof(journal), "%s/journal", folder);
	snprintf(aside, sizeof(aside), "%s/aside", folder);
	reopen_broker(); /* what is there is marked as theirs */
	broker = bulla_broker_close(broker);
	assert_int_equal(rename(journal, aside), 0);
	assert_rc(BULLA_E_CORRUPT, bulla_broker_open(folder, NULL, &other));
	assert_null(other);
	assert_rc(BULLA_E_CORRUPT, bulla_broker_open(folder, NULL, &other)); /* nor the second time */
	assert_int_equal(rmdir(journal), 0);
	assert_int_equal(rename(aside, journal), 0);
	assert_ok(bulla_broker_open(folder, NULL, &broker));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_batched_starts),
		cmocka_unit_test(test_wrong_day_key),
		cmocka_unit_test(test_permit_commit_erase),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_revocations),
		cmocka_unit_test(test_own_receipts),
		cmocka_unit_test(test_evidence_of_the_manifest),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_ledger_gone),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
