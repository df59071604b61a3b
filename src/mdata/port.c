/*
 * The pump: flush what is to be said, then take what was asked, a line at a
 * time, and be honest to the backlog after each step.
 */
#include "mdata/port.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "mdata/backlog.h"
#include "mdata/keys.h"

#define CHUNK 4096
#define ROUNDS 16 /* chunks at a time, then it is the others' turn */
#define TOKENS_MAX 16 /* changes at once */
#define LONG_TIMES 4 /* what a long line costs its port */
#define LONG_MAX UINT64_C(2000000000)
#define QUIET_NS UINT64_C(2000000000)
#define FACTS_NS UINT64_C(10000000000)
#define STAMP_MAX 512

struct mdata_port {
	struct mdata_port_conf conf;
	char *zone; /* behind this struct */
	char *xml; /* NAME.xml, behind it */
	struct mevent *ev; /* NULL: nobody is there any more */
	struct mdata_session *session;
	struct mdata_keys *keys;
	struct mdata_backlog backlog;
	size_t fed; /* bytes of the backlog that the session has */
	char first; /* the line's first character; 0: none yet */
	bool skip; /* the rest of a line that another server gave up */
	bool broken;

	bool known; /* there are facts */
	bool asked; /* for newer ones */
	uint64_t answer_ns; /* until when an answer is waited for */
	char *stamp; /* of the facts; NULL: of none */
	bool once; /* they will do for the next line, whatever the stamp is */

	/* the end of a line, on a thread of the pool's or here */
	struct work work;
	bool busy; /* it is there */
	bool
	    line; /* there is a line; else only the facts' stamp is looked at */
	uint64_t line_ns; /* when it ended */
	bool stale; /* facts are to be asked for first */
	char *found; /* the files' stamp then; NULL: out of memory */
	uint64_t took_ns;
	struct mdata_counters seen; /* before that */
	bool was_reset, had_facts, freed; /* meanwhile */

	unsigned tokens; /* changes that the guest may make now */
	uint64_t writes; /* of the keys, when that was counted */
	uint64_t until_ns; /* no line before */
	bool limited; /* it waits for a token, or for that */
	bool awake; /* ticks are wanted */
	uint64_t active_ns;
	struct mdata_port_counters n;
};

/* ---- facts ---- */

static void
add_stamp(char *text, size_t size, int dir, const char *name)
{
	size_t n = strlen(text);
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		snprintf(text + n, size - n, "-;");
		return;
	}
	snprintf(text + n, size - n, "%jx:%jx:%jx:%jx.%lx:%jx.%lx;",
	    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (uintmax_t)st.st_size,
	    (uintmax_t)st.st_mtim.tv_sec, (unsigned long)st.st_mtim.tv_nsec,
	    (uintmax_t)st.st_ctim.tv_sec, (unsigned long)st.st_ctim.tv_nsec);
}

static void
wake(struct mdata_port *p)
{
	p->active_ns = mevent_now_ns();
	if (!p->awake)
		p->conf.wake(p->conf.arg);
	p->awake = true;
}

/*
 * An editor has made the file somebody else's: whoever makes the facts gives it
 * back as well.
 */
