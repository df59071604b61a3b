/*
 * Threads for requests that block: all of them where io_uring is refused, else
 * those that it has no operation for. Threads are made when there is work and
 * no idle one, and stay.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/thread.h"
#include "dev/block/block_impl.h"

#define POOL_STACK (256u << 10)

struct block_pool {
	struct block_dev *bd;
	unsigned inflight; /* the loop's thread only */

	pthread_mutex_t lock;
	pthread_cond_t work; /* for the threads */
	pthread_cond_t ready; /* for a loop that waits */
	/* under lock */
	struct block_req *todo, **todo_last;
	struct block_req *finished;
	unsigned ntodo;
	unsigned idle;
	bool stop;

	unsigned nthreads; /* the loop's thread only */
	pthread_t threads[BLOCK_POOL_THREADS];
};

static struct block_req *
pool_take_locked(struct block_pool *pool)
{
	struct block_req *req;

	pool->idle++;
	while (pool->todo == NULL && !pool->stop)
		pthread_cond_wait(&pool->work, &pool->lock);
	pool->idle--;
	req = pool->todo;
	if (req == NULL)
		return NULL;
	pool->todo = req->next;
	pool->ntodo--;
	if (pool->todo == NULL)
		pool->todo_last = &pool->todo;
	return req;
}

static void *
pool_main(void *arg)
{
	struct block_pool *pool = arg;
	struct block_req *req;
	int rc;

	pthread_setname_np(pthread_self(), "block");
	thread_enter(THREAD_IO);
	pthread_mutex_lock(&pool->lock);
	while ((req = pool_take_locked(pool)) != NULL) {
		pthread_mutex_unlock(&pool->lock);
		rc = block_sync(pool->bd, req);
		pthread_mutex_lock(&pool->lock);
		block_state(req)->result = rc;
		/* One wake-up covers all that end before it is heeded. */
		if (pool->finished == NULL)
			mevent_notify(pool->bd->again);
		req->next = pool->finished;
		pool->finished = req;
		pthread_cond_signal(&pool->ready);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* All signals blocked: they are the main loop's. */
static int
pool_add_thread(struct block_pool *pool)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, POOL_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(
	    &pool->threads[pool->nthreads], &attr, pool_main, pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	pool->nthreads += rc == 0;
	return -rc;
}

int
block_pool_create(struct block_dev *bd, struct block_pool **ret)
{
	struct block_pool *pool;
	int rc;

	pool = alloc_zero(1, sizeof(*pool));
	if (pool == NULL)
		return -ENOMEM;
	pool->bd = bd;
	pool->todo_last = &pool->todo;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->ready, NULL);
	/* One there must be, the others may fail. */
	rc = pool_add_thread(pool);
	if (rc != 0) {
		block_pool_destroy(pool);
		return rc;
	}
	*ret = pool;
	return 0;
}

void
block_pool_destroy(struct block_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->nthreads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->ready);
	free(pool);
}

void
block_pool_start(struct block_pool *pool, struct block_req *req)
{
	bool more;

	pool->inflight++;
	req->next = NULL;
	pthread_mutex_lock(&pool->lock);
	*pool->todo_last = req;
	pool->todo_last = &req->next;
	pool->ntodo++;
	more = pool->ntodo > pool->idle && pool->nthreads < BLOCK_POOL_THREADS;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (more)
		(void)pool_add_thread(pool);
}

void
block_pool_reap(struct block_pool *pool, bool wait)
{
	struct block_req *req, *next;

	pthread_mutex_lock(&pool->lock);
	while (wait && pool->finished == NULL)
		pthread_cond_wait(&pool->ready, &pool->lock);
	req = pool->finished;
	pool->finished = NULL;
	pthread_mutex_unlock(&pool->lock);
	for (; req != NULL; req = next) {
		next = req->next;
		pool->inflight--;
		block_finish(pool->bd, req, block_state(req)->result);
	}
}

unsigned
block_pool_inflight(const struct block_pool *pool)
{
	return pool->inflight;
}
