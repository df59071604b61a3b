/*
 * Taps for zones. One lives as long as a descriptor of it is open: when the
 * zone's process ends it is gone, whoever was killed before.
 */
#ifndef LINK_TAP_H
#define LINK_TAP_H

#include <stddef.h>

#include "base/error.h"
#include "link/spec.h"

struct link_tap {
	const char *name; /* of the host's interface; must be free */
	unsigned queues; /* 1..LINK_QUEUES_MAX */
	const char *bridge; /* attach it there; NULL: to nothing */
	unsigned mtu; /* 0: the bridge's or the default one */
};

/*
 * Make it, with virtio-net headers, attach it and set it up. fds has room for
 * the queues, which are the caller's to close; non-blocking, close-on-exec.
 * Errors name the interface or the bridge; nothing is left after one. Needs
 * CAP_NET_ADMIN.
 */
int link_tap_create(const struct link_tap *tap, int *fds, struct error *err);

/*
 * Only the queues: the interface is down, and a port of nothing. -EEXIST: there
 * is one of that name.
 */
int
link_tap_queues(const char *name, unsigned queues, int *fds, struct error *err);

#endif
