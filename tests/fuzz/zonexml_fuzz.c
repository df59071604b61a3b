/*
 * A zone's XML, and the index. Whatever is accepted must write to what reads
 * back the same, and export to statements that make it again; whatever is
 * refused has a line and a reason.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "zone/store.h"
#include "zone/verify.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"
#include "zone_util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
through_xml(const struct zone_conf *conf)
{
	struct zone_conf *copy = NULL;
	struct error err = ERROR_INIT;
	struct buf b;

	buf_init(&b, ZONE_XML_MAX);
	zone_xml_write(conf, &b);
	if (zone_xml_read("x", b.data, b.len, &copy, &err) < 0 ||
	    !zone_conf_equal(conf, copy))
		abort();
	buf_fini(&b);
	zone_conf_free(copy);
}

static void
through_statements(const struct zone_conf *conf)
{
	struct zone_conf *copy = zone_conf_create();
	struct error err = ERROR_INIT;
	const char *did = zone_conf_get(conf, "debugid");
	struct buf b;

	if (zone_apply(copy, zone_export_text(conf, &b), &err) < 0)
		abort();
	/* what an export leaves out */
	(void)zone_conf_set_text(
	    copy, "zonename", zone_conf_get(conf, "zonename"), NULL);
	(void)zone_conf_set_text(copy, "debugid", did ? did : "", NULL);
	if (!zone_conf_equal(conf, copy))
		abort();
	buf_fini(&b);
	zone_conf_free(copy);
}

static void
as_index(const uint8_t *data, size_t size)
{
	struct zone_index *ix = NULL, *again = NULL;
	char *text = malloc(size + 1);
	struct buf b;

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	ix = zone_index_parse(text, size);
	buf_init(&b, 64U << 20);
	zone_index_write(ix, &b);
	if (buf_str(&b) == NULL)
		abort();
	again = zone_index_parse((char *)b.data, b.len);
	if (zone_index_count(ix) != zone_index_count(again))
		abort();
	for (size_t i = 0; i < zone_index_count(ix); i++)
		if (strcmp(zone_index_at(ix, i)->name,
			zone_index_at(again, i)->name) != 0 ||
		    strcmp(zone_index_at(ix, i)->path,
			zone_index_at(again, i)->path) != 0)
			abort();
	buf_fini(&b);
	zone_index_free(ix);
	zone_index_free(again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zone_conf *conf = NULL;
	struct error err = ERROR_INIT;
	int rc;

	as_index(data, size);
	rc = zone_xml_read("f", data, size, &conf, &err);
	if (rc < 0) {
		if (rc != -err.code || strncmp(err.text, "f:", 2) != 0 ||
		    strchr(err.text, '\n') != NULL || conf != NULL)
			abort();
		return 0;
	}
	(void)zone_verify(conf, NULL, &err);
	through_xml(conf);
	through_statements(conf);
	zone_conf_free(conf);
	return 0;
}
