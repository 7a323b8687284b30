/* bulla attest serve ADDRESS: the attestation service alone (channel/service.h): HTTP/1.1 over TLS 1.3 with a key of its own,
 * or --plain where nobody else can listen. Many connections at once in one loop, each with one deadline per request. */
#include "cmd/attest_job.h"
#include "cmd/attest_options.h"

#include "base/mem.h"
#include "channel/service.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "io/addr.h"
#include "io/pipe.h"
#include "io/sys.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>

#define REQUEST_MAX (BULLA_HTTP_HEAD_MAX + BULLA_HTTP_BODY_MAX)
#define CHALLENGE_MS 60000
#define PERIOD_MS 300000
#define PATIENCE_US ((int64_t)BULLA_MAX_SERVICE_MS * 1000)
#define YEARS_SECONDS (10 * INT64_C(365) * 86400)

struct program;

struct client {
	struct program *program;
	struct client *next;
	struct bulla_pipe *pipe;
	struct bulla_buf in;
	int64_t due_us; /* this request is answered by then, or never */
};

struct program {
	struct cli *cli;
	struct attest_job *job;       /* policy, anchors, collateral that is kept */
	struct attest_job *reloaded;  /* the newer policy, when there is one */
	struct bulla_foreign request;
	struct bulla_appraiser *appraiser;
	struct bulla_service service;
	struct keyfile key;
	struct bulla_buf references, answer;
	struct bulla_tls_context *tls; /* NULL: plain */
	struct bulla_loop loop;
	struct bulla_listener listener;
	struct bulla_watch signals;
	struct client *clients;
	size_t client_count;
};

static int64_t now_ms(void)
{
	return bulla_wall_ms(bulla_sys_clock());
}

/* ---- connections ---- */
static void client_gone(void *ctx, struct bulla_pipe *pipe, bulla_rc why)
{
	struct client *client = ctx;
	struct client **at = &client->program->clients;

	(void)pipe;
	(void)why;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	client->program->client_count--;
	bulla_buf_done(&client->in);
	bulla_free(client);
}

static bulla_rc send_answer(struct client *client, bool keep)
{
	struct bulla_buf *answer = &client->program->answer;
	bulla_rc rc = bulla_pipe_write(client->pipe, bulla_buf_view(answer));

	bulla_buf_clear(answer);
	BULLA_TRY(rc);
	client->due_us = client->program->loop.now_us + PATIENCE_US;
	if (!keep)
		bulla_pipe_finish(client->pipe);
	return BULLA_OK;
}

static bulla_rc refuse(struct client *client, bulla_rc why)
{
	bulla_buf_clear(&client->in);
	BULLA_TRY(bulla_service_refuse(&client->program->service, why, &client->program->answer));
	return send_answer(client, false);
}

/* All requests that are whole; one after the other, as HTTP/1.1 wants it. */
static bulla_rc client_bytes(void *ctx, struct bulla_pipe *pipe, bulla_bytes bytes)
{
	struct client *client = ctx;
	struct program *program = client->program;
	struct bulla_http_message message;
	size_t size;

	(void)pipe;
	if (bulla_buf_append(&client->in, bytes) != BULLA_OK)
		return refuse(client, BULLA_E_LIMIT);
	while (client->in.n > 0) {
		bulla_rc rc = bulla_http_read_request(bulla_buf_view(&client->in), &message, &size);

		if (rc == BULLA_E_AGAIN)
			return BULLA_OK;
		if (rc != BULLA_OK)
			return refuse(client, rc);
		BULLA_TRY(bulla_service_answer(&program->service, &message, now_ms(), &program->answer));
		BULLA_TRY(send_answer(client, message.keep_alive));
		if (!message.keep_alive)
			return BULLA_OK;
		bulla_buf_consume(&client->in, size);
	}
	return BULLA_OK;
}

