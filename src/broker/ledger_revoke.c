#include "broker/ledger_state.h"

#include "base/checks.h"
#include "base/limits.h"

/* Revocations: few, kept for good, looked at for each permit and commit. */

bulla_rc bulla_ledger_revoked(const struct bulla_ledger *ledger, const struct bulla_revocable *what)
{
	for (uint32_t i = 0; i < ledger->revocation_count; i++) {
		const struct ledger_revocation *revocation = &ledger->revocations[i];

		if (BULLA_CHECK_ON(LEDGER_REVOKED) && bulla_order_revokes(&revocation->order, revocation->entry.other, what))
			return BULLA_FAIL(BULLA_E_REVOKED, "an approver revoked the instance, its image, its agent or its epoch");
	}
	return BULLA_OK;
}

bulla_rc ledger_check_revoked(const struct bulla_ledger *ledger, const struct ledger_run *run,
	const struct ledger_session *session, uint32_t step)
{
	struct bulla_revocable what = {
		.instance = &session->instance, .image = &session->image, .epoch = session->epoch, .run_epoch = run->epoch};
	const struct bulla_flow_step *plan = &run->flow->steps[step];
	bulla_digest bundle;
	bulla_handle agent;

	if (ledger->revocation_count == 0)
		return BULLA_OK;
	if (plan->kind == BULLA_FLOW_AGENT && plan->actor < run->flow->actor_count) {
		BULLA_TRY(bulla_bytes_copy_exact(BULLA_BYTES_ARRAY(run->flow->actors[plan->actor].handle), sizeof(agent.b), agent.b));
		BULLA_TRY(ledger->world.bundle(ledger->world.ctx, &run->start.manifest, &agent, &bundle));
		what.bundle = &bundle;
	}
	return bulla_ledger_revoked(ledger, &what);
}

bulla_rc bulla_ledger_revoke(struct bulla_ledger *ledger, bulla_bytes sign1, int64_t now_ms)
{
	struct ledger_fact fact = {.type = BULLA_LEDGER_REVOKE, .entry = {.kind = BULLA_ENTRY_REVOKE}, .rest = sign1};
	struct bulla_order order;

	BULLA_TRY(ledger->world.open_revocation(ledger->world.ctx, sign1, &order, &fact.entry.who, &fact.entry.other));
	if (order.kind < BULLA_ORDER_REVOKE_INSTANCE)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "that order revokes nothing");
	BULLA_TRY(bulla_order_digest(&order, &fact.entry.digest));
	for (uint32_t i = 0; i < ledger->revocation_count; i++)
		if (bulla_digest_eq(&ledger->revocations[i].entry.digest, &fact.entry.digest))
			return BULLA_OK;
	if (ledger->revocation_count == BULLA_MAX_REVOCATIONS)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many revocations: begin a new epoch that names what is good");
	return ledger_say(ledger, NULL, &fact, now_ms);
}
