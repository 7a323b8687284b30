#include "tee/enclave.h"

#include "base/mem.h"
#include "tee/enclave_internal.h"
#include "wire/kinds.h"

#define BATCH_MAX BULLA_TEE_WINDOW
#define TEXT_MAX ((size_t)2 << 20)
#define PLAIN_MAX (BULLA_ENVELOPE_MAX * 2)

/* --- sessions --- */

struct bulla_tee_session *bulla_enclave_session(struct bulla_enclave *enclave, const uint8_t id[BULLA_SESSION_ID_BYTES])
{
	for (size_t i = 0; i < BULLA_TEE_SESSIONS; i++) {
		struct bulla_tee_session *session = &enclave->sessions[i];

		if (session->live && bulla_bytes_eq(bulla_bytes_of(id, BULLA_SESSION_ID_BYTES), BULLA_BYTES_ARRAY(session->session.id)))
			return session;
	}
	return NULL;
}

uint64_t bulla_enclave_now(const struct bulla_enclave *enclave, const struct bulla_tee_session *session)
{
	uint64_t mono_ms = (uint64_t)bulla_mono_us(enclave->base->clock) / 1000;

	return session->session.time_ms + (mono_ms - session->session.asked_ms);
}

static void on_session(void *ctx, struct bulla_session *session)
{
	struct bulla_enclave *enclave = ctx;
	struct bulla_tee_session *place;

	enclave->newest_session = (enclave->newest_session + 1) % BULLA_TEE_SESSIONS;
	place = &enclave->sessions[enclave->newest_session];
	if (place->live)
		bulla_session_keys_done(&place->session.keys);
	*place = (struct bulla_tee_session){.live = true, .session = *session};
}

static bool session_is_good(const struct bulla_enclave *enclave)
{
	const struct bulla_tee_session *session = &enclave->sessions[enclave->newest_session];

	return session->live && bulla_enclave_now(enclave, session) < session->session.reattest_ms;
}

/* --- INSTANCE: what the host may know of me --- */

static bulla_rc write_instance(struct bulla_enclave *enclave, bulla_rc why, bulla_wr *w)
{
	const struct bulla_tee_base *base = enclave->base;
	const struct bulla_session *session = &enclave->sessions[enclave->newest_session].session;
	bulla_bytes handles[BULLA_TEE_AGENTS], births[BULLA_TEE_AGENTS], ignored;
	struct bulla_msg_instance instance = {.kid = bulla_bytes_digest(&base->kid),
		.manifest = bulla_bytes_digest(&base->manifest.digest), .why = (uint64_t)why};

	for (size_t i = 0; i < base->agent_count; i++) {
		handles[i] = bulla_handle_view(&base->agents[i].handle);
		births[i] = bulla_buf_view(&enclave->join.agents[i].birth);
	}
	if (why == BULLA_OK) {
		instance.session = BULLA_BYTES_ARRAY(session->id);
		instance.agents = bulla_pb_list_of(handles, base->agent_count);
		instance.record = bulla_buf_view(&enclave->join.record);
		instance.births = bulla_pb_list_of(births, base->agent_count);
		instance.window = enclave->window;
		instance.reattest_ms = session->reattest_ms;
	}
	bulla_msg_instance_encode(&instance, w);
	return bulla_wr_end(w, &ignored);
}

static void tell_instance(struct bulla_enclave *enclave, bulla_rc why)
{
	bulla_wr w;
	bulla_rc rc;

	if (enclave->host == NULL)
		return;
	enclave->text.n = 0;
	w = bulla_wr_buf(&enclave->text);
	rc = write_instance(enclave, why, &w);
	if (rc == BULLA_OK)
		rc = bulla_frames_push(enclave->host, BULLA_OP_INSTANCE, 0, bulla_buf_view(&enclave->text));
	if (rc != BULLA_OK)
		enclave->ready = false; /* told again with the next host */
}

static void on_ready(void *ctx)
{
	struct bulla_enclave *enclave = ctx;

	for (size_t i = 0; i < enclave->base->agent_count; i++)
		enclave->link_agents[i] =
			(struct bulla_links_agent){enclave->base->agents[i].handle, &enclave->join.agents[i].keys};
	enclave->ready = true;
	tell_instance(enclave, BULLA_OK);
}

static void on_failed(void *ctx, bulla_rc why)
{
	struct bulla_enclave *enclave = ctx;

	if (enclave->ready && session_is_good(enclave))
		return; /* a renewal failed; the session still stands */
	enclave->ready = false;
	tell_instance(enclave, why);
}

/* --- operations of the host: the whole table --- */

