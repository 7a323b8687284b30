/* Session and births against a broker of the test's own, which does as it is told: right, wrong, twice, another's. */
#include "attack.h"
#include "attest/nitro.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "io/sys.h"
#include "judge/judge.h"
#include "kms/api.h"
#include "manifest/pcr.h"
#include "nsm.h"
#include "tee/join.h"
#include "test.h"
#include "wire/kinds.h"
#include "wire/messages.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const uint8_t measured[3][BULLA_NITRO_PCR_SIZE] = {{1}, {2}, {3}};
static const char wrapping_key[] = "arn:aws:kms:us-east-1:000000000000:key/1";

/* One relayed connection, the broker's end. */
struct relay {
	uint32_t stream;
	struct bulla_tls *tls;
	struct bulla_frames *frames;
	struct bulla_buf plain, in;
};

/* What the broker does wrong. */
struct misdeeds {
	bulla_rc refuse;      /* answer to ATTEST */
	bool hide_birth;      /* BIRTH_ASK says there is none; PUT gives the one that is there */
	bool other_seed;      /* Decrypt releases another seed */
	bool break_birth;     /* one bit of the birth record */
	bool other_key;       /* KeyId of another wrapping key */
	uint64_t epoch;       /* of the session; 0: the right one */
	int64_t late_ms;      /* the host brings the answer to ATTEST so much later */
};

struct town {
	char folder[64];
	struct bulla_dev_pki pki;
	struct bulla_tls_context *tls, *wrong_tls;
	bulla_digest pin;
	struct bulla_sign_key *owner;
	struct bulla_buf manifest_bytes;
	struct bulla_manifest manifest;
	uint64_t life_ms;
	struct misdeeds misdeeds;
	bool wrong_server;
	/* what the broker holds */
	struct bulla_buf birth, blob, birth_instance;
	uint8_t seed[32];
	uint32_t generated, decrypted, attested;
};
static struct town town;

/* One enclave and its host. */
struct house {
	struct bulla_tee_base base;
	struct bulla_dev_nsm nsm;
	struct bulla_peers peers;
	struct bulla_join join;
	struct bulla_frames *host, *side;
	struct relay relays[2];
	struct bulla_session_server server;
	uint32_t sessions, readies, failures;
	int64_t late_ms; /* its clock is so much ahead: time that the host let pass */
	struct bulla_clock clock;
	uint64_t time_ms, asked_ms; /* of the newest session */
	bulla_rc why;
	bool hello;
};

/* --- the broker --- */

static void reply(struct relay *relay, const struct bulla_frame *message, bulla_bytes body)
{
	assert_ok(bulla_frames_reply(relay->frames, (enum bulla_op_number)message->op, message->stream, body));
}

static bulla_rc refuse(struct relay *relay, const struct bulla_frame *message, bulla_rc rc)
{
	return bulla_frames_error(relay->frames, (enum bulla_op_number)message->op, message->stream, rc, 0, 0, 0);
}

/* As bulla-kms does. */
static bulla_rc judge(const struct bulla_session_ask *ask, bulla_bytes evidence)
{
	const struct bulla_judge_time time = {.now_ms = bulla_wall_ms(bulla_sys_clock()), .online = true};
	struct bulla_instance instance = {.tee = ask->tee, .purpose = BULLA_PURPOSE_SESSION, .channel = ask->channel,
		.receipt_key = ask->receipt_key, .agents = bulla_bytes_of(ask->agents, ask->agent_count * BULLA_SESSION_HANDLE),
		.manifest = ask->manifest, .evidence = evidence};

	bulla_copy(instance.challenge, ask->nonce.b, sizeof(instance.challenge));
	return bulla_judge_instance(&town.manifest, &instance, time, NULL, NULL);
}

