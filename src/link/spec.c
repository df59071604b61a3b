/*
 * The list of docs/network.md, row by row: a table says which fields there are
 * and who reads them. The boot hook made it, but it went through files, so
 * nothing in it is believed.
 */
#include "link/spec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

#define MTU_LEAST 576
#define MTU_MOST 9216
#define VLAN_MOST 4094

struct reading {
	struct link_spec *spec;
	const struct nvlist *list;
	struct error *err;
};

/* ---- names ---- */

/* A name goes into an interface's alias and into logs. */
static int
get_name(const struct reading *r, const char *field, bool needed, char *ret)
{
	const char *text;
	int rc = nvlist_get_str(r->list, field, &text);

	if (rc == -ENOENT && !needed)
		return 0;
	if (rc < 0 || text[0] == '\0' || strlen(text) > 64)
		return error_set(
		    r->err, EINVAL, "%s: a name of 1 to 64 bytes", field);
	for (const char *p = text; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p))
			return error_set(r->err, EINVAL,
			    "%s: a byte 0x%02x in a name", field,
			    (unsigned char)*p);
	strcpy(ret, text);
	return 0;
}

static int
read_zone(const struct reading *r, const char *field)
{
	return get_name(r, field, true, r->spec->zone);
}

static int
read_net(const struct reading *r, const char *field)
{
	return get_name(r, field, true, r->spec->net);
}

static int
read_tag(const struct reading *r, const char *field)
{
	return get_name(r, field, false, r->spec->tag);
}

static int
read_mac(const struct reading *r, const char *field)
{
	static const uint8_t zero[6];
	const char *text = "";

	(void)nvlist_get_str(r->list, field, &text);
	if (str_to_mac(text, r->spec->mac) < 0)
		return error_set(r->err, EINVAL,
		    "mac '%.40s': six bytes in hex, colons between", text);
	if ((r->spec->mac[0] & 1) != 0 || memcmp(r->spec->mac, zero, 6) == 0)
		return error_set(r->err, EINVAL,
		    "mac '%.40s': of a group or of nobody, no link has it",
		    text);
	return 0;
}

/* ---- numbers ---- */

static int
get_number(const struct reading *r, const char *field, uint64_t least,
    uint64_t most, unsigned *ret)
{
	uint64_t v = 0;
	int rc = nvlist_get_u64(r->list, field, &v);

	if (rc == -ENOENT && *ret != 0)
		return 0;
	if ((rc < 0 && rc != -ENOENT) || (v != 0 && v < least) || v > most ||
	    (v == 0 && *ret != 0))
		return error_set(r->err, EINVAL, "%s %ju: %ju to %ju can be",
		    field, (uintmax_t)v, (uintmax_t)least, (uintmax_t)most);
	*ret = (unsigned)v;
	return 0;
}

static int
read_vlan(const struct reading *r, const char *field)
{
	return get_number(r, field, 1, VLAN_MOST, &r->spec->vlan);
}

static int
read_mtu(const struct reading *r, const char *field)
{
	return get_number(r, field, MTU_LEAST, MTU_MOST, &r->spec->mtu);
}

static int
read_queues(const struct reading *r, const char *field)
{
	r->spec->queues = 1; /* what there is when nobody says; 0 is none */
	return get_number(r, field, 1, LINK_QUEUES_MAX, &r->spec->queues);
}

static int
read_protect(const struct reading *r, const char *field)
{
	return get_number(
	    r, field, 0, 2 * LINK_PROTECT_STRICT - 1, &r->spec->protect);
}

static int
read_maxbw(const struct reading *r, const char *field)
{
	int rc = nvlist_get_u64(r->list, field, &r->spec->maxbw);

	return rc == 0 || rc == -ENOENT
	    ? 0
	    : error_set(r->err, EINVAL, "%s: a number, in bit/s", field);
}

/* ---- arrays of texts ---- */

