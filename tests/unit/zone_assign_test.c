/*
 * Slots and addresses that nobody chose; and the machine that the brand makes
 * of a configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bhyve/machine.h"
#include "tap.h"
#include "zone/assign.h"
#include "zone_util.h"

#define BASE                                                       \
	"set zonename=z; set zonepath=/zones/z; set brand=bhyve; " \
	"set uuid=1d5b8e7c-c004-4f69-bf0c-c98918e35bd5; "

static struct zone_conf *
conf_of(const char *text)
{
	struct zone_conf *conf = zone_conf_create();
	struct error err = ERROR_INIT;

	if (zone_apply(conf, BASE, &err) < 0 ||
	    zone_apply(conf, text, &err) < 0)
		tap_fail("%s", err.text);
	return conf;
}

/* "path=slot path=slot ..." of disks and nets, in their order */
static void
slots_of(const struct zone_conf *conf, char *buf, size_t size)
{
	buf[0] = '\0';
	for (size_t i = 0; i < zone_conf_count(conf); i++) {
		const struct zone_res *res = zone_conf_at(conf, i);
		const char *type = zone_res_type(res)->name, *name;
		size_t n = strlen(buf);
		struct zone_slot s;

		if (strcmp(type, "net") == 0)
			name = zone_res_get(res, "physical");
		else if (zone_res_is_disk(res))
			name = zone_res_disk_path(res);
		else
			continue;
		tap_check_int(zone_res_slot(res, &s), 0);
		snprintf(buf + n, size - n, "%s%s=%u:%u:%u", n > 0 ? " " : "",
		    name, s.bus, s.dev, s.func);
	}
}

#define DISK(path, more) "add disk; set path=" path "; " more "end; "
#define DEV(path, more)                   \
	"add device; set match=" path ";" \
	" add property (name=model,value=\"virtio\"); " more "end; "
#define NET(link, more) "add net; set physical=" link "; " more "end; "

static void
lowest_free_function(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ DISK("/a", ""), "/a=0:5:0" },
		{ DISK("/a", "set boot=true; "), "/a=0:4:0" },
		{ DISK("/a", "") DISK("/b", "set boot=true; ") DISK("/c", "")
			DISK("/d", "set media=cdrom; "),
		    "/a=0:5:0 /b=0:4:0 /c=0:5:1 /d=0:3:0" },
		/* what is said goes first, wherever it stands */
		{ DISK("/a", "") DISK("/b", "set pci-slot=5; "),
		    "/a=0:5:1 /b=0:5:0" },
		{ DEV("/a", "") DEV(
		      "/b", "add property (name=pci_slot,value=\"0:4:1\"); ")
			DEV("/c", "add property (name=boot,value=\"true\"); "),
		    "/a=0:5:0 /b=0:4:1 /c=0:4:0" },
		/* a device without a model is nothing that the guest sees */
		{ "add device; set match=/dev/x; end; " DISK("/a", ""),
		    "/a=0:5:0" },
		{ NET("net0", ""), "net0=0:6:0" },
		{ NET("net0", "") NET("net1", "set primary=true; "),
		    "net0=0:6:1 net1=0:6:0" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone_conf *conf = conf_of(rows[i].text);
		struct error err = ERROR_INIT;
		bool changed = false;
		char got[512];

		tap_context("row %zu", i);
		if (zone_assign(conf, &changed, &err) < 0)
			tap_fail("%s", err.text);
		slots_of(conf, got, sizeof(got));
		tap_check_str(got, rows[i].want);
		tap_check_int(changed, rows[i].want[0] != '\0');
		/* chosen once */
		changed = true;
		tap_check_int(zone_assign(conf, &changed, &err), 0);
		tap_check(!changed);
		zone_conf_free(conf);
	}
}

