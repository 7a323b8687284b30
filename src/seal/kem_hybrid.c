/* MLKEM768-X25519 as a KEM, and the choice between the two. An enclave links none of this: no broker serves suite `hybrid`. */
#include "crypto/hybrid.h"
#include "seal/hpke.h"

const struct bulla_kem bulla_kem_hybrid = {
	.id = BULLA_KEM_NUMBER_HYBRID, .public_size = BULLA_HYBRID_PUBLIC_SIZE, .enc_size = BULLA_HYBRID_ENC_SIZE,
	.derive = bulla_hybrid_derive, .public_of = bulla_hybrid_public, .encap = bulla_hybrid_encap, .decap = bulla_hybrid_decap};

bulla_rc bulla_kem_of_suite(uint64_t suite, const struct bulla_kem **ret)
{
	if (suite != 1 && suite != 2)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a suite has a number that is not known");
	if (suite == 2 && !bulla_hybrid_available())
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "suite `hybrid` needs libcrypto 3.5 or later");
	*ret = suite == 1 ? &bulla_kem_x25519 : &bulla_kem_hybrid;
	return BULLA_OK;
}
