#include "attest/psa.h"

#include "cose/header.h"
#include "wire/cbor.h"

#define TEXT_MAX 256
#define CLAIMS_MAX 24

enum field { NONCE, INSTANCE, PROFILE, SEED, CLIENT, LIFECYCLE, IMPLEMENTATION, COMPONENTS, NO_COMPONENTS, CERTIFICATION,
	SERVICE, CONFIG, HASH };

struct row {
	int64_t key;
	enum field field;
};

/* RFC 9783 section 4; psa/2.0.0's boot seed (2397); PSA_IOT_PROFILE_1 (-75000 and below); CCA platform (2401, 2402) */
static const struct row rows[] = {
	{10, NONCE}, {256, INSTANCE}, {265, PROFILE}, {268, SEED}, {2397, SEED}, {2394, CLIENT}, {2395, LIFECYCLE},
	{2396, IMPLEMENTATION}, {2398, CERTIFICATION}, {2399, COMPONENTS}, {2400, SERVICE}, {2401, CONFIG}, {2402, HASH},
	{-75000, PROFILE}, {-75001, CLIENT}, {-75002, LIFECYCLE}, {-75003, IMPLEMENTATION}, {-75004, SEED},
	{-75005, CERTIFICATION}, {-75006, COMPONENTS}, {-75007, NO_COMPONENTS}, {-75008, NONCE}, {-75009, INSTANCE},
	{-75010, SERVICE},
};

struct profile {
	const char *name;
	enum bulla_psa_profile profile;
};

static const struct profile profiles[] = {
	{"tag:psacertified.org,2023:psa#tfm", BULLA_PSA_RFC9783},
	{"http://arm.com/psa/2.0.0", BULLA_PSA_2_0_0},
	{"PSA_IOT_PROFILE_1", BULLA_PSA_IOT_1},
	{"http://arm.com/CCA-SSD/1.0.0", BULLA_PSA_CCA},
	{"tag:arm.com,2023:cca_platform#1.0.0", BULLA_PSA_CCA},
};

static bulla_rc read_sized(bulla_cbor_rd *r, size_t a, size_t b, size_t c, bulla_bytes *ret)
{
	bulla_cbor_rd next = *r;
	bulla_bytes value;

	BULLA_TRY(bulla_cbor_rd_bytes(&next, &value));
	if (value.n != a && value.n != b && value.n != c)
		return BULLA_FAIL(BULLA_E_LIMIT, "a claim has a size that it may not have");
	*r = next;
	*ret = value;
	return BULLA_OK;
}

static bulla_rc read_profile(bulla_cbor_rd *r, struct bulla_psa_claims *ret)
{
	BULLA_TRY(bulla_cbor_rd_text(r, TEXT_MAX, &ret->profile_name));
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
		if (bulla_bytes_eq_str(ret->profile_name, profiles[i].name))
			ret->profile = profiles[i].profile;
	return BULLA_OK;
}

/* A UEID of the kind RAND (RFC 9711 section 4.2.1.1): 01, and the hash of the key. */
static bulla_rc read_instance(bulla_cbor_rd *r, bulla_bytes *ret)
{
	const bulla_cbor_rd begin = *r;

	BULLA_TRY(read_sized(r, 33, 33, 33, ret));
	if (ret->p[0] == 1)
		return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_FORMAT, "the instance id's first byte is not 01");
}

static bulla_rc read_seed(bulla_cbor_rd *r, bulla_bytes *ret)
{
	const bulla_cbor_rd begin = *r;

	BULLA_TRY(bulla_cbor_rd_bytes_max(r, 32, ret));
	if (ret->n >= 8)
		return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_LIMIT, "a claim has a size that it may not have");
}

static bulla_rc read_client(bulla_cbor_rd *r, int64_t *ret)
{
	const bulla_cbor_rd begin = *r;

	BULLA_TRY(bulla_cbor_rd_int(r, ret));
	if (*ret >= INT32_MIN && *ret <= INT32_MAX)
		return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_LIMIT, "the client id does not fit 32 bits");
}

bulla_rc bulla_psa_hash_name(bulla_cbor_rd *r, bulla_bytes *ret)
{
	static const char *const names[] = {"sha-256", "sha-384", "sha-512"};
	const bulla_cbor_rd begin = *r;

	BULLA_TRY(bulla_cbor_rd_text(r, 16, ret));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bulla_bytes_eq_str(*ret, names[i]))
			return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_FORMAT, "the hash is none that is known by that name");
}

