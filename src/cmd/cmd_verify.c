/* bulla verify [RUN|FILE]: is this run what it says? Offline: a bundle, and whom you trust. Line one is the answer. */
#include "cmd/local.h"
#include "cmd/run_bundle.h"
#include "cmd/verify_pool.h"

#include "io/sys.h"
#include "verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct verification {
	struct cli *cli;
	struct bulla_trust trust;
	bool trusting;
	struct bulla_buf trust_text;
	struct bulla_verify_result result;
	char run[BULLA_RUN_NAME_SIZE];
	const char *workflow;
};

static int read_trust(struct verification *v)
{
	unsigned line = 0;
	char where[300];
	bulla_rc rc;

	bulla_buf_init(&v->trust_text, BULLA_TRUST_MAX);
	if (v->cli->trust == NULL)
		return 0;
	rc = bulla_sys_read_file(v->cli->trust, &v->trust_text);
	if (rc != BULLA_OK)
		return say_rc(v->cli, rc, v->cli->trust, "bulla trust, in the project of those you trust, prints one");
	rc = bulla_trust_parse(bulla_buf_view(&v->trust_text), &v->trust, &line);
	snprintf(where, sizeof(where), "%.200s:%u", v->cli->trust, line);
	if (rc != BULLA_OK)
		return say_rc(v->cli, rc, where, "bulla trust prints one");
	v->trusting = true;
	return 0;
}

static bulla_rc on_piece(void *ctx, bulla_bytes piece)
{
	return bulla_verify_feed(ctx, piece);
}

/* Where the bundle is: in a file, or at the engine. */
struct source {
	const char *path; /* or NULL */
	struct client *client;
	bulla_run_id run;
};

static bulla_rc read_source(void *ctx, struct bulla_verify *verify)
{
	const struct source *source = ctx;

	if (source->path != NULL)
		return run_bundle_pieces(source->path, on_piece, verify);
	return run_bundle_stream(source->client, &source->run, on_piece, verify);
}

/* What can be read once only, a pipe, is read without helpers. */
static bool can_read_again(const char *path)
{
	struct stat st;

	return path == NULL || (stat(path, &st) == 0 && S_ISREG(st.st_mode));
}

static bulla_rc judge(struct verification *v, struct source *source)
{
	return verify_with(can_read_again(source->path) ? verify_pool_cpus() : 0, VERIFY_WORTH, v->trusting ? &v->trust : NULL,
		read_source, source, &v->result);
}

static void count_checks(const struct bulla_verify_result *result, unsigned *held, unsigned *failed, unsigned *left)
{
	for (unsigned i = 0; i < BULLA_VERIFY_COUNT; i++) {
		*held += result->checks[i].state == BULLA_VERIFY_HELD;
		*failed += result->checks[i].state == BULLA_VERIFY_FAILED;
		*left += result->checks[i].state == BULLA_VERIFY_NOT_CHECKED;
	}
}

static void print_checks(const struct bulla_verify_result *result)
{
	static const char *const states[] = {"not checked", "held", "FAILED"};

	for (unsigned i = 0; i < BULLA_VERIFY_COUNT; i++)
		printf("%-22s %-11s %s\n", bulla_verify_check_id(i), states[result->checks[i].state], bulla_verify_check_text(i));
}

