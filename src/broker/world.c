#include "base/checks.h"
#include "base/log.h"
#include "broker/broker.h"
#include "crypto/hash.h"
#include "receipt/run_secret.h"

#define SWEEP_EVERY 1024 /* runs begun */
#define REPLAYED_STEP ((size_t)4 << 20)

static bulla_rc world_plan(void *ctx, const bulla_digest *manifest, const bulla_digest *workflow,
	struct bulla_ledger_plan *ret)
{
	const struct bulla_broker *broker = (const struct bulla_broker *)ctx;
	const struct bulla_epoch *epoch = bulla_epochs_find(&broker->epochs, manifest);
	const struct bulla_flow *flow;

	if (epoch == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such manifest was accepted");
	/* what the journal holds began under an open epoch */
	if (!broker->replaying && bulla_epochs_open(&broker->epochs, manifest, &epoch) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_EPOCH_CLOSED, "the manifest's epoch is closed");
	flow = bulla_epoch_flow(epoch, workflow);
	if (flow == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the manifest has no such workflow");
	*ret = (struct bulla_ledger_plan){.flow = flow, .tenant = epoch->manifest.tenant, .epoch = epoch->manifest.epoch};
	return BULLA_OK;
}

static bulla_rc world_serves(void *ctx, const bulla_digest *session, const bulla_digest *run)
{
	const struct bulla_broker *broker = (const struct bulla_broker *)ctx;

	return bulla_epochs_serves(&broker->epochs, session, run);
}

/* The party behind a key under a manifest, with this right. */
static bulla_rc party_of(const struct bulla_broker *broker, const bulla_digest *manifest, const bulla_digest *kid,
	uint32_t right, const struct bulla_party **ret, struct bulla_verify_key **ret_key)
{
	const struct bulla_epoch *epoch = bulla_epochs_find(&broker->epochs, manifest);

	if (epoch == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such manifest was accepted");
	*ret = bulla_epoch_party(epoch, kid, ret_key);
	if (*ret == NULL)
		return BULLA_FAIL(BULLA_E_PARTY, "no party of the manifest has this key");
	if (BULLA_CHECK_ON(LEDGER_PARTY_RIGHT) && ((*ret)->rights & right) == 0)
		return BULLA_FAIL(BULLA_E_NO_RIGHT, "the party may not do that");
	return BULLA_OK;
}

/* A starter may sign many starts at once: the batch's signature is checked for the first of them. */
static bulla_rc verify_start(struct bulla_broker *broker, const struct bulla_start_record *start,
	struct bulla_verify_key *key)
{
	struct bulla_broker_batch *batch = &broker->start_batch;
	bulla_digest root;

	if (!start->auth.batched)
		return bulla_start_record_verify(start, key);
	BULLA_TRY(bulla_auth_root(&start->auth, &start->digest, &root));
	if (batch->known && bulla_digest_eq(&batch->kid, &start->start.party) && bulla_digest_eq(&batch->root, &root) &&
		bulla_bytes_eq(BULLA_BYTES_ARRAY(batch->signature), BULLA_BYTES_ARRAY(start->auth.signature)))
		return BULLA_OK;
	BULLA_TRY(bulla_batch_verify(key, BULLA_SIGNED_STARTS, &root, start->auth.signature));
	*batch = (struct bulla_broker_batch){.kid = start->start.party, .root = root, .known = true};
	bulla_copy(batch->signature, start->auth.signature, sizeof(batch->signature));
	return BULLA_OK;
}

static bulla_rc world_open_start(void *ctx, bulla_bytes record, struct bulla_start_record *ret)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;
	struct bulla_verify_key *key = NULL;
	const struct bulla_party *party = NULL;

	BULLA_TRY(bulla_start_record_decode(record, ret));
	BULLA_TRY(party_of(broker, &ret->start.manifest, &ret->start.party, BULLA_RIGHT_START, &party, &key));
	if (!BULLA_CHECK_ON(LEDGER_START_SIGNATURE))
		return BULLA_OK;
	return verify_start(broker, ret, key);
}

static bulla_rc world_open_signal(void *ctx, bulla_bytes record, struct bulla_receipt_record *ret,
	bulla_handle *ret_party)
{
	const struct bulla_broker *broker = (const struct bulla_broker *)ctx;
	struct bulla_verify_key *key = NULL;
	const struct bulla_party *party = NULL;

	BULLA_TRY(bulla_receipt_record_decode(record, ret));
	BULLA_TRY(party_of(broker, &ret->receipt.manifest, &ret->receipt.kid, BULLA_RIGHT_SIGNAL, &party, &key));
	BULLA_TRY(bulla_receipt_record_verify(ret, key));
	*ret_party = party->handle;
	return BULLA_OK;
}

static bulla_rc world_open_order(void *ctx, bulla_bytes sign1, const bulla_digest *manifest, struct bulla_order *ret,
	bulla_digest *ret_kid)
{
	const struct bulla_broker *broker = (const struct bulla_broker *)ctx;
	struct bulla_verify_key *key = NULL;
	const struct bulla_party *party = NULL;

	BULLA_TRY(bulla_order_peek(sign1, ret_kid, ret));
	if (ret->kind != BULLA_ORDER_CANCEL && ret->kind != BULLA_ORDER_ERASE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an order to a run cancels or erases it");
	BULLA_TRY(party_of(broker, manifest, ret_kid,
		ret->kind == BULLA_ORDER_CANCEL ? BULLA_RIGHT_CANCEL : BULLA_RIGHT_ERASE, &party, &key));
	return bulla_order_open(sign1, key, ret);
}

/* One approver of the manifest in force is enough, and the order names that manifest: an old one cannot be given again. */
static bulla_rc world_open_revocation(void *ctx, bulla_bytes sign1, struct bulla_order *ret, bulla_digest *ret_kid,
	uint64_t *ret_epoch)
{
	const struct bulla_broker *broker = (const struct bulla_broker *)ctx;
	const struct bulla_epoch *epoch = bulla_epochs_current(&broker->epochs);
	const struct bulla_approver *approver;
	BULLA_AUTO_VERIFY_KEY key = NULL;

	BULLA_TRY(bulla_order_peek(sign1, ret_kid, ret));
	if (epoch == NULL || !bulla_digest_eq(&ret->manifest, &epoch->manifest.digest) ||
		!bulla_handle_eq(&ret->tenant, &epoch->manifest.tenant))
		return BULLA_FAIL(BULLA_E_EPOCH_OLD, "the order is not under the manifest in force");
	approver = bulla_manifest_approver(&epoch->manifest, ret_kid);
	if (approver == NULL)
		return BULLA_FAIL(BULLA_E_PARTY, "the order is signed by nobody who may approve");
	BULLA_TRY(bulla_verify_key_spki(approver->spki, &key));
	*ret_epoch = epoch->manifest.epoch;
	return bulla_order_open(sign1, key, ret);
}

static bulla_rc world_bundle(void *ctx, const bulla_digest *manifest, const bulla_handle *agent, bulla_digest *ret)
{
	const struct bulla_broker *broker = (const struct bulla_broker *)ctx;
	const struct bulla_epoch *epoch = bulla_epochs_find(&broker->epochs, manifest);
	const struct bulla_agent *found = epoch == NULL ? NULL : bulla_manifest_agent(&epoch->manifest, agent);

	if (found == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no accepted manifest has this agent");
	*ret = found->bundle;
	return BULLA_OK;
}

static bulla_rc world_open_commit(void *ctx, const uint8_t session[BULLA_SESSION_ID_BYTES], bulla_bytes mac0,
	struct bulla_commit *ret)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;
	const struct bulla_session_keys *keys = NULL;

	BULLA_TRY(bulla_sessions_keys(broker->sessions, session, &keys));
	return bulla_commit_open(mac0, session, keys->mac_up, ret);
}

static bool run_is_open(void *arg, const bulla_run_id *run)
{
	const struct bulla_broker *broker = (const struct bulla_broker *)arg;

	return bulla_ledger_run_is_open(broker->ledger, run);
}

static bulla_rc keep_secret(struct bulla_broker *broker, const struct bulla_start *start)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;

	if (bulla_run_secrets_count(broker->run_secrets) >= broker->sweep_at) { /* runs that ended make room */
		bulla_run_secrets_sweep(broker->run_secrets, run_is_open, broker);
		broker->sweep_at = bulla_run_secrets_count(broker->run_secrets) + SWEEP_EVERY;
	}
	BULLA_TRY(bulla_days_open(&broker->days, start, &secret));
	return bulla_run_secrets_put(broker->run_secrets, &start->run, secret,
		bulla_days_find(&broker->days, &start->day_key)->ends_ms);
}

/* Each run that goes on may need a cell one day: whoever would find none is not begun. */
static bulla_rc world_keep_secret(void *ctx, const struct bulla_start *start)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;

	if (bulla_run_secrets_kept(broker->run_secrets) + broker->ended.n / BULLA_BROKER_ENDED >= broker->runs_max)
		return BULLA_FAIL(BULLA_E_BUSY, "as many runs go on as there are cells for their secrets: try again when one ended");
	return keep_secret(broker, start);
}

static void world_erase_secret(void *ctx, const bulla_run_id *run)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;
	bulla_wr w = bulla_wr_buf(&broker->ended);
	bulla_bytes ignored;

