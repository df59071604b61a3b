/*
 * Control groups: which files get which values on hosts with v2, v1 and both,
 * in folders made to look like them (a host has one kind only), and what this
 * host does with real ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "jail/cgroup_impl.h"
#include "jail_util.h"
#include "tap.h"

/* ---- a host of files ---- */

static char prefix[PATH_MAX];

static void
put(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", prefix, path);
	for (char *p = strchr(full + strlen(prefix) + 1, '/'); p != NULL;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "we");
	tap_check(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static const char *
get(const char *path)
{
	static char text[512];
	char full[PATH_MAX];
	int fd;
	ssize_t n;

	snprintf(full, sizeof(full), "%s%s", prefix, path);
	if ((fd = open(full, O_RDONLY | O_CLOEXEC)) == -1)
		return "no such file";
	n = fd_read_full(fd, text, sizeof(text) - 1);
	close(fd);
	tap_check(n >= 0);
	text[n] = '\0';
	return text;
}

static const char *const *kernel_files; /* pairs of name and text */

/* What a kernel puts into a group that is made. */
static void
made(const char *dir)
{
	for (const char *const *p = kernel_files; *p != NULL; p += 2) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", dir + strlen(prefix), *p);
		put(path, p[1]);
	}
}

static void
host(const char *mounts, const char *groups, const char *const *files)
{
	snprintf(prefix, sizeof(prefix), "%s", tap_tmpdir());
	cgroup_prefix = prefix;
	cgroup_made_hook = made;
	kernel_files = files;
	put("/proc/self/mountinfo", mounts);
	put("/proc/self/cgroup", groups);
}

static const struct jail_limits all_limits = {
	.cpu_shares = 250,
	.cpu_cap = 150,
	.physical = 1 << 30,
	.locked = JAIL_UNLIMITED,
	.swap = 3 << 29,
	.lwps = 500,
	.processes = 400,
	.io_weight = 300,
	.cpus = "0-1",
};

struct golden {
	const char *path, *text;
};

static void
check_files(const struct golden *g)
{
	for (; g->path != NULL; g++) {
		tap_context("%s", g->path);
		tap_check_str(get(g->path), g->text);
	}
}

#define ROOT2 "/sys/fs/cgroup"
#define GROUP2 ROOT2 "/zones.slice/zhyve-z1/"
static const char mounts2[] =
    "22 1 0:21 / /proc rw - proc proc rw\n"
    "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
static const char *const files2[] = { "cgroup.controllers",
	"cpuset cpu io memory pids\n", "cgroup.procs", "", "cpu.weight", "100",
	"cpu.max", "max 100000", "memory.max", "max", "memory.swap.max", "max",
	"pids.max", "max", "io.weight", "default 100", "cpuset.cpus", "",
	NULL };

static void
v2_files(void)
{
	static const char *const some[] = { "cpu.stat",
		"usage_usec 1234\nuser_usec 1000\n", "memory.current", "5000\n",
		"io.stat",
		"254:0 rbytes=100 wbytes=7 rios=1\n8:0 rbytes=11 wbytes=3\n",
		"memory.events", "low 0\noom 4\noom_kill 2\n", NULL };
	static const struct golden want[] = {
		{ GROUP2 "cpu.weight", "250" },
		{ GROUP2 "cpu.max", "150000 100000" },
		{ GROUP2 "memory.max", "1073741824" },
		{ GROUP2 "memory.swap.max", "536870912" },
		{ GROUP2 "pids.max", "400" },
		{ GROUP2 "io.weight", "300" },
		{ GROUP2 "cpuset.cpus", "0-1" },
		{ NULL, NULL },
	};
	static const struct golden none[] = {
		{ GROUP2 "cpu.weight", "100" },
		{ GROUP2 "cpu.max", "max 100000" },
		{ GROUP2 "memory.max", "max" },
		{ GROUP2 "memory.swap.max", "max" },
		{ GROUP2 "pids.max", "max" },
		{ GROUP2 "io.weight", "100" },
		{ GROUP2 "cpuset.cpus", "\n" },
		{ NULL, NULL },
	};
	struct jail_limits unlimited = JAIL_LIMITS_NONE;
	struct error err = ERROR_INIT;
	struct jail_usage use;
	struct cgroup *cg = NULL;

	host(mounts2, "0::/zones.slice\n", files2);
	put(ROOT2 "/zones.slice/cgroup.controllers",
	    "cpuset cpu io memory pids\n");
	put(ROOT2 "/zones.slice/cgroup.subtree_control", "");
	if (cgroup_create("z1", &all_limits, &cg, &err) != 0)
		tap_fail("%s", err.text);
	check_files(want);
	tap_check_int(cgroup_limit(cg, &unlimited, &err), 0);
	check_files(none);
	for (const char *const *p = some; *p != NULL; p += 2) {
		char path[200];

		snprintf(path, sizeof(path), GROUP2 "%s", *p);
		put(path, p[1]);
	}
	tap_check_int(cgroup_usage(cg, &use), 0);
	tap_check_u64(use.cpu_ns, 1234000);
	tap_check_u64(use.memory, 5000);
	tap_check_u64(use.io_read, 111);
	tap_check_u64(use.io_written, 10);
	tap_check_u64(use.oom_kills, 2);
	cgroup_free(cg);
}

/* Our own group hands out nothing: the nearest above that does. */
static void
v2_climbs(void)
{
	struct error err = ERROR_INIT;
	struct cgroup *cg = NULL;

	host(mounts2, "0::/user.slice/session-1.scope\n", files2);
	put(ROOT2 "/cgroup.controllers", "cpuset cpu io memory pids\n");
	put(ROOT2 "/cgroup.subtree_control", "");
	put(ROOT2 "/user.slice/cgroup.controllers", "memory pids\n");
	put(ROOT2 "/user.slice/cgroup.subtree_control", "");
	/* a kernel would say EBUSY here; no such file is as good */
	put(ROOT2 "/user.slice/session-1.scope/cgroup.controllers", "pids\n");
	if (cgroup_create("z1", &all_limits, &cg, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_str(get(ROOT2 "/user.slice/zhyve-z1/pids.max"), "400");
	tap_check_str(get(ROOT2 "/user.slice/cgroup.subtree_control"), "+pids");
	tap_check_str(get(ROOT2 "/cgroup.subtree_control"), "");
	cgroup_free(cg);
}

#define ROOT1 "/sys/fs/cgroup/"
static const char mounts1[] =
    "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "32 25 0:28 /docker/x /sys/fs/cgroup/memory rw - cgroup c rw,memory\n"
    "33 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "34 25 0:30 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"
    "35 25 0:31 / /sys/fs/cgroup/cpu\\040set rw - cgroup cgroup rw,cpuset\n"
    "36 25 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup "
    "rw,name=systemd\n"
    "37 25 0:33 / /sys/fs/cgroup/net rw - cgroup cgroup rw,net_cls\n";
static const char groups1[] = "9:name=systemd:/\n6:cpuset:/\n5:blkio:/a\n"
			      "4:pids:/\n3:memory:/docker/x/sub\n"
			      "2:cpu,cpuacct:/host\n1:net_cls:/\n";
static const char *const files1[] = { "tasks", "", "cgroup.procs", "",
	"cpu.shares", "1024", "cpu.cfs_quota_us", "-1", "memory.limit_in_bytes",
	"9223372036854771712", "memory.memsw.limit_in_bytes",
	"9223372036854771712", "pids.max", "max", "blkio.bfq.weight", "100",
	"cpuset.cpus", "", "cpuset.mems", "", NULL };

static void
make_v1(const char *mounts, const char *groups)
{
	host(mounts, groups, files1);
	put(ROOT1 "cpu,cpuacct/host/tasks", "");
	put(ROOT1 "memory/sub/tasks", "");
	put(ROOT1 "pids/tasks", "");
	put(ROOT1 "blkio/a/tasks", "");
	put(ROOT1 "net/tasks", "");
	put(ROOT1 "cpu set/cpuset.cpus", "0-3\n");
	put(ROOT1 "cpu set/cpuset.mems", "0\n");
}

static const struct golden want1[] = {
	{ ROOT1 "cpu,cpuacct/host/zhyve-z1/cpu.shares", "2560" },
	{ ROOT1 "cpu,cpuacct/host/zhyve-z1/cpu.cfs_quota_us", "150000" },
	{ ROOT1 "memory/sub/zhyve-z1/memory.limit_in_bytes", "1073741824" },
	{ ROOT1 "memory/sub/zhyve-z1/memory.memsw.limit_in_bytes",
	    "1610612736" },
	{ ROOT1 "pids/zhyve-z1/pids.max", "400" },
	{ ROOT1 "blkio/a/zhyve-z1/blkio.bfq.weight", "300" },
	{ ROOT1 "cpu set/zhyve-z1/cpuset.cpus", "0-1" },
	{ ROOT1 "cpu set/zhyve-z1/cpuset.mems", "0\n" },
	{ ROOT1 "systemd/zhyve-z1/tasks", "no such file" },
	{ ROOT1 "net/zhyve-z1/tasks", "no such file" },
	{ NULL, NULL },
};

static void
v1_files(void)
{
	struct error err = ERROR_INIT;
	struct jail_usage use;
	struct cgroup *cg = NULL;

	make_v1(mounts1, groups1);
	if (cgroup_create("z1", &all_limits, &cg, &err) != 0)
		tap_fail("%s", err.text);
	check_files(want1);
	put(ROOT1 "cpu,cpuacct/host/zhyve-z1/cpuacct.usage", "777\n");
	put(ROOT1 "memory/sub/zhyve-z1/memory.usage_in_bytes", "4096\n");
	put(ROOT1 "memory/sub/zhyve-z1/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	put(ROOT1 "blkio/a/zhyve-z1/blkio.throttle.io_service_bytes",
	    "254:0 Read 10\n254:0 Write 20\n8:0 Read 1\nTotal 31\n");
	tap_check_int(cgroup_usage(cg, &use), 0);
	tap_check_u64(use.cpu_ns, 777);
	tap_check_u64(use.memory, 4096);
	tap_check_u64(use.io_read, 11);
	tap_check_u64(use.io_written, 20);
	tap_check_u64(use.oom_kills, 3);
	cgroup_free(cg);
}

/* v1 has the controllers, v2 is bare: a group in each. */
static void
hybrid_files(void)
{
	char mounts[2048], groups[512];
	struct error err = ERROR_INIT;
	struct nvlist *saved = NULL;
	struct cgroup *cg = NULL, *again = NULL;

	snprintf(mounts, sizeof(mounts),
	    "%s38 25 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cg rw\n",
	    mounts1);
	snprintf(groups, sizeof(groups), "%s0::/\n", groups1);
	make_v1(mounts, groups);
	put(ROOT1 "unified/cgroup.controllers", "hugetlb\n");
	put(ROOT1 "unified/cgroup.subtree_control", "");
	if (cgroup_create("z1", &all_limits, &cg, &err) != 0)
		tap_fail("%s", err.text);
	check_files(want1);
	tap_check_str(get(ROOT1 "unified/zhyve-z1/cgroup.procs"), "");
	tap_check_int(cgroup_save(cg, &saved), 0);
	tap_check_int(cgroup_attach(saved, &again, &err), 0);
	tap_check_u64(again->n, cg->n);
	for (size_t i = 0; i < cg->n; i++) {
		tap_check_str(again->dirs[i].path, cg->dirs[i].path);
		tap_check_u64(again->dirs[i].v2, cg->dirs[i].v2);
		tap_check_u64(again->dirs[i].ctl & ~CTL(FREEZER),
		    cg->dirs[i].v2 ? again->dirs[i].ctl : cg->dirs[i].ctl);
	}
	nvlist_free(saved);
	cgroup_free(again);
	cgroup_free(cg);
}

/* A host without a controller says which limits are not kept. */
static void
notices(void)
{
	struct error err = ERROR_INIT;
	struct cgroup *cg = NULL;

	host("33 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
	    "4:pids:/\n", files1);
	put(ROOT1 "pids/tasks", "");
	tap_check_int(cgroup_create("z1", &all_limits, &cg, &err), 1);
	tap_check_str(err.text,
	    "this host cannot limit cpu-shares, cpu-cap, max-swap, "
	    "zfs-io-priority, max-physical-memory, dedicated-cpu");
	tap_check_str(get(ROOT1 "pids/zhyve-z1/pids.max"), "400");
	cgroup_free(cg);
}

static void
saved_lists_are_checked(void)
{
	static const char *const bad[] = { "", "1", "3 cpu /a/zhyve-z",
		"1 cpu /sys/fs/cgroup/cpu", "1 cpu a/zhyve-z",
		"1 cpu /a/../b/zhyve-z", "1cpu /a/zhyve-z" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct nvlist *nvl = nvlist_create();
		struct cgroup *cg = NULL;

		tap_context("'%s'", bad[i]);
		tap_check_int(nvlist_add_strs(nvl, "groups", &bad[i], 1), 0);
		tap_check_int(cgroup_attach(nvl, &cg, NULL), -EINVAL);
		nvlist_free(nvl);
	}
}

/* ---- this host ---- */

/* The process that is in no group of the zone yet. */
static void
real_groups(void)
{
	struct jail_limits limits = JAIL_LIMITS_NONE;
	struct error err = ERROR_INIT;
	struct cgroup *cg = NULL;
	struct jail_usage use;
	char name[40];
	pid_t pid;
	int r;

	jail_need_root();
	snprintf(name, sizeof(name), "real-%d", (int)getpid());
	limits.processes = 7;
	r = cgroup_create(name, &limits, &cg, &err);
	if (r < 0)
		tap_fail("%s", err.text);
	if (r == 1 || cg->n == 0) {
		cgroup_remove(cg, NULL);
		tap_skip("this host has no controller of processes");
	}
	if ((pid = fork()) == 0) {
		pause();
		_exit(0);
	}
	if (cgroup_enter(cg, pid, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_int(cgroup_usage(cg, &use), 0);
	tap_check(use.memory < (1 << 30));
	/* kills what is in there, twice is no failure */
	if (cgroup_remove(cg, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_int(waitpid(pid, &r, 0), pid);
	tap_check(WIFSIGNALED(r) && WTERMSIG(r) == SIGKILL);
	tap_check_int(cgroup_remove(cg, &err), 0);
	cgroup_free(cg);
	tap_check_u64(jail_test_groups(name), 0);
}

/* A second zone of that name must not get the first one's groups. */
static void
names_are_unique(void)
{
	struct jail_limits limits = JAIL_LIMITS_NONE;
	struct error err = ERROR_INIT;
	struct cgroup *cg = NULL, *other = NULL;
	char name[40];
	pid_t pid;

	jail_need_root();
	snprintf(name, sizeof(name), "twice-%d", (int)getpid());
	tap_check(cgroup_create(name, &limits, &cg, &err) >= 0);
	if (cg->n == 0)
		tap_skip("this host has no control groups");
	if ((pid = fork()) == 0) {
		pause();
		_exit(0);
	}
	tap_check_int(cgroup_enter(cg, pid, &err), 0);
	tap_check_int(cgroup_create(name, &limits, &other, &err), -EBUSY);
	tap_check_has(err.text, "halt the zone first");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* what a crash left empty is taken over */
	if (cgroup_create(name, &limits, &other, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_int(cgroup_remove(other, NULL), 0);
	cgroup_free(other);
	cgroup_free(cg);
}

/* Memory and swap move in both directions (v1 wants them in order). */
static void
limits_move(void)
{
	static const uint64_t sizes[] = { 64 << 20, 256 << 20, 32 << 20,
		JAIL_UNLIMITED, 128 << 20 };
	struct jail_limits limits = JAIL_LIMITS_NONE;
	struct error err = ERROR_INIT;
	struct cgroup *cg = NULL;
	char name[40];

	jail_need_root();
	snprintf(name, sizeof(name), "move-%d", (int)getpid());
	tap_check(cgroup_create(name, &limits, &cg, &err) >= 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		limits.physical = limits.swap = sizes[i];
		int r = cgroup_limit(cg, &limits, &err);

		if (r == 1)
			break;
		if (r != 0)
			tap_fail("%zu: %s", i, err.text);
	}
	tap_check_int(cgroup_remove(cg, NULL), 0);
	cgroup_free(cg);
}

static const struct tap_test tests[] = {
	TAP_TEST(v2_files),
	TAP_TEST(v2_climbs),
	TAP_TEST(v1_files),
	TAP_TEST(hybrid_files),
	TAP_TEST(notices),
	TAP_TEST(saved_lists_are_checked),
	TAP_TEST(real_groups),
	TAP_TEST(names_are_unique),
	TAP_TEST(limits_move),
};
TAP_MAIN(tests)
