#include "broker/epochs.h"

#include "base/checks.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/approvals.h"

static struct bulla_epoch *epoch_free(struct bulla_epoch *epoch)
{
	if (epoch == NULL)
		return NULL;
	for (size_t i = 0; epoch->flow_memory != NULL && i < epoch->manifest.workflow_count; i++)
		bulla_free(epoch->flow_memory[i]);
	for (size_t i = 0; epoch->parties != NULL && i < epoch->manifest.party_count; i++)
		bulla_verify_key_free(epoch->parties[i]);
	bulla_free(epoch->flow_memory);
	bulla_free(epoch->flows);
	bulla_free(epoch->parties);
	bulla_manifest_done(&epoch->manifest);
	bulla_buf_done(&epoch->put);
	bulla_free(epoch);
	return NULL;
}

static void epoch_cleanup(struct bulla_epoch **epoch)
{
	epoch_free(*epoch);
}
#define AUTO_EPOCH __attribute__((cleanup(epoch_cleanup))) struct bulla_epoch *

void bulla_epochs_done(struct bulla_epochs *epochs)
{
	for (size_t i = 0; i < epochs->count; i++)
		epoch_free(epochs->list[i]);
	epochs->count = 0;
}

static bulla_rc read_flows(struct bulla_epoch *epoch)
{
	size_t count = epoch->manifest.workflow_count;
	void *flows = NULL, *memory = NULL;

	if (count == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_alloc(count, sizeof(void *), &memory));
	epoch->flow_memory = (void **)memory;
	BULLA_TRY(bulla_alloc(count, sizeof(struct bulla_flow), &flows));
	epoch->flows = (struct bulla_flow *)flows;
	for (size_t i = 0; i < count; i++) {
		bulla_bytes plan = epoch->manifest.workflows[i].plan;
		size_t size = 0;

		BULLA_TRY(bulla_flow_measure(plan, &size));
		BULLA_TRY(bulla_alloc(size, 1, &epoch->flow_memory[i]));
		BULLA_TRY(bulla_flow_decode(plan, epoch->flow_memory[i], size, &epoch->flows[i]));
	}
	return BULLA_OK;
}

static bulla_rc read_parties(struct bulla_epoch *epoch)
{
	size_t count = epoch->manifest.party_count;
	void *keys = NULL;

	if (count == 0)
		return BULLA_OK;
	BULLA_TRY(bulla_alloc(count, sizeof(void *), &keys));
	epoch->parties = (struct bulla_verify_key **)keys;
	for (size_t i = 0; i < count; i++)
		BULLA_TRY(bulla_verify_key_spki(epoch->manifest.parties[i].spki, &epoch->parties[i]));
	return BULLA_OK;
}

static bulla_rc epoch_read(bulla_bytes put, struct bulla_epoch **ret)
{
	AUTO_EPOCH epoch = NULL;
	struct bulla_msg_put_manifest message;
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(*epoch), &p));
	epoch = (struct bulla_epoch *)p;
	bulla_buf_init(&epoch->put, put.n);
	BULLA_TRY(bulla_buf_append(&epoch->put, put));
	BULLA_TRY(bulla_msg_put_manifest_decode(bulla_buf_view(&epoch->put), &message));
	if (message.manifest.n == 0 || message.manifest.n > BULLA_MAX_MANIFEST)
		return BULLA_FAIL(BULLA_E_LIMIT, "no manifest, or too long");
	BULLA_TRY(bulla_manifest_decode(message.manifest, &epoch->manifest));
	BULLA_TRY(read_flows(epoch));
	BULLA_TRY(read_parties(epoch));
	*ret = bulla_take(&epoch);
	return BULLA_OK;
}

static bool has_signed(const struct bulla_manifest *by, uint32_t signers, const bulla_digest *kid)
{
	for (size_t i = 0; i < by->approver_count; i++)
		if ((signers >> i & 1) != 0 && bulla_digest_eq(&by->approvers[i].kid, kid))
			return true;
	return false;
}

/* owner: who must be among the signers; NULL: nobody in particular. */
static bulla_rc check_approvals(const struct bulla_epoch *epoch, const struct bulla_manifest *by, const bulla_digest *owner)
{
	bulla_bytes approvals[BULLA_MAX_APPROVERS * 2];
	struct bulla_msg_put_manifest message;
	uint32_t signers = 0;

	BULLA_TRY(bulla_msg_put_manifest_decode(bulla_buf_view(&epoch->put), &message));
	BULLA_TRY(bulla_pb_list_items(&message.approvals, BULLA_MAX_APPROVERS * 2, approvals));
	BULLA_TRY(bulla_approvals_check(&epoch->manifest, by, approvals, message.approvals.count, &signers));
	if (BULLA_CHECK_ON(MANIFEST_OWNER) && owner != NULL && !has_signed(by, signers, owner))
		return BULLA_FAIL(BULLA_E_OWNER, "the owner of this broker has not approved its first manifest");
	return BULLA_OK;
}

