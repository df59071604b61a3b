/*
 * Reading config.xml. The file is the host's, not a zone's, but it is checked
 * as strictly: a misspelt property in it would quietly forbid something.
 */
#include "zone/brand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/type.h"
#include "zone/xmldoc.h"

#ifndef ZHYVE_BRANDDIR
#define ZHYVE_BRANDDIR "/usr/lib/brand"
#endif

#define MAX_TYPES 32
#define MAX_PROPS 32

/* Elements with a text, in the order of the file. */
static const char *const texts[] = { "modname", "initname", "restartinit",
	"login_cmd", "forcedlogin_cmd", "user_cmd", "install", "installopts",
	"boot", "sysboot", "halt", "shutdown", "verify_cfg", "verify_adm",
	"postattach", "postclone", "postinstall", "predetach", "attach",
	"detach", "clone", "presnap", "postsnap", "validatesnap",
	"preuninstall", "uninstall", "prestatechange", "poststatechange",
	"query" };

struct zone_brand {
	char *name;
	char file[512]; /* for messages */
	char *text[ARRAY_LEN(texts)];
	struct zone_brand_priv *privs;
	size_t nprivs;
	bool lists; /* the file lists resources */
	bool type_on[MAX_TYPES];
	bool prop_on[MAX_TYPES][MAX_PROPS];
	char *fixed[MAX_PROPS]; /* of the global scope */
};

static size_t
type_index(const struct zone_rtype *t)
{
	return (size_t)(t - zone_rtypes);
}

void
zone_brand_free(struct zone_brand *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(b->text[i]);
	for (size_t i = 0; i < MAX_PROPS; i++)
		free(b->fixed[i]);
	for (size_t i = 0; i < b->nprivs; i++) {
		xmlFree((void *)(uintptr_t)b->privs[i].name);
		xmlFree((void *)(uintptr_t)b->privs[i].ip_type);
	}
	free(b->privs);
	free(b->name);
	free(b);
}

const char *
zone_brand_dir(const char *dir)
{
	return dir != NULL ? dir : ZHYVE_BRANDDIR;
}

const char *
zone_brand_name(const struct zone_brand *b)
{
	return b->name;
}

bool
zone_brand_allows(const struct zone_brand *b, const struct zone_rtype *type,
    const struct zone_prop *p)
{
	size_t t = type_index(type);

	if (p != NULL && (p->flags & ZP_HIDDEN) != 0)
		return true;
	if (!b->lists)
		return (type->flags & ZR_BRANDED) == 0 &&
		    (p == NULL || (p->flags & ZP_BRANDED) == 0);
	return b->type_on[t] &&
	    (p == NULL || b->prop_on[t][zone_prop_index(type, p)]);
}

const char *
zone_brand_fixed(const struct zone_brand *b, const struct zone_prop *p)
{
	return b->fixed[zone_prop_index(ZONE_GLOBAL, p)];
}

const char *
zone_brand_text(const struct zone_brand *b, const char *element)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i], element) == 0)
			return b->text[i] != NULL ? b->text[i] : "";
	return "";
}

size_t
zone_brand_privs(const struct zone_brand *b, const struct zone_brand_priv **ret)
{
	*ret = b->privs;
	return b->nprivs;
}

/* ---- the file ---- */

static int
enabled(const struct zone_brand *b, const xmlNode *node, bool *ret,
    struct error *err)
{
	char *v = zone_xml_attr(node, "enabled");
	int rc = 0;

	if (v == NULL || strcmp(v, "true") == 0)
		*ret = true;
	else if (strcmp(v, "false") == 0)
		*ret = false;
	else
		rc = zone_xml_error(b->file, node, err,
		    "enabled='%.32s' is neither true nor false", v);
	xmlFree(v);
	return rc;
}

static int
read_fixed(struct zone_brand *b, const xmlNode *node,
    const struct zone_rtype *t, const struct zone_prop *p, struct error *err)
{
	char *v = zone_xml_attr(node, "fixed-value"), *kept = NULL;
	int rc = 0;

	if (v == NULL)
		return 0;
	if (t != ZONE_GLOBAL || (p->flags & ZP_LIST) != 0)
		rc = zone_xml_error(b->file, node, err,
		    "%s: only simple properties of the global scope can have "
		    "a fixed value",
		    p->name);
	else if (zone_type_check(p->type, p->range, v, &kept, err) < 0)
		rc = error_prefix(
		    err, "%s:%ld: %s", b->file, xmlGetLineNo(node), p->name);
	xmlFree(v);
	if (rc == 0) {
		free(b->fixed[zone_prop_index(t, p)]);
		b->fixed[zone_prop_index(t, p)] = kept;
	}
	return rc;
}

