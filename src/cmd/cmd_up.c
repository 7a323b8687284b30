/* bulla up: broker, engine and enclaves on this machine; the manifest compiled, approved and put in force. */
#include "cmd/client.h"
#include "cmd/compile.h"
#include "cmd/drain.h"
#include "cmd/local.h"
#include "cmd/programs.h"
#include "cmd/stage.h"
#include "cmd/wrapping.h"
#include "manifest/approvals.h"

#include "cmd/names.h"
#include "crypto/hash.h"
#include "io/sys.h"
#include "platform/deployment.h"
#include "wire/messages.h"
#include "wire/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM_MAX ((size_t)32 << 20)
#define READY_MS 30000
#define LOOK_MS 100 /* between looks whether the engine has ended */

struct up {
	struct context context;
	struct broker_info broker;
	struct compile_facts facts;
	struct bulla_buf manifest; /* compiled now */
	struct bulla_buf approval;
	bulla_digest deployment; /* of what is to run */
	int64_t started_us;
	struct ended broker_ended, engine_ended;
	struct drain drain;
	uint64_t in_force; /* epoch of what the last deployment has, when that is an earlier one now */
};

static int measure_enclave(struct up *up)
{
	char path[CONTEXT_PATH];
	BULLA_AUTO_BUF program;
	bulla_rc rc;

	bulla_buf_init(&program, PROGRAM_MAX);
	rc = local_program("bulla-enclave", path);
	rc = rc == BULLA_OK ? bulla_sys_read_file(path, &program) : rc;
	if (rc != BULLA_OK)
		return say_rc(up->context.cli, rc, "bulla-enclave", "make; it belongs beside the program bulla");
	bulla_dev_measure(bulla_buf_view(&program), up->facts.measured);
	return 0;
}

static int read_root(struct up *up)
{
	char path[CONTEXT_PATH];
	BULLA_AUTO_BUF der;
	bulla_rc rc;

	bulla_buf_init(&der, 4096);
	path_join(path, up->context.state, "platform/root.der");
	rc = bulla_sys_read_file(path, &der);
	if (rc != BULLA_OK)
		return say_rc(up->context.cli, rc, path, "bulla down; bulla up");
	bulla_sha256(bulla_buf_view(&der), &up->facts.dev_root);
	return 0;
}

/* Compiles with the epoch in force; when that gives other bytes, the project changed and the next epoch begins. */
static int compile(struct up *up, bool *ret_changed)
{
	struct context *context = &up->context;
	char path[CONTEXT_PATH];
	bulla_rc rc;
	int code;

	path_join(path, context->state, "owner/manifest");
	rc = bulla_sys_read_file(path, &context->manifest_bytes);
	if (rc == BULLA_OK)
		rc = bulla_manifest_decode(bulla_buf_view(&context->manifest_bytes), &context->manifest);
	if (rc != BULLA_OK && rc != BULLA_E_NOT_FOUND)
		return say_rc(context->cli, rc, path, "restore it from the newest copy");
	up->facts.epoch = rc == BULLA_OK ? context->manifest.epoch : 1;
	up->facts.earlier = context->manifest.earlier;
	up->facts.earlier_count = context->manifest.earlier_count;
	code = compile_manifest(context, &up->facts, &up->manifest);
	*ret_changed = rc == BULLA_E_NOT_FOUND ||
		!bulla_bytes_eq(bulla_buf_view(&up->manifest), bulla_buf_view(&context->manifest_bytes));
	if (code != 0 || rc == BULLA_E_NOT_FOUND) /* nothing is in force: this is the first */
		return code;
	rc = drain_find(context, &up->drain);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "engine, runs", "bulla status");
	if (!*ret_changed)
		return 0;
	rc = drain_keep_manifest(context);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, context->state, "make the state folder writable");
	up->in_force = context->manifest.epoch;
	up->facts.earlier = up->drain.open;
	up->facts.earlier_count = up->drain.count;
	up->facts.epoch++;
	bulla_buf_clear(&up->manifest);
	return compile_manifest(context, &up->facts, &up->manifest);
}

