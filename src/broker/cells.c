#include "broker/cells.h"

#include "base/mem.h"
#include "base/rd.h"
#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "wire/cbor.h"

#define SALT 32
#define FILE_KIND 64 /* kinds of cells are below */
#define FILE_BYTES_MAX 4096

struct bulla_cells {
	const struct bulla_disk *disk;
	const struct bulla_random *random;
	bulla_secret root;
	int file;
	uint32_t count; /* cells in the file, free ones included */
	uint32_t low;   /* no cell below is free */
	uint32_t runs;  /* live cells of runs */
	struct bulla_cell *live; /* kind 0: free */
};

static bulla_rc cell_key(bulla_secret root, const struct bulla_cell *cell, const uint8_t salt[SALT], bulla_secret *ret)
{
	uint8_t memory[128];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes context;

	bulla_cbor_wr_array(&w, 4);
	bulla_cbor_wr_uint(&w, cell->kind);
	bulla_cbor_wr_bytes(&w, bulla_bytes_digest(&cell->id));
	bulla_cbor_wr_bytes(&w, bulla_bytes_of(salt, SALT));
	bulla_cbor_wr_uint(&w, cell->aux);
	BULLA_TRY(bulla_wr_end(&w, &context));
	return bulla_kdf(root, BULLA_LABEL_STORE, context, ret);
}

static bulla_rc read_cell(struct bulla_cells *cells, bulla_bytes bytes, struct bulla_cell *ret, bulla_secret *ret_secret)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	bulla_rd r = bulla_rd_of(bytes);
	bulla_bytes magic, wrapped;
	uint8_t salt[SALT];

	BULLA_TRY(bulla_rd_bytes(&r, 4, &magic));
	if (!bulla_bytes_eq(magic, BULLA_BYTES_LITERAL("BCL1")))
		return BULLA_FAIL(BULLA_E_CORRUPT, "a cell of secrets is damaged");
	BULLA_TRY(bulla_rd_u8(&r, &ret->kind));
	BULLA_TRY(bulla_rd_skip(&r, 3));
	BULLA_TRY(bulla_rd_u64be(&r, &ret->aux));
	BULLA_TRY(bulla_rd_digest(&r, &ret->id));
	BULLA_TRY(bulla_rd_copy(&r, SALT, salt));
	BULLA_TRY(bulla_rd_bytes(&r, BULLA_WRAPPED_SIZE, &wrapped));
	BULLA_TRY(cell_key(cells->root, ret, salt, &key));
	if (bulla_key_unwrap(key, wrapped, ret_secret) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a cell of secrets does not open: another root key, or damage");
	return BULLA_OK;
}

static bulla_rc show_cell(struct bulla_cells *cells, uint32_t index, bulla_cells_each each, void *arg)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	uint8_t bytes[BULLA_CELL_BYTES];
	size_t got = 0;

	BULLA_TRY(cells->disk->pread(cells->disk->ctx, cells->file, (uint64_t)index * BULLA_CELL_BYTES, bytes, sizeof(bytes),
		&got));
	if (got != sizeof(bytes) || bulla_bytes_is_zero_ct(BULLA_BYTES_ARRAY(bytes)))
		return BULLA_OK; /* erased, or a torn end that was never confirmed */
	BULLA_TRY(read_cell(cells, BULLA_BYTES_ARRAY(bytes), &cells->live[index], &secret));
	cells->runs += cells->live[index].kind == BULLA_CELL_RUN ? 1 : 0;
	return each(arg, &cells->live[index], &secret);
}

static bulla_rc read_root(struct bulla_cells *cells)
{
	const struct bulla_disk *disk = cells->disk;
	uint8_t bytes[32];
	size_t got = 0;
	uint64_t size = 0;
	int file = -1;
	bulla_rc rc;

	BULLA_TRY(disk->open(disk->ctx, "root.key", true, &file));
	rc = disk->size(disk->ctx, file, &size);
	if (rc == BULLA_OK && size == 0) {
		rc = bulla_random_fill(cells->random, bytes, sizeof(bytes));
		if (rc == BULLA_OK)
			rc = disk->pwrite(disk->ctx, file, 0, BULLA_BYTES_ARRAY(bytes), true);
		if (rc == BULLA_OK)
			rc = disk->sync_folder(disk->ctx);
	}
	if (rc == BULLA_OK)
		rc = disk->pread(disk->ctx, file, 0, bytes, sizeof(bytes), &got);
	disk->close(disk->ctx, file);
	if (rc == BULLA_OK && got != sizeof(bytes))
		rc = BULLA_FAIL(BULLA_E_CORRUPT, "the root key's file is too short");
	if (rc == BULLA_OK)
		rc = bulla_secret_new(BULLA_BYTES_ARRAY(bytes), &cells->root);
	bulla_wipe(bytes, sizeof(bytes));
	return rc;
}

