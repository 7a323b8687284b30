#include "attest/pck.h"

#include "attest/der.h"

static const uint8_t arc[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

#define PPID (1u << 1)
#define TCB (1u << 2)
#define PCEID (1u << 3)
#define FMSPC (1u << 4)

/* One SEQUENCE { OID arc.n (or arc.2.n), value }: the last number and a reader at the value. */
static bulla_rc read_pair(bulla_rd *r, size_t depth, unsigned *ret_number, bulla_rd *ret_value)
{
	bulla_bytes pair, oid;

	BULLA_TRY(bulla_der_take(r, BULLA_DER_SEQUENCE, &pair));
	*ret_value = bulla_rd_of(pair);
	BULLA_TRY(bulla_der_take(ret_value, BULLA_DER_OID, &oid));
	bool below = oid.n == sizeof(arc) + depth &&
		bulla_bytes_eq(bulla_bytes_of(oid.p, sizeof(arc)), BULLA_BYTES_ARRAY(arc)) &&
		(depth == 1 || oid.p[sizeof(arc)] == 2);
	if (!below || oid.p[oid.n - 1] >= 32)
		return BULLA_FAIL(BULLA_E_FORMAT, "an OID of the PCK extension is not Intel's");
	*ret_number = oid.p[oid.n - 1];
	return BULLA_OK;
}

static bulla_rc read_octets(bulla_rd *r, size_t size, bulla_bytes *ret)
{
	BULLA_TRY(bulla_der_take(r, BULLA_DER_OCTETS, ret));
	if (ret->n != size)
		return BULLA_FAIL(BULLA_E_FORMAT, "a field of the PCK extension has another size");
	return bulla_rd_end(r);
}

static bulla_rc read_component(bulla_rd *value, unsigned number, struct bulla_pck *ret)
{
	uint32_t svn;

	if (number == 18)
		return read_octets(value, 16, &ret->cpusvn);
	if (number < 1 || number > 17)
		return BULLA_FAIL(BULLA_E_FORMAT, "the PCK extension has an unknown TCB component");
	BULLA_TRY(bulla_der_uint(value, BULLA_DER_INTEGER, number == 17 ? UINT16_MAX : UINT8_MAX, &svn));
	if (number == 17)
		ret->pcesvn = (uint16_t)svn;
	else
		ret->components[number - 1] = (uint8_t)svn;
	return bulla_rd_end(value);
}

static bulla_rc read_tcb(bulla_rd *r, struct bulla_pck *ret)
{
	const uint32_t all = ((UINT32_C(1) << 18) - 1) << 1;
	uint32_t seen = 0;
	bulla_bytes list;
	unsigned number;

	BULLA_TRY(bulla_der_take(r, BULLA_DER_SEQUENCE, &list));
	BULLA_TRY(bulla_rd_end(r));
	for (bulla_rd items = bulla_rd_of(list); bulla_rd_left(&items) > 0;) {
		bulla_rd value;

		BULLA_TRY(read_pair(&items, 2, &number, &value));
		BULLA_TRY(read_component(&value, number, ret));
		if ((seen >> number & 1) != 0)
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a TCB component is there twice");
		seen |= UINT32_C(1) << number;
	}
	return seen == all ? BULLA_OK : BULLA_FAIL(BULLA_E_NOT_FOUND, "a TCB component is missing");
}

static bulla_rc read_field(bulla_rd *value, unsigned number, struct bulla_pck *ret)
{
	switch (number) {
	case 1:
		return read_octets(value, 16, &ret->ppid);
	case 2:
		return read_tcb(value, ret);
	case 3:
		return read_octets(value, 2, &ret->pceid);
	case 4:
		return read_octets(value, 6, &ret->fmspc);
	default: /* SGX type, platform instance, configuration: not judged */
		return BULLA_OK;
	}
}

bulla_rc bulla_pck_read(const struct bulla_cert *leaf, struct bulla_pck *ret)
{
	const uint32_t needed = PPID | TCB | PCEID | FMSPC;
	struct bulla_pck pck = {0};
	uint32_t seen = 0;
	bulla_bytes value, list;
	unsigned number;
	bool critical;

	BULLA_TRY(bulla_cert_extension(leaf, BULLA_BYTES_ARRAY(arc), &value, &critical));
	bulla_rd r = bulla_rd_of(value);
	BULLA_TRY(bulla_der_take(&r, BULLA_DER_SEQUENCE, &list));
	BULLA_TRY(bulla_rd_end(&r));
	for (bulla_rd items = bulla_rd_of(list); bulla_rd_left(&items) > 0;) {
		bulla_rd field;

		BULLA_TRY(read_pair(&items, 1, &number, &field));
		BULLA_TRY(read_field(&field, number, &pck));
		if ((seen >> number & 1) != 0)
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a field of the PCK extension is there twice");
		seen |= UINT32_C(1) << number;
	}
	if ((seen & needed) != needed)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "a field of the PCK extension is missing");
	*ret = pck;
	return BULLA_OK;
}
