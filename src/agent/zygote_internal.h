#pragma once
/* Inside the zygote and its sandboxes: shared by zygote_*.c only. */
#include "agent/zygote.h"
#include "base/limits.h"

#include <sys/types.h>

/* Messages to the zygote: kind u8, then fields in the order of the functions of zygote.h (integers little-endian); the
 * answer is kind u8, rc u16. All on one SOCK_SEQPACKET socket, one message per packet. */
enum bulla_zygote_message {
	BULLA_ZYGOTE_HELLO = 1, /* the zygote's first word: it stands */
	BULLA_ZYGOTE_AGENT = 2,
	BULLA_ZYGOTE_FILE = 3,
	BULLA_ZYGOTE_SEAL = 4,  /* answer: + features u32 */
	BULLA_ZYGOTE_SPAWN = 5, /* answer: + pid u32, slot u32 and five descriptors */
};

#define BULLA_ZYGOTE_PACKET 65536
#define BULLA_ZYGOTE_CHUNK 49152 /* content bytes per FILE message */
#define BULLA_ZYGOTE_PATH 1024
#define BULLA_SANDBOX_FDS 5      /* pid_fd, control, in, out, err */
#define BULLA_SANDBOX_UID 1000   /* inside */
/* Outside, where root makes the sandboxes, each has a user of its own: the zygote's first + slot. A zygote's first is random
 * among 2^24, from a range that no user, no container and no daemon has (2^31 to 2^31 + 2^30): the kernel counts a user's
 * processes over the whole machine. Where not every user is mapped, all zygotes share the low range. */
#define BULLA_SANDBOX_OUTER_UID UINT32_C(0x80000000)
#define BULLA_SANDBOX_OUTER_UID_SHARED 64000
#define BULLA_SANDBOX_ENVIRONMENT 4096

/* To a sandbox's first process: GO + environment, TERM, SOCKET. From it: EXITED how u8, value u8, memory u8; SOCKET + fd. */
enum bulla_sandbox_message {
	BULLA_SANDBOX_GO = 1,
	BULLA_SANDBOX_TERM = 2,
	BULLA_SANDBOX_SOCK = 3,
	BULLA_SANDBOX_EXIT = 4,
	BULLA_SANDBOX_MAP = 5,
};

/* One agent as the zygote knows it. */
struct bulla_nursery_agent {
	struct bulla_sandbox_limits limits;
	uint32_t command_size;
	char command[BULLA_MAX_AGENT_COMMAND + 1];
};

/* --- zygote_cgroup.c: opened as root before the private root hides /sys. Every call is harmless without cgroups --- */
struct bulla_cgroups {
	int version;      /* 0: none */
	int memory, pids; /* folders of ours; with version 2 both are the same */
};

/* What one sandbox has: a folder to clone into (version 2) and the counter of its out-of-memory kills. */
struct bulla_cgroup_slot {
	int into;
	int events;
};

/* Opens what there is; version 0 in ret without root or without cgroups. */
void bulla_cgroups_open(struct bulla_cgroups *ret);

/* Version 2: makes the slot's group (or takes it again) with these limits. BULLA_E_IO: run without. */
BULLA_CHECK bulla_rc bulla_cgroups_slot(const struct bulla_cgroups *groups, uint32_t slot,
	const struct bulla_sandbox_limits *limits, struct bulla_cgroup_slot *ret);

/* Version 1: the calling process and all that it will make enter one group with these limits together. False when that
 * does not work: run without. Version 2 and none: nothing to do. */
bool bulla_cgroups_join(const struct bulla_cgroups *groups, uint64_t bytes, uint32_t processes);

/* Removes what is empty, at the end. */
void bulla_cgroups_remove(const struct bulla_cgroups *groups, uint32_t slots);

/* Out-of-memory kills so far, read from an `events` descriptor. */
uint64_t bulla_cgroup_kills(int events);

/* --- zygote_root.c --- */

/* Gives the calling process a private root: read-only /usr, /dev with three devices, empty /tmp, /agent, /bundles.
 * ret_proc: /proc as it was, for identity maps. ret_userns: made with a user namespace (not root). */
BULLA_CHECK bulla_rc bulla_root_make(int *ret_proc, bool *ret_userns);

/* From now on nothing can be written but in mounts made later. */
BULLA_CHECK bulla_rc bulla_root_seal(void);

/* Writes bytes to the file at path below folder; opened with flags, closed again. */
BULLA_CHECK bulla_rc bulla_root_write(int folder, const char *path, int flags, mode_t mode, bulla_bytes bytes);

/* --- zygote_seccomp.c --- */

/* Installs the filter on the calling process. BULLA_E_UNSUPPORTED without seccomp. */
BULLA_CHECK bulla_rc bulla_seccomp_install(bool network);

/* --- zygote_landlock.c --- */

/* True when the kernel has Landlock. */
bool bulla_landlock_present(void);

/* Read and execute everywhere, write in /tmp and to devices only. */
BULLA_CHECK bulla_rc bulla_landlock_restrict(void);

/* --- zygote_box.c: the first process of a sandbox --- */
struct bulla_box {
	uint32_t id;           /* agent: its bundle */
	bool cover;            /* other agents' bundles are there too */
	bool landlock;
	bool root;             /* made by root: supplementary groups must go */
	uint32_t uid;          /* to become */
	int control, in, out, err, events;
	const struct bulla_nursery_agent *agent;
};

/* Waits for the map (a first packet: its identity map is written), sets the sandbox up, waits for the go, runs the
 * agent, tells how it ended. Does not return. */
_Noreturn void bulla_box_main(const struct bulla_box *box);

/* --- zygote_main.c: the zygote process --- */
_Noreturn void bulla_nursery_main(int fd);

/* --- zygote_fds.c: packets with descriptors --- */

/* Sends one packet with count (<= BULLA_SANDBOX_FDS) descriptors. BULLA_E_AGAIN, BULLA_E_CLOSED. */
BULLA_CHECK bulla_rc bulla_packet_send(int fd, bulla_bytes packet, const int *fds, size_t count);

/* Receives one packet into memory of size bytes; descriptors (at most capacity) are the caller's.
 * BULLA_E_AGAIN, BULLA_E_CLOSED; BULLA_E_LIMIT when it was cut. */
BULLA_CHECK bulla_rc bulla_packet_receive(int fd, uint8_t *memory, size_t size, bulla_bytes *ret, int *ret_fds,
	size_t capacity, size_t *ret_count);