static int
read_property(struct zone_brand *b, const xmlNode *node,
    const struct zone_rtype *t, struct error *err)
{
	char *name = zone_xml_attr(node, "name");
	const struct zone_prop *p = NULL;
	bool on = false;
	int rc;

	if (name == NULL)
		return zone_xml_error(b->file, node, err, "no name");
	rc = zone_prop_get(t, name, &p, err);
	xmlFree(name);
	if (rc < 0)
		return error_prefix(err, "%s:%ld", b->file, xmlGetLineNo(node));
	rc = enabled(b, node, &on, err);
	if (rc == 0)
		rc = read_fixed(b, node, t, p, err);
	if (rc == 0)
		b->prop_on[type_index(t)][zone_prop_index(t, p)] = on;
	return rc;
}

static int
resource_named(const struct zone_brand *b, const xmlNode *node,
    const struct zone_rtype **ret, struct error *err)
{
	char *name = zone_xml_attr(node, "name");
	int rc = 0;

	if (name == NULL)
		return zone_xml_error(b->file, node, err, "no name");
	if (strcmp(name, "global") == 0)
		*ret = ZONE_GLOBAL;
	else if (zone_rtype_get(name, ret, err) < 0)
		rc = error_prefix(err, "%s:%ld", b->file, xmlGetLineNo(node));
	xmlFree(name);
	return rc;
}

