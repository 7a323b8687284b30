#include "receipt/merkle.h"

#include "crypto/hash.h"
#include "wire/cbor.h"

/* RFC 9162 s2.1.1: leaves and nodes are hashed under different prefixes. */
static const uint8_t leaf_prefix[1] = {0}, node_prefix[1] = {1};

void bulla_merkle_leaf(bulla_bytes data, bulla_digest *ret)
{
	bulla_bytes parts[] = {BULLA_BYTES_ARRAY(leaf_prefix), data};

	bulla_sha256_parts(parts, 2, ret);
}

static void node(const bulla_digest *left, const bulla_digest *right, bulla_digest *ret)
{
	bulla_bytes parts[] = {BULLA_BYTES_ARRAY(node_prefix), bulla_bytes_digest(left), bulla_bytes_digest(right)};
	bulla_digest hash;

	bulla_sha256_parts(parts, 3, &hash);
	*ret = hash;
}

/* --- a growing list --- */

void bulla_merkle_init(struct bulla_merkle *tree)
{
	tree->count = 0;
}

bulla_rc bulla_merkle_add_leaf(struct bulla_merkle *tree, const bulla_digest *leaf)
{
	bulla_digest hash = *leaf;
	unsigned level = 0;

	if (tree->count >= UINT32_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a list is too long for its tree");
	for (uint64_t bits = tree->count; bits & 1; bits >>= 1)
		node(&tree->subtree[level++], &hash, &hash);
	tree->subtree[level] = hash;
	tree->count++;
	return BULLA_OK;
}

bulla_rc bulla_merkle_add(struct bulla_merkle *tree, bulla_bytes data)
{
	bulla_digest leaf;

	bulla_merkle_leaf(data, &leaf);
	return bulla_merkle_add_leaf(tree, &leaf);
}

void bulla_merkle_hash(const struct bulla_merkle *tree, bulla_digest *ret)
{
	bulla_digest hash;
	bool begun = false;

	if (tree->count == 0) {
		bulla_sha256((bulla_bytes){NULL, 0}, ret);
		return;
	}
	for (unsigned level = 0; level < BULLA_MERKLE_LEVELS; level++) {
		if (!(tree->count >> level & 1))
			continue;
		if (begun)
			node(&tree->subtree[level], &hash, &hash);
		else
			hash = tree->subtree[level];
		begun = true;
	}
	*ret = hash;
}

void bulla_merkle_root_of(uint64_t count, const bulla_digest *tree_hash, bulla_digest *ret)
{
	uint8_t memory[48];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	bulla_cbor_wr_array(&w, 2);
	bulla_cbor_wr_uint(&w, count);
	bulla_cbor_wr_digest(&w, tree_hash);
	bulla_sha256(bulla_bytes_of(memory, w.n), ret);
}

void bulla_merkle_root(const struct bulla_merkle *tree, bulla_digest *ret)
{
	bulla_digest hash;

	bulla_merkle_hash(tree, &hash);
	bulla_merkle_root_of(tree->count, &hash, ret);
}

/* Of two items and more. */
static bulla_rc long_list_root(bulla_bytes items, size_t size, bulla_digest *ret)
{
	struct bulla_merkle tree;
	bulla_rd r = bulla_rd_of(items);
	bulla_bytes item;

	bulla_merkle_init(&tree);
	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(bulla_rd_bytes(&r, size, &item));
		BULLA_TRY(bulla_merkle_add(&tree, item));
	}
	bulla_merkle_root(&tree, ret);
	return BULLA_OK;
}

