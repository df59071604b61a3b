/*
 * The guard by BPF: libbpf loads the pair of programs, which go into clsact's
 * hooks at once, and later into the interface's own (tcx, Linux 6.6), which
 * cost less for each frame, but where each takes an RCU grace period to attach.
 * Nothing is pinned and nothing is a link: either way they stay until the
 * interface goes, whoever ends before. A link that runs is reached from there:
 * the hook names the program, the program its maps.
 */
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* Linux: include/uapi/linux/bpf.h of 6.6 */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

static const struct hook {
	enum bpf_tc_attach_point point;
	uint32_t tcx;
	const char *prog;
} hooks[] = {
	{ BPF_TC_INGRESS, TCX_INGRESS, "guard_from" },
	{ BPF_TC_EGRESS, TCX_EGRESS, "guard_to" },
};

#define HOOKS ARRAY_LEN(hooks)

bool guard_bpf_no_clsact;

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

/* The program that has this slot reads configurations as ours. */
static bool
same_version(int outer)
{
	cleanup_close int inner = -1;
	struct guard_config cfg;
	struct bpf_map_info info = { 0 };
	unsigned len = sizeof(info);
	uint32_t zero = 0, id;

	if (bpf_map_lookup_elem(outer, &zero, &id) < 0)
		return true; /* none yet */
	inner = bpf_map_get_fd_by_id(id);
	return inner >= 0 && bpf_obj_get_info_by_fd(inner, &info, &len) == 0 &&
	    info.value_size == sizeof(cfg) &&
	    bpf_map_lookup_elem(inner, &zero, &cfg) == 0 &&
	    cfg.version == GUARD_CONFIG_VERSION;
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
	if (!same_version(outer))
		return error_set(err, EPROTO,
		    "%s: its guard was attached by another version; what "
		    "changed is used when the zone boots again",
		    spec->name);
	rc = bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);
	return rc == 0
	    ? 0
	    : error_sys(err, -rc, "%s: configuration of the guard", spec->name);
}

/* --- attach */

static int
load(int outer, struct bpf_object **ret, struct error *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "guard");
	struct bpf_object *obj;
	int rc;

	libbpf_set_print(quiet);
	obj = bpf_object__open_mem(guard_object, guard_object_size, &opts);
	if (obj == NULL)
		return error_sys(err, errno, "program of the guard");
	rc = bpf_map__reuse_fd(
	    bpf_object__find_map_by_name(obj, "guard_config"), outer);
	if (rc == 0)
		rc = bpf_object__load(obj);
	if (rc < 0) {
		bpf_object__close(obj);
		/* its verifier's reasons are many, ours to go on but one */
		return error_set(err,
		    rc == -EPERM || rc == -ENOMEM ? -rc : EOPNOTSUPP,
		    "the kernel did not take the guard's program: %s",
		    strerror(-rc));
	}
	*ret = obj;
	return 0;
}

/* The first configuration: nobody waits for it, but for the kernel to say so.
 */
struct first {
	int inner, outer, rc;
};

static void *
put_first(void *arg)
{
	struct first *f = arg;
	uint32_t zero = 0;

	f->rc = bpf_map_update_elem(f->outer, &zero, &f->inner, BPF_ANY);
	return NULL;
}

/* The verifier works meanwhile. */
static int
load_configured(
    const struct link_spec *spec, struct bpf_object **ret, struct error *err)
{
	cleanup_close int inner = config_map(spec, err), outer = -1;
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (uint32_t)inner);
	struct first first;
	pthread_t thread;
	bool apart;
	int rc;

	if (inner < 0)
		return inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "guard_config",
	    sizeof(uint32_t), sizeof(uint32_t), 1, &opts);
	if (outer < 0)
		return error_sys(
		    err, -outer, "%s: map of the guard", spec->name);
	first = (struct first){ inner, outer, 0 };
	apart = pthread_create(&thread, NULL, put_first, &first) == 0;
	if (!apart)
		put_first(&first);
	rc = load(outer, ret, err);
	if (apart)
		pthread_join(thread, NULL);
	if (rc == 0 && first.rc < 0) {
		bpf_object__close(*ret);
		rc = error_sys(err, -first.rc, "%s: configuration of the guard",
		    spec->name);
	}
	return rc;
}

static int
bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr)) == -1 ? -errno : 0;
}

/* Ids of the programs there, at most one; or an error: no such hooks. */
static int
tcx_query(int ifindex, uint32_t hook, uint32_t *ret_id)
{
	uint32_t ids[4] = { 0 };
	union bpf_attr attr;
	int rc;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)ifindex;
	attr.query.attach_type = hook;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = ARRAY_LEN(ids);
	rc = bpf(BPF_PROG_QUERY, &attr);
	if (rc < 0 && rc != -ENOSPC)
		return rc;
	*ret_id = ids[0];
	return attr.query.prog_cnt != 0;
}

static int
tcx_change(int cmd, int ifindex, const struct hook *hook, int prog)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)ifindex;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = hook->tcx;
	return bpf(cmd, &attr);
}

/* Both of them or none. */
static int
tcx_attach(const int progs[HOOKS], int ifindex)
{
	int rc = 0;

	for (size_t i = 0; i < HOOKS; i++) {
		rc = tcx_change(BPF_PROG_ATTACH, ifindex, &hooks[i], progs[i]);
		if (rc == 0)
			continue;
		while (i-- > 0)
			tcx_change(
			    BPF_PROG_DETACH, ifindex, &hooks[i], progs[i]);
		break;
	}
	return rc;
}

