/* bulla key new NAME: a key for a person or system; the private half stays in ~/.config/bulla, the public one goes to
 * keys/NAME.pub in the project. */
#include "cmd/context.h"

#include "io/sys.h"

#include <string.h>
#include <sys/stat.h>

static int write_public(struct context *context, const char *name)
{
	char file[80], folder[CONTEXT_PATH], path[CONTEXT_PATH];
	BULLA_AUTO_BUF text;
	bulla_rc rc;

	bulla_buf_init(&text, 4096);
	path_join(folder, context->dir, "keys");
	mkdir(folder, 0755); /* an error shows when the file is written */
	snprintf(file, sizeof(file), "%s.pub", name);
	path_join(path, folder, file);
	rc = keyfile_public(&context->key, &text);
	rc = rc == BULLA_OK ? bulla_buf_append(&text, BULLA_BYTES_LITERAL("\n")) : rc;
	rc = rc == BULLA_OK ? bulla_sys_write_file(path, bulla_buf_view(&text), 0644) : rc;
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, path, NULL);
}

static int make_key(struct context *context, const char *name)
{
	char file[80], path[CONTEXT_PATH];
	bulla_rc rc;
	int code;

	snprintf(file, sizeof(file), "%s.key", name);
	path_join(path, context->config, file);
	rc = bulla_sys_make_folders(context->config);
	rc = rc == BULLA_OK ? keyfile_make(path, &context->key) : rc;
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, path, rc == BULLA_E_EXISTS ? "use it, or move it away" : NULL);
	code = write_public(context, name);
	if (code == 0)
		say(context->cli, "wrote %s and keys/%s.pub.  next: add `%s` to `parties`", path, name, name);
	if (code == 0)
		say_json_done(context->cli, "key");
	return code;
}

int cmd_key(struct cli *cli)
{
	struct context context;
	int code;

	if (strlen(cli->args[0]) > 32 || strpbrk(cli->args[0], "/.") != NULL) {
		say_error(cli, "usage", NULL, "bulla key new NAME", "a key has a plain name of at most 32 characters");
		return EXIT_USAGE;
	}
	code = context_open(&context, cli);
	code = code == 0 ? make_key(&context, cli->args[0]) : code;
	context_done(&context);
	return code;
}
