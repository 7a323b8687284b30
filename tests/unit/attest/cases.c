#include "cases.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "test.h"
#include "wire/cbor.h"

#define CASE_MAX (1 << 18)

struct scalar {
	size_t at, size;
};
#define SCALAR(member_) \
	{ \
		offsetof(struct bulla_attest_policy, member_), sizeof(((struct bulla_attest_policy *)NULL)->member_) \
	}

/* Never reordered: append. */
static const struct scalar scalars[] = {SCALAR(tees), SCALAR(assurance), SCALAR(allow_debug), SCALAR(strict), SCALAR(generation),
	SCALAR(max_age_ms), SCALAR(skew_ms), SCALAR(any_measurement), SCALAR(snp.minimum.fmc), SCALAR(snp.minimum.bootloader),
	SCALAR(snp.minimum.tee), SCALAR(snp.minimum.snp), SCALAR(snp.minimum.microcode), SCALAR(snp.guest_policy_refused),
	SCALAR(snp.guest_policy_demanded), SCALAR(snp.platform_refused), SCALAR(snp.platform_demanded),
	SCALAR(snp.mitigations_demanded), SCALAR(snp.guest_svn_minimum), SCALAR(snp.vmpls), SCALAR(snp.abi_major),
	SCALAR(snp.abi_minor), SCALAR(snp.allow_migration), SCALAR(snp.allow_masked_chip), SCALAR(snp.any_csp),
	SCALAR(dcap.statuses), SCALAR(dcap.evaluation_minimum), SCALAR(dcap.any_advisory), SCALAR(dcap.without_collateral),
	SCALAR(dcap.allow_no_sept_ve_disable), SCALAR(dcap.attributes_refused), SCALAR(dcap.xfam_refused),
	SCALAR(dcap.any_service_td), SCALAR(dcap.isvsvn_minimum), SCALAR(dcap.demand_event_log), SCALAR(psa.allow_legacy_profile),
	SCALAR(psa.allow_test_keys)};
#define SCALARS (sizeof(scalars) / sizeof(scalars[0]))

static uint64_t get_scalar(const struct bulla_attest_policy *policy, const struct scalar *scalar)
{
	uint64_t value = 0;

	bulla_copy(&value, (const uint8_t *)policy + scalar->at, scalar->size); /* little-endian machines, as all of ours */
	return value;
}

/* ---- writing ---- */
static void write_list(bulla_wr *w, const bulla_bytes *list, size_t count)
{
	bulla_cbor_wr_array(w, count);
	for (size_t i = 0; i < count; i++)
		bulla_cbor_wr_bytes(w, list[i]);
}

static void write_values(bulla_wr *w, const struct bulla_attest_value *values, size_t count)
{
	bulla_cbor_wr_array(w, count);
	for (size_t i = 0; i < count; i++) {
		bulla_cbor_wr_array(w, 3);
		bulla_cbor_wr_uint(w, values[i].claim);
		bulla_cbor_wr_uint(w, values[i].index);
		bulla_cbor_wr_bytes(w, values[i].value);
	}
}

static void write_anchors(bulla_wr *w, const struct bulla_attest_anchors *anchors)
{
	bulla_cbor_wr_array(w, anchors->count);
	for (size_t i = 0; i < anchors->count; i++) {
		const struct bulla_attest_anchor *anchor = &anchors->list[i];

		bulla_cbor_wr_array(w, 5);
		bulla_cbor_wr_uint(w, anchor->tee);
		bulla_cbor_wr_uint(w, anchor->assurance);
		bulla_cbor_wr_uint(w, anchor->how);
		bulla_cbor_wr_bytes(w, anchor->id);
		bulla_cbor_wr_bytes(w, anchor->key);
	}
}

static void write_policy(bulla_wr *w, const struct bulla_attest_policy *policy)
{
	bulla_cbor_wr_array(w, SCALARS + 7);
	for (size_t i = 0; i < SCALARS; i++)
		bulla_cbor_wr_uint(w, get_scalar(policy, &scalars[i]));
	bulla_cbor_wr_array(w, policy->reference_count);
	for (size_t i = 0; i < policy->reference_count; i++)
		write_values(w, policy->references[i].values, policy->references[i].count);
	write_values(w, policy->required, policy->required_count);
	write_list(w, policy->platforms, policy->platform_count);
	write_list(w, policy->snp.csps, policy->snp.csp_count);
	write_list(w, policy->dcap.advisories, policy->dcap.advisory_count);
	write_list(w, policy->dcap.service_tds, policy->dcap.service_td_count);
	write_list(w, policy->psa.implementations, policy->psa.implementation_count);
}

