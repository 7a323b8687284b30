#pragma once
/* The operations of ops.def: numbers, who may call them, and what their frames carry. */
#include "wire/kinds.h"
#include "wire/messages.h"

enum bulla_op_number {
#define BULLA_OP(name, number, caller, request, reply) BULLA_OP_##name = (number),
#include "wire/ops.def"
#undef BULLA_OP
};

struct bulla_op {
	const char *name; /* "EXECUTE" */
	uint16_t number;
	const char *caller; /* "client", "host", "enclave", "broker", "both" */
	const struct bulla_msg_desc *request;
	const struct bulla_msg_desc *reply;
};

/* The operation, or NULL for an unknown number. Constant time. */
const struct bulla_op *bulla_op_find(uint64_t number);

/* May this side begin the operation? */
bool bulla_op_may_call(const struct bulla_op *op, enum bulla_role role);
