/* bulla attest show|verify|reference FILE: evidence of any TEE, offline. */
#include "cmd/attest_job.h"
#include "cmd/attest_options.h"

#include "attest/ear.h"
#include "attest/show.h"
#include "io/sys.h"

#include <stdio.h>
#include <string.h>

static int64_t now_ms(void)
{
	return bulla_wall_ms(bulla_sys_clock());
}

/* ---- show ---- */

/* The signature is good and was made while the chain was valid, whatever is true today. */
static bool is_genuine(const struct bulla_attest_result *result)
{
	const unsigned needed[] = {BULLA_FACTOR_SIGNATURE, BULLA_FACTOR_ANCHOR};

	for (size_t i = 0; i < 2; i++)
		if (result->factors[needed[i]].state != BULLA_FACTOR_HELD)
			return false;
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++) {
		bulla_rc rc = bulla_factor_rc(i);

		/* its dates and its TCB are for today; its form and who signed it are for ever */
		if (result->factors[i].state == BULLA_FACTOR_FAILED && rc != BULLA_E_EVIDENCE_STALE &&
			rc != BULLA_E_EVIDENCE_POLICY)
			return false;
	}
	return true;
}

static void print_title(const struct attest_job *job)
{
	const struct bulla_attest_result *result = &job->result;
	enum bulla_tee tee = result->tee != BULLA_TEE_NONE ? result->tee : bulla_attest_guess(job->evidence);
	bool timed = bulla_attest_find(result, BULLA_CLAIM_TIME, 0) != NULL;

	if (is_genuine(result))
		printf("%s evidence, genuine%s, class %s\n", bulla_tee_title(tee), timed ? " at its own time" : "",
			bulla_assurance_name(result->assurance));
	else
		printf("%s evidence, NOT shown to be genuine\n", bulla_tee_title(tee));
}

static void print_failure(const struct attest_job *job)
{
	char text[ATTEST_FAILURE];

	attest_failure(job, text);
	printf("%s\n", text);
}

/* What would fail today under the strictest policy that asks for nothing in particular. */
static void print_today(struct attest_job *job)
{
	struct bulla_attest_policy *policy = &job->reference.policy;
	bool any = false;

	policy->allow_debug = policy->psa.allow_test_keys = false;
	policy->dcap.statuses = 0;
	policy->skew_ms = 60000;
	job->time = (struct bulla_attest_time){now_ms(), BULLA_CLOCK_ONLINE};
	if (attest_appraise(job) == BULLA_OK) {
		bool tcb = job->result.factors[BULLA_FACTOR_TCB_LEVEL].state == BULLA_FACTOR_NOT_CHECKED;
		printf("  today     would hold%s\n", tcb ? "; TCB not checked: --collateral FILE" : "");
		return;
	}
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		if (job->result.factors[i].state == BULLA_FACTOR_FAILED) {
			printf("%s%s", any ? "; " : "  today     would fail: ", job->result.factors[i].text);
			any = true;
		}
	printf("\n");
}

/* Evidence that is looked at as of now, not relied on. */
static int open_lax(struct cli *cli, struct attest_job **ret)
{
	int code = attest_check_files(cli);

	if (code == 0)
		code = attest_check_out(cli);
	if (code == 0)
		code = attest_open(cli, ret);
	if (code != 0)
		return code;
	attest_lax(*ret);
	(*ret)->time = (struct bulla_attest_time){now_ms(), BULLA_CLOCK_AUDIT};
	return 0;
}

int cmd_attest_show(struct cli *cli)
{
	struct attest_job *job = NULL;
	int code = open_lax(cli, &job);

	if (code != 0)
		return code;
	bulla_rc rc = attest_appraise(job);
	if (cli->json) {
		attest_print(job, bulla_attest_show_json);
		printf("\n");
	} else {
		print_title(job);
		attest_print(job, cli->verbose ? bulla_attest_show_claims : bulla_attest_show);
		if (cli->checks)
			attest_print(job, bulla_attest_show_factors);
		if (rc != BULLA_OK) {
			printf("  fails     ");
			print_failure(job);
		}
		if (is_genuine(&job->result))
			print_today(job);
	}
	attest_close(job);
	return rc == BULLA_OK ? EXIT_DONE : EXIT_FAILED;
}

/* ---- verify ---- */
static int read_reference(struct attest_job *job)
{
	struct cli *cli = job->cli;
	BULLA_AUTO_BUF file;
	bulla_rc rc;

	bulla_buf_init(&file, 1 << 20);
	rc = bulla_sys_read_file(cli->reference, &file);
	if (rc == BULLA_OK)
		rc = bulla_reference_read(bulla_buf_view(&file), &job->reference);
	return rc == BULLA_OK ? 0 : say_rc(cli, rc, cli->reference, "bulla attest reference FILE writes one");
}

