/*
 * A device's data path must not wait behind the main loop, nor take a signal
 * meant for it: a thread, a loop, every signal blocked.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "vmm/vm.h"

struct iothread {
	struct mevent_loop *loop;
	pthread_t thread;
	char name[16];
};

static void *
iothread_main(void *arg)
{
	struct iothread *thr = arg;
	int rc;

	pthread_setname_np(pthread_self(), thr->name);
	rc = mevent_loop_run(thr->loop);
	if (rc != 0)
		log_err(
		    "vmm", "event loop of %s failed: error %d", thr->name, -rc);
	return NULL;
}

static int
iothread_start(struct iothread *thr)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thr->thread, NULL, iothread_main, thr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

int
iothread_create(const char *name, struct iothread **ret, struct error *err)
{
	struct iothread *thr;
	int rc;

	thr = alloc_zero(1, sizeof(*thr));
	if (thr == NULL)
		return error_sys(err, ENOMEM, "thread %s", name);
	if (str_format(thr->name, sizeof(thr->name), "%s", name) != 0) {
		rc = error_set(err, EINVAL,
		    "thread name '%s' has more than 15 characters", name);
		goto out;
	}
	rc = mevent_loop_create(&thr->loop, err);
	if (rc != 0)
		goto out;
	rc = iothread_start(thr);
	if (rc != 0) {
		error_sys(err, -rc, "cannot start thread '%s'", name);
		goto out;
	}
	*ret = thr;
	return 0;
out:
	mevent_loop_destroy(thr->loop);
	free(thr);
	return rc;
}

struct mevent_loop *
iothread_loop(struct iothread *thr)
{
	return thr->loop;
}

void
iothread_destroy(struct iothread *thr)
{
	if (thr == NULL)
		return;
	mevent_loop_stop(thr->loop);
	pthread_join(thr->thread, NULL);
	mevent_loop_destroy(thr->loop);
	free(thr);
}
