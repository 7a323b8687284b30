#include "cmd/context.h"

#include "cmd/names.h"
#include "crypto/random.h"
#include "manifest/approvals.h"
#include "io/sys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define YAML_MAX ((size_t)1 << 20)
#define ARENA_MAX ((size_t)32 << 20)
#define SLOTS 256
#define FOLDER_MAX (CONTEXT_PATH - 256) /* names of files go behind it */
#define NAME_KEY_SIZE 32

void path_join(char ret[CONTEXT_PATH], const char *folder, const char *name)
{
	int n = snprintf(ret, CONTEXT_PATH, "%s/%s", folder, name);

	if (n < 0 || n >= CONTEXT_PATH || folder[0] == '\0') /* no folder: not the root */
		ret[0] = '\0';
}

/* XDG folder: the variable when it is an absolute path, else HOME/rest. */
static void xdg_folder(const char *variable, const char *rest, char ret[CONTEXT_PATH])
{
	const char *value = getenv(variable), *home = getenv("HOME");

	if (value != NULL && value[0] == '/')
		path_join(ret, value, "bulla");
	else
		path_join(ret, home != NULL && home[0] == '/' ? home : "/", rest);
}

static bool has_project(const char *dir)
{
	char path[CONTEXT_PATH];

	path_join(path, dir, "bulla.yaml");
	return access(path, F_OK) == 0;
}

/* named: the folder of -C or BULLA_PROJECT; NULL: it was looked for here and above. */
static int no_project(const struct cli *cli, const char *named, const char *what)
{
	if (named == NULL)
		say_error(cli, "not-found", NULL, "bulla init loan; cd loan", "there is no bulla.yaml here or above");
	else
		say_error(cli, "not-found", cli->dir != NULL ? "-C" : "environment, BULLA_PROJECT",
			"name the folder of a project; bulla init TEMPLATE DIR makes one", "%s `%.200s`", what, named);
	return EXIT_NOT_FOUND;
}

static int find_project(struct context *context)
{
	const char *named = context->cli->dir != NULL ? context->cli->dir : getenv("BULLA_PROJECT");
	char *slash, *resolved = realpath(named == NULL ? "." : named, NULL);

	if (resolved != NULL)
		snprintf(context->dir, sizeof(context->dir), "%s", strlen(resolved) < sizeof(context->dir) ? resolved : "");
	free(resolved); /* libc's own memory */
	if (context->dir[0] == '\0')
		return no_project(context->cli, named, "there is no folder");
	while (named == NULL && !has_project(context->dir) && (slash = strrchr(context->dir, '/')) != NULL && slash != context->dir)
		*slash = '\0';
	return has_project(context->dir) ? 0 : no_project(context->cli, named, "there is no bulla.yaml in");
}

int context_say(struct context *context, const struct diags *diags)
{
	if (diags->count == 0)
		return 0;
	if (context->cli->json)
		for (const struct diag *diag = diags->first; diag != NULL; diag = diag->next) {
			char where[64];

			snprintf(where, sizeof(where), "bulla.yaml:%u:%u", diag->place.line, diag->place.column);
			say_error(context->cli, diag->id, where, diag->hint, "%s", diag->what);
		}
	else
		diag_print(diags, "bulla.yaml", bulla_buf_view(&context->text), stderr);
	return EXIT_USAGE;
}

static int read_project(struct context *context)
{
	struct diags diags = {.arena = &context->arena};
	char path[CONTEXT_PATH];
	bulla_rc rc;

	path_join(path, context->dir, "bulla.yaml");
	rc = bulla_sys_read_file(path, &context->text);
	if (rc == BULLA_E_LIMIT)
		say_error(context->cli, "limit", path, NULL, "bulla.yaml is larger than 1 MiB");
	if (rc != BULLA_OK)
		return rc == BULLA_E_LIMIT ? EXIT_USAGE : say_rc(context->cli, rc, path, "make it readable");
	rc = project_parse(&context->arena, bulla_buf_view(&context->text), &diags, &context->project);
	if (rc != BULLA_OK)
		return say_rc(context->cli, rc, path, NULL);
	return context_say(context, &diags);
}

