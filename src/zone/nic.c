/*
 * From the rows and pairs of a net resource to what they mean together. The
 * modes of protection are illumos's, their defaults SmartOS's: all on, each
 * turned off by its own switch, and a DHCP server's addresses are its own
 * affair.
 */
#include "zone/nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/assign.h"
#include "zone/impl.h"
#include "zone/type.h"

/* LINK_PROTECT_* of link/spec.h, which zone/ does not know */
#define PROTECT_MAC 0x01
#define PROTECT_IP 0x02
#define PROTECT_DHCP 0x04
#define PROTECT_RESTRICTED 0x08
#define PROTECT_STRICT 0x10

#define QUEUES_MAX 16

struct reader {
	const struct zone_res *net;
	struct zone_nic *nic;
	struct error *err;
};

/*
 * What a row or a pair of its names says, checked as the row's type; NULL: it
 * says nothing.
 */
static int
text_of(const struct reader *r, const char *prop, const char **ret)
{
	const struct zone_prop *p = zone_prop_row(zone_res_type(r->net), prop);
	const char *text = zone_res_lookup(r->net, prop);
	cleanup_free char *kept = NULL;

	if (text != NULL && *text == '\0')
		text = NULL;
	if (text != NULL &&
	    zone_type_check(p->type, p->range, text, &kept, r->err) < 0)
		return error_prefix(r->err, "%s", prop);
	*ret = text;
	return 0;
}

static int
number_of(const struct reader *r, const char *prop, enum zone_type type,
    uint64_t *ret)
{
	const char *text = NULL;
	int rc = text_of(r, prop, &text);

	*ret = 0;
	if (rc < 0 || text == NULL)
		return rc;
	return zone_type_number(type, 1, text, ret);
}

static int
parse_word(const struct reader *r, const char *prop, const char *word, size_t n,
    struct zone_ip *ret)
{
	char copy[64];

	if (str_format(copy, sizeof(copy), "%.*s", (int)MIN(n, 63), word) < 0 ||
	    zone_ip_parse(copy, ret) < 0)
		return error_set(r->err, EINVAL, "%s: '%.*s' is no address",
		    prop, (int)MIN(n, 63), word);
	return 0;
}

/* ---- what the guest is told ---- */

static int
add_address(const struct reader *r, const char *prop, const char *word,
    size_t n, struct zone_ip *to, size_t *count)
{
	if (*count == ZONE_NIC_IPS_MAX)
		return error_set(r->err, E2BIG, "%s: more than %d addresses",
		    prop, ZONE_NIC_IPS_MAX);
	if (parse_word(r, prop, word, n, &to[*count]) < 0)
		return -EINVAL;
	++*count;
	return 0;
}

static bool
word_is(const char *word, size_t n, const char *want)
{
	return strlen(want) == n && memcmp(word, want, n) == 0;
}

static int
add_addresses(const struct reader *r, const char *prop, const char *list)
{
	struct zone_nic *nic = r->nic;
	const char *word;
	size_t n;
	int rc = 0;

	while (rc == 0 && (word = zone_word(&list, ',', &n)) != NULL)
		if (word_is(word, n, "dhcp"))
			nic->dhcp = true;
		else if (word_is(word, n, "addrconf"))
			nic->addrconf = true;
		else
			rc =
			    add_address(r, prop, word, n, nic->ips, &nic->nips);
	return rc;
}

/* 255.255.255.0 is 24; -EINVAL: a mask with holes, or none. */
static int
mask_bits(const char *text)
{
	struct in_addr a;
	uint32_t m;
	int bits;

	if (inet_pton(AF_INET, text, &a) != 1)
		return -EINVAL;
	m = ntohl(a.s_addr);
	bits = __builtin_popcount(m);
	return bits == 0 || m == UINT32_MAX << (32 - bits) ? bits : -EINVAL;
}

