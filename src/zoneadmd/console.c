/*
 * Two buffers and four readiness conditions.
 */
#include "zoneadmd/console.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"

#define CHUNK 8192
#define DRAIN_ROUNDS 64 /* of CHUNK bytes, when the guest is gone */
#define NOTICE_MAX 512

void
console_init(struct console *c, struct mevent_loop *loop, struct logfile *log)
{
	*c = (struct console){ .loop = loop,
		.log = log,
		.listen = -1,
		.guest = -1,
		.person = -1 };
}

bool
console_in_use(const struct console *c)
{
	return c->person >= 0;
}

static void
drop_person(struct console *c)
{
	mevent_delete(c->person_ev);
	c->person_ev = NULL;
	fd_close(&c->person);
	free(c->out);
	c->out = NULL;
	c->out_at = c->out_len = c->in_at = c->in_len = 0;
	c->out_lost = 0;
}

/* Wait for what can be done now, and for nothing else. */
static void
rearm(struct console *c)
{
	unsigned guest = MEVENT_READ, person = 0;

	if (c->in_len > 0)
		guest |= MEVENT_WRITE;
	else
		person |= MEVENT_READ;
	if (c->out_len > 0)
		person |= MEVENT_WRITE;
	if (c->guest_ev != NULL)
		mevent_set_what(c->guest_ev, guest);
	if (c->person_ev != NULL)
		mevent_set_what(c->person_ev, person);
}

/* ---- to the person ---- */

static void
put_out(struct console *c, const char *data, size_t n)
{
	size_t end, part;

	if (c->person < 0)
		return;
	if (c->out_lost > 0 || n > CONSOLE_OUT - c->out_len) {
		c->out_lost += n;
		return;
	}
	while (n > 0) {
		end = (c->out_at + c->out_len) % CONSOLE_OUT;
		part = MIN(n, CONSOLE_OUT - end);
		memcpy(c->out + end, data, part);
		c->out_len += part;
		data += part;
		n -= part;
	}
}

static void
flush_out(struct console *c)
{
	char text[64];
	uint64_t lost;
	ssize_t n;

	while (c->person >= 0 && c->out_len > 0) {
		n = fd_write_nosig(c->person, c->out + c->out_at,
		    MIN(c->out_len, CONSOLE_OUT - c->out_at));
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			drop_person(c);
			return;
		}
		c->out_at = (c->out_at + (size_t)n) % CONSOLE_OUT;
		c->out_len -= (size_t)n;
		if (c->out_len == 0 && c->out_lost > 0) {
			lost = c->out_lost;
			c->out_lost = 0;
			snprintf(text, sizeof(text),
			    "\r\n[NOTICE: %" PRIu64 " bytes lost]\r\n", lost);
			put_out(c, text, strlen(text));
		}
	}
}

void
console_notice(struct console *c, const char *text)
{
	char line[NOTICE_MAX];

	snprintf(line, sizeof(line), "\r\n[NOTICE: %.400s]\r\n", text);
	put_out(c, line, strlen(line));
	flush_out(c);
	rearm(c);
}

/* ---- to the guest ---- */

static void
flush_in(struct console *c)
{
	ssize_t n;

	while (c->in_len > 0) {
		if (c->guest < 0) {
			c->in_at = c->in_len = 0;
			return;
		}
		n = fd_write_nosig(c->guest, c->in + c->in_at, c->in_len);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			c->in_at = c->in_len = 0;
			return;
		}
		c->in_at += (size_t)n;
		c->in_len -= (size_t)n;
	}
	c->in_at = 0;
}

/* ---- what happens ---- */

/* false: nothing more is there now */
static bool
read_guest(struct console *c)
{
	char data[CHUNK];
	ssize_t n;

	do {
		n = read(c->guest, data, sizeof(data));
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	logfile_feed(c->log, data, (size_t)n);
	put_out(c, data, (size_t)n);
	flush_out(c);
	return true;
}

static void
on_guest(void *arg, int fd, unsigned what)
{
	struct console *c = arg;

	if ((what & MEVENT_WRITE) != 0)
		flush_in(c);
	if ((what & (MEVENT_READ | MEVENT_HANGUP)) != 0 && !read_guest(c) &&
	    (what & MEVENT_HANGUP) != 0) {
		/* closed: the process ends, or has let go of it */
		mevent_delete(c->guest_ev);
		c->guest_ev = NULL;
		fd_close(&c->guest);
		flush_in(c);
	}
	rearm(c);
}

static void
on_person(void *arg, int fd, unsigned what)
{
	struct console *c = arg;
	ssize_t n = 1;

	if ((what & MEVENT_WRITE) != 0)
		flush_out(c);
	if (c->person >= 0 && c->in_len == 0 &&
	    (what & (MEVENT_READ | MEVENT_HANGUP)) != 0) {
		n = read(c->person, c->in, sizeof(c->in));
		if (n > 0) {
			c->in_at = 0;
			c->in_len = (size_t)n;
			flush_in(c);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			drop_person(c);
		}
	} else if ((what & MEVENT_HANGUP) != 0) {
		drop_person(c);
	}
	rearm(c);
}

static void
refuse(struct console *c, int fd)
{
	char text[64];

	snprintf(text, sizeof(text), "busy %d %u\n", (int)c->person_pid,
	    (unsigned)c->person_uid);
	(void)fd_write_all(fd, text, strlen(text));
	close(fd);
}

static void
welcome(struct console *c, int fd)
{
	c->out = alloc_bytes(CONSOLE_OUT);
	if (c->out == NULL ||
	    mevent_add_fd(c->loop, fd, MEVENT_READ, on_person, c, &c->person_ev,
		NULL) < 0) {
		free(c->out);
		c->out = NULL;
		close(fd);
		return;
	}
	c->person = fd;
	put_out(c, "ok\n", 3);
	flush_out(c);
	rearm(c);
}

static void
on_connect(void *arg, int listener, unsigned what)
{
	struct console *c = arg;
	uid_t uid = (uid_t)-1;
	pid_t pid = 0;
	int fd;

	fd = accept4(c->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (ipc_peer(fd, &uid, &pid) < 0 || uid != geteuid()) {
		close(fd);
		return;
	}
	if (c->person >= 0) {
		refuse(c, fd);
		return;
	}
	c->person_pid = pid;
	c->person_uid = uid;
	welcome(c, fd);
}

/* ---- coming and going ---- */

int
console_serve(struct console *c, int dir, struct error *err)
{
	c->listen = ipc_listen(dir, "console.sock", SOCK_STREAM, err);
	if (c->listen < 0)
		return c->listen;
	return mevent_add_fd(
	    c->loop, c->listen, MEVENT_READ, on_connect, c, &c->listen_ev, err);
}

void
console_fini(struct console *c)
{
	console_detach(c);
	drop_person(c);
	mevent_delete(c->listen_ev);
	c->listen_ev = NULL;
	fd_close(&c->listen);
}

int
console_attach(struct console *c, int fd, struct error *err)
{
	int rc;

	console_detach(c);
	rc = mevent_add_fd(
	    c->loop, fd, MEVENT_READ, on_guest, c, &c->guest_ev, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	c->guest = fd;
	return 0;
}

void
console_detach(struct console *c)
{
	for (int i = 0; c->guest >= 0 && i < DRAIN_ROUNDS; i++)
		if (!read_guest(c))
			break;
	mevent_delete(c->guest_ev);
	c->guest_ev = NULL;
	fd_close(&c->guest);
	flush_in(c);
	rearm(c);
}
