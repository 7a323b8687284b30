#pragma once
/* SHA-2 (FIPS 180-4). None of these allocates or fails. */
#include "base/bytes.h"

#define BULLA_SHA384_SIZE 48
#define BULLA_SHA512_SIZE 64

/* An unfinished SHA-256; lives on the stack, may be copied to fork a prefix. */
struct bulla_sha256 {
	_Alignas(8) uint8_t state[112];
};

/* Any number of pieces; the state holds no heap memory. */
void bulla_sha256_init(struct bulla_sha256 *hash);
void bulla_sha256_add(struct bulla_sha256 *hash, bulla_bytes bytes);

/* Writes the digest and wipes the state. */
void bulla_sha256_end(struct bulla_sha256 *hash, bulla_digest *ret);

/* digest(x) of protocol.md section 1, in one go. */
void bulla_sha256(bulla_bytes bytes, bulla_digest *ret);

/* The digest of the concatenation of count parts. */
void bulla_sha256_parts(const bulla_bytes *parts, size_t count, bulla_digest *ret);

/* SHA-384 (48 bytes) and SHA-512 (64 bytes) of the concatenation of count parts. */
void bulla_sha384_parts(const bulla_bytes *parts, size_t count, uint8_t ret[BULLA_SHA384_SIZE]);
void bulla_sha512_parts(const bulla_bytes *parts, size_t count, uint8_t ret[BULLA_SHA512_SIZE]);
void bulla_sha384(bulla_bytes bytes, uint8_t ret[BULLA_SHA384_SIZE]);
void bulla_sha512(bulla_bytes bytes, uint8_t ret[BULLA_SHA512_SIZE]);
