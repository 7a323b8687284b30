/* kill -9 of the real bullad, again and again, while runs are under way. This program is everything around it: broker
 * (ledger core), two enclaves and a client on real sockets, which know the messages only. What was acknowledged must end,
 * each slot is committed once, and the catalogue may be deleted at any point.
 *
 *   host_kill BULLAD [kills [in flight [seed]]]      TAP */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/town.h"
#include "io/addr.h"
#include "io/pipe.h"
#include "io/sys.h"

#define RUNS_MAX 65536
#define MUST(call) must((call), __LINE__)

struct side {
	struct village *v;
	struct bulla_pipe *pipe;
	struct bulla_frames *frames;
	struct town_enclave *enclave; /* NULL: broker or client */
	bool used, greeted;
};

struct village {
	struct town town;
	struct bulla_loop loop;
	struct bulla_listener broker, enclaves[2];
	struct side sides[64], client;
	char folder[64], socket[128];
	pid_t bullad;
	unsigned in_flight, open, next, done, failed, acknowledged;
	uint8_t state[RUNS_MAX]; /* 0 not started, 1 asked, 2 done */
	bool refuse_new;
};

static struct village village;

static void must(bulla_rc rc, int line)
{
	if (rc == BULLA_OK)
		return;
	printf("Bail out! line %d: %s\n", line, bulla_rc_id(rc));
	if (village.bullad > 0)
		kill(village.bullad, SIGKILL);
	exit(1);
}

/* --- the broker's and the enclaves' side --- */

static bulla_rc broker_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *f)
{
	struct side *side = ctx;
	struct bulla_buf reply;
	bulla_rc rc;

	if (f->flags & (BULLA_FRAME_REPLY | BULLA_FRAME_EVENT))
		return BULLA_OK;
	bulla_buf_init(&reply, 1 << 23);
	side->v->town.now = bulla_wall_ms(bulla_sys_clock());
	rc = town_broker(&side->v->town, f->op, f->body, &reply);
	if (rc == BULLA_OK)
		rc = bulla_frames_reply(frames, (enum bulla_op_number)f->op, f->stream, bulla_buf_view(&reply));
	else
		rc = bulla_frames_error(frames, (enum bulla_op_number)f->op, f->stream, rc, 0, 0, 0);
	reply.n = 0;
	while (rc == BULLA_OK && town_write_tokens(&side->v->town, &reply)) {
		rc = bulla_frames_push(frames, BULLA_OP_TOKENS, 0, bulla_buf_view(&reply));
		reply.n = 0;
	}
	bulla_buf_done(&reply);
	return rc;
}

static bulla_rc execute(struct side *side, struct bulla_frames *frames, const struct bulla_frame *f)
{
	static uint8_t output[1200];
	struct town *town = &side->v->town;
	struct bulla_msg_execute m;
	struct bulla_permit permit;
	uint8_t id[BULLA_SESSION_ID_BYTES];
	struct bulla_buf answer;
	bulla_rc rc;

	BULLA_TRY(bulla_msg_execute_decode(f->body, &m));
	sim_session_id(side->enclave->session, id);
	BULLA_TRY(bulla_permit_open(m.permit, id, town->world.mac, &permit));
	bulla_buf_init(&answer, 1 << 20);
	side->enclave->runs++;
	town_write_result(town, side->enclave, &permit, BULLA_BYTES_ARRAY(output), &answer);
	rc = bulla_frames_reply(frames, BULLA_OP_EXECUTE, f->stream, bulla_buf_view(&answer));
	bulla_buf_done(&answer);
	return rc;
}

static bulla_rc enclave_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *f)
{
	struct side *side = ctx;

	if (f->flags & (BULLA_FRAME_REPLY | BULLA_FRAME_EVENT))
		return BULLA_OK;
	if (f->op == BULLA_OP_EXECUTE)
		return execute(side, frames, f);
	return bulla_frames_reply(frames, (enum bulla_op_number)f->op, f->stream, (bulla_bytes){NULL, 0});
}

