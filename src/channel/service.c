#include "channel/service.h"

#include "attest/ear.h"
#include "attest/textual.h"
#include "crypto/hash.h"
#include "wire/json.h"
#include "wire/text.h"

#define BODY_MAX ((size_t)1 << 18)
#define TOKEN_MAX ((size_t)1 << 16)
#define HOLDS "/holds/"

void bulla_service_init(struct bulla_service *service)
{
	*service = (struct bulla_service){.challenges = 0};
	bulla_buf_init(&service->token, TOKEN_MAX);
	bulla_buf_init(&service->body, BODY_MAX);
}

void bulla_service_done(struct bulla_service *service)
{
	bulla_buf_done(&service->token);
	bulla_buf_done(&service->body);
}

/* ---- answers ---- */
struct answer {
	struct bulla_service *service;
	unsigned status;
	const char *type;
	bulla_wr w; /* the body */
	bulla_json_wr j;
};

static void put_str(struct answer *answer, const char *name, const char *value)
{
	bulla_json_wr_name(&answer->j, name);
	bulla_json_wr_str(&answer->j, value);
}

static void put_int(struct answer *answer, const char *name, int64_t value)
{
	bulla_json_wr_name(&answer->j, name);
	bulla_json_wr_int(&answer->j, value);
}

static void put_error(struct answer *answer, unsigned status, bulla_rc why)
{
	answer->status = status;
	put_str(answer, "error", bulla_rc_id(why));
	put_str(answer, "text", bulla_rc_text(why));
}

static bulla_rc write_answer(const struct answer *answer, bulla_bytes body, bool keep, struct bulla_buf *ret)
{
	const struct bulla_http_message message = {.status = answer->status, .minor = 1, .body = body, .header_count = 3,
		.headers = {{BULLA_BYTES_LITERAL("content-type"), bulla_bytes_str(answer->type)},
			{BULLA_BYTES_LITERAL("cache-control"), BULLA_BYTES_LITERAL("no-store")},
			{BULLA_BYTES_LITERAL("connection"), bulla_bytes_str(keep ? "keep-alive" : "close")}}};
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	bulla_http_write_response(&w, &message);
	return bulla_wr_end(&w, &ignored);
}

static void begin(struct bulla_service *service, struct answer *answer)
{
	bulla_buf_clear(&service->body);
	*answer = (struct answer){.service = service, .status = 200, .type = "application/json"};
	answer->w = bulla_wr_buf(&service->body);
	answer->j = bulla_json_wr_of(&answer->w);
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

/* Into the request's memory, which does not move. */
static bulla_rc decode(struct bulla_foreign *foreign, bulla_json value, bulla_bytes *ret)
{
	struct bulla_buf *memory = &foreign->memory;
	size_t size;

	BULLA_TRY(bulla_foreign_bytes(value, memory->cap - memory->n, memory->p + memory->n, &size));
	*ret = bulla_bytes_of(memory->p + memory->n, size);
	memory->n += size;
	return BULLA_OK;
}

static bulla_rc read_collateral(struct bulla_service *service, bulla_json body, bool *ret_any)
{
	struct bulla_foreign *foreign = service->request;
	bulla_json list, name, item;

	*ret_any = false;
	if (bulla_json_get_str(body, "collateral", &list) != BULLA_OK)
		return BULLA_OK;
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item);) {
		bulla_bytes bytes;

		*ret_any = true;
		BULLA_TRY(decode(foreign, item, &bytes));
		BULLA_TRY(bulla_foreign_collateral(foreign, bytes));
	}
	return bulla_foreign_ready(foreign, &service->appraiser->anchors);
}

struct question {
	uint8_t challenge[BULLA_CHALLENGE_SIZE];
	bulla_digest subject;
	bulla_bytes evidence;
	bool cwt;
	const struct bulla_attest_collateral *collateral;
	const char *member; /* which one is being read: what a 400 is about; NULL: the whole */
};

