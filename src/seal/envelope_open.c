#include "seal/envelope.h"

#include "seal/internal.h"

/* --- reading --- */

static bulla_rc read_kind(bulla_cbor_rd *r, enum bulla_envelope_kind *ret)
{
	uint64_t kind;

	BULLA_TRY(bulla_cbor_rd_uint_max(r, BULLA_ENVELOPE_PRIVATE, &kind));
	if (kind < BULLA_ENVELOPE_INPUT)
		return BULLA_FAIL(BULLA_E_FORMAT, "an envelope is of no kind");
	*ret = (enum bulla_envelope_kind)kind;
	return BULLA_OK;
}

static bulla_rc read_core(struct bulla_envelope *envelope)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(envelope->core);
	uint64_t class_size;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 8));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, BULLA_ENVELOPE_VERSION));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, BULLA_ENVELOPE_ALG));
	BULLA_TRY(bulla_position_read(&r, &envelope->position));
	BULLA_TRY(read_kind(&r, &envelope->kind));
	BULLA_TRY(bulla_path_read(&r, &envelope->path));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &envelope->producer));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &envelope->commitment));
	BULLA_TRY(bulla_cbor_rd_uint_max(&r, BULLA_MAX_PAYLOAD, &class_size));
	envelope->padding = (uint32_t)class_size;
	return bulla_cbor_rd_end(&r);
}

static bulla_rc read_reader(bulla_cbor_rd *r, bulla_link_id *ret_link, bulla_bytes *ret_wrapped)
{
	BULLA_TRY(bulla_cbor_rd_expect_array(r, 2));
	BULLA_TRY(bulla_cbor_rd_copy(r, sizeof(ret_link->b), ret_link->b));
	BULLA_TRY(bulla_cbor_rd_bytes_max(r, BULLA_WRAPPED_SIZE, ret_wrapped));
	if (ret_wrapped->n != BULLA_WRAPPED_SIZE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a wrapped key has another size");
	return BULLA_OK;
}

static bulla_rc read_readers(struct bulla_envelope *envelope)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(envelope->readers);
	bulla_link_id link;
	bulla_bytes wrapped;

	BULLA_TRY(bulla_cbor_rd_array(&r, BULLA_MAX_READERS, &envelope->reader_count));
	for (size_t i = 0; i < envelope->reader_count; i++)
		BULLA_TRY(read_reader(&r, &link, &wrapped));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	if (envelope->reader_count == 0 || (envelope->kind == BULLA_ENVELOPE_STATE && envelope->reader_count != 1))
		return BULLA_FAIL(BULLA_E_FORMAT, "an envelope has a number of readers that its kind has not");
	return BULLA_OK;
}

static bulla_rc read_header(struct bulla_envelope *envelope)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(envelope->header);

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 2));
	BULLA_TRY(bulla_cbor_rd_skip(&r, &envelope->core));
	BULLA_TRY(bulla_cbor_rd_skip(&r, &envelope->readers));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(read_core(envelope));
	return read_readers(envelope);
}

static bulla_rc read_envelope(bulla_bytes bytes, struct bulla_envelope *envelope)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 3));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, &envelope->header));
	BULLA_TRY(bulla_cbor_rd_expect_map(&r, 0));
	BULLA_TRY(bulla_cbor_rd_bytes(&r, &envelope->ciphertext));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	return read_header(envelope);
}

/* The ciphertext's size follows from the class; without it, only the header was kept. */
static bool size_fits(const struct bulla_envelope *envelope)
{
	size_t least = BULLA_ENVELOPE_OVERHEAD + envelope->padding + BULLA_AEAD_TAG_SIZE;

	if (envelope->ciphertext.n == 0)
		return true;
	if (envelope->padding != 0)
		return envelope->ciphertext.n == least;
	return envelope->ciphertext.n >= least && envelope->ciphertext.n <= least + BULLA_MAX_PAYLOAD;
}

bulla_rc bulla_envelope_parse(bulla_bytes bytes, struct bulla_envelope *ret)
{
	struct bulla_envelope envelope = {.padding = 0};

	if (bytes.n > BULLA_ENVELOPE_MAX || read_envelope(bytes, &envelope) != BULLA_OK || !size_fits(&envelope))
		return BULLA_FAIL(BULLA_E_NOT_ENVELOPE, "the bytes are no envelope");
	bulla_sha256(envelope.header, &envelope.digest);
	*ret = envelope;
	return BULLA_OK;
}

bulla_rc bulla_envelope_reader_at(const struct bulla_envelope *envelope, size_t index, bulla_link_id *ret_link,
	bulla_bytes *ret_wrapped)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(envelope->readers);
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(&r, BULLA_MAX_READERS, &count));
	if (index >= count)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "an envelope has no such reader");
	for (size_t i = 0; i <= index; i++)
		BULLA_TRY(read_reader(&r, ret_link, ret_wrapped));
	return BULLA_OK;
}

