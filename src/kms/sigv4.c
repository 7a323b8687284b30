#include "kms/sigv4.h"

#include "base/rd.h"
#include "crypto/hash.h"
#include "crypto/mac.h"
#include "kms/timetext.h"
#include "wire/text.h"

#define SKEW_MS INT64_C(900000)
#define DATE_TIME 16 /* YYYYMMDDTHHMMSSZ */
#define DATE 8
#define CANONICAL_MAX 65536
#define ALGORITHM "AWS4-HMAC-SHA256"

static bool after(bulla_bytes *text, const char *prefix)
{
	bulla_bytes p = bulla_bytes_str(prefix);

	if (text->n < p.n || !bulla_bytes_eq((bulla_bytes){text->p, p.n}, p))
		return false;
	*text = (bulla_bytes){text->p + p.n, text->n - p.n};
	return true;
}

static bulla_bytes token(bulla_bytes *rest, char stop)
{
	bulla_bytes part = {rest->p, 0};

	while (part.n < rest->n && rest->p[part.n] != (uint8_t)stop)
		part.n++;
	size_t used = part.n < rest->n ? part.n + 1 : part.n;
	*rest = (bulla_bytes){rest->p + used, rest->n - used};
	return part;
}

static bulla_rc read_scope(bulla_bytes scope, struct bulla_kms_authorization *ret)
{
	ret->access_key = token(&scope, '/');
	ret->date = token(&scope, '/');
	ret->region = token(&scope, '/');
	ret->service = token(&scope, '/');
	if (ret->access_key.n == 0 || ret->date.n != DATE || ret->region.n == 0 ||
		!bulla_bytes_eq_str(scope, "aws4_request"))
		return BULLA_FAIL(BULLA_E_FORMAT, "a credential scope is KEY/DATE/REGION/SERVICE/aws4_request");
	return BULLA_OK;
}

bulla_rc bulla_kms_sigv4_parse(const struct bulla_http_message *request, struct bulla_kms_authorization *ret)
{
	bulla_bytes text = bulla_http_header(request, "authorization");
	struct bulla_kms_authorization got = {.access_key = {NULL, 0}};

	if (text.n == 0)
		return BULLA_E_NOT_FOUND;
	if (!after(&text, ALGORITHM " "))
		return BULLA_FAIL(BULLA_E_FORMAT, "an authorization of another algorithm");
	while (text.n > 0) {
		bulla_bytes part = token(&text, ',');

		while (part.n > 0 && part.p[0] == ' ')
			part = (bulla_bytes){part.p + 1, part.n - 1};
		if (after(&part, "Credential="))
			BULLA_TRY(read_scope(part, &got));
		else if (after(&part, "SignedHeaders="))
			got.signed_headers = part;
		else if (after(&part, "Signature="))
			got.signature = part;
		else
			return BULLA_FAIL(BULLA_E_FORMAT, "an authorization has an unknown part");
	}
	if (got.access_key.n == 0 || got.signed_headers.n == 0 || got.signature.n != 64)
		return BULLA_FAIL(BULLA_E_FORMAT, "an authorization lacks a part");
	*ret = got;
	return BULLA_OK;
}

static bool two_digits(const uint8_t *p, int *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = (p[0] - '0') * 10 + (p[1] - '0');
	return true;
}

