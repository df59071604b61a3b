/*
 * The zone's links: zonelink makes them, looks after none, and is run again
 * when there is something to clean (docs/network.md). What is kept here is what
 * the record needs, and the descriptors that tell of dropped frames.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "link/guard.h"
#include "zone/event.h"
#include "zoneadmd/impl.h"

#define LINKS_MAX 64
#define CAUSE_BYTES 400

struct sup_link {
	struct sup *sup;
	char net[65], name[16]; /* name "": not known */
	char guard[8]; /* "bpf", "nft"; "": not known */
	uint64_t did; /* the zone's number: the name is made of it */
	int ring, counters; /* -1: nobody tells of its drops */
	struct mevent *ev, *timer;
	struct link_counters seen;
	bool waits; /* the second after an event */
};

/* ---- one run of zonelink: a question, an answer, the next one ---- */

struct talk {
	struct sup *sup;
	const char *verb;
	int sock;
	size_t at; /* link that is asked for */
	/* what the verb needs of it, NULL: nothing is asked; -ENOMEM in rc */
	struct nvlist *(*question)(struct talk *t, struct sup_link *l);
	int (*answer)(struct talk *t, struct sup_link *l, const char *type,
	    const struct nvlist *msg, int *fds, size_t nfds);
	const struct nvlist *const *rows; /* make: list of files */
	size_t nrows;
	struct sup_files *files; /* make: where queues go */
	int rc;
	struct error said;
};

static int
talk_failed(struct talk *t, int rc, const char *text)
{
	if (t->rc == 0)
		t->rc = error_set(&t->said, -rc, "%s", text);
	return t->rc;
}

/* On to the next link that there is a question about. */
static void
ask_next(struct talk *t)
{
	struct sup *sup = t->sup;
	struct nvlist *msg;
	int rc;

	for (; t->at < sup->nlinks; t->at++) {
		msg = t->question(t, &sup->links[t->at]);
		if (msg == NULL)
			continue;
		rc = ipc_send(t->sock, msg, NULL, 0);
		nvlist_free(msg);
		if (rc < 0)
			(void)talk_failed(t, rc, "zonelink: cannot be asked");
		else
			return;
	}
	(void)shutdown(t->sock, SHUT_WR);
}

/* false: there is nothing more now */
static bool
hear_answer(struct talk *t)
{
	int fds[IPC_FDS];
	struct nvlist *msg = NULL;
	const char *type = NULL, *text = "failed";
	size_t nfds = 0;
	struct error late = ERROR_INIT;
	bool last = true;
	int rc;

	rc = ipc_recv(t->sock, &msg, &type, fds, IPC_FDS, &nfds, &late);
	if (rc <= 0 || t->at >= t->sup->nlinks) {
		if (rc < 0 && rc != -EAGAIN)
			(void)talk_failed(t, rc, late.text);
		while (nfds > 0)
			fd_close(&fds[--nfds]);
		nvlist_free(msg);
		return false;
	}
	(void)nvlist_get_str(msg, "text", &text);
	if (strcmp(type, "failed") == 0)
		(void)talk_failed(t, -EIO, text);
	else if (t->rc == 0)
		last = t->answer(
			   t, &t->sup->links[t->at], type, msg, fds, nfds) == 0;
	while (nfds > 0)
		fd_close(&fds[--nfds]);
	nvlist_free(msg);
	if (last) {
		t->at++;
		ask_next(t);
	}
	return true;
}

static void
on_answer(void *arg, int fd, unsigned what)
{
	struct talk *t = arg;

	while (hear_answer(t))
		continue;
}

static int
run_zonelink(struct talk *t, int end, struct error *err)
{
	const struct sup_conf *c = &t->sup->conf;
	const char *const argv[] = { c->link, t->verb, "-R", c->root, NULL };
	struct mevent *ev = NULL;
	int rc;

	rc = mevent_add_fd(
	    t->sup->loop, t->sock, MEVENT_READ, on_answer, t, &ev, err);
	if (rc < 0)
		return rc;
	ask_next(t);
	rc =
	    sup_program(t->sup, (char *const *)(uintptr_t)argv, end, NULL, err);
	on_answer(t, t->sock, 0);
	mevent_delete(ev);
	return rc;
}

