/*
 * The rules of nets: each by itself, then against the others of the zone. What
 * depends on the host (its NIC tags, its other zones) is not said here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "zone/impl.h"
#include "zone/nic.h"
#include "zone/verify.h"

struct nets {
	struct zone_nics nics;
	struct error *err;
};

/* ---- addresses ---- */

/* Which property gave the addresses, for a message. */
static const char *
ips_name(const struct zone_nic *nic)
{
	const char *old = zone_res_pair(nic->res, "ip");

	if (zone_res_lookup(nic->res, "ips") != NULL)
		return "ips";
	return old != NULL && *old != '\0' ? "ip" : "allowed-address";
}

static const char *
gateways_name(const struct zone_nic *nic)
{
	return zone_res_lookup(nic->res, "gateways") != NULL ? "gateways"
							     : "defrouter";
}

static unsigned
bits_of(const struct zone_ip *ip)
{
	return ip->family == AF_INET ? 32 : 128;
}

/* Are all bits behind the prefix as 'bit'? */
static bool
host_bits(const struct zone_ip *ip, bool bit)
{
	for (unsigned i = ip->prefix; i < bits_of(ip); i++)
		if (((ip->addr[i / 8] >> (7 - i % 8)) & 1) != bit)
			return false;
	return true;
}

static bool
same_network(const struct zone_ip *a, const struct zone_ip *b, unsigned prefix)
{
	if (a->family != b->family)
		return false;
	for (unsigned i = 0; i < prefix; i++)
		if (((a->addr[i / 8] ^ b->addr[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	return true;
}

/* RFC 6890: what no interface has. */
static bool
is_special(const struct zone_ip *ip)
{
	static const char *const blocks[] = { "0.0.0.0/8", "127.0.0.0/8",
		"224.0.0.0/3", "::/128", "::1/128", "ff00::/8" };
	struct zone_ip block;

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		if (zone_ip_parse(blocks[i], &block) == 0 &&
		    same_network(ip, &block, block.prefix))
			return true;
	return false;
}

static const char *
show(const struct zone_ip *ip, bool prefix, char buf[INET6_ADDRSTRLEN + 4])
{
	(void)zone_ip_format(ip, prefix, buf, INET6_ADDRSTRLEN + 4);
	return buf;
}

/* Two addresses are enough for a link of two (RFC 3021, RFC 6164). */
static int
check_ip(
    const struct zone_nic *nic, const struct zone_ip *ip, struct error *err)
{
	char text[INET6_ADDRSTRLEN + 4];
	const char *what = NULL;

	if (is_special(ip))
		what = "is no address that a NIC can have";
	else if (ip->prefix + 1U < bits_of(ip) && host_bits(ip, false))
		what = "is the address of the network itself";
	else if (ip->family == AF_INET && ip->prefix < 31 &&
	    host_bits(ip, true))
		what = "is the broadcast address of its network";
	if (what == NULL)
		return 0;
	return error_set(err, EINVAL, "%s: %s %s", ips_name(nic),
	    show(ip, true, text), what);
}

/* Can a gateway be reached, as far as anybody knows before the guest runs? */
static bool
reachable(const struct zone_nic *nic, const struct zone_ip *gw)
{
	struct zone_ip local;

	if (gw->family == AF_INET ? nic->dhcp : nic->addrconf)
		return true;
	if (nic->nips == 0 && !nic->dhcp && !nic->addrconf)
		return true;
	if (zone_ip_parse("fe80::/10", &local) == 0 &&
	    same_network(gw, &local, local.prefix))
		return true;
	for (size_t i = 0; i < nic->nips; i++)
		/* of a single address any gateway may be the neighbour */
		if (nic->ips[i].family == gw->family &&
		    (nic->ips[i].prefix == bits_of(gw) ||
			same_network(&nic->ips[i], gw, nic->ips[i].prefix)))
			return true;
	return false;
}

static int
check_gateway(
    const struct zone_nic *nic, const struct zone_ip *gw, struct error *err)
{
	const char *name = gateways_name(nic);
	char text[INET6_ADDRSTRLEN + 4];

	show(gw, false, text);
	if (is_special(gw))
		return error_set(err, EINVAL,
		    "%s: %s is no address that a router can have", name, text);
	if (!reachable(nic, gw))
		return error_set(err, EINVAL, "%s: %s is in no network of %s",
		    name, text, ips_name(nic));
	for (size_t i = 0; i < nic->nips; i++)
		if (same_network(&nic->ips[i], gw, bits_of(gw)))
			return error_set(err, EINVAL,
			    "%s: %s is the guest's own address", name, text);
	return 0;
}

static int
rule_addresses(const struct nets *n, const struct zone_nic *nic)
{
	int rc = 0;

	for (size_t i = 0; i < nic->nips && rc == 0; i++)
		rc = check_ip(nic, &nic->ips[i], n->err);
	for (size_t i = 0; i < nic->ngateways && rc == 0; i++)
		rc = check_gateway(nic, &nic->gateways[i], n->err);
	return rc;
}

/* Each address of the guest once, on whichever NIC. */
static int
rule_once(const struct nets *n, const struct zone_nic *nic)
{
	char text[INET6_ADDRSTRLEN + 4];
	const struct zone_nic *other;

	for (size_t i = 0; i < nic->nips; i++)
		for (other = n->nics.v; other <= nic; other++)
			for (size_t k = 0; k < (other == nic ? i : other->nips);
			     k++)
				if (same_network(&nic->ips[i], &other->ips[k],
					bits_of(&nic->ips[i])))
					return error_set(n->err, EINVAL,
					    "%s: %s is given to net %.64s "
					    "already",
					    ips_name(nic),
					    show(&nic->ips[i], false, text),
					    other->physical);
	return 0;
}

/* ---- what goes with what ---- */

/* A link's tag and guard are nothing to a network that has no link. */
static int
rule_slirp(const struct nets *n, const struct zone_nic *nic)
{
	const struct {
		const char *name;
		bool set;
	} rows[] = {
		{ "vlan-id", nic->vlan != 0 },
		{ "maxbw", nic->maxbw != 0 },
		{ "blocked-outgoing-ports", nic->blocked != NULL },
	};

	if (!nic->slirp && nic->hostfwd != NULL)
		return error_set(n->err, EINVAL,
		    "hostfwd: only with global-nic slirp; clear one");
	if (!nic->slirp && nic->host_loopback)
		return error_set(n->err, EINVAL,
		    "allow-host-loopback: only with global-nic slirp; clear "
		    "one");
	for (size_t i = 0; nic->slirp && i < ARRAY_LEN(rows); i++)
		if (rows[i].set)
			return error_set(n->err, EINVAL,
			    "%s: there is none with global-nic slirp; clear it",
			    rows[i].name);
	return 0;
}

int
zone_verify_nets(const struct zone_conf *conf, struct error *err)
{
	static int (*const rules[])(
	    const struct nets *, const struct zone_nic *) = { rule_addresses,
		rule_once, rule_slirp };
	struct nets n = { .err = err };
	int rc;

	rc = zone_nics_read(conf, &n.nics, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n.nics.n && rc == 0; i++) {
		for (size_t k = 0; k < ARRAY_LEN(rules) && rc == 0; k++)
			rc = rules[k](&n, &n.nics.v[i]);
		if (rc < 0)
			rc = error_prefix(
			    err, "net %.64s", n.nics.v[i].physical);
	}
	zone_nics_fini(&n.nics);
	return rc;
}
