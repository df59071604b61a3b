/*
 * Statements about the configuration as a whole: where it comes from, where it
 * goes, what it looks like.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "session.h"
#include "zone/text.h"
#include "zone/type.h"
#include "zone/verify.h"

#define DETACHED "SUNWdetached.xml"
#define DEFAULT_BRAND "bhyve"

static int
no_args(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	return stmt->nargs == 0
	    ? 0
	    : session_usage(s, stmt, err, "takes no argument");
}

/* ---- create ---- */

/*
 * A template is a zone, a file in /etc/zones, or the brand's own:
 * SYSbhyve is brands/bhyve/SYSbhyve.xml.
 */
static int
load_template(struct session *s, const char *name, struct zone_conf **ret,
    struct error *err)
{
	const char *brand = name + 3;
	char path[512];
	int rc;

	rc = zone_name_check(name, err);
	if (rc < 0)
		return rc;
	rc = zone_store_load(s->store, name, true, ret, NULL, err);
	if (rc != -ENOENT)
		return rc;
	if (strncmp(name, "SYS", 3) != 0)
		return error_set(
		    err, ENOENT, "there is no zone or template '%s'", name);
	if (strcmp(brand, "default") == 0)
		brand = DEFAULT_BRAND;
	rc = str_format(path, sizeof(path), "%s/%s/SYS%s.xml",
	    zone_brand_dir(s->brand_dir), brand, brand);
	if (rc < 0)
		return error_set(err, ENAMETOOLONG, "template: path too long");
	return zone_conf_load_file(path, ret, NULL, err);
}

static int
load_detached(const char *zonepath, struct zone_conf **ret, struct error *err)
{
	struct zone_conf *conf = NULL;
	char path[4200];
	int rc;

	if (str_format(path, sizeof(path), "%s/" DETACHED, zonepath) < 0)
		return error_set(err, ENAMETOOLONG, "zonepath too long");
	rc = zone_conf_load_file(path, &conf, NULL, err);
	if (rc == 0)
		rc = zone_conf_set_text(conf, "zonepath", zonepath, err);
	if (rc < 0) {
		zone_conf_free(conf);
		return rc;
	}
	*ret = conf;
	return 0;
}

/* Ethernet addresses are each zone's own; without one a boot makes one. */
static int
forget_macs(struct zone_conf *conf, struct error *err)
{
	const struct zone_rtype *net = zone_rtype_find("net");
	const struct zone_prop *mac = zone_prop_find(net, "mac-addr");
	struct zone_res *res;
	int rc = 0;

	for (size_t i = 0; i < zone_conf_count(conf) && rc == 0; i++) {
		if (zone_res_type(zone_conf_at(conf, i)) != net ||
		    zone_res_count(zone_conf_at(conf, i), mac) == 0)
			continue;
		res = zone_res_dup(zone_conf_at(conf, i));
		if (res == NULL)
			return error_set(err, ENOMEM, "out of memory");
		rc = zone_res_clear(res, mac, err);
		if (rc == 0)
			rc = zone_conf_put(conf, i, res, err);
		if (rc < 0)
			zone_res_free(res);
	}
	return rc;
}

static int
new_conf(struct session *s, const struct zone_stmt *stmt,
    struct zone_conf **ret, struct error *err)
{
	int rc = 0;

	if (zone_stmt_opt(stmt, 'a')) {
		rc = load_detached(stmt->opt_arg, ret, err);
	} else if (zone_stmt_opt(stmt, 't')) {
		rc = load_template(s, stmt->opt_arg, ret, err);
	} else if (zone_stmt_opt(stmt, 'b')) {
		*ret = zone_conf_create();
		if (*ret == NULL)
			rc = error_set(err, ENOMEM, "out of memory");
	} else {
		rc = load_template(s, "SYSdefault", ret, err);
	}
	if (rc == 0)
		rc = zone_conf_set_text(*ret, "zonename", s->name, err);
	if (rc == 0 && zone_stmt_opt(stmt, 't'))
		rc = forget_macs(*ret, err);
	if (rc < 0)
		return rc;
	/* what is one zone's alone is not inherited */
	if (!zone_stmt_opt(stmt, 'a'))
		(void)zone_conf_set_text(*ret, "uuid", "", NULL);
	(void)zone_conf_set_text(*ret, "debugid", "", NULL);
	return 0;
}

static int
register_existing(
    struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	int rc;

	rc = zone_store_register(s->store, s->name, err);
	return rc < 0 ? error_prefix(err, "create -X") : session_load(s, err);
}

int
do_CREATE(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	struct zone_conf *conf = NULL;
	int rc, sources;

	if (s->res != NULL)
		return session_usage(s, stmt, err,
		    "not inside a resource; 'end' or 'cancel' it first");
	sources = zone_stmt_opt(stmt, 'a') + zone_stmt_opt(stmt, 'b') +
	    zone_stmt_opt(stmt, 't') + zone_stmt_opt(stmt, 'X');
	if (sources > 1)
		return session_usage(
		    s, stmt, err, "-a, -b, -t and -X exclude each other");
	rc = no_args(s, stmt, err);
	if (rc == 0 && (s->on_disk || s->conf != NULL))
		rc = session_consent(s, stmt, err,
		    "zone '%s' exists, and would be replaced", s->name);
	if (rc < 0)
		return rc;
	if (zone_stmt_opt(stmt, 'X'))
		return register_existing(s, stmt, err);
	rc = new_conf(s, stmt, &conf, err);
	if (rc < 0) {
		zone_conf_free(conf);
		return error_prefix(err, "create");
	}
	session_replace(s, conf);
	s->has_base = false;
	s->changed = true;
	return 0;
}

