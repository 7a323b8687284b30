#include "sim.h"

/* A second host, that says whatever it once heard or makes up. */

static void replay_frame(struct sim *sim)
{
	uint64_t count = sim->seen_count < 64 ? sim->seen_count : 64, at;

	if (count == 0)
		return;
	at = sim_rand(sim, count);
	net_send(sim, CONN_INTRUDER, SIDE_OTHER, BULLA_OP_ADVANCE, 0, 1, bulla_bytes_of(sim->seen_frames[at], sim->seen_sizes[at]));
}

static void send_run(struct sim *sim, const struct bulla_msg_advance_run *advance_run)
{
	uint8_t run_bytes[1024], body[1200];
	bulla_wr w = bulla_wr_fixed(run_bytes, sizeof(run_bytes));
	struct bulla_msg_advance advance;
	bulla_bytes item;

	bulla_msg_advance_run_encode(advance_run, &w);
	item = bulla_bytes_of(run_bytes, w.n);
	advance.runs = bulla_pb_list_of(&item, 1);
	w = bulla_wr_fixed(body, sizeof(body));
	bulla_msg_advance_encode(&advance, &w);
	net_send(sim, CONN_INTRUDER, SIDE_OTHER, BULLA_OP_ADVANCE, 0, 2, bulla_bytes_of(body, w.n));
}

/* Any permit, for any attempt of any step, at any instance, on the parents that look right or on none. */
static void make_up(struct sim *sim)
{
	uint32_t number = (uint32_t)sim_rand(sim, sim->run_count), step = 1 + (uint32_t)sim_rand(sim, 4);
	const struct sim_run *run = &sim->runs[number];
	uint8_t id[BULLA_SESSION_ID_BYTES], ask_bytes[512];
	bulla_bytes parents[SIM_STEPS];
	struct bulla_msg_permit_ask ask = {.step = step, .attempt = 1 + sim_rand(sim, 3), .session = BULLA_BYTES_ARRAY(id)};
	struct bulla_msg_advance_run advance_run = {.run_id = bulla_run_id_view(&run->id)};
	size_t count = 0;
	bulla_wr w = bulla_wr_fixed(ask_bytes, sizeof(ask_bytes));

	if (!run->known)
		return;
	for (uint32_t s = 0; s < SIM_STEPS; s++)
		if (run->slots[s].filled && sim_one_in(sim, 2))
			parents[count++] = bulla_bytes_digest(&run->slots[s].receipt);
	if (sim_one_in(sim, 2))
		ask.attempt = run->slots[step].last + 1;
	sim_session_id((uint32_t)sim_rand(sim, sim->sessions + 1), id);
	ask.parents = bulla_pb_list_of(parents, count);
	bulla_msg_permit_ask_encode(&ask, &w);
	advance_run.permit = bulla_bytes_of(ask_bytes, w.n);
	send_run(sim, &advance_run);
}

/* A commit request that some enclave once made, as it was or with a bit changed. */
static void replay_commit(struct sim *sim)
{
	uint64_t count = sim->seen_commit_count < 64 ? sim->seen_commit_count : 64, at;
	uint8_t bytes[512];

	if (count == 0)
		return;
	at = sim_one_in(sim, 2) ? (sim->seen_commit_count - 1) % 64 : sim_rand(sim, count);
	bulla_copy(bytes, sim->seen_commits[at].bytes, sizeof(bytes));
	if (sim_one_in(sim, 2))
	{
		uint64_t place = sim_rand(sim, sim->seen_commits[at].n), bit = sim_rand(sim, 8);

		bytes[place] ^= (uint8_t)(1U << bit);
	}
	send_run(sim, &(struct bulla_msg_advance_run){.run_id = bulla_run_id_view(&sim->seen_commits[at].run),
		.commit = bulla_bytes_of(bytes, sim->seen_commits[at].n)});
}