static void
refusals(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ DISK("/a", "set pci-slot=5; ")
			DISK("/b", "set pci-slot=0:5:0; "),
		    "disk /b: slot 0:5:0 is taken by /a" },
		{ DISK("/a", "set pci-slot=31; "), "the LPC bridge" },
		{ DISK("/a", "set pci-slot=0; "), "the host bridge" },
		{ DISK("/a", "set pci-slot=7:1; "),
		    "disk /a: nothing is at slot 0:7:0" },
		{ DISK("/0", "") DISK("/1", "") DISK("/2", "") DISK("/3", "")
			DISK("/4", "") DISK("/5", "") DISK("/6", "")
			    DISK("/7", "") DISK("/8", ""),
		    "disk /8: all 8 functions of PCI device 5 are taken" },
		{ NET("net0", "") NET("net1", ""), "none of the 2 nets" },
		{ NET("net0", "set primary=true; ")
			NET("net1", "set primary=true; "),
		    "net net1: primary: net0 is" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone_conf *conf = conf_of(rows[i].text);
		struct error err = ERROR_INIT;
		bool changed = false;

		tap_context("row %zu", i);
		tap_check(zone_assign(conf, &changed, &err) < 0);
		tap_check_has(err.text, rows[i].want);
		zone_conf_free(conf);
	}
}

static void
addresses_are_local_and_differ(void)
{
	struct zone_conf *conf = conf_of(NET("net0", "set primary=true; ")
		NET("net1", "") NET("net2", "set mac-addr=2:8:20:0:11:22; "));
	const struct zone_rtype *net = zone_rtype_find("net");
	const struct zone_res *res = NULL;
	const char *mac[3];
	struct error err = ERROR_INIT;
	bool changed = false;

	tap_check_int(zone_assign(conf, &changed, &err), 0);
	for (size_t i = 0; i < 3; i++) {
		res = zone_conf_next(conf, net, res);
		mac[i] = zone_res_get(res, "mac-addr");
		tap_check(mac[i] != NULL);
	}
	tap_check(strcmp(mac[0], mac[1]) != 0);
	tap_check_int(strtoul(mac[0], NULL, 16) & 3, 2);
	tap_check_str(mac[2], "2:8:20:0:11:22");
	zone_conf_free(conf);
}

/* ---- the machine ---- */

static void
describe(
    const char *text, char *const *args, struct buf *out, struct error *err)
{
	struct zone_conf *conf = conf_of(text);
	struct boot_request req = { conf, "/zones/z", args };
	struct nvlist *cmd = NULL;
	const struct nvlist *const *files;
	const char *const *argv;
	bool changed = false;
	size_t n;

	if (zone_assign(conf, &changed, err) == 0 &&
	    machine_describe(&req, &cmd, err) == 0) {
		tap_check_int(nvlist_get_strs(cmd, "bhyve_args", &argv, &n), 0);
		for (size_t i = 0; i < n; i++)
			buf_printf(out, "%s\n", argv[i]);
		tap_check_int(nvlist_get_lists(cmd, "files", &files, &n), 0);
		for (size_t i = 0; i < n; i++) {
			const char *path, *kind;
			bool ro;

			tap_check_int(
			    nvlist_get_str(files[i], "path", &path), 0);
			tap_check_int(
			    nvlist_get_str(files[i], "kind", &kind), 0);
			tap_check_int(
			    nvlist_get_bool(files[i], "readonly", &ro), 0);
			buf_printf(
			    out, "%s %s%s\n", kind, path, ro ? " ro" : "");
		}
	}
	nvlist_free(cmd);
	zone_conf_free(conf);
}

#define NOTHING ((char *const[]){ NULL })

