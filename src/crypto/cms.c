#include "crypto/cms.h"

#include "crypto/hash.h"
#include "crypto/internal.h"
#include "crypto/random.h"
#include "wire/der.h"

#include <openssl/evp.h>

#define CEK_SIZE 32
#define BLOCK 16
#define PIECE_MAX 1000 /* AWS cuts long content into pieces of this size */
#define PLAIN_MAX 4096
#define INDEFINITE 0x80

/* OBJECT IDENTIFIERs with their heads, as they stand in the message. */
static const uint8_t oid_enveloped[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03};
static const uint8_t oid_data[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t oid_oaep[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07};
static const uint8_t oid_aes_256_cbc[] = {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a};
/* AlgorithmIdentifier of RSAES-OAEP with SHA-256 and MGF1-SHA-256, NULL parameters, no pSource. */
static const uint8_t oaep_sha256[] = {0x30, 0x3c, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07, 0x30,
	0x2f, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1,
	0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60,
	0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};

/* --- AES-256-CBC (RFC 3565), PKCS #7 padding --- */

static bool cbc(int encrypt, bulla_secret key, const uint8_t iv[BLOCK], bulla_bytes from, uint8_t *ret)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, last = 0;
	bool done = ctx != NULL &&
		EVP_CipherInit_ex(ctx, EVP_aes_256_cbc(), NULL, bulla_secret_view(key).p, iv, encrypt) == 1 &&
		EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 && EVP_CipherUpdate(ctx, ret, &n, from.p, (int)from.n) == 1 &&
		EVP_CipherFinal_ex(ctx, ret + n, &last) == 1 && (size_t)n == from.n;

	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return done;
}

/* Size without padding, 0 when the padding is wrong; looks at all of the last block in any case. */
static size_t unpadded(const uint8_t *plain, size_t size)
{
	unsigned pad = plain[size - 1];
	unsigned wrong = pad == 0 || pad > BLOCK;

	for (unsigned i = 0; i < BLOCK; i++)
		wrong |= (unsigned)(i < pad) & (unsigned)(plain[size - 1 - i] != pad);
	return wrong != 0 ? 0 : size - pad;
}

/* --- writing --- */

static void write_recipient(bulla_wr *w, const bulla_digest *key_id, const uint8_t wrapped[BULLA_RSA_SIZE])
{
	static const uint8_t head[] = {0x31, 0x82, 0x01, 0x6b, 0x30, 0x82, 0x01, 0x67, 0x02, 0x01, 0x02, 0x80, 0x20};

	bulla_wr_bytes(w, BULLA_BYTES_ARRAY(head));
	bulla_wr_digest(w, key_id);
	bulla_wr_bytes(w, BULLA_BYTES_ARRAY(oaep_sha256));
	bulla_der_wr(w, BULLA_DER_OCTET_STRING, bulla_bytes_of(wrapped, BULLA_RSA_SIZE));
}

static void write_content(bulla_wr *w, const uint8_t iv[BLOCK], bulla_bytes sealed)
{
	bulla_wr_u8(w, BULLA_DER_SEQUENCE);
	bulla_wr_u8(w, INDEFINITE);
	bulla_wr_bytes(w, BULLA_BYTES_ARRAY(oid_data));
	bulla_der_wr_head(w, BULLA_DER_SEQUENCE, sizeof(oid_aes_256_cbc) + 2 + BLOCK);
	bulla_wr_bytes(w, BULLA_BYTES_ARRAY(oid_aes_256_cbc));
	bulla_der_wr(w, BULLA_DER_OCTET_STRING, bulla_bytes_of(iv, BLOCK));
	bulla_wr_u8(w, BULLA_DER_EXPLICIT(0));
	bulla_wr_u8(w, INDEFINITE);
	for (size_t at = 0; at < sealed.n; at += PIECE_MAX)
		bulla_der_wr(w, BULLA_DER_OCTET_STRING,
			bulla_bytes_of(sealed.p + at, sealed.n - at < PIECE_MAX ? sealed.n - at : PIECE_MAX));
	bulla_wr_zeros(w, 10); /* five ends of contents */
}

/* RFC 5652 section 6, in the bytes that AWS KMS sends. */
static bulla_rc write_message(const bulla_digest *key_id, const uint8_t wrapped[BULLA_RSA_SIZE], const uint8_t iv[BLOCK],
	bulla_bytes sealed, struct bulla_buf *ret)
{
	static const uint8_t version[] = {0xa0, INDEFINITE, 0x30, INDEFINITE, 0x02, 0x01, 0x02};
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes written;

	bulla_wr_u8(&w, BULLA_DER_SEQUENCE);
	bulla_wr_u8(&w, INDEFINITE);
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(oid_enveloped));
	bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(version));
	write_recipient(&w, key_id, wrapped);
	write_content(&w, iv, sealed);
	return bulla_wr_end(&w, &written);
}

