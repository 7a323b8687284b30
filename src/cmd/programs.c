#include "cmd/programs.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As the sandbox looks for it (agent/zygote_box.c). */
static bool is_in_path(const char *word)
{
	static const char *const folders[] = {"/usr/local/bin", "/usr/bin", "/bin"};
	char path[CONTEXT_PATH];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		path_join(path, folders[i], word);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void check_own(struct context *context, const struct agent *agent, struct diags *diags)
{
	char folder[CONTEXT_PATH], own[CONTEXT_PATH], path[CONTEXT_PATH];
	struct stat st;

	path_join(folder, context->dir, "agents");
	path_join(own, folder, agent->name);
	path_join(path, own, agent->words[0]);
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		diag_add(diags, agent->place, "no-program", "`%s` is no file in agents/%s\nput it there, built", agent->words[0],
			agent->name);
	else if ((st.st_mode & 0111) == 0)
		diag_add(diags, agent->place, "no-program", "`%s` in agents/%s is no program\nchmod +x", agent->words[0],
			agent->name);
}

int programs_check(struct context *context)
{
	struct diags diags = {.arena = &context->arena};

	for (unsigned i = 0; i < context->project.agent_count; i++) {
		const struct agent *agent = &context->project.agents[i];

		if (agent->words[0][0] == '/') /* the sandbox has more or less of those than this machine */
			continue;
		if (strchr(agent->words[0], '/') != NULL)
			check_own(context, agent, &diags);
		else if (!is_in_path(agent->words[0]))
			diag_add(&diags, agent->place, "no-program", "`%s` is not in /usr/local/bin, /usr/bin or /bin here\n"
				"install it, or ./%s in agents/%s", agent->words[0], agent->words[0], agent->name);
	}
	return context_say(context, &diags);
}
