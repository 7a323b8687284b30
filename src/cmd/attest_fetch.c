/* bulla attest fetch FILE: fetches the collateral of this evidence from the vendor (AMD KDS, Intel PCS) or a mirror, verifies
 * all of it against the evidence, and only then keeps it, for --collateral. Nothing that comes is trusted. */
#include "cmd/attest_job.h"
#include "cmd/attest_options.h"
#include "cmd/download.h"

#include "attest/show.h"
#include "attest/snp.h"
#include "crypto/hash.h"
#include "io/sys.h"
#include "wire/text.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KDS "https://kdsintf.amd.com"
#define PCS "https://api.trustedservices.intel.com"
#define INTEL_ROOT "https://certificates.trustedservices.intel.com"
#define ITEMS 6
#define TRIES 3
#define WAIT_MAX_S 10u /* that a server may ask for; longer waits are the user's business */

struct item {
	char url[DOWNLOAD_URL];
	const char *name, *ending; /* of the file */
	const char *chain;         /* header with the issuers' certificates; NULL: none */
	struct bulla_buf body, issuers;
};

struct fetch {
	struct attest_job *job;
	struct cli *cli;
	struct bulla_tls_context *tls;
	struct download download;
	struct item items[ITEMS];
	size_t count;
};

/* ---- what is needed ---- */
/* base: the vendor's server, in whose place --from stands. */
static void need(struct fetch *fetch, const char *name, const char *ending, const char *chain, const char *base,
	const char *format, ...) __attribute__((format(printf, 6, 7)));

static void need(struct fetch *fetch, const char *name, const char *ending, const char *chain, const char *base,
	const char *format, ...)
{
	struct item *item = &fetch->items[fetch->count++];
	const char *from = fetch->cli->from != NULL ? fetch->cli->from : base;
	size_t size = strlen(from); /* below DOWNLOAD_URL / 2: attest_check_from */
	va_list args;

	size -= size > 0 && from[size - 1] == '/' ? 1 : 0;
	*item = (struct item){.name = name, .ending = ending, .chain = chain};
	bulla_buf_init(&item->body, BULLA_MAX_COLLATERAL);
	bulla_buf_init(&item->issuers, BULLA_HTTP_HEAD_MAX);
	bulla_copy(item->url, from, size);
	va_start(args, format);
	(void)vsnprintf(item->url + size, sizeof(item->url) - size, format, args);
	va_end(args);
}

static void hex_of(bulla_bytes bytes, char *ret, size_t size)
{
	bulla_wr w = bulla_wr_fixed((uint8_t *)ret, size - 1);

	bulla_text_wr_hex(&w, bytes);
	ret[w.n] = '\0';
}

/* The product's name is in the report from version 3 on; before, only the certificate knows. */
static const struct bulla_snp_generation *generation_of(const struct attest_job *job)
{
	static const struct bulla_snp_generation milan = {"Milan", false};
	struct bulla_snp_report report;

	if (bulla_snp_read(bulla_attest_inside(job->evidence), &report) != BULLA_OK || report.version < 3)
		return &milan;
	const struct bulla_snp_generation *found = bulla_snp_generation_of_cpu(report.cpu_family, report.cpu_model);
	return found != NULL ? found : &milan;
}

static void plan_snp(struct fetch *fetch)
{
	const struct attest_job *job = fetch->job;
	const struct bulla_attest_claim *chip = bulla_attest_find(&job->result, BULLA_CLAIM_CHIP_ID, 0);
	const struct bulla_attest_claim *reported = bulla_attest_find(&job->result, BULLA_CLAIM_REPORTED_TCB, 0);
	const struct bulla_snp_generation *generation = generation_of(job);
	char id[129] = "", fmc[24] = "";

	if (chip == NULL || reported == NULL)
		return;
	const struct bulla_snp_tcb tcb = bulla_snp_tcb_of(generation, reported->bytes);
	bool vlek = bulla_bytes_is_zero_ct(chip->bytes); /* its certificate comes from the cloud (configfs-tsm auxblob) */
	const char *kind = vlek ? "vlek" : "vcek";
	hex_of(generation->has_fmc ? bulla_bytes_of(chip->bytes.p, 8) : chip->bytes, id, sizeof(id));
	if (generation->has_fmc)
		(void)snprintf(fmc, sizeof(fmc), "fmcSPL=%02u&", tcb.fmc);
	if (!vlek)
		need(fetch, "amd-vcek", "der", NULL, KDS, "/vcek/v1/%s/%s?%sblSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u",
			generation->name, id, fmc, tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode);
	need(fetch, "amd-chain", "pem", NULL, KDS, "/%s/v1/%s/cert_chain", kind, generation->name);
	need(fetch, "amd-crl", "der", NULL, KDS, "/%s/v1/%s/crl", kind, generation->name);
}

