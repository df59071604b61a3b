/*
 * Both texts walk the table; neither knows a property by name, but for the
 * zone's own, which 'create' has given already.
 */
#include "zone/text.h"

#include <string.h>

#include "zone/impl.h"
#include "zone/stmt.h"

static void
export_prop(
    const struct zone_res *res, const struct zone_prop *p, struct buf *b)
{
	bool list = (p->flags & ZP_LIST) != 0;

	if (p->rctl != NULL || (p->flags & ZP_HIDDEN) != 0)
		return;
	for (size_t i = 0; i < zone_res_count(res, p); i++) {
		buf_printf(b, list ? "add %s " : "set %s=", p->name);
		zone_stmt_value(b, p, zone_res_value(res, p, i));
		buf_append_str(b, "\n");
	}
}

void
zone_export(const struct zone_conf *conf, struct buf *b)
{
	buf_append_str(b, "create -b\n");
	for (const struct zone_prop *p = ZONE_GLOBAL->props; p->name; p++)
		if (strcmp(p->name, "zonename") != 0)
			export_prop(conf->global, p, b);
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		for (const struct zone_res *r = zone_conf_next(conf, t, NULL);
		     r != NULL; r = zone_conf_next(conf, t, r)) {
			if (zone_res_only_alias(r))
				continue;
			buf_printf(b, "add %s\n", t->name);
			for (const struct zone_prop *p = t->props; p->name; p++)
				export_prop(r, p, b);
			buf_append_str(b, "end\n");
		}
}

/* Aliases are in brackets: the rctl below them is what is kept. */
static void
info_line(const struct zone_prop *p, const struct zone_val *v, const char *tab,
    struct buf *b)
{
	const char *open = p->rctl != NULL ? "[" : "";

	buf_printf(b, "%s%s%s: ", tab, open, p->name);
	if (p->fields != NULL)
		zone_stmt_value(b, p, v);
	else
		buf_append_str(b, v->text[0]);
	buf_append_str(b, p->rctl != NULL ? "]\n" : "\n");
}

void
zone_info_prop(
    const struct zone_conf *conf, const struct zone_prop *p, struct buf *b)
{
	if (zone_res_count(conf->global, p) == 0)
		buf_printf(b, "%s%s:%s\n", p->rctl != NULL ? "[" : "", p->name,
		    p->rctl != NULL ? " ]" : " ");
	else
		info_line(p, zone_res_value(conf->global, p, 0), "", b);
}

void
zone_info_res(const struct zone_res *res, struct buf *b)
{
	const struct zone_rtype *t = res->type;

	buf_printf(b, "%s:\n", t->name);
	for (const struct zone_prop *p = t->props; p->name != NULL; p++) {
		if (zone_res_count(res, p) == 0 &&
		    (p->flags & ZP_REQUIRED) != 0)
			buf_printf(b, "\t%s not specified\n", p->name);
		for (size_t i = 0; i < zone_res_count(res, p); i++)
			info_line(p, zone_res_value(res, p, i), "\t", b);
	}
}

void
zone_info(const struct zone_conf *conf, struct buf *b)
{
	for (const struct zone_prop *p = ZONE_GLOBAL->props; p->name; p++)
		if ((p->flags & ZP_HIDDEN) == 0 &&
		    (p->rctl == NULL || zone_res_count(conf->global, p) > 0))
			zone_info_prop(conf, p, b);
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		for (const struct zone_res *r = zone_conf_next(conf, t, NULL);
		     r != NULL; r = zone_conf_next(conf, t, r))
			zone_info_res(r, b);
}
