#include "attack.h"
#include "base/mem.h"
#include "seal/internal.h"
#include "slab.h"

/* Two links of the producer (to reader 0 and 1), and one of an outsider to reader 0. */
static struct {
	struct bulla_link links[3];
	bulla_secret instance, run, state, salt;
	struct bulla_envelope_spec spec;
	struct bulla_envelope_reader readers[2];
	struct bulla_envelope_expected expected;
} world;

#define PAYLOAD BULLA_BYTES_LITERAL("{\"risk\":{\"grade\":\"B\"}}")

static bulla_rc make_secrets(void)
{
	BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &world.instance));
	BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &world.run));
	BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &world.state));
	BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &world.salt));
	for (uint8_t i = 0; i < 3; i++) {
		world.links[i] = (struct bulla_link){.id = {{(uint8_t)(i + 1)}}, .sender = {{(uint8_t)(i < 2 ? 7 : 8)}}};
		BULLA_TRY(bulla_random_secret(bulla_random_os(), 32, &world.links[i].secret));
	}
	return BULLA_OK;
}

static int up(void **state)
{
	if (slab_up(state) != 0 || make_secrets() != BULLA_OK)
		return -1;
	for (size_t i = 0; i < 2; i++)
		world.readers[i] = (struct bulla_envelope_reader){world.links[i].id, world.links[i].secret, world.run};
	world.expected = (struct bulla_envelope_expected){
		.position = {.slot = {.tenant = {{1}}, .workflow = {{2}}, .run = {{3}}, .step = 4, .item = 5}, .attempt = 6},
		.kind = BULLA_ENVELOPE_OUTPUT, .path = bulla_path_whole, .producer = {{7}}};
	world.spec = (struct bulla_envelope_spec){.position = world.expected.position, .kind = BULLA_ENVELOPE_OUTPUT,
		.path = bulla_path_whole, .producer = {{7}}, .salt = world.salt, .instance = world.instance,
		.random = bulla_random_os(), .readers = world.readers, .reader_count = 2};
	return 0;
}

static int down(void **state)
{
	bulla_secret_free(&world.instance);
	bulla_secret_free(&world.run);
	bulla_secret_free(&world.state);
	bulla_secret_free(&world.salt);
	for (size_t i = 0; i < 3; i++)
		bulla_link_done(&world.links[i]);
	return slab_down(state);
}

/* A reader that holds one link. */
static bulla_rc find_one(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	const struct bulla_link *mine = ctx;

	if (mine == NULL)
		return BULLA_E_NOT_FOUND;
	if (!bulla_link_id_eq(id, &mine->id))
		return BULLA_E_NOT_ADDRESSED;
	*ret = mine;
	return BULLA_OK;
}

static struct bulla_envelope_keys keys_of(struct bulla_link *link)
{
	return (struct bulla_envelope_keys){.ctx = link, .find = find_one, .run_secret = world.run};
}

/* Opens and forgets: for attacks, whose answer alone matters. */
static bulla_rc open_as(bulla_bytes bytes, const struct bulla_envelope_expected *expected, const struct bulla_envelope_keys *keys)
{
	struct bulla_opened opened = {.salt = BULLA_SECRET_NONE};
	struct bulla_envelope envelope;
	BULLA_AUTO_BUF memory = {0};
	bulla_rc rc;

	bulla_buf_init(&memory, BULLA_ENVELOPE_MAX);
	BULLA_TRY(bulla_envelope_parse(bytes, &envelope));
	rc = bulla_envelope_open(&envelope, expected, keys, &memory, &opened);
	bulla_secret_free(&opened.salt);
	if (rc != BULLA_OK)
		assert_int_equal(memory.n, 0);
	return rc;
}

static void seal(struct bulla_buf *ret, const struct bulla_envelope_spec *spec, bulla_bytes payload)
{
	bulla_digest digest, commitment;

	bulla_buf_init(ret, BULLA_ENVELOPE_MAX);
	assert_ok(bulla_envelope_seal(spec, payload, ret, &digest, &commitment));
}

