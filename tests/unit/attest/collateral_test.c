/* Collateral as strangers keep it, file by file: what Intel's service and its caches answer. All pieces together judge as the
 * lab's own collateral does; a damaged piece is refused, or says the same as before. */
#include <stdio.h>
#include <string.h>

#include "attest/foreign.h"
#include "base/mem.h"
#include "dcap_lab.h"
#include "test.h"

#define PIECES 7

static struct dcap_lab lab;
static struct bulla_foreign foreign;

struct piece {
	const char *name;
	struct bulla_buf text;
};

/* In the order of PCS's answers: TCB info, its chain, QE identity, PCK list, its chain, root's list, a certificate. */
static struct piece pieces[PIECES] = {{.name = "tcb"}, {.name = "tcb chain"}, {.name = "qe"}, {.name = "pck crl"},
	{.name = "pck chain"}, {.name = "root crl"}, {.name = "certificate"}};

static bulla_bytes view(size_t i)
{
	return bulla_buf_view(&pieces[i].text);
}

static void add(struct bulla_buf *buf, const char *text)
{
	assert_ok(bulla_buf_append(buf, bulla_bytes_str(text)));
}

static void add_hex(struct bulla_buf *buf, bulla_bytes bytes)
{
	char digits[4];

	for (size_t i = 0; i < bytes.n; i++) {
		(void)snprintf(digits, sizeof(digits), i % 2 == 0 ? "%02x" : "%02X", bytes.p[i]);
		add(buf, digits);
	}
}

/* PCS's answer: the object as it was signed, and the signature. */
static void add_signed(struct bulla_buf *buf, const char *name, bulla_bytes inner, bulla_bytes signature)
{
	add(buf, "{\"");
	add(buf, name);
	add(buf, "\":");
	assert_ok(bulla_buf_append(buf, inner));
	add(buf, ",\"signature\":\"");
	add_hex(buf, signature);
	add(buf, "\"}");
}

/* As its header carries a chain. */
static void add_encoded(struct bulla_buf *buf, bulla_bytes pem)
{
	for (size_t i = 0; i < pem.n; i++)
		if (strchr(" \n+/=%", pem.p[i]) != NULL) {
			add(buf, "%");
			add_hex(buf, bulla_bytes_of(pem.p + i, 1));
		} else {
			assert_ok(bulla_buf_append(buf, bulla_bytes_of(pem.p + i, 1)));
		}
}

static int open_lab(void **state)
{
	const struct bulla_dcap_parts *parts = &lab.parts;

	(void)state;
	dcap_lab_open(&lab);
	assert_ok(dcap_lab_judge(&lab));
	for (size_t i = 0; i < PIECES; i++)
		bulla_buf_init(&pieces[i].text, 1 << 16);
	add_signed(&pieces[0].text, "tcbInfo", parts->tcb_info, parts->tcb_info_signature);
	add_encoded(&pieces[1].text, parts->tcb_info_chain);
	add_signed(&pieces[2].text, "enclaveIdentity", parts->qe_identity, parts->qe_identity_signature);
	add_hex(&pieces[3].text, parts->pck_crl); /* as PCCS answers */
	add(&pieces[3].text, "\n");
	assert_ok(bulla_buf_append(&pieces[4].text, parts->pck_crl_chain));
	assert_ok(bulla_buf_append(&pieces[5].text, parts->root_crl));
	assert_ok(bulla_buf_append(&pieces[6].text, pki_der(&lab.ca)));
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	for (size_t i = 0; i < PIECES; i++)
		bulla_buf_done(&pieces[i].text);
	dcap_lab_close(&lab);
	return 0;
}

/* All pieces but `changed`, which is as given; missing when it has no bytes. */
static bulla_rc take(size_t changed, bulla_bytes as)
{
	const struct bulla_attest_anchors anchors = {&lab.anchor, 1};

	for (size_t i = 0; i < PIECES; i++) {
		bulla_bytes piece = i == changed ? as : view(i);

		if (piece.n > 0)
			BULLA_TRY(bulla_foreign_collateral(&foreign, piece));
	}
	return bulla_foreign_ready(&foreign, &anchors);
}

