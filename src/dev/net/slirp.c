/*
 * A user-mode network (src/unet) in this process: its loop in a thread of its
 * own, with frames over a socket pair as from anywhere else (packet.c). A zone
 * has it in another process instead (cmd/zoneslirp).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "dev/net/net_impl.h"
#include "unet/unet.h"

struct slirp_thread {
	struct unet *un;
	int fd; /* the thread's end */
	pthread_t thread;
};

static void *
slirp_main(void *arg)
{
	struct slirp_thread *st = arg;
	int rc;

	pthread_setname_np(pthread_self(), "slirp");
	rc = unet_serve(st->un, st->fd);
	if (rc < 0)
		log_err("slirp", "the network stopped: error %d", -rc);
	return NULL;
}

static int
slirp_start(struct slirp_thread *st)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&st->thread, NULL, slirp_main, st);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

static void
slirp_free(struct slirp_thread *st)
{
	fd_close(&st->fd);
	unet_close(st->un);
	free(st);
}

/* Our end is closed, so the loop ends. */
static void
slirp_end(void *arg)
{
	struct slirp_thread *st = arg;

	pthread_join(st->thread, NULL);
	slirp_free(st);
}

int
net_slirp_open(const char *hostfwd, unsigned mtu, struct net_backend **ret,
    struct error *err)
{
	struct slirp_thread *st = alloc_zero(1, sizeof(*st));
	struct unet_conf conf;
	int pair[2] = { -1, -1 }, rc;

	if (st == NULL)
		return error_set(err, ENOMEM, "slirp: out of memory");
	st->fd = -1;
	unet_conf_init(&conf);
	conf.hostfwd = hostfwd;
	conf.mtu = mtu;
	conf.loopback = true; /* as bhyve and others have it */
	rc = unet_conf_settle(&conf, err);
	if (rc == 0)
		rc = unet_open(&conf, &st->un, err);
	if (rc == 0 &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		rc = error_sys(err, errno, "slirp");
	st->fd = pair[1];
	if (rc == 0 && (rc = slirp_start(st)) != 0)
		rc = error_sys(err, -rc, "slirp: cannot start its thread");
	if (rc != 0) {
		fd_close(&pair[0]);
		slirp_free(st);
		return rc;
	}
	rc = net_packet_new(pair[0], "slirp", slirp_end, st, ret, err);
	if (rc != 0) {
		fd_close(&pair[0]);
		slirp_end(st);
	}
	return rc;
}
