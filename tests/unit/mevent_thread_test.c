/*
 * The event loop among threads: deletion at awkward moments, posted calls, and
 * that an idle loop sleeps.
 */
#include "base/mevent.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/str.h"
#include "mevent_util.h"

/* ---- deletion ---- */

static void
on_fd_delete_self(void *arg, int fd, unsigned what)
{
	struct seen *s = arg;

	mevent_delete(s->ev);
	count(s);
}

static void
callback_deletes_itself(void)
{
	struct seen s = { .loop = make_loop() };
	int fds[2];

	make_pair(fds);
	close(fds[1]);
	tap_check_int(mevent_add_fd(s.loop, fds[0], MEVENT_READ,
			  on_fd_delete_self, &s, &s.ev, NULL),
	    0);
	mevent_loop_once(s.loop, 1000);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 1);
	mevent_loop_destroy(s.loop);
	close(fds[0]);
}

struct group {
	struct seen s;
	struct mevent *evs[8];
};

/* Whichever comes first deletes all. */
static void
on_call_delete_all(void *arg)
{
	struct group *g = arg;

	g->s.calls++;
	for (size_t i = 0; i < ARRAY_LEN(g->evs); i++)
		mevent_delete(g->evs[i]);
}

static void
callback_deletes_those_due_with_it(void)
{
	struct group g = { .s.loop = make_loop() };

	for (size_t i = 0; i < ARRAY_LEN(g.evs); i++) {
		tap_check_int(mevent_add_notifier(g.s.loop, on_call_delete_all,
				  &g, &g.evs[i], NULL),
		    0);
		mevent_notify(g.evs[i]);
	}
	mevent_loop_once(g.s.loop, 1000);
	mevent_loop_once(g.s.loop, 0);
	tap_check_u64(g.s.calls, 1);
	mevent_loop_destroy(g.s.loop);
}

/* A slot that is reused within the round must not get the old event. */
static void
on_call_replace_all(void *arg)
{
	struct group *g = arg;

	on_call_delete_all(g);
	for (size_t i = 0; i < ARRAY_LEN(g->evs); i++)
		tap_check_int(mevent_add_notifier(
				  g->s.loop, on_call, &g->s, &g->evs[i], NULL),
		    0);
}

static void
reused_slots_get_no_stale_events(void)
{
	struct group g = { .s.loop = make_loop() };

	for (size_t i = 0; i < ARRAY_LEN(g.evs); i++) {
		tap_check_int(mevent_add_notifier(g.s.loop, on_call_replace_all,
				  &g, &g.evs[i], NULL),
		    0);
		mevent_notify(g.evs[i]);
	}
	mevent_loop_once(g.s.loop, 1000);
	mevent_loop_once(g.s.loop, 0);
	tap_check_u64(g.s.calls, 1);
	mevent_notify(g.evs[3]);
	mevent_loop_once(g.s.loop, 1000);
	tap_check_u64(g.s.calls, 2);
	mevent_loop_destroy(g.s.loop);
}

struct slow {
	struct mevent *ev;
	int entered; /* atomic */
	int left; /* atomic */
};

static void
on_call_slow(void *arg)
{
	struct slow *slow = arg;

	__atomic_store_n(&slow->entered, 1, __ATOMIC_RELEASE);
	sleep_ms(50);
	__atomic_store_n(&slow->left, 1, __ATOMIC_RELEASE);
}

static void
delete_waits_for_a_running_callback(void)
{
	struct mevent_loop *loop = make_loop();
	struct slow slow = { NULL };
	pthread_t thread;

	tap_check_int(
	    mevent_add_notifier(loop, on_call_slow, &slow, &slow.ev, NULL), 0);
	thread = start(run_loop, loop);
	mevent_notify(slow.ev);
	while (__atomic_load_n(&slow.entered, __ATOMIC_ACQUIRE) == 0)
		sleep_ms(1);
	mevent_notify(slow.ev);
	mevent_delete(slow.ev);
	tap_check_int(__atomic_load_n(&slow.left, __ATOMIC_ACQUIRE), 1);
	__atomic_store_n(&slow.left, 0, __ATOMIC_RELEASE);
	sleep_ms(20);
	/* The second notification went with the event. */
	tap_check_int(__atomic_load_n(&slow.left, __ATOMIC_ACQUIRE), 0);
	finish(thread, loop);
	mevent_loop_destroy(loop);
}

/* The argument of each event is freed right after its deletion. */
static void
on_call_touch(void *arg)
{
	unsigned *value = arg;

	(*value)++;
}