static bulla_rc enclave_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct side *side = ctx;
	struct bulla_buf body;
	bulla_rc rc;

	(void)role;
	(void)boot_id;
	bulla_buf_init(&body, 4096);
	side->enclave->session += 16;
	town_write_instance(&side->v->town, side->enclave, &body);
	rc = bulla_frames_push(frames, BULLA_OP_INSTANCE, 0, bulla_buf_view(&body));
	bulla_buf_done(&body);
	return rc;
}

static void side_end(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct side *side = ctx;

	(void)pipe;
	(void)why;
	side->used = false;
	side->frames = NULL;
	side->pipe = NULL;
}

static void side_open(struct village *v, int fd, struct town_enclave *enclave)
{
	static const uint8_t boot[16] = {3};
	struct side *side = v->sides;
	struct bulla_pipe_events events = {.on_end = side_end};
	struct bulla_frames_events on = {.on_message = enclave ? enclave_message : broker_message,
		.on_hello = enclave ? enclave_hello : NULL};
	struct bulla_frames_options options = {.role = enclave ? BULLA_ROLE_ENCLAVE : BULLA_ROLE_BROKER,
		.boot_id = BULLA_BYTES_ARRAY(boot),
		.window = enclave ? 256 : 4096};

	while (side->used)
		side++;
	*side = (struct side){.v = v, .used = true, .enclave = enclave};
	events.ctx = on.ctx = side;
	MUST(bulla_pipe_new(&v->loop, fd, NULL, &events, &side->pipe));
	MUST(bulla_pipe_frames(side->pipe, &options, &on, &side->frames));
}

static void accept_broker(void *ctx, int fd)
{
	side_open(ctx, fd, NULL);
}

static void accept_first(void *ctx, int fd)
{
	side_open(ctx, fd, &village.town.enclaves[0]);
}

static void accept_second(void *ctx, int fd)
{
	side_open(ctx, fd, &village.town.enclaves[1]);
}

/* --- the client's side --- */

static bulla_run_id run_id(const struct village *v, uint32_t number)
{
	uint8_t random[10] = {0};

	random[8] = (uint8_t)(number >> 8);
	random[9] = (uint8_t)number;
	random[0] = 0x42;
	return bulla_run_id_make((uint64_t)v->town.base, random);
}

static void start(struct village *v, uint32_t number)
{
	static uint8_t input[1200];
	struct bulla_buf body;
	bulla_run_id id = run_id(v, number);

	if (!v->client.greeted || v->client.frames == NULL)
		return;
	bulla_buf_init(&body, 1 << 16);
	town_write_start(&v->town, &id, true, BULLA_BYTES_ARRAY(input), &body);
	if (bulla_frames_call(v->client.frames, BULLA_OP_START, number + 1, bulla_buf_view(&body)) == BULLA_OK) {
		v->state[number] = 1;
		v->open++;
	}
	bulla_buf_done(&body);
}

static void fill(struct village *v)
{
	while (!v->refuse_new && v->open < v->in_flight && v->client.greeted && v->next < RUNS_MAX)
		start(v, v->next++);
}

static bulla_rc client_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *f)
{
	struct village *v = ((struct side *)ctx)->v;
	struct bulla_msg_run_result m;
	uint32_t number = f->stream - 1;

	(void)frames;
	if (f->op != BULLA_OP_START || (f->flags & BULLA_FRAME_EVENT) || number >= RUNS_MAX)
		return BULLA_OK;
	v->open--;
	v->state[number] = 0;
	if (f->flags & BULLA_FRAME_ERROR) {
		if (v->failed++ == 0)
			printf("# first error: %s\n", bulla_rc_id(bulla_frames_error_of(f, NULL)));
		return BULLA_OK;
	}
	MUST(bulla_msg_run_result_decode(f->body, &m));
	if (m.state == BULLA_RUN_DONE && m.receipts.count == 1 && m.token.n > 0) {
		v->state[number] = 2;
		v->done++;
	}
	fill(v);
	return BULLA_OK;
}

