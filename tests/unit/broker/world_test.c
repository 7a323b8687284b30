#include "attack.h"
#include "broker/broker.h"
#include "broker/kms_use.h"
#include "crypto/random.h"
#include "crypto/rsa.h"
#include "flow/flows.h"
#include "manifest/approvals.h"
#include "manifest/pcr.h"
#include "receipt/run_secret.h"
#include "seal/start_secret.h"
#include "wire/text.h"

#include <stdio.h>
#include <stdlib.h>

/* A real broker in a folder, a manifest with an owner who may do all and a reader who may do nothing, and the ledger's
 * questions asked one by one. */
static char folder[] = "/tmp/bulla-world-XXXXXX";
static struct bulla_broker *broker;
static struct bulla_ledger_world world;
static struct bulla_sign_key *owner, *reader, *stranger;
static struct flows flows;
static struct bulla_buf put;
static struct bulla_rsa_key *rsa;

static bulla_handle handle_of(uint8_t letter)
{
	bulla_handle handle;

	for (size_t i = 0; i < sizeof(handle.b); i++)
		handle.b[i] = letter;
	return handle;
}

struct spec {
	uint64_t epoch;
	struct bulla_sign_key *approver, *signer; /* named in it; signs it */
	const struct bulla_earlier *earlier;
	bool other_broker;
};

/* A put_manifest body. */
static bulla_bytes make_put(const struct spec *spec)
{
	static uint8_t lists[256], hpke[32] = {9};
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), w;
	struct bulla_approver approver = {.spki = bulla_sign_key_spki(spec->approver)};
	struct bulla_party parties[2] = {
		{.spki = bulla_sign_key_spki(owner),
	     .handle = handle_of('o'),
	     .hpke = BULLA_BYTES_ARRAY(hpke),
	     .rights = BULLA_RIGHT_ALL},
		{.spki = bulla_sign_key_spki(reader), .handle = handle_of('r'), .hpke = BULLA_BYTES_ARRAY(hpke)}};
	struct bulla_agent agents[2];
	struct bulla_workflow workflow = {.plan = flows.decoded.bytes};
	struct bulla_manifest m = {.suite = 1,
	                           .mode = 1,
	                           .epoch = spec->epoch,
	                           .need = 1,
	                           .approvers = &approver,
	                           .approver_count = 1,
	                           .parties = parties,
	                           .party_count = 2,
	                           .agents = agents,
	                           .agent_count = 2,
	                           .workflows = &workflow,
	                           .workflow_count = 1,
	                           .assurance = 1,
	                           .max_age_ms = 300000,
	                           .tenant = handle_of('t'),
	                           .broker_tls = broker->epochs.tls,
	                           .ledger_spki = bulla_sign_key_spki(spec->other_broker ? owner : broker->ledger_key),
	                           .earlier_count = spec->earlier != NULL};
	struct bulla_earlier earlier = spec->earlier == NULL ? (struct bulla_earlier){.epoch = 0} : *spec->earlier;
	struct bulla_msg_put_manifest message;
	struct bulla_manifest decoded;
	BULLA_AUTO_BUF bytes, approval;
	bulla_bytes item, ret = {NULL, 0};

	bulla_buf_init(&bytes, 65536);
	bulla_buf_init(&approval, BULLA_APPROVAL_MAX);
	m.earlier = &earlier;
	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("dev")}, 1);
	m.tees = bulla_bytes_of(lists, l.n);
	for (unsigned i = 0; i < 2; i++)
		agents[i] = (struct bulla_agent){
			.binding = BULLA_BINDING_STREAM, .policy_form = 1, .handle = handle_of((uint8_t) "ab"[i]), .in_flight = 16};
	bulla_manifest_sort(&m);
	w = bulla_wr_buf(&bytes);
	assert_ok(bulla_manifest_encode(&m, &w));
	assert_ok(bulla_manifest_decode(bulla_buf_view(&bytes), &decoded));
	assert_ok(bulla_approval_make(&decoded, spec->signer, &approval));
	bulla_manifest_done(&decoded);
	item = bulla_buf_view(&approval);
	message =
		(struct bulla_msg_put_manifest){.manifest = bulla_buf_view(&bytes), .approvals = bulla_pb_list_of(&item, 1)};
	bulla_buf_clear(&put);
	w = bulla_wr_buf(&put);
	bulla_msg_put_manifest_encode(&message, &w);
	assert_ok(bulla_wr_end(&w, &ret));
	return ret;
}

