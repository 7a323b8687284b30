#pragma once
/* A folder of files in memory behind base/sys.h, with everything a real disk does to us: what was not synced is lost or
 * torn per sector at a crash, bits rot, space ends, writes hang, and the process dies at any operation. Deterministic. */
#include "base/sys.h"

#include "rng.h"

#define SIM_SECTOR 512
#define SIM_FILES 256

struct sim_write { /* not yet durable */
	uint64_t offset;
	size_t n;
	uint8_t *bytes;
	struct sim_write *next;
};

struct sim_file {
	uint8_t *now, *stable; /* as the process sees it; as a crash would leave it, but for unsynced */
	size_t size, stable_size, capacity;
	struct sim_write *unsynced, **unsynced_end;
	bool used;
};

struct sim_name { /* name -> file */
	char name[40];
	int file; /* -1: none */
};

struct sim_disk {
	struct bulla_disk table; /* ctx points here: do not move */
	struct sim_file files[SIM_FILES];
	struct sim_name now[SIM_FILES], stable[SIM_FILES];
	size_t now_count, stable_count;
	uint64_t ops;      /* operations that change the disk, so far */
	uint64_t kill_at;  /* this operation (1 = the first) is the process's last; 0: none */
	bool dead;         /* killed: every operation fails until sim_disk_restart */
	bool hold;         /* durable writes stay in flight until sim_disk_complete: a crash tears them */
	uint64_t space;    /* bytes of all files together; 0: endless */
	struct sim_rng *rng;
};

void sim_disk_init(struct sim_disk *disk, struct sim_rng *rng);
void sim_disk_done(struct sim_disk *disk);

/* With hold: every write in flight is now durable. */
void sim_disk_complete(struct sim_disk *disk);

/* Power fails: each sector of what was not durable is kept or lost, by chance. The process may then start again. */
void sim_disk_crash(struct sim_disk *disk);

/* The process dies, the machine stays: nothing of what was written is lost. */
void sim_disk_restart(struct sim_disk *disk);

/* Flips one bit of a file as it is on disk. False when there is no such byte. */
bool sim_disk_rot(struct sim_disk *disk, const char *name, uint64_t offset, unsigned bit);

/* The file's content now; NULL when there is none. */
struct sim_file *sim_disk_file(struct sim_disk *disk, const char *name);

/* A copy of everything that is durable, and putting it back: a restored backup. */
struct sim_disk_copy {
	struct sim_name names[SIM_FILES];
	size_t count;
	uint8_t *bytes[SIM_FILES];
	size_t sizes[SIM_FILES];
};
void sim_disk_save(struct sim_disk *disk, struct sim_disk_copy *ret);
void sim_disk_restore(struct sim_disk *disk, const struct sim_disk_copy *copy);
void sim_disk_copy_done(struct sim_disk_copy *copy);
