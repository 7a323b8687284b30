#include "wire/ops.h"

const struct bulla_op *bulla_op_find(uint64_t number)
{
	static const struct bulla_op ops[] = {
#define BULLA_OP(name, number, caller, request, reply) \
	[number] = {#name, number, caller, &bulla_msg_##request##_desc, &bulla_msg_##reply##_desc},
#include "wire/ops.def"
	};

	return number < sizeof(ops) / sizeof(ops[0]) && ops[number].name != NULL ? &ops[number] : NULL;
}

bool bulla_op_may_call(const struct bulla_op *op, enum bulla_role role)
{
	static const char *const names[] = {"", "client", "host", "enclave", "broker"};
	bulla_bytes caller = bulla_bytes_str(op->caller);

	if (bulla_bytes_eq_str(caller, "both"))
		return true;
	return (unsigned)role < sizeof(names) / sizeof(names[0]) && bulla_bytes_eq_str(caller, names[role]);
}
