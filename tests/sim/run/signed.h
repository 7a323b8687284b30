#pragma once
/* One seed of a hundred is signed for real: manifest, evidence, births, links, envelopes, starts, receipts, tokens, heads. Its
 * runs' bundles are fetched and must verify. Keys and evidence are a fixed set, made once; in the other seeds verdicts come
 * from the table of world.c. MACs of permits and commits are real in every seed. */
#include "seal/link.h"
#include "sim.h"

#include <stdio.h>

/* Envelopes of a slot, and the links they name as `object` messages. */
struct signed_outputs {
	struct bulla_pair pairs[4];
	bulla_bytes envelopes[4], objects[8];
	bulla_link_id links[8]; /* of the objects */
	size_t count, object_count, used;
	uint8_t memory[8192], object_memory[8][2048];
};

/* Into sim->manifest; the set is made when it is not there. Its approval. */
void signed_manifest(struct sim *sim);
bulla_bytes signed_approval(void);

/* The broker's part: puts its calls into the table; the auth of a token; the answer to KEYS. */
void signed_world(struct bulla_ledger_world *table);
void signed_token(const struct bulla_token *token, struct bulla_auth *ret);
void signed_keys(struct bulla_buf *ret);

/* The owner's part: fills in inputs, party and day key. */
void signed_start(const struct bulla_flow *flow, struct bulla_start *start, struct bulla_buf *ret_record,
	struct signed_outputs *ret);
void signed_pairs(const struct signed_outputs *outputs, uint8_t *ret);

/* An enclave's part; life: how often it was started before. False: too often. */
bool signed_boot(uint32_t enclave, uint32_t life, bulla_digest *ret_kid);
bulla_bytes signed_instance(uint32_t enclave, uint32_t life);
/* The root over the inputs of a step, from its parents' records. */
bulla_rc signed_inputs(const struct bulla_flow *flow, uint32_t step, const struct bulla_flow_parent *parents, size_t count,
	const struct bulla_pb_list *records, bulla_digest *ret);
/* Seals what the plan names for this receipt; fills in its agent. */
void signed_outputs_of(uint32_t enclave, uint32_t life, const struct bulla_flow *flow, struct bulla_receipt *receipt,
	struct signed_outputs *ret);
void signed_receipt(uint32_t enclave, uint32_t life, bulla_bytes payload, struct bulla_auth *ret);

/* The verdict over a bundle must be DEV ONLY. */
void signed_verify(struct sim *sim, uint32_t run, bulla_bytes bundle);
