#define _GNU_SOURCE
#include "io/tree.h"

#include "base/buf.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536

/* All paths, zero-terminated, end to end; and where each begins. */
struct listing {
	struct bulla_buf text;
	uint32_t *starts;
	size_t count;
	char path[BULLA_TREE_PATH + 1]; /* of the folder being read, with its final '/' */
	size_t path_size;
};

static bulla_rc add_file(struct listing *l, const char *name, size_t size)
{
	if (l->count == BULLA_TREE_FILES)
		return BULLA_FAIL(BULLA_E_LIMIT, "a folder has too many files");
	l->starts[l->count++] = (uint32_t)l->text.n;
	BULLA_TRY(bulla_buf_append(&l->text, bulla_bytes_of(l->path, l->path_size)));
	return bulla_buf_append(&l->text, bulla_bytes_of(name, size + 1));
}

static bulla_rc list_folder(struct listing *l, int fd, unsigned depth);

static bulla_rc enter(struct listing *l, int parent, const char *name, size_t size, unsigned depth)
{
	size_t before = l->path_size;
	int fd;
	bulla_rc rc;

	if (depth == BULLA_TREE_DEPTH)
		return BULLA_FAIL(BULLA_E_LIMIT, "folders are nested too deep");
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a folder cannot be opened", errno);
	bulla_copy(l->path + before, name, size);
	l->path[before + size] = '/';
	l->path_size = before + size + 1;
	rc = list_folder(l, fd, depth + 1);
	l->path_size = before;
	return rc;
}

static bulla_rc list_entry(struct listing *l, int folder, const char *name, unsigned depth)
{
	size_t size = strlen(name);
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return BULLA_OK;
	if (l->path_size + size + 1 > BULLA_TREE_PATH)
		return BULLA_FAIL(BULLA_E_LIMIT, "a path is too long");
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a file cannot be looked at", errno);
	if (S_ISDIR(st.st_mode))
		return enter(l, folder, name, size, depth);
	if (!S_ISREG(st.st_mode))
		return BULLA_FAIL(BULLA_E_FORMAT, "a folder holds something that is no regular file");
	return add_file(l, name, size);
}

/* Takes fd. */
static bulla_rc list_folder(struct listing *l, int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	bulla_rc rc = BULLA_OK;

	if (dir == NULL) {
		close(fd);
		return BULLA_FAIL_OS(BULLA_E_IO, "a folder cannot be read", errno);
	}
	while (rc == BULLA_OK && (entry = readdir(dir)) != NULL)
		rc = list_entry(l, fd, entry->d_name, depth);
	closedir(dir);
	return rc;
}

static int by_path(const void *a, const void *b, void *text)
{
	const char *base = text;

	return strcmp(base + *(const uint32_t *)a, base + *(const uint32_t *)b);
}

static bulla_rc read_content(int fd, uint64_t size, const struct bulla_tree_sink *sink)
{
	uint8_t piece[PIECE];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		if ((uint64_t)n > size)
			return BULLA_FAIL(BULLA_E_CORRUPT, "a file grew while it was read");
		size -= (uint64_t)n;
		BULLA_TRY(sink->content(sink->ctx, bulla_bytes_of(piece, (size_t)n)));
	}
	if (n < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a file cannot be read", errno);
	return size == 0 ? BULLA_OK : BULLA_FAIL(BULLA_E_CORRUPT, "a file shrank while it was read");
}

static bulla_rc read_file(int folder, const char *path, const struct bulla_tree_sink *sink)
{
	int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bulla_rc rc;

	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a file cannot be opened", errno);
	if (fstat(fd, &st) != 0)
		rc = BULLA_FAIL_OS(BULLA_E_IO, "a file cannot be looked at", errno);
	else
		rc = sink->file(sink->ctx, bulla_bytes_str(path), (st.st_mode & S_IXUSR) != 0, (uint64_t)st.st_size);
	rc = rc == BULLA_OK ? read_content(fd, (uint64_t)st.st_size, sink) : rc;
	close(fd);
	return rc;
}

static bulla_rc read_all(struct listing *l, int folder, const struct bulla_tree_sink *sink)
{
	int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* list_folder takes its descriptor */

	if (again < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a folder cannot be opened", errno);
	BULLA_TRY(list_folder(l, again, 0));
	qsort_r(l->starts, l->count, sizeof(*l->starts), by_path, l->text.p);
	for (size_t i = 0; i < l->count; i++)
		BULLA_TRY(read_file(folder, (const char *)l->text.p + l->starts[i], sink));
	return BULLA_OK;
}

bulla_rc bulla_tree_read(const char *folder, const struct bulla_tree_sink *sink)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	void *memory = NULL, *starts = NULL;
	bulla_rc rc;

	if (fd < 0 && errno == ENOENT)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "there is no such folder");
	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a folder cannot be opened", errno);
	rc = bulla_alloc(1, sizeof(struct listing), &memory);
	rc = rc == BULLA_OK ? bulla_alloc(BULLA_TREE_FILES, sizeof(uint32_t), &starts) : rc;
	if (rc == BULLA_OK) {
		struct listing *l = memory;

		l->starts = starts;
		bulla_buf_init(&l->text, BULLA_TREE_BYTES);
		rc = read_all(l, fd, sink);
		bulla_buf_done(&l->text);
	}
	bulla_free(starts);
	bulla_free(memory);
	close(fd);
	return rc;
}
