/*
 * The walls: the plan as data, and what a shell finds inside them.
 */
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "jail_util.h"
#include "tap.h"

static void
plan_of(const struct jail_spec *spec, struct buf *b)
{
	struct error err = ERROR_INIT;
	struct jail_plan *plan = NULL;

	if (jail_plan_make(spec, &plan, &err) != 0)
		tap_fail("%s", err.text);
	buf_init(b, 65536);
	tap_check_int(jail_plan_print(plan, b), 0);
	jail_plan_free(plan);
}

static void
plan_order(void)
{
	/* the order that makes the walls; each after the one before */
	static const char *const order[] = { "host: groups ", "host: open /usr",
		"host: map", "zone: enter", "zone: wait", "zone: user 0",
		"zone: private /", "zone: sysctl", "zone: root",
		"zone: attach /usr", "zone: tmpfs at /var/run", "zone: pivot",
		"zone: seal /", "zone: fds", "zone: bound", "zone: secure",
		"zone: user 1", "zone: drop", "zone: mdwe", "zone: exec" };
	struct jail_spec spec = jail_test_spec();
	const char *at;
	struct buf b;

	plan_of(&spec, &b);
	at = buf_str(&b);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		const char *next = strstr(at, order[i]);

		if (next == NULL)
			tap_fail("'%s' does not follow in:\n%s", order[i],
			    buf_str(&b));
		else
			at = next + 1;
	}
	tap_check_has(buf_str(&b),
	    "zone: tmpfs at /var/run nosuid,nodev,noexec "
	    "size=1m,nr_inodes=4096,mode=0700,uid=1,gid=1\n");
	tap_check_has(buf_str(&b), "host: open /usr at /usr ro,nosuid,nodev\n");
	tap_check_has(buf_str(&b), "host: rlimit nofile 256\n");
	/* without proc_lock_memory nothing can be locked */
	tap_check_has(buf_str(&b), "host: rlimit memlock 0\n");
	buf_fini(&b);
}

