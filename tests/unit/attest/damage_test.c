/* What bad input gets: every family's accepted case, damaged in each way that the form of evidence forbids, is refused by the
 * rule that its author would look for, at the byte where it stands. What is broken behind the form (roots, dates, debug, bindings) has
 * tests of its own and the committed cases. */
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cases.h"
#include "samples.h"
#include "test.h"

#define ROOM 65536

struct subject {
	const char *name;
	struct bulla_buf file;
	struct attest_replay replay;
	struct bulla_attest_result result;
	uint8_t bytes[ROOM]; /* the evidence, as damaged so far */
	size_t size;
};

static struct subject subject;

static void restore(void)
{
	bulla_bytes evidence = subject.replay.evidence;

	assert_true(evidence.n < ROOM / 2);
	bulla_copy(subject.bytes, evidence.p, evidence.n);
	subject.size = evidence.n;
}

static void subject_open(const char *name)
{
	char path[256];

	subject = (struct subject){.name = name};
	(void)snprintf(path, sizeof(path), "tests/vectors/attest/%s-held.case", name);
	assert_true(sample_read(path, &subject.file));
	case_open(bulla_buf_view(&subject.file), &subject.replay);
	bulla_rc rc = case_run(name, &subject.replay, &subject.result);
	assert_accepted(&subject.result);
	assert_ok(rc);
	restore();
}

static void subject_close(void)
{
	case_close(&subject.replay);
	bulla_buf_done(&subject.file);
}

/* Of the genuine evidence. */
static size_t find(bulla_bytes word)
{
	bulla_bytes evidence = subject.replay.evidence;

	for (size_t i = 0; i + word.n <= evidence.n; i++)
		if (bulla_bytes_eq(bulla_bytes_of(evidence.p + i, word.n), word))
			return i;
	fail();
	return 0;
}

static void splice(size_t at, size_t removed, bulla_bytes put)
{
	uint8_t tail[ROOM];
	size_t n = subject.size - at - removed;

	bulla_copy(tail, subject.bytes + at + removed, n);
	bulla_copy(subject.bytes + at, put.p, put.n);
	bulla_copy(subject.bytes + at + put.n, tail, n);
	subject.size = at + put.n + n;
}

/* As it stands, then whole again. */
static void refused(enum bulla_factor factor, size_t at)
{
	bulla_bytes genuine = subject.replay.evidence;

	subject.replay.evidence = bulla_bytes_of(subject.bytes, subject.size);
	assert_int_not_equal(case_run("damaged", &subject.replay, &subject.result), BULLA_OK);
	subject.replay.evidence = genuine;
	if (subject.result.failed != (unsigned)factor || subject.result.factors[factor].at != at)
		printf("# %s: %s at %u, not at %zu\n", subject.name, bulla_factor_name(subject.result.failed),
			subject.result.factors[subject.result.failed].at, at);
	assert_factor(&subject.result, factor);
	assert_int_equal(subject.result.factors[factor].at, at);
	restore();
}

static void changed(size_t at, size_t removed, bulla_bytes put, enum bulla_factor factor, size_t place)
{
	splice(at, removed, put);
	refused(factor, place);
}

#define L(text_) BULLA_BYTES_LITERAL(text_)
#define NOTHING ((bulla_bytes){NULL, 0})

static void cut_everywhere(size_t from)
{
	size_t size = subject.replay.evidence.n;

	for (size_t n = from; n < size; n += n < 64 ? 1 : 61) {
		subject.size = n;
		refused(BULLA_FACTOR_SIZE, n);
	}
	splice(size, 0, L("\x00"));
	refused(BULLA_FACTOR_TRAILING, size);
	splice(size, 0, subject.replay.evidence);
	refused(BULLA_FACTOR_TRAILING, size);
}