static bulla_rc broker_attest(struct house *house, struct relay *relay, const struct bulla_frame *message)
{
	uint8_t exporter[BULLA_EXPORTER_SIZE], memory[256];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_session_ask ask;
	struct bulla_session session;
	uint64_t now = (uint64_t)bulla_wall_ms(bulla_sys_clock());

	town.attested++;
	if (town.misdeeds.refuse != BULLA_OK)
		return refuse(relay, message, town.misdeeds.refuse);
	assert_ok(bulla_session_server_attest(&house->server, message->body, (int64_t)now, &ask));
	assert_ok(judge(&ask, ask.evidence));
	assert_ok(bulla_tls_export(relay->tls, BULLA_EXPORTER_KEYS, sizeof(exporter), exporter));
	assert_ok(bulla_session_server_grant(bulla_random_os(), BULLA_BYTES_ARRAY(exporter),
		town.misdeeds.epoch != 0 ? town.misdeeds.epoch : 3, now, now + town.life_ms, bulla_bytes_of(NULL, 0), &w, &session));
	bulla_session_keys_done(&session.keys);
	house->late_ms += town.misdeeds.late_ms;
	reply(relay, message, bulla_bytes_of(memory, w.n));
	return BULLA_OK;
}

static bulla_rc give_birth(struct relay *relay, const struct bulla_frame *message)
{
	static uint8_t memory[65536];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_msg_birth birth = {.agent = bulla_handle_view(&town.manifest.agents[0].handle), .epoch = 3,
		.record = bulla_buf_view(&town.birth), .blob = bulla_buf_view(&town.blob),
		.instance = bulla_buf_view(&town.birth_instance)};

	if (town.misdeeds.break_birth)
		town.birth.p[town.birth.n - 1] ^= 1;
	bulla_msg_birth_encode(&birth, &w);
	reply(relay, message, bulla_bytes_of(memory, w.n));
	if (town.misdeeds.break_birth)
		town.birth.p[town.birth.n - 1] ^= 1;
	return BULLA_OK;
}

static bulla_rc broker_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct house *house = ctx;
	struct relay *relay = &house->relays[0];
	uint8_t memory[128];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_msg_birth birth;

	relay->frames = frames;
	switch (message->op) {
	case BULLA_OP_CHALLENGE:
		assert_ok(bulla_session_server_challenge(&house->server, bulla_random_os(), bulla_wall_ms(bulla_sys_clock()), &w));
		reply(relay, message, bulla_bytes_of(memory, w.n));
		return BULLA_OK;
	case BULLA_OP_ATTEST:
		return broker_attest(house, relay, message);
	case BULLA_OP_BIRTH_ASK:
		if (town.birth.n == 0 || town.misdeeds.hide_birth)
			return refuse(relay, message, BULLA_E_BIRTH_MISSING);
		return give_birth(relay, message);
	case BULLA_OP_BIRTH_PUT:
		assert_ok(bulla_msg_birth_decode(message->body, &birth));
		if (town.birth.n == 0) {
			assert_ok(bulla_buf_append(&town.birth, birth.record));
			assert_ok(bulla_buf_append(&town.blob, birth.blob));
			assert_ok(bulla_buf_append(&town.birth_instance, birth.instance));
		}
		return give_birth(relay, message);
	default:
		return refuse(relay, message, BULLA_E_UNSUPPORTED);
	}
}

static bulla_rc broker_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	(void)ctx;
	(void)frames;
	(void)boot_id;
	assert_int_equal(role, BULLA_ROLE_ENCLAVE);
	return BULLA_OK;
}

/* --- the KMS --- */

static void write_key(bulla_bytes seed, bulla_bytes document, bulla_bytes blob, bulla_wr *w)
{
	struct bulla_nitro_fields doc;
	struct bulla_form_fault fault;
	BULLA_AUTO_BUF sealed = {0};
	bulla_json_wr j = bulla_json_wr_of(w);

	bulla_buf_init(&sealed, 4096);
	assert_ok(bulla_nitro_read(document, &doc, &fault));
	assert_true(doc.public_key.n > 0);
	assert_ok(bulla_cms_seal(doc.public_key, seed, bulla_random_os(), &sealed));
	bulla_json_wr_object(&j);
	if (blob.n > 0) {
		bulla_json_wr_name(&j, "CiphertextBlob");
		bulla_json_wr_base64(&j, blob);
	}
	bulla_json_wr_name(&j, "CiphertextForRecipient");
	bulla_json_wr_base64(&j, bulla_buf_view(&sealed));
	bulla_json_wr_name(&j, "KeyId");
	bulla_json_wr_str(&j, town.misdeeds.other_key ? "arn:aws:kms:us-east-1:000000000000:key/2" : wrapping_key);
	bulla_json_wr_object_end(&j);
}

