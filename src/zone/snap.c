/*
 * From three XML files to one list of plain values.
 */
#include "zone/snap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/assign.h"
#include "zone/brand.h"
#include "zone/hook.h"
#include "zone/platform.h"
#include "zone/type.h"
#include "zone/verify.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"

#define SAVE_TRIES 5

struct snap {
	const char *root;
	const struct zone_conf *conf;
	const struct zone_brand *brand;
	const struct zone_platform *platform;
	struct nvlist *nvl;
};

static const char *
get(const struct snap *s, const char *prop)
{
	const char *v = zone_conf_get(s->conf, prop);

	return v != NULL ? v : "";
}

static int
add_texts(const struct snap *s, const struct zone_entry *e)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{ "name", get(s, "zonename") },
		{ "zonepath", get(s, "zonepath") },
		{ "brand", get(s, "brand") },
		{ "ip_type", get(s, "ip-type") },
		{ "bootargs", get(s, "bootargs") },
		{ "uuid", e->uuid },
		{ "initname", zone_brand_text(s->brand, "initname") },
	};
	const char *priv = zone_conf_get(s->conf, "limitpriv");
	const char *did = zone_conf_get(s->conf, "debugid");
	uint64_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = nvlist_add_str(s->nvl, rows[i].name, rows[i].value);
	if (rc == 0 && priv != NULL)
		rc = nvlist_add_str(s->nvl, "limitpriv", priv);
	if (did != NULL)
		(void)str_to_u64(did, 0, UINT64_MAX, &n);
	return rc == 0 ? nvlist_add_u64(s->nvl, "did", n) : rc;
}

static int
add_hooks(const struct snap *s)
{
	static const char *const names[] = { "boot", "halt", "shutdown",
		"prestatechange", "poststatechange" };
	struct nvlist *hooks = nvlist_create();
	int rc = hooks != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_LEN(names) && rc == 0; i++)
		rc = nvlist_add_str(
		    hooks, names[i], zone_brand_text(s->brand, names[i]));
	if (rc == 0)
		rc = nvlist_add_list(s->nvl, "hooks", hooks);
	nvlist_free(hooks);
	return rc;
}

/* ---- lists of lists ---- */

struct lists {
	struct nvlist **v;
	size_t n;
};

static struct nvlist *
next_list(struct lists *l, size_t most)
{
	if (l->v == NULL)
		l->v = alloc_zero(most + 1, sizeof(*l->v));
	if (l->v == NULL || l->n == most)
		return NULL;
	l->v[l->n] = nvlist_create();
	return l->v[l->n] != NULL ? l->v[l->n++] : NULL;
}

static int
put_lists(struct nvlist *nvl, const char *name, struct lists *l, int rc)
{
	if (rc == 0)
		rc = nvlist_add_lists(
		    nvl, name, (const struct nvlist *const *)l->v, l->n);
	for (size_t i = 0; i < l->n; i++)
		nvlist_free(l->v[i]);
	free(l->v);
	return rc;
}

static int
add_expanded(struct snap *s, struct nvlist *to, const char *name,
    const char *text, struct error *err)
{
	char path[4096], *word = NULL;
	int rc;

	if (text == NULL)
		return 0;
	rc =
	    str_format(path, sizeof(path), "%s%s", s->root, get(s, "zonepath"));
	if (rc == 0)
		rc = zone_hook_expand(
		    text, get(s, "zonename"), path, &word, err);
	if (rc == 0)
		rc = nvlist_add_str(to, name, word);
	free(word);
	return rc;
}

/* Links say where they point first, as platform.xml has them. */
static int
add_mount(struct snap *s, const struct zone_platform_row *row,
    struct nvlist *to, struct error *err)
{
	static const char *const kinds[] = {
		[ZONE_GLOBAL_MOUNT] = "bind",
		[ZONE_MOUNT] = "tmpfs",
		[ZONE_DEVICE] = "device",
		[ZONE_SYMLINK] = "symlink",
	};
	bool link = row->kind == ZONE_SYMLINK;
	int rc;

