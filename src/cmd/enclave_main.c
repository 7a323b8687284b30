#include "cmd/enclave_main.h"

#include "base/log.h"
#include "cmd/daemon.h"
#include "crypto/random.h"
#include "io/addr.h"
#include "io/pipe.h"
#include "io/sys.h"
#include "tee/enclave.h"
#include "wire/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 5120 /* links and what else is alive */

struct options {
	const char *listen, *manifest, *collateral, *root, *driver;
	struct bulla_tee_bundle bundles[BULLA_TEE_AGENTS];
	size_t bundle_count;
};

struct program {
	struct bulla_tee_base base;
	struct bulla_buf collateral;
	struct bulla_loop loop;
	struct bulla_enclave *enclave;
	struct bulla_listener listener;
	struct bulla_watch signals;
	struct bulla_pipe *host;
	struct bulla_random_pool random;
	uint8_t boot_id[16];
};

/* HANDLE=DIR: 16 hexadecimal digits and a folder. */
static bool take_agent(void *ctx, const char *text)
{
	struct options *ret = ctx;
	const char *equals = strchr(text, '=');
	struct bulla_tee_bundle *bundle = &ret->bundles[ret->bundle_count];

	if (equals == NULL || ret->bundle_count == BULLA_TEE_AGENTS)
		return false;
	if (bulla_text_hex(bulla_bytes_of(text, (size_t)(equals - text)), sizeof(bundle->agent.b), bundle->agent.b) != BULLA_OK)
		return false;
	bundle->folder = equals + 1;
	ret->bundle_count++;
	return true;
}

static void parse(int argc, char **argv, const char *name, const struct bulla_source_ops *driver,
	struct options *ret)
{
	const struct daemon_option options[] = {
		{"listen", "ADDRESS", "of the engine's side: unix:PATH or vsock:CID:PORT", DAEMON_MUST, &ret->listen, NULL, NULL},
		{"collateral", "FILE", "what appraising the evidence needs besides, for the broker", DAEMON_MAY, &ret->collateral, NULL, NULL},
		{"root", "FOLDER", "before the kernel's paths, for tests", DAEMON_MAY, &ret->root, NULL, NULL},
		{"manifest", "FILE", "the compiled project; it is measured", DAEMON_MUST, &ret->manifest, NULL, NULL},
		{"agent", "HANDLE=FOLDER", "an agent's bundle; it is measured; any number", DAEMON_MUST, NULL, take_agent, ret},
		{driver->option, driver->argument, driver->help, DAEMON_MAY, &ret->driver, NULL, NULL},
	};

	const size_t count = sizeof(options) / sizeof(options[0]) - (driver->option == NULL);
	enum daemon_outcome outcome;

	ret->root = "";
	outcome = daemon_parse(argc, argv, options, count);
	if (outcome == DAEMON_OK)
		return;
	for (size_t i = 0; i < count; i++)
		fprintf(outcome == DAEMON_HELP ? stdout : stderr, "%s --%s %s: %s\n", name, options[i].name, options[i].argument,
			options[i].help);
	exit(outcome == DAEMON_HELP ? 0 : 2);
}

static bulla_rc read_collateral(struct program *program, const struct options *options)
{
	bulla_buf_init(&program->collateral, BULLA_MAX_EVIDENCE);
	if (options->collateral == NULL)
		return BULLA_OK;
	BULLA_TRY(bulla_sys_read_file(options->collateral, &program->collateral));
	program->base.collateral = bulla_buf_view(&program->collateral);
	return BULLA_OK;
}

/* --- the host's connection --- */

static void host_ended(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct program *program = ctx;

	if (program->host != pipe)
		return;
	program->host = NULL;
	bulla_log(BULLA_LOG_INFO, "enclave.host-gone", bulla_log_rc(why));
	bulla_enclave_host_down(program->enclave);
}

static bulla_rc host_hello(void *ctx, struct bulla_frames *frames, uint64_t role, bulla_bytes boot_id)
{
	struct program *program = ctx;

	(void)boot_id;
	if (role != BULLA_ROLE_HOST)
		return BULLA_FAIL(BULLA_E_DENIED, "only a host speaks to an enclave");
	return bulla_enclave_host_up(program->enclave, frames);
}

static bulla_rc host_message(void *ctx, struct bulla_frames *frames, const struct bulla_frame *message)
{
	struct program *program = ctx;

	(void)frames;
	if (message->op == BULLA_OP_LEAVE) /* a host that says so for nothing could as well not call */
		bulla_loop_stop(&program->loop);
	return message->op == BULLA_OP_LEAVE ? BULLA_OK : bulla_enclave_message(program->enclave, message);
}

