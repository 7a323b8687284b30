/* The peers' step as a stream agent: a JSON string a line in; out, the letter of the command line and all but the last
 * character. All answers of a turn leave in one write. cc -O2 -o ab ab.c */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char line[4 << 20];

static int write_all(const char *text, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t some = write(1, text + at, size - at);

		if (some <= 0)
			return -1;
		at += (size_t)some;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char letter = argc > 1 ? argv[1][0] : 'A';
	size_t have = 0;
	ssize_t n;

	while ((n = read(0, line + have, sizeof(line) - have)) > 0) {
		char *begin = line, *end;

		have += (size_t)n;
		while ((end = memchr(begin, '\n', have - (size_t)(begin - line))) != NULL) {
			size_t size = (size_t)(end - begin); /* "text" */

			if (size >= 3)
				memmove(begin + 2, begin + 1, size - 3);
			begin[size >= 3 ? 1 : 0] = size >= 3 ? letter : '0';
			begin[size - 1] = size >= 3 ? '"' : '0';
			begin = end + 1;
		}
		if (write_all(line, (size_t)(begin - line)) != 0)
			return 1;
		have -= (size_t)(begin - line);
		memmove(line, begin, have);
	}
	return 0;
}
