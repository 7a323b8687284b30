#include "attack.h"
#include "lab.h"
#include "wire/messages.h"

#include <string.h>

static bool both_open(const struct lab_pair *pair)
{
	return bulla_attested_todo(&pair->client.channel) == BULLA_ATTESTED_OPEN &&
		bulla_attested_todo(&pair->server.channel) == BULLA_ATTESTED_OPEN;
}

static const struct lab_key *client_key_of(enum lab_mode mode)
{
	return mode == LAB_MUTUAL ? &lab.client_key : NULL;
}

static void open_pair(enum lab_mode mode, struct lab_pair *pair)
{
	lab_tls(&lab.server_key, client_key_of(mode), pair);
	lab_start(pair, mode);
}

static void test_three_modes(void **state)
{
	static const uint8_t big[200000] = {1, 2, 3};

	(void)state;
	for (enum lab_mode mode = LAB_CLIENT; mode <= LAB_MUTUAL; mode++) {
		struct lab_pair pair;

		open_pair(mode, &pair);
		assert_rc(BULLA_E_STATE, bulla_attested_write(&pair.client.channel, BULLA_BYTES_LITERAL("early")));
		assert_ok(lab_run(&pair));
		assert_true(both_open(&pair));
		assert_ok(bulla_attested_write(&pair.client.channel, BULLA_BYTES_ARRAY(big)));
		assert_ok(bulla_attested_write(&pair.server.channel, BULLA_BYTES_LITERAL("hello")));
		assert_ok(lab_run(&pair));
		assert_bytes(bulla_buf_view(&pair.server.data), BULLA_BYTES_ARRAY(big));
		assert_bytes(bulla_buf_view(&pair.client.data), BULLA_BYTES_LITERAL("hello"));
		bulla_attested_end(&pair.client.channel, BULLA_E_CLOSED);
		assert_rc(BULLA_E_CLOSED, lab_run(&pair));
		assert_rc(BULLA_E_STATE, bulla_attested_write(&pair.server.channel, BULLA_BYTES_LITERAL("late")));
		lab_free(&pair);
	}
}

/* ---- attacks: each makes a world of its own and says what the verifier answers ---- */

/* The verifier's side of a connection, and an enclave that an attacker makes show evidence there. */
struct attack {
	struct lab_pair pair;
	struct bulla_attested prover;     /* the attacker's copy of the prover's machine */
	struct lab_enclave *enclave;
};

static void begin(struct attack *attack, enum lab_mode mode)
{
	open_pair(mode, &attack->pair);
	attack->enclave = &lab.a;
	attack->prover = attack->pair.client.channel;
	attack->prover.owes = true;
	attack->prover.peer_nonce = attack->pair.server.channel.nonce;
	bulla_buf_init(&attack->prover.in, 1);
	bulla_buf_init(&attack->prover.out, 1 << 20);
}

/* Says hello as the client, then shows evidence for what the prover's machine says; the verifier's answer. */
static bulla_rc show_it(struct attack *attack)
{
	struct bulla_attested *verifier = &attack->pair.server.channel;
	BULLA_AUTO_BUF evidence;
	uint8_t binder[BULLA_BINDER_BYTES];
	bulla_digest nonce;

	bulla_buf_init(&evidence, BULLA_MAX_EVIDENCE);
	BULLA_TRY(bulla_attested_feed(verifier, bulla_buf_view(&attack->pair.client.channel.out), lab.now_ms,
		&attack->pair.server.data));
	BULLA_TRY(bulla_attested_challenge(&attack->prover, &nonce, binder));
	lab_evidence(attack->enclave, &nonce, binder, &evidence);
	BULLA_TRY(bulla_attested_show(&attack->prover, bulla_buf_view(&evidence), NULL, 0));
	BULLA_TRY(bulla_attested_feed(verifier, bulla_buf_view(&attack->prover.out), lab.now_ms, &attack->pair.server.data));
	BULLA_TRY(lab_judge(&attack->pair.server));
	assert_true(verifier->accepts);
	return BULLA_OK;
}

