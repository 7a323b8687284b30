#define _GNU_SOURCE
#include "journal/thread.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/ring.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define LAZY_US 5000      /* a record that nobody waits for rides along at most so long */
#define CONFIRM_US 100000 /* idle so long: an empty batch confirms the last acknowledged one */
#define RETRY_MS 1000     /* no space for a spare: try again */
#define KEPT_MAX 262144 /* bytes that a parcel keeps for its next use */
#define SPARE_WAIT_MS 5   /* the batch waits for a spare */

/* One submission on its way to the writer and back. */
struct parcel {
	struct bulla_buf records;
	struct bulla_journal_done done;
	struct parcel *next; /* in the owner's free list */
	bulla_rc rc;
	bool urgent, stop;
};

struct bulla_journal {
	const struct bulla_clock *clock;
	/* the owner's */
	struct parcel *free_list;
	uint64_t next_lsn;
	size_t bytes_out;
	uint32_t parcels_out;
	bool failed;
	/* the writer's */
	struct bulla_journal_writer writer;
	struct parcel *gathered[BULLA_MAX_JOURNAL_SUBMISSIONS];
	uint32_t gathered_count;
	bool gathered_urgent, unconfirmed, stopping;
	int64_t since_us; /* of the oldest gathered parcel, or of the last flush */
	/* the filler's */
	struct bulla_journal_fill fill;
	/* between them */
	struct bulla_ring to_writer, to_owner, to_fill;
	_Atomic uint64_t made, active, retire_below;
	_Atomic bool fill_full, fill_failed, fill_stop;
	pthread_t writer_thread, fill_thread;
	bool writer_runs, fill_runs;
};

/* --- writer thread --- */

static void hand_back(struct bulla_journal *journal, bulla_rc rc, const struct bulla_journal_done *done)
{
	uint64_t offset = done->at.offset;

	for (uint32_t i = 0; i < journal->gathered_count; i++) {
		struct parcel *parcel = journal->gathered[i];

		parcel->rc = rc;
		parcel->done.chain = done->chain;
		parcel->done.at = (struct bulla_journal_place){done->at.segment, offset, done->at.batch};
		offset += parcel->done.bytes;
		/* never busy: the ring holds as many as there are parcels */
		if (bulla_ring_put(&journal->to_owner, parcel) != BULLA_OK)
			journal->stopping = true;
	}
	journal->gathered_count = 0;
	journal->gathered_urgent = false;
}

static void wake_fill(struct bulla_journal *journal)
{
	/* full: it has been told often enough */
	if (bulla_ring_put(&journal->to_fill, journal) != BULLA_OK)
		return;
}

/* Flushes; waits here for a spare when the disk is full: what is gathered is neither lost nor acknowledged. */
static bulla_rc flush(struct bulla_journal *journal)
{
	struct bulla_journal_done done = {0};
	uint64_t active = journal->writer.end.at.segment;
	bulla_rc rc;

	for (;;) {
		bulla_journal_writer_made(&journal->writer, atomic_load(&journal->made));
		rc = bulla_journal_writer_flush(&journal->writer, bulla_wall_ms(journal->clock), &done);
		if (rc != BULLA_E_FULL || journal->stopping || atomic_load(&journal->fill_failed))
			break;
		(void)poll(NULL, 0, SPARE_WAIT_MS);
	}
	if (journal->writer.end.at.segment != active) {
		atomic_store(&journal->active, journal->writer.end.at.segment);
		wake_fill(journal);
	}
	journal->unconfirmed = rc == BULLA_OK && done.count > 0;
	journal->since_us = bulla_mono_us(journal->clock);
	hand_back(journal, rc, &done);
	return rc;
}

static bulla_rc gather(struct bulla_journal *journal, struct parcel *parcel)
{
	bulla_bytes records = bulla_buf_view(&parcel->records);
	bulla_rc rc = bulla_journal_writer_add(&journal->writer, records, parcel->done.count);

	if (rc == BULLA_E_BUSY) {
		BULLA_TRY(flush(journal));
		rc = bulla_journal_writer_add(&journal->writer, records, parcel->done.count);
	}
	if (journal->gathered_count == 0)
		journal->since_us = bulla_mono_us(journal->clock);
	journal->gathered[journal->gathered_count++] = parcel;
	journal->gathered_urgent = journal->gathered_urgent || parcel->urgent;
	return rc;
}