/* On the development TEE the owner approves alone: `up --tee dev` always works (EXPERIENCE.md section 3). */
static bulla_rc approve(struct up *up)
{
	char path[CONTEXT_PATH];
	struct bulla_manifest manifest;
	bulla_rc rc;

	BULLA_TRY(bulla_manifest_decode(bulla_buf_view(&up->manifest), &manifest));
	rc = bulla_approval_make(&manifest, up->context.key.sign, &up->approval);
	bulla_manifest_done(&manifest);
	BULLA_TRY(rc);
	path_join(path, up->context.state, "owner/approval");
	BULLA_TRY(bulla_sys_write_file(path, bulla_buf_view(&up->approval), 0600));
	path_join(path, up->context.state, "owner/manifest");
	return bulla_sys_write_file(path, bulla_buf_view(&up->manifest), 0600);
}

/* The kept approval of the manifest in force; one that is gone or damaged is made anew: it is the same owner. */
static bulla_rc read_approval(struct up *up)
{
	char path[CONTEXT_PATH];
	struct bulla_manifest manifest;
	bulla_bytes list[1];
	uint32_t signers;
	bulla_rc rc;

	path_join(path, up->context.state, "owner/approval");
	BULLA_TRY(bulla_manifest_decode(bulla_buf_view(&up->manifest), &manifest));
	rc = bulla_sys_read_file(path, &up->approval);
	list[0] = bulla_buf_view(&up->approval);
	rc = rc == BULLA_OK ? bulla_approvals_check(&manifest, &manifest, list, 1, &signers) : rc;
	bulla_manifest_done(&manifest);
	if (rc == BULLA_OK)
		return BULLA_OK;
	bulla_buf_clear(&up->approval);
	return approve(up);
}

static bulla_rc put_manifest(struct up *up, const char *socket, int64_t wait_ms)
{
	char path[CONTEXT_PATH];
	struct client *client = NULL;
	const bulla_bytes approvals[1] = {bulla_buf_view(&up->approval)};
	const struct bulla_msg_put_manifest message = {.manifest = bulla_buf_view(&up->manifest),
		.approvals = bulla_pb_list_of(approvals, 1)};
	BULLA_AUTO_BUF body, answer;
	bulla_wr w;
	bulla_bytes bytes;
	bulla_rc rc;

	bulla_buf_init(&body, BULLA_MAX_MANIFEST + 65536);
	bulla_buf_init(&answer, 65536);
	w = bulla_wr_buf(&body);
	bulla_msg_encode(&bulla_msg_put_manifest_desc, &message, &w);
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	path_join(path, up->context.runtime, socket);
	BULLA_TRY(local_connect(path, wait_ms, &client));
	rc = client_call(client, BULLA_OP_PUT_MANIFEST, bytes, NULL, READY_MS, &answer);
	client_close(client);
	return rc;
}

/* The engine may be between two lives: the supervisor has just been told to deploy. */
static bulla_rc put_engine_manifest(struct up *up)
{
	int64_t until = bulla_mono_us(bulla_sys_clock()) + (int64_t)READY_MS * 1000;
	bulla_rc rc, why;

	do
		rc = put_manifest(up, "bullad.sock", LOOK_MS);
	while ((rc == BULLA_E_CLOSED || rc == BULLA_E_UNREACHABLE) && !ended_look(&up->engine_ended, &why) &&
		bulla_mono_us(bulla_sys_clock()) < until);
	return rc;
}

static bulla_rc deployment_agent(struct up *up, unsigned index, struct bulla_deployed_agent *ret)
{
	struct context *context = &up->context;
	const struct agent *agent = &context->project.agents[index];
	bulla_handle handle = name_handle(context->name_key, "agent", agent->name);
	char path[CONTEXT_PATH], hex[17];
	bulla_wr w = bulla_wr_fixed((uint8_t *)hex, 16);
	const char *kept[2] = {NULL, NULL};

	bulla_text_wr_hex(&w, bulla_handle_view(&handle));
	hex[16] = '\0';
	BULLA_TRY(stage_agent(context, agent, path));
	BULLA_TRY(arena_text(&context->arena, bulla_bytes_str(hex), &kept[0]));
	BULLA_TRY(arena_text(&context->arena, bulla_bytes_str(path), &kept[1]));
	*ret = (struct bulla_deployed_agent){.handle = bulla_bytes_str(kept[0]), .label = bulla_bytes_of(kept[0], 8),
		.bundle = bulla_bytes_str(kept[1]), .replicas = 1};
	return BULLA_OK;
}

