/*
 * Which of its two implementations a link's guard has.
 */
#include "link/guard.h"

#include <errno.h>

#include "link/guard_impl.h"
#include "link/guard_nft.h"

/* The kernel, or whoever confines us, does not let BPF be used. */
static bool
refused(int rc)
{
	return rc == -EPERM || rc == -EACCES || rc == -ENOSYS ||
	    rc == -EOPNOTSUPP;
}

int
link_guard_attach(
    const struct link_spec *spec, enum link_guard_kind kind, struct error *err)
{
	int rc;

	if (kind == LINK_GUARD_NFT)
		return guard_nft_attach(spec, err);
	rc = guard_bpf_attach(spec, err);
	if (kind == LINK_GUARD_BPF || !refused(rc))
		return rc;
	return guard_nft_attach(spec, err);
}

void
link_guard_settle(int ifindex)
{
	guard_bpf_settle(ifindex);
}

int
link_guard_update(const struct link_spec *spec, struct error *err)
{
	int has = guard_bpf_has(spec->name, err);

	if (has < 0 && !refused(has))
		return has;
	return has == 1 ? guard_bpf_update(spec, err)
			: guard_nft_update(spec, err);
}

int
link_guard_counters(
    const char *ifname, struct link_counters *ret, struct error *err)
{
	int has = guard_bpf_has(ifname, err);

	if (has < 0 && !refused(has))
		return has;
	return has == 1 ? guard_bpf_counters(ifname, ret, err)
			: guard_nft_counters(ifname, ret, err);
}

int
link_guard_watch(
    const char *ifname, int *ret_ring, int *ret_counters, struct error *err)
{
	int has = guard_bpf_has(ifname, err);

	if (has < 0 && !refused(has))
		return has;
	if (has == 1)
		return guard_bpf_watch(ifname, ret_ring, ret_counters, err);
	return error_set(err, EOPNOTSUPP,
	    "%s: its guard does not say when it drops; read its counters",
	    ifname);
}

int
link_guard_learner(const char *ifname, pid_t *ret, struct error *err)
{
	int rc, has = guard_bpf_has(ifname, err);

	if (has < 0 && !refused(has))
		return has;
	if (has == 1)
		return 0;
	rc = guard_nft_learner(ifname, ret, err);
	return rc < 0 ? rc : 1;
}

int
link_guard_set_learner(const char *ifname, pid_t pid, struct error *err)
{
	return guard_nft_set_learner(ifname, pid, err);
}

bool
link_guard_learns(const struct link_spec *spec)
{
	return spec->dynamic != 0 && (spec->protect & LINK_PROTECT_IP) != 0;
}

int
link_guard_remove(const char *ifname, struct error *err)
{
	/* filters, programs and maps went with the interface */
	return guard_nft_remove(ifname, err);
}
