/*
 * The types of values: what is right, and the one form that a value is kept in.
 */
#ifndef ZONE_TYPE_H
#define ZONE_TYPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "zone/table.h"

/*
 * Check a text against a type and its range. *ret is the form to keep, which
 * the caller frees: sizes with the largest suffix that divides them, booleans
 * as true or false, words in lower case; everything else as it was given. The
 * error names the value and what would be right.
 *
 * No value of any type holds control characters other than tabs, or double
 * quotes (statements could not express them), or invalid UTF-8 (XML could not).
 */
int zone_type_check(enum zone_type type, const char *range, const char *text,
    char **ret, struct error *err);

/* Only the rules above that hold for every value. */
int zone_text_check(const char *text, struct error *err);

/* As zone_type_check() for names; 'global' and SUNW... are refused too. */
int zone_name_check(const char *name, struct error *err);

/*
 * Numbers behind values that were checked: bytes of a SIZE or RAM, hundredths
 * of CPUS times scale/100, the number of a UINT. -EINVAL for other types.
 */
int zone_type_number(
    enum zone_type type, unsigned scale, const char *text, uint64_t *ret);
/* The other way: the text of a number, in the form that is kept. */
int zone_type_format(
    enum zone_type type, unsigned scale, uint64_t v, char *buf, size_t size);

/* Number of CPUs and their arrangement; 0 where nothing is said. */
struct zone_topology {
	uint64_t cpus, sockets, cores, threads;
};
/* Checks that the parts multiply to the whole, and at most 254. */
int zone_topology_parse(
    const char *text, struct zone_topology *ret, struct error *err);

/* Address of a PCI function. */
struct zone_slot {
	unsigned bus, dev, func;
};
int zone_slot_parse(const char *text, struct zone_slot *ret);

/* The privileges that a limitpriv can name; ends with NULL. */
extern const char *const zone_privs[];
/* Check a privilege set: names, 'default' only in front. */
int zone_privs_check(const char *text, struct error *err);

#endif
