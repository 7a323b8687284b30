#pragma once
/* Public words that travel as numbers in messages.def. Never renumbered. */

enum bulla_role { BULLA_ROLE_CLIENT = 1, BULLA_ROLE_HOST = 2, BULLA_ROLE_ENCLAVE = 3, BULLA_ROLE_BROKER = 4 };

enum bulla_object_kind {
	BULLA_OBJECT_LINK = 1,
	BULLA_OBJECT_INSTANCE = 2,
	BULLA_OBJECT_BIRTH = 3,
	BULLA_OBJECT_MANIFEST = 4,
	BULLA_OBJECT_PRIVATE = 5,
};

enum bulla_step_state {
	BULLA_STEP_WAITING = 0,
	BULLA_STEP_RUNNING = 1,
	BULLA_STEP_DONE = 2,
	BULLA_STEP_FAILED = 3,
	BULLA_STEP_SKIPPED = 4,
	BULLA_STEP_RETRYING = 5,
};

enum bulla_run_state {
	BULLA_RUN_OPEN = 1,
	BULLA_RUN_DONE = 2,
	BULLA_RUN_FAILED = 3,
	BULLA_RUN_CANCELLED = 4,
	BULLA_RUN_ERASED = 5,
	BULLA_RUN_STUCK = 6,
};

/* How an attempt ended, in receipts, commit requests and facts: values below 64 are the agent's outcomes in the plan's
 * order (0 = `ok` where the agent declares none); failure classes start at 64. */
enum bulla_outcome {
	BULLA_OUTCOME_OK = 0,
	BULLA_OUTCOME_FAILED = 64,
	BULLA_OUTCOME_RETRY = 65,
	BULLA_OUTCOME_CRASH = 66,
	BULLA_OUTCOME_TIMEOUT = 67,
	BULLA_OUTCOME_MEMORY = 68,
	BULLA_OUTCOME_OUTPUT = 69,
	BULLA_OUTCOME_DENIED = 70,
	BULLA_OUTCOME_LOST = 71,
	BULLA_OUTCOME_LIMIT = 72, /* the broker's word: the run has as many facts as a run may have */
};
#define BULLA_OUTCOME_IS_FAILURE(outcome) ((outcome) >= 64)
