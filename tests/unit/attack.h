#pragma once
/* Attacks and their mutants. A normal build shows that the attack is refused with the named error. A build with
 * -Dmutants=true also takes the check away and shows that the same attack then succeeds: the check is what stops it. */
#include "base/checks.h"
#include "test.h"

#ifdef BULLA_MUTANTS
#define assert_mutant_(name_, rc_, call_) \
	do { \
		bulla_check_remove(BULLA_CHECK_NAME_##name_); \
		bulla_rc mutant_rc_ = (call_); \
		bulla_check_restore(); \
		assert_string_equal(bulla_rc_id(mutant_rc_), bulla_rc_id(rc_)); \
	} while (0)
#else
#define assert_mutant_(name_, rc_, call_) \
	do { \
		(void)BULLA_CHECK_NAME_##name_; \
	} while (0)
#endif

/* assert_attack(POSITION_RUN, BULLA_E_POSITION_RUN, open_it(...)); the call is made twice in mutant builds. */
#define assert_attack(name_, expected_, call_) assert_attack_then(name_, expected_, BULLA_OK, call_)

/* Where a second line of defence answers `then_` once the check is gone. Say in a comment which one it is. */
#define assert_attack_then(name_, expected_, then_, call_) \
	do { \
		assert_rc(expected_, call_); \
		assert_mutant_(name_, then_, call_); \
	} while (0)
