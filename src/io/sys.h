#pragma once
/* The real clock, random source and disk behind the tables of base/sys.h. */
#include "base/buf.h"
#include "base/sys.h"

/* Static tables; valid for ever. Random is getrandom(2). */
const struct bulla_clock *bulla_sys_clock(void);
/* The same, but its mono_us goes on while the machine sleeps. */
const struct bulla_clock *bulla_sys_pace(void);
const struct bulla_random *bulla_sys_random(void);

/* A folder on a real disk. Names are one path component of 1 to 128 characters of [A-Za-z0-9._-], not starting with a
 * dot: anything else is BULLA_E_ARGUMENT. ENOSPC and EDQUOT give BULLA_E_FULL, ENOENT BULLA_E_NOT_FOUND, the rest
 * BULLA_E_IO. Files are made 0600, opened O_NOFOLLOW; at most 4,096 are open at a time. The table's calls may be used
 * by several threads as long as each file is used by one. */
struct bulla_sys_disk {
	struct bulla_disk table; /* give &disk.table to whoever wants a disk; ctx points into this struct: do not move it */
	int folder;
};

/* Opens the folder (made 0700 when create and missing; its parent must exist). */
BULLA_CHECK bulla_rc bulla_sys_disk_open(struct bulla_sys_disk *disk, const char *path, bool create);
void bulla_sys_disk_close(struct bulla_sys_disk *disk);

/* Makes the folder and its missing parents, 0700. */
BULLA_CHECK bulla_rc bulla_sys_make_folders(const char *path);

/* A whole small file: appends it to ret (up to ret's maximum: BULLA_E_LIMIT). BULLA_E_NOT_FOUND. For start-up only. */
BULLA_CHECK bulla_rc bulla_sys_read_file(const char *path, struct bulla_buf *ret);

/* A file in the making: its bytes are under a temporary name, path and ".new", until it is whole. */
struct bulla_sys_new {
	const char *path; /* borrowed */
	int fd;           /* -1: none */
	uint64_t size;    /* bytes put */
};

/* begin; put, any number of times; then keep (fsync, rename over what is there, fsync of the folder) or drop, which takes what
 * is begun, kept or never was. BULLA_E_FULL, BULLA_E_IO, BULLA_E_ARGUMENT (a path that is too long). */
BULLA_CHECK bulla_rc bulla_sys_new_begin(const char *path, unsigned mode, struct bulla_sys_new *ret);
BULLA_CHECK bulla_rc bulla_sys_new_put(struct bulla_sys_new *file, bulla_bytes bytes);
BULLA_CHECK bulla_rc bulla_sys_new_keep(struct bulla_sys_new *file);
void bulla_sys_new_drop(struct bulla_sys_new *file);

/* Replaces or makes a small file durably, as above in one go. Mode as given. */
BULLA_CHECK bulla_rc bulla_sys_write_file(const char *path, bulla_bytes bytes, unsigned mode);

/* A file that is only appended to (audit log), made 0600 when missing. Lines of one call stay together. */
BULLA_CHECK bulla_rc bulla_sys_append_open(const char *path, int *ret_fd);
BULLA_CHECK bulla_rc bulla_sys_append(int fd, bulla_bytes bytes);
void bulla_sys_append_close(int fd);

/* How many files this process may have open; at most what a daemon asks for. */
size_t bulla_sys_files(void);

/* The hardening each daemon begins with: no core dumps, not dumpable, umask 077, SIGPIPE ignored, and as many open files as
 * it may have. */
BULLA_CHECK bulla_rc bulla_sys_harden(void);
