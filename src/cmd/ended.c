#include "cmd/ended.h"

#include <stdio.h>
#include <string.h>

#include "cmd/say.h"

#define TAIL_MAX 16384

void ended_begin(struct ended *ended, const struct context *context, const char *folder, const char *event)
{
	char name[32];
	FILE *file;

	ended->event = event;
	snprintf(name, sizeof(name), "%.20s/log", folder);
	path_join(ended->folder, context->state, folder);
	path_join(ended->log, context->state, name);
	file = fopen(ended->log, "re");
	ended->from = file != NULL && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
	if (file != NULL)
		fclose(file);
}

/* The log's bytes since, the newest that fit; zero-terminated. */
static void read_tail(const struct ended *ended, char ret[TAIL_MAX])
{
	FILE *file = fopen(ended->log, "re");
	long size, from = ended->from;
	size_t n = 0;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
		size = ftell(file);
		from = size < from ? 0 : from;
		from = size - from >= TAIL_MAX ? size - TAIL_MAX + 1 : from;
		if (fseek(file, from, SEEK_SET) == 0)
			n = fread(ret, 1, TAIL_MAX - 1, file);
	}
	if (file != NULL)
		fclose(file);
	ret[n] = '\0';
}

bool ended_look(const struct ended *ended, bulla_rc *ret_why)
{
	char tail[TAIL_MAX], words[96], id[64];
	const char *found = NULL;
	size_t n;

	snprintf(words, sizeof(words), "\"event\":\"%.30s\",\"rc\":\"", ended->event);
	read_tail(ended, tail);
	for (const char *at = strstr(tail, words); at != NULL; at = strstr(at + 1, words))
		found = at + strlen(words);
	if (found == NULL)
		return false;
	n = strcspn(found, "\"");
	if (n >= sizeof(id) || found[n] == '\0')
		return false;
	bulla_copy(id, found, n);
	id[n] = '\0';
	*ret_why = bulla_rc_from_id(id);
	return *ret_why != BULLA_RC_COUNT && *ret_why != BULLA_OK;
}

static const char *next_of(bulla_rc why)
{
	switch ((int)why) {
	case BULLA_E_OWNER:
		return "use the key that set this project up, or a state folder of your own: XDG_STATE_HOME; bulla up";
	case BULLA_E_LOCK:
		return "ulimit -l 8192; bulla up";
	case BULLA_E_FULL:
		return "free space; bulla up";
	case BULLA_E_IO:
		return "bulla doctor; see that the folder is yours and its disk works; bulla up";
	case BULLA_E_CORRUPT:
	case BULLA_E_FORMAT:
	case BULLA_E_TRUNCATED:
	case BULLA_E_CRYPTO:
	case BULLA_E_NOT_FOUND:
	case BULLA_E_STATE_OLD:
		return "bulla down; put that folder back from its newest whole copy; bulla up";
	case BULLA_E_VERSION:
		return "a newer program wrote it: use that one";
	default:
		return "look into `log` in that folder; then bulla down, bulla up";
	}
}

int ended_say(const struct ended *ended, const struct context *context, bulla_rc why)
{
	return say_rc(context->cli, why, ended->folder, next_of(why));
}