static void find_folders(struct context *context)
{
	char base[CONTEXT_PATH];
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	xdg_folder("XDG_CONFIG_HOME", ".config/bulla", context->config);
	xdg_folder("XDG_STATE_HOME", ".local/state/bulla", base);
	path_join(context->state, base, context->project.name);
	if (runtime != NULL && runtime[0] == '/') {
		path_join(base, runtime, "bulla");
		path_join(context->runtime, base, context->project.name);
	} else {
		path_join(context->runtime, context->state, "run");
	}
}

/* path_join left nothing of one that is much too long. */
static bool is_short(const char *folder)
{
	return folder[0] != '\0' && strlen(folder) <= FOLDER_MAX;
}

int context_open(struct context *context, struct cli *cli)
{
	int code;

	bulla_zero(context, sizeof(*context));
	context->cli = cli;
	arena_init(&context->arena, ARENA_MAX);
	bulla_buf_init(&context->text, YAML_MAX);
	bulla_buf_init(&context->manifest_bytes, BULLA_MAX_MANIFEST);
	if (bulla_secret_slab_size() == 0) {
		bulla_rc rc = bulla_secret_slab_init(SLOTS);

		if (rc != BULLA_OK)
			return say_rc(cli, rc, NULL, "ulimit -l 1024");
	}
	code = find_project(context);
	code = code == 0 ? read_project(context) : code;
	if (code != 0)
		return code;
	find_folders(context);
	if (is_short(context->state) && is_short(context->config) && is_short(context->runtime))
		return 0;
	say_error(cli, "limit", "HOME, XDG_STATE_HOME, XDG_CONFIG_HOME, XDG_RUNTIME_DIR", "set them to shorter ones",
		"the path of a folder for state, keys or sockets is longer than %d bytes", FOLDER_MAX);
	return EXIT_USAGE;
}

void context_done(struct context *context)
{
	bulla_manifest_done(&context->manifest);
	bulla_buf_done(&context->manifest_bytes);
	keyfile_done(&context->key);
	bulla_secret_free(&context->name_key);
	bulla_buf_done(&context->text);
	arena_done(&context->arena);
}

int context_key(struct context *context, bool make)
{
	const char *named = context->cli->key != NULL ? context->cli->key : getenv("BULLA_KEY");
	char path[CONTEXT_PATH];
	bulla_rc rc;

	if (named == NULL)
		path_join(path, context->config, "owner.key");
	else
		snprintf(path, sizeof(path), "%s", named);
	rc = keyfile_read(path, &context->key);
	if (rc == BULLA_E_NOT_FOUND && named == NULL && make) {
		rc = bulla_sys_make_folders(context->config);
		rc = rc == BULLA_OK ? keyfile_make(path, &context->key) : rc;
		if (rc == BULLA_OK)
			say(context->cli, "made your key: %s  (keep a copy; who loses it cannot open results)", path);
	}
	if (rc == BULLA_OK)
		return 0;
	if (rc != BULLA_E_NOT_FOUND)
		return say_rc(context->cli, rc, path, "restore it from a copy; what is sealed to a lost key stays sealed");
	return say_rc(context->cli, rc, path, named == NULL ? "bulla up makes the owner's key" :
		context->cli->key != NULL ? "--key FILE" : "set BULLA_KEY to your key's file");
}

int context_name_key(struct context *context, bool make)
{
	char name[80], path[CONTEXT_PATH];
	BULLA_AUTO_BUF bytes;
	bulla_rc rc;

	bulla_buf_init(&bytes, NAME_KEY_SIZE);
	snprintf(name, sizeof(name), "%s.names", context->project.name);
	path_join(path, context->config, name);
	rc = bulla_sys_read_file(path, &bytes);
	if (rc == BULLA_OK && bytes.n != NAME_KEY_SIZE)
		rc = BULLA_FAIL(BULLA_E_CORRUPT, "the name key has another size");
	if (rc == BULLA_OK)
		rc = bulla_secret_new(bulla_buf_view(&bytes), &context->name_key);
	else if (rc == BULLA_E_NOT_FOUND && make) {
		rc = bulla_random_secret(bulla_random_os(), NAME_KEY_SIZE, &context->name_key);
		rc = rc == BULLA_OK ? bulla_sys_make_folders(context->config) : rc;
		rc = rc == BULLA_OK ? bulla_sys_write_file(path, bulla_secret_view(context->name_key), 0600) : rc;
	}
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, path, rc == BULLA_E_NOT_FOUND ? "bulla up makes it" :
		"restore it from a copy; without it the names in this project's runs are lost");
}

