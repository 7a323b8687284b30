#include "samples.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"

static FILE *open_below(const char *root, const char *middle, const char *path)
{
	char name[1024];

	if (root == NULL || snprintf(name, sizeof(name), "%s%s%s", root, middle, path) >= (int)sizeof(name))
		return NULL;
	return fopen(name, "rb");
}

static FILE *open_sample(const char *path)
{
	const char *root = getenv("BULLA_SOURCE_ROOT"), *vectors = getenv("BULLA_VECTORS");

	if (bulla_bytes_str(path).n > 6 && bulla_bytes_eq_str(bulla_bytes_of(path, 6), "tests/"))
		return open_below(root, "/", path);
	FILE *file = open_below(vectors, "/", path);
	return file != NULL ? file : open_below(root, "/../shared/vectors/", path);
}

bool sample_read(const char *path, struct bulla_buf *ret)
{
	FILE *file = open_sample(path);
	uint8_t chunk[4096];
	size_t n;

	bulla_buf_init(ret, 1 << 20);
	if (file == NULL)
		return false;
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		assert_ok(bulla_buf_append(ret, bulla_bytes_of(chunk, n)));
	fclose(file);
	return true;
}

void sample_pem(const char *path, size_t index, struct bulla_buf *ret)
{
	BULLA_AUTO_BUF text;
	X509 *cert = NULL;

	assert_true(sample_read(path, &text));
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	for (size_t i = 0; i <= index; i++) {
		X509_free(cert);
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		assert_non_null(cert);
	}
	uint8_t der[4096], *p = der;
	bulla_buf_init(ret, 8192);
	assert_ok(bulla_buf_append(ret, bulla_bytes_of(der, (size_t)i2d_X509(cert, &p))));
	X509_free(cert);
	BIO_free(bio);
}

bool sample_expectations(const char *folder, struct bulla_buf *buf, bulla_json *ret_json)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/expect.json", folder);
	if (!sample_read(path, buf)) {
		printf("# SKIPPED: no genuine samples of %s (set BULLA_VECTORS)\n", folder);
		return false;
	}
	assert_ok(bulla_json_parse(bulla_buf_view(buf), ret_json));
	return true;
}

static bool member(bulla_json object, const char *name, bulla_json *ret)
{
	return bulla_json_get_str(object, name, ret) == BULLA_OK && bulla_json_type(*ret) != BULLA_JSON_NULL;
}

void sample_text(bulla_json object, const char *name, char *ret, size_t size)
{
	bulla_json value;
	size_t used = 0;

	if (member(object, name, &value) && bulla_json_type(value) == BULLA_JSON_STRING)
		assert_ok(bulla_json_string(value, size - 1, (uint8_t *)ret, &used));
	ret[used] = 0;
}

int64_t sample_number(bulla_json object, const char *name)
{
	bulla_json value;
	int64_t number = 0;

	if (member(object, name, &value))
		assert_ok(bulla_json_int(value, INT64_MIN, INT64_MAX, &number));
	return number;
}

static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

size_t sample_hex(bulla_json object, const char *name, uint8_t *ret, size_t size)
{
	char text[4096];
	size_t n = 0;

	sample_text(object, name, text, sizeof(text));
	for (; text[2 * n] != 0 && n < size; n++)
		ret[n] = (uint8_t)(digit(text[2 * n]) << 4 | digit(text[2 * n + 1]));
	return n;
}

int64_t sample_date(bulla_json object, const char *name)
{
	char text[64];
	int y, mo, d, h, mi, s;

	sample_text(object, name, text, sizeof(text));
	if (sscanf(text, "%d-%d-%d %d:%d:%d", &y, &mo, &d, &h, &mi, &s) != 6)
		return 0;
	int64_t year = mo <= 2 ? y - 1 : y, month = mo + (mo > 2 ? -3 : 9);
	int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + d - 1 - 719468;
	return days * 86400 + h * 3600 + mi * 60 + s;
}

void sample_policy(struct bulla_attest_policy *ret)
{
	bulla_attest_policy_init(ret);
	ret->tees = UINT32_MAX;
	ret->assurance = BULLA_ASSURANCE_HARDWARE;
	ret->any_measurement = true;
	ret->max_age_ms = INT64_C(86400000);
}

struct bulla_attest_binding sample_binding(void)
{
	const struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING;

	return (struct bulla_attest_binding){any, any, any, any, any};
}

struct bulla_attest_time sample_time(int64_t seconds)
{
	return (struct bulla_attest_time){seconds * 1000, BULLA_CLOCK_AT};
}

void sample_dump(const char *kind, bulla_bytes evidence, const struct bulla_attest_result *result)
{
	const char *folder = getenv("BULLA_DUMP");
	char name[512];
	FILE *file;

	if (folder == NULL)
		return;
	(void)snprintf(name, sizeof(name), "%s/%s-%s", folder, kind,
		result->failed < BULLA_FACTOR_COUNT ? bulla_factor_name(result->failed) : "held");
	file = fopen(name, "wbx");
	if (file == NULL)
		return;
	fwrite(evidence.p, 1, evidence.n, file);
	fclose(file);
}

void assert_factor(const struct bulla_attest_result *result, enum bulla_factor factor)
{
	assert_string_equal(bulla_factor_name(result->failed), bulla_factor_name(factor));
	assert_rc(bulla_factor_rc(factor), result->rc);
	assert_int_equal(result->factors[factor].state, BULLA_FACTOR_FAILED);
	assert_non_null(result->factors[factor].text);
	assert_false(result->accepted);
}

void assert_accepted(const struct bulla_attest_result *result)
{
	if (result->failed != BULLA_FACTOR_COUNT)
		printf("# failed: %s at %u: %s\n", bulla_factor_name(result->failed), result->factors[result->failed].at,
			result->factors[result->failed].text);
	assert_string_equal(bulla_factor_name(result->failed), "none");
	assert_true(result->accepted);
}
