/*
 * The process in the walls, from its start to the last trace of it: found
 * again by pid and start time, waited for, killed, cleaned up after.
 */
#include "jail/life.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"

/* PIDFD_GET_INFO of linux/pidfd.h (6.13), EXIT since 6.15. */
struct pidfd_info_v1 {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ids[8];
	int32_t exit_code;
	uint32_t rest[8];
};
#define INFO_EXIT (1U << 3)

#define REAP_MS 2000 /* for the one who inherits a zombie to reap it */
#define KILL_MS 30000

struct jail {
	char *name;
	pid_t pid;
	uint64_t start; /* clock ticks since the host's start */
	int pidfd;
	struct cgroup *cg;
	int status;
	bool waited; /* status is known */
};

/* Field 22 of /proc/PID/stat (proc(5)), after a name that may hold anything. */
static int
start_time(pid_t pid, uint64_t *ret)
{
	char path[32], text[1024], *p;
	cleanup_close int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return errno == ENOENT ? -ESRCH : -errno;
	if ((n = fd_read_full(fd, text, sizeof(text) - 1)) < 0)
		return (int)n;
	text[n] = '\0';
	if ((p = strrchr(text, ')')) == NULL)
		return -EIO;
	for (int field = 2; field < 22; field++)
		if ((p = strchr(p + 1, ' ')) == NULL)
			return -EIO;
	errno = 0;
	*ret = strtoull(p + 1, NULL, 10);
	return errno != 0 ? -errno : 0;
}

int
life_new(const char *name, pid_t pid, int pidfd, struct cgroup *cg,
    struct jail **ret, struct error *err)
{
	struct jail *j = alloc_zero(1, sizeof(*j));
	int r;

	if (j == NULL || (j->name = alloc_strdup(name)) == NULL) {
		free(j);
		return error_set(err, ENOMEM, "out of memory");
	}
	if ((r = start_time(pid, &j->start)) != 0) {
		free(j->name);
		free(j);
		return error_sys(
		    err, -r, "zone %s: cannot look at its process", name);
	}
	j->pid = pid;
	j->pidfd = pidfd;
	j->cg = cg;
	*ret = j;
	return 0;
}

pid_t
jail_pid(const struct jail *j)
{
	return j->pid;
}

int
jail_pidfd(const struct jail *j)
{
	return j->pidfd;
}

struct cgroup *
jail_cgroup(struct jail *j)
{
	return j->cg;
}

int
jail_save(const struct jail *j, struct nvlist **ret)
{
	struct nvlist *nvl = NULL;
	int r = cgroup_save(j->cg, &nvl);

	if (r != 0)
		return r;
	if ((r = nvlist_add_str(nvl, "name", j->name)) != 0 ||
	    (r = nvlist_add_u64(nvl, "pid", (uint64_t)j->pid)) != 0 ||
	    (r = nvlist_add_u64(nvl, "start", j->start)) != 0) {
		nvlist_free(nvl);
		return r;
	}
	*ret = nvl;
	return 0;
}

/* The same process as was saved, or -ESRCH. */
static int
open_saved(const struct nvlist *saved, pid_t *ret_pid, uint64_t *ret_start)
{
	uint64_t pid, start, now = 0;
	struct pollfd pfd = { .events = POLLIN };
	int fd, r;

	if (nvlist_get_u64(saved, "pid", &pid) != 0 ||
	    nvlist_get_u64(saved, "start", &start) != 0 || pid == 0 ||
	    pid > INT32_MAX)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (fd == -1)
		return errno == ESRCH || errno == EINVAL ? -ESRCH : -errno;
	/* the number may be another's by now: compare after it is held */
	r = start_time((pid_t)pid, &now);
	pfd.fd = fd;
	if (r == 0 && (now != start || poll(&pfd, 1, 0) == 1))
		r = -ESRCH;
	if (r != 0) {
		close(fd);
		return r;
	}
	*ret_pid = (pid_t)pid;
	*ret_start = start;
	return fd;
}

