/*
 * The runner. The parent is a subreaper, so whatever a test leaves running or
 * unreaped falls to it when the test's process ends, in any process group or
 * session, and is counted, reported and killed.
 */
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_S 120
#define MAX_FDS 1024
#define EXIT_SKIP 77

/* What a test's process tells its parent when it skips. */
static int note_fd = -1;
static char tmp_root[64];
static char tmp_dir[96];
static _Thread_local char context[256];

/* Print one diagnostic line; control characters would break the format. */
static void __attribute__((format(printf, 1, 0)))
diag(const char *fmt, va_list ap)
{
	char text[1024], line[4200] = "# ";
	size_t n = 2;

	vsnprintf(text, sizeof(text), fmt, ap);
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x20 && *p != 0x7f)
			line[n++] = *p;
		else
			n += (size_t)sprintf(
			    line + n, "\\x%02x", (unsigned char)*p);
	}
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) == -1)
		_exit(1);
}

void
tap_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag(fmt, ap);
	va_end(ap);
}

void
tap_context(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
}

void
tap_fail_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	tap_note("%s:%d:", file, line);
	if (context[0] != '\0')
		tap_note("with %s", context);
	va_start(ap, fmt);
	diag(fmt, ap);
	va_end(ap);
	_exit(1);
}

void
tap_skip(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	if (write(note_fd, text, strlen(text)) == -1)
		_exit(1);
	_exit(EXIT_SKIP);
}

void
tap_check_u64_at(
    const char *file, int line, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		tap_fail_at(file, line, "%s = %ju (0x%jx), want %ju (0x%jx)",
		    what, (uintmax_t)got, (uintmax_t)got, (uintmax_t)want,
		    (uintmax_t)want);
}

void
tap_check_int_at(
    const char *file, int line, const char *what, int64_t got, int64_t want)
{
	if (got != want)
		tap_fail_at(file, line, "%s = %jd, want %jd", what,
		    (intmax_t)got, (intmax_t)want);
}

static const char *
or_null(const char *s)
{
	return s != NULL ? s : "(NULL)";
}

void
tap_check_str_at(const char *file, int line, const char *what, const char *got,
    const char *want)
{
	if (got == want ||
	    (got != NULL && want != NULL && strcmp(got, want) == 0))
		return;
	tap_note("got  '%s'", or_null(got));
	tap_note("want '%s'", or_null(want));
	tap_fail_at(file, line, "%s differs", what);
}

void
tap_check_has_at(const char *file, int line, const char *what, const char *got,
    const char *part)
{
	if (got != NULL && strstr(got, part) != NULL)
		return;
	tap_note("got  '%s'", or_null(got));
	tap_note("part '%s'", part);
	tap_fail_at(file, line, "%s lacks the part", what);
}

void
tap_check_mem_at(const char *file, int line, const char *what, const void *got,
    const void *want, size_t n)
{
	const unsigned char *g = got, *w = want;

	for (size_t i = 0; i < n; i++)
		if (g[i] != w[i])
			tap_fail_at(file, line,
			    "%s: byte %zu of %zu = 0x%02x, want 0x%02x", what,
			    i, n, g[i], w[i]);
}

const char *
tap_tmpdir(void)
{
	if (mkdir(tmp_dir, 0700) == -1 && errno != EEXIST)
		tap_fail("cannot make %s: %s", tmp_dir, strerror(errno));
	return tmp_dir;
}

/* Mark the descriptors that are open now; returns their number. */
static size_t
list_fds(bool open_fds[static MAX_FDS])
{
	size_t n = 0;
	struct dirent *de;
	DIR *dir;
	int fd;

	memset(open_fds, 0, MAX_FDS * sizeof(*open_fds));
	dir = opendir("/proc/self/fd");
	if (dir == NULL)
		tap_fail("cannot read /proc/self/fd: %s", strerror(errno));
	while ((de = readdir(dir)) != NULL) {
		fd = atoi(de->d_name);
		if (de->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		n++;
		if (fd < MAX_FDS)
			open_fds[fd] = true;
	}
	closedir(dir);
	return n;
}

static void
check_fds(const bool before[static MAX_FDS], size_t nbefore)
{
	char path[64], target[256];
	bool after[MAX_FDS];
	size_t nafter = list_fds(after);
	bool bad = nafter != nbefore;
	ssize_t n;

	for (int fd = 0; fd < MAX_FDS; fd++) {
		if (after[fd] == before[fd])
			continue;
		bad = true;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		tap_note("descriptor %d %s %s", fd,
		    after[fd] ? "leaked:" : "was closed", target);
	}
	if (bad) {
		tap_note("%zu descriptors before, %zu after", nbefore, nafter);
		_exit(1);
	}
}

static _Noreturn void
run_child(const struct tap_test *test)
{
	bool fds[MAX_FDS];
	size_t nfds;

	nfds = list_fds(fds);
	test->fn();
	check_fds(fds, nfds);
	/* Not _exit(): the leak sanitizer looks at this point. */
	exit(0);
}

/*
 * Wait for SIGCHLD until the deadline; true when pid has ended, and its wait
 * status.
 */
static bool
wait_until(pid_t pid, unsigned timeout_s, int *ret_status)
{
	struct timespec now, end, left;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_s;
	while (waitpid(pid, ret_status, WNOHANG) != pid) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		left.tv_sec = end.tv_sec - now.tv_sec;
		left.tv_nsec = end.tv_nsec - now.tv_nsec;
		if (left.tv_nsec < 0) {
			left.tv_sec--;
			left.tv_nsec += 1000000000;
		}
		if (left.tv_sec < 0)
			return false;
		sigtimedwait(&set, NULL, &left);
	}
	return true;
}

