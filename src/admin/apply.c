/*
 * What the stored configuration says of the guards of a zone that runs, put in
 * force.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "base/alloc.h"
#include "zone/nic.h"

const struct zone_res *
admin_net_find(const struct zone_conf *conf, const char *name)
{
	const struct zone_rtype *type = zone_rtype_find("net");
	const struct zone_res *res = NULL;
	const char *is;

	while ((res = zone_conf_next(conf, type, res)) != NULL) {
		is = zone_res_get(res, "physical");
		if (is != NULL && strcmp(is, name) == 0)
			break;
	}
	return res;
}

/* Of the link what cannot change is as it was: MAC, VLAN, MTU, bridge. */
static int
make_link(const char *zone, const struct admin_links *l,
    const struct zone_conf *stored, const struct admin_link *k,
    struct nvlist **ret, struct error *err)
{
	const struct zone_res *was = admin_net_find(l->conf, k->net);
	const struct zone_res *is = admin_net_find(stored, k->net);
	struct zone_nic run, nic;
	int rc;

	*ret = NULL;
	if (was == NULL || is == NULL)
		return 0; /* it goes at the next boot */
	rc = zone_nic_read(was, &run, err);
	if (rc == 0)
		rc = zone_nic_read(is, &nic, err);
	if (rc < 0)
		return error_prefix(err, "net %s", k->net);
	nic.tag = run.tag;
	nic.mac = run.mac;
	nic.vlan = run.vlan;
	nic.mtu = run.mtu;
	rc = zone_nic_link(&nic, zone, 1, ret, err);
	return rc < 0 ? error_prefix(err, "net %s", k->net) : 0;
}

int
admin_links_apply(struct admin *a, const char *zone, struct admin_links *l,
    const struct zone_conf *stored, struct error *err)
{
	struct nvlist **lists = alloc_zero(l->n + 1, sizeof(struct nvlist *));
	int rc = lists != NULL ? 0 : error_set(err, ENOMEM, "out of memory");

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		rc = make_link(zone, l, stored, &l->v[i], &lists[i], err);
		l->v[i].link = lists[i];
		l->v[i].wanted = lists[i] != NULL;
	}
	if (rc == 0)
		rc = admin_links_ask(a, zone, "update", l, err);
	for (size_t i = 0; i < l->n && lists != NULL; i++) {
		nvlist_free(lists[i]);
		l->v[i].link = NULL;
	}
	free(lists);
	return rc;
}
