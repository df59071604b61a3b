/*
 * Frames of a guest are read here, so behind walls: no path, no other process,
 * no socket but the two that it has, and of root's capabilities the one that
 * changes the sets.
 */
#include "learn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/sockios.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "jail/lock.h"
#include "jail/lock_rules.h"
#include "link/guard.h"
#include "link/nft_learn.h"

#define YES ANSWER_YES

static const struct lock_rule rules[] = {
	{ "poll", 0, YES },
	{ "recvfrom", 0, YES },
	{ "sendto", 0, YES },
	{ "getsockname", 0, YES },
	{ "ioctl", 0, YES, { 1, UINT32_MAX, SIOCGIFFLAGS }, "SIOCGIFFLAGS" },
	{ "clock_nanosleep", 0, YES },
};

/* ---- the child ---- */

static int
drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2] = { { 0 } };

	data[0].effective = data[0].permitted = 1u << CAP_NET_ADMIN;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    syscall(SYS_capset, &head, data) != 0)
		return -errno;
	return 0;
}

/* Landlock is not on every kernel; seccomp has no call that takes a path. */
static int
confine(struct error *err)
{
	const struct lock_keep nothing = { .rights = 0 };
	int rc = drop_capabilities();

	if (rc < 0)
		return error_sys(err, -rc, "capabilities");
	rc = lock_paths_but(&nothing, err);
	return rc < 0 ? rc : lock_calls_of(rules, ARRAY_LEN(rules), err);
}

static void
keep_only(int fds[3])
{
	int next = 0;

	for (int i = 0; i < 3; i++)
		for (int k = i + 1; k < 3; k++)
			if (fds[k] < fds[i]) {
				int fd = fds[i];

				fds[i] = fds[k];
				fds[k] = fd;
			}
	for (int i = 0; i < 3; i++) {
		if (next < fds[i])
			(void)close_range(
			    (unsigned)next, (unsigned)fds[i] - 1, 0);
		next = fds[i] + 1;
	}
	(void)close_range((unsigned)next, ~0U, 0);
}

static _Noreturn void
learn(struct nft_learner *l, const char *name, int ready)
{
	struct error err = ERROR_INIT;
	int fds[3];

	nft_learner_fds(l, fds);
	fds[2] = ready;
	keep_only(fds);
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	if (confine(&err) < 0) {
		(void)fd_write_all(ready, err.text, strlen(err.text));
		_exit(1);
	}
	(void)fd_write_all(ready, "", 1);
	close(ready);
	do
		nft_learner_wait(l);
	while (nft_learner_turn(l) == 1);
	_exit(0);
}

/* ---- who starts and ends it ---- */

static int
wait_until_ready(int fd, pid_t pid, struct error *err)
{
	char text[200] = "it ended";
	ssize_t n = fd_read_full(fd, text, 1);

	if (n == 1 && text[0] == '\0')
		return 0;
	if (n == 1 && (n = fd_read_full(fd, text + 1, sizeof(text) - 2)) >= 0)
		text[n + 1] = '\0';
	(void)waitpid(pid, NULL, 0);
	return error_set(
	    err, EIO, "ips: who learns addresses does not start: %s", text);
}

static int
start(const struct link_spec *spec, pid_t *ret, struct error *err)
{
	struct nft_learner *l = NULL;
	int ends[2], rc = nft_learner_open(spec, &l, err);
	pid_t pid;

	if (rc < 0)
		return rc;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		nft_learner_close(l);
		return error_sys(err, errno, "pipe");
	}
	pid = fork();
	if (pid == 0)
		learn(l, spec->name, ends[1]);
	rc = pid < 0 ? error_sys(err, errno, "fork") : 0;
	nft_learner_close(l);
	close(ends[1]);
	if (rc == 0)
		rc = wait_until_ready(ends[0], pid, err);
	close(ends[0]);
	if (rc == 0)
		*ret = pid;
	return rc;
}

/* Numbers are used again: it must have the link's name. */
static void
end(pid_t pid, const char *name)
{
	char path[64];
	struct buf comm;
	int fd;

	if (pid <= 0 || (fd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
		return;
	buf_init(&comm, 64);
	(void)str_format(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (fd_read_file(AT_FDCWD, path, &comm) >= 0 &&
	    comm.len == strlen(name) + 1 &&
	    memcmp(comm.data, name, strlen(name)) == 0)
		(void)syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
	buf_fini(&comm);
	close(fd);
}

int
learner_renew(const struct link_spec *spec, struct error *err)
{
	pid_t before, pid = 0;
	int rc = link_guard_learner(spec->name, &before, err);

	if (rc <= 0) /* an error, or BPF */
		return rc;
	if (link_guard_learns(spec))
		rc = start(spec, &pid, err);
	if (rc < 0)
		return rc;
	end(before, spec->name);
	if (pid == before)
		return 0;
	rc = link_guard_set_learner(spec->name, pid, err);
	if (rc < 0)
		end(pid, spec->name);
	return rc;
}
