#include "broker/wrapping.h"

#include "base/mem.h"
#include "crypto/random.h"
#include "kms/api.h"
#include "wire/cbor.h"
#include "wire/text.h"

#define FILE_MAX 65536
#define POLICY_MAX 32768
#define DESCRIPTION_MAX 8192

static struct bulla_wrapping_key *key_free(struct bulla_wrapping_key *key)
{
	if (key == NULL)
		return NULL;
	bulla_secret_free(&key->material.secret);
	bulla_buf_done(&key->policy);
	bulla_buf_done(&key->description);
	bulla_free(key);
	return NULL;
}

static void key_cleanup(struct bulla_wrapping_key **key)
{
	key_free(*key);
}
#define AUTO_KEY __attribute__((cleanup(key_cleanup))) struct bulla_wrapping_key *

static bulla_rc key_new(struct bulla_wrapping_key **ret)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(struct bulla_wrapping_key), &p));
	*ret = (struct bulla_wrapping_key *)p;
	bulla_buf_init(&(*ret)->policy, POLICY_MAX);
	bulla_buf_init(&(*ret)->description, DESCRIPTION_MAX);
	return BULLA_OK;
}

static bulla_rc write_arn(struct bulla_wrapping_key *key)
{
	bulla_wr w = bulla_wr_fixed(key->arn, sizeof(key->arn));
	bulla_bytes text;

	bulla_text_wr(&w, "arn:aws:kms:" BULLA_WRAPPING_REGION ":" BULLA_WRAPPING_ACCOUNT ":key/");
	bulla_kms_uuid_write(&w, key->material.uuid);
	BULLA_TRY(bulla_wr_end(&w, &text));
	key->arn_size = text.n;
	return BULLA_OK;
}

/* File: CBOR [1, h'uuid', h'material id', created_ms, policy, description]. */
static bulla_rc encode(const struct bulla_wrapping_key *key, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;

	bulla_cbor_wr_array(&w, 6);
	bulla_cbor_wr_uint(&w, 1);
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(key->material.uuid));
	bulla_cbor_wr_bytes(&w, bulla_bytes_digest(&key->material.id));
	bulla_cbor_wr_uint(&w, (uint64_t)key->created_ms);
	bulla_cbor_wr_bytes(&w, bulla_buf_view(&key->policy));
	bulla_cbor_wr_bytes(&w, bulla_buf_view(&key->description));
	return bulla_wr_end(&w, &ignored);
}

static bulla_rc decode(bulla_bytes bytes, struct bulla_wrapping_key *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	uint64_t created;
	bulla_bytes view;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 6));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, 1));
	BULLA_TRY(bulla_cbor_rd_copy(&r, BULLA_KMS_UUID, ret->material.uuid));
	BULLA_TRY(bulla_cbor_rd_copy(&r, 32, ret->material.id.b));
	BULLA_TRY(bulla_cbor_rd_uint(&r, &created));
	ret->created_ms = (int64_t)created;
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, POLICY_MAX, &view));
	BULLA_TRY(bulla_buf_append(&ret->policy, view));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, DESCRIPTION_MAX, &view));
	BULLA_TRY(bulla_buf_append(&ret->description, view));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	return write_arn(ret);
}

static void file_name(const struct bulla_wrapping_key *key, const char *ending, char ret[48])
{
	bulla_wr w = bulla_wr_fixed((uint8_t *)ret, 47);

	bulla_zero(ret, 48);
	bulla_kms_uuid_write(&w, key->material.uuid);
	bulla_text_wr(&w, ending);
}

static bulla_rc save(struct bulla_wrapping *keys, const struct bulla_wrapping_key *key)
{
	const struct bulla_disk *disk = keys->disk;
	char name[48], temporary[48];
	BULLA_AUTO_BUF bytes;
	int file = -1;
	bulla_rc rc;

	bulla_buf_init(&bytes, FILE_MAX);
	BULLA_TRY(encode(key, &bytes));
	file_name(key, "", name);
	file_name(key, ".new", temporary);
	BULLA_TRY(disk->open(disk->ctx, temporary, true, &file));
	rc = disk->truncate(disk->ctx, file, 0);
	if (rc == BULLA_OK)
		rc = disk->pwrite(disk->ctx, file, 0, bulla_buf_view(&bytes), true);
	disk->close(disk->ctx, file);
	BULLA_TRY(rc);
	BULLA_TRY(disk->rename(disk->ctx, temporary, name));
	return disk->sync_folder(disk->ctx);
}

