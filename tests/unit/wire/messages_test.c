#include "test.h"
#include "wire/messages.h"
#include "wire/pb.h"

/* Fills every field of a message with values that depend on its number. */
static void fill(const struct bulla_msg_desc *desc, void *msg, const bulla_bytes *items)
{
	for (size_t i = 0; i < desc->count; i++) {
		void *p = (uint8_t *)msg + desc->fields[i].offset;

		if (desc->fields[i].kind == BULLA_MSG_LIST)
			*(struct bulla_pb_list *)p = bulla_pb_list_of(items, i % 3 + 1);
		else if (desc->fields[i].kind == BULLA_MSG_BYTES)
			*(bulla_bytes *)p = BULLA_BYTES_LITERAL("sixteen bytes, 1");
		else
			*(uint64_t *)p = UINT64_MAX >> (5 * i);
	}
}

static const bulla_bytes items[] = {{(const uint8_t *)"one", 3}, {NULL, 0}, {(const uint8_t *)"three", 5}};

union any_message {
#define MESSAGE_BEGIN(message) struct bulla_msg_##message message##_;
#define U64(message, number, field)
#define BYTES(message, number, field)
#define LIST(message, number, field)
#define MESSAGE_END(message)
#include "wire/messages.def"
#undef MESSAGE_BEGIN
#undef U64
#undef BYTES
#undef LIST
#undef MESSAGE_END
};

static bulla_bytes encode(const struct bulla_msg_desc *desc, const void *msg, uint8_t *memory, size_t size)
{
	bulla_wr w = bulla_wr_fixed(memory, size);
	bulla_bytes out;

	bulla_msg_encode(desc, msg, &w);
	assert_ok(bulla_wr_end(&w, &out));
	assert_int_equal(out.n, bulla_msg_size(desc, msg));
	return out;
}

static void every_message_comes_back(void **state)
{
	const struct bulla_msg_desc *desc;
	uint8_t first[1024], second[1024];

	(void)state;
	for (size_t i = 0; (desc = bulla_msg_desc_at(i)) != NULL; i++) {
		union any_message msg = {0}, back;
		bulla_bytes out;

		assert_ok(bulla_msg_decode(desc, encode(desc, &msg, first, sizeof(first)), &back));
		fill(desc, &msg, items);
		out = encode(desc, &msg, first, sizeof(first));
		assert_ok(bulla_msg_decode(desc, out, &back));
		assert_bytes(out, encode(desc, &back, second, sizeof(second)));
	}
}

static void field_numbers_ascend(void **state)
{
	const struct bulla_msg_desc *desc;

	(void)state;
	for (size_t i = 0; (desc = bulla_msg_desc_at(i)) != NULL; i++) {
		for (size_t j = 1; j < desc->count; j++)
			assert_true(desc->fields[j].tag > desc->fields[j - 1].tag);
	}
}

static void what_is_decoded_is_what_was_set(void **state)
{
	struct bulla_msg_execute msg = {.permit = BULLA_BYTES_LITERAL("permit"), .inputs = bulla_pb_list_of(items, 3),
		.deadline_ms = 30000, .workflow = 1}, back;
	uint8_t memory[256];
	bulla_bytes item, all[3];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));

	(void)state;
	bulla_msg_execute_encode(&msg, &w);
	assert_ok(bulla_wr_end(&w, &item));
	assert_ok(bulla_msg_execute_decode(item, &back));
	assert_bytes(back.permit, msg.permit);
	assert_int_equal(back.parents.count, 0);
	assert_int_equal(back.inputs.count, 3);
	assert_int_equal(back.deadline_ms, 30000);
	assert_int_equal(back.workflow, 1);
	struct bulla_pb_iter iter = bulla_pb_list_begin(&back.inputs);
	for (size_t i = 0; i < 3; i++) {
		assert_true(bulla_pb_list_next(&iter, &item));
		assert_bytes(item, items[i]);
		assert_bytes(bulla_pb_list_at(&back.inputs, i), items[i]);
		assert_bytes(bulla_pb_list_at(&msg.inputs, i), items[i]);
	}
	assert_false(bulla_pb_list_next(&iter, &item));
	assert_int_equal(bulla_pb_list_at(&back.inputs, 3).n, 0);
	assert_ok(bulla_pb_list_items(&back.inputs, 3, all));
	assert_bytes(all[2], items[2]);
	assert_rc(BULLA_E_LIMIT, bulla_pb_list_items(&back.inputs, 2, all));
}

