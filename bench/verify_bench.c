/* Verification of whole runs as `bulla verify` does it, helpers on the other CPUs included: time per step, CPU per step, and
 * the peak memory of those processes together. One bundle of a linear
 * workflow (entry of the permit, receipt, envelope header, entry of the commit; a commit token for all), verified until
 * 100,000 steps are done. Receipts are signed in batches of 64, and once more one by one. One JSON line.
 * Usage: verify_bench [steps per bundle]; itself it calls verify_bench --verify BUNDLE MANIFEST STEPS. */
#define _GNU_SOURCE
#include "base/mem.h"
#include "cmd/verify_pool.h"
#include "cose/nitro_doc.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "flow/parents.h"
#include "io/sys.h"
#include "manifest/approvals.h"
#include "manifest/pcr.h"
#include "platform/pki.h"
#include "receipt/bundle.h"
#include "receipt/entry.h"
#include "receipt/instance.h"
#include "receipt/merkle.h"
#include "receipt/permit.h"
#include "receipt/receipt.h"
#include "receipt/start.h"
#include "seal/birth.h"
#include "seal/envelope.h"
#include "verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define T0 UINT64_C(1795270000000)
enum { STEPS_MAX = 4000, BATCH = 64, ALL = 100000, BUNDLE_MAX = 48 << 20 };

static void must(bulla_rc rc)
{
	if (rc != BULLA_OK) {
		fprintf(stderr, "verify_bench: %s\n", bulla_rc_id(rc));
		exit(1);
	}
}

static int64_t wall(void *ctx)
{
	(void)ctx;
	return (int64_t)T0;
}

static const struct bulla_clock fixed_clock = {NULL, wall, wall};

