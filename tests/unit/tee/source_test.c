/* A whole join up to the session over each source of evidence: a fake tree whose kernel answers with quotes of the tests' own
 * DCAP world, the enclave's driver, the session's messages, and the broker's judgement under a manifest. */
#define _GNU_SOURCE
#include "base/buf.h"
#include "channel/session.h"
#include "crypto/hash.h"
#include "dcap_lab.h"
#include "judge/judge.h"
#include "manifest/pcr.h"
#include "tee/source.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY "/sys/kernel/config/tsm/report/bulla"
#define RTMR3 "/sys/class/misc/tdx_guest/measurements/rtmr3:sha384"
#define NOW_MS (LAB_NOW * 1000)

static struct dcap_lab lab;
static char root[64];
static unsigned generation;
static unsigned busy;      /* so many writes answer EBUSY first */
static unsigned rivals;    /* so many times another writer comes between */
static uint8_t rtmr3[48];

/* ---- the tree ---- */
static void put(const char *path, bulla_bytes bytes)
{
	char name[512], folder[512];

	(void)snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *p = name + strlen(root); (p = strchr(p + 1, '/')) != NULL;) {
		(void)snprintf(folder, sizeof(folder), "%.*s", (int)(p - name), name);
		(void)mkdir(folder, 0700);
	}
	FILE *file = fopen(name, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.p, 1, bytes.n, file), bytes.n);
	fclose(file);
}

static void put_generation(void)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u\n", generation);

	put(ENTRY "/generation", bulla_bytes_of(text, (size_t)n));
}

static void make_quote(bool tdx, const uint8_t report_data[64])
{
	lab.tdx = tdx;
	lab.version = tdx ? 4 : 3;
	bulla_copy(lab.body + (tdx ? 520 : 320), report_data, 64);
	if (tdx)
		bulla_copy(lab.body + 472, rtmr3, 48);
	bulla_rc ignored = dcap_lab_judge(&lab); /* the lab expects another binding */
	(void)ignored;
}

/* ---- the kernel: what it does when a file is written ---- */
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

static bool ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && strcmp(text + a - b, end) == 0;
}

static void on_inblob(const void *p)
{
	generation++;
	if (rivals > 0) {
		rivals--;
		generation++;
	}
	put_generation();
	make_quote(true, p);
	put(ENTRY "/outblob", bulla_bytes_of(lab.quote, lab.quote_size));
}

static void on_rtmr3(const void *p)
{
	uint8_t both[96];

	bulla_copy(both, rtmr3, 48);
	bulla_copy(both + 48, p, 48);
	bulla_sha384(BULLA_BYTES_ARRAY(both), rtmr3);
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	char link[64], name[512] = "";
	ssize_t put_bytes;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	if (ends_with(name, "/inblob") && busy > 0) {
		busy--;
		errno = EBUSY;
		return -1;
	}
	put_bytes = __real_write(fd, p, n);
	if (ends_with(name, ENTRY "/inblob") && n == 64)
		on_inblob(p);
	else if (ends_with(name, "/rtmr3:sha384") && n == 48)
		on_rtmr3(p);
	else if (ends_with(name, "/user_report_data") && n == 64) {
		make_quote(false, p);
		put("/dev/attestation/quote", bulla_bytes_of(lab.quote, lab.quote_size));
	}
	return put_bytes;
}

/* ---- the manifest ---- */
static uint8_t lists[256], images[1024];
static struct bulla_agent agent;
static struct bulla_anchor anchor;
static struct bulla_manifest manifest;
static const uint8_t handle[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void make_manifest(const char *word, bulla_bytes measurement)
{
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), i = bulla_wr_fixed(images, sizeof(images));
	const bulla_bytes tee = bulla_bytes_str(word);
	struct bulla_image image = {.tee = tee, .count = 1};

	image.values[0] = (struct bulla_image_value){BULLA_BYTES_LITERAL("measurement"), 0, measurement};
	bulla_list_write_text(&l, &tee, 1);
	bulla_images_write(&i, &image, 1);
	agent = (struct bulla_agent){.bundle = {{9}}, .images = bulla_bytes_of(images, i.n)};
	bulla_copy(agent.handle.b, handle, sizeof(handle));
	anchor = (struct bulla_anchor){.tee = BULLA_BYTES_LITERAL("tdx"), .assurance = 3, .how = BULLA_ANCHOR_KEY,
		.id = bulla_bytes_digest(&lab.anchor_id)};
	manifest = (struct bulla_manifest){.digest = {{4}}, .epoch = 1, .assurance = 3, .max_age_ms = 300000,
		.tees = bulla_bytes_of(lists, l.n), .agents = &agent, .agent_count = 1, .anchors = &anchor, .anchor_count = 1};
}

