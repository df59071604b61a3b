/*
 * The guard's rules as a table of nftables' netdev family, for hosts where
 * bpf(2) is refused. Text in, text out: nothing is done here.
 */
#ifndef LINK_NFT_RULES_H
#define LINK_NFT_RULES_H

#include "base/buf.h"
#include "base/error.h"
#include "link/spec.h"

/* The table of an interface, "zhyve_" and its name. */
#define LINK_NFT_TABLE "zhyve_%s"
/* Its sets of learned addresses, as bytes, which updates leave alone. */
#define LINK_NFT_DHCPV4 "dhcpv4"
#define LINK_NFT_DHCPV6 "dhcpv6"
#define LINK_NFT_SLAAC "slaac"
/* Its set of one number: the process that fills them (nft_learn.h). */
#define LINK_NFT_LEARNER "learner"

/*
 * One transaction that makes the table, or replaces its rules and keeps its
 * counters and what was learned. -EOPNOTSUPP: the link has a VLAN, and neither
 * these rules nor its bridge can tag frames.
 */
int link_nft_rules(
    const struct link_spec *spec, struct buf *ret, struct error *err);

#endif
