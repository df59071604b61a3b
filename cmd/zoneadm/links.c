/*
 * zoneadm links, zoneadm apply: the links of a zone that runs, and the
 * protection that its stored configuration wants.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "zone/diff.h"
#include "zone/nic.h"
#include "zone/verify.h"
#include "zoneadm.h"

#define TEXT_MAX (1U << 20)

/* ---- links ---- */

static uint64_t
number(const struct nvlist *nvl, const char *name)
{
	uint64_t v = 0;

	(void)nvlist_get_u64(nvl, name, &v);
	return v;
}

/*
 * "mac=3,arp=1" behind a head; without 'all' those that count something, or
 * nothing.
 */
static void
put_counts(struct buf *b, const char *head, const struct nvlist *stat,
    const char *list, bool all)
{
	const struct nvlist *nvl = NULL;
	const struct nvpair *p = NULL;
	const char *comma = head;
	uint64_t v;

	if (nvlist_get_list(stat, list, &nvl) < 0)
		return;
	while ((p = nvlist_next(nvl, p)) != NULL) {
		v = 0;
		(void)nvpair_get_u64(p, &v);
		if (v == 0 && !all)
			continue;
		buf_printf(b, "%s%s=%ju", comma, nvpair_name(p), (uintmax_t)v);
		comma = ",";
	}
}

static void
put_person(struct buf *b, const struct admin_link *k,
    const struct zone_nic *nic, const char *bridge, bool up)
{
	const struct nvlist *s = k->stat;

	buf_printf(b, "%-10s %-15s %-15s %4u %5ju %-5s %-17s %s\n", k->net,
	    k->name, bridge[0] != '\0' ? bridge : "-", nic->vlan,
	    (uintmax_t)number(s, "mtu"), up ? "up" : "down", nic->mac,
	    k->guard);
	buf_printf(b,
	    "           sent %ju packets, %ju bytes; received %ju packets, %ju "
	    "bytes",
	    (uintmax_t)number(s, "sent"), (uintmax_t)number(s, "sent_bytes"),
	    (uintmax_t)number(s, "received"),
	    (uintmax_t)number(s, "received_bytes"));
	put_counts(b, "\n           dropped ", s, "illumos", true);
	put_counts(b, "\n           because ", s, "drops", false);
	buf_put_u8(b, '\n');
}

/* A colon within a field is escaped, as dladm -p does it. */
static void
put_parseable(struct buf *b, const struct admin_link *k,
    const struct zone_nic *nic, const char *bridge, bool up)
{
	const struct nvlist *s = k->stat;

	buf_printf(b, "%s:%s:%s:%u:%ju:%s:", k->net, k->name, bridge, nic->vlan,
	    (uintmax_t)number(s, "mtu"), up ? "up" : "down");
	for (const char *p = nic->mac; *p != '\0'; p++)
		buf_printf(b, *p == ':' ? "\\:" : "%c", *p);
	buf_printf(b, ":%s:%ju:%ju:%ju:%ju:", k->guard,
	    (uintmax_t)number(s, "sent"), (uintmax_t)number(s, "sent_bytes"),
	    (uintmax_t)number(s, "received"),
	    (uintmax_t)number(s, "received_bytes"));
	put_counts(b, "", s, "illumos", true);
	buf_put_u8(b, ':');
	put_counts(b, "", s, "drops", true);
	buf_put_u8(b, '\n');
}

static int
put_links(
    struct buf *b, const struct admin_links *l, bool parse, struct error *err)
{
	const struct zone_res *res;
	struct zone_nic nic;
	int rc = 0;

	if (!parse)
		buf_printf(b, "%-10s %-15s %-15s %4s %5s %-5s %-17s %s\n",
		    "NET", "LINK", "BRIDGE", "VLAN", "MTU", "STATE", "MAC",
		    "GUARD");
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		const struct admin_link *k = &l->v[i];
		const char *bridge = "";
		bool up = false;

		res = admin_net_find(l->conf, k->net);
		if (k->stat == NULL || res == NULL)
			continue;
		rc = zone_nic_read(res, &nic, err);
		if (rc < 0)
			break;
		if (nic.mac == NULL)
			nic.mac = "";
		(void)nvlist_get_str(k->stat, "bridge", &bridge);
		(void)nvlist_get_bool(k->stat, "up", &up);
		(parse ? put_parseable : put_person)(b, k, &nic, bridge, up);
	}
	return rc;
}

static int
want_links(
    struct admin_links *l, const char *zone, const char *net, struct error *err)
{
	bool any = false;

	for (size_t i = 0; i < l->n; i++) {
		l->v[i].wanted = net == NULL || strcmp(l->v[i].net, net) == 0;
		any = any || l->v[i].wanted;
	}
	return any || net == NULL
	    ? 0
	    : error_set(err, ENOENT, "zone '%s' runs without a net '%.64s'",
		  zone, net);
}

