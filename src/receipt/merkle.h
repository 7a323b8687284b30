#pragma once
/* RFC 9162 Merkle trees over SHA-256: leaf = H(0 || data), node = H(1 || left || right). A list's root is
 * digest(CBOR [count, tree hash]), so no list can be shortened (protocol.md section 1). */
#include "base/bytes.h"

/* Levels of the largest tree here: 2^32 leaves. A path holds at most this many hashes. */
#define BULLA_MERKLE_LEVELS 32

/* The tree hash of a growing list, in constant memory: hashes of the complete subtrees, largest first. */
struct bulla_merkle {
	uint64_t count;
	bulla_digest subtree[BULLA_MERKLE_LEVELS]; /* by level; valid where count has a 1 bit */
};

/* The tree of no leaves. */
void bulla_merkle_init(struct bulla_merkle *tree);

/* Adds the leaf of these bytes / a leaf hash already made. BULLA_E_LIMIT at 2^32 - 1 leaves. */
BULLA_CHECK bulla_rc bulla_merkle_add(struct bulla_merkle *tree, bulla_bytes data);
BULLA_CHECK bulla_rc bulla_merkle_add_leaf(struct bulla_merkle *tree, const bulla_digest *leaf);

/* RFC 9162 s2.1.1 tree hash of what was added; SHA-256 of nothing when empty. The tree may grow on. */
void bulla_merkle_hash(const struct bulla_merkle *tree, bulla_digest *ret);

/* root(list) = digest(CBOR [count, h'tree hash']). */
void bulla_merkle_root(const struct bulla_merkle *tree, bulla_digest *ret);
void bulla_merkle_root_of(uint64_t count, const bulla_digest *tree_hash, bulla_digest *ret);

/* root(list) of count items of size bytes each that lie one after the other. */
BULLA_CHECK bulla_rc bulla_merkle_list_root(bulla_bytes items, size_t size, bulla_digest *ret);

/* Leaf hash of data. */
void bulla_merkle_leaf(bulla_bytes data, bulla_digest *ret);

/* Inclusion path (RFC 9162 s2.1.3.1) of leaf `index` among count leaf hashes; index < count. ret_path holds up to
 * BULLA_MERKLE_LEVELS hashes; O(count) hashing. */
void bulla_merkle_path(const bulla_digest *leaves, size_t count, size_t index, bulla_digest *ret_path,
	size_t *ret_size);

/* All paths of a batch at once, each level hashed once. nodes: scratch for 2 * count + BULLA_MERKLE_LEVELS digests,
 * filled by bulla_merkle_batch (leaves first); then bulla_merkle_batch_path costs only copies. */
void bulla_merkle_batch(const bulla_digest *leaves, size_t count, bulla_digest *nodes,
	bulla_digest *ret_tree_hash);
void bulla_merkle_batch_path(const bulla_digest *nodes, size_t count, size_t index,
	bulla_digest *ret_path, size_t *ret_size);

/* Tree hash that a leaf hash and its path lead to (RFC 9162 s2.1.3.2). path: 32 bytes per hash. BULLA_E_FORMAT when the
 * path has not exactly the length that count and index demand, or index >= count. */
BULLA_CHECK bulla_rc bulla_merkle_fold(const bulla_digest *leaf, uint64_t index, uint64_t count, bulla_bytes path,
	bulla_digest *ret_tree_hash);

/* Consistency proof between the trees of the first `first` and of all count leaves (RFC 9162 s2.1.4.1), and its check:
 * BULLA_E_FORK when the second tree does not begin with the first. 0 < first <= count. */
void bulla_merkle_consistency(const bulla_digest *leaves, size_t count, size_t first,
	bulla_digest ret_path[BULLA_MERKLE_LEVELS + 1], size_t *ret_size);
BULLA_CHECK bulla_rc bulla_merkle_consistent(uint64_t first, const bulla_digest *first_hash, uint64_t count,
	const bulla_digest *hash, bulla_bytes path);
