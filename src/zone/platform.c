/*
 * Reading platform.xml: four elements, and a table of what attribute of each
 * goes where.
 */
#include "zone/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/brand.h"
#include "zone/type.h"
#include "zone/xmldoc.h"

#define ROW(member) offsetof(struct zone_platform_row, member)

static const struct attribute {
	const char *element;
	enum zone_platform_kind kind;
	const char *name;
	size_t member;
	bool required;
} attributes[] = {
	{ "global_mount", ZONE_GLOBAL_MOUNT, "special", ROW(what), true },
	{ "global_mount", ZONE_GLOBAL_MOUNT, "directory", ROW(where), true },
	{ "global_mount", ZONE_GLOBAL_MOUNT, "type", ROW(type), true },
	{ "global_mount", ZONE_GLOBAL_MOUNT, "opt", ROW(opt), false },
	{ "mount", ZONE_MOUNT, "special", ROW(what), true },
	{ "mount", ZONE_MOUNT, "directory", ROW(where), true },
	{ "mount", ZONE_MOUNT, "type", ROW(type), true },
	{ "mount", ZONE_MOUNT, "opt", ROW(opt), false },
	{ "device", ZONE_DEVICE, "match", ROW(what), true },
	{ "device", ZONE_DEVICE, "name", ROW(where), false },
	{ "device", ZONE_DEVICE, "ip-type", ROW(ip_type), false },
	{ "symlink", ZONE_SYMLINK, "source", ROW(what), true },
	{ "symlink", ZONE_SYMLINK, "target", ROW(where), true },
};

static char **
member(struct zone_platform_row *row, const struct attribute *a)
{
	return (char **)(void *)((char *)row + a->member);
}

static void
row_free(struct zone_platform_row *row)
{
	free(row->what);
	free(row->where);
	free(row->type);
	free(row->opt);
	free(row->ip_type);
}

void
zone_platform_free(struct zone_platform *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		row_free(&p->rows[i]);
	free(p->rows);
	free(p);
}

static const struct attribute *
find(const char *element, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		if (strcmp(attributes[i].element, element) == 0 &&
		    (name == NULL || strcmp(attributes[i].name, name) == 0))
			return &attributes[i];
	return NULL;
}

static int
read_attribute(const char *file, const xmlNode *n, const xmlAttr *x,
    struct zone_platform_row *row, struct error *err)
{
	const char *element = (const char *)n->name;
	const struct attribute *a = find(element, (const char *)x->name);
	char *value;
	int rc;

	if (a == NULL)
		return zone_xml_error(file, n, err,
		    "'%.64s' is no attribute of '%s'", (const char *)x->name,
		    element);
	value = zone_xml_attr(n, a->name);
	if (value == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = zone_text_check(value, err);
	if (rc < 0)
		error_prefix(err, "%s:%ld: %s", file, xmlGetLineNo(n), a->name);
	else if ((*member(row, a) = alloc_strdup(value)) == NULL)
		rc = error_set(err, ENOMEM, "out of memory");
	xmlFree(value);
	return rc;
}

static int
read_row(const char *file, const xmlNode *n, struct zone_platform_row *row,
    struct error *err)
{
	const char *element = (const char *)n->name;
	const struct attribute *a = find(element, NULL);
	int rc = 0;

	if (a == NULL)
		return zone_xml_error(file, n, err,
		    "'%.64s' is no element of a platform", element);
	row->kind = a->kind;
	for (const xmlAttr *x = n->properties; x != NULL && rc == 0;
	     x = x->next)
		rc = read_attribute(file, n, x, row, err);
	for (size_t i = 0; i < ARRAY_LEN(attributes) && rc == 0; i++)
		if (attributes[i].required &&
		    strcmp(attributes[i].element, element) == 0 &&
		    *member(row, &attributes[i]) == NULL)
			rc = zone_xml_error(file, n, err,
			    "'%s' needs the attribute '%s'", element,
			    attributes[i].name);
	return rc;
}

static int
add_row(const char *file, const xmlNode *n, struct zone_platform *p,
    struct error *err)
{
	struct zone_platform_row row = { .what = NULL }, *grown;
	int rc;

	rc = read_row(file, n, &row, err);
	if (rc == 0) {
		grown = alloc_resize(p->rows, p->n + 1, sizeof(*grown));
		if (grown == NULL) {
			rc = error_set(err, ENOMEM, "out of memory");
		} else {
			p->rows = grown;
			grown[p->n++] = row;
		}
	}
	if (rc < 0)
		row_free(&row);
	return rc;
}

static int
read_all(
    const char *file, xmlNode *root, struct zone_platform *p, struct error *err)
{
	char *ip = zone_xml_attr(root, "allow-exclusive-ip");
	xmlNode *n = NULL;
	int rc;

	p->exclusive_ip = ip != NULL && strcmp(ip, "true") == 0;
	xmlFree(ip);
	rc = zone_xml_element(file, root->children, &n, err);
	while (rc == 0 && n != NULL) {
		rc = add_row(file, n, p, err);
		if (rc == 0)
			rc = zone_xml_element(file, n->next, &n, err);
	}
	return rc;
}

static int
load(const char *file, struct zone_platform *p, struct error *err)
{
	xmlDocPtr doc = NULL;
	struct buf text;
	int rc;

	buf_init(&text, ZONE_XML_MAX);
	rc = fd_read_file(AT_FDCWD, file, &text);
	if (rc < 0)
		rc = error_sys(err, -rc, "%s", file);
	else
		rc = zone_xml_parse(
		    file, text.data, text.len, "platform", &doc, err);
	if (rc == 0)
		rc = read_all(file, xmlDocGetRootElement(doc), p, err);
	xmlFreeDoc(doc);
	buf_fini(&text);
	return rc < 0 ? rc : 0;
}

int
zone_platform_load(const char *dir, const char *brand,
    struct zone_platform **ret, struct error *err)
{
	cleanup_free char *name = NULL;
	struct zone_platform *p;
	char file[512];
	int rc;

	rc = zone_type_check(ZONE_IDENT, NULL, brand, &name, err);
	if (rc < 0)
		return error_prefix(err, "brand");
	if (str_format(file, sizeof(file), "%s/%s/platform.xml",
		zone_brand_dir(dir), name) < 0)
		return error_set(err, ENAMETOOLONG, "brand: path too long");
	p = alloc_zero(1, sizeof(*p));
	if (p == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = load(file, p, err);
	if (rc < 0) {
		zone_platform_free(p);
		return rc;
	}
	*ret = p;
	return 0;
}