static bulla_rc client_new(struct program *program, int fd)
{
	struct bulla_pipe_events events = {.on_bytes = client_bytes, .on_end = client_gone};
	struct bulla_tls *tls = NULL;
	struct client *client;
	void *p = NULL;
	bulla_rc rc = bulla_alloc(1, sizeof(*client), &p);

	if (rc == BULLA_OK && program->tls != NULL)
		rc = bulla_tls_new(program->tls, BULLA_TLS_HTTP, &tls);
	if (rc != BULLA_OK) {
		bulla_free(p);
		bulla_addr_close(fd);
		return rc;
	}
	client = p;
	*client = (struct client){.program = program, .next = program->clients,
		.due_us = bulla_mono_us(bulla_sys_clock()) + PATIENCE_US};
	bulla_buf_init(&client->in, REQUEST_MAX);
	events.ctx = client;
	rc = bulla_pipe_new(&program->loop, fd, tls, &events, &client->pipe);
	if (rc != BULLA_OK) {
		bulla_free(client);
		return rc;
	}
	program->clients = client;
	program->client_count++;
	return BULLA_OK;
}

static void accepted(void *ctx, int fd)
{
	struct program *program = ctx;

	if (program->client_count >= BULLA_MAX_SERVICE_CLIENTS)
		bulla_addr_close(fd);
	else if (client_new(program, fd) != BULLA_OK)
		say(program->cli, "a connection could not be taken");
}

/* ---- time and signals ---- */
static void drain(void *ctx, int64_t now_us)
{
	struct program *program = ctx;
	struct client *next;

	for (struct client *client = program->clients; client != NULL; client = next) {
		next = client->next;
		if (now_us >= client->due_us) {
			client->due_us = INT64_MAX; /* what was written has its own two seconds now */
			if (client->in.n == 0 || refuse(client, BULLA_E_TIMEOUT) != BULLA_OK)
				bulla_pipe_finish(client->pipe);
			client->due_us = INT64_MAX;
		}
		if (now_us >= bulla_pipe_deadline(client->pipe))
			bulla_pipe_tick(client->pipe, now_us);
	}
}

static int64_t next_deadline(void *ctx)
{
	const struct program *program = ctx;
	int64_t due = INT64_MAX;

	for (const struct client *client = program->clients; client != NULL; client = client->next) {
		int64_t of_pipe = bulla_pipe_deadline(client->pipe);

		due = client->due_us < due ? client->due_us : due;
		due = of_pipe < due ? of_pipe : due;
	}
	return due;
}

static int read_references(struct program *program)
{
	const char *path = program->cli->reference;

	bulla_buf_clear(&program->references);
	if (path == NULL)
		return 0;
	bulla_rc rc = bulla_sys_read_file(path, &program->references);
	return rc == BULLA_OK ? 0 : say_rc(program->cli, rc, path, NULL);
}

/* Whoever was accepted must attest again under the new values. Values that cannot be read change nothing. */
static void reload(struct program *program)
{
	struct attest_job *job = NULL;

	if (attest_new(program->cli, &job) != 0)
		return;
	if (attest_read_policy(job) != 0) {
		attest_close(job);
		return;
	}
	job->reference.policy.generation = program->appraiser->policy->generation + 1;
	bulla_appraiser_policy(program->appraiser, &job->reference.policy);
	if (program->reloaded != NULL)
		attest_close(program->reloaded);
	program->reloaded = job;
	if (read_references(program) != 0)
		bulla_buf_clear(&program->references);
	program->service.references = bulla_buf_view(&program->references);
	say(program->cli, "reference values read again: everybody attests again");
}

static void signalled(void *ctx, uint32_t events)
{
	struct program *program = ctx;
	int number = bulla_loop_signal_take(program->signals.fd);

	(void)events;
	if (number == SIGHUP)
		reload(program);
	else if (number != 0)
		bulla_loop_stop(&program->loop);
}

/* ---- start ---- */
static bool is_loopback(const struct bulla_addr *addr)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (addr->kind == BULLA_ADDR_UNIX)
		return true;
	if (addr->kind != BULLA_ADDR_TCP)
		return false;
	if (addr->sock.any.sa_family == AF_INET) {
		bulla_copy(&v4, &addr->sock.storage, sizeof(v4));
		return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
	}
	bulla_copy(&v6, &addr->sock.storage, sizeof(v6));
	return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static void print_hex(bulla_bytes bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		printf("%02x", bytes.p[i]);
}

