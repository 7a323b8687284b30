#pragma once
/* Inside broker/ledger*: a record of the ledger's journal, decoded. Body by type (numbers little-endian):
 *   RUN       entry | start record
 *   PERMIT    entry | session 16 | expires_ms u64
 *   COMMIT    entry | list lengths' size u16, lengths | escrow (may be empty)      entry: COMMIT or PARTY
 *   GIVEN_UP  entry
 *   CLOCK     entry | receipt record                                              entry: CLOCK or LOST
 *   ORDER     entry | signed order
 *   STORED    step u32 | item u32
 *   SESSION   session 16 | instance 32 | manifest 32 | image 32 | epoch u64 | lapses_ms u64 | ended u8 | agents, 8 bytes each
 *   REVOKE    entry | signed order
 * The entry (receipt/entry.h) is what bundles show of it. A record of a run that had ended before begins with its run id
 * (flag LEDGER_NAMED): the run may have left memory. */
#include "broker/ledger.h"

#define LEDGER_NAMED 1u /* of bulla_journal_record.flags */

struct ledger_fact {
	uint8_t type; /* enum bulla_ledger_record */
	struct bulla_entry entry;
	uint8_t session[BULLA_SESSION_ID_BYTES];
	uint64_t expires_ms; /* PERMIT; SESSION: when it lapses */
	bulla_digest instance, manifest, image; /* SESSION */
	uint64_t epoch;                         /* SESSION */
	uint8_t ended;                          /* SESSION: 0 it stands, else ledger_ending_of why not */
	bulla_bytes lengths;
	bulla_bytes rest; /* start record, escrow, receipt record, order, agents */
};

/* Why sessions end, by the record's numbers (0: they stand); BULLA_E_DENIED's number for a reason without one of its own. */
uint8_t ledger_ending_of(bulla_rc why);
/* BULLA_RC_COUNT for a number that is none. */
bulla_rc ledger_ending_rc(uint8_t ended);

/* Appends the body. */
BULLA_CHECK bulla_rc ledger_fact_write(const struct ledger_fact *fact, struct bulla_buf *buf);

/* The fact of a record, and the run's id where the record has it (else ret_id is untouched, *ret_named false). */
BULLA_CHECK bulla_rc ledger_fact_of(const struct bulla_journal_record *record, struct ledger_fact *ret, bulla_run_id *ret_id,
	bool *ret_named);

/* Views borrow from body. BULLA_E_VERSION for a type that is none of these. */
BULLA_CHECK bulla_rc ledger_fact_read(uint8_t type, bulla_bytes body, struct ledger_fact *ret);
