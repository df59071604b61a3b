/*
 * Files, and the order in which they change: the XML before the index that
 * points to it, the index before the XML goes. A crash between the two leaves a
 * file that nothing points to, never an entry without a file.
 */
#include "zone/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/impl.h"
#include "zone/verify.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"

#define PATH_BYTES 1024
#define INDEX_MAX (16U << 20)
#define LOCK_TRIES 1000 /* 10 ms each */

struct zone_store {
	char root[PATH_BYTES];
	char dir[PATH_BYTES + 16]; /* ROOT/etc/zones */
};

/* What a change of the index works on, while the lock is held. */
struct change {
	struct zone_store *store;
	int lock;
	struct zone_index *ix;
	struct error *err;
	bool move; /* the zonepath may become another */
};

static int
no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory");
}

int
zone_store_open(const char *root, struct zone_store **ret, struct error *err)
{
	struct zone_store *s = alloc_zero(1, sizeof(*s));
	size_t n;

	if (s == NULL)
		return no_memory(err);
	if (root == NULL)
		root = "";
	if (str_format(s->root, sizeof(s->root), "%s", root) < 0) {
		free(s);
		return error_set(err, ENAMETOOLONG, "root: path too long");
	}
	for (n = strlen(s->root); n > 0 && s->root[n - 1] == '/'; n--)
		s->root[n - 1] = '\0';
	str_format(s->dir, sizeof(s->dir), "%s/etc/zones", s->root);
	*ret = s;
	return 0;
}

void
zone_store_close(struct zone_store *s)
{
	free(s);
}

const char *
zone_store_root(const struct zone_store *s)
{
	return s->root;
}

/*
 * Another root may hold what somebody else put there: a link in it would lead
 * out of it, to the host's own files.
 */
static int
check_links(const struct zone_store *s, struct error *err)
{
	static const char *const parts[] = { "/etc", "/etc/zones" };
	char path[PATH_BYTES + 16];
	struct stat st;

	for (size_t i = 0; s->root[0] != '\0' && i < ARRAY_LEN(parts); i++) {
		str_format(path, sizeof(path), "%s%s", s->root, parts[i]);
		if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
			return error_set(err, ELOOP,
			    "%s: a symbolic link may lead out of the root",
			    path);
	}
	return 0;
}

static int
path_of(const struct zone_store *s, const char *name, const char *suffix,
    char path[PATH_BYTES + 128], struct error *err)
{
	int rc = check_links(s, err);

	if (rc < 0)
		return rc;
	if (str_format(
		path, PATH_BYTES + 128, "%s/%s%s", s->dir, name, suffix) == 0)
		return 0;
	return error_set(err, ENAMETOOLONG, "%s: path too long", s->dir);
}

/* ---- reading ---- */

int
zone_store_index(
    const struct zone_store *s, struct zone_index **ret, struct error *err)
{
	char path[PATH_BYTES + 128];
	struct zone_index *ix = NULL;
	struct buf b;
	int rc;

	rc = path_of(s, "index", "", path, err);
	if (rc < 0)
		return rc;
	buf_init(&b, INDEX_MAX);
	rc = fd_read_file(AT_FDCWD, path, &b);
	if (rc == -ENOENT)
		rc = 0;
	if (rc < 0)
		rc = error_sys(err, -rc, "%s", path);
	else if (buf_str(&b) == NULL ||
	    (ix = zone_index_parse((char *)b.data, b.len)) == NULL)
		rc = no_memory(err);
	buf_fini(&b);
	if (rc >= 0)
		*ret = ix;
	return rc < 0 ? rc : 0;
}

int
zone_store_read(const struct zone_store *s, const char *file, struct buf *b)
{
	struct error err = ERROR_INIT;
	char path[PATH_BYTES + 128];
	int rc = path_of(s, file, "", path, &err);

	return rc == 0 ? fd_read_file(AT_FDCWD, path, b) : rc;
}

int
zone_conf_load_file(const char *path, struct zone_conf **ret, struct buf *text,
    struct error *err)
{
	struct buf own;
	int rc;

