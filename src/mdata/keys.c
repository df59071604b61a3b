/*
 * The classifier, and the four requests over facts and metadata.json.
 */
#include "mdata/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/mevent.h"
#include "base/str.h"
#include "mdata/data.h"
#include "mdata/data_impl.h"

#define TAGS_MAX (256 * KiB)
#define BUSY_TRIES 20 /* a writer holds the lock for a moment */
#define BUSY_US 1000
#define BIG (64 * KiB) /* files that not every zone may have read */
#define BIG_MAX 16
#define NOTES_MAX 10
#define NOTE_NS UINT64_C(10000000000)
#define NOTE_MAX 400
#define LATE_MAX 4 /* a request makes one or two */
#define NAMESPACES "sdc:internal_metadata_namespaces"

struct fact {
	char *name, *value; /* one piece of memory, the name's */
};

struct mdata_keys {
	const char *uuid; /* behind this struct */
	int dir;
	struct fact *facts;
	size_t nfacts;
	char **namespaces; /* one piece of memory */
	size_t nnamespaces;
	struct mdata_data *data; /* NULL: not read */
	struct stat st; /* of the file when it was read */
	bool big; /* it is among the big ones */
	bool busy; /* another thread has it */
	char *late[LATE_MAX]; /* notes made there */
	size_t nlate;
	uint64_t writes;
	void (*note)(void *arg, const char *text); /* NULL: nobody listens */
	void *note_arg;
	unsigned notes; /* that may be made, as of note_ns */
	uint64_t note_ns;
};

/* ---- notes ---- */

static void __attribute__((format(printf, 2, 3)))
note(struct mdata_keys *k, const char *fmt, ...)
{
	uint64_t now = mevent_now_ns();
	uint64_t more = (now - k->note_ns) / NOTE_NS;
	char text[NOTE_MAX];
	va_list ap;

	if (more > 0) {
		k->notes = (unsigned)MIN(k->notes + more, NOTES_MAX);
		k->note_ns = now;
	}
	if (k->note == NULL || k->notes == 0)
		return;
	k->notes--;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!k->busy)
		k->note(k->note_arg, text);
	else if (k->nlate < LATE_MAX &&
	    (k->late[k->nlate] = alloc_strdup(text)) != NULL)
		k->nlate++;
}

void
mdata_keys_on_note(
    struct mdata_keys *k, void (*fn)(void *arg, const char *text), void *arg)
{
	k->note = fn;
	k->note_arg = arg;
}

/* ---- classes ---- */

#define SDC "sdc:"

static const struct {
	enum mdata_map map;
	bool change; /* by the guest */
} classes[] = {
	[MDATA_KEY_SDC] = { MDATA_CUSTOMER, false },
	[MDATA_KEY_CUSTOMER] = { MDATA_CUSTOMER, true },
	[MDATA_KEY_OPERATOR] = { MDATA_CUSTOMER, false },
	[MDATA_KEY_PW] = { MDATA_INTERNAL, true },
	[MDATA_KEY_NAMESPACE] = { MDATA_INTERNAL, false },
};

enum mdata_class
mdata_key_class(const char *key, const char *const *namespaces, size_t n)
{
	const char *colon = strchr(key, ':');
	size_t len = colon != NULL ? (size_t)(colon - key) : 0;
	size_t all = strlen(key);

	if (strncmp(key, SDC, strlen(SDC)) == 0)
		return MDATA_KEY_SDC;
	for (size_t i = 0; i < n && len > 0; i++)
		if (strlen(namespaces[i]) == len &&
		    memcmp(namespaces[i], key, len) == 0)
			return MDATA_KEY_NAMESPACE;
	if (all >= 3 && strcmp(key + all - 3, "_pw") == 0)
		return MDATA_KEY_PW;
	return strcmp(key, "operator-script") == 0 ? MDATA_KEY_OPERATOR
						   : MDATA_KEY_CUSTOMER;
}

static enum mdata_class
class_of(const struct mdata_keys *k, const char *key)
{
	return mdata_key_class(
	    key, (const char *const *)k->namespaces, k->nnamespaces);
}

