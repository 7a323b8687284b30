#pragma once
/* The sealed side of the bundles that tests make: births, links, envelopes. */
#include "verify/maker.h"

/* One item into the bundle, through the hooks; the second one takes the buffer. */
void maker_put(struct maker *maker, enum bulla_bundle_kind kind, bulla_bytes body);
void maker_put_buf(struct maker *maker, enum bulla_bundle_kind kind, struct bulla_buf *buf);

/* Eight times the letter. */
void maker_handle(uint8_t letter, bulla_handle *ret);

/* Births of the agents, links of owner, instance and party. */
void maker_links(struct maker *maker);

/* Seals one more output of the slot to these readers; keeps its header and pair. from: whose links. */
void maker_seal(struct maker *maker, struct maker_slot *slot, struct bulla_position position, uint8_t kind, unsigned from,
	const bulla_digest *producer, struct bulla_flow_span readers);

/* What the plan names for this receipt, sealed. */
void maker_outputs(struct maker *maker, const struct bulla_receipt *receipt, struct maker_slot *ret);

/* The headers of a slot's envelopes into the bundle. */
void maker_headers(struct maker *maker, const struct maker_slot *slot);

/* The broker's day key, to which starts are sealed. */
extern const uint8_t maker_day_public[32];
void maker_day_key(struct maker *maker);
