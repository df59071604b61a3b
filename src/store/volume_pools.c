/*
 * The pools file, and the names of volumes: what configurations say, and where
 * that is on this host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "store/volume_impl.h"

#define POOLS_FILE "/etc/zones/pools"
#define POOLS_MAX 64
#define FILE_MAX (64U << 10)
#define ZVOL "/dev/zvol/"

static const char default_pools[] = "zones file /var/lib/zhyve/zones\n";

static const struct volume_ops *const kinds[] = { &volume_file_ops,
	&volume_btrfs_ops, &volume_zfs_ops };

struct volume_pools {
	char *root;
	struct pool v[POOLS_MAX];
	size_t n;
};

/* ---- names ---- */

static bool
name_ok(const char *name, size_t max, const char *more)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strlen(name);

	if (n == 0 || n > max || strchr(letters, name[0]) == NULL)
		return false;
	for (size_t i = 1; i < n; i++)
		if (strchr(letters, name[i]) == NULL &&
		    strchr(more, name[i]) == NULL)
			return false;
	return true;
}

bool
volume_name_half(char *name)
{
	size_t n = strlen(name), half = strlen(HALF);

	if (n <= half || strcmp(name + n - half, HALF) != 0)
		return false;
	name[n - half] = '\0';
	return true;
}

bool
volume_name_ok(const char *name)
{
	char copy[VOLUME_NAME_MAX + 1];

	return name_ok(name, VOLUME_NAME_MAX, "-_.:") &&
	    str_format(copy, sizeof(copy), "%s", name) == 0 &&
	    !volume_name_half(copy);
}

static bool
zone_ok(const char *zone)
{
	uint8_t uuid[16];

	return strlen(zone) == VOLUME_ZONE_LEN && str_to_uuid(zone, uuid) == 0;
}

/* POOL/UUID/NAME, or POOL/UUID-NAME. */
static int
parse_name(const char *text, struct volume_id *ret)
{
	const char *slash = strchr(text, '/');
	struct volume_id id;

	if (slash == NULL ||
	    str_format(id.pool, sizeof(id.pool), "%.*s", (int)(slash - text),
		text) < 0 ||
	    strlen(slash + 1) < VOLUME_ZONE_LEN + 2)
		return -EINVAL;
	text = slash + 1;
	str_format(id.zone, sizeof(id.zone), "%.*s", VOLUME_ZONE_LEN, text);
	text += VOLUME_ZONE_LEN;
	if (!zone_ok(id.zone) || (*text != '/' && *text != '-') ||
	    str_format(id.name, sizeof(id.name), "%s", text + 1) < 0 ||
	    !volume_name_ok(id.name) ||
	    !name_ok(id.pool, POOL_NAME_MAX, "-_.:"))
		return -EINVAL;
	*ret = id;
	return 0;
}

int
volume_parse(const char *conf_path, struct volume_id *ret)
{
	static const char *const ways[] = { ZVOL "rdsk/", ZVOL "dsk/", ZVOL };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (strncmp(conf_path, ways[i], strlen(ways[i])) == 0)
			return parse_name(conf_path + strlen(ways[i]), ret);
	return -ENOENT;
}

int
volume_conf_path(
    const char *pool, const char *zone, const char *name, char *buf, size_t n)
{
	return str_format(buf, n, ZVOL "rdsk/%s/%s/%s", pool, zone, name);
}

/* ---- the file ---- */

static int
check_where(const struct volume_ops *ops, const char *where, struct error *err)
{
	if (ops->dataset ? where[0] != '/' && strchr(where, '@') == NULL
			 : where[0] == '/' && strstr(where, "/../") == NULL &&
		    where[1] != '\0')
		return 0;
	return error_set(err, EINVAL, "'%.160s' is no %s", where,
	    ops->dataset ? "dataset, as in 'tank/zones'"
			 : "folder, as in '/var/lib/zhyve/zones'");
}

static const struct volume_ops *
find_kind(const char *name, struct error *err)
{
	const char *names[ARRAY_LEN(kinds)];

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		names[i] = kinds[i]->kind;
		if (strcmp(names[i], name) == 0)
			return kinds[i];
	}
	error_set(err, EINVAL,
	    "there is no kind '%.64s' of pool: file, btrfs or zfs", name);
	error_add_hint(err, str_nearest(name, names, ARRAY_LEN(names)));
	return NULL;
}

static int
add_pool(struct volume_pools *pools, char *const word[3], struct error *err)
{
	const struct volume_ops *ops = find_kind(word[1], err);
	struct pool *p = &pools->v[pools->n];
	size_t n;

	if (ops == NULL)
		return -EINVAL;
	if (!name_ok(word[0], POOL_NAME_MAX, "-_.:"))
		return error_set(err, EINVAL,
		    "'%.160s' cannot be a pool's name: letters, digits, -_.: "
		    "and at most %d of them",
		    word[0], POOL_NAME_MAX);
	if (pool_find(pools, word[0], NULL) != NULL)
		return error_set(
		    err, EEXIST, "pool '%s' is there already", word[0]);
	if (check_where(ops, word[2], err) < 0)
		return -EINVAL;
	if (pools->n == POOLS_MAX)
		return error_set(err, E2BIG, "more than %d pools", POOLS_MAX);
	str_format(p->name, sizeof(p->name), "%s", word[0]);
	p->ops = ops;
	p->root = pools->root;
	n = strlen(pools->root) + strlen(word[2]) + 2;
	p->where = alloc_strdup(word[2]);
	p->host = alloc_bytes(n);
	if (p->where == NULL || p->host == NULL) {
		free(p->where);
		free(p->host);
		return error_sys(err, ENOMEM, "pools");
	}
	str_format(p->host, n, "%s%s%s", pools->root, ops->dataset ? "/" : "",
	    word[2]);
	pools->n++;
	return 0;
}

