#pragma once
/* What the development TEE measures of an enclave before it starts it: PCR0 the program, PCR1 the platform's own launch
 * rules, PCR2 the enclave's configuration. As in an enclave image file, each is SHA-384(48 zero bytes || SHA-384(content)). */
#include "base/bytes.h"
#include "cose/nitro_doc.h"

/* program: the executable's bytes. PCR2 is of the configuration that every enclave has: launched alone, agents named by
 * the manifest, which PCR16 and PCR17 hold. */
void bulla_dev_measure(bulla_bytes program, uint8_t ret[3][BULLA_NITRO_PCR_SIZE]);
