/*
 * The plan of a zone's walls: a list of steps, computed from data alone, so
 * that it can be shown, compared and stopped at every place by a test. The
 * order is the heart of it; the reasons are beside the rows.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "jail/jail_impl.h"

#define STEPS_MAX 256
#define SOURCES_MAX 64
#define NOFILE_MIN 128

const struct jail_verb jail_verbs[JAIL_NVERBS] = {
#define X(n, w) [JAIL_V_##n] = { #n, w, jail_do_##n },
	JAIL_VERBS(X)
#undef X
};

static const struct {
	const char *name;
	uint64_t set, clear;
} mount_flags[] = {
	{ "ro", MOUNT_ATTR_RDONLY, 0 },
	{ "rw", 0, MOUNT_ATTR_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID, 0 },
	{ "nodev", MOUNT_ATTR_NODEV, 0 },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0 },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0 },
};

static const struct {
	const char *key, *standard;
} tmpfs_data[] = {
	{ "size=", "50m" },
	{ "nr_inodes=", "4096" },
	{ "mode=", "0755" },
};

static int
no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

/* NULL when there is no memory; the plan is then incomplete and freed. */
static struct jail_step *
add(struct jail_plan *plan, enum jail_verb_id verb, const char *what,
    const char *where)
{
	struct jail_step *s = &plan->steps[plan->nsteps];

	*s = (struct jail_step){ .verb = &jail_verbs[verb] };
	if (what != NULL && (s->what = alloc_strdup(what)) == NULL)
		return NULL;
	if (where != NULL && (s->where = alloc_strdup(where)) == NULL) {
		free(s->what);
		return NULL;
	}
	plan->nsteps++;
	return s;
}

/* Absolute, or not; no component is empty, "." or "..". */
static bool
path_ok(const char *path, bool absolute)
{
	const char *p = path;

	if (absolute && *p++ != '/')
		return false;
	for (;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && *p == '.') ||
		    (n == 2 && memcmp(p, "..", 2) == 0) || n > NAME_MAX)
			return false;
		if (p[n] == '\0')
			break;
		p += n + 1;
	}
	return strlen(path) < PATH_MAX;
}

static bool
printable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s == 0x7f)
			return false;
	return true;
}

static int
parse_flag(const char *word, size_t n, uint64_t *flags)
{
	for (size_t i = 0; i < ARRAY_LEN(mount_flags); i++)
		if (strlen(mount_flags[i].name) == n &&
		    memcmp(mount_flags[i].name, word, n) == 0) {
			*flags &= ~mount_flags[i].clear;
			*flags |= mount_flags[i].set;
			return 0;
		}
	return -ENOENT;
}

static int
tmpfs_key(const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(tmpfs_data); i++) {
		size_t k = strlen(tmpfs_data[i].key);

		if (n > k && memcmp(word, tmpfs_data[i].key, k) == 0 &&
		    memchr(word, '%', n) == NULL)
			return (int)i;
	}
	return -ENOENT;
}

/* Split a mount's options into flags and, of a tmpfs, its data. */
static int
parse_options(const struct jail_mount *m, uint64_t *flags, char *data,
    size_t size, struct error *err)
{
	const char *value[ARRAY_LEN(tmpfs_data)] = { NULL };
	int len[ARRAY_LEN(tmpfs_data)] = { 0 };
	const char *p = m->opt != NULL ? m->opt : "";
	size_t at = 0;

	*flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	while (*p != '\0') {
		size_t n = strcspn(p, ",");
		int key = m->kind == JAIL_TMPFS ? tmpfs_key(p, n) : -ENOENT;

		if (key >= 0) {
			value[key] = p;
			len[key] = (int)n;
		} else if (parse_flag(p, n, flags) != 0) {
			return error_set(err, EINVAL,
			    "mount at %s: unknown option '%.*s'", m->where,
			    (int)n, p);
		}
		p += n + (p[n] == ',');
	}
	for (size_t i = 0; i < ARRAY_LEN(tmpfs_data) && data != NULL; i++) {
		int k;

		if (value[i] != NULL)
			k = snprintf(
			    data + at, size - at, "%.*s,", len[i], value[i]);
		else
			k = snprintf(data + at, size - at, "%s%s,",
			    tmpfs_data[i].key, tmpfs_data[i].standard);
		if (k < 0 || (size_t)k >= size - at)
			return error_set(err, EINVAL,
			    "mount at %s: the options are too long", m->where);
		at += (size_t)k;
	}
	return 0;
}

