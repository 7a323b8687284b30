/* dcap_world FOLDER: a TDX quote under a root of its own with all its collateral, as Intel's PCS would serve it, good at the
 * second that is printed. Files: quote, root.der, tcb.json, qe.json, tcb.chain, pck.crl, pck.chain, root.crl */
#include "dcap_lab.h"
#include "io/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

static bulla_rc put(const char *name, bulla_bytes bytes)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return bulla_sys_write_file(path, bytes, 0644);
}

/* PCS's wrapping: the object as it was signed, and the signature. */
static bulla_rc put_signed(const char *file, const char *name, bulla_bytes inner, const uint8_t signature[64])
{
	static char text[16384];
	int n = snprintf(text, sizeof(text), "{\"%s\":%.*s,\"signature\":\"", name, (int)inner.n, (const char *)inner.p);

	for (unsigned i = 0; i < 64; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x", signature[i]);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\"}");
	return put(file, bulla_bytes_of(text, (size_t)n));
}

/* As a header carries it: percent-encoded. */
static bulla_rc put_chain(const char *file, const char *pem)
{
	static char text[32768];
	int n = 0;

	for (const char *p = pem; *p != '\0'; p++)
		n += strchr(" \n+/=%", *p) != NULL ? snprintf(text + n, 4, "%%%02X", (unsigned)(unsigned char)*p)
		: snprintf(text + n, 2, "%c", *p);
	return put(file, bulla_bytes_of(text, (size_t)n));
}

static bulla_rc put_all(struct dcap_lab *lab)
{
	BULLA_TRY(put("quote", bulla_bytes_of(lab->quote, lab->quote_size)));
	BULLA_TRY(put("root.der", pki_der(&lab->root)));
	BULLA_TRY(put_signed("tcb.json", "tcbInfo", lab->parts.tcb_info, lab->tcb_signature));
	BULLA_TRY(put_signed("qe.json", "enclaveIdentity", lab->parts.qe_identity, lab->qe_signature));
	BULLA_TRY(put_chain("tcb.chain", lab->tcb_chain));
	BULLA_TRY(put("pck.crl", lab->parts.pck_crl));
	BULLA_TRY(put_chain("pck.chain", lab->ca_chain));
	return put("root.crl", lab->parts.root_crl);
}

int main(int argc, char **argv)
{
	static struct dcap_lab lab;

	if (argc != 2)
		return 2;
	folder = argv[1];
	dcap_lab_open(&lab);
	bulla_rc rc = dcap_lab_judge(&lab);
	if (rc == BULLA_OK)
		rc = put_all(&lab);
	printf("%lld\n", (long long)LAB_NOW);
	dcap_lab_close(&lab);
	return rc == BULLA_OK ? 0 : 1;
}