	if (!bulla_run_secrets_erase(broker->run_secrets, run))
		return;
	/* before the record of the end is durable a crash would bring the run back: its cell stays until then */
	bulla_wr_u64le(&w, bulla_ledger_sequence(broker->ledger));
	bulla_wr_bytes(&w, bulla_run_id_view(run));
	if (bulla_wr_end(&w, &ignored) != BULLA_OK)
		return; /* no memory: the next start erases it */
}

static bool cell_goes_on(void *arg, const bulla_digest *id)
{
	bulla_run_id run;

	bulla_copy(run.b, id->b, sizeof(run.b));
	return run_is_open(arg, &run);
}

bulla_rc bulla_broker_erase_ended(struct bulla_broker *broker, uint64_t durable_lsn)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&broker->ended));
	bulla_digest id = {{0}};
	uint64_t lsn = 0;
	size_t done = 0;

	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(bulla_rd_u64le(&r, &lsn));
		BULLA_TRY(bulla_rd_copy(&r, sizeof(bulla_run_id), id.b));
		if (lsn > durable_lsn)
			break;
		BULLA_TRY(bulla_cells_erase(broker->cells, BULLA_CELL_RUN, &id));
		done = r.at;
	}
	bulla_buf_consume(&broker->ended, done);
	return BULLA_OK;
}

