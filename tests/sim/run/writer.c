#include "sim.h"

#include <assert.h>
#include <stdlib.h>

static void queue_push(struct sim_queue *queue, struct sim_parcel parcel)
{
	assert(queue->count < sizeof(queue->items) / sizeof(queue->items[0]));
	queue->items[(queue->head + queue->count++) % 512] = parcel;
}

static struct sim_parcel queue_pop(struct sim_queue *queue)
{
	struct sim_parcel parcel = queue->items[queue->head];

	queue->head = (queue->head + 1) % 512;
	queue->count--;
	return parcel;
}

bool writer_open(struct sim *sim, struct sim_writer *w, uint64_t from_lsn, bulla_journal_each each, void *arg)
{
	struct bulla_journal_recovery recovery = {.disk = &w->disk.table, .each = each, .arg = arg, .from_lsn = from_lsn,
		.by_crc = w == &sim->host.w};
	struct bulla_journal_end end;
	bulla_rc rc = bulla_journal_recover(&recovery, &end);

	if (rc != BULLA_OK) {
		if (!w->disk.dead)
			sim_fail(sim, "a store cannot be recovered", (uint32_t)rc, 0);
		return false;
	}
	if (end.at.segment == 0)
		end.store.b[0] = 1 + (uint8_t)sim_rand(sim, 255);
	if (bulla_journal_writer_init(&w->writer, &w->disk.table, &end) != BULLA_OK)
		abort();
	if (bulla_journal_fill_init(&w->fill, &w->disk.table, SIM_SEGMENT, &end) != BULLA_OK) {
		bulla_journal_writer_done(&w->writer);
		return false;
	}
	w->next_lsn = end.lsn;
	w->open = true;
	w->busy = w->full = w->confirming = false;
	w->written_us = sim->now_us;
	w->backlog = 0;
	return true;
}

static void drop(struct sim_queue *queue)
{
	while (queue->count > 0)
		free(queue_pop(queue).p);
}

void writer_close(struct sim_writer *w)
{
	drop(&w->queue);
	drop(&w->flying);
	if (w->open) {
		bulla_journal_writer_done(&w->writer);
		bulla_journal_fill_done(&w->fill);
	}
	w->open = w->busy = false;
}

void writer_submit(struct sim_writer *w, bulla_bytes records, uint32_t count)
{
	queue_push(&w->queue, (struct sim_parcel){sim_copy(records), records.n, count, w->next_lsn});
	w->next_lsn += count;
	w->backlog += records.n;
}

bool writer_begin(struct sim *sim, struct sim_writer *w, bool *ret_began)
{
	bulla_rc rc = BULLA_OK;

	*ret_began = false;
	bulla_journal_writer_made(&w->writer, w->fill.made);
	while (w->queue.count > 0) {
		const struct sim_parcel *next = &w->queue.items[w->queue.head];

		rc = bulla_journal_writer_add(&w->writer, bulla_bytes_of(next->p, next->n), next->count);
		if (rc != BULLA_OK)
			break;
		queue_push(&w->flying, queue_pop(&w->queue));
	}
	rc = bulla_journal_writer_flush(&w->writer, sim_now_ms(sim), &w->done);
	if (rc == BULLA_E_FULL)
		return true; /* waits for a spare */
	if (rc != BULLA_OK) {
		if (!w->disk.dead)
			sim_fail(sim, "a journal's write failed", (uint32_t)rc, 0);
		return false;
	}
	*ret_began = w->busy = true;
	w->confirming = w->flying.count == 0;
	return true;
}

bool writer_confirms(const struct sim *sim, const struct sim_writer *w)
{
	return !w->busy && w->queue.count + w->flying.count == 0 && w->sure_lsn < w->writer.end.lsn &&
		sim->now_us >= w->written_us + WRITER_CONFIRM_US;
}

void writer_end(struct sim *sim, struct sim_writer *w)
{
	sim_disk_complete(&w->disk);
	w->busy = false;
	w->written_us = sim->now_us;
	if (w->confirming)
		w->sure_lsn = w->writer.end.lsn;
}

bool writer_fill(struct sim_writer *w, bool *ret_more)
{
	bulla_rc rc = bulla_journal_fill_step(&w->fill, w->writer.end.at.segment + BULLA_JOURNAL_SPARES);

	w->full = rc == BULLA_E_FULL;
	*ret_more = rc == BULLA_OK;
	return rc == BULLA_OK || rc == BULLA_E_FULL || rc == BULLA_E_NOT_FOUND;
}