/* Writes what the supervisor is to run; it looks when it gets SIGHUP. */
static bulla_rc write_deployment(struct up *up)
{
	struct context *context = &up->context;
	char path[CONTEXT_PATH], manifest[CONTEXT_PATH];
	void *memory = NULL;
	BULLA_AUTO_BUF bytes;
	bulla_wr w;

	bulla_buf_init(&bytes, BULLA_DEPLOYMENT_MAX);
	BULLA_TRY(arena_alloc(&context->arena, sizeof(struct bulla_deployment), &memory));
	struct bulla_deployment *deployment = memory;
	path_join(manifest, context->state, "owner/manifest");
	deployment->manifest = bulla_bytes_str(manifest);
	deployment->port = context->project.broker_port;
	deployment->agent_count = context->project.agent_count;
	for (unsigned i = 0; i < context->project.agent_count; i++)
		BULLA_TRY(deployment_agent(up, i, &deployment->agents[i]));
	BULLA_TRY(drain_deploy(context, &up->drain, up->in_force, deployment));
	w = bulla_wr_buf(&bytes);
	BULLA_TRY(bulla_deployment_write(deployment, &w));
	bulla_deployment_digest(bulla_buf_view(&bytes), bulla_buf_view(&up->manifest), &up->deployment);
	path_join(path, context->state, "platform/deployment");
	return bulla_sys_write_file(path, bulla_buf_view(&bytes), 0600);
}

/* Until then the engine that answers may be the old one, about to be replaced. */
static bulla_rc wait_deployed(struct up *up)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	int64_t until = bulla_mono_us(bulla_sys_clock()) + (int64_t)READY_MS * 1000;
	char path[CONTEXT_PATH];
	bulla_rc rc, result = BULLA_OK;

	path_join(path, up->context.state, BULLA_DEPLOYED_NAME);
	do {
		BULLA_AUTO_BUF text;

		bulla_buf_init(&text, BULLA_DEPLOYED_MAX);
		nanosleep(&pause, NULL);
		rc = bulla_sys_read_file(path, &text);
		rc = rc == BULLA_OK ? bulla_deployed_read(bulla_buf_view(&text), &up->deployment, &result) : rc;
	} while (rc == BULLA_E_NOT_FOUND && bulla_mono_us(bulla_sys_clock()) < until);
	if (rc == BULLA_E_NOT_FOUND)
		return BULLA_FAIL(BULLA_E_TIMEOUT, "the supervisor does not answer");
	return rc == BULLA_OK ? result : rc;
}

static bulla_rc deploy(struct up *up)
{
	char path[CONTEXT_PATH];

	BULLA_TRY(write_deployment(up));
	path_join(path, up->context.state, BULLA_DEPLOYED_NAME);
	if (unlink(path) != 0 && errno != ENOENT)
		return BULLA_FAIL_OS(BULLA_E_IO, "the supervisor's last answer cannot be removed", errno);
	BULLA_TRY(local_signal_platform(&up->context, SIGHUP_DEPLOY));
	return wait_deployed(up);
}

static int make_owner_folder(struct context *context)
{
	char path[CONTEXT_PATH];
	bulla_rc rc;

	path_join(path, context->state, "owner");
	rc = bulla_sys_make_folders(path);
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, path, "make the state folder writable");
}