/* No sign, no blanks, and no leading zero, which could be octal. */
static int
decimal(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
	if (!isdigit((unsigned char)text[0]) ||
	    (text[0] == '0' && text[1] != '\0'))
		return -EINVAL;
	return str_to_u64(text, least, most, ret);
}

static int
get_texts(const struct reading *r, const char *field, size_t max,
    const char *const **ret, size_t *ret_n)
{
	int rc = nvlist_get_strs(r->list, field, ret, ret_n);

	if (rc == -ENOENT) {
		*ret_n = 0;
		return 0;
	}
	if (rc < 0)
		return error_set(r->err, EINVAL, "%s: no list of texts", field);
	return *ret_n <= max
	    ? 0
	    : error_set(r->err, E2BIG, "%s: %zu of them, %zu are the most",
		  field, *ret_n, max);
}

static int
parse_prefix(const char *text, struct link_prefix *ret)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	uint64_t bits;

	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = '\0';
	*ret = (struct link_prefix){ .family = AF_INET };
	if (inet_pton(AF_INET, addr, ret->addr) != 1) {
		ret->family = AF_INET6;
		if (inet_pton(AF_INET6, addr, ret->addr) != 1)
			return -EINVAL;
	}
	bits = ret->family == AF_INET ? 32 : 128;
	if (slash != NULL && decimal(slash + 1, 0, bits, &bits) < 0)
		return -EINVAL;
	ret->prefix = (uint8_t)bits;
	return 0;
}

static int
read_allowed(const struct reading *r, const char *field)
{
	struct link_spec *s = r->spec;
	const char *const *v;
	size_t n;
	int rc = get_texts(r, field, LINK_ALLOWED_MAX, &v, &n);

	for (; rc == 0 && s->nallowed < n; s->nallowed++)
		if (parse_prefix(v[s->nallowed], &s->allowed[s->nallowed]) < 0)
			return error_set(r->err, EINVAL,
			    "%s '%.64s': ADDRESS/PREFIX", field,
			    v[s->nallowed]);
	return rc;
}

static int
read_dynamic(const struct reading *r, const char *field)
{
	static const struct {
		const char *name;
		unsigned bit;
	} rows[] = {
		{ "dhcpv4", LINK_DYN_DHCPV4 },
		{ "dhcpv6", LINK_DYN_DHCPV6 },
		{ "slaac", LINK_DYN_SLAAC },
	};
	const char *const *v;
	size_t n, k;
	int rc = get_texts(r, field, ARRAY_LEN(rows), &v, &n);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		for (k = 0; k < ARRAY_LEN(rows); k++)
			if (strcmp(rows[k].name, v[i]) == 0)
				break;
		if (k == ARRAY_LEN(rows))
			return error_set(r->err, EINVAL,
			    "%s '%.64s': dhcpv4, dhcpv6 and slaac can be",
			    field, v[i]);
		r->spec->dynamic |= rows[k].bit;
	}
	return rc;
}

static int
hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0'
	    : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					 : -1;
}