bulla_rc bulla_psa_measurement(bulla_cbor_rd *r, bulla_bytes *ret)
{
	return read_sized(r, 32, 48, 64, ret);
}

static bulla_rc read_component_field(bulla_cbor_rd *r, int64_t key, bulla_bytes *ret)
{
	bulla_bytes ignored;

	switch (key) {
	case 2:
		return bulla_psa_measurement(r, ret);
	case 5:
		return bulla_psa_measurement(r, &ignored);
	case 1:
	case 4:
	case 6:
		return bulla_cbor_rd_text(r, TEXT_MAX, &ignored);
	default:
		return bulla_cbor_rd_skip(r, &ignored);
	}
}

/* {1: type, 2: measurement value, 4: version, 5: signer id, 6: digest's name}; value and signer must be there */
static bulla_rc read_component(bulla_cbor_rd *r, bulla_bytes *ret)
{
	const bulla_cbor_rd begin = *r;
	struct bulla_cbor_map map;
	int64_t key;
	bool value = false, signer = false;

	BULLA_TRY(bulla_cbor_rd_map(r, 8, &map));
	while (bulla_cbor_map_more(r, &map)) {
		BULLA_TRY(bulla_cbor_rd_key_int(r, &map, &key));
		BULLA_TRY(read_component_field(r, key, ret));
		value = value || key == 2;
		signer = signer || key == 5;
	}
	if (value && signer)
		return BULLA_OK;
	*r = begin;
	return BULLA_FAIL(BULLA_E_FORMAT, "a software component has no measurement, or no signer");
}

static bulla_rc read_components(bulla_cbor_rd *r, struct bulla_psa_claims *ret)
{
	const bulla_cbor_rd begin = *r;
	size_t count;

	BULLA_TRY(bulla_cbor_rd_array(r, BULLA_PSA_COMPONENTS, &count));
	if (count == 0) {
		*r = begin;
		return BULLA_FAIL(BULLA_E_FORMAT, "the list of software components is empty");
	}
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(read_component(r, &ret->components[i]));
	ret->component_count = count;
	return BULLA_OK;
}

static bulla_rc read_value(bulla_cbor_rd *r, enum field field, struct bulla_psa_claims *ret)
{
	bulla_bytes ignored;

	switch (field) {
	case NONCE:
		return read_sized(r, 32, 48, 64, &ret->challenge);
	case INSTANCE:
		return read_instance(r, &ret->instance_id);
	case PROFILE:
		return read_profile(r, ret);
	case SEED:
		return read_seed(r, &ret->boot_seed);
	case CLIENT:
		return read_client(r, &ret->client_id);
	case LIFECYCLE:
		ret->lifecycle_raw = bulla_bytes_of(r->rd.p + r->rd.at, 1);
		return bulla_cbor_rd_uint_max(r, UINT16_MAX, &ret->lifecycle);
	case IMPLEMENTATION:
		return read_sized(r, 32, 32, 32, &ret->implementation_id);
	case COMPONENTS:
		return read_components(r, ret);
	case NO_COMPONENTS:
		return bulla_cbor_rd_expect_int(r, 1);
	case CERTIFICATION:
	case SERVICE:
		return bulla_cbor_rd_text(r, TEXT_MAX, &ignored);
	case CONFIG:
		return bulla_cbor_rd_bytes(r, &ignored);
	case HASH:
		return bulla_psa_hash_name(r, &ignored);
	}
	return BULLA_FAIL(BULLA_E_ARGUMENT, "no such claim");
}

static bulla_rc read_claim(bulla_cbor_rd *r, struct bulla_cbor_map *map, struct bulla_psa_claims *ret)
{
	const bulla_cbor_rd begin = *r;
	bulla_bytes ignored;
	int64_t key;

	BULLA_TRY(bulla_cbor_rd_key_int(r, map, &key));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].key != key)
			continue;
		/* old and new number of one claim in the same token */
		if ((ret->seen >> rows[i].field & 1) != 0) {
			*r = begin;
			return BULLA_FAIL(BULLA_E_DUPLICATE, "a claim is there twice under two numbers");
		}
		ret->seen |= 1u << rows[i].field;
		return read_value(r, rows[i].field, ret);
	}
	if (ret->unknown++ == 0)
		ret->unknown_at = begin.rd.at;
	return bulla_cbor_rd_skip(r, &ignored);
}

