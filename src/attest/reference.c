#include "attest/reference.h"

#include "attest/textual.h"
#include "wire/text.h"

#define AGE_MAX_S INT64_C(100000000)

bool bulla_claim_of_name(bulla_bytes name, uint16_t *ret_claim, uint16_t *ret_index)
{
	size_t n = name.n;
	unsigned index = 0, scale = 1;

	while (n > 0 && name.n - n < 2 && name.p[n - 1] >= '0' && name.p[n - 1] <= '9') {
		enum bulla_claim whole = bulla_claim_from_name(bulla_bytes_of(name.p, n));

		if (whole != BULLA_CLAIM_COUNT)
			break; /* "tee-tcb-svn2" ends in a digit of its own */
		index += scale * (unsigned)(name.p[--n] - '0');
		scale *= 10;
	}
	enum bulla_claim claim = bulla_claim_from_name(bulla_bytes_of(name.p, n));
	if (claim == BULLA_CLAIM_COUNT)
		return false;
	*ret_claim = (uint16_t)claim;
	*ret_index = (uint16_t)index;
	return true;
}

/* ---- reading ---- */
static bulla_rc take_hex(struct bulla_reference_file *file, bulla_json value, bulla_bytes *ret)
{
	uint8_t *memory = file->memory + file->used;
	bulla_bytes text;
	size_t size;

	BULLA_TRY(bulla_json_string_view(value, &text));
	BULLA_TRY(bulla_foreign_hex(text, sizeof(file->memory) - file->used, memory, &size));
	file->used += size;
	*ret = bulla_bytes_of(memory, size);
	return BULLA_OK;
}

static bulla_rc take_text(struct bulla_reference_file *file, bulla_json value, bulla_bytes *ret)
{
	uint8_t *memory = file->memory + file->used;
	size_t size;

	BULLA_TRY(bulla_json_string(value, sizeof(file->memory) - file->used, memory, &size));
	file->used += size;
	*ret = bulla_bytes_of(memory, size);
	return BULLA_OK;
}

static bulla_rc read_values(struct bulla_reference_file *file, bulla_json object,
	const struct bulla_attest_value **ret, size_t *ret_count)
{
	size_t first = file->value_count;
	bulla_json name, item;
	bulla_bytes text;

	if (bulla_json_type(object) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "values are an object of names and hexadecimal digits");
	for (struct bulla_json_iter iter = bulla_json_begin(object); bulla_json_next(&iter, &name, &item);) {
		if (file->value_count == BULLA_REFERENCE_VALUES)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are too many reference values");
		struct bulla_attest_value *value = &file->values[file->value_count++];
		BULLA_TRY(bulla_json_string_view(name, &text));
		if (!bulla_claim_of_name(text, &value->claim, &value->index))
			return BULLA_FAIL(BULLA_E_FORMAT, "a reference value has an unknown name");
		BULLA_TRY(take_hex(file, item, &value->value));
	}
	*ret = &file->values[first];
	*ret_count = file->value_count - first;
	return *ret_count > 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "an image without values would match nothing");
}

static bulla_rc read_images(struct bulla_reference_file *file, bulla_json list)
{
	bulla_json name, item;
	size_t count = 0;

	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item); count++) {
		if (count == BULLA_REFERENCE_IMAGES)
			return BULLA_FAIL(BULLA_E_LIMIT, "there are too many images");
		BULLA_TRY(read_values(file, item, &file->images[count].values, &file->images[count].count));
	}
	file->policy.references = file->images;
	file->policy.reference_count = count;
	return BULLA_OK;
}

typedef bulla_rc take_fn(struct bulla_reference_file *file, bulla_json value, bulla_bytes *ret);

/* "i-0abc.." is the instance of a Nitro module id; chips and platforms are hexadecimal. */
static bulla_rc take_platform(struct bulla_reference_file *file, bulla_json value, bulla_bytes *ret)
{
	bulla_bytes text;

	BULLA_TRY(bulla_json_string_view(value, &text));
	return text.n > 2 && text.p[0] == 'i' && text.p[1] == '-' ? take_text(file, value, ret) : take_hex(file, value, ret);
}

