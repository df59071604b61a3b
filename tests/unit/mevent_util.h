/*
 * What the two programs about the event loop share.
 */
#ifndef UNIT_MEVENT_UTIL_H
#define UNIT_MEVENT_UTIL_H

#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mevent.h"
#include "tap.h"

#define MS UINT64_C(1000000)

/* What most callbacks write to. */
struct seen {
	struct mevent_loop *loop;
	struct mevent *ev;
	unsigned calls;
	unsigned stop_after; /* 0 = never */
	unsigned what;
	uint64_t value;
	uint64_t when;
	int fd;
};

static inline void
count(struct seen *s)
{
	s->calls++;
	s->when = mevent_now_ns();
	if (s->calls == s->stop_after)
		mevent_loop_stop(s->loop);
}

static inline void
on_fd(void *arg, int fd, unsigned what)
{
	struct seen *s = arg;

	s->fd = fd;
	s->what = what;
	count(s);
}

static inline void
on_timer(void *arg, uint64_t expirations)
{
	struct seen *s = arg;

	s->value += expirations;
	count(s);
}

static inline void
on_signal(void *arg, int signo)
{
	struct seen *s = arg;

	s->value = (uint64_t)signo;
	count(s);
}

static inline void
on_call(void *arg)
{
	count(arg);
}

static inline void
stop_loop(void *arg)
{
	mevent_loop_stop(arg);
}

static inline struct mevent_loop *
make_loop(void)
{
	struct mevent_loop *loop = NULL;

	tap_check_int(mevent_loop_create(&loop, NULL), 0);
	return loop;
}

static inline void
add_fd(struct seen *s, int fd, unsigned what)
{
	tap_check_int(
	    mevent_add_fd(s->loop, fd, what, on_fd, s, &s->ev, NULL), 0);
}

static inline void
add_timer(struct seen *s)
{
	tap_check_int(mevent_add_timer(s->loop, on_timer, s, &s->ev, NULL), 0);
}

static inline void
make_pair(int fds[2])
{
	tap_check_int(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static inline void
close_pair(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static inline void
sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

static inline void *
run_loop(void *arg)
{
	tap_check_int(mevent_loop_run(arg), 0);
	return NULL;
}

static inline pthread_t
start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	tap_check_int(pthread_create(&thread, NULL, fn, arg), 0);
	return thread;
}

static inline void
finish(pthread_t thread, struct mevent_loop *loop)
{
	mevent_loop_stop(loop);
	pthread_join(thread, NULL);
}

#endif