static void print_line_one(const struct verification *v)
{
	enum bulla_verdict verdict = v->result.verdict;
	const char *colors[] = {"\033[32m", "\033[33m", "\033[33m", "\033[33m", "\033[31m"};
	bool color = strcmp(v->cli->color, "always") == 0 ||
		(strcmp(v->cli->color, "auto") == 0 && isatty(1) && getenv("NO_COLOR") == NULL);

	printf("%s%s%s  ", color ? colors[verdict] : "", bulla_verdict_word(verdict), color ? "\033[0m" : "");
	if (v->result.checks[BULLA_VERIFY_BUNDLE_FORM].state == BULLA_VERIFY_HELD)
		printf("%s %.8s", v->workflow, v->run);
	else
		printf("%s", v->cli->arg_count > 0 ? v->cli->args[0] : "run"); /* it says of which run it is in its first item */
	switch (verdict) {
	case BULLA_VERDICT_VERIFIED:
		printf(" ran as approved\n");
		break;
	case BULLA_VERDICT_DEV_ONLY:
		printf(" is intact, but was never confidential\n"
			"whoever administers the machine that ran it could read it, or make it up\n");
		break;
	case BULLA_VERDICT_EMULATOR_ONLY:
		printf(" is intact, but its hardware was emulated\n");
		break;
	case BULLA_VERDICT_UNKNOWN_SIGNER:
		printf(" is intact; %s\n",
			v->result.rc == BULLA_E_APPROVALS ? "too few approvers signed" : "nobody you trust approved it");
		break;
	case BULLA_VERDICT_REFUSED:
		printf(": do not use this result\n");
		break;
	default:
		printf("\n");
	}
}

static bool saw_readers(const struct verification *v)
{
	return v->result.checks[BULLA_VERIFY_ENVELOPE_READERS].state == BULLA_VERIFY_HELD;
}

/* What no receipt shows; NULL ends. */
static void list_unproved(const struct verification *v, const char *ret[5])
{
	size_t n = 0;

	ret[n++] = "that agents are right";
	ret[n++] = "that the input is true";
	ret[n++] = v->result.verdict == BULLA_VERDICT_VERIFIED ? "that the hardware is unbroken" : "that anything was confidential";
	if (!saw_readers(v))
		ret[n++] = "who could read: the bundle shows no envelopes";
	ret[n] = NULL;
}

static void print_proved(const struct verification *v)
{
	const struct bulla_verify_facts *f = &v->result.facts;
	const char *unproved[5];

	printf("proved      code      %u agent%s as in epoch %llu (%u of %u approvals)\n", f->agents, f->agents == 1 ? "" : "s",
		(unsigned long long)f->epoch, f->signed_by, f->need);
	printf("            end       the run is %s\n", runs_state(f->run_state));
	printf("            order     %u steps, each once; %u attempts, %u lost; no gap, fork or replay\n", f->steps, f->attempts,
		f->lost);
	printf("            data      every input is the sealed output it should be\n");
	if (saw_readers(v))
		printf("            readers   exactly those of the plan, of the %u envelopes shown (%u links)\n", f->envelopes, f->links);
	list_unproved(v, unproved);
	for (size_t i = 0; unproved[i] != NULL; i++)
		printf("%s%s", i == 0 ? "not proved  " : i == 3 ? ",\n            " : ", ", unproved[i]);
	printf("\n");
}

static void print_refused(const struct verification *v)
{
	unsigned held = 0, failed = 0, left = 0;

	count_checks(&v->result, &held, &failed, &left);
	if (held == 0) { /* nothing of it is what a bundle is */
		printf("%s  these are not the bytes of a bundle\nnext   bulla bundle writes one; get it again\n", bulla_rc_id(v->result.rc));
		return;
	}
	printf("%s  %s", bulla_rc_id(v->result.rc), v->result.text == NULL ? bulla_rc_text(v->result.rc) : v->result.text);
	if (v->result.step != BULLA_STEP_RUN)
		printf(" (step %u, try %u)", v->result.step, v->result.attempt);
	printf("\nwhere  check %s, after byte %llu\n", bulla_verify_check_id(v->result.failed), (unsigned long long)v->result.at);
	printf("next   keep this bundle: it is the proof.  %u held, %u failed, %u open\n", held, failed, left);
}

