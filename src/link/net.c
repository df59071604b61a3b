/*
 * Interfaces by rtnetlink (rtnetlink(7); Linux Documentation/networking/
 * bridge.rst). Bridges of tags are made under the lock of the tags; what is
 * half made after a crash is completed by the next who needs it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/neighbour.h>
#include <netlink/socket.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "link/net_impl.h"

#define TX_QUEUE 1000
#define IFF_UP_BIT 1 /* net/if.h and linux/if.h do not go together */

/* libnl has numbers of its own; those that matter have an errno. */
static int
to_errno(int rc)
{
	static const struct {
		int nl, sys;
	} rows[] = {
		{ NLE_EXIST, EEXIST },
		{ NLE_OBJ_NOTFOUND, ENODEV },
		{ NLE_NODEV, ENODEV },
		{ NLE_NOMEM, ENOMEM },
		{ NLE_PERM, EPERM },
		{ NLE_NOACCESS, EACCES },
		{ NLE_OPNOTSUPP, EOPNOTSUPP },
		{ NLE_INVAL, EINVAL },
		{ NLE_BUSY, EBUSY },
		{ NLE_RANGE, ERANGE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].nl == abs(rc))
			return rows[i].sys;
	return EIO;
}

int
link_net_fail(struct error *err, int rc, const char *what, const char *ifname)
{
	return error_set(err, to_errno(rc), "%s: cannot %s: %s", ifname, what,
	    nl_geterror(rc));
}

int
link_net_open(struct link_net **ret, struct error *err)
{
	struct link_net *net = alloc_zero(1, sizeof(*net));
	int rc;

	if (net == NULL || (net->sk = nl_socket_alloc()) == NULL) {
		free(net);
		return error_set(err, ENOMEM, "out of memory");
	}
	rc = nl_connect(net->sk, NETLINK_ROUTE);
	if (rc < 0) {
		link_net_close(net);
		return link_net_fail(err, rc, "connect", "netlink");
	}
	*ret = net;
	return 0;
}

void
link_net_close(struct link_net *net)
{
	if (net == NULL)
		return;
	nl_socket_free(net->sk);
	free(net);
}

/* ---- looking ---- */

static int
get_link(struct link_net *net, const char *ifname, struct rtnl_link **ret,
    struct error *err)
{
	int rc = rtnl_link_get_kernel(net->sk, 0, ifname, ret);

	if (rc >= 0)
		return 0;
	return to_errno(rc) == ENODEV
	    ? error_set(err, ENODEV, "there is no interface %s", ifname)
	    : link_net_fail(err, rc, "look at it", ifname);
}

static bool
is_bridge(struct rtnl_link *link)
{
	const char *type = rtnl_link_get_type(link);

	return type != NULL && strcmp(type, "bridge") == 0;
}

int
link_net_kind(struct link_net *net, const char *ifname, enum link_net_kind *ret,
    struct error *err)
{
	struct rtnl_link *link = NULL;
	int rc = get_link(net, ifname, &link, err);

	if (rc < 0 && rc != -ENODEV)
		return rc;
	*ret = rc < 0         ? LINK_NET_ABSENT
	    : is_bridge(link) ? LINK_NET_BRIDGE
			      : LINK_NET_OTHER;
	rtnl_link_put(link);
	return 0;
}

static void
name_of(struct link_net *net, int ifindex, char ret[16])
{
	struct rtnl_link *link = NULL;

	ret[0] = '\0';
	if (ifindex == 0 ||
	    rtnl_link_get_kernel(net->sk, ifindex, NULL, &link) < 0)
		return;
	(void)str_format(ret, 16, "%s", rtnl_link_get_name(link));
	rtnl_link_put(link);
}

static void
alias_of(struct rtnl_link *link, char *buf, size_t size)
{
	const char *alias = rtnl_link_get_ifalias(link);

	(void)str_format(
	    buf, size, "%.*s", (int)size - 1, alias != NULL ? alias : "");
}

int
link_net_info(struct link_net *net, const char *ifname,
    struct link_net_info *ret, struct error *err)
{
	struct rtnl_link *link = NULL;
	int rc = get_link(net, ifname, &link, err);

