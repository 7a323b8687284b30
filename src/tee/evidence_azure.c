#include "tee/source.h"

#include "wire/json.h"
#include "wire/text.h"

#include <errno.h>
#include <unistd.h>

/* TCG TPM 2.0 Library, part 2 and 3 */
#define ST_NO_SESSIONS 0x8001
#define ST_SESSIONS 0x8002
#define CC_NV_WRITE 0x137
#define CC_NV_READ 0x14e
#define CC_QUOTE 0x158
#define CC_NV_READ_PUBLIC 0x169
#define CC_PCR_READ 0x17e
#define RH_OWNER 0x40000001u
#define RS_PW 0x40000009u
#define ALG_NULL 0x0010
#define ALG_SHA256 0x000b
#define ALG_RSASSA 0x0014

/* azure-cvm-tooling: what the paravisor puts where */
#define NV_REPORT 0x01400001u
#define NV_USER_DATA 0x01400002u
#define HANDLE_AK 0x81000003u

/* the HCL report (attest/azure.h): header, hardware report, five words, runtime data */
#define HCL_HEADER 32
#define HCL_HARDWARE 1184
#define HCL_SNP 2
#define HCL_TDX 4
#define TD_REPORT 1024

#define RESPONSE_MAX 4096
#define CHUNK 1024
#define REPORT_MAX 4096
#define PCRS 24
#define SIGNATURE_MAX 512
#define MESSAGE_MAX 1024

/* As many bytes as its header says: the device may hand it over in parts. */
static bool is_whole(const struct bulla_buf *response)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(response));
	uint32_t size = 0;

	return bulla_rd_skip(&r, 2) == BULLA_OK && bulla_rd_u32be(&r, &size) == BULLA_OK && response->n >= size;
}

static bulla_rc call_device(const struct bulla_tpm *tpm, bulla_bytes command, struct bulla_buf *ret_response)
{
	ssize_t n = write(tpm->fd, command.p, command.n);

	if (n < 0 || (size_t)n != command.n)
		return BULLA_FAIL_OS(BULLA_E_IO, "the TPM does not take the command", errno);
	BULLA_TRY(bulla_buf_reserve(ret_response, RESPONSE_MAX));
	while (!is_whole(ret_response)) {
		n = read(tpm->fd, ret_response->p + ret_response->n, RESPONSE_MAX - ret_response->n);
		if (n <= 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "the TPM does not answer", errno);
		ret_response->n += (size_t)n;
	}
	return BULLA_OK;
}

struct bulla_tpm bulla_tpm_device(int fd)
{
	return (struct bulla_tpm){fd, call_device};
}

struct exchange {
	const struct bulla_tpm *tpm;
	uint8_t command[1024];
	bulla_wr w;
	struct bulla_buf response;
};

static void begin(struct exchange *x, uint16_t tag, uint32_t code)
{
	x->w = bulla_wr_fixed(x->command, sizeof(x->command));
	bulla_wr_u16be(&x->w, tag);
	bulla_wr_u32be(&x->w, 0); /* size, at the end */
	bulla_wr_u32be(&x->w, code);
}

/* Password session with an empty password. */
static void put_session(struct exchange *x)
{
	bulla_wr_u32be(&x->w, 9);
	bulla_wr_u32be(&x->w, RS_PW);
	bulla_wr_u16be(&x->w, 0);
	bulla_wr_u8(&x->w, 0);
	bulla_wr_u16be(&x->w, 0);
}

/* Sends; *ret reads the parameters behind header (and, with sessions, their size). */
static bulla_rc finish(struct exchange *x, bool sessions, bulla_rd *ret)
{
	bulla_bytes command;
	uint16_t tag;
	uint32_t size, code;

	BULLA_TRY(bulla_wr_end(&x->w, &command));
	for (unsigned i = 0; i < 4; i++)
		x->command[2 + i] = (uint8_t)(command.n >> (24 - 8 * i));
	bulla_buf_clear(&x->response);
	BULLA_TRY(x->tpm->call(x->tpm, command, &x->response));
	*ret = bulla_rd_of(bulla_buf_view(&x->response));
	BULLA_TRY(bulla_rd_u16be(ret, &tag));
	BULLA_TRY(bulla_rd_u32be(ret, &size));
	BULLA_TRY(bulla_rd_u32be(ret, &code));
	if (size != x->response.n)
		return BULLA_FAIL(BULLA_E_FORMAT, "the TPM's answer has another size than it says");
	if (code != 0)
		return BULLA_FAIL(BULLA_E_DENIED, "the TPM refuses the command");
	return sessions ? bulla_rd_skip(ret, 4) : BULLA_OK;
}

