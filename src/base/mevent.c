/*
 * The event loop.
 *
 * The kernel hands back 64 bits per ready descriptor. They are not a pointer,
 * because another thread may delete and free the event between the return of
 * epoll_wait() and the moment the loop takes its lock. They are a slot number
 * and the slot's generation; the loop looks the event up under the lock, and a
 * stale pair finds nothing.
 *
 * Lock order: a loop has one lock, held for short bookkeeping and never during
 * a callback. A deleter on another thread sleeps on 'idle' until the callback
 * of its event has returned.
 */
#include "base/mevent.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"

#define NS_PER_S UINT64_C(1000000000)
#define BATCH 32
#define WAKE_KEY UINT64_MAX
#define SLOT_NONE UINT32_MAX

enum mevent_kind { KIND_FD, KIND_NOTIFIER, KIND_TIMER, KIND_SIGNAL };

struct mevent {
	struct mevent_loop *loop;
	enum mevent_kind kind;
	int fd; /* borrowed for KIND_FD, else our own */
	uint32_t slot;
	unsigned what; /* KIND_FD: the conditions asked for */
	union {
		mevent_fd_fn fd;
		mevent_timer_fn timer;
		mevent_signal_fn signal;
		mevent_call_fn call;
	} fn;
	void *arg;
};

struct mevent_slot {
	struct mevent *ev; /* NULL: free */
	uint32_t gen; /* counts reuses */
	uint32_t next_free;
};

/* A posted call; it lies on the waiter's stack when somebody waits. */
struct mevent_post {
	struct mevent_post *next;
	mevent_call_fn fn;
	void *arg;
	sem_t *done; /* NULL: nobody waits, free it */
	int *result;
};

struct mevent_loop {
	int epfd;
	int wakefd;
	int stop; /* atomic */
	const char *owner; /* atomic; &thread_mark of the running thread */
	pthread_mutex_t lock;
	pthread_cond_t idle; /* current has become another */
	/* all below under lock */
	bool running;
	const struct mevent *current; /* its callback is running */
	struct mevent_slot *slots;
	uint32_t nslots;
	uint32_t free_slot;
	struct mevent_post *first;
	struct mevent_post **last;
};

/* Its address tells threads apart without a system call. */
static _Thread_local char thread_mark;

uint64_t
mevent_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Async-signal-safe: one write(2), errno kept. */
static void
eventfd_signal(int fd)
{
	uint64_t one = 1;
	int saved = errno;

	/* EAGAIN means that the counter is full: signalled all the same. */
	while (write(fd, &one, sizeof(one)) == -1 && errno == EINTR)
		continue;
	errno = saved;
}

/* Read a counter of 8 bytes; 0 when there is nothing. */
static uint64_t
counter_take(int fd)
{
	uint64_t count;
	ssize_t rc;

	do {
		rc = read(fd, &count, sizeof(count));
	} while (rc == -1 && errno == EINTR);
	return rc == (ssize_t)sizeof(count) ? count : 0;
}

int
mevent_loop_create(struct mevent_loop **ret, struct error *err)
{
	struct epoll_event ee = { .events = EPOLLIN, .data.u64 = WAKE_KEY };
	struct mevent_loop *loop;
	int rc;

	loop = alloc_zero(1, sizeof(*loop));
	if (loop == NULL)
		return error_sys(err, ENOMEM, "cannot make an event loop");
	loop->free_slot = SLOT_NONE;
	loop->last = &loop->first;
	loop->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->wakefd == -1 || loop->epfd == -1 ||
	    epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->wakefd, &ee) == -1) {
		rc = error_sys(err, errno, "cannot make an event loop");
		fd_close(&loop->wakefd);
		fd_close(&loop->epfd);
		free(loop);
		return rc;
	}
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->idle, NULL);
	*ret = loop;
	return 0;
}

/* Take the oldest posted call off the queue; NULL when it is empty. */
static struct mevent_post *
mevent_post_pop_locked(struct mevent_loop *loop)
{
	struct mevent_post *post = loop->first;

	if (post == NULL)
		return NULL;
	loop->first = post->next;
	if (loop->first == NULL)
		loop->last = &loop->first;
	return post;
}

