/*
 * The rows. What SmartOS knows is called as it is called there; ours are
 * engine, kernel, initrd and cmdline, and serial and readonly of disks.
 */
#include "manifest/impl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "zone/type.h"

#define VM(n, t, r, d, u, h) \
	.p = { n, "", MANIFEST_##t, r, d, MANIFEST_UPDATE_##u, h }
#define NIC(n, t, r, d, u, h) \
	.p = { n, "nics", MANIFEST_##t, r, d, MANIFEST_UPDATE_##u, h }
#define DISK(n, t, r, d, u, h) \
	.p = { n, "disks", MANIFEST_##t, r, d, MANIFEST_UPDATE_##u, h }

#define ZEROS "00000000-0000-0000-0000-000000000000"

/* ---- what a text must be ---- */

static bool
has_only(const char *text, const char *more, size_t max)
{
	size_t n = strlen(text);

	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || strchr(more, c) != NULL))
			return false;
	}
	return true;
}

/* Labels of letters, digits and '-' inside, dots between. */
static bool
ok_hostname(const char *text)
{
	const char *p = text;
	size_t n;

	if (!has_only(text, "-.", 253))
		return false;
	for (;; p += n + 1) {
		n = strcspn(p, ".");
		if (n == 0 || n > 63 || p[0] == '-' || p[n - 1] == '-')
			return false;
		if (p[n] == '\0')
			return true;
	}
}

static bool
ok_alias(const char *text)
{
	return has_only(text, "_.-", 189) && strchr("_.-", text[0]) == NULL;
}

static bool
ok_name(const char *text)
{
	return has_only(text, "_.-", 63) && strchr("_.-", text[0]) == NULL;
}

static bool
ok_zonename(const char *text)
{
	return zone_name_check(text, NULL) == 0;
}

static bool
is_type(enum zone_type type, const char *text)
{
	char *kept = NULL;
	int rc = zone_type_check(type, NULL, text, &kept, NULL);

	free(kept);
	return rc == 0;
}

static bool
ok_path(const char *text)
{
	return is_type(ZONE_PATH, text);
}

bool
ok_ip(const char *text)
{
	return is_type(ZONE_ADDR, text);
}

bool
ok_mac(const char *text)
{
	uint8_t mac[6];

	return str_to_mac(text, mac) == 0 && (mac[0] & 1) == 0;
}

static bool
ok_rom(const char *text)
{
	return strcmp(text, "bios") == 0 || strcmp(text, "uefi") == 0 ||
	    text[0] == '/';
}

static bool
ok_password(const char *text)
{
	size_t n = strlen(text);

	return n >= 1 && n <= 8;
}

static bool
ok_slot(const char *text)
{
	struct zone_slot s;

	return zone_slot_parse(text, &s) == 0;
}

static bool
power_of_2(uint64_t n)
{
	return n >= 512 && n <= 131072 && (n & (n - 1)) == 0;
}

/* "4096", "512/4096"; 0 is the default's. */
static bool
ok_blocks(const char *text)
{
	const char *slash = strchr(text, '/');
	char first[16] = "";
	uint64_t logical = 0, physical = 0;

	if (strcmp(text, "0") == 0)
		return true;
	if (slash == NULL)
		return str_to_u64(text, 512, 131072, &logical) == 0 &&
		    power_of_2(logical);
	if ((size_t)(slash - text) >= sizeof(first))
		return false;
	memcpy(first, text, (size_t)(slash - text));
	return str_to_u64(first, 512, 131072, &logical) == 0 &&
	    str_to_u64(slash + 1, 512, 131072, &physical) == 0 &&
	    power_of_2(logical) && power_of_2(physical) && physical >= logical;
}

static bool
ok_compression(const char *text)
{
	static const char words[] = "on|off|gzip|lz4|lzjb|zle|zstd";

	if (strncmp(text, "gzip-", 5) == 0)
		return text[5] >= '1' && text[5] <= '9' && text[6] == '\0';
	return zone_list_has(words, '|', text);
}

