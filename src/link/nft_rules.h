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

/*
 * One transaction that makes the table, or replaces its rules and keeps its
 * counters. -EOPNOTSUPP: the link wants what only BPF can do (a VLAN tag,
 * addresses that are learned).
 */
int link_nft_rules(
    const struct link_spec *spec, struct buf *ret, struct error *err);

#endif