int
cmd_links(struct command *c)
{
	struct admin_links l = { NULL };
	struct error err = ERROR_INIT;
	const char *net;
	bool parse = false;
	struct buf b;
	int opt, rc, status;

	while ((opt = getopt(c->argc, c->argv, "+p")) != -1) {
		if (opt != 'p')
			return usage(c, NULL);
		parse = true;
	}
	net = optind < c->argc ? c->argv[optind++] : NULL;
	if (optind != c->argc)
		return usage(c, "takes one net");
	buf_init(&b, TEXT_MAX);
	rc = admin_links_load(c->admin, c->zone, &l, &err);
	if (rc == 0)
		rc = want_links(&l, c->zone, net, &err);
	/* one that cannot be looked at hides none of the others */
	if (rc == 0) {
		rc = admin_links_ask(c->admin, c->zone, "stat", &l, &err);
		if (put_links(&b, &l, parse, rc == 0 ? &err : NULL) < 0)
			rc = -EINVAL;
	}
	status = print(c, &b);
	if (rc < 0)
		status = failed(c, &err);
	admin_links_free(&l);
	buf_fini(&b);
	return status;
}

/* ---- apply ---- */

struct applying {
	const struct admin_links *links;
	struct buf live, later; /* lines */
};

/* Properties of a net that the guard alone looks at. */
static bool
is_live(const char *prop)
{
	static const char *const names[] = { "allow-mac-spoofing",
		"allow-ip-spoofing", "allow-dhcp-spoofing",
		"allow-restricted-traffic", "strict", "ips", "allowed-address",
		"allowed-ips", "allowed-dhcp-cids", "blocked-outgoing-ports",
		"maxbw" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], prop) == 0)
			return true;
	return false;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A list of pairs with names of SmartOS: what do they change? */
static bool
pairs_live(const struct zone_res *was, const struct zone_res *is)
{
	static const char *const fixed[] = { "model", "pci-slot" };
	struct zone_nic a, b;

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (!same_text(zone_res_lookup(was, fixed[i]),
			zone_res_lookup(is, fixed[i])))
			return false;
	return zone_nic_read(was, &a, NULL) == 0 &&
	    zone_nic_read(is, &b, NULL) == 0 && same_text(a.tag, b.tag) &&
	    same_text(a.mac, b.mac) && a.vlan == b.vlan && a.mtu == b.mtu &&
	    a.primary == b.primary && a.slirp == b.slirp;
}

/* A user-mode network, for one, has no guard. */
static bool
has_link(const struct admin_links *l, const struct zone_res *net)
{
	const char *name = zone_res_get(net, "physical");

	for (size_t i = 0; name != NULL && i < l->n; i++)
		if (strcmp(l->v[i].net, name) == 0)
			return true;
	return false;
}

static void
on_diff(void *arg, const struct zone_diff *d)
{
	/* read when they are needed, whatever runs */
	static const char *const whenever[] = { "autoboot", "debugid", "uuid" };
	const char *type = zone_res_type(d->is != NULL ? d->is : d->was)->name;
	struct applying *ap = arg;
	char text[300];
	bool live = false;

	for (size_t i = 0; d->prop != NULL && i < ARRAY_LEN(whenever); i++)
		if (strcmp(d->prop->name, whenever[i]) == 0)
			return;
	if (d->prop != NULL && strcmp(type, "net") == 0 &&
	    has_link(ap->links, d->was))
		live = is_live(d->prop->name) ||
		    (strcmp(d->prop->name, "property") == 0 &&
			pairs_live(d->was, d->is));
	zone_diff_text(d, text, sizeof(text));
	buf_printf(live ? &ap->live : &ap->later, "%s\n", text);
}

static int
print_lines(struct buf *b, const char *what)
{
	const char *text = buf_str(b);
	size_t n;

	for (; text != NULL && *text != '\0'; text += n + 1) {
		n = strcspn(text, "\n");
		if (printf("%s: %.*s\n", what, (int)n, text) < 0)
			return EXIT_FAILED;
	}
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

static int
apply(struct command *c, bool only_show, struct error *err)
{
	struct admin_links l = { NULL };
	struct zone_conf *stored = NULL;
	struct applying ap;
	int rc;

	ap.links = &l;
	buf_init(&ap.live, TEXT_MAX);
	buf_init(&ap.later, TEXT_MAX);
	rc = admin_links_load(c->admin, c->zone, &l, err);
	if (rc == 0)
		rc = zone_store_load(
		    c->admin->store, c->zone, false, &stored, NULL, err);
	if (rc == 0) {
		zone_conf_diff(l.conf, stored, on_diff, &ap);
		if (!only_show)
			rc = admin_links_apply(
			    c->admin, c->zone, &l, stored, err);
	}
	if (rc == 0 &&
	    (print_lines(&ap.live, only_show ? "to apply" : "applied") != 0 ||
		print_lines(&ap.later, "needs a reboot") != 0))
		rc = error_set(err, EIO, "cannot write to standard output");
	zone_conf_free(stored);
	admin_links_free(&l);
	buf_fini(&ap.live);
	buf_fini(&ap.later);
	return rc;
}

int
cmd_apply(struct command *c)
{
	struct error err = ERROR_INIT;
	bool only_show = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+n")) != -1) {
		if (opt != 'n')
			return usage(c, NULL);
		only_show = true;
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	return apply(c, only_show, &err) < 0 ? failed(c, &err) : EXIT_OK;
}
