#define _GNU_SOURCE
#include "journal/thread.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/ring.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define LAZY_US 5000       /* a record that nobody waits for rides along at most so long */
#define CONFIRM_US 100000  /* idle so long: an empty batch confirms the last acknowledged one */
#define INLINE_US 500      /* a disk that syncs in less is not worth two wake-ups of threads: the owner waits for it, ... */
#define INLINE_BYTES 16384 /* ... but for small batches only: with many runs under way its loop has better to do */
#define RETRY_MS 1000      /* no space for a spare: try again */
#define PACE_MS 2          /* between steps of the filler while a spare is there: batches share the disk with it */
#define KEPT_MAX 262144    /* bytes that the buffer of waiting records keeps for its next use */
#define SPARE_WAIT_MS 5    /* the batch waits for a spare */

/* What the writer thread is told, and tells. */
struct order {
	struct bulla_journal_done done;
	bulla_rc rc;
	bool stop;
};

/* Submissions are in order: durable ones that the owner has not taken, those of the batch, those that wait. */
struct bulla_journal {
	const struct bulla_clock *clock;
	struct bulla_journal_writer writer; /* the owner's; the writer thread's from lend() until the order is back */
	struct order order;
	/* the owner's */
	struct bulla_journal_done submissions[BULLA_MAX_JOURNAL_SUBMISSIONS];
	uint32_t head, durable_count, batch_count, waiting_count;
	struct bulla_buf waiting; /* records that the batch has no room for, or that came while the thread writes */
	uint64_t next_lsn;
	size_t bytes_out;
	int64_t since_us; /* of the oldest gathered record, or of the last write */
	int64_t took_us;  /* by the last write */
	bool batch_urgent, waiting_urgent, unconfirmed, lent, failed, told;
	/* the filler's */
	struct bulla_journal_fill fill;
	/* between them */
	struct bulla_ring to_writer, to_owner, to_fill;
	_Atomic uint64_t made, active;
	_Atomic bool fill_full, fill_failed, fill_stop, writer_stop;
	pthread_t writer_thread, fill_thread;
	bool writer_runs, fill_runs;
};

static void wake_fill(struct bulla_journal *journal)
{
	/* full: it has been told often enough */
	if (bulla_ring_put(&journal->to_fill, journal) != BULLA_OK)
		return;
}

/* Writes the batch. wait: for a spare when the disk is full; what is gathered is neither lost nor acknowledged. */
static bulla_rc write_batch(struct bulla_journal *journal, bool wait, struct bulla_journal_done *ret)
{
	uint64_t active = journal->writer.end.at.segment;
	int64_t began_us = bulla_mono_us(journal->clock);
	bulla_rc rc;

	for (;;) {
		bulla_journal_writer_made(&journal->writer, atomic_load(&journal->made));
		rc = bulla_journal_writer_flush(&journal->writer, bulla_wall_ms(journal->clock), ret);
		if (rc != BULLA_E_FULL || !wait || atomic_load(&journal->writer_stop) || atomic_load(&journal->fill_failed))
			break;
		(void)poll(NULL, 0, SPARE_WAIT_MS);
	}
	if (journal->writer.end.at.segment != active) {
		atomic_store(&journal->active, journal->writer.end.at.segment);
		wake_fill(journal);
	}
	journal->took_us = bulla_mono_us(journal->clock) - began_us;
	return rc;
}

/* --- writer thread --- */

static void *writer_main(void *arg)
{
	struct bulla_journal *journal = arg;
	struct order *order;

	while (!(order = bulla_ring_wait(&journal->to_writer))->stop) {
		order->rc = write_batch(journal, true, &order->done);
		/* never busy: there is one order */
		if (bulla_ring_put(&journal->to_owner, order) != BULLA_OK)
			break;
	}
	return NULL;
}

/* --- filler thread --- */

