/* bulla attest convert FILE --as FORM: the same evidence in another envelope, or in none. Nothing is judged: what is in it, and
 * the collateral that came along or is given with --collateral, stays as it is. */
#include "cmd/attest_job.h"
#include "cmd/attest_options.h"

#include "cose/cmw.h"
#include "crypto/x509.h"
#include "io/sys.h"
#include "wire/der.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUT_MAX (4 << 20)
#define CERT_REST 512 /* of a certificate: names, dates, key, signature */
#define LABEL_FORMAT "collateral-%02u" /* all of one length: their order is that of their numbers */

struct wrapping {
	bulla_bytes evidence;
	struct bulla_cmw_item items[BULLA_CMW_ITEMS]; /* the evidence first */
	char labels[BULLA_CMW_ITEMS][16];
	size_t count;
};

/* ---- what is in the file ---- */
static int refuse(const struct attest_job *job, bulla_rc rc, const char *what)
{
	say_error(job->cli, bulla_rc_id(rc), job->cli->args[0], "bulla attest show FILE", "%s", what);
	return EXIT_REFUSED;
}

/* A record is the one envelope that the appraisal takes off itself. */
static int take_evidence(const struct attest_job *job, bulla_bytes *ret)
{
	struct bulla_cmw record = {.value = job->evidence};

	if (job->foreign.fault.text != NULL)
		return refuse(job, job->unread != BULLA_OK ? job->unread : BULLA_E_EVIDENCE_FORMAT, job->foreign.fault.text);
	if (bulla_cmw_parse(job->evidence, &record) != BULLA_OK)
		record = (struct bulla_cmw){.value = job->evidence};
	if (record.ind != 0 && (record.ind & BULLA_CMW_EVIDENCE) == 0)
		return refuse(job, BULLA_E_EVIDENCE_FORMAT, "the CMW record says that it holds no evidence");
	if (bulla_attest_guess(record.value) == BULLA_TEE_NONE)
		return refuse(job, BULLA_E_EVIDENCE_FORMAT, "the bytes are no evidence of a known kind");
	if (!bulla_attest_label_fits(record.media_type, record.value))
		return refuse(job, BULLA_E_EVIDENCE_POLICY, "the label around the evidence names another kind");
	*ret = record.value;
	return 0;
}

/* ---- a record, or a collection with what stands beside ---- */
static const char *media_type_of(bulla_bytes piece)
{
	struct bulla_cert cert;
	struct bulla_crl crl;

	if (piece.n > 0 && piece.p[0] == '{')
		return "application/json";
	if (piece.n > 0 && piece.p[0] == '-')
		return "application/pem-certificate-chain";
	if (bulla_cert_parse(piece, &cert) == BULLA_OK)
		return "application/pkix-cert";
	return bulla_crl_parse(piece, &crl) == BULLA_OK ? "application/pkix-crl" : "application/octet-stream";
}

static void add(struct wrapping *wrapping, const char *media_type, bulla_bytes value, uint64_t ind)
{
	size_t n = wrapping->count++;

	if (n >= BULLA_CMW_ITEMS)
		return; /* counted, and refused when all are */
	(void)snprintf(wrapping->labels[n], sizeof(wrapping->labels[n]), n == 0 ? "tee" : LABEL_FORMAT, (unsigned)n);
	wrapping->items[n] = (struct bulla_cmw_item){bulla_bytes_str(wrapping->labels[n]),
		{.media_type = bulla_bytes_str(media_type), .value = value, .ind = ind}};
}

/* What an envelope had in a field of its own is not among the pieces. */
static void add_field(struct wrapping *wrapping, bulla_bytes value)
{
	for (size_t i = 1; i < wrapping->count && i < BULLA_CMW_ITEMS; i++)
		if (wrapping->items[i].record.value.p == value.p)
			return;
	if (value.n > 0)
		add(wrapping, "application/octet-stream", value, BULLA_CMW_ENDORSEMENTS);
}

static int collect(const struct attest_job *job, struct wrapping *ret)
{
	const struct bulla_foreign *foreign = &job->foreign;

	add(ret, bulla_attest_media_type(ret->evidence), ret->evidence, BULLA_CMW_EVIDENCE);
	for (size_t i = 0; i < foreign->piece_count && i < BULLA_FOREIGN_PIECES; i++)
		add(ret, media_type_of(foreign->pieces[i]), foreign->pieces[i], BULLA_CMW_ENDORSEMENTS);
	add_field(ret, foreign->collateral.certificate_table);
	add_field(ret, foreign->collateral.event_log);
	if (ret->count <= BULLA_CMW_ITEMS && foreign->piece_count <= BULLA_FOREIGN_PIECES)
		return 0;
	say_error(job->cli, "limit", "--collateral", "certificates of one chain in one file (PEM)",
		"evidence and collateral are more than %u items", BULLA_CMW_ITEMS);
	return EXIT_USAGE;
}

static void write_cbor(bulla_wr *w, const struct wrapping *wrapping)
{
	if (wrapping->count == 1)
		bulla_cmw_write(w, &wrapping->items[0].record);
	else
		bulla_cmw_collection_write(w, (bulla_bytes){NULL, 0}, wrapping->items, wrapping->count);
}