static void waive_code(struct attest_job *job)
{
	struct bulla_attest_policy *policy = &job->reference.policy;

	bulla_attest_policy_init(policy);
	policy->tees = UINT32_MAX;
	policy->assurance = job->cli->anchor != NULL ? BULLA_ASSURANCE_DEV : BULLA_ASSURANCE_HARDWARE;
	policy->any_measurement = true;
	policy->snp.vmpls = 0x0f; /* a level is a place in the software's stack */
	policy->snp.any_csp = true;
}

int attest_read_policy(struct attest_job *job)
{
	struct cli *cli = job->cli;
	struct bulla_attest_policy *policy = &job->reference.policy;
	int code = 0;

	if (cli->any_code)
		waive_code(job);
	else
		code = read_reference(job);
	if (cli->max_age_ms > 0)
		policy->max_age_ms = cli->max_age_ms;
	policy->allow_debug = policy->allow_debug || cli->debug;
	policy->dcap.without_collateral = policy->dcap.without_collateral || cli->no_collateral;
	return code;
}

void attest_read_time(struct attest_job *job)
{
	const struct cli *cli = job->cli;

	job->time = (struct bulla_attest_time){now_ms(), BULLA_CLOCK_ONLINE};
	if (attest_check_at(cli, &job->time.now_ms) != 0 || cli->at == NULL)
		return;
	job->time.clock = BULLA_CLOCK_AT;
	if (cli->max_age_ms == 0)
		job->reference.policy.max_age_ms = INT64_MAX; /* the chain's dates are what remains */
}

static int prepare(struct attest_job *job)
{
	int code = attest_read_policy(job);

	if (code == 0)
		code = attest_expect(job);
	attest_read_time(job);
	return code;
}

static void print_verdict(struct attest_job *job)
{
	const struct bulla_attest_result *result = &job->result;
	enum bulla_tee tee = result->tee != BULLA_TEE_NONE ? result->tee : bulla_attest_guess(job->evidence);
	unsigned counts[4] = {0};

	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++)
		counts[result->factors[i].state & 3]++;
	if (result->accepted)
		printf("ACCEPTED  %s evidence, class %s\n", bulla_tee_title(tee), bulla_assurance_name(result->assurance));
	else
		printf("REFUSED  %s evidence: do not rely on it\n", bulla_tee_title(tee));
	if (!result->accepted) {
		printf("%s  %s\nwhere  ", bulla_rc_id(result->rc), bulla_rc_text(result->rc));
		print_failure(job);
	}
	attest_print(job, job->cli->verbose ? bulla_attest_show_claims : bulla_attest_show);
	if (job->cli->checks)
		attest_print(job, bulla_attest_show_factors);
	if (job->cli->any_nonce)
		printf("replay not checked: any nonce was accepted\n");
	if (result->factors[BULLA_FACTOR_TCB_LEVEL].state == BULLA_FACTOR_NOT_CHECKED)
		printf("TCB not checked: no collateral\n");
	if (job->cli->any_code)
		printf("code not checked: any measurement was accepted\n");
	printf("%u held, %u failed, %u not checked\n", counts[BULLA_FACTOR_HELD], counts[BULLA_FACTOR_FAILED],
		counts[BULLA_FACTOR_NOT_CHECKED]);
}

/* --out FILE.jwt or FILE.cwt: the verdict as EAR, signed with --key. */
static bulla_rc write_ear(const struct attest_job *job, struct bulla_sign_key *key, struct bulla_buf *ret)
{
	const char *out = job->cli->out;
	size_t n = strlen(out);
	const struct bulla_ear_about about = {.developer = "bulla", .build = "bulla attest", .issued_s = now_ms() / 1000,
		.nonce = job->binding.nonce.how == BULLA_EXPECT_VALUE ? job->binding.nonce.value : job->binding.binder.value};

	if (n > 4 && strcmp(out + n - 4, ".cwt") == 0)
		return bulla_ear_cwt(&job->result, &about, key, ret);
	return bulla_ear_jwt(&job->result, &about, key, ret);
}

static int save_ear(const struct attest_job *job, struct bulla_sign_key *key)
{
	const struct cli *cli = job->cli;
	BULLA_AUTO_BUF buf;

	bulla_buf_init(&buf, 1 << 17);
	if (cli->out == NULL)
		return 0;
	bulla_rc rc = write_ear(job, key, &buf);
	if (rc == BULLA_OK)
		rc = bulla_sys_write_file(cli->out, bulla_buf_view(&buf), 0644);
	return rc == BULLA_OK ? 0 : say_rc(cli, rc, cli->out, NULL);
}

