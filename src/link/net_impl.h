/*
 * What the files behind net.h share.
 */
#ifndef LINK_NET_IMPL_H
#define LINK_NET_IMPL_H

#include <netlink/route/link.h>
#include <netlink/socket.h>

#include "link/net.h"

struct link_net {
	struct nl_sock *sk;
};

/* libnl's negative number as an error about an interface. */
int
link_net_fail(struct error *err, int rc, const char *what, const char *ifname);
/*
 * Make a port a member of this VLAN and of no other; untagged: the bridge tags
 * what comes from it, and takes the tag off. Nothing where the kernel's bridges
 * do not know VLANs.
 */
int link_net_set_vlan(struct link_net *net, struct rtnl_link *port,
    unsigned vlan, bool untagged, struct error *err);

#endif