static void serve_kms(struct relay *relay)
{
	static const uint8_t id[16] = {1};
	struct bulla_http_message message;
	struct bulla_kms_request request;
	BULLA_AUTO_BUF scratch = {0}, answer = {0}, body = {0};
	enum bulla_kms_op op;
	bulla_wr w;
	size_t size;

	if (bulla_http_read_request(bulla_buf_view(&relay->in), &message, &size) != BULLA_OK)
		return;
	bulla_buf_init(&scratch, 1 << 20);
	bulla_buf_init(&answer, 1 << 20);
	bulla_buf_init(&body, 1 << 20);
	w = bulla_wr_buf(&body);
	assert_ok(bulla_kms_target(bulla_http_header(&message, "x-amz-target"), &op));
	assert_ok(bulla_kms_request_parse(op, message.body, &scratch, &request));
	if (op == BULLA_KMS_GET_KEY_POLICY) {
		bulla_wr_bytes(&w, BULLA_BYTES_LITERAL("{\"Policy\":\"{}\"}"));
	} else if (op == BULLA_KMS_DECRYPT) {
		uint8_t other[32] = {9};

		town.decrypted++;
		assert_bytes(request.blob, bulla_buf_view(&town.blob));
		write_key(town.misdeeds.other_seed ? BULLA_BYTES_ARRAY(other) : BULLA_BYTES_ARRAY(town.seed), request.document,
			bulla_bytes_of(NULL, 0), &w);
	} else {
		uint8_t fresh[32];

		town.generated++;
		assert_ok(bulla_random_fill(bulla_random_os(), fresh, sizeof(fresh)));
		if (town.birth.n == 0)
			bulla_copy(town.seed, fresh, sizeof(fresh));
		write_key(BULLA_BYTES_ARRAY(fresh), request.document, BULLA_BYTES_LITERAL("a key blob"), &w);
	}
	assert_ok(w.rc);
	assert_ok(bulla_kms_write_answer(bulla_buf_view(&body), id, &answer));
	assert_ok(bulla_tls_write(relay->tls, bulla_buf_view(&answer)));
	relay->in.n = 0;
}

/* --- the host: carries relays --- */

static void flush_relay(struct house *house, struct relay *relay)
{
	BULLA_AUTO_BUF cipher = {0};

	while (relay->frames != NULL && bulla_frames_output(relay->frames).n > 0) {
		bulla_bytes output = bulla_frames_output(relay->frames);

		assert_ok(bulla_tls_write(relay->tls, output));
		bulla_frames_sent(relay->frames, output.n);
	}
	bulla_buf_init(&cipher, 1 << 20);
	assert_ok(bulla_tls_take(relay->tls, &cipher));
	if (cipher.n > 0)
		assert_ok(bulla_frames_event(house->host, BULLA_OP_RELAY, relay->stream, bulla_buf_view(&cipher)));
}

static void close_relay(struct relay *relay)
{
	relay->frames = bulla_frames_free(relay->frames);
	relay->tls = bulla_tls_free(relay->tls);
	bulla_buf_done(&relay->plain);
	bulla_buf_done(&relay->in);
	relay->stream = 0;
}

static void serve_relay(struct house *house, struct relay *relay, bulla_bytes bytes)
{
	const struct bulla_frames_events events = {.ctx = house, .on_hello = broker_hello, .on_message = broker_message};
	struct bulla_frames_options options = {.role = BULLA_ROLE_BROKER, .boot_id = BULLA_BYTES_LITERAL("a broker's boots"),
		.window = 16, .now_us = bulla_mono_us(bulla_sys_clock())};
	bool was_ready = bulla_tls_ready(relay->tls);

	relay->plain.n = 0;
	if (bulla_tls_feed(relay->tls, bytes, &relay->plain) != BULLA_OK) {
		close_relay(relay);
		return;
	}
	if (!was_ready && bulla_tls_ready(relay->tls) && bulla_tls_protocol(relay->tls) == BULLA_TLS_FRAMES) {
		struct bulla_channel_ends ends;

		assert_ok(bulla_channel_ends_of(relay->tls, &ends));
		bulla_session_server_init(&house->server, &ends);
		assert_ok(bulla_frames_new(&options, &events, &relay->frames));
	}
	if (relay->frames != NULL) {
		assert_ok(bulla_frames_feed(relay->frames, bulla_buf_view(&relay->plain), options.now_us));
	} else {
		assert_ok(bulla_buf_append(&relay->in, bulla_buf_view(&relay->plain)));
		serve_kms(relay);
	}
	flush_relay(house, relay);
}

