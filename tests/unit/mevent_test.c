/*
 * The event loop on one thread: each source of events, running and stopping,
 * failures. mevent_thread_test.c has deletion and calls from other threads.
 */
#include "base/mevent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "alloc_util.h"
#include "base/alloc.h"
#include "mevent_util.h"

/* ---- descriptors ---- */

static void
reading_is_level_triggered(void)
{
	struct seen s = { .loop = make_loop() };
	char byte;
	int fds[2];

	make_pair(fds);
	add_fd(&s, fds[0], MEVENT_READ);
	tap_check_int(mevent_loop_once(s.loop, 0), 0);
	tap_check_u64(s.calls, 0);
	tap_check_int(write(fds[1], "x", 1), 1);
	for (unsigned i = 1; i <= 3; i++) {
		tap_check_int(mevent_loop_once(s.loop, 1000), 0);
		tap_check_u64(s.calls, i);
		tap_check_u64(s.what, MEVENT_READ);
		tap_check_int(s.fd, fds[0]);
	}
	tap_check_int(read(fds[0], &byte, 1), 1);
	tap_check_int(mevent_loop_once(s.loop, 0), 0);
	tap_check_u64(s.calls, 3);
	mevent_loop_destroy(s.loop);
	close_pair(fds);
}

static void
writing_and_masks(void)
{
	struct seen s = { .loop = make_loop() };
	int fds[2];

	make_pair(fds);
	add_fd(&s, fds[0], MEVENT_READ | MEVENT_WRITE);
	tap_check_int(write(fds[1], "x", 1), 1);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.what, MEVENT_READ | MEVENT_WRITE);
	tap_check_int(mevent_set_what(s.ev, MEVENT_WRITE), 0);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.what, MEVENT_WRITE);
	tap_check_int(mevent_set_what(s.ev, 0), 0);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 2);
	tap_check_int(mevent_set_what(s.ev, MEVENT_READ), 0);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.what, MEVENT_READ);
	/* Closed too early: refused, and deletion copes. */
	close_pair(fds);
	tap_check_int(mevent_set_what(s.ev, MEVENT_WRITE), -EBADF);
	mevent_delete(s.ev);
	mevent_loop_destroy(s.loop);
}

static void
hangup_comes_unasked(void)
{
	struct seen s = { .loop = make_loop() };
	int fds[2];

	make_pair(fds);
	add_fd(&s, fds[0], 0);
	tap_check_int(write(fds[1], "x", 1), 1);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 0);
	close(fds[1]);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.what, MEVENT_HANGUP);
	/* With something left to read both hold. */
	mevent_set_what(s.ev, MEVENT_READ);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.what, MEVENT_READ | MEVENT_HANGUP);
	mevent_loop_destroy(s.loop);
	close(fds[0]);
}

static void
half_close_is_no_hangup(void)
{
	struct seen s = { .loop = make_loop() };
	int fds[2];

	make_pair(fds);
	add_fd(&s, fds[0], 0);
	shutdown(fds[1], SHUT_WR);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 0);
	mevent_set_what(s.ev, MEVENT_READ);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.what, MEVENT_READ);
	mevent_loop_destroy(s.loop);
	close_pair(fds);
}

static void
unpollable_is_refused(void)
{
	struct mevent_loop *loop = make_loop();
	struct mevent *ev = (struct mevent *)&ev;
	struct error err = ERROR_INIT;
	int fd;

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	tap_check_int(
	    mevent_add_fd(loop, fd, MEVENT_READ, on_fd, NULL, &ev, &err),
	    -EPERM);
	tap_check_has(err.text, "cannot watch file descriptor");
	tap_check(ev == (struct mevent *)&ev);
	tap_check_int(
	    mevent_add_fd(loop, -1, MEVENT_READ, on_fd, NULL, &ev, NULL),
	    -EBADF);
	close(fd);
	mevent_loop_destroy(loop);
}

/* ---- timers ---- */

static void
timer_fires_once(void)
{
	struct seen s = { .loop = make_loop(), .stop_after = 1 };
	uint64_t begin = mevent_now_ns();

	add_timer(&s);
	tap_check_int(mevent_timer_set(s.ev, 5 * MS, 0), 0);
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(s.value, 1);
	tap_check(s.when - begin >= 5 * MS);
	tap_check_int(mevent_loop_once(s.loop, 20), 0);
	tap_check_u64(s.calls, 1);
	mevent_loop_destroy(s.loop);
}

static void
timer_repeats_and_counts(void)
{
	struct seen s = { .loop = make_loop(), .stop_after = 3 };

	add_timer(&s);
	mevent_timer_set(s.ev, 1 * MS, 2 * MS);
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(s.calls, 3);
	tap_check(s.value >= 3);
	s.value = 0;
	sleep_ms(30);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.calls, 4);
	tap_check(s.value >= 10);
	mevent_loop_destroy(s.loop);
}

