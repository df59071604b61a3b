/*
 * Static routes. cloud-init gives each to every static address, so what is
 * wrong here breaks a guest's network: a route that cannot be is an error that
 * names it.
 */
#include "zone/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define SHOWN 64 /* characters of a value in an error */

/* What stands in the brackets of "nics[...]". */
static bool
bracketed(const char *text, const char *name, char *buf, size_t size)
{
	size_t n = strlen(name), len = strlen(text);

	return len > n + 2 && strncmp(text, name, n) == 0 && text[n] == '[' &&
	    text[len - 1] == ']' &&
	    str_format(buf, size, "%.*s", (int)(len - n - 2), text + n + 1) ==
	    0;
}

static const struct zone_nic *
by_mac(const struct zone_nics *nics, const char *text)
{
	uint8_t want[6], mac[6];

	if (str_to_mac(text, want) != 0)
		return NULL;
	for (size_t i = 0; i < nics->n; i++)
		if (nics->v[i].mac != NULL &&
		    str_to_mac(nics->v[i].mac, mac) == 0 &&
		    memcmp(mac, want, sizeof(mac)) == 0)
			return &nics->v[i];
	return NULL;
}

/* 1 and the NIC; 0: it is no NIC; -EINVAL: one that is not there. */
static int
nic_of(
    const struct zone_nics *nics, const char *text, const struct zone_nic **ret)
{
	char in[32];
	uint64_t i;

	*ret = NULL;
	if (bracketed(text, "nics", in, sizeof(in))) {
		if (nics->n > 0 && str_to_u64(in, 0, nics->n - 1, &i) == 0)
			*ret = &nics->v[i];
	} else if (bracketed(text, "macs", in, sizeof(in))) {
		*ret = by_mac(nics, in);
	} else {
		return 0;
	}
	return *ret != NULL ? 1 : -EINVAL;
}

/* The NIC's first own address of that family. */
static int
own_address(const struct zone_nic *nic, uint8_t family, char *buf, size_t size)
{
	for (size_t i = 0; i < nic->nips; i++)
		if (nic->ips[i].family == family)
			return zone_ip_format(&nic->ips[i], false, buf, size);
	return -ENOENT;
}

static int
put_route(json_t *to, const char *dst, const char *gateway, bool linklocal)
{
	json_t *o = json_pack("{s:b,s:s,s:s}", "linklocal", linklocal, "dst",
	    dst, "gateway", gateway);

	/* takes o over, whatever comes of it */
	return json_array_append_new(to, o) == 0 ? 0 : -ENOMEM;
}

static int
add_route(json_t *to, const char *dst, const char *gateway,
    const struct zone_nics *nics, struct error *err)
{
	const struct zone_nic *nic = NULL;
	struct zone_ip where, via;
	char own[INET6_ADDRSTRLEN];
	int rc;

	if (zone_ip_parse(dst, &where) < 0)
		return error_set(err, EINVAL,
		    "routes.json: '%.*s' is no network, as 172.16.0.0/12",
		    SHOWN, dst);
	rc = nic_of(nics, gateway, &nic);
	if (rc == 0) {
		if (strchr(gateway, '/') == NULL &&
		    zone_ip_parse(gateway, &via) == 0 &&
		    via.family == where.family)
			return put_route(to, dst, gateway, false);
		return error_set(err, EINVAL,
		    "routes.json: '%.*s' to '%.*s': the gateway is no address "
		    "of that kind, nics[N] or macs[MAC]",
		    SHOWN, dst, SHOWN, gateway);
	}
	if (rc < 0)
		return error_set(err, EINVAL,
		    "routes.json: '%.*s' to '%.*s': the zone has no such net",
		    SHOWN, dst, SHOWN, gateway);
	rc = own_address(nic, where.family, own, sizeof(own));
	return rc == 0 ? put_route(to, dst, own, true) : 0;
}

static int
add_routes(
    json_t *to, json_t *from, const struct zone_nics *nics, struct error *err)
{
	const char *dst;
	json_t *v;
	int rc = 0;

	if (!json_is_object(from))
		return error_set(err, EINVAL,
		    "routes.json: not an object, as "
		    "{\"172.16.0.0/12\": \"10.0.0.254\"}");
	json_object_foreach(from, dst, v)
	{
		if (rc == 0 && !json_is_string(v))
			rc = error_set(err, EINVAL,
			    "routes.json: '%.*s': the gateway is no text",
			    SHOWN, dst);
		if (rc == 0)
			rc =
			    add_route(to, dst, json_string_value(v), nics, err);
	}
	return rc;
}

int
zone_routes_json(const char *text, const struct zone_nics *nics, struct buf *b,
    struct error *err)
{
	json_t *to = json_array(), *from = NULL;
	char *dump = NULL;
	json_error_t je;
	int rc = to != NULL ? 0 : -ENOMEM;

	if (rc == 0 && text != NULL) {
		from = json_loads(text, JSON_REJECT_DUPLICATES, &je);
		rc = from != NULL ? add_routes(to, from, nics, err)
				  : error_set(err, EINVAL, "routes.json:%d: %s",
					je.line, je.text);
	}
	if (rc == 0)
		dump = json_dumps(to, JSON_COMPACT);
	if (rc == 0)
		rc = dump != NULL ? buf_append_str(b, dump) : -ENOMEM;
	free(dump);
	json_decref(from);
	json_decref(to);
	return rc;
}
