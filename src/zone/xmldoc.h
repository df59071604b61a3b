/*
 * libxml2, held short: no network, no DTD, no entities, no text on stderr, and
 * every error says file, line and reason. For the files of zone/ only.
 */
#ifndef ZONE_XMLDOC_H
#define ZONE_XMLDOC_H

#include <libxml/tree.h>
#include <stddef.h>

#include "base/error.h"

#define ZONE_XML_MAX (8U << 20) /* bytes of a file */

/*
 * Parse a text whose outermost element must be 'root'. file is for messages.
 * The caller frees with xmlFreeDoc(). -EINVAL: damaged, or declares entities or
 * attributes of its own.
 */
int zone_xml_parse(const char *file, const void *data, size_t len,
    const char *root, xmlDocPtr *ret, struct error *err);

/* Error with "file:line: " in front. */
int zone_xml_error(const char *file, const xmlNode *node, struct error *err,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Value of an attribute, or NULL; the caller frees with xmlFree(). Entities of
 * the five predefined names and of characters only: see zone_xml_parse().
 */
char *zone_xml_attr(const xmlNode *node, const char *name);
/*
 * Next element at or behind a node. Texts other than blanks between elements
 * are an error (*err set, NULL returned).
 */
int zone_xml_element(
    const char *file, xmlNode *node, xmlNode **ret, struct error *err);

#endif
