/*
 * Completion reads the same rows as the parser; it knows which argument of
 * which command the cursor is in, and no more.
 */
#include "zone/complete.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "zone/stmt.h"

struct place {
	const struct zone_complete *c;
	enum zone_verb verb;
	bool has_verb;
	const char *word; /* the unfinished one */
	size_t len;
	unsigned
	    nth; /* of the arguments behind the verb, options not counted */
	char first[64]; /* the first argument */
};

static void
offer(const struct place *p, const char *word)
{
	if (strncmp(word, p->word, p->len) == 0)
		p->c->found(p->c->arg, word);
}

static void
offer_with(const struct place *p, const char *name, const char *rest)
{
	char text[256];

	if (str_format(text, sizeof(text), "%s%s", name, rest) == 0)
		offer(p, text);
}

static bool
allowed(const struct place *p, const struct zone_rtype *t,
    const struct zone_prop *prop)
{
	if (prop != NULL && (prop->flags & ZP_HIDDEN) != 0)
		return false;
	return p->c->brand == NULL || zone_brand_allows(p->c->brand, t, prop);
}

static void
offer_verbs(const struct place *p)
{
	unsigned scope = p->c->res != NULL ? ZV_RES
	    : p->c->conf != NULL           ? ZV_GLOBAL
					   : ZV_NOZONE;

	for (size_t i = 0; i < ZONE_NVERBS; i++)
		if ((zone_verbs[i].where & scope) != 0)
			offer(p, zone_verbs[i].name);
}

static void
offer_types(const struct place *p, bool present)
{
	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++)
		if (allowed(p, t, NULL) &&
		    (!present || p->c->conf == NULL ||
			zone_conf_next(p->c->conf, t, NULL) != NULL))
			offer(p, t->name);
}

/* Properties of a type; lists or not, as the flag mask says. */
static void
offer_props(const struct place *p, const struct zone_rtype *t, unsigned mask,
    unsigned want, const char *rest)
{
	for (const struct zone_prop *q = t->props; q->name != NULL; q++)
		if ((q->flags & mask) == want && allowed(p, t, q))
			offer_with(p, q->name, rest);
}

static void
offer_range(const struct place *p, const char *name, const char *range)
{
	char word[128];
	size_t n;

	for (const char *s = range; s != NULL && *s != '\0'; s += n) {
		n = strcspn(s, "|");
		if (str_format(
			word, sizeof(word), "%s=%.*s", name, (int)n, s) == 0)
			offer(p, word);
		n += s[n] == '|';
	}
}

/* "name=..." of a property with few values. */
static void
offer_values(const struct place *p, const struct zone_rtype *t)
{
	const char *eq = memchr(p->word, '=', p->len);
	char name[64];
	const struct zone_prop *q;

	if (eq == NULL || (size_t)(eq - p->word) >= sizeof(name))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(eq - p->word), p->word);
	q = zone_prop_find(t, name);
	if (q == NULL)
		return;
	if (q->type == ZONE_BOOL)
		offer_range(p, name, "true|false");
	else if (q->type == ZONE_ENUM || q->type == ZONE_WORDS)
		offer_range(p, name, q->range);
}

/* "name=" or, behind it, the values that resources of the type have. */
static void
offer_filters(const struct place *p, const struct zone_rtype *t)
{
	const struct zone_prop *q;
	char text[256];

	if (memchr(p->word, '=', p->len) == NULL)
		return offer_props(p, t, ZP_LIST, 0, "=");
	for (const struct zone_res *r = p->c->conf != NULL
		 ? zone_conf_next(p->c->conf, t, NULL)
		 : NULL;
	     r != NULL; r = zone_conf_next(p->c->conf, t, r))
		for (q = t->props; q->name != NULL; q++)
			if ((q->flags & ZP_LIST) == 0 &&
			    zone_res_count(r, q) > 0 &&
			    str_format(text, sizeof(text), "%s=%s", q->name,
				zone_res_value(r, q, 0)->text[0]) == 0)
				offer(p, text);
}

static void
in_resource(const struct place *p, const struct zone_rtype *t)
{
	if (p->verb == ZONE_VERB_SET) {
		if (memchr(p->word, '=', p->len) == NULL)
			offer_props(p, t, 0, 0, "=");
		else
			offer_values(p, t);
	} else if (p->verb == ZONE_VERB_CLEAR) {
		offer_props(p, t, 0, 0, "");
	} else if (p->verb == ZONE_VERB_ADD || p->verb == ZONE_VERB_REMOVE) {
		offer_props(p, t, ZP_LIST, ZP_LIST, "");
	}
}

static void
in_zone(const struct place *p)
{
	const struct zone_rtype *t;

	if (p->verb == ZONE_VERB_SET || p->verb == ZONE_VERB_CLEAR)
		return in_resource(p, ZONE_GLOBAL);
	if (p->verb == ZONE_VERB_ADD)
		return p->nth == 0 ? offer_types(p, false) : (void)0;
	if (p->verb != ZONE_VERB_SELECT && p->verb != ZONE_VERB_REMOVE &&
	    p->verb != ZONE_VERB_INFO)
		return;
	if (p->nth == 0) {
		offer_types(p, true);
		if (p->verb == ZONE_VERB_INFO)
			offer_props(p, ZONE_GLOBAL, 0, 0, "");
		return;
	}
	t = zone_rtype_find(p->first);
	if (t != NULL)
		offer_filters(p, t);
}

static void
offer_all(const struct place *p)
{
	char option[3] = "-";

	if (!p->has_verb) {
		offer_verbs(p);
		return;
	}
	for (const char *o = zone_verbs[p->verb].opts; *o != '\0'; o++)
		if (*o != ':' && p->word[0] == '-') {
			option[1] = *o;
			offer(p, option);
		}
	if (p->verb == ZONE_VERB_HELP) {
		for (size_t i = 0; i < ZONE_NVERBS; i++)
			offer(p, zone_verbs[i].name);
		offer_types(p, false);
	} else if (p->c->res != NULL) {
		if (p->nth == 0)
			in_resource(p, zone_res_type(p->c->res));
	} else {
		in_zone(p);
	}
}

/* Where the last statement of the line begins. */
static const char *
last_statement(const char *line)
{
	const char *start = line;
	bool quoted = false;

	for (const char *s = line; *s != '\0'; s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (*s == ';' && !quoted)
			start = s + 1;
	}
	return start + strspn(start, " \t");
}

size_t
zone_complete(const struct zone_complete *c, const char *line)
{
	struct place p = { .c = c, .word = last_statement(line) };
	const char *next;
	size_t n;

	for (;; p.word = next) {
		n = strcspn(p.word, " \t");
		next = p.word + n + strspn(p.word + n, " \t");
		if (p.word[n] == '\0')
			break;
		if (!p.has_verb) {
			for (size_t i = 0; i < ZONE_NVERBS; i++)
				if (strlen(zone_verbs[i].name) == n &&
				    memcmp(zone_verbs[i].name, p.word, n) ==
					0) {
					p.verb = (enum zone_verb)i;
					p.has_verb = true;
				}
			if (!p.has_verb)
				return strlen(next);
		} else if (p.word[0] != '-') {
			if (p.nth++ == 0)
				str_format(p.first, sizeof(p.first), "%.*s",
				    (int)n, p.word);
		}
	}
	p.len = n;
	offer_all(&p);
	return n;
}
