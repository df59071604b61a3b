/*
 * The reader: elements and attributes are looked up in the table, so that it
 * knows exactly what the writer writes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/impl.h"
#include "zone/type.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"

/* Kept by illumos in old files; nothing here uses them. */
static const char *const ignored[] = { "package", "patch", "dev-perm",
	"deleted-device", "inherited-pkg-dir" };

struct reader {
	const char *file;
	struct zone_conf *conf;
	struct error *err;
};

static const char *
name_of(const xmlNode *n)
{
	return (const char *)n->name;
}

/* Put file and line before what another function said. */
static int
at(struct reader *rd, const xmlNode *n, int rc)
{
	if (rc < 0)
		error_prefix(rd->err, "%s:%ld", rd->file,
		    n != NULL ? (long)xmlGetLineNo(n) : 1L);
	return rc;
}

static bool
same(const char *a, size_t n, const char *b)
{
	return strlen(b) == n && memcmp(a, b, n) == 0;
}

/*
 * The row of an attribute; *ret_min says that it is the first of two.
 */
static const struct zone_prop *
attr_row(const struct zone_rtype *t, const char *element, const char *name,
    bool *ret_min)
{
	const char *sep;

	*ret_min = false;
	for (const struct zone_prop *p = t->props; p->name != NULL; p++) {
		if (p->xml == NULL || (p->flags & ZP_LIST) != 0)
			continue;
		sep = strchr(p->xml, ':');
		if (sep != NULL) {
			if (same(p->xml, (size_t)(sep - p->xml), element) &&
			    strcmp(sep + 1, name) == 0)
				return p;
			continue;
		}
		if (strcmp(t->xml != NULL ? t->xml : "", element) != 0)
			continue;
		sep = strchr(p->xml, ',');
		if (strcmp(p->xml, name) == 0)
			return p;
		*ret_min =
		    sep != NULL && same(p->xml, (size_t)(sep - p->xml), name);
		if (*ret_min || (sep != NULL && strcmp(sep + 1, name) == 0))
			return p;
	}
	return NULL;
}

/* "min-max" from two attributes, of which this is the first. */
static int
read_range(struct reader *rd, struct zone_res *r, const struct zone_prop *p,
    const xmlNode *n, const char *min)
{
	char *max = zone_xml_attr(n, strchr(p->xml, ',') + 1);
	char text[64];
	int rc;

	rc = str_format(text, sizeof(text), "%s-%s", min, max ? max : min);
	xmlFree(max);
	if (rc < 0)
		return error_set(rd->err, EINVAL, "%s: too long", p->name);
	return zone_res_set(
	    r, p, &(struct zone_raw){ .text = text }, 1, rd->err);
}

static int
read_value(struct reader *rd, struct zone_res *r, const xmlNode *n,
    const char *name, const char *value)
{
	const struct zone_prop *p;
	bool min;

	p = attr_row(r->type, name_of(n), name, &min);
	if (p == NULL && r->type == ZONE_GLOBAL && strcmp(name, "version") == 0)
		return strcmp(value, "1") == 0
		    ? 0
		    : error_set(
			  rd->err, EINVAL, "version '%.32s' is not 1", value);
	if (p == NULL)
		return error_set(rd->err, EINVAL,
		    "'%.64s' is no attribute of '%s'", name, name_of(n));
	if (p->type == ZONE_CPURANGE)
		return min ? read_range(rd, r, p, n, value) : 0;
	/* the DTD's way to say that it is not there; templates have no path */
	if (value[0] == '\0' &&
	    ((p->flags & ZP_REQUIRED) == 0 || r->type == ZONE_GLOBAL))
		return 0;
	return zone_res_set(
	    r, p, &(struct zone_raw){ .text = value }, 1, rd->err);
}

static int
read_attributes(struct reader *rd, struct zone_res *r, const xmlNode *n)
{
	char *value;
	int rc = 0;

	for (const xmlAttr *a = n->properties; a != NULL && rc == 0;
	     a = a->next) {
		value = zone_xml_attr(n, (const char *)a->name);
		if (value == NULL)
			return at(
			    rd, n, error_set(rd->err, ENOMEM, "out of memory"));
		rc = at(
		    rd, n, read_value(rd, r, n, (const char *)a->name, value));
		xmlFree(value);
	}
	return rc;
}

/* The value that a child element is, its attributes being the fields. */
static int
read_child(struct reader *rd, struct zone_res *r, const struct zone_prop *p,
    const xmlNode *n)
{
	char *values[ZONE_FIELDS_MAX + 1] = { NULL };
	struct zone_raw raw = { 0 };
	int rc = 0;

	for (const xmlAttr *a = n->properties; a != NULL; a = a->next) {
		if (raw.nfields == ARRAY_LEN(values)) {
			rc = error_set(rd->err, EINVAL,
			    "too many attributes of '%s'", name_of(n));
			break;
		}
		values[raw.nfields] = zone_xml_attr(n, (const char *)a->name);
		raw.fields[raw.nfields] =
		    (struct zone_raw_field){ (const char *)a->name,
			    values[raw.nfields] };
		if (values[raw.nfields++] == NULL)
			rc = error_set(rd->err, ENOMEM, "out of memory");
	}
	if (rc == 0 && p->fields == NULL) {
		if (raw.nfields != 1 || strcmp(raw.fields[0].name, "name") != 0)
			rc = error_set(rd->err, EINVAL,
			    "'%s' takes one attribute, name", name_of(n));
		raw = (struct zone_raw){ .text = values[0] };
	} else if (rc == 0 && raw.nfields == 0) {
		rc = error_set(
		    rd->err, EINVAL, "'%s' has no attributes", name_of(n));
	}
	if (rc == 0)
		rc = zone_res_add(r, p, &raw, rd->err);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		xmlFree(values[i]);
	return at(rd, n, rc);
}

