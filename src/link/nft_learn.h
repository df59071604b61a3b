/*
 * Addresses that are learned (spec.h, dynamic) where the guard is nftables: its
 * rules cannot read a lease. A packet socket on the link gets copies of DHCP's
 * messages and of routers' advertisements, those from the guest before the
 * rules and those to it behind them; the guard's own code (guard_rules.h) reads
 * them, and what it learns goes into the table's sets, each with the end of its
 * lease, which the kernel keeps.
 *
 * A frame that is lost here, or a learner that ends, teaches nothing: what was
 * learned ends with its lease. Frames are hostile; what they can ask for is
 * bounded. One thread a learner. Needs CAP_NET_RAW to be opened, CAP_NET_ADMIN
 * always.
 */
#ifndef LINK_NFT_LEARN_H
#define LINK_NFT_LEARN_H

#include "base/error.h"
#include "link/spec.h"

struct nft_learner;
/* The guard is attached to spec->name. */
int nft_learner_open(
    const struct link_spec *spec, struct nft_learner **ret, struct error *err);
void nft_learner_close(struct nft_learner *l); /* NULL is allowed */
void nft_learner_fds(const struct nft_learner *l, int ret[2]); /* all it has */
/*
 * Blocks until there may be something to learn, and for some ms anyway, longer
 * after a change: each is a transaction of the host's nftables.
 */
void nft_learner_wait(const struct nft_learner *l);
/*
 * Frames that wait, up to the first that changes something, or some number of
 * them; does not block but for the kernel's answer. 1; 0: the interface is
 * gone.
 */
int nft_learner_turn(struct nft_learner *l);

#endif
