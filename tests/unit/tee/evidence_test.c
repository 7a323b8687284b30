#include "tee/source.h"

#include "attest/azure.h"
#include "attest/foreign.h"
#include "attest/textual.h"
#include "octets.h"
#include "test.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a fake tree, and a thread that plays the kernel behind configfs-tsm ---- */
struct fake {
	char root[64];
	atomic_bool stop;
	atomic_uint writes;      /* how often inblob was written by anyone */
	unsigned interfere;      /* so many times another writer comes between */
	bool stale;              /* gives the report of something else */
	const char *provider;
	unsigned generation;
	pthread_t thread;
	int notify;
};

#define ENTRY "/sys/kernel/config/tsm/report/bulla"

static void put_file(const struct fake *fake, const char *path, const void *bytes, size_t size)
{
	char name[256], temporary[272];

	(void)snprintf(name, sizeof(name), "%s%s", fake->root, path);
	(void)snprintf(temporary, sizeof(temporary), "%s.new", name);
	FILE *file = fopen(temporary, "wb");
	assert_non_null(file);
	fwrite(bytes, 1, size, file);
	fclose(file);
	assert_int_equal(rename(temporary, name), 0);
}

static void put_text(const struct fake *fake, const char *path, const char *text)
{
	put_file(fake, path, text, strlen(text));
}

static void make_folders(const struct fake *fake, const char *path)
{
	char name[256];

	for (const char *p = path; (p = strchr(p + 1, '/')) != NULL;) {
		(void)snprintf(name, sizeof(name), "%s%.*s", fake->root, (int)(p - path), path);
		(void)mkdir(name, 0700);
	}
	(void)snprintf(name, sizeof(name), "%s%s", fake->root, path);
	(void)mkdir(name, 0700);
}

static void raise_generation(struct fake *fake)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%u\n", ++fake->generation);
	put_text(fake, ENTRY "/generation", text);
}

static void answer(struct fake *fake)
{
	uint8_t report[1184] = {3};
	char name[256];

	(void)snprintf(name, sizeof(name), "%s" ENTRY "/inblob", fake->root);
	FILE *file = fopen(name, "rb");
	size_t n = file != NULL ? fread(report + 0x50, 1, 64, file) : 0;
	if (file != NULL)
		fclose(file);
	if (n != 64)
		return;
	if (fake->stale)
		report[0x50] ^= 1;
	put_file(fake, ENTRY "/outblob", report, sizeof(report));
	put_file(fake, ENTRY "/auxblob", "table", 5);
	if (fake->interfere > 0) {
		fake->interfere--;
		fake->generation++; /* another writer's write, before ours was answered */
	}
	raise_generation(fake);
}

static void *kernel(void *arg)
{
	struct fake *fake = arg;
	char events[4096];

	while (!atomic_load(&fake->stop)) {
		struct pollfd poller = {fake->notify, POLLIN, 0};

		if (poll(&poller, 1, 20) <= 0)
			continue;
		if (read(fake->notify, events, sizeof(events)) <= 0)
			break;
		atomic_fetch_add(&fake->writes, 1);
		answer(fake);
	}
	return NULL;
}

static void fake_open(struct fake *fake, const char *provider)
{
	char name[256];

	*fake = (struct fake){.provider = provider, .generation = 7};
	(void)snprintf(fake->root, sizeof(fake->root), "/tmp/bulla-fake-XXXXXX");
	assert_non_null(mkdtemp(fake->root));
	make_folders(fake, ENTRY);
	put_text(fake, ENTRY "/provider", provider);
	put_text(fake, ENTRY "/generation", "7\n");
	put_text(fake, ENTRY "/inblob", "");
	(void)snprintf(name, sizeof(name), "%s" ENTRY "/inblob", fake->root);
	fake->notify = inotify_init1(IN_CLOEXEC);
	assert_true(inotify_add_watch(fake->notify, name, IN_CLOSE_WRITE) >= 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, kernel, fake), 0);
}

