/*
 * Links of several VLANs on a bridge that filters them, made by zonelink as a
 * zone's boot makes them. The peer's tap is the trunk: tagged in two VLANs,
 * untagged in the bridge's own. ZONELINK: the program.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "ipc/ipc.h"
#include "link/spec.h"
#include "rig.h"
#include "tap.h"

#define TRUNK (-1)
#define UNTAGGED 0

/* --- what zonelink makes */

static const struct station {
	const char *net;
	unsigned vlan;
} stations[] = { { "a", 5 }, { "b", 5 }, { "c", 6 }, { "n", UNTAGGED } };
enum { A, B, C, N, STATIONS };

struct world {
	struct wire wire;
	int queues[STATIONS];
	char names[STATIONS][16];
	unsigned marks;
	const char *guard; /* "bpf", "nft" */
};

static const uint8_t *
mac_of(int station)
{
	static uint8_t macs[STATIONS + 1][6];
	uint8_t *mac = macs[station + 1];

	memcpy(mac, "\2\10\40\0\0", 5);
	mac[5] = (uint8_t)(0x10 + station);
	return mac;
}

static struct nvlist *
question(int station)
{
	const struct station *s = &stations[station];
	struct nvlist *msg = ipc_message("link"), *link = nvlist_create();
	char mac[24];

	tap_check(msg != NULL && link != NULL);
	tap_check_int(str_format(mac, sizeof(mac), "02:08:20:00:00:%02x",
			  mac_of(station)[5]),
	    0);
	tap_check_int(nvlist_add_str(link, "zone", "vlans"), 0);
	tap_check_int(nvlist_add_str(link, "net", s->net), 0);
	tap_check_int(nvlist_add_str(link, "mac", mac), 0);
	tap_check_int(nvlist_add_str(link, "tag", "wire"), 0);
	tap_check_int(nvlist_add_u64(link, "vlan", s->vlan), 0);
	tap_check_int(nvlist_add_u64(link, "mtu", 0), 0);
	tap_check_int(nvlist_add_u64(link, "queues", 1), 0);
	tap_check_int(nvlist_add_u64(link, "protect", LINK_PROTECT_MAC), 0);
	tap_check_int(nvlist_add_u64(link, "maxbw", 0), 0);
	tap_check_int(nvlist_add_u64(msg, "did", 7), 0);
	tap_check_int(nvlist_add_str(msg, "zone", "vlans"), 0);
	tap_check_int(nvlist_add_str(msg, "net", s->net), 0);
	tap_check_int(nvlist_add_str(msg, "name", ""), 0);
	tap_check_int(nvlist_add_list(msg, "link", link), 0);
	nvlist_free(link);
	return msg;
}

/* Its answers up to the one that is not 'watch'. */
static void
hear(struct world *w, int sock, int station)
{
	struct nvlist *msg = NULL;
	const char *type = "", *text = "";
	struct error err = ERROR_INIT;
	int fds[IPC_FDS];
	size_t nfds;

	do {
		if (ipc_recv(sock, &msg, &type, fds, IPC_FDS, &nfds, &err) != 1)
			tap_fail("zonelink ended: %s", err.text);
		if (strcmp(type, "made") == 0) {
			tap_check_u64(nfds, 1);
			w->queues[station] = fds[0];
			nfds = 0;
			tap_check_int(nvlist_get_str(msg, "name", &text), 0);
			(void)str_format(w->names[station],
			    sizeof(w->names[station]), "%s", text);
			text = "";
		} else if (strcmp(type, "watch") != 0) {
			(void)nvlist_get_str(msg, "text", &text);
			tap_fail("%s: %s", type, text);
		}
		while (nfds > 0)
			close(fds[--nfds]);
		nvlist_free(msg);
	} while (w->queues[station] == -1);
}

static void
zonelink(int sock, const char *guard)
{
	const char *path = getenv("ZONELINK");

	if (dup2(sock, 3) != 3)
		_exit(99);
	execl(path, "zonelink", "make", "-R", tap_tmpdir(), "-g", guard,
	    (char *)NULL);
	_exit(98);
}