static void
machines(void)
{
	static const struct {
		const char *text, *want; /* the second is a run of lines */
	} rows[] = {
		{ "",
		    "bhyve\n-U\n1d5b8e7c-c004-4f69-bf0c-c98918e35bd5\n-B\n"
		    "1,manufacturer=zhyve,product=SmartDC HVM,version=" },
		{ "", ",serial=1d5b8e7c-c004-4f69-bf0c-c98918e35bd5,sku=001," },
		/* nobody waits for metadata that nobody serves */
		{ "add lpc; set com2=none; end",
		    "1,manufacturer=zhyve,product=zhyve HVM,sku=001,"
		    "family=Virtual Machine\n" },
		{ "add lpc; set com2=/dev/zconsole; set com1=none; end",
		    "1,manufacturer=zhyve,product=zhyve HVM,sku=001,"
		    "family=Virtual Machine\n" },
		{ "add lpc; set com2=none; end",
		    "com1,/dev/zconsole\n-c\n1\n-m\n256\n" },
		{ "",
		    "-l\nbootrom,/usr/share/seabios/bios-256k.bin\n"
		    "-l\ncom1,/dev/zconsole\n-l\ncom2,socket,/tmp/vm.ttyb\n"
		    "-c\n1\n-m\n256\n" },
		{ "",
		    "file /usr/share/seabios/bios-256k.bin ro\n"
		    "console /dev/zconsole\nlisten /tmp/vm.ttyb\n"
		    "kvm /dev/kvm\n" },
		{ "add attr; set name=bootrom; set type=string; set "
		  "value=uefi; end",
		    "-l\nbootrom,/usr/share/OVMF/OVMF_CODE_4M.fd,"
		    "/zones/z/uefivars\n" },
		{ "add attr; set name=bootrom; set type=string; set "
		  "value=uefi; end",
		    "state /zones/z/uefivars\n" },
		{ "add guest; set kernel=/k; set cmdline=\"a 5% b\"; "
		  "set initrd=/i; end",
		    "boot.kernel=/k\n-o\nboot.initrd=/i\n-o\n"
		    "boot.cmdline=a 5%% b\n" },
		{ "add guest; set kernel=/k; set initrd=/i; end",
		    "file /k ro\nfile /i ro\n" },
		{ "add attr; set name=com2; set type=string; "
		  "set value=\"socket,/tmp/vm.ttyb\"; end",
		    "-l\ncom2,socket,/tmp/vm.ttyb\n" },
		{ "add attr; set name=com2; set type=string; "
		  "set value=\"socket,/tmp/vm.ttyb,wait\"; end",
		    "listen /tmp/vm.ttyb\n" },
		{ DEV("/dev/zvol/rdsk/d",
		      "add property (name=notrim,"
		      "value=\"true\"); "
		      "add property (name=boot,value=\"true\"); "
		      "add property (name=guest_block_size,"
		      "value=\"4096\"); "),
		    "-s\n0:4:0,virtio-blk,/dev/zvol/rdsk/d,nodelete,"
		    "sectorsize=4096\n" },
		{ DISK("/cd.iso", "set media=cdrom; set model=ahci; "),
		    "-s\n0:3:0,ahci-cd,/cd.iso,ro\n" },
		{ DISK("/cd.iso", "set media=cdrom; "), "disk /cd.iso ro\n" },
		{ NET("net0", "set mac-addr=2:8:20:0:11:22; "),
		    "-s\n0:6:0,virtio-net,net0,type=tap,mac=2:8:20:0:11:22\n" },
		{ NET("net0", ""), "tap net0\n" },
		/* a pair of queues for each CPU, as many as there can be */
		{ NET("net0",
		      "set mtu=9000; set mac-addr=2:8:20:0:11:22; "
		      "set primary=true; ")
			NET("net1", "") "add vcpu; set ncpus=4; end",
		    "type=tap,mac=2:8:20:0:11:22,queues=4,mtu=9000\n" },
		{ NET("net0", "") "add vcpu; set ncpus=64; end",
		    ",queues=16\n" },
		{ "add vcpu; set ncpus=4; add pin (vcpu=1,cpu=3); end",
		    "-c\n4\n-m\n256\n-p\n1:3\n" },
		{ "add guest; set engine=soft; set rng=true; "
		  "set options=\"  -S\t-e \"; end",
		    "-o\nengine=soft\n-s\n10,virtio-rnd\n-S\n-e\nSYSbhyve-" },
		{ "add guest; set virtio-legacy=true; end",
		    "-o\nvirtio.legacy=true\n" },
		/* SmartOS's default: devices of both kinds serve it */
		{ "add guest; set virtio-modern=false; end",
		    "-o\nvirtio.legacy=true\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		struct buf out;

		tap_context("row %zu", i);
		buf_init(&out, 1 << 16);
		describe(rows[i].text, NOTHING, &out, &err);
		if (err.code != 0)
			tap_fail("%s", err.text);
		tap_check_has(buf_str(&out), rows[i].want);
		buf_fini(&out);
	}
}

/* The supervisor makes the link from what the hook says of it. */
static void
a_tap_has_its_link(void)
{
	struct zone_conf *conf = conf_of(NET("net0",
	    "set global-nic=admin; set vlan-id=7; set "
	    "ips=10.0.0.5/24; ") "add vcpu; set ncpus=3; end");
	const struct nvlist *const *files = NULL;
	const struct nvlist *link = NULL;
	struct error err = ERROR_INIT;
	struct nvlist *cmd = NULL;
	bool changed = false;
	const char *text;
	uint64_t v = 0;
	size_t n = 0;

	if (zone_assign(conf, &changed, &err) < 0 ||
	    machine_describe(
		&(struct boot_request){ conf, "/z", (char *const[]){ NULL } },
		&cmd, &err) < 0)
		tap_fail("%s", err.text);
	tap_check_int(nvlist_get_lists(cmd, "files", &files, &n), 0);
	for (size_t i = 0; i < n && link == NULL; i++)
		(void)nvlist_get_list(files[i], "link", &link);
	tap_check(link != NULL);
	tap_check_int(nvlist_get_str(link, "zone", &text), 0);
	tap_check_str(text, "z");
	tap_check_int(nvlist_get_str(link, "tag", &text), 0);
	tap_check_str(text, "admin");
	tap_check_int(nvlist_get_u64(link, "vlan", &v), 0);
	tap_check_u64(v, 7);
	tap_check_int(nvlist_get_u64(link, "queues", &v), 0);
	tap_check_u64(v, 3);
	nvlist_free(cmd);
	zone_conf_free(conf);
}

static void
boot_arguments_go_to_the_kernel(void)
{
	char one[] = "single", two[] = "x=1";
	struct error err = ERROR_INIT;
	struct buf out;

	buf_init(&out, 1 << 16);
	describe("add guest; set kernel=/k; set cmdline=quiet; end",
	    (char *const[]){ one, two, NULL }, &out, &err);
	tap_check_has(buf_str(&out), "boot.cmdline=quiet single x=1\n");
	buf_fini(&out);
}

static void
machines_refused(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ DISK("\"/a,b\"", ""), "disk /a,b: path '/a,b': a value" },
		{ DISK("/cd", "set model=nvme; set media=cdrom; "),
		    "disk /cd: model 'nvme' cannot be a CD" },
		{ "add attr; set name=bootrom; set type=string; "
		  "set value=coreboot; end",
		    "lpc: bootrom 'coreboot' is neither" },
		{ "add attr; set name=com1; set type=string; "
		  "set value=\"tcp=1\"; end",
		    "lpc: com1 'tcp=1': in a zone" },
		{ NET("net0", "set model=e1000; "), "net net0: model 'e1000'" },
		{ NET("net0", "add property (name=ips,value=\"x\"); "),
		    "net net0: ips: 'x' is wrong" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		struct buf out;

		tap_context("row %zu", i);
		buf_init(&out, 1 << 16);
		describe(rows[i].text, NOTHING, &out, &err);
		tap_check(err.code != 0);
		tap_check_has(err.text, rows[i].want);
		buf_fini(&out);
	}
}

static const struct tap_test tests[] = { TAP_TEST(lowest_free_function),
	TAP_TEST(refusals), TAP_TEST(addresses_are_local_and_differ),
	TAP_TEST(machines), TAP_TEST(a_tap_has_its_link),
	TAP_TEST(boot_arguments_go_to_the_kernel), TAP_TEST(machines_refused) };
TAP_MAIN(tests)
