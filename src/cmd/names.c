#include "cmd/names.h"

#include "crypto/mac.h"

bulla_handle name_handle(bulla_secret name_key, const char *kind, const char *name)
{
	uint8_t memory[512];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text = {NULL, 0};
	bulla_digest mac;
	bulla_handle handle;

	bulla_cbor_wr_array(&w, 2);
	bulla_cbor_wr_str(&w, kind);
	bulla_cbor_wr_str(&w, name);
	if (bulla_wr_end(&w, &text) != BULLA_OK) /* names are at most 32 characters: project_values.h */
		text = (bulla_bytes){NULL, 0};
	bulla_mac(name_key, text, &mac);
	bulla_copy(handle.b, mac.b, sizeof(handle.b));
	return handle;
}