	if (rc < 0)
		return rc;
	*ret = (struct link_net_info){ .mtu = rtnl_link_get_mtu(link),
		.up = (rtnl_link_get_flags(link) & IFF_UP_BIT) != 0 };
	alias_of(link, ret->alias, sizeof(ret->alias));
	name_of(net, rtnl_link_get_master(link), ret->bridge);
	rtnl_link_put(link);
	return 0;
}

/* ---- changing ---- */

struct wish {
	const char *alias, *address;
	unsigned mtu;
	bool up;
};

/*
 * No IPv6 address of the host's on it. A host without IPv6, or an interface too
 * small for it, is quiet already and refuses to be told.
 */
static void
make_quiet(struct link_net *net, struct rtnl_link *link)
{
	struct rtnl_link *c = rtnl_link_alloc();

	if (c != NULL &&
	    rtnl_link_inet6_set_addr_gen_mode(c, IN6_ADDR_GEN_MODE_NONE) >= 0)
		(void)rtnl_link_change(net->sk, link, c, 0);
	rtnl_link_put(c);
}

static int
change(struct link_net *net, struct rtnl_link *link, const struct wish *w,
    struct error *err)
{
	struct rtnl_link *c = rtnl_link_alloc();
	struct nl_addr *addr = NULL;
	int rc = c != NULL ? 0 : -NLE_NOMEM;

	if (rc == 0 && w->alias != NULL)
		rtnl_link_set_ifalias(c, w->alias);
	if (rc == 0 && w->mtu != 0)
		rtnl_link_set_mtu(c, w->mtu);
	if (rc == 0 && w->address != NULL) {
		rc = nl_addr_parse(w->address, AF_LLC, &addr);
		if (rc == 0)
			rtnl_link_set_addr(c, addr);
	}
	if (rc == 0 && w->up)
		rtnl_link_set_flags(c, IFF_UP_BIT);
	if (rc == 0 && w->address != NULL)
		rtnl_link_set_txqlen(c, TX_QUEUE);
	if (rc == 0)
		rc = rtnl_link_change(net->sk, link, c, 0);
	nl_addr_put(addr);
	rtnl_link_put(c);
	return rc < 0 ? link_net_fail(err, rc, w->up ? "set it up" : "set it",
			    rtnl_link_get_name(link))
		      : 0;
}

static int
change_name(struct link_net *net, const char *ifname, const struct wish *w,
    struct error *err)
{
	struct rtnl_link *link = NULL;
	int rc = get_link(net, ifname, &link, err);

	if (rc == 0 && w->address != NULL)
		make_quiet(net, link);
	if (rc == 0)
		rc = change(net, link, w, err);
	rtnl_link_put(link);
	return rc;
}

static int
set_master(struct link_net *net, const char *port, const char *bridge,
    struct error *err)
{
	struct rtnl_link *p = NULL, *b = NULL;
	int rc = get_link(net, port, &p, err);

	if (rc == 0)
		rc = get_link(net, bridge, &b, err);
	if (rc == 0) {
		rc = rtnl_link_enslave(net->sk, b, p);
		if (rc < 0)
			rc = error_set(err, to_errno(rc),
			    "cannot attach %s to bridge %s: %s", port, bridge,
			    nl_geterror(rc));
	}
	rtnl_link_put(p);
	rtnl_link_put(b);
	return rc;
}

/* ---- the bridge of a tag ---- */

/* An address that a person gave it; link-local ones come by themselves. */
static bool
has_address(struct nl_cache *cache, int ifindex, char *buf, size_t size)
{
	for (struct nl_object *o = nl_cache_get_first(cache); o != NULL;
	     o = nl_cache_get_next(o)) {
		struct rtnl_addr *a = (struct rtnl_addr *)o;

		if (rtnl_addr_get_ifindex(a) != ifindex ||
		    rtnl_addr_get_scope(a) == RT_SCOPE_LINK)
			continue;
		nl_addr2str(rtnl_addr_get_local(a), buf, size);
		return true;
	}
	return false;
}

static int
check_uplink(struct link_net *net, const struct nictag *tag, const char *bridge,
    struct rtnl_link *link, bool *ret_port, struct error *err)
{
	struct nl_cache *cache = NULL;
	char text[80], master[16];
	int rc;

