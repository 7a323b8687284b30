#pragma once
/* One wrapping key per agent in the broker's KMS, made by `bulla up` under a policy that lets only the measured image use
 * it. Remembered in STATE/owner/wrapping: CBOR [1, [[agent handle, h'PCR0', key ARN]...]]. */
#include "cmd/broker_info.h"
#include "cmd/compile.h"

/* Fills facts->wrapping_keys (texts in the context's arena), making the keys that are missing or were made for another
 * image. Says what is wrong; returns an exit code, or 0. */
int wrapping_keys(struct context *context, const struct broker_info *broker, struct compile_facts *facts);