static bulla_rc do_execute(struct bulla_enclave *enclave, const struct bulla_frame *message)
{
	bulla_rc rc = bulla_work_execute(enclave, message->stream, message->body);

	if (rc == BULLA_OK || rc == BULLA_E_AGAIN)
		return BULLA_OK;
	enclave->stats.refused++;
	return bulla_frames_error(enclave->host, BULLA_OP_EXECUTE, message->stream, rc, rc == BULLA_E_BUSY ? 20 : 0,
		(uint64_t)enclave->open, enclave->outbox.count);
}

/* The host has it durably, or needs it no more. */
static bulla_rc do_stored(struct bulla_enclave *enclave, const struct bulla_frame *message)
{
	struct bulla_msg_stored stored;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	BULLA_TRY(bulla_msg_stored_decode(message->body, &stored));
	iter = bulla_pb_list_begin(&stored.receipts);
	while (bulla_pb_list_next(&iter, &item)) {
		struct bulla_outbox_entry *entry;
		bulla_digest digest;

		BULLA_TRY(bulla_bytes_copy_exact(item, sizeof(digest.b), digest.b));
		entry = bulla_outbox_find(&enclave->outbox, &digest);
		if (entry == NULL)
			continue;
		for (size_t i = 0; i < entry->link_count; i++)
			enclave->mine[entry->links[i]].stored = true;
		bulla_outbox_forget(&enclave->outbox, entry);
	}
	return BULLA_OK;
}

static bulla_rc do_resume(struct bulla_enclave *enclave, const struct bulla_frame *message)
{
	for (uint32_t i = 0; i < BULLA_MAX_OUTBOX_RESULTS; i++)
		if (enclave->outbox.entries[i].used)
			BULLA_TRY(bulla_frames_event(enclave->host, BULLA_OP_EXECUTE, message->stream,
				bulla_buf_view(&enclave->outbox.entries[i].body)));
	return bulla_frames_reply(enclave->host, BULLA_OP_RESUME, message->stream, bulla_bytes_of(NULL, 0));
}

static bulla_rc do_cancel(struct bulla_enclave *enclave, const struct bulla_frame *message)
{
	for (uint32_t i = 0; i < enclave->window; i++) {
		struct bulla_work *work = &enclave->works[i];

		if (work->state != BULLA_WORK_RUNNING || work->stream != message->stream)
			continue;
		bulla_agent_cancel(work->agent->pool, &work->job);
		return BULLA_OK;
	}
	return BULLA_OK; /* it has ended */
}

struct operation {
	uint8_t op;
	bool request; /* else an event or a hint: never answered */
	bulla_rc (*run)(struct bulla_enclave *enclave, const struct bulla_frame *message);
};

static bulla_rc do_renew(struct bulla_enclave *enclave, const struct bulla_frame *message)
{
	(void)message;
	bulla_join_renew(&enclave->join);
	return BULLA_OK;
}

static const struct operation operations[] = {
	{BULLA_OP_EXECUTE, true, do_execute},
	{BULLA_OP_RESUME, true, do_resume},
	{BULLA_OP_STORED, false, do_stored},
	{BULLA_OP_CANCEL, false, do_cancel},
	{BULLA_OP_RENEW, false, do_renew},
};

bulla_rc bulla_enclave_message(struct bulla_enclave *enclave, const struct bulla_frame *message)
{
	bool event = (message->flags & BULLA_FRAME_EVENT) != 0;

	if ((message->flags & BULLA_FRAME_REPLY) != 0) {
		bulla_join_message(&enclave->join, message, bulla_mono_us(enclave->base->clock));
		return BULLA_OK;
	}
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (operations[i].op == message->op && (!operations[i].request || !event))
			return operations[i].run(enclave, message);
	if (event)
		return BULLA_OK;
	return bulla_frames_error(enclave->host, (enum bulla_op_number)message->op, message->stream, BULLA_E_UNSUPPORTED, 0, 0, 0);
}

/* --- agents in the loop --- */

/* One watched descriptor of a pool: bulla_agent_watch tokens come and go, watches of the loop stay. */
struct bulla_tee_watch {
	struct bulla_watch watch;
	struct bulla_agent_watch *token;
	struct bulla_tee_watch *next;
};

static void agent_ready(void *ctx, uint32_t events)
{
	struct bulla_tee_watch *watch = ctx;
	unsigned mask = ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 ? BULLA_AGENT_READ : 0) |
		((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 ? BULLA_AGENT_WRITE : 0);

	if (watch->token != NULL)
		bulla_agent_ready(watch->token, mask);
}

static struct bulla_tee_watch *watch_of(struct bulla_enclave *enclave, const struct bulla_agent_watch *token)
{
	struct bulla_tee_watch *watch = enclave->watches;

