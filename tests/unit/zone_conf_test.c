/*
 * The model: statements, resources, aliases, rules.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "tap.h"
#include "zone/complete.h"
#include "zone/stmt.h"
#include "zone/text.h"
#include "zone/verify.h"
#include "zone_util.h"

#define BASE "set zonename=z; set zonepath=/zones/z; set brand=bhyve;"

/* A configuration from statements, which must be right. */
static struct zone_conf *
conf_of(const char *text)
{
	struct zone_conf *conf = zone_conf_create();
	struct error err = ERROR_INIT;

	if (zone_apply(conf, text, &err) < 0)
		tap_fail("%s", err.text);
	return conf;
}

static struct zone_brand *
bhyve(void)
{
	struct zone_brand *b = NULL;
	struct error err = ERROR_INIT;

	if (zone_brand_load(BRAND_DIR, "bhyve", &b, &err) < 0)
		tap_fail("%s", err.text);
	return b;
}

/* Statements on top of BASE, and the error that one of them must make. */
static void
refused(const char *text, const char *want)
{
	struct zone_conf *conf = conf_of(BASE);
	struct error err = ERROR_INIT;

	tap_context("%s", text);
	tap_check(zone_apply(conf, text, &err) < 0);
	tap_check_has(err.text, want);
	zone_conf_free(conf);
}

static void
unverified(const char *text, const char *want)
{
	struct zone_brand *b = bhyve();
	struct zone_conf *conf = conf_of(BASE);
	struct error err = ERROR_INIT;

	tap_context("%s", text);
	if (zone_apply(conf, text, &err) < 0)
		tap_fail("%s", err.text);
	if (want == NULL) {
		if (zone_verify(conf, b, &err) < 0)
			tap_fail("%s", err.text);
	} else {
		tap_check(zone_verify(conf, b, &err) < 0);
		tap_check_has(err.text, want);
	}
	zone_conf_free(conf);
	zone_brand_free(b);
}

static void
statements(void)
{
	static const struct {
		const char *text, *want; /* NULL: right */
	} cases[] = {
		{ "set a=b", NULL },
		{ "set a=\"b c\"", NULL },
		{ "set a=\"\"", NULL },
		{ "add net", NULL },
		{ "set o=[a,b]", NULL },
		{ "set o=[]", NULL },
		{ "add p (name=a,value=\"b\")", NULL },
		{ "set o=[(name=a,value=b),(name=c,value=d)]", NULL },
		{ "?", NULL },
		{ "create -F -t x", NULL },
		{ "create -tx", NULL },
		{ "export -f \"a b\"", NULL },
		{ "sett a=b", "did you mean 'set'?" },
		{ "=", "a command is due" },
		{ "set a=", "the line ends where a value is due" },
		{ "set a=b=c", "needs double quotes" },
		{ "set a=\"b", "closing double quote" },
		{ "set a=[b", "',' or ']' is due" },
		{ "set a=[b,", "a value is due" },
		{ "set a=[,]", "at ',]': a value is due" },
		{ "set a=[[b]]", "a value is due" },
		{ "set a=(b)", "'=' is due" },
		{ "set a=(b=c", "',' or ')' is due" },
		{ "set a=(b=c,d=e,f=g,h=i,j=k)", "too many parts" },
		{ "create -Z", "no such option; usage: create" },
		{ "create -t", "an option has no argument" },
		{ "create -", "no such option" },
	};
	struct zone_stmt *st;
	struct error err;
	const char *p;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		tap_context("%s", cases[i].text);
		err = (struct error)ERROR_INIT;
		p = cases[i].text;
		if (cases[i].want == NULL) {
			tap_check_int(zone_stmt_parse(&p, &st, &err), 1);
			zone_stmt_free(st);
			tap_check_int(zone_stmt_parse(&p, &st, &err), 0);
		} else {
			tap_check(zone_stmt_parse(&p, &st, &err) < 0);
			tap_check_has(err.text, cases[i].want);
		}
	}
}