static void write_json(bulla_wr *w, const struct wrapping *wrapping)
{
	if (wrapping->count == 1)
		bulla_cmw_write_json(w, &wrapping->items[0].record);
	else
		bulla_cmw_collection_write_json(w, wrapping->items, wrapping->count);
	bulla_wr_u8(w, '\n');
}

/* The value of the extension id-pe-cmw (1.3.6.1.5.5.7.1.35), to be put into a certificate. */
static void write_x509(bulla_wr *w, const struct wrapping *wrapping)
{
	BULLA_AUTO_BUF buf;
	bulla_bytes cbor = {NULL, 0};

	bulla_buf_init(&buf, OUT_MAX);
	bulla_wr b = bulla_wr_buf(&buf);
	write_cbor(&b, wrapping);
	bulla_rc rc = bulla_wr_end(&b, &cbor);
	if (rc != BULLA_OK)
		bulla_wr_fail(w, rc);
	bulla_der_wr(w, BULLA_DER_OCTET_STRING, cbor);
}

static void write_raw(bulla_wr *w, const struct wrapping *wrapping)
{
	bulla_wr_bytes(w, wrapping->evidence);
}

static const struct form {
	const char *name;
	bool text, wraps;
	void (*write)(bulla_wr *w, const struct wrapping *wrapping);
} forms[] = {
	{"raw", false, false, write_raw},
	{"cmw", false, true, write_cbor},
	{"cmw-json", true, true, write_json},
	{"cmw-x509", false, true, write_x509},
};

static const struct form *form_of(const struct cli *cli)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (cli->as != NULL && strcmp(forms[i].name, cli->as) == 0)
			return &forms[i];
	return NULL;
}

/* ---- the command ---- */
static int check(const struct cli *cli)
{
	const struct form *form = form_of(cli);

	if (form == NULL)
		say_error(cli, "usage", "--as", "--as cmw", "evidence is converted into which form: raw, cmw, cmw-json, cmw-x509?");
	else if (!form->wraps && cli->set_count > 0)
		say_error(cli, "usage", "--collateral", "--as cmw, cmw-json or cmw-x509", "raw evidence has no place for collateral");
	else if (!form->text && cli->out == NULL && isatty(STDOUT_FILENO) == 1)
		say_error(cli, "usage", "--out", "--out FILE, or --as cmw-json", "bytes that are no text do not go to a terminal");
	else
		return attest_check_files(cli) == 0 ? attest_check_out(cli) : EXIT_USAGE;
	return EXIT_USAGE;
}

/* What the old envelope said and the new one cannot say is told. */
static void say_lost(const struct attest_job *job, const struct form *form, const struct wrapping *wrapping)
{
	char digits[2 * sizeof(job->foreign.binder) + 1];

	if (!form->wraps && wrapping->count > 1)
		say(job->cli, "left out: the collateral that came along; --as cmw keeps it");
	if (!job->foreign.has_binder)
		return;
	for (size_t i = 0; i < sizeof(job->foreign.binder); i++)
		(void)snprintf(digits + 2 * i, 3, "%02x", job->foreign.binder[i]);
	say(job->cli, "the envelope was bound to its key or claims, the new one is not: bulla attest verify --binder %s", digits);
}

static int write_out(const struct attest_job *job, const struct form *form, const struct wrapping *wrapping)
{
	const struct cli *cli = job->cli;
	BULLA_AUTO_BUF buf;
	bulla_bytes out;

	bulla_buf_init(&buf, OUT_MAX);
	bulla_wr w = bulla_wr_buf(&buf);
	form->write(&w, wrapping);
	bulla_rc rc = bulla_wr_end(&w, &out);
	if (rc == BULLA_OK && cli->out != NULL)
		rc = bulla_sys_write_file(cli->out, out, 0644);
	else if (rc == BULLA_OK)
		fwrite(out.p, 1, out.n, stdout);
	if (rc != BULLA_OK)
		return say_rc(cli, rc, cli->out, NULL);
	if (cli->json && cli->out != NULL)
		printf("{\"v\":1,\"t\":\"converted\",\"as\":\"%s\",\"tee\":\"%s\",\"items\":%zu}\n", form->name,
			bulla_tee_name(bulla_attest_guess(wrapping->evidence)), form->wraps ? wrapping->count : 1);
	if (form->write == write_x509 && out.n > BULLA_CERT_MAX - CERT_REST)
		say(cli, "a certificate with this in it would be larger than those that bulla reads (%u bytes)", BULLA_CERT_MAX);
	say_lost(job, form, wrapping);
	return EXIT_DONE;
}

int cmd_attest_convert(struct cli *cli)
{
	struct wrapping wrapping = {.count = 0};
	struct attest_job *job = NULL;
	int code = check(cli);

	if (code == 0)
		code = attest_open_unjudged(cli, &job);
	if (code == 0)
		code = take_evidence(job, &wrapping.evidence);
	if (code == 0)
		code = collect(job, &wrapping);
	if (code == 0)
		code = write_out(job, form_of(cli), &wrapping);
	if (job != NULL)
		attest_close(job);
	return code;
}
