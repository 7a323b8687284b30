#pragma once
/* The broker's time: the system's date at the start, and from then on as much later as time has passed. Everything that the
 * broker says (permits, sessions, day keys, the ledger) goes by it, so that a date that jumps for a moment neither ends what
 * is under way nor leads the ledger into next year, from where no way leads back. A date that stays ahead is taken after
 * HOLD_MS; one that was set back is not, until the time has come. One thread. */
#include "base/sys.h"

#define BULLA_STEADY_SLIP_MS INT64_C(2000) /* how far the date may run ahead and be taken at once: adjusted, not set */
#define BULLA_STEADY_HOLD_MS INT64_C(600000)

struct bulla_steady {
	struct bulla_clock table;       /* what others are given; its mono_us is real's */
	const struct bulla_clock *real; /* dates; mono_us for loops */
	const struct bulla_clock *pace; /* mono_us: time that passes, sleep of the machine included */
	int64_t base_ms, base_us;       /* time and pace when it was last set */
	int64_t ahead_us;               /* pace since when the date is ahead; 0: it is not */
	bool jumped;                    /* it is, or was: for the log; the owner clears it */
};

/* Begins with real's date. Both tables outlive it. */
void bulla_steady_init(struct bulla_steady *steady, const struct bulla_clock *real, const struct bulla_clock *pace);

/* Never before this. *ret_ahead_ms: how far that is ahead of the date; 0: not at all. */
void bulla_steady_floor(struct bulla_steady *steady, int64_t least_ms, int64_t *ret_ahead_ms);