	if (text == NULL) {
		buf_init(&own, ZONE_XML_MAX);
		rc = zone_conf_load_file(path, ret, &own, err);
		buf_fini(&own);
		return rc;
	}
	buf_reset(text);
	rc = fd_read_file(AT_FDCWD, path, text);
	if (rc < 0)
		return error_sys(err, -rc, "%s", path);
	return zone_xml_read(path, text->data, text->len, ret, err);
}

int
zone_store_load(const struct zone_store *s, const char *name, bool template,
    struct zone_conf **ret, struct buf *text, struct error *err)
{
	char path[PATH_BYTES + 128];
	struct zone_conf *conf = NULL;
	int rc;

	rc = path_of(s, name, ".xml", path, err);
	if (rc == 0)
		rc = zone_conf_load_file(path, &conf, text, err);
	if (rc < 0)
		return rc;
	if (!template && strcmp(zone_conf_get(conf, "zonename"), name) != 0) {
		rc = error_set(err, EINVAL, "%s:1: this is zone '%s', not '%s'",
		    path, zone_conf_get(conf, "zonename"), name);
		zone_conf_free(conf);
		return rc;
	}
	*ret = conf;
	return 0;
}

static int
check_others(const struct zone_index *ix, const char *name, const char *path,
    const char *uuid, struct error *err)
{
	const struct zone_entry *e;

	for (size_t i = 0; (e = zone_index_at(ix, i)) != NULL; i++) {
		if (strcmp(e->name, name) == 0)
			continue;
		if (path != NULL && strcmp(e->path, path) == 0)
			return error_set(err, EEXIST,
			    "zonepath: '%s' is that of zone '%s'", path,
			    e->name);
		if (uuid != NULL && strcasecmp(e->uuid, uuid) == 0)
			return error_set(err, EEXIST,
			    "uuid: '%s' is that of zone '%s'", uuid, e->name);
	}
	return 0;
}

int
zone_store_conflict(const struct zone_store *s, const char *name,
    const struct zone_conf *conf, struct error *err)
{
	struct zone_index *ix = NULL;
	int rc;

	rc = zone_store_index(s, &ix, err);
	if (rc == 0)
		rc = check_others(ix, name, zone_conf_get(conf, "zonepath"),
		    zone_conf_get(conf, "uuid"), err);
	zone_index_free(ix);
	return rc;
}

/* ---- changing ---- */

/* ROOT/etc and ROOT/etc/zones; ROOT itself must be there. */
static int
make_dir(const struct zone_store *s, struct error *err)
{
	char etc[PATH_BYTES + 16];
	int rc = check_links(s, err);

	if (rc < 0)
		return rc;
	str_format(etc, sizeof(etc), "%s/etc", s->root);
	if ((mkdir(etc, 0755) != 0 && errno != EEXIST) ||
	    (mkdir(s->dir, 0755) != 0 && errno != EEXIST))
		return error_sys(err, errno, "%s", s->dir);
	return 0;
}

static int
take_lock(const struct zone_store *s, int *ret, struct error *err)
{
	static const struct timespec pause = { 0, 10000000 };
	char path[PATH_BYTES + 128];
	int fd, rc;

	rc = make_dir(s, err);
	if (rc == 0)
		rc = path_of(s, ".lock", "", path, err);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	for (int i = 0; (rc = fd_lock_ofd(fd, true)) == -EAGAIN; i++) {
		if (i == LOCK_TRIES) {
			fd_close(&fd);
			return error_set(err, EAGAIN,
			    "%s: another command holds the lock; try again",
			    path);
		}
		nanosleep(&pause, NULL);
	}
	if (rc < 0) {
		fd_close(&fd);
		return error_sys(err, -rc, "%s", path);
	}
	*ret = fd;
	return 0;
}

static int
change_begin(struct change *c, struct zone_store *s, struct error *err)
{
	int rc;

	*c = (struct change){ s, -1, NULL, err };
	rc = take_lock(s, &c->lock, err);
	if (rc == 0)
		rc = zone_store_index(s, &c->ix, err);
	if (rc < 0)
		fd_close(&c->lock);
	return rc;
}