static void *fill_main(void *arg)
{
	struct bulla_journal *journal = arg;
	struct pollfd wake = {.fd = journal->to_fill.wake_fd, .events = POLLIN};

	while (!atomic_load(&journal->fill_stop)) {
		bulla_rc rc = bulla_journal_fill_step(&journal->fill, atomic_load(&journal->active) + BULLA_JOURNAL_SPARES);

		atomic_store(&journal->made, journal->fill.made);
		atomic_store(&journal->fill_full, rc == BULLA_E_FULL);
		if (rc == BULLA_OK) {
			if (journal->fill.made > atomic_load(&journal->active))
				(void)poll(NULL, 0, PACE_MS);
			continue;
		}
		if (rc != BULLA_E_FULL && rc != BULLA_E_NOT_FOUND) {
			atomic_store(&journal->fill_failed, true);
			break;
		}
		(void)poll(&wake, 1, rc == BULLA_E_FULL ? RETRY_MS : -1);
		bulla_ring_quiet(&journal->to_fill);
		while (bulla_ring_take(&journal->to_fill) != NULL)
			;
	}
	return NULL;
}

/* --- the owner's thread: batches --- */

static uint32_t held(const struct bulla_journal *journal)
{
	return journal->durable_count + journal->batch_count + journal->waiting_count;
}

static struct bulla_journal_done *submission(struct bulla_journal *journal, uint32_t index)
{
	return &journal->submissions[(journal->head + index) % BULLA_MAX_JOURNAL_SUBMISSIONS];
}

static void note_gathered(struct bulla_journal *journal, bool urgent)
{
	if (journal->batch_count++ == 0)
		journal->since_us = bulla_mono_us(journal->clock);
	journal->batch_urgent = journal->batch_urgent || urgent;
}

/* Moves what waits into the batch, as much as fits. */
static bulla_rc gather_waiting(struct bulla_journal *journal)
{
	size_t used = 0;

	while (journal->waiting_count > 0) {
		const struct bulla_journal_done *next = submission(journal, journal->durable_count + journal->batch_count);
		bulla_rc rc = bulla_journal_writer_add(&journal->writer,
			bulla_bytes_of(journal->waiting.p + used, next->bytes), next->count);

		if (rc == BULLA_E_BUSY)
			break;
		BULLA_TRY(rc);
		used += next->bytes;
		journal->waiting_count--;
		note_gathered(journal, journal->waiting_urgent);
	}
	if (journal->waiting_count > 0) {
		bulla_buf_consume(&journal->waiting, used);
		return BULLA_OK;
	}
	journal->waiting_urgent = false;
	journal->waiting.n = 0; /* nothing secret goes into a journal: no need to wipe */
	if (journal->waiting.cap > KEPT_MAX)
		bulla_buf_done(&journal->waiting);
	return BULLA_OK;
}

/* The batch is written, or has failed for good. */
static void settle(struct bulla_journal *journal, bulla_rc rc, const struct bulla_journal_done *done)
{
	uint64_t offset = done->at.offset;

	if (rc != BULLA_OK) {
		journal->failed = true;
		return;
	}
	for (; journal->batch_count > 0; journal->batch_count--) {
		struct bulla_journal_done *one = submission(journal, journal->durable_count++);

		one->chain = done->chain;
		one->at = (struct bulla_journal_place){done->at.segment, offset, done->at.batch};
		offset += one->bytes;
	}
	journal->batch_urgent = false;
	journal->unconfirmed = done->count > 0;
	journal->since_us = bulla_mono_us(journal->clock);
	if (gather_waiting(journal) != BULLA_OK)
		journal->failed = true;
}

static void lend(struct bulla_journal *journal)
{
	journal->lent = true;
	/* never busy: there is one order */
	if (bulla_ring_put(&journal->to_writer, &journal->order) != BULLA_OK)
		journal->failed = true;
}

static void take_back(struct bulla_journal *journal)
{
	struct order *order = journal->lent ? bulla_ring_take(&journal->to_owner) : NULL;

	if (order == NULL)
		return;
	journal->lent = false;
	settle(journal, order->rc, &order->done);
}

/* When the batch is to be written, in µs of the clock. */
static int64_t write_at(const struct bulla_journal *journal)
{
	if (journal->batch_count > 0)
		return journal->batch_urgent ? 0 : journal->since_us + LAZY_US;
	return journal->unconfirmed ? journal->since_us + CONFIRM_US : INT64_MAX;
}