static int check_verify(const struct cli *cli)
{
	int code = attest_check_policy(cli);

	if (code == 0)
		code = attest_check_binding(cli);
	if (code == 0)
		code = attest_check_at(cli, NULL);
	if (code == 0)
		code = attest_check_files(cli);
	if (code == 0 && cli->out != NULL && attest_key_path(cli) == NULL) {
		say_error(cli, "usage", "--out", "bulla key new NAME; --key FILE", "a verdict is signed: with which key?");
		return EXIT_USAGE;
	}
	return code == 0 ? attest_check_out(cli) : code;
}

static int verify(struct attest_job *job, struct bulla_sign_key *key)
{
	int code = prepare(job);

	if (code != 0)
		return code;
	bulla_rc rc = attest_appraise(job);
	if (job->cli->json) {
		attest_print(job, bulla_attest_show_json);
		printf("\n");
	} else {
		print_verdict(job);
	}
	code = save_ear(job, key);
	if (code == 0 && rc != BULLA_OK)
		return EXIT_FAILED;
	return code == 0 && job->result.assurance < BULLA_ASSURANCE_HARDWARE ? EXIT_HOLDS : code;
}

int cmd_attest_verify(struct cli *cli)
{
	struct attest_job *job = NULL;
	struct keyfile key = {.sign = NULL};
	int code = check_verify(cli);

	if (code == 0 && cli->out != NULL)
		code = attest_open_key(cli, false, &key);
	if (code == 0)
		code = attest_open(cli, &job);
	if (code == 0)
		code = verify(job, key.sign);
	if (job != NULL)
		attest_close(job);
	keyfile_done(&key);
	return code;
}

/* ---- reference ---- */
/* Values of debug mode say nothing of the code (Nitro's are zeros), and are a trap for who copies them. */
static int refuse_debug(const struct cli *cli, bool allowed)
{
	if (allowed) {
		say(cli, "debug mode: these values are for trials; `bulla attest verify` takes such evidence with --debug only");
		return 0;
	}
	say_error(cli, bulla_rc_id(BULLA_E_EVIDENCE_DEBUG), cli->args[0],
		"start without debug, take evidence anew; --debug: values for trials all the same",
		"debug mode is on: whoever runs the machine reads its memory, and the measurements prove no code");
	return EXIT_REFUSED;
}

/* Reference values come from genuine evidence only, of no debug mode unless that is said. */
static int check_sample(const struct attest_job *job)
{
	const struct bulla_attest_claim *debug = bulla_attest_find(&job->result, BULLA_CLAIM_DEBUG, 0);

	if (!is_genuine(&job->result)) {
		say_error(job->cli, bulla_rc_id(job->result.rc), job->cli->args[0], "bulla attest show FILE",
			"reference values come from genuine evidence only");
		return EXIT_REFUSED;
	}
	if (!bulla_reference_has_code(&job->result)) {
		say_error(job->cli, bulla_rc_id(BULLA_E_MEASUREMENT), job->cli->args[0],
			"evidence that names its software; bulla attest verify --any-code takes this",
			"the evidence names no software component: a reference of it would match nothing");
		return EXIT_REFUSED;
	}
	return debug != NULL && debug->number != 0 ? refuse_debug(job->cli, job->cli->debug) : 0;
}

static int write_reference(const struct attest_job *job)
{
	const struct cli *cli = job->cli;
	BULLA_AUTO_BUF buf;
	bulla_bytes text;

	bulla_buf_init(&buf, 1 << 16);
	bulla_wr w = bulla_wr_buf(&buf);
	bulla_reference_write(&w, &job->result);
	bulla_rc rc = bulla_wr_end(&w, &text);
	if (rc == BULLA_OK && cli->out != NULL)
		rc = bulla_sys_write_file(cli->out, text, 0644);
	else if (rc == BULLA_OK)
		fwrite(text.p, 1, text.n, stdout);
	return rc == BULLA_OK ? EXIT_DONE : say_rc(cli, rc, cli->out, NULL);
}

int cmd_attest_reference(struct cli *cli)
{
	struct attest_job *job = NULL;
	int code = open_lax(cli, &job);

	if (code != 0)
		return code;
	(void)attest_appraise(job);
	code = check_sample(job);
	if (code == 0)
		code = write_reference(job);
	attest_close(job);
	return code;
}
