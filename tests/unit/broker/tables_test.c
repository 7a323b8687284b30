#include "attack.h"
#include "broker/audit.h"
#include "broker/births.h"
#include "broker/ledger_index.h"
#include "broker/ledger_queue.h"
#include "base/buf.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "broker/seen.h"
#include "broker/standing.h"
#include "broker/wrapping.h"
#include "crypto/random.h"
#include "io/sys.h"
#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[] = "/tmp/bulla-tables-XXXXXX";

/* --- how enclaves stand --- */

static bulla_rc ask_after(bulla_rc why)
{
	static struct bulla_standing standing;
	const bulla_bytes module = BULLA_BYTES_LITERAL("i-1-enc1"), other = BULLA_BYTES_LITERAL("i-1-enc2");
	const bulla_digest instance = {{1}}, second = {{2}};

	memset(&standing, 0, sizeof(standing));
	assert_ok(bulla_standing_check(&standing, module)); /* a stranger: its evidence speaks for it */
	bulla_standing_good(&standing, module, &instance);
	bulla_standing_good(&standing, other, &second);
	assert_ok(bulla_standing_check(&standing, module));
	bulla_standing_end(&standing, &instance, why);
	assert_ok(bulla_standing_check(&standing, other));
	return bulla_standing_check(&standing, module);
}

static void test_standing(void **state)
{
	static struct bulla_standing standing;
	const bulla_bytes module = BULLA_BYTES_LITERAL("i-1-enc1");
	const bulla_digest instance = {{1}};

	(void)state;
	assert_attack(EVIDENCE_STANDING, BULLA_E_MEASUREMENT, ask_after(BULLA_E_MEASUREMENT));
	bulla_standing_good(&standing, module, &instance);
	bulla_standing_end(&standing, &instance, BULLA_E_EVIDENCE_DEBUG);
	assert_rc(BULLA_E_EVIDENCE_DEBUG, bulla_standing_check(&standing, module));
	bulla_standing_good(&standing, module, &instance); /* it attested again, and well */
	assert_ok(bulla_standing_check(&standing, module));
}

/* --- documents that were shown --- */

static bulla_rc show_twice(struct bulla_seen *seen, uint8_t first, int64_t now)
{
	bulla_digest digest = {{first, 1}};

	BULLA_TRY(bulla_seen_once(seen, &digest, 1000, 2000));
	return bulla_seen_once(seen, &digest, now, 3000);
}

static void test_seen(void **state)
{
	static struct bulla_seen seen;
	bulla_digest digest = {{0}};

	(void)state;
	assert_attack(EVIDENCE_ONCE, BULLA_E_EVIDENCE_REPLAYED, show_twice(memset(&seen, 0, sizeof(seen)), 1, 1001));
	memset(&seen, 0, sizeof(seen));
	assert_rc(BULLA_E_EVIDENCE_REPLAYED, show_twice(&seen, 2, 1999));
	assert_ok(show_twice(&seen, 3, 2000)); /* too old by then for the appraisal: forgotten */
	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 16; i++) {
		digest.b[9] = (uint8_t)i;
		assert_ok(bulla_seen_once(&seen, &digest, 1000, 2000));
	}
	digest.b[9] = 16;
	assert_rc(BULLA_E_BUSY, bulla_seen_once(&seen, &digest, 1000, 2000)); /* nothing that still counts is forgotten */
	assert_ok(bulla_seen_once(&seen, &digest, 2000, 3000));
}

/* --- births --- */

static bulla_bytes birth_body(uint8_t agent, uint64_t epoch, const char *record, uint8_t memory[256])
{
	uint8_t handle[8] = {agent};
	struct bulla_msg_birth message = {.agent = BULLA_BYTES_ARRAY(handle),
		.epoch = epoch,
		.record = bulla_bytes_str(record),
		.blob = BULLA_BYTES_LITERAL("blob"),
		.instance = BULLA_BYTES_LITERAL("instance")};
	bulla_wr w = bulla_wr_fixed(memory, 256);
	bulla_bytes body = {NULL, 0};

	bulla_msg_birth_encode(&message, &w);
	assert_ok(bulla_wr_end(&w, &body));
	return body;
}

