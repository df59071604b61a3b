/*
 * The brand's knowledge of the machine. Each function adds what one part of the
 * configuration asks for; their order is the order of the arguments.
 */
#include "machine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "zone/assign.h"
#include "zone/nic.h"
#include "zone/text.h"
#include "zone/type.h"

#ifndef ZHYVE_VERSION
#define ZHYVE_VERSION "?"
#endif

#define ARGS_MAX 1024
#define NET_QUEUES_MAX 16
#define ARG_MAX_LEN 17408 /* a value, and what stands before it */

struct describe {
	const struct boot_request *req;
	const struct zone_conf *conf;
	char *args[ARGS_MAX];
	size_t nargs;
	struct nvlist *files[ARGS_MAX];
	size_t nfiles;
	struct error *err;
};

/* ---- arguments and files ---- */

static int
arg(struct describe *d, const char *text)
{
	if (d->nargs == ARGS_MAX)
		return error_set(d->err, E2BIG,
		    "the machine needs more than %d arguments", ARGS_MAX);
	d->args[d->nargs] = alloc_strdup(text);
	if (d->args[d->nargs] == NULL)
		return error_sys(d->err, ENOMEM, "arguments");
	d->nargs++;
	return 0;
}

/*
 * "-x", value. bhyve expands %(name) in values, and ours are no references: a
 * per cent sign is doubled.
 */
static int option(struct describe *d, const char *letter, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int
option(struct describe *d, const char *letter, const char *fmt, ...)
{
	char text[ARG_MAX_LEN], twice[2 * ARG_MAX_LEN];
	size_t n = 0;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (rc < 0 || (size_t)rc >= sizeof(text))
		return error_set(d->err, E2BIG,
		    "%s: a value of more than %zu bytes", letter, sizeof(text));
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '%')
			twice[n++] = '%';
		twice[n++] = *p;
	}
	twice[n] = '\0';
	rc = arg(d, letter);
	return rc == 0 ? arg(d, twice) : rc;
}

static int
file(struct describe *d, const char *path, const char *kind, bool readonly)
{
	struct nvlist *f;

	if (d->nfiles == ARGS_MAX)
		return error_set(d->err, E2BIG, "%.160s: too many files", path);
	f = nvlist_create();
	if (f == NULL || nvlist_add_str(f, "path", path) < 0 ||
	    nvlist_add_str(f, "kind", kind) < 0 ||
	    nvlist_add_bool(f, "readonly", readonly) < 0) {
		nvlist_free(f);
		return error_sys(d->err, ENOMEM, "files");
	}
	d->files[d->nfiles++] = f;
	return 0;
}

/* bhyve(8) has commas between the words of an option, and no quotes. */
static int
plain(struct describe *d, const char *what, const char *value)
{
	if (strchr(value, ',') == NULL)
		return 0;
	return error_set(d->err, EINVAL,
	    "%s '%.160s': a value of bhyve(8) cannot have a comma; give the "
	    "file another name",
	    what, value);
}

static const char *
global(const struct describe *d, const char *type, const char *prop)
{
	return zone_conf_lookup(d->conf, type, prop);
}

/* ---- the frame ---- */

/*
 * By this product guests know that there is metadata on the second port, and
 * wait for it; version and serial tell them whose. Only where it is served.
 */
static int
add_identity(struct describe *d)
{
	const char *uuid = zone_conf_get(d->conf, "uuid");
	const char *com2 = global(d, "lpc", "com2");
	int rc = 0;

	if (uuid != NULL)
		rc = option(d, "-U", "%s", uuid);
	if (rc < 0)
		return rc;
	if (strncmp(com2, "socket,", 7) != 0)
		return option(d, "-B",
		    "1,manufacturer=zhyve,product=zhyve HVM,sku=001,"
		    "family=Virtual Machine");
	return option(d, "-B",
	    "1,manufacturer=zhyve,product=SmartDC HVM,version=%s,serial=%s,"
	    "sku=001,family=Virtual Machine",
	    ZHYVE_VERSION,
	    uuid != NULL ? uuid : zone_conf_get(d->conf, "zonename"));
}

static int
add_bridges(struct describe *d)
{
	const char *hb = global(d, "guest", "hostbridge");
	int rc = option(d, "-s", "%d,lpc", ZONE_PCI_LPC);

	if (rc < 0 || (hb != NULL && strcmp(hb, "none") == 0))
		return rc;
	if (hb == NULL)
		return option(d, "-s", "%d,hostbridge", ZONE_PCI_HOSTBRIDGE);
	return option(d, "-s", "%d,hostbridge,%s%s", ZONE_PCI_HOSTBRIDGE,
	    strchr(hb, '=') == NULL ? "model=" : "", hb);
}

