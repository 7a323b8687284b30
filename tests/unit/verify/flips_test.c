/* Every bit of a real bundle, one by one (nightly: a quarter of an hour): each flipped bit is refused, with a reason. */
#include "base/secret.h"
#include "verify/verify.h"

#include <stdio.h>
#include <stdlib.h>

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

static void judge(bulla_bytes bundle, const struct bulla_trust *trust, struct bulla_verify_result *ret)
{
	struct bulla_verify *v;

	if (bulla_verify_new(trust, &v) != BULLA_OK || bulla_verify_feed(v, bundle) != BULLA_OK ||
		bulla_verify_end(v, ret) != BULLA_OK)
		exit(2);
	bulla_verify_free(v);
}

int main(int argc, char **argv)
{
	static uint8_t bundle[65536], text[4096];
	struct bulla_verify_result result;
	struct bulla_trust trust;
	size_t n, step;

	if (argc != 4)
		return 2;
	n = read_file(argv[1], bundle, sizeof(bundle));
	if (bulla_trust_parse(bulla_bytes_of(text, read_file(argv[2], text, sizeof(text))), &trust, NULL) != BULLA_OK)
		return 2;
	step = strtoul(argv[3], NULL, 10);
	judge(bulla_bytes_of(bundle, n), &trust, &result);
	if (result.verdict != BULLA_VERDICT_DEV_ONLY)
		return 1;
	for (size_t bit = 0; bit < 8 * n; bit += step > 0 ? step : 1) {
		bundle[bit / 8] ^= (uint8_t)(1u << bit % 8);
		judge(bulla_bytes_of(bundle, n), &trust, &result);
		if (result.verdict != BULLA_VERDICT_REFUSED || result.rc == BULLA_OK || result.text == NULL) {
			printf("bit %zu of byte %zu: %s\n", bit % 8, bit / 8, bulla_verdict_word(result.verdict));
			return 1;
		}
		bundle[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return 0;
}
