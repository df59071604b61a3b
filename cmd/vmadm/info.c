/*
 * vmadm info: what a VM uses now, and where its sockets are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "jail/cgroup.h"
#include "vmadm.h"
#include "zone/live.h"

static json_t *
info_run(struct command *c, const struct zone_live *live)
{
	return json_pack("{s:s, s:i, s:I}", "state",
	    vm_state_name(c->admin, c->vm.name, live->state), "pid",
	    (int)live->pid, "instance", (json_int_t)live->instance);
}

static json_t *
info_usage(struct command *c, const struct zone_live *live)
{
	const struct nvlist *saved = NULL;
	struct jail_usage u = { 0 };
	struct cgroup *cg = NULL;
	int rc;

	(void)c;
	rc = nvlist_get_list(live->record, "jail", &saved);
	if (rc == 0)
		rc = cgroup_attach(saved, &cg, NULL);
	if (rc == 0)
		rc = cgroup_usage(cg, &u);
	cgroup_free(cg);
	if (rc < 0)
		return json_object();
	return json_pack("{s:I, s:I, s:I, s:I}", "cpu_ns", (json_int_t)u.cpu_ns,
	    "memory", (json_int_t)u.memory, "read", (json_int_t)u.io_read,
	    "written", (json_int_t)u.io_written);
}

static json_t *
info_console(struct command *c, const struct zone_live *live)
{
	char path[ZONE_LIVE_PATH], all[ZONE_LIVE_PATH + 32];

	(void)live;
	if (zone_live_path(c->admin->root, c->vm.name, path, sizeof(path)) < 0)
		return json_object();
	str_format(all, sizeof(all), "%s/console.sock", path);
	return json_pack("{s:s, s:s}", "socket", all, "type", "console");
}

static const struct {
	const char *name;
	json_t *(*fn)(struct command *c, const struct zone_live *live);
} types[] = {
	{ "run", info_run },
	{ "usage", info_usage },
	{ "console", info_console },
};

static bool
asked(const struct command *c, const char *name)
{
	for (int i = 1; i < c->argc; i++)
		if (strcmp(c->argv[i], "all") == 0 ||
		    strcmp(c->argv[i], name) == 0)
			return true;
	return c->argc == 1;
}

static int
check_types(struct command *c)
{
	size_t k;

	for (int i = 1; i < c->argc; i++) {
		for (k = 0; k < ARRAY_LEN(types); k++)
			if (strcmp(types[k].name, c->argv[i]) == 0)
				break;
		if (k == ARRAY_LEN(types) && strcmp(c->argv[i], "all") != 0)
			return usage(c, "types: all, run, usage, console");
	}
	return EXIT_OK;
}

int
cmd_info(struct command *c)
{
	struct error err = ERROR_INIT;
	struct zone_live live;
	json_t *out;
	int status = check_types(c);

	if (status != EXIT_OK)
		return status;
	if (zone_live_read(c->admin->root, c->vm.name, &live) < 0 ||
	    !live.alive) {
		error_set(&err, ESRCH,
		    "VM %s is not running: there is nothing to tell",
		    c->vm.name);
		return failed(c, &err);
	}
	out = json_object();
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (asked(c, types[i].name))
			json_object_set_new(
			    out, types[i].name, types[i].fn(c, &live));
	status = print_json(out);
	json_decref(out);
	zone_live_fini(&live);
	return status;
}
