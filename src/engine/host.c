#include "engine/host.h"

#include <signal.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/host_state.h"

#define PATH_BYTES 1024
#define STOP_US 10000000
#define TELL_US 100000 /* the catalogue is at most so far behind */

int64_t host_wall_ms(void)
{
	return bulla_wall_ms(bulla_sys_clock());
}

static int64_t mono_ms(void)
{
	return bulla_mono_us(bulla_sys_clock()) / 1000;
}

/* An error of the core is final: journal or memory. The program ends and recovers. */
void host_step(struct host *host, struct bulla_engine_input *input)
{
	bulla_rc rc;

	if (host->fatal != BULLA_OK)
		return;
	input->now_ms = mono_ms();
	input->wall_ms = host_wall_ms();
	host->stepping = true;
	rc = bulla_engine_step(host->engine, input);
	host->stepping = false;
	if (rc == BULLA_OK)
		return;
	host->fatal = rc;
	bulla_log(BULLA_LOG_ERROR, "host.fatal", bulla_log_rc(rc));
	bulla_loop_stop(&host->loop);
}

/* --- journal and librarian --- */

static void take_durable(struct host *host)
{
	struct bulla_journal_done done;
	bulla_rc rc;

	while ((rc = bulla_journal_next(host->journal, &done)) == BULLA_OK) {
		struct bulla_engine_input input = {
			.kind = BULLA_ENGINE_DURABLE,
			.lsn = done.lsn,
			.place = {(uint32_t)done.at.segment, (uint32_t)done.at.offset, (uint32_t)done.bytes}};

		if (done.count > 0)
			host_step(host, &input);
	}
	if (rc == BULLA_E_AGAIN)
		return;
	host->fatal = rc;
	bulla_log(BULLA_LOG_ERROR, "host.journal", bulla_log_rc(rc));
	bulla_loop_stop(&host->loop);
}

static void take_answers(struct host *host)
{
	struct bulla_librarian_answer answer;
	bulla_rc rc;

	while ((rc = bulla_librarian_next(host->librarian, &answer)) == BULLA_OK) {
		struct bulla_engine_input input = {.kind = BULLA_ENGINE_LOADED,
			.ticket = answer.ticket,
			.question = answer.question,
			.rc = answer.rc,
			.body = answer.body};

		host_step(host, &input);
	}
	if (rc == BULLA_E_AGAIN)
		return;
	/* rows that the catalogue does not have are in the journal: the next start brings them */
	host->fatal = rc;
	bulla_log(BULLA_LOG_ERROR, "host.catalogue", bulla_log_rc(rc));
	bulla_loop_stop(&host->loop);
}

/* The thread is done: drain takes it. */
static void on_journal(void *ctx, uint32_t events)
{
	struct host *host = ctx;

	(void)events;
	bulla_journal_woken(host->journal);
}

static void on_librarian(void *ctx, uint32_t events)
{
	(void)events;
	take_answers(ctx);
}

/* --- turns --- */

static void drain(void *ctx, int64_t now_us)
{
	struct host *host = ctx;
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_TURN};

	take_durable(host);
	host_dial_all(host, now_us);
	input.backlog = bulla_journal_backlog(host->journal);
	input.has_room = bulla_journal_has_room(host->journal);
	host_step(host, &input);
	host_tick(host, now_us);
	host_limit_output(host);
	if (now_us - host->told_us >= TELL_US) {
		bulla_librarian_hand_over(host->librarian);
		host->told_us = now_us;
	}
	if (host->stop_us != 0 && (bulla_engine_idle(host->engine) || host->stop_us <= now_us))
		bulla_loop_stop(&host->loop);
}

static void settle(void *ctx)
{
	struct host *host = ctx;

	bulla_journal_turn(host->journal);
}

static int64_t next_deadline(void *ctx)
{
	struct host *host = ctx;
	int64_t due = host_conns_deadline(host), arm_us, journal_us = bulla_journal_due(host->journal);

	if (journal_us < due)
		due = journal_us;
	if (host->arm_ms != INT64_MAX) {
		arm_us = host->arm_ms * 1000;
		if (arm_us < due)
			due = arm_us;
	}
	if (bulla_librarian_holds(host->librarian) && host->told_us + TELL_US < due)
		due = host->told_us + TELL_US;
	return host->stop_us != 0 && host->stop_us < due ? host->stop_us : due;
}