/* ---- facts ---- */

/* What a guest may ask for below sdc:, and where it comes from. */
enum source {
	FACT, /* a text */
	FACT_LIST, /* JSON; its parts by NAME.INDEX.FIELD */
	INTERNAL, /* a key of internal_metadata */
};
static const struct sdc {
	const char *name;
	enum source source;
	const char *key; /* INTERNAL */
} sdc_names[] = {
	{ "alias", FACT },
	{ "autoboot", FACT },
	{ "billing_id", FACT },
	{ "brand", FACT },
	{ "cpu_cap", FACT },
	{ "cpu_shares", FACT },
	{ "create_timestamp", FACT },
	{ "datacenter_name", FACT },
	{ "dns_domain", FACT },
	{ "hostname", FACT },
	{ "image_uuid", FACT },
	{ "last_modified", FACT },
	{ "limit_priv", FACT },
	{ "maintain_resolvers", FACT },
	{ "max_locked_memory", FACT },
	{ "max_lwps", FACT },
	{ "max_physical_memory", FACT },
	{ "max_swap", FACT },
	{ "nics", FACT_LIST },
	{ "operator-script", INTERNAL, "operator-script" },
	{ "owner_uuid", FACT },
	{ "package_name", FACT },
	{ "package_version", FACT },
	{ "quota", FACT },
	{ "ram", FACT },
	{ "resolvers", FACT_LIST },
	{ "routes", FACT_LIST },
	{ "server_uuid", FACT },
	{ "state", FACT },
	{ "tmpfs", FACT },
	{ "uuid", FACT },
	{ "vcpus", FACT },
	{ "vendor-data", INTERNAL, "sdc:vendor-data" },
	{ "volumes", INTERNAL, "sdc:volumes" },
	{ "zfs_io_priority", FACT },
	{ "zone_state", FACT },
	{ "zonedid", FACT },
	{ "zoneid", FACT },
	{ "zonename", FACT },
};

static const struct sdc *
find_sdc(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(sdc_names); i++)
		if (strlen(sdc_names[i].name) == n &&
		    memcmp(sdc_names[i].name, name, n) == 0)
			return &sdc_names[i];
	return NULL;
}

static void
free_facts(struct fact *facts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(facts[i].name);
	free(facts);
}

static int
copy_fact(struct fact *to, const char *name, const char *value)
{
	size_t n = strlen(name) + 1, v = strlen(value) + 1;

	to->name = alloc_bytes(n + v);
	if (to->name == NULL)
		return -ENOMEM;
	memcpy(to->name, name, n);
	to->value = to->name + n;
	memcpy(to->value, value, v);
	return 0;
}

static int
copy_facts(const char *const *names, const char *const *values, size_t n,
    struct fact **ret)
{
	struct fact *facts = alloc_zero(n + 1, sizeof(*facts));
	int rc = facts != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = copy_fact(&facts[i], names[i], values[i]);
	if (rc == 0)
		*ret = facts;
	else if (facts != NULL)
		free_facts(facts, n);
	return rc;
}

static const char *
find_fact(const struct mdata_keys *k, const char *key)
{
	for (size_t i = 0; i < k->nfacts; i++)
		if (strcmp(k->facts[i].name, key) == 0)
			return k->facts[i].value;
	return strcmp(key, "sdc:uuid") == 0 ? k->uuid : NULL;
}

/* ["a", "b"]: what is no such list has no names in it. */
static int
parse_namespaces(const char *text, char ***ret, size_t *ret_n)
{
	json_t *list = json_loads(text, 0, NULL), *v;
	size_t i, n = json_array_size(list), bytes = 0;
	char **names, *at;

	json_array_foreach(list, i, v) bytes += json_string_length(v) + 1;
	names = alloc_bytes((n + 1) * sizeof(*names) + bytes);
	*ret_n = 0;
	if (names != NULL) {
		at = (char *)(names + n + 1);
		json_array_foreach(list, i, v)
		{
			if (!json_is_string(v))
				continue;
			names[(*ret_n)++] = strcpy(at, json_string_value(v));
			at += strlen(at) + 1;
		}
		*ret = names;
	}
	json_decref(list);
	return names != NULL ? 0 : -ENOMEM;
}

