#include "engine/librarian.h"

#include <assert.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/ring.h"
#include "crypto/hash.h"
#include "engine/spans.h"
#include "journal/recover.h"

#define RING 4096u  /* places in each ring */
#define INSIDE 2048 /* notes in the rings or in the thread: so neither ring is ever full */
#define TRANSACTION 256
#define ENOUGH 256 /* notes worth a transaction: what it costs beside its rows is the pages that it touches */
#define RUN_BYTES_MAX ((size_t)24 << 20) /* of an answer: a row, or an index, of a run with as many facts as there may be */
#define LIST_ROWS_MAX 1024
#define DAY_MS ((int64_t)86400000)
#define AGAIN_MS 500 /* no space: what was told is tried again */
#define TRIES 20     /* another error: after so many it is said */
#define ANSWER_KEPT 262144 /* bytes of memory for answers that a note keeps */
#define NOTE_BYTES 512 /* rows fit; what is larger has memory of its own */
#define END_QUESTION 255

/* A message both ways. Small ones are used again. */
struct note {
	struct note *next;
	uint64_t ticket;
	uint8_t question;
	bulla_rc rc;
	size_t size;
	void *large; /* bytes when they do not fit */
	struct bulla_buf answer;
	uint8_t bytes[NOTE_BYTES];
};

struct bulla_librarian {
	struct bulla_ring in, out; /* out also carries used notes back: question 0 */
	pthread_t thread;
	struct bulla_catalogue *catalogue;
	const struct bulla_disk *disk;
	/* of the owner's thread */
	struct note *free, *waiting, *waiting_end, *answered;
	unsigned inside, gathered;
	bool given_up; /* the thread's: a transaction was; later rows would hide that these are missing */
};

static bulla_bytes note_view(const struct note *note)
{
	return bulla_bytes_of(note->large ? note->large : note->bytes, note->size);
}

/* --- in the librarian's thread --- */

static bulla_rc put_row(struct bulla_catalogue *catalogue, bulla_bytes bytes)
{
	struct bulla_rec_row row;
	struct bulla_catalogue_row columns;

	BULLA_TRY(bulla_rec_row_read(bytes, &row));
	columns = (struct bulla_catalogue_row){.run_no = row.run_no,
		.replay_lsn = row.replay_lsn,
		.closed_lsn = row.closed_lsn,
		.run_id = bulla_run_id_view(&row.run),
		.workflow = bulla_bytes_digest(&row.workflow),
		.epoch = row.epoch,
		.state = row.closed.state,
		.outcome = row.closed.outcome,
		.started_ms = row.closed.started_ms,
		.ended_ms = row.closed.ended_ms,
		.steps_done = row.closed.steps_done,
		.steps = row.closed.steps,
		.row = bytes};
	return bulla_catalogue_put_row(catalogue, &columns);
}

static bulla_rc put_object(struct bulla_catalogue *catalogue, bulla_bytes bytes)
{
	struct bulla_msg_object object;
	bulla_digest digest;

	/* maker (32), then the message */
	if (bytes.n < sizeof(digest.b))
		return BULLA_FAIL(BULLA_E_FORMAT, "an object without its maker");
	BULLA_TRY(bulla_msg_object_decode(bulla_bytes_of(bytes.p + 32, bytes.n - 32), &object));
	bulla_sha256(bytes, &digest);
	return bulla_catalogue_put_object(catalogue, &digest, (uint8_t)object.kind, 0, bytes);
}

bulla_rc bulla_librarian_apply(struct bulla_catalogue *catalogue, enum bulla_engine_question question, bulla_bytes arg)
{
	return question == BULLA_ENGINE_PUT_ROW ? put_row(catalogue, arg) : put_object(catalogue, arg);
}

static bulla_rc read_at(void *ctx, struct bulla_engine_place place, struct bulla_buf *memory, struct bulla_journal_record *ret)
{
	const struct bulla_librarian *l = ctx;

	return bulla_journal_read_back(l->disk, (struct bulla_journal_place){place.segment, place.offset}, memory, ret);
}

