#include "tee/evidence_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 512
#define CHUNK 4096

bulla_rc bulla_evidence_path(const char *root, const char *path, char *ret, size_t size)
{
	bulla_bytes first = bulla_bytes_str(root), second = bulla_bytes_str(path);

	if (first.n + second.n + 1 > size)
		return BULLA_FAIL(BULLA_E_LIMIT, "a path is too long");
	bulla_copy(ret, first.p, first.n);
	bulla_copy(ret + first.n, second.p, second.n);
	ret[first.n + second.n] = '\0';
	return BULLA_OK;
}

bool bulla_evidence_exists(const char *root, const char *path)
{
	char name[PATH_SIZE];
	struct stat ignored;

	return bulla_evidence_path(root, path, name, sizeof(name)) == BULLA_OK && stat(name, &ignored) == 0;
}

static bulla_rc failed(int os_error)
{
	if (os_error == EBUSY || os_error == EAGAIN || os_error == EINTR)
		return BULLA_FAIL_OS(BULLA_E_BUSY, "the kernel is busy with another report", os_error);
	if (os_error == ENOENT)
		return BULLA_FAIL_OS(BULLA_E_NOT_FOUND, "there is no such file of the kernel", os_error);
	return BULLA_FAIL_OS(BULLA_E_IO, "a file of the kernel cannot be used", os_error);
}

static bulla_rc open_file(const char *root, const char *path, int flags, int *ret)
{
	char name[PATH_SIZE];

	BULLA_TRY(bulla_evidence_path(root, path, name, sizeof(name)));
	*ret = open(name, flags | O_CLOEXEC);
	return *ret >= 0 ? BULLA_OK : failed(errno);
}

static bulla_rc read_all(int fd, struct bulla_buf *ret)
{
	for (;;) {
		size_t room = ret->max - ret->n < CHUNK ? ret->max - ret->n : CHUNK;

		if (room == 0)
			return BULLA_FAIL(BULLA_E_LIMIT, "a file of the kernel is larger than it may be");
		BULLA_TRY(bulla_buf_reserve(ret, room));
		ssize_t n = read(fd, ret->p + ret->n, room);
		if (n < 0)
			return failed(errno);
		if (n == 0)
			return BULLA_OK;
		ret->n += (size_t)n;
	}
}

bulla_rc bulla_evidence_read(const char *root, const char *path, struct bulla_buf *ret)
{
	int fd = -1;

	bulla_buf_clear(ret);
	BULLA_TRY(open_file(root, path, O_RDONLY, &fd));
	bulla_rc rc = read_all(fd, ret);
	close(fd);
	return rc;
}

bulla_rc bulla_evidence_write(const char *root, const char *path, bulla_bytes bytes)
{
	int fd = -1, os_error = 0;

	BULLA_TRY(open_file(root, path, O_WRONLY, &fd));
	ssize_t n = write(fd, bytes.p, bytes.n);
	if (n < 0)
		os_error = errno;
	/* configfs hands a binary attribute over when it is closed */
	if (close(fd) != 0 && os_error == 0)
		os_error = errno;
	if (os_error != 0)
		return failed(os_error);
	return (size_t)n == bytes.n ? BULLA_OK : BULLA_FAIL(BULLA_E_IO, "a file of the kernel took only a part");
}
