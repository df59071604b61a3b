/*
 * A port of a zone's, whose guest, supervisor, backlog and server do as the
 * input says, a line each: T a line of the guest's, t a part of one, D the
 * guest reads, K another server takes over, H writes into the backlog's header,
 * F and f facts that come and that cannot be made, R a reset, Q time goes by.
 * Whatever they do: the port lives, and what it says is whole lines as long as
 * nobody wrote into its backlog.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "mdata/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mevent_loop *loop;
static struct mdata_port *port;
static int dir = -1, guest, ours, backlog;
static char stamp[512];
static uint64_t later;
static bool clean; /* nobody wrote into the backlog */

static void
must(bool so)
{
	if (!so)
		abort();
}

static void
on_ask(void *arg, const char *text)
{
	strncpy(stamp, text, sizeof(stamp) - 1);
}

static void
on_wake(void *arg)
{
}

static void
serve(void)
{
	const struct mdata_port_conf conf = { .loop = loop,
		.zone = "z1",
		.uuid = "uuid",
		.port = dup(ours),
		.config = dup(dir),
		.zones = dup(dir),
		.backlog = dup(backlog),
		.ask = on_ask,
		.wake = on_wake };

	must(mdata_port_create(&conf, &port, NULL) == 0);
}

static void
facts(void)
{
	static const char *const names[] = { "sdc:uuid" };
	static const char *const values[] = { "uuid" };

	mdata_port_facts(port, stamp, names, values, 1);
}

static void
run(void)
{
	for (int i = 0; i < 4; i++)
		(void)mevent_loop_once(loop, 0);
}

/* All that is to be had; it ends a line when the guest has read everything. */
static void
drain(void)
{
	static char text[65536];
	char last = '\n';
	ssize_t n;

	while ((n = read(guest, text, sizeof(text))) > 0) {
		last = text[n - 1];
		run();
	}
	must(!clean || last == '\n');
}

static void
act(char letter, const uint8_t *arg, size_t n)
{
	if (letter == 'T' || letter == 't') {
		(void)!write(guest, arg, n);
		if (letter == 'T')
			(void)!write(guest, "\n", 1);
	} else if (letter == 'D') {
		drain();
	} else if (letter == 'K') {
		mdata_port_free(port);
		serve();
	} else if (letter == 'H') {
		clean = false;
		(void)!pwrite(backlog, arg, n < 40 ? n : 40, 8);
	} else if (letter == 'F') {
		facts();
	} else if (letter == 'f') {
		mdata_port_no_facts(port);
	} else if (letter == 'R') {
		clean = false; /* half an answer may be out */
		mdata_port_reset(port);
	} else if (letter == 'Q') {
		later += UINT64_C(3000000000);
		(void)mdata_port_tick(port, later);
	}
	run();
}

static void
begin(void)
{
	char path[] = "/dev/shm/mdata_port_fuzz.XXXXXX";
	int pair[2];

	if (dir < 0) {
		log_setup(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_HUMAN,
		    LOG_ERR);
		/* it has no name from now on, and nothing can be made in it */
		must(mkdtemp(path) != NULL);
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		must(dir >= 0 && rmdir(path) == 0);
	}
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	guest = pair[0];
	ours = pair[1];
	backlog = fd_memfd("backlog", 0, MFD_ALLOW_SEALING);
	must(fd_set_nonblock(guest, true) == 0 && backlog >= 0);
	must(mevent_loop_create(&loop, NULL) == 0);
	later = mevent_now_ns();
	clean = true;
	serve();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin();
	facts();
	while (size > 0) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t n = nl != NULL ? (size_t)(nl - data) : size;

		if (n > 0)
			act((char)data[0], data + 1, n - 1);
		n += nl != NULL;
		data += n;
		size -= n;
	}
	drain();
	mdata_port_free(port);
	mevent_loop_destroy(loop);
	close(guest);
	close(ours);
	close(backlog);
	return 0;
}
