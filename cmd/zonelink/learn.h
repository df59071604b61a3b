/*
 * The learner of a link as a process of its own (link/nft_learn.h), which
 * outlives zonelink and ends with the link. Its number is in the link's table
 * ("learner"), for whoever replaces it.
 */
#ifndef ZONELINK_LEARN_H
#define ZONELINK_LEARN_H

#include "base/error.h"
#include "link/spec.h"

/*
 * Where spec's guard is nftables: one that learns by this spec, or none, as it
 * says; the one before ends. Nothing to do where the guard is BPF.
 */
int learner_renew(const struct link_spec *spec, struct error *err);

#endif
