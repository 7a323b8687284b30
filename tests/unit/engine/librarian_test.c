#include "test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/host.h"
#include "engine/librarian.h"
#include "engine/records.h"
#include "io/sys.h"
#include "journal/thread.h"

static char folder[] = "/tmp/bulla-librarian-XXXXXX";

static int up(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int down(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void wait_answer(struct bulla_librarian *l, struct bulla_librarian_answer *ret)
{
	bulla_rc rc;

	while ((rc = bulla_librarian_next(l, ret)) == BULLA_E_AGAIN) {
		struct pollfd pfd = {.fd = bulla_librarian_fd(l), .events = POLLIN};

		assert_true(poll(&pfd, 1, 5000) >= 0);
	}
	assert_ok(rc);
}

/* A run of one record in a real journal; its row says where. */
static void write_run(struct bulla_sys_disk *disk, struct bulla_engine_place *ret)
{
	struct bulla_journal_options options = {.disk = &disk->table, .clock = bulla_sys_clock(), .segment_bytes = 1 << 20};
	struct bulla_journal_recovery recovery = {.disk = &disk->table};
	struct bulla_journal_record record = {.run_no = 7, .type = BULLA_HOST_CLOSED, .body = BULLA_BYTES_LITERAL("hello")};
	struct bulla_journal_done done;
	struct bulla_journal *journal;
	struct bulla_buf framed;
	uint64_t lsn;

	bulla_buf_init(&framed, 1000);
	assert_ok(bulla_journal_recover(&recovery, &options.end));
	options.end.store.b[0] = 1;
	assert_ok(bulla_journal_open(&options, &journal));
	assert_ok(bulla_journal_record_put(&record, &framed));
	assert_ok(bulla_journal_submit(journal, bulla_buf_view(&framed), 1, true, &lsn));
	bulla_journal_turn(journal);
	while (bulla_journal_next(journal, &done) == BULLA_E_AGAIN)
		usleep(1000);
	*ret = (struct bulla_engine_place){(uint32_t)done.at.segment, (uint32_t)done.at.offset, (uint32_t)framed.n};
	bulla_journal_close(journal);
	bulla_buf_done(&framed);
}

static void answers_what_it_was_told(void **state)
{
	struct bulla_sys_disk disk, other;
	struct bulla_catalogue *catalogue;
	struct bulla_librarian *l;
	struct bulla_librarian_answer answer;
	struct bulla_engine_place place;
	struct bulla_rec_row row = {.run_no = 7, .replay_lsn = 1, .closed.state = 2};
	struct bulla_msg_listing listing;
	uint8_t bytes[512], span[BULLA_REC_SPAN_BYTES], parked[8 + BULLA_REC_SPAN_BYTES];
	char path[128];
	bulla_wr w = bulla_wr_fixed(bytes, sizeof(bytes)), ws = bulla_wr_fixed(span, sizeof(span));
	bulla_wr wp = bulla_wr_fixed(parked, sizeof(parked));
	bulla_bytes view;

	(void)state;
	snprintf(path, sizeof(path), "%s/journal", folder);
	assert_ok(bulla_sys_disk_open(&disk, path, true));
	assert_ok(bulla_sys_disk_open(&other, path, false));
	write_run(&disk, &place);
	snprintf(path, sizeof(path), "%s/catalogue.db", folder);
	assert_ok(bulla_catalogue_open(path, &catalogue));
	assert_ok(bulla_librarian_start(catalogue, &other.table, &l));
	bulla_wr_u32le(&ws, place.segment);
	bulla_wr_u32le(&ws, place.offset);
	bulla_wr_u32le(&ws, place.bytes);
	row.run.b[15] = 9;
	row.spans = BULLA_BYTES_ARRAY(span);
	bulla_rec_row_write(&w, &row);
	assert_ok(bulla_wr_end(&w, &view));
	assert_ok(bulla_librarian_tell(l, BULLA_ENGINE_PUT_ROW, view));
	assert_true(bulla_librarian_holds(l));
	/* a question hands over what was told before it */
	assert_ok(bulla_librarian_ask(l, 1, BULLA_ENGINE_FIND_RUN, bulla_run_id_view(&row.run)));
	wait_answer(l, &answer);
	assert_int_equal(answer.ticket, 1);
	assert_ok(answer.rc);
	assert_bytes(answer.body, view);
	assert_ok(bulla_librarian_ask(l, 2, BULLA_ENGINE_LOAD_RUN, bulla_run_id_view(&row.run)));
	wait_answer(l, &answer);
	assert_ok(answer.rc);
	assert_int_equal(answer.body.n, BULLA_JOURNAL_RECORD_HEADER + 5);
	/* a run that goes on: by its places */
	bulla_wr_u64le(&wp, row.run_no);
	bulla_wr_bytes(&wp, row.spans);
	assert_ok(bulla_librarian_ask(l, 2, BULLA_ENGINE_LOAD_SPANS, BULLA_BYTES_ARRAY(parked)));
	wait_answer(l, &answer);
	assert_ok(answer.rc);
	assert_int_equal(answer.body.n, BULLA_JOURNAL_RECORD_HEADER + 5);
	parked[0] ^= 1; /* another run's number: those are not its records */
	assert_ok(bulla_librarian_ask(l, 2, BULLA_ENGINE_LOAD_SPANS, BULLA_BYTES_ARRAY(parked)));
	wait_answer(l, &answer);
	assert_rc(BULLA_E_CORRUPT, answer.rc);
	assert_ok(bulla_librarian_ask(l, 3, BULLA_ENGINE_LIST_RUNS, (bulla_bytes){NULL, 0}));
	wait_answer(l, &answer);
	assert_ok(bulla_msg_listing_decode(answer.body, &listing));
	assert_int_equal(listing.runs.count, 1);
	row.run.b[0] = 1;
	assert_ok(bulla_librarian_ask(l, 4, BULLA_ENGINE_LOAD_RUN, bulla_run_id_view(&row.run)));
	wait_answer(l, &answer);
	assert_rc(BULLA_E_NOT_FOUND, answer.rc);
	for (unsigned i = 0; i < 3000; i++) { /* more than the rings hold */
		row.run_no = 100 + i;
		row.run.b[1] = (uint8_t)i;
		row.run.b[2] = (uint8_t)(i >> 8);
		w = bulla_wr_fixed(bytes, sizeof(bytes));
		bulla_rec_row_write(&w, &row);
		assert_ok(bulla_wr_end(&w, &view));
		assert_ok(bulla_librarian_tell(l, BULLA_ENGINE_PUT_ROW, view));
	}
	assert_ok(bulla_librarian_ask(l, 5, BULLA_ENGINE_FIND_RUN, bulla_run_id_view(&row.run)));
	while (bulla_librarian_holds(l)) {
		(void)(bulla_librarian_next(l, &answer) == BULLA_OK);
		bulla_librarian_hand_over(l);
	}
	if (answer.ticket != 5)
		wait_answer(l, &answer);
	assert_int_equal(answer.ticket, 5);
	assert_ok(answer.rc);
	bulla_librarian_stop(l);
	bulla_sys_disk_close(&disk);
	bulla_sys_disk_close(&other);
}

static void a_host_needs_addresses(void **state)
{
	char path[128], socket[128];
	struct bulla_host_options options = {.state = path, .socket = socket, .broker = "nonsense", .broker_tls = "unix:/x"};

	(void)state;
	snprintf(path, sizeof(path), "%s/host", folder);
	snprintf(socket, sizeof(socket), "%s/api.sock", folder);
	assert_rc(BULLA_E_ARGUMENT, bulla_host_run(&options));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_what_it_was_told),
		cmocka_unit_test(a_host_needs_addresses),
	};

	return cmocka_run_group_tests(tests, up, down);
}