int
jail_attach(const struct nvlist *saved, struct jail **ret, struct error *err)
{
	const char *name = "?";
	struct cgroup *cg = NULL;
	cleanup_close int fd = -1;
	uint64_t start;
	pid_t pid;
	int r;

	nvlist_get_str(saved, "name", &name);
	if ((fd = open_saved(saved, &pid, &start)) < 0)
		return error_sys(err, -fd, "zone %s: its process", name);
	if ((r = cgroup_attach(saved, &cg, err)) < 0)
		return r;
	if ((r = life_new(name, pid, fd, cg, ret, err)) != 0) {
		cgroup_free(cg);
		return r;
	}
	fd = -1;
	return 0;
}

int
jail_take_fd(const struct jail *j, int fd)
{
	int r = (int)syscall(SYS_pidfd_getfd, j->pidfd, fd, 0);

	return r == -1 ? -errno : r;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* poll(2) for 'events' until a limit; < 0 milliseconds: none. */
static int
poll_for(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	uint64_t end = now_ms() + (uint64_t)MAX(ms, 0);

	for (;;) {
		uint64_t now = now_ms();
		int left = ms < 0 ? -1 : end > now ? (int)(end - now) : 0;
		int n = poll(&pfd, 1, left);

		if (n == 1)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* A process that is not our child: the kernel keeps its status for holders. */
static int
ask_status(int pidfd, int *ret)
{
	struct pidfd_info_v1 info;
	unsigned long req = _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, 64);
	uint64_t end = now_ms() + REAP_MS;

	for (;;) {
		memset(&info, 0, sizeof(info));
		info.mask = INFO_EXIT;
		if (ioctl(pidfd, req, &info) == -1)
			return errno == ESRCH || errno == ENOTTY ||
				errno == EINVAL
			    ? -ECHILD
			    : -errno;
		if ((info.mask & INFO_EXIT) != 0) {
			*ret = info.exit_code;
			return 0;
		}
		if (now_ms() >= end)
			return -ECHILD;
		poll(NULL, 0, 5); /* its new parent has not reaped it yet */
	}
}

static int
status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

int
jail_wait(struct jail *j, int *ret_status)
{
	siginfo_t info = { 0 };
	int r;

	if (!j->waited) {
		if ((r = poll_for(j->pidfd, POLLIN, -1)) != 0)
			return r;
		if (waitid(P_PIDFD, (id_t)j->pidfd, &info, WEXITED) == 0)
			j->status = status_of(&info);
		else if ((r = ask_status(j->pidfd, &j->status)) != 0)
			return r;
		j->waited = true;
	}
	*ret_status = j->status;
	return 0;
}

int
jail_kill(struct jail *j, int signo)
{
	if (syscall(SYS_pidfd_send_signal, j->pidfd, signo, NULL, 0) == -1)
		return -errno;
	return 0;
}

/* Dead, and no zombie of ours. */
static int
end_process(int pidfd, const char *name, struct error *err)
{
	siginfo_t info;
	int r;

	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == -1 &&
	    errno != ESRCH)
		return error_sys(
		    err, errno, "zone %s: cannot kill its process", name);
	if ((r = poll_for(pidfd, POLLIN, KILL_MS)) != 0)
		return error_sys(
		    err, -r, "zone %s: its process does not end", name);
	waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	return 0;
}

int
jail_destroy(struct jail *j, struct error *err)
{
	int r;

	cgroup_thaw(j->cg);
	if ((r = end_process(j->pidfd, j->name, err)) != 0)
		return r;
	if ((r = cgroup_remove(j->cg, err)) != 0)
		return error_prefix(err, "zone %s", j->name);
	jail_free(j);
	return 0;
}

void
jail_free(struct jail *j)
{
	if (j == NULL)
		return;
	fd_close(&j->pidfd);
	cgroup_free(j->cg);
	free(j->name);
	free(j);
}

int
jail_clean(const struct nvlist *saved, struct error *err)
{
	const char *name = "?";
	struct cgroup *cg = NULL;
	cleanup_close int fd = -1;
	uint64_t start;
	pid_t pid;
	int r;

	nvlist_get_str(saved, "name", &name);
	if ((r = cgroup_attach(saved, &cg, err)) < 0)
		return r;
	cgroup_thaw(cg);
	fd = open_saved(saved, &pid, &start);
	r = fd >= 0 ? end_process(fd, name, err) : 0;
	if (r == 0 && (r = cgroup_remove(cg, err)) != 0)
		r = error_prefix(err, "zone %s", name);
	cgroup_free(cg);
	return r;
}