static void
mevent_post_finish(struct mevent_post *post, int result)
{
	if (post->done == NULL) {
		free(post);
		return;
	}
	*post->result = result;
	/* The waiter's stack, and post with it, may go away after this. */
	sem_post(post->done);
}

static void
mevent_free(struct mevent *ev)
{
	if (ev->kind != KIND_FD)
		close(ev->fd);
	free(ev);
}

void
mevent_loop_destroy(struct mevent_loop *loop)
{
	struct mevent_post *post;

	if (loop == NULL)
		return;
	pthread_mutex_lock(&loop->lock);
	while ((post = mevent_post_pop_locked(loop)) != NULL)
		mevent_post_finish(post, -ECANCELED);
	pthread_mutex_unlock(&loop->lock);
	for (uint32_t i = 0; i < loop->nslots; i++)
		if (loop->slots[i].ev != NULL)
			mevent_free(loop->slots[i].ev);
	free(loop->slots);
	close(loop->epfd);
	close(loop->wakefd);
	pthread_cond_destroy(&loop->idle);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

static uint32_t
mevent_epoll_mask(unsigned what)
{
	uint32_t mask = 0;

	/* EPOLLHUP and EPOLLERR are always reported. */
	if ((what & MEVENT_READ) != 0)
		mask |= EPOLLIN;
	if ((what & MEVENT_WRITE) != 0)
		mask |= EPOLLOUT;
	return mask;
}

static uint64_t
mevent_key(const struct mevent *ev)
{
	return (uint64_t)ev->loop->slots[ev->slot].gen << 32 | ev->slot;
}

static int
mevent_slot_take_locked(struct mevent_loop *loop, uint32_t *ret)
{
	struct mevent_slot *slots;
	uint32_t n;

	if (loop->free_slot == SLOT_NONE) {
		n = loop->nslots != 0 ? loop->nslots * 2 : 8;
		slots = alloc_resize(loop->slots, n, sizeof(*slots));
		if (slots == NULL)
			return -ENOMEM;
		for (uint32_t i = loop->nslots; i < n; i++)
			slots[i] = (struct mevent_slot){
				.next_free = i + 1 < n ? i + 1 : SLOT_NONE
			};
		loop->free_slot = loop->nslots;
		loop->slots = slots;
		loop->nslots = n;
	}
	*ret = loop->free_slot;
	loop->free_slot = loop->slots[*ret].next_free;
	return 0;
}

static void
mevent_slot_drop_locked(struct mevent_loop *loop, uint32_t slot)
{
	loop->slots[slot].ev = NULL;
	loop->slots[slot].gen++;
	loop->slots[slot].next_free = loop->free_slot;
	loop->free_slot = slot;
}

/* Enter a copy of *proto into the loop; on failure its own fd is closed. */
static int
mevent_add(struct mevent_loop *loop, const struct mevent *proto,
    struct mevent **ret, struct error *err)
{
	struct epoll_event ee = { .events = mevent_epoll_mask(proto->what) };
	struct mevent *ev;
	int rc;

	ev = alloc_bytes(sizeof(*ev));
	if (ev == NULL) {
		if (proto->kind != KIND_FD)
			close(proto->fd);
		return error_sys(err, ENOMEM, "cannot add an event");
	}
	*ev = *proto;
	ev->loop = loop;
	pthread_mutex_lock(&loop->lock);
	rc = mevent_slot_take_locked(loop, &ev->slot);
	if (rc == 0) {
		ee.data.u64 = mevent_key(ev);
		loop->slots[ev->slot].ev = ev;
		if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, ev->fd, &ee) == -1) {
			rc = -errno;
			mevent_slot_drop_locked(loop, ev->slot);
		} else {
			/* Still locked: the callback finds it filled. */
			*ret = ev;
		}
	}
	pthread_mutex_unlock(&loop->lock);
	if (rc == 0)
		return 0;
	rc = error_sys(err, rc, "cannot watch file descriptor %d", ev->fd);
	mevent_free(ev);
	return rc;
}

int
mevent_add_fd(struct mevent_loop *loop, int fd, unsigned what, mevent_fd_fn fn,
    void *arg, struct mevent **ret, struct error *err)
{
	struct mevent ev = {
		.kind = KIND_FD, .fd = fd, .what = what, .fn.fd = fn, .arg = arg
	};

	return mevent_add(loop, &ev, ret, err);
}