static void all_readers_read_the_same(void **state)
{
	struct bulla_opened opened;
	struct bulla_envelope envelope;
	BULLA_AUTO_BUF bytes = {0};
	BULLA_AUTO_BUF memory = {0};
	bulla_digest digest, commitment;

	(void)state;
	bulla_buf_init(&bytes, BULLA_ENVELOPE_MAX);
	bulla_buf_init(&memory, BULLA_ENVELOPE_MAX);
	assert_ok(bulla_envelope_seal(&world.spec, PAYLOAD, &bytes, &digest, &commitment));
	assert_ok(bulla_envelope_parse(bulla_buf_view(&bytes), &envelope));
	assert_true(bulla_digest_eq(&envelope.digest, &digest));
	assert_true(bulla_digest_eq(&envelope.commitment, &commitment));
	assert_int_equal(envelope.padding, 2048);
	assert_int_equal(envelope.ciphertext.n, 36 + 2048 + 16);
	for (size_t i = 0; i < 2; i++) {
		struct bulla_envelope_keys keys = keys_of(&world.links[i]);

		assert_ok(bulla_envelope_open(&envelope, &world.expected, &keys, &memory, &opened));
		assert_bytes(opened.payload, PAYLOAD);
		assert_bytes(bulla_secret_view(opened.salt), bulla_secret_view(world.salt));
		bulla_secret_free(&opened.salt);
		bulla_buf_clear(&memory);
	}
}

/* One test per field of the position, kind and path, producer: each has its own error and its own check. */
static void another_place_is_refused(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	struct bulla_envelope_expected e = world.expected;
	static const uint8_t other_path[] = {0x81, 0x41, 'x'};
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	seal(&bytes, &world.spec, PAYLOAD);
	bulla_bytes view = bulla_buf_view(&bytes);
	assert_ok(open_as(view, &e, &keys));
	e.position.slot.tenant.b[7] ^= 1;
	assert_attack(POSITION_TENANT, BULLA_E_POSITION_TENANT, open_as(view, &e, &keys));
	e = world.expected;
	e.position.slot.workflow.b[31] ^= 1;
	assert_attack(POSITION_WORKFLOW, BULLA_E_POSITION_WORKFLOW, open_as(view, &e, &keys));
	e = world.expected;
	e.position.slot.run.b[15] ^= 1;
	assert_attack(POSITION_RUN, BULLA_E_POSITION_RUN, open_as(view, &e, &keys));
	e = world.expected;
	e.position.slot.step++;
	assert_attack(POSITION_STEP, BULLA_E_POSITION_STEP, open_as(view, &e, &keys));
	e = world.expected;
	e.position.slot.item++;
	assert_attack(POSITION_ITEM, BULLA_E_POSITION_ITEM, open_as(view, &e, &keys));
	e = world.expected;
	e.position.attempt++;
	assert_attack(POSITION_ATTEMPT, BULLA_E_POSITION_ATTEMPT, open_as(view, &e, &keys));
	e = world.expected;
	e.kind = BULLA_ENVELOPE_FAILURE;
	assert_attack(ENVELOPE_KIND, BULLA_E_POSITION_PATH, open_as(view, &e, &keys));
	e = world.expected;
	e.path = BULLA_BYTES_ARRAY(other_path);
	assert_attack(POSITION_PATH, BULLA_E_POSITION_PATH, open_as(view, &e, &keys));
	e = world.expected;
	e.producer.b[31] ^= 1;
	assert_attack(ENVELOPE_PRODUCER, BULLA_E_PRODUCER, open_as(view, &e, &keys));
}

/* Checks come in the protocol's order: with everything wrong the first one speaks. */
static void the_order_is_the_protocols(void **state)
{
	struct bulla_envelope_keys keys = keys_of(NULL);
	struct bulla_envelope_expected e = {.path = bulla_path_whole};
	static const bulla_rc order[] = {BULLA_E_POSITION_TENANT, BULLA_E_POSITION_WORKFLOW, BULLA_E_POSITION_RUN,
		BULLA_E_POSITION_STEP, BULLA_E_POSITION_ITEM, BULLA_E_POSITION_ATTEMPT, BULLA_E_POSITION_PATH, BULLA_E_PRODUCER,
		BULLA_E_LINK_UNKNOWN};
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	seal(&bytes, &world.spec, PAYLOAD);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		assert_rc(order[i], open_as(bulla_buf_view(&bytes), &e, &keys));
		switch (i) {
		case 0: e.position.slot.tenant = world.expected.position.slot.tenant; break;
		case 1: e.position.slot.workflow = world.expected.position.slot.workflow; break;
		case 2: e.position.slot.run = world.expected.position.slot.run; break;
		case 3: e.position.slot.step = 4; break;
		case 4: e.position.slot.item = 5; break;
		case 5: e.position.attempt = 6; break;
		case 6: e.kind = BULLA_ENVELOPE_OUTPUT; break;
		default: e.producer = world.expected.producer; break;
		}
	}
}

