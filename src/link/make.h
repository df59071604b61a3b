/*
 * A zone's link from nothing to up: tap, guard, attributes, bridge. The guard
 * is there before anything can pass; a failure anywhere leaves nothing.
 */
#ifndef LINK_MAKE_H
#define LINK_MAKE_H

#include "link/guard.h"
#include "link/net.h"

struct link_made {
	struct link_spec spec; /* with the name that it got */
	enum link_guard_kind guard; /* BPF or NFT */
	char bridge[16]; /* "": of none */
	unsigned mtu;
	int queues[LINK_QUEUES_MAX]; /* spec.queues of them */
	int ring, counters; /* for who watches; -1: there are none */
};
/* guard: AUTO but in tests. The descriptors are the caller's to close. */
int link_make(struct link_net *net, const char *root, uint64_t did,
    const struct nvlist *list, enum link_guard_kind guard,
    struct link_made *ret, struct error *err);
/* Close what is open; with all queues closed the link is gone. */
void link_made_close(struct link_made *made);

/*
 * What the kernel has not taken away with a link. name "": it is not known
 * which one was taken; every name of link_name() that is no interface now is
 * cleaned.
 */
int link_clean(const char *root, uint64_t did, const char *zone,
    const char *net, const char *name, struct error *err);

#endif
