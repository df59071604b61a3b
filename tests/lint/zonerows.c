/*
 * Print what the table of zone configurations says, in the words of mdoc: the
 * text between the markers of zonecfg(8). manual.py compares and updates.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "zone/stmt.h"
#include "zone/table.h"

static const char *
format_of(const struct zone_prop *p, char *buf, size_t size)
{
	size_t n = 0;

	if (p->fields != NULL) {
		n = (size_t)snprintf(buf, size, "(");
		for (size_t i = 0; i < zone_field_count(p); i++)
			n += (size_t)snprintf(buf + n, size - n, "%s%s",
			    i > 0 ? ", " : "", p->fields[i].name);
		snprintf(buf + n, size - n, ") list");
		return buf;
	}
	if (p->type == ZONE_ENUM)
		return p->range;
	snprintf(buf, size, "%s%s%s%s", zone_type_name(p->type),
	    p->range != NULL ? " " : "", p->range != NULL ? p->range : "",
	    (p->flags & ZP_LIST) != 0 ? " list" : "");
	return buf;
}

/* What holds when nothing is set. */
static void
print_unset(const struct zone_prop *p)
{
	if ((p->flags & ZP_REQUIRED) != 0)
		printf("; required");
	else if (p->rctl != NULL)
		printf("; %s", p->rctl);
	else if (p->dflt != NULL)
		printf("; default %s", p->dflt);
}

static void
print_type(const struct zone_rtype *t)
{
	char buf[128];

	printf("\001keys zone.%s\n.Bl -tag -width Ds -compact\n", t->name);
	for (const struct zone_prop *p = t->props; p->name != NULL; p++) {
		if ((p->flags & ZP_HIDDEN) != 0)
			continue;
		printf(".It Cm %s Pq \"%s", p->name,
		    format_of(p, buf, sizeof(buf)));
		print_unset(p);
		printf("\"\n%c%s.\n", toupper((unsigned char)p->help[0]),
		    p->help + 1);
	}
	printf(".El\n");
}

static void
print_aliases(void)
{
	printf("\001keys zone.aliases\n"
	       ".Bl -column \"bhyve_extra_opts, bhyve_opts, extra\" \"names\"\n"
	       ".It Sy Attribute Ta Sy Property\n");
	for (const struct zone_rtype *t = zone_rtypes; t->name; t++)
		for (const struct zone_prop *p = t->props; p->name; p++)
			if (p->aliases != NULL && (t->flags & ZR_SINGLE) != 0)
				printf(".It \"%s\" Ta Cm %s %s\n", p->aliases,
				    t->name, p->name);
	printf(".El\n");
}

static void
print_formats(void)
{
	printf(
	    "\001keys zone.formats\n.Bl -tag -width \"cpu range\" -compact\n");
#define X(id, word, what)                                                \
	printf(".It %s\n%c%s.\n", word, toupper((unsigned char)what[0]), \
	    &what[1]);
	ZONE_TYPES(X)
#undef X
	printf(".El\n");
}

static void
print_controls(void)
{
	printf("\001keys zone.controls\n"
	       ".Bl -column \"zone.max-physical-memory\" \"percent of a CPU\" "
	       "\"description\"\n"
	       ".It Sy Name Ta Sy Unit Ta Sy Limit\n");
	for (const struct zone_rctl *r = zone_rctls; r->name != NULL; r++)
		printf(".It Cm %s Ta \"%s\" Ta \"%s\"\n", r->name, r->unit,
		    r->help);
	printf(".El\n");
}

/* The commands are a person's text; here the names, to compare. */
static void
print_commands(void)
{
	printf("\001commands\n");
	for (size_t i = 0; i < ZONE_NVERBS; i++)
		printf("%s\n", zone_verbs[i].name);
}

int
main(void)
{
	for (const struct zone_rtype *t = zone_rtypes; t->name; t++)
		print_type(t);
	print_aliases();
	print_formats();
	print_controls();
	print_commands();
	return 0;
}