/* --- epochs --- */

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
}

/* --- starts --- */

static bulla_secret run_secret;
static struct bulla_start_sealer sealer; /* of this party under this day key */
static bulla_digest sealer_party, sealer_day;
static int64_t begun_ms;

/* A run id of today: 48 bits of Unix ms, then what tells them apart. */
static bulla_run_id run_of(uint8_t number)
{
	bulla_run_id run = {{0}};

	for (unsigned i = 0; i < 6; i++)
		run.b[i] = (uint8_t)(begun_ms >> 8 * (5 - i));
	run.b[15] = number;
	return run;
}

static void make_start(struct bulla_sign_key *by, const bulla_digest *party, uint8_t run, struct bulla_buf *ret)
{
	static const uint8_t pair[BULLA_PAIR_BYTES] = {1};
	const struct bulla_epoch *epoch = bulla_epochs_current(&broker->epochs);
	const struct bulla_day *day = bulla_days_today(&broker->days);
	struct bulla_start start = {.tenant = handle_of('t'),
	                            .workflow = epoch->manifest.workflows[0].digest,
	                            .manifest = epoch->manifest.digest,
	                            .run = run_of(run),
	                            .party = *party,
	                            .inputs = BULLA_BYTES_ARRAY(pair),
	                            .day_key = day->digest,
	                            .time_ms = (uint64_t)bulla_wall_ms(broker->clock)};
	BULLA_AUTO_BUF secret, payload;
	struct bulla_auth auth;
	bulla_bytes bytes, ignored;
	bulla_wr w;

	bulla_buf_init(&secret, BULLA_SEALED_SECRET_MAX);
	bulla_buf_init(&payload, 8192);
	if (sealer.size == 0 || !bulla_digest_eq(&sealer_party, party) || !bulla_digest_eq(&sealer_day, &day->digest)) {
		bulla_start_sealer_done(&sealer);
		assert_ok(bulla_start_sealer_new(&start, day->kem, bulla_bytes_of(day->public_key, day->public_size),
		                                 bulla_random_os(), &sealer));
		sealer_party = *party;
		sealer_day = day->digest;
	}
	assert_ok(bulla_start_secret_seal(&start, &sealer, run_secret, &secret));
	start.secret = bulla_buf_view(&secret);
	w = bulla_wr_buf(&payload);
	assert_ok(bulla_start_write(&w, &start));
	assert_ok(bulla_wr_end(&w, &bytes));
	assert_ok(bulla_auth_sign(by, BULLA_SIGNED_START, bytes, &auth));
	w = bulla_wr_buf(ret);
	bulla_start_record_write(&w, bytes, &auth);
	assert_ok(bulla_wr_end(&w, &ignored));
}

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

/* What the host sends to begin a run. */
static void begin_run(const bulla_run_id *run, uint8_t number)
{
	BULLA_AUTO_BUF record, reply;
	struct bulla_msg_advance_run item = {.run_id = bulla_bytes_of(run->b, sizeof(run->b)), .tag = 1};
	struct bulla_msg_advance advance;
	struct bulla_msg_advanced advanced;
	struct bulla_msg_advanced_run answer;
	uint8_t memory[8192];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes bytes, body;

	bulla_buf_init(&record, 16384);
	bulla_buf_init(&reply, 65536);
	make_start(owner, bulla_sign_key_kid(owner), number, &record);
	item.start = bulla_buf_view(&record);
	bulla_msg_advance_run_encode(&item, &w);
	assert_ok(bulla_wr_end(&w, &bytes));
	advance = (struct bulla_msg_advance){.runs = bulla_pb_list_of(&bytes, 1)};
	w = bulla_wr_fixed(memory + bytes.n, sizeof(memory) - bytes.n);
	bulla_msg_advance_encode(&advance, &w);
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_ledger_advance(broker->ledger, body, bulla_wall_ms(broker->clock), true, &reply));
	assert_ok(bulla_msg_advanced_decode(bulla_buf_view(&reply), &advanced));
	assert_ok(bulla_msg_advanced_run_decode(bulla_pb_list_at(&advanced.runs, 0), &answer));
	assert_rc(BULLA_OK, (bulla_rc)answer.start_rc);
}