static void who_is_not_a_reader(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[2]), wrong_run = keys_of(&world.links[0]);
	struct bulla_envelope_keys nobody = keys_of(NULL);
	struct bulla_link stolen = world.links[0];
	struct bulla_envelope_keys wrong_secret;
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	seal(&bytes, &world.spec, PAYLOAD);
	assert_rc(BULLA_E_NOT_ADDRESSED, open_as(bulla_buf_view(&bytes), &world.expected, &keys));
	assert_rc(BULLA_E_LINK_UNKNOWN, open_as(bulla_buf_view(&bytes), &world.expected, &nobody));
	/* the run secret was erased, or is another run's */
	wrong_run.run_secret = BULLA_SECRET_NONE;
	assert_rc(BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&bytes), &world.expected, &wrong_run));
	/* reader 0's entry with reader 1's secret */
	stolen.secret = world.links[1].secret;
	wrong_secret = keys_of(&stolen);
	assert_rc(BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&bytes), &world.expected, &wrong_secret));
}

/* Why nobody's entry is mine: refused links speak before unknown ones, those before others'. */
static bulla_rc find_mixed(void *ctx, const bulla_link_id *id, const struct bulla_link **ret)
{
	const bulla_rc *answers = ctx;

	(void)ret;
	return answers[id->b[0] - 1];
}

static void the_best_reason_is_given(void **state)
{
	static const struct {
		bulla_rc answers[2], rc;
	} cases[] = {
		{{BULLA_E_NOT_ADDRESSED, BULLA_E_NOT_ADDRESSED}, BULLA_E_NOT_ADDRESSED},
		{{BULLA_E_NOT_ADDRESSED, BULLA_E_NOT_FOUND}, BULLA_E_LINK_UNKNOWN},
		{{BULLA_E_NOT_FOUND, BULLA_E_NOT_ADDRESSED}, BULLA_E_LINK_UNKNOWN},
		{{BULLA_E_LINK_SIGNATURE, BULLA_E_NOT_FOUND}, BULLA_E_LINK_SIGNATURE},
		{{BULLA_E_NOT_FOUND, BULLA_E_EPOCH_CLOSED}, BULLA_E_EPOCH_CLOSED},
	};
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	seal(&bytes, &world.spec, PAYLOAD);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bulla_rc answers[2] = {cases[i].answers[0], cases[i].answers[1]};
		struct bulla_envelope_keys keys = {.ctx = answers, .find = find_mixed};

		assert_rc(cases[i].rc, open_as(bulla_buf_view(&bytes), &world.expected, &keys));
	}
}

/* An outsider with a good link of his own seals in the producer's name. */
static void anothers_link_in_the_producers_name(void **state)
{
	struct bulla_envelope_reader reader = {world.links[2].id, world.links[2].secret, world.run};
	struct bulla_envelope_keys keys = keys_of(&world.links[2]);
	struct bulla_envelope_spec spec = world.spec;
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	spec.readers = &reader;
	spec.reader_count = 1;
	seal(&bytes, &spec, PAYLOAD);
	assert_attack(ENVELOPE_LINK, BULLA_E_LINK_SENDER, open_as(bulla_buf_view(&bytes), &world.expected, &keys));
}

