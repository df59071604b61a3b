/*
 * NICs and disks of a manifest: each by itself, and what they must agree on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "manifest/impl.h"

static bool
is_true(const json_t *item, const char *name)
{
	return json_is_true(json_object_get(item, name));
}

static bool
has(const json_t *item, const char *name)
{
	return json_object_get(item, name) != NULL;
}

static void
put(struct check *c, json_t *item, const char *name, json_t *v)
{
	if (json_object_set_new(item, name, v) != 0)
		c->no_memory = true;
}

/* ---- NICs ---- */

/* "255.255.255.0": 24; -1: no mask. */
static int
prefix_of(const char *mask)
{
	struct in_addr a;
	uint32_t m;

	if (inet_pton(AF_INET, mask, &a) != 1)
		return -1;
	m = ntohl(a.s_addr);
	if ((~m & (~m + 1)) != 0)
		return -1;
	return m == 0 ? 0 : __builtin_popcount(m);
}

bool
ok_mask(const char *text)
{
	return prefix_of(text) >= 0;
}

/*
 * A change may have one without the other: "10.0.0.6", or "/24", which the
 * NIC's own address makes whole (toconf.c).
 */
static void
old_ip(struct check *c, json_t *nic, bool fresh)
{
	const char *ip = json_string_value(json_object_get(nic, "ip"));
	const char *mask = json_string_value(json_object_get(nic, "netmask"));
	char text[80];

	if (has(nic, "ips") || (mask != NULL && !ok_mask(mask)))
		return;
	if (json_is_null(json_object_get(nic, "ip"))) {
		put(c, nic, "ips", json_null());
	} else if (ip != NULL &&
	    (strcmp(ip, "dhcp") == 0 || strchr(ip, '/') != NULL)) {
		put(c, nic, "ips", json_pack("[s]", ip));
	} else if (ip != NULL && mask == NULL && fresh) {
		fault(c, FAULT_MISSING, "netmask",
		    "ip needs it; or give ips, as [\"%.46s/24\"]", ip);
	} else if (ip != NULL || (mask != NULL && !fresh)) {
		snprintf(text, sizeof(text),
		    mask != NULL ? "%.46s/%d" : "%.46s", ip != NULL ? ip : "",
		    mask != NULL ? prefix_of(mask) : 0);
		put(c, nic, "ips", json_pack("[s]", text));
	}
}

/* One form, so that equal ones are equal texts. */
static void
plain_mac(struct check *c, json_t *nic)
{
	const char *text = json_string_value(json_object_get(nic, "mac"));
	uint8_t m[6];
	char plain[18];

	if (text == NULL || str_to_mac(text, m) != 0)
		return;
	str_format(plain, sizeof(plain), "%02x:%02x:%02x:%02x:%02x:%02x", m[0],
	    m[1], m[2], m[3], m[4], m[5]);
	put(c, nic, "mac", json_string(plain));
}

/* The old names become the new ones, which win where both are given. */
static void
modernize(struct check *c, json_t *nic, bool fresh)
{
	static const char *const old[] = { "ip", "netmask", "gateway",
		"dhcp_server" };
	json_t *v;

	old_ip(c, nic, fresh);
	plain_mac(c, nic);
	v = json_object_get(nic, "gateway");
	if (v != NULL && !has(nic, "gateways"))
		put(c, nic, "gateways",
		    json_is_null(v) ? json_null() : json_pack("[O]", v));
	v = json_object_get(nic, "dhcp_server");
	if (v != NULL && !has(nic, "allow_dhcp_spoofing"))
		put(c, nic, "allow_dhcp_spoofing", json_incref(v));
	for (size_t i = 0; i < ARRAY_LEN(old); i++)
		(void)json_object_del(nic, old[i]);
}

/* ---- disks ---- */

static void
check_disk(struct check *c, const json_t *disk)
{
	bool image = has(disk, "image_uuid"), size = has(disk, "size");
	bool there = is_true(disk, "nocreate");
	const char *media = json_string_value(json_object_get(disk, "media"));
	const char *model = json_string_value(json_object_get(disk, "model"));
	bool cdrom = media != NULL && strcmp(media, "cdrom") == 0;

	if ((cdrom || there) && !has(disk, "path"))
		fault(c, FAULT_MISSING, "path", "%s needs it",
		    cdrom ? "a CD" : "nocreate");
	if (!cdrom && !there && !image && !size)
		fault(c, FAULT_MISSING, "size",
		    "a disk has a size, or an image_uuid");
	if (cdrom && model != NULL && strcmp(model, "nvme") == 0)
		fault(c, FAULT_VALUE, "model", "a CD cannot be nvme");
	if (image && size)
		fault(c, FAULT_VALUE, "size",
		    "a disk with an image_uuid has the image's size; a bigger "
		    "one by image_size");
	if (image && has(disk, "block_size"))
		fault(c, FAULT_VALUE, "block_size",
		    "a disk with an image_uuid has the image's");
	if (size && has(disk, "refreservation") &&
	    json_integer_value(json_object_get(disk, "refreservation")) >
		json_integer_value(json_object_get(disk, "size")))
		fault(c, FAULT_VALUE, "refreservation",
		    "it is more than the size");
}

