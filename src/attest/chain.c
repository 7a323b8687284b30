#include "attest/chain.h"

#include "attest/deny.h"
#include "crypto/hash.h"

/* The heads of SubjectPublicKeyInfo for named curves (RFC 5480) and RSA (RFC 3279), up to the key itself. */
static const uint8_t p256_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
static const uint8_t p384_head[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};
static const uint8_t rsa_algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
	0x05, 0x00};

static bool starts_with(bulla_bytes bytes, bulla_bytes head)
{
	return bytes.n >= head.n && bulla_bytes_eq(bulla_bytes_of(bytes.p, head.n), head);
}

bool bulla_spki_type(bulla_bytes spki, enum bulla_key_type *ret)
{
	if (spki.n == 91 && starts_with(spki, BULLA_BYTES_ARRAY(p256_head)))
		*ret = BULLA_KEY_P256;
	else if (spki.n == 120 && starts_with(spki, BULLA_BYTES_ARRAY(p384_head)))
		*ret = BULLA_KEY_P384;
	else if (spki.n > 260 && starts_with(bulla_bytes_of(spki.p + 4, spki.n - 4), BULLA_BYTES_ARRAY(rsa_algorithm)))
		*ret = BULLA_KEY_RSA;
	else
		return false;
	return true;
}

static size_t cert_at(const struct bulla_attest_run *run, const struct bulla_cert *cert)
{
	return bulla_run_at(run, cert->der);
}

static bool check_order(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (!bulla_bytes_eq(certs[i].issuer, certs[i - 1].subject) &&
			!bulla_run_fail(run, BULLA_FACTOR_CHAIN_ORDER, cert_at(run, &certs[i]),
				"issuer and subject names differ"))
			return false;
	bulla_run_hold(run, BULLA_FACTOR_CHAIN_ORDER);
	return true;
}

/* certs[i] has count - 2 - i CAs below it. */
static bool is_ca(const struct bulla_cert *cert, size_t below)
{
	bool usage = !cert->has_usage || (cert->usage & BULLA_USAGE_CERT_SIGN) != 0;

	return cert->has_basic && cert->ca && usage && (cert->pathlen < 0 || (size_t)cert->pathlen >= below);
}

static bool check_ca(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++)
		if (!is_ca(&certs[i], count - 2 - i) &&
			!bulla_run_fail(run, BULLA_FACTOR_CHAIN_CA, cert_at(run, &certs[i]),
				"a signer is no CA, or beyond its path length"))
			return false;
	bulla_run_hold(run, BULLA_FACTOR_CHAIN_CA);
	return true;
}

static bool check_form(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (certs[i].unknown_critical &&
			!bulla_run_fail(run, BULLA_FACTOR_CHAIN_FORM, cert_at(run, &certs[i]),
				"a certificate has an unknown critical extension"))
			return false;
	bulla_run_hold(run, BULLA_FACTOR_CHAIN_FORM);
	return true;
}

static bool alg_fits(enum bulla_sign_alg alg, enum bulla_key_type signer)
{
	if (signer == BULLA_KEY_P256)
		return alg == BULLA_ES256;
	if (signer == BULLA_KEY_P384)
		return alg == BULLA_ES384;
	return signer == BULLA_KEY_RSA && alg == BULLA_PS384;
}

static bool check_keys(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count,
	const struct bulla_chain_rules *rules)
{
	enum bulla_key_type signer = BULLA_KEY_P521;

	for (size_t i = 0; i < count; i++) {
		enum bulla_key_type type = BULLA_KEY_P521;
		bool known = bulla_spki_type(certs[i].spki, &type);
		unsigned allowed = i + 1 < count ? rules->ca_types : rules->leaf_types;
		bool good = known && (allowed >> type & 1) != 0 && alg_fits(certs[i].alg, i == 0 ? type : signer);

		if (!good && !bulla_run_fail(run, BULLA_FACTOR_CHAIN_KEYS, cert_at(run, &certs[i]),
			"a key or signature algorithm is not the vendor's kind"))
			return false;
		signer = type;
	}
	bulla_run_hold(run, BULLA_FACTOR_CHAIN_KEYS);
	return true;
}

static void check_dates(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count, int64_t time)
{
	for (size_t i = 0; i < count; i++) {
		bulla_run_window(run, certs[i].not_before, certs[i].not_after);
		if (time < certs[i].not_before)
			bulla_run_fail(run, BULLA_FACTOR_CHAIN_DATES, cert_at(run, &certs[i]),
				"a certificate is not yet valid");
		if (time > certs[i].not_after)
			bulla_run_fail(run, BULLA_FACTOR_CHAIN_DATES, cert_at(run, &certs[i]), "a certificate has expired");
	}
	bulla_run_hold(run, BULLA_FACTOR_CHAIN_DATES);
}

static void cache_key(const struct bulla_attest_run *run, const struct bulla_cert *cert,
	const struct bulla_cert *issuer, bulla_digest *ret)
{
	uint8_t generation[8];

	for (unsigned i = 0; i < 8; i++)
		generation[i] = (uint8_t)(run->policy->generation >> (8 * i));
	bulla_bytes parts[] = {BULLA_BYTES_ARRAY(generation), issuer->spki, cert->der};
	bulla_sha256_parts(parts, 3, ret);
}

