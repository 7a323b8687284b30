#include "io/sys.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>

static char folder[] = "/tmp/bulla-sys-XXXXXX";

static bulla_rc count(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return BULLA_OK;
}

static void test_disk(void **state)
{
	struct bulla_sys_disk disk;
	const struct bulla_disk *t = &disk.table;
	uint8_t got[16];
	uint64_t size = 0;
	size_t n = 0;
	int file, files = 0;

	(void)state;
	assert_ok(bulla_sys_disk_open(&disk, folder, true));
	assert_rc(BULLA_E_NOT_FOUND, t->open(t->ctx, "a", false, &file));
	assert_rc(BULLA_E_ARGUMENT, t->open(t->ctx, "../a", true, &file));
	assert_rc(BULLA_E_ARGUMENT, t->open(t->ctx, ".a", true, &file));
	assert_rc(BULLA_E_ARGUMENT, t->open(t->ctx, "a/b", true, &file));
	assert_rc(BULLA_E_ARGUMENT, t->open(t->ctx, "", true, &file));
	assert_ok(t->open(t->ctx, "a", true, &file));
	assert_ok(t->pwrite(t->ctx, file, 4096, BULLA_BYTES_LITERAL("durable"), true));
	assert_ok(t->pwrite(t->ctx, file, 0, BULLA_BYTES_LITERAL("later"), false));
	assert_ok(t->sync(t->ctx, file));
	assert_ok(t->size(t->ctx, file, &size));
	assert_int_equal(size, 4103);
	assert_ok(t->pread(t->ctx, file, 4096, got, sizeof(got), &n));
	assert_bytes(bulla_bytes_of(got, n), BULLA_BYTES_LITERAL("durable"));
	assert_ok(t->truncate(t->ctx, file, 5));
	assert_ok(t->size(t->ctx, file, &size));
	assert_int_equal(size, 5);
	t->close(t->ctx, file);
	assert_ok(t->rename(t->ctx, "a", "b"));
	assert_ok(t->sync_folder(t->ctx));
	assert_ok(t->list(t->ctx, count, &files));
	assert_int_equal(files, 1);
	assert_ok(t->unlink(t->ctx, "b"));
	assert_rc(BULLA_E_NOT_FOUND, t->unlink(t->ctx, "b"));
	bulla_sys_disk_close(&disk);
}

static void test_full(void **state)
{
	struct bulla_sys_disk disk;
	int file;

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	assert_ok(bulla_sys_disk_open(&disk, "/dev", false));
	assert_ok(disk.table.open(&disk, "full", false, &file));
	assert_rc(BULLA_E_FULL, disk.table.pwrite(&disk, file, 0, BULLA_BYTES_LITERAL("x"), false));
	disk.table.close(&disk, file);
	bulla_sys_disk_close(&disk);
}

static void test_files(void **state)
{
	BULLA_AUTO_BUF buf;
	char path[128];
	struct stat there;

	(void)state;
	bulla_buf_init(&buf, 8);
	snprintf(path, sizeof(path), "%s/x/y", folder);
	assert_ok(bulla_sys_make_folders(path));
	assert_ok(bulla_sys_make_folders(path));
	snprintf(path, sizeof(path), "%s/x/y/file", folder);
	assert_rc(BULLA_E_NOT_FOUND, bulla_sys_read_file(path, &buf));
	assert_ok(bulla_sys_write_file(path, BULLA_BYTES_LITERAL("one"), 0600));
	assert_ok(bulla_sys_write_file(path, BULLA_BYTES_LITERAL("twotwo"), 0600));
	assert_ok(bulla_sys_read_file(path, &buf));
	assert_bytes(bulla_buf_view(&buf), BULLA_BYTES_LITERAL("twotwo"));
	bulla_buf_clear(&buf);
	assert_ok(bulla_sys_write_file(path, BULLA_BYTES_LITERAL("longer than 8"), 0600));
	assert_rc(BULLA_E_LIMIT, bulla_sys_read_file(path, &buf));
	/* what is no file (a device, a pipe) is not replaced by one */
	snprintf(path, sizeof(path), "%s/x/y/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_rc(BULLA_E_IO, bulla_sys_write_file(path, BULLA_BYTES_LITERAL("x"), 0600));
	assert_int_equal(stat(path, &there), 0);
	assert_true(S_ISFIFO(there.st_mode));
}

static void test_clock_and_random(void **state)
{
	const struct bulla_clock *clock = bulla_sys_clock();
	uint8_t a[32], b[32];
	int64_t before = bulla_mono_us(clock);

	(void)state;
	assert_true(bulla_wall_ms(clock) > INT64_C(1700000000000));
	assert_true(bulla_mono_us(clock) >= before);
	assert_ok(bulla_sys_random()->fill(NULL, a, sizeof(a)));
	assert_ok(bulla_sys_random()->fill(NULL, b, sizeof(b)));
	assert_false(bulla_bytes_eq(BULLA_BYTES_ARRAY(a), BULLA_BYTES_ARRAY(b)));
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_clock_and_random),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