static void fake_close(struct fake *fake)
{
	char command[128];

	atomic_store(&fake->stop, true);
	pthread_join(fake->thread, NULL);
	close(fake->notify);
	(void)snprintf(command, sizeof(command), "rm -rf %s", fake->root);
	assert_int_equal(system(command), 0);
}

static const uint8_t binder[64] = {1, 2, 3};

static void a_report_comes_out_of_the_kernel_s_files(void **state)
{
	struct fake fake;
	struct bulla_evidence evidence;

	(void)state;
	fake_open(&fake, "sev_guest\n");
	bulla_evidence_init(&evidence);
	assert_ok(bulla_evidence_tsm(fake.root, binder, 200, &evidence));
	assert_int_equal(evidence.tee, BULLA_TEE_SNP);
	assert_int_equal(evidence.report.n, 1184);
	assert_bytes(bulla_bytes_of(evidence.report.p + 0x50, 64), BULLA_BYTES_ARRAY(binder));
	assert_bytes(bulla_buf_view(&evidence.aux), bulla_bytes_str("table"));
	bulla_evidence_done(&evidence);
	fake_close(&fake);
}

static void another_writer_between_means_again(void **state)
{
	struct fake fake;
	struct bulla_evidence evidence;

	(void)state;
	fake_open(&fake, "sev_guest");
	fake.interfere = 3;
	bulla_evidence_init(&evidence);
	assert_ok(bulla_evidence_tsm(fake.root, binder, 200, &evidence));
	assert_true(atomic_load(&fake.writes) > 3);
	fake.interfere = 1000;
	assert_rc(BULLA_E_BUSY, bulla_evidence_tsm(fake.root, binder, 20, &evidence));
	bulla_evidence_done(&evidence);
	fake_close(&fake);
}

static void a_report_of_something_else_is_not_taken(void **state)
{
	struct fake fake;
	struct bulla_evidence evidence;

	(void)state;
	fake_open(&fake, "sev_guest");
	fake.stale = true;
	bulla_evidence_init(&evidence);
	assert_rc(BULLA_E_BINDER, bulla_evidence_tsm(fake.root, binder, 200, &evidence));
	put_text(&fake, ENTRY "/provider", "abacus\n");
	assert_rc(BULLA_E_UNSUPPORTED, bulla_evidence_tsm(fake.root, binder, 5, &evidence));
	bulla_evidence_done(&evidence);
	fake_close(&fake);
}

/* ---- a kernel that answers as the real one does: inside write(), under its lock, and gone with rmdir() ---- */
static struct {
	pthread_mutex_t lock;
	struct fake *fake; /* NULL: the other kernel's tests */
	unsigned left;     /* so many times the entry is removed by somebody else, right after a write */
	unsigned between;  /* so many times somebody else asks after our request, before we read the report */
	atomic_uint writes;
} kernel_inside = {.lock = PTHREAD_MUTEX_INITIALIZER};

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap___open64_2(const char *path, int flags);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);

static bool ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && strcmp(text + a - b, end) == 0;
}

/* configfs makes and removes the attributes with their entry. */
static void fill_entry(struct fake *fake)
{
	fake->generation = 0;
	put_text(fake, ENTRY "/provider", fake->provider);
	put_text(fake, ENTRY "/inblob", "");
	put_text(fake, ENTRY "/generation", "0\n");
}

static void empty_entry(const struct fake *fake)
{
	static const char *const names[] = {"provider", "inblob", "generation", "outblob", "auxblob"};
	char name[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s" ENTRY "/%s", fake->root, names[i]);
		(void)unlink(name);
	}
	(void)snprintf(name, sizeof(name), "%s" ENTRY, fake->root);
	(void)__real_rmdir(name);
}