static bulla_rc world_make_permit(void *ctx, const uint8_t session[BULLA_SESSION_ID_BYTES], struct bulla_permit *permit,
	struct bulla_buf *ret)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;
	const struct bulla_session_keys *keys = NULL;
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;

	BULLA_TRY(bulla_sessions_keys(broker->sessions, session, &keys));
	BULLA_TRY(bulla_run_secrets_get(broker->run_secrets, &permit->position.slot.run, &secret));
	BULLA_TRY(bulla_run_secret_wrap(keys->wrap, &permit->position, secret, permit->run_secret));
	return bulla_permit_make(permit, session, keys->mac_down, ret);
}

static bulla_rc world_make_receipt(void *ctx, struct bulla_receipt *receipt, struct bulla_buf *ret)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;
	uint8_t memory[BULLA_RECEIPT_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload, none = {NULL, 0};
	struct bulla_auth auth;

	receipt->kid = *bulla_sign_key_kid(broker->ledger_key);
	bulla_receipt_write(&w, receipt);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	BULLA_TRY(bulla_auth_sign(broker->ledger_key, BULLA_SIGNED_RECEIPT, payload, &auth));
	w = bulla_wr_buf(ret);
	bulla_receipt_record_write(&w, payload, &auth, none, none);
	return bulla_wr_end(&w, &payload);
}

static bulla_rc world_make_head(void *ctx, const struct bulla_run_head *head, struct bulla_buf *ret)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;

	return bulla_run_head_make(head, broker->ledger_key, ret);
}

static bulla_rc world_read(void *ctx, struct bulla_journal_place from, struct bulla_journal_place to, bulla_journal_each each,
	void *arg)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;

	return bulla_journal_scan(&broker->journal_folder.table, from, to, each, arg);
}

