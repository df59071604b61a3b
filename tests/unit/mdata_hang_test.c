/*
 * A disk that hangs below one zone: fsync(2) of that zone's files does not
 * return until the test lets it, and the other zone is served.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "mdata/backlog.h"
#include "mdata/frame.h"
#include "mdata/port.h"
#include "tap.h"

#define UUID "5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d"
#define OK_COLOR "SUCCESS\nred\n.\n"

/* ---- the disk ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static const char *slow; /* files below it hang; NULL: none */
static unsigned hanging;

static bool
is_slow(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[MAX(n, 0)] = '\0';
	return slow != NULL && strncmp(path, slow, strlen(slow)) == 0;
}

/* In place of the C library's, for all of this program. */
int
fsync(int fd)
{
	pthread_mutex_lock(&lock);
	hanging++;
	while (is_slow(fd))
		pthread_cond_wait(&change, &lock);
	hanging--;
	pthread_mutex_unlock(&lock);
	return (int)syscall(SYS_fsync, fd);
}

static void
hang(const char *below)
{
	pthread_mutex_lock(&lock);
	slow = below;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
}

static bool
hangs(void)
{
	bool yes;

	pthread_mutex_lock(&lock);
	yes = hanging > 0;
	pthread_mutex_unlock(&lock);
	return yes;
}

/* ---- two zones ---- */

static struct zone {
	const char *name;
	char path[256];
	int dir, guest, ours, backlog;
	struct mdata_port *port;
	char asked[512];
	bool asks;
	unsigned notes;
} a, b;

static struct mevent_loop *loop;
static struct work_pool *pool;

static void
on_ask(void *arg, const char *stamp)
{
	struct zone *z = arg;

	z->asks = true;
	snprintf(z->asked, sizeof(z->asked), "%s", stamp);
}

static void
on_note(void *arg, const char *text)
{
	struct zone *z = arg;

	z->notes++;
}

static void
on_wake(void *arg)
{
}

static void
serve(struct zone *z)
{
	const struct mdata_port_conf conf = { .loop = loop,
		.pool = pool,
		.zone = z->name,
		.uuid = UUID,
		.port = dup(z->ours),
		.config = dup(z->dir),
		.zones = dup(z->dir),
		.backlog = dup(z->backlog),
		.ask = on_ask,
		.note = on_note,
		.wake = on_wake,
		.arg = z };

	tap_check_int(mdata_port_create(&conf, &z->port, NULL), 0);
}

