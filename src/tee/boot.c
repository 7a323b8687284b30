#include "tee/boot.h"

#include "base/mem.h"
#include "crypto/random.h"
#include "io/sys.h"
#include "io/tree.h"
#include "manifest/bundle_digest.h"
#include "manifest/pcr.h"

bulla_rc bulla_tee_fork(struct bulla_tee_base *tee)
{
	*tee = (struct bulla_tee_base){0};
	return bulla_zygote_start(&tee->zygote);
}

static bulla_rc decode_flow(struct bulla_tee_base *tee, size_t index)
{
	size_t size;

	BULLA_TRY(bulla_flow_measure(tee->manifest.workflows[index].plan, &size));
	BULLA_TRY(bulla_alloc(1, size, &tee->flow_memory[index]));
	return bulla_flow_decode(tee->manifest.workflows[index].plan, tee->flow_memory[index], size, &tee->flows[index]);
}

static bulla_rc read_manifest(struct bulla_tee_base *tee, const char *path)
{
	size_t count;
	void *memory;

	bulla_buf_init(&tee->manifest_bytes, BULLA_MAX_MANIFEST);
	BULLA_TRY(bulla_sys_read_file(path, &tee->manifest_bytes));
	BULLA_TRY(bulla_manifest_decode(bulla_buf_view(&tee->manifest_bytes), &tee->manifest));
	count = tee->manifest.workflow_count;
	if (count == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_alloc(count, sizeof(tee->flows[0]), &memory));
	tee->flows = memory;
	BULLA_TRY(bulla_alloc(count, sizeof(void *), &memory));
	tee->flow_memory = memory;
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(decode_flow(tee, i));
	return BULLA_OK;
}

static bulla_rc write_command(struct bulla_tee_agent *agent)
{
	bulla_wr w = bulla_wr_fixed((uint8_t *)agent->command, sizeof(agent->command));
	bulla_bytes word;
	size_t cursor = 0;

	while (bulla_list_next(agent->row->command, &cursor, &word) == BULLA_OK) {
		bulla_wr_bytes(&w, word);
		bulla_wr_u8(&w, 0);
	}
	return bulla_wr_end(&w, &agent->spec.command);
}

static bulla_rc announce(struct bulla_tee_base *tee, uint32_t id)
{
	struct bulla_tee_agent *agent = &tee->agents[id];
	const struct bulla_agent *row = agent->row;
	struct bulla_sandbox_limits limits = {
		.memory = row->memory_bytes != 0 ? row->memory_bytes : BULLA_MAX_AGENT_MEMORY,
		.processes = BULLA_MAX_AGENT_PROCESSES,
		.network = row->binding == BULLA_BINDING_SERVE,
		.sandboxes = row->processes,
	};

	BULLA_TRY(write_command(agent));
	agent->spec.binding = (enum bulla_agent_binding)row->binding; /* the numbers are the same */
	agent->spec.id = id;
	agent->spec.memory = limits.memory;
	agent->spec.sandboxes = row->processes;
	agent->spec.in_flight = row->in_flight;
	return bulla_zygote_agent(&tee->zygote, id, agent->spec.command, &limits);
}

/* A bundle on its way from the disk into digest and zygote. */
struct bundle_copy {
	struct bulla_tee_base *tee;
	uint32_t id;
	struct bulla_bundle_digest digest;
	struct bulla_buf content;
	char path[BULLA_TREE_PATH + 1];
	bool executable;
	uint64_t size;
};

static bulla_rc pass_on(struct bundle_copy *copy)
{
	if (copy->content.n < copy->size)
		return BULLA_OK;
	BULLA_TRY(bulla_zygote_file(&copy->tee->zygote, copy->id, copy->path, copy->executable, bulla_buf_view(&copy->content)));
	copy->content.n = 0;
	return BULLA_OK;
}

static bulla_rc copy_file(void *ctx, bulla_bytes path, bool executable, uint64_t size)
{
	struct bundle_copy *copy = ctx;

	BULLA_TRY(bulla_bundle_digest_file(&copy->digest, path, executable, size));
	bulla_copy(copy->path, path.p, path.n);
	copy->path[path.n] = 0;
	copy->executable = executable;
	copy->size = size;
	return size == 0 ? pass_on(copy) : BULLA_OK;
}

static bulla_rc copy_content(void *ctx, bulla_bytes bytes)
{
	struct bundle_copy *copy = ctx;

	BULLA_TRY(bulla_bundle_digest_content(&copy->digest, bytes));
	BULLA_TRY(bulla_buf_append(&copy->content, bytes));
	return pass_on(copy);
}

static bulla_rc copy_bundle(struct bundle_copy *copy, const char *folder)
{
	const struct bulla_tree_sink sink = {.ctx = copy, .file = copy_file, .content = copy_content};
	bulla_digest digest;

	bulla_bundle_digest_init(&copy->digest);
	BULLA_TRY(bulla_tree_read(folder, &sink));
	BULLA_TRY(bulla_bundle_digest_end(&copy->digest, &digest));
	if (!bulla_digest_eq(&digest, &copy->tee->agents[copy->id].row->bundle))
		return BULLA_FAIL(BULLA_E_MEASUREMENT, "an agent's files are not the ones of the manifest");
	return BULLA_OK;
}