/* A member that nobody reads is a demand that nobody heard. */
static bulla_rc check_members(bulla_json body)
{
	static const char *const known[] = {"challenge", "evidence", "subject", "collateral", "format"};
	bulla_json name, item;
	bulla_bytes text;

	for (struct bulla_json_iter iter = bulla_json_begin(body); bulla_json_next(&iter, &name, &item);) {
		bool found = false;

		BULLA_TRY(bulla_json_string_view(name, &text));
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found = found || bulla_bytes_eq_str(text, known[i]);
		if (!found)
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a request has a member that is not known");
	}
	return BULLA_OK;
}

static bulla_rc read_subject(bulla_json body, struct question *ret)
{
	bulla_json value;

	if (bulla_json_get_str(body, "subject", &value) == BULLA_OK)
		return get_hex(body, "subject", sizeof(ret->subject.b), ret->subject.b);
	bulla_sha256(BULLA_BYTES_ARRAY(ret->challenge), &ret->subject);
	return BULLA_OK;
}

static bulla_rc read_format(bulla_json body, struct question *ret)
{
	bulla_json value;
	bulla_bytes text;

	ret->cwt = false;
	if (bulla_json_get_str(body, "format", &value) != BULLA_OK)
		return BULLA_OK;
	BULLA_TRY(bulla_json_string_view(value, &text));
	ret->cwt = bulla_bytes_eq_str(text, "cwt");
	return ret->cwt || bulla_bytes_eq_str(text, "jwt") ? BULLA_OK
		: BULLA_FAIL(BULLA_E_UNSUPPORTED, "results are jwt or cwt");
}

static bulla_rc read_question(struct bulla_service *service, bulla_bytes text, struct question *ret)
{
	struct bulla_foreign *foreign = service->request;
	bulla_json body, value;
	bulla_bytes raw;
	bool any;

	/* nothing of the last question may be left */
	bulla_buf_clear(&foreign->memory);
	foreign->collateral = (struct bulla_attest_collateral){0};
	foreign->parts = (struct bulla_dcap_parts){0};
	ret->member = NULL;
	BULLA_TRY(bulla_json_parse(text, &body));
	ret->member = "challenge";
	BULLA_TRY(get_hex(body, ret->member, sizeof(ret->challenge), ret->challenge));
	ret->member = "one that is none of challenge, evidence, subject, collateral, format";
	BULLA_TRY(check_members(body));
	ret->member = "subject";
	BULLA_TRY(read_subject(body, ret));
	ret->member = "format";
	BULLA_TRY(read_format(body, ret));
	ret->member = "evidence";
	BULLA_TRY(bulla_json_get_str(body, ret->member, &value));
	BULLA_TRY(decode(foreign, value, &raw));
	BULLA_TRY(bulla_foreign_evidence(foreign, raw, &ret->evidence));
	ret->member = "collateral";
	BULLA_TRY(read_collateral(service, body, &any));
	/* evidence may bring its own: then nothing that is kept is mixed in */
	any = any || foreign->collateral.certificate_count > 0 || foreign->collateral.certificate_table.n > 0;
	ret->collateral = any || service->kept == NULL ? &foreign->collateral : &service->kept->collateral;
	return BULLA_OK;
}

/* ---- the operations ---- */
static void op_challenge(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms)
{
	struct bulla_service *service = answer->service;
	uint8_t nonce[BULLA_CHALLENGE_SIZE];
	bulla_rc rc = bulla_appraiser_challenge(service->appraiser, service->random, now_ms, nonce);

	(void)request;
	if (rc != BULLA_OK) {
		put_error(answer, 503, rc);
		return;
	}
	service->challenges++;
	bulla_json_wr_name(&answer->j, "challenge");
	bulla_json_wr_hex(&answer->j, BULLA_BYTES_ARRAY(nonce));
	put_int(answer, "expires-ms", service->appraiser->challenge_ms);
}

static void put_token(struct answer *answer, bool cwt)
{
	bulla_json_wr_name(&answer->j, "token");
	if (cwt)
		bulla_json_wr_base64(&answer->j, bulla_buf_view(&answer->service->token));
	else
		bulla_json_wr_string(&answer->j, bulla_buf_view(&answer->service->token));
}