/* Who reads a newer report reads a newer number behind it. */
static void answer_inside(struct fake *fake, const uint8_t *asked)
{
	uint8_t report[1184] = {3};

	bulla_copy(report + 0x50, asked, 64);
	raise_generation(fake);
	put_file(fake, ENTRY "/outblob", report, sizeof(report));
	put_file(fake, ENTRY "/auxblob", "table", 5);
	atomic_fetch_add(&kernel_inside.writes, 1);
	if (kernel_inside.left > 0) {
		kernel_inside.left--;
		empty_entry(fake);
	}
}

/* An attribute of an entry that is gone takes nothing. */
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	char link[64], name[512] = "";
	ssize_t result = (ssize_t)n;

	if (kernel_inside.fake == NULL || n != 64)
		return __real_write(fd, p, n);
	pthread_mutex_lock(&kernel_inside.lock);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name) - 1) > 0 && ends_with(name, ENTRY "/inblob")) {
		answer_inside(kernel_inside.fake, p);
	} else {
		errno = ENOENT;
		result = -1;
	}
	pthread_mutex_unlock(&kernel_inside.lock);
	return result;
}

/* The driver makes no files: there is no mode. */
int __wrap_open64(const char *path, int flags, ...)
{
	static const uint8_t others[64] = {77};

	if (kernel_inside.fake != NULL && kernel_inside.between > 0 && ends_with(path, ENTRY "/outblob")) {
		kernel_inside.between--;
		answer_inside(kernel_inside.fake, others);
	}
	return __real_open64(path, flags);
}

/* the same, in builds with _FORTIFY_SOURCE */
int __wrap___open64_2(const char *path, int flags)
{
	return __wrap_open64(path, flags);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	if (kernel_inside.fake == NULL)
		return __real_mkdir(path, mode);
	pthread_mutex_lock(&kernel_inside.lock);
	int result = __real_mkdir(path, mode), os_error = errno;
	if (result == 0 && ends_with(path, ENTRY))
		fill_entry(kernel_inside.fake);
	pthread_mutex_unlock(&kernel_inside.lock);
	errno = os_error;
	return result;
}

int __wrap_rmdir(const char *path)
{
	if (kernel_inside.fake == NULL)
		return __real_rmdir(path);
	pthread_mutex_lock(&kernel_inside.lock);
	empty_entry(kernel_inside.fake);
	pthread_mutex_unlock(&kernel_inside.lock);
	return 0;
}

static void inside_open(struct fake *fake)
{
	*fake = (struct fake){.provider = "sev_guest\n"};
	(void)snprintf(fake->root, sizeof(fake->root), "/tmp/bulla-fake-XXXXXX");
	assert_non_null(mkdtemp(fake->root));
	make_folders(fake, "/sys/kernel/config/tsm/report");
	kernel_inside.fake = fake;
	kernel_inside.left = kernel_inside.between = 0;
	atomic_store(&kernel_inside.writes, 0);
}

static void inside_close(struct fake *fake)
{
	char command[128];

	kernel_inside.fake = NULL;
	(void)snprintf(command, sizeof(command), "rm -rf %s", fake->root);
	assert_int_equal(system(command), 0);
}

/* Two enclaves' drivers on one entry, at the same time. */
struct rival {
	const char *root;
	uint8_t binder[64];
	unsigned tries;
	bulla_rc rc;
	bool own;
};

static void *rival_main(void *arg)
{
	struct rival *rival = arg;
	struct bulla_evidence evidence;

	bulla_evidence_init(&evidence);
	rival->rc = bulla_evidence_tsm(rival->root, rival->binder, rival->tries, &evidence);
	rival->own = rival->rc == BULLA_OK &&
		bulla_bytes_eq(bulla_bytes_of(evidence.report.p + 0x50, 64), BULLA_BYTES_ARRAY(rival->binder));
	bulla_evidence_done(&evidence);
	return NULL;
}

/* At least one has its report: who is disturbed asks again, and when one is done nobody disturbs the other. Nobody ever takes the
 * other's. */