static bool is_signed_by(const struct bulla_manifest *manifest, uint32_t signers,
	const struct bulla_sign_key *key, bool *ret_known)
{
	for (size_t i = 0; key != NULL && i < manifest->approver_count; i++)
		if (bulla_digest_eq(&manifest->approvers[i].kid, bulla_sign_key_kid(key))) {
			*ret_known = true;
			return (signers >> i & 1) != 0;
		}
	return false;
}

/* The state folder is the host's to write: what it says is in force counts when enough approvers signed it, and your own key
 * among them. Where no key here is an approver's (a party's machine) only their number is checked. */
static bulla_rc check_approval(struct context *context)
{
	char path[CONTEXT_PATH], owner[CONTEXT_PATH];
	struct keyfile mine = {.sign = NULL};
	uint32_t signers = 0;
	bool known = false, signed_by_me;
	BULLA_AUTO_BUF approval;
	bulla_rc rc;

	bulla_buf_init(&approval, BULLA_APPROVAL_MAX);
	path_join(path, context->state, "owner/approval");
	path_join(owner, context->config, "owner.key");
	BULLA_TRY(bulla_sys_read_file(path, &approval));
	const bulla_bytes list[1] = {bulla_buf_view(&approval)};
	BULLA_TRY(bulla_approvals_check(&context->manifest, &context->manifest, list, 1, &signers));
	rc = keyfile_read(owner, &mine);
	if (rc != BULLA_OK && rc != BULLA_E_NOT_FOUND)
		return rc;
	signed_by_me = is_signed_by(&context->manifest, signers, mine.sign, &known) ||
		is_signed_by(&context->manifest, signers, context->key.sign, &known);
	known = known || mine.sign != NULL; /* an owner's key that is no approver here: the manifest is somebody else's */
	keyfile_done(&mine);
	return signed_by_me || !known ? BULLA_OK : BULLA_FAIL(BULLA_E_APPROVALS, "the manifest here is not approved by your key");
}

int context_manifest(struct context *context)
{
	char path[CONTEXT_PATH];
	bulla_rc rc;

	path_join(path, context->state, "owner/manifest");
	rc = bulla_sys_read_file(path, &context->manifest_bytes);
	rc = rc == BULLA_OK ? bulla_manifest_decode(bulla_buf_view(&context->manifest_bytes), &context->manifest) : rc;
	rc = rc == BULLA_OK ? check_approval(context) : rc;
	return rc == BULLA_OK ? 0 : say_rc(context->cli, rc, path, rc == BULLA_E_NOT_FOUND ? "bulla up makes it" :
		"restore the state folder from its newest copy");
}

const char *context_agent_name(const struct context *context, const bulla_handle *handle)
{
	for (unsigned i = 0; i < context->project.agent_count; i++) {
		bulla_handle mine = name_handle(context->name_key, "agent", context->project.agents[i].name);

		if (bulla_handle_eq(&mine, handle))
			return context->project.agents[i].name;
	}
	return "?";
}

const struct workflow *context_workflow(const struct context *context, const bulla_digest *digest)
{
	const struct bulla_workflow *compiled = bulla_manifest_workflow(&context->manifest, digest);

	for (unsigned i = 0; compiled != NULL && i < context->project.workflow_count; i++) {
		bulla_handle mine = name_handle(context->name_key, "workflow", context->project.workflows[i].name);

		if (bulla_handle_eq(&mine, &compiled->handle))
			return &context->project.workflows[i];
	}
	return NULL;
}