static const struct zone_prop *
child_row(const struct zone_rtype *t, const char *element)
{
	for (const struct zone_prop *p = t->props; p->name != NULL; p++)
		if ((p->flags & ZP_LIST) != 0 && p->xml != NULL &&
		    strcmp(p->xml, element) == 0)
			return p;
	return NULL;
}

static int
read_children(struct reader *rd, struct zone_res *r, const xmlNode *n)
{
	const struct zone_prop *p;
	xmlNode *c = NULL;
	int rc;

	for (rc = zone_xml_element(rd->file, n->children, &c, rd->err);
	     rc == 0 && c != NULL;
	     rc = zone_xml_element(rd->file, c->next, &c, rd->err)) {
		p = child_row(r->type, name_of(c));
		if (p == NULL)
			return zone_xml_error(rd->file, c, rd->err,
			    "'%.64s' is no element of '%s'", name_of(c),
			    name_of(n));
		rc = read_child(rd, r, p, c);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* The resource that an element belongs to: its own, or the one beside. */
static const struct zone_rtype *
type_of(const char *element, bool *ret_own)
{
	const char *sep;

	for (const struct zone_rtype *t = zone_rtypes + 1; t->name; t++) {
		*ret_own = t->xml != NULL && strcmp(t->xml, element) == 0;
		if (*ret_own)
			return t;
		for (const struct zone_prop *p = t->props; p->name; p++) {
			sep = p->xml != NULL ? strchr(p->xml, ':') : NULL;
			if (sep != NULL &&
			    same(p->xml, (size_t)(sep - p->xml), element))
				return t;
		}
	}
	return NULL;
}

/*
 * A pset and its tmp_pool are one resource in two elements: the second changes
 * what the first made.
 */
static int
read_beside(struct reader *rd, const struct zone_rtype *t, const xmlNode *n)
{
	size_t i = zone_conf_find(rd->conf, t);
	int rc;

	if (i == ZONE_NEW)
		return zone_xml_error(rd->file, n, rd->err,
		    "'%s' without a '%s' before it", name_of(n), t->xml);
	rc = read_attributes(rd, rd->conf->res[i], n);
	return rc == 0 ? read_children(rd, rd->conf->res[i], n) : rc;
}

static int
read_res(struct reader *rd, const xmlNode *n)
{
	const struct zone_rtype *t;
	struct zone_res *r = NULL;
	size_t i = ZONE_NEW;
	bool own;
	int rc;

	for (i = 0; i < ARRAY_LEN(ignored); i++)
		if (strcmp(name_of(n), ignored[i]) == 0)
			return 0;
	t = type_of(name_of(n), &own);
	if (t == NULL)
		return zone_xml_error(rd->file, n, rd->err,
		    "'%.64s' is no element of a zone", name_of(n));
	if (!own)
		return read_beside(rd, t, n);
	rc = at(rd, n, zone_conf_begin(rd->conf, t, &r, &i, rd->err));
	if (rc < 0)
		return rc;
	rc = read_attributes(rd, r, n);
	if (rc == 0)
		rc = read_children(rd, r, n);
	if (rc == 0)
		return at(rd, n, zone_conf_put_fresh(rd->conf, i, r, rd->err));
	zone_res_free(r);
	return rc;
}

/*
 * An empty mcap is no error: the limits that it had may all be resource
 * controls.
 */
static bool
says_nothing(const xmlNode *n)
{
	return strcmp(name_of(n), "mcap") == 0 && n->properties == NULL;
}

static int
read_zone(struct reader *rd, const xmlNode *root)
{
	xmlNode *n = NULL;
	int rc;

	rc = read_attributes(rd, rd->conf->global, root);
	if (rc == 0 && zone_conf_get(rd->conf, "zonename") == NULL)
		rc = zone_xml_error(rd->file, root, rd->err,
		    "the zone has no attribute 'name'");
	if (rc == 0)
		rc = zone_xml_element(rd->file, root->children, &n, rd->err);
	while (rc == 0 && n != NULL) {
		rc = says_nothing(n) ? 0 : read_res(rd, n);
		if (rc == 0)
			rc = zone_xml_element(rd->file, n->next, &n, rd->err);
	}
	return rc;
}

int
zone_xml_read(const char *file, const void *data, size_t len,
    struct zone_conf **ret, struct error *err)
{
	struct error local = ERROR_INIT;
	struct reader rd = { file, NULL, err != NULL ? err : &local };
	xmlDocPtr doc = NULL;
	int rc;

	rc = zone_xml_parse(file, data, len, "zone", &doc, rd.err);
	if (rc < 0)
		return rc;
	rd.conf = zone_conf_create();
	rc = rd.conf == NULL ? error_set(rd.err, ENOMEM, "out of memory")
			     : read_zone(&rd, xmlDocGetRootElement(doc));
	xmlFreeDoc(doc);
	if (rc < 0) {
		zone_conf_free(rd.conf);
		return rc;
	}
	*ret = rd.conf;
	return 0;
}
