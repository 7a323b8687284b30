#include "broker/standing.h"

#include "base/checks.h"
#include "crypto/hash.h"

static size_t find(const struct bulla_standing *standing, bulla_bytes module_id)
{
	bulla_digest module;
	size_t i = 0;

	bulla_sha256(module_id, &module);
	while (i < BULLA_STANDING_MAX && !bulla_digest_eq(&standing->list[i].module, &module))
		i++;
	return i;
}

void bulla_standing_good(struct bulla_standing *standing, bulla_bytes module_id, const bulla_digest *instance)
{
	size_t place = find(standing, module_id);

	if (place == BULLA_STANDING_MAX) {
		place = standing->next;
		standing->next = (standing->next + 1) % BULLA_STANDING_MAX;
	}
	bulla_sha256(module_id, &standing->list[place].module);
	standing->list[place].instance = *instance;
	standing->list[place].why = BULLA_OK;
}

void bulla_standing_end(struct bulla_standing *standing, const bulla_digest *instance, bulla_rc why)
{
	for (size_t i = 0; i < BULLA_STANDING_MAX; i++)
		if (bulla_digest_eq(&standing->list[i].instance, instance))
			standing->list[i].why = why;
}

bulla_rc bulla_standing_check(const struct bulla_standing *standing, bulla_bytes module_id)
{
	size_t place = find(standing, module_id);

	if (BULLA_CHECK_ON(EVIDENCE_STANDING) && place < BULLA_STANDING_MAX && standing->list[place].why != BULLA_OK)
		return BULLA_FAIL(standing->list[place].why, "the enclave's sessions were ended");
	return BULLA_OK;
}