static void
statements_are_separated(void)
{
	const char *p = " # a comment; not a statement\n;; set a=b#c ;"
			"set d=\"e;f\"\nend # no comment here\n";
	struct zone_stmt *st = NULL;
	struct error err = ERROR_INIT;

	tap_check_int(zone_stmt_parse(&p, &st, &err), 1);
	tap_check_str(st->args[0].values[0].text, "b#c");
	zone_stmt_free(st);
	tap_check_int(zone_stmt_parse(&p, &st, &err), 1);
	tap_check_str(st->args[0].values[0].text, "e;f");
	zone_stmt_free(st);
	tap_check_int(zone_stmt_parse(&p, &st, &err), 1);
	tap_check_u64(st->verb, ZONE_VERB_END);
	tap_check_u64(st->nargs, 4);
	zone_stmt_free(st);
	tap_check_int(zone_stmt_parse(&p, &st, &err), 0);
}

static void
values_are_checked(void)
{
	refused("set autoboot=maybe",
	    "autoboot: 'maybe' is wrong; it takes "
	    "true or false");
	refused("set brandd=x", "did you mean 'brand'?");
	refused("set ip-type=exclusiv", "did you mean 'exclusive'?");
	refused("set hostid=ffffffff", "hostid: ");
	refused("clear zonepath", "zonepath: every zone must have one");
	refused("add net; set vlan-id=4095; end",
	    "vlan-id: 4095 is not in "
	    "0..4094");
	refused("add net; set physical=[a,b]; end", "takes one value");
	refused("add net; set physical=(a=b); end", "takes a plain value");
	refused("add net; end", "net: physical is missing");
	refused("add fs; set dir=x; end", "must begin with '/'");
	refused("add rctl; set name=zone.max-lwps; end", "value is missing");
	refused("add rctl; set name=zone.max-lpws; end",
	    "did you mean 'zone.max-lwps'?");
	refused("add rctl; add value 1; end", "not of the form (priv=...");
	refused("add rctl; add value (priv=privileged,limit=1); end",
	    "'action' is missing");
	refused("add rctl; add value (priv=privileged,limit=1,actoin=none)",
	    "did you mean 'action'?");
	refused("add rctl; add value (priv=a,limit=1,action=none)", "priv: ");
	refused("add rctl; add value (limit=1,limit=2)", "given twice");
	refused("add fs; add options a; add options a", "in the list already");
	refused("add fs; remove options a", "no such value");
	refused("add net; add physical a", "is no list");
	refused("add capped-memory; end", "no property is set");
	refused("set cpu-shares=0", "0 is not in 1..65535");
}

static void
keys_are_unique(void)
{
	refused("add net; set physical=a; end; add net; set physical=a; end",
	    "net: there is one with physical 'a' already");
	refused("add attr; set name=a; set type=int; set value=1; end;"
		"add attr; set name=a; set type=uint; set value=2; end",
	    "attr: there is one with name 'a' already");
	refused("add capped-cpu; set ncpus=1; end;"
		"add capped-cpu; set ncpus=2; end",
	    "has only one; use 'select capped-cpu'");
	refused("add lpc; set com1=a; end; add lpc; set com2=b; end",
	    "use 'select lpc'");
}

static void
controls_have_aliases(void)
{
	struct zone_conf *conf =
	    conf_of(BASE "set cpu-shares=7;"
			 "add capped-cpu; set ncpus=1.25; end;"
			 "add capped-memory; set physical=1G;"
			 "set locked=512M; end");
	const struct zone_res *r;
	struct error err = ERROR_INIT;
	uint64_t v;
	struct buf b;

	tap_check_int(zone_conf_limit(conf, "zone.cpu-cap", &v), 0);
	tap_check_u64(v, 125);
	tap_check_has(zone_export_text(conf, &b),
	    "add value (priv=privileged,limit=536870912,action=deny)");
	tap_check(strstr((char *)b.data, "cpu-shares=") == NULL);
	tap_check(strstr((char *)b.data, "capped-cpu") == NULL);
	buf_fini(&b);
	/* gone with the control, changed with it */
	tap_check_int(zone_apply(conf, "clear cpu-shares", &err), 0);
	tap_check(zone_conf_get(conf, "cpu-shares") == NULL);
	tap_check_int(zone_conf_limit(conf, "zone.cpu-shares", &v), -ENOENT);
	r = zone_conf_first(conf, "capped-memory");
	tap_check_str(zone_res_get(r, "locked"), "512M");
	tap_check_str(zone_res_get(r, "physical"), "1G");
	zone_conf_free(conf);
	/* a control that says more has no alias */
	conf = conf_of(BASE "add rctl; set name=zone.max-lwps;"
			    "add value (priv=privileged,limit=200,action=deny);"
			    "add value (priv=privileged,limit=100,action=none);"
			    "end");
	tap_check(zone_conf_get(conf, "max-lwps") == NULL);
	tap_check_int(zone_apply(conf, "set max-lwps=300", &err), -EBUSY);
	tap_check_has(err.text, "select rctl name=zone.max-lwps");
	tap_check_int(zone_conf_limit(conf, "zone.max-processes", &v), 0);
	tap_check_u64(v, 200);
	zone_conf_free(conf);
}

