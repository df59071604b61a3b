/*
 * kill -9 of the one who spawns, at every step of the plan and on either side:
 * jail_clean() with what was saved before finds everything, and nothing is
 * left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "jail/jail_impl.h"
#include "jail_util.h"
#include "tap.h"

#define HIGH 200 /* above what a child closes */

static unsigned stop_at;
static int reached = -1, released = -1;

/* Say so, then wait until the test has closed the other end. */
static void
hook(unsigned step, enum jail_who who)
{
	char c;

	if (step != stop_at)
		return;
	if (write(reached, "", 1) != 1)
		_exit(1);
	while (read(released, &c, 1) == -1 && errno == EINTR)
		;
}

/* Processes of the zone, by the range of uids that only it has. */
static unsigned
processes(uint32_t base)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	unsigned n = 0;

	tap_check(d != NULL);
	while ((de = readdir(d)) != NULL) {
		char path[300], text[200] = "";
		unsigned long long inside = 1, outside = 0;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/uid_map", de->d_name);
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
			continue;
		if (fd_read_full(fd, text, sizeof(text) - 1) > 0 &&
		    sscanf(text, "%llu %llu", &inside, &outside) == 2)
			n += outside == base;
		close(fd);
	}
	closedir(d);
	return n;
}

static void
spawner(const struct jail_plan *plan)
{
	char *argv[] = { (char *)"sleep", (char *)"1000", NULL };
	const struct jail_program prog = {
		.exe = open("/bin/sleep", O_PATH | O_CLOEXEC),
		.argv = argv,
		.envp = argv + 2,
	};
	struct jail *j = NULL;

	jail_step_hook = hook;
	if (jail_spawn(plan, &prog, &j, NULL) < 0)
		_exit(1);
	hook(stop_at, JAIL_AFTER); /* the last: after it all */
	_exit(2);
}

/* A pipe with both ends where the child of a spawn leaves them alone. */
static void
high_pipe(int ret[2])
{
	int p[2];

	tap_check_int(pipe2(p, O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) {
		ret[i] = fcntl(p[i], F_DUPFD_CLOEXEC, HIGH);
		tap_check(ret[i] != -1);
		close(p[i]);
	}
}

static void
kill_at(const struct jail_spec *spec, const struct jail_plan *plan)
{
	int say[2], go[2], status;
	struct nvlist *saved = NULL;
	struct error err = ERROR_INIT;
	struct pollfd pfd;
	pid_t pid;
	char c;

	high_pipe(say);
	high_pipe(go);
	tap_check_int(jail_plan_save(plan, &saved), 0);
	if ((pid = fork()) == 0) {
		reached = say[1];
		released = go[0];
		close(go[1]);
		close(say[0]);
		spawner(plan);
	}
	close(say[1]);
	close(go[0]);
	tap_check_int(read(say[0], &c, 1), 1);
	kill(pid, SIGKILL);
	tap_check_int(waitpid(pid, &status, 0), pid);
	close(go[1]); /* a child that waited goes on, alone */
	if (jail_clean(saved, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_int(jail_clean(saved, &err), 0);
	tap_check_u64(jail_test_groups(spec->name), 0);
	/* a child ends by itself when it finds its parent dead */
	pfd = (struct pollfd){ .fd = say[0], .events = POLLIN };
	tap_check_int(poll(&pfd, 1, 30000), 1);
	for (unsigned i = 0; i < 3000 && processes(spec->uid_base) != 0; i++) {
		poll(NULL, 0, 10);
		waitpid(-1, NULL, WNOHANG); /* its parent is dead */
	}
	tap_check_u64(processes(spec->uid_base), 0);
	/* and what it did on its way is gone as well */
	tap_check_int(jail_clean(saved, &err), 0);
	tap_check_u64(jail_test_groups(spec->name), 0);
	close(say[0]);
	nvlist_free(saved);
}

static void
every_step(void)
{
	unsigned before = jail_test_mounts();
	struct jail_spec spec = jail_test_spec();
	struct jail_plan *plan = NULL;

	jail_need_root();
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	spec.uid_base = 0x40000000 + (uint32_t)getpid() * 0x100;
	spec.uid_count = 0x100;
	tap_check_int(jail_plan_make(&spec, &plan, NULL), 0);
	if (jail_test_groups(spec.name) != 0)
		tap_fail("a leftover of another run");
	for (stop_at = 0; stop_at <= plan->nsteps; stop_at++) {
		char text[200] = "after the last";

		if (stop_at < plan->nsteps)
			jail_step_text(
			    &plan->steps[stop_at], text, sizeof(text));
		tap_context("killed at step %u, %s", stop_at, text);
		kill_at(&spec, plan);
	}
	tap_note("%zu steps", plan->nsteps + 1);
	jail_plan_free(plan);
	tap_check_u64(jail_test_mounts(), before);
}

static const struct tap_test tests[] = {
	TAP_TEST(every_step),
};
TAP_MAIN(tests)