/* --- checks, in the order of protocol.md section 7 --- */

static bulla_rc check_run(const struct bulla_slot *found, const struct bulla_slot *expected)
{
	if (BULLA_CHECK_ON(POSITION_TENANT) && !bulla_handle_eq(&found->tenant, &expected->tenant))
		return BULLA_FAIL(BULLA_E_POSITION_TENANT, "the envelope belongs to another tenant");
	if (BULLA_CHECK_ON(POSITION_WORKFLOW) && !bulla_digest_eq(&found->workflow, &expected->workflow))
		return BULLA_FAIL(BULLA_E_POSITION_WORKFLOW, "the envelope belongs to another workflow");
	if (BULLA_CHECK_ON(POSITION_RUN) && !bulla_run_id_eq(&found->run, &expected->run))
		return BULLA_FAIL(BULLA_E_POSITION_RUN, "the envelope belongs to another run");
	return BULLA_OK;
}

static bulla_rc check_place(const struct bulla_position *found, const struct bulla_position *expected)
{
	if (BULLA_CHECK_ON(POSITION_STEP) && found->slot.step != expected->slot.step)
		return BULLA_FAIL(BULLA_E_POSITION_STEP, "the envelope belongs to another step");
	if (BULLA_CHECK_ON(POSITION_ITEM) && found->slot.item != expected->slot.item)
		return BULLA_FAIL(BULLA_E_POSITION_ITEM, "the envelope belongs to another item");
	if (BULLA_CHECK_ON(POSITION_ATTEMPT) && found->attempt != expected->attempt)
		return BULLA_FAIL(BULLA_E_POSITION_ATTEMPT, "the envelope belongs to another attempt");
	return BULLA_OK;
}

bulla_rc bulla_envelope_check(const struct bulla_envelope *envelope, const struct bulla_envelope_expected *expected)
{
	BULLA_TRY(check_run(&envelope->position.slot, &expected->position.slot));
	BULLA_TRY(check_place(&envelope->position, &expected->position));
	if (BULLA_CHECK_ON(ENVELOPE_KIND) && envelope->kind != expected->kind)
		return BULLA_FAIL(BULLA_E_POSITION_PATH, "the envelope is of another kind");
	if (BULLA_CHECK_ON(POSITION_PATH) && !bulla_bytes_eq(envelope->path, expected->path))
		return BULLA_FAIL(BULLA_E_POSITION_PATH, "the envelope holds another field");
	if (BULLA_CHECK_ON(ENVELOPE_PRODUCER) && !bulla_digest_eq(&envelope->producer, &expected->producer))
		return BULLA_FAIL(BULLA_E_PRODUCER, "the producer may not write this");
	return BULLA_OK;
}

/* --- opening --- */

struct entry {
	bulla_secret secret; /* borrowed */
	bulla_bytes wrapped;
};

static bulla_rc find_state(const struct bulla_envelope *envelope, const struct bulla_envelope_keys *keys, struct entry *ret)
{
	bulla_link_id link;

	BULLA_TRY(bulla_envelope_reader_at(envelope, 0, &link, &ret->wrapped));
	if (!bulla_link_id_eq(&link, &bulla_link_state) || keys->state.slot == 0)
		return BULLA_FAIL(BULLA_E_NOT_ADDRESSED, "a state envelope is not for this agent");
	ret->secret = keys->state;
	return BULLA_OK;
}

/* Which error says best why no entry is mine: a link that was refused, then one that is unknown. */
static bulla_rc worse(bulla_rc a, bulla_rc b)
{
	if (a == BULLA_E_NOT_ADDRESSED || (a == BULLA_E_NOT_FOUND && b != BULLA_E_NOT_ADDRESSED))
		return b;
	return a;
}

static bulla_rc no_entry(bulla_rc why)
{
	if (why == BULLA_E_NOT_ADDRESSED)
		return BULLA_FAIL(BULLA_E_NOT_ADDRESSED, "the envelope is not for this reader");
	if (why == BULLA_E_NOT_FOUND)
		return BULLA_FAIL(BULLA_E_LINK_UNKNOWN, "no link is known by which the envelope could be mine");
	return why;
}

/* My entry is the one whose link I accepted. Its sender must be who the envelope says produced it: else one reader could
 * seal to another in the producer's name. */
