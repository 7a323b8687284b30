#pragma once
/* A small town: the engine's core, the ledger's core, enclaves and clients that only know the messages, in one process.
 * Nothing happens by itself: the test moves frames, makes records durable, lets time pass, kills and restarts. */
#include "broker/ledger.h"
#include "engine/core.h"
#include "engine/records.h"
#include "flow/flows.h"
#include "world.h"

#define TOWN_NOW INT64_C(1800000000000)
#define TOWN_ENCLAVES 4
#define TOWN_QUEUE 4096
#define TOWN_RECORDS 16384

enum { TOWN_BROKER = 1025, TOWN_CLIENT = 1026, TOWN_ENCLAVE = 1100 }; /* peers; enclave n: TOWN_ENCLAVE + n, first life */

struct town_frame {
	bulla_engine_peer peer;
	uint8_t op;
	uint16_t flags;
	uint32_t stream;
	struct bulla_buf body;
};

struct town_queue {
	struct town_frame frames[TOWN_QUEUE];
	size_t head, count;
};

struct town_record {
	struct bulla_buf bytes; /* framed */
	bool last;              /* of its submission */
	bool urgent;
};

struct town_enclave {
	bool up, mute; /* mute: takes requests, never answers */
	bulla_engine_peer peer;
	uint32_t session, window; /* session: number */
	uint8_t letter;
	const char *agents; /* handles' letters */
	uint8_t outcome;    /* what its agents say */
	uint32_t fail_times; /* so many failures first */
	uint32_t runs;
	bool ask_need;      /* answers NEED once per EXECUTE */
	bulla_bytes need;   /* the id of a link that it asks for then */
	uint32_t objects;   /* that EXECUTEs brought */
	struct bulla_buf outbox; /* the last answer's body */
};

struct town {
	struct sim_world world;
	struct flows flows;
	const struct bulla_flow *flow;
	struct bulla_ledger *ledger;
	struct bulla_engine *engine;
	struct town_enclave enclaves[TOWN_ENCLAVES];
	size_t enclave_count;
	uint8_t manifest_bytes[8192];
	bulla_bytes manifest;
	bulla_digest manifest_digest, workflow;
	int64_t now, arm;
	int64_t base;        /* time of start records */
	uint64_t start_skew; /* another one makes another start record */
	/* net: to the engine, from the engine */
	struct town_queue in, out;
	/* disk */
	struct town_record records[TOWN_RECORDS];
	size_t submitted, durable;
	struct bulla_buf told; /* rows of ended runs: u32 length, bytes */
	uint32_t rows;
	bool broker_up, drop_broker_answers;
	uint32_t ledger_lsn;
	/* what clients got */
	uint32_t started, results, errors, events;
	uint32_t retried; /* what the last attempt to be tried again ended with, as followers were told */
	uint32_t ahead; /* of events: last receipts ahead of their tokens */
	struct bulla_msg_run_result result; /* the last, views of result_body */
	struct bulla_buf result_body;
	bulla_rc error;
	uint8_t last_op;
	uint64_t own_allocs, engine_allocs;
	bulla_bytes output;  /* of every step, when it is set */
	int64_t skew;        /* of the engine's dates; time itself goes on as it does */
	uint32_t busy;       /* so many EXECUTEs find their connection full */
	struct bulla_buf pieces; /* of the bundle that is on its way */
	uint32_t leaves;         /* enclaves that were told so */
	bool takes_nothing;      /* the client does not answer for a bundle's pieces */
	uint32_t busy_asks;      /* so many questions find the librarian busy */
	size_t read_bytes, most_loaded; /* of records read back; the largest answer */
	/* set before town_open, which keeps them */
	bool without_engine; /* only the words below are used */
	size_t piece_bytes, load_bytes;
	uint32_t record_page, facts_max;
};

void town_open(struct town *town, const struct bulla_flow *(*flow)(struct flows *));
void town_close(struct town *town);

/* An enclave with these agents ("ab"); connects. */
struct town_enclave *town_enclave(struct town *town, const char *agents);
void town_enclave_down(struct town *town, struct town_enclave *enclave);
void town_enclave_up(struct town *town, struct town_enclave *enclave);
/* It says that the broker refused it, as one that was measured with this manifest. */
void town_enclave_refused(struct town *town, const struct town_enclave *enclave, bulla_rc why, const bulla_digest *manifest);

void town_broker_up(struct town *town);
void town_broker_down(struct town *town);

/* The engine loses its memory; records that are not durable are lost. Connections are made again. */
void town_crash(struct town *town);

bulla_run_id town_run_id(uint32_t number);
/* A client's frames. */
void town_start(struct town *town, uint32_t number, bool follow);
void town_ask(struct town *town, uint8_t op, uint32_t number, bool follow);

void town_say(struct town *town, uint8_t op, uint32_t stream, bulla_bytes body);

/* One turn: gives the engine what waits for it, then TURN; answers what it sent. true: something happened. */
bool town_turn(struct town *town);
/* Makes the oldest submission durable; false: there is none. */
bool town_durable(struct town *town);
/* Turns, durability and time until nothing moves any more. */
void town_settle(struct town *town);
void town_pass(struct town *town, int64_t ms);

/* A manifest of the town's workflow. */
void town_write_manifest(struct town *town, uint64_t epoch, bulla_wr *w, bulla_bytes *ret);

/* --- the words alone, for tests over real sockets --- */
/* Body of INSTANCE; the ledger gets the session. */
void town_write_instance(struct town *town, const struct town_enclave *enclave, struct bulla_buf *ret);
void town_write_start(struct town *town, const bulla_run_id *run, bool follow, bulla_bytes envelope,
	struct bulla_buf *ret);
/* Body of the answer to EXECUTE with this permit; every part has this envelope. */
void town_write_result(struct town *town, struct town_enclave *enclave, const struct bulla_permit *permit,
	bulla_bytes output, struct bulla_buf *ret);
/* The broker's answer to a request; what it wrote is durable at once. */
bulla_rc town_broker(struct town *town, uint8_t op, bulla_bytes body, struct bulla_buf *ret);
bool town_write_tokens(struct town *town, struct bulla_buf *ret);
