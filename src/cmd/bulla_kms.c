/* bulla-kms: the broker. Keys by attestation in the AWS KMS form, sessions, and the run ledger. */
#include "attest/reference.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/server.h"
#include "cmd/daemon.h"
#include "io/sys.h"
#include "wire/text.h"

#include <stdio.h>

#define SECRET_SLOTS 8192
#define REFERENCE_MAX (1 << 20)

struct options {
	const char *state;
	bool owned;
	bulla_digest owner;
	struct bulla_server_options server;
	const char *reference;
	struct bulla_reference_file demanded;
};

static bool take_owner(void *ctx, const char *value)
{
	struct options *options = ctx;

	options->owned = bulla_text_hex(bulla_bytes_str(value), sizeof(options->owner.b), options->owner.b) == BULLA_OK;
	return options->owned;
}

static bool take_collateral(void *ctx, const char *value)
{
	struct options *options = ctx;

	if (options->server.collateral_count == BULLA_COLLATERAL_KEPT)
		return false;
	options->server.collateral[options->server.collateral_count++] = value;
	return true;
}

static void parse(int argc, char **argv, struct options *ret)
{
	const struct daemon_option options[] = {
		{"state", "FOLDER", "its keys and its ledger; made when missing", DAEMON_MUST, &ret->state, NULL, NULL},
		{"socket", "PATH", "frames of the engine and the owner", DAEMON_MUST, &ret->server.socket, NULL, NULL},
		{"owner", "DIGEST", "SHA-256 of the owner's public key (SPKI), in hex: only a manifest that this key approved\n"
			"                      begins here; kept with the state, which takes no other one afterwards",
			DAEMON_MAY, NULL, take_owner, ret},
		{"tls-socket", "PATH", "TLS 1.3: enclave sessions and the KMS API, through the engine's relay", DAEMON_MAY,
			&ret->server.tls_socket, NULL, NULL},
		{"listen", "HOST:PORT", "the same over TCP", DAEMON_MAY, &ret->server.listen, NULL, NULL},
		{"collateral", "FILE", "for evidence that comes without: certificates, TCB info, lists; any number up to eight", DAEMON_MAY,
			NULL, take_collateral, ret},
		{"reference", "FILE", "what evidence must satisfy beside the manifest (bulla attest reference writes it): it can only narrow",
			DAEMON_MAY, &ret->reference, NULL, NULL},
	};

	daemon_options(argc, argv, "bulla-kms",
		"The broker: keys by attestation (AWS KMS wire form), sessions, the run ledger. `bulla up` starts it.", options,
		sizeof(options) / sizeof(options[0]));
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

/* A broker that cannot read what is demanded of evidence would demand less. */
static bulla_rc read_reference(struct options *options)
{
	BULLA_AUTO_BUF file;

	bulla_buf_init(&file, REFERENCE_MAX);
	if (options->reference == NULL)
		return BULLA_OK;
	bulla_rc rc = bulla_sys_read_file(options->reference, &file);
	if (rc == BULLA_OK)
		rc = bulla_reference_read(bulla_buf_view(&file), &options->demanded);
	if (rc != BULLA_OK) {
		fprintf(stderr, "bulla-kms: --reference %s cannot be used; `bulla attest reference FILE` writes one\n", options->reference);
		return rc;
	}
	options->demanded.policy.generation = UINT64_MAX; /* no epoch's: certificates kept for those do not count here */
	options->server.demanded = &options->demanded.policy;
	return BULLA_OK;
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
	static struct options options;
	bulla_rc rc;

	parse(argc, argv, &options);
	rc = read_reference(&options);
	rc = rc == BULLA_OK ? run(&options) : rc;
	if (rc == BULLA_OK)
		return 0;
	explain(rc);
	bulla_log(BULLA_LOG_ERROR, "broker.ended", bulla_log_rc(rc));
	return 1;
}
