/* Looking things up in a decoded manifest, and the rules of epochs. */
#include "base/checks.h"
#include "manifest/manifest.h"

const struct bulla_agent *bulla_manifest_agent(const struct bulla_manifest *manifest, const bulla_handle *handle)
{
	for (size_t i = 0; i < manifest->agent_count; i++)
		if (bulla_handle_eq(&manifest->agents[i].handle, handle))
			return &manifest->agents[i];
	return NULL;
}

const struct bulla_party *bulla_manifest_party(const struct bulla_manifest *manifest, const bulla_handle *handle)
{
	for (size_t i = 0; i < manifest->party_count; i++)
		if (bulla_handle_eq(&manifest->parties[i].handle, handle))
			return &manifest->parties[i];
	return NULL;
}

const struct bulla_party *bulla_manifest_party_kid(const struct bulla_manifest *manifest, const bulla_digest *kid)
{
	for (size_t i = 0; i < manifest->party_count; i++)
		if (bulla_digest_eq(&manifest->parties[i].kid, kid))
			return &manifest->parties[i];
	return NULL;
}

const struct bulla_workflow *bulla_manifest_workflow(const struct bulla_manifest *manifest, const bulla_digest *digest)
{
	for (size_t i = 0; i < manifest->workflow_count; i++)
		if (bulla_digest_eq(&manifest->workflows[i].digest, digest))
			return &manifest->workflows[i];
	return NULL;
}

const struct bulla_approver *bulla_manifest_approver(const struct bulla_manifest *manifest, const bulla_digest *kid)
{
	for (size_t i = 0; i < manifest->approver_count; i++)
		if (bulla_digest_eq(&manifest->approvers[i].kid, kid))
			return &manifest->approvers[i];
	return NULL;
}

bool bulla_manifest_epoch_open(const struct bulla_manifest *manifest, uint64_t epoch, const bulla_digest *digest)
{
	if (epoch == manifest->epoch)
		return bulla_digest_eq(&manifest->digest, digest);
	for (size_t i = 0; i < manifest->earlier_count; i++)
		if (manifest->earlier[i].epoch == epoch)
			return bulla_digest_eq(&manifest->earlier[i].manifest, digest);
	return false;
}

bulla_rc bulla_manifest_follows(const struct bulla_manifest *current, const struct bulla_manifest *next)
{
	if (!bulla_handle_eq(&current->tenant, &next->tenant))
		return BULLA_FAIL(BULLA_E_DENIED, "the manifest is of another tenant");
	if (next->suite < current->suite)
		return BULLA_FAIL(BULLA_E_DENIED, "a later epoch may not weaken the suite");
	if (BULLA_CHECK_ON(MANIFEST_EPOCH) && next->epoch <= current->epoch)
		return BULLA_FAIL(BULLA_E_EPOCH_OLD, "the manifest's epoch is not above the one in force");
	return BULLA_OK;
}

/* Insertion sorts: lists are short, and mostly sorted. */
void bulla_manifest_sort(struct bulla_manifest *manifest)
{
	for (size_t i = 1; i < manifest->party_count; i++)
		for (size_t k = i; k > 0; k--) {
			struct bulla_party *a = &manifest->parties[k - 1], *b = &manifest->parties[k], swap = *b;

			if (bulla_bytes_cmp(bulla_handle_view(&a->handle), bulla_handle_view(&b->handle)) <= 0)
				break;
			*b = *a;
			*a = swap;
		}
	for (size_t i = 1; i < manifest->agent_count; i++)
		for (size_t k = i; k > 0; k--) {
			struct bulla_agent *a = &manifest->agents[k - 1], *b = &manifest->agents[k], swap = *b;

			if (bulla_bytes_cmp(bulla_handle_view(&a->handle), bulla_handle_view(&b->handle)) <= 0)
				break;
			*b = *a;
			*a = swap;
		}
	for (size_t i = 1; i < manifest->workflow_count; i++)
		for (size_t k = i; k > 0; k--) {
			struct bulla_workflow *a = &manifest->workflows[k - 1], *b = &manifest->workflows[k], swap = *b;

			if (bulla_bytes_cmp(bulla_handle_view(&a->handle), bulla_handle_view(&b->handle)) <= 0)
				break;
			*b = *a;
			*a = swap;
		}
}