/* Kill the processes that have become our children. */
static void
kill_children(void)
{
	char path[64];
	FILE *fp;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fp = fopen(path, "re");
	if (fp == NULL)
		return;
	while (fscanf(fp, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	fclose(fp);
}

/* What the ended test left to us: reap it, kill it; how many there were. */
static unsigned
reap_leftovers(pid_t group)
{
	unsigned n = 0;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) != -1) {
		if (pid > 0) {
			n++;
			continue;
		}
		kill(-group, SIGKILL);
		kill_children();
		if (waitpid(-1, NULL, 0) > 0)
			n++;
	}
	return n;
}

/* Judge how the test ended; prints the reasons of a failure. */
static bool
judge(int status, bool in_time, unsigned timeout_s, unsigned leftovers)
{
	bool ok = true;

	if (!in_time) {
		tap_note("still running after %u s", timeout_s);
		ok = false;
	} else if (WIFSIGNALED(status)) {
		tap_note("died of signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
		ok = false;
	} else if (WEXITSTATUS(status) != 0 &&
	    WEXITSTATUS(status) != EXIT_SKIP) {
		tap_note("exit status %d", WEXITSTATUS(status));
		ok = false;
	}
	if (leftovers != 0 && in_time) {
		tap_note("left %u processes behind", leftovers);
		ok = false;
	}
	return ok;
}

static pid_t
start_child(const struct tap_test *test, int note[static 2])
{
	sigset_t none;
	pid_t pid;

	if (pipe(note) == -1)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		close(note[0]);
		note_fd = note[1];
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		run_child(test);
	}
	close(note[1]);
	/* Here as well: whoever comes first, the group exists. */
	if (pid > 0)
		setpgid(pid, pid);
	else
		close(note[0]);
	return pid;
}

static bool
run_test(const struct tap_test *test, size_t number)
{
	unsigned limit =
	    test->timeout_s != 0 ? test->timeout_s : DEFAULT_TIMEOUT_S;
	unsigned leftovers;
	char reason[256];
	int note[2], status = 0;
	bool in_time, ok;
	ssize_t n;
	pid_t pid;

	snprintf(tmp_dir, sizeof(tmp_dir), "%s/%zu", tmp_root, number);
	pid = start_child(test, note);
	if (pid == -1) {
		printf("not ok %zu - %s\n# fork: %s\n", number, test->name,
		    strerror(errno));
		return false;
	}
	in_time = wait_until(pid, limit, &status);
	if (!in_time) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	leftovers = reap_leftovers(pid);
	ok = judge(status, in_time, limit, leftovers);
	printf("%s %zu - %s", ok ? "ok" : "not ok", number, test->name);
	if (ok && WEXITSTATUS(status) == EXIT_SKIP) {
		n = read(note[0], reason, sizeof(reason) - 1);
		reason[n > 0 ? n : 0] = '\0';
		printf(" # SKIP %s", reason);
	}
	printf("\n");
	fflush(stdout);
	close(note[0]);
	return ok;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static bool
is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

/* A name on the command line that is no test. */
static const char *
find_unknown(int argc, char **argv, const struct tap_test *tests, size_t ntests)
{
	size_t j;

	for (int i = 1; i < argc; i++) {
		for (j = 0; j < ntests; j++)
			if (strcmp(argv[i], tests[j].name) == 0)
				break;
		if (j == ntests)
			return argv[i];
	}
	return NULL;
}

static void
prepare(void)
{
	const char *tmp = getenv("TMPDIR");
	sigset_t set;

	if (tmp == NULL || strlen(tmp) > sizeof(tmp_root) - 16)
		tmp = "/tmp";
	snprintf(tmp_root, sizeof(tmp_root), "%s/tap.XXXXXX", tmp);
	if (mkdtemp(tmp_root) == NULL) {
		printf("Bail out! cannot make a folder in %s\n", tmp);
		exit(1);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int
tap_main(int argc, char **argv, const struct tap_test *tests, size_t ntests)
{
	const char *unknown;
	size_t n = 0, failed = 0;

	if (argc == 2 && strcmp(argv[1], "-l") == 0) {
		for (size_t i = 0; i < ntests; i++)
			printf("%s\n", tests[i].name);
		return 0;
	}
	unknown = find_unknown(argc, argv, tests, ntests);
	if (unknown != NULL || ntests == 0) {
		/* An empty plan would count as skipped. */
		printf("1..1\nnot ok 1 - %s\n",
		    unknown != NULL ? unknown : "no tests");
		printf("# %s\n", unknown != NULL ? "no such test" : "empty");
		return 1;
	}
	prepare();
	for (size_t i = 0; i < ntests; i++)
		n += is_wanted(tests[i].name, argc, argv);
	printf("1..%zu\n", n);
	n = 0;
	for (size_t i = 0; i < ntests; i++)
		if (is_wanted(tests[i].name, argc, argv))
			failed += !run_test(&tests[i], ++n);
	nftw(tmp_root, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	return failed != 0;
}