int
mdata_keys_facts(struct mdata_keys *k, const char *const *names,
    const char *const *values, size_t n)
{
	const char *text = "[]";
	struct fact *facts = NULL;
	char **namespaces = NULL;
	size_t count = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], NAMESPACES) == 0)
			text = values[i];
	rc = parse_namespaces(text, &namespaces, &count);
	if (rc == 0)
		rc = copy_facts(names, values, n, &facts);
	if (rc < 0) {
		free(namespaces);
		return rc;
	}
	free_facts(k->facts, k->nfacts);
	free(k->namespaces);
	k->facts = facts;
	k->nfacts = n;
	k->namespaces = namespaces;
	k->nnamespaces = count;
	return 0;
}

/* ---- metadata.json ---- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/*
 * Who has read a big file; the next is put in the place of the oldest that no
 * other thread has. The loop's thread alone looks at it.
 */
static struct mdata_keys *big[BIG_MAX];

static void
drop_data(struct mdata_keys *k)
{
	for (size_t i = 0; k->big && i < BIG_MAX; i++)
		if (big[i] == k)
			big[i] = NULL;
	k->big = false;
	mdata_data_free(k->data);
	k->data = NULL;
	k->st = (struct stat){ 0 };
}

static void
note_big(struct mdata_keys *k)
{
	static size_t next;

	if (k->busy || k->big || k->st.st_size <= (off_t)BIG)
		return;
	for (size_t i = 0; i < BIG_MAX && big[next] != NULL && big[next]->busy;
	     i++)
		next = (next + 1) % BIG_MAX;
	if (big[next] != NULL && big[next]->busy) {
		drop_data(k);
		return;
	}
	if (big[next] != NULL)
		drop_data(big[next]);
	big[next] = k;
	k->big = true;
	next = (next + 1) % BIG_MAX;
}

/*
 * What is in the file now. The last good content is kept while somebody's
 * editor leaves half a file.
 */
static int
look(struct mdata_keys *k, struct buf *why)
{
	struct error err = ERROR_INIT;
	struct mdata_data *d = NULL;
	struct stat st = { 0 };
	int rc = 0;

	if (fstatat(k->dir, "metadata.json", &st, AT_SYMLINK_NOFOLLOW) != 0)
		st = (struct stat){ 0 };
	if (k->data == NULL || !same_file(&st, &k->st)) {
		rc = mdata_data_load(k->dir, &d, &err);
		if (rc < 0)
			note(k, "%s: %s", err.text,
			    k->data != NULL ? "the former one is used"
					    : "nothing of it is given");
	}
	if (d != NULL) {
		mdata_data_free(k->data);
		k->data = d;
		k->st = st;
		note_big(k);
	}
	if (k->data != NULL)
		return 0;
	buf_append_str(why, "The metadata on the host cannot be read.");
	return rc < 0 ? -EIO : 0;
}

void
mdata_keys_forget(struct mdata_keys *k)
{
	drop_data(k);
}

void
mdata_keys_busy(struct mdata_keys *k, bool busy)
{
	k->busy = busy;
	if (busy)
		return;
	for (size_t i = 0; i < k->nlate; i++) {
		if (k->note != NULL)
			k->note(k->note_arg, k->late[i]);
		free(k->late[i]);
	}
	k->nlate = 0;
	note_big(k);
}

/* ---- GET ---- */

/* The part of a list that "0.mac" names. */
static const json_t *
walk(const json_t *v, const char *path)
{
	char part[MDATA_KEY_MAX + 1];
	uint64_t index;
	size_t n;

	while (v != NULL && *path != '\0') {
		n = strcspn(path, ".");
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (json_is_array(v))
			v = str_to_u64(part, 0, SIZE_MAX, &index) == 0
			    ? json_array_get(v, (size_t)index)
			    : NULL;
		else
			v = json_object_get(v, part);
		path += n;
		if (*path == '.' && *++path == '\0')
			return NULL;
	}
	return v;
}

