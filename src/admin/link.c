/*
 * zonelink, asked by an operator's program: counters, switches of links that
 * are in use. The supervisor is not needed for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/impl.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "zone/hook.h"

#define ANSWER_SECONDS 30

/* It lies beside the supervisor. */
static int
find_zonelink(const struct admin *a, char *buf, struct error *err)
{
	const char *slash =
	    a->zoneadmd != NULL ? strrchr(a->zoneadmd, '/') : NULL;
	int rc;

	if (slash == NULL)
		rc = str_format(buf, ADMIN_PATH, ZHYVE_ZONEDIR "/zonelink");
	else
		rc = str_format(buf, ADMIN_PATH, "%.*s/zonelink",
		    (int)(slash - a->zoneadmd), a->zoneadmd);
	return rc < 0 ? error_set(err, ENAMETOOLONG, "zonelink: path too long")
		      : 0;
}

/* 0, also for a 'failed', whose words are in said then */
static int
take_answer(int sock, struct nvlist **ret, struct error *said)
{
	const char *type, *text = "zonelink failed";
	struct nvlist *msg = NULL;
	int rc;

	rc = ipc_recv(sock, &msg, &type, NULL, 0, NULL, said);
	if (rc <= 0)
		return rc < 0 ? rc : -EPIPE;
	if (strcmp(type, "failed") == 0) {
		(void)nvlist_get_str(msg, "text", &text);
		if (said->code == 0)
			error_set(said, EIO, "%s", text);
		nvlist_free(msg);
		msg = NULL;
	}
	*ret = msg;
	return 0;
}

static int
ask_all(int sock, struct nvlist *const *questions, size_t n,
    struct nvlist **answers, struct error *said)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = ipc_send(sock, questions[i], NULL, 0);
		if (rc == 0)
			rc = take_answer(sock, &answers[i], said);
	}
	(void)shutdown(sock, SHUT_WR);
	return rc;
}

static int
start(struct admin *a, const char *verb, int pair[2], int errors, pid_t *ret,
    struct error *err)
{
	const struct timeval tv = { .tv_sec = ANSWER_SECONDS };
	const struct zone_hook_io io = { pair[1], -1, errors };
	char path[ADMIN_PATH];
	const char *const argv[] = { path, verb, "-R", a->root, NULL };
	int rc = find_zonelink(a, path, err);

	if (rc < 0)
		return rc;
	(void)setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return zone_hook_start((char *const *)(uintptr_t)argv, &io, ret, err);
}

static void
add_words(int errors, struct error *err)
{
	char text[300];
	ssize_t n = fd_pread_full(errors, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	error_set(err, EIO, "zonelink: %s", text);
}

int
admin_zonelink(struct admin *a, const char *verb,
    struct nvlist *const *questions, size_t n, struct nvlist **answers,
    struct error *err)
{
	cleanup_close int errors = fd_memfd("errors", 0, 0);
	struct error said = ERROR_INIT;
	int pair[2], status = 0, rc;
	pid_t pid;

	for (size_t i = 0; i < n; i++)
		answers[i] = NULL;
	if (errors < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_sys(err, errno, "zonelink");
	rc = start(a, verb, pair, errors, &pid, err);
	close(pair[1]);
	if (rc < 0) {
		close(pair[0]);
		return rc;
	}
	rc = ask_all(pair[0], questions, n, answers, &said);
	close(pair[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (said.code != 0)
		return error_set(err, said.code, "%s", said.text);
	if (rc < 0) {
		error_sys(err, -rc, "zonelink");
		add_words(errors, err);
		return -EIO;
	}
	return 0;
}

/* ---- a zone's links ---- */

void
admin_links_free(struct admin_links *l)
{
	for (size_t i = 0; i < l->n; i++) {
		nvlist_free(l->v[i].stat);
	}
	free(l->v);
	zone_conf_free(l->conf);
	*l = (struct admin_links){ NULL };
}

static int
read_rows(const struct nvlist *rec, struct admin_links *l)
{
	const struct nvlist *const *rows = NULL;
	const char *net = "", *name = "", *guard = "";
	size_t n = 0;

	if (nvlist_get_lists(rec, "links", &rows, &n) < 0)
		n = 0;
	l->v = alloc_zero(n + 1, sizeof(*l->v));
	if (l->v == NULL)
		return -ENOMEM;
	for (; l->n < n; l->n++) {
		struct admin_link *k = &l->v[l->n];

		(void)nvlist_get_str(rows[l->n], "net", &net);
		(void)nvlist_get_str(rows[l->n], "name", &name);
		(void)nvlist_get_str(rows[l->n], "guard", &guard);
		(void)nvlist_get_u64(rows[l->n], "did", &l->did);
		(void)str_format(k->net, sizeof(k->net), "%s", net);
		(void)str_format(k->name, sizeof(k->name), "%s", name);
		(void)str_format(k->guard, sizeof(k->guard), "%s", guard);
	}
	return 0;
}

int
admin_links_load(struct admin *a, const char *zone, struct admin_links *ret,
    struct error *err)
{
	struct admin_links l = { NULL };
	char path[ZONE_LIVE_PATH + 16];
	struct zone_live live;
	bool runs;
	int rc;

	rc = zone_live_read(a->root, zone, &live);
	if (rc == -ENOENT)
		return error_set(err, ESRCH, "zone '%s' does not run", zone);
	if (rc < 0)
		return error_sys(err, -rc, "the record of zone '%s'", zone);
	runs = live.alive;
	if (runs)
		rc = read_rows(live.record, &l);
	zone_live_fini(&live);
	if (!runs)
		return error_set(err, ESRCH, "zone '%s' does not run", zone);
	if (rc == 0)
		rc = zone_live_path(a->root, zone, path, ZONE_LIVE_PATH);
	if (rc < 0)
		return error_sys(err, -rc, "zone '%s'", zone);
	strcat(path, "/snapshot.xml");
	rc = zone_conf_load_file(path, &l.conf, NULL, err);
	if (rc < 0)
		admin_links_free(&l);
	else
		*ret = l;
	return rc;
}

static struct nvlist *
make_question(
    const struct admin_links *l, const char *zone, const struct admin_link *k)
{
	struct nvlist *msg = ipc_message("link");

	if (msg != NULL && nvlist_add_u64(msg, "did", l->did) == 0 &&
	    nvlist_add_str(msg, "zone", zone) == 0 &&
	    nvlist_add_str(msg, "net", k->net) == 0 &&
	    nvlist_add_str(msg, "name", k->name) == 0 &&
	    (k->link == NULL || nvlist_add_list(msg, "link", k->link) == 0))
		return msg;
	nvlist_free(msg);
	return NULL;
}

int
admin_links_ask(struct admin *a, const char *zone, const char *verb,
    struct admin_links *l, struct error *err)
{
	struct nvlist **q = alloc_zero(2 * l->n + 1, sizeof(*q));
	struct admin_link **who =
	    alloc_zero(l->n + 1, sizeof(struct admin_link *));
	size_t n = 0;
	int rc = q != NULL && who != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		if (!l->v[i].wanted)
			continue;
		who[n] = &l->v[i];
		q[n] = make_question(l, zone, &l->v[i]);
		rc = q[n++] != NULL ? 0 : -ENOMEM;
	}
	if (rc < 0)
		error_set(err, ENOMEM, "out of memory");
	else if (n > 0)
		rc = admin_zonelink(a, verb, q, n, q + l->n, err);
	for (size_t i = 0; i < n; i++) {
		nvlist_free(q[i]);
		who[i]->stat = q[l->n + i];
	}
	free(q);
	free(who);
	return rc;
}
