/* A step before its agent: checks, what is still needed, opening. Nothing of it reaches an agent before everything held. */
#include "tee/enclave_internal.h"

#include "receipt/merkle.h"
#include "receipt/run_secret.h"
#include "wire/json.h"
#include "wire/kinds.h"
#include "wire/text.h"

#include <stdio.h>

#define DEFAULT_TIMEOUT_MS 60000

/* --- objects that came along: instances first, then what they vouch for. A bad one is not used; what it was for fails. --- */

static void need_instance(struct bulla_work_needs *needs, const bulla_digest *kid)
{
	if (needs->instance_count == BULLA_WORK_NEEDS)
		return;
	needs->kids[needs->instance_count] = *kid;
	needs->instances[needs->instance_count] = bulla_bytes_digest(&needs->kids[needs->instance_count]);
	needs->instance_count++;
}

static bulla_rc learn_object(struct bulla_enclave *enclave, const struct bulla_msg_object *object, struct bulla_work_needs *needs)
{
	struct bulla_birth birth;
	bulla_digest sender;
	bulla_rc rc;

	if (object->kind == BULLA_OBJECT_INSTANCE)
		return bulla_peers_learn(&enclave->peers, object->body);
	if (object->kind == BULLA_OBJECT_BIRTH) {
		rc = bulla_peers_learn_birth(&enclave->peers, object->body);
		if (rc == BULLA_E_NOT_FOUND && bulla_birth_peek(object->body, &birth) == BULLA_OK)
			need_instance(needs, &birth.signer);
		return rc;
	}
	if (object->kind != BULLA_OBJECT_LINK)
		return BULLA_OK;
	rc = bulla_links_learn(&enclave->links, &enclave->peers, enclave->link_agents, enclave->base->agent_count,
		enclave->join.kem, object->body, &sender);
	if (rc == BULLA_E_NOT_FOUND)
		need_instance(needs, &sender);
	return rc;
}

static bulla_rc learn_kind(struct bulla_enclave *enclave, const struct bulla_pb_list *objects, uint64_t kind,
	struct bulla_work_needs *needs)
{
	struct bulla_pb_iter iter = bulla_pb_list_begin(objects);
	bulla_rc first = BULLA_OK;
	bulla_bytes item;

	while (bulla_pb_list_next(&iter, &item)) {
		struct bulla_msg_object object;
		bulla_rc rc = bulla_msg_object_decode(item, &object);

		if (rc == BULLA_OK && object.kind == kind)
			rc = learn_object(enclave, &object, needs);
		if (first == BULLA_OK && rc != BULLA_E_NOT_FOUND)
			first = rc;
	}
	return first;
}

/* The first error of an object; it is the answer if what it was for stays unknown. */
static bulla_rc learn(struct bulla_enclave *enclave, const struct bulla_pb_list *objects, struct bulla_work_needs *needs)
{
	bulla_rc instances, births, links;

	if (objects->count == 0)
		return BULLA_OK;
	instances = learn_kind(enclave, objects, BULLA_OBJECT_INSTANCE, needs);
	births = learn_kind(enclave, objects, BULLA_OBJECT_BIRTH, needs);
	links = learn_kind(enclave, objects, BULLA_OBJECT_LINK, needs);
	return instances != BULLA_OK ? instances : births != BULLA_OK ? births : links;
}

/* --- what is not known yet --- */

static void need_links(const struct bulla_enclave *enclave, const struct bulla_envelope *envelope,
	struct bulla_work_needs *needs)
{
	size_t before = needs->link_count;

	for (size_t i = 0; i < envelope->reader_count; i++) {
		const struct bulla_link_entry *entry;
		bulla_link_id id;
		bulla_bytes wrapped;

		if (bulla_envelope_reader_at(envelope, i, &id, &wrapped) != BULLA_OK)
			return;
		entry = bulla_links_find(&enclave->links, &id);
		if (entry != NULL && entry->agent != BULLA_LINK_NOBODY) { /* one that is mine is enough */
			needs->link_count = before;
			return;
		}
		if (entry != NULL || needs->link_count == BULLA_WORK_NEEDS)
			continue;
		bulla_copy(needs->link_ids[needs->link_count], id.b, sizeof(id.b));
		needs->links[needs->link_count] = BULLA_BYTES_ARRAY(needs->link_ids[needs->link_count]);
		needs->link_count++;
	}
}

