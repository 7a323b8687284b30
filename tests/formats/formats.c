#include "formats.h"

#include "base/mem.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "manifest/manifest.h"
#include "receipt/bundle.h"
#include "receipt/commit.h"
#include "receipt/entry.h"
#include "receipt/instance.h"
#include "receipt/order.h"
#include "receipt/receipt.h"
#include "receipt/recipient.h"
#include "receipt/start.h"
#include "receipt/token.h"

#include <stdlib.h>

/* --- content of the samples --- */

static bulla_digest digest_of(const char *text)
{
	bulla_digest digest;

	bulla_sha256(bulla_bytes_str(text), &digest);
	return digest;
}

static bulla_handle handle_of(const char *text)
{
	bulla_digest digest = digest_of(text);
	bulla_handle handle;

	bulla_copy(handle.b, digest.b, sizeof(handle.b));
	return handle;
}

static struct bulla_position position_of(uint32_t step, uint32_t item, uint32_t attempt)
{
	static const uint8_t random[10] = {0x7a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f, 0x60, 0x71, 0x82, 0x93};

	return (struct bulla_position){{handle_of("tenant"), digest_of("workflow"),
		bulla_run_id_make(1795270000000, random), step, item},
		attempt};
}

/* Two pairs; static, so that records may borrow them. */
static bulla_bytes pairs(void)
{
	static uint8_t memory[2 * BULLA_PAIR_BYTES];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	for (const char *const *word = (const char *const[]){"e0", "c0", "e1", "c1", NULL}; *word != NULL; word++) {
		bulla_digest digest = digest_of(*word);

		bulla_wr_digest(&w, &digest);
	}
	return BULLA_BYTES_ARRAY(memory);
}

static bulla_bytes parents(void)
{
	static bulla_digest list[2];

	list[0] = digest_of("parent 0");
	list[1] = digest_of("parent 1");
	return BULLA_BYTES_ARRAY(list);
}

static const uint8_t session[BULLA_SESSION_ID_BYTES] = "session of tests";

/* A MAC key that tests may print. */
static bulla_rc mac_key(bulla_secret *ret)
{
	return bulla_secret_new(BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), ret);
}

static struct bulla_auth auth_of(bool batched)
{
	struct bulla_auth auth = {.batched = batched, .index = batched ? 5 : 0, .count = batched ? 7 : 0};

	for (unsigned i = 0; i < sizeof(auth.signature); i++)
		auth.signature[i] = (uint8_t)i;
	if (batched)
		auth.path = parents();
	return auth;
}

static struct bulla_receipt receipt_of(void)
{
	struct bulla_receipt receipt = {
		.position = position_of(2, 0, 1),
		.manifest = digest_of("manifest"),
		.executor = BULLA_EXECUTOR_AGENT,
		.reuse = BULLA_REUSE_FRESH,
		.outcome = 1,
		.agent = digest_of("agent"),
		.kid = digest_of("instance"),
		.time_ms = 1795270000123,
	};

	if (bulla_parents_root(parents(), &receipt.parents) != BULLA_OK)
		abort();
	bulla_pairs_root(NULL, 0, &receipt.inputs);
	bulla_pairs_root(NULL, 0, &receipt.capabilities);
	bulla_pairs_root((struct bulla_pair[]){{digest_of("e0"), digest_of("c0")}, {digest_of("e1"), digest_of("c1")}}, 2,
		&receipt.outputs);
	return receipt;
}

static struct bulla_permit permit_of(void)
{
	struct bulla_permit permit = {
		.position = position_of(2, 7, 3),
		.tries_left = 2,
		.instance = digest_of("instance"),
		.manifest = digest_of("manifest"),
		.parents = parents(),
		.time_ms = 1795270000100,
		.expires_ms = 1795270360100,
		.epoch = 12,
		.sequence = 4711,
	};

	for (unsigned i = 0; i < sizeof(permit.run_secret); i++)
		permit.run_secret[i] = (uint8_t)(0xa0 + i);
	return permit;
}

/* --- each format --- */

static bulla_rc position_make(bulla_wr *w)
{
	struct bulla_position position = position_of(2, 7, 3);

	bulla_position_write(w, &position);
	return BULLA_OK;
}

static bulla_rc position_again(bulla_bytes bytes, bulla_wr *w)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_position position;

	BULLA_TRY(bulla_position_read(&r, &position));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	bulla_position_write(w, &position);
	return BULLA_OK;
}

