#include "signed.h"

#include <stdlib.h>
#include <string.h>

/* --- effects --- */

static uint32_t conn_of(const struct sim *sim, bulla_engine_peer peer)
{
	uint32_t conn = peer & 1023;

	return conn < SIM_CONNS && sim->conns[conn].up && net_peer(sim, conn) == peer ? conn : 0;
}

static bulla_rc effect_call(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	struct sim *sim = ctx;
	uint32_t conn = conn_of(sim, peer);

	if (conn == 0)
		return BULLA_E_CLOSED;
	net_send(sim, conn, SIDE_OTHER, (uint8_t)op, 0, stream, body);
	return BULLA_OK;
}

static void send(struct sim *sim, bulla_engine_peer peer, enum bulla_op_number op, uint16_t flags, uint32_t stream,
	bulla_bytes body)
{
	uint32_t conn = conn_of(sim, peer);

	if (conn != 0)
		net_send(sim, conn, SIDE_OTHER, (uint8_t)op, flags, stream, body);
}

static void effect_reply(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	send(ctx, peer, op, BULLA_ENGINE_REPLY, stream, body);
}

static void effect_event(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_bytes body)
{
	send(ctx, peer, op, BULLA_ENGINE_EVENT, stream, body);
}

static void effect_error(void *ctx, bulla_engine_peer peer, enum bulla_op_number op, uint32_t stream, bulla_rc rc,
	uint64_t retry_ms)
{
	uint8_t memory[128];
	struct bulla_msg_error error = {.id = bulla_bytes_str(bulla_rc_id(rc)), .retry_ms = retry_ms};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_msg_error_encode(&error, &w);
	send(ctx, peer, op, BULLA_ENGINE_REPLY | BULLA_ENGINE_ERROR, stream, bulla_bytes_of(memory, w.n));
}

static bulla_rc effect_append(void *ctx, bulla_bytes records, uint32_t count, bool urgent)
{
	struct sim *sim = ctx;
	struct sim_writer *w = &sim->host.w;

	if (count > 0)
		writer_submit(w, records, count);
	sim_at(sim, urgent ? 1 : 5000, (struct sim_event){.kind = EV_HOST_WRITE, .gen = sim->host.gen});
	return BULLA_OK;
}

static void effect_arm(void *ctx, int64_t due_ms)
{
	struct sim *sim = ctx;
	int64_t delay;

	sim->host.timer_gen++;
	if (due_ms == INT64_MAX)
		return;
	delay = (due_ms - SIM_BASE_MS) * 1000 - sim->now_us;
	sim_at(sim, delay > 0 ? delay : 1, (struct sim_event){
		.kind = EV_HOST_TIMER, .gen = sim->host.gen, .b = sim->host.timer_gen});
}

static struct sim_row *row_of(struct sim *sim, bulla_bytes id)
{
	for (size_t i = 0; i < sim->host.row_count; i++)
		if (bulla_bytes_eq(bulla_run_id_view(&sim->host.rows[i].run), id))
			return &sim->host.rows[i];
	return NULL;
}

/* A record, read back from the journal. */
static bulla_rc read_at(void *ctx, struct bulla_engine_place place, struct bulla_buf *memory, struct bulla_journal_record *ret)
{
	struct sim *sim = ctx;
	char name[BULLA_JOURNAL_NAME];
	const struct sim_file *file;
	bulla_rd r;

	bulla_journal_name(place.segment, name);
	file = sim_disk_file(&sim->host.w.disk, name);
	if (file == NULL || place.offset + place.bytes > file->size)
		return BULLA_E_CORRUPT;
	BULLA_TRY(bulla_buf_append(memory, bulla_bytes_of(file->now + place.offset, place.bytes)));
	r = bulla_rd_of(bulla_buf_view(memory));
	return bulla_journal_record_next(&r, ret);
}

static bulla_rc records(struct sim *sim, enum bulla_engine_question question, bulla_bytes arg, const struct sim_row *row,
	struct bulla_buf *ret)
{
	const struct bulla_spans_reader reader = {sim, read_at};
	struct bulla_rec_row record = {.run_no = 0};