	name_of(net, rtnl_link_get_master(link), master);
	*ret_port = strcmp(master, bridge) == 0;
	if (*ret_port)
		return 0;
	if (is_bridge(link))
		return error_set(err, EINVAL,
		    "NIC tag %s: %s is a bridge itself: 'nictagadm update %s "
		    "%s' says so",
		    tag->name, tag->target, tag->name, tag->target);
	if (master[0] != '\0')
		return error_set(err, EBUSY,
		    "NIC tag %s: link %s is a port of %s: name that with "
		    "'nictagadm update %s %s'",
		    tag->name, tag->target, master, tag->name, master);
	rc = rtnl_addr_alloc_cache(net->sk, &cache);
	if (rc < 0)
		return link_net_fail(err, rc, "list addresses", tag->target);
	if (has_address(cache, rtnl_link_get_ifindex(link), text, sizeof(text)))
		rc = error_set(err, EBUSY,
		    "NIC tag %s: link %s has address %s: as a port of a bridge "
		    "it would cut the host off; make a bridge, move the "
		    "address to it, and name it with 'nictagadm update %s "
		    "BRIDGE'",
		    tag->name, tag->target, text, tag->name);
	nl_cache_free(cache);
	return rc < 0 ? rc : 0;
}

static void
tag_alias(const char *root, const struct nictag *tag, char *buf, size_t size)
{
	if (str_format(buf, size, "nictag %s%s%s", tag->name,
		root[0] != '\0' ? " of " : "", root) < 0)
		(void)str_format(buf, size, "nictag %s", tag->name);
}

