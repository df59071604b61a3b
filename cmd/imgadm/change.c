/*
 * Commands that bring images in, out and away.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/fd.h"
#include "base/str.h"
#include "imgadm.h"
#include "zone/assign.h"
#include "zone/conf.h"

/* ---- import ---- */

/* Options that say what the image is; -1: another's. */
static int
name_option(struct image_import *im, int opt)
{
	const char **const to[] = { &im->name, &im->version, &im->uuid, &im->os,
		&im->description };
	const char *at = strchr("nvuod", opt);

	if (opt == 0 || at == NULL)
		return -1;
	*to[at - "nvuod"] = optarg;
	return 0;
}

int
bring_in(struct command *c, const struct image_import *what, bool quiet)
{
	struct image_import im = *what;
	struct error err = ERROR_INIT;
	char uuid[IMAGE_UUID_LEN + 1];
	struct image_info i;
	struct bar bar;
	int rc;

	bar_begin(&bar, c->row->name, quiet);
	im.progress = bar_show;
	im.arg = &bar;
	rc = image_import(c->root, &im, uuid, &err);
	bar_end(&bar);
	if (rc < 0 || image_find(c->root, uuid, &i, &err) < 0)
		return failed(&err);
	if (!quiet)
		printf("image %s: %s %s\n", uuid, i.name, i.version);
	image_info_fini(&i);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

int
cmd_import(struct command *c)
{
	struct image_import im = { NULL };
	bool quiet = false, named = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+qm:n:v:u:o:d:s:")) != -1) {
		if (opt == 'q')
			quiet = true;
		else if (opt == 'm')
			im.manifest = optarg;
		else if (opt == 's')
			im.sha256 = optarg;
		else if (name_option(&im, opt) < 0)
			return usage(c, NULL);
		named = named || (opt != 'q' && opt != 'm');
	}
	if (im.manifest != NULL && named)
		return usage(c,
		    "-m: the manifest says name, version, UUID, os, "
		    "description and hash");
	if (c->argc - optind != 1)
		return usage(c, "takes one file or URL");
	im.source = c->argv[optind];
	return bring_in(c, &im, quiet);
}

/* ---- create ---- */

/* The one that says so, else the first; its path on this host. */
static int
boot_disk(struct admin *a, const struct zone_conf *conf, char *buf, size_t size,
    struct error *err)
{
	const struct zone_res *r, *disk = NULL;
	size_t at = ZONE_NEW;

	while ((r = zone_conf_next_disk(conf, &at)) != NULL)
		if (disk == NULL ||
		    (zone_res_flag(r, "boot") && !zone_res_flag(disk, "boot")))
			disk = r;
	if (disk == NULL)
		return error_set(err, ENOENT, "it has no disk");
	return admin_disk_path(a, zone_conf_get(conf, "zonepath"),
	    zone_res_disk_path(disk), buf, size, err);
}

/* Locked and stopped: 0 or more is the lock. */
static int
hold(struct admin *a, const char *zone, struct error *err)
{
	struct admin_zone z;
	int lock, rc = admin_find(a, zone, &z, err);

	if (rc < 0)
		return rc;
	admin_zone_fini(&z);
	lock = admin_lock(a, zone, err);
	if (lock < 0)
		return lock;
	rc = admin_find(a, zone, &z, err);
	if (rc == 0 && z.state != ZONE_STATE_INSTALLED)
		rc = error_set(err, EBUSY,
		    "it is %s; an image can be made of a zone that is "
		    "installed and does not run",
		    zone_state_name(z.state));
	if (rc == 0 || rc == -EBUSY)
		admin_zone_fini(&z);
	if (rc < 0) {
		close(lock);
		return rc;
	}
	return lock;
}

static int
create_from(struct command *c, struct admin *a, const char *zone,
    struct image_import *im)
{
	struct error err = ERROR_INIT;
	cleanup_close int lock = hold(a, zone, &err);
	struct zone_conf *conf = NULL;
	char path[4096], named[80];
	int rc = lock;

