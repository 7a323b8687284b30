/* First byte: link or birth record, read without believing. Views stay inside; a foreign key verifies nothing. */
#include "fuzz.h"
#include "seal/birth.h"
#include "seal/link.h"

static void check_inside(bulla_bytes view, bulla_bytes in)
{
	fuzz_assert(view.n == 0 || (view.p >= in.p && view.p + view.n <= in.p + in.n));
}

static void fuzz_link(bulla_bytes in)
{
	struct bulla_link_body body;
	bulla_link_id id;

	if (bulla_link_peek(in, &body, &id) != BULLA_OK)
		return;
	check_inside(body.enc, in);
	fuzz_assert(!bulla_link_id_eq(&id, &bulla_link_state));
	fuzz_assert(body.to >= BULLA_TO_AGENT && body.to <= BULLA_TO_BROKER);
}

static void fuzz_birth(bulla_bytes in)
{
	struct bulla_birth birth;

	if (bulla_birth_peek(in, &birth) != BULLA_OK)
		return;
	check_inside(birth.public_key, in);
	check_inside(birth.wrapping_key, in);
	fuzz_assert(birth.public_key.n == (birth.kem == BULLA_KEM_NUMBER_X25519 ? 32u : BULLA_HPKE_PUBLIC_MAX));
	fuzz_assert(birth.policy_form == 1 || birth.policy_form == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 1)
		return 0;
	if (p[0] % 2 == 0)
		fuzz_link(bulla_bytes_of(p + 1, n - 1));
	else
		fuzz_birth(bulla_bytes_of(p + 1, n - 1));
	return 0;
}
