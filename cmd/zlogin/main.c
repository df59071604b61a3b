/*
 * zlogin -C: be on a zone's console until the escape is typed. The zone may be
 * down, boot, or be supervised by another process than a moment ago: the
 * session stays. With -d it ends when the zone is halted, and only then: an end
 * of the input is no end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/fd.h"
#include "base/str.h"
#include "escape.h"

#define CHUNK 4096
/* What the supervisor says then. A guest can say it, too: we look. */
#define HALTED "[NOTICE: Zone halted]"
#define TYPED_MAX 65536 /* bytes that wait for a guest that does not read */

struct session {
	struct admin admin;
	const char *zone;
	int sock;
	struct escape escape;
	bool leave; /* when the zone is halted */
	bool mute; /* the input has ended */
	size_t heard; /* of HALTED, at the end of what was shown */
	char typed[TYPED_MAX];
	size_t ntyped;
};

static struct termios before;
static volatile sig_atomic_t caught;

static int
usage(const char *why)
{
	if (why != NULL)
		fprintf(stderr, "zlogin: %s\n", why);
	fprintf(
	    stderr, "usage: zlogin -C [-d] [-E | -e char] [-R root] zone\n");
	return 2;
}

static int
fail(const struct error *err)
{
	fprintf(stderr, "zlogin: %s\n", err->text);
	return 1;
}

/* ---- the terminal ---- */

static void
restore(void)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

static void
on_signal(int signo)
{
	caught = signo;
}

/* Raw until the end, whatever the end is. */
static int
make_raw(struct error *err)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };
	struct termios raw;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!isatty(STDIN_FILENO))
		return 0;
	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return error_sys(err, errno, "terminal");
	raw = before;
	cfmakeraw(&raw);
	atexit(restore);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
		return error_sys(err, errno, "terminal");
	return 0;
}

static void
say(const char *text)
{
	printf("\r\n[%s]\r\n", text);
	fflush(stdout);
}

/* ---- the connection ---- */

static int
busy(struct session *s, const char *line, struct error *err)
{
	const struct passwd *pw = NULL;
	unsigned uid = 0;
	int pid = 0;

	if (sscanf(line, "busy %d %u", &pid, &uid) == 2)
		pw = getpwuid((uid_t)uid);
	return error_set(err, EBUSY,
	    "zone '%s': the console is in use by process %d (%s)", s->zone, pid,
	    pw != NULL ? pw->pw_name : "unknown user");
}

