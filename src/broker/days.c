#include "broker/days.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "seal/start_secret.h"

#define LIFE_MS (2 * BULLA_DAY_MS)
#define FRESH_MS (BULLA_DAY_MS / 2) /* of a day key that is still given out at least this much is left */
#define SUITE_CLASSIC 1

void bulla_days_init(struct bulla_days *days)
{
	*days = (struct bulla_days){.count = 0};
}

/* With a day key go all starters' secrets: some of them were sealed to it. */
static void forget_starters(struct bulla_days *days)
{
	for (size_t i = 0; i < BULLA_STARTERS_MAX; i++)
		bulla_secret_free(&days->starters[i].secret);
}

static void day_done(struct bulla_day *day)
{
	bulla_secret_free(&day->private_key);
	bulla_buf_done(&day->sign1);
}

void bulla_days_done(struct bulla_days *days)
{
	forget_starters(days);
	for (size_t i = 0; i < days->count; i++)
		day_done(&days->list[i]);
	days->count = 0;
}

/* Fills in what follows from the private key and its begin, and keeps the day in order of time. */
static bulla_rc add(struct bulla_days *days, bulla_secret *private_key, int64_t begins_ms)
{
	struct bulla_day day = {.kem = &bulla_kem_x25519, .begins_ms = begins_ms, .ends_ms = begins_ms + LIFE_MS};
	size_t at = days->count;

	if (days->count == BULLA_DAYS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many day keys live");
	BULLA_TRY(bulla_hpke_public(day.kem, *private_key, day.public_key));
	day.public_size = day.kem->public_size;
	bulla_sha256(bulla_bytes_of(day.public_key, day.public_size), &day.digest);
	bulla_buf_init(&day.sign1, BULLA_DAY_KEY_MAX);
	for (; at > 0 && days->list[at - 1].begins_ms > begins_ms; at--)
		days->list[at] = days->list[at - 1];
	day.private_key = bulla_secret_take(private_key);
	days->list[at] = day;
	days->count++;
	return BULLA_OK;
}

bulla_rc bulla_days_load(struct bulla_days *days, const struct bulla_cell *cell, bulla_secret *secret)
{
	return add(days, secret, (int64_t)cell->aux);
}

bulla_rc bulla_days_sign(struct bulla_days *days, struct bulla_sign_key *ledger)
{
	for (size_t i = 0; i < days->count; i++) {
		struct bulla_day *day = &days->list[i];
		struct bulla_day_key statement = {.suite = SUITE_CLASSIC,
			.public_key = bulla_bytes_of(day->public_key, day->public_size),
			.begins_ms = (uint64_t)day->begins_ms,
			.ends_ms = (uint64_t)day->ends_ms};

		if (day->sign1.n == 0)
			BULLA_TRY(bulla_day_key_make(&statement, ledger, &day->sign1));
	}
	return BULLA_OK;
}

/* Ended, or made by a date that was wrong: no client would take it before that day. */
static bool is_over(const struct bulla_day *day, int64_t now_ms)
{
	return day->ends_ms <= now_ms || day->begins_ms > now_ms + BULLA_MAX_CLOCK_SKEW_MS;
}

bool bulla_days_ending(const struct bulla_days *days, int64_t now_ms)
{
	for (size_t i = 0; i < days->count; i++)
		if (is_over(&days->list[i], now_ms))
			return true;
	return false;
}

static bulla_rc erase_ended(struct bulla_days *days, struct bulla_cells *cells, int64_t now_ms)
{
	for (size_t at = 0; at < days->count;) {
		if (!is_over(&days->list[at], now_ms)) {
			at++;
			continue;
		}
		BULLA_TRY(bulla_cells_erase(cells, BULLA_CELL_DAY, &days->list[at].digest));
		forget_starters(days);
		day_done(&days->list[at]);
		days->count--;
		for (size_t i = at; i < days->count; i++)
			days->list[i] = days->list[i + 1];
	}
	return BULLA_OK;
}

bulla_rc bulla_days_turn(struct bulla_days *days, struct bulla_cells *cells, const struct bulla_random *random,
	struct bulla_sign_key *ledger, int64_t now_ms, bool *ret_changed)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];
	struct bulla_cell cell = {.kind = BULLA_CELL_DAY, .aux = (uint64_t)now_ms};

	*ret_changed = false;
	BULLA_TRY(erase_ended(days, cells, now_ms));
	if (days->count > 0 && now_ms - bulla_days_today(days)->begins_ms < BULLA_DAY_MS - FRESH_MS)
		return BULLA_OK;
	BULLA_TRY(bulla_hpke_new(&bulla_kem_x25519, random, &key, public_key));
	bulla_sha256(bulla_bytes_of(public_key, bulla_kem_x25519.public_size), &cell.id);
	BULLA_TRY(bulla_cells_put(cells, &cell, key));
	BULLA_TRY(add(days, &key, now_ms));
	BULLA_TRY(bulla_days_sign(days, ledger));
	*ret_changed = true;
	return BULLA_OK;
}

const struct bulla_day *bulla_days_today(const struct bulla_days *days)
{
	return days->count == 0 ? NULL : &days->list[days->count - 1];
}

const struct bulla_day *bulla_days_find(const struct bulla_days *days, const bulla_digest *digest)
{
	for (size_t i = 0; i < days->count; i++)
		if (bulla_digest_eq(&days->list[i].digest, digest))
			return &days->list[i];
	return NULL;
}

bulla_rc bulla_days_open(struct bulla_days *days, const struct bulla_start *start, bulla_secret *ret)
{
	const struct bulla_day *day = bulla_days_find(days, &start->day_key);
	struct bulla_starter *starter;
	bulla_digest sealed;

	if (day == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "the day key that the start record is sealed to has ended");
	BULLA_TRY(bulla_start_sealed_digest(start, day->kem, &sealed));
	starter = &days->starters[sealed.b[0]];
	if (starter->secret.slot == 0 || !bulla_digest_eq(&starter->sealed, &sealed)) {
		bulla_secret_free(&starter->secret);
		BULLA_TRY(bulla_start_sealed_open(start, day->kem, day->private_key, &starter->secret));
		starter->sealed = sealed;
	}
	return bulla_start_secret_open(start, day->kem, starter->secret, ret);
}