/* ---- commit and its like ---- */

int
do_COMMIT(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	int rc = no_args(s, stmt, err);

	return rc < 0 ? rc : session_commit(s, err);
}

int
do_VERIFY(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	int rc = no_args(s, stmt, err);

	return rc < 0 ? rc : session_verify(s, err);
}

int
do_REVERT(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	int rc = no_args(s, stmt, err);

	if (rc == 0 && !s->on_disk)
		rc = error_set(err, ENOENT,
		    "revert: zone '%s' was never committed", s->name);
	if (rc == 0 && s->changed)
		rc = session_consent(s, stmt, err,
		    "changes of zone '%s' would be lost", s->name);
	return rc < 0 ? rc : session_load(s, err);
}

int
do_DELETE(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	int rc = no_args(s, stmt, err);

	if (rc == 0)
		rc = session_consent(
		    s, stmt, err, "zone '%s' would be deleted", s->name);
	if (rc == 0 && s->on_disk)
		rc = zone_store_delete(s->store, s->name, err);
	if (rc < 0)
		return rc;
	session_replace(s, NULL);
	s->on_disk = s->has_base = s->changed = false;
	return 0;
}

int
do_EXIT(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	struct error why = ERROR_INIT;
	int rc;

	rc = no_args(s, stmt, err);
	if (rc < 0)
		return rc;
	if (!zone_stmt_opt(stmt, 'F')) {
		rc = session_finish(s, &why);
		if (rc < 0 &&
		    (!s->ask ||
			!session_yes(s, false, "Not saved: %s.\nLeave anyway",
			    why.text)))
			return error_set(err, why.code, "%s", why.text);
	}
	session_close_res(s);
	s->changed = false;
	s->done = true;
	return 0;
}

/* ---- showing ---- */

int
do_EXPORT(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	struct buf b;
	int rc = no_args(s, stmt, err);

	if (rc < 0)
		return rc;
	buf_init(&b, ZONE_TEXT_MAX);
	zone_export(s->conf, &b);
	if (!zone_stmt_opt(stmt, 'f'))
		rc = session_print(&b, err);
	else if (buf_error(&b) != 0)
		rc = error_set(err, ENOMEM, "out of memory");
	else
		rc = fd_write_file_atomic(AT_FDCWD, stmt->opt_arg, b.data,
		    b.len, zone_conf_secret(s->conf) ? 0600 : 0644, err);
	buf_fini(&b);
	return rc;
}

static int
info_matches(struct session *s, const struct zone_stmt *stmt,
    const struct zone_rtype *t, struct buf *b, struct error *err)
{
	const struct zone_arg *a;
	const struct zone_prop *p = NULL;
	bool one, all;
	int rc = 0;

	for (const struct zone_res *r = zone_conf_next(s->conf, t, NULL);
	     r != NULL; r = zone_conf_next(s->conf, t, r)) {
		all = true;
		for (size_t i = 1; i < stmt->nargs; i++) {
			a = &stmt->args[i];
			if (a->name == NULL || !a->assigned || a->nvalues != 1)
				return session_usage(s, stmt, err,
				    "behind the resource come property=value");
			one = false;
			rc = zone_prop_get(t, a->name, &p, err);
			if (rc == 0)
				rc = zone_res_matches(
				    r, p, a->values, &one, err);
			if (rc < 0)
				return error_prefix(err, "info %s", t->name);
			all = all && one;
		}
		if (all)
			zone_info_res(r, b);
	}
	return 0;
}

static int
info_of(struct session *s, const struct zone_stmt *stmt, struct buf *b,
    struct error *err)
{
	const struct zone_arg *a = stmt->args;
	const struct zone_rtype *t;
	const struct zone_prop *p = NULL;
	int rc;

	if (s->res != NULL) {
		zone_info_res(s->res, b);
		return 0;
	}
	if (stmt->nargs == 0) {
		zone_info(s->conf, b);
		return 0;
	}
	if (a[0].name == NULL || a[0].assigned)
		return session_usage(
		    s, stmt, err, "takes a property or a resource");
	t = zone_rtype_find(a[0].name);
	if (t != NULL)
		return info_matches(s, stmt, t, b, err);
	rc = zone_prop_get(ZONE_GLOBAL, a[0].name, &p, err);
	if (rc < 0)
		return zone_rtype_get(a[0].name, &t, err);
	zone_info_prop(s->conf, p, b);
	return 0;
}

int
do_INFO(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	struct buf b;
	int rc;

	buf_init(&b, ZONE_TEXT_MAX);
	rc = info_of(s, stmt, &b, err);
	if (rc == 0)
		rc = session_print(&b, err);
	buf_fini(&b);
	return rc;
}