static bulla_rc slot_make(bulla_wr *w)
{
	struct bulla_position position = position_of(2, 7, 3);

	bulla_slot_write(w, &position.slot);
	return BULLA_OK;
}

static bulla_rc slot_again(bulla_bytes bytes, bulla_wr *w)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bytes);
	struct bulla_slot slot;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 5));
	BULLA_TRY(bulla_slot_read_fields(&r, &slot));
	BULLA_TRY(bulla_cbor_rd_end(&r));
	bulla_slot_write(w, &slot);
	return BULLA_OK;
}

static bulla_rc receipt_make(bulla_wr *w)
{
	struct bulla_receipt receipt = receipt_of();

	bulla_receipt_write(w, &receipt);
	return BULLA_OK;
}

static bulla_rc receipt_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_receipt receipt;

	BULLA_TRY(bulla_receipt_decode(bytes, &receipt));
	bulla_receipt_write(w, &receipt);
	return BULLA_OK;
}

static bulla_rc record_make(bulla_wr *w, bool batched)
{
	uint8_t memory[BULLA_RECEIPT_BYTES];
	bulla_wr p = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_auth auth = auth_of(batched);

	BULLA_TRY(receipt_make(&p));
	bulla_receipt_record_write(w, BULLA_BYTES_ARRAY(memory), &auth, pairs(), BULLA_BYTES_LITERAL("\0\0\0\2"));
	return BULLA_OK;
}

static bulla_rc record_lone_make(bulla_wr *w)
{
	return record_make(w, false);
}

static bulla_rc record_batched_make(bulla_wr *w)
{
	return record_make(w, true);
}

static bulla_rc record_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_receipt_record record;

	BULLA_TRY(bulla_receipt_record_decode(bytes, &record));
	bulla_receipt_record_write(w, record.payload, &record.auth, record.outputs, record.lengths);
	return BULLA_OK;
}

static bulla_rc permit_make(bulla_wr *w)
{
	struct bulla_permit permit = permit_of();

	bulla_permit_write(w, &permit);
	return BULLA_OK;
}

static bulla_rc permit_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_permit permit;

	BULLA_TRY(bulla_permit_decode(bytes, &permit));
	bulla_permit_write(w, &permit);
	return BULLA_OK;
}

static bulla_rc write_buf(bulla_wr *w, const struct bulla_buf *buf)
{
	bulla_wr_bytes(w, bulla_buf_view(buf));
	return w->rc;
}

static bulla_rc permit_mac_make(bulla_wr *w)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF buf;
	struct bulla_permit permit = permit_of();

	bulla_buf_init(&buf, BULLA_PERMIT_MAX);
	BULLA_TRY(mac_key(&key));
	BULLA_TRY(bulla_permit_make(&permit, session, key, &buf));
	return write_buf(w, &buf);
}

static bulla_rc permit_mac_again(bulla_bytes bytes, bulla_wr *w)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF buf;
	struct bulla_permit permit;

	bulla_buf_init(&buf, BULLA_PERMIT_MAX);
	BULLA_TRY(mac_key(&key));
	BULLA_TRY(bulla_permit_open(bytes, session, key, &permit));
	BULLA_TRY(bulla_permit_make(&permit, session, key, &buf));
	return write_buf(w, &buf);
}

static bulla_rc commit_make(bulla_wr *w)
{
	struct bulla_commit commit = {position_of(2, 7, 3), digest_of("receipt"), 1, BULLA_BYTES_LITERAL("\0\0\0\2\0\0\1\0")};

	bulla_commit_write(w, &commit);
	return BULLA_OK;
}

static bulla_rc commit_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_commit commit;

	BULLA_TRY(bulla_commit_decode(bytes, &commit));
	bulla_commit_write(w, &commit);
	return BULLA_OK;
}

static bulla_rc commit_mac_make(bulla_wr *w)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF buf;
	struct bulla_commit commit = {position_of(2, 7, 3), digest_of("receipt"), 1, {NULL, 0}};

	bulla_buf_init(&buf, BULLA_COMMIT_MAX);
	BULLA_TRY(mac_key(&key));
	BULLA_TRY(bulla_commit_make(&commit, session, key, &buf));
	return write_buf(w, &buf);
}

