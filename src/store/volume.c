/*
 * The one interface: names are checked here, then the pool's kind does it.
 */
#include "store/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "store/volume_impl.h"

/* ---- arguments ---- */

static int
check_zone(const char *zone, struct error *err)
{
	uint8_t uuid[16];

	if (strlen(zone) == VOLUME_ZONE_LEN && str_to_uuid(zone, uuid) == 0)
		return 0;
	return error_set(err, EINVAL,
	    "'%.64s' is no zone's UUID: volumes are kept by it", zone);
}

static int
place(const struct volume_pools *pools, const char *pool, const char *zone,
    const struct pool **ret, struct error *err)
{
	int rc = check_zone(zone, err);

	if (rc < 0)
		return rc;
	*ret = pool_find(pools, pool, err);
	return *ret == NULL ? -ENOENT : 0;
}

/* A configuration's path that must be a pool's. */
static int
locate(const struct volume_pools *pools, const char *conf_path,
    struct volume_id *id, const struct pool **ret, struct error *err)
{
	if (volume_parse(conf_path, id) < 0)
		return error_set(err, EINVAL,
		    "%.160s is no volume of a pool: that would be "
		    "/dev/zvol/rdsk/POOL/UUID/NAME",
		    conf_path);
	*ret = pool_find(pools, id->pool, err);
	return *ret == NULL ? -ENOENT : 0;
}

static int
check_spec(const struct volume_spec *s, struct error *err)
{
	if (s->pool == NULL && !device_is(s->name))
		return error_set(
		    err, EINVAL, "%.160s is no block device", s->name);
	if (s->pool != NULL && !volume_name_ok(s->name))
		return error_set(err, EINVAL,
		    "'%.64s' cannot be a volume's name: letters, digits, -_.: "
		    "and at most %d of them",
		    s->name, VOLUME_NAME_MAX);
	if (s->size % SECTOR != 0 || s->size > INT64_MAX)
		return error_set(err, EINVAL,
		    "a size of %ju bytes: it must be a multiple of %d",
		    (uintmax_t)s->size, SECTOR);
	if (s->pool != NULL && s->size == 0 && s->origin == NULL)
		return error_set(
		    err, EINVAL, "volume '%s' has no size", s->name);
	if (s->size != 0 && s->refreservation > s->size)
		return error_set(err, EINVAL,
		    "refreservation of %ju bytes: the volume has %ju",
		    (uintmax_t)s->refreservation, (uintmax_t)s->size);
	return 0;
}

/* ---- volumes ---- */

int
volume_create(const struct volume_pools *pools, const struct volume_spec *spec,
    struct error *err)
{
	struct volume_spec s = *spec;
	const struct pool *p = NULL;
	struct volume_id from;
	char origin[STORE_PATH];
	bool is_volume = false;
	int rc;

	rc = s.pool != NULL ? place(pools, s.pool, s.zone, &p, err) : 0;
	if (rc == 0)
		rc = check_spec(&s, err);
	if (rc == 0 && s.origin != NULL) {
		is_volume = volume_parse(s.origin, &from) == 0;
		rc = volume_path(pools, s.origin, origin, sizeof(origin), err);
		s.origin = origin;
	}
	if (rc == 0 && p == NULL)
		return device_fill(s.name, s.size, s.origin, err);
	if (rc == 0)
		rc = p->ops->zone_create(p, s.zone, err);
	return rc < 0 ? rc
		      : p->ops->create(p, &s, is_volume ? &from : NULL, err);
}

int
volume_resize(const struct volume_pools *pools, const char *conf_path,
    uint64_t size, bool shrink, struct error *err)
{
	const struct pool *p = NULL;
	struct volume_info info;
	struct volume_id id;
	int rc;

	if (device_is(conf_path))
		return device_resize(conf_path, size, err);
	rc = locate(pools, conf_path, &id, &p, err);
	if (rc < 0)
		return rc;
	if (size == 0 || size % SECTOR != 0 || size > INT64_MAX)
		return error_set(err, EINVAL,
		    "a size of %ju bytes: it must be a multiple of %d",
		    (uintmax_t)size, SECTOR);
	rc = volume_stat(pools, conf_path, &info, err);
	if (rc < 0)
		return rc;
	if (info.size > size && !shrink)
		return error_set(err, EPERM,
		    "%s has %ju MiB: making it smaller would cut off what is "
		    "behind",
		    conf_path, (uintmax_t)(info.size / MiB));
	return p->ops->resize(p, id.zone, id.name, size, shrink, err);
}

/* A volume that is there, of a pool. */
static int
locate_there(const struct volume_pools *pools, const char *conf_path,
    struct volume_id *id, const struct pool **ret, struct volume_info *info,
    struct error *err)
{
	int rc = locate(pools, conf_path, id, ret, err);

	return rc < 0 ? rc : volume_stat(pools, conf_path, info, err);
}

