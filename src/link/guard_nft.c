/*
 * No nftables yet: said as what it is.
 */
#include "link/guard_nft.h"

#include <errno.h>

static int
unsupported(const char *ifname, struct error *err)
{
	return error_set(err, EOPNOTSUPP,
	    "%s: no guard by nftables in this version; the BPF programs need "
	    "CAP_BPF and CAP_NET_ADMIN, and a kernel with cls_bpf",
	    ifname);
}

int
guard_nft_attach(const struct link_spec *spec, struct error *err)
{
	return unsupported(spec->name, err);
}

int
guard_nft_update(const struct link_spec *spec, struct error *err)
{
	return unsupported(spec->name, err);
}

int
guard_nft_counters(
    const char *ifname, struct link_counters *ret, struct error *err)
{
	return unsupported(ifname, err);
}

int
guard_nft_remove(const char *ifname, struct error *err)
{
	return 0;
}