static void
dropping_takes_the_control_along(void)
{
	struct zone_conf *conf = conf_of(BASE
	    "add capped-cpu; set ncpus=2; end; add net; set physical=n; end");

	tap_check_u64(zone_conf_count(conf), 3);
	for (size_t i = 0; i < zone_conf_count(conf); i++)
		if (strcmp(zone_res_type(zone_conf_at(conf, i))->name,
			"capped-cpu") == 0) {
			tap_check_int(zone_conf_drop(conf, i, NULL), 0);
			break;
		}
	tap_check_u64(zone_conf_count(conf), 1);
	tap_check(zone_conf_first(conf, "net") != NULL);
	zone_conf_free(conf);
}

static void
other_names_are_found(void)
{
	struct zone_conf *conf = conf_of(BASE
	    "add attr; set name=vcpus; set type=string; set value=3; end;"
	    "add attr; set name=console; set type=string; set value=x; end;"
	    "add device; set match=/dev/x; add property "
	    "(name=pci_slot,value=7);"
	    "end; add vcpu; set ncpus=2; end");
	const struct zone_res *r = zone_conf_first(conf, "device");

	tap_check_str(zone_conf_lookup(conf, "vcpu", "ncpus"), "2");
	tap_check_str(zone_conf_lookup(conf, "lpc", "com1"), "x");
	tap_check_str(zone_conf_lookup(conf, "capped-memory", "guest"), "256");
	tap_check_str(
	    zone_conf_lookup(conf, "lpc", "com2"), "socket,/tmp/vm.ttyb");
	tap_check(zone_conf_lookup(conf, "lpc", "com3") == NULL);
	tap_check_str(zone_res_lookup(r, "pci-slot"), "7");
	tap_check_str(zone_res_lookup(r, "model"), "virtio");
	tap_check_str(zone_res_pair(r, "pci_slot"), "7");
	tap_check(zone_res_pair(r, "nothing") == NULL);
	zone_conf_free(conf);
}

static void
rules(void)
{
	unverified("", NULL);
	unverified("set zonepath=/", "zonepath: '/' belongs to the host");
	unverified("set ip-type=shared", "with brand bhyve it is always");
	unverified("add security-flags; set lower=x; end",
	    "zones of brand bhyve have no such resource");
	unverified("set fs-allowed=ufs", "brand bhyve has no property");
	unverified("add net; set physical=a; set address=10.0.0.1; end",
	    "has no property address");
	unverified("add fs; set dir=/a; set special=x; set type=lofs; end",
	    "special 'x' must begin with '/'");
	unverified("add fs; set dir=/a; set special=/x; set type=nfs; end",
	    "type 'nfs' cannot be given");
	unverified("add fs; set dir=/; set special=/x; set type=lofs; end",
	    "zone's own root");
	unverified("add net; set physical=a; set mac-addr=2:0:0:0:0:1; end;"
		   "add net; set physical=b; set mac-addr=02:0:0:0:0:01; end",
	    "is that of net a");
	unverified("add net; set physical=a; set primary=true; end;"
		   "add net; set physical=b;"
		   "add property (name=primary,value=true); end",
	    "net a is the primary one");
	unverified("add rctl; set name=zone.max-lwps;"
		   "add value (priv=basic,limit=1,action=none); end",
	    "limits are 'privileged'");
	unverified(
	    "add attr; set name=zonex; set type=string; set value=a; end",
	    "reserved");
	unverified("add attr; set name=a; set type=boolean; set value=1; end",
	    "attr a: value: '1' is not one of true|false");
	unverified("add attr; set name=a; set type=uint; set value=-1; end",
	    "attr a: value");
	unverified("add attr; set name=ram; set type=string; set value=x; end",
	    "attr ram: value: 'x' is wrong; it takes a number of MiB");
	unverified(
	    "add attr; set name=rng; set type=string; set value=yes; end",
	    NULL);
	unverified(
	    "add attr; set name=vcpus; set type=string; set value=2; end;"
	    "add vcpu; set ncpus=3; end",
	    "attr vcpus says '2' and vcpu ncpus says '3'");
	unverified(
	    "add attr; set name=vcpus; set type=string; set value=3; end;"
	    "add vcpu; set ncpus=3; end",
	    NULL);
	unverified("add device; set match=/d;"
		   "add property (name=model,value=floppy); end",
	    "device /d: property model: 'floppy' is not one of");
	unverified("add disk; set path=/a; set boot=true; end;"
		   "add device; set match=/b;"
		   "add property (name=boot,value=true); end",
	    "boot: /b is the boot disk already");
	unverified("add disk; set path=/a; set pci-slot=0:5:0; end;"
		   "add net; set physical=b; set pci-slot=5; end",
	    "pci-slot '5' (0:5:0) is taken");
	unverified("set cpu-shares=1; add dedicated-cpu; set ncpus=1; end",
	    "dedicated-cpu and cpu-shares exclude each other");
	unverified("add capped-cpu; set ncpus=1; end;"
		   "add dedicated-cpu; set ncpus=1; end",
	    "dedicated-cpu and capped-cpu exclude each other");
	unverified("add capped-memory; set physical=1G; set locked=2G; end",
	    "locked '2G' is more than physical '1G'");
	unverified("add vcpu; set ncpus=2; add pin (vcpu=2,cpu=0); end",
	    "there is no virtual CPU 2");
}