/* Days since 1970-01-01 of a civil date; Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
 * days_from_civil. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy, doe;

	y -= m <= 2;
	era = y / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static bulla_rc read_time(bulla_bytes text, int64_t *ret_ms)
{
	int f[7] = {0};
	static const uint8_t at[7] = {0, 2, 4, 6, 9, 11, 13};

	if (text.n != DATE_TIME || text.p[8] != 'T' || text.p[15] != 'Z')
		return BULLA_FAIL(BULLA_E_CLOCK, "x-amz-date is missing or not YYYYMMDDTHHMMSSZ");
	for (size_t i = 0; i < 7; i++)
		if (!two_digits(text.p + at[i], &f[i]))
			return BULLA_FAIL(BULLA_E_CLOCK, "x-amz-date is not YYYYMMDDTHHMMSSZ");
	if (f[2] < 1 || f[2] > 12 || f[3] < 1 || f[3] > 31 || f[4] > 23 || f[5] > 59 || f[6] > 60)
		return BULLA_FAIL(BULLA_E_CLOCK, "x-amz-date is no time");
	*ret_ms = ((days_from_civil(f[0] * 100 + f[1], f[2], f[3]) * 24 + f[4]) * 60 + f[5]) * INT64_C(60000) +
		f[6] * INT64_C(1000);
	return BULLA_OK;
}

/* YYYYMMDDTHHMMSSZ: the same time without its dashes and colons. */
static void write_time(int64_t ms, uint8_t ret[DATE_TIME])
{
	uint8_t text[BULLA_TIMETEXT];
	size_t n = 0;

	bulla_timetext(ms, text);
	for (size_t i = 0; i < sizeof(text); i++)
		if (text[i] != '-' && text[i] != ':')
			ret[n++] = text[i];
}

static bool lower_token(bulla_bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] >= 'A' && name.p[i] <= 'Z')
			return false;
	return name.n > 0;
}

static bool lower_eq(bulla_bytes lower, bulla_bytes name)
{
	if (lower.n != name.n)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (lower.p[i] != (name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]))
			return false;
	return true;
}

static bulla_rc only_header(const struct bulla_http_message *request, bulla_bytes lower, bulla_bytes *ret)
{
	size_t found = 0;

	for (size_t i = 0; i < request->header_count; i++) {
		if (!lower_eq(lower, request->headers[i].name))
			continue;
		*ret = request->headers[i].value;
		found++;
	}
	if (found != 1)
		return BULLA_FAIL(BULLA_E_FORMAT, "a signed header is missing or doubled");
	return BULLA_OK;
}

/* Runs of blanks count as one (AWS: "Trimall"). */
static void put_folded(bulla_wr *w, bulla_bytes value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != ' ' || i == 0 || value.p[i - 1] != ' ')
			bulla_wr_u8(w, value.p[i]);
}

static bulla_rc put_headers(bulla_wr *w, const struct bulla_http_message *request, bulla_bytes list)
{
	bulla_bytes before = {NULL, 0};
	bulla_bytes value;

	while (list.n > 0) {
		bulla_bytes name = token(&list, ';');

		if (!lower_token(name) || bulla_bytes_cmp(before, name) >= 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "signed headers are lower case and in order");
		BULLA_TRY(only_header(request, name, &value));
		bulla_wr_bytes(w, name);
		bulla_text_wr(w, ":");
		put_folded(w, value);
		bulla_text_wr(w, "\n");
		before = name;
	}
	return BULLA_OK;
}

static bulla_rc canonical_digest(const struct bulla_http_message *request, bulla_bytes signed_headers,
	bulla_digest *ret)
{
	BULLA_AUTO_BUF buf;
	bulla_digest payload;
	bulla_bytes text;

	bulla_buf_init(&buf, CANONICAL_MAX);
	bulla_wr w = bulla_wr_buf(&buf);
	if (!bulla_bytes_eq_str(request->target, "/"))
		return BULLA_FAIL(BULLA_E_FORMAT, "this API has one path");
	bulla_wr_bytes(&w, request->method);
	bulla_text_wr(&w, "\n/\n\n");
	BULLA_TRY(put_headers(&w, request, signed_headers));
	bulla_text_wr(&w, "\n");
	bulla_wr_bytes(&w, signed_headers);
	bulla_text_wr(&w, "\n");
	bulla_sha256(request->body, &payload);
	bulla_text_wr_hex(&w, bulla_bytes_digest(&payload));
	BULLA_TRY(bulla_wr_end(&w, &text));
	bulla_sha256(text, ret);
	return BULLA_OK;
}

static void hmac(bulla_bytes key, bulla_bytes message, bulla_digest *ret)
{
	struct bulla_hmac state;

	bulla_hmac_init(&state, key);
	bulla_hmac_add(&state, message);
	bulla_hmac_end(&state, ret);
}

