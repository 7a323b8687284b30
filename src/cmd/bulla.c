/* bulla: the owner's and the auditor's command line. */
#include "cmd/say.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Descriptors 0 to 2 that the caller closed: a socket or a key file must not take their numbers, or what is printed goes
 * there. What stands in refuses to be used. */
static bool hold_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

/* A result that did not reach its file was not given. */
static int after_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "error[io]: the output cannot be written\nwhere: standard output\nnext: free space, or another place; then again\n");
	return code == 0 ? EXIT_REFUSED : code;
}

int main(int argc, char **argv)
{
	struct cli cli;
	int code;

	if (!hold_standard())
		return EXIT_REFUSED;
	code = cli_parse(argc, argv, &cli);
	if (code != 0)
		return code;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!cli.help && cli.command != NULL)
		return after_output(cli.command->run(&cli));
	cli_help(&cli);
	return after_output(0);
}
