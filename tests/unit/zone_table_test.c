/*
 * The table agrees with itself, and values are what their types say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tap.h"
#include "zone/stmt.h"
#include "zone/table.h"
#include "zone/type.h"

#define FOREACH_TYPE(t) \
	for (const struct zone_rtype *t = zone_rtypes; t->name; t++)
#define FOREACH_PROP(t, p) \
	for (const struct zone_prop *p = (t)->props; p->name; p++)

static void
names_differ(void)
{
	FOREACH_TYPE(t)
	{
		tap_context("%s", t->name);
		if (t != ZONE_GLOBAL)
			tap_check(zone_rtype_find(t->name) == t);
		FOREACH_PROP(t, p)
		tap_check(zone_prop_find(t, p->name) == p);
		tap_check(t->help != NULL && t->help[0] != '\0');
		tap_check(t->help[strlen(t->help) - 1] != '.');
	}
	/* 'info X' and 'help X' take either */
	FOREACH_PROP(ZONE_GLOBAL, p)
	{
		tap_context("%s", p->name);
		tap_check(zone_rtype_find(p->name) == NULL);
	}
}

static void
rows_are_whole(void)
{
	char *kept;

	FOREACH_TYPE(t)
	FOREACH_PROP(t, p)
	{
		tap_context("%s %s", t->name, p->name);
		tap_check(p->help != NULL && p->help[0] != '\0');
		tap_check(p->help[strlen(p->help) - 1] != '.');
		tap_check((p->xml != NULL) != (p->rctl != NULL));
		tap_check((p->rctl == NULL) == (p->action == NULL));
		tap_check(p->fields == NULL || (p->flags & ZP_LIST));
		tap_check(zone_field_count(p) <= ZONE_FIELDS_MAX);
		if (p->type == ZONE_ENUM || p->type == ZONE_WORDS)
			tap_check(strchr(p->range, '|') != NULL);
		if (p->flags & ZP_ALWAYS)
			tap_check(p->dflt != NULL);
		if (p->dflt == NULL)
			continue;
		tap_check_int(
		    zone_type_check(p->type, p->range, p->dflt, &kept, NULL),
		    0);
		tap_check_str(kept, p->dflt);
		free(kept);
	}
}

static void
xml_names_differ(void)
{
	FOREACH_TYPE(t)
	FOREACH_PROP(t, p)
	for (const struct zone_prop *q = t->props; q != p; q++) {
		tap_context("%s %s", t->name, p->name);
		tap_check(p->xml == NULL || q->xml == NULL ||
		    strcmp(p->xml, q->xml) != 0);
	}
	FOREACH_TYPE(t)
	for (const struct zone_rtype *u = zone_rtypes; u != t; u++)
		tap_check(t->xml == NULL || u->xml == NULL ||
		    strcmp(t->xml, u->xml) != 0);
}

static void
aliases_are_one_rows(void)
{
	const struct zone_rtype *t = NULL;
	const struct zone_prop *p;

	p = zone_attr_row("ram", &t);
	tap_check_str(t->name, "capped-memory");
	tap_check_str(p->name, "guest");
	p = zone_attr_row("console", &t);
	tap_check_str(p->name, "com1");
	tap_check(zone_attr_row("no-such", &t) == NULL);
	tap_check(zone_attr_row("", &t) == NULL);
	p = zone_pair_row(zone_rtype_find("device"), "pci_slot");
	tap_check_str(p->name, "pci-slot");
	tap_check(zone_pair_row(zone_rtype_find("net"), "ram") == NULL);
	/* a name is an alias of one row of single resources only */
	FOREACH_TYPE(u)
	FOREACH_PROP(u, q)
	{
		char *copy, *save = NULL;

		if (q->aliases == NULL || !(u->flags & ZR_SINGLE))
			continue;
		copy = strdup(q->aliases);
		for (char *a = strtok_r(copy, ",", &save); a != NULL;
		     a = strtok_r(NULL, ",", &save)) {
			tap_context("%s", a);
			tap_check(zone_attr_row(a, &t) == q);
		}
		free(copy);
	}
}

