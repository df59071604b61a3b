/*
 * The configuration tree: names, values, expansion, key tables, files, dumps.
 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "tap.h"

static const struct config_key top_keys[] = {
	{ "name", CONFIG_STRING, NULL, NULL, 0, "Name of the machine" },
	{ "cpus", CONFIG_UINT, "1", "1..128", 0, "Virtual CPUs" },
	{ "memory.size", CONFIG_SIZE, "256M", "1M..1T", MiB, "Memory" },
	{ "memory.wired", CONFIG_BOOL, "false", NULL, 0, "Lock memory" },
	{ "uuid", CONFIG_UUID, NULL, NULL, 0, "Identity" },
	{ "any", CONFIG_UINT, NULL, NULL, 0, "A number without range" },
	{ NULL },
};

static const struct config_key disk_keys[] = {
	{ "device", CONFIG_STRING, NULL, NULL, 0, "Model" },
	{ "path", CONFIG_PATH, NULL, NULL, 0, "Backing file" },
	{ "ro", CONFIG_BOOL, "no", NULL, 0, "Read-only" },
	{ "aio", CONFIG_ENUM, "auto", "auto|io_uring|threads", 0, "Engine" },
	{ "mac", CONFIG_MAC, NULL, NULL, 0, "Address" },
	{ "ser", CONFIG_STRING, "%(name)-disk", NULL, 0, "Serial number" },
	{ "port.*.path", CONFIG_PATH, NULL, NULL, 0, "A port's file" },
	{ "port.*.type", CONFIG_ENUM, NULL, "cd|hd", 0, "A port's type" },
	{ NULL },
};

static const struct config_key *const top_tables[] = { top_keys, NULL };
static const struct config_key *const disk_tables[] = { disk_keys, NULL };
static const struct config_key *const both_tables[] = { top_keys, disk_keys,
	NULL };

static struct config_node *
make(const char *const *assignments)
{
	struct config_node *root = config_create();
	struct error err = ERROR_INIT;

	tap_check(root != NULL);
	for (; *assignments != NULL; assignments++)
		if (config_set_assignment(root, *assignments, &err) != 0)
			tap_fail("%s: %s", *assignments, err.text);
	return root;
}

#define MAKE(...) make((const char *const[]){ __VA_ARGS__, NULL })

/* ---- the tree ---- */

static void
set_get_unset(void)
{
	struct config_node *root = MAKE("pci.0.4.0.device=virtio-blk", "a=1");
	const struct config_node *node;
	char buf[64], tiny[6];

	tap_check_str(config_get_raw(root, "pci.0.4.0.device"), "virtio-blk");
	tap_check_str(config_get_raw(root, "pci.0.4.0"), NULL);
	tap_check_str(config_get_raw(root, "pci.0.4.0.devic"), NULL);
	tap_check_str(config_get_raw(root, "a.b"), NULL);
	tap_check_int(config_set(root, "a", "x=y", NULL), 0);
	tap_check_str(config_get_raw(root, "a"), "x=y");
	node = config_find_node(root, "pci.0");
	tap_check(node != NULL && !config_is_value(node));
	tap_check_str(config_name(node), "0");
	tap_check_str(config_path(node, buf, sizeof(buf)), "pci.0");
	tap_check_str(config_path(node, tiny, 4), "pci");
	tap_check_str(config_path(root, buf, sizeof(buf)), "");
	tap_check_str(config_get_raw(node, "4.0.device"), "virtio-blk");
	tap_check(config_find_node(root, "a") == NULL);
	tap_check_int(config_unset(root, "pci.0.4"), 0);
	tap_check_int(config_unset(root, "pci.0.4"), -ENOENT);
	tap_check(config_find_node(root, "pci.0") == node);
	config_free(root);
	config_free(NULL);
}

static void
children_come_in_order(void)
{
	struct config_node *root = MAKE("c=1", "a.x=2", "b=3");
	const struct config_node *child = NULL;

	child = config_next(root, child);
	tap_check_str(config_name(child), "c");
	tap_check(config_is_value(child));
	child = config_next(root, child);
	tap_check_str(config_name(child), "a");
	tap_check(!config_is_value(child));
	config_unset(root, "b");
	tap_check(config_next(root, child) == NULL);
	tap_check_int(config_set(root, "d", "4", NULL), 0);
	tap_check_str(config_name(config_next(root, child)), "d");
	config_free(root);
}