static void need_readers(const struct bulla_enclave *enclave, const struct bulla_flow *flow,
	struct bulla_flow_span readers, struct bulla_work_needs *needs)
{
	for (uint32_t i = 0; i < readers.count; i++) {
		const struct bulla_flow_actor *actor = &flow->actors[flow->readers[readers.first + i]];
		bulla_bytes handle = BULLA_BYTES_ARRAY(actor->handle);
		bool listed = false;

		if (bulla_work_reader_known(enclave, actor))
			continue;
		for (size_t k = 0; k < needs->birth_count; k++)
			listed = listed || bulla_bytes_eq(needs->births[k], handle);
		if (!listed && needs->birth_count < BULLA_WORK_NEEDS)
			needs->births[needs->birth_count++] = handle;
	}
}

static void find_needs(const struct bulla_enclave *enclave, const struct bulla_work_request *request,
	struct bulla_work_needs *needs)
{
	const struct bulla_flow *flow = enclave->step.flow;
	const struct bulla_flow_span *parts = &enclave->step.plan->parts;

	for (size_t i = 0; i < request->envelope_count; i++)
		need_links(enclave, &request->envelopes[i], needs);
	for (uint32_t i = 0; i < parts->count; i++)
		need_readers(enclave, flow, flow->parts[parts->first + i].readers, needs);
	need_readers(enclave, flow, flow->log_readers, needs);
}

