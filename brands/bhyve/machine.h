/*
 * From a zone's configuration to bhyve's argument vector, and to the list of
 * the files that those arguments name. Both go into one list, zhyve.cmd:
 *
 *   version    uint64, 1
 *   bhyve_args string array: what an operator would type
 *   files      array of lists: path string, kind string, readonly boolean
 *
 * docs/zones.md says what the kinds are and what becomes of them.
 */
#ifndef BHYVE_MACHINE_H
#define BHYVE_MACHINE_H

#include "base/error.h"
#include "base/nvlist.h"
#include "zone/conf.h"

#define ZHYVE_CMD_VERSION 1

struct boot_request {
	const struct zone_conf *conf; /* assigned: zone/assign.h */
	const char *zonepath;
	char *const *args; /* boot arguments, NULL-terminated */
};

/* The caller frees *ret. Errors name resource and property. */
int machine_describe(
    const struct boot_request *req, struct nvlist **ret, struct error *err);

#endif
