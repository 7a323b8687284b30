#include "channel/attested.h"

#include "base/checks.h"
#include "base/mem.h"
#include "channel/attested_internal.h"
#include "crypto/random.h"

#define RENEW_PART 4 / 5 /* of an appraisal's life */
#define LIFE_MAX_MS INT64_C(86400000)
#define IN_MAX (2 * (ATTESTED_EVIDENCE_MAX + ATTESTED_HEAD))
#define OUT_MAX (4 * (size_t)BULLA_MAX_OUTPUT_BUFFER)

/* ---- begin and end ---- */
static bulla_rc challenge(struct bulla_attested *channel, int64_t now_ms)
{
	BULLA_TRY(bulla_random_fill(channel->options.random, channel->nonce.b, sizeof(channel->nonce.b)));
	channel->asked = true;
	channel->asked_ms = now_ms;
	return BULLA_OK;
}

static bool has_key(const struct bulla_attested_options *options, const struct bulla_channel_ends *ends)
{
	const bulla_digest *leaf = options->role == BULLA_CHANNEL_CLIENT ? &ends->client_key : &ends->server_key;

	return !bulla_bytes_is_zero_ct(bulla_bytes_digest(leaf)) ||
		!bulla_bytes_is_zero_ct(bulla_bytes_digest(&options->key));
}

bulla_rc bulla_attested_init(struct bulla_attested *channel, const struct bulla_attested_options *options,
	const struct bulla_channel_ends *ends, int64_t now_ms)
{
	if (!options->shows && !options->demands)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "an attested channel shows evidence, or demands it, or both");
	if (options->role != BULLA_CHANNEL_CLIENT && options->role != BULLA_CHANNEL_SERVER)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a channel has a client and a server");
	if (options->shows && (options->tee.n == 0 || !has_key(options, ends)))
		return BULLA_FAIL(BULLA_E_ARGUMENT, "evidence speaks for a key, and names its TEE");
	*channel = (struct bulla_attested){.options = *options, .ends = *ends, .why = BULLA_OK, .renew_ms = INT64_MAX,
		.lapses_ms = INT64_MAX};
	bulla_buf_init(&channel->in, IN_MAX);
	bulla_buf_init(&channel->out, OUT_MAX);
	if (options->demands)
		BULLA_TRY(challenge(channel, now_ms));
	attested_put_hello(channel);
	return channel->why;
}

void bulla_attested_done(struct bulla_attested *channel)
{
	bulla_buf_done(&channel->in);
	bulla_buf_done(&channel->out);
}

void bulla_attested_end(struct bulla_attested *channel, bulla_rc why)
{
	if (channel->ended)
		return;
	channel->ended = true;
	channel->why = why;
	channel->accepts = channel->accepted = channel->owes = channel->judging = channel->asked = false;
	attested_put_verdict(channel, why, 0);
}

/* What the other side said is the reason; it needs no telling. */
static bulla_rc end_told(struct bulla_attested *channel, bulla_rc why)
{
	channel->ended = true;
	channel->why = why;
	channel->accepts = channel->accepted = false;
	return why;
}

static bool is_open(const struct bulla_attested *channel)
{
	return !channel->ended && channel->met && (!channel->options.demands || channel->accepts) &&
		(!channel->options.shows || channel->accepted);
}

enum bulla_attested_todo bulla_attested_todo(const struct bulla_attested *channel)
{
	if (channel->ended)
		return BULLA_ATTESTED_ENDED;
	if (channel->judging)
		return BULLA_ATTESTED_JUDGE;
	if (channel->owes)
		return BULLA_ATTESTED_SHOW;
	return is_open(channel) ? BULLA_ATTESTED_OPEN : BULLA_ATTESTED_WAIT;
}

/* ---- the other side's messages ---- */
static bulla_rc check_mode(const struct bulla_attested *channel, const struct bulla_msg_channel_hello *hello)
{
	const struct bulla_attested_options *mine = &channel->options;
	bool shows = hello->shows == 1, demands = hello->demands == 1;

	if (hello->version != 1)
		return BULLA_FAIL(BULLA_E_VERSION, "the other side speaks another version of attested channels");
	if (hello->role != BULLA_CHANNEL_CLIENT && hello->role != BULLA_CHANNEL_SERVER)
		return BULLA_FAIL(BULLA_E_FORMAT, "a channel has a client and a server");
	if (hello->shows > 1 || hello->demands > 1 || (hello->nonce.n != 0) != demands)
		return BULLA_FAIL(BULLA_E_FORMAT, "who demands evidence gives a challenge");
	if (shows != mine->demands || demands != mine->shows)
		return BULLA_FAIL(BULLA_E_CHANNEL_MODE, "one side demands evidence that the other does not show, or shows it unasked");
	if (BULLA_CHECK_ON(CHANNEL_ROLE) && hello->role == mine->role)
		return BULLA_FAIL(BULLA_E_CHANNEL_ROLE, "both sides say that they are the same one");
	return BULLA_OK;
}