static void on_signal(void *ctx, uint32_t events)
{
	struct host *host = ctx;

	(void)events;
	while (bulla_loop_signal_take(host->signal_watch.fd) != 0) {
		if (host->stop_us != 0) /* the second one does not wait */
			bulla_loop_stop(&host->loop);
		bulla_engine_drain(host->engine);
		host->stop_us = host->loop.now_us + STOP_US;
	}
}

/* --- start --- */

static bulla_rc recall_object(void *arg, bulla_bytes body)
{
	return bulla_engine_recall_object(arg, body);
}

static bulla_rc recall_run(void *arg, bulla_bytes id)
{
	bulla_run_id run;

	BULLA_TRY(bulla_bytes_copy_exact(id, sizeof(run.b), run.b));
	bulla_engine_recall_run(arg, &run);
	return BULLA_OK;
}

static bulla_rc replay(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct bulla_engine_place place = {(uint32_t)at.segment, (uint32_t)at.offset,
		(uint32_t)(BULLA_JOURNAL_RECORD_HEADER + record->body.n)};

	return bulla_engine_replay(arg, record, place);
}

/* a, then b, as a zero-terminated path. */
static bulla_rc join(const char *a, const char *b, char ret[PATH_BYTES])
{
	bulla_wr w = bulla_wr_fixed((uint8_t *)ret, PATH_BYTES);
	bulla_bytes text;

	bulla_wr_bytes(&w, bulla_bytes_str(a));
	bulla_wr_bytes(&w, bulla_bytes_str(b));
	bulla_wr_u8(&w, 0);
	return bulla_wr_end(&w, &text);
}

static bulla_rc open_folders(struct host *host)
{
	char path[PATH_BYTES];

	BULLA_TRY(join(host->options->state, "/journal", path));
	BULLA_TRY(bulla_sys_make_folders(host->options->state));
	BULLA_TRY(bulla_sys_disk_open(&host->journal_disk, path, true));
	return bulla_sys_disk_open(&host->librarian_disk, path, false);
}

/* BULLA_E_STATE_OLD: the catalogue knows records that the journal does not have; nothing was changed. */
static bulla_rc recover_with(struct host *host, struct bulla_journal_end *ret_end)
{
	struct bulla_engine_options options = {.now_ms = mono_ms(), .wall_ms = host_wall_ms()};
	struct bulla_catalogue_marks marks;
	struct bulla_engine_effects effects = host_effects(host);
	struct bulla_journal_recovery recovery = {.disk = &host->journal_disk.table,
		.each = replay,
		.by_crc = true};
	bulla_rc rc;

	BULLA_TRY(bulla_catalogue_marks(host->catalogue, &marks));
	recovery.from_lsn = marks.replay_lsn;
	options.next_run_no = marks.next_run_no;
	BULLA_TRY(bulla_engine_new(&options, &effects, &host->engine));
	recovery.arg = host->engine;
	BULLA_TRY(bulla_catalogue_objects(host->catalogue, recall_object, host->engine));
	BULLA_TRY(bulla_catalogue_ids(host->catalogue, recall_run, host->engine));
	BULLA_TRY(bulla_catalogue_begin(host->catalogue));
	rc = bulla_journal_recover(&recovery, ret_end);
	if (rc == BULLA_E_CORRUPT)
		bulla_log(BULLA_LOG_ERROR, "host.journal-damaged", bulla_log_u64("segment", recovery.damaged.segment),
			bulla_log_u64("offset", recovery.damaged.offset));
	BULLA_TRY(rc);
	if (marks.known_lsn >= ret_end->lsn)
		return BULLA_FAIL(BULLA_E_STATE_OLD, "the journal is older than the catalogue");
	BULLA_TRY(bulla_catalogue_commit(host->catalogue));
	if (ret_end->at.segment == 0 && ret_end->lsn == 1)
		return bulla_sys_random()->fill(NULL, ret_end->store.b, sizeof(ret_end->store.b));
	return BULLA_OK;
}

/* A catalogue that does not go with the journal (an old journal was put back, or its last batch is gone) is made anew. */
static bulla_rc recover(struct host *host, struct bulla_journal_end *ret_end)
{
	char path[PATH_BYTES];
	bulla_rc rc;

	BULLA_TRY(join(host->options->state, "/catalogue.db", path));
	BULLA_TRY(bulla_catalogue_open(path, &host->catalogue));
	rc = recover_with(host, ret_end);
	if (rc != BULLA_E_STATE_OLD)
		return rc;
	bulla_log(BULLA_LOG_WARN, "host.journal-older-than-catalogue", bulla_log_u64("lsn", ret_end->lsn));
	host->engine = bulla_engine_free(host->engine);
	host->catalogue = bulla_catalogue_close(host->catalogue);
	BULLA_TRY(bulla_catalogue_put_aside(path));
	BULLA_TRY(bulla_catalogue_open(path, &host->catalogue));
	return recover_with(host, ret_end);
}

