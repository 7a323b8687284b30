#include "receipt/auth.h"

#include "base/mem.h"
#include "cose/header.h"
#include "cose/sign1.h"
#include "crypto/hash.h"
#include "receipt/fixed.h"
#include "receipt/merkle.h"

enum { BATCH_PAYLOAD_BYTES = 36, BATCH_VERSION = 1 };

static const char *const content_types[BULLA_SIGNED_COUNT] = {
	[BULLA_SIGNED_RECEIPT] = BULLA_CONTENT("receipt"), [BULLA_SIGNED_RECEIPTS] = BULLA_CONTENT("receipts"),
	[BULLA_SIGNED_START] = BULLA_CONTENT("start"),     [BULLA_SIGNED_STARTS] = BULLA_CONTENT("starts"),
	[BULLA_SIGNED_TOKEN] = BULLA_CONTENT("token"),     [BULLA_SIGNED_TOKENS] = BULLA_CONTENT("tokens"),
};

/* --- form --- */

void bulla_auth_write(bulla_wr *w, const struct bulla_auth *auth)
{
	bulla_cbor_wr_array(w, auth->batched ? 4 : 1);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(auth->signature));
	if (!auth->batched)
		return;
	bulla_cbor_wr_uint(w, auth->index);
	bulla_cbor_wr_uint(w, auth->count);
	bulla_cbor_wr_bytes(w, auth->path);
}

static bulla_rc read_place(bulla_cbor_rd *r, struct bulla_auth *auth)
{
	uint64_t index, count;

	BULLA_TRY(bulla_cbor_rd_uint_max(r, BULLA_BATCH_MAX - 1, &index));
	BULLA_TRY(bulla_cbor_rd_uint_max(r, BULLA_BATCH_MAX, &count));
	if (index >= count)
		return BULLA_FAIL(BULLA_E_FORMAT, "a batch has no such place");
	BULLA_TRY(bulla_fixed_rd_list(r, sizeof(bulla_digest), BULLA_BATCH_LEVELS, &auth->path));
	auth->index = (uint32_t)index;
	auth->count = (uint32_t)count;
	return BULLA_OK;
}

bulla_rc bulla_auth_read(bulla_cbor_rd *r, struct bulla_auth *ret)
{
	bulla_cbor_rd at = *r;
	struct bulla_auth auth = {0};
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(&at, 4, &count));
	if (count != 1 && count != 4)
		return BULLA_FAIL(BULLA_E_FORMAT, "a record's signature has neither of its two forms");
	auth.batched = count == 4;
	BULLA_TRY(bulla_cbor_rd_copy(&at, sizeof(auth.signature), auth.signature));
	if (auth.batched)
		BULLA_TRY(read_place(&at, &auth));
	*r = at;
	*ret = auth;
	return BULLA_OK;
}

/* --- what is signed: RFC 9052 s4.4 --- */

static bulla_rc protected_header(const bulla_digest *kid, enum bulla_signed kind, uint8_t memory[COSE_HEADER_MAX],
	bulla_bytes *ret)
{
	struct cose_header header = {BULLA_ES256, bulla_bytes_str(content_types[kind]), bulla_bytes_digest(kid)};
	bulla_wr w = bulla_wr_fixed(memory, COSE_HEADER_MAX);

	bulla_cose_header_write(&w, &header);
	return bulla_wr_end(&w, ret);
}

/* Sig_structure up to the payload's bytes, into memory. */
static bulla_rc make_prefix(const bulla_digest *kid, enum bulla_signed kind, size_t payload,
	uint8_t memory[COSE_PREFIX_MAX], bulla_bytes *ret)
{
	uint8_t header_memory[COSE_HEADER_MAX];
	bulla_bytes header;

	BULLA_TRY(protected_header(kid, kind, header_memory, &header));
	return bulla_cose_prefix("Signature1", header, (bulla_bytes){NULL, 0}, payload, memory, ret);
}

static bulla_rc sign(struct bulla_sign_key *key, enum bulla_signed kind, bulla_bytes payload,
	uint8_t ret[BULLA_AUTH_SIGNATURE_BYTES])
{
	uint8_t memory[COSE_PREFIX_MAX];
	bulla_bytes prefix;

	if (bulla_sign_key_alg(key) != BULLA_ES256)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "records are signed with ES256");
	BULLA_TRY(make_prefix(bulla_sign_key_kid(key), kind, payload.n, memory, &prefix));
	return bulla_sign_parts(key, (bulla_bytes[]){prefix, payload}, 2, ret);
}

static bulla_rc verify(struct bulla_verify_key *key, enum bulla_signed kind, bulla_bytes payload,
	const uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES])
{
	uint8_t memory[COSE_PREFIX_MAX];
	bulla_bytes prefix;

	BULLA_TRY(make_prefix(bulla_verify_key_kid(key), kind, payload.n, memory, &prefix));
	return bulla_verify_parts(key, BULLA_ES256, (bulla_bytes[]){prefix, payload}, 2,
		bulla_bytes_of(signature, BULLA_AUTH_SIGNATURE_BYTES));
}

bulla_rc bulla_auth_sign(struct bulla_sign_key *key, enum bulla_signed kind, bulla_bytes payload,
	struct bulla_auth *ret)
{
	struct bulla_auth auth = {0};

	BULLA_TRY(sign(key, kind, payload, auth.signature));
	*ret = auth;
	return BULLA_OK;
}