bulla_rc bulla_epochs_put(struct bulla_epochs *epochs, bulla_bytes put, bool *ret_new)
{
	const struct bulla_epoch *current = bulla_epochs_current(epochs);
	AUTO_EPOCH epoch = NULL;

	BULLA_TRY(epoch_read(put, &epoch));
	if (epoch->manifest.suite != BULLA_SUITE_CLASSIC) /* or run secrets would be sealed by less than the manifest says */
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "day keys are X25519 only: a manifest of the hybrid suite is not served");
	if (current != NULL && bulla_digest_eq(&current->manifest.digest, &epoch->manifest.digest)) {
		*ret_new = false;
		return BULLA_OK;
	}
	if (!bulla_digest_eq(&epoch->manifest.broker_tls, &epochs->tls) ||
		!bulla_digest_eq(&epoch->manifest.ledger, &epochs->ledger))
		return BULLA_FAIL(BULLA_E_DENIED, "the manifest names another broker's keys");
	if (current == NULL)
		BULLA_TRY(check_approvals(epoch, &epoch->manifest, &epochs->owner));
	else
		BULLA_TRY(check_approvals(epoch, &current->manifest, NULL));
	if (current != NULL)
		BULLA_TRY(bulla_manifest_follows(&current->manifest, &epoch->manifest));
	if (epochs->count == BULLA_EPOCHS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many epochs");
	epochs->list[epochs->count++] = bulla_take(&epoch);
	*ret_new = true;
	return BULLA_OK;
}

const struct bulla_epoch *bulla_epochs_current(const struct bulla_epochs *epochs)
{
	return epochs->count == 0 ? NULL : epochs->list[epochs->count - 1];
}

const struct bulla_epoch *bulla_epochs_find(const struct bulla_epochs *epochs, const bulla_digest *manifest)
{
	for (size_t i = epochs->count; i > 0; i--)
		if (bulla_digest_eq(&epochs->list[i - 1]->manifest.digest, manifest))
			return epochs->list[i - 1];
	return NULL;
}

static bool leaves_open(const struct bulla_epoch *by, const struct bulla_epoch *epoch)
{
	return by == epoch || bulla_manifest_epoch_open(&by->manifest, epoch->manifest.epoch, &epoch->manifest.digest);
}

bulla_rc bulla_epochs_open(const struct bulla_epochs *epochs, const bulla_digest *manifest,
	const struct bulla_epoch **ret)
{
	const struct bulla_epoch *epoch = bulla_epochs_find(epochs, manifest);

	if (epoch == NULL)
		return BULLA_FAIL(BULLA_E_NOT_FOUND, "no such manifest was accepted");
	if (!leaves_open(bulla_epochs_current(epochs), epoch))
		return BULLA_FAIL(BULLA_E_EPOCH_OLD, "a newer epoch is in force and left this one closed");
	*ret = epoch;
	return BULLA_OK;
}

bulla_rc bulla_epochs_serves(const struct bulla_epochs *epochs, const bulla_digest *session, const bulla_digest *run)
{
	const struct bulla_epoch *by = NULL, *of = NULL;

	BULLA_TRY(bulla_epochs_open(epochs, session, &by));
	if (bulla_epochs_open(epochs, run, &of) != BULLA_OK || !leaves_open(by, of))
		return BULLA_FAIL(BULLA_E_EPOCH_CLOSED, "the run's epoch is closed to this instance");
	return BULLA_OK;
}

const struct bulla_flow *bulla_epoch_flow(const struct bulla_epoch *epoch, const bulla_digest *workflow)
{
	for (size_t i = 0; i < epoch->manifest.workflow_count; i++)
		if (bulla_digest_eq(&epoch->manifest.workflows[i].digest, workflow))
			return &epoch->flows[i];
	return NULL;
}

const struct bulla_party *bulla_epoch_party(const struct bulla_epoch *epoch, const bulla_digest *kid,
	struct bulla_verify_key **ret_key)
{
	const struct bulla_party *party = bulla_manifest_party_kid(&epoch->manifest, kid);

	if (party != NULL)
		*ret_key = epoch->parties[party - epoch->manifest.parties];
	return party;
}
