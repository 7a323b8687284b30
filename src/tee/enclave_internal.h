#pragma once
/* Inside the enclave: shared by enclave.c and work_*.c only. */
#include "receipt/auth.h"
#include "receipt/commit.h"
#include "seal/envelope.h"
#include "tee/enclave.h"
#include "tee/links.h"
#include "tee/outbox.h"
#include "tee/step.h"
#include "wire/messages.h"

#define BULLA_TEE_SESSIONS 3  /* the one in force and those whose permits still live */
#define BULLA_TEE_WINDOW 256  /* most steps at once */
#define BULLA_TEE_OUTPUTS 64  /* parts of one step, its log included */

/* A session with the broker: its clock is ours plus what was between them when it was asked for. */
struct bulla_tee_session {
	bool live;
	struct bulla_session session;
};

enum bulla_work_state { BULLA_WORK_FREE = 0, BULLA_WORK_OPENED, BULLA_WORK_RUNNING, BULLA_WORK_SEALED };

/* One step on its way. */
struct bulla_work {
	struct bulla_enclave *enclave;
	enum bulla_work_state state;
	struct bulla_agent_job job;     /* the agent's part */
	uint32_t stream;                /* of the host's request; 0: that host is gone */
	uint8_t session[BULLA_SESSION_ID_BYTES];
	const struct bulla_flow *flow;
	const struct bulla_flow_step *plan;
	struct bulla_tee_agent *agent;
	struct bulla_receipt receipt;   /* everything but outcome, outputs, reuse */
	bulla_secret run_secret;
	char run_text[33], step_text[12];
	struct bulla_buf input;         /* the document for the agent */
	bool too_large;                 /* the document is: no agent gets it, the step fails */
	struct bulla_buf sealed;        /* output envelopes, end to end */
	size_t ends[BULLA_TEE_OUTPUTS]; /* where each ends in `sealed` */
	struct bulla_pair pairs[BULLA_TEE_OUTPUTS];
	size_t output_count, pair_count;
	uint16_t links[BULLA_OUTBOX_LINKS]; /* my links that the host has not stored yet */
	size_t link_count;
	uint8_t payload[BULLA_RECEIPT_BYTES];
	bulla_digest digest;
	uint32_t batch_index;
	int64_t took_us;
	struct bulla_work *next;        /* of those sealed in this turn */
};

/* What one EXECUTE holds, read. */
struct bulla_work_request {
	struct bulla_msg_execute message;
	uint32_t stream;
	struct bulla_tee_session *session;
	struct bulla_envelope envelopes[BULLA_MAX_FLOW_INPUTS];
	struct bulla_pair pairs[BULLA_MAX_FLOW_INPUTS]; /* as the envelopes say */
	struct bulla_pair named[BULLA_MAX_FLOW_INPUTS]; /* as the parents' receipts say, in the same order */
	size_t envelope_count;
};

/* What the host must send along. */
#define BULLA_WORK_NEEDS 64
struct bulla_work_needs {
	bulla_bytes links[BULLA_WORK_NEEDS];
	uint8_t link_ids[BULLA_WORK_NEEDS][BULLA_LINK_ID_SIZE];
	size_t link_count;
	bulla_bytes births[BULLA_WORK_NEEDS];
	size_t birth_count;
	bulla_bytes instances[BULLA_WORK_NEEDS];
	bulla_digest kids[BULLA_WORK_NEEDS];
	size_t instance_count;
};

struct bulla_enclave {
	struct bulla_tee_base *base;
	struct bulla_loop *loop;
	struct bulla_frames *host;
	struct bulla_join join;
	struct bulla_peers peers;
	struct bulla_links links;
	struct bulla_links_agent link_agents[BULLA_TEE_AGENTS];
	struct bulla_my_link *mine;     /* one per agent of the manifest, then one per party */
	struct bulla_outbox outbox;
	struct bulla_used used;
	struct bulla_tee_session sessions[BULLA_TEE_SESSIONS];
	uint32_t newest_session;
	bool ready, watching_zygote, dead_zygote;
	struct bulla_work *works;
	uint32_t window, open;
	struct bulla_work *sealed_first, *sealed_last;
	struct bulla_batch *batch;
	struct bulla_step step;         /* scratch of the step that is being checked */
	struct bulla_work_request request; /* the same; 36 KB as locals would be zeroed for every step */
	struct bulla_work_needs needs;
	struct bulla_buf plain;         /* scratch: opened payloads */
	struct bulla_buf text;          /* scratch: outgoing messages */
	struct bulla_watch zygote_watch;
	struct bulla_tee_watch *watches;
	struct bulla_enclave_stats stats;
};

/* The session with this id, NULL when it is none of mine. */
struct bulla_tee_session *bulla_enclave_session(struct bulla_enclave *enclave, const uint8_t id[BULLA_SESSION_ID_BYTES]);

/* The broker's clock (Unix ms) by this session, counted on from when it was asked for. */
uint64_t bulla_enclave_now(const struct bulla_enclave *enclave, const struct bulla_tee_session *session);

/* work_begin.c: an EXECUTE request. Answers by itself or begins the step; an error is the answer. BULLA_E_AGAIN: NEED was
 * sent. */
BULLA_CHECK bulla_rc bulla_work_execute(struct bulla_enclave *enclave, uint32_t stream, bulla_bytes body);

/* work_end.c, callback of the agent's pool, ctx: the work. What the agent gave is sealed. */
void bulla_work_agent_done(void *ctx, struct bulla_agent_job *job);

/* End of a turn: all that was sealed in it is signed and sent. */
void bulla_work_send_sealed(struct bulla_enclave *enclave);

/* Takes the work's secrets and views back; its place may be used again. */
void bulla_work_free(struct bulla_work *work);

/* work_links.c: my link to a reader of the plan. *ret_index: its place in enclave->mine. BULLA_E_BIRTH_MISSING: the agent's
 * birth record was not given yet. */
BULLA_CHECK bulla_rc bulla_work_reader(struct bulla_enclave *enclave, const struct bulla_flow_actor *actor,
	enum bulla_recipient *ret_to, uint16_t *ret_index, const struct bulla_link **ret);

/* False: bulla_work_reader would want a birth record first. */
bool bulla_work_reader_known(const struct bulla_enclave *enclave, const struct bulla_flow_actor *actor);
