/*
 * Zones without machines: hands many ports over to a metadata server, as
 * supervisors do, and asks on each what a guest asks at its boot. Then it
 * measures single requests, says how long they took, and waits for the end of
 * its input with all zones there.
 *
 *	mdata ROOT ZONES REQUESTS
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mevent.h"
#include "ipc/ipc.h"
#include "mdata/config.h"
#include "mdata/frame.h"
#include "mdata/session.h"

#define WAIT_MS 60000

struct zone {
	int ipc, guest;
};
static struct zone *zones;
static char root[512];

static void
die(const char *what)
{
	fprintf(stderr, "mdata: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
must(bool so, const char *what)
{
	if (!so)
		die(what);
}

/* What cloud-init 22.4.2 asks, in its order. */
static const char *const asked[] = { "sdc:uuid", "hostname",
	"root_authorized_keys", "user-script", "user-data",
	"cloud-init:user-data", "iptables_disable", "motd_sys_info",
	"sdc:datacenter_name", "sdc:vendor-data", "sdc:operator-script",
	"sdc:hostname", "sdc:dns_domain", "sdc:nics", "sdc:resolvers",
	"sdc:routes" };

/* ---- as supervisors ---- */

static int
make_config(int n)
{
	char path[600], json[20000], value[1025], script[16385];
	int fd;

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	memset(script, 's', sizeof(script) - 1);
	script[sizeof(script) - 1] = '\0';
	snprintf(path, sizeof(path), "%s/c%d", root, n);
	must(mkdir(path, 0700) == 0, path);
	must((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0, path);
	must(fchown(fd, MDATA_UID, MDATA_UID) == 0, path);
	snprintf(json, sizeof(json),
	    "{\"customer_metadata\": {\"k\": \"%s\", \"user-script\": \"%s\", "
	    "\"root_authorized_keys\": \"%.400s\"}}",
	    value, script, value);
	snprintf(path, sizeof(path), "%s/c%d/metadata.json", root, n);
	must(fd_write_file_atomic(
		 AT_FDCWD, path, json, strlen(json), 0600, NULL) == 0,
	    path);
	must(chown(path, MDATA_UID, MDATA_UID) == 0, path);
	return fd;
}

static void
hand_over(int n, int dir)
{
	char name[32], path[600];
	struct nvlist *msg = ipc_message("zone");
	struct zone *z = &zones[n];
	int pair[2], fds[4];

	snprintf(name, sizeof(name), "z%d", n);
	snprintf(path, sizeof(path), "%s/etc/zones", root);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0,
	    "port");
	fds[0] = pair[1];
	fds[1] = make_config(n);
	fds[2] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds[3] = fd_memfd("backlog", 0, MFD_ALLOW_SEALING);
	z->guest = pair[0];
	z->ipc = ipc_connect(dir, "sock", SOCK_SEQPACKET);
	must(z->ipc >= 0, "the server's socket");
	must(msg != NULL && nvlist_add_str(msg, "zone", name) == 0 &&
		nvlist_add_str(msg, "uuid", name) == 0 &&
		ipc_send(z->ipc, msg, fds, 4) == 0,
	    "zone");
	nvlist_free(msg);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void
answer_facts(struct zone *z)
{
	static const char *const keys[] = { "sdc:uuid", "sdc:hostname",
		"sdc:nics", "sdc:resolvers", "sdc:routes" };
	static const char *const values[] = {
		"5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d", "web01",
		"[{\"interface\":\"net0\",\"mac\":\"02:08:20:aa:bb:cc\","
		"\"ips\":[\"10.0.0.5/24\",\"fd00:1::5/64\"],"
		"\"gateways\":[\"10.0.0.1\"],\"primary\":true}]",
		"[\"192.0.2.53\",\"2001:db8::53\"]", "[]"
	};
	struct nvlist *in = NULL, *msg = ipc_message("facts");
	const char *type = "", *stamp = "";

	must(ipc_recv(z->ipc, &in, &type, NULL, 0, NULL, NULL) == 1 &&
		strcmp(type, "facts?") == 0 &&
		nvlist_get_str(in, "stamp", &stamp) == 0,
	    "facts?");
	must(msg != NULL && nvlist_add_str(msg, "stamp", stamp) == 0 &&
		nvlist_add_strs(msg, "keys", keys, 5) == 0 &&
		nvlist_add_strs(msg, "values", values, 5) == 0 &&
		ipc_send(z->ipc, msg, NULL, 0) == 0,
	    "facts");
	nvlist_free(in);
	nvlist_free(msg);
}

/* ---- as guests ---- */

static void
ask(struct zone *z, const char *word, const char *key)
{
	struct buf b;

	buf_init(&b, MDATA_LINE_MAX);
	must(mdata_frame_write(&b, "0123abcd", word, key,
		 key != NULL ? strlen(key) : 0) == 0 &&
		fd_write_all(z->guest, b.data, b.len) == 0,
	    "request");
	buf_fini(&b);
}

/* A line that comes whole. How long it is. */
static size_t
hear(struct zone *z)
{
	static char line[MDATA_OUT_MAX];
	struct pollfd pfd = { .fd = z->guest, .events = POLLIN };
	size_t n = 0;
	ssize_t rc;

	do {
		must(poll(&pfd, 1, WAIT_MS) == 1, "no answer");
		rc = read(z->guest, line + n, sizeof(line) - n);
		must(rc > 0, "port");
		n += (size_t)rc;
	} while (line[n - 1] != '\n');
	return n;
}

static void
boot_all(int n)
{
	for (int i = 0; i < n; i++) {
		must(write(zones[i].guest, "\nNEGOTIATE V2\n", 14) == 14,
		    "port");
		answer_facts(&zones[i]);
	}
	for (int i = 0; i < n; i++) {
		size_t want = strlen("invalid command\nV2_OK\n");

		for (size_t got = 0; got < want;)
			got += hear(&zones[i]);
	}
	for (size_t k = 0; k < sizeof(asked) / sizeof(asked[0]); k++) {
		for (int i = 0; i < n; i++)
			ask(&zones[i], "GET", asked[k]);
		for (int i = 0; i < n; i++)
			hear(&zones[i]);
	}
	for (int i = 0; i < n; i++) {
		ask(&zones[i], "KEYS", NULL);
		hear(&zones[i]);
	}
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
measure(int requests)
{
	uint64_t *took = calloc((size_t)requests, sizeof(*took));

	must(took != NULL, "memory");
	for (int i = 0; i < requests; i++) {
		uint64_t t0 = mevent_now_ns();

		ask(&zones[0], "GET", "k");
		must(hear(&zones[0]) > 1024 * 4 / 3, "the value");
		took[i] = mevent_now_ns() - t0;
	}
	qsort(took, (size_t)requests, sizeof(*took), compare);
	printf("GET of 1 KiB: median %.1f us, 99%% %.1f us\n",
	    (double)took[requests / 2] / 1000,
	    (double)took[requests * 99 / 100] / 1000);
	free(took);
}

int
main(int argc, char **argv)
{
	struct rlimit lim;
	char path[600], c;
	int n, requests, dir;

	must(argc == 4, "ROOT ZONES REQUESTS");
	n = atoi(argv[2]);
	requests = atoi(argv[3]);
	must(getrlimit(RLIMIT_NOFILE, &lim) == 0, "descriptors");
	lim.rlim_cur = lim.rlim_max;
	must(setrlimit(RLIMIT_NOFILE, &lim) == 0, "descriptors");
	snprintf(root, sizeof(root), "%s", argv[1]);
	snprintf(path, sizeof(path), "%s/run/zhyve/.mdata", root);
	must((dir = open(path, O_PATH | O_CLOEXEC)) >= 0, path);
	zones = calloc((size_t)n, sizeof(*zones));
	must(zones != NULL, "memory");
	for (int i = 0; i < n; i++)
		hand_over(i, dir);
	boot_all(n);
	printf("%d zones served\n", n);
	if (requests > 0)
		measure(requests);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		continue;
	return 0;
}