static void test_births(void **state)
{
	struct bulla_births births;
	uint8_t memory[256], handle[8] = {1};
	struct bulla_msg_birth message;
	bulla_bytes body;
	size_t cursor = 0;

	(void)state;
	assert_ok(bulla_births_init(&births));
	assert_rc(BULLA_E_BIRTH_MISSING, bulla_births_find(&births, BULLA_BYTES_ARRAY(handle), 1, &body));
	assert_ok(bulla_births_add(&births, birth_body(1, 1, "first", memory)));
	assert_attack(BIRTH_FIRST, BULLA_E_EXISTS, bulla_births_add(&births, birth_body(1, 1, "second", memory)));
	assert_ok(bulla_births_add(&births, birth_body(1, 2, "next epoch", memory)));
	assert_ok(bulla_births_add(&births, birth_body(2, 1, "other agent", memory)));
	assert_ok(bulla_births_find(&births, BULLA_BYTES_ARRAY(handle), 1, &body));
	assert_ok(bulla_msg_birth_decode(body, &message));
	assert_bytes(message.record, BULLA_BYTES_LITERAL("first"));
	assert_ok(bulla_births_next(&births, 2, &cursor, &body));
	assert_rc(BULLA_E_NOT_FOUND, bulla_births_next(&births, 2, &cursor, &body));
	assert_rc(BULLA_E_TRUNCATED, bulla_births_add(&births, BULLA_BYTES_LITERAL("\xff\xff")));
	bulla_births_done(&births);
}

/* --- wrapping keys --- */

static struct bulla_wrapping keys;

static bulla_rc give(void *arg, const struct bulla_cell *cell, bulla_secret *secret)
{
	(void)arg;
	bulla_wrapping_material(&keys, cell, secret);
	return BULLA_OK;
}

static void test_wrapping(void **state)
{
	struct bulla_sys_disk disk, keys_disk;
	struct bulla_cells *cells = NULL;
	struct bulla_wrapping_key *key = NULL, *found = NULL;
	char path[64];
	uint8_t arn[BULLA_WRAPPING_ARN];
	size_t arn_size;
	BULLA_AUTO_BUF blob, plain;

	(void)state;
	bulla_buf_init(&blob, BULLA_KMS_BLOB_MAX);
	bulla_buf_init(&plain, BULLA_KMS_BLOB_MAX);
	snprintf(path, sizeof(path), "%s/keys", folder);
	assert_ok(bulla_sys_disk_open(&disk, folder, true));
	assert_ok(bulla_sys_disk_open(&keys_disk, path, true));
	assert_ok(bulla_wrapping_open(&keys, &keys_disk.table));
	assert_ok(bulla_cells_open(&disk.table, bulla_random_os(), give, NULL, &cells));
	assert_ok(bulla_wrapping_create(&keys, cells, bulla_random_os(), BULLA_BYTES_LITERAL("{}"),
		BULLA_BYTES_LITERAL("what for"), 5000, &key));
	assert_ok(bulla_kms_blob_seal(&key->material, NULL, bulla_random_os(), BULLA_BYTES_LITERAL("x"), &blob));
	arn_size = key->arn_size;
	bulla_copy(arn, key->arn, arn_size);
	assert_ok(bulla_wrapping_put_policy(&keys, key, BULLA_BYTES_LITERAL("{\"a\":1}")));
	bulla_wrapping_done(&keys);
	bulla_cells_close(cells);
	/* after a restart */
	assert_ok(bulla_wrapping_open(&keys, &keys_disk.table));
	assert_rc(BULLA_E_CORRUPT, bulla_wrapping_find(&keys, bulla_bytes_of(arn, arn_size), &found)); /* no material yet */
	assert_ok(bulla_cells_open(&disk.table, bulla_random_os(), give, NULL, &cells));
	assert_ok(bulla_wrapping_find(&keys, bulla_bytes_of(arn, arn_size), &found));
	assert_ok(bulla_wrapping_find(&keys, bulla_bytes_of(arn + arn_size - 36, 36), &found));
	assert_bytes(bulla_buf_view(&found->policy), BULLA_BYTES_LITERAL("{\"a\":1}"));
	assert_bytes(bulla_buf_view(&found->description), BULLA_BYTES_LITERAL("what for"));
	assert_int_equal(found->created_ms, 5000);
	assert_ok(bulla_kms_blob_open(&found->material, NULL, bulla_buf_view(&blob), &plain));
	assert_rc(BULLA_E_NOT_FOUND, bulla_wrapping_find(&keys, BULLA_BYTES_LITERAL("alias/x"), &found));
	arn[arn_size - 1] ^= 1;
	assert_rc(BULLA_E_NOT_FOUND, bulla_wrapping_find(&keys, bulla_bytes_of(arn, arn_size), &found));
	bulla_wrapping_done(&keys);
	bulla_cells_close(cells);
	bulla_sys_disk_close(&disk);
	bulla_sys_disk_close(&keys_disk);
}

