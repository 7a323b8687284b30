#define _GNU_SOURCE
#include "platform/cores.h"

#include "base/rd.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_US 100000
#define IDLE_LOOK_US 400000 /* while there is next to nothing to do */
#define IDLE_PCT 2
#define FULL_PCT 90
#define FITS_PCT 80
#define PAUSE_FIRST_US INT64_C(1000000)
#define PAUSE_MOST_US INT64_C(64000000)
#define SOON_US INT64_C(5000000) /* parted again within that: it was wrong */
#define STAT_BYTES 65536         /* /proc/stat: the cores stand first */

/* --- the decision --- */

static void part(struct bulla_cores *cores, int64_t now_us)
{
	bool soon = now_us - cores->shared_us < SOON_US;

	cores->back_off_us = soon && cores->back_off_us > 0 ? cores->back_off_us * 2 : PAUSE_FIRST_US;
	if (cores->back_off_us > PAUSE_MOST_US)
		cores->back_off_us = PAUSE_MOST_US;
	cores->shared = false;
	cores->hold_us = now_us + cores->back_off_us;
}

/* The last one, unless another has clearly less to do: the first cores serve most interrupts. */
static unsigned calmest(const struct bulla_cores_seen *seen)
{
	unsigned best = seen->count - 1;

	for (unsigned i = best; i-- > 0;)
		if (seen->busy[i] + 100 - FITS_PCT < seen->busy[best])
			best = i;
	return best;
}

void bulla_cores_decide(struct bulla_cores *cores, const struct bulla_cores_seen *seen, int64_t now_us)
{
	unsigned all = 0, others;

	if (cores->shared) {
		if (seen->busy[cores->core] >= FULL_PCT)
			part(cores, now_us);
		return;
	}
	for (unsigned i = 0; i < seen->count; i++)
		all += seen->busy[i];
	others = all > seen->ours ? all - seen->ours : 0;
	if (now_us < cores->hold_us || seen->ours > FITS_PCT || others + 100 - FITS_PCT > (seen->count - 1) * 100)
		return;
	cores->shared = true;
	cores->shared_us = now_us;
	cores->core = calmest(seen);
}

/* --- the machine --- */

static bool read_text(const char *path, uint8_t *memory, size_t size, bulla_bytes *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, memory, size);
	close(fd);
	if (got <= 0)
		return false;
	*ret = bulla_bytes_of(memory, (size_t)got);
	return true;
}

/* The next decimal number, past blanks and the character behind it; false at anything else. */
static bool next_number(bulla_rd *r, uint64_t *ret)
{
	uint8_t c = 0;
	uint64_t value = 0;
	bool any = false;

	while (bulla_rd_u8(r, &c) == BULLA_OK) {
		if (c == ' ' && !any)
			continue;
		if (c < '0' || c > '9')
			break;
		value = value * 10 + (uint64_t)(c - '0');
		any = true;
	}
	*ret = value;
	return any;
}

/* After "cpu": its number, and user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)). */
static bool core_line(bulla_rd *r, uint64_t *ret_number, uint64_t *ret_busy, uint64_t *ret_all)
{
	uint64_t ticks[8];

	if (!next_number(r, ret_number))
		return false;
	*ret_busy = *ret_all = 0;
	for (unsigned i = 0; i < 8; i++) {
		if (!next_number(r, &ticks[i]))
			return false;
		*ret_all += ticks[i];
		*ret_busy += i == 3 || i == 4 ? 0 : ticks[i];
	}
	return true;
}

static bool skip_line(bulla_rd *r)
{
	uint8_t c = 0;

	while (c != '\n')
		if (bulla_rd_u8(r, &c) != BULLA_OK)
			return false;
	return true;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (unsigned)(part * 100 / whole);
}

/* Books one core's ticks; at the first look what is seen means nothing. */
static void note_core(struct bulla_cores *cores, uint64_t number, uint64_t busy, uint64_t all, struct bulla_cores_seen *seen)
{
	for (unsigned i = 0; i < cores->count; i++) {
		if (cores->numbers[i] != number)
			continue;
		seen->busy[i] = percent(busy - cores->busy[i], all - cores->all[i]);
		cores->busy[i] = busy;
		cores->all[i] = all;
	}
}