static void print_json(const struct verification *v)
{
	static const char *const states[] = {"open", "held", "failed"};
	const char *unproved[5] = {"anything", NULL};

	if (v->result.verdict != BULLA_VERDICT_REFUSED)
		list_unproved(v, unproved);
	printf("{\"v\":1,\"t\":\"verdict\",\"verdict\":\"%s\",\"assurance\":\"%s\",\"run\":\"%s\",\"state\":\"%s\",\"rc\":\"%s\","
		"\"checks\":[",
		bulla_verdict_id(v->result.verdict), bulla_assurance_name(v->result.facts.assurance), v->run,
		v->result.verdict == BULLA_VERDICT_REFUSED ? "unknown" : runs_state(v->result.facts.run_state),
		bulla_rc_id(v->result.rc));
	for (unsigned i = 0; i < BULLA_VERIFY_COUNT; i++)
		printf("%s{\"id\":\"%s\",\"state\":\"%s\"}", i == 0 ? "" : ",", bulla_verify_check_id(i),
			states[v->result.checks[i].state]);
	printf("],\"not_proved\":[");
	for (size_t i = 0; unproved[i] != NULL; i++)
		printf("%s\"%s\"", i == 0 ? "" : ",", unproved[i]);
	printf("]}\n");
}

static int report(struct verification *v)
{
	unsigned held = 0, failed = 0, left = 0, accept = 0;

	if (v->cli->accept != NULL)
		accept = strcmp(v->cli->accept, "dev") == 0 ? BULLA_ACCEPT_DEV | BULLA_ACCEPT_EMULATOR :
		strcmp(v->cli->accept, "emulator") == 0 ? BULLA_ACCEPT_EMULATOR : 0;
	bulla_run_id_name(&v->result.facts.run, v->run);
	if (v->cli->json) {
		print_json(v);
		return bulla_verdict_exit(v->result.verdict, accept);
	}
	print_line_one(v);
	if (v->result.verdict == BULLA_VERDICT_REFUSED)
		print_refused(v);
	else
		print_proved(v);
	count_checks(&v->result, &held, &failed, &left);
	if (v->cli->checks)
		print_checks(&v->result);
	printf("assurance   %s; %s%u checks held, %u not checked%s\n", bulla_assurance_name(v->result.facts.assurance),
		v->result.facts.mode == BULLA_MODE_STRICT ? "freshness strict; " :
		v->result.facts.mode == BULLA_MODE_DETECT ? "freshness detect; " : "", held, left,
		v->cli->checks ? "" : " (--checks)");
	return bulla_verdict_exit(v->result.verdict, accept);
}

static int verify_file(struct verification *v, const char *path)
{
	struct source source = {.path = path};
	bulla_rc rc = judge(v, &source);

	if (rc != BULLA_OK)
		return say_rc(v->cli, rc, path, "get it again");
	return report(v);
}

/* Inside a project its own approvers and anchors are trusted, and names are known. */
static int verify_run(struct verification *v)
{
	struct context context;
	struct source source = {.path = NULL};
	bulla_rc rc;
	int code = runs_open(&context, v->cli, &source.client);

	if (code == 0)
		code = runs_find(&context, source.client, v->cli->arg_count > 0 ? v->cli->args[0] : NULL, &source.run);
	if (code == 0) {
		if (!v->trusting)
			bulla_trust_of(&context.manifest, &v->trust);
		v->trusting = true;
		rc = judge(v, &source);
		if (rc == BULLA_OK && context_workflow(&context, &v->result.facts.workflow) != NULL)
			v->workflow = context_workflow(&context, &v->result.facts.workflow)->name;
		code = rc == BULLA_OK ? report(v) : run_bundle_refused(v->cli, rc, &source.run);
	}
	client_close(source.client);
	context_done(&context);
	return code;
}

int cmd_verify(struct cli *cli)
{
	struct verification v = {.cli = cli, .workflow = "run"};
	int code = read_trust(&v);

	if (code == 0 && bulla_secret_slab_size() == 0 && bulla_secret_slab_init(256) != BULLA_OK)
		code = say_rc(cli, BULLA_E_LOCK, NULL, "ulimit -l 1024");
	if (code == 0 && cli->arg_count > 0 && access(cli->args[0], F_OK) == 0)
		code = verify_file(&v, cli->args[0]);
	else if (code == 0)
		code = verify_run(&v);
	bulla_buf_done(&v.trust_text);
	return code;
}