static bulla_rc commit_mac_again(bulla_bytes bytes, bulla_wr *w)
{
	BULLA_AUTO_SECRET key = BULLA_SECRET_NONE;
	BULLA_AUTO_BUF buf;
	struct bulla_commit commit;

	bulla_buf_init(&buf, BULLA_COMMIT_MAX);
	BULLA_TRY(mac_key(&key));
	BULLA_TRY(bulla_commit_open(bytes, session, key, &commit));
	BULLA_TRY(bulla_commit_make(&commit, session, key, &buf));
	return write_buf(w, &buf);
}

static bulla_rc token_make(bulla_wr *w)
{
	struct bulla_token token = {
		position_of(2, 7, 3).slot, digest_of("receipt"), 77777, 1795270000200, digest_of("ledger head")};
	struct bulla_auth auth = auth_of(true);

	bulla_token_record_write(w, &token, &auth);
	return BULLA_OK;
}

static bulla_rc token_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_token_record record;

	BULLA_TRY(bulla_token_record_decode(bytes, &record));
	bulla_token_record_write(w, &record.token, &record.auth);
	return BULLA_OK;
}

static bulla_rc start_make(bulla_wr *w)
{
	uint8_t memory[512];
	bulla_wr p = bulla_wr_fixed(memory, sizeof(memory));
	struct bulla_slot slot = position_of(0, 0, 1).slot;
	struct bulla_auth auth = auth_of(false);
	struct bulla_start start = {
		.tenant = slot.tenant,
		.workflow = slot.workflow,
		.manifest = digest_of("manifest"),
		.run = slot.run,
		.party = digest_of("owner"),
		.inputs = pairs(),
		.links = BULLA_BYTES_LITERAL("link id of tests"),
		.day_key = digest_of("day key"),
		.secret = BULLA_BYTES_LITERAL("sealed to the day key"),
		.time_ms = 1795270000000,
	};

	BULLA_TRY(bulla_start_write(&p, &start));
	bulla_start_record_write(w, bulla_bytes_of(memory, p.n), &auth);
	return p.rc;
}

static bulla_rc start_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_start_record record;
	struct bulla_buf buf;
	bulla_wr p;
	bulla_rc rc;

	BULLA_TRY(bulla_start_record_decode(bytes, &record));
	bulla_buf_init(&buf, 8 << 20);
	p = bulla_wr_buf(&buf);
	rc = bulla_start_write(&p, &record.start);
	if (rc == BULLA_OK)
		bulla_start_record_write(w, bulla_buf_view(&buf), &record.auth);
	bulla_buf_done(&buf);
	return rc;
}

static bulla_rc order_make(bulla_wr *w)
{
	struct bulla_slot slot = position_of(0, 0, 1).slot;
	struct bulla_order order = {
		BULLA_ORDER_CANCEL, slot.tenant, digest_of("manifest"), slot.run, {NULL, 0}, 1795270000300};

	bulla_order_write(w, &order);
	return BULLA_OK;
}

static bulla_rc order_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_order order;

	BULLA_TRY(bulla_order_decode(bytes, &order));
	bulla_order_write(w, &order);
	return BULLA_OK;
}

static bulla_rc entry_make(bulla_wr *w)
{
	struct bulla_entry entry = {BULLA_ENTRY_COMMIT, 1, 1, 2, 7, 3, 77777, 1795270000200, 2, digest_of("receipt"),
		digest_of("instance")};

	bulla_entry_write(w, &entry);
	return BULLA_OK;
}

static bulla_rc entry_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_entry entry;

	BULLA_TRY(bulla_entry_decode(bytes, &entry));
	bulla_entry_write(w, &entry);
	return BULLA_OK;
}

static struct bulla_instance instance_of(uint8_t purpose)
{
	struct bulla_instance instance = {
		.tee = BULLA_BYTES_LITERAL("nitro"),
		.purpose = purpose,
		.channel = digest_of("exporter"),
		.receipt_key = BULLA_BYTES_LITERAL("SubjectPublicKeyInfo"),
		.agents = BULLA_BYTES_LITERAL("agent 01agent 02"),
		.manifest = digest_of("manifest"),
		.evidence = BULLA_BYTES_LITERAL("evidence"),
		.time_ms = 1795270000000,
	};
	bulla_digest challenge = digest_of("challenge");

	bulla_copy(instance.challenge, challenge.b, sizeof(instance.challenge));
	return instance;
}

static bulla_rc instance_make(bulla_wr *w)
{
	struct bulla_instance instance = instance_of(BULLA_PURPOSE_SESSION);

	return bulla_instance_write(w, &instance);
}