static bulla_rc read_one(void *arg, const char *name)
{
	struct bulla_wrapping *keys = (struct bulla_wrapping *)arg;
	const struct bulla_disk *disk = keys->disk;
	AUTO_KEY key = NULL;
	BULLA_AUTO_BUF bytes;
	size_t got = 0;
	int file = -1;
	bulla_rc rc;

	bulla_buf_init(&bytes, FILE_MAX);
	if (bulla_bytes_str(name).n != 36)
		return BULLA_OK; /* a temporary file of a crash */
	if (keys->count == BULLA_WRAPPING_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many wrapping keys");
	BULLA_TRY(bulla_buf_reserve(&bytes, FILE_MAX));
	BULLA_TRY(disk->open(disk->ctx, name, false, &file));
	rc = disk->pread(disk->ctx, file, 0, bytes.p, FILE_MAX, &got);
	disk->close(disk->ctx, file);
	BULLA_TRY(rc);
	BULLA_TRY(key_new(&key));
	BULLA_TRY(decode(bulla_bytes_of(bytes.p, got), key));
	keys->list[keys->count++] = bulla_take(&key);
	return BULLA_OK;
}

bulla_rc bulla_wrapping_open(struct bulla_wrapping *keys, const struct bulla_disk *disk)
{
	*keys = (struct bulla_wrapping){.disk = disk};
	return disk->list(disk->ctx, read_one, keys);
}

void bulla_wrapping_done(struct bulla_wrapping *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		key_free(keys->list[i]);
	keys->count = 0;
}

void bulla_wrapping_material(struct bulla_wrapping *keys, const struct bulla_cell *cell, bulla_secret *secret)
{
	for (size_t i = 0; i < keys->count; i++) {
		struct bulla_kms_material *material = &keys->list[i]->material;

		if (!bulla_digest_eq(&material->id, &cell->id) || material->secret.slot != 0)
			continue;
		material->secret = bulla_secret_take(secret);
		return;
	}
}

bulla_rc bulla_wrapping_create(struct bulla_wrapping *keys, struct bulla_cells *cells, const struct bulla_random *random,
	bulla_bytes policy, bulla_bytes description, int64_t now_ms,
	struct bulla_wrapping_key **ret)
{
	struct bulla_cell cell = {.kind = BULLA_CELL_MATERIAL};
	AUTO_KEY key = NULL;

	if (keys->count == BULLA_WRAPPING_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many wrapping keys");
	BULLA_TRY(key_new(&key));
	BULLA_TRY(bulla_buf_append(&key->policy, policy));
	BULLA_TRY(bulla_buf_append(&key->description, description));
	BULLA_TRY(bulla_random_fill(random, key->material.uuid, BULLA_KMS_UUID));
	key->material.uuid[6] = (uint8_t)((key->material.uuid[6] & 0x0f) | 0x40); /* RFC 9562 version 4 */
	key->material.uuid[8] = (uint8_t)((key->material.uuid[8] & 0x3f) | 0x80);
	BULLA_TRY(bulla_random_fill(random, key->material.id.b, sizeof(key->material.id.b)));
	BULLA_TRY(bulla_random_secret(random, 32, &key->material.secret));
	BULLA_TRY(write_arn(key));
	key->created_ms = now_ms;
	cell.id = key->material.id;
	BULLA_TRY(bulla_cells_put(cells, &cell, key->material.secret));
	BULLA_TRY(save(keys, key));
	*ret = keys->list[keys->count++] = bulla_take(&key);
	return BULLA_OK;
}

bulla_rc bulla_wrapping_find_uuid(struct bulla_wrapping *keys, const uint8_t uuid[BULLA_KMS_UUID],
	struct bulla_wrapping_key **ret)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (!bulla_bytes_eq(BULLA_BYTES_ARRAY(keys->list[i]->material.uuid), bulla_bytes_of(uuid, BULLA_KMS_UUID)))
			continue;
		if (keys->list[i]->material.secret.slot == 0)
			return BULLA_FAIL(BULLA_E_CORRUPT, "a wrapping key has lost its material");
		*ret = keys->list[i];
		return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such wrapping key");
}

bulla_rc bulla_wrapping_find(struct bulla_wrapping *keys, bulla_bytes id, struct bulla_wrapping_key **ret)
{
	uint8_t uuid[BULLA_KMS_UUID];
	bulla_bytes prefix = BULLA_BYTES_LITERAL("arn:aws:kms:" BULLA_WRAPPING_REGION ":" BULLA_WRAPPING_ACCOUNT ":key/");

	if (id.n == prefix.n + 36 && bulla_bytes_eq((bulla_bytes){id.p, prefix.n}, prefix))
		id = (bulla_bytes){id.p + prefix.n, 36};
	if (bulla_kms_uuid_read(id, uuid) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such wrapping key");
	return bulla_wrapping_find_uuid(keys, uuid, ret);
}

bulla_rc bulla_wrapping_put_policy(struct bulla_wrapping *keys, struct bulla_wrapping_key *key, bulla_bytes policy)
{
	BULLA_AUTO_BUF before;
	bulla_rc rc;

	bulla_buf_init(&before, POLICY_MAX);
	BULLA_TRY(bulla_buf_append(&before, bulla_buf_view(&key->policy)));
	bulla_buf_clear(&key->policy);
	rc = bulla_buf_append(&key->policy, policy);
	if (rc == BULLA_OK)
		rc = save(keys, key);
	if (rc == BULLA_OK)
		return BULLA_OK;
	bulla_buf_clear(&key->policy);
	BULLA_TRY(bulla_buf_append(&key->policy, bulla_buf_view(&before)));
	return rc;
}
