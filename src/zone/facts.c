/*
 * One row a fact: its name for the guest, where it is found.
 */
#include "zone/facts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/impl.h"
#include "zone/nic.h"
#include "zone/routes.h"
#include "zone/type.h"

#define HOST_MAX 4096 /* bytes of the host's file */

struct maker {
	const struct zone_facts_in *in;
	struct zone_nics nics;
	struct error *err;
};

struct fact {
	const char *name;
	/* Append the value; -ENOENT: there is none. */
	int (*get)(const struct maker *m, const struct fact *f, struct buf *b);
	const char *a, *b; /* what the function looks for */
};

/* ---- texts ---- */

/* -ENOENT for NULL and for nothing. */
static int
say(struct buf *b, const char *text)
{
	if (text == NULL || *text == '\0')
		return -ENOENT;
	return buf_append_str(b, text);
}

/* a: names of attrs, commas between; the first that is there. */
static const char *
attr(const struct maker *m, const char *names)
{
	const struct zone_rtype *t = zone_rtype_find("attr");
	const char *word, *name;
	size_t n;

	while ((word = zone_word(&names, ',', &n)) != NULL)
		for (const struct zone_res *r =
			 zone_conf_next(m->in->conf, t, NULL);
		     r != NULL; r = zone_conf_next(m->in->conf, t, r)) {
			name = zone_res_get(r, "name");
			if (strlen(name) == n && memcmp(name, word, n) == 0)
				return zone_res_get(r, "value");
		}
	return NULL;
}

static int
from_attr(const struct maker *m, const struct fact *f, struct buf *b)
{
	return say(b, attr(m, f->a));
}

static int
lower(struct buf *b, const char *text)
{
	if (text == NULL || *text == '\0')
		return -ENOENT;
	for (; *text != '\0'; text++)
		buf_put_u8(b, (uint8_t)tolower((unsigned char)*text));
	return buf_error(b);
}

static int
uuid_attr(const struct maker *m, const struct fact *f, struct buf *b)
{
	return lower(b, attr(m, f->a));
}

static int
from_uuid(const struct maker *m, const struct fact *f, struct buf *b)
{
	return lower(b, m->in->uuid);
}

static int
from_global(const struct maker *m, const struct fact *f, struct buf *b)
{
	return say(b, zone_conf_get(m->in->conf, f->a));
}

static int
from_row(const struct maker *m, const struct fact *f, struct buf *b)
{
	return say(b, zone_conf_lookup(m->in->conf, f->a, f->b));
}

static int
hostname(const struct maker *m, const struct fact *f, struct buf *b)
{
	int rc = say(b, attr(m, f->a));

	return rc == -ENOENT ? say(b, zone_conf_get(m->in->conf, "zonename"))
			     : rc;
}

/* Who asks, runs. */
static int
running(const struct maker *m, const struct fact *f, struct buf *b)
{
	return buf_append_str(b, "running");
}

static int
datacenter(const struct maker *m, const struct fact *f, struct buf *b)
{
	return say(b, m->in->datacenter);
}

static int
server(const struct maker *m, const struct fact *f, struct buf *b)
{
	return lower(b, m->in->server);
}

