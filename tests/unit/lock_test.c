/*
 * The lock: what a process may do after it, and how it ends otherwise. Each
 * attempt is a process of its own.
 */
#include "jail/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"
#include "base/log.h"
#include "base/str.h"
#include "tap.h"

/* Privileges that a monitor uses. */
static struct lock_spec
spec_of(const char *limitpriv)
{
	struct lock_spec spec = { .kvm = true };
	struct error err = ERROR_INIT;

	if (jail_privs_resolve(limitpriv, NULL, 0, &spec.privs, &err) != 0)
		tap_fail("%s", err.text);
	return spec;
}

struct locked {
	enum lock_role role;
	const char *limitpriv;
};

static int
lock(const void *arg)
{
	const struct locked *l = arg;
	struct lock_spec spec = spec_of(l->limitpriv);

	return lock_calls(LOCK_PROCESS, &spec, NULL) != 0 ||
		(l->role != LOCK_PROCESS &&
		    lock_calls(l->role, NULL, NULL) != 0)
	    ? 99
	    : 0;
}

static int disk = -1; /* a file that was open before */

static int
open_disk(void)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/disk", tap_tmpdir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	tap_check(fd != -1 && write(fd, "data", 4) == 4);
	return fd;
}

static int
try_open(void)
{
	return attempt_result(open("/etc/passwd", O_RDONLY));
}
static int
try_clone_process(void)
{
	return attempt_result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}
static int
try_clone3(void)
{
	return attempt_result(syscall(SYS_clone3, NULL, 0));
}
static int
try_kill_other(void)
{
	return attempt_result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}
static int
try_kill_self(void)
{
	return attempt_result(syscall(SYS_tgkill, getpid(), gettid(), 0));
}
static int
try_memory(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	memset(p, 1, 1 << 20);
	free(malloc(1 << 22));
	return madvise(p, 1 << 20, MADV_DONTNEED) != 0 ||
	    munmap(p, 1 << 20) != 0;
}
static int
try_read(void)
{
	char c;

	return attempt_result(pread(disk, &c, 1, 0));
}
static int
try_write(void)
{
	return attempt_result(pwrite(disk, "x", 1, 0));
}
static int
try_ioctl(void)
{
	return attempt_result(syscall(SYS_ioctl, disk, 0xdeadbeef, 0));
}
static int
try_kvm_run(void)
{
	return attempt_result(syscall(SYS_ioctl, disk, 0xae80, 0));
}
static int
try_kvm_create(void)
{
	return attempt_result(syscall(SYS_ioctl, disk, 0xae01, 0));
}
/* The command is 32 bits wide: a high half must not get past the rows. */
static int
try_ioctl_high(void)
{
	return attempt_result(syscall(SYS_ioctl, disk, 0xffffffff0000ae01, 0));
}
static int
try_uring(void)
{
	return attempt_result(syscall(425, 1, NULL)); /* io_uring_setup */
}
static int
try_filter_listener(void)
{
	return attempt_result(
	    syscall(SYS_seccomp, 1, 8, NULL)); /* EFAULT at most */
}
static int
try_isatty(void)
{
	return isatty(disk) == 0 ? errno : 0;
}
static int
try_int80(void)
{
	int r;

	/* getpid of the 32-bit table: another architecture */
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
	return r > 0 ? 0 : 1;
}
static int
try_x32(void)
{
	return attempt_result(syscall(0x40000000 + SYS_getpid));
}
static int
try_log(void)
{
	log_info("test", "a line");
	return 0;
}

static void *
thread_main(void *arg)
{
	pthread_setname_np(pthread_self(), "name");
	*(int *)arg = 5;
	return NULL;
}
static int
try_thread(void)
{
	pthread_t t;
	int v = 0;

	if (pthread_create(&t, NULL, thread_main, &v) != 0 ||
	    pthread_join(t, NULL) != 0)
		return 1;
	return v == 5 ? 0 : 2;
}

