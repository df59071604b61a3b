/*
 * Asking a supervisor, and starting it.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "admin/impl.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"

#define ZONEADMD ZHYVE_ZONEDIR "/zoneadmd"
#define START_TRIES 3
#define CONNECT_TRIES 500 /* 10 ms each */
#define ASK_TRIES 2

/* ---- start ---- */

static int
spawn(const char *const *argv, int errors, pid_t *ret)
{
	posix_spawn_file_actions_t fa;
	int rc;

	rc = posix_spawn_file_actions_init(&fa);
	if (rc != 0)
		return -rc;
	rc = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDWR, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(
		    &fa, 1, "/dev/null", O_RDWR, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, errors, 2);
	if (rc == 0)
		rc = posix_spawn(ret, argv[0], &fa, NULL,
		    (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	return -rc;
}

/* Its own words, without its name in front. */
static int
start_failed(int errors, const char *zone, struct error *err)
{
	static const char name[] = "zoneadmd: ";
	char text[480];
	ssize_t n = fd_pread_full(errors, text, sizeof(text) - 1, 0);
	char *p = text;

	if (n <= 0)
		return error_set(
		    err, EIO, "the supervisor of zone '%s' ended early", zone);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(p, name, strlen(name)) == 0)
		p += strlen(name);
	return error_set(err, EIO, "%s", p);
}

static int
start(struct admin *a, const char *zone, struct error *err)
{
	const char *program = a->zoneadmd != NULL ? a->zoneadmd : ZONEADMD;
	const char *const argv[] = { program, "-z", zone, "-R", a->root, NULL };
	cleanup_close int errors = fd_memfd("errors", 0, 0);
	int rc, status = 0;
	pid_t pid;

	if (errors < 0)
		return error_set(err, ENOMEM, "out of memory");
	rc = spawn(argv, errors, &pid);
	if (rc < 0)
		return error_sys(err, -rc, "%s", program);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys(err, errno, "%s", program);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return start_failed(errors, zone, err);
}

/* ---- connect ---- */

static bool
nobody(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED;
}

static int
try_connect(struct admin *a, const char *zone, const char *name, int type)
{
	cleanup_close int dir = zone_live_open(a->root, zone, false, NULL);

	return dir < 0 ? dir : ipc_connect(dir, name, type);
}

/* Another one may have been started at the same time, and not serve yet. */
static int
connect_soon(struct admin *a, const char *zone, const char *name, int type)
{
	static const struct timespec pause = { .tv_nsec = 10000000 };
	int fd = -ENOENT;

	for (int i = 0; i < CONNECT_TRIES; i++) {
		fd = try_connect(a, zone, name, type);
		if (!nobody(fd))
			break;
		nanosleep(&pause, NULL);
	}
	return fd;
}

int
admin_connect(struct admin *a, const char *zone, const char *name, int type,
    struct error *err)
{
	int fd, rc;

	fd = try_connect(a, zone, name, type);
	for (int i = 0; nobody(fd) && i < START_TRIES; i++) {
		rc = start(a, zone, err);
		if (rc < 0)
			return rc;
		fd = connect_soon(a, zone, name, type);
	}
	if (fd < 0)
		return error_sys(err, -fd, "the supervisor of zone '%s'", zone);
	return fd;
}

/* ---- ask ---- */

static struct nvlist *
make_request(const struct admin_request *rq)
{
	struct nvlist *msg = ipc_message("request");

	if (msg != NULL && nvlist_add_u64(msg, "id", 1) == 0 &&
	    nvlist_add_str(msg, "command", rq->command) == 0 &&
	    nvlist_add_bool(msg, "debug", rq->debug) == 0 &&
	    nvlist_add_bool(msg, "reboot", rq->reboot) == 0 &&
	    (rq->timeout == 0 ||
		nvlist_add_u64(msg, "timeout", rq->timeout) == 0) &&
	    (rq->nargs == 0 ||
		nvlist_add_strs(msg, "args", rq->args, rq->nargs) == 0))
		return msg;
	nvlist_free(msg);
	return NULL;
}

static int
read_reply(const struct nvlist *msg, struct buf *notes, struct error *err)
{
	const char *text = "";
	uint64_t code = EPROTO;

	(void)nvlist_get_u64(msg, "code", &code);
	(void)nvlist_get_str(msg, "text", &text);
	if (code != 0)
		return error_set(
		    err, code < 4096 ? (int)code : EIO, "%s", text);
	if (notes != NULL)
		buf_append_str(notes, text);
	return 0;
}

/* 1: it ended without an answer. */
static int
exchange(int fd, const char *zone, const struct nvlist *rq, struct buf *notes,
    struct error *err)
{
	struct nvlist *msg = NULL;
	const char *type = NULL;
	int rc = ipc_send(fd, rq, NULL, 0);

	if (rc == 0)
		rc = ipc_recv(fd, &msg, &type, NULL, 0, NULL, err);
	if (rc == 0 || rc == -EPIPE || rc == -ECONNRESET)
		return 1;
	if (rc < 0)
		return error_sys(err, -rc, "supervisor of zone '%s'", zone);
	rc = read_reply(msg, notes, err);
	nvlist_free(msg);
	return rc;
}

static int
ask(struct admin *a, const char *zone, const struct nvlist *rq,
    struct buf *notes, struct error *err)
{
	cleanup_close int fd =
	    admin_connect(a, zone, "zoneadmd.sock", SOCK_SEQPACKET, err);

	return fd < 0 ? fd : exchange(fd, zone, rq, notes, err);
}

int
admin_request(struct admin *a, const char *zone, const struct admin_request *rq,
    struct buf *notes, struct error *err)
{
	struct nvlist *msg = make_request(rq);
	int rc = 1;

	if (msg == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (int i = 0; rc == 1 && i < ASK_TRIES; i++)
		rc = ask(a, zone, msg, notes, err);
	nvlist_free(msg);
	if (rc == 1)
		rc = error_set(err, EPIPE,
		    "the supervisor of zone '%s' ended while it did it; look "
		    "at the zone's state, and try again",
		    zone);
	return rc;
}

/* ---- pauses ---- */

static int
pause_say(
    int fd, const char *zone, const struct admin_request *rq, struct error *err)
{
	struct nvlist *msg = make_request(rq);
	int rc = msg != NULL ? exchange(fd, zone, msg, NULL, err)
			     : error_set(err, ENOMEM, "out of memory");

	nvlist_free(msg);
	return rc == 1 ? error_set(err, EPIPE,
			     "the supervisor of zone '%s' ended meanwhile; try "
			     "again",
			     zone)
		       : rc;
}

int
admin_pause(struct admin *a, const char *zone, uint64_t seconds, int *ret_fd,
    struct error *err)
{
	const struct admin_request rq = { .command = "pause",
		.timeout = seconds };
	int fd = admin_connect(a, zone, "zoneadmd.sock", SOCK_SEQPACKET, err);
	int rc = fd < 0 ? fd : pause_say(fd, zone, &rq, err);

	if (rc < 0)
		fd_close(&fd);
	else
		*ret_fd = fd;
	return rc;
}

int
admin_resume(int fd, const char *zone, struct error *err)
{
	const struct admin_request rq = { .command = "resume" };
	int rc = pause_say(fd, zone, &rq, err);

	fd_close(&fd);
	return rc;
}