static bulla_rc read_list(struct bulla_reference_file *file, bulla_json list, take_fn *take, const bulla_bytes **ret,
	size_t *ret_count)
{
	size_t first = file->list_count;
	bulla_json name, item;

	if (bulla_json_type(list) != BULLA_JSON_ARRAY)
		return BULLA_FAIL(BULLA_E_FORMAT, "a list is expected");
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item);) {
		if (file->list_count == BULLA_REFERENCE_LIST)
			return BULLA_FAIL(BULLA_E_LIMIT, "the lists are too long");
		bulla_bytes *entry = &file->list[file->list_count++];
		BULLA_TRY(take(file, item, entry));
	}
	*ret = &file->list[first];
	*ret_count = file->list_count - first;
	return BULLA_OK;
}

static bulla_rc read_tees(bulla_json list, uint32_t *ret)
{
	bulla_json name, item;
	bulla_bytes text;

	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item);) {
		BULLA_TRY(bulla_json_string_view(item, &text));
		enum bulla_tee tee = bulla_tee_from_name(text);
		if (tee == BULLA_TEE_NONE)
			return BULLA_FAIL(BULLA_E_FORMAT, "a TEE has an unknown name");
		*ret |= BULLA_TEE_BIT(tee);
	}
	return *ret != 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "no TEE is accepted");
}

static bulla_rc read_assurance(bulla_json value, uint8_t *ret)
{
	for (unsigned i = BULLA_ASSURANCE_DEV; i <= BULLA_ASSURANCE_HARDWARE; i++)
		if (bulla_json_string_is(value, bulla_bytes_str(bulla_assurance_name(i)))) {
			*ret = (uint8_t)i;
			return BULLA_OK;
		}
	return BULLA_FAIL(BULLA_E_FORMAT, "the assurance is dev, emulator or hardware");
}

static bulla_rc read_bits(bulla_json list, int64_t max, uint32_t *ret)
{
	bulla_json name, item;
	int64_t bit;

	*ret = 0;
	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item);) {
		BULLA_TRY(bulla_json_int(item, 0, max, &bit));
		*ret |= UINT32_C(1) << bit;
	}
	return BULLA_OK;
}

static bulla_rc read_u8(bulla_json value, uint8_t *ret)
{
	int64_t number;

	BULLA_TRY(bulla_json_int(value, 0, UINT8_MAX, &number));
	*ret = (uint8_t)number;
	return BULLA_OK;
}

static bulla_rc read_u64(bulla_json value, uint64_t *ret)
{
	int64_t number;

	BULLA_TRY(bulla_json_int(value, 0, INT64_MAX, &number));
	*ret = (uint64_t)number;
	return BULLA_OK;
}

static bool is(bulla_json name, const char *word)
{
	return bulla_json_string_is(name, bulla_bytes_str(word));
}

static bulla_rc unknown_name(void)
{
	return BULLA_FAIL(BULLA_E_FORMAT, "a name of the reference file is unknown");
}

static bulla_rc read_minimum(bulla_json object, struct bulla_snp_tcb *ret)
{
	bulla_json name, item;

	for (struct bulla_json_iter iter = bulla_json_begin(object); bulla_json_next(&iter, &name, &item);) {
		uint8_t *part = is(name, "fmc") ? &ret->fmc :
			is(name, "bootloader")  ? &ret->bootloader :
			is(name, "tee")         ? &ret->tee :
			is(name, "snp")         ? &ret->snp :
			is(name, "microcode")   ? &ret->microcode :
		NULL;

		if (part == NULL)
			return unknown_name();
		BULLA_TRY(read_u8(item, part));
	}
	return BULLA_OK;
}

static bulla_rc read_abi(bulla_json list, struct bulla_snp_policy *ret)
{
	bulla_json name, item;
	unsigned i = 0;

	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item); i++)
		BULLA_TRY(read_u8(item, i == 0 ? &ret->abi_major : &ret->abi_minor));
	return i == 2 ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "the ABI is [major, minor]");
}

/* The member that is a number of bits, or NULL. */
static uint64_t *snp_bits(struct bulla_snp_policy *policy, bulla_json name)
{
	return is(name, "policy-refused") ? &policy->guest_policy_refused :
		is(name, "policy-demanded")   ? &policy->guest_policy_demanded :
		is(name, "platform-refused")  ? &policy->platform_refused :
		is(name, "platform-demanded") ? &policy->platform_demanded :
		is(name, "mitigations")       ? &policy->mitigations_demanded :
						NULL;
}

