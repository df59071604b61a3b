/*
 * What the guard's BPF program, its user-space build and the rest of the link
 * share: bits, limits, reasons. Macros alone, since the program is compiled
 * without a C library.
 */
#ifndef LINK_GUARD_WORDS_H
#define LINK_GUARD_WORDS_H

/* Modes of protection, as illumos's link property "protection" has them. */
#define LINK_PROTECT_MAC 0x01 /* mac-nospoof */
#define LINK_PROTECT_IP 0x02 /* ip-nospoof */
#define LINK_PROTECT_DHCP 0x04 /* dhcp-nospoof */
#define LINK_PROTECT_RESTRICTED 0x08 /* restricted */
#define LINK_PROTECT_STRICT 0x10 /* ours: guard.h */

/* Addresses that are learned. */
#define LINK_DYN_DHCPV4 0x01
#define LINK_DYN_DHCPV6 0x02
#define LINK_DYN_SLAAC 0x04

#define LINK_ALLOWED_MAX 64
#define LINK_CIDS_MAX 20
#define LINK_CID_MAX 255 /* bytes */
#define LINK_PORTS_MAX 64

/*
 * Reasons of a drop: name, illumos's counter that it adds to (or ""). New ones
 * go to the end: the order is that of a running program's counters.
 */
#define LINK_DROPS(X)                             \
	X(MAC, "mac", "macspoofed")               \
	X(RESTRICTED, "restricted", "restricted") \
	X(IPV4, "ipv4", "ipspoofed")              \
	X(ARP, "arp", "ipspoofed")                \
	X(IPV6, "ipv6", "ipspoofed")              \
	X(ND, "nd", "ipspoofed")                  \
	X(DHCP, "dhcp", "dhcpspoofed")            \
	X(DHCP6, "dhcp6", "dhcpspoofed")          \
	X(FRAGMENT, "fragment", "")               \
	X(LINKLOCAL, "linklocal", "")             \
	X(MALFORMED, "malformed", "")             \
	X(VLAN, "vlan", "")                       \
	X(VLAN_IN, "vlan-in", "")                 \
	X(RA, "ra", "")                           \
	X(INBOUND, "inbound", "")                 \
	X(PORT, "port", "")                       \
	X(RATE, "rate", "")                       \
	X(CLOSED, "closed", "")

enum link_drop {
#define X(id, name, illumos) LINK_DROP_##id,
	LINK_DROPS(X)
#undef X
	    LINK_DROP_COUNT
};

#endif
