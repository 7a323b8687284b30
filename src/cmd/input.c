#include "cmd/input.h"

#include "cmd/say.h"
#include "io/sys.h"
#include "wire/json.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bulla_rc read_stdin(struct bulla_buf *ret)
{
	uint8_t bytes[65536];
	ssize_t n;

	while ((n = read(0, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "standard input cannot be read", errno);
		BULLA_TRY(bulla_buf_append(ret, bulla_bytes_of(bytes, (size_t)n)));
	}
	return BULLA_OK;
}

/* Where a JSON text stops being one: the longest beginning that is no error yet, as line and column. */
static void place_of_mistake(bulla_bytes text, unsigned *ret_line, unsigned *ret_column)
{
	size_t low = 0, high = text.n;

	while (low < high) { /* truncation is the error of every good beginning; anything else is the mistake itself */
		size_t middle = low + (high - low + 1) / 2;
		bulla_json ignored;
		bulla_rc rc = bulla_json_parse(bulla_bytes_of(text.p, middle), &ignored);

		if (rc == BULLA_OK || rc == BULLA_E_TRUNCATED)
			low = middle;
		else
			high = middle - 1;
	}
	*ret_line = 1;
	*ret_column = 1;
	for (size_t i = 0; i < low; i++) {
		*ret_column = text.p[i] == '\n' ? 1 : *ret_column + 1;
		*ret_line += text.p[i] == '\n';
	}
}

static int check_json(const struct cli *cli, const char *name, bulla_bytes text)
{
	unsigned line, column;
	char where[256];
	bulla_json ignored;
	bulla_rc rc = bulla_json_parse(text, &ignored);

	if (rc == BULLA_OK)
		return 0;
	if (text.n == 0) {
		say_error(cli, "input", name, "--input FILE with one JSON value", "the input is empty");
		return EXIT_USAGE;
	}
	place_of_mistake(text, &line, &column);
	snprintf(where, sizeof(where), "%s:%u:%u", name, line, column);
	say_error(cli, "input", where, "one JSON value, in UTF-8, and nothing after it",
		rc == BULLA_E_DUPLICATE ? "an object has a name twice" :
		rc == BULLA_E_TRUNCATED ? "the JSON ends too early" :
		rc == BULLA_E_TRAILING ? "text follows the JSON value" : "the input is not JSON");
	return EXIT_USAGE;
}

static int read_file(const struct cli *cli, struct bulla_buf *ret)
{
	bool in = strcmp(cli->input, "-") == 0;
	bulla_rc rc = in ? read_stdin(ret) : bulla_sys_read_file(cli->input, ret);

	if (rc == BULLA_E_LIMIT) {
		say_error(cli, "limit", cli->input, "give the run a reference to it instead", "the input is larger than %d KiB",
			BULLA_MAX_PAYLOAD / 1024);
		return EXIT_USAGE;
	}
	if (rc != BULLA_OK)
		return say_rc(cli, rc, cli->input, rc == BULLA_E_NOT_FOUND ? "--input FILE" : NULL);
	return check_json(cli, in ? "-" : cli->input, bulla_buf_view(ret));
}

/* VALUE is JSON where it is JSON, else a string; @FILE is the file's JSON. */
static int write_value(const struct cli *cli, const char *value, bulla_json_wr *j)
{
	bulla_json parsed;
	BULLA_AUTO_BUF file;
	bulla_rc rc;
	int code;

	bulla_buf_init(&file, BULLA_MAX_PAYLOAD);
	if (value[0] != '@') {
		if (bulla_json_parse(bulla_bytes_str(value), &parsed) == BULLA_OK)
			bulla_json_wr_raw(j, parsed);
		else
			bulla_json_wr_str(j, value);
		return 0;
	}
	rc = bulla_sys_read_file(value + 1, &file);
	if (rc != BULLA_OK)
		return say_rc(cli, rc, value + 1, "--set NAME=@FILE");
	code = check_json(cli, value + 1, bulla_buf_view(&file));
	if (code == 0 && bulla_json_parse(bulla_buf_view(&file), &parsed) == BULLA_OK)
		bulla_json_wr_raw(j, parsed);
	return code;
}

static int write_fields(const struct cli *cli, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes text;
	bulla_rc rc;

	bulla_json_wr_object(&j);
	for (unsigned i = 0; i < cli->set_count; i++) {
		const char *split = strchr(cli->sets[i], '=');
		char name[64];

		if (split == NULL || split == cli->sets[i] || (size_t)(split - cli->sets[i]) >= sizeof(name)) {
			say_error(cli, "usage", NULL, "--set NAME=VALUE", "`--set` takes NAME=VALUE or NAME=@FILE");
			return EXIT_USAGE;
		}
		snprintf(name, sizeof(name), "%.*s", (int)(split - cli->sets[i]), cli->sets[i]);
		bulla_json_wr_name(&j, name);
		int code = write_value(cli, split + 1, &j);
		if (code != 0)
			return code;
	}
	bulla_json_wr_object_end(&j);
	rc = bulla_wr_end(&w, &text);
	return rc == BULLA_OK ? check_json(cli, "--set", text) : say_rc(cli, rc, "--set", NULL);
}

int input_read(const struct cli *cli, struct bulla_buf *ret)
{
	if (cli->input != NULL && cli->set_count > 0) {
		say_error(cli, "usage", NULL, NULL, "`--input` and `--set` do not go together");
		return EXIT_USAGE;
	}
	return cli->input != NULL ? read_file(cli, ret) : write_fields(cli, ret);
}
