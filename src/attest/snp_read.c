#include "attest/snp.h"

static const struct bulla_snp_generation milan = {"Milan", false};
static const struct bulla_snp_generation genoa = {"Genoa", false};
static const struct bulla_snp_generation turin = {"Turin", true};
static const struct bulla_snp_generation venice = {"Venice", true};
static const struct bulla_snp_generation *const generations[] = {&milan, &genoa, &turin, &venice};

struct cpu_range {
	uint8_t family, first, last;
	const struct bulla_snp_generation *generation;
};

static const struct cpu_range cpus[] = {
	{0x19, 0x00, 0x0f, &milan},
	{0x19, 0x10, 0x1f, &genoa},
	{0x19, 0xa0, 0xaf, &genoa},
	{0x1a, 0x00, 0x11, &turin},
	{0x1a, 0x50, 0x57, &venice},
	{0x1a, 0x90, 0xaf, &venice},
	{0x1a, 0xc0, 0xc7, &venice},
};

static bulla_bytes slice(bulla_bytes bytes, size_t at, size_t size)
{
	return bulla_bytes_of(bytes.p + at, size);
}

static uint64_t le(bulla_bytes bytes, size_t at, size_t size)
{
	uint64_t value = 0;

	for (size_t i = size; i > 0; i--)
		value = value << 8 | bytes.p[at + i - 1];
	return value;
}

static void read_views(bulla_bytes bytes, struct bulla_snp_report *ret)
{
	ret->family_id = slice(bytes, 0x010, 16);
	ret->image_id = slice(bytes, 0x020, 16);
	ret->current_tcb = slice(bytes, 0x038, 8);
	ret->report_data = slice(bytes, 0x050, 64);
	ret->measurement = slice(bytes, 0x090, 48);
	ret->host_data = slice(bytes, 0x0c0, 32);
	ret->id_key_digest = slice(bytes, 0x0e0, 48);
	ret->author_key_digest = slice(bytes, 0x110, 48);
	ret->report_id = slice(bytes, 0x140, 32);
	ret->report_id_ma = slice(bytes, 0x160, 32);
	ret->reported_tcb = slice(bytes, 0x180, 8);
	ret->chip_id = slice(bytes, 0x1a0, 64);
	ret->committed_tcb = slice(bytes, 0x1e0, 8);
	ret->launch_tcb = slice(bytes, 0x1f0, 8);
}

bulla_rc bulla_snp_read(bulla_bytes bytes, struct bulla_snp_report *ret)
{
	if (bytes.n < BULLA_SNP_REPORT_SIZE)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "an SNP report has 1184 bytes");
	if (bytes.n > BULLA_SNP_REPORT_SIZE)
		return BULLA_FAIL(BULLA_E_TRAILING, "an SNP report has 1184 bytes");
	*ret = (struct bulla_snp_report){
		.raw = bytes,
		.version = (uint32_t)le(bytes, 0x000, 4),
		.guest_svn = (uint32_t)le(bytes, 0x004, 4),
		.policy = le(bytes, 0x008, 8),
		.vmpl = (uint32_t)le(bytes, 0x030, 4),
		.signature_algorithm = (uint32_t)le(bytes, 0x034, 4),
		.platform_info = le(bytes, 0x040, 8),
		.key_flags = (uint32_t)le(bytes, 0x048, 4),
		.cpu_family = bytes.p[0x188],
		.cpu_model = bytes.p[0x189],
		.cpu_stepping = bytes.p[0x18a],
		.launch_mitigations = le(bytes, 0x1f8, 8),
		.current_mitigations = le(bytes, 0x200, 8),
	};
	read_views(bytes, ret);
	return BULLA_OK;
}

const struct bulla_snp_generation *bulla_snp_generation_of_cpu(unsigned family, unsigned model)
{
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++)
		if (cpus[i].family == family && model >= cpus[i].first && model <= cpus[i].last)
			return cpus[i].generation;
	return NULL;
}

const struct bulla_snp_generation *bulla_snp_generation_of_name(bulla_bytes name)
{
	for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
		bulla_bytes word = bulla_bytes_str(generations[i]->name);
		bool starts = name.n >= word.n && bulla_bytes_eq(bulla_bytes_of(name.p, word.n), word);

		if (starts && (name.n == word.n || name.p[word.n] == '-'))
			return generations[i];
	}
	return NULL;
}

struct bulla_snp_tcb bulla_snp_tcb_of(const struct bulla_snp_generation *generation, bulla_bytes bytes)
{
	const uint8_t *b = bytes.p;

	if (generation->has_fmc)
		return (struct bulla_snp_tcb){.fmc = b[0], .bootloader = b[1], .tee = b[2], .snp = b[3], .microcode = b[7]};
	return (struct bulla_snp_tcb){.bootloader = b[0], .tee = b[1], .snp = b[6], .microcode = b[7]};
}

bool bulla_snp_tcb_at_least(struct bulla_snp_tcb tcb, struct bulla_snp_tcb least)
{
	return tcb.fmc >= least.fmc && tcb.bootloader >= least.bootloader && tcb.tee >= least.tee &&
		tcb.snp >= least.snp && tcb.microcode >= least.microcode;
}

