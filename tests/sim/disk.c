#include "disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct sim_disk *of(void *ctx)
{
	return ctx;
}

/* Every operation that changes the disk passes here. False: the process died at this operation. */
static bool alive(struct sim_disk *disk)
{
	if (disk->dead)
		return false;
	disk->ops++;
	if (disk->kill_at != 0 && disk->ops == disk->kill_at)
		disk->dead = true;
	return !disk->dead;
}

static int find(const struct sim_name *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void ensure(struct sim_file *file, size_t size)
{
	if (size <= file->capacity)
		return;
	size_t capacity = file->capacity == 0 ? 65536 : file->capacity;
	while (capacity < size)
		capacity *= 2;
	file->now = realloc(file->now, capacity);
	file->stable = realloc(file->stable, capacity);
	assert(file->now != NULL && file->stable != NULL);
	memset(file->now + file->capacity, 0, capacity - file->capacity);
	memset(file->stable + file->capacity, 0, capacity - file->capacity);
	file->capacity = capacity;
}

static void drop_unsynced(struct sim_file *file)
{
	while (file->unsynced != NULL) {
		struct sim_write *write = file->unsynced;

		file->unsynced = write->next;
		free(write->bytes);
		free(write);
	}
	file->unsynced_end = &file->unsynced;
}

static void free_file(struct sim_file *file)
{
	drop_unsynced(file);
	free(file->now);
	free(file->stable);
	memset(file, 0, sizeof(*file));
}

static void settle(struct sim_file *file, const struct sim_write *write, size_t from, size_t n)
{
	memcpy(file->stable + write->offset + from, write->bytes + from, n);
	if (write->offset + from + n > file->stable_size)
		file->stable_size = write->offset + from + n;
}

static void settle_all(struct sim_file *file)
{
	for (struct sim_write *write = file->unsynced; write != NULL; write = write->next)
		settle(file, write, 0, write->n);
	drop_unsynced(file);
}

/* --- the table --- */

static int new_file(struct sim_disk *disk)
{
	for (int i = 0; i < SIM_FILES; i++) {
		if (disk->files[i].used)
			continue;
		memset(&disk->files[i], 0, sizeof(disk->files[i]));
		disk->files[i].used = true;
		disk->files[i].unsynced_end = &disk->files[i].unsynced;
		return i;
	}
	abort();
}

static bulla_rc disk_open(void *ctx, const char *name, bool create, int *ret_file)
{
	struct sim_disk *disk = of(ctx);
	int at = find(disk->now, disk->now_count, name);

	if (disk->dead)
		return BULLA_E_IO;
	if (at < 0 && !create)
		return BULLA_E_NOT_FOUND;
	if (at < 0) {
		if (!alive(disk))
			return BULLA_E_IO;
		assert(disk->now_count < SIM_FILES && strlen(name) < sizeof(disk->now[0].name));
		at = (int)disk->now_count++;
		strcpy(disk->now[at].name, name);
		disk->now[at].file = new_file(disk);
	}
	*ret_file = disk->now[at].file;
	return BULLA_OK;
}

static void disk_close(void *ctx, int file)
{
	(void)ctx;
	(void)file;
}

static bulla_rc disk_size(void *ctx, int file, uint64_t *ret_size)
{
	*ret_size = of(ctx)->files[file].size;
	return of(ctx)->dead ? BULLA_E_IO : BULLA_OK;
}

static bulla_rc disk_pread(void *ctx, int file, uint64_t offset, uint8_t *ret, size_t size, size_t *ret_size)
{
	const struct sim_file *f = &of(ctx)->files[file];
	size_t left = offset < f->size ? f->size - (size_t)offset : 0;

	*ret_size = size < left ? size : left;
	if (*ret_size > 0)
		memcpy(ret, f->now + offset, *ret_size);
	return of(ctx)->dead ? BULLA_E_IO : BULLA_OK;
}

static bool has_space(const struct sim_disk *disk, size_t more)
{
	size_t used = more;

	for (int i = 0; i < SIM_FILES; i++)
		used += disk->files[i].used ? disk->files[i].size : 0;
	return disk->space == 0 || used <= disk->space;
}

static bulla_rc disk_pwrite(void *ctx, int file, uint64_t offset, bulla_bytes bytes, bool durable)
{
	struct sim_disk *disk = of(ctx);
	struct sim_file *f = &disk->files[file];
	size_t end = (size_t)offset + bytes.n;
	struct sim_write *write;
	bool was_dead = disk->dead, lives = alive(disk);

	if (was_dead)
		return BULLA_E_IO;
	if (end > f->size && !has_space(disk, end - f->size))
		return BULLA_E_FULL;
	/* a process killed inside the write leaves it to the crash to decide what of it stays */
	ensure(f, end);
	write = calloc(1, sizeof(*write));
	assert(write != NULL);
	write->offset = offset;
	write->n = bytes.n;
	write->bytes = malloc(bytes.n);
	assert(write->bytes != NULL || bytes.n == 0);
	memcpy(write->bytes, bytes.p, bytes.n);
	memcpy(f->now + offset, bytes.p, bytes.n);
	f->size = end > f->size ? end : f->size;
	*f->unsynced_end = write;
	f->unsynced_end = &write->next;
	if (!lives)
		return BULLA_E_IO;
	if (durable && !disk->hold)
		settle_all(f);
	return BULLA_OK;
}

static bulla_rc disk_sync(void *ctx, int file)
{
	if (!alive(of(ctx)))
		return BULLA_E_IO;
	settle_all(&of(ctx)->files[file]);
	return BULLA_OK;
}

static bulla_rc disk_truncate(void *ctx, int file, uint64_t size)
{
	struct sim_file *f = &of(ctx)->files[file];

	if (!alive(of(ctx)))
		return BULLA_E_IO;
	settle_all(f);
	ensure(f, (size_t)size);
	if (size < f->size) {
		memset(f->now + size, 0, f->size - size);
		memset(f->stable + size, 0, f->size - size);
	}
	f->size = f->stable_size = (size_t)size;
	return BULLA_OK;
}

static void remove_name(struct sim_name *names, size_t *count, int at)
{
	names[at] = names[--*count];
}

static bool named(const struct sim_disk *disk, int file)
{
	for (size_t i = 0; i < disk->now_count; i++)
		if (disk->now[i].file == file)
			return true;
	for (size_t i = 0; i < disk->stable_count; i++)
		if (disk->stable[i].file == file)
			return true;
	return false;
}

static void collect(struct sim_disk *disk)
{
	for (int i = 0; i < SIM_FILES; i++)
		if (disk->files[i].used && !named(disk, i))
			free_file(&disk->files[i]);
}

static bulla_rc disk_unlink(void *ctx, const char *name)
{
	struct sim_disk *disk = of(ctx);
	int at = find(disk->now, disk->now_count, name);

	if (disk->dead)
		return BULLA_E_IO;
	if (at < 0)
		return BULLA_E_NOT_FOUND;
	if (!alive(disk))
		return BULLA_E_IO;
	remove_name(disk->now, &disk->now_count, at);
	collect(disk);
	return BULLA_OK;
}

static bulla_rc disk_rename(void *ctx, const char *from, const char *to)
{
	struct sim_disk *disk = of(ctx);
	int at = find(disk->now, disk->now_count, from), old = find(disk->now, disk->now_count, to);

	if (disk->dead)
		return BULLA_E_IO;
	if (at < 0)
		return BULLA_E_NOT_FOUND;
	if (!alive(disk))
		return BULLA_E_IO;
	strcpy(disk->now[at].name, to);
	if (old >= 0)
		remove_name(disk->now, &disk->now_count, old);
	collect(disk);
	return BULLA_OK;
}

static bulla_rc disk_sync_folder(void *ctx)
{
	struct sim_disk *disk = of(ctx);

	if (!alive(disk))
		return BULLA_E_IO;
	memcpy(disk->stable, disk->now, sizeof(disk->now));
	disk->stable_count = disk->now_count;
	collect(disk);
	return BULLA_OK;
}

static bulla_rc disk_list(void *ctx, bulla_rc (*each)(void *arg, const char *name), void *arg)
{
	struct sim_disk *disk = of(ctx);

	if (disk->dead)
		return BULLA_E_IO;
	for (size_t i = 0; i < disk->now_count; i++) {
		bulla_rc rc = each(arg, disk->now[i].name);

		if (rc != BULLA_OK)
			return rc;
	}
	return BULLA_OK;
}

/* --- what the scheduler does to it --- */

void sim_disk_init(struct sim_disk *disk, struct sim_rng *rng)
{
	memset(disk, 0, sizeof(*disk));
	disk->rng = rng;
	disk->table = (struct bulla_disk){disk, disk_open, disk_close, disk_size, disk_pread, disk_pwrite, disk_sync,
		disk_truncate, disk_unlink, disk_rename, disk_sync_folder, disk_list};
}

void sim_disk_done(struct sim_disk *disk)
{
	for (int i = 0; i < SIM_FILES; i++)
		if (disk->files[i].used)
			free_file(&disk->files[i]);
}

void sim_disk_complete(struct sim_disk *disk)
{
	for (int i = 0; i < SIM_FILES; i++)
		if (disk->files[i].used)
			settle_all(&disk->files[i]);
}

static void tear(struct sim_file *file, struct sim_rng *rng)
{
	/* mostly all or nothing, as disks do; else sector by sector */
	unsigned mode = (unsigned)sim_rng_below(rng, 4);

	for (struct sim_write *write = file->unsynced; write != NULL && mode != 0; write = write->next)
		for (size_t at = 0; at < write->n; at += SIM_SECTOR)
			if (mode == 1 || sim_rng_one_in(rng, 2))
				settle(file, write, at, write->n - at < SIM_SECTOR ? write->n - at : SIM_SECTOR);
	drop_unsynced(file);
}

void sim_disk_crash(struct sim_disk *disk)
{
	/* names not synced: all of them or none */
	if (sim_rng_one_in(disk->rng, 2)) {
		memcpy(disk->now, disk->stable, sizeof(disk->now));
		disk->now_count = disk->stable_count;
	} else {
		memcpy(disk->stable, disk->now, sizeof(disk->now));
		disk->stable_count = disk->now_count;
	}
	collect(disk);
	for (int i = 0; i < SIM_FILES; i++) {
		struct sim_file *file = &disk->files[i];

		if (!file->used)
			continue;
		tear(file, disk->rng);
		if (file->capacity > 0)
			memcpy(file->now, file->stable, file->capacity);
		file->size = file->stable_size;
	}
	disk->dead = false;
	disk->kill_at = 0;
}

void sim_disk_restart(struct sim_disk *disk)
{
	sim_disk_complete(disk);
	memcpy(disk->stable, disk->now, sizeof(disk->now));
	disk->stable_count = disk->now_count;
	disk->dead = false;
	disk->kill_at = 0;
}

struct sim_file *sim_disk_file(struct sim_disk *disk, const char *name)
{
	int at = find(disk->now, disk->now_count, name);

	return at < 0 ? NULL : &disk->files[disk->now[at].file];
}

bool sim_disk_rot(struct sim_disk *disk, const char *name, uint64_t offset, unsigned bit)
{
	struct sim_file *file = sim_disk_file(disk, name);

	if (file == NULL || offset >= file->size)
		return false;
	file->now[offset] ^= (uint8_t)(1U << (bit & 7));
	file->stable[offset] ^= (uint8_t)(1U << (bit & 7));
	return true;
}

void sim_disk_save(struct sim_disk *disk, struct sim_disk_copy *ret)
{
	ret->count = disk->stable_count;
	memcpy(ret->names, disk->stable, sizeof(ret->names));
	for (size_t i = 0; i < ret->count; i++) {
		const struct sim_file *file = &disk->files[disk->stable[i].file];

		ret->sizes[i] = file->stable_size;
		ret->bytes[i] = malloc(file->stable_size + 1);
		assert(ret->bytes[i] != NULL);
		memcpy(ret->bytes[i], file->stable, file->stable_size);
	}
}

void sim_disk_restore(struct sim_disk *disk, const struct sim_disk_copy *copy)
{
	for (int i = 0; i < SIM_FILES; i++)
		if (disk->files[i].used)
			free_file(&disk->files[i]);
	disk->now_count = 0;
	for (size_t i = 0; i < copy->count; i++) {
		struct sim_name *name = &disk->now[disk->now_count++];
		struct sim_file *file;

		*name = copy->names[i];
		name->file = new_file(disk);
		file = &disk->files[name->file];
		ensure(file, copy->sizes[i]);
		memcpy(file->now, copy->bytes[i], copy->sizes[i]);
		memcpy(file->stable, copy->bytes[i], copy->sizes[i]);
		file->size = file->stable_size = copy->sizes[i];
	}
	memcpy(disk->stable, disk->now, sizeof(disk->now));
	disk->stable_count = disk->now_count;
}

void sim_disk_copy_done(struct sim_disk_copy *copy)
{
	for (size_t i = 0; i < copy->count; i++)
		free(copy->bytes[i]);
	copy->count = 0;
}
