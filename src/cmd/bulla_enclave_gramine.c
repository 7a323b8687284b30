/* bulla-enclave-gramine: the program in a TEE whose evidence comes from Gramine: SGX. */
#include "cmd/enclave_main.h"

int main(int argc, char **argv)
{
	return enclave_main(argc, argv, "bulla-enclave-gramine", &bulla_source_gramine);
}
