/* bulla init [TEMPLATE] [DIR]: a new project folder from an embedded template. Overwrites nothing. */
#include "cmd/say.h"
#include "cmd/template.h"

#include "io/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 1024

static bool has_template(const char *name)
{
	for (unsigned i = 0; i < template_file_count; i++)
		if (strcmp(template_files[i].template, name) == 0)
			return true;
	return false;
}

static int unknown_template(const struct cli *cli, const char *name)
{
	char names[256] = "";
	size_t n = 0;

	for (unsigned i = 0; i < template_file_count; i++)
		if (i == 0 || strcmp(template_files[i].template, template_files[i - 1].template) != 0)
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%sbulla init %s", n == 0 ? "" : ", ",
				template_files[i].template);
	say_error(cli, "not-found", NULL, names, "there is no template `%.40s`", name);
	return EXIT_NOT_FOUND;
}

/* Makes the folders above a file. */
static int make_parents(const struct cli *cli, const char *path)
{
	char folder[PATH_SIZE];

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *p = strchr(folder + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
			say_error(cli, "io", folder, NULL, "the folder cannot be made: %s", strerror(errno));
			return EXIT_FAILED;
		}
		*p = '/';
	}
	return 0;
}

static int write_file(const struct cli *cli, const char *dir, const struct template_file *file)
{
	char path[PATH_SIZE];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, file->path);
	bulla_rc rc;
	int code;

	if (n < 0 || (size_t)n >= sizeof(path)) {
		say_error(cli, "argument", NULL, NULL, "the folder's name is too long");
		return EXIT_USAGE;
	}
	if (access(path, F_OK) == 0) {
		say_error(cli, "exists", path, "bulla init TEMPLATE OTHER-DIR", "the file is there already; nothing is overwritten");
		return EXIT_USAGE;
	}
	code = make_parents(cli, path);
	if (code != 0)
		return code;
	rc = bulla_sys_write_file(path, bulla_bytes_of(file->bytes, file->size), file->mode);
	return rc == BULLA_OK ? 0 : say_rc(cli, rc, path, NULL);
}

int cmd_init(struct cli *cli)
{
	const char *name = cli->arg_count > 0 ? cli->args[0] : "hello";
	const char *dir = cli->arg_count > 1 ? cli->args[1] : name;
	int code = 0;

	if (!has_template(name))
		return unknown_template(cli, name);
	for (unsigned i = 0; i < template_file_count && code == 0; i++)
		if (strcmp(template_files[i].template, name) == 0)
			code = write_file(cli, dir, &template_files[i]);
	if (code == 0)
		say(cli, "made %s.  next: cd %s; bulla up", dir, dir);
	if (code == 0)
		say_json_done(cli, "init");
	return code;
}
