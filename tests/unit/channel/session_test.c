#include "attack.h"
#include "base/secret.h"
#include "channel/session.h"
#include "crypto/hash.h"
#include "receipt/instance.h"
#include "wire/messages.h"

/* Evidence in these tests: nonce and binder as they stand. The appraisal is judge/'s: tests/unit/tee/join_test.c attacks it. */
struct evidence {
	uint8_t nonce[32];
	uint8_t binder[64];
};

static const uint8_t agents[16] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2};
static const struct bulla_channel_ends ends_a = {.exporter = {{1}}, .server_key = {{5}}};
static const struct bulla_channel_ends ends_b = {.exporter = {{2}}, .server_key = {{5}}};
static const uint8_t exporter_keys[32] = {3};
static const uint8_t receipt_key[91] = {9}, other_key[91] = {8};
static const bulla_digest manifest = {{7}}, other_manifest = {{6}};
static uint8_t counter;

static bulla_rc fill(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	for (size_t i = 0; i < size; i++)
		ret[i] = ++counter;
	return BULLA_OK;
}
static const struct bulla_random random_table = {.fill = fill};

/* One instance and the broker's side of its connection. */
struct pair {
	struct bulla_session_client client;
	struct bulla_session_server server;
	struct evidence evidence;
	uint8_t memory[4096];
	bulla_bytes attest; /* body */
};

static void open_pair(struct pair *pair, const struct bulla_channel_ends *ends)
{
	assert_ok(bulla_session_client_init(&pair->client, ends, BULLA_BYTES_LITERAL("nitro"),
		BULLA_BYTES_ARRAY(receipt_key), BULLA_BYTES_ARRAY(agents), &manifest));
	bulla_session_server_init(&pair->server, ends);
}

static void challenge(struct pair *pair, int64_t now_ms)
{
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;
	bulla_digest nonce;

	assert_ok(bulla_session_client_ask(&pair->client, &w));
	assert_ok(bulla_session_server_challenge(&pair->server, &random_table, now_ms, &w));
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_session_client_challenge(&pair->client, body, &nonce, pair->evidence.binder));
	bulla_copy(pair->evidence.nonce, nonce.b, 32);
}

static void attest(struct pair *pair)
{
	bulla_wr w = bulla_wr_fixed(pair->memory, sizeof(pair->memory));

	assert_ok(bulla_session_client_attest(&pair->client, BULLA_BYTES_LITERAL("evidence"), bulla_bytes_of(NULL, 0), &w));
	assert_ok(bulla_wr_end(&w, &pair->attest));
}

/* What the broker says to an ATTEST body with this evidence: BULLA_E_BINDER, where it shows other things than were asked. */
static bulla_rc judge(struct bulla_session_server *server, bulla_bytes body, const struct evidence *evidence,
	int64_t now_ms, struct bulla_session_ask *ask)
{
	struct bulla_session_server copy = *server; /* attacks are made twice in mutant builds */
	struct bulla_instance instance = {.purpose = BULLA_PURPOSE_SESSION};
	uint8_t binder[BULLA_BINDER_BYTES];

	BULLA_TRY(bulla_session_server_attest(&copy, body, now_ms, ask));
	instance.tee = ask->tee;
	instance.channel = ask->channel;
	instance.receipt_key = ask->receipt_key;
	instance.agents = bulla_bytes_of(ask->agents, ask->agent_count * BULLA_SESSION_HANDLE);
	instance.manifest = ask->manifest;
	bulla_copy(instance.challenge, ask->nonce.b, sizeof(instance.challenge));
	BULLA_TRY(bulla_instance_binder(&instance, binder));
	return bulla_bytes_eq(BULLA_BYTES_ARRAY(evidence->nonce), bulla_bytes_digest(&ask->nonce)) &&
		bulla_bytes_eq(BULLA_BYTES_ARRAY(evidence->binder), BULLA_BYTES_ARRAY(binder)) ? BULLA_OK : BULLA_E_BINDER;
}