/* What zonelink said is better than how it ended. */
static int
talk(struct talk *t, struct error *err)
{
	struct error how = ERROR_INIT;
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_sys(err, errno, "zonelink");
	t->sock = pair[0];
	rc = fd_set_nonblock(pair[0], true);
	if (rc == 0)
		rc = run_zonelink(t, pair[1], &how);
	close(pair[0]);
	close(pair[1]);
	if (t->rc < 0)
		return error_set(err, -t->rc, "%s", t->said.text);
	if (rc < 0)
		return error_set(err, -rc, "%s", how.text);
	return t->at < t->sup->nlinks
	    ? error_set(err, EIO, "zonelink ended without an answer")
	    : 0;
}

/* ---- the list ---- */

void
sup_links_forget(struct sup *sup)
{
	for (size_t i = 0; i < sup->nlinks; i++) {
		struct sup_link *l = &sup->links[i];

		mevent_delete(l->ev);
		mevent_delete(l->timer);
		fd_close(&l->ring);
		fd_close(&l->counters);
	}
	free(sup->links);
	sup->links = NULL;
	sup->nlinks = 0;
}

static int
new_links(struct sup *sup, size_t n)
{
	sup_links_forget(sup);
	sup->links = alloc_zero(n + 1, sizeof(*sup->links));
	if (sup->links == NULL)
		return -ENOMEM;
	sup->nlinks = n;
	for (size_t i = 0; i < n; i++) {
		sup->links[i].sup = sup;
		sup->links[i].ring = sup->links[i].counters = -1;
	}
	return 0;
}

int
sup_links_save(const struct sup *sup, struct nvlist *rec)
{
	struct nvlist *rows[LINKS_MAX];
	size_t n = 0;
	int rc = 0;

	for (; n < sup->nlinks && rc == 0; n++) {
		const struct sup_link *l = &sup->links[n];

		rows[n] = nvlist_create();
		rc = rows[n] == NULL ? -ENOMEM : 0;
		if (rc == 0)
			rc = nvlist_add_str(rows[n], "net", l->net);
		if (rc == 0)
			rc = nvlist_add_str(rows[n], "name", l->name);
		if (rc == 0)
			rc = nvlist_add_str(rows[n], "guard", l->guard);
		if (rc == 0)
			rc = nvlist_add_u64(rows[n], "did", l->did);
	}
	if (rc == 0 && n > 0)
		rc = nvlist_add_lists(
		    rec, "links", (const struct nvlist *const *)rows, n);
	while (n > 0)
		nvlist_free(rows[--n]);
	return rc;
}

static void
copy_str(char *to, size_t size, const struct nvlist *from, const char *name)
{
	const char *text = "";

	(void)nvlist_get_str(from, name, &text);
	(void)str_format(to, size, "%s", text);
}

int
sup_links_load(struct sup *sup, const struct nvlist *rec)
{
	const struct nvlist *const *rows = NULL;
	size_t n = 0;
	int rc;

	if (nvlist_get_lists(rec, "links", &rows, &n) < 0 || n > LINKS_MAX)
		n = 0;
	rc = new_links(sup, n);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct sup_link *l = &sup->links[i];

		copy_str(l->net, sizeof(l->net), rows[i], "net");
		copy_str(l->name, sizeof(l->name), rows[i], "name");
		copy_str(l->guard, sizeof(l->guard), rows[i], "guard");
		(void)nvlist_get_u64(rows[i], "did", &l->did);
	}
	return rc;
}

static struct nvlist *
begin_question(struct talk *t, const struct sup_link *l)
{
	struct nvlist *msg = ipc_message("link");

	if (msg != NULL && nvlist_add_u64(msg, "did", l->did) == 0 &&
	    nvlist_add_str(msg, "zone", t->sup->conf.zone) == 0 &&
	    nvlist_add_str(msg, "net", l->net) == 0 &&
	    nvlist_add_str(msg, "name", l->name) == 0)
		return msg;
	nvlist_free(msg);
	(void)talk_failed(t, -ENOMEM, "out of memory");
	return NULL;
}

