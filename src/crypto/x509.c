#include "crypto/x509.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/x509_oid.h"
#include "wire/der.h"

#define VERSION_3 2
#define PATHLEN_MAX 64

/* --- the parts that certificates and CRLs share --- */

/* AlgorithmIdentifiers that are read, byte for byte: parameters are part of the choice. */
struct signature_algorithm {
	enum bulla_sign_alg alg;
	uint8_t size;
	uint8_t der[72];
};

#define PSS_IDENTIFIER(hash, salt) \
	{0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, \
		0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, (hash), 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, \
		0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, \
		0x65, 0x03, 0x04, 0x02, (hash), 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, (salt)}
/* AMD writes trailerField out though it is the default: not DER, but it is what all their certificates carry. */
#define PSS_IDENTIFIER_WITH_TRAILER(hash, salt) \
	{0x30, 0x46, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, \
		0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, (hash), 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, \
		0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, \
		0x65, 0x03, 0x04, 0x02, (hash), 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, (salt), 0xa3, 0x03, 0x02, 0x01, 0x01}
#define ECDSA_IDENTIFIER(hash) {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, (hash)}
#define RSA_IDENTIFIER(hash) \
	{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, (hash), 0x05, 0x00}

static const struct signature_algorithm signature_algorithms[] = {
	{BULLA_ES256, 12, ECDSA_IDENTIFIER(2)},
	{BULLA_ES384, 12, ECDSA_IDENTIFIER(3)},
	{BULLA_ES512, 12, ECDSA_IDENTIFIER(4)},
	{BULLA_RS256, 15, RSA_IDENTIFIER(11)},
	{BULLA_RS384, 15, RSA_IDENTIFIER(12)},
	{BULLA_RS512, 15, RSA_IDENTIFIER(13)},
	{BULLA_PS256, 67, PSS_IDENTIFIER(1, 32)},
	{BULLA_PS384, 67, PSS_IDENTIFIER(2, 48)},
	{BULLA_PS384, 72, PSS_IDENTIFIER_WITH_TRAILER(2, 48)},
	{BULLA_PS512, 67, PSS_IDENTIFIER(3, 64)},
};

static bulla_rc read_algorithm(bulla_rd *r, enum bulla_sign_alg *ret)
{
	bulla_bytes whole;

	BULLA_TRY(bulla_der_rd_whole(r, BULLA_DER_SEQUENCE, &whole));
	for (size_t i = 0; i < sizeof(signature_algorithms) / sizeof(signature_algorithms[0]); i++)
		if (bulla_bytes_eq(whole, bulla_bytes_of(signature_algorithms[i].der, signature_algorithms[i].size))) {
			*ret = signature_algorithms[i].alg;
			return BULLA_OK;
		}
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a certificate's signature algorithm is not one that is read");
}

/* SEQUENCE { tbs, algorithm, signature } with nothing after it. */
static bulla_rc read_signed(bulla_bytes der, size_t most, bulla_bytes *ret_tbs, enum bulla_sign_alg *ret_alg,
	bulla_bytes *ret_signature)
{
	bulla_rd r = bulla_rd_of(der), inner;

	if (der.n > most)
		return BULLA_FAIL(BULLA_E_LIMIT, "a certificate or CRL is too long");
	BULLA_TRY(bulla_der_rd_enter(&r, BULLA_DER_SEQUENCE, &inner));
	BULLA_TRY(bulla_rd_end(&r));
	BULLA_TRY(bulla_der_rd_whole(&inner, BULLA_DER_SEQUENCE, ret_tbs));
	BULLA_TRY(read_algorithm(&inner, ret_alg));
	BULLA_TRY(bulla_der_rd_bits(&inner, ret_signature));
	return bulla_rd_end(&inner);
}

static bulla_rc verify_signed(bulla_bytes tbs, enum bulla_sign_alg alg, bulla_bytes signature,
	struct bulla_verify_key *issuer_key)
{
	bulla_rc rc = bulla_verify_der(issuer_key, alg, tbs, signature);

	if (rc == BULLA_E_ARGUMENT) /* a key of another kind than the algorithm's cannot have made it */
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a certificate's signature is not of its issuer's kind");
	return rc;
}

/* --- extensions --- */

struct extension {
	bulla_bytes oid;
	bulla_bytes value;
	bool critical;
};

static bulla_rc read_extension(bulla_rd *r, struct extension *ret)
{
	struct extension extension = {.critical = false};
	bulla_rd inner;

	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_SEQUENCE, &inner));
	BULLA_TRY(bulla_der_rd_value(&inner, BULLA_DER_OID, &extension.oid));
	if (bulla_der_next_is(&inner, BULLA_DER_BOOLEAN))
		BULLA_TRY(bulla_der_rd_bool(&inner, &extension.critical));
	BULLA_TRY(bulla_der_rd_value(&inner, BULLA_DER_OCTET_STRING, &extension.value));
	BULLA_TRY(bulla_rd_end(&inner));
	*ret = extension;
	return BULLA_OK;
}