/* --- audit --- */

static void test_audit(void **state)
{
	static const uint8_t pcr[48] = {0xab};
	struct bulla_kms_request request = {.op = BULLA_KMS_DECRYPT, .key_id = BULLA_BYTES_LITERAL("k\"\n")};
	struct bulla_kms_facts facts = {.account = BULLA_BYTES_LITERAL("000000000000"), .attested = true};
	uint8_t id[16] = {1};
	struct bulla_audit_event event = {.request = &request,
		.facts = &facts,
		.key_arn = BULLA_BYTES_LITERAL("arn"),
		.module_id = BULLA_BYTES_LITERAL("i-1"),
		.request_id = id,
		.wall_ms = INT64_C(1800000000000),
		.rc = BULLA_E_MEASUREMENT};
	bulla_json root, value, recipient;
	BULLA_AUTO_BUF line;

	(void)state;
	bulla_buf_init(&line, 65536);
	facts.pcrs[0] = BULLA_BYTES_ARRAY(pcr);
	assert_ok(bulla_kms_context_add(&request.context, BULLA_BYTES_LITERAL("k"), BULLA_BYTES_LITERAL("v")));
	assert_ok(bulla_audit_write(&event, &line));
	assert_int_equal(line.p[line.n - 1], '\n');
	assert_null(memchr(line.p, '\n', line.n - 1)); /* one line, whatever was in the request */
	assert_ok(bulla_json_parse(bulla_bytes_of(line.p, line.n - 1), &root));
	assert_ok(bulla_json_get_str(root, "eventName", &value));
	assert_true(bulla_json_string_is(value, BULLA_BYTES_LITERAL("Decrypt")));
	assert_ok(bulla_json_get_str(root, "eventTime", &value));
	assert_true(bulla_json_string_is(value, BULLA_BYTES_LITERAL("2027-01-15T08:00:00Z")));
	assert_ok(bulla_json_get_str(root, "errorCode", &value));
	assert_true(bulla_json_string_is(value, BULLA_BYTES_LITERAL("AccessDeniedException")));
	assert_ok(bulla_json_get_str(root, "additionalEventData", &value));
	assert_ok(bulla_json_get_str(value, "recipient", &recipient));
	assert_ok(bulla_json_get_str(recipient, "attestationDocumentModuleId", &value));
	assert_ok(bulla_json_get_str(recipient, "attestationDocumentEnclaveImageDigest", &value));
	assert_rc(BULLA_E_NOT_FOUND, bulla_json_get_str(recipient, "attestationDocumentEnclavePCR1", &value));
}

/* --- where ended runs lie --- */

static bool is_at(const struct ledger_index *index, const bulla_run_id *run, uint32_t first, uint32_t last)
{
	uint32_t found_first = 0, found_last = 0;
	bool found = false;

	assert_ok(ledger_index_get(index, run, &found, &found_first, &found_last));
	return found && found_first == first && found_last == last;
}