static int
add_size(struct describe *d)
{
	static const char *const rows[][3] = {
		{ "-c", "vcpu", "ncpus" },
		{ "-m", "capped-memory", "guest" },
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++)
		rc = option(
		    d, rows[i][0], "%s", global(d, rows[i][1], rows[i][2]));
	return rc;
}

static int
add_pins(struct describe *d)
{
	const struct zone_res *vcpu = zone_conf_first(d->conf, "vcpu");
	const struct zone_prop *pin;
	int rc = 0;

	if (vcpu == NULL)
		return 0;
	pin = zone_prop_find(zone_res_type(vcpu), "pin");
	for (size_t i = 0; rc == 0 && i < zone_res_count(vcpu, pin); i++) {
		const struct zone_val *v = zone_res_value(vcpu, pin, i);

		rc = option(d, "-p", "%s:%s", v->text[0], v->text[1]);
	}
	return rc;
}

static int
add_engine(struct describe *d)
{
	const char *engine = global(d, "guest", "engine");
	int rc = 0;

	if (strcmp(engine, "soft") != 0)
		rc = file(d, "/dev/kvm", "kvm", false);
	return rc == 0 ? option(d, "-o", "engine=%s", engine) : rc;
}

/* ---- firmware, or a kernel ---- */

/* Names of firmware, and where Debian's packages have it. */
static const struct {
	const char *name, *path, *vars;
} roms[] = {
	{ "bios", "/usr/share/seabios/bios-256k.bin", NULL },
	{ "uefi", "/usr/share/OVMF/OVMF_CODE_4M.fd",
	    "/usr/share/OVMF/OVMF_VARS_4M.fd" },
};

static int
add_kernel(struct describe *d, const char *kernel)
{
	const char *initrd = global(d, "guest", "initrd");
	const char *cmdline = global(d, "guest", "cmdline");
	char line[ARG_MAX_LEN] = "";
	int rc;

	rc = file(d, kernel, "file", true);
	if (rc == 0)
		rc = option(d, "-o", "boot.kernel=%s", kernel);
	if (rc == 0 && initrd != NULL)
		rc = file(d, initrd, "file", true);
	if (rc == 0 && initrd != NULL)
		rc = option(d, "-o", "boot.initrd=%s", initrd);
	if (cmdline != NULL)
		str_format(line, sizeof(line), "%s", cmdline);
	for (char *const *a = d->req->args; *a != NULL; a++) {
		size_t n = strlen(line);

		if (str_format(line + n, sizeof(line) - n, "%s%s",
			n > 0 ? " " : "", *a) < 0)
			return error_set(d->err, E2BIG,
			    "boot arguments: more than %zu bytes",
			    sizeof(line));
	}
	return rc == 0 ? option(d, "-o", "boot.cmdline=%s", line) : rc;
}

/*
 * Variables are the zone's own, in its folder; zoneadmd makes the file from the
 * package's when it is not there.
 */
static int
add_rom(struct describe *d)
{
	const char *rom = global(d, "lpc", "bootrom"), *vars = NULL;
	char path[4096];
	int rc;

	if (rom == NULL)
		rom = "bios";
	for (size_t i = 0; i < ARRAY_LEN(roms); i++)
		if (strcmp(rom, roms[i].name) == 0) {
			rom = roms[i].path;
			vars = roms[i].vars;
		}
	if (rom[0] != '/')
		return error_set(d->err, EINVAL,
		    "lpc: bootrom '%.160s' is neither bios, uefi nor a path; "
		    "or set kernel in guest",
		    rom);
	rc = plain(d, "lpc: bootrom", rom);
	if (rc == 0)
		rc = file(d, rom, "file", true);
	if (rc < 0)
		return rc;
	if (vars == NULL || strcmp(global(d, "lpc", "uefivars"), "true") != 0)
		return option(d, "-l", "bootrom,%s", rom);
	if (str_format(path, sizeof(path), "%s/uefivars", d->req->zonepath) < 0)
		return error_set(d->err, ENAMETOOLONG, "uefivars");
	rc = plain(d, "zonepath", path);
	if (rc == 0)
		rc = file(d, path, "state", false);
	if (rc == 0)
		rc = nvlist_add_str(d->files[d->nfiles - 1], "template", vars);
	return rc == 0 ? option(d, "-l", "bootrom,%s,%s", rom, path) : rc;
}

