/*
 * mevent: the event loop, on epoll, timerfd, eventfd and signalfd.
 *
 * Threads: a loop belongs to the thread that runs it. Every function may be
 * called from any thread; callbacks run only on the loop's thread and without
 * any lock of the loop held, so a callback may add, change and delete events,
 * itself included.
 *
 * Idle: a loop without due events sleeps in epoll_wait(-1); there is no tick.
 */
#ifndef BASE_MEVENT_H
#define BASE_MEVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct mevent_loop;
struct mevent;

enum mevent_what {
	MEVENT_READ = 1,
	MEVENT_WRITE = 2,
	MEVENT_HANGUP = 4, /* reported even when not asked for */
};

/* what: the conditions that hold now (a mask of enum mevent_what). */
typedef void (*mevent_fd_fn)(void *arg, int fd, unsigned what);
/* expirations: how many intervals have passed, >= 1 */
typedef void (*mevent_timer_fn)(void *arg, uint64_t expirations);
typedef void (*mevent_signal_fn)(void *arg, int signo);
typedef void (*mevent_call_fn)(void *arg);

int mevent_loop_create(struct mevent_loop **ret, struct error *err);
/*
 * Deletes all its events and drops posted calls (-ECANCELED to who waits for
 * one); must not be running. NULL is allowed.
 */
void mevent_loop_destroy(struct mevent_loop *loop);
/*
 * Run callbacks until mevent_loop_stop(); 0 or negative errno (-EBUSY: it runs
 * already). Callbacks that were due at a stop are due in the next run.
 */
int mevent_loop_run(struct mevent_loop *loop);
/* As mevent_loop_run(), but one round with at most timeout_ms of waiting. */
int mevent_loop_once(struct mevent_loop *loop, int timeout_ms);
/* Sticky until the next mevent_loop_run() returns; async-signal-safe. */
void mevent_loop_stop(struct mevent_loop *loop);
/* Was it told to stop, and has not returned from mevent_loop_run() since? */
bool mevent_loop_stopped(const struct mevent_loop *loop);
bool mevent_loop_is_current(const struct mevent_loop *loop);

/*
 * Level-triggered; fd is borrowed and must stay open until the event is
 * deleted. what may be 0: only hang-ups then. A hang-up is a peer that is gone;
 * one that has only stopped writing makes fd readable. It is level-triggered as
 * well: delete the event, or be called again.
 */
int mevent_add_fd(struct mevent_loop *loop, int fd, unsigned what,
    mevent_fd_fn fn, void *arg, struct mevent **ret, struct error *err);
/* An eventfd of the loop's own making, drained before the callback. */
int mevent_add_notifier(struct mevent_loop *loop, mevent_call_fn fn, void *arg,
    struct mevent **ret, struct error *err);
int mevent_notifier_fd(const struct mevent *ev); /* write 8 bytes to signal */
void mevent_notify(struct mevent *ev); /* any thread, async-signal-safe */
/* CLOCK_MONOTONIC timer, created disarmed. */
int mevent_add_timer(struct mevent_loop *loop, mevent_timer_fn fn, void *arg,
    struct mevent **ret, struct error *err);
/*
 * Arm: first expiry 'first_ns' from now (0 = disarm), then every interval_ns (0
 * = one shot).
 */
int
mevent_timer_set(struct mevent *ev, uint64_t first_ns, uint64_t interval_ns);
/* Absolute first expiry on CLOCK_MONOTONIC; a past time fires at once. */
int
mevent_timer_set_abs(struct mevent *ev, uint64_t when_ns, uint64_t interval_ns);
/*
 * Blocks the signal for the calling thread and takes it by signalfd. Add it
 * before threads start, so that they inherit the block; it stays after
 * deletion.
 */
int mevent_add_signal(struct mevent_loop *loop, int signo, mevent_signal_fn fn,
    void *arg, struct mevent **ret, struct error *err);

/* Change the conditions that an fd event waits for (mask may be 0). */
int mevent_set_what(struct mevent *ev, unsigned what);
/*
 * After it returns the callback is not running (unless the caller is that
 * callback) and will not run again; frees ev. NULL is allowed.
 */
void mevent_delete(struct mevent *ev);
/* Run fn(arg) once on the loop's thread, in order of posting. */
int mevent_call(struct mevent_loop *loop, mevent_call_fn fn, void *arg);
/*
 * As mevent_call(), and wait until it has run; at once on the loop's thread.
 * Waits for as long as nobody runs the loop.
 */
int mevent_call_wait(struct mevent_loop *loop, mevent_call_fn fn, void *arg);

/*
 * For a callback that has to wait for other threads: on the loop's thread run
 * posted calls, and nothing else, until done(arg). It is asked after each call
 * and after mevent_wake(). So a thread that waits for a call and one that the
 * callback waits for may be the same. Also while nobody runs the loop; -EBUSY
 * when another thread does. A stop is left for mevent_loop_run().
 */
int mevent_serve_calls(
    struct mevent_loop *loop, bool (*done)(void *arg), void *arg);
void mevent_wake(struct mevent_loop *loop); /* any thread */

uint64_t mevent_now_ns(void); /* CLOCK_MONOTONIC */

#endif
