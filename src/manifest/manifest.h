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
 */
#ifndef MANIFEST_MANIFEST_H
#define MANIFEST_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "zone/conf.h"

/* What is wrong with a manifest: every wrong property is named. */
struct manifest_faults {
	json_t *bad_properties; /* arrays of names: nobody knows them */
	json_t *bad_values; /* known, but not with that value */
	json_t *missing_properties;
	const char *bad_brand; /* NULL: it is right */
	json_t *why; /* array of sentences, one for each fault */
};
void manifest_faults_fini(struct manifest_faults *f);

enum manifest_use { MANIFEST_CREATE, MANIFEST_UPDATE };
/* -EINVAL and the faults; 0: none. *m is changed: defaults are filled in. */
int manifest_check(json_t *m, enum manifest_use use, const char *brand,
    struct manifest_faults *ret);
/* A checked manifest to a configuration. Images and volumes: the caller's. */
int
manifest_to_conf(const json_t *m, struct zone_conf **ret, struct error *err);
/* A checked payload of update, into conf (metadata and tags: the caller's). */
int manifest_update_conf(
    const json_t *payload, struct zone_conf *conf, struct error *err);
/* What 'vmadm get' shows of the configuration; live facts are the caller's. */
int manifest_from_conf(
    const struct zone_conf *conf, json_t **ret, struct error *err);

/* The rows, for listings, tab completion, the manual's tables. */
struct manifest_prop {
	const char *name, *scope; /* scope "": the VM; "nics", "disks" */
	const char *type, *range, *dflt, *update, *help;
};
const struct manifest_prop *manifest_props(size_t *ret_n);

#endif
