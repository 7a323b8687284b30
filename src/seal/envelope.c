#include "seal/envelope.h"

#include "base/wr.h"
#include "seal/internal.h"

#define HEADER_MAX (640 + BULLA_MAX_READERS * 70)

bool bulla_envelope_is_covered(bool strict, enum bulla_recipient reader, bool sealed_by_party, enum bulla_envelope_kind kind)
{
	return strict && reader != BULLA_TO_PARTY && (!sealed_by_party || kind == BULLA_ENVELOPE_INPUT);
}

bulla_rc bulla_envelope_context(const struct bulla_position *position, const bulla_digest *digest,
	uint8_t memory[BULLA_ENVELOPE_CONTEXT], bulla_bytes *ret)
{
	bulla_wr w = bulla_wr_fixed(memory, BULLA_ENVELOPE_CONTEXT);

	bulla_cbor_wr_array(&w, 2);
	bulla_position_write(&w, position);
	bulla_cbor_wr_digest(&w, digest);
	return bulla_wr_end(&w, ret);
}

bulla_rc bulla_envelope_kek(bulla_secret secret, bulla_secret run_secret, const struct bulla_position *position,
	bulla_bytes core, bulla_secret *ret)
{
	uint8_t memory[BULLA_ENVELOPE_CONTEXT];
	bulla_bytes context;
	bulla_digest digest;

	bulla_sha256(core, &digest);
	BULLA_TRY(bulla_envelope_context(position, &digest, memory, &context));
	return bulla_kdf2(secret, run_secret, BULLA_LABEL_WRAP, context, ret);
}

/* --- sealing --- */

static void write_core(bulla_wr *w, const struct bulla_envelope_spec *spec, const bulla_digest *commitment,
	uint32_t class_size)
{
	bulla_cbor_wr_array(w, 8);
	bulla_cbor_wr_uint(w, BULLA_ENVELOPE_VERSION);
	bulla_cbor_wr_uint(w, BULLA_ENVELOPE_ALG);
	bulla_position_write(w, &spec->position);
	bulla_cbor_wr_uint(w, spec->kind);
	bulla_cbor_wr_raw(w, spec->path);
	bulla_cbor_wr_digest(w, &spec->producer);
	bulla_cbor_wr_digest(w, commitment);
	bulla_cbor_wr_uint(w, class_size);
}

static bulla_rc write_reader(bulla_wr *w, const struct bulla_envelope_spec *spec, const struct bulla_envelope_reader *reader,
	bulla_bytes core, bulla_secret content_key)
{
	BULLA_AUTO_SECRET kek = BULLA_SECRET_NONE;
	uint8_t wrapped[BULLA_WRAPPED_SIZE];

	BULLA_TRY(bulla_envelope_kek(reader->secret, reader->run_secret, &spec->position, core, &kek));
	BULLA_TRY(bulla_key_wrap(kek, content_key, wrapped));
	bulla_cbor_wr_array(w, 2);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(reader->link.b));
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(wrapped));
	return BULLA_OK;
}

/* Content keys differ even between clones of an enclave: the padded bytes begin with a fresh salt (protocol.md section 2). */
static bulla_rc make_content_key(const struct bulla_envelope_spec *spec, const bulla_digest *commitment, bulla_secret *ret)
{
	BULLA_AUTO_SECRET fresh = BULLA_SECRET_NONE;
	uint8_t memory[BULLA_ENVELOPE_CONTEXT];
	bulla_bytes context;

	BULLA_TRY(bulla_random_secret(spec->random, BULLA_KEY_SIZE, &fresh));
	BULLA_TRY(bulla_envelope_context(&spec->position, commitment, memory, &context));
	return bulla_kdf2(fresh, spec->instance, BULLA_LABEL_CONTENT, context, ret);
}

