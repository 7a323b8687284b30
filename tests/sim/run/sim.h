#pragma once
/* One world: host (the real engine core), broker (the real ledger core), both on the real journal over virtual disks; model
 * enclaves and clients; one seeded scheduler with a virtual clock. Everything follows from the seed. */
#include "broker/ledger.h"
#include "disk.h"
#include "engine/core.h"
#include "engine/spans.h"
#include "crypto/hash.h"
#include "flow/flows.h"
#include "flow/parents.h"
#include "journal/writer.h"
#include "wire/messages.h"
#include "world.h"

#define SIM_ENCLAVES 3
#define SIM_CLIENTS 3
#define SIM_RUNS 12
#define SIM_STEPS 8
#define SIM_ATTEMPTS 64
#define SIM_JOBS 64
#define SIM_FLOWS 4
#define SIM_SEGMENT (64 * 1024)
#define SIM_BASE_MS INT64_C(1800000000000)

/* connections, by place: 0 none, 1 host-broker, 2.. host-enclave, then client-host, last: a second host at the broker */
#define CONN_BROKER 1
#define CONN_ENCLAVE(i) (2 + (i))
#define CONN_CLIENT(i) (2 + SIM_ENCLAVES + (i))
#define CONN_INTRUDER (2 + SIM_ENCLAVES + SIM_CLIENTS)
#define SIM_CONNS (CONN_INTRUDER + 1)

enum sim_side { SIDE_HOST = 0, SIDE_OTHER = 1 }; /* who gets a message */

enum sim_event_kind {
	EV_DELIVER = 1, /* a: conn, b: side */
	EV_CONNECT,     /* a: conn */
	EV_HOST_TURN,
	EV_HOST_TIMER,
	EV_HOST_WRITE,
	EV_HOST_WRITTEN,
	EV_HOST_FILL,
	EV_HOST_LOADED,
	EV_HOST_START,
	EV_BROKER_WRITE,
	EV_BROKER_WRITTEN,
	EV_BROKER_FILL,
	EV_BROKER_TOKENS,
	EV_BROKER_START,
	EV_ENCLAVE_DONE, /* a: enclave, b: job */
	EV_ENCLAVE_BOOT, /* a: enclave */
	EV_ENCLAVE_ATTEST,
	EV_CLIENT,       /* a: client */
	EV_FAULT,
	EV_MISCHIEF,
	EV_SPACE,  /* a: 0 host, 1 broker: the disk has space again */
	EV_AMBUSH, /* a: the same: it loses power, a write is or was just now under way */
};

struct sim_event {
	int64_t at_us;
	uint64_t seq;
	uint8_t kind, op;
	uint16_t flags;
	uint32_t a, b, gen, stream;
	uint64_t ticket;
	uint8_t *body; /* owned */
	size_t n;
};

struct sim_conn {
	bool up;
	uint32_t gen; /* of the connection */
	int64_t last_us[2];
};

/* Bytes in a queue. */
struct sim_parcel {
	uint8_t *p;
	size_t n;
	uint32_t count;
	uint64_t lsn;
};

struct sim_queue {
	struct sim_parcel items[512];
	uint32_t head, count;
};

/* A process that writes a journal. */
struct sim_writer {
	struct sim_disk disk;
	struct bulla_journal_writer writer;
	struct bulla_journal_fill fill;
	bool open, busy;       /* busy: a write is in flight */
	struct sim_queue queue; /* submitted */
	struct sim_queue flying;
	struct bulla_journal_done done;
	uint64_t next_lsn;
	size_t backlog;
	bool full;
	bool confirming;        /* the write in flight is an empty batch, after some time without records */
	int64_t written_us;     /* end of the last write of records */
	uint64_t sure_lsn;      /* records before it were confirmed: no damage can be taken for a torn tail */
	uint32_t ambush;        /* so many writes from now; 0: none */
	bool ambush_after;      /* between sync and answers; else while the write is in flight or soon after */
};

/* What an operator would see of damage. */
struct sim_decay {
	uint64_t rotted, refused, tails, stale;
};

struct sim_row {
	bulla_run_id run;
	uint8_t *p;
	size_t n;
};

/* An object in the catalogue; told after so many rows. */
#define SIM_OBJECTS 512
struct sim_stored {
	uint8_t *p;
	size_t n, after_rows;
};

struct sim_host {
	bool alive;
	uint32_t gen; /* of the process */
	struct bulla_engine *engine;
	struct sim_writer w;
	bool turn_due;
	int64_t skew_ms; /* of the dates it sees */
	int64_t timer_us;
	uint32_t timer_gen;
	/* the catalogue: rows in the order they were told; the first `row_sure` are in it for good */
	struct sim_row rows[SIM_RUNS + 4];
	size_t row_count, row_sure;
	bool catalogue_stays; /* nobody put it back with the journal */
	struct sim_stored objects[SIM_OBJECTS];
	size_t object_count;
	uint64_t stuck;
};

struct sim_reply {
	uint64_t lsn;
	uint32_t conn, conn_gen, stream;
	uint8_t op;
	uint16_t flags;
	uint8_t *p;
	size_t n;
};