static void
change_end(struct change *c)
{
	zone_index_free(c->ix);
	fd_close(&c->lock);
}

static int
write_file(struct change *c, const char *name, const char *suffix,
    struct buf *b, mode_t mode)
{
	char path[PATH_BYTES + 128];
	int rc;

	if (buf_error(b) != 0)
		return no_memory(c->err);
	rc = path_of(c->store, name, suffix, path, c->err);
	if (rc < 0)
		return rc;
	return fd_write_file_atomic(
	    AT_FDCWD, path, b->data, b->len, mode, c->err);
}

static int
write_index(struct change *c)
{
	struct buf b;
	int rc;

	buf_init(&b, INDEX_MAX);
	zone_index_write(c->ix, &b);
	rc = write_file(c, "index", "", &b, 0644);
	buf_fini(&b);
	return rc;
}

static int
write_conf(struct change *c, const struct zone_conf *conf)
{
	struct buf b;
	int rc;

	buf_init(&b, ZONE_XML_MAX);
	zone_xml_write(conf, &b);
	if (buf_error(&b) == -ENOSPC)
		rc = error_set(c->err, E2BIG,
		    "the configuration is bigger than %u MiB",
		    ZONE_XML_MAX >> 20);
	else
		rc = write_file(c, zone_conf_get(conf, "zonename"), ".xml", &b,
		    zone_conf_secret(conf) ? 0600 : 0644);
	buf_fini(&b);
	return rc;
}

static void
remove_conf(struct change *c, const char *name)
{
	char path[PATH_BYTES + 128];

	if (path_of(c->store, name, ".xml", path, NULL) == 0)
		(void)unlink(path);
}

/* ---- save ---- */

/* What an installed zone's data depends on stays. */
static int
check_fixed(struct change *c, const struct zone_entry *e,
    const struct zone_conf *disk, const struct zone_conf *conf)
{
	static const char *const fixed[] = { "brand", "zonepath" };
	size_t n = c->move ? 1 : ARRAY_LEN(fixed);
	const char *was, *now;

	if (e->state == ZONE_STATE_CONFIGURED || disk == NULL)
		return 0;
	for (size_t i = 0; i < n; i++) {
		was = zone_conf_get(disk, fixed[i]);
		now = zone_conf_get(conf, fixed[i]);
		if (was != NULL && now != NULL && strcmp(was, now) != 0)
			return error_set(c->err, EPERM,
			    "%s: '%s' cannot become '%s': the zone is %s",
			    fixed[i], was, now, zone_state_name(e->state));
	}
	return 0;
}

static int
check_base(struct change *c, const struct buf *now, const struct buf *base,
    const char *name)
{
	if (base == NULL ||
	    (now->len == base->len &&
		memcmp(now->data, base->data, now->len) == 0))
		return 0;
	return error_set(c->err, EBUSY,
	    "zone '%s' was changed by somebody else meanwhile; 'revert' shows "
	    "what it is now",
	    name);
}

/* The number of a zone is never given twice: a file keeps the last one. */
static int
next_number(struct change *c, struct zone_conf *conf)
{
	char path[PATH_BYTES + 128], text[32] = "";
	struct buf b;
	uint64_t n = 0;
	int rc;

	rc = path_of(c->store, "did.txt", "", path, c->err);
	if (rc < 0)
		return rc;
	buf_init(&b, 64);
	if (fd_read_file(AT_FDCWD, path, &b) >= 0 && buf_str(&b) != NULL)
		n = strtoull((char *)b.data, NULL, 10);
	snprintf(text, sizeof(text), "%" PRIu64 "\n", n + 1);
	buf_reset(&b);
	buf_append_str(&b, text);
	rc = write_file(c, "did.txt", "", &b, 0644);
	buf_fini(&b);
	if (rc < 0)
		return rc;
	text[strcspn(text, "\n")] = '\0';
	return zone_conf_set_text(conf, "debugid", text, c->err);
}

static int
give_number(
    struct change *c, struct zone_conf *conf, const struct zone_conf *disk)
{
	const char *old = disk != NULL ? zone_conf_get(disk, "debugid") : NULL;

