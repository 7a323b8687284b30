/* The Nitro Security Module as a source: its device, or in the development TEE a socket that stands for it. */
#include "tee/source.h"

#include "manifest/pcr.h"
#include "wire/text.h"

#include <string.h>

#define PART 32 /* each extension takes one digest */

/* --nsm fd:N, --nsm DEVICE, or the kernel's device. */
static bulla_rc open_nsm(struct bulla_source *source)
{
	uint64_t number;
	int fd;

	source->tee = BULLA_TEE_NITRO;
	if (source->given != NULL && strncmp(source->given, "fd:", 3) == 0) {
		BULLA_TRY(bulla_text_uint(bulla_bytes_str(source->given + 3), INT32_MAX, &number));
		source->nsm = bulla_nsm_socket((int)number);
		return BULLA_OK;
	}
	if (source->given != NULL)
		BULLA_TRY(bulla_source_device("", source->given, &fd));
	else
		BULLA_TRY(bulla_source_device(source->root, "/dev/nsm", &fd));
	source->nsm = bulla_nsm_device(fd);
	return BULLA_OK;
}

static bulla_rc make_nsm(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER], bulla_bytes nonce,
	bulla_bytes public_key, struct bulla_evidence *ret)
{
	return bulla_nsm_attest(&source->nsm, bulla_bytes_of(binder, BULLA_EVIDENCE_BINDER), nonce, public_key, &ret->report);
}

/* Extends and locks; the register must then hold exactly what the manifest lets everybody compute. */
static bulla_rc seal_register(const struct bulla_nsm *nsm, uint16_t index, bulla_bytes data)
{
	uint8_t value[BULLA_NSM_PCR_SIZE] = {0}, expected[BULLA_PCR_BYTES] = {0};

	for (size_t at = 0; at < data.n; at += PART) {
		bulla_bytes part = bulla_bytes_of(data.p + at, PART);

		bulla_pcr_extend(expected, part);
		BULLA_TRY(bulla_nsm_extend_pcr(nsm, index, part, value));
	}
	BULLA_TRY(bulla_nsm_lock_pcr(nsm, index));
	if (!bulla_bytes_eq(BULLA_BYTES_ARRAY(value), BULLA_BYTES_ARRAY(expected)))
		return BULLA_FAIL(BULLA_E_MEASUREMENT, "a register was used before");
	return BULLA_OK;
}

static bulla_rc measure_nsm(const struct bulla_source *source, const bulla_digest *manifest, bulla_bytes bundles)
{
	BULLA_TRY(seal_register(&source->nsm, BULLA_PCR_MANIFEST, bulla_bytes_digest(manifest)));
	return seal_register(&source->nsm, BULLA_PCR_BUNDLES, bundles);
}

const struct bulla_source_ops bulla_source_nsm = {
	.option = "nsm", .argument = "fd:N|DEVICE", .help = "the security module; else /dev/nsm",
	.open = open_nsm, .make = make_nsm, .measure = measure_nsm, .carries_key = true};