static struct relay *relay_of(struct house *house, uint32_t stream)
{
	for (int i = 0; i < 2; i++)
		if (house->relays[i].stream == stream)
			return &house->relays[i];
	return NULL;
}

static bulla_rc host_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct house *house = ctx;
	struct relay *relay = relay_of(house, message->stream);

	(void)frames;
	if (message->op != BULLA_OP_RELAY)
		return BULLA_OK;
	if ((message->flags & BULLA_FRAME_EVENT) == 0) {
		relay = relay_of(house, 0);
		assert_non_null(relay);
		relay->stream = message->stream;
		bulla_buf_init(&relay->plain, 1 << 20);
		bulla_buf_init(&relay->in, 1 << 20);
		return bulla_tls_new(town.wrong_server ? town.wrong_tls : town.tls, BULLA_TLS_FRAMES, &relay->tls);
	}
	if (relay == NULL)
		return BULLA_OK;
	if (message->body.n > 0) {
		serve_relay(house, relay, message->body);
		return BULLA_OK;
	}
	close_relay(relay);
	return bulla_frames_reply(house->host, BULLA_OP_RELAY, message->stream, bulla_bytes_of(NULL, 0));
}

static bulla_rc host_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	(void)ctx;
	(void)frames;
	(void)role;
	(void)boot_id;
	return BULLA_OK;
}

static bulla_rc side_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct house *house = ctx;

	(void)role;
	(void)boot_id;
	house->hello = true;
	bulla_join_host_up(&house->join, frames);
	return BULLA_OK;
}

static bulla_rc side_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct house *house = ctx;

	(void)frames;
	assert_true(bulla_join_message(&house->join, message, bulla_mono_us(bulla_sys_clock())));
	return BULLA_OK;
}

/* --- the enclave --- */

static void on_session(void *ctx, struct bulla_session *session)
{
	struct house *house = ctx;

	house->sessions++;
	house->time_ms = session->time_ms;
	house->asked_ms = session->asked_ms;
	bulla_session_keys_done(&session->keys);
}

static void on_ready(void *ctx)
{
	((struct house *)ctx)->readies++;
}

static void on_failed(void *ctx, bulla_rc why)
{
	struct house *house = ctx;

	house->failures++;
	house->why = why;
}

static int64_t house_mono(void *ctx)
{
	return bulla_mono_us(bulla_sys_clock()) + ((struct house *)ctx)->late_ms * 1000;
}

static int64_t house_wall(void *ctx)
{
	(void)ctx;
	return bulla_wall_ms(bulla_sys_clock());
}

static bool carry(struct bulla_frames *from, struct bulla_frames *to)
{
	static uint8_t copy[1 << 20];
	bulla_bytes bytes = bulla_frames_output(from);

	if (bytes.n == 0)
		return false;
	assert_true(bytes.n <= sizeof(copy));
	bulla_copy(copy, bytes.p, bytes.n); /* feeding may add output */
	bulla_frames_sent(from, bytes.n);
	assert_ok(bulla_frames_feed(to, bulla_bytes_of(copy, bytes.n), bulla_mono_us(bulla_sys_clock())));
	return true;
}

static void turn(struct house *house)
{
	bool moved = false;

	nsm_module = &house->nsm;
	while (carry(house->host, house->side) || carry(house->side, house->host))
		moved = true;
	bulla_join_turn(&house->join, bulla_mono_us(bulla_sys_clock()) + house->late_ms * 1000);
	if (!moved)
		(void)poll(NULL, 0, 1);
}

static void settle(struct house *house, const uint32_t *counter, uint32_t until)
{
	int64_t end = bulla_mono_us(bulla_sys_clock()) + 60000000;

	while (*counter < until) {
		assert_true(bulla_mono_us(bulla_sys_clock()) < end);
		turn(house);
	}
}

static void connect(struct house *house)
{
	const struct bulla_frames_events host = {.ctx = house, .on_hello = host_hello, .on_message = host_message};
	const struct bulla_frames_events side = {.ctx = house, .on_hello = side_hello, .on_message = side_message};
	struct bulla_frames_options options = {.role = BULLA_ROLE_HOST, .boot_id = BULLA_BYTES_LITERAL("the hosts' boots"),
		.window = 16, .now_us = bulla_mono_us(bulla_sys_clock())};

	assert_ok(bulla_frames_new(&options, &host, &house->host));
	options.role = BULLA_ROLE_ENCLAVE;
	assert_ok(bulla_frames_new(&options, &side, &house->side));
}

