#include "receipt/start.h"

#include "base/limits.h"
#include "cose/sign1.h"
#include "crypto/hash.h"
#include "receipt/fixed.h"

#define DAY_KEY_CONTENT BULLA_CONTENT("day-key")
enum { START_ITEMS = 12, RECORD_ITEMS = 3, RECORD_VERSION = 1, DAY_KEY_ITEMS = 5, LINKS_MAX = 64, LISTS_MAX = 16 };
enum { DAY_KEY_VERSION = 1, HPKE_PUBLIC_MAX = 1216, START_PAYLOAD_MAX = 4 << 20 };

static bulla_rc check_sizes(const struct bulla_start *start)
{
	if (start->inputs.n % BULLA_PAIR_BYTES != 0 || start->lengths.n % 4 != 0 ||
		start->links.n % BULLA_LINK_ID_BYTES != 0)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a list of a start record ends inside one of its items");
	if (start->inputs.n / BULLA_PAIR_BYTES > BULLA_MAX_RECEIPT_PAIRS || start->lengths.n / 4 > LISTS_MAX ||
		start->links.n / BULLA_LINK_ID_BYTES > LINKS_MAX || start->secret.n > BULLA_SEALED_SECRET_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a list of a start record is too long");
	return BULLA_OK;
}

bulla_rc bulla_start_write(bulla_wr *w, const struct bulla_start *start)
{
	BULLA_TRY(check_sizes(start));
	bulla_cbor_wr_array(w, START_ITEMS);
	bulla_cbor_wr_uint(w, BULLA_START_VERSION);
	bulla_cbor_wr_bytes(w, bulla_handle_view(&start->tenant));
	bulla_cbor_wr_digest(w, &start->workflow);
	bulla_cbor_wr_digest(w, &start->manifest);
	bulla_cbor_wr_bytes(w, bulla_run_id_view(&start->run));
	bulla_cbor_wr_digest(w, &start->party);
	bulla_cbor_wr_bytes(w, start->inputs);
	bulla_cbor_wr_bytes(w, start->lengths);
	bulla_cbor_wr_bytes(w, start->links);
	bulla_cbor_wr_digest(w, &start->day_key);
	bulla_cbor_wr_bytes(w, start->secret);
	bulla_fixed_wr_u64(w, start->time_ms);
	return BULLA_OK;
}

bulla_rc bulla_start_decode(bulla_bytes payload, struct bulla_start *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(payload);
	struct bulla_start start;

	BULLA_TRY(bulla_fixed_rd_version(&r, START_ITEMS, BULLA_START_VERSION));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(start.tenant.b), start.tenant.b));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &start.workflow));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &start.manifest));
	BULLA_TRY(bulla_cbor_rd_copy(&r, sizeof(start.run.b), start.run.b));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &start.party));
	BULLA_TRY(bulla_fixed_rd_list(&r, BULLA_PAIR_BYTES, BULLA_MAX_RECEIPT_PAIRS, &start.inputs));
	BULLA_TRY(bulla_fixed_rd_list(&r, 4, LISTS_MAX, &start.lengths));
	BULLA_TRY(bulla_fixed_rd_list(&r, BULLA_LINK_ID_BYTES, LINKS_MAX, &start.links));
	BULLA_TRY(bulla_cbor_rd_digest(&r, &start.day_key));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, BULLA_SEALED_SECRET_MAX, &start.secret));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &start.time_ms));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = start;
	return BULLA_OK;
}

void bulla_start_record_write(bulla_wr *w, bulla_bytes payload, const struct bulla_auth *auth)
{
	bulla_cbor_wr_array(w, RECORD_ITEMS);
	bulla_cbor_wr_uint(w, RECORD_VERSION);
	bulla_cbor_wr_bytes(w, payload);
	bulla_auth_write(w, auth);
}

bulla_rc bulla_start_record_decode(bulla_bytes bytes, struct bulla_start_record *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_start_record record;

	BULLA_TRY(bulla_fixed_rd_version(&r, RECORD_ITEMS, RECORD_VERSION));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, START_PAYLOAD_MAX, &record.payload));
	BULLA_TRY(bulla_auth_read(&r, &record.auth));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	BULLA_TRY(bulla_start_decode(record.payload, &record.start));
	bulla_sha256(record.payload, &record.digest);
	*ret = record;
	return BULLA_OK;
}

bulla_rc bulla_start_record_verify(const struct bulla_start_record *record, struct bulla_verify_key *party)
{
	if (!bulla_digest_eq(&record->start.party, bulla_verify_key_kid(party)))
		return BULLA_FAIL(BULLA_E_SIGNATURE, "a start record is signed by another key");
	return bulla_auth_verify(&record->auth, party, BULLA_SIGNED_START, record->payload);
}

/* --- day keys --- */

bulla_rc bulla_day_key_make(const struct bulla_day_key *day, struct bulla_sign_key *ledger, struct bulla_buf *ret)
{
	uint8_t memory[BULLA_DAY_KEY_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload;

	bulla_cbor_wr_array(&w, DAY_KEY_ITEMS);
	bulla_cbor_wr_uint(&w, DAY_KEY_VERSION);
	bulla_cbor_wr_uint(&w, day->suite);
	bulla_cbor_wr_bytes(&w, day->public_key);
	bulla_fixed_wr_u64(&w, day->begins_ms);
	bulla_fixed_wr_u64(&w, day->ends_ms);
	BULLA_TRY(bulla_wr_end(&w, &payload));
	return bulla_sign1_make(ledger, DAY_KEY_CONTENT, payload, ret);
}

bulla_rc bulla_day_key_open(bulla_bytes sign1, struct bulla_verify_key *ledger, struct bulla_day_key *ret)
{
	struct bulla_day_key day;
	bulla_bytes payload;
	uint64_t suite;
	bulla_cbor_rd r;

	BULLA_TRY(bulla_sign1_open(sign1, DAY_KEY_CONTENT, ledger, &payload));
	r = bulla_cbor_rd_of(payload);
	BULLA_TRY(bulla_fixed_rd_version(&r, DAY_KEY_ITEMS, DAY_KEY_VERSION));
	BULLA_TRY(bulla_cbor_rd_uint_max(&r, 2, &suite));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, HPKE_PUBLIC_MAX, &day.public_key));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &day.begins_ms));
	BULLA_TRY(bulla_fixed_rd_u64(&r, &day.ends_ms));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	day.suite = (uint8_t)suite;
	*ret = day;
	return BULLA_OK;
}
