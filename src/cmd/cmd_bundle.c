/* bulla bundle [RUN]: a run with all its proof, in one file. */
#include "cmd/run_bundle.h"

#include "io/sys.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static bulla_rc to_stdout(void *ctx, bulla_bytes bytes)
{
	(void)ctx;
	while (bytes.n > 0) {
		ssize_t n = write(1, bytes.p, bytes.n);

		if (n < 0 && errno != EINTR)
			return BULLA_FAIL_OS(BULLA_E_IO, "standard output cannot be written", errno);
		if (n > 0)
			bytes = bulla_bytes_of(bytes.p + n, bytes.n - (size_t)n);
	}
	return BULLA_OK;
}

/* What the file's side says; else the engine's. */
struct saving {
	struct bulla_sys_new file;
	bulla_rc rc;
};

static bulla_rc to_file(void *ctx, bulla_bytes bytes)
{
	struct saving *saving = ctx;

	saving->rc = bulla_sys_new_put(&saving->file, bytes);
	return saving->rc;
}

/* The file is there when it is whole, and not before. */
static bulla_rc save_file(struct client *client, const bulla_run_id *run, const char *path, struct saving *saving)
{
	bulla_rc rc;

	saving->rc = bulla_sys_new_begin(path, 0644, &saving->file);
	BULLA_TRY(saving->rc);
	rc = run_bundle_stream(client, run, to_file, saving);
	if (rc == BULLA_OK)
		rc = saving->rc = bulla_sys_new_keep(&saving->file);
	bulla_sys_new_drop(&saving->file);
	return rc;
}

static int save(struct context *context, struct client *client, const bulla_run_id *run)
{
	struct saving saving = {.file = {.fd = -1}};
	char name[BULLA_RUN_NAME_SIZE], file[64];
	const char *path = context->cli->out;
	bulla_rc rc;

	bulla_run_id_name(run, name);
	snprintf(file, sizeof(file), "%.8s.bundle", name);
	path = path == NULL ? file : path;
	if (path[0] == '-' && path[1] == '\0') {
		rc = run_bundle_stream(client, run, to_stdout, NULL);
		return rc == BULLA_OK ? 0 : run_bundle_refused(context->cli, rc, run);
	}
	rc = save_file(client, run, path, &saving);
	if (rc != BULLA_OK)
		return saving.rc != BULLA_OK ? say_rc(context->cli, rc, path, "bulla bundle -o FILE") :
			run_bundle_refused(context->cli, rc, run);
	say(context->cli, "wrote %s, %llu bytes.  next: bulla verify %s", path, (unsigned long long)saving.file.size, path);
	if (context->cli->json) {
		printf("{\"v\":1,\"t\":\"bundle\",\"run\":\"%s\",\"bytes\":%llu,\"file\":", name,
			(unsigned long long)saving.file.size);
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
