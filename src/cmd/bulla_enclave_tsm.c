/* bulla-enclave-tsm: the program in a TEE whose evidence comes from configfs-tsm: SEV-SNP, TDX, Arm CCA. */
#include "cmd/enclave_main.h"

int main(int argc, char **argv)
{
	return enclave_main(argc, argv, "bulla-enclave-tsm", &bulla_source_tsm);
}
