/*
 * VLANs of bridges that filter them (Linux
 * Documentation/networking/bridge.rst), which libnl-route knows in part.
 */
#include <errno.h>
#include <sys/socket.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>

#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "base/str.h"
#include "link/net_impl.h"

#define VLAN_MOST 4094

/* A port's memberships; a kernel that cannot filter VLANs has none. */
static int
change_vlans(struct link_net *net, struct rtnl_link *port, int type,
    const struct bridge_vlan_info *vlans, size_t n, struct error *err)
{
	struct ifinfomsg info = { .ifi_family = AF_BRIDGE,
		.ifi_index = rtnl_link_get_ifindex(port) };
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST);
	struct nlattr *nest = NULL;
	int rc = -NLE_NOMEM;

	if (msg == NULL || nlmsg_append(msg, &info, sizeof(info), 4) != 0 ||
	    (nest = nla_nest_start(msg, IFLA_AF_SPEC)) == NULL)
		goto out;
	rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = nla_put(
		    msg, IFLA_BRIDGE_VLAN_INFO, sizeof(vlans[i]), &vlans[i]);
	if (rc == 0) {
		nla_nest_end(msg, nest);
		rc = nl_send_sync(net->sk, msg); /* frees it */
		msg = NULL;
	}
out:
	nlmsg_free(msg);
	return rc < 0 && rc != -NLE_OPNOTSUPP
	    ? link_net_fail(err, rc, "make it a member of its VLAN",
		  rtnl_link_get_name(port))
	    : 0;
}

/*
 * What is tagged by the guard passes for members only; the bridge knows the
 * port's address in each of its VLANs. It has made the port a member of its
 * own, which others' frames would come from.
 */
int
link_net_set_vlan(struct link_net *net, struct rtnl_link *port, unsigned vlan,
    bool untagged, struct error *err)
{
	static const struct bridge_vlan_info all[] = {
		{ BRIDGE_VLAN_INFO_RANGE_BEGIN, 1 },
		{ BRIDGE_VLAN_INFO_RANGE_END, VLAN_MOST },
	};
	const struct bridge_vlan_info member = {
		.flags = untagged
		    ? BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED
		    : 0,
		.vid = (uint16_t)vlan,
	};
	int rc;

	rc = change_vlans(net, port, RTM_DELLINK, all, ARRAY_LEN(all), err);
	return rc == 0 ? change_vlans(net, port, RTM_SETLINK, &member, 1, err)
		       : rc;
}

/* ---- whether it filters ---- */

static int
hear_bridge(struct nl_msg *msg, void *arg)
{
	struct nlattr *info[IFLA_INFO_MAX + 1], *br[IFLA_BR_MAX + 1];
	struct nlattr *a = nlmsg_find_attr(
	    nlmsg_hdr(msg), sizeof(struct ifinfomsg), IFLA_LINKINFO);
	bool *filters = arg;

	if (a != NULL && nla_parse_nested(info, IFLA_INFO_MAX, a, NULL) == 0 &&
	    info[IFLA_INFO_DATA] != NULL &&
	    nla_parse_nested(br, IFLA_BR_MAX, info[IFLA_INFO_DATA], NULL) ==
		0 &&
	    br[IFLA_BR_VLAN_FILTERING] != NULL)
		*filters = nla_get_u8(br[IFLA_BR_VLAN_FILTERING]) != 0;
	return NL_OK;
}

static int
ask_bridge(struct link_net *net, const char *bridge, bool *ret)
{
	const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST);
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int rc = -NLE_NOMEM;

	if (msg != NULL && cb != NULL &&
	    nlmsg_append(msg, (void *)(uintptr_t)&any, sizeof(any), 4) == 0 &&
	    nla_put_string(msg, IFLA_IFNAME, bridge) == 0 &&
	    nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, hear_bridge, ret) == 0)
		rc = nl_send_auto(net->sk, msg);
	if (rc >= 0)
		rc = nl_recvmsgs(net->sk, cb);
	if (rc >= 0)
		rc = nl_wait_for_ack(net->sk);
	nl_cb_put(cb);
	nlmsg_free(msg);
	return rc;
}

int
link_net_filters(
    struct link_net *net, const char *bridge, bool *ret, struct error *err)
{
	bool filters = false;
	int rc = ask_bridge(net, bridge, &filters);

	if (rc < 0)
		return link_net_fail(err, rc, "ask for its VLANs", bridge);
	*ret = filters;
	return 0;
}
