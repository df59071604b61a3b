/*
 * What a session is, apart from the statements.
 */
#include "session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "zone/hook.h"
#include "zone/live.h"
#include "zone/type.h"
#include "zone/verify.h"
#include "zone/xml.h"
#include "zone/xmldoc.h"

void
session_close_res(struct session *s)
{
	zone_res_free(s->res);
	s->res = NULL;
}

void
session_refresh_brand(struct session *s)
{
	const char *name = NULL;

	if (s->conf != NULL)
		name = zone_conf_get(s->conf, "brand");
	if (name != NULL && s->brand != NULL &&
	    strcmp(zone_brand_name(s->brand), name) == 0)
		return;
	zone_brand_free(s->brand);
	s->brand = NULL;
	if (name != NULL)
		(void)zone_brand_load(s->brand_dir, name, &s->brand, NULL);
}

void
session_replace(struct session *s, struct zone_conf *conf)
{
	session_close_res(s);
	zone_conf_free(s->conf);
	s->conf = conf;
	session_refresh_brand(s);
}

int
session_load(struct session *s, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	struct zone_conf *conf = NULL;
	int rc;

	rc = zone_store_index(s->store, &ix, err);
	if (rc < 0)
		return rc;
	e = zone_index_find(ix, s->name);
	s->on_disk = e != NULL;
	s->state = e != NULL ? e->state : ZONE_STATE_CONFIGURED;
	zone_index_free(ix);
	s->has_base = false;
	if (s->on_disk) {
		rc = zone_store_load(
		    s->store, s->name, false, &conf, &s->base, err);
		if (rc < 0)
			return rc;
		s->has_base = true;
	}
	session_replace(s, conf);
	s->changed = false;
	return 0;
}

int
session_open(struct session *s, const char *name, struct error *err)
{
	int rc;

	buf_init(&s->base, ZONE_XML_MAX);
	rc = zone_name_check(name, err);
	if (rc < 0)
		return rc;
	str_format(s->name, sizeof(s->name), "%s", name);
	return session_load(s, err);
}

void
session_fini(struct session *s)
{
	session_replace(s, NULL);
	zone_brand_free(s->brand);
	zone_store_close(s->store);
	buf_fini(&s->base);
}

/* ---- questions and texts ---- */

bool
session_yes(struct session *s, bool dflt, const char *fmt, ...)
{
	char answer[64];
	va_list ap;

	for (;;) {
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		printf(dflt ? " ([y]/n)? " : " (y/[n])? ");
		fflush(stdout);
		if (fgets(answer, sizeof(answer), stdin) == NULL) {
			putchar('\n');
			return false;
		}
		if (answer[0] == '\n')
			return dflt;
		if (answer[0] == 'y' || answer[0] == 'Y')
			return true;
		if (answer[0] == 'n' || answer[0] == 'N')
			return false;
	}
}

int
session_consent(struct session *s, const struct zone_stmt *stmt,
    struct error *err, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	if (zone_stmt_opt(stmt, 'F'))
		return 0;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!s->ask)
		return error_set(err, EPERM,
		    "%s: %s; there is nobody to ask: use '%s -F'",
		    zone_verbs[stmt->verb].name, what,
		    zone_verbs[stmt->verb].name);
	if (session_yes(s, false, "%s; do it", what))
		return 0;
	return error_set(
	    err, ECANCELED, "%s: not done", zone_verbs[stmt->verb].name);
}

int
session_usage(struct session *s, const struct zone_stmt *stmt,
    struct error *err, const char *why)
{
	s->usage = true;
	return error_set(err, EINVAL, "%s: %s; usage: %s",
	    zone_verbs[stmt->verb].name, why, zone_verbs[stmt->verb].usage);
}

int
session_print(struct buf *b, struct error *err)
{
	if (buf_error(b) != 0)
		return error_set(err, -buf_error(b), "out of memory");
	if (buf_print(b, stdout) != 0)
		return error_sys(err, errno, "standard output");
	return 0;
}

/* ---- running ---- */

static int
right_place(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	const struct zone_verb_row *v = &zone_verbs[stmt->verb];

	if (s->conf == NULL && (v->where & ZV_NOZONE) == 0) {
		if (stmt->verb == ZONE_VERB_DELETE && s->on_disk)
			return 0;
		return error_set(err, ENOENT,
		    "%s: there is no zone '%s'; 'create' begins one", v->name,
		    s->name);
	}
	if (s->res != NULL && (v->where & ZV_RES) == 0)
		return session_usage(s, stmt, err,
		    "not inside a resource; 'end' or 'cancel' it first");
	if (s->res == NULL && (v->where & (ZV_GLOBAL | ZV_NOZONE)) == 0)
		return session_usage(s, stmt, err, "only inside a resource");
	return 0;
}

