/* bulla attest serve ADDRESS: the attestation service alone, over HTTP/1.1, one request per connection; TLS and access are
 * the business of what stands before it, or of a unix socket's mode.
 *
 *   POST /challenge                                  {"challenge": hex}
 *   POST /verify {"challenge": hex, "evidence": base64, "subject"?: hex of 32 bytes, "collateral"?: [base64]}
 *                                                  {"verdict": "accepted" | "refused", "error": id, "factor": name, "token": JWT}
 *   GET  /holds/SUBJECT                              {"holds": bool, "error": id} */
#include "cmd/attest_job.h"
#include "cmd/keyfile.h"

#include "attest/appraiser.h"
#include "attest/textual.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "io/addr.h"
#include "io/http.h"
#include "io/sys.h"
#include "wire/text.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define REQUEST_MAX (BULLA_HTTP_HEAD_MAX + BULLA_HTTP_BODY_MAX)
#define PATIENCE_MS 5000
#define CHALLENGE_MS 60000
#define PERIOD_MS 300000
#define HOLDS "/holds/"

struct service {
	struct attest_job *job;
	struct bulla_appraiser *appraiser;
	struct keyfile key;
	struct bulla_buf request, answer, token;
};

static int64_t now_ms(void)
{
	return bulla_wall_ms(bulla_sys_clock());
}

/* ---- what is asked ---- */
static bulla_rc get_hex(bulla_json object, const char *name, size_t size, uint8_t *ret)
{
	bulla_json value;
	bulla_bytes text;
	size_t found;

	BULLA_TRY(bulla_json_get_str(object, name, &value));
	BULLA_TRY(bulla_json_string_view(value, &text));
	BULLA_TRY(bulla_foreign_hex(text, size, ret, &found));
	return found == size ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "a field has another size");
}

static bulla_rc decode(struct bulla_foreign *foreign, bulla_json value, bulla_bytes *ret)
{
	struct bulla_buf *memory = &foreign->memory;
	size_t size;

	BULLA_TRY(bulla_foreign_bytes(value, memory->cap - memory->n, memory->p + memory->n, &size));
	*ret = bulla_bytes_of(memory->p + memory->n, size);
	memory->n += size;
	return BULLA_OK;
}

static bulla_rc read_collateral(struct service *service, bulla_json body)
{
	struct bulla_foreign *foreign = &service->job->foreign;
	bulla_json list, name, item;

	if (bulla_json_get_str(body, "collateral", &list) != BULLA_OK)
		return BULLA_OK;
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item);) {
		bulla_bytes bytes;

		BULLA_TRY(decode(foreign, item, &bytes));
		BULLA_TRY(bulla_foreign_collateral(foreign, bytes));
	}
	return bulla_foreign_ready(foreign, &service->job->all);
}

struct question {
	uint8_t challenge[BULLA_CHALLENGE_SIZE];
	bulla_digest subject;
	bulla_bytes evidence;
};

static bulla_rc read_question(struct service *service, bulla_bytes text, struct question *ret)
{
	struct bulla_foreign *foreign = &service->job->foreign;
	bulla_json body, value;
	bulla_bytes raw;

	/* nothing of the last question may be left */
	bulla_buf_clear(&foreign->memory);
	foreign->collateral = (struct bulla_attest_collateral){0};
	foreign->parts = (struct bulla_dcap_parts){0};
	BULLA_TRY(bulla_json_parse(text, &body));
	BULLA_TRY(get_hex(body, "challenge", sizeof(ret->challenge), ret->challenge));
	if (bulla_json_get_str(body, "subject", &value) == BULLA_OK)
		BULLA_TRY(get_hex(body, "subject", sizeof(ret->subject.b), ret->subject.b));
	else
		bulla_sha256(BULLA_BYTES_ARRAY(ret->challenge), &ret->subject);
	BULLA_TRY(bulla_json_get_str(body, "evidence", &value));
	BULLA_TRY(decode(foreign, value, &raw));
	BULLA_TRY(bulla_foreign_evidence(foreign, raw, &ret->evidence));
	return read_collateral(service, body);
}