static bulla_rc finish(struct attack *attack, bulla_rc rc)
{
	struct bulla_attested *verifier = &attack->pair.server.channel;

	assert_true(rc == BULLA_OK || (!verifier->accepts && verifier->ended && verifier->why == rc));
	bulla_buf_done(&attack->prover.out);
	lab_free(&attack->pair);
	return rc;
}

static bulla_rc honest(void)
{
	struct attack attack;

	begin(&attack, LAB_CLIENT);
	return finish(&attack, show_it(&attack));
}

/* The attacker has the server's TLS key and ends the enclave's connection itself; it hands the verifier's challenge on. */
static bulla_rc relay(void)
{
	struct attack attack;
	struct lab_pair other;
	bulla_rc rc;

	begin(&attack, LAB_CLIENT);
	lab_tls(&lab.server_key, NULL, &other);
	assert_ok(bulla_channel_ends_of(other.client.tls, &attack.prover.ends));
	rc = show_it(&attack);
	lab_free(&other);
	return finish(&attack, rc);
}

static bulla_rc replay(void)
{
	struct attack attack;

	begin(&attack, LAB_CLIENT);
	attack.prover.peer_nonce.b[0] ^= 1; /* an earlier challenge of this connection */
	return finish(&attack, show_it(&attack));
}

/* Evidence that an enclave made as a server, shown by a client. */
static bulla_rc role_swap(void)
{
	struct attack attack;

	begin(&attack, LAB_CLIENT);
	attack.prover.options.role = BULLA_CHANNEL_SERVER;
	return finish(&attack, show_it(&attack));
}

/* The client's key on TLS is the attacker's, the enclave's evidence speaks for its own. Exporters of TLS do not depend on
 * the client's certificate, so this check stands alone where two connections share one. */
static bulla_rc key_swap(void)
{
	struct attack attack;

	begin(&attack, LAB_MUTUAL);
	attack.pair.server.channel.ends.client_key = lab.other_key.pin;
	return finish(&attack, show_it(&attack));
}

static bulla_rc other_manifest(void)
{
	static const bulla_digest wanted = {{8}};
	struct attack attack;

	begin(&attack, LAB_CLIENT);
	attack.pair.server.channel.options.peer_manifest = &wanted;
	return finish(&attack, show_it(&attack));
}

/* The message says what the verifier wants to hear, the evidence is bound to something else. */
static bulla_rc lied(void)
{
	struct attack attack;
	struct bulla_attested *verifier = &attack.pair.server.channel;
	BULLA_AUTO_BUF evidence;
	uint8_t binder[BULLA_BINDER_BYTES] = {1};
	bulla_rc rc;

	begin(&attack, LAB_CLIENT);
	bulla_buf_init(&evidence, BULLA_MAX_EVIDENCE);
	lab_evidence(&lab.a, &attack.prover.peer_nonce, binder, &evidence);
	assert_ok(bulla_attested_show(&attack.prover, bulla_buf_view(&evidence), NULL, 0));
	assert_ok(bulla_attested_feed(verifier, bulla_buf_view(&attack.pair.client.channel.out), lab.now_ms,
		&attack.pair.server.data));
	assert_ok(bulla_attested_feed(verifier, bulla_buf_view(&attack.prover.out), lab.now_ms, &attack.pair.server.data));
	rc = lab_judge(&attack.pair.server);
	return finish(&attack, rc);
}

/* One evidence, shown twice: the second time it would lengthen the first one's life. */
static bulla_rc twice(void)
{
	struct attack attack;
	struct bulla_attested *verifier = &attack.pair.server.channel;
	bulla_rc rc;

	begin(&attack, LAB_CLIENT);
	assert_ok(show_it(&attack));
	rc = bulla_attested_feed(verifier, bulla_buf_view(&attack.prover.out), lab.now_ms, &attack.pair.server.data);
	if (rc == BULLA_OK)
		rc = lab_judge(&attack.pair.server);
	return finish(&attack, rc);
}

