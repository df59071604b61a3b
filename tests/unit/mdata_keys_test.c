/*
 * Which key is what, and what guests get and may change.
 */
#include "mdata/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "tap.h"

#define UUID "5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d"

static char dir_path[64];
static int dir;
static struct mdata_keys *keys;

static void
put_file(const char *name, const char *text)
{
	int fd =
	    openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	tap_check_int(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void
begin(const char *json)
{
	strcpy(dir_path, "/tmp/mdata_keys.XXXXXX");
	tap_check(mkdtemp(dir_path) != NULL);
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (json != NULL)
		put_file("metadata.json", json);
	keys = mdata_keys_create(UUID, dir);
	tap_check(keys != NULL);
}

static void
end(void)
{
	static const char *const names[] = { "metadata.json", ".lock",
		"tags.json" };

	mdata_keys_free(keys);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	close(dir);
	tap_check_int(rmdir(dir_path), 0);
}

/* The value, or "-ERRNO" and why. */
static const char *
get(const char *key)
{
	static char text[4096];
	struct buf value, why;
	int rc;

	buf_init(&value, MDATA_VALUE_MAX);
	buf_init(&why, 100);
	rc = mdata_keys_ops.get(keys, key, &value, &why);
	snprintf(text, sizeof(text), "%s%s", rc < 0 ? strerrorname_np(-rc) : "",
	    rc < 0 ? "" : buf_str(&value));
	buf_fini(&value);
	buf_fini(&why);
	return text;
}

static const char *
list(void)
{
	static char text[4096];
	struct buf names, why;

	buf_init(&names, MDATA_VALUE_MAX);
	buf_init(&why, 100);
	tap_check_int(mdata_keys_ops.keys(keys, &names, &why), 0);
	snprintf(text, sizeof(text), "%s", buf_str(&names));
	buf_fini(&names);
	buf_fini(&why);
	return text;
}

/* value NULL: DELETE. "ok", or why not. */
static const char *
set(const char *key, const char *value)
{
	static char text[256];
	struct buf why;
	int rc;

	buf_init(&why, 100);
	if (value != NULL)
		rc = mdata_keys_ops.put(keys, key, value, strlen(value), &why);
	else
		rc = mdata_keys_ops.del(keys, key, &why);
	snprintf(text, sizeof(text), "%s", rc < 0 ? buf_str(&why) : "ok");
	buf_fini(&why);
	return text;
}

static void
facts(const char *namespaces)
{
	const char *const names[] = { "sdc:uuid", "sdc:hostname", "sdc:nics",
		"sdc:resolvers", "sdc:routes", "sdc:ram", "sdc:vnc_password",
		"sdc:internal_metadata_namespaces" };
	const char *const values[] = { UUID, "web01",
		"[{\"mac\":\"02:08:20:aa:bb:cc\",\"mtu\":1500,\"primary\":true,"
		"\"ips\":[\"10.0.0.5/24\",\"fd00:1::5/64\"]}]",
		"[\"192.0.2.53\",\"2001:db8::53\"]", "[]", "1024", "secret",
		namespaces };

	tap_check_int(mdata_keys_facts(keys, names, values, 8), 0);
}

static void
classes(void)
{
	static const char *const ns[] = { "docker", "foo" };
	static const struct {
		const char *key;
		enum mdata_class class;
	} rows[] = {
		{ "sdc:", MDATA_KEY_SDC },
		{ "sdc:uuid", MDATA_KEY_SDC },
		{ "sdc:x_pw", MDATA_KEY_SDC },
		{ "sdc", MDATA_KEY_CUSTOMER },
		{ "SDC:uuid", MDATA_KEY_CUSTOMER },
		{ "foo:bar", MDATA_KEY_NAMESPACE },
		{ "foo:", MDATA_KEY_NAMESPACE },
		{ "foo:bar_pw", MDATA_KEY_NAMESPACE },
		{ "foo", MDATA_KEY_CUSTOMER },
		{ "fo:bar", MDATA_KEY_CUSTOMER },
		{ "foobar:x", MDATA_KEY_CUSTOMER },
		{ "bar:foo:x", MDATA_KEY_CUSTOMER },
		{ ":foo", MDATA_KEY_CUSTOMER },
		{ "root_pw", MDATA_KEY_PW },
		{ "_pw", MDATA_KEY_PW },
		{ "a:b_pw", MDATA_KEY_PW },
		{ "pw", MDATA_KEY_CUSTOMER },
		{ "root_pwd", MDATA_KEY_CUSTOMER },
		{ "operator-script", MDATA_KEY_OPERATOR },
		{ "operator-script2", MDATA_KEY_CUSTOMER },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_context("%s", rows[i].key);
		tap_check_int(
		    mdata_key_class(rows[i].key, ns, 2), rows[i].class);
	}
}

static void
sdc(void)
{
	begin("{\"internal_metadata\": {\"operator-script\": \"#!/bin/sh\","
	      " \"sdc:volumes\": \"[]\", \"hidden\": \"x\"}}");
	tap_check_str(get("sdc:uuid"), UUID); /* before there are facts */
	tap_check_str(get("sdc:nics"), "ENOENT");
	facts("[]");
	tap_check_str(get("sdc:uuid"), UUID);
	tap_check_str(get("sdc:hostname"), "web01");
	tap_check_str(get("sdc:ram"), "1024");
	tap_check_str(get("sdc:routes"), "[]");
	tap_check_str(get("sdc:alias"), "ENOENT");
	tap_check_str(get("sdc:operator-script"), "#!/bin/sh");
	tap_check_str(get("sdc:volumes"), "[]");
	tap_check_str(get("sdc:vendor-data"), "ENOENT");
	/* parts of lists */
	tap_check_str(
	    get("sdc:resolvers"), "[\"192.0.2.53\",\"2001:db8::53\"]");
	tap_check_str(get("sdc:resolvers.1"), "2001:db8::53");
	tap_check_str(get("sdc:resolvers.2"), "ENOENT");
	tap_check_str(get("sdc:resolvers.-1"), "ENOENT");
	tap_check_str(get("sdc:resolvers."), "ENOENT");
	tap_check_str(get("sdc:nics.0.mac"), "02:08:20:aa:bb:cc");
	tap_check_str(get("sdc:nics.0.mtu"), "1500");
	tap_check_str(get("sdc:nics.0.primary"), "true");
	tap_check_str(get("sdc:nics.0.ips.1"), "fd00:1::5/64");
	tap_check_str(get("sdc:nics.0"), "EINVAL");
	tap_check_str(get("sdc:nics.0.ips"), "EINVAL");
	tap_check_str(get("sdc:nics.0.mac.x"), "ENOENT");
	tap_check_str(get("sdc:nics.0.mac."), "ENOENT");
	/* what is not on the list is not given */
	tap_check_str(get("sdc:vnc_password"), "ENOENT");
	tap_check_str(get("sdc:internal_metadata_namespaces"), "ENOENT");
	tap_check_str(get("sdc:internal_metadata.hidden"), "ENOENT");
	tap_check_str(get("sdc:internal_metadata"), "ENOENT");
	tap_check_str(get("sdc:customer_metadata"), "ENOENT");
	tap_check_str(get("sdc:uuid.0"), "ENOENT");
	tap_check_str(get("sdc:"), "ENOENT");
	tap_check_str(get("hidden"), "ENOENT");
	end();
}

static void
tags(void)
{
	begin(NULL);
	tap_check_str(get("sdc:tags.role"), "ENOENT");
	put_file("tags.json", "{\"role\": \"db\", \"n\": 3, \"a.b\": true}");
	tap_check_str(get("sdc:tags.role"), "db");
	tap_check_str(get("sdc:tags.n"), "3");
	tap_check_str(get("sdc:tags.a.b"), "true");
	tap_check_str(get("sdc:tags.a"), "ENOENT");
	tap_check_str(get("sdc:tags."), "ENOENT");
	tap_check_str(get("sdc:tags"), "EINVAL");
	put_file("tags.json", "[");
	tap_check_str(get("sdc:tags.role"), "EINVAL");
	end();
}

/* What the agent's own test expects of namespaces. */
static void
namespaces(void)
{
	begin("{\"customer_metadata\": {\"bar:foo\": \"bar:foo customer\","
	      " \"foo:bar\": \"foo:bar customer\", \"user-script\": \"s\"},"
	      " \"internal_metadata\": {\"bar:foo\": \"bar:foo internal\","
	      " \"foo:bar\": \"foo:bar internal\", \"hidden\": \"h\"}}");
	facts("[\"baz\", \"foo\"]");
	tap_check_str(get("foo:bar"), "foo:bar internal");
	tap_check_str(get("bar:foo"), "bar:foo customer");
	tap_check_str(get("hidden"), "ENOENT");
	tap_check_str(list(), "bar:foo\nuser-script\nfoo:bar");
	tap_check_str(
	    set("foo:qux", "1"), "Cannot update the \"foo\" Namespace.");
	tap_check_str(
	    set("foo:bar", NULL), "Cannot update the \"foo\" Namespace.");
	tap_check_str(set("quux:qux", "1"), "ok");
	tap_check_str(get("quux:qux"), "1");
	tap_check_str(list(), "bar:foo\nuser-script\nquux:qux\nfoo:bar");
	/* and without them */
	facts("[]");
	tap_check_str(get("foo:bar"), "foo:bar customer");
	tap_check_str(list(), "bar:foo\nfoo:bar\nuser-script\nquux:qux");
	facts("nonsense");
	tap_check_str(get("foo:bar"), "foo:bar customer");
	end();
}

static void
passwords(void)
{
	begin("{\"customer_metadata\": {\"root_pw\": \"visible\"},"
	      " \"internal_metadata\": {\"admin_pw\": \"a\"}}");
	tap_check_str(get("root_pw"), "ENOENT");
	tap_check_str(get("admin_pw"), "a");
	tap_check_str(list(), "admin_pw");
	tap_check_str(set("root_pw", "new"), "ok");
	tap_check_str(get("root_pw"), "new");
	tap_check_str(list(), "admin_pw\nroot_pw");
	tap_check_str(set("root_pw", NULL), "ok");
	tap_check_str(get("root_pw"), "ENOENT");
	end();
}

static void
guests_write(void)
{
	struct stat before, after;

	begin(NULL);
	tap_check_str(list(), "");
	tap_check_str(set("color", "blue\n"), "ok");
	tap_check_str(get("color"), "blue\n");
	tap_check_int(fstatat(dir, "metadata.json", &before, 0), 0);
	/* the same again is no new file */
	tap_check_str(set("color", "blue\n"), "ok");
	tap_check_int(fstatat(dir, "metadata.json", &after, 0), 0);
	tap_check_int(before.st_ino, after.st_ino);
	tap_check_int(mdata_keys_writes(keys), 2);
	tap_check_str(set("color", NULL), "ok");
	tap_check_str(set("color", NULL), "ok");
	tap_check_str(get("color"), "ENOENT");
	tap_check_str(
	    set("sdc:x", "1"), "Cannot update the \"sdc\" Namespace.");
	tap_check_str(
	    set("sdc:uuid", NULL), "Cannot update the \"sdc\" Namespace.");
	tap_check_str(
	    set("operator-script", "x"), "Cannot update \"operator-script\".");
	tap_check_str(
	    set("operator-script", NULL), "Cannot update \"operator-script\".");
	tap_check_str(set("a", "\xff"), "Keys and values must be UTF-8.");
	tap_check_str(set("\xff", "a"), "Keys and values must be UTF-8.");
	tap_check_str(list(), "");
	end();
}

static void
full(void)
{
	static char big[MDATA_GUEST_VALUE_MAX + 1];
	char key[16];

	begin(NULL);
	memset(big, 'x', sizeof(big) - 1);
	for (int i = 0; i < 15; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		tap_check_str(set(key, big), "ok");
	}
	tap_check_str(set("last", big), "The metadata is full.");
	tap_check_str(get("k3") + 4000, big + 65536 - 95);
	tap_check_str(set("k3", NULL), "ok");
	tap_check_str(set("last", big), "ok");
	end();
}

static void
count_note(void *arg, const char *text)
{
	unsigned *n = arg;

	tap_check(strstr(text, "secret") == NULL);
	(*n)++;
}

/* Keys, no values, and not for ever. */
static void
notes(void)
{
	unsigned n = 0;
	char key[16];

	begin(NULL);
	mdata_keys_on_note(keys, count_note, &n);
	tap_check_str(set("root_pw", "secret"), "ok");
	tap_check_int(n, 1);
	tap_check_str(set("root_pw", "secret"), "ok");
	tap_check_int(n, 1);
	for (int i = 0; i < 30; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		tap_check_str(set(key, "secret"), "ok");
	}
	tap_check_int(n, 10);
	end();
}

/* Of many zones with much, some are read again for each request. */
static void
big_ones(void)
{
	static const char head[] = "{\"customer_metadata\": {\"big\": \"";
	static char text[70100];
	struct mdata_keys *many[40];
	struct buf value, why;

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + sizeof(text) - 4, "\"}}", 4);
	begin(text);
	buf_init(&value, MDATA_VALUE_MAX);
	buf_init(&why, 100);
	for (int i = 0; i < 40; i++)
		many[i] = mdata_keys_create(UUID, dir);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 40; i++) {
			buf_reset(&value);
			tap_check_int(
			    mdata_keys_ops.get(many[i], "big", &value, &why),
			    0);
			tap_check(value.len > 70000);
			if (i % 7 == round)
				mdata_keys_forget(many[i]);
		}
	for (int i = 0; i < 40; i++)
		mdata_keys_free(many[i]);
	buf_fini(&value);
	buf_fini(&why);
	end();
}

