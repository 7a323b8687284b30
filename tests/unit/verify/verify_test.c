#include "verify/verify.h"

#include "attack.h"
#include "base/mem.h"
#include "verify/maker.h"

#include <stdio.h>

static struct maker maker;
static struct bulla_trust trust;

static enum bulla_verdict verdict(bulla_bytes bundle, struct bulla_verify_result *ret)
{
	assert_ok(maker_verify(bundle, &trust, 1 << 16, ret));
	return ret->verdict;
}

static void expect(enum bulla_verdict expected, bulla_bytes bundle)
{
	struct bulla_verify_result result;

	if (verdict(bundle, &result) != expected)
		fail_msg("%s: %s, %s (%s) at step %u try %u", bulla_verdict_word(result.verdict),
			bulla_verify_check_id(result.failed), bulla_rc_id(result.rc), result.text ? result.text : "",
			result.step, result.attempt);
}

static void honest(void **state)
{
	(void)state;
	for (uint8_t outcome = 0; outcome < 3; outcome++) {
		struct maker_hooks hooks = MAKER_HONEST;

		expect(BULLA_VERDICT_DEV_ONLY, maker_run(&maker, outcome, hooks));
		hooks.lone = true;
		expect(BULLA_VERDICT_DEV_ONLY, maker_run(&maker, outcome, hooks));
	}
}

static void facts(void **state)
{
	struct bulla_verify_result result;

	(void)state;
	assert_int_equal(verdict(maker_run(&maker, 1, MAKER_HONEST), &result), BULLA_VERDICT_DEV_ONLY);
	assert_int_equal(result.facts.steps, 3);
	assert_int_equal(result.facts.attempts, 4);
	assert_int_equal(result.facts.failed, 1);
	assert_int_equal(result.facts.lost, 1);
	assert_int_equal(result.facts.agents, 2);
	assert_int_equal(result.facts.instances, 1);
	assert_int_equal(result.facts.tokens, 2);
	assert_int_equal(result.facts.run_state, BULLA_RUN_DONE);
	assert_int_equal(result.facts.assurance, BULLA_ASSURANCE_DEV);
	assert_int_equal(result.facts.tee, BULLA_TEE_DEV);
	assert_int_equal(result.facts.epoch, 3);
	assert_int_equal(result.facts.evidence_first_ms, MAKER_T0);
	assert_int_equal(result.checks[BULLA_VERIFY_RECEIPT_SIGNATURE].times, 4);
	assert_int_equal(result.checks[BULLA_VERIFY_EVIDENCE_RECENT].times, 4);
	assert_int_equal(result.checks[BULLA_VERIFY_LOG].state, BULLA_VERIFY_NOT_CHECKED);
}

/* The same verdict, whatever the pieces. */
static void pieces(void **state)
{
	bulla_bytes bundle = maker_run(&maker, 0, MAKER_HONEST);
	struct bulla_verify_result result;

	(void)state;
	for (size_t piece = 7; piece < 4000; piece = piece * 5 + 1) {
		assert_ok(maker_verify(bundle, &trust, piece, &result));
		assert_int_equal(result.verdict, BULLA_VERDICT_DEV_ONLY);
	}
}

