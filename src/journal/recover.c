#include "journal/recover.h"

#include "base/limits.h"
#include "base/mem.h"
#include "journal/scan.h"

struct recovering {
	struct bulla_journal_recovery *ask;
	struct bulla_journal_window window;
	struct bulla_journal_list list;
	struct bulla_journal_end end; /* grows with what was read */
	bool store_known;
};

static bulla_rc damaged(struct recovering *state, uint64_t segment, uint64_t offset)
{
	state->ask->damaged = (struct bulla_journal_place){segment, offset, offset};
	return BULLA_FAIL(BULLA_E_CORRUPT, "a journal is damaged before its end");
}

/* Header of the segment that the window has open. */
static bulla_rc header_of(struct recovering *state, struct bulla_journal_segment *ret)
{
	struct bulla_journal_segment segment;
	bulla_bytes page;

	BULLA_TRY(bulla_journal_window_at(&state->window, 0, BULLA_JOURNAL_PAGE, &page));
	page.n = page.n < BULLA_JOURNAL_PAGE ? page.n : BULLA_JOURNAL_PAGE;
	BULLA_TRY(bulla_journal_segment_parse(page, &segment));
	if (segment.number != state->window.segment)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a segment has another segment's header");
	if (state->store_known && !bulla_bytes_eq(BULLA_BYTES_ARRAY(segment.store.b), BULLA_BYTES_ARRAY(state->end.store.b)))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a segment belongs to another store");
	*ret = segment;
	return BULLA_OK;
}

static bulla_rc each_record(struct recovering *state, const struct bulla_journal_batch *batch, uint64_t offset)
{
	bulla_rd r = bulla_rd_of(batch->body);

	for (uint64_t lsn = batch->lsn; bulla_rd_left(&r) > 0; lsn++) {
		struct bulla_journal_place at = {state->window.segment, offset + BULLA_JOURNAL_BATCH_HEADER + r.at, offset};
		struct bulla_journal_record record;

		BULLA_TRY(bulla_journal_record_next(&r, &record));
		record.lsn = lsn;
		if (lsn >= state->ask->from_lsn && state->ask->each != NULL)
			BULLA_TRY(state->ask->each(state->ask->arg, &record, at));
	}
	return BULLA_OK;
}

/* The batch that must come next, or BULLA_E_NOT_FOUND at the place where the good ones end. */
static bulla_rc next_batch(struct recovering *state, struct bulla_journal_batch *ret)
{
	struct bulla_journal_batch batch;
	bulla_digest chain;
	bulla_rc rc = bulla_journal_window_batch(&state->window, state->end.at.offset, &state->end.store, &batch);

	if (rc == BULLA_E_CORRUPT || rc == BULLA_E_NOT_FOUND)
		return BULLA_E_NOT_FOUND;
	BULLA_TRY(rc);
	batch.by_crc = state->end.by_crc;
	if (batch.lsn != state->end.lsn || bulla_journal_chain(&batch, &state->end.chain, &chain) != BULLA_OK)
		return BULLA_E_NOT_FOUND;
	if (!bulla_digest_eq(&chain, &batch.chain))
		return BULLA_E_NOT_FOUND;
	*ret = batch;
	return BULLA_OK;
}

/* Reads batches of the open segment from end.at on; stops at the first place that holds none. */
static bulla_rc read_batches(struct recovering *state)
{
	struct bulla_journal_batch batch;
	bulla_rc rc;

	while ((rc = next_batch(state, &batch)) == BULLA_OK) {
		BULLA_TRY(each_record(state, &batch, state->end.at.offset));
		state->end.lsn += batch.count;
		state->end.chain = batch.chain;
		state->end.at.offset += bulla_journal_padded(batch.bytes);
	}
	return rc == BULLA_E_NOT_FOUND ? BULLA_OK : rc;
}

/* Identity that batches must show; none while no header was read. */
static const bulla_journal_store *store_of(const struct recovering *state)
{
	return state->store_known ? &state->end.store : NULL;
}