static int
add_boot(struct describe *d)
{
	const char *kernel = global(d, "guest", "kernel");

	return kernel != NULL ? add_kernel(d, kernel) : add_rom(d);
}

/* ---- ports ---- */

static int
add_port(struct describe *d, const char *com, const char *value)
{
	char path[4096];
	int rc;

	if (strcmp(value, "none") == 0)
		return 0;
	if (strcmp(value, "/dev/zconsole") == 0) {
		rc = file(d, value, "console", false);
	} else if (strncmp(value, "socket,", 7) == 0) {
		if (str_format(path, sizeof(path), "%s", value + 7) < 0)
			return error_set(d->err, ENAMETOOLONG, "lpc: %s", com);
		path[strcspn(path, ",")] = '\0';
		rc = file(d, path, "listen", false);
	} else if (value[0] == '/') {
		rc = file(d, value, "device", false);
	} else {
		return error_set(d->err, EINVAL,
		    "lpc: %s '%.160s': in a zone a port is /dev/zconsole, "
		    "socket,PATH, a device's path or none",
		    com, value);
	}
	return rc == 0 ? option(d, "-l", "%s,%s", com, value) : rc;
}

static int
add_ports(struct describe *d)
{
	static const char *const coms[] = { "com1", "com2", "com3", "com4" };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(coms); i++) {
		const char *value = global(d, "lpc", coms[i]);

		if (value != NULL)
			rc = add_port(d, coms[i], value);
	}
	return rc;
}

/* ---- devices ---- */

/* A model's device, for a disk and for a CD. */
static const struct {
	const char *model, *disk, *cdrom;
} models[] = {
	{ "virtio", "virtio-blk", "virtio-blk" },
	{ "virtio-blk", "virtio-blk", "virtio-blk" },
	{ "nvme", "nvme", NULL },
	{ "ahci", "ahci-hd", "ahci-cd" },
	{ "ahci-hd", "ahci-hd", "ahci-cd" },
	{ "ahci-cd", "ahci-cd", "ahci-cd" },
};

static int
device_of(struct describe *d, const struct zone_res *res, const char **ret)
{
	bool cd = strcmp(zone_res_lookup(res, "media"), "cdrom") == 0;
	const char *model = zone_res_lookup(res, "model");

	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		if (strcmp(models[i].model, model) == 0) {
			*ret = cd ? models[i].cdrom : models[i].disk;
			if (*ret != NULL)
				return 0;
		}
	return error_set(d->err, EINVAL, "model '%.64s' cannot be %s", model,
	    cd ? "a CD" : "a disk");
}

static int
add_disk(struct describe *d, const struct zone_res *res)
{
	const char *path = zone_res_disk_path(res), *device = NULL;
	const char *serial = zone_res_lookup(res, "serial");
	const char *block = zone_res_lookup(res, "guest-block-size");
	const struct zone_prop *more =
	    zone_prop_find(zone_res_type(res), "options");
	bool ro = zone_res_flag(res, "readonly");
	struct zone_slot s;
	char opts[ARG_MAX_LEN] = "";
	size_t n = 0;
	int rc;

	if (zone_res_slot(res, &s) < 0)
		return error_set(d->err, EINVAL, "has no pci-slot");
	rc = device_of(d, res, &device);
	if (rc == 0)
		rc = plain(d, "path", path);
	if (rc < 0)
		return rc;
	ro = ro || strcmp(zone_res_lookup(res, "media"), "cdrom") == 0;
	n += (size_t)snprintf(opts, sizeof(opts), "%s%s", ro ? ",ro" : "",
	    zone_res_flag(res, "notrim") ? ",nodelete" : "");
	if (serial != NULL)
		n += (size_t)snprintf(
		    opts + n, sizeof(opts) - n, ",ser=%.64s", serial);
	if (block != NULL && strcmp(block, "0") != 0)
		n += (size_t)snprintf(
		    opts + n, sizeof(opts) - n, ",sectorsize=%.32s", block);
	for (size_t i = 0; more != NULL && i < zone_res_count(res, more); i++) {
		if (str_format(opts + n, sizeof(opts) - n, ",%s",
			zone_res_value(res, more, i)->text[0]) < 0)
			return error_set(d->err, E2BIG, "options");
		n += strlen(opts + n);
	}
	rc = file(d, path, "disk", ro);
	return rc == 0 ? option(d, "-s", "%u:%u:%u,%s,%s%s", s.bus, s.dev,
			     s.func, device, path, opts)
		       : rc;
}