#define NET(name, text) "add net; set physical=" name "; " text " end; "

static void
rules_of_nets(void)
{
	unverified(NET("a",
		       "set ips=10.0.0.5/24,fd00::5/64;"
		       "set gateways=10.0.0.1,fe80::1,fd00::1;"
		       "set vlan-id=20;"),
	    NULL);
	unverified(NET("a", "set ips=10.0.0.0/24;"),
	    "net a: ips: 10.0.0.0/24 is the address of the network itself");
	unverified(NET("a", "set ips=10.0.0.255/24;"),
	    "net a: ips: 10.0.0.255/24 is the broadcast address of its "
	    "network");
	unverified(NET("a", "set ips=fd00::/64;"),
	    "net a: ips: fd00::/64 is the address of the network itself");
	unverified(NET("a",
		       "set ips=10.0.0.4/31,10.0.1.5/31,10.0.2.0/32,"
		       "fd00::/127,fd00:1::ffff/112;"),
	    NULL);
	unverified(NET("a", "set ips=127.0.0.1/8;"),
	    "net a: ips: 127.0.0.1/8 is no address that a NIC can have");
	unverified(NET("a", "set ips=224.0.0.1/24;"), "224.0.0.1/24 is no");
	unverified(NET("a", "set ips=255.255.255.255/32;"), "is no address");
	unverified(NET("a", "set ips=ff02::1/64;"), "ff02::1/64 is no address");
	unverified(NET("a", "set ips=::1/128;"), "::1/128 is no address");
	unverified(NET("a", "set allowed-address=10.0.0.255/24;"),
	    "net a: allowed-address: 10.0.0.255/24 is the broadcast");
	unverified(NET("a",
		       "add property (name=ip,value=\"10.0.0.0\");"
		       "add property (name=netmask,value=\"255.255.255.0\");"),
	    "net a: ip: 10.0.0.0/24 is the address of the network itself");
	unverified(NET("a", "set ips=10.0.0.5/24; set gateways=10.0.1.1;"),
	    "net a: gateways: 10.0.1.1 is in no network of ips");
	unverified(NET("a", "set ips=10.0.0.5/24; set gateways=fd00::1;"),
	    "net a: gateways: fd00::1 is in no network of ips");
	unverified(NET("a",
		       "set allowed-address=10.0.0.5/24;"
		       "set defrouter=10.0.1.1;"),
	    "net a: defrouter: 10.0.1.1 is in no network of allowed-address");
	unverified(NET("a", "set ips=10.0.0.5/24; set gateways=10.0.0.5;"),
	    "net a: gateways: 10.0.0.5 is the guest's own address");
	unverified(NET("a", "set gateways=0.0.0.0;"),
	    "net a: gateways: 0.0.0.0 is no address that a router can have");
	/* of these nobody knows the network */
	unverified(
	    NET("a", "set ips=10.0.0.5/24,dhcp; set gateways=10.9.0.1;"), NULL);
	unverified(
	    NET("a", "set ips=10.0.0.5/32; set gateways=10.9.0.1;"), NULL);
	unverified(NET("a", "set ips=10.0.0.5/24,10.0.0.5/16;"),
	    "net a: ips: 10.0.0.5 is given to net a already");
	unverified(NET("a", "set ips=10.0.0.5/24;")
		       NET("b", "set ips=10.0.0.6/24,10.0.0.5/24;"),
	    "net b: ips: 10.0.0.5 is given to net a already");
	unverified(NET("a", "set hostfwd=\"tcp::2222-:22\";"),
	    "net a: hostfwd: only with global-nic slirp");
	unverified(NET("a", "set global-nic=slirp; set vlan-id=7;"),
	    "net a: vlan-id: there is none with global-nic slirp");
	unverified(NET("a", "set global-nic=slirp; set maxbw=7;"),
	    "net a: maxbw: there is none");
	unverified(NET("a",
		       "set global-nic=slirp;"
		       "set blocked-outgoing-ports=25;"),
	    "net a: blocked-outgoing-ports: there is none");
	unverified(
	    NET("a", "set global-nic=slirp; set hostfwd=\"tcp::2222-:22\";"),
	    NULL);
	unverified(NET("a", "add property (name=mtu,value=\"100\");"),
	    "net a: property mtu: 100 is not in 576..9216");
	/* as SmartOS leaves it where there is none */
	unverified(NET("a", "add property (name=gateway,value=\"\");"), NULL);
	unverified("add attr; set name=hostname; set type=string;"
		   "set value=-web; end",
	    "attr hostname: value: '-web' is wrong; it takes parts of letters");
	unverified("add attr; set name=owner-uuid; set type=string;"
		   "set value=me; end",
	    "attr owner-uuid: value: 'me' is wrong; it takes a UUID");
	unverified("add attr; set name=internal-metadata-namespaces;"
		   "set type=string; set value=\"docker,b:c\"; end",
	    "attr internal-metadata-namespaces: value: 'b:c' is wrong");
	unverified("add attr; set name=internal-metadata-namespaces;"
		   "set type=string; set value=\"docker,\"; end",
	    "attr internal-metadata-namespaces: value: '' is wrong");
	unverified("add attr; set name=resolvers; set type=string;"
		   "set value=192.0.2.53/24; end",
	    "attr resolvers: value: '192.0.2.53/24' is wrong; it takes IP "
	    "addresses without /prefix");
}