/* An operator's edit is seen by the next request, half an edit by none. */
static void
edits(void)
{
	begin("{\"customer_metadata\": {\"a\": \"1\"}}");
	tap_check_str(get("a"), "1");
	put_file("metadata.json", "{\"customer_metadata\": {\"a\": \"22\"}}");
	tap_check_str(get("a"), "22");
	put_file("metadata.json", "{\"customer_metadata\": {\"a\":");
	tap_check_str(get("a"), "22");
	tap_check_str(set("a", "3"), "The host cannot write the metadata.");
	mdata_keys_forget(keys);
	tap_check_str(get("a"), "EIO");
	put_file("metadata.json", "{\"customer_metadata\": {\"b\": \"4\"}}");
	tap_check_str(get("a"), "ENOENT");
	unlinkat(dir, "metadata.json", 0);
	tap_check_str(get("b"), "ENOENT");
	end();
}

static void
busy(void)
{
	int lock;

	begin(NULL);
	tap_check_str(set("a", "1"), "ok");
	lock = openat(dir, ".lock", O_RDWR | O_CLOEXEC);
	tap_check_int(fd_lock_ofd(lock, true), 0);
	tap_check_str(
	    set("a", "2"), "The metadata is being changed; try again.");
	tap_check_str(get("a"), "1");
	close(lock);
	tap_check_str(set("a", "2"), "ok");
	end();
}

static const struct tap_test tests[] = { TAP_TEST(classes), TAP_TEST(sdc),
	TAP_TEST(tags), TAP_TEST(namespaces), TAP_TEST(passwords),
	TAP_TEST(guests_write), TAP_TEST(full), TAP_TEST(notes),
	TAP_TEST(big_ones), TAP_TEST(edits), TAP_TEST(busy) };
TAP_MAIN(tests)