static bulla_rc world_index_write(void *ctx, uint64_t at, bulla_bytes bytes)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;
	const struct bulla_disk *disk = &broker->folder.table;
	bulla_rc rc = disk->pwrite(disk->ctx, broker->index_file, at, bytes, false);

	if ((rc != BULLA_OK) != broker->index_failed) /* ended runs stay in memory meanwhile */
		bulla_log(rc != BULLA_OK ? BULLA_LOG_ERROR : BULLA_LOG_INFO, "broker.ended-index", bulla_log_rc(rc));
	broker->index_failed = rc != BULLA_OK;
	return rc;
}

static bulla_rc world_index_read(void *ctx, uint64_t at, uint8_t *ret, size_t size)
{
	struct bulla_broker *broker = (struct bulla_broker *)ctx;
	const struct bulla_disk *disk = &broker->folder.table;
	size_t got = 0;

	BULLA_TRY(disk->pread(disk->ctx, broker->index_file, at, ret, size, &got));
	if (got != size)
		return BULLA_FAIL(BULLA_E_CORRUPT, "the index of ended runs was cut: a restart makes it anew");
	return BULLA_OK;
}

struct bulla_ledger_world bulla_broker_world(struct bulla_broker *broker)
{
	return (struct bulla_ledger_world){
		.ctx = broker,
		.plan = world_plan,
		.serves = world_serves,
		.open_start = world_open_start,
		.open_signal = world_open_signal,
		.open_order = world_open_order,
		.open_revocation = world_open_revocation,
		.bundle = world_bundle,
		.open_commit = world_open_commit,
		.keep_secret = world_keep_secret,
		.erase_secret = world_erase_secret,
		.make_permit = world_make_permit,
		.make_receipt = world_make_receipt,
		.make_head = world_make_head,
		.read = world_read,
		.index_write = world_index_write,
		.index_read = world_index_read,
	};
}

/* A start record out of the journal whose run goes on. */
static bulla_rc keep_again(struct bulla_broker *broker, bulla_bytes record)
{
	struct bulla_start_record start;
	bulla_rc rc;

	BULLA_TRY(bulla_start_record_decode(record, &start));
	if (!run_is_open(broker, &start.start.run))
		return BULLA_OK;
	rc = keep_secret(broker, &start.start);
	/* its day is over: then a cell has it */
	return rc == BULLA_E_NOT_FOUND || rc == BULLA_E_RUN_CLOSED ? BULLA_OK : rc;
}

static bulla_rc next_replayed(bulla_rd *r, bulla_bytes *ret)
{
	uint32_t size = 0;

	BULLA_TRY(bulla_rd_u32le(r, &size));
	return bulla_rd_bytes(r, size, ret);
}

/* Drops the records of runs that ended by now. */
static bulla_rc compact_replayed(struct bulla_broker *broker)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&broker->replayed));
	size_t kept = 0;

	while (bulla_rd_left(&r) > 0) {
		size_t from = r.at;
		struct bulla_start_record start;
		bulla_bytes record;

		BULLA_TRY(next_replayed(&r, &record));
		BULLA_TRY(bulla_start_record_decode(record, &start));
		if (!run_is_open(broker, &start.start.run))
			continue;
		bulla_move(broker->replayed.p + kept, broker->replayed.p + from, r.at - from);
		kept += r.at - from;
	}
	broker->replayed.n = kept;
	broker->replayed_limit = kept + REPLAYED_STEP;
	return BULLA_OK;
}

bulla_rc bulla_broker_replay_start(struct bulla_broker *broker, bulla_bytes record)
{
	bulla_wr w;
	bulla_bytes ignored;

	if (broker->replayed.n > broker->replayed_limit)
		BULLA_TRY(compact_replayed(broker));
	w = bulla_wr_buf(&broker->replayed);
	bulla_wr_u32le(&w, (uint32_t)record.n);
	bulla_wr_bytes(&w, record);
	return bulla_wr_end(&w, &ignored);
}

bulla_rc bulla_broker_replay_end(struct bulla_broker *broker)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&broker->replayed));
	bulla_bytes record;

	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(next_replayed(&r, &record));
		BULLA_TRY(keep_again(broker, record));
	}
	bulla_buf_done(&broker->replayed);
	/* runs whose end was durable when we were killed, their cells not erased */
	return bulla_cells_sweep(broker->cells, BULLA_CELL_RUN, cell_goes_on, broker);
}
