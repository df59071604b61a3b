/*
 * The guard of a zone's link: what a guest may send, and what it may hear. A
 * pair of BPF programs in the interface's own hooks, or, where bpf(2) is
 * refused, the same rules as a table of nftables' netdev family. Both are
 * tested by one table of frames (tests/link/frames.txt). docs/network.md has
 * the reasons (enum link_drop), their order and what each is for.
 *
 * Whoever attaches a guard may end at any time: it stays until the interface
 * goes. Attaching needs CAP_NET_ADMIN and CAP_BPF; reaching a guard that runs
 * (update, counters, watch) CAP_SYS_ADMIN, since its maps are found by number.
 * Any thread, one call at a time for an interface.
 */
#ifndef LINK_GUARD_H
#define LINK_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "link/spec.h"

struct link_counters {
	uint64_t drops[LINK_DROP_COUNT];
	uint64_t sent, sent_bytes; /* by the guest, let through */
	uint64_t received, received_bytes;
};

enum link_guard_kind { LINK_GUARD_AUTO, LINK_GUARD_BPF, LINK_GUARD_NFT };

/* The interface is down and without a bridge. AUTO: BPF, else nftables. */
int link_guard_attach(
    const struct link_spec *spec, enum link_guard_kind kind, struct error *err);
/*
 * Into the hooks that cost a frame less, where the kernel has them, which takes
 * two of its RCU grace periods (some 10 ms each): for who has nothing else to
 * do. The link is guarded at each moment; what fails leaves it as it was.
 */
void link_guard_settle(int ifindex);
/* Switches, addresses, ports, limits of a link that is in use, at once. */
int link_guard_update(const struct link_spec *spec, struct error *err);
int link_guard_counters(
    const char *ifname, struct link_counters *ret, struct error *err);
/*
 * For somebody who waits: *ret_ring is a descriptor that becomes readable, at
 * most once a second, when frames were dropped; *ret_counters one for
 * link_guard_read(), which is bpf(2) alone. -EOPNOTSUPP with nftables.
 * Whoever saw it readable says link_guard_drained(), which is mmap(2) alone,
 * and then reads the counters.
 */
int link_guard_watch(
    const char *ifname, int *ret_ring, int *ret_counters, struct error *err);
int link_guard_read(int counters, struct link_counters *ret);
int link_guard_drained(int ring);
/*
 * Addresses that are learned need a process where the guard is nftables
 * (nft_learn.h). 1: it is, and *ret is the one that is on record, or 0; 0: the
 * guard is BPF, which learns by itself.
 */
int link_guard_learner(const char *ifname, pid_t *ret, struct error *err);
/* Put it on record; 0: there is none. */
int link_guard_set_learner(const char *ifname, pid_t pid, struct error *err);
/* Whether a link learns any. */
bool link_guard_learns(const struct link_spec *spec);
/* What the kernel does not take away with the interface. */
int link_guard_remove(const char *ifname, struct error *err);

#endif