/* Is there, in the open segment between from and to, a batch that was written after all that was read? */
static bulla_rc good_batch_in(struct recovering *state, uint64_t from, uint64_t to, bool *ret)
{
	bool found = false;

	for (; from + BULLA_JOURNAL_PAGE <= to && !found; from += BULLA_JOURNAL_PAGE) {
		struct bulla_journal_batch batch;
		bulla_rc rc = bulla_journal_window_batch(&state->window, from, store_of(state), &batch);

		if (rc == BULLA_OK)
			found = batch.lsn >= state->end.lsn;
		else if (rc != BULLA_E_CORRUPT && rc != BULLA_E_NOT_FOUND)
			return rc;
	}
	*ret = found;
	return BULLA_OK;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One write is a header page and a batch at most. */
#define WRITE_MAX (BULLA_JOURNAL_PAGE + (uint64_t)BULLA_MAX_JOURNAL_BATCH)

/* A segment's header and first batch are one write. Where the header is not there, a first batch that would go on where
 * reading stopped is a torn write: what follows it counts. In the open segment. */
static bulla_rc after_first(struct recovering *state, uint64_t *ret_from)
{
	struct bulla_journal_batch batch;
	bulla_rc rc = bulla_journal_window_batch(&state->window, BULLA_JOURNAL_PAGE, store_of(state), &batch);

	if (rc != BULLA_OK && rc != BULLA_E_CORRUPT && rc != BULLA_E_NOT_FOUND)
		return rc;
	*ret_from = BULLA_JOURNAL_PAGE;
	if (rc == BULLA_OK && batch.lsn == state->end.lsn)
		*ret_from += bulla_journal_padded(batch.bytes);
	return BULLA_OK;
}

/* Refuses when anything good follows the place where reading stopped: then that place is damage, not a torn tail. */
static bulla_rc refuse_damage(struct recovering *state, size_t index)
{
	uint64_t stop = state->end.at.offset;
	bool good = false;

	for (size_t i = index; i < state->list.count; i++) {
		uint64_t from = stop, bytes;
		struct bulla_journal_segment segment;
		bool first = i != index || stop == 0;
		bulla_rc rc;

		BULLA_TRY(bulla_journal_window_open(&state->window, state->list.numbers[i]));
		bytes = i == index ? state->window.bytes : least(state->window.bytes, 2 * WRITE_MAX);
		rc = first ? header_of(state, &segment) : BULLA_E_NOT_FOUND;
		if (rc != BULLA_OK && rc != BULLA_E_NOT_FOUND && rc != BULLA_E_CORRUPT)
			return rc;
		if (first)
			BULLA_TRY(after_first(state, &from));
		BULLA_TRY(good_batch_in(state, from, bytes, &good));
		if (rc == BULLA_OK || good)
			return damaged(state, state->list.numbers[index], stop);
	}
	return BULLA_OK;
}

/* Zeroes what a torn write left in the open segment from offset on. */
static bulla_rc zero_from(struct recovering *state, uint64_t offset)
{
	const struct bulla_disk *disk = state->ask->disk;
	uint64_t to = least(state->window.bytes, offset + WRITE_MAX), first = to, last = offset;

	for (uint64_t at = offset; at + BULLA_JOURNAL_PAGE <= to; at += BULLA_JOURNAL_PAGE) {
		bulla_bytes page;

		BULLA_TRY(bulla_journal_window_at(&state->window, at, BULLA_JOURNAL_PAGE, &page));
		if (bulla_journal_is_zero(bulla_bytes_of(page.p, BULLA_JOURNAL_PAGE)))
			continue;
		first = least(first, at);
		last = at + BULLA_JOURNAL_PAGE;
	}
	state->end.cut = state->end.cut || last > first;
	if (first >= last || state->ask->keep_tail)
		return BULLA_OK;
	state->window.n = 0;
	bulla_zero(state->window.p, BULLA_MAX_JOURNAL_BATCH);
	while (first < last) {
		size_t size = (size_t)least(last - first, BULLA_MAX_JOURNAL_BATCH);

		BULLA_TRY(disk->pwrite(disk->ctx, state->window.file, first, bulla_bytes_of(state->window.p, size), true));
		first += size;
	}
	return BULLA_OK;
}

/* Cuts the torn tail: in the last segment from the stop on, and a torn first write in those that follow. */
static bulla_rc cut_tail(struct recovering *state, size_t index)
{
	for (size_t i = index; i < state->list.count; i++) {
		BULLA_TRY(bulla_journal_window_open(&state->window, state->list.numbers[i]));
		BULLA_TRY(zero_from(state, i == index ? state->end.at.offset : 0));
	}
	return BULLA_OK;
}

/* Where reading begins: the last segment that begins at or before from_lsn; list.count when no header is good. */
static bulla_rc find_start(struct recovering *state, size_t *ret_index, struct bulla_journal_segment *ret)
{
	size_t start = state->list.count;

	for (size_t i = 0; i < state->list.count; i++) {
		struct bulla_journal_segment segment;
		bulla_rc rc;

		BULLA_TRY(bulla_journal_window_open(&state->window, state->list.numbers[i]));
		rc = header_of(state, &segment);
		if (rc == BULLA_E_NOT_FOUND || rc == BULLA_E_CORRUPT)
			break;
		BULLA_TRY(rc);
		if (start != state->list.count && segment.first_lsn > state->ask->from_lsn)
			break;
		start = i;
		*ret = segment;
		state->end.store = segment.store;
		state->store_known = true;
	}
	*ret_index = start;
	return BULLA_OK;
}

/* Does the next segment go on exactly where reading stopped? */
static bulla_rc follows(struct recovering *state, size_t next, bool *ret)
{
	struct bulla_journal_segment segment;
	bulla_rc rc;

	*ret = false;
	if (next >= state->list.count || state->list.numbers[next] != state->list.numbers[next - 1] + 1)
		return BULLA_OK;
	BULLA_TRY(bulla_journal_window_open(&state->window, state->list.numbers[next]));
	rc = header_of(state, &segment);
	if (rc == BULLA_E_NOT_FOUND || rc == BULLA_E_CORRUPT)
		return BULLA_OK;
	BULLA_TRY(rc);
	*ret = segment.first_lsn == state->end.lsn && bulla_digest_eq(&segment.chain, &state->end.chain);
	return BULLA_OK;
}

static bulla_rc read_segments(struct recovering *state, size_t *index)
{
	bool more = true;

	while (more) {
		state->end.at = (struct bulla_journal_place){state->list.numbers[*index], BULLA_JOURNAL_PAGE, 0};
		BULLA_TRY(bulla_journal_window_open(&state->window, state->end.at.segment));
		BULLA_TRY(read_batches(state));
		BULLA_TRY(follows(state, *index + 1, &more));
		*index += more ? 1 : 0;
	}
	return BULLA_OK;
}

/* Highest number of the files that follow segment `index` without a gap. */
static uint64_t last_made(const struct recovering *state, size_t index)
{
	while (index + 1 < state->list.count && state->list.numbers[index + 1] == state->list.numbers[index] + 1)
		index++;
	return state->list.numbers[index];
}

/* Is the beginning of what was asked for here? Segments that were made ahead, alone, are no empty store either. */
static bool has_beginning(const struct recovering *state, size_t index, const struct bulla_journal_segment *first)
{
	uint64_t from_lsn = state->ask->from_lsn > 1 ? state->ask->from_lsn : 1;

	return index == state->list.count ? state->list.numbers[0] == 1 : first->first_lsn <= from_lsn;
}

static bulla_rc recover(struct recovering *state)
{
	struct bulla_journal_segment first = {0};
	size_t index = 0;

	BULLA_TRY(bulla_journal_list_read(state->ask->disk, &state->list));
	if (state->list.count == 0)
		return BULLA_OK;
	BULLA_TRY(find_start(state, &index, &first));
	if (!has_beginning(state, index, &first))
		return damaged(state, state->list.numbers[0], 0);
	state->end.first_segment = state->list.numbers[0];
	if (index == state->list.count) { /* never written to, or its first write was torn */
		index = 0;
	} else {
		state->end.lsn = first.first_lsn;
		state->end.chain = first.chain;
		BULLA_TRY(read_segments(state, &index));
	}
	BULLA_TRY(refuse_damage(state, index));
	BULLA_TRY(cut_tail(state, index));
	state->end.last_made = last_made(state, index);
	return BULLA_OK;
}

bulla_rc bulla_journal_recover(struct bulla_journal_recovery *recovery, struct bulla_journal_end *ret)
{
	struct recovering state = {.ask = recovery, .end = {.lsn = 1, .by_crc = recovery->by_crc}};
	bulla_rc rc;

	BULLA_TRY(bulla_journal_window_init(&state.window, recovery->disk));
	rc = recover(&state);
	bulla_journal_window_done(&state.window);
	bulla_free(state.list.numbers);
	if (rc == BULLA_OK)
		*ret = state.end;
	return rc;
}

bulla_rc bulla_journal_read_back(const struct bulla_disk *disk, struct bulla_journal_place at, struct bulla_buf *buf,
	struct bulla_journal_record *ret)
{
	uint8_t header[BULLA_JOURNAL_RECORD_HEADER];
	char name[BULLA_JOURNAL_NAME];
	bulla_rd r = bulla_rd_of(BULLA_BYTES_ARRAY(header));
	uint32_t bytes = 0;
	size_t got = 0;
	int file = -1;
	bulla_rc rc;

	bulla_journal_name(at.segment, name);
	BULLA_TRY(disk->open(disk->ctx, name, false, &file));
	rc = disk->pread(disk->ctx, file, at.offset, header, sizeof(header), &got);
	if (rc == BULLA_OK)
		rc = got == sizeof(header) ? bulla_rd_u32le(&r, &bytes) : BULLA_E_TRUNCATED;
	if (rc == BULLA_OK && bytes > BULLA_MAX_JOURNAL_BATCH)
		rc = BULLA_FAIL(BULLA_E_CORRUPT, "a record has an impossible length");
	bulla_buf_clear(buf);
	if (rc == BULLA_OK)
		rc = bulla_buf_reserve(buf, sizeof(header) + bytes);
	if (rc == BULLA_OK)
		rc = disk->pread(disk->ctx, file, at.offset, buf->p, sizeof(header) + bytes, &buf->n);
	disk->close(disk->ctx, file);
	if (rc != BULLA_OK)
		return rc;
	r = bulla_rd_of(bulla_buf_view(buf));
	return bulla_journal_record_next(&r, ret);
}
