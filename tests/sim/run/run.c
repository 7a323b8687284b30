#include "signed.h"

#include "manifest/manifest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_US (INT64_C(3) * 1000000)      /* faults happen within this time */
#define END_US (INT64_C(2) * 3600 * 1000000)  /* every run has ended by then */
#define STEPS_MAX 400000

/* --- small things --- */

int64_t sim_now_ms(const struct sim *sim)
{
	return SIM_BASE_MS + sim->now_us / 1000;
}

uint64_t sim_rand(struct sim *sim, uint64_t below)
{
	return sim_rng_below(&sim->rng, below);
}

bool sim_one_in(struct sim *sim, uint64_t in)
{
	return sim_rng_one_in(&sim->rng, in);
}

void sim_fail(struct sim *sim, const char *what, uint32_t run, uint32_t step)
{
	if (!sim->failed)
		snprintf(sim->failure, sizeof(sim->failure), "%s (run %u, step %u, at %lld us)", what, run, step,
			(long long)sim->now_us);
	sim->failed = true;
	if (sim->options.trace) {
		unsigned count = 0;
		const struct bulla_trail_entry *trail = bulla_trail(&count);

		for (unsigned i = 0; i < count; i++)
			printf("    %s:%d %s %s\n", trail[i].file, trail[i].line, bulla_rc_id(trail[i].rc),
				trail[i].what != NULL ? trail[i].what : "");
	}
}

void sim_trace(struct sim *sim, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	if (sim->options.trace)
		printf("%10lld %-18s %llu %llu %llu\n", (long long)sim->now_us, what, (unsigned long long)a,
			(unsigned long long)b, (unsigned long long)c);
}

uint8_t *sim_copy(bulla_bytes bytes)
{
	uint8_t *copy = malloc(bytes.n + 1);

	assert(copy != NULL);
	if (bytes.n > 0)
		memcpy(copy, bytes.p, bytes.n);
	return copy;
}

/* --- the queue of events: a heap on (time, sequence) --- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
	struct sim_event t = *a;

	*a = *b;
	*b = t;
}

void sim_at(struct sim *sim, int64_t delay_us, struct sim_event event)
{
	size_t i;

	if (sim->heap_count == sim->heap_capacity) {
		sim->heap_capacity = sim->heap_capacity == 0 ? 256 : sim->heap_capacity * 2;
		sim->heap = realloc(sim->heap, sim->heap_capacity * sizeof(*sim->heap));
		assert(sim->heap != NULL);
	}
	event.at_us = sim->now_us + (delay_us > 0 ? delay_us : 0);
	event.seq = sim->seq++;
	i = sim->heap_count++;
	sim->heap[i] = event;
	for (; i > 0 && before(&sim->heap[i], &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&sim->heap[i], &sim->heap[(i - 1) / 2]);
}

static struct sim_event take(struct sim *sim)
{
	struct sim_event first = sim->heap[0];
	size_t i = 0;

	sim->heap[0] = sim->heap[--sim->heap_count];
	for (;;) {
		size_t least = i;

		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < sim->heap_count; c++)
			if (before(&sim->heap[c], &sim->heap[least]))
				least = c;
		if (least == i)
			return first;
		swap(&sim->heap[i], &sim->heap[least]);
		i = least;
	}
}

/* --- net: in order on a connection, any delay, gone when it is cut --- */

bulla_engine_peer net_peer(const struct sim *sim, uint32_t conn)
{
	return sim->conns[conn].gen << 10 | conn;
}

bool net_ends_alive(const struct sim *sim, uint32_t conn)
{
	if (conn == CONN_BROKER)
		return sim->host.alive && sim->broker.alive;
	if (conn == CONN_INTRUDER)
		return sim->broker.alive;
	if (conn >= CONN_CLIENT(0))
		return sim->host.alive;
	return sim->host.alive && sim->enclaves[conn - CONN_ENCLAVE(0)].alive;
}