static int
parse_cid(const char *text, struct link_cid *ret)
{
	size_t n = strlen(text);

	if (n < 4 || n % 2 != 0 || n / 2 - 1 > LINK_CID_MAX || text[0] != '0' ||
	    tolower((unsigned char)text[1]) != 'x')
		return -EINVAL;
	ret->len = (uint8_t)(n / 2 - 1);
	for (size_t i = 0; i < ret->len; i++) {
		int high = hex(text[2 + 2 * i]), low = hex(text[3 + 2 * i]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int
read_cids(const struct reading *r, const char *field)
{
	struct link_spec *s = r->spec;
	const char *const *v;
	size_t n;
	int rc = get_texts(r, field, LINK_CIDS_MAX, &v, &n);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (strcmp(v[i], "*") == 0)
			s->any_cid = true;
		else if (parse_cid(v[i], &s->cids[s->ncids++]) < 0)
			return error_set(r->err, EINVAL,
			    "%s '%.64s': '*', or 0x and 1 to %d bytes in hex",
			    field, v[i], LINK_CID_MAX);
	}
	return rc;
}

static int
parse_ports(const char *text, struct link_ports *ret)
{
	char first[8];
	const char *dash = strchr(text, '-');
	uint64_t a, b;

	if (dash == NULL) {
		if (decimal(text, 1, UINT16_MAX, &a) < 0)
			return -EINVAL;
		b = a;
	} else if (str_format(first, sizeof(first), "%.*s", (int)(dash - text),
		       text) < 0 ||
	    decimal(first, 1, UINT16_MAX, &a) < 0 ||
	    decimal(dash + 1, a, UINT16_MAX, &b) < 0) {
		return -EINVAL;
	}
	*ret = (struct link_ports){ (uint16_t)a, (uint16_t)b };
	return 0;
}

static int
read_blocked(const struct reading *r, const char *field)
{
	struct link_spec *s = r->spec;
	const char *const *v;
	size_t n;
	int rc = get_texts(r, field, LINK_PORTS_MAX, &v, &n);

	for (; rc == 0 && s->nports < n; s->nports++)
		if (parse_ports(v[s->nports], &s->ports[s->nports]) < 0)
			return error_set(r->err, EINVAL,
			    "%s '%.64s': PORT or FIRST-LAST, 1 to 65535", field,
			    v[s->nports]);
	return rc;
}

/* ---- the whole ---- */

static const struct {
	const char *name;
	int (*read)(const struct reading *r, const char *field);
} fields[] = {
	{ "net", read_net }, /* first: the others' errors name it */
	{ "zone", read_zone },
	{ "mac", read_mac },
	{ "tag", read_tag },
	{ "vlan", read_vlan },
	{ "mtu", read_mtu },
	{ "queues", read_queues },
	{ "protect", read_protect },
	{ "allowed", read_allowed },
	{ "dynamic", read_dynamic },
	{ "cids", read_cids },
	{ "blocked", read_blocked },
	{ "maxbw", read_maxbw },
};

/* A field that nobody reads would be a wall that is not there. */
static int
check_names(const struct reading *r)
{
	const struct nvpair *p = NULL;
	size_t i;

	while ((p = nvlist_next(r->list, p)) != NULL) {
		for (i = 0; i < ARRAY_LEN(fields); i++)
			if (strcmp(fields[i].name, nvpair_name(p)) == 0)
				break;
		if (i == ARRAY_LEN(fields))
			return error_set(r->err, EINVAL,
			    "there is no field '%.64s'", nvpair_name(p));
	}
	return 0;
}

int
link_spec_read(const struct nvlist *link, uint64_t did, struct link_spec *ret,
    struct error *err)
{
	struct link_spec s = { 0 };
	const struct reading r = { &s, link, err };
	int rc = check_names(&r);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(fields); i++)
		rc = fields[i].read(&r, fields[i].name);
	if (rc < 0)
		return error_prefix(
		    err, "net %s", s.net[0] != '\0' ? s.net : "?");
	link_name("", &s, did, 0, s.name);
	*ret = s;
	return 0;
}

/* ---- the interface's name ---- */

static uint64_t
hash_text(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	} while (*text++ != '\0');
	return hash;
}

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) &&
		    strchr("._-", *text) == NULL)
			return false;
	return true;
}

void
link_name(const char *root, const struct link_spec *spec, uint64_t did,
    unsigned attempt, char ret[LINK_NAME_MAX + 1])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) + attempt; /* FNV-1a */

	if (attempt == 0 && is_plain(spec->net) &&
	    str_format(ret, LINK_NAME_MAX + 1, "z%ju_%s", (uintmax_t)did,
		spec->net) == 0)
		return;
	hash = hash_text(hash, root);
	hash = hash_text(hash, spec->zone);
	hash = hash_text(hash, spec->net);
	hash = hash_text(hash, "");
	(void)str_format(ret, LINK_NAME_MAX + 1, "z_%012jx",
	    (uintmax_t)(hash & UINT64_C(0xffffffffffff)));
}