	if (zone_conf_get(conf, "debugid") != NULL)
		return 0;
	if (old != NULL)
		return zone_conf_set_text(conf, "debugid", old, c->err);
	return next_number(c, conf);
}

static int
fill_entry(const struct zone_conf *conf, const struct zone_entry *old,
    struct zone_entry *ret)
{
	const char *uuid = zone_conf_get(conf, "uuid");

	*ret = (struct zone_entry){ .state = ZONE_STATE_CONFIGURED };
	if (old != NULL)
		*ret = *old;
	if (uuid != NULL)
		strcpy(ret->uuid, uuid);
	else if (ret->state != ZONE_STATE_INSTALLED)
		ret->uuid[0] = '\0';
	strcpy(ret->name, zone_conf_get(conf, "zonename"));
	ret->path = alloc_strdup(zone_conf_get(conf, "zonepath"));
	return ret->path == NULL ? -ENOMEM : 0;
}

/* Everything was checked: write. */
static int
save_files(struct change *c, const char *old_name, struct zone_conf *conf)
{
	const char *name = zone_conf_get(conf, "zonename");
	struct zone_entry e;
	int rc;

	rc = fill_entry(
	    conf, old_name ? zone_index_find(c->ix, old_name) : NULL, &e);
	if (rc < 0)
		return no_memory(c->err);
	rc = write_conf(c, conf);
	if (rc == 0) {
		rc = zone_index_put(c->ix, old_name, &e);
		if (rc < 0)
			error_sys(c->err, -rc, "index");
	}
	if (rc == 0)
		rc = write_index(c);
	if (rc == 0 && old_name != NULL && strcmp(old_name, name) != 0)
		remove_conf(c, old_name);
	free(e.path);
	return rc;
}

static int
save_checked(struct change *c, const char *old_name, struct zone_conf *conf,
    const struct buf *base, const struct zone_conf *disk, const struct buf *now)
{
	const char *name = zone_conf_get(conf, "zonename");
	const struct zone_entry *e =
	    old_name != NULL ? zone_index_find(c->ix, old_name) : NULL;
	int rc = 0;

	if (old_name != NULL && e == NULL)
		return error_set(c->err, ENOENT,
		    "zone '%s' was deleted meanwhile", old_name);
	if ((old_name == NULL || strcmp(old_name, name) != 0) &&
	    zone_index_find(c->ix, name) != NULL)
		return error_set(
		    c->err, EEXIST, "there is a zone '%s' already", name);
	if (e != NULL)
		rc = check_base(c, now, base, old_name);
	if (rc == 0 && e != NULL)
		rc = check_fixed(c, e, disk, conf);
	if (rc == 0)
		rc = give_number(c, conf, disk);
	return rc == 0 ? save_files(c, old_name, conf) : rc;
}

static int
save(struct zone_store *s, const char *old_name, struct zone_conf *conf,
    const struct buf *base, bool move, struct error *err)
{
	struct zone_conf *disk = NULL;
	struct change c;
	struct buf now;
	int rc;

	if (zone_conf_get(conf, "zonename") == NULL ||
	    zone_conf_get(conf, "zonepath") == NULL)
		return error_set(err, EINVAL, "zonename or zonepath is unset");
	rc = change_begin(&c, s, err);
	if (rc < 0)
		return rc;
	c.move = move;
	buf_init(&now, ZONE_XML_MAX);
	/* what is there may be damaged, and is then simply replaced */
	if (old_name != NULL)
		(void)zone_store_load(s, old_name, false, &disk, &now, NULL);
	rc = save_checked(&c, old_name, conf, base, disk, &now);
	buf_fini(&now);
	zone_conf_free(disk);
	change_end(&c);
	return rc;
}

int
zone_store_save(struct zone_store *s, const char *old_name,
    struct zone_conf *conf, const struct buf *base, struct error *err)
{
	return save(s, old_name, conf, base, false, err);
}

int
zone_store_move(struct zone_store *s, struct zone_conf *conf,
    const struct buf *base, struct error *err)
{
	return save(s, zone_conf_get(conf, "zonename"), conf, base, true, err);
}