static bulla_rc signing_key(const struct bulla_kms_credential *credential, bulla_bytes date, bulla_digest *ret)
{
	uint8_t first[4 + 128];
	bulla_bytes steps[] = {date, credential->region, credential->service, BULLA_BYTES_LITERAL("aws4_request")};

	if (credential->secret_key.n > 128)
		return BULLA_FAIL(BULLA_E_LIMIT, "a secret access key is too long");
	bulla_copy(first, "AWS4", 4);
	bulla_copy(first + 4, credential->secret_key.p, credential->secret_key.n);
	hmac(bulla_bytes_of(first, 4 + credential->secret_key.n), steps[0], ret);
	bulla_wipe(first, sizeof(first));
	for (size_t i = 1; i < 4; i++)
		hmac(bulla_bytes_digest(ret), steps[i], ret);
	return BULLA_OK;
}

static bulla_rc signature_of(const struct bulla_http_message *request, bulla_bytes signed_headers,
	bulla_bytes date_time, const struct bulla_kms_credential *credential, bulla_digest *ret)
{
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes date = {date_time.p, DATE};
	bulla_digest key, canonical;
	bulla_bytes text;

	BULLA_TRY(canonical_digest(request, signed_headers, &canonical));
	bulla_text_wr(&w, ALGORITHM "\n");
	bulla_wr_bytes(&w, date_time);
	bulla_text_wr(&w, "\n");
	bulla_wr_bytes(&w, date);
	bulla_text_wr(&w, "/");
	bulla_wr_bytes(&w, credential->region);
	bulla_text_wr(&w, "/");
	bulla_wr_bytes(&w, credential->service);
	bulla_text_wr(&w, "/aws4_request\n");
	bulla_text_wr_hex(&w, bulla_bytes_digest(&canonical));
	BULLA_TRY(bulla_wr_end(&w, &text));
	BULLA_TRY(signing_key(credential, date, &key));
	hmac(bulla_bytes_digest(&key), text, ret);
	bulla_wipe(&key, sizeof(key));
	return BULLA_OK;
}

static bool in_list(bulla_bytes list, bulla_bytes name)
{
	while (list.n > 0)
		if (lower_eq(token(&list, ';'), name))
			return true;
	return false;
}

/* What decides about the request has to be signed: host and everything of AWS's own. */
static bulla_rc check_coverage(const struct bulla_http_message *request, bulla_bytes signed_headers)
{
	for (size_t i = 0; i < request->header_count; i++) {
		bulla_bytes name = request->headers[i].name;
		bool amz = name.n > 6 && bulla_http_name_eq((bulla_bytes){name.p, 6}, "x-amz-");

		if ((amz || bulla_http_name_eq(name, "host")) && !in_list(signed_headers, name))
			return BULLA_FAIL(BULLA_E_FORMAT, "host and x-amz- headers have to be signed");
	}
	if (bulla_http_header(request, "host").n == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "no host");
	return BULLA_OK;
}

static bulla_rc check_payload(const struct bulla_http_message *request)
{
	bulla_bytes said = bulla_http_header(request, "x-amz-content-sha256");
	uint8_t claimed[32];
	bulla_digest payload;

	if (said.n == 0)
		return BULLA_OK;
	bulla_sha256(request->body, &payload);
	BULLA_TRY(bulla_text_hex(said, sizeof(claimed), claimed));
	if (!bulla_bytes_eq(BULLA_BYTES_ARRAY(claimed), bulla_bytes_digest(&payload)))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "x-amz-content-sha256 is of another body");
	return BULLA_OK;
}