/* The vector of doc/messages.md. */
static void the_published_vector_holds(void **state)
{
	const uint8_t vector[] = {0x08, 1, 0x10, 2, 0x1a, 1, 0x78, 0x20, 0x80, 1};
	struct bulla_msg_hello msg = {.version = 1, .role = 2, .boot_id = BULLA_BYTES_LITERAL("x"), .window = 128};
	uint8_t memory[16];

	(void)state;
	assert_bytes(encode(&bulla_msg_hello_desc, &msg, memory, sizeof(memory)), BULLA_BYTES_ARRAY(vector));
}

static void a_decoded_list_moves_to_another_field(void **state)
{
	struct bulla_msg_executed from = {.objects = bulla_pb_list_of(items, 3)}, decoded;
	struct bulla_msg_start to = {0}, back;
	uint8_t first[64], second[64];

	(void)state;
	assert_ok(bulla_msg_executed_decode(encode(&bulla_msg_executed_desc, &from, first, sizeof(first)), &decoded));
	to.envelopes = decoded.objects;
	assert_ok(bulla_msg_start_decode(encode(&bulla_msg_start_desc, &to, second, sizeof(second)), &back));
	assert_int_equal(back.envelopes.count, 3);
	assert_bytes(bulla_pb_list_at(&back.envelopes, 2), items[2]);
}

#define CASE(rc_, ...) \
	{ \
		.rc = BULLA_##rc_, .size = sizeof((const uint8_t[]){__VA_ARGS__}), .bytes = { __VA_ARGS__ } \
	}