bool bulla_run_signed_by(struct bulla_attest_run *run, const struct bulla_cert *cert, const struct bulla_cert *issuer)
{
	BULLA_AUTO_VERIFY_KEY key = NULL;
	bulla_digest id;

	if (run->cache != NULL) {
		cache_key(run, cert, issuer, &id);
		if (bulla_attest_cache_has(run->cache, &id, run->result->time_ms))
			return true;
	}
	if (bulla_cert_key(issuer, &key) != BULLA_OK || bulla_cert_signed_by(cert, key) != BULLA_OK)
		return false;
	if (run->cache != NULL)
		bulla_attest_cache_put(run->cache, &id, cert->not_after * 1000);
	return true;
}

static bool check_signatures(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (!bulla_run_signed_by(run, &certs[i], &certs[i - 1]) &&
			!bulla_run_fail(run, BULLA_FACTOR_CHAIN_SIGNATURES, cert_at(run, &certs[i]),
				"a certificate's signature does not verify"))
			return false;
	bulla_run_hold(run, BULLA_FACTOR_CHAIN_SIGNATURES);
	return true;
}

static bool check_leaf(struct bulla_attest_run *run, const struct bulla_cert *leaf,
	const struct bulla_chain_rules *rules)
{
	bool ca = leaf->has_basic && leaf->ca;
	bool signs = leaf->has_usage ? (leaf->usage & BULLA_USAGE_SIGNATURE) != 0 : !rules->leaf_signs;

	return bulla_run_check(run, BULLA_FACTOR_LEAF_USAGE, !ca && signs && (leaf->has_basic || !rules->leaf_signs),
		cert_at(run, leaf), "the leaf is a CA, or may not sign data");
}

bool bulla_run_links(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count,
	const struct bulla_chain_rules *rules)
{
	if (!check_form(run, certs, count) || !check_order(run, certs, count) || !check_ca(run, certs, count) ||
		!check_keys(run, certs, count, rules) || !check_leaf(run, &certs[count - 1], rules))
		return false;
	check_dates(run, certs, count, rules->time);
	return check_signatures(run, certs, count);
}

static bool family_fits(enum bulla_tee family, unsigned tee)
{
	return tee == (unsigned)family || (family == BULLA_TEE_NITRO && tee == BULLA_TEE_DEV);
}

static const struct bulla_attest_anchor *find_anchor(const struct bulla_attest_run *run, const struct bulla_cert *root,
	enum bulla_tee family)
{
	bulla_digest der, spki;

	bulla_sha256(root->der, &der);
	bulla_sha256(root->spki, &spki);
	for (size_t i = 0; i < run->anchors->count; i++) {
		const struct bulla_attest_anchor *anchor = &run->anchors->list[i];
		const bulla_digest *found = anchor->how == BULLA_ANCHOR_CERTIFICATE ? &der : &spki;

		if (family_fits(family, anchor->tee) && (anchor->how == BULLA_ANCHOR_CERTIFICATE || anchor->how == BULLA_ANCHOR_KEY) &&
			bulla_bytes_eq(anchor->id, bulla_bytes_digest(found)))
			return anchor;
	}
	return NULL;
}

/* Simulators' roots: whoever pins one must say that test keys are welcome. */
static bool check_published(struct bulla_attest_run *run, const struct bulla_cert *root)
{
	if (run->policy->psa.allow_test_keys) {
		bulla_run_skip(run, BULLA_FACTOR_TEST_KEY, BULLA_WHY_POLICY_ANY);
		return true;
	}
	return bulla_run_check(run, BULLA_FACTOR_TEST_KEY, !bulla_key_is_published(root->spki), cert_at(run, root),
		"the root's private key is published");
}

/* A key anchor's certificate is believed only as far as its key signed it. */
static bool signed_itself(struct bulla_attest_run *run, const struct bulla_cert *root)
{
	bulla_digest id;

	bulla_sha256(root->der, &id);
	return bulla_attest_root_is_known(&id) || bulla_run_signed_by(run, root, root);
}

bool bulla_run_chain(struct bulla_attest_run *run, const struct bulla_cert *certs, size_t count,
	const struct bulla_chain_rules *rules, const struct bulla_attest_anchor **ret_anchor,
	struct bulla_verify_key **ret_key)
{
	const struct bulla_attest_anchor *anchor = find_anchor(run, &certs[0], rules->family);

	if (!bulla_run_check(run, BULLA_FACTOR_ANCHOR, anchor != NULL, cert_at(run, &certs[0]),
		"the root is not a pinned anchor"))
		return false;
	if (anchor != NULL && anchor->how == BULLA_ANCHOR_KEY && !signed_itself(run, &certs[0]) &&
		!bulla_run_fail(run, BULLA_FACTOR_ANCHOR, cert_at(run, &certs[0]), "the root's own signature is wrong"))
		return false;
	if (!check_published(run, &certs[0]) || !bulla_run_links(run, certs, count, rules))
		return false;
	if (bulla_cert_key(&certs[count - 1], ret_key) != BULLA_OK)
		return bulla_run_stop(run, BULLA_FACTOR_CHAIN_KEYS, cert_at(run, &certs[count - 1]),
			"the leaf's key is no point of its curve");
	*ret_anchor = anchor;
	return true;
}
