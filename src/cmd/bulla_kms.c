/* bulla-kms: the broker. Keys by attestation in the AWS KMS form, sessions, and the run ledger. */
#include "base/log.h"
#include "base/secret.h"
#include "broker/server.h"
#include "io/sys.h"
#include "wire/text.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_SLOTS 8192

static int usage(FILE *to, int code)
{
	fputs("usage: bulla-kms --state FOLDER --socket PATH [--owner DIGEST] [--tls-socket PATH] [--listen HOST:PORT]\n"
	      "The broker: keys by attestation (AWS KMS wire form), sessions, the run ledger. `bulla up` starts it.\n"
	      "  --state FOLDER      its keys and its ledger; made when missing\n"
	      "  --socket PATH       frames of the engine and the owner\n"
	      "  --owner DIGEST      SHA-256 of the owner's public key (SPKI), in hex: only a manifest that this key approved\n"
	      "                      begins here; kept with the state, which takes no other one afterwards\n"
	      "  --tls-socket PATH   TLS 1.3: enclave sessions and the KMS API, through the engine's relay\n"
	      "  --listen HOST:PORT  the same over TCP\n",
	      to);
	return code;
}

struct options {
	const char *state;
	bool owned;
	bulla_digest owner;
	struct bulla_server_options server;
};

static bool read_options(int argc, char **argv, struct options *ret)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'},
		{"socket", required_argument, NULL, 'l'}, {"tls-socket", required_argument, NULL, 't'},
		{"listen", required_argument, NULL, 'a'}, {"owner", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 's')
			ret->state = optarg;
		else if (c == 'l')
			ret->server.socket = optarg;
		else if (c == 't')
			ret->server.tls_socket = optarg;
		else if (c == 'a')
			ret->server.listen = optarg;
		else if (c == 'o')
			ret->owned = bulla_text_hex(bulla_bytes_str(optarg), sizeof(ret->owner.b), ret->owner.b) == BULLA_OK;
		else if (c == 'h')
			exit(usage(stdout, 0));
		else
			return false;
		if (c == 'o' && !ret->owned)
			return false;
	}
	return optind == argc && ret->state != NULL && ret->server.socket != NULL;
}

static bulla_rc run(const struct options *options)
{
	struct bulla_broker *broker = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_sys_harden());
	BULLA_TRY(bulla_secret_slab_init(SECRET_SLOTS));
	rc = bulla_broker_open(options->state, options->owned ? &options->owner : NULL, &broker);
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

	if (!read_options(argc, argv, &options))
		return usage(stderr, 2);
	rc = run(&options);
	if (rc == BULLA_OK)
		return 0;
	explain(rc);
	bulla_log(BULLA_LOG_ERROR, "broker.ended", bulla_log_rc(rc));
	return 1;
}