/* ---- frames that were dropped ---- */

/* true: there were some */
static bool
tell_drops(struct sup_link *l, const struct link_counters *now)
{
	static const char *const names[LINK_DROP_COUNT] = {
#define X(id, name, illumos) [LINK_DROP_##id] = name,
		LINK_DROPS(X)
#undef X
	};
	char cause[CAUSE_BYTES] = "";
	size_t n = 0;

	for (size_t i = 0; i < LINK_DROP_COUNT; i++) {
		uint64_t more = now->drops[i] - l->seen.drops[i];

		if (more != 0 &&
		    str_format(cause + n, sizeof(cause) - n, "%s%s %ju",
			n > 0 ? ", " : "", names[i], (uintmax_t)more) == 0)
			n += strlen(cause + n);
	}
	l->seen = *now;
	if (n > 0)
		sup_event_net(l->sup, "link", l->net, cause);
	return n > 0;
}

/* An event, then silence for a second, which begins anew when more came. */
static void
look_for_drops(struct sup_link *l)
{
	struct link_counters now = { .sent = 0 };

	if (link_guard_read(l->counters, &now) == 0)
		l->waits = tell_drops(l, &now);
	else
		l->waits = false;
	if (l->waits)
		(void)mevent_timer_set(l->timer, NS_PER_S, 0);
}

static void
on_second(void *arg, uint64_t expirations)
{
	look_for_drops(arg);
}

static void
on_ring(void *arg, int fd, unsigned what)
{
	struct sup_link *l = arg;

	if (link_guard_drained(l->ring) < 0) {
		sup_log(l->sup, "net %s: no events of dropped frames", l->net);
		mevent_delete(l->ev);
		l->ev = NULL;
	} else if (!l->waits) {
		look_for_drops(l);
	}
}

static int
take_watch(struct talk *t, struct sup_link *l, int *fds, size_t nfds)
{
	struct error late = ERROR_INIT;
	int rc;

	if (nfds != 2 || l->ring >= 0)
		return talk_failed(t, -EPROTO, "zonelink: not two descriptors");
	l->ring = fds[0];
	l->counters = fds[1];
	fds[0] = fds[1] = -1;
	(void)link_guard_read(l->counters, &l->seen);
	rc = mevent_add_timer(t->sup->loop, on_second, l, &l->timer, &late);
	if (rc == 0)
		rc = mevent_add_fd(t->sup->loop, l->ring, MEVENT_READ, on_ring,
		    l, &l->ev, &late);
	return rc < 0 ? talk_failed(t, rc, late.text) : 0;
}

/* ---- make ---- */

const struct nvlist *
sup_links_row(const struct nvlist *row)
{
	const struct nvlist *link;
	const char *kind;

	return nvlist_get_str(row, "kind", &kind) == 0 &&
		strcmp(kind, "tap") == 0 &&
		nvlist_get_list(row, "link", &link) == 0
	    ? link
	    : NULL;
}

static const struct nvlist *
row_of(const struct talk *t, const struct sup_link *l)
{
	const struct nvlist *link;
	const char *net = "";

	for (size_t i = 0; i < t->nrows; i++)
		if ((link = sup_links_row(t->rows[i])) != NULL &&
		    nvlist_get_str(link, "net", &net) == 0 &&
		    strcmp(net, l->net) == 0)
			return t->rows[i];
	return NULL;
}

static struct nvlist *
ask_make(struct talk *t, struct sup_link *l)
{
	struct nvlist *msg = begin_question(t, l);
	const struct nvlist *link, *row = row_of(t, l);

	if (msg != NULL && row != NULL && (link = sup_links_row(row)) != NULL &&
	    nvlist_add_list(msg, "link", link) == 0)
		return msg;
	nvlist_free(msg);
	(void)talk_failed(t, -ENOMEM, "out of memory");
	return NULL;
}

