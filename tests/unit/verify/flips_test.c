/* Every bit of a real bundle, one by one: each flipped bit is refused, with a reason.
 *
 *   verify_flips_test BUNDLE TRUST STEP      every STEPth bit
 *
 * What comes before a bit is verified once: the process that has read so far forks, and its child reads on from there with
 * the bit flipped. The bundle is shared out among as many processes as there are processors. */
#include "base/secret.h"
#include "verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE 64 /* bytes of a process, then it is another one's turn */

static size_t read_file(const char *path, uint8_t *memory, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n;

	if (file == NULL)
		exit(2);
	n = fread(memory, 1, size, file);
	fclose(file);
	return n;
}

/* The verdict over what was fed and these bytes: 0 refused with a reason, else 1 + the verdict. */
static int judge(struct bulla_verify *v, bulla_bytes rest)
{
	struct bulla_verify_result result;

	if (bulla_verify_feed(v, rest) != BULLA_OK || bulla_verify_end(v, &result) != BULLA_OK)
		return 99;
	if (result.verdict == BULLA_VERDICT_REFUSED && result.rc != BULLA_OK && result.text != NULL)
		return 0;
	return 1 + (int)result.verdict;
}

/* In a child: the bit is flipped, the rest is read. */
static int flipped(struct bulla_verify *v, uint8_t *bundle, size_t n, size_t bit)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		bundle[bit / 8] ^= (uint8_t)(1u << bit % 8);
		_exit(judge(v, bulla_bytes_of(bundle + bit / 8, n - bit / 8)));
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 98;
	return WEXITSTATUS(status);
}

/* One process's share of the bytes. */
static int share(const struct bulla_trust *trust, uint8_t *bundle, size_t n, size_t step, size_t number, size_t shares)
{
	struct bulla_verify *v;

	if (bulla_verify_new(trust, &v) != BULLA_OK)
		return 1;
	for (size_t byte = 0; byte < n; byte++) {
		for (size_t bit = 8 * byte; byte / PIECE % shares == number && bit < 8 * byte + 8; bit++) {
			int verdict = bit % step == 0 ? flipped(v, bundle, n, bit) : 0;

			if (verdict == 0)
				continue;
			printf("bit %zu of byte %zu: %s\n", bit % 8, byte,
				verdict > BULLA_VERDICT_REFUSED + 1 ? "no verdict" : bulla_verdict_word((enum bulla_verdict)(verdict - 1)));
			return 1;
		}
		if (bulla_verify_feed(v, bulla_bytes_of(bundle + byte, 1)) != BULLA_OK)
			return 1;
	}
	return judge(v, (bulla_bytes){NULL, 0}) == 1 + BULLA_VERDICT_DEV_ONLY ? 0 : 1; /* as it is, it holds */
}

int main(int argc, char **argv)
{
	static uint8_t bundle[65536], text[4096];
	struct bulla_trust trust;
	long shares = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n, step = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	int status, bad = 0;

	if (step == 0)
		return 2;
	n = read_file(argv[1], bundle, sizeof(bundle));
	if (bulla_trust_parse(bulla_bytes_of(text, read_file(argv[2], text, sizeof(text))), &trust, NULL) != BULLA_OK)
		return 2;
	shares = shares > 0 ? shares : 1;
	for (long i = 0; i < shares; i++)
		if (fork() == 0)
			exit(share(&trust, bundle, n, step, (size_t)i, (size_t)shares));
	while (wait(&status) > 0)
		bad += WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
	printf("%zu bytes, every %zu. bit: %s\n", n, step, bad == 0 ? "refused, each" : "some were not refused");
	return bad == 0 ? 0 : 1;
}