static bulla_rc read_basic(bulla_bytes value, struct bulla_cert *cert)
{
	bulla_rd r = bulla_rd_of(value), inner;
	uint64_t pathlen;

	BULLA_TRY(bulla_der_rd_enter(&r, BULLA_DER_SEQUENCE, &inner));
	BULLA_TRY(bulla_rd_end(&r));
	cert->has_basic = true;
	if (bulla_der_next_is(&inner, BULLA_DER_BOOLEAN))
		BULLA_TRY(bulla_der_rd_bool(&inner, &cert->ca));
	if (bulla_rd_left(&inner) > 0) {
		BULLA_TRY(bulla_der_rd_uint(&inner, PATHLEN_MAX, &pathlen));
		cert->pathlen = (int)pathlen;
	}
	return bulla_rd_end(&inner);
}

/* Bit 0 is the first one of the string: the highest of its first octet. */
static bulla_rc read_usage(bulla_bytes value, struct bulla_cert *cert)
{
	bulla_rd r = bulla_rd_of(value);
	bulla_bytes bits;

	BULLA_TRY(bulla_der_rd_value(&r, BULLA_DER_BIT_STRING, &bits));
	BULLA_TRY(bulla_rd_end(&r));
	if (bits.n < 2 || bits.n > 3 || bits.p[0] > 7)
		return BULLA_FAIL(BULLA_E_FORMAT, "a certificate's key usage is not a short bit string");
	cert->has_usage = true;
	for (unsigned i = 0; i < 8 * (bits.n - 1) - bits.p[0]; i++)
		if ((bits.p[1 + i / 8] & 0x80 >> i % 8) != 0)
			cert->usage |= 1u << i;
	return BULLA_OK;
}

/* Each extension once; those that decide about a chain are read now. */
static bulla_rc read_extensions(bulla_bytes extensions, struct bulla_cert *cert)
{
	bulla_rd r = bulla_rd_of(extensions);
	struct extension extension, other;

	while (bulla_rd_left(&r) > 0) {
		bulla_rd rest;

		BULLA_TRY(read_extension(&r, &extension));
		for (rest = r; bulla_rd_left(&rest) > 0;) {
			BULLA_TRY(read_extension(&rest, &other));
			if (bulla_bytes_eq(extension.oid, other.oid))
				return BULLA_FAIL(BULLA_E_DUPLICATE, "a certificate has an extension twice");
		}
		if (bulla_bytes_eq(extension.oid, OID(OID_BASIC_CONSTRAINTS)))
			BULLA_TRY(read_basic(extension.value, cert));
		else if (bulla_bytes_eq(extension.oid, OID(OID_KEY_USAGE)))
			BULLA_TRY(read_usage(extension.value, cert));
		else if (extension.critical && !bulla_bytes_eq(extension.oid, OID(OID_EXTENDED_USAGE)))
			cert->unknown_critical = true;
	}
	return BULLA_OK;
}

/* --- certificates --- */

static bulla_rc read_version(bulla_rd *r, uint64_t *ret)
{
	bulla_rd inner;

	*ret = 0;
	if (!bulla_der_next_is(r, BULLA_DER_EXPLICIT(0)))
		return BULLA_OK;
	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_EXPLICIT(0), &inner));
	BULLA_TRY(bulla_der_rd_uint(&inner, VERSION_3, ret));
	return bulla_rd_end(&inner);
}

static bulla_rc read_validity(bulla_rd *r, struct bulla_cert *cert)
{
	bulla_rd inner;

	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_SEQUENCE, &inner));
	BULLA_TRY(bulla_der_rd_time(&inner, &cert->not_before));
	BULLA_TRY(bulla_der_rd_time(&inner, &cert->not_after));
	return bulla_rd_end(&inner);
}

static bulla_rc read_tail(bulla_rd *r, uint64_t version, struct bulla_cert *cert)
{
	bulla_rd explicit_part;
	bulla_bytes unused;

	for (unsigned n = 1; n <= 2; n++) /* issuerUniqueID, subjectUniqueID */
		if (bulla_der_next_is(r, BULLA_DER_CONTEXT(n)))
			BULLA_TRY(bulla_der_rd_value(r, BULLA_DER_CONTEXT(n), &unused));
	if (bulla_rd_left(r) == 0)
		return BULLA_OK;
	if (version != VERSION_3)
		return BULLA_FAIL(BULLA_E_FORMAT, "a certificate of an old version has extensions");
	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_EXPLICIT(3), &explicit_part));
	BULLA_TRY(bulla_rd_end(r));
	BULLA_TRY(bulla_der_rd_value(&explicit_part, BULLA_DER_SEQUENCE, &cert->extensions));
	BULLA_TRY(bulla_rd_end(&explicit_part));
	return read_extensions(cert->extensions, cert);
}