#define P LOCK_PROCESS
#define V LOCK_VCPU
#define D LOCK_IO
#define NOWRITE "basic,-file_write"
#define NOREAD "basic,-file_read"

static const struct {
	const char *name;
	enum lock_role role;
	const char *privs;
	int (*fn)(void);
	int want; /* errno, 0, KILLED */
} attempts[] = {
	{ "open", P, NULL, try_open, EPERM },
	{ "open", V, NULL, try_open, EPERM },
	{ "exec", P, NULL, attempt_exec, KILLED },
	{ "exec", V, NULL, attempt_exec, KILLED },
	{ "fork", P, NULL, attempt_fork, KILLED },
	{ "fork held", P, "basic,proc_fork", attempt_fork, KILLED },
	{ "clone", P, NULL, try_clone_process, KILLED },
	{ "clone3", P, NULL, try_clone3, ENOSYS },
	{ "clone3", D, NULL, try_clone3, ENOSYS },
	{ "socket", P, NULL, attempt_inet, KILLED },
	{ "unix socket", P, NULL, attempt_unix, KILLED },
	{ "ptrace", P, NULL, attempt_ptrace, KILLED },
	{ "PROT_EXEC", P, NULL, attempt_exec_memory, KILLED },
	{ "PROT_EXEC", V, NULL, attempt_exec_memory, KILLED },
	{ "signal to another", P, NULL, try_kill_other, KILLED },
	{ "signal to itself", P, NULL, try_kill_self, 0 },
	{ "signal to itself", V, NULL, try_kill_self, 0 },
	{ "memory", P, NULL, try_memory, 0 },
	{ "memory", V, NULL, try_memory, 0 },
	{ "memory", D, NULL, try_memory, 0 },
	{ "thread", P, NULL, try_thread, 0 },
	{ "read", P, NULL, try_read, 0 },
	{ "read", D, NULL, try_read, 0 },
	{ "write", P, NULL, try_write, 0 },
	{ "write", D, NULL, try_write, 0 },
	{ "write without file_write", P, NOWRITE, try_write, EPERM },
	{ "write without file_write", D, NOWRITE, try_write, EPERM },
	{ "read without file_write", D, NOWRITE, try_read, 0 },
	{ "read without file_read", P, NOREAD, try_read, EPERM },
	{ "ioctl", P, NULL, try_ioctl, KILLED },
	{ "KVM_RUN", P, NULL, try_kvm_run, ENOTTY },
	{ "KVM_RUN", V, NULL, try_kvm_run, ENOTTY },
	{ "KVM_RUN", D, NULL, try_kvm_run, KILLED },
	{ "KVM_CREATE_VM", P, NULL, try_kvm_create, KILLED },
	{ "KVM_CREATE_VM", V, NULL, try_kvm_create, KILLED },
	{ "KVM_CREATE_VM with a high half", P, NULL, try_ioctl_high, KILLED },
	{ "io_uring_setup", P, NULL, try_uring, KILLED },
	{ "a filter's listener", P, NULL, try_filter_listener, EFAULT },
	{ "isatty", P, NULL, try_isatty, ENOTTY },
	{ "32-bit call", P, NULL, try_int80, KILLED },
	{ "x32 call", P, NULL, try_x32, KILLED },
	{ "log", P, NULL, try_log, 0 },
	{ "log", V, NULL, try_log, 0 },
	{ "log", D, NULL, try_log, 0 },
};

static void
calls(void)
{
	disk = open_disk();
	log_setup(disk, LOG_HUMAN, LOG_INFO);
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		const struct locked l = { attempts[i].role, attempts[i].privs };

		tap_context("%zu: %s", i, attempts[i].name);
		tap_check_int(
		    attempt_made(lock, &l, attempts[i].fn), attempts[i].want);
	}
	close(disk);
}

