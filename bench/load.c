/* bulla-load PROJECT WORKFLOW IN-FLIGHT SECONDS [BYTES]: a closed loop of whole runs through the engine's ordinary socket:
 * input sealed and signed, result opened and compared. Prints BEGIN and END at the edges of the measured time, then one
 * JSON line. The workflow is the peers' one: "A" and "B" are put before what came in, the length stays. */
#include "base/mem.h"
#include "cmd/local.h"
#include "cmd/names.h"
#include "cmd/owner.h"
#include "crypto/random.h"
#include "io/addr.h"
#include "io/sys.h"
#include "wire/kinds.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define IN_FLIGHT_MAX 256
#define WARM_US 1500000
#define SAMPLES (1u << 20)

/* Where the time of a run goes, as its follower sees it; each ends when the next begins. */
enum phase { PERMIT, STEP_A, STEP_B, ANSWER, PHASES };
static const char *const phase_names[PHASES] = {"permit", "a", "b", "answer"};
#define PHASE_SAMPLES (1u << 18)

struct load {
	struct context context;
	struct cli cli;
	const struct bulla_workflow *workflow;
	struct owner_starter *starter;
	struct owner_opener *opener;
	struct bulla_msg_keys_reply keys;
	struct bulla_buf keys_memory, body, payload;
	struct bulla_frames *frames;
	int fd;
	bool greeted;
	uint32_t stream[IN_FLIGHT_MAX]; /* 0: free */
	int64_t began[IN_FLIGHT_MAX], entered[IN_FLIGHT_MAX]; /* entered: its phase */
	unsigned phase[IN_FLIGHT_MAX];
	uint32_t *phases[PHASES];
	size_t phase_counts[PHASES];
	unsigned in_flight;
	char *input;  /* a JSON string */
	char *expect; /* its result */
	uint32_t *samples;
	size_t done, errors, sample_count;
	bool measuring;
};

static int64_t now_us(void)
{
	return bulla_mono_us(bulla_sys_clock());
}

static int fail(bulla_rc rc, const char *where)
{
	unsigned count = 0;
	const struct bulla_trail_entry *trail = bulla_trail(&count);

	fprintf(stderr, "bulla-load: %s: %s (%s)\n", where, bulla_rc_id(rc), count > 0 && trail[0].what != NULL ? trail[0].what : "");
	return 1;
}

static bulla_rc on_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	(void)frames;
	(void)role;
	(void)boot_id;
	((struct load *)ctx)->greeted = true;
	return BULLA_OK;
}

/* A result counts when the ledger's token covers it and the text inside is the right one. */
static bulla_rc check_result(struct load *l, bulla_bytes body)
{
	const struct owner_wish wish = {.kind = BULLA_ENVELOPE_OUTPUT};
	struct bulla_msg_run_result result;

	BULLA_TRY(bulla_msg_decode(&bulla_msg_run_result_desc, body, &result));
	bulla_buf_clear(&l->payload);
	BULLA_TRY(owner_opener_token(l->opener, result.token, bulla_pb_list_at(&result.receipts, 0)));
	BULLA_TRY(owner_opener_open(l->opener, bulla_pb_list_at(&result.receipts, 0), &result.envelopes, &result.objects, &wish,
		&l->payload));
	if (!bulla_bytes_eq(bulla_buf_view(&l->payload), bulla_bytes_str(l->expect)))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a run gave another result than it must");
	return BULLA_OK;
}

static void end_phase(struct load *l, unsigned slot)
{
	unsigned phase = l->phase[slot];
	int64_t now = now_us();

	if (l->measuring && l->phase_counts[phase] < PHASE_SAMPLES)
		l->phases[phase][l->phase_counts[phase]++] = (uint32_t)(now - l->entered[slot]);
	l->entered[slot] = now;
	l->phase[slot] = phase + 1 < PHASES ? phase + 1 : phase;
}

/* The first step runs: permitted. A step is done: committed. */
static void on_event(struct load *l, unsigned slot, bulla_bytes body)
{
	struct bulla_msg_run_event event;

	if (bulla_msg_decode(&bulla_msg_run_event_desc, body, &event) != BULLA_OK)
		return;
	if (event.state == BULLA_STEP_DONE ? l->phase[slot] == event.step : event.state == BULLA_STEP_RUNNING && l->phase[slot] == PERMIT)
		end_phase(l, slot);
}

