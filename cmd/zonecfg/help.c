/*
 * Help is the table, read aloud.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "session.h"

static int
flushed(struct error *err)
{
	if (fflush(stdout) != 0)
		return error_sys(err, errno, "standard output");
	return 0;
}

int
help_verbs(struct error *err)
{
	printf("usage: zonecfg [-R root] {-z zone | -u uuid} "
	       "[-f file | command]\n"
	       "       zonecfg -b brand {resources | properties [resource]}\n"
	       "       zonecfg help [command | resource | property]\n\n"
	       "Commands have ';' or a line's end between them:\n\n");
	for (size_t i = 0; i < ZONE_NVERBS; i++)
		printf("  %-8s %s\n", zone_verbs[i].name, zone_verbs[i].help);
	printf("\nResources: ");
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		printf("%s%s", t == zone_rtypes + 1 ? "" : ", ", t->name);
	printf("\n'help add' and 'help net' say more; so does zonecfg(8).\n");
	return flushed(err);
}

static void
help_prop(const struct zone_prop *p)
{
	printf("  %-24s %s%s%s%s", p->name, p->help,
	    (p->flags & ZP_REQUIRED) != 0 ? " (required)" : "",
	    (p->flags & ZP_LIST) != 0 ? " (list)" : "",
	    p->rctl != NULL ? " (resource control)" : "");
	putchar('\n');
	if (p->fields != NULL) {
		printf("  %-24s   (", "");
		for (size_t i = 0; i < zone_field_count(p); i++)
			printf("%s%s=...", i > 0 ? "," : "", p->fields[i].name);
		printf(")");
	} else {
		printf("  %-24s   %s%s%s", "", zone_type_what(p->type),
		    p->range != NULL ? ": " : "",
		    p->range != NULL ? p->range : "");
	}
	if (p->dflt != NULL)
		printf("; %s if unset", p->dflt);
	putchar('\n');
}

static void
help_type(const struct zone_rtype *t)
{
	printf("%s: %s%s\n", t == ZONE_GLOBAL ? "zone" : t->name, t->help,
	    t != ZONE_GLOBAL && (t->flags & ZR_SINGLE) != 0 ? "; at most one"
							    : "");
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if ((p->flags & ZP_HIDDEN) == 0)
			help_prop(p);
}

static bool
help_verb(const char *word)
{
	for (size_t i = 0; i < ZONE_NVERBS; i++) {
		if (strcmp(zone_verbs[i].name, word) != 0)
			continue;
		printf(
		    "usage: %s\n%s\n", zone_verbs[i].usage, zone_verbs[i].help);
		return true;
	}
	return false;
}

static bool
help_named_prop(const char *word)
{
	const struct zone_prop *p;
	bool any = false;

	for (const struct zone_rtype *t = zone_rtypes; t->name; t++) {
		p = zone_prop_find(t, word);
		if (p == NULL || (p->flags & ZP_HIDDEN) != 0)
			continue;
		printf("%s:\n", t == ZONE_GLOBAL ? "zone" : t->name);
		help_prop(p);
		any = true;
	}
	return any;
}

int
help_brand_types(const struct zone_brand *brand)
{
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		if (zone_brand_allows(brand, t, NULL))
			printf("%s\n", t->name);
	return EXIT_OK;
}

/* One that can have one value only is nothing to choose. */
int
help_brand_props(const struct zone_brand *brand, const struct zone_rtype *t)
{
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if ((p->flags & ZP_HIDDEN) == 0 &&
		    zone_brand_allows(brand, t, p) &&
		    (t != ZONE_GLOBAL || zone_brand_fixed(brand, p) == NULL))
			printf("%s\n", p->name);
	return EXIT_OK;
}

int
do_HELP(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	const struct zone_rtype *t;
	const char *word;
	bool any;

	if (stmt->nargs == 0) {
		if (s->res == NULL)
			return help_verbs(err);
		help_type(zone_res_type(s->res));
		return flushed(err);
	}
	word = stmt->args[0].name;
	if (stmt->nargs != 1 || word == NULL || stmt->args[0].assigned)
		return session_usage(s, stmt, err, "takes one name");
	any = help_verb(word);
	t = strcmp(word, "zone") == 0 || strcmp(word, "global") == 0
	    ? ZONE_GLOBAL
	    : zone_rtype_find(word);
	if (t != NULL)
		help_type(t);
	any = any || t != NULL;
	if (!help_named_prop(word) && !any)
		return error_set(err, ENOENT,
		    "help: '%.64s' is no command, resource or property", word);
	return flushed(err);
}
