#include "lab.h"

#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "io/sys.h"
#include "nsm.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct lab lab;

static const uint8_t measured[3][BULLA_NITRO_PCR_SIZE] = {{1}, {2}, {3}};
static const uint8_t measured_strange[3][BULLA_NITRO_PCR_SIZE] = {{9}, {2}, {3}};
static char folders[2][64];

static void make_key(struct lab_key *ret)
{
	static uint8_t serial = 1;
	BULLA_AUTO_SIGN_KEY key = NULL;
	struct bulla_cert_spec spec = {.common_name = "a side", .serial = bulla_bytes_of(&serial, 1),
		.not_after = INT64_C(4102444800), .pathlen = -1, .usage = BULLA_USAGE_SIGNATURE};

	bulla_buf_init(&ret->der, 1024);
	bulla_buf_init(&ret->certificate, 8192);
	assert_ok(bulla_sign_key_new(BULLA_ES256, &key));
	assert_ok(bulla_sign_key_export(key, &ret->der));
	spec.spki = bulla_sign_key_spki(key);
	assert_ok(bulla_cert_write(&spec, key, &ret->certificate));
	bulla_sha256(spec.spki, &ret->pin);
}

void lab_evidence(struct lab_enclave *enclave, const bulla_digest *nonce, const uint8_t binder[BULLA_BINDER_BYTES],
	struct bulla_buf *ret)
{
	nsm_module = &enclave->module;
	assert_ok(bulla_nsm_attest(&nsm_direct, bulla_bytes_of(binder, BULLA_BINDER_BYTES), bulla_bytes_digest(nonce),
		bulla_bytes_of(NULL, 0), ret));
}

static void make_enclave(const struct bulla_dev_pki *pki, const uint8_t pcrs[3][BULLA_NITRO_PCR_SIZE],
	struct lab_enclave *ret)
{
	uint8_t value[BULLA_NSM_PCR_SIZE];

	assert_ok(bulla_dev_nsm_init(&ret->module, pki, bulla_sys_clock(), bulla_random_os(), pcrs));
	ret->manifest = (bulla_digest){{7}};
	nsm_module = &ret->module;
	assert_ok(bulla_nsm_extend_pcr(&nsm_direct, 16, bulla_bytes_digest(&ret->manifest), value));
	assert_ok(bulla_nsm_lock_pcr(&nsm_direct, 16));
}

static void make_policy(void)
{
	bulla_sha256(bulla_buf_view(&lab.pki.root_der), &lab.anchor_id);
	lab.anchor = (struct bulla_attest_anchor){.tee = BULLA_TEE_DEV, .assurance = BULLA_ASSURANCE_DEV,
		.how = BULLA_ANCHOR_CERTIFICATE, .id = bulla_bytes_digest(&lab.anchor_id)};
	lab.values[0] = (struct bulla_attest_value){
		.claim = BULLA_CLAIM_PCR, .index = 0, .value = BULLA_BYTES_ARRAY(measured[0])};
	lab.image = (struct bulla_attest_reference){lab.values, 1};
	bulla_attest_policy_init(&lab.policy);
	lab.policy.tees = BULLA_TEE_BIT(BULLA_TEE_DEV);
	lab.policy.assurance = BULLA_ASSURANCE_DEV;
	lab.policy.references = &lab.image;
	lab.policy.reference_count = 1;
}

int lab_open(void **state)
{
	struct bulla_dev_pki *pkis[2] = {&lab.pki, &lab.other_pki};

	(void)state;
	if (bulla_secret_slab_init(64) != BULLA_OK)
		return 1;
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(folders[i], sizeof(folders[i]), "/tmp/bulla-channel-XXXXXX");
		assert_non_null(mkdtemp(folders[i]));
		assert_ok(bulla_dev_pki_open(folders[i], bulla_sys_clock(), bulla_random_os(), pkis[i]));
	}
	lab.now_ms = bulla_wall_ms(bulla_sys_clock());
	make_key(&lab.server_key);
	make_key(&lab.client_key);
	make_key(&lab.other_key);
	make_enclave(&lab.pki, measured, &lab.a);
	make_enclave(&lab.pki, measured, &lab.b);
	make_enclave(&lab.pki, measured_strange, &lab.strange);
	make_enclave(&lab.other_pki, measured, &lab.stranger);
	make_policy();
	return 0;
}

