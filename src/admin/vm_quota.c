/*
 * What a VM may take: quota, of its folder, which the pool holds; and
 * flexible_disk_size, of its disks and snapshots, which is counted here before
 * any of them is made.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admin/vm_impl.h"
#include "base/alloc.h"
#include "base/str.h"
#include "zone/assign.h"

void
vm_note(struct buf *note, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (note == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_printf(note, "%s%s", note->len > 0 ? "\n" : "", line);
}

/* ---- pools ---- */

static int
add_pool(struct vm_pools *p, const char *name, struct error *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->name[i], name) == 0)
			return 0;
	if (p->n == VM_POOLS_MAX)
		return error_set(
		    err, E2BIG, "disks in more than %d pools", VM_POOLS_MAX);
	if (str_format(p->name[p->n], sizeof(p->name[0]), "%s", name) < 0)
		return error_set(err, EINVAL, "'%.64s' is no pool", name);
	p->n++;
	return 0;
}

int
vm_pools(const struct vm_work *w, struct vm_pools *ret, struct error *err)
{
	cleanup_free char *own = vm_pool(w->conf);
	const struct zone_res *res;
	struct volume_id id;
	size_t at = ZONE_NEW;
	int rc;

	ret->n = 0;
	if (own == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = add_pool(ret, own, err);
	while (rc == 0 && (res = zone_conf_next_disk(w->conf, &at)) != NULL)
		if (volume_parse(zone_res_disk_path(res), &id) == 0 &&
		    strcmp(id.zone, w->vm->uuid) == 0)
			rc = add_pool(ret, id.pool, err);
	return rc;
}

/* ---- quota ---- */

static uint64_t
number(const struct zone_conf *conf, const char *prop)
{
	json_t *v = manifest_get(conf, prop);
	json_int_t n = json_integer_value(v);

	json_decref(v);
	return n > 0 ? (uint64_t)n : 0;
}

int
vm_quota(const struct volume_pools *pools, const char *uuid,
    const struct zone_conf *conf, bool lift, struct buf *note,
    struct error *err)
{
	uint64_t quota = number(conf, "quota");
	cleanup_free char *pool = vm_pool(conf);
	struct error late = ERROR_INIT;
	int rc;

	if (quota == 0 && !lift)
		return 0;
	if (pool == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc =
	    volume_zone_quota(pools, pool, uuid, lift ? 0 : quota * GiB, &late);
	if (rc == 0 || (lift && rc == -ENOENT))
		return 0;
	if (rc != -EOPNOTSUPP && rc != -ENOENT)
		return error_set(err, -rc, "quota: %s", late.text);
	vm_note(note, "quota is only kept: %s", late.text);
	return 0;
}

/* ---- flexible_disk_size ---- */

/* Bytes of the snapshots, and of what one of now would hold. */
static int
add_snapshots(const struct vm_work *w, const char *pool, bool one_more,
    uint64_t *sum, struct error *err)
{
	struct snapshot_list s = { NULL };
	struct volume_list v = { NULL };
	int rc;

	rc = snapshot_list(w->pools, pool, w->vm->uuid, &s, err);
	for (size_t i = 0; rc == 0 && i < s.n; i++)
		*sum += s.v[i].used;
	if (rc == 0 && one_more)
		rc = volume_list(w->pools, pool, w->vm->uuid, &v, err);
	for (size_t i = 0; rc == 0 && i < v.n; i++)
		*sum += v.v[i].used;
	snapshot_list_free(&s);
	volume_list_free(&v);
	return rc;
}

static json_int_t
sizes(const struct zone_conf *conf)
{
	json_t *disks = manifest_get(conf, "disks"), *disk;
	json_int_t sum = 0;
	size_t i;

	json_array_foreach(disks, i, disk)
	{
		sum += json_integer_value(json_object_get(disk, "size"));
	}
	json_decref(disks);
	return sum;
}

int
vm_flexible(const struct vm_work *w, const struct zone_conf *conf,
    bool snapshot, struct error *err)
{
	json_t *said = manifest_get(conf, "flexible_disk_size");
	json_int_t most = json_integer_value(said), disks = sizes(conf), more;
	struct vm_pools p = { .n = 0 };
	uint64_t bytes = 0;
	int rc = 0;

	json_decref(said);
	if (said == NULL)
		return 0;
	rc = vm_pools(w, &p, err);
	for (size_t i = 0; rc == 0 && i < p.n; i++)
		rc = add_snapshots(w, p.name[i], snapshot, &bytes, err);
	if (rc < 0)
		return rc;
	more = (json_int_t)((bytes + MiB - 1) / MiB);
	if (disks + more <= most)
		return 0;
	if (more == 0)
		return error_set(err, ENOSPC,
		    "flexible_disk_size: %lld is less than the disks together, "
		    "%lld",
		    (long long)most, (long long)disks);
	return error_set(err, ENOSPC,
	    "flexible_disk_size: %lld is less than the disks, %lld, and their "
	    "snapshots%s, %lld, together",
	    (long long)most, (long long)disks, snapshot ? " with this one" : "",
	    (long long)more);
}
