/*
 * The writer is plain text: libxml2 would only be asked to quote.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "zone/impl.h"
#include "zone/type.h"
#include "zone/xml.h"

static const char head[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!DOCTYPE zone PUBLIC \"-//Sun Microsystems Inc//DTD Zones//EN\" "
    "\"file:///usr/share/lib/xml/dtd/zonecfg.dtd.1\">\n"
    "<!-- Written by zonecfg(8). -->\n";

static void
attribute(struct buf *b, const char *name, size_t n, const char *value)
{
	buf_printf(b, " %.*s=\"", (int)n, name);
	for (const char *s = value; *s != '\0'; s++)
		switch (*s) {
		case '&':
			buf_append_str(b, "&amp;");
			break;
		case '<':
			buf_append_str(b, "&lt;");
			break;
		case '>':
			buf_append_str(b, "&gt;");
			break;
		case '\t':
			buf_append_str(b, "&#9;");
			break;
		default:
			buf_put_u8(b, (uint8_t)*s);
		}
	buf_append_str(b, "\"");
}

/* Files hold plain numbers: suffixes are for people. */
static void
write_simple(struct buf *b, const struct zone_prop *p, const char *name,
    size_t n, const char *value)
{
	char number[32];
	uint64_t v;

	if (p->type == ZONE_SIZE &&
	    zone_type_number(ZONE_SIZE, 1, value, &v) == 0) {
		snprintf(number, sizeof(number), "%" PRIu64, v);
		value = number;
	}
	attribute(b, name, n, value);
}

/* "ncpu_min,ncpu_max" of "2" or "1-4" */
static void
write_range(struct buf *b, const char *names, const char *value)
{
	const char *comma = strchr(names, ','), *dash = strchr(value, '-');
	char min[16];

	snprintf(min, sizeof(min), "%.*s",
	    (int)(dash != NULL ? dash - value : 15), value);
	attribute(b, names, (size_t)(comma - names), min);
	attribute(
	    b, comma + 1, strlen(comma + 1), dash != NULL ? dash + 1 : value);
}

static bool
in_element(const struct zone_res *r, const struct zone_prop *p)
{
	return p->xml != NULL && (p->flags & ZP_LIST) == 0 &&
	    strchr(p->xml, ':') == NULL && zone_res_count(r, p) > 0;
}

static void
write_attributes(struct buf *b, const struct zone_res *r)
{
	const char *value;

	for (const struct zone_prop *p = r->type->props; p->name; p++) {
		if (!in_element(r, p))
			continue;
		value = zone_res_value(r, p, 0)->text[0];
		if (p->type == ZONE_CPURANGE)
			write_range(b, p->xml, value);
		else
			write_simple(b, p, p->xml, strlen(p->xml), value);
	}
}

static bool
write_list(struct buf *b, const struct zone_res *r, const struct zone_prop *p,
    bool open)
{
	const struct zone_val *v;

	for (size_t i = 0; i < zone_res_count(r, p); i++, open = true) {
		v = zone_res_value(r, p, i);
		buf_printf(b, "%s    <%s", open ? "" : ">\n", p->xml);
		if (p->fields == NULL)
			attribute(b, "name", 4, v->text[0]);
		for (size_t k = 0; p->fields != NULL && p->fields[k].name; k++)
			attribute(b, p->fields[k].name,
			    strlen(p->fields[k].name), v->text[k]);
		buf_append_str(b, "/>\n");
	}
	return open;
}

/* Properties that have an element of their own beside the resource's. */
static void
write_beside(struct buf *b, const struct zone_res *r)
{
	const char *colon;

	for (const struct zone_prop *p = r->type->props; p->name; p++) {
		colon = p->xml != NULL ? strchr(p->xml, ':') : NULL;
		if (colon == NULL || zone_res_count(r, p) == 0)
			continue;
		buf_printf(b, "  <%.*s", (int)(colon - p->xml), p->xml);
		write_simple(b, p, colon + 1, strlen(colon + 1),
		    zone_res_value(r, p, 0)->text[0]);
		buf_append_str(b, "/>\n");
	}
}

static void
write_res(struct buf *b, const struct zone_res *r)
{
	bool open = false;

	if (r->type->xml == NULL || zone_res_only_alias(r))
		return;
	buf_printf(b, "  <%s", r->type->xml);
	write_attributes(b, r);
	for (const struct zone_prop *p = r->type->props; p->name; p++)
		if ((p->flags & ZP_LIST) != 0)
			open = write_list(b, r, p, open);
	if (open)
		buf_printf(b, "  </%s>\n", r->type->xml);
	else
		buf_append_str(b, "/>\n");
	write_beside(b, r);
}

void
zone_xml_write(const struct zone_conf *conf, struct buf *b)
{
	buf_append_str(b, head);
	buf_printf(b, "<%s", ZONE_GLOBAL->xml);
	write_attributes(b, conf->global);
	attribute(b, "version", 7, "1");
	buf_append_str(b, ">\n");
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		for (const struct zone_res *r = zone_conf_next(conf, t, NULL);
		     r != NULL; r = zone_conf_next(conf, t, r))
			write_res(b, r);
	buf_printf(b, "</%s>\n", ZONE_GLOBAL->xml);
}
