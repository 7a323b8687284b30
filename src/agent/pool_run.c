/* Binding `run`: a fresh process per attempt, in a sandbox made ahead. */
#include "agent/pool_internal.h"

#include "wire/kinds.h"

#include <unistd.h>

static bool takes(const struct bulla_agent_box *box)
{
	return box->state == BOX_READY && !box->lost_control && !box->exited;
}

static void made(struct bulla_agent_box *box)
{
	(void)box; /* waits for its attempt */
}

static void begin(struct bulla_agent_box *box, struct bulla_agent_job *job)
{
	uint8_t memory[4096];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes environment;

	box->state = BOX_BUSY;
	bulla_agent_environment(&job->facts, &w);
	if (bulla_wr_end(&w, &environment) != BULLA_OK || bulla_sandbox_go(&box->sandbox, environment) != BULLA_OK) {
		box->lost_control = true;
		return;
	}
	bulla_box_watch(box, WATCH_OUT, BULLA_AGENT_READ);
	bulla_box_watch(box, WATCH_ERR, BULLA_AGENT_READ);
}

static void turn(struct bulla_agent_box *box, int64_t now_us)
{
	(void)now_us;
	if (box->state != BOX_BUSY || box->first == NULL || box->sandbox.in < 0)
		return;
	if (!bulla_box_write_in(box, box->first->input, &box->in_at))
		return;
	box->watch[WATCH_IN].fd = -1;
	close(box->sandbox.in); /* the end of its input */
	box->sandbox.in = -1;
}

/* Its process is dead: the attempt ends. */
static void conclude(struct bulla_agent_box *box)
{
	struct bulla_agent_job *job = box->first;
	uint32_t outcome = bulla_box_end_class(box);
	bulla_bytes output = {0};

	if (job == NULL) {
		bulla_box_drop(box, false); /* it died before it was used: made again when wanted */
		return;
	}
	if (box->too_long)
		outcome = BULLA_OUTCOME_OUTPUT;
	if (outcome == BULLA_OUTCOME_OK)
		outcome = bulla_agent_output(bulla_buf_view(&box->out), &output);
	bulla_box_finish(box, job, outcome, output);
	bulla_box_drop(box, true);
}

static void ended(struct bulla_agent_box *box)
{
	while (!box->too_long && bulla_box_read_out(box))
		box->too_long = box->out.n > box->pool->output_max;
	conclude(box);
}

static void out(struct bulla_agent_box *box)
{
	if (!bulla_box_read_out(box) || box->out.n <= box->pool->output_max)
		return;
	box->too_long = true;
	box->exited = false;
	conclude(box);
}

const struct bulla_agent_ops bulla_agent_run_ops = {
	.takes = takes, .begin = begin, .made = made, .out = out, .ended = ended, .turn = turn};
