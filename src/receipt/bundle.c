#include "receipt/bundle.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "receipt/fixed.h"

/* Item: CBOR [kind, h'body']. Heads are at most 1 + 1 + 5 bytes for our kinds and sizes. */
enum { HEADER_ITEMS = 7, BUNDLE_VERSION = 1, HEADER_MAX = 128, HEAD_MAX = 7, TRAILER_MAX = 256 };
enum { READ_MAX = BULLA_BUNDLE_BODY_MAX + HEAD_MAX };

/* --- header --- */

static void header_write(bulla_wr *w, const struct bulla_bundle_header *header)
{
	bulla_cbor_wr_array(w, HEADER_ITEMS);
	bulla_cbor_wr_uint(w, BUNDLE_VERSION);
	bulla_cbor_wr_str(w, "bulla-bundle");
	bulla_cbor_wr_bytes(w, bulla_handle_view(&header->slot.tenant));
	bulla_cbor_wr_digest(w, &header->slot.workflow);
	bulla_cbor_wr_digest(w, &header->manifest);
	bulla_cbor_wr_bytes(w, bulla_run_id_view(&header->slot.run));
	bulla_cbor_wr_bool(w, header->headers_only);
}

bulla_rc bulla_bundle_header_decode(bulla_bytes body, struct bulla_bundle_header *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(body);
	struct bulla_bundle_header header = {0};

	BULLA_TRY(bulla_fixed_rd_version(&r, HEADER_ITEMS, BUNDLE_VERSION));
	BULLA_TRY(bulla_cbor_rd_expect_text(&r, "bulla-bundle"));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(header.slot.tenant.b), header.slot.tenant.b));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &header.slot.workflow));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &header.manifest));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(header.slot.run.b), header.slot.run.b));
	BULLA_TRY(bulla_cbor_rd_bool(&r, &header.headers_only));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = header;
	return BULLA_OK;
}

/* --- writer --- */

struct bulla_bundle_writer {
	struct bulla_sha256 hash; /* of all bytes so far */
	uint64_t counts[BULLA_BUNDLE_TRAILER];
	bool finished;
};

static void put_item(bulla_wr *w, enum bulla_bundle_kind kind, bulla_bytes body, struct bulla_sha256 *hash)
{
	uint8_t memory[HEAD_MAX];
	bulla_wr head = bulla_wr_fixed(memory, sizeof(memory));

	bulla_cbor_wr_array(&head, 2);
	bulla_cbor_wr_uint(&head, kind);
	bulla_cbor_wr_bytes_head(&head, body.n);
	bulla_wr_bytes(w, bulla_bytes_of(memory, head.n));
	bulla_wr_bytes(w, body);
	if (hash == NULL)
		return;
	bulla_sha256_add(hash, bulla_bytes_of(memory, head.n));
	bulla_sha256_add(hash, body);
}

bulla_rc bulla_bundle_writer_new(const struct bulla_bundle_header *header, bulla_wr *w, struct bulla_bundle_writer **ret)
{
	struct bulla_bundle_writer *writer;
	uint8_t memory[HEADER_MAX];
	bulla_wr h = bulla_wr_fixed(memory, sizeof(memory));
	void *allocated;

	BULLA_TRY(bulla_alloc(1, sizeof(*writer), &allocated));
	writer = allocated;
	bulla_sha256_init(&writer->hash);
	header_write(&h, header);
	put_item(w, BULLA_BUNDLE_HEADER, bulla_bytes_of(memory, h.n), &writer->hash);
	writer->counts[BULLA_BUNDLE_HEADER] = 1;
	*ret = writer;
	return BULLA_OK;
}

struct bulla_bundle_writer *bulla_bundle_writer_free(struct bulla_bundle_writer *writer)
{
	bulla_free(writer);
	return NULL;
}

bulla_rc bulla_bundle_put(struct bulla_bundle_writer *writer, enum bulla_bundle_kind kind, bulla_bytes body, bulla_wr *w)
{
	if (writer->finished)
		return BULLA_FAIL(BULLA_E_STATE, "the bundle has its trailer already");
	if (kind <= BULLA_BUNDLE_HEADER || kind >= BULLA_BUNDLE_TRAILER)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "not a kind of bundle item that is put");
	if (body.n > BULLA_BUNDLE_BODY_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a bundle item is too large");
	put_item(w, kind, body, &writer->hash);
	writer->counts[kind]++;
	return BULLA_OK;
}

static void trailer_write(bulla_wr *w, const uint64_t counts[BULLA_BUNDLE_TRAILER], const bulla_digest *digest)
{
	bulla_cbor_wr_array(w, 3);
	bulla_cbor_wr_uint(w, BUNDLE_VERSION);
	bulla_cbor_wr_array(w, BULLA_BUNDLE_TRAILER);
	for (unsigned kind = 0; kind < BULLA_BUNDLE_TRAILER; kind++)
		bulla_cbor_wr_uint(w, counts[kind]);
	bulla_cbor_wr_digest(w, digest);
}