struct sim_broker {
	bool alive;
	uint32_t gen;
	struct bulla_ledger *ledger;
	struct sim_writer w;
	struct sim_reply replies[512];
	uint32_t reply_head, reply_count;
	bool tokens_due;
};

struct sim_job {
	bool used, running;
	struct bulla_position position;
	uint32_t session, conn_gen, stream, plan;
	uint8_t *result; /* `executed`, until stored */
	size_t n;
	bulla_digest receipt, parents, inputs;
	bulla_digest manifest;
};

struct sim_enclave {
	bool alive;
	uint32_t life; /* how often it was started */
	uint32_t boot, session, attesting; /* session numbers; 0: none */
	uint64_t attest_lsn;
	uint32_t attest_gen; /* of the broker */
	uint32_t attest_seq;
	bulla_digest kid;
	int64_t lapses_ms, lasts_ms;
	struct sim_job jobs[SIM_JOBS];
	struct bulla_position seen[512]; /* attempts run since boot */
	size_t seen_count;
};

struct sim_client {
	uint32_t run; /* number of the run it drives now; SIM_RUNS: none */
	bool waiting, started, fetching; /* fetching: its bundle */
	uint32_t stream;
	int64_t asked_us;
	struct bulla_buf bundle; /* as far as it came */
};

/* What is durable in the ledger, folded by a second, simpler hand. */
struct truth_slot {
	uint32_t last;
	bool open, filled;
	bulla_digest instance, receipt;
	uint64_t filled_ms;
	uint8_t outcome;
	uint32_t filled_by, lost;
};

struct sim_run {
	bulla_run_id id;
	uint32_t plan;
	uint64_t made_ms;
	uint8_t *start_body; /* of its START */
	size_t start_size;
	bool wanted, acknowledged, ended; /* asked for; START answered; result seen by a client */
	uint8_t state;
	/* truth */
	bool known;
	uint64_t ledger_no;
	bulla_digest start;
	struct truth_slot slots[SIM_STEPS];
	/* over all time */
	uint8_t ran[SIM_STEPS][SIM_ATTEMPTS];      /* how often an attempt was begun in an enclave */
	bulla_digest made[SIM_STEPS][SIM_ATTEMPTS]; /* the receipt it gave; zero: none yet */
	bool cancelled;
};

struct sim_options {
	uint64_t seed;
	bool trace;
	bool early_answer, early_durable, no_parents, no_once, forget_used; /* mutants of the simulator's own parts */
	const char *mutant;
	bool no_listed, no_instance, trust_catalogue; /* more of them */
	uint64_t kill_host, kill_broker; /* at this disk operation; 0: by chance */
	bool quiet;                      /* no faults but the kill */
};

struct sim {
	struct sim_options options;
	struct sim_rng rng, disk_rng;
	struct sim_world world;
	struct flows flows[SIM_FLOWS];
	uint8_t manifest[32768];
	size_t manifest_size;
	bulla_digest manifest_digest;
	/* scheduler */
	int64_t now_us;
	uint64_t seq, steps;
	struct sim_event *heap;
	size_t heap_count, heap_capacity;
	/* actors */
	struct sim_conn conns[SIM_CONNS];
	struct sim_host host;
	struct sim_broker broker;
	struct sim_enclave enclaves[SIM_ENCLAVES];
	struct sim_client clients[SIM_CLIENTS];
	struct sim_run runs[SIM_RUNS];
	uint32_t run_count;
	uint32_t sessions;
	/* faults */
	bool faults_over, mischief;
	bool is_signed; /* signed.h */
	bool lossy_host, lossy_ledger; /* an old disk was put back, or its last batch is gone: named in what follows */
	bool short_permits;            /* the broker sometimes lists fewer parents than the plan has */
	uint32_t residents;            /* of the host */
	int64_t park_ms;
	uint32_t escrow_runs;
	uint32_t facts_max;            /* of a run; 0: as ever */
	int64_t faults_end_us;
	uint32_t fault_count;
	struct sim_disk_copy old_host, old_broker;
	bool have_old_host, have_old_broker;
	struct sim_decay decay;
	uint8_t *seen_frames[64];
	size_t seen_sizes[64];
	uint8_t *seen_executes[64];
	size_t seen_execute_sizes[64];
	uint64_t seen_count, seen_execute_count, seen_commit_count;
	struct {
		bulla_run_id run;
		uint8_t bytes[512];
		size_t n;
	} seen_commits[64]; /* what passed the host's hands */
	struct {
		bulla_digest digest;
		uint8_t bytes[1024];
		size_t n;
	} seen_records[64]; /* start and receipt records */
	uint64_t seen_record_count;
	int64_t session_lapses[1024];
	bool session_short[1024]; /* does not host the last agent */
	/* record of what was durable in the ledger */
	bulla_digest *ledger_records;
	uint64_t ledger_count, ledger_capacity;
	char failure[160];
	bool failed;
	/* figures */
	uint64_t crashes, cuts, refused_jobs, verified, loads;
};