static bulla_rc load(struct bulla_cells *cells, bulla_cells_each each, void *arg)
{
	void *live = NULL;
	uint64_t size = 0;

	BULLA_TRY(bulla_alloc(BULLA_CELLS_MAX, sizeof(struct bulla_cell), &live));
	cells->live = (struct bulla_cell *)live;
	BULLA_TRY(read_root(cells));
	BULLA_TRY(cells->disk->open(cells->disk->ctx, "secrets", true, &cells->file));
	BULLA_TRY(cells->disk->size(cells->disk->ctx, cells->file, &size));
	if (size / BULLA_CELL_BYTES > BULLA_CELLS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the file of secrets is too long");
	cells->count = (uint32_t)(size / BULLA_CELL_BYTES);
	for (uint32_t i = 0; i < cells->count; i++)
		BULLA_TRY(show_cell(cells, i, each, arg));
	return cells->disk->sync_folder(cells->disk->ctx);
}

bulla_rc bulla_cells_open(const struct bulla_disk *disk, const struct bulla_random *random, bulla_cells_each each,
	void *arg, struct bulla_cells **ret)
{
	struct bulla_cells *cells;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*cells), &p));
	cells = (struct bulla_cells *)p;
	cells->disk = disk;
	cells->random = random;
	cells->file = -1;
	rc = load(cells, each, arg);
	if (rc != BULLA_OK) {
		bulla_cells_close(cells);
		return rc;
	}
	*ret = cells;
	return BULLA_OK;
}

struct bulla_cells *bulla_cells_close(struct bulla_cells *cells)
{
	if (cells == NULL)
		return NULL;
	if (cells->file >= 0)
		cells->disk->close(cells->disk->ctx, cells->file);
	bulla_secret_free(&cells->root);
	bulla_free(cells->live);
	bulla_free(cells);
	return NULL;
}

static uint32_t free_cell(struct bulla_cells *cells)
{
	while (cells->low < cells->count && cells->live[cells->low].kind != 0)
		cells->low++;
	return cells->low;
}

static bulla_rc put(struct bulla_cells *cells, const struct bulla_cell *cell, bulla_secret secret, bool durable)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t bytes[BULLA_CELL_BYTES], salt[SALT], wrapped[BULLA_WRAPPED_SIZE];
	bulla_wr w = bulla_wr_fixed(bytes, sizeof(bytes));
	uint32_t index = free_cell(cells);
	bulla_bytes view;

	if (index == BULLA_CELLS_MAX || (cell->kind == BULLA_CELL_RUN && cells->runs == BULLA_CELLS_RUNS))
		return BULLA_FAIL(BULLA_E_LIMIT, "no cell for a secret is free");
	BULLA_TRY(bulla_random_fill(cells->random, salt, sizeof(salt)));
	BULLA_TRY(cell_key(cells->root, cell, salt, &key));
	BULLA_TRY(bulla_key_wrap(key, secret, wrapped));
	bulla_wr_bytes(&w, BULLA_BYTES_LITERAL("BCL1"));
	bulla_wr_u8(&w, cell->kind);
	bulla_wr_zeros(&w, 3);
	bulla_wr_u64be(&w, cell->aux);
	bulla_wr_digest(&w, &cell->id);
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(salt));
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(wrapped));
	bulla_wr_zeros(&w, sizeof(bytes) - w.n);
	BULLA_TRY(bulla_wr_end(&w, &view));
	BULLA_TRY(cells->disk->pwrite(cells->disk->ctx, cells->file, (uint64_t)index * BULLA_CELL_BYTES, view, durable));
	cells->live[index] = *cell;
	cells->runs += cell->kind == BULLA_CELL_RUN ? 1 : 0;
	if (index == cells->count)
		cells->count++;
	return BULLA_OK;
}

bulla_rc bulla_cells_put(struct bulla_cells *cells, const struct bulla_cell *cell, bulla_secret secret)
{
	return put(cells, cell, secret, true);
}

bulla_rc bulla_cells_put_soon(struct bulla_cells *cells, const struct bulla_cell *cell, bulla_secret secret)
{
	return put(cells, cell, secret, false);
}