static int
has_others(const char *name, struct error *err)
{
	return error_set(err, EEXIST,
	    "%s has filters already: not an interface of ours", name);
}

static int
no_hooks(const char *name, struct error *err)
{
	return error_set(err, EOPNOTSUPP,
	    "%s: this kernel has no hooks for programs: neither tcx (Linux "
	    "6.6) nor clsact (modules sch_ingress and cls_bpf)",
	    name);
}

static int
clsact_attach(
    const int progs[HOOKS], int ifindex, const char *name, struct error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, all, .ifindex = ifindex,
	    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int rc = guard_bpf_no_clsact ? -ENOENT : bpf_tc_hook_create(&all);

	if (rc == -ENOENT)
		return no_hooks(name, err);
	if (rc == -EEXIST)
		return has_others(name, err);
	if (rc < 0)
		return error_sys(err, -rc, "%s: clsact", name);
	for (size_t i = 0; i < HOOKS; i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = hooks[i].point);
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
		    .priority = FILTER_PRIORITY, .prog_fd = progs[i]);

		rc = bpf_tc_attach(&hook, &opts);
		if (rc < 0) {
			bpf_tc_hook_destroy(&all);
			if (rc == -ENOENT)
				return no_hooks(name, err);
			return error_sys(
			    err, -rc, "%s: filter %s", name, hooks[i].prog);
		}
	}
	return 0;
}

static int
attach_object(const struct bpf_object *obj, const struct link_spec *spec,
    int ifindex, struct error *err)
{
	int progs[HOOKS], rc, tcx;
	uint32_t id;

	for (size_t i = 0; i < HOOKS; i++)
		progs[i] = bpf_program__fd(
		    bpf_object__find_program_by_name(obj, hooks[i].prog));
	tcx = tcx_query(ifindex, TCX_INGRESS, &id);
	if (tcx > 0)
		return has_others(spec->name, err);
	rc = clsact_attach(progs, ifindex, spec->name, err);
	if (rc != -EOPNOTSUPP || tcx < 0)
		return rc;
	rc = tcx_attach(progs, ifindex);
	return rc < 0 ? error_sys(err, -rc, "%s: tcx", spec->name) : 0;
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
		rc = load_configured(spec, &obj, err);
	if (rc < 0)
		return rc;
	rc = attach_object(obj, spec, ifindex, err);
	bpf_object__close(obj);
	return rc;
}

/* The program of that hook of clsact's. */
static int
clsact_program(int ifindex, const struct hook *hook)
{
	LIBBPF_OPTS(
	    bpf_tc_hook, tc, .ifindex = ifindex, .attach_point = hook->point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
	    .priority = FILTER_PRIORITY);
	int rc = bpf_tc_query(&tc, &opts);

	return rc < 0 ? rc : bpf_prog_get_fd_by_id(opts.prog_id);
}

/*
 * A frame that has been judged in tcx is not shown to clsact, so for a moment
 * it has both, and never none.
 */
void
guard_bpf_settle(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, all, .ifindex = ifindex,
	    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int progs[HOOKS], rc = 0;
	uint32_t id;

	libbpf_set_print(quiet);
	if (tcx_query(ifindex, TCX_INGRESS, &id) != 0)
		return;
	for (size_t i = 0; i < HOOKS; i++) {
		progs[i] = clsact_program(ifindex, &hooks[i]);
		rc |= progs[i] < 0;
	}
	if (rc == 0 && tcx_attach(progs, ifindex) == 0)
		bpf_tc_hook_destroy(&all);
	for (size_t i = 0; i < HOOKS; i++)
		fd_close(&progs[i]);
}

/* --- a link that runs */

/* Its id; -ENOENT (without a text): it has none. */
static int
program_id(const char *ifname, uint32_t *ret, struct error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE,
	    .priority = FILTER_PRIORITY);
	int rc = interface(ifname, &hook.ifindex, err);

	if (rc < 0)
		return rc;
	if (tcx_query(hook.ifindex, TCX_INGRESS, ret) > 0)
		return 0;
	libbpf_set_print(quiet);
	rc = bpf_tc_query(&hook, &opts);
	if (rc == -ENOENT || rc == -EINVAL)
		return -ENOENT;
	if (rc < 0)
		return error_sys(err, -rc, "%s: filters", ifname);
	*ret = opts.prog_id;
	return 0;
}

/* Descriptor of its program, or an error as above. */
static int
program(const char *ifname, struct error *err)
{
	struct bpf_prog_info info = { 0 };
	unsigned len = sizeof(info);
	uint32_t id = 0;
	int rc = program_id(ifname, &id, err), fd;

	if (rc < 0)
		return rc;
	fd = bpf_prog_get_fd_by_id(id);
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
guard_bpf_map(const char *ifname, const char *name, struct error *err)
{
	int fd, rc = maps(ifname, &name, &fd, 1, err);

	return rc < 0 ? rc : fd;
}

int
guard_bpf_update(const struct link_spec *spec, struct error *err)
{
	cleanup_close int fd = guard_bpf_map(spec->name, "guard_config", err);

	return fd < 0 ? fd : publish(spec, fd, err);
}

int
guard_bpf_counters(
    const char *ifname, struct link_counters *ret, struct error *err)
{
	cleanup_close int fd = guard_bpf_map(ifname, "guard_counts", err);
	int rc = fd < 0 ? fd : link_guard_read(fd, ret);

	return fd >= 0 && rc < 0 ? error_sys(err, -rc, "%s: counters", ifname)
				 : rc;
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
