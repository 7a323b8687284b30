#pragma once
/* The owner's side of the KMS API (bulla up), with the administrator's credential: wrapping keys and their policies. */
#include "attest/attest.h"
#include "kms/client.h"

/* A CreateKey request, signed, appended: the policy is JSON text, the description any. */
BULLA_CHECK bulla_rc bulla_kms_write_create_key(const struct bulla_kms_call *call, bulla_bytes policy,
	bulla_bytes description, struct bulla_buf *ret);
/* ARN of the new key, appended to ret. */
BULLA_CHECK bulla_rc bulla_kms_read_create_key(const struct bulla_http_message *response, struct bulla_buf *ret);

/* An image that a key is released to, as a manifest has it. */
struct bulla_kms_image {
	bulla_bytes tee; /* "nitro" (also of the development TEE), "tdx", ... */
	const struct bulla_attest_value *values;
	size_t count;
};

/* The policy that `bulla up` gives a wrapping key: GenerateDataKey and Decrypt for evidence that shows one of the images, and
 * the tenant and agent in the context; GetKeyPolicy and DescribeKey for all, PutKeyPolicy and deletion for admin_arn;
 * nothing else to anybody. Conditions: kms/policy.h. */
BULLA_CHECK bulla_rc bulla_kms_default_policy(bulla_bytes admin_arn, const struct bulla_kms_image *images, size_t count,
	const uint8_t tenant[8], const uint8_t agent[8], struct bulla_buf *ret);
