#pragma once
/* A program in sealed memory: the bytes that were measured are the bytes that run, whatever happens to its file in between.
 * One copy serves every process of it; a file that changed is loaded and measured again. */
#include "base/rc.h"
#include "cose/nitro_doc.h"

#include <sys/stat.h>

struct bulla_sealed {
	int fd; /* -1: nothing is loaded */
	struct stat of; /* the file's, when it was read */
	uint8_t measured[3][BULLA_NITRO_PCR_SIZE];
};

/* Nothing loaded; done closes the file in memory. */
void bulla_sealed_init(struct bulla_sealed *sealed);
void bulla_sealed_done(struct bulla_sealed *sealed);

/* Loads the program unless it is loaded as it is. BULLA_E_NOT_FOUND, BULLA_E_LIMIT (32 MiB), BULLA_E_FORMAT: a script, whose
 * interpreter nobody would measure. What runs from an earlier load goes on. */
BULLA_CHECK bulla_rc bulla_sealed_load(struct bulla_sealed *sealed, const char *path);
