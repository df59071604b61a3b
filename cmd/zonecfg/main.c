/*
 * zonecfg: read statements from a person, a file or the command line, apply
 * them, say what was wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "session.h"
#include "zone/text.h"

#define MAX_INPUT (64U << 20)

struct options {
	const char *zone, *uuid, *file, *root, *brand;
	char **words; /* the operands, ended by NULL */
	char *text; /* the same as commands, one text */
};

static int
usage(const char *why)
{
	if (why != NULL)
		fprintf(stderr, "zonecfg: %s\n", why);
	fprintf(stderr,
	    "usage: zonecfg [-R root] {-z zone | -u uuid} [-f file | command]\n"
	    "       zonecfg -b brand {resources | properties [resource]}\n"
	    "       zonecfg help\n");
	return EXIT_USAGE;
}

static int
fail(const struct error *err)
{
	fprintf(stderr, "zonecfg: %s\n", err->text);
	return EXIT_FAILED;
}

/*
 * Run a text of statements, until the first that fails: what a script wanted
 * then is no longer known. 'where' and the line go in front of the error.
 */
static int
run_text(struct session *s, const char *text, const char *where)
{
	struct zone_stmt *stmt = NULL;
	struct error err = ERROR_INIT;
	const char *p = text, *seen = text;
	unsigned line = 1;
	int rc = 0, status;

	while (!s->done) {
		rc = zone_stmt_parse(&p, &stmt, &err);
		if (rc == 0)
			break;
		status = rc < 0 ? EXIT_USAGE : EXIT_FAILED;
		if (rc > 0) {
			rc = session_run(s, stmt, &err);
			zone_stmt_free(stmt);
			status = s->usage ? EXIT_USAGE : EXIT_FAILED;
		}
		if (rc == 0)
			continue;
		/* p stands at the end of the statement, on its line */
		for (; seen < p; seen++)
			line += *seen == '\n';
		if (where != NULL)
			error_prefix(&err, "%s:%u", where, line);
		fail(&err);
		return status;
	}
	if (!s->done && session_finish(s, &err) < 0)
		return fail(&err);
	return EXIT_OK;
}