static void plan_dcap(struct fetch *fetch, const char *kind)
{
	const struct bulla_attest_claim *fmspc = bulla_attest_find(&fetch->job->result, BULLA_CLAIM_FMSPC, 0);
	const struct bulla_attest_claim *signer = bulla_attest_find(&fetch->job->result, BULLA_CLAIM_SIGNER, 0);
	bool platform = signer != NULL && bulla_bytes_eq_str(signer->bytes, "PCK Platform CA");
	char id[33] = "";

	if (fmspc == NULL)
		return;
	hex_of(fmspc->bytes, id, sizeof(id));
	need(fetch, "intel-tcb", "json", "TCB-Info-Issuer-Chain", PCS, "/%s/certification/v4/tcb?fmspc=%s", kind, id);
	need(fetch, "intel-qe", "json", "SGX-Enclave-Identity-Issuer-Chain", PCS, "/%s/certification/v4/qe/identity", kind);
	need(fetch, "intel-pck-crl", "der", "SGX-PCK-CRL-Issuer-Chain", PCS, "/sgx/certification/v4/pckcrl?ca=%s&encoding=der",
		platform ? "platform" : "processor");
	/* Intel's caching service (PCCS) keeps the root's list under a path of its own, in hexadecimal */
	need(fetch, "intel-root-crl", "der", NULL, INTEL_ROOT, "%s",
		fetch->cli->from != NULL ? "/sgx/certification/v4/rootcacrl" : "/IntelSGXRootCA.der");
}

/* Appraises leniently: for its claims, or to see that the collateral is genuine, in its time, and of this evidence. */
static bulla_rc appraise(struct attest_job *job, bool with_collateral)
{
	attest_lax(job);
	job->reference.policy.dcap.without_collateral = !with_collateral;
	job->reference.policy.dcap.statuses = UINT32_MAX; /* what the vendor thinks of the platform is not asked here */
	job->time.clock = BULLA_CLOCK_AUDIT;
	return attest_appraise(job);
}

static int refuse(const struct fetch *fetch, bulla_rc rc, const char *next, const char *what)
{
	char failure[ATTEST_FAILURE];

	attest_failure(fetch->job, failure);
	say_error(fetch->cli, bulla_rc_id(rc), fetch->cli->args[0], next, "%s%s", failure, what);
	return EXIT_REFUSED;
}

/* Some evidence has no collateral, of some it cannot be told what it needs. */
static int plan_none(const struct fetch *fetch, enum bulla_tee tee, bulla_rc rc)
{
	if (tee == BULLA_TEE_PSA || tee == BULLA_TEE_CCA) {
		say(fetch->cli, "nothing to fetch: %s evidence has no collateral; the device's key comes by --anchor", bulla_tee_title(tee));
		return 0;
	}
	if (rc == BULLA_OK) {
		say(fetch->cli, "this evidence needs no collateral: it carries its whole chain");
		return 0;
	}
	if (fetch->job->result.failed == BULLA_FACTOR_PCK_PRESENT)
		return refuse(fetch, rc, "--collateral FILE: the PEM chain of the platform's PCK certificate, then again",
			": only it tells which TCB info is needed");
	return refuse(fetch, rc, "bulla attest show FILE", ": what is needed cannot be told");
}

