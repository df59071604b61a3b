/*
 * Statements of zonecfg: parsing any bytes, and, for as long as they are right,
 * applying them. What comes of it must export to statements that make it again,
 * and survive the XML.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "zone/brand.h"
#include "zone/complete.h"
#include "zone/stmt.h"
#include "zone/text.h"
#include "zone/verify.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"
#include "zone_util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse_all(const char *text)
{
	struct error err = ERROR_INIT;
	struct zone_stmt *st = NULL;
	const char *p = text, *before;
	int rc;

	do {
		before = p;
		rc = zone_stmt_parse(&p, &st, &err);
		if (rc > 0) {
			if (st->verb >= ZONE_NVERBS || p <= before)
				abort();
			zone_stmt_free(st);
		} else if (rc < 0 && (rc != -err.code || err.text[0] == '\0')) {
			abort();
		}
	} while (rc != 0);
}

static void
found(void *arg, const char *word)
{
	*(size_t *)arg += strlen(word);
}

static void
complete(const struct zone_conf *conf, const char *text)
{
	size_t total = 0;
	struct zone_complete c = { conf, NULL, NULL, found, &total };

	if (zone_complete(&c, text) > strlen(text))
		abort();
}

static void
same_again(const struct zone_conf *conf)
{
	struct zone_conf *copy = zone_conf_create();
	struct error err = ERROR_INIT;
	const char *name = zone_conf_get(conf, "zonename");
	struct buf b;

	if (zone_apply(copy, zone_export_text(conf, &b), &err) < 0)
		abort();
	if (name != NULL)
		(void)zone_conf_set_text(copy, "zonename", name, NULL);
	if (!zone_conf_equal(conf, copy))
		abort();
	buf_fini(&b);
	zone_conf_free(copy);
	if (name == NULL)
		return;
	buf_init(&b, ZONE_XML_MAX);
	zone_xml_write(conf, &b);
	if (zone_xml_read("x", b.data, b.len, &copy, &err) < 0 ||
	    !zone_conf_equal(conf, copy))
		abort();
	buf_fini(&b);
	zone_conf_free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zone_conf *conf = zone_conf_create();
	struct error err = ERROR_INIT;
	char *text = malloc(size + 1);
	struct buf info;

	if (text == NULL || conf == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	parse_all(text);
	complete(conf, text);
	(void)zone_apply(conf, text, &err);
	(void)zone_verify(conf, NULL, &err);
	buf_init(&info, ZONE_TEXT_MAX);
	zone_info(conf, &info);
	buf_fini(&info);
	same_again(conf);
	zone_conf_free(conf);
	free(text);
	return 0;
}
