#include "cmd/attest_job.h"

#include "attest/textual.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "io/sys.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVIDENCE_MAX (1 << 20)
#define SHOW_MAX (1 << 20)

static int read_file(struct cli *cli, const char *path, struct bulla_buf *ret)
{
	bulla_buf_init(ret, EVIDENCE_MAX);
	bulla_rc rc = bulla_sys_read_file(path, ret);
	return rc == BULLA_OK ? 0 : say_rc(cli, rc, path, NULL);
}

static int read_collateral(struct attest_job *job)
{
	for (unsigned i = 0; i < job->cli->set_count; i++) {
		const char *path = job->cli->sets[i];
		assert(job->extra_count < ATTEST_FILES); /* attest_check_files */
		int code = read_file(job->cli, path, &job->extra[job->extra_count++]);

		if (code != 0)
			return code;
		bulla_rc rc = bulla_foreign_collateral(&job->foreign, bulla_buf_view(&job->extra[job->extra_count - 1]));
		if (rc != BULLA_OK)
			return say_rc(job->cli, rc, path, "certificates, CRLs (DER, PEM), PCS answers, dcap-qvl bundles, event logs");
	}
	return 0;
}

/* As what the evidence looks like; without any: Nitro's format. */
static uint8_t family_of(const struct attest_job *job)
{
	enum bulla_tee tee = bulla_attest_guess(job->evidence);

	if (tee == BULLA_TEE_SNP || tee == BULLA_TEE_AZ_SNP)
		return BULLA_TEE_SNP;
	return tee == BULLA_TEE_TDX || tee == BULLA_TEE_SGX || tee == BULLA_TEE_AZ_TDX ? BULLA_TEE_TDX : BULLA_TEE_DEV;
}

/* A root of the user's own: evidence under it is of class dev, whoever made it. */
static int add_certificate_anchor(struct attest_job *job, bulla_bytes der)
{
	struct bulla_cert cert;

	if (bulla_cert_parse(der, &cert) != BULLA_OK) {
		say_error(job->cli, "format", job->cli->anchor, "a root certificate in DER or PEM; for PSA and CCA the device's key",
			"the anchor is no certificate");
		return EXIT_USAGE;
	}
	bulla_sha256(der, &job->anchor_id);
	job->anchors[job->all.count++] = (struct bulla_attest_anchor){family_of(job), BULLA_ASSURANCE_DEV,
		BULLA_ANCHOR_CERTIFICATE, bulla_bytes_digest(&job->anchor_id), {NULL, 0}};
	return 0;
}

/* {"kty": "EC", "crv": "P-256" or "P-384", "x", "y"} as SubjectPublicKeyInfo. */
static bulla_rc jwk_to_spki(bulla_bytes text, uint8_t *ret, size_t *ret_size)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	uint8_t x[48], y[48];
	size_t nx, ny;
	bulla_json jwk, value;

	BULLA_TRY(bulla_json_parse(text, &jwk));
	BULLA_TRY(bulla_json_get_str(jwk, "x", &value));
	BULLA_TRY(bulla_foreign_bytes(value, sizeof(x), x, &nx));
	BULLA_TRY(bulla_json_get_str(jwk, "y", &value));
	BULLA_TRY(bulla_foreign_bytes(value, sizeof(y), y, &ny));
	BULLA_TRY(bulla_verify_key_point(nx == 32 ? BULLA_KEY_P256 : BULLA_KEY_P384, bulla_bytes_of(x, nx),
		bulla_bytes_of(y, ny), &key));
	*ret_size = bulla_verify_key_der(key).n;
	bulla_copy(ret, bulla_verify_key_der(key).p, *ret_size);
	return BULLA_OK;
}

/* {"kty": "oct", "k"}: the key of a device whose tokens are COSE_Mac0. */
static bulla_rc jwk_to_secret(bulla_bytes text, uint8_t *ret, size_t max, size_t *ret_size)
{
	bulla_json jwk, value;

	BULLA_TRY(bulla_json_parse(text, &jwk));
	BULLA_TRY(bulla_json_get_str(jwk, "k", &value));
	return bulla_foreign_bytes(value, max, ret, ret_size);
}

