#pragma once
/* Inside the pool: shared by pool*.c only. */
#include "agent/agent.h"
#include "base/limits.h"
#include "base/wr.h"

enum box_state {
	BOX_EMPTY,    /* no sandbox */
	BOX_ASKED,    /* the zygote makes one */
	BOX_READY,    /* made; `run`: waits for its attempt; long-lived: takes attempts */
	BOX_WARMING,  /* `serve`: has not answered its first ping */
	BOX_BUSY,     /* `run`: has its attempt */
};

enum box_watch { WATCH_CONTROL, WATCH_IN, WATCH_OUT, WATCH_ERR, WATCH_COUNT };

/* The end of what an agent said on stderr. */
struct bulla_agent_tail {
	uint8_t bytes[BULLA_MAX_AGENT_LOG * 2];
	size_t n;
	uint64_t dropped;
};

/* One HTTP connection to a `serve` agent. */
struct bulla_agent_link {
	struct bulla_agent_watch watch;
	struct bulla_agent_job *job; /* NULL: idle, or pinging */
	struct bulla_buf out, in;
	size_t sent;
	int fd;                      /* -1: none */
	bool asked;                  /* the socket was asked for and has not come */
	bool connecting, ping;
	int64_t retry_us;            /* connect again then; 0: no */
};

struct bulla_agent_box {
	struct bulla_agent_pool *pool;
	enum box_state state;
	struct bulla_zygote_ask ask;
	struct bulla_sandbox sandbox;
	struct bulla_agent_watch watch[WATCH_COUNT];
	/* attempts inside, oldest first */
	struct bulla_agent_job *first, *last;
	uint32_t in_flight;
	uint32_t served;             /* attempts begun in this process */
	struct bulla_buf in;         /* long-lived: what stdin has still to get */
	size_t in_at;                /* sent of `in`, or of the attempt's input (`run`) */
	struct bulla_buf out;
	size_t scanned;              /* of `out`: no line end before here */
	bool out_ended, exited, lost_control, poisoned, timed_out, too_long;
	bool err_read;               /* stderr was read after the output that is being taken */
	struct bulla_sandbox_event end;
	int64_t kill_us;             /* SIGKILL then; 0: no */
	int64_t begun_us;            /* `serve`: when the process started */
	struct bulla_agent_tail tail;
	struct bulla_agent_link *links;
};

struct bulla_agent_pool {
	const struct bulla_agent_spec *spec;
	struct bulla_zygote *zygote;
	struct bulla_agent_loop loop;
	struct bulla_agent_job *first, *last; /* waiting */
	uint32_t waiting;
	uint32_t box_count, link_count;
	uint32_t output_max, in_flight_max, reuse_max;
	int64_t retry_us;            /* the zygote refused: ask again then */
	struct bulla_agent_stats stats;
	struct bulla_agent_box boxes[];
};

/* What a binding does differently. */
struct bulla_agent_ops {
	/* May this box take one more attempt now? */
	bool (*takes)(const struct bulla_agent_box *box);
	/* Gives it the attempt (already in the box's list). */
	void (*begin)(struct bulla_agent_box *box, struct bulla_agent_job *job);
	/* The sandbox came: long-lived processes start here. */
	void (*made)(struct bulla_agent_box *box);
	/* Bytes or the end came on stdout. */
	void (*out)(struct bulla_agent_box *box);
	/* The process ended (box->end, or lost_control). */
	void (*ended)(struct bulla_agent_box *box);
	/* End of a turn: write. */
	void (*turn)(struct bulla_agent_box *box, int64_t now_us);
};
extern const struct bulla_agent_ops bulla_agent_run_ops;
extern const struct bulla_agent_ops bulla_agent_stream_ops;
extern const struct bulla_agent_ops bulla_agent_serve_ops;

/* The loop's time, microseconds of its monotonic clock. */
static inline int64_t bulla_agent_now(const struct bulla_agent_pool *pool)
{
	return pool->loop.now_us(pool->loop.ctx);
}

/* Reads what is there (at most one chunk) into out. Sets out_ended; false when nothing came. */
bool bulla_box_read_out(struct bulla_agent_box *box);

/* Reads what is there of stderr (at most one chunk). */
void bulla_box_read_err(struct bulla_agent_box *box);

/* Writes from *at on, moves *at. True when all is out or nobody reads any more. */
bool bulla_box_write_in(struct bulla_agent_box *box, bulla_bytes bytes, size_t *at);

/* Ends the job (which must be in the box's list): takes it off, fills the log in, calls done. */
void bulla_box_finish(struct bulla_agent_box *box, struct bulla_agent_job *job, uint32_t outcome, bulla_bytes output);

/* The oldest waiting job fails because of this box, with its log. Harmless when none waits. */
void bulla_box_fail_waiting(struct bulla_agent_box *box, uint32_t outcome);

/* Outcome and trimmed output of what should be exactly one JSON value. */
uint32_t bulla_agent_output(bulla_bytes text, bulla_bytes *ret);

/* How the process ended, as a failure class; BULLA_OUTCOME_OK for exit code 0. */
uint32_t bulla_box_end_class(const struct bulla_agent_box *box);

/* Kills the sandbox; attempts that are still in it go back to the front of the queue. The box is empty afterwards; with
 * `again` the next sandbox is asked for at once. */
void bulla_box_drop(struct bulla_agent_box *box, bool again);

/* (Re)watches one of the box's descriptors. A failure drops the box. */
void bulla_box_watch(struct bulla_agent_box *box, enum box_watch what, unsigned events);

/* Adds to what an agent said on stderr; of all only the newest BULLA_MAX_AGENT_LOG bytes are kept. */
void bulla_agent_tail_add(struct bulla_agent_tail *tail, bulla_bytes bytes);

/* The kept bytes, borrowed until the next add; *ret_dropped counts those before them. */
bulla_bytes bulla_agent_tail_view(const struct bulla_agent_tail *tail, uint64_t *ret_dropped);

/* `run`: the environment of an attempt; `serve`: its headers are made from the same facts. */
void bulla_agent_environment(const struct bulla_agent_facts *facts, bulla_wr *w);

/* --- pool_serve.c --- */

/* Memory of pool->link_count connections, none of them open. BULLA_E_MEMORY. */
BULLA_CHECK bulla_rc bulla_agent_links_new(struct bulla_agent_box *box);

/* Frees it; the connections are closed before. Harmless without. */
void bulla_agent_links_free(struct bulla_agent_box *box);

/* Closes one connection; its job stays in the box's list. */
void bulla_agent_link_close(struct bulla_agent_link *link);

/* A socket that was asked for came: it is connected, or closed when nobody wants it any more. */
void bulla_agent_link_socket(struct bulla_agent_box *box, int fd);

/* BULLA_AGENT_READ or _WRITE at connection i. */
void bulla_agent_link_ready(struct bulla_agent_box *box, unsigned i, unsigned events);
