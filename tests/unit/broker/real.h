#pragma once
#include "broker/broker.h"
#include "crypto/random.h"
#include "crypto/rsa.h"
#include "flow/flows.h"
#include "manifest/approvals.h"
#include "seal/start_secret.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

/* A real broker in a folder, and a manifest with an owner who may do all and a reader who may do nothing. */
static char folder[] = "/tmp/bulla-world-XXXXXX";
static struct bulla_broker *broker;
static struct bulla_ledger_world world;
static struct bulla_sign_key *owner, *reader, *stranger;
static struct flows flows;
static struct bulla_buf put;
static struct bulla_rsa_key *rsa;

static inline bulla_handle handle_of(uint8_t letter)
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
	bool other_broker, hybrid;
	/* evidence: "dev" of class dev, any image, unless given */
	bulla_bytes tee, images;
	const struct bulla_anchor *anchor;
	uint8_t assurance;
};

/* A put_manifest body. */
static inline bulla_bytes make_put(const struct spec *spec)
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
	struct bulla_manifest m = {.suite = spec->hybrid ? 2 : 1,
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
		.assurance = spec->assurance != 0 ? spec->assurance : 1,
		.max_age_ms = 300000,
		.tenant = handle_of('t'),
		.broker_tls = broker->epochs.tls,
		.ledger_spki = bulla_sign_key_spki(spec->other_broker ? owner : broker->ledger_key),
		.earlier_count = spec->earlier != NULL};
	struct bulla_earlier earlier = spec->earlier == NULL ? (struct bulla_earlier){.epoch = 0} : *spec->earlier;
	struct bulla_anchor anchor;
	struct bulla_msg_put_manifest message;
	struct bulla_manifest decoded;
	BULLA_AUTO_BUF bytes, approval;
	bulla_bytes item, ret = {NULL, 0};

	bulla_buf_init(&bytes, 65536);
	bulla_buf_init(&approval, BULLA_APPROVAL_MAX);
	m.earlier = &earlier;
	bulla_list_write_text(&l, (bulla_bytes[]){spec->tee.n > 0 ? spec->tee : BULLA_BYTES_LITERAL("dev")}, 1);
	m.tees = bulla_bytes_of(lists, l.n);
	anchor = spec->anchor != NULL ? *spec->anchor : (struct bulla_anchor){.assurance = 0};
	m.anchors = &anchor;
	m.anchor_count = spec->anchor != NULL;
	for (unsigned i = 0; i < 2; i++)
		agents[i] = (struct bulla_agent){
			.binding = BULLA_BINDING_STREAM, .policy_form = 1, .handle = handle_of((uint8_t) "ab"[i]), .in_flight = 16,
			.images = spec->images};
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

/* --- starts --- */

static bulla_secret run_secret;
static struct bulla_start_sealer sealer; /* of this party under this day key */
static bulla_digest sealer_party, sealer_day;
static int64_t begun_ms;

/* A run id of today: 48 bits of Unix ms, then what tells them apart. */
static inline bulla_run_id run_of(uint8_t number)
{
	bulla_run_id run = {{0}};

	for (unsigned i = 0; i < 6; i++)
		run.b[i] = (uint8_t)(begun_ms >> 8 * (5 - i));
	run.b[15] = number;
	return run;
}

static inline void make_start(struct bulla_sign_key *by, const bulla_digest *party, uint8_t run, struct bulla_buf *ret)
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