void mischief_commit(struct sim *sim, const bulla_run_id *run, bulla_bytes mac0)
{
	uint8_t bytes[512];
	uint64_t place, bit;

	if (!sim->mischief || sim->faults_over || !sim_one_in(sim, 4) || mac0.n > sizeof(bytes))
		return;
	bulla_copy(bytes, mac0.p, mac0.n);
	place = sim_rand(sim, mac0.n);
	bit = sim_rand(sim, 8);
	bytes[place] ^= (uint8_t)(1U << bit);
	send_run(sim, &(struct bulla_msg_advance_run){
		.run_id = bulla_run_id_view(run), .commit = bulla_bytes_of(bytes, mac0.n)});
}

/* A start that nobody asked for: unsigned, or signed long ago. */
static void make_up_start(struct sim *sim)
{
	bool good = sim_one_in(sim, 2);
	int64_t made_ms = sim_now_ms(sim) - (good ? INT64_C(25) * 3600 * 1000 : 0);
	uint8_t pairs[8 * BULLA_PAIR_BYTES] = {0}, secret[80] = {0}, random[10] = {0};
	uint32_t plan = (uint32_t)sim_rand(sim, SIM_FLOWS);
	struct bulla_start start = {.tenant = sim_handle('t'), .workflow = sim->world.workflows[plan],
		.manifest = sim->manifest_digest, .party = sim_digest('o'), .day_key = sim_digest('d'),
		.inputs = bulla_bytes_of(pairs, sim->world.plans[plan]->steps[0].parts.count * BULLA_PAIR_BYTES),
		.secret = BULLA_BYTES_ARRAY(secret), .time_ms = (uint64_t)made_ms};
	BULLA_AUTO_BUF record = {.max = 900};

	random[9] = (uint8_t)sim_rand(sim, 256);
	start.run = bulla_run_id_make((uint64_t)made_ms, random);
	sim_start_put(&start, good, &record);
	send_run(sim, &(struct bulla_msg_advance_run){
		.run_id = bulla_run_id_view(&start.run), .start = bulla_buf_view(&record)});
}

static void ask_clock(struct sim *sim)
{
	const struct sim_run *run = &sim->runs[sim_rand(sim, sim->run_count)];
	struct bulla_msg_slot_ref ref = {.step = 1 + sim_rand(sim, 3)};
	uint8_t bytes[32];
	bulla_wr w = bulla_wr_fixed(bytes, sizeof(bytes));
	bulla_bytes item;

	bulla_msg_slot_ref_encode(&ref, &w);
	item = bulla_bytes_of(bytes, w.n);
	send_run(sim, &(struct bulla_msg_advance_run){
		.run_id = bulla_run_id_view(&run->id), .clock = bulla_pb_list_of(&item, 1)});
}

static void replay_execute(struct sim *sim)
{
	uint64_t count = sim->seen_execute_count < 64 ? sim->seen_execute_count : 64, at;

	if (count == 0)
		return;
	at = sim_rand(sim, count);
	net_send(sim, CONN_ENCLAVE((uint32_t)sim_rand(sim, SIM_ENCLAVES)), SIDE_OTHER, BULLA_OP_EXECUTE, 0, 0x70000000,
		bulla_bytes_of(sim->seen_executes[at], sim->seen_execute_sizes[at]));
}

/* --- permits --- */

void mischief_sees(struct sim *sim, bulla_bytes record, const bulla_digest *digest)
{
	uint64_t at = sim->seen_record_count % 64;

	if (!sim->mischief || record.n > sizeof(sim->seen_records[at].bytes))
		return;
	sim->seen_record_count++;
	sim->seen_records[at].digest = *digest;
	sim->seen_records[at].n = record.n;
	bulla_copy(sim->seen_records[at].bytes, record.p, record.n);
}