bulla_rc bulla_bundle_finish(struct bulla_bundle_writer *writer, bulla_wr *w)
{
	uint8_t memory[TRAILER_MAX];
	bulla_wr t = bulla_wr_fixed(memory, sizeof(memory));
	bulla_digest digest;
	bulla_bytes trailer;

	if (writer->finished)
		return BULLA_FAIL(BULLA_E_STATE, "the bundle has its trailer already");
	bulla_sha256_end(&writer->hash, &digest);
	trailer_write(&t, writer->counts, &digest);
	BULLA_TRY(bulla_wr_end(&t, &trailer));
	put_item(w, BULLA_BUNDLE_TRAILER, trailer, NULL);
	writer->finished = true;
	return BULLA_OK;
}

/* --- reader --- */

struct bulla_bundle_reader {
	struct bulla_buf buf;
	size_t taken;             /* bytes of buf that belong to items already given out */
	struct bulla_sha256 hash; /* of all items before the one to come */
	uint64_t counts[BULLA_BUNDLE_TRAILER];
	bool ended, bad;
};

bulla_rc bulla_bundle_reader_new(struct bulla_bundle_reader **ret)
{
	struct bulla_bundle_reader *reader;
	void *allocated;

	BULLA_TRY(bulla_alloc(1, sizeof(*reader), &allocated));
	reader = allocated;
	bulla_buf_init(&reader->buf, 2 * READ_MAX);
	bulla_sha256_init(&reader->hash);
	*ret = reader;
	return BULLA_OK;
}

struct bulla_bundle_reader *bulla_bundle_reader_free(struct bulla_bundle_reader *reader)
{
	if (reader != NULL)
		bulla_buf_done(&reader->buf);
	bulla_free(reader);
	return NULL;
}

bulla_rc bulla_bundle_feed(struct bulla_bundle_reader *reader, bulla_bytes bytes)
{
	bulla_buf_consume(&reader->buf, reader->taken);
	reader->taken = 0;
	if (bytes.n > reader->buf.max - reader->buf.n)
		return BULLA_FAIL(BULLA_E_STATE, "take the bundle's items before feeding more");
	return bulla_buf_append(&reader->buf, bytes);
}

static bulla_rc damaged(struct bulla_bundle_reader *reader)
{
	reader->bad = true;
	return BULLA_FAIL(BULLA_E_BUNDLE, "the bytes are not those of a bundle");
}

/* One whole item at the reader's place. BULLA_E_TRUNCATED: not there yet. */
static bulla_rc parse_item(bulla_bytes bytes, uint64_t *ret_kind, bulla_bytes *ret_body, size_t *ret_size)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	uint8_t head;

	BULLA_TRY(bulla_rd_u8(&r.rd, &head));
	if (head != 0x82) /* an array of two; its items need not be there yet */
		return BULLA_E_FORMAT;
	BULLA_TRY(bulla_cbor_rd_uint_max(&r, BULLA_BUNDLE_TRAILER, ret_kind));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_BUNDLE_BODY_MAX, ret_body));
	*ret_size = r.rd.at;
	return BULLA_OK;
}

static bulla_rc check_trailer(struct bulla_bundle_reader *reader, bulla_bytes body)
{
	uint8_t memory[TRAILER_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_digest digest;
	bulla_bytes expected;

	bulla_sha256_end(&reader->hash, &digest);
	trailer_write(&w, reader->counts, &digest);
	BULLA_TRY(bulla_wr_end(&w, &expected));
	if (!bulla_bytes_eq(expected, body))
		return damaged(reader);
	reader->ended = true;
	return BULLA_OK;
}

/* The header comes first and once. */
static bool kind_may_come(const struct bulla_bundle_reader *reader, uint64_t kind)
{
	return (kind == BULLA_BUNDLE_HEADER) == (reader->counts[BULLA_BUNDLE_HEADER] == 0);
}

static bulla_rc accept_item(struct bulla_bundle_reader *reader, uint64_t kind, bulla_bytes item, bulla_bytes body)
{
	if (!kind_may_come(reader, kind))
		return damaged(reader);
	if (kind == BULLA_BUNDLE_TRAILER)
		return check_trailer(reader, body);
	bulla_sha256_add(&reader->hash, item);
	reader->counts[kind]++;
	return BULLA_OK;
}

bulla_rc bulla_bundle_next(struct bulla_bundle_reader *reader, enum bulla_bundle_kind *ret_kind, bulla_bytes *ret_body)
{
	bulla_bytes left = {reader->buf.p + reader->taken, reader->buf.n - reader->taken}, body;
	uint64_t kind;
	size_t size;
	bulla_rc rc;

	if (reader->bad)
		return damaged(reader);
	if (reader->ended)
		return left.n > 0 ? damaged(reader) : BULLA_E_CLOSED;
	if (left.n == 0)
		return BULLA_E_AGAIN;
	rc = parse_item(left, &kind, &body, &size);
	if (rc == BULLA_E_TRUNCATED && left.n < READ_MAX)
		return BULLA_E_AGAIN;
	if (rc != BULLA_OK)
		return damaged(reader);
	BULLA_TRY(accept_item(reader, kind, (bulla_bytes){left.p, size}, body));
	reader->taken += size;
	*ret_kind = (enum bulla_bundle_kind)kind;
	*ret_body = body;
	return BULLA_OK;
}

bulla_rc bulla_bundle_ended(const struct bulla_bundle_reader *reader)
{
	if (reader->bad || !reader->ended || reader->buf.n != reader->taken)
		return BULLA_FAIL(BULLA_E_BUNDLE, "the bundle ends before its trailer");
	return BULLA_OK;
}