static bulla_rc take_sized(bulla_rd *r, size_t max, bulla_bytes *ret)
{
	uint16_t size;

	BULLA_TRY(bulla_rd_u16be(r, &size));
	if (size > max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a field of the TPM's answer is too long");
	return bulla_rd_bytes(r, size, ret);
}

static bulla_rc nv_size(struct exchange *x, uint32_t index, uint16_t *ret)
{
	bulla_bytes public, policy;
	uint32_t found, attributes;
	uint16_t hash;
	bulla_rd r, p;

	begin(x, ST_NO_SESSIONS, CC_NV_READ_PUBLIC);
	bulla_wr_u32be(&x->w, index);
	BULLA_TRY(finish(x, false, &r));
	BULLA_TRY(take_sized(&r, 256, &public));
	p = bulla_rd_of(public);
	BULLA_TRY(bulla_rd_u32be(&p, &found));
	BULLA_TRY(bulla_rd_u16be(&p, &hash));
	BULLA_TRY(bulla_rd_u32be(&p, &attributes));
	BULLA_TRY(take_sized(&p, 64, &policy));
	return bulla_rd_u16be(&p, ret);
}

static bulla_rc nv_read(struct exchange *x, uint32_t index, struct bulla_buf *ret)
{
	uint16_t size;

	BULLA_TRY(nv_size(x, index, &size));
	if (size > REPORT_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the HCL report is too long");
	for (unsigned at = 0; at < size;) {
		unsigned part = size - at < CHUNK ? size - at : CHUNK;
		bulla_bytes bytes;
		bulla_rd r;

		begin(x, ST_SESSIONS, CC_NV_READ);
		bulla_wr_u32be(&x->w, RH_OWNER);
		bulla_wr_u32be(&x->w, index);
		put_session(x);
		bulla_wr_u16be(&x->w, (uint16_t)part);
		bulla_wr_u16be(&x->w, (uint16_t)at);
		BULLA_TRY(finish(x, true, &r));
		BULLA_TRY(take_sized(&r, CHUNK, &bytes));
		if (bytes.n != part)
			return BULLA_FAIL(BULLA_E_FORMAT, "the TPM gives another number of bytes");
		BULLA_TRY(bulla_buf_append(ret, bytes));
		at += part;
	}
	return BULLA_OK;
}

static bulla_rc nv_write(struct exchange *x, uint32_t index, bulla_bytes bytes)
{
	bulla_rd r;

	begin(x, ST_SESSIONS, CC_NV_WRITE);
	bulla_wr_u32be(&x->w, RH_OWNER);
	bulla_wr_u32be(&x->w, index);
	put_session(x);
	bulla_wr_u16be(&x->w, (uint16_t)bytes.n);
	bulla_wr_bytes(&x->w, bytes);
	bulla_wr_u16be(&x->w, 0);
	return finish(x, true, &r);
}

static void put_selection(struct exchange *x, uint32_t bits)
{
	bulla_wr_u32be(&x->w, 1);
	bulla_wr_u16be(&x->w, ALG_SHA256);
	bulla_wr_u8(&x->w, 3);
	for (unsigned i = 0; i < 3; i++)
		bulla_wr_u8(&x->w, (uint8_t)(bits >> (8 * i)));
}

static bulla_rc quote(struct exchange *x, bulla_bytes nonce, struct bulla_buf *message, struct bulla_buf *signature)
{
	uint16_t alg, hash;
	bulla_bytes part;
	bulla_rd r;

	begin(x, ST_SESSIONS, CC_QUOTE);
	bulla_wr_u32be(&x->w, HANDLE_AK);
	put_session(x);
	bulla_wr_u16be(&x->w, (uint16_t)nonce.n);
	bulla_wr_bytes(&x->w, nonce);
	bulla_wr_u16be(&x->w, ALG_NULL); /* the key's own scheme */
	put_selection(x, 0xffffff);
	BULLA_TRY(finish(x, true, &r));
	BULLA_TRY(take_sized(&r, MESSAGE_MAX, &part));
	BULLA_TRY(bulla_buf_append(message, part));
	BULLA_TRY(bulla_rd_u16be(&r, &alg));
	BULLA_TRY(bulla_rd_u16be(&r, &hash));
	if (alg != ALG_RSASSA || hash != ALG_SHA256)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the TPM's key signs in another way than RSASSA with SHA-256");
	BULLA_TRY(take_sized(&r, SIGNATURE_MAX, &part));
	return bulla_buf_append(signature, part);
}

/* A TPM gives at most eight registers at once. */
static bulla_rc read_pcrs(struct exchange *x, uint8_t ret[PCRS][32])
{
	for (unsigned first = 0; first < PCRS; first += 8) {
		uint32_t counter, selections, count;
		uint8_t bytes[4 + 3];
		bulla_bytes value;
		bulla_rd r;

		begin(x, ST_NO_SESSIONS, CC_PCR_READ);
		put_selection(x, UINT32_C(0xff) << first);
		BULLA_TRY(finish(x, false, &r));
		BULLA_TRY(bulla_rd_u32be(&r, &counter));
		BULLA_TRY(bulla_rd_u32be(&r, &selections));
		BULLA_TRY(bulla_rd_copy(&r, 6, bytes));
		BULLA_TRY(bulla_rd_u32be(&r, &count));
		if (selections != 1 || count != 8)
			return BULLA_FAIL(BULLA_E_FORMAT, "the TPM gives other registers than were asked for");
		for (unsigned i = 0; i < 8; i++) {
			BULLA_TRY(take_sized(&r, 32, &value));
			BULLA_TRY(bulla_bytes_copy_exact(value, 32, ret[first + i]));
		}
	}
	return BULLA_OK;
}

struct parts {
	struct bulla_buf report, message, signature, td_quote;
	uint8_t pcrs[PCRS][32];
};

static void parts_done(struct parts *parts)
{
	bulla_buf_done(&parts->report);
	bulla_buf_done(&parts->message);
	bulla_buf_done(&parts->signature);
	bulla_buf_done(&parts->td_quote);
}

/* The hardware report stands between the HCL's header and the runtime data, whose third word says which it is. */
static bulla_rc hardware_of(bulla_bytes hcl, enum bulla_tee *ret, bulla_bytes *ret_report)
{
	bulla_rd r = bulla_rd_of(hcl);
	bulla_bytes report;
	uint32_t kind;

	BULLA_TRY(bulla_rd_skip(&r, HCL_HEADER));
	BULLA_TRY(bulla_rd_bytes(&r, HCL_HARDWARE, &report));
	BULLA_TRY(bulla_rd_skip(&r, 8));
	BULLA_TRY(bulla_rd_u32le(&r, &kind));
	if (kind != HCL_SNP && kind != HCL_TDX)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "the HCL report is about another kind of machine");
	*ret = kind == HCL_TDX ? BULLA_TEE_AZ_TDX : BULLA_TEE_AZ_SNP;
	*ret_report = kind == HCL_TDX ? bulla_bytes_of(report.p, TD_REPORT) : report;
	return BULLA_OK;
}

static bulla_rc put_base64(bulla_json_wr *j, const char *name, const struct bulla_buf *value)
{
	BULLA_AUTO_BUF text;
	bulla_bytes base64;

	bulla_buf_init(&text, 2 * BULLA_EVIDENCE_TD_QUOTE);
	bulla_wr w = bulla_wr_buf(&text);
	bulla_text_wr_base64url(&w, bulla_buf_view(value));
	BULLA_TRY(bulla_wr_end(&w, &base64));
	bulla_json_wr_name(j, name);
	bulla_json_wr_string(j, base64);
	return BULLA_OK;
}

static bulla_rc write_json(const struct parts *parts, struct bulla_buf *ret)
{
	bulla_bytes ignored;

	bulla_wr w = bulla_wr_buf(ret);
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "version");
	bulla_json_wr_int(&j, 2);
	bulla_json_wr_name(&j, "tpm_quote");
	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "signature");
	bulla_json_wr_hex(&j, bulla_buf_view(&parts->signature));
	bulla_json_wr_name(&j, "message");
	bulla_json_wr_hex(&j, bulla_buf_view(&parts->message));
	bulla_json_wr_name(&j, "pcrs");
	bulla_json_wr_array(&j);
	for (unsigned i = 0; i < PCRS; i++)
		bulla_json_wr_hex(&j, BULLA_BYTES_ARRAY(parts->pcrs[i]));
	bulla_json_wr_array_end(&j);
	bulla_json_wr_object_end(&j);
	BULLA_TRY(put_base64(&j, "hcl_report", &parts->report));
	if (parts->td_quote.n > 0)
		BULLA_TRY(put_base64(&j, "td_quote", &parts->td_quote));
	bulla_json_wr_object_end(&j);
	return bulla_wr_end(&w, &ignored);
}