static void
others_add_and_delete_while_it_runs(void)
{
	struct mevent_loop *loop = make_loop();
	struct mevent *ev = NULL;
	pthread_t thread;
	unsigned *value;

	thread = start(run_loop, loop);
	for (int i = 0; i < 500; i++) {
		value = alloc_zero(1, sizeof(*value));
		tap_check_int(
		    mevent_add_notifier(loop, on_call_touch, value, &ev, NULL),
		    0);
		mevent_notify(ev);
		if (i % 3 == 0)
			sched_yield();
		mevent_delete(ev);
		str_cleanup_free(&value);
	}
	finish(thread, loop);
	mevent_loop_destroy(loop);
}

/* ---- adding from a callback ---- */

static void
on_call_add_timer(void *arg)
{
	struct seen *s = arg;

	add_timer(s);
	mevent_timer_set(s->ev, 1 * MS, 0);
}

static void
callback_adds_events(void)
{
	struct seen s = { .loop = make_loop(), .stop_after = 1 };

	tap_check_int(mevent_call(s.loop, on_call_add_timer, &s), 0);
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(s.calls, 1);
	mevent_loop_destroy(s.loop);
}

/* ---- posted calls ---- */

struct order {
	struct mevent_loop *loop;
	unsigned n;
	unsigned values[64];
	bool waited;
};

struct item {
	struct order *order;
	unsigned value;
};

static void
on_item(void *arg)
{
	struct item *item = arg;

	tap_check(mevent_loop_is_current(item->order->loop));
	item->order->values[item->order->n++] = item->value;
}

static void
calls_keep_their_order(void)
{
	struct order order = { .loop = make_loop() };
	struct item items[60];
	pthread_t thread;

	tap_check(!mevent_loop_is_current(order.loop));
	thread = start(run_loop, order.loop);
	for (unsigned i = 0; i < ARRAY_LEN(items); i++) {
		items[i] = (struct item){ &order, i };
		if (i % 7 == 6)
			tap_check_int(
			    mevent_call_wait(order.loop, on_item, &items[i]),
			    0);
		else
			tap_check_int(
			    mevent_call(order.loop, on_item, &items[i]), 0);
	}
	tap_check_int(mevent_call_wait(order.loop, stop_loop, order.loop), 0);
	pthread_join(thread, NULL);
	tap_check_u64(order.n, ARRAY_LEN(items));
	for (unsigned i = 0; i < order.n; i++)
		tap_check_u64(order.values[i], i);
	mevent_loop_destroy(order.loop);
}

static void
on_call_wait_inside(void *arg)
{
	struct item *item = arg;

	tap_check_int(mevent_call_wait(item->order->loop, on_item, item), 0);
	item->order->waited = true;
}

static void
call_wait_on_the_loop_runs_at_once(void)
{
	struct order order = { .loop = make_loop() };
	struct item item = { &order, 9 };

	tap_check_int(mevent_call(order.loop, on_call_wait_inside, &item), 0);
	tap_check_int(mevent_loop_once(order.loop, 1000), 0);
	tap_check_u64(order.n, 1);
	tap_check(order.waited);
	mevent_loop_destroy(order.loop);
}

static void
on_call_repost(void *arg)
{
	struct seen *s = arg;

	s->calls++;
	tap_check_int(mevent_call(s->loop, on_call_repost, s), 0);
}

static void
reposting_call_starves_nobody(void)
{
	struct seen s = { .loop = make_loop() };
	struct seen timer = { .loop = s.loop, .stop_after = 1 };

	add_timer(&timer);
	mevent_timer_set(timer.ev, 1 * MS, 0);
	mevent_call(s.loop, on_call_repost, &s);
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(timer.calls, 1);
	tap_check(s.calls > 0);
	mevent_loop_destroy(s.loop);
}

static void
calls_after_a_stop_wait_for_the_next_run(void)
{
	struct seen s = { .loop = make_loop(), .stop_after = 1 };

	mevent_call(s.loop, stop_loop, s.loop);
	mevent_call(s.loop, on_call, &s);
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(s.calls, 0);
	/* Its wake-up was consumed; it must run all the same. */
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(s.calls, 1);
	mevent_loop_destroy(s.loop);
}

static void *
call_and_wait(void *arg)
{
	struct seen *s = arg;

	s->value = (uint64_t)-mevent_call_wait(s->loop, on_call, s);
	return NULL;
}

