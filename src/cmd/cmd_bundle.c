/* bulla bundle [RUN]: a run with all its proof, in one file. */
#include "cmd/run_bundle.h"

#include "io/sys.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static bulla_rc write_stdout(bulla_bytes bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(1, bytes.p, bytes.n);

		if (n < 0 && errno != EINTR)
			return BULLA_FAIL_OS(BULLA_E_IO, "standard output cannot be written", errno);
		if (n > 0)
			bytes = bulla_bytes_of(bytes.p + n, bytes.n - (size_t)n);
	}
	return BULLA_OK;
}

static int save(struct context *context, struct client *client, const bulla_run_id *run)
{
	char name[BULLA_RUN_NAME_SIZE], file[64];
	const char *path = context->cli->out;
	BULLA_AUTO_BUF bytes;
	bulla_rc rc;

	bulla_buf_init(&bytes, RUNS_ANSWER_MAX);
	bulla_run_id_name(run, name);
	snprintf(file, sizeof(file), "%.8s.bundle", name);
	path = path == NULL ? file : path;
	bool to_stdout = path[0] == '-' && path[1] == '\0';
	rc = run_bundle_bytes(client, run, &bytes);
	if (rc != BULLA_OK)
		return run_bundle_refused(context->cli, rc, run);
	if (to_stdout)
		rc = write_stdout(bulla_buf_view(&bytes));
	else
		rc = bulla_sys_write_file(path, bulla_buf_view(&bytes), 0644);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, path, "bulla bundle -o FILE");
	if (to_stdout)
		return 0;
	say(context->cli, "wrote %s, %zu bytes.  next: bulla verify %s", path, bytes.n, path);
	if (context->cli->json) {
		printf("{\"v\":1,\"t\":\"bundle\",\"run\":\"%s\",\"bytes\":%zu,\"file\":", name, bytes.n);
		json_string(path);
		printf("}\n");
	}
	return 0;
}

int cmd_bundle(struct cli *cli)
{
	struct context context;
	struct client *client = NULL;
	bulla_run_id run;
	int code = runs_open(&context, cli, &client);

	code = code == 0 ? runs_find(&context, client, cli->arg_count > 0 ? cli->args[0] : NULL, &run) : code;
	code = code == 0 ? save(&context, client, &run) : code;
	client_close(client);
	context_done(&context);
	return code;
}
