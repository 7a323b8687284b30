#pragma once
/* The characters of a JSON string one UTF-8 byte at a time, without a copy. For wire/json.c and wire/jcs.c. */
#include "base/bytes.h"

struct bulla_json_unescape {
	const uint8_t *p;
	size_t n, at;
	uint8_t pending[3]; /* rest of an escaped character */
	uint8_t pending_count, pending_at;
};

/* p[at] is the string's first quote; the string was checked by bulla_json_parse. */
static inline struct bulla_json_unescape bulla_json_unescape_of(const uint8_t *p, size_t n, size_t at)
{
	return (struct bulla_json_unescape){.p = p, .n = n, .at = at + 1};
}

/* The first byte of the character whose escape begins at u->at; the others become pending. -1 when it is none (RFC 8259 section
 * 7): then u->at stands where it goes wrong. */
int bulla_json_unescape_escape(struct bulla_json_unescape *u);

/* The next byte; -1 at the closing quote. Never reads beyond n. */
static inline int bulla_json_unescape_next(struct bulla_json_unescape *u)
{
	if (u->pending_at < u->pending_count)
		return u->pending[u->pending_at++];
	if (u->at >= u->n || u->p[u->at] == '"')
		return -1;
	if (u->p[u->at] == '\\')
		return bulla_json_unescape_escape(u);
	return u->p[u->at++];
}
