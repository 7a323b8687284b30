#include "platform/nsm.h"

#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "io/sys.h"
#include "test.h"
#include "wire/cbor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	char folder[64];
	struct bulla_dev_pki pki;
	struct bulla_dev_nsm nsm;
	struct bulla_buf answer;
};

static int set_up(void **state)
{
	static struct fixture f;
	static const uint8_t measured[3][BULLA_NITRO_PCR_SIZE] = {{1}, {2}, {3}};

	strcpy(f.folder, "/tmp/bulla-nsm-XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	assert_ok(bulla_dev_pki_open(f.folder, bulla_sys_clock(), bulla_random_os(), &f.pki));
	assert_ok(bulla_dev_nsm_init(&f.nsm, &f.pki, bulla_sys_clock(), bulla_random_os(), measured));
	bulla_buf_init(&f.answer, 65536);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char path[128];

	bulla_dev_nsm_done(&f->nsm);
	bulla_dev_pki_done(&f->pki);
	bulla_buf_done(&f->answer);
	snprintf(path, sizeof(path), "%s/root.key", f->folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/root.der", f->folder);
	unlink(path);
	rmdir(f->folder);
	return 0;
}

/* {op: {"index": index}} or with data. */
static bulla_bytes ask(struct fixture *f, const char *op, uint64_t index, bulla_bytes data)
{
	uint8_t memory[1024];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes request;

	bulla_cbor_wr_map(&w, 1);
	bulla_cbor_wr_str(&w, op);
	bulla_cbor_wr_map(&w, data.n > 0 ? 2 : 1);
	bulla_cbor_wr_str(&w, "index");
	bulla_cbor_wr_uint(&w, index);
	if (data.n > 0) {
		bulla_cbor_wr_str(&w, "data");
		bulla_cbor_wr_bytes(&w, data);
	}
	assert_ok(bulla_wr_end(&w, &request));
	bulla_buf_clear(&f->answer);
	assert_ok(bulla_dev_nsm_answer(&f->nsm, request, &f->answer));
	return bulla_buf_view(&f->answer);
}

static bool is_error(bulla_bytes answer, const char *error)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(answer);

	return bulla_cbor_rd_expect_map(&r, 1) == BULLA_OK && bulla_cbor_rd_expect_text(&r, "Error") == BULLA_OK &&
		bulla_cbor_rd_expect_text(&r, error) == BULLA_OK;
}

static void registers_extend_until_they_are_locked(void **state)
{
	struct fixture *f = *state;
	uint8_t expected[48], start[48] = {0};
	const bulla_bytes parts[2] = {BULLA_BYTES_ARRAY(start), BULLA_BYTES_LITERAL("manifest")};

	bulla_sha384_parts(parts, 2, expected);
	assert_false(is_error(ask(f, "ExtendPCR", 16, BULLA_BYTES_LITERAL("manifest")), "ReadOnlyIndex"));
	assert_memory_equal(f->nsm.pcrs[16], expected, 48);
	assert_false(is_error(ask(f, "LockPCR", 16, (bulla_bytes){NULL, 0}), "ReadOnlyIndex"));
	assert_true(is_error(ask(f, "ExtendPCR", 16, BULLA_BYTES_LITERAL("other")), "ReadOnlyIndex"));
	assert_memory_equal(f->nsm.pcrs[16], expected, 48);
	assert_true(is_error(ask(f, "LockPCR", 16, (bulla_bytes){NULL, 0}), "ReadOnlyIndex"));
	assert_true(is_error(ask(f, "ExtendPCR", 0, BULLA_BYTES_LITERAL("x")), "ReadOnlyIndex"));
	assert_int_equal(f->nsm.pcrs[0][0], 1);
	assert_true(is_error(ask(f, "ExtendPCR", 32, BULLA_BYTES_LITERAL("x")), "InvalidIndex"));
	assert_true(is_error(ask(f, "LockPCRs", 33, (bulla_bytes){NULL, 0}), "InvalidIndex"));
	assert_false(is_error(ask(f, "LockPCRs", 32, (bulla_bytes){NULL, 0}), "InvalidIndex"));
	assert_true(f->nsm.locked == UINT32_MAX);
}

static void rubbish_is_an_invalid_argument(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[32];

	for (unsigned i = 0; i < 2000; i++) {
		for (unsigned j = 0; j < sizeof(bytes); j++)
			bytes[j] = (uint8_t)((i * 2654435761U + j * 40503U) >> (j % 13));
		bulla_buf_clear(&f->answer);
		assert_ok(bulla_dev_nsm_answer(&f->nsm, bulla_bytes_of(bytes, i % sizeof(bytes)), &f->answer));
		assert_true(is_error(bulla_buf_view(&f->answer), "InvalidArgument"));
	}
}

static void the_root_is_kept(void **state)
{
	struct fixture *f = *state;
	struct bulla_dev_pki again;

	assert_ok(bulla_dev_pki_open(f->folder, bulla_sys_clock(), bulla_random_os(), &again));
	assert_bytes(bulla_buf_view(&again.root_der), bulla_buf_view(&f->pki.root_der));
	bulla_dev_pki_done(&again);
}

static void a_root_without_its_key_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bulla_dev_pki again;
	char path[128];

	snprintf(path, sizeof(path), "%s/root.key", f->folder);
	assert_int_equal(unlink(path), 0);
	assert_rc(BULLA_E_NOT_FOUND, bulla_dev_pki_open(f->folder, bulla_sys_clock(), bulla_random_os(), &again));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(registers_extend_until_they_are_locked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rubbish_is_an_invalid_argument, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_root_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_root_without_its_key_is_refused, set_up, tear_down),
	};

	return bulla_secret_slab_init(64) != BULLA_OK || cmocka_run_group_tests_name("platform_nsm", tests, NULL, NULL);
}
