/*
 * The guard of a zone's link: what a guest may send, and what it may hear. A
 * pair of BPF programs in the tap's clsact hooks, or, where bpf(2) is refused,
 * the same rules as a table of nftables' netdev family. Both are tested by one
 * table of frames (tests/link).
 *
 * What illumos's mac_protect.c drops, this drops (outgoing frames only):
 *   MAC         mac-nospoof: another source address than the link's
 *   RESTRICTED  restricted: other than IPv4, IPv6, ARP
 *   IPV4, ARP, IPV6, ND   ip-nospoof: a source, a sender, a target or a
 * link-layer option that is not the link's DHCP        dhcp-nospoof: client
 * address or id of another; a server's messages for others FRAGMENT    a first
 * fragment that could hide DHCP or ND Always, whatever the modes: LINKLOCAL
 * 01:80:c2:00:00:0x: the host must not hear a guest's bridge protocols;
 * MALFORMED: shorter than its headers say; VLAN: a tagged frame from the guest,
 * or of another VLAN to it; PORT: a blocked outgoing port; RATE: over maxbw
 * Strict adds: RA (router advertisements), DHCP6 (a DHCPv6 server's messages),
 *   INBOUND (a frame to the guest for a foreign address), ARP from 0.0.0.0 as
 *   a reply.
 *
 * Whoever attaches a guard may end at any time: it stays until the interface
 * goes. Needs CAP_NET_ADMIN and CAP_BPF (or CAP_SYS_ADMIN).
 */
#ifndef LINK_GUARD_H
#define LINK_GUARD_H

#include <stdbool.h>
#include <stdint.h>

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
/* What the kernel does not take away with the interface. */
int link_guard_remove(const char *ifname, struct error *err);

#endif
