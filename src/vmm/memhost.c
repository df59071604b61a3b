/*
 * Guest memory is mapped without reserve, so the kernel says yes to anything
 * and the out-of-memory killer says no later, to the running guest. Hence this
 * check beforehand.
 */
#include "vmm/memhost.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/str.h"

/* Read a small file of the kernel's as text; false when there is none. */
static bool
read_text(const char *path, char *buf, size_t size)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return false;
	n = fd_read_full(fd, buf, size - 1);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* "Name:   123 kB" in meminfo or status, as bytes. */
static bool
find_kb(const char *text, const char *name, uint64_t *ret)
{
	const char *p = strstr(text, name);
	uint64_t kb;

	if (p == NULL || sscanf(p + strlen(name), ": %" SCNu64, &kb) != 1 ||
	    kb > UINT64_MAX / KiB)
		return false;
	*ret = kb * KiB;
	return true;
}

static uint64_t
sum_sat(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

static void
read_meminfo(struct mem_host *ret)
{
	char text[4096];

	ret->available = UINT64_MAX;
	ret->swap = 0;
	if (!read_text("/proc/meminfo", text, sizeof(text)))
		return;
	find_kb(text, "SwapFree", &ret->swap);
	if (find_kb(text, "MemAvailable", &ret->available))
		ret->available = sum_sat(ret->available, ret->swap);
}

static uint64_t
read_address_space(void)
{
	struct rlimit lim;
	char text[4096];
	uint64_t used;

	if (getrlimit(RLIMIT_AS, &lim) != 0 || lim.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	if (!read_text("/proc/self/status", text, sizeof(text)) ||
	    !find_kb(text, "VmSize", &used))
		used = 0;
	return lim.rlim_cur > used ? lim.rlim_cur - used : 0;
}

/* A file with one number; "max" and absence are no limit. */
static uint64_t
read_limit(const char *dir, const char *name)
{
	char path[4200], text[64];
	uint64_t v;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return UINT64_MAX;
	if (!read_text(path, text, sizeof(text)) ||
	    sscanf(text, "%" SCNu64, &v) != 1)
		return UINT64_MAX;
	return v;
}

/* Limit of one cgroup folder, either version: memory plus swap. */
static uint64_t
cgroup_dir_limit(const char *dir, bool v2, uint64_t swap)
{
	uint64_t mem, both;

	if (v2) {
		mem = read_limit(dir, "memory.max");
		both = read_limit(dir, "memory.swap.max");
		return sum_sat(mem, MIN(swap, both));
	}
	mem = sum_sat(read_limit(dir, "memory.limit_in_bytes"), swap);
	both = read_limit(dir, "memory.memsw.limit_in_bytes");
	return MIN(mem, both);
}

/* The lowest limit from our cgroup's folder up to the mount point. */
static uint64_t
cgroup_walk(char *dir, size_t mount_len, bool v2, uint64_t swap)
{
	uint64_t limit, least = UINT64_MAX;
	char *slash;

	for (;;) {
		limit = cgroup_dir_limit(dir, v2, swap);
		least = MIN(least, limit);
		slash = strrchr(dir, '/');
		if (slash == NULL || strlen(dir) <= mount_len)
			return least;
		*slash = '\0';
	}
}

/* Our path in the memory controller's hierarchy, from /proc/self/cgroup. */
static bool
cgroup_path(bool v2, char *buf, size_t size)
{
	char line[4096], *ctl, *path;
	bool found = false;
	FILE *f;

	f = fopen("/proc/self/cgroup", "re");
	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		ctl = strchr(line, ':');
		path = ctl != NULL ? strchr(ctl + 1, ':') : NULL;
		if (path == NULL)
			continue;
		*path++ = '\0';
		found = v2 ? ctl[1] == '\0' : strstr(ctl + 1, "memory") != NULL;
		if (found && str_format(buf, size, "%s", path) != 0)
			found = false;
	}
	fclose(f);
	return found;
}

/* One line of mountinfo: limit seen through it when it is such a mount. */
static uint64_t
cgroup_mount_limit(const char *line, uint64_t swap)
{
	char root[1024], mount[1024], type[64], super[512], path[4096];
	char dir[8192];
	const char *tail, *rel;
	bool v2;

	if (sscanf(line, "%*s %*s %*s %1023s %1023s", root, mount) != 2)
		return UINT64_MAX;
	tail = strstr(line, " - ");
	if (tail == NULL || sscanf(tail, " - %63s %*s %511s", type, super) != 2)
		return UINT64_MAX;
	v2 = strcmp(type, "cgroup2") == 0;
	if (!v2 && (strcmp(type, "cgroup") != 0 || !strstr(super, "memory")))
		return UINT64_MAX;
	if (!cgroup_path(v2, path, sizeof(path)))
		return UINT64_MAX;
	rel = path;
	if (strcmp(root, "/") != 0 && strncmp(path, root, strlen(root)) == 0)
		rel = path + strlen(root);
	if (strcmp(rel, "/") == 0)
		rel = "";
	if (str_format(dir, sizeof(dir), "%s%s", mount, rel) != 0)
		return UINT64_MAX;
	return cgroup_walk(dir, strlen(mount), v2, swap);
}

static uint64_t
read_cgroup(uint64_t swap)
{
	uint64_t limit, least = UINT64_MAX;
	char line[4096];
	FILE *f;

	f = fopen("/proc/self/mountinfo", "re");
	if (f == NULL)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), f) != NULL) {
		limit = cgroup_mount_limit(line, swap);
		least = MIN(least, limit);
	}
	fclose(f);
	return least;
}

