/*
 * Slots and Ethernet addresses: first what is said, then the lowest free
 * function of the device that is for such things.
 */
#include "zone/assign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/impl.h"

#define FUNCTIONS 8

struct assign {
	struct zone_conf *conf;
	const char *taken[256][32][FUNCTIONS]; /* by whom */
	bool changed;
	struct error *err;
};

bool
zone_res_flag(const struct zone_res *res, const char *prop)
{
	const char *v = zone_res_lookup(res, prop);
	bool on = false;

	return v != NULL && str_to_bool(v, &on) == 0 && on;
}

bool
zone_res_is_disk(const struct zone_res *res)
{
	const char *type = zone_res_type(res)->name;

	if (strcmp(type, "disk") == 0)
		return true;
	return strcmp(type, "device") == 0 &&
	    zone_res_pair(res, "model") != NULL;
}

const char *
zone_res_disk_path(const struct zone_res *res)
{
	return zone_res_get(res,
	    strcmp(zone_res_type(res)->name, "disk") == 0 ? "path" : "match");
}

const struct zone_res *
zone_conf_next_disk(const struct zone_conf *conf, size_t *at)
{
	size_t n = zone_conf_count(conf);

	for (size_t i = *at == ZONE_NEW ? 0 : *at + 1; i < n; i++)
		if (zone_res_is_disk(zone_conf_at(conf, i))) {
			*at = i;
			return zone_conf_at(conf, i);
		}
	return NULL;
}

int
zone_res_slot(const struct zone_res *res, struct zone_slot *ret)
{
	const char *text = zone_res_lookup(res, "pci-slot");

	return text != NULL ? zone_slot_parse(text, ret) : -ENOENT;
}

static bool
is_net(const struct zone_res *res)
{
	return strcmp(zone_res_type(res)->name, "net") == 0;
}

static const char *
name_of(const struct zone_res *res)
{
	return is_net(res) ? zone_res_get(res, "physical")
			   : zone_res_disk_path(res);
}

/* Put "disk /dev/x: " before what is wrong with it. */
static int
about(const struct assign *a, const struct zone_res *res)
{
	return error_prefix(
	    a->err, "%s %.160s", zone_res_type(res)->name, name_of(res));
}

static int
take(struct assign *a, const struct zone_res *res, const struct zone_slot *s)
{
	const char **by = &a->taken[s->bus][s->dev][s->func];

	if (*by != NULL) {
		error_set(a->err, EINVAL,
		    "slot %u:%u:%u is taken by %.160s; choose another pci-slot",
		    s->bus, s->dev, s->func, *by);
		return about(a, res);
	}
	*by = name_of(res);
	return 0;
}

/* Set a row of a disk or NIC; of a device, as a value in its list. */
static int
put(struct assign *a, size_t at, const char *prop, const char *text)
{
	struct zone_res *res = zone_res_dup(zone_conf_at(a->conf, at));
	struct zone_raw raw = { .text = text };
	const struct zone_prop *p;
	int rc;

	if (res == NULL)
		return error_sys(a->err, ENOMEM, "%s", prop);
	p = zone_prop_find(zone_res_type(res), prop);
	if (p != NULL) {
		rc = zone_res_set(res, p, &raw, 1, a->err);
	} else {
		raw.nfields = 2;
		raw.fields[0] = (struct zone_raw_field){ "name", "pci_slot" };
		raw.fields[1] = (struct zone_raw_field){ "value", text };
		p = zone_prop_row(zone_res_type(res), "property");
		rc = zone_res_add(res, p, &raw, a->err);
	}
	if (rc == 0)
		rc = zone_conf_put(a->conf, at, res, a->err);
	if (rc < 0) {
		zone_res_free(res);
		return rc;
	}
	a->changed = true;
	return 0;
}

/* ---- slots ---- */

/* What the machine has for itself. */
static void
reserve(struct assign *a)
{
	a->taken[0][ZONE_PCI_HOSTBRIDGE][0] = "the host bridge";
	a->taken[0][ZONE_PCI_LPC][0] = "the LPC bridge";
	if (zone_conf_first(a->conf, "vnc") != NULL)
		a->taken[0][ZONE_PCI_FBUF][0] = "the frame buffer";
}

