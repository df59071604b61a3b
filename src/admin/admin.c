/*
 * Opening, listing.
 */
#include "admin/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/conf.h"
#include "zone/type.h"

int
admin_open(const char *root, struct admin *ret, struct error *err)
{
	struct admin a = { .brands = getenv("ZHYVE_BRANDS"),
		.zoneadmd = getenv("ZHYVE_ZONEADMD") };
	int rc = zone_store_open(root, &a.store, err);

	if (rc < 0)
		return rc;
	a.root = zone_store_root(a.store);
	*ret = a;
	return 0;
}

void
admin_close(struct admin *a)
{
	zone_store_close(a->store);
	volume_pools_close(a->pools);
	a->store = NULL;
	a->pools = NULL;
}

int
admin_pools(struct admin *a, struct volume_pools **ret, struct error *err)
{
	int rc =
	    a->pools == NULL ? volume_pools_open(a->root, &a->pools, err) : 0;

	if (rc == 0)
		*ret = a->pools;
	return rc;
}

int
admin_path(struct admin *a, const char *zonepath, const char *path, char *buf,
    size_t size, struct error *err)
{
	size_t n = strlen(zonepath);
	bool below = strncmp(path, zonepath, n) == 0 &&
	    (path[n] == '/' || path[n] == '\0');

	if (str_format(buf, size, "%s%s", below ? a->root : "", path) < 0)
		return error_set(err, ENAMETOOLONG, "%.100s...", path);
	return 0;
}

int
admin_disk_path(struct admin *a, const char *zonepath, const char *path,
    char *buf, size_t size, struct error *err)
{
	struct volume_pools *pools = NULL;
	struct volume_id id;
	int rc;

	if (volume_parse(path, &id) == -ENOENT)
		return admin_path(a, zonepath, path, buf, size, err);
	rc = admin_pools(a, &pools, err);
	return rc == 0 ? volume_path(pools, path, buf, size, err) : rc;
}

void
admin_zone_fini(struct admin_zone *z)
{
	free(z->path);
	free(z->brand);
	free(z->ip_type);
	*z = (struct admin_zone){ .path = NULL };
}

void
admin_list_free(struct admin_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		admin_zone_fini(&l->v[i]);
	free(l->v);
	*l = (struct admin_list){ NULL };
}

static char *
dup_text(const struct zone_conf *conf, const char *prop, const char *dflt)
{
	const char *v = conf != NULL ? zone_conf_get(conf, prop) : NULL;

	return alloc_strdup(v != NULL ? v : dflt);
}

/* A zone whose file is damaged is still listed. */
static int
fill(struct admin *a, const struct zone_entry *e, bool want_conf,
    struct admin_zone *z)
{
	struct zone_conf *conf = NULL;
	const char *text;

	if (want_conf)
		(void)zone_store_load(
		    a->store, e->name, false, &conf, NULL, NULL);
	strcpy(z->name, e->name);
	strcpy(z->uuid, e->uuid);
	z->state = zone_live_state(a->root, e);
	z->path = alloc_strdup(e->path);
	z->brand = dup_text(conf, "brand", "");
	z->ip_type = dup_text(conf, "ip-type", "shared");
	if (conf != NULL) {
		text = zone_conf_get(conf, "debugid");
		if (text != NULL)
			(void)str_to_u64(text, 0, UINT64_MAX, &z->did);
		text = zone_conf_get(conf, "autoboot");
		z->autoboot = text != NULL && strcmp(text, "true") == 0;
	}
	zone_conf_free(conf);
	return z->path != NULL && z->brand != NULL && z->ip_type != NULL
	    ? 0
	    : -ENOMEM;
}

int
admin_list(
    struct admin *a, bool conf, struct admin_list *ret, struct error *err)
{
	struct zone_index *ix = NULL;
	struct admin_list l = { NULL };
	const struct zone_entry *e;
	int rc;

	rc = zone_store_index(a->store, &ix, err);
	if (rc < 0)
		return rc;
	l.v = alloc_zero(zone_index_count(ix) + 1, sizeof(*l.v));
	if (l.v == NULL)
		rc = -ENOMEM;
	for (size_t i = 0; rc == 0 && (e = zone_index_at(ix, i)) != NULL; i++)
		if (strcmp(e->name, "global") != 0)
			rc = fill(a, e, conf, &l.v[l.n++]);
	zone_index_free(ix);
	if (rc < 0) {
		admin_list_free(&l);
		return error_set(err, ENOMEM, "out of memory");
	}
	*ret = l;
	return 0;
}

int
admin_find(struct admin *a, const char *name, struct admin_zone *ret,
    struct error *err)
{
	struct zone_index *ix = NULL;
	struct admin_zone z = { .path = NULL };
	const struct zone_entry *e;
	int rc;

	rc = zone_name_check(name, err);
	if (rc == 0)
		rc = zone_store_index(a->store, &ix, err);
	if (rc < 0)
		return rc;
	e = zone_index_find(ix, name);
	if (e == NULL)
		rc = error_set(err, ENOENT, "there is no zone '%s'", name);
	else if (fill(a, e, true, &z) < 0)
		rc = error_set(err, ENOMEM, "out of memory");
	zone_index_free(ix);
	if (rc < 0)
		admin_zone_fini(&z);
	else
		*ret = z;
	return rc;
}
