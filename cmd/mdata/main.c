/*
 * mdata: serves guest metadata to all zones of this host. Goes into the
 * background, opens its socket, closes itself off, serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mevent.h"
#include "base/sanitize.h"
#include "base/str.h"
#include "daemon.h"
#include "ipc/ipc.h"
#include "mdata/config.h"
#include "mdata/serve.h"
#include "walls.h"
#include "zone/live.h"

#define LOCK "lock"
#define LINGER_NS UINT64_C(3000000000)

struct service {
	int dir, lock, listen;
	struct mevent_loop *loop;
	struct mevent *signals[2];
	struct mdata_server *server;
};

#if HAS_ASAN
/* Its search for leaks wants what a locked process has not. */
int
__lsan_is_turned_off(void)
{
	return 1;
}
#endif

static int
usage(void)
{
	fprintf(stderr, "usage: mdata [-f] [-R root]\n");
	return 2;
}

static int
fail(const struct error *err)
{
	fprintf(stderr, "mdata: %s\n", err->text);
	return 1;
}

/* ---- the service ---- */

/* 1: there is one already. */
static int
open_socket(struct service *s, const char *root, struct error *err)
{
	int rc;

	s->dir = zone_live_open(root, MDATA_FOLDER, true, err);
	if (s->dir < 0)
		return s->dir;
	s->lock = openat(s->dir, LOCK,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (s->lock < 0)
		return error_sys(err, errno, "%s", LOCK);
	rc = fd_lock_ofd(s->lock, true);
	if (rc < 0)
		return rc == -EAGAIN ? 1 : error_sys(err, -rc, "%s", LOCK);
	/* it removes its socket when it ends */
	if (fchown(s->dir, MDATA_UID, MDATA_UID) != 0)
		return error_sys(err, errno, "%s", MDATA_FOLDER);
	s->listen = ipc_listen(s->dir, MDATA_SOCKET, SOCK_SEQPACKET, err);
	return s->listen < 0 ? s->listen : 0;
}

static void
on_signal(void *arg, int signo)
{
	mevent_loop_stop(arg);
}

static int
prepare(struct service *s, const char *root, struct error *err)
{
	static const int signals[] = { SIGTERM, SIGINT };
	struct mdata_server_conf conf = { .uid = geteuid(),
		.threads = MDATA_SERVE_THREADS,
		.linger_ns = root[0] != '\0' ? LINGER_NS : 0 };
	int rc;

	rc = mevent_loop_create(&s->loop, err);
	for (size_t i = 0; i < ARRAY_LEN(signals) && rc == 0; i++)
		rc = mevent_add_signal(s->loop, signals[i], on_signal, s->loop,
		    &s->signals[i], err);
	conf.loop = s->loop;
	conf.listen = s->listen;
	if (rc == 0)
		rc = mdata_server_create(&conf, &s->server, err);
	/* it would look for a seed in /dev */
	json_object_seed(0);
	return rc;
}

static int
confine(struct error *err)
{
	int rc = mdata_walls_enter(err);

	if (rc > 0)
		log_warn("mdata", "%s", err->text);
	return rc < 0 ? rc : 0;
}

static void
finish(struct service *s)
{
	if (s->listen >= 0)
		(void)unlinkat(s->dir, MDATA_SOCKET, 0);
	mdata_server_free(s->server);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		mevent_delete(s->signals[i]);
	mevent_loop_destroy(s->loop);
	fd_close(&s->listen);
	fd_close(&s->lock);
	fd_close(&s->dir);
}

static int
serve(void *root, int report)
{
	struct service s = { .dir = -1, .lock = -1, .listen = -1 };
	struct error err = ERROR_INIT;
	int rc;

	rc = open_socket(&s, root, &err);
	if (rc == 0)
		rc = prepare(&s, root, &err);
	if (rc == 0)
		rc = confine(&err);
	if (rc < 0 && report < 0)
		fail(&err);
	daemon_report(report, rc < 0 ? &err : NULL);
	if (rc == 0) {
		log_info("mdata", "serves");
		rc = mevent_loop_run(s.loop);
	}
	finish(&s);
	return rc < 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
	char root[PATH_MAX] = "";
	struct error err = ERROR_INIT;
	bool foreground = false;
	int c;

	/* what the caller had open is none of ours */
	close_range(3, ~0U, 0);
	while ((c = getopt(argc, argv, "fR:")) != -1) {
		if (c == 'f')
			foreground = true;
		else if (c != 'R')
			return usage();
		else if (optarg[0] != '\0' &&
		    daemon_root(optarg, root, &err) < 0)
			return fail(&err);
	}
	if (optind != argc)
		return usage();
	umask(077);
	/* threads share what is free: there are many zones, and little memory
	 */
	mallopt(M_ARENA_MAX, 1);
	signal(SIGPIPE, SIG_IGN);
	if (foreground)
		return serve(root, -1);
	return daemon_start(serve, root, &err) < 0 ? fail(&err) : 0;
}