/* The names of before: ip (or dhcp) and netmask, pairs only. */
static int
read_old_ip(const struct reader *r, const char *ip)
{
	const char *mask = zone_res_pair(r->net, "netmask");
	struct zone_nic *nic = r->nic;
	int rc = add_addresses(r, "ip", ip), bits;

	if (rc < 0 || mask == NULL || *mask == '\0' || nic->nips != 1 ||
	    strchr(ip, '/') != NULL)
		return rc;
	bits = mask_bits(mask);
	if (bits < 0 || nic->ips[0].family != AF_INET)
		return error_set(r->err, EINVAL,
		    "netmask: '%.64s' is no mask of IPv4, as 255.255.255.0",
		    mask);
	nic->ips[0].prefix = (uint8_t)bits;
	return 0;
}

static int
read_ips(const struct reader *r)
{
	const char *text = NULL, *old = zone_res_pair(r->net, "ip");
	int rc = text_of(r, "ips", &text);

	if (rc < 0)
		return rc;
	if (text != NULL)
		return add_addresses(r, "ips", text);
	if (old != NULL && *old != '\0')
		return read_old_ip(r, old);
	rc = text_of(r, "allowed-address", &text);
	return rc < 0 ? rc : add_addresses(r, "allowed-address", text);
}

static int
read_gateways(const struct reader *r)
{
	struct zone_nic *nic = r->nic;
	const char *prop = "gateways", *list = NULL, *word;
	size_t n;
	int rc = text_of(r, prop, &list);

	if (rc == 0 && list == NULL) {
		prop = "defrouter";
		rc = text_of(r, prop, &list);
	}
	while (rc == 0 && (word = zone_word(&list, ',', &n)) != NULL)
		rc = add_address(
		    r, prop, word, n, nic->gateways, &nic->ngateways);
	return rc;
}

/* ---- what the guard lets through ---- */

/* Keep the first bits; a host is all of them. */
static void
mask(struct zone_ip *ip)
{
	unsigned bytes = ip->family == AF_INET ? 4 : 16;

	for (unsigned i = 0; i < bytes; i++) {
		unsigned left = ip->prefix > 8 * i ? ip->prefix - 8 * i : 0;

		if (left < 8)
			ip->addr[i] &= (uint8_t)(0xff00 >> left);
	}
}

static int
allow(const struct reader *r, const char *prop, struct zone_ip ip, bool host)
{
	struct zone_nic *nic = r->nic;

	if (host)
		ip.prefix = ip.family == AF_INET ? 32 : 128;
	mask(&ip);
	for (size_t i = 0; i < nic->nallowed; i++)
		if (memcmp(&nic->allowed[i], &ip, sizeof(ip)) == 0)
			return 0;
	if (nic->nallowed == ZONE_NIC_ALLOWED_MAX)
		return error_set(r->err, E2BIG,
		    "%s: more than %d allowed addresses; use a network's "
		    "prefix in allowed-ips",
		    prop, ZONE_NIC_ALLOWED_MAX);
	nic->allowed[nic->nallowed++] = ip;
	return 0;
}

static int
read_allowed(const struct reader *r)
{
	static const struct {
		const char *prop;
		bool host;
	} rows[] = { { "allowed-address", true }, { "allowed-ips", false } };
	struct zone_nic *nic = r->nic;
	const char *list, *word;
	struct zone_ip ip;
	size_t n;
	int rc = 0;

	for (size_t i = 0; i < nic->nips && rc == 0; i++)
		rc = allow(r, "ips", nic->ips[i], true);
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++) {
		list = NULL;
		rc = text_of(r, rows[i].prop, &list);
		while (rc == 0 && (word = zone_word(&list, ',', &n)) != NULL) {
			rc = parse_word(r, rows[i].prop, word, n, &ip);
			if (rc == 0)
				rc = allow(r, rows[i].prop, ip, rows[i].host);
		}
	}
	return rc;
}

static void
read_protection(const struct reader *r)
{
	struct zone_nic *nic = r->nic;
	bool server = zone_res_flag(r->net, "allow-dhcp-spoofing");

	nic->mac_nospoof = !zone_res_flag(r->net, "allow-mac-spoofing");
	nic->ip_nospoof =
	    !zone_res_flag(r->net, "allow-ip-spoofing") && !server;
	nic->dhcp_nospoof = !server;
	nic->restricted = !zone_res_flag(r->net, "allow-restricted-traffic");
	nic->strict = zone_res_flag(r->net, "strict");
	nic->host_loopback = zone_res_flag(r->net, "allow-host-loopback");
}

