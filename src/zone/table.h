/*
 * What a zone's configuration may hold: every resource and every property,
 * once.
 *
 * The statement parser, set/add/clear, info, export, verify, the XML reader and
 * writer, tab completion, help and the lists of zonecfg(8) all read these rows.
 * A new property is a new row; a brand says in its config.xml which rows it
 * allows (zone/brand.h).
 */
#ifndef ZONE_TABLE_H
#define ZONE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Limits of a configuration, whatever it is read from. */
#define ZONE_NAME_MAX 63
#define ZONE_VALUE_MAX 16384 /* bytes of one value */
#define ZONE_LIST_MAX 1024 /* values of one list */
#define ZONE_RES_MAX 4096 /* resources of one zone */
#define ZONE_FIELDS_MAX 3 /* parts of one complex value */

/* name, word for people, what a right value is */
#define ZONE_TYPES(X)                                                          \
	X(STRING, "string", "a text")                                          \
	X(PATH, "path", "a path that begins with '/', without '.' or '..'")    \
	X(BOOL, "boolean", "true or false")                                    \
	X(UINT, "number", "a number")                                          \
	X(INT, "integer", "a number, which may be negative")                   \
	X(SIZE, "size", "a number of bytes, with K, M, G or T behind it")      \
	X(RAM, "memory", "a number of MiB, or a size as 4G")                   \
	X(ENUM, "word", "one of the words listed")                             \
	X(WORDS, "words", "some of the words listed, commas between")          \
	X(MAC, "MAC", "an Ethernet address as 2:8:20:0:11:22")                 \
	X(UUID, "UUID", "a UUID, 8-4-4-4-12 hexadecimal digits")               \
	X(HOSTID, "hostid", "hexadecimal, 0 to fffffffe")                      \
	X(CPUS, "cpus", "a number of CPUs, as 2 or 1.5")                       \
	X(CPURANGE, "cpu range", "a number of CPUs, as 2, or a range 1-4")     \
	X(TOPOLOGY, "topology", "as 4, or cpus=4,sockets=1,cores=2,threads=2") \
	X(ZONENAME, "zone name",                                               \
	    "a letter or digit, then letters, digits, '_', '-', '.'; "         \
	    "at most 63")                                                      \
	X(IDENT, "name",                                                       \
	    "a letter or digit, then letters, digits, '-', '_', '.'")          \
	X(HOSTNAME, "host name",                                               \
	    "parts of letters, digits and '-', 1 to 63 each, '.' between")     \
	X(PRIVS, "privileges", "as default,-net_access")                       \
	X(ADDR, "address", "an IP address, with or without /prefix")           \
	X(ADDRS, "addresses", "IP addresses, commas between")                  \
	X(HOSTS, "hosts", "IP addresses without /prefix, commas between")      \
	X(IPS, "guest addresses",                                              \
	    "IP addresses with /prefix, dhcp, addrconf, commas between")       \
	X(CIDS, "client ids",                                                  \
	    "DHCP client ids as 0x010203, commas between, or *")               \
	X(PORTS, "ports", "ports and ranges, as 25,6000-6063")                 \
	X(RATE, "bit rate", "a number of Mbit/s, or with K, M or G behind it") \
	X(FORWARDS, "forwards",                                                \
	    "as tcp:127.0.0.1:2222-10.0.2.15:22, semicolons between")          \
	X(SLOT, "slot",                                                        \
	    "a PCI slot: bus:device:function, device:function "                \
	    "or device")                                                       \
	X(RCTL, "control", "the name of a resource control")                   \
	X(ACTION, "action", "none, deny or signal=NAME")

enum zone_type {
#define X(id, word, what) ZONE_##id,
	ZONE_TYPES(X)
#undef X
};

/* Part of a complex value: (priv=privileged,limit=100,action=none). */
struct zone_field {
	const char *name; /* NULL ends the list */
	enum zone_type type;
	const char *range;
	bool quoted; /* exported in quotes, as SmartOS writes it */
};

