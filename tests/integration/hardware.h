#pragma once
/* A machine of the tests' own behind a fake file-system tree: what kernel, TPM and metadata service do there. */
#include "arm_lab.h"
#include "azure_lab.h"
#include "snp_lab.h"

struct hardware {
	const char *kind;       /* "tdx", "snp", "cca", "sgx", "az-snp", "az-tdx" */
	const char *root, *out; /* the tree; a folder for collateral and the quote service's socket */
	struct azure_lab azure; /* has the DCAP world */
	struct snp_lab snp;
	struct arm_lab arm;
	uint8_t rtmr3[48];
	unsigned generation;
	int watch;              /* inotify of the report entry, or the FIFO of Gramine, or the TPM's end, or -1 */
	int rtmr, service;      /* TDX: FIFO; Azure on TDX: listens; -1: none */
	/* what a manifest says of it */
	const char *tee;        /* the driver's word */
	uint8_t measurement[48];
	size_t measurement_size;
	struct bulla_attest_anchor anchor;
};

/* Makes keys, tree, and OUT/collateral. */
void hardware_open(struct hardware *machine);

/* Does what is to be done within that time. */
void hardware_serve(struct hardware *machine, int wait_ms);