/* Starters choose run ids. One that falls on another's place takes nothing from it: else that run could be started again. */
static void test_index(void **state)
{
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	struct ledger_index index = {NULL};
	uint64_t parts[2] = {7, 8};
	bulla_run_id mine, theirs, none = {{0}};

	(void)state;
	bulla_copy(mine.b, parts, sizeof(mine.b));
	parts[0] ^= parts[1] * factor ^ 9 * factor;
	parts[1] = 9;
	bulla_copy(theirs.b, parts, sizeof(theirs.b));
	assert_ok(ledger_index_put(&index, &mine, 0, 1));
	assert_false(is_at(&index, &theirs, 0, 1));
	assert_false(is_at(&index, &none, 0, 1));
	assert_ok(ledger_index_put(&index, &theirs, 2, 3));
	assert_ok(ledger_index_put(&index, &none, 4, 5));
	assert_true(is_at(&index, &mine, 0, 1));
	assert_true(is_at(&index, &theirs, 2, 3));
	assert_ok(ledger_index_put(&index, &mine, 0, 6));
	assert_true(is_at(&index, &mine, 0, 6));
	assert_int_equal(index.count, 3);
	ledger_index_done(&index);
}

struct index_file {
	struct bulla_buf bytes;
	bool full, broken;
};

static bulla_rc file_write(void *ctx, uint64_t at, bulla_bytes bytes)
{
	struct index_file *file = ctx;

	if (file->full)
		return BULLA_FAIL(BULLA_E_IO, "test");
	assert_int_equal(at, file->bytes.n); /* only ever at the end */
	return bulla_buf_append(&file->bytes, bytes);
}

static bulla_rc file_read(void *ctx, uint64_t at, uint8_t *ret, size_t size)
{
	const struct index_file *file = ctx;

	if (file->broken)
		return BULLA_FAIL(BULLA_E_IO, "test");
	assert_true(at + size <= file->bytes.n);
	bulla_copy(ret, file->bytes.p + at, size);
	return BULLA_OK;
}

/* As runs are: later ones have larger ids, all but every 100th, whose starter chose an id without time. */
static bulla_run_id nth_run(uint32_t n)
{
	bulla_run_id run = {{0}};
	bulla_digest digest;
	bulla_wr w = bulla_wr_fixed(run.b, sizeof(run.b));

	bulla_sha256(bulla_bytes_of(&n, sizeof(n)), &digest);
	bulla_wr_u64be(&w, n % 100 == 0 ? 0 : UINT64_C(0x0190000000000000) + n);
	bulla_wr_bytes(&w, bulla_bytes_of(digest.b, 8));
	return run;
}

#define INDEX_RUNS (3 * LEDGER_INDEX_BLOCK + 100)

static void fill_index(struct ledger_index *index, struct index_file *file)
{
	bulla_buf_init(&file->bytes, 1 << 20);
	index->file = (struct ledger_index_file){file, file_write, file_read};
	for (uint32_t i = 0; i < INDEX_RUNS; i++) {
		bulla_run_id run = nth_run(i);

		assert_ok(ledger_index_put(index, &run, i, i + 1));
	}
}

static void test_index_in_a_file(void **state)
{
	struct ledger_index index = {.size = 0};
	struct index_file file = {.full = false};

	(void)state;
	fill_index(&index, &file);
	assert_int_equal(index.block_count, 3);
	assert_int_equal(index.size, 8192); /* memory does not grow with the runs */
	assert_int_equal(file.bytes.n, 3 * 24 * LEDGER_INDEX_PAGE);
	for (uint32_t i = 0; i < INDEX_RUNS; i++) {
		bulla_run_id run = nth_run(i), other = run;

		assert_true(is_at(&index, &run, i, i + 1));
		other.b[15] ^= 1;
		assert_false(is_at(&index, &other, i, i + 1));
	}
	bulla_run_id early = nth_run(5);
	assert_ok(ledger_index_put(&index, &early, 5, 70)); /* the latest word counts */
	assert_true(is_at(&index, &early, 5, 70));
	ledger_index_done(&index);
	bulla_buf_done(&file.bytes);
}