	if (row->kind == ZONE_MOUNT &&
	    (row->type == NULL || strcmp(row->type, "tmpfs") != 0))
		return error_set(err, EINVAL,
		    "platform of brand %s: mount of type '%s': only tmpfs can "
		    "be mounted inside",
		    zone_brand_name(s->brand),
		    row->type != NULL ? row->type : "");
	rc = nvlist_add_str(to, "kind", kinds[row->kind]);
	if (rc == 0)
		rc = add_expanded(
		    s, to, "what", link ? row->where : row->what, err);
	if (rc == 0)
		rc = add_expanded(
		    s, to, "where", link ? row->what : row->where, err);
	if (rc == 0)
		rc = add_expanded(s, to, "opt", row->opt, err);
	return rc;
}

static int
add_mounts(struct snap *s, struct error *err)
{
	const struct zone_platform_row *row;
	struct lists l = { NULL };
	struct nvlist *to;
	int rc = 0;

	for (size_t i = 0; i < s->platform->n && rc == 0; i++) {
		row = &s->platform->rows[i];
		if (row->ip_type != NULL &&
		    strcmp(row->ip_type, get(s, "ip-type")) != 0)
			continue;
		to = next_list(&l, s->platform->n);
		rc = to != NULL ? add_mount(s, row, to, err) : -ENOMEM;
	}
	return put_lists(s->nvl, "mounts", &l, rc);
}

static int
add_privs(struct snap *s)
{
	const struct zone_brand_priv *rows = NULL;
	size_t n = zone_brand_privs(s->brand, &rows);
	struct lists l = { NULL };
	struct nvlist *to;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		if (rows[i].ip_type != NULL &&
		    strcmp(rows[i].ip_type, get(s, "ip-type")) != 0)
			continue;
		to = next_list(&l, n);
		rc = to != NULL ? nvlist_add_str(to, "name", rows[i].name)
				: -ENOMEM;
		if (rc == 0)
			rc = nvlist_add_u64(to, "set", rows[i].set);
	}
	return put_lists(s->nvl, "privs", &l, rc);
}

/* ---- limits ---- */

/* "2" or "1-4" */
static int
add_cpus(const struct zone_conf *conf, struct nvlist *limits)
{
	const char *text = zone_conf_lookup(conf, "dedicated-cpu", "ncpus");
	unsigned long min, max;
	char *end;
	int rc;

	if (text == NULL)
		return 0;
	min = max = strtoul(text, &end, 10);
	if (*end == '-')
		max = strtoul(end + 1, NULL, 10);
	rc = nvlist_add_u64(limits, "cpus_min", min);
	return rc == 0 ? nvlist_add_u64(limits, "cpus_max", max) : rc;
}

int
zone_snap_limits(const struct zone_conf *conf, struct nvlist **ret)
{
	static const struct {
		const char *name, *rctl;
	} rows[] = {
		{ "cpu_shares", "zone.cpu-shares" },
		{ "cpu_cap", "zone.cpu-cap" },
		{ "physical", "zone.max-physical-memory" },
		{ "locked", "zone.max-locked-memory" },
		{ "swap", "zone.max-swap" },
		{ "lwps", "zone.max-lwps" },
		{ "processes", "zone.max-processes" },
		{ "io_weight", "zone.zfs-io-priority" },
	};
	const char *cap = zone_conf_lookup(conf, "capped-memory", "physical");
	struct nvlist *limits = nvlist_create();
	uint64_t v = 0;
	int rc = limits != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		if (zone_conf_limit(conf, rows[i].rctl, &v) == 0)
			rc = nvlist_add_u64(limits, rows[i].name, v);
	if (rc == 0 && cap != NULL &&
	    zone_type_number(ZONE_SIZE, 0, cap, &v) == 0)
		rc = nvlist_add_u64(limits, "physical", v);
	if (rc == 0)
		rc = add_cpus(conf, limits);
	if (rc < 0)
		nvlist_free(limits);
	else
		*ret = limits;
	return rc;
}