static int plan(struct fetch *fetch)
{
	enum bulla_tee tee = bulla_attest_guess(fetch->job->evidence);
	bulla_rc rc = appraise(fetch->job, false);

	if (rc != BULLA_OK && fetch->cli->verbose)
		say(fetch->cli, "without collateral: %s", bulla_rc_id(rc));
	if (rc == BULLA_E_EVIDENCE_FORMAT || fetch->job->unread != BULLA_OK) /* no collateral mends it */
		return refuse(fetch, rc, "bulla attest show FILE", "");
	if (tee == BULLA_TEE_SNP || tee == BULLA_TEE_AZ_SNP)
		plan_snp(fetch);
	else if (tee == BULLA_TEE_TDX || tee == BULLA_TEE_SGX || tee == BULLA_TEE_AZ_TDX)
		plan_dcap(fetch, tee == BULLA_TEE_SGX ? "sgx" : "tdx");
	return fetch->count > 0 ? 0 : plan_none(fetch, tee, rc);
}

/* ---- fetching ---- */
/* Seconds that a 429 or 503 asks for; 0: it does not say. */
static unsigned retry_after(const struct bulla_http_message *message)
{
	bulla_bytes text = bulla_http_header(message, "retry-after");
	uint64_t seconds = 0;

	return bulla_text_uint(text, 86400, &seconds) == BULLA_OK ? (unsigned)seconds : 0;
}

static int refused(const struct fetch *fetch, const struct item *item)
{
	unsigned status = fetch->download.message.status, wait = retry_after(&fetch->download.message);

	if (status == 429 || status == 503) {
		say_error(fetch->cli, "busy", item->url, wait > 0 ? "the same command after that time" : "the same command, later",
			"the server wants fewer requests%s", wait > 0 ? ": it says when in Retry-After" : "");
		return EXIT_AGAIN;
	}
	say_error(fetch->cli, status == 404 ? "not-found" : "unreachable", item->url, "--from URL: another mirror",
		"the server answers %u", status);
	return status == 404 ? EXIT_NOT_FOUND : EXIT_AGAIN;
}

/* PCCS before version 4 wrote SGX- before the name. */
static bulla_bytes issuers_of(const struct bulla_http_message *message, const char *chain)
{
	bulla_bytes found = {NULL, 0};
	char older[64];

	if (chain != NULL)
		found = bulla_http_header(message, chain);
	if (chain != NULL && found.n == 0 && snprintf(older, sizeof(older), "SGX-%s", chain) < (int)sizeof(older))
		found = bulla_http_header(message, older);
	return found;
}

static int fetch_one(struct fetch *fetch, struct item *item)
{
	unsigned wait = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		bulla_rc rc = download_get(fetch->tls, item->url, &fetch->download);
		if (rc != BULLA_OK)
			return say_rc(fetch->cli, rc, item->url, rc == BULLA_E_SIGNATURE ? "--ca FILE: roots of a mirror of your own" : NULL);
		unsigned status = fetch->download.message.status;
		wait = retry_after(&fetch->download.message);
		if ((status != 429 && status != 503) || wait == 0 || wait > WAIT_MAX_S || i + 1 == TRIES)
			break;
		say(fetch->cli, "the server wants %u s of patience", wait);
		(void)poll(NULL, 0, (int)wait * 1000);
	}
	if (fetch->download.message.status != 200)
		return refused(fetch, item);
	bulla_bytes issuers = issuers_of(&fetch->download.message, item->chain);
	bulla_rc rc = bulla_buf_append(&item->body, bulla_buf_view(&fetch->download.body));
	if (rc == BULLA_OK)
		rc = bulla_buf_append(&item->issuers, issuers);
	return rc == BULLA_OK ? 0 : say_rc(fetch->cli, rc, item->url, NULL);
}

