/*
 * The caller's side of a spawn: groups and mounts opened before, maps and
 * limits set after the clone, and the child's report waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "jail/jail_impl.h"
#include "jail/life.h"

/* The child leaves its cgroup namespace to a later step ("enter"). */
#define NAMESPACES                                                   \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | \
	    CLONE_NEWIPC | CLONE_NEWUTS)

int
jail_do_groups(struct jail_run *run, const struct jail_step *step)
{
	int r =
	    cgroup_create(step->what, &run->plan->limits, &run->cg, run->err);

	run->notice = r == 1;
	if (r < 0)
		return r;
	return cgroup_entries(run->cg, &run->group, run->entries,
	    ARRAY_LEN(run->entries), &run->nentries, run->err);
}

/* A link of the host that is wanted at the same place: its text. */
static int
read_link(const struct jail_step *step, char **ret)
{
	char text[PATH_MAX];
	ssize_t n;

	if (strcmp(step->what, step->where) != 0)
		return 0;
	n = readlink(step->what, text, sizeof(text) - 1);
	if (n == -1)
		return errno == EINVAL ? 0 : -errno;
	text[n] = '\0';
	*ret = alloc_strdup(text);
	return *ret == NULL ? -ENOMEM : 1;
}

int
jail_do_open(struct jail_run *run, const struct jail_step *step)
{
	struct jail_source *src = &run->sources[step->slot];
	struct mount_attr attr = {
		.attr_set = step->flags,
		.propagation = 1 << 18, /* MS_PRIVATE */
	};
	struct stat st;
	int r = read_link(step, &src->link);

	if (r < 0)
		return r == -ENOENT && step->optional ? 0 : r;
	if (r == 1)
		return 0;
	src->fd = (int)syscall(SYS_open_tree, AT_FDCWD, step->what,
	    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (src->fd == -1)
		return errno == ENOENT && step->optional ? 0 : -errno;
	if (syscall(SYS_mount_setattr, src->fd, "",
		AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) == -1 ||
	    fstat(src->fd, &st) == -1)
		return -errno;
	src->dir = S_ISDIR(st.st_mode);
	return 0;
}

static int
write_map(pid_t pid, const char *file, const struct jail_plan *plan)
{
	char path[64], line[64];
	cleanup_close int fd = -1;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return -errno;
	n = snprintf(line, sizeof(line), "0 %" PRIu32 " %" PRIu32 "\n",
	    plan->uid_base, plan->uid_count);
	return fd_write_all(fd, line, (size_t)n);
}

int
jail_do_map(struct jail_run *run, const struct jail_step *step)
{
	int r = write_map(run->pid, "uid_map", run->plan);

	return r != 0 ? r : write_map(run->pid, "gid_map", run->plan);
}

static const struct {
	const char *name;
	int which;
} rlimits[] = {
	{ "core", RLIMIT_CORE },
	{ "nofile", RLIMIT_NOFILE },
	{ "memlock", RLIMIT_MEMLOCK },
};

/* Best effort upwards: a host may hold limits that nobody may raise. */
int
jail_do_rlimit(struct jail_run *run, const struct jail_step *step)
{
	for (size_t i = 0; i < ARRAY_LEN(rlimits); i++) {
		struct rlimit lim = { step->flags, step->flags };

		if (strcmp(rlimits[i].name, step->what) != 0)
			continue;
		if (prlimit(run->pid, rlimits[i].which, &lim, NULL) == 0)
			return 0;
		if (errno != EPERM ||
		    prlimit(run->pid, rlimits[i].which, NULL, &lim) == -1)
			return -errno;
		lim.rlim_cur = MIN(lim.rlim_max, (rlim_t)step->flags);
		return prlimit(run->pid, rlimits[i].which, &lim, NULL) == -1
		    ? -errno
		    : 0;
	}
	return -EINVAL;
}

static int
host_steps(struct jail_run *run, enum jail_who who)
{
	const struct jail_plan *plan = run->plan;

	for (size_t i = 0; i < plan->nsteps; i++) {
		const struct jail_step *s = &plan->steps[i];
		char text[128];
		int r;

		if (s->verb->who != who)
			continue;
		if (jail_step_hook != NULL)
			jail_step_hook((unsigned)i, who);
		if ((r = s->verb->fn(run, s)) == 0)
			continue;
		jail_step_text(s, text, sizeof(text));
		if (s->verb->fn == jail_do_groups)
			return error_prefix(run->err, "zone %s", plan->name);
		return error_sys(
		    run->err, -r, "zone %s: cannot %s", plan->name, text);
	}
	return 0;
}

/* The child is another process that shares nothing but descriptors. */
static int
clone_child(struct jail_run *run, int go[2], int report[2])
{
	struct clone_args args = {
		.flags = NAMESPACES | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&run->pidfd,
		.exit_signal = SIGCHLD,
	};
	sigset_t all, old;
	long pid;
	int saved;

	if (run->group != -1) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)run->group;
	}
	/* no handler of the caller may run in there */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		close(go[1]);
		run->go = go[0];
		run->report = report[1];
		jail_inside(run);
	}
	saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid == -1)
		return error_sys(run->err, saved,
		    "zone %s: cannot make its namespaces", run->plan->name);
	run->pid = (pid_t)pid;
	return 0;
}

