/*
 * A file under /etc/zones may have been made by hand, cut off by a full disk,
 * or be somebody's attempt. Declarations are stopped at the parser's door:
 * without entities and default attributes a document is no bigger than its
 * file.
 */
#include "zone/xmldoc.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

static void
refuse(void *ctx)
{
	xmlParserCtxtPtr ctxt = ctx;

	ctxt->_private = ctxt;
	xmlStopParser(ctxt);
}

static void
refuse_entity(void *ctx, const xmlChar *name, int type, const xmlChar *pub,
    const xmlChar *sys, xmlChar *content)
{
	refuse(ctx);
}

static void
refuse_attribute(void *ctx, const xmlChar *elem, const xmlChar *name, int type,
    int def, const xmlChar *value, xmlEnumerationPtr tree)
{
	xmlFreeEnumeration(tree);
	refuse(ctx);
}

static void
refuse_unparsed(void *ctx, const xmlChar *name, const xmlChar *pub,
    const xmlChar *sys, const xmlChar *notation)
{
	refuse(ctx);
}

/* The reason alone, in one line. */
static int
syntax_error(const char *file, xmlParserCtxtPtr ctxt, struct error *err)
{
	const xmlError *e = xmlCtxtGetLastError(ctxt);
	size_t n;

	if (ctxt->_private != NULL)
		return error_set(err, EINVAL,
		    "%s:%d: declares entities or attributes, which a zone's "
		    "file must not",
		    file, ctxt->input != NULL ? ctxt->input->line : 1);
	if (e == NULL || e->message == NULL)
		return error_set(err, EINVAL, "%s:1: is no XML", file);
	if (e->code == XML_ERR_NO_MEMORY)
		return error_set(err, ENOMEM, "%s: out of memory", file);
	n = strcspn(e->message, "\n");
	return error_set(err, EINVAL, "%s:%d: damaged XML: %.*s", file,
	    e->line > 0 ? e->line : 1, (int)MIN(n, 200), e->message);
}

static int
read_doc(const char *file, xmlParserCtxtPtr ctxt, const void *data, size_t len,
    xmlDocPtr *ret, struct error *err)
{
	xmlDocPtr doc;

	ctxt->sax->entityDecl = refuse_entity;
	ctxt->sax->attributeDecl = refuse_attribute;
	ctxt->sax->unparsedEntityDecl = refuse_unparsed;
	ctxt->_private = NULL;
	doc = xmlCtxtReadMemory(ctxt, data, (int)len, NULL, NULL, OPTIONS);
	if (doc == NULL || ctxt->_private != NULL) {
		xmlFreeDoc(doc);
		return syntax_error(file, ctxt, err);
	}
	*ret = doc;
	return 0;
}

int
zone_xml_parse(const char *file, const void *data, size_t len, const char *root,
    xmlDocPtr *ret, struct error *err)
{
	xmlParserCtxtPtr ctxt;
	xmlNode *top;
	xmlDocPtr doc = NULL;
	int rc;

	if (len == 0)
		return error_set(err, EINVAL, "%s:1: the file is empty", file);
	if (len > ZONE_XML_MAX)
		return error_set(err, EFBIG, "%s: bigger than %u MiB", file,
		    ZONE_XML_MAX >> 20);
	ctxt = xmlNewParserCtxt();
	if (ctxt == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = read_doc(file, ctxt, data, len, &doc, err);
	xmlFreeParserCtxt(ctxt);
	if (rc < 0)
		return rc;
	top = xmlDocGetRootElement(doc);
	if (top == NULL || strcmp((const char *)top->name, root) != 0) {
		rc = zone_xml_error(
		    file, top, err, "the outermost element must be '%s'", root);
		xmlFreeDoc(doc);
		return rc;
	}
	*ret = doc;
	return 0;
}

int
zone_xml_error(const char *file, const xmlNode *node, struct error *err,
    const char *fmt, ...)
{
	long line = node != NULL ? xmlGetLineNo(node) : 1;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = error_vset(err, EINVAL, fmt, ap);
	va_end(ap);
	error_prefix(err, "%s:%ld", file, line > 0 ? line : 1);
	return rc;
}

char *
zone_xml_attr(const xmlNode *node, const char *name)
{
	return (char *)xmlGetNoNsProp(node, (const xmlChar *)name);
}

int
zone_xml_element(
    const char *file, xmlNode *node, xmlNode **ret, struct error *err)
{
	for (; node != NULL && node->type != XML_ELEMENT_NODE;
	     node = node->next) {
		if (node->type == XML_COMMENT_NODE ||
		    node->type == XML_PI_NODE || xmlIsBlankNode(node))
			continue;
		return zone_xml_error(file, node->parent, err,
		    "text between the elements of '%s'",
		    (const char *)node->parent->name);
	}
	*ret = node;
	return 0;
}