/* ---- what is answered ---- */
static void answer(struct service *service, unsigned status, bulla_bytes body)
{
	const struct bulla_http_message message = {.status = status, .minor = 1, .body = body, .header_count = 2,
		.headers = {{bulla_bytes_str("content-type"), bulla_bytes_str("application/json")},
			{bulla_bytes_str("connection"), bulla_bytes_str("close")}}};
	bulla_wr w = bulla_wr_buf(&service->answer);

	bulla_http_write_response(&w, &message);
}

static void answer_words(struct service *service, unsigned status, const char *const (*pairs)[2], size_t count)
{
	uint8_t memory[32768];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes body;

	bulla_json_wr_object(&j);
	for (size_t i = 0; i < count; i++) {
		bulla_json_wr_name(&j, pairs[i][0]);
		bulla_json_wr_str(&j, pairs[i][1]);
	}
	bulla_json_wr_object_end(&j);
	if (bulla_wr_end(&w, &body) == BULLA_OK)
		answer(service, status, body);
}

static void answer_rc(struct service *service, unsigned status, bulla_rc rc)
{
	answer_words(service, status, (const char *const[][2]){{"error", bulla_rc_id(rc)}}, 1);
}

static void challenge(struct service *service)
{
	uint8_t nonce[BULLA_CHALLENGE_SIZE];
	char hex[2 * BULLA_CHALLENGE_SIZE + 1] = "";
	bulla_wr w = bulla_wr_fixed((uint8_t *)hex, sizeof(hex));
	bulla_rc rc = bulla_appraiser_challenge(service->appraiser, bulla_random_os(), now_ms(), nonce);

	if (rc != BULLA_OK) {
		answer_rc(service, 503, rc);
		return;
	}
	bulla_text_wr_hex(&w, BULLA_BYTES_ARRAY(nonce));
	answer_words(service, 200, (const char *const[][2]){{"challenge", hex}}, 1);
}

static void verify(struct service *service, bulla_bytes body)
{
	struct question question;
	bulla_rc rc = read_question(service, body, &question);

	bulla_buf_clear(&service->token);
	if (rc != BULLA_OK) {
		answer_rc(service, 400, rc);
		return;
	}
	rc = bulla_appraiser_verify(service->appraiser, &question.subject, BULLA_BYTES_ARRAY(question.challenge),
		question.evidence, &service->job->foreign.collateral, now_ms(), &service->token);
	if (bulla_buf_append(&service->token, (bulla_bytes){(const uint8_t *)"", 1}) != BULLA_OK)
		return;
	unsigned failed = service->appraiser->result.failed;
	bool judged = service->token.n > 1; /* else the challenge was not open */
	answer_words(service, 200,
		(const char *const[][2]){{"verdict", rc == BULLA_OK ? "accepted" : "refused"},
			{"error", rc == BULLA_OK ? "" : bulla_rc_id(rc)},
			{"factor", judged && failed < BULLA_FACTOR_COUNT ? bulla_factor_name(failed) : ""},
			{"token", (const char *)service->token.p}},
		4);
}

static void holds(struct service *service, bulla_bytes hex)
{
	bulla_digest subject;
	size_t size = 0;

	if (bulla_foreign_hex(hex, sizeof(subject.b), subject.b, &size) != BULLA_OK || size != sizeof(subject.b)) {
		answer_rc(service, 400, BULLA_E_FORMAT);
		return;
	}
	bulla_rc rc = bulla_appraiser_holds(service->appraiser, &subject, now_ms());
	answer_words(service, 200,
		(const char *const[][2]){{"holds", rc == BULLA_OK ? "yes" : "no"}, {"error", rc == BULLA_OK ? "" : bulla_rc_id(rc)}},
		2);
}

static void serve(struct service *service, const struct bulla_http_message *message)
{
	const size_t prefix = sizeof(HOLDS) - 1;
	bool post = bulla_bytes_eq_str(message->method, "POST");

	if (post && bulla_bytes_eq_str(message->target, "/challenge"))
		challenge(service);
	else if (post && bulla_bytes_eq_str(message->target, "/verify"))
		verify(service, message->body);
	else if (!post && message->target.n > prefix &&
		bulla_bytes_eq_str(bulla_bytes_of(message->target.p, prefix), HOLDS))
		holds(service, bulla_bytes_of(message->target.p + prefix, message->target.n - prefix));
	else
		answer_rc(service, 404, BULLA_E_NOT_FOUND);
}