/* hello: 1 version, 2 role, 3 boot_id, 4 window; need: lists 1, 2, 3 */
static void other_forms_are_refused(void **state)
{
	static const struct {
		bulla_rc rc;
		size_t size;
		uint8_t bytes[16];
	} cases[] = {
		CASE(OK, 0x08, 1, 0x10, 2, 0x1a, 1, 'x', 0x20, 0x80, 1),
		CASE(OK, 0x20, 1),
		CASE(E_FORMAT, 0x08, 0),                /* zero is absent */
		CASE(E_FORMAT, 0x1a, 0),                /* empty is absent */
		CASE(E_DUPLICATE, 0x08, 1, 0x08, 1),    /* twice */
		CASE(E_FORMAT, 0x10, 1, 0x08, 1),       /* out of order */
		CASE(E_FORMAT, 0x28, 1),                /* unknown field 5 */
		CASE(E_FORMAT, 0x00, 1),                /* field 0 */
		CASE(E_FORMAT, 0x0a, 1, 'x'),           /* bytes where a number must be */
		CASE(E_FORMAT, 0x18, 1),                /* number where bytes must be */
		CASE(E_FORMAT, 0x0d, 1, 0, 0, 0),       /* fixed32 */
		CASE(E_FORMAT, 0x0b, 0x0c),             /* group */
		CASE(E_FORMAT, 0x08, 0x81, 0x00),       /* longer than needed */
		CASE(E_FORMAT, 0x88, 0x00, 1),          /* tag longer than needed */
		CASE(E_TRUNCATED, 0x08),
		CASE(E_TRUNCATED, 0x08, 0x80),
		CASE(E_TRUNCATED, 0x1a, 2, 'x'),
		CASE(E_TRUNCATED, 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
		CASE(OK, 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
		CASE(E_FORMAT, 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2),
		CASE(E_FORMAT, 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 1),
	};
	struct bulla_msg_hello msg, zero = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		msg.version = 77;
		assert_rc(cases[i].rc, bulla_msg_hello_decode(bulla_bytes_of(cases[i].bytes, cases[i].size), &msg));
		if (cases[i].rc != BULLA_OK)
			assert_memory_equal(&msg, &zero, sizeof(msg));
	}
}

static void lists_are_refused_when_split_or_cut(void **state)
{
	const uint8_t split[] = {0x0a, 1, 'a', 0x12, 0, 0x0a, 1, 'b'};
	const uint8_t good[] = {0x0a, 1, 'a', 0x0a, 0, 0x12, 0, 0x1a, 1, 'c'};
	struct bulla_msg_need msg;

	(void)state;
	assert_rc(BULLA_E_FORMAT, bulla_msg_need_decode(BULLA_BYTES_ARRAY(split), &msg));
	assert_ok(bulla_msg_need_decode(BULLA_BYTES_ARRAY(good), &msg));
	assert_int_equal(msg.links.count, 2);
	assert_int_equal(msg.instances.count, 1);
	for (size_t n = 1; n < sizeof(good); n++) {
		bulla_rc rc = bulla_msg_need_decode(bulla_bytes_of(good, n), &msg);

		assert_rc(n == 3 || n == 5 || n == 7 ? BULLA_OK : BULLA_E_TRUNCATED, rc);
	}
}

static void lists_have_a_limit(void **state)
{
	static uint8_t memory[2 * (BULLA_MAX_MESSAGE_ITEMS + 1)];
	static bulla_bytes many[BULLA_MAX_MESSAGE_ITEMS + 1];
	struct bulla_msg_need msg = {.links = bulla_pb_list_of(many, BULLA_MAX_MESSAGE_ITEMS)};
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes out;

	(void)state;
	bulla_msg_need_encode(&msg, &w);
	assert_ok(bulla_wr_end(&w, &out));
	assert_ok(bulla_msg_need_decode(out, &msg));
	memory[out.n] = 0x0a;
	memory[out.n + 1] = 0;
	assert_rc(BULLA_E_LIMIT, bulla_msg_need_decode(bulla_bytes_of(memory, sizeof(memory)), &msg));
	msg.links = bulla_pb_list_of(many, BULLA_MAX_MESSAGE_ITEMS + 1);
	w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_msg_need_encode(&msg, &w);
	assert_rc(BULLA_E_LIMIT, bulla_wr_end(&w, &out));
}

/* Every truncation and every flipped bit of every message: refused, or another message in the one form. */
static void damaged_messages_are_refused_or_canonical(void **state)
{
	const struct bulla_msg_desc *desc;
	uint8_t first[1024], second[1024];

	(void)state;
	for (size_t i = 0; (desc = bulla_msg_desc_at(i)) != NULL; i++) {
		union any_message msg = {0}, back;
		bulla_bytes out;

		fill(desc, &msg, items);
		out = encode(desc, &msg, first, sizeof(first));
		for (size_t bit = 0; bit < 8 * out.n; bit++) {
			bulla_bytes cut = {out.p, bit / 8};

			if (bit % 8 == 0 && bulla_msg_decode(desc, cut, &back) == BULLA_OK)
				assert_bytes(cut, encode(desc, &back, second, sizeof(second)));
			first[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (bulla_msg_decode(desc, out, &back) == BULLA_OK)
				assert_bytes(out, encode(desc, &back, second, sizeof(second)));
			first[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_comes_back),
		cmocka_unit_test(field_numbers_ascend),
		cmocka_unit_test(what_is_decoded_is_what_was_set),
		cmocka_unit_test(the_published_vector_holds),
		cmocka_unit_test(a_decoded_list_moves_to_another_field),
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(lists_are_refused_when_split_or_cut),
		cmocka_unit_test(lists_have_a_limit),
		cmocka_unit_test(damaged_messages_are_refused_or_canonical),
	};

	return cmocka_run_group_tests_name("wire_messages", tests, NULL, NULL);
}
