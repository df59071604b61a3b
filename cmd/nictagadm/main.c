/*
 * nictagadm: names for the places where zones' links are attached.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "command.h"
#include "link/net.h"
#include "link/nictag.h"
#include "zone/store.h"
#include "zone/table.h"

/* name, function, usage, help */
#define NICTAGADM_COMMANDS(X)                                                \
	X("add", add,                                                        \
	    "add -l [-p mtu=N] name | add [-p mtu=N] name interface",        \
	    "name an interface: a bridge, or a link that becomes a port of " \
	    "one. -l: a switch without a link")                              \
	X("delete", delete, "delete name",                                   \
	    "forget a name that no zone uses, and its bridge")               \
	X("exists", exists, "exists name ...",                               \
	    "status 0 when all are there; else say which are not")           \
	X("help", help, "help [command]", "explain")                         \
	X("list", list, "list [-p]", "-p: name:kind:target:bridge:mtu")      \
	X("update", update, "update [-p mtu=N] name [interface]",            \
	    "another interface or MTU, for links made from now on")          \
	X("vms", vms, "vms name", "zones that use it")

struct command {
	const char *root;
	int argc;
	char **argv; /* argv[0]: its name */
	const struct command_row *row;
};
#define X(name, fn, usage, help) static int cmd_##fn(struct command *c);
NICTAGADM_COMMANDS(X)
#undef X

static const struct command_row rows[] = {
#define X(name, fn, usage, help) { name, cmd_##fn, false, usage, help },
	NICTAGADM_COMMANDS(X)
#undef X
};
static const struct command_table table = { "nictagadm", "[-R root]", "", rows,
	ARRAY_LEN(rows) };

static int
failed(const struct error *err)
{
	fprintf(stderr, "nictagadm: %s\n", err->text);
	return EXIT_FAILED;
}

static int
usage(const struct command *c, const char *why)
{
	return command_usage(&table, c->row, why);
}

static int
cmd_help(struct command *c)
{
	return command_help(&table, c->argc, c->argv);
}

/* ---- who uses a tag ---- */

static bool
conf_uses(const struct zone_conf *conf, const char *tag)
{
	const struct zone_rtype *type = zone_rtype_find("net");
	const struct zone_res *res = NULL;

	while ((res = zone_conf_next(conf, type, res)) != NULL) {
		const char *is = zone_res_get(res, "global-nic");

		if (is != NULL && strcmp(is, tag) == 0)
			return true;
	}
	return false;
}

typedef int (*user_fn)(const char *zone, void *arg);

/* fn for each zone with the tag; a damaged configuration is told, and none. */
static int
each_user(
    const char *root, const char *tag, user_fn fn, void *arg, struct error *err)
{
	struct zone_store *store = NULL;
	struct zone_index *ix = NULL;
	struct error bad = ERROR_INIT;
	int rc;

	rc = zone_store_open(root, &store, err);
	if (rc == 0)
		rc = zone_store_index(store, &ix, err);
	for (size_t i = 0; rc == 0 && i < zone_index_count(ix); i++) {
		const struct zone_entry *e = zone_index_at(ix, i);
		struct zone_conf *conf = NULL;

		if (strcmp(e->name, "global") == 0)
			continue;
		if (zone_store_load(store, e->name, false, &conf, NULL, &bad) <
		    0)
			fprintf(stderr, "nictagadm: %s\n", bad.text);
		else if (conf_uses(conf, tag))
			rc = fn(e->name, arg);
		zone_conf_free(conf);
	}
	zone_index_free(ix);
	zone_store_close(store);
	return rc;
}

static int
print_user(const char *zone, void *arg)
{
	return puts(zone) < 0 ? -EIO : 0;
}

static int
refuse_user(const char *zone, void *arg)
{
	const char *tag = ((void **)arg)[0];

	return error_set(((void **)arg)[1], EBUSY,
	    "NIC tag %s is in use by zone '%s'", tag, zone);
}

/* ---- reading ---- */