int
mevent_add_notifier(struct mevent_loop *loop, mevent_call_fn fn, void *arg,
    struct mevent **ret, struct error *err)
{
	struct mevent ev = { .kind = KIND_NOTIFIER,
		.what = MEVENT_READ,
		.fn.call = fn,
		.arg = arg };

	ev.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ev.fd == -1)
		return error_sys(err, errno, "cannot make an eventfd");
	return mevent_add(loop, &ev, ret, err);
}

int
mevent_notifier_fd(const struct mevent *ev)
{
	return ev->kind == KIND_NOTIFIER ? ev->fd : -1;
}

void
mevent_notify(struct mevent *ev)
{
	if (ev->kind == KIND_NOTIFIER)
		eventfd_signal(ev->fd);
}

int
mevent_add_timer(struct mevent_loop *loop, mevent_timer_fn fn, void *arg,
    struct mevent **ret, struct error *err)
{
	struct mevent ev = { .kind = KIND_TIMER,
		.what = MEVENT_READ,
		.fn.timer = fn,
		.arg = arg };

	ev.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (ev.fd == -1)
		return error_sys(err, errno, "cannot make a timer");
	return mevent_add(loop, &ev, ret, err);
}

static struct timespec
timespec_of(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};
}

static int
mevent_timer_arm(
    struct mevent *ev, uint64_t value_ns, uint64_t interval_ns, int flags)
{
	struct itimerspec its = {
		.it_value = timespec_of(value_ns),
		.it_interval = timespec_of(interval_ns),
	};

	if (ev->kind != KIND_TIMER)
		return -EINVAL;
	/* Also forgets an expiry that was not yet delivered. */
	if (timerfd_settime(ev->fd, flags, &its, NULL) == -1)
		return -errno;
	return 0;
}

int
mevent_timer_set(struct mevent *ev, uint64_t first_ns, uint64_t interval_ns)
{
	return mevent_timer_arm(ev, first_ns, interval_ns, 0);
}

int
mevent_timer_set_abs(struct mevent *ev, uint64_t when_ns, uint64_t interval_ns)
{
	/* The kernel takes 0 for "disarm"; 1 is as much in the past. */
	return mevent_timer_arm(
	    ev, MAX(when_ns, UINT64_C(1)), interval_ns, TFD_TIMER_ABSTIME);
}

int
mevent_add_signal(struct mevent_loop *loop, int signo, mevent_signal_fn fn,
    void *arg, struct mevent **ret, struct error *err)
{
	struct mevent ev = { .kind = KIND_SIGNAL,
		.what = MEVENT_READ,
		.fn.signal = fn,
		.arg = arg };
	sigset_t set;
	int rc;

	sigemptyset(&set);
	if (signo == SIGKILL || signo == SIGSTOP || sigaddset(&set, signo) != 0)
		return error_set(
		    err, EINVAL, "signal %d cannot be taken", signo);
	ev.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (ev.fd == -1)
		return error_sys(err, errno, "cannot take signal %d", signo);
	rc = mevent_add(loop, &ev, ret, err);
	if (rc == 0)
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	return rc;
}

int
mevent_set_what(struct mevent *ev, unsigned what)
{
	struct mevent_loop *loop = ev->loop;
	struct epoll_event ee = { .events = mevent_epoll_mask(what) };
	int rc = 0;

	if (ev->kind != KIND_FD)
		return -EINVAL;
	pthread_mutex_lock(&loop->lock);
	if (ev->what != what) {
		ee.data.u64 = mevent_key(ev);
		if (epoll_ctl(loop->epfd, EPOLL_CTL_MOD, ev->fd, &ee) == -1)
			rc = -errno;
		else
			ev->what = what;
	}
	pthread_mutex_unlock(&loop->lock);
	return rc;
}

bool
mevent_loop_is_current(const struct mevent_loop *loop)
{
	return __atomic_load_n(&loop->owner, __ATOMIC_RELAXED) == &thread_mark;
}

