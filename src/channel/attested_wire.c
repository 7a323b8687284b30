#include "base/mem.h"
#include "channel/attested_internal.h"
#include "crypto/hash.h"

bulla_rc attested_bind(const struct attested_claim *claim, uint8_t ret[BULLA_BINDER_BYTES])
{
	struct bulla_binder binder = {.tee = claim->tee, .challenge = claim->nonce, .key = claim->key,
		.agents = claim->agents, .manifest = claim->manifest};

	binder.purpose = bulla_bytes_str(claim->role == BULLA_CHANNEL_CLIENT ? "client" : "server");
	bulla_channel_digest(&claim->ends, &binder.channel);
	return bulla_binder_make(&binder, ret);
}

static const bulla_digest *leaf_of(const struct bulla_channel_ends *ends, uint64_t role)
{
	return role == BULLA_CHANNEL_CLIENT ? &ends->client_key : &ends->server_key;
}

static bool is_zero(const bulla_digest *digest)
{
	return bulla_bytes_is_zero_ct(bulla_bytes_digest(digest));
}

void attested_claim_mine(const struct bulla_attested *channel, struct attested_claim *ret)
{
	const struct bulla_attested_options *options = &channel->options;

	*ret = (struct attested_claim){.role = options->role, .tee = options->tee, .agents = options->agents,
		.nonce = channel->peer_nonce, .manifest = options->manifest, .ends = channel->ends,
		.key = is_zero(&options->key) ? *leaf_of(&channel->ends, options->role) : options->key};
}

