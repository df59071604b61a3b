/*
 * zonelink: make, change, read and clean the links of one zone. Run by the
 * supervisor and by zoneadm, with a socket as descriptor 3: a message a link
 * (ipc/ipc.h), an answer each, and it ends. Nothing of a link needs it then; a
 * child of it goes on for a second, then makes their guards cheaper.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "link/fault.h"
#include "link/make.h"

#include "learn.h"

#define SOCKET 3
#define SETTLE_MAX 64 /* links whose guards are moved */
#define SETTLE_AFTER_S 1

struct made { /* guarded by BPF */
	int ifindex[SETTLE_MAX];
	size_t n;
};

struct zonelink {
	const char *root;
	struct link_net *net;
	enum link_guard_kind guard;
	struct made *made;
};

/* A question, read: what each verb needs of it. */
struct question {
	uint64_t did;
	const struct nvlist *list; /* NULL: not there */
	const char *zone, *net, *name; /* "": not said */
};

/* ---- answers ---- */

static int
answer(struct nvlist *msg, const int *fds, size_t nfds, struct error *err)
{
	int rc = msg != NULL ? ipc_send(SOCKET, msg, fds, nfds) : -ENOMEM;

	nvlist_free(msg);
	return rc < 0 ? error_sys(err, -rc, "answer") : 0;
}

static struct nvlist *
begin_answer(const char *type, const char *net, const char *name)
{
	struct nvlist *msg = ipc_message(type);

	if (msg != NULL && nvlist_add_str(msg, "net", net) == 0 &&
	    nvlist_add_str(msg, "name", name) == 0)
		return msg;
	nvlist_free(msg);
	return NULL;
}

static int
answer_watch(const char *net, const char *name, int ring, int counters,
    struct error *err)
{
	const int fds[] = { ring, counters };

	return answer(
	    begin_answer("watch", net, name), fds, ARRAY_LEN(fds), err);
}

static void
answer_failed(const struct question *q, const struct error *why)
{
	struct nvlist *msg = begin_answer("failed", q->net, q->name);

	if (msg != NULL) {
		nvlist_add_u64(msg, "code", (uint64_t)why->code);
		nvlist_add_str(msg, "text", why->text);
	}
	(void)answer(msg, NULL, 0, NULL);
}

/* ---- make ---- */

static int
answer_made(const struct link_made *m, struct error *err)
{
	struct nvlist *msg = begin_answer("made", m->spec.net, m->spec.name);
	bool bpf = m->guard == LINK_GUARD_BPF;
	int rc;

	if (msg != NULL) {
		nvlist_add_str(msg, "guard", bpf ? "bpf" : "nft");
		nvlist_add_str(msg, "bridge", m->bridge);
		nvlist_add_u64(msg, "mtu", m->mtu);
	}
	if (bpf) {
		rc = answer_watch(
		    m->spec.net, m->spec.name, m->ring, m->counters, err);
		if (rc < 0) {
			nvlist_free(msg);
			return rc;
		}
	}
	return answer(msg, m->queues, m->spec.queues, err);
}

static int
verb_make(
    const struct zonelink *zl, const struct question *q, struct error *err)
{
	struct link_made made;
	int rc;

	if (q->list == NULL)
		return error_set(err, EPROTO, "make: no link");
	rc = link_make(
	    zl->net, zl->root, q->did, q->list, zl->guard, &made, err);
	if (rc < 0)
		return rc;
	if (made.guard == LINK_GUARD_BPF && zl->made->n < SETTLE_MAX)
		zl->made->ifindex[zl->made->n++] =
		    (int)if_nametoindex(made.spec.name);
	if (made.guard == LINK_GUARD_NFT) {
		rc = learner_renew(&made.spec, err);
		if (rc < 0)
			error_prefix(err, "net %s", made.spec.net);
	}
	if (rc == 0)
		rc = answer_made(&made, err);
	link_made_close(&made);
	if (rc < 0)
		(void)link_guard_remove(made.spec.name, NULL);
	link_fault(LINK_FAULT_ANSWER);
	return rc;
}

/* ---- links that are there ---- */

/* Names are used again: it must be the one that is meant. */
static int
find_link(const struct zonelink *zl, const struct question *q,
    struct link_net_info *ret, struct error *err)
{
	char want[160];
	int rc;

	rc = link_net_info(zl->net, q->name, ret, err);
	if (rc < 0)
		return rc;
	(void)str_format(want, sizeof(want), "zone %s net %s", q->zone, q->net);
	return strcmp(ret->alias, want) == 0
	    ? 0
	    : error_set(err, ENODEV,
		  "interface %s is not net %s of zone '%s': its alias is '%s'",
		  q->name, q->net, q->zone, ret->alias);
}

