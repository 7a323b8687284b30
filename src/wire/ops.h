#pragma once
/* Operation numbers of ops.def: BULLA_OP_HELLO ... */
enum bulla_op {
#define BULLA_OP(name, number, caller, request, reply) BULLA_OP_##name = (number),
#include "wire/ops.def"
#undef BULLA_OP
};
