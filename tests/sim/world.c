#include "world.h"

#include "base/checks.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call) \
	do { \
		if ((call) != BULLA_OK) \
			abort(); \
	} while (0)

bulla_digest sim_digest(uint8_t byte)
{
	bulla_digest digest;

	memset(digest.b, byte, sizeof(digest.b));
	return digest;
}

bulla_digest sim_workflow(uint32_t plan)
{
	return sim_digest((uint8_t)(plan + 1));
}

bulla_handle sim_handle(uint8_t letter)
{
	bulla_handle handle;

	memset(handle.b, letter, sizeof(handle.b));
	return handle;
}

bulla_digest sim_instance(uint8_t letter)
{
	return sim_digest(letter);
}

void sim_session_id(uint32_t number, uint8_t ret[BULLA_SESSION_ID_BYTES])
{
	memset(ret, 0, BULLA_SESSION_ID_BYTES);
	memcpy(ret, &number, sizeof(number));
	ret[15] = 0x5e;
}

struct bulla_position sim_position(const bulla_run_id *run, uint32_t plan, uint32_t step, uint32_t attempt)
{
	return (struct bulla_position){.slot = {sim_handle('t'), sim_workflow(plan), *run, step, 0}, .attempt = attempt};
}

/* --- the table --- */

static uint64_t epoch_of(const struct sim_world *world, const bulla_digest *manifest)
{
	if (bulla_bytes_is_zero_ct(bulla_bytes_digest(&world->manifest)))
		return manifest->b[0];
	return bulla_digest_eq(manifest, &world->manifest) ? 1 : 2;
}

static bulla_rc world_plan(void *ctx, const bulla_digest *manifest, const bulla_digest *workflow,
	struct bulla_ledger_plan *ret)
{
	const struct sim_world *world = ctx;

	uint64_t epoch = epoch_of(world, manifest);

	if ((world->epochs_open >> (epoch - 1) & 1) == 0)
		return BULLA_E_EPOCH_CLOSED;
	for (size_t i = 0; i < world->plan_count; i++) {
		if (!bulla_digest_eq(&world->workflows[i], workflow))
			continue;
		*ret = (struct bulla_ledger_plan){world->plans[i], sim_handle('t'), epoch};
		return BULLA_OK;
	}
	return BULLA_E_NOT_FOUND;
}

static bulla_rc world_serves(void *ctx, const bulla_digest *session, const bulla_digest *run)
{
	const struct sim_world *world = ctx;

	if ((world->epochs_open >> (epoch_of(world, session) - 1) & 1) == 0)
		return BULLA_E_EPOCH_OLD;
	return epoch_of(world, session) < epoch_of(world, run) ? BULLA_E_EPOCH_OLD : BULLA_OK;
}

static bulla_rc world_open_start(void *ctx, bulla_bytes record, struct bulla_start_record *ret)
{
	(void)ctx;
	BULLA_TRY(bulla_start_record_decode(record, ret));
	if (BULLA_CHECK_ON(LEDGER_START_SIGNATURE) && ret->auth.signature[0] != SIM_SIGNED)
		return BULLA_E_SIGNATURE;
	return BULLA_OK;
}

static bulla_rc world_open_signal(void *ctx, bulla_bytes record, struct bulla_receipt_record *ret, bulla_handle *ret_party)
{
	(void)ctx;
	BULLA_TRY(bulla_receipt_record_decode(record, ret));
	if (ret->auth.signature[0] != SIM_SIGNED)
		return BULLA_E_SIGNATURE;
	*ret_party = sim_handle(ret->receipt.kid.b[0]);
	return BULLA_OK;
}

static bulla_rc world_open_order(void *ctx, bulla_bytes bytes, const bulla_digest *manifest, struct bulla_order *ret,
	bulla_digest *ret_kid)
{
	bulla_rd r = bulla_rd_of(bytes);
	uint8_t signature = 0;

	(void)ctx;
	(void)manifest;
	BULLA_TRY(bulla_rd_u8(&r, &signature));
	BULLA_TRY(bulla_rd_digest(&r, ret_kid));
	if (signature != SIM_SIGNED)
		return BULLA_E_SIGNATURE;
	return bulla_order_decode(bulla_bytes_of(bytes.p + r.at, bulla_rd_left(&r)), ret);
}

static bulla_rc world_open_revocation(void *ctx, bulla_bytes bytes, struct bulla_order *ret, bulla_digest *ret_kid,
	uint64_t *ret_epoch)
{
	(void)ctx;
	*ret_kid = sim_digest('A');
	*ret_epoch = 1;
	return bulla_order_peek(bytes, ret_kid, ret); /* signatures: world_test.c */
}

/* The bundle of agent `a` is all `a`. */
static bulla_rc world_bundle(void *ctx, const bulla_digest *manifest, const bulla_handle *agent, bulla_digest *ret)
{
	(void)ctx;
	(void)manifest;
	*ret = sim_digest(agent->b[0]);
	return BULLA_OK;
}

static bulla_rc world_open_commit(void *ctx, const uint8_t session[BULLA_SESSION_ID_BYTES], bulla_bytes mac0,
	struct bulla_commit *ret)
{
	const struct sim_world *world = ctx;

	return bulla_commit_open(mac0, session, world->mac, ret);
}

static bulla_rc world_keep_secret(void *ctx, const struct bulla_start *start)
{
	struct sim_world *world = ctx;

	(void)start;
	world->secrets_kept++;
	return BULLA_OK;
}

static void world_erase_secret(void *ctx, const bulla_run_id *run)
{
	struct sim_world *world = ctx;

	world->secrets_erased++;
	world->erased = *run;
}

