#include "attest/dcap.h"

#include "wire/date.h"
#include "wire/json.h"

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* PCS writes upper case, its older answers lower case. */
static bulla_rc unhex(bulla_bytes text, size_t size, uint8_t *ret)
{
	if (text.n != 2 * size)
		return BULLA_FAIL(BULLA_E_FORMAT, "a hexadecimal field has another size");
	for (size_t i = 0; i < size; i++) {
		int high = nibble(text.p[2 * i]), low = nibble(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a digit is not hexadecimal");
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return BULLA_OK;
}

static bulla_rc get_hex(bulla_json object, const char *name, size_t size, uint8_t *ret)
{
	bulla_json value;
	bulla_bytes text;

	BULLA_TRY(bulla_json_get_str(object, name, &value));
	BULLA_TRY(bulla_json_string_view(value, &text));
	return unhex(text, size, ret);
}

static bulla_rc get_uint(bulla_json object, const char *name, int64_t max, int64_t *ret)
{
	bulla_json value;

	BULLA_TRY(bulla_json_get_str(object, name, &value));
	return bulla_json_int(value, 0, max, ret);
}

static bulla_rc get_date(bulla_json object, const char *name, int64_t *ret)
{
	bulla_json value;
	bulla_bytes text;

	BULLA_TRY(bulla_json_get_str(object, name, &value));
	BULLA_TRY(bulla_json_string_view(value, &text));
	return bulla_date_parse(text, ret);
}

static bulla_rc get_status(bulla_json level, uint8_t *ret)
{
	bulla_json value;

	BULLA_TRY(bulla_json_get_str(level, "tcbStatus", &value));
	for (unsigned i = 0; i < BULLA_TCB_UNKNOWN; i++)
		if (bulla_json_string_is(value, bulla_bytes_str(bulla_tcb_status_name(i)))) {
			*ret = (uint8_t)i;
			return BULLA_OK;
		}
	return BULLA_FAIL(BULLA_E_FORMAT, "a TCB status is unknown");
}

static bulla_rc get_advisories(bulla_json level, bulla_bytes *ret)
{
	bulla_json value;
	bulla_rc rc = bulla_json_get_str(level, "advisoryIDs", &value);

	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_OK;
	BULLA_TRY(rc);
	if (bulla_json_type(value) != BULLA_JSON_ARRAY)
		return BULLA_FAIL(BULLA_E_FORMAT, "the advisories are no list");
	*ret = value.raw;
	return BULLA_OK;
}

static bulla_rc read_svn_levels(bulla_json object, struct bulla_dcap_svn_level *ret, size_t *ret_count)
{
	bulla_json list, name, item, tcb;
	int64_t svn;
	size_t count = 0;

	BULLA_TRY(bulla_json_get_str(object, "tcbLevels", &list));
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item); count++) {
		if (count == BULLA_DCAP_SVN_LEVELS)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are more levels than fit");
		ret[count] = (struct bulla_dcap_svn_level){0};
		BULLA_TRY(bulla_json_get_str(item, "tcb", &tcb));
		BULLA_TRY(get_uint(tcb, "isvsvn", UINT16_MAX, &svn));
		ret[count].isvsvn = (uint16_t)svn;
		BULLA_TRY(get_status(item, &ret[count].status));
		BULLA_TRY(get_advisories(item, &ret[count].advisories));
	}
	*ret_count = count;
	return BULLA_OK;
}

static bulla_rc read_components(bulla_json tcb, const char *name, uint8_t ret[16])
{
	bulla_json list, ignored, item;
	int64_t svn;
	size_t count = 0;

	BULLA_TRY(bulla_json_get_str(tcb, name, &list));
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &ignored, &item); count++) {
		if (count == 16)
			return BULLA_FAIL(BULLA_E_LIMIT, "a TCB has more than 16 components");
		BULLA_TRY(get_uint(item, "svn", UINT8_MAX, &svn));
		ret[count] = (uint8_t)svn;
	}
	return count == 16 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "a TCB has fewer than 16 components");
}

static bulla_rc read_level(bulla_json item, bool tdx, struct bulla_dcap_level *ret)
{
	bulla_json tcb, date;
	int64_t pcesvn;

	*ret = (struct bulla_dcap_level){0};
	BULLA_TRY(bulla_json_get_str(item, "tcb", &tcb));
	BULLA_TRY(read_components(tcb, "sgxtcbcomponents", ret->sgx));
	if (tdx)
		BULLA_TRY(read_components(tcb, "tdxtcbcomponents", ret->tdx));
	BULLA_TRY(get_uint(tcb, "pcesvn", UINT16_MAX, &pcesvn));
	ret->pcesvn = (uint16_t)pcesvn;
	BULLA_TRY(bulla_json_get_str(item, "tcbDate", &date));
	BULLA_TRY(bulla_json_string_view(date, &ret->date));
	BULLA_TRY(get_status(item, &ret->status));
	return get_advisories(item, &ret->advisories);
}

