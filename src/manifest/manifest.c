#include "manifest/manifest.h"

#include "base/limits.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "manifest/lists.h"

enum { MANIFEST_ITEMS = 15, AGENT_ITEMS = 12 };
enum { NAME_MAX = 64, SPKI_MAX = 256, HPKE_MAX = 1216, URL_MAX = 256, KEY_ID_MAX = 256, TEE_MAX = 16 };
enum { COMMAND_MAX = 64, CAPABILITIES_MAX = 64, PATH_MAX_NAMES = 16, IMAGES_MAX = 64, TEES_MAX = 16 };
enum { ANCHORS_MAX = 64, ANCHOR_BYTES = 512, EARLIER_MAX = 16, TCB_MAX = 4096 };

#define AUTO_MANIFEST __attribute__((cleanup(bulla_manifest_done))) struct bulla_manifest

void bulla_manifest_done(struct bulla_manifest *manifest)
{
	if (manifest == NULL)
		return;
	bulla_free(manifest->approvers);
	bulla_free(manifest->parties);
	bulla_free(manifest->agents);
	bulla_free(manifest->workflows);
	bulla_free(manifest->anchors);
	bulla_free(manifest->earlier);
	bulla_zero(manifest, sizeof(*manifest));
}

/* Head of a list and memory for it. */
static bulla_rc read_list(bulla_cbor_rd *r, size_t max, size_t size, void **ret, size_t *ret_count)
{
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(r, max, &count));
	if (count > 0)
		BULLA_TRY(bulla_alloc(count, size, ret));
	*ret_count = count;
	return BULLA_OK;
}

static bulla_rc read_word(bulla_cbor_rd *r, uint64_t first, uint64_t last, uint8_t *ret)
{
	uint64_t value;

	BULLA_TRY(bulla_cbor_rd_uint(r, &value));
	if (value < first || value > last)
		return BULLA_FAIL(BULLA_E_FORMAT, "a manifest holds a number that means nothing");
	*ret = (uint8_t)value;
	return BULLA_OK;
}

static bulla_rc read_handle(bulla_cbor_rd *r, bulla_handle *ret)
{
	return bulla_cbor_rd_copy(r, sizeof(ret->b), ret->b);
}

/* Handles of a list rise: sorted, and none twice. */
static bulla_rc check_rising(const bulla_handle *last, const bulla_handle *handle)
{
	if (last != NULL && bulla_bytes_cmp(bulla_handle_view(last), bulla_handle_view(handle)) >= 0)
		return BULLA_FAIL(BULLA_E_DUPLICATE, "handles in a manifest do not rise");
	return BULLA_OK;
}

static bulla_rc read_spki(bulla_cbor_rd *r, bulla_bytes *ret, bulla_digest *ret_kid)
{
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, SPKI_MAX, ret));
	bulla_sha256(*ret, ret_kid);
	return BULLA_OK;
}

/* --- its parts --- */

static bulla_rc read_approvers(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	void *list = NULL;

	BULLA_TRY(bulla_cbor_rd_expect_array(r, 2));
	BULLA_TRY(bulla_cbor_rd_u32(r, &m->need));
	BULLA_TRY(read_list(r, BULLA_MAX_APPROVERS, sizeof(*m->approvers), &list, &m->approver_count));
	m->approvers = list;
	if (m->need == 0 || m->need > m->approver_count)
		return BULLA_FAIL(BULLA_E_FORMAT, "a manifest needs no approver, or more than it has");
	for (size_t i = 0; i < m->approver_count; i++) {
		struct bulla_approver *approver = &m->approvers[i];

		BULLA_TRY(bulla_cbor_rd_expect_array(r, 2));
		BULLA_TRY(bulla_cbor_rd_text(r, NAME_MAX, &approver->name));
		BULLA_TRY(read_spki(r, &approver->spki, &approver->kid));
		if (bulla_manifest_approver(m, &approver->kid) != approver)
			return BULLA_FAIL(BULLA_E_DUPLICATE, "an approver is there twice");
	}
	return BULLA_OK;
}

