/* A whole verifier: is FILE a fresh AWS Nitro document that answers my nonce, and of which code?
 *   cc appraise.c $(pkg-config --cflags --libs bulla-attest) -o appraise */
#include <attest/attest.h>
#include <stdio.h>
#include <time.h>

int main(int argc, char **argv)
{
	static unsigned char document[16384];
	static struct bulla_attest_result result;
	struct bulla_attest_anchors anchors = bulla_attest_vendor_anchors();
	struct bulla_attest_expected any = BULLA_EXPECT_ANYTHING, nonce = BULLA_EXPECT_BYTES(BULLA_BYTES_LITERAL("my nonce"));
	struct bulla_attest_binding binding = {.binder = any, .nonce = nonce, .public_key = any, .manifest = any, .bundles = any};
	struct bulla_attest_time now = {(int64_t)time(NULL) * 1000, BULLA_CLOCK_ONLINE};
	struct bulla_attest_policy policy;
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

	if (file == NULL)
		return 2;
	bulla_attest_policy_init(&policy);
	policy.tees = BULLA_TEE_BIT(BULLA_TEE_NITRO);
	policy.assurance = BULLA_ASSURANCE_HARDWARE;
	policy.any_measurement = true; /* or policy.references: the images you accept */
	if (bulla_attest_appraise(bulla_bytes_of(document, fread(document, 1, sizeof(document), file)), NULL, &anchors, &policy,
		&binding, now, NULL, &result) == BULLA_OK)
		return puts("accepted") < 0;
	printf("%s at byte %u\n", bulla_factor_name(result.failed), result.factors[result.failed].at);
	return 1;
}