static void
check_set_error(struct config_node *root, const char *text, const char *want)
{
	struct error err = ERROR_INIT;

	tap_check(config_set_assignment(root, text, &err) < 0);
	tap_check_has(err.text, want);
}

static void
bad_names_and_values_are_refused(void)
{
	struct config_node *root = MAKE("memory.size=1G", "cpus=2");
	char longer[2000], deep[64] = "";

	check_set_error(root, "cpus", "'cpus': name=value is needed");
	check_set_error(root, "=1", "'' is no name");
	check_set_error(root, "a..b=1", "'a..b' is no name");
	check_set_error(root, ".a=1", "no name");
	check_set_error(root, "a.=1", "no name");
	check_set_error(root, "a b=1", "no name");
	check_set_error(root, "a%b=1", "no name");
	check_set_error(root, "memory=1", "memory: a group of settings");
	check_set_error(root, "cpus.x=1", "cpus.x: the name continues one");
	check_set_error(root, "a=x\ny", "a: the value holds control");
	memset(longer, 'a', sizeof(longer));
	memcpy(longer + sizeof(longer) - 3, "=1", 3);
	check_set_error(root, longer, "longer than");
	for (int i = 0; i < 17; i++)
		strcat(deep, i < 16 ? "a." : "a=1");
	check_set_error(root, deep, "longer than");
	/* Nothing was made on the way. */
	tap_check(config_find_node(root, "a") == NULL);
	tap_check_str(config_get_raw(root, "cpus"), "2");
	tap_check(config_make_node(root, "cpus") == NULL);
	tap_check(config_make_node(root, "cpus.x") == NULL);
	tap_check(config_make_node(root, "") == NULL);
	config_free(root);
}

static void
made_nodes_stay_nodes(void)
{
	struct config_node *root = MAKE("a=1");
	struct config_node *node = config_make_node(root, "pci.0.3.0");
	char buf[64];

	tap_check(node != NULL);
	tap_check(config_make_node(root, "pci.0.3.0") == node);
	tap_check_int(config_set(root, "pci.0.3.0", "x", NULL), -EINVAL);
	tap_check_int(config_set(node, "path", "x", NULL), 0);
	tap_check_str(config_get_raw(root, "pci.0.3.0.path"), "x");
	/* The limits count from the root. */
	for (int i = 0; i < 12; i++) {
		node = config_make_node(node, "n");
		tap_check(node != NULL);
	}
	tap_check(config_make_node(node, "n") == NULL);
	tap_check_has(config_path(node, buf, sizeof(buf)), "pci.0.3.0.n.n.n");
	config_free(root);
}

static void
children_are_limited(void)
{
	struct config_node *root = MAKE("x=1");
	struct error err = ERROR_INIT;
	char name[16];

	for (int i = 1; i < 4096; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		tap_check_int(config_set(root, name, "", NULL), 0);
	}
	tap_check_int(config_set(root, "more", "", &err), -E2BIG);
	tap_check_has(err.text, "more than 4096 settings");
	tap_check_int(config_set(root, "n7", "again", NULL), 0);
	config_free(root);
}

/* ---- expansion ---- */

