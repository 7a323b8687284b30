#include "broker/broker.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/ledger_fact.h"
#include "broker/setup.h"
#include "crypto/random.h"

#include <limits.h>

#define SUBMIT_BYTES ((size_t)BULLA_MAX_JOURNAL_BATCH / 4)
#define SUBMISSIONS_MAX 2 /* the rest gathers in the outbox: larger batches, less memory */
#define OUTBOX_BYTES ((size_t)32 << 20)
#define BACKLOG_BYTES ((size_t)8 << 20)

/* --- recovery --- */

static bulla_rc on_cell(void *arg, const struct bulla_cell *cell, bulla_secret *secret)
{
	struct bulla_broker *broker = (struct bulla_broker *)arg;
	bulla_run_id run;

	switch (cell->kind) {
	case BULLA_CELL_MATERIAL:
		bulla_wrapping_material(&broker->wrapping, cell, secret);
		return BULLA_OK;
	case BULLA_CELL_SESSION:
		return bulla_sessions_add(broker->sessions, cell->id.b, *secret, (int64_t)cell->aux);
	case BULLA_CELL_RUN:
		bulla_copy(run.b, cell->id.b, sizeof(run.b));
		return bulla_run_secrets_put(broker->run_secrets, &run, *secret, BULLA_RUN_SECRET_IN_CELL);
	case BULLA_CELL_DAY:
		return bulla_days_load(&broker->days, cell, secret);
	default:
		return BULLA_FAIL(BULLA_E_VERSION, "a cell of a kind that this program does not know");
	}
}

static bulla_rc replay_own(struct bulla_broker *broker, const struct bulla_journal_record *record)
{
	struct ledger_fact fact;
	bool is_new;

	if (record->type == BULLA_LEDGER_EPOCH)
		return bulla_epochs_put(&broker->epochs, record->body, &is_new);
	if (record->type == BULLA_LEDGER_BIRTH)
		return bulla_births_add(&broker->births, record->body);
	if (record->type != BULLA_LEDGER_RUN)
		return BULLA_OK;
	BULLA_TRY(ledger_fact_read(record->type, record->body, &fact));
	return bulla_broker_replay_start(broker, fact.rest);
}

static bulla_rc on_record(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct bulla_broker *broker = (struct bulla_broker *)arg;

	BULLA_TRY(replay_own(broker, record));
	return bulla_ledger_replay_at(broker->ledger, record, at);
}

/* Which journal is the ledger of these keys: written once there is something in it. Without it a journal that is gone would
 * be a ledger that begins anew, and every step could run again. */
static void mark_journal(struct bulla_broker *broker)
{
	if (!broker->journal_marked && broker->durable_lsn > 1) /* a disk that does not take it now is asked again in a minute */
		broker->journal_marked = bulla_cells_write_file(broker->cells, "ledger", BULLA_BYTES_ARRAY(broker->store.b)) == BULLA_OK;
}

static bulla_rc check_mark(struct bulla_broker *broker, const struct bulla_journal_end *end)
{
	BULLA_AUTO_BUF kept;
	bulla_rc rc;

	bulla_buf_init(&kept, sizeof(end->store.b));
	rc = bulla_cells_read_file(broker->cells, "ledger", &kept);
	broker->journal_marked = rc == BULLA_OK;
	if (rc != BULLA_OK)
		return rc == BULLA_E_NOT_FOUND ? BULLA_OK : rc;
	if (end->at.segment == 0 || !bulla_bytes_eq(bulla_buf_view(&kept), BULLA_BYTES_ARRAY(end->store.b)))
		return BULLA_FAIL(BULLA_E_CORRUPT, "the journal here is not the one of these keys' ledger, or is gone");
	return BULLA_OK;
}

static bulla_rc open_journal(struct bulla_broker *broker)
{
	struct bulla_journal_recovery recovery = {.disk = &broker->journal_folder.table, .each = on_record, .arg = broker};
	struct bulla_journal_options options = {.disk = &broker->journal_folder.table, .clock = bulla_sys_clock()};
	int64_t ahead_ms;

	broker->replaying = true;
	broker->sweep_at = UINT32_MAX;
	BULLA_TRY(bulla_journal_recover(&recovery, &options.end));
	BULLA_TRY(check_mark(broker, &options.end));
	broker->replaying = false;
	BULLA_TRY(bulla_broker_replay_end(broker));
	if (options.end.at.segment == 0)
		BULLA_TRY(bulla_random_fill(broker->random, options.end.store.b, sizeof(options.end.store.b)));
	broker->store = options.end.store;
	broker->durable_lsn = options.end.lsn;
	bulla_ledger_durable(broker->ledger, options.end.lsn, &options.end.chain);
	bulla_steady_floor(&broker->steady, (int64_t)bulla_ledger_time(broker->ledger), &ahead_ms);
	if (ahead_ms > BULLA_MAX_CLOCK_SKEW_MS)
		bulla_log(BULLA_LOG_ERROR, "broker.ledger-ahead-of-clock", bulla_log_u64("ms", ahead_ms));
	broker->sweep_at = bulla_run_secrets_count(broker->run_secrets) + 1024;
	return bulla_journal_open(&options, &broker->journal);
}

