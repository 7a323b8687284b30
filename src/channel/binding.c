#include "channel/binding.h"

#include "base/mem.h"
#include "crypto/hash.h"

bulla_rc bulla_channel_ends_of(const struct bulla_tls *tls, struct bulla_channel_ends *ret)
{
	uint8_t exporter[BULLA_EXPORTER_SIZE];
	struct bulla_channel_ends ends;

	BULLA_TRY(bulla_tls_keys(tls, &ends.client_key, &ends.server_key));
	BULLA_TRY(bulla_tls_export(tls, BULLA_EXPORTER_BINDING, sizeof(exporter), exporter));
	bulla_sha256(BULLA_BYTES_ARRAY(exporter), &ends.exporter);
	*ret = ends;
	return BULLA_OK;
}

void bulla_channel_digest(const struct bulla_channel_ends *ends, bulla_digest *ret)
{
	uint8_t text[15 + 3 * sizeof(bulla_digest)] = "bulla/1 channel";

	bulla_copy(text + 15, ends->exporter.b, sizeof(ends->exporter));
	bulla_copy(text + 15 + 32, ends->client_key.b, sizeof(ends->client_key));
	bulla_copy(text + 15 + 64, ends->server_key.b, sizeof(ends->server_key));
	bulla_sha256(BULLA_BYTES_ARRAY(text), ret);
}
