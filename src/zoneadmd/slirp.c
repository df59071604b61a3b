/*
 * User-mode networks: one zoneslirp (cmd/zoneslirp) for each NIC that asks for
 * one. It is started here and then needs nobody: it ends with the zone's
 * process, whose end of the frames' socket pair is the only one there is. So a
 * supervisor that comes later has none of them as its children, and nothing to
 * do about it.
 *
 * One that ends before is started again, with pauses that grow: the zone's
 * process says that its link is down, to whatever supervisor there is, and gets
 * another socket.
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
#include "ipc/ipc.h"
#include "zone/hook.h"
#include "zoneadmd/impl.h"

#define START_SECONDS 20
#define LINE_MAX_LEN 480
#define WORDS_MAX 32
#define ADDRESSES_MAX 2
#define CMD_MAX (1U << 20)
#define PAUSE_MAX 60 /* seconds before a start again; from 1, doubled */

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
	bool ours; /* started by this supervisor */
	unsigned pause; /* seconds, before the last start again */
	uint64_t started_ns, again_ns; /* again_ns 0: it need not */
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

/* All that there is of a process; one that lives lives on. */
static void
let_go(struct slirp *s)
{
	mevent_delete(s->out_ev);
	mevent_delete(s->end_ev);
	s->out_ev = s->end_ev = NULL;
	fd_close(&s->out);
	fd_close(&s->pidfd);
}

static void
forget(struct slirp *s)
{
	let_go(s);
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

static bool
decided(struct sup *sup)
{
	const struct slirp *s = sup->slirp_starts;

	return s->ready || s->pid == 0 || sup->cancel || sup->child.gone;
}

static int
await(struct slirp *s, struct error *err)
{
	int rc;

	s->sup->slirp_starts = s;
	rc = sup_wait(
	    s->sup, decided, mevent_now_ns() + START_SECONDS * NS_PER_S, err);
	if (rc < 0)
		return error_prefix(err, "zoneslirp");
	if (s->ready)
		return 0;
	if (s->pid != 0)
		return error_set(err, ECANCELED, "halted by another request");
	if (s->len > 0)
		heard_line(s);
	return error_set(err, EIO, "%s",
	    s->line[0] != '\0' ? s->line : "zoneslirp ended early");
}

/* The zone's end of its frames. */
static int
launch(struct slirp *s, const struct nvlist *row, struct error *err)
{
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_sys(err, errno, "net %s", s->net);
	s->ready = false;
	s->ours = true;
	s->len = 0;
	s->line[0] = '\0';
	s->started_ns = mevent_now_ns();
	rc = start(s, row, pair[1], err);
	fd_close(&pair[1]);
	if (rc == 0)
		rc = await(s, err);
	if (rc == 0)
		return pair[0];
	fd_close(&pair[0]);
	return error_prefix(err, "net %s", s->net);
}

static struct slirp *
add(struct sup *sup, const char *net)
{
	struct slirp *s = alloc_zero(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (str_format(s->net, sizeof(s->net), "%s", net) < 0) {
		free(s);
		return NULL;
	}
	s->sup = sup;
	s->pidfd = s->out = -1;
	s->next = sup->slirps;
	sup->slirps = s;
	return s;
}

int
sup_slirp_open(struct sup *sup, const struct nvlist *row, const char *net,
    struct error *err)
{
	struct slirp *s = add(sup, net);

	return s != NULL ? launch(s, row, err)
			 : error_set(err, ENOMEM, "net %.64s", net);
}

/* ---- again ---- */

/* What the boot hook said; the caller frees it. */
static struct nvlist *
read_cmd(struct sup *sup)
{
	struct nvlist *cmd = NULL;
	struct buf b;

	buf_init(&b, CMD_MAX);
	if (fd_read_file(sup->dir, "zhyve.cmd", &b) < 0 ||
	    nvlist_unpack(b.data, b.len, &cmd, NULL) < 0)
		cmd = NULL;
	buf_fini(&b);
	return cmd;
}

/* The i-th row of a user-mode network, its NIC's name in *ret. */
static const struct nvlist *
row_of(const struct nvlist *cmd, size_t i, const char **ret)
{
	const struct nvlist *const *rows = NULL;
	const char *kind;
	size_t n = 0;

	if (cmd != NULL)
		(void)nvlist_get_lists(cmd, "files", &rows, &n);
	for (size_t k = 0; k < n; k++)
		if (nvlist_get_str(rows[k], "kind", &kind) == 0 &&
		    strcmp(kind, "slirp") == 0 &&
		    nvlist_get_str(rows[k], "path", ret) == 0 && i-- == 0)
			return rows[k];
	return NULL;
}

void
sup_slirps_load(struct sup *sup)
{
	struct nvlist *cmd = read_cmd(sup);
	const char *net;

	for (size_t i = 0; row_of(cmd, i, &net) != NULL; i++)
		(void)add(sup, net);
	nvlist_free(cmd);
}

static int
plug(struct slirp *s, int fd, struct error *err)
{
	struct nvlist *msg = ipc_message("plug");
	int rc = msg != NULL ? nvlist_add_str(msg, "net", s->net) : -ENOMEM;

	rc = rc < 0 ? error_sys(err, -rc, "net %s", s->net)
		    : child_send(s->sup, msg, fd, err);
	nvlist_free(msg);
	return rc;
}

static int
again(struct slirp *s, struct error *err)
{
	struct nvlist *cmd = read_cmd(s->sup);
	const struct nvlist *row = NULL;
	cleanup_close int fd = -1;
	const char *net = "";
	int rc;

	for (size_t i = 0; (row = row_of(cmd, i, &net)) != NULL; i++)
		if (strcmp(net, s->net) == 0)
			break;
	if (s->pid != 0) {
		(void)kill(s->pid, SIGKILL);
		(void)reap(s);
	}
	let_go(s);
	fd = row != NULL ? launch(s, row, err)
			 : error_set(err, ENOENT, "net %s: no row", s->net);
	nvlist_free(cmd);
	rc = fd < 0 ? fd : 0;
	if (rc == 0)
		rc = cgroup_enter(jail_cgroup(s->sup->child.jail), s->pid, err);
	return rc == 0 ? plug(s, fd, err) : rc;
}

static void
plan_again(struct slirp *s)
{
	uint64_t now = mevent_now_ns();

	if (s->pause == 0 || now - s->started_ns > PAUSE_MAX * NS_PER_S)
		s->pause = 1;
	else
		s->pause = MIN(s->pause * 2, PAUSE_MAX);
	s->again_ns = now + s->pause * NS_PER_S;
}

/* Its word is a guest's: it costs a start, with pauses. */
void
sup_slirp_down(struct sup *sup, const char *net)
{
	struct slirp *s = sup->slirps;

	while (s != NULL && strcmp(s->net, net) != 0)
		s = s->next;
	if (s == NULL || s->again_ns != 0)
		return;
	if (!s->ours)
		sup_event_net(sup, "link", s->net, "down: zoneslirp ended");
	plan_again(s);
}

void
sup_slirps_tick(struct sup *sup)
{
	struct error err = ERROR_INIT;

	for (struct slirp *s = sup->slirps; s != NULL; s = s->next) {
		if (s->again_ns == 0 || mevent_now_ns() < s->again_ns ||
		    sup->child.jail == NULL || sup->child.gone)
			continue;
		s->again_ns = 0;
		if (again(s, &err) == 0) {
			sup_event_net(sup, "link", s->net, "up again");
		} else {
			sup_log(sup, "%s", err.text);
			plan_again(s);
		}
	}
}

/* ---- with the zone ---- */

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
