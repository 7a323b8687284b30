/* Appraisals per second on one core, cold and with verified certificates kept: Nitro-format documents of our own chain
 * (five P-384 certificates, as AWS's), and with BULLA_VECTORS set the genuine samples of the other TEEs. One JSON line.
 * "intermediates": a new leaf each time under a chain seen before; "seen": the same leaf, as an enclave that comes back. */
#include "attest/attest.h"
#include "attest/cache.h"
#include "attest/foreign.h"
#include "base/mem.h"
#include "cose/nitro_doc.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "crypto/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define NOW INT64_C(1795000000)
#define CHAIN 4
#define LEAVES 32

static struct {
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_anchor anchor;
	struct bulla_attest_anchors anchors;
	struct bulla_attest_cache cache;
	struct bulla_attest_result result;
	struct bulla_attest_time time;
	struct bulla_sign_key *keys[CHAIN];
	struct bulla_buf certs[CHAIN];
	struct bulla_buf documents[LEAVES];
	bulla_digest root;
	struct bulla_foreign foreign;
	struct bulla_buf files[8];
	unsigned file_count;
} world;

static void must(bulla_rc rc)
{
	if (rc != BULLA_OK) {
		fprintf(stderr, "attest_bench: %s\n", bulla_rc_id(rc));
		exit(1);
	}
}

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- a chain as AWS makes it: root, region, zone, instance, leaf ---- */
static void make_cert(unsigned serial, bulla_bytes spki, bulla_bytes issuer, bool ca, struct bulla_sign_key *key,
	struct bulla_buf *ret)
{
	uint8_t number = (uint8_t)(serial + 1);
	char name[32];

	(void)snprintf(name, sizeof(name), "bench %u", serial);
	bulla_buf_init(ret, 4096);
	const struct bulla_cert_spec spec = {.common_name = name, .serial = {&number, 1}, .spki = spki, .issuer = issuer,
		.not_before = NOW - 60, .not_after = NOW + 10800, .ca = ca, .pathlen = -1,
		.usage = ca ? BULLA_USAGE_CERT_SIGN : BULLA_USAGE_SIGNATURE};
	must(bulla_cert_write(&spec, key, ret));
}

static bulla_bytes subject_of(const struct bulla_buf *der)
{
	struct bulla_cert cert;

	must(bulla_cert_parse(bulla_buf_view(der), &cert));
	return cert.subject;
}

static void make_document(unsigned index)
{
	static uint8_t pcrs[BULLA_NITRO_PCRS][BULLA_NITRO_PCR_SIZE];
	BULLA_AUTO_SIGN_KEY key = NULL;
	bulla_bytes cabundle[CHAIN];
	BULLA_AUTO_BUF leaf;

	pcrs[0][0] = pcrs[1][0] = pcrs[2][0] = 1;
	must(bulla_sign_key_new(BULLA_ES384, &key));
	make_cert(100 + index, bulla_sign_key_spki(key), subject_of(&world.certs[CHAIN - 1]), false, world.keys[CHAIN - 1],
		&leaf);
	for (unsigned i = 0; i < CHAIN; i++)
		cabundle[i] = bulla_buf_view(&world.certs[i]);
	const struct bulla_nitro_doc doc = {.module_id = bulla_bytes_str("i-0123456789abcdef0-enc0123456789abcdef"),
		.timestamp_ms = (uint64_t)NOW * 1000, .pcrs = (const uint8_t(*)[BULLA_NITRO_PCR_SIZE])pcrs, .listed = 0xffff,
		.certificate = bulla_buf_view(&leaf), .cabundle = cabundle, .cabundle_count = CHAIN,
		.user_data = bulla_bytes_of(pcrs[0], 48), .nonce = bulla_bytes_of(pcrs[0], 32)};
	bulla_buf_init(&world.documents[index], 32768);
	must(bulla_nitro_doc_write(&doc, key, &world.documents[index]));
}

