#include "jail_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "jail/cgroup_impl.h"
#include "tap.h"

#define UID_BASE 0x7a000000

static const struct jail_mount mounts[] = {
	{ JAIL_BIND, "/usr", "/usr", "ro,nodev,nosuid" },
	{ JAIL_BIND, "/lib", "/lib", "ro,nodev,nosuid" },
	{ JAIL_BIND, "/lib64", "/lib64", "ro,nodev,nosuid" },
	{ JAIL_TMPFS, NULL, "/var/run", "size=1m,mode=0700" },
	{ JAIL_DEVICE, "null", NULL, NULL },
	{ JAIL_DEVICE, "urandom", NULL, NULL },
	{ JAIL_DEVICE, "there-is-no-such-device", NULL, NULL },
	{ JAIL_SYMLINK, "./fd/0", "stdin", NULL },
};

void
jail_need_root(void)
{
	if (geteuid() != 0)
		tap_skip("namespaces with a range of uids need root");
}

struct jail_spec
jail_test_spec(void)
{
	static char name[40];

	snprintf(name, sizeof(name), "test-%d", (int)getpid());
	return (struct jail_spec){
		.name = name,
		.uid_base = UID_BASE,
		.uid_count = 65536,
		.mounts = mounts,
		.nmounts = ARRAY_LEN(mounts),
		.limits = JAIL_LIMITS_NONE,
		.nofile = 256,
	};
}

struct jail *
jail_test_shell(const struct jail_spec *spec, const char *script, int *ret_out)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/usr/sbin", NULL };
	cleanup_close int exe = open("/bin/sh", O_PATH | O_CLOEXEC);
	struct error err = ERROR_INIT;
	struct jail_plan *plan = NULL;
	struct jail *j = NULL;
	int out[2];

	tap_check(exe != -1 && pipe2(out, O_CLOEXEC) == 0);
	if (jail_plan_make(spec, &plan, &err) != 0)
		tap_fail("plan: %s", err.text);
	const struct jail_fd fds[] = { { out[1], 1 }, { out[1], 2 } };
	const struct jail_program prog = { exe, argv, envp, fds, 2 };

	if (jail_spawn(plan, &prog, &j, &err) != 0)
		tap_fail("spawn: %s", err.text);
	jail_plan_free(plan);
	close(out[1]);
	*ret_out = out[0];
	return j;
}

void
jail_test_read(int fd, char *buf, size_t size)
{
	ssize_t n = fd_read_full(fd, buf, size - 1);

	tap_check(n >= 0);
	buf[n] = '\0';
}

unsigned
jail_test_mounts(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned n = 0;
	int c;

	tap_check(f != NULL);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

unsigned
jail_test_groups(const char *name)
{
	struct cgroup cg = { .n = 0 };
	char path[PATH_MAX];
	unsigned n = 0;

	tap_check_int(cgroup_find(&cg, NULL), 0);
	for (size_t i = 0; i < cg.n; i++) {
		snprintf(
		    path, sizeof(path), "%s/zhyve-%s", cg.dirs[i].path, name);
		n += access(path, F_OK) == 0;
	}
	cgroup_dirs_fini(&cg);
	return n;
}