static int
read_input(const char *file, struct buf *b, struct error *err)
{
	char chunk[4096];
	ssize_t n;
	int rc;

	if (strcmp(file, "-") != 0) {
		rc = fd_read_file(AT_FDCWD, file, b);
		return rc < 0 ? error_sys(err, -rc, "%s", file) : 0;
	}
	while ((n = fd_read_full(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		if (buf_append(b, chunk, (size_t)n) != 0)
			return error_set(err, EFBIG,
			    "standard input: more than %u MiB",
			    MAX_INPUT >> 20);
	return n < 0 ? error_sys(err, (int)-n, "standard input") : 0;
}

static int
run_file(struct session *s, const char *file)
{
	struct error err = ERROR_INIT;
	struct buf b;
	int rc;

	buf_init(&b, MAX_INPUT);
	s->ask = false;
	rc = read_input(file, &b, &err);
	if (rc == 0 && buf_str(&b) == NULL)
		rc = error_set(&err, ENOMEM, "out of memory");
	if (rc == 0 && strlen((char *)b.data) != b.len)
		rc = error_set(&err, EINVAL, "%s: holds a NUL byte", file);
	rc = rc < 0 ? fail(&err) : run_text(s, (char *)b.data, file);
	buf_fini(&b);
	return rc;
}

static int
find_zone(struct session *s, const struct options *o, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	int rc;

	if (o->uuid == NULL)
		return session_open(s, o->zone, err);
	rc = zone_store_index(s->store, &ix, err);
	if (rc < 0)
		return rc;
	e = zone_index_find_uuid(ix, o->uuid);
	if (e != NULL)
		rc = session_open(s, e->name, err);
	else if (o->zone != NULL)
		rc = session_open(s, o->zone, err);
	else
		rc = error_set(
		    err, ENOENT, "there is no zone with UUID '%s'", o->uuid);
	zone_index_free(ix);
	return rc;
}

/*
 * A zone whose file is damaged can still be deleted or made anew; everything
 * else has nothing to work on.
 */
static bool
may_go_on(const struct options *o)
{
	const char *text = o->text;
	struct zone_stmt *stmt = NULL;
	bool yes;

	if (text == NULL || zone_stmt_parse(&text, &stmt, NULL) <= 0)
		return false;
	yes = stmt->verb == ZONE_VERB_DELETE || stmt->verb == ZONE_VERB_CREATE;
	zone_stmt_free(stmt);
	return yes;
}

static int
run(struct session *s, const struct options *o)
{
	struct error err = ERROR_INIT;
	int rc;

	rc = zone_store_open(o->root, &s->store, &err);
	if (rc == 0)
		rc = find_zone(s, o, &err);
	if (rc < 0 && !(s->on_disk && may_go_on(o)))
		return fail(&err);
	if (o->file != NULL)
		return run_file(s, o->file);
	s->ask = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (o->text != NULL)
		return run_text(s, o->text, NULL);
	return s->ask ? prompt_run(s) : run_file(s, "-");
}

/* The words of the command line are one text, as a shell's echo joins them. */
static char *
join(char **words)
{
	struct buf b;
	const char *text;
	char *copy = NULL;

	buf_init(&b, MAX_INPUT);
	for (char **w = words; *w != NULL; w++)
		buf_printf(&b, "%s%s", w == words ? "" : " ", *w);
	text = buf_str(&b);
	if (text != NULL)
		copy = strdup(text);
	buf_fini(&b);
	return copy;
}

static int
only_help(const char *text)
{
	struct session s = { .ask = false };
	struct error err = ERROR_INIT;
	struct zone_stmt *stmt = NULL;
	int rc;

	rc = zone_stmt_parse(&text, &stmt, &err);
	if (rc <= 0 || stmt->verb != ZONE_VERB_HELP) {
		if (rc > 0)
			zone_stmt_free(stmt);
		return usage("no zone is named; use -z or -u");
	}
	rc = session_run(&s, stmt, &err);
	zone_stmt_free(stmt);
	return rc < 0 ? fail(&err) : EXIT_OK;
}

/* What a brand's zones may have: for scripts that make configurations. */
static int
about_brand(struct session *s, const struct options *o)
{
	const struct zone_rtype *t = ZONE_GLOBAL;
	struct error err = ERROR_INIT;
	const char *what = o->words[0];
	int rc;

	if (what == NULL ||
	    (strcmp(what, "resources") != 0 && strcmp(what, "properties") != 0))
		return usage("-b takes 'resources' or 'properties'");
	rc = zone_brand_load(s->brand_dir, o->brand, &s->brand, &err);
	if (rc == 0 && o->words[1] != NULL)
		rc = zone_rtype_get(o->words[1], &t, &err);
	if (rc < 0)
		return fail(&err);
	if (strcmp(what, "resources") == 0)
		return help_brand_types(s->brand);
	return help_brand_props(s->brand, t);
}

static int
parse(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "+b:z:u:f:R:h")) != -1)
		switch (c) {
		case 'b':
			o->brand = optarg;
			break;
		case 'z':
			o->zone = optarg;
			break;
		case 'u':
			o->uuid = optarg;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'R':
			o->root = optarg;
			break;
		case 'h':
			o->text = strdup("help");
			return EXIT_OK;
		default:
			return usage(NULL);
		}
	o->words = argv + optind;
	if (optind < argc) {
		o->text = join(argv + optind);
		if (o->text == NULL)
			return usage("out of memory");
	}
	if (o->text != NULL && o->file != NULL)
		return usage("-f and commands exclude each other");
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	struct session s = { .brand_dir = getenv("ZHYVE_BRANDS") };
	struct options o = { NULL };
	int status;

	status = parse(argc, argv, &o);
	if (status == EXIT_OK && o.brand != NULL)
		status = about_brand(&s, &o);
	else if (status == EXIT_OK && o.zone == NULL && o.uuid == NULL)
		status = o.text != NULL
		    ? only_help(o.text)
		    : usage("no zone is named; use -z or -u");
	else if (status == EXIT_OK)
		status = run(&s, &o);
	session_fini(&s);
	free(o.text);
	if (fflush(stdout) != 0 && status == EXIT_OK) {
		perror("zonecfg: standard output");
		status = EXIT_FAILED;
	}
	return status;
}