static void disconnect(struct house *house)
{
	bulla_join_host_down(&house->join);
	for (int i = 0; i < 2; i++)
		if (house->relays[i].stream != 0)
			close_relay(&house->relays[i]);
	house->host = bulla_frames_free(house->host);
	house->side = bulla_frames_free(house->side);
}

static void open_house(struct house *house)
{
	const struct bulla_join_events events = {
		.ctx = house, .on_session = on_session, .on_ready = on_ready, .on_failed = on_failed};
	uint8_t value[BULLA_NSM_PCR_SIZE] = {0};

	*house = (struct house){.clock = {house, house_wall, house_mono}};
	assert_ok(bulla_dev_nsm_init(&house->nsm, &town.pki, bulla_sys_clock(), bulla_random_os(), measured));
	nsm_module = &house->nsm;
	house->base = (struct bulla_tee_base){.clock = &house->clock, .random = bulla_random_os(),
		.manifest = town.manifest, .agent_count = 1};
	house->base.source = (struct bulla_source){.ops = &bulla_source_nsm, .nsm = nsm_direct, .tee = BULLA_TEE_NITRO};
	house->base.agents[0] = (struct bulla_tee_agent){
		.handle = town.manifest.agents[0].handle, .row = &town.manifest.agents[0]};
	bulla_copy(house->base.handles, town.manifest.agents[0].handle.b, 8);
	assert_ok(bulla_source_nsm.measure(&house->base.source, &town.manifest.digest,
		bulla_bytes_digest(&town.manifest.agents[0].bundle)));
	assert_rc(BULLA_E_DENIED, bulla_nsm_extend_pcr(&house->base.source.nsm, 16, BULLA_BYTES_ARRAY(value), value));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &house->base.instance_secret));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &house->base.receipt_key));
	house->base.kid = *bulla_sign_key_kid(house->base.receipt_key);
	assert_ok(bulla_peers_init(&house->peers, &town.manifest));
	assert_ok(bulla_join_init(&house->join, &house->base, &house->peers, &events));
	connect(house);
}

static void close_house(struct house *house)
{
	disconnect(house);
	bulla_join_done(&house->join);
	bulla_peers_done(&house->peers);
	bulla_sign_key_free(house->base.receipt_key);
	bulla_secret_free(&house->base.instance_secret);
	bulla_dev_nsm_done(&house->nsm);
	assert_int_equal(bulla_secret_slab_used(), 0);
}

/* --- set-up --- */

static void make_server(struct bulla_tls_context **ret, bulla_digest *ret_pin)
{
	static const uint8_t serial[] = {1};
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_BUF der = {0}, certificate = {0};
	struct bulla_cert_spec spec = {.common_name = "bulla-kms", .serial = BULLA_BYTES_ARRAY(serial),
		.not_after = INT64_C(4102444800), .pathlen = -1, .usage = BULLA_USAGE_SIGNATURE};

	bulla_buf_init(&der, 1024);
	bulla_buf_init(&certificate, 8192);
	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	assert_ok(bulla_sign_key_export(key, &der));
	spec.spki = bulla_sign_key_spki(key);
	assert_ok(bulla_cert_write(&spec, key, &certificate));
	bulla_sha256(spec.spki, ret_pin);
	assert_ok(bulla_tls_server_new(bulla_buf_view(&der), bulla_buf_view(&certificate), ret));
}