/* The member that is true or false, or NULL. */
static bool *snp_flag(struct bulla_snp_policy *policy, bulla_json name)
{
	return is(name, "any-csp")  ? &policy->any_csp :
		is(name, "migration")   ? &policy->allow_migration :
		is(name, "masked-chip") ? &policy->allow_masked_chip :
			NULL;
}

static bulla_rc read_snp_member(struct bulla_reference_file *file, bulla_json name, bulla_json item)
{
	struct bulla_snp_policy *policy = &file->policy.snp;
	uint64_t *mask = snp_bits(policy, name), number;
	bool *flag = snp_flag(policy, name);
	uint32_t bits;

	if (mask != NULL)
		return read_u64(item, mask);
	if (flag != NULL)
		return bulla_json_bool(item, flag);
	if (is(name, "minimum"))
		return read_minimum(item, &policy->minimum);
	if (is(name, "csp"))
		return read_list(file, item, take_text, &policy->csps, &policy->csp_count);
	if (is(name, "abi"))
		return read_abi(item, policy);
	if (is(name, "vmpl")) {
		BULLA_TRY(read_bits(item, 3, &bits));
		policy->vmpls = (uint8_t)bits;
		return BULLA_OK;
	}
	if (!is(name, "guest-svn"))
		return unknown_name();
	BULLA_TRY(read_u64(item, &number));
	policy->guest_svn_minimum = number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
	return BULLA_OK;
}

static bulla_rc read_statuses(bulla_json list, uint32_t *ret)
{
	bulla_json name, item;

	for (struct bulla_json_iter iter = bulla_json_begin(list); bulla_json_next(&iter, &name, &item);) {
		unsigned i = 0;

		while (i < BULLA_TCB_REVOKED && !is(item, bulla_tcb_status_name(i)))
			i++;
		if (i == BULLA_TCB_REVOKED)
			return BULLA_FAIL(BULLA_E_FORMAT, "a TCB status is unknown, or cannot be accepted");
		*ret |= BULLA_TCB_BIT(i);
	}
	return BULLA_OK;
}

static bulla_rc read_dcap_member(struct bulla_reference_file *file, bulla_json name, bulla_json item)
{
	struct bulla_dcap_policy *policy = &file->policy.dcap;
	int64_t number;

	if (is(name, "status"))
		return read_statuses(item, &policy->statuses);
	if (is(name, "advisories"))
		return read_list(file, item, take_text, &policy->advisories, &policy->advisory_count);
	if (is(name, "any-advisory"))
		return bulla_json_bool(item, &policy->any_advisory);
	if (is(name, "without-collateral"))
		return bulla_json_bool(item, &policy->without_collateral);
	if (is(name, "no-sept-ve-disable"))
		return bulla_json_bool(item, &policy->allow_no_sept_ve_disable);
	if (is(name, "event-log"))
		return bulla_json_bool(item, &policy->demand_event_log);
	if (is(name, "any-service-td"))
		return bulla_json_bool(item, &policy->any_service_td);
	if (is(name, "service-tds"))
		return read_list(file, item, take_hex, &policy->service_tds, &policy->service_td_count);
	if (is(name, "attributes-refused"))
		return read_u64(item, &policy->attributes_refused);
	if (is(name, "xfam-refused"))
		return read_u64(item, &policy->xfam_refused);
	if (is(name, "isvsvn")) {
		BULLA_TRY(bulla_json_int(item, 0, UINT16_MAX, &number));
		policy->isvsvn_minimum = (uint16_t)number;
		return BULLA_OK;
	}
	if (!is(name, "evaluation"))
		return unknown_name();
	BULLA_TRY(bulla_json_int(item, 0, UINT32_MAX, &number));
	policy->evaluation_minimum = (uint32_t)number;
	return BULLA_OK;
}

static bulla_rc read_psa_member(struct bulla_reference_file *file, bulla_json name, bulla_json item)
{
	struct bulla_psa_policy *policy = &file->policy.psa;

	if (is(name, "legacy"))
		return bulla_json_bool(item, &policy->allow_legacy_profile);
	if (is(name, "test-keys"))
		return bulla_json_bool(item, &policy->allow_test_keys);
	if (is(name, "implementations"))
		return read_list(file, item, take_hex, &policy->implementations, &policy->implementation_count);
	return unknown_name();
}

