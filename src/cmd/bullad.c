/* bullad: the engine. Moves runs, reads nothing. Started by bulla-platform. */
#include "base/log.h"
#include "engine/host.h"
#include "io/sys.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static int usage(FILE *to, int code)
{
	fputs("usage: bullad --state FOLDER --socket PATH --broker ADDRESS --broker-tls ADDRESS [--enclave ADDRESS]...\n"
	      "The engine: moves runs, reads nothing. `bulla up` starts it.\n"
	      "  --state FOLDER        its journal and catalogue; made when missing\n"
	      "  --socket PATH         for clients\n"
	      "  --broker ADDRESS      the broker: unix:PATH, vsock:CID:PORT or HOST:PORT\n"
	      "  --broker-tls ADDRESS  where enclaves' sessions are relayed to\n"
	      "  --enclave ADDRESS     an enclave; any number\n",
	      to);
	return code;
}

static bool parse(int argc, char **argv, struct bulla_host_options *ret)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'},
						{"socket", required_argument, NULL, 'l'},
						{"broker", required_argument, NULL, 'b'},
						{"broker-tls", required_argument, NULL, 't'},
						{"enclave", required_argument, NULL, 'e'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 's')
			ret->state = optarg;
		else if (c == 'l')
			ret->socket = optarg;
		else if (c == 'b')
			ret->broker = optarg;
		else if (c == 't')
			ret->broker_tls = optarg;
		else if (c == 'e' && ret->enclave_count < BULLA_HOST_ENCLAVES)
			ret->enclaves[ret->enclave_count++] = optarg;
		else if (c == 'h')
			exit(usage(stdout, 0));
		else
			return false;
	}
	return optind == argc && ret->state && ret->socket && ret->broker && ret->broker_tls;
}

int main(int argc, char **argv)
{
	static struct bulla_host_options options;
	bulla_rc rc;

	if (!parse(argc, argv, &options))
		return usage(stderr, 2);
	rc = bulla_sys_harden();
	if (rc == BULLA_OK)
		rc = bulla_host_run(&options);
	if (rc != BULLA_OK)
		bulla_log(BULLA_LOG_ERROR, "host.failed", bulla_log_rc(rc));
	return rc == BULLA_OK ? 0 : 1;
}
