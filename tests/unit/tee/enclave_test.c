/* The enclave's table and the life of a step, against a host that does as it likes. */
#include "attack.h"
#include "base/mem.h"
#include "tee/world.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct world world;
static struct bulla_buf link_to_b, link_to_owner; /* the enclave's own links, as they came */

static int up(void **state)
{
	(void)state;
	world_up(&world, getenv("STEPPER"));
	bulla_buf_init(&link_to_b, 4096);
	bulla_buf_init(&link_to_owner, 4096);
	return 0;
}

static int down(void **state)
{
	(void)state;
	bulla_buf_done(&link_to_b);
	bulla_buf_done(&link_to_owner);
	world_down(&world);
	return 0;
}

static void first(const struct world_start *start, uint32_t attempt, struct world_step *ret)
{
	*ret = (struct world_step){.step = 1, .attempt = attempt, .parent = start->record, .input = start->envelope,
		.parent_digest = start->digest};
}

static void keep_link(struct bulla_buf *buf, bulla_bytes link)
{
	if (link.n == 0)
		return;
	bulla_buf_clear(buf);
	assert_ok(bulla_buf_append(buf, link));
}

/* The link is asked for once, wrong ones do not help, the right one may come twice. */
static void links_are_asked_for(void **state)
{
	struct world_start start;
	struct world_step step;
	struct world_result result;
	struct bulla_msg_need need;
	struct bulla_msg_object object;
	bulla_bytes id, body;
	uint8_t broken[4096], message[4096];
	bulla_wr w = bulla_wr_fixed(message, sizeof(message));

	(void)state;
	world_start(&world, BULLA_BYTES_LITERAL("\"hello\""), &start);
	first(&start, 1, &step);
	body = world_execute(&world, &step);
	world_call(&world, BULLA_OP_EXECUTE, body);
	assert_int_equal(world.op, BULLA_OP_NEED);
	assert_ok(bulla_msg_need_decode(bulla_buf_view(&world.reply), &need));
	assert_int_equal(need.links.count, 1);
	id = bulla_pb_list_at(&need.links, 0);
	assert_bytes(id, BULLA_BYTES_ARRAY(world.to_a.id.b));
	/* withheld: the same answer again; nothing ran */
	world_call(&world, BULLA_OP_EXECUTE, body);
	assert_int_equal(world.op, BULLA_OP_NEED);
	/* one bit off */
	assert_ok(bulla_msg_object_decode(bulla_buf_view(&world.to_a_object), &object));
	bulla_copy(broken, object.body.p, object.body.n);
	broken[object.body.n - 1] ^= 1;
	object.body = bulla_bytes_of(broken, object.body.n);
	bulla_msg_object_encode(&object, &w);
	assert_ok(bulla_wr_end(&w, &step.object));
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	assert_rc(BULLA_E_LINK_SIGNATURE, world_error(&world));
	step.object = bulla_buf_view(&world.to_a_object);
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	world_result(&world, &result);
	assert_int_equal(result.executed.outcome, BULLA_OUTCOME_OK);
	keep_link(&link_to_b, result.link);
	/* twice is no error */
	world_start(&world, BULLA_BYTES_LITERAL("\"hello\""), &start);
	first(&start, 1, &step);
	step.object = bulla_buf_view(&world.to_a_object);
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	world_result(&world, &result);
}

/* Runs both steps; what the owner then reads. */
static void run_both(const char *input, struct bulla_buf *ret)
{
	static uint8_t memory[8192];
	struct world_start start;
	struct world_step step;
	struct world_result result;
	struct bulla_commit commit;
	size_t size;

	world_start(&world, bulla_bytes_str(input), &start);
	first(&start, 1, &step);
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	world_result(&world, &result);
	keep_link(&link_to_b, result.link);
	assert_ok(bulla_receipt_record_verify(&result.record, world.enclave->peers.peers[0].key));
	assert_ok(bulla_commit_open(result.executed.commit, world.session, world.mac_up, &commit));
	assert_true(bulla_digest_eq(&commit.receipt, &result.record.digest));
	assert_int_equal(result.record.receipt.executor, BULLA_EXECUTOR_AGENT);
	assert_true(bulla_digest_eq(&result.record.receipt.kid, &world.base.kid));
	world_stored(&world, &result.record.digest);
	/* step 2 reads what step 1 gave */
	size = world.reply.n;
	assert_true(size < sizeof(memory));
	bulla_copy(memory, world.reply.p, size);
	struct bulla_msg_executed executed;
	assert_ok(bulla_msg_executed_decode(bulla_bytes_of(memory, size), &executed));
	step = (struct world_step){.step = 2, .attempt = 1, .parent = executed.receipt,
		.input = bulla_pb_list_at(&executed.outputs, 0), .parent_digest = result.record.digest,
		.object = bulla_buf_view(&link_to_b)};
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	world_result(&world, &result);
	keep_link(&link_to_owner, result.link);
	world_stored(&world, &result.record.digest);
	if (ret != NULL)
		world_open(&world, result.outputs[0], bulla_buf_view(&link_to_owner), ret);
}