static void
verbs_are_whole(void)
{
	for (size_t i = 0; i < ZONE_NVERBS; i++) {
		tap_context("%s", zone_verbs[i].name);
		tap_check(strncmp(zone_verbs[i].usage, zone_verbs[i].name,
			      strlen(zone_verbs[i].name)) == 0);
		for (const char *o = zone_verbs[i].opts; *o != '\0'; o++)
			tap_check(*o == ':' ||
			    strchr(zone_verbs[i].usage, *o) != NULL);
	}
}

static void
errors_name_the_nearest(void)
{
	const struct zone_rtype *t = NULL;
	const struct zone_prop *p = NULL;
	struct error err = ERROR_INIT;

	tap_check_int(zone_rtype_get("nett", &t, &err), -ENOENT);
	tap_check_has(err.text, "did you mean 'net'?");
	tap_check_int(
	    zone_prop_get(zone_rtype_find("net"), "vlan_id", &p, &err),
	    -ENOENT);
	tap_check_str(err.text,
	    "'vlan_id' is no property of resource net; did you mean "
	    "'vlan-id'?");
	tap_check_int(zone_prop_get(ZONE_GLOBAL, "debugid", &p, &err), -ENOENT);
	tap_check(t == NULL && p == NULL);
}

struct type_case {
	enum zone_type type;
	const char *range, *text;
	const char *kept; /* NULL: refused */
};

