/*
 * Byte-stream back ends: specifications and their errors, clients that come
 * and go, back-pressure both ways, terminals that get their mode back.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/str.h"
#include "dev/tty/tty.h"
#include "tap.h"

static struct mevent_loop *loop;
static struct tty *tty;
static struct error err;

/* ---- the owner ---- */

static uint8_t in[100000];
static size_t in_len, in_limit = sizeof(in);
static unsigned writable, connects, disconnects;

static size_t
on_input(void *arg, const uint8_t *data, size_t n)
{
	size_t room = in_limit - in_len;

	if (n > room)
		n = room;
	memcpy(in + in_len, data, n);
	in_len += n;
	return n;
}

static void
on_writable(void *arg)
{
	writable++;
}

static void
on_connected(void *arg, bool present)
{
	if (present)
		connects++;
	else
		disconnects++;
}

static const struct tty_ops ops = { on_input, on_writable, on_connected };

static int
open_spec(const char *spec)
{
	if (loop == NULL)
		tap_check_int(mevent_loop_create(&loop, &err), 0);
	tty = NULL;
	return tty_open(loop, spec, "com1", &ops, NULL, &tty, &err);
}

static void
finish(void)
{
	tty_close(tty);
	mevent_loop_destroy(loop);
}

static void
pump(void)
{
	for (int i = 0; i < 4; i++)
		mevent_loop_once(loop, 3);
}

/* Terminals and TCP hand over in their own time. */
static void
pump_until(const unsigned *count, unsigned n)
{
	uint64_t end = mevent_now_ns() + UINT64_C(20000000000);

	while (*count < n && mevent_now_ns() < end)
		mevent_loop_once(loop, 100);
	tap_check_u64(*count, n);
}

static void
say(const char *text)
{
	tap_check_u64(
	    tty_write(tty, (const uint8_t *)text, strlen(text)), strlen(text));
}

static void
expect(int fd, const char *text)
{
	char got[256];

	pump();
	tap_check_int(read(fd, got, sizeof(got)), (int64_t)strlen(text));
	tap_check_mem(got, text, strlen(text));
}

static void
expect_input(const char *text)
{
	uint64_t end = mevent_now_ns() + UINT64_C(20000000000);

	while (in_len < strlen(text) && mevent_now_ns() < end)
		mevent_loop_once(loop, 100);
	tap_check_u64(in_len, strlen(text));
	tap_check_mem(in, text, in_len);
	in_len = 0;
}

static int
unix_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	tap_check_int(
	    str_format(sun.sun_path, sizeof(sun.sun_path), "%s", path), 0);
	tap_check_int(connect(fd, (void *)&sun, sizeof(sun)), 0);
	return fd;
}

static const char *
in_tmp(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", tap_tmpdir(), name);
	return path;
}

/* ---- specifications ---- */