static bulla_rc check_spec(const struct bulla_envelope_spec *spec)
{
	bulla_cbor_rd path = bulla_cbor_rd_of(spec->path);
	bulla_bytes whole_path;

	if (spec->reader_count == 0 || (spec->kind == BULLA_ENVELOPE_STATE && spec->reader_count != 1))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an envelope has readers, and state has one");
	if (spec->reader_count > BULLA_MAX_READERS)
		return BULLA_FAIL(BULLA_E_LIMIT, "an envelope has too many readers");
	if (spec->instance.slot == 0 || bulla_secret_view(spec->salt).n != BULLA_ENVELOPE_SALT)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an envelope needs an instance secret and a salt of 32 bytes");
	for (size_t i = 0; i < spec->reader_count; i++)
		for (size_t k = 0; k < i; k++)
			if (bulla_link_id_eq(&spec->readers[i].link, &spec->readers[k].link))
				return BULLA_FAIL(BULLA_E_DUPLICATE, "an envelope names a link twice");
	BULLA_TRY(bulla_path_read(&path, &whole_path));
	return bulla_cbor_rd_end(&path);
}

/* header = [core, [reader...]] */
static bulla_rc write_header(const struct bulla_envelope_spec *spec, bulla_secret content_key, const bulla_digest *commitment,
	uint32_t class_size, bulla_wr *w, bulla_bytes *ret_core)
{
	bulla_bytes written;
	size_t core_at;

	bulla_cbor_wr_array(w, 2);
	core_at = w->n;
	write_core(w, spec, commitment, class_size);
	BULLA_TRY(bulla_wr_end(w, &written));
	*ret_core = bulla_bytes_of(written.p + core_at, written.n - core_at);
	bulla_cbor_wr_array(w, spec->reader_count);
	for (size_t i = 0; i < spec->reader_count; i++)
		BULLA_TRY(write_reader(w, spec, &spec->readers[i], *ret_core, content_key));
	return BULLA_OK;
}

/* Appends [h'header', {}, h'ciphertext']: the payload is padded where it will lie and encrypted in place. */
static bulla_rc write_envelope(const struct bulla_envelope_spec *spec, bulla_bytes payload, uint32_t class_size,
	bulla_bytes header, bulla_bytes core, bulla_secret content_key, struct bulla_buf *ret)
{
	size_t size = bulla_padding_size(payload.n, class_size);
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes written;
	uint8_t *at;

	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_bytes(&w, header);
	bulla_cbor_wr_map(&w, 0);
	bulla_cbor_wr_bytes_head(&w, size + BULLA_AEAD_TAG_SIZE);
	BULLA_TRY(bulla_wr_end(&w, &written));
	BULLA_TRY(bulla_buf_reserve(ret, size + BULLA_AEAD_TAG_SIZE));
	at = ret->p + ret->n;
	bulla_padding_write(bulla_secret_view(spec->salt), payload, class_size, at);
	BULLA_TRY(bulla_aead_seal(content_key, bulla_aead_nonce_zero, core, bulla_bytes_of(at, size), at));
	ret->n += size + BULLA_AEAD_TAG_SIZE;
	return BULLA_OK;
}

bulla_rc bulla_envelope_seal(const struct bulla_envelope_spec *spec, bulla_bytes payload, struct bulla_buf *ret,
	bulla_digest *ret_digest, bulla_digest *ret_commitment)
{
	BULLA_AUTO_SECRET content_key = BULLA_SECRET_NONE;
	uint8_t memory[HEADER_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes core, header;
	bulla_digest commitment;
	uint32_t class_size;
	size_t before = ret->n;
	bulla_rc rc;

	BULLA_TRY(check_spec(spec));
	BULLA_TRY(bulla_padding_class(spec->padding, payload.n, &class_size));
	bulla_padding_digest(bulla_secret_view(spec->salt), payload, class_size, &commitment);
	BULLA_TRY(make_content_key(spec, &commitment, &content_key));
	BULLA_TRY(write_header(spec, content_key, &commitment, class_size, &w, &core));
	BULLA_TRY(bulla_wr_end(&w, &header));
	rc = write_envelope(spec, payload, class_size, header, core, content_key, ret);
	if (rc != BULLA_OK) {
		ret->n = before;
		return rc;
	}
	bulla_sha256(header, ret_digest);
	*ret_commitment = commitment;
	return BULLA_OK;
}

bulla_rc bulla_envelope_strip(const struct bulla_envelope *envelope, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_bytes written;

	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_bytes(&w, envelope->header);
	bulla_cbor_wr_map(&w, 0);
	bulla_cbor_wr_bytes(&w, (bulla_bytes){NULL, 0});
	return bulla_wr_end(&w, &written);
}
