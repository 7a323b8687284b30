/* Plain bytes of an attested channel, in pieces. First byte: which side this is and what it shows and demands; second: how
 * large the pieces are. Nothing is ever accepted, as nobody judges well; everything stays inside its buffers. */
#include "channel/attested.h"
#include "fuzz.h"

static bulla_rc fill(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	for (size_t i = 0; i < size; i++)
		ret[i] = (uint8_t)(i + 1);
	return BULLA_OK;
}

static void look_at(struct bulla_attested *channel, bulla_bytes in, bool accept)
{
	struct bulla_channel_ask ask;
	struct bulla_buf data;

	(void)in;
	bulla_buf_init(&data, 1 << 16);
	if (bulla_attested_ask(channel, &ask) == BULLA_OK) {
		fuzz_assert(ask.evidence.n > 0 && ask.evidence.p >= channel->in.p &&
			ask.evidence.p + ask.evidence.n <= channel->in.p + channel->in.n);
		bulla_rc rc = bulla_attested_verdict(channel, accept ? BULLA_OK : BULLA_E_MEASUREMENT, 1000, 10, &data);
		fuzz_assert(rc == BULLA_OK || channel->ended);
	}
	bulla_buf_done(&data);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct bulla_random random = {.fill = fill};
	static const struct bulla_channel_ends ends = {{{1}}, {{2}}, {{3}}};
	struct bulla_attested_options options = {.random = &random, .tee = BULLA_BYTES_LITERAL("nitro")};
	struct bulla_attested channel;
	struct bulla_buf data;

	if (n < 3)
		return 0;
	options.role = p[0] & 1 ? BULLA_CHANNEL_CLIENT : BULLA_CHANNEL_SERVER;
	options.shows = (p[0] & 2) != 0;
	options.demands = (p[0] & 4) != 0;
	bulla_buf_init(&data, 1 << 20);
	if (bulla_attested_init(&channel, &options, &ends, 0) != BULLA_OK)
		return 0;
	for (size_t at = 2; at < n && !channel.ended;) {
		size_t some = (size_t)p[1] + 1 < n - at ? (size_t)p[1] + 1 : n - at;
		bulla_rc rc = bulla_attested_feed(&channel, bulla_bytes_of(p + at, some), 5, &data);

		fuzz_assert(rc == BULLA_OK || channel.ended);
		look_at(&channel, bulla_bytes_of(p, n), (p[0] & 8) != 0);
		fuzz_assert(!channel.accepts || (p[0] & 8) != 0);
		at += some;
	}
	bulla_attested_done(&channel);
	bulla_buf_done(&data);
	return 0;
}
