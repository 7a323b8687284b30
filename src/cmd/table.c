#include "cmd/cli.h"

/* One row per command, in the order of `bulla help`. */
const struct command commands[] = {
	{"init", "[TEMPLATE] [DIR]", "new folder: hello, loan", "project", 0, 2, "", cmd_init},
	{"check", "", "check bulla.yaml; print steps and readers", "project", 0, 0, "", cmd_check},
	{"up", "", "start broker, engine, enclaves here", "project", 0, 0, "tee", cmd_up},
	{"status", "", "what runs here, and how it is", "project", 0, 0, "", cmd_status},
	{"down", "", "stop it; runs and keys stay", "project", 0, 0, "", cmd_down},
	{"run", "WORKFLOW", "start, follow, print result", "runs", 1, 1, "input set id", cmd_run},
	{"start", "WORKFLOW", "start, print the run's name", "runs", 1, 1, "input set id", cmd_start},
	{"ls", "", "runs", "runs", 0, 0, "state workflow", cmd_ls},
	{"show", "[RUN]", "steps, readers", "runs", 0, 1, "host", cmd_show},
	{"wait", "[RUN]", "follow to the end", "runs", 0, 1, "", cmd_wait},
	{"open", "[RUN|FILE] [REF]", "what your key may read (default: result)", "runs", 0, 2, "", cmd_open},
	{"logs", "[RUN] [STEP]", "agents' logs", "runs", 0, 2, "", cmd_logs},
	{"verify", "[RUN|FILE]", "check offline", "trust", 0, 1, "trust accept checks", cmd_verify},
	{"bundle", "[RUN]", "run and proof in one file", "trust", 0, 1, "out", cmd_bundle},
	{"trust", "", "print this project's trust file", "trust", 0, 0, "", cmd_trust},
	{"key new", "NAME", "make a key; public half in keys/", "trust", 1, 1, "", cmd_key},
	{"manifest", "", "the compiled project; who approved", "trust", 0, 0, "", cmd_manifest},
	{"revoke", "AGENT|EPOCH", "bites at the next step", "trust", 1, 1, "", cmd_revoke},
	{"attest show", "FILE", "evidence of a TEE: what, where from, what fails today", "machine", 1, 1,
		"anchor collateral checks", cmd_attest_show},
	{"attest verify", "FILE", "judge it: every expectation is said or waived", "machine", 1, 1,
		"reference any-code nonce any-nonce binder at anchor collateral no-collateral max-age debug checks out",
		cmd_attest_verify},
	{"attest reference", "FILE", "reference values of genuine evidence", "machine", 1, 1, "anchor collateral out",
		cmd_attest_reference},
	{"attest fetch", "FILE", "fetch its collateral, verify it, keep it", "machine", 1, 1, "from ca cache anchor at",
		cmd_attest_fetch},
	{"attest serve", "ADDRESS", "the attestation service", "machine", 1, 1,
		"reference any-code anchor collateral no-collateral max-age debug plain tls-key tls-cert", cmd_attest_serve},
	{"doctor", "", "what this machine lacks, and what to do", "help", 0, 0, "tee", cmd_doctor},
	{"explain", "ERROR", "what an error means and what to do", "help", 1, 1, "", cmd_explain},
};

const unsigned command_count = sizeof(commands) / sizeof(commands[0]);
