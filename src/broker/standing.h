#pragma once
/* How the enclaves that attested here stand, by the module id that all their documents carry: one whose sessions were ended
 * gets no key either. In memory: after a restart everybody is appraised anew anyway. */
#include "base/bytes.h"

#define BULLA_STANDING_MAX 1024

struct bulla_standing {
	struct {
		bulla_digest module;   /* digest of the module id; zero: free */
		bulla_digest instance; /* kid of its receipt key */
		bulla_rc why;          /* BULLA_OK: good */
	} list[BULLA_STANDING_MAX];
	size_t next; /* the place that goes first */
};

/* It attested, and was accepted. */
void bulla_standing_good(struct bulla_standing *standing, bulla_bytes module_id, const bulla_digest *instance);

/* Its appraisal turned bad. */
void bulla_standing_end(struct bulla_standing *standing, const bulla_digest *instance, bulla_rc why);

/* BULLA_OK for strangers and the good; else why not. */
BULLA_CHECK bulla_rc bulla_standing_check(const struct bulla_standing *standing, bulla_bytes module_id);