static bool see_cores(struct bulla_cores *cores, struct bulla_cores_seen *seen)
{
	uint8_t memory[STAT_BYTES];
	uint64_t number, busy, all;
	bulla_bytes text, word;
	bulla_rd r;

	if (!read_text("/proc/stat", memory, sizeof(memory), &text))
		return false;
	r = bulla_rd_of(text);
	/* the first line is of all cores together */
	while (skip_line(&r) && bulla_rd_bytes(&r, 3, &word) == BULLA_OK && bulla_bytes_eq(word, bulla_bytes_str("cpu"))) {
		if (!core_line(&r, &number, &busy, &all))
			return false;
		note_core(cores, number, busy, all, seen);
	}
	return true;
}

/* Nanoseconds of the main thread, first number of its schedstat (Documentation/scheduler/sched-stats.rst). */
static uint64_t time_of(pid_t pid)
{
	uint8_t memory[128];
	char path[64];
	uint64_t ns;
	bulla_bytes text;
	bulla_rd r;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	if (!read_text(path, memory, sizeof(memory), &text))
		return 0;
	r = bulla_rd_of(text);
	return next_number(&r, &ns) ? ns : 0;
}

static void see_ours(struct bulla_cores *cores, const pid_t *pids, size_t count, int64_t now_us, struct bulla_cores_seen *seen)
{
	uint64_t ns = 0, passed = (uint64_t)(now_us - cores->looked_us) * 1000;

	for (size_t i = 0; i < count; i++)
		ns += pids[i] > 0 ? time_of(pids[i]) : 0;
	/* less than before: one died; the next look knows more */
	seen->ours = ns > cores->ours_ns ? percent(ns - cores->ours_ns, passed) : 0;
	cores->ours_ns = ns;
}

static void place(const struct bulla_cores *cores, const pid_t *pids, size_t count)
{
	cpu_set_t set = cores->may_use;

	if (cores->shared) {
		CPU_ZERO(&set);
		CPU_SET(cores->numbers[cores->core], &set);
	}
	for (size_t i = 0; i < count; i++)
		if (pids[i] > 0 && sched_setaffinity(pids[i], sizeof(set), &set) != 0)
			continue; /* it died, or somebody forbids it */
}

void bulla_cores_init(struct bulla_cores *cores, int64_t now_us)
{
	struct bulla_cores_seen ignored = {0};

	*cores = (struct bulla_cores){.next_us = INT64_MAX};
	if (sched_getaffinity(0, sizeof(cores->may_use), &cores->may_use) != 0)
		return;
	for (unsigned i = 0; i < CPU_SETSIZE && cores->count < BULLA_CORES_MAX; i++)
		if (CPU_ISSET(i, &cores->may_use))
			cores->numbers[cores->count++] = i;
	if (cores->count < 2 || !see_cores(cores, &ignored)) {
		cores->count = 0;
		return;
	}
	cores->looked_us = now_us;
	cores->next_us = cores->hold_us = now_us + PAUSE_FIRST_US; /* boot is work for all cores */
}

void bulla_cores_look(struct bulla_cores *cores, const pid_t *pids, size_t count, int64_t now_us)
{
	struct bulla_cores_seen seen = {.count = cores->count};
	bool before = cores->shared;

	if (cores->count == 0 || now_us < cores->next_us)
		return;
	if (!see_cores(cores, &seen)) {
		cores->next_us = INT64_MAX;
		return;
	}
	see_ours(cores, pids, count, now_us, &seen);
	bulla_cores_decide(cores, &seen, now_us);
	/* a child that was started again since the last look is placed, too */
	if (cores->shared || before)
		place(cores, pids, count);
	cores->looked_us = now_us;
	cores->next_us = now_us + (seen.ours < IDLE_PCT ? IDLE_LOOK_US : LOOK_US);
}
