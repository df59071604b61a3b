/*
 * The guard as a table of nftables' netdev family, for hosts where bpf(2) is
 * refused. Each is as its namesake in guard.h; docs/network.md has the rules in
 * their order.
 */
#ifndef LINK_GUARD_NFT_H
#define LINK_GUARD_NFT_H

#include <sys/types.h>

#include "link/guard.h"

int guard_nft_attach(const struct link_spec *spec, struct error *err);
int guard_nft_update(const struct link_spec *spec, struct error *err);
int guard_nft_counters(
    const char *ifname, struct link_counters *ret, struct error *err);
int guard_nft_learner(const char *ifname, pid_t *ret, struct error *err);
int guard_nft_set_learner(const char *ifname, pid_t pid, struct error *err);
/* 0 when there is nothing to take away. */
int guard_nft_remove(const char *ifname, struct error *err);

#endif
