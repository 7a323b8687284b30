#include "sim.h"

#include <string.h>

/* What a look at a store shows. */
struct look {
	bulla_digest all;                /* of every record, in order */
	uint64_t count;
	struct bulla_journal_place last; /* of the last record */
	struct bulla_journal_end end;
	struct bulla_journal_place damaged;
	bulla_rc rc;
};

static bulla_rc see(void *arg, const struct bulla_journal_record *record, struct bulla_journal_place at)
{
	struct look *look = arg;
	bulla_bytes parts[3] = {bulla_bytes_digest(&look->all), bulla_bytes_of(&record->run_no, sizeof(record->run_no)),
		record->body};

	bulla_sha256_parts(parts, 3, &look->all);
	look->count++;
	look->last = at;
	return BULLA_OK;
}

static struct look look_at(struct sim_writer *w)
{
	struct look look = {.count = 0};
	struct bulla_journal_recovery recovery = {.disk = &w->disk.table, .each = see, .arg = &look, .keep_tail = true};

	look.rc = bulla_journal_recover(&recovery, &look.end);
	look.damaged = recovery.damaged;
	return look;
}

/* A bit flips. It is refused with its place, or it was in the last batch, which nothing confirmed yet, and only that one
 * is lost, or it was nowhere. The operator puts the block back; or not, and then the tail is lost. */
static void rot(struct sim *sim, struct sim_writer *w, const struct look *before, bool *ret_lossy)
{
	uint64_t segments = before->end.at.segment - before->end.first_segment + 1;
	uint64_t segment = before->end.first_segment + sim_rand(sim, segments);
	uint64_t offset = sim_rand(sim, segment == before->end.at.segment ? before->end.at.offset : SIM_SEGMENT);
	unsigned bit = (unsigned)sim_rand(sim, 8);
	char name[BULLA_JOURNAL_NAME];
	struct look after;

	bulla_journal_name(segment, name);
	if (!sim_disk_rot(&w->disk, name, offset, bit))
		return;
	after = look_at(w);
	sim->decay.rotted++;
	sim_trace(sim, "bit rot", segment, offset, after.rc);
	if (after.rc == BULLA_OK && after.count == before->count && !bulla_digest_eq(&after.all, &before->all))
		sim_fail(sim, "rot changes a record", (uint32_t)segment, (uint32_t)offset);
	if (after.rc == BULLA_OK && after.count < before->count) {
		sim->decay.tails++;
		/* a segment's header and its first batch are one write */
		if (segment != before->last.segment ||
			offset < (before->last.batch == BULLA_JOURNAL_PAGE ? 0 : before->last.batch))
			sim_fail(sim, "rot before the last batch is taken for a torn tail", (uint32_t)segment, (uint32_t)offset);
		if (after.count + 1 < w->sure_lsn)
			sim_fail(sim, "rot of a confirmed batch is taken for a torn tail", (uint32_t)segment, (uint32_t)offset);
		*ret_lossy = sim_one_in(sim, 2);
		if (*ret_lossy)
			return;
	}
	if (after.rc != BULLA_OK) {
		sim->decay.refused++;
		if (after.rc != BULLA_E_CORRUPT || after.damaged.segment + 1 < segment || after.damaged.segment > segment ||
			(after.damaged.segment == segment && after.damaged.offset > offset))
			sim_fail(sim, "rot is not named with its place", (uint32_t)segment, (uint32_t)offset);
	}
	(void)sim_disk_rot(&w->disk, name, offset, bit);
}

/* Behind the end stand blocks of an older batch, as where a file's blocks were used before: no part of the journal. */
static void show_stale(struct sim *sim, struct sim_writer *w, const struct look *before)
{
	char from_name[BULLA_JOURNAL_NAME], to_name[BULLA_JOURNAL_NAME];
	uint64_t segments = before->end.at.segment - before->end.first_segment;
	struct sim_file *from, *to;
	size_t pages = 1 + (size_t)sim_rand(sim, 3), offset;
	struct look after;

	bulla_journal_name(before->end.first_segment + sim_rand(sim, segments), from_name);
	bulla_journal_name(before->end.at.segment, to_name);
	from = sim_disk_file(&w->disk, from_name);
	to = sim_disk_file(&w->disk, to_name);
	offset = (1 + (size_t)sim_rand(sim, SIM_SEGMENT / BULLA_JOURNAL_PAGE - 4)) * BULLA_JOURNAL_PAGE;
	pages *= BULLA_JOURNAL_PAGE;
	if (from == NULL || to == NULL || offset + pages > from->size || before->end.at.offset + pages > to->size)
		return;
	memcpy(to->now + before->end.at.offset, from->now + offset, pages);
	memcpy(to->stable + before->end.at.offset, from->now + offset, pages);
	after = look_at(w);
	sim->decay.stale++;
	sim_trace(sim, "stale blocks", before->end.at.segment, before->end.at.offset, after.rc);
	if (after.rc != BULLA_OK || !bulla_digest_eq(&after.all, &before->all))
		sim_fail(sim, "stale blocks behind the end are taken for records", after.rc, (uint32_t)after.count);
}

void decay(struct sim *sim, struct sim_writer *w, bool *ret_lossy)
{
	struct look before;

	*ret_lossy = false;
	if (sim->faults_over || sim->options.quiet || w->disk.kill_at != 0 || !sim_one_in(sim, 4))
		return;
	before = look_at(w);
	if (before.rc != BULLA_OK || before.count == 0)
		return;
	if (before.end.at.segment > before.end.first_segment && sim_one_in(sim, 3))
		show_stale(sim, w, &before);
	else
		rot(sim, w, &before, ret_lossy);
}
