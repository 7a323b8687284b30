#pragma once
/* Genuine samples, which are not in this repository: a folder with an expect.json per TEE, named by BULLA_VECTORS or
 * beside the source tree (../shared/vectors). Tests that want them skip loudly when they are absent. */
#include "attest/attest.h"
#include "base/buf.h"
#include "wire/json.h"

/* Reads a file of the vectors' folder, or of the source tree when path begins with "tests/". False: there is none. */
bool sample_read(const char *path, struct bulla_buf *ret);

/* The index-th certificate of a vendor's PEM file, as DER; ret is made here. Fails the test when it is not there. */
void sample_pem(const char *path, size_t index, struct bulla_buf *ret);

/* expect.json of a folder: *ret_json borrows from buf. Prints why and returns false when the vectors are absent. */
bool sample_expectations(const char *folder, struct bulla_buf *buf, bulla_json *ret_json);

/* A member as text ("" when absent or null), as number, as bytes of its hexadecimal text. */
void sample_text(bulla_json object, const char *name, char *ret, size_t size);
int64_t sample_number(bulla_json object, const char *name);
size_t sample_hex(bulla_json object, const char *name, uint8_t *ret, size_t size);

/* "2021-09-09 10:19:20" of a member to Unix seconds; 0 when absent. */
int64_t sample_date(bulla_json object, const char *name);

/* Policy and binding that ask for nothing but what the vendor's rules demand. */
void sample_policy(struct bulla_attest_policy *ret);
struct bulla_attest_binding sample_binding(void);

/* At the given second, by the caller's word. */
struct bulla_attest_time sample_time(int64_t seconds);

/* With BULLA_DUMP set: writes the evidence into that folder as KIND-FACTOR, once per factor: seeds of the fuzz corpus. */
void sample_dump(const char *kind, bulla_bytes evidence, const struct bulla_attest_result *result);

/* Fails the test unless the appraisal failed exactly with this factor. */
void assert_factor(const struct bulla_attest_result *result, enum bulla_factor factor);
/* Fails the test, with the failing factor's name and text, unless everything held. */
void assert_accepted(const struct bulla_attest_result *result);
