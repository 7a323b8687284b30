#pragma once
/* Inside of the host's shell. */
#include "engine/core.h"
#include "engine/host.h"
#include "engine/librarian.h"
#include "io/addr.h"
#include "io/pipe.h"
#include "io/sys.h"
#include "journal/thread.h"

struct host;

/* A connection that carries frames. Its place in host->conns is the last 10 bits of its peer number. */
struct conn {
	struct host *host;
	struct bulla_pipe *pipe; /* NULL: free */
	struct bulla_frames *frames;
	bulla_engine_peer peer;
	enum bulla_role role; /* expected */
	struct dial *dial;    /* NULL: it came to us */
	bool own;             /* of the user that we run as, or root */
	bool up;              /* HELLO is done, the engine knows it */
	bool lost;            /* ended, and the engine does not know it yet */
};

/* Somebody we keep a connection to. */
struct dial {
	struct bulla_addr addr;
	enum bulla_role role;
	struct conn *conn; /* NULL: not connected */
	int64_t again_us;
	int64_t delay_us;
};

/* Bytes between an enclave and the broker. */
struct relay {
	struct host *host;
	struct conn *conn; /* NULL: free */
	struct bulla_pipe *pipe;
	uint32_t stream;
	struct relay *next; /* free list */
};

#define RELAYS 512

struct host {
	const struct bulla_host_options *options;
	struct bulla_loop loop;
	struct bulla_engine *engine;
	struct bulla_sys_disk journal_disk, librarian_disk;
	struct bulla_journal *journal;
	struct bulla_librarian *librarian;
	struct bulla_catalogue *catalogue; /* until the librarian has it */
	struct bulla_listener listener;
	struct bulla_watch journal_watch, librarian_watch, signal_watch;
	struct conn *conns; /* BULLA_MAX_PEERS */
	uint32_t *generations;
	uint32_t conn_count; /* places ever used */
	uint32_t client_count, client_max;
	struct dial *dials;
	size_t dial_count;
	struct bulla_addr broker_tls;
	struct relay *relays, *free_relay;
	uint8_t boot_id[16];
	int64_t arm_ms; /* INT64_MAX: no need */
	int64_t told_us; /* when the librarian got what it was told */
	int64_t stop_us; /* SIGTERM came: until then */
	bulla_rc fatal;
	bool looping, stepping;
};

/* host_conns.c */
BULLA_CHECK bulla_rc host_conns_init(struct host *host);
void host_conns_done(struct host *host);
void host_accept(void *ctx, int fd);
void host_dial_all(struct host *host, int64_t now_us);
void host_tick(struct host *host, int64_t now_us);
/* Clients that do not read: together they hold at most CLIENTS_OUTPUT. */
void host_limit_output(struct host *host);
int64_t host_conns_deadline(struct host *host);
struct bulla_engine_effects host_effects(struct host *host);

/* host_relay.c */
BULLA_CHECK bulla_rc host_relay_init(struct host *host);
void host_relay_done(struct host *host);
/* A RELAY frame of an enclave: a request opens, events carry bytes. */
void host_relay_frame(struct conn *conn, const struct bulla_frame *frame);
void host_relay_conn_down(struct conn *conn);

/* host.c */
void host_step(struct host *host, struct bulla_engine_input *input);
int64_t host_wall_ms(void);