void
mevent_delete(struct mevent *ev)
{
	struct mevent_loop *loop;

	if (ev == NULL)
		return;
	loop = ev->loop;
	pthread_mutex_lock(&loop->lock);
	/* Fails when a borrowed descriptor was closed too early; harmless. */
	(void)epoll_ctl(loop->epfd, EPOLL_CTL_DEL, ev->fd, NULL);
	mevent_slot_drop_locked(loop, ev->slot);
	if (!mevent_loop_is_current(loop))
		while (loop->current == ev)
			pthread_cond_wait(&loop->idle, &loop->lock);
	else if (loop->current == ev)
		loop->current = NULL;
	pthread_mutex_unlock(&loop->lock);
	mevent_free(ev);
}

static void
mevent_post_locked(struct mevent_loop *loop, struct mevent_post *post)
{
	*loop->last = post;
	loop->last = &post->next;
}

int
mevent_call(struct mevent_loop *loop, mevent_call_fn fn, void *arg)
{
	struct mevent_post *post;

	post = alloc_bytes(sizeof(*post));
	if (post == NULL)
		return -ENOMEM;
	*post = (struct mevent_post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&loop->lock);
	mevent_post_locked(loop, post);
	/* Still locked, lest the call run and the loop be destroyed first. */
	eventfd_signal(loop->wakefd);
	pthread_mutex_unlock(&loop->lock);
	return 0;
}

int
mevent_call_wait(struct mevent_loop *loop, mevent_call_fn fn, void *arg)
{
	sem_t done;
	int result = 0;
	struct mevent_post post = {
		.fn = fn, .arg = arg, .done = &done, .result = &result
	};

	if (mevent_loop_is_current(loop)) {
		fn(arg);
		return 0;
	}
	sem_init(&done, 0, 0);
	pthread_mutex_lock(&loop->lock);
	mevent_post_locked(loop, &post);
	eventfd_signal(loop->wakefd);
	pthread_mutex_unlock(&loop->lock);
	while (sem_wait(&done) == -1)
		continue;
	sem_destroy(&done);
	return result;
}

bool
mevent_loop_stopped(const struct mevent_loop *loop)
{
	return __atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE) != 0;
}

void
mevent_loop_stop(struct mevent_loop *loop)
{
	__atomic_store_n(&loop->stop, 1, __ATOMIC_RELEASE);
	eventfd_signal(loop->wakefd);
}

/*
 * Run the calls that were posted before this round; later ones wait for the
 * next, so that a call that posts itself cannot starve the descriptors.
 */
static void
mevent_run_calls(struct mevent_loop *loop)
{
	struct mevent_post *post, *end;
	bool more;

	pthread_mutex_lock(&loop->lock);
	end = loop->first == NULL
	    ? NULL
	    : container_of(loop->last, struct mevent_post, next);
	pthread_mutex_unlock(&loop->lock);
	for (more = end != NULL; more && !mevent_loop_stopped(loop);) {
		pthread_mutex_lock(&loop->lock);
		post = mevent_post_pop_locked(loop);
		pthread_mutex_unlock(&loop->lock);
		if (post == NULL)
			break; /* a call served those behind it */
		more = post != end;
		post->fn(post->arg);
		mevent_post_finish(post, 0);
	}
}

