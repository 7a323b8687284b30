/* Nanoseconds per operation of the codecs on the path of a step: an `execute` message with two parents and three inputs, a
 * receipt-like CBOR array of 18 items, and an agent's JSON output. The best of several rounds; one JSON line. */
#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/messages.h"

#include <stdio.h>
#include <time.h>

#define ROUNDS 9
#define TURNS 20000

static uint8_t payload[512], frame[4096], item[1024];
static bulla_bytes frame_view, item_view;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bulla_rc write_message(void)
{
	bulla_bytes parts[3] = {{payload, 300}, {payload, 200}, {payload, 500}};
	struct bulla_msg_execute execute = {.permit = {payload, 250}, .parents = bulla_pb_list_of(parts, 2),
		.inputs = bulla_pb_list_of(parts, 3), .deadline_ms = 30000, .workflow = 1};
	bulla_wr w = bulla_wr_fixed(frame, sizeof(frame));

	bulla_msg_execute_encode(&execute, &w);
	return bulla_wr_end(&w, &frame_view);
}

static bulla_rc read_message(void)
{
	struct bulla_msg_execute execute;

	return bulla_msg_execute_decode(frame_view, &execute);
}

static bulla_rc write_cbor(void)
{
	bulla_wr w = bulla_wr_fixed(item, sizeof(item));
	bulla_digest digest = {{1}};

	bulla_cbor_wr_array(&w, 18);
	for (unsigned i = 0; i < 9; i++)
		bulla_cbor_wr_digest(&w, &digest);
	for (unsigned i = 0; i < 9; i++)
		bulla_cbor_wr_uint(&w, i * 1000);
	return bulla_wr_end(&w, &item_view);
}

static bulla_rc read_cbor(void)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(item_view);
	bulla_digest digest;
	uint64_t number;

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 18));
	for (unsigned i = 0; i < 9; i++)
		BULLA_TRY(bulla_cbor_rd_digest(&r, &digest));
	for (unsigned i = 0; i < 9; i++)
		BULLA_TRY(bulla_cbor_rd_uint(&r, &number));
	return bulla_cbor_rd_end(&r);
}

static bulla_rc parse_json(void)
{
	bulla_json value;

	return bulla_json_parse(
		BULLA_BYTES_LITERAL("{\"grade\": \"refer\", \"limit\": 7500, \"why\": [\"income\", \"age\"], \"x\": {\"a\": 1, \"b\": 2}}"),
		&value);
}

/* Nanoseconds per call in the best round; negative when a call fails. */
static double measure(bulla_rc (*call)(void))
{
	int64_t best = INT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t begin = now_ns(), took;

		for (int i = 0; i < TURNS; i++) {
			if (call() != BULLA_OK)
				return -1;
		}
		took = now_ns() - begin;
		best = took < best ? took : best;
	}
	return (double)best / TURNS;
}

int main(void)
{
	printf("{\"bench\":\"wire\",\"message_write_ns\":%.0f,", measure(write_message));
	printf("\"message_read_ns\":%.0f,\"message_bytes\":%zu,", measure(read_message), frame_view.n);
	printf("\"cbor_write_ns\":%.0f,", measure(write_cbor));
	printf("\"cbor_read_ns\":%.0f,\"cbor_bytes\":%zu,", measure(read_cbor), item_view.n);
	printf("\"json_parse_ns\":%.0f}\n", measure(parse_json));
	return 0;
}
