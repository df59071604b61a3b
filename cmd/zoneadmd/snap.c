/*
 * zonesnap: read a zone's configuration, brand and platform for its
 * supervisor. It writes snapshot.xml into the zone's folder and the packed list
 * of zone/snap.h to standard output.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "zone/live.h"
#include "zone/snap.h"
#include "zone/store.h"
#include "zone/xmldoc.h"

struct options {
	const char *zone, *root, *brands;
};

static int
write_all(const struct options *o, const struct nvlist *nvl,
    const struct buf *xml, struct error *err)
{
	cleanup_close int dir = -1;
	struct buf b;
	int rc;

	dir = zone_live_open(o->root, o->zone, true, err);
	if (dir < 0)
		return dir;
	rc = zone_live_put(dir, "snapshot.xml", xml->data, xml->len, err);
	if (rc < 0)
		return rc;
	buf_init(&b, ZONE_SNAP_MAX);
	rc = nvlist_pack(nvl, &b);
	if (rc == 0)
		rc = fd_write_all(STDOUT_FILENO, b.data, b.len);
	buf_fini(&b);
	return rc < 0 ? error_sys(err, -rc, "snapshot") : 0;
}

static int
snap(const struct options *o, struct error *err)
{
	struct zone_store *store = NULL;
	struct nvlist *nvl = NULL;
	struct buf xml;
	int rc;

	buf_init(&xml, ZONE_XML_MAX);
	rc = zone_store_open(o->root, &store, err);
	if (rc == 0)
		rc = zone_snap_make(store, o->brands, o->zone, &nvl, &xml, err);
	if (rc == 0)
		rc = write_all(o, nvl, &xml, err);
	nvlist_free(nvl);
	zone_store_close(store);
	buf_fini(&xml);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { .root = "" };
	struct error err = ERROR_INIT;
	int c;

	while ((c = getopt(argc, argv, "z:R:B:")) != -1) {
		if (c == 'z')
			o.zone = optarg;
		else if (c == 'R')
			o.root = optarg;
		else if (c == 'B')
			o.brands = optarg;
		else
			return 2;
	}
	if (o.zone == NULL || optind != argc) {
		fprintf(stderr,
		    "usage: zonesnap -z zone [-R root] "
		    "[-B brands]\n");
		return 2;
	}
	if (snap(&o, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return 1;
}