static double wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* CPU of this process and of helpers that have ended. */
static double cpu_us(void)
{
	struct rusage mine, theirs;
	double sum = 0;

	getrusage(RUSAGE_SELF, &mine);
	getrusage(RUSAGE_CHILDREN, &theirs);
	for (int i = 0; i < 2; i++) {
		const struct rusage *used = i == 0 ? &mine : &theirs;

		sum += (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1e6;
		sum += (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
	}
	return sum;
}

static struct {
	unsigned steps;
	bool batched;
	struct bulla_sign_key *owner, *ledger, *instance;
	struct bulla_dev_pki pki;
	struct bulla_dev_chain chain;
	struct bulla_flow flow;
	struct bulla_flow_slot *slots;
	struct bulla_flow_run run;
	struct bulla_buf plan, manifest_bytes, bundle;
	struct bulla_manifest manifest;
	struct bulla_bundle_writer *writer;
	struct bulla_slot slot;
	struct bulla_merkle entries;
	struct bulla_batch *batch;
	struct bulla_link owner_link, link;
	bulla_secret seed, instance_secret;
	uint64_t now, sequence;
	struct bulla_trust trust;
} world;

static void put(enum bulla_bundle_kind kind, bulla_bytes body)
{
	bulla_wr w = bulla_wr_buf(&world.bundle);

	must(bulla_bundle_put(world.writer, kind, body, &w));
	must(w.rc);
}

/* --- plan and manifest: input -> a -> a -> ... --- */

static void make_plan(void)
{
	static struct bulla_flow_step steps[STEPS_MAX + 1];
	static struct bulla_flow_input inputs[STEPS_MAX];
	static struct bulla_flow_source sources[STEPS_MAX];
	static struct bulla_flow_part parts[STEPS_MAX + 1];
	static struct bulla_flow_actor actor = {BULLA_FLOW_AGENT, "aaaaaaaa"};
	static uint16_t reader;
	struct bulla_flow flow = {.semantics = BULLA_FLOW_SEMANTICS, .flags = BULLA_FLOW_CLEAR, .timeout_ms = 86400000,
		.steps = steps, .actors = &actor, .inputs = inputs, .sources = sources, .parts = parts, .readers = &reader,
		.step_count = world.steps + 1, .actor_count = 1, .input_count = world.steps, .source_count = world.steps,
		.part_count = world.steps, .reader_count = 1};
	bulla_wr w;
	size_t size;
	void *memory;

	for (uint32_t i = 0; i <= world.steps; i++) {
		steps[i] = (struct bulla_flow_step){.kind = i == 0 ? BULLA_FLOW_INPUT : BULLA_FLOW_AGENT,
			.actor = i == 0 ? BULLA_FLOW_NONE : 0, .undoes = BULLA_FLOW_NONE, .tries = i == 0 ? 1 : 3,
			.timeout_ms = i == 0 ? 0 : 5000, .backoff_min_ms = i == 0 ? 0 : 1, .backoff_max_ms = i == 0 ? 0 : 1};
		if (i < world.steps) {
			steps[i].parts = (struct bulla_flow_span){i, 1};
			parts[i].readers = (struct bulla_flow_span){0, 1};
		}
		if (i > 0) {
			steps[i].inputs = (struct bulla_flow_span){i - 1, 1};
			inputs[i - 1].sources = (struct bulla_flow_span){i - 1, 1};
			sources[i - 1] = (struct bulla_flow_source){(uint16_t)(i - 1), 0};
		}
	}
	bulla_buf_init(&world.plan, BULLA_MAX_FLOW_BYTES);
	w = bulla_wr_buf(&world.plan);
	must(bulla_flow_encode(&flow, &w));
	must(bulla_flow_measure(bulla_buf_view(&world.plan), &size));
	must(bulla_alloc(1, size, &memory));
	must(bulla_flow_decode(bulla_buf_view(&world.plan), memory, size, &world.flow));
	must(bulla_alloc(bulla_flow_slots(&world.flow), sizeof(*world.slots), &memory));
	world.slots = memory;
	must(bulla_flow_begin(&world.flow, world.slots, bulla_flow_slots(&world.flow), 0, &world.run));
}

static const uint8_t measured[48] = "an image";

static void make_manifest(const uint8_t *hpke)
{
	uint8_t lists[256];
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists)), w = bulla_wr_buf(&world.manifest_bytes);
	struct bulla_image image = {BULLA_BYTES_LITERAL("nitro"), {{BULLA_BYTES_LITERAL("pcr"), 0, {measured, 48}}}, 1};
	struct bulla_approver approver = {.spki = bulla_sign_key_spki(world.owner)};
	struct bulla_party party = {.spki = approver.spki, .hpke = {hpke, 32}, .rights = BULLA_RIGHT_ALL};
	struct bulla_agent agent = {.handle = {"aaaaaaaa"}, .binding = 1, .policy_form = 1};
	struct bulla_workflow workflow = {.plan = bulla_buf_view(&world.plan)};
	bulla_digest root;
	struct bulla_anchor anchor = {BULLA_BYTES_LITERAL("dev"), 1, 1, bulla_bytes_digest(&root), {NULL, 0}};
	struct bulla_manifest m = {.suite = 1, .mode = 1, .epoch = 1, .need = 1, .approvers = &approver, .approver_count = 1,
		.parties = &party, .party_count = 1, .agents = &agent, .agent_count = 1, .workflows = &workflow,
		.workflow_count = 1, .assurance = 1, .max_age_ms = 300000, .anchors = &anchor, .anchor_count = 1,
		.ledger_spki = bulla_sign_key_spki(world.ledger)};

	bulla_images_write(&l, &image, 1);
	agent.images = bulla_bytes_of(lists, l.n);
	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("dev")}, 1);
	m.tees = bulla_bytes_of(lists + agent.images.n, l.n - agent.images.n);
	bulla_sha256(bulla_buf_view(&world.pki.root_der), &root);
	must(bulla_manifest_encode(&m, &w));
	must(bulla_manifest_decode(bulla_buf_view(&world.manifest_bytes), &world.manifest));
	bulla_trust_of(&world.manifest, &world.trust);
}

