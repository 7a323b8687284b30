#include "base/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The log sink: allow-listed writable state (architecture section 10, rule 5); set once, at start. */
static struct {
	int fd;
	enum bulla_log_level level;
} sink = {2, BULLA_LOG_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct line {
	char text[1024];
	size_t n;
};

static void add(struct line *line, const char *text)
{
	while (*text != '\0' && line->n < sizeof(line->text) - 2)
		line->text[line->n++] = *text++;
}

static void add_u64(struct line *line, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	add(line, digits);
}

static void add_digest(struct line *line, const bulla_digest *digest)
{
	static const char hex[] = "0123456789abcdef";
	char text[65];

	for (size_t i = 0; i < 32; i++) {
		text[2 * i] = hex[digest->b[i] >> 4];
		text[2 * i + 1] = hex[digest->b[i] & 15];
	}
	text[64] = '\0';
	add(line, "\"");
	add(line, text);
	add(line, "\"");
}

static void add_pair(struct line *line, const struct bulla_log_pair *pair)
{
	add(line, ",\"");
	add(line, pair->key);
	add(line, "\":");
	if (pair->kind == BULLA_LOG_RC) {
		add(line, "\"");
		add(line, bulla_rc_id((bulla_rc)pair->number));
		add(line, "\"");
	} else if (pair->kind == BULLA_LOG_DIGEST) {
		add_digest(line, pair->digest);
	} else {
		add_u64(line, pair->number);
	}
}

void bulla_log_init(int fd, enum bulla_log_level level)
{
	sink.fd = fd;
	sink.level = level;
}

void bulla_log_write(enum bulla_log_level level, const char *event, const struct bulla_log_pair *pairs)
{
	struct line line = {.n = 0};
	struct timespec now;

	if (level > sink.level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	add(&line, "{\"ms\":");
	add_u64(&line, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	add(&line, ",\"level\":\"");
	add(&line, level_names[level]);
	add(&line, "\",\"event\":\"");
	add(&line, event);
	add(&line, "\"");
	for (; pairs->kind != BULLA_LOG_END; pairs++)
		add_pair(&line, pairs);
	add(&line, "}");
	line.text[line.n++] = '\n';
	if (write(sink.fd, line.text, line.n) < 0)
		return; /* a log that cannot be written must not stop the program */
}