static void two_steps_end_to_end(void **state)
{
	BULLA_AUTO_BUF output = {0};

	(void)state;
	bulla_buf_init(&output, BULLA_ENVELOPE_MAX);
	run_both("\"hello\"", &output);
	assert_bytes(bulla_buf_view(&output), BULLA_BYTES_LITERAL("\"BAhel\""));
	world_turn(&world);
	assert_int_equal(bulla_enclave_stats(world.enclave).open, 0);
}

static void a_permit_runs_once(void **state)
{
	struct world_start start;
	struct world_step step;
	struct world_result result;
	uint64_t attempts;

	(void)state;
	world_start(&world, BULLA_BYTES_LITERAL("\"once\""), &start);
	first(&start, 1, &step);
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	world_result(&world, &result);
	attempts = bulla_agent_stats(world.base.agents[0].pool).attempts;
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	assert_rc(BULLA_E_PERMIT_USED, world_error(&world));
	assert_int_equal(bulla_agent_stats(world.base.agents[0].pool).attempts, attempts);
}

/* Each bit of each byte of a request: no answer but refusals, and the agent sees nothing. */
static void flipped_requests_are_refused(void **state)
{
	static uint8_t message[16384];
	struct world_start start;
	struct world_step step;
	struct world_result result;
	uint64_t attempts = bulla_agent_stats(world.base.agents[0].pool).attempts;
	struct bulla_start_record record;
	bulla_bytes body;
	size_t size, from = 0, to;

	(void)state;
	world_start(&world, BULLA_BYTES_LITERAL("\"flip\""), &start);
	first(&start, 1, &step);
	body = world_execute(&world, &step);
	size = body.n;
	assert_true(size < sizeof(message));
	bulla_copy(message, body.p, size);
	/* the start record's signature is the ledger's business: the permit names the record by its digest */
	assert_ok(bulla_start_record_decode(start.record, &record));
	while (!bulla_bytes_eq(bulla_bytes_of(message + from, record.payload.n), record.payload))
		from++;
	from += record.payload.n;
	to = from + (size_t)(start.record.p + start.record.n - (record.payload.p + record.payload.n));
	for (size_t i = 0; i < size; i++) {
		if (i == from)
			i = to;
		message[i] ^= (uint8_t)(1u << (i % 8));
		world_call(&world, BULLA_OP_EXECUTE, bulla_bytes_of(message, size));
		if ((world.flags & BULLA_FRAME_ERROR) == 0)
			print_message("byte %zu of %zu passed\n", i, size);
		assert_true((world.flags & BULLA_FRAME_ERROR) != 0);
		message[i] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t n = 0; n < size; n += 7) {
		world_call(&world, BULLA_OP_EXECUTE, bulla_bytes_of(message, n));
		assert_true((world.flags & BULLA_FRAME_ERROR) != 0);
	}
	assert_int_equal(bulla_agent_stats(world.base.agents[0].pool).attempts, attempts);
	world_call(&world, BULLA_OP_EXECUTE, bulla_bytes_of(message, size));
	world_result(&world, &result);
}

static void swapped_envelopes_are_refused(void **state)
{
	static uint8_t other[8192];
	struct world_start start;
	struct world_step step;
	size_t size;

	(void)state;
	world_start(&world, BULLA_BYTES_LITERAL("\"run one\""), &start);
	size = start.envelope.n;
	bulla_copy(other, start.envelope.p, size);
	world_start(&world, BULLA_BYTES_LITERAL("\"run two\""), &start);
	first(&start, 1, &step);
	step.input = bulla_bytes_of(other, size);
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	assert_rc(BULLA_E_NOT_ENVELOPE, world_error(&world));
	step.input = BULLA_BYTES_LITERAL("{\"plain\": true}");
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	assert_rc(BULLA_E_NOT_ENVELOPE, world_error(&world));
}

static void unknown_operations_are_refused(void **state)
{
	(void)state;
	world_call(&world, BULLA_OP_PUT_MANIFEST, BULLA_BYTES_LITERAL("x"));
	assert_rc(BULLA_E_UNSUPPORTED, world_error(&world));
	world_call(&world, BULLA_OP_BIRTH_PUT, BULLA_BYTES_LITERAL("x"));
	assert_rc(BULLA_E_UNSUPPORTED, world_error(&world));
}