int
volume_set_compression(const struct volume_pools *pools, const char *conf_path,
    const char *compression, struct error *err)
{
	const struct pool *p = NULL;
	struct volume_info info;
	struct volume_id id;
	int rc = locate_there(pools, conf_path, &id, &p, &info, err);

	return rc < 0 ? rc
		      : p->ops->compress(p, id.zone, id.name,
			    compression != NULL ? compression : "off", err);
}

int
volume_set_refreservation(const struct volume_pools *pools,
    const char *conf_path, uint64_t size, bool less, struct error *err)
{
	const struct pool *p = NULL;
	struct volume_info info;
	struct volume_id id;
	int rc = locate_there(pools, conf_path, &id, &p, &info, err);

	if (rc == 0 && size > info.size)
		rc = error_set(err, EINVAL,
		    "refreservation of %ju bytes: the volume has %ju",
		    (uintmax_t)size, (uintmax_t)info.size);
	return rc < 0 ? rc
		      : p->ops->reserve(p, id.zone, id.name, size, less, err);
}

int
volume_remove(
    const struct volume_pools *pools, const char *conf_path, struct error *err)
{
	const struct pool *p = NULL;
	struct volume_id id;
	int rc;

	if (device_is(conf_path))
		return 0;
	rc = locate(pools, conf_path, &id, &p, err);
	return rc < 0 ? rc : p->ops->remove(p, id.zone, id.name, err);
}

int
volume_zone_path(const struct volume_pools *pools, const char *pool,
    const char *zone, char *buf, size_t size, struct error *err)
{
	const struct pool *p = NULL;
	int rc = place(pools, pool, zone, &p, err);

	if (rc == 0 &&
	    str_format(buf, size, "%s/%s", p->host + strlen(p->root), zone) < 0)
		rc = error_set(err, ENAMETOOLONG, "%s", p->where);
	return rc;
}

int
volume_zone_create(const struct volume_pools *pools, const char *pool,
    const char *zone, struct error *err)
{
	const struct pool *p = NULL;
	int rc = place(pools, pool, zone, &p, err);

	return rc < 0 ? rc : p->ops->zone_create(p, zone, err);
}

int
volume_zone_quota(const struct volume_pools *pools, const char *pool,
    const char *zone, uint64_t quota, struct error *err)
{
	const struct pool *p = NULL;
	int rc = place(pools, pool, zone, &p, err);

	return rc < 0 ? rc : p->ops->zone_quota(p, zone, quota, err);
}

int
volume_zone_remove(const struct volume_pools *pools, const char *pool,
    const char *zone, struct error *err)
{
	const struct pool *p = NULL;
	int rc = place(pools, pool, zone, &p, err);

	return rc < 0 ? rc : p->ops->zone_remove(p, zone, err);
}

/* ---- lists ---- */

int
volume_list_add(struct volume_list *l, const struct volume_info *v)
{
	struct volume_info *more = alloc_resize(l->v, l->n + 1, sizeof(*l->v));

	if (more == NULL)
		return -ENOMEM;
	l->v = more;
	l->v[l->n++] = *v;
	return 0;
}

int
snapshot_list_add(struct snapshot_list *l, const struct snapshot_info *s)
{
	struct snapshot_info *more =
	    alloc_resize(l->v, l->n + 1, sizeof(*l->v));

	if (more == NULL)
		return -ENOMEM;
	l->v = more;
	l->v[l->n++] = *s;
	return 0;
}

void
volume_list_free(struct volume_list *l)
{
	free(l->v);
	*l = (struct volume_list){ NULL };
}

void
snapshot_list_free(struct snapshot_list *l)
{
	free(l->v);
	*l = (struct snapshot_list){ NULL };
}

static int
by_path(const void *a, const void *b)
{
	const struct volume_info *x = a, *y = b;
	int rc = strcmp(x->conf_path, y->conf_path);

	return rc != 0 ? rc : x->half - y->half;
}

static int
list_zone(const struct pool *p, const char *zone, void *arg, struct error *err)
{
	return p->ops->list(p, zone, arg, err);
}

int
volume_list(const struct volume_pools *pools, const char *pool,
    const char *zone, struct volume_list *ret, struct error *err)
{
	const struct pool *p = pool_find(pools, pool, err);
	struct volume_list l = { NULL };
	int rc = p == NULL ? -ENOENT : 0;

	if (rc == 0 && zone != NULL)
		rc = check_zone(zone, err);
	if (rc == 0)
		rc = zone != NULL ? p->ops->list(p, zone, &l, err)
				  : p->ops->zones(p, list_zone, &l, err);
	if (rc < 0) {
		volume_list_free(&l);
		return rc;
	}
	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), by_path);
	*ret = l;
	return 0;
}

int
volume_stat(const struct volume_pools *pools, const char *conf_path,
    struct volume_info *ret, struct error *err)
{
	struct volume_list l = { NULL };
	char name[VOLUME_CONF_PATH_MAX];
	const struct pool *p = NULL;
	struct volume_id id;
	int rc;