/* One item of an ADVANCE; the answer's views borrow from reply. */
static inline void host_says(const struct bulla_msg_advance_run *item, struct bulla_buf *reply, struct bulla_msg_advanced_run *ret)
{
	struct bulla_msg_advance advance;
	struct bulla_msg_advanced advanced;
	uint8_t memory[8192];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes bytes, body;

	bulla_msg_advance_run_encode(item, &w);
	assert_ok(bulla_wr_end(&w, &bytes));
	advance = (struct bulla_msg_advance){.runs = bulla_pb_list_of(&bytes, 1)};
	w = bulla_wr_fixed(memory + bytes.n, sizeof(memory) - bytes.n);
	bulla_msg_advance_encode(&advance, &w);
	assert_ok(bulla_wr_end(&w, &body));
	bulla_buf_clear(reply);
	assert_ok(bulla_ledger_advance(broker->ledger, body, bulla_wall_ms(broker->clock), bulla_broker_has_room(broker), reply));
	assert_ok(bulla_msg_advanced_decode(bulla_buf_view(reply), &advanced));
	assert_ok(bulla_msg_advanced_run_decode(bulla_pb_list_at(&advanced.runs, 0), ret));
}

/* What the host sends to begin run_of(number), and the broker's word. */
static inline bulla_rc begin_run(uint8_t number)
{
	BULLA_AUTO_BUF record, reply;
	bulla_run_id run = run_of(number);
	struct bulla_msg_advance_run item = {.run_id = bulla_run_id_view(&run), .tag = 1};
	struct bulla_msg_advanced_run answer;

	bulla_buf_init(&record, 16384);
	bulla_buf_init(&reply, 65536);
	make_start(owner, bulla_sign_key_kid(owner), number, &record);
	item.start = bulla_buf_view(&record);
	host_says(&item, &reply, &answer);
	return (bulla_rc)answer.start_rc;
}

/* The owner's order to run_of(number). */
static inline bulla_rc order_run(uint8_t number, uint8_t kind)
{
	BULLA_AUTO_BUF sign1, reply;
	struct bulla_order order = {.kind = kind,
		.tenant = handle_of('t'),
		.manifest = bulla_epochs_current(&broker->epochs)->manifest.digest,
		.run = run_of(number)};
	struct bulla_msg_advance_run item = {.run_id = BULLA_BYTES_ARRAY(order.run.b)};
	struct bulla_msg_advanced_run answer;

	bulla_buf_init(&sign1, BULLA_ORDER_MAX);
	bulla_buf_init(&reply, 65536);
	assert_ok(bulla_order_make(&order, owner, &sign1));
	item.order = bulla_buf_view(&sign1);
	host_says(&item, &reply, &answer);
	return (bulla_rc)answer.order_rc;
}

static uint64_t durable_lsn; /* everything below */

/* Until everything said so far is durable, or an error. */
static inline bulla_rc sync_all(void)
{
	uint64_t lsn = 0;

	BULLA_TRY(bulla_broker_submit(broker, &lsn));
	while (durable_lsn < lsn) {
		bulla_journal_turn(broker->journal);
		BULLA_TRY(bulla_broker_durable(broker, &durable_lsn));
		BULLA_TRY(bulla_broker_submit(broker, &lsn));
	}
	return BULLA_OK;
}

static inline void reopen_broker(void)
{
	broker = bulla_broker_close(broker);
	assert_ok(bulla_broker_open(folder, NULL, &broker)); /* it knows its owner */
	durable_lsn = bulla_ledger_sequence(broker->ledger);
	world = bulla_broker_world(broker);
}

static inline int set_up(void **state)
{
	(void)state;
	bulla_buf_init(&put, 65536);
	durable_lsn = 1;
	begun_ms = bulla_wall_ms(bulla_sys_clock());
	return mkdtemp(folder) == NULL || bulla_secret_slab_init(256) != BULLA_OK ||
		bulla_sign_key_new(BULLA_ES256, &owner) != BULLA_OK ||
		bulla_broker_open(folder, bulla_sign_key_kid(owner), &broker) != BULLA_OK ||
		bulla_sign_key_new(BULLA_ES256, &reader) != BULLA_OK ||
		bulla_sign_key_new(BULLA_ES256, &stranger) != BULLA_OK || bulla_rsa_key_new(&rsa) != BULLA_OK ||
		bulla_random_secret(bulla_random_os(), 32, &run_secret) != BULLA_OK || flows_linear(&flows, 2) == NULL ||
		(world = bulla_broker_world(broker)).ctx == NULL;
}

static inline int tear_down(void **state)
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

