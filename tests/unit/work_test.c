/*
 * Jobs that hang, and those that go on beside them. Nothing here is timed: what
 * should come is waited for, what should not is ruled out by its order.
 */
#include "base/work.h"

#include <pthread.h>
#include <sched.h>

#include "base/str.h"
#include "tap.h"

#define HANG 20

static struct mevent_loop *loop;
static struct work_pool *pool;

/* ---- a gate that jobs hang at ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static bool open_;
static unsigned waiting, running, most;

static void
gate(bool open)
{
	pthread_mutex_lock(&lock);
	open_ = open;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
}

static void
wait_for(unsigned n)
{
	pthread_mutex_lock(&lock);
	while (waiting < n)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
}

struct job {
	struct work w;
	bool hangs;
	unsigned ran, done;
};

static void
run(void *arg)
{
	struct job *j = arg;

	pthread_mutex_lock(&lock);
	j->ran++;
	running++;
	most = MAX(most, running);
	waiting += j->hangs;
	pthread_cond_broadcast(&change);
	while (j->hangs && !open_)
		pthread_cond_wait(&change, &lock);
	waiting -= j->hangs;
	running--;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
}

static void
done(void *arg)
{
	struct job *j = arg;

	tap_check(mevent_loop_is_current(loop));
	j->done++;
}

static void
submit(struct job *j, const char *key, bool hangs)
{
	*j = (struct job){
		.w = { .run = run, .done = done, .arg = j, .key = key },
		.hangs = hangs
	};
	work_submit(pool, &j->w);
}

static void
until_done(const struct job *j)
{
	while (j->done == 0)
		(void)mevent_loop_once(loop, -1);
}

static void
begin(unsigned max)
{
	waiting = running = most = 0;
	gate(false);
	tap_check_int(mevent_loop_create(&loop, NULL), 0);
	tap_check_int(work_pool_create(loop, max, &pool, NULL), 0);
}

static void
end(void)
{
	work_pool_free(pool);
	mevent_loop_destroy(loop);
}

static void
runs(void)
{
	struct job j;

	begin(8);
	tap_check_int(work_threads(pool), 0);
	for (unsigned i = 0; i < 100; i++) {
		submit(&j, "a", false);
		until_done(&j);
		tap_check_int(j.ran, 1);
		tap_check_int(j.done, 1);
	}
	/* a machine that was slow had one more */
	while (work_threads(pool) > 2)
		sched_yield();
	end();
}

static const char *const keys[HANG] = { "0", "1", "2", "3", "4", "5", "6", "7",
	"8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19" };

/* However many hang, one behind them goes on; then threads are few again. */
static void
others_go_on(void)
{
	static struct job hung[HANG];
	struct job j;

	begin(64);
	for (size_t i = 0; i < HANG; i++)
		submit(&hung[i], keys[i], true);
	submit(&j, "a", false);
	until_done(&j);
	for (size_t i = 0; i < HANG; i++)
		tap_check_int(hung[i].done, 0);
	while (work_threads(pool) < HANG)
		(void)mevent_loop_once(loop, -1);
	gate(true);
	for (size_t i = 0; i < HANG; i++)
		until_done(&hung[i]);
	while (work_threads(pool) > 2)
		sched_yield();
	submit(&j, "a", false);
	until_done(&j);
	end();
}

/* No more threads than that; what waits runs at last. */
static void
bounded(void)
{
	static struct job hung[HANG];

	begin(3);
	for (size_t i = 0; i < HANG; i++)
		submit(&hung[i], keys[i], true);
	while (work_threads(pool) < 3)
		(void)mevent_loop_once(loop, -1);
	wait_for(3);
	for (unsigned i = 0; i < 10; i++)
		(void)mevent_loop_once(loop, 20);
	tap_check_int(work_threads(pool), 3);
	gate(true);
	for (size_t i = 0; i < HANG; i++)
		until_done(&hung[i]);
	tap_check_int(most, 3);
	end();
}

static void
one_of_a_key(void)
{
	struct job first, second, other;

	begin(8);
	submit(&first, "a", true);
	wait_for(1);
	submit(&second, "a", false);
	for (unsigned i = 0; i < 20; i++) {
		submit(&other, "b", false);
		until_done(&other);
	}
	tap_check_int(second.w.state, WORK_QUEUED);
	gate(true);
	until_done(&second);
	tap_check_int(first.done, 1);
	end();
}

static void
cancels(void)
{
	struct job first, second, third;

	begin(8);
	submit(&first, "a", true);
	wait_for(1);
	submit(&second, "a", false);
	tap_check(!work_cancel(pool, &first.w));
	tap_check(work_cancel(pool, &second.w));
	gate(true);
	until_done(&first);
	/* one that has run, and whose end is not told yet */
	submit(&third, "a", false);
	pthread_mutex_lock(&lock);
	while (third.ran == 0)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
	while (!work_cancel(pool, &third.w))
		sched_yield();
	submit(&first, "a", false);
	until_done(&first);
	tap_check_int(second.ran + second.done, 0);
	tap_check_int(third.done, 0);
	end();
}

/* A pool that is given up does not wait for what hangs. */
static void
freed(void)
{
	static struct job hung, waits;

	begin(8);
	submit(&hung, "a", true);
	wait_for(1);
	submit(&waits, "a", false);
	end();
	gate(true);
	pthread_mutex_lock(&lock);
	while (waiting > 0)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
	tap_check_int(waits.ran + hung.done, 0);
}

static const struct tap_test tests[] = { TAP_TEST(runs), TAP_TEST(others_go_on),
	TAP_TEST(bounded), TAP_TEST(one_of_a_key), TAP_TEST(cancels),
	TAP_TEST(freed) };
TAP_MAIN(tests)