static void put_manifest(void)
{
	struct bulla_buf buf;

	put(BULLA_BUNDLE_MANIFEST, bulla_buf_view(&world.manifest_bytes));
	bulla_buf_init(&buf, BULLA_APPROVAL_MAX);
	must(bulla_approval_make(&world.manifest, world.owner, &buf));
	put(BULLA_BUNDLE_APPROVAL, bulla_buf_view(&buf));
	bulla_buf_done(&buf);
}

/* --- instance, birth, links --- */

static void put_instance(void)
{
	uint8_t pcrs[32][48] = {{0}}, binder[BULLA_BINDER_BYTES], memory[16384];
	bulla_bytes cabundle[2] = {bulla_buf_view(&world.pki.root_der), bulla_buf_view(&world.chain.instance_der)};
	struct bulla_nitro_doc doc = {.module_id = BULLA_BYTES_LITERAL("i-0123456789abcdef0-enc0123456789abcdef"),
		.timestamp_ms = T0, .listed = 0x3001f, .certificate = bulla_buf_view(&world.chain.leaf_der),
		.cabundle = cabundle, .cabundle_count = 2, .pcrs = (const uint8_t(*)[48])pcrs};
	struct bulla_instance record = {.tee = BULLA_BYTES_LITERAL("nitro"), .purpose = BULLA_PURPOSE_SESSION,
		.receipt_key = bulla_sign_key_spki(world.instance), .agents = BULLA_BYTES_LITERAL("aaaaaaaa"),
		.manifest = world.manifest.digest, .time_ms = T0};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_buf evidence;

	for (unsigned i = 0; i < 3; i++)
		bulla_copy(pcrs[i], measured, 48);
	bulla_pcr_manifest(&record.manifest, pcrs[16]);
	must(bulla_pcr_bundles(&world.manifest, record.agents, pcrs[17]));
	must(bulla_instance_binder(&record, binder));
	doc.user_data = BULLA_BYTES_ARRAY(binder);
	doc.nonce = BULLA_BYTES_ARRAY(record.challenge);
	bulla_buf_init(&evidence, BULLA_NITRO_DOC_MAX);
	must(bulla_nitro_doc_write(&doc, world.chain.leaf, &evidence));
	record.evidence = bulla_buf_view(&evidence);
	must(bulla_instance_write(&w, &record));
	put(BULLA_BUNDLE_INSTANCE, bulla_bytes_of(memory, w.n));
	bulla_buf_done(&evidence);
}

static void put_links(const uint8_t *hpke)
{
	struct bulla_birth birth = {.tenant = world.manifest.tenant, .agent = {"aaaaaaaa"}, .epoch = 1,
		.manifest = world.manifest.digest, .kem = BULLA_KEM_NUMBER_X25519, .public_key = {hpke, 32}, .policy_form = 1};
	struct bulla_link_spec spec = {.to = BULLA_TO_AGENT, .recipient = {"aaaaaaaa"}, .kem = &bulla_kem_x25519,
		.public_key = {hpke, 32}, .epoch = 1, .manifest = world.manifest.digest};
	struct bulla_buf buf;

	bulla_buf_init(&buf, BULLA_BIRTH_MAX);
	must(bulla_birth_make(&birth, world.instance, &buf));
	put(BULLA_BUNDLE_BIRTH, bulla_buf_view(&buf));
	bulla_buf_clear(&buf);
	must(bulla_link_make(&spec, world.owner, bulla_random_os(), &buf, &world.owner_link));
	put(BULLA_BUNDLE_LINK, bulla_buf_view(&buf));
	bulla_buf_clear(&buf);
	must(bulla_link_make(&spec, world.instance, bulla_random_os(), &buf, &world.link));
	put(BULLA_BUNDLE_LINK, bulla_buf_view(&buf));
	bulla_buf_done(&buf);
}

/* --- the run --- */