/* ---- out ---- */
static bulla_rc put_head(struct bulla_buf *out, enum attested_kind kind, size_t size)
{
	const uint8_t head[ATTESTED_HEAD] = {(uint8_t)kind, (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};

	return bulla_buf_append(out, BULLA_BYTES_ARRAY(head));
}

static bulla_rc put_message(struct bulla_attested *channel, enum attested_kind kind, const struct bulla_msg_desc *desc,
	const void *message)
{
	size_t size = bulla_msg_size(desc, message);
	bulla_bytes ignored;

	BULLA_TRY(bulla_buf_reserve(&channel->out, ATTESTED_HEAD + size));
	BULLA_TRY(put_head(&channel->out, kind, size));
	bulla_wr w = bulla_wr_buf(&channel->out);
	bulla_msg_encode(desc, message, &w);
	return bulla_wr_end(&w, &ignored);
}

/* A side that cannot even say what it wants has nothing more to say: the connection ends by the caller's hand. */
static void put_small(struct bulla_attested *channel, enum attested_kind kind, const struct bulla_msg_desc *desc,
	const void *message)
{
	bulla_rc rc = put_message(channel, kind, desc, message);

	if (rc != BULLA_OK) {
		channel->ended = true;
		channel->why = rc;
	}
}

void attested_put_hello(struct bulla_attested *channel)
{
	const struct bulla_msg_channel_hello hello = {.version = 1, .role = channel->options.role,
		.shows = channel->options.shows ? 1 : 0, .demands = channel->options.demands ? 1 : 0,
		.nonce = bulla_bytes_of(channel->nonce.b, channel->options.demands ? sizeof(channel->nonce) : 0)};

	put_small(channel, ATTESTED_HELLO, &bulla_msg_channel_hello_desc, &hello);
}

void attested_put_verdict(struct bulla_attested *channel, bulla_rc why, int64_t life_ms)
{
	const struct bulla_msg_channel_verdict verdict = {
		.why = why == BULLA_OK ? bulla_bytes_of(NULL, 0) : bulla_bytes_str(bulla_rc_id(why)),
		.life_ms = (uint64_t)life_ms};

	put_small(channel, ATTESTED_VERDICT, &bulla_msg_channel_verdict_desc, &verdict);
}

static bulla_bytes unless_zero(const bulla_digest *digest)
{
	return is_zero(digest) ? bulla_bytes_of(NULL, 0) : bulla_bytes_digest(digest);
}

bulla_rc attested_put_evidence(struct bulla_attested *channel, bulla_bytes evidence, const bulla_bytes *collateral,
	size_t count)
{
	struct attested_claim claim;
	struct bulla_msg_channel_evidence message = {.evidence = evidence};

	attested_claim_mine(channel, &claim);
	message.role = claim.role;
	message.tee = claim.tee;
	message.nonce = bulla_bytes_digest(&claim.nonce);
	message.exporter = bulla_bytes_digest(&claim.ends.exporter);
	message.client_key = unless_zero(&claim.ends.client_key);
	message.server_key = unless_zero(&claim.ends.server_key);
	message.key = bulla_bytes_digest(&claim.key);
	message.agents = claim.agents;
	message.manifest = unless_zero(&claim.manifest);
	message.collateral = bulla_pb_list_of(collateral, count);
	if (bulla_msg_size(&bulla_msg_channel_evidence_desc, &message) > ATTESTED_EVIDENCE_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "evidence and collateral are too long for one message");
	return put_message(channel, ATTESTED_EVIDENCE, &bulla_msg_channel_evidence_desc, &message);
}

bulla_rc attested_put_data(struct bulla_attested *channel, bulla_bytes data)
{
	while (data.n > 0) {
		size_t size = data.n < BULLA_ATTESTED_DATA ? data.n : BULLA_ATTESTED_DATA;

		BULLA_TRY(bulla_buf_reserve(&channel->out, ATTESTED_HEAD + size));
		BULLA_TRY(put_head(&channel->out, ATTESTED_DATA, size));
		BULLA_TRY(bulla_buf_append(&channel->out, bulla_bytes_of(data.p, size)));
		data = bulla_bytes_of(data.p + size, data.n - size);
	}
	return BULLA_OK;
}

/* ---- in ---- */
static size_t most_of(uint8_t kind)
{
	switch (kind) {
	case ATTESTED_HELLO:
	case ATTESTED_VERDICT:
		return ATTESTED_SMALL;
	case ATTESTED_EVIDENCE:
		return ATTESTED_EVIDENCE_MAX;
	case ATTESTED_DATA:
		return BULLA_ATTESTED_DATA;
	default:
		return 0;
	}
}

bulla_rc attested_next(const struct bulla_attested *channel, uint8_t *ret_kind, bulla_bytes *ret_body)
{
	bulla_rd r = bulla_rd_of(bulla_buf_view(&channel->in));
	uint8_t kind, high;
	uint16_t low;

	if (bulla_rd_left(&r) < ATTESTED_HEAD)
		return BULLA_E_AGAIN;
	BULLA_TRY(bulla_rd_u8(&r, &kind));
	BULLA_TRY(bulla_rd_u8(&r, &high));
	BULLA_TRY(bulla_rd_u16be(&r, &low));
	size_t size = (size_t)high << 16 | low;
	if (most_of(kind) == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a message of an attested channel is of no known kind");
	if (size == 0 || size > most_of(kind))
		return BULLA_FAIL(BULLA_E_LIMIT, "a message of an attested channel is empty or too long");
	if (bulla_rd_left(&r) < size)
		return BULLA_E_AGAIN;
	*ret_kind = kind;
	return bulla_rd_bytes(&r, size, ret_body);
}

static bulla_rc read_optional(bulla_bytes bytes, bulla_digest *ret)
{
	*ret = (bulla_digest){{0}};
	return bytes.n == 0 ? BULLA_OK : bulla_bytes_copy_exact(bytes, sizeof(ret->b), ret->b);
}

static bulla_rc read_claim(const struct bulla_msg_channel_evidence *message, struct attested_claim *ret)
{
	*ret = (struct attested_claim){.role = message->role, .tee = message->tee, .agents = message->agents};
	BULLA_TRY(bulla_bytes_copy_exact(message->nonce, sizeof(ret->nonce.b), ret->nonce.b));
	BULLA_TRY(bulla_bytes_copy_exact(message->exporter, sizeof(ret->ends.exporter.b), ret->ends.exporter.b));
	BULLA_TRY(read_optional(message->client_key, &ret->ends.client_key));
	BULLA_TRY(read_optional(message->server_key, &ret->ends.server_key));
	BULLA_TRY(bulla_bytes_copy_exact(message->key, sizeof(ret->key.b), ret->key.b));
	return read_optional(message->manifest, &ret->manifest);
}

bulla_rc attested_read_evidence(bulla_bytes body, struct attested_claim *ret_claim, struct bulla_channel_ask *ret)
{
	struct bulla_msg_channel_evidence message;

	BULLA_TRY(bulla_msg_channel_evidence_decode(body, &message));
	if (message.evidence.n == 0 || message.evidence.n > BULLA_MAX_EVIDENCE)
		return BULLA_FAIL(BULLA_E_EVIDENCE_FORMAT, "no evidence, or too much");
	if (message.role != BULLA_CHANNEL_CLIENT && message.role != BULLA_CHANNEL_SERVER)
		return BULLA_FAIL(BULLA_E_FORMAT, "evidence is of a client or of a server");
	BULLA_TRY(read_claim(&message, ret_claim));
	*ret = (struct bulla_channel_ask){.evidence = message.evidence, .collateral = message.collateral, .tee = message.tee,
		.nonce = ret_claim->nonce, .key = ret_claim->key, .agents = message.agents, .manifest = ret_claim->manifest};
	return attested_bind(ret_claim, ret->binder);
}

bulla_rc attested_read_verdict(bulla_bytes body, bulla_rc *ret_why, uint64_t *ret_life_ms)
{
	struct bulla_msg_channel_verdict message;
	char id[32] = "";

	BULLA_TRY(bulla_msg_channel_verdict_decode(body, &message));
	if (message.why.n >= sizeof(id) || (message.why.n == 0) != (message.life_ms != 0))
		return BULLA_FAIL(BULLA_E_FORMAT, "a verdict is a life or a reason");
	bulla_copy(id, message.why.p, message.why.n);
	/* a reason that this version does not know is a refusal like any other */
	*ret_why = message.why.n == 0 ? BULLA_OK : bulla_rc_from_id(id);
	if (*ret_why == BULLA_RC_COUNT || (message.why.n != 0 && *ret_why == BULLA_OK))
		*ret_why = BULLA_E_DENIED;
	*ret_life_ms = message.life_ms;
	return BULLA_OK;
}