/* What broke, in words, and at which byte of the evidence. */
static void put_why(struct answer *answer, bulla_rc rc, bool judged)
{
	const struct bulla_attest_result *result = &answer->service->appraiser->result;
	bool named = judged && result->failed < BULLA_FACTOR_COUNT;

	put_str(answer, "factor", named ? bulla_factor_name((enum bulla_factor)result->failed) : "");
	if (named)
		put_int(answer, "byte", (int64_t)result->factors[result->failed].at);
	if (!judged && rc == BULLA_E_BINDER)
		put_str(answer, "text", "the challenge was never given, or was used before: ask for a new one");
	else if (!judged && rc == BULLA_E_EVIDENCE_STALE)
		put_str(answer, "text", "the challenge has expired: ask for a new one");
	else if (named && result->factors[result->failed].text != NULL)
		put_str(answer, "text", result->factors[result->failed].text);
	else
		put_str(answer, "text", rc == BULLA_OK ? "" : bulla_rc_text(rc));
}

static const char *error_of(bulla_rc rc, bool judged)
{
	if (rc == BULLA_OK)
		return "";
	if (!judged && rc == BULLA_E_BINDER)
		return "challenge-not-open";
	return !judged && rc == BULLA_E_EVIDENCE_STALE ? "challenge-expired" : bulla_rc_id(rc);
}

static void put_verdict(struct answer *answer, const struct question *question, bulla_rc rc)
{
	const struct bulla_attest_result *result = &answer->service->appraiser->result;
	bool judged = answer->service->token.n > 0; /* else the challenge was not open */

	put_str(answer, "verdict", rc == BULLA_OK ? "accepted" : "refused");
	put_str(answer, "error", error_of(rc, judged));
	put_why(answer, rc, judged);
	put_str(answer, "tee", judged ? bulla_tee_name((enum bulla_tee)result->tee) : "");
	put_str(answer, "assurance", judged ? bulla_assurance_name((enum bulla_assurance)result->assurance) : "");
	bulla_json_wr_name(&answer->j, "subject");
	bulla_json_wr_hex(&answer->j, bulla_bytes_digest(&question->subject));
	put_token(answer, question->cwt);
}

static void op_verify(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms)
{
	struct bulla_service *service = answer->service;
	struct question question;
	bulla_rc rc = read_question(service, request->body, &question);

	bulla_buf_clear(&service->token);
	if (rc != BULLA_OK) {
		put_error(answer, 400, rc);
		if (question.member != NULL)
			put_str(answer, "member", question.member);
		return;
	}
	service->appraiser->cwt = question.cwt;
	rc = bulla_appraiser_verify(service->appraiser, &question.subject, BULLA_BYTES_ARRAY(question.challenge),
		question.evidence, question.collateral, now_ms, &service->token);
	*(rc == BULLA_OK ? &service->accepted : &service->refused) += 1;
	put_verdict(answer, &question, rc);
}

static void op_references(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms)
{
	bulla_json value;

	(void)request;
	(void)now_ms;
	bulla_json_wr_name(&answer->j, "references");
	if (bulla_json_parse(answer->service->references, &value) == BULLA_OK)
		bulla_json_wr_raw(&answer->j, value);
	else
		bulla_json_wr_null(&answer->j); /* any code is taken */
}

static void op_health(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms)
{
	const struct bulla_service *service = answer->service;

	(void)request;
	(void)now_ms;
	put_str(answer, "status", "ok");
	put_int(answer, "challenges", (int64_t)service->challenges);
	put_int(answer, "accepted", (int64_t)service->accepted);
	put_int(answer, "refused", (int64_t)service->refused);
	put_int(answer, "bad", (int64_t)service->bad);
}

static void put_coordinate(struct answer *answer, const char *name, bulla_bytes bytes)
{
	bulla_json_wr_name(&answer->j, name);
	uint8_t text[96];
	bulla_wr w = bulla_wr_fixed(text, sizeof(text));

	bulla_text_wr_base64url(&w, bytes);
	bulla_json_wr_string(&answer->j, bulla_bytes_of(text, w.n));
}