static uint64_t
read_hugepages(uint64_t page_size)
{
	uint64_t nfree, reserved;
	char dir[128];

	if (page_size == 0)
		return UINT64_MAX;
	if (str_format(dir, sizeof(dir),
		"/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB",
		page_size / KiB) != 0)
		return UINT64_MAX;
	nfree = read_limit(dir, "free_hugepages");
	reserved = read_limit(dir, "resv_hugepages");
	if (nfree == UINT64_MAX || reserved == UINT64_MAX)
		return UINT64_MAX;
	nfree = nfree > reserved ? nfree - reserved : 0;
	return nfree > UINT64_MAX / page_size ? UINT64_MAX : nfree * page_size;
}

void
mem_host_read(struct mem_host *ret, uint64_t page_size)
{
	read_meminfo(ret);
	ret->cgroup = read_cgroup(ret->swap);
	ret->address_space = read_address_space();
	ret->hugepages = read_hugepages(page_size);
}

int
mem_host_check(const struct mem_host *host, const struct vm_mem_config *conf,
    struct error *err)
{
	const uint64_t mib = conf->size / MiB;

	if (conf->size > host->address_space)
		return error_set(err, ENOMEM,
		    "guest memory of %" PRIu64 " MiB exceeds the address space "
		    "limit, %" PRIu64 " MiB left: raise ulimit -v",
		    mib, host->address_space / MiB);
	if (conf->page_size != 0 && conf->size > host->hugepages)
		return error_set(err, ENOMEM,
		    "guest memory of %" PRIu64 " MiB needs %" PRIu64
		    " huge pages of %" PRIu64 " MiB, %" PRIu64
		    " are free: raise vm.nr_hugepages",
		    mib, conf->size / conf->page_size, conf->page_size / MiB,
		    host->hugepages / conf->page_size);
	if (conf->page_size != 0)
		return 0; /* set aside already, outside of the sums below */
	if (conf->size > host->cgroup)
		return error_set(err, ENOMEM,
		    "guest memory of %" PRIu64 " MiB exceeds the memory limit "
		    "of the control group, %" PRIu64 " MiB",
		    mib, host->cgroup / MiB);
	if (!conf->overcommit && conf->size > host->available)
		return error_set(err, ENOMEM,
		    "guest memory of %" PRIu64 " MiB exceeds what the host "
		    "has available, %" PRIu64 " MiB with swap",
		    mib, host->available / MiB);
	return 0;
}
