/* Reading and writing of one box's descriptors, and what its output and its end mean. */
#include "agent/pool_internal.h"

#include "wire/json.h"
#include "wire/kinds.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define CHUNK 65536
#define EXIT_RETRY 75

bool bulla_box_read_out(struct bulla_agent_box *box)
{
	size_t room = box->out.max - box->out.n < CHUNK ? box->out.max - box->out.n : CHUNK;
	ssize_t got;

	if (box->out_ended || box->watch[WATCH_OUT].fd < 0 || bulla_buf_reserve(&box->out, room) != BULLA_OK)
		return false;
	got = read(box->sandbox.out, box->out.p + box->out.n, room);
	if (got > 0) {
		box->out.n += (size_t)got;
		return true;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	box->out_ended = true;
	bulla_box_watch(box, WATCH_OUT, 0);
	return false;
}

void bulla_box_read_err(struct bulla_agent_box *box)
{
	uint8_t chunk[16384];
	ssize_t got;

	if (box->watch[WATCH_ERR].fd < 0)
		return;
	for (int i = 0; i < 4; i++) {
		got = read(box->sandbox.err, chunk, sizeof(chunk));
		if (got <= 0)
			break;
		bulla_agent_tail_add(&box->tail, bulla_bytes_of(chunk, (size_t)got));
		if ((size_t)got < sizeof(chunk))
			return;
	}
	if (got == 0)
		bulla_box_watch(box, WATCH_ERR, 0);
}

bool bulla_box_write_in(struct bulla_agent_box *box, bulla_bytes bytes, size_t *at)
{
	while (*at < bytes.n) {
		ssize_t sent = write(box->sandbox.in, bytes.p + *at, bytes.n - *at);

		if (sent > 0) {
			*at += (size_t)sent;
			continue;
		}
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN) {
			bulla_box_watch(box, WATCH_IN, BULLA_AGENT_WRITE);
			return false;
		}
		*at = bytes.n; /* it does not read: its right */
	}
	bulla_box_watch(box, WATCH_IN, 0);
	return true;
}

uint32_t bulla_agent_output(bulla_bytes text, bulla_bytes *ret)
{
	bulla_json value;

	if (bulla_json_parse(text, &value) != BULLA_OK)
		return BULLA_OUTCOME_OUTPUT;
	*ret = value.raw;
	return BULLA_OUTCOME_OK;
}

uint32_t bulla_box_end_class(const struct bulla_agent_box *box)
{
	if (box->timed_out)
		return BULLA_OUTCOME_TIMEOUT;
	if (!box->exited)
		return BULLA_OUTCOME_CRASH;
	if (box->end.memory)
		return BULLA_OUTCOME_MEMORY;
	if (box->end.signal == SIGSYS)
		return BULLA_OUTCOME_DENIED;
	if (box->end.signal != 0)
		return BULLA_OUTCOME_CRASH;
	if (box->end.code == EXIT_RETRY)
		return BULLA_OUTCOME_RETRY;
	return box->end.code == 0 ? BULLA_OUTCOME_OK : BULLA_OUTCOME_FAILED;
}