static bulla_rc read_tbs(struct bulla_cert *cert)
{
	bulla_rd outer = bulla_rd_of(cert->tbs), r;
	enum bulla_sign_alg inner_alg;
	uint64_t version;

	BULLA_TRY(bulla_der_rd_enter(&outer, BULLA_DER_SEQUENCE, &r));
	BULLA_TRY(read_version(&r, &version));
	BULLA_TRY(bulla_der_rd_integer(&r, &cert->serial));
	BULLA_TRY(read_algorithm(&r, &inner_alg));
	if (inner_alg != cert->alg) /* RFC 5280 section 4.1.1.2 */
		return BULLA_FAIL(BULLA_E_FORMAT, "a certificate names two signature algorithms");
	BULLA_TRY(bulla_der_rd_whole(&r, BULLA_DER_SEQUENCE, &cert->issuer));
	BULLA_TRY(read_validity(&r, cert));
	BULLA_TRY(bulla_der_rd_whole(&r, BULLA_DER_SEQUENCE, &cert->subject));
	BULLA_TRY(bulla_der_rd_whole(&r, BULLA_DER_SEQUENCE, &cert->spki));
	return read_tail(&r, version, cert);
}

bulla_rc bulla_cert_parse(bulla_bytes der, struct bulla_cert *ret)
{
	struct bulla_cert cert = {.der = der, .pathlen = -1};

	BULLA_TRY(read_signed(der, BULLA_CERT_MAX, &cert.tbs, &cert.alg, &cert.signature));
	BULLA_TRY(read_tbs(&cert));
	*ret = cert;
	return BULLA_OK;
}

bulla_rc bulla_cert_extension(const struct bulla_cert *cert, bulla_bytes oid, bulla_bytes *ret_value, bool *ret_critical)
{
	bulla_rd r = bulla_rd_of(cert->extensions);
	struct extension extension;

	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(read_extension(&r, &extension));
		if (!bulla_bytes_eq(extension.oid, oid))
			continue;
		*ret_value = extension.value;
		*ret_critical = extension.critical;
		return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_NOT_FOUND, "a certificate does not have this extension");
}

/* RDNSequence: SEQUENCE of SET of SEQUENCE { OID, string }. */
static bulla_rc find_in_set(bulla_rd *set, bulla_bytes oid, bulla_bytes *ret, bool *ret_found)
{
	bulla_rd pair;
	bulla_bytes type;
	struct bulla_der value;

	while (bulla_rd_left(set) > 0) {
		BULLA_TRY(bulla_der_rd_enter(set, BULLA_DER_SEQUENCE, &pair));
		BULLA_TRY(bulla_der_rd_value(&pair, BULLA_DER_OID, &type));
		BULLA_TRY(bulla_der_rd(&pair, &value));
		BULLA_TRY(bulla_rd_end(&pair));
		if (!*ret_found && bulla_bytes_eq(type, oid)) {
			*ret = value.value;
			*ret_found = true;
		}
	}
	return BULLA_OK;
}

bulla_rc bulla_name_find(bulla_bytes name, bulla_bytes oid, bulla_bytes *ret)
{
	bulla_rd r = bulla_rd_of(name), sets, set;
	bulla_bytes value = {NULL, 0};
	bool found = false;

	BULLA_TRY(bulla_der_rd_enter(&r, BULLA_DER_SEQUENCE, &sets));
	BULLA_TRY(bulla_rd_end(&r));
	while (bulla_rd_left(&sets) > 0) {
		BULLA_TRY(bulla_der_rd_enter(&sets, BULLA_DER_SET, &set));
		BULLA_TRY(find_in_set(&set, oid, &value, &found));
	}
	if (!found)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "a name does not have this attribute");
	*ret = value;
	return BULLA_OK;
}

bulla_rc bulla_cert_key(const struct bulla_cert *cert, struct bulla_verify_key **ret)
{
	return bulla_verify_key_spki(cert->spki, ret);
}

bulla_rc bulla_cert_signed_by(const struct bulla_cert *cert, struct bulla_verify_key *issuer_key)
{
	return verify_signed(cert->tbs, cert->alg, cert->signature, issuer_key);
}

/* --- CRLs --- */