	if (row == NULL && (question == BULLA_ENGINE_LOAD_RUN || question == BULLA_ENGINE_INDEX_RUN))
		return BULLA_E_NOT_FOUND;
	if (row != NULL)
		BULLA_TRY(bulla_rec_row_read(bulla_bytes_of(row->p, row->n), &record));
	return bulla_spans_answer(&reader, question, arg, &record, ret);
}

static bulla_rc effect_ask(void *ctx, uint64_t ticket, enum bulla_engine_question question, bulla_bytes arg)
{
	struct sim *sim = ctx;
	struct sim_event event = {.kind = EV_HOST_LOADED, .gen = sim->host.gen, .ticket = ticket, .a = BULLA_E_NOT_FOUND,
		.op = (uint8_t)question};
	const struct sim_row *row = row_of(sim, arg);
	bulla_run_id id = {{0}};
	BULLA_AUTO_BUF buf = {.max = 1 << 20};

	if (arg.n == sizeof(id.b))
		bulla_copy(id.b, arg.p, arg.n);
	sim_trace(sim, "librarian asked", question, truth_find(sim, &id), row != NULL);
	if (row != NULL && question == BULLA_ENGINE_FIND_RUN) {
		event.body = sim_copy(bulla_bytes_of(row->p, row->n));
		event.n = row->n;
		event.a = BULLA_OK;
	} else if (question != BULLA_ENGINE_FIND_RUN && question != BULLA_ENGINE_LIST_RUNS) {
		event.a = records(sim, question, arg, row, &buf);
		event.body = sim_copy(bulla_buf_view(&buf));
		event.n = buf.n;
		sim->loads += question == BULLA_ENGINE_LOAD_SPANS;
	}
	if (question == BULLA_ENGINE_LOAD_SPANS && sim_one_in(sim, 10)) {
		free(event.body);
		return BULLA_E_BUSY;
	}
	sim_at(sim, 50 + (int64_t)sim_rand(sim, 3000), event);
	return BULLA_OK;
}

static void store_object(struct sim *sim, bulla_bytes arg)
{
	struct sim_host *host = &sim->host;

	for (size_t i = 0; i < host->object_count; i++)
		if (bulla_bytes_eq(bulla_bytes_of(host->objects[i].p, host->objects[i].n), arg))
			return;
	if (host->object_count == SIM_OBJECTS)
		sim_fail(sim, "more objects than anybody makes", 0, 0);
	else
		host->objects[host->object_count++] = (struct sim_stored){sim_copy(arg), arg.n, host->row_count};
}

static bulla_rc effect_tell(void *ctx, enum bulla_engine_question question, bulla_bytes arg)
{
	struct sim *sim = ctx;
	struct bulla_rec_row record;
	struct sim_row *row;

	if (question == BULLA_ENGINE_PUT_OBJECT)
		store_object(sim, arg);
	if (question != BULLA_ENGINE_PUT_ROW || bulla_rec_row_read(arg, &record) != BULLA_OK)
		return BULLA_OK;
	row = row_of(sim, bulla_run_id_view(&record.run));
	sim_trace(sim, "librarian told", truth_find(sim, &record.run), row != NULL, 0);
	if (row != NULL)
		return BULLA_OK; /* one that is there already stays as it is */
	row = &sim->host.rows[sim->host.row_count++];
	row->run = record.run;
	row->p = sim_copy(arg);
	row->n = arg.n;
	return BULLA_OK;
}

static void effect_note(void *ctx, enum bulla_engine_note note, uint64_t number)
{
	struct sim *sim = ctx;

	sim_trace(sim, "host notes", note, number, 0);
	if (note == BULLA_NOTE_RUN_STUCK)
		sim->host.stuck++;
}

/* --- the process --- */

static void step(struct sim *sim, struct bulla_engine_input *input)
{
	bulla_rc rc;

	if (!sim->faults_over && sim_one_in(sim, 5000)) /* somebody sets the clock, as far as starts are taken */
		sim->host.skew_ms = (int64_t)sim_rand(sim, 20 * 3600000) - 200000;
	input->now_ms = sim_now_ms(sim);
	input->wall_ms = input->now_ms + sim->host.skew_ms;
	rc = bulla_engine_step(sim->host.engine, input);
	if (rc != BULLA_OK)
		sim_fail(sim, "the engine failed", (uint32_t)rc, input->kind);
}

