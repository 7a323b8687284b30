#pragma once
/* Reference values as a file that people write and keep: JSON, strict, unknown names refused (doc/attestation.md).
 *
 * {"v": 1, "tee": ["nitro"], "assurance": "hardware",
 *  "images": [{"pcr0": "9f3c..", "pcr1": "..", "pcr2": ".."}], "required": {"pcr8": ".."},
 *  "debug": false, "strict": true, "max-age-s": 300, "platforms": ["i-0abc.."],
 *  "snp": {"minimum": {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}, "vmpl": [0], "csp": ["CN=.."],
 *          "guest-svn": 0, "abi": [0, 31], "policy-refused": 0, "policy-demanded": 0, "platform-demanded": 32},
 *  "dcap": {"status": ["UpToDate"], "evaluation": 17, "advisories": ["INTEL-SA-00615"], "any-advisory": false,
 *           "no-sept-ve-disable": false, "any-service-td": false, "isvsvn": 1, "event-log": false},
 *  "psa": {"legacy": false, "test-keys": false, "implementations": [".."]}} */
#include "attest/attest.h"
#include "base/wr.h"

#define BULLA_REFERENCE_VALUES 256
#define BULLA_REFERENCE_IMAGES 64
#define BULLA_REFERENCE_LIST 32
#define BULLA_REFERENCE_MEMORY 32768

/* A policy and the memory that it points into: is not copied. About 48 KiB: on the heap. */
struct bulla_reference_file {
	struct bulla_attest_policy policy;
	struct bulla_attest_reference images[BULLA_REFERENCE_IMAGES];
	struct bulla_attest_value values[BULLA_REFERENCE_VALUES];
	size_t value_count;
	bulla_bytes list[BULLA_REFERENCE_LIST];
	size_t list_count;
	uint8_t memory[BULLA_REFERENCE_MEMORY];
	size_t used;
};

/* BULLA_E_FORMAT, BULLA_E_LIMIT, BULLA_E_DUPLICATE; BULLA_E_VERSION unless "v" is 1. Without "images" any measurement is
 * refused: an empty list must be said with "any-image": true. */
BULLA_CHECK bulla_rc bulla_reference_read(bulla_bytes json, struct bulla_reference_file *ret);

/* Whether a sample names code at all: PSA's may not. A reference of one that names none would match nothing. */
bool bulla_reference_has_code(const struct bulla_attest_result *sample);

/* Reference values from a sample that is believed and names code: the measurements that its kind of TEE has, and what of its place is not the
 * default (privilege level, cloud provider of a VLEK, service TD, Azure's paravisor, PSA's first profile). */
void bulla_reference_write(bulla_wr *w, const struct bulla_attest_result *sample);

/* "pcr0", "rtmr3", "measurement": claim and register. False for another name. */
bool bulla_claim_of_name(bulla_bytes name, uint16_t *ret_claim, uint16_t *ret_index);
