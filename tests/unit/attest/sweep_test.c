/* Nightly: every bit of every byte of whole evidence, genuine samples and the committed accepted cases, flipped one by one; every
 * length; one byte more. Each is refused with a factor, a text and a place. What was verified of a chain is kept between flips, so
 * that a flip costs one signature. BULLA_SWEEP names one sample, or part of its name; BULLA_SWEEP_STEP every n-th bit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/cache.h"
#include "attest/foreign.h"
#include "attest/psa.h"
#include "attest/textual.h"
#include "base/mem.h"
#include "samples.h"
#include "test.h"

#define SAMPLE_MAX 65536

struct sweep {
	const char *file;
	const char *collateral[3];
	int64_t at;
	const char *key; /* PSA, CCA: SubjectPublicKeyInfo, hexadecimal */
};

#define TFM_IAK \
	"3059301306072a8648ce3d020106082a8648ce3d03010703420004" \
	"79eba90e8bf450a6751576ad4599b07adf938da3bb0bd17d0036ed49a2d0fc3fbfcdfa8956b568bfdb8673e648d8b58d929955b14a26c3080f34117d971d6864"
#define CCA_CPAK \
	"3076301006072a8648ce3d020106052b8104002203620004" \
	"212867c52e2b9508b0a420a90560f394d2dfaa21bdd7514ff1a901afe7e1f78bb11d4e66f8a8a38afa76af6a31c4de8c" \
	"84ce2dafc9964258b53fad718774f45620d111b176e8318e1187db0235a318d37ba597fee80e0e4c762a12bcb3ea6ed4"

static const struct sweep sweeps[] = {
	{"nitro/doc-2022-10-13-definite.cbor", {NULL}, 0, NULL},
	{"nitro/doc-2024-11-30-pubkey65.cbor", {NULL}, 0, NULL},
	{"nitro/doc-2025-12-25-indefinite.cbor", {NULL}, 0, NULL},
	{"nitro/doc-2025-12-25-indefinite-debug.cbor", {NULL}, 0, NULL},
	{"sev-snp/milan-v2-report.bin", {"roots/amd-milan-ask-ark.pem", "sev-snp/milan-v2-report.vcek.der"}, 1770000000, NULL},
	{"sev-snp/milan-v2-idblock.bin", {"roots/amd-milan-ask-ark.pem", "sev-snp/milan-v2-idblock.vcek.der"}, 1770000000, NULL},
	{"sev-snp/milan-v3-vlek-vmpl1.bin", {"roots/amd-milan-asvk-ark.pem", "sev-snp/milan-v3-vlek-vmpl1.vlek.der"}, 1750000000, NULL},
	{"sev-snp/genoa-v3-report.bin", {"roots/amd-genoa-ask-ark.pem", "sev-snp/genoa-v3-report.vcek.der"}, 1770000000, NULL},
	{"sev-snp/genoa-v5-mitvector.bin", {"roots/amd-genoa-ask-ark.pem", "sev-snp/genoa-v5-mitvector.vcek.der"}, 1770000000, NULL},
	{"sev-snp/turin-v5-report.bin", {"roots/amd-turin-ask-ark.pem", "sev-snp/turin-v5-report.vcek.der"}, 1770000000, NULL},
	{"tdx/v4-tdx10-uptodate.bin", {"tdx/v4-tdx10-uptodate.collateral.json"}, 1751328000, NULL},
	{"tdx/v4-azure-no-septve.bin", {NULL}, 1770000000, NULL},
	{"tdx/v4-gcp-with-ccel.bin", {"tdx/ccel.bin"}, 1770000000, NULL},
	{"tdx/v5-td-preserving.bin", {NULL}, 1770000000, NULL},
	{"tdx/v5-tdx15-svn2.bin", {NULL}, 1770000000, NULL},
	{"sgx/v3-chain-order-leaf-root-ca.bin", {NULL}, 1770000000, NULL},
	{"sgx/v3-confignswhardening.bin", {"sgx/v3-confignswhardening.collateral.json"}, 1751328000, NULL},
	{"psa/tfm-psa2-sign1.cbor", {NULL}, 1770000000, TFM_IAK},
	{"psa/tfm-psaiot1-sign1.cbor", {NULL}, 1770000000, TFM_IAK},
	{"cca/token-01.cbor", {NULL}, 1770000000, CCA_CPAK},
	{"cca/token-ffm-00.cbor", {NULL}, 1770000000, CCA_CPAK},
	{"azure-vtpm/snp-evidence-v2.json", {"roots/amd-milan-ask-ark.pem"}, 1770000000, NULL},
};