static bool
ok_interface(const char *text)
{
	uint64_t n;

	return strncmp(text, "net", 3) == 0 &&
	    str_to_u64(text + 3, 0, 255, &n) == 0 && strlen(text) <= 6;
}

/* ADDRESS/PREFIX, or how the guest is to find one. */
static bool
ok_ips(const char *text)
{
	return strcmp(text, "dhcp") == 0 || strcmp(text, "addrconf") == 0 ||
	    (strchr(text, '/') != NULL && ok_ip(text));
}

static bool
ok_plain_ip(const char *text)
{
	return strchr(text, '/') == NULL && ok_ip(text);
}

static bool
ok_old_ip(const char *text)
{
	return strcmp(text, "dhcp") == 0 || ok_ip(text);
}

/* ISO 8601, to the second at least, in UTC or with an offset. */
static bool
ok_time(const char *text)
{
	struct tm tm;
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (p != NULL && *p == '.') {
		p++;
		p += strspn(p, "0123456789");
	}
	if (p == NULL || strcmp(p, "Z") == 0)
		return p != NULL;
	return strlen(p) == 6 && strchr("+-", p[0]) != NULL &&
	    strptime(p + 1, "%H:%M", &tm) == p + 6;
}

static bool
ok_cid(const char *text)
{
	size_t n = strlen(text);

	return n >= 4 && n <= 258 && strncmp(text, "0x", 2) == 0 &&
	    strspn(text + 2, "0123456789abcdefABCDEF") == n - 2;
}

/* "25", "6000-6063" */
static bool
ok_ports(const char *text)
{
	const char *dash = strchr(text, '-');
	char first[8] = "";
	uint64_t from, to;

	if (dash == NULL)
		return str_to_u64(text, 1, 65535, &from) == 0;
	if ((size_t)(dash - text) >= sizeof(first))
		return false;
	memcpy(first, text, (size_t)(dash - text));
	return str_to_u64(first, 1, 65535, &from) == 0 &&
	    str_to_u64(dash + 1, from, 65535, &to) == 0;
}

/* A check with its words. */
#define NAME_WHAT "letters, digits, '_', '.' and '-', a letter or digit first"
#define IS_NAME .ok = ok_name, .what = NAME_WHAT
#define IS_PATH .ok = ok_path, .what = "an absolute path"
#define IS_IP .ok = ok_plain_ip, .what = "an IP address"
/* A property and a pair of the same name. */
#define BOTH(n) .prop = n, .pair = n
/* An attr that says nothing to us. */
#define KEPT(n, t, d, attr)                                            \
	VM(n, t, NULL, d, YES, "kept for other tools"), .res = "attr", \
							.prop = attr