static void test_session(void **state)
{
	struct pair pair;
	struct bulla_session_ask ask;
	struct bulla_session mine, theirs;
	uint8_t memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	(void)state;
	open_pair(&pair, &ends_a);
	challenge(&pair, 1000);
	attest(&pair);
	assert_ok(judge(&pair.server, pair.attest, &pair.evidence, 61000, &ask));
	assert_int_equal(ask.agent_count, 2);
	assert_bytes(bulla_bytes_of(ask.agents, 16), BULLA_BYTES_ARRAY(agents));
	assert_true(bulla_digest_eq(&ask.manifest, &manifest));
	assert_bytes(ask.evidence, BULLA_BYTES_LITERAL("evidence"));
	assert_rc(BULLA_E_EVIDENCE_STALE,
		bulla_session_server_grant(&random_table, BULLA_BYTES_ARRAY(exporter_keys), 4, 9, 9, (bulla_bytes){NULL, 0}, &w, &theirs));
	assert_ok(
		bulla_session_server_grant(&random_table, BULLA_BYTES_ARRAY(exporter_keys), 4, 61000, 99000, BULLA_BYTES_LITERAL("lent"), &w, &theirs));
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_session_client_done(&pair.client, body, BULLA_BYTES_ARRAY(exporter_keys), &mine));
	assert_bytes(BULLA_BYTES_ARRAY(mine.id), BULLA_BYTES_ARRAY(theirs.id));
	assert_int_equal(mine.epoch, 4);
	assert_int_equal(mine.reattest_ms, 99000);
	assert_bytes(bulla_secret_view(mine.keys.mac_up), bulla_secret_view(theirs.keys.mac_up));
	assert_bytes(bulla_secret_view(mine.keys.wrap), bulla_secret_view(theirs.keys.wrap));
	assert_false(bulla_bytes_eq(bulla_secret_view(mine.keys.mac_up), bulla_secret_view(mine.keys.mac_down)));
	assert_false(bulla_bytes_eq(bulla_secret_view(mine.keys.wrap), bulla_secret_view(mine.keys.mac_down)));
	bulla_session_keys_done(&mine.keys);
	bulla_session_keys_done(&theirs.keys);
	assert_int_equal(bulla_secret_slab_used(), 0);
}

/* Evidence made for one connection, shown on another one: the host relays a challenge between two. */
static void test_relayed(void **state)
{
	struct pair victim, attacker;
	struct bulla_session_ask ask;

	(void)state;
	open_pair(&victim, &ends_a);
	open_pair(&attacker, &ends_b);
	challenge(&victim, 1000);
	attest(&victim);
	challenge(&attacker, 1000);
	attacker.server.challenge = victim.server.challenge; /* even with the same challenge: the channel differs */
	assert_rc(BULLA_E_BINDER, judge(&attacker.server, victim.attest, &victim.evidence, 2000, &ask));
}

static void test_replayed(void **state)
{
	struct pair pair;
	struct bulla_session_ask ask;
	struct evidence old;

	(void)state;
	open_pair(&pair, &ends_a);
	challenge(&pair, 1000);
	attest(&pair);
	old = pair.evidence;
	assert_ok(bulla_session_server_attest(&pair.server, pair.attest, 2000, &ask));
	/* the challenge is used up, whatever came of it */
	assert_attack(SESSION_CHALLENGE, BULLA_E_EVIDENCE_STALE, judge(&pair.server, pair.attest, &old, 2000, &ask));
	/* old evidence under a new challenge */
	pair.client.state = 0;
	challenge(&pair, 3000);
	attest(&pair);
	assert_rc(BULLA_E_BINDER, judge(&pair.server, pair.attest, &old, 3000, &ask));
	/* nonce right, binder old: the nonce alone does not do */
	bulla_copy(old.nonce, pair.evidence.nonce, 32);
	assert_rc(BULLA_E_BINDER, judge(&pair.server, pair.attest, &old, 3000, &ask));
	/* binder right, nonce old */
	old = pair.evidence;
	old.nonce[0] ^= 1;
	assert_rc(BULLA_E_BINDER, judge(&pair.server, pair.attest, &old, 3000, &ask));
}

static void test_stale_challenge(void **state)
{
	struct pair pair;
	struct bulla_session_ask ask;

	(void)state;
	open_pair(&pair, &ends_a);
	challenge(&pair, 1000);
	attest(&pair);
	assert_ok(judge(&pair.server, pair.attest, &pair.evidence, 61000, &ask));
	assert_attack(SESSION_CHALLENGE, BULLA_E_EVIDENCE_STALE,
		judge(&pair.server, pair.attest, &pair.evidence, 61001, &ask));
	assert_rc(BULLA_E_EVIDENCE_STALE, judge(&pair.server, pair.attest, &pair.evidence, 999, &ask));
	bulla_session_server_init(&pair.server, &ends_a);
	assert_rc(BULLA_E_EVIDENCE_STALE, judge(&pair.server, pair.attest, &pair.evidence, 1000, &ask));
}

