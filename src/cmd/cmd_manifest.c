/* bulla manifest: the epoch in force here, its agents' code, who approved. */
#include "cmd/context.h"

#include "cmd/names.h"
#include "io/sys.h"
#include "manifest/approvals.h"

#include <stdio.h>

static void print_digest(const bulla_digest *digest, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		printf("%02x", digest->b[i]);
}

static int approvals(struct context *context)
{
	char path[CONTEXT_PATH];
	uint32_t signers = 0;
	unsigned count = 0;
	BULLA_AUTO_BUF approval;
	bulla_rc rc;

	bulla_buf_init(&approval, BULLA_APPROVAL_MAX);
	path_join(path, context->state, "owner/approval");
	rc = bulla_sys_read_file(path, &approval);
	const bulla_bytes list[1] = {bulla_buf_view(&approval)};
	rc = rc == BULLA_OK ? bulla_approvals_check(&context->manifest, &context->manifest, list, 1, &signers) : rc;
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, path, "bulla up");
	for (size_t i = 0; i < context->manifest.approver_count; i++)
		count += signers >> i & 1;
	printf("approved by %u of %u (dev approves itself)\n", count, context->manifest.need);
	return 0;
}

static void print_json(const struct context *context)
{
	printf("{\"v\":1,\"t\":\"manifest\",\"epoch\":%llu,\"digest\":\"", (unsigned long long)context->manifest.epoch);
	print_digest(&context->manifest.digest, 32);
	printf("\"}\n");
}

static int print(struct context *context)
{
	if (context->cli->json) {
		print_json(context);
		return 0;
	}
	printf("epoch %llu, in force, manifest ", (unsigned long long)context->manifest.epoch);
	print_digest(&context->manifest.digest, 32);
	printf("\n");
	for (size_t i = 0; i < context->manifest.agent_count; i++) {
		printf("  agent %-14s code ", context_agent_name(context, &context->manifest.agents[i].handle));
		print_digest(&context->manifest.agents[i].bundle, 8);
		printf("\n");
	}
	return approvals(context);
}

int cmd_manifest(struct cli *cli)
{
	struct context context;
	int code = context_open(&context, cli);

	code = code == 0 ? context_name_key(&context, false) : code;
	code = code == 0 ? context_manifest(&context) : code;
	code = code == 0 ? print(&context) : code;
	context_done(&context);
	return code;
}