static bulla_rc pem_to_spki(bulla_bytes text, uint8_t *ret, size_t max, size_t *ret_size)
{
	static const char first[] = "-----BEGIN PUBLIC KEY-----", last[] = "-----END PUBLIC KEY-----";
	char digits[1024];
	size_t n = 0;

	for (size_t i = sizeof(first) - 1; i < text.n && text.p[i] != '-'; i++)
		if (text.p[i] != '\n' && text.p[i] != '\r' && n < sizeof(digits))
			digits[n++] = (char)text.p[i];
	if (text.n < sizeof(first) + sizeof(last) || !bulla_bytes_eq_str(bulla_bytes_of(text.p, sizeof(first) - 1), first))
		return BULLA_FAIL(BULLA_E_FORMAT, "the file is no public key in PEM");
	return bulla_foreign_base64(bulla_bytes_of(digits, n), max, ret, ret_size);
}

static bulla_rc read_device_key(struct attest_job *job, enum bulla_anchor_how *ret_how, size_t *ret_size)
{
	bulla_bytes text = bulla_buf_view(&job->anchor_file);
	const size_t max = sizeof(job->device_key);

	*ret_how = BULLA_ANCHOR_SECRET;
	if (jwk_to_secret(text, job->device_key, max, ret_size) == BULLA_OK)
		return BULLA_OK;
	*ret_how = BULLA_ANCHOR_DEVICE;
	return text.n > 0 && text.p[0] == '{' ? jwk_to_spki(text, job->device_key, ret_size) :
		pem_to_spki(text, job->device_key, max, ret_size);
}

/* PSA and CCA have no chains: the given key is taken as the endorsed one of the instance that the token names. */
static void add_device_anchors(struct attest_job *job, enum bulla_anchor_how how, size_t size)
{
	static const uint8_t tees[] = {BULLA_TEE_PSA, BULLA_TEE_CCA};

	for (size_t i = 0; i < sizeof(tees); i++)
		job->anchors[job->all.count++] = (struct bulla_attest_anchor){tees[i], BULLA_ASSURANCE_DEV, (uint8_t)how,
			BULLA_ANCHOR_ANY_INSTANCE, bulla_bytes_of(job->device_key, size)};
}

static int add_root_anchor(struct attest_job *job)
{
	struct bulla_foreign *foreign = &job->foreign;
	size_t before = foreign->collateral.certificate_count;

	if (bulla_foreign_collateral(foreign, bulla_buf_view(&job->anchor_file)) != BULLA_OK ||
		foreign->collateral.certificate_count == before)
		return add_certificate_anchor(job, bulla_buf_view(&job->anchor_file));
	bulla_bytes der = foreign->collateral.certificates[before];
	foreign->collateral.certificate_count = before;
	return add_certificate_anchor(job, der);
}

/* `serve` has no evidence yet: what the file is decides whose anchor it is. */
static int read_anchor(struct attest_job *job)
{
	enum bulla_tee tee = bulla_attest_guess(job->evidence);
	enum bulla_anchor_how how;
	size_t size = 0;
	int code;

	if (job->cli->anchor == NULL)
		return 0;
	code = read_file(job->cli, job->cli->anchor, &job->anchor_file);
	if (code != 0)
		return code;
	if (tee == BULLA_TEE_NONE && job->has_evidence)
		return 0; /* evidence of no known kind is refused under any anchor */
	if (tee != BULLA_TEE_NONE && tee != BULLA_TEE_PSA && tee != BULLA_TEE_CCA)
		return add_root_anchor(job);
	bulla_rc rc = read_device_key(job, &how, &size);
	if (rc == BULLA_OK)
		add_device_anchors(job, how, size);
	else if (job->has_evidence)
		return say_rc(job->cli, rc, job->cli->anchor, "the device's public key: PEM, or a JWK");
	else
		return add_root_anchor(job);
	return 0;
}

static bulla_rc init(struct attest_job *job)
{
	struct bulla_attest_anchors vendors = bulla_attest_vendor_anchors();

	BULLA_TRY(bulla_foreign_init(&job->foreign));
	for (size_t i = 0; i < vendors.count; i++)
		job->anchors[job->all.count++] = vendors.list[i];
	job->all.list = job->anchors;
	return BULLA_OK;
}