/* The server sends the client's own first message back, roles turned, and then the client's own evidence. */
static bulla_rc reflect(void)
{
	struct lab_pair pair;
	struct bulla_attested *victim = &pair.client.channel;
	struct bulla_msg_channel_hello hello = {.version = 1, .role = BULLA_CHANNEL_SERVER, .shows = 1, .demands = 1};
	uint8_t memory[128] = {1, 0, 0};
	bulla_wr w = bulla_wr_fixed(memory + 4, sizeof(memory) - 4);
	bulla_rc rc;

	open_pair(LAB_MUTUAL, &pair);
	hello.nonce = bulla_bytes_digest(&victim->nonce);
	bulla_msg_channel_hello_encode(&hello, &w);
	memory[3] = (uint8_t)w.n;
	bulla_buf_clear(&victim->out);
	rc = bulla_attested_feed(victim, bulla_bytes_of(memory, w.n + 4), lab.now_ms, &pair.client.data);
	if (rc == BULLA_OK) {
		BULLA_AUTO_BUF own;

		assert_ok(lab_do(&pair.client));
		bulla_buf_init(&own, 1 << 20);
		assert_ok(bulla_buf_append(&own, bulla_buf_view(&victim->out)));
		rc = bulla_attested_feed(victim, bulla_buf_view(&own), lab.now_ms, &pair.client.data);
	}
	assert_false(victim->accepts);
	lab_free(&pair);
	return rc;
}

static bulla_rc slow_answer(void)
{
	struct attack attack;
	bulla_rc rc;

	begin(&attack, LAB_CLIENT);
	attack.pair.server.channel.asked_ms -= BULLA_ATTESTED_CHALLENGE_MS + 1;
	rc = show_it(&attack);
	return finish(&attack, rc);
}

static bulla_rc lapsed(void)
{
	struct attack attack;
	struct bulla_attested *verifier = &attack.pair.server.channel;
	bulla_rc rc;

	begin(&attack, LAB_CLIENT);
	assert_ok(show_it(&attack));
	verifier->renew_ms = INT64_MAX;
	assert_ok(bulla_attested_tick(verifier, lab.now_ms + LAB_LIFE_MS - 1));
	rc = bulla_attested_tick(verifier, lab.now_ms + LAB_LIFE_MS);
	return finish(&attack, rc);
}

static void test_attacks(void **state)
{
	(void)state;
	assert_ok(honest());
	assert_attack(CHANNEL_RELAY, BULLA_E_CHANNEL_RELAYED, relay());
	assert_attack(CHANNEL_NONCE, BULLA_E_CHANNEL_NONCE, replay());
	assert_attack(CHANNEL_ROLE, BULLA_E_CHANNEL_ROLE, role_swap());
	assert_attack(CHANNEL_KEYS, BULLA_E_CHANNEL_KEY, key_swap());
	assert_attack(CHANNEL_MANIFEST, BULLA_E_CHANNEL_MANIFEST, other_manifest());
	assert_attack(CHANNEL_BINDER, BULLA_E_BINDER, lied());
	assert_attack(CHANNEL_ONCE, BULLA_E_EVIDENCE_REPLAYED, twice());
	/* without it the role of the evidence still says that it is one's own */
	assert_attack_then(CHANNEL_ECHO, BULLA_E_CHANNEL_REFLECTED, BULLA_E_CHANNEL_ROLE, reflect());
	assert_attack(CHANNEL_LAPSE, BULLA_E_EVIDENCE_STALE, slow_answer());
	assert_attack(CHANNEL_LAPSE, BULLA_E_EVIDENCE_STALE, lapsed());
}

/* Evidence that is no good in itself: the reason is told to who showed it. */
static void test_bad_evidence(void **state)
{
	struct {
		struct lab_enclave *enclave;
		bulla_rc why;
	} cases[] = {{&lab.strange, BULLA_E_MEASUREMENT}, {&lab.stranger, BULLA_E_EVIDENCE_CHAIN}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct lab_pair pair;

		open_pair(LAB_MUTUAL, &pair);
		pair.client.enclave = cases[i].enclave;
		assert_rc(cases[i].why, lab_run(&pair));
		assert_int_equal(pair.client.channel.why, cases[i].why);
		assert_int_equal(pair.server.channel.why, cases[i].why);
		assert_rc(BULLA_E_STATE, bulla_attested_write(&pair.server.channel, BULLA_BYTES_LITERAL("x")));
		lab_free(&pair);
	}
}