/* Everything against the evidence; nothing is kept before. */
static int verify(struct fetch *fetch)
{
	struct attest_job *job = fetch->job;
	bulla_rc rc = BULLA_OK;

	for (size_t i = 0; i < fetch->count; i++) {
		const struct item *item = &fetch->items[i];

		rc = bulla_foreign_collateral(&job->foreign, bulla_buf_view(&item->body));
		if (rc == BULLA_OK && item->issuers.n > 0)
			rc = bulla_foreign_collateral(&job->foreign, bulla_buf_view(&item->issuers));
		if (rc != BULLA_OK)
			return say_rc(fetch->cli, BULLA_E_EVIDENCE_FORMAT, item->url, "another mirror: this is no collateral");
	}
	rc = bulla_foreign_ready(&job->foreign, &job->all);
	if (rc == BULLA_OK)
		rc = appraise(job, true);
	if (rc == BULLA_OK || rc == BULLA_E_REVOKED) /* a revocation is news, not a fault of the list */
		return 0;
	say_error(fetch->cli, bulla_rc_id(rc), fetch->cli->args[0], "bulla attest show FILE --collateral ...",
		"what came does not hold for this evidence (%s): nothing is kept",
		job->result.failed < BULLA_FACTOR_COUNT ? bulla_factor_name((enum bulla_factor)job->result.failed) : "read");
	return EXIT_REFUSED;
}

/* ---- keeping ---- */
static bulla_rc keep_file(const char *folder, const struct item *item, const char *ending, bulla_bytes bytes)
{
	char path[4096], id[17] = "";
	bulla_digest digest;

	if (bytes.n == 0)
		return BULLA_OK;
	bulla_sha256(bulla_bytes_str(item->url), &digest);
	hex_of(bulla_bytes_of(digest.b, 8), id, sizeof(id));
	if (snprintf(path, sizeof(path), "%s/%s-%s.%s", folder, item->name, id, ending) >= (int)sizeof(path))
		return BULLA_FAIL(BULLA_E_LIMIT, "a path is too long");
	BULLA_TRY(bulla_sys_write_file(path, bytes, 0644));
	printf("%s\n", path);
	return BULLA_OK;
}

static int keep(const struct fetch *fetch)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char folder[2048];
	bulla_rc rc;

	if (fetch->cli->cache != NULL)
		(void)snprintf(folder, sizeof(folder), "%s", fetch->cli->cache);
	else if (cache != NULL)
		(void)snprintf(folder, sizeof(folder), "%s/bulla/collateral", cache);
	else
		(void)snprintf(folder, sizeof(folder), "%s/.cache/bulla/collateral", home != NULL ? home : ".");
	rc = bulla_sys_make_folders(folder);
	for (size_t i = 0; i < fetch->count && rc == BULLA_OK; i++) {
		const struct item *item = &fetch->items[i];

		rc = keep_file(folder, item, item->ending, bulla_buf_view(&item->body));
		if (rc == BULLA_OK)
			rc = keep_file(folder, item, "issuers", bulla_buf_view(&item->issuers));
	}
	return rc == BULLA_OK ? 0 : say_rc(fetch->cli, rc, folder, "--cache DIR");
}

static int run(struct fetch *fetch)
{
	int code = plan(fetch);

	if (code != 0 || fetch->count == 0)
		return code;
	bulla_rc rc = bulla_tls_public_new(fetch->cli->ca, &fetch->tls);
	if (rc != BULLA_OK)
		return say_rc(fetch->cli, rc, fetch->cli->ca, "--ca FILE (PEM)");
	for (size_t i = 0; i < fetch->count && code == 0; i++)
		code = fetch_one(fetch, &fetch->items[i]);
	if (code == 0)
		code = verify(fetch);
	return code == 0 ? keep(fetch) : code;
}

int cmd_attest_fetch(struct cli *cli)
{
	static struct fetch fetch;
	int code = attest_check_at(cli, NULL);

	if (code == 0)
		code = attest_check_from(cli);
	if (code == 0)
		code = attest_check_files(cli);
	if (code == 0)
		code = attest_open(cli, &fetch.job);
	if (code != 0)
		return code;
	fetch.cli = cli;
	download_init(&fetch.download);
	attest_read_time(fetch.job);
	code = run(&fetch);
	for (size_t i = 0; i < fetch.count; i++) {
		bulla_buf_done(&fetch.items[i].body);
		bulla_buf_done(&fetch.items[i].issuers);
	}
	download_done(&fetch.download);
	bulla_tls_context_free(fetch.tls);
	attest_close(fetch.job);
	return code;
}
