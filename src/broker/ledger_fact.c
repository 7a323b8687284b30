#include "broker/ledger_fact.h"

static bool has_entry(uint8_t type)
{
	return (type >= BULLA_LEDGER_RUN && type <= BULLA_LEDGER_ORDER) || type == BULLA_LEDGER_REVOKE;
}

bulla_rc ledger_fact_write(const struct ledger_fact *fact, struct bulla_buf *buf)
{
	bulla_wr w = bulla_wr_buf(buf);
	bulla_bytes ignored;

	if (has_entry(fact->type))
		bulla_entry_write(&w, &fact->entry);
	switch ((enum bulla_ledger_record)fact->type) {
	case BULLA_LEDGER_PERMIT:
		bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(fact->session));
		bulla_wr_u64le(&w, fact->expires_ms);
		break;
	case BULLA_LEDGER_COMMIT:
		bulla_wr_u16le(&w, (uint16_t)fact->lengths.n);
		bulla_wr_bytes(&w, fact->lengths);
		break;
	case BULLA_LEDGER_STORED:
		bulla_wr_u32le(&w, fact->entry.step);
		bulla_wr_u32le(&w, fact->entry.item);
		break;
	case BULLA_LEDGER_SESSION:
		bulla_wr_bytes(&w, BULLA_BYTES_ARRAY(fact->session));
		bulla_wr_digest(&w, &fact->instance);
		bulla_wr_digest(&w, &fact->manifest);
		bulla_wr_digest(&w, &fact->image);
		bulla_wr_u64le(&w, fact->epoch);
		bulla_wr_u64le(&w, fact->expires_ms);
		bulla_wr_u8(&w, fact->ended);
		break;
	case BULLA_LEDGER_RUN:
	case BULLA_LEDGER_GIVEN_UP:
	case BULLA_LEDGER_CLOCK:
	case BULLA_LEDGER_ORDER:
	case BULLA_LEDGER_EPOCH:
	case BULLA_LEDGER_BIRTH:
	case BULLA_LEDGER_REVOKE:
		break;
	}
	bulla_wr_bytes(&w, fact->rest);
	return bulla_wr_end(&w, &ignored);
}

/* Numbers of the record: new ones go to the end. */
static const bulla_rc endings[] = {BULLA_OK, BULLA_E_REVOKED, BULLA_E_DENIED, BULLA_E_EVIDENCE_FORMAT,
	BULLA_E_EVIDENCE_CHAIN, BULLA_E_EVIDENCE_SIGNATURE, BULLA_E_EVIDENCE_STALE, BULLA_E_EVIDENCE_DEBUG, BULLA_E_MEASUREMENT,
	BULLA_E_BINDER, BULLA_E_EVIDENCE_POLICY, BULLA_E_EPOCH_OLD};
#define ENDINGS (sizeof(endings) / sizeof(endings[0]))
#define ENDING_OTHER 2

uint8_t ledger_ending_of(bulla_rc why)
{
	for (uint8_t i = 0; i < ENDINGS; i++)
		if (endings[i] == why)
			return i;
	return ENDING_OTHER;
}

bulla_rc ledger_ending_rc(uint8_t ended)
{
	return ended < ENDINGS ? endings[ended] : BULLA_RC_COUNT;
}

static bulla_rc read_session(bulla_rd *r, struct ledger_fact *fact)
{
	BULLA_TRY(bulla_rd_copy(r, sizeof(fact->session), fact->session));
	BULLA_TRY(bulla_rd_digest(r, &fact->instance));
	BULLA_TRY(bulla_rd_digest(r, &fact->manifest));
	BULLA_TRY(bulla_rd_digest(r, &fact->image));
	BULLA_TRY(bulla_rd_u64le(r, &fact->epoch));
	BULLA_TRY(bulla_rd_u64le(r, &fact->expires_ms));
	BULLA_TRY(bulla_rd_u8(r, &fact->ended));
	if (ledger_ending_rc(fact->ended) == BULLA_RC_COUNT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a session ended for no known reason");
	return BULLA_OK;
}

static bulla_rc read_commit(bulla_rd *r, struct ledger_fact *fact)
{
	uint16_t size = 0;

	BULLA_TRY(bulla_rd_u16le(r, &size));
	if (size % 4 != 0 || size > 4 * BULLA_COMMIT_LISTS)
		return BULLA_FAIL(BULLA_E_FORMAT, "list lengths have another size");
	return bulla_rd_bytes(r, size, &fact->lengths);
}

/* What stands between entry and rest. */
static bulla_rc read_middle(bulla_rd *r, struct ledger_fact *fact)
{
	switch (fact->type) {
	case BULLA_LEDGER_PERMIT:
		BULLA_TRY(bulla_rd_copy(r, sizeof(fact->session), fact->session));
		return bulla_rd_u64le(r, &fact->expires_ms);
	case BULLA_LEDGER_COMMIT:
		return read_commit(r, fact);
	case BULLA_LEDGER_STORED:
		BULLA_TRY(bulla_rd_u32le(r, &fact->entry.step));
		return bulla_rd_u32le(r, &fact->entry.item);
	case BULLA_LEDGER_SESSION:
		return read_session(r, fact);
	default:
		return BULLA_OK;
	}
}

bulla_rc ledger_fact_read(uint8_t type, bulla_bytes body, struct ledger_fact *ret)
{
	struct ledger_fact fact = {.type = type};
	bulla_rd r = bulla_rd_of(body);
	bulla_bytes entry;

	if (type < BULLA_LEDGER_RUN || type > BULLA_LEDGER_REVOKE)
		return BULLA_FAIL(BULLA_E_VERSION, "the ledger has a record of unknown type");
	if (has_entry(type)) {
		BULLA_TRY(bulla_rd_bytes(&r, BULLA_ENTRY_BYTES, &entry));
		BULLA_TRY(bulla_entry_decode(entry, &fact.entry));
	}
	BULLA_TRY(read_middle(&r, &fact));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &fact.rest));
	if (fact.rest.n > 0 && (type == BULLA_LEDGER_PERMIT || type == BULLA_LEDGER_GIVEN_UP || type == BULLA_LEDGER_STORED))
		return BULLA_FAIL(BULLA_E_TRAILING, "a ledger record is too long");
	*ret = fact;
	return BULLA_OK;
}

bulla_rc ledger_fact_of(const struct bulla_journal_record *record, struct ledger_fact *ret, bulla_run_id *ret_id,
	bool *ret_named)
{
	bulla_rd r = bulla_rd_of(record->body);
	bool named = (record->flags & LEDGER_NAMED) != 0;
	bulla_bytes rest;

	if (named)
		BULLA_TRY(bulla_rd_copy(&r, sizeof(ret_id->b), ret_id->b));
	BULLA_TRY(bulla_rd_bytes(&r, bulla_rd_left(&r), &rest));
	BULLA_TRY(ledger_fact_read(record->type, rest, ret));
	*ret_named = named;
	return BULLA_OK;
}
