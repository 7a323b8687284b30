#pragma once
/* Attested sessions of the broker and their keys: what permits are MACed with and commit requests are checked against. A
 * lapsed session gives no permits (the ledger sees to that), but its commits are taken while permits of it may live. */
#include "broker/cells.h"
#include "channel/session.h"
#include "receipt/permit.h"

#define BULLA_SESSIONS_MAX 1024
#define BULLA_SESSION_GRACE_MS INT64_C(3600000) /* permits end earlier than that after their session */

struct bulla_sessions;

/* No sessions; BULLA_E_MEMORY. free wipes their keys, takes NULL, returns NULL. */
BULLA_CHECK bulla_rc bulla_sessions_new(struct bulla_sessions **ret);
struct bulla_sessions *bulla_sessions_free(struct bulla_sessions *sessions);

/* Adds a session whose exporter is this secret (32 bytes; borrowed). BULLA_E_BUSY when all places live. */
BULLA_CHECK bulla_rc bulla_sessions_add(struct bulla_sessions *sessions, const uint8_t id[BULLA_SESSION_ID],
	bulla_secret exporter, int64_t lapses_ms);

/* Its keys; borrowed. BULLA_E_SESSION. */
BULLA_CHECK bulla_rc bulla_sessions_keys(struct bulla_sessions *sessions, const uint8_t id[BULLA_SESSION_ID],
	const struct bulla_session_keys **ret);

/* Forgets what lapsed more than the grace ago, here and in its cells. */
BULLA_CHECK bulla_rc bulla_sessions_expire(struct bulla_sessions *sessions, struct bulla_cells *cells, int64_t now_ms);

/* When every place lives, the session that lapses first goes, here and in its cell: an enclave that starts again and again
 * must not keep the others out. */
BULLA_CHECK bulla_rc bulla_sessions_make_room(struct bulla_sessions *sessions, struct bulla_cells *cells);

/* Places in use, ended sessions that were not cleared yet included. */
size_t bulla_sessions_count(const struct bulla_sessions *sessions);

/* Id of a session's cell. */
bulla_digest bulla_session_cell_id(const uint8_t id[BULLA_SESSION_ID]);