static void remove_folder(const char *folder)
{
	static const char *const names[] = {"root.key", "root.der"};
	char path[128];

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

int lab_close(void **state)
{
	struct lab_key *keys[] = {&lab.server_key, &lab.client_key, &lab.other_key};
	struct lab_enclave *enclaves[] = {&lab.a, &lab.b, &lab.strange, &lab.stranger};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		bulla_buf_done(&keys[i]->der);
		bulla_buf_done(&keys[i]->certificate);
	}
	for (size_t i = 0; i < 4; i++)
		bulla_dev_nsm_done(&enclaves[i]->module);
	bulla_dev_pki_done(&lab.pki);
	bulla_dev_pki_done(&lab.other_pki);
	remove_folder(folders[0]);
	remove_folder(folders[1]);
	return 0;
}

/* ---- TLS ---- */
static void open_side(struct lab_side *side, struct bulla_tls_context *context, struct lab_enclave *enclave)
{
	*side = (struct lab_side){.enclave = enclave};
	bulla_buf_init(&side->data, 1 << 20);
	bulla_buf_init(&side->heard, 1 << 22);
	assert_ok(bulla_tls_new(context, BULLA_TLS_FRAMES, &side->tls));
}

static bulla_rc carry(struct lab_side *from, struct lab_side *to, bool *moved)
{
	BULLA_AUTO_BUF wire;

	bulla_buf_init(&wire, 1 << 22);
	if (from->channel.out.n > 0) {
		BULLA_TRY(bulla_tls_write(from->tls, bulla_buf_view(&from->channel.out)));
		bulla_buf_clear(&from->channel.out);
	}
	BULLA_TRY(bulla_tls_take(from->tls, &wire));
	if (wire.n == 0)
		return BULLA_OK;
	*moved = true;
	return bulla_tls_feed(to->tls, bulla_buf_view(&wire), &to->heard);
}

void lab_tls(const struct lab_key *server_key, const struct lab_key *client_key, struct lab_pair *ret)
{
	struct bulla_tls_context **contexts = ret->contexts;
	bool moved = true;

	if (client_key == NULL) {
		assert_ok(bulla_tls_server_new(bulla_buf_view(&server_key->der), bulla_buf_view(&server_key->certificate), &contexts[0]));
		assert_ok(bulla_tls_client_new(&server_key->pin, &contexts[1]));
	} else {
		assert_ok(bulla_tls_mutual_new(true, bulla_buf_view(&server_key->der), bulla_buf_view(&server_key->certificate),
			&contexts[0]));
		assert_ok(bulla_tls_mutual_new(false, bulla_buf_view(&client_key->der), bulla_buf_view(&client_key->certificate),
			&contexts[1]));
	}
	open_side(&ret->server, contexts[0], &lab.b);
	open_side(&ret->client, contexts[1], &lab.a);
	while (moved) {
		moved = false;
		assert_ok(carry(&ret->client, &ret->server, &moved));
		assert_ok(carry(&ret->server, &ret->client, &moved));
	}
	assert_true(bulla_tls_ready(ret->client.tls) && bulla_tls_ready(ret->server.tls));
}

/* ---- channels ---- */
struct bulla_attested_options lab_options(uint8_t role, enum lab_mode mode)
{
	bool client = role == BULLA_CHANNEL_CLIENT;
	unsigned mine = client ? LAB_CLIENT : LAB_SERVER, theirs = client ? LAB_SERVER : LAB_CLIENT;

