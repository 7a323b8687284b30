/* CMS EnvelopedData under a fixed key: what opens fits the limits, and a failure writes nothing. */
#include "cms_key.h"
#include "crypto/cms.h"
#include "fuzz.h"

static struct bulla_rsa_key *key;

static void set_up(void)
{
	fuzz_assert(bulla_secret_slab_init(16) == BULLA_OK);
	fuzz_assert(bulla_rsa_key_import(BULLA_BYTES_ARRAY(cms_fuzz_key), &key) == BULLA_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	BULLA_AUTO_BUF plain = {0};
	bulla_rc rc;

	if (key == NULL)
		set_up();
	bulla_buf_init(&plain, BULLA_CMS_MAX);
	rc = bulla_cms_open(key, bulla_bytes_of(p, n), &plain);
	fuzz_assert(rc == BULLA_OK ? plain.n > 0 && plain.n <= 4096 : plain.n == 0);
	fuzz_assert(bulla_secret_slab_used() == 0);
	return 0;
}
