#include "broker/run_secrets.h"

#include "base/mem.h"
#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/random.h"

#define PLACES_FIRST 4096
#define PAGE 4096 /* entries that are allocated together */

enum state { FREE = 0, KEPT = 1, ERASED = 2 };

struct entry {
	bulla_run_id run;
	uint64_t nonce; /* counts: no nonce is used twice under the vault key */
	int64_t until_ms;
	uint8_t sealed[32 + BULLA_AEAD_TAG_SIZE];
	uint8_t state;
};

struct bulla_run_secrets {
	bulla_secret vault;
	uint64_t nonces;
	uint32_t count, kept;
	uint32_t *places; /* index + 1 */
	uint32_t place_count; /* a power of two, at least twice `count` */
	struct entry *pages[BULLA_RUN_SECRETS_MAX / PAGE];
};

static bulla_rc make_places(uint32_t count, struct bulla_run_secrets *secrets)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(count, sizeof(uint32_t), &p));
	bulla_free(secrets->places);
	secrets->places = (uint32_t *)p;
	secrets->place_count = count;
	return BULLA_OK;
}

bulla_rc bulla_run_secrets_new(const struct bulla_random *random, struct bulla_run_secrets **ret)
{
	struct bulla_run_secrets *secrets;
	void *p = NULL;
	bulla_rc rc;

	BULLA_TRY(bulla_alloc(1, sizeof(*secrets), &p));
	secrets = (struct bulla_run_secrets *)p;
	rc = make_places(PLACES_FIRST, secrets);
	if (rc == BULLA_OK)
		rc = bulla_random_secret(random, 32, &secrets->vault);
	if (rc != BULLA_OK) {
		bulla_run_secrets_free(secrets);
		return rc;
	}
	*ret = secrets;
	return BULLA_OK;
}

struct bulla_run_secrets *bulla_run_secrets_free(struct bulla_run_secrets *secrets)
{
	if (secrets == NULL)
		return NULL;
	for (size_t i = 0; i < BULLA_RUN_SECRETS_MAX / PAGE; i++)
		bulla_free(secrets->pages[i]);
	bulla_free(secrets->places);
	bulla_secret_free(&secrets->vault);
	bulla_free(secrets);
	return NULL;
}

static struct entry *entry_at(const struct bulla_run_secrets *secrets, uint32_t index)
{
	return &secrets->pages[index / PAGE][index % PAGE];
}