static void
bad_specs(void)
{
	static const struct {
		const char *spec, *part;
	} rows[] = {
		{ "stdo", "unknown back end 'stdo'" },
		{ "", "unknown back end ''" },
		{ "tcp=", "is not a port" },
		{ "tcp=localhost:", "is not a port" },
		{ "tcp=127.0.0.1:99999", "'99999' is not a port" },
		{ "tcp=no.such.host.invalid:1", "no.such.host.invalid" },
		{ "fd=x", "a descriptor's number" },
		{ "fd=999", "Bad file descriptor" },
		{ "/no/such/device", "No such file" },
		{ "/etc/passwd", "is not a terminal" },
		{ "socket,", "must have 1 to 107 bytes" },
		{ "socket,/tmp/x,later", "only ',wait' may follow" },
		{ "socket,/no/such/folder/s", "cannot make the socket" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_check(open_spec(rows[i].spec) < 0);
		tap_check_has(err.text, "com1: ");
		tap_check_has(err.text, rows[i].part);
	}
	mevent_loop_destroy(loop);
}

static void
none_swallows(void)
{
	tap_check_int(open_spec("none"), 0);
	say("nobody hears this");
	tty_resume(tty);
	tap_check_int(tty_wait_client(tty, &err), 0);
	finish();
}

/* ---- sockets ---- */

static void
unix_client(void)
{
	const char *path = in_tmp("s");
	char spec[160];
	struct stat st;
	int fd, second;
	char got[64];

	snprintf(spec, sizeof(spec), "socket,%s", path);
	tap_check_int(open_spec(spec), 0);
	tap_check_int(lstat(path, &st), 0);
	tap_check_u64(st.st_mode & 0777, 0600);
	say("lost\n"); /* taken and dropped */
	fd = unix_connect(path);
	pump_until(&connects, 1);
	say("hello\n");
	expect(fd, "hello\n");
	tap_check_int(write(fd, "input", 5), 5);
	expect_input("input");
	/* one client at a time, and the other is told */
	second = unix_connect(path);
	pump();
	tap_check(read(second, got, sizeof(got)) > 0);
	tap_check_has(got, "com1 is in use");
	tap_check_int(read(second, got, sizeof(got)), 0);
	close(second);
	close(fd);
	pump_until(&disconnects, 1);
	say("lost again\n");
	fd = unix_connect(path);
	pump_until(&connects, 2);
	say("back\n");
	expect(fd, "back\n");
	finish();
	tap_check_int(read(fd, got, sizeof(got)), 0);
	close(fd);
	tap_check_int(lstat(path, &st), -1);
}

static void
unix_stale(void)
{
	const char *path = in_tmp("s");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), file;
	char spec[160];

	snprintf(spec, sizeof(spec), "socket,%s", path);
	tap_check_int(
	    str_format(sun.sun_path, sizeof(sun.sun_path), "%s", path), 0);
	tap_check_int(bind(fd, (void *)&sun, sizeof(sun)), 0);
	tap_check_int(listen(fd, 1), 0);
	/* somebody listens */
	tap_check_int(open_spec(spec), -EADDRINUSE);
	tap_check_has(err.text, "is in use by another process");
	close(fd);
	/* nobody does any more */
	tap_check_int(open_spec(spec), 0);
	tty_close(tty);
	/* not a socket: left alone */
	file = open(path, O_CREAT | O_WRONLY, 0600);
	tap_check(file >= 0);
	close(file);
	tap_check_int(open_spec(spec), -EEXIST);
	tap_check_has(err.text, "exists and is not a socket");
	tap_check_int(access(path, F_OK), 0);
	mevent_loop_destroy(loop);
}

static void
waits_for_client(void)
{
	const char *path = in_tmp("s");
	char spec[160];
	pid_t pid;
	int status;

	snprintf(spec, sizeof(spec), "socket,%s,wait", path);
	tap_check_int(open_spec(spec), 0);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		unix_connect(path);
		usleep(50000);
		_exit(0);
	}
	tap_check_int(tty_wait_client(tty, &err), 0);
	tap_check_u64(connects, 1);
	tap_check_int(waitpid(pid, &status, 0), pid);
	/* and does not wait for ever */
	pump();
	tap_check_u64(disconnects, 1);
	mevent_loop_stop(loop);
	tap_check_int(tty_wait_client(tty, &err), -EINTR);
	finish();
}

static void
tcp_client(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int probe = socket(AF_INET, SOCK_STREAM, 0), fd;
	char spec[64], again[64];
	struct tty *first;

	/* a port that is free now */
	tap_check_int(bind(probe, (void *)&sin, sizeof(sin)), 0);
	tap_check_int(getsockname(probe, (void *)&sin, &len), 0);
	close(probe);
	snprintf(spec, sizeof(spec), "tcp=127.0.0.1:%u", ntohs(sin.sin_port));
	snprintf(again, sizeof(again), "tcp=%u", ntohs(sin.sin_port));
	tap_check_int(open_spec(spec), 0);
	first = tty;
	tap_check_int(open_spec(again), -EADDRINUSE);
	tap_check_has(err.text, "cannot listen on 127.0.0.1 port");
	tty = first;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	tap_check_int(connect(fd, (void *)&sin, sizeof(sin)), 0);
	pump_until(&connects, 1);
	say("over tcp");
	expect(fd, "over tcp");
	tap_check_int(write(fd, "in", 2), 2);
	expect_input("in");
	close(fd);
	pump_until(&disconnects, 1);
	finish();
}