/* A new host replaces the old one: it is the one that lives. */
static void host_accepted(void *ctx, int fd)
{
	struct program *program = ctx;
	const struct bulla_pipe_events events = {.ctx = program, .on_end = host_ended};
	const struct bulla_frames_options options = {.role = BULLA_ROLE_ENCLAVE,
		.boot_id = BULLA_BYTES_ARRAY(program->boot_id), .window = bulla_enclave_window(program->enclave)};
	const struct bulla_frames_events frame_events = {.ctx = program, .on_hello = host_hello, .on_message = host_message};
	struct bulla_frames *frames;
	bulla_rc rc;

	if (program->host != NULL) {
		bulla_enclave_host_down(program->enclave);
		program->host = bulla_pipe_free(program->host);
	}
	rc = bulla_pipe_new(&program->loop, fd, NULL, &events, &program->host);
	if (rc == BULLA_OK)
		rc = bulla_pipe_frames(program->host, &options, &frame_events, &frames);
	if (rc == BULLA_OK)
		return;
	bulla_log(BULLA_LOG_WARN, "enclave.host-refused", bulla_log_rc(rc));
	program->host = bulla_pipe_free(program->host);
}

/* --- loop --- */

static void drain(void *ctx, int64_t now_us)
{
	struct program *program = ctx;

	if (program->enclave == NULL)
		return;
	bulla_enclave_turn(program->enclave, now_us);
	if (program->host != NULL)
		bulla_pipe_tick(program->host, now_us);
}

static int64_t next_deadline(void *ctx)
{
	const struct program *program = ctx;
	int64_t due = program->enclave == NULL ? INT64_MAX : bulla_enclave_due(program->enclave);
	int64_t of_pipe = program->host == NULL ? INT64_MAX : bulla_pipe_deadline(program->host);

	return of_pipe < due ? of_pipe : due;
}

static void take_signal(void *ctx, uint32_t events)
{
	struct program *program = ctx;

	(void)events;
	if (bulla_loop_signal_take(program->signals.fd) != 0)
		bulla_loop_stop(&program->loop);
}

static bulla_rc watch_signals(struct program *program)
{
	static const int list[] = {SIGTERM, SIGINT, 0};

	program->signals = (struct bulla_watch){.ctx = program, .on_ready = take_signal, .fd = -1};
	BULLA_TRY(bulla_loop_signals(list, &program->signals.fd));
	return bulla_loop_add(&program->loop, &program->signals, EPOLLIN);
}

static bulla_rc start(struct program *program, const struct options *options, const struct bulla_source_ops *driver)
{
	const struct bulla_loop_hooks hooks = {.ctx = program, .drain = drain, .next_deadline = next_deadline};
	struct bulla_source source;
	struct bulla_addr addr;
	int fd;

	BULLA_TRY(bulla_sys_harden());
	BULLA_TRY(bulla_secret_slab_init(SLOTS));
	BULLA_TRY(bulla_source_open(driver, options->root, options->driver, &source));
	BULLA_TRY(read_collateral(program, options));
	bulla_random_pool_init(&program->random, bulla_random_os());
	BULLA_TRY(bulla_random_fill(&program->random.table, program->boot_id, sizeof(program->boot_id)));
	BULLA_TRY(bulla_tee_boot(&program->base, options->manifest, options->bundles, options->bundle_count, &source,
		bulla_sys_clock(), &program->random.table));
	BULLA_TRY(bulla_loop_init(&program->loop, bulla_sys_clock(), &hooks));
	BULLA_TRY(watch_signals(program));
	/* the host may connect and wait: what follows takes a tenth of a second */
	BULLA_TRY(bulla_addr_parse(bulla_bytes_str(options->listen), &addr));
	BULLA_TRY(bulla_addr_listen(&addr, 0600, &fd));
	BULLA_TRY(bulla_enclave_new(&program->base, &program->loop, &program->enclave));
	BULLA_TRY(bulla_listener_start(&program->listener, &program->loop, fd, program, host_accepted));
	bulla_log(BULLA_LOG_INFO, "enclave.listening", bulla_log_u64("sandbox", program->base.zygote.features),
		bulla_log_digest("manifest", &program->base.manifest.digest));
	return bulla_loop_run(&program->loop);
}

int enclave_main(int argc, char **argv, const char *name, const struct bulla_source_ops *driver)
{
	struct program program = {0};
	struct options options = {.bundle_count = 0};
	bulla_rc rc;

	parse(argc, argv, name, driver, &options);
	rc = bulla_tee_fork(&program.base); /* before anything else: the zygote shall know nothing */
	if (rc == BULLA_OK)
		rc = start(&program, &options, driver);
	if (rc != BULLA_OK) {
		unsigned count;
		const struct bulla_trail_entry *trail = bulla_trail(&count);

		bulla_log(BULLA_LOG_ERROR, "enclave.failed", bulla_log_rc(rc), bulla_log_u64("errno", count > 0 ? trail->os_error : 0));
	}
	program.host = bulla_pipe_free(program.host);
	program.enclave = bulla_enclave_free(program.enclave);
	bulla_tee_done(&program.base);
	bulla_random_pool_done(&program.random);
	bulla_secret_slab_done();
	return rc == BULLA_OK ? 0 : 1;
}
