/*
 * Limits and figures of a group. One row a limit: its controller, its file and
 * the form of its value on cgroup v2 and on v1 (Linux: admin-guide/cgroup-v2,
 * admin-guide/cgroup-v1).
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "jail/cgroup_impl.h"

#define PERIOD_US 100000 /* of cpu.max and cfs_quota_us, the kernel's own */
#define QUOTA_MIN_US 1000
#define TEXT_MAX 256

void
jail_limits_read(const struct nvlist *nvl, struct jail_limits *l)
{
	const struct {
		const char *name;
		uint64_t *to;
	} rows[] = {
		{ "cpu_shares", &l->cpu_shares },
		{ "cpu_cap", &l->cpu_cap },
		{ "physical", &l->physical },
		{ "locked", &l->locked },
		{ "swap", &l->swap },
		{ "lwps", &l->lwps },
		{ "processes", &l->processes },
		{ "io_weight", &l->io_weight },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		*rows[i].to = JAIL_UNLIMITED;
		if (nvl != NULL)
			(void)nvlist_get_u64(nvl, rows[i].name, rows[i].to);
	}
	if (l->io_weight != JAIL_UNLIMITED)
		l->io_weight = MAX(MIN(l->io_weight, 1000), 1);
}

/* The value as the kernel wants it, "no limit" included. */
typedef int (*form_fn)(
    const struct jail_limits *l, uint64_t v, char *buf, size_t size);

static int
form_plain(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	return v == JAIL_UNLIMITED ? str_format(buf, size, "max")
				   : str_format(buf, size, "%" PRIu64, v);
}

/* 100 is the middle of both, and what a group has that says nothing. */
static int
form_weight(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	v = v == JAIL_UNLIMITED ? 100 : MIN(MAX(v, 1), 10000);
	return str_format(buf, size, "%" PRIu64, v);
}

static int
form_shares(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	v = v == JAIL_UNLIMITED ? 100 : MIN(v, 25600);
	return str_format(buf, size, "%" PRIu64, MAX(v * 1024 / 100, 2));
}

static int
form_io(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	v = v == JAIL_UNLIMITED ? 100 : MIN(MAX(v, 1), 1000);
	return str_format(buf, size, "%" PRIu64, v);
}

static uint64_t
quota(uint64_t percent)
{
	uint64_t most = UINT64_C(1) << 40;

	return MAX(MIN(percent, most) * PERIOD_US / 100, QUOTA_MIN_US);
}

static int
form_cpu_max(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	if (v == JAIL_UNLIMITED)
		return str_format(buf, size, "max %d", PERIOD_US);
	return str_format(buf, size, "%" PRIu64 " %d", quota(v), PERIOD_US);
}

static int
form_quota(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	if (v == JAIL_UNLIMITED)
		return str_format(buf, size, "-1");
	return str_format(buf, size, "%" PRIu64, quota(v));
}

/* Memory is within the limit of memory and swap. */
static uint64_t
memory(const struct jail_limits *l)
{
	return MIN(l->physical, l->swap);
}

static int
form_memory(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	return form_plain(l, memory(l), buf, size);
}

static int
form_memory1(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	v = memory(l);
	if (v == JAIL_UNLIMITED)
		return str_format(buf, size, "-1");
	return str_format(buf, size, "%" PRIu64, v);
}

/* v2 counts swap alone, v1 both together, as illumos does. */
static int
form_swap(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	return form_plain(
	    l, v == JAIL_UNLIMITED ? v : v - memory(l), buf, size);
}

static int
form_swap1(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	if (v == JAIL_UNLIMITED)
		return str_format(buf, size, "-1");
	return str_format(buf, size, "%" PRIu64, v);
}

static int
form_tasks(const struct jail_limits *l, uint64_t v, char *buf, size_t size)
{
	return form_plain(l, MIN(l->lwps, l->processes), buf, size);
}

/* '|' between the files of one thing: the first that is there is written. */
struct limit_row {
	const char *name; /* as operators know it */
	size_t offset; /* in struct jail_limits */
	enum cgroup_ctl ctl;
	const char *v2;
	form_fn form2;
	const char *v1;
	form_fn form1;
};
#define AT(field) offsetof(struct jail_limits, field)

