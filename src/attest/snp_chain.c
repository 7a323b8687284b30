#include "attest/snp.h"

#include "attest/amd.h"
#include "attest/pem.h"
#include "base/rd.h"

/* GHCB certificate table: entries of GUID, offset, length (u32 little-endian), ended by a zero GUID. GUIDs come in both
 * byte orders (microsoft/CCF met big-endian ones on AWS). */
#define ENTRY_SIZE 24
#define ENTRIES_MAX 16
#define CANDIDATES (BULLA_ATTEST_CERTIFICATES + ENTRIES_MAX)

struct guid {
	uint8_t mixed[16], big[16];
};

#define GUID(a3, a2, a1, a0, b1, b0, c1, c0, ...) \
	{ \
		{a0, a1, a2, a3, b0, b1, c0, c1, __VA_ARGS__}, { a3, a2, a1, a0, b1, b0, c1, c0, __VA_ARGS__ } \
	}

static const struct guid guids[] = {
	/* VCEK, VLEK, ASK, ARK, CRL is not listed */
	GUID(0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd),
	GUID(0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1),
	GUID(0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82),
	GUID(0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae),
};

struct candidates {
	bulla_bytes list[CANDIDATES];
	size_t count;
};

static bool is_known(bulla_bytes guid)
{
	for (size_t i = 0; i < sizeof(guids) / sizeof(guids[0]); i++)
		if (bulla_bytes_eq(guid, BULLA_BYTES_ARRAY(guids[i].mixed)) ||
			bulla_bytes_eq(guid, BULLA_BYTES_ARRAY(guids[i].big)))
			return true;
	return false;
}

/* Entries are DER; some guests' tables hold PEM. */
static bulla_rc add_entry(struct bulla_attest_run *run, bulla_bytes entry, struct candidates *ret)
{
	struct bulla_attest_result *result = run->result;
	bulla_bytes chain[1];
	size_t count;

	if (entry.n == 0 || entry.p[0] != '-') {
		ret->list[ret->count++] = entry;
		return BULLA_OK;
	}
	BULLA_TRY(bulla_pem_chain(entry, result->kept + result->kept_size, sizeof(result->kept) - result->kept_size, 1, chain,
		&count));
	if (count == 1) {
		(void)bulla_run_keep(run, chain[0].n);
		ret->list[ret->count++] = chain[0];
	}
	return BULLA_OK;
}

static bulla_rc read_entry(struct bulla_attest_run *run, bulla_rd *r, bulla_bytes table, struct candidates *ret,
	bool *ret_last)
{
	bulla_bytes guid;
	uint32_t offset, size;

	BULLA_TRY(bulla_rd_bytes(r, 16, &guid));
	BULLA_TRY(bulla_rd_u32le(r, &offset));
	BULLA_TRY(bulla_rd_u32le(r, &size));
	*ret_last = bulla_bytes_is_zero_ct(guid);
	if (*ret_last || !is_known(guid))
		return BULLA_OK;
	if (offset > table.n || size > table.n - offset)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "a certificate lies outside its table");
	return add_entry(run, bulla_bytes_of(table.p + offset, size), ret);
}

static bulla_rc read_table(struct bulla_attest_run *run, bulla_bytes table, struct candidates *ret)
{
	bulla_rd r = bulla_rd_of(table);
	bool last = table.n == 0;

	for (size_t i = 0; i < ENTRIES_MAX && !last; i++)
		BULLA_TRY(read_entry(run, &r, table, ret, &last));
	return last ? BULLA_OK : BULLA_FAIL(BULLA_E_LIMIT, "the certificate table does not end");
}

static bool collect(struct bulla_attest_run *run, struct candidates *ret)
{
	const struct bulla_attest_collateral *collateral = run->collateral;

	ret->count = 0;
	for (size_t i = 0; i < collateral->certificate_count && i < BULLA_ATTEST_CERTIFICATES; i++)
		ret->list[ret->count++] = collateral->certificates[i];
	if (read_table(run, collateral->certificate_table, ret) != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, 0, "the certificate table is damaged");
	return true;
}

/* Made for this report, as far as its extensions say: kind of key, chip and TCB. */
static bool fits(const struct bulla_snp_report *report, const struct bulla_snp_endorsement *endorsement)
{
	bulla_bytes id = endorsement->hardware_id;

	return (report->key_flags >> 2 & 7) == (unsigned)endorsement->signer &&
		bulla_snp_tcb_equal(bulla_snp_tcb_of(endorsement->generation, report->reported_tcb), endorsement->tcb) &&
		(id.n == 0 || (id.n <= report->chip_id.n && bulla_bytes_eq(bulla_bytes_of(report->chip_id.p, id.n), id)));
}

/* The certificate whose subject is `name`; of several (re-issued) ones any will do, as keys are pinned and verified. */
static bool find_issuer(const struct candidates *candidates, bulla_bytes name, struct bulla_cert *ret)
{
	for (size_t i = 0; i < candidates->count; i++)
		if (bulla_cert_parse(candidates->list[i], ret) == BULLA_OK && bulla_bytes_eq(ret->subject, name))
			return true;
	return false;
}

/* The collateral's own, else AMD's published one. */
static bool find_signer(const struct candidates *candidates, bulla_bytes name, struct bulla_cert *ret)
{
	size_t count;
	const bulla_bytes *published = bulla_amd_published(&count);

	if (find_issuer(candidates, name, ret))
		return true;
	for (size_t i = 0; i < count; i++)
		if (bulla_cert_parse(published[i], ret) == BULLA_OK && bulla_bytes_eq(ret->subject, name))
			return true;
	return false;
}

/* A leaf names AMD's product; no CA does. Of several the one made for this report, else the first: what does not fit is said. */
static bool find_leaf(const struct candidates *candidates, const struct bulla_snp_report *report, struct bulla_cert *ret)
{
	bool found = false;

	for (size_t i = 0; i < candidates->count; i++) {
		struct bulla_snp_endorsement endorsement;
		struct bulla_cert cert;

		if (bulla_cert_parse(candidates->list[i], &cert) != BULLA_OK ||
			bulla_snp_endorsement_read(&cert, &endorsement) != BULLA_OK)
			continue;
		bool fitting = fits(report, &endorsement);
		if (fitting || !found)
			*ret = cert;
		found = true;
		if (fitting)
			break;
	}
	return found;
}

bool bulla_snp_pick_chain(struct bulla_attest_run *run, const struct bulla_snp_report *report, struct bulla_cert ret[3])
{
	struct candidates candidates;

	if (!collect(run, &candidates))
		return false;
	if (!find_leaf(&candidates, report, &ret[2]))
		return bulla_run_stop(run, BULLA_FACTOR_CHAIN_FORM, 0, "the collateral has no VCEK or VLEK in strict DER");
	if (!find_signer(&candidates, ret[2].issuer, &ret[1]) || !find_signer(&candidates, ret[1].issuer, &ret[0]))
		return bulla_run_stop(run, BULLA_FACTOR_CHAIN_ORDER, 0,
			"the issuer (ASK, ASVK) or the root (ARK) is neither in the collateral nor among AMD's published ones");
	return true;
}
