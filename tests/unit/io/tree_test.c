/* Folders as agents' bundles are read: which files, in which order, and what is refused. */
#include "io/tree.h"

#include "base/mem.h"
#include "base/wr.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char root[] = "/tmp/bulla-tree-XXXXXX";

static const char *at(const char *path)
{
	static char full[8192];

	assert_true((size_t)snprintf(full, sizeof(full), "%s/%s", root, path) < sizeof(full));
	return full;
}

static void put(const char *path, const char *content, mode_t mode)
{
	int fd = open(at(path), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

static void folder(const char *path)
{
	assert_int_equal(mkdir(at(path), 0755), 0);
}

static void clear(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	assert_int_equal(system(command), 0);
	assert_int_equal(mkdir(root, 0755), 0);
}

/* What was read, as one line: "PATH[*]:SIZE=CONTENT;" a file; and what the sink does wrong. */
struct seen {
	char text[4096];
	size_t n;
	uint64_t pieces;
	const char *stop_at; /* refuses this file */
	const char *grow_at; /* makes this one longer (shorter with `shrink`) while it is read */
	bool shrink;
};

static bulla_rc on_file(void *ctx, bulla_bytes path, bool executable, uint64_t size)
{
	struct seen *seen = ctx;

	if (seen->stop_at != NULL && bulla_bytes_eq_str(path, seen->stop_at))
		return BULLA_E_DENIED;
	if (seen->grow_at != NULL && bulla_bytes_eq_str(path, seen->grow_at))
		put(seen->grow_at, seen->shrink ? "" : "longer than before", 0644);
	seen->n += (size_t)snprintf(seen->text + seen->n, sizeof(seen->text) - seen->n, "%s%.*s%s:%llu=", seen->n > 0 ? ";" : "", (int)path.n,
		(const char *)path.p, executable ? "*" : "", (unsigned long long)size);
	return BULLA_OK;
}

static bulla_rc on_content(void *ctx, bulla_bytes bytes)
{
	struct seen *seen = ctx;

	seen->pieces++;
	if (bytes.n < 64)
		seen->n += (size_t)snprintf(seen->text + seen->n, sizeof(seen->text) - seen->n, "%.*s", (int)bytes.n, (const char *)bytes.p);
	return BULLA_OK;
}

static bulla_rc read_into(struct seen *seen)
{
	const struct bulla_tree_sink sink = {.ctx = seen, .file = on_file, .content = on_content};

	seen->n = 0;
	seen->text[0] = 0;
	seen->pieces = 0;
	return bulla_tree_read(root, &sink);
}

/* By bytes of the whole path: '-' and '.' stand before '/', so a folder's files are not all together. */
static void files_come_by_path(void **state)
{
	struct seen seen = {.n = 0};

	(void)state;
	clear();
	assert_ok(read_into(&seen));
	assert_string_equal(seen.text, "");
	put("b", "2", 0755);
	folder("a");
	put("a/z", "1", 0644);
	put("a-", "x", 0644);
	put("a.c", "y", 0600);
	put("A", "", 0644);
	folder("a/empty");
	folder("a/deep");
	put("a/deep/\xc3\xa9", "3", 0644);
	assert_ok(read_into(&seen));
	assert_string_equal(seen.text, "A:0=;a-:1=x;a.c:1=y;a/deep/\xc3\xa9:1=3;a/z:1=1;b*:1=2");
}

static void large_files_come_in_pieces(void **state)
{
	struct seen seen = {.n = 0};
	static uint8_t bytes[150000];
	int fd;

	(void)state;
	clear();
	fd = open(at("large"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	close(fd);
	assert_ok(read_into(&seen));
	assert_string_equal(seen.text, "large:150000=");
	assert_int_equal(seen.pieces, 3);
}

static void make_link(void)
{
	assert_int_equal(symlink("/etc/passwd", at("odd")), 0);
}

static void make_folder_link(void)
{
	assert_int_equal(symlink("/tmp", at("odd")), 0);
}

static void make_pipe(void)
{
	assert_int_equal(mkfifo(at("odd"), 0644), 0);
}

static void make_socket(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/odd", root);
	assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
}

/* Whatever is no regular file: nothing is read of such a folder. */
static void other_things_are_refused(void **state)
{
	void (*const makes[])(void) = {make_link, make_folder_link, make_pipe, make_socket};

	(void)state;
	for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
		struct seen seen = {.n = 0};

		clear();
		put("a", "good", 0644);
		makes[i]();
		assert_rc(BULLA_E_FORMAT, read_into(&seen));
		assert_string_equal(seen.text, "");
	}
}

static void depth_and_length_have_limits(void **state)
{
	struct seen seen = {.n = 0};
	char path[4096] = "", name[256];

	(void)state;
	clear();
	for (int i = 0; i < BULLA_TREE_DEPTH; i++) {
		strcat(path, i == 0 ? "d" : "/d");
		folder(path);
	}
	strcat(path, "/f");
	put(path, "1", 0644);
	assert_ok(read_into(&seen));
	path[strlen(path) - 1] = 'd';
	folder(path);
	assert_rc(BULLA_E_LIMIT, read_into(&seen));
	clear();
	memset(name, 'n', 250);
	name[250] = 0;
	assert_int_equal(chdir(root), 0);
	for (size_t n = 0; n + 251 < BULLA_TREE_PATH - 1; n += 251) { /* step by step: no single path may be so long */
		assert_int_equal(mkdir(name, 0755), 0);
		assert_int_equal(chdir(name), 0);
	}
	assert_ok(read_into(&seen));
	name[(BULLA_TREE_PATH - 1) % 251] = 0;
	assert_int_equal(mkdir(name, 0755), 0); /* just as long as a path may be */
	assert_ok(read_into(&seen));
	assert_int_equal(rmdir(name), 0);
	strcat(name, "n");
	assert_int_equal(mkdir(name, 0755), 0);
	assert_rc(BULLA_E_LIMIT, read_into(&seen));
	assert_int_equal(chdir("/"), 0);
}

static void a_file_that_changes_is_noticed(void **state)
{
	struct seen seen = {.grow_at = "b"};

	(void)state;
	clear();
	put("a", "1", 0644);
	put("b", "22", 0644);
	assert_rc(BULLA_E_CORRUPT, read_into(&seen));
	put("b", "22", 0644);
	seen.shrink = true;
	assert_rc(BULLA_E_CORRUPT, read_into(&seen));
}

static void the_first_error_ends_it(void **state)
{
	struct seen seen = {.stop_at = "b"};
	const struct bulla_tree_sink sink = {.ctx = &seen, .file = on_file, .content = on_content};

	(void)state;
	clear();
	put("a", "1", 0644);
	put("b", "2", 0644);
	put("c", "3", 0644);
	assert_rc(BULLA_E_DENIED, read_into(&seen));
	assert_string_equal(seen.text, "a:1=1");
	assert_rc(BULLA_E_NOT_FOUND, bulla_tree_read("/nowhere/at/all", &sink));
	assert_rc(BULLA_E_IO, bulla_tree_read(at("a"), &sink)); /* a file is no folder */
}

static int up(void **state)
{
	(void)state;
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int down(void **state)
{
	(void)state;
	clear();
	return rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_come_by_path),
		cmocka_unit_test(large_files_come_in_pieces),
		cmocka_unit_test(other_things_are_refused),
		cmocka_unit_test(depth_and_length_have_limits),
		cmocka_unit_test(a_file_that_changes_is_noticed),
		cmocka_unit_test(the_first_error_ends_it),
	};

	return cmocka_run_group_tests_name("tree", tests, up, down);
}