/* Something of the host: opened before, attached inside. */
static int
add_source(struct jail_plan *plan, const struct jail_mount *m, const char *what,
    const char *where, struct error *err)
{
	struct jail_step *s;
	uint64_t flags;
	int r;

	if ((r = parse_options(m, &flags, NULL, 0, err)) != 0)
		return r;
	if (plan->nsources == SOURCES_MAX)
		return error_set(
		    err, E2BIG, "more than %d mounts of the host", SOURCES_MAX);
	if (m->kind == JAIL_DEVICE) {
		flags =
		    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	}
	if ((s = add(plan, JAIL_V_open, what, where)) == NULL)
		return no_memory(err);
	s->flags = flags;
	s->slot = plan->nsources++;
	s->optional = m->kind == JAIL_DEVICE;
	return 0;
}

static int
check_mount(const struct jail_mount *m, struct error *err)
{
	const char *what = m->what != NULL ? m->what : "";
	const char *where = m->where != NULL ? m->where : "";
	bool bad = false;

	switch (m->kind) {
	case JAIL_BIND:
		bad = !path_ok(what, true) || !path_ok(where, true);
		break;
	case JAIL_TMPFS:
		bad = !path_ok(where, true);
		break;
	case JAIL_DEVICE:
		bad = !path_ok(what, false);
		break;
	case JAIL_SYMLINK:
		bad = !path_ok(where, false) || *what == '\0';
		break;
	}
	if (bad || !printable(what) || !printable(where))
		return error_set(err, EINVAL,
		    "'%s' at '%s': a mount needs whole paths without '.', "
		    "'..' and blanks",
		    what, where);
	return 0;
}

static int
plan_sources(
    struct jail_plan *plan, const struct jail_spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->nmounts; i++) {
		const struct jail_mount *m = &spec->mounts[i];
		char node[PATH_MAX + 8];
		int r = check_mount(m, err);

		if (r != 0)
			return r;
		if (m->kind == JAIL_BIND) {
			r = add_source(plan, m, m->what, m->where, err);
		} else if (m->kind == JAIL_DEVICE) {
			snprintf(node, sizeof(node), "/dev/%s", m->what);
			r = add_source(plan, m, node, node, err);
		}
		if (r != 0)
			return r;
	}
	return 0;
}

static int
add_attach(struct jail_plan *plan, unsigned slot)
{
	const struct jail_step *from = NULL;
	struct jail_step *s;

	for (size_t i = 0; i < plan->nsteps; i++)
		if (plan->steps[i].verb == &jail_verbs[JAIL_V_open] &&
		    plan->steps[i].slot == slot)
			from = &plan->steps[i];
	if (from == NULL)
		return -EINVAL;
	s = add(plan, JAIL_V_attach, from->what, from->where);
	if (s == NULL)
		return -ENOMEM;
	s->slot = slot;
	return 0;
}

static int
add_tmpfs(struct jail_plan *plan, const struct jail_mount *m, struct error *err)
{
	struct jail_step *s;
	char data[128], all[160];
	uint64_t flags;
	int r;

	if ((r = parse_options(m, &flags, data, sizeof(data), err)) != 0)
		return r;
	snprintf(all, sizeof(all), "%suid=%d,gid=%d", data, JAIL_UID, JAIL_UID);
	if ((s = add(plan, JAIL_V_tmpfs, NULL, m->where)) == NULL ||
	    (s->data = alloc_strdup(all)) == NULL)
		return no_memory(err);
	s->flags = flags | MOUNT_ATTR_NOEXEC;
	return 0;
}

static int
plan_mounts(
    struct jail_plan *plan, const struct jail_spec *spec, struct error *err)
{
	unsigned slot = 0;

	for (size_t i = 0; i < spec->nmounts; i++) {
		const struct jail_mount *m = &spec->mounts[i];
		char at[PATH_MAX + 8];
		int r = 0;

		if (m->kind == JAIL_BIND || m->kind == JAIL_DEVICE) {
			if (add_attach(plan, slot++) != 0)
				return no_memory(err);
		} else if (m->kind == JAIL_TMPFS) {
			r = add_tmpfs(plan, m, err);
		} else {
			snprintf(at, sizeof(at), "/dev/%s", m->where);
			if (add(plan, JAIL_V_link, m->what, at) == NULL)
				return no_memory(err);
		}
		if (r != 0)
			return r;
	}
	return 0;
}

/* Steps without a mount of the specification in them, in their order. */
struct fixed {
	enum jail_verb_id verb;
	const char *what;
	uint64_t number;
};

