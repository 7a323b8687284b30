#include "sim.h"

#include <stdlib.h>

/* --- accidents --- */

static void one_fault(struct sim *sim)
{
	switch (sim_rand(sim, 10)) {
	case 0:
	case 1:
		host_crash(sim, sim_one_in(sim, 2));
		break;
	case 2:
	case 3:
		broker_crash(sim, sim_one_in(sim, 2));
		break;
	case 4:
	case 5:
		enclave_crash(sim, (uint32_t)sim_rand(sim, SIM_ENCLAVES));
		break;
	case 6: { /* a disk is full for a while */
		uint32_t which = (uint32_t)sim_rand(sim, 2);

		(which == 0 ? &sim->host.w : &sim->broker.w)->disk.space = 1;
		sim_at(sim, (int64_t)sim_rand(sim, 1000000), (struct sim_event){.kind = EV_SPACE, .a = which});
		break;
	}
	case 7: { /* dies at one of its next disk operations */
		struct sim_disk *disk = sim_one_in(sim, 2) ? &sim->host.w.disk : &sim->broker.w.disk;

		if (disk->kill_at == 0)
			disk->kill_at = disk->ops + 1 + sim_rand(sim, 20);
		break;
	}
	case 8: /* a backup of the host's disk */
		if (!sim->have_old_host) {
			sim_disk_save(&sim->host.w.disk, &sim->old_host);
			sim->have_old_host = true;
		}
		break;
	default:
		net_cut(sim, 1 + (uint32_t)sim_rand(sim, SIM_CONNS - 1));
		break;
	}
}

/* The old backup is put back: what the host acknowledged since is gone, the ledger knows better. */
static void roll_back(struct sim *sim)
{
	sim->lossy_host = true;
	host_crash(sim, true);
	sim_disk_restore(&sim->host.w.disk, &sim->old_host);
	sim_trace(sim, "old host disk", 0, 0, 0);
}

void fault_event(struct sim *sim)
{
	if (sim->faults_over)
		return;
	if (sim->have_old_host && !sim->lossy_host && sim_one_in(sim, 6))
		roll_back(sim);
	else
		one_fault(sim);
	sim->fault_count++;
	sim_at(sim, 1000 + (int64_t)sim_rand(sim, sim_one_in(sim, 3) ? 5000 : 600000), (struct sim_event){.kind = EV_FAULT});
}

/* --- a second host, that says whatever it once heard or makes up --- */

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

void mischief_event(struct sim *sim)
{
	if (sim->faults_over)
		return;
	switch (sim_rand(sim, 5)) {
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
	default:
		replay_execute(sim);
		break;
	}
	sim_at(sim, (int64_t)sim_rand(sim, 3000), (struct sim_event){.kind = EV_MISCHIEF});
}