/* How long to sleep, in ms; -1: until woken. */
static int patience(const struct bulla_journal *journal)
{
	int64_t limit = journal->gathered_count > 0 ? LAZY_US : CONFIRM_US;
	int64_t left = journal->since_us + limit - bulla_mono_us(journal->clock);

	if (journal->gathered_count == 0 && !journal->unconfirmed)
		return -1;
	return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

/* Takes all that is ready. */
static bulla_rc take_ready(struct bulla_journal *journal)
{
	struct parcel *parcel;

	while ((parcel = bulla_ring_take(&journal->to_writer)) != NULL) {
		journal->stopping = journal->stopping || parcel->stop;
		if (!parcel->stop)
			BULLA_TRY(gather(journal, parcel));
	}
	return BULLA_OK;
}

static bulla_rc write_turn(struct bulla_journal *journal)
{
	struct pollfd wake = {.fd = journal->to_writer.wake_fd, .events = POLLIN};
	int wait;

	BULLA_TRY(take_ready(journal));
	wait = patience(journal);
	if (journal->gathered_urgent || journal->stopping || wait == 0) {
		if (journal->gathered_count > 0 || journal->unconfirmed)
			return flush(journal);
		return BULLA_OK;
	}
	(void)poll(&wake, 1, wait);
	bulla_ring_quiet(&journal->to_writer);
	return BULLA_OK;
}

/* After a failure: everything that still comes is handed back as failed, until the owner stops us. */
static void refuse_all(struct bulla_journal *journal)
{
	struct bulla_journal_done none = {0};

	hand_back(journal, BULLA_E_IO, &none);
	while (!journal->stopping) {
		struct parcel *parcel = bulla_ring_wait(&journal->to_writer);

		journal->stopping = parcel->stop;
		journal->gathered[0] = parcel;
		journal->gathered_count = parcel->stop ? 0 : 1;
		hand_back(journal, BULLA_E_IO, &none);
	}
}

static void *writer_main(void *arg)
{
	struct bulla_journal *journal = arg;
	bulla_rc rc = BULLA_OK;

	while (rc == BULLA_OK && !journal->stopping)
		rc = write_turn(journal);
	while (rc == BULLA_OK && journal->unconfirmed)
		rc = flush(journal);
	if (rc != BULLA_OK)
		refuse_all(journal);
	return NULL;
}

/* --- filler thread --- */

static void retire(struct bulla_journal *journal, uint64_t *kept)
{
	const struct bulla_disk *disk = journal->fill.disk;
	uint64_t below = atomic_load(&journal->retire_below);

	for (; *kept < below; (*kept)++) {
		char name[BULLA_JOURNAL_NAME];

		bulla_journal_name(*kept, name);
		/* a file that stays behind is only space: recovery reads it again, retirement comes again */
		if (disk->unlink(disk->ctx, name) != BULLA_OK)
			return;
	}
}

static void *fill_main(void *arg)
{
	struct bulla_journal *journal = arg;
	struct pollfd wake = {.fd = journal->to_fill.wake_fd, .events = POLLIN};
	uint64_t kept = journal->writer.end.first_segment;

	while (!atomic_load(&journal->fill_stop)) {
		bulla_rc rc = bulla_journal_fill_step(&journal->fill, atomic_load(&journal->active) + BULLA_JOURNAL_SPARES);

		atomic_store(&journal->made, journal->fill.made);
		atomic_store(&journal->fill_full, rc == BULLA_E_FULL);
		retire(journal, &kept);
		if (rc == BULLA_OK)
			continue;
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

/* --- the owner's thread --- */

static bulla_rc new_parcel(struct parcel **ret)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(struct parcel), &p));
	*ret = p;
	bulla_buf_init(&(*ret)->records, BULLA_MAX_JOURNAL_BATCH);
	return BULLA_OK;
}

static void free_parcel(struct parcel *parcel)
{
	bulla_buf_done(&parcel->records);
	bulla_free(parcel);
}

static bulla_rc take_parcel(struct bulla_journal *journal, struct parcel **ret)
{
	if (journal->free_list == NULL)
		return new_parcel(ret);
	*ret = journal->free_list;
	journal->free_list = (*ret)->next;
	(*ret)->records.n = 0; /* nothing secret goes into a journal: no need to wipe */
	(*ret)->urgent = (*ret)->stop = false;
	return BULLA_OK;
}