static void
rules_without_a_brand(void)
{
	struct zone_conf *conf =
	    conf_of("set zonename=z; set zonepath=/z; set brand=other;"
		    "add net; set physical=a; end");
	struct error err = ERROR_INIT;

	tap_check(zone_verify(conf, NULL, &err) < 0);
	tap_check_has(err.text, "address is missing; ip-type shared needs it");
	tap_check_int(zone_apply(conf, "set ip-type=exclusive", &err), 0);
	tap_check_int(zone_verify(conf, NULL, &err), 0);
	zone_conf_free(conf);
	conf = conf_of("set zonename=z; set zonepath=/z");
	tap_check(zone_verify(conf, NULL, &err) < 0);
	tap_check_has(err.text, "brand is not set");
	zone_conf_free(conf);
}

static void
secrets_are_seen(void)
{
	struct zone_conf *conf = conf_of(BASE);

	tap_check(!zone_conf_secret(conf));
	tap_check_int(zone_apply(conf,
			  "add attr; set name=vnc_password; set type=string;"
			  "set value=x; end",
			  NULL),
	    0);
	tap_check(zone_conf_secret(conf));
	zone_conf_free(conf);
	conf = conf_of(BASE "add vnc; set password=x; end");
	tap_check(zone_conf_secret(conf));
	zone_conf_free(conf);
}

