/*
 * What a zoneslirp can do that a guest has taken over. Each attempt is a
 * process of its own behind the walls.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"
#include "base/sanitize.h"
#include "base/str.h"
#include "tap.h"
#include "walls.h"

#define UID 1234567

static int listener = -1; /* on loopback, made before; see port */
static uint16_t port;

static int
opens(const char *path, int flags)
{
	return attempt_result(open(path, flags));
}
static int
try_passwd(void)
{
	return opens("/etc/passwd", O_RDONLY);
}
static int
try_proc(void)
{
	return opens("/proc/self/status", O_RDONLY);
}
static int
try_etc(void)
{
	return opens("/etc", O_RDONLY);
}
static int
try_resolver(void)
{
	return opens("/etc/resolv.conf", O_RDONLY);
}
static int
try_resolver_write(void)
{
	return opens("/etc/resolv.conf", O_RDWR);
}
static int
try_create(void)
{
	return attempt_result(
	    open("/tmp/zoneslirp.new", O_RDONLY | O_CREAT, 0600));
}
static int
try_thread(void)
{
	return attempt_result(
	    syscall(SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0));
}
static int
try_kill(void)
{
	return attempt_result(kill(getppid(), 0));
}
static int
try_netlink(void)
{
	return attempt_result(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int
try_packet(void)
{
	return attempt_result(socket(AF_PACKET, SOCK_RAW, 0));
}
static int
try_raw(void)
{
	return attempt_result(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}
static int
try_low_socket(void)
{
	return attempt_result(
	    syscall(SYS_socket, AF_UNIX | 0xffffffff00000000, SOCK_STREAM, 0));
}
static int
try_bind(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	return attempt_result(bind(
	    socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof(a)));
}
static int
try_listen(void)
{
	return attempt_result(listen(socket(AF_INET, SOCK_STREAM, 0), 1));
}
static int
try_connect(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return attempt_result(connect(
	    socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof(a)));
}
static int
try_accept(void)
{
	fcntl(listener, F_SETFL, O_NONBLOCK);
	return attempt_result(accept(listener, NULL, NULL));
}
static int
try_udp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return attempt_result(
	    sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)));
}
static int
try_bpf(void)
{
	return attempt_result(syscall(SYS_bpf, 0, NULL, 0));
}
static int
try_device(void)
{
	return attempt_result(bind(socket(AF_INET, SOCK_DGRAM, 0), NULL, 0));
}
static int
try_memory(void)
{
	char *p = malloc(1 << 22);

	if (p == NULL)
		return 1;
	memset(p, 1, 1 << 22);
	free(p);
	return 0;
}
/* RLIMIT_DATA */
static int
try_much_memory(void)
{
	/* a compiler may leave out what nobody uses */
	void *volatile p = HAS_ASAN ? NULL : malloc(300 * MiB);

	return p == NULL ? ENOMEM : 0;
}

static const struct {
	const char *name;
	int (*fn)(void);
	int want; /* errno, 0, KILLED */
	bool landlock; /* its wall */
} attempts[] = {
	{ "a file", try_passwd, EACCES, true },
	{ "itself", try_proc, EACCES, true },
	{ "a folder", try_etc, EACCES, true },
	{ "the resolver's file", try_resolver, 0 },
	{ "the resolver's file to write", try_resolver_write, KILLED },
	{ "a new file", try_create, KILLED },
	{ "exec", attempt_exec, KILLED },
	{ "fork", attempt_fork, KILLED },
	{ "clone", try_thread, KILLED },
	{ "kill", try_kill, KILLED },
	{ "ptrace", attempt_ptrace, KILLED },
	{ "setuid", attempt_setuid, KILLED },
	{ "executable memory", attempt_exec_memory, KILLED },
	{ "bpf", try_bpf, KILLED },
	{ "UNIX socket", attempt_unix, EPERM },
	{ "UNIX socket, high bits", try_low_socket, EPERM },
	{ "netlink", try_netlink, KILLED },
	{ "packet socket", try_packet, KILLED },
	{ "raw socket", try_raw, EPERM },
	{ "bind", try_bind, EPERM },
	{ "bind UDP", try_device, EPERM },
	{ "listen", try_listen, EPERM },
	{ "accept what was listening", try_accept, EAGAIN },
	{ "connect", try_connect, 0 },
	{ "UDP", try_udp, 0 },
	{ "memory", try_memory, 0 },
	{ "much memory", try_much_memory, ENOMEM },
};

static void
make_listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	tap_check_int(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	tap_check_int(listen(listener, 16), 0);
	tap_check_int(getsockname(listener, (struct sockaddr *)&a, &n), 0);
	port = ntohs(a.sin_port);
}

#if HAS_ASAN
int
__lsan_is_turned_off(void)
{
	return 1;
}
#endif

#define NO_CONFINEMENT 100
#define NO_LANDLOCK 102

static int
confine(const void *arg)
{
	const bool *landlock = arg;
	struct error err = ERROR_INIT;
	int rc = slirp_confine(geteuid() == 0 ? UID : 0, &err);

	if (rc < 0) {
		fprintf(stderr, "%s\n", err.text);
		return NO_CONFINEMENT;
	}
	return rc == 1 && *landlock ? NO_LANDLOCK : 0;
}

static void
walls(void)
{
	make_listener();
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		int got;

		tap_context("%s", attempts[i].name);
		got = attempt_made(
		    confine, &attempts[i].landlock, attempts[i].fn);
		if (got == NO_LANDLOCK)
			tap_note("%s: no Landlock here", attempts[i].name);
		else
			tap_check_int(got, attempts[i].want);
	}
	close(listener);
}

/* Its user, and no way back; seen from outside, as it hides its own. */
static void
user(void)
{
	char path[64], text[4096];
	int go[2], ready[2], status;
	const char *const want[] = { "Groups:\t \n",
		"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
		"NoNewPrivs:\t1", "Seccomp:\t2" };
	ssize_t n;
	pid_t pid;
	char c;
	int fd;

	if (geteuid() != 0)
		tap_skip("only root can become another");
	tap_check_int(pipe(go), 0);
	tap_check_int(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		c = (char)slirp_confine(UID, NULL);
		(void)!write(ready[1], &c, 1);
		_exit(read(go[0], &c, 1) == 0 ? 0 : 1);
	}
	close(go[0]);
	tap_check_int(read(ready[0], &c, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	tap_check(n > 0);
	text[n] = '\0';
	close(fd);
	snprintf(
	    path, sizeof(path), "Uid:\t%d\t%d\t%d\t%d\n", UID, UID, UID, UID);
	tap_check_has(text, path);
	path[0] = 'G';
	tap_check_has(text, path);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		tap_check_has(text, want[i]);
	close(go[1]);
	tap_check_int(waitpid(pid, &status, 0), pid);
	tap_check_int(status, 0);
	close(ready[0]);
	close(ready[1]);
}

static const struct tap_test tests[] = {
	TAP_TEST(walls),
	TAP_TEST(user),
};
TAP_MAIN(tests)