static int
add_disks(struct describe *d)
{
	const struct zone_res *res;
	size_t at = ZONE_NEW;

	while ((res = zone_conf_next_disk(d->conf, &at)) != NULL)
		if (add_disk(d, res) < 0)
			return error_prefix(d->err, "%s %.160s",
			    zone_res_type(res)->name, zone_res_disk_path(res));
	return 0;
}

/* A pair of queues for each of the guest's CPUs. */
static unsigned
queues_of(const struct describe *d)
{
	struct zone_topology t;

	if (zone_topology_parse(global(d, "vcpu", "ncpus"), &t, NULL) < 0)
		return 1;
	return (unsigned)MIN(t.cpus, NET_QUEUES_MAX);
}

static int
add_tap(struct describe *d, const struct zone_nic *nic, unsigned queues)
{
	const char *zone = zone_conf_get(d->conf, "zonename");
	struct nvlist *link = NULL, *row;
	int rc;

	rc = zone_nic_link(nic, zone, queues, &link, d->err);
	if (rc == 0)
		rc = file(d, nic->physical, "tap", false);
	if (rc == 0) {
		row = d->files[d->nfiles - 1];
		rc = nvlist_add_list(row, "link", link);
		if (rc == 0 && nic->tag != NULL)
			rc = nvlist_add_str(row, "bridge", nic->tag);
		if (rc < 0)
			error_sys(d->err, -rc, "files");
	}
	nvlist_free(link);
	return rc;
}

/* The first address of each family: the others are the guest's own affair. */
static int
put_ips(struct nvlist *row, const char *name, const struct zone_ip *ips,
    size_t n, bool prefix)
{
	char text[2][INET6_ADDRSTRLEN + 4];
	const char *list[2] = { text[0], text[1] };
	size_t have = 0;
	int rc = 0;

	for (size_t i = 0; i < n && have < 2 && rc == 0; i++)
		if (have == 0 || ips[i].family != ips[0].family)
			rc = zone_ip_format(
			    &ips[i], prefix, text[have++], sizeof(text[0]));
	if (rc == 0 && have > 0)
		rc = nvlist_add_strs(row, name, list, have);
	return rc;
}

/* docs/network.md has the row. */
static int
add_slirp(struct describe *d, const struct zone_nic *nic)
{
	struct nvlist *row;
	int rc = file(d, nic->physical, "slirp", false);

	if (rc < 0)
		return rc;
	row = d->files[d->nfiles - 1];
	rc = put_ips(row, "addresses", nic->ips, nic->nips, true);
	if (rc == 0)
		rc = put_ips(
		    row, "gateways", nic->gateways, nic->ngateways, false);
	if (rc == 0 && nic->hostfwd != NULL)
		rc = nvlist_add_str(row, "hostfwd", nic->hostfwd);
	if (rc == 0)
		rc = nvlist_add_u64(row, "mtu", nic->mtu);
	if (rc == 0)
		rc = nvlist_add_bool(row, "loopback", nic->host_loopback);
	return rc < 0 ? error_sys(d->err, -rc, "files") : 0;
}

static int
add_net(struct describe *d, const struct zone_res *res)
{
	const char *model = zone_res_lookup(res, "model");
	unsigned queues = queues_of(d);
	char more[64] = "";
	struct zone_nic nic;
	struct zone_slot s;
	size_t n = 0;
	int rc;

	if (zone_res_slot(res, &s) < 0)
		return error_set(d->err, EINVAL, "has no pci-slot");
	if (strcmp(model, "virtio") != 0 && strncmp(model, "virtio-net", 10))
		return error_set(
		    d->err, EINVAL, "model '%.64s': there is virtio", model);
	rc = zone_nic_read(res, &nic, d->err);
	if (rc == 0)
		rc = plain(d, "physical", nic.physical);
	if (rc == 0)
		rc = nic.slirp ? add_slirp(d, &nic) : add_tap(d, &nic, queues);
	if (rc < 0)
		return rc;
	if (queues > 1 && !nic.slirp)
		n = (size_t)snprintf(more, sizeof(more), ",queues=%u", queues);
	if (nic.mtu != 0)
		snprintf(more + n, sizeof(more) - n, ",mtu=%u", nic.mtu);
	return option(d, "-s", "%u:%u:%u,virtio-net,%s,type=%s,mac=%s%s", s.bus,
	    s.dev, s.func, nic.physical, nic.slirp ? "packet" : "tap", nic.mac,
	    more);
}