	while (watch != NULL && watch->token != token)
		watch = watch->next;
	return watch;
}

static bulla_rc add_watch(struct bulla_enclave *enclave)
{
	struct bulla_tee_watch *watch;
	void *memory;

	BULLA_TRY(bulla_alloc(1, sizeof(*watch), &memory));
	watch = memory;
	watch->next = enclave->watches;
	enclave->watches = watch;
	return BULLA_OK;
}

static bulla_rc watch_agent(void *ctx, int fd, unsigned events, struct bulla_agent_watch *token)
{
	struct bulla_enclave *enclave = ctx;
	uint32_t mask = ((events & BULLA_AGENT_READ) != 0 ? (uint32_t)EPOLLIN : 0) |
		((events & BULLA_AGENT_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0);
	struct bulla_tee_watch *watch = watch_of(enclave, token);

	if (events == 0) {
		if (watch != NULL) {
			bulla_loop_remove(enclave->loop, &watch->watch);
			watch->token = NULL;
		}
		return BULLA_OK;
	}
	if (watch != NULL)
		return bulla_loop_change(enclave->loop, &watch->watch, mask);
	if (watch_of(enclave, NULL) == NULL)
		BULLA_TRY(add_watch(enclave)); /* while the pools are made; later there are enough */
	watch = watch_of(enclave, NULL);
	watch->watch = (struct bulla_watch){.ctx = watch, .on_ready = agent_ready, .fd = fd};
	BULLA_TRY(bulla_loop_add(enclave->loop, &watch->watch, mask));
	watch->token = token;
	return BULLA_OK;
}

static int64_t agent_now(void *ctx)
{
	const struct bulla_enclave *enclave = ctx;

	return bulla_mono_us(enclave->base->clock);
}

static void zygote_ready(void *ctx, uint32_t events)
{
	struct bulla_enclave *enclave = ctx;

	(void)events;
	if (bulla_zygote_ready(&enclave->base->zygote) == BULLA_OK)
		return;
	enclave->dead_zygote = true; /* without it no agent can start: the program ends and is started anew */
	bulla_loop_stop(enclave->loop);
}

static bulla_rc start_agents(struct bulla_enclave *enclave)
{
	const struct bulla_agent_loop ops = {.ctx = enclave, .watch = watch_agent, .now_us = agent_now};
	struct bulla_tee_base *base = enclave->base;

	enclave->zygote_watch = (struct bulla_watch){.ctx = enclave, .on_ready = zygote_ready, .fd = base->zygote.fd};
	BULLA_TRY(bulla_loop_add(enclave->loop, &enclave->zygote_watch, EPOLLIN));
	enclave->watching_zygote = true;
	for (size_t i = 0; i < base->agent_count; i++) {
		BULLA_TRY(bulla_agent_pool_new(&base->agents[i].spec, &base->zygote, &ops, &base->agents[i].pool));
		enclave->window += bulla_agent_window(base->agents[i].pool);
		for (uint32_t k = bulla_agent_watches(base->agents[i].pool); k > 0; k--)
			BULLA_TRY(add_watch(enclave));
	}
	enclave->window = enclave->window < BULLA_TEE_WINDOW ? enclave->window : BULLA_TEE_WINDOW;
	return BULLA_OK;
}

/* --- life --- */

static bulla_rc make_works(struct bulla_enclave *enclave)
{
	void *memory;

	BULLA_TRY(bulla_alloc(enclave->window, sizeof(enclave->works[0]), &memory));
	enclave->works = memory;
	for (uint32_t i = 0; i < enclave->window; i++) {
		enclave->works[i].enclave = enclave;
		bulla_buf_init(&enclave->works[i].input, BULLA_MAX_AGENT_INPUT);
		bulla_buf_init(&enclave->works[i].sealed, BULLA_MAX_SEALED);
	}
	return BULLA_OK;
}

static bulla_rc init(struct bulla_enclave *enclave)
{
	const struct bulla_join_events events = {
		.ctx = enclave, .on_session = on_session, .on_ready = on_ready, .on_failed = on_failed};
	const struct bulla_manifest *manifest = &enclave->base->manifest;
	void *memory;

	bulla_buf_init(&enclave->plain, PLAIN_MAX);
	bulla_buf_init(&enclave->text, TEXT_MAX);
	BULLA_TRY(bulla_peers_init(&enclave->peers, manifest));
	BULLA_TRY(bulla_links_init(&enclave->links, BULLA_MAX_LINKS_CACHED));
	BULLA_TRY(bulla_outbox_init(&enclave->outbox));
	BULLA_TRY(bulla_used_init(&enclave->used));
	BULLA_TRY(bulla_batch_new(BATCH_MAX, &enclave->batch));
	BULLA_TRY(bulla_alloc(manifest->agent_count + manifest->party_count + 1, sizeof(enclave->mine[0]), &memory));
	enclave->mine = memory;
	BULLA_TRY(start_agents(enclave));
	BULLA_TRY(make_works(enclave));
	return bulla_join_init(&enclave->join, enclave->base, &enclave->peers, &events);
}

bulla_rc bulla_enclave_new(struct bulla_tee_base *base, struct bulla_loop *loop, struct bulla_enclave **ret)
{
	struct bulla_enclave *enclave;
	void *memory;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*enclave), &memory));
	enclave = memory;
	enclave->base = base;
	enclave->loop = loop;
	rc = init(enclave);
	if (rc != BULLA_OK) {
		bulla_enclave_free(enclave);
		return rc;
	}
	*ret = enclave;
	return BULLA_OK;
}

