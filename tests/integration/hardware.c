#define _GNU_SOURCE
#include "hardware.h"

#include "crypto/hash.h"
#include "io/addr.h"
#include "io/http.h"
#include "io/sys.h"
#include "octets.h"
#include "test.h"
#include "wire/json.h"
#include "wire/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTRY "/sys/kernel/config/tsm/report/bulla"
#define RTMR3 "/sys/class/misc/tdx_guest/measurements/rtmr3:sha384"
#define TD_REPORT_DATA 128 /* in a TD report */

/* ---- files ---- */
static const char *path_of(const struct hardware *machine, const char *path)
{
	static char name[1024];
	char folder[1024];

	(void)snprintf(name, sizeof(name), "%s%s", machine->root, path);
	for (char *p = name; (p = strchr(p + 1, '/')) != NULL;) {
		(void)snprintf(folder, sizeof(folder), "%.*s", (int)(p - name), name);
		(void)mkdir(folder, 0755);
	}
	return name;
}

/* Whole or not at all: somebody may be reading. */
static void put(const struct hardware *machine, const char *path, bulla_bytes bytes)
{
	assert_ok(bulla_sys_write_file(path_of(machine, path), bytes, 0644));
}

static void put_out(const struct hardware *machine, const char *name, bulla_bytes bytes)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%s", machine->out, name);
	assert_ok(bulla_sys_write_file(path, bytes, 0644));
}