static void turn_soon(struct sim *sim)
{
	if (sim->host.turn_due)
		return;
	sim->host.turn_due = true;
	sim_at(sim, (int64_t)sim_rand(sim, 30), (struct sim_event){.kind = EV_HOST_TURN, .gen = sim->host.gen});
}

static bulla_rc replay(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct sim *sim = arg;
	struct bulla_engine_place place = {(uint32_t)at.segment, (uint32_t)at.offset,
		(uint32_t)(BULLA_JOURNAL_RECORD_HEADER + record->body.n)};

	return bulla_engine_replay(sim->host.engine, record, place);
}

static void forget_rows(struct sim *sim, size_t keep)
{
	for (size_t i = keep; i < sim->host.row_count; i++)
		free(sim->host.rows[i].p);
	memset(&sim->host.rows[keep], 0, (sizeof(sim->host.rows) / sizeof(sim->host.rows[0]) - keep) * sizeof(sim->host.rows[0]));
	sim->host.row_count = keep;
	while (sim->host.object_count > 0 &&
		(keep == 0 || sim->host.objects[sim->host.object_count - 1].after_rows > keep))
		free(sim->host.objects[--sim->host.object_count].p);
	sim->host.row_sure = keep < sim->host.row_sure ? keep : sim->host.row_sure;
}

/* The catalogue after a crash: without its last transactions, or gone. Its marks: from where the journal is read. */
static uint64_t open_catalogue(struct sim *sim, size_t keep, uint64_t *ret_next_run_no, uint64_t *ret_known)
{
	struct sim_host *host = &sim->host;
	uint64_t from = 0;

	forget_rows(sim, keep);
	*ret_next_run_no = 1;
	*ret_known = 0;
	for (size_t i = 0; i < host->row_count; i++) {
		struct bulla_rec_row row;

		if (bulla_rec_row_read(bulla_bytes_of(host->rows[i].p, host->rows[i].n), &row) != BULLA_OK)
			abort();
		from = row.replay_lsn;
		*ret_known = row.closed_lsn;
		if (*ret_next_run_no <= row.run_no)
			*ret_next_run_no = row.run_no + 1;
	}
	host->row_sure = host->row_count;
	sim_trace(sim, "catalogue", host->row_count, from, *ret_next_run_no);
	return from;
}

/* The engine, from so many rows of the catalogue and the journal. *ret_known: the newest record that those rows know. */
static bool recover(struct sim *sim, size_t keep, uint64_t *ret_known)
{
	struct sim_host *host = &sim->host;
	struct bulla_engine_options options = {
		.residents = sim->residents, .closed_kept = 1 + (uint32_t)sim_rand(sim, 4), .now_ms = sim_now_ms(sim),
		.wall_ms = sim_now_ms(sim) + sim->host.skew_ms, .park_ms = sim->park_ms,
		.escrow_runs = sim->escrow_runs, .facts_max = sim->facts_max, .load_bytes = 1 + sim_rand(sim, 4000), .piece_bytes = 1 + sim_rand(sim, 4000)};
	struct bulla_engine_effects effects = {sim, effect_call, effect_reply, effect_event, effect_error, effect_append,
		effect_arm, effect_ask, effect_tell, effect_note};
	bulla_bytes approval = signed_approval();
	uint64_t from = open_catalogue(sim, keep, &options.next_run_no, ret_known);

	if (bulla_engine_new(&options, &effects, &host->engine) != BULLA_OK ||
		bulla_engine_manifest(host->engine, bulla_bytes_of(sim->manifest, sim->manifest_size), &approval,
			sim->is_signed ? 1 : 0) != BULLA_OK)
		sim_fail(sim, "the engine does not start", 0, 0);
	for (size_t i = 0; i < host->object_count; i++)
		if (bulla_engine_recall_object(host->engine, bulla_bytes_of(host->objects[i].p, host->objects[i].n)) != BULLA_OK)
			sim_fail(sim, "an object is not recalled", (uint32_t)i, 0);
	for (size_t i = 0; i < host->row_count; i++)
		bulla_engine_recall_run(host->engine, &host->rows[i].run);
	return writer_open(sim, &host->w, from, replay, sim);
}