void bulla_journal_turn(struct bulla_journal *journal)
{
	struct bulla_journal_done done = {0};
	bulla_rc rc;

	take_back(journal);
	while (!journal->lent && !journal->failed && write_at(journal) <= bulla_mono_us(journal->clock)) {
		if (journal->took_us > INLINE_US || journal->writer.body > INLINE_BYTES) {
			lend(journal);
			return;
		}
		rc = write_batch(journal, false, &done);
		if (rc == BULLA_E_FULL)
			lend(journal);
		else
			settle(journal, rc, &done);
	}
}

int64_t bulla_journal_due(const struct bulla_journal *journal)
{
	if (journal->durable_count > 0 || (journal->failed && !journal->told))
		return 0;
	return journal->lent || journal->failed ? INT64_MAX : write_at(journal);
}

/* --- the owner's thread: life --- */

/* The store's first segment is made here: small, and nothing can be written without it. */
static bulla_rc make_first(struct bulla_journal *journal)
{
	while (journal->fill.made <= journal->writer.end.at.segment)
		BULLA_TRY(bulla_journal_fill_step(&journal->fill, journal->writer.end.at.segment + 1));
	return BULLA_OK;
}

static bulla_rc prepare(struct bulla_journal *journal, const struct bulla_journal_options *options)
{
	uint64_t bytes = options->segment_bytes != 0 ? options->segment_bytes : BULLA_MAX_JOURNAL_SEGMENT;

	journal->clock = options->clock;
	journal->next_lsn = options->end.lsn;
	BULLA_TRY(bulla_journal_writer_init(&journal->writer, options->disk, &options->end));
	BULLA_TRY(bulla_journal_fill_init(&journal->fill, options->disk, bytes, &options->end));
	if (options->end.at.segment == 0)
		BULLA_TRY(make_first(journal));
	atomic_store(&journal->made, journal->fill.made);
	atomic_store(&journal->active, options->end.at.segment);
	/* what recovery found is confirmed at once: damage to it is then never taken for a torn tail */
	journal->unconfirmed = options->end.lsn > 1;
	journal->since_us = bulla_mono_us(journal->clock) - CONFIRM_US;
	bulla_buf_init(&journal->waiting, BULLA_MAX_JOURNAL_BACKLOG);
	BULLA_TRY(bulla_ring_init(&journal->to_writer, 4));
	BULLA_TRY(bulla_ring_init(&journal->to_owner, 4));
	return bulla_ring_init(&journal->to_fill, 4);
}

/* Signals are the owner's loop's: a thread that had them open would take SIGTERM and end the program in the middle. */
static bool start_thread(pthread_t *ret, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	bool runs;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	runs = pthread_create(ret, NULL, run, arg) == 0;
	return pthread_sigmask(SIG_SETMASK, &before, NULL) == 0 && runs;
}

bulla_rc bulla_journal_open(const struct bulla_journal_options *options, struct bulla_journal **ret)
{
	void *p = NULL;
	struct bulla_journal *journal;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(struct bulla_journal), &p));
	journal = p;
	journal->writer.file = journal->fill.file = -1;
	rc = prepare(journal, options);
	if (rc == BULLA_OK) {
		journal->writer_runs = start_thread(&journal->writer_thread, writer_main, journal);
		journal->fill_runs = start_thread(&journal->fill_thread, fill_main, journal);
		if (!journal->writer_runs || !journal->fill_runs)
			rc = BULLA_FAIL(BULLA_E_IO, "the journal's threads cannot be started");
	}
	if (rc != BULLA_OK) {
		bulla_journal_close(journal);
		return rc;
	}
	*ret = journal;
	return BULLA_OK;
}

/* The writer goes first: what it holds is written, unless it waits for a disk that is full. */
static void stop_threads(struct bulla_journal *journal)
{
	struct order stop = {.stop = true};

	atomic_store(&journal->writer_stop, true);
	if (journal->writer_runs) {
		while (bulla_ring_put(&journal->to_writer, &stop) != BULLA_OK)
			(void)poll(NULL, 0, 1);
		pthread_join(journal->writer_thread, NULL);
		take_back(journal);
	}
	atomic_store(&journal->fill_stop, true);
	if (journal->fill_runs) {
		wake_fill(journal);
		pthread_join(journal->fill_thread, NULL);
	}
}