/* "boot" evidence: no session takes it. */
static void test_other_role(void **state)
{
	struct pair pair;
	struct bulla_session_ask ask;
	struct bulla_binder boot;

	(void)state;
	open_pair(&pair, &ends_a);
	challenge(&pair, 1000);
	attest(&pair);
	boot = pair.client.binder;
	boot.purpose = BULLA_BYTES_LITERAL("boot");
	assert_ok(bulla_binder_make(&boot, pair.evidence.binder));
	assert_rc(BULLA_E_BINDER, judge(&pair.server, pair.attest, &pair.evidence, 2000, &ask));
}

/* The host changes what ATTEST says about good evidence. */
static void test_other_claims(void **state)
{
	struct pair pair;
	struct bulla_session_ask ask;
	bulla_bytes handles[2] = {bulla_bytes_of(agents, 8), bulla_bytes_of(agents + 8, 8)};
	bulla_bytes swapped[2] = {handles[1], handles[0]};
	struct bulla_msg_attest good, bad;
	uint8_t memory[1024];

	(void)state;
	open_pair(&pair, &ends_a);
	challenge(&pair, 1000);
	attest(&pair);
	assert_ok(bulla_msg_attest_decode(pair.attest, &good));
	for (int what = 0; what < 5; what++) {
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
		bulla_bytes body;

		bad = good;
		bad.agents = bulla_pb_list_of(handles, 2);
		if (what == 1)
			bad.manifest = bulla_bytes_digest(&other_manifest);
		else if (what == 2)
			bad.receipt_key = BULLA_BYTES_ARRAY(other_key);
		else if (what == 3)
			bad.agents = bulla_pb_list_of(handles, 1);
		else if (what == 4)
			bad.agents = bulla_pb_list_of(swapped, 2);
		bulla_msg_attest_encode(&bad, &w);
		assert_ok(bulla_wr_end(&w, &body));
		if (what == 0)
			assert_ok(judge(&pair.server, body, &pair.evidence, 2000, &ask));
		else if (what == 4)
			assert_rc(BULLA_E_ARGUMENT, judge(&pair.server, body, &pair.evidence, 2000, &ask));
		else
			assert_rc(BULLA_E_BINDER, judge(&pair.server, body, &pair.evidence, 2000, &ask));
	}
}

/* Each side out of order, and replies that are cut, reflected or zero. */
static void test_order_and_reflection(void **state)
{
	struct pair pair;
	struct bulla_session session;
	uint8_t memory[4096], zero[34] = {0x0a, 32};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_digest nonce;
	uint8_t binder[64];

	(void)state;
	open_pair(&pair, &ends_a);
	assert_rc(BULLA_E_STATE, bulla_session_client_attest(&pair.client, BULLA_BYTES_LITERAL("e"), bulla_bytes_of(NULL, 0), &w));
	assert_rc(BULLA_E_STATE, bulla_session_client_done(&pair.client, BULLA_BYTES_LITERAL(""),
		BULLA_BYTES_ARRAY(exporter_keys), &session));
	assert_ok(bulla_session_client_ask(&pair.client, &w));
	assert_rc(BULLA_E_STATE, bulla_session_client_ask(&pair.client, &w));
	/* its own empty request sent back as the reply */
	assert_rc(BULLA_E_FORMAT, bulla_session_client_challenge(&pair.client, BULLA_BYTES_LITERAL(""), &nonce, binder));
	open_pair(&pair, &ends_a);
	assert_ok(bulla_session_client_ask(&pair.client, &w));
	assert_rc(BULLA_E_FORMAT, bulla_session_client_challenge(&pair.client, BULLA_BYTES_ARRAY(zero), &nonce, binder));
	/* its ATTEST sent back as the session */
	open_pair(&pair, &ends_a);
	challenge(&pair, 1000);
	attest(&pair);
	assert_rc(BULLA_E_FORMAT,
		bulla_session_client_done(&pair.client, pair.attest, BULLA_BYTES_ARRAY(exporter_keys), &session));
}

static int set_up(void **state)
{
	(void)state;
	return bulla_secret_slab_init(32) == BULLA_OK ? 0 : 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_relayed),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_stale_challenge),
		cmocka_unit_test(test_other_role),
		cmocka_unit_test(test_other_claims),
		cmocka_unit_test(test_order_and_reflection),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