static void
make_links(struct world *w)
{
	int pair[2], status;
	struct nvlist *msg;
	pid_t pid;

	tap_check_int(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	tap_tmpdir();
	tap_check_int(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = fork();
	if (pid == 0)
		zonelink(pair[1], w->guard);
	close(pair[1]);
	for (int i = 0; i < STATIONS; i++) {
		msg = question(i);
		tap_check_int(ipc_send(pair[0], msg, NULL, 0), 0);
		nvlist_free(msg);
		hear(w, pair[0], i);
	}
	close(pair[0]);
	tap_check_int(waitpid(pid, &status, 0), pid);
	tap_check_int(status, 0);
	while (wait(NULL) > 0) /* its child, that settles the guards */
		continue;
}

static void
world_open(struct world *w, const char *guard)
{
	memset(w, 0, sizeof(*w));
	w->guard = guard;
	for (int i = 0; i < STATIONS; i++)
		w->queues[i] = -1;
	if (strcmp(guard, "bpf") == 0)
		need_bpf();
	else if (geteuid() != 0)
		tap_skip("root makes taps and filters");
	if (getenv("ZONELINK") == NULL)
		tap_skip("ZONELINK is not set");
	wire_open(&w->wire);
	if (system("ip link set wire type bridge vlan_filtering 1 2>/dev/null; "
		   "ip -d link show wire | grep -w 'vlan_filtering 1' "
		   ">/dev/null") != 0)
		tap_skip("this kernel's bridges do not filter VLANs");
	tap_check_int(system("bridge vlan add dev peer vid 5 && "
			     "bridge vlan add dev peer vid 6"),
	    0);
	make_links(w);
}

static void
world_close(struct world *w)
{
	for (int i = 0; i < STATIONS; i++)
		close(w->queues[i]);
	wire_close(&w->wire);
}

/* --- frames */

static int
tap_of(const struct world *w, int station)
{
	return station == TRUNK ? w->wire.peer : w->queues[station];
}

static size_t
build(uint8_t *frame, const uint8_t *dst, const uint8_t *src, unsigned vlan,
    unsigned mark)
{
	size_t at = 12;

	memset(frame, 0, 64);
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	if (vlan != UNTAGGED) {
		memcpy(frame + at, "\x81\0\0", 3);
		frame[at + 3] = (uint8_t)vlan;
		at += 4;
	}
	memcpy(frame + at, "\x88\xb5", 2);
	memcpy(frame + at + 2, &mark, sizeof(mark));
	return at + 48;
}

/*
 * Reads what has come to a station until 'until' is there; whether 'want' was
 * among it. False for until: not within ms.
 */
static bool
heard(const struct world *w, int station, const uint8_t *until, size_t nuntil,
    const uint8_t *want, size_t nwant, int ms, unsigned *ret)
{
	struct pollfd p = { .fd = tap_of(w, station), .events = POLLIN };
	uint8_t buf[2048];
	size_t n;

	while (poll(&p, 1, ms) == 1)
		while ((n = wire_receive(p.fd, buf, sizeof(buf))) > 0) {
			if (n == nwant && memcmp(buf, want, n) == 0)
				(*ret)++;
			if (n == nuntil && memcmp(buf, until, n) == 0)
				return true;
		}
	return false;
}

/*
 * What comes through the bridge behind everything that was sent before: from
 * the trunk to a station, and for the trunk from the third tap.
 */
static unsigned
arrived(struct world *w, int station, const uint8_t *want, size_t nwant)
{
	static const uint8_t any[6] = { 2, 0, 0, 0, 0x44, 0x44 },
			     all[6] = { 255, 255, 255, 255, 255, 255 };
	bool trunk = station == TRUNK;
	unsigned vlan = trunk ? UNTAGGED : stations[station].vlan, count = 0;
	uint8_t frame[64], fence[64];
	size_t n, nfence;

	for (int i = 0; i < WIRE_LIMIT_S * 20; i++) {
		w->marks++;
		n = build(
		    frame, trunk ? all : mac_of(station), any, vlan, w->marks);
		nfence = build(fence, trunk ? all : mac_of(station), any,
		    UNTAGGED, w->marks);
		wire_send(trunk ? w->wire.third : w->wire.peer, frame, n);
		if (heard(w, station, fence, nfence, want, nwant, 50, &count))
			return count;
	}
	tap_fail("nothing arrives at %s",
	    trunk ? "the trunk" : stations[station].net);
}

static uint64_t
guard_drops(const struct world *w, int station)
{
	struct error err = ERROR_INIT;
	struct link_counters c;
	uint64_t sum = 0;

	if (link_guard_counters(w->names[station], &c, &err) < 0)
		tap_fail("%s", err.text);
	for (int i = 0; i < LINK_DROP_COUNT; i++)
		sum += c.drops[i];
	return sum;
}

/* One frame, and who gets it; nobody else's guard is even asked. */
static void
send_one(struct world *w, int from, const uint8_t *dst, unsigned tag,
    const unsigned got[STATIONS], int trunk_tag)
{
	const uint8_t *src = mac_of(from);
	unsigned id = 0x10000000u + w->marks;
	uint64_t before[STATIONS];
	uint8_t sent[64], want[64];
	size_t n;

	for (int i = 0; i < STATIONS; i++)
		before[i] = guard_drops(w, i);
	n = build(sent, dst, src, tag, id);
	tap_check(wire_send(tap_of(w, from), sent, n));
	for (int i = 0; i < STATIONS; i++) {
		n = build(want, dst, src, UNTAGGED, id);
		tap_context("from %d tag %u to %02x: at %s", from, tag, dst[5],
		    stations[i].net);
		tap_check_int(arrived(w, i, want, n), got[i]);
		tap_check_u64(guard_drops(w, i) - before[i], 0);
	}
	if (from == TRUNK)
		return;
	tap_context("from %d to %02x: at the trunk", from, dst[5]);
	n = build(want, dst, src, trunk_tag > 0 ? (unsigned)trunk_tag : 0, id);
	tap_check_int(arrived(w, TRUNK, want, n), trunk_tag >= 0);
}

#define NOWHERE (-1)

static void
check_frames(const char *guard)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	static const struct {
		int from, to; /* STATIONS: to all; TRUNK: to the trunk */
		unsigned tag; /* of the trunk's */
		unsigned got[STATIONS];
		int trunk; /* its tag there */
	} rows[] = {
		{ A, B, 0, { [B] = 1 }, NOWHERE },
		{ B, A, 0, { [A] = 1 }, NOWHERE },
		/* an address of no port in that VLAN is flooded to the trunk */
		{ A, C, 0, { 0 }, 5 },
		{ C, A, 0, { 0 }, 6 },
		{ A, N, 0, { 0 }, 5 },
		{ N, A, 0, { 0 }, UNTAGGED },
		{ A, STATIONS, 0, { [B] = 1 }, 5 },
		{ C, STATIONS, 0, { 0 }, 6 },
		{ N, STATIONS, 0, { 0 }, UNTAGGED },
		{ TRUNK, A, 5, { [A] = 1 }, 0 },
		{ TRUNK, A, 6, { 0 }, 0 },
		{ TRUNK, A, UNTAGGED, { 0 }, 0 },
		{ TRUNK, A, 7, { 0 }, 0 },
		{ TRUNK, N, UNTAGGED, { [N] = 1 }, 0 },
		{ TRUNK, N, 5, { 0 }, 0 },
		{ TRUNK, STATIONS, 5, { [A] = 1, [B] = 1 }, 0 },
		{ TRUNK, STATIONS, 6, { [C] = 1 }, 0 },
		{ TRUNK, STATIONS, 7, { 0 }, 0 },
		{ TRUNK, STATIONS, UNTAGGED, { [N] = 1 }, 0 },
	};
	struct world w;

	world_open(&w, guard);
	wire_settle(&w.wire);
	for (int i = 0; i < STATIONS; i++)
		(void)arrived(&w, i, NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		send_one(&w, rows[i].from,
		    rows[i].to == STATIONS ? all : mac_of(rows[i].to),
		    rows[i].tag, rows[i].got, rows[i].trunk);
	world_close(&w);
}

/* The bridge's own VLAN is theirs only who have none. */
static void
check_ports(const char *guard, const char *const wanted[STATIONS])
{
	struct world w;
	char cmd[160];

	world_open(&w, guard);
	for (int i = 0; i < STATIONS; i++) {
		tap_context("%s", stations[i].net);
		tap_check_int(
		    str_format(cmd, sizeof(cmd),
			"test \"$(bridge vlan show dev %s | sed -n "
			"'2,$s/^[^ ]* *//p' | sed 's/ *$//')\" = '%s'",
			w.names[i], wanted[i]),
		    0);
		if (system(cmd) != 0)
			tap_check_int(system("bridge vlan show >&2"), 0);
		tap_check_int(system(cmd), 0);
	}
	world_close(&w);
}

static void
ports_are_members_of_their_vlan_alone(void)
{
	static const char *const wanted[STATIONS] = { "5", "5", "6",
		"1 PVID Egress Untagged" };

	check_ports("bpf", wanted);
}

static void
frames_stay_in_their_vlan(void)
{
	check_frames("bpf");
}

/* nftables has no tags to push: the bridge does it. */
static void
by_nftables_ports_are_untagged_members(void)
{
	static const char *const wanted[STATIONS] = { "5 PVID Egress Untagged",
		"5 PVID Egress Untagged", "6 PVID Egress Untagged",
		"1 PVID Egress Untagged" };

	check_ports("nft", wanted);
}

static void
by_nftables_frames_stay_in_their_vlan(void)
{
	check_frames("nft");
}

static const struct tap_test tests[] = {
	TAP_TEST(ports_are_members_of_their_vlan_alone),
	TAP_TEST(frames_stay_in_their_vlan),
	TAP_TEST(by_nftables_ports_are_untagged_members),
	TAP_TEST(by_nftables_frames_stay_in_their_vlan),
};
TAP_MAIN(tests)