/* The COSE message around Nitro's and PSA's claims; array: where it begins, 84 44 a1 01 38 22 a0 58 (59) ... */
static void damage_cose(size_t array)
{
	const size_t end = subject.size;

	cut_everywhere(1);
	changed(0, array, L("\xd2\xd2"), BULLA_FACTOR_ENCODING, 1);
	changed(0, array, L("\xd8\x12"), BULLA_FACTOR_ENCODING, 0);
	changed(array, 1, L("\x83"), BULLA_FACTOR_FIELDS, array);
	changed(array, 1, L("\x85"), BULLA_FACTOR_FIELDS, array);
	changed(array, 1, L("\x98\x04"), BULLA_FACTOR_ENCODING, array);
	splice(end, 0, L("\xff"));
	changed(array, 1, L("\x9f"), BULLA_FACTOR_ENCODING, array);
	changed(array + 1, 5, L("\x40"), BULLA_FACTOR_ALGORITHM, array + 1);
	changed(array + 1, 5, L("\x41\xa0"), BULLA_FACTOR_ALGORITHM, array + 1);
	changed(array + 1, 5, L("\xa1\x01\x38\x22"), BULLA_FACTOR_FIELDS, array + 1);
	changed(array + 6, 1, L("\xa1\x01\x38\x22"), BULLA_FACTOR_FIELDS, array + 6);
	changed(array + 6, 1, L("\x80"), BULLA_FACTOR_FIELDS, array + 6);
	changed(array + 7, 0, L("\xf6"), BULLA_FACTOR_FIELDS, array + 7);
}

/* Bytes more in the payload of a Nitro document, whose head is 59 and two bytes of size. */
static void grow(size_t more)
{
	size_t size = ((size_t)subject.bytes[8] << 8 | subject.bytes[9]) + more;

	subject.bytes[8] = (uint8_t)(size >> 8);
	subject.bytes[9] = (uint8_t)size;
}

static void nitro_is_told_what_is_wrong_where(void **state)
{
	static const char *const names[] = {"nitro", "nitrotpm"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		subject_open(names[i]);
		size_t digest = find(L("\x66" "digest\x66SHA384")), module = find(L("\x69module_id")) + 10;
		size_t end = 10 + ((size_t)subject.bytes[8] << 8 | subject.bytes[9]);

		damage_cose(0);
		changed(1, 5, L("\x44\xa1\x01\x38\x23"), BULLA_FACTOR_ALGORITHM, 1);
		changed(7, 1, L("\x5a\x00\x00"), BULLA_FACTOR_ENCODING, 7);
		changed(module, 1, L("\x58"), BULLA_FACTOR_FIELDS, module); /* bytes for text */
		changed(digest + 8, 6, L("SHA512"), BULLA_FACTOR_NITRO_DIGEST, digest + 7);
		grow(14);
		changed(digest, 0, L("\x66" "digest\x66SHA384"), BULLA_FACTOR_FIELDS, digest + 14);
		grow(1);
		changed(digest + 7, 1, L("\x78\x06"), BULLA_FACTOR_ENCODING, digest + 7);
		grow(1);
		changed(digest + 7, 0, L("\xc1"), BULLA_FACTOR_ENCODING, digest + 7);
		grow(23);
		changed(digest, 0, L("\x61x\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00"),
			BULLA_FACTOR_ENCODING, digest + 2);
		assert_string_equal(subject.result.factors[BULLA_FACTOR_ENCODING].text, "the CBOR is nested too deeply");
		grow(1);
		changed(module, 0, L("\x81"), BULLA_FACTOR_FIELDS, module); /* a list of texts for a text */
		grow(20);
		changed(module, 0, L("\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81"),
			BULLA_FACTOR_ENCODING, module);
		assert_string_equal(subject.result.factors[BULLA_FACTOR_ENCODING].text, "the CBOR is nested too deeply");
		grow(1);
		changed(end, 0, L("\x00"), BULLA_FACTOR_TRAILING, end);
		subject_close();
	}
}

static void arm_is_told_what_is_wrong_where(void **state)
{
	(void)state;
	subject_open("psa");
	damage_cose(1);
	changed(0, 1, NOTHING, BULLA_FACTOR_ENCODING, 0);
	changed(2, 5, L("\x43\xa1\x01\x27"), BULLA_FACTOR_ALGORITHM, 3);
	changed(13, 1, L("\x19"), BULLA_FACTOR_FIELDS, 13); /* a number for bytes */
	subject_close();
	subject_open("cca");
	size_t realm = find(L("\x19\xac\xd1"));
	cut_everywhere(1);
	changed(0, 3, L("\xd9\x01\x90"), BULLA_FACTOR_ENCODING, 0);
	changed(0, 3, L("\xda\x00\x00\x03\x8b"), BULLA_FACTOR_ENCODING, 0);
	changed(0, 0, L("\xd9\x03\x8b"), BULLA_FACTOR_ENCODING, 3);
	changed(3, 1, L("\xbf"), BULLA_FACTOR_ENCODING, 3);
	changed(realm, 3, L("\x19\xff\xff"), BULLA_FACTOR_FIELDS, realm);
	changed(realm, 3, L("\x19\xac\xca"), BULLA_FACTOR_FIELDS, realm);
	changed(realm + 3, 3, L("\x79\x01\x00"), BULLA_FACTOR_ENCODING, realm + 3);
	subject_close();
}

