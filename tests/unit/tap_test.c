/*
 * The runner tested by itself: this program runs itself again with the name of
 * a test that misbehaves (its name starts with "bad_") and reads the verdict.
 * Without arguments only the others run.
 */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
bad_check(void)
{
	tap_check(1 + 1 == 3);
}

static void
bad_values(void)
{
	tap_context("case %d", 3);
	tap_check_u64(7, 8);
}

static void
bad_text(void)
{
	tap_check_str("one\ntwo", NULL);
}

static void
bad_leak(void)
{
	tap_check(open("/dev/null", O_RDONLY | O_CLOEXEC) != -1);
}

static void
bad_close(void)
{
	close(STDIN_FILENO);
}

static void
bad_hang(void)
{
	for (;;)
		pause();
}

static void
bad_crash(void)
{
	/* The sanitizers would turn SIGSEGV into an exit. */
	raise(SIGKILL);
}

static void
bad_running_child(void)
{
	pid_t pid = fork();

	tap_check(pid != -1);
	if (pid == 0) {
		setsid();
		for (;;)
			pause();
	}
}

static void
bad_zombie(void)
{
	siginfo_t si;
	pid_t pid = fork();

	tap_check(pid != -1);
	if (pid == 0)
		_exit(0);
	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
}

static void
good_skip(void)
{
	tap_skip("no %s\nhere", "moon");
}

static void
good_pass(void)
{
	tap_check(strcmp(tap_tmpdir(), "") != 0);
	tap_check(access(tap_tmpdir(), W_OK) == 0);
	tap_check_u64(1, 1);
	tap_check_int(-1, -1);
	tap_check_str("a", "a");
	tap_check_str(NULL, NULL);
	tap_check_has("haystack", "st");
	tap_check_mem("abc", "abd", 2);
}

static const struct tap_test samples[] = {
	TAP_TEST(bad_check),
	TAP_TEST(bad_values),
	TAP_TEST(bad_text),
	TAP_TEST(bad_leak),
	TAP_TEST(bad_close),
	TAP_TEST_TIMEOUT(bad_hang, 1),
	TAP_TEST(bad_crash),
	TAP_TEST(bad_running_child),
	TAP_TEST(bad_zombie),
	TAP_TEST(good_skip),
	TAP_TEST(good_pass),
};

/* Run this program with one argument; its output and exit status. */
static int
run_self(const char *arg, char *out, size_t size)
{
	size_t n = 0;
	ssize_t rc;
	int fds[2], status;
	pid_t pid;

	tap_check(pipe2(fds, O_CLOEXEC) == 0);
	pid = fork();
	tap_check(pid != -1);
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execl("/proc/self/exe", "tap_test", arg, (char *)NULL);
		_exit(126);
	}
	close(fds[1]);
	while (n < size - 1 && (rc = read(fds[0], out + n, size - 1 - n)) > 0)
		n += (size_t)rc;
	out[n] = '\0';
	close(fds[0]);
	tap_check(waitpid(pid, &status, 0) == pid);
	tap_check(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* One plan, one verdict, and the reason. */
static void
check_sample(const char *name, const char *verdict, const char *reason)
{
	bool good = strncmp(verdict, "ok", 2) == 0;
	char out[8192], line[128];
	int rc;

	rc = run_self(name, out, sizeof(out));
	snprintf(line, sizeof(line), "%s 1 - %s", verdict, name);
	tap_check_int(strncmp(out, "1..1\n", 5), 0);
	tap_check_has(out, line);
	tap_check_has(out, reason);
	tap_check_int(rc, good ? 0 : 1);
}

static void
failed_checks_show_place_and_values(void)
{
	check_sample("bad_check", "not ok", "tap_test.c:");
	check_sample("bad_check", "not ok", "# is false: 1 + 1 == 3\n");
	check_sample("bad_values", "not ok", "# 7 = 7 (0x7), want 8 (0x8)\n");
	check_sample("bad_values", "not ok", "# with case 3\n");
	check_sample("bad_text", "not ok", "# got  'one\\x0atwo'\n");
	check_sample("bad_text", "not ok", "# want '(NULL)'\n");
}

static void
descriptors_are_counted(void)
{
	check_sample("bad_leak", "not ok", "leaked: /dev/null");
	check_sample("bad_close", "not ok", "# descriptor 0 was closed");
}

static void
time_is_limited(void)
{
	check_sample("bad_hang", "not ok", "# still running after 1 s");
}

static void
deaths_are_seen(void)
{
	check_sample("bad_crash", "not ok", "# died of signal 9");
}

static void
leftover_processes_are_seen(void)
{
	check_sample("bad_running_child", "not ok", "# left 1 processes");
	check_sample("bad_zombie", "not ok", "# left 1 processes");
}

static void
skips_and_passes_are_good(void)
{
	check_sample("good_skip", "ok", "# SKIP no moon here\n");
	check_sample("good_pass", "ok", "");
}

static void
unknown_name_fails(void)
{
	check_sample("no_such_thing", "not ok", "# no such test");
}

static void
empty_table_fails(void)
{
	char name[] = "x", *argv[] = { name, NULL };

	/* Prints a verdict of its own, which must not reach the harness. */
	fflush(stdout);
	tap_check(freopen("/dev/null", "w", stdout) != NULL);
	tap_check_int(tap_main(1, argv, samples, 0), 1);
}

static const struct tap_test tests[] = {
	TAP_TEST(failed_checks_show_place_and_values),
	TAP_TEST(descriptors_are_counted),
	TAP_TEST(time_is_limited),
	TAP_TEST(deaths_are_seen),
	TAP_TEST(leftover_processes_are_seen),
	TAP_TEST(skips_and_passes_are_good),
	TAP_TEST(unknown_name_fails),
	TAP_TEST(empty_table_fails),
};

int
main(int argc, char **argv)
{
	size_t nsamples = sizeof(samples) / sizeof(samples[0]);
	size_t ntests = sizeof(tests) / sizeof(tests[0]);

	for (size_t i = 0; argc == 2 && i < ntests; i++)
		if (strcmp(argv[1], tests[i].name) == 0)
			return tap_main(argc, argv, tests, ntests);
	if (argc == 2 && strcmp(argv[1], "-l") != 0)
		return tap_main(argc, argv, samples, nsamples);
	return tap_main(argc, argv, tests, ntests);
}