static void
plan_refuses(void)
{
	static const struct {
		struct jail_mount m;
		const char *why;
	} rows[] = {
		{ { JAIL_BIND, "/usr", "usr", NULL }, "whole paths" },
		{ { JAIL_BIND, "/usr", "/../usr", NULL }, "whole paths" },
		{ { JAIL_BIND, "/usr/./x", "/usr", NULL }, "whole paths" },
		{ { JAIL_BIND, "/us r", "/usr", NULL }, "blanks" },
		{ { JAIL_BIND, "/usr", "/", NULL }, "whole paths" },
		{ { JAIL_BIND, NULL, "/usr", NULL }, "whole paths" },
		{ { JAIL_DEVICE, "../etc/shadow", NULL, NULL }, "whole" },
		{ { JAIL_DEVICE, "/kvm", NULL, NULL }, "whole paths" },
		{ { JAIL_SYMLINK, "x", "../y", NULL }, "whole paths" },
		{ { JAIL_BIND, "/usr", "/usr", "ro,size=1m" }, "'size=1m'" },
		{ { JAIL_TMPFS, NULL, "/x", "uid=0" }, "'uid=0'" },
		{ { JAIL_TMPFS, NULL, "/x", "size=50%" }, "'size=50%'" },
		{ { JAIL_TMPFS, NULL, "/x", "dev" }, "unknown option 'dev'" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct jail_spec spec = jail_test_spec();
		struct error err = ERROR_INIT;
		struct jail_plan *plan = NULL;

		tap_context("row %zu", i);
		spec.mounts = &rows[i].m;
		spec.nmounts = 1;
		tap_check_int(jail_plan_make(&spec, &plan, &err), -EINVAL);
		tap_check(plan == NULL);
		tap_check_has(err.text, rows[i].why);
	}
}

static void
plan_refuses_ranges(void)
{
	static const struct {
		uint32_t base, count;
		uint64_t nofile;
		const char *name;
	} rows[] = {
		{ 0, 65536, 256, "z" },
		{ 100000, 1, 256, "z" },
		{ UINT32_MAX - 5, 65536, 256, "z" },
		{ 100000, 65536, 10, "z" },
		{ 100000, 65536, 256, "" },
		{ 100000, 65536, 256, "a/b" },
		{ 100000, 65536, 256, "a b" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct jail_spec spec = jail_test_spec();
		struct jail_plan *plan = NULL;

		tap_context("row %zu", i);
		spec.uid_base = rows[i].base;
		spec.uid_count = rows[i].count;
		spec.nofile = rows[i].nofile;
		spec.name = rows[i].name;
		tap_check_int(jail_plan_make(&spec, &plan, NULL), -EINVAL);
	}
}

/* What a script says inside, without the trace of it after. */
static void
say(const char *script, char *buf, size_t size)
{
	unsigned before = jail_test_mounts();
	struct jail_spec spec = jail_test_spec();
	struct error err = ERROR_INIT;
	int out, status = -1;
	struct jail *j = jail_test_shell(&spec, script, &out);

	jail_test_read(out, buf, size);
	close(out);
	tap_check_int(jail_wait(j, &status), 0);
	tap_check_int(status, 0);
	if (jail_destroy(j, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_u64(jail_test_mounts(), before);
	tap_check_u64(jail_test_groups(spec.name), 0);
}

static void
inside(void)
{
	char text[8192];

	jail_need_root();
	say("echo pid $$; id -u; hostname; ls -m /; ls -m /dev; ulimit -c; "
	    "ulimit -n; pwd; echo x >/dev/null && echo null; "
	    "cd /var/run && echo y >z && cat z; readlink /dev/stdin; "
	    "readlink /lib || echo folder; exit 0",
	    text, sizeof(text));
	tap_check_has(text, "pid 1\n1\ntest-");
	tap_check_has(text, "\ndev, lib, lib64, usr, var\n");
	tap_check_has(text, "\nnull, stdin, urandom\n0\n256\n/\nnull\ny\n");
}

static void
walls_of_mounts(void)
{
	char text[8192];

	jail_need_root();
	say("touch /x /usr/x /dev/x; ls /etc /proc /root; mkdir /var/y; "
	    "mount -t tmpfs x /var/run; chmod 700 /usr; mknod /var/run/m c 1 "
	    "3; exit 0",
	    text, sizeof(text));
	tap_check_has(text, "/x': Read-only file system");
	tap_check_has(text, "'/usr/x': Read-only file system");
	tap_check_has(text, "'/dev/x': Read-only file system");
	tap_check_has(text, "'/var/y': Read-only file system");
	tap_check_has(text, "'/etc': No such file");
	tap_check_has(text, "'/proc': No such file");
	tap_check_has(text, "'/root': No such file");
	tap_check_has(text,
	    "chmod: changing permissions of '/usr': "
	    "Read-only file system");
	tap_check_has(text, "mknod: /var/run/m: Operation not permitted");
}

static void
program_that_fails(void)
{
	struct jail_spec spec = jail_test_spec();
	struct jail *j;
	int out, status = -1;

	jail_need_root();
	j = jail_test_shell(&spec, "exit 7", &out);
	close(out);
	tap_check_int(jail_wait(j, &status), 0);
	tap_check_int(WEXITSTATUS(status), 7);
	/* the same again */
	tap_check_int(jail_wait(j, &status), 0);
	tap_check_int(WEXITSTATUS(status), 7);
	tap_check_int(jail_destroy(j, NULL), 0);

	j = jail_test_shell(&spec, "kill -9 $$; sleep 1000", &out);
	close(out);
	tap_check_int(jail_kill(j, SIGKILL), 0);
	tap_check_int(jail_wait(j, &status), 0);
	tap_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	tap_check_int(jail_destroy(j, NULL), 0);
	tap_check_u64(jail_test_groups(spec.name), 0);
}

/* The step's text comes back, and nothing stays. */
static void
errors_of_steps(void)
{
	static const struct {
		struct jail_mount m;
		const char *why;
	} rows[] = {
		{ { JAIL_BIND, "/no/such/folder", "/x", NULL },
		    "cannot open /no/such/folder at /x: No such file" },
		{ { JAIL_TMPFS, NULL, "/usr/no/x", NULL },
		    "cannot tmpfs at /usr/no/x: Read-only file system" },
		{ { JAIL_SYMLINK, "x", "null", NULL },
		    "cannot link x at /dev/null: File exists" },
	};
	struct jail_spec spec = jail_test_spec();
	unsigned before = jail_test_mounts();

	jail_need_root();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct jail_mount m[20];
		struct error err = ERROR_INIT;
		struct jail_plan *plan = NULL;
		struct jail *j = NULL;
		char *argv[] = { (char *)"x", NULL };
		const struct jail_program prog = { 0, argv, argv + 1, NULL, 0 };

		tap_context("row %zu", i);
		memcpy(m, spec.mounts, spec.nmounts * sizeof(*m));
		m[spec.nmounts] = rows[i].m;
		struct jail_spec with = spec;
		with.mounts = m;
		with.nmounts++;
		tap_check_int(jail_plan_make(&with, &plan, NULL), 0);
		tap_check(jail_spawn(plan, &prog, &j, &err) < 0);
		tap_check_has(err.text, rows[i].why);
		tap_check(j == NULL);
		jail_plan_free(plan);
		tap_check_u64(jail_test_groups(spec.name), 0);
		tap_check_u64(jail_test_mounts(), before);
	}
}

static void
exec_that_fails(void)
{
	struct jail_spec spec = jail_test_spec();
	cleanup_close int exe = open("/etc/passwd", O_PATH | O_CLOEXEC);
	char *argv[] = { (char *)"x", NULL };
	const struct jail_program prog = { exe, argv, argv + 1, NULL, 0 };
	struct error err = ERROR_INIT;
	struct jail_plan *plan = NULL;
	struct jail *j = NULL;

	jail_need_root();
	tap_check_int(jail_plan_make(&spec, &plan, NULL), 0);
	tap_check_int(jail_spawn(plan, &prog, &j, &err), -EACCES);
	tap_check_has(err.text, "cannot exec: Permission denied");
	jail_plan_free(plan);
	tap_check_u64(jail_test_groups(spec.name), 0);
}

/* Descriptors: only those that were passed, in any order of numbers. */
static void
descriptors(void)
{
	cleanup_close int exe = open("/bin/sh", O_PATH | O_CLOEXEC);
	cleanup_close int stray = open("/", O_RDONLY | O_DIRECTORY);
	struct jail_spec spec = jail_test_spec();
	char *argv[] = { (char *)"sh", (char *)"-c",
		(char *)"for i in 1 2 3 4 5 6 7 8 9; do "
			"true <&$i 2>/dev/null && echo $i; done; "
			"cat <&7",
		NULL };
	struct error err = ERROR_INIT;
	struct jail_plan *plan = NULL;
	struct jail *j = NULL;
	int out[2], in[2];
	char text[200];

	jail_need_root();
	tap_check(stray != -1 && pipe2(out, O_CLOEXEC) == 0 &&
	    pipe2(in, O_CLOEXEC) == 0);
	tap_check(write(in[1], "hello", 5) == 5);
	close(in[1]);
	/* numbers that cross each other */
	const struct jail_fd fds[] = { { out[1], in[0] }, { in[0], 7 },
		{ out[1], 1 } };
	const struct jail_program prog = { exe, argv, argv + 3, fds, 3 };

	tap_check_int(jail_plan_make(&spec, &plan, NULL), 0);
	if (jail_spawn(plan, &prog, &j, &err) != 0)
		tap_fail("%s", err.text);
	jail_plan_free(plan);
	close(out[1]);
	jail_test_read(out[0], text, sizeof(text));
	char want[100];
	tap_check(in[0] < 10); /* a shell's limit */
	snprintf(want, sizeof(want), "1\n%d\n7\nhello", in[0]);
	if (in[0] > 7)
		snprintf(want, sizeof(want), "1\n7\n%d\nhello", in[0]);
	tap_check_str(text, want);
	close(out[0]);
	close(in[0]);
	tap_check_int(jail_destroy(j, NULL), 0);
}

static void
bad_descriptors(void)
{
	struct jail_spec spec = jail_test_spec();
	const struct jail_fd twice[] = { { 0, 1 }, { 0, 1 } };
	const struct jail_fd high[] = { { 0, JAIL_FD_MAX } };
	struct jail_program prog = { .fds = twice, .nfds = 2 };
	struct jail_plan *plan = NULL;
	struct jail *j = NULL;

	tap_check_int(jail_plan_make(&spec, &plan, NULL), 0);
	tap_check_int(jail_spawn(plan, &prog, &j, NULL), -EINVAL);
	prog.fds = high;
	prog.nfds = 1;
	tap_check_int(jail_spawn(plan, &prog, &j, NULL), -EINVAL);
	jail_plan_free(plan);
}

/* Found again by another process; its status is known there (6.15). */
static void
found_again(void)
{
	struct jail_spec spec = jail_test_spec();
	struct jail *j, *again = NULL;
	struct nvlist *saved = NULL;
	struct buf b;
	int out, status = -1;
	char text[10];
	pid_t pid;

	jail_need_root();
	j = jail_test_shell(&spec, "read x <&1; exit 3", &out);
	close(out);
	tap_check_int(jail_destroy(j, NULL), 0);

	j = jail_test_shell(&spec, "echo up; while :; do sleep 1; done", &out);
	tap_check_int(fd_read_full(out, text, 3), 3);
	tap_check_int(jail_save(j, &saved), 0);
	buf_init(&b, 65536);
	tap_check_int(nvlist_pack(saved, &b), 0);
	nvlist_free(saved);
	saved = NULL;
	if ((pid = fork()) == 0) {
		/* not its parent */
		struct jail *other = NULL;
		cleanup_close int fd = -1;

		if (nvlist_unpack(b.data, b.len, &saved, NULL) != 0 ||
		    jail_attach(saved, &other, NULL) != 0)
			_exit(1);
		if ((fd = jail_take_fd(other, 1)) < 0 ||
		    write(fd, "taken\n", 6) != 6)
			_exit(2);
		if (jail_kill(other, SIGKILL) != 0)
			_exit(3);
		nvlist_free(saved);
		jail_free(other);
		_exit(0);
	}
	tap_check_int(waitpid(pid, &status, 0), pid);
	tap_check_int(status, 0);
	tap_check_int(fd_read_full(out, text, 6), 6);
	tap_check_mem(text, "taken\n", 6);
	close(out);
	tap_check_int(jail_wait(j, &status), 0);
	tap_check_int(WTERMSIG(status), SIGKILL);
	/* lives no more */
	tap_check_int(nvlist_unpack(b.data, b.len, &saved, NULL), 0);
	tap_check_int(jail_attach(saved, &again, NULL), -ESRCH);
	tap_check_int(jail_clean(saved, NULL), 0);
	tap_check_int(jail_clean(saved, NULL), 0);
	tap_check_u64(jail_test_groups(spec.name), 0);
	jail_free(j);
	nvlist_free(saved);
	buf_fini(&b);
}

/* Who is not its parent learns how it ended as well, from Linux 6.15 on. */
static int
other_waits(const struct nvlist *saved, int ready)
{
	struct jail *j = NULL;
	int status = 0, r;

	if (jail_attach(saved, &j, NULL) != 0 || write(ready, "", 1) != 1)
		return 1;
	r = jail_wait(j, &status);
	jail_free(j);
	if (r == -ECHILD)
		return 77;
	return r == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0
									    : 2;
}

static void
status_for_others(void)
{
	struct jail_spec spec = jail_test_spec();
	struct nvlist *saved = NULL;
	struct jail *j;
	int out, ready[2], status = -1;
	pid_t pid;
	char c;

	jail_need_root();
	j = jail_test_shell(&spec, "while :; do sleep 1; done", &out);
	close(out);
	tap_check_int(jail_save(j, &saved), 0);
	tap_check_int(pipe2(ready, O_CLOEXEC), 0);
	if ((pid = fork()) == 0)
		_exit(other_waits(saved, ready[1]));
	close(ready[1]);
	tap_check_int(read(ready[0], &c, 1), 1);
	close(ready[0]);
	tap_check_int(jail_destroy(j, NULL), 0); /* reaps it */
	nvlist_free(saved);
	tap_check_int(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		tap_skip("this kernel tells only a parent");
	tap_check_int(status, 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(plan_order),
	TAP_TEST(plan_refuses),
	TAP_TEST(plan_refuses_ranges),
	TAP_TEST(inside),
	TAP_TEST(walls_of_mounts),
	TAP_TEST(program_that_fails),
	TAP_TEST(errors_of_steps),
	TAP_TEST(exec_that_fails),
	TAP_TEST(descriptors),
	TAP_TEST(bad_descriptors),
	TAP_TEST(found_again),
	TAP_TEST(status_for_others),
};
TAP_MAIN(tests)