static bulla_rc take_hello(struct bulla_attested *channel, bulla_bytes body)
{
	struct bulla_msg_channel_hello hello;

	BULLA_TRY(bulla_msg_channel_hello_decode(body, &hello));
	BULLA_TRY(check_mode(channel, &hello));
	if (channel->met && (channel->owes || hello.demands == 0))
		return BULLA_FAIL(BULLA_E_STATE, "a challenge comes when the last one is answered");
	channel->met = true;
	if (hello.demands == 0 || !channel->options.shows)
		return BULLA_OK;
	BULLA_TRY(bulla_bytes_copy_exact(hello.nonce, sizeof(channel->peer_nonce.b), channel->peer_nonce.b));
	if (bulla_bytes_is_zero_ct(hello.nonce)) /* the word of "boot" evidence */
		return BULLA_FAIL(BULLA_E_FORMAT, "a challenge is zero");
	if (BULLA_CHECK_ON(CHANNEL_ECHO) && bulla_digest_eq(&channel->peer_nonce, &channel->nonce))
		return BULLA_FAIL(BULLA_E_CHANNEL_REFLECTED, "the challenge is my own");
	channel->owes = true;
	return BULLA_OK;
}

static bool same_keys(const struct bulla_channel_ends *a, const struct bulla_channel_ends *b)
{
	return bulla_digest_eq(&a->client_key, &b->client_key) && bulla_digest_eq(&a->server_key, &b->server_key);
}

/* The claim says to what the evidence is bound (the appraisal sees to that); here it must be this very connection. */
static bulla_rc check_claim(const struct bulla_attested *channel, const struct attested_claim *claim)
{
	const bulla_digest *manifest = channel->options.peer_manifest;

	if (BULLA_CHECK_ON(CHANNEL_ROLE) && claim->role == channel->options.role)
		return BULLA_FAIL(BULLA_E_CHANNEL_ROLE, "the evidence is of my own role: reflected, or made for the other direction");
	if (BULLA_CHECK_ON(CHANNEL_NONCE) && !bulla_digest_eq(&claim->nonce, &channel->nonce))
		return BULLA_FAIL(BULLA_E_CHANNEL_NONCE, "the evidence answers another challenge than the newest");
	if (BULLA_CHECK_ON(CHANNEL_RELAY) && !bulla_digest_eq(&claim->ends.exporter, &channel->ends.exporter))
		return BULLA_FAIL(BULLA_E_CHANNEL_RELAYED, "the evidence is bound to another TLS connection");
	if (BULLA_CHECK_ON(CHANNEL_KEYS) && !same_keys(&claim->ends, &channel->ends))
		return BULLA_FAIL(BULLA_E_CHANNEL_KEY, "the evidence names other TLS keys than this connection's");
	if (BULLA_CHECK_ON(CHANNEL_MANIFEST) && manifest != NULL && !bulla_digest_eq(&claim->manifest, manifest))
		return BULLA_FAIL(BULLA_E_CHANNEL_MANIFEST, "the evidence is of another manifest");
	return BULLA_OK;
}

static bulla_rc take_evidence(struct bulla_attested *channel, bulla_bytes body, int64_t now_ms)
{
	struct attested_claim claim;
	struct bulla_channel_ask ask;
	int64_t age = now_ms - channel->asked_ms;
	bool asked = channel->asked;

	channel->asked = false; /* used up, whatever follows */
	if (!channel->options.demands)
		return BULLA_FAIL(BULLA_E_STATE, "evidence that nobody asked for");
	if (BULLA_CHECK_ON(CHANNEL_ONCE) && !asked)
		return BULLA_FAIL(BULLA_E_EVIDENCE_REPLAYED, "a second evidence for one challenge");
	if (BULLA_CHECK_ON(CHANNEL_LAPSE) && (age < 0 || age > BULLA_ATTESTED_CHALLENGE_MS))
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the challenge is older than a minute");
	BULLA_TRY(attested_read_evidence(body, &claim, &ask));
	BULLA_TRY(check_claim(channel, &claim));
	channel->judging = true;
	return BULLA_OK;
}