bool bulla_psa_claims_whole(const struct bulla_psa_claims *claims)
{
	const unsigned components = 1u << COMPONENTS | (claims->profile == BULLA_PSA_IOT_1 ? 1u << NO_COMPONENTS : 0);
	const unsigned needed = claims->profile == BULLA_PSA_CCA ? 1u << CONFIG | 1u << HASH : 1u << CLIENT;

	return (claims->seen & components) != 0 && (claims->seen & needed) == needed;
}

/* What every profile has; what one alone must have: bulla_psa_claims_whole, once the profile is an accepted one. */
static bulla_rc read_all(bulla_cbor_rd *r, struct bulla_psa_claims *ret)
{
	const unsigned needed = 1u << NONCE | 1u << INSTANCE | 1u << PROFILE | 1u << LIFECYCLE | 1u << IMPLEMENTATION;
	struct bulla_cbor_map map;

	BULLA_TRY(bulla_cbor_rd_map(r, CLAIMS_MAX, &map));
	while (bulla_cbor_map_more(r, &map))
		BULLA_TRY(read_claim(r, &map, ret));
	BULLA_TRY(bulla_cbor_rd_end(r));
	if ((ret->seen & needed) == needed)
		return BULLA_OK;
	r->rd.at = 0;
	return BULLA_FAIL(BULLA_E_FORMAT, "a mandatory claim is missing");
}

/* A protected header that protects no algorithm: empty, or a map of other labels. */
static bool names_no_algorithm(bulla_bytes header)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(header);
	struct bulla_cbor_map map;
	bulla_bytes ignored;
	int64_t label = 0;

	if (header.n == 0)
		return true;
	if (bulla_cbor_rd_map(&r, 8, &map) != BULLA_OK)
		return false;
	while (bulla_cbor_map_more(&r, &map))
		if (bulla_cbor_rd_key_int(&r, &map, &label) != BULLA_OK || label == 1 ||
			bulla_cbor_rd_skip(&r, &ignored) != BULLA_OK)
			return false;
	return true;
}

bulla_rc bulla_psa_headers(bulla_bytes message, struct bulla_sign1 *cose, struct bulla_form_fault *ret_fault)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(cose->protected_raw);
	struct cose_header header;
	bulla_rc rc = bulla_cose_header_read(cose->protected_raw, &header);

	if (rc != BULLA_OK) {
		*ret_fault = bulla_form_fault_of(rc, &r, false);
		ret_fault->at += (size_t)(cose->protected_raw.p - message.p);
		if (names_no_algorithm(cose->protected_raw))
			*ret_fault = (struct bulla_form_fault){BULLA_FACTOR_ALGORITHM, ret_fault->at - 1,
				"the protected header names no algorithm"};
		return rc;
	}
	cose->alg = header.alg;
	return BULLA_OK;
}

bulla_rc bulla_psa_open(bulla_bytes token, struct bulla_sign1 *ret, bool *ret_mac, struct bulla_form_fault *ret_fault)
{
	/* RFC 8392 section 6: d8 3d is tag 61 */
	size_t skip = token.n > 2 && token.p[0] == 0xd8 && token.p[1] == 0x3d ? 2 : 0;
	bulla_bytes message = bulla_bytes_of(token.p + skip, token.n - skip);

	*ret_mac = message.n > 0 && message.p[0] == 0xd1;
	bulla_rc rc = bulla_form_cose(message, *ret_mac ? 17 : 18, (bulla_bytes){NULL, 0}, ret, ret_fault);
	if (rc == BULLA_OK)
		rc = bulla_psa_headers(message, ret, ret_fault);
	if (rc != BULLA_OK)
		ret_fault->at += skip;
	return rc;
}

bulla_rc bulla_psa_instance(bulla_bytes token, bulla_bytes *ret)
{
	struct bulla_form_fault ignored;
	struct bulla_psa_claims claims;
	struct bulla_sign1 sign1;
	bool mac;

	BULLA_TRY(bulla_psa_open(token, &sign1, &mac, &ignored));
	BULLA_TRY(bulla_psa_claims_read(sign1.payload, &claims, &ignored));
	*ret = claims.instance_id;
	return BULLA_OK;
}

bulla_rc bulla_psa_claims_read(bulla_bytes payload, struct bulla_psa_claims *ret, struct bulla_form_fault *ret_fault)
{
	bulla_cbor_rd r = bulla_cbor_rd_with(payload, (struct bulla_cbor_options){.unordered_keys = true});
	bulla_rc rc;

	*ret = (struct bulla_psa_claims){0};
	rc = read_all(&r, ret);
	if (rc != BULLA_OK)
		*ret_fault = bulla_form_fault_of(rc, &r, false);
	return rc;
}
