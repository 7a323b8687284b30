#pragma once
/* Results: one enum, one list with its stable ids and texts, one trail of where it went wrong. */
#include <stdint.h>

/* X(name, id, text). The id is what people and programs see (experience.md section 8); the text says what happened. */
#define BULLA_RC_LIST(X) \
	X(OK, "ok", "done") \
	X(E_ARGUMENT, "argument", "the request does not make sense") \
	X(E_FORMAT, "format", "the bytes are not in the form they must have") \
	X(E_VERSION, "version", "the version is not one this program reads") \
	X(E_LIMIT, "limit", "a limit is reached") \
	X(E_TRAILING, "trailing", "bytes follow where none may") \
	X(E_TRUNCATED, "truncated", "the bytes end too early") \
	X(E_DUPLICATE, "duplicate", "a thing is there twice that may be there once") \
	X(E_MEMORY, "memory", "memory is exhausted") \
	X(E_LOCK, "memory-lock", "memory for keys cannot be locked") \
	X(E_IO, "io", "the operating system refused an operation") \
	X(E_CORRUPT, "corrupt", "stored bytes are not what was written") \
	X(E_RANDOM, "random", "the random source failed") \
	X(E_CRYPTO, "crypto", "a cryptographic operation failed") \
	X(E_SIGNATURE, "signature", "a signature does not verify") \
	X(E_MAC, "mac-wrong", "a MAC does not verify") \
	X(E_NOT_FOUND, "not-found", "there is no such thing") \
	X(E_EXISTS, "exists", "it is there already, with other content") \
	X(E_STATE, "state", "not possible in this state") \
	X(E_BUSY, "busy", "no capacity now; try again") \
	X(E_AGAIN, "again", "not yet; call again") \
	X(E_CLOSED, "closed", "the other side closed the connection") \
	X(E_TIMEOUT, "timeout", "the time is over") \
	X(E_CANCELLED, "cancelled", "it was cancelled") \
	X(E_UNSUPPORTED, "unsupported", "this build or version cannot do that") \
	X(E_UNREACHABLE, "unreachable", "the other side cannot be reached") \
	X(E_FULL, "disk-full", "no space; nothing is lost") \
	X(E_DENIED, "denied", "refused by policy") \
	X(E_NO_RIGHT, "no-right", "this key may not do that") \
	X(E_CLOCK, "clock-skew", "the clocks disagree by too much") \
	/* attestation */ \
	X(E_EVIDENCE_FORMAT, "evidence-format", "the evidence is not in the form of its TEE") \
	X(E_EVIDENCE_CHAIN, "evidence-chain", "the evidence does not chain to a trusted anchor") \
	X(E_EVIDENCE_SIGNATURE, "evidence-signature", "the evidence's signature does not verify") \
	X(E_EVIDENCE_STALE, "evidence-stale", "the evidence, or what it is judged by, is not valid at this time") \
	X(E_EVIDENCE_DEBUG, "evidence-debug", "the TEE is in debug mode") \
	X(E_MEASUREMENT, "measurement-mismatch", "the measurement is not an approved one") \
	X(E_BINDER, "binder-mismatch", "the evidence is bound to something else") \
	X(E_EVIDENCE_POLICY, "evidence-policy", "the evidence does not satisfy the policy") \
	X(E_EVIDENCE_MISSING, "evidence-missing", "there is no evidence where it is demanded") \
	X(E_EVIDENCE_REPLAYED, "evidence-replayed", "the evidence was shown before") \
	X(E_EPOCH_OLD, "epoch-old", "a newer epoch is in force") \
	X(E_REVOKED, "revoked", "it was revoked") \
	/* attested channels: attestation.md */ \
	X(E_CHANNEL_NONCE, "channel-nonce", "the evidence answers another challenge") \
	X(E_CHANNEL_RELAYED, "channel-relayed", "the evidence is of another TLS connection") \
	X(E_CHANNEL_REFLECTED, "channel-reflected", "one's own challenge came back") \
	X(E_CHANNEL_ROLE, "channel-role", "the evidence is of the other role") \
	X(E_CHANNEL_KEY, "channel-key", "the evidence names other keys than this connection's") \
	X(E_CHANNEL_MODE, "channel-mode", "the two sides want different attestation") \
	X(E_CHANNEL_MANIFEST, "channel-manifest", "the evidence is of another manifest") \
	/* births and links: protocol.md sections 5 and 6 */ \
	X(E_KEY_SUBSTITUTED, "key-substituted", "the agent's key is not the one of its birth record") \
	X(E_KEY_CONTEXT, "key-context", "the key blob is for another agent, epoch or manifest") \
	X(E_KEY_POLICY, "key-policy", "the wrapping key's policy is not the demanded one") \
	X(E_BIRTH_MISSING, "birth-missing", "there is no birth record for this agent and epoch") \
	X(E_LINK_SIGNATURE, "link-signature", "the link's signature does not verify") \
	X(E_LINK_SENDER, "link-sender", "the link's sender may not speak here") \
	X(E_LINK_UNKNOWN, "link-unknown", "the link an envelope names was not given") \
	X(E_EPOCH_CLOSED, "epoch-closed", "the epoch is closed") \
	/* envelopes: protocol.md section 7 */ \
	X(E_POSITION_TENANT, "position-tenant", "the envelope belongs to another tenant") \
	X(E_POSITION_WORKFLOW, "position-workflow", "the envelope belongs to another workflow") \
	X(E_POSITION_RUN, "position-run", "the envelope belongs to another run") \
	X(E_POSITION_STEP, "position-step", "the envelope belongs to another step") \
	X(E_POSITION_ITEM, "position-item", "the envelope belongs to another item") \
	X(E_POSITION_ATTEMPT, "position-attempt", "the envelope belongs to another attempt") \
	X(E_POSITION_PATH, "position-path", "the envelope holds another field") \
	X(E_PRODUCER, "producer-wrong", "the producer may not write this") \
	X(E_NOT_ADDRESSED, "not-addressed", "the envelope is not for this reader") \
	X(E_ENVELOPE_DAMAGED, "envelope-damaged", "the envelope does not open") \
	X(E_COMMITMENT, "commitment-mismatch", "the envelope's content is not the committed one") \
	X(E_PART, "part-mismatch", "a part is not the part of its whole") \
	X(E_NOT_ENVELOPE, "not-an-envelope", "the bytes are no envelope") \
	/* permits, attempts, commits: protocol.md section 9 */ \
	X(E_PERMIT_INSTANCE, "permit-instance", "the permit is for another instance") \
	X(E_PERMIT_EXPIRED, "permit-expired", "the permit has expired") \
	X(E_PERMIT_USED, "permit-used", "the permit was used already") \
	X(E_PLAN, "plan-violated", "the plan does not want this step now") \
	X(E_PARENT, "parent-not-committed", "a parent is not the committed one") \
	X(E_ATTEMPT_OPEN, "attempt-open", "another attempt of this slot is open") \
	X(E_ATTEMPT_NUMBER, "attempt-number", "the attempt does not follow the last one") \
	X(E_ATTEMPT_CLOSED, "attempt-closed", "the attempt is not open any more") \
	X(E_SLOT_FILLED, "slot-filled", "the slot has its receipt already") \
	X(E_RUN_CLOSED, "run-closed", "the run has ended, was cancelled or erased") \
	X(E_RUN_UNKNOWN, "run-unknown", "there is no such run") \
	X(E_SESSION, "session-unknown", "the session has ended or never was") \
	X(E_CLOCK_RECEIPT, "clock-receipt", "the broker's clock has not said so") \
	X(E_PARTY, "party-unknown", "no such party may do that") \
	X(E_GRAPH, "graph", "the receipts do not form the plan's graph") \
	X(E_STATE_OLD, "state-old", "the stored state is behind the ledger") \
	X(E_FORK, "fork-detected", "two different receipts exist for one attempt") \
	X(E_APPROVALS, "approvals-missing", "approvals are missing") \
	X(E_OWNER, "owner-unknown", "this broker belongs to another owner") \
	X(E_BUNDLE, "bundle-damaged", "the bundle is damaged") \
	/* agents: engine.md section 8 */ \
	X(E_AGENT_FAILED, "agent-failed", "the agent ended with a failure") \
	X(E_AGENT_RETRY, "agent-retry", "the agent asked to be tried again") \
	X(E_AGENT_CRASH, "agent-crash", "the agent died of a signal") \
	X(E_AGENT_TIMEOUT, "agent-timeout", "the agent passed its time") \
	X(E_AGENT_MEMORY, "agent-memory", "the agent passed its memory") \
	X(E_AGENT_OUTPUT, "agent-output", "the agent did not write exactly one JSON value") \
	X(E_BROKER, "broker-unreachable", "the broker cannot be reached") \
	X(E_PORT_BUSY, "port-busy", "the port is in use") \
	X(E_ADMIN, "admin-only", "only the user that this program runs as, and root, may ask for that")