static void write_binding(bulla_wr *w, const struct bulla_attest_binding *binding)
{
	const struct bulla_attest_expected *all[] = {
		&binding->binder, &binding->nonce, &binding->public_key, &binding->manifest, &binding->bundles};

	bulla_cbor_wr_array(w, 5);
	for (size_t i = 0; i < 5; i++) {
		bulla_cbor_wr_array(w, 2);
		bulla_cbor_wr_uint(w, all[i]->how);
		bulla_cbor_wr_bytes(w, all[i]->value);
	}
}

static void write_collateral(bulla_wr *w, const struct attest_case *about)
{
	static const struct bulla_attest_collateral none;
	const struct bulla_attest_collateral *given = about->collateral != NULL ? about->collateral : &none;
	const struct bulla_dcap_parts *parts = given->dcap != NULL ? about->parts : NULL;

	bulla_cbor_wr_array(w, 5);
	write_list(w, given->certificates, given->certificate_count);
	bulla_cbor_wr_bytes(w, given->certificate_table);
	write_list(w, given->crls, given->crl_count);
	bulla_cbor_wr_bytes(w, given->event_log);
	write_list(w, (const bulla_bytes *)parts, parts == NULL ? 0 : sizeof(*parts) / sizeof(bulla_bytes));
}

static void write_case(bulla_wr *w, const struct attest_case *about)
{
	bulla_cbor_wr_array(w, 6);
	bulla_cbor_wr_bytes(w, about->evidence);
	write_anchors(w, about->anchors);
	write_policy(w, about->policy);
	write_binding(w, about->binding);
	bulla_cbor_wr_array(w, 2);
	bulla_cbor_wr_uint(w, (uint64_t)about->time.now_ms);
	bulla_cbor_wr_uint(w, about->time.clock);
	write_collateral(w, about);
}

static void save(const char *folder, const char *kind, const struct attest_case *about, const struct bulla_attest_result *result)
{
	BULLA_AUTO_BUF buf;
	bulla_bytes text;
	char name[512];

	bulla_buf_init(&buf, CASE_MAX);
	bulla_wr w = bulla_wr_buf(&buf);
	write_case(&w, about);
	assert_ok(bulla_wr_end(&w, &text));
	(void)snprintf(name, sizeof(name), "%s/%s-%s.case", folder, kind,
		result->failed < BULLA_FACTOR_COUNT ? bulla_factor_name(result->failed) : "held");
	FILE *file = fopen(name, "wbx");
	if (file == NULL)
		return;
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	fclose(file);
}

bulla_rc case_judge(const char *kind, const struct attest_case *about, struct bulla_attest_result *ret)
{
	const char *folder = getenv("BULLA_CASES");
	bulla_rc rc = bulla_attest_appraise(about->evidence, about->collateral, about->anchors, about->policy, about->binding,
		about->time, NULL, ret);

	if (folder != NULL && rc != BULLA_E_ARGUMENT && about->evidence.n < CASE_MAX / 4)
		save(folder, kind, about, ret);
	return rc;
}

/* ---- reading ---- */
struct reading {
	bulla_cbor_rd r;
	struct attest_replay *to;
};

static bulla_bytes read_bytes(struct reading *in)
{
	bulla_bytes value;

	assert_ok(bulla_cbor_rd_bytes(&in->r, &value));
	return value;
}

static uint64_t read_uint(struct reading *in)
{
	uint64_t value;

	assert_ok(bulla_cbor_rd_uint(&in->r, &value));
	return value;
}

static size_t read_array(struct reading *in)
{
	size_t count;

	assert_ok(bulla_cbor_rd_array(&in->r, CASE_LIST, &count));
	return count;
}

static size_t read_list(struct reading *in, unsigned which, const bulla_bytes **ret)
{
	size_t count = read_array(in);

	for (size_t i = 0; i < count; i++)
		in->to->lists[which][i] = read_bytes(in);
	*ret = in->to->lists[which];
	return count;
}

static size_t read_values(struct reading *in, struct bulla_attest_value *ret)
{
	size_t count = read_array(in);

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(read_array(in), 3);
		ret[i].claim = (uint16_t)read_uint(in);
		ret[i].index = (uint16_t)read_uint(in);
		ret[i].value = read_bytes(in);
	}
	return count;
}

