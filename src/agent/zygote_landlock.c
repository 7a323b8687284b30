/* Landlock: a second fence behind the mount namespace. */
#include "agent/zygote_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READING (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define NEVER (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

bool bulla_landlock_present(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static bulla_rc allow(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	long rc;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a path for Landlock cannot be opened", errno);
	rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
	return rc == 0 ? BULLA_OK : BULLA_FAIL_OS(BULLA_E_IO, "a Landlock rule is refused", errno);
}

static bulla_rc restrict_by(int ruleset)
{
	BULLA_TRY(allow(ruleset, "/", READING));
	BULLA_TRY(allow(ruleset, "/tmp", READING | WRITING));
	BULLA_TRY(allow(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "Landlock refuses", errno);
	return BULLA_OK;
}

bulla_rc bulla_landlock_restrict(void)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs = READING | WRITING | NEVER};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	bulla_rc rc;

	if (ruleset < 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "there is no Landlock", errno);
	rc = restrict_by(ruleset);
	close(ruleset);
	return rc;
}