static bulla_rc client_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct side *side = ctx;

	(void)role;
	(void)boot_id;
	side->frames = frames;
	side->greeted = true;
	for (uint32_t i = 0; i < side->v->next; i++) /* the same start is the same run */
		if (side->v->state[i] != 2)
			start(side->v, i);
	fill(side->v);
	return BULLA_OK;
}

static void client_end(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct side *side = ctx;

	(void)pipe;
	(void)why;
	side->pipe = NULL;
	side->frames = NULL;
	side->greeted = false;
	side->v->open = 0;
}

static void client_dial(struct village *v)
{
	static const uint8_t boot[16] = {4};
	struct bulla_pipe_events events = {.ctx = &v->client, .on_end = client_end};
	struct bulla_frames_events on = {.ctx = &v->client, .on_message = client_message, .on_hello = client_hello};
	struct bulla_frames_options options = {
		.role = BULLA_ROLE_CLIENT, .boot_id = BULLA_BYTES_ARRAY(boot), .window = 256};
	struct bulla_addr addr;
	int fd;

	v->client.v = v;
	if (v->client.pipe != NULL)
		return;
	MUST(bulla_addr_parse(bulla_bytes_str(v->socket), &addr));
	if (bulla_addr_dial(&addr, &fd) != BULLA_OK)
		return;
	MUST(bulla_pipe_new(&v->loop, fd, NULL, &events, &v->client.pipe));
	MUST(bulla_pipe_frames(v->client.pipe, &options, &on, &v->client.frames));
}

/* --- bullad --- */

static void spawn(struct village *v, const char *program)
{
	char state[128], api[128], broker[128], first[128], second[128];

	snprintf(state, sizeof(state), "%s/host", v->folder);
	snprintf(api, sizeof(api), "%s/bullad.sock", v->folder);
	snprintf(broker, sizeof(broker), "unix:%s/broker.sock", v->folder);
	snprintf(first, sizeof(first), "unix:%s/first.sock", v->folder);
	snprintf(second, sizeof(second), "unix:%s/second.sock", v->folder);
	v->bullad = fork();
	if (v->bullad != 0)
		return;
	if (freopen(getenv("BULLAD_LOG") ? getenv("BULLAD_LOG") : "/dev/null", "a", stderr) == NULL)
		_exit(127);
	execl(program, "bullad", "--state", state, "--socket", api, "--broker", broker, "--broker-tls", broker, "--enclave",
		first, "--enclave", second, (char *)NULL);
	_exit(127);
}

static void listen_at(struct village *v, const char *name, struct bulla_listener *listener, void (*on_accept)(void *, int))
{
	char text[160];
	struct bulla_addr addr;
	int fd;

	snprintf(text, sizeof(text), "unix:%s/%s", v->folder, name);
	MUST(bulla_addr_parse(bulla_bytes_str(text), &addr));
	MUST(bulla_addr_listen(&addr, 0600, &fd));
	MUST(bulla_listener_start(listener, &v->loop, fd, v, on_accept));
}

static void turn_for(struct village *v, int64_t us)
{
	int64_t until = bulla_mono_us(bulla_sys_clock()) + us;

	while (bulla_mono_us(bulla_sys_clock()) < until) {
		client_dial(v);
		MUST(bulla_loop_turn(&v->loop, 2000));
	}
}