/* The last receipt, ahead of its token: what is wrong with it shows at the end. */
static void on_ahead(struct load *l, bulla_bytes body)
{
	const struct bulla_pb_list none = {.count = 0};
	struct bulla_msg_run_result ahead;

	if (bulla_msg_decode(&bulla_msg_run_result_desc, body, &ahead) == BULLA_OK)
		(void)(owner_opener_receipt(l->opener, bulla_pb_list_at(&ahead.receipts, 0), &none, false) == BULLA_OK);
}

static bulla_rc on_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct load *l = ctx;
	unsigned slot = 0;
	uint64_t retry;
	bulla_rc rc;

	(void)frames;
	if ((message->flags & BULLA_FRAME_REPLY) == 0)
		return BULLA_OK;
	while (slot < l->in_flight && l->stream[slot] != message->stream)
		slot++;
	if (slot == l->in_flight)
		return BULLA_OK;
	if ((message->flags & BULLA_FRAME_EVENT) != 0) {
		if (message->op == BULLA_OP_GET)
			on_ahead(l, message->body);
		else
			on_event(l, slot, message->body);
		return BULLA_OK;
	}
	end_phase(l, slot);
	rc = message->flags & BULLA_FRAME_ERROR ? bulla_frames_error_of(message, &retry) : check_result(l, message->body);
	if (rc != BULLA_OK && l->errors++ == 0)
		fail(rc, "a run");
	if (l->measuring && rc == BULLA_OK) {
		l->done++;
		if (l->sample_count < SAMPLES)
			l->samples[l->sample_count++] = (uint32_t)(now_us() - l->began[slot]);
	}
	l->stream[slot] = 0;
	return BULLA_OK;
}

static bulla_rc send_start(struct load *l, unsigned slot)
{
	l->stream[slot] = bulla_frames_stream(l->frames);
	l->began[slot] = l->entered[slot] = now_us();
	l->phase[slot] = PERMIT;
	return bulla_frames_call(l->frames, BULLA_OP_START, l->stream[slot], bulla_buf_view(&l->body));
}

static bulla_rc start_one(struct load *l, unsigned slot)
{
	bulla_run_id run;

	bulla_buf_clear(&l->body);
	BULLA_TRY(owner_starter_make(l->starter, bulla_bytes_str(l->input), NULL, true, &l->body, &run));
	return send_start(l, slot);
}

/* Starts of one turn share a signature, as receipts of one turn do. */
static bulla_rc start_together(struct load *l, const unsigned *slots, size_t count)
{
	bulla_run_id run;

	if (count == 1)
		return start_one(l, slots[0]);
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(owner_starter_hold(l->starter, bulla_bytes_str(l->input), NULL, &run));
	BULLA_TRY(owner_starter_sign(l->starter));
	for (size_t i = 0; i < count; i++) {
		bulla_buf_clear(&l->body);
		BULLA_TRY(owner_starter_held(l->starter, i, true, &l->body));
		BULLA_TRY(send_start(l, slots[i]));
	}
	owner_starter_release(l->starter);
	return BULLA_OK;
}

/* Starts a run in every free slot. */
static bulla_rc refill_slots(struct load *l)
{
	unsigned slots[OWNER_STARTS_HELD];
	size_t count = 0;

	for (unsigned slot = 0; slot < l->in_flight; slot++) {
		if (l->stream[slot] == 0)
			slots[count++] = slot;
		if (count == OWNER_STARTS_HELD || (slot + 1 == l->in_flight && count > 0)) {
			BULLA_TRY(start_together(l, slots, count));
			count = 0;
		}
	}
	return BULLA_OK;
}

