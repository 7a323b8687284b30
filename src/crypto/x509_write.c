#include "crypto/x509.h"

#include "crypto/ecdsa.h"
#include "crypto/x509_oid.h"
#include "wire/der.h"

#include <string.h>

#define NAME_MAX_BYTES 256
#define PART_MAX 512
#define TBS_MAX 4096
#define COMMON_NAME_MAX 64

/* Writers of this file put finished parts into memory of their own and hand out views of it. */

static void write_attribute(bulla_wr *w, bulla_bytes oid, const char *text)
{
	uint8_t memory[NAME_MAX_BYTES], pair_memory[NAME_MAX_BYTES];
	bulla_wr inner = bulla_wr_fixed(memory, sizeof(memory)), pair = bulla_wr_fixed(pair_memory, sizeof(pair_memory));
	bulla_bytes content;

	bulla_der_wr(&inner, BULLA_DER_OID, oid);
	bulla_der_wr(&inner, BULLA_DER_UTF8, bulla_bytes_str(text));
	if (bulla_wr_end(&inner, &content) != BULLA_OK)
		bulla_wr_fail(w, BULLA_E_LIMIT);
	bulla_der_wr(&pair, BULLA_DER_SEQUENCE, content);
	if (bulla_wr_end(&pair, &content) != BULLA_OK)
		bulla_wr_fail(w, BULLA_E_LIMIT);
	bulla_der_wr(w, BULLA_DER_SET, content);
}

static bulla_rc write_name(const struct bulla_cert_spec *spec, uint8_t memory[NAME_MAX_BYTES], bulla_bytes *ret)
{
	uint8_t inner_memory[NAME_MAX_BYTES];
	bulla_wr inner = bulla_wr_fixed(inner_memory, sizeof(inner_memory)), w = bulla_wr_fixed(memory, NAME_MAX_BYTES);
	bulla_bytes content;
	size_t size = strnlen(spec->common_name, COMMON_NAME_MAX + 1);

	if (size == 0 || size > COMMON_NAME_MAX ||
		(spec->organization != NULL && strnlen(spec->organization, COMMON_NAME_MAX + 1) > COMMON_NAME_MAX))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a certificate's name has 1 to 64 characters");
	if (spec->organization != NULL)
		write_attribute(&inner, OID(OID_ORGANIZATION), spec->organization);
	write_attribute(&inner, OID(OID_COMMON_NAME), spec->common_name);
	BULLA_TRY(bulla_wr_end(&inner, &content));
	bulla_der_wr(&w, BULLA_DER_SEQUENCE, content);
	return bulla_wr_end(&w, ret);
}

static void write_validity(bulla_wr *w, const struct bulla_cert_spec *spec)
{
	uint8_t memory[64];
	bulla_wr inner = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes content;

	bulla_der_wr_time(&inner, spec->not_before);
	bulla_der_wr_time(&inner, spec->not_after);
	if (spec->not_after < spec->not_before || bulla_wr_end(&inner, &content) != BULLA_OK) {
		bulla_wr_fail(w, BULLA_E_ARGUMENT);
		return;
	}
	bulla_der_wr(w, BULLA_DER_SEQUENCE, content);
}

static void write_extension(bulla_wr *w, bulla_bytes oid, bool critical, bulla_bytes value)
{
	static const uint8_t yes = 0xff;
	uint8_t memory[PART_MAX];
	bulla_wr inner = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes content;

	bulla_der_wr(&inner, BULLA_DER_OID, oid);
	if (critical)
		bulla_der_wr(&inner, BULLA_DER_BOOLEAN, bulla_bytes_of(&yes, 1));
	bulla_der_wr(&inner, BULLA_DER_OCTET_STRING, value);
	if (bulla_wr_end(&inner, &content) != BULLA_OK) {
		bulla_wr_fail(w, BULLA_E_LIMIT);
		return;
	}
	bulla_der_wr(w, BULLA_DER_SEQUENCE, content);
}

static void write_basic(bulla_wr *w, const struct bulla_cert_spec *spec)
{
	const uint8_t flag[] = {BULLA_DER_BOOLEAN, 1, 0xff}, pathlen[] = {BULLA_DER_INTEGER, 1, (uint8_t)spec->pathlen};
	uint8_t memory[16];
	bulla_wr value = bulla_wr_fixed(memory, sizeof(memory));
	bool limited = spec->ca && spec->pathlen >= 0;
	bulla_bytes content = {NULL, 0};

	bulla_der_wr_head(&value, BULLA_DER_SEQUENCE, (spec->ca ? sizeof(flag) : 0) + (limited ? sizeof(pathlen) : 0));
	if (spec->ca)
		bulla_wr_bytes(&value, BULLA_BYTES_ARRAY(flag));
	if (limited)
		bulla_wr_bytes(&value, BULLA_BYTES_ARRAY(pathlen));
	if (spec->pathlen > 64 || bulla_wr_end(&value, &content) != BULLA_OK)
		bulla_wr_fail(w, BULLA_E_ARGUMENT);
	write_extension(w, OID(OID_BASIC_CONSTRAINTS), true, content);
}

