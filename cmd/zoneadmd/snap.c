/*
 * zonesnap: read a zone's configuration, brand and platform for its
 * supervisor. It writes snapshot.xml into the zone's folder and the packed list
 * of zone/snap.h to standard output.
 *
 * zonesnap -m: the facts for the zone's guest instead, the message "facts" of
 * docs/metadata.md but for its stamp; nothing is written.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "ipc/ipc.h"
#include "zone/facts.h"
#include "zone/live.h"
#include "zone/snap.h"
#include "zone/store.h"
#include "zone/xmldoc.h"

struct options {
	const char *zone, *root, *brands;
	bool facts;
};

static int
write_packed(const struct nvlist *nvl, const char *what, struct error *err)
{
	struct buf b;
	int rc;

	buf_init(&b, ZONE_SNAP_MAX);
	rc = nvlist_pack(nvl, &b);
	if (rc == 0)
		rc = fd_write_all(STDOUT_FILENO, b.data, b.len);
	buf_fini(&b);
	return rc < 0 ? error_sys(err, -rc, "%s", what) : 0;
}

static int
write_all(const struct options *o, const struct nvlist *nvl,
    const struct buf *xml, struct error *err)
{
	cleanup_close int dir = -1;
	int rc;

	dir = zone_live_open(o->root, o->zone, true, err);
	if (dir < 0)
		return dir;
	rc = zone_live_put(dir, "snapshot.xml", xml->data, xml->len, err);
	if (rc < 0)
		return rc;
	return write_packed(nvl, "snapshot", err);
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

static int
copy_strs(struct nvlist *to, const struct nvlist *from, const char *name)
{
	const char *const *v = NULL;
	size_t n = 0;
	int rc = nvlist_get_strs(from, name, &v, &n);

	return rc == 0 ? nvlist_add_strs(to, name, v, n) : rc;
}

static int
facts(const struct options *o, struct error *err)
{
	struct nvlist *list = NULL, *msg = NULL;
	struct zone_store *store = NULL;
	int rc;

	rc = zone_store_open(o->root, &store, err);
	if (rc == 0)
		rc = zone_facts_load(store, o->zone, &list, err);
	if (rc == 0) {
		msg = ipc_message("facts");
		rc = msg != NULL ? copy_strs(msg, list, "keys") : -ENOMEM;
		if (rc == 0)
			rc = copy_strs(msg, list, "values");
		if (rc < 0)
			error_sys(err, -rc, "facts");
	}
	if (rc == 0)
		rc = write_packed(msg, "facts", err);
	nvlist_free(msg);
	nvlist_free(list);
	zone_store_close(store);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { .root = "" };
	struct error err = ERROR_INIT;
	int c;

	while ((c = getopt(argc, argv, "mz:R:B:")) != -1) {
		if (c == 'z')
			o.zone = optarg;
		else if (c == 'R')
			o.root = optarg;
		else if (c == 'B')
			o.brands = optarg;
		else if (c == 'm')
			o.facts = true;
		else
			return 2;
	}
	if (o.zone == NULL || optind != argc) {
		fprintf(stderr,
		    "usage: zonesnap [-m] -z zone [-R root] "
		    "[-B brands]\n");
		return 2;
	}
	if ((o.facts ? facts(&o, &err) : snap(&o, &err)) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return 1;
}