static bulla_rc mark_open(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	bool *open = arg;

	(void)at;
	if (record->type == BULLA_HOST_STARTED || record->type == BULLA_HOST_CLOSED)
		open[record->run_no % 256] = record->type == BULLA_HOST_STARTED;
	return BULLA_OK;
}

/* Every run that began and did not end, by the whole journal, is in the engine. */
static void check_open(struct sim *sim)
{
	bool open[256] = {false};
	struct bulla_journal_recovery look = {
		.disk = &sim->host.w.disk.table, .each = mark_open, .arg = open, .keep_tail = true};
	struct bulla_engine_counts counts;
	struct bulla_journal_end end;
	uint32_t count = 0;

	if (bulla_journal_recover(&look, &end) != BULLA_OK)
		return;
	for (size_t i = 0; i < 256; i++)
		count += open[i];
	bulla_engine_count(sim->host.engine, &counts);
	if (counts.open != count)
		sim_fail(sim, "recovery misses runs that the journal has", counts.open, count);
}

/* As engine/host.c does: a catalogue that knows more than the journal has is made anew. */
void host_start(struct sim *sim)
{
	struct sim_host *host = &sim->host;
	size_t keep = host->row_sure + sim_rand(sim, host->row_count - host->row_sure + 1);
	uint64_t known;
	bool lost, good;

	host->alive = true;
	host->gen++;
	host->turn_due = false;
	decay(sim, &host->w, &lost);
	sim->lossy_host = sim->lossy_host || lost;
	good = recover(sim, sim_one_in(sim, 3) && !host->catalogue_stays ? 0 : keep, &known);
	host->catalogue_stays = false;
	if (good && known >= host->w.next_lsn && !sim->options.trust_catalogue) {
		sim_trace(sim, "catalogue newer", known, host->w.next_lsn, 0);
		host->engine = bulla_engine_free(host->engine);
		writer_close(&host->w);
		good = recover(sim, 0, &known);
	}
	if (!good) {
		host_crash(sim, true);
		return;
	}
	check_open(sim);
	sim_trace(sim, "host starts", host->w.next_lsn, host->gen, 0);
	sim_at(sim, 1, (struct sim_event){.kind = EV_HOST_FILL, .gen = host->gen});
	for (uint32_t i = 1; i < CONN_INTRUDER; i++)
		net_connect(sim, i);
	turn_soon(sim);
}

void host_crash(struct sim *sim, bool power)
{
	struct sim_host *host = &sim->host;

	if (!host->alive)
		return;
	sim_trace(sim, "host crashes", power, 0, 0);
	host->alive = false;
	host->gen++;
	sim->crashes++;
	for (uint32_t i = 1; i < CONN_INTRUDER; i++)
		net_cut(sim, i);
	host->engine = bulla_engine_free(host->engine);
	writer_close(&host->w);
	if (power)
		sim_disk_crash(&host->w.disk);
	else
		sim_disk_restart(&host->w.disk);
	sim_at(sim, 1000 + (int64_t)sim_rand(sim, 200000), (struct sim_event){.kind = EV_HOST_START});
}

void host_peer(struct sim *sim, uint32_t conn, bool up)
{
	struct bulla_engine_input input = {.kind = up ? BULLA_ENGINE_PEER_UP : BULLA_ENGINE_PEER_DOWN,
		.peer = net_peer(sim, conn),
		.role = conn == CONN_BROKER ? BULLA_ROLE_BROKER : conn < CONN_CLIENT(0) ? BULLA_ROLE_ENCLAVE : BULLA_ROLE_CLIENT};

	step(sim, &input);
	turn_soon(sim);
}

void host_deliver(struct sim *sim, uint32_t conn, const struct sim_event *event)
{
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_FRAME,
		.peer = net_peer(sim, conn),
		.op = event->op,
		.flags = event->flags,
		.stream = event->stream,
		.body = bulla_bytes_of(event->body, event->n)};

	step(sim, &input);
	turn_soon(sim);
}

