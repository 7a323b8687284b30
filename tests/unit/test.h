#pragma once
/* What every unit test includes: cmocka with its headers, and a few asserts of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

#define assert_rc(expected_, call_) assert_string_equal(bulla_rc_id(call_), bulla_rc_id(expected_))
#define assert_ok(call_) assert_rc(BULLA_OK, (call_))
#define assert_bytes(a_, b_) \
	do { \
		bulla_bytes a__ = (a_), b__ = (b_); \
		assert_int_equal(a__.n, b__.n); \
		if (a__.n > 0) \
			assert_memory_equal(a__.p, b__.p, a__.n); \
	} while (0)
