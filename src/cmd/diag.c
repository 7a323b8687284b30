#include "cmd/diag.h"

#include "cmd/plain.h"

#include <stdarg.h>
#include <string.h>

#define EXCERPT_MAX 110 /* characters of a line that are shown */

static bool before(const struct diag *a, const struct diag *b)
{
	if (a->place.line != b->place.line)
		return a->place.line < b->place.line;
	return a->place.column < b->place.column;
}

static void insert(struct diags *diags, struct diag *diag)
{
	struct diag **at = &diags->first;

	while (*at != NULL && !before(diag, *at))
		at = &(*at)->next;
	diag->next = *at;
	*at = diag;
}

void diag_add(struct diags *diags, struct place place, const char *id, const char *format, ...)
{
	char text[512];
	const char *stored = NULL;
	void *p = NULL;
	va_list args;

	diags->count++;
	if (diags->count > DIAG_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (arena_text(diags->arena, bulla_bytes_str(text), &stored) != BULLA_OK ||
		arena_alloc(diags->arena, sizeof(struct diag), &p) != BULLA_OK)
		return;
	struct diag *diag = (struct diag *)p;
	char *split = strrchr(stored, '\n'); /* of the format: names before it may hold others */
	*diag = (struct diag){.place = place, .id = id, .what = stored, .hint = split == NULL ? NULL : split + 1};
	if (split != NULL)
		*split = '\0';
	insert(diags, diag);
}

static bulla_bytes line_of(bulla_bytes text, unsigned line)
{
	const uint8_t *p = text.p, *end = text.p + text.n;

	for (unsigned i = 1; i < line && p < end; i++) {
		const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));

		p = newline == NULL ? end : newline + 1;
	}
	const uint8_t *newline = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
	return bulla_bytes_of(p, (size_t)((newline == NULL ? end : newline) - p));
}

/* The bytes of so many characters of UTF-8, or all there are. */
static size_t bytes_of_characters(bulla_bytes text, unsigned count)
{
	size_t n = 0;

	for (; n < text.n; n++)
		if ((text.p[n] & 0xc0) != 0x80 && count-- == 0)
			break;
	return n;
}

/* What is shown of a line: all of one that fits, else what stands around the mark. *ret_column: the mark's in that. */
static bulla_bytes excerpt_of(bulla_bytes line, unsigned column, unsigned *ret_column)
{
	size_t skip;

	*ret_column = column;
	if (line.n > 0 && line.p[line.n - 1] == '\r') /* a file of Windows */
		line.n--;
	if (column > EXCERPT_MAX / 2 && bytes_of_characters(line, EXCERPT_MAX) < line.n) {
		skip = bytes_of_characters(line, column - EXCERPT_MAX / 2);
		line = bulla_bytes_of(line.p + skip, line.n - skip);
		*ret_column = EXCERPT_MAX / 2;
	}
	return bulla_bytes_of(line.p, bytes_of_characters(line, EXCERPT_MAX));
}

static void print_mark(const struct diag *diag, bulla_bytes excerpt, unsigned column, FILE *out)
{
	for (unsigned i = 1; i < column; i++)
		fputc(i <= excerpt.n && excerpt.p[i - 1] == '\t' ? '\t' : ' ', out);
	fputc('^', out);
	for (unsigned i = 1; i < diag->place.width && column + i <= EXCERPT_MAX; i++)
		fputc('~', out);
	if (diag->hint != NULL && diag->hint[0] != '\0') {
		fputc(' ', out);
		plain_print(bulla_bytes_str(diag->hint), false, out);
	}
	fputc('\n', out);
}

void diag_print(const struct diags *diags, const char *file_name, bulla_bytes text, FILE *out)
{
	for (const struct diag *diag = diags->first; diag != NULL; diag = diag->next) {
		unsigned column;
		bulla_bytes excerpt = excerpt_of(line_of(text, diag->place.line), diag->place.column, &column);

		fprintf(out, "%s:%u:%u: error[%s]: ", file_name, diag->place.line, diag->place.column, diag->id);
		plain_print(bulla_bytes_str(diag->what), false, out); /* the file may come from somewhere else */
		fputc('\n', out);
		plain_print(excerpt, false, out);
		fputc('\n', out);
		print_mark(diag, excerpt, column, out);
	}
	if (diags->count > DIAG_MAX)
		fprintf(out, "%s: %u more\n", file_name, diags->count - DIAG_MAX);
}

#define WORD_MAX 32

/* Edits (insert, delete, replace, swap of neighbours) from a to b. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1] = {{0}};
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (unsigned j = 0; j <= m; j++)
		rows[1][j] = j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *old = rows[(i + 1) % 3], *last = rows[i % 3], *now = rows[(i + 1) % 3];

		old = rows[(i - 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && old[j - 2] + 1 < best)
				best = old[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[(n + 1) % 3][m];
}

const char *nearest(const char *word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < count; i++) {
		unsigned edits = distance(word, candidates[i]);

		if (edits < least && 2 * (size_t)edits < strlen(candidates[i]) + 1) {
			least = edits;
			best = candidates[i];
		}
	}
	return best;
}
