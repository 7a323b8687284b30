#include "cmd/stage.h"

#include "cmd/compile.h"
#include "cmd/names.h"
#include "io/sys.h"
#include "io/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct copier {
	const char *to;
	int fd; /* file being written; -1: none */
};

static bulla_rc make_parents(const char *folder, bulla_bytes path)
{
	char full[CONTEXT_PATH];

	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] != '/')
			continue;
		int n = snprintf(full, sizeof(full), "%s/%.*s", folder, (int)i, (const char *)path.p);
		if (n < 0 || (size_t)n >= sizeof(full))
			return BULLA_FAIL(BULLA_E_LIMIT, "a path of an agent's file is too long");
		if (mkdir(full, 0755) != 0 && errno != EEXIST)
			return BULLA_FAIL_OS(BULLA_E_IO, "a folder for an agent's files cannot be made", errno);
	}
	return BULLA_OK;
}

static void close_file(struct copier *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static bulla_rc on_file(void *ctx, bulla_bytes path, bool executable, uint64_t size)
{
	struct copier *c = ctx;
	char full[CONTEXT_PATH];
	int n = snprintf(full, sizeof(full), "%s/%.*s", c->to, (int)path.n, (const char *)path.p);

	(void)size;
	close_file(c);
	if (n < 0 || (size_t)n >= sizeof(full))
		return BULLA_FAIL(BULLA_E_LIMIT, "a path of an agent's file is too long");
	BULLA_TRY(make_parents(c->to, path));
	c->fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, executable ? 0755 : 0644);
	return c->fd >= 0 ? BULLA_OK : BULLA_FAIL_OS(BULLA_E_IO, "a copy of an agent's file cannot be made", errno);
}

static bulla_rc on_content(void *ctx, bulla_bytes bytes)
{
	const struct copier *c = ctx;

	while (bytes.n > 0) {
		ssize_t n = write(c->fd, bytes.p, bytes.n);

		if (n < 0 && errno != EINTR)
			return BULLA_FAIL_OS(errno == ENOSPC ? BULLA_E_FULL : BULLA_E_IO,
				"a copy of an agent's file cannot be written", errno);
		if (n > 0)
			bytes = bulla_bytes_of(bytes.p + n, bytes.n - (size_t)n);
	}
	return BULLA_OK;
}

/* Fills a folder of another name first: what stands under its own name is whole. */
static bulla_rc copy(const char *from, const char *to)
{
	char part[CONTEXT_PATH];
	struct copier c = {.to = part, .fd = -1};
	const struct bulla_tree_sink sink = {.ctx = &c, .file = on_file, .content = on_content};
	bulla_rc rc;

	snprintf(part, sizeof(part), "%.900s.%d", to, (int)getpid());
	BULLA_TRY(bulla_sys_make_folders(part));
	if (chmod(part, 0755) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a folder for an agent's files cannot be made", errno);
	rc = bulla_tree_read(from, &sink);
	close_file(&c);
	if (rc != BULLA_OK && rc != BULLA_E_NOT_FOUND)
		return rc;
	if (rename(part, to) != 0 && errno != EEXIST && errno != ENOTEMPTY)
		return BULLA_FAIL_OS(BULLA_E_IO, "a folder for an agent's files cannot be named", errno);
	return BULLA_OK;
}

bulla_rc stage_agent(const struct context *context, const struct agent *agent, char ret[CONTEXT_PATH])
{
	bulla_handle handle = name_handle(context->name_key, "agent", agent->name);
	char folder[CONTEXT_PATH], from[CONTEXT_PATH], name[64];
	bulla_digest digest;
	struct stat st;

	BULLA_TRY(compile_bundle(context, agent, &digest));
	path_join(folder, context->dir, "agents");
	path_join(from, folder, agent->name);
	path_join(folder, context->state, "platform/bundles");
	BULLA_TRY(bulla_sys_make_folders(folder));
	snprintf(name, sizeof(name), "%02x%02x%02x%02x-%02x%02x%02x%02x%02x%02x", handle.b[0], handle.b[1], handle.b[2],
		handle.b[3], digest.b[0], digest.b[1], digest.b[2], digest.b[3], digest.b[4], digest.b[5]);
	path_join(ret, folder, name);
	if (stat(ret, &st) == 0)
		return BULLA_OK;
	return copy(from, ret);
}
