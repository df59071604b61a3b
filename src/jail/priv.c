/*
 * The sets of privileges: what limitpriv, the brand's default, prohibited and
 * required rows make of each other.
 */
#include "jail/priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "jail/priv_impl.h"

static size_t
find(const char *name)
{
	size_t i = 0;

	while (i < jail_nprivs && strcmp(jail_privs[i].name, name) != 0)
		i++;
	return i;
}

static void
put(struct jail_privset *set, size_t i, bool on)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	if (on)
		set->bits[i / 64] |= bit;
	else
		set->bits[i / 64] &= ~bit;
}

static bool
has(const struct jail_privset *set, size_t i)
{
	return (set->bits[i / 64] >> (i % 64) & 1) != 0;
}

bool
jail_priv_has(const struct jail_privset *set, const char *name)
{
	size_t i = find(name);

	return i < jail_nprivs && has(set, i);
}

static int
unknown(const char *name, struct error *err)
{
	const char *all[JAIL_PRIV_WORDS * 64];

	for (size_t i = 0; i < jail_nprivs; i++)
		all[i] = jail_privs[i].name;
	error_set(err, EINVAL, "'%.64s' is no privilege", name);
	error_add_hint(err, str_nearest(name, all, jail_nprivs));
	return -EINVAL;
}

/* All rows of a kind, and "basic" of the host where that is the default. */
static int
brand_set(const struct jail_brand_priv *rows, size_t n, int kind,
    struct jail_privset *ret, struct error *err)
{
	*ret = (struct jail_privset){ 0 };
	for (size_t i = 0; kind == JAIL_PRIV_DEFAULT && i < jail_nprivs; i++)
		put(ret, i, jail_privs[i].basic);
	for (size_t i = 0; i < n; i++) {
		size_t p = find(rows[i].name);

		if ((int)rows[i].set != kind)
			continue;
		if (p == jail_nprivs)
			return unknown(rows[i].name, err);
		put(ret, p, true);
	}
	return 0;
}

struct sets {
	struct jail_privset standard, prohibited, required, result;
};

/* A name that stands for many; false: it does not. */
static bool
take_set(const char *name, struct sets *s)
{
	bool basic = strcmp(name, "basic") == 0;

	if (strcmp(name, "default") == 0) {
		for (size_t i = 0; i < JAIL_PRIV_WORDS; i++)
			s->result.bits[i] |= s->standard.bits[i];
		return true;
	}
	/* "zone" and "all": whatever a zone may have */
	if (!basic && strcmp(name, "zone") != 0 && strcmp(name, "all") != 0)
		return false;
	for (size_t i = 0; i < jail_nprivs; i++)
		if (basic ? jail_privs[i].basic : !has(&s->prohibited, i))
			put(&s->result, i, true);
	return true;
}

static int
take_word(const char *word, struct sets *s, struct error *err)
{
	bool on = *word != '-' && *word != '!';
	const char *name = on ? word : word + 1;
	size_t i = find(name);

	if (on && take_set(name, s))
		return 0;
	if (i == jail_nprivs)
		return unknown(name, err);
	put(&s->result, i, on);
	return 0;
}

static int
check(const struct sets *s, struct error *err)
{
	for (size_t i = 0; i < jail_nprivs; i++) {
		const char *name = jail_privs[i].name;

		if (has(&s->result, i) && has(&s->prohibited, i))
			return error_set(err, EPERM,
			    "privilege '%s' is in the brand's prohibited set; "
			    "take it out of limitpriv",
			    name);
		if (!has(&s->result, i) && has(&s->required, i))
			return error_set(err, EPERM,
			    "privilege '%s' is in the brand's required set; "
			    "limitpriv must leave it",
			    name);
	}
	return 0;
}

static int
take_words(const char *limitpriv, struct sets *s, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(limitpriv);
	char *save = NULL;
	int r = 0;

	if (copy == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (char *w = strtok_r(copy, ",", &save); w != NULL && r == 0;
	     w = strtok_r(NULL, ",", &save))
		r = take_word(w, s, err);
	return r;
}

int
jail_privs_resolve(const char *limitpriv, const struct jail_brand_priv *rows,
    size_t n, struct jail_privset *ret, struct error *err)
{
	struct sets s = { 0 };
	int r;

	if (limitpriv == NULL || *limitpriv == '\0')
		limitpriv = "default";
	if ((r = brand_set(rows, n, JAIL_PRIV_DEFAULT, &s.standard, err)) !=
		0 ||
	    (r = brand_set(
		 rows, n, JAIL_PRIV_PROHIBITED, &s.prohibited, err)) != 0 ||
	    (r = brand_set(rows, n, JAIL_PRIV_REQUIRED, &s.required, err)) !=
		0 ||
	    (r = take_words(limitpriv, &s, err)) != 0 ||
	    (r = check(&s, err)) != 0)
		return error_prefix(err, "limitpriv");
	*ret = s.result;
	return 0;
}