/* Where ended runs lie is found anew by each replay: what an earlier process left there is gone. */
static bulla_rc open_index(struct bulla_broker *broker)
{
	const struct bulla_disk *disk = &broker->folder.table;

	BULLA_TRY(disk->open(disk->ctx, "ended.index", true, &broker->index_file));
	return disk->truncate(disk->ctx, broker->index_file, 0);
}

static bulla_rc open_folders(struct bulla_broker *broker, const char *path)
{
	char keys[PATH_MAX], journal[PATH_MAX], audit[PATH_MAX];

	BULLA_TRY(bulla_setup_path(path, "keys", keys));
	BULLA_TRY(bulla_setup_path(path, "journal", journal));
	BULLA_TRY(bulla_setup_path(path, "audit.jsonl", audit));
	BULLA_TRY(bulla_sys_make_folders(path));
	BULLA_TRY(bulla_sys_disk_open(&broker->folder, path, true));
	BULLA_TRY(bulla_sys_disk_open(&broker->keys_folder, keys, true));
	BULLA_TRY(bulla_sys_disk_open(&broker->journal_folder, journal, true));
	BULLA_TRY(open_index(broker));
	return bulla_sys_append_open(audit, &broker->audit);
}

static bulla_rc open_tables(struct bulla_broker *broker)
{
	struct bulla_ledger_options options = {.world = bulla_broker_world(broker)};
	void *commits = NULL;

	BULLA_TRY(bulla_alloc(BULLA_BROKER_TOKENS, sizeof(struct bulla_ledger_commit), &commits));
	broker->commits = (struct bulla_ledger_commit *)commits;
	BULLA_TRY(bulla_sessions_new(&broker->sessions));
	BULLA_TRY(bulla_run_secrets_new(broker->random, &broker->run_secrets));
	BULLA_TRY(bulla_births_init(&broker->births));
	BULLA_TRY(bulla_batch_new(BULLA_BROKER_TOKENS, &broker->batch));
	BULLA_TRY(bulla_wrapping_open(&broker->wrapping, &broker->keys_folder.table));
	return bulla_ledger_new(&options, &broker->ledger);
}

static bulla_rc open_owner(struct bulla_broker *broker, const bulla_digest *owner)
{
	BULLA_AUTO_BUF kept;
	bulla_rc rc;

	bulla_buf_init(&kept, 64);
	rc = bulla_cells_read_file(broker->cells, "owner", &kept);
	if (rc == BULLA_E_NOT_FOUND && owner == NULL)
		return BULLA_OK;
	if (rc == BULLA_E_NOT_FOUND) {
		broker->epochs.owner = *owner;
		return bulla_cells_write_file(broker->cells, "owner", bulla_bytes_digest(owner));
	}
	BULLA_TRY(rc);
	BULLA_TRY(bulla_bytes_copy_exact(bulla_buf_view(&kept), sizeof(broker->epochs.owner.b), broker->epochs.owner.b));
	if (owner != NULL && !bulla_digest_eq(owner, &broker->epochs.owner))
		return BULLA_FAIL(BULLA_E_OWNER, "this state folder was set up with another owner's key");
	return BULLA_OK;
}

static bulla_rc open_all(struct bulla_broker *broker, const char *path, const bulla_digest *owner)
{
	BULLA_TRY(open_folders(broker, path));
	BULLA_TRY(open_tables(broker));
	BULLA_TRY(bulla_random_fill(broker->random, broker->boot_id, sizeof(broker->boot_id)));
	BULLA_TRY(bulla_cells_open(&broker->folder.table, broker->random, on_cell, broker, &broker->cells));
	BULLA_TRY(open_owner(broker, owner));
	BULLA_TRY(bulla_setup_keys(broker, path));
	BULLA_TRY(bulla_days_sign(&broker->days, broker->ledger_key));
	BULLA_TRY(open_journal(broker)); /* before a day key goes: the journal's start records need it */
	return bulla_broker_minute(broker);
}

