/* bulla-platform: supervisor and development TEE of one project. Started by `bulla up`. */
#include "base/log.h"
#include "base/secret.h"
#include "cmd/daemon.h"
#include "io/sys.h"
#include "platform/platform.h"

#define SLOTS 64

static void parse(int argc, char **argv, struct bulla_platform_options *ret)
{
	const struct daemon_option options[] = {
		{"state", "FOLDER", "the project's state: platform/, broker/, host/", DAEMON_MUST, &ret->state, NULL, NULL},
		{"run", "FOLDER", "its sockets", DAEMON_MUST, &ret->runtime, NULL, NULL},
		{"bin", "FOLDER", "where bulla-kms, bullad and bulla-enclave are", DAEMON_MUST, &ret->programs, NULL, NULL},
		{"owner", "DIGEST", "whose broker it is: SHA-256 of a public key, in hex", DAEMON_MAY, &ret->owner, NULL, NULL},
	};

	daemon_options(argc, argv, "bulla-platform", "Starts and watches broker, engine and enclaves of one project. `bulla up` starts it.",
		options, sizeof(options) / sizeof(options[0]));
}

int main(int argc, char **argv)
{
	static struct bulla_platform platform;
	struct bulla_platform_options options = {NULL, NULL, NULL, NULL};
	pid_t other = 0;
	bulla_rc rc;

	parse(argc, argv, &options);
	rc = bulla_sys_harden();
	rc = rc == BULLA_OK ? bulla_secret_slab_init(SLOTS) : rc;
	if (rc == BULLA_OK) {
		rc = bulla_platform_open(&platform, &options, &other);
		rc = rc == BULLA_OK ? bulla_platform_run(&platform) : rc;
		bulla_platform_close(&platform);
	}
	if (rc != BULLA_OK)
		bulla_log(BULLA_LOG_ERROR, "platform.failed", bulla_log_rc(rc), bulla_log_u64("other", other));
	return rc == BULLA_OK ? 0 : 1;
}