/* A policy that changed: what was good a minute ago is refused when it is demanded again. */
static void test_again(void **state)
{
	struct lab_pair pair;

	(void)state;
	open_pair(LAB_MUTUAL, &pair);
	assert_ok(lab_run(&pair));
	assert_ok(bulla_attested_again(&pair.server.channel, lab.now_ms));
	assert_rc(BULLA_E_STATE, bulla_attested_again(&pair.server.channel, lab.now_ms));
	assert_ok(bulla_attested_write(&pair.client.channel, BULLA_BYTES_LITERAL("meanwhile")));
	assert_ok(lab_run(&pair));
	assert_true(both_open(&pair));
	assert_bytes(bulla_buf_view(&pair.server.data), BULLA_BYTES_LITERAL("meanwhile"));
	/* by itself, at four fifths of its life */
	assert_int_equal(bulla_attested_due(&pair.client.channel), lab.now_ms + LAB_LIFE_MS * 4 / 5);
	assert_ok(bulla_attested_tick(&pair.client.channel, lab.now_ms + LAB_LIFE_MS * 4 / 5));
	assert_true(pair.client.channel.asked);
	pair.client.channel.asked_ms = lab.now_ms;
	assert_ok(lab_run(&pair));
	assert_true(both_open(&pair) && !pair.client.channel.asked);
	lab.policy.tees = BULLA_TEE_BIT(BULLA_TEE_SNP);
	assert_ok(bulla_attested_again(&pair.server.channel, lab.now_ms));
	bulla_rc why = lab_run(&pair);
	lab.policy.tees = BULLA_TEE_BIT(BULLA_TEE_DEV);
	assert_int_not_equal(why, BULLA_OK);
	assert_int_equal(pair.client.channel.why, why);
	assert_int_equal(bulla_attested_todo(&pair.server.channel), BULLA_ATTESTED_ENDED);
	lab_free(&pair);
}

/* No answer to a challenge for a minute. */
static void test_silence(void **state)
{
	struct lab_pair pair;

	(void)state;
	open_pair(LAB_CLIENT, &pair);
	assert_int_equal(bulla_attested_due(&pair.server.channel), lab.now_ms + BULLA_ATTESTED_CHALLENGE_MS + 1);
	assert_ok(bulla_attested_tick(&pair.server.channel, lab.now_ms + BULLA_ATTESTED_CHALLENGE_MS));
	assert_rc(BULLA_E_EVIDENCE_STALE,
		bulla_attested_tick(&pair.server.channel, lab.now_ms + BULLA_ATTESTED_CHALLENGE_MS + 1));
	assert_int_equal(bulla_attested_due(&pair.server.channel), INT64_MAX);
	lab_free(&pair);
}

static void test_modes_differ(void **state)
{
	(void)state;
	for (unsigned client = LAB_CLIENT; client <= LAB_MUTUAL; client++)
		for (unsigned server = LAB_CLIENT; server <= LAB_MUTUAL; server++) {
			struct bulla_attested_options options = lab_options(BULLA_CHANNEL_SERVER, (enum lab_mode)server);
			struct lab_pair pair;
			struct bulla_channel_ends ends;

			if (client == server)
				continue;
			lab_tls(&lab.server_key, &lab.client_key, &pair);
			lab_start(&pair, (enum lab_mode)client);
			assert_ok(bulla_channel_ends_of(pair.server.tls, &ends));
			bulla_attested_done(&pair.server.channel);
			assert_ok(bulla_attested_init(&pair.server.channel, &options, &ends, lab.now_ms));
			assert_rc(BULLA_E_CHANNEL_MODE, lab_run(&pair));
			assert_false(pair.client.channel.accepts || pair.server.channel.accepts);
			lab_free(&pair);
		}
}