bulla_rc bulla_broker_open(const char *path, const bulla_digest *owner, struct bulla_broker **ret)
{
	struct bulla_broker *broker;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*broker), &p));
	broker = (struct bulla_broker *)p;
	bulla_steady_init(&broker->steady, bulla_sys_clock(), bulla_sys_pace());
	broker->clock = &broker->steady.table;
	broker->random = bulla_random_os();
	broker->audit = broker->index_file = broker->folder.folder = broker->keys_folder.folder = broker->journal_folder.folder = -1;
	bulla_days_init(&broker->days);
	bulla_buf_init(&broker->admin, 4096);
	bulla_buf_init(&broker->outbox, OUTBOX_BYTES);
	bulla_buf_init(&broker->replayed, BULLA_ALLOC_MAX);
	bulla_buf_init(&broker->ended, BULLA_BROKER_ENDED * BULLA_CELLS_RUNS);
	broker->runs_max = BULLA_CELLS_RUNS;
	rc = open_all(broker, path, owner);
	if (rc != BULLA_OK) {
		bulla_broker_close(broker);
		return rc;
	}
	*ret = broker;
	return BULLA_OK;
}

struct bulla_broker *bulla_broker_close(struct bulla_broker *broker)
{
	if (broker == NULL)
		return NULL;
	bulla_journal_close(broker->journal);
	bulla_ledger_free(broker->ledger);
	bulla_batch_free(broker->batch);
	bulla_free(broker->commits);
	bulla_epochs_done(&broker->epochs);
	bulla_births_done(&broker->births);
	bulla_wrapping_done(&broker->wrapping);
	bulla_days_done(&broker->days);
	bulla_sessions_free(broker->sessions);
	bulla_run_secrets_free(broker->run_secrets);
	bulla_tls_context_free(broker->tls);
	bulla_sign_key_free(broker->ledger_key);
	bulla_verify_key_free(broker->ledger_public);
	bulla_cells_close(broker->cells);
	bulla_buf_done(&broker->admin);
	bulla_buf_done(&broker->outbox);
	bulla_buf_done(&broker->replayed);
	bulla_buf_done(&broker->ended);
	bulla_sys_append_close(broker->audit);
	if (broker->index_file >= 0)
		broker->folder.table.close(broker->folder.table.ctx, broker->index_file);
	bulla_sys_disk_close(&broker->folder);
	bulla_sys_disk_close(&broker->keys_folder);
	bulla_sys_disk_close(&broker->journal_folder);
	bulla_free(broker);
	return NULL;
}

/* --- a turn --- */

/* Size and number of the records at the front of the outbox that make one submission. */
static bulla_rc front(const struct bulla_broker *broker, size_t *ret_size, uint32_t *ret_count)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&broker->outbox));
	struct bulla_journal_record record;

	*ret_size = 0;
	*ret_count = 0;
	while (bulla_rd_left(&r) > 0 && r.at < SUBMIT_BYTES) {
		BULLA_TRY(bulla_journal_record_next(&r, &record));
		if (*ret_count > 0 && r.at > BULLA_MAX_JOURNAL_BATCH - BULLA_JOURNAL_BATCH_HEADER)
			break; /* this one goes alone */
		*ret_size = r.at;
		++*ret_count;
	}
	return BULLA_OK;
}

bulla_rc bulla_broker_submit(struct bulla_broker *broker, uint64_t *ret_lsn)
{
	bulla_bytes records;
	uint32_t count = 0;
	uint64_t lsn;
	size_t size;
	bulla_rc rc;

	broker->hurry = broker->hurry || bulla_ledger_hurries(broker->ledger);
	bulla_ledger_turn(broker->ledger, &records, &count, ret_lsn);
	if (count > 0)
		BULLA_TRY(bulla_buf_append(&broker->outbox, records));
	while (broker->outbox.n > 0 && broker->submissions < SUBMISSIONS_MAX) {
		BULLA_TRY(front(broker, &size, &count));
		rc = bulla_journal_submit(broker->journal, bulla_bytes_of(broker->outbox.p, size), count, broker->hurry, &lsn);
		if (rc == BULLA_E_BUSY)
			return BULLA_OK; /* goes on when something is durable */
		BULLA_TRY(rc);
		broker->submissions += broker->hurry ? 1 : 0;
		bulla_buf_consume(&broker->outbox, size);
	}
	broker->hurry = broker->hurry && broker->outbox.n > 0;
	return BULLA_OK;
}

bulla_rc bulla_broker_durable(struct bulla_broker *broker, uint64_t *ret_lsn)
{
	bool first = broker->durable_lsn <= 1;
	struct bulla_journal_done done;
	bulla_rc rc;

	while ((rc = bulla_journal_next(broker->journal, &done)) == BULLA_OK) {
		broker->submissions -= done.urgent ? 1 : 0;
		*ret_lsn = broker->durable_lsn = done.lsn + done.count;
		BULLA_TRY(bulla_ledger_placed(broker->ledger, done.lsn, done.count, done.at));
		bulla_ledger_durable(broker->ledger, *ret_lsn, &done.chain);
		BULLA_TRY(bulla_broker_erase_ended(broker, *ret_lsn));
	}
	if (first)
		mark_journal(broker);
	return rc == BULLA_E_AGAIN ? BULLA_OK : rc;
}