typedef bulla_rc member_fn(struct bulla_reference_file *file, bulla_json name, bulla_json item);

static bulla_rc read_members(struct bulla_reference_file *file, bulla_json object, member_fn *member)
{
	bulla_json name, item;

	if (bulla_json_type(object) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "an object is expected");
	for (struct bulla_json_iter iter = bulla_json_begin(object); bulla_json_next(&iter, &name, &item);)
		BULLA_TRY(member(file, name, item));
	return BULLA_OK;
}

static bulla_rc check_version(bulla_json item)
{
	int64_t number;

	BULLA_TRY(bulla_json_int(item, 0, 1000, &number));
	return number == 1 ? BULLA_OK : BULLA_FAIL(BULLA_E_VERSION, "the reference file has another version");
}

static bulla_rc read_top_member(struct bulla_reference_file *file, bulla_json name, bulla_json item)
{
	struct bulla_attest_policy *policy = &file->policy;
	int64_t number;

	if (is(name, "v"))
		return check_version(item);
	if (is(name, "tee"))
		return read_tees(item, &policy->tees);
	if (is(name, "assurance"))
		return read_assurance(item, &policy->assurance);
	if (is(name, "images"))
		return read_images(file, item);
	if (is(name, "any-image"))
		return bulla_json_bool(item, &policy->any_measurement);
	if (is(name, "required"))
		return read_values(file, item, &policy->required, &policy->required_count);
	if (is(name, "debug"))
		return bulla_json_bool(item, &policy->allow_debug);
	if (is(name, "strict"))
		return bulla_json_bool(item, &policy->strict);
	if (is(name, "platforms"))
		return read_list(file, item, take_platform, &policy->platforms, &policy->platform_count);
	if (is(name, "snp"))
		return read_members(file, item, read_snp_member);
	if (is(name, "dcap"))
		return read_members(file, item, read_dcap_member);
	if (is(name, "psa"))
		return read_members(file, item, read_psa_member);
	if (!is(name, "max-age-s"))
		return unknown_name();
	BULLA_TRY(bulla_json_int(item, 1, AGE_MAX_S, &number));
	policy->max_age_ms = number * 1000;
	return BULLA_OK;
}

bulla_rc bulla_reference_read(bulla_bytes json, struct bulla_reference_file *ret)
{
	bulla_json object, version;

	bulla_attest_policy_init(&ret->policy);
	ret->value_count = ret->list_count = ret->used = 0;
	BULLA_TRY(bulla_json_parse(json, &object));
	BULLA_TRY(bulla_json_get_str(object, "v", &version));
	BULLA_TRY(read_members(ret, object, read_top_member));
	if (ret->policy.tees == 0 || ret->policy.assurance == BULLA_ASSURANCE_NONE)
		return BULLA_FAIL(BULLA_E_FORMAT, "the reference file names no TEE or no assurance");
	if (ret->policy.reference_count == 0 && !ret->policy.any_measurement)
		return BULLA_FAIL(BULLA_E_FORMAT, "the reference file names no image");
	return BULLA_OK;
}

/* ---- writing ---- */

/* What identifies code: which claims of a sample become reference values. */
static bool is_code(const struct bulla_attest_result *sample, const struct bulla_attest_claim *claim)
{
	switch (sample->tee) {
	case BULLA_TEE_DEV:
	case BULLA_TEE_NITRO:
		return claim->id == BULLA_CLAIM_PCR && claim->index <= 2;
	case BULLA_TEE_NITROTPM:
	case BULLA_TEE_AZ_SNP:
	case BULLA_TEE_AZ_TDX:
		return claim->id == BULLA_CLAIM_PCR && (claim->index == 4 || claim->index == 7 || claim->index == 11);
	case BULLA_TEE_TDX:
		return claim->id == BULLA_CLAIM_MEASUREMENT || (claim->id == BULLA_CLAIM_RTMR && claim->index <= 2);
	case BULLA_TEE_PSA:
		return claim->id == BULLA_CLAIM_COMPONENT;
	default:
		return claim->id == BULLA_CLAIM_MEASUREMENT;
	}
}

bool bulla_reference_has_code(const struct bulla_attest_result *sample)
{
	for (size_t i = 0; i < sample->claim_count; i++)
		if (is_code(sample, &sample->claims[i]))
			return true;
	return false;
}

