/* Certificates and revocation lists: every view stays inside the input; a certificate is its own DER. */
#include "crypto/x509.h"
#include "fuzz.h"

static void check_inside(bulla_bytes view, bulla_bytes in)
{
	fuzz_assert(view.n == 0 || (view.p >= in.p && view.p + view.n <= in.p + in.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t name[] = {0x55, 4, 3}, basic[] = {0x55, 0x1d, 0x13};
	bulla_bytes in = bulla_bytes_of(p, n), view;
	struct bulla_cert cert;
	struct bulla_crl crl;
	bool critical;

	if (bulla_cert_parse(in, &cert) == BULLA_OK) {
		const bulla_bytes views[] = {cert.tbs, cert.serial, cert.issuer, cert.subject, cert.spki, cert.extensions,
			cert.signature};

		for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
			check_inside(views[i], in);
		fuzz_assert(bulla_bytes_eq(cert.der, in));
		if (bulla_cert_extension(&cert, BULLA_BYTES_ARRAY(basic), &view, &critical) == BULLA_OK)
			check_inside(view, in);
		if (bulla_name_find(cert.subject, BULLA_BYTES_ARRAY(name), &view) == BULLA_OK)
			check_inside(view, in);
	}
	if (bulla_crl_parse(in, &crl) == BULLA_OK) {
		check_inside(crl.tbs, in);
		check_inside(crl.revoked, in);
		check_inside(crl.signature, in);
	}
	return 0;
}