/* End of file: it has become the program. */
static int
await_report(struct jail_run *run, int report)
{
	const struct jail_plan *plan = run->plan;
	char text[128];
	int said[2];
	ssize_t n = fd_read_full(report, said, sizeof(said));

	if (n == 0)
		return 0;
	if (n != sizeof(said) || said[0] < 0 ||
	    (size_t)said[0] >= plan->nsteps || said[1] >= 0)
		return error_set(run->err, EIO,
		    "zone %s: its process ended while it was being confined",
		    plan->name);
	jail_step_text(&plan->steps[said[0]], text, sizeof(text));
	return error_sys(
	    run->err, -said[1], "zone %s: cannot %s", plan->name, text);
}

static int
start(struct jail_run *run)
{
	cleanup_close int go0 = -1, go1 = -1, report0 = -1, report1 = -1;
	int go[2], report[2], r;

	if (pipe2(go, O_CLOEXEC) == -1)
		return error_sys(run->err, errno, "cannot make a pipe");
	go0 = go[0];
	go1 = go[1];
	if (pipe2(report, O_CLOEXEC) == -1)
		return error_sys(run->err, errno, "cannot make a pipe");
	report0 = report[0];
	report1 = report[1];
	if ((r = clone_child(run, go, report)) != 0)
		return r;
	fd_close(&go0);
	fd_close(&report1);
	if ((r = host_steps(run, JAIL_AFTER)) != 0)
		return r;
	if ((r = fd_write_nosig(go1, "", 1)) < 0) {
		/* it failed before: say why */
		int why = await_report(run, report0);

		return why != 0 ? why
				: error_sys(run->err, -r,
				      "zone %s: cannot start", run->plan->name);
	}
	return await_report(run, report0);
}

static void
run_fini(struct jail_run *run)
{
	for (unsigned i = 0; i < run->plan->nsources; i++) {
		fd_close(&run->sources[i].fd);
		free(run->sources[i].link);
	}
	free(run->sources);
	for (size_t i = 0; i < run->nentries; i++)
		fd_close(&run->entries[i]);
	fd_close(&run->group);
}

static int
check_program(const struct jail_program *prog, struct error *err)
{
	bool used[JAIL_FD_MAX] = { false };

	for (size_t i = 0; i < prog->nfds; i++) {
		int to = prog->fds[i].to;

		if (i >= JAIL_FD_MAX || to < 0 || to >= JAIL_FD_MAX || used[to])
			return error_set(err, EINVAL,
			    "descriptor %d of a zone's program: must be below "
			    "%d and given once",
			    to, JAIL_FD_MAX);
		used[to] = true;
	}
	return 0;
}

/* Undo what a failed start made. */
static void
undo(struct jail_run *run)
{
	if (run->pid > 0) {
		siginfo_t info;

		kill(run->pid, SIGKILL);
		while (waitid(P_PIDFD, (id_t)run->pidfd, &info,
			   WEXITED | __WALL) == -1 &&
		    errno == EINTR)
			;
		fd_close(&run->pidfd);
	}
	if (run->cg != NULL) {
		cgroup_remove(run->cg, NULL);
		cgroup_free(run->cg);
	}
}

int
jail_spawn(const struct jail_plan *plan, const struct jail_program *prog,
    struct jail **ret, struct error *err)
{
	struct error spare = ERROR_INIT;
	struct jail_run run = {
		.plan = plan,
		.prog = prog,
		.group = -1,
		.pidfd = -1,
		.err = err != NULL ? err : &spare,
	};
	int r = check_program(prog, err);

	if (r != 0)
		return r;
	run.sources = alloc_zero(plan->nsources + 1, sizeof(*run.sources));
	if (run.sources == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (unsigned i = 0; i < plan->nsources; i++)
		run.sources[i].fd = -1;
	r = host_steps(&run, JAIL_BEFORE);
	if (r == 0)
		r = start(&run);
	if (r == 0)
		r = life_new(
		    plan->name, run.pid, run.pidfd, run.cg, ret, run.err);
	run_fini(&run);
	if (r != 0) {
		undo(&run);
		return r;
	}
	return run.notice ? 1 : 0;
}