static void
check_expands(struct config_node *root, const char *value, const char *want)
{
	char *text = NULL;
	struct error err = ERROR_INIT;

	tap_check_int(config_set(root, "ser", value, NULL), 0);
	if (config_get_str(root, disk_keys, "ser", &text, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_str(text, want);
	free(text);
}

static void
references_expand(void)
{
	struct config_node *root = MAKE("name=vm0", "pool.path=/zones/%(name)",
	    "disk=%(pool.path)/disk%(n)", "n=7", "empty=");

	check_expands(root, "%(disk).img", "/zones/vm0/disk7.img");
	check_expands(root, "100%%", "100%");
	check_expands(root, "%%(name)", "%(name)");
	check_expands(root, "%%%(name)", "%vm0");
	check_expands(root, "%", "%");
	check_expands(root, "fe80::1%eth0", "fe80::1%eth0");
	check_expands(root, "[%(empty)]", "[]");
	check_expands(root, "a)", "a)");
	check_expands(root, "", "");
	config_free(root);
}

static void
check_no_expansion(
    struct config_node *root, const char *value, int code, const char *want)
{
	char *text = (char *)&text;
	struct error err = ERROR_INIT;

	tap_check_int(config_set(root, "ser", value, NULL), 0);
	tap_check_int(
	    config_get_str(root, disk_keys, "ser", &text, &err), code);
	tap_check_has(err.text, want);
	tap_check(text == (char *)&text);
}

static void
bad_references_are_refused(void)
{
	struct config_node *root = MAKE("a=%(b)", "b=%(a)", "self=%(self)",
	    "node.x=1", "big=0123456789012345678901234567890123456789");
	char name[16], value[128];

	check_no_expansion(root, "%(nothing)", -ENOENT,
	    "ser: refers to 'nothing', which is not set");
	check_no_expansion(root, "%(node)", -ENOENT, "'node'");
	check_no_expansion(root, "%(a", -EINVAL, "ser: '%('");
	check_no_expansion(root, "%()", -ENOENT, "''");
	check_no_expansion(root, "%(a)", -ELOOP, "circle");
	check_no_expansion(root, "%(self)", -ELOOP, "%(self)");
	/* Values that double: 2^12 times 40 bytes is too long ... */
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(value, sizeof(value), "%%(d%d)%%(d%d)", i + 1, i + 1);
		config_set(root, name, value, NULL);
	}
	config_set(root, "d12", "%(big)", NULL);
	check_no_expansion(root, "%(d0)", -ELOOP, "too many references");
	/* ... and costs as much when it comes to nothing. */
	config_set(root, "d12", "", NULL);
	check_no_expansion(root, "%(d0)", -ELOOP, "too many references");
	config_free(root);
}

static void
expansion_is_limited_in_size(void)
{
	struct config_node *root = MAKE("x=1");
	char *big = malloc(60001);

	memset(big, 'z', 60000);
	big[60000] = '\0';
	tap_check_int(config_set(root, "big", big, NULL), 0);
	check_no_expansion(root, "%(big)%(big)", -ENOSPC, "cannot expand");
	free(big);
	config_free(root);
}

/* ---- typed reads ---- */

static void
typed_reads(void)
{
	struct config_node *root = MAKE("cpus=4", "memory.size=2G",
	    "memory.wired=yes", "aio=threads", "port.3.path=/x", "name=vm");
	cleanup_free char *text = NULL, *serial = NULL;
	uint64_t v = 0;
	bool flag = false;

	tap_check_int(config_get_uint(root, top_keys, "cpus", &v, NULL), 0);
	tap_check_u64(v, 4);
	config_get_uint(root, top_keys, "memory.size", &v, NULL);
	tap_check_u64(v, 2 * GiB);
	tap_check_int(
	    config_get_bool(root, top_keys, "memory.wired", &flag, NULL), 0);
	tap_check(flag);
	config_get_uint(root, disk_keys, "aio", &v, NULL);
	tap_check_u64(v, 2);
	tap_check_int(
	    config_get_str(root, disk_keys, "port.3.path", &text, NULL), 0);
	tap_check_str(text, "/x");
	/* defaults, expanded like values */
	config_unset(root, "memory");
	config_get_uint(root, top_keys, "memory.size", &v, NULL);
	tap_check_u64(v, 256 * MiB);
	config_get_bool(root, top_keys, "memory.wired", &flag, NULL);
	tap_check(!flag);
	config_get_str(root, disk_keys, "ser", &serial, NULL);
	tap_check_str(serial, "vm-disk");
	/* a bare number counts the row's unit */
	config_set(root, "memory.size", "512", NULL);
	config_get_uint(root, top_keys, "memory.size", &v, NULL);
	tap_check_u64(v, 512 * MiB);
	config_free(root);
}

static void
failed_reads_leave_the_result(void)
{
	struct config_node *root = MAKE("cpus=0", "pci.0.4.0.ro=maybe");
	const struct config_node *disk = config_find_node(root, "pci.0.4.0");
	struct error err = ERROR_INIT;
	char *text = (char *)&text;
	bool flag = true;
	uint64_t v = 77;

	tap_check_int(
	    config_get_uint(root, top_keys, "cpus", &v, &err), -ERANGE);
	tap_check_str(err.text, "cpus: 0 is not in 1..128");
	tap_check_int(
	    config_get_str(root, top_keys, "uuid", &text, &err), -ENOENT);
	tap_check_str(err.text, "uuid: is not set");
	tap_check_int(
	    config_get_bool(disk, disk_keys, "ro", &flag, &err), -EINVAL);
	tap_check_has(err.text, "pci.0.4.0.ro: 'maybe' is neither true");
	/* the program's own mistakes */
	tap_check_int(
	    config_get_str(root, top_keys, "nowhere", &text, &err), -EINVAL);
	tap_check_has(err.text, "nowhere: the setting is in no key table");
	tap_check_int(
	    config_get_bool(root, top_keys, "memory.size", &flag, &err),
	    -EINVAL);
	tap_check_has(err.text, "another type");
	tap_check_int(
	    config_get_uint(root, top_keys, "memory.wired", &v, NULL), -EINVAL);
	tap_check(flag && v == 77 && text == (char *)&text);
	config_free(root);
}

/* A table's own mistakes are reported, not obeyed. */
static void
malformed_tables_are_errors(void)
{
	static const struct config_key bad[] = {
		{ "a", CONFIG_UINT, "1", "1-2", 0, "" },
		{ "b", CONFIG_UINT, "1", "1..x", 0, "" },
		{ "c", CONFIG_ENUM, "1", NULL, 0, "" },
		{ "d", (enum config_type)99, "1", NULL, 0, "" },
		{ NULL },
	};
	struct config_node *root = MAKE("x=1");
	struct error err = ERROR_INIT;
	uint64_t v = 0;

	tap_check_int(config_get_uint(root, bad, "a", &v, &err), -EINVAL);
	tap_check_has(err.text, "a: the key table's range '1-2'");
	tap_check_int(config_get_uint(root, bad, "b", &v, &err), -EINVAL);
	tap_check_int(config_get_uint(root, bad, "c", &v, &err), -EINVAL);
	tap_check_int(config_get_uint(root, bad, "d", &v, &err), -EINVAL);
	tap_check_has(err.text, "d: the key table's type");
	config_free(root);
}

/* ---- checks ---- */

static void
check_verdict(const char *assignment, const char *want)
{
	struct config_node *root = MAKE(assignment);
	struct error err = ERROR_INIT;
	int rc;

	rc = config_check(root, both_tables, NULL, &err);
	if (want == NULL) {
		if (rc != 0)
			tap_fail("%s: %s", assignment, err.text);
	} else {
		tap_check_str(err.text, want);
		tap_check(rc < 0);
		tap_check_int(rc, -err.code);
	}
	config_free(root);
}

static void
unknown_names_get_the_nearest(void)
{
	struct config_node *root = MAKE("pci.0.4.0.pth=/x");
	struct error err = ERROR_INIT;

	tap_check_int(config_check(config_find_node(root, "pci.0.4.0"),
			  disk_tables, NULL, &err),
	    -EINVAL);
	tap_check_str(
	    err.text, "pci.0.4.0.pth: no such setting; did you mean 'path'?");
	config_free(root);
	check_verdict("memory.sise=1",
	    "memory.sise: no such setting; did you mean 'size'?");
	check_verdict("memry.size=1G",
	    "memry.size: no such setting; did you mean 'memory.size'?");
	check_verdict("port.5.tpye=cd",
	    "port.5.tpye: no such setting; did you mean 'type'?");
	check_verdict("prt.5.type=cd",
	    "prt.5.type: no such setting; did you mean 'port.5.type'?");
	check_verdict("size=1G", "size: no such setting");
	check_verdict("xyzzy=1", "xyzzy: no such setting");
	check_verdict("memory=1", "memory: a group of settings, not a value");
	check_verdict("port.5=1", "port.5: a group of settings, not a value");
	check_verdict("path.extra=1", "path.extra: no such setting");
}

static void
values_are_checked(void)
{
	check_verdict("cpus=128", NULL);
	check_verdict("cpus=0x10", NULL);
	check_verdict("cpus=129", "cpus: 129 is not in 1..128");
	check_verdict("cpus=many", "cpus: 'many' is not a number");
	check_verdict("cpus=", "cpus: '' is not a number");
	check_verdict(
	    "any=18446744073709551616", "any: 18446744073709551616 is too big");
	check_verdict("memory.size=1T", NULL);
	check_verdict("memory.size=2T", "memory.size: 2T is not in 1M..1T");
	check_verdict("memory.size=1K", "memory.size: 1K is not in 1M..1T");
	check_verdict("memory.size=1Q",
	    "memory.size: '1Q' is not a size (a number, with K, M, G or T "
	    "after it)");
	check_verdict("memory.wired=TRUE", NULL);
	check_verdict("memory.wired=2",
	    "memory.wired: '2' is neither true, on, yes, 1 nor false, off, no, "
	    "0");
	check_verdict("aio=io_uring", NULL);
	check_verdict("aio=auto|io_uring",
	    "aio: 'auto|io_uring' is not one of auto|io_uring|threads");
	check_verdict("aio=iouring",
	    "aio: 'iouring' is not one of auto|io_uring|threads; did you mean "
	    "'io_uring'?");
	check_verdict("mac=58:9c:fc:00:11:22", NULL);
	check_verdict("mac=58:9c",
	    "mac: '58:9c' is not a MAC address such as 58:9c:fc:00:11:22");
	check_verdict("uuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8", NULL);
	check_verdict(
	    "uuid=x", "uuid: 'x' is not a UUID of 8-4-4-4-12 hex digits");
	check_verdict("path=", "path: a path is needed");
	check_verdict("name=", NULL);
	check_verdict(
	    "name=%(cpus)", "name: refers to 'cpus', which is not set");
}

static void
wildcards_are_one_word(void)
{
	check_verdict("port.0.path=/x", NULL);
	check_verdict("port.my_port-1.path=/x", NULL);
	check_verdict("port.0.1.path=/x",
	    "port.0.1.path: no such setting; did you mean 'port.0.path'?");
	check_verdict("port.a@b.path=/x",
	    "port.a@b.path: no such setting; did you mean 'port.*.path'?");
}

static void
skipped_subtrees_are_left_alone(void)
{
	static const char *const skip[] = { "pci", "lpc.*", NULL };
	struct config_node *root =
	    MAKE("cpus=1", "pci.0.3.0.what=1", "lpc.com1.x=1");
	struct error err = ERROR_INIT;

	tap_check_int(config_check(root, top_tables, skip, &err), 0);
	tap_check_int(config_check(root, top_tables, NULL, NULL), -EINVAL);
	config_set(root, "lpc2.com1", "1", NULL);
	tap_check_int(config_check(root, top_tables, skip, &err), -EINVAL);
	tap_check_str(err.text, "lpc2.com1: no such setting");
	/* A group without values is nothing wrong. */
	config_unset(root, "lpc2.com1");
	tap_check_int(config_check(root, top_tables, skip, &err), 0);
	config_free(root);
}

/* ---- files ---- */

static int
load(struct config_node *root, const char *text, size_t n, struct error *err)
{
	char file[128];

	tap_check_int(
	    str_format(file, sizeof(file), "%s/conf", tap_tmpdir()), 0);
	tap_check_int(
	    fd_write_file_atomic(AT_FDCWD, file, text, n, 0600, NULL), 0);
	return config_load_file(root, file, err);
}

static void
files_are_read(void)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "  # another = comment\n"
				   "name = vm 0  \r\n"
				   "\tpci.0.4.0.path=/a=b#c\n"
				   "empty=\n"
				   "last=line";
	struct config_node *root = MAKE("name=before");
	struct error err = ERROR_INIT;

	if (load(root, text, sizeof(text) - 1, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_str(config_get_raw(root, "name"), "vm 0");
	tap_check_str(config_get_raw(root, "pci.0.4.0.path"), "/a=b#c");
	tap_check_str(config_get_raw(root, "empty"), "");
	tap_check_str(config_get_raw(root, "last"), "line");
	config_free(root);
}

static void
file_errors_have_line_numbers(void)
{
	struct config_node *root = MAKE("cpus=1");
	struct error err = ERROR_INIT;

	tap_check_int(load(root, "a=1\n\nnonsense\n", 14, &err), -EINVAL);
	tap_check_has(err.text, "/conf:3: 'nonsense': name=value is needed");
	tap_check_str(config_get_raw(root, "a"), "1");
	tap_check_int(load(root, "cpus.x=1", 8, &err), -EINVAL);
	tap_check_has(err.text, "/conf:1: cpus.x: ");
	tap_check_int(load(root, "a=1\0b=2", 7, &err), -EINVAL);
	tap_check_has(err.text, "not a text file");
	tap_check_int(load(root, "a=1\n", 4, NULL), 0);
	tap_check_int(load(root, "=", 1, NULL), -EINVAL);
	tap_check_int(load(root, "", 0, NULL), 0);
	tap_check_int(
	    config_load_file(root, "/nonexistent/file", &err), -ENOENT);
	tap_check_str(err.text,
	    "cannot read /nonexistent/file: No such file or directory");
	tap_check_int(config_load_file(root, "/dev/zero", &err), -EFBIG);
	config_free(root);
}

/* ---- dumps and lists ---- */

static void
dump_is_sorted_and_expanded(void)
{
	struct config_node *root = MAKE("name=vm", "pci.0.4.0.path=/%(name)",
	    "cpus=2", "pci.0.3.0.device=x", "a-b=1", "a=50%%");
	struct buf b;

	buf_init(&b, 10000);
	tap_check_int(config_dump(root, &b), 0);
	tap_check_str(buf_str(&b),
	    "a-b=1\na=50%\ncpus=2\nname=vm\npci.0.3.0.device=x\n"
	    "pci.0.4.0.path=/vm\n");
	buf_reset(&b);
	tap_check_int(config_dump(config_find_node(root, "pci.0.3"), &b), 0);
	tap_check_str(buf_str(&b), "pci.0.3.0.device=x\n");
	config_set(root, "name", "%(nothing)", NULL);
	tap_check_int(config_dump(root, &b), -ENOENT);
	tap_check_str(buf_str(&b), "pci.0.3.0.device=x\n");
	buf_fini(&b);
	config_free(root);
}

static void
lists_carry_the_tree(void)
{
	struct config_node *root = MAKE(
	    "name=vm", "pci.0.4.0.path=/%(name)", "pci.0.4.0.ro=1", "e.m.p=");
	struct config_node *back = config_create();
	struct nvlist *nvl = NULL, *nvl2 = NULL;
	struct buf a, b;

	buf_init(&a, 10000);
	buf_init(&b, 10000);
	tap_check_int(config_to_nvlist(root, &nvl), 0);
	tap_check_int(nvlist_pack(nvl, &a), 0);
	tap_check_int(nvlist_unpack(a.data, a.len, &nvl2, NULL), 0);
	tap_check_int(config_from_nvlist(back, nvl2, NULL), 0);
	/* Unexpanded, so that it still follows the name. */
	tap_check_str(config_get_raw(back, "pci.0.4.0.path"), "/%(name)");
	buf_reset(&a);
	config_dump(root, &a);
	config_dump(back, &b);
	tap_check_str(buf_str(&b), buf_str(&a));
	buf_fini(&a);
	buf_fini(&b);
	nvlist_free(nvl);
	nvlist_free(nvl2);
	config_free(root);
	config_free(back);
}

static void
check_list_refused(struct nvlist *nvl, const char *want)
{
	struct config_node *root = MAKE("value=1", "group.x=1");
	struct error err = ERROR_INIT;

	tap_check(config_from_nvlist(root, nvl, &err) < 0);
	tap_check_has(err.text, want);
	nvlist_free(nvl);
	config_free(root);
}

static void
odd_lists_are_refused(void)
{
	struct nvlist *nvl = nvlist_create(), *sub = nvlist_create();

	nvlist_add_u64(nvl, "n", 1);
	check_list_refused(nvl, "n: is neither a text nor a list");
	nvl = nvlist_create();
	nvlist_add_str(nvl, "a.b", "1");
	check_list_refused(nvl, "'a.b': a name in a list cannot hold a dot");
	nvl = nvlist_create();
	nvlist_add_str(nvl, "group", "1");
	check_list_refused(nvl, "group: a group of settings");
	nvl = nvlist_create();
	nvlist_add_list(nvl, "value", sub);
	check_list_refused(nvl, "value: cannot be made a group");
	nvl = nvlist_create();
	nvlist_add_str(sub, "bad name", "1");
	nvlist_add_list(nvl, "group", sub);
	check_list_refused(nvl, "'group.bad name' is no name");
	nvlist_free(sub);
}

/* ---- the Nth allocation fails, for every N ---- */

static int
use_everything(const char *file)
{
	struct config_node *root = config_create(), *back = config_create();
	struct nvlist *nvl = NULL;
	struct buf b;
	int rc = root != NULL && back != NULL ? 0 : -ENOMEM;

	buf_init(&b, 10000);
	if (rc == 0)
		rc = config_load_file(root, file, NULL);
	if (rc == 0)
		rc = config_set_assignment(root, "pci.0.4.0.ro=1", NULL);
	if (rc == 0 && config_make_node(root, "x.y.z") == NULL)
		rc = -ENOMEM;
	if (rc == 0)
		rc = config_check(config_find_node(root, "pci.0.4.0"),
		    disk_tables, NULL, NULL);
	if (rc == 0)
		rc = config_dump(root, &b);
	if (rc == 0)
		rc = config_to_nvlist(root, &nvl);
	if (rc == 0)
		rc = config_from_nvlist(back, nvl, NULL);
	nvlist_free(nvl);
	config_free(root);
	config_free(back);
	buf_fini(&b);
	return rc;
}

static void
every_allocation_may_fail(void)
{
	static const char text[] = "name=vm\npci.0.4.0.path=/%(name)/disk\n";
	struct config_node *root = MAKE("x=1");
	unsigned long n;
	char file[128];
	int rc;

	tap_check_int(load(root, text, sizeof(text) - 1, NULL), 0);
	config_free(root);
	str_format(file, sizeof(file), "%s/conf", tap_tmpdir());
	for (n = 1; n < 1000; n++) {
		alloc_fail_at(n);
		rc = use_everything(file);
		if (!alloc_fail_hit())
			break;
		/* from_nvlist knows only that a group could not be made. */
		tap_check(rc == -ENOMEM || rc == -EINVAL);
	}
	alloc_fail_at(0);
	tap_check_int(rc, 0);
	tap_check(n > 20 && n < 1000);
}

static const struct tap_test tests[] = {
	TAP_TEST(set_get_unset),
	TAP_TEST(children_come_in_order),
	TAP_TEST(bad_names_and_values_are_refused),
	TAP_TEST(made_nodes_stay_nodes),
	TAP_TEST(children_are_limited),
	TAP_TEST(references_expand),
	TAP_TEST(bad_references_are_refused),
	TAP_TEST(expansion_is_limited_in_size),
	TAP_TEST(typed_reads),
	TAP_TEST(failed_reads_leave_the_result),
	TAP_TEST(malformed_tables_are_errors),
	TAP_TEST(unknown_names_get_the_nearest),
	TAP_TEST(values_are_checked),
	TAP_TEST(wildcards_are_one_word),
	TAP_TEST(skipped_subtrees_are_left_alone),
	TAP_TEST(files_are_read),
	TAP_TEST(file_errors_have_line_numbers),
	TAP_TEST(dump_is_sorted_and_expanded),
	TAP_TEST(lists_carry_the_tree),
	TAP_TEST(odd_lists_are_refused),
	TAP_TEST(every_allocation_may_fail),
};
TAP_MAIN(tests)