static bulla_rc read_levels(bulla_json info, struct bulla_dcap_tcb_info *ret)
{
	bulla_json list, ignored, item;

	BULLA_TRY(bulla_json_get_str(info, "tcbLevels", &list));
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &ignored, &item);) {
		if (ret->level_count == BULLA_DCAP_LEVELS)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are more levels than fit");
		BULLA_TRY(read_level(item, ret->tdx, &ret->levels[ret->level_count++]));
	}
	return BULLA_OK;
}

static bulla_rc read_module_body(bulla_json item, struct bulla_dcap_module *ret)
{
	BULLA_TRY(get_hex(item, "mrsigner", 48, ret->mrsigner));
	BULLA_TRY(get_hex(item, "attributes", 8, ret->attributes));
	return get_hex(item, "attributesMask", 8, ret->mask);
}

static bulla_rc read_module_id(bulla_json item, uint8_t *ret)
{
	bulla_json value;
	bulla_bytes text;

	BULLA_TRY(bulla_json_get_str(item, "id", &value));
	BULLA_TRY(bulla_json_string_view(value, &text));
	if (text.n != 6 || !bulla_bytes_eq_str(bulla_bytes_of(text.p, 4), "TDX_"))
		return BULLA_FAIL(BULLA_E_FORMAT, "a TDX module has another kind of name");
	return unhex(bulla_bytes_of(text.p + 4, 2), 1, ret);
}

static bulla_rc read_modules(bulla_json info, struct bulla_dcap_tcb_info *ret)
{
	bulla_json list, ignored, item;

	BULLA_TRY(bulla_json_get_str(info, "tdxModule", &item));
	BULLA_TRY(read_module_body(item, &ret->module));
	ret->has_module = true;
	bulla_rc rc = bulla_json_get_str(info, "tdxModuleIdentities", &list);
	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_OK;
	BULLA_TRY(rc);
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &ignored, &item);) {
		if (ret->module_count == BULLA_DCAP_MODULES)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are more TDX modules than fit");
		struct bulla_dcap_module *module = &ret->modules[ret->module_count++];
		BULLA_TRY(read_module_id(item, &module->version));
		BULLA_TRY(read_module_body(item, module));
		BULLA_TRY(read_svn_levels(item, module->levels, &module->level_count));
	}
	return BULLA_OK;
}

static bulla_rc expect_version(bulla_json object, int64_t first, int64_t last)
{
	int64_t version;

	BULLA_TRY(get_uint(object, "version", 1000, &version));
	return version >= first && version <= last ? BULLA_OK :
		BULLA_FAIL(BULLA_E_VERSION, "this version is not known");
}

/* id is one of two words; *ret: it is the second. */
static bulla_rc read_id(bulla_json object, const char *sgx, const char *tdx, bool *ret)
{
	bulla_json id;

	BULLA_TRY(bulla_json_get_str(object, "id", &id));
	*ret = bulla_json_string_is(id, bulla_bytes_str(tdx));
	if (!*ret && !bulla_json_string_is(id, bulla_bytes_str(sgx)))
		return BULLA_FAIL(BULLA_E_FORMAT, "the id is neither of SGX nor of TDX");
	return BULLA_OK;
}

bulla_rc bulla_dcap_tcb_info_read(bulla_bytes json, struct bulla_dcap_tcb_info *ret)
{
	bulla_json info;
	int64_t evaluation;

	*ret = (struct bulla_dcap_tcb_info){0};
	BULLA_TRY(bulla_json_parse(json, &info));
	BULLA_TRY(read_id(info, "SGX", "TDX", &ret->tdx));
	BULLA_TRY(expect_version(info, 3, 3));
	BULLA_TRY(get_date(info, "issueDate", &ret->issued));
	BULLA_TRY(get_date(info, "nextUpdate", &ret->next));
	BULLA_TRY(get_hex(info, "fmspc", 6, ret->fmspc));
	BULLA_TRY(get_hex(info, "pceId", 2, ret->pceid));
	BULLA_TRY(get_uint(info, "tcbEvaluationDataNumber", UINT32_MAX, &evaluation));
	ret->evaluation = (uint32_t)evaluation;
	if (ret->tdx)
		BULLA_TRY(read_modules(info, ret));
	BULLA_TRY(read_levels(info, ret));
	ret->present = true;
	return BULLA_OK;
}

