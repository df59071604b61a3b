/*
 * The order is the point: queues, guard, attributes, bridge, up.
 * docs/network.md
 */
#include "link/make.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "link/fault.h"
#include "link/tap.h"

/* The kernel decides who has a name: no two that race get the same. */
static int
make_queues(
    const char *root, uint64_t did, struct link_made *m, struct error *err)
{
	struct link_spec *s = &m->spec;
	int rc = -EEXIST;

	for (unsigned i = 0; i < LINK_NAME_ATTEMPTS && rc == -EEXIST; i++) {
		link_name(root, s, did, i, s->name);
		rc = link_tap_queues(s->name, s->queues, m->queues, err);
	}
	return rc;
}

static int
attach_guard(struct link_made *m, enum link_guard_kind guard, struct error *err)
{
	int rc = link_guard_attach(&m->spec, guard, err);

	if (rc < 0)
		return rc;
	rc = link_guard_watch(m->spec.name, &m->ring, &m->counters, err);
	m->guard = rc == -EOPNOTSUPP ? LINK_GUARD_NFT : LINK_GUARD_BPF;
	return rc == -EOPNOTSUPP ? 0 : rc;
}

static int
find_bridge(struct link_net *net, const char *root, struct link_made *m,
    struct error *err)
{
	int rc;

	m->mtu = m->spec.mtu != 0 ? m->spec.mtu : 1500;
	if (m->spec.tag[0] == '\0')
		return 0;
	rc = link_net_bridge(net, root, m->spec.tag, m->bridge, &m->mtu, err);
	if (rc == 0 && m->spec.mtu > m->mtu)
		rc = error_set(err, EINVAL,
		    "mtu %u: global-nic %s has %u; give the tag more, or the "
		    "net less",
		    m->spec.mtu, m->spec.tag, m->mtu);
	if (rc == 0 && m->spec.vlan != 0)
		rc =
		    link_net_filters(net, m->bridge, &m->spec.bridge_tags, err);
	return rc;
}

static int
make(struct link_net *net, const char *root, uint64_t did,
    enum link_guard_kind guard, struct link_made *m, struct error *err)
{
	int rc;

	rc = find_bridge(net, root, m, err);
	if (rc == 0)
		rc = make_queues(root, did, m, err);
	if (rc < 0)
		return rc;
	link_fault(LINK_FAULT_QUEUES);
	rc = attach_guard(m, guard, err);
	link_fault(LINK_FAULT_GUARD);
	if (rc == 0)
		rc = link_net_attach(net, &m->spec,
		    m->bridge[0] != '\0' ? m->bridge : NULL, m->mtu,
		    m->guard == LINK_GUARD_NFT, err);
	link_fault(LINK_FAULT_ATTACH);
	if (rc < 0) {
		link_made_close(m);
		(void)link_guard_remove(m->spec.name, NULL);
	}
	return rc;
}

int
link_make(struct link_net *net, const char *root, uint64_t did,
    const struct nvlist *list, enum link_guard_kind guard,
    struct link_made *ret, struct error *err)
{
	struct link_made m = { .ring = -1, .counters = -1 };
	int rc;

	for (size_t i = 0; i < LINK_QUEUES_MAX; i++)
		m.queues[i] = -1;
	rc = link_spec_read(list, did, &m.spec, err);
	if (rc < 0)
		return rc;
	rc = make(net, root, did, guard, &m, err);
	if (rc < 0)
		return error_prefix(err, "net %s", m.spec.net);
	*ret = m;
	return 0;
}

void
link_made_close(struct link_made *made)
{
	for (size_t i = 0; i < LINK_QUEUES_MAX; i++)
		fd_close(&made->queues[i]);
	fd_close(&made->ring);
	fd_close(&made->counters);
}

int
link_clean(const char *root, uint64_t did, const char *zone, const char *net,
    const char *name, struct error *err)
{
	struct link_spec s = { .name = "" };
	int rc = 0;

	if (name[0] != '\0')
		return link_guard_remove(name, err);
	if (str_format(s.zone, sizeof(s.zone), "%s", zone) < 0 ||
	    str_format(s.net, sizeof(s.net), "%s", net) < 0)
		return error_set(err, EINVAL, "net %.64s: name too long", net);
	for (unsigned i = 0; i < LINK_NAME_ATTEMPTS && rc == 0; i++) {
		link_name(root, &s, did, i, s.name);
		if (if_nametoindex(s.name) == 0)
			rc = link_guard_remove(s.name, err);
	}
	return rc;
}
