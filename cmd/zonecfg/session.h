/*
 * One run of zonecfg: the zone at hand, the resource that is open, and what the
 * statements do to them.
 */
#ifndef ZONECFG_SESSION_H
#define ZONECFG_SESSION_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "zone/brand.h"
#include "zone/conf.h"
#include "zone/stmt.h"
#include "zone/store.h"

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

struct session {
	struct zone_store *store;
	const char *brand_dir; /* NULL: the installed one */
	char name[ZONE_NAME_MAX + 1]; /* as -z says; as on disk if it is */
	bool on_disk; /* the index has the zone under that name */
	enum zone_state state;
	struct zone_conf *conf; /* NULL: nothing to work on yet */
	struct buf base; /* the bytes that conf was read from */
	bool has_base;
	bool changed; /* conf is not what is on disk */
	struct zone_brand *brand; /* of conf, NULL while it has none */

	struct zone_res *res; /* the open resource, a copy; or NULL */
	size_t at; /* its number in conf, or ZONE_NEW */

	bool ask; /* there is somebody to ask */
	bool usage; /* the failed statement was wrong in form */
	bool done; /* 'exit' was said */
};

/* Read the zone if it is there. -ENOENT is no error here. */
int session_open(struct session *s, const char *name, struct error *err);
void session_fini(struct session *s);
/* The zone is 'name' from now on, as it is on disk or not. */
int session_load(struct session *s, struct error *err);
/* Forget the open resource. */
void session_close_res(struct session *s);
/* Take over a configuration: the session owns it then. */
void session_replace(struct session *s, struct zone_conf *conf);
/* Make s->brand that of the configuration; a brand that is not there is NULL.
 */
void session_refresh_brand(struct session *s);

/*
 * Run one statement. Negative: err says why, s->usage whether the form was
 * wrong.
 */
int
session_run(struct session *s, const struct zone_stmt *stmt, struct error *err);
/* At the end of the input: commit what is not committed. */
int session_finish(struct session *s, struct error *err);
/*
 * Is the configuration right? What only installing would refuse is a warning on
 * standard error.
 */
int session_verify(struct session *s, struct error *err);
/* Verify and write. */
int session_commit(struct session *s, struct error *err);

/* Ask yes or no on the terminal; dflt for an empty answer. */
bool session_yes(struct session *s, bool dflt, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * 0 when -F was given or the person agreed; else an error that says how to do
 * without asking.
 */
int session_consent(struct session *s, const struct zone_stmt *stmt,
    struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The statement's form is wrong: usage follows the reason. */
int session_usage(struct session *s, const struct zone_stmt *stmt,
    struct error *err, const char *why);
/* Write a buffer to standard output. */
int session_print(struct buf *b, struct error *err);

/* Handlers, one a verb. */
#define X(id, name, where, opts, usage, help)                        \
	int do_##id(struct session *s, const struct zone_stmt *stmt, \
	    struct error *err);
ZONE_VERBS(X)
#undef X

/* help.c */
int help_verbs(struct error *err);
/* The names that a brand allows, a line each; return an exit status. */
int help_brand_types(const struct zone_brand *brand);
int
help_brand_props(const struct zone_brand *brand, const struct zone_rtype *t);
/* prompt.c: people; returns an exit status */
int prompt_run(struct session *s);

#endif
