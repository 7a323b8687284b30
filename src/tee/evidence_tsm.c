#include "tee/source.h"

#include "crypto/hash.h"
#include "tee/evidence_files.h"
#include "wire/text.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/sys/kernel/config/tsm/report"
#define ENTRY FOLDER "/bulla"
#define OUTBLOB_MAX 32768
#define NUMBER_MAX 64
#define PAUSE_MS 10
#define RAISE_TRIES 10
#define TRIES 50 /* for a report */
#define RTMR3 "/sys/class/misc/tdx_guest/measurements/rtmr3:sha384"

struct provider {
	const char *name;
	enum bulla_tee tee;
	size_t binder_at; /* where the report carries the 64 bytes; 0: not at a fixed place */
};

static const struct provider providers[] = {
	{"sev_guest", BULLA_TEE_SNP, 0x50},
	{"tdx_guest", BULLA_TEE_TDX, 48 + 520},
	{"arm_cca_guest", BULLA_TEE_CCA, 0},
};

static bulla_rc read_generation(const char *root, uint64_t *ret)
{
	BULLA_AUTO_BUF buf;

	bulla_buf_init(&buf, NUMBER_MAX);
	BULLA_TRY(bulla_evidence_read(root, ENTRY "/generation", &buf));
	bulla_bytes text = bulla_buf_view(&buf);
	if (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	return bulla_text_uint(text, UINT64_MAX, ret);
}

static bulla_rc read_provider(const char *root, const struct provider **ret)
{
	BULLA_AUTO_BUF buf;

	bulla_buf_init(&buf, NUMBER_MAX);
	BULLA_TRY(bulla_evidence_read(root, ENTRY "/provider", &buf));
	bulla_bytes text = bulla_buf_view(&buf);
	if (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		if (bulla_bytes_eq_str(text, providers[i].name)) {
			*ret = &providers[i];
			return BULLA_OK;
		}
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the kernel's report provider is not one that this reads");
}

/* The kernel raises the number before the write returns; a file system between may be late. */
static bulla_rc read_raised(const char *root, uint64_t before, uint64_t *ret)
{
	BULLA_TRY(read_generation(root, ret));
	for (unsigned i = 0; i < RAISE_TRIES && *ret == before; i++) {
		(void)poll(NULL, 0, PAUSE_MS);
		BULLA_TRY(read_generation(root, ret));
	}
	return BULLA_OK;
}

/* *ret is the generation that the blobs must have. */
static bulla_rc write_request(const char *root, const uint8_t *binder, uint64_t *ret)
{
	uint64_t before, after;

	BULLA_TRY(read_generation(root, &before));
	BULLA_TRY(bulla_evidence_write(root, ENTRY "/inblob", bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER)));
	BULLA_TRY(read_raised(root, before, &after));
	if (after != before + 1)
		return BULLA_FAIL(BULLA_E_BUSY, "another writer uses the same report entry");
	*ret = after;
	return BULLA_OK;
}

static bulla_rc read_blobs(const char *root, uint64_t generation, struct bulla_evidence *ret)
{
	uint64_t after;

	BULLA_TRY(bulla_evidence_read(root, ENTRY "/outblob", &ret->report));
	bulla_rc rc = bulla_evidence_read(root, ENTRY "/auxblob", &ret->aux);
	if (rc != BULLA_OK && rc != BULLA_E_NOT_FOUND)
		return rc;
	BULLA_TRY(read_generation(root, &after));
	return after == generation ? BULLA_OK : BULLA_FAIL(BULLA_E_BUSY, "another writer came between");
}

static bulla_rc check_binder(const struct provider *provider, bulla_bytes report, const uint8_t *binder)
{
	if (provider->binder_at == 0)
		return BULLA_OK;
	if (report.n < provider->binder_at + BULLA_EVIDENCE_BINDER)
		return BULLA_FAIL(BULLA_E_FORMAT, "the report is too short");
	return bulla_bytes_eq(bulla_bytes_of(report.p + provider->binder_at, BULLA_EVIDENCE_BINDER),
		bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER)) ?
		BULLA_OK :
		BULLA_FAIL(BULLA_E_BINDER, "the report carries something else than was asked for");
}

