/*
 * Rules between properties are the configuration's, not a second set of ours:
 * what a manifest would become is built and asked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "manifest/impl.h"
#include "zone/assign.h"
#include "zone/verify.h"

#define SOME_UUID "00000000-0000-4000-8000-000000000000"

/* What vmadm will choose, so that everything else can be asked. */
static int
complete(json_t *m)
{
	json_t *disk;
	char path[32];
	size_t i;

	if (json_object_get(m, "uuid") == NULL &&
	    json_object_set_new(m, "uuid", json_string(SOME_UUID)) != 0)
		return -ENOMEM;
	json_array_foreach(json_object_get(m, "disks"), i, disk)
	{
		str_format(path, sizeof(path), "/dev/disk%zu", i);
		if (json_object_get(disk, "path") == NULL &&
		    json_object_set_new(disk, "path", json_string(path)) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* "net net0: ...": it is about the NICs. */
static const char *
about(const char *text)
{
	if (strncmp(text, "net ", 4) == 0 || strncmp(text, "none of", 7) == 0)
		return "nics";
	if (strncmp(text, "disk ", 5) == 0)
		return "disks";
	return "manifest";
}

void
check_whole(struct check *c, const json_t *m)
{
	struct zone_conf *conf = NULL;
	struct error err = ERROR_INIT;
	json_t *copy = json_deep_copy(m);
	bool changed;
	int rc = copy != NULL ? complete(copy) : -ENOMEM;

	if (rc == 0)
		rc = manifest_to_conf(copy, "/zones/" SOME_UUID, &conf, &err);
	if (rc == 0)
		rc = zone_assign(conf, &changed, &err);
	if (rc == 0)
		rc = zone_verify(conf, NULL, &err);
	if (rc == 0)
		rc = zone_verify_nets(conf, &err);
	if (rc == -ENOMEM)
		c->no_memory = true;
	else if (rc < 0)
		fault(c, FAULT_VALUE, about(err.text), "%s", err.text);
	zone_conf_free(conf);
	json_decref(copy);
}