static bool has_index(uint16_t claim)
{
	return claim == BULLA_CLAIM_PCR || claim == BULLA_CLAIM_RTMR || claim == BULLA_CLAIM_COMPONENT;
}

static void write_name(bulla_wr *w, const struct bulla_attest_claim *claim)
{
	bulla_text_wr(w, "\"");
	bulla_text_wr(w, bulla_claim_name(claim->id));
	if (has_index(claim->id))
		bulla_text_wr_uint(w, claim->index);
	bulla_text_wr(w, "\": ");
}

/* What of a sample's place is not the default is named, so that people see and judge it: its privilege level, its cloud, the
 * service TD bound to it, a paravisor under it. Debug mode and published keys are never. */
static void write_snp(bulla_wr *w, const struct bulla_attest_result *sample)
{
	const struct bulla_attest_claim *vmpl = bulla_attest_find(sample, BULLA_CLAIM_VMPL, 0);
	const struct bulla_attest_claim *csp = bulla_attest_find(sample, BULLA_CLAIM_CSP_ID, 0);
	bool plain = csp != NULL;

	for (size_t i = 0; plain && i < csp->bytes.n; i++)
		plain = csp->bytes.p[i] >= ' ' && csp->bytes.p[i] < 0x7f && csp->bytes.p[i] != '"' && csp->bytes.p[i] != '\\';
	if (vmpl == NULL || (vmpl->number == 0 && !plain))
		return;
	bulla_text_wr(w, ",\n  \"snp\": {\"vmpl\": [");
	bulla_text_wr_uint(w, vmpl->number);
	bulla_text_wr(w, "]");
	if (plain) {
		bulla_text_wr(w, ", \"csp\": [\"");
		bulla_wr_bytes(w, csp->bytes);
		bulla_text_wr(w, "\"]");
	}
	bulla_text_wr(w, "}");
}

static void write_dcap(bulla_wr *w, const struct bulla_attest_result *sample)
{
	const struct bulla_attest_claim *service = bulla_attest_find(sample, BULLA_CLAIM_MRSERVICETD, 0);
	bool bound = service != NULL && !bulla_bytes_is_zero_ct(service->bytes), azure = sample->tee == BULLA_TEE_AZ_TDX;

	if (!bound && !azure)
		return;
	bulla_text_wr(w, ",\n  \"dcap\": {");
	if (azure)
		bulla_text_wr(w, "\"no-sept-ve-disable\": true");
	if (bound) {
		bulla_text_wr(w, azure ? ", \"service-tds\": [\"" : "\"service-tds\": [\"");
		bulla_text_wr_hex(w, service->bytes);
		bulla_text_wr(w, "\"]");
	}
	bulla_text_wr(w, "}");
}

static void write_psa(bulla_wr *w, const struct bulla_attest_result *sample)
{
	const struct bulla_attest_claim *profile = bulla_attest_find(sample, BULLA_CLAIM_PROFILE, 0);

	if (profile != NULL && bulla_bytes_eq_str(profile->bytes, "PSA_IOT_PROFILE_1"))
		bulla_text_wr(w, ",\n  \"psa\": {\"legacy\": true}");
}

void bulla_reference_write(bulla_wr *w, const struct bulla_attest_result *sample)
{
	bool first = true;

	bulla_text_wr(w, "{\n  \"v\": 1,\n  \"tee\": [\"");
	bulla_text_wr(w, bulla_tee_name(sample->tee));
	bulla_text_wr(w, "\"],\n  \"assurance\": \"");
	bulla_text_wr(w, bulla_assurance_name(sample->assurance));
	bulla_text_wr(w, "\",\n  \"images\": [\n    {");
	for (size_t i = 0; i < sample->claim_count; i++) {
		const struct bulla_attest_claim *claim = &sample->claims[i];

		if (!is_code(sample, claim))
			continue;
		bulla_text_wr(w, first ? "\n      " : ",\n      ");
		write_name(w, claim);
		bulla_text_wr(w, "\"");
		bulla_text_wr_hex(w, claim->bytes);
		bulla_text_wr(w, "\"");
		first = false;
	}
	bulla_text_wr(w, "\n    }\n  ]");
	write_snp(w, sample);
	write_dcap(w, sample);
	write_psa(w, sample);
	bulla_text_wr(w, "\n}\n");
}