static bulla_rc send_needs(struct bulla_enclave *enclave, const struct bulla_work_request *request,
	const struct bulla_work_needs *needs)
{
	struct bulla_msg_need need = {.links = bulla_pb_list_of(needs->links, needs->link_count),
		.instances = bulla_pb_list_of(needs->instances, needs->instance_count),
		.births = bulla_pb_list_of(needs->births, needs->birth_count)};
	bulla_bytes body;
	bulla_wr w;

	enclave->text.n = 0;
	w = bulla_wr_buf(&enclave->text);
	bulla_msg_need_encode(&need, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	BULLA_TRY(bulla_frames_reply(enclave->host, BULLA_OP_NEED, request->stream, body));
	enclave->stats.needs++;
	return BULLA_E_AGAIN;
}

/* --- checks --- */

static bulla_rc read_request(struct bulla_enclave *enclave, bulla_bytes body, struct bulla_work_request *ret)
{
	uint8_t session[BULLA_SESSION_ID_BYTES];
	struct bulla_pb_iter iter;
	bulla_bytes item;

	BULLA_TRY(bulla_msg_execute_decode(body, &ret->message));
	BULLA_TRY(bulla_permit_session(ret->message.permit, session));
	ret->session = bulla_enclave_session(enclave, session);
	if (ret->session == NULL)
		return BULLA_FAIL(BULLA_E_SESSION, "the permit is of another session");
	if (ret->message.inputs.count > BULLA_MAX_FLOW_INPUTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many envelopes");
	iter = bulla_pb_list_begin(&ret->message.inputs);
	for (ret->envelope_count = 0; bulla_pb_list_next(&iter, &item); ret->envelope_count++) {
		struct bulla_envelope *envelope = &ret->envelopes[ret->envelope_count];

		BULLA_TRY(bulla_envelope_parse(item, envelope));
		ret->pairs[ret->envelope_count] = (struct bulla_pair){envelope->digest, envelope->commitment};
	}
	return BULLA_OK;
}

static bulla_rc check(struct bulla_enclave *enclave, const struct bulla_work_request *request)
{
	const struct bulla_tee_base *base = enclave->base;
	struct bulla_step_rules rules = {.manifest = &base->manifest, .flows = base->flows, .instance = base->kid,
		.agent_count = base->agent_count, .mac = request->session->session.keys.mac_down, .used = &enclave->used};
	bulla_handle agents[BULLA_TEE_AGENTS];

	for (size_t i = 0; i < base->agent_count; i++)
		agents[i] = base->agents[i].handle;
	rules.agents = agents;
	bulla_copy(rules.session, request->session->session.id, sizeof(rules.session));
	return bulla_step_check(&rules, request->message.permit, &request->message.parents, request->pairs,
		request->envelope_count, bulla_enclave_now(enclave, request->session), &enclave->step);
}

/* --- opening --- */

static bulla_rc find_link(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	const struct bulla_work *work = ctx;
	const struct bulla_enclave *enclave = work->enclave;
	const struct bulla_link_entry *entry = bulla_links_find(&enclave->links, id);

	if (entry == NULL)
		return BULLA_E_NOT_FOUND;
	if (entry->agent == BULLA_LINK_NOBODY || &enclave->base->agents[entry->agent] != work->agent)
		return BULLA_E_NOT_ADDRESSED;
	*ret = &entry->link;
	return BULLA_OK;
}

/* Who opened a whole checks every part of it that the same receipt names: two readers cannot be shown two states. */
static bulla_rc check_parts(const struct bulla_enclave *enclave, const struct bulla_step_parent *parent,
	const struct bulla_opened *opened)
{
	const struct bulla_flow *flow = enclave->step.flow;
	const struct bulla_flow_span *parts = &flow->steps[parent->receipt.position.slot.step].parts;
	const struct bulla_manifest *manifest = &enclave->base->manifest;
	const struct bulla_padding_rule padding = {manifest->padding, manifest->padding_size};
	bulla_json whole = {.raw = opened->payload};

	for (uint32_t i = 0; i < parts->count; i++) {
		const struct bulla_flow_part *part = &flow->parts[parts->first + i];
		uint8_t memory[BULLA_PATH_MAX];
		struct bulla_pair pair;
		bulla_bytes path;
		bulla_json value;

		if (part->path.count == 0)
			continue;
		BULLA_TRY(bulla_json_parse(opened->payload, &whole));
		BULLA_TRY(bulla_pairs_get(parent->outputs, i, &pair));
		BULLA_TRY(bulla_path_write(flow->names + part->path.first, part->path.count, BULLA_PATH_NO_INDEX, memory, &path));
		if (bulla_json_select(whole, flow->names + part->path.first, part->path.count, &value) != BULLA_OK)
			return BULLA_FAIL(BULLA_E_PART, "a part is of no field of its whole");
		BULLA_TRY(bulla_envelope_part_check(opened->salt, path, value.raw, padding, &pair.commitment));
	}
	return BULLA_OK;
}

static bulla_rc open_input(struct bulla_work *work, const struct bulla_envelope *envelope,
	const struct bulla_step_input *input, struct bulla_buf *memory, bulla_bytes *ret)
{
	const struct bulla_enclave *enclave = work->enclave;
	const struct bulla_step *step = &enclave->step;
	const struct bulla_step_parent *parent = &step->parents[input->parent];
	const struct bulla_flow_step *producer = &step->flow->steps[parent->receipt.position.slot.step];
	const struct bulla_flow_part *part = &step->flow->parts[producer->parts.first + input->part];
	struct bulla_envelope_expected expected = {.position = parent->receipt.position,
		.kind = parent->start ? BULLA_ENVELOPE_INPUT : BULLA_ENVELOPE_OUTPUT, .producer = parent->receipt.kid};
	struct bulla_envelope_keys keys = {.ctx = work, .find = find_link, .state = BULLA_SECRET_NONE};
	bool by_party = parent->executor == BULLA_EXECUTOR_PARTY;
	uint8_t path[BULLA_PATH_MAX];
	struct bulla_opened opened;
	bulla_rc rc;

	BULLA_TRY(bulla_path_write(step->flow->names + part->path.first, part->path.count, BULLA_PATH_NO_INDEX, path,
		&expected.path));
	keys.run_secret = bulla_envelope_is_covered(true, BULLA_TO_AGENT, by_party, expected.kind) ? work->run_secret
		: BULLA_SECRET_NONE;
	BULLA_TRY(bulla_envelope_open(envelope, &expected, &keys, memory, &opened));
	*ret = opened.payload;
	rc = part->path.count == 0 ? check_parts(enclave, parent, &opened) : BULLA_OK;
	bulla_secret_free(&opened.salt);
	return rc;
}

/* The document: the one value, or an object with a member per input of the plan; null where a branch was skipped. */
static bulla_rc build_input(struct bulla_work *work, const struct bulla_work_request *request)
{
	struct bulla_enclave *enclave = work->enclave;
	const struct bulla_step *step = &enclave->step;
	const struct bulla_flow_input *inputs = step->flow->inputs + step->plan->inputs.first;
	bool alone = step->binding_count == 1 && inputs[0].key.n == 0;
	bulla_wr w;
	bulla_bytes ignored;
	bulla_rc rc = BULLA_OK;
	size_t at = 0;

	work->input.n = 0;
	w = bulla_wr_buf(&work->input);
	if (!alone)
		bulla_wr_u8(&w, '{');
	for (size_t i = 0; i < step->binding_count && rc == BULLA_OK; i++) {
		bulla_bytes value = BULLA_BYTES_LITERAL("null");

		if (step->bindings[i].parent != BULLA_FLOW_NO_SLOT) {
			enclave->plain.n = 0;
			rc = open_input(work, &request->envelopes[at], &step->inputs[at], &enclave->plain, &value);
			at++;
		}
		if (rc == BULLA_OK && !alone) {
			if (i > 0)
				bulla_wr_u8(&w, ',');
			bulla_json_quote(&w, inputs[step->bindings[i].input].key);
			bulla_wr_u8(&w, ':');
		}
		if (rc == BULLA_OK)
			bulla_wr_bytes(&w, value);
		bulla_wipe(enclave->plain.p, enclave->plain.p == NULL ? 0 : enclave->plain.n);
	}
	if (!alone)
		bulla_wr_u8(&w, '}');
	rc = rc == BULLA_OK ? bulla_wr_end(&w, &ignored) : rc;
	work->too_large = rc == BULLA_E_LIMIT && w.rc == rc; /* not another limit, which may hold another time */
	return work->too_large ? BULLA_OK : rc;
}

/* --- the step begins --- */

static bulla_rc fill_receipt(struct bulla_work *work, const struct bulla_step *step, struct bulla_pair *pairs)
{
	const struct bulla_permit *permit = &step->permit;

	for (size_t i = 0; i < step->input_count; i++)
		pairs[i] = step->inputs[i].pair;
	work->receipt = (struct bulla_receipt){.position = permit->position, .manifest = permit->manifest,
		.executor = BULLA_EXECUTOR_AGENT, .agent = step->agent->bundle, .kid = work->enclave->base->kid,
		.time_ms = permit->time_ms};
	bulla_pairs_root(pairs, step->input_count, &work->receipt.inputs);
	BULLA_TRY(bulla_parents_root(permit->parents, &work->receipt.parents));
	return bulla_merkle_list_root(bulla_bytes_of(NULL, 0), sizeof(bulla_digest), &work->receipt.capabilities);
}

static void fill_job(struct bulla_work *work, const struct bulla_step *step, const struct bulla_work_request *request)
{
	static const char digits[] = "0123456789abcdef";
	const struct bulla_slot *slot = &step->permit.position.slot;
	uint64_t timeout_ms = step->plan->timeout_ms > 0 ? (uint64_t)step->plan->timeout_ms : DEFAULT_TIMEOUT_MS;

	if (request->message.deadline_ms > 0 && request->message.deadline_ms < timeout_ms)
		timeout_ms = request->message.deadline_ms;
	for (size_t i = 0; i < sizeof(slot->run.b); i++) {
		work->run_text[2 * i] = digits[slot->run.b[i] >> 4];
		work->run_text[2 * i + 1] = digits[slot->run.b[i] & 15];
	}
	snprintf(work->step_text, sizeof(work->step_text), "%u", slot->step);
	work->job = (struct bulla_agent_job){.input = bulla_buf_view(&work->input), .timeout_us = (int64_t)timeout_ms * 1000,
		.fresh = (step->plan->flags & BULLA_FLOW_FRESH) != 0, .done = bulla_work_agent_done, .ctx = work};
	work->job.facts = (struct bulla_agent_facts){.run = bulla_bytes_of(work->run_text, 32),
		.step = bulla_bytes_str(work->step_text), .attempt = step->permit.position.attempt,
		.deadline_s = (bulla_wall_ms(work->enclave->base->clock) + (int64_t)timeout_ms) / 1000};
	bulla_slot_digest(slot, &work->job.facts.once);
}

static struct bulla_work *take_place(struct bulla_enclave *enclave)
{
	for (uint32_t i = 0; i < enclave->window; i++)
		if (enclave->works[i].state == BULLA_WORK_FREE)
			return &enclave->works[i];
	return NULL;
}

static bulla_rc begin(struct bulla_work *work, const struct bulla_work_request *request)
{
	struct bulla_enclave *enclave = work->enclave;
	const struct bulla_step *step = &enclave->step;

	work->agent = bulla_tee_agent_of(enclave->base, &step->agent->handle);
	work->flow = step->flow;
	work->plan = step->plan;
	work->stream = request->stream;
	bulla_copy(work->session, request->session->session.id, sizeof(work->session));
	BULLA_TRY(bulla_run_secret_unwrap(request->session->session.keys.wrap, &step->permit.position,
		step->permit.run_secret, &work->run_secret));
	BULLA_TRY(build_input(work, request));
	BULLA_TRY(fill_receipt(work, step, enclave->request.named));
	fill_job(work, step, request);
	bulla_used_add(&enclave->used, &step->attempt, step->permit.sequence);
	work->state = BULLA_WORK_OPENED;
	if (!work->too_large)
		BULLA_TRY(bulla_agent_submit(work->agent->pool, &work->job));
	work->state = BULLA_WORK_RUNNING;
	return BULLA_OK;
}

/* The same inputs are as large at every try: a failure that is sealed and signed, not an attempt that is lost. */
static void fail_too_large(struct bulla_work *work)
{
	bulla_wipe(work->input.p, work->input.p == NULL ? 0 : work->input.n);
	work->input.n = 0;
	work->job.result = (struct bulla_agent_result){.outcome = BULLA_OUTCOME_FAILED,
		.log = BULLA_BYTES_LITERAL("bulla: the inputs of this step are more, together, than an agent is given\n")};
	bulla_work_agent_done(work, &work->job);
}

bulla_rc bulla_work_execute(struct bulla_enclave *enclave, uint32_t stream, bulla_bytes body)
{
	struct bulla_work_request *request = &enclave->request;
	struct bulla_work_needs *needs = &enclave->needs;
	struct bulla_work *work = take_place(enclave);
	bulla_rc learned, rc;

	if (!enclave->ready)
		return BULLA_FAIL(BULLA_E_SESSION, "there is no session yet");
	if (work == NULL || !bulla_outbox_has_room(&enclave->outbox, enclave->open))
		return BULLA_FAIL(BULLA_E_BUSY, "the enclave's window is full");
	request->stream = stream;
	BULLA_TRY(read_request(enclave, body, request));
	BULLA_TRY(check(enclave, request));
	needs->link_count = needs->birth_count = needs->instance_count = 0;
	learned = learn(enclave, &request->message.objects, needs);
	find_needs(enclave, request, needs);
	if (needs->link_count + needs->birth_count > 0 && learned != BULLA_OK)
		return learned;
	if (needs->link_count + needs->birth_count > 0)
		return send_needs(enclave, request, needs);
	rc = begin(work, request);
	if (rc != BULLA_OK) {
		bulla_work_free(work);
		return rc;
	}
	enclave->open++;
	if (work->too_large)
		fail_too_large(work);
	return BULLA_OK;
}