bulla_rc bulla_dcap_qe_identity_read(bulla_bytes json, struct bulla_dcap_qe_identity *ret)
{
	bulla_json identity;
	int64_t number;

	*ret = (struct bulla_dcap_qe_identity){0};
	BULLA_TRY(bulla_json_parse(json, &identity));
	BULLA_TRY(read_id(identity, "QE", "TD_QE", &ret->tdx));
	BULLA_TRY(expect_version(identity, 2, ret->tdx ? 3 : 2));
	BULLA_TRY(get_date(identity, "issueDate", &ret->issued));
	BULLA_TRY(get_date(identity, "nextUpdate", &ret->next));
	BULLA_TRY(get_uint(identity, "tcbEvaluationDataNumber", UINT32_MAX, &number));
	ret->evaluation = (uint32_t)number;
	BULLA_TRY(get_hex(identity, "miscselect", 4, ret->miscselect));
	BULLA_TRY(get_hex(identity, "miscselectMask", 4, ret->miscselect_mask));
	BULLA_TRY(get_hex(identity, "attributes", 16, ret->attributes));
	BULLA_TRY(get_hex(identity, "attributesMask", 16, ret->attributes_mask));
	BULLA_TRY(get_hex(identity, "mrsigner", 32, ret->mrsigner));
	BULLA_TRY(get_uint(identity, "isvprodid", UINT16_MAX, &number));
	ret->isvprodid = (uint16_t)number;
	BULLA_TRY(read_svn_levels(identity, ret->levels, &ret->level_count));
	ret->present = true;
	return BULLA_OK;
}

bulla_rc bulla_dcap_unwrap(bulla_bytes json, const char *name, bulla_bytes *ret_inner, uint8_t ret_signature[64])
{
	bulla_json outer, inner;

	BULLA_TRY(bulla_json_parse(json, &outer));
	BULLA_TRY(bulla_json_get_str(outer, name, &inner));
	BULLA_TRY(get_hex(outer, "signature", 64, ret_signature));
	*ret_inner = inner.raw;
	return BULLA_OK;
}

/* ---- dcap-qvl's bundle ---- */
static bulla_rc put_string(bulla_json object, const char *name, struct bulla_buf *memory, bulla_bytes *ret)
{
	bulla_json value;
	size_t size, at = memory->n;

	BULLA_TRY(bulla_json_get_str(object, name, &value));
	if (memory->cap - memory->n < value.raw.n)
		return BULLA_FAIL(BULLA_E_LIMIT, "no room for the collateral");
	BULLA_TRY(bulla_json_string(value, value.raw.n, memory->p + at, &size));
	memory->n += size;
	*ret = bulla_bytes_of(memory->p + at, size);
	return BULLA_OK;
}

static bulla_rc put_hex(bulla_json object, const char *name, struct bulla_buf *memory, bulla_bytes *ret)
{
	bulla_bytes text;

	BULLA_TRY(put_string(object, name, memory, &text));
	BULLA_TRY(unhex(text, text.n / 2, memory->p + (text.p - memory->p)));
	*ret = bulla_bytes_of(text.p, text.n / 2);
	return BULLA_OK;
}

bulla_rc bulla_dcap_bundle_read(bulla_bytes json, struct bulla_buf *memory, struct bulla_dcap_parts *ret)
{
	struct bulla_dcap_parts parts = {0};
	bulla_json bundle;

	BULLA_TRY(bulla_json_parse(json, &bundle));
	/* nothing moves from here on: decoded is never longer, and the certificates find their room too */
	BULLA_TRY(bulla_buf_reserve(memory, json.n + BULLA_DCAP_CHAINS_SIZE));
	BULLA_TRY(put_string(bundle, "tcb_info", memory, &parts.tcb_info));
	BULLA_TRY(put_hex(bundle, "tcb_info_signature", memory, &parts.tcb_info_signature));
	BULLA_TRY(put_string(bundle, "tcb_info_issuer_chain", memory, &parts.tcb_info_chain));
	BULLA_TRY(put_string(bundle, "qe_identity", memory, &parts.qe_identity));
	BULLA_TRY(put_hex(bundle, "qe_identity_signature", memory, &parts.qe_identity_signature));
	BULLA_TRY(put_string(bundle, "qe_identity_issuer_chain", memory, &parts.qe_identity_chain));
	BULLA_TRY(put_hex(bundle, "pck_crl", memory, &parts.pck_crl));
	BULLA_TRY(put_string(bundle, "pck_crl_issuer_chain", memory, &parts.pck_crl_chain));
	BULLA_TRY(put_hex(bundle, "root_ca_crl", memory, &parts.root_crl));
	*ret = parts;
	return BULLA_OK;
}
