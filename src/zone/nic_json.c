/*
 * A NIC as guests read it: the element of sdc:nics. By itself, so that who only
 * describes links needs no JSON.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "zone/nic.h"

#define GUEST_NAME_MAX 15 /* of an interface of Linux */

/* A name that a guest can give its interface. */
static bool
is_guest_name(const char *s)
{
	if (!isalpha((unsigned char)*s) || strlen(s) > GUEST_NAME_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("_-.", *s) == NULL)
			return false;
	return true;
}

/* json_object_set_new(), but a missing value is no memory. */
static int
put(json_t *o, const char *name, json_t *value)
{
	return json_object_set_new(o, name, value) == 0 ? 0 : -ENOMEM;
}

static int
put_text(json_t *o, const char *name, const char *text)
{
	return text != NULL ? put(o, name, json_string(text)) : 0;
}

static int
json_names(const struct zone_nic *nic, unsigned index, json_t *o)
{
	char name[32], mac[18];
	uint8_t m[6];
	int rc;

	str_format(name, sizeof(name), "net%u", index);
	rc = put_text(o, "interface",
	    is_guest_name(nic->physical) ? nic->physical : name);
	/* guests compare the text: two digits a byte */
	if (rc == 0 && nic->mac != NULL && str_to_mac(nic->mac, m) == 0) {
		str_format(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x",
		    m[0], m[1], m[2], m[3], m[4], m[5]);
		rc = put_text(o, "mac", mac);
	}
	if (rc == 0 && nic->vlan != 0)
		rc = put(o, "vlan_id", json_integer(nic->vlan));
	if (rc == 0)
		rc = put_text(o, "nic_tag", nic->slirp ? "slirp" : nic->tag);
	return rc;
}

/* An array of addresses, and the first IPv4 one by itself. */
static int
json_addresses(json_t *o, const char *list, const char *first,
    const struct zone_ip *ip, size_t n, bool prefix, json_t **ret)
{
	json_t *array = json_array();
	char text[INET6_ADDRSTRLEN + 4];
	bool said = false;
	int rc = array != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = zone_ip_format(&ip[i], prefix, text, sizeof(text));
		if (rc == 0 &&
		    json_array_append_new(array, json_string(text)) != 0)
			rc = -ENOMEM;
		if (rc < 0 || said || ip[i].family != AF_INET)
			continue;
		said = true;
		rc = zone_ip_format(&ip[i], false, text, sizeof(text));
		if (rc == 0)
			rc = put_text(o, first, text);
	}
	if (rc < 0) {
		json_decref(array);
		return rc;
	}
	*ret = array;
	return put(o, list, array);
}

static int
json_netmask(const struct zone_nic *nic, json_t *o)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr a = { 0 };

	for (size_t i = 0; i < nic->nips; i++)
		if (nic->ips[i].family == AF_INET) {
			unsigned bits = nic->ips[i].prefix;

			if (bits > 0)
				a.s_addr = htonl(UINT32_MAX << (32 - bits));
			inet_ntop(AF_INET, &a, text, sizeof(text));
			return put_text(o, "netmask", text);
		}
	return 0;
}

static int
json_ips(const struct zone_nic *nic, json_t *o)
{
	bool ask = zone_nic_asks(nic) && (nic->primary || nic->slirp);
	json_t *ips = NULL;
	int rc =
	    json_addresses(o, "ips", "ip", nic->ips, nic->nips, true, &ips);

	if (rc == 0 && (nic->dhcp || ask))
		rc = json_array_append_new(ips, json_string("dhcp"));
	if (rc == 0 && nic->addrconf)
		rc = json_array_append_new(ips, json_string("addrconf"));
	if (rc != 0)
		return -ENOMEM;
	if (nic->dhcp && nic->nips == 0)
		rc = put_text(o, "ip", "dhcp");
	return rc == 0 ? json_netmask(nic, o) : rc;
}

static int
json_rest(const struct zone_nic *nic, json_t *o)
{
	const char *uuid = zone_res_lookup(nic->res, "network-uuid");
	json_t *list = NULL;
	int rc = 0;

	if (nic->ngateways > 0)
		rc = json_addresses(o, "gateways", "gateway", nic->gateways,
		    nic->ngateways, false, &list);
	if (rc == 0)
		rc = put_text(o, "network_uuid", uuid);
	if (rc == 0)
		rc = put_text(o, "model", zone_res_lookup(nic->res, "model"));
	if (rc == 0 && nic->mtu != 0)
		rc = put(o, "mtu", json_integer(nic->mtu));
	if (rc == 0 && nic->primary)
		rc = put(o, "primary", json_true());
	return rc;
}

int
zone_nic_json(const struct zone_nic *nic, unsigned index, struct buf *b)
{
	json_t *o = json_object();
	char *text = NULL;
	int rc = o != NULL ? json_names(nic, index, o) : -ENOMEM;

	if (rc == 0)
		rc = json_ips(nic, o);
	if (rc == 0)
		rc = json_rest(nic, o);
	if (rc == 0) {
		text = json_dumps(o, JSON_COMPACT);
		rc = text != NULL ? buf_append_str(b, text) : -ENOMEM;
	}
	free(text);
	json_decref(o);
	return rc;
}