/* ---- flow control ---- */

static void
pair(int *ret_peer)
{
	char spec[32];
	int fd[2];

	tap_check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	snprintf(spec, sizeof(spec), "fd=%d", fd[0]);
	tap_check_int(open_spec(spec), 0);
	close(fd[0]);
	*ret_peer = fd[1];
}

static void
output_is_bounded(void)
{
	static uint8_t block[4096];
	size_t sent = 0, got = 0, n;
	ssize_t r;
	int peer;

	pair(&peer);
	do {
		n = tty_write(tty, block, sizeof(block));
		sent += n;
	} while (n == sizeof(block) && sent < 64 << 20);
	tap_check(sent < 64 << 20);
	tap_check_u64(tty_write(tty, block, 1), 0);
	pump();
	tap_check_u64(writable, 0);
	while (got < sent) {
		r = recv(peer, block, sizeof(block), MSG_DONTWAIT);
		if (r > 0)
			got += (size_t)r;
		else
			pump();
	}
	tap_check_u64(got, sent);
	tap_check_u64(writable, 1);
	tap_check_u64(tty_write(tty, block, 1), 1);
	close(peer);
	finish();
}

static void
input_is_held(void)
{
	static uint8_t data[5000];
	int peer;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 11 + i / 256);
	pair(&peer);
	in_limit = 100;
	tap_check_int(write(peer, data, sizeof(data)), sizeof(data));
	pump();
	tap_check_u64(in_len, 100);
	/* the other side leaves; what it said stays */
	close(peer);
	pump();
	tap_check_u64(in_len, 100);
	in_limit = 1000;
	tty_resume(tty);
	pump();
	tap_check_u64(in_len, 1000);
	in_limit = sizeof(in);
	tty_resume(tty);
	pump();
	tap_check_u64(in_len, sizeof(data));
	tap_check_mem(in, data, sizeof(data));
	/* nobody will read this: it is taken all the same */
	for (int i = 0; i < 100; i++)
		tap_check_u64(tty_write(tty, data, sizeof(data)), sizeof(data));
	finish();
}

/* What the guest said last is not lost with the process. */
static void
drains_at_close(void)
{
	char got[16];
	int peer;

	pair(&peer);
	say("last words");
	tty_close(tty);
	tap_check_int(read(peer, got, sizeof(got)), 10);
	close(peer);
	mevent_loop_destroy(loop);
}

/* An idle line, even one that hung up, does not keep the loop busy. */
static void
idle_is_idle(void)
{
	uint64_t start;
	int peer;

	pair(&peer);
	say("x");
	pump();
	in_limit = 0;
	tap_check_int(write(peer, "y", 1), 1);
	pump();
	close(peer);
	pump();
	start = mevent_now_ns();
	mevent_loop_once(loop, 200);
	tap_check(mevent_now_ns() - start > 150000000);
	finish();
}

/* ---- terminals ---- */

static void
device_path(void)
{
	struct termios before, t;
	int master, slave;
	char name[64], got[32];

	tap_check_int(openpty(&master, &slave, name, NULL, NULL), 0);
	tap_check_int(tcgetattr(slave, &before), 0);
	tap_check_int(open_spec(name), 0);
	tap_check_int(tcgetattr(slave, &t), 0);
	tap_check_u64(t.c_lflag & (ECHO | ICANON | ISIG), 0);
	say("out\n");
	pump();
	tap_check_int(read(master, got, sizeof(got)), 4);
	tap_check_int(write(master, "in\r", 3), 3);
	expect_input("in\r");
	finish();
	tap_check_int(tcgetattr(slave, &t), 0);
	tap_check_u64(t.c_lflag, before.c_lflag);
	close(slave);
	close(master);
}