static bulla_rc collect(struct exchange *x, const char *service, bulla_bytes user_data, bulla_bytes nonce,
	struct parts *parts, enum bulla_tee *ret)
{
	bulla_bytes hardware;

	BULLA_TRY(nv_write(x, NV_USER_DATA, user_data));
	BULLA_TRY(nv_read(x, NV_REPORT, &parts->report));
	BULLA_TRY(hardware_of(bulla_buf_view(&parts->report), ret, &hardware));
	if (*ret == BULLA_TEE_AZ_TDX)
		BULLA_TRY(bulla_evidence_td_quote(service, hardware, &parts->td_quote));
	BULLA_TRY(quote(x, nonce, &parts->message, &parts->signature));
	return read_pcrs(x, parts->pcrs);
}

bulla_rc bulla_evidence_azure(const struct bulla_tpm *tpm, const char *service, bulla_bytes user_data, bulla_bytes nonce,
	struct bulla_evidence *ret)
{
	struct exchange x = {.tpm = tpm};
	struct parts parts;

	if (user_data.n != BULLA_EVIDENCE_BINDER || nonce.n == 0 || nonce.n > 64)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "user data has 64 bytes, a nonce 1 to 64");
	bulla_buf_init(&x.response, RESPONSE_MAX);
	bulla_buf_init(&parts.report, REPORT_MAX);
	bulla_buf_init(&parts.message, MESSAGE_MAX);
	bulla_buf_init(&parts.signature, SIGNATURE_MAX);
	bulla_buf_init(&parts.td_quote, BULLA_EVIDENCE_TD_QUOTE);
	bulla_buf_clear(&ret->report);
	bulla_buf_clear(&ret->aux);
	bulla_rc rc = collect(&x, service, user_data, nonce, &parts, &ret->tee);
	if (rc == BULLA_OK)
		rc = write_json(&parts, &ret->report);
	bulla_buf_done(&x.response);
	parts_done(&parts);
	return rc;
}