static bulla_rc find_entry(const struct bulla_envelope *envelope, const struct bulla_envelope_keys *keys, struct entry *ret)
{
	const struct bulla_link *link = NULL;
	bulla_rc rc = BULLA_E_NOT_ADDRESSED, why = BULLA_E_NOT_ADDRESSED;
	bulla_link_id id;

	if (envelope->kind == BULLA_ENVELOPE_STATE)
		return find_state(envelope, keys, ret);
	for (size_t i = 0; i < envelope->reader_count && rc != BULLA_OK; i++) {
		BULLA_TRY(bulla_envelope_reader_at(envelope, i, &id, &ret->wrapped));
		rc = keys->find(keys->ctx, &id, &link);
		why = worse(why, rc);
	}
	if (rc != BULLA_OK)
		return no_entry(why);
	if (BULLA_CHECK_ON(ENVELOPE_LINK) && !bulla_digest_eq(&link->sender, &envelope->producer))
		return BULLA_FAIL(BULLA_E_LINK_SENDER, "the envelope came over the link of another sender than its producer");
	ret->secret = link->secret;
	return BULLA_OK;
}

static bulla_rc unwrap(const struct bulla_envelope *envelope, const struct bulla_envelope_keys *keys,
	const struct entry *entry, bulla_secret *ret)
{
	BULLA_AUTO_SECRET kek = BULLA_SECRET_NONE;
	bulla_rc rc;

	BULLA_TRY(bulla_envelope_kek(entry->secret, keys->run_secret, &envelope->position, envelope->core, &kek));
	rc = bulla_key_unwrap(kek, entry->wrapped, ret);
	if (rc == BULLA_E_MAC)
		return BULLA_FAIL(BULLA_E_ENVELOPE_DAMAGED, "the envelope's key does not unwrap");
	return rc;
}

/* padded = salt, length, payload, zeros. */
static bulla_rc check_padded(const struct bulla_envelope *envelope, bulla_bytes padded, bulla_bytes *ret_payload)
{
	bulla_rd r = bulla_rd_of(padded);
	bulla_digest commitment;
	bulla_bytes salt, payload, rest;
	uint32_t size;

	bulla_sha256(padded, &commitment);
	if (BULLA_CHECK_ON(ENVELOPE_COMMITMENT) && !bulla_digest_eq(&commitment, &envelope->commitment))
		return BULLA_FAIL(BULLA_E_COMMITMENT, "the envelope's content is not the committed one");
	BULLA_TRY(bulla_rd_bytes(&r, BULLA_ENVELOPE_SALT, &salt));
	BULLA_TRY(bulla_rd_u32be(&r, &size));
	if (size > bulla_rd_left(&r))
		return BULLA_FAIL(BULLA_E_ENVELOPE_DAMAGED, "the envelope's payload is longer than its padding class");
	BULLA_TRY(bulla_rd_bytes(&r, size, &payload));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &rest));
	if (BULLA_CHECK_ON(ENVELOPE_PADDING) && !bulla_bytes_is_zero_ct(rest))
		return BULLA_FAIL(BULLA_E_ENVELOPE_DAMAGED, "the envelope's padding is not zero");
	if (envelope->padding == 0 && rest.n != 0)
		return BULLA_FAIL(BULLA_E_ENVELOPE_DAMAGED, "the envelope has padding and says it has none");
	*ret_payload = payload;
	return BULLA_OK;
}

static bulla_rc open_into(const struct bulla_envelope *envelope, bulla_secret content_key, struct bulla_buf *memory,
	struct bulla_opened *ret)
{
	size_t size = envelope->ciphertext.n - BULLA_AEAD_TAG_SIZE;
	bulla_bytes padded, payload;
	bulla_rc rc;

	BULLA_TRY(bulla_buf_reserve(memory, size));
	padded = bulla_bytes_of(memory->p + memory->n, size);
	rc = bulla_aead_open(content_key, bulla_aead_nonce_zero, envelope->core, envelope->ciphertext, memory->p + memory->n);
	if (rc == BULLA_E_MAC)
		return BULLA_FAIL(BULLA_E_ENVELOPE_DAMAGED, "the envelope's content does not open");
	BULLA_TRY(rc);
	rc = check_padded(envelope, padded, &payload);
	if (rc == BULLA_OK)
		rc = bulla_secret_new(bulla_bytes_of(padded.p, BULLA_ENVELOPE_SALT), &ret->salt);
	if (rc != BULLA_OK) {
		bulla_wipe(memory->p + memory->n, size);
		return rc;
	}
	memory->n += size;
	ret->payload = payload;
	return BULLA_OK;
}

bulla_rc bulla_envelope_open(const struct bulla_envelope *envelope, const struct bulla_envelope_expected *expected,
	const struct bulla_envelope_keys *keys, struct bulla_buf *memory, struct bulla_opened *ret)
{
	BULLA_AUTO_SECRET content_key = BULLA_SECRET_NONE;
	struct entry entry;

	BULLA_TRY(bulla_envelope_check(envelope, expected));
	if (envelope->ciphertext.n == 0)
		return BULLA_FAIL(BULLA_E_ENVELOPE_DAMAGED, "only the envelope's header is here");
	BULLA_TRY(find_entry(envelope, keys, &entry));
	BULLA_TRY(unwrap(envelope, keys, &entry, &content_key));
	return open_into(envelope, content_key, memory, ret);
}
