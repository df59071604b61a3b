/*
 * What an operator wants for one boot becomes part of that boot's
 * configuration, and of nothing that is kept.
 */
#include "once.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "zone/assign.h"

#define PREFIX "zhyve."

/* Words of an order, and their letters since floppies were A. */
static const struct {
	const char *word;
	char letter;
	bool cdrom;
} classes[] = { { "disk", 'c', false }, { "cdrom", 'd', true } };

struct once {
	struct zone_conf *conf;
	const char *order; /* NULL: none */
	bool cdrom; /* one came */
	struct error *err;
};

static int
set(struct once *o, struct zone_res *res, const char *prop, const char *text)
{
	const struct zone_prop *p = zone_prop_find(zone_res_type(res), prop);
	const struct zone_raw raw = { .text = text };

	return (p->flags & ZP_LIST) != 0
	    ? zone_res_add(res, p, &raw, o->err)
	    : zone_res_set(res, p, &raw, 1, o->err);
}

static int
add_disk(struct once *o, const char *text, const char *media)
{
	const char *comma = strrchr(text, ',');
	struct zone_res *res = zone_res_create(zone_rtype_find("disk"));
	char path[4096];
	int rc;

	if (res == NULL)
		return error_set(o->err, ENOMEM, "out of memory");
	if (str_format(path, sizeof(path), "%.*s",
		comma != NULL ? (int)(comma - text) : (int)strlen(text),
		text) < 0)
		rc = error_set(o->err, ENAMETOOLONG, "%.64s...", text);
	else
		rc = set(o, res, "path", path);
	if (rc == 0 && comma != NULL)
		rc = set(o, res, "model", comma + 1);
	if (rc == 0)
		rc = set(o, res, "media", media);
	if (rc == 0)
		rc = zone_conf_put(o->conf, ZONE_NEW, res, o->err);
	if (rc < 0)
		zone_res_free(res);
	return rc;
}

static int
take_word(struct once *o, const char *word)
{
	if (strncmp(word, "cdrom=", 6) == 0) {
		o->cdrom = true;
		return add_disk(o, word + 6, "cdrom");
	}
	if (strncmp(word, "disk=", 5) == 0)
		return add_disk(o, word + 5, "disk");
	if (strncmp(word, "order=", 6) == 0) {
		o->order = word + 6;
		return 0;
	}
	return error_set(o->err, EINVAL,
	    PREFIX "%.64s: for one boot there are cdrom=, disk= and order=",
	    word);
}

/* ---- order ---- */

/* The class that a word, or a letter of one, names; -1: none. */
static int
class_of(const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if ((strlen(classes[i].word) == n &&
			memcmp(word, classes[i].word, n) == 0) ||
		    (n == 1 && *word == classes[i].letter))
			return (int)i;
	return -1;
}

static int
set_index(struct once *o, size_t at, unsigned index)
{
	struct zone_res *res = zone_res_dup(zone_conf_at(o->conf, at));
	char text[24];
	int rc;

	if (res == NULL)
		return error_set(o->err, ENOMEM, "out of memory");
	str_format(text, sizeof(text), "bootindex=%u", index);
	rc = set(o, res, "options", text);
	if (rc == 0)
		rc = zone_conf_put(o->conf, at, res, o->err);
	if (rc < 0)
		zone_res_free(res);
	return rc;
}

static bool
is_cdrom(const struct zone_res *res)
{
	return strcmp(zone_res_lookup(res, "media"), "cdrom") == 0;
}

/* All disks of a class, the boot disk before the others. */
static int
add_class(struct once *o, int class, unsigned *index)
{
	int rc = 0;

	for (int boot = 1; boot >= 0; boot--)
		for (size_t i = 0; rc == 0 && i < zone_conf_count(o->conf);
		     i++) {
			const struct zone_res *res = zone_conf_at(o->conf, i);

			if (strcmp(zone_res_type(res)->name, "disk") != 0 ||
			    is_cdrom(res) != classes[class].cdrom ||
			    zone_res_flag(res, "boot") != (boot == 1))
				continue;
			rc = set_index(o, i, ++*index);
		}
	return rc;
}

static int
apply_order(struct once *o)
{
	const char *p = o->order;
	unsigned index = 0, seen = 0;
	bool words = p != NULL && (strchr(p, ',') != NULL || strlen(p) > 2);
	int rc = 0, class;
	size_t n;

	for (; rc == 0 && p != NULL && *p != '\0'; p += n + (p[n] == ',')) {
		n = words ? strcspn(p, ",") : 1;
		class = class_of(p, n);
		if (class < 0)
			return error_set(o->err, EINVAL,
			    "order '%.64s': there are disk and cdrom, or the "
			    "letters c and d",
			    o->order);
		if ((seen & 1U << class) == 0)
			rc = add_class(o, class, &index);
		seen |= 1U << class;
	}
	return rc;
}

int
once_apply(struct zone_conf **conf, char **args, struct error *err)
{
	struct once o = { .err = err };
	size_t kept = 0;
	bool changed;
	int rc = 0;

	o.conf = zone_conf_dup(*conf);
	if (o.conf == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; rc == 0 && args[i] != NULL; i++)
		if (strncmp(args[i], PREFIX, strlen(PREFIX)) == 0)
			rc = take_word(&o, args[i] + strlen(PREFIX));
		else
			args[kept++] = args[i];
	args[kept] = NULL;
	if (rc == 0 && o.order == NULL && o.cdrom)
		o.order = "dc";
	if (rc == 0)
		rc = apply_order(&o);
	if (rc == 0)
		rc = zone_assign(o.conf, &changed, err);
	if (rc < 0) {
		zone_conf_free(o.conf);
		return rc;
	}
	zone_conf_free(*conf);
	*conf = o.conf;
	return 0;
}