bulla_rc bulla_auth_verify(const struct bulla_auth *auth, struct bulla_verify_key *key, enum bulla_signed single,
	bulla_bytes payload)
{
	bulla_digest digest, root;

	if (!auth->batched)
		return verify(key, single, payload, auth->signature);
	bulla_sha256(payload, &digest);
	BULLA_TRY(bulla_auth_root(auth, &digest, &root));
	return bulla_batch_verify(key, single + 1, &root, auth->signature);
}

bulla_rc bulla_auth_write_sign1(bulla_wr *w, const struct bulla_auth *auth, const bulla_digest *kid,
	enum bulla_signed kind, bulla_bytes payload)
{
	uint8_t memory[COSE_HEADER_MAX];
	bulla_bytes header;

	BULLA_TRY(protected_header(kid, kind, memory, &header));
	bulla_cbor_wr_array(w, 4);
	bulla_cbor_wr_bytes(w, header);
	bulla_cbor_wr_map(w, 0);
	bulla_cbor_wr_bytes(w, payload);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(auth->signature));
	return w->rc;
}

/* --- batches --- */

bulla_rc bulla_auth_root(const struct bulla_auth *auth, const bulla_digest *payload, bulla_digest *ret_root)
{
	bulla_digest leaf, tree_hash;

	if (!auth->batched)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a lone signature has no batch");
	bulla_merkle_leaf(bulla_bytes_digest(payload), &leaf);
	BULLA_TRY(bulla_merkle_fold(&leaf, auth->index, auth->count, auth->path, &tree_hash));
	bulla_merkle_root_of(auth->count, &tree_hash, ret_root);
	return BULLA_OK;
}

static bulla_bytes batch_payload(const bulla_digest *root, uint8_t memory[BATCH_PAYLOAD_BYTES])
{
	bulla_wr w = bulla_wr_fixed(memory, BATCH_PAYLOAD_BYTES);

	bulla_cbor_wr_array(&w, 2);
	bulla_cbor_wr_uint(&w, BATCH_VERSION);
	bulla_cbor_wr_digest(&w, root);
	return bulla_bytes_of(memory, w.n);
}

bulla_rc bulla_batch_verify(struct bulla_verify_key *key, enum bulla_signed kind, const bulla_digest *root,
	const uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES])
{
	uint8_t memory[BATCH_PAYLOAD_BYTES];

	return verify(key, kind, batch_payload(root, memory), signature);
}

struct bulla_batch {
	uint32_t max, count;
	bool signed_now;
	uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES];
	bulla_digest path[BULLA_BATCH_LEVELS];
	bulla_digest *nodes; /* 2 * max + BULLA_MERKLE_LEVELS; the first ones are the leaves */
};

bulla_rc bulla_batch_new(uint32_t max, struct bulla_batch **ret)
{
	struct bulla_batch *batch;
	void *memory, *nodes;

	if (max == 0 || max > BULLA_BATCH_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a batch has 1 to 4096 places");
	BULLA_TRY(bulla_alloc(2 * (size_t)max + BULLA_MERKLE_LEVELS, sizeof(bulla_digest), &nodes));
	if (bulla_alloc(1, sizeof(*batch), &memory) != BULLA_OK) {
		bulla_free(nodes);
		return BULLA_FAIL(BULLA_E_MEMORY, "no memory for a batch");
	}
	batch = memory;
	batch->max = max;
	batch->nodes = nodes;
	*ret = batch;
	return BULLA_OK;
}

struct bulla_batch *bulla_batch_free(struct bulla_batch *batch)
{
	if (batch != NULL)
		bulla_free(batch->nodes);
	bulla_free(batch);
	return NULL;
}

void bulla_batch_clear(struct bulla_batch *batch)
{
	batch->count = 0;
	batch->signed_now = false;
}

uint32_t bulla_batch_count(const struct bulla_batch *batch)
{
	return batch->count;
}

bulla_rc bulla_batch_add(struct bulla_batch *batch, const bulla_digest *payload, uint32_t *ret_index)
{
	if (batch->signed_now)
		return BULLA_FAIL(BULLA_E_STATE, "the batch is signed already");
	if (batch->count == batch->max)
		return BULLA_FAIL(BULLA_E_LIMIT, "the batch is full");
	bulla_merkle_leaf(bulla_bytes_digest(payload), &batch->nodes[batch->count]);
	*ret_index = batch->count++;
	return BULLA_OK;
}

bulla_rc bulla_batch_sign(struct bulla_batch *batch, struct bulla_sign_key *key, enum bulla_signed kind)
{
	uint8_t memory[BATCH_PAYLOAD_BYTES];
	bulla_digest tree_hash, root;

	if (batch->count == 0 || batch->signed_now)
		return BULLA_FAIL(BULLA_E_STATE, "the batch is empty or signed already");
	bulla_merkle_batch(batch->nodes, batch->count, batch->nodes, &tree_hash);
	bulla_merkle_root_of(batch->count, &tree_hash, &root);
	BULLA_TRY(sign(key, kind, batch_payload(&root, memory), batch->signature));
	batch->signed_now = true;
	return BULLA_OK;
}

bulla_rc bulla_batch_auth(struct bulla_batch *batch, uint32_t index, struct bulla_auth *ret)
{
	struct bulla_auth auth = {.batched = true, .index = index, .count = batch->count};
	size_t size;

	if (!batch->signed_now || index >= batch->count)
		return BULLA_FAIL(BULLA_E_STATE, "the batch is not signed, or has no such place");
	bulla_merkle_batch_path(batch->nodes, batch->count, index, batch->path, &size);
	bulla_copy(auth.signature, batch->signature, sizeof(auth.signature));
	auth.path = bulla_bytes_of(batch->path, size * sizeof(bulla_digest));
	*ret = auth;
	return BULLA_OK;
}