static void make_manifest(void)
{
	static uint8_t lists[1024];
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), w = bulla_wr_buf(&town.manifest_bytes);
	struct bulla_image image = {BULLA_BYTES_LITERAL("nitro"), {{BULLA_BYTES_LITERAL("pcr"), 0, {measured[0], 48}}}, 1};
	struct bulla_approver approver = {.spki = bulla_sign_key_spki(town.owner)};
	struct bulla_agent agent = {.handle = {{'a'}}, .binding = 1, .policy_form = 1, .bundle = {{7}},
		.wrapping_key = bulla_bytes_str(wrapping_key)};
	struct bulla_anchor anchor = {BULLA_BYTES_LITERAL("dev"), 1, 1, {NULL, 0}, {NULL, 0}};
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = 3, .need = 1, .approvers = &approver, .approver_count = 1,
		.agents = &agent, .agent_count = 1, .assurance = 1, .max_age_ms = 300000, .anchors = &anchor, .anchor_count = 1,
		.ledger_spki = bulla_sign_key_spki(town.owner), .broker_tls = town.pin,
		.broker_url = BULLA_BYTES_LITERAL("https://broker.example:8443/")};
	bulla_digest root;
	bulla_bytes images;

	bulla_images_write(&l, &image, 1);
	images = bulla_bytes_of(lists, l.n);
	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("dev")}, 1);
	m.tees = bulla_bytes_of(lists + images.n, l.n - images.n);
	agent.images = images;
	bulla_sha256(bulla_buf_view(&town.pki.root_der), &root);
	anchor.id = bulla_bytes_digest(&root);
	assert_ok(bulla_manifest_encode(&m, &w));
	assert_ok(bulla_manifest_decode(bulla_buf_view(&town.manifest_bytes), &town.manifest));
}

static int up(void **state)
{
	bulla_digest ignored;

	(void)state;
	assert_ok(bulla_secret_slab_init(256));
	snprintf(town.folder, sizeof(town.folder), "/tmp/bulla-join-XXXXXX");
	assert_non_null(mkdtemp(town.folder));
	assert_ok(bulla_dev_pki_open(town.folder, bulla_sys_clock(), bulla_random_os(), &town.pki));
	assert_ok(bulla_sign_key_new(BULLA_ES256, &town.owner));
	make_server(&town.tls, &town.pin);
	make_server(&town.wrong_tls, &ignored);
	bulla_buf_init(&town.manifest_bytes, 65536);
	bulla_buf_init(&town.birth, 65536);
	bulla_buf_init(&town.blob, 65536);
	bulla_buf_init(&town.birth_instance, 65536);
	town.life_ms = 3600000;
	make_manifest();
	return 0;
}

static int down(void **state)
{
	char path[128];

	(void)state;
	bulla_manifest_done(&town.manifest);
	bulla_buf_done(&town.manifest_bytes);
	bulla_buf_done(&town.birth);
	bulla_buf_done(&town.blob);
	bulla_buf_done(&town.birth_instance);
	bulla_sign_key_free(town.owner);
	bulla_tls_context_free(town.tls);
	bulla_tls_context_free(town.wrong_tls);
	bulla_dev_pki_done(&town.pki);
	snprintf(path, sizeof(path), "%s/root.key", town.folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/root.der", town.folder);
	unlink(path);
	rmdir(town.folder);
	bulla_secret_slab_done();
	return 0;
}

/* --- tests, in order: the first one bears the agent's key --- */

static uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];
static struct house house;

/* A record says of its policy only what was judged. */
static void a_frozen_policy_is_not_claimed(void **state)
{
	(void)state;
	town.manifest.agents[0].policy_form = BULLA_POLICY_FROZEN;
	open_house(&house);
	settle(&house, &house.failures, 1);
	assert_rc(BULLA_E_KEY_POLICY, house.why);
	assert_int_equal(town.birth.n, 0);
	close_house(&house);
	town.manifest.agents[0].policy_form = BULLA_POLICY_MANAGED;
	town.generated = 0;
}

static void the_first_instance_bears_the_key(void **state)
{
	(void)state;
	open_house(&house);
	settle(&house, &house.readies, 1);
	assert_int_equal(house.sessions, 1);
	assert_int_equal(town.generated, 1);
	assert_int_equal(town.decrypted, 0);
	assert_true(town.birth.n > 0);
	assert_bytes(bulla_buf_view(&house.join.agents[0].birth), bulla_buf_view(&town.birth));
	bulla_copy(public_key, house.join.agents[0].keys.public_key, 32);
	assert_bytes(bulla_peers_key(&house.peers, &house.base.agents[0].handle), bulla_bytes_of(public_key, 32));
	close_house(&house);
}

static void later_instances_get_the_born_key(void **state)
{
	(void)state;
	open_house(&house);
	settle(&house, &house.readies, 1);
	assert_int_equal(town.generated, 1);
	assert_int_equal(town.decrypted, 1);
	assert_memory_equal(house.join.agents[0].keys.public_key, public_key, 32);
	close_house(&house);
}

