/*
 * The JSON manifest of a VM, as vmadm(8) of SmartOS has it: one table of
 * properties (name, type, range, default, whether and when it can be changed,
 * and where the configuration keeps it). Validation, JSON from a zone's
 * configuration, and a configuration from JSON all go by it; so do the manual's
 * tables and 'vmadm validate'.
 *
 * What a property becomes: brand -> brand, ram -> capped-memory guest, vcpus ->
 * vcpu, disks -> disk resources, nics -> net resources (zone/nic.h), alias,
 * hostname, resolvers, owner_uuid, ... -> attrs of SmartOS's names;
 * customer_metadata, internal_metadata -> metadata.json; tags -> tags.json.
 * Nothing is lost: a configuration that vmadm made is right for zonecfg, and
 * one made by zonecfg is listed and changed by vmadm.
 *
 * JSON documents come from people and from other machines: they are limited in
 * size and depth by manifest_load(), and checked before anything reads them.
 */
#ifndef MANIFEST_MANIFEST_H
#define MANIFEST_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "zone/conf.h"

#define MANIFEST_MAX (8U << 20) /* bytes of a text */
#define MANIFEST_ITEMS_MAX 256 /* elements of one list */

/* type, word for people */
#define MANIFEST_TYPES(X)   \
	X(BOOL, "boolean")  \
	X(INT, "integer")   \
	X(STRING, "string") \
	X(UUID, "UUID")     \
	X(LIST, "array")    \
	X(MAP, "object")    \
	X(ITEMS, "array of objects")

enum manifest_type {
#define X(id, word) MANIFEST_##id,
	MANIFEST_TYPES(X)
#undef X
};

/* when a change takes effect, words for the manual */
#define MANIFEST_UPDATES(X)                \
	X(NEVER, "no")                     \
	X(YES, "yes")                      \
	X(LIVE, "live")                    \
	X(BOOT, "next boot")               \
	X(MAPS, "set_, remove_")           \
	X(ITEMS, "add_, remove_, update_") \
	X(FACT, "-")

enum manifest_update {
#define X(id, words) MANIFEST_UPDATE_##id,
	MANIFEST_UPDATES(X)
#undef X
};

/* The rows, for listings, tab completion, the manual's tables. */
struct manifest_prop {
	const char *name; /* NULL ends the list */
	const char *scope; /* "": the VM; "nics", "disks" */
	enum manifest_type type;
	const char *range; /* "min..max", "a|b", NULL */
	const char *dflt; /* as text; NULL: unset */
	enum manifest_update update; /* FACT: never set, only shown */
	const char *help;
};
/* The next row behind p; NULL: the first. NULL at the end. */
const struct manifest_prop *manifest_next(const struct manifest_prop *p);
const struct manifest_prop *
manifest_find(const char *scope, const char *name); /* NULL: none */
const char *manifest_type_name(enum manifest_type type);
const char *manifest_update_name(enum manifest_update update);

/* A text to JSON; -EINVAL says line and column, -EFBIG beyond the limit. */
int manifest_load(const void *text, size_t n, json_t **ret, struct error *err);
/* "prop", "value" of a command line: JSON of the row's type. */
int manifest_add_text(
    json_t *payload, const char *prop, const char *value, struct error *err);

/* What is wrong with a manifest: every wrong property is named. */
struct manifest_faults {
	json_t *bad_properties; /* arrays of names: nobody knows them */
	json_t *bad_values; /* known, but not with that value */
	json_t *missing_properties;
	char bad_brand[64]; /* "": it is right */
	json_t *why; /* array of sentences, one for each fault */
};
int manifest_faults_init(struct manifest_faults *f);
void manifest_faults_fini(struct manifest_faults *f);
bool manifest_faults_any(const struct manifest_faults *f);
/* An object with those of the five that say something; new reference. */
json_t *manifest_faults_json(const struct manifest_faults *f);

enum manifest_use { MANIFEST_CREATE, MANIFEST_UPDATE };
/*
 * -EINVAL and the faults; 0: none. *m is changed: defaults are filled in (of
 * CREATE), deprecated names become their successors, UUIDs lower case.
 * brand: of the VM to update; NULL for CREATE. -ENOMEM.
 */
int manifest_check(json_t *m, enum manifest_use use, const char *brand,
    struct manifest_faults *ret);

/*
 * A checked manifest with a uuid to a configuration. Images and volumes are the
 * caller's: each disk has a path by now. zonepath: what it says.
 */
int manifest_to_conf(const json_t *m, const char *zonepath,
    struct zone_conf **ret, struct error *err);
/*
 * What becomes of a configuration by a checked payload of update. Metadata,
 * tags and routes are the caller's, as are the volumes of disks. -ENOENT: no
 * such NIC or disk. *ret_boot: something takes effect only at the next boot.
 */
int manifest_update_conf(const json_t *payload, const struct zone_conf *was,
    struct zone_conf **ret, bool *ret_boot, struct error *err);
/* What 'vmadm get' shows of the configuration; live facts are the caller's. */
int manifest_from_conf(
    const struct zone_conf *conf, json_t **ret, struct error *err);
/*
 * One property of it, a new reference; NULL: unset. Quicker than all of them
 * for a list of many zones.
 */
json_t *manifest_get(const struct zone_conf *conf, const char *prop);

/*
 * The disk with that path, or the NIC with that MAC address, in a
 * configuration; ZONE_NEW: none.
 */
size_t manifest_find_item(
    const struct zone_conf *conf, const char *scope, const char *key);
/* The element of "nics" or "disks" that a resource is. */
int manifest_item_json(const struct zone_res *res, const char *scope,
    json_t **ret, struct error *err);

#endif