static bulla_rc read_party(bulla_cbor_rd *r, struct bulla_party *party)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 5));
	BULLA_TRY(read_handle(r, &party->handle));
	BULLA_TRY(bulla_cbor_rd_text(r, NAME_MAX, &party->name));
	BULLA_TRY(read_spki(r, &party->spki, &party->kid));
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, HPKE_MAX, &party->hpke));
	BULLA_TRY(bulla_cbor_rd_u32(r, &party->rights));
	if ((party->rights & ~BULLA_RIGHT_ALL) != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a party has a right that does not exist");
	return BULLA_OK;
}

static bulla_rc read_parties(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	void *list = NULL;

	BULLA_TRY(read_list(r, BULLA_MAX_PARTIES, sizeof(*m->parties), &list, &m->party_count));
	m->parties = list;
	for (size_t i = 0; i < m->party_count; i++) {
		BULLA_TRY(read_party(r, &m->parties[i]));
		BULLA_TRY(check_rising(i > 0 ? &m->parties[i - 1].handle : NULL, &m->parties[i].handle));
		if (bulla_manifest_party_kid(m, &m->parties[i].kid) != &m->parties[i])
			return BULLA_FAIL(BULLA_E_DUPLICATE, "two parties have one key");
	}
	return BULLA_OK;
}

static bulla_rc read_limits(bulla_cbor_rd *r, struct bulla_agent *agent)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 4));
	BULLA_TRY(bulla_cbor_rd_uint(r, &agent->memory_bytes));
	BULLA_TRY(bulla_cbor_rd_u32(r, &agent->cpu_milli));
	BULLA_TRY(bulla_cbor_rd_u32(r, &agent->processes));
	return bulla_cbor_rd_u32(r, &agent->in_flight);
}

static bulla_rc read_agent(bulla_cbor_rd *r, struct bulla_agent *agent)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, AGENT_ITEMS));
	BULLA_TRY(read_handle(r, &agent->handle));
	BULLA_TRY(bulla_cbor_rd_text(r, NAME_MAX, &agent->name));
	BULLA_TRY(bulla_cbor_rd_digest(r, &agent->bundle));
	BULLA_TRY(read_word(r, BULLA_BINDING_RUN, BULLA_BINDING_STREAM, &agent->binding));
	BULLA_TRY(bulla_list_read(r, BULLA_CBOR_TEXT, COMMAND_MAX, &agent->command));
	BULLA_TRY(read_limits(r, agent));
	BULLA_TRY(bulla_list_read(r, BULLA_CBOR_TEXT, CAPABILITIES_MAX, &agent->capabilities));
	BULLA_TRY(bulla_list_read(r, BULLA_CBOR_BYTES, PATH_MAX_NAMES, &agent->outcome));
	BULLA_TRY(bulla_list_read(r, BULLA_CBOR_BYTES, BULLA_MAX_FLOW_OUTCOMES, &agent->words));
	BULLA_TRY(bulla_images_read(r, IMAGES_MAX, &agent->images));
	BULLA_TRY(bulla_cbor_rd_text(r, KEY_ID_MAX, &agent->wrapping_key));
	return read_word(r, BULLA_POLICY_MANAGED, BULLA_POLICY_FROZEN, &agent->policy_form);
}

static bulla_rc read_agents(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	void *list = NULL;

	BULLA_TRY(read_list(r, BULLA_MAX_AGENTS, sizeof(*m->agents), &list, &m->agent_count));
	m->agents = list;
	for (size_t i = 0; i < m->agent_count; i++) {
		BULLA_TRY(read_agent(r, &m->agents[i]));
		BULLA_TRY(check_rising(i > 0 ? &m->agents[i - 1].handle : NULL, &m->agents[i].handle));
	}
	return BULLA_OK;
}

