#pragma once
/* What a run starts with: --input FILE or -, or --set NAME=VALUE fields of an object. */
#include "base/buf.h"
#include "cmd/cli.h"

/* Appends exactly one JSON value to ret. Without --input and --set: `{}`. Says what is wrong; exit code or 0. */
int input_read(const struct cli *cli, struct bulla_buf *ret);