static bulla_rc load_bundle(struct bulla_tee_base *tee, uint32_t id, const char *folder)
{
	struct bundle_copy *copy;
	void *memory;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*copy), &memory));
	copy = memory;
	copy->tee = tee;
	copy->id = id;
	bulla_buf_init(&copy->content, BULLA_ALLOC_MAX);
	rc = copy_bundle(copy, folder);
	bulla_buf_done(&copy->content);
	bulla_free(copy);
	return rc;
}

/* Hosted agents in rising order of their handles. */
static bulla_rc place_agents(struct bulla_tee_base *tee, const struct bulla_tee_bundle *bundles, size_t count,
	const char *ret_folders[BULLA_TEE_AGENTS])
{
	if (count == 0 || count > BULLA_TEE_AGENTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "an enclave hosts one to sixteen agents");
	for (size_t row = 0; row < tee->manifest.agent_count; row++) {
		const struct bulla_agent *agent = &tee->manifest.agents[row];

		for (size_t i = 0; i < count; i++) {
			if (!bulla_handle_eq(&bundles[i].agent, &agent->handle) || tee->agent_count == BULLA_TEE_AGENTS)
				continue;
			bulla_copy(tee->handles + tee->agent_count * sizeof(bulla_handle), agent->handle.b, sizeof(bulla_handle));
			ret_folders[tee->agent_count] = bundles[i].folder;
			tee->agents[tee->agent_count++] = (struct bulla_tee_agent){.handle = agent->handle, .row = agent};
			break;
		}
	}
	return tee->agent_count == count ? BULLA_OK : BULLA_FAIL(BULLA_E_NOT_FOUND, "the manifest has no such agent");
}

static bulla_rc load_agents(struct bulla_tee_base *tee, const struct bulla_tee_bundle *bundles, size_t count)
{
	const char *folders[BULLA_TEE_AGENTS];

	BULLA_TRY(place_agents(tee, bundles, count, folders));
	for (uint32_t id = 0; id < tee->agent_count; id++) {
		BULLA_TRY(announce(tee, id));
		BULLA_TRY(load_bundle(tee, id, folders[id]));
	}
	return bulla_zygote_seal(&tee->zygote);
}

static bulla_rc measure(const struct bulla_tee_base *tee)
{
	uint8_t memory[BULLA_TEE_AGENTS * 32];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes data;

	if (tee->source.ops->measure == NULL)
		return BULLA_OK;
	BULLA_TRY(bulla_pcr_bundle_data(&tee->manifest, bulla_tee_handles(tee), &w));
	BULLA_TRY(bulla_wr_end(&w, &data));
	return tee->source.ops->measure(&tee->source, &tee->manifest.digest, data);
}

bulla_rc bulla_tee_boot(struct bulla_tee_base *tee, const char *manifest_path, const struct bulla_tee_bundle *bundles,
	size_t bundle_count, const struct bulla_source *source, const struct bulla_clock *clock,
	const struct bulla_random *random)
{
	tee->source = *source;
	tee->clock = clock;
	tee->random = random;
	BULLA_TRY(read_manifest(tee, manifest_path));
	BULLA_TRY(load_agents(tee, bundles, bundle_count));
	BULLA_TRY(measure(tee));
	BULLA_TRY(bulla_random_secret(random, 32, &tee->instance_secret));
	BULLA_TRY(bulla_sign_key_new(BULLA_ES256, &tee->receipt_key));
	tee->kid = *bulla_sign_key_kid(tee->receipt_key);
	return BULLA_OK;
}

void bulla_tee_done(struct bulla_tee_base *tee)
{
	for (size_t i = 0; i < tee->agent_count; i++)
		bulla_agent_pool_free(tee->agents[i].pool);
	bulla_zygote_stop(&tee->zygote);
	tee->receipt_key = bulla_sign_key_free(tee->receipt_key);
	bulla_secret_free(&tee->instance_secret);
	for (size_t i = 0; tee->flow_memory != NULL && i < tee->manifest.workflow_count; i++)
		bulla_free(tee->flow_memory[i]);
	bulla_free(tee->flow_memory);
	bulla_free(tee->flows);
	bulla_manifest_done(&tee->manifest);
	bulla_buf_done(&tee->manifest_bytes);
	tee->flow_memory = NULL;
	tee->flows = NULL;
	tee->agent_count = 0;
}

bulla_bytes bulla_tee_handles(const struct bulla_tee_base *tee)
{
	return bulla_bytes_of(tee->handles, tee->agent_count * sizeof(bulla_handle));
}

struct bulla_tee_agent *bulla_tee_agent_of(struct bulla_tee_base *tee, const bulla_handle *handle)
{
	for (size_t i = 0; i < tee->agent_count; i++)
		if (bulla_handle_eq(&tee->agents[i].handle, handle))
			return &tee->agents[i];
	return NULL;
}

struct bulla_sign_key *bulla_tee_receipt_key(const struct bulla_tee_base *tee)
{
	/* the slab is wiped in a forked child: a copy of this process neither seals nor signs */
	(void)bulla_secret_view(tee->instance_secret);
	return tee->receipt_key;
}