/* ---- a join, up to what the broker says ---- */
static bulla_rc fill(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	memset(ret, 0x5a, size);
	return BULLA_OK;
}

static bulla_rc join(const struct bulla_source *source, bool with_collateral)
{
	static const struct bulla_channel_ends ends = {.exporter = {{1}}, .server_key = {{2}}};
	static const struct bulla_random random = {.fill = fill};
	static const uint8_t receipt_key[91] = {3};
	static uint8_t memory[200000];
	const struct bulla_judge_time time = {.now_ms = NOW_MS, .online = true};
	struct bulla_session_client client;
	struct bulla_session_server server;
	struct bulla_session_ask ask;
	struct bulla_evidence evidence;
	struct bulla_buf collateral;
	uint8_t binder[BULLA_BINDER_BYTES];
	bulla_digest nonce;
	bulla_bytes body, files = {NULL, 0};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_session_server_init(&server, &ends);
	assert_ok(bulla_session_client_init(&client, &ends, bulla_source_word(source), BULLA_BYTES_ARRAY(receipt_key),
		BULLA_BYTES_ARRAY(handle), &manifest.digest));
	assert_ok(bulla_session_client_ask(&client, &w));
	assert_ok(bulla_session_server_challenge(&server, &random, NOW_MS, &w));
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_session_client_challenge(&client, body, &nonce, binder));
	bulla_evidence_init(&evidence);
	bulla_rc rc = bulla_source_make(source, binder, bulla_bytes_digest(&nonce), bulla_bytes_of(NULL, 0), &evidence);
	if (rc != BULLA_OK) {
		bulla_evidence_done(&evidence);
		return rc;
	}
	bulla_buf_init(&collateral, 1);
	if (with_collateral)
		files = dcap_lab_bundle(&lab, &collateral);
	w = bulla_wr_fixed(memory, sizeof(memory));
	assert_ok(bulla_session_client_attest(&client, bulla_buf_view(&evidence.report), files, &w));
	assert_ok(bulla_wr_end(&w, &body));
	assert_ok(bulla_session_server_attest(&server, body, NOW_MS, &ask));
	struct bulla_instance instance = {.tee = ask.tee, .purpose = BULLA_PURPOSE_SESSION, .channel = ask.channel,
		.receipt_key = ask.receipt_key, .agents = bulla_bytes_of(ask.agents, 8), .manifest = ask.manifest,
		.evidence = ask.evidence, .collateral = ask.collateral};
	bulla_copy(instance.challenge, ask.nonce.b, sizeof(instance.challenge));
	rc = bulla_judge_instance(&manifest, &instance, time, NULL, NULL);
	bulla_evidence_done(&evidence);
	bulla_buf_done(&collateral);
	return rc;
}

static void open_tree(void)
{
	(void)snprintf(root, sizeof(root), "/tmp/bulla-source-XXXXXX");
	assert_non_null(mkdtemp(root));
	generation = 3;
	busy = rivals = 0;
	memset(rtmr3, 0, sizeof(rtmr3));
	dcap_lab_reset(&lab);
}

static void close_tree(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	assert_int_equal(system(command), 0);
}

static void open_tsm(struct bulla_source *ret)
{
	open_tree();
	put(ENTRY "/provider", BULLA_BYTES_LITERAL("tdx_guest\n"));
	put(ENTRY "/inblob", BULLA_BYTES_LITERAL(""));
	put(ENTRY "/outblob", BULLA_BYTES_LITERAL(""));
	put_generation();
	put(RTMR3, BULLA_BYTES_LITERAL(""));
	assert_ok(bulla_source_open(&bulla_source_tsm, root, NULL, ret));
	assert_int_equal(ret->tee, BULLA_TEE_TDX);
	lab.tdx = true;
	make_manifest("tdx", bulla_bytes_of(lab.body + 136, 48));
	assert_ok(ret->ops->measure(ret, &manifest.digest, bulla_bytes_digest(&agent.bundle)));
}