/* Everything that was submitted, and the batch that confirms it. */
static void write_rest(struct bulla_journal *journal)
{
	struct bulla_journal_done done = {0};

	while (journal->writer_runs && !journal->failed && (journal->batch_count > 0 || journal->unconfirmed))
		settle(journal, write_batch(journal, false, &done), &done);
}

void bulla_journal_close(struct bulla_journal *journal)
{
	if (journal == NULL)
		return;
	stop_threads(journal);
	write_rest(journal);
	bulla_buf_done(&journal->waiting);
	bulla_ring_done(&journal->to_writer);
	bulla_ring_done(&journal->to_owner);
	bulla_ring_done(&journal->to_fill);
	bulla_journal_writer_done(&journal->writer);
	bulla_journal_fill_done(&journal->fill);
	bulla_free(journal);
}

int bulla_journal_fd(const struct bulla_journal *journal)
{
	return journal->to_owner.wake_fd;
}

void bulla_journal_woken(struct bulla_journal *journal)
{
	bulla_ring_quiet(&journal->to_owner);
	take_back(journal);
}

/* --- the owner's thread: submissions --- */

/* Into the batch, or behind what waits for one. */
static bulla_rc gather(struct bulla_journal *journal, bulla_bytes records, uint32_t count, bool urgent)
{
	bulla_rc rc = BULLA_E_BUSY;

	if (!journal->lent && journal->waiting_count == 0)
		rc = bulla_journal_writer_add(&journal->writer, records, count);
	if (rc == BULLA_OK)
		note_gathered(journal, urgent);
	if (rc != BULLA_E_BUSY)
		return rc;
	BULLA_TRY(bulla_buf_append(&journal->waiting, records));
	journal->waiting_count++;
	journal->waiting_urgent = journal->waiting_urgent || urgent;
	return BULLA_OK;
}

bulla_rc bulla_journal_submit(struct bulla_journal *journal, bulla_bytes records, uint32_t count, bool urgent,
	uint64_t *ret_lsn)
{
	uint32_t index = held(journal);

	if (journal->failed)
		return BULLA_FAIL(BULLA_E_IO, "the journal has failed");
	if (count == 0) {
		journal->batch_urgent = journal->batch_urgent || (urgent && journal->batch_count > 0);
		journal->waiting_urgent = journal->waiting_urgent || (urgent && journal->waiting_count > 0);
		return BULLA_OK;
	}
	if (index == BULLA_MAX_JOURNAL_SUBMISSIONS || journal->bytes_out + records.n > BULLA_MAX_JOURNAL_BACKLOG)
		return BULLA_FAIL(BULLA_E_BUSY, "the journal's backlog is full");
	if (records.n > BULLA_MAX_JOURNAL_BATCH - BULLA_JOURNAL_BATCH_HEADER)
		return BULLA_FAIL(BULLA_E_LIMIT, "records do not fit a batch");
	BULLA_TRY(gather(journal, records, count, urgent));
	*submission(journal, index) = (struct bulla_journal_done){
		.lsn = journal->next_lsn, .count = count, .bytes = records.n, .urgent = urgent};
	*ret_lsn = journal->next_lsn;
	journal->next_lsn += count;
	journal->bytes_out += records.n;
	return BULLA_OK;
}

bulla_rc bulla_journal_next(struct bulla_journal *journal, struct bulla_journal_done *ret)
{
	take_back(journal);
	if (journal->durable_count > 0) {
		*ret = *submission(journal, 0);
		journal->head = (journal->head + 1) % BULLA_MAX_JOURNAL_SUBMISSIONS;
		journal->durable_count--;
		journal->bytes_out -= ret->bytes;
		return BULLA_OK;
	}
	if (!journal->failed)
		return BULLA_E_AGAIN;
	journal->told = true;
	return BULLA_FAIL(BULLA_E_IO, "a journal write failed");
}

uint64_t bulla_journal_lsn(const struct bulla_journal *journal)
{
	return journal->next_lsn;
}

size_t bulla_journal_backlog(const struct bulla_journal *journal)
{
	return journal->bytes_out;
}

bool bulla_journal_has_room(const struct bulla_journal *journal)
{
	return !atomic_load(&journal->fill_full) && !atomic_load(&journal->fill_failed);
}