static void announce(const struct program *program, const struct bulla_addr *addr, const bulla_digest *pin)
{
	uint16_t port = 0;

	printf("listening");
	if (addr->kind == BULLA_ADDR_TCP && bulla_addr_port(program->listener.watch.fd, &port) == BULLA_OK)
		printf(" on port %u", port);
	if (program->tls == NULL) {
		printf(", plain: whoever reads this machine's memory or loopback reads along\n");
	} else {
		printf(", TLS key sha256:");
		print_hex(bulla_bytes_digest(pin));
		printf("\n");
	}
	fflush(stdout);
}

/* A certificate for the key made now; clients pin the key. */
static bulla_rc make_certificate(struct bulla_sign_key *key, struct bulla_buf *ret)
{
	static const uint8_t serial[] = {1};
	int64_t now_s = now_ms() / 1000;
	const struct bulla_cert_spec spec = {.common_name = "bulla attest serve", .serial = BULLA_BYTES_ARRAY(serial),
		.spki = bulla_sign_key_spki(key), .not_before = now_s - 300, .not_after = now_s + YEARS_SECONDS, .pathlen = -1,
		.usage = BULLA_USAGE_SIGNATURE};

	return bulla_cert_write(&spec, key, ret);
}

static bulla_rc read_key_and_certificate(const struct cli *cli, struct bulla_buf *key, struct bulla_buf *certificate)
{
	BULLA_TRY(bulla_sys_read_file(cli->tls_key, key));
	return bulla_sys_read_file(cli->tls_cert, certificate);
}

static bulla_rc make_tls(struct program *program, bulla_digest *ret_pin)
{
	BULLA_AUTO_SIGN_KEY made = NULL;
	BULLA_AUTO_BUF key, certificate;
	struct bulla_cert cert;

	bulla_buf_init(&key, 8192);
	bulla_buf_init(&certificate, BULLA_CERT_MAX);
	if (program->cli->tls_key != NULL) {
		BULLA_TRY(read_key_and_certificate(program->cli, &key, &certificate));
	} else {
		BULLA_TRY(bulla_sign_key_new(BULLA_ES256, &made));
		BULLA_TRY(bulla_sign_key_export(made, &key));
		BULLA_TRY(make_certificate(made, &certificate));
	}
	BULLA_TRY(bulla_cert_parse(bulla_buf_view(&certificate), &cert));
	bulla_sha256(cert.spki, ret_pin);
	return bulla_tls_server_new(bulla_buf_view(&key), bulla_buf_view(&certificate), &program->tls);
}

static int say_usage(struct cli *cli, const char *where, const char *next, const char *what)
{
	say_error(cli, "usage", where, next, "%s", what);
	return EXIT_USAGE;
}

static int check_options(struct program *program, struct bulla_addr *ret)
{
	struct cli *cli = program->cli;

	if (bulla_addr_parse(bulla_bytes_str(cli->args[0]), ret) != BULLA_OK)
		return say_rc(cli, BULLA_E_ARGUMENT, cli->args[0], "unix:PATH, or HOST:PORT (numbers, or localhost)");
	int code = attest_check_policy(cli);
	if (code == 0)
		code = attest_check_files(cli);
	if (code != 0)
		return code;
	if (attest_key_path(cli) == NULL)
		return say_usage(cli, NULL, "--key FILE: it is made when there is none", "verdicts are signed: with which key?");
	if (cli->plain && !is_loopback(ret))
		return say_usage(cli, cli->args[0], "without --plain; or on loopback, or unix:PATH",
			"without TLS others would read and change what is said");
	if (cli->plain && (cli->tls_key != NULL || cli->tls_cert != NULL))
		return say_usage(cli, "--plain", "one or the other", "without TLS there is no use for a TLS key or certificate");
	if ((cli->tls_key == NULL) != (cli->tls_cert == NULL))
		return say_usage(cli, NULL, "--tls-key FILE --tls-cert FILE (DER), or neither: then a key is made",
			"a TLS key and its certificate go together");
	return 0;
}