/* A child with a terminal of its own as stdin and stdout. */
static pid_t
on_terminal(int *ret_master, void (*fn)(void))
{
	pid_t pid = forkpty(ret_master, NULL, NULL, NULL);

	tap_check(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	return pid;
}

static void
stdio_child(void)
{
	if (open_spec("stdio") < 0)
		_exit(1);
	say("raw");
	for (;;)
		mevent_loop_once(loop, 100);
}

static void
stdio_is_restored(void)
{
	static const int signals[] = { SIGTERM, SIGILL, SIGABRT, SIGHUP };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct termios t;
		int master, status;
		char got[32];
		pid_t pid = on_terminal(&master, stdio_child);

		tap_check_int(read(master, got, sizeof(got)), 3);
		tap_check_int(tcgetattr(master, &t), 0);
		tap_check_u64(t.c_lflag & (ECHO | ICANON), 0);
		kill(pid, signals[i]);
		tap_check_int(waitpid(pid, &status, 0), pid);
		tap_check(WIFSIGNALED(status));
		tap_check_int(WTERMSIG(status), signals[i]);
		tap_check_int(tcgetattr(master, &t), 0);
		tap_check_u64(t.c_lflag & (ECHO | ICANON), ECHO | ICANON);
		close(master);
	}
}

static void
stdio_exit_child(void)
{
	if (open_spec("stdio") < 0)
		_exit(1);
	say("raw");
	pump();
	exit(0);
}

static void
stdio_is_restored_at_exit(void)
{
	struct termios t;
	int master, status;
	char got[32];
	pid_t pid = on_terminal(&master, stdio_exit_child);

	tap_check_int(read(master, got, sizeof(got)), 3);
	tap_check_int(waitpid(pid, &status, 0), pid);
	tap_check_int(tcgetattr(master, &t), 0);
	tap_check_u64(t.c_lflag & (ECHO | ICANON), ECHO | ICANON);
	close(master);
}

/* stdin at its end, /dev/null and files are input like others. */
static void
stdio_without_terminal(void)
{
	int null = open("/dev/null", O_RDONLY), out[2];
	int saved_in = dup(0), saved_out = dup(1);
	const char *path = in_tmp("in");
	int file = open(path, O_CREAT | O_RDWR, 0600);
	struct tty *first;
	char got[16];

	tap_check_int(pipe(out), 0);
	dup2(null, 0);
	dup2(out[1], 1);
	tap_check_int(open_spec("stdio"), 0);
	first = tty;
	tap_check_int(open_spec("stdio"), -EBUSY);
	tap_check_has(err.text, "stdio is taken by com1");
	tty = first;
	say("piped");
	pump();
	tap_check_int(read(out[0], got, sizeof(got)), 5);
	/* the other end's flags are its own */
	tap_check_int(fcntl(1, F_GETFL) & O_NONBLOCK, 0);
	tty_close(tty);
	tap_check_int(write(file, "from a file", 11), 11);
	lseek(file, 0, SEEK_SET);
	dup2(file, 0);
	tap_check_int(open_spec("stdio"), 0);
	expect_input("from a file");
	finish();
	dup2(saved_in, 0);
	dup2(saved_out, 1);
	close(saved_in);
	close(saved_out);
	close(null);
	close(file);
	close(out[0]);
	close(out[1]);
}

static const struct tap_test tests[] = {
	TAP_TEST(bad_specs),
	TAP_TEST(none_swallows),
	TAP_TEST(unix_client),
	TAP_TEST(unix_stale),
	TAP_TEST(waits_for_client),
	TAP_TEST(tcp_client),
	TAP_TEST(output_is_bounded),
	TAP_TEST(input_is_held),
	TAP_TEST(drains_at_close),
	TAP_TEST(idle_is_idle),
	TAP_TEST(device_path),
	TAP_TEST(stdio_is_restored),
	TAP_TEST(stdio_is_restored_at_exit),
	TAP_TEST(stdio_without_terminal),
};
TAP_MAIN(tests)