static bool
foreign(const struct mdata_port *p)
{
	struct stat st;

	return fstatat(p->conf.config, "metadata.json", &st,
		   AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_uid != geteuid();
}

/* Are the facts those of the files? On whatever thread. */
static bool
fresh(struct mdata_port *p)
{
	char stamp[STAMP_MAX] = "";

	if (p->known && p->once)
		return true;
	add_stamp(stamp, sizeof(stamp), p->conf.zones, p->xml);
	add_stamp(stamp, sizeof(stamp), p->conf.zones, "host");
	add_stamp(stamp, sizeof(stamp), p->conf.config, "tags.json");
	add_stamp(stamp, sizeof(stamp), p->conf.config, "routes.json");
	if (p->known && p->stamp != NULL && strcmp(stamp, p->stamp) == 0 &&
	    !foreign(p))
		return true;
	p->found = alloc_strdup(stamp);
	return false;
}

static void
ask(struct mdata_port *p)
{
	p->asked = true;
	p->answer_ns = mevent_now_ns() + FACTS_NS;
	p->n.facts++;
	wake(p);
	p->conf.ask(p->conf.arg, p->found != NULL ? p->found : "");
	free(p->found);
	p->found = NULL;
}

/* ---- out ---- */

static void
broken(struct mdata_port *p, const char *what, int rc)
{
	log_warn(p->zone, "%s: error %d: to be handed over again", what, -rc);
	mevent_delete(p->ev);
	p->ev = NULL;
	p->broken = true;
	wake(p);
}

static void
hung_up(struct mdata_port *p)
{
	mevent_delete(p->ev);
	p->ev = NULL;
}

/* As much as goes now; 0 when nothing does. */
static size_t
send_some(struct mdata_port *p, const void *data, size_t n)
{
	ssize_t rc;

	do {
		rc = send(p->conf.port, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (rc == -1 && errno == EINTR);
	if (rc == -1 && errno != EAGAIN)
		hung_up(p);
	if (rc <= 0)
		return 0;
	p->n.out += (uint64_t)rc;
	return (size_t)rc;
}

/* What the backlog has of an answer. true: nothing more. */
static bool
flush(struct mdata_port *p)
{
	uint8_t data[CHUNK];
	size_t sent;
	ssize_t n;
	int rc;

	while (p->ev != NULL && p->backlog.out_len > 0) {
		n = mdata_backlog_answer(&p->backlog, data, sizeof(data));
		if (n < 0) {
			broken(p, "backlog", (int)n);
			return false;
		}
		sent = send_some(p, data, (size_t)n);
		if (sent == 0)
			return false;
		rc = mdata_backlog_sent(&p->backlog, sent);
		if (rc < 0)
			broken(p, "backlog", rc);
	}
	return p->ev != NULL;
}

/*
 * A line is done with, 'done' bytes of the backlog: its answer, if any, goes to
 * the guest, and what does not go to the backlog.
 */
static void
answer(struct mdata_port *p, size_t done)
{
	const uint8_t *out;
	size_t n = 0, sent = 0;
	int rc;

	out = mdata_session_output(p->session, &n);
	if (out != NULL)
		sent = send_some(p, out, n);
	if (p->ev == NULL)
		return;
	p->n.full += sent < n;
	rc = mdata_backlog_done(
	    &p->backlog, done, out != NULL ? out + sent : NULL, n - sent);
	if (rc < 0)
		broken(p, "backlog", rc);
	mdata_session_sent(p->session, n);
}

/* ---- in ---- */

/* Which lines look at facts: GET, KEYS, and frames. */
static bool
wants_facts(char first)
{
	return first == 'G' || first == 'K' || first == 'V';
}

/* A change counts, whatever came of it. */
static void
count_writes(struct mdata_port *p)
{
	uint64_t writes = mdata_keys_writes(p->keys);
	uint64_t n = writes - p->writes;

	p->writes = writes;
	if (n == 0)
		return;
	p->tokens -= (unsigned)MIN(n, p->tokens);
	wake(p);
}

/* A slow disk, or a large file: it is the others' time as well. */
static void
count_time(struct mdata_port *p)
{
	if (p->conf.long_ns > 0 && p->took_ns >= p->conf.long_ns)
		p->until_ns =
		    mevent_now_ns() + MIN(p->took_ns * LONG_TIMES, LONG_MAX);
	p->took_ns = 0;
}

/* ---- the end of a line ---- */

static void
input_end(struct mdata_port *p)
{
	uint64_t began = mevent_now_ns();

	(void)mdata_session_input(
	    p->session, (const uint8_t *)"\n", 1, p->line_ns);
	p->took_ns = mevent_now_ns() - began;
}

static void
line_done(struct mdata_port *p)
{
	count_time(p);
	count_writes(p);
	p->skip = p->once = false;
	p->first = 0;
	answer(p, p->fed + 1);
	p->fed = 0;
}

/* All that looks at the zone's files, and may hang for that. */
static void
look(void *arg)
{
	struct mdata_port *p = arg;

	p->stale = !fresh(p);
	if (!p->stale && p->line)
		input_end(p);
}

/* true: a line is done with. */
static bool
looked(struct mdata_port *p)
{
	p->busy = false;
	mdata_keys_busy(p->keys, false);
	wake(p);
	if (p->had_facts) {
		/* they could not be taken: asked for with the next line */
		free(p->stamp);
		p->stamp = NULL;
	}
	if (p->was_reset)
		mdata_session_reset(p->session);
	if (p->stale)
		ask(p);
	if (p->stale || !p->line || p->was_reset)
		return false;
	line_done(p);
	return true;
}

/* true: it is done with already. */
static bool
begin(struct mdata_port *p, bool line, uint64_t now)
{
	p->line = line;
	p->line_ns = now;
	p->was_reset = p->had_facts = false;
	p->seen = *mdata_session_counters(p->session);
	p->busy = true;
	mdata_keys_busy(p->keys, true);
	if (p->conf.pool != NULL) {
		work_submit(p->conf.pool, &p->work);
		return false;
	}
	look(p);
	return looked(p);
}

/* The facts will be there when the guest asks. */
static void
want_facts(struct mdata_port *p)
{
	if (!p->known && !p->asked && !p->busy)
		(void)begin(p, false, 0);
}

/* 1, for the LF; 0: it has to wait. */
static size_t
end_line(struct mdata_port *p, uint64_t now)
{
	if (wants_facts(p->first) && !p->skip && !p->backlog.overlong) {
		if (p->tokens == 0 || now < p->until_ns) {
			p->n.limited += !p->limited;
			p->limited = true;
			wake(p);
			return 0;
		}
		return !p->asked && begin(p, true, now);
	}
	p->line_ns = now;
	if (!p->skip)
		input_end(p);
	line_done(p);
	return 1;
}

/* Bytes up to a line's end, or that end. How many; 0: it has to wait. */
static size_t
feed_line(struct mdata_port *p, const uint8_t *data, size_t n, uint64_t now)
{
	const uint8_t *nl = memchr(data, '\n', n);
	size_t len = nl != NULL ? (size_t)(nl - data) : n;

	if (p->first == 0)
		p->first = (char)data[0];
	if (len == 0)
		return end_line(p, now);
	if (!p->skip)
		(void)mdata_session_input(p->session, data, len, now);
	p->fed += len;
	return len;
}

/* Lines, until there are none, or one has to wait. */
static void
feed(struct mdata_port *p, const uint8_t *data, size_t n, uint64_t now)
{
	size_t len;

	while (n > 0 && p->ev != NULL && !p->busy && p->backlog.out_len == 0) {
		len = feed_line(p, data, n, now);
		now = mevent_now_ns();
		if (len == 0)
			return;
		data += len;
		n -= len;
	}
}

/* Bytes that were kept and the session has not seen. true: there are none. */
static bool
feed_kept(struct mdata_port *p, uint64_t now)
{
	uint8_t data[CHUNK];
	size_t left;
	ssize_t n;

	while (p->ev != NULL && p->backlog.out_len == 0 &&
	    p->fed < p->backlog.in_len) {
		left = p->backlog.in_len - p->fed;
		n = mdata_backlog_peek(&p->backlog, p->fed, data, sizeof(data));
		if (n <= 0) {
			broken(p, "backlog", (int)n);
			return false;
		}
		feed(p, data, (size_t)n, now);
		if (p->backlog.in_len - p->fed == left)
			return false; /* it waits */
	}
	return p->ev != NULL && p->backlog.out_len == 0;
}

/* A line that nobody ended. */
static void
forget_line(struct mdata_port *p, uint64_t now)
{
	if (now - p->backlog.last_ns < MDATA_LINE_IDLE_NS ||
	    (p->backlog.in_len == 0 && !p->backlog.overlong))
		return;
	(void)mdata_backlog_done(&p->backlog, p->backlog.in_len, NULL, 0);
	mdata_session_reset(p->session);
	p->fed = 0;
	p->first = 0;
	p->skip = false;
}

/*
 * Bytes that just came. Those of a line that is too long are not kept: the
 * session drops it, too.
 */
static void
keep_and_feed(struct mdata_port *p, const uint8_t *data, size_t n, uint64_t now)
{
	size_t len;
	int rc;

	while (n > 0 && p->ev != NULL) {
		rc = mdata_backlog_add(&p->backlog, data, n, now);
		if (rc == 0) {
			feed(p, data, n, now);
			return;
		}
		if (rc != -ENOSPC) {
			broken(p, "backlog", rc);
			return;
		}
		p->fed = 0;
		len = feed_line(p, data, n, now);
		p->fed = 0;
		data += len;
		n -= len;
	}
}

/* true: there was something. */
static bool
take(struct mdata_port *p)
{
	uint64_t now = mevent_now_ns();
	uint8_t data[CHUNK];
	ssize_t n;

	do {
		n = recv(p->conf.port, data, sizeof(data), MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == 0 || (n == -1 && errno != EAGAIN))
		hung_up(p);
	if (n <= 0)
		return false;
	p->n.in += (uint64_t)n;
	forget_line(p, now);
	wake(p);
	keep_and_feed(p, data, (size_t)n, now);
	return true;
}

/* ---- the pump ---- */

static void
pump(struct mdata_port *p)
{
	unsigned what = MEVENT_READ;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (p->busy) {
			what = 0;
			break;
		}
		if (!flush(p)) {
			what = MEVENT_WRITE;
			break;
		}
		if (!feed_kept(p, mevent_now_ns())) {
			what = p->backlog.out_len > 0 ? MEVENT_WRITE : 0;
			break;
		}
		if (!take(p))
			break;
	}
	if (p->ev != NULL)
		mevent_set_what(p->ev, what);
}

static void
on_port(void *arg, int fd, unsigned what)
{
	struct mdata_port *p = arg;

	/* with nobody at the other end, nothing is to be answered */
	if ((what & MEVENT_HANGUP) != 0) {
		hung_up(p);
		return;
	}
	want_facts(p);
	pump(p);
}

void
mdata_port_facts(struct mdata_port *p, const char *stamp,
    const char *const *names, const char *const *values, size_t n)
{
	char *copy;

	if (p->busy) {
		p->had_facts = true;
		return;
	}
	copy = stamp[0] != '\0' ? alloc_strndup(stamp, STAMP_MAX) : NULL;
	if (mdata_keys_facts(p->keys, names, values, n) < 0) {
		free(copy);
		return; /* asked for again */
	}
	free(p->stamp);
	p->stamp = copy;
	p->known = true;
	p->once = p->asked;
	p->asked = false;
	if (p->ev != NULL)
		pump(p);
}

void
mdata_port_no_facts(struct mdata_port *p)
{
	if (!p->asked)
		return;
	/* without any, the guest waits, and they are asked for once more */
	if (!p->known) {
		p->answer_ns = mevent_now_ns() + QUIET_NS;
		return;
	}
	p->asked = false;
	p->once = true;
	if (p->ev != NULL)
		pump(p);
}

/* Nobody answered: those that are there will do, if there are any. */
static void
time_out(struct mdata_port *p, uint64_t now)
{
	if (!p->asked || now < p->answer_ns)
		return;
	p->asked = false;
	p->once = p->known;
	if (p->ev == NULL)
		return;
	want_facts(p);
	pump(p);
}

bool
mdata_port_tick(struct mdata_port *p, uint64_t now)
{
	p->awake = p->tokens < TOKENS_MAX || p->asked || p->broken;
	if (p->tokens < TOKENS_MAX)
		p->tokens++;
	if (p->limited) {
		p->limited = false;
		if (p->ev != NULL)
			pump(p);
	}
	time_out(p, now);
	if (now - p->active_ns < QUIET_NS || p->awake) {
		p->awake = true;
		return true;
	}
	if (p->busy)
		return false;
	mdata_keys_forget(p->keys);
	if (p->backlog.in_len == 0 && p->backlog.out_len == 0 &&
	    p->backlog.grown && !p->backlog.overlong)
		mdata_backlog_clear(&p->backlog);
	return false;
}

void
mdata_port_reset(struct mdata_port *p)
{
	if (p->busy)
		p->was_reset = true;
	else
		mdata_session_reset(p->session);
	mdata_backlog_clear(&p->backlog);
	p->fed = 0;
	p->first = 0;
	p->skip = false;
	if (p->ev != NULL)
		pump(p);
}

/* ---- beginning and end ---- */

/* Its disk has gone on, for a port that may be gone. */
static void
on_looked(void *arg)
{
	struct mdata_port *p = arg;

	if (p->freed) {
		p->busy = false;
		mdata_port_free(p);
		return;
	}
	(void)looked(p);
	if (p->ev != NULL)
		pump(p);
}

static int
init(struct mdata_port *p, struct error *err)
{
	p->keys = mdata_keys_create(p->conf.uuid, p->conf.config);
	p->session = mdata_session_create(&mdata_keys_ops, p->keys);
	if (p->keys == NULL || p->session == NULL)
		return error_set(err, ENOMEM, "out of memory");
	mdata_keys_on_note(p->keys, p->conf.note, p->conf.arg);
	p->work = (struct work){
		.run = look, .done = on_looked, .arg = p, .key = p->zone
	};
	mdata_backlog_open(&p->backlog, p->conf.backlog);
	p->skip = p->backlog.overlong;
	p->tokens = TOKENS_MAX;
	/* what is there is looked at as soon as the loop runs */
	return mevent_add_fd(p->conf.loop, p->conf.port,
	    MEVENT_READ | MEVENT_WRITE, on_port, p, &p->ev, err);
}

int
mdata_port_create(const struct mdata_port_conf *conf, struct mdata_port **ret,
    struct error *err)
{
	size_t n = strlen(conf->zone) + 1;
	struct mdata_port *p = alloc_zero(1, sizeof(*p) + 2 * n + 8);
	int rc;

	if (p == NULL)
		return error_set(err, ENOMEM, "out of memory");
	p->conf = *conf;
	p->zone = memcpy(p + 1, conf->zone, n);
	p->xml = p->zone + n;
	memcpy(p->xml, conf->zone, n);
	strcat(p->xml, ".xml");
	rc = init(p, err);
	if (rc < 0) {
		p->conf.port = p->conf.config = p->conf.zones =
		    p->conf.backlog = -1;
		mdata_port_free(p);
		return rc;
	}
	p->conf.zone = p->conf.uuid = NULL;
	*ret = p;
	return 0;
}

void
mdata_port_free(struct mdata_port *p)
{
	if (p == NULL)
		return;
	mevent_delete(p->ev);
	p->ev = NULL;
	fd_close(&p->conf.port);
	fd_close(&p->conf.backlog);
	if (p->busy && !work_cancel(p->conf.pool, &p->work)) {
		p->freed = true;
		return;
	}
	mdata_session_free(p->session);
	mdata_keys_free(p->keys);
	free(p->stamp);
	free(p->found);
	fd_close(&p->conf.config);
	fd_close(&p->conf.zones);
	free(p);
}

const char *
mdata_port_zone(const struct mdata_port *p)
{
	return p->zone;
}

bool
mdata_port_broken(const struct mdata_port *p)
{
	return p->broken;
}

const struct mdata_port_counters *
mdata_port_counters(const struct mdata_port *p)
{
	return &p->n;
}

const struct mdata_counters *
mdata_port_session_counters(const struct mdata_port *p)
{
	return p->busy ? &p->seen : mdata_session_counters(p->session);
}
