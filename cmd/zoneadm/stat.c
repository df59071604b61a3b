/*
 * zoneadm stat: what zones use, from their groups, and what their guests ask of
 * the metadata server. No supervisor is asked.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "jail/cgroup.h"
#include "zone/event.h"
#include "zone/live.h"
#include "zoneadm.h"

#define STAT_MAX (16U << 20)

static int
usage_of(struct command *c, const char *zone, struct jail_usage *ret)
{
	const struct nvlist *saved = NULL;
	struct cgroup *cg = NULL;
	struct zone_live live;
	int rc;

	rc = zone_live_read(c->admin->root, zone, &live);
	if (rc < 0)
		return rc;
	rc = live.alive ? nvlist_get_list(live.record, "jail", &saved) : -ESRCH;
	if (rc == 0)
		rc = cgroup_attach(saved, &cg, NULL);
	if (rc == 0) {
		rc = cgroup_usage(cg, ret);
		cgroup_free(cg);
	}
	zone_live_fini(&live);
	return rc;
}

static void
put_person(const char *zone, const struct jail_usage *u,
    const struct nvlist *metadata, struct buf *b)
{
	uint64_t requests = 0;

	buf_printf(b, "%-20s %10ju.%02ju %10ju %12ju %12ju", zone,
	    (uintmax_t)(u->cpu_ns / 1000000000),
	    (uintmax_t)(u->cpu_ns / 10000000 % 100),
	    (uintmax_t)(u->memory / MiB), (uintmax_t)(u->io_read / KiB),
	    (uintmax_t)(u->io_written / KiB));
	if (metadata != NULL &&
	    nvlist_get_u64(metadata, "requests", &requests) == 0)
		buf_printf(b, " %10ju\n", (uintmax_t)requests);
	else
		buf_printf(b, " %10s\n", "-");
}

/* All counters of docs/metadata.md. */
static void
put_metadata(const struct nvlist *metadata, struct buf *b)
{
	static const char *const names[] = { "requests", "answers",
		"bad_frames", "echoes", "unknown", "overlong", "puts",
		"deletes", "in", "out", "facts", "limited", "full" };
	uint64_t v;

	buf_append_str(b, ", \"metadata\": {");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (nvlist_get_u64(metadata, names[i], &v) == 0)
			buf_printf(b, "%s\"%s\": %ju", i > 0 ? ", " : "",
			    names[i], (uintmax_t)v);
	buf_append_str(b, "}");
}

static void
put_json(const char *zone, const struct jail_usage *u,
    const struct nvlist *metadata, struct buf *b)
{
	buf_append_str(b, b->len <= 2 ? "  {\"name\": " : ",\n  {\"name\": ");
	zone_json_str(b, zone);
	buf_printf(b,
	    ", \"cpu_ns\": %ju, \"memory\": %ju, \"read\": %ju, "
	    "\"written\": %ju",
	    (uintmax_t)u->cpu_ns, (uintmax_t)u->memory, (uintmax_t)u->io_read,
	    (uintmax_t)u->io_written);
	if (metadata != NULL)
		put_metadata(metadata, b);
	buf_append_str(b, "}");
}

int
cmd_stat(struct command *c)
{
	struct jail_usage u = { 0 };
	struct error err = ERROR_INIT;
	struct admin_list l;
	bool json = false;
	struct buf b;
	int opt, status, sock;

	while ((opt = getopt(c->argc, c->argv, "+j")) != -1) {
		if (opt != 'j')
			return usage(c, NULL);
		json = true;
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	if (admin_list(c->admin, false, &l, &err) < 0)
		return failed(c, &err);
	buf_init(&b, STAT_MAX);
	if (json)
		buf_append_str(&b, "[\n");
	else
		buf_printf(&b, "%-20s %13s %10s %12s %12s %10s\n", "NAME",
		    "CPU(s)", "MEM(MiB)", "READ(KiB)", "WRITTEN(KiB)",
		    "METADATA");
	sock = metadata_dial(c);
	for (size_t i = 0; i < l.n; i++) {
		struct nvlist *metadata;

		if ((c->zone != NULL && strcmp(c->zone, l.v[i].name) != 0) ||
		    usage_of(c, l.v[i].name, &u) < 0)
			continue;
		metadata = metadata_stat(&sock, l.v[i].name);
		(json ? put_json : put_person)(l.v[i].name, &u, metadata, &b);
		nvlist_free(metadata);
	}
	fd_close(&sock);
	if (json)
		buf_append_str(&b, b.len <= 2 ? "]\n" : "\n]\n");
	status = print(c, &b);
	buf_fini(&b);
	admin_list_free(&l);
	return status;
}