	if (device_is(conf_path))
		return device_stat(conf_path, ret, err);
	rc = locate(pools, conf_path, &id, &p, err);
	if (rc == 0)
		rc = volume_list(pools, id.pool, id.zone, &l, err);
	if (rc < 0)
		return rc;
	volume_conf_path(id.pool, id.zone, id.name, name, sizeof(name));
	rc = -ENOENT;
	for (size_t i = 0; rc < 0 && i < l.n; i++)
		if (!l.v[i].half && strcmp(l.v[i].conf_path, name) == 0) {
			*ret = l.v[i];
			rc = 0;
		}
	volume_list_free(&l);
	return rc < 0
	    ? error_set(err, ENOENT, "there is no volume %s", conf_path)
	    : 0;
}

/* ---- snapshots ---- */

static int
snap_place(const struct volume_pools *pools, const char *pool, const char *zone,
    const char *name, const struct pool **ret, struct error *err)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:%";
	size_t n = strlen(name);
	char copy[SNAPSHOT_NAME_MAX + 1];

	if (n == 0 || n > SNAPSHOT_NAME_MAX || strspn(name, ok) != n ||
	    name[0] == '.' ||
	    (str_format(copy, sizeof(copy), "%s", name) == 0 &&
		volume_name_half(copy)))
		return error_set(err, EINVAL,
		    "'%.80s' cannot be a snapshot's name: letters, digits, "
		    "-_.:%%, at most %d of them, no dot first, no '.new' last",
		    name, SNAPSHOT_NAME_MAX);
	return place(pools, pool, zone, ret, err);
}

struct snapshot {
	const struct pool *pool;
	char zone[VOLUME_ZONE_LEN + 1], name[SNAPSHOT_NAME_MAX + 1];
	bool live, taken;
};

static int
begin(const struct volume_pools *pools, const char *pool, const char *zone,
    const char *name, bool live, struct snapshot *ret, struct error *err)
{
	int rc = snap_place(pools, pool, zone, name, &ret->pool, err);

	if (rc < 0)
		return rc;
	strcpy(ret->zone, zone);
	strcpy(ret->name, name);
	ret->live = live;
	return ret->pool->ops->snap_begin(
	    ret->pool, ret->zone, ret->name, live, err);
}

int
snapshot_take(struct snapshot *s, struct error *err)
{
	int rc =
	    s->pool->ops->snap_take(s->pool, s->zone, s->name, s->live, err);

	s->taken = rc == 0;
	return rc;
}

/* A dataset's snapshot of that name that we did not take is somebody's. */
static int
end(struct snapshot *s, bool keep, struct error *err)
{
	if (!keep && !s->taken && s->pool->ops->dataset)
		return 0;
	return s->pool->ops->snap_end(
	    s->pool, s->zone, s->name, s->live, keep, err);
}

int
snapshot_begin(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct snapshot **ret,
    struct error *err)
{
	struct snapshot *s = alloc_zero(1, sizeof(*s));
	int rc = s != NULL ? begin(pools, pool, zone, name, true, s, err)
			   : error_sys(err, ENOMEM, "snapshot");

	if (rc < 0)
		free(s);
	else
		*ret = s;
	return rc;
}

int
snapshot_end(struct snapshot *s, bool keep, struct error *err)
{
	int rc = end(s, keep, err);

	free(s);
	return rc;
}

int
snapshot_create(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err)
{
	struct error late = ERROR_INIT;
	struct snapshot s = { NULL };
	int rc = begin(pools, pool, zone, name, false, &s, err);

	if (rc < 0)
		return rc;
	rc = snapshot_take(&s, err);
	if (rc == 0)
		return end(&s, true, err);
	(void)end(&s, false, &late);
	return rc;
}

int
snapshot_rollback(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err)
{
	const struct pool *p = NULL;
	int rc = snap_place(pools, pool, zone, name, &p, err);

	return rc < 0 ? rc : p->ops->snap_rollback(p, zone, name, err);
}

int
snapshot_delete(const struct volume_pools *pools, const char *pool,
    const char *zone, const char *name, struct error *err)
{
	const struct pool *p = NULL;
	int rc = snap_place(pools, pool, zone, name, &p, err);

	return rc < 0 ? rc : p->ops->snap_delete(p, zone, name, err);
}

int
snapshot_list(const struct volume_pools *pools, const char *pool,
    const char *zone, struct snapshot_list *ret, struct error *err)
{
	struct snapshot_list l = { NULL };
	const struct pool *p = NULL;
	int rc = place(pools, pool, zone, &p, err);

	if (rc == 0)
		rc = p->ops->snap_list(p, zone, &l, err);
	if (rc < 0)
		snapshot_list_free(&l);
	else
		*ret = l;
	return rc;
}