bulla_rc bulla_cms_seal(bulla_bytes spki, bulla_bytes plain, const struct bulla_random *random, struct bulla_buf *ret)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t wrapped[BULLA_RSA_SIZE], iv[BLOCK], padded[PLAIN_MAX + BLOCK], sealed[PLAIN_MAX + BLOCK];
	size_t size = (plain.n / BLOCK + 1) * BLOCK;
	bulla_digest key_id;
	bool done;

	if (plain.n == 0 || plain.n > PLAIN_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "only 1 to 4096 bytes are sealed for a recipient");
	BULLA_TRY(bulla_random_secret(random, CEK_SIZE, &key));
	BULLA_TRY(bulla_random_fill(random, iv, sizeof(iv)));
	BULLA_TRY(bulla_rsa_seal(spki, key, wrapped));
	bulla_sha256(spki, &key_id);
	bulla_copy(padded, plain.p, plain.n);
	for (size_t i = plain.n; i < size; i++)
		padded[i] = (uint8_t)(size - plain.n);
	done = cbc(1, key, iv, bulla_bytes_of(padded, size), sealed);
	bulla_wipe(padded, sizeof(padded));
	if (!done)
		return BULLA_FAIL(BULLA_E_CRYPTO, "AES-256-CBC failed to seal");
	return write_message(&key_id, wrapped, iv, bulla_bytes_of(sealed, size), ret);
}

/* --- reading: BER with definite and indefinite lengths --- */

struct frame {
	size_t end;
	bool indefinite;
};

static bulla_rc read_length(bulla_rd *r, struct frame *ret)
{
	uint8_t first, octet;
	size_t length = 0;

	BULLA_TRY(bulla_rd_u8(r, &first));
	ret->indefinite = first == INDEFINITE;
	if (first < INDEFINITE)
		length = first;
	else if (first > INDEFINITE + 2)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CMS length is longer than any message");
	for (unsigned i = first > INDEFINITE ? first - INDEFINITE : 0; i > 0; i--) {
		BULLA_TRY(bulla_rd_u8(r, &octet));
		length = length << 8 | octet;
	}
	if (length > bulla_rd_left(r))
		return BULLA_FAIL(BULLA_E_TRUNCATED, "a CMS message ends inside a field");
	ret->end = r->at + length;
	return BULLA_OK;
}

/* Steps into a constructed element of this tag; leave checks that all of it was read. */
static bulla_rc enter(bulla_rd *r, unsigned tag, struct frame *ret)
{
	uint8_t found;

	BULLA_TRY(bulla_rd_u8(r, &found));
	if (found != tag)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CMS message has another shape");
	return read_length(r, ret);
}

static bulla_rc leave(bulla_rd *r, const struct frame *frame)
{
	uint16_t end = 0;

	if (frame->indefinite)
		BULLA_TRY(bulla_rd_u16be(r, &end));
	else if (r->at != frame->end)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CMS element has another length than its parts");
	if (end != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CMS element has more parts than are read");
	return BULLA_OK;
}

static bool at_end(const bulla_rd *r, const struct frame *frame)
{
	return frame->indefinite ? bulla_der_next_is(r, 0) : r->at >= frame->end;
}

static bulla_rc expect(bulla_rd *r, bulla_bytes bytes)
{
	bulla_bytes found;

	BULLA_TRY(bulla_rd_bytes(r, bytes.n, &found));
	if (!bulla_bytes_eq(found, bytes))
		return BULLA_FAIL(BULLA_E_FORMAT, "a CMS message has another kind or algorithm");
	return BULLA_OK;
}

struct parts {
	bulla_bytes wrapped;
	bulla_bytes iv;
	uint8_t sealed[PLAIN_MAX + BLOCK];
	size_t sealed_size;
};

/* RecipientInfo: version 2 with a key id (AWS) or 0 with issuer and serial number (others). */
static bulla_rc read_recipient(bulla_rd *r, struct parts *parts)
{
	struct frame set, recipient;
	struct bulla_der rid;
	bulla_rd algorithm;
	uint64_t version;

	BULLA_TRY(enter(r, BULLA_DER_SET, &set));
	BULLA_TRY(enter(r, BULLA_DER_SEQUENCE, &recipient));
	BULLA_TRY(bulla_der_rd_uint(r, 2, &version));
	BULLA_TRY(bulla_der_rd(r, &rid));
	if (rid.tag != (version == 2 ? BULLA_DER_CONTEXT(0) : BULLA_DER_SEQUENCE))
		return BULLA_FAIL(BULLA_E_FORMAT, "a CMS recipient is named in another way");
	/* parameters other than ours fail at unwrapping, as everything else does */
	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_SEQUENCE, &algorithm));
	BULLA_TRY(expect(&algorithm, BULLA_BYTES_ARRAY(oid_oaep)));
	BULLA_TRY(bulla_der_rd_value(r, BULLA_DER_OCTET_STRING, &parts->wrapped));
	BULLA_TRY(leave(r, &recipient));
	return leave(r, &set);
}