/* What is asked about a run's records; row NULL: they are named in the question. */
static bulla_rc answer_records(struct bulla_librarian *l, const struct note *note, const struct bulla_rec_row *row,
	struct bulla_buf *ret)
{
	const struct bulla_spans_reader reader = {l, read_at};

	return bulla_spans_answer(&reader, (enum bulla_engine_question)note->question, note_view(note), row, ret);
}

static bulla_rc answer_run(struct bulla_librarian *l, const struct note *note, struct bulla_buf *ret)
{
	BULLA_AUTO_BUF row_bytes = {.max = RUN_BYTES_MAX};
	struct bulla_rec_row row;

	BULLA_TRY(bulla_catalogue_find(l->catalogue, note_view(note), &row_bytes));
	BULLA_TRY(bulla_rec_row_read(bulla_buf_view(&row_bytes), &row));
	return answer_records(l, note, &row, ret);
}

static bulla_rc answer_row(const struct bulla_rec_row *row, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes bytes;

	bulla_rec_row_write(&w, row);
	return bulla_wr_end(&w, &bytes);
}

struct listing {
	struct bulla_msg_list want;
	struct bulla_buf *rows; /* encoded run_row messages, one behind the other */
	size_t ends[LIST_ROWS_MAX], count;
};

static bulla_rc list_row(void *arg, bulla_bytes bytes)
{
	struct listing *l = arg;
	struct bulla_rec_row row;
	struct bulla_msg_run_row m;
	bulla_wr w = bulla_wr_buf(l->rows);
	size_t limit = l->want.limit == 0 || l->want.limit > LIST_ROWS_MAX ? LIST_ROWS_MAX : (size_t)l->want.limit;

	if (l->count == limit)
		return BULLA_E_AGAIN;
	BULLA_TRY(bulla_rec_row_read(bytes, &row));
	if ((l->want.states != 0 && (l->want.states >> row.closed.state & 1) == 0) ||
		(l->want.workflow.n > 0 && !bulla_bytes_eq(l->want.workflow, bulla_bytes_digest(&row.workflow))) ||
		(l->want.prefix.n > 0 && !bulla_run_id_has_name(&row.run, l->want.prefix)))
		return BULLA_OK;
	m = (struct bulla_msg_run_row){.run_id = bulla_run_id_view(&row.run),
		.workflow = bulla_bytes_digest(&row.workflow),
		.state = row.closed.state,
		.outcome = row.closed.outcome,
		.steps_done = row.closed.steps_done,
		.steps = row.closed.steps,
		.started_ms = (uint64_t)row.closed.started_ms,
		.ended_ms = (uint64_t)row.closed.ended_ms,
		.epoch = row.epoch};
	bulla_msg_run_row_encode(&m, &w);
	l->ends[l->count++] = l->rows->n;
	return w.rc;
}

static bulla_rc list_runs(struct bulla_librarian *l, bulla_bytes arg, struct bulla_buf *ret)
{
	struct listing listing = {.count = 0};
	bulla_bytes items[LIST_ROWS_MAX], body;
	struct bulla_buf rows;
	struct bulla_msg_listing m;
	bulla_wr w = bulla_wr_buf(ret);
	bulla_rc rc;

	BULLA_TRY(bulla_msg_list_decode(arg, &listing.want));
	bulla_buf_init(&rows, RUN_BYTES_MAX);
	listing.rows = &rows;
	rc = bulla_catalogue_rows(l->catalogue, list_row, &listing);
	for (size_t i = 0; i < listing.count; i++) {
		size_t begin = i ? listing.ends[i - 1] : 0;

		items[i] = bulla_bytes_of(rows.p + begin, listing.ends[i] - begin);
	}
	m.runs = bulla_pb_list_of(items, listing.count);
	bulla_msg_listing_encode(&m, &w);
	bulla_buf_done(&rows);
	return rc != BULLA_OK ? rc : bulla_wr_end(&w, &body);
}