bulla_rc bulla_kms_sigv4_verify(const struct bulla_http_message *request,
	const struct bulla_kms_authorization *authorization,
	const struct bulla_kms_credential *credential, int64_t wall_ms)
{
	bulla_bytes date_time = bulla_http_header(request, "x-amz-date");
	uint8_t claimed[32];
	bulla_digest signature;
	int64_t then_ms;

	BULLA_TRY(read_time(date_time, &then_ms));
	if (then_ms - wall_ms > SKEW_MS || wall_ms - then_ms > SKEW_MS)
		return BULLA_FAIL(BULLA_E_CLOCK, "the request was signed more than 15 minutes ago or ahead");
	if (!bulla_bytes_eq(authorization->access_key, credential->access_key))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "the request is signed with another access key");
	if (!bulla_bytes_eq(authorization->date, (bulla_bytes){date_time.p, DATE}) ||
		!bulla_bytes_eq(authorization->region, credential->region) ||
		!bulla_bytes_eq(authorization->service, credential->service))
		return BULLA_FAIL(BULLA_E_FORMAT, "a credential scope of another day, region or service");
	BULLA_TRY(check_coverage(request, authorization->signed_headers));
	BULLA_TRY(check_payload(request));
	BULLA_TRY(signature_of(request, authorization->signed_headers, date_time, credential, &signature));
	BULLA_TRY(bulla_text_hex(authorization->signature, sizeof(claimed), claimed));
	if (!bulla_bytes_eq_ct(BULLA_BYTES_ARRAY(claimed), bulla_bytes_digest(&signature)))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "the request's signature does not verify");
	return BULLA_OK;
}

static bulla_rc add_header(struct bulla_http_message *request, const char *name, bulla_bytes value)
{
	if (request->header_count == BULLA_HTTP_HEADERS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many headers");
	request->headers[request->header_count++] = (struct bulla_http_header){bulla_bytes_str(name), value};
	return BULLA_OK;
}

/* Names of all headers in order, ';' between; they are lower case already. */
static bulla_rc put_names(bulla_wr *w, const struct bulla_http_message *request)
{
	bulla_bytes last = {NULL, 0};

	for (size_t n = 0; n < request->header_count; n++) {
		bulla_bytes next = {NULL, 0};

		for (size_t i = 0; i < request->header_count; i++) {
			bulla_bytes name = request->headers[i].name;

			if (!lower_token(name))
				return BULLA_FAIL(BULLA_E_ARGUMENT, "header names to be signed are lower case");
			if (bulla_bytes_cmp(name, last) > 0 && (next.p == NULL || bulla_bytes_cmp(name, next) < 0))
				next = name;
		}
		if (next.p == NULL)
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a header is doubled");
		if (n > 0)
			bulla_text_wr(w, ";");
		bulla_wr_bytes(w, next);
		last = next;
	}
	return BULLA_OK;
}

bulla_rc bulla_kms_sigv4_sign(struct bulla_http_message *request, const struct bulla_kms_credential *credential,
	int64_t wall_ms, struct bulla_buf *scratch)
{
	uint8_t names[2048];
	bulla_wr list = bulla_wr_fixed(names, sizeof(names));
	bulla_bytes signed_headers, date_time, value;
	bulla_digest signature;
	uint8_t time[DATE_TIME];

	/* all in one go: views into scratch must not move */
	BULLA_TRY(bulla_buf_reserve(scratch, DATE_TIME + 4096));
	write_time(wall_ms, time);
	bulla_wr w = bulla_wr_buf(scratch);
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(time));
	BULLA_TRY(bulla_wr_end(&w, &date_time));
	BULLA_TRY(add_header(request, "x-amz-date", date_time));
	BULLA_TRY(put_names(&list, request));
	BULLA_TRY(bulla_wr_end(&list, &signed_headers));
	BULLA_TRY(signature_of(request, signed_headers, date_time, credential, &signature));
	w = bulla_wr_buf(scratch);
	bulla_text_wr(&w, ALGORITHM " Credential=");
	bulla_wr_bytes(&w, credential->access_key);
	bulla_text_wr(&w, "/");
	bulla_wr_bytes(&w, bulla_bytes_of(time, DATE));
	bulla_text_wr(&w, "/");
	bulla_wr_bytes(&w, credential->region);
	bulla_text_wr(&w, "/");
	bulla_wr_bytes(&w, credential->service);
	bulla_text_wr(&w, "/aws4_request, SignedHeaders=");
	bulla_wr_bytes(&w, signed_headers);
	bulla_text_wr(&w, ", Signature=");
	bulla_text_wr_hex(&w, bulla_bytes_digest(&signature));
	BULLA_TRY(bulla_wr_end(&w, &value));
	return add_header(request, "authorization", value);
}
