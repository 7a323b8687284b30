/* Prints one sample of every message, for the comparison with protoc: NAME, hex of our encoding, protobuf text. */
#include "wire/messages.h"

#include <stdio.h>

static void put_text(bulla_bytes bytes)
{
	putchar('"');
	for (size_t i = 0; i < bytes.n; i++)
		printf("\\%03o", bytes.p[i]);
	putchar('"');
}

static void put_sample(const struct bulla_msg_field *field, unsigned round, uint8_t *msg)
{
	static const bulla_bytes items[] = {{(const uint8_t *)"one", 3}, {NULL, 0}, {(const uint8_t *)"\x00\xff", 2}};
	unsigned number = field->tag >> 3;
	void *p = msg + field->offset;

	if (field->kind == BULLA_MSG_U64) {
		*(uint64_t *)p = UINT64_MAX >> (63 & (round * 13 + number * 7));
		printf(" %s: %llu", field->name, (unsigned long long)*(uint64_t *)p);
	} else if (field->kind == BULLA_MSG_BYTES) {
		*(bulla_bytes *)p = items[number % 2 * 2];
		printf(" %s: ", field->name);
		put_text(*(bulla_bytes *)p);
	} else {
		*(struct bulla_pb_list *)p = bulla_pb_list_of(items, 1 + (number + round) % 3);
		for (size_t i = 0; i < ((struct bulla_pb_list *)p)->count; i++) {
			printf(" %s: ", field->name);
			put_text(items[i]);
		}
	}
}

static int dump(const struct bulla_msg_desc *desc, unsigned round)
{
	static _Alignas(16) uint8_t msg[4096];
	uint8_t memory[4096];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes out;

	bulla_zero(msg, sizeof(msg));
	printf("%s\t", desc->name);
	for (size_t i = 0; i < desc->count; i++) {
		if (round == 0 || (i + round) % 2 == 0)
			put_sample(&desc->fields[i], round, msg);
	}
	putchar('\t');
	bulla_msg_encode(desc, msg, &w);
	if (bulla_wr_end(&w, &out) != BULLA_OK)
		return 1;
	for (size_t i = 0; i < out.n; i++)
		printf("%02x", out.p[i]);
	putchar('\n');
	return 0;
}

int main(void)
{
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; bulla_msg_desc_at(i) != NULL; i++) {
			if (dump(bulla_msg_desc_at(i), round) != 0)
				return 1;
		}
	}
	return 0;
}