static void handle(struct bulla_librarian *l, struct note *note)
{
	bulla_bytes arg = note_view(note);

	note->answer.n = 0;
	switch (note->question) {
	case BULLA_ENGINE_FIND_RUN:
		note->rc = bulla_catalogue_find(l->catalogue, arg, &note->answer);
		break;
	case BULLA_ENGINE_LOAD_RUN:
	case BULLA_ENGINE_INDEX_RUN:
		note->rc = answer_run(l, note, &note->answer);
		break;
	case BULLA_ENGINE_LOAD_SPANS:
	case BULLA_ENGINE_SUM_SPANS:
		note->rc = answer_records(l, note, NULL, &note->answer);
		break;
	case BULLA_ENGINE_LIST_RUNS:
		note->rc = list_runs(l, arg, &note->answer);
		break;
	default:
		break;
	}
}

static void give_back(struct bulla_librarian *l, struct note *note)
{
	bulla_rc rc = bulla_ring_put(&l->out, note);

	assert(rc == BULLA_OK);
	(void)rc;
}

static bulla_rc apply_one(struct bulla_librarian *l, struct note *note)
{
	bulla_rc rc = bulla_catalogue_begin(l->catalogue);

	if (rc == BULLA_OK)
		rc = bulla_librarian_apply(l->catalogue, (enum bulla_engine_question)note->question, note_view(note));
	if (rc != BULLA_E_FORMAT)
		return rc;
	note->rc = rc; /* its own fault: the others are good */
	return BULLA_OK;
}

/* What was told and is not in the catalogue yet, in order. No space: everything of it is kept and tried again. */
struct told {
	struct note *first, **end;
	unsigned count, tries; /* tries: that failed */
};

static void try_later(struct bulla_librarian *l, struct told *told)
{
	bulla_catalogue_rollback(l->catalogue);
	told->tries++;
}

static void take_told(struct bulla_librarian *l, struct told *told, struct note *note)
{
	note->next = NULL;
	note->rc = BULLA_OK;
	*told->end = note;
	told->end = &note->next;
	told->count++;
	if (told->tries == 0 && apply_one(l, note) != BULLA_OK)
		try_later(l, told);
}

static bulla_rc apply_again(struct bulla_librarian *l, struct told *told)
{
	for (struct note *note = told->first; note; note = note->next)
		BULLA_TRY(apply_one(l, note));
	return BULLA_OK;
}

/* Ends a transaction; the notes go back as one chain, so that the loop is woken once. An error, when it is given up, stands
 * in the first. */
static void end_transaction(struct bulla_librarian *l, struct told *told, bool last)
{
	bulla_rc rc = told->tries > 0 ? apply_again(l, told) : BULLA_OK;

	if (rc == BULLA_OK)
		rc = bulla_catalogue_commit(l->catalogue);
	if (rc != BULLA_OK)
		try_later(l, told);
	if (rc != BULLA_OK && !last && (rc == BULLA_E_FULL || told->tries < TRIES))
		return;
	told->first->rc = rc != BULLA_OK ? rc : told->first->rc;
	l->given_up = l->given_up || rc != BULLA_OK;
	give_back(l, told->first);
	*told = (struct told){.end = &told->first};
}

/* The next note; NULL: there is none, and what was told is to be written now. */
static struct note *next_note(struct bulla_librarian *l, const struct told *told)
{
	if (told->count == 0)
		return bulla_ring_wait(&l->in);
	if (told->tries == 0 && (told->count >= TRANSACTION || bulla_ring_count(&l->in) == 0))
		return NULL;
	return told->tries > 0 ? bulla_ring_wait_for(&l->in, AGAIN_MS) : bulla_ring_take(&l->in);
}

