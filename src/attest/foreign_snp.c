#include "attest/foreign_snp.h"

#include "attest/snp.h"
#include "attest/textual.h"

/* A field: its names in the crate's versions, its place, its size; numbers are little-endian. */
struct field {
	const char *name, *old_name;
	uint16_t at, size;
	bool optional;
};

static const struct field numbers[] = {
	{"version", "version", 0x000, 4, false},
	{"guest_svn", "guest_svn", 0x004, 4, false},
	{"policy", "policy", 0x008, 8, false},
	{"vmpl", "vmpl", 0x030, 4, false},
	{"sig_algo", "signature_algo", 0x034, 4, false},
	{"plat_info", "platform_info", 0x040, 8, false},
	{"key_info", "_author_key_en", 0x048, 4, true},
	{"cpuid_fam_id", "cpuid_fam_id", 0x188, 1, true},
	{"cpuid_mod_id", "cpuid_mod_id", 0x189, 1, true},
	{"cpuid_step", "cpuid_step", 0x18a, 1, true},
	{"launch_mit_vector", "launch_mit_vector", 0x1f8, 8, true},
	{"current_mit_vector", "current_mit_vector", 0x200, 8, true},
};

static const struct field arrays[] = {
	{"family_id", "family_id", 0x010, 16, false},
	{"image_id", "image_id", 0x020, 16, false},
	{"report_data", "report_data", 0x050, 64, false},
	{"measurement", "measurement", 0x090, 48, false},
	{"host_data", "host_data", 0x0c0, 32, false},
	{"id_key_digest", "id_key_digest", 0x0e0, 48, false},
	{"author_key_digest", "author_key_digest", 0x110, 48, false},
	{"report_id", "report_id", 0x140, 32, false},
	{"report_id_ma", "report_id_ma", 0x160, 32, false},
	{"chip_id", "chip_id", 0x1a0, 64, false},
};

static bulla_rc get(bulla_json object, const struct field *field, bulla_json *ret)
{
	bulla_rc rc = bulla_json_get_str(object, field->name, ret);

	return rc == BULLA_E_NOT_FOUND ? bulla_json_get_str(object, field->old_name, ret) : rc;
}

static void put_le(uint8_t *p, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static bulla_rc put_number(bulla_json report, const struct field *field, uint8_t *ret)
{
	bulla_json value;
	int64_t number;
	bulla_rc rc = get(report, field, &value);

	if (rc == BULLA_E_NOT_FOUND && field->optional)
		return BULLA_OK;
	BULLA_TRY(rc);
	if (bulla_json_type(value) == BULLA_JSON_NULL)
		return BULLA_OK;
	BULLA_TRY(bulla_json_int(value, 0, INT64_MAX, &number));
	put_le(ret + field->at, (uint64_t)number, field->size);
	return BULLA_OK;
}

static bulla_rc put_array(bulla_json object, const struct field *field, uint8_t *ret)
{
	bulla_json value;
	size_t size;

	BULLA_TRY(get(object, field, &value));
	BULLA_TRY(bulla_foreign_bytes(value, field->size, ret + field->at, &size));
	return size == field->size ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "a field of the report has another size");
}

/* {"fmc"?, "bootloader", "tee", "snp", "microcode"} in the layout of its generation */
static bulla_rc put_tcb(bulla_json report, const char *name, size_t at, uint8_t *ret)
{
	static const struct field parts[] = {{"bootloader", "bootloader", 0, 1, false}, {"tee", "tee", 1, 1, false},
		{"snp", "snp", 6, 1, false}, {"microcode", "microcode", 7, 1, false}};
	static const struct field turin[] = {{"fmc", "fmc", 0, 1, false}, {"bootloader", "bootloader", 1, 1, false},
		{"tee", "tee", 2, 1, false}, {"snp", "snp", 3, 1, false}, {"microcode", "microcode", 7, 1, false}};
	bulla_json tcb, fmc;

	BULLA_TRY(bulla_json_get_str(report, name, &tcb));
	bool new_layout = bulla_json_get_str(tcb, "fmc", &fmc) == BULLA_OK && bulla_json_type(fmc) == BULLA_JSON_NUMBER;
	for (size_t i = 0; i < (new_layout ? 5u : 4u); i++)
		BULLA_TRY(put_number(tcb, new_layout ? &turin[i] : &parts[i], ret + at));
	return BULLA_OK;
}