/* An envelope as only a producer with its own program could make it: these padded bytes under that commitment. */
static void craft(bulla_bytes padded, const bulla_digest *commitment, uint32_t class_size, struct bulla_buf *ret)
{
	BULLA_AUTO_SECRET content_key = BULLA_SECRET_NONE, kek = BULLA_SECRET_NONE;
	uint8_t core_memory[512], header_memory[1024], wrapped[BULLA_WRAPPED_SIZE];
	static uint8_t sealed[8192];
	bulla_wr c = bulla_wr_fixed(core_memory, sizeof(core_memory)), h = bulla_wr_fixed(header_memory, sizeof(header_memory));
	bulla_wr out;
	bulla_bytes core, header, written;

	bulla_cbor_wr_array(&c, 8);
	bulla_cbor_wr_uint(&c, 1);
	bulla_cbor_wr_uint(&c, 3);
	bulla_position_write(&c, &world.spec.position);
	bulla_cbor_wr_uint(&c, BULLA_ENVELOPE_OUTPUT);
	bulla_cbor_wr_raw(&c, bulla_path_whole);
	bulla_cbor_wr_digest(&c, &world.spec.producer);
	bulla_cbor_wr_digest(&c, commitment);
	bulla_cbor_wr_uint(&c, class_size);
	assert_ok(bulla_wr_end(&c, &core));
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &content_key));
	assert_ok(bulla_envelope_kek(world.links[0].secret, world.run, &world.spec.position, core, &kek));
	assert_ok(bulla_key_wrap(kek, content_key, wrapped));
	bulla_cbor_wr_array(&h, 2);
	bulla_cbor_wr_raw(&h, core);
	bulla_cbor_wr_array(&h, 1);
	bulla_cbor_wr_array(&h, 2);
	bulla_cbor_wr_bytes(&h, BULLA_BYTES_ARRAY(world.links[0].id.b));
	bulla_cbor_wr_bytes(&h, BULLA_BYTES_ARRAY(wrapped));
	assert_ok(bulla_wr_end(&h, &header));
	assert_ok(bulla_aead_seal(content_key, bulla_aead_nonce_zero, core, padded, sealed));
	bulla_buf_init(ret, BULLA_ENVELOPE_MAX);
	out = bulla_wr_buf(ret);
	bulla_cbor_wr_array(&out, 3);
	bulla_cbor_wr_bytes(&out, header);
	bulla_cbor_wr_map(&out, 0);
	bulla_cbor_wr_bytes(&out, bulla_bytes_of(sealed, padded.n + 16));
	assert_ok(bulla_wr_end(&out, &written));
}

/* A producer shows this reader another plaintext than it committed to in its receipt. */
static void content_that_was_not_committed(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	uint8_t padded[36 + 2048];
	BULLA_AUTO_BUF bytes = {0};
	bulla_digest commitment;

	(void)state;
	bulla_padding_digest(bulla_secret_view(world.salt), BULLA_BYTES_LITERAL("to you"), 2048, &commitment);
	bulla_padding_write(bulla_secret_view(world.salt), BULLA_BYTES_LITERAL("to him"), 2048, padded);
	craft(BULLA_BYTES_ARRAY(padded), &commitment, 2048, &bytes);
	assert_attack(ENVELOPE_COMMITMENT, BULLA_E_COMMITMENT, open_as(bulla_buf_view(&bytes), &world.expected, &keys));
}

/* Bytes hidden behind the payload: a channel between agents that may not speak. */
static void padding_that_is_not_zero(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	uint8_t padded[36 + 2048];
	BULLA_AUTO_BUF bytes = {0};
	BULLA_AUTO_BUF longer = {0};
	bulla_digest commitment;

	(void)state;
	bulla_padding_write(bulla_secret_view(world.salt), PAYLOAD, 2048, padded);
	padded[sizeof(padded) - 1] = 1;
	bulla_sha256(BULLA_BYTES_ARRAY(padded), &commitment);
	craft(BULLA_BYTES_ARRAY(padded), &commitment, 2048, &bytes);
	assert_attack(ENVELOPE_PADDING, BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&bytes), &world.expected, &keys));
	/* a length beyond the class, padding where the size is exact */
	padded[32] = 0xff;
	bulla_sha256(BULLA_BYTES_ARRAY(padded), &commitment);
	craft(BULLA_BYTES_ARRAY(padded), &commitment, 2048, &longer);
	assert_rc(BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&longer), &world.expected, &keys));
	bulla_buf_done(&longer);
	bulla_padding_write(bulla_secret_view(world.salt), PAYLOAD, 2048, padded);
	bulla_sha256(BULLA_BYTES_ARRAY(padded), &commitment);
	craft(BULLA_BYTES_ARRAY(padded), &commitment, 0, &longer);
	assert_rc(BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&longer), &world.expected, &keys));
}

