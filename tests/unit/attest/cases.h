#pragma once
/* Committed cases (tests/vectors/attest/FAMILY-FACTOR.case): evidence with everything it is judged by, made by the labs' own keys, in
 * which one rule alone is broken. A case is a CBOR array: [evidence, anchors, policy, binding, time, collateral]; offsets and
 * widths of the policy's scalars are those of the table in cases.c, so a new field of the policy is appended there. */
#include "attest/attest.h"
#include "attest/dcap.h"

struct attest_case {
	bulla_bytes evidence;
	const struct bulla_attest_collateral *collateral; /* NULL: none */
	const struct bulla_dcap_parts *parts;             /* of collateral->dcap; NULL: none */
	const struct bulla_attest_anchors *anchors;
	const struct bulla_attest_policy *policy;
	const struct bulla_attest_binding *binding;
	struct bulla_attest_time time;
};

/* Appraises; with BULLA_CASES set to a folder also writes the case there as KIND-FACTOR.case, the first of each name. */
bulla_rc case_judge(const char *kind, const struct attest_case *about, struct bulla_attest_result *ret);

#define CASE_LIST 64

/* A case as read: everything may be changed before it is judged. */
struct attest_replay {
	bulla_bytes evidence;
	bulla_bytes lists[8][CASE_LIST];
	struct bulla_attest_value values[CASE_LIST], required[CASE_LIST];
	struct bulla_attest_reference references[CASE_LIST];
	struct bulla_attest_anchor anchor_list[8];
	struct bulla_attest_anchors anchors;
	struct bulla_attest_policy policy;
	struct bulla_attest_binding binding;
	struct bulla_attest_time time;
	struct bulla_attest_collateral collateral;
	struct bulla_dcap_parts parts;
	bool has_parts;
	struct bulla_dcap_collateral dcap;
	struct bulla_buf memory;
};

/* Views into text. The collateral's memory is freed by close. */
void case_open(bulla_bytes text, struct attest_replay *ret);
void case_close(struct attest_replay *replay);

/* Judges it as it stands, Intel's parts read anew; as case_judge. */
bulla_rc case_run(const char *kind, struct attest_replay *replay, struct bulla_attest_result *ret);
