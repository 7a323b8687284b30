#pragma once
/* Digest of an agent's files: what the manifest names and PCR17 holds. Over the files in rising order of their paths:
 *   digest(CBOR [1, count, root(list of CBOR [path, executable, size, h'SHA-256 of the content'])])
 * Paths are relative, '/'-separated UTF-8 without empty, "." and ".." parts; no links, devices or empty folders: only
 * regular files count. Owner, times and other mode bits do not. */
#include "base/bytes.h"
#include "crypto/hash.h"
#include "receipt/merkle.h"

#define BULLA_BUNDLE_FILES 65536u
#define BULLA_BUNDLE_PATH 4096u

struct bulla_bundle_digest {
	struct bulla_merkle tree;
	struct bulla_sha256 content;
	uint64_t size, size_read;
	bool in_file, executable;
	uint32_t path_size;
	uint8_t path[BULLA_BUNDLE_PATH];
};

/* No files yet; it owns nothing. */
void bulla_bundle_digest_init(struct bulla_bundle_digest *digest);

/* The next file, in rising byte order of paths: BULLA_E_FORMAT otherwise or for a path that may not be, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_bundle_digest_file(struct bulla_bundle_digest *digest, bulla_bytes path, bool executable,
	uint64_t size);

/* Content of that file, in pieces; together exactly its size. */
BULLA_CHECK bulla_rc bulla_bundle_digest_content(struct bulla_bundle_digest *digest, bulla_bytes bytes);

/* After the last file: SHA-256 of [version, number of files, Merkle root] in CBOR. BULLA_E_TRUNCATED: the file lacks bytes. */
BULLA_CHECK bulla_rc bulla_bundle_digest_end(struct bulla_bundle_digest *digest, bulla_digest *ret);