/* What a ready event has to tell its callback; 0: nothing any more. */
static uint64_t
mevent_take_locked(struct mevent *ev, uint32_t events)
{
	struct signalfd_siginfo si;
	uint64_t what = 0;

	switch (ev->kind) {
	case KIND_FD:
		if ((events & EPOLLIN) != 0)
			what |= MEVENT_READ;
		if ((events & EPOLLOUT) != 0)
			what |= MEVENT_WRITE;
		/* Another callback of this batch may have narrowed it. */
		what &= ev->what;
		if ((events & (EPOLLHUP | EPOLLERR)) != 0)
			what |= MEVENT_HANGUP;
		return what;
	case KIND_NOTIFIER:
	case KIND_TIMER:
		return counter_take(ev->fd);
	case KIND_SIGNAL:
		if (read(ev->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
			return 0;
		return si.ssi_signo;
	}
	return 0;
}

static void
mevent_dispatch(struct mevent_loop *loop, const struct epoll_event *ee)
{
	uint32_t slot = (uint32_t)ee->data.u64;
	uint32_t gen = (uint32_t)(ee->data.u64 >> 32);
	struct mevent *ev = NULL;
	struct mevent copy = { 0 };
	uint64_t value = 0;

	pthread_mutex_lock(&loop->lock);
	if (slot < loop->nslots && loop->slots[slot].gen == gen)
		ev = loop->slots[slot].ev;
	if (ev != NULL)
		value = mevent_take_locked(ev, ee->events);
	if (value != 0) {
		copy = *ev;
		loop->current = ev;
	}
	pthread_mutex_unlock(&loop->lock);
	if (value == 0)
		return;
	switch (copy.kind) {
	case KIND_FD:
		copy.fn.fd(copy.arg, copy.fd, (unsigned)value);
		break;
	case KIND_NOTIFIER:
		copy.fn.call(copy.arg);
		break;
	case KIND_TIMER:
		copy.fn.timer(copy.arg, value);
		break;
	case KIND_SIGNAL:
		copy.fn.signal(copy.arg, (int)value);
		break;
	}
	pthread_mutex_lock(&loop->lock);
	loop->current = NULL;
	pthread_cond_broadcast(&loop->idle);
	pthread_mutex_unlock(&loop->lock);
}

static int
mevent_round(struct mevent_loop *loop, int timeout_ms)
{
	struct epoll_event batch[BATCH];
	int n;

	/* Calls left over by a stop have lost their wake-up already. */
	pthread_mutex_lock(&loop->lock);
	if (loop->first != NULL || mevent_loop_stopped(loop))
		timeout_ms = 0;
	pthread_mutex_unlock(&loop->lock);
	n = epoll_wait(loop->epfd, batch, BATCH, timeout_ms);
	if (n == -1 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++)
		if (batch[i].data.u64 == WAKE_KEY)
			(void)counter_take(loop->wakefd);
	mevent_run_calls(loop);
	for (int i = 0; i < n && !mevent_loop_stopped(loop); i++)
		if (batch[i].data.u64 != WAKE_KEY)
			mevent_dispatch(loop, &batch[i]);
	return 0;
}

static int
mevent_loop_enter(struct mevent_loop *loop)
{
	int rc = 0;

	pthread_mutex_lock(&loop->lock);
	if (loop->running)
		rc = -EBUSY;
	else
		loop->running = true;
	pthread_mutex_unlock(&loop->lock);
	if (rc == 0)
		__atomic_store_n(&loop->owner, &thread_mark, __ATOMIC_RELAXED);
	return rc;
}

static void
mevent_loop_leave(struct mevent_loop *loop)
{
	__atomic_store_n(&loop->owner, NULL, __ATOMIC_RELAXED);
	pthread_mutex_lock(&loop->lock);
	loop->running = false;
	pthread_mutex_unlock(&loop->lock);
}

int
mevent_loop_run(struct mevent_loop *loop)
{
	int rc;

	rc = mevent_loop_enter(loop);
	if (rc != 0)
		return rc;
	while (rc == 0 && !mevent_loop_stopped(loop))
		rc = mevent_round(loop, -1);
	__atomic_store_n(&loop->stop, 0, __ATOMIC_RELEASE);
	mevent_loop_leave(loop);
	return rc;
}

int
mevent_loop_once(struct mevent_loop *loop, int timeout_ms)
{
	int rc;

	rc = mevent_loop_enter(loop);
	if (rc != 0)
		return rc;
	rc = mevent_round(loop, timeout_ms);
	mevent_loop_leave(loop);
	return rc;
}

void
mevent_wake(struct mevent_loop *loop)
{
	eventfd_signal(loop->wakefd);
}

int
mevent_serve_calls(struct mevent_loop *loop, bool (*done)(void *arg), void *arg)
{
	struct pollfd wake = { .fd = loop->wakefd, .events = POLLIN };
	bool entered = !mevent_loop_is_current(loop);
	struct mevent_post *post;
	int rc;

	rc = entered ? mevent_loop_enter(loop) : 0;
	if (rc != 0)
		return rc;
	while (!done(arg)) {
		pthread_mutex_lock(&loop->lock);
		post = mevent_post_pop_locked(loop);
		pthread_mutex_unlock(&loop->lock);
		if (post != NULL) {
			post->fn(post->arg);
			mevent_post_finish(post, 0);
		} else if (poll(&wake, 1, -1) > 0) {
			(void)counter_take(loop->wakefd);
		}
	}
	if (entered)
		mevent_loop_leave(loop);
	return 0;
}