static const struct type_case cases[] = {
	{ ZONE_STRING, NULL, "", "" },
	{ ZONE_STRING, NULL, "a b=c;#", "a b=c;#" },
	{ ZONE_STRING, NULL, "a\"b", NULL },
	{ ZONE_STRING, NULL, "a\nb", NULL },
	{ ZONE_STRING, NULL, "\x7f", NULL },
	{ ZONE_STRING, NULL, "\xff", NULL },
	{ ZONE_STRING, NULL, "\xc0\x80", NULL },
	{ ZONE_STRING, NULL, "\xed\xa0\x80", NULL },
	{ ZONE_STRING, NULL, "\xef\xbf\xbf", NULL },
	{ ZONE_STRING, NULL, "\xf4\x90\x80\x80", NULL },
	{ ZONE_STRING, NULL, "\xe2\x82", NULL },
	{ ZONE_STRING, NULL, "\xe2\x82\xac", "\xe2\x82\xac" },
	{ ZONE_PATH, NULL, "/", "/" },
	{ ZONE_PATH, NULL, "/a/b", "/a/b" },
	{ ZONE_PATH, NULL, "a", NULL },
	{ ZONE_PATH, NULL, "/a/", NULL },
	{ ZONE_PATH, NULL, "//a", NULL },
	{ ZONE_PATH, NULL, "/a/../b", NULL },
	{ ZONE_PATH, NULL, "/a/.", NULL },
	{ ZONE_PATH, NULL, "/a/...", "/a/..." },
	{ ZONE_BOOL, NULL, "on", "true" },
	{ ZONE_BOOL, NULL, "maybe", NULL },
	{ ZONE_UINT, NULL, "0", "0" },
	{ ZONE_UINT, NULL, "18446744073709551615", "18446744073709551615" },
	{ ZONE_UINT, NULL, "18446744073709551616", NULL },
	{ ZONE_UINT, NULL, "007", NULL },
	{ ZONE_UINT, NULL, "0x1", NULL },
	{ ZONE_UINT, NULL, "-1", NULL },
	{ ZONE_UINT, "1..4", "4", "4" },
	{ ZONE_UINT, "1..4", "5", NULL },
	{ ZONE_UINT, "100..", "99", NULL },
	{ ZONE_INT, NULL, "-9", "-9" },
	{ ZONE_INT, "-1..9", "-2", NULL },
	{ ZONE_INT, NULL, "--1", NULL },
	{ ZONE_SIZE, NULL, "1024", "1K" },
	{ ZONE_SIZE, NULL, "2048M", "2G" },
	{ ZONE_SIZE, NULL, "1536m", "1536M" },
	{ ZONE_SIZE, NULL, "0", "0" },
	{ ZONE_SIZE, NULL, "1.5G", NULL },
	{ ZONE_SIZE, NULL, "99999999T", NULL },
	{ ZONE_RAM, NULL, "2048", "2048" },
	{ ZONE_RAM, NULL, "4G", "4G" },
	{ ZONE_RAM, NULL, "0", NULL },
	{ ZONE_RAM, NULL, "12K", NULL },
	{ ZONE_RAM, NULL, "4Gi", NULL },
	{ ZONE_RAM, NULL, "99999999999999999999", NULL },
	{ ZONE_ENUM, "a|b", "b", "b" },
	{ ZONE_ENUM, "a|b", "a|b", NULL },
	{ ZONE_ENUM, "a|b", "", NULL },
	{ ZONE_WORDS, "a|b", "b,a", "b,a" },
	{ ZONE_WORDS, "a|b", "b,", NULL },
	{ ZONE_MAC, NULL, "2:8:20:0:11:22", "2:8:20:0:11:22" },
	{ ZONE_MAC, NULL, "1:8:20:0:11:22", NULL },
	{ ZONE_MAC, NULL, "2:8:20:0:11", NULL },
	{ ZONE_UUID, NULL, "8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4",
	    "8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4" },
	{ ZONE_UUID, NULL, "x", NULL },
	{ ZONE_HOSTID, NULL, "0xFFFFFFFE", "0xFFFFFFFE" },
	{ ZONE_HOSTID, NULL, "ffffffff", NULL },
	{ ZONE_HOSTID, NULL, "0x", NULL },
	{ ZONE_CPUS, NULL, "1.50", "1.5" },
	{ ZONE_CPUS, NULL, "2.00", "2" },
	{ ZONE_CPUS, NULL, ".5", NULL },
	{ ZONE_CPUS, NULL, "0", NULL },
	{ ZONE_CPUS, NULL, "1.234", NULL },
	{ ZONE_CPURANGE, NULL, "2", "2" },
	{ ZONE_CPURANGE, NULL, "1-4", "1-4" },
	{ ZONE_CPURANGE, NULL, "3-3", "3" },
	{ ZONE_CPURANGE, NULL, "4-1", NULL },
	{ ZONE_CPURANGE, NULL, "1-2-3", NULL },
	{ ZONE_CPURANGE, NULL, "0", NULL },
	{ ZONE_TOPOLOGY, NULL, "4", "4" },
	{ ZONE_TOPOLOGY, NULL, "sockets=2,cores=2", "sockets=2,cores=2" },
	{ ZONE_TOPOLOGY, NULL, "4,sockets=2,cores=2", "4,sockets=2,cores=2" },
	{ ZONE_TOPOLOGY, NULL, "5,sockets=2,cores=2", NULL },
	{ ZONE_TOPOLOGY, NULL, "255", NULL },
	{ ZONE_TOPOLOGY, NULL, "cpus=1,cpus=1", NULL },
	{ ZONE_TOPOLOGY, NULL, "sockets=200,cores=200", NULL },
	{ ZONE_TOPOLOGY, NULL, "cpu=1", NULL },
	{ ZONE_ZONENAME, NULL, "web-1.a_b", "web-1.a_b" },
	{ ZONE_ZONENAME, NULL, "-web", NULL },
	{ ZONE_ZONENAME, NULL, "global", NULL },
	{ ZONE_ZONENAME, NULL, "SUNWx", NULL },
	{ ZONE_ZONENAME, NULL, "a/b", NULL },
	{ ZONE_ZONENAME, NULL, "", NULL },
	{ ZONE_PRIVS, NULL, "default,-net_access,!proc_info",
	    "default,-net_access,!proc_info" },
	{ ZONE_PRIVS, NULL, "net_access,default", NULL },
	{ ZONE_PRIVS, NULL, "default,zone", NULL },
	{ ZONE_PRIVS, NULL, "default,-net_acces", NULL },
	{ ZONE_ADDR, NULL, "10.0.0.1/33", NULL },
	{ ZONE_ADDR, NULL, "10.0.0.1,10.0.0.2", NULL },
	{ ZONE_ADDR, NULL, "2001:db8::1/64", "2001:db8::1/64" },
	{ ZONE_ADDRS, NULL, "10.0.0.1,10.0.0.2/24", "10.0.0.1,10.0.0.2/24" },
	{ ZONE_ADDRS, NULL, "10.0.0.1,", NULL },
	{ ZONE_MAC, NULL, "0:0:0:0:0:0", NULL },
	{ ZONE_MAC, NULL, "ff:ff:ff:ff:ff:ff", NULL },
	{ ZONE_HOSTNAME, NULL, "web-1.example", "web-1.example" },
	{ ZONE_HOSTNAME, NULL, "", NULL },
	{ ZONE_HOSTNAME, NULL, "a..b", NULL },
	{ ZONE_HOSTNAME, NULL, "-a", NULL },
	{ ZONE_HOSTNAME, NULL, "a-.b", NULL },
	{ ZONE_HOSTNAME, NULL, "a_b", NULL },
	{ ZONE_HOSTNAME, NULL, "a.", NULL },
	{ ZONE_HOSTS, NULL, "10.0.0.1,fd00::1", "10.0.0.1,fd00::1" },
	{ ZONE_HOSTS, NULL, "10.0.0.1/24", NULL },
	{ ZONE_HOSTS, NULL, "", NULL },
	{ ZONE_HOSTS, NULL, "10.0.0.1,", NULL },
	{ ZONE_HOSTS, NULL, "10.0.0.256", NULL },
	{ ZONE_IPS, NULL, "10.0.0.1/24,dhcp,addrconf",
	    "10.0.0.1/24,dhcp,addrconf" },
	{ ZONE_IPS, NULL, "10.0.0.1", NULL },
	{ ZONE_IPS, NULL, "10.0.0.1/33", NULL },
	{ ZONE_IPS, NULL, "10.0.0.1/024", NULL },
	{ ZONE_IPS, NULL, "fd00::1/129", NULL },
	{ ZONE_IPS, NULL, "DHCP", NULL },
	{ ZONE_CIDS, NULL, "0x01ff,*", "0x01ff,*" },
	{ ZONE_CIDS, NULL, "0x", NULL },
	{ ZONE_CIDS, NULL, "0x1", NULL },
	{ ZONE_CIDS, NULL, "01ff", NULL },
	{ ZONE_PORTS, NULL, "25,6000-6063", "25,6000-6063" },
	{ ZONE_PORTS, NULL, "0", NULL },
	{ ZONE_PORTS, NULL, "65536", NULL },
	{ ZONE_PORTS, NULL, "20-10", NULL },
	{ ZONE_PORTS, NULL, "20-", NULL },
	{ ZONE_PORTS, NULL, "1-2-3", NULL },
	{ ZONE_RATE, NULL, "100", "100" },
	{ ZONE_RATE, NULL, "512k", "512k" },
	{ ZONE_RATE, NULL, "1K", NULL },
	{ ZONE_RATE, NULL, "0", NULL },
	{ ZONE_RATE, NULL, "G", NULL },
	{ ZONE_RATE, NULL, "1.5G", NULL },
	{ ZONE_RATE, NULL, "99999999999G", NULL },
	{ ZONE_FORWARDS, NULL, "tcp:127.0.0.1:2222-10.0.2.15:22;udp::53-:53",
	    "tcp:127.0.0.1:2222-10.0.2.15:22;udp::53-:53" },
	{ ZONE_FORWARDS, NULL, "tcp:2222-22", NULL },
	{ ZONE_FORWARDS, NULL, "sctp::1-:1", NULL },
	{ ZONE_FORWARDS, NULL, "tcp::0-:1", NULL },
	{ ZONE_FORWARDS, NULL, "tcp::1-:1;", NULL },
	{ ZONE_SLOT, NULL, "0:4:0", "0:4:0" },
	{ ZONE_SLOT, NULL, "4", "4" },
	{ ZONE_SLOT, NULL, "32", NULL },
	{ ZONE_SLOT, NULL, "4:8", NULL },
	{ ZONE_SLOT, NULL, "0:4:0x", NULL },
	{ ZONE_SLOT, NULL, "0:0:4:0", NULL },
	{ ZONE_RCTL, NULL, "zone.cpu-cap", "zone.cpu-cap" },
	{ ZONE_RCTL, NULL, "zone.cpu-share", NULL },
	{ ZONE_ACTION, NULL, "signal=SIGTERM", "signal=SIGTERM" },
	{ ZONE_ACTION, NULL, "signal=", NULL },
	{ ZONE_ACTION, NULL, "explode", NULL },
};