static bulla_rc start_threads(struct host *host, const struct bulla_journal_end *end)
{
	struct bulla_journal_options options = {
		.disk = &host->journal_disk.table, .clock = bulla_sys_clock(), .end = *end};

	BULLA_TRY(bulla_journal_open(&options, &host->journal));
	BULLA_TRY(bulla_librarian_start(host->catalogue, &host->librarian_disk.table, &host->librarian));
	host->catalogue = NULL;
	host->journal_watch =
		(struct bulla_watch){.ctx = host, .on_ready = on_journal, .fd = bulla_journal_fd(host->journal)};
	BULLA_TRY(bulla_loop_add(&host->loop, &host->journal_watch, EPOLLIN));
	host->librarian_watch =
		(struct bulla_watch){.ctx = host, .on_ready = on_librarian, .fd = bulla_librarian_fd(host->librarian)};
	return bulla_loop_add(&host->loop, &host->librarian_watch, EPOLLIN);
}

static bulla_rc listen_api(struct host *host)
{
	struct bulla_addr addr;
	char text[PATH_BYTES];
	int fd;

	BULLA_TRY(join("unix:", host->options->socket, text));
	BULLA_TRY(bulla_addr_parse(bulla_bytes_str(text), &addr));
	BULLA_TRY(bulla_addr_listen(&addr, 0660, &fd));
	return bulla_listener_start(&host->listener, &host->loop, fd, host, host_accept);
}

static bulla_rc run(struct host *host)
{
	static const int signals[] = {SIGTERM, SIGINT, 0};
	struct bulla_loop_hooks hooks = {.ctx = host, .drain = drain, .settle = settle, .next_deadline = next_deadline};
	struct bulla_journal_end end;
	struct bulla_engine_counts counts;
	int64_t began = bulla_mono_us(bulla_sys_clock());

	BULLA_TRY(bulla_sys_random()->fill(NULL, host->boot_id, sizeof(host->boot_id)));
	BULLA_TRY(open_folders(host));
	BULLA_TRY(bulla_loop_init(&host->loop, bulla_sys_clock(), &hooks));
	host->looping = true;
	BULLA_TRY(bulla_loop_signals(signals, &host->signal_watch.fd));
	host->signal_watch.ctx = host;
	host->signal_watch.on_ready = on_signal;
	BULLA_TRY(bulla_loop_add(&host->loop, &host->signal_watch, EPOLLIN));
	BULLA_TRY(recover(host, &end));
	BULLA_TRY(start_threads(host, &end));
	BULLA_TRY(host_conns_init(host));
	BULLA_TRY(host_relay_init(host));
	BULLA_TRY(listen_api(host));
	bulla_engine_count(host->engine, &counts);
	bulla_log(BULLA_LOG_INFO, "host.ready", bulla_log_u64("us", bulla_mono_us(bulla_sys_clock()) - began),
		bulla_log_u64("open", counts.open), bulla_log_u64("lsn", end.lsn));
	BULLA_TRY(bulla_loop_run(&host->loop));
	return host->fatal;
}

bulla_rc bulla_host_run(const struct bulla_host_options *options)
{
	struct host *host;
	bulla_rc rc;
	void *p;

	BULLA_TRY(bulla_alloc(1, sizeof(*host), &p));
	host = p;
	host->options = options;
	host->arm_ms = INT64_MAX;
	host->signal_watch.fd = host->journal_watch.fd = host->librarian_watch.fd = -1;
	host->journal_disk.folder = host->librarian_disk.folder = -1;
	rc = run(host);
	bulla_journal_close(host->journal);
	host_relay_done(host);
	host_conns_done(host);
	bulla_engine_free(host->engine);
	bulla_librarian_stop(host->librarian);
	bulla_catalogue_close(host->catalogue);
	if (host->listener.loop)
		bulla_listener_stop(&host->listener);
	bulla_addr_close(host->signal_watch.fd);
	if (host->looping)
		bulla_loop_done(&host->loop);
	bulla_sys_disk_close(&host->journal_disk);
	bulla_sys_disk_close(&host->librarian_disk);
	bulla_free(host);
	return rc;
}
