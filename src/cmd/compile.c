#include "cmd/compile.h"

#include "cmd/plan.h"
#include "io/sys.h"
#include "io/tree.h"
#include "manifest/bundle_digest.h"

#include <stdlib.h>

#define PARTY_KEYS ((size_t)256 * 1024)

struct compiler {
	struct context *context;
	const struct compile_facts *facts;
	struct bulla_manifest manifest;
	struct bulla_buf keys; /* parties' public keys */
	struct bulla_buf lists; /* nested lists, each written once; grows without moving: reserved at start */
	int code;
};

static bulla_rc on_file(void *ctx, bulla_bytes path, bool executable, uint64_t size)
{
	return bulla_bundle_digest_file(ctx, path, executable, size);
}

static bulla_rc on_content(void *ctx, bulla_bytes bytes)
{
	return bulla_bundle_digest_content(ctx, bytes);
}

bulla_rc compile_bundle(const struct context *context, const struct agent *agent, bulla_digest *ret)
{
	struct bulla_bundle_digest digest;
	const struct bulla_tree_sink sink = {.ctx = &digest, .file = on_file, .content = on_content};
	char folder[CONTEXT_PATH], path[CONTEXT_PATH];
	bulla_rc rc;

	path_join(folder, context->dir, "agents");
	path_join(path, folder, agent->name);
	bulla_bundle_digest_init(&digest);
	rc = bulla_tree_read(path, &sink);
	if (rc != BULLA_OK && rc != BULLA_E_NOT_FOUND)
		return rc;
	return bulla_bundle_digest_end(&digest, ret);
}

static void *array(struct compiler *c, size_t count, size_t size)
{
	void *p = NULL;
	bulla_rc rc;

	if (c->code != 0)
		return NULL;
	rc = arena_alloc(&c->context->arena, (count + 1) * size, &p);
	if (rc != BULLA_OK)
		c->code = say_rc(c->context->cli, rc, "bulla.yaml", NULL);
	return p;
}

/* Runs `write` into memory of the arena and returns what it wrote. */
static bulla_bytes keep(struct compiler *c, bulla_wr *w)
{
	bulla_bytes written = {NULL, 0};
	const char *copy = NULL;
	bulla_rc rc = c->code == 0 ? bulla_wr_end(w, &written) : BULLA_OK;

	if (rc == BULLA_OK && c->code == 0)
		rc = arena_text(&c->context->arena, written, &copy);
	if (rc != BULLA_OK)
		c->code = say_rc(c->context->cli, rc, "bulla.yaml", NULL);
	bulla_buf_clear(&c->lists);
	return bulla_bytes_of(copy, copy == NULL ? 0 : written.n);
}

static bulla_bytes text_list(struct compiler *c, const char *const *items, size_t count)
{
	bulla_wr w = bulla_wr_buf(&c->lists);
	bulla_bytes *views = array(c, count, sizeof(*views));

	for (size_t i = 0; i < count && views != NULL; i++)
		views[i] = bulla_bytes_str(items[i]);
	if (views != NULL)
		bulla_list_write_text(&w, views, count);
	return keep(c, &w);
}

static void party_key(struct compiler *c, unsigned index, struct public_key *ret)
{
	struct context *context = c->context;
	char name[80], path[CONTEXT_PATH];
	BULLA_AUTO_BUF text;
	bulla_rc rc;

	bulla_buf_init(&text, 4096);
	if (index == 0) {
		ret->spki = bulla_sign_key_spki(context->key.sign);
		ret->hpke = BULLA_BYTES_ARRAY(context->key.receive_public);
		return;
	}
	snprintf(name, sizeof(name), "keys/%s.pub", context->project.parties[index]);
	path_join(path, context->dir, name);
	rc = bulla_sys_read_file(path, &text);
	rc = rc == BULLA_OK ? public_key_parse(bulla_buf_view(&text), &c->keys, ret) : rc;
	if (rc != BULLA_OK)
		c->code = say_rc(context->cli, rc, name, "bulla key new NAME, or get that party's public key");
}

static void compile_parties(struct compiler *c)
{
	const struct project *project = &c->context->project;
	struct bulla_party *parties = array(c, project->party_count, sizeof(*parties));

	for (unsigned i = 0; i < project->party_count && c->code == 0; i++) {
		struct public_key key = {{NULL, 0}, {NULL, 0}};

		party_key(c, i, &key);
		parties[i] = (struct bulla_party){
			.handle = name_handle(c->context->name_key, "party", project->parties[i]),
			.spki = key.spki,
			.hpke = key.hpke,
			.rights = i == 0 ? BULLA_RIGHT_ALL : 0,
		};
	}
	c->manifest.parties = parties;
	c->manifest.party_count = project->party_count;
}