static int
take_said(struct assign *a)
{
	for (size_t i = 0; i < zone_conf_count(a->conf); i++) {
		const struct zone_res *res = zone_conf_at(a->conf, i);
		struct zone_slot s;
		int rc;

		if (!zone_res_is_disk(res) && !is_net(res))
			continue;
		if (zone_res_slot(res, &s) < 0)
			continue;
		rc = take(a, res, &s);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static unsigned
device_for(const struct zone_res *res)
{
	if (is_net(res))
		return ZONE_PCI_NET;
	if (strcmp(zone_res_lookup(res, "media"), "cdrom") == 0)
		return ZONE_PCI_CDROM;
	return zone_res_flag(res, "boot") ? ZONE_PCI_BOOTDISK : ZONE_PCI_DISK;
}

static int
choose(struct assign *a, size_t at)
{
	const struct zone_res *res = zone_conf_at(a->conf, at);
	struct zone_slot s = { .dev = device_for(res) };
	char text[16];
	int rc;

	while (s.func < FUNCTIONS && a->taken[0][s.dev][s.func] != NULL)
		s.func++;
	if (s.func == FUNCTIONS) {
		error_set(a->err, ENOSPC,
		    "all 8 functions of PCI device %u are taken; set pci-slot",
		    s.dev);
		return about(a, res);
	}
	str_format(text, sizeof(text), "%u:%u:%u", s.bus, s.dev, s.func);
	rc = put(a, at, "pci-slot", text);
	return rc < 0 ? rc : take(a, zone_conf_at(a->conf, at), &s);
}

/* primary: the NICs that are, which go first; else all that are not. */
static int
choose_unsaid(struct assign *a, bool primary)
{
	for (size_t i = 0; i < zone_conf_count(a->conf); i++) {
		const struct zone_res *res = zone_conf_at(a->conf, i);
		bool first = is_net(res) && zone_res_flag(res, "primary");
		struct zone_slot s;
		int rc;

		if ((!zone_res_is_disk(res) && !is_net(res)) ||
		    first != primary || zone_res_slot(res, &s) == 0)
			continue;
		rc = choose(a, i);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A guest looks at the other functions only when there is function 0. */
static int
check_functions(struct assign *a)
{
	for (size_t i = 0; i < zone_conf_count(a->conf); i++) {
		const struct zone_res *res = zone_conf_at(a->conf, i);
		struct zone_slot s;

		if ((!zone_res_is_disk(res) && !is_net(res)) ||
		    zone_res_slot(res, &s) < 0 ||
		    a->taken[s.bus][s.dev][0] != NULL)
			continue;
		error_set(a->err, EINVAL,
		    "nothing is at slot %u:%u:0, so no guest looks at "
		    "%u:%u:%u; set pci-slot to %u:%u:0",
		    s.bus, s.dev, s.bus, s.dev, s.func, s.bus, s.dev);
		return about(a, res);
	}
	return 0;
}

/* ---- NICs ---- */

static int
check_primary(struct assign *a)
{
	const struct zone_rtype *net = zone_rtype_find("net");
	const struct zone_res *res = NULL, *first = NULL;
	size_t n = 0;

	while ((res = zone_conf_next(a->conf, net, res)) != NULL) {
		n++;
		if (!zone_res_flag(res, "primary"))
			continue;
		if (first != NULL) {
			error_set(a->err, EINVAL,
			    "primary: %.64s is the primary one already",
			    name_of(first));
			return about(a, res);
		}
		first = res;
	}
	if (n > 1 && first == NULL)
		return error_set(a->err, EINVAL,
		    "none of the %zu nets is primary; set primary=true on the "
		    "guest's first NIC",
		    n);
	return 0;
}

/* A random one, of those that everybody may assign (IEEE 802, 8.2). */
static int
give_macs(struct assign *a)
{
	for (size_t i = 0; i < zone_conf_count(a->conf); i++) {
		const struct zone_res *res = zone_conf_at(a->conf, i);
		uint8_t m[6];
		char text[18];
		int rc;

		if (!is_net(res) || zone_res_get(res, "mac-addr") != NULL)
			continue;
		if (getrandom(m, sizeof(m), 0) != sizeof(m))
			return error_sys(a->err, errno, "mac-addr");
		m[0] = (uint8_t)((m[0] & 0xfc) | 0x02);
		str_format(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x",
		    m[0], m[1], m[2], m[3], m[4], m[5]);
		rc = put(a, i, "mac-addr", text);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
zone_assign(struct zone_conf *conf, bool *ret_changed, struct error *err)
{
	struct assign *a = alloc_zero(1, sizeof(*a));
	int rc;

	if (a == NULL)
		return error_sys(err, ENOMEM, "slots");
	a->conf = conf;
	a->err = err;
	reserve(a);
	rc = check_primary(a);
	if (rc == 0)
		rc = take_said(a);
	if (rc == 0)
		rc = choose_unsaid(a, true);
	if (rc == 0)
		rc = choose_unsaid(a, false);
	if (rc == 0)
		rc = check_functions(a);
	if (rc == 0)
		rc = give_macs(a);
	if (rc == 0)
		*ret_changed = a->changed;
	free(a);
	return rc;
}
