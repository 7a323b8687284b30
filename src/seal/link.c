#include "seal/link.h"

#include "base/checks.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "wire/cbor.h"

#define VERSION 1
#define BODY_MAX 1400
#define CONTENT BULLA_CONTENT("link")
#define EXPORT_CONTEXT BULLA_BYTES_LITERAL("bulla/1 link")

const bulla_link_id bulla_link_state = {{0}};

bool bulla_link_id_eq(const bulla_link_id *a, const bulla_link_id *b)
{
	return bulla_bytes_eq(BULLA_BYTES_ARRAY(a->b), BULLA_BYTES_ARRAY(b->b));
}

bool bulla_link_is_worn(int64_t made_ms, int64_t now_ms, uint32_t envelopes)
{
	return envelopes >= BULLA_LINK_ENVELOPES || now_ms < made_ms || now_ms - made_ms >= BULLA_LINK_AGE_MS;
}

void bulla_link_done(struct bulla_link *link)
{
	if (link != NULL)
		bulla_secret_free(&link->secret);
}

/* [1, sender, to, recipient, recipient key, epoch, manifest, salt] and, where given, enc as the ninth. */
static void write_body(bulla_wr *w, const struct bulla_link_body *body, bool with_enc)
{
	bulla_cbor_wr_array(w, with_enc ? 9 : 8);
	bulla_cbor_wr_uint(w, VERSION);
	bulla_cbor_wr_digest(w, &body->sender);
	bulla_cbor_wr_uint(w, body->to);
	bulla_cbor_wr_bytes(w, bulla_handle_view(&body->recipient));
	bulla_cbor_wr_digest(w, &body->recipient_key);
	bulla_cbor_wr_uint(w, body->epoch);
	bulla_cbor_wr_digest(w, &body->manifest);
	bulla_cbor_wr_bytes(w, BULLA_BYTES_ARRAY(body->salt));
	if (with_enc)
		bulla_cbor_wr_bytes(w, body->enc);
}

/* HPKE's info: the secret is bound to the whole body but `enc`, so re-signing another's `enc` gives a secret nobody knows. */
static bulla_rc info_of(const struct bulla_link_body *body, bulla_digest *ret)
{
	uint8_t memory[BODY_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes written;

	write_body(&w, body, false);
	BULLA_TRY(bulla_wr_end(&w, &written));
	bulla_sha256(written, ret);
	return BULLA_OK;
}

static void id_of(bulla_bytes payload, bulla_link_id *ret)
{
	bulla_digest digest;

	bulla_sha256(payload, &digest);
	bulla_copy(ret->b, digest.b, sizeof(ret->b));
}

static bulla_rc encapsulate(const struct bulla_link_spec *spec, struct bulla_link_body *body, const struct bulla_random *random,
	uint8_t enc[BULLA_HPKE_ENC_MAX], bulla_secret *ret)
{
	bulla_digest info;

	bulla_sha256(spec->public_key, &body->recipient_key);
	BULLA_TRY(bulla_random_fill(random, body->salt, sizeof(body->salt)));
	BULLA_TRY(info_of(body, &info));
	BULLA_TRY(bulla_hpke_send_export(spec->kem, spec->public_key, bulla_bytes_digest(&info), EXPORT_CONTEXT, random, enc, ret));
	body->enc = bulla_bytes_of(enc, spec->kem->enc_size);
	return BULLA_OK;
}

bulla_rc bulla_link_make(const struct bulla_link_spec *spec, struct bulla_sign_key *sender,
	const struct bulla_random *random, struct bulla_buf *ret, struct bulla_link *ret_link)
{
	struct bulla_link_body body = {.sender = *bulla_sign_key_kid(sender), .to = spec->to, .recipient = spec->recipient,
		.epoch = spec->epoch, .manifest = spec->manifest};
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	uint8_t enc[BULLA_HPKE_ENC_MAX], memory[BODY_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	BULLA_TRY(encapsulate(spec, &body, random, enc, &secret));
	write_body(&w, &body, true);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	BULLA_TRY(bulla_sign1_make(sender, CONTENT, payload, ret));
	id_of(payload, &ret_link->id);
	ret_link->sender = body.sender;
	ret_link->secret = bulla_secret_take(&secret);
	return BULLA_OK;
}

static bulla_rc read_to(bulla_cbor_rd *r, enum bulla_recipient *ret)
{
	uint64_t to;

	BULLA_TRY(bulla_cbor_rd_uint_max(r, BULLA_TO_BROKER, &to));
	if (to < BULLA_TO_AGENT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a link is to nobody");
	*ret = (enum bulla_recipient)to;
	return BULLA_OK;
}

static bulla_rc read_body(bulla_bytes payload, struct bulla_link_body *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_link_body body;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 9));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, VERSION));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &body.sender));
	BULLA_TRY(read_to(&r, &body.to));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(body.recipient.b), body.recipient.b));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &body.recipient_key));
	BULLA_TRY(bulla_cbor_rd_uint(&r, &body.epoch));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &body.manifest));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(body.salt), body.salt));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_HPKE_ENC_MAX, &body.enc));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = body;
	return BULLA_OK;
}

