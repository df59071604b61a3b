/*
 * The command line and the key tables: what the program's own tests cannot
 * reach, which is memory that runs out, nvlists, and tables that must be right
 * by themselves.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "machine/machine.h"
#include "machine/schema.h"
#include "tap.h"

/* A bit of everything. */
static const char *const args[] = { "bhyve", "-c", "4,cores=2", "-m", "1G",
	"-B", "1,product=P,serial=S", "-f", "opt/x,string=1", "-p", "0:0", "-p",
	"0:1", "-G", "w[::1]:0", "-n", "0,1G,0", "-U",
	"8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4", "-s", "0,hostbridge,model=q35",
	"-s", "31,lpc", "-s", "4,virtio-net,slirp,mac=2:0:0:0:0:1", "-l",
	"com1,socket,/x,wait", "-l", "bootrom,/a,/b,fwcfg=qemu", "-o",
	"smbios.sku=7", "-o", "lpc.pcireg.revid=3", "-o",
	"boot.kernel=/boot/%(name)", "-HPWx", "vm0", NULL };
#define NARGS ((int)ARRAY_LEN(args) - 1)

static int
parse(int argc, const char *const *argv, struct config_node *root,
    struct error *err)
{
	enum options_action action;
	char *copy[64];

	tap_check(argc < (int)ARRAY_LEN(copy));
	for (int i = 0; i <= argc; i++) /* getopt wants it writable */
		memcpy(&copy[i], &argv[i], sizeof(copy[i]));
	return options_parse(argc, copy, root, &action, err);
}

/* "" and failure, or the text; caller frees */
static char *
dump(const struct config_node *root)
{
	struct buf b;
	char *text;

	buf_init(&b, 1 << 20);
	tap_check_int(config_dump(root, &b), 0);
	text = alloc_strdup(buf_str(&b));
	buf_fini(&b);
	tap_check(text != NULL);
	return text;
}

static void
survives_every_failed_allocation(void)
{
	unsigned long n = 0;
	bool hit;

	do {
		struct config_node *root = config_create();
		struct error err = ERROR_INIT;
		int rc;

		tap_check(root != NULL);
		alloc_fail_at(++n);
		rc = parse(NARGS, args, root, &err);
		hit = alloc_fail_hit();
		alloc_fail_at(0);
		if (rc < 0)
			tap_check(err.code != 0 && err.text[0] != '\0');
		if (!hit)
			tap_check_int(rc, 0);
		config_free(root);
		tap_check(n < 10000);
	} while (hit);
	tap_check(n > 50);
}

static void
check_survives_every_failed_allocation(void)
{
	struct config_node *root = config_create();
	static const char *const argv[] = { "bhyve", "-c", "2", "-s",
		"0,hostbridge", "-s", "31,lpc", "-l", "com1,none", "-o",
		"boot.kernel=/x", "-p", "1:0", "-f", "opt/x,string=1", "vm0",
		NULL };
	struct error err = ERROR_INIT;
	unsigned long n = 0;
	bool hit;

	tap_check(root != NULL);
	tap_check_int(parse(ARRAY_LEN(argv) - 1, argv, root, &err), 0);
	do {
		int rc;

		alloc_fail_at(++n);
		rc = machine_check(root, &err);
		hit = alloc_fail_hit();
		alloc_fail_at(0);
		if (!hit)
			tap_check_int(rc, 0);
		tap_check(n < 10000);
	} while (hit);
	config_free(root);
}

static void
nvlist_gives_the_same_tree(void)
{
	struct config_node *root = config_create(), *copy = config_create();
	struct error err = ERROR_INIT;
	struct nvlist *nvl;
	char *a, *b;
	struct buf packed;

	tap_check(root != NULL && copy != NULL);
	tap_check_int(parse(NARGS, args, root, &err), 0);
	tap_check_int(config_to_nvlist(root, &nvl), 0);
	buf_init(&packed, 1 << 20);
	tap_check_int(nvlist_pack(nvl, &packed), 0);
	tap_check_int(
	    machine_config_unpack(copy, packed.data, packed.len, &err), 0);
	a = dump(root);
	b = dump(copy);
	tap_check_str(b, a);
	tap_check(machine_config_unpack(copy, "rubbish", 7, &err) < 0);
	free(a);
	free(b);
	buf_fini(&packed);
	nvlist_free(nvl);
	config_free(root);
	config_free(copy);
}

static void
parsing_twice_starts_afresh(void)
{
	for (int i = 0; i < 2; i++) {
		struct config_node *root = config_create();
		struct error err = ERROR_INIT;

		tap_check(root != NULL);
		tap_check_int(parse(NARGS, args, root, &err), 0);
		tap_check_str(config_get_raw(root, "name"), "vm0");
		config_free(root);
	}
}

/* A default must pass the check of its own row. */
static void
check_table(const struct config_key *keys)
{
	static const char *const no_skip[] = { NULL };
	const struct config_key *const tables[] = { keys, NULL };

	for (const struct config_key *k = keys; k->name != NULL; k++) {
		struct config_node *root = config_create();
		struct error err = ERROR_INIT;
		char name[128], *star;

		tap_check(root != NULL);
		snprintf(name, sizeof(name), "%s", k->name);
		while ((star = strchr(name, '*')) != NULL)
			*star = '1';
		tap_check(k->help != NULL && k->help[0] != '\0');
		if (k->type == CONFIG_ENUM)
			tap_check(k->range != NULL);
		if (k->dflt != NULL) {
			tap_check_int(config_set(root, name, k->dflt, &err), 0);
			if (config_check(root, tables, no_skip, &err) < 0)
				tap_fail("%s: %s", k->name, err.text);
		}
		config_free(root);
	}
}

static void
tables_are_right_by_themselves(void)
{
	for (const struct schema_table *t = schema_tables; t->section; t++)
		check_table(t->keys);
	for (size_t i = 0; pci_models[i] != NULL; i++)
		check_table(pci_models[i]->keys);
	for (const struct schema_alias *a = schema_aliases; a->from; a++) {
		tap_check(schema_find(a->to, NULL) != NULL);
		tap_check(schema_find(a->from, NULL) == NULL);
	}
}

static void
names_are_found_by_their_patterns(void)
{
	const struct schema_table *t = NULL;

	tap_check_str(schema_find("cpus", NULL)->name, "cpus");
	tap_check_str(
	    schema_find("vcpu.12.cpuset", NULL)->name, "vcpu.*.cpuset");
	tap_check_str(schema_find("lpc.com1.path", &t)->name, "com1.path");
	tap_check_str(t->node, "lpc");
	tap_check(schema_find("vcpu..cpuset", NULL) == NULL);
	tap_check(schema_find("vcpu.1.cpuset.x", NULL) == NULL);
	tap_check(schema_find("vcpu.1", NULL) == NULL);
	tap_check(schema_find("lpc", NULL) == NULL);
	tap_check(schema_find("com1.path", NULL) == NULL);
}

static const struct tap_test tests[] = {
	TAP_TEST(survives_every_failed_allocation),
	TAP_TEST(check_survives_every_failed_allocation),
	TAP_TEST(nvlist_gives_the_same_tree),
	TAP_TEST(parsing_twice_starts_afresh),
	TAP_TEST(tables_are_right_by_themselves),
	TAP_TEST(names_are_found_by_their_patterns),
};
TAP_MAIN(tests)