static bulla_rc instance_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_instance instance;

	BULLA_TRY(bulla_instance_decode(bytes, &instance));
	return bulla_instance_write(w, &instance);
}

static bulla_rc recipient_write(const struct bulla_recipient *recipient, bulla_wr *w)
{
	BULLA_AUTO_BUF scratch, made;

	bulla_buf_init(&scratch, 4096);
	bulla_buf_init(&made, 4096);
	BULLA_TRY(bulla_recipient_write(recipient, &scratch, &made));
	bulla_wr_bytes(w, bulla_buf_view(&made));
	return BULLA_OK;
}

static bulla_rc recipient_make(bulla_wr *w)
{
	struct bulla_recipient recipient = {.spki = BULLA_BYTES_LITERAL("RSA SubjectPublicKeyInfo"),
		.instance = instance_of(BULLA_PURPOSE_RELEASE)};
	bulla_digest salt = digest_of("salt"), channel = digest_of("exporter");

	bulla_copy(recipient.salt, salt.b, sizeof(recipient.salt));
	recipient.instance.tee = BULLA_BYTES_LITERAL("tdx");
	recipient.instance.channel = digest_of("RSA SubjectPublicKeyInfo");
	bulla_release_challenge(&channel, recipient.salt, recipient.instance.challenge);
	return recipient_write(&recipient, w);
}

static bulla_rc recipient_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_recipient recipient;

	BULLA_TRY(bulla_recipient_decode(bytes, &recipient));
	return recipient_write(&recipient, w);
}

static bulla_rc bundle_make(bulla_wr *w)
{
	struct bulla_bundle_header header = {position_of(0, 0, 0).slot, digest_of("manifest"), true};
	struct bulla_bundle_writer *writer;
	bulla_rc rc;

	BULLA_TRY(bulla_bundle_writer_new(&header, w, &writer));
	rc = bulla_bundle_put(writer, BULLA_BUNDLE_MANIFEST, BULLA_BYTES_LITERAL("manifest"), w);
	if (rc == BULLA_OK)
		rc = bulla_bundle_put(writer, BULLA_BUNDLE_RECEIPT, BULLA_BYTES_LITERAL("receipt"), w);
	if (rc == BULLA_OK)
		rc = bulla_bundle_finish(writer, w);
	bulla_bundle_writer_free(writer);
	return rc;
}

/* Reads the items until the end; puts each one into a new bundle. */
static bulla_rc bundle_copy(struct bulla_bundle_reader *reader, struct bulla_bundle_writer **writer, bulla_wr *w)
{
	struct bulla_bundle_header header;
	enum bulla_bundle_kind kind;
	bulla_bytes body;
	bulla_rc rc;

	while ((rc = bulla_bundle_next(reader, &kind, &body)) == BULLA_OK) {
		if (kind == BULLA_BUNDLE_TRAILER)
			return bulla_bundle_finish(*writer, w);
		if (kind == BULLA_BUNDLE_HEADER) {
			BULLA_TRY(bulla_bundle_header_decode(body, &header));
			BULLA_TRY(bulla_bundle_writer_new(&header, w, writer));
		} else {
			BULLA_TRY(bulla_bundle_put(*writer, kind, body, w));
		}
	}
	return rc == BULLA_E_AGAIN ? BULLA_E_BUNDLE : rc;
}

static bulla_rc bundle_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_bundle_writer *writer = NULL;
	struct bulla_bundle_reader *reader;
	bulla_rc rc;

	BULLA_TRY(bulla_bundle_reader_new(&reader));
	rc = bulla_bundle_feed(reader, bytes);
	if (rc == BULLA_OK)
		rc = bundle_copy(reader, &writer, w);
	if (rc == BULLA_OK)
		rc = bulla_bundle_ended(reader);
	bulla_bundle_writer_free(writer);
	bulla_bundle_reader_free(reader);
	return rc;
}