/* What the disk does not take for some time goes there later, and nothing is forgotten meanwhile. */
static void test_index_without_room(void **state)
{
	struct ledger_index index = {.size = 0};
	struct index_file file = {.full = true};

	(void)state;
	fill_index(&index, &file);
	assert_int_equal(index.block_count, 0);
	assert_int_equal(index.count, INDEX_RUNS);
	file.full = false;
	for (uint32_t i = INDEX_RUNS; i < INDEX_RUNS + 300; i++) {
		bulla_run_id run = nth_run(i);

		assert_ok(ledger_index_put(&index, &run, i, i + 1));
	}
	assert_int_equal(index.block_count, 3);
	assert_true(index.count < 1000);
	for (uint32_t i = 0; i < INDEX_RUNS + 300; i++) {
		bulla_run_id run = nth_run(i);

		assert_true(is_at(&index, &run, i, i + 1));
	}
	ledger_index_done(&index);
	bulla_buf_done(&file.bytes);
}

/* Never a wrong "there is no such run": it could be started again. */
static void test_index_rots(void **state)
{
	struct ledger_index index = {.size = 0};
	struct index_file file = {.full = false};
	uint32_t first, last;
	bool found;

	(void)state;
	fill_index(&index, &file);
	for (uint32_t i = 0; i < 40; i++) {
		size_t at = file.bytes.n / 40 * i + i;
		bulla_run_id run;

		file.bytes.p[at] ^= 1;
		for (uint32_t n = i % 3; n < INDEX_RUNS; n += 67) {
			bulla_rc rc;

			run = nth_run(n);
			rc = ledger_index_get(&index, &run, &found, &first, &last);
			assert_true(rc == BULLA_E_CORRUPT || (rc == BULLA_OK && found && first == n && last == n + 1));
		}
		file.bytes.p[at] ^= 1;
	}
	bulla_move(file.bytes.p, file.bytes.p + LEDGER_INDEX_PAGE, LEDGER_INDEX_PAGE); /* a good page in the wrong place */
	for (uint32_t n = 0; n < LEDGER_INDEX_BLOCK; n++) {
		bulla_run_id run = nth_run(n);
		bulla_rc rc = ledger_index_get(&index, &run, &found, &first, &last);

		assert_true(rc == BULLA_E_CORRUPT || (rc == BULLA_OK && found));
	}
	file.broken = true;
	bulla_run_id run = nth_run(1);
	assert_rc(BULLA_E_IO, ledger_index_get(&index, &run, &found, &first, &last));
	ledger_index_done(&index);
	bulla_buf_done(&file.bytes);
}

static void test_index_without_room_on_disk(void **state)
{
	struct ledger_index index = {.size = 0};
	struct index_file file = {.full = true};

	(void)state;
	fill_index(&index, &file);
	assert_int_equal(index.block_count, 0);
	for (uint32_t i = 0; i < INDEX_RUNS; i++) {
		bulla_run_id run = nth_run(i);

		assert_true(is_at(&index, &run, i, i + 1));
	}
	ledger_index_done(&index);
	bulla_buf_done(&file.bytes);
}

static void test_queue(void **state)
{
	struct ledger_queue queue;
	uint32_t in = 0, out = 0;
	void *p = NULL;

	(void)state;
	ledger_queue_init(&queue, sizeof(uint32_t), 300);
	assert_null(ledger_queue_front(&queue));
	for (uint32_t round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < round % 47; i++, in++) {
			assert_ok(ledger_queue_push(&queue, &p));
			*(uint32_t *)p = in;
		}
		for (; queue.count > round % 20; out++) {
			assert_int_equal(*(uint32_t *)ledger_queue_front(&queue), out);
			ledger_queue_pop(&queue);
		}
	}
	assert_true(queue.room <= 128);
	while (queue.count < 300)
		assert_ok(ledger_queue_push(&queue, &p));
	assert_rc(BULLA_E_BUSY, ledger_queue_push(&queue, &p));
	ledger_queue_done(&queue);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || bulla_secret_slab_init(64) != BULLA_OK;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return bulla_secret_slab_used() != 0 || system(command) != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_standing), cmocka_unit_test(test_seen), cmocka_unit_test(test_births),
		cmocka_unit_test(test_wrapping), cmocka_unit_test(test_audit),
		cmocka_unit_test(test_index), cmocka_unit_test(test_index_in_a_file), cmocka_unit_test(test_index_without_room), cmocka_unit_test(test_index_rots),
		cmocka_unit_test(test_index_without_room_on_disk), cmocka_unit_test(test_queue)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