static void
values(void)
{
	struct error err;
	char *kept;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct type_case *c = &cases[i];

		tap_context("%s '%s'", zone_type_name(c->type), c->text);
		err = (struct error)ERROR_INIT;
		kept = NULL;
		rc = zone_type_check(c->type, c->range, c->text, &kept, &err);
		if (c->kept == NULL) {
			tap_check(rc < 0 && kept == NULL);
			tap_check(err.code == -rc && err.text[0] != '\0');
		} else {
			tap_check_int(rc, 0);
			tap_check_str(kept, c->kept);
		}
		free(kept);
	}
}

static void
long_values(void)
{
	char *big = malloc(ZONE_VALUE_MAX + 2), *kept = NULL;

	memset(big, 'x', ZONE_VALUE_MAX + 1);
	big[ZONE_VALUE_MAX] = '\0';
	tap_check_int(zone_type_check(ZONE_STRING, NULL, big, &kept, NULL), 0);
	free(kept);
	for (int t = ZONE_STRING; t <= ZONE_ACTION; t++) {
		big[ZONE_VALUE_MAX] = '\0';
		kept = NULL;
		(void)zone_type_check(
		    (enum zone_type)t, "a|b", big, &kept, NULL);
		free(kept);
	}
	big[ZONE_VALUE_MAX] = 'x';
	big[ZONE_VALUE_MAX + 1] = '\0';
	tap_check_int(
	    zone_type_check(ZONE_STRING, NULL, big, &kept, NULL), -E2BIG);
	free(big);
}

