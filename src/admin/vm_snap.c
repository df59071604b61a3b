/*
 * Snapshots of VMs: of all its volumes in each pool, and of its metadata.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "admin/vm_impl.h"
#include "base/alloc.h"
#include "base/str.h"

/* ---- create ---- */

#define PAUSE_SECONDS 10 /* far more than it takes */

/* Of one pool that can do it by itself, or of who does not run. */
static bool
is_simple(const struct vm_work *w, const struct vm_pools *p)
{
	return w->state < ZONE_STATE_RUNNING ||
	    (p->n == 1 && volume_pool_atomic(w->pools, p->name[0]));
}

static int
snapshot_pools(const struct vm_work *w, const struct vm_pools *p,
    const char *name, struct error *err)
{
	struct error late = ERROR_INIT;
	size_t i = 0;
	int rc = 0;

	while (rc == 0 && i < p->n) {
		rc = snapshot_create(
		    w->pools, p->name[i], w->vm->uuid, name, err);
		i += rc == 0;
	}
	while (rc < 0 && i > 0)
		(void)snapshot_delete(
		    w->pools, p->name[--i], w->vm->uuid, name, &late);
	return rc;
}

/*
 * The vCPUs stand still meanwhile. What the guest had asked its disks for is
 * done or not, each for itself, as after a power failure: it has heard of
 * nothing that is missing.
 */
static int
take_still(const struct vm_work *w, struct snapshot *const *s, size_t n,
    struct error *err)
{
	struct error late = ERROR_INIT;
	int pause = -1, rc, still;

	rc = admin_pause(w->a, w->vm->name, PAUSE_SECONDS, &pause, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = snapshot_take(s[i], err);
	still = admin_resume(pause, w->vm->name, rc == 0 ? err : &late);
	return rc < 0 ? rc : still;
}

static int
snapshot_live(const struct vm_work *w, const struct vm_pools *p,
    const char *name, struct error *err)
{
	struct snapshot *s[VM_POOLS_MAX];
	struct error late = ERROR_INIT;
	size_t n = 0, kept = 0;
	int rc = 0;

	while (rc == 0 && n < p->n) {
		rc = snapshot_begin(
		    w->pools, p->name[n], w->vm->uuid, name, &s[n], err);
		n += rc == 0;
	}
	if (rc == -EOPNOTSUPP)
		error_prefix(err,
		    "VM %s is running: stop it first, or keep its disks on "
		    "btrfs, zfs, or xfs with reflinks",
		    w->vm->name);
	if (rc == 0)
		rc = take_still(w, s, n, err);
	for (size_t i = 0; i < n; i++) {
		if (rc < 0) {
			(void)snapshot_end(s[i], false, &late);
			continue;
		}
		rc = snapshot_end(s[i], true, err);
		kept += rc == 0;
	}
	while (rc < 0 && kept > 0)
		(void)snapshot_delete(
		    w->pools, p->name[--kept], w->vm->uuid, name, &late);
	return rc;
}

int
vm_snapshot(
    struct admin *a, const struct vm *vm, const char *name, struct error *err)
{
	static const unsigned states =
	    ADMIN_IN(INSTALLED) | ADMIN_IN(READY) | ADMIN_IN(RUNNING);
	struct vm_pools p;
	struct vm_work w;
	int rc;

	rc = vm_work_begin(&w, a, vm, states, "a snapshot", err);
	if (rc < 0)
		return rc;
	rc = vm_pools(&w, &p, err);
	if (rc == 0)
		rc = vm_flexible(&w, w.conf, true, err);
	if (rc == 0)
		rc = is_simple(&w, &p) ? snapshot_pools(&w, &p, name, err)
				       : snapshot_live(&w, &p, name, err);
	vm_work_end(&w);
	return rc;
}

/* ---- delete, roll back ---- */

static int
has_snapshot(struct vm_work *w, const char *name, struct error *err)
{
	cleanup_free char *own = vm_pool(w->conf);
	struct snapshot_list l = { NULL };
	int rc;

	if (own == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = snapshot_list(w->pools, own, w->vm->uuid, &l, err);
	if (rc < 0)
		return rc;
	rc = -ENOENT;
	for (size_t i = 0; i < l.n; i++)
		if (strcmp(l.v[i].name, name) == 0)
			rc = 0;
	snapshot_list_free(&l);
	return rc == 0 ? 0
		       : error_set(err, ENOENT, "VM %s has no snapshot '%.64s'",
			     w->vm->name, name);
}

static int
each_pool(struct vm_work *w, const char *name,
    int (*fn)(const struct volume_pools *pools, const char *pool,
	const char *zone, const char *name, struct error *err),
    struct error *err)
{
	struct vm_pools p;
	int rc = has_snapshot(w, name, err);

	if (rc == 0)
		rc = vm_pools(w, &p, err);
	/* the VM's own pool last: what is half done can be done again */
	for (size_t i = rc == 0 ? p.n : 0; i > 0; i--) {
		rc = fn(w->pools, p.name[i - 1], w->vm->uuid, name, err);
		/* a disk that came after the snapshot */
		if (rc == -ENOENT && i > 1)
			rc = 0;
		if (rc < 0)
			return rc;
	}
	return rc;
}

int
vm_snapshot_delete(
    struct admin *a, const struct vm *vm, const char *name, struct error *err)
{
	static const unsigned states =
	    ADMIN_IN(INSTALLED) | ADMIN_IN(READY) | ADMIN_IN(RUNNING);
	struct vm_work w;
	int rc = vm_work_begin(&w, a, vm, states, "a snapshot", err);

	if (rc < 0)
		return rc;
	rc = each_pool(&w, name, snapshot_delete, err);
	vm_work_end(&w);
	return rc;
}

static int
roll_back(
    struct admin *a, const struct vm *vm, const char *name, struct error *err)
{
	struct vm_work w;
	int rc;

	rc = vm_work_begin(&w, a, vm, ADMIN_IN(INSTALLED), "a rollback", err);
	if (rc < 0)
		return rc;
	rc = each_pool(&w, name, snapshot_rollback, err);
	/* a place made anew has no limit */
	if (rc == 0)
		rc = vm_quota(w.pools, vm->uuid, w.conf, false, NULL, err);
	vm_work_end(&w);
	return rc;
}

/* Is it there at all? Else nobody's VM is stopped for it. */
static int
check_name(
    struct admin *a, const struct vm *vm, const char *name, struct error *err)
{
	struct vm_work w;
	int rc = vm_work_begin(&w, a, vm, UINT_MAX, "a rollback", err);

	if (rc < 0)
		return rc;
	rc = has_snapshot(&w, name, err);
	vm_work_end(&w);
	return rc;
}

int
vm_rollback(
    struct admin *a, const struct vm *vm, const char *name, struct error *err)
{
	const struct admin_request halt = { .command = "halt" };
	const struct admin_request boot = { .command = "boot" };
	bool ran = vm->state > ZONE_STATE_INSTALLED;
	struct error late = ERROR_INIT;
	int rc = check_name(a, vm, name, err), again;

	if (rc == 0 && ran)
		rc = admin_request(a, vm->name, &halt, NULL, err);
	if (rc < 0)
		return rc;
	rc = roll_back(a, vm, name, err);
	if (!ran)
		return rc;
	again = admin_request(a, vm->name, &boot, NULL, rc == 0 ? err : &late);
	return rc < 0 ? rc : again;
}