/* Threads there were before are held too. */
static int go[2];

static void *
waiting_thread(void *arg)
{
	char c;

	if (read(go[0], &c, 1) == 1)
		syscall(SYS_fork);
	return NULL;
}

static int
all_threads(void)
{
	struct lock_spec spec = spec_of(NULL);
	pthread_t t;

	if (pipe(go) != 0 ||
	    pthread_create(&t, NULL, waiting_thread, NULL) != 0 ||
	    lock_calls(LOCK_PROCESS, &spec, NULL) != 0 ||
	    write(go[1], "", 1) != 1)
		return 9;
	pthread_join(t, NULL);
	return 0;
}

static void
threads_before(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(all_threads());
	tap_check_int(waitpid(pid, &status, 0), pid);
	tap_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void
threads_first(void)
{
	struct lock_spec spec = spec_of(NULL);
	struct error err = ERROR_INIT;

	tap_check_int(lock_calls(LOCK_VCPU, &spec, &err), -EINVAL);
	tap_check_has(err.text, "before its threads");
}

/* The process's calls include every role's. */
static void
printed(void)
{
	struct lock_spec spec = spec_of(NULL);
	struct buf all, b;

	buf_init(&all, 65536);
	buf_init(&b, 65536);
	tap_check_int(lock_print(LOCK_PROCESS, &spec, &all), 0);
	tap_check_has(buf_str(&all), "mmap (no PROT_EXEC)\n");
	tap_check_has(buf_str(&all), "openat: EPERM\n");
	tap_check_has(buf_str(&all), "ioctl (KVM_RUN)\n");
	for (int role = LOCK_VCPU; role <= LOCK_IO; role++) {
		char *save = NULL;

		buf_reset(&b);
		tap_check_int(lock_print(role, &spec, &b), 0);
		tap_check(b.len < all.len && buf_str(&b) != NULL);
		for (char *s = strtok_r((char *)b.data, "\n", &save); s != NULL;
		     s = strtok_r(NULL, "\n", &save))
			tap_check_has(buf_str(&all), s);
	}
	spec.kvm = false;
	buf_reset(&b);
	tap_check_int(lock_print(LOCK_PROCESS, &spec, &b), 0);
	tap_check(strstr(buf_str(&b), "KVM") == NULL);
	buf_fini(&b);
	buf_fini(&all);
}

/* Landlock alone. */
static int
paths_child(void)
{
	struct sockaddr_in peer = { .sin_family = AF_INET,
		.sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int sock, r = lock_paths(NULL);

	if (r == 1)
		return 77;
	if (r != 0)
		return 1;
	if (open("/etc/passwd", O_RDONLY) != -1 || errno != EACCES)
		return 2;
	if (open("/", O_RDONLY | O_DIRECTORY) != -1 || errno != EACCES)
		return 3;
	if (mkdir("/tmp/lock-test", 0700) != -1 || errno != EACCES)
		return 4;
	if (kill(getppid(), 0) != -1 || errno != EPERM)
		return 5;
	sock = socket(AF_INET, SOCK_STREAM, 0);
	if (sock != -1 &&
	    (connect(sock, (struct sockaddr *)&peer, sizeof(peer)) != -1 ||
		errno != EACCES))
		return 6;
	/* what was open works on */
	return write(disk, "x", 1) == 1 ? 0 : 7;
}

static void
paths(void)
{
	int status = -1;
	pid_t pid;

	disk = open_disk();
	if ((pid = fork()) == 0)
		_exit(paths_child());
	tap_check_int(waitpid(pid, &status, 0), pid);
	close(disk);
	if (WEXITSTATUS(status) == 77)
		tap_skip("this kernel has no Landlock");
	tap_check_int(status, 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(calls),
	TAP_TEST(threads_before),
	TAP_TEST(threads_first),
	TAP_TEST(printed),
	TAP_TEST(paths),
};
TAP_MAIN(tests)