static void
numbers(void)
{
	char buf[32];
	uint64_t v;

	tap_check_int(zone_type_number(ZONE_RAM, 1, "2048", &v), 0);
	tap_check_u64(v, 2 * GiB);
	tap_check_int(zone_type_number(ZONE_RAM, 1, "1048576", &v), 0);
	tap_check_u64(v, MiB);
	tap_check_int(zone_type_number(ZONE_CPUS, 100, "1.5", &v), 0);
	tap_check_u64(v, 150);
	tap_check_int(zone_type_format(ZONE_CPUS, 100, 5, buf, 32), 0);
	tap_check_str(buf, "0.05");
	tap_check_int(zone_type_format(ZONE_SIZE, 1, 3 * GiB, buf, 32), 0);
	tap_check_str(buf, "3G");
	tap_check_int(zone_type_number(ZONE_RATE, 1, "100", &v), 0);
	tap_check_u64(v, 100000000);
	tap_check_int(zone_type_number(ZONE_RATE, 1, "512K", &v), 0);
	tap_check_u64(v, 512000);
	tap_check_int(zone_type_number(ZONE_STRING, 1, "1", &v), -EINVAL);
}

static const struct tap_test tests[] = {
	TAP_TEST(names_differ),
	TAP_TEST(rows_are_whole),
	TAP_TEST(xml_names_differ),
	TAP_TEST(aliases_are_one_rows),
	TAP_TEST(verbs_are_whole),
	TAP_TEST(errors_name_the_nearest),
	TAP_TEST(values),
	TAP_TEST(long_values),
	TAP_TEST(numbers),
};
TAP_MAIN(tests)