static bulla_rc world_make_permit(void *ctx, const uint8_t session[BULLA_SESSION_ID_BYTES], struct bulla_permit *permit,
	struct bulla_buf *ret)
{
	const struct sim_world *world = ctx;

	memset(permit->run_secret, 0x77, sizeof(permit->run_secret));
	return bulla_permit_make(permit, session, world->mac, ret);
}

static void sign(struct bulla_auth *auth, bool good)
{
	memset(auth, 0, sizeof(*auth));
	auth->signature[0] = good ? SIM_SIGNED : 0;
}

static bulla_rc world_make_receipt(void *ctx, struct bulla_receipt *receipt, struct bulla_buf *ret)
{
	uint8_t payload[BULLA_RECEIPT_BYTES];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload)), record = bulla_wr_buf(ret);
	struct bulla_auth auth;
	bulla_bytes view, ignored;

	(void)ctx;
	receipt->kid = sim_digest('L');
	sign(&auth, true);
	bulla_receipt_write(&w, receipt);
	BULLA_TRY(bulla_wr_end(&w, &view));
	bulla_receipt_record_write(&record, view, &auth, (bulla_bytes){0}, (bulla_bytes){0});
	return bulla_wr_end(&record, &ignored);
}

static bulla_rc world_make_head(void *ctx, const struct bulla_run_head *head, struct bulla_buf *ret)
{
	(void)ctx;
	BULLA_TRY(bulla_buf_append(ret, bulla_bytes_digest(&head->root)));
	return bulla_buf_append(ret, bulla_bytes_of(&head->count, sizeof(head->count)));
}

struct bulla_ledger_world sim_world_table(struct sim_world *world)
{
	return (struct bulla_ledger_world){world, world_plan, world_serves, world_open_start, world_open_signal,
		world_open_order, world_open_revocation, world_bundle, world_open_commit, world_keep_secret, world_erase_secret, world_make_permit,
		world_make_receipt, world_make_head, NULL};
}

void sim_world_init(struct sim_world *world)
{
	uint8_t key[32];

	memset(world, 0, sizeof(*world));
	memset(key, 0x6b, sizeof(key));
	if (bulla_secret_slab_size() == 0)
		MUST(bulla_secret_slab_init(64));
	MUST(bulla_secret_new(BULLA_BYTES_ARRAY(key), &world->mac));
	world->epochs_open = 1;
}

void sim_world_done(struct sim_world *world)
{
	bulla_secret_free(&world->mac);
}

uint32_t sim_world_add(struct sim_world *world, const struct bulla_flow *flow)
{
	assert(world->plan_count < SIM_PLANS);
	world->plans[world->plan_count] = flow;
	world->workflows[world->plan_count] = sim_workflow((uint32_t)world->plan_count);
	return (uint32_t)world->plan_count++;
}

/* --- words --- */

void sim_start_put(const struct bulla_start *start, bool good, struct bulla_buf *ret)
{
	uint8_t payload[2048];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload)), record = bulla_wr_buf(ret);
	struct bulla_auth auth;
	bulla_bytes view, ignored;

	sign(&auth, good);
	MUST(bulla_start_write(&w, start));
	MUST(bulla_wr_end(&w, &view));
	bulla_start_record_write(&record, view, &auth);
	MUST(bulla_wr_end(&record, &ignored));
}

void sim_start_record(const bulla_run_id *run, uint32_t plan, uint8_t epoch, int64_t made_ms, uint8_t input, bool good,
	struct bulla_buf *ret)
{
	uint8_t pair[BULLA_PAIR_BYTES], secret[80];
	struct bulla_start start = {.tenant = sim_handle('t'),
		.workflow = sim_workflow(plan),
		.manifest = sim_digest(epoch),
		.run = *run,
		.party = sim_digest('o'),
		.inputs = BULLA_BYTES_ARRAY(pair),
		.day_key = sim_digest('d'),
		.secret = BULLA_BYTES_ARRAY(secret),
		.time_ms = (uint64_t)made_ms};

	memset(pair, input, sizeof(pair));
	memset(secret, 0x33, sizeof(secret));
	sim_start_put(&start, good, ret);
}

void sim_commit(struct sim_world *world, const struct bulla_commit *commit, uint32_t session, bool good,
	struct bulla_buf *ret)
{
	uint8_t id[BULLA_SESSION_ID_BYTES];

	sim_session_id(session, id);
	MUST(bulla_commit_make(commit, id, world->mac, ret));
	if (!good)
		ret->p[ret->n - 1] ^= 1;
}

void sim_signal(const struct bulla_receipt *receipt, bool good, struct bulla_buf *ret, bulla_digest *ret_digest)
{
	uint8_t payload[BULLA_RECEIPT_BYTES];
	bulla_wr w = bulla_wr_fixed(payload, sizeof(payload)), record = bulla_wr_buf(ret);
	struct bulla_auth auth;
	bulla_bytes view, ignored;

	sign(&auth, good);
	bulla_receipt_write(&w, receipt);
	MUST(bulla_wr_end(&w, &view));
	bulla_receipt_record_write(&record, view, &auth, (bulla_bytes){0}, (bulla_bytes){0});
	MUST(bulla_wr_end(&record, &ignored));
	bulla_receipt_digest(receipt, ret_digest);
}

void sim_order(uint8_t kind, const bulla_run_id *run, uint8_t epoch, uint8_t party, bool good, struct bulla_buf *ret)
{
	struct bulla_order order = {
		.kind = kind, .tenant = sim_handle('t'), .manifest = sim_digest(epoch), .run = *run, .time_ms = 1};
	bulla_digest kid = sim_digest(party);
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	bulla_wr_u8(&w, good ? SIM_SIGNED : 0);
	bulla_wr_digest(&w, &kid);
	bulla_order_write(&w, &order);
	MUST(bulla_wr_end(&w, &ignored));
}