static bulla_rc put_token(bulla_wr *w, const struct bulla_token *token, const struct bulla_auth *auth)
{
	uint8_t memory[BULLA_TOKEN_RECORD_MAX];
	bulla_wr record = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_msg_token_for item = {.run_id = BULLA_BYTES_ARRAY(token->slot.run.b),
		.receipt = bulla_bytes_digest(&token->receipt)};

	bulla_token_record_write(&record, token, auth);
	BULLA_TRY(bulla_wr_end(&record, &item.token));
	bulla_pb_wr_varint(w, bulla_pb_tag(1, BULLA_PB_BYTES)); /* field `tokens` of message tokens */
	bulla_pb_wr_varint(w, bulla_msg_size(&bulla_msg_token_for_desc, &item));
	bulla_msg_token_for_encode(&item, w);
	return BULLA_OK;
}

bulla_rc bulla_broker_tokens(struct bulla_broker *broker, struct bulla_buf *ret, bool *ret_any)
{
	struct bulla_ledger_commit *commits = broker->commits;
	size_t count = bulla_ledger_tokens(broker->ledger, commits, BULLA_BROKER_TOKENS);
	bulla_wr w = bulla_wr_buf(ret);
	struct bulla_auth auth;
	bulla_digest digest;
	bulla_bytes ignored;
	uint32_t index;

	*ret_any = count > 0;
	if (count == 0)
		return BULLA_OK;
	bulla_batch_clear(broker->batch);
	for (size_t i = 0; i < count; i++) {
		bulla_token_digest(&commits[i].token, &digest);
		BULLA_TRY(bulla_batch_add(broker->batch, &digest, &index));
	}
	BULLA_TRY(bulla_batch_sign(broker->batch, broker->ledger_key, BULLA_SIGNED_TOKENS));
	for (size_t i = 0; i < count; i++) {
		BULLA_TRY(bulla_batch_auth(broker->batch, (uint32_t)i, &auth));
		BULLA_TRY(put_token(&w, &commits[i].token, &auth));
	}
	return bulla_wr_end(&w, &ignored);
}

/* Before a day key goes, the secrets of runs that still need one are written into cells. A run has one cell, ever: one that
 * is there is not written again, so that no crash finds the secret nowhere. */
static bulla_rc save_run(void *arg, const bulla_run_id *run, bulla_secret secret)
{
	struct bulla_broker *broker = (struct bulla_broker *)arg;
	struct bulla_cell cell = {.kind = BULLA_CELL_RUN};

	bulla_copy(cell.id.b, run->b, sizeof(run->b));
	if (!bulla_ledger_run_is_open(broker->ledger, run))
		return BULLA_OK;
	BULLA_TRY(bulla_cells_put_soon(broker->cells, &cell, secret));
	bulla_run_secrets_in_cell(broker->run_secrets, run);
	return BULLA_OK;
}

/* *ret_hold: a secret found no cell. */
static bulla_rc save_runs(struct bulla_broker *broker, int64_t now_ms, bool *ret_hold)
{
	bulla_rc rc = bulla_run_secrets_each(broker->run_secrets, now_ms, save_run, broker);

	*ret_hold = rc == BULLA_E_LIMIT;
	if (rc != BULLA_OK && rc != BULLA_E_LIMIT)
		return rc;
	return bulla_cells_sync(broker->cells);
}

bulla_rc bulla_broker_minute(struct bulla_broker *broker)
{
	int64_t now_ms = bulla_wall_ms(broker->clock);
	bool changed = false, hold = false;

	mark_journal(broker);
	if (broker->steady.jumped)
		bulla_log(BULLA_LOG_WARN, "broker.date-jumped", bulla_log_u64("ms", bulla_wall_ms(broker->steady.real)));
	broker->steady.jumped = false;
	if (bulla_days_ending(&broker->days, now_ms))
		BULLA_TRY(save_runs(broker, now_ms, &hold));
	if (hold && !broker->hold_days)
		bulla_log(BULLA_LOG_WARN, "broker.cells_full", bulla_log_u64("runs", bulla_run_secrets_kept(broker->run_secrets)));
	broker->hold_days = hold;
	if (!hold)
		BULLA_TRY(bulla_days_turn(&broker->days, broker->cells, broker->random, broker->ledger_key, now_ms, &changed));
	return bulla_sessions_expire(broker->sessions, broker->cells, now_ms);
}

bool bulla_broker_has_room(const struct bulla_broker *broker)
{
	return !broker->hold_days && bulla_journal_has_room(broker->journal) &&
		bulla_journal_backlog(broker->journal) + broker->outbox.n < BACKLOG_BYTES;
}
