/* In an enclave's place: leaves a file beside the name it was called by, and waits. --code N: ends at once. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[512];

	if (argc == 3 && strcmp(argv[1], "--code") == 0)
		return atoi(argv[2]);
	snprintf(path, sizeof(path), "%s.started", argv[0]);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	sleep(600);
	return 0;
}