/* ---- one connection at a time ---- */
static bool wait_for(int fd, short events)
{
	struct pollfd poller = {fd, events, 0};

	return poll(&poller, 1, PATIENCE_MS) > 0;
}

static bool read_request(struct service *service, int fd, struct bulla_http_message *ret)
{
	struct bulla_buf *request = &service->request;
	bulla_rc rc = BULLA_E_AGAIN;
	size_t size;

	while (rc == BULLA_E_AGAIN) {
		if (request->n == request->max || bulla_buf_reserve(request, 1) != BULLA_OK || !wait_for(fd, POLLIN))
			return false;
		ssize_t n = read(fd, request->p + request->n, request->cap - request->n);
		if (n <= 0)
			return false;
		request->n += (size_t)n;
		rc = bulla_http_read_request(bulla_buf_view(request), ret, &size);
	}
	if (rc != BULLA_OK)
		answer_rc(service, 400, rc);
	return rc == BULLA_OK;
}

static void converse(struct service *service, int fd)
{
	struct bulla_http_message message;

	bulla_buf_clear(&service->request);
	bulla_buf_clear(&service->answer);
	if (read_request(service, fd, &message))
		serve(service, &message);
	for (size_t at = 0; at < service->answer.n && wait_for(fd, POLLOUT);) {
		ssize_t n = write(fd, service->answer.p + at, service->answer.n - at);

		if (n <= 0)
			return;
		at += (size_t)n;
	}
}

static int listen_at(struct cli *cli, int *ret)
{
	struct bulla_addr addr;
	uint16_t port;
	bulla_rc rc = bulla_addr_parse(bulla_bytes_str(cli->args[0]), &addr);

	if (rc == BULLA_OK)
		rc = bulla_addr_listen(&addr, 0600, ret);
	if (rc != BULLA_OK)
		return say_rc(cli, rc, cli->args[0], "unix:PATH, or tcp:HOST:PORT");
	if (addr.kind == BULLA_ADDR_TCP && bulla_addr_port(*ret, &port) == BULLA_OK)
		printf("listening on port %u\n", port);
	else
		printf("listening\n");
	fflush(stdout);
	return 0;
}

static int prepare(struct service *service, struct cli *cli)
{
	int code = attest_read_policy(service->job);
	bulla_rc rc;

	if (code != 0)
		return code;
	if (cli->key == NULL) {
		say_error(cli, "usage", NULL, "bulla key new NAME; --key FILE", "verdicts are signed: with which key?");
		return EXIT_USAGE;
	}
	rc = bulla_secret_slab_size() > 0 ? BULLA_OK : bulla_secret_slab_init(16);
	if (rc == BULLA_OK)
		rc = keyfile_read(cli->key, &service->key);
	if (rc == BULLA_OK)
		rc = bulla_alloc(1, sizeof(*service->appraiser), (void **)&service->appraiser);
	if (rc != BULLA_OK)
		return say_rc(cli, rc, cli->key, NULL);
	bulla_appraiser_init(service->appraiser);
	service->appraiser->policy = &service->job->reference.policy;
	service->appraiser->anchors = service->job->all;
	service->appraiser->key = service->key.sign;
	service->appraiser->developer = "bulla";
	service->appraiser->build = "bulla attest serve";
	service->appraiser->challenge_ms = CHALLENGE_MS;
	service->appraiser->period_ms = PERIOD_MS;
	return 0;
}

int cmd_attest_serve(struct cli *cli)
{
	struct service service = {0};
	int listener = -1, fd = -1, code = attest_new(cli, &service.job);

	if (code == 0)
		code = prepare(&service, cli);
	if (code == 0)
		code = listen_at(cli, &listener);
	bulla_buf_init(&service.request, REQUEST_MAX);
	bulla_buf_init(&service.answer, 1 << 17);
	bulla_buf_init(&service.token, 1 << 16);
	while (code == 0) {
		struct pollfd poller = {listener, POLLIN, 0};

		if (poll(&poller, 1, -1) < 0)
			break; /* a signal */
		if (bulla_addr_accept(listener, &fd) != BULLA_OK)
			continue;
		converse(&service, fd);
		bulla_addr_close(fd);
	}
	return code; /* the process ends here: its memory ends with it */
}
