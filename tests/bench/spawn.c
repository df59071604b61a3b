/*
 * How long a zone's walls take: spawn of /bin/true in the brand's mounts until
 * it is the program, and with its end and the removal of everything.
 *
 *	spawn [N]	mean and worst of N (200), microseconds
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "jail/jail.h"

static const struct jail_mount mounts[] = {
	{ JAIL_BIND, "/usr", "/usr", "ro,nodev,nosuid" },
	{ JAIL_BIND, "/lib", "/lib", "ro,nodev,nosuid" },
	{ JAIL_BIND, "/lib64", "/lib64", "ro,nodev,nosuid" },
	{ JAIL_TMPFS, NULL, "/var/run", "size=50m,mode=0700" },
	{ JAIL_DEVICE, "null", NULL, NULL },
	{ JAIL_DEVICE, "zero", NULL, NULL },
	{ JAIL_DEVICE, "random", NULL, NULL },
	{ JAIL_DEVICE, "urandom", NULL, NULL },
	{ JAIL_DEVICE, "kvm", NULL, NULL },
};

struct figure {
	double sum, most;
};

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
add(struct figure *f, double us)
{
	f->sum += us;
	f->most = MAX(f->most, us);
}

static int
once(const struct jail_plan *plan, struct figure *spawn, struct figure *whole,
    struct error *err)
{
	char *argv[] = { (char *)"true", NULL };
	const struct jail_program prog = {
		.exe = open("/bin/true", O_PATH | O_CLOEXEC),
		.argv = argv,
		.envp = argv + 1,
	};
	double start = now_us();
	struct jail *j = NULL;
	int r = jail_spawn(plan, &prog, &j, err), status;

	close(prog.exe);
	if (r < 0)
		return r;
	add(spawn, now_us() - start);
	if ((r = jail_wait(j, &status)) != 0 || status != 0)
		return error_set(err, 5, "the program failed");
	if ((r = jail_destroy(j, err)) != 0)
		return r;
	add(whole, now_us() - start);
	return 0;
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 200;
	struct figure spawn = { 0 }, whole = { 0 };
	struct error err = ERROR_INIT;
	struct jail_plan *plan = NULL;
	char name[40];
	struct jail_spec spec = {
		.name = name,
		.uid_base = 0x7c000000,
		.uid_count = 65536,
		.mounts = mounts,
		.nmounts = ARRAY_LEN(mounts),
		.limits = { 100, JAIL_UNLIMITED, 1 << 30, JAIL_UNLIMITED,
		    1 << 30, 2000, JAIL_UNLIMITED, JAIL_UNLIMITED, NULL },
		.nofile = 1024,
	};

	snprintf(name, sizeof(name), "bench-%d", (int)getpid());
	if (jail_plan_make(&spec, &plan, &err) != 0)
		goto fail;
	for (int i = 0; i < n; i++)
		if (once(plan, &spawn, &whole, &err) != 0)
			goto fail;
	jail_plan_free(plan);
	printf("spawn %.0f us mean, %.0f worst; with end and removal %.0f "
	       "mean, %.0f worst; %d zones\n",
	    spawn.sum / n, spawn.most, whole.sum / n, whole.most, n);
	return 0;
fail:
	fprintf(stderr, "spawn: %s\n", err.text);
	return 1;
}
