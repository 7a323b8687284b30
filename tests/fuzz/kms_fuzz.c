/* First byte: which operation of the KMS API the body is for; beyond them blobs, targets, uuids and signatures. */
#include "fuzz.h"
#include "kms/api.h"
#include "kms/blob.h"
#include "kms/sigv4.h"

static struct bulla_http_message message;

static void fuzz_texts(bulla_bytes in)
{
	struct bulla_kms_authorization authorization;
	enum bulla_kms_op op;
	bulla_digest material;
	uint8_t uuid[16];
	size_t size;

	if (bulla_kms_target(in, &op) == BULLA_OK)
		fuzz_assert(op < BULLA_KMS_OP_COUNT && bulla_kms_op_name(op) != NULL);
	(void)!bulla_kms_uuid_read(in, uuid);
	(void)!bulla_kms_blob_read(in, uuid, &material);
	if (bulla_http_read_request(in, &message, &size) == BULLA_OK)
		(void)!bulla_kms_sigv4_parse(&message, &authorization);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bulla_kms_request request;
	BULLA_AUTO_BUF scratch;
	bulla_bytes in;

	bulla_buf_init(&scratch, 2 * n + 1024);
	if (n < 1)
		return 0;
	in = bulla_bytes_of(p + 1, n - 1);
	if (p[0] < BULLA_KMS_OP_COUNT)
		(void)!bulla_kms_request_parse((enum bulla_kms_op)p[0], in, &scratch, &request);
	else
		fuzz_texts(in);
	return 0;
}