static void every_change_is_refused(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	struct bulla_envelope_spec spec = world.spec;
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	spec.padding.rule = 2;
	spec.reader_count = 1;
	seal(&bytes, &spec, PAYLOAD);
	for (size_t bit = 0; bit < 8 * bytes.n; bit++) {
		bytes.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (open_as(bulla_buf_view(&bytes), &world.expected, &keys) == BULLA_OK)
			fail_msg("bit %zu does not matter", bit);
		bytes.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < bytes.n; size++)
		assert_rc(BULLA_E_NOT_ENVELOPE, open_as(bulla_bytes_of(bytes.p, size), &world.expected, &keys));
	assert_ok(bulla_buf_append(&bytes, BULLA_BYTES_LITERAL("x")));
	assert_rc(BULLA_E_NOT_ENVELOPE, open_as(bulla_buf_view(&bytes), &world.expected, &keys));
}

/* The ciphertext of one envelope under the header of another. */
static void swapped_halves(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	BULLA_AUTO_BUF a = {0};
	BULLA_AUTO_BUF b = {0};

	(void)state;
	seal(&a, &world.spec, BULLA_BYTES_LITERAL("one"));
	seal(&b, &world.spec, BULLA_BYTES_LITERAL("two"));
	assert_int_equal(a.n, b.n);
	bulla_copy(a.p + a.n - 1076, b.p + b.n - 1076, 1076);
	assert_rc(BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&a), &world.expected, &keys));
}

static void parts_are_of_their_whole(void **state)
{
	const bulla_bytes names[] = {BULLA_BYTES_LITERAL("risk"), BULLA_BYTES_LITERAL("grade")};
	BULLA_AUTO_SECRET salt = BULLA_SECRET_NONE, other = BULLA_SECRET_NONE, step = BULLA_SECRET_NONE;
	uint8_t memory[BULLA_PATH_MAX], element[BULLA_PATH_MAX], first[BULLA_PATH_MAX], second[BULLA_PATH_MAX];
	struct bulla_envelope_expected expected = world.expected;
	struct bulla_envelope_keys keys = keys_of(&world.links[1]);
	struct bulla_envelope_spec spec = world.spec;
	bulla_bytes path, path_element, path_first, path_second;
	bulla_digest digest, commitment;
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	assert_ok(bulla_path_write(names, 2, BULLA_PATH_NO_INDEX, memory, &path));
	assert_ok(bulla_path_write(names, 2, 3, element, &path_element));
	assert_ok(bulla_envelope_part_salt(world.salt, path, &salt));
	assert_ok(bulla_envelope_part_salt(world.salt, path_element, &other));
	assert_memory_not_equal(bulla_secret_view(salt).p, bulla_secret_view(other).p, 32);
	/* name by name: the part of a part */
	bulla_secret_free(&other);
	assert_ok(bulla_path_write(names, 1, BULLA_PATH_NO_INDEX, first, &path_first));
	assert_ok(bulla_path_write(names + 1, 1, BULLA_PATH_NO_INDEX, second, &path_second));
	assert_ok(bulla_envelope_part_salt(world.salt, path_first, &step));
	assert_ok(bulla_envelope_part_salt(step, path_second, &other));
	assert_bytes(bulla_secret_view(salt), bulla_secret_view(other));
	spec.salt = salt;
	spec.path = path;
	bulla_buf_init(&bytes, BULLA_ENVELOPE_MAX);
	assert_ok(bulla_envelope_seal(&spec, BULLA_BYTES_LITERAL("\"B\""), &bytes, &digest, &commitment));
	expected.path = path;
	assert_ok(open_as(bulla_buf_view(&bytes), &expected, &keys));
	assert_ok(bulla_envelope_part_check(world.salt, path, BULLA_BYTES_LITERAL("\"B\""), spec.padding, &commitment));
	/* the starter shows the risk agent another grade than the underwriter, who reads the whole */
	assert_attack(ENVELOPE_PART, BULLA_E_PART,
		bulla_envelope_part_check(world.salt, path, BULLA_BYTES_LITERAL("\"A\""), spec.padding, &commitment));
	bulla_secret_free(&other);
	assert_ok(bulla_envelope_part_salt(world.salt, bulla_path_whole, &other));
	assert_bytes(bulla_secret_view(other), bulla_secret_view(world.salt));
}