static int
parse_line(struct volume_pools *pools, char *line, struct error *err)
{
	char *word[4] = { NULL }, *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(line, " \t\r", &save); w != NULL && n < 4;
	     w = strtok_r(NULL, " \t\r", &save))
		word[n++] = w;
	if (n == 0 || word[0][0] == '#')
		return 0;
	if (n != 3)
		return error_set(err, EINVAL,
		    "a pool is 'NAME KIND WHERE', as in 'zones file "
		    "/var/lib/zhyve/zones'");
	return add_pool(pools, word, err);
}

static int
parse_pools(struct volume_pools *pools, char *text, struct error *err)
{
	char *next;
	int rc = 0, number = 0;

	for (char *line = text; rc == 0 && line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		number++;
		rc = parse_line(pools, line, err);
		if (rc < 0)
			rc = error_prefix(
			    err, "%s" POOLS_FILE ":%d", pools->root, number);
	}
	if (rc == 0 && pools->n == 0)
		rc = error_set(err, EINVAL,
		    "%s" POOLS_FILE ": names no pool; without the file there "
		    "is one",
		    pools->root);
	return rc;
}

static int
load_pools(struct volume_pools *pools, struct error *err)
{
	char path[STORE_PATH];
	struct buf b;
	int rc;

	if (str_format(path, sizeof(path), "%s" POOLS_FILE, pools->root) < 0)
		return error_set(err, ENAMETOOLONG, "%.100s", pools->root);
	buf_init(&b, FILE_MAX);
	rc = fd_read_file(AT_FDCWD, path, &b);
	if (rc == -ENOENT)
		rc = buf_append_str(&b, default_pools);
	if (rc == 0 && memchr(b.data, 0, b.len) != NULL)
		rc = -EINVAL;
	if (rc == 0 && buf_str(&b) == NULL)
		rc = -ENOMEM;
	rc = rc < 0 ? error_sys(err, -rc, "%s", path)
		    : parse_pools(pools, (char *)b.data, err);
	buf_fini(&b);
	return rc;
}

int
volume_pools_open(
    const char *root, struct volume_pools **ret, struct error *err)
{
	struct volume_pools *pools = alloc_zero(1, sizeof(*pools));
	int rc = 0;

	if (root == NULL || strcmp(root, "/") == 0)
		root = "";
	if (pools == NULL || (pools->root = alloc_strdup(root)) == NULL)
		rc = error_sys(err, ENOMEM, "pools");
	if (rc == 0)
		rc = load_pools(pools, err);
	if (rc < 0)
		volume_pools_close(pools);
	else
		*ret = pools;
	return rc;
}

void
volume_pools_close(struct volume_pools *pools)
{
	if (pools == NULL)
		return;
	for (size_t i = 0; i < pools->n; i++) {
		free(pools->v[i].where);
		free(pools->v[i].host);
	}
	free(pools->root);
	free(pools);
}

const struct pool *
pool_find(const struct volume_pools *pools, const char *name, struct error *err)
{
	for (size_t i = 0; i < pools->n; i++)
		if (strcmp(pools->v[i].name, name) == 0)
			return &pools->v[i];
	error_set(err, ENOENT,
	    "there is no pool '%.64s'; %s" POOLS_FILE " names them", name,
	    pools->root);
	return NULL;
}

const char *
volume_pool_name(const struct volume_pools *pools, size_t nth)
{
	return nth < pools->n ? pools->v[nth].name : NULL;
}

bool
volume_pool_atomic(const struct volume_pools *pools, const char *pool)
{
	const struct pool *p = pool_find(pools, pool, NULL);

	return p != NULL && p->ops->atomic;
}

/* Of a pool that is there: its volume, or else what the host calls so. */
static int
pool_path(const struct pool *p, const struct volume_id *id,
    const char *conf_path, char *buf, size_t size)
{
	int rc = p->ops->path(p, id->zone, id->name, buf, size);

	if (rc == 0 && access(buf, F_OK) != 0 && access(conf_path, F_OK) == 0)
		rc = str_format(buf, size, "%s", conf_path);
	return rc;
}

int
volume_path(const struct volume_pools *pools, const char *conf_path, char *buf,
    size_t size, struct error *err)
{
	const struct pool *p = NULL;
	struct volume_id id;
	int rc = volume_parse(conf_path, &id);

	if (rc == 0)
		p = pool_find(pools, id.pool, err);
	if (p != NULL)
		rc = pool_path(p, &id, conf_path, buf, size);
	else if (rc == -ENOENT || access(conf_path, F_OK) == 0)
		rc = str_format(buf, size, "%s", conf_path);
	else
		return rc == 0
		    ? -ENOENT
		    : error_set(err, EINVAL,
			  "%.160s: a volume is " ZVOL "rdsk/POOL/UUID/NAME",
			  conf_path);
	return rc < 0 ? error_set(err, ENAMETOOLONG, "%.160s", conf_path) : 0;
}