/* ---- the whole ---- */

static int
read_texts(const struct reader *r)
{
	struct zone_nic *nic = r->nic;
	const struct {
		const char *prop;
		const char **to;
	} rows[] = {
		{ "physical", &nic->physical },
		{ "global-nic", &nic->tag },
		{ "mac-addr", &nic->mac },
		{ "blocked-outgoing-ports", &nic->blocked },
		{ "allowed-dhcp-cids", &nic->cids },
		{ "hostfwd", &nic->hostfwd },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = text_of(r, rows[i].prop, rows[i].to);
	if (rc == 0 && nic->tag != NULL && strcmp(nic->tag, "slirp") == 0) {
		nic->slirp = true;
		nic->tag = NULL;
	}
	return rc;
}

static int
read_numbers(const struct reader *r)
{
	struct zone_nic *nic = r->nic;
	uint64_t vlan = 0, mtu = 0;
	int rc = number_of(r, "vlan-id", ZONE_UINT, &vlan);

	if (rc == 0)
		rc = number_of(r, "mtu", ZONE_UINT, &mtu);
	if (rc == 0)
		rc = number_of(r, "maxbw", ZONE_RATE, &nic->maxbw);
	nic->vlan = (unsigned)vlan;
	nic->mtu = (unsigned)mtu;
	return rc;
}

int
zone_nic_read(
    const struct zone_res *net, struct zone_nic *ret, struct error *err)
{
	static int (*const parts[])(const struct reader *) = { read_texts,
		read_numbers, read_ips, read_gateways, read_allowed };
	struct zone_nic nic = { .res = net };
	const struct reader r = { net, &nic, err };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts) && rc == 0; i++)
		rc = parts[i](&r);
	if (rc < 0)
		return rc;
	nic.primary = zone_res_flag(net, "primary");
	read_protection(&r);
	*ret = nic;
	return 0;
}

int
zone_nics_read(
    const struct zone_conf *conf, struct zone_nics *ret, struct error *err)
{
	const struct zone_rtype *net = zone_rtype_find("net");
	struct zone_nics nics = { NULL, 0 };
	const struct zone_res *r;
	size_t n = 0;
	int rc = 0;

	for (r = zone_conf_next(conf, net, NULL); r != NULL;
	     r = zone_conf_next(conf, net, r))
		n++;
	nics.v = alloc_zero(n + 1, sizeof(*nics.v));
	if (nics.v == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (r = zone_conf_next(conf, net, NULL); r != NULL && rc == 0;
	     r = zone_conf_next(conf, net, r)) {
		rc = zone_nic_read(r, &nics.v[nics.n++], err);
		if (rc < 0)
			rc = error_prefix(
			    err, "net %.64s", zone_res_get(r, "physical"));
	}
	if (n == 1)
		nics.v[0].primary = true;
	if (rc < 0)
		zone_nics_fini(&nics);
	else
		*ret = nics;
	return rc;
}

void
zone_nics_fini(struct zone_nics *nics)
{
	free(nics->v);
	*nics = (struct zone_nics){ NULL, 0 };
}

bool
zone_nic_asks(const struct zone_nic *nic)
{
	return nic->nallowed == 0 && !nic->dhcp && !nic->addrconf;
}

int
zone_ip_format(const struct zone_ip *ip, bool prefix, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(ip->family, ip->addr, text, sizeof(text)) == NULL)
		return -EINVAL;
	return prefix ? str_format(buf, size, "%s/%u", text, ip->prefix)
		      : str_format(buf, size, "%s", text);
}

/* ---- the link list ---- */