static bulla_rc take_verdict(struct bulla_attested *channel, bulla_bytes body)
{
	uint64_t life_ms;
	bulla_rc why;

	BULLA_TRY(attested_read_verdict(body, &why, &life_ms));
	if (why != BULLA_OK)
		return end_told(channel, why);
	if (!channel->options.shows || channel->owes)
		return BULLA_FAIL(BULLA_E_STATE, "a verdict on evidence that was not shown");
	channel->accepted = true;
	return BULLA_OK;
}

static bulla_rc take(struct bulla_attested *channel, uint8_t kind, bulla_bytes body, int64_t now_ms,
	struct bulla_buf *ret_data)
{
	if (!channel->met && kind != ATTESTED_HELLO && kind != ATTESTED_VERDICT)
		return BULLA_FAIL(BULLA_E_STATE, "the first message says what a side shows and demands");
	switch (kind) {
	case ATTESTED_HELLO:
		return take_hello(channel, body);
	case ATTESTED_EVIDENCE:
		return take_evidence(channel, body, now_ms);
	case ATTESTED_VERDICT:
		return take_verdict(channel, body);
	default:
		if (!is_open(channel))
			return BULLA_FAIL(BULLA_E_STATE, "data before the channel is open");
		return bulla_buf_append(ret_data, body);
	}
}

/* Understands what is there, up to evidence: it stays in front until its verdict. */
static bulla_rc proceed(struct bulla_attested *channel, int64_t now_ms, struct bulla_buf *ret_data)
{
	uint8_t kind;
	bulla_bytes body;

	while (!channel->judging && !channel->ended) {
		bulla_rc rc = attested_next(channel, &kind, &body);

		if (rc == BULLA_E_AGAIN)
			return BULLA_OK;
		if (rc == BULLA_OK)
			rc = take(channel, kind, body, now_ms, ret_data);
		if (rc != BULLA_OK) {
			bulla_attested_end(channel, rc);
			return rc;
		}
		channel->message_size = ATTESTED_HEAD + body.n;
		if (!channel->judging)
			bulla_buf_consume(&channel->in, channel->message_size);
	}
	return BULLA_OK;
}

bulla_rc bulla_attested_feed(struct bulla_attested *channel, bulla_bytes bytes, int64_t now_ms, struct bulla_buf *ret_data)
{
	bulla_rc rc;

	if (channel->ended)
		return BULLA_FAIL(BULLA_E_STATE, "the channel has ended");
	rc = bulla_buf_append(&channel->in, bytes);
	if (rc != BULLA_OK) {
		bulla_attested_end(channel, rc);
		return rc;
	}
	return proceed(channel, now_ms, ret_data);
}

/* ---- showing ---- */
bulla_rc bulla_attested_challenge(const struct bulla_attested *channel, bulla_digest *ret_nonce,
	uint8_t ret_binder[BULLA_BINDER_BYTES])
{
	struct attested_claim claim;

	if (!channel->owes)
		return BULLA_FAIL(BULLA_E_STATE, "nobody asks for evidence");
	attested_claim_mine(channel, &claim);
	BULLA_TRY(attested_bind(&claim, ret_binder));
	*ret_nonce = claim.nonce;
	return BULLA_OK;
}

bulla_rc bulla_attested_show(struct bulla_attested *channel, bulla_bytes evidence, const bulla_bytes *collateral,
	size_t collateral_count)
{
	if (!channel->owes)
		return BULLA_FAIL(BULLA_E_STATE, "nobody asks for evidence");
	BULLA_TRY(attested_put_evidence(channel, evidence, collateral, collateral_count));
	channel->owes = false;
	return BULLA_OK;
}

/* ---- judging ---- */
/* Read anew each time: what was fed since may have moved the bytes. */
bulla_rc bulla_attested_ask(const struct bulla_attested *channel, struct bulla_channel_ask *ret)
{
	struct attested_claim ignored;
	uint8_t kind;
	bulla_bytes body;

	if (!channel->judging)
		return BULLA_FAIL(BULLA_E_STATE, "there is nothing to judge");
	BULLA_TRY(attested_next(channel, &kind, &body));
	return attested_read_evidence(body, &ignored, ret);
}