/* A run that was told of and is not in the catalogue yet. */
static bool find_told(const struct told *told, bulla_bytes run_id, struct bulla_rec_row *ret)
{
	for (const struct note *note = told->first; note; note = note->next)
		if (note->question == BULLA_ENGINE_PUT_ROW && bulla_rec_row_read(note_view(note), ret) == BULLA_OK &&
			bulla_bytes_eq(bulla_run_id_view(&ret->run), run_id))
			return true;
	return false;
}

static void answer(struct bulla_librarian *l, const struct told *told, struct note *note)
{
	struct bulla_rec_row row;

	handle(l, note);
	if (note->rc != BULLA_E_NOT_FOUND || told->tries == 0 || !find_told(told, note_view(note), &row))
		return;
	if (note->question == BULLA_ENGINE_FIND_RUN)
		note->rc = answer_row(&row, &note->answer);
	else
		note->rc = answer_records(l, note, &row, &note->answer);
}

static void *librarian_main(void *arg)
{
	struct bulla_librarian *l = arg;
	struct told told = {.end = &told.first};

	for (;;) {
		struct note *note = next_note(l, &told);

		if (!note) {
			end_transaction(l, &told, false);
			continue;
		}
		if (note->question == END_QUESTION) {
			if (told.count > 0)
				end_transaction(l, &told, true); /* the journal knows the rest */
			give_back(l, note);
			return NULL;
		}
		if (note->question >= BULLA_ENGINE_PUT_ROW && !l->given_up) {
			take_told(l, &told, note);
			continue;
		}
		if (note->question >= BULLA_ENGINE_PUT_ROW) {
			note->next = NULL;
			note->rc = BULLA_E_IO;
			give_back(l, note);
			continue;
		}
		answer(l, &told, note);
		give_back(l, note);
	}
}

/* --- in the owner's thread --- */

bulla_rc bulla_librarian_start(struct bulla_catalogue *catalogue, const struct bulla_disk *disk,
	struct bulla_librarian **ret)
{
	struct bulla_librarian *l;
	bulla_rc rc;
	void *p;

	BULLA_TRY(bulla_alloc(1, sizeof(*l), &p));
	l = p;
	l->catalogue = catalogue;
	l->disk = disk;
	rc = bulla_ring_init(&l->in, RING);
	if (rc == BULLA_OK) {
		rc = bulla_ring_init(&l->out, RING);
		if (rc == BULLA_OK && pthread_create(&l->thread, NULL, librarian_main, l) != 0) {
			bulla_ring_done(&l->out);
			rc = BULLA_FAIL(BULLA_E_IO, "the librarian's thread cannot be made");
		}
		if (rc != BULLA_OK)
			bulla_ring_done(&l->in);
	}
	if (rc != BULLA_OK) {
		bulla_free(l);
		return rc;
	}
	*ret = l;
	return BULLA_OK;
}

static bulla_rc note_new(struct bulla_librarian *l, uint64_t ticket, uint8_t question, bulla_bytes arg, struct note **ret)
{
	struct note *note = l->free;
	void *p;

	if (note) {
		l->free = note->next;
	} else {
		BULLA_TRY(bulla_alloc(1, sizeof(*note), &p));
		note = p;
		bulla_buf_init(&note->answer, RUN_BYTES_MAX);
	}
	note->next = NULL;
	note->ticket = ticket;
	note->question = question;
	note->size = arg.n;
	note->large = NULL;
	if (arg.n > NOTE_BYTES) {
		bulla_rc rc = bulla_alloc(1, arg.n, &note->large);

		if (rc != BULLA_OK) {
			note->next = l->free;
			l->free = note;
			return rc;
		}
	}
	bulla_copy(note->large ? note->large : note->bytes, arg.p, arg.n);
	*ret = note;
	return BULLA_OK;
}

static void note_free(struct bulla_librarian *l, struct note *note)
{
	bulla_free(note->large);
	note->large = NULL;
	if (note->answer.cap > ANSWER_KEPT)
		bulla_buf_done(&note->answer);
	note->next = l->free;
	l->free = note;
}