static void words(void **state)
{
	struct bulla_verify_result result;
	struct bulla_trust stranger = trust;
	bulla_bytes bundle = maker_run(&maker, 0, MAKER_HONEST);
	struct maker_hooks unapproved = MAKER_HONEST;

	(void)state;
	stranger.approvers[0].kid.b[0] ^= 1;
	assert_ok(maker_verify(bundle, &stranger, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_UNKNOWN_SIGNER);
	assert_ok(maker_verify(bundle, NULL, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_UNKNOWN_SIGNER);
	stranger = trust;
	stranger.tenant.b[0] ^= 1;
	assert_ok(maker_verify(bundle, &stranger, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_REFUSED);
	stranger = trust;
	stranger.anchors[0].assurance = BULLA_ASSURANCE_EMULATOR;
	assert_ok(maker_verify(bundle, &stranger, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_EMULATOR_ONLY);
	stranger.anchors[0].assurance = BULLA_ASSURANCE_HARDWARE;
	assert_ok(maker_verify(bundle, &stranger, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_VERIFIED);
	unapproved.approver = -1;
	assert_ok(maker_verify(maker_run(&maker, 0, unapproved), &trust, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_UNKNOWN_SIGNER);
	assert_int_equal(result.rc, BULLA_E_APPROVALS);
	assert_int_equal(bulla_verdict_exit(BULLA_VERDICT_VERIFIED, 0), 0);
	assert_int_equal(bulla_verdict_exit(BULLA_VERDICT_DEV_ONLY, 0), 4);
	assert_int_equal(bulla_verdict_exit(BULLA_VERDICT_DEV_ONLY, BULLA_ACCEPT_DEV), 0);
	assert_int_equal(bulla_verdict_exit(BULLA_VERDICT_UNKNOWN_SIGNER, BULLA_ACCEPT_DEV), 4);
	assert_int_equal(bulla_verdict_exit(BULLA_VERDICT_REFUSED, 3), 1);
}

/* A manifest may take two classes. Who gave birth to an agent's key can read what is sealed to it, whoever ran the steps. */
static void lesser_birth(void **state)
{
	struct maker_hooks hooks = MAKER_HONEST;
	static struct bulla_trust mixed;
	struct bulla_verify_result result;
	bulla_bytes bundle;

	(void)state;
	hooks.midwife = true;
	hooks.birth_signer = MAKER_STRANGER;
	bundle = maker_run(&maker, 0, hooks);
	bulla_trust_of(&maker.manifest, &mixed);
	assert_int_equal(mixed.anchor_count, 2);
	mixed.anchors[0].assurance = mixed.anchors[1].assurance = BULLA_ASSURANCE_HARDWARE;
	assert_ok(maker_verify(bundle, &mixed, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_VERIFIED);
	mixed.anchors[1].assurance = BULLA_ASSURANCE_DEV; /* the midwife's alone */
	assert_ok(maker_verify(bundle, &mixed, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_DEV_ONLY);
	mixed.anchors[1].assurance = BULLA_ASSURANCE_HARDWARE;
	mixed.anchors[0].assurance = BULLA_ASSURANCE_EMULATOR; /* who ran the steps */
	assert_ok(maker_verify(bundle, &mixed, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_EMULATOR_ONLY);
}

/* No bit of a bundle can be flipped, no byte cut off. */
static void bit_flips(void **state)
{
	bulla_bytes view = maker_run(&maker, 1, MAKER_HONEST);
	struct bulla_verify_result result;

	(void)state;
	for (size_t bit = 0; bit < 8 * view.n; bit += 431) {
		maker.bundle.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_ok(maker_verify(view, &trust, 1 << 16, &result));
		if (result.verdict != BULLA_VERDICT_REFUSED || result.rc == BULLA_OK || result.text == NULL)
			fail_msg("bit %zu of byte %zu was not refused", bit % 8, bit / 8);
		maker.bundle.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < view.n; n += 251) {
		assert_ok(maker_verify(bulla_bytes_of(view.p, n), &trust, 1 << 16, &result));
		assert_int_equal(result.verdict, BULLA_VERDICT_REFUSED);
	}
}

static bulla_bytes read_file(const char *name, uint8_t *memory, size_t size)
{
	char path[256];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", VECTORS, name);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(memory, 1, size, file);
	fclose(file);
	return bulla_bytes_of(memory, n);
}

/* Bundles of real runs of the loan example, as the programs of 2026-11-21 wrote them: they verify for ever. */
static void golden_bundles(void **state)
{
	static uint8_t bundle[65536], text[4096];
	struct bulla_verify_result result;
	struct bulla_trust theirs;

	(void)state;
	assert_ok(bulla_trust_parse(read_file("loan.trust", text, sizeof(text)), &theirs, NULL));
	assert_ok(maker_verify(read_file("done.bundle", bundle, sizeof(bundle)), &theirs, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_DEV_ONLY);
	assert_int_equal(result.facts.run_state, BULLA_RUN_DONE);
	assert_int_equal(result.facts.steps, 3);
	assert_int_equal(result.facts.agents, 3);
	assert_int_equal(result.checks[BULLA_VERIFY_ENVELOPE_READERS].times, 7);
	assert_ok(maker_verify(read_file("failed.bundle", bundle, sizeof(bundle)), &theirs, 4096, &result));
	assert_int_equal(result.verdict, BULLA_VERDICT_DEV_ONLY);
	assert_int_equal(result.facts.run_state, BULLA_RUN_FAILED);
	assert_int_equal(result.facts.failed, 3);
}

static void no_memory(void **state)
{
	bulla_bytes bundle = maker_run(&maker, 0, MAKER_HONEST);
	struct bulla_verify_result result;
	uint64_t nth;

	(void)state;
	for (nth = 1; nth < 1000; nth++) {
		bulla_rc rc;

		bulla_alloc_fail_nth(nth);
		rc = maker_verify(bundle, &trust, 1 << 16, &result);
		bulla_alloc_fail_nth(0);
		if (rc == BULLA_OK && result.verdict == BULLA_VERDICT_DEV_ONLY)
			break;
		assert_true(rc != BULLA_OK || result.verdict == BULLA_VERDICT_REFUSED);
	}
	assert_true(nth > 5 && nth < 1000);
}

static int up(void **state)
{
	return maker_set_up(&maker, &trust, state);
}

static int down(void **state)
{
	return maker_tear_down(&maker, state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest),
		cmocka_unit_test(facts),
		cmocka_unit_test(lesser_birth),
		cmocka_unit_test(pieces),
		cmocka_unit_test(words),
		cmocka_unit_test(bit_flips),
		cmocka_unit_test(golden_bundles),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, up, down);
}
