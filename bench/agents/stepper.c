/* The agent of the two-step benchmark (../shared/peers/README): "A" + s[:1023]. Binding `stream`: one JSON string a line in,
 * one a line out, in order. The letter is the first argument. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEEP 1023
#define ROOM (4 << 20)

static char line[ROOM];
static char answers[2 * ROOM];

/* Characters of a JSON string up to KEEP, an escape counts as one and is not cut. Returns the bytes. */
static size_t keep(const char *text, size_t size)
{
	size_t at = 0;

	for (int kept = 0; kept < KEEP && at < size; kept++) {
		size_t step = text[at] != '\\' ? 1 : at + 1 < size && text[at + 1] == 'u' ? 6 : 2;

		if (at + step > size)
			break;
		at += step;
	}
	return at;
}

static size_t answer(const char *letter, const char *text, size_t size, char *out)
{
	size_t n = 0;

	out[n++] = '"';
	out[n++] = letter[0];
	if (size >= 2 && text[0] == '"') {
		size_t kept = keep(text + 1, size - 2);

		memcpy(out + n, text + 1, kept);
		n += kept;
	}
	out[n++] = '"';
	out[n++] = '\n';
	return n;
}

int main(int argc, char **argv)
{
	const char *letter = argc > 1 ? argv[1] : "A";
	size_t have = 0;

	for (;;) {
		ssize_t got = read(0, line + have, ROOM - have);
		size_t from = 0, out = 0;
		char *end;

		if (got <= 0)
			return got < 0;
		have += (size_t)got;
		while ((end = memchr(line + from, '\n', have - from)) != NULL) {
			size_t size = (size_t)(end - line) - from;

			while (size > 0 && line[from + size - 1] == ' ')
				size--;
			out += answer(letter, line + from, size, answers + out);
			from = (size_t)(end - line) + 1;
		}
		have -= from;
		memmove(line, line + from, have);
		for (size_t at = 0; at < out;) { /* all answers of a turn in one write */
			ssize_t sent = write(1, answers + at, out - at);

			if (sent <= 0)
				return 1;
			at += (size_t)sent;
		}
	}
}