static bulla_bytes find_record(const struct sim *sim, const bulla_digest *digest)
{
	for (size_t i = 0; i < 64; i++)
		if (sim->seen_records[i].n > 0 && bulla_digest_eq(&sim->seen_records[i].digest, digest))
			return bulla_bytes_of(sim->seen_records[i].bytes, sim->seen_records[i].n);
	return (bulla_bytes){NULL, 0};
}

static bulla_bytes any_record(struct sim *sim)
{
	size_t at = (size_t)sim_rand(sim, sim->seen_record_count < 64 ? sim->seen_record_count : 64);

	return bulla_bytes_of(sim->seen_records[at].bytes, sim->seen_records[at].n);
}

/* Before the host has it: the parents that the permit lists, as far as anybody saw them, or others. */
static void execute_permit(struct sim *sim, bulla_bytes bytes)
{
	uint8_t session[BULLA_SESSION_ID_BYTES], body[8192], changed[1024];
	bulla_bytes parents[SIM_STEPS];
	struct bulla_msg_execute message = {.permit = bytes, .deadline_ms = 1000};
	bulla_wr w = bulla_wr_fixed(body, sizeof(body));
	struct bulla_permit permit;
	size_t count = 0;
	bool others = sim_one_in(sim, 2);

	if (bulla_permit_session(bytes, session) != BULLA_OK || bulla_permit_open(bytes, session, sim->world.mac, &permit) != BULLA_OK)
		return;
	for (; count * sizeof(bulla_digest) < permit.parents.n && count < SIM_STEPS; count++) {
		bulla_digest digest;

		bulla_copy(digest.b, permit.parents.p + count * sizeof(digest.b), sizeof(digest.b));
		parents[count] = find_record(sim, &digest);
		if (parents[count].n == 0 || others)
			parents[count] = any_record(sim);
		if (parents[count].n == 0)
			return;
	}
	message.parents = bulla_pb_list_of(parents, count);
	if (sim_one_in(sim, 3) && bytes.n <= sizeof(changed)) { /* a bit of the permit is another one */
		uint64_t place = sim_rand(sim, bytes.n), bit = sim_rand(sim, 8);

		bulla_copy(changed, bytes.p, bytes.n);
		changed[place] ^= (uint8_t)(1U << bit);
		message.permit = bulla_bytes_of(changed, bytes.n);
	}
	bulla_msg_execute_encode(&message, &w);
	for (uint32_t i = 0; w.rc == BULLA_OK && i < SIM_ENCLAVES; i++)
		if (bulla_digest_eq(&sim->enclaves[i].kid, &permit.instance))
			net_send(sim, CONN_ENCLAVE(i), SIDE_OTHER, BULLA_OP_EXECUTE, 0, 0x70000001, bulla_bytes_of(body, w.n));
}

void mischief_permits(struct sim *sim, bulla_bytes advanced)
{
	struct bulla_msg_advanced message;
	struct bulla_pb_iter iter;
	bulla_bytes item;

	if (!sim->mischief || sim->faults_over || bulla_msg_advanced_decode(advanced, &message) != BULLA_OK)
		return;
	for (iter = bulla_pb_list_begin(&message.runs); bulla_pb_list_next(&iter, &item);) {
		struct bulla_msg_advanced_run run;

		if (bulla_msg_advanced_run_decode(item, &run) == BULLA_OK && run.permit.n > 0 && sim_one_in(sim, 4))
			execute_permit(sim, run.permit);
	}
}

void mischief_event(struct sim *sim)
{
	if (sim->faults_over)
		return;
	switch (sim_rand(sim, 6)) {
	case 0:
		replay_frame(sim);
		break;
	case 2:
		replay_commit(sim);
		break;
	case 3:
		ask_clock(sim);
		break;
	case 1:
		make_up(sim);
		break;
	case 4:
		make_up_start(sim);
		break;
	default:
		replay_execute(sim);
		break;
	}
	sim_at(sim, (int64_t)sim_rand(sim, 3000), (struct sim_event){.kind = EV_MISCHIEF});
}
