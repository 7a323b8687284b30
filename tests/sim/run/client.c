#include "signed.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE_US (INT64_C(200) * 1000000)

static void new_id(struct sim *sim, uint32_t run)
{
	uint8_t random[10];

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)sim_rand(sim, 256);
	random[9] = (uint8_t)run;
	sim->runs[run].id = bulla_run_id_make((uint64_t)sim_now_ms(sim), random);
	sim->runs[run].made_ms = (uint64_t)sim_now_ms(sim);
	sim->runs[run].wanted = true;
}

/* The start record, its envelopes and the links they name. */
static void make_start(struct sim *sim, uint32_t run, struct bulla_buf *ret, struct signed_outputs *outputs)
{
	const struct sim_run *r = &sim->runs[run];
	const struct bulla_flow *flow = sim->world.plans[r->plan];
	uint8_t pairs[8 * BULLA_PAIR_BYTES], secret[80] = {0};
	struct bulla_start start = {.tenant = sim_handle('t'), .workflow = sim->world.workflows[r->plan],
		.manifest = sim->manifest_digest, .run = r->id, .party = sim_digest('o'),
		.inputs = bulla_bytes_of(pairs, flow->steps[0].parts.count * BULLA_PAIR_BYTES), .day_key = sim_digest('d'),
		.secret = BULLA_BYTES_ARRAY(secret), .time_ms = r->made_ms};

	if (sim->is_signed) {
		signed_start(flow, &start, ret, outputs);
		return;
	}
	outputs->count = flow->steps[0].parts.count;
	outputs->object_count = 0;
	memset(outputs->memory, 0, 64);
	memset(pairs, (int)run, sizeof(pairs));
	for (uint32_t k = 0; k < outputs->count; k++)
		outputs->envelopes[k] = bulla_bytes_of(outputs->memory, 64);
	sim_start_put(&start, true, ret);
}

/* The same run is started with the same words, however often. */
static void send_start(struct sim *sim, uint32_t i, uint32_t run)
{
	static struct signed_outputs outputs;
	struct sim_run *r = &sim->runs[run];
	BULLA_AUTO_BUF record = {.max = 8192}, body = {.max = 65536};
	struct bulla_msg_start message = {.follow = run % 2};
	struct bulla_start_record decoded;
	bulla_wr w = bulla_wr_buf(&body);

	if (r->start_body == NULL) {
		make_start(sim, run, &record, &outputs);
		message.record = bulla_buf_view(&record);
		message.envelopes = bulla_pb_list_of(outputs.envelopes, outputs.count);
		message.objects = bulla_pb_list_of(outputs.objects, outputs.object_count);
		bulla_msg_start_encode(&message, &w);
		r->start_body = sim_copy(bulla_buf_view(&body));
		r->start_size = body.n;
		if (bulla_start_record_decode(message.record, &decoded) == BULLA_OK)
			mischief_sees(sim, message.record, &decoded.digest);
	}
	net_send(sim, CONN_CLIENT(i), SIDE_HOST, BULLA_OP_START, 0, sim->clients[i].stream,
		bulla_bytes_of(r->start_body, r->start_size));
}

static void send_wait(struct sim *sim, uint32_t i, uint32_t run)
{
	uint8_t body[64];
	struct bulla_msg_wait message = {.run_id = bulla_run_id_view(&sim->runs[run].id)};
	bulla_wr w = bulla_wr_fixed(body, sizeof(body));

	bulla_msg_wait_encode(&message, &w);
	net_send(sim, CONN_CLIENT(i), SIDE_HOST, BULLA_OP_WAIT, 0, sim->clients[i].stream, bulla_bytes_of(body, w.n));
}

static void send_fetch(struct sim *sim, uint32_t i, uint32_t run)
{
	uint8_t body[64];
	struct bulla_msg_fetch message = {.run_id = bulla_run_id_view(&sim->runs[run].id), .headers_only = run % 2};
	bulla_wr w = bulla_wr_fixed(body, sizeof(body));

	bulla_buf_done(&sim->clients[i].bundle);
	bulla_buf_init(&sim->clients[i].bundle, 1 << 20);
	bulla_msg_fetch_encode(&message, &w);
	net_send(sim, CONN_CLIENT(i), SIDE_HOST, BULLA_OP_BUNDLE, 0, sim->clients[i].stream, bulla_bytes_of(body, w.n));
}

static uint32_t next_run(struct sim *sim)
{
	for (uint32_t run = 0; run < sim->run_count; run++)
		if (!sim->runs[run].wanted)
			return run;
	return SIM_RUNS;
}

/* Starts the next run, or asks again for the one it drives. */
void client_event(struct sim *sim, uint32_t i)
{
	struct sim_client *client = &sim->clients[i];

	if (!sim->conns[CONN_CLIENT(i)].up || (client->waiting && sim->now_us < client->asked_us + PATIENCE_US))
		return;
	if (client->run == SIM_RUNS) {
		client->run = next_run(sim);
		client->started = client->fetching = false;
		if (client->run == SIM_RUNS)
			return;
		new_id(sim, client->run);
	}
	client->waiting = true;
	client->asked_us = sim->now_us;
	client->stream++;
	if (client->fetching)
		send_fetch(sim, i, client->run);
	else if (client->started)
		send_wait(sim, i, client->run);
	else
		send_start(sim, i, client->run);
	sim_at(sim, PATIENCE_US, (struct sim_event){.kind = EV_CLIENT, .a = i});
}