/* The supervisor's first line, a byte at a time: what follows is output. */
static int
greet(struct session *s, struct error *err)
{
	char line[64];
	size_t n = 0;

	while (n < sizeof(line) - 1) {
		if (read(s->sock, line + n, 1) != 1)
			return error_set(err, EPIPE,
			    "zone '%s': the supervisor hung up", s->zone);
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	if (strcmp(line, "ok") != 0)
		return busy(s, line, err);
	return fd_set_nonblock(s->sock, true);
}

static int
attach(struct session *s, struct error *err)
{
	s->sock =
	    admin_connect(&s->admin, s->zone, "console.sock", SOCK_STREAM, err);
	if (s->sock < 0)
		return s->sock;
	return greet(s, err);
}

/* As the host has it; a negative errno when there is no such zone. */
static int
state_of(struct session *s, enum zone_state *ret, struct error *err)
{
	struct admin_zone z;
	int rc = admin_find(&s->admin, s->zone, &z, err);

	if (rc < 0)
		return rc;
	*ret = z.state;
	admin_zone_fini(&z);
	return 0;
}

/* Only a zone that is there still has a console. */
static int
attach_again(struct session *s, struct error *err)
{
	enum zone_state state;
	int rc;

	fd_close(&s->sock);
	s->ntyped = 0;
	rc = state_of(s, &state, err);
	if (rc < 0)
		return rc;
	if (state < ZONE_STATE_INSTALLED)
		return error_set(
		    err, ENOENT, "zone '%s' is not installed", s->zone);
	return attach(s, err);
}

/* ---- bytes ---- */

/* 1: the session ends. Escapes are heard even if nothing can be sent. */
static int
take_typed(struct session *s)
{
	char in[CHUNK], out[CHUNK + 1];
	ssize_t n = read(STDIN_FILENO, in, sizeof(in));
	size_t k = 0;
	bool end;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : 1;
	if (n == 0) {
		s->mute = s->leave;
		return !s->leave;
	}
	end = escape_feed(&s->escape, in, (size_t)n, out, &k);
	k = MIN(k, sizeof(s->typed) - s->ntyped);
	memcpy(s->typed + s->ntyped, out, k);
	s->ntyped += k;
	return end;
}

static void
send_typed(struct session *s)
{
	ssize_t n = fd_write_nosig(s->sock, s->typed, s->ntyped);

	if (n <= 0)
		return;
	s->ntyped -= (size_t)n;
	memmove(s->typed, s->typed + n, s->ntyped);
}

/* The notice may come in pieces. */
static bool
hear_halted(struct session *s, const char *data, size_t n)
{
	static const char text[] = HALTED;

	for (size_t i = 0; i < n; i++) {
		if (data[i] != text[s->heard])
			s->heard = 0;
		if (data[i] == text[s->heard])
			s->heard++;
		if (text[s->heard] == '\0') {
			s->heard = 0;
			return true;
		}
	}
	return false;
}

static bool
is_halted(struct session *s)
{
	struct error err = ERROR_INIT;
	enum zone_state state;

	return state_of(s, &state, &err) < 0 || state <= ZONE_STATE_INSTALLED;
}

/* 1: the other side has closed. 2: the zone is down, and that is the end. */
static int
show_output(struct session *s)
{
	char data[CHUNK];
	ssize_t n = read(s->sock, data, sizeof(data));
	size_t done = 0;

	if (n <= 0)
		return n == 0 || (errno != EAGAIN && errno != EINTR);
	while (done < (size_t)n && caught == 0) {
		ssize_t w = write(STDOUT_FILENO, data + done, (size_t)n - done);

		if (w < 0 && errno != EINTR)
			return 0;
		if (w > 0)
			done += (size_t)w;
	}
	return s->leave && hear_halted(s, data, (size_t)n) && is_halted(s) ? 2
									   : 0;
}

static int
talk(struct session *s, struct error *err)
{
	int rc;

	while (caught == 0) {
		struct pollfd p[] = {
			{ .fd = s->mute ? -1 : STDIN_FILENO, .events = POLLIN },
			{ .fd = s->sock,
			    .events = (short)(POLLIN |
				(s->ntyped > 0 ? POLLOUT : 0)) },
		};

		if (poll(p, ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[0].revents != 0 && take_typed(s) != 0) {
			send_typed(s);
			return 0;
		}
		if (s->ntyped > 0)
			send_typed(s);
		rc = p[1].revents != 0 ? show_output(s) : 0;
		if (rc == 2)
			return 0;
		if (rc == 0)
			continue;
		rc = attach_again(s, err);
		if (rc < 0)
			return rc;
		say("NOTICE: The supervisor was started again");
	}
	return 0;
}

static int
run(struct session *s, const char *root)
{
	struct error err = ERROR_INIT;
	enum zone_state state;
	char text[128];
	int rc;

	rc = admin_open(root, &s->admin, &err);
	if (rc == 0)
		rc = state_of(s, &state, &err);
	if (rc == 0)
		rc = attach(s, &err);
	if (rc == 0)
		rc = make_raw(&err);
	if (rc < 0)
		return fail(&err);
	str_format(
	    text, sizeof(text), "Connected to zone '%s' console", s->zone);
	say(text);
	rc = talk(s, &err);
	str_format(text, sizeof(text), "Connection to zone '%s' console closed",
	    s->zone);
	say(text);
	if (isatty(STDIN_FILENO))
		restore();
	return rc < 0 ? fail(&err) : caught != 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
	static struct session s = { .sock = -1 };
	const char *root = NULL;
	bool console = false;
	int c, esc = '~', status;

	while ((c = getopt(argc, argv, "CdEe:R:")) != -1) {
		if (c == 'C')
			console = true;
		else if (c == 'd')
			s.leave = true;
		else if (c == 'E')
			esc = -1;
		else if (c == 'R')
			root = optarg;
		else if (c != 'e' || (esc = escape_parse(optarg)) < 0)
			return usage(
			    c == 'e' ? "-e takes one character" : NULL);
	}
	if (optind + 1 != argc)
		return usage("name one zone");
	if (!console)
		return usage("a virtual machine has a console only: use -C");
	s.zone = argv[optind];
	escape_init(&s.escape, esc);
	status = run(&s, root);
	fd_close(&s.sock);
	admin_close(&s.admin);
	return status;
}
