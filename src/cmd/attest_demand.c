/* bulla attest demand [ENCLAVE]: the owner wants evidence anew. Sessions that are not renewed in time end. */
#include "cmd/context.h"
#include "cmd/local.h"
#include "wire/messages.h"
#include "wire/text.h"

#include <stdio.h>

#define WITHIN_MS 10000
#define WITHIN_MOST_MS 3600000

/* An enclave is named by the digest of its receipt key, as for `bulla revoke`. */
static int read_enclave(const struct cli *cli, uint8_t ret[sizeof(bulla_digest)], size_t *ret_size)
{
	*ret_size = 0;
	if (cli->arg_count == 0)
		return 0;
	*ret_size = sizeof(bulla_digest);
	if (bulla_text_hex(bulla_bytes_str(cli->args[0]), sizeof(bulla_digest), ret) == BULLA_OK)
		return 0;
	say_error(cli, "usage", "ENCLAVE", "bulla attest demand: without a name, of all enclaves",
		"an enclave is named by its key: 64 hex digits");
	return EXIT_USAGE;
}

static bulla_rc demand(const struct context *context, bulla_bytes instance, int64_t within_ms)
{
	const struct bulla_msg_demand message = {.instance = instance, .within_ms = (uint64_t)within_ms};
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_demand_encode(&message, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return local_tell_broker(context, BULLA_OP_DEMAND, body);
}

static int demand_all(struct context *context, bulla_bytes instance, int64_t within_ms)
{
	const struct cli *cli = context->cli;
	char text[32];
	bulla_rc rc = demand(context, instance, within_ms);

	if (rc != BULLA_OK)
		return say_rc(cli, rc, "broker", "bulla status");
	if (cli->json)
		printf("{\"v\":1,\"t\":\"demanded\",\"within_ms\":%lld}\n", (long long)within_ms);
	duration_text(within_ms, text);
	say(cli, "evidence demanded of %s: sessions not renewed within %s end (evidence-stale): no permit, no birth",
		instance.n == 0 ? "every enclave" : "that enclave", text);
	return EXIT_DONE;
}

int cmd_attest_demand(struct cli *cli)
{
	struct context context;
	int64_t within_ms = cli->within_ms > 0 ? cli->within_ms : WITHIN_MS;
	uint8_t instance[sizeof(bulla_digest)];
	size_t size;
	int code = read_enclave(cli, instance, &size);

	if (code != 0)
		return code;
	if (within_ms > WITHIN_MOST_MS) {
		say_error(cli, "limit", "--within", "--within 1h", "who demands evidence wants it within an hour");
		return EXIT_USAGE;
	}
	code = context_open(&context, cli);
	code = code == 0 ? demand_all(&context, bulla_bytes_of(instance, size), within_ms) : code;
	context_done(&context);
	return code;
}
