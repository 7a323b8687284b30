#pragma once
/* What an enclave extends into its registers before any agent runs, and what they then hold (protocol.md section 3).
 * PCR16 is extended once, with the 32-byte manifest digest. PCR17 is extended once per hosted agent, in rising order of
 * the agents' handles, with the agent's 32-byte bundle digest. Registers start as 48 zero bytes;
 * PCR' = SHA-384(PCR || data) (the NSM's ExtendPCR). Both are locked then. */
#include "manifest/manifest.h"

#define BULLA_PCR_BYTES 48
#define BULLA_PCR_MANIFEST 16
#define BULLA_PCR_BUNDLES 17

/* One extension in place. */
void bulla_pcr_extend(uint8_t pcr[BULLA_PCR_BYTES], bulla_bytes data);

/* The register that was zero and took the manifest's digest. */
void bulla_pcr_manifest(const bulla_digest *manifest, uint8_t ret[BULLA_PCR_BYTES]);

/* agents: handles, 8 bytes each, rising. BULLA_E_NOT_FOUND when the manifest has no such agent, BULLA_E_FORMAT when they
 * are not rising. */
BULLA_CHECK bulla_rc bulla_pcr_bundles(const struct bulla_manifest *manifest, bulla_bytes agents,
	uint8_t ret[BULLA_PCR_BYTES]);

/* The data that PCR17 was extended with, one after the other: 32 bytes per agent, for attest's binding.bundles. */
BULLA_CHECK bulla_rc bulla_pcr_bundle_data(const struct bulla_manifest *manifest, bulla_bytes agents, bulla_wr *w);
