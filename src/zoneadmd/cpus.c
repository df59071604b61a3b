/*
 * dedicated-cpu: CPUs of the host that no other zone has dedicated to it. The
 * records of the zones say who has which; a lock makes choosing and recording
 * one step.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "zoneadmd/impl.h"

#define CPUS_LOCK "cpus.lock"

/* Take a list as "0,2,5", the form that is recorded, out of the set. */
static void
take_out(cpu_set_t *set, const char *list)
{
	while (*list != '\0') {
		char *end;
		unsigned long n = strtoul(list, &end, 10);

		if (end == list)
			return;
		if (n < CPU_SETSIZE)
			CPU_CLR(n, set);
		list = *end == ',' ? end + 1 : end;
	}
}

/* What the zones that live, or are being made, have already. */
static void
take_out_others(struct sup *sup, cpu_set_t *set)
{
	char path[ZONE_LIVE_PATH];
	const struct dirent *e;
	DIR *d;

	if (zone_live_path(sup->conf.root, NULL, path, sizeof(path)) < 0)
		return;
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		struct zone_live live;
		const char *cpus = "";

		if (e->d_name[0] == '.' ||
		    strcmp(e->d_name, sup->conf.zone) == 0 ||
		    zone_live_read(sup->conf.root, e->d_name, &live) < 0)
			continue;
		if ((live.alive || live.step[0] != '\0') &&
		    nvlist_get_str(live.record, "cpus", &cpus) == 0)
			take_out(set, cpus);
		zone_live_fini(&live);
	}
	if (d != NULL)
		closedir(d);
}

/* The last ones: the host's own work gathers on the first. */
static uint64_t
pick(const cpu_set_t *set, uint64_t max, char *buf, size_t size)
{
	uint64_t n = 0;
	size_t len = 0;

	buf[0] = '\0';
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && n < max; cpu--) {
		if (!CPU_ISSET(cpu, set) ||
		    str_format(buf + len, size - len, "%s%d", n > 0 ? "," : "",
			cpu) < 0)
			continue;
		len += strlen(buf + len);
		n++;
	}
	return n;
}

static int
choose(struct sup *sup, uint64_t min, uint64_t max, struct error *err)
{
	cpu_set_t set;
	uint64_t n;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return error_sys(err, errno, "dedicated-cpu");
	take_out_others(sup, &set);
	n = pick(&set, max, sup->cpus, sizeof(sup->cpus));
	if (n >= min)
		return sup_record(sup, err);
	sup->cpus[0] = '\0';
	return error_set(err, EBUSY,
	    "dedicated-cpu: %ju CPUs are wanted, and %ju are not dedicated to "
	    "other zones",
	    (uintmax_t)min, (uintmax_t)n);
}

int
sup_choose_cpus(struct sup *sup, struct error *err)
{
	const struct nvlist *limits = NULL;
	cleanup_close int lock = -1;
	uint64_t min = 0, max = 0;
	char path[ZONE_LIVE_PATH];
	int rc;

	sup->cpus[0] = '\0';
	if (nvlist_get_list(sup->snap, "limits", &limits) < 0 ||
	    nvlist_get_u64(limits, "cpus_min", &min) < 0 ||
	    nvlist_get_u64(limits, "cpus_max", &max) < 0)
		return 0;
	if (zone_live_path(sup->conf.root, CPUS_LOCK, path, sizeof(path)) < 0)
		return error_sys(err, ENAMETOOLONG, CPUS_LOCK);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return error_sys(err, errno, "%s", path);
	/* held for a moment only */
	while ((rc = fd_lock_ofd(lock, true)) == -EAGAIN)
		usleep(1000);
	return rc < 0 ? error_sys(err, -rc, "%s", path)
		      : choose(sup, min, max, err);
}