/* {"build", "minor", "major"} or three fields of their own */
static bulla_rc put_version(bulla_json report, const char *prefix, size_t at, uint8_t *ret)
{
	static const struct field whole[] = {{"build", "build", 0, 1, false}, {"minor", "minor", 1, 1, false},
		{"major", "major", 2, 1, false}};
	static const struct field current[] = {{"current_build", "current_build", 0, 1, false},
		{"current_minor", "current_minor", 1, 1, false}, {"current_major", "current_major", 2, 1, false}};
	static const struct field committed[] = {{"committed_build", "committed_build", 0, 1, false},
		{"committed_minor", "committed_minor", 1, 1, false}, {"committed_major", "committed_major", 2, 1, false}};
	bulla_json object;
	bool nested = bulla_json_get_str(report, prefix, &object) == BULLA_OK;
	const struct field *fields = nested ? whole : at == 0x1e8 ? current : committed;

	for (size_t i = 0; i < 3; i++)
		BULLA_TRY(put_number(nested ? object : report, &fields[i], ret + at));
	return BULLA_OK;
}

static bulla_rc put_report(bulla_json report, uint8_t *ret)
{
	static const struct field halves[] = {{"r", "r", 0x2a0, 72, false}, {"s", "s", 0x2e8, 72, false}};
	bulla_json signature;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		BULLA_TRY(put_number(report, &numbers[i], ret));
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		BULLA_TRY(put_array(report, &arrays[i], ret));
	BULLA_TRY(put_tcb(report, "current_tcb", 0x038, ret));
	BULLA_TRY(put_tcb(report, "reported_tcb", 0x180, ret));
	BULLA_TRY(put_tcb(report, "committed_tcb", 0x1e0, ret));
	BULLA_TRY(put_tcb(report, "launch_tcb", 0x1f0, ret));
	BULLA_TRY(put_version(report, "current", 0x1e8, ret));
	BULLA_TRY(put_version(report, "committed", 0x1ec, ret));
	BULLA_TRY(bulla_json_get_str(report, "signature", &signature));
	for (size_t i = 0; i < 2; i++)
		BULLA_TRY(put_array(signature, &halves[i], ret));
	return BULLA_OK;
}

static bulla_rc take_chain(struct bulla_foreign *foreign, bulla_json object)
{
	bulla_json list, name, item, data;

	if (bulla_json_get_str(object, "cert_chain", &list) != BULLA_OK || bulla_json_type(list) != BULLA_JSON_ARRAY)
		return BULLA_OK;
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item);) {
		struct bulla_buf *memory = &foreign->memory;
		size_t size;

		BULLA_TRY(bulla_json_get_str(item, "data", &data));
		BULLA_TRY(bulla_foreign_bytes(data, memory->cap - memory->n, memory->p + memory->n, &size));
		bulla_bytes der = bulla_bytes_of(memory->p + memory->n, size);
		memory->n += size;
		BULLA_TRY(bulla_foreign_collateral(foreign, der));
	}
	return BULLA_OK;
}

bulla_rc bulla_foreign_snp(struct bulla_foreign *foreign, bulla_json object, bulla_bytes *ret_report)
{
	struct bulla_buf *memory = &foreign->memory;
	bulla_json report;

	BULLA_TRY(bulla_json_get_str(object, "attestation_report", &report));
	if (memory->cap - memory->n < BULLA_SNP_REPORT_SIZE)
		return BULLA_FAIL(BULLA_E_LIMIT, "no room for the report");
	uint8_t *bytes = memory->p + memory->n;
	bulla_zero(bytes, BULLA_SNP_REPORT_SIZE);
	BULLA_TRY(put_report(report, bytes));
	memory->n += BULLA_SNP_REPORT_SIZE;
	*ret_report = bulla_bytes_of(bytes, BULLA_SNP_REPORT_SIZE);
	return take_chain(foreign, object);
}
