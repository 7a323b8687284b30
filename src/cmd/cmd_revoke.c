/* bulla revoke AGENT|EPOCH|KID|PCR0: an approver's signed order to the broker. It bites at the next permit and commit. */
#include "cmd/context.h"
#include "cmd/local.h"
#include "cmd/names.h"
#include "io/sys.h"
#include "receipt/order.h"
#include "wire/text.h"

#include <stdio.h>
#include <string.h>

enum { KID_TEXT = 64, PCR_TEXT = 96 };

/* What was typed, as the order's kind and subject. */
struct subject {
	const char *text, *what;
	uint8_t kind;
	uint8_t bytes[BULLA_ORDER_SUBJECT_MAX];
	size_t size;
};

static bool is_agent(struct context *context, struct subject *subject)
{
	bulla_handle handle = name_handle(context->name_key, "agent", subject->text);
	const struct bulla_agent *agent = bulla_manifest_agent(&context->manifest, &handle);

	if (agent == NULL)
		return false;
	subject->kind = BULLA_ORDER_REVOKE_MEASUREMENT;
	subject->what = "agent";
	subject->size = sizeof(agent->bundle.b);
	bulla_copy(subject->bytes, agent->bundle.b, subject->size);
	return true;
}

static bool is_hex(struct subject *subject, size_t digits, uint8_t kind, const char *what)
{
	if (strlen(subject->text) != digits ||
		bulla_text_hex(bulla_bytes_str(subject->text), digits / 2, subject->bytes) != BULLA_OK)
		return false;
	subject->kind = kind;
	subject->what = what;
	subject->size = digits / 2;
	return true;
}

static bool is_epoch(const struct context *context, struct subject *subject)
{
	bulla_wr w = bulla_wr_fixed(subject->bytes, sizeof(subject->bytes));
	uint64_t epoch = 0;

	if (bulla_text_uint(bulla_bytes_str(subject->text), context->manifest.epoch, &epoch) != BULLA_OK || epoch == 0)
		return false;
	bulla_wr_u64be(&w, epoch);
	subject->kind = BULLA_ORDER_REVOKE_EPOCH;
	subject->what = "epoch";
	subject->size = w.n;
	return true;
}

static bulla_rc send(const struct context *context, bulla_bytes order)
{
	const struct bulla_msg_revoke message = {.order = order};
	uint8_t memory[BULLA_ORDER_MAX + 16];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes body;

	bulla_msg_encode(&bulla_msg_revoke_desc, &message, &w);
	BULLA_TRY(bulla_wr_end(&w, &body));
	return local_tell_broker(context, BULLA_OP_REVOKE, body);
}

static bulla_rc order(struct context *context, const struct subject *subject)
{
	const struct bulla_order order = {.kind = subject->kind,
		.tenant = context->manifest.tenant,
		.manifest = context->manifest.digest,
		.subject = bulla_bytes_of(subject->bytes, subject->size),
		.time_ms = (uint64_t)bulla_wall_ms(bulla_sys_clock())};
	BULLA_AUTO_BUF sign1;

	bulla_buf_init(&sign1, BULLA_ORDER_MAX);
	BULLA_TRY(bulla_order_make(&order, context->key.sign, &sign1));
	return send(context, bulla_buf_view(&sign1));
}

static int revoke(struct context *context)
{
	const struct cli *cli = context->cli;
	struct subject subject = {.text = cli->args[0]};
	unsigned long long epoch = context->manifest.epoch;
	bulla_rc rc;

	if (!is_agent(context, &subject) && !is_hex(&subject, KID_TEXT, BULLA_ORDER_REVOKE_INSTANCE, "enclave") &&
		!is_hex(&subject, PCR_TEXT, BULLA_ORDER_REVOKE_MEASUREMENT, "image") && !is_epoch(context, &subject)) {
		say_error(cli, "not-found", "bulla revoke", "bulla manifest lists agents and the epoch",
			"that is no agent, epoch (1 to %llu), enclave key (64 hex digits) or PCR0 (96)", epoch);
		return EXIT_NOT_FOUND;
	}
	rc = order(context, &subject);
	if (rc != BULLA_OK)
		return say_rc(cli, rc, "broker", "bulla status");
	if (cli->json)
		printf("{\"v\":1,\"t\":\"revoked\",\"what\":\"%s\",\"epoch\":%llu}\n", subject.what, epoch);
	say(cli, "revoked %s %.20s in epoch %llu: no permit, no commit, no key from now on", subject.what, subject.text, epoch);
	if (subject.kind == BULLA_ORDER_REVOKE_MEASUREMENT || subject.kind == BULLA_ORDER_REVOKE_EPOCH)
		say(cli, "runs of epoch %llu that need it wait for good.  next: change the project, bulla up", epoch);
	return EXIT_DONE;
}

int cmd_revoke(struct cli *cli)
{
	struct context context;
	int code = context_open(&context, cli);

	code = code == 0 ? context_key(&context, false) : code;
	code = code == 0 ? context_name_key(&context, false) : code;
	code = code == 0 ? context_manifest(&context) : code;
	code = code == 0 ? revoke(&context) : code;
	context_done(&context);
	return code;
}