static void
begin_zone(struct zone *z, const char *name)
{
	int pair[2];

	*z = (struct zone){ .name = name };
	snprintf(z->path, sizeof(z->path), "%s/%s", tap_tmpdir(), name);
	tap_check_int(mkdir(z->path, 0700), 0);
	z->dir = open(z->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tap_check_int(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	z->guest = pair[0];
	z->ours = pair[1];
	tap_check_int(fd_set_nonblock(z->guest, true), 0);
	z->backlog = fd_memfd("backlog", 0, MFD_ALLOW_SEALING);
	serve(z);
}

static void
begin(void)
{
	log_setup(STDERR_FILENO, LOG_HUMAN, LOG_ERR);
	hang(NULL);
	tap_check_int(mevent_loop_create(&loop, NULL), 0);
	tap_check_int(work_pool_create(loop, 16, &pool, NULL), 0);
	begin_zone(&a, "a");
	begin_zone(&b, "b");
}

static void
end_zone(struct zone *z)
{
	mdata_port_free(z->port);
	fd_close(&z->guest);
	close(z->ours);
	close(z->backlog);
	close(z->dir);
}

static void
end(void)
{
	end_zone(&a);
	end_zone(&b);
	work_pool_free(pool);
	mevent_loop_destroy(loop);
}

static void
once(int timeout_ms)
{
	static const char *const names[] = { "sdc:hostname" };
	static const char *const values[] = { "web01" };
	struct zone *zones[] = { &a, &b };

	(void)mevent_loop_once(loop, timeout_ms);
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		(void)mdata_port_tick(zones[i]->port, mevent_now_ns());
		if (!zones[i]->asks)
			continue;
		zones[i]->asks = false;
		mdata_port_facts(
		    zones[i]->port, zones[i]->asked, names, values, 1);
	}
}

static void
say(struct zone *z, const char *text)
{
	tap_check_int(write(z->guest, text, strlen(text)), strlen(text));
}

static void
say_frame(struct zone *z, const char *word, const char *payload, size_t n)
{
	struct buf line;

	buf_init(&line, 4096);
	tap_check_int(mdata_frame_write(&line, "0a", word, payload, n), 0);
	tap_check(buf_str(&line) != NULL);
	say(z, (const char *)line.data);
	buf_fini(&line);
}

/* However long it takes. */
static void
hears(struct zone *z, const char *want)
{
	char text[256] = "";
	size_t n = 0;
	ssize_t rc;

	while (n < strlen(want)) {
		once(20);
		rc = read(z->guest, text + n, sizeof(text) - 1 - n);
		n += rc > 0 ? (size_t)rc : 0;
		text[n] = '\0';
	}
	tap_check_str(text, want);
}

static void
hears_nothing(struct zone *z)
{
	char byte;

	for (int i = 0; i < 20; i++)
		once(0);
	tap_check_int(read(z->guest, &byte, 1), -1);
}

/* The answer's line, of which CRC and length are no matter. */
static void
hears_frame(struct zone *z, const char *want)
{
	char text[256] = "";
	size_t n = 0;

	while (strchr(text, '\n') == NULL) {
		once(20);
		while (n < sizeof(text) - 1 && strchr(text, '\n') == NULL &&
		    read(z->guest, text + n, 1) == 1)
			text[++n] = '\0';
	}
	tap_check(strstr(text, want) != NULL);
}

/* A request that has begun to write, and hangs. */
static void
hang_a(const char *word, const char *payload)
{
	hang(a.path);
	say_frame(&a, word, payload, strlen(payload));
	while (!hangs())
		once(20);
}

/* b has all it can want while a has nothing. */
static void
only_b(void)
{
	for (int i = 0; i < 5; i++) {
		say_frame(&b, "PUT", "Y29sb3I= cmVk", 13);
		hears_frame(&b, " 0a SUCCESS");
		say(&b, "GET color\n");
		hears(&b, OK_COLOR);
		say_frame(&b, "DELETE", "color", 5);
		hears_frame(&b, " 0a SUCCESS");
	}
	hears_nothing(&a);
}

static void
others_go_on(void)
{
	begin();
	hang_a("PUT", "Y29sb3I= cmVk");
	only_b();
	/* what is known of it is that of before */
	tap_check_int(mdata_port_session_counters(a.port)->puts, 0);
	/* it is not asked anything more */
	say(&a, "GET color\n");
	only_b();
	/* and it does not keep the server awake */
	while (mdata_port_tick(a.port, UINT64_MAX / 2))
		;
	hang(NULL);
	hears_frame(&a, " 0a SUCCESS");
	hears(&a, OK_COLOR);
	tap_check_int(mdata_port_session_counters(a.port)->puts, 1);
	tap_check_int(a.notes, 1);
	end();
}

/* The supervisor hands it over anew: what was asked is answered, once. */
static void
handed_over(void)
{
	begin();
	hang_a("PUT", "Y29sb3I= cmVk");
	for (int i = 0; i < 3; i++) {
		mdata_port_free(a.port);
		serve(&a);
		only_b();
	}
	hang(NULL);
	hears_frame(&a, " 0a SUCCESS");
	hears_nothing(&a);
	say(&a, "GET color\n");
	hears(&a, OK_COLOR);
	end();
}

/* Nobody wants that answer any more. */
static void
reset(void)
{
	begin();
	hang_a("PUT", "Y29sb3I= cmVk");
	mdata_port_reset(a.port);
	only_b();
	hang(NULL);
	say(&a, "GET color\n");
	hears(&a, OK_COLOR);
	end();
}

/* Facts that come meanwhile are asked for again, and the guest may be gone. */
static void
meanwhile(void)
{
	static const char *const names[] = { "sdc:hostname" };
	static const char *const values[] = { "web02" };

	begin();
	hang_a("PUT", "Y29sb3I= cmVk");
	mdata_port_facts(a.port, "", names, values, 1);
	mdata_port_no_facts(a.port);
	only_b();
	hang(NULL);
	hears_frame(&a, " 0a SUCCESS");
	say(&a, "GET sdc:hostname\n");
	hears(&a, "SUCCESS\nweb01\n.\n");
	hang_a("DELETE", "color");
	fd_close(&a.guest);
	a.guest = dup(b.guest);
	say(&b, "GET color\n");
	hears(&b, "NOTFOUND\n");
	hang(NULL);
	while (mdata_port_session_counters(a.port)->deletes == 0)
		once(20);
	end();
}

/* The server ends while it hangs: it does not wait. */
static void
ends(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		begin();
		hang_a("PUT", "Y29sb3I= cmVk");
		end();
		exit(0);
	}
	tap_check_int(waitpid(pid, &status, 0), pid);
	tap_check_int(status, 0);
}

static const struct tap_test tests[] = { TAP_TEST(others_go_on),
	TAP_TEST(handed_over), TAP_TEST(reset), TAP_TEST(meanwhile),
	TAP_TEST(ends) };
TAP_MAIN(tests)