/* JWK Set (RFC 7517) with the one key: a point is the last 64 or 96 bytes of its SubjectPublicKeyInfo. */
static void op_keys(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms)
{
	struct bulla_sign_key *key = answer->service->appraiser->key;
	bulla_bytes spki = bulla_sign_key_spki(key);
	bool p384 = bulla_sign_key_alg(key) == BULLA_ES384;
	size_t half = p384 ? 48 : 32;

	(void)request;
	(void)now_ms;
	bulla_json_wr_name(&answer->j, "keys");
	bulla_json_wr_array(&answer->j);
	bulla_json_wr_object(&answer->j);
	put_str(answer, "kty", "EC");
	put_str(answer, "crv", p384 ? "P-384" : "P-256");
	put_str(answer, "alg", p384 ? "ES384" : "ES256");
	put_str(answer, "use", "sig");
	put_coordinate(answer, "kid", bulla_bytes_digest(bulla_sign_key_kid(key)));
	put_coordinate(answer, "x", bulla_bytes_of(spki.p + spki.n - 2 * half, half));
	put_coordinate(answer, "y", bulla_bytes_of(spki.p + spki.n - half, half));
	bulla_json_wr_object_end(&answer->j);
	bulla_json_wr_array_end(&answer->j);
}

static void op_holds(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms)
{
	const size_t prefix = sizeof(HOLDS) - 1;
	bulla_digest subject;
	size_t size = 0;
	bulla_rc rc = bulla_foreign_hex(bulla_bytes_of(request->target.p + prefix, request->target.n - prefix),
		sizeof(subject.b), subject.b, &size);

	if (rc != BULLA_OK || size != sizeof(subject.b)) {
		put_error(answer, 400, BULLA_E_FORMAT);
		return;
	}
	rc = bulla_appraiser_holds(answer->service->appraiser, &subject, now_ms);
	put_str(answer, "holds", rc == BULLA_OK ? "yes" : "no");
	put_str(answer, "error", rc == BULLA_OK ? "" : bulla_rc_id(rc));
}

static const struct operation {
	const char *method, *path;
	bool prefix; /* the path goes on */
	void (*run)(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms);
} operations[] = {
	{"POST", "/challenge", false, op_challenge},
	{"POST", "/verify", false, op_verify},
	{"GET", HOLDS, true, op_holds},
	{"GET", "/references", false, op_references},
	{"GET", "/.well-known/jwks.json", false, op_keys},
	{"GET", "/healthz", false, op_health},
};

static void dispatch(struct answer *answer, const struct bulla_http_message *request, int64_t now_ms)
{
	bool known = false;

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		const struct operation *operation = &operations[i];
		bulla_bytes path = bulla_bytes_str(operation->path), target = request->target;

		if (operation->prefix && target.n > path.n)
			target.n = path.n;
		if (!bulla_bytes_eq(target, path))
			continue;
		known = true;
		if (!bulla_bytes_eq_str(request->method, operation->method))
			continue;
		operation->run(answer, request, now_ms);
		return;
	}
	put_error(answer, known ? 405 : 404, known ? BULLA_E_UNSUPPORTED : BULLA_E_NOT_FOUND);
}

bulla_rc bulla_service_answer(struct bulla_service *service, const struct bulla_http_message *request, int64_t now_ms,
	struct bulla_buf *ret)
{
	struct answer answer;
	bulla_bytes body;

	begin(service, &answer);
	bulla_json_wr_object(&answer.j);
	dispatch(&answer, request, now_ms);
	bulla_json_wr_object_end(&answer.j);
	service->bad += answer.status >= 400 ? 1 : 0;
	BULLA_TRY(bulla_wr_end(&answer.w, &body));
	return write_answer(&answer, body, request->keep_alive, ret);
}

static unsigned status_of(bulla_rc why)
{
	switch ((int)why) {
	case BULLA_E_LIMIT:
		return 413;
	case BULLA_E_TIMEOUT:
		return 408;
	case BULLA_E_VERSION:
		return 505;
	case BULLA_E_UNSUPPORTED:
		return 501;
	default:
		return 400;
	}
}

bulla_rc bulla_service_refuse(struct bulla_service *service, bulla_rc why, struct bulla_buf *ret)
{
	struct answer answer;
	bulla_bytes body;

	begin(service, &answer);
	bulla_json_wr_object(&answer.j);
	put_error(&answer, status_of(why), why);
	bulla_json_wr_object_end(&answer.j);
	service->bad++;
	BULLA_TRY(bulla_wr_end(&answer.w, &body));
	return write_answer(&answer, body, false, ret);
}