typedef enum bulla_rc {
#define BULLA_RC_ENUM_(name, id, text) BULLA_##name,
	BULLA_RC_LIST(BULLA_RC_ENUM_)
#undef BULLA_RC_ENUM_
	BULLA_RC_COUNT
} bulla_rc;

#define BULLA_CHECK __attribute__((warn_unused_result))

/* Stable id ("position-run") and text of a result; a value outside the list gives "unknown". Static strings. */
const char *bulla_rc_id(bulla_rc rc);
const char *bulla_rc_text(bulla_rc rc);

/* The result with this id, or BULLA_RC_COUNT when there is none. */
bulla_rc bulla_rc_from_id(const char *id);

/* One place an error passed: where it was raised (first) and where it was handed on. */
struct bulla_trail_entry {
	const char *file;
	const char *what; /* literal of BULLA_FAIL; NULL where the error was only passed on */
	int line;
	int os_error; /* errno when it was raised by the operating system, else 0 */
	bulla_rc rc;
};

#define BULLA_TRAIL_MAX 16

/* The trail of the newest error in this thread; *ret_count <= BULLA_TRAIL_MAX. Valid until the next error. */
const struct bulla_trail_entry *bulla_trail(unsigned *ret_count);

/* Behind BULLA_FAIL and BULLA_TRY: a new trail, or one more place in it. file and literal must live for ever. */
void bulla_trail_raise(bulla_rc rc, const char *file, int line, const char *literal, int os_error);
void bulla_trail_pass(bulla_rc rc, const char *file, int line);

/* Raise: return BULLA_FAIL(BULLA_E_FORMAT, "literal"); run-time data cannot enter, the literal must be one. */
#define BULLA_FAIL(code, literal) (bulla_trail_raise((code), __FILE__, __LINE__, "" literal, 0), (code))

/* The same with errno; only in folders that may use errno (doc/STYLE.md line 50). */
#define BULLA_FAIL_OS(code, literal, os_error) \
	(bulla_trail_raise((code), __FILE__, __LINE__, "" literal, (os_error)), (code))

/* Hand on. The only macro that returns. */
#define BULLA_TRY(call) \
	do { \
		bulla_rc bulla_rc_ = (call); \
		if (bulla_rc_ != BULLA_OK) { \
			bulla_trail_pass(bulla_rc_, __FILE__, __LINE__); \
			return bulla_rc_; \
		} \
	} while (0)