/* The write came back: each submission is durable, in order. */
static void written(struct sim *sim)
{
	struct sim_writer *w = &sim->host.w;
	uint64_t offset = w->done.at.offset;

	writer_end(sim, w);
	if (w->ambush_after && w->ambush == 1) { /* between sync and what it says */
		w->ambush = 0;
		host_crash(sim, sim_one_in(sim, 2));
		return;
	}
	while (w->flying.count > 0) {
		struct sim_parcel *parcel = &w->flying.items[w->flying.head];
		struct bulla_engine_input input = {.kind = BULLA_ENGINE_DURABLE,
			.lsn = parcel->lsn,
			.place = {(uint32_t)w->done.at.segment, (uint32_t)offset, (uint32_t)parcel->n}};

		offset += parcel->n;
		w->backlog -= parcel->n;
		if (!sim->options.early_durable)
			step(sim, &input);
		free(parcel->p);
		w->flying.head = (w->flying.head + 1) % 512;
		w->flying.count--;
	}
	turn_soon(sim);
	sim_at(sim, w->queue.count > 0 ? 1 : WRITER_CONFIRM_US, (struct sim_event){.kind = EV_HOST_WRITE, .gen = sim->host.gen});
}

static void write(struct sim *sim)
{
	struct sim_writer *w = &sim->host.w;
	int64_t delay = 80 + (int64_t)sim_rand(sim, 80);
	bool began = false;

	if (w->busy || (w->queue.count + w->flying.count == 0 && !writer_confirms(sim, w)))
		return;
	if (!writer_begin(sim, w, &began)) {
		host_crash(sim, true);
		return;
	}
	if (!sim->faults_over && sim_one_in(sim, 50))
		delay += (int64_t)sim_rand(sim, 100000); /* the disk stalls */
	if (began && sim->options.early_durable)
		for (uint32_t i = 0; i < w->flying.count; i++) {
			const struct sim_parcel *parcel = &w->flying.items[(w->flying.head + i) % 512];
			struct bulla_engine_input input = {.kind = BULLA_ENGINE_DURABLE, .lsn = parcel->lsn,
				.place = {(uint32_t)w->done.at.segment, (uint32_t)w->done.at.offset, (uint32_t)parcel->n}};

			step(sim, &input);
		}
	if (began)
		fault_ambush(sim, w, 0, delay);
	sim_at(sim, began ? delay : 1000, (struct sim_event){
		.kind = began ? EV_HOST_WRITTEN : EV_HOST_WRITE, .gen = sim->host.gen});
	sim_at(sim, 10, (struct sim_event){.kind = EV_HOST_FILL, .gen = sim->host.gen});
}

static void turn(struct sim *sim)
{
	struct bulla_engine_input input = {
		.kind = BULLA_ENGINE_TURN, .backlog = sim->host.w.backlog, .has_room = !sim->host.w.full};

	sim->host.turn_due = false;
	step(sim, &input);
}

static void fill(struct sim *sim)
{
	bool more = false;

	if (!writer_fill(&sim->host.w, &more))
		host_crash(sim, true);
	else if (more || sim->host.w.full)
		sim_at(sim, more ? 20 : 100000, (struct sim_event){.kind = EV_HOST_FILL, .gen = sim->host.gen});
}

void host_event(struct sim *sim, struct sim_event *event)
{
	struct bulla_engine_input input = {.kind = BULLA_ENGINE_TIME};

	if (!sim->host.alive || event->gen != sim->host.gen)
		return;
	if (event->kind == EV_HOST_TURN)
		turn(sim);
	else if (event->kind == EV_HOST_WRITE)
		write(sim);
	else if (event->kind == EV_HOST_WRITTEN)
		written(sim);
	else if (event->kind == EV_HOST_FILL)
		fill(sim);
	else if (event->kind == EV_HOST_LOADED) {
		input.kind = BULLA_ENGINE_LOADED;
		input.ticket = event->ticket;
		input.question = (enum bulla_engine_question)event->op;
		input.rc = (bulla_rc)event->a;
		input.body = bulla_bytes_of(event->body, event->n);
		step(sim, &input);
		turn_soon(sim);
	} else if (event->b == sim->host.timer_gen) {
		step(sim, &input);
		turn_soon(sim);
	}
}