static void make_chain(void)
{
	for (unsigned i = 0; i < CHAIN; i++) {
		bulla_bytes issuer = i > 0 ? subject_of(&world.certs[i - 1]) : (bulla_bytes){NULL, 0};

		must(bulla_sign_key_new(BULLA_ES384, &world.keys[i]));
		make_cert(i, bulla_sign_key_spki(world.keys[i]), issuer, true, world.keys[i > 0 ? i - 1 : 0], &world.certs[i]);
	}
	bulla_sha256(bulla_buf_view(&world.certs[0]), &world.root);
	for (unsigned i = 0; i < LEAVES; i++)
		make_document(i);
}

static void set_world(void)
{
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;

	bulla_attest_policy_init(&world.policy);
	world.policy.tees = UINT32_MAX;
	world.policy.assurance = BULLA_ASSURANCE_DEV;
	world.policy.any_measurement = true;
	world.policy.allow_debug = true;
	world.policy.snp.vmpls = 15;
	world.binding = (struct bulla_attest_binding){any, any, any, any, any};
	world.anchor = (struct bulla_attest_anchor){BULLA_TEE_DEV, BULLA_ASSURANCE_DEV, BULLA_ANCHOR_CERTIFICATE,
		bulla_bytes_digest(&world.root), {NULL, 0}};
	world.anchors = (struct bulla_attest_anchors){&world.anchor, 1};
	world.time = (struct bulla_attest_time){NOW * 1000, BULLA_CLOCK_AT};
}

static void appraise(bulla_bytes evidence, const struct bulla_attest_collateral *collateral,
	struct bulla_attest_cache *cache)
{
	bulla_rc rc = bulla_attest_appraise(evidence, collateral, &world.anchors, &world.policy, &world.binding, world.time,
		cache, &world.result);

	if (rc != BULLA_OK)
		fprintf(stderr, "attest_bench: %s\n", bulla_factor_name(world.result.failed));
	must(rc);
}

typedef void op_fn(unsigned index);

static void nitro_cold(unsigned index)
{
	appraise(bulla_buf_view(&world.documents[index % LEAVES]), NULL, NULL);
}

/* The leaf's entry is dropped: only what stands above it is known. */
static void nitro_intermediates(unsigned index)
{
	static struct bulla_attest_cache above;

	if (index == 0) {
		bulla_attest_cache_init(&above);
		appraise(bulla_buf_view(&world.documents[0]), NULL, &above);
		for (unsigned i = 0; i < BULLA_ATTEST_CACHE_SIZE; i++) /* the leaf's is the last one that was put */
			if (above.entries[i].used == above.clock)
				above.entries[i].used = 0;
	}
	world.cache = above;
	appraise(bulla_buf_view(&world.documents[1 + index % (LEAVES - 1)]), NULL, &world.cache);
}

static void nitro_seen(unsigned index)
{
	if (index == 0)
		bulla_attest_cache_init(&world.cache);
	appraise(bulla_buf_view(&world.documents[0]), NULL, &world.cache);
}

static void measure(const char *name, unsigned count, op_fn *op)
{
	double best = 0;

	op(0);
	for (int round = 0; round < 3; round++) {
		double start = cpu_s();

		for (unsigned i = 1; i <= count; i++)
			op(i);
		double rate = count / (cpu_s() - start);
		best = rate > best ? rate : best;
	}
	printf(",\"%s\":%.0f", name, best);
}

/* What one signature costs: the floor under every figure. */
static struct bulla_verify_key *floor_key;
static uint8_t floor_signature[BULLA_ES384_SIZE];

static void floor_op(unsigned index)
{
	(void)index;
	must(bulla_verify(floor_key, BULLA_ES384, bulla_buf_view(&world.documents[0]), BULLA_BYTES_ARRAY(floor_signature)));
}

static void make_floor(void)
{
	must(bulla_sign(world.keys[0], bulla_buf_view(&world.documents[0]), floor_signature));
	must(bulla_verify_key_spki(bulla_sign_key_spki(world.keys[0]), &floor_key));
}