static void compile_approvers(struct compiler *c)
{
	const struct project *project = &c->context->project;
	struct bulla_approver *approvers = array(c, project->approver_count, sizeof(*approvers));

	for (unsigned i = 0; i < project->approver_count && c->code == 0; i++)
		approvers[i] = (struct bulla_approver){.spki = c->manifest.parties[project->approvers[i]].spki};
	c->manifest.approvers = approvers;
	c->manifest.approver_count = project->approver_count;
	c->manifest.need = project->approve_need;
}

static bulla_bytes compile_image(struct compiler *c)
{
	bulla_wr w = bulla_wr_buf(&c->lists);
	struct bulla_image image = {.tee = BULLA_BYTES_LITERAL("nitro"), .count = 3};

	for (uint32_t i = 0; i < 3; i++)
		image.values[i] = (struct bulla_image_value){BULLA_BYTES_LITERAL("pcr"), i,
			bulla_bytes_of(c->facts->measured[i], BULLA_NITRO_PCR_SIZE)};
	bulla_images_write(&w, &image, 1);
	return keep(c, &w);
}

static void compile_agent(struct compiler *c, unsigned index, bulla_bytes image, struct bulla_agent *ret)
{
	static const uint8_t bindings[] = {BULLA_BINDING_RUN, BULLA_BINDING_SERVE, BULLA_BINDING_STREAM};
	const struct agent *agent = &c->context->project.agents[index];
	bulla_rc rc;

	*ret = (struct bulla_agent){
		.handle = name_handle(c->context->name_key, "agent", agent->name),
		.binding = bindings[agent->binding],
		.command = text_list(c, agent->words, agent->word_count),
		.memory_bytes = agent->memory,
		.cpu_milli = agent->cpus * 1000,
		.processes = agent->binding == BINDING_RUN ? agent->at_once : 0,
		.in_flight = agent->binding == BINDING_RUN ? 0 : agent->at_once,
		.capabilities = text_list(c, agent->may, agent->may_count),
		.outcome = text_list(c, &agent->outcome_field, agent->outcome_field == NULL ? 0 : 1),
		.words = text_list(c, agent->outcomes, agent->outcome_count),
		.images = image,
		.wrapping_key = c->facts->wrapping_keys[index],
		.policy_form = BULLA_POLICY_MANAGED,
	};
	rc = compile_bundle(c->context, agent, &ret->bundle);
	if (rc != BULLA_OK && c->code == 0)
		c->code = say_rc(c->context->cli, rc, agent->name, "keep regular files only in agents/NAME");
}

static void compile_agents(struct compiler *c)
{
	const struct project *project = &c->context->project;
	struct bulla_agent *agents = array(c, project->agent_count, sizeof(*agents));
	bulla_bytes image = compile_image(c);

	for (unsigned i = 0; i < project->agent_count && c->code == 0; i++)
		compile_agent(c, i, image, &agents[i]);
	c->manifest.agents = agents;
	c->manifest.agent_count = project->agent_count;
}

static void compile_workflows(struct compiler *c)
{
	struct context *context = c->context;
	struct bulla_workflow *workflows = array(c, context->project.workflow_count, sizeof(*workflows));

	for (unsigned i = 0; i < context->project.workflow_count && c->code == 0; i++) {
		const struct workflow *from = &context->project.workflows[i];
		bulla_rc rc = plan_compile(&context->arena, &context->project, from, context->name_key, &c->lists);
		const char *copy = NULL;

		rc = rc == BULLA_OK ? arena_text(&context->arena, bulla_buf_view(&c->lists), &copy) : rc;
		if (rc != BULLA_OK)
			c->code = say_rc(context->cli, rc, from->name, NULL);
		workflows[i] = (struct bulla_workflow){
			.handle = name_handle(context->name_key, "workflow", from->name),
			.plan = bulla_bytes_of(copy, copy == NULL ? 0 : c->lists.n),
		};
		bulla_buf_clear(&c->lists);
	}
	c->manifest.workflows = workflows;
	c->manifest.workflow_count = context->project.workflow_count;
}