void net_send(struct sim *sim, uint32_t conn, enum sim_side to, uint8_t op, uint16_t flags, uint32_t stream, bulla_bytes body)
{
	struct sim_conn *c = &sim->conns[conn];
	int64_t delay = 5 + (int64_t)sim_rand(sim, 40), at;

	if (!c->up)
		return;
	sim_trace(sim, to == SIDE_HOST ? "to host" : "from host", conn, op, flags);
	if (!sim->faults_over && sim_one_in(sim, 30))
		delay += (int64_t)sim_rand(sim, 30000);
	at = sim->now_us + delay;
	if (at <= c->last_us[to])
		at = c->last_us[to] + 1;
	c->last_us[to] = at;
	sim_at(sim, at - sim->now_us, (struct sim_event){.kind = EV_DELIVER, .a = conn, .b = to, .gen = c->gen, .op = op,
		.flags = flags, .stream = stream, .body = sim_copy(body), .n = body.n});
}

/* Both ends know at once; what was under way is lost. */
void net_cut(struct sim *sim, uint32_t conn)
{
	struct sim_conn *c = &sim->conns[conn];

	if (!c->up)
		return;
	c->up = false;
	sim->cuts++;
	sim_trace(sim, "cut", conn, 0, 0);
	if (sim->host.alive && conn != CONN_INTRUDER)
		host_peer(sim, conn, false);
	if (conn >= CONN_CLIENT(0) && conn < CONN_INTRUDER)
		client_cut(sim, conn - CONN_CLIENT(0));
	sim_at(sim, 200 + (int64_t)sim_rand(sim, 20000), (struct sim_event){.kind = EV_CONNECT, .a = conn});
}

void net_connect(struct sim *sim, uint32_t conn)
{
	struct sim_conn *c = &sim->conns[conn];

	if (c->up || !net_ends_alive(sim, conn))
		return;
	c->up = true;
	c->gen++;
	c->last_us[0] = c->last_us[1] = sim->now_us;
	sim_trace(sim, "connect", conn, c->gen, 0);
	if (conn != CONN_INTRUDER)
		host_peer(sim, conn, true);
	if (conn >= CONN_ENCLAVE(0) && conn < CONN_CLIENT(0))
		enclave_up(sim, conn - CONN_ENCLAVE(0));
	if (conn >= CONN_CLIENT(0) && conn < CONN_INTRUDER)
		sim_at(sim, 10, (struct sim_event){.kind = EV_CLIENT, .a = conn - CONN_CLIENT(0)});
}

static void deliver(struct sim *sim, const struct sim_event *event)
{
	uint32_t conn = event->a;

	if (!sim->conns[conn].up || sim->conns[conn].gen != event->gen)
		return;
	if (event->b == SIDE_HOST && conn == CONN_INTRUDER)
		return;
	if (event->b == SIDE_HOST)
		host_deliver(sim, conn, event);
	else if (conn == CONN_BROKER || conn == CONN_INTRUDER)
		broker_deliver(sim, conn, event);
	else if (conn < CONN_CLIENT(0))
		enclave_deliver(sim, conn - CONN_ENCLAVE(0), event);
	else
		client_deliver(sim, conn - CONN_CLIENT(0), event);
}

/* --- the world --- */

static void dispatch(struct sim *sim, struct sim_event *event)
{
	switch ((enum sim_event_kind)event->kind) {
	case EV_DELIVER:
		deliver(sim, event);
		break;
	case EV_CONNECT:
		net_connect(sim, event->a);
		break;
	case EV_HOST_TURN:
	case EV_HOST_TIMER:
	case EV_HOST_WRITE:
	case EV_HOST_WRITTEN:
	case EV_HOST_FILL:
	case EV_HOST_LOADED:
		host_event(sim, event);
		break;
	case EV_HOST_START:
		host_start(sim);
		break;
	case EV_BROKER_WRITE:
	case EV_BROKER_WRITTEN:
	case EV_BROKER_FILL:
	case EV_BROKER_TOKENS:
		broker_event(sim, event);
		break;
	case EV_BROKER_START:
		broker_start(sim);
		break;
	case EV_ENCLAVE_DONE:
	case EV_ENCLAVE_BOOT:
	case EV_ENCLAVE_ATTEST:
		enclave_event(sim, event);
		break;
	case EV_CLIENT:
		client_event(sim, event->a);
		break;
	case EV_FAULT:
		fault_event(sim);
		break;
	case EV_MISCHIEF:
		mischief_event(sim);
		break;
	case EV_SPACE:
		(event->a == 0 ? &sim->host.w : &sim->broker.w)->disk.space = 0;
		break;
	case EV_AMBUSH:
		if (event->a == 0 && event->gen == sim->host.gen)
			host_crash(sim, true);
		else if (event->a == 1 && event->gen == sim->broker.gen)
			broker_crash(sim, true);
		break;
	}
}

