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

/*
 * The row that describes a full name ("memory.size") and its table (ret_table
 * may be NULL); NULL when there is none. The names below pci.B.S.F are the
 * models' and not looked up.
 */
const struct config_key *
schema_find(const char *path, const struct schema_table **ret_table);

/*
 * Check one value at once, so that the error can name the option it came from.
 * Unknown names, and values that refer to others, are left to machine_check().
 */
int schema_check_value(
    const struct config_node *root, const char *path, struct error *err);

/* Names accepted for others; ends with a row without names. */
struct schema_alias {
	const char *from, *to;
};
extern const struct schema_alias schema_aliases[];
/*
 * Move values from these names to those that count, and hand values given once
 * to every device that they are meant for.
 */
int schema_canonical(struct config_node *root, struct error *err);

/* ---- what this build does not have ---- */

/* Device models of bhyve(8) that are not built yet; NULL-terminated. */
extern const char *const schema_unbuilt_models[];

/*
 * A configuration value that asks for a feature not built yet is refused with
 * the option's name.
 */
int schema_check_unbuilt(const struct config_node *root, struct error *err);
/* The model, or why not: unknown (nearest name) or not built. */
int schema_find_model(
    const char *name, const struct pci_model **ret, struct error *err);

#endif