static int
new_bridge(struct link_net *net, const char *name, struct error *err)
{
	struct rtnl_link *b = rtnl_link_bridge_alloc();
	int rc;

	if (b == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rtnl_link_set_name(b, name);
	rc = rtnl_link_add(net->sk, b, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(b);
	return rc < 0 && to_errno(rc) != EEXIST
	    ? link_net_fail(err, rc, "make the bridge", name)
	    : 0;
}

/* It is there: is it ours, and whole? */
static int
complete_bridge(struct link_net *net, const char *root,
    const struct nictag *tag, const char *name, unsigned mtu, struct error *err)
{
	char alias[160], is[160];
	struct wish w = { .alias = alias, .mtu = mtu, .up = true };
	struct rtnl_link *b = NULL;
	int rc = get_link(net, name, &b, err);

	if (rc < 0)
		return rc;
	tag_alias(root, tag, alias, sizeof(alias));
	alias_of(b, is, sizeof(is));
	if (!is_bridge(b) || (is[0] != '\0' && strcmp(is, alias) != 0))
		rc = error_set(err, EEXIST,
		    "NIC tag %s: interface %s is there, and not this tag's "
		    "bridge (its alias is '%s', not '%s')",
		    tag->name, name, is, alias);
	else if (strcmp(is, alias) != 0 || rtnl_link_get_mtu(b) != mtu ||
	    (rtnl_link_get_flags(b) & IFF_UP_BIT) == 0) {
		make_quiet(net, b);
		rc = change(net, b, &w, err);
	}
	rtnl_link_put(b);
	return rc;
}

static int
attach_uplink(struct link_net *net, const struct nictag *tag,
    const char *bridge, bool there, struct error *err)
{
	const struct wish up = { .up = true };
	int rc = 0;

	if (!there)
		rc = set_master(net, tag->target, bridge, err);
	return rc == 0 ? change_name(net, tag->target, &up, err) : rc;
}

static int
own_bridge_locked(struct link_net *net, const char *root,
    const struct nictag *tag, const char *bridge, struct error *err)
{
	struct rtnl_link *up = NULL;
	unsigned mtu = tag->mtu;
	bool port = false;
	int rc = 0;

	if (tag->kind == NICTAG_LINK) {
		rc = get_link(net, tag->target, &up, err);
		if (rc < 0)
			return error_prefix(err, "NIC tag %s", tag->name);
		rc = check_uplink(net, tag, bridge, up, &port, err);
		if (mtu == 0)
			mtu = rtnl_link_get_mtu(up);
		if (rc == 0 && mtu > rtnl_link_get_mtu(up))
			rc = error_set(err, EINVAL,
			    "NIC tag %s: mtu %u, and link %s has %u: give the "
			    "link more, or the tag less",
			    tag->name, mtu, tag->target, rtnl_link_get_mtu(up));
		rtnl_link_put(up);
	}
	if (rc == 0)
		rc = new_bridge(net, bridge, err);
	if (rc == 0)
		rc = complete_bridge(
		    net, root, tag, bridge, mtu != 0 ? mtu : 1500, err);
	if (rc == 0 && tag->kind == NICTAG_LINK)
		rc = attach_uplink(net, tag, bridge, port, err);
	return rc;
}

static int
own_bridge(struct link_net *net, const char *root, const struct nictag *tag,
    const char *bridge, struct error *err)
{
	cleanup_close int lock = nictags_lock(root, err);

	return lock < 0 ? lock : own_bridge_locked(net, root, tag, bridge, err);
}

static int
use_bridge(struct link_net *net, const char *tag, const char *bridge,
    unsigned mtu, unsigned *ret_mtu, struct error *err)
{
	struct rtnl_link *b = NULL;
	int rc = get_link(net, bridge, &b, NULL);

	if (rc == -ENODEV && strcmp(tag, bridge) == 0)
		return error_set(err, ENODEV,
		    "global-nic: there is no bridge '%s', and no NIC tag of "
		    "that name; 'nictagadm add' makes one",
		    tag);
	if (rc == -ENODEV)
		return error_set(err, ENODEV,
		    "global-nic: NIC tag %s is bridge %s, which is not there",
		    tag, bridge);
	if (rc == 0 && !is_bridge(b))
		rc = error_set(
		    err, EINVAL, "global-nic: '%s' is no bridge", bridge);
	else if (rc < 0)
		rc = get_link(net, bridge, &b, err);
	if (rc == 0) {
		*ret_mtu = rtnl_link_get_mtu(b);
		if (mtu != 0)
			*ret_mtu = MIN(mtu, *ret_mtu);
	}
	rtnl_link_put(b);
	return rc;
}

int
link_net_bridge(struct link_net *net, const char *root, const char *tag,
    char ret[16], unsigned *ret_mtu, struct error *err)
{
	struct nictags tags = { NULL };
	const struct nictag *t;
	int rc;

	rc = nictags_read(root, &tags, err);
	if (rc < 0)
		return rc;
	t = nictags_find(&tags, tag);
	if (t != NULL)
		nictag_bridge(t, ret);
	else if (str_format(ret, 16, "%s", tag) < 0)
		rc = error_set(err, ENODEV,
		    "global-nic: there is no NIC tag '%s'; make it with "
		    "'nictagadm add'",
		    tag);
	if (rc == 0 && t != NULL && t->kind != NICTAG_BRIDGE)
		rc = own_bridge(net, root, t, ret, err);
	if (rc == 0)
		rc = use_bridge(
		    net, tag, ret, t != NULL ? t->mtu : 0, ret_mtu, err);
	nictags_free(&tags);
	return rc;
}

/* ---- a tag that goes ---- */

static int
check_ports(struct link_net *net, const struct nictag *tag, int bridge,
    struct error *err)
{
	struct nl_cache *cache = NULL;
	int rc = rtnl_link_alloc_cache(net->sk, AF_UNSPEC, &cache);

	if (rc < 0)
		return link_net_fail(err, rc, "list interfaces", tag->name);
	for (struct nl_object *o = nl_cache_get_first(cache);
	     o != NULL && rc == 0; o = nl_cache_get_next(o)) {
		struct rtnl_link *l = (struct rtnl_link *)o;
		char alias[160];

		if (rtnl_link_get_master(l) != bridge ||
		    strcmp(rtnl_link_get_name(l), tag->target) == 0)
			continue;
		alias_of(l, alias, sizeof(alias));
		rc = error_set(err, EBUSY, "NIC tag %s is in use by %s%s%s%s",
		    tag->name, rtnl_link_get_name(l), alias[0] ? " (" : "",
		    alias, alias[0] ? ")" : "");
	}
	nl_cache_free(cache);
	return rc < 0 ? rc : 0;
}

int
link_net_forget_tag(struct link_net *net, const char *root,
    const struct nictag *tag, struct error *err)
{
	cleanup_close int lock = -1;
	struct rtnl_link *b = NULL;
	char name[16], alias[160], is[160];
	int rc;

	if (tag->kind == NICTAG_BRIDGE)
		return 0;
	lock = nictags_lock(root, err);
	if (lock < 0)
		return lock;
	nictag_bridge(tag, name);
	rc = get_link(net, name, &b, err);
	if (rc < 0)
		return rc == -ENODEV ? 0 : rc;
	tag_alias(root, tag, alias, sizeof(alias));
	alias_of(b, is, sizeof(is));
	if (is_bridge(b) && strcmp(is, alias) == 0) {
		rc = check_ports(net, tag, rtnl_link_get_ifindex(b), err);
		if (rc == 0) {
			rc = rtnl_link_delete(net->sk, b);
			rc = rc < 0 ? link_net_fail(err, rc, "remove it", name)
				    : 0;
		}
	}
	rtnl_link_put(b);
	return rc;
}

/* ---- a port ---- */

void
link_alias(const struct link_spec *spec, char *buf, size_t size)
{
	(void)str_format(buf, size, "zone %s net %s", spec->zone, spec->net);
}

/*
 * Who may have one address only is known by it: the port need not learn, and
 * frames for nobody known do not go there.
 */
static int
set_port(
    struct link_net *net, struct rtnl_link *port, bool fixed, struct error *err)
{
	struct ifinfomsg info = { .ifi_family = AF_BRIDGE,
		.ifi_index = rtnl_link_get_ifindex(port) };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_SETLINK, NLM_F_REQUEST);
	struct nlattr *nest = NULL;
	int rc = -NLE_NOMEM;

	if (msg != NULL && nlmsg_append(msg, &info, sizeof(info), 4) == 0 &&
	    (nest = nla_nest_start(msg, IFLA_PROTINFO | NLA_F_NESTED)) !=
		NULL &&
	    nla_put_u8(msg, IFLA_BRPORT_LEARNING, !fixed) == 0 &&
	    nla_put_u8(msg, IFLA_BRPORT_UNICAST_FLOOD, !fixed) == 0) {
		nla_nest_end(msg, nest);
		rc = nl_send_sync(net->sk, msg); /* frees it */
	} else {
		nlmsg_free(msg);
	}
	return rc < 0 ? link_net_fail(err, rc, "set it as a port",
			    rtnl_link_get_name(port))
		      : 0;
}

/* Whose is it? For an error. */
static void
tell_holder(struct link_net *net, int ifindex, const char *bridge,
    const char *mac, struct error *err)
{
	struct rtnl_link *l = NULL;
	char alias[160], zone[65], nic[65];

	if (rtnl_link_get_kernel(net->sk, ifindex, NULL, &l) < 0) {
		error_set(
		    err, EEXIST, "mac %s is in use on bridge %s", mac, bridge);
		return;
	}
	alias_of(l, alias, sizeof(alias));
	if (sscanf(alias, "zone %64s net %64s", zone, nic) == 2)
		error_set(err, EEXIST,
		    "mac %s is in use on bridge %s by zone '%s', net %s", mac,
		    bridge, zone, nic);
	else
		error_set(err, EEXIST,
		    "mac %s is in use on bridge %s by its port %s", mac, bridge,
		    rtnl_link_get_name(l));
	rtnl_link_put(l);
}

static struct rtnl_neigh *
neighbour(int ifindex, const struct nl_addr *mac)
{
	struct rtnl_neigh *n = rtnl_neigh_alloc();

	if (n == NULL)
		return NULL;
	rtnl_neigh_set_family(n, AF_BRIDGE);
	rtnl_neigh_set_ifindex(n, ifindex);
	rtnl_neigh_set_lladdr(n, (struct nl_addr *)(uintptr_t)mac);
	rtnl_neigh_set_state(n, NUD_NOARP);
	rtnl_neigh_set_flags(n, NTF_MASTER);
	return n;
}

/*
 * Somebody has the address: 1 when it was only learned, from wherever this
 * machine was before.
 */
static int
look_for_holder(struct link_net *net, struct rtnl_link *port,
    const char *bridge, const struct nl_addr *mac, const char *text,
    struct error *err)
{
	struct nl_cache *cache = NULL;
	int rc, master = rtnl_link_get_master(port);

	rc = nl_cache_alloc_name("route/neigh", &cache);
	if (rc == 0) {
		nl_cache_set_arg1(cache, AF_BRIDGE);
		rc = nl_cache_refill(net->sk, cache);
	}
	if (rc < 0) {
		nl_cache_free(cache);
		return link_net_fail(err, rc, "list addresses", bridge);
	}
	rc = 1;
	for (struct nl_object *o = nl_cache_get_first(cache);
	     o != NULL && rc == 1; o = nl_cache_get_next(o)) {
		struct rtnl_neigh *n = (struct rtnl_neigh *)o;
		struct nl_addr *is = rtnl_neigh_get_lladdr(n);

		if (is == NULL || nl_addr_cmp(is, mac) != 0 ||
		    rtnl_neigh_get_master(n) != master ||
		    (rtnl_neigh_get_state(n) & (NUD_NOARP | NUD_PERMANENT)) ==
			0)
			continue;
		tell_holder(net, rtnl_neigh_get_ifindex(n), bridge, text, err);
		rc = -EEXIST;
	}
	nl_cache_free(cache);
	return rc;
}

/* The kernel has one entry an address and bridge, so two that race both ask. */
static int
add_mac(struct link_net *net, struct rtnl_link *port, const char *bridge,
    const uint8_t mac[6], struct error *err)
{
	struct nl_addr *addr = nl_addr_build(AF_LLC, mac, 6);
	struct rtnl_neigh *n = NULL;
	char text[32];
	int rc = -NLE_NOMEM;

	if (addr != NULL &&
	    (n = neighbour(rtnl_link_get_ifindex(port), addr)) != NULL)
		rc = rtnl_neigh_add(net->sk, n, NLM_F_CREATE | NLM_F_EXCL);
	if (rc < 0 && to_errno(rc) == EEXIST) {
		nl_addr2str(addr, text, sizeof(text));
		rc = look_for_holder(net, port, bridge, addr, text, err);
		if (rc == 1)
			rc = rtnl_neigh_add(
			    net->sk, n, NLM_F_CREATE | NLM_F_REPLACE);
		else
			goto out;
	}
	if (rc < 0)
		rc = link_net_fail(err, rc, "make its address known",
		    rtnl_link_get_name(port));
out:
	rtnl_neigh_put(n);
	nl_addr_put(addr);
	return rc;
}

static int
join(struct link_net *net, const struct link_spec *spec, const char *bridge,
    bool untagged, struct error *err)
{
	struct rtnl_link *port = NULL;
	int rc;

	rc = set_master(net, spec->name, bridge, err);
	if (rc == 0)
		rc = get_link(net, spec->name, &port, err);
	if (rc == 0)
		rc = set_port(
		    net, port, (spec->protect & LINK_PROTECT_MAC) != 0, err);
	if (rc == 0 && spec->vlan != 0)
		rc = link_net_set_vlan(net, port, spec->vlan, untagged, err);
	if (rc == 0)
		rc = add_mac(net, port, bridge, spec->mac, err);
	rtnl_link_put(port);
	return rc;
}

int
link_net_attach(struct link_net *net, const struct link_spec *spec,
    const char *bridge, unsigned mtu, bool untagged, struct error *err)
{
	const struct wish up = { .up = true };
	const uint8_t *m = spec->mac;
	char alias[160], address[24];
	struct wish w = { .alias = alias, .address = address, .mtu = mtu };
	int rc;

	/* the host's side: of the guest's, above all that bridges choose */
	(void)str_format(address, sizeof(address),
	    "%02x:%02x:%02x:%02x:%02x:%02x", m[0] == 0xfe ? 0xfa : 0xfe, m[1],
	    m[2], m[3], m[4], m[5]);
	link_alias(spec, alias, sizeof(alias));
	rc = change_name(net, spec->name, &w, err);
	if (rc == 0 && bridge != NULL)
		rc = join(net, spec, bridge, untagged, err);
	return rc == 0 ? change_name(net, spec->name, &up, err) : rc;
}

int
link_net_update(
    struct link_net *net, const struct link_spec *spec, struct error *err)
{
	struct rtnl_link *port = NULL;
	int rc = get_link(net, spec->name, &port, err);

	if (rc == 0)
		rc = set_port(
		    net, port, (spec->protect & LINK_PROTECT_MAC) != 0, err);
	rtnl_link_put(port);
	return rc;
}