/* --- as a source --- */

static bulla_rc find_kind(const struct bulla_tpm *tpm, enum bulla_tee *ret)
{
	struct exchange x = {.tpm = tpm};
	BULLA_AUTO_BUF hcl;
	bulla_bytes ignored;

	bulla_buf_init(&hcl, REPORT_MAX);
	bulla_buf_init(&x.response, RESPONSE_MAX);
	bulla_rc rc = nv_read(&x, NV_REPORT, &hcl);
	bulla_buf_done(&x.response);
	return rc == BULLA_OK ? hardware_of(bulla_buf_view(&hcl), ret, &ignored) : rc;
}

static bulla_rc open_azure(struct bulla_source *source)
{
	int fd;

	BULLA_TRY(bulla_source_device(source->root, "/dev/tpmrm0", &fd));
	source->tpm = bulla_tpm_device(fd);
	return find_kind(&source->tpm, &source->tee);
}

static bulla_rc make_azure(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret)
{
	const char *service = source->given != NULL ? source->given : BULLA_EVIDENCE_QUOTE_SERVICE;

	(void)public_key;
	return bulla_evidence_azure(&source->tpm, service, bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER), nonce, ret);
}

const struct bulla_source_ops bulla_source_azure = {.option = "quotes", .argument = "ADDRESS",
	.help = "on TDX: who makes quotes of reports; else 169.254.169.254:80", .open = open_azure, .make = make_azure};