static bulla_rc manifest_make(bulla_wr *w)
{
	static uint8_t memory[512];
	bulla_wr l = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes values[4];
	struct bulla_image image = {BULLA_BYTES_LITERAL("nitro"),
		{{BULLA_BYTES_LITERAL("pcr"), 0, BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef")}}, 1};
	struct bulla_approver approver = {BULLA_BYTES_LITERAL("owner"), BULLA_BYTES_LITERAL("SPKI of owner"), {{0}}};
	struct bulla_party party = {handle_of("owner"), BULLA_BYTES_LITERAL("owner"), BULLA_BYTES_LITERAL("SPKI of owner"),
		BULLA_BYTES_LITERAL("0123456789abcdef0123456789abcdef"), BULLA_RIGHT_ALL, {{0}}};
	struct bulla_agent agent = {.handle = handle_of("risk"), .bundle = digest_of("bundle"), .binding = BULLA_BINDING_RUN,
		.memory_bytes = 268435456, .wrapping_key = BULLA_BYTES_LITERAL("key-1"), .policy_form = BULLA_POLICY_MANAGED};
	struct bulla_workflow workflow = {handle_of("loan"), {NULL, 0}, BULLA_BYTES_LITERAL("plan"), {{0}}};
	struct bulla_anchor anchor = {BULLA_BYTES_LITERAL("dev"), 1, 1, BULLA_BYTES_LITERAL("SHA-256 of the root certificate."),
		{NULL, 0}};
	struct bulla_earlier earlier = {11, digest_of("manifest 11")};
	struct bulla_manifest m = {
		.suite = BULLA_SUITE_CLASSIC, .mode = BULLA_MODE_STRICT, .tenant = handle_of("tenant"),
		.name_key = digest_of("name key"), .epoch = 12, .need = 1, .approvers = &approver, .approver_count = 1,
		.parties = &party, .party_count = 1, .agents = &agent, .agent_count = 1, .workflows = &workflow,
		.workflow_count = 1, .assurance = 1, .max_age_ms = 300000, .anchors = &anchor, .anchor_count = 1,
		.broker_url = BULLA_BYTES_LITERAL("https://127.0.0.1:8443"), .broker_tls = digest_of("TLS key"),
		.ledger_spki = BULLA_BYTES_LITERAL("SPKI of ledger"), .keys_at = BULLA_BYTES_LITERAL("broker"),
		.earlier = &earlier, .earlier_count = 1};

	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("./risk"), BULLA_BYTES_LITERAL("-v")}, 2);
	values[0] = bulla_bytes_of(memory, l.n);
	bulla_list_write_text(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("secret:BUREAU")}, 1);
	values[1] = bulla_bytes_of(memory + values[0].n, l.n - values[0].n);
	bulla_list_write_bytes(&l, (bulla_bytes[]){BULLA_BYTES_LITERAL("grade")}, 1);
	values[2] = bulla_bytes_of(memory + values[0].n + values[1].n, l.n - values[0].n - values[1].n);
	bulla_images_write(&l, &image, 1);
	values[3] = bulla_bytes_of(values[2].p + values[2].n, l.n - values[0].n - values[1].n - values[2].n);
	agent.command = values[0];
	agent.capabilities = values[1];
	agent.outcome = values[2];
	agent.words = values[2];
	agent.images = values[3];
	m.tees = values[1];
	return bulla_manifest_encode(&m, w);
}

static bulla_rc manifest_again(bulla_bytes bytes, bulla_wr *w)
{
	struct bulla_manifest manifest;
	bulla_rc rc;

	BULLA_TRY(bulla_manifest_decode(bytes, &manifest));
	rc = bulla_manifest_encode(&manifest, w);
	bulla_manifest_done(&manifest);
	return rc;
}

#define SMALL 4096
#define LARGE ((size_t)8 << 20)

const struct bulla_format bulla_formats[] = {
	{"position", position_make, position_again, SMALL},
	{"slot", slot_make, slot_again, SMALL},
	{"receipt", receipt_make, receipt_again, SMALL},
	{"receipt-record", record_lone_make, record_again, LARGE},
	{"receipt-record-batched", record_batched_make, record_again, LARGE},
	{"permit", permit_make, permit_again, SMALL},
	{"permit-mac0", permit_mac_make, permit_mac_again, SMALL},
	{"commit", commit_make, commit_again, SMALL},
	{"commit-mac0", commit_mac_make, commit_mac_again, SMALL},
	{"token-record", token_make, token_again, SMALL},
	{"start-record", start_make, start_again, LARGE},
	{"order", order_make, order_again, SMALL},
	{"entry", entry_make, entry_again, SMALL},
	{"instance", instance_make, instance_again, LARGE},
	{"recipient", recipient_make, recipient_again, LARGE},
	{"bundle", bundle_make, bundle_again, LARGE},
	{"manifest", manifest_make, manifest_again, LARGE},
};
const size_t bulla_format_count = sizeof(bulla_formats) / sizeof(bulla_formats[0]);
