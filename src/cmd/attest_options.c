#include "cmd/attest_options.h"

#include "attest/textual.h"
#include "cmd/attest_job.h"
#include "cmd/download.h"
#include "io/sys.h"
#include "wire/date.h"
#include "wire/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define AT_MAX UINT64_C(253402300799) /* the last second of year 9999 */

static int refuse(const struct cli *cli, const char *where, const char *next, const char *what)
{
	say_error(cli, "usage", where, next, "%s", what);
	return EXIT_USAGE;
}

int attest_check_files(const struct cli *cli)
{
	if (cli->set_count <= ATTEST_FILES)
		return 0;
	say_error(cli, "limit", "--collateral", "one file may hold many certificates (PEM)", "there are more than %d `--collateral`",
		ATTEST_FILES);
	return EXIT_USAGE;
}

int attest_check_policy(const struct cli *cli)
{
	if (cli->reference != NULL && cli->any_code)
		return refuse(cli, NULL, NULL, "`--reference` and `--any-code` do not go together");
	if (cli->reference == NULL && !cli->any_code)
		return refuse(cli, NULL, "--reference FILE, or --any-code", "nothing says which code is expected");
	return 0;
}

static int check_hex(const struct cli *cli, const char *option, const char *text, size_t max)
{
	uint8_t memory[ATTEST_NONCE_MAX];
	size_t size = 0;

	if (text == NULL)
		return 0;
	bulla_rc rc = bulla_foreign_hex(bulla_bytes_str(text), max, memory, &size);
	if (rc == BULLA_OK && size > 0)
		return 0;
	if (rc == BULLA_E_LIMIT)
		say_error(cli, "usage", option, NULL, "there are more than %zu bytes", max);
	else
		say_error(cli, "usage", option, NULL, "hexadecimal digits are expected, two a byte, at least one byte");
	return EXIT_USAGE;
}

int attest_check_binding(const struct cli *cli)
{
	bool any = cli->nonce != NULL || cli->binder != NULL;
	int code;

	if (cli->any_nonce && any)
		return refuse(cli, NULL, NULL, "`--any-nonce` does not go with `--nonce` or `--binder`");
	if (!cli->any_nonce && !any)
		return refuse(cli, NULL, "--nonce HEX, --binder HEX, or --any-nonce", "nothing says what the evidence answers");
	code = check_hex(cli, "--nonce", cli->nonce, ATTEST_NONCE_MAX);
	if (code == 0)
		code = check_hex(cli, "--binder", cli->binder, ATTEST_BINDER_MAX);
	if (code == 0 && cli->binder != NULL && strlen(cli->binder) != 2 * ATTEST_BINDER_MAX)
		return refuse(cli, "--binder", "--nonce HEX: a challenge may be shorter", "a binder is 64 bytes: 128 hexadecimal digits");
	return code;
}

/* Unix seconds, or a date in UTC. */
static bool parse_at(const char *text, int64_t *ret_ms)
{
	uint64_t seconds;

	if (bulla_date_parse(bulla_bytes_str(text), ret_ms) != BULLA_OK) {
		if (bulla_text_uint(bulla_bytes_str(text), AT_MAX, &seconds) != BULLA_OK)
			return false;
		*ret_ms = (int64_t)seconds;
	}
	*ret_ms *= 1000;
	return *ret_ms > 0;
}

int attest_check_at(const struct cli *cli, int64_t *ret_ms)
{
	int64_t ms;

	if (cli->at == NULL)
		return 0;
	if (!parse_at(cli->at, &ms))
		return refuse(cli, NULL, "--at 2025-12-25T16:04:19Z",
			"`--at` takes a time in UTC like 2025-12-25T16:04:19Z, or Unix seconds");
	if (ret_ms != NULL)
		*ret_ms = ms;
	return 0;
}

int attest_check_from(const struct cli *cli)
{
	if (cli->from == NULL || download_is_base(cli->from))
		return 0;
	say_error(cli, "usage", "--from", "--from https://NAME[:PORT][/PATH]", "a mirror is named by its https URL");
	return EXIT_USAGE;
}

int attest_check_out(const struct cli *cli)
{
	const char *slash = cli->out != NULL ? strrchr(cli->out, '/') : NULL;
	char folder[PATH_SIZE] = "/";

	if (slash == NULL)
		return 0;
	if (slash != cli->out && snprintf(folder, sizeof(folder), "%.*s", (int)(slash - cli->out), cli->out) >= PATH_SIZE)
		return refuse(cli, "--out", NULL, "the path is too long");
	if (access(folder, W_OK | X_OK) == 0)
		return 0;
	say_error(cli, "not-found", cli->out, "mkdir -p FOLDER; --out FOLDER/FILE", "there is no such folder, or it cannot be written to");
	return EXIT_NOT_FOUND;
}

const char *attest_key_path(const struct cli *cli)
{
	return cli->key != NULL ? cli->key : getenv("BULLA_KEY");
}

/* What openssl pkcs8 -topk8 -nocrypt -outform DER writes. */
static bulla_rc read_pkcs8(const char *path, struct keyfile *ret)
{
	struct bulla_sign_key *key = NULL;
	BULLA_AUTO_BUF bytes;

	bulla_buf_init(&bytes, KEYFILE_MAX);
	BULLA_TRY(bulla_sys_read_file(path, &bytes));
	BULLA_TRY(bulla_sign_key_import(bulla_buf_view(&bytes), &key));
	if (bulla_sign_key_alg(key) != BULLA_ES256) {
		bulla_sign_key_free(key);
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "verdicts are signed with a P-256 key");
	}
	ret->sign = key;
	return BULLA_OK;
}

/* A key of any project, or one of nobody's. */
static bulla_rc open_key(const struct cli *cli, bool make, struct keyfile *ret)
{
	const char *path = attest_key_path(cli);

	BULLA_TRY(bulla_secret_slab_size() > 0 ? BULLA_OK : bulla_secret_slab_init(16));
	bulla_rc rc = keyfile_read(path, ret);
	if (rc == BULLA_E_NOT_FOUND && make) {
		BULLA_TRY(keyfile_make(path, ret));
		say(cli, "made a key: %s", path);
		return BULLA_OK;
	}
	return rc == BULLA_OK || rc == BULLA_E_NOT_FOUND ? rc : read_pkcs8(path, ret);
}

int attest_open_key(const struct cli *cli, bool make, struct keyfile *ret)
{
	bulla_rc rc = open_key(cli, make, ret);

	if (rc == BULLA_OK)
		return 0;
	return say_rc(cli, rc, attest_key_path(cli), make ? "a key of bulla key new, a P-256 key as PKCS#8 in DER, or a new name" :
		"a key of bulla key new, or a P-256 key as PKCS#8 in DER");
}
