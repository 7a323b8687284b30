#include "image/measure.h"

#include "crypto/hash.h"

/* Changed when the platform starts enclaves in another way than before. */
static const char launch_rules[] = "bulla development TEE 1: separate process, no new privileges, NSM on an inherited socket";
static const char configuration[] = "bulla-enclave 1: one agent, named on the command line, taken from the manifest";

static void measure(bulla_bytes content, uint8_t ret[BULLA_NITRO_PCR_SIZE])
{
	static const uint8_t zero[BULLA_NITRO_PCR_SIZE];
	uint8_t digest[BULLA_SHA384_SIZE];
	const bulla_bytes parts[2] = {BULLA_BYTES_ARRAY(zero), BULLA_BYTES_ARRAY(digest)};

	bulla_sha384(content, digest);
	bulla_sha384_parts(parts, 2, ret);
}

void bulla_dev_measure(bulla_bytes program, uint8_t ret[3][BULLA_NITRO_PCR_SIZE])
{
	measure(program, ret[0]);
	measure(bulla_bytes_str(launch_rules), ret[1]);
	measure(bulla_bytes_str(configuration), ret[2]);
}
