/* bulla-enclave: the program in a TEE whose evidence comes from the Nitro Security Module, in the development TEE from a
 * socket that stands for it. */
#include "cmd/enclave_main.h"

int main(int argc, char **argv)
{
	return enclave_main(argc, argv, "bulla-enclave", &bulla_source_nsm);
}
