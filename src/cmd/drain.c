#include "cmd/drain.h"

#include "cmd/runs.h"
#include "io/sys.h"
#include "wire/kinds.h"
#include "wire/messages.h"
#include "wire/text.h"

#include <stdio.h>
#include <string.h>

#define ENGINE_MS 3000
#define LISTED_MAX 1024 /* an engine's answer holds no more rows */
#define CHILDREN_MAX 120

static void candidates(const struct bulla_manifest *m, struct drain *ret)
{
	*ret = (struct drain){.count = 1};
	ret->open[0] = (struct bulla_earlier){.epoch = m->epoch, .manifest = m->digest};
	for (size_t i = 0; i < m->earlier_count && ret->count <= DRAIN_MAX; i++)
		ret->open[ret->count++] = m->earlier[i];
}

/* One bit per candidate that an open run is of; all of them when there may be more runs than were listed. */
static bulla_rc ask(struct client *client, const struct drain *drain, uint32_t *ret_used)
{
	const struct bulla_msg_list wish = {.states = UINT64_C(1) << BULLA_RUN_OPEN};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_msg_listing listing;
	struct bulla_msg_run_row row;
	struct bulla_pb_iter iter;
	bulla_bytes body, item;
	BULLA_AUTO_BUF answer;

	bulla_buf_init(&answer, RUNS_ANSWER_MAX);
	bulla_msg_encode(&bulla_msg_list_desc, &wish, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	BULLA_TRY(client_call(client, BULLA_OP_LIST, body, NULL, ENGINE_MS, &answer));
	BULLA_TRY(bulla_msg_decode(&bulla_msg_listing_desc, bulla_buf_view(&answer), &listing));
	*ret_used = listing.runs.count >= LISTED_MAX ? UINT32_MAX : 0;
	for (iter = bulla_pb_list_begin(&listing.runs); bulla_pb_list_next(&iter, &item);) {
		BULLA_TRY(bulla_msg_decode(&bulla_msg_run_row_desc, item, &row));
		for (size_t i = 0; i < drain->count; i++)
			*ret_used |= (uint32_t)(drain->open[i].epoch == row.epoch) << i;
	}
	return BULLA_OK;
}

bulla_rc drain_find(struct context *context, struct drain *ret)
{
	char path[CONTEXT_PATH];
	struct client *client = NULL;
	uint32_t used = UINT32_MAX;
	size_t n = 0;
	bulla_rc rc;

	candidates(&context->manifest, ret);
	path_join(path, context->runtime, "bullad.sock");
	rc = local_connect(path, ENGINE_MS, &client);
	rc = rc == BULLA_OK ? ask(client, ret, &used) : rc;
	client_close(client);
	if (rc == BULLA_E_MEMORY)
		return rc;
	for (size_t i = 0; i < ret->count; i++)
		if ((used >> i & 1) != 0)
			ret->open[n++] = ret->open[i];
	ret->count = n;
	return BULLA_OK;
}

static void manifest_path(const struct context *context, uint64_t epoch, char ret[CONTEXT_PATH])
{
	char name[64];

	snprintf(name, sizeof(name), "owner/manifest-%llu", (unsigned long long)epoch);
	path_join(ret, context->state, name);
}

bulla_rc drain_keep_manifest(const struct context *context)
{
	char path[CONTEXT_PATH];

	manifest_path(context, context->manifest.epoch, path);
	return bulla_sys_write_file(path, bulla_buf_view(&context->manifest_bytes), 0600);
}

/* The epoch at the end of a path that manifest_path made; 0: it is none. */
static uint64_t epoch_of(bulla_bytes path)
{
	size_t at = path.n;
	uint64_t epoch = 0;

	while (at > 0 && path.p[at - 1] >= '0' && path.p[at - 1] <= '9')
		at--;
	if (bulla_text_uint(bulla_bytes_of(path.p + at, path.n - at), INT64_MAX, &epoch) != BULLA_OK)
		return 0;
	return epoch;
}

static bool is_open(const struct drain *drain, uint64_t epoch)
{
	for (size_t i = 0; i < drain->count; i++)
		if (drain->open[i].epoch == epoch)
			return true;
	return false;
}

/* Under its own label and manifest: the new epoch's enclave of that agent stands beside it. */
static bulla_rc add(struct context *context, const struct bulla_deployed_agent *agent, uint64_t epoch,
	struct bulla_deployment *deployment)
{
	char path[CONTEXT_PATH], label[33];
	const char *texts[4] = {NULL, NULL, NULL, NULL};
	struct bulla_deployed_agent one = *agent;

	manifest_path(context, epoch, path);
	snprintf(label, sizeof(label), "%.8s-%llu", (const char *)agent->handle.p, (unsigned long long)epoch);
	BULLA_TRY(arena_text(&context->arena, bulla_bytes_str(path), &texts[0]));
	BULLA_TRY(arena_text(&context->arena, bulla_bytes_str(label), &texts[1]));
	BULLA_TRY(arena_text(&context->arena, agent->handle, &texts[2]));
	BULLA_TRY(arena_text(&context->arena, agent->bundle, &texts[3]));
	one.manifest = bulla_bytes_str(texts[0]);
	one.label = bulla_bytes_str(texts[1]);
	one.handle = bulla_bytes_str(texts[2]);
	one.bundle = bulla_bytes_str(texts[3]);
	deployment->agents[deployment->agent_count++] = one;
	return BULLA_OK;
}

bulla_rc drain_deploy(struct context *context, const struct drain *drain, uint64_t in_force,
	struct bulla_deployment *deployment)
{
	char path[CONTEXT_PATH];
	struct bulla_deployment *last;
	void *memory = NULL;
	BULLA_AUTO_BUF bytes;

	bulla_buf_init(&bytes, BULLA_DEPLOYMENT_MAX);
	BULLA_TRY(arena_alloc(&context->arena, sizeof(*last), &memory));
	last = memory;
	path_join(path, context->state, "platform/deployment");
	if (drain->count == 0 || bulla_sys_read_file(path, &bytes) != BULLA_OK ||
		bulla_deployment_read(bulla_buf_view(&bytes), last) != BULLA_OK)
		return BULLA_OK; /* the first deployment, or one of another version: there is nothing to go on with */
	for (size_t i = 0; i < last->agent_count && deployment->agent_count < CHILDREN_MAX; i++) {
		uint64_t epoch = last->agents[i].manifest.n == 0 ? in_force : epoch_of(last->agents[i].manifest);

		if (epoch != 0 && is_open(drain, epoch))
			BULLA_TRY(add(context, &last->agents[i], epoch, deployment));
	}
	return BULLA_OK;
}
