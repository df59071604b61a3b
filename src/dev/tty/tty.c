/*
 * Byte streams between a guest's serial line and the outside: queues, flow
 * control and the life of a client.
 *
 * Output is queued and written a millisecond later, or at once when much is
 * there: a guest that prints byte by byte then costs one write(2) a burst. The
 * timer is armed only while there is something to write.
 */
#include "dev/tty/tty.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "dev/tty/tty_internal.h"

#define FLUSH_AT 512u
#define FLUSH_NS UINT64_C(1000000)
#define BLOCKING_CHUNK 256u /* a terminal that can be written takes as much */
#define CLOSE_DRAIN_MS 200
#define DISCARD_MAX 4096 /* times TTY_IN_MAX; who sends more is no line */

/* ---- descriptors ---- */

static ssize_t
stream_write(const struct tty *tty, const uint8_t *p, size_t n)
{
	struct pollfd pfd = { .fd = tty->out_fd, .events = POLLOUT };
	ssize_t rc;

	if (tty->socket) {
		rc = send(tty->out_fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		return rc == -1 ? -errno : rc;
	}
	if (tty->may_block) {
		if (poll(&pfd, 1, 0) <= 0)
			return -EAGAIN;
		n = MIN(n, BLOCKING_CHUNK);
	}
	return fd_write_nosig(tty->out_fd, p, n);
}

static ssize_t
stream_read(const struct tty *tty, uint8_t *p, size_t n)
{
	ssize_t rc = tty->socket ? recv(tty->in_fd, p, n, MSG_DONTWAIT)
				 : read(tty->in_fd, p, n);

	return rc == -1 ? -errno : rc;
}

/* Only the conditions that are wanted now are watched. Lock held. */
static void
watch_update_locked(struct tty *tty)
{
	unsigned in = tty->in_paused || tty->in_eof ? 0 : MEVENT_READ;
	unsigned out = tty->out_blocked ? MEVENT_WRITE : 0;

	if (tty->out_ev != NULL)
		mevent_set_what(tty->out_ev, out);
	else
		in |= out;
	if (tty->in_ev != NULL)
		mevent_set_what(tty->in_ev, in);
}

/* ---- output ---- */

/* Write what the descriptor takes. Lock held. */
static void
flush_locked(struct tty *tty)
{
	ssize_t rc = 0;

	while (tty->out_len > 0 && !tty->out_dead && !tty->broken) {
		rc = stream_write(tty, &tty->out[tty->out_at],
		    MIN(tty->out_len, TTY_OUT_MAX - tty->out_at));
		if (rc <= 0)
			break;
		tty->out_at = (tty->out_at + (size_t)rc) % TTY_OUT_MAX;
		tty->out_len -= (size_t)rc;
	}
	if (tty->out_len > 0 && rc == -EAGAIN && tty->hung_up) {
		tty->out_len = 0; /* nobody is there to make room */
	} else if (tty->out_len > 0 && rc == -EAGAIN) {
		tty->out_blocked = true;
		watch_update_locked(tty);
	} else if (tty->out_len > 0) {
		/* The other side is gone; what it has not read is lost. */
		tty->out_len = 0;
		if (tty->kind == TTY_LISTEN)
			tty->broken = true;
		else
			tty->out_dead = true;
	}
}

/* After a flush: does the owner wait for room? Lock held. */
static bool
owner_wake_locked(struct tty *tty)
{
	bool wake = tty->owner_waits && tty->out_len <= TTY_OUT_MAX / 2;

	if (wake)
		tty->owner_waits = false;
	return wake;
}

static size_t
queue_locked(struct tty *tty, const uint8_t *data, size_t n)
{
	size_t take = MIN(n, TTY_OUT_MAX - tty->out_len);

	for (size_t i = 0; i < take; i++)
		tty->out[(tty->out_at + tty->out_len + i) % TTY_OUT_MAX] =
		    data[i];
	tty->out_len += take;
	return take;
}

size_t
tty_write(struct tty *tty, const uint8_t *data, size_t n)
{
	size_t done, more;

	if (n == 0 || tty->kind == TTY_NONE)
		return n;
	pthread_mutex_lock(&tty->lock);
	if (tty->out_fd == -1 || tty->out_dead || tty->broken) {
		pthread_mutex_unlock(&tty->lock);
		return n;
	}
	done = queue_locked(tty, data, n);
	while (tty->out_len >= FLUSH_AT && !tty->out_blocked) {
		flush_locked(tty);
		more = queue_locked(tty, data + done, n - done);
		done += more;
		if (more == 0)
			break;
	}
	if (tty->broken || tty->hung_up)
		mevent_notify(tty->notifier);
	if (tty->broken || tty->out_dead)
		done = n;
	if (done < n)
		tty->owner_waits = true;
	if (tty->out_len > 0 && !tty->out_blocked && !tty->timer_armed &&
	    mevent_timer_set(tty->timer, FLUSH_NS, 0) == 0)
		tty->timer_armed = true;
	pthread_mutex_unlock(&tty->lock);
	return done;
}

/* ---- the loop's thread ---- */

static void
client_drop(struct tty *tty)
{
	struct mevent *ev;
	bool wake;

	pthread_mutex_lock(&tty->lock);
	if (tty->in_fd == -1) {
		pthread_mutex_unlock(&tty->lock);
		return;
	}
	ev = tty->in_ev;
	tty->in_ev = NULL;
	mevent_delete(ev);
	fd_close(&tty->in_fd);
	tty->out_fd = -1;
	tty->out_len = 0;
	tty->out_blocked = tty->out_dead = tty->broken = false;
	tty->in_paused = tty->in_eof = false;
	wake = tty->owner_waits;
	tty->owner_waits = false;
	pthread_mutex_unlock(&tty->lock);
	pthread_mutex_lock(&tty->in_lock);
	tty->in_len = 0;
	pthread_mutex_unlock(&tty->in_lock);
	if (tty->ops->connected != NULL)
		tty->ops->connected(tty->arg, false);
	if (wake && tty->ops->writable != NULL)
		tty->ops->writable(tty->arg);
}

static void
output_run(struct tty *tty)
{
	bool wake, broken;

	pthread_mutex_lock(&tty->lock);
	if (tty->out_fd != -1)
		flush_locked(tty);
	wake = owner_wake_locked(tty);
	broken = tty->broken;
	pthread_mutex_unlock(&tty->lock);
	if (broken)
		client_drop(tty);
	if (wake && tty->ops->writable != NULL)
		tty->ops->writable(tty->arg);
}

static void
on_timer(void *arg, uint64_t expirations)
{
	struct tty *tty = arg;

	pthread_mutex_lock(&tty->lock);
	tty->timer_armed = false;
	pthread_mutex_unlock(&tty->lock);
	output_run(tty);
}

static void
input_pause(struct tty *tty, bool pause)
{
	pthread_mutex_lock(&tty->lock);
	tty->in_paused = pause;
	watch_update_locked(tty);
	pthread_mutex_unlock(&tty->lock);
}

static void
input_end(struct tty *tty)
{
	if (tty->kind == TTY_LISTEN) {
		client_drop(tty);
		return;
	}
	pthread_mutex_lock(&tty->lock);
	tty->in_eof = true;
	watch_update_locked(tty);
	pthread_mutex_unlock(&tty->lock);
}

/*
 * Give the owner what was read before, or what is read now. Returns what is
 * left of it, or a negative errno value; 0 with *ret_more unset: the end.
 */
static ssize_t
input_give(struct tty *tty, bool *ret_more)
{
	ssize_t n;
	size_t took;

	if (tty->in_len == 0) {
		if (tty->in_fd == -1 || tty->in_eof)
			return -EAGAIN;
		n = stream_read(tty, tty->in, TTY_IN_MAX);
		if (n <= 0)
			return n;
		tty->in_at = 0;
		tty->in_len = (size_t)n;
	}
	took = tty->ops->input(tty->arg, &tty->in[tty->in_at], tty->in_len);
	took = MIN(took, tty->in_len);
	tty->in_at += took;
	tty->in_len -= took;
	*ret_more = true;
	return (ssize_t)tty->in_len;
}

/* Returns whether there may be more to read at once. */
static bool
input_step(struct tty *tty)
{
	bool more = false;
	ssize_t left;

	pthread_mutex_lock(&tty->in_lock);
	left = input_give(tty, &more);
	pthread_mutex_unlock(&tty->in_lock);
	if (left == -EAGAIN || left == -EINTR)
		return false;
	if (!more)
		input_end(tty);
	else if (left > 0)
		input_pause(tty, true);
	return more && left == 0;
}

bool
tty_discard(struct tty *tty)
{
	uint8_t chunk[TTY_IN_MAX];

	pthread_mutex_lock(&tty->in_lock);
	pthread_mutex_lock(&tty->lock);
	if (tty->socket) {
		tty->in_len = 0;
		for (size_t i = 0; tty->in_fd != -1 && i < DISCARD_MAX; i++)
			if (stream_read(tty, chunk, sizeof(chunk)) <= 0)
				break;
	}
	pthread_mutex_unlock(&tty->lock);
	pthread_mutex_unlock(&tty->in_lock);
	return tty->socket;
}

/*
 * A descriptor that hung up is always ready: do not watch it any longer. What
 * it still has is read; a terminal may come back, a socket does not.
 */
static void
hang_up(struct tty *tty)
{
	struct mevent *ev;
	bool wake;

	pthread_mutex_lock(&tty->lock);
	ev = tty->in_ev;
	tty->in_ev = NULL;
	tty->hung_up = !tty->socket && tty->out_fd == tty->in_fd;
	tty->out_dead = !tty->hung_up && tty->out_fd == tty->in_fd;
	if (tty->out_fd == tty->in_fd) {
		tty->out_blocked = false;
		tty->out_len = 0;
	}
	wake = owner_wake_locked(tty);
	pthread_mutex_unlock(&tty->lock);
	mevent_delete(ev);
	while (!tty->in_paused && input_step(tty))
		continue;
	if (wake && tty->ops->writable != NULL)
		tty->ops->writable(tty->arg);
}

static void
on_in(void *arg, int fd, unsigned what)
{
	struct tty *tty = arg;

	if ((what & MEVENT_WRITE) != 0) {
		pthread_mutex_lock(&tty->lock);
		tty->out_blocked = false;
		watch_update_locked(tty);
		pthread_mutex_unlock(&tty->lock);
		output_run(tty);
	}
	if ((what & MEVENT_HANGUP) != 0) {
		/* output_run() may have dropped the client. */
		if (tty->in_ev != NULL)
			hang_up(tty);
	} else if ((what & MEVENT_READ) != 0 && !tty->in_paused) {
		input_step(tty);
	}
}

static void
on_out(void *arg, int fd, unsigned what)
{
	struct tty *tty = arg;
	struct mevent *gone = NULL;

	pthread_mutex_lock(&tty->lock);
	tty->out_blocked = false;
	if ((what & MEVENT_HANGUP) != 0) {
		tty->out_dead = true;
		tty->out_len = 0;
		gone = tty->out_ev;
		tty->out_ev = NULL;
	}
	watch_update_locked(tty);
	pthread_mutex_unlock(&tty->lock);
	mevent_delete(gone);
	output_run(tty);
}

static void
on_notify(void *arg)
{
	struct tty *tty = arg;
	struct error err;
	bool broken;

	pthread_mutex_lock(&tty->lock);
	broken = tty->broken;
	if (tty->hung_up && tty->in_ev == NULL) {
		/* The guest wrote: perhaps the other side is back. */
		tty->hung_up = tty->in_eof = false;
		tty_watch(tty, &err);
		watch_update_locked(tty);
	}
	pthread_mutex_unlock(&tty->lock);
	if (broken)
		client_drop(tty);
	if (tty->in_paused)
		input_pause(tty, false);
	/* Unwatched descriptors (files, hung up) are read until they end. */
	while (!tty->in_paused && input_step(tty) && tty->in_ev == NULL)
		continue;
}

void
tty_resume(struct tty *tty)
{
	if (tty->kind != TTY_NONE)
		mevent_notify(tty->notifier);
}

/* -EPERM: not pollable (a file, /dev/null), so always ready. */
static int
watch_add(struct tty *tty, int fd, unsigned what, mevent_fd_fn fn,
    struct mevent **ret, struct error *err)
{
	int rc = mevent_add_fd(tty->loop, fd, what, fn, tty, ret, err);

	return rc == -EPERM ? 1 : rc;
}

int
tty_watch(struct tty *tty, struct error *err)
{
	int rc;

	rc = watch_add(tty, tty->in_fd, MEVENT_READ, on_in, &tty->in_ev, err);
	if (rc < 0)
		return rc;
	if (rc > 0)
		mevent_notify(tty->notifier);
	if (tty->out_fd == tty->in_fd)
		return 0;
	rc = watch_add(tty, tty->out_fd, 0, on_out, &tty->out_ev, err);
	return MIN(rc, 0);
}

/* ---- clients ---- */

static void
refuse_client(const struct tty *tty, int fd)
{
	char text[64];
	int n = snprintf(text, sizeof(text),
	    "%s is in use by another client\r\n", tty->what);

	(void)send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void
on_listen(void *arg, int listen_fd, unsigned what)
{
	struct tty *tty = arg;
	struct error err = ERROR_INIT;
	int rc,
	    fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return;
	if (tty->in_fd != -1) {
		refuse_client(tty, fd);
		return;
	}
	pthread_mutex_lock(&tty->lock);
	tty->in_fd = tty->out_fd = fd;
	rc = tty_watch(tty, &err);
	pthread_mutex_unlock(&tty->lock);
	if (rc < 0) {
		log_warn(tty->what, "%s", err.text);
		client_drop(tty);
	} else if (tty->ops->connected != NULL) {
		tty->ops->connected(tty->arg, true);
	}
}

int
tty_wait_client(struct tty *tty, struct error *err)
{
	int rc = 0;

	while (tty->wait && tty->in_fd == -1 && rc == 0) {
		if (mevent_loop_stopped(tty->loop))
			return error_set(err, EINTR,
			    "%s: interrupted while waiting for a client",
			    tty->what);
		rc = mevent_loop_once(tty->loop, -1);
	}
	return rc < 0 ? error_sys(err, -rc, "%s", tty->what) : 0;
}

/* ---- life ---- */

static int
tty_start(struct tty *tty, struct error *err)
{
	int rc;

	rc =
	    mevent_add_notifier(tty->loop, on_notify, tty, &tty->notifier, err);
	if (rc == 0)
		rc = mevent_add_timer(
		    tty->loop, on_timer, tty, &tty->timer, err);
	if (rc == 0 && tty->kind == TTY_LISTEN)
		return mevent_add_fd(tty->loop, tty->listen_fd, MEVENT_READ,
		    on_listen, tty, &tty->listen_ev, err);
	return rc == 0 ? tty_watch(tty, err) : rc;
}

int
tty_open(struct mevent_loop *loop, const char *spec, const char *what,
    const struct tty_ops *ops, void *arg, struct tty **ret, struct error *err)
{
	struct tty *tty = alloc_zero(1, sizeof(*tty));
	int rc;

	if (tty == NULL)
		return error_set(err, ENOMEM, "%s: out of memory", what);
	tty->loop = loop;
	tty->ops = ops;
	tty->arg = arg;
	snprintf(tty->what, sizeof(tty->what), "%s", what);
	tty->listen_fd = tty->in_fd = tty->out_fd = -1;
	pthread_mutex_init(&tty->lock, NULL);
	pthread_mutex_init(&tty->in_lock, NULL);
	rc = tty_open_spec(tty, spec, err);
	if (rc == 0 && tty->kind != TTY_NONE)
		rc = tty_start(tty, err);
	if (rc < 0) {
		error_prefix(err, "%s", what);
		tty_close(tty);
		return rc;
	}
	*ret = tty;
	return 0;
}

/* The last words of a guest, for as long as somebody reads them. */
static void
drain(struct tty *tty)
{
	struct pollfd pfd = { .fd = tty->out_fd, .events = POLLOUT };
	uint64_t end = mevent_now_ns() + CLOSE_DRAIN_MS * UINT64_C(1000000);
	uint64_t now;

	while (tty->out_fd != -1 && tty->out_len > 0) {
		flush_locked(tty);
		now = mevent_now_ns();
		if (tty->out_len == 0 || now >= end ||
		    poll(&pfd, 1, (int)((end - now) / 1000000)) <= 0)
			break;
	}
}

void
tty_close(struct tty *tty)
{
	if (tty == NULL)
		return;
	mevent_delete(tty->listen_ev);
	mevent_delete(tty->notifier);
	mevent_delete(tty->timer);
	mevent_delete(tty->in_ev);
	mevent_delete(tty->out_ev);
	tty->in_ev = tty->out_ev = NULL;
	drain(tty);
	tty_close_fds(tty);
	pthread_mutex_destroy(&tty->lock);
	pthread_mutex_destroy(&tty->in_lock);
	free(tty);
}