/* An entry that a process before us left behind is used again: its generation tells. */
static bulla_rc make_entry(const char *root, bool *ret_made)
{
	char name[BULLA_EVIDENCE_PATH];

	BULLA_TRY(bulla_evidence_path(root, ENTRY, name, sizeof(name)));
	*ret_made = mkdir(name, 0700) == 0;
	if (!*ret_made && errno != EEXIST)
		return BULLA_FAIL_OS(BULLA_E_IO, "the report entry cannot be made", errno);
	return BULLA_OK;
}

/* The entry is made each time: whoever else used it may have removed it. */
static bulla_rc try_once(const char *root, const uint8_t *binder, struct bulla_evidence *ret)
{
	const struct provider *provider = NULL;
	uint64_t generation;
	bool ignored = false;

	BULLA_TRY(make_entry(root, &ignored));
	BULLA_TRY(read_provider(root, &provider));
	BULLA_TRY(write_request(root, binder, &generation));
	BULLA_TRY(read_blobs(root, generation, ret));
	ret->tee = provider->tee;
	return check_binder(provider, bulla_buf_view(&ret->report), binder);
}

static void remove_entry(const char *root)
{
	char name[BULLA_EVIDENCE_PATH];

	if (bulla_evidence_path(root, ENTRY, name, sizeof(name)) == BULLA_OK)
		(void)rmdir(name);
}

static bulla_rc find_provider(const char *root, enum bulla_tee *ret)
{
	const struct provider *provider = NULL;
	bool made = false;
	bulla_rc rc;

	BULLA_TRY(make_entry(root, &made));
	rc = read_provider(root, &provider);
	if (made)
		remove_entry(root);
	BULLA_TRY(rc);
	*ret = provider->tee;
	return BULLA_OK;
}

bulla_rc bulla_evidence_tsm(const char *root, const uint8_t binder[BULLA_EVIDENCE_BINDER], unsigned tries,
	struct bulla_evidence *ret)
{
	bulla_rc rc = BULLA_E_BUSY;

	ret->report.max = OUTBLOB_MAX;
	ret->aux.max = OUTBLOB_MAX;
	for (unsigned i = 0; i < tries && (rc == BULLA_E_BUSY || rc == BULLA_E_NOT_FOUND); i++) {
		if (i > 0)
			(void)poll(NULL, 0, PAUSE_MS);
		rc = try_once(root, binder, ret);
	}
	remove_entry(root);
	return rc;
}

/* --- as a source --- */

static bulla_rc open_tsm(struct bulla_source *source)
{
	return find_provider(source->root, &source->tee);
}

static bulla_rc make_tsm(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER], bulla_bytes nonce,
	bulla_bytes public_key, struct bulla_evidence *ret)
{
	(void)nonce; /* it is in the binder */
	(void)public_key;
	return bulla_evidence_tsm(source->root, binder, TRIES, ret);
}

static bulla_rc extend(const struct bulla_source *source, const uint8_t *digest)
{
	uint8_t hash[BULLA_SHA384_SIZE];

	bulla_sha384(bulla_bytes_of(digest, sizeof(bulla_digest)), hash);
	return bulla_evidence_write(source->root, RTMR3, BULLA_BYTES_ARRAY(hash));
}

/* TDX: the kernel extends RTMR3 by what is written. Others have no register for the guest. */
static bulla_rc measure_tsm(const struct bulla_source *source, const bulla_digest *manifest, bulla_bytes bundles)
{
	if (source->tee != BULLA_TEE_TDX)
		return BULLA_OK;
	BULLA_TRY(extend(source, manifest->b));
	for (size_t at = 0; at < bundles.n; at += sizeof(bulla_digest))
		BULLA_TRY(extend(source, bundles.p + at));
	return BULLA_OK;
}

const struct bulla_source_ops bulla_source_tsm = {.open = open_tsm, .make = make_tsm, .measure = measure_tsm};