static int
read_resource(struct zone_brand *b, xmlNode *node, struct error *err)
{
	const struct zone_rtype *t = NULL;
	xmlNode *child = NULL;
	bool on = false;
	int rc;

	rc = resource_named(b, node, &t, err);
	if (rc == 0)
		rc = enabled(b, node, &on, err);
	if (rc < 0)
		return rc;
	b->lists = true;
	b->type_on[type_index(t)] = on;
	for (rc = zone_xml_element(b->file, node->children, &child, err);
	     rc == 0 && child != NULL;
	     rc = zone_xml_element(b->file, child->next, &child, err)) {
		if (strcmp((const char *)child->name, "property") != 0)
			return zone_xml_error(b->file, child, err,
			    "'%.32s' inside a resource",
			    (const char *)child->name);
		rc = read_property(b, child, t, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int
read_privilege(struct zone_brand *b, const xmlNode *node, struct error *err)
{
	static const char *const sets[] = { "default", "prohibited",
		"required" };
	struct zone_brand_priv *grown, row = { 0 };
	char *set = zone_xml_attr(node, "set");
	size_t i = 0;

	while (set != NULL && i < ARRAY_LEN(sets) && strcmp(set, sets[i]) != 0)
		i++;
	if (set == NULL || i == ARRAY_LEN(sets)) {
		xmlFree(set);
		return zone_xml_error(b->file, node, err,
		    "set must be default, prohibited or required");
	}
	xmlFree(set);
	grown = alloc_resize(b->privs, b->nprivs + 1, sizeof(*grown));
	if (grown == NULL)
		return error_set(err, ENOMEM, "out of memory");
	b->privs = grown;
	row.set = (enum zone_priv_set)i;
	row.name = zone_xml_attr(node, "name");
	row.ip_type = zone_xml_attr(node, "ip-type");
	grown[b->nprivs++] = row;
	if (row.name == NULL)
		return zone_xml_error(b->file, node, err, "no name");
	if (zone_privs_check(row.name, err) < 0)
		return error_prefix(err, "%s:%ld", b->file, xmlGetLineNo(node));
	return 0;
}

/* %B becomes the brand's folder: where it is installed is not the file's. */
static char *
put_dir(const struct zone_brand *b, const char *text)
{
	int dirlen = (int)(strrchr(b->file, '/') - b->file);
	struct buf out;
	char *ret = NULL;

	buf_init(&out, ZONE_XML_MAX);
	for (const char *at; (at = strstr(text, "%B")) != NULL; text = at + 2)
		buf_printf(
		    &out, "%.*s%.*s", (int)(at - text), text, dirlen, b->file);
	buf_append_str(&out, text);
	if (buf_str(&out) != NULL)
		ret = alloc_strdup(buf_str(&out));
	buf_fini(&out);
	return ret;
}

static int
read_text(struct zone_brand *b, xmlNode *node, struct error *err)
{
	const char *name = (const char *)node->name;
	char *text;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (strcmp(texts[i], name) != 0)
			continue;
		text = (char *)xmlNodeGetContent(node);
		free(b->text[i]);
		b->text[i] = text != NULL ? put_dir(b, text) : NULL;
		xmlFree(text);
		if (b->text[i] == NULL)
			return error_set(err, ENOMEM, "out of memory");
		return 0;
	}
	zone_xml_error(
	    b->file, node, err, "'%.32s' is no element of a brand", name);
	error_add_hint(err, str_nearest(name, texts, ARRAY_LEN(texts)));
	return -EINVAL;
}

static int
read_all(struct zone_brand *b, xmlNode *root, struct error *err)
{
	xmlNode *node = NULL;
	int rc;

	for (rc = zone_xml_element(b->file, root->children, &node, err);
	     rc == 0 && node != NULL;
	     rc = zone_xml_element(b->file, node->next, &node, err)) {
		if (strcmp((const char *)node->name, "resource") == 0)
			rc = read_resource(b, node, err);
		else if (strcmp((const char *)node->name, "privilege") == 0)
			rc = read_privilege(b, node, err);
		else
			rc = read_text(b, node, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int
no_brand(const char *dir, const char *name, struct error *err)
{
	char have[256] = "", *end = have, file[512];
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n;

	while (d != NULL && (e = readdir(d)) != NULL) {
		n = strlen(e->d_name);
		if (e->d_name[0] == '.' ||
		    str_format(file, sizeof(file), "%s/%s/config.xml", dir,
			e->d_name) < 0 ||
		    access(file, F_OK) == -1 ||
		    n + 3 > sizeof(have) - (size_t)(end - have))
			continue;
		end = stpcpy(end, end != have ? ", " : "");
		end = stpcpy(end, e->d_name);
	}
	if (d != NULL)
		closedir(d);
	return error_set(err, ENOENT, "there is no brand '%.64s' in %s%s%s",
	    name, dir, have[0] != '\0' ? "; there are: " : "", have);
}

static int
load_file(struct zone_brand *b, const char *dir, struct error *err)
{
	xmlDocPtr doc = NULL;
	struct buf text;
	int rc;

	buf_init(&text, ZONE_XML_MAX);
	rc = fd_read_file(AT_FDCWD, b->file, &text);
	if (rc == -ENOENT)
		rc = no_brand(dir, b->name, err);
	else if (rc < 0)
		rc = error_sys(err, -rc, "%s", b->file);
	else
		rc = zone_xml_parse(
		    b->file, text.data, text.len, "brand", &doc, err);
	/* whatever is wrong inside, the brand is there */
	if (rc == 0 && read_all(b, xmlDocGetRootElement(doc), err) < 0) {
		rc = -EINVAL;
		if (err != NULL)
			err->code = EINVAL;
	}
	xmlFreeDoc(doc);
	buf_fini(&text);
	return rc < 0 ? rc : 0;
}

int
zone_brand_load(const char *dir, const char *name, struct zone_brand **ret,
    struct error *err)
{
	struct zone_brand *b;
	char *kept = NULL;
	int rc;

	dir = zone_brand_dir(dir);
	rc = zone_type_check(ZONE_IDENT, NULL, name, &kept, err);
	if (rc < 0)
		return error_prefix(err, "brand");
	b = alloc_zero(1, sizeof(*b));
	if (b == NULL) {
		free(kept);
		return error_set(err, ENOMEM, "out of memory");
	}
	b->name = kept;
	rc =
	    str_format(b->file, sizeof(b->file), "%s/%s/config.xml", dir, name);
	if (rc < 0)
		rc = error_set(err, ENAMETOOLONG, "%s: path too long", dir);
	else
		rc = load_file(b, dir, err);
	if (rc < 0) {
		zone_brand_free(b);
		return rc;
	}
	*ret = b;
	return 0;
}
