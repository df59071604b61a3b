/*
 * User-mode networks: one zoneslirp (cmd/zoneslirp) for each NIC that asks for
 * one. It is started here and then needs nobody: it ends with the zone's
 * process, whose end of the frames' socket pair is the only one there is. So a
 * supervisor that comes later has none of them as its children, and nothing to
 * do about it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/hook.h"
#include "zoneadmd/impl.h"

#define START_SECONDS 20
#define LINE_MAX_LEN 480
#define WORDS_MAX 32
#define ADDRESSES_MAX 2

struct slirp {
	struct slirp *next;
	struct sup *sup;
	char net[64];
	pid_t pid; /* 0: reaped */
	int pidfd, out;
	struct mevent *out_ev, *end_ev;
	bool ready;
	char line[LINE_MAX_LEN]; /* of its output, so far */
	size_t len;
};

/* ---- what it says ---- */

static void
heard_line(struct slirp *s)
{
	s->line[s->len] = '\0';
	s->len = 0;
	if (!s->ready && strcmp(s->line, "ready") == 0)
		s->ready = true;
	else if (s->ready && s->line[0] != '\0')
		sup_log(s->sup, "net %s: %s", s->net, s->line);
}

/* Lines, cut where they are too long. The last one stays until the next. */
static void
heard(struct slirp *s, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n')
			heard_line(s);
		else if (s->len < sizeof(s->line) - 1)
			s->line[s->len++] =
			    (unsigned char)data[i] < 0x20 ? ' ' : data[i];
	}
}

static bool
read_some(struct slirp *s)
{
	char data[1024];
	ssize_t n;

	do {
		n = read(s->out, data, sizeof(data));
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		heard(s, data, (size_t)n);
	return n > 0;
}

static void
on_output(void *arg, int fd, unsigned what)
{
	struct slirp *s = arg;

	if (!read_some(s) && (what & MEVENT_HANGUP) != 0) {
		mevent_delete(s->out_ev);
		s->out_ev = NULL;
	}
}

/* ---- its end ---- */

static int
reap(struct slirp *s)
{
	int status = 0;

	while (waitpid(s->pid, &status, 0) < 0)
		if (errno != EINTR)
			break;
	s->pid = 0;
	return status;
}

/* With the zone, as it should; before, the guest's cable is pulled. */
static void
on_end(void *arg, int fd, unsigned what)
{
	struct slirp *s = arg;
	struct error err = ERROR_INIT;
	char cause[160];
	int status;

	for (int i = 0; i < 16 && read_some(s); i++)
		;
	status = reap(s);
	mevent_delete(s->end_ev);
	s->end_ev = NULL;
	if (!s->ready || status == 0)
		return;
	(void)zone_hook_status("zoneslirp", status, &err);
	str_format(cause, sizeof(cause), "down: %.100s", err.text);
	sup_event_net(s->sup, "link", s->net, cause);
}

static void
forget(struct slirp *s)
{
	mevent_delete(s->out_ev);
	mevent_delete(s->end_ev);
	fd_close(&s->out);
	fd_close(&s->pidfd);
	free(s);
}

/* ---- its beginning ---- */

struct words {
	const char *v[WORDS_MAX + 1];
	size_t n;
	char uid[16], mtu[16];
};

static void
word(struct words *w, const char *flag, const char *value)
{
	if (value == NULL || w->n + 2 > WORDS_MAX)
		return;
	if (flag != NULL)
		w->v[w->n++] = flag;
	w->v[w->n++] = value;
}

static void
words_of(
    struct sup *sup, const struct nvlist *row, const char *net, struct words *w)
{
	static const struct {
		const char *name, *flag;
	} lists[] = { { "addresses", "-a" }, { "gateways", "-g" } };
	const char *const *v = NULL, *forwards = NULL;
	bool loopback = false;
	uint64_t mtu = 0;
	size_t n = 0;

	*w = (struct words){ .n = 0 };
	word(w, NULL, sup->conf.slirp);
	str_format(w->uid, sizeof(w->uid), "%u", sup_helper_uid(sup));
	if (geteuid() == 0)
		word(w, "-u", w->uid);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		n = 0;
		(void)nvlist_get_strs(row, lists[i].name, &v, &n);
		for (size_t k = 0; k < n && k < ADDRESSES_MAX; k++)
			word(w, lists[i].flag, v[k]);
	}
	(void)nvlist_get_str(row, "hostfwd", &forwards);
	word(w, "-f", forwards);
	(void)nvlist_get_u64(row, "mtu", &mtu);
	str_format(w->mtu, sizeof(w->mtu), "%ju", (uintmax_t)mtu);
	word(w, "-m", w->mtu);
	(void)nvlist_get_bool(row, "loopback", &loopback);
	word(w, NULL, loopback ? "-l" : NULL);
	word(w, "--", sup->conf.zone);
	word(w, NULL, net);
}