const struct row manifest_rows[] = {
	{ VM("alias", STRING, NULL, NULL, YES, "name for people"),
	    .ok = ok_alias, .what = NAME_WHAT, .res = "attr", .prop = "alias" },
	{ KEPT("archive_on_delete", BOOL, "false", "archive-on-delete") },
	{ VM("autoboot", BOOL, NULL, "true", YES,
	      "boot with the host, and at the end of create; start sets it, "
	      "stop clears it"),
	    ROW_FILL, .res = "global", .prop = "autoboot" },
	{ VM("bhyve_extra_opts", STRING, NULL, NULL, BOOT,
	      "further options of bhyve(8)"),
	    .res = "guest", .prop = "options" },
	{ KEPT("billing_id", UUID, ZEROS, "billing-id"), .flags = ROW_SHOW },
	{ VM("boot_timestamp", STRING, NULL, NULL, FACT,
	    "when it was started") },
	{ VM("bootrom", STRING, NULL, "bios", BOOT,
	      "firmware: bios, uefi or a file"),
	    ROW_SHOW, .ok = ok_rom, .what = "bios, uefi or an absolute path",
	    .res = "lpc", .prop = "bootrom" },
	{ VM("brand", STRING, "bhyve", NULL, NEVER, "kind of VM"), ROW_REQUIRED,
	    .res = "global", .prop = "brand" },
	{ VM("cmdline", STRING, NULL, NULL, BOOT, "command line of kernel"),
	    .res = "guest", .prop = "cmdline" },
	{ VM("cpu_cap", INT, "0..1000000", NULL, LIVE,
	      "most CPU time, per cent of a CPU; 0: no limit"),
	    .res = "capped-cpu", .prop = "ncpus", .unit = UNIT_CENTI },
	{ VM("cpu_shares", INT, "1..65535", "100", LIVE,
	      "weight when CPUs are contended"),
	    ROW_FILL, .res = "global", .prop = "cpu-shares" },
	{ VM("create_timestamp", STRING, NULL, NULL, NEVER, "when it was made"),
	    .ok = ok_time, .what = "a time as 2026-11-23T08:00:00.000Z",
	    .res = "attr", .prop = "create-timestamp" },
	{ VM("customer_metadata", MAP, NULL, "{}", MAPS,
	      "what the guest may read and write"),
	    ROW_FILE | ROW_SHOW },
	{ VM("disks", ITEMS, NULL, NULL, ITEMS, "the guest's disks; below") },
	{ VM("dns_domain", STRING, NULL, NULL, YES,
	      "domain to search, told to the guest"),
	    .ok = ok_hostname, .what = "a domain name", .res = "cloud-init",
	    .prop = "dns-domain" },
	{ KEPT("do_not_inventory", BOOL, NULL, "do-not-inventory") },
	{ VM("engine", STRING, "auto|kvm|soft", "auto", BOOT,
	      "what runs the guest's CPUs"),
	    .res = "guest", .prop = "engine" },
	{ VM("exit_status", INT, NULL, NULL, FACT, "of the last run") },
	{ VM("exit_timestamp", STRING, NULL, NULL, FACT,
	    "when the last run ended") },
	{ VM("flexible_disk_size", INT, "0..1073741824", NULL, YES,
	      "MiB for disks and snapshots; at least the disks' sum; no limit "
	      "if unset"),
	    .res = "attr", .prop = "flexible-disk-size" },
	{ VM("free_space", INT, NULL, NULL, FACT,
	    "MiB of flexible_disk_size that no disk takes") },
	{ VM("hostname", STRING, NULL, NULL, YES,
	      "told to the guest; the zone's name if unset"),
	    .ok = ok_hostname, .what = "a host name", .res = "attr",
	    .prop = "hostname" },
	{ VM("hvm", BOOL, NULL, NULL, FACT, "true") },
	{ VM("image_uuid", UUID, NULL, NULL, NEVER,
	      "image of the zone's root; normally unset"),
	    .res = "attr", .prop = "image-uuid" },
	{ VM("indestructible_delegated", BOOL, NULL, "false", YES,
	      "refuse delete"),
	    .res = "attr", .prop = "indestructible-delegated" },
	{ VM("indestructible_zoneroot", BOOL, NULL, "false", YES,
	      "refuse delete and reprovision"),
	    .res = "attr", .prop = "indestructible-zoneroot" },
	{ VM("initrd", STRING, NULL, NULL, BOOT, "initial RAM disk of kernel"),
	    IS_PATH, .res = "guest", .prop = "initrd" },
	{ VM("internal_metadata", MAP, NULL, "{}", MAPS,
	      "what the operator keeps; the guest sees few keys of it"),
	    ROW_FILE | ROW_SHOW },
	{ VM("internal_metadata_namespaces", LIST, NULL, NULL, YES,
	      "prefixes of keys that the guest reads from internal_metadata"),
	    IS_NAME, .res = "attr", .prop = "internal-metadata-namespaces" },
	{ VM("kernel", STRING, NULL, NULL, BOOT,
	      "kernel to start at once, without firmware"),
	    IS_PATH, .res = "guest", .prop = "kernel" },
	{ VM("last_modified", STRING, NULL, NULL, FACT,
	    "when the configuration was changed") },
	{ VM("max_locked_memory", INT, "1..1073741824", NULL, BOOT,
	      "MiB that the zone may lock"),
	    .res = "capped-memory", .prop = "locked", .unit = UNIT_MIB },
	{ VM("max_lwps", INT, "100..1000000", "2000", LIVE,
	      "most threads of the zone"),
	    ROW_FILL, .res = "global", .prop = "max-lwps" },
	{ VM("max_physical_memory", INT, "1..1073741824", NULL, LIVE,
	      "MiB of the whole zone; ram and 1024 if unset"),
	    .res = "capped-memory", .prop = "physical", .unit = UNIT_MIB },
	{ VM("max_swap", INT, "1..1073741824", NULL, LIVE,
	      "MiB of memory and swap; max_physical_memory, at least 256, if "
	      "unset"),
	    .res = "capped-memory", .prop = "swap", .unit = UNIT_MIB },
	{ VM("nics", ITEMS, NULL, NULL, ITEMS, "the guest's NICs; below") },
	{ KEPT("owner_uuid", UUID, ZEROS, "owner-uuid"), .flags = ROW_SHOW },
	{ KEPT("package_name", STRING, NULL, "package-name") },
	{ KEPT("package_version", STRING, NULL, "package-version") },
	{ VM("pid", INT, NULL, NULL, FACT, "of the zone's process") },
	{ VM("quota", INT, "0..1048576", "0", YES,
	      "GiB of the zone's folder, beside its disks; 0: no limit"),
	    ROW_SHOW, .res = "attr", .prop = "quota" },
	{ VM("ram", INT, "1..1073741824", "256", BOOT, "MiB of the guest"),
	    ROW_FILL, .res = "capped-memory", .prop = "guest",
	    .unit = UNIT_RAM },
	{ VM("resolvers", LIST, NULL, NULL, YES,
	      "name servers told to the guest"),
	    IS_IP, .res = "cloud-init", .prop = "resolvers" },
	{ VM("routes", MAP, NULL, "{}", MAPS,
	      "destination: gateway, told to the guest"),
	    ROW_FILE | ROW_SHOW },
	{ VM("server_uuid", UUID, NULL, NULL, FACT, "of the host") },
	{ VM("snapshots", ITEMS, NULL, NULL, FACT, "name and time of each") },
	{ VM("state", STRING, NULL, NULL, FACT, "see States") },
	{ VM("tags", MAP, NULL, "{}", MAPS, "kept for other tools"),
	    ROW_FILE | ROW_SHOW },
	{ VM("transition_to", STRING, NULL, NULL, FACT,
	    "where a stop or reboot goes") },
	{ VM("type", STRING, NULL, NULL, FACT, "BHYVE") },
	{ VM("uuid", UUID, NULL, NULL, NEVER, "made if unset"), .res = "global",
	    .prop = "uuid" },
	{ VM("vcpus", INT, "1..254", "1", BOOT, "virtual CPUs"), ROW_FILL,
	    .res = "vcpu", .prop = "ncpus", .unit = UNIT_CPUS },
	{ VM("virtio09", BOOL, NULL, NULL, BOOT,
	      "offer virtio 0.9, too; not if unset"),
	    .res = "guest", .prop = "virtio-legacy" },
	{ VM("virtio1", BOOL, NULL, NULL, BOOT,
	      "offer virtio 1; false offers both"),
	    .res = "guest", .prop = "virtio-modern" },
	{ VM("vnc_password", STRING, NULL, NULL, BOOT,
	      "password of the screen's viewers"),
	    .ok = ok_password, .what = "1 to 8 characters", .res = "vnc",
	    .prop = "password" },
	{ VM("vnc_port", INT, "-1..65535", NULL, BOOT,
	      "TCP port of the screen, 0 picks one, -1 none; unset: no screen"),
	    .res = "vnc", .prop = "port" },
	{ VM("zfs_io_priority", INT, "0..16384", "100", LIVE,
	      "weight when disks are contended"),
	    ROW_SHOW, .res = "global", .prop = "zfs-io-priority" },
	{ VM("zlog_max_size", INT, "0..1099511627776", NULL, YES,
	      "kept for other tools; logs are rotated at 1 MiB"),
	    .res = "attr", .prop = "zlog-max-size" },
	{ VM("zlog_mode", STRING, NULL, NULL, FACT,
	    "how its log is kept: g--, a file of the host alone") },
	{ VM(
	    "zone_state", STRING, NULL, NULL, FACT, "as zoneadm(8) names it") },
	{ VM("zonedid", INT, NULL, NULL, FACT, "number of the zone for life") },
	{ VM("zoneid", INT, NULL, NULL, FACT, "number of this boot") },
	{ VM("zonename", STRING, NULL, NULL, NEVER,
	      "name for zoneadm(8); the UUID if unset"),
	    .ok = ok_zonename, .what = "a zone's name", .res = "global",
	    .prop = "zonename" },
	{ VM("zonepath", STRING, NULL, NULL, FACT, "folder of the zone"),
	    .res = "global", .prop = "zonepath" },
	{ VM("zpool", STRING, NULL, "zones", NEVER, "pool of the zone"),
	    ROW_SHOW, IS_NAME, .res = "attr", .prop = "zpool" },

	{ DISK("block_size", INT, "512..131072", NULL, NEVER,
	      "of the volume, a power of 2; not with image_uuid"),
	    .pair = "block-size" },
	{ DISK("boot", BOOL, NULL, NULL, BOOT, "the one to boot from"),
	    BOTH("boot") },
	{ DISK("compression", STRING, NULL, NULL, YES,
	      "of the volume, of what is written from then on"),
	    .ok = ok_compression,
	    .what = "on, off, gzip, gzip-1 to gzip-9, lz4, lzjb, zle or zstd",
	    .pair = "compression" },
	{ DISK("guest_block_size", STRING, NULL, NULL, BOOT,
	      "sector size, or logical/physical"),
	    .ok = ok_blocks, .what = "a power of 2, or two as 512/4096",
	    .prop = "guest-block-size", .pair = "guest_block_size" },
	{ DISK("image_name", STRING, NULL, NULL, YES, "name of the image"),
	    .pair = "image-name" },
	{ DISK("image_size", INT, "1..1073741824", NULL, YES,
	      "MiB of the image; a bigger one makes a bigger disk"),
	    .pair = "image-size" },
	{ DISK("image_uuid", UUID, NULL, NULL, YES, "what the disk begins as"),
	    .pair = "image-uuid" },
	{ DISK("media", STRING, "disk|cdrom", "disk", BOOT, "disk or CD"),
	    ROW_FILL, BOTH("media") },
	{ DISK("model", STRING, "virtio|ahci|nvme", "virtio", BOOT,
	      "device that the guest sees"),
	    ROW_FILL, BOTH("model") },
	{ DISK("nocreate", BOOL, NULL, NULL, NEVER,
	      "the path is there, nothing is made for it"),
	    .pair = "nocreate" },
	{ DISK("notrim", BOOL, NULL, NULL, BOOT,
	      "do not pass discards on to the host"),
	    BOTH("notrim") },
	{ DISK("path", STRING, NULL, NULL, NEVER,
	      "volume or file; made of pool and UUID if unset"),
	    IS_PATH, .prop = "path" },
	{ DISK("pci_slot", STRING, NULL, NULL, BOOT,
	      "bus:device:function; chosen if unset"),
	    .ok = ok_slot,
	    .what = "bus:device:function, device:function or device",
	    .prop = "pci-slot", .pair = "pci_slot" },
	{ DISK("readonly", BOOL, NULL, NULL, BOOT, "refuse writes"),
	    BOTH("readonly") },
	{ DISK("refreservation", INT, "0..1073741824", NULL, YES,
	      "MiB set aside, at most the size; none if unset"),
	    .pair = "refreservation" },
	{ DISK("serial", STRING, NULL, NULL, BOOT,
	      "serial number that the guest reads"),
	    IS_NAME, BOTH("serial") },
	{ DISK("size", INT, "1..1073741824", NULL, BOOT,
	      "MiB; not with image_uuid; less only with "
	      "dangerous_allow_shrink"),
	    BOTH("size"), .unit = UNIT_RAM },
	{ DISK("dangerous_allow_shrink", BOOL, NULL, NULL, YES,
	      "of update: size may be less, what is behind it is lost"),
	    ROW_ONCE },
	{ DISK("uuid", UUID, NULL, NULL, NEVER, "made if unset"),
	    .pair = "uuid" },
	{ DISK("zpool", STRING, NULL, NULL, NEVER,
	      "pool of the volume; the VM's if unset"),
	    IS_NAME, .pair = "zpool" },

	{ NIC("allow_dhcp_spoofing", BOOL, NULL, NULL, LIVE,
	      "let the guest be a DHCP server, from any address"),
	    .prop = "allow-dhcp-spoofing", .pair = "allow_dhcp_spoofing" },
	{ NIC("allow_ip_spoofing", BOOL, NULL, NULL, LIVE,
	      "let it send from any IP address"),
	    .prop = "allow-ip-spoofing", .pair = "allow_ip_spoofing" },
	{ NIC("allow_mac_spoofing", BOOL, NULL, NULL, LIVE,
	      "let it send from any Ethernet address"),
	    .prop = "allow-mac-spoofing", .pair = "allow_mac_spoofing" },
	{ NIC("allow_restricted_traffic", BOOL, NULL, NULL, LIVE,
	      "let it send other things than IP and ARP"),
	    .prop = "allow-restricted-traffic",
	    .pair = "allow_restricted_traffic" },
	{ NIC("allow_unfiltered_promisc", BOOL, NULL, NULL, BOOT,
	      "let it see other guests' frames"),
	    .prop = "allow-unfiltered-promisc",
	    .pair = "allow_unfiltered_promisc" },
	{ NIC("allowed_dhcp_cids", LIST, NULL, NULL, LIVE,
	      "DHCP client ids that it may use, up to 20"),
	    .ok = ok_cid, .what = "hexadecimal after 0x",
	    .prop = "allowed-dhcp-cids", .pair = "allowed_dhcp_cids" },
	{ NIC("allowed_ips", LIST, NULL, NULL, LIVE,
	      "further addresses that it may send from"),
	    .ok = ok_ip, .what = "an IP address, with or without /prefix",
	    .prop = "allowed-ips", .pair = "allowed_ips" },
	{ NIC("blocked_outgoing_ports", LIST, NULL, NULL, LIVE,
	      "TCP ports that it may not reach, as 25 or 6000-6063"),
	    ROW_NUMBERS, .ok = ok_ports, .what = "a port, or two as 6000-6063",
	    .prop = "blocked-outgoing-ports",
	    .pair = "blocked_outgoing_ports" },
	{ NIC("dhcp_server", BOOL, NULL, NULL, BOOT,
	      "the old name of allow_dhcp_spoofing"),
	    ROW_OLD },
	{ NIC("gateway", STRING, NULL, NULL, BOOT, "the old form of gateways"),
	    ROW_OLD, IS_IP },
	{ NIC("gateways", LIST, NULL, NULL, BOOT, "routers told to the guest"),
	    IS_IP, BOTH("gateways") },
	{ NIC("hostfwd", STRING, NULL, NULL, BOOT,
	      "of nic_tag slirp: ports of the host that lead to the guest"),
	    BOTH("hostfwd") },
	{ NIC("interface", STRING, NULL, NULL, NEVER,
	      "netN; the first free one if unset"),
	    .ok = ok_interface, .what = "net0 to net255", .prop = "physical" },
	{ NIC("ip", STRING, NULL, NULL, BOOT, "the old form of ips"), ROW_OLD,
	    .ok = ok_old_ip, .what = "an IP address or dhcp" },
	{ NIC("ips", LIST, NULL, NULL, LIVE,
	      "address/prefix, dhcp or addrconf, up to 20"),
	    .ok = ok_ips, .what = "address/prefix, dhcp or addrconf",
	    BOTH("ips") },
	{ NIC("mac", STRING, NULL, NULL, NEVER,
	      "Ethernet address; made if unset"),
	    .ok = ok_mac, .what = "an Ethernet address as 02:08:20:00:11:22",
	    .prop = "mac-addr" },
	{ NIC("maxbw", STRING, NULL, NULL, LIVE,
	      "most bandwidth, each way, as 100M"),
	    BOTH("maxbw") },
	{ NIC("model", STRING, "virtio", NULL, BOOT,
	      "device that the guest sees"),
	    BOTH("model") },
	{ NIC("mtu", INT, "576..9000", NULL, BOOT, "the link's if unset"),
	    BOTH("mtu") },
	{ NIC("netmask", STRING, NULL, NULL, BOOT,
	      "the old form of the prefix in ips"),
	    ROW_OLD, .ok = ok_mask, .what = "a mask as 255.255.255.0" },
	{ NIC("network_uuid", UUID, NULL, NULL, BOOT, "kept for other tools"),
	    .prop = "network-uuid", .pair = "network_uuid" },
	{ NIC("nic_tag", STRING, NULL, NULL, BOOT,
	      "NIC tag, bridge or link of the host"),
	    IS_NAME, .prop = "global-nic" },
	{ NIC("primary", BOOL, NULL, NULL, BOOT,
	      "the guest's first; the first one if unset"),
	    BOTH("primary") },
	{ NIC("strict", BOOL, NULL, NULL, LIVE,
	      "refuse router advertisements and foreign frames, too"),
	    BOTH("strict") },
	{ NIC("vlan_id", INT, "0..4094", NULL, BOOT, "VLAN tag, 0 for none"),
	    .prop = "vlan-id" },
	{ .p = { .name = NULL } },
};

