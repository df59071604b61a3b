/*
 * What the new process does between clone and exec. The caller may have
 * threads, so memory of the heap, locks and stdio are out of bounds here:
 * system calls on what the plan and the caller prepared, nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "jail/jail_impl.h"

/*
 * Where the new root is built. Any folder that every host has will do: the
 * mount is seen only in here, and for a moment.
 */
#define BUILD_AT "/tmp"
#define ROOT_DATA "size=1m,nr_inodes=1024,mode=0755"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

void (*jail_step_hook)(unsigned step, enum jail_who who);

static int
result(long r)
{
	return r == -1 ? -errno : 0;
}

int
jail_do_enter(struct jail_run *run, const struct jail_step *step)
{
	/* by "tasks" and 0, itself: no lock over all processes is taken */
	for (size_t i = 0; i < run->nentries; i++)
		if (write(run->entries[i], "0", 1) != 1)
			return -errno;
	/* now, so that the namespace's root is the zone's own group */
	return result(unshare(CLONE_NEWCGROUP));
}

int
jail_do_wait(struct jail_run *run, const struct jail_step *step)
{
	char c;
	ssize_t n;

	do {
		n = read(run->go, &c, 1);
	} while (n == -1 && errno == EINTR);
	if (n != 1)
		_exit(1); /* the caller has died */
	return 0;
}

int
jail_do_user(struct jail_run *run, const struct jail_step *step)
{
	/* the system calls: the library's would speak to other threads */
	if (syscall(SYS_setgroups, 0, NULL) == -1 ||
	    syscall(SYS_setresgid, step->flags, step->flags, step->flags) ==
		-1 ||
	    syscall(SYS_setresuid, step->flags, step->flags, step->flags) == -1)
		return -errno;
	return 0;
}

int
jail_do_session(struct jail_run *run, const struct jail_step *step)
{
	if (setsid() == -1)
		return -errno;
	umask(022); /* for what the root is built of */
	/* not the supervisor's keys; a kernel without keys has none */
	syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
	return 0;
}

int
jail_do_hostname(struct jail_run *run, const struct jail_step *step)
{
	return result(sethostname(step->what, strlen(step->what)));
}

int
jail_do_private(struct jail_run *run, const struct jail_step *step)
{
	return result(mount(NULL, step->what, NULL, MS_REC | MS_PRIVATE, NULL));
}

int
jail_do_sysctl(struct jail_run *run, const struct jail_step *step)
{
	char text[24];
	int fd = open(step->what, O_WRONLY | O_CLOEXEC), n, r = 0;

	if (fd == -1)
		return -errno;
	n = snprintf(text, sizeof(text), "%d\n", (int)step->flags);
	if (write(fd, text, (size_t)n) != n)
		r = -errno;
	close(fd);
	return r;
}

int
jail_do_root(struct jail_run *run, const struct jail_step *step)
{
	if (mount("zone", BUILD_AT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		ROOT_DATA) == -1)
		return -errno;
	return result(chdir(BUILD_AT));
}

