/*
 * What a zone's link is to be: the "link" list of docs/network.md, read and
 * checked once.
 */
#ifndef LINK_SPEC_H
#define LINK_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/nvlist.h"
#include "link/guard_words.h" /* modes, limits */

#define LINK_NAME_MAX 15 /* IFNAMSIZ - 1 */
#define LINK_QUEUES_MAX 16

struct link_prefix {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t prefix; /* bits */
	uint8_t addr[16];
};
struct link_cid {
	uint8_t len, bytes[LINK_CID_MAX];
};
struct link_ports {
	uint16_t first, last;
};

struct link_spec {
	char name[LINK_NAME_MAX + 1]; /* of the host's interface */
	char zone[65], net[65], tag[65]; /* tag "": none */
	uint8_t mac[6];
	unsigned vlan, mtu, queues;
	unsigned protect, dynamic; /* bits */
	struct link_prefix allowed[LINK_ALLOWED_MAX];
	size_t nallowed;
	bool any_cid;
	struct link_cid cids[LINK_CIDS_MAX];
	size_t ncids;
	struct link_ports ports[LINK_PORTS_MAX];
	size_t nports;
	uint64_t maxbw;
	/* of the bridge, not said by anybody: it can tag what is in 'vlan' */
	bool bridge_tags;
};

/*
 * did: the zone's number, for the name. Errors name net and field; a field
 * that is not known is one.
 */
int link_spec_read(const struct nvlist *link, uint64_t did,
    struct link_spec *ret, struct error *err);

/*
 * The nth name to try: z<did>_<net> where that fits and is free, else one of
 * root, zone and net, hashed. Other roots of this host may have zones of that
 * number; whoever makes the interface takes the first name that is free, and
 * has it recorded.
 */
#define LINK_NAME_ATTEMPTS 8
void link_name(const char *root, const struct link_spec *spec, uint64_t did,
    unsigned attempt, char ret[LINK_NAME_MAX + 1]);

#endif