static bulla_rc read_crl_head(bulla_rd *r, struct bulla_crl *crl)
{
	enum bulla_sign_alg inner_alg;
	uint64_t version = 0;

	if (bulla_der_next_is(r, BULLA_DER_INTEGER))
		BULLA_TRY(bulla_der_rd_uint(r, 1, &version));
	BULLA_TRY(read_algorithm(r, &inner_alg));
	if (inner_alg != crl->alg)
		return BULLA_FAIL(BULLA_E_FORMAT, "a CRL names two signature algorithms");
	BULLA_TRY(bulla_der_rd_whole(r, BULLA_DER_SEQUENCE, &crl->issuer));
	BULLA_TRY(bulla_der_rd_time(r, &crl->this_update));
	return bulla_der_rd_time(r, &crl->next_update);
}

/* Delta CRLs and CRLs of a part of the certificates are marked by critical extensions: none is understood. */
static bulla_rc check_crl_extensions(bulla_rd *r)
{
	bulla_rd part, extensions;
	struct extension extension;

	if (bulla_rd_left(r) == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_EXPLICIT(0), &part));
	BULLA_TRY(bulla_rd_end(r));
	BULLA_TRY(bulla_der_rd_enter(&part, BULLA_DER_SEQUENCE, &extensions));
	BULLA_TRY(bulla_rd_end(&part));
	while (bulla_rd_left(&extensions) > 0) {
		BULLA_TRY(read_extension(&extensions, &extension));
		if (extension.critical)
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a CRL has a critical extension that is not understood");
	}
	return BULLA_OK;
}

static bulla_rc read_revoked(bulla_rd *r, bulla_bytes *ret_serial)
{
	bulla_rd entry;
	int64_t when;
	bulla_bytes extensions;

	BULLA_TRY(bulla_der_rd_enter(r, BULLA_DER_SEQUENCE, &entry));
	BULLA_TRY(bulla_der_rd_integer(&entry, ret_serial));
	BULLA_TRY(bulla_der_rd_time(&entry, &when));
	if (bulla_rd_left(&entry) > 0)
		BULLA_TRY(bulla_der_rd_value(&entry, BULLA_DER_SEQUENCE, &extensions));
	return bulla_rd_end(&entry);
}

bulla_rc bulla_crl_parse(bulla_bytes der, struct bulla_crl *ret)
{
	struct bulla_crl crl = {.der = der};
	bulla_rd outer, r, list;
	bulla_bytes serial;

	BULLA_TRY(read_signed(der, BULLA_CRL_MAX, &crl.tbs, &crl.alg, &crl.signature));
	outer = bulla_rd_of(crl.tbs);
	BULLA_TRY(bulla_der_rd_enter(&outer, BULLA_DER_SEQUENCE, &r));
	BULLA_TRY(read_crl_head(&r, &crl));
	if (bulla_der_next_is(&r, BULLA_DER_SEQUENCE))
		BULLA_TRY(bulla_der_rd_value(&r, BULLA_DER_SEQUENCE, &crl.revoked));
	BULLA_TRY(check_crl_extensions(&r));
	for (list = bulla_rd_of(crl.revoked); bulla_rd_left(&list) > 0;)
		BULLA_TRY(read_revoked(&list, &serial));
	*ret = crl;
	return BULLA_OK;
}

bulla_rc bulla_crl_verify(const struct bulla_crl *crl, const struct bulla_cert *issuer, int64_t time)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;

	if (!bulla_bytes_eq(crl->issuer, issuer->subject))
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "a CRL names another issuer");
	if (issuer->has_usage && (issuer->usage & BULLA_USAGE_CRL_SIGN) == 0)
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "an issuer may not sign CRLs");
	BULLA_TRY(bulla_cert_key(issuer, &key));
	if (verify_signed(crl->tbs, crl->alg, crl->signature, key) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "a CRL's signature does not verify");
	if (time < crl->this_update || time > crl->next_update)
		return BULLA_FAIL(BULLA_E_EVIDENCE_STALE, "a CRL is not of that time");
	return BULLA_OK;
}

bulla_rc bulla_crl_check(const struct bulla_crl *crl, const struct bulla_cert *cert)
{
	bulla_rd list = bulla_rd_of(crl->revoked);
	bulla_bytes serial;

	if (!bulla_bytes_eq(crl->issuer, cert->issuer))
		return BULLA_FAIL(BULLA_E_EVIDENCE_CHAIN, "a CRL is not of the certificate's issuer");
	while (bulla_rd_left(&list) > 0) {
		BULLA_TRY(read_revoked(&list, &serial));
		if (bulla_bytes_eq(serial, cert->serial))
			return BULLA_FAIL(BULLA_E_REVOKED, "a certificate is revoked");
	}
	return BULLA_OK;
}
