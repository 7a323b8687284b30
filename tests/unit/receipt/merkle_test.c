#include "receipt/merkle.h"

#include "crypto/hash.h"
#include "test.h"
#include "wire/text.h"

/* The leaves and roots of the Certificate Transparency reference tests (RFC 6962 trees, the same in RFC 9162). */
static const struct {
	const char *leaf;
	const char *root;
} reference[] = {
	{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
	{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
	{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
	{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
	{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
	{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
	{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
	{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};
enum { REFERENCES = 8 };

static bulla_bytes reference_leaf(unsigned i, uint8_t memory[16])
{
	bulla_bytes hex = bulla_bytes_str(reference[i].leaf);

	assert_ok(bulla_text_hex(hex, hex.n / 2, memory));
	return bulla_bytes_of(memory, hex.n / 2);
}

static void reference_roots(void **state)
{
	struct bulla_merkle tree;
	uint8_t memory[32];
	bulla_digest hash, expected;

	(void)state;
	bulla_merkle_init(&tree);
	bulla_merkle_hash(&tree, &hash);
	bulla_sha256((bulla_bytes){NULL, 0}, &expected);
	assert_true(bulla_digest_eq(&hash, &expected));
	for (unsigned i = 0; i < REFERENCES; i++) {
		assert_ok(bulla_merkle_add(&tree, reference_leaf(i, memory)));
		bulla_merkle_hash(&tree, &hash);
		assert_ok(bulla_text_hex(bulla_bytes_str(reference[i].root), 32, expected.b));
		assert_true(bulla_digest_eq(&hash, &expected));
	}
}

enum { LEAVES = 37 };

static void make_leaves(bulla_digest leaves[LEAVES])
{
	for (uint8_t i = 0; i < LEAVES; i++)
		bulla_merkle_leaf((bulla_bytes){&i, 1}, &leaves[i]);
}

static void tree_hash(const bulla_digest *leaves, size_t count, bulla_digest *ret)
{
	struct bulla_merkle tree;

	bulla_merkle_init(&tree);
	for (size_t i = 0; i < count; i++)
		assert_ok(bulla_merkle_add_leaf(&tree, &leaves[i]));
	bulla_merkle_hash(&tree, ret);
}

/* Every place of every tree up to 37 leaves; both makers of paths agree; a wrong place, count or path does not fold. */
static void inclusion(void **state)
{
	bulla_digest leaves[LEAVES], nodes[2 * LEAVES + BULLA_MERKLE_LEVELS], hash, batch_hash, folded;

	(void)state;
	make_leaves(leaves);
	for (size_t count = 1; count <= LEAVES; count++) {
		tree_hash(leaves, count, &hash);
		bulla_merkle_batch(leaves, count, nodes, &batch_hash);
		assert_true(bulla_digest_eq(&hash, &batch_hash));
		for (size_t i = 0; i < count; i++) {
			bulla_digest path[BULLA_MERKLE_LEVELS], batch_path[BULLA_MERKLE_LEVELS];
			size_t size, batch_size;
			bulla_bytes bytes;

			bulla_merkle_path(leaves, count, i, path, &size);
			bulla_merkle_batch_path(nodes, count, i, batch_path, &batch_size);
			bytes = bulla_bytes_of(path, size * sizeof(bulla_digest));
			assert_bytes(bytes, bulla_bytes_of(batch_path, batch_size * sizeof(bulla_digest)));
			assert_ok(bulla_merkle_fold(&leaves[i], i, count, bytes, &folded));
			assert_true(bulla_digest_eq(&folded, &hash));
			if (bulla_merkle_fold(&leaves[i], i ^ 1, count, bytes, &folded) == BULLA_OK)
				assert_false(bulla_digest_eq(&folded, &hash) && count > 1);
			assert_rc(BULLA_E_FORMAT, bulla_merkle_fold(&leaves[i], count, count, bytes, &folded));
			if (size > 0) {
				bytes.n -= sizeof(bulla_digest);
				assert_rc(BULLA_E_FORMAT, bulla_merkle_fold(&leaves[i], i, count, bytes, &folded));
			}
		}
	}
	assert_rc(BULLA_E_FORMAT, bulla_merkle_fold(&leaves[0], 0, 0, (bulla_bytes){NULL, 0}, &folded));
}

static void consistency(void **state)
{
	bulla_digest leaves[LEAVES], first_hash, hash, path[BULLA_MERKLE_LEVELS + 1];

	(void)state;
	make_leaves(leaves);
	for (size_t count = 1; count <= LEAVES; count++) {
		tree_hash(leaves, count, &hash);
		for (size_t first = 1; first <= count; first++) {
			size_t size;
			bulla_bytes bytes;
			bulla_digest bad;

			tree_hash(leaves, first, &first_hash);
			bulla_merkle_consistency(leaves, count, first, path, &size);
			bytes = bulla_bytes_of(path, size * sizeof(bulla_digest));
			assert_ok(bulla_merkle_consistent(first, &first_hash, count, &hash, bytes));
			bad = first_hash;
			bad.b[3] ^= 4;
			assert_true(bulla_merkle_consistent(first, &bad, count, &hash, bytes) != BULLA_OK);
			assert_true(bulla_merkle_consistent(first, &first_hash, count, &bad, bytes) != BULLA_OK);
			if (size > 0) {
				path[size - 1].b[0] ^= 1;
				assert_rc(BULLA_E_FORK, bulla_merkle_consistent(first, &first_hash, count, &hash, bytes));
			}
		}
	}
}

/* No list can be shortened: the count is under the root. */
static void roots(void **state)
{
	bulla_digest two[2] = {{{1}}, {{2}}}, root, tree, of, one;
	struct bulla_merkle list;

	(void)state;
	assert_ok(bulla_merkle_list_root(BULLA_BYTES_ARRAY(two), 32, &root));
	bulla_merkle_init(&list);
	assert_ok(bulla_merkle_add(&list, bulla_bytes_digest(&two[0])));
	bulla_merkle_root(&list, &one);
	assert_ok(bulla_merkle_add(&list, bulla_bytes_digest(&two[1])));
	bulla_merkle_hash(&list, &tree);
	bulla_merkle_root_of(2, &tree, &of);
	assert_true(bulla_digest_eq(&root, &of));
	assert_false(bulla_digest_eq(&root, &one));
	bulla_merkle_root_of(3, &tree, &of);
	assert_false(bulla_digest_eq(&root, &of));
	assert_rc(BULLA_E_FORMAT, bulla_merkle_list_root(bulla_bytes_of(two, 33), 32, &root));
	assert_rc(BULLA_E_FORMAT, bulla_merkle_list_root(bulla_bytes_of(two, 32), 0, &root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_roots),
		cmocka_unit_test(inclusion),
		cmocka_unit_test(consistency),
		cmocka_unit_test(roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