static void put_entry(struct bulla_entry entry, uint8_t fact)
{
	uint8_t memory[BULLA_ENTRY_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_flow_event event = {.kind = fact, .step = (uint16_t)entry.step, .attempt = entry.attempt,
		.at_ms = (int64_t)world.now, .digest = entry.digest};

	entry.time_ms = world.now;
	entry.sequence = world.sequence++;
	bulla_entry_write(&w, &entry);
	must(bulla_merkle_add(&world.entries, BULLA_BYTES_ARRAY(memory)));
	put(BULLA_BUNDLE_ENTRY, BULLA_BYTES_ARRAY(memory));
	if (fact != 0)
		must(bulla_flow_apply(&world.flow, &world.run, &event));
}

/* Seals 1 KiB; the header stays in ret. */
static void seal(uint32_t step, struct bulla_link *link, const bulla_digest *producer, struct bulla_buf *ret,
	struct bulla_pair *ret_pair)
{
	static uint8_t payload[1000];
	static struct bulla_buf whole;
	struct bulla_envelope_reader reader = {link->id, link->secret, BULLA_SECRET_NONE};
	struct bulla_envelope_spec spec = {.position = {world.slot, 1}, .kind = step == 0 ? BULLA_ENVELOPE_INPUT
		: BULLA_ENVELOPE_OUTPUT,
		.path = bulla_path_whole, .producer = *producer, .salt = world.seed, .instance = world.instance_secret,
		.random = bulla_random_os(), .readers = &reader, .reader_count = 1};
	struct bulla_envelope envelope;

	if (whole.max == 0)
		bulla_buf_init(&whole, BULLA_ENVELOPE_MAX);
	spec.position.slot.step = step;
	bulla_buf_clear(&whole);
	must(bulla_envelope_seal(&spec, BULLA_BYTES_ARRAY(payload), &whole, &ret_pair->envelope, &ret_pair->commitment));
	must(bulla_envelope_parse(bulla_buf_view(&whole), &envelope));
	bulla_buf_clear(ret);
	must(bulla_envelope_strip(&envelope, ret));
}

static struct {
	struct bulla_pair pair;
	uint8_t payload[BULLA_RECEIPT_BYTES];
	bulla_digest digest;
	uint8_t header[512];
	size_t header_size;
} work[STEPS_MAX + 1];

static void put_start(struct bulla_buf *header)
{
	uint8_t payload[512], memory[1024];
	bulla_wr p = bulla_wr_fixed(payload, sizeof(payload)), w = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_entry entry = {.kind = BULLA_ENTRY_START, .filled = 1, .attempt = 1};
	struct bulla_start start = {.tenant = world.slot.tenant, .workflow = world.slot.workflow,
		.manifest = world.manifest.digest, .run = world.slot.run, .party = *bulla_sign_key_kid(world.owner),
		.inputs = {(const uint8_t *)&work[0].pair, BULLA_PAIR_BYTES}, .time_ms = world.now};
	struct bulla_auth auth;

	seal(0, &world.owner_link, &start.party, header, &work[0].pair);
	must(bulla_start_write(&p, &start));
	must(bulla_auth_sign(world.owner, BULLA_SIGNED_START, bulla_bytes_of(payload, p.n), &auth));
	bulla_start_record_write(&w, bulla_bytes_of(payload, p.n), &auth);
	put(BULLA_BUNDLE_START, bulla_bytes_of(memory, w.n));
	put(BULLA_BUNDLE_ENVELOPE_HEADER, bulla_buf_view(header));
	bulla_sha256(bulla_bytes_of(payload, p.n), &entry.digest);
	work[0].digest = entry.digest;
	entry.who = start.party;
	put_entry(entry, BULLA_FLOW_STARTED);
}

/* All receipts first, so that they can be signed in batches. */
static void make_receipts(struct bulla_buf *header)
{
	for (uint32_t i = 1; i <= world.steps; i++) {
		struct bulla_receipt receipt = {.position = {world.slot, 1}, .manifest = world.manifest.digest,
			.executor = BULLA_EXECUTOR_AGENT, .reuse = BULLA_REUSE_REUSED,
			.kid = *bulla_sign_key_kid(world.instance), .time_ms = world.now};
		bulla_wr w = bulla_wr_fixed(work[i].payload, BULLA_RECEIPT_BYTES);

		receipt.position.slot.step = i;
		if (i < world.steps) {
			seal(i, &world.link, &receipt.kid, header, &work[i].pair);
			bulla_copy(work[i].header, header->p, header->n);
			work[i].header_size = header->n;
		}
		must(bulla_parents_root(bulla_bytes_digest(&work[i - 1].digest), &receipt.parents));
		bulla_pairs_root(&work[i - 1].pair, 1, &receipt.inputs);
		bulla_pairs_root(&work[i].pair, i < world.steps ? 1 : 0, &receipt.outputs);
		bulla_receipt_write(&w, &receipt);
		bulla_sha256(bulla_bytes_of(work[i].payload, BULLA_RECEIPT_BYTES), &work[i].digest);
	}
}

static void sign_batch(uint32_t first)
{
	uint32_t index;

	bulla_batch_clear(world.batch);
	for (uint32_t i = first; i < first + BATCH && i <= world.steps; i++)
		must(bulla_batch_add(world.batch, &work[i].digest, &index));
	must(bulla_batch_sign(world.batch, world.instance, BULLA_SIGNED_RECEIPTS));
}

static void put_step(uint32_t step)
{
	uint8_t memory[2048];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes payload = bulla_bytes_of(work[step].payload, BULLA_RECEIPT_BYTES);
	struct bulla_entry permit = {.kind = BULLA_ENTRY_PERMIT, .step = step, .attempt = 1, .other = 2,
		.who = *bulla_sign_key_kid(world.instance)};
	struct bulla_entry commit = {.kind = BULLA_ENTRY_COMMIT, .step = step, .attempt = 1, .filled = 1,
		.digest = work[step].digest, .who = permit.who};
	struct bulla_auth auth;

	must(bulla_parents_root(bulla_bytes_digest(&work[step - 1].digest), &permit.digest));
	put_entry(permit, BULLA_FLOW_OPENED);
	if (world.batched) {
		if ((step - 1) % BATCH == 0)
			sign_batch(step);
		must(bulla_batch_auth(world.batch, (step - 1) % BATCH, &auth));
	} else {
		must(bulla_auth_sign(world.instance, BULLA_SIGNED_RECEIPT, payload, &auth));
	}
	bulla_receipt_record_write(&w, payload, &auth,
		bulla_bytes_of(&work[step].pair, step < world.steps ? BULLA_PAIR_BYTES : 0), (bulla_bytes){NULL, 0});
	put(BULLA_BUNDLE_RECEIPT, bulla_bytes_of(memory, w.n));
	if (step < world.steps)
		put(BULLA_BUNDLE_ENVELOPE_HEADER, bulla_bytes_of(work[step].header, work[step].header_size));
	put_entry(commit, BULLA_FLOW_RESULT);
}

static void put_head(void)
{
	struct bulla_run_head head = {.tenant = world.slot.tenant, .run = world.slot.run, .count = world.entries.count,
		.sequence = world.sequence, .time_ms = world.now, .state = world.run.state};
	struct bulla_buf buf;

	bulla_merkle_root(&world.entries, &head.root);
	bulla_buf_init(&buf, BULLA_RUN_HEAD_MAX);
	must(bulla_run_head_make(&head, world.ledger, &buf));
	put(BULLA_BUNDLE_RUN_HEAD, bulla_buf_view(&buf));
	bulla_buf_done(&buf);
}

static void make_bundle(bool batched)
{
	struct bulla_bundle_header header = {.headers_only = true};
	uint8_t hpke[BULLA_HPKE_PUBLIC_MAX];
	bulla_secret private_key;
	struct bulla_buf scratch;
	bulla_wr w;

	world.batched = batched;
	world.now = T0 + 1000;
	bulla_buf_clear(&world.bundle);
	bulla_buf_clear(&world.manifest_bytes);
	bulla_merkle_init(&world.entries);
	make_plan();
	must(bulla_hpke_new(&bulla_kem_x25519, bulla_random_os(), &private_key, hpke));
	make_manifest(hpke);
	world.slot = (struct bulla_slot){.tenant = world.manifest.tenant, .workflow = world.manifest.workflows[0].digest,
		.run = bulla_run_id_make(T0, (const uint8_t *)"0123456789")};
	header.slot = world.slot;
	header.manifest = world.manifest.digest;
	w = bulla_wr_buf(&world.bundle);
	must(bulla_bundle_writer_new(&header, &w, &world.writer));
	put_manifest();
	put_instance();
	put_links(hpke);
	bulla_buf_init(&scratch, 4096);
	put_start(&scratch);
	make_receipts(&scratch);
	for (uint32_t step = 1; step <= world.steps; step++)
		put_step(step);
	put_head();
	w = bulla_wr_buf(&world.bundle);
	must(bulla_bundle_finish(world.writer, &w));
	world.writer = bulla_bundle_writer_free(world.writer);
	bulla_buf_done(&scratch);
	bulla_link_done(&world.link);
	bulla_link_done(&world.owner_link);
	bulla_secret_free(&private_key);
}

/* Proportional memory of the helpers that run now. */
static long helpers_kib(void)
{
	char path[64], line[128];
	long pid, kib, sum = 0;
	FILE *list, *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	list = fopen(path, "r");
	while (list != NULL && fscanf(list, "%ld", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
		file = fopen(path, "r");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL)
			if (sscanf(line, "Pss: %ld kB", &kib) == 1)
				sum += kib;
		if (file != NULL)
			fclose(file);
	}
	if (list != NULL)
		fclose(list);
	return sum;
}

static long most_helpers_kib;

/* From a file, as `bulla verify` reads it, so that the bundle itself is not in memory. */
static bulla_rc read_file(void *ctx, struct bulla_verify *v)
{
	static uint8_t piece[65536];
	bulla_rc rc = BULLA_OK;
	size_t n;

	rewind(ctx);
	while (rc == BULLA_OK && (n = fread(piece, 1, sizeof(piece), ctx)) > 0)
		rc = bulla_verify_feed(v, bulla_bytes_of(piece, n));
	if (most_helpers_kib == 0)
		most_helpers_kib = helpers_kib();
	return rc;
}

static void verify(FILE *file)
{
	struct bulla_verify_result result;

	must(verify_with(verify_pool_cpus(), VERIFY_WORTH, &world.trust, read_file, file, &result));
	if (result.verdict != BULLA_VERDICT_DEV_ONLY || result.facts.steps != world.steps) {
		fprintf(stderr, "verify_bench: %s, %s: %s at step %u\n", bulla_verdict_word(result.verdict),
			bulla_verify_check_id(result.failed), result.text == NULL ? "" : result.text, result.step);
		exit(1);
	}
}

/* The process that verifies: seconds and CPU seconds for all rounds, and peak KiB with its helpers', as text on stdout. */
static int verify_alone(char **argv)
{
	FILE *file = fopen(argv[2], "rb");
	struct rusage used;
	double start, cpu;

	must(bulla_secret_slab_init(64));
	bulla_buf_init(&world.manifest_bytes, BULLA_MAX_MANIFEST);
	must(file == NULL ? BULLA_E_IO : bulla_sys_read_file(argv[3], &world.manifest_bytes));
	must(bulla_manifest_decode(bulla_buf_view(&world.manifest_bytes), &world.manifest));
	bulla_trust_of(&world.manifest, &world.trust);
	world.steps = (unsigned)strtoul(argv[4], NULL, 10);
	start = wall_us();
	cpu = cpu_us();
	for (unsigned done = 0; done < ALL; done += world.steps)
		verify(file);
	start = wall_us() - start;
	cpu = cpu_us() - cpu;
	getrusage(RUSAGE_SELF, &used);
	printf("%.0f %.0f %ld\n", start, cpu, used.ru_maxrss + most_helpers_kib);
	return 0;
}

static void start_verifier(const char *bundle, const char *manifest, double *ret_us, double *ret_cpu_us, long *ret_kib)
{
	char steps[16], answer[64] = "";
	int fds[2];
	pid_t pid;

	snprintf(steps, sizeof(steps), "%u", world.steps);
	fflush(stdout);
	if (pipe(fds) != 0 || (pid = fork()) < 0)
		exit(1);
	if (pid == 0) {
		dup2(fds[1], 1);
		execl("/proc/self/exe", "verify_bench", "--verify", bundle, manifest, steps, (char *)NULL);
		_exit(1);
	}
	close(fds[1]);
	if (read(fds[0], answer, sizeof(answer) - 1) <= 0 || sscanf(answer, "%lf %lf %ld", ret_us, ret_cpu_us, ret_kib) != 3)
		exit(1);
	close(fds[0]);
	waitpid(pid, NULL, 0);
}

static void measure(const char *name, bool batched, const char *folder)
{
	char bundle[64], manifest[64];
	double us, cpu_us, steps = (double)((ALL + world.steps - 1) / world.steps * world.steps);
	size_t size;
	long kib;

	snprintf(bundle, sizeof(bundle), "%s/bundle", folder);
	snprintf(manifest, sizeof(manifest), "%s/manifest", folder);
	make_bundle(batched);
	size = world.bundle.n;
	must(bulla_sys_write_file(bundle, bulla_buf_view(&world.bundle), 0600));
	must(bulla_sys_write_file(manifest, bulla_buf_view(&world.manifest_bytes), 0600));
	start_verifier(bundle, manifest, &us, &cpu_us, &kib);
	printf(",\"%s_us_per_step\":%.2f,\"%s_cpu_us_per_step\":%.2f,\"%s_s_per_10k\":%.3f,\"%s_s_per_100k\":%.2f", name,
		us / steps, name, cpu_us / steps, name, us / 1e6 * 10000 / steps, name, us / 1e6 * ALL / steps);
	printf(",\"%s_peak_mib\":%.1f,\"%s_bytes_per_step\":%zu", name, (double)kib / 1024, name, size / world.steps);
	unlink(bundle);
	unlink(manifest);
}

/* The development root's key and certificate, and the folder. */
static void remove_folder(const char *folder)
{
	static const char *const names[] = {"root.key", "root.der", ""};
	char path[96];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/bulla-verify-bench-XXXXXX";

	if (argc == 5 && strcmp(argv[1], "--verify") == 0)
		return verify_alone(argv);
	world.steps = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : STEPS_MAX;
	if (world.steps == 0 || world.steps > STEPS_MAX || mkdtemp(folder) == NULL)
		return 2;
	must(bulla_secret_slab_init(64));
	must(bulla_random_secret(bulla_random_os(), 32, &world.seed));
	must(bulla_random_secret(bulla_random_os(), 32, &world.instance_secret));
	must(bulla_sign_key_new(BULLA_ES256, &world.owner));
	must(bulla_sign_key_new(BULLA_ES256, &world.ledger));
	must(bulla_sign_key_new(BULLA_ES256, &world.instance));
	must(bulla_dev_pki_open(folder, &fixed_clock, bulla_random_os(), &world.pki));
	must(bulla_dev_chain_make(&world.pki, "i-0123456789abcdef0-enc0123456789abcdef", &fixed_clock, bulla_random_os(),
		&world.chain));
	must(bulla_batch_new(BATCH, &world.batch));
	bulla_buf_init(&world.manifest_bytes, BULLA_MAX_MANIFEST);
	bulla_buf_init(&world.bundle, BUNDLE_MAX);
	printf("{\"bench\":\"verify\",\"steps\":%u", world.steps);
	measure("batched", true, folder);
	measure("each", false, folder);
	printf("}\n");
	bulla_dev_pki_done(&world.pki);
	remove_folder(folder);
	return 0;
}
