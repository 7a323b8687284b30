/* bulla-platform: supervisor and development TEE of one project. Started by `bulla up`. */
#include "base/log.h"
#include "base/secret.h"
#include "io/sys.h"
#include "platform/platform.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS 64

static int usage(FILE *to, int code)
{
	fputs("usage: bulla-platform --state FOLDER --run FOLDER --bin FOLDER [--owner DIGEST]\n"
	      "Starts and watches broker, engine and enclaves of one project. `bulla up` starts it.\n"
	      "  --state FOLDER  the project's state: platform/, broker/, host/\n"
	      "  --run FOLDER    its sockets\n"
	      "  --bin FOLDER    where bulla-kms, bullad and bulla-enclave are\n"
	      "  --owner DIGEST  whose broker it is: SHA-256 of a public key, in hex\n",
	      to);
	return code;
}

static bool parse(int argc, char **argv, struct bulla_platform_options *ret)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'}, {"run", required_argument, NULL, 'r'},
		{"bin", required_argument, NULL, 'b'}, {"owner", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 's')
			ret->state = optarg;
		else if (c == 'r')
			ret->runtime = optarg;
		else if (c == 'b')
			ret->programs = optarg;
		else if (c == 'o')
			ret->owner = optarg;
		else if (c == 'h')
			exit(usage(stdout, 0));
		else
			return false;
	}
	return optind == argc && ret->state != NULL && ret->runtime != NULL && ret->programs != NULL;
}

int main(int argc, char **argv)
{
	static struct bulla_platform platform;
	struct bulla_platform_options options = {NULL, NULL, NULL, NULL};
	pid_t other = 0;
	bulla_rc rc;

	if (!parse(argc, argv, &options))
		return usage(stderr, 2);
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