static void concurrent_writers_never_mix(void **state)
{
	struct fake fake;
	struct rival rivals[2];
	pthread_t threads[2];

	(void)state;
	inside_open(&fake);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 2; i++) {
			rivals[i] = (struct rival){.root = fake.root, .tries = 300, .binder = {(uint8_t)(10 + i), (uint8_t)round}};
			assert_int_equal(pthread_create(&threads[i], NULL, rival_main, &rivals[i]), 0);
		}
		for (unsigned i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		assert_true(rivals[0].rc == BULLA_OK || rivals[1].rc == BULLA_OK);
		for (unsigned i = 0; i < 2; i++) {
			assert_true(rivals[i].rc == BULLA_OK || rivals[i].rc == BULLA_E_BUSY);
			assert_true(rivals[i].own == (rivals[i].rc == BULLA_OK));
		}
	}
	inside_close(&fake);
}

static void a_report_that_came_between_is_not_taken(void **state)
{
	struct fake fake;
	struct rival rival;

	(void)state;
	inside_open(&fake);
	rival = (struct rival){.root = fake.root, .binder = {9}, .tries = 6};
	kernel_inside.between = 3;
	(void)rival_main(&rival);
	assert_ok(rival.rc);
	assert_true(rival.own);
	assert_int_equal(atomic_load(&kernel_inside.writes), 3 + 4);
	kernel_inside.between = 1000;
	(void)rival_main(&rival);
	assert_rc(BULLA_E_BUSY, rival.rc);
	inside_close(&fake);
}

/* The other one is done and removes the entry while we wait for our report. */
static void an_entry_that_vanishes_is_made_again(void **state)
{
	struct fake fake;
	struct rival rival;

	(void)state;
	inside_open(&fake);
	rival = (struct rival){.root = fake.root, .binder = {9}, .tries = 6};
	kernel_inside.left = 3;
	(void)rival_main(&rival);
	assert_ok(rival.rc);
	assert_true(rival.own);
	assert_int_equal(atomic_load(&kernel_inside.writes), 4);
	kernel_inside.left = 1000;
	(void)rival_main(&rival);
	assert_rc(BULLA_E_NOT_FOUND, rival.rc);
	inside_close(&fake);
}

static void what_is_there_is_opened(void **state)
{
	struct fake fake;
	struct bulla_source source;

	(void)state;
	fake_open(&fake, "tdx_guest");
	assert_ok(bulla_source_open(&bulla_source_tsm, fake.root, NULL, &source));
	assert_int_equal(source.tee, BULLA_TEE_TDX);
	assert_bytes(bulla_source_word(&source), BULLA_BYTES_LITERAL("tdx"));
	assert_rc(BULLA_E_NOT_FOUND, bulla_source_open(&bulla_source_gramine, fake.root, NULL, &source));
	make_folders(&fake, "/dev/attestation");
	put_text(&fake, "/dev/attestation/quote", "");
	assert_ok(bulla_source_open(&bulla_source_gramine, fake.root, NULL, &source));
	assert_int_equal(source.tee, BULLA_TEE_SGX);
	assert_rc(BULLA_E_IO, bulla_source_open(&bulla_source_tsm, "/nowhere", NULL, &source));
	assert_rc(BULLA_E_IO, bulla_source_open(&bulla_source_azure, fake.root, NULL, &source));
	assert_rc(BULLA_E_IO, bulla_source_open(&bulla_source_nsm, fake.root, NULL, &source));
	make_folders(&fake, "/dev");
	put_text(&fake, "/dev/nsm", "");
	assert_ok(bulla_source_open(&bulla_source_nsm, fake.root, NULL, &source));
	assert_bytes(bulla_source_word(&source), BULLA_BYTES_LITERAL("nitro"));
	close(source.nsm.fd);
	fake_close(&fake);
}

