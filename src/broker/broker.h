#pragma once
/* The broker's state as one thing: what is on disk, what is in memory, the ledger on top. No connection here: those are
 * in broker/server.h. Opened at start from its folder, made there when the folder is empty:
 *
 *   root.key, secrets, tls.key, ledger.key   secrets (broker/cells.h)
 *   owner, ledger                            sealed: the digest of the owner's key; which journal is the ledger of these keys
 *   tls.crt (DER), public (CBOR [1, TLS SPKI, ledger SPKI]), admin.json (SigV4 credential of the administrator)
 *   keys/UUID                                wrapping keys of the KMS API
 *   journal/                                 the ledger, epochs, births, sessions
 *   audit.jsonl                              one line per use of a wrapping key, in CloudTrail's shape */
#include "attest/cache.h"
#include "broker/births.h"
#include "broker/days.h"
#include "broker/epochs.h"
#include "broker/ledger.h"
#include "broker/run_secrets.h"
#include "broker/seen.h"
#include "broker/sessions.h"
#include "broker/standing.h"
#include "broker/steady.h"
#include "broker/wrapping.h"
#include "io/sys.h"
#include "io/tls.h"
#include "journal/thread.h"
#include "kms/sigv4.h"

struct bulla_broker {
	struct bulla_steady steady;
	const struct bulla_clock *clock; /* steady's */
	const struct bulla_random *random;
	struct bulla_sys_disk folder, keys_folder, journal_folder;
	struct bulla_cells *cells;
	struct bulla_sign_key *ledger_key;
	struct bulla_verify_key *ledger_public;
	struct bulla_tls_context *tls;
	struct bulla_buf admin; /* admin.json; the credential views it */
	struct bulla_kms_credential credential;
	bulla_bytes admin_arn;
	struct bulla_days days;
	struct bulla_sessions *sessions;
	struct bulla_run_secrets *run_secrets;
	struct bulla_epochs epochs;
	struct bulla_births births;
	struct bulla_wrapping wrapping;
	struct bulla_seen seen;
	struct bulla_standing standing;
	struct bulla_ledger *ledger;
	struct bulla_journal *journal;
	struct bulla_buf outbox; /* framed records that the journal has not taken yet */
	uint32_t submissions;            /* that somebody waits for: given to the journal and not durable yet */
	bool hurry;                      /* somebody waits for the outbox */
	int index_file;                  /* of the ledger: where ended runs lie */
	bool index_failed;               /* its last write */
	uint32_t sweep_at;               /* runs in run_secrets when the ended ones are forgotten */
	uint32_t runs_max;               /* runs that may go on at once: each has a cell for its secret */
	bool hold_days;                  /* a day key is kept past its end: secrets that it opens found no cell */
	struct bulla_buf ended;          /* BULLA_BROKER_ENDED each: sequence u64, run id: to be erased when that is durable */
	struct bulla_batch *batch;           /* of tokens */
	struct bulla_ledger_commit *commits; /* BULLA_BROKER_TOKENS of them, for bulla_broker_tokens */
	struct bulla_broker_batch {
		bulla_digest kid, root;
		uint8_t signature[BULLA_AUTH_SIGNATURE_BYTES];
		bool known;
	} start_batch; /* the newest batch of starts whose signature was checked */
	int audit;     /* descriptor, append */
	bulla_journal_store store; /* the journal's; the keys' folder remembers it */
	uint64_t durable_lsn;
	bool journal_marked;
	bool replaying;
	struct bulla_buf replayed;       /* start records: size u32, bytes */
	size_t replayed_limit;
	uint8_t boot_id[16];
};

/* Opens everything and replays the journal. Blocks. path: the state folder. owner: digest of the key whose holder sets this
 * broker up, kept in its folder for good (BULLA_E_OWNER: another one is); NULL: the one kept, or none, and then no manifest
 * is accepted. */
BULLA_CHECK bulla_rc bulla_broker_open(const char *path, const bulla_digest *owner, struct bulla_broker **ret);
struct bulla_broker *bulla_broker_close(struct bulla_broker *broker);

/* The ledger's world (broker/world.c). */
struct bulla_ledger_world bulla_broker_world(struct bulla_broker *broker);

/* Start records that the journal gives back: noted one by one, before the ledger replays them; at the end the secrets of
 * those that go on are opened (public-key work, so not for runs that are over). */
BULLA_CHECK bulla_rc bulla_broker_replay_start(struct bulla_broker *broker, bulla_bytes record);
BULLA_CHECK bulla_rc bulla_broker_replay_end(struct bulla_broker *broker);

/* Erases the cells of runs whose end is among the records below this sequence: they are durable. Blocks for a disk write
 * each: only runs older than their day key have one. Any error is final. */
#define BULLA_BROKER_ENDED (8 + sizeof(bulla_run_id))
BULLA_CHECK bulla_rc bulla_broker_erase_ended(struct bulla_broker *broker, uint64_t durable_lsn);

/* Gives the records gathered in this turn to the journal. *ret_lsn: replies made so far wait until everything below it
 * is durable. Any error is final. */
BULLA_CHECK bulla_rc bulla_broker_submit(struct bulla_broker *broker, uint64_t *ret_lsn);

/* What became durable since: everything below *ret_lsn (unchanged when nothing did). Any error is final: exit, recover.
 */
BULLA_CHECK bulla_rc bulla_broker_durable(struct bulla_broker *broker, uint64_t *ret_lsn);

/* Tokens of commits that are durable and have none yet: body of a `tokens` message, at most BULLA_BROKER_TOKENS of
 * them; false when there are none. */
#define BULLA_BROKER_TOKENS 512
BULLA_CHECK bulla_rc bulla_broker_tokens(struct bulla_broker *broker, struct bulla_buf *ret, bool *ret_any);

/* Day keys and ended sessions; every minute. Secrets of runs that go on are in cells before the day key that opens their
 * start records is erased; where cells are missing the key stays, no run begins, and it is tried again. */
BULLA_CHECK bulla_rc bulla_broker_minute(struct bulla_broker *broker);

/* May new runs begin? */
bool bulla_broker_has_room(const struct bulla_broker *broker);
