/*
 * Landlock (landlock(7)): every right that the running kernel knows is handled
 * and no rule gives one back, so no path can be opened, made, or bound to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "jail/lock.h"

/* struct landlock_ruleset_attr as of ABI 6; older kernels take a part of it. */
struct rules {
	uint64_t fs, net, scoped;
};

/* Which rights an ABI handles, each with what came new; sizes it takes. */
static const struct {
	int abi;
	uint64_t fs, net, scoped;
	size_t size;
} abis[] = {
	{ 6, 0xffff, 3, 3, 24 }, /* scopes: abstract sockets, signals */
	{ 5, 0xffff, 3, 0, 16 }, /* ioctl of devices */
	{ 4, 0x7fff, 3, 0, 16 }, /* TCP: bind, connect */
	{ 3, 0x7fff, 0, 0, 8 }, /* truncate */
	{ 2, 0x3fff, 0, 0, 8 }, /* refer */
	{ 1, 0x1fff, 0, 0, 8 },
};
#define ABI_TSYNC 8
#define RESTRICT_TSYNC (1U << 3)

#define NET_CONNECT (UINT64_C(1) << 1)

static int
allow_read(int rules, const char *path, struct error *err)
{
	cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr attr = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = fd,
	};

	if (fd == -1)
		return errno == ENOENT ? 0 : error_sys(err, errno, "%s", path);
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
		&attr, 0) == -1)
		return error_sys(err, errno, "Landlock: %s", path);
	return 0;
}

static int
confine(int abi, const struct lock_keep *keep, struct error *err)
{
	const char *const *path = keep->readable;
	size_t i = 0;
	cleanup_close int fd = -1;
	unsigned flags = abi >= ABI_TSYNC ? RESTRICT_TSYNC : 0;

	while (i < ARRAY_LEN(abis) - 1 && abis[i].abi > abi)
		i++;
	struct rules rules = { abis[i].fs & ~keep->rights,
		abis[i].net & ~(keep->connect ? NET_CONNECT : 0),
		abis[i].scoped };

	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, abis[i].size, 0);
	if (fd == -1)
		return error_sys(err, errno, "Landlock: cannot make rules");
	for (; path != NULL && *path != NULL; path++) {
		int rc = allow_read(fd, *path, err);

		if (rc < 0)
			return rc;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    syscall(SYS_landlock_restrict_self, fd, flags) == -1)
		return error_sys(err, errno, "Landlock: cannot confine");
	return 0;
}

int
lock_paths_but(const struct lock_keep *keep, struct error *err)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);

	/* not to be traced or read by others of the same user */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return error_sys(err, errno, "cannot hide from others");
	if (abi == -1 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
		error_set(err, ENOTSUP,
		    "this kernel has no Landlock; the zone has its other "
		    "walls only");
		return 1;
	}
	if (abi < 1)
		return error_sys(err, errno, "Landlock");
	return confine(abi, keep, err);
}

int
lock_paths(struct error *err)
{
	return lock_paths_but(&(struct lock_keep){ 0 }, err);
}
