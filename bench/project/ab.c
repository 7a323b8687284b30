/* The peers' step as a stream agent: a JSON string a line in; out, the letter of the command line and all but the last
 * character. cc -O2 -o ab ab.c */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char line[2 << 20];

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

			memmove(begin + 2, begin + 1, size - 3);
			begin[1] = letter;
			begin[size - 1] = '"';
			for (size_t at = 0; at < size + 1;) {
				ssize_t some = write(1, begin + at, size + 1 - at);

				if (some <= 0)
					return 1;
				at += (size_t)some;
			}
			begin = end + 1;
		}
		have -= (size_t)(begin - line);
		memmove(line, begin, have);
	}
	return 0;
}