/* Results stay until stored, are sent again on request, and close the window when there are too many. */
static void outbox_holds_the_window(void **state)
{
	struct world_start start;
	struct world_step step;
	struct world_result result;
	uint32_t before = bulla_enclave_stats(world.enclave).outbox, made = 0;
	bulla_digest *digests = calloc(BULLA_MAX_OUTBOX_RESULTS, sizeof(*digests));

	(void)state;
	for (;;) {
		world_start(&world, BULLA_BYTES_LITERAL("\"kept\""), &start);
		first(&start, 1, &step);
		world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
		if (world_error(&world) != BULLA_OK)
			break;
		world_result(&world, &result);
		digests[made++] = result.record.digest;
		assert_true(made < BULLA_MAX_OUTBOX_RESULTS);
	}
	assert_rc(BULLA_E_BUSY, world_error(&world));
	assert_int_equal(bulla_enclave_stats(world.enclave).outbox, before + made);
	world.events = 0;
	world_call(&world, BULLA_OP_RESUME, bulla_bytes_of(NULL, 0));
	assert_int_equal(world.op, BULLA_OP_RESUME);
	assert_int_equal(world.events, before + made);
	for (uint32_t i = 0; i < made; i++)
		world_stored(&world, &digests[i]);
	world_turn(&world);
	assert_int_equal(bulla_enclave_stats(world.enclave).outbox, before);
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step)); /* refused then, taken now */
	world_result(&world, &result);
	free(digests);
}

static int64_t cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void many_steps_without_allocation(void **state)
{
	struct world_start start;
	struct world_step step;
	struct world_result result;
	uint64_t allocations = 0;
	uint32_t slots = 0;
	int64_t spent = 0;

	(void)state;
	for (int i = 0; i < 10500; i++) {
		if (i == 500) {
			allocations = bulla_alloc_count();
			slots = bulla_secret_slab_used();
		}
		world_start(&world, BULLA_BYTES_LITERAL("\"again\""), &start);
		first(&start, 1, &step);
		bulla_bytes body = world_execute(&world, &step);
		int64_t from = cpu_us();
		world_call(&world, BULLA_OP_EXECUTE, body);
		spent += i >= 500 ? cpu_us() - from : 0;
		world_result(&world, &result);
		world_stored(&world, &result.record.digest);
	}
	print_message("# %.1f us CPU per step, one at a time (host's frames included)\n", (double)spent / 10000);
	assert_int_equal(bulla_alloc_count() - allocations, 0);
	assert_int_equal(bulla_secret_slab_used(), slots);
}

/* `receipts: each`: every receipt is signed alone, as contracts want it; otherwise those of a turn together. */
static void receipts_are_signed_as_the_plan_says(void **state)
{
	struct world_start start;
	struct world_step step;
	struct world_result result;

	(void)state;
	for (int each = 0; each < 2; each++) {
		uint64_t signatures = bulla_enclave_stats(world.enclave).signatures;

		world.flows.decoded.flags = each != 0 ? world.flows.decoded.flags | BULLA_FLOW_RECEIPTS_EACH
			: world.flows.decoded.flags & ~BULLA_FLOW_RECEIPTS_EACH;
		world_start(&world, BULLA_BYTES_LITERAL("\"signed\""), &start);
		first(&start, 1, &step);
		world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
		world_result(&world, &result);
		assert_int_equal(result.record.auth.batched, each == 0);
		assert_ok(bulla_receipt_record_verify(&result.record, world.enclave->peers.peers[0].key));
		assert_int_equal(bulla_enclave_stats(world.enclave).signatures, signatures + 1);
		world_stored(&world, &result.record.digest);
	}
	world.flows.decoded.flags &= ~BULLA_FLOW_RECEIPTS_EACH;
}

/* A copy of the process has no key that seals or signs. */
static void a_forked_enclave_is_mute(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		(void)!freopen("/dev/null", "w", stderr);
		bulla_tee_receipt_key(&world.base);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* A new host: results of the old one wait in the outbox. */
static void a_host_may_go(void **state)
{
	struct world_start start;
	struct world_step step;
	struct world_result result;

	(void)state;
	bulla_enclave_host_down(world.enclave);
	assert_ok(bulla_enclave_host_up(world.enclave, world.side));
	world_start(&world, BULLA_BYTES_LITERAL("\"again\""), &start);
	first(&start, 1, &step);
	world_call(&world, BULLA_OP_EXECUTE, world_execute(&world, &step));
	world_result(&world, &result);
	assert_int_equal(result.executed.outcome, BULLA_OUTCOME_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_are_asked_for),
		cmocka_unit_test(two_steps_end_to_end),
		cmocka_unit_test(a_permit_runs_once),
		cmocka_unit_test(flipped_requests_are_refused),
		cmocka_unit_test(swapped_envelopes_are_refused),
		cmocka_unit_test(unknown_operations_are_refused),
		cmocka_unit_test(outbox_holds_the_window),
		cmocka_unit_test(many_steps_without_allocation),
		cmocka_unit_test(receipts_are_signed_as_the_plan_says),
		cmocka_unit_test(a_forked_enclave_is_mute),
		cmocka_unit_test(a_host_may_go),
	};

	return cmocka_run_group_tests_name("tee_enclave", tests, up, down);
}