/* flags of a property */
#define ZP_REQUIRED 0x01 /* 'end' and 'verify' insist on it */
#define ZP_KEY 0x02 /* no two resources of a type agree in all key values */
#define ZP_LIST 0x04 /* any number of values */
#define ZP_BRANDED 0x08 /* only where a brand lists it */
#define ZP_HIDDEN 0x10 /* kept in the XML, not offered to people */
#define ZP_ALWAYS 0x20 /* never unset: clearing gives the default */
#define ZP_SECRET 0x40 /* a file that holds one is for its owner only */

struct zone_prop {
	const char *name; /* NULL ends the list */
	enum zone_type type;
	unsigned flags;
	const char *range; /* ENUM, WORDS: "a|b"; numbers: "min..max" */
	const char *dflt; /* what holds when unset; NULL = nothing */
	/*
	 * Attribute of the resource's element; "element:attribute" of an
	 * element beside it; "min,max" for a CPURANGE; the child element of a
	 * list (attributes are the fields' names, "name" for simple values).
	 * NULL: not in the XML by itself.
	 */
	const char *xml;
	/* Alias of a resource control: its name, action, and factor. */
	const char *rctl, *action;
	unsigned scale; /* 0 = 1 */
	/*
	 * The same thing by its other names, commas between: of attr resources
	 * (single resources), of property values (net; device for disk).
	 */
	const char *aliases;
	const struct zone_field *fields; /* NULL: simple values */
	const char *help; /* one line, no full stop */
};

/* flags of a resource */
#define ZR_SINGLE 0x01 /* at most one in a zone */
#define ZR_BRANDED 0x02 /* only where a brand lists it */

struct zone_rtype {
	const char *name; /* NULL ends the list */
	unsigned flags;
	const char *xml; /* element; NULL: resource controls only */
	const struct zone_prop *props;
	const char *help;
};

/* Row 0 is the global scope, "global"; the others are what 'add' takes. */
extern const struct zone_rtype zone_rtypes[];
#define ZONE_GLOBAL (&zone_rtypes[0])

/* NULL when there is none. */
const struct zone_rtype *zone_rtype_find(const char *name);
const struct zone_prop *
zone_prop_find(const struct zone_rtype *t, const char *name);
/*
 * As above; the error names the nearest. Hidden properties are not found.
 * *ret is untouched on failure.
 */
int zone_rtype_get(
    const char *name, const struct zone_rtype **ret, struct error *err);
int zone_prop_get(const struct zone_rtype *t, const char *name,
    const struct zone_prop **ret, struct error *err);
size_t zone_prop_index(const struct zone_rtype *t, const struct zone_prop *p);
size_t zone_prop_count(const struct zone_rtype *t);
size_t zone_field_count(const struct zone_prop *p); /* 1 for a simple one */
/* Index of the field, or -1. */
int zone_field_find(const struct zone_prop *p, const char *name);

/* Whether 'name' is one of the words of a list with 'sep' between them. */
bool zone_list_has(const char *list, char sep, const char *name);
/*
 * The row that an attr name is an alias of ("ram": capped-memory guest), with
 * its resource; NULL when it is nobody's.
 */
const struct zone_prop *
zone_attr_row(const char *attr, const struct zone_rtype **ret_type);
/* The row that a property value's name is an alias of, for net and device. */
const struct zone_prop *
zone_pair_row(const struct zone_rtype *t, const char *name);
/* A word that old lexers take for a keyword wherever it stands unquoted. */
bool zone_is_keyword(const char *word);

/* Names for people: "string", "a text"... */
const char *zone_type_name(enum zone_type type);
const char *zone_type_what(enum zone_type type);

/* The resource controls that a zone can have. */
struct zone_rctl {
	const char *name; /* NULL ends the list */
	const char *unit; /* "bytes", "count", ... */
	const char *help;
};
extern const struct zone_rctl zone_rctls[];

#endif