struct job {
	const struct sweep *sweep;
	struct bulla_buf file, extra[3];
	struct bulla_foreign foreign;
	struct bulla_attest_anchor device;
	struct bulla_attest_anchors anchors;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_time time;
	struct bulla_attest_cache *cache;
	struct bulla_attest_result result;
	uint8_t id[33], key[256], bytes[SAMPLE_MAX + 1];
};

static struct job job;

static bulla_rc judge(size_t size)
{
	return bulla_attest_appraise(bulla_bytes_of(job.bytes, size), &job.foreign.collateral, &job.anchors, &job.policy,
		&job.binding, job.time, job.cache, &job.result);
}

static void lax(struct bulla_attest_policy *policy)
{
	sample_policy(policy);
	policy->assurance = BULLA_ASSURANCE_DEV;
	policy->allow_debug = true;
	policy->max_age_ms = INT64_MAX;
	policy->skew_ms = INT64_MAX / 4;
	policy->snp.vmpls = 15;
	policy->snp.any_csp = true;
	policy->dcap.without_collateral = job.foreign.collateral.dcap == NULL;
	policy->dcap.any_advisory = policy->dcap.allow_no_sept_ve_disable = policy->dcap.any_service_td = true;
	policy->dcap.statuses = BULLA_TCB_BIT(BULLA_TCB_REVOKED) - 1;
	policy->psa.allow_legacy_profile = policy->psa.allow_test_keys = true;
}

static void open_device(bulla_bytes token)
{
	enum bulla_tee tee = bulla_attest_guess(token);
	bulla_bytes id;
	size_t size;

	assert_ok(tee == BULLA_TEE_PSA ? bulla_psa_instance(token, &id) : bulla_cca_instance(token, &id));
	bulla_copy(job.id, id.p, id.n);
	assert_ok(bulla_foreign_hex(bulla_bytes_str(job.sweep->key), sizeof(job.key), job.key, &size));
	job.device = (struct bulla_attest_anchor){(uint8_t)tee, BULLA_ASSURANCE_DEV, BULLA_ANCHOR_DEVICE,
		BULLA_BYTES_ARRAY(job.id), bulla_bytes_of(job.key, size)};
	job.anchors = (struct bulla_attest_anchors){&job.device, 1};
}

static bool job_open(const struct sweep *sweep)
{
	job.sweep = sweep;
	if (!sample_read(sweep->file, &job.file))
		return false;
	assert_true(job.file.n <= SAMPLE_MAX);
	bulla_copy(job.bytes, job.file.p, job.file.n);
	job.anchors = bulla_attest_vendor_anchors();
	assert_ok(bulla_foreign_init(&job.foreign));
	for (size_t i = 0; i < 3; i++) {
		bulla_buf_init(&job.extra[i], 1);
		if (sweep->collateral[i] == NULL)
			continue;
		assert_true(sample_read(sweep->collateral[i], &job.extra[i]));
		assert_ok(bulla_foreign_collateral(&job.foreign, bulla_buf_view(&job.extra[i])));
	}
	assert_ok(bulla_foreign_ready(&job.foreign, &job.anchors));
	if (sweep->key != NULL)
		open_device(bulla_buf_view(&job.file));
	lax(&job.policy);
	job.binding = sample_binding();
	/* Nitro documents have a time of their own */
	job.time = (struct bulla_attest_time){(sweep->at == 0 ? 1770000000 : sweep->at) * 1000,
		sweep->at == 0 ? BULLA_CLOCK_AUDIT : BULLA_CLOCK_AT};
	assert_ok(bulla_alloc(1, sizeof(*job.cache), (void **)&job.cache));
	bulla_attest_cache_init(job.cache);
	return true;
}

