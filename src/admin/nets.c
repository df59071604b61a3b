/*
 * Are the places there that a zone's nets are to be attached to? The boot makes
 * what a NIC tag says, and sees what changed since; here only what is missing
 * altogether is said, before anything is made.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "admin/impl.h"
#include "link/nictag.h"
#include "zone/nic.h"

static int
check_tag(const struct nictags *tags, const char *name, struct error *err)
{
	const struct nictag *tag = nictags_find(tags, name);

	if (tag == NULL)
		return if_nametoindex(name) != 0
		    ? 0
		    : error_set(err, ENODEV,
			  "global-nic: there is no bridge '%.64s', and no NIC "
			  "tag of that name; 'nictagadm add' makes one",
			  name);
	if (tag->kind == NICTAG_STUB || if_nametoindex(tag->target) != 0)
		return 0;
	return error_set(err, ENODEV,
	    "global-nic: NIC tag %s is %s %s, which is not there", tag->name,
	    nictag_kind_name(tag->kind), tag->target);
}

int
admin_check_nets(
    struct admin *a, const struct zone_conf *conf, struct error *err)
{
	struct zone_nics nics = { NULL, 0 };
	struct nictags tags = { NULL, 0 };
	int rc;

	if (zone_conf_first(conf, "net") == NULL)
		return 0;
	rc = zone_nics_read(conf, &nics, err);
	if (rc == 0)
		rc = nictags_read(a->root, &tags, err);
	for (size_t i = 0; i < nics.n && rc == 0; i++)
		if (nics.v[i].tag != NULL) {
			rc = check_tag(&tags, nics.v[i].tag, err);
			if (rc < 0)
				rc = error_prefix(
				    err, "net %.64s", nics.v[i].physical);
		}
	nictags_free(&tags);
	zone_nics_fini(&nics);
	return rc;
}