static void build_flows(struct sim *sim)
{
	struct flows *f = &sim->flows[3];
	uint16_t a, b;

	sim_world_add(&sim->world, flows_linear(&sim->flows[0], 2));
	sim_world_add(&sim->world, flows_parallel(&sim->flows[1]));
	sim_world_add(&sim->world, flows_linear(&sim->flows[2], 4));
	flows_init(f); /* a, a sleep, b */
	a = flows_actor(f, BULLA_FLOW_AGENT, 'a');
	b = flows_actor(f, BULLA_FLOW_AGENT, 'b');
	a = flows_step(f, BULLA_FLOW_AGENT, a);
	flows_reads(f, 0, NULL);
	flows_step(f, BULLA_FLOW_CLOCK, BULLA_FLOW_NONE);
	flows_after(f, a);
	flows_step(f, BULLA_FLOW_AGENT, b);
	flows_reads(f, a, NULL);
	flows_after(f, 2);
	sim_world_add(&sim->world, flows_done(f));
}

/* A manifest that the engine can read; nobody signed it. */
static void build_manifest(struct sim *sim)
{
	static const uint8_t spki[3][4] = {{1}, {2}, {3}};
	struct bulla_approver approver = {.spki = BULLA_BYTES_ARRAY(spki[0])};
	struct bulla_party party = {
		.handle = sim_handle('o'), .spki = BULLA_BYTES_ARRAY(spki[1]), .rights = BULLA_RIGHT_ALL};
	struct bulla_agent agents[5];
	struct bulla_workflow workflows[SIM_FLOWS] = {0};
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = 1, .need = 1, .tenant = sim_handle('t'),
		.approvers = &approver, .approver_count = 1, .parties = &party, .party_count = 1, .agents = agents,
		.agent_count = 5, .workflows = workflows, .workflow_count = SIM_FLOWS, .assurance = 1,
		.ledger_spki = BULLA_BYTES_ARRAY(spki[2])};
	bulla_wr w = bulla_wr_fixed(sim->manifest, sizeof(sim->manifest));
	bulla_bytes view;

	memset(agents, 0, sizeof(agents));
	for (uint8_t i = 0; i < 5; i++) {
		agents[i].handle = sim_handle((uint8_t)('a' + i));
		agents[i].bundle = sim_digest(i);
		agents[i].binding = BULLA_BINDING_RUN;
		agents[i].policy_form = BULLA_POLICY_MANAGED;
	}
	for (uint32_t i = 0; i < SIM_FLOWS; i++) {
		workflows[i].plan = sim->world.plans[i]->bytes;
		workflows[i].handle = sim_handle((uint8_t)(i + 1));
		bulla_sha256(workflows[i].plan, &sim->world.workflows[i]);
	}
	bulla_manifest_sort(&m);
	if (bulla_manifest_encode(&m, &w) != BULLA_OK || bulla_wr_end(&w, &view) != BULLA_OK)
		sim_fail(sim, "the simulator's manifest does not encode", 0, 0);
	sim->manifest_size = view.n;
	if (sim->is_signed)
		signed_manifest(sim);
	bulla_sha256(bulla_bytes_of(sim->manifest, sim->manifest_size), &sim->manifest_digest);
	sim->world.manifest = sim->manifest_digest;
}

/* Runs end by the limit of facts, some of them. */
static void few_facts(struct sim *sim)
{
	sim->facts_max = 10 + (uint32_t)sim_rand(sim, 12);
	for (uint32_t i = 0; i < SIM_FLOWS; i++)
		sim->flows[i].decoded.facts_max = sim->facts_max;
}

