#pragma once
/* The four ways in which the world enters: clock, random, disk, net. Real tables are in io/, virtual ones in tests/sim.
 * Everything else is a pure function of its inputs (engine.md section 11). */
#include "base/bytes.h"

struct bulla_clock {
	void *ctx;
	int64_t (*wall_ms)(void *ctx); /* Unix time in milliseconds; may jump */
	int64_t (*mono_us)(void *ctx); /* microseconds since some start; never goes back */
};

struct bulla_random {
	void *ctx;
	bulla_rc (*fill)(void *ctx, uint8_t *ret, size_t size); /* BULLA_E_RANDOM: nothing written */
};

/* A folder of files. Every call may block: writer, librarian and start-up code call it, and a journal's owner whose disk is
 * quick (journal/thread.h). Names have no '/'. Nothing is durable before sync (file content) or sync_folder (names)
 * returned. A failed write or sync is never retried: the process ends and recovers. */
struct bulla_disk {
	void *ctx;
	bulla_rc (*open)(void *ctx, const char *name, bool create, int *ret_file);
	void (*close)(void *ctx, int file);
	bulla_rc (*size)(void *ctx, int file, uint64_t *ret_size);
	bulla_rc (*pread)(void *ctx, int file, uint64_t offset, uint8_t *ret, size_t size, size_t *ret_size);
	/* durable = true: as with O_DSYNC, the bytes are on disk when it returns. */
	bulla_rc (*pwrite)(void *ctx, int file, uint64_t offset, bulla_bytes bytes, bool durable);
	bulla_rc (*sync)(void *ctx, int file);
	bulla_rc (*truncate)(void *ctx, int file, uint64_t size);
	bulla_rc (*unlink)(void *ctx, const char *name);
	bulla_rc (*rename)(void *ctx, const char *from, const char *to);
	bulla_rc (*sync_folder)(void *ctx);
	/* Calls each(arg, name) for every file, in no order; stops at the first error and returns it. */
	bulla_rc (*list)(void *ctx, bulla_rc (*each)(void *arg, const char *name), void *arg);
};

/* Unix time in milliseconds; it may jump. */
static inline int64_t bulla_wall_ms(const struct bulla_clock *clock)
{
	return clock->wall_ms(clock->ctx);
}

/* Microseconds since some start; never goes back. */
static inline int64_t bulla_mono_us(const struct bulla_clock *clock)
{
	return clock->mono_us(clock->ctx);
}
