/*
 * Few threads while jobs end soon; as many again as hang when others wait.
 */
#include "base/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define BASE 2 /* threads that stay, and that get on */
#define LONG_NS UINT64_C(50000000) /* a job that takes longer hangs */
/* deep JSON is parsed and written by recursion */
#define STACK (1u << 20)

TAILQ_HEAD(work_list, work);

struct work_pool {
	struct mevent *tell, *timer;
	bool armed; /* the timer */
	unsigned max;

	pthread_mutex_t lock;
	pthread_cond_t more; /* for threads */
	pthread_cond_t fewer; /* for who frees */
	/* under lock */
	struct work_list queued, running, done;
	unsigned nthreads, nidle, nrunning;
	bool freed;
};

/* ---- under the lock ---- */

static bool
key_runs(const struct work_pool *p, const char *key)
{
	const struct work *w;

	TAILQ_FOREACH(w, &p->running, link)
	if (strcmp(w->key, key) == 0)
		return true;
	return false;
}

static struct work *
next_ready(const struct work_pool *p, struct work *w)
{
	while (w != NULL && key_runs(p, w->key))
		w = TAILQ_NEXT(w, link);
	return w;
}

/* Jobs that could run, and nobody is there for. */
static unsigned
unserved(const struct work_pool *p)
{
	struct work *w = TAILQ_FIRST(&p->queued);
	unsigned n = 0;

	while (n <= p->nidle + p->max && (w = next_ready(p, w)) != NULL) {
		w = TAILQ_NEXT(w, link);
		n++;
	}
	return n > p->nidle ? n - p->nidle : 0;
}

/* Threads that get on are at least two, and as many as hang. */
static unsigned
wanted(const struct work_pool *p)
{
	uint64_t now = mevent_now_ns();
	const struct work *w;
	unsigned hang = 0;

	TAILQ_FOREACH(w, &p->running, link)
	hang += now - w->began_ns >= LONG_NS;
	return MIN(p->max, hang + MAX(hang, BASE));
}

/* ---- threads ---- */

static void
destroy(struct work_pool *p)
{
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->more);
	pthread_cond_destroy(&p->fewer);
	free(p);
}

/* NULL: the thread is one too many. */
static struct work *
take_locked(struct work_pool *p)
{
	struct work *w;

	for (;;) {
		if (p->freed)
			return NULL;
		w = next_ready(p, TAILQ_FIRST(&p->queued));
		if (w != NULL)
			break;
		if (p->nidle >= BASE)
			return NULL;
		p->nidle++;
		pthread_cond_wait(&p->more, &p->lock);
		p->nidle--;
	}
	TAILQ_REMOVE(&p->queued, w, link);
	TAILQ_INSERT_TAIL(&p->running, w, link);
	p->nrunning++;
	w->state = WORK_RUNNING;
	w->began_ns = mevent_now_ns();
	return w;
}

static void *
work_main(void *arg)
{
	struct work_pool *p = arg;
	struct work *w;
	bool last;

	pthread_mutex_lock(&p->lock);
	while ((w = take_locked(p)) != NULL) {
		pthread_mutex_unlock(&p->lock);
		w->run(w->arg);
		pthread_mutex_lock(&p->lock);
		p->nrunning--;
		if (p->freed)
			break;
		TAILQ_REMOVE(&p->running, w, link);
		TAILQ_INSERT_TAIL(&p->done, w, link);
		w->state = WORK_DONE;
		mevent_notify(p->tell);
	}
	p->nthreads--;
	pthread_cond_signal(&p->fewer);
	/* who frees has gone on without the threads that hang */
	last = p->freed && p->nthreads == 0 && p->tell == NULL;
	pthread_mutex_unlock(&p->lock);
	if (last)
		destroy(p);
	return NULL;
}

/* Signals are the loop's, but for the one that a write sends to its thread. */
static int
add_thread(struct work_pool *p)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	sigdelset(&all, SIGPIPE);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, &attr, work_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	p->nthreads += rc == 0;
	return -rc;
}

/*
 * See to it that somebody is there for each job, soon. One that waits only for
 * threads which are about to end theirs is looked after by the timer.
 */
static void
provide_locked(struct work_pool *p)
{
	unsigned n = unserved(p);

	pthread_cond_signal(&p->more);
	while (n > 0 && p->nthreads < wanted(p) && add_thread(p) == 0)
		n--;
	if (n == 0 || p->armed)
		return;
	p->armed = mevent_timer_set(p->timer, LONG_NS, 0) == 0;
}

/* ---- the loop ---- */

static void
on_timer(void *arg, uint64_t expirations)
{
	struct work_pool *p = arg;

	p->armed = false;
	pthread_mutex_lock(&p->lock);
	provide_locked(p);
	pthread_mutex_unlock(&p->lock);
}

/* done() may submit and cancel: one at a time. */
static void
on_done(void *arg)
{
	struct work_pool *p = arg;
	struct work *w;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		w = TAILQ_FIRST(&p->done);
		if (w != NULL) {
			TAILQ_REMOVE(&p->done, w, link);
			w->state = WORK_NONE;
		}
		pthread_mutex_unlock(&p->lock);
		if (w == NULL)
			return;
		w->done(w->arg);
	}
}

void
work_submit(struct work_pool *p, struct work *w)
{
	pthread_mutex_lock(&p->lock);
	w->state = WORK_QUEUED;
	TAILQ_INSERT_TAIL(&p->queued, w, link);
	provide_locked(p);
	pthread_mutex_unlock(&p->lock);
}

bool
work_cancel(struct work_pool *p, struct work *w)
{
	bool yes;

	pthread_mutex_lock(&p->lock);
	if (w->state == WORK_QUEUED)
		TAILQ_REMOVE(&p->queued, w, link);
	else if (w->state == WORK_DONE)
		TAILQ_REMOVE(&p->done, w, link);
	yes = w->state != WORK_RUNNING;
	if (yes)
		w->state = WORK_NONE;
	pthread_mutex_unlock(&p->lock);
	return yes;
}

unsigned
work_threads(struct work_pool *p)
{
	unsigned n;

	pthread_mutex_lock(&p->lock);
	n = p->nthreads;
	pthread_mutex_unlock(&p->lock);
	return n;
}

int
work_pool_create(struct mevent_loop *loop, unsigned max, struct work_pool **ret,
    struct error *err)
{
	struct work_pool *p = alloc_zero(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return error_set(err, ENOMEM, "out of memory");
	p->max = max;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	pthread_cond_init(&p->fewer, NULL);
	TAILQ_INIT(&p->queued);
	TAILQ_INIT(&p->running);
	TAILQ_INIT(&p->done);
	rc = mevent_add_notifier(loop, on_done, p, &p->tell, err);
	if (rc == 0)
		rc = mevent_add_timer(loop, on_timer, p, &p->timer, err);
	if (rc < 0)
		work_pool_free(p);
	else
		*ret = p;
	return rc;
}

void
work_pool_free(struct work_pool *p)
{
	struct mevent *tell, *timer;
	bool last;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->freed = true;
	pthread_cond_broadcast(&p->more);
	while (p->nthreads > p->nrunning)
		pthread_cond_wait(&p->fewer, &p->lock);
	tell = p->tell;
	timer = p->timer;
	p->tell = NULL;
	last = p->nthreads == 0;
	pthread_mutex_unlock(&p->lock);
	/* a thread that ends now may take p with it */
	mevent_delete(tell);
	mevent_delete(timer);
	if (last)
		destroy(p);
}
