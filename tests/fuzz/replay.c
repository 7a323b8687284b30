/* Runs a fuzz target over the files of its corpus, in every build and with every compiler. Each file is also cut at
 * every length and gets one bit flipped at every place (the first 512 bytes), so that a plain build tries some
 * thousands of hostile inputs. Usage: NAME_replay CORPUS_FOLDER; exit code 1 when fewer than 10 files are there. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)
#define FILES_MIN 10
#define SWEEP_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* In a block of its own size, so that sanitizers see the first byte behind it. */
static void run(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void sweep(uint8_t *p, size_t n)
{
	size_t limit = n < SWEEP_MAX ? n : SWEEP_MAX;

	run(p, n);
	for (size_t cut = 0; cut < limit; cut++)
		run(p, cut);
	for (size_t at = 0; at < limit; at++) {
		uint8_t bit = (uint8_t)(1 << at % 8);

		p[at] ^= bit;
		run(p, n);
		p[at] ^= bit;
	}
}

static int replay_file(const char *folder, const char *name)
{
	static uint8_t bytes[FILE_MAX];
	char path[4096];
	FILE *file;
	size_t n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return 1;
	file = fopen(path, "rb");
	if (file == NULL)
		return 1;
	n = fread(bytes, 1, sizeof(bytes), file);
	(void)fclose(file);
	sweep(bytes, n);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	size_t count = 0;
	int bad = 0;

	if (folder == NULL) {
		fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
		return 2;
	}
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		if (entry->d_name[0] == '.')
			continue;
		bad |= replay_file(argv[1], entry->d_name);
		count++;
	}
	(void)closedir(folder);
	printf("%zu files\n", count);
	return bad != 0 || count < FILES_MIN;
}