/* A scalar's text. Objects and lists are no values (as of the agent). */
static int
give_json(const json_t *v, struct buf *value)
{
	json_t *text;
	int rc;

	if (v == NULL)
		return -ENOENT;
	if (json_is_string(v))
		return buf_append(
		    value, json_string_value(v), json_string_length(v));
	text = mdata_json_text(v);
	rc = text != NULL ? buf_append_str(value, json_string_value(text))
			  : -EINVAL;
	json_decref(text);
	return rc;
}

static int
get_part(const char *list, const char *path, struct buf *value)
{
	json_t *root = json_loads(list, 0, NULL);
	int rc = give_json(walk(root, path), value);

	json_decref(root);
	return rc;
}

/* sdc:tags.NAME; a name may have dots. */
static int
get_tag(struct mdata_keys *k, const char *rest, struct buf *value)
{
	struct error err = ERROR_INIT;
	json_t *tags = NULL;
	int rc;

	if (rest[0] == '\0')
		return -EINVAL;
	if (rest[0] != '.' || rest[1] == '\0')
		return -ENOENT;
	rc = mdata_json_read(k->dir, "tags.json", TAGS_MAX, &tags, &err);
	if (rc < 0) {
		note(k, "%s", err.text);
		return rc;
	}
	rc = give_json(json_object_get(tags, rest + 1), value);
	json_decref(tags);
	return rc;
}

static int
get_data(struct mdata_keys *k, enum mdata_map map, const char *key,
    struct buf *value, struct buf *why)
{
	const char *text;
	size_t n = 0;
	int rc;

	rc = look(k, why);
	if (rc < 0)
		return rc;
	text = mdata_data_get(k->data, map, key, &n);
	return text != NULL ? buf_append(value, text, n) : -ENOENT;
}

static int
get_sdc(
    struct mdata_keys *k, const char *key, struct buf *value, struct buf *why)
{
	const char *name = key + strlen(SDC), *rest, *text;
	size_t n = strcspn(name, ".");
	char base[64];
	const struct sdc *sdc = find_sdc(name, n);

	rest = name + n;
	if (n == 4 && memcmp(name, "tags", 4) == 0)
		return get_tag(k, rest, value);
	if (sdc == NULL || (*rest != '\0' && sdc->source != FACT_LIST))
		return -ENOENT;
	if (sdc->source == INTERNAL)
		return get_data(k, MDATA_INTERNAL, sdc->key, value, why);
	snprintf(base, sizeof(base), SDC "%s", sdc->name);
	text = find_fact(k, base);
	if (text == NULL)
		return -ENOENT;
	if (*rest == '\0')
		return buf_append_str(value, text);
	return rest[1] != '\0' ? get_part(text, rest + 1, value) : -ENOENT;
}

static int
op_get(void *arg, const char *key, struct buf *value, struct buf *why)
{
	struct mdata_keys *k = arg;
	enum mdata_class class = class_of(k, key);

	if (class == MDATA_KEY_SDC)
		return get_sdc(k, key, value, why);
	return get_data(k, classes[class].map, key, value, why);
}

/* ---- KEYS ---- */

struct listing {
	struct mdata_keys *k;
	enum mdata_map map;
	struct buf *names;
};

static int
list_one(void *arg, const char *key, const char *value, size_t n)
{
	struct listing *l = arg;
	enum mdata_class class = class_of(l->k, key);

	if (class == MDATA_KEY_SDC || classes[class].map != l->map)
		return 0;
	if (l->names->len > 0)
		buf_append(l->names, "\n", 1);
	return buf_append_str(l->names, key);
}

static int
op_keys(void *arg, struct buf *names, struct buf *why)
{
	struct mdata_keys *k = arg;
	struct listing l = { k, MDATA_CUSTOMER, names };
	int rc;

	rc = look(k, why);
	if (rc == 0)
		rc = mdata_data_each(k->data, l.map, list_one, &l);
	l.map = MDATA_INTERNAL;
	if (rc == 0)
		rc = mdata_data_each(k->data, l.map, list_one, &l);
	return rc;
}

