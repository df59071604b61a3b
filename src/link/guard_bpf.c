/*
 * The guard by BPF: libbpf loads the pair of programs and puts them into the
 * interface's clsact hooks. Nothing is pinned; a link that runs is reached from
 * its filter: that names the program, and the program its maps.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/fd.h"
#include "base/str.h"
#include "link/guard_impl.h"

#define MAPS_MAX 16 /* of a program */

/* Ours is the only filter. */
#define FILTER_HANDLE 1
#define FILTER_PRIORITY 1

static const struct hook {
	enum bpf_tc_attach_point point;
	const char *prog;
} hooks[] = {
	{ BPF_TC_INGRESS, "guard_from" },
	{ BPF_TC_EGRESS, "guard_to" },
};

static int
quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static int
interface(const char *ifname, int *ret, struct error *err)
{
	*ret = (int)if_nametoindex(ifname);
	return *ret != 0
	    ? 0
	    : error_set(err, ENODEV, "there is no interface %s", ifname);
}

static int
check_down(const char *ifname, struct error *err)
{
	cleanup_close int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	int rc = str_format(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);

	if (rc < 0)
		return error_set(err, -rc, "'%s' is no interface name", ifname);
	if (sock == -1 || ioctl(sock, SIOCGIFFLAGS, &ifr) == -1)
		return error_sys(err, errno, "%s", ifname);
	if (ifr.ifr_flags & IFF_UP)
		return error_set(err, EBUSY,
		    "%s is up: a guard is attached before anything can pass",
		    ifname);
	return 0;
}

/* --- configuration */

/* A map of one element with this configuration. */
static int
config_map(const struct link_spec *spec, struct error *err)
{
	struct guard_config cfg;
	uint32_t zero = 0;
	int fd, rc;

	rc = guard_config_make(spec, &cfg, err);
	if (rc < 0)
		return rc;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "guard_config_in", sizeof(zero),
	    sizeof(cfg), 1, NULL);
	if (fd < 0)
		return error_sys(err, -fd, "%s: map of the guard", spec->name);
	rc = bpf_map_update_elem(fd, &zero, &cfg, BPF_ANY);
	if (rc < 0) {
		close(fd);
		return error_sys(err, -rc, "%s: map of the guard", spec->name);
	}
	return fd;
}

/* The kernel returns when every program that saw the last one has ended. */
static int
publish(const struct link_spec *spec, int outer, struct error *err)
{
	cleanup_close int inner = config_map(spec, err);
	uint32_t zero = 0;
	int rc;

	if (inner < 0)
		return inner;
	rc = bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);
	if (rc == -EINVAL)
		return error_set(err, EPROTO,
		    "%s: its guard was attached by another version; what "
		    "changed is used when the zone boots again",
		    spec->name);
	return rc == 0
	    ? 0
	    : error_sys(err, -rc, "%s: configuration of the guard", spec->name);
}

/* --- attach */

static int
load(struct bpf_object **ret, struct error *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "guard");
	struct bpf_object *obj;
	int rc;

	libbpf_set_print(quiet);
	obj = bpf_object__open_mem(guard_object, guard_object_size, &opts);
	if (obj == NULL)
		return error_sys(err, errno, "program of the guard");
	rc = bpf_object__load(obj);
	if (rc < 0) {
		bpf_object__close(obj);
		return error_sys(
		    err, -rc, "the kernel did not take the guard's program");
	}
	*ret = obj;
	return 0;
}

static int
attach_filters(const struct bpf_object *obj, int ifindex, const char *name,
    struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = hooks[i].point);
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
		    .priority = FILTER_PRIORITY);
		const struct bpf_program *p =
		    bpf_object__find_program_by_name(obj, hooks[i].prog);
		int rc;

		opts.prog_fd = p != NULL ? bpf_program__fd(p) : -1;
		rc = bpf_tc_attach(&hook, &opts);
		if (rc < 0)
			return error_sys(
			    err, -rc, "%s: filter %s", name, hooks[i].prog);
	}
	return 0;
}

static int
attach_object(const struct bpf_object *obj, const struct link_spec *spec,
    int ifindex, struct error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
	    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int rc = publish(
	    spec, bpf_object__find_map_fd_by_name(obj, "guard_config"), err);

	if (rc < 0)
		return rc;
	rc = bpf_tc_hook_create(&hook);
	if (rc == -EEXIST)
		return error_set(err, EEXIST,
		    "%s has filters already: not an interface of ours",
		    spec->name);
	if (rc < 0)
		return error_sys(err, -rc, "%s: clsact", spec->name);
	rc = attach_filters(obj, ifindex, spec->name, err);
	if (rc < 0)
		bpf_tc_hook_destroy(&hook);
	return rc;
}

