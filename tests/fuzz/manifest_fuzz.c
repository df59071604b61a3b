/*
 * Manifests: what the check takes as one for create becomes a configuration
 * that its file can hold and that reads back; what it takes as an update
 * changes one or says why not; everything refused has a sentence for each
 * fault.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "manifest/manifest.h"
#include "zone/assign.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"

#define UUID "11111111-2222-4333-8444-555555555555"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool right)
{
	if (!right)
		abort();
}

/* 0: right */
static int
check(json_t *m, enum manifest_use use)
{
	struct manifest_faults f;
	json_t *all, *why;
	size_t i;
	int rc;

	must(manifest_faults_init(&f) == 0);
	rc =
	    manifest_check(m, use, use == MANIFEST_UPDATE ? "bhyve" : NULL, &f);
	must((rc < 0) == manifest_faults_any(&f));
	json_array_foreach(f.why, i, why)
	{
		must(json_string_length(why) > 0 &&
		    strchr(json_string_value(why), '\n') == NULL);
	}

	all = manifest_faults_json(&f);
	must(json_is_object(all));
	json_decref(all);
	manifest_faults_fini(&f);
	return rc;
}

static void
through_file(const struct zone_conf *conf)
{
	struct zone_conf *copy = NULL;
	struct error err = ERROR_INIT;
	json_t *back = NULL;
	struct buf b;

	buf_init(&b, ZONE_XML_MAX);
	zone_xml_write(conf, &b);
	must(buf_error(&b) != 0 ||
	    (zone_xml_read("x", b.data, b.len, &copy, &err) == 0 &&
		zone_conf_equal(conf, copy)));
	must(manifest_from_conf(conf, &back, &err) == 0);
	json_decref(back);
	buf_fini(&b);
	zone_conf_free(copy);
}

static void
as_create(json_t *m)
{
	struct error err = ERROR_INIT;
	struct zone_conf *conf = NULL;
	json_t *disk;
	size_t i;
	bool changed;

	if (check(m, MANIFEST_CREATE) < 0)
		return;
	/* as vmadm completes it */
	if (json_object_get(m, "uuid") == NULL)
		json_object_set_new(m, "uuid", json_string(UUID));
	json_array_foreach(json_object_get(m, "disks"), i, disk)
	{
		if (json_object_get(disk, "path") == NULL)
			json_object_set_new(
			    disk, "path", json_sprintf("/disk%zu", i));
	}

	if (manifest_to_conf(m, "/zones/x", &conf, &err) < 0) {
		must(err.text[0] != '\0' && conf == NULL);
		return;
	}
	(void)zone_assign(conf, &changed, &err);
	through_file(conf);
	zone_conf_free(conf);
}

static void
as_update(json_t *payload)
{
	static const char base[] =
	    "{\"brand\":\"bhyve\",\"uuid\":\"" UUID "\","
	    "\"disks\":[{\"path\":\"/a\",\"size\":1}],"
	    "\"nics\":[{\"mac\":\"02:00:00:00:00:01\"}]}";
	struct zone_conf *conf = NULL, *now = NULL;
	struct error err = ERROR_INIT;
	json_t *m = NULL;
	bool boot;

	if (check(payload, MANIFEST_UPDATE) < 0)
		return;
	must(manifest_load(base, strlen(base), &m, &err) == 0 &&
	    check(m, MANIFEST_CREATE) == 0 &&
	    manifest_to_conf(m, "/zones/x", &conf, &err) == 0);
	if (manifest_update_conf(payload, conf, &now, &boot, &err) == 0)
		through_file(now);
	else
		must(err.text[0] != '\0' && now == NULL);
	zone_conf_free(conf);
	zone_conf_free(now);
	json_decref(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	json_t *m = NULL, *copy;

	if (manifest_load(data, size, &m, &err) < 0) {
		must(m == NULL && err.text[0] != '\0');
		return 0;
	}
	copy = json_deep_copy(m);
	as_create(m);
	as_update(copy);
	json_decref(m);
	json_decref(copy);
	return 0;
}