/* --- scheduler --- */
void sim_at(struct sim *sim, int64_t delay_us, struct sim_event event);
int64_t sim_now_ms(const struct sim *sim);
uint64_t sim_rand(struct sim *sim, uint64_t below);
bool sim_one_in(struct sim *sim, uint64_t in);
void sim_fail(struct sim *sim, const char *what, uint32_t run, uint32_t step);
void sim_trace(struct sim *sim, const char *what, uint64_t a, uint64_t b, uint64_t c);
uint8_t *sim_copy(bulla_bytes bytes);

/* --- net --- */
void net_send(struct sim *sim, uint32_t conn, enum sim_side to, uint8_t op, uint16_t flags, uint32_t stream, bulla_bytes body);
void net_cut(struct sim *sim, uint32_t conn);
void net_connect(struct sim *sim, uint32_t conn);
bool net_ends_alive(const struct sim *sim, uint32_t conn);
bulla_engine_peer net_peer(const struct sim *sim, uint32_t conn);

/* --- writer --- */
#define WRITER_CONFIRM_US 100000
bool writer_open(struct sim *sim, struct sim_writer *w, uint64_t from_lsn, bulla_journal_each each, void *arg);
void writer_close(struct sim_writer *w);
void writer_submit(struct sim_writer *w, bulla_bytes records, uint32_t count);
/* Begins a write of all that is queued. False: the process died. *ret_began: a write is in flight now. */
bool writer_begin(struct sim *sim, struct sim_writer *w, bool *ret_began);
void writer_end(struct sim *sim, struct sim_writer *w);
bool writer_fill(struct sim_writer *w, bool *ret_more);

/* An empty batch is due: 100 ms without records since the last ones. */
bool writer_confirms(const struct sim *sim, const struct sim_writer *w);

/* --- decay: between two lives of a process its disk rots, or shows blocks of an older life --- */
void decay(struct sim *sim, struct sim_writer *w, bool *ret_lossy);

/* --- actors --- */
void host_start(struct sim *sim);
void host_crash(struct sim *sim, bool power);
void host_event(struct sim *sim, struct sim_event *event);
void host_deliver(struct sim *sim, uint32_t conn, const struct sim_event *event);
void host_peer(struct sim *sim, uint32_t conn, bool up);

void broker_start(struct sim *sim);
void broker_crash(struct sim *sim, bool power);
void broker_event(struct sim *sim, struct sim_event *event);
void broker_deliver(struct sim *sim, uint32_t conn, const struct sim_event *event);
bool broker_attest(struct sim *sim, uint32_t enclave, uint32_t session, int64_t lapses_ms, uint64_t *ret_lsn);
bool broker_has(const struct sim *sim, uint64_t lsn);

void enclave_boot(struct sim *sim, uint32_t i);
void enclave_crash(struct sim *sim, uint32_t i);
void enclave_event(struct sim *sim, struct sim_event *event);
void enclave_deliver(struct sim *sim, uint32_t i, const struct sim_event *event);
void enclave_up(struct sim *sim, uint32_t i);

void client_event(struct sim *sim, uint32_t i);
void client_deliver(struct sim *sim, uint32_t i, const struct sim_event *event);
void client_cut(struct sim *sim, uint32_t i);

/* --- truth --- */
void truth_reset(struct sim *sim);
/* A record that is durable in the ledger (replay: read back at a start). */
void truth_record(struct sim *sim, const struct bulla_journal_record *record, bool replay);
/* An enclave begins an attempt on these parents. */
void truth_begins(struct sim *sim, const struct bulla_position *position, const bulla_digest *instance,
	const struct bulla_flow_parent *parents, size_t count);
/* An enclave made this receipt. */
void truth_makes(struct sim *sim, const struct bulla_position *position, const bulla_digest *receipt);
void truth_result(struct sim *sim, uint32_t run, const struct bulla_msg_run_result *result);
void truth_end(struct sim *sim);
uint32_t truth_find(const struct sim *sim, const bulla_run_id *id);

/* --- faults --- */
void fault_event(struct sim *sim);
void mischief_event(struct sim *sim);
/* The broker answers with this `advanced`: an intruder may be quicker than the host. */
#define SIM_AGENTS 5
#define SIM_AGENTS_SHORT 3 /* of the first enclave */
/* How many of the agents a, b, c... an enclave hosts. */
uint8_t enclave_agents(uint32_t i);
/* An enclave made this commit request: an intruder may send another one sooner. */
void mischief_commit(struct sim *sim, const bulla_run_id *run, bulla_bytes mac0);
void mischief_sees(struct sim *sim, bulla_bytes record, const bulla_digest *digest);
void mischief_permits(struct sim *sim, bulla_bytes advanced);
/* A write began and takes so long: perhaps the process does not live to see its end. which: 0 host, 1 broker. */
void fault_ambush(struct sim *sim, struct sim_writer *w, uint32_t which, int64_t delay_us);
/* The ledger has forgotten what it said: only that everybody finds an end is asked from now on. */
void fault_rolled_back(struct sim *sim);

/* Runs one seed. False: sim->failure says what was wrong. */
bool sim_run(struct sim *sim, const struct sim_options *options);