static void chain_free(struct bulla_librarian *l, struct note *note)
{
	while (note) {
		struct note *next = note->next;

		l->inside--;
		note_free(l, note);
		note = next;
	}
}

/* What did not fit goes first; order is kept. */
static void push(struct bulla_librarian *l)
{
	while (l->waiting && l->inside < INSIDE) {
		struct note *next = l->waiting->next;

		l->waiting->next = NULL; /* the chain of the other thread begins with it */
		if (bulla_ring_put(&l->in, l->waiting) != BULLA_OK) {
			l->waiting->next = next;
			return;
		}
		l->inside++;
		l->waiting = next;
		if (!next)
			l->waiting_end = NULL;
	}
}

static void gather(struct bulla_librarian *l, struct note *note)
{
	if (l->waiting_end)
		l->waiting_end->next = note;
	else
		l->waiting = note;
	l->waiting_end = note;
	l->gathered++;
}

void bulla_librarian_hand_over(struct bulla_librarian *l)
{
	l->gathered = 0;
	push(l);
}

bool bulla_librarian_holds(const struct bulla_librarian *l)
{
	return l->waiting != NULL;
}

static void send(struct bulla_librarian *l, struct note *note)
{
	gather(l, note);
	bulla_librarian_hand_over(l);
}

bulla_rc bulla_librarian_ask(struct bulla_librarian *l, uint64_t ticket, enum bulla_engine_question question,
	bulla_bytes arg)
{
	struct note *note;

	BULLA_TRY(note_new(l, ticket, (uint8_t)question, arg, &note));
	send(l, note);
	return BULLA_OK;
}

bulla_rc bulla_librarian_tell(struct bulla_librarian *l, enum bulla_engine_question question, bulla_bytes arg)
{
	struct note *note;

	BULLA_TRY(note_new(l, 0, (uint8_t)question, arg, &note));
	gather(l, note);
	if (l->gathered >= ENOUGH)
		bulla_librarian_hand_over(l);
	return BULLA_OK;
}

int bulla_librarian_fd(const struct bulla_librarian *l)
{
	return l->out.wake_fd;
}

bulla_rc bulla_librarian_next(struct bulla_librarian *l, struct bulla_librarian_answer *ret)
{
	struct note *note;

	if (l->answered)
		note_free(l, bulla_take(&l->answered));
	bulla_ring_quiet(&l->out);
	while ((note = bulla_ring_take(&l->out)) != NULL) {
		if (note->question >= BULLA_ENGINE_PUT_ROW) {
			bulla_rc rc = note->rc;

			chain_free(l, note);
			if (rc != BULLA_OK && rc != BULLA_E_FORMAT)
				return BULLA_FAIL(BULLA_E_IO, "the catalogue cannot be written");
			continue;
		}
		*ret = (struct bulla_librarian_answer){.ticket = note->ticket,
			.question = (enum bulla_engine_question)note->question,
			.rc = note->rc,
			.body = bulla_buf_view(&note->answer)};
		l->answered = note;
		l->inside--;
		return BULLA_OK;
	}
	return BULLA_E_AGAIN;
}

struct bulla_librarian *bulla_librarian_stop(struct bulla_librarian *l)
{
	struct note *end, *note;
	struct bulla_librarian_answer answer;

	if (!l)
		return NULL;
	if (note_new(l, 0, END_QUESTION, (bulla_bytes){NULL, 0}, &end) == BULLA_OK) {
		send(l, end);
		while ((note = bulla_ring_wait(&l->out)) != end) {
			chain_free(l, note);
			push(l);
		}
		note_free(l, end);
		pthread_join(l->thread, NULL);
	}
	while (bulla_librarian_next(l, &answer) == BULLA_OK)
		;
	while (l->free) {
		note = l->free;
		l->free = note->next;
		bulla_buf_done(&note->answer);
		bulla_free(note);
	}
	bulla_ring_done(&l->in);
	bulla_ring_done(&l->out);
	bulla_catalogue_close(l->catalogue);
	bulla_free(l);
	return NULL;
}