/* --nsm: a socket by its number, or a device by its path */
static void the_module_is_taken_from_where_the_command_line_says(void **state)
{
	struct bulla_source source;

	(void)state;
	assert_ok(bulla_source_open(&bulla_source_nsm, "", "fd:7", &source));
	assert_int_equal(source.nsm.fd, 7);
	assert_rc(BULLA_E_FORMAT, bulla_source_open(&bulla_source_nsm, "", "fd:", &source));
	assert_rc(BULLA_E_FORMAT, bulla_source_open(&bulla_source_nsm, "", "fd:7x", &source));
	assert_rc(BULLA_E_IO, bulla_source_open(&bulla_source_nsm, "", "/nowhere", &source));
	assert_ok(bulla_source_open(&bulla_source_nsm, "/nowhere", "/dev/null", &source)); /* a path as it is: no root before it */
	close(source.nsm.fd);
}

static void gramine_s_files_give_a_quote(void **state)
{
	struct fake fake;
	struct bulla_evidence evidence;
	uint8_t quote[1024] = {3};

	(void)state;
	fake_open(&fake, "sev_guest");
	make_folders(&fake, "/dev/attestation");
	put_text(&fake, "/dev/attestation/attestation_type", "dcap");
	put_text(&fake, "/dev/attestation/user_report_data", "");
	bulla_copy(quote + 48 + 320, binder, 64);
	put_file(&fake, "/dev/attestation/quote", quote, sizeof(quote));
	bulla_evidence_init(&evidence);
	assert_ok(bulla_evidence_gramine(fake.root, binder, &evidence));
	assert_int_equal(evidence.tee, BULLA_TEE_SGX);
	quote[48 + 320] ^= 1;
	put_file(&fake, "/dev/attestation/quote", quote, sizeof(quote));
	assert_rc(BULLA_E_BINDER, bulla_evidence_gramine(fake.root, binder, &evidence));
	put_file(&fake, "/dev/attestation/quote", quote, 100);
	assert_rc(BULLA_E_FORMAT, bulla_evidence_gramine(fake.root, binder, &evidence));
	put_text(&fake, "/dev/attestation/attestation_type", "epid");
	assert_rc(BULLA_E_UNSUPPORTED, bulla_evidence_gramine(fake.root, binder, &evidence));
	bulla_evidence_done(&evidence);
	fake_close(&fake);
}

/* ---- a fake TPM: answers the five commands ---- */
static uint8_t nv_report[2600];
static uint8_t nv_user_data[64];
static bool tpm_refuses;

static size_t answer_command(const uint8_t *c, size_t n, uint8_t *r)
{
	uint32_t code = be(c + 6, 4);

	switch (code) {
	case 0x169: /* NV_ReadPublic: index, SHA-256, attributes, policy, size */
		put_be(r, 14, 2);
		bulla_copy(r + 2, c + 10, 4);
		put_be(r + 6, 0x0b, 2);
		put_be(r + 8, 0, 4);
		put_be(r + 12, 0, 2);
		put_be(r + 14, sizeof(nv_report), 2);
		return 16 + 2;
	case 0x14e: { /* NV_Read */
		uint32_t size = be(c + n - 4, 2), at = be(c + n - 2, 2);
		put_be(r, size + 2, 4);
		put_be(r + 4, size, 2);
		bulla_copy(r + 6, nv_report + at, size);
		return 6 + size;
	}
	case 0x137: /* NV_Write */
		bulla_copy(nv_user_data, c + 33, 64);
		put_be(r, 0, 4);
		return 4;
	case 0x158: /* Quote */
		put_be(r, 2 + 8 + 4 + 2 + 256, 4);
		put_be(r + 4, 8, 2);
		bulla_copy(r + 6, "\xff" "TCGaaaa", 8);
		put_be(r + 14, 0x14, 2);
		put_be(r + 16, 0x0b, 2);
		put_be(r + 18, 256, 2);
		bulla_zero(r + 20, 256);
		return 20 + 256;
	default: /* PCR_Read: counter, selection, eight registers */
		put_be(r, 1, 4);
		put_be(r + 4, 1, 4);
		bulla_copy(r + 8, c + n - 6, 6);
		put_be(r + 14, 8, 4);
		for (unsigned i = 0; i < 8; i++) {
			put_be(r + 18 + 34 * i, 32, 2);
			for (unsigned j = 0; j < 32; j++)
				r[20 + 34 * i + j] = (uint8_t)(c[n - 3] != 0 ? i : 100 + i);
		}
		return 18 + 34 * 8;
	}
}