/* Folders above a path that is relative to the new root. */
static int
make_above(const char *path)
{
	char part[PATH_MAX];

	for (const char *p = strchr(path, '/'); p != NULL;
	     p = strchr(p + 1, '/')) {
		size_t n = (size_t)(p - path);

		if (n >= sizeof(part))
			return -ENAMETOOLONG;
		memcpy(part, path, n);
		part[n] = '\0';
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* A mount point; one that is there is used again. */
static int
make_point(const char *path, bool dir)
{
	int r = make_above(path), fd;

	if (r != 0)
		return r;
	if (dir)
		return mkdir(path, 0755) == -1 && errno != EEXIST ? -errno : 0;
	fd = open(path, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return -errno;
	close(fd);
	return 0;
}

int
jail_do_attach(struct jail_run *run, const struct jail_step *step)
{
	const struct jail_source *src = &run->sources[step->slot];
	const char *at = step->where + 1;
	int r;

	if (src->link != NULL) {
		if ((r = make_above(at)) != 0)
			return r;
		return result(symlink(src->link, at));
	}
	if (src->fd == -1)
		return 0; /* the host has none */
	if ((r = make_point(at, src->dir)) != 0)
		return r;
	return result(syscall(SYS_move_mount, src->fd, "", AT_FDCWD, at,
	    MOVE_MOUNT_F_EMPTY_PATH));
}

static const struct {
	uint64_t attr;
	unsigned long ms;
} old_flags[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY },
	{ MOUNT_ATTR_NOSUID, MS_NOSUID },
	{ MOUNT_ATTR_NODEV, MS_NODEV },
	{ MOUNT_ATTR_NOEXEC, MS_NOEXEC },
};

int
jail_do_tmpfs(struct jail_run *run, const struct jail_step *step)
{
	const char *at = step->where + 1;
	unsigned long flags = 0;
	int r = make_point(at, true);

	if (r != 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(old_flags); i++)
		if ((step->flags & old_flags[i].attr) != 0)
			flags |= old_flags[i].ms;
	return result(mount("zone", at, "tmpfs", flags, step->data));
}

int
jail_do_link(struct jail_run *run, const struct jail_step *step)
{
	int r = make_above(step->where + 1);

	return r != 0 ? r : result(symlink(step->what, step->where + 1));
}

/* pivot_root(2), "pivot_root(".", ".")": the old root ends on top, and goes. */
int
jail_do_pivot(struct jail_run *run, const struct jail_step *step)
{
	if (syscall(SYS_pivot_root, ".", ".") == -1 ||
	    umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
		return -errno;
	return 0;
}

int
jail_do_seal(struct jail_run *run, const struct jail_step *step)
{
	return result(mount(NULL, step->what, NULL,
	    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
	    NULL));
}

/*
 * First all out of the way of the targets, then to them. Close-on-exec from
 * JAIL_FD_MAX on, closed below.
 */
int
jail_do_fds(struct jail_run *run, const struct jail_step *step)
{
	const struct jail_program *prog = run->prog;
	int high[JAIL_FD_MAX];
	bool used[JAIL_FD_MAX] = { false };

	run->report = fcntl(run->report, F_DUPFD_CLOEXEC, JAIL_FD_MAX);
	run->exe = fcntl(prog->exe, F_DUPFD_CLOEXEC, JAIL_FD_MAX);
	if (run->report == -1 || run->exe == -1)
		return -errno;
	for (size_t i = 0; i < prog->nfds; i++) {
		high[i] =
		    fcntl(prog->fds[i].from, F_DUPFD_CLOEXEC, JAIL_FD_MAX);
		if (high[i] == -1)
			return -errno;
	}
	for (size_t i = 0; i < prog->nfds; i++) {
		if (dup2(high[i], prog->fds[i].to) == -1)
			return -errno;
		used[prog->fds[i].to] = true;
	}
	for (int fd = 0; fd < JAIL_FD_MAX; fd++)
		if (!used[fd])
			close(fd);
	return result(syscall(
	    SYS_close_range, JAIL_FD_MAX, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */));
}

int
jail_do_bound(struct jail_run *run, const struct jail_step *step)
{
	for (unsigned long cap = 0; cap <= 63; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == -1)
			break; /* the kernel has no more of them */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return -errno;
	}
	return 0;
}

int
jail_do_secure(struct jail_run *run, const struct jail_step *step)
{
	return result(prctl(PR_SET_SECUREBITS,
	    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
		SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
		SECBIT_NO_CAP_AMBIENT_RAISE |
		SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
	    0, 0, 0));
}

int
jail_do_drop(struct jail_run *run, const struct jail_step *step)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 ||
	    syscall(SYS_capset, &head, none) == -1)
		return -errno;
	return result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* Kept over exec (mm flags); kernels before 6.3 lack it. */
int
jail_do_mdwe(struct jail_run *run, const struct jail_step *step)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == -1 &&
	    errno != EINVAL)
		return -errno;
	return 0;
}

/* Ignored signals would stay ignored, blocked ones blocked. */
static void
plain_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int
jail_do_exec(struct jail_run *run, const struct jail_step *step)
{
	plain_signals();
	umask(077);
	syscall(SYS_execveat, run->exe, "", run->prog->argv, run->prog->envp,
	    AT_EMPTY_PATH);
	return -errno;
}

void
jail_inside(struct jail_run *run)
{
	const struct jail_plan *plan = run->plan;
	int said[2];

	for (size_t i = 0; i < plan->nsteps; i++) {
		const struct jail_step *s = &plan->steps[i];
		int r;

		if (s->verb->who != JAIL_INSIDE)
			continue;
		if (jail_step_hook != NULL)
			jail_step_hook((unsigned)i, JAIL_INSIDE);
		if ((r = s->verb->fn(run, s)) != 0) {
			said[0] = (int)i;
			said[1] = r;
			(void)!write(run->report, said, sizeof(said));
			_exit(1);
		}
	}
	_exit(1);
}