static void snp_is_told_what_is_wrong_where(void **state)
{
	(void)state;
	subject_open("snp");
	cut_everywhere(1);
	changed(0, 2, L("\x00\x00"), BULLA_FACTOR_VERSION, 0);
	changed(0, 2, L("\x00\x01"), BULLA_FACTOR_VERSION, 0);
	changed(0x34, 1, L("\x02"), BULLA_FACTOR_ALGORITHM, 0x34);
	changed(0x29f, 1, L("\x01"), BULLA_FACTOR_RESERVED, 0x29f);
	changed(0x49f, 1, L("\x01"), BULLA_FACTOR_RESERVED, 0x49f);
	subject_close();
}

/* pem: where the quote's chain begins; what stands before is its type and size. */
static void damage_chain(size_t pem)
{
	const char end_line[] = "-----END CERTIFICATE-----\n";
	size_t leaf_end = find(bulla_bytes_str(end_line)), ca = leaf_end + sizeof(end_line) - 1;

	changed(pem - 6, 1, L("\x03"), BULLA_FACTOR_PCK_PRESENT, pem - 6);
	changed(pem + 100, 1, L("!"), BULLA_FACTOR_CHAIN_FORM, pem + 100);
	changed(ca + 100, 1, L("!"), BULLA_FACTOR_CHAIN_FORM, ca + 100);
	changed(ca + 28, 1, L("A"), BULLA_FACTOR_CHAIN_FORM, ca); /* not a SEQUENCE */
	size_t digit = leaf_end - 12;
	while (subject.bytes[digit] == '\n' || subject.bytes[digit] == '=')
		digit--;
	changed(digit, 1, subject.bytes[digit] == 'A' ? L("B") : L("A"), BULLA_FACTOR_CHAIN_SIGNATURES, pem);
	changed(ca, 1, L("+"), BULLA_FACTOR_CHAIN_FORM, ca);
}

static void damage_quote(size_t body, bool outer)
{
	size_t sizes = body + 4 + 128, end = subject.size, pem = find(L("-----BEGIN"));

	cut_everywhere(1);
	changed(0, 1, L("\x06"), BULLA_FACTOR_VERSION, 0);
	changed(0, 2, L("\x04\x01"), BULLA_FACTOR_VERSION, 0);
	changed(2, 1, L("\x03"), BULLA_FACTOR_ALGORITHM, 2);
	changed(2, 1, L("\x00"), BULLA_FACTOR_ALGORITHM, 2);
	changed(4, 1, L("\x05"), BULLA_FACTOR_VERSION, 4);
	changed(12, 1, L("\x00"), BULLA_FACTOR_QE_VENDOR, 12);
	subject.bytes[body]--;
	refused(BULLA_FACTOR_TRAILING, end - 1);
	subject.bytes[body]++;
	subject.bytes[body + 1]++;
	refused(BULLA_FACTOR_SIZE, end);
	if (outer) {
		changed(sizes, 1, L("\x05"), BULLA_FACTOR_FIELDS, sizes);
		subject.bytes[sizes + 3]++;
		refused(BULLA_FACTOR_SIZE, sizes + 2);
		subject.bytes[sizes + 3]--;
		refused(BULLA_FACTOR_TRAILING, end - 256);
	}
	damage_chain(pem);
}

static void quotes_are_told_what_is_wrong_where(void **state)
{
	(void)state;
	subject_open("tdx");
	damage_quote(48 + 584, true);
	changed(8, 1, L("\x01"), BULLA_FACTOR_RESERVED, 8);
	subject_close();
	subject_open("sgx");
	damage_quote(48 + 384, false);
	subject_close();
}

/* The character of a base64 value behind a name that holds the byte. */
static size_t digit_of(const char *name, size_t byte)
{
	return find(bulla_bytes_str(name)) + bulla_bytes_str(name).n + 2 + byte * 4 / 3;
}