static bulla_rc add_piece(struct parts *parts, bulla_bytes piece)
{
	if (piece.n > sizeof(parts->sealed) - parts->sealed_size)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CMS message holds more than is opened");
	bulla_copy(parts->sealed + parts->sealed_size, piece.p, piece.n);
	parts->sealed_size += piece.n;
	return BULLA_OK;
}

static bulla_rc read_pieces(bulla_rd *r, struct parts *parts)
{
	struct frame content;
	bulla_bytes piece;

	if (bulla_der_next_is(r, BULLA_DER_CONTEXT(0))) {
		BULLA_TRY(bulla_der_rd_value(r, BULLA_DER_CONTEXT(0), &piece));
		return add_piece(parts, piece);
	}
	BULLA_TRY(enter(r, BULLA_DER_EXPLICIT(0), &content));
	while (!at_end(r, &content)) {
		BULLA_TRY(bulla_der_rd_value(r, BULLA_DER_OCTET_STRING, &piece));
		BULLA_TRY(add_piece(parts, piece));
	}
	return leave(r, &content);
}

static bulla_rc read_content(bulla_rd *r, struct parts *parts)
{
	struct frame content;
	bulla_rd algorithm;

	BULLA_TRY(enter(r, BULLA_DER_SEQUENCE, &content));
	BULLA_TRY(expect(r, BULLA_BYTES_ARRAY(oid_data)));
	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_SEQUENCE, &algorithm));
	BULLA_TRY(expect(&algorithm, BULLA_BYTES_ARRAY(oid_aes_256_cbc)));
	BULLA_TRY(bulla_der_rd_value(&algorithm, BULLA_DER_OCTET_STRING, &parts->iv));
	BULLA_TRY(bulla_rd_end(&algorithm));
	BULLA_TRY(read_pieces(r, parts));
	BULLA_TRY(leave(r, &content));
	if (parts->iv.n != BLOCK || parts->sealed_size == 0 || parts->sealed_size % BLOCK != 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CMS message's content is not in whole blocks");
	return BULLA_OK;
}

static bulla_rc read_message(bulla_bytes message, struct parts *parts)
{
	bulla_rd r = bulla_rd_of(message);
	struct frame info, explicit_part, enveloped;
	uint64_t version;

	if (message.n > BULLA_CMS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a CMS message is too long");
	BULLA_TRY(enter(&r, BULLA_DER_SEQUENCE, &info));
	BULLA_TRY(expect(&r, BULLA_BYTES_ARRAY(oid_enveloped)));
	BULLA_TRY(enter(&r, BULLA_DER_EXPLICIT(0), &explicit_part));
	BULLA_TRY(enter(&r, BULLA_DER_SEQUENCE, &enveloped));
	BULLA_TRY(bulla_der_rd_uint(&r, 2, &version));
	BULLA_TRY(read_recipient(&r, parts));
	BULLA_TRY(read_content(&r, parts));
	BULLA_TRY(leave(&r, &enveloped));
	BULLA_TRY(leave(&r, &explicit_part));
	BULLA_TRY(leave(&r, &info));
	return bulla_rd_end(&r);
}

/* A key that does not unwrap is replaced by a random one, so that the rest runs the same and fails the same. */
static bulla_rc unwrap(struct bulla_rsa_key *key, bulla_bytes wrapped, bulla_secret *ret, bool *ret_good)
{
	BULLA_AUTO_SECRET found = BULLA_SECRET_NONE;
	bool good = bulla_rsa_open(key, wrapped, &found) == BULLA_OK && bulla_secret_view(found).n == CEK_SIZE;

	if (!good) {
		bulla_secret_free(&found);
		BULLA_TRY(bulla_random_secret(bulla_random_os(), CEK_SIZE, &found));
	}
	*ret = bulla_secret_take(&found);
	*ret_good = good;
	return BULLA_OK;
}

static bulla_rc open_parts(struct bulla_rsa_key *key, const struct parts *parts, struct bulla_buf *ret)
{
	BULLA_AUTO_SECRET content_key = BULLA_SECRET_NONE;
	uint8_t plain[PLAIN_MAX + BLOCK];
	bulla_rc rc = BULLA_E_CRYPTO;
	size_t size = 0;
	bool good;

	BULLA_TRY(unwrap(key, parts->wrapped, &content_key, &good));
	if (cbc(0, content_key, parts->iv.p, bulla_bytes_of(parts->sealed, parts->sealed_size), plain))
		size = unpadded(plain, parts->sealed_size);
	good = good && size > 0;
	if (good)
		rc = bulla_buf_append(ret, bulla_bytes_of(plain, size));
	bulla_wipe(plain, sizeof(plain));
	if (!good)
		return BULLA_FAIL(BULLA_E_CRYPTO, "a CMS message does not open");
	return rc;
}

bulla_rc bulla_cms_open(struct bulla_rsa_key *key, bulla_bytes message, struct bulla_buf *ret)
{
	struct parts parts = {.sealed_size = 0};

	BULLA_TRY(read_message(message, &parts));
	return open_parts(key, &parts, ret);
}