static void
timer_absolute(void)
{
	struct seen s = { .loop = make_loop(), .stop_after = 1 };
	uint64_t when = mevent_now_ns() + 5 * MS;

	add_timer(&s);
	mevent_timer_set_abs(s.ev, when, 0);
	mevent_loop_run(s.loop);
	tap_check(s.when >= when);
	/* The past fires at once, 0 included. */
	s.stop_after = 0;
	for (uint64_t past = 0; past < 2; past++) {
		s.calls = 0;
		mevent_timer_set_abs(s.ev, past, 0);
		tap_check_int(mevent_loop_once(s.loop, 1000), 0);
		tap_check_u64(s.calls, 1);
	}
	mevent_loop_destroy(s.loop);
}

static void
timer_disarmed_stays_silent(void)
{
	struct seen s = { .loop = make_loop() };

	add_timer(&s);
	mevent_loop_once(s.loop, 5);
	tap_check_u64(s.calls, 0);
	mevent_timer_set(s.ev, 1 * MS, 1 * MS);
	sleep_ms(5);
	/* Expired, but not delivered yet: forgotten. */
	mevent_timer_set(s.ev, 0, 0);
	mevent_loop_once(s.loop, 10);
	tap_check_u64(s.calls, 0);
	/* The farthest future is accepted. */
	tap_check_int(mevent_timer_set(s.ev, UINT64_MAX, UINT64_MAX), 0);
	tap_check_int(mevent_timer_set_abs(s.ev, UINT64_MAX, 0), 0);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 0);
	mevent_loop_destroy(s.loop);
}

/* A callback disarms the other timer, which is due in the same round. */
static void
on_timer_disarm_other(void *arg, uint64_t expirations)
{
	struct seen *s = arg;

	s->calls++;
	mevent_timer_set(s->ev, 0, 0);
}

static void
timer_disarmed_by_neighbour_stays_silent(void)
{
	struct seen a = { .loop = make_loop() }, b = { .loop = a.loop };
	struct mevent *first = NULL, *second = NULL;

	tap_check_int(
	    mevent_add_timer(a.loop, on_timer_disarm_other, &a, &first, NULL),
	    0);
	tap_check_int(
	    mevent_add_timer(a.loop, on_timer_disarm_other, &b, &second, NULL),
	    0);
	a.ev = second;
	b.ev = first;
	mevent_timer_set_abs(first, 1, 0);
	mevent_timer_set_abs(second, 1, 0);
	mevent_loop_once(a.loop, 1000);
	mevent_loop_once(a.loop, 5);
	tap_check_u64(a.calls + b.calls, 1);
	mevent_loop_destroy(a.loop);
}

static void
wrong_kind_is_refused(void)
{
	struct seen s = { .loop = make_loop() };

	add_timer(&s);
	tap_check_int(mevent_set_what(s.ev, MEVENT_READ), -EINVAL);
	tap_check_int(mevent_notifier_fd(s.ev), -1);
	mevent_notify(s.ev);
	mevent_delete(s.ev);
	tap_check_int(mevent_add_notifier(s.loop, on_call, &s, &s.ev, NULL), 0);
	tap_check_int(mevent_timer_set(s.ev, 1, 0), -EINVAL);
	mevent_loop_destroy(s.loop);
}

/* ---- signals and notifiers ---- */

static void
signals_are_taken(void)
{
	struct seen s = { .loop = make_loop() };
	struct error err = ERROR_INIT;
	sigset_t now;

	tap_check_int(
	    mevent_add_signal(s.loop, SIGUSR1, on_signal, &s, &s.ev, NULL), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	tap_check_int(sigismember(&now, SIGUSR1), 1);
	kill(getpid(), SIGUSR1);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.calls, 1);
	tap_check_u64(s.value, SIGUSR1);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 1);
	tap_check_int(
	    mevent_add_signal(s.loop, SIGKILL, on_signal, &s, &s.ev, &err),
	    -EINVAL);
	tap_check_has(err.text, "signal 9");
	tap_check_int(
	    mevent_add_signal(s.loop, 4096, on_signal, &s, &s.ev, NULL),
	    -EINVAL);
	mevent_loop_destroy(s.loop);
}

static void
notifier_coalesces(void)
{
	struct seen s = { .loop = make_loop() };
	uint64_t one = 1;

	tap_check_int(mevent_add_notifier(s.loop, on_call, &s, &s.ev, NULL), 0);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 0);
	for (int i = 0; i < 5; i++)
		mevent_notify(s.ev);
	mevent_loop_once(s.loop, 1000);
	mevent_loop_once(s.loop, 0);
	tap_check_u64(s.calls, 1);
	tap_check_int(write(mevent_notifier_fd(s.ev), &one, sizeof(one)), 8);
	mevent_loop_once(s.loop, 1000);
	tap_check_u64(s.calls, 2);
	mevent_loop_destroy(s.loop);
}

