/*
 * The host's network, by netlink: bridges of NIC tags, and what makes a tap a
 * port of one. Uses libnl-route; for programs that run and end.
 *
 * Errors name the interface and say what to do. One thread a handle.
 */
#ifndef LINK_NET_H
#define LINK_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "link/nictag.h"
#include "link/spec.h"

struct link_net;
int link_net_open(struct link_net **ret, struct error *err);
void link_net_close(struct link_net *net); /* NULL is allowed */

enum link_net_kind { LINK_NET_ABSENT, LINK_NET_BRIDGE, LINK_NET_OTHER };
/* What is the host's interface of that name? */
int link_net_kind(struct link_net *net, const char *ifname,
    enum link_net_kind *ret, struct error *err);

/* An interface of the host, as far as anybody asked. */
struct link_net_info {
	char bridge[16]; /* whose port it is, "" for none */
	char alias[160];
	bool up;
	unsigned mtu;
};
/* -ENODEV */
int link_net_info(struct link_net *net, const char *ifname,
    struct link_net_info *ret, struct error *err);

/*
 * The bridge that a link with this tag (not "") is attached to, made when it is
 * a tag's own and not there yet, and its MTU. root: whose NIC tags.
 */
int link_net_bridge(struct link_net *net, const char *root, const char *tag,
    char ret[16], unsigned *ret_mtu, struct error *err);
/* Whether a bridge filters VLANs now. */
int link_net_filters(
    struct link_net *net, const char *bridge, bool *ret, struct error *err);
/*
 * A tag is gone: so is the bridge that was made for it. 0 when there is none;
 * -EBUSY: it has other ports than the tag's link.
 */
int link_net_forget_tag(struct link_net *net, const char *root,
    const struct nictag *tag, struct error *err);

/*
 * Make spec->name, a tap that is down and alone, what the spec says: alias,
 * MTU, port of the bridge (NULL: of none), address known there, up. untagged:
 * its VLAN's tags are the bridge's matter, which filters, else the guard's.
 * -EEXIST: the address is in use on the bridge, the error says by whom.
 */
int link_net_attach(struct link_net *net, const struct link_spec *spec,
    const char *bridge, unsigned mtu, bool untagged, struct error *err);
/* Whether its port learns addresses, after a change of the protection. */
int link_net_update(
    struct link_net *net, const struct link_spec *spec, struct error *err);

/* "zone NAME net NET" */
void link_alias(const struct link_spec *spec, char *buf, size_t size);

#endif
