/* bulla status: what runs here for this project, and how it is. */
#include "cmd/local.h"
#include "cmd/names.h"

#include "platform/platform.h"
#include "wire/messages.h"

#include <stdio.h>

static void print_peer(const struct context *context, const struct bulla_msg_status_peer *peer)
{
	bulla_handle handle = {{0}};
	const char *name, *state = peer->why == 0 ? "serves" : bulla_rc_id((bulla_rc)peer->why);

	if (peer->agent.n == sizeof(handle.b))
		bulla_copy(handle.b, peer->agent.p, sizeof(handle.b));
	name = context_agent_name(context, &handle);
	if (peer->up == 0)
		state = "down";
	if (!context->cli->json) {
		printf("enclave  %-16s %-20s %llu in flight\n", name, state, (unsigned long long)peer->open);
		return;
	}
	printf("{\"v\":1,\"t\":\"enclave\",\"agent\":");
	json_string(name);
	printf(",\"state\":");
	json_string(state);
	printf(",\"open\":%llu}\n", (unsigned long long)peer->open);
}

static void print_engine(const struct cli *cli, const struct bulla_msg_status *status)
{
	if (cli->json)
		printf("{\"v\":1,\"t\":\"engine\",\"open\":%llu,\"waiting\":%llu,\"done\":%llu,\"failed\":%llu,"
			"\"broker\":%s,\"epoch\":%llu}\n",
			(unsigned long long)status->runs_open, (unsigned long long)status->runs_waiting,
			(unsigned long long)status->runs_done, (unsigned long long)status->runs_failed,
			status->broker_up != 0 ? "true" : "false", (unsigned long long)status->epoch);
	else
		printf("engine   epoch %llu, %llu open, %llu waiting, %llu done, %llu failed\nbroker   %s\n",
			(unsigned long long)status->epoch, (unsigned long long)status->runs_open,
			(unsigned long long)status->runs_waiting, (unsigned long long)status->runs_done,
			(unsigned long long)status->runs_failed,
			status->broker_up != 0 ? "connected" : "broker-unreachable: runs wait, nothing is lost");
}

static bulla_rc print_status(const struct context *context, struct client *client)
{
	struct bulla_msg_status status;
	struct bulla_msg_status_peer peer;
	struct bulla_pb_iter iter;
	bulla_bytes item;
	BULLA_AUTO_BUF answer;

	bulla_buf_init(&answer, 1 << 20);
	BULLA_TRY(client_call(client, BULLA_OP_STATUS, (bulla_bytes){NULL, 0}, NULL, 5000, &answer));
	BULLA_TRY(bulla_msg_decode(&bulla_msg_status_desc, bulla_buf_view(&answer), &status));
	print_engine(context->cli, &status);
	iter = bulla_pb_list_begin(&status.peers);
	while (bulla_pb_list_next(&iter, &item)) {
		BULLA_TRY(bulla_msg_decode(&bulla_msg_status_peer_desc, item, &peer));
		print_peer(context, &peer);
	}
	return BULLA_OK;
}

static int ask(struct context *context)
{
	struct client *client = NULL;
	pid_t pid = 0;
	bulla_rc rc = bulla_platform_find(context->state, &pid);
	int code;

	if (rc == BULLA_OK && pid == 0) {
		say_error(context->cli, "engine-unreachable", NULL, "bulla up", "nothing of `%s` runs here", context->project.name);
		return EXIT_AGAIN;
	}
	code = context_name_key(context, false);
	code = code == 0 ? local_engine(context, &client) : code;
	if (code != 0)
		return code;
	rc = print_status(context, client);
	client_close(client);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, "engine", "bulla down; bulla up");
	say_dev_only(context->cli);
	return 0;
}

int cmd_status(struct cli *cli)
{
	struct context context;
	int code = context_open(&context, cli);

	code = code == 0 ? ask(&context) : code;
	context_done(&context);
	return code;
}
