#pragma once
/* PEM certificates (RFC 7468): as DCAP quotes and collateral carry them. */
#include "base/rd.h"

#define BULLA_PEM_CERT_MAX 2048 /* DER bytes of one certificate */

/* Decodes the chain in text, one certificate after the other, into memory (at most memory_size bytes in all) as views in
 * ret (at most max). After each END line "\n", "\r\n" or nothing; after the last also one zero byte. Between BEGIN and END
 * nothing but base64 and line ends. BULLA_E_FORMAT, BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_pem_chain(bulla_bytes text, uint8_t *memory, size_t memory_size, size_t max, bulla_bytes *ret,
	size_t *ret_count);

/* One after the other, to know where each stands: whether there is another one, and it as a view of memory (at most size
 * bytes). On failure r stands at what is wrong. */
bool bulla_pem_more(const bulla_rd *r);
BULLA_CHECK bulla_rc bulla_pem_next(bulla_rd *r, uint8_t *memory, size_t size, bulla_bytes *ret);