	return (struct bulla_attested_options){.role = role, .random = bulla_random_os(),
		.shows = ((unsigned)mode & mine) != 0, .demands = ((unsigned)mode & theirs) != 0,
		.tee = BULLA_BYTES_LITERAL("nitro"), .key = client ? lab.client_key.pin : (bulla_digest){{0}},
		.manifest = lab.a.manifest, .peer_manifest = &lab.a.manifest};
}

static void start_side(struct lab_side *side, uint8_t role, enum lab_mode mode)
{
	struct bulla_attested_options options = lab_options(role, mode);
	struct bulla_channel_ends ends;

	assert_ok(bulla_channel_ends_of(side->tls, &ends));
	assert_ok(bulla_attested_init(&side->channel, &options, &ends, lab.now_ms));
}

void lab_start(struct lab_pair *pair, enum lab_mode mode)
{
	start_side(&pair->client, BULLA_CHANNEL_CLIENT, mode);
	start_side(&pair->server, BULLA_CHANNEL_SERVER, mode);
}

static void free_side(struct lab_side *side)
{
	bulla_tls_free(side->tls);
	bulla_attested_done(&side->channel);
	bulla_buf_done(&side->data);
	bulla_buf_done(&side->heard);
}

void lab_free(struct lab_pair *pair)
{
	free_side(&pair->client);
	free_side(&pair->server);
	bulla_tls_context_free(pair->contexts[0]);
	bulla_tls_context_free(pair->contexts[1]);
}

bulla_rc lab_judge(struct lab_side *side)
{
	const struct bulla_attest_collateral none = {.certificate_count = 0};
	const struct bulla_attest_anchors anchors = {&lab.anchor, 1};
	static struct bulla_attest_result result;
	struct bulla_channel_ask ask;
	bulla_rc rc;

	BULLA_TRY(bulla_attested_ask(&side->channel, &ask));
	rc = bulla_channel_appraise(&ask, &none, &anchors, &lab.policy, lab.now_ms, NULL, &result);
	return bulla_attested_verdict(&side->channel, rc, LAB_LIFE_MS, lab.now_ms, &side->data);
}

static bulla_rc show(struct lab_side *side)
{
	BULLA_AUTO_BUF evidence;
	uint8_t binder[BULLA_BINDER_BYTES];
	bulla_digest nonce;

	bulla_buf_init(&evidence, BULLA_MAX_EVIDENCE);
	BULLA_TRY(bulla_attested_challenge(&side->channel, &nonce, binder));
	lab_evidence(side->enclave, &nonce, binder, &evidence);
	return bulla_attested_show(&side->channel, bulla_buf_view(&evidence), NULL, 0);
}

bulla_rc lab_do(struct lab_side *side)
{
	switch (bulla_attested_todo(&side->channel)) {
	case BULLA_ATTESTED_SHOW:
		return show(side);
	case BULLA_ATTESTED_JUDGE:
		return lab_judge(side);
	case BULLA_ATTESTED_WAIT:
	case BULLA_ATTESTED_OPEN:
	case BULLA_ATTESTED_ENDED:
		break;
	}
	return BULLA_OK;
}

static bulla_rc listen(struct lab_side *side)
{
	bulla_rc rc = BULLA_OK;

	if (side->heard.n > 0 && !side->channel.ended)
		rc = bulla_attested_feed(&side->channel, bulla_buf_view(&side->heard), lab.now_ms, &side->data);
	bulla_buf_clear(&side->heard);
	BULLA_TRY(rc);
	return lab_do(side);
}

bulla_rc lab_run(struct lab_pair *pair)
{
	bulla_rc first = BULLA_OK;
	bool moved = true;

	while (moved) {
		bulla_rc a, b;

		moved = false;
		a = carry(&pair->client, &pair->server, &moved);
		b = carry(&pair->server, &pair->client, &moved);
		assert_ok(a);
		assert_ok(b);
		a = listen(&pair->server);
		b = listen(&pair->client);
		moved = moved || pair->client.channel.out.n > 0 || pair->server.channel.out.n > 0;
		first = first != BULLA_OK ? first : a != BULLA_OK ? a : b;
	}
	return first;
}
