#define _GNU_SOURCE
#include "io/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES_WANTED 16384u

static int64_t wall_ms(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t mono_us(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

const struct bulla_clock *bulla_sys_clock(void)
{
	static const struct bulla_clock clock = {.wall_ms = wall_ms, .mono_us = mono_us};

	return &clock;
}

static bulla_rc fill(void *ctx, uint8_t *ret, size_t size)
{
	size_t at = 0;

	(void)ctx;
	while (at < size) {
		ssize_t got = getrandom(ret + at, size - at, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			bulla_wipe(ret, size);
			return BULLA_FAIL_OS(BULLA_E_RANDOM, "the kernel gives no random bytes", errno);
		}
		at += (size_t)got;
	}
	return BULLA_OK;
}

static int64_t boot_us(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

const struct bulla_clock *bulla_sys_pace(void)
{
	static const struct bulla_clock clock = {.wall_ms = wall_ms, .mono_us = boot_us};

	return &clock;
}

const struct bulla_random *bulla_sys_random(void)
{
	static const struct bulla_random random = {.fill = fill};

	return &random;
}

static bulla_rc failed(int os_error)
{
	if (os_error == ENOSPC || os_error == EDQUOT)
		return BULLA_FAIL_OS(BULLA_E_FULL, "the disk is full", os_error);
	if (os_error == ENOENT)
		return BULLA_FAIL_OS(BULLA_E_NOT_FOUND, "no such file", os_error);
	return BULLA_FAIL_OS(BULLA_E_IO, "a disk operation failed", os_error);
}

static int folder_of(void *ctx)
{
	return ((struct bulla_sys_disk *)ctx)->folder;
}

static bulla_rc check_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strlen(name);

	if (n == 0 || n > 128 || name[0] == '.' || strspn(name, allowed) != n)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a file name has letters, digits, '.', '_', '-' only");
	return BULLA_OK;
}

static bulla_rc disk_open(void *ctx, const char *name, bool create, int *ret_file)
{
	int fd;

	BULLA_TRY(check_name(name));
	fd = openat(folder_of(ctx), name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	if (fd < 0)
		return failed(errno);
	*ret_file = fd;
	return BULLA_OK;
}

static void disk_close(void *ctx, int file)
{
	(void)ctx;
	close(file);
}

static bulla_rc disk_size(void *ctx, int file, uint64_t *ret_size)
{
	struct stat status;

	(void)ctx;
	if (fstat(file, &status) != 0)
		return failed(errno);
	*ret_size = (uint64_t)status.st_size;
	return BULLA_OK;
}

#define PAGE 4096

/* Durable writes of whole pages pass the page cache by: the journal writes each page once and waits for it, a copy of it in
 * memory and its write-back are work for nothing. Where that cannot be (another kind of file system) nothing changes. */
static void choose_cache(int file, uint64_t offset, bulla_bytes bytes, bool durable)
{
	bool direct = durable && (offset | bytes.n | (uintptr_t)bytes.p) % PAGE == 0;
	int flags = fcntl(file, F_GETFL);

	if (flags >= 0 && direct != ((flags & O_DIRECT) != 0))
		(void)fcntl(file, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

static bulla_rc disk_pread(void *ctx, int file, uint64_t offset, uint8_t *ret, size_t size, size_t *ret_size)
{
	size_t at = 0;

	(void)ctx;
	while (at < size) {
		ssize_t got = pread(file, ret + at, size - at, (off_t)(offset + at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EINVAL && (fcntl(file, F_GETFL) & O_DIRECT) != 0) {
			choose_cache(file, 0, (bulla_bytes){NULL, 0}, false); /* written page by page, read as it comes */
			continue;
		}
		if (got < 0)
			return failed(errno);
		if (got == 0)
			break;
		at += (size_t)got;
	}
	*ret_size = at;
	return BULLA_OK;
}

/* RWF_DSYNC makes one write durable where another of the same file need not be: no second descriptor. */
static bulla_rc disk_pwrite(void *ctx, int file, uint64_t offset, bulla_bytes bytes, bool durable)
{
	size_t at = 0;

	(void)ctx;
	choose_cache(file, offset, bytes, durable);
	while (at < bytes.n) {
		union {
			const void *in;
			void *out;
		} base = {.in = bytes.p + at};
		struct iovec part = {.iov_base = base.out, .iov_len = bytes.n - at};
		ssize_t put = pwritev2(file, &part, 1, (off_t)(offset + at), durable ? RWF_DSYNC : 0);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return failed(errno);
		at += (size_t)put;
		if (at < bytes.n) /* the rest may be no whole pages */
			choose_cache(file, offset + at, bulla_bytes_of(bytes.p + at, bytes.n - at), durable);
	}
	return BULLA_OK;
}

static bulla_rc disk_sync(void *ctx, int file)
{
	(void)ctx;
	return fdatasync(file) == 0 ? BULLA_OK : failed(errno);
}

static bulla_rc disk_truncate(void *ctx, int file, uint64_t size)
{
	(void)ctx;
	return ftruncate(file, (off_t)size) == 0 ? BULLA_OK : failed(errno);
}

static bulla_rc disk_unlink(void *ctx, const char *name)
{
	BULLA_TRY(check_name(name));
	return unlinkat(folder_of(ctx), name, 0) == 0 ? BULLA_OK : failed(errno);
}

static bulla_rc disk_rename(void *ctx, const char *from, const char *to)
{
	BULLA_TRY(check_name(from));
	BULLA_TRY(check_name(to));
	return renameat(folder_of(ctx), from, folder_of(ctx), to) == 0 ? BULLA_OK : failed(errno);
}

static bulla_rc disk_sync_folder(void *ctx)
{
	return fsync(folder_of(ctx)) == 0 ? BULLA_OK : failed(errno);
}

static void close_listing(DIR **listing)
{
	if (*listing != NULL)
		closedir(*listing);
}

static bulla_rc disk_list(void *ctx, bulla_rc (*each)(void *arg, const char *name), void *arg)
{
	__attribute__((cleanup(close_listing))) DIR *listing = NULL;
	struct dirent *entry;
	int fd = openat(folder_of(ctx), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return failed(errno);
	listing = fdopendir(fd);
	if (listing == NULL) {
		close(fd);
		return failed(errno);
	}
	while ((entry = readdir(listing)) != NULL)
		if (entry->d_name[0] != '.')
			BULLA_TRY(each(arg, entry->d_name));
	return BULLA_OK;
}

bulla_rc bulla_sys_disk_open(struct bulla_sys_disk *disk, const char *path, bool create)
{
	int fd;

	if (create && mkdir(path, 0700) != 0 && errno != EEXIST)
		return failed(errno);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed(errno);
	disk->folder = fd;
	disk->table = (struct bulla_disk){
		.ctx = disk,
		.open = disk_open,
		.close = disk_close,
		.size = disk_size,
		.pread = disk_pread,
		.pwrite = disk_pwrite,
		.sync = disk_sync,
		.truncate = disk_truncate,
		.unlink = disk_unlink,
		.rename = disk_rename,
		.sync_folder = disk_sync_folder,
		.list = disk_list,
	};
	return BULLA_OK;
}

void bulla_sys_disk_close(struct bulla_sys_disk *disk)
{
	if (disk->folder >= 0)
		close(disk->folder);
	disk->folder = -1;
}

bulla_rc bulla_sys_make_folders(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a path is empty or too long");
	bulla_copy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			return failed(errno);
		part[i] = path[i];
	}
	return BULLA_OK;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define AUTO_FD __attribute__((cleanup(close_fd))) int

bulla_rc bulla_sys_read_file(const char *path, struct bulla_buf *ret)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	size_t got = 0;

	if (fd < 0)
		return failed(errno);
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return BULLA_FAIL(BULLA_E_IO, "not a file");
	if ((uint64_t)status.st_size > ret->max)
		return BULLA_FAIL(BULLA_E_LIMIT, "a file is too large");
	if (status.st_size == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_buf_reserve(ret, (size_t)status.st_size));
	BULLA_TRY(disk_pread(NULL, fd, 0, ret->p + ret->n, (size_t)status.st_size, &got));
	ret->n += got;
	return BULLA_OK;
}

static bulla_rc sync_parent(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

	bulla_copy(parent, n == 0 ? "." : path, n == 0 ? 1 : n);
	parent[n == 0 ? 1 : n] = '\0';
	AUTO_FD fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return failed(errno);
	return BULLA_OK;
}

static bulla_rc temporary_name(const char *path, char ret[PATH_MAX])
{
	size_t n = strlen(path);

	if (n == 0 || n + 5 > PATH_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a path is empty or too long");
	bulla_copy(ret, path, n);
	bulla_copy(ret + n, ".new", 5);
	return BULLA_OK;
}

bulla_rc bulla_sys_new_begin(const char *path, unsigned mode, struct bulla_sys_new *ret)
{
	char temporary[PATH_MAX];
	struct stat there;

	ret->fd = -1;
	BULLA_TRY(temporary_name(path, temporary));
	if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) /* a rename would put a file in the place of a device */
		return BULLA_FAIL(BULLA_E_IO, "that is no file: it is not replaced");
	*ret = (struct bulla_sys_new){
		.path = path, .fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
	if (ret->fd >= 0 && fchmod(ret->fd, mode) == 0)
		return BULLA_OK;
	bulla_rc rc = failed(errno);
	bulla_sys_new_drop(ret);
	return rc;
}

bulla_rc bulla_sys_new_put(struct bulla_sys_new *file, bulla_bytes bytes)
{
	BULLA_TRY(disk_pwrite(NULL, file->fd, file->size, bytes, false));
	file->size += bytes.n;
	return BULLA_OK;
}

bulla_rc bulla_sys_new_keep(struct bulla_sys_new *file)
{
	char temporary[PATH_MAX];

	BULLA_TRY(temporary_name(file->path, temporary));
	if (fsync(file->fd) != 0 || rename(temporary, file->path) != 0)
		return failed(errno);
	close(file->fd);
	file->fd = -1;
	return sync_parent(file->path);
}

void bulla_sys_new_drop(struct bulla_sys_new *file)
{
	char temporary[PATH_MAX];

	if (file->fd < 0)
		return;
	close(file->fd);
	file->fd = -1;
	if (temporary_name(file->path, temporary) == BULLA_OK)
		(void)unlink(temporary); /* what stays is overwritten by the next one */
}

bulla_rc bulla_sys_write_file(const char *path, bulla_bytes bytes, unsigned mode)
{
	struct bulla_sys_new file = {.fd = -1};
	bulla_rc rc = bulla_sys_new_begin(path, mode, &file);

	if (rc == BULLA_OK)
		rc = bulla_sys_new_put(&file, bytes);
	if (rc == BULLA_OK)
		rc = bulla_sys_new_keep(&file);
	bulla_sys_new_drop(&file);
	return rc;
}

bulla_rc bulla_sys_append_open(const char *path, int *ret_fd)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return failed(errno);
	*ret_fd = fd;
	return BULLA_OK;
}

bulla_rc bulla_sys_append(int fd, bulla_bytes bytes)
{
	ssize_t put = write(fd, bytes.p, bytes.n);

	if (put < 0)
		return failed(errno);
	return (size_t)put == bytes.n ? BULLA_OK : BULLA_FAIL(BULLA_E_FULL, "a line was cut");
}

void bulla_sys_append_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The usual 1,024 are fewer than connections that are allowed: who opens them all would keep us from our own files. */
static bulla_rc allow_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the limit of open files cannot be read", errno);
	if (files.rlim_cur >= FILES_WANTED)
		return BULLA_OK;
	files.rlim_cur = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
	return setrlimit(RLIMIT_NOFILE, &files) == 0 ? BULLA_OK
		: BULLA_FAIL_OS(BULLA_E_IO, "the limit of open files cannot be raised", errno);
}

size_t bulla_sys_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return 0;
	return files.rlim_cur < FILES_WANTED ? (size_t)files.rlim_cur : FILES_WANTED;
}

bulla_rc bulla_sys_harden(void)
{
	struct rlimit none = {0, 0};

	BULLA_TRY(allow_files());
	if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "core dumps cannot be switched off", errno);
	umask(077);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return BULLA_FAIL_OS(BULLA_E_IO, "SIGPIPE cannot be ignored", errno);
	return BULLA_OK;
}