static const struct limit_row rows[] = {
	{ "cpu-shares", AT(cpu_shares), CTL_CPU, "cpu.weight", form_weight,
	    "cpu.shares", form_shares },
	{ "cpu-cap", AT(cpu_cap), CTL_CPU, "cpu.max", form_cpu_max,
	    "cpu.cfs_quota_us", form_quota },
	{ "max-physical-memory", AT(physical), CTL_MEMORY, "memory.max",
	    form_memory, "memory.limit_in_bytes", form_memory1 },
	{ "max-swap", AT(swap), CTL_MEMORY, "memory.swap.max", form_swap,
	    "memory.memsw.limit_in_bytes", form_swap1 },
	{ "max-lwps", AT(lwps), CTL_PIDS, "pids.max", form_tasks, "pids.max",
	    form_tasks },
	{ "max-processes", AT(processes), CTL_PIDS, "pids.max", form_tasks,
	    "pids.max", form_tasks },
	{ "zfs-io-priority", AT(io_weight), CTL_IO, "io.bfq.weight|io.weight",
	    form_io, "blkio.bfq.weight|blkio.weight", form_io },
};

/* max-swap alone bounds memory too, so that row is written with either. */
static bool
wanted(const struct limit_row *row, const struct jail_limits *l, uint64_t v)
{
	if (row->offset == AT(physical))
		return memory(l) != JAIL_UNLIMITED;
	return v != JAIL_UNLIMITED;
}

/* The hierarchy that has a controller; v2 does only what v1 lacks. */
static const struct cgroup_dir *
dir_with(const struct cgroup *cg, enum cgroup_ctl ctl)
{
	for (size_t i = 0; i < cg->n; i++)
		if ((cg->dirs[i].ctl & 1U << ctl) != 0)
			return &cg->dirs[i];
	return NULL;
}

static int
put_any(const char *dir, const char *files, const char *text)
{
	int r = -ENOENT;

	while (*files != '\0' && r == -ENOENT) {
		size_t n = strcspn(files, "|");
		char file[64];

		snprintf(file, sizeof(file), "%.*s", (int)n, files);
		r = cgroup_put(dir, file, text);
		files += n + (files[n] == '|');
	}
	return r;
}

static int
apply_row(const struct cgroup *cg, const struct limit_row *row,
    const struct jail_limits *l)
{
	const struct cgroup_dir *d = dir_with(cg, row->ctl);
	char text[TEXT_MAX];
	uint64_t v;
	int r;

	if (d == NULL)
		return -ENOENT;
	memcpy(&v, (const char *)l + row->offset, sizeof(v));
	r = (d->v2 ? row->form2 : row->form1)(l, v, text, sizeof(text));
	return r != 0 ? r : put_any(d->path, d->v2 ? row->v2 : row->v1, text);
}

static void
note(struct error *err, const char *name)
{
	if (err->text[0] == '\0')
		error_set(err, ENOTSUP, "this host cannot limit %s", name);
	else
		error_set(err, ENOTSUP, "%s, %s", err->text, name);
}

/* -ENOENT: no controller. */
static int
apply_cpus(const struct cgroup *cg, const char *cpus, bool all)
{
	const struct cgroup_dir *d = dir_with(cg, CTL_CPUSET);

	if (cpus != NULL)
		return d == NULL ? -ENOENT
				 : cgroup_put(d->path, "cpuset.cpus", cpus);
	if (!all || d == NULL)
		return 0;
	return d->v2 ? cgroup_put(d->path, "cpuset.cpus", "\n")
		     : cgroup_cpuset_inherit(d->path);
}

/*
 * One pass over the rows. Memory within memory and swap: a lower limit must
 * come before the other, a higher one after it, so it is tried twice.
 */
static int
apply_rows(const struct cgroup *cg, const struct jail_limits *l, bool all,
    bool again, struct error *notes, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct limit_row *row = &rows[i];
		bool twice = row->offset == AT(physical);
		uint64_t v;
		int r;

		memcpy(&v, (const char *)l + row->offset, sizeof(v));
		if ((again && !twice) || (!all && !wanted(row, l, v)))
			continue;
		r = apply_row(cg, row, l);
		if (r == 0 || !wanted(row, l, v) || (twice && !again))
			continue;
		if (r != -ENOENT)
			return error_sys(
			    err, -r, "%s: the host refuses it", row->name);
		note(notes, row->name);
	}
	return 0;
}

int
cgroup_apply(
    struct cgroup *cg, const struct jail_limits *l, bool all, struct error *err)
{
	struct error notes = ERROR_INIT;
	int r;

