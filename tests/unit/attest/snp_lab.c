#include "snp_lab.h"

#include "base/mem.h"
#include "cases.h"
#include "samples.h"
#include "test.h"

static EVP_PKEY *shared_keys[3]; /* RSA keys cost much to make */

void snp_lab_report(struct snp_lab *lab)
{
	uint8_t *r = lab->report;

	bulla_zero(r, sizeof(lab->report));
	r[0] = 3;
	r[0x0a] = 0x03; /* SMT, and bit 17 */
	r[0x34] = 1;
	r[0x40] = 0x25;
	lab->data[0] = 5;
	bulla_copy(r + 0x50, lab->data, 64);
	r[0x90] = 0xaa;
	for (unsigned i = 0; i < 64; i++)
		r[0x1a0 + i] = lab->chip[i] = (uint8_t)(i + 1);
	static const uint8_t tcb[8] = {4, 1, 0, 0, 0, 0, 24, 219};
	bulla_copy(r + 0x38, tcb, 8);
	bulla_copy(r + 0x180, tcb, 8);
	bulla_copy(r + 0x1e0, tcb, 8);
	bulla_copy(r + 0x1f0, tcb, 8);
	r[0x188] = 0x19;
	r[0x189] = 0x01;
}

void snp_lab_extensions(struct snp_lab *lab)
{
	lab->extensions[0] = (struct pki_extension){AMD "2", BULLA_BYTES_LITERAL("\x16\x08Milan-B0")};
	lab->extensions[1] = (struct pki_extension){AMD "3.1", BULLA_BYTES_LITERAL("\x02\x01\x04")};
	lab->extensions[2] = (struct pki_extension){AMD "3.2", BULLA_BYTES_LITERAL("\x02\x01\x01")};
	lab->extensions[3] = (struct pki_extension){AMD "3.3", BULLA_BYTES_LITERAL("\x02\x01\x18")};
	lab->extensions[4] = (struct pki_extension){AMD "3.8", BULLA_BYTES_LITERAL("\x02\x02\x00\xdb")};
	lab->extensions[5] = (struct pki_extension){AMD "4", BULLA_BYTES_ARRAY(lab->chip)};
	lab->extension_count = 6;
}

void snp_lab_chain(struct snp_lab *lab, const char *root_cn, const char *issuer_cn)
{
	struct pki_spec root = {.cn = root_cn, .not_before = lab->now - 100, .not_after = lab->now + 1000000, .ca = true,
		.pathlen = -1, .serial = 1};
	struct pki_spec issuer = {.cn = issuer_cn, .not_before = lab->now - 100, .not_after = lab->now + 1000000, .ca = true,
		.pathlen = 0, .serial = 7};
	struct pki_spec leaf = {.cn = "SEV-VCEK", .not_before = lab->now - 100, .not_after = lab->now + 1000000, .plain = true,
		.extensions = lab->extensions, .extension_count = lab->extension_count};

	for (unsigned i = 0; i < 3; i++) {
		if (shared_keys[i] == NULL)
			shared_keys[i] = pki_key(i < 2 ? NULL : "P-384");
		EVP_PKEY_up_ref(shared_keys[i]);
	}
	pki_make(&root, shared_keys[0], NULL, &lab->root);
	pki_make(&issuer, shared_keys[1], &lab->root, &lab->issuer);
	pki_make(&leaf, shared_keys[2], &lab->issuer, &lab->leaf);
	lab->collateral = (struct bulla_attest_collateral){.certificate_count = 3};
	lab->collateral.certificates[0] = pki_der(&lab->leaf);
	lab->collateral.certificates[1] = pki_der(&lab->issuer);
	lab->collateral.certificates[2] = pki_der(&lab->root);
	lab->anchor_id = pki_key_digest(&lab->root);
	lab->anchor = (struct bulla_attest_anchor){BULLA_TEE_SNP, BULLA_ASSURANCE_HARDWARE, BULLA_ANCHOR_KEY,
		bulla_bytes_digest(&lab->anchor_id), {NULL, 0}};
}

void snp_lab_unchain(struct snp_lab *lab)
{
	pki_free(&lab->root);
	pki_free(&lab->issuer);
	pki_free(&lab->leaf);
}

void snp_lab_expect(struct snp_lab *lab)
{
	bulla_attest_policy_init(&lab->policy);
	lab->policy.tees = BULLA_TEE_BIT(BULLA_TEE_SNP);
	lab->policy.assurance = BULLA_ASSURANCE_HARDWARE;
	lab->policy.any_measurement = true;
	lab->binding = sample_binding();
	lab->binding.binder = BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(lab->data));
	lab->time = (struct bulla_attest_time){lab->now * 1000, BULLA_CLOCK_ONLINE};
	lab->resign = true;
}

void snp_lab_open(struct snp_lab *lab, int64_t now)
{
	*lab = (struct snp_lab){.now = now};
	snp_lab_report(lab);
	snp_lab_extensions(lab);
	snp_lab_chain(lab, "ARK-Milan", "SEV-Milan");
	snp_lab_expect(lab);
}

static void put_reversed(const uint8_t *from, uint8_t *to)
{
	for (size_t i = 0; i < 48; i++)
		to[i] = from[47 - i];
}

void snp_lab_sign(struct snp_lab *lab)
{
	uint8_t raw[96];

	pki_sign(lab->leaf.key, bulla_bytes_of(lab->report, 0x2a0), raw, 48);
	put_reversed(raw, lab->report + 0x2a0);
	put_reversed(raw + 48, lab->report + 0x2e8);
}

bulla_rc snp_lab_judge(struct snp_lab *lab)
{
	struct bulla_attest_anchors anchors = {&lab->anchor, 1};

	if (lab->resign)
		snp_lab_sign(lab);
	const struct attest_case about = {.evidence = BULLA_BYTES_ARRAY(lab->report), .collateral = &lab->collateral,
		.anchors = &anchors, .policy = &lab->policy, .binding = &lab->binding, .time = lab->time};
	bulla_rc rc = case_judge("snp", &about, &lab->result);
	sample_dump("snp", BULLA_BYTES_ARRAY(lab->report), &lab->result);
	return rc;
}

void snp_lab_free_keys(void)
{
	for (unsigned i = 0; i < 3; i++) {
		EVP_PKEY_free(shared_keys[i]);
		shared_keys[i] = NULL;
	}
}