static int
watch(struct slirp *s, struct error *err)
{
	int rc;

	s->pidfd = pidfd_open(s->pid, 0);
	if (s->pidfd < 0)
		return error_sys(err, errno, "%s", s->sup->conf.slirp);
	rc = mevent_add_fd(
	    s->sup->loop, s->out, MEVENT_READ, on_output, s, &s->out_ev, err);
	if (rc == 0)
		rc = mevent_add_fd(s->sup->loop, s->pidfd, MEVENT_READ, on_end,
		    s, &s->end_ev, err);
	return rc;
}

static int
start(struct slirp *s, const struct nvlist *row, int frames, struct error *err)
{
	cleanup_close int out = -1;
	struct zone_hook_io io = { .input = frames };
	int p[2], rc;
	struct words w;

	words_of(s->sup, row, s->net, &w);
	/* a log that nobody reads stops nobody: both ends do not block */
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0)
		return error_sys(err, errno, "pipe");
	s->out = p[0];
	io.output = io.errors = out = p[1];
	rc = zone_hook_start((char *const *)(uintptr_t)w.v, &io, &s->pid, err);
	return rc == 0 ? watch(s, err) : rc;
}

/* The one that was started last. */
static bool
decided(struct sup *sup)
{
	const struct slirp *s = sup->slirps;

	return s->ready || s->pid == 0 || sup->cancel;
}

static int
await(struct slirp *s, struct error *err)
{
	int rc = sup_wait(
	    s->sup, decided, mevent_now_ns() + START_SECONDS * NS_PER_S, err);

	if (rc < 0)
		return error_prefix(err, "zoneslirp");
	if (s->ready)
		return 0;
	if (s->sup->cancel)
		return error_set(err, ECANCELED, "halted by another request");
	if (s->len > 0)
		heard_line(s);
	return error_set(err, EIO, "%s",
	    s->line[0] != '\0' ? s->line : "zoneslirp ended early");
}

int
sup_slirp_open(struct sup *sup, const struct nvlist *row, const char *net,
    struct error *err)
{
	struct slirp *s = alloc_zero(1, sizeof(*s));
	int pair[2] = { -1, -1 }, rc;

	if (s == NULL)
		return error_set(err, ENOMEM, "out of memory");
	s->sup = sup;
	s->pidfd = s->out = -1;
	rc = str_format(s->net, sizeof(s->net), "%s", net);
	if (rc < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		free(s);
		return error_sys(err, rc < 0 ? -rc : errno, "net %.64s", net);
	}
	s->next = sup->slirps;
	sup->slirps = s;
	rc = start(s, row, pair[1], err);
	fd_close(&pair[1]);
	if (rc == 0)
		rc = await(s, err);
	if (rc == 0)
		return pair[0];
	fd_close(&pair[0]);
	return error_prefix(err, "net %s", net);
}

int
sup_slirps_enter(struct sup *sup, struct error *err)
{
	int rc = 0;

	for (struct slirp *s = sup->slirps; s != NULL && rc == 0; s = s->next)
		if (s->pid != 0)
			rc = cgroup_enter(
			    jail_cgroup(sup->child.jail), s->pid, err);
	return rc;
}

void
sup_slirps_end(struct sup *sup)
{
	struct slirp *s;

	while ((s = sup->slirps) != NULL) {
		sup->slirps = s->next;
		if (s->pid != 0) {
			(void)kill(s->pid, SIGKILL);
			(void)reap(s);
		}
		forget(s);
	}
}

void
sup_slirps_forget(struct sup *sup)
{
	struct slirp *s;

	while ((s = sup->slirps) != NULL) {
		sup->slirps = s->next;
		forget(s);
	}
}