static void read_anchors(struct reading *in)
{
	size_t count = read_array(in);

	assert_true(count <= 8);
	for (size_t i = 0; i < count; i++) {
		struct bulla_attest_anchor *anchor = &in->to->anchor_list[i];

		assert_int_equal(read_array(in), 5);
		anchor->tee = (uint8_t)read_uint(in);
		anchor->assurance = (uint8_t)read_uint(in);
		anchor->how = (uint8_t)read_uint(in);
		anchor->id = read_bytes(in);
		anchor->key = read_bytes(in);
	}
	in->to->anchors = (struct bulla_attest_anchors){in->to->anchor_list, count};
}

static void read_references(struct reading *in)
{
	size_t count = read_array(in), used = 0;

	for (size_t i = 0; i < count; i++) {
		in->to->references[i].values = in->to->values + used;
		in->to->references[i].count = read_values(in, in->to->values + used);
		used += in->to->references[i].count;
	}
	in->to->policy.references = in->to->references;
	in->to->policy.reference_count = count;
}

static void read_policy(struct reading *in)
{
	struct bulla_attest_policy *policy = &in->to->policy;

	assert_int_equal(read_array(in), SCALARS + 7);
	for (size_t i = 0; i < SCALARS; i++) {
		uint64_t value = read_uint(in);

		bulla_copy((uint8_t *)policy + scalars[i].at, &value, scalars[i].size);
	}
	read_references(in);
	policy->required = in->to->required;
	policy->required_count = read_values(in, in->to->required);
	policy->platform_count = read_list(in, 0, &policy->platforms);
	policy->snp.csp_count = read_list(in, 1, &policy->snp.csps);
	policy->dcap.advisory_count = read_list(in, 2, &policy->dcap.advisories);
	policy->dcap.service_td_count = read_list(in, 3, &policy->dcap.service_tds);
	policy->psa.implementation_count = read_list(in, 4, &policy->psa.implementations);
}

static void read_binding(struct reading *in)
{
	struct bulla_attest_binding *binding = &in->to->binding;
	struct bulla_attest_expected *all[] = {
		&binding->binder, &binding->nonce, &binding->public_key, &binding->manifest, &binding->bundles};

	assert_int_equal(read_array(in), 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(read_array(in), 2);
		all[i]->how = (uint8_t)read_uint(in);
		all[i]->value = read_bytes(in);
	}
}

static void read_collateral(struct reading *in)
{
	struct bulla_attest_collateral *collateral = &in->to->collateral;
	const bulla_bytes *list;

	assert_int_equal(read_array(in), 5);
	collateral->certificate_count = read_list(in, 5, &list);
	bulla_copy(collateral->certificates, list, sizeof(bulla_bytes) * collateral->certificate_count);
	collateral->certificate_table = read_bytes(in);
	collateral->crl_count = read_list(in, 6, &list);
	bulla_copy(collateral->crls, list, sizeof(bulla_bytes) * collateral->crl_count);
	collateral->event_log = read_bytes(in);
	if (read_list(in, 7, &list) == 0)
		return;
	bulla_copy(&in->to->parts, list, sizeof(in->to->parts));
	in->to->has_parts = true;
}

void case_open(bulla_bytes text, struct attest_replay *ret)
{
	struct reading reading = {bulla_cbor_rd_of(text), ret}, *in = &reading;

	*ret = (struct attest_replay){0};
	assert_int_equal(read_array(in), 6);
	ret->evidence = read_bytes(in);
	read_anchors(in);
	read_policy(in);
	read_binding(in);
	assert_int_equal(read_array(in), 2);
	ret->time.now_ms = (int64_t)read_uint(in);
	ret->time.clock = (uint8_t)read_uint(in);
	read_collateral(in);
	assert_ok(bulla_cbor_rd_end(&in->r));
}

void case_close(struct attest_replay *replay)
{
	bulla_buf_done(&replay->memory);
}

bulla_rc case_run(const char *kind, struct attest_replay *replay, struct bulla_attest_result *ret)
{
	const struct attest_case about = {replay->evidence, &replay->collateral, &replay->parts, &replay->anchors, &replay->policy,
		&replay->binding, replay->time};

	bulla_buf_done(&replay->memory);
	replay->collateral.dcap = NULL;
	if (replay->has_parts) {
		bulla_buf_init(&replay->memory, BULLA_DCAP_CHAINS_SIZE);
		assert_ok(bulla_buf_reserve(&replay->memory, BULLA_DCAP_CHAINS_SIZE));
		assert_ok(bulla_dcap_collateral_read(&replay->parts, &replay->anchors, &replay->memory, &replay->dcap));
		replay->collateral.dcap = &replay->dcap;
	}
	return case_judge(kind, &about, ret);
}