static int
modified(const struct maker *m, const struct fact *f, struct buf *b)
{
	char text[32];
	struct tm tm;

	if (m->in->modified == 0 || gmtime_r(&m->in->modified, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000Z", &tm) == 0)
		return -ENOENT;
	return buf_append_str(b, text);
}

/* ---- numbers ---- */

static int
ram(const struct maker *m, const struct fact *f, struct buf *b)
{
	const char *text =
	    zone_conf_lookup(m->in->conf, "capped-memory", "guest");
	uint64_t v = 0;

	if (zone_type_number(ZONE_RAM, 1, text, &v) < 0)
		return -ENOENT;
	return buf_printf(b, "%" PRIu64, v / MiB);
}

static int
vcpus(const struct maker *m, const struct fact *f, struct buf *b)
{
	const char *text = zone_conf_lookup(m->in->conf, "vcpu", "ncpus");
	struct zone_topology t;

	if (zone_topology_parse(text, &t, NULL) < 0)
		return -ENOENT;
	return buf_printf(b, "%" PRIu64, t.cpus);
}

/* a: a resource control; the limit as it is. */
static int
limit(const struct maker *m, const struct fact *f, struct buf *b)
{
	uint64_t v = 0;

	if (zone_conf_limit(m->in->conf, f->a, &v) < 0)
		return -ENOENT;
	return buf_printf(b, "%" PRIu64, v);
}

/* a: a resource control; b: a row of capped-memory that says the same. */
static int
limit_mib(const struct maker *m, const struct fact *f, struct buf *b)
{
	const char *text = zone_conf_lookup(m->in->conf, "capped-memory", f->b);
	uint64_t v = 0;

	if ((text == NULL || zone_type_number(ZONE_SIZE, 1, text, &v) < 0) &&
	    zone_conf_limit(m->in->conf, f->a, &v) < 0)
		return -ENOENT;
	return buf_printf(b, "%" PRIu64, v / MiB);
}

/* ---- lists ---- */

/* A list with commas between, as an array of JSON; always there. */
static int
array(struct buf *b, const char *list)
{
	json_t *a = json_array();
	char *text = NULL;
	const char *word;
	size_t n;
	int rc = a != NULL ? 0 : -ENOMEM;

	while (rc == 0 && (word = zone_word(&list, ',', &n)) != NULL)
		if (n > 0 && json_array_append_new(a, json_stringn(word, n)))
			rc = -ENOMEM;
	if (rc == 0)
		text = json_dumps(a, JSON_COMPACT);
	if (rc == 0)
		rc = text != NULL ? buf_append_str(b, text) : -ENOMEM;
	free(text);
	json_decref(a);
	return rc;
}

static int
resolvers(const struct maker *m, const struct fact *f, struct buf *b)
{
	return array(b, zone_conf_lookup(m->in->conf, f->a, f->b));
}

static int
namespaces(const struct maker *m, const struct fact *f, struct buf *b)
{
	return array(b, attr(m, f->a));
}

static int
nics(const struct maker *m, const struct fact *f, struct buf *b)
{
	int rc = buf_append_str(b, "[");

	for (size_t i = 0; i < m->nics.n && rc == 0; i++) {
		rc = i > 0 ? buf_append_str(b, ",") : 0;
		if (rc == 0)
			rc = zone_nic_json(&m->nics.v[i], (unsigned)i, b);
	}
	return rc == 0 ? buf_append_str(b, "]") : rc;
}

static int
routes(const struct maker *m, const struct fact *f, struct buf *b)
{
	return zone_routes_json(m->in->routes, &m->nics, b, m->err);
}

/* ---- the list ---- */

static const struct fact facts[] = {
	{ "alias", from_attr, "alias" },
	{ "autoboot", from_global, "autoboot" },
	{ "billing_id", uuid_attr, "billing-id" },
	{ "brand", from_global, "brand" },
	{ "cpu_cap", limit, "zone.cpu-cap" },
	{ "cpu_shares", limit, "zone.cpu-shares" },
	{ "create_timestamp", from_attr, "create-timestamp" },
	{ "datacenter_name", datacenter },
	{ "dns_domain", from_row, "cloud-init", "dns-domain" },
	{ "hostname", hostname, "hostname" },
	{ "image_uuid", uuid_attr, "image-uuid,dataset-uuid" },
	{ "internal_metadata_namespaces", namespaces,
	    "internal-metadata-namespaces" },
	{ "last_modified", modified },
	{ "limit_priv", from_global, "limitpriv" },
	{ "max_locked_memory", limit_mib, "zone.max-locked-memory", "locked" },
	{ "max_lwps", limit, "zone.max-lwps" },
	{ "max_physical_memory", limit_mib, "zone.max-physical-memory",
	    "physical" },
	{ "max_swap", limit_mib, "zone.max-swap", "swap" },
	{ "nics", nics },
	{ "owner_uuid", uuid_attr, "owner-uuid" },
	{ "package_name", from_attr, "package-name" },
	{ "package_version", from_attr, "package-version" },
	{ "quota", from_attr, "quota" },
	{ "ram", ram },
	{ "resolvers", resolvers, "cloud-init", "resolvers" },
	{ "routes", routes },
	{ "server_uuid", server },
	{ "state", running },
	{ "uuid", from_uuid },
	{ "vcpus", vcpus },
	{ "zfs_io_priority", limit, "zone.zfs-io-priority" },
	{ "zone_state", running },
	{ "zonedid", from_global, "debugid" },
	{ "zonename", from_global, "zonename" },
};

struct list {
	char *keys[ARRAY_LEN(facts)], *values[ARRAY_LEN(facts)];
	size_t n, bytes;
};

static int
take(const struct maker *m, const struct fact *f, struct list *l)
{
	char key[64];
	struct buf b;
	int rc;

	buf_init(&b, ZONE_FACTS_MAX);
	rc = f->get(m, f, &b);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = buf_error(&b);
	if (rc == -ENOSPC || (rc == 0 && l->bytes + b.len > ZONE_FACTS_MAX))
		rc = error_set(m->err, E2BIG,
		    "%s: the facts for the guest are more than %d bytes",
		    f->name, ZONE_FACTS_MAX);
	if (rc == 0) {
		str_format(key, sizeof(key), "sdc:%s", f->name);
		l->bytes += b.len + 2 * sizeof(key);
		l->keys[l->n] = alloc_strdup(key);
		l->values[l->n] = alloc_strdup((char *)b.data);
		if (l->keys[l->n] == NULL || l->values[l->n] == NULL)
			rc = -ENOMEM;
		l->n++;
	}
	buf_fini(&b);
	return rc == -ENOENT ? 0 : rc;
}

static int
pack(const struct list *l, struct nvlist **ret)
{
	struct nvlist *nvl = nvlist_create();
	int rc = nvl != NULL ? 0 : -ENOMEM;

	if (rc == 0)
		rc = nvlist_add_strs(
		    nvl, "keys", (const char *const *)l->keys, l->n);
	if (rc == 0)
		rc = nvlist_add_strs(
		    nvl, "values", (const char *const *)l->values, l->n);
	if (rc < 0)
		nvlist_free(nvl);
	else
		*ret = nvl;
	return rc;
}

int
zone_facts_make(
    const struct zone_facts_in *in, struct nvlist **ret, struct error *err)
{
	struct list *l = alloc_zero(1, sizeof(*l));
	struct maker m = { .in = in, .err = err };
	int rc = -ENOMEM;

	if (l != NULL)
		rc = zone_nics_read(in->conf, &m.nics, err);
	for (size_t i = 0; i < ARRAY_LEN(facts) && rc == 0; i++)
		rc = take(&m, &facts[i], l);
	if (rc == 0)
		rc = pack(l, ret);
	for (size_t i = 0; l != NULL && i < l->n; i++) {
		free(l->keys[i]);
		free(l->values[i]);
	}
	free(l);
	zone_nics_fini(&m.nics);
	return rc == -ENOMEM ? error_set(err, ENOMEM, "out of memory") : rc;
}

/* ---- of a zone of the store ---- */

int
zone_host_get(
    const struct zone_store *store, const char *name, char *buf, size_t size)
{
	const char *rest, *line;
	size_t n, key, len;
	struct buf b;
	int rc;

	buf_init(&b, HOST_MAX);
	rc = zone_store_read(store, "host", &b);
	rest = rc == 0 ? buf_str(&b) : NULL;
	rc = -ENOENT;
	while (rc == -ENOENT && (line = zone_word(&rest, '\n', &n)) != NULL) {
		key = strcspn(line, " \t\n");
		if (key != strlen(name) || memcmp(line, name, key) != 0)
			continue;
		line += key + strspn(line + key, " \t");
		len = strcspn(line, " \t\r\n#");
		if (len > 0)
			rc = str_format(buf, size, "%.*s", (int)len, line);
	}
	buf_fini(&b);
	return rc;
}

/*
 * The folder is the metadata server's, which is not trusted: a link, or
 * something that would make us wait, is not read.
 */
static int
read_routes(const struct zone_store *store, const struct zone_conf *conf,
    struct buf *b, struct error *err)
{
	const char *zonepath = zone_conf_get(conf, "zonepath");
	cleanup_close int dir = -1, fd = -1;
	char path[4096];
	struct stat st;
	ssize_t n = -1;
	void *to;

	if (str_format(path, sizeof(path), "%s%s/config",
		zone_store_root(store), zonepath != NULL ? zonepath : "") < 0)
		return error_set(err, ENAMETOOLONG, "zonepath");
	dir = open(path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0)
		fd = openat(dir, "routes.json",
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT
		    ? 0
		    : error_sys(err, errno, "%s/routes.json", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size > ZONE_ROUTES_MAX)
		return error_set(err, EINVAL,
		    "%s/routes.json: not a file of at most %d bytes", path,
		    ZONE_ROUTES_MAX);
	to = buf_reserve(b, (size_t)st.st_size + 1);
	if (to != NULL)
		n = fd_read_full(fd, to, (size_t)st.st_size);
	if (n < 0)
		return error_set(
		    err, EIO, "%s/routes.json: cannot be read", path);
	b->len += (size_t)n;
	return buf_str(b) != NULL ? 0 : -ENOMEM;
}

static int
load(const struct zone_store *store, const struct zone_conf *conf,
    const char *uuid, struct nvlist **ret, struct error *err)
{
	char datacenter_name[256], server_uuid[64], path[4096];
	const char *name = zone_conf_get(conf, "zonename");
	struct zone_facts_in in = { .conf = conf, .uuid = uuid };
	struct stat st;
	uint8_t raw[16];
	struct buf b;
	int rc;

	if (zone_host_get(store, "datacenter_name", datacenter_name,
		sizeof(datacenter_name)) == 0)
		in.datacenter = datacenter_name;
	if (zone_host_get(
		store, "server_uuid", server_uuid, sizeof(server_uuid)) == 0 &&
	    str_to_uuid(server_uuid, raw) == 0)
		in.server = server_uuid;
	if (str_format(path, sizeof(path), "%s/etc/zones/%s.xml",
		zone_store_root(store), name) == 0 &&
	    stat(path, &st) == 0)
		in.modified = st.st_mtime;
	buf_init(&b, ZONE_ROUTES_MAX + 2);
	rc = read_routes(store, conf, &b, err);
	if (rc == 0 && b.len > 0)
		in.routes = (const char *)b.data;
	if (rc == 0)
		rc = zone_facts_make(&in, ret, err);
	buf_fini(&b);
	return rc;
}

int
zone_facts_load(const struct zone_store *store, const char *name,
    struct nvlist **ret, struct error *err)
{
	struct zone_index *ix = NULL;
	struct zone_conf *conf = NULL;
	const struct zone_entry *e;
	const char *uuid;
	int rc;

	rc = zone_store_index(store, &ix, err);
	if (rc == 0)
		rc = zone_store_load(store, name, false, &conf, NULL, err);
	if (rc == 0) {
		e = zone_index_find(ix, name);
		uuid = e != NULL && e->uuid[0] != '\0'
		    ? e->uuid
		    : zone_conf_get(conf, "uuid");
		rc = load(store, conf, uuid, ret, err);
	}
	zone_conf_free(conf);
	zone_index_free(ix);
	return rc;
}