	if ((r = apply_rows(cg, l, all, false, &notes, err)) != 0 ||
	    (r = apply_rows(cg, l, all, true, &notes, err)) != 0)
		return r;
	if ((r = apply_cpus(cg, l->cpus, all)) == -ENOENT)
		note(&notes, "dedicated-cpu");
	else if (r != 0)
		return error_sys(err, -r,
		    "dedicated-cpu: the host refuses the CPUs '%s'",
		    l->cpus != NULL ? l->cpus : "");
	if (notes.code == 0)
		return 0;
	if (err != NULL)
		*err = notes;
	return 1;
}

/* An empty cpuset takes no process (v1). */
int
cgroup_cpuset_inherit(const char *dir)
{
	static const char *const files[] = { "cpuset.mems", "cpuset.cpus" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char up[PATH_MAX], text[4096];
		char *slash;
		int r = str_format(up, sizeof(up), "%s", dir);

		if (r != 0)
			return r;
		if ((slash = strrchr(up, '/')) != NULL)
			*slash = '\0';
		if ((r = cgroup_get(up, files[i], text, sizeof(text))) != 0 ||
		    (r = cgroup_put(dir, files[i], text)) != 0)
			return r;
	}
	return 0;
}

/* "key value" lines, as of memory.stat. */
static uint64_t
keyed(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p != NULL && *p != '\0';
	     p = strchr(p, '\n'), p = p != NULL ? p + 1 : NULL)
		if (strncmp(p, key, n) == 0 && p[n] == ' ')
			return strtoull(p + n + 1, NULL, 10);
	return 0;
}

/* Sum of the numbers that follow a word anywhere ("rbytes=", "Read "). */
static uint64_t
summed(const char *text, const char *word)
{
	uint64_t sum = 0;

	for (const char *p = text; (p = strstr(p, word)) != NULL;) {
		p += strlen(word);
		sum += strtoull(p, NULL, 10);
	}
	return sum;
}

enum figure { FIG_CPU, FIG_MEMORY, FIG_READ, FIG_WRITTEN, FIG_OOM, FIG_COUNT };

static const struct figure_row {
	enum cgroup_ctl ctl;
	const char *v2, *word2, *v1, *word1; /* no word: the whole file */
	bool sum; /* of all devices */
	unsigned scale2; /* to the unit of v1 */
} figures[FIG_COUNT] = {
	[FIG_CPU] = { CTL_CPUACCT, "cpu.stat", "usage_usec", "cpuacct.usage",
	    NULL, false, 1000 },
	[FIG_MEMORY] = { CTL_MEMORY, "memory.current", NULL,
	    "memory.usage_in_bytes", NULL, false, 1 },
	[FIG_READ] = { CTL_IO, "io.stat",
	    "rbytes=", "blkio.throttle.io_service_bytes", "Read ", true, 1 },
	[FIG_WRITTEN] = { CTL_IO, "io.stat",
	    "wbytes=", "blkio.throttle.io_service_bytes", "Write ", true, 1 },
	[FIG_OOM] = { CTL_MEMORY, "memory.events", "oom_kill",
	    "memory.oom_control", "oom_kill", false, 1 },
};

static uint64_t
read_figure(const struct cgroup *cg, const struct figure_row *row)
{
	const struct cgroup_dir *d = dir_with(cg, row->ctl);
	const char *word;
	char text[16384];
	uint64_t v;

	/* CPU time is counted on v2 without a controller */
	for (size_t i = 0; d == NULL && i < cg->n; i++)
		if (cg->dirs[i].v2)
			d = &cg->dirs[i];
	if (d == NULL ||
	    cgroup_get(
		d->path, d->v2 ? row->v2 : row->v1, text, sizeof(text)) != 0)
		return 0;
	word = d->v2 ? row->word2 : row->word1;
	if (word == NULL)
		v = strtoull(text, NULL, 10);
	else
		v = row->sum ? summed(text, word) : keyed(text, word);
	return d->v2 ? v * row->scale2 : v;
}

int
cgroup_usage(const struct cgroup *cg, struct jail_usage *ret)
{
	uint64_t v[FIG_COUNT];

	for (size_t i = 0; i < FIG_COUNT; i++)
		v[i] = read_figure(cg, &figures[i]);
	*ret = (struct jail_usage){
		.cpu_ns = v[FIG_CPU],
		.memory = v[FIG_MEMORY],
		.io_read = v[FIG_READ],
		.io_written = v[FIG_WRITTEN],
		.oom_kills = v[FIG_OOM],
	};
	return 0;
}