static int
find(const struct command *c, const char *name, struct nictag *ret,
    struct error *err)
{
	struct nictags tags = { NULL };
	const struct nictag *t;
	int rc = nictags_read(c->root, &tags, err);

	if (rc < 0)
		return rc;
	t = nictags_find(&tags, name);
	if (t == NULL)
		rc =
		    error_set(err, ENOENT, "there is no NIC tag '%.64s'", name);
	else
		*ret = *t;
	nictags_free(&tags);
	return rc;
}

static int
cmd_list(struct command *c)
{
	struct nictags tags = { NULL };
	struct error err = ERROR_INIT;
	bool parse = false;
	char bridge[16];
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+p")) != -1) {
		if (opt != 'p')
			return usage(c, NULL);
		parse = true;
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	if (nictags_read(c->root, &tags, &err) < 0)
		return failed(&err);
	if (!parse)
		printf("%-20s %-8s %-16s %-16s %5s\n", "NAME", "KIND", "TARGET",
		    "BRIDGE", "MTU");
	for (size_t i = 0; i < tags.n; i++) {
		const struct nictag *t = &tags.v[i];

		nictag_bridge(t, bridge);
		printf(
		    parse ? "%s:%s:%s:%s:%u\n" : "%-20s %-8s %-16s %-16s %5u\n",
		    t->name, nictag_kind_name(t->kind), t->target, bridge,
		    t->mtu);
	}
	nictags_free(&tags);
	return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

static int
cmd_exists(struct command *c)
{
	struct error err = ERROR_INIT;
	struct nictag tag;
	int status = 0;

	if (c->argc < 2)
		return usage(c, "no name");
	for (int i = 1; i < c->argc; i++)
		if (find(c, c->argv[i], &tag, &err) < 0)
			status = failed(&err);
	return status;
}

static int
cmd_vms(struct command *c)
{
	struct error err = ERROR_INIT;
	struct nictag tag;

	if (c->argc != 2)
		return usage(c, "takes one name");
	if (find(c, c->argv[1], &tag, &err) < 0 ||
	    each_user(c->root, tag.name, print_user, NULL, &err) < 0)
		return failed(&err);
	return 0;
}

/* ---- changing ---- */

struct wanted {
	bool stub, has_mtu;
	unsigned mtu;
	const char *name, *interface; /* interface: NULL when not said */
};

static int
parse_mtu(const char *text, struct wanted *w)
{
	uint64_t v;

	if (strncmp(text, "mtu=", 4) != 0 ||
	    str_to_u64(text + 4, 0, 9216, &v) < 0)
		return -EINVAL;
	w->mtu = (unsigned)v;
	w->has_mtu = true;
	return 0;
}

static int
parse_wanted(struct command *c, bool may_stub, struct wanted *w)
{
	int opt;

	while (
	    (opt = getopt(c->argc, c->argv, may_stub ? "+lp:" : "+p:")) != -1) {
		if (opt == 'l')
			w->stub = true;
		else if (opt != 'p')
			return usage(c, NULL);
		else if (parse_mtu(optarg, w) < 0)
			return usage(c, "-p takes mtu=N, N up to 9216");
	}
	if (optind < c->argc)
		w->name = c->argv[optind++];
	if (optind < c->argc)
		w->interface = c->argv[optind++];
	if (w->name == NULL || optind != c->argc)
		return usage(c, "a name, and at most one interface");
	return 0;
}

/* Bridge or link? The host knows. */
static int
set_target(struct nictag *tag, const char *interface, struct error *err)
{
	enum link_net_kind kind;
	struct link_net *net = NULL;
	int rc;

	if (str_format(tag->target, sizeof(tag->target), "%s", interface) < 0)
		return error_set(err, ENODEV,
		    "'%.64s' is no name of an interface", interface);
	rc = link_net_open(&net, err);
	if (rc == 0)
		rc = link_net_kind(net, interface, &kind, err);
	link_net_close(net);
	if (rc == 0 && kind == LINK_NET_ABSENT)
		rc = error_set(
		    err, ENODEV, "there is no interface '%s'", interface);
	if (rc == 0)
		tag->kind =
		    kind == LINK_NET_BRIDGE ? NICTAG_BRIDGE : NICTAG_LINK;
	return rc;
}

static int
set_name(struct nictag *tag, const char *name, struct error *err)
{
	return str_format(tag->name, sizeof(tag->name), "%s", name) < 0
	    ? error_set(err, EINVAL,
		  "NIC tag '%.64s': 1 to %d letters, digits, '.' and '_'", name,
		  NICTAG_NAME_MAX)
	    : 0;
}

static int
cmd_add(struct command *c)
{
	struct nictag tag = { .kind = NICTAG_STUB, .target = "-" };
	struct wanted w = { .stub = false };
	struct error err = ERROR_INIT;
	int status = parse_wanted(c, true, &w);

	if (status != 0)
		return status;
	if (w.stub == (w.interface != NULL))
		return usage(c, "either -l or an interface");
	tag.mtu = w.mtu;
	if (set_name(&tag, w.name, &err) < 0 ||
	    (!w.stub && set_target(&tag, w.interface, &err) < 0) ||
	    nictag_add(c->root, &tag, &err) < 0)
		return failed(&err);
	return 0;
}

/* The bridge that was made for a tag, when it is made for it no more. */
static int
forget_bridge(
    const struct command *c, const struct nictag *tag, struct error *err)
{
	struct link_net *net = NULL;
	int rc;

	if (tag->kind == NICTAG_BRIDGE)
		return 0;
	rc = link_net_open(&net, err);
	if (rc == 0)
		rc = link_net_forget_tag(net, c->root, tag, err);
	link_net_close(net);
	return rc;
}

static int
cmd_update(struct command *c)
{
	struct wanted w = { .stub = false };
	struct error err = ERROR_INIT;
	struct nictag tag, old;
	int status = parse_wanted(c, false, &w);
	bool other;

	if (status != 0)
		return status;
	if (!w.has_mtu && w.interface == NULL)
		return usage(c, "nothing to change");
	if (find(c, w.name, &tag, &err) < 0)
		return failed(&err);
	old = tag;
	if (w.has_mtu)
		tag.mtu = w.mtu;
	if (w.interface != NULL && set_target(&tag, w.interface, &err) < 0)
		return failed(&err);
	other = tag.kind != old.kind || strcmp(tag.target, old.target) != 0;
	if (nictag_check(&tag, &err) < 0 ||
	    (other && forget_bridge(c, &old, &err) < 0) ||
	    nictag_update(c->root, &tag, &err) < 0)
		return failed(&err);
	return 0;
}

static int
cmd_delete(struct command *c)
{
	struct error err = ERROR_INIT;
	void *arg[2] = { NULL, &err };
	struct nictag tag;

	if (c->argc != 2)
		return usage(c, "takes one name");
	if (find(c, c->argv[1], &tag, &err) < 0)
		return failed(&err);
	arg[0] = tag.name;
	if (each_user(c->root, tag.name, refuse_user, arg, &err) < 0 ||
	    forget_bridge(c, &tag, &err) < 0 ||
	    nictag_delete(c->root, tag.name, &err) < 0)
		return failed(&err);
	return 0;
}

/* ---- the command line ---- */

int
main(int argc, char **argv)
{
	struct command c = { .root = "" };
	size_t n;
	int opt;

	while ((opt = getopt(argc, argv, "+R:h")) != -1) {
		if (opt != 'R')
			return command_refuse(&table, NULL);
		n = strlen(optarg);
		if (n > 0 && optarg[n - 1] == '/')
			optarg[n - 1] = '\0';
		c.root = optarg;
	}
	c.argc = argc;
	c.argv = argv;
	c.row = command_take(&table, &c.argc, &c.argv);
	if (c.row == NULL)
		return EXIT_USAGE;
	return c.row->fn(&c);
}
