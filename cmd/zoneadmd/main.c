/*
 * zoneadmd: go into the background, supervise one zone. The parent returns when
 * the zone is served, or prints why it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "zone/type.h"
#include "zoneadmd/fault.h"
#include "zoneadmd/matrix.h"
#include "zoneadmd/sup.h"

struct options {
	struct sup_conf conf;
	bool foreground;
	char root[PATH_MAX];
	char snap[PATH_MAX], mdata[PATH_MAX], slirp[PATH_MAX], link[PATH_MAX];
	char brands[PATH_MAX];
};

static int
usage(void)
{
	fprintf(stderr,
	    "usage: zoneadmd [-f] -z zone [-R root]\n"
	    "       zoneadmd -n\n");
	return 2;
}

static int
fail(const struct error *err)
{
	fprintf(stderr, "zoneadmd: %s\n", err->text);
	return 1;
}

static int
print_matrix(void)
{
	struct buf b;
	int rc;

	buf_init(&b, 1 << 16);
	sup_matrix_print(&b);
	rc = buf_error(&b) == 0 && fwrite(b.data, 1, b.len, stdout) == b.len &&
		fflush(stdout) == 0
	    ? 0
	    : 1;
	buf_fini(&b);
	return rc;
}

#ifdef ZHYVE_FAULTS
static int
print_faults(void)
{
	for (size_t i = 0; i < SUP_NFAULTS; i++)
		puts(sup_fault_names[i]);
	return 0;
}
#endif

/* The programs that it runs lie beside it. */
static int
find_programs(struct options *o, struct error *err)
{
	const struct {
		const char *name;
		char *buf;
		const char **to;
	} rows[] = {
		{ "zonesnap", o->snap, &o->conf.snap },
		{ "mdata", o->mdata, &o->conf.mdata },
		{ "zoneslirp", o->slirp, &o->conf.slirp },
		{ "zonelink", o->link, &o->conf.link },
	};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n < 0)
		return error_sys(err, errno, "/proc/self/exe");
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (slash == NULL ||
		    str_format(rows[i].buf, PATH_MAX, "%.*s/%s",
			(int)(slash - exe), exe, rows[i].name) < 0)
			return error_set(
			    err, ENAMETOOLONG, "%s: path too long", exe);
		*rows[i].to = rows[i].buf;
	}
	return 0;
}

/* Working folder and root of the caller are not ours for ever. */
static int
set_root(struct options *o, const char *root, struct error *err)
{
	size_t n;

	if (realpath(root, o->root) == NULL)
		return error_sys(err, errno, "root %s", root);
	n = strlen(o->root);
	if (n > 0 && o->root[n - 1] == '/')
		o->root[n - 1] = '\0';
	return 0;
}

static int
set_brands(struct options *o, struct error *err)
{
	if (o->conf.brands == NULL)
		return 0;
	if (realpath(o->conf.brands, o->brands) == NULL)
		return error_sys(err, errno, "brands %s", o->conf.brands);
	o->conf.brands = o->brands;
	return 0;
}

/* Serve; 'report'  is told when it is so, "" or why not. */
static int
serve(const struct options *o, int report)
{
	struct error err = ERROR_INIT;
	struct sup *sup = NULL;
	const char *text = "";
	int rc;

	rc = sup_start(&o->conf, &sup, &err);
	if (rc < 0)
		text = err.text;
	if (report >= 0) {
		(void)fd_write_all(report, text, strlen(text) + 1);
		close(report);
	}
	if (rc != 0)
		return rc < 0 ? (report >= 0 ? 1 : fail(&err)) : 0;
	rc = sup_run(sup, &err);
	sup_free(sup);
	return rc < 0 ? 1 : 0;
}

static void
let_go(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (null > 2)
			close(null);
	}
	if (chdir("/") != 0)
		_exit(1);
}

static int
background(const struct options *o)
{
	struct error err = ERROR_INIT;
	int pair[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		error_sys(&err, errno, "cannot go into the background");
		return fail(&err);
	}
	if (pid == 0) {
		close(pair[0]);
		setsid();
		let_go();
		_exit(serve(o, pair[1]));
	}
	close(pair[1]);
	n = fd_read_full(pair[0], err.text, sizeof(err.text) - 1);
	if (n == 1)
		return 0;
	if (n <= 0)
		error_set(&err, EIO, "the supervisor of zone '%s' ended early",
		    o->conf.zone);
	return fail(&err);
}

int
main(int argc, char **argv)
{
	struct options o = { .conf = { .root = "",
				 .brands = getenv("ZHYVE_BRANDS") } };
	struct error err = ERROR_INIT;
	const char *root = NULL;
	int c;

	/* what the caller had open is none of ours */
	close_range(3, ~0U, 0);
	while ((c = getopt(argc, argv, "fFnz:R:")) != -1) {
		if (c == 'z')
			o.conf.zone = optarg;
		else if (c == 'R')
			root = optarg;
		else if (c == 'f')
			o.foreground = true;
		else if (c == 'n')
			return print_matrix();
#ifdef ZHYVE_FAULTS
		else if (c == 'F')
			return print_faults();
#endif
		else
			return usage();
	}
	if (o.conf.zone == NULL || optind != argc)
		return usage();
	o.conf.root = o.root;
	if (zone_name_check(o.conf.zone, &err) < 0 ||
	    find_programs(&o, &err) < 0 || set_brands(&o, &err) < 0 ||
	    (root != NULL && root[0] != '\0' && set_root(&o, root, &err) < 0))
		return fail(&err);
	/* a real-time shell is no reason for real-time zones */
	(void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	umask(077);
	return o.foreground ? serve(&o, -1) : background(&o);
}
