/*
 * From the snapshot to the walls: what src/jail is asked for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/brand.h"
#include "zoneadmd/impl.h"

#define ROWS_MAX 256
#define NOFILE 4096
/* Ranges of user ids: the first above those of people and services. */
#define UID_FIRST UINT32_C(1000000)
#define UID_COUNT UINT32_C(65536)
#define UID_RANGES UINT64_C(65000)

static int
make_mounts(
    struct sup *sup, struct jail_mount *m, size_t *ret_n, struct error *err)
{
	static const struct {
		const char *name;
		enum jail_mount_kind kind;
	} kinds[] = {
		{ "bind", JAIL_BIND },
		{ "tmpfs", JAIL_TMPFS },
		{ "device", JAIL_DEVICE },
		{ "symlink", JAIL_SYMLINK },
	};
	const struct nvlist *const *rows = NULL;
	const char *kind = "";
	size_t n = 0, k;

	if (nvlist_get_lists(sup->snap, "mounts", &rows, &n) < 0 ||
	    n > ROWS_MAX)
		return error_set(err, EINVAL, "platform: bad list of mounts");
	for (size_t i = 0; i < n; i++) {
		(void)nvlist_get_str(rows[i], "kind", &kind);
		for (k = 0; k < ARRAY_LEN(kinds); k++)
			if (strcmp(kinds[k].name, kind) == 0)
				break;
		if (k == ARRAY_LEN(kinds))
			return error_set(
			    err, EINVAL, "platform: mount '%s'", kind);
		m[i] = (struct jail_mount){ .kind = kinds[k].kind };
		(void)nvlist_get_str(rows[i], "what", &m[i].what);
		(void)nvlist_get_str(rows[i], "where", &m[i].where);
		(void)nvlist_get_str(rows[i], "opt", &m[i].opt);
	}
	*ret_n = n;
	return 0;
}

static void
get_limits(struct sup *sup, struct jail_limits *l)
{
	const struct nvlist *nvl = NULL;

	(void)nvlist_get_list(sup->snap, "limits", &nvl);
	jail_limits_read(nvl, l);
	l->cpus = sup->cpus[0] != '\0' ? sup->cpus : NULL;
}

static int
get_privs(struct sup *sup, struct jail_privset *ret, struct error *err)
{
	struct jail_brand_priv *privs = NULL;
	const struct nvlist *const *rows = NULL;
	const char *limit = NULL;
	uint64_t set = 0;
	size_t n = 0;
	int rc;

	if (nvlist_get_lists(sup->snap, "privs", &rows, &n) < 0 || n > ROWS_MAX)
		return error_set(err, EINVAL, "brand: bad list of privileges");
	privs = alloc_zero(n + 1, sizeof(*privs));
	if (privs == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		(void)nvlist_get_u64(rows[i], "set", &set);
		(void)nvlist_get_str(rows[i], "name", &privs[i].name);
		privs[i].set = set == ZONE_PRIV_DEFAULT ? JAIL_PRIV_DEFAULT
		    : set == ZONE_PRIV_PROHIBITED       ? JAIL_PRIV_PROHIBITED
							: JAIL_PRIV_REQUIRED;
	}
	(void)nvlist_get_str(sup->snap, "limitpriv", &limit);
	rc = jail_privs_resolve(limit, privs, n, ret, err);
	free(privs);
	return rc < 0 ? error_prefix(err, "limitpriv") : 0;
}

/* Two worlds on one host may have zones of one name: their roots differ. */
static int
group_name(struct sup *sup, char *buf, size_t size)
{
	uint32_t hash = UINT32_C(2166136261); /* FNV-1a */

	if (sup->conf.root[0] == '\0')
		return str_format(buf, size, "%s", sup->conf.zone);
	for (const char *p = sup->conf.root; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * UINT32_C(16777619);
	return str_format(buf, size, "%.54s-%08" PRIx32, sup->conf.zone, hash);
}

static uint32_t
first_uid(const struct sup *sup)
{
	uint64_t did = 0;

	(void)nvlist_get_u64(sup->snap, "did", &did);
	return UID_FIRST + (uint32_t)(did % UID_RANGES) * UID_COUNT;
}

uid_t
sup_helper_uid(const struct sup *sup)
{
	return first_uid(sup) + JAIL_UID + 1;
}

int
sup_plan(struct sup *sup, struct jail_plan **ret,
    struct jail_privset *ret_privs, struct error *err)
{
	struct jail_mount mounts[ROWS_MAX];
	struct jail_spec spec = {
		.mounts = mounts, .uid_count = UID_COUNT, .nofile = NOFILE
	};
	char name[80];
	int rc;

	if (group_name(sup, name, sizeof(name)) < 0)
		return error_set(err, ENAMETOOLONG, "name of the zone");
	spec.name = name;
	spec.uid_base = first_uid(sup);
	rc = sup_choose_cpus(sup, err);
	if (rc < 0)
		return rc;
	get_limits(sup, &spec.limits);
	rc = make_mounts(sup, mounts, &spec.nmounts, err);
	if (rc == 0)
		rc = get_privs(sup, &spec.privs, err);
	if (rc == 0)
		rc = jail_plan_make(&spec, ret, err);
	if (rc == 0)
		*ret_privs = spec.privs;
	return rc;
}