/* A new key is made for a new project only: a manifest in force names the old one. */
static int find_key(struct context *context)
{
	char manifest[CONTEXT_PATH], key[CONTEXT_PATH];

	path_join(manifest, context->state, "owner/manifest");
	path_join(key, context->config, "owner.key");
	if (access(manifest, F_OK) != 0 || access(key, F_OK) == 0 || context->cli->key != NULL || getenv("BULLA_KEY") != NULL)
		return context_key(context, true);
	say_error(context->cli, "not-found", key,
		"restore it from a copy; or, to begin anew without its runs, remove the state folder",
		"the owner's key of `%s` is gone; its runs are sealed to it", context->project.name);
	return EXIT_NOT_FOUND;
}

static int prepare(struct up *up, bool *ret_changed)
{
	struct context *context = &up->context;
	int code = find_key(context);

	if (code == 0 && context->cli->tee != NULL && strcmp(context->cli->tee, "dev") != 0) {
		say_error(context->cli, "unsupported", NULL, "bulla up", "`--tee %.20s` is not built yet; `dev` is", context->cli->tee);
		return EXIT_USAGE;
	}
	code = code == 0 ? context_name_key(context, true) : code;
	ended_begin(&up->broker_ended, context, "broker", "broker.ended");
	ended_begin(&up->engine_ended, context, "host", "host.failed");
	code = code == 0 ? local_start_platform(context) : code;
	code = code == 0 ? local_wait_broker(context, &up->broker_ended, &up->broker) : code;
	code = code == 0 ? measure_enclave(up) : code;
	code = code == 0 ? read_root(up) : code;
	if (code != 0)
		return code;
	up->facts.broker_tls = up->broker.tls_pin;
	up->facts.ledger_spki = up->broker.ledger_spki;
	code = make_owner_folder(context);
	if (code != 0)
		return code;
	code = wrapping_keys(context, &up->broker, &up->facts);
	return code == 0 ? compile(up, ret_changed) : code;
}

static int put_in_force(struct up *up, bool changed)
{
	struct context *context = &up->context;
	bulla_rc rc = changed ? approve(up) : read_approval(up), why;

	rc = rc == BULLA_OK ? put_manifest(up, "broker.sock", READY_MS) : rc;
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "broker, manifest", "bulla status");
	rc = deploy(up);
	if (rc != BULLA_OK && local_says_disk_full(context))
		return EXIT_AGAIN;
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "supervisor, deployment",
			"look into platform/log in the state folder; bulla down, bulla up");
	rc = put_engine_manifest(up);
	if (rc != BULLA_OK && ended_look(&up->engine_ended, &why))
		return ended_say(&up->engine_ended, context, why);
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, "engine, manifest", "bulla status; logs are in the state folder");
}

int cmd_up(struct cli *cli)
{
	struct up up;
	bool changed = false;
	bulla_digest digest;
	char took[32];
	int code;

	bulla_zero(&up, sizeof(up));
	up.started_us = bulla_mono_us(bulla_sys_clock());
	bulla_buf_init(&up.manifest, BULLA_MAX_MANIFEST);
	bulla_buf_init(&up.approval, BULLA_APPROVAL_MAX);
	code = context_open(&up.context, cli);
	code = code == 0 ? programs_check(&up.context) : code;
	code = code == 0 ? prepare(&up, &changed) : code;
	code = code == 0 ? put_in_force(&up, changed) : code;
	bulla_sha256(bulla_buf_view(&up.manifest), &digest);
	code = code == 0 ? local_wait_ready(&up.context, &digest, up.context.project.agent_count, READY_MS) : code;
	if (code == 0) {
		duration_text((bulla_mono_us(bulla_sys_clock()) - up.started_us) / 1000, took);
		say(cli, "broker, engine, %u enclave%s ready in %s", up.context.project.agent_count,
			up.context.project.agent_count == 1 ? "" : "s", took);
		if (up.drain.count > 0 && up.in_force > 0)
			say(cli, "runs of epoch %llu go on in its own enclaves, until they have ended",
				(unsigned long long)up.drain.open[0].epoch);
		say_dev_only(cli);
		say_json_done(cli, "up");
	}
	broker_info_done(&up.broker);
	bulla_buf_done(&up.manifest);
	bulla_buf_done(&up.approval);
	context_done(&up.context);
	return code;
}