static bulla_rc read_workflows(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	void *list = NULL;

	BULLA_TRY(read_list(r, BULLA_MAX_WORKFLOWS, sizeof(*m->workflows), &list, &m->workflow_count));
	m->workflows = list;
	for (size_t i = 0; i < m->workflow_count; i++) {
		struct bulla_workflow *workflow = &m->workflows[i];

		BULLA_TRY(bulla_cbor_rd_expect_array(r, 3));
		BULLA_TRY(read_handle(r, &workflow->handle));
		BULLA_TRY(bulla_cbor_rd_text(r, NAME_MAX, &workflow->name));
		BULLA_TRY(bulla_cbor_rd_bytes_max(r, BULLA_MAX_FLOW_BYTES, &workflow->plan));
		BULLA_TRY(check_rising(i > 0 ? &m->workflows[i - 1].handle : NULL, &workflow->handle));
		bulla_sha256(workflow->plan, &workflow->digest);
		if (bulla_manifest_workflow(m, &workflow->digest) != workflow)
			return BULLA_FAIL(BULLA_E_DUPLICATE, "two workflows have one plan");
	}
	return BULLA_OK;
}

static bulla_rc read_anchor(bulla_cbor_rd *r, struct bulla_anchor *anchor)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 5));
	BULLA_TRY(bulla_cbor_rd_text(r, TEE_MAX, &anchor->tee));
	BULLA_TRY(read_word(r, 1, 3, &anchor->assurance));
	BULLA_TRY(read_word(r, 1, 3, &anchor->how));
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, ANCHOR_BYTES, &anchor->id));
	return bulla_cbor_rd_bytes_max(r, ANCHOR_BYTES, &anchor->key);
}

static bulla_rc read_evidence(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	void *list = NULL;
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_expect_array(r, 5));
	BULLA_TRY(bulla_list_read(r, BULLA_CBOR_TEXT, TEES_MAX, &m->tees));
	BULLA_TRY(read_word(r, 1, 3, &m->assurance));
	BULLA_TRY(bulla_cbor_rd_uint_max(r, (uint64_t)1 << 40, &m->max_age_ms));
	BULLA_TRY(read_list(r, ANCHORS_MAX, sizeof(*m->anchors), &list, &m->anchor_count));
	m->anchors = list;
	for (size_t i = 0; i < m->anchor_count; i++)
		BULLA_TRY(read_anchor(r, &m->anchors[i]));
	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	if (type != BULLA_CBOR_MAP)
		return BULLA_FAIL(BULLA_E_FORMAT, "a manifest's TCB policy is no map");
	BULLA_TRY(bulla_cbor_rd_skip(r, &m->tcb));
	return m->tcb.n > TCB_MAX ? BULLA_FAIL(BULLA_E_LIMIT, "a manifest's TCB policy is too large") : BULLA_OK;
}

static bulla_rc read_broker(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 4));
	BULLA_TRY(bulla_cbor_rd_text(r, URL_MAX, &m->broker_url));
	BULLA_TRY(bulla_cbor_rd_digest(r, &m->broker_tls));
	BULLA_TRY(read_spki(r, &m->ledger_spki, &m->ledger));
	return bulla_cbor_rd_text(r, KEY_ID_MAX, &m->keys_at);
}

static bulla_rc read_earlier(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	void *list = NULL;

	BULLA_TRY(read_list(r, EARLIER_MAX, sizeof(*m->earlier), &list, &m->earlier_count));
	m->earlier = list;
	for (size_t i = 0; i < m->earlier_count; i++) {
		uint64_t later = i > 0 ? m->earlier[i - 1].epoch : m->epoch;

		BULLA_TRY(bulla_cbor_rd_expect_array(r, 2));
		BULLA_TRY(bulla_cbor_rd_uint(r, &m->earlier[i].epoch));
		BULLA_TRY(bulla_cbor_rd_digest(r, &m->earlier[i].manifest));
		if (m->earlier[i].epoch >= later)
			return BULLA_FAIL(BULLA_E_FORMAT, "earlier epochs of a manifest do not fall");
	}
	return BULLA_OK;
}