/* Two instances bear at once: the second comer drops its seed and takes the first one's. */
static void the_second_comer_drops_its_seed(void **state)
{
	(void)state;
	town.misdeeds.hide_birth = true;
	open_house(&house);
	settle(&house, &house.readies, 1);
	assert_int_equal(town.generated, 2);
	assert_memory_equal(house.join.agents[0].keys.public_key, public_key, 32);
	town.misdeeds.hide_birth = false;
	close_house(&house);
}

static void fails_with(struct misdeeds misdeeds, bulla_rc expected)
{
	town.misdeeds = misdeeds;
	open_house(&house);
	settle(&house, &house.failures, 1);
	assert_rc(expected, house.why);
	assert_int_equal(house.readies, 0);
	town.misdeeds = (struct misdeeds){0};
	settle(&house, &house.readies, 1); /* it tries again by itself, and then it works */
	close_house(&house);
}

static void a_lying_broker_is_not_believed(void **state)
{
	(void)state;
	fails_with((struct misdeeds){.other_seed = true}, BULLA_E_KEY_SUBSTITUTED);
	fails_with((struct misdeeds){.break_birth = true}, BULLA_E_KEY_SUBSTITUTED);
	fails_with((struct misdeeds){.other_key = true}, BULLA_E_KEY_SUBSTITUTED);
	fails_with((struct misdeeds){.epoch = 4}, BULLA_E_EPOCH_OLD);
}

static void refusals_are_said_and_retried(void **state)
{
	(void)state;
	fails_with((struct misdeeds){.refuse = BULLA_E_MEASUREMENT}, BULLA_E_MEASUREMENT);
	fails_with((struct misdeeds){.refuse = BULLA_E_REVOKED}, BULLA_E_REVOKED);
}

/* What is not as it should be in evidence that is shown to the broker for a session. */
struct shown {
	bool other_connection; /* it was made for another one, and the host relays it, challenge and all */
	bool other_key;        /* the host puts another receipt key beside it */
	bool other_challenge;  /* the binder is of an older challenge */
	bool other_nonce;      /* the document's own nonce field is another one */
	bool boot;             /* made for a key release at boot, not for a session */
	bool with_a_key;       /* it has a public key, to which a KMS would release */
};

static bulla_rc show(struct shown shown)
{
	static const uint8_t receipt_key[91] = {1}, other_key[91] = {2};
	const struct bulla_channel_ends ends = {.exporter = {{1}}, .server_key = {{2}}}, others = {.exporter = {{3}}, .server_key = {{2}}};
	struct bulla_session_ask ask = {.tee = BULLA_BYTES_LITERAL("nitro"), .receipt_key = BULLA_BYTES_ARRAY(receipt_key),
		.agent_count = 1, .manifest = town.manifest.digest, .nonce = {{4}}};
	struct bulla_instance instance = {.tee = ask.tee, .purpose = shown.boot ? BULLA_PURPOSE_BOOT : BULLA_PURPOSE_SESSION,
		.receipt_key = ask.receipt_key, .agents = bulla_bytes_of(house.base.handles, 8), .manifest = ask.manifest};
	uint8_t binder[BULLA_BINDER_BYTES], nonce[32] = {4};
	BULLA_AUTO_BUF document;

	bulla_buf_init(&document, 16384);
	bulla_copy(ask.agents, house.base.handles, 8);
	bulla_channel_digest(&ends, &ask.channel);
	bulla_channel_digest(shown.other_connection ? &others : &ends, &instance.channel);
	bulla_copy(instance.challenge, nonce, sizeof(nonce));
	instance.challenge[1] = shown.other_challenge;
	nonce[1] = shown.other_nonce;
	assert_ok(bulla_instance_binder(&instance, binder));
	assert_ok(bulla_nsm_attest(&house.base.source.nsm, BULLA_BYTES_ARRAY(binder), BULLA_BYTES_ARRAY(nonce),
		shown.with_a_key ? BULLA_BYTES_LITERAL("an RSA key") : bulla_bytes_of(NULL, 0), &document));
	if (shown.other_key)
		ask.receipt_key = BULLA_BYTES_ARRAY(other_key);
	return judge(&ask, bulla_buf_view(&document));
}

