/*
 * What a configuration tree may hold: the key tables of everything that is not
 * a PCI device's own (those are in the models), the names that are accepted for
 * others, and what bhyve(8) knows but this build does not.
 *
 * Checking, defaults, the options' early checks and the lists of
 * bhyve_config(5) come from here.
 */
#ifndef MACHINE_SCHEMA_H
#define MACHINE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"
#include "dev/pci/pci.h"

#define MACHINE_MAX_VCPUS 254 /* xAPIC ids; 255 is broadcast */

/*
 * A key table and the node that its names start from ("" = the root; a node
 * name otherwise). 'section' is the table's tag in the manual.
 */
struct schema_table {
	const char *section;
	const char *node;
	const struct config_key *keys;
};
extern const struct schema_table schema_tables[]; /* ends with no section */
#define SCHEMA_MAX_TABLES 16

extern const struct config_key schema_top_keys[];
extern const struct config_key schema_memory_keys[];
extern const struct config_key schema_x86_keys[];
/* Every device node has these besides its model's. */
extern const struct config_key schema_device_keys[];

/*
 * The row that describes a full name ("memory.size"), or NULL. Names below
 * pci.B.S.F are not looked up. *ret_rest: the name relative to the table's
 * node, *ret_node: that node's name.
 */
const struct config_key *
schema_find(const char *path, const struct schema_table **ret_table);

/*
 * Check one value at once, so that the error can name the option it came from.
 * Unknown names, and values that refer to others, are left to machine_check().
 */
int schema_check_value(
    const struct config_node *root, const char *path, struct error *err);

/* Move values from names accepted for others to the names that count. */
int schema_canonical(struct config_node *root, struct error *err);

/* ---- what this build does not have ---- */

/*
 * A configuration value that asks for a feature not built yet is refused with
 * the option's name.
 */
int schema_check_unbuilt(const struct config_node *root, struct error *err);
/* The model, or why not: unknown (nearest name) or not built. */
int schema_find_model(
    const char *name, const struct pci_model **ret, struct error *err);

#endif
