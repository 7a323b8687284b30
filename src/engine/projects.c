#include "engine/state.h"

#include "base/mem.h"
#include "crypto/hash.h"

/* Manifests in decoded form: a place for each that resident runs use. The others stand among the objects and are decoded
 * again when a start or a bundle names them. */

uint16_t agent_index(struct bulla_engine *e, const uint8_t handle[8])
{
	for (uint32_t i = 0; i < e->agent_count; i++)
		if (bulla_bytes_eq(bulla_handle_view(&e->agents[i].handle), bulla_bytes_of(handle, 8)))
			return (uint16_t)i;
	if (e->agent_count == BULLA_MAX_AGENTS)
		return 0; /* more than a manifest has: its steps find no instance, the broker refuses a wrong one */
	e->agents[e->agent_count].head = e->agents[e->agent_count].tail = NO_REF;
	bulla_copy(e->agents[e->agent_count].handle.b, handle, 8);
	return (uint16_t)e->agent_count++;
}

static bulla_rc load_workflow(struct bulla_engine *e, const struct bulla_workflow *from, struct workflow *ret)
{
	struct workflow w = {.digest = from->digest};
	size_t size;
	void *p;

	BULLA_TRY(bulla_flow_measure(from->plan, &size));
	BULLA_TRY(bulla_alloc(1, size > 0 ? size : 1, &w.memory));
	if (bulla_flow_decode(from->plan, w.memory, size, &w.flow) != BULLA_OK ||
		bulla_alloc(w.flow.actor_count + 1, sizeof(*w.agent_of), &p) != BULLA_OK) {
		bulla_free(w.memory);
		return BULLA_E_FORMAT;
	}
	w.agent_of = p;
	if (e->options.facts_max > 0)
		w.flow.facts_max = e->options.facts_max;
	for (uint32_t i = 0; i < w.flow.actor_count; i++)
		if (w.flow.actors[i].kind == BULLA_FLOW_AGENT)
			w.agent_of[i] = agent_index(e, w.flow.actors[i].handle);
	*ret = w;
	return BULLA_OK;
}

static void project_done(struct bulla_engine *e, struct project *project)
{
	for (size_t i = 0; project->workflows && i < project->manifest.workflow_count; i++) {
		bulla_free(project->workflows[i].memory);
		bulla_free(project->workflows[i].agent_of);
	}
	bulla_free(project->workflows);
	bulla_manifest_done(&project->manifest);
	bulla_pool_give(&e->pool, project->bytes);
	*project = (struct project){0};
}

static bulla_rc load_project(struct bulla_engine *e, struct project *project)
{
	struct bulla_msg_put_manifest m;
	void *p;

	BULLA_TRY(bulla_msg_put_manifest_decode(bulla_block_view(project->bytes), &m));
	BULLA_TRY(bulla_manifest_decode(m.manifest, &project->manifest));
	BULLA_TRY(bulla_alloc(project->manifest.workflow_count + 1, sizeof(*project->workflows), &p));
	project->workflows = p;
	for (size_t i = 0; i < project->manifest.workflow_count; i++)
		BULLA_TRY(load_workflow(e, &project->manifest.workflows[i], &project->workflows[i]));
	return BULLA_OK;
}

void projects_done(struct bulla_engine *e)
{
	for (size_t i = 0; i < MANIFESTS_MAX; i++)
		if (e->projects[i].bytes)
			project_done(e, &e->projects[i]);
}

/* A free place; ended runs that are only kept for questions go for it. NULL: open runs use them all. */
static struct project *project_place(struct bulla_engine *e)
{
	do {
		for (size_t i = 0; i < MANIFESTS_MAX; i++)
			if (!e->projects[i].used)
				return &e->projects[i];
		for (size_t i = 0; i < MANIFESTS_MAX; i++)
			if (e->projects[i].runs == 0) {
				project_done(e, &e->projects[i]);
				return &e->projects[i];
			}
	} while (run_forget(e));
	return NULL;
}

/* bytes: a put_manifest message. */
static bulla_rc project_add(struct bulla_engine *e, bulla_bytes bytes, uint16_t *ret)
{
	struct project *project = project_place(e);
	bulla_rc rc;

	if (!project)
		return BULLA_FAIL(BULLA_E_LIMIT, "open runs of as many manifests as are kept");
	BULLA_TRY(bulla_pool_copy(&e->pool, bytes, &project->bytes));
	rc = load_project(e, project);
	if (rc != BULLA_OK) {
		project_done(e, project);
		return rc;
	}
	project->used = true;
	*ret = (uint16_t)(project - e->projects);
	return BULLA_OK;
}

bulla_rc project_find(struct bulla_engine *e, const bulla_digest *manifest, uint16_t *ret)
{
	uint32_t object;

	for (uint16_t p = 0; p < MANIFESTS_MAX; p++)
		if (e->projects[p].used && bulla_digest_eq(&e->projects[p].manifest.digest, manifest)) {
			*ret = p;
			return BULLA_OK;
		}
	object = object_find(e, BULLA_OBJECT_MANIFEST, bulla_bytes_digest(manifest));
	if (object == NO_OBJECT)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such manifest");
	return project_add(e, bulla_block_view(e->objects[object].body), ret);
}

bulla_rc bulla_engine_manifest(struct bulla_engine *e, bulla_bytes manifest, const bulla_bytes *approvals, size_t count)
{
	struct bulla_msg_put_manifest m = {.manifest = manifest, .approvals = bulla_pb_list_of(approvals, count)};
	bulla_digest digest;
	bulla_bytes bytes;
	uint16_t project;
	bulla_wr w;
	bulla_rc rc;

	bulla_sha256(manifest, &digest);
	rc = project_find(e, &digest, &project);
	if (rc == BULLA_E_NOT_FOUND) {
		w = bulla_wr_buf(clear_buf(&e->out));
		bulla_msg_put_manifest_encode(&m, &w);
		BULLA_TRY(bulla_wr_end(&w, &bytes));
		rc = project_add(e, bytes, &project);
	}
	BULLA_TRY(rc);
	e->newest_manifest = digest;
	e->newest_epoch = e->projects[project].manifest.epoch;
	return BULLA_OK;
}
