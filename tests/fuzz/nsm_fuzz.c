/* Answers of a security module: whatever it says, the client gives an error or a value of the right size. */
#include "fuzz.h"

#include "tee/nsm.h"

struct module {
	struct bulla_nsm nsm;
	bulla_bytes answer;
};
static struct module module;

static bulla_rc answer(const struct bulla_nsm *nsm, bulla_bytes request, struct bulla_buf *ret)
{
	(void)nsm;
	(void)request;
	return bulla_buf_append(ret, module.answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t value[BULLA_NSM_PCR_SIZE] = {0}, random[32];
	const bulla_bytes none = {NULL, 0};
	BULLA_AUTO_BUF document = {0};
	bool locked = false;
	bulla_rc rc;

	if (n > BULLA_NSM_SOCKET_MAX)
		return 0;
	module = (struct module){.nsm = {.fd = -1, .call = answer}, .answer = bulla_bytes_of(p, n)};
	bulla_buf_init(&document, BULLA_NSM_SOCKET_MAX);
	rc = bulla_nsm_describe_pcr(&module.nsm, 16, &locked, value);
	rc = rc == BULLA_OK ? rc : bulla_nsm_extend_pcr(&module.nsm, 16, BULLA_BYTES_ARRAY(value), value);
	rc = rc == BULLA_OK ? rc : bulla_nsm_lock_pcr(&module.nsm, 16);
	rc = rc == BULLA_OK ? rc : bulla_nsm_random(&module.nsm, random, sizeof(random));
	rc = rc == BULLA_OK ? rc : bulla_nsm_attest(&module.nsm, none, none, none, &document);
	fuzz_assert(document.n <= n && (rc == BULLA_OK || document.n == 0));
	return 0;
}
