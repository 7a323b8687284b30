/* bulla-kms: the broker. Keys by attestation in the AWS KMS form, sessions, and the run ledger. */
#include "base/log.h"
#include "base/secret.h"
#include "broker/server.h"
#include "io/sys.h"

#include <stdio.h>
#include <string.h>

#define SECRET_SLOTS 8192

static int usage(FILE *to, int code)
{
	fputs("usage: bulla-kms --state FOLDER --socket PATH [--tls-socket PATH] [--listen HOST:PORT]\n"
	      "The broker: keys by attestation (AWS KMS wire form), sessions, the run ledger. `bulla up` starts it.\n"
	      "  --state FOLDER      its keys and its ledger; made when missing\n"
	      "  --socket PATH       frames of the engine and the owner\n"
	      "  --tls-socket PATH   TLS 1.3: enclave sessions and the KMS API, through the engine's relay\n"
	      "  --listen HOST:PORT  the same over TCP\n",
	      to);
	return code;
}

struct options {
	const char *state;
	struct bulla_server_options server;
};

static bool read_options(int argc, char **argv, struct options *ret)
{
	const struct {
		const char *name;
		const char **value;
	} rows[] = {
		{"--state", &ret->state},
		{"--socket", &ret->server.socket},
		{"--tls-socket", &ret->server.tls_socket},
		{"--listen", &ret->server.listen},
	};

	for (int i = 1; i < argc; i += 2) {
		size_t row = 0;

		while (row < sizeof(rows) / sizeof(rows[0]) && strcmp(argv[i], rows[row].name) != 0)
			row++;
		if (row == sizeof(rows) / sizeof(rows[0]) || i + 1 == argc)
			return false;
		*rows[row].value = argv[i + 1];
	}
	return ret->state != NULL && ret->server.socket != NULL;
}

static bulla_rc run(const struct options *options)
{
	struct bulla_broker *broker = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_sys_harden());
	BULLA_TRY(bulla_secret_slab_init(SECRET_SLOTS));
	rc = bulla_broker_open(options->state, &broker);
	if (rc == BULLA_OK)
		rc = bulla_server_run(broker, &options->server);
	bulla_broker_close(broker);
	bulla_secret_slab_done();
	return rc;
}

/* Where an error came from, one line per place: file names and literals only. */
static void explain(bulla_rc rc)
{
	const struct bulla_trail_entry *trail;
	unsigned count = 0;

	fprintf(stderr, "bulla-kms: %s: %s\n", bulla_rc_id(rc), bulla_rc_text(rc));
	trail = bulla_trail(&count);
	for (unsigned i = 0; i < count; i++)
		fprintf(stderr, "  %s:%d %s\n", trail[i].file, trail[i].line, trail[i].what == NULL ? "" : trail[i].what);
}

int main(int argc, char **argv)
{
	struct options options = {.state = NULL};
	bulla_rc rc;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, 0);
	if (!read_options(argc, argv, &options))
		return usage(stderr, 2);
	rc = run(&options);
	if (rc == BULLA_OK)
		return 0;
	explain(rc);
	bulla_log(BULLA_LOG_ERROR, "broker.ended", bulla_log_rc(rc));
	return 1;
}
