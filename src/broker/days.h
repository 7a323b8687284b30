#pragma once
/* Day keys (protocol.md section 2): run secrets in start records are sealed to today's. A key serves a day, starts sealed to
 * it are taken for one more, then it is erased. */
#include "broker/cells.h"
#include "receipt/start.h"
#include "seal/hpke.h"

#define BULLA_DAY_MS INT64_C(86400000)
#define BULLA_DAYS_MAX 8

struct bulla_day {
	const struct bulla_kem *kem;
	bulla_secret private_key;
	uint8_t public_key[BULLA_HPKE_PUBLIC_MAX];
	size_t public_size;
	bulla_digest digest; /* of the public key */
	int64_t begins_ms, ends_ms;
	struct bulla_buf sign1; /* by the ledger key */
};

/* Starters' secrets that were opened: known by what stands for them (seal/start_secret.h). */
#define BULLA_STARTERS_MAX 256
struct bulla_starter {
	bulla_digest sealed;
	bulla_secret secret; /* none: free */
};

struct bulla_days {
	struct bulla_day list[BULLA_DAYS_MAX]; /* by begins_ms, newest last */
	size_t count;
	struct bulla_starter starters[BULLA_STARTERS_MAX];
};

/* No keys, no starters; done frees their secrets. */
void bulla_days_init(struct bulla_days *days);
void bulla_days_done(struct bulla_days *days);

/* A key out of its cell at start; takes the secret. Its statement is signed by bulla_days_sign, when the ledger key is
 * there. */
BULLA_CHECK bulla_rc bulla_days_load(struct bulla_days *days, const struct bulla_cell *cell, bulla_secret *secret);
BULLA_CHECK bulla_rc bulla_days_sign(struct bulla_days *days, struct bulla_sign_key *ledger);

/* Will bulla_days_turn erase a key now? */
bool bulla_days_ending(const struct bulla_days *days, int64_t now_ms);

/* Erases ended keys, makes today's when there is none or it ends within half a day. *ret_changed: today's is another one. */
BULLA_CHECK bulla_rc bulla_days_turn(struct bulla_days *days, struct bulla_cells *cells, const struct bulla_random *random,
	struct bulla_sign_key *ledger, int64_t now_ms, bool *ret_changed);

/* The run secret of a start record. The starter's secret is opened once. BULLA_E_NOT_FOUND: its day key has ended. */
BULLA_CHECK bulla_rc bulla_days_open(struct bulla_days *days, const struct bulla_start *start, bulla_secret *ret);

/* Today's; after bulla_days_turn there is one. */
const struct bulla_day *bulla_days_today(const struct bulla_days *days);

/* The key with this digest, NULL when it ended or never was. */
const struct bulla_day *bulla_days_find(const struct bulla_days *days, const bulla_digest *digest);
