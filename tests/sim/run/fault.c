#include "sim.h"

#include <stdlib.h>

/* --- accidents --- */

static void one_fault(struct sim *sim)
{
	switch (sim_rand(sim, 13)) {
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
	case 8: /* a backup of a disk */
		if (!sim->have_old_host && sim_one_in(sim, 2)) {
			sim_disk_save(&sim->host.w.disk, &sim->old_host);
			sim->have_old_host = true;
		} else if (!sim->have_old_broker && sim_one_in(sim, 2)) {
			sim_disk_save(&sim->broker.w.disk, &sim->old_broker);
			sim->have_old_broker = true;
		}
		break;
	case 9:
	case 10:
	case 11: { /* power fails while something is on its way to the disk, or between that and the answers */
		struct sim_writer *w = sim_one_in(sim, 2) ? &sim->host.w : &sim->broker.w;

		w->ambush = 1 + (uint32_t)sim_rand(sim, 10);
		w->ambush_after = sim_one_in(sim, 2);
		break;
	}
	default:
		net_cut(sim, 1 + (uint32_t)sim_rand(sim, SIM_CONNS - 1));
		break;
	}
}

void fault_ambush(struct sim *sim, struct sim_writer *w, uint32_t which, int64_t delay_us)
{
	if (w->ambush == 0 || (w->ambush == 1 && w->ambush_after))
		return;
	if (--w->ambush == 0)
		sim_at(sim, (int64_t)sim_rand(sim, (uint64_t)delay_us + 300), (struct sim_event){
			.kind = EV_AMBUSH, .a = which, .gen = which == 0 ? sim->host.gen : sim->broker.gen});
}

void fault_rolled_back(struct sim *sim)
{
	sim->lossy_ledger = true;
	sim->ledger_count = 0;
	sim_trace(sim, "the ledger forgets", 0, 0, 0);
}

/* The old backup is put back: what the host acknowledged since is gone, the ledger knows better. */
static void roll_back_host(struct sim *sim)
{
	sim->lossy_host = true;
	host_crash(sim, true);
	sim_disk_restore(&sim->host.w.disk, &sim->old_host);
	sim->host.w.sure_lsn = 0;
	sim->host.catalogue_stays = true;
	sim->host.row_sure = sim->host.row_count;
	sim_trace(sim, "old host disk", 0, 0, 0);
}

/* The ledger's: the host knows better, and can do nothing about it but say so. */
static void roll_back_broker(struct sim *sim)
{
	broker_crash(sim, true);
	sim_disk_restore(&sim->broker.w.disk, &sim->old_broker);
	sim->broker.w.sure_lsn = 0;
	fault_rolled_back(sim);
}

void fault_event(struct sim *sim)
{
	if (sim->faults_over)
		return;
	if (sim->have_old_host && !sim->lossy_host && sim_one_in(sim, 6))
		roll_back_host(sim);
	else if (sim->have_old_broker && !sim->lossy_ledger && sim_one_in(sim, 6))
		roll_back_broker(sim);
	else
		one_fault(sim);
	sim->fault_count++;
	sim_at(sim, 1000 + (int64_t)sim_rand(sim, sim_one_in(sim, 3) ? 5000 : 600000), (struct sim_event){.kind = EV_FAULT});
}
