/*
 * Limits of a VM that runs, and the guards of its links, made those of its
 * configuration.
 */
#include <errno.h>

#include "admin/vm_impl.h"
#include "base/str.h"
#include "jail/cgroup.h"
#include "zone/live.h"
#include "zone/snap.h"

static int
limit(const struct zone_live *live, const struct jail_limits *l,
    struct error *err)
{
	const struct nvlist *saved = NULL;
	struct cgroup *cg = NULL;
	int rc;

	rc = nvlist_get_list(live->record, "jail", &saved);
	if (rc < 0)
		return error_sys(err, -rc, "the zone's record");
	rc = cgroup_attach(saved, &cg, err);
	if (rc == 0) {
		/* what this host cannot limit was told at the boot */
		rc = cgroup_limit(cg, l, err);
		cgroup_free(cg);
	}
	return rc < 0 ? rc : 0;
}

/* Memory limits that would kill a guest that is still as big as it was. */
static int
raise_to(struct jail_limits *l, const struct zone_conf *least)
{
	struct nvlist *limits = NULL;
	struct jail_limits was;
	int rc = zone_snap_limits(least, &limits);

	if (rc < 0)
		return rc;
	jail_limits_read(limits, &was);
	l->physical = MAX(l->physical, was.physical);
	l->swap = MAX(l->swap, was.swap);
	nvlist_free(limits);
	return 0;
}

static int
guard(struct admin *a, const char *zone, const struct zone_conf *conf,
    struct error *err)
{
	struct admin_links l = { NULL };
	int rc = admin_links_load(a, zone, &l, err);

	if (rc == 0 && l.n > 0)
		rc = admin_links_apply(a, zone, &l, conf, err);
	admin_links_free(&l);
	return rc;
}

int
vm_apply(struct admin *a, const char *zone, const struct zone_conf *conf,
    const struct zone_conf *least, struct error *err)
{
	struct jail_limits l = { .cpus = NULL };
	struct nvlist *limits = NULL;
	const char *cpus = "";
	struct zone_live live;
	int rc;

	if (zone_live_read(a->root, zone, &live) < 0)
		return 0;
	rc = zone_snap_limits(conf, &limits);
	jail_limits_read(limits, &l);
	if (rc == 0 && least != NULL)
		rc = raise_to(&l, least);
	if (rc < 0) {
		error_sys(err, -rc, "limits");
	} else if (live.alive) {
		(void)nvlist_get_str(live.record, "cpus", &cpus);
		l.cpus = cpus[0] != '\0' ? cpus : NULL;
		rc = limit(&live, &l, err);
		if (rc == 0)
			rc = guard(a, zone, conf, err);
	}
	nvlist_free(limits);
	zone_live_fini(&live);
	return rc;
}
