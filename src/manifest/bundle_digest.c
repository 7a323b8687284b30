#include "manifest/bundle_digest.h"

#include "wire/cbor.h"
#include "wire/text.h"

enum { BUNDLE_VERSION = 1 };

void bulla_bundle_digest_init(struct bulla_bundle_digest *digest)
{
	bulla_zero(digest, sizeof(*digest));
	bulla_merkle_init(&digest->tree);
}

static bool part_may_be(bulla_bytes part)
{
	return part.n > 0 && !bulla_bytes_eq_str(part, ".") && !bulla_bytes_eq_str(part, "..");
}

static bool path_may_be(bulla_bytes path)
{
	size_t begin = 0;

	if (path.n == 0 || path.n > BULLA_BUNDLE_PATH || !bulla_text_is_utf8(path))
		return false;
	for (size_t i = 0; i <= path.n; i++) {
		if (i < path.n && path.p[i] == 0)
			return false;
		if (i < path.n && path.p[i] != '/')
			continue;
		if (!part_may_be((bulla_bytes){path.p + begin, i - begin}))
			return false;
		begin = i + 1;
	}
	return true;
}

/* The file before is complete: its leaf goes into the tree. */
static bulla_rc end_file(struct bulla_bundle_digest *digest)
{
	uint8_t memory[BULLA_BUNDLE_PATH + 64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_digest content;
	bulla_bytes leaf;

	if (!digest->in_file)
		return BULLA_OK;
	if (digest->size_read != digest->size)
		return BULLA_FAIL(BULLA_E_TRUNCATED, "a file of a bundle has another size than announced");
	bulla_sha256_end(&digest->content, &content);
	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_text(&w, bulla_bytes_of(digest->path, digest->path_size));
	bulla_cbor_wr_bool(&w, digest->executable);
	bulla_cbor_wr_uint(&w, digest->size);
	bulla_cbor_wr_digest(&w, &content);
	BULLA_TRY(bulla_wr_end(&w, &leaf));
	digest->in_file = false;
	return bulla_merkle_add(&digest->tree, leaf);
}

bulla_rc bulla_bundle_digest_file(struct bulla_bundle_digest *digest, bulla_bytes path, bool executable, uint64_t size)
{
	if (!path_may_be(path))
		return BULLA_FAIL(BULLA_E_FORMAT, "a file of a bundle has a path that may not be");
	if (bulla_bytes_cmp(bulla_bytes_of(digest->path, digest->path_size), path) >= 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "files of a bundle are not in order");
	if (digest->tree.count >= BULLA_BUNDLE_FILES)
		return BULLA_FAIL(BULLA_E_LIMIT, "a bundle has too many files");
	BULLA_TRY(end_file(digest));
	bulla_copy(digest->path, path.p, path.n);
	digest->path_size = (uint32_t)path.n;
	digest->executable = executable;
	digest->size = size;
	digest->size_read = 0;
	digest->in_file = true;
	bulla_sha256_init(&digest->content);
	return BULLA_OK;
}

bulla_rc bulla_bundle_digest_content(struct bulla_bundle_digest *digest, bulla_bytes bytes)
{
	if (!digest->in_file || bytes.n > digest->size - digest->size_read)
		return BULLA_FAIL(BULLA_E_TRAILING, "a file of a bundle is longer than announced");
	bulla_sha256_add(&digest->content, bytes);
	digest->size_read += bytes.n;
	return BULLA_OK;
}

bulla_rc bulla_bundle_digest_end(struct bulla_bundle_digest *digest, bulla_digest *ret)
{
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_digest root;

	BULLA_TRY(end_file(digest));
	bulla_merkle_root(&digest->tree, &root);
	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_uint(&w, BUNDLE_VERSION);
	bulla_cbor_wr_uint(&w, digest->tree.count);
	bulla_cbor_wr_digest(&w, &root);
	bulla_sha256(bulla_bytes_of(memory, w.n), ret);
	return BULLA_OK;
}