/* ---- genuine samples, when they are there ---- */
static bool load(const char *name, struct bulla_buf *ret)
{
	const char *root = getenv("BULLA_VECTORS");
	char path[1024];
	uint8_t chunk[4096];
	size_t n;

	if (root == NULL || snprintf(path, sizeof(path), "%s/%s", root, name) >= (int)sizeof(path))
		return false;
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return false;
	bulla_buf_init(ret, 1 << 20);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		must(bulla_buf_append(ret, bulla_bytes_of(chunk, n)));
	fclose(file);
	return true;
}

static struct bulla_buf evidence;

static void sample_cold(unsigned index)
{
	(void)index;
	appraise(bulla_buf_view(&evidence), &world.foreign.collateral, NULL);
}

static void sample_seen(unsigned index)
{
	if (index == 0)
		bulla_attest_cache_init(&world.cache);
	appraise(bulla_buf_view(&evidence), &world.foreign.collateral, &world.cache);
}

/* Nothing is known: collateral is read, its signatures are verified, then the evidence. What peers do at each call. */
static void sample_anew(unsigned index)
{
	(void)index;
	bulla_foreign_done(&world.foreign);
	must(bulla_foreign_init(&world.foreign));
	for (unsigned i = 0; i < world.file_count; i++)
		must(bulla_foreign_collateral(&world.foreign, bulla_buf_view(&world.files[i])));
	must(bulla_foreign_ready(&world.foreign, &world.anchors));
	appraise(bulla_buf_view(&evidence), &world.foreign.collateral, NULL);
}

static void sample(const char *name, const char *file, const char *const *collateral, unsigned count, int64_t at)
{
	char label[64];

	if (!load(file, &evidence))
		return;
	world.anchors = bulla_attest_vendor_anchors();
	world.time.now_ms = at * 1000;
	must(bulla_foreign_init(&world.foreign));
	for (unsigned i = 0; i < count; i++) {
		if (!load(collateral[i], &world.files[i]))
			return;
		must(bulla_foreign_collateral(&world.foreign, bulla_buf_view(&world.files[i])));
	}
	world.file_count = count;
	must(bulla_foreign_ready(&world.foreign, &world.anchors));
	world.policy.dcap.without_collateral = world.foreign.collateral.dcap == NULL;
	(void)snprintf(label, sizeof(label), "%s_cold", name);
	measure(label, 500, sample_cold);
	(void)snprintf(label, sizeof(label), "%s_seen", name);
	measure(label, 500, sample_seen);
	(void)snprintf(label, sizeof(label), "%s_anew", name);
	measure(label, 500, sample_anew);
	bulla_foreign_done(&world.foreign);
	bulla_buf_done(&evidence);
}

int main(void)
{
	static const char *const snp[] = {"roots/amd-genoa-ask-ark.pem", "sev-snp/genoa-v3-report.vcek.der"};
	static const char *const tdx[] = {"tdx/v4-tdx10-uptodate.collateral.json"};
	static const char *const azure[] = {"roots/amd-milan-ask-ark.pem"};
	struct rusage usage;

	set_world();
	make_chain();
	set_world();
	printf("{\"bench\":\"attest\",\"unit\":\"appraisals per second and core\"");
	make_floor();
	measure("p384_verify", 500, floor_op);
	measure("nitro_cold", 300, nitro_cold);
	measure("nitro_intermediates", 500, nitro_intermediates);
	measure("nitro_seen", 1000, nitro_seen);
	uint64_t before = bulla_alloc_count();
	nitro_seen(1);
	uint64_t allocations = bulla_alloc_count() - before;
	sample("snp", "sev-snp/genoa-v3-report.bin", snp, 2, 1770000000);
	sample("tdx", "tdx/v4-tdx10-uptodate.bin", tdx, 1, 1751328000);
	sample("sgx_no_collateral", "sgx/v3-debug-enclave.bin", NULL, 0, 1770000000);
	sample("azure_snp", "azure-vtpm/snp-evidence-v2.json", azure, 1, 1770000000);
	getrusage(RUSAGE_SELF, &usage);
	printf(",\"allocations_per_appraisal\":%llu,\"rss_kib\":%ld}\n", (unsigned long long)allocations, usage.ru_maxrss);
	return 0;
}
