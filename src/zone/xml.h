/*
 * A configuration as the XML of /etc/zones/NAME.xml, in the elements and
 * attributes of the illumos DTD (zonecfg.dtd.1); what the table has beyond it
 * are further elements and attributes.
 */
#ifndef ZONE_XML_H
#define ZONE_XML_H

#include "base/buf.h"
#include "base/error.h"
#include "zone/conf.h"

/*
 * Read a text. Every error says "file:line: " and the reason; nothing is
 * guessed: an unknown element or attribute, a value of the wrong type, a second
 * of what is there once are errors. Elements that illumos keeps for itself
 * (package, patch, dev-perm, ...) are skipped, and not written again.
 */
int zone_xml_read(const char *file, const void *data, size_t len,
    struct zone_conf **ret, struct error *err);

/* Append the XML. Errors stick to the buffer. */
void zone_xml_write(const struct zone_conf *conf, struct buf *b);

#endif
