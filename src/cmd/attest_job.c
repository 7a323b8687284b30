#include "cmd/attest_job.h"

#include "attest/textual.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "io/sys.h"

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
		int code;

		if (job->extra_count == ATTEST_FILES) {
			say_error(job->cli, "limit", path, NULL, "there are too many --collateral");
			return EXIT_USAGE;
		}
		code = read_file(job->cli, path, &job->extra[job->extra_count++]);
		if (code != 0)
			return code;
		bulla_rc rc = bulla_foreign_collateral(&job->foreign, bulla_buf_view(&job->extra[job->extra_count - 1]));
		if (rc != BULLA_OK)
			return say_rc(job->cli, rc, path, "certificates, CRLs (DER, PEM), PCS answers, dcap-qvl bundles, event logs");
	}
	return 0;
}

/* A root of the user's own: evidence under it is of class dev, whoever made it. */
static int add_certificate_anchor(struct attest_job *job, bulla_bytes der)
{
	struct bulla_cert cert;

	if (bulla_cert_parse(der, &cert) != BULLA_OK) {
		say_error(job->cli, "format", job->cli->anchor, "a root certificate in DER or PEM; for PSA and CCA: id=KEYFILE",
			"the anchor is no certificate");
		return EXIT_USAGE;
	}
	bulla_sha256(der, &job->anchor_id);
	job->anchors[job->all.count++] = (struct bulla_attest_anchor){BULLA_TEE_DEV, BULLA_ASSURANCE_DEV,
		BULLA_ANCHOR_CERTIFICATE, bulla_bytes_digest(&job->anchor_id), {NULL, 0}};
	return 0;
}

static int read_anchor(struct attest_job *job)
{
	int code;

	if (job->cli->anchor == NULL)
		return 0;
	code = read_file(job->cli, job->cli->anchor, &job->anchor_file);
	if (code != 0)
		return code;
	struct bulla_foreign *foreign = &job->foreign;
	size_t before = foreign->collateral.certificate_count;
	if (bulla_foreign_collateral(foreign, bulla_buf_view(&job->anchor_file)) != BULLA_OK ||
		foreign->collateral.certificate_count == before)
		return add_certificate_anchor(job, bulla_buf_view(&job->anchor_file));
	bulla_bytes der = foreign->collateral.certificates[before];
	foreign->collateral.certificate_count = before;
	return add_certificate_anchor(job, der);
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

static int fill(struct attest_job *job)
{
	int code = read_file(job->cli, job->cli->args[1], &job->file);
	bulla_rc rc;

	if (code == 0)
		code = read_anchor(job);
	if (code == 0)
		code = read_collateral(job);
	if (code != 0)
		return code;
	rc = bulla_foreign_evidence(&job->foreign, bulla_buf_view(&job->file), &job->evidence);
	if (rc == BULLA_OK)
		rc = bulla_foreign_ready(&job->foreign, &job->all);
	if (rc != BULLA_OK)
		return say_rc(job->cli, rc, job->cli->args[1], NULL);
	return 0;
}

int attest_open(struct cli *cli, struct attest_job **ret)
{
	struct attest_job *job = NULL;
	bulla_rc rc = bulla_alloc(1, sizeof(*job), (void **)&job);

	if (rc != BULLA_OK)
		return say_rc(cli, rc, NULL, NULL);
	job->cli = cli;
	rc = init(job);
	int code = rc == BULLA_OK ? fill(job) : say_rc(cli, rc, NULL, NULL);
	if (code != 0) {
		attest_close(job);
		return code;
	}
	*ret = job;
	return 0;
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
	if (bulla_foreign_hex(bulla_bytes_str(text), max, memory, &size) != BULLA_OK) {
		say_error(job->cli, "usage", option, NULL, "hexadecimal digits are expected");
		return EXIT_USAGE;
	}
	*ret = BULLA_EXPECT_BYTES(bulla_bytes_of(memory, size));
	return 0;
}

int attest_expect(struct attest_job *job)
{
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;
	enum bulla_tee tee = bulla_attest_guess(job->evidence);
	bool field = tee == BULLA_TEE_NITRO || tee == BULLA_TEE_AZ_SNP || tee == BULLA_TEE_PSA || tee == BULLA_TEE_CCA;
	int code;

	job->binding = (struct bulla_attest_binding){any, any, any, any, any};
	/* one field for everything: there the nonce is the report data */
	code = read_hex(job, "--nonce", job->cli->nonce, field ? sizeof(job->nonce) : 64, job->nonce,
		field ? &job->binding.nonce : &job->binding.binder);
	if (code == 0)
		code = read_hex(job, "--binder", job->cli->binder, sizeof(job->binder), job->binder, &job->binding.binder);
	return code;
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
	policy->dcap.allow_no_sept_ve_disable = true;
	policy->dcap.statuses = BULLA_TCB_BIT(BULLA_TCB_REVOKED) - 1;
	policy->snp.vmpls = 0x0f;
	policy->snp.allow_migration = policy->snp.allow_masked_chip = true;
	policy->psa.allow_legacy_profile = policy->psa.allow_test_keys = true;
	job->binding = (struct bulla_attest_binding){any, any, any, any, any};
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