static bulla_rc turn(struct load *l)
{
	static uint8_t bytes[1 << 18];
	bulla_bytes out = bulla_frames_output(l->frames);
	struct pollfd fd = {.fd = l->fd, .events = POLLIN};
	ssize_t n;

	if (out.n > 0) {
		n = send(l->fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			bulla_frames_sent(l->frames, (size_t)n);
		fd.events = (short)(bulla_frames_output(l->frames).n > 0 ? POLLIN | POLLOUT : POLLIN);
	}
	if (poll(&fd, 1, 1000) < 0 && errno != EINTR)
		return BULLA_FAIL_OS(BULLA_E_IO, "poll is refused", errno);
	if (fd.revents & (POLLIN | POLLHUP)) {
		n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n <= 0 && errno != EAGAIN)
			return BULLA_FAIL(BULLA_E_CLOSED, "the engine closed the connection");
		if (n > 0)
			BULLA_TRY(bulla_frames_feed(l->frames, bulla_bytes_of(bytes, (size_t)n), now_us()));
	}
	return bulla_frames_tick(l->frames, now_us());
}

/* Keeps the loop full until the time is over; then lets what is under way end. */
static bulla_rc run(struct load *l, int64_t until_us, bool refill)
{
	bool open = true;

	while (open && (now_us() < until_us || !refill)) {
		open = refill;
		if (refill)
			BULLA_TRY(refill_slots(l));
		for (unsigned slot = 0; slot < l->in_flight; slot++)
			open = open || l->stream[slot] != 0;
		if (open)
			BULLA_TRY(turn(l));
		if (l->errors > 100 || now_us() > until_us + 30000000)
			return BULLA_FAIL(BULLA_E_STATE, "too many runs failed, or they do not end");
	}
	return BULLA_OK;
}

static bulla_rc connect_engine(struct load *l)
{
	static const uint8_t boot_id[16] = {1};
	const struct bulla_frames_events events = {.ctx = l, .on_hello = on_hello, .on_message = on_message};
	const struct bulla_frames_options options = {.role = BULLA_ROLE_CLIENT, .boot_id = BULLA_BYTES_ARRAY(boot_id), .window = 1,
		.now_us = now_us()};
	char path[CONTEXT_PATH];
	struct bulla_addr addr;

	path_join(path, l->context.runtime, "bullad.sock");
	BULLA_TRY(bulla_addr_parse(bulla_bytes_str(path), &addr));
	BULLA_TRY(bulla_addr_dial(&addr, &l->fd));
	BULLA_TRY(bulla_frames_new(&options, &events, &l->frames));
	while (!l->greeted)
		BULLA_TRY(turn(l));
	return BULLA_OK;
}

static bulla_rc ask_keys(struct load *l)
{
	struct client *client = NULL;
	char path[CONTEXT_PATH];
	bulla_rc rc;

	path_join(path, l->context.runtime, "bullad.sock");
	BULLA_TRY(client_open(path, &client));
	rc = client_call(client, BULLA_OP_KEYS, (bulla_bytes){NULL, 0}, NULL, 15000, &l->keys_memory);
	client_close(client);
	BULLA_TRY(rc);
	return bulla_msg_decode(&bulla_msg_keys_reply_desc, bulla_buf_view(&l->keys_memory), &l->keys);
}

/* "xxxx" of that many characters, and what A and B make of it. */
static bulla_rc make_texts(struct load *l, size_t bytes)
{
	void *in = NULL, *out = NULL, *samples = NULL;

	BULLA_TRY(bulla_alloc(bytes + 3, 1, &in));
	BULLA_TRY(bulla_alloc(bytes + 3, 1, &out));
	BULLA_TRY(bulla_alloc(SAMPLES, sizeof(uint32_t), &samples));
	l->input = in;
	l->expect = out;
	l->samples = samples;
	for (unsigned i = 0; i < PHASES; i++) {
		BULLA_TRY(bulla_alloc(PHASE_SAMPLES, sizeof(uint32_t), &samples));
		l->phases[i] = samples;
	}
	memset(l->input, 'x', bytes + 2);
	l->input[0] = l->input[bytes + 1] = '"';
	memcpy(l->expect, l->input, bytes + 3);
	l->expect[1] = 'B';
	l->expect[2] = 'A';
	return BULLA_OK;
}