static void begin(struct sim *sim, const struct sim_options *options)
{
	memset(sim, 0, sizeof(*sim));
	sim->options = *options;
	sim->rng.state = options->seed * 2654435761u + 12345;
	sim->disk_rng.state = options->seed ^ UINT64_C(0xd15c);
	sim->is_signed = options->seed % 100 == 0;
	sim_world_init(&sim->world);
	build_flows(sim);
	build_manifest(sim);
	sim_disk_init(&sim->host.w.disk, &sim->disk_rng);
	sim_disk_init(&sim->broker.w.disk, &sim->disk_rng);
	sim->host.w.disk.hold = sim->broker.w.disk.hold = true;
	sim->host.w.disk.kill_at = options->kill_host;
	sim->broker.w.disk.kill_at = options->kill_broker;
	sim->run_count = 2 + (uint32_t)sim_rand(sim, SIM_RUNS - 2);
	sim->faults_end_us = FAULTS_US;
	sim->park_ms = sim_one_in(sim, 2) ? 200 + (int64_t)sim_rand(sim, 3000) : 0;
	sim->escrow_runs = 1 + (uint32_t)sim_rand(sim, 16);
	sim->residents = sim_one_in(sim, 3) ? 2 + (uint32_t)sim_rand(sim, 4) : 64;
	sim->mischief = !sim->is_signed && !options->quiet && options->kill_host + options->kill_broker == 0 && sim_one_in(sim, 4);
	sim->short_permits = sim->mischief && sim_one_in(sim, 2);
	if (!sim->is_signed && sim_one_in(sim, 8))
		few_facts(sim);
	broker_start(sim);
	host_start(sim);
	for (uint32_t i = 0; i < SIM_ENCLAVES; i++)
		enclave_boot(sim, i);
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		sim->clients[i].run = SIM_RUNS;
	for (uint32_t i = 0; i < SIM_RUNS; i++)
		sim->runs[i].plan = (uint32_t)sim_rand(sim, SIM_FLOWS);
	for (uint32_t i = 1; i < SIM_CONNS; i++)
		net_connect(sim, i);
	if (!options->quiet)
		sim_at(sim, 1000 + (int64_t)sim_rand(sim, 200000), (struct sim_event){.kind = EV_FAULT});
	if (sim->mischief)
		sim_at(sim, 1000, (struct sim_event){.kind = EV_MISCHIEF});
}

static bool all_ended(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->run_count; i++)
		if (!sim->runs[i].ended)
			return false;
	return true;
}

static void end(struct sim *sim)
{
	host_crash(sim, false);
	broker_crash(sim, false);
	for (size_t i = 0; i < sim->heap_count; i++)
		free(sim->heap[i].body);
	free(sim->heap);
	for (size_t i = 0; i < sim->host.row_count; i++)
		free(sim->host.rows[i].p);
	for (size_t i = 0; i < 64; i++) {
		free(sim->seen_frames[i]);
		free(sim->seen_executes[i]);
	}
	for (size_t i = 0; i < SIM_ENCLAVES; i++)
		for (size_t j = 0; j < SIM_JOBS; j++)
			free(sim->enclaves[i].jobs[j].result);
	for (size_t i = 0; i < sim->host.object_count; i++)
		free(sim->host.objects[i].p);
	for (size_t i = 0; i < SIM_RUNS; i++)
		free(sim->runs[i].start_body);
	for (size_t i = 0; i < SIM_CLIENTS; i++)
		bulla_buf_done(&sim->clients[i].bundle);
	if (sim->have_old_host)
		sim_disk_copy_done(&sim->old_host);
	if (sim->have_old_broker)
		sim_disk_copy_done(&sim->old_broker);
	sim_disk_done(&sim->host.w.disk);
	sim_disk_done(&sim->broker.w.disk);
	free(sim->ledger_records);
	sim_world_done(&sim->world);
}

bool sim_run(struct sim *sim, const struct sim_options *options)
{
	begin(sim, options);
	while (!sim->failed && sim->heap_count > 0 && sim->now_us < END_US && !(all_ended(sim) && sim->faults_over)) {
		struct sim_event event = take(sim);

		sim->now_us = event.at_us;
		dispatch(sim, &event);
		free(event.body);
		if (++sim->steps == STEPS_MAX)
			sim_fail(sim, "no end in sight", 0, 0);
		if (!sim->faults_over && (sim->now_us > sim->faults_end_us || options->quiet)) {
			sim->faults_over = true;
			sim->host.w.disk.space = sim->broker.w.disk.space = 0;
		}
	}
	if (!sim->failed)
		truth_end(sim);
	end(sim);
	return !sim->failed;
}