	if (rc >= 0)
		rc = zone_store_load(a->store, zone, false, &conf, NULL, &err);
	if (rc == 0)
		rc = boot_disk(a, conf, path, sizeof(path), &err);
	zone_conf_free(conf);
	if (rc < 0) {
		str_format(named, sizeof(named), "zone '%.64s'", zone);
		if (strstr(err.text, named) == NULL)
			(void)error_prefix(&err, "%s", named);
		return failed(&err);
	}
	im->source = path;
	if (im->name == NULL)
		im->name = zone;
	return bring_in(c, im, false);
}

int
cmd_create(struct command *c)
{
	struct image_import im = { NULL };
	struct error err = ERROR_INIT;
	struct admin a;
	int opt, status;

	while ((opt = getopt(c->argc, c->argv, "+n:v:u:o:d:")) != -1)
		if (name_option(&im, opt) < 0)
			return usage(c, NULL);
	if (c->argc - optind != 1)
		return usage(c, "takes one zone");
	if (admin_open(c->root, &a, &err) < 0)
		return failed(&err);
	status = create_from(c, &a, c->argv[optind], &im);
	admin_close(&a);
	return status;
}

/* ---- delete, verify, export ---- */

/* What is half imported is known by its whole UUID alone. */
int
cmd_delete(struct command *c)
{
	struct error err = ERROR_INIT;
	struct image_info i;
	const char *what;
	int rc;

	while (getopt(c->argc, c->argv, "+") != -1)
		return usage(c, NULL);
	if (c->argc - optind != 1)
		return usage(c, "takes one image");
	what = c->argv[optind];
	rc = image_delete(c->root, what, &err);
	if (rc == -ENOENT) {
		rc = image_find(c->root, what, &i, &err);
		if (rc == 0) {
			rc = image_delete(c->root, i.uuid, &err);
			image_info_fini(&i);
		}
	}
	return rc < 0 ? failed(&err) : EXIT_OK;
}

static int
verify(struct command *c, const char *what, bool quiet)
{
	struct error err = ERROR_INIT;
	struct image_info i;
	struct bar bar;
	int rc = image_find(c->root, what, &i, &err);

	if (rc < 0)
		return failed(&err);
	bar_begin(&bar, i.name, quiet);
	rc = image_verify(c->root, i.uuid, bar_show, &bar, &err);
	bar_end(&bar);
	if (rc == 0 && !quiet)
		printf("image %s: %s %s: right\n", i.uuid, i.name, i.version);
	image_info_fini(&i);
	return rc < 0 ? failed(&err) : EXIT_OK;
}

int
cmd_verify(struct command *c)
{
	struct error err = ERROR_INIT;
	struct image_list l = { NULL };
	int opt, status = EXIT_OK;
	bool quiet = false;

	while ((opt = getopt(c->argc, c->argv, "+q")) != -1) {
		if (opt != 'q')
			return usage(c, NULL);
		quiet = true;
	}
	for (int i = optind; i < c->argc; i++)
		if (verify(c, c->argv[i], quiet) != EXIT_OK)
			status = EXIT_FAILED;
	if (optind < c->argc)
		return status;
	if (image_list(c->root, &l, &err) < 0)
		return failed(&err);
	for (size_t i = 0; i < l.n; i++)
		if (verify(c, l.v[i].uuid, quiet) != EXIT_OK)
			status = EXIT_FAILED;
	image_list_free(&l);
	return status;
}

int
cmd_export(struct command *c)
{
	const char *compression = "zstd", *prefix = NULL;
	struct error err = ERROR_INIT;
	struct image_info i;
	bool quiet = false;
	struct bar bar;
	int opt, rc;

	while ((opt = getopt(c->argc, c->argv, "+c:o:q")) != -1) {
		if (opt == 'c')
			compression = optarg;
		else if (opt == 'o')
			prefix = optarg;
		else if (opt == 'q')
			quiet = true;
		else
			return usage(c, NULL);
	}
	if (c->argc - optind != 1 || prefix == NULL)
		return usage(
		    c, prefix == NULL ? "-o says where to" : "takes one image");
	if (image_find(c->root, c->argv[optind], &i, &err) < 0)
		return failed(&err);
	bar_begin(&bar, "export", quiet);
	rc = image_export(
	    c->root, i.uuid, prefix, compression, bar_show, &bar, &err);
	bar_end(&bar);
	image_info_fini(&i);
	return rc < 0 ? failed(&err) : EXIT_OK;
}
