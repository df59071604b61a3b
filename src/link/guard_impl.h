/*
 * The guard's two implementations, behind guard.h. guard_nft.h has the other.
 */
#ifndef LINK_GUARD_IMPL_H
#define LINK_GUARD_IMPL_H

#include "link/guard.h"
#include "link/guard_abi.h"

/* -EINVAL: more of something than the limits in spec.h. */
int guard_config_make(
    const struct link_spec *spec, struct guard_config *ret, struct error *err);

int guard_bpf_attach(const struct link_spec *spec, struct error *err);
int guard_bpf_update(const struct link_spec *spec, struct error *err);
int guard_bpf_counters(
    const char *ifname, struct link_counters *ret, struct error *err);
int guard_bpf_watch(
    const char *ifname, int *ret_ring, int *ret_counters, struct error *err);
/* 1: this interface has the pair of programs; 0: it has not; or an error. */
int guard_bpf_has(const char *ifname, struct error *err);

/* Descriptor of one of its program's maps. */
int guard_bpf_map(const char *ifname, const char *name, struct error *err);

void guard_bpf_settle(int ifindex);

/* For tests: as on a kernel that has tcx alone. */
extern bool guard_bpf_no_clsact;

/* The compiled program (guard.bpf.c), made by embed.py. */
extern const unsigned char guard_object[];
extern const unsigned long guard_object_size;

#endif