static void state_has_one_reader(void **state)
{
	struct bulla_envelope_reader own = {bulla_link_state, world.state, world.run};
	struct bulla_envelope_keys keys = {.find = find_one, .state = world.state, .run_secret = world.run};
	struct bulla_envelope_expected expected = world.expected;
	struct bulla_envelope_spec spec = world.spec;
	bulla_digest digest, commitment;
	BULLA_AUTO_BUF bytes = {0};
	BULLA_AUTO_BUF none = {0};

	(void)state;
	bulla_buf_init(&none, BULLA_ENVELOPE_MAX);
	spec.kind = expected.kind = BULLA_ENVELOPE_STATE;
	assert_rc(BULLA_E_ARGUMENT, bulla_envelope_seal(&spec, PAYLOAD, &none, &digest, &commitment));
	spec.readers = &own;
	spec.reader_count = 1;
	seal(&bytes, &spec, PAYLOAD);
	assert_ok(open_as(bulla_buf_view(&bytes), &expected, &keys));
	keys.state = world.links[0].secret;
	assert_rc(BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&bytes), &expected, &keys));
	keys.state = BULLA_SECRET_NONE;
	assert_rc(BULLA_E_NOT_ADDRESSED, open_as(bulla_buf_view(&bytes), &expected, &keys));
}

static void headers_stand_alone(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	struct bulla_envelope whole, header;
	BULLA_AUTO_BUF bytes = {0};
	BULLA_AUTO_BUF stripped = {0};

	(void)state;
	seal(&bytes, &world.spec, PAYLOAD);
	bulla_buf_init(&stripped, BULLA_ENVELOPE_MAX);
	assert_ok(bulla_envelope_parse(bulla_buf_view(&bytes), &whole));
	assert_ok(bulla_envelope_strip(&whole, &stripped));
	assert_ok(bulla_envelope_parse(bulla_buf_view(&stripped), &header));
	assert_true(bulla_digest_eq(&whole.digest, &header.digest));
	assert_int_equal(header.ciphertext.n, 0);
	assert_ok(bulla_envelope_check(&header, &world.expected));
	assert_rc(BULLA_E_ENVELOPE_DAMAGED, open_as(bulla_buf_view(&stripped), &world.expected, &keys));
}

static void sealing_has_limits(void **state)
{
	struct bulla_envelope_reader many[BULLA_MAX_READERS + 1], twice[] = {world.readers[0], world.readers[0]};
	struct bulla_envelope_spec spec = world.spec;
	static uint8_t big[BULLA_MAX_PAYLOAD + 1];
	bulla_digest digest, commitment;
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	bulla_buf_init(&bytes, BULLA_ENVELOPE_MAX);
	assert_rc(BULLA_E_LIMIT, bulla_envelope_seal(&spec, BULLA_BYTES_ARRAY(big), &bytes, &digest, &commitment));
	for (size_t i = 0; i <= BULLA_MAX_READERS; i++) {
		many[i] = world.readers[0];
		many[i].link.b[15] = (uint8_t)i;
	}
	spec.readers = many;
	spec.reader_count = BULLA_MAX_READERS + 1;
	assert_rc(BULLA_E_LIMIT, bulla_envelope_seal(&spec, PAYLOAD, &bytes, &digest, &commitment));
	spec.reader_count = 0;
	assert_rc(BULLA_E_ARGUMENT, bulla_envelope_seal(&spec, PAYLOAD, &bytes, &digest, &commitment));
	spec.readers = twice;
	spec.reader_count = 2;
	assert_rc(BULLA_E_DUPLICATE, bulla_envelope_seal(&spec, PAYLOAD, &bytes, &digest, &commitment));
	spec = world.spec;
	spec.instance = BULLA_SECRET_NONE;
	assert_rc(BULLA_E_ARGUMENT, bulla_envelope_seal(&spec, PAYLOAD, &bytes, &digest, &commitment));
	assert_int_equal(bytes.n, 0);
	spec = world.spec;
	spec.readers = many;
	spec.reader_count = BULLA_MAX_READERS;
	assert_ok(bulla_envelope_seal(&spec, bulla_bytes_of(big, BULLA_MAX_PAYLOAD), &bytes, &digest, &commitment));
	struct bulla_envelope envelope;
	assert_ok(bulla_envelope_parse(bulla_buf_view(&bytes), &envelope));
	assert_int_equal(envelope.reader_count, BULLA_MAX_READERS);
}

