#pragma once
/* Agents and their attempts. A pool runs the attempts of one agent in sandboxes that the zygote makes; it does no I/O of
 * its own choosing: descriptors are watched by the caller's loop, time comes in as a parameter. engine.md section 8.
 * The program must ignore SIGPIPE (agents close their stdin when they like).
 *
 * An attempt is one JSON value in, one JSON value out. It always ends in exactly one call of its `done`; what went wrong
 * is an outcome (wire/kinds.h), never an error of the program. */
#include "agent/zygote.h"

struct bulla_agent_pool;
struct bulla_agent_box;
struct bulla_agent_watch;

enum bulla_agent_binding {
	BULLA_AGENT_RUN = 1,    /* a fresh process per attempt: stdin, stdout, exit code 0, 75 = try again, other = failed */
	BULLA_AGENT_SERVE = 2,  /* long-lived: GET /ping, POST /invocations on 127.0.0.1:8080 of its own network namespace */
	BULLA_AGENT_STREAM = 3, /* long-lived: one JSON value a line in, one a line out, in order */
};

/* What the manifest says about an agent. Borrowed by the pool for its life. */
struct bulla_agent_spec {
	enum bulla_agent_binding binding;
	uint32_t id;            /* of the zygote: which bundle it sees under /agent */
	bulla_bytes command;    /* arguments, each ended by a zero; the first is looked up in PATH, or from /agent */
	uint64_t memory;        /* bytes; 0 = BULLA_MAX_AGENT_MEMORY */
	uint32_t processes;     /* at once, threads included; 0 = BULLA_MAX_AGENT_PROCESSES */
	uint32_t output;        /* bytes of one output; 0 = BULLA_MAX_PAYLOAD */
	uint32_t sandboxes;     /* at once; 0 = 1 */
	uint32_t in_flight;     /* questions a `stream` agent may hold at once, 1..16; 0 = 1 */
	uint32_t reuse;         /* attempts of one long-lived process; 0 = BULLA_MAX_AGENT_REUSE */
};

/* What an attempt may know about itself; `stream` agents get none of it. */
struct bulla_agent_facts {
	bulla_bytes run;        /* BULLA_RUN: the run id in hexadecimal */
	bulla_bytes step;       /* BULLA_STEP: its name */
	uint32_t attempt;       /* BULLA_ATTEMPT */
	int64_t deadline_s;     /* BULLA_DEADLINE: Unix seconds */
	bulla_digest once;      /* BULLA_ONCE: digest of the slot, the same for all attempts */
};

struct bulla_agent_result {
	uint32_t outcome;       /* BULLA_OUTCOME_OK or a failure class */
	bulla_bytes output;     /* one JSON value without white space around it; only with BULLA_OUTCOME_OK */
	bulla_bytes log;        /* the last bytes of stderr, at most BULLA_MAX_AGENT_LOG; anything may be in it */
	uint64_t log_dropped;   /* bytes of stderr before them */
	bool reused;            /* the process had run another attempt before */
	int64_t took_us;
};

/* One attempt. The caller owns it and everything it points to until `done` was called; the result's views end with
 * that call. `done` may submit the next job. */
struct bulla_agent_job {
	bulla_bytes input;      /* one JSON value, checked by the caller */
	struct bulla_agent_facts facts;
	int64_t timeout_us;     /* of the agent's own time; must be > 0 */
	bool fresh;             /* refuse a process that ran before */
	void (*done)(void *ctx, struct bulla_agent_job *job);
	void *ctx;
	struct bulla_agent_result result;
	/* of the pool */
	struct bulla_agent_job *next;
	struct bulla_agent_box *box;
	int64_t started_us;
	bool cancelled;
};

/* How the pool's descriptors are watched. events: bit 0 readable, bit 1 writable. A token is watched with one set of
 * events at a time; watch again replaces it; events 0 forgets the descriptor (before it is closed). */
#define BULLA_AGENT_READ 1u
#define BULLA_AGENT_WRITE 2u
struct bulla_agent_loop {
	void *ctx;
	bulla_rc (*watch)(void *ctx, int fd, unsigned events, struct bulla_agent_watch *token);
	int64_t (*now_us)(void *ctx);
};

/* One watched descriptor; the caller stores it as the token and hands it to bulla_agent_ready. */
struct bulla_agent_watch {
	struct bulla_agent_pool *pool;
	struct bulla_agent_box *box;
	int fd;
	uint8_t what;
	unsigned events;
};

/* Numbers for the status, since the pool was made. */
struct bulla_agent_stats {
	uint64_t attempts, started, killed, log_dropped;
	uint32_t ready, busy, waiting;
};

/* A pool for one agent, known to the zygote (bulla_zygote_agent). Allocates all it will need but input copies of
 * long-lived agents, which are kept. The first sandboxes are asked for at once. */
BULLA_CHECK bulla_rc bulla_agent_pool_new(const struct bulla_agent_spec *spec, struct bulla_zygote *zygote,
	const struct bulla_agent_loop *loop, struct bulla_agent_pool **ret);

/* Kills every sandbox; jobs that are waiting or running end as BULLA_OUTCOME_LOST. NULL is allowed. */
void bulla_agent_pool_free(struct bulla_agent_pool *pool);

/* Queues an attempt. BULLA_E_BUSY when BULLA_MAX_AGENT_QUEUE jobs wait. */
BULLA_CHECK bulla_rc bulla_agent_submit(struct bulla_agent_pool *pool, struct bulla_agent_job *job);

/* A waiting job ends at once (BULLA_OUTCOME_LOST); of a running one the process gets SIGTERM and, five seconds later,
 * SIGKILL (`run`), or its answer is thrown away (long-lived). `done` is called in every case. */
void bulla_agent_cancel(struct bulla_agent_pool *pool, struct bulla_agent_job *job);

/* Something happened at a watched descriptor. */
void bulla_agent_ready(struct bulla_agent_watch *watch, unsigned events);

/* End of a turn: writes what was queued, one write per process; enforces time limits. */
void bulla_agent_turn(struct bulla_agent_pool *pool);

/* When bulla_agent_turn must be called at the latest, in the loop's microseconds; INT64_MAX: no need. */
int64_t bulla_agent_due(const struct bulla_agent_pool *pool);

/* Attempts that may be submitted at once without waiting. */
uint32_t bulla_agent_window(const struct bulla_agent_pool *pool);

/* Most descriptors that it watches at once. */
uint32_t bulla_agent_watches(const struct bulla_agent_pool *pool);

/* Counters since the start, and processes and jobs as they stand now. */
struct bulla_agent_stats bulla_agent_stats(const struct bulla_agent_pool *pool);