/* ---- the rest ---- */

int
zone_store_register(struct zone_store *s, const char *name, struct error *err)
{
	struct zone_conf *conf = NULL;
	struct zone_entry e;
	struct change c;
	int rc;

	rc = change_begin(&c, s, err);
	if (rc < 0)
		return rc;
	rc = zone_store_load(s, name, false, &conf, NULL, err);
	if (rc == 0 && zone_conf_get(conf, "zonepath") == NULL)
		rc = error_set(err, EINVAL, "zone '%s' has no zonepath", name);
	if (rc == 0 && zone_index_find(c.ix, name) != NULL)
		rc = error_set(
		    err, EEXIST, "there is a zone '%s' already", name);
	if (rc == 0 && fill_entry(conf, NULL, &e) < 0)
		rc = no_memory(err);
	if (rc == 0) {
		rc = zone_index_put(c.ix, NULL, &e);
		free(e.path);
		rc = rc < 0 ? error_sys(err, -rc, "index") : write_index(&c);
	}
	zone_conf_free(conf);
	change_end(&c);
	return rc;
}

static int
no_zone(struct error *err, const char *name)
{
	return error_set(err, ENOENT, "there is no zone '%s'", name);
}

int
zone_store_delete(struct zone_store *s, const char *name, struct error *err)
{
	const struct zone_entry *e;
	struct change c;
	int rc;

	rc = change_begin(&c, s, err);
	if (rc < 0)
		return rc;
	e = zone_index_find(c.ix, name);
	if (e == NULL)
		rc = no_zone(err, name);
	else if (e->state != ZONE_STATE_CONFIGURED)
		rc = error_set(err, EBUSY,
		    "zone '%s' is %s; uninstall it before deleting it", name,
		    zone_state_name(e->state));
	else if ((rc = zone_index_remove(c.ix, name)) < 0)
		rc = error_sys(err, -rc, "zone '%s'", name);
	if (rc == 0)
		rc = write_index(&c);
	if (rc == 0)
		remove_conf(&c, name);
	change_end(&c);
	return rc;
}

static int
make_uuid(char text[ZONE_UUID_LEN + 1])
{
	uint8_t u[16];

	if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
		return -EIO;
	u[6] = (u[6] & 0x0f) | 0x40;
	u[8] = (u[8] & 0x3f) | 0x80;
	snprintf(text, ZONE_UUID_LEN + 1,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
	    u[11], u[12], u[13], u[14], u[15]);
	return 0;
}

static int
state_uuid(const struct zone_store *s, struct zone_entry *e)
{
	struct zone_conf *conf = NULL;
	const char *pinned = NULL;
	int rc = 0;

	if (zone_store_load(s, e->name, false, &conf, NULL, NULL) == 0)
		pinned = zone_conf_get(conf, "uuid");
	if (pinned != NULL)
		strcpy(e->uuid, pinned);
	else if (e->state < ZONE_STATE_INSTALLED)
		e->uuid[0] = '\0';
	else if (e->uuid[0] == '\0')
		rc = make_uuid(e->uuid);
	zone_conf_free(conf);
	return rc;
}

int
zone_store_set_state(struct zone_store *s, const char *name,
    enum zone_state state, struct error *err)
{
	const struct zone_entry *found;
	struct zone_entry e;
	struct change c;
	int rc;

	if (state > ZONE_STATE_INSTALLED)
		return error_set(err, EINVAL, "state %s is not kept on disk",
		    zone_state_name(state));
	rc = change_begin(&c, s, err);
	if (rc < 0)
		return rc;
	found = zone_index_find(c.ix, name);
	if (found == NULL) {
		rc = no_zone(err, name);
	} else {
		e = *found;
		e.state = state;
		rc = state_uuid(s, &e);
		if (rc == 0)
			rc = zone_index_put(c.ix, name, &e);
		rc = rc < 0 ? error_sys(err, -rc, "zone '%s'", name)
			    : write_index(&c);
	}
	change_end(&c);
	return rc;
}