static bulla_rc judge(void)
{
	const struct bulla_attest_anchors anchors = {&lab.anchor, 1};

	return bulla_attest_appraise(bulla_bytes_of(lab.quote, lab.quote_size), &foreign.collateral, &anchors, &lab.policy,
		&lab.binding, lab.time, NULL, &lab.result);
}

/* Verdict with piece `changed` as given. */
static bulla_rc with(size_t changed, bulla_bytes as)
{
	bulla_rc rc;

	assert_ok(bulla_foreign_init(&foreign));
	rc = take(changed, as);
	if (rc == BULLA_OK)
		rc = judge();
	bulla_foreign_done(&foreign);
	return rc;
}

static void all_pieces_judge_as_the_whole(void **state)
{
	(void)state;
	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(take(PIECES, (bulla_bytes){NULL, 0}));
	assert_bytes(foreign.parts.tcb_info, lab.parts.tcb_info);
	assert_bytes(foreign.parts.tcb_info_signature, lab.parts.tcb_info_signature);
	assert_bytes(foreign.parts.tcb_info_chain, lab.parts.tcb_info_chain);
	assert_bytes(foreign.parts.qe_identity, lab.parts.qe_identity);
	assert_bytes(foreign.parts.qe_identity_chain, lab.parts.tcb_info_chain);
	assert_bytes(foreign.parts.pck_crl, lab.parts.pck_crl);
	assert_bytes(foreign.parts.pck_crl_chain, lab.parts.pck_crl_chain);
	assert_bytes(foreign.parts.root_crl, lab.parts.root_crl);
	assert_ok(judge());
	assert_non_null(foreign.collateral.dcap);
	bulla_foreign_done(&foreign);
}

static void each_piece_is_needed(void **state)
{
	(void)state;
	for (size_t i = 0; i < PIECES - 1; i++)
		if (with(i, (bulla_bytes){NULL, 0}) == BULLA_OK)
			fail_msg("accepted without the %s", pieces[i].name);
	assert_ok(with(PIECES - 1, (bulla_bytes){NULL, 0})); /* that certificate is in its chain already */
}

/* Of the quote's own chain, where the service's header is not at hand. */
static void the_quote_brings_the_list_s_issuer(void **state)
{
	bulla_bytes evidence;

	(void)state;
	assert_ok(bulla_foreign_init(&foreign));
	assert_ok(bulla_foreign_evidence(&foreign, bulla_bytes_of(lab.quote, lab.quote_size), &evidence));
	assert_true(foreign.parts.pck_crl_chain.n > 0);
	assert_ok(take(4, (bulla_bytes){NULL, 0}));
	assert_ok(judge());
	bulla_foreign_done(&foreign);
}

static void a_bundle_is_all_in_one(void **state)
{
	const struct bulla_attest_anchors anchors = {&lab.anchor, 1};
	struct bulla_buf text;
	bulla_bytes bundle;

	(void)state;
	assert_ok(bulla_foreign_init(&foreign));
	bundle = dcap_lab_bundle(&lab, &text);
	assert_ok(bulla_foreign_collateral(&foreign, bundle));
	assert_ok(bulla_foreign_ready(&foreign, &anchors));
	assert_bytes(foreign.parts.root_crl, lab.parts.root_crl);
	assert_ok(judge());
	bulla_foreign_done(&foreign);
	for (size_t size = 1; size < bundle.n; size += 61) {
		assert_ok(bulla_foreign_init(&foreign));
		assert_int_not_equal(bulla_foreign_collateral(&foreign, bulla_bytes_of(bundle.p, size)), BULLA_OK);
		bulla_foreign_done(&foreign);
	}
	bulla_buf_done(&text);
}

/* What is signed says the same as before. Chains are text, with spaces that mean nothing: a signature stands behind each. */
static bool same(void)
{
	const struct bulla_dcap_parts *now = &foreign.parts, *then = &lab.parts;

	return bulla_bytes_eq(now->tcb_info, then->tcb_info) && bulla_bytes_eq(now->qe_identity, then->qe_identity) &&
		bulla_bytes_eq(now->tcb_info_signature, then->tcb_info_signature) && bulla_bytes_eq(now->pck_crl, then->pck_crl) &&
		bulla_bytes_eq(now->root_crl, then->root_crl);
}