static void damage_azure_members(void)
{
	size_t end = subject.size, quote = find(L("\"tpm_quote\"")), td = find(L("\"td_quote\""));

	changed(11, 1, L("99"), BULLA_FACTOR_VERSION, 11);
	changed(11, 1, L("1.5"), BULLA_FACTOR_VERSION, 11);
	changed(11, 1, L("\"1\""), BULLA_FACTOR_VERSION, 11);
	changed(quote, 0, L("\"more\":1,"), BULLA_FACTOR_UNKNOWN_FIELDS, quote);
	changed(quote, 0, L("\"version\":1,"), BULLA_FACTOR_FIELDS, quote);
	changed(quote + 13, 0, L("\"more\":1,"), BULLA_FACTOR_UNKNOWN_FIELDS, quote + 13);
	changed(quote, 0, L("\"quote\":{},"), BULLA_FACTOR_FIELDS, quote + 11);
	changed(td, 0, L("\"vcek\":\"AAAA\","), BULLA_FACTOR_FIELDS, td + 14 + 11);
	changed(quote + 12, 1, L("["), BULLA_FACTOR_ENCODING, quote + 22);
	changed(end - 1, 1, L(",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), BULLA_FACTOR_ENCODING,
		end + 4 + BULLA_MAX_JSON_DEPTH - 1);
}

static void azure_is_told_what_is_wrong_where(void **state)
{
	static const char hcl[] = "\"hcl_report\"", td[] = "\"td_quote\"";

	(void)state;
	subject_open("azure");
	cut_everywhere(300);
	damage_azure_members();
	changed(digit_of(hcl, 0), 1, L("!"), BULLA_FACTOR_ENCODING, digit_of(hcl, 0) - 1);
	changed(digit_of(hcl, 0), 1, L("A"), BULLA_FACTOR_ENCODING, digit_of(hcl, 0));
	/* five words behind the hardware report: the version, the kind, the hash */
	changed(digit_of(hcl, 1221), 4, L("////"), BULLA_FACTOR_VERSION, digit_of(hcl, 1220));
	changed(digit_of(hcl, 1224), 4, L("CAAA"), BULLA_FACTOR_FIELDS, digit_of(hcl, 1224));
	changed(digit_of(hcl, 1224), 4, L("AgAA"), BULLA_FACTOR_FIELDS, find(bulla_bytes_str(td)) + 11); /* SNP beside a TD quote */
	/* in the quote inside: its version, its signature, its chain */
	changed(digit_of(td, 0), 4, L("CQAC"), BULLA_FACTOR_VERSION, digit_of(td, 0));
	changed(digit_of(td, 48 + 584 + 4 + 32), 4, L("AAAA"), BULLA_FACTOR_SIGNATURE, digit_of(td, 48 + 584 + 4));
	size_t pem = 48 + 584 + 4 + 134 + 384 + 64 + 2 + 32 + 6;
	changed(digit_of(td, pem - pem % 3 + 99), 4, L("ISEh"), BULLA_FACTOR_CHAIN_FORM, digit_of(td, pem - pem % 3 + 99));
	subject_close();
}

/* RFC 9999: places count from the first byte of the record. */
static void a_record_is_told_what_is_wrong_where(void **state)
{
	uint8_t head[] = {0x82, 0x63, 'a', '/', 'b', 0x59, 0, 0};

	(void)state;
	subject_open("nitro");
	size_t size = subject.size, whole = size + sizeof(head);
	head[6] = (uint8_t)(size >> 8);
	head[7] = (uint8_t)size;
	const bulla_bytes wrapped = BULLA_BYTES_ARRAY(head);
	splice(0, 0, wrapped);
	changed(whole, 0, L("\x00"), BULLA_FACTOR_TRAILING, whole);
	for (size_t n = 1; n < 4; n++) {
		splice(0, 0, wrapped);
		subject.size = n;
		refused(BULLA_FACTOR_SIZE, n);
	}
	splice(0, 0, wrapped);
	subject.size = 100;
	refused(BULLA_FACTOR_SIZE, 100);
	splice(0, 0, wrapped);
	changed(1, 4, L("\x20"), BULLA_FACTOR_FIELDS, 1);
	splice(0, 0, wrapped);
	changed(5, 3, L("\x63" "abc"), BULLA_FACTOR_FIELDS, 5);
	splice(0, 0, wrapped);
	changed(sizeof(head) + 6, 1, L("\xa1"), BULLA_FACTOR_FIELDS, sizeof(head) + 6); /* the header inside */
	subject.size = 0;
	refused(BULLA_FACTOR_SIZE, 0);
	subject_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nitro_is_told_what_is_wrong_where),
		cmocka_unit_test(arm_is_told_what_is_wrong_where),
		cmocka_unit_test(snp_is_told_what_is_wrong_where),
		cmocka_unit_test(quotes_are_told_what_is_wrong_where),
		cmocka_unit_test(azure_is_told_what_is_wrong_where),
		cmocka_unit_test(a_record_is_told_what_is_wrong_where),
	};

	return cmocka_run_group_tests_name("attest_damage", tests, NULL, NULL);
}