/* ---- running and stopping ---- */

static void
stop_before_run_counts(void)
{
	struct seen s = { .loop = make_loop() };

	mevent_loop_stop(s.loop);
	tap_check_int(mevent_loop_run(s.loop), 0);
	/* ... once. */
	s.stop_after = 1;
	mevent_call(s.loop, on_call, &s);
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(s.calls, 1);
	mevent_loop_destroy(s.loop);
}

static void
stop_from_another_thread(void)
{
	struct mevent_loop *loop = make_loop();
	pthread_t thread = start(run_loop, loop);

	sleep_ms(10);
	finish(thread, loop);
	mevent_loop_destroy(loop);
}

static struct mevent_loop *alarm_loop;

static void
on_alarm(int signo)
{
	mevent_loop_stop(alarm_loop);
}

static void
stop_from_a_signal_handler(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval it = { .it_value.tv_usec = 10000 };

	alarm_loop = make_loop();
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	tap_check_int(mevent_loop_run(alarm_loop), 0);
	mevent_loop_destroy(alarm_loop);
}

static void
on_call_run_again(void *arg)
{
	struct seen *s = arg;

	tap_check_int(mevent_loop_run(s->loop), -EBUSY);
	tap_check_int(mevent_loop_once(s->loop, 0), -EBUSY);
	count(s);
}

static void
running_twice_is_refused(void)
{
	struct seen s = { .loop = make_loop(), .stop_after = 1 };

	mevent_call(s.loop, on_call_run_again, &s);
	tap_check_int(mevent_loop_run(s.loop), 0);
	tap_check_u64(s.calls, 1);
	mevent_loop_destroy(s.loop);
}

static void
once_waits_no_longer_than_told(void)
{
	struct mevent_loop *loop = make_loop();
	uint64_t begin = mevent_now_ns();

	tap_check_int(mevent_loop_once(loop, 20), 0);
	tap_check(mevent_now_ns() - begin >= 19 * MS);
	mevent_loop_destroy(loop);
}

/* ---- failures ---- */

static int
build_loop(void)
{
	struct mevent_loop *loop = NULL;
	struct seen s = { 0 };
	int rc;

	rc = mevent_loop_create(&loop, NULL);
	for (int i = 0; rc == 0 && i < 10; i++)
		rc = mevent_add_timer(loop, on_timer, &s, &s.ev, NULL);
	if (rc == 0)
		rc = mevent_call(loop, on_call, &s);
	mevent_loop_destroy(loop);
	return rc;
}

static void
every_allocation_may_fail(void)
{
	alloc_each_fails(build_loop, 10, 98);
}

static void
out_of_descriptors(void)
{
	struct rlimit rl = { 0, 0 }, old;
	struct mevent_loop *loop = make_loop(), *none = NULL;
	struct error err = ERROR_INIT;
	struct mevent *ev = NULL;

	getrlimit(RLIMIT_NOFILE, &old);
	rl.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	tap_check_int(mevent_loop_create(&none, &err), -EMFILE);
	tap_check_has(err.text, "event loop");
	tap_check_int(
	    mevent_add_timer(loop, on_timer, NULL, &ev, NULL), -EMFILE);
	tap_check_int(
	    mevent_add_notifier(loop, on_call, NULL, &ev, NULL), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	tap_check(none == NULL && ev == NULL);
	mevent_loop_destroy(loop);
}

static const struct tap_test tests[] = {
	TAP_TEST(reading_is_level_triggered),
	TAP_TEST(writing_and_masks),
	TAP_TEST(hangup_comes_unasked),
	TAP_TEST(half_close_is_no_hangup),
	TAP_TEST(unpollable_is_refused),
	TAP_TEST(timer_fires_once),
	TAP_TEST(timer_repeats_and_counts),
	TAP_TEST(timer_absolute),
	TAP_TEST(timer_disarmed_stays_silent),
	TAP_TEST(timer_disarmed_by_neighbour_stays_silent),
	TAP_TEST(wrong_kind_is_refused),
	TAP_TEST(signals_are_taken),
	TAP_TEST(notifier_coalesces),
	TAP_TEST(stop_before_run_counts),
	TAP_TEST(stop_from_another_thread),
	TAP_TEST(stop_from_a_signal_handler),
	TAP_TEST(running_twice_is_refused),
	TAP_TEST(once_waits_no_longer_than_told),
	TAP_TEST(every_allocation_may_fail),
	TAP_TEST(out_of_descriptors),
};
TAP_MAIN(tests)