void client_cut(struct sim *sim, uint32_t i)
{
	sim->clients[i].waiting = false;
}

static void again(struct sim *sim, uint32_t i, int64_t delay_us)
{
	sim->clients[i].waiting = false;
	sim_at(sim, delay_us, (struct sim_event){.kind = EV_CLIENT, .a = i});
}

static void failed(struct sim *sim, uint32_t i, const struct sim_event *event)
{
	struct sim_client *client = &sim->clients[i];
	struct bulla_msg_error error;
	bool busy, gone;

	if (bulla_msg_error_decode(bulla_bytes_of(event->body, event->n), &error) != BULLA_OK) {
		sim_fail(sim, "an error that does not parse", client->run, 0);
		return;
	}
	busy = bulla_bytes_eq_str(error.id, "busy") || bulla_bytes_eq_str(error.id, "disk-full") ||
		bulla_bytes_eq_str(error.id, "again") || bulla_bytes_eq_str(error.id, "limit");
	gone = bulla_bytes_eq_str(error.id, "run-unknown");
	sim_trace(sim, "client refused", i, client->run, busy);
	if (gone && sim->runs[client->run].acknowledged && !sim->lossy_host && !(client->fetching && sim->lossy_ledger))
		sim_fail(sim, "an acknowledged run is gone", client->run, 0);
	if (gone)
		client->started = false;
	if (client->fetching && (bulla_bytes_eq_str(error.id, "state") || bulla_bytes_eq_str(error.id, "broker-unreachable") ||
		bulla_bytes_eq_str(error.id, "timeout")))
		busy = true; /* its last record is not durable yet; the broker is away; a piece was not answered for */
	if (!busy && !gone) {
		if (!sim->mischief && !sim->lossy_host && !sim->lossy_ledger)
			sim_fail(sim, "a client is refused", client->run, (uint32_t)error.id.n);
		sim->runs[client->run].ended = true;
		sim->runs[client->run].state = BULLA_RUN_FAILED;
		client->run = SIM_RUNS;
	}
	again(sim, i, 1000 + (int64_t)sim_rand(sim, 20000));
}

/* Of a run that ended as its plan says, with stores that nobody put back; an intruder may commit what the host gave up. */
static bool wants_bundle(const struct sim *sim, uint32_t run)
{
	uint8_t state = sim->runs[run].state;

	return (state == BULLA_RUN_DONE || state == BULLA_RUN_FAILED) && !sim->lossy_host && !sim->lossy_ledger && !sim->mischief;
}

/* A piece of the bundle; now and then one is not answered for, and this client asks again after its patience. */
static void take_piece(struct sim *sim, uint32_t i, const struct sim_event *event)
{
	struct sim_client *client = &sim->clients[i];

	if (event->stream != client->stream || event->op != BULLA_OP_BUNDLE || client->run == SIM_RUNS)
		return;
	if (bulla_buf_append(&client->bundle, bulla_bytes_of(event->body, event->n)) != BULLA_OK)
		sim_fail(sim, "a bundle without end", client->run, 0);
	if (sim_one_in(sim, 50))
		return;
	net_send(sim, CONN_CLIENT(i), SIDE_HOST, BULLA_OP_BUNDLE, BULLA_ENGINE_EVENT, client->stream, (bulla_bytes){NULL, 0});
}

static void verify(struct sim *sim, struct sim_client *client, const struct sim_event *event)
{
	if (bulla_buf_append(&client->bundle, bulla_bytes_of(event->body, event->n)) != BULLA_OK)
		sim_fail(sim, "a bundle without end", client->run, 0);
	signed_verify(sim, client->run, bulla_buf_view(&client->bundle));
}

void client_deliver(struct sim *sim, uint32_t i, const struct sim_event *event)
{
	struct sim_client *client = &sim->clients[i];
	struct bulla_msg_run_result result;

	if ((event->flags & BULLA_ENGINE_EVENT) != 0)
		take_piece(sim, i, event);
	if (event->stream != client->stream || (event->flags & BULLA_ENGINE_REPLY) == 0 || client->run == SIM_RUNS)
		return;
	if ((event->flags & BULLA_ENGINE_ERROR) != 0) {
		failed(sim, i, event);
		return;
	}
	if (event->op == BULLA_OP_BUNDLE) {
		if (client->fetching && wants_bundle(sim, client->run))
			verify(sim, client, event);
		client->run = SIM_RUNS;
		again(sim, i, (int64_t)sim_rand(sim, 20000));
		return;
	}
	if (event->op == BULLA_OP_START && client->run % 2 == 0) {
		client->started = true;
		sim->runs[client->run].acknowledged = true;
		again(sim, i, (int64_t)sim_rand(sim, 2000));
		return;
	}
	if (bulla_msg_run_result_decode(bulla_bytes_of(event->body, event->n), &result) != BULLA_OK)
		sim_fail(sim, "a result does not parse", client->run, 0);
	else
		truth_result(sim, client->run, &result);
	if (sim->is_signed && wants_bundle(sim, client->run)) {
		client->fetching = true;
		again(sim, i, (int64_t)sim_rand(sim, 20000));
		return;
	}
	client->run = SIM_RUNS;
	again(sim, i, (int64_t)sim_rand(sim, sim_one_in(sim, 3) ? 5000 : 900000)); /* faults find work in all of their time */
}