bulla_rc bulla_link_peek(bulla_bytes link, struct bulla_link_body *ret_body, bulla_link_id *ret_id)
{
	bulla_digest kid;
	bulla_bytes payload;

	if (link.n > BULLA_LINK_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a link is too long");
	BULLA_TRY(bulla_sign1_peek(link, CONTENT, &kid, &payload));
	BULLA_TRY(read_body(payload, ret_body));
	if (!bulla_digest_eq(&kid, &ret_body->sender))
		return BULLA_FAIL(BULLA_E_FORMAT, "a link names another sender than its signer");
	id_of(payload, ret_id);
	return BULLA_OK;
}

static bulla_rc check_sender(const struct bulla_link_body *body, const struct bulla_link_expected *expected)
{
	if (!BULLA_CHECK_ON(LINK_SENDER))
		return BULLA_OK;
	if (!bulla_digest_eq(&body->sender, &expected->sender))
		return BULLA_FAIL(BULLA_E_LINK_SENDER, "a link is of another sender than was checked");
	if (body->to != expected->to || !bulla_handle_eq(&body->recipient, &expected->recipient))
		return BULLA_FAIL(BULLA_E_LINK_SENDER, "a link is to another recipient");
	if (!bulla_digest_eq(&body->manifest, &expected->manifest))
		return BULLA_FAIL(BULLA_E_LINK_SENDER, "a link is of another manifest");
	return BULLA_OK;
}

/* Signature, sender, epoch: protocol.md section 6. */
static bulla_rc check_link(bulla_bytes link, const struct bulla_link_expected *expected, struct bulla_verify_key *sender_key,
	struct bulla_link_body *ret_body, bulla_link_id *ret_id)
{
	bulla_bytes payload;

	BULLA_TRY(bulla_link_peek(link, ret_body, ret_id));
	if (BULLA_CHECK_ON(LINK_SIGNATURE) && bulla_sign1_open(link, CONTENT, sender_key, &payload) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_LINK_SIGNATURE, "a link's signature does not verify");
	BULLA_TRY(check_sender(ret_body, expected));
	if (BULLA_CHECK_ON(LINK_EPOCH) && (ret_body->epoch != expected->epoch || !expected->epoch_open))
		return BULLA_FAIL(BULLA_E_EPOCH_CLOSED, "a link is of an epoch that is not open");
	return BULLA_OK;
}

bulla_rc bulla_link_check(bulla_bytes link, const struct bulla_link_expected *expected, struct bulla_verify_key *sender_key)
{
	struct bulla_link_body body;
	bulla_link_id id;

	return check_link(link, expected, sender_key, &body, &id);
}

bulla_rc bulla_link_accept(bulla_bytes link, const struct bulla_link_expected *expected, struct bulla_verify_key *sender_key,
	const struct bulla_kem *kem, bulla_secret private_key, struct bulla_link *ret)
{
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];
	struct bulla_link_body body;
	bulla_digest info, mine;
	bulla_link_id id;

	BULLA_TRY(check_link(link, expected, sender_key, &body, &id));
	BULLA_TRY(bulla_hpke_public(kem, private_key, public_key));
	bulla_sha256(bulla_bytes_of(public_key, kem->public_size), &mine);
	if (!bulla_digest_eq(&mine, &body.recipient_key))
		return BULLA_FAIL(BULLA_E_NOT_ADDRESSED, "a link is to another key of this recipient");
	BULLA_TRY(info_of(&body, &info));
	BULLA_TRY(bulla_hpke_receive_export(kem, private_key, body.enc, bulla_bytes_digest(&info), EXPORT_CONTEXT, &secret));
	ret->id = id;
	ret->sender = body.sender;
	ret->secret = bulla_secret_take(&secret);
	return BULLA_OK;
}