/* The loop's own: there is no other in this process. */
static int
epoll_fd(void)
{
	char path[64], what[64];
	ssize_t n;

	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, what, sizeof(what) - 1);
		what[n > 0 ? n : 0] = '\0';
		if (strcmp(what, "anon_inode:[eventpoll]") == 0)
			return fd;
	}
	tap_fail("no loop");
}

static void
destroy_cancels_calls(void)
{
	struct seen s = { .loop = make_loop() };
	struct pollfd woken = { .fd = epoll_fd(), .events = POLLIN };
	pthread_t thread;

	thread = start(call_and_wait, &s);
	tap_check_int(poll(&woken, 1, -1), 1);
	tap_check_int(mevent_call(s.loop, on_call, &s), 0);
	mevent_loop_destroy(s.loop);
	pthread_join(thread, NULL);
	tap_check_u64(s.calls, 0);
	tap_check_u64(s.value, ECANCELED);
	mevent_loop_destroy(NULL);
	mevent_delete(NULL);
}

struct idle {
	struct mevent_loop *loop;
	long before;
	long after;
};

static void
on_call_count_switches(void *arg)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	*(long *)arg = ru.ru_nvcsw;
}

/* With all kinds of events added and none due, the thread sleeps through. */
static void
idle_loop_sleeps(void)
{
	struct seen s = { .loop = make_loop() };
	struct idle idle = { .loop = s.loop };
	struct mevent *ev = NULL;
	pthread_t thread;
	int fds[2];

	make_pair(fds);
	add_fd(&s, fds[0], MEVENT_READ);
	add_timer(&s);
	mevent_timer_set(s.ev, 3600 * UINT64_C(1000000000), 0);
	mevent_add_timer(s.loop, on_timer, &s, &ev, NULL);
	mevent_add_notifier(s.loop, on_call, &s, &ev, NULL);
	mevent_add_signal(s.loop, SIGUSR2, on_signal, &s, &ev, NULL);
	thread = start(run_loop, s.loop);
	mevent_call_wait(s.loop, on_call_count_switches, &idle.before);
	sleep_ms(500);
	mevent_call_wait(s.loop, on_call_count_switches, &idle.after);
	/* One sleep, and locks that may be contended before and after it. */
	tap_note("%ld switches", idle.after - idle.before);
	tap_check(idle.after - idle.before <= 6);
	tap_check_u64(s.calls, 0);
	finish(thread, s.loop);
	mevent_loop_destroy(s.loop);
	close_pair(fds);
}

static atomic_int served;

static void
serve_me(void *arg)
{
	atomic_fetch_add(&served, 1);
}

static bool
has_served(void *arg)
{
	return atomic_load(&served) == 1;
}

static void *
wait_for_served(void *arg)
{
	tap_check_int(mevent_call_wait(arg, serve_me, NULL), 0);
	return NULL;
}

static void
wait_in_callback(void *arg)
{
	struct mevent_loop *loop = arg;

	tap_check_int(mevent_serve_calls(loop, has_served, NULL), 0);
	mevent_loop_stop(loop);
}

/* A callback that waits for a thread which waits for a call. */
static void
serve_calls(void)
{
	struct mevent_loop *loop;
	pthread_t thread;

	tap_check_int(mevent_loop_create(&loop, NULL), 0);
	tap_check_int(mevent_call(loop, wait_in_callback, loop), 0);
	/* Behind it in the queue: run by the callback, and not again. */
	tap_check_int(pthread_create(&thread, NULL, wait_for_served, loop), 0);
	tap_check_int(mevent_loop_run(loop), 0);
	pthread_join(thread, NULL);
	tap_check_int(atomic_load(&served), 1);
	/* Without a run, too, and with nothing to do. */
	tap_check_int(mevent_serve_calls(loop, has_served, NULL), 0);
	mevent_loop_destroy(loop);
}

static const struct tap_test tests[] = {
	TAP_TEST(callback_deletes_itself),
	TAP_TEST(callback_deletes_those_due_with_it),
	TAP_TEST(reused_slots_get_no_stale_events),
	TAP_TEST(delete_waits_for_a_running_callback),
	TAP_TEST(others_add_and_delete_while_it_runs),
	TAP_TEST(callback_adds_events),
	TAP_TEST(calls_keep_their_order),
	TAP_TEST(call_wait_on_the_loop_runs_at_once),
	TAP_TEST(reposting_call_starves_nobody),
	TAP_TEST(calls_after_a_stop_wait_for_the_next_run),
	TAP_TEST(destroy_cancels_calls),
	TAP_TEST(idle_loop_sleeps),
	TAP_TEST(serve_calls),
};
TAP_MAIN(tests)