/* ---- PUT, DELETE ---- */

struct change {
	enum mdata_map map;
	const char *key, *value; /* NULL: take it away */
	size_t n;
	bool done; /* it was something new */
};

static int
apply(void *arg, struct mdata_data *d, struct error *err)
{
	struct change *c = arg;
	size_t n = 0;
	const char *old = mdata_data_get(d, c->map, c->key, &n);

	if (c->value == NULL
		? old == NULL
		: old != NULL && n == c->n && memcmp(old, c->value, n) == 0)
		return 1;
	c->done = true;
	return mdata_data_set(d, c->map, c->key, c->value, c->n, err);
}

static int
refuse(const char *what, size_t n, struct buf *why)
{
	buf_printf(why, "Cannot update the \"%.*s\" Namespace.",
	    (int)MIN(n, 64), what);
	return -EPERM;
}

static int
may_change(enum mdata_class class, const char *key, struct buf *why)
{
	if (classes[class].change)
		return 0;
	if (class != MDATA_KEY_OPERATOR)
		return refuse(key, strcspn(key, ":"), why);
	buf_printf(why, "Cannot update \"%s\".", key);
	return -EPERM;
}

/* For the guest: short, and nothing of the host in it. */
static const struct {
	int code;
	const char *text;
} reasons[] = {
	{ E2BIG, "The metadata is full." },
	{ EINVAL, "Keys and values must be UTF-8." },
	{ EBUSY, "The metadata is being changed; try again." },
	{ 0, "The host cannot write the metadata." },
};

static int
change(struct mdata_keys *k, struct change *c, struct buf *why)
{
	enum mdata_class class = class_of(k, c->key);
	struct error err = ERROR_INIT;
	size_t i = 0;
	int rc;

	k->writes++;
	rc = may_change(class, c->key, why);
	if (rc < 0)
		return rc;
	c->map = classes[class].map;
	for (int tries = 0;; tries++) {
		rc = mdata_data_update(k->dir, false, apply, c, &err);
		if (rc != -EBUSY || tries == BUSY_TRIES)
			break;
		usleep(BUSY_US);
	}
	if (rc == 0) {
		if (c->done)
			note(k, "%s %s", c->value != NULL ? "PUT" : "DELETE",
			    c->key);
		return 0;
	}
	note(k, "%s %s: %s", c->value != NULL ? "PUT" : "DELETE", c->key,
	    err.text);
	/* a damaged file is no fault of the guest's */
	if (rc == -EINVAL && !c->done)
		rc = -EIO;
	while (reasons[i].code != 0 && reasons[i].code != -rc)
		i++;
	buf_append_str(why, reasons[i].text);
	return rc;
}

static int
op_put(void *arg, const char *key, const void *value, size_t n, struct buf *why)
{
	struct change c = { .key = key, .value = value, .n = n };

	return change(arg, &c, why);
}

static int
op_del(void *arg, const char *key, struct buf *why)
{
	struct change c = { .key = key };

	return change(arg, &c, why);
}

const struct mdata_ops mdata_keys_ops = { op_get, op_keys, op_put, op_del };

/* ---- beginning and end ---- */

struct mdata_keys *
mdata_keys_create(const char *uuid, int dir)
{
	size_t n = strlen(uuid) + 1;
	struct mdata_keys *k = alloc_zero(1, sizeof(*k) + n);

	if (k == NULL)
		return NULL;
	k->uuid = memcpy(k + 1, uuid, n);
	k->dir = dir;
	k->notes = NOTES_MAX;
	k->note_ns = mevent_now_ns();
	return k;
}

void
mdata_keys_free(struct mdata_keys *k)
{
	if (k == NULL)
		return;
	free_facts(k->facts, k->nfacts);
	free(k->namespaces);
	for (size_t i = 0; i < k->nlate; i++)
		free(k->late[i]);
	drop_data(k);
	free(k);
}

uint64_t
mdata_keys_writes(const struct mdata_keys *k)
{
	return k->writes;
}
