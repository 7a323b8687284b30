/* bulla: the owner's and the auditor's command line. */
#include "cmd/say.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	struct cli cli;
	int code = cli_parse(argc, argv, &cli);

	if (code != 0)
		return code;
	if (cli.help || cli.command == NULL) {
		cli_help(&cli);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cli.command->run(&cli);
}
