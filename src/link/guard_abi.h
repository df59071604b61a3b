/*
 * The maps between the guard's BPF program and whoever configures or reads it.
 * A program that runs keeps the layout that it was loaded with while its
 * readers may be newer: struct guard_counts only grows at its end, and
 * GUARD_CONFIG_VERSION changes with struct guard_config.
 */
#ifndef LINK_GUARD_ABI_H
#define LINK_GUARD_ABI_H

#include <linux/types.h>

#include "link/guard_words.h"

#define GUARD_CONFIG_VERSION 1
#define GUARD_LEARNED_MAX 512 /* addresses of a link, as illumos has it */
#define GUARD_PENDING_MAX 512 /* DHCP transactions that wait for an answer */
#define GUARD_CID_CHUNKS 32 /* of 8 bytes: LINK_CID_MAX */

/* Addresses are numbers in the machine's order, the first bits the highest. */
struct guard_net4 {
	__u32 addr, mask;
};
struct guard_addr6 {
	__u64 high, low;
};
struct guard_net6 {
	struct guard_addr6 addr, mask;
};
struct guard_cid {
	__u64 len;
	__u64 chunk[GUARD_CID_CHUNKS]; /* its bytes, zeros behind */
};

/* Never changed in place: each update publishes another one. */
struct guard_config {
	__u32 version, protect, dynamic;
	__u8 mac[6];
	__u16 vlan;
	__u64 maxbw, burst; /* bit/s, 0: no limit; ns of the limit's time */
	struct guard_addr6 linklocal; /* made from mac */
	__u32 n4, n6, nports, ncids, any_cid;
	__u32 spare; /* 0 */
	struct guard_net4 v4[LINK_ALLOWED_MAX];
	struct guard_net6 v6[LINK_ALLOWED_MAX];
	struct guard_ports {
		__u16 first, last;
	} ports[LINK_PORTS_MAX];
	struct guard_cid cids[LINK_CIDS_MAX];
};

struct guard_counts {
	__u64 sent, sent_bytes, received, received_bytes;
	__u64 drops[LINK_DROP_COUNT];
};

/* An address that was learned; its value is when it ends (boot time, ns). */
struct guard_key {
	__u32 method; /* LINK_DYN_* */
	__u8 addr[16]; /* IPv4: the last 4 */
};
/* A transaction that the guest began; its value is when. */
struct guard_pending {
	__u32 method, xid;
};

/* What goes through the ring: at most one a second. */
struct guard_event {
	__u64 when;
	__u32 reason, spare;
};

#endif