bulla_rc bulla_channel_appraise(const struct bulla_channel_ask *ask, const struct bulla_attest_collateral *collateral,
	const struct bulla_attest_anchors *anchors, const struct bulla_attest_policy *policy,
	int64_t now_ms, struct bulla_attest_cache *cache, struct bulla_attest_result *ret)
{
	bool manifest = !bulla_bytes_is_zero_ct(bulla_bytes_digest(&ask->manifest));
	const struct bulla_attest_binding binding = {
		.binder = BULLA_CHECK_ON(CHANNEL_BINDER) ? BULLA_EXPECT_BYTES(BULLA_BYTES_ARRAY(ask->binder))
		: BULLA_EXPECT_ANYTHING,
		.nonce = BULLA_CHECK_ON(CHANNEL_BINDER) ? BULLA_EXPECT_BYTES(bulla_bytes_digest(&ask->nonce))
		: BULLA_EXPECT_ANYTHING,
		/* evidence that carries a key is for a key release */
		.public_key = BULLA_EXPECT_BYTES(bulla_bytes_of(NULL, 0)),
		.manifest = manifest ? BULLA_EXPECT_BYTES(bulla_bytes_digest(&ask->manifest)) : BULLA_EXPECT_ANYTHING,
		.bundles = BULLA_EXPECT_ANYTHING,
	};
	const struct bulla_attest_time time = {now_ms, BULLA_CLOCK_ONLINE};

	return bulla_attest_appraise(ask->evidence, collateral, anchors, policy, &binding, time, cache, ret);
}

bulla_rc bulla_attested_verdict(struct bulla_attested *channel, bulla_rc verdict, int64_t life_ms, int64_t now_ms,
	struct bulla_buf *ret_data)
{
	if (!channel->judging)
		return BULLA_FAIL(BULLA_E_STATE, "there is nothing to judge");
	if (verdict == BULLA_OK && life_ms <= 0)
		verdict = BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the appraisal lapses now");
	if (verdict != BULLA_OK) {
		bulla_attested_end(channel, verdict);
		return verdict;
	}
	channel->judging = false;
	channel->accepts = true;
	life_ms = life_ms < LIFE_MAX_MS ? life_ms : LIFE_MAX_MS;
	channel->lapses_ms = now_ms + life_ms;
	channel->renew_ms = now_ms + life_ms * RENEW_PART;
	attested_put_verdict(channel, BULLA_OK, life_ms);
	bulla_buf_consume(&channel->in, channel->message_size);
	return proceed(channel, now_ms, ret_data);
}

/* ---- time ---- */
bulla_rc bulla_attested_again(struct bulla_attested *channel, int64_t now_ms)
{
	if (channel->ended || !channel->options.demands || channel->asked || channel->judging)
		return BULLA_FAIL(BULLA_E_STATE, "this side demands no evidence now");
	BULLA_TRY(challenge(channel, now_ms));
	channel->renew_ms = INT64_MAX;
	attested_put_hello(channel);
	return channel->why;
}

bulla_rc bulla_attested_tick(struct bulla_attested *channel, int64_t now_ms)
{
	bulla_rc rc = BULLA_OK;

	if (channel->ended)
		return BULLA_OK;
	if (BULLA_CHECK_ON(CHANNEL_LAPSE) && channel->accepts && now_ms >= channel->lapses_ms)
		rc = BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "the appraisal has lapsed");
	else if (BULLA_CHECK_ON(CHANNEL_LAPSE) && channel->asked && now_ms - channel->asked_ms > BULLA_ATTESTED_CHALLENGE_MS)
		rc = BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "no evidence came in a minute");
	else if (now_ms >= channel->renew_ms)
		rc = bulla_attested_again(channel, now_ms);
	if (rc != BULLA_OK)
		bulla_attested_end(channel, rc);
	return rc;
}

int64_t bulla_attested_due(const struct bulla_attested *channel)
{
	int64_t due = channel->renew_ms < channel->lapses_ms ? channel->renew_ms : channel->lapses_ms;

	if (channel->ended)
		return INT64_MAX;
	if (channel->asked && channel->asked_ms + BULLA_ATTESTED_CHALLENGE_MS + 1 < due)
		return channel->asked_ms + BULLA_ATTESTED_CHALLENGE_MS + 1;
	return due;
}

/* ---- data ---- */
bulla_rc bulla_attested_write(struct bulla_attested *channel, bulla_bytes data)
{
	if (!is_open(channel))
		return BULLA_FAIL(BULLA_E_STATE, "the channel is not open");
	return attested_put_data(channel, data);
}
