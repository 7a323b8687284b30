#pragma once
/* Manifests that the broker accepted, oldest first; the newest is in force (protocol.md section 3). An epoch is accepted
 * with M approvals of the set before it, a number above the last, and this broker's own keys in it; never back. */
#include "base/limits.h"
#include "crypto/sign.h"
#include "flow/flow.h"
#include "manifest/manifest.h"
#include "wire/messages.h"

#define BULLA_EPOCHS_MAX BULLA_MAX_EPOCHS

struct bulla_epoch {
	struct bulla_buf put;            /* body of the put_manifest that brought it */
	struct bulla_manifest manifest;  /* views into put */
	struct bulla_flow *flows;        /* one per workflow, in the manifest's order */
	void **flow_memory;
	struct bulla_verify_key **parties; /* keys, in the manifest's order */
};

struct bulla_epochs {
	struct bulla_epoch *list[BULLA_EPOCHS_MAX];
	size_t count;
	bulla_digest tls, ledger; /* digests of the broker's own keys */
	bulla_digest owner;       /* kid: the first manifest is approved by this key; zeros: none is known */
};

/* Frees manifests and their keys. */
void bulla_epochs_done(struct bulla_epochs *epochs);

/* Accepts a put_manifest body. *ret_new false: it is the one in force already. BULLA_E_OWNER: the first one, not approved by
 * the owner whom this broker was set up for. BULLA_E_APPROVALS, BULLA_E_EPOCH_OLD,
 * BULLA_E_DENIED (another broker's keys, another tenant), BULLA_E_UNSUPPORTED (hybrid suite), BULLA_E_FORMAT. */
BULLA_CHECK bulla_rc bulla_epochs_put(struct bulla_epochs *epochs, bulla_bytes put, bool *ret_new);

/* In force; NULL before the first. */
const struct bulla_epoch *bulla_epochs_current(const struct bulla_epochs *epochs);

/* NULL when it was never accepted. */
const struct bulla_epoch *bulla_epochs_find(const struct bulla_epochs *epochs, const bulla_digest *manifest);

/* In force or left open by the one in force. BULLA_E_EPOCH_OLD, BULLA_E_NOT_FOUND. */
BULLA_CHECK bulla_rc bulla_epochs_open(const struct bulla_epochs *epochs, const bulla_digest *manifest,
	const struct bulla_epoch **ret);

/* May an instance attested under `session` serve runs of `run`? BULLA_E_EPOCH_OLD, BULLA_E_EPOCH_CLOSED. */
BULLA_CHECK bulla_rc bulla_epochs_serves(const struct bulla_epochs *epochs, const bulla_digest *session,
	const bulla_digest *run);

/* A workflow's plan; NULL when the manifest has no such workflow. */
const struct bulla_flow *bulla_epoch_flow(const struct bulla_epoch *epoch, const bulla_digest *workflow);

/* A party by its key's digest, with the key; NULL. */
const struct bulla_party *bulla_epoch_party(const struct bulla_epoch *epoch, const bulla_digest *kid,
	struct bulla_verify_key **ret_key);