static const struct fixed to_the_root[] = {
	/* in its groups before anything can be used up, then wait to be told
	   that the parent is done; a dead parent ends it there */
	{ JAIL_V_enter, NULL, 0 },
	{ JAIL_V_wait, NULL, 0 },
	{ JAIL_V_user, NULL, 0 },
	{ JAIL_V_session, NULL, 0 },
	{ JAIL_V_hostname, NULL, 0 },
	{ JAIL_V_private, "/", 0 },
	/* a nested user namespace would give every capability back; while
	   /proc is still there */
	{ JAIL_V_sysctl, "/proc/sys/user/max_user_namespaces", 0 },
	{ JAIL_V_root, NULL, 0 },
};
static const struct fixed from_the_root[] = {
	{ JAIL_V_pivot, NULL, 0 },
	{ JAIL_V_seal, "/", 0 },
	{ JAIL_V_fds, NULL, 0 },
	/* what could undo a read-only mount goes last */
	{ JAIL_V_bound, NULL, 0 },
	{ JAIL_V_secure, NULL, 0 },
	{ JAIL_V_user, NULL, JAIL_UID },
	{ JAIL_V_drop, NULL, 0 },
	{ JAIL_V_mdwe, NULL, 0 },
	{ JAIL_V_exec, NULL, 0 },
};

static int
plan_fixed(struct jail_plan *plan, const struct fixed *rows, size_t n,
    struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *what = rows[i].what;
		struct jail_step *s;

		if (rows[i].verb == JAIL_V_hostname)
			what = plan->name;
		if ((s = add(plan, rows[i].verb, what, NULL)) == NULL)
			return no_memory(err);
		s->flags = rows[i].number;
	}
	return 0;
}

static int
plan_rlimit(
    struct jail_plan *plan, const char *name, uint64_t value, struct error *err)
{
	struct jail_step *s;

	if ((s = add(plan, JAIL_V_rlimit, name, NULL)) == NULL)
		return no_memory(err);
	s->flags = value;
	return 0;
}

static int
plan_host(
    struct jail_plan *plan, const struct jail_spec *spec, struct error *err)
{
	uint64_t locked = spec->limits.locked;
	int r;

	if (!jail_priv_has(&spec->privs, "proc_lock_memory"))
		locked = 0;
	if (add(plan, JAIL_V_groups, plan->group, NULL) == NULL)
		return no_memory(err);
	if ((r = plan_sources(plan, spec, err)) != 0)
		return r;
	if (add(plan, JAIL_V_map, NULL, NULL) == NULL)
		return no_memory(err);
	if ((r = plan_rlimit(plan, "core", 0, err)) != 0)
		return r;
	if (spec->nofile != 0 &&
	    (r = plan_rlimit(plan, "nofile", spec->nofile, err)) != 0)
		return r;
	if (locked != JAIL_UNLIMITED)
		return plan_rlimit(plan, "memlock", locked, err);
	return 0;
}

static int
check_name(const char *name, size_t max, struct error *err)
{
	size_t n = strlen(name);

	if (n != 0 && n <= max && strchr(name, '/') == NULL && printable(name))
		return 0;
	return error_set(err, EINVAL,
	    "'%s' cannot be the name of a confined zone: 1 to %zu characters, "
	    "no '/', no blanks",
	    name, max);
}

static int
check_spec(const struct jail_spec *spec, struct error *err)
{
	int r = check_name(spec->name, 64, err); /* sethostname(2) */

	if (r == 0 && spec->group != NULL)
		r = check_name(spec->group, 200, err);
	if (r != 0)
		return r;
	if (spec->uid_base == 0 || spec->uid_count <= JAIL_UID ||
	    spec->uid_base > UINT32_MAX - spec->uid_count)
		return error_set(err, EINVAL,
		    "uids %" PRIu32 " and %" PRIu32
		    " after it are no range for a zone: it must not begin at "
		    "0 and needs at least %d",
		    spec->uid_base, spec->uid_count, JAIL_UID + 1);
	if (spec->nofile != 0 && spec->nofile < NOFILE_MIN)
		return error_set(err, EINVAL,
		    "%" PRIu64 " descriptors are too few: at least %d",
		    spec->nofile, NOFILE_MIN);
	if (spec->nmounts > STEPS_MAX / 4)
		return error_set(
		    err, E2BIG, "more than %d mounts", STEPS_MAX / 4);
	return 0;
}