static void compile_evidence(struct compiler *c)
{
	static const char *const tees[] = {"dev"};
	static const uint8_t empty_map[] = {0xa0};
	struct bulla_anchor *anchor = array(c, 1, sizeof(*anchor));

	if (c->code != 0)
		return;
	*anchor = (struct bulla_anchor){.tee = BULLA_BYTES_LITERAL("dev"), .assurance = 1, .how = 1,
		.id = bulla_bytes_digest(&c->facts->dev_root)};
	c->manifest.anchors = anchor;
	c->manifest.anchor_count = 1;
	c->manifest.tees = text_list(c, tees, 1);
	c->manifest.assurance = 1;
	c->manifest.max_age_ms = (uint64_t)c->context->project.max_age_ms;
	c->manifest.tcb = BULLA_BYTES_ARRAY(empty_map);
}

/* Lists of a manifest stand in rising order of their handles, which each row begins with. */
static int by_handle(const void *a, const void *b)
{
	return bulla_bytes_cmp(bulla_handle_view(a), bulla_handle_view(b));
}

_Static_assert(offsetof(struct bulla_party, handle) == 0 && offsetof(struct bulla_agent, handle) == 0 &&
	offsetof(struct bulla_workflow, handle) == 0, "by_handle looks at the beginning of a row");

static int by_kid(const void *a, const void *b)
{
	const struct bulla_approver *left = a, *right = b;
	bulla_digest kids[2];

	bulla_sha256(left->spki, &kids[0]);
	bulla_sha256(right->spki, &kids[1]);
	return bulla_bytes_cmp(bulla_bytes_digest(&kids[0]), bulla_bytes_digest(&kids[1]));
}

static void sort_lists(struct compiler *c)
{
	struct bulla_manifest *m = &c->manifest;

	if (c->code != 0)
		return;
	qsort(m->parties, m->party_count, sizeof(*m->parties), by_handle);
	qsort(m->agents, m->agent_count, sizeof(*m->agents), by_handle);
	qsort(m->workflows, m->workflow_count, sizeof(*m->workflows), by_handle);
	qsort(m->approvers, m->approver_count, sizeof(*m->approvers), by_kid);
}

static void compile_head(struct compiler *c)
{
	struct context *context = c->context;

	c->manifest.suite = BULLA_SUITE_CLASSIC;
	c->manifest.mode = BULLA_MODE_STRICT;
	c->manifest.padding = BULLA_PADDING_CLASSES;
	c->manifest.tenant = name_handle(context->name_key, "tenant", context->project.name);
	bulla_sha256(bulla_secret_view(context->name_key), &c->manifest.name_key);
	c->manifest.epoch = c->facts->epoch;
	c->manifest.earlier = c->facts->earlier;
	c->manifest.earlier_count = c->facts->earlier_count;
	c->manifest.broker_url = BULLA_BYTES_LITERAL("local");
	c->manifest.broker_tls = c->facts->broker_tls;
	c->manifest.ledger_spki = c->facts->ledger_spki;
	c->manifest.keys_at = BULLA_BYTES_LITERAL("broker");
}

/* Encodes, then decodes: what cannot be read back is never written. */
static void finish(struct compiler *c, struct bulla_buf *ret)
{
	struct bulla_manifest check;
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes bytes;
	bulla_rc rc;

	if (c->code != 0)
		return;
	rc = bulla_manifest_encode(&c->manifest, &w);
	rc = rc == BULLA_OK ? bulla_wr_end(&w, &bytes) : rc;
	rc = rc == BULLA_OK ? bulla_manifest_decode(bytes, &check) : rc;
	if (rc == BULLA_OK)
		bulla_manifest_done(&check);
	else
		c->code = say_rc(c->context->cli, rc, "bulla.yaml", NULL);
}

int compile_manifest(struct context *context, const struct compile_facts *facts, struct bulla_buf *ret)
{
	struct compiler c = {.context = context, .facts = facts};

	bulla_buf_init(&c.keys, PARTY_KEYS);
	bulla_buf_init(&c.lists, BULLA_MAX_MANIFEST);
	if (bulla_buf_reserve(&c.keys, PARTY_KEYS) != BULLA_OK) /* views point into it: it must not move */
		c.code = EXIT_BUG;
	compile_head(&c);
	compile_parties(&c);
	compile_approvers(&c);
	compile_agents(&c);
	compile_workflows(&c);
	compile_evidence(&c);
	sort_lists(&c);
	finish(&c, ret);
	bulla_buf_done(&c.keys);
	bulla_buf_done(&c.lists);
	return c.code;
}