static int
add_limits(struct snap *s)
{
	struct nvlist *limits = NULL;
	int rc = zone_snap_limits(s->conf, &limits);

	if (rc == 0)
		rc = nvlist_add_list(s->nvl, "limits", limits);
	nvlist_free(limits);
	return rc;
}

/* ---- all of it ---- */

static int
fill(struct snap *s, const struct zone_entry *e, struct error *err)
{
	int rc;

	s->nvl = nvlist_create();
	rc = s->nvl != NULL ? add_texts(s, e) : -ENOMEM;
	if (rc == 0)
		rc = add_hooks(s);
	if (rc == 0)
		rc = add_mounts(s, err);
	if (rc == 0)
		rc = add_privs(s);
	if (rc == 0)
		rc = add_limits(s);
	if (rc == -ENOMEM)
		error_set(err, ENOMEM, "out of memory");
	return rc;
}

static int
load(struct zone_store *store, const char *brands, struct zone_conf *conf,
    const struct zone_entry *e, struct nvlist **ret, struct error *err)
{
	const char *name = zone_conf_get(conf, "brand");
	struct zone_platform *platform = NULL;
	struct zone_brand *brand = NULL;
	struct snap s = { .root = zone_store_root(store), .conf = conf };
	int rc;

	rc = zone_brand_load(brands, name != NULL ? name : "", &brand, err);
	if (rc == 0)
		rc = zone_platform_load(brands, name, &platform, err);
	if (rc == 0)
		rc = zone_verify(conf, brand, err);
	s.brand = brand;
	s.platform = platform;
	if (rc == 0)
		rc = fill(&s, e, err);
	zone_platform_free(platform);
	zone_brand_free(brand);
	if (rc < 0)
		nvlist_free(s.nvl);
	else
		*ret = s.nvl;
	return rc;
}

/* What nobody chose is chosen now, for good; an editor may be faster. */
static int
load_assigned(struct zone_store *store, const char *name,
    struct zone_conf **ret, struct error *err)
{
	struct zone_conf *conf = NULL;
	bool changed = false;
	struct buf base;
	int rc = -EBUSY;

	buf_init(&base, ZONE_XML_MAX);
	for (int i = 0; rc == -EBUSY && i < SAVE_TRIES; i++) {
		zone_conf_free(conf);
		conf = NULL;
		rc = zone_store_load(store, name, false, &conf, &base, err);
		if (rc == 0)
			rc = zone_assign(conf, &changed, err);
		if (rc == 0 && changed)
			rc = zone_store_save(store, name, conf, &base, err);
	}
	buf_fini(&base);
	if (rc < 0)
		zone_conf_free(conf);
	else
		*ret = conf;
	return rc;
}

int
zone_snap_make(struct zone_store *store, const char *brands, const char *name,
    struct nvlist **ret, struct buf *xml, struct error *err)
{
	struct zone_index *ix = NULL;
	struct zone_conf *conf = NULL;
	const struct zone_entry *e;
	int rc;

	rc = zone_store_index(store, &ix, err);
	if (rc < 0)
		return rc;
	e = zone_index_find(ix, name);
	rc = e != NULL ? load_assigned(store, name, &conf, err)
		       : error_set(err, ENOENT, "there is no zone '%s'", name);
	if (rc == 0)
		rc = zone_store_macs(store, name, conf, err);
	/* hooks see the UUID that the index keeps, too */
	if (rc == 0 && e->uuid[0] != '\0')
		rc = zone_conf_set_text(conf, "uuid", e->uuid, err);
	if (rc == 0)
		zone_xml_write(conf, xml);
	if (rc == 0 && buf_error(xml) < 0)
		rc = error_set(err, ENOMEM, "out of memory");
	if (rc == 0)
		rc = load(store, brands, conf, e, ret, err);
	zone_conf_free(conf);
	zone_index_free(ix);
	return rc;
}