static void
check_block_size(struct check *c, const json_t *disk)
{
	json_int_t n = json_integer_value(json_object_get(disk, "block_size"));

	if (has(disk, "block_size") && (n & (n - 1)) != 0)
		fault(c, FAULT_VALUE, "block_size", "%lld is no power of 2",
		    (long long)n);
}

/* ---- one ---- */

static void
check_member(
    struct check *c, const char *scope, const char *key, json_t *v, bool fresh)
{
	const struct row *r = row_find(scope, key);
	const char *near = r == NULL ? row_nearest(scope, key) : NULL;
	bool is_key =
	    strcmp(key, strcmp(scope, "nics") == 0 ? "mac" : "path") == 0;

	if (r == NULL && near != NULL)
		fault(c, FAULT_PROPERTY, key,
		    "there is no such property; did you mean '%s'?", near);
	else if (r == NULL)
		fault(c, FAULT_PROPERTY, key, "there is no such property");
	else if (!fresh && !is_key && r->p.update == MANIFEST_UPDATE_NEVER)
		fault(c, FAULT_PROPERTY, key, "it cannot be changed");
	else if (!json_is_null(v))
		(void)check_value(c, r, v);
}

static void
fill_item(struct check *c, const char *scope, json_t *item)
{
	EACH_ROW(r, scope)
	if ((r->flags & ROW_FILL) != 0 && !has(item, r->p.name))
		put(c, item, r->p.name, row_json(r, r->p.dflt));
}

void
check_item(struct check *c, const char *scope, json_t *item, bool fresh)
{
	bool nic = strcmp(scope, "nics") == 0;
	const char *key, *want = nic ? "mac" : "path";
	void *next;
	json_t *v;

	json_object_foreach(item, key, v)
	{
		check_member(c, scope, key, v, fresh);
	}

	if (fresh)
		json_object_foreach_safe(item, next, key, v)
		{
			if (json_is_null(v))
				json_object_del(item, key);
		}

	if (nic)
		modernize(c, item, fresh);
	else if (fresh)
		check_disk(c, item);
	if (!nic)
		check_block_size(c, item);
	if (fresh)
		fill_item(c, scope, item);
	else if (!json_is_string(json_object_get(item, want)))
		fault(c, FAULT_MISSING, want, "it says which one to change");
}

/* ---- all together ---- */

/* No two may say the same. */
static void
check_unique(
    struct check *c, const char *name, const json_t *items, const char *prop)
{
	const char *a, *b;
	char where[80];

	for (size_t i = 0; i < json_array_size(items); i++)
		for (size_t k = 0; k < i; k++) {
			a = json_string_value(
			    json_object_get(json_array_get(items, i), prop));
			b = json_string_value(
			    json_object_get(json_array_get(items, k), prop));
			if (a == NULL || b == NULL || strcmp(a, b) != 0)
				continue;
			str_format(where, sizeof(where), "%.40s.%zu.%.16s",
			    name, i, prop);
			fault(c, FAULT_VALUE, where,
			    "'%.100s' is that of "
			    "%.40s.%zu, too",
			    a, name, k);
		}
}

/* At most one may say true. */
static void
check_single(
    struct check *c, const char *name, const json_t *items, const char *prop)
{
	size_t first = SIZE_MAX;
	char where[80];

	for (size_t i = 0; i < json_array_size(items); i++) {
		if (!is_true(json_array_get(items, i), prop))
			continue;
		if (first == SIZE_MAX) {
			first = i;
			continue;
		}
		str_format(
		    where, sizeof(where), "%.40s.%zu.%.16s", name, i, prop);
		fault(c, FAULT_VALUE, where, "%.40s.%zu says so already", name,
		    first);
	}
}

void
check_items(struct check *c, const char *scope, const char *name, json_t *items,
    bool fresh)
{
	static const char *const unique[][3] = {
		{ "nics", "mac", "interface" },
		{ "disks", "path", "uuid" },
	};
	bool nics = strcmp(scope, "nics") == 0;
	json_t *item;
	size_t i;

	if (!json_is_array(items) ||
	    json_array_size(items) > MANIFEST_ITEMS_MAX) {
		fault(c, FAULT_VALUE, name,
		    "it takes an array of objects, %d at most",
		    MANIFEST_ITEMS_MAX);
		return;
	}
	json_array_foreach(items, i, item)
	{
		str_format(c->where, sizeof(c->where), "%.40s.%zu.", name, i);
		if (json_is_object(item)) {
			check_item(c, scope, item, fresh);
			continue;
		}
		str_format(c->where, sizeof(c->where), "%.40s.%zu", name, i);
		fault(c, FAULT_VALUE, "", "it is not an object");
	}
	c->where[0] = '\0';
	for (size_t k = 1; k < 3; k++)
		check_unique(c, name, items, unique[nics ? 0 : 1][k]);
	check_single(c, name, items, nics ? "primary" : "boot");
	if (nics && c->use == MANIFEST_CREATE && json_array_size(items) > 0) {
		json_array_foreach(items, i, item)
		{
			if (is_true(item, "primary"))
				return;
		}

		item = json_array_get(items, 0);
		if (json_is_object(item))
			put(c, item, "primary", json_true());
	}
}