/* 0: that was all of this link; 1: more comes. */
static int
hear_made(struct talk *t, struct sup_link *l, const char *type,
    const struct nvlist *msg, int *fds, size_t nfds)
{
	const char *path = "";
	char name[96];
	int rc;

	if (strcmp(type, "watch") == 0)
		return take_watch(t, l, fds, nfds) < 0 ? 0 : 1;
	if (strcmp(type, "made") != 0 || nfds == 0 ||
	    nvlist_get_str(row_of(t, l), "path", &path) < 0) {
		(void)talk_failed(t, -EPROTO, "zonelink: no link");
		return 0;
	}
	copy_str(l->name, sizeof(l->name), msg, "name");
	copy_str(l->guard, sizeof(l->guard), msg, "guard");
	for (size_t i = 0; i < nfds; i++) {
		(void)str_format(name, sizeof(name), "%.80s:%zu", path, i);
		rc = sup_files_add(t->files, name, "tap", fds[i]);
		if (rc < 0) {
			(void)talk_failed(t, rc, "out of memory");
			break;
		}
		fds[i] = -1;
	}
	return 0;
}

int
sup_links_make(struct sup *sup, const struct nvlist *const *rows, size_t n,
    struct sup_files *files, struct error *err)
{
	struct talk t = { .sup = sup,
		.verb = "make",
		.question = ask_make,
		.answer = hear_made,
		.rows = rows,
		.nrows = n,
		.files = files };
	const struct nvlist *link;
	size_t want = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		want += sup_links_row(rows[i]) != NULL;
	if (want == 0)
		return 0;
	if (want > LINKS_MAX)
		return error_set(err, E2BIG, "more than %d links", LINKS_MAX);
	if (new_links(sup, want) < 0)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0, k = 0; i < n; i++) {
		struct sup_link *l = &sup->links[k];

		link = sup_links_row(rows[i]);
		if (link == NULL)
			continue;
		copy_str(l->net, sizeof(l->net), link, "net");
		(void)nvlist_get_u64(sup->snap, "did", &l->did);
		k++;
	}
	/* who comes after a crash must know what there may be */
	rc = sup_record(sup, err);
	return rc == 0 ? talk(&t, err) : rc;
}

/* ---- watch, after a supervisor that is no more ---- */

static struct nvlist *
ask_watch(struct talk *t, struct sup_link *l)
{
	return strcmp(l->guard, "bpf") == 0 ? begin_question(t, l) : NULL;
}

static int
hear_watch(struct talk *t, struct sup_link *l, const char *type,
    const struct nvlist *msg, int *fds, size_t nfds)
{
	if (strcmp(type, "watch") == 0)
		(void)take_watch(t, l, fds, nfds);
	return 0;
}

static bool
any_link(const struct sup *sup, bool bpf)
{
	for (size_t i = 0; i < sup->nlinks; i++)
		if ((strcmp(sup->links[i].guard, "bpf") == 0) == bpf)
			return true;
	return false;
}

void
sup_links_watch(struct sup *sup)
{
	struct talk t = { .sup = sup,
		.verb = "watch",
		.question = ask_watch,
		.answer = hear_watch };
	struct error err = ERROR_INIT;

	if (any_link(sup, true) && talk(&t, &err) < 0)
		sup_log(sup, "no events of links: %s", err.text);
}

/* ---- down ---- */

static struct nvlist *
ask_down(struct talk *t, struct sup_link *l)
{
	return strcmp(l->guard, "bpf") == 0 ? NULL : begin_question(t, l);
}

static int
hear_down(struct talk *t, struct sup_link *l, const char *type,
    const struct nvlist *msg, int *fds, size_t nfds)
{
	return 0;
}

int
sup_links_down(struct sup *sup, struct error *err)
{
	struct talk t = { .sup = sup,
		.verb = "down",
		.question = ask_down,
		.answer = hear_down };
	bool known = false;
	int rc = 0;

	for (size_t i = 0; i < sup->nlinks; i++)
		known = known || strcmp(sup->links[i].guard, "nft") == 0;
	if (any_link(sup, false))
		rc = talk(&t, err);
	/* of those that were never told of there is most likely nothing */
	if (rc < 0 && !known) {
		sup_log(sup, "links: %s", err != NULL ? err->text : "not down");
		rc = 0;
	}
	if (rc == 0)
		sup_links_forget(sup);
	return rc;
}