static bulla_rc broken(void *ctx, uint8_t *ret, size_t size)
{
	(void)ctx;
	(void)ret;
	(void)size;
	return BULLA_FAIL(BULLA_E_RANDOM, "test");
}

static void a_failing_source_seals_nothing(void **state)
{
	const struct bulla_random source = {NULL, broken};
	struct bulla_envelope_spec spec = world.spec;
	bulla_digest digest, commitment;
	BULLA_AUTO_BUF bytes = {0};
	uint32_t used = bulla_secret_slab_used();

	(void)state;
	bulla_buf_init(&bytes, BULLA_ENVELOPE_MAX);
	spec.random = &source;
	assert_rc(BULLA_E_RANDOM, bulla_envelope_seal(&spec, PAYLOAD, &bytes, &digest, &commitment));
	assert_int_equal(bytes.n, 0);
	bulla_alloc_fail_nth(1);
	assert_rc(BULLA_E_MEMORY, bulla_envelope_seal(&world.spec, PAYLOAD, &bytes, &digest, &commitment));
	bulla_alloc_fail_nth(0);
	assert_int_equal(bytes.n, 0);
	assert_int_equal(bulla_secret_slab_used(), used);
}

/* Fills the slab but for `left` slots; empties what was filled. */
static size_t fill_slab(size_t left, bulla_secret fillers[64])
{
	size_t count = 0;

	while (bulla_secret_slab_used() + left < bulla_secret_slab_size())
		assert_ok(bulla_secret_new(BULLA_BYTES_LITERAL("x"), &fillers[count++]));
	return count;
}

static void a_full_slab_is_no_damage(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	bulla_digest digest, commitment;
	uint32_t used = bulla_secret_slab_used();
	BULLA_AUTO_BUF bytes = {0};
	BULLA_AUTO_BUF none = {0};
	bulla_rc sealed = BULLA_E_LIMIT, opened = BULLA_E_LIMIT;

	(void)state;
	seal(&bytes, &world.spec, PAYLOAD);
	bulla_buf_init(&none, BULLA_ENVELOPE_MAX);
	for (size_t left = 0; left < 8; left++) {
		bulla_secret fillers[64];
		size_t count = fill_slab(left, fillers);

		sealed = bulla_envelope_seal(&world.spec, PAYLOAD, &none, &digest, &commitment);
		opened = open_as(bulla_buf_view(&bytes), &world.expected, &keys);
		while (count > 0)
			bulla_secret_free(&fillers[--count]);
		if (sealed != BULLA_OK)
			assert_rc(BULLA_E_LIMIT, sealed);
		if (opened != BULLA_OK)
			assert_rc(BULLA_E_LIMIT, opened);
		assert_int_equal(bulla_secret_slab_used(), used);
	}
	assert_ok(sealed);
	assert_ok(opened);
}

/* With warm buffers neither sealing nor opening allocates. */
static void the_hot_path_does_not_allocate(void **state)
{
	struct bulla_envelope_keys keys = keys_of(&world.links[0]);
	struct bulla_envelope envelope;
	struct bulla_opened opened;
	bulla_digest digest, commitment;
	BULLA_AUTO_BUF bytes = {0};
	BULLA_AUTO_BUF memory = {0};
	uint64_t before = 0;

	(void)state;
	bulla_buf_init(&bytes, BULLA_ENVELOPE_MAX);
	bulla_buf_init(&memory, BULLA_ENVELOPE_MAX);
	for (int i = 0; i < 100; i++) {
		if (i == 1)
			before = bulla_alloc_count();
		bulla_buf_clear(&bytes);
		bulla_buf_clear(&memory);
		assert_ok(bulla_envelope_seal(&world.spec, PAYLOAD, &bytes, &digest, &commitment));
		assert_ok(bulla_envelope_parse(bulla_buf_view(&bytes), &envelope));
		assert_ok(bulla_envelope_open(&envelope, &world.expected, &keys, &memory, &opened));
		bulla_secret_free(&opened.salt);
	}
	assert_int_equal(bulla_alloc_count(), before);
}

static bulla_rc counting(void *ctx, uint8_t *ret, size_t size)
{
	uint8_t *next = ctx;

	for (size_t i = 0; i < size; i++)
		ret[i] = (*next)++;
	return BULLA_OK;
}

