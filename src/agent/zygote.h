#pragma once
/* The zygote: a small single-threaded process, forked before any key exists, that makes sandboxes. It sees a private root
 * (read-only /usr and the bundles) and speaks only over its socket to the process that made it.
 *
 * A sandbox has namespaces of its own (user, pid, mount, net, ipc, uts, cgroup), /usr and its bundle read-only, a /tmp of
 * its own without exec, null, zero and urandom as devices, no network but lo, a seccomp filter, Landlock and a cgroup where
 * the kernel has them, resource limits, no capability. Works as root and, with user namespaces, as anybody. */
#include "base/buf.h"

/* What the kernel gave; shown in the status. */
#define BULLA_SANDBOX_USERNS 1u
#define BULLA_SANDBOX_LANDLOCK 2u
#define BULLA_SANDBOX_CGROUP 4u        /* version 2: one per sandbox */
#define BULLA_SANDBOX_CGROUP_SHARED 8u /* version 1: one for all of an enclave's, each sandbox by rlimits */

struct bulla_zygote {
	int fd;               /* to the zygote, SOCK_SEQPACKET, non-blocking after bulla_zygote_seal */
	int pid_fd;
	uint32_t features;    /* BULLA_SANDBOX_*, known after bulla_zygote_seal */
	struct bulla_zygote_ask *first, *last; /* spawns not answered yet, in order */
};

/* Limits of one sandbox and how its process starts. Fixed numbers: they travel as they are. */
struct bulla_sandbox_limits {
	uint64_t memory;      /* bytes */
	uint32_t processes;
	uint32_t network;     /* 1: lo is up and internet sockets work on it (`serve`) */
	uint32_t sandboxes;   /* of this agent at once; 0 = 1 */
};

/* A sandbox that is made and waits for its go. The descriptors belong to the caller. */
struct bulla_sandbox {
	int pid_fd;           /* readable when everything in it is dead; SIGKILL to it kills everything in it */
	int control;          /* to its first process, SOCK_SEQPACKET: bulla_sandbox_go, _term, _event */
	int in, out, err;     /* the agent's stdin (write), stdout and stderr (read); non-blocking */
	int32_t pid;          /* in the caller's pid namespace */
	uint32_t slot;        /* the zygote's number of it, free again when it is dead */
};

/* One question for a sandbox; the caller owns it until `done` was called. */
struct bulla_zygote_ask {
	struct bulla_zygote_ask *next;
	void (*done)(void *ctx, bulla_rc rc, const struct bulla_sandbox *sandbox);
	void *ctx;
};

/* Forks the zygote. To be called first: before threads, keys, other descriptors. Blocks until it stands.
 * BULLA_E_UNSUPPORTED where the kernel has no way to make sandboxes (neither root nor user namespaces). */
BULLA_CHECK bulla_rc bulla_zygote_start(struct bulla_zygote *ret);

/* Closes the socket; the zygote and all its sandboxes die. */
void bulla_zygote_stop(struct bulla_zygote *zygote);

/* Announces an agent (blocks; boot only). command: arguments, each ended by a zero byte. Ids count from 0. */
BULLA_CHECK bulla_rc bulla_zygote_agent(struct bulla_zygote *zygote, uint32_t id, bulla_bytes command,
	const struct bulla_sandbox_limits *limits);

/* One file of an agent's bundle, under /agent in its sandboxes (blocks; boot only). path: relative, '/' between
 * folders, no empty, "." or ".." element. The bytes given here are the ones that were measured. */
BULLA_CHECK bulla_rc bulla_zygote_file(struct bulla_zygote *zygote, uint32_t id, const char *path, bool executable,
	bulla_bytes content);

/* Ends set-up: the zygote's root becomes read-only, sandboxes may be asked for. Blocks. */
BULLA_CHECK bulla_rc bulla_zygote_seal(struct bulla_zygote *zygote);

/* Asks for a sandbox of an agent; the answer comes through bulla_zygote_ready. BULLA_E_BUSY when the socket is full. */
BULLA_CHECK bulla_rc bulla_zygote_spawn(struct bulla_zygote *zygote, uint32_t id, struct bulla_zygote_ask *ask);

/* The zygote's socket is readable: calls `done` of each question that is answered.
 * BULLA_E_CLOSED when the zygote is dead. */
BULLA_CHECK bulla_rc bulla_zygote_ready(struct bulla_zygote *zygote);

/* --- to one sandbox --- */

/* Starts the agent with these environment entries ("NAME=value" each ended by a zero byte) beside the fixed ones. */
BULLA_CHECK bulla_rc bulla_sandbox_go(const struct bulla_sandbox *sandbox, bulla_bytes environment);

/* SIGTERM to the agent. */
void bulla_sandbox_term(const struct bulla_sandbox *sandbox);

/* SIGKILL to everything in it. */
void bulla_sandbox_kill(const struct bulla_sandbox *sandbox);

/* Asks for one more internet socket of its network namespace. */
BULLA_CHECK bulla_rc bulla_sandbox_ask_socket(const struct bulla_sandbox *sandbox);

enum bulla_sandbox_event_kind { BULLA_SANDBOX_EXITED = 1, BULLA_SANDBOX_SOCKET = 2 };

struct bulla_sandbox_event {
	uint8_t kind;
	uint8_t signal;       /* of EXITED: the signal that killed the agent, or 0 */
	uint8_t code;         /* of EXITED: its exit code */
	bool memory;          /* of EXITED: it died at its memory limit */
	int fd;               /* of SOCKET: unconnected, non-blocking; the caller's */
};

/* The next event; BULLA_E_AGAIN when there is none, BULLA_E_CLOSED when the sandbox is dead. */
BULLA_CHECK bulla_rc bulla_sandbox_event(const struct bulla_sandbox *sandbox, struct bulla_sandbox_event *ret);

/* Closes its descriptors. Does not kill. */
void bulla_sandbox_close(struct bulla_sandbox *sandbox);