/* ---- finding rows ---- */

const struct row *
row_next(const struct row *r, const char *scope)
{
	for (; r->p.name != NULL; r++)
		if (strcmp(r->p.scope, scope) == 0)
			return r;
	return NULL;
}

const struct row *
row_find(const char *scope, const char *name)
{
	EACH_ROW(r, scope)
	if (strcmp(r->p.name, name) == 0)
		return r;
	return NULL;
}

const char *
row_nearest(const char *scope, const char *name)
{
	const char *names[128];
	size_t n = 0;

	EACH_ROW(r, scope)
	if (n < ARRAY_LEN(names))
		names[n++] = r->p.name;
	return str_nearest(name, names, n);
}

void
row_range(const char *range, json_int_t *min, json_int_t *max)
{
	const char *dots = range != NULL ? strstr(range, "..") : NULL;

	if (dots == NULL)
		return;
	if (dots != range)
		*min = strtoll(range, NULL, 10);
	if (dots[2] != '\0')
		*max = strtoll(dots + 2, NULL, 10);
}

const struct manifest_prop *
manifest_next(const struct manifest_prop *p)
{
	const struct row *r =
	    p == NULL ? manifest_rows : container_of(p, struct row, p) + 1;

	return r->p.name != NULL ? &r->p : NULL;
}

const struct manifest_prop *
manifest_find(const char *scope, const char *name)
{
	const struct row *r = row_find(scope, name);

	return r != NULL ? &r->p : NULL;
}

const char *
manifest_type_name(enum manifest_type type)
{
	static const char *const names[] = {
#define X(id, word) [MANIFEST_##id] = word,
		MANIFEST_TYPES(X)
#undef X
	};

	return names[type];
}

const char *
manifest_update_name(enum manifest_update update)
{
	static const char *const names[] = {
#define X(id, words) [MANIFEST_UPDATE_##id] = words,
		MANIFEST_UPDATES(X)
#undef X
	};

	return names[update];
}