/* What a client says up to its evidence, and how a verifier takes it. */
static void whole_stream(struct attack *attack, struct bulla_buf *ret)
{
	BULLA_AUTO_BUF evidence;
	uint8_t binder[BULLA_BINDER_BYTES];
	bulla_digest nonce;

	bulla_buf_init(&evidence, BULLA_MAX_EVIDENCE);
	assert_ok(bulla_attested_challenge(&attack->prover, &nonce, binder));
	lab_evidence(&lab.a, &nonce, binder, &evidence);
	assert_ok(bulla_attested_show(&attack->prover, bulla_buf_view(&evidence), NULL, 0));
	bulla_buf_init(ret, 1 << 20);
	assert_ok(bulla_buf_append(ret, bulla_buf_view(&attack->pair.client.channel.out)));
	assert_ok(bulla_buf_append(ret, bulla_buf_view(&attack->prover.out)));
}

static bulla_rc hear(const struct attack *attack, bulla_bytes bytes, struct lab_side *side)
{
	struct bulla_attested_options options = lab_options(BULLA_CHANNEL_SERVER, LAB_CLIENT);
	bulla_rc rc;

	*side = (struct lab_side){.enclave = NULL};
	bulla_buf_init(&side->data, 1 << 16);
	assert_ok(bulla_attested_init(&side->channel, &options, &attack->pair.server.channel.ends, lab.now_ms));
	side->channel.nonce = attack->pair.server.channel.nonce;
	rc = bulla_attested_feed(&side->channel, bytes, lab.now_ms, &side->data);
	return rc == BULLA_OK && side->channel.judging ? lab_judge(side) : rc;
}

static void test_truncated_and_changed(void **state)
{
	struct attack attack;
	struct lab_side side;
	struct bulla_buf stream;

	(void)state;
	begin(&attack, LAB_CLIENT);
	whole_stream(&attack, &stream);
	assert_ok(hear(&attack, bulla_buf_view(&stream), &side));
	assert_true(side.channel.accepts);
	bulla_attested_done(&side.channel);
	for (size_t i = 0; i < stream.n; i++) {
		/* cut: it waits */
		assert_ok(hear(&attack, bulla_bytes_of(stream.p, i), &side));
		assert_false(side.channel.accepts);
		bulla_attested_done(&side.channel);
		/* changed: everything outside the evidence, samples inside it */
		if (i > 64 && i + 300 < stream.n && i % 131 != 0)
			continue;
		stream.p[i] ^= (uint8_t)(1u << (i % 8));
		bulla_rc rc = hear(&attack, bulla_buf_view(&stream), &side);
		assert_true(rc != BULLA_OK || !side.channel.accepts);
		bulla_attested_done(&side.channel);
		stream.p[i] ^= (uint8_t)(1u << (i % 8));
	}
	bulla_buf_done(&stream);
	(void)finish(&attack, BULLA_OK);
}

static void test_arguments(void **state)
{
	struct bulla_attested channel;
	struct bulla_channel_ends ends = {.exporter = {{1}}};
	struct bulla_attested_options options = lab_options(BULLA_CHANNEL_SERVER, LAB_SERVER);

	(void)state;
	assert_rc(BULLA_E_ARGUMENT, bulla_attested_init(&channel, &options, &ends, 1)); /* no certificate, no key */
	ends.server_key.b[0] = 1;
	options.shows = false;
	assert_rc(BULLA_E_ARGUMENT, bulla_attested_init(&channel, &options, &ends, 1));
	options.demands = true;
	options.role = 3;
	assert_rc(BULLA_E_ARGUMENT, bulla_attested_init(&channel, &options, &ends, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_modes),
		cmocka_unit_test(test_attacks),
		cmocka_unit_test(test_bad_evidence),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_modes_differ),
		cmocka_unit_test(test_truncated_and_changed),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, lab_open, lab_close);
}
