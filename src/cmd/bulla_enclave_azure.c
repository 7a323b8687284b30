/* bulla-enclave-azure: the program in a TEE whose evidence comes from Azure's vTPM: SEV-SNP, TDX. */
#include "cmd/enclave_main.h"

int main(int argc, char **argv)
{
	return enclave_main(argc, argv, "bulla-enclave-azure", &bulla_source_azure);
}