static bulla_rc make_appraiser(struct program *program)
{
	struct bulla_appraiser *appraiser;
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(*appraiser), &p));
	appraiser = program->appraiser = p;
	bulla_appraiser_init(appraiser);
	appraiser->policy = &program->job->reference.policy;
	appraiser->anchors = program->job->all;
	appraiser->key = program->key.sign;
	appraiser->developer = "bulla";
	appraiser->build = "bulla attest serve";
	appraiser->challenge_ms = CHALLENGE_MS;
	appraiser->period_ms = PERIOD_MS;
	BULLA_TRY(bulla_foreign_init(&program->request));
	bulla_service_init(&program->service);
	program->service.appraiser = appraiser;
	program->service.request = &program->request;
	program->service.kept = &program->job->foreign;
	program->service.references = bulla_buf_view(&program->references);
	program->service.random = bulla_random_os();
	return BULLA_OK;
}

static int prepare(struct program *program)
{
	struct cli *cli = program->cli;
	int code = attest_new(cli, &program->job);

	if (code == 0)
		code = attest_read_policy(program->job);
	if (code == 0)
		code = read_references(program);
	if (code != 0)
		return code;
	code = attest_open_key(cli, true, &program->key);
	if (code != 0)
		return code;
	bulla_rc rc = make_appraiser(program);
	return rc == BULLA_OK ? 0 : say_rc(cli, rc, NULL, NULL);
}

static bulla_rc start(struct program *program, const struct bulla_addr *addr)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	const struct bulla_loop_hooks hooks = {.ctx = program, .drain = drain, .next_deadline = next_deadline};
	bulla_digest pin = {{0}};
	int fd;

	BULLA_TRY(bulla_sys_harden());
	BULLA_TRY(bulla_loop_init(&program->loop, bulla_sys_clock(), &hooks));
	program->signals = (struct bulla_watch){.ctx = program, .on_ready = signalled, .fd = -1};
	BULLA_TRY(bulla_loop_signals(signals, &program->signals.fd));
	BULLA_TRY(bulla_loop_add(&program->loop, &program->signals, EPOLLIN));
	if (!program->cli->plain)
		BULLA_TRY(make_tls(program, &pin));
	BULLA_TRY(bulla_addr_listen(addr, 0600, &fd));
	BULLA_TRY(bulla_listener_start(&program->listener, &program->loop, fd, program, accepted));
	announce(program, addr, &pin);
	return bulla_loop_run(&program->loop);
}

static void finish(struct program *program)
{
	bulla_listener_stop(&program->listener);
	while (program->clients != NULL) {
		struct client *client = program->clients;

		bulla_pipe_free(client->pipe);
		client_gone(client, NULL, BULLA_E_CLOSED);
	}
	bulla_tls_context_free(program->tls);
	bulla_addr_close(program->signals.fd);
	bulla_loop_done(&program->loop);
	bulla_service_done(&program->service);
	bulla_foreign_done(&program->request);
	bulla_free(program->appraiser);
	keyfile_done(&program->key);
}

int cmd_attest_serve(struct cli *cli)
{
	struct program program = {.cli = cli, .signals = {.fd = -1}, .listener = {.watch = {.fd = -1}}};
	struct bulla_addr addr;
	int code = check_options(&program, &addr);

	bulla_buf_init(&program.references, 1 << 20);
	bulla_buf_init(&program.answer, 1 << 19);
	if (code == 0)
		code = prepare(&program);
	if (code == 0) {
		bulla_rc rc = start(&program, &addr);

		code = rc == BULLA_OK ? EXIT_DONE : say_rc(cli, rc, cli->args[0], "unix:PATH, or HOST:PORT");
		finish(&program);
	}
	if (program.reloaded != NULL)
		attest_close(program.reloaded);
	if (program.job != NULL)
		attest_close(program.job);
	bulla_buf_done(&program.references);
	bulla_buf_done(&program.answer);
	return code;
}