static int
put_allowed(const struct zone_nic *nic, struct nvlist *link)
{
	char text[ZONE_NIC_ALLOWED_MAX][INET6_ADDRSTRLEN + 4];
	const char *list[ZONE_NIC_ALLOWED_MAX];
	int rc = 0;

	for (size_t i = 0; i < nic->nallowed && rc == 0; i++) {
		rc = zone_ip_format(
		    &nic->allowed[i], true, text[i], sizeof(text[i]));
		list[i] = text[i];
	}
	if (rc == 0 && nic->nallowed > 0)
		rc = nvlist_add_strs(link, "allowed", list, nic->nallowed);
	return rc;
}

static int
put_dynamic(const struct zone_nic *nic, struct nvlist *link)
{
	const char *list[3];
	size_t n = 0;

	if (nic->dhcp || zone_nic_asks(nic))
		list[n++] = "dhcpv4";
	if (nic->addrconf || zone_nic_asks(nic)) {
		list[n++] = "dhcpv6";
		list[n++] = "slaac";
	}
	return n > 0 ? nvlist_add_strs(link, "dynamic", list, n) : 0;
}

/* The words of a list that was checked. */
static int
put_words(struct nvlist *link, const char *name, const char *list)
{
	const char *words[ZONE_NIC_PORTS_MAX];
	cleanup_free char *copy = NULL;
	size_t n = 0;
	char *save = NULL;

	if (list == NULL)
		return 0;
	copy = alloc_strdup(list);
	if (copy == NULL)
		return -ENOMEM;
	for (char *w = strtok_r(copy, ",", &save);
	     w != NULL && n < ARRAY_LEN(words); w = strtok_r(NULL, ",", &save))
		words[n++] = w;
	return nvlist_add_strs(link, name, words, n);
}

/* Whose addresses are learned may call itself anything, as on SmartOS. */
static const char *
cids_of(const struct zone_nic *nic)
{
	if (nic->cids != NULL)
		return nic->cids;
	return nic->dhcp || nic->addrconf || zone_nic_asks(nic) ? "*" : NULL;
}

static int
put_texts(const struct zone_nic *nic, const char *zone, struct nvlist *link)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{ "zone", zone },
		{ "net", nic->physical },
		{ "mac", nic->mac },
		{ "tag", nic->tag },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		if (rows[i].value != NULL)
			rc = nvlist_add_str(link, rows[i].name, rows[i].value);
	return rc;
}

static int
put_numbers(const struct zone_nic *nic, unsigned queues, struct nvlist *link)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "vlan", nic->vlan },
		{ "mtu", nic->mtu },
		{ "queues", queues },
		{ "protect",
		    (nic->mac_nospoof ? PROTECT_MAC : 0) |
			(nic->ip_nospoof ? PROTECT_IP : 0) |
			(nic->dhcp_nospoof ? PROTECT_DHCP : 0) |
			(nic->restricted ? PROTECT_RESTRICTED : 0) |
			(nic->strict ? PROTECT_STRICT : 0) },
		{ "maxbw", nic->maxbw },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = nvlist_add_u64(link, rows[i].name, rows[i].value);
	return rc;
}

int
zone_nic_link(const struct zone_nic *nic, const char *zone, unsigned queues,
    struct nvlist **ret, struct error *err)
{
	struct nvlist *link;
	int rc;

	if (nic->mac == NULL)
		return error_set(err, EINVAL, "mac-addr is not set");
	if (queues < 1 || queues > QUEUES_MAX)
		return error_set(err, EINVAL, "%u queues: there are 1 to %d",
		    queues, QUEUES_MAX);
	link = nvlist_create();
	rc = link != NULL ? put_texts(nic, zone, link) : -ENOMEM;
	if (rc == 0)
		rc = put_numbers(nic, queues, link);
	if (rc == 0)
		rc = put_allowed(nic, link);
	if (rc == 0)
		rc = put_dynamic(nic, link);
	if (rc == 0)
		rc = put_words(link, "cids", cids_of(nic));
	if (rc == 0)
		rc = put_words(link, "blocked", nic->blocked);
	if (rc < 0) {
		nvlist_free(link);
		return error_sys(err, -rc, "link");
	}
	*ret = link;
	return 0;
}