static int
verb_update(
    const struct zonelink *zl, const struct question *q, struct error *err)
{
	struct link_net_info info;
	struct link_spec spec;
	struct question named = *q;
	int rc;

	if (q->list == NULL)
		return error_set(err, EPROTO, "update: no link");
	rc = link_spec_read(q->list, q->did, &spec, err);
	if (rc < 0)
		return rc;
	named.zone = spec.zone;
	named.net = spec.net;
	rc = find_link(zl, &named, &info, err);
	if (rc < 0)
		return rc;
	(void)str_format(spec.name, sizeof(spec.name), "%s", q->name);
	rc = link_guard_update(&spec, err);
	if (rc == 0)
		rc = learner_renew(&spec, err);
	if (rc == 0 && info.bridge[0] != '\0')
		rc = link_net_update(zl->net, &spec, err);
	return rc < 0
	    ? error_prefix(err, "net %s", spec.net)
	    : answer(begin_answer("done", spec.net, q->name), NULL, 0, err);
}

static int
add_counters(struct nvlist *msg, const struct link_counters *c)
{
	static const struct {
		const char *name, *illumos;
	} reasons[LINK_DROP_COUNT] = {
#define X(id, name, illumos) [LINK_DROP_##id] = { name, illumos },
		LINK_DROPS(X)
#undef X
	};
	struct nvlist *drops = nvlist_create(), *illumos = nvlist_create();
	int rc = drops != NULL && illumos != NULL ? 0 : -ENOMEM;
	uint64_t sum;

	for (size_t i = 0; i < LINK_DROP_COUNT && rc == 0; i++) {
		rc = nvlist_add_u64(drops, reasons[i].name, c->drops[i]);
		if (rc < 0 || reasons[i].illumos[0] == '\0')
			continue;
		sum = c->drops[i];
		for (size_t k = 0; k < i; k++)
			if (strcmp(reasons[k].illumos, reasons[i].illumos) == 0)
				sum += c->drops[k];
		rc = nvlist_add_u64(illumos, reasons[i].illumos, sum);
	}
	if (rc == 0)
		rc = nvlist_add_list(msg, "drops", drops);
	if (rc == 0)
		rc = nvlist_add_list(msg, "illumos", illumos);
	nvlist_free(drops);
	nvlist_free(illumos);
	return rc;
}

static int
verb_stat(
    const struct zonelink *zl, const struct question *q, struct error *err)
{
	struct link_counters c = { .sent = 0 };
	struct link_net_info info;
	struct nvlist *msg;
	int rc;

	rc = find_link(zl, q, &info, err);
	if (rc == 0)
		rc = link_guard_counters(q->name, &c, err);
	if (rc < 0)
		return rc;
	msg = begin_answer("stat", q->net, q->name);
	if (msg == NULL || nvlist_add_str(msg, "bridge", info.bridge) < 0 ||
	    nvlist_add_bool(msg, "up", info.up) < 0 ||
	    nvlist_add_u64(msg, "mtu", info.mtu) < 0 ||
	    nvlist_add_u64(msg, "sent", c.sent) < 0 ||
	    nvlist_add_u64(msg, "sent_bytes", c.sent_bytes) < 0 ||
	    nvlist_add_u64(msg, "received", c.received) < 0 ||
	    nvlist_add_u64(msg, "received_bytes", c.received_bytes) < 0 ||
	    add_counters(msg, &c) < 0) {
		nvlist_free(msg);
		return error_set(err, ENOMEM, "out of memory");
	}
	return answer(msg, NULL, 0, err);
}

static int
verb_watch(
    const struct zonelink *zl, const struct question *q, struct error *err)
{
	cleanup_close int ring = -1, counters = -1;
	struct link_net_info info;
	int rc;

	rc = find_link(zl, q, &info, err);
	if (rc == 0)
		rc = link_guard_watch(q->name, &ring, &counters, err);
	return rc < 0 ? rc : answer_watch(q->net, q->name, ring, counters, err);
}

static int
verb_down(
    const struct zonelink *zl, const struct question *q, struct error *err)
{
	int rc;

	rc = link_clean(zl->root, q->did, q->zone, q->net, q->name, err);
	return rc < 0
	    ? rc
	    : answer(begin_answer("done", q->net, q->name), NULL, 0, err);
}

/* ---- the verbs ---- */