static int
add_nets(struct describe *d)
{
	const struct zone_rtype *net = zone_rtype_find("net");
	const struct zone_res *res = NULL;

	while ((res = zone_conf_next(d->conf, net, res)) != NULL)
		if (add_net(d, res) < 0)
			return error_prefix(
			    d->err, "net %.64s", zone_res_get(res, "physical"));
	return 0;
}

static int
add_rng(struct describe *d)
{
	if (strcmp(global(d, "guest", "rng"), "true") != 0)
		return 0;
	return option(d, "-s", "%d,virtio-rnd", ZONE_PCI_RNG);
}

/* A screen is there when one is asked for; bhyve(8) says what it has not. */
static int
add_screen(struct describe *d)
{
	const char *listen = global(d, "vnc", "listen");
	const char *port = global(d, "vnc", "port");

	if (listen != NULL ? strcmp(listen, "off") == 0
			   : port == NULL || strcmp(port, "-1") == 0)
		return 0;
	return option(d, "-s", "%d,fbuf,vga=%s,unix=/tmp/vm.vnc", ZONE_PCI_FBUF,
	    global(d, "vnc", "vga"));
}

static int
add_virtio(struct describe *d)
{
	const char *legacy = global(d, "guest", "virtio-legacy");
	const char *modern = global(d, "guest", "virtio-modern");

	/*
	 * Devices for 0.9 alone are not built. Those for both are what such a
	 * guest needs: SmartOS's default is a VM that says so.
	 */
	if (modern != NULL && strcmp(modern, "false") == 0 && legacy == NULL)
		legacy = "true";
	return legacy != NULL ? option(d, "-o", "virtio.legacy=%s", legacy) : 0;
}

/* Words with blanks between, no quotes; they can name no file. */
static int
add_extra(struct describe *d)
{
	const char *v = global(d, "guest", "options");
	int rc = 0;

	while (rc == 0 && v != NULL && *v != '\0') {
		size_t skip = strspn(v, " \t"), n = strcspn(v + skip, " \t");
		cleanup_free char *word = NULL;

		if (n > 0 && (word = strndup(v + skip, n)) == NULL)
			return error_sys(d->err, ENOMEM, "options");
		if (n > 0)
			rc = arg(d, word);
		v += skip + n;
	}
	return rc;
}

static int
add_name(struct describe *d)
{
	const char *did = zone_conf_get(d->conf, "debugid");
	char name[64];

	str_format(
	    name, sizeof(name), "SYSbhyve-%s", did != NULL ? did : "unknown");
	return arg(d, name);
}

/* ---- the whole ---- */

static int
pack(struct describe *d, struct nvlist **ret)
{
	struct nvlist *cmd = nvlist_create();
	int rc = cmd != NULL ? 0 : -ENOMEM;

	if (rc == 0)
		rc = nvlist_add_u64(cmd, "version", ZHYVE_CMD_VERSION);
	if (rc == 0)
		rc = nvlist_add_strs(
		    cmd, "bhyve_args", (const char *const *)d->args, d->nargs);
	if (rc == 0)
		rc = nvlist_add_lists(cmd, "files",
		    (const struct nvlist *const *)d->files, d->nfiles);
	if (rc < 0) {
		nvlist_free(cmd);
		return error_sys(d->err, -rc, "zhyve.cmd");
	}
	*ret = cmd;
	return 0;
}

int
machine_describe(
    const struct boot_request *req, struct nvlist **ret, struct error *err)
{
	static int (*const parts[])(struct describe * d) = { add_identity,
		add_bridges, add_boot, add_ports, add_size, add_pins,
		add_engine, add_disks, add_nets, add_rng, add_virtio, add_extra,
		add_screen, add_name };
	struct describe *d = alloc_zero(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return error_sys(err, ENOMEM, "machine");
	d->req = req;
	d->conf = req->conf;
	d->err = err;
	rc = arg(d, "bhyve");
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parts); i++)
		rc = parts[i](d);
	if (rc == 0)
		rc = pack(d, ret);
	for (size_t i = 0; i < d->nargs; i++)
		free(d->args[i]);
	for (size_t i = 0; i < d->nfiles; i++)
		nvlist_free(d->files[i]);
	free(d);
	return rc;
}