static bulla_rc prepare(struct load *l, const char *workflow)
{
	bulla_handle handle = name_handle(l->context.name_key, "workflow", workflow);

	for (size_t i = 0; i < l->context.manifest.workflow_count; i++)
		if (bulla_handle_eq(&l->context.manifest.workflows[i].handle, &handle))
			l->workflow = &l->context.manifest.workflows[i];
	if (l->workflow == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "there is no such workflow");
	bulla_buf_init(&l->keys_memory, 16 << 20);
	bulla_buf_init(&l->body, 16 << 20);
	bulla_buf_init(&l->payload, 2 << 20);
	BULLA_TRY(ask_keys(l));
	BULLA_TRY(owner_starter_new(&l->context, l->workflow, &l->keys, &l->starter));
	BULLA_TRY(owner_opener_new(&l->context, l->workflow, NULL, &l->opener));
	return connect_engine(l);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Milliseconds below which that part of the runs ended. */
static double quantile(const struct load *l, double part)
{
	size_t at = (size_t)(part * (double)l->sample_count);

	if (l->sample_count == 0)
		return 0;
	return l->samples[at < l->sample_count ? at : l->sample_count - 1] / 1000.0;
}

static void report_phase(struct load *l, unsigned phase)
{
	uint32_t *samples = l->phases[phase];
	size_t count = l->phase_counts[phase];

	qsort(samples, count, sizeof(*samples), by_value);
	printf("%s\"%s\": [%.3f, %.3f]", phase == 0 ? "" : ", ", phase_names[phase], count == 0 ? 0 : samples[count / 2] / 1000.0,
		count == 0 ? 0 : samples[count - 1 - count / 100] / 1000.0);
}

static void report(struct load *l, double seconds)
{
	static const double parts[] = {0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1};

	qsort(l->samples, l->sample_count, sizeof(*l->samples), by_value);
	printf("{\"seconds\": %.3f, \"done\": %zu, \"errors\": %zu, \"wf_per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"quantiles\": {",
		seconds, l->done, l->errors, (double)l->done / seconds, quantile(l, 0.5), quantile(l, 0.99));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		printf("%s\"%g\": %.3f", i == 0 ? "" : ", ", parts[i], quantile(l, parts[i]));
	fputs("}, \"phases_ms\": {", stdout);
	for (unsigned i = 0; i < PHASES; i++)
		report_phase(l, i);
	puts("}}");
}

static int measure(struct load *l, double seconds)
{
	bulla_rc rc = run(l, now_us() + WARM_US, true);
	int64_t begin;

	if (rc != BULLA_OK)
		return fail(rc, "warming up");
	puts("BEGIN");
	fflush(stdout);
	l->measuring = true;
	begin = now_us();
	rc = run(l, begin + (int64_t)(seconds * 1e6), true);
	double took = (double)(now_us() - begin) / 1e6;
	l->measuring = false;
	puts("END");
	fflush(stdout);
	if (rc != BULLA_OK)
		return fail(rc, "measuring");
	report(l, took);
	fflush(stdout);
	poll(NULL, 0, 400); /* the meter samples this process after END */
	rc = run(l, now_us(), false);
	return rc == BULLA_OK && l->errors == 0 ? 0 : fail(rc, "draining");
}

int main(int argc, char **argv)
{
	static struct load l;
	int code;
	bulla_rc rc;

	if (argc < 5) {
		fputs("usage: bulla-load PROJECT-DIR WORKFLOW IN-FLIGHT SECONDS [BYTES]\n", stderr);
		return 2;
	}
	l.cli.dir = argv[1];
	l.cli.color = "never";
	l.in_flight = (unsigned)strtoul(argv[3], NULL, 10);
	if (l.in_flight == 0 || l.in_flight > IN_FLIGHT_MAX)
		return fail(BULLA_E_ARGUMENT, "IN-FLIGHT");
	code = context_open(&l.context, &l.cli);
	code = code == 0 ? context_key(&l.context, false) : code;
	code = code == 0 ? context_name_key(&l.context, false) : code;
	code = code == 0 ? context_manifest(&l.context) : code;
	if (code != 0)
		return code;
	rc = make_texts(&l, argc > 5 ? strtoul(argv[5], NULL, 10) : 1024);
	rc = rc == BULLA_OK ? prepare(&l, argv[2]) : rc;
	return rc == BULLA_OK ? measure(&l, strtod(argv[4], NULL)) : fail(rc, "setting up");
}
