#include "volume_util.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

#define KEPT 8 /* results of a function that stand at a time */

struct error err;

int
vol_open(const char *text, struct volume_pools **ret)
{
	(void)mkdir(store_at("etc"), 0755);
	(void)mkdir(store_at("etc/zones"), 0755);
	if (text != NULL)
		store_write(store_at("etc/zones/pools"), text);
	else
		unlink(store_at("etc/zones/pools"));
	return volume_pools_open(tap_tmpdir(), ret, &err);
}

struct volume_pools *
vol_world(const struct store_fs *fs)
{
	struct volume_pools *p = NULL;

	if (fs != NULL)
		store_mount(fs, store_at("fs"));
	tap_check_int(vol_open(fs == &store_btrfs ? "zones btrfs /fs/pool\n"
						  : "zones file /fs/pool\n",
			  &p),
	    0);
	return p;
}

int
vol_make(struct volume_pools *p, const char *zone, const char *name,
    uint64_t size, const char *origin)
{
	const struct volume_spec s = { .pool = "zones",
		.zone = zone,
		.name = name,
		.size = size,
		.origin = origin };

	return volume_create(p, &s, &err);
}

const char *
vol_host(struct volume_pools *p, const char *conf)
{
	static char path[KEPT][512];
	static unsigned n;
	char *to = path[n++ % KEPT];

	tap_check_int(volume_path(p, conf, to, sizeof(path[0]), &err), 0);
	return to;
}

const char *
vol_listed(struct volume_pools *p, const char *zone)
{
	static char text[KEPT][1024];
	static unsigned which;
	char *to = text[which++ % KEPT];
	struct volume_list l;
	size_t n = 0;

	to[0] = '\0';
	tap_check_int(volume_list(p, "zones", zone, &l, &err), 0);
	for (size_t i = 0; i < l.n; i++)
		n += (size_t)snprintf(to + n, sizeof(text[0]) - n, "%s %ju%s; ",
		    l.v[i].conf_path + strlen(V("")), (uintmax_t)l.v[i].size,
		    l.v[i].half ? " half" : "");
	volume_list_free(&l);
	return to;
}

const char *
vol_snapshots(struct volume_pools *p, const char *zone)
{
	static char text[KEPT][512];
	static unsigned which;
	char *to = text[which++ % KEPT];
	struct snapshot_list l;
	size_t n = 0;

	to[0] = '\0';
	tap_check_int(snapshot_list(p, "zones", zone, &l, &err), 0);
	for (size_t i = 0; i < l.n; i++)
		n += (size_t)snprintf(
		    to + n, sizeof(text[0]) - n, "%s ", l.v[i].name);
	snapshot_list_free(&l);
	return to;
}