/* The run's place: where it is, or the free one where it belongs. Ids are chosen by starters who signed for them. */
static uint32_t place_of(const struct bulla_run_secrets *secrets, const bulla_run_id *run)
{
	uint64_t hash = 0;
	uint32_t at;

	for (size_t i = 0; i < sizeof(run->b); i++)
		hash = (hash ^ run->b[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	at = (uint32_t)(hash ^ hash >> 32) & (secrets->place_count - 1);
	while (secrets->places[at] != 0 &&
		!bulla_bytes_eq(BULLA_BYTES_ARRAY(entry_at(secrets, secrets->places[at] - 1)->run.b),
			BULLA_BYTES_ARRAY(run->b)))
		at = (at + 1) & (secrets->place_count - 1);
	return at;
}

static struct entry *find(const struct bulla_run_secrets *secrets, const bulla_run_id *run)
{
	uint32_t index = secrets->places[place_of(secrets, run)];

	return index == 0 ? NULL : entry_at(secrets, index - 1);
}

/* Each entry's place anew, in an empty table. */
static void fill_places(struct bulla_run_secrets *secrets)
{
	for (uint32_t i = 0; i < secrets->count; i++)
		secrets->places[place_of(secrets, &entry_at(secrets, i)->run)] = i + 1;
}

static bulla_rc find_or_add(struct bulla_run_secrets *secrets, const bulla_run_id *run, struct entry **ret)
{
	uint32_t index = secrets->count;
	void *p = NULL;

	*ret = find(secrets, run);
	if (*ret != NULL)
		return BULLA_OK;
	if (index == BULLA_RUN_SECRETS_MAX)
		return BULLA_FAIL(BULLA_E_BUSY, "too many runs' secrets are kept");
	if (secrets->pages[index / PAGE] == NULL) {
		BULLA_TRY(bulla_alloc(PAGE, sizeof(struct entry), &p));
		secrets->pages[index / PAGE] = (struct entry *)p;
	}
	if (2 * (index + 1) > secrets->place_count) {
		BULLA_TRY(make_places(2 * secrets->place_count, secrets));
		fill_places(secrets);
	}
	secrets->count++;
	secrets->places[place_of(secrets, run)] = index + 1;
	*ret = entry_at(secrets, index);
	(*ret)->run = *run;
	return BULLA_OK;
}

static void write_nonce(uint64_t number, uint8_t ret[BULLA_AEAD_NONCE_SIZE])
{
	bulla_wr w = bulla_wr_fixed(ret, BULLA_AEAD_NONCE_SIZE);

	bulla_wr_zeros(&w, 4);
	bulla_wr_u64be(&w, number);
}

bulla_rc bulla_run_secrets_put(struct bulla_run_secrets *secrets, const bulla_run_id *run, bulla_secret secret,
	int64_t until_ms)
{
	uint8_t nonce[BULLA_AEAD_NONCE_SIZE];
	struct entry *entry = NULL;

	if (bulla_secret_view(secret).n != 32)
		return BULLA_FAIL(BULLA_E_FORMAT, "a run secret has 32 bytes");
	BULLA_TRY(find_or_add(secrets, run, &entry));
	if (entry->state == ERASED)
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run was erased");
	entry->nonce = ++secrets->nonces;
	write_nonce(entry->nonce, nonce);
	BULLA_TRY(bulla_aead_seal(secrets->vault, nonce, BULLA_BYTES_ARRAY(run->b), bulla_secret_view(secret), entry->sealed));
	entry->until_ms = entry->state == KEPT && entry->until_ms > until_ms ? entry->until_ms : until_ms;
	secrets->kept += entry->state == KEPT ? 0 : 1;
	entry->state = KEPT;
	return BULLA_OK;
}

bulla_rc bulla_run_secrets_get(struct bulla_run_secrets *secrets, const bulla_run_id *run, bulla_secret *ret)
{
	BULLA_AUTO_SECRET got = BULLA_SECRET_NONE;
	uint8_t nonce[BULLA_AEAD_NONCE_SIZE];
	const struct entry *entry = find(secrets, run);
	uint8_t *p = NULL;

	if (entry == NULL || entry->state == FREE)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no secret of this run is kept");
	if (entry->state == ERASED)
		return BULLA_FAIL(BULLA_E_RUN_CLOSED, "the run was erased");
	BULLA_TRY(bulla_secret_alloc(32, &got, &p));
	write_nonce(entry->nonce, nonce);
	BULLA_TRY(bulla_aead_open(secrets->vault, nonce, BULLA_BYTES_ARRAY(run->b), BULLA_BYTES_ARRAY(entry->sealed), p));
	*ret = bulla_secret_take(&got);
	return BULLA_OK;
}

bool bulla_run_secrets_erase(struct bulla_run_secrets *secrets, const bulla_run_id *run)
{
	struct entry *entry = NULL;

	if (find_or_add(secrets, run, &entry) != BULLA_OK)
		return false; /* the ledger refuses the run from now on in any case */
	bulla_wipe(entry->sealed, sizeof(entry->sealed));
	secrets->kept -= entry->state == KEPT ? 1 : 0;
	entry->state = ERASED;
	return entry->until_ms == BULLA_RUN_SECRET_IN_CELL;
}

void bulla_run_secrets_in_cell(struct bulla_run_secrets *secrets, const bulla_run_id *run)
{
	struct entry *entry = find(secrets, run);

	if (entry != NULL)
		entry->until_ms = BULLA_RUN_SECRET_IN_CELL;
}

bulla_rc bulla_run_secrets_each(struct bulla_run_secrets *secrets, int64_t until_ms,
	bulla_rc (*each)(void *arg, const bulla_run_id *run, bulla_secret secret), void *arg)
{
	for (uint32_t i = 0; i < secrets->count; i++) {
		BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
		bulla_run_id run = entry_at(secrets, i)->run;

		if (entry_at(secrets, i)->state != KEPT || entry_at(secrets, i)->until_ms > until_ms ||
			entry_at(secrets, i)->until_ms == BULLA_RUN_SECRET_IN_CELL)
			continue;
		BULLA_TRY(bulla_run_secrets_get(secrets, &run, &secret));
		BULLA_TRY(each(arg, &run, secret));
	}
	return BULLA_OK;
}

void bulla_run_secrets_sweep(struct bulla_run_secrets *secrets, bool (*keep)(void *arg, const bulla_run_id *run), void *arg)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < secrets->count; i++) {
		struct entry *entry = entry_at(secrets, i);

		if (keep(arg, &entry->run))
			*entry_at(secrets, kept++) = *entry;
		else
			secrets->kept -= entry->state == KEPT ? 1 : 0;
	}
	for (uint32_t i = kept; i < secrets->count; i++)
		bulla_wipe(entry_at(secrets, i), sizeof(struct entry));
	secrets->count = kept;
	bulla_zero(secrets->places, secrets->place_count * sizeof(uint32_t));
	fill_places(secrets);
}

uint32_t bulla_run_secrets_count(const struct bulla_run_secrets *secrets)
{
	return secrets->count;
}

uint32_t bulla_run_secrets_kept(const struct bulla_run_secrets *secrets)
{
	return secrets->kept;
}