/* A named bit list in DER: no trailing zero bits. Bits 0 to 7 only. */
static void write_usage(bulla_wr *w, unsigned usage)
{
	uint8_t octet = 0, unused = 7;

	for (unsigned i = 0; i < 8; i++)
		if ((usage >> i & 1) != 0) {
			octet = (uint8_t)(octet | 0x80 >> i);
			unused = (uint8_t)(7 - i);
		}
	const uint8_t value[] = {BULLA_DER_BIT_STRING, 2, unused, octet};
	if (usage == 0 || usage > 0xff)
		bulla_wr_fail(w, BULLA_E_ARGUMENT);
	write_extension(w, OID(OID_KEY_USAGE), true, BULLA_BYTES_ARRAY(value));
}

static void write_extensions(bulla_wr *w, const struct bulla_cert_spec *spec)
{
	uint8_t memory[PART_MAX], list_memory[PART_MAX];
	bulla_wr list = bulla_wr_fixed(memory, sizeof(memory)), sequence = bulla_wr_fixed(list_memory, sizeof(list_memory));
	bulla_bytes content = {NULL, 0};

	write_basic(&list, spec);
	write_usage(&list, spec->usage);
	if (spec->extension_oid.n > 0)
		write_extension(&list, spec->extension_oid, false, spec->extension_value);
	bulla_wr_fail(w, bulla_wr_end(&list, &content));
	bulla_der_wr(&sequence, BULLA_DER_SEQUENCE, content);
	bulla_wr_fail(w, bulla_wr_end(&sequence, &content));
	bulla_der_wr(w, BULLA_DER_EXPLICIT(3), content);
}

static bulla_bytes algorithm_of(const struct bulla_sign_key *key)
{
	static const uint8_t es256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
	static const uint8_t es384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};

	return bulla_sign_key_alg(key) == BULLA_ES256 ? BULLA_BYTES_ARRAY(es256) : BULLA_BYTES_ARRAY(es384);
}

static bulla_rc write_tbs(const struct bulla_cert_spec *spec, const struct bulla_sign_key *key, bulla_wr *w)
{
	static const uint8_t version[] = {BULLA_DER_INTEGER, 1, 2};
	uint8_t name[NAME_MAX_BYTES], memory[TBS_MAX];
	bulla_wr inner = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes subject, content;

	BULLA_TRY(write_name(spec, name, &subject));
	bulla_der_wr(&inner, BULLA_DER_EXPLICIT(0), BULLA_BYTES_ARRAY(version));
	bulla_der_wr_number(&inner, spec->serial);
	bulla_wr_bytes(&inner, algorithm_of(key));
	bulla_wr_bytes(&inner, spec->issuer.n > 0 ? spec->issuer : subject);
	write_validity(&inner, spec);
	bulla_wr_bytes(&inner, subject);
	bulla_wr_bytes(&inner, spec->spki);
	write_extensions(&inner, spec);
	BULLA_TRY(bulla_wr_end(&inner, &content));
	bulla_der_wr(w, BULLA_DER_SEQUENCE, content);
	return BULLA_OK;
}

bulla_rc bulla_cert_write(const struct bulla_cert_spec *spec, struct bulla_sign_key *key, struct bulla_buf *ret)
{
	uint8_t memory[TBS_MAX], body_memory[TBS_MAX + 256], raw[BULLA_SIGNATURE_MAX], der[ECDSA_DER_MAX];
	bulla_wr tbs = bulla_wr_fixed(memory, sizeof(memory)), body = bulla_wr_fixed(body_memory, sizeof(body_memory));
	bulla_wr out = bulla_wr_buf(ret);
	bulla_bytes content;
	size_t size;

	if (spec->serial.n == 0 || spec->serial.n > 20 || spec->spki.n == 0 || spec->spki.n > BULLA_SPKI_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a certificate needs a serial number of 1 to 20 bytes and a key");
	BULLA_TRY(write_tbs(spec, key, &tbs));
	BULLA_TRY(bulla_wr_end(&tbs, &content));
	BULLA_TRY(bulla_sign(key, content, raw));
	size = bulla_ecdsa_to_der(bulla_bytes_of(raw, bulla_sign_key_size(key)), der);
	bulla_wr_bytes(&body, content);
	bulla_wr_bytes(&body, algorithm_of(key));
	bulla_der_wr_bits(&body, bulla_bytes_of(der, size));
	BULLA_TRY(bulla_wr_end(&body, &content));
	bulla_der_wr(&out, BULLA_DER_SEQUENCE, content);
	return bulla_wr_end(&out, &content);
}