static void give_parcel(struct bulla_journal *journal, struct parcel *parcel)
{
	if (parcel->records.cap > KEPT_MAX)
		bulla_buf_done(&parcel->records);
	parcel->next = journal->free_list;
	journal->free_list = parcel;
}

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
	BULLA_TRY(bulla_ring_init(&journal->to_writer, 2 * BULLA_MAX_JOURNAL_SUBMISSIONS));
	BULLA_TRY(bulla_ring_init(&journal->to_owner, 2 * BULLA_MAX_JOURNAL_SUBMISSIONS));
	return bulla_ring_init(&journal->to_fill, 4);
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
		journal->writer_runs = pthread_create(&journal->writer_thread, NULL, writer_main, journal) == 0;
		journal->fill_runs = pthread_create(&journal->fill_thread, NULL, fill_main, journal) == 0;
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

static void stop_threads(struct bulla_journal *journal)
{
	struct parcel stop = {.stop = true};

	if (journal->writer_runs) {
		while (bulla_ring_put(&journal->to_writer, &stop) != BULLA_OK)
			(void)poll(NULL, 0, 1);
		pthread_join(journal->writer_thread, NULL);
	}
	atomic_store(&journal->fill_stop, true);
	if (journal->fill_runs) {
		wake_fill(journal);
		pthread_join(journal->fill_thread, NULL);
	}
}

void bulla_journal_close(struct bulla_journal *journal)
{
	struct parcel *parcel;

	if (journal == NULL)
		return;
	stop_threads(journal);
	while (journal->to_owner.slots != NULL && (parcel = bulla_ring_take(&journal->to_owner)) != NULL)
		free_parcel(parcel);
	while ((parcel = journal->free_list) != NULL) {
		journal->free_list = parcel->next;
		free_parcel(parcel);
	}
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

bulla_rc bulla_journal_submit(struct bulla_journal *journal, bulla_bytes records, uint32_t count, bool urgent,
	uint64_t *ret_lsn)
{
	struct parcel *parcel = NULL;
	bulla_rc rc;

	if (journal->failed)
		return BULLA_FAIL(BULLA_E_IO, "the journal has failed");
	if (journal->parcels_out == BULLA_MAX_JOURNAL_SUBMISSIONS || journal->bytes_out + records.n > BULLA_MAX_JOURNAL_BACKLOG)
		return BULLA_FAIL(BULLA_E_BUSY, "the journal's backlog is full");
	if (records.n > BULLA_MAX_JOURNAL_BATCH - BULLA_JOURNAL_BATCH_HEADER)
		return BULLA_FAIL(BULLA_E_LIMIT, "records do not fit a batch");
	BULLA_TRY(take_parcel(journal, &parcel));
	parcel->done = (struct bulla_journal_done){.lsn = journal->next_lsn, .count = count, .bytes = records.n};
	parcel->urgent = urgent;
	rc = bulla_buf_append(&parcel->records, records);
	if (rc == BULLA_OK)
		rc = bulla_ring_put(&journal->to_writer, parcel);
	if (rc != BULLA_OK) {
		give_parcel(journal, parcel);
		return rc;
	}
	*ret_lsn = journal->next_lsn;
	journal->next_lsn += count;
	journal->bytes_out += records.n;
	journal->parcels_out++;
	return BULLA_OK;
}

bulla_rc bulla_journal_next(struct bulla_journal *journal, struct bulla_journal_done *ret)
{
	struct parcel *parcel = bulla_ring_take(&journal->to_owner);
	bulla_rc rc;

	if (parcel == NULL) { /* quiet first, look again: a wake-up is never lost */
		bulla_ring_quiet(&journal->to_owner);
		parcel = bulla_ring_take(&journal->to_owner);
	}
	if (parcel == NULL)
		return journal->failed ? BULLA_E_IO : BULLA_E_AGAIN;
	rc = parcel->rc;
	journal->bytes_out -= parcel->done.bytes;
	journal->parcels_out--;
	if (rc == BULLA_OK)
		*ret = parcel->done;
	else
		journal->failed = true;
	give_parcel(journal, parcel);
	return rc == BULLA_OK ? BULLA_OK : BULLA_FAIL(BULLA_E_IO, "a journal write failed");
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

bulla_rc bulla_journal_retire(struct bulla_journal *journal, uint64_t number)
{
	if (number > atomic_load(&journal->active))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "the active segment cannot be retired");
	atomic_store(&journal->retire_below, number);
	return BULLA_OK;
}
