#define _GNU_SOURCE
#include "platform/sealed.h"

#include "base/buf.h"
#include "base/mem.h"
#include "image/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PROGRAM_MAX ((size_t)32 << 20)
#define FIRST_FD 16 /* above those that a process is started with */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

void bulla_sealed_init(struct bulla_sealed *sealed)
{
	bulla_zero(sealed, sizeof(*sealed));
	sealed->fd = -1;
}

void bulla_sealed_done(struct bulla_sealed *sealed)
{
	if (sealed->fd >= 0)
		close(sealed->fd);
	bulla_sealed_init(sealed);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bulla_rc copy_file(int from, int to)
{
	uint8_t bytes[65536];
	size_t size = 0;
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0) {
		size += (size_t)n;
		if (size > PROGRAM_MAX)
			return BULLA_FAIL(BULLA_E_LIMIT, "a program is too large");
		if (write(to, bytes, (size_t)n) != n)
			return BULLA_FAIL_OS(BULLA_E_IO, "a program cannot be copied into memory", errno);
	}
	return n == 0 ? BULLA_OK : BULLA_FAIL_OS(BULLA_E_IO, "a program cannot be read", errno);
}

/* After this nobody can change it, so it is measured only now, as it is. */
static bulla_rc seal_and_measure(int fd, uint8_t ret[3][BULLA_NITRO_PCR_SIZE])
{
	struct stat of;
	bulla_bytes program;
	void *p;

	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0 || fstat(fd, &of) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a program's copy cannot be sealed", errno);
	if (of.st_size < 2)
		return BULLA_FAIL(BULLA_E_FORMAT, "a program is empty");
	p = mmap(NULL, (size_t)of.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return BULLA_FAIL_OS(BULLA_E_IO, "a program's copy cannot be read", errno);
	program = bulla_bytes_of(p, (size_t)of.st_size);
	bulla_dev_measure(program, ret);
	bool script = bulla_bytes_eq(bulla_bytes_of(program.p, 2), BULLA_BYTES_LITERAL("#!"));
	munmap(p, (size_t)of.st_size);
	return script ? BULLA_FAIL(BULLA_E_FORMAT, "an enclave is a script: its interpreter would not be measured") : BULLA_OK;
}

static bulla_rc load(int from, struct bulla_sealed *ret)
{
	int low = memfd_create("bulla-enclave", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ret->fd = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, FIRST_FD) : -1;
	if (low >= 0)
		close(low);
	if (ret->fd < 0 || fstat(from, &ret->of) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "no memory for a program can be made", errno);
	BULLA_TRY(copy_file(from, ret->fd));
	return seal_and_measure(ret->fd, ret->measured);
}

bulla_rc bulla_sealed_load(struct bulla_sealed *sealed, const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct bulla_sealed fresh;
	struct stat of;
	bulla_rc rc;

	if (file < 0)
		return BULLA_FAIL_OS(errno == ENOENT ? BULLA_E_NOT_FOUND : BULLA_E_IO, "a program cannot be opened", errno);
	if (sealed->fd >= 0 && fstat(file, &of) == 0 && is_same(&of, &sealed->of)) {
		close(file);
		return BULLA_OK;
	}
	bulla_sealed_init(&fresh);
	rc = load(file, &fresh);
	close(file);
	if (rc != BULLA_OK) {
		bulla_sealed_done(&fresh);
		return rc;
	}
	bulla_sealed_done(sealed);
	*sealed = fresh;
	return BULLA_OK;
}