bool bulla_snp_tcb_equal(struct bulla_snp_tcb a, struct bulla_snp_tcb b)
{
	return bulla_snp_tcb_at_least(a, b) && bulla_snp_tcb_at_least(b, a);
}

/* 1.3.6.1.4.1.3704.1: AMD's arc, content octets; the rest of the OID follows */
#define AMD_ARC 0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01
static const uint8_t oid_product[] = {AMD_ARC, 2};
static const uint8_t oid_bootloader[] = {AMD_ARC, 3, 1};
static const uint8_t oid_tee[] = {AMD_ARC, 3, 2};
static const uint8_t oid_snp[] = {AMD_ARC, 3, 3};
static const uint8_t oid_microcode[] = {AMD_ARC, 3, 8};
static const uint8_t oid_fmc[] = {AMD_ARC, 3, 9};
static const uint8_t oid_hardware_id[] = {AMD_ARC, 4};
static const uint8_t oid_csp_id[] = {AMD_ARC, 5};

/* A DER INTEGER of 0..255, alone. */
static bulla_rc read_part(const struct bulla_cert *leaf, bulla_bytes oid, uint8_t *ret)
{
	bulla_bytes value;
	bool critical;

	BULLA_TRY(bulla_cert_extension(leaf, oid, &value, &critical));
	if (value.n == 3 && value.p[0] == 0x02 && value.p[1] == 1 && value.p[2] < 0x80)
		*ret = value.p[2];
	else if (value.n == 4 && value.p[0] == 0x02 && value.p[1] == 2 && value.p[2] == 0 && value.p[3] >= 0x80)
		*ret = value.p[3];
	else
		return BULLA_FAIL(BULLA_E_FORMAT, "a TCB part of the certificate is no small integer");
	return BULLA_OK;
}

/* An IA5String or UTF8String of up to 127 bytes, alone. */
static bulla_rc read_text(const struct bulla_cert *leaf, bulla_bytes oid, bulla_bytes *ret)
{
	bulla_bytes value;
	bool critical;

	BULLA_TRY(bulla_cert_extension(leaf, oid, &value, &critical));
	if (value.n < 3 || (value.p[0] != 0x16 && value.p[0] != 0x0c) || value.p[1] != value.n - 2 || value.p[1] > 127)
		return BULLA_FAIL(BULLA_E_FORMAT, "a text of the certificate is no short string");
	*ret = slice(value, 2, value.n - 2);
	return BULLA_OK;
}

static bulla_rc read_tcb(const struct bulla_cert *leaf, bool has_fmc, struct bulla_snp_tcb *ret)
{
	BULLA_TRY(read_part(leaf, BULLA_BYTES_ARRAY(oid_bootloader), &ret->bootloader));
	BULLA_TRY(read_part(leaf, BULLA_BYTES_ARRAY(oid_tee), &ret->tee));
	BULLA_TRY(read_part(leaf, BULLA_BYTES_ARRAY(oid_snp), &ret->snp));
	BULLA_TRY(read_part(leaf, BULLA_BYTES_ARRAY(oid_microcode), &ret->microcode));
	if (has_fmc)
		return read_part(leaf, BULLA_BYTES_ARRAY(oid_fmc), &ret->fmc);
	return BULLA_OK;
}

/* Exactly one of hardware id (VCEK) and provider id (VLEK). */
static bulla_rc read_signer(const struct bulla_cert *leaf, struct bulla_snp_endorsement *ret)
{
	bool critical;
	bool chip = bulla_cert_extension(leaf, BULLA_BYTES_ARRAY(oid_hardware_id), &ret->hardware_id, &critical) ==
		BULLA_OK;
	bulla_bytes ignored;
	bool provider = bulla_cert_extension(leaf, BULLA_BYTES_ARRAY(oid_csp_id), &ignored, &critical) == BULLA_OK;

	if (chip == provider)
		return BULLA_FAIL(BULLA_E_FORMAT, "the certificate is neither a VCEK nor a VLEK");
	ret->signer = chip ? BULLA_SNP_VCEK : BULLA_SNP_VLEK;
	return chip ? BULLA_OK : read_text(leaf, BULLA_BYTES_ARRAY(oid_csp_id), &ret->csp_id);
}

bulla_rc bulla_snp_endorsement_read(const struct bulla_cert *leaf, struct bulla_snp_endorsement *ret)
{
	struct bulla_snp_endorsement endorsement = {0};
	bulla_bytes product;

	BULLA_TRY(read_text(leaf, BULLA_BYTES_ARRAY(oid_product), &product));
	endorsement.generation = bulla_snp_generation_of_name(product);
	if (endorsement.generation == NULL)
		return BULLA_FAIL(BULLA_E_FORMAT, "the certificate names an unknown generation");
	BULLA_TRY(read_tcb(leaf, endorsement.generation->has_fmc, &endorsement.tcb));
	BULLA_TRY(read_signer(leaf, &endorsement));
	*ret = endorsement;
	return BULLA_OK;
}
