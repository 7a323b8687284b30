/* bullad: the engine. Moves runs, reads nothing. Started by bulla-platform. */
#include "base/log.h"
#include "cmd/daemon.h"
#include "engine/host.h"
#include "io/sys.h"

static bool add_enclave(void *ctx, const char *value)
{
	struct bulla_host_options *options = ctx;

	if (options->enclave_count == BULLA_HOST_ENCLAVES)
		return false;
	options->enclaves[options->enclave_count++] = value;
	return true;
}

static void parse(int argc, char **argv, struct bulla_host_options *ret)
{
	const struct daemon_option options[] = {
		{"state", "FOLDER", "its journal and catalogue; made when missing", DAEMON_MUST, &ret->state, NULL, NULL},
		{"socket", "PATH", "for clients", DAEMON_MUST, &ret->socket, NULL, NULL},
		{"broker", "ADDRESS", "the broker: unix:PATH, vsock:CID:PORT or HOST:PORT", DAEMON_MUST, &ret->broker, NULL, NULL},
		{"broker-tls", "ADDRESS", "where enclaves' sessions are relayed to", DAEMON_MUST, &ret->broker_tls, NULL, NULL},
		{"enclave", "ADDRESS", "an enclave; any number", DAEMON_MANY, NULL, add_enclave, ret},
	};

	daemon_options(argc, argv, "bullad", "The engine: moves runs, reads nothing. `bulla up` starts it.", options,
		sizeof(options) / sizeof(options[0]));
}

int main(int argc, char **argv)
{
	static struct bulla_host_options options;
	bulla_rc rc;

	parse(argc, argv, &options);
	rc = bulla_sys_harden();
	if (rc == BULLA_OK)
		rc = bulla_host_run(&options);
	if (rc != BULLA_OK)
		bulla_log(BULLA_LOG_ERROR, "host.failed", bulla_log_rc(rc));
	return rc == BULLA_OK ? 0 : 1;
}