static void a_session_is_for_its_own_evidence(void **state)
{
	(void)state;
	open_house(&house);
	assert_ok(show((struct shown){0}));
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, show((struct shown){.other_connection = true}));
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, show((struct shown){.other_key = true}));
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, show((struct shown){.other_challenge = true}));
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, show((struct shown){.other_nonce = true}));
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, show((struct shown){.boot = true}));
	assert_attack(EVIDENCE_BINDER, BULLA_E_BINDER, show((struct shown){.with_a_key = true}));
	close_house(&house);
}

/* The host holds the answer back. What the enclave then takes for the broker's clock is behind it: OK, the attack works. */
static bulla_rc held_back(int64_t late_ms)
{
	uint64_t mono, told;
	bulla_rc rc;

	town.misdeeds = (struct misdeeds){.late_ms = late_ms};
	open_house(&house);
	while (house.sessions == 0 && house.failures == 0)
		turn(&house);
	mono = (uint64_t)house_mono(&house) / 1000;
	told = house.time_ms + (mono - house.asked_ms);
	rc = house.sessions == 0 ? house.why
		: told + 2 >= (uint64_t)(bulla_wall_ms(bulla_sys_clock()) + late_ms) ? BULLA_E_PERMIT_EXPIRED : BULLA_OK;
	town.misdeeds = (struct misdeeds){0};
	close_house(&house);
	return rc;
}

static void a_late_answer_sets_no_clock_back(void **state)
{
	(void)state;
	assert_attack(SESSION_DELAY, BULLA_E_CLOCK, held_back(BULLA_CHALLENGE_MS + 1000));
	assert_attack(SESSION_DELAY, BULLA_E_PERMIT_EXPIRED, held_back(BULLA_CHALLENGE_MS - 1000)); /* what ended has ended */
}

static void another_server_is_not_the_broker(void **state)
{
	(void)state;
	town.wrong_server = true;
	open_house(&house);
	settle(&house, &house.failures, 1);
	assert_rc(BULLA_E_SIGNATURE, house.why);
	assert_int_equal(house.sessions, 0);
	town.wrong_server = false;
	settle(&house, &house.readies, 1);
	close_house(&house);
}

static void sessions_are_renewed(void **state)
{
	uint32_t decrypted;

	(void)state;
	town.life_ms = 300;
	open_house(&house);
	settle(&house, &house.readies, 1);
	decrypted = town.decrypted;
	settle(&house, &house.readies, 4);
	assert_int_equal(house.sessions, 4);
	assert_int_equal(town.decrypted, decrypted); /* the key is asked for once per boot */
	assert_int_equal(house.failures, 0);
	town.life_ms = 3600000;
	close_house(&house);
}

/* The host says that evidence is wanted anew; saying it often changes nothing. */
static void a_renewal_on_demand(void **state)
{
	int64_t begin;

	(void)state;
	open_house(&house);
	settle(&house, &house.readies, 1);
	bulla_join_renew(&house.join);
	settle(&house, &house.readies, 2);
	begin = bulla_mono_us(bulla_sys_clock());
	while (house.readies < 3) {
		bulla_join_renew(&house.join);
		turn(&house);
		assert_true(bulla_mono_us(bulla_sys_clock()) < begin + 30000000);
	}
	assert_true(bulla_mono_us(bulla_sys_clock()) - begin > 700000);
	assert_int_equal(house.sessions, 3);
	close_house(&house);
}

static void a_host_may_vanish_at_any_time(void **state)
{
	(void)state;
	for (int turns = 2; turns < 24; turns += 6) {
		open_house(&house);
		for (int i = 0; i < turns; i++)
			turn(&house);
		disconnect(&house);
		connect(&house);
		settle(&house, &house.readies, 1);
		close_house(&house);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frozen_policy_is_not_claimed),
		cmocka_unit_test(the_first_instance_bears_the_key),
		cmocka_unit_test(later_instances_get_the_born_key),
		cmocka_unit_test(the_second_comer_drops_its_seed),
		cmocka_unit_test(a_lying_broker_is_not_believed),
		cmocka_unit_test(refusals_are_said_and_retried),
		cmocka_unit_test(a_session_is_for_its_own_evidence),
		cmocka_unit_test(a_late_answer_sets_no_clock_back),
		cmocka_unit_test(another_server_is_not_the_broker),
		cmocka_unit_test(sessions_are_renewed),
		cmocka_unit_test(a_renewal_on_demand),
		cmocka_unit_test(a_host_may_vanish_at_any_time),
	};

	return cmocka_run_group_tests_name("tee_join", tests, up, down);
}