int
session_run(struct session *s, const struct zone_stmt *stmt, struct error *err)
{
	static int (*const handlers[ZONE_NVERBS])(
	    struct session *, const struct zone_stmt *, struct error *) = {
#define X(id, name, where, opts, usage, help) [ZONE_VERB_##id] = do_##id,
		ZONE_VERBS(X)
#undef X
	};
	int rc;

	s->usage = false;
	rc = right_place(s, stmt, err);
	return rc < 0 ? rc : handlers[stmt->verb](s, stmt, err);
}

/*
 * The brand's own check: verify_cfg gets the configuration as XML, in a file
 * that only it can open.
 */
static int
brand_verify(
    struct session *s, const struct zone_brand *brand, struct error *err)
{
	static const char *const file[] = { "/proc/self/fd/3", NULL };
	const char *hook = zone_brand_text(brand, "verify_cfg");
	cleanup_close int fd = -1;
	char **argv = NULL;
	struct buf xml;
	int rc;

	rc = zone_hook_argv(hook, zone_conf_get(s->conf, "zonename"),
	    zone_conf_get(s->conf, "zonepath"), file, &argv, err);
	if (rc == -ENOENT)
		return 0;
	buf_init(&xml, ZONE_XML_MAX);
	zone_xml_write(s->conf, &xml);
	if (rc == 0)
		fd = fd_memfd("zone.xml", 0, 0);
	if (rc == 0 &&
	    (buf_error(&xml) != 0 || fd < 0 ||
		fd_write_all(fd, xml.data, xml.len) != 0))
		rc = error_set(err, ENOMEM, "out of memory");
	if (rc == 0 && lseek(fd, 0, SEEK_SET) == 0)
		rc = zone_hook_run(argv, fd, err);
	buf_fini(&xml);
	zone_hook_free(argv);
	if (rc > 0)
		rc = -EIO;
	return rc < 0
	    ? error_prefix(err, "brand %s: verify_cfg", zone_brand_name(brand))
	    : 0;
}

int
session_verify(struct session *s, struct error *err)
{
	struct zone_brand *brand = NULL;
	struct error other = ERROR_INIT;
	const char *name;
	int rc = 0;

	name = zone_conf_get(s->conf, "brand");
	if (name != NULL)
		rc = zone_brand_load(s->brand_dir, name, &brand, err);
	if (rc == 0)
		rc = zone_verify(s->conf, brand, err);
	if (rc == 0 && brand != NULL)
		rc = brand_verify(s, brand, err);
	zone_brand_free(brand);
	if (rc == 0 &&
	    (zone_store_conflict(s->store, s->name, s->conf, &other) ==
		    -EEXIST ||
		zone_store_macs(s->store, s->name, s->conf, &other) == -EEXIST))
		fprintf(stderr, "zonecfg: warning: %s\n", other.text);
	return rc;
}

/* What runs stays as it is: say how it gets what was saved. */
static void
tell_running(const struct session *s)
{
	struct zone_live live;

	if (zone_live_read(zone_store_root(s->store), s->name, &live) < 0)
		return;
	if (live.alive)
		fprintf(stderr,
		    "zonecfg: zone '%s' runs: 'zoneadm -z %s apply' puts the "
		    "protection of its links in force, and says what needs a "
		    "reboot\n",
		    s->name, s->name);
	zone_live_fini(&live);
}

int
session_commit(struct session *s, struct error *err)
{
	int rc;

	rc = session_verify(s, err);
	if (rc == 0)
		rc = zone_store_save(s->store, s->on_disk ? s->name : NULL,
		    s->conf, s->has_base ? &s->base : NULL, err);
	if (rc < 0)
		return rc;
	str_format(
	    s->name, sizeof(s->name), "%s", zone_conf_get(s->conf, "zonename"));
	tell_running(s);
	return session_load(s, err);
}

int
session_finish(struct session *s, struct error *err)
{
	if (s->res != NULL)
		return error_set(err, EINVAL,
		    "the input ends inside resource %s; 'end' is missing",
		    zone_res_type(s->res)->name);
	if (s->conf == NULL || !s->changed)
		return 0;
	return session_commit(s, err);
}