static void
random_zones_survive(void)
{
	struct zone_conf *a, *b;
	struct error err = ERROR_INIT;
	struct buf first, second;

	for (uint64_t seed = 0; seed < 400; seed++) {
		tap_context("seed %d", (int)seed);
		a = zone_random(seed, NULL, "z");
		b = zone_conf_create();
		zone_export_text(a, &first);
		if (zone_apply(b, (char *)first.data, &err) < 0)
			tap_fail("%s\n%s", err.text, (char *)first.data);
		tap_check_int(zone_conf_set_text(b, "zonename", "z", NULL), 0);
		tap_check_str(zone_export_text(b, &second), (char *)first.data);
		tap_check(zone_conf_equal(a, b));
		buf_fini(&first);
		buf_fini(&second);
		zone_conf_free(a);
		zone_conf_free(b);
	}
}

/* What is exported makes the same zone. */
static void
same_again(const struct zone_conf *conf)
{
	struct zone_conf *copy = zone_conf_create();
	struct buf b;

	tap_check_int(zone_apply(copy, zone_export_text(conf, &b), NULL), 0);
	tap_check_int(zone_conf_set_text(copy, "zonename", "z", NULL), 0);
	tap_check(zone_conf_equal(conf, copy));
	zone_conf_free(copy);
	buf_fini(&b);
}

/* Whatever allocation fails, the configuration is the old or the new one. */
static void
memory_runs_out(void)
{
	static const char text[] =
	    "set cpu-shares=2; add capped-memory; set swap=1G; set physical=2G;"
	    "end; add net; set physical=a; add property (name=b,value=c); end;"
	    "clear cpu-shares; set bootargs=x";
	struct error err;
	int rc = -1;

	for (unsigned long n = 1; rc < 0; n++) {
		struct zone_conf *conf = conf_of(BASE);

		err = (struct error)ERROR_INIT;
		alloc_fail_at(n);
		rc = zone_apply(conf, text, &err);
		alloc_fail_at(0);
		if (rc < 0) {
			tap_check(err.code != 0);
			same_again(conf);
		}
		zone_conf_free(conf);
		tap_check(n < 5000);
	}
}

static void
collect(void *arg, const char *word)
{
	strcat(strcat(arg, word), " ");
}

static void
completion(void)
{
	struct zone_brand *b = bhyve();
	struct zone_conf *conf =
	    conf_of(BASE "add net; set physical=net7; end");
	struct zone_res *net = zone_res_create(zone_rtype_find("net"));
	char words[8192];
	struct zone_complete c = { conf, b, NULL, collect, words };
	static const struct {
		const char *line, *want;
		bool in_net;
	} cases[] = {
		{ "re", "remove revert " },
		{ "set auto", "autoboot= " },
		{ "set autoboot=", "autoboot=true autoboot=false " },
		{ "add sec", "" },
		{ "add capped-", "capped-cpu capped-memory " },
		{ "select ", "net " },
		{ "select net phy", "physical= " },
		{ "select net physical=", "physical=net7 " },
		{ "add net; set ip-t", "ip-type= " },
		{ "create -", "-F -b -a -t -X " },
		{ "set mac", "mac-addr= ", true },
		{ "add ", "property ", true },
		{ "c", "cancel clear ", true },
		{ "nosuch x", "" },
		{ "set allow-ip-spoofing=t", "allow-ip-spoofing=true ", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		tap_context("%s", cases[i].line);
		words[0] = '\0';
		c.res = cases[i].in_net ? net : NULL;
		(void)zone_complete(&c, cases[i].line);
		tap_check_str(words, cases[i].want);
	}
	c.conf = NULL;
	c.res = NULL;
	words[0] = '\0';
	(void)zone_complete(&c, "");
	tap_check_str(words, "create exit help ");
	zone_res_free(net);
	zone_conf_free(conf);
	zone_brand_free(b);
}

static const struct tap_test tests[] = {
	TAP_TEST(statements),
	TAP_TEST(statements_are_separated),
	TAP_TEST(values_are_checked),
	TAP_TEST(keys_are_unique),
	TAP_TEST(controls_have_aliases),
	TAP_TEST(dropping_takes_the_control_along),
	TAP_TEST(other_names_are_found),
	TAP_TEST(rules),
	TAP_TEST(rules_of_nets),
	TAP_TEST(rules_without_a_brand),
	TAP_TEST(secrets_are_seen),
	TAP_TEST(random_zones_survive),
	TAP_TEST(memory_runs_out),
	TAP_TEST(completion),
};
TAP_MAIN(tests)
