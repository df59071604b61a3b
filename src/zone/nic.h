/*
 * A net resource, understood: one place that knows how its properties, their
 * SmartOS names (net-attr) and the defaults add up. The boot hook, verify,
 * the metadata service and vmadm ask here.
 */
#ifndef ZONE_NIC_H
#define ZONE_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/nvlist.h"
#include "zone/conf.h"

#define ZONE_NIC_IPS_MAX 20
#define ZONE_NIC_ALLOWED_MAX 64
#define ZONE_NIC_PORTS_MAX 64

struct zone_ip {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t prefix;
	uint8_t addr[16]; /* IPv4: the first four */
};
int zone_ip_parse(const char *text, struct zone_ip *ret); /* -EINVAL */
int
zone_ip_format(const struct zone_ip *ip, bool prefix, char *buf, size_t size);

struct zone_nic {
	const struct zone_res *res; /* texts below lie in there */
	const char *physical, *tag, *mac; /* tag NULL: none */
	unsigned vlan, mtu; /* 0: none; the link's */
	bool primary;
	/* what the guest is told: ips (or allowed-address), gateways */
	struct zone_ip ips[ZONE_NIC_IPS_MAX];
	size_t nips;
	bool dhcp, addrconf; /* said in ips */
	struct zone_ip gateways[ZONE_NIC_IPS_MAX];
	size_t ngateways;
	/* what the guard lets through */
	struct zone_ip allowed[ZONE_NIC_ALLOWED_MAX];
	size_t nallowed;
	bool mac_nospoof, ip_nospoof, dhcp_nospoof, restricted, strict;
	uint64_t maxbw; /* bit/s; 0: no limit */
	const char *blocked; /* outgoing ports, "25,6000-6063"; NULL */
	const char *cids; /* DHCP client ids, comma list; NULL: the default */
	bool slirp; /* user-mode network instead of a link */
	const char *hostfwd; /* of slirp; NULL */
	bool host_loopback; /* slirp: its gateway leads to this host's own */
};

/* Errors name the property and the value; the caller adds the resource. */
int zone_nic_read(
    const struct zone_res *net, struct zone_nic *ret, struct error *err);
struct zone_nics {
	struct zone_nic *v; /* as long as the configuration lives */
	size_t n;
};
/* All nets; a single one is the primary one. Errors name the net. */
int zone_nics_read(
    const struct zone_conf *conf, struct zone_nics *ret, struct error *err);
void zone_nics_fini(struct zone_nics *nics);

/*
 * Nothing says which addresses the guest has: it asks for them (DHCP), and what
 * it gets is learned.
 */
bool zone_nic_asks(const struct zone_nic *nic);
/* The link list of docs/network.md. queues 1..16. */
int zone_nic_link(const struct zone_nic *nic, const char *zone, unsigned queues,
    struct nvlist **ret, struct error *err);
/*
 * The element of sdc:nics, a JSON object, appended. Its interface is called as
 * 'physical' says or, where no guest could, net<index>. A guest looks for its
 * gateways at the primary NIC only: of a single NIC the caller sets primary.
 */
int zone_nic_json(const struct zone_nic *nic, unsigned index, struct buf *b);

#endif
