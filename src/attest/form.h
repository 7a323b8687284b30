#pragma once
/* What is wrong with the form of evidence: the rule, the place, the reason; for all that is CBOR and COSE. */
#include "attest/attest.h"
#include "cose/sign1.h"
#include "wire/cbor.h"

/* What a reading's rc stands for; the reader stands at the item that failed. outermost: nothing is around it, so that bytes
 * that are missing are missing at its end; inside, a length reaches beyond what holds it. An item that is encoded well, but is of another
 * type than it must be, breaks FIELDS. For the failure of the thread's newest BULLA_FAIL. */
struct bulla_form_fault bulla_form_fault_of(bulla_rc rc, const bulla_cbor_rd *r, bool outermost);

/* The same of a JSON document, which failed at an offset. */
struct bulla_form_fault bulla_form_json_fault(bulla_rc rc, size_t at);

/* Takes a COSE_Sign1 or COSE_Mac0 (RFC 9052 sections 4.2, 6.2) apart, the tag being optional. header: what the protected header must
 * be, the unprotected one then being empty; when empty, headers are only told apart. *ret has neither alg nor key id. On failure
 * *ret_fault says why. */
BULLA_CHECK bulla_rc bulla_form_cose(bulla_bytes message, uint64_t tag, bulla_bytes header, struct bulla_sign1 *ret,
	struct bulla_form_fault *ret_fault);

/* To guess what the bytes are meant to be: a COSE message, behind whatever tags, of three to five parts or of a length in another
 * form, but no CMW record of three. *ret_message begins with the array. */
bool bulla_form_is_cose(bulla_bytes bytes, bulla_bytes *ret_message);

/* CBOR's tags before anything else (also twice, or not in their shortest form) are skipped. */
bulla_bytes bulla_form_behind_tags(bulla_bytes bytes);

/* The word stands somewhere in the bytes: likewise only to guess. */
bool bulla_form_has(bulla_bytes bytes, bulla_bytes word);
