#include "attest/dcap_judge.h"
#include "base/rd.h"
#include "crypto/hash.h"

/* TCG PC Client Platform Firmware Profile, section 10: TCG_PCR_EVENT with the specification id, then TCG_PCR_EVENT2.
 * Measurement register index 1..4 stands for RTMR0..3 (Confidential Computing Event Log). */
#define EV_NO_ACTION 3
#define ALG_SHA384 0x000c
#define LOG_END 0xffffffff
#define REGISTERS 4
#define EVENTS_MAX 8192
#define ALGORITHMS_MAX 8

struct algorithms {
	uint16_t id[ALGORITHMS_MAX], size[ALGORITHMS_MAX];
	uint32_t count;
};

struct replay {
	uint8_t values[REGISTERS][BULLA_SHA384_SIZE];
	bool touched[REGISTERS];
	struct algorithms algorithms;
};

static bulla_rc read_algorithms(bulla_bytes event, struct algorithms *ret)
{
	bulla_rd r = bulla_rd_of(event);
	bulla_bytes signature;
	uint8_t vendor;

	BULLA_TRY(bulla_rd_bytes(&r, 16, &signature));
	if (!bulla_bytes_eq(signature, bulla_bytes_of("Spec ID Event03\0", 16)))
		return BULLA_FAIL(BULLA_E_FORMAT, "the event log does not begin with its specification id");
	BULLA_TRY(bulla_rd_skip(&r, 8));
	BULLA_TRY(bulla_rd_u32le(&r, &ret->count));
	if (ret->count == 0 || ret->count > ALGORITHMS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the event log names no or too many algorithms");
	for (uint32_t i = 0; i < ret->count; i++) {
		BULLA_TRY(bulla_rd_u16le(&r, &ret->id[i]));
		BULLA_TRY(bulla_rd_u16le(&r, &ret->size[i]));
	}
	BULLA_TRY(bulla_rd_u8(&r, &vendor));
	BULLA_TRY(bulla_rd_skip(&r, vendor));
	return bulla_rd_end(&r);
}

static bulla_rc read_head(bulla_rd *r, struct replay *ret)
{
	uint32_t index, type, size;
	bulla_bytes event;

	BULLA_TRY(bulla_rd_u32le(r, &index));
	BULLA_TRY(bulla_rd_u32le(r, &type));
	BULLA_TRY(bulla_rd_skip(r, 20));
	BULLA_TRY(bulla_rd_u32le(r, &size));
	if (type != EV_NO_ACTION)
		return BULLA_FAIL(BULLA_E_FORMAT, "the event log does not begin with its specification id");
	BULLA_TRY(bulla_rd_bytes(r, size, &event));
	return read_algorithms(event, &ret->algorithms);
}

static bulla_rc read_digest(bulla_rd *r, const struct algorithms *algorithms, bulla_bytes *sha384)
{
	uint16_t id;
	bulla_bytes digest;

	BULLA_TRY(bulla_rd_u16le(r, &id));
	for (uint32_t i = 0; i < algorithms->count; i++) {
		if (algorithms->id[i] != id)
			continue;
		BULLA_TRY(bulla_rd_bytes(r, algorithms->size[i], &digest));
		if (id == ALG_SHA384)
			*sha384 = digest;
		return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_FORMAT, "an event has a digest of an unknown kind");
}

static bulla_rc extend(struct replay *replay, uint32_t index, bulla_bytes digest)
{
	uint8_t next[BULLA_SHA384_SIZE];

	if (index < 1 || index > REGISTERS || digest.n != BULLA_SHA384_SIZE)
		return BULLA_FAIL(BULLA_E_FORMAT, "an event extends no measurement register");
	bulla_bytes parts[] = {BULLA_BYTES_ARRAY(replay->values[index - 1]), digest};
	bulla_sha384_parts(parts, 2, next);
	bulla_copy(replay->values[index - 1], next, sizeof(next));
	replay->touched[index - 1] = true;
	return BULLA_OK;
}

static bulla_rc read_event(bulla_rd *r, uint32_t index, struct replay *replay)
{
	bulla_bytes sha384 = {NULL, 0};
	uint32_t type, count, size;

	BULLA_TRY(bulla_rd_u32le(r, &type));
	BULLA_TRY(bulla_rd_u32le(r, &count));
	if (count > ALGORITHMS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "an event has too many digests");
	for (uint32_t i = 0; i < count; i++)
		BULLA_TRY(read_digest(r, &replay->algorithms, &sha384));
	BULLA_TRY(bulla_rd_u32le(r, &size));
	BULLA_TRY(bulla_rd_skip(r, size));
	return type == EV_NO_ACTION ? BULLA_OK : extend(replay, index, sha384);
}

static bulla_rc replay_all(bulla_bytes log, struct replay *replay, size_t *ret_events)
{
	bulla_rd r = bulla_rd_of(log);
	size_t events = 0;
	uint32_t index;

	BULLA_TRY(read_head(&r, replay));
	while (bulla_rd_left(&r) > 0) {
		BULLA_TRY(bulla_rd_u32le(&r, &index));
		if (index == LOG_END)
			break;
		if (++events > EVENTS_MAX)
			return BULLA_FAIL(BULLA_E_LIMIT, "the event log has too many events");
		BULLA_TRY(read_event(&r, index, replay));
	}
	*ret_events = events;
	return BULLA_OK;
}

bulla_rc bulla_ccel_replay(bulla_bytes log, bulla_bytes rtmrs, size_t *ret_events)
{
	struct replay replay = {0};
	size_t events;

	BULLA_TRY(replay_all(log, &replay, &events));
	for (size_t i = 0; i < REGISTERS; i++)
		/* RTMR3 is the guest's own: without events it may hold anything */
		if ((i < 3 || replay.touched[i]) &&
			!bulla_bytes_eq(BULLA_BYTES_ARRAY(replay.values[i]), bulla_bytes_of(rtmrs.p + 48 * i, 48)))
			return BULLA_FAIL(BULLA_E_MEASUREMENT, "replaying the event log gives other registers");
	*ret_events = events;
	return BULLA_OK;
}
