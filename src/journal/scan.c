#include "journal/scan.h"

#include "base/limits.h"
#include "base/mem.h"
#include "journal/recover.h"

bulla_rc bulla_journal_window_init(struct bulla_journal_window *window, const struct bulla_disk *disk)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(BULLA_MAX_JOURNAL_BATCH, 1, &p));
	*window = (struct bulla_journal_window){.disk = disk, .file = -1, .p = p};
	return BULLA_OK;
}

void bulla_journal_window_done(struct bulla_journal_window *window)
{
	if (window->file >= 0)
		window->disk->close(window->disk->ctx, window->file);
	bulla_free(window->p);
	*window = (struct bulla_journal_window){.file = -1};
}

bulla_rc bulla_journal_window_open(struct bulla_journal_window *window, uint64_t segment)
{
	char name[BULLA_JOURNAL_NAME];

	if (window->file >= 0)
		window->disk->close(window->disk->ctx, window->file);
	window->file = -1;
	window->n = 0;
	window->segment = segment;
	bulla_journal_name(segment, name);
	BULLA_TRY(window->disk->open(window->disk->ctx, name, false, &window->file));
	BULLA_TRY(window->disk->size(window->disk->ctx, window->file, &window->bytes));
	window->bytes -= window->bytes % BULLA_JOURNAL_PAGE;
	return BULLA_OK;
}

/* Fills the window from offset on. */
static bulla_rc slide(struct bulla_journal_window *window, uint64_t offset, size_t size)
{
	size_t got = 0;

	window->n = 0;
	while (got < size) {
		size_t more = 0;

		BULLA_TRY(window->disk->pread(window->disk->ctx, window->file, offset + got, window->p + got, size - got,
			&more));
		if (more == 0)
			break;
		got += more;
	}
	bulla_zero(window->p + got, size - got);
	window->from = offset;
	window->n = size;
	return BULLA_OK;
}

bulla_rc bulla_journal_window_at(struct bulla_journal_window *window, uint64_t offset, size_t want, bulla_bytes *ret)
{
	uint64_t left = offset < window->bytes ? window->bytes - offset : 0;
	size_t size = left < BULLA_MAX_JOURNAL_BATCH ? (size_t)left : BULLA_MAX_JOURNAL_BATCH;

	if (want > size)
		want = size;
	if (window->n == 0 || offset < window->from || offset + want > window->from + window->n)
		BULLA_TRY(slide(window, offset, size));
	*ret = bulla_bytes_of(window->p + (offset - window->from), window->n - (size_t)(offset - window->from));
	return BULLA_OK;
}

bulla_rc bulla_journal_window_batch(struct bulla_journal_window *window, uint64_t offset,
	const bulla_journal_store *store, struct bulla_journal_batch *ret)
{
	struct bulla_journal_batch batch = {0};
	bulla_bytes bytes;
	bulla_rc rc;

	BULLA_TRY(bulla_journal_window_at(window, offset, BULLA_JOURNAL_PAGE, &bytes));
	if (bytes.n < BULLA_JOURNAL_PAGE)
		return BULLA_E_NOT_FOUND;
	rc = bulla_journal_batch_parse(bytes, store, &batch);
	if (rc == BULLA_E_TRUNCATED) {
		BULLA_TRY(bulla_journal_window_at(window, offset, batch.bytes, &bytes));
		rc = bulla_journal_batch_parse(bytes, store, &batch);
	}
	if (rc == BULLA_E_TRUNCATED)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a batch passes the end of its segment");
	if (rc == BULLA_OK)
		*ret = batch;
	return rc;
}

static bulla_rc list_grow(struct bulla_journal_list *list)
{
	size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
	void *p = NULL;

	if (capacity > BULLA_MAX_JOURNAL_SEGMENTS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a store has too many segments");
	BULLA_TRY(bulla_alloc(capacity, sizeof(uint64_t), &p));
	bulla_copy(p, list->numbers, list->count * sizeof(uint64_t));
	bulla_free(list->numbers);
	list->numbers = p;
	list->capacity = capacity;
	return BULLA_OK;
}

/* Insertion keeps the list ascending; folders come in nearly any order and hold few files. */
static bulla_rc list_add(void *arg, const char *name)
{
	struct bulla_journal_list *list = arg;
	uint64_t number = 0;
	size_t at;

	if (bulla_journal_name_parse(name, &number) != BULLA_OK)
		return BULLA_OK; /* another file: not ours to judge */
	if (list->count == list->capacity)
		BULLA_TRY(list_grow(list));
	for (at = list->count; at > 0 && list->numbers[at - 1] > number; at--)
		list->numbers[at] = list->numbers[at - 1];
	list->numbers[at] = number;
	list->count++;
	return BULLA_OK;
}

bulla_rc bulla_journal_list_read(const struct bulla_disk *disk, struct bulla_journal_list *ret)
{
	struct bulla_journal_list list = {0};
	bulla_rc rc = disk->list(disk->ctx, list_add, &list);

	if (rc != BULLA_OK) {
		bulla_free(list.numbers);
		return BULLA_FAIL(rc, "a store's folder cannot be listed");
	}
	*ret = list;
	return BULLA_OK;
}

static bulla_rc scan_batch(const struct bulla_journal_batch *batch, struct bulla_journal_place at, bulla_journal_each each,
	void *arg)
{
	bulla_rd r = bulla_rd_of(batch->body);

	for (uint64_t lsn = batch->lsn; bulla_rd_left(&r) > 0; lsn++) {
		struct bulla_journal_record record;

		at.offset = at.batch + BULLA_JOURNAL_BATCH_HEADER + r.at;
		BULLA_TRY(bulla_journal_record_next(&r, &record));
		record.lsn = lsn;
		BULLA_TRY(each(arg, &record, at));
	}
	return BULLA_OK;
}

static bulla_rc scan(struct bulla_journal_window *window, struct bulla_journal_place at, struct bulla_journal_place to,
	bulla_journal_each each, void *arg)
{
	while (at.segment < to.segment || (at.segment == to.segment && at.batch <= to.batch)) {
		struct bulla_journal_batch batch;
		bulla_rc rc;

		if (window->segment != at.segment)
			BULLA_TRY(bulla_journal_window_open(window, at.segment));
		rc = bulla_journal_window_batch(window, at.batch, NULL, &batch);
		if (rc == BULLA_E_NOT_FOUND && at.segment < to.segment) {
			at = (struct bulla_journal_place){at.segment + 1, 0, BULLA_JOURNAL_PAGE};
			continue;
		}
		BULLA_TRY(rc);
		BULLA_TRY(scan_batch(&batch, at, each, arg));
		at.batch += bulla_journal_padded(batch.bytes);
	}
	return BULLA_OK;
}

bulla_rc bulla_journal_scan(const struct bulla_disk *disk, struct bulla_journal_place from, struct bulla_journal_place to,
	bulla_journal_each each, void *arg)
{
	struct bulla_journal_window window;
	bulla_rc rc;

	BULLA_TRY(bulla_journal_window_init(&window, disk));
	rc = scan(&window, from, to, each, arg);
	bulla_journal_window_done(&window);
	return rc;
}