static int read_anchor_and_collateral(struct attest_job *job)
{
	int code = read_anchor(job);

	if (code == 0)
		code = read_collateral(job);
	if (code != 0)
		return code;
	bulla_rc rc = bulla_foreign_ready(&job->foreign, &job->all);
	return rc == BULLA_OK ? 0 : say_rc(job->cli, rc, NULL, NULL);
}

/* Refused like any other evidence, by a rule's name: the appraisal of nothing says which. */
static void note_unread(struct attest_job *job, bulla_rc rc)
{
	job->evidence = bulla_bytes_of(job->file.p, 0);
	job->unread = rc;
}

static int fill_evidence(struct attest_job *job)
{
	int code = read_file(job->cli, job->cli->args[0], &job->file);
	bulla_rc rc;

	if (code != 0)
		return code;
	job->has_evidence = true;
	rc = bulla_foreign_evidence(&job->foreign, bulla_buf_view(&job->file), &job->evidence);
	if (rc != BULLA_OK)
		note_unread(job, rc);
	return 0;
}

static int fill(struct attest_job *job)
{
	int code = fill_evidence(job);

	return code == 0 ? read_anchor_and_collateral(job) : code;
}

static int fill_unjudged(struct attest_job *job)
{
	int code = fill_evidence(job);

	return code == 0 ? read_collateral(job) : code;
}

static int open_job(struct cli *cli, int (*fill_in)(struct attest_job *job), struct attest_job **ret)
{
	struct attest_job *job = NULL;
	bulla_rc rc = bulla_alloc(1, sizeof(*job), (void **)&job);

	if (rc != BULLA_OK)
		return say_rc(cli, rc, NULL, NULL);
	job->cli = cli;
	rc = init(job);
	int code = rc == BULLA_OK ? fill_in(job) : say_rc(cli, rc, NULL, NULL);
	if (code != 0) {
		attest_close(job);
		return code;
	}
	*ret = job;
	return 0;
}

int attest_new(struct cli *cli, struct attest_job **ret)
{
	return open_job(cli, read_anchor_and_collateral, ret);
}

int attest_open(struct cli *cli, struct attest_job **ret)
{
	return open_job(cli, fill, ret);
}

int attest_open_unjudged(struct cli *cli, struct attest_job **ret)
{
	return open_job(cli, fill_unjudged, ret);
}

void attest_close(struct attest_job *job)
{
	bulla_buf_done(&job->file);
	bulla_buf_done(&job->anchor_file);
	for (unsigned i = 0; i < job->extra_count; i++)
		bulla_buf_done(&job->extra[i]);
	bulla_foreign_done(&job->foreign);
	bulla_free(job);
}

static int read_hex(struct attest_job *job, const char *option, const char *text, size_t max, uint8_t *memory,
	struct bulla_attest_expected *ret)
{
	size_t size;

	if (text == NULL)
		return 0;
	if (bulla_foreign_hex(bulla_bytes_str(text), max, memory, &size) != BULLA_OK || size == 0) {
		say_error(job->cli, "usage", option, NULL, "this evidence has room for %zu bytes there", max);
		return EXIT_USAGE;
	}
	*ret = BULLA_EXPECT_BYTES(bulla_bytes_of(memory, size));
	return 0;
}

/* One field cannot hold two things: one of them would go unchecked. */
static int refuse_two(const struct attest_job *job, const char *next, const char *what)
{
	say_error(job->cli, "usage", NULL, next, "%s", what);
	return EXIT_USAGE;
}

int attest_expect(struct attest_job *job)
{
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;
	enum bulla_tee tee = bulla_attest_guess(job->evidence);
	bool field = bulla_attest_has_nonce(tee) || tee == BULLA_TEE_PSA || tee == BULLA_TEE_CCA;
	int code;

	job->binding = (struct bulla_attest_binding){any, any, any, any, any};
	if (!field && tee != BULLA_TEE_NONE && job->cli->nonce != NULL && job->cli->binder != NULL)
		return refuse_two(job, "one of --nonce and --binder", "this evidence has one field for nonce and binder");
	/* one field for everything: there the nonce is the report data */
	code = read_hex(job, "--nonce", job->cli->nonce, field ? sizeof(job->nonce) : 64, job->nonce,
		field ? &job->binding.nonce : &job->binding.binder);
	if (code == 0)
		code = read_hex(job, "--binder", job->cli->binder, sizeof(job->binder), job->binder, &job->binding.binder);
	if (code != 0 || !job->foreign.has_binder)
		return code;
	/* a certificate's evidence is bound to its key, Open Enclave's to its claims: their hash is the report data */
	if (job->binding.binder.how != BULLA_EXPECT_ANY)
		return refuse_two(job, "--any-nonce", "the envelope says what the report data must be: the hash of a key, or of claims");
	job->binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(job->foreign.binder));
	return 0;
}