static void joins_over_configfs_tsm(void **state)
{
	struct bulla_source source;
	bulla_digest other = {{0}};

	(void)state;
	open_tsm(&source);
	assert_ok(join(&source, true));
	/* the kernel is busy, and others use the entry: tried again */
	busy = 3;
	rivals = 2;
	assert_ok(join(&source, true));
	assert_int_equal(busy + rivals, 0);
	busy = 1000;
	assert_rc(BULLA_E_BUSY, join(&source, true));
	busy = 0;
	/* without collateral nobody can say how the platform stands */
	assert_rc(BULLA_E_EVIDENCE_CHAIN, join(&source, false));
	anchor.id = bulla_bytes_digest(&other);
	assert_rc(BULLA_E_EVIDENCE_CHAIN, join(&source, true));
	anchor.id = bulla_bytes_digest(&lab.anchor_id);
	/* another manifest was measured, another image runs */
	rtmr3[0] ^= 1;
	assert_rc(BULLA_E_MEASUREMENT, join(&source, true));
	rtmr3[0] ^= 1;
	lab.body[136] ^= 1;
	assert_rc(BULLA_E_MEASUREMENT, join(&source, true));
	close_tree();
}

static void become_sgx(void)
{
	lab.tdx = false;
	bulla_zero(lab.body, sizeof(lab.body));
	lab.body[48] = 0x05; /* initialised, 64 bits */
	lab.body[64] = 0xbb; /* MRENCLAVE */
	lab.body[258] = 3;   /* ISVSVN */
	dcap_lab_replace(lab.tcb_info, sizeof(lab.tcb_info), "\"TDX\"", "\"SGX\"");
	dcap_lab_replace(lab.qe_identity, sizeof(lab.qe_identity), "TD_QE", "QE");
}

static void joins_over_gramine_s_files(void **state)
{
	struct bulla_source source;
	bulla_digest other = {{0}};

	(void)state;
	open_tree();
	put("/dev/attestation/attestation_type", BULLA_BYTES_LITERAL("dcap\n"));
	put("/dev/attestation/user_report_data", BULLA_BYTES_LITERAL(""));
	put("/dev/attestation/quote", BULLA_BYTES_LITERAL(""));
	assert_ok(bulla_source_open(&bulla_source_gramine, root, NULL, &source));
	become_sgx();
	make_manifest("sgx", bulla_bytes_of(lab.body + 64, 32));
	assert_null(source.ops->measure); /* the binder says it all */
	assert_ok(join(&source, true));
	anchor.id = bulla_bytes_digest(&other);
	assert_rc(BULLA_E_EVIDENCE_CHAIN, join(&source, true));
	anchor.id = bulla_bytes_digest(&lab.anchor_id);
	lab.body[64] ^= 1;
	assert_rc(BULLA_E_MEASUREMENT, join(&source, true));
	close_tree();
}

/* A KMS answers to a key in the evidence: these have no place for one. */
static void no_place_for_a_key(void **state)
{
	struct bulla_source source;
	struct bulla_evidence evidence;
	uint8_t binder[BULLA_BINDER_BYTES] = {1};

	(void)state;
	open_tsm(&source);
	bulla_evidence_init(&evidence);
	assert_rc(BULLA_E_UNSUPPORTED, bulla_source_make(&source, binder, bulla_bytes_of(NULL, 0), BULLA_BYTES_LITERAL("key"),
		&evidence));
	bulla_evidence_done(&evidence);
	close_tree();
}

static int set_up(void **state)
{
	(void)state;
	dcap_lab_open(&lab);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dcap_lab_close(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(joins_over_configfs_tsm),
		cmocka_unit_test(joins_over_gramine_s_files), cmocka_unit_test(no_place_for_a_key)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
