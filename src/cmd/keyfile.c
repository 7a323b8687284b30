#include "cmd/keyfile.h"

#include "crypto/random.h"
#include "io/sys.h"
#include "wire/cbor.h"
#include "wire/text.h"

#include <unistd.h>

#define VERSION 1
#define PUBLIC_MAX 2048

static bulla_rc encode(const struct keyfile *key, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes ignored;
	BULLA_AUTO_BUF pkcs8;

	bulla_buf_init(&pkcs8, 512);
	BULLA_TRY(bulla_sign_key_export(key->sign, &pkcs8));
	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_uint(&w, VERSION);
	bulla_cbor_wr_bytes(&w, bulla_buf_view(&pkcs8));
	bulla_cbor_wr_bytes(&w, bulla_secret_view(key->receive));
	return bulla_wr_end(&w, &ignored);
}

static bulla_rc decode(bulla_bytes bytes, struct keyfile *key)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	bulla_bytes pkcs8, receive;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 3));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, VERSION));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, 512, &pkcs8));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_X25519_SIZE, &receive));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(bulla_sign_key_import(pkcs8, &key->sign));
	if (bulla_sign_key_alg(key->sign) != BULLA_ES256)
		return BULLA_FAIL(BULLA_E_FORMAT, "a person's signature key is a P-256 key");
	BULLA_TRY(bulla_secret_new(receive, &key->receive));
	return bulla_x25519_public(key->receive, key->receive_public);
}

void keyfile_done(struct keyfile *key)
{
	key->sign = bulla_sign_key_free(key->sign);
	bulla_secret_free(&key->receive);
}

static bulla_rc make(const char *path, struct keyfile *key)
{
	BULLA_AUTO_BUF bytes;

	bulla_buf_init(&bytes, KEYFILE_MAX);
	BULLA_TRY(bulla_sign_key_new(BULLA_ES256, &key->sign));
	BULLA_TRY(bulla_random_secret(bulla_random_os(), BULLA_X25519_SIZE, &key->receive));
	BULLA_TRY(bulla_x25519_public(key->receive, key->receive_public));
	BULLA_TRY(encode(key, &bytes));
	return bulla_sys_write_file(path, bulla_buf_view(&bytes), 0600);
}

bulla_rc keyfile_make(const char *path, struct keyfile *ret)
{
	struct keyfile key = {.sign = NULL};
	bulla_rc rc;

	if (access(path, F_OK) == 0)
		return BULLA_FAIL(BULLA_E_EXISTS, "there is a key of that name already");
	rc = make(path, &key);
	if (rc != BULLA_OK) {
		keyfile_done(&key);
		return rc;
	}
	*ret = key;
	return BULLA_OK;
}

bulla_rc keyfile_read(const char *path, struct keyfile *ret)
{
	struct keyfile key = {.sign = NULL};
	BULLA_AUTO_BUF bytes;
	bulla_rc rc;

	bulla_buf_init(&bytes, KEYFILE_MAX);
	rc = bulla_sys_read_file(path, &bytes);
	rc = rc == BULLA_OK ? decode(bulla_buf_view(&bytes), &key) : rc;
	if (rc != BULLA_OK) {
		keyfile_done(&key);
		return rc;
	}
	*ret = key;
	return BULLA_OK;
}

bulla_rc keyfile_public(const struct keyfile *key, struct bulla_buf *ret)
{
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory)), text = bulla_wr_buf(ret);
	bulla_bytes bytes;

	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_uint(&w, VERSION);
	bulla_cbor_wr_bytes(&w, bulla_sign_key_spki(key->sign));
	bulla_cbor_wr_bytes(&w, BULLA_BYTES_ARRAY(key->receive_public));
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	bulla_text_wr_base64url(&text, bytes);
	return bulla_wr_end(&text, &bytes);
}

bulla_rc public_key_parse(bulla_bytes text, struct bulla_buf *memory, struct public_key *ret)
{
	struct public_key key;
	size_t size = 0;

	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	BULLA_TRY(bulla_buf_reserve(memory, PUBLIC_MAX));
	BULLA_TRY(bulla_text_base64url(text, PUBLIC_MAX, memory->p + memory->n, &size));
	bulla_cbor_rd r = bulla_cbor_rd_of(bulla_bytes_of(memory->p + memory->n, size));
	memory->n += size;
	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 3));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, VERSION));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_SPKI_MAX, &key.spki));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, 1216, &key.hpke));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = key;
	return BULLA_OK;
}
