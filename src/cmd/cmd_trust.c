/* bulla trust: this project's trust file, for auditors. It has to reach them by another way than bundles do. */
#include "cmd/context.h"

#include "verify/trust.h"

#include <stdio.h>

int cmd_trust(struct cli *cli)
{
	struct context context;
	BULLA_AUTO_BUF text;
	bulla_wr w;
	bulla_bytes bytes;
	bulla_rc rc;
	int code = context_open(&context, cli);

	bulla_buf_init(&text, BULLA_TRUST_MAX);
	w = bulla_wr_buf(&text);
	code = code == 0 ? context_manifest(&context) : code;
	if (code == 0) {
		rc = bulla_trust_write(&context.manifest, NULL, &w);
		rc = rc == BULLA_OK ? bulla_wr_end(&w, &bytes) : rc;
		if (rc == BULLA_OK)
			fwrite(bytes.p, 1, bytes.n, stdout);
		else
			code = say_rc(cli, rc, NULL, NULL);
	}
	context_done(&context);
	return code;
}
