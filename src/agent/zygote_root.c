/* The private root of the zygote, which every sandbox inherits. */
#include "agent/zygote_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bulla_rc bulla_root_write(int folder, const char *path, int flags, mode_t mode, bulla_bytes bytes)
{
	int fd = openat(folder, path, flags | O_CLOEXEC, mode);
	ssize_t n;

	if (fd < 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a file cannot be opened", errno);
	n = write(fd, bytes.p, bytes.n);
	close(fd);
	if (n < 0 || (size_t)n != bytes.n)
		return BULLA_FAIL_OS(BULLA_E_IO, "a file cannot be written", errno);
	return BULLA_OK;
}

static bulla_rc write_self_map(const char *path, unsigned outer)
{
	char line[32];

	snprintf(line, sizeof(line), "0 %u 1", outer);
	return bulla_root_write(AT_FDCWD, path, O_WRONLY, 0, bulla_bytes_str(line));
}

/* Not root, or not much of one: become root of a user namespace that holds nobody else. */
static bulla_rc enter_userns(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "user namespaces are not allowed here", errno);
	BULLA_TRY(bulla_root_write(AT_FDCWD, "/proc/self/setgroups", O_WRONLY, 0, BULLA_BYTES_LITERAL("deny")));
	BULLA_TRY(write_self_map("/proc/self/uid_map", uid));
	return write_self_map("/proc/self/gid_map", gid);
}

static bulla_rc set_flags(const char *path, uint64_t flags, bool all)
{
	struct mount_attr attr = {.attr_set = flags};

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, all ? AT_RECURSIVE : 0, &attr, sizeof(attr)) != 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "mount flags cannot be set", errno);
	return BULLA_OK;
}

static bulla_rc bind(const char *from, const char *to, uint64_t flags)
{
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a mount cannot be bound", errno);
	return set_flags(to, flags, true);
}

static bulla_rc make_folder(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return BULLA_FAIL_OS(BULLA_E_IO, "a folder cannot be made", errno);
	return BULLA_OK;
}

/* /bin, /lib ...: links as the host has them; folders where it is an old host. */
static bulla_rc copy_link(const char *host, const char *name)
{
	char target[256];
	ssize_t n = readlink(host, target, sizeof(target) - 1);
	struct stat status;

	if (n > 0) {
		target[n] = 0;
		if (symlink(target, name) != 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "a link cannot be made", errno);
		return BULLA_OK;
	}
	if (stat(host, &status) != 0)
		return BULLA_OK; /* this machine has none */
	BULLA_TRY(make_folder(name));
	return bind(host, name, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

static bulla_rc make_device(const char *host, const char *name)
{
	BULLA_TRY(bulla_root_write(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL, 0666, BULLA_BYTES_LITERAL("")));
	return bind(host, name, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

static bulla_rc make_devices(void)
{
	BULLA_TRY(make_folder("dev"));
	BULLA_TRY(make_device("/dev/null", "dev/null"));
	BULLA_TRY(make_device("/dev/zero", "dev/zero"));
	BULLA_TRY(make_device("/dev/urandom", "dev/urandom"));
	BULLA_TRY(make_device("/dev/urandom", "dev/random"));
	if (symlink("/tmp", "dev/shm") != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "a link cannot be made", errno);
	return BULLA_OK;
}

/* The little of /etc that programs need: the loader's cache and Debian's alternatives, and one user. */
static bulla_rc make_etc(void)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL;
	const uint64_t shut = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

	BULLA_TRY(make_folder("etc"));
	BULLA_TRY(bulla_root_write(AT_FDCWD, "etc/passwd", flags, 0644,
		BULLA_BYTES_LITERAL("agent:x:1000:1000::/tmp:/bin/sh\n")));
	BULLA_TRY(bulla_root_write(AT_FDCWD, "etc/group", flags, 0644, BULLA_BYTES_LITERAL("agent:x:1000:\n")));
	BULLA_TRY(bulla_root_write(AT_FDCWD, "etc/hosts", flags, 0644, BULLA_BYTES_LITERAL("127.0.0.1 localhost\n")));
	if (access("/etc/ld.so.cache", R_OK) == 0) {
		BULLA_TRY(bulla_root_write(AT_FDCWD, "etc/ld.so.cache", flags, 0644, BULLA_BYTES_LITERAL("")));
		BULLA_TRY(bind("/etc/ld.so.cache", "etc/ld.so.cache", shut));
	}
	if (access("/etc/alternatives", R_OK) != 0)
		return BULLA_OK;
	BULLA_TRY(make_folder("etc/alternatives"));
	return bind("/etc/alternatives", "etc/alternatives", shut);
}

static bulla_rc fill(void)
{
	static const char *const links[][2] = {
		{"/bin", "bin"}, {"/sbin", "sbin"}, {"/lib", "lib"}, {"/lib64", "lib64"}, {"/lib32", "lib32"}};

	BULLA_TRY(make_folder("usr"));
	BULLA_TRY(bind("/usr", "usr", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		BULLA_TRY(copy_link(links[i][0], links[i][1]));
	BULLA_TRY(make_devices());
	BULLA_TRY(make_etc());
	BULLA_TRY(make_folder("tmp"));
	BULLA_TRY(make_folder("agent"));
	return make_folder("bundles");
}

static bulla_rc enter_new_root(void)
{
	if (syscall(SYS_pivot_root, ".", ".") != 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "the root cannot be changed", errno);
	/* the old root is now stacked over the new one; taking it away leaves only ours */
	if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return BULLA_FAIL_OS(BULLA_E_IO, "the old root does not go away", errno);
	return BULLA_OK;
}

static bulla_rc mount_base(void)
{
	static const char *const places[] = {"/tmp", "/run", "/mnt"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (mount("bulla", places[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1g") == 0 &&
			chdir(places[i]) == 0)
			return BULLA_OK;
	return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "no place for the private root", errno);
}

bulla_rc bulla_root_make(int *ret_proc, bool *ret_userns)
{
	bool userns = geteuid() != 0;

	umask(0022);
	if (!userns && unshare(CLONE_NEWNS) != 0)
		userns = true; /* a root without rights, as in a container: like anybody */
	if (userns)
		BULLA_TRY(enter_userns());
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) /* in a chroot: bind its folder to itself before */
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "the root is no mount point", errno);
	*ret_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_proc < 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "there is no /proc", errno);
	BULLA_TRY(mount_base());
	BULLA_TRY(fill());
	BULLA_TRY(enter_new_root());
	*ret_userns = userns;
	return BULLA_OK;
}

bulla_rc bulla_root_seal(void)
{
	return set_flags("/", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, false);
}