static bulla_rc read_start(bulla_cbor_rd *r, struct bulla_manifest *m)
{
	uint64_t version;

	BULLA_TRY(bulla_cbor_rd_expect_array(r, MANIFEST_ITEMS));
	BULLA_TRY(bulla_cbor_rd_uint(r, &version));
	if (version != BULLA_MANIFEST_VERSION)
		return BULLA_FAIL(BULLA_E_VERSION, "a manifest has a version that this program does not read");
	BULLA_TRY(read_word(r, BULLA_SUITE_CLASSIC, BULLA_SUITE_HYBRID, &m->suite));
	BULLA_TRY(read_word(r, BULLA_MODE_STRICT, BULLA_MODE_DETECT, &m->mode));
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 2));
	BULLA_TRY(read_word(r, BULLA_PADDING_CLASSES, BULLA_PADDING_EXACT, &m->padding));
	BULLA_TRY(bulla_cbor_rd_u32(r, &m->padding_size));
	BULLA_TRY(read_handle(r, &m->tenant));
	BULLA_TRY(bulla_cbor_rd_digest(r, &m->name_key));
	BULLA_TRY(bulla_cbor_rd_uint(r, &m->epoch));
	BULLA_TRY(bulla_cbor_rd_uint(r, &m->delay_ms));
	if (m->epoch == 0 || m->epoch > INT64_MAX)
		return BULLA_FAIL(BULLA_E_FORMAT, "a manifest's epoch is out of range");
	if ((m->padding == BULLA_PADDING_FIXED) != (m->padding_size != 0) || m->padding_size > BULLA_MAX_PAYLOAD)
		return BULLA_FAIL(BULLA_E_FORMAT, "a manifest's padding has no possible size");
	return BULLA_OK;
}

bulla_rc bulla_manifest_decode(bulla_bytes bytes, struct bulla_manifest *ret)
{
	AUTO_MANIFEST m = {.bytes = bytes};
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);

	if (bytes.n > BULLA_MAX_MANIFEST)
		return BULLA_FAIL(BULLA_E_LIMIT, "a manifest is too large");
	BULLA_TRY(read_start(&r, &m));
	BULLA_TRY(read_approvers(&r, &m));
	BULLA_TRY(read_parties(&r, &m));
	BULLA_TRY(read_agents(&r, &m));
	BULLA_TRY(read_workflows(&r, &m));
	BULLA_TRY(read_evidence(&r, &m));
	BULLA_TRY(read_broker(&r, &m));
	BULLA_TRY(read_earlier(&r, &m));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	bulla_sha256(bytes, &m.digest);
	*ret = m;
	m = (struct bulla_manifest){0};
	return BULLA_OK;
}

/* --- encoding --- */

static void write_start(bulla_wr *w, const struct bulla_manifest *m)
{
	bulla_cbor_wr_array(w, MANIFEST_ITEMS);
	bulla_cbor_wr_uint(w, BULLA_MANIFEST_VERSION);
	bulla_cbor_wr_uint(w, m->suite);
	bulla_cbor_wr_uint(w, m->mode);
	bulla_cbor_wr_array(w, 2);
	bulla_cbor_wr_uint(w, m->padding);
	bulla_cbor_wr_uint(w, m->padding_size);
	bulla_cbor_wr_bytes(w, bulla_handle_view(&m->tenant));
	bulla_cbor_wr_digest(w, &m->name_key);
	bulla_cbor_wr_uint(w, m->epoch);
	bulla_cbor_wr_uint(w, m->delay_ms);
}

static void write_people(bulla_wr *w, const struct bulla_manifest *m)
{
	bulla_cbor_wr_array(w, 2);
	bulla_cbor_wr_uint(w, m->need);
	bulla_cbor_wr_array(w, m->approver_count);
	for (size_t i = 0; i < m->approver_count; i++) {
		bulla_cbor_wr_array(w, 2);
		bulla_cbor_wr_text(w, m->approvers[i].name);
		bulla_cbor_wr_bytes(w, m->approvers[i].spki);
	}
	bulla_cbor_wr_array(w, m->party_count);
	for (size_t i = 0; i < m->party_count; i++) {
		bulla_cbor_wr_array(w, 5);
		bulla_cbor_wr_bytes(w, bulla_handle_view(&m->parties[i].handle));
		bulla_cbor_wr_text(w, m->parties[i].name);
		bulla_cbor_wr_bytes(w, m->parties[i].spki);
		bulla_cbor_wr_bytes(w, m->parties[i].hpke);
		bulla_cbor_wr_uint(w, m->parties[i].rights);
	}
}

