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
#include "daemon.h"
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
	rc = buf_print(&b, stdout) == 0 ? 0 : 1;
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

/* For daemon_start(). */
static int
serve(void *arg, int report)
{
	const struct options *o = arg;
	struct error err = ERROR_INIT;
	struct sup *sup = NULL;
	int rc;

	rc = sup_start(&o->conf, &sup, &err);
	daemon_report(report, rc < 0 ? &err : NULL);
	if (rc != 0)
		return rc < 0 ? (report >= 0 ? 1 : fail(&err)) : 0;
	rc = sup_run(sup, &err);
	sup_free(sup);
	return rc < 0 ? 1 : 0;
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
	    (root != NULL && root[0] != '\0' &&
		daemon_root(root, o.root, &err) < 0))
		return fail(&err);
	/* a real-time shell is no reason for real-time zones */
	(void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	umask(077);
	if (o.foreground)
		return serve(&o, -1);
	return daemon_start(serve, &o, &err) < 0 ? fail(&err) : 0;
}
