#include "tee/evidence.h"

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

/* Both writes count; *ret is the generation that the blobs must have. */
static bulla_rc write_request(const char *root, const uint8_t *binder, int privlevel, uint64_t *ret)
{
	uint64_t before, after, writes = 1;

	BULLA_TRY(read_generation(root, &before));
	if (privlevel >= 0) {
		uint8_t digit = (uint8_t)('0' + privlevel);

		BULLA_TRY(bulla_evidence_write(root, ENTRY "/privlevel", (bulla_bytes){&digit, 1}));
		writes++;
	}
	BULLA_TRY(bulla_evidence_write(root, ENTRY "/inblob", bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER)));
	BULLA_TRY(read_raised(root, before, &after));
	if (after != before + writes)
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

static bulla_rc try_once(const char *root, const uint8_t *binder, int privlevel, struct bulla_evidence *ret)
{
	const struct provider *provider = NULL;
	uint64_t generation;

	BULLA_TRY(read_provider(root, &provider));
	BULLA_TRY(write_request(root, binder, privlevel, &generation));
	BULLA_TRY(read_blobs(root, generation, ret));
	ret->tee = provider->tee;
	return check_binder(provider, bulla_buf_view(&ret->report), binder);
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

static void remove_entry(const char *root)
{
	char name[BULLA_EVIDENCE_PATH];

	if (bulla_evidence_path(root, ENTRY, name, sizeof(name)) == BULLA_OK)
		(void)rmdir(name);
}

bulla_rc bulla_evidence_tsm_provider(const char *root, enum bulla_tee *ret)
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

bulla_rc bulla_evidence_tsm(const char *root, const uint8_t binder[BULLA_EVIDENCE_BINDER], int privlevel, unsigned tries,
	struct bulla_evidence *ret)
{
	bulla_rc rc = BULLA_E_BUSY;
	bool made = false;

	if (privlevel > 3)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "privilege levels are 0 to 3");
	ret->report.max = OUTBLOB_MAX;
	ret->aux.max = OUTBLOB_MAX;
	BULLA_TRY(make_entry(root, &made));
	for (unsigned i = 0; i < tries && rc == BULLA_E_BUSY; i++) {
		if (i > 0)
			(void)poll(NULL, 0, PAUSE_MS);
		rc = try_once(root, binder, privlevel, ret);
	}
	remove_entry(root);
	return rc;
}