static int make_fifo(const struct hardware *machine, const char *path)
{
	const char *name = path_of(machine, path);

	assert_int_equal(mkfifo(name, 0600), 0);
	int fd = open(name, O_RDWR | O_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

static void put_generation(const struct hardware *machine)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u\n", machine->generation);

	put(machine, ENTRY "/generation", bulla_bytes_of(text, (size_t)n));
}

/* ---- evidence ---- */
static bulla_bytes td_quote(struct hardware *machine, const uint8_t *report_data)
{
	struct dcap_lab *lab = &machine->azure.dcap;

	bulla_copy(lab->body + (lab->tdx ? 520 : 320), report_data, 64);
	if (lab->tdx)
		bulla_copy(lab->body + 472, machine->rtmr3, 48);
	(void)dcap_lab_judge(lab); /* makes it; the lab expects another binding */
	return bulla_bytes_of(lab->quote, lab->quote_size);
}

static bulla_bytes snp_report(struct hardware *machine, const uint8_t *report_data)
{
	bulla_copy(machine->snp.report + 0x50, report_data, 64);
	snp_lab_sign(&machine->snp);
	return BULLA_BYTES_ARRAY(machine->snp.report);
}

static bulla_bytes report(struct hardware *machine, const uint8_t *report_data)
{
	if (strcmp(machine->kind, "snp") == 0)
		return snp_report(machine, report_data);
	if (strcmp(machine->kind, "cca") != 0)
		return td_quote(machine, report_data);
	bulla_copy(machine->arm.nonce, report_data, 64);
	arm_lab_make_cca(&machine->arm);
	return bulla_buf_view(&machine->arm.token);
}

/* ---- the kernel ---- */
static void take_extensions(struct hardware *machine)
{
	uint8_t both[96];

	while (machine->rtmr >= 0 && read(machine->rtmr, both + 48, 48) == 48) {
		bulla_copy(both, machine->rtmr3, 48);
		bulla_sha384(BULLA_BYTES_ARRAY(both), machine->rtmr3);
	}
}

static void on_inblob(struct hardware *machine)
{
	char events[4096];
	BULLA_AUTO_BUF inblob;

	while (read(machine->watch, events, sizeof(events)) > 0)
		;
	take_extensions(machine);
	bulla_buf_init(&inblob, 4096);
	assert_ok(bulla_sys_read_file(path_of(machine, ENTRY "/inblob"), &inblob));
	if (inblob.n != 64)
		return;
	put(machine, ENTRY "/outblob", report(machine, inblob.p));
	machine->generation++;
	put_generation(machine);
}

static void on_gramine(struct hardware *machine)
{
	uint8_t report_data[64];

	if (read(machine->watch, report_data, sizeof(report_data)) != sizeof(report_data))
		return;
	bulla_bytes quote = td_quote(machine, report_data);
	int fd = open(path_of(machine, "/dev/attestation/quote"), O_WRONLY); /* until somebody reads */
	assert_true(fd >= 0);
	assert_int_equal(write(fd, quote.p, quote.n), quote.n);
	close(fd);
}

/* ---- the TPM ---- */
/* The paravisor's: what the hardware's report says of the runtime data. */
static void bind_hardware(void *ctx, const bulla_digest *runtime)
{
	struct hardware *machine = ctx;
	uint8_t report_data[64] = {0};

	bulla_copy(report_data, runtime->b, 32);
	bulla_zero(machine->azure.hardware, sizeof(machine->azure.hardware));
	if (machine->azure.snp)
		bulla_copy(machine->azure.hardware, snp_report(machine, report_data).p, sizeof(machine->snp.report));
	else
		bulla_copy(machine->azure.hardware + TD_REPORT_DATA, report_data, 64);
}

static size_t nv_read_public(const uint8_t *c, size_t size, uint8_t *r)
{
	put_be(r, 14, 2);
	bulla_copy(r + 2, c + 10, 4);
	put_be(r + 6, 0x0b, 2);
	put_be(r + 8, 0, 6);
	put_be(r + 14, size, 2);
	return 18;
}

static size_t nv_read(const uint8_t *c, size_t n, const uint8_t *hcl, uint8_t *r)
{
	uint32_t size = be(c + n - 4, 2), at = be(c + n - 2, 2);

	put_be(r, size + 2, 4);
	put_be(r + 4, size, 2);
	bulla_copy(r + 6, hcl + at, size);
	return 6 + size;
}

static size_t quote(struct hardware *machine, const uint8_t *c, uint8_t *r)
{
	uint8_t message[512], signature[512];

	/* header, key, session; then the nonce */
	assert_int_equal(be(c + 27, 2), sizeof(machine->azure.nonce));
	bulla_copy(machine->azure.nonce, c + 29, sizeof(machine->azure.nonce));
	size_t size = azure_lab_message(&machine->azure, message);
	size_t signed_size = azure_lab_sign(machine->azure.vtpm, bulla_bytes_of(message, size), signature);
	put_be(r, 2 + size + 6 + signed_size, 4);
	put_be(r + 4, size, 2);
	bulla_copy(r + 6, message, size);
	put_be(r + 6 + size, 0x14, 2);
	put_be(r + 8 + size, 0x0b, 2);
	put_be(r + 10 + size, signed_size, 2);
	bulla_copy(r + 12 + size, signature, signed_size);
	return 12 + size + signed_size;
}

static size_t pcr_read(const struct hardware *machine, const uint8_t *c, size_t n, uint8_t *r)
{
	unsigned first = c[n - 3] != 0 ? 0 : c[n - 2] != 0 ? 8 : 16;

	put_be(r, 1, 4);
	put_be(r + 4, 1, 4);
	bulla_copy(r + 8, c + n - 6, 6);
	put_be(r + 14, 8, 4);
	for (unsigned i = 0; i < 8; i++) {
		put_be(r + 18 + 34 * i, 32, 2);
		bulla_copy(r + 20 + 34 * i, machine->azure.pcrs[first + i], 32);
	}
	return 18 + 34 * 8;
}

static size_t answer(struct hardware *machine, const uint8_t *c, size_t n, uint8_t *r)
{
	static uint8_t hcl[4096];
	static size_t size;
	uint32_t code = be(c + 6, 4);

	if (code == 0x137)
		bulla_copy(machine->azure.user_data, c + 33, 64);
	if (code == 0x137 || size == 0) /* made anew when user data is written: it is read in parts */
		size = azure_lab_hcl(&machine->azure, bind_hardware, machine, hcl);
	switch (code) {
	case 0x169:
		return nv_read_public(c, size, r);
	case 0x14e:
		return nv_read(c, n, hcl, r);
	case 0x137:
		put_be(r, 0, 4);
		return 4;
	case 0x158:
		return quote(machine, c, r);
	default:
		return pcr_read(machine, c, n, r);
	}
}

static void on_tpm(struct hardware *machine)
{
	static uint8_t command[4096];
	static size_t have;
	uint8_t response[4096];
	ssize_t got = read(machine->watch, command + have, sizeof(command) - have);

	have += got > 0 ? (size_t)got : 0;
	if (have < 10 || have < be(command + 2, 4))
		return;
	size_t n = 10 + answer(machine, command, have, response + 10);
	have = 0;
	put_be(response, 0x8001, 2);
	put_be(response + 2, n, 4);
	put_be(response + 6, 0, 4);
	assert_int_equal(write(machine->watch, response, n), n);
}

/* ---- Azure's metadata service ---- */
static bulla_rc read_request(int fd, struct bulla_buf *in, uint8_t ret[1024])
{
	struct bulla_http_message request;
	bulla_json root, value;
	bulla_bytes text;
	size_t size = 0;

	while (bulla_http_read_request(bulla_buf_view(in), &request, &size) == BULLA_E_AGAIN) {
		uint8_t bytes[4096];
		struct pollfd poller = {fd, POLLIN, 0};
		ssize_t n = poll(&poller, 1, 5000) > 0 ? read(fd, bytes, sizeof(bytes)) : 0;

		if (n <= 0)
			return BULLA_E_CLOSED;
		assert_ok(bulla_buf_append(in, bulla_bytes_of(bytes, (size_t)n)));
	}
	assert_true(bulla_bytes_eq_str(request.target, "/acc/tdquote"));
	assert_ok(bulla_json_parse(request.body, &root));
	assert_ok(bulla_json_get_str(root, "report", &value));
	assert_ok(bulla_json_string_view(value, &text));
	assert_ok(bulla_text_base64url(text, 1024, ret, &size));
	assert_int_equal(size, 1024);
	return BULLA_OK;
}

static void on_service(struct hardware *machine)
{
	struct bulla_http_message response = {.status = 200, .minor = 1};
	uint8_t td_report[1024];
	BULLA_AUTO_BUF in, body, out;
	int fd = -1;

	if (bulla_addr_accept(machine->service, &fd) != BULLA_OK)
		return;
	bulla_buf_init(&in, 65536);
	bulla_buf_init(&body, 65536);
	bulla_buf_init(&out, 65536);
	if (read_request(fd, &in, td_report) == BULLA_OK) {
		bulla_wr w = bulla_wr_buf(&body);

		bulla_text_wr(&w, "{\"quote\":\"");
		bulla_text_wr_base64url(&w, td_quote(machine, td_report + TD_REPORT_DATA));
		bulla_text_wr(&w, "\"}");
		assert_ok(bulla_wr_end(&w, &response.body));
		w = bulla_wr_buf(&out);
		bulla_http_write_response(&w, &response);
		assert_int_equal(write(fd, out.p, out.n), out.n);
	}
	bulla_addr_close(fd);
}

/* ---- the machine ---- */
static void make_tsm(struct hardware *machine, const char *provider)
{
	put(machine, ENTRY "/provider", bulla_bytes_str(provider));
	put(machine, ENTRY "/inblob", BULLA_BYTES_LITERAL(""));
	put(machine, ENTRY "/outblob", BULLA_BYTES_LITERAL(""));
	put_generation(machine);
	machine->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_true(inotify_add_watch(machine->watch, path_of(machine, ENTRY "/inblob"), IN_CLOSE_WRITE) >= 0);
}

static void make_tpm(struct hardware *machine)
{
	struct termios raw;
	int slave;

	machine->watch = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(machine->watch >= 0 && grantpt(machine->watch) == 0 && unlockpt(machine->watch) == 0);
	slave = open(ptsname(machine->watch), O_RDWR | O_NOCTTY | O_CLOEXEC); /* stays: a terminal forgets its mode with its last user */
	assert_true(slave >= 0 && tcgetattr(slave, &raw) == 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	assert_int_equal(symlink(ptsname(machine->watch), path_of(machine, "/dev/tpmrm0")), 0);
}

static void make_service(struct hardware *machine)
{
	char text[1024];
	struct bulla_addr addr;

	(void)snprintf(text, sizeof(text), "unix:%s/quotes.sock", machine->out);
	assert_ok(bulla_addr_parse(bulla_bytes_str(text), &addr));
	assert_ok(bulla_addr_listen(&addr, 0600, &machine->service));
}

static void become_sgx(struct dcap_lab *lab)
{
	lab->tdx = false;
	lab->version = 3;
	bulla_zero(lab->body, sizeof(lab->body));
	lab->body[48] = 0x05; /* initialised, 64 bits */
	lab->body[64] = 0xbb; /* MRENCLAVE */
	lab->body[258] = 3;   /* ISVSVN */
	dcap_lab_replace(lab->tcb_info, sizeof(lab->tcb_info), "\"TDX\"", "\"SGX\"");
	dcap_lab_replace(lab->qe_identity, sizeof(lab->qe_identity), "TD_QE", "QE");
}

static void tell(struct hardware *machine, const char *tee, const uint8_t *measurement, size_t size,
	struct bulla_attest_anchor anchor)
{
	machine->tee = tee;
	bulla_copy(machine->measurement, measurement, size);
	machine->measurement_size = size;
	machine->anchor = anchor;
}

/* Intel's collateral once: made anew with each quote it would be another one, which is as good. */
static void put_dcap(struct hardware *machine)
{
	uint8_t none[64] = {0};
	BULLA_AUTO_BUF bundle;

	(void)td_quote(machine, none);
	put_out(machine, "collateral", dcap_lab_bundle(&machine->azure.dcap, &bundle));
}

static void put_snp(const struct hardware *machine)
{
	const struct pki_cert *const certs[] = {&machine->snp.leaf, &machine->snp.issuer, &machine->snp.root};
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(PEM_write_bio_X509(bio, certs[i]->x509), 1);
	size_t n = (size_t)BIO_get_mem_data(bio, &text);
	put_out(machine, "collateral", bulla_bytes_of(text, n));
	BIO_free(bio);
}

static void make_intel(struct hardware *machine)
{
	struct dcap_lab *lab = &machine->azure.dcap;
	bool azure = strcmp(machine->kind, "az-tdx") == 0;

	if (strcmp(machine->kind, "sgx") == 0) {
		become_sgx(lab);
		put(machine, "/dev/attestation/attestation_type", BULLA_BYTES_LITERAL("dcap\n"));
		machine->watch = make_fifo(machine, "/dev/attestation/user_report_data");
		assert_int_equal(mkfifo(path_of(machine, "/dev/attestation/quote"), 0600), 0);
		tell(machine, "sgx", lab->body + 64, 32, lab->anchor);
	} else if (azure) {
		make_tpm(machine);
		make_service(machine);
		tell(machine, bulla_tee_name(BULLA_TEE_AZ_TDX), lab->body + 136, 48, lab->anchor);
	} else {
		machine->rtmr = make_fifo(machine, RTMR3);
		make_tsm(machine, "tdx_guest\n");
		tell(machine, "tdx", lab->body + 136, 48, lab->anchor);
	}
	put_dcap(machine);
}

static void make_amd(struct hardware *machine)
{
	snp_lab_open(&machine->snp, machine->azure.dcap.now);
	put_snp(machine);
	machine->azure.snp = strcmp(machine->kind, "az-snp") == 0;
	if (machine->azure.snp)
		make_tpm(machine);
	else
		make_tsm(machine, "sev_guest\n");
	tell(machine, bulla_tee_name(machine->azure.snp ? BULLA_TEE_AZ_SNP : BULLA_TEE_SNP), machine->snp.report + 0x90, 48,
		machine->snp.anchor);
}

static void make_arm(struct hardware *machine)
{
	static const uint8_t initial[32] = {6}; /* arm_lab's */

	arm_lab_open(&machine->arm, BULLA_TEE_CCA);
	make_tsm(machine, "arm_cca_guest\n");
	tell(machine, "cca", initial, 32, machine->arm.anchor);
}

void hardware_open(struct hardware *machine)
{
	machine->watch = machine->rtmr = machine->service = -1;
	machine->generation = 3;
	azure_lab_open(&machine->azure);
	dcap_lab_close(&machine->azure.dcap);
	dcap_lab_open_at(&machine->azure.dcap, time(NULL) - 30);
	if (strstr(machine->kind, "snp") != NULL)
		make_amd(machine);
	else if (strcmp(machine->kind, "cca") == 0)
		make_arm(machine);
	else
		make_intel(machine);
}

void hardware_serve(struct hardware *machine, int wait_ms)
{
	struct pollfd pollers[3] = {{machine->watch, POLLIN, 0}, {machine->rtmr, POLLIN, 0}, {machine->service, POLLIN, 0}};

	if (poll(pollers, 3, wait_ms) <= 0)
		return;
	take_extensions(machine);
	if (pollers[2].revents != 0)
		on_service(machine);
	if (pollers[0].revents == 0)
		return;
	if (strcmp(machine->kind, "sgx") == 0)
		on_gramine(machine);
	else if (strncmp(machine->kind, "az", 2) == 0)
		on_tpm(machine);
	else
		on_inblob(machine);
}