bulla_rc bulla_cells_sync(struct bulla_cells *cells)
{
	return cells->disk->sync(cells->disk->ctx, cells->file);
}

static bulla_rc erase_at(struct bulla_cells *cells, uint32_t index)
{
	static const uint8_t zeros[BULLA_CELL_BYTES];

	BULLA_TRY(cells->disk->pwrite(cells->disk->ctx, cells->file, (uint64_t)index * BULLA_CELL_BYTES,
		BULLA_BYTES_ARRAY(zeros), true));
	cells->runs -= cells->live[index].kind == BULLA_CELL_RUN ? 1 : 0;
	cells->live[index] = (struct bulla_cell){.kind = 0};
	cells->low = index < cells->low ? index : cells->low;
	return BULLA_OK;
}

bulla_rc bulla_cells_erase(struct bulla_cells *cells, uint8_t kind, const bulla_digest *id)
{
	for (uint32_t i = 0; i < cells->count; i++)
		if (cells->live[i].kind == kind && bulla_digest_eq(&cells->live[i].id, id))
			BULLA_TRY(erase_at(cells, i));
	return BULLA_OK;
}

bulla_rc bulla_cells_sweep(struct bulla_cells *cells, uint8_t kind, bool (*keep)(void *arg, const bulla_digest *id), void *arg)
{
	for (uint32_t i = 0; i < cells->count; i++)
		if (cells->live[i].kind == kind && !keep(arg, &cells->live[i].id))
			BULLA_TRY(erase_at(cells, i));
	return BULLA_OK;
}

/* File: salt 32 | AES-256-GCM text and tag, under a key derived from the salt and the name. */
static bulla_rc file_key(struct bulla_cells *cells, const char *name, const uint8_t salt[SALT], bulla_secret *ret)
{
	struct bulla_cell cell = {.kind = FILE_KIND};
	bulla_bytes text = bulla_bytes_str(name);

	if (text.n > sizeof(cell.id.b))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a private file's name is too long");
	bulla_copy(cell.id.b, text.p, text.n);
	return cell_key(cells->root, &cell, salt, ret);
}

bulla_rc bulla_cells_write_file(struct bulla_cells *cells, const char *name, bulla_bytes bytes)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t memory[SALT + FILE_BYTES_MAX + BULLA_AEAD_TAG_SIZE];
	const struct bulla_disk *disk = cells->disk;
	int file = -1;
	bulla_rc rc;

	if (bytes.n == 0 || bytes.n > FILE_BYTES_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a private file has 1 to 4096 bytes");
	BULLA_TRY(bulla_random_fill(cells->random, memory, SALT));
	BULLA_TRY(file_key(cells, name, memory, &key));
	BULLA_TRY(bulla_aead_seal(key, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, bytes, memory + SALT));
	BULLA_TRY(disk->open(disk->ctx, name, true, &file));
	rc = disk->pwrite(disk->ctx, file, 0, bulla_bytes_of(memory, SALT + bytes.n + BULLA_AEAD_TAG_SIZE), true);
	disk->close(disk->ctx, file);
	BULLA_TRY(rc);
	return disk->sync_folder(disk->ctx);
}

bulla_rc bulla_cells_read_file(struct bulla_cells *cells, const char *name, struct bulla_buf *ret)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t memory[SALT + FILE_BYTES_MAX + BULLA_AEAD_TAG_SIZE];
	const struct bulla_disk *disk = cells->disk;
	size_t got = 0, plain;
	int file = -1;
	bulla_rc rc;

	BULLA_TRY(disk->open(disk->ctx, name, false, &file));
	rc = disk->pread(disk->ctx, file, 0, memory, sizeof(memory), &got);
	disk->close(disk->ctx, file);
	BULLA_TRY(rc);
	if (got <= SALT + BULLA_AEAD_TAG_SIZE)
		return BULLA_E_NOT_FOUND; /* torn at first start: made again */
	plain = got - SALT - BULLA_AEAD_TAG_SIZE;
	BULLA_TRY(file_key(cells, name, memory, &key));
	BULLA_TRY(bulla_buf_reserve(ret, plain));
	if (bulla_aead_open(key, bulla_aead_nonce_zero, (bulla_bytes){NULL, 0}, bulla_bytes_of(memory + SALT, got - SALT),
		ret->p + ret->n) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_CORRUPT, "a private file does not open: another root key, or damage");
	ret->n += plain;
	return BULLA_OK;
}
