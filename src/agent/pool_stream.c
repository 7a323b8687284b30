/* Binding `stream`: long-lived, one JSON value a line in, one a line out, in order. Whoever breaks the order is killed:
 * the attempt at the head fails, those behind it did not start and go to another process. */
#include "agent/pool_internal.h"

#include "wire/kinds.h"

#include <string.h>

static bool takes(const struct bulla_agent_box *box)
{
	return box->state == BOX_READY && !box->lost_control && !box->exited && box->in_flight < box->pool->in_flight_max &&
		box->served < box->pool->reuse_max;
}

static void made(struct bulla_agent_box *box)
{
	if (bulla_sandbox_go(&box->sandbox, bulla_bytes_of(NULL, 0)) != BULLA_OK)
		box->lost_control = true;
	bulla_box_watch(box, WATCH_OUT, BULLA_AGENT_READ);
	bulla_box_watch(box, WATCH_ERR, BULLA_AGENT_READ);
}

/* The attempt at the head fails and the process goes. */
static void break_off(struct bulla_agent_box *box, uint32_t outcome)
{
	if (box->first != NULL)
		bulla_box_finish(box, box->first, outcome, bulla_bytes_of(NULL, 0));
	bulla_box_drop(box, false);
}

/* A value as one line: line ends between tokens become blanks (inside strings JSON allows none). */
static bulla_rc append_line(struct bulla_buf *buf, bulla_bytes value)
{
	size_t at = buf->n;

	BULLA_TRY(bulla_buf_reserve(buf, value.n + 1));
	BULLA_TRY(bulla_buf_append(buf, value));
	for (uint8_t *p = buf->p + at; p < buf->p + buf->n; p++) {
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	}
	return bulla_buf_append(buf, BULLA_BYTES_LITERAL("\n"));
}

static void begin(struct bulla_agent_box *box, struct bulla_agent_job *job)
{
	if (box->in_flight == 1)
		bulla_box_read_out(box); /* did it speak before it was asked? */
	if (box->poisoned || (box->in_flight == 1 && box->out.n > 0)) {
		break_off(box, BULLA_OUTCOME_OUTPUT);
		return;
	}
	if (box->in_at > box->in.n / 2) { /* where inputs are larger than the pipe, it is never all written */
		bulla_buf_consume(&box->in, box->in_at);
		box->in_at = 0;
	}
	if (append_line(&box->in, job->input) != BULLA_OK)
		break_off(box, BULLA_OUTCOME_MEMORY);
}

static void turn(struct bulla_agent_box *box, int64_t now_us)
{
	(void)now_us;
	if (box->in.n == 0)
		return;
	if (!bulla_box_write_in(box, bulla_buf_view(&box->in), &box->in_at))
		return;
	bulla_wipe(box->in.p, box->in.n);
	box->in.n = 0;
	box->in_at = 0;
}

/* One answer. False: the box is gone. */
static bool take_line(struct bulla_agent_box *box, bulla_bytes line)
{
	struct bulla_agent_job *job = box->first;
	bulla_bytes output = {0};
	uint32_t outcome = line.n > box->pool->output_max ? BULLA_OUTCOME_OUTPUT : bulla_agent_output(line, &output);

	if (outcome != BULLA_OUTCOME_OK) {
		break_off(box, outcome);
		return false;
	}
	bulla_box_finish(box, job, outcome, output);
	if (box->first != NULL)
		box->first->started_us = bulla_agent_now(box->pool); /* its time begins now */
	return true;
}

/* What it wrote to stderr before these lines is there already: one look serves them all. */
static void take_lines(struct bulla_agent_box *box)
{
	size_t from = 0;

	bulla_box_read_err(box);
	box->err_read = true;
	while (box->first != NULL) {
		const uint8_t *end = box->out.n == box->scanned ? NULL
			: memchr(box->out.p + box->scanned, '\n', box->out.n - box->scanned);
		bulla_bytes line;

		if (end == NULL) {
			box->scanned = box->out.n;
			break;
		}
		line = bulla_bytes_of(box->out.p + from, (size_t)(end - box->out.p) - from);
		from += line.n + 1;
		box->scanned = from;
		if (!take_line(box, line))
			return;
	}
	box->err_read = false;
	bulla_wipe(box->out.p, from);
	if (from == box->out.n)
		box->out.n = 0;
	else
		bulla_buf_consume(&box->out, from);
	box->scanned -= from;
}

static void out(struct bulla_agent_box *box)
{
	bool came = bulla_box_read_out(box);

	if (came && box->first != NULL)
		take_lines(box);
	if (box->state != BOX_READY)
		return;
	if (box->first == NULL && box->out.n > 0) {
		box->poisoned = true; /* the next attempt fails, with a reason, and the process goes */
		bulla_box_watch(box, WATCH_OUT, 0);
		return;
	}
	if (box->out.n > box->pool->output_max)
		break_off(box, BULLA_OUTCOME_OUTPUT);
	else if (box->served >= box->pool->reuse_max && box->first == NULL)
		bulla_box_drop(box, true); /* it has done its share */
}

static void ended(struct bulla_agent_box *box)
{
	uint32_t outcome = bulla_box_end_class(box);

	while (bulla_box_read_out(box))
		;
	if (box->first != NULL)
		take_lines(box); /* what it still answered counts */
	if (box->state != BOX_READY)
		return;
	break_off(box, outcome == BULLA_OUTCOME_OK ? BULLA_OUTCOME_CRASH : outcome);
}

const struct bulla_agent_ops bulla_agent_stream_ops = {
	.takes = takes, .begin = begin, .made = made, .out = out, .ended = ended, .turn = turn};
