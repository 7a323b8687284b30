#pragma once
/* X.509 certificates and CRLs (RFC 5280) as views over strict DER, link-by-link verification, and linear chains to a
 * pinned root at an explicit time. No store, no name lookup, no fetching: the caller says who signs whom. */
#include "base/bytes.h"
#include "crypto/sign.h"

/* keyUsage bits (RFC 5280 section 4.2.1.3): bit n of the extension is 1 << n here. */
#define BULLA_USAGE_SIGNATURE (1u << 0)
#define BULLA_USAGE_CERT_SIGN (1u << 5)
#define BULLA_USAGE_CRL_SIGN (1u << 6)

#define BULLA_CERT_MAX 8192
#define BULLA_CRL_MAX 262144

/* A parsed certificate: views into the caller's bytes, valid as long as those are. */
struct bulla_cert {
	bulla_bytes der;        /* all of it */
	bulla_bytes tbs;        /* the signed part, with its header */
	bulla_bytes serial;     /* content octets of the INTEGER */
	bulla_bytes issuer;     /* Name, DER with its header */
	bulla_bytes subject;    /* Name, DER with its header */
	bulla_bytes spki;       /* SubjectPublicKeyInfo, DER with its header */
	bulla_bytes extensions; /* content of the SEQUENCE of extensions; empty when there are none */
	bulla_bytes signature;  /* content of the BIT STRING */
	enum bulla_sign_alg alg;
	int64_t not_before; /* Unix seconds, both inclusive */
	int64_t not_after;
	bool has_basic; /* basicConstraints is there */
	bool ca;
	int pathlen; /* -1: none */
	bool has_usage;
	unsigned usage; /* keyUsage bits */
	bool unknown_critical; /* a critical extension that this reader does not know */
};

/* BULLA_E_FORMAT, BULLA_E_TRAILING, BULLA_E_LIMIT above BULLA_CERT_MAX, BULLA_E_UNSUPPORTED for another signature
 * algorithm, BULLA_E_DUPLICATE for an extension that is there twice. Version 3 or 1. */
BULLA_CHECK bulla_rc bulla_cert_parse(bulla_bytes der, struct bulla_cert *ret);

/* The value (content of the OCTET STRING) of the extension with this OID (content octets of the OBJECT IDENTIFIER);
 * BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_cert_extension(const struct bulla_cert *cert, bulla_bytes oid, bulla_bytes *ret_value,
	bool *ret_critical);

/* The first value of a Name's attribute with this OID (CN is 55 04 03): content octets of the string. */
BULLA_CHECK bulla_rc bulla_name_find(bulla_bytes name, bulla_bytes oid, bulla_bytes *ret);

/* The subject's public key as an object; owned by the caller. */
BULLA_CHECK bulla_rc bulla_cert_key(const struct bulla_cert *cert, struct bulla_verify_key **ret);

/* Only the signature of cert under the issuer's key. The result depends on nothing else, so it may be cached by
 * (issuer kid, digest(cert.der)). BULLA_E_SIGNATURE. */
BULLA_CHECK bulla_rc bulla_cert_signed_by(const struct bulla_cert *cert, struct bulla_verify_key *issuer_key);

/* A parsed CRL: views. */
struct bulla_crl {
	bulla_bytes der;
	bulla_bytes tbs;
	bulla_bytes issuer;  /* Name with its header */
	bulla_bytes revoked; /* content of revokedCertificates; empty: none */
	bulla_bytes signature;
	enum bulla_sign_alg alg;
	int64_t this_update;
	int64_t next_update;
};

/* RFC 5280 section 5, v2, at most BULLA_CRL_MAX bytes; every entry is read once, no signature is checked. Views of der.
 * BULLA_E_FORMAT, BULLA_E_LIMIT, BULLA_E_UNSUPPORTED: an algorithm or a critical extension that is not known. */
BULLA_CHECK bulla_rc bulla_crl_parse(bulla_bytes der, struct bulla_crl *ret);

/* Issuer's name and signature, cRLSign, and the CRL's time window at `time`: BULLA_E_EVIDENCE_CHAIN,
 * BULLA_E_EVIDENCE_STALE. The issuer's own chain is the caller's. */
BULLA_CHECK bulla_rc bulla_crl_verify(const struct bulla_crl *crl, const struct bulla_cert *issuer, int64_t time);

/* BULLA_E_REVOKED when the list names the certificate's serial. */
BULLA_CHECK bulla_rc bulla_crl_check(const struct bulla_crl *crl, const struct bulla_cert *cert);

/* --- writing: the dev PKI and self-signed TLS certificates --- */
struct bulla_cert_spec {
	const char *common_name;    /* subject CN, 1..64 ASCII characters */
	const char *organization;   /* subject O; NULL: none */
	bulla_bytes serial;         /* 1..20 bytes, big-endian; the top bit is cleared by a leading zero */
	bulla_bytes spki;           /* the subject's key */
	bulla_bytes issuer;         /* issuer's subject Name (DER); empty: self-signed, the subject's */
	int64_t not_before;         /* Unix seconds */
	int64_t not_after;
	bool ca;
	int pathlen;                /* -1: none */
	unsigned usage;             /* BULLA_USAGE_* */
	bulla_bytes extension_oid;  /* one more extension: OID content octets; empty: none */
	bulla_bytes extension_value; /* its value (DER), not critical */
};

/* Writes a version 3 certificate signed with key (ES256 or ES384) into ret (appended). */
BULLA_CHECK bulla_rc bulla_cert_write(const struct bulla_cert_spec *spec, struct bulla_sign_key *key,
	struct bulla_buf *ret);