void attest_lax(struct attest_job *job)
{
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;
	struct bulla_attest_policy *policy = &job->reference.policy;

	bulla_attest_policy_init(policy);
	policy->tees = UINT32_MAX;
	policy->assurance = BULLA_ASSURANCE_DEV;
	policy->any_measurement = true;
	policy->strict = false;
	policy->allow_debug = true;
	policy->max_age_ms = INT64_MAX;
	policy->skew_ms = INT64_MAX / 4;
	policy->dcap.without_collateral = true;
	policy->dcap.any_advisory = true;
	policy->dcap.allow_no_sept_ve_disable = policy->dcap.any_service_td = true;
	policy->dcap.statuses = BULLA_TCB_BIT(BULLA_TCB_REVOKED) - 1;
	policy->snp.vmpls = 0x0f;
	policy->snp.allow_migration = policy->snp.allow_masked_chip = policy->snp.any_csp = true;
	policy->psa.allow_legacy_profile = policy->psa.allow_test_keys = true;
	job->binding = (struct bulla_attest_binding){any, any, any, any, any};
}

/* What broke the envelope is what broke the evidence: its form, or (RA-TLS) the key it must name. */
static bulla_rc say_unread(struct attest_job *job)
{
	const struct bulla_form_fault *fault = &job->foreign.fault;
	struct bulla_attest_result *result = &job->result;

	result->factors[result->failed] = (struct bulla_factor_result){0};
	result->factors[fault->factor] =
		(struct bulla_factor_result){.state = BULLA_FACTOR_FAILED, .at = (uint32_t)fault->at, .text = fault->text};
	result->failed = (uint16_t)fault->factor;
	result->rc = bulla_factor_rc(fault->factor);
	return result->rc;
}

/* Places are those of the file, whatever is around the evidence, where they can be told. */
static bool is_in_file(const struct attest_job *job, size_t at, size_t *ret_at)
{
	return bulla_foreign_place(&job->foreign, bulla_buf_view(&job->file), job->evidence.p + at, ret_at);
}

static void place_in_file(struct attest_job *job)
{
	size_t at;

	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		if (job->result.factors[i].state == BULLA_FACTOR_FAILED && is_in_file(job, job->result.factors[i].at, &at))
			job->result.factors[i].at = (uint32_t)at;
}

bulla_rc attest_appraise(struct attest_job *job)
{
	bulla_rc rc = bulla_attest_appraise(job->evidence, &job->foreign.collateral, &job->all, &job->reference.policy,
		&job->binding, job->time, NULL, &job->result);

	place_in_file(job);
	return rc != BULLA_OK && job->unread != BULLA_OK ? say_unread(job) : rc;
}

void attest_failure(const struct attest_job *job, char ret[ATTEST_FAILURE])
{
	const struct bulla_attest_result *result = &job->result;
	size_t ignored;

	ret[0] = '\0';
	if (result->failed == BULLA_FACTOR_COUNT)
		return;
	const struct bulla_factor_result *row = &result->factors[result->failed];
	(void)snprintf(ret, ATTEST_FAILURE, "%s: %s (byte %" PRIu32 "%s)", bulla_factor_name(result->failed),
		row->text != NULL ? row->text : "not reached", row->at, is_in_file(job, 0, &ignored) ? "" : " of what the file decodes to");
}

void attest_print(struct attest_job *job, void (*write)(bulla_wr *w, const struct bulla_attest_result *result))
{
	BULLA_AUTO_BUF buf;
	bulla_bytes text;

	bulla_buf_init(&buf, SHOW_MAX);
	bulla_wr w = bulla_wr_buf(&buf);
	write(&w, &job->result);
	if (bulla_wr_end(&w, &text) == BULLA_OK)
		fwrite(text.p, 1, text.n, stdout);
}