static int
fill(struct jail_plan *plan, const struct jail_spec *spec, struct error *err)
{
	const char *group = spec->group != NULL ? spec->group : spec->name;
	int r;

	plan->uid_base = spec->uid_base;
	plan->uid_count = spec->uid_count;
	plan->nofile = spec->nofile;
	plan->limits = spec->limits;
	plan->limits.cpus = NULL;
	plan->steps = alloc_zero(STEPS_MAX, sizeof(*plan->steps));
	if (plan->steps == NULL ||
	    (plan->name = alloc_strdup(spec->name)) == NULL ||
	    (plan->group = alloc_strdup(group)) == NULL)
		return no_memory(err);
	if (spec->limits.cpus != NULL &&
	    (plan->limits.cpus = alloc_strdup(spec->limits.cpus)) == NULL)
		return no_memory(err);
	if ((r = plan_host(plan, spec, err)) != 0 ||
	    (r = plan_fixed(plan, to_the_root, ARRAY_LEN(to_the_root), err)) !=
		0 ||
	    (r = plan_mounts(plan, spec, err)) != 0)
		return r;
	return plan_fixed(plan, from_the_root, ARRAY_LEN(from_the_root), err);
}

int
jail_plan_make(
    const struct jail_spec *spec, struct jail_plan **ret, struct error *err)
{
	struct jail_plan *plan;
	int r;

	if ((r = check_spec(spec, err)) != 0)
		return r;
	if ((plan = alloc_zero(1, sizeof(*plan))) == NULL)
		return no_memory(err);
	if ((r = fill(plan, spec, err)) != 0) {
		jail_plan_free(plan);
		return r;
	}
	*ret = plan;
	return 0;
}

void
jail_plan_free(struct jail_plan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->nsteps; i++) {
		free(plan->steps[i].what);
		free(plan->steps[i].where);
		free(plan->steps[i].data);
	}
	free(plan->steps);
	free(plan->name);
	free(plan->group);
	free((char *)plan->limits.cpus);
	free(plan);
}

void
jail_step_text(const struct jail_step *s, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s", s->verb->name,
	    s->what != NULL ? " " : "", s->what != NULL ? s->what : "",
	    s->where != NULL ? " at " : "", s->where != NULL ? s->where : "");
}

static void
print_flags(uint64_t flags, struct buf *b)
{
	char sep = ' ';

	for (size_t i = 0; i < ARRAY_LEN(mount_flags); i++)
		if ((flags & mount_flags[i].set) != 0) {
			buf_printf(b, "%c%s", sep, mount_flags[i].name);
			sep = ',';
		}
}

static void
print_limits(const struct jail_limits *l, struct buf *b)
{
	const struct {
		const char *name;
		uint64_t v;
	} rows[] = {
		{ "cpu-shares", l->cpu_shares },
		{ "cpu-cap", l->cpu_cap },
		{ "physical", l->physical },
		{ "swap", l->swap },
		{ "lwps", l->lwps },
		{ "processes", l->processes },
		{ "io", l->io_weight },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].v != JAIL_UNLIMITED)
			buf_printf(b, " %s=%" PRIu64, rows[i].name, rows[i].v);
	if (l->cpus != NULL)
		buf_printf(b, " cpus=%s", l->cpus);
}

static void
print_step(
    const struct jail_plan *plan, const struct jail_step *s, struct buf *b)
{
	static const char *const sides[] = { "host", "host", "zone" };
	char text[2 * PATH_MAX + 64];

	jail_step_text(s, text, sizeof(text));
	buf_printf(b, "%s: %s", sides[s->verb->who], text);
	if (s->verb == &jail_verbs[JAIL_V_groups])
		print_limits(&plan->limits, b);
	else if (s->verb == &jail_verbs[JAIL_V_map])
		buf_printf(b, " 0 to %" PRIu32 " for %" PRIu32, plan->uid_base,
		    plan->uid_count);
	else if (s->verb == &jail_verbs[JAIL_V_open] ||
	    s->verb == &jail_verbs[JAIL_V_tmpfs])
		print_flags(s->flags, b);
	else if (s->verb == &jail_verbs[JAIL_V_rlimit] ||
	    s->verb == &jail_verbs[JAIL_V_user] ||
	    s->verb == &jail_verbs[JAIL_V_sysctl])
		buf_printf(b, " %" PRIu64, s->flags);
	if (s->data != NULL)
		buf_printf(b, " %s", s->data);
	buf_put_u8(b, '\n');
}

int
jail_plan_print(const struct jail_plan *plan, struct buf *b)
{
	for (size_t i = 0; i < plan->nsteps; i++)
		print_step(plan, &plan->steps[i], b);
	return buf_error(b);
}

int
jail_plan_save(const struct jail_plan *plan, struct nvlist **ret)
{
	return cgroup_foresee(plan->group, ret, NULL);
}