/* A nested list, or an empty one where the caller gave none. */
static void write_nested(bulla_wr *w, bulla_bytes list)
{
	if (list.n == 0)
		bulla_cbor_wr_array(w, 0);
	else
		bulla_cbor_wr_raw(w, list);
}

static void write_agent(bulla_wr *w, const struct bulla_agent *agent)
{
	bulla_cbor_wr_array(w, AGENT_ITEMS);
	bulla_cbor_wr_bytes(w, bulla_handle_view(&agent->handle));
	bulla_cbor_wr_text(w, agent->name);
	bulla_cbor_wr_digest(w, &agent->bundle);
	bulla_cbor_wr_uint(w, agent->binding);
	write_nested(w, agent->command);
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_uint(w, agent->memory_bytes);
	bulla_cbor_wr_uint(w, agent->cpu_milli);
	bulla_cbor_wr_uint(w, agent->processes);
	bulla_cbor_wr_uint(w, agent->in_flight);
	write_nested(w, agent->capabilities);
	write_nested(w, agent->outcome);
	write_nested(w, agent->words);
	write_nested(w, agent->images);
	bulla_cbor_wr_text(w, agent->wrapping_key);
	bulla_cbor_wr_uint(w, agent->policy_form);
}

static void write_evidence(bulla_wr *w, const struct bulla_manifest *m)
{
	bulla_cbor_wr_array(w, 5);
	write_nested(w, m->tees);
	bulla_cbor_wr_uint(w, m->assurance);
	bulla_cbor_wr_uint(w, m->max_age_ms);
	bulla_cbor_wr_array(w, m->anchor_count);
	for (size_t i = 0; i < m->anchor_count; i++) {
		bulla_cbor_wr_array(w, 5);
		bulla_cbor_wr_text(w, m->anchors[i].tee);
		bulla_cbor_wr_uint(w, m->anchors[i].assurance);
		bulla_cbor_wr_uint(w, m->anchors[i].how);
		bulla_cbor_wr_bytes(w, m->anchors[i].id);
		bulla_cbor_wr_bytes(w, m->anchors[i].key);
	}
	if (m->tcb.n == 0)
		bulla_cbor_wr_map(w, 0);
	else
		bulla_cbor_wr_raw(w, m->tcb);
}

bulla_rc bulla_manifest_encode(const struct bulla_manifest *m, bulla_wr *w)
{
	write_start(w, m);
	write_people(w, m);
	bulla_cbor_wr_array(w, m->agent_count);
	for (size_t i = 0; i < m->agent_count; i++)
		write_agent(w, &m->agents[i]);
	bulla_cbor_wr_array(w, m->workflow_count);
	for (size_t i = 0; i < m->workflow_count; i++) {
		bulla_cbor_wr_array(w, 3);
		bulla_cbor_wr_bytes(w, bulla_handle_view(&m->workflows[i].handle));
		bulla_cbor_wr_text(w, m->workflows[i].name);
		bulla_cbor_wr_bytes(w, m->workflows[i].plan);
	}
	write_evidence(w, m);
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_text(w, m->broker_url);
	bulla_cbor_wr_digest(w, &m->broker_tls);
	bulla_cbor_wr_bytes(w, m->ledger_spki);
	bulla_cbor_wr_text(w, m->keys_at);
	bulla_cbor_wr_array(w, m->earlier_count);
	for (size_t i = 0; i < m->earlier_count; i++) {
		bulla_cbor_wr_array(w, 2);
		bulla_cbor_wr_uint(w, m->earlier[i].epoch);
		bulla_cbor_wr_digest(w, &m->earlier[i].manifest);
	}
	return w->rc;
}