int
guard_bpf_attach(const struct link_spec *spec, struct error *err)
{
	struct bpf_object *obj = NULL;
	int ifindex, rc;

	rc = interface(spec->name, &ifindex, err);
	if (rc == 0)
		rc = check_down(spec->name, err);
	if (rc == 0)
		rc = load(&obj, err);
	if (rc < 0)
		return rc;
	rc = attach_object(obj, spec, ifindex, err);
	bpf_object__close(obj);
	return rc;
}

/* --- a link that runs */

/* Descriptor of its program, -ENOENT (without a text) when it has none. */
static int
program(const char *ifname, struct error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
	    .priority = FILTER_PRIORITY);
	struct bpf_prog_info info = { 0 };
	unsigned len = sizeof(info);
	int rc, fd;

	rc = interface(ifname, &hook.ifindex, err);
	if (rc < 0)
		return rc;
	libbpf_set_print(quiet);
	rc = bpf_tc_query(&hook, &opts);
	if (rc == -ENOENT || rc == -EINVAL)
		return -ENOENT;
	if (rc < 0)
		return error_sys(err, -rc, "%s: filters", ifname);
	fd = bpf_prog_get_fd_by_id(opts.prog_id);
	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return error_sys(err, -fd, "%s: program of the guard", ifname);
	rc = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (rc == 0 && strcmp(info.name, hooks[0].prog) == 0)
		return fd;
	close(fd);
	return -ENOENT;
}

/* Those maps of a program that have a name in the list, -1 for the others. */
static int
maps_of(int prog, const char *const *names, int *fds, size_t n)
{
	uint32_t ids[MAPS_MAX];
	struct bpf_prog_info info = {
		.map_ids = (uintptr_t)ids,
		.nr_map_ids = MAPS_MAX,
	};
	unsigned len = sizeof(info);
	int rc = bpf_obj_get_info_by_fd(prog, &info, &len);

	for (unsigned i = 0;
	     rc == 0 && i < MIN(info.nr_map_ids, (unsigned)MAPS_MAX); i++) {
		struct bpf_map_info map = { 0 };
		int fd = bpf_map_get_fd_by_id(ids[i]);

		len = sizeof(map);
		if (fd < 0)
			return fd;
		rc = bpf_obj_get_info_by_fd(fd, &map, &len);
		for (size_t k = 0; rc == 0 && fd >= 0 && k < n; k++)
			if (fds[k] == -1 && strcmp(map.name, names[k]) == 0) {
				fds[k] = fd;
				fd = -1;
			}
		fd_close(&fd);
	}
	return rc;
}

/* All of them, or an error and none. */
static int
maps(const char *ifname, const char *const *names, int *fds, size_t n,
    struct error *err)
{
	cleanup_close int prog = program(ifname, err);
	int rc;

	if (prog == -ENOENT)
		return error_set(err, ENOENT, "%s has no guard by BPF", ifname);
	if (prog < 0)
		return prog;
	for (size_t k = 0; k < n; k++)
		fds[k] = -1;
	rc = maps_of(prog, names, fds, n);
	for (size_t k = 0; rc == 0 && k < n; k++)
		if (fds[k] == -1)
			rc = -ENOENT;
	if (rc == 0)
		return 0;
	for (size_t k = 0; k < n; k++)
		fd_close(&fds[k]);
	return error_sys(err, -rc, "%s: maps of the guard", ifname);
}

int
guard_bpf_has(const char *ifname, struct error *err)
{
	int fd = program(ifname, err);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	close(fd);
	return 1;
}

int
guard_bpf_update(const struct link_spec *spec, struct error *err)
{
	static const char *const names[] = { "guard_config" };
	int fds[1], rc;

	rc = maps(spec->name, names, fds, 1, err);
	if (rc < 0)
		return rc;
	rc = publish(spec, fds[0], err);
	close(fds[0]);
	return rc;
}

int
guard_bpf_counters(
    const char *ifname, struct link_counters *ret, struct error *err)
{
	static const char *const names[] = { "guard_counts" };
	int fds[1], rc;

	rc = maps(ifname, names, fds, 1, err);
	if (rc < 0)
		return rc;
	rc = link_guard_read(fds[0], ret);
	close(fds[0]);
	return rc == 0 ? 0 : error_sys(err, -rc, "%s: counters", ifname);
}

int
guard_bpf_watch(
    const char *ifname, int *ret_ring, int *ret_counters, struct error *err)
{
	static const char *const names[] = { "guard_events", "guard_counts" };
	int fds[2], rc;

	rc = maps(ifname, names, fds, 2, err);
	if (rc < 0)
		return rc;
	*ret_ring = fds[0];
	*ret_counters = fds[1];
	return 0;
}