static void free_works(struct bulla_enclave *enclave)
{
	for (uint32_t i = 0; enclave->works != NULL && i < enclave->window; i++) {
		bulla_work_free(&enclave->works[i]);
		bulla_buf_done(&enclave->works[i].input);
		bulla_buf_done(&enclave->works[i].sealed);
	}
	bulla_free(enclave->works);
}

static void free_mine(struct bulla_enclave *enclave)
{
	const struct bulla_manifest *manifest = &enclave->base->manifest;

	for (size_t i = 0; enclave->mine != NULL && i < manifest->agent_count + manifest->party_count; i++)
		bulla_my_link_done(&enclave->mine[i]);
	bulla_free(enclave->mine);
}

struct bulla_enclave *bulla_enclave_free(struct bulla_enclave *enclave)
{
	if (enclave == NULL)
		return NULL;
	enclave->host = NULL;
	for (size_t i = 0; i < enclave->base->agent_count; i++) {
		bulla_agent_pool_free(enclave->base->agents[i].pool);
		enclave->base->agents[i].pool = NULL;
	}
	if (enclave->watching_zygote)
		bulla_loop_remove(enclave->loop, &enclave->zygote_watch);
	while (enclave->watches != NULL) {
		struct bulla_tee_watch *watch = enclave->watches;

		enclave->watches = watch->next;
		bulla_free(watch);
	}
	bulla_join_done(&enclave->join);
	for (size_t i = 0; i < BULLA_TEE_SESSIONS; i++)
		if (enclave->sessions[i].live)
			bulla_session_keys_done(&enclave->sessions[i].session.keys);
	free_works(enclave);
	free_mine(enclave);
	bulla_batch_free(enclave->batch);
	bulla_used_done(&enclave->used);
	bulla_outbox_done(&enclave->outbox);
	bulla_links_done(&enclave->links);
	bulla_peers_done(&enclave->peers);
	bulla_buf_done(&enclave->plain);
	bulla_buf_done(&enclave->text);
	bulla_free(enclave);
	return NULL;
}

uint32_t bulla_enclave_window(const struct bulla_enclave *enclave)
{
	return enclave->window + 8; /* RESUME and the like beside the steps */
}

bulla_rc bulla_enclave_host_up(struct bulla_enclave *enclave, struct bulla_frames *host)
{
	if (enclave->host != NULL)
		bulla_enclave_host_down(enclave);
	enclave->host = host;
	bulla_join_host_up(&enclave->join, host);
	return BULLA_OK;
}

void bulla_enclave_host_down(struct bulla_enclave *enclave)
{
	bulla_join_host_down(&enclave->join);
	enclave->host = NULL;
	for (uint32_t i = 0; i < enclave->window; i++)
		enclave->works[i].stream = 0; /* results wait in the outbox */
}

void bulla_enclave_turn(struct bulla_enclave *enclave, int64_t now_us)
{
	for (size_t i = 0; i < enclave->base->agent_count; i++)
		bulla_agent_turn(enclave->base->agents[i].pool);
	bulla_work_send_sealed(enclave);
	bulla_join_turn(&enclave->join, now_us);
}

int64_t bulla_enclave_due(const struct bulla_enclave *enclave)
{
	int64_t due = bulla_join_due(&enclave->join);

	for (size_t i = 0; i < enclave->base->agent_count; i++) {
		int64_t of_agent = bulla_agent_due(enclave->base->agents[i].pool);

		due = of_agent < due ? of_agent : due;
	}
	return due;
}

struct bulla_enclave_stats bulla_enclave_stats(const struct bulla_enclave *enclave)
{
	struct bulla_enclave_stats stats = enclave->stats;

	stats.open = enclave->open;
	stats.outbox = enclave->outbox.count;
	stats.ready = enclave->ready;
	stats.allocations = bulla_alloc_count();
	return stats;
}
