#pragma once
/* One supervised process: started, watched, started again when it dies. An enclave has its security module on a socket
 * that it inherits as descriptor 3; when it dies the module's registers die with it. */
#include "io/loop.h"
#include "platform/nsm.h"
#include "platform/sealed.h"

#define BULLA_CHILD_ARGS 640 /* the engine gets two per enclave */
#define BULLA_CHILD_TEXT 65536
#define BULLA_CHILD_NSM_FD 3

struct bulla_child {
	const char *argv[BULLA_CHILD_ARGS + 1]; /* into text */
	char text[BULLA_CHILD_TEXT];
	size_t text_size, arg_count;
	char log_path[1024];
	struct bulla_sealed *enclave; /* an enclave: its program is loaded here, measured and run from here; NULL: none */
	bool wanted;          /* start it again when it dies */
	bool may_leave;       /* but not when it ends in order: an enclave of an earlier epoch */
	pid_t pid;            /* 0: not running */
	int64_t started_us, next_us; /* last start; earliest next start (mono) */
	unsigned quick_deaths;
	int nsm_fd;           /* our end, -1: none */
	struct bulla_dev_nsm nsm;
	struct bulla_buf in;  /* request being received */
	struct bulla_watch watch;
	struct bulla_loop *loop;
};

/* child is zeroed memory (bulla_alloc). An empty child that logs to log_path (appended; the process's stderr and stdout). */
BULLA_CHECK bulla_rc bulla_child_init(struct bulla_child *child, struct bulla_loop *loop, const char *log_path);
void bulla_child_done(struct bulla_child *child);

/* Appends an argument (copied); BULLA_E_LIMIT. The first one is the program's path. */
BULLA_CHECK bulla_rc bulla_child_arg(struct bulla_child *child, const char *text);

/* Starts it; an enclave's program is measured first, and what was measured is what runs. */
BULLA_CHECK bulla_rc bulla_child_start(struct bulla_child *child, const struct bulla_dev_pki *pki,
	const struct bulla_clock *clock, const struct bulla_random *random);

/* It was seen to have died: closes its module, says when it may start again (10 ms, doubling up to 1 s while it dies
 * within 2 s). */
void bulla_child_died(struct bulla_child *child, int64_t now_us);

/* Asks it to end (SIGTERM) and not to be started again. */
void bulla_child_stop(struct bulla_child *child, int signal_number);