static void test_restart(void **state)
{
	bulla_digest tls = broker->epochs.tls, ledger = broker->epochs.ledger,
				 day = bulla_days_today(&broker->days)->digest;
	struct bulla_permit permit = {.position = {.slot = {.run = run_of(9), .step = 1}, .attempt = 1}};
	bulla_run_id run = run_of(9);
	bulla_bytes epoch;
	uint64_t lsn = 0, durable = 1;
	BULLA_AUTO_BUF mac0;
	struct bulla_session_keys mine;

	(void)state;
	bulla_buf_init(&mac0, BULLA_PERMIT_MAX);
	epoch = bulla_buf_view(&bulla_epochs_current(&broker->epochs)->put);
	assert_ok(bulla_ledger_append(broker->ledger, BULLA_LEDGER_EPOCH, epoch, &lsn));
	begin_run(&run, 9);
	assert_ok(bulla_broker_submit(broker, &lsn));
	while (durable < lsn)
		assert_ok(bulla_broker_durable(broker, &durable));
	broker = bulla_broker_close(broker);
	assert_ok(bulla_broker_open(folder, &broker));
	world = bulla_broker_world(broker);
	assert_true(bulla_digest_eq(&tls, &broker->epochs.tls) && bulla_digest_eq(&ledger, &broker->epochs.ledger));
	assert_non_null(bulla_days_find(&broker->days, &day));
	assert_int_equal(bulla_epochs_current(&broker->epochs)->manifest.epoch, 3);
	assert_int_equal(bulla_ledger_run_state(broker->ledger, &run), BULLA_RUN_OPEN);
	assert_true(bulla_ledger_run_is_open(broker->ledger, &run));
	add_session(&mine);
	assert_ok(world.make_permit(world.ctx, session_id, &permit, &mac0));
	bulla_session_keys_done(&mine);
}

static int set_up(void **state)
{
	(void)state;
	bulla_buf_init(&put, 65536);
	begun_ms = bulla_wall_ms(bulla_sys_clock());
	return mkdtemp(folder) == NULL || bulla_secret_slab_init(256) != BULLA_OK ||
	       bulla_broker_open(folder, &broker) != BULLA_OK || bulla_sign_key_new(BULLA_ES256, &owner) != BULLA_OK ||
	       bulla_sign_key_new(BULLA_ES256, &reader) != BULLA_OK ||
	       bulla_sign_key_new(BULLA_ES256, &stranger) != BULLA_OK || bulla_rsa_key_new(&rsa) != BULLA_OK ||
	       bulla_random_secret(bulla_random_os(), 32, &run_secret) != BULLA_OK || flows_linear(&flows, 2) == NULL ||
	       (world = bulla_broker_world(broker)).ctx == NULL;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	bulla_broker_close(broker);
	bulla_sign_key_free(owner);
	bulla_sign_key_free(reader);
	bulla_sign_key_free(stranger);
	bulla_secret_free(&run_secret);
	bulla_start_sealer_done(&sealer);
	bulla_rsa_key_free(rsa);
	bulla_buf_done(&put);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return bulla_secret_slab_used() != 0 || system(command) != 0;
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
		cmocka_unit_test(test_own_receipts),
		cmocka_unit_test(test_evidence_of_the_manifest),
		cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