/* The manifest must be known before anything can start. */
static void put_manifest(struct village *v)
{
	struct bulla_msg_put_manifest m = {.manifest = v->town.manifest};
	struct bulla_buf body;
	bulla_wr w;

	bulla_buf_init(&body, 1 << 16);
	w = bulla_wr_buf(&body);
	bulla_msg_put_manifest_encode(&m, &w);
	v->refuse_new = true;
	for (int i = 0; i < 300 && !v->client.greeted; i++)
		turn_for(v, 10000);
	int status = 0;
	if (!v->client.greeted && waitpid(v->bullad, &status, WNOHANG) == v->bullad)
		printf("# bullad died: status %x\n", (unsigned)status);
	MUST(v->client.greeted ? BULLA_OK : BULLA_E_TIMEOUT);
	MUST(bulla_frames_call(v->client.frames, BULLA_OP_PUT_MANIFEST, 0x7fff0000, bulla_buf_view(&body)));
	turn_for(v, 100000);
	v->refuse_new = false;
	bulla_buf_done(&body);
}

static const struct bulla_flow *two_steps(struct flows *f)
{
	return flows_linear(f, 2);
}

static void open_village(struct village *v)
{
	v->town.without_engine = true;
	town_open(&v->town, two_steps);
	v->town.now = v->town.base = bulla_wall_ms(bulla_sys_clock());
	for (int i = 0; i < 2; i++)
		town_enclave(&v->town, "ab")->window = 32;
	strcpy(v->folder, "/tmp/bulla-kill-XXXXXX");
	MUST(mkdtemp(v->folder) ? BULLA_OK : BULLA_E_IO);
	snprintf(v->socket, sizeof(v->socket), "unix:%s/bullad.sock", v->folder);
	MUST(bulla_loop_init(&v->loop, bulla_sys_clock(), NULL));
	listen_at(v, "broker.sock", &v->broker, accept_broker);
	listen_at(v, "first.sock", &v->enclaves[0], accept_first);
	listen_at(v, "second.sock", &v->enclaves[1], accept_second);
}

/* 1 when every run that was started is done in the ledger, and each slot has one receipt. */
static bool all_done(struct village *v)
{
	for (uint32_t i = 0; i < v->next; i++) {
		bulla_run_id id = run_id(v, i);

		if (v->state[i] == 2 && bulla_ledger_run_state(v->town.ledger, &id) != BULLA_RUN_DONE)
			return false;
		if (v->state[i] != 2)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct village *v = &village;
	unsigned kills = argc > 2 ? (unsigned)atoi(argv[2]) : 8;
	uint64_t seed = argc > 4 ? (uint64_t)atoll(argv[4]) : 1;
	char path[160];

	if (argc < 2)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	v->in_flight = argc > 3 ? (unsigned)atoi(argv[3]) : 32;
	open_village(v);
	spawn(v, argv[1]);
	put_manifest(v);
	fill(v);
	printf("1..2\n");
	for (unsigned i = 0; i < kills; i++) {
		seed = seed * 6364136223846793005U + 1442695040888963407U;
		turn_for(v, 30000 + (int64_t)(seed >> 40) % 400000);
		kill(v->bullad, SIGKILL);
		waitpid(v->bullad, NULL, 0);
		if (i % 3 == 2) { /* the catalogue is lost, too */
			snprintf(path, sizeof(path), "rm -f %s/host/catalogue.db*", v->folder);
			if (system(path) != 0)
				return 1;
		}
		spawn(v, argv[1]);
	}
	v->refuse_new = true;
	for (int i = 0; i < 100 && !all_done(v); i++)
		turn_for(v, 100000);
	printf("%sok 1 - every run ended after %u kills # %u runs, %u done, %u errors\n", all_done(v) ? "" : "not ", kills,
		v->next, v->done, v->failed);
	kill(v->bullad, SIGTERM);
	int status = -1;

	turn_for(v, 300000);
	for (int i = 0; i < 50 && waitpid(v->bullad, &status, WNOHANG) == 0; i++)
		turn_for(v, 100000);
	printf("%sok 2 - bullad ends on SIGTERM\n", WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : "not ");
	snprintf(path, sizeof(path), "rm -rf %s", v->folder);
	return system(path) == 0 ? 0 : 1;
}
