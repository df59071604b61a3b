/*
 * A link's specification in the form that the guard's program compares with:
 * addresses as numbers under masks, ids padded to whole words.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "link/guard_impl.h"

/* A limit lets this much time be sold ahead, and never less than... */
#define BURST_NS UINT64_C(20000000)
/* ...some whole offloaded frames, which pass or fall as one. */
#define BURST_BYTES UINT64_C(262144)

static uint64_t
be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t
mask64(unsigned bits)
{
	return bits == 0 ? 0
	    : bits >= 64 ? ~UINT64_C(0)
			 : ~(~UINT64_C(0) >> bits);
}

static int
add_prefix(
    struct guard_config *c, const struct link_prefix *p, struct error *err)
{
	if (p->family == AF_INET && p->prefix <= 32)
		c->v4[c->n4++] = (struct guard_net4){
			.addr = (uint32_t)(be64(p->addr) >> 32),
			.mask = (uint32_t)(mask64(p->prefix) >> 32),
		};
	else if (p->family == AF_INET6 && p->prefix <= 128)
		c->v6[c->n6++] = (struct guard_net6){
			.addr = { be64(p->addr), be64(p->addr + 8) },
			.mask = { mask64(p->prefix),
			    mask64(p->prefix > 64 ? p->prefix - 64u : 0) },
		};
	else
		return error_set(err, EINVAL,
		    "allowed address of family %u with a prefix of %u bits: "
		    "give ADDRESS/PREFIX of IPv4 (0 to 32) or IPv6 (0 to 128)",
		    p->family, p->prefix);
	return 0;
}

/* fe80::/64 and the modified EUI-64 (RFC 4291 appendix A). */
static struct guard_addr6
linklocal(const uint8_t mac[6])
{
	const uint8_t id[8] = { mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3],
		mac[4], mac[5] };

	return (struct guard_addr6){ UINT64_C(0xfe80) << 48, be64(id) };
}

static uint64_t
burst(uint64_t maxbw)
{
	/* up to 2^21 bits: no overflow */
	uint64_t frames =
	    maxbw != 0 ? BURST_BYTES * 8 * UINT64_C(1000000000) / maxbw : 0;

	return MAX(frames, BURST_NS);
}

int
guard_config_make(
    const struct link_spec *spec, struct guard_config *ret, struct error *err)
{
	struct guard_config *c = ret;

	if (spec->nallowed > LINK_ALLOWED_MAX || spec->ncids > LINK_CIDS_MAX ||
	    spec->nports > LINK_PORTS_MAX)
		return error_set(err, EINVAL,
		    "%s: %zu allowed addresses, %zu client ids, %zu blocked "
		    "ports; at most %d, %d, %d can be",
		    spec->name, spec->nallowed, spec->ncids, spec->nports,
		    LINK_ALLOWED_MAX, LINK_CIDS_MAX, LINK_PORTS_MAX);
	if (spec->vlan > 4094)
		return error_set(err, EINVAL,
		    "%s: vlan %u, 1 to 4094 can be, or 0 for none", spec->name,
		    spec->vlan);
	memset(c, 0, sizeof(*c));
	c->version = GUARD_CONFIG_VERSION;
	c->protect = spec->protect;
	c->dynamic = spec->dynamic;
	memcpy(c->mac, spec->mac, 6);
	c->vlan = (uint16_t)spec->vlan;
	c->maxbw = spec->maxbw;
	c->burst = burst(spec->maxbw);
	c->linklocal = linklocal(spec->mac);
	for (size_t i = 0; i < spec->nallowed; i++)
		if (add_prefix(c, &spec->allowed[i], err) < 0)
			return error_prefix(err, "%s", spec->name);
	c->nports = (uint32_t)spec->nports;
	for (size_t i = 0; i < spec->nports; i++)
		c->ports[i] = (struct guard_ports){ spec->ports[i].first,
			spec->ports[i].last };
	c->any_cid = spec->any_cid;
	c->ncids = (uint32_t)spec->ncids;
	for (size_t i = 0; i < spec->ncids; i++) {
		c->cids[i].len = spec->cids[i].len;
		memcpy(
		    c->cids[i].chunk, spec->cids[i].bytes, spec->cids[i].len);
	}
	return 0;
}