/* Nearly every list has none or one: without a tree's memory then. */
bulla_rc bulla_merkle_list_root(bulla_bytes items, size_t size, bulla_digest *ret)
{
	bulla_digest hash;

	if (size == 0 || items.n % size != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a list ends inside one of its items");
	if (items.n > size)
		return long_list_root(items, size, ret);
	if (items.n == 0)
		bulla_sha256(items, &hash);
	else
		bulla_merkle_leaf(items, &hash);
	bulla_merkle_root_of(items.n / size, &hash, ret);
	return BULLA_OK;
}

/* --- proofs from leaf hashes --- */

/* Largest power of two below count; count >= 2. */
static size_t split(size_t count)
{
	size_t k = 1;

	while (k * 2 < count)
		k *= 2;
	return k;
}

static void range_hash(const bulla_digest *leaves, size_t count, bulla_digest *ret)
{
	struct bulla_merkle tree;

	bulla_merkle_init(&tree);
	for (size_t i = 0; i < count; i++)
		if (bulla_merkle_add_leaf(&tree, &leaves[i]) != BULLA_OK)
			break; /* more than 2^32 leaves are not in memory */
	bulla_merkle_hash(&tree, ret);
}

static void reverse(bulla_digest *path, size_t size)
{
	for (size_t i = 0; i < size / 2; i++) {
		bulla_digest first = path[i];

		path[i] = path[size - 1 - i];
		path[size - 1 - i] = first;
	}
}

void bulla_merkle_path(const bulla_digest *leaves, size_t count, size_t index, bulla_digest *ret_path, size_t *ret_size)
{
	size_t size = 0;

	while (count > 1) {
		size_t k = split(count);

		if (index < k) {
			range_hash(leaves + k, count - k, &ret_path[size++]);
			count = k;
		} else {
			range_hash(leaves, k, &ret_path[size++]);
			leaves += k;
			index -= k;
			count -= k;
		}
	}
	reverse(ret_path, size);
	*ret_size = size;
}

/* Levels lie one after the other; a node without sibling moves up as it is. That is RFC 9162's tree. */
void bulla_merkle_batch(const bulla_digest *leaves, size_t count, bulla_digest *nodes, bulla_digest *ret_tree_hash)
{
	bulla_digest *level = nodes;
	size_t size = count;

	if (nodes != leaves)
		bulla_copy(nodes, leaves, count * sizeof(*leaves));
	while (size > 1) {
		bulla_digest *next = level + size;

		for (size_t i = 0; i + 1 < size; i += 2)
			node(&level[i], &level[i + 1], &next[i / 2]);
		if (size % 2 != 0)
			next[size / 2] = level[size - 1];
		level = next;
		size = (size + 1) / 2;
	}
	if (size == 1)
		*ret_tree_hash = level[0];
	else
		bulla_sha256((bulla_bytes){NULL, 0}, ret_tree_hash);
}

void bulla_merkle_batch_path(const bulla_digest *nodes, size_t count, size_t index, bulla_digest *ret_path,
	size_t *ret_size)
{
	size_t size = 0;

	for (; count > 1; index /= 2) {
		size_t sibling = index ^ 1;

		if (sibling < count)
			ret_path[size++] = nodes[sibling];
		nodes += count;
		count = (count + 1) / 2;
	}
	*ret_size = size;
}

bulla_rc bulla_merkle_fold(const bulla_digest *leaf, uint64_t index, uint64_t count, bulla_bytes path,
	bulla_digest *ret_tree_hash)
{
	uint64_t fn = index, sn = count - 1;
	bulla_digest hash = *leaf, sibling;
	bulla_rd r = bulla_rd_of(path);

	if (index >= count)
		return BULLA_FAIL(BULLA_E_FORMAT, "a proof is for an item behind the end of its list");
	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(bulla_rd_digest(&r, &sibling));
		if (sn == 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a proof is longer than its tree is high");
		if (fn % 2 != 0 || fn == sn) {
			node(&sibling, &hash, &hash);
			for (; fn % 2 == 0 && fn != 0; fn /= 2)
				sn /= 2;
		} else {
			node(&hash, &sibling, &hash);
		}
		fn /= 2;
		sn /= 2;
	}
	if (sn != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a proof is shorter than its tree is high");
	*ret_tree_hash = hash;
	return BULLA_OK;
}

/* --- consistency, RFC 9162 s2.1.4 --- */

void bulla_merkle_consistency(const bulla_digest *leaves, size_t count, size_t first,
	bulla_digest ret_path[BULLA_MERKLE_LEVELS + 1], size_t *ret_size)
{
	bool whole = true;
	size_t size = 0;

	while (first != count) {
		size_t k = split(count);

		if (first <= k) {
			range_hash(leaves + k, count - k, &ret_path[size++]);
			count = k;
		} else {
			range_hash(leaves, k, &ret_path[size++]);
			leaves += k;
			count -= k;
			first -= k;
			whole = false;
		}
	}
	if (!whole)
		range_hash(leaves, count, &ret_path[size++]);
	reverse(ret_path, size);
	*ret_size = size;
}

/* RFC 9162 s2.1.4.2 steps 4 to 7: both hashes that the proof leads to. */
static bulla_rc consistency_fold(uint64_t first, uint64_t count, bulla_rd *r, bulla_digest *a, bulla_digest *b)
{
	uint64_t fn = first - 1, sn = count - 1;
	bulla_digest step;

	for (; fn % 2 != 0; fn /= 2)
		sn /= 2;
	while (bulla_rd_left(r) > 0) {
		BULLA_TRY(bulla_rd_digest(r, &step));
		if (sn == 0)
			return BULLA_FAIL(BULLA_E_FORMAT, "a consistency proof is too long");
		if (fn % 2 != 0 || fn == sn) {
			node(&step, a, a);
			node(&step, b, b);
			for (; fn % 2 == 0 && fn != 0; fn /= 2)
				sn /= 2;
		} else {
			node(b, &step, b);
		}
		fn /= 2;
		sn /= 2;
	}
	if (sn != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a consistency proof is too short");
	return BULLA_OK;
}

bulla_rc bulla_merkle_consistent(uint64_t first, const bulla_digest *first_hash, uint64_t count,
	const bulla_digest *hash, bulla_bytes path)
{
	bulla_digest a = *first_hash, b = *first_hash;
	bulla_rd r = bulla_rd_of(path);

	if (first == 0 || first > count)
		return BULLA_FAIL(BULLA_E_FORMAT, "a consistency proof is for trees of impossible sizes");
	if (first < count) {
		/* a first tree that is complete is itself the first step of the proof */
		if ((first & (first - 1)) != 0) {
			BULLA_TRY(bulla_rd_digest(&r, &a));
			b = a;
		}
		BULLA_TRY(consistency_fold(first, count, &r, &a, &b));
	}
	BULLA_TRY(bulla_rd_end(&r));
	if (!bulla_digest_eq(&a, first_hash) || !bulla_digest_eq(&b, hash))
		return BULLA_FAIL(BULLA_E_FORK, "a list does not begin with its earlier form");
	return BULLA_OK;
}