/* With fixed keys, salt and random bytes the envelope is these bytes: other ones need another version number. */
static void golden_bytes(void **state)
{
	static const uint8_t fixed[32] = {0x42};
	static const uint8_t right_header[32] = {0xc5, 0x62, 0x0a, 0x8e, 0x0b, 0x41, 0xd2, 0x6c, 0xc1, 0x8b, 0x91, 0xad, 0x79, 0x1f, 0xd9, 0x12,
		0x23, 0xe7, 0xfe, 0xb4, 0xf6, 0xae, 0x05, 0x6c, 0xf9, 0x62, 0x7d, 0x48, 0x8a, 0x35, 0xc3, 0xf9};
	static const uint8_t right_bytes[32] = {0xee, 0x9c, 0x5f, 0x04, 0xa5, 0x2d, 0x22, 0xa1, 0x87, 0x04, 0x12, 0x0e, 0x05, 0xb1, 0x53, 0x91,
		0x3e, 0x53, 0x0a, 0xc8, 0x68, 0x8f, 0x30, 0x8f, 0xe1, 0xff, 0xdf, 0xab, 0xa8, 0x32, 0x8f, 0x05};
	uint8_t next = 0;
	const struct bulla_random source = {&next, counting};
	BULLA_AUTO_SECRET secret = BULLA_SECRET_NONE;
	struct bulla_envelope_reader readers[2];
	struct bulla_envelope_spec spec = world.spec;
	bulla_digest digest, commitment, bytes_digest;
	BULLA_AUTO_BUF bytes = {0};

	(void)state;
	assert_ok(bulla_secret_new(BULLA_BYTES_ARRAY(fixed), &secret));
	for (size_t i = 0; i < 2; i++)
		readers[i] = (struct bulla_envelope_reader){world.readers[i].link, secret, i == 0 ? secret : BULLA_SECRET_NONE};
	spec.readers = readers;
	spec.salt = spec.instance = secret;
	spec.random = &source;
	spec.padding = (struct bulla_padding_rule){1, 1024};
	bulla_buf_init(&bytes, BULLA_ENVELOPE_MAX);
	assert_ok(bulla_envelope_seal(&spec, PAYLOAD, &bytes, &digest, &commitment));
	bulla_sha256(bulla_buf_view(&bytes), &bytes_digest);
	assert_memory_equal(digest.b, right_header, 32);
	assert_memory_equal(bytes_digest.b, right_bytes, 32);
}

static void covering(void **state)
{
	(void)state;
	assert_true(bulla_envelope_is_covered(true, BULLA_TO_AGENT, false, BULLA_ENVELOPE_OUTPUT));
	assert_true(bulla_envelope_is_covered(true, BULLA_TO_AGENT, true, BULLA_ENVELOPE_INPUT));
	assert_false(bulla_envelope_is_covered(true, BULLA_TO_AGENT, true, BULLA_ENVELOPE_OUTPUT));
	assert_false(bulla_envelope_is_covered(true, BULLA_TO_PARTY, false, BULLA_ENVELOPE_OUTPUT));
	assert_false(bulla_envelope_is_covered(true, BULLA_TO_PARTY, true, BULLA_ENVELOPE_INPUT));
	assert_false(bulla_envelope_is_covered(false, BULLA_TO_AGENT, false, BULLA_ENVELOPE_OUTPUT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_readers_read_the_same),
		cmocka_unit_test(another_place_is_refused),
		cmocka_unit_test(the_order_is_the_protocols),
		cmocka_unit_test(who_is_not_a_reader),
		cmocka_unit_test(the_best_reason_is_given),
		cmocka_unit_test(anothers_link_in_the_producers_name),
		cmocka_unit_test(content_that_was_not_committed),
		cmocka_unit_test(padding_that_is_not_zero),
		cmocka_unit_test(every_change_is_refused),
		cmocka_unit_test(swapped_halves),
		cmocka_unit_test(parts_are_of_their_whole),
		cmocka_unit_test(state_has_one_reader),
		cmocka_unit_test(headers_stand_alone),
		cmocka_unit_test(sealing_has_limits),
		cmocka_unit_test(a_failing_source_seals_nothing),
		cmocka_unit_test(a_full_slab_is_no_damage),
		cmocka_unit_test(the_hot_path_does_not_allocate),
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(covering),
	};

	return cmocka_run_group_tests_name("seal_envelope", tests, up, down);
}