static const struct verb {
	const char *name;
	int (*fn)(const struct zonelink *zl, const struct question *q,
	    struct error *err);
	bool whole; /* one that fails ends it */
} verbs[] = {
	{ "make", verb_make, true },
	{ "down", verb_down },
	{ "stat", verb_stat },
	{ "update", verb_update },
	{ "watch", verb_watch },
};

static void
read_question(const struct nvlist *msg, struct question *q)
{
	*q = (struct question){ .zone = "", .net = "", .name = "" };
	(void)nvlist_get_u64(msg, "did", &q->did);
	(void)nvlist_get_str(msg, "zone", &q->zone);
	(void)nvlist_get_str(msg, "net", &q->net);
	(void)nvlist_get_str(msg, "name", &q->name);
	if (nvlist_get_list(msg, "link", &q->list) == 0)
		(void)nvlist_get_str(q->list, "net", &q->net);
}

/*
 * Whoever cleans up after a supervisor that was killed must not be followed by
 * what that one had asked for. -ESRCH: it is gone already.
 */
static int
end_with_parent(void)
{
	struct pollfd p = { .fd = SOCKET };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return -errno;
	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0 ? -ESRCH : 0;
}

/* All that is asked, until the other side has no more. 1: one has failed. */
static int
serve(const struct zonelink *zl, const struct verb *verb, struct error *err)
{
	struct nvlist *msg = NULL;
	const char *type = NULL;
	struct question q;
	int rc, bad = 0;

	while ((rc = ipc_recv(SOCKET, &msg, &type, NULL, 0, NULL, err)) == 1) {
		read_question(msg, &q);
		rc = strcmp(type, "link") == 0
		    ? verb->fn(zl, &q, err)
		    : error_set(err, EPROTO, "message '%.32s'", type);
		if (rc < 0) {
			answer_failed(&q, err);
			bad = 1;
			*err = (struct error)ERROR_INIT;
		}
		nvlist_free(msg);
		if (rc < 0 && verb->whole)
			return 1;
	}
	return rc < 0 ? rc : bad;
}

/*
 * What the zone's boot does not wait for, neither here nor for rtnetlink's
 * lock, which is held meanwhile: so not at once. Interfaces are named by
 * number, which no later one has: it does not matter when this is, or whether.
 */
static void
settle_guards(const struct zonelink *zl)
{
	if (zl->made->n == 0 || fork() != 0)
		return;
	(void)close_range(0, ~0U, 0);
	(void)sleep(SETTLE_AFTER_S);
	for (size_t i = 0; i < zl->made->n; i++)
		link_guard_settle(zl->made->ifindex[i]);
	_exit(0);
}

#ifdef ZHYVE_FAULTS
static int
print_faults(void)
{
	for (size_t i = 0; i < LINK_NFAULTS; i++)
		puts(link_fault_names[i]);
	return 0;
}
#endif

static int
usage(void)
{
	fprintf(stderr,
	    "usage: zonelink make|down|stat|update|watch [-R root] [-g "
	    "bpf|nft]\n"
	    "       run by zoneadmd and zoneadm, with a socket as descriptor "
	    "3\n");
	return 2;
}

static int
read_options(struct zonelink *zl, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+R:g:")) != -1) {
		if (c == 'R')
			zl->root = optarg;
		else if (c == 'g' && strcmp(optarg, "bpf") == 0)
			zl->guard = LINK_GUARD_BPF;
		else if (c == 'g' && strcmp(optarg, "nft") == 0)
			zl->guard = LINK_GUARD_NFT;
		else
			return -EINVAL;
	}
	return optind == argc ? 0 : -EINVAL;
}

int
main(int argc, char **argv)
{
	struct made made = { .n = 0 };
	struct zonelink zl = {
		.root = "", .guard = LINK_GUARD_AUTO, .made = &made
	};
	const struct verb *verb = NULL;
	struct error err = ERROR_INIT;
	int rc;

#ifdef ZHYVE_FAULTS
	if (argc == 2 && strcmp(argv[1], "-F") == 0)
		return print_faults();
#endif
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			verb = &verbs[i];
	if (verb == NULL || read_options(&zl, argc - 1, argv + 1) < 0)
		return usage();
	if (fcntl(SOCKET, F_SETFD, FD_CLOEXEC) < 0) {
		fprintf(stderr, "zonelink: there is no descriptor 3\n");
		return 2;
	}
	rc = verb->whole ? end_with_parent() : 0;
	rc = rc < 0 ? error_sys(&err, -rc, "zonelink")
		    : link_net_open(&zl.net, &err);
	if (rc == 0)
		rc = serve(&zl, verb, &err);
	link_net_close(zl.net);
	if (rc == 0)
		settle_guards(&zl);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	return rc != 0 ? 1 : 0;
}
