#pragma once
/* The program in the TEE: one for each kind of evidence, which differ in their driver alone. Started by the platform (dev) or
 * by an image's init. */
#include "tee/source.h"

/* All of main: reads the command line (name stands in its usage), runs until it is told to end. The exit code. */
int enclave_main(int argc, char **argv, const char *name, const struct bulla_source_ops *driver);