static void damage_is_refused_or_changes_nothing(void **state)
{
	static uint8_t bytes[1 << 16];

	(void)state;
	for (size_t i = 0; i < PIECES - 1; i++) {
		bulla_copy(bytes, view(i).p, view(i).n);
		for (size_t bit = 3 + i; bit < view(i).n * 8; bit += 8 * view(i).n / 40 + 1) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_ok(bulla_foreign_init(&foreign));
			if (take(i, bulla_bytes_of(bytes, view(i).n)) == BULLA_OK && judge() == BULLA_OK && !same())
				fail_msg("%s: bit %zu was flipped, and it is accepted with other words", pieces[i].name, bit);
			bulla_foreign_done(&foreign);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void truncation_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < PIECES - 1; i++)
		/* the last three bytes are a newline, %0A */
		for (size_t size = 1; size + 3 < view(i).n; size += view(i).n / 40 + 1)
			if (with(i, bulla_bytes_of(view(i).p, size)) == BULLA_OK)
				fail_msg("%s: accepted with %zu of %zu bytes", pieces[i].name, size, view(i).n);
}

static void refuse(bulla_rc expected, bulla_bytes bytes)
{
	assert_ok(bulla_foreign_init(&foreign));
	assert_rc(expected, bulla_foreign_collateral(&foreign, bytes));
	bulla_foreign_done(&foreign);
}

static void what_is_no_collateral_is_refused(void **state)
{
	(void)state;
	refuse(BULLA_E_UNSUPPORTED, BULLA_BYTES_LITERAL("{}"));
	refuse(BULLA_E_UNSUPPORTED, BULLA_BYTES_LITERAL("{\"tcb\":1}"));
	refuse(BULLA_E_UNSUPPORTED, BULLA_BYTES_LITERAL("\1\2\3\4"));
	refuse(BULLA_E_FORMAT, BULLA_BYTES_LITERAL("-----BEGIN%20CERTIFICATE-----%"));
	refuse(BULLA_E_FORMAT, BULLA_BYTES_LITERAL("-----BEGIN%20CERTIFICATE-----%2"));
	refuse(BULLA_E_FORMAT, BULLA_BYTES_LITERAL("-----BEGIN%20CERTIFICATE-----%0g"));
}

/* n times the same certificate, or list of an issuer that is not Intel's. */
static bulla_rc take_often(bulla_bytes bytes, size_t n)
{
	bulla_rc rc = BULLA_OK;

	assert_ok(bulla_foreign_init(&foreign));
	for (size_t i = 0; i < n && rc == BULLA_OK; i++)
		rc = bulla_foreign_collateral(&foreign, bytes);
	bulla_foreign_done(&foreign);
	return rc;
}

static void there_may_be_so_many(void **state)
{
	const struct pki_spec spec = {.cn = "Somebody Else", .not_before = LAB_NOW - 100, .not_after = LAB_NOW + 100, .ca = true, .pathlen = -1};
	struct pki_cert other;
	uint8_t list[2048];
	size_t size;

	(void)state;
	assert_ok(take_often(view(6), BULLA_ATTEST_CERTIFICATES));
	assert_rc(BULLA_E_LIMIT, take_often(view(6), BULLA_ATTEST_CERTIFICATES + 1));
	pki_make(&spec, pki_key("P-256"), NULL, &other);
	size = pki_crl(&other, LAB_NOW - 1000, LAB_NOW + 1000, NULL, 0, list, sizeof(list));
	assert_ok(take_often(bulla_bytes_of(list, size), BULLA_ATTEST_CRLS));
	assert_rc(BULLA_E_LIMIT, take_often(bulla_bytes_of(list, size), BULLA_ATTEST_CRLS + 1));
	pki_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pieces_judge_as_the_whole),
		cmocka_unit_test(each_piece_is_needed),
		cmocka_unit_test(the_quote_brings_the_list_s_issuer),
		cmocka_unit_test(a_bundle_is_all_in_one),
		cmocka_unit_test(damage_is_refused_or_changes_nothing),
		cmocka_unit_test(truncation_is_refused),
		cmocka_unit_test(what_is_no_collateral_is_refused),
		cmocka_unit_test(there_may_be_so_many),
	};

	return cmocka_run_group_tests_name("attest_collateral", tests, open_lab, close_lab);
}