static bulla_rc fake_call(const struct bulla_tpm *tpm, bulla_bytes command, struct bulla_buf *ret)
{
	uint8_t response[4096];

	(void)tpm;
	assert_int_equal(be(command.p + 2, 4), command.n);
	size_t n = 10 + answer_command(command.p, command.n, response + 10);
	put_be(response, 0x8001, 2);
	put_be(response + 2, (uint32_t)n, 4);
	put_be(response + 6, tpm_refuses ? 0x101 : 0, 4);
	return bulla_buf_append(ret, bulla_bytes_of(response, n));
}

static void azure_s_tpm_gives_report_and_quote(void **state)
{
	struct bulla_tpm tpm = {-1, fake_call};
	struct bulla_evidence evidence;
	bulla_json json, value, pcrs;
	uint8_t bytes[4096];
	size_t n;

	(void)state;
	bulla_copy(nv_report, "HCLA", 4);
	nv_report[32 + 1184 + 8] = 2; /* SNP */
	nv_report[2599] = 9;
	bulla_evidence_init(&evidence);
	assert_ok(bulla_evidence_azure(&tpm, "", BULLA_BYTES_ARRAY(binder), bulla_bytes_str("nonce"), &evidence));
	assert_bytes(BULLA_BYTES_ARRAY(nv_user_data), BULLA_BYTES_ARRAY(binder));
	assert_ok(bulla_json_parse(bulla_buf_view(&evidence.report), &json));
	assert_ok(bulla_json_get_str(json, "hcl_report", &value));
	assert_ok(bulla_foreign_bytes(value, sizeof(bytes), bytes, &n));
	assert_bytes(bulla_bytes_of(bytes, n), BULLA_BYTES_ARRAY(nv_report));
	assert_ok(bulla_json_get_str(json, "tpm_quote", &value));
	assert_ok(bulla_json_get_str(value, "pcrs", &pcrs));
	assert_int_equal(bulla_json_count(pcrs), 24);
	assert_int_equal(bulla_attest_guess(bulla_buf_view(&evidence.report)), BULLA_TEE_AZ_SNP);
	tpm_refuses = true;
	assert_rc(BULLA_E_DENIED, bulla_evidence_azure(&tpm, "", BULLA_BYTES_ARRAY(binder), bulla_bytes_str("nonce"), &evidence));
	tpm_refuses = false;
	assert_rc(BULLA_E_ARGUMENT, bulla_evidence_azure(&tpm, "", BULLA_BYTES_ARRAY(binder), (bulla_bytes){NULL, 0}, &evidence));
	bulla_evidence_done(&evidence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_comes_out_of_the_kernel_s_files),
		cmocka_unit_test(another_writer_between_means_again),
		cmocka_unit_test(a_report_of_something_else_is_not_taken),
		cmocka_unit_test(concurrent_writers_never_mix),
		cmocka_unit_test(a_report_that_came_between_is_not_taken),
		cmocka_unit_test(an_entry_that_vanishes_is_made_again),
		cmocka_unit_test(what_is_there_is_opened),
		cmocka_unit_test(the_module_is_taken_from_where_the_command_line_says),
		cmocka_unit_test(gramine_s_files_give_a_quote),
		cmocka_unit_test(azure_s_tpm_gives_report_and_quote),
	};

	return cmocka_run_group_tests_name("tee_evidence", tests, NULL, NULL);
}
