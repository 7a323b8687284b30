/* bulla trust: this project's trust file, for auditors. It has to reach them by another way than bundles do. */
#include "cmd/context.h"

#include "verify/trust.h"

#include <stdio.h>

static void print(const struct cli *cli, bulla_bytes text)
{
	if (!cli->json) {
		fwrite(text.p, 1, text.n, stdout);
		return;
	}
	printf("{\"v\":1,\"t\":\"trust\",\"text\":");
	json_bytes(text);
	printf("}\n");
}

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
		if (rc != BULLA_OK)
			code = say_rc(cli, rc, NULL, NULL);
		else
			print(cli, bytes);
	}
	context_done(&context);
	return code;
}