static void job_close(void)
{
	bulla_free(job.cache);
	bulla_foreign_done(&job.foreign);
	for (size_t i = 0; i < 3; i++)
		bulla_buf_done(&job.extra[i]);
	bulla_buf_done(&job.file);
}

static bool is_digit(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Azure's evidence is text: the number of its version, the HCL header (32 bytes), and the case of a hexadecimal digit are nobody's word. */
static bool means_the_same(size_t at, uint8_t new)
{
	bulla_bytes old = bulla_buf_view(&job.file);
	size_t from = at, to = at;

	if (old.p[0] != '{')
		return false;
	while (from > 0 && is_digit(old.p[from - 1]))
		from--;
	while (to + 1 < old.n && is_digit(old.p[to + 1]))
		to++;
	if (to == from || ((old.p[at] ^ new) & 0xdf) == 0)
		return true;
	return at - from < 44 && bulla_bytes_eq_str(bulla_bytes_of(old.p + from, 4), "SENM");
}

static void must_be_refused(bulla_rc rc, size_t size)
{
	const struct bulla_factor_result *row = &job.result.factors[job.result.failed];

	assert_int_not_equal(rc, BULLA_OK);
	assert_true(job.result.failed < BULLA_FACTOR_COUNT && row->text != NULL && row->at <= size);
}

static void flip_every_bit(size_t step)
{
	size_t size = job.file.n, same = 0;

	for (size_t bit = 0; bit < 8 * size; bit += step) {
		size_t at = bit / 8;
		uint8_t old = job.bytes[at];

		job.bytes[at] ^= (uint8_t)(1u << (bit % 8));
		bulla_rc rc = judge(size);
		if (rc == BULLA_OK && !means_the_same(at, job.bytes[at]))
			printf("# %s: byte %zu, bit %zu is accepted\n", job.sweep->file, at, bit % 8);
		if (rc == BULLA_OK && means_the_same(at, job.bytes[at]))
			same++;
		else
			must_be_refused(rc, size);
		job.bytes[at] = old;
	}
	printf("# %s: %zu flips, %zu mean the same\n", job.sweep->file, 8 * size / step, same);
}

static void every_length(size_t step)
{
	size_t whole = job.file.n;

	while (job.bytes[0] == '{' && whole > 0 && job.bytes[whole - 1] == '\n')
		whole--; /* a text's last line end is no part of it */
	for (size_t n = 0; n < whole; n += step)
		must_be_refused(judge(n), job.file.n);
	job.bytes[job.file.n] = 0;
	must_be_refused(judge(job.file.n + 1), job.file.n + 1);
	job.bytes[job.file.n] = 0xff;
	must_be_refused(judge(job.file.n + 1), job.file.n + 1);
}

static void every_flip_of_every_sample_is_refused(void **state)
{
	const char *only = getenv("BULLA_SWEEP"), *steps = getenv("BULLA_SWEEP_STEP");
	size_t step = steps != NULL ? strtoul(steps, NULL, 10) : 1;
	unsigned done = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		if ((only != NULL && strstr(sweeps[i].file, only) == NULL) || !job_open(&sweeps[i]))
			continue;
		bulla_rc rc = judge(job.file.n);
		assert_accepted(&job.result);
		assert_ok(rc);
		flip_every_bit(step);
		every_length(step);
		job_close();
		done++;
	}
	if (done == 0) {
		printf("# SKIPPED: no genuine samples (set BULLA_VECTORS)\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flip_of_every_sample_is_refused),
	};

	return cmocka_run_group_tests_name("attest_sweep", tests, NULL, NULL);
}
