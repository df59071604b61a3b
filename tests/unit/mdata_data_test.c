/*
 * metadata.json: what is read, what is refused, and that a change is whole or
 * not there at all.
 */
#include "mdata/data.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "mdata/session.h"
#include "tap.h"

static char dir_path[64];

static int
make_dir(void)
{
	strcpy(dir_path, "/tmp/mdata_data.XXXXXX");
	tap_check(mkdtemp(dir_path) != NULL);
	return open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
drop_dir(int dir)
{
	static const char *const names[] = { "metadata.json", ".lock",
		".metadata.json.new", "target" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	close(dir);
	tap_check_int(rmdir(dir_path), 0);
}

static void
put_file(int dir, const char *text)
{
	int fd = openat(dir, "metadata.json",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	tap_check_int(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static const char *
get(const struct mdata_data *d, enum mdata_map map, const char *key)
{
	size_t n = 0;
	const char *v = mdata_data_get(d, map, key, &n);

	if (v != NULL)
		tap_check_int(n, strlen(v));
	return v != NULL ? v : "(none)";
}

static void
reads(void)
{
	struct mdata_data *d = NULL;
	int dir = make_dir();

	/* no file, and an empty one, are files without keys */
	tap_check_int(mdata_data_load(dir, &d, NULL), 0);
	tap_check_str(get(d, MDATA_CUSTOMER, "a"), "(none)");
	mdata_data_free(d);
	put_file(dir, "");
	tap_check_int(mdata_data_load(dir, &d, NULL), 0);
	mdata_data_free(d);
	put_file(dir,
	    "{\"customer_metadata\": {\"a\": \"x\\ny\", \"n\": 1500, "
	    "\"r\": 0.5, \"t\": true, \"f\": false, \"e\": \"\"},\n"
	    "\"internal_metadata\": {\"root_pw\": \"s\"}, \"other\": [1]}");
	tap_check_int(mdata_data_load(dir, &d, NULL), 0);
	tap_check_str(get(d, MDATA_CUSTOMER, "a"), "x\ny");
	tap_check_str(get(d, MDATA_CUSTOMER, "n"), "1500");
	tap_check_str(get(d, MDATA_CUSTOMER, "r"), "0.5");
	tap_check_str(get(d, MDATA_CUSTOMER, "t"), "true");
	tap_check_str(get(d, MDATA_CUSTOMER, "f"), "false");
	tap_check_str(get(d, MDATA_CUSTOMER, "e"), "");
	tap_check_str(get(d, MDATA_CUSTOMER, "root_pw"), "(none)");
	tap_check_str(get(d, MDATA_INTERNAL, "root_pw"), "s");
	mdata_data_free(d);
	drop_dir(dir);
}

static void
refuses(void)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "{", "line 1, column 1: " },
		{ "[]", "must be an object" },
		{ "{\"customer_metadata\": 3}",
		    "customer_metadata must be an object" },
		{ "{\"internal_metadata\": {\"k\": null}}",
		    "internal_metadata: 'k' must be a string" },
		{ "{\"customer_metadata\": {\"k\": {}}}",
		    "customer_metadata: 'k' must be a string" },
		{ "{\"customer_metadata\": {\"\": \"x\"}}", "a key must" },
		{ "{\"customer_metadata\": {\"a\\nb\": \"x\"}}", "a key must" },
		{ "{\"customer_metadata\": {\"a\": \"\xff\"}}", "line 1" },
		{ "{\"customer_metadata\": {\"a\": \"1\", \"a\": \"2\"}}",
		    "line 1" },
	};
	int dir = make_dir();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mdata_data *d = NULL;
		struct error err = ERROR_INIT;

		tap_context("row %zu: %s", i, rows[i].text);
		put_file(dir, rows[i].text);
		tap_check_int(mdata_data_load(dir, &d, &err), -EINVAL);
		tap_check(d == NULL);
		tap_check(strncmp(err.text, "metadata.json: ", 15) == 0);
		tap_check(strstr(err.text, rows[i].why) != NULL);
	}
	drop_dir(dir);
}

/* A folder of somebody else's: no link, no FIFO leads anywhere. */
static void
no_files(void)
{
	struct mdata_data *d = NULL;
	int dir = make_dir();

	tap_check_int(symlinkat("/etc/passwd", dir, "metadata.json"), 0);
	tap_check_int(mdata_data_load(dir, &d, NULL), -ELOOP);
	unlinkat(dir, "metadata.json", 0);
	tap_check_int(mkfifoat(dir, "metadata.json", 0600), 0);
	tap_check_int(mdata_data_load(dir, &d, NULL), -EINVAL);
	tap_check(d == NULL);
	drop_dir(dir);
}

static int
set_all(void *arg, struct mdata_data *d, struct error *err)
{
	const char *const *kv = arg;
	int rc = 0;

	for (; kv[0] != NULL && rc == 0; kv += 2)
		rc = mdata_data_set(d, MDATA_CUSTOMER, kv[0], kv[1],
		    kv[1] != NULL ? strlen(kv[1]) : 0, err);
	return rc;
}

static int
join(void *arg, const char *key, const char *value, size_t n)
{
	struct buf *b = arg;

	return buf_printf(b, "%s=%.*s;", key, (int)n, value);
}

static void
check_all(int dir, const char *want)
{
	struct mdata_data *d = NULL;
	struct buf b;

	buf_init(&b, 4096);
	tap_check_int(mdata_data_load(dir, &d, NULL), 0);
	tap_check_int(mdata_data_each(d, MDATA_CUSTOMER, join, &b), 0);
	tap_check_str(buf_str(&b), want);
	buf_fini(&b);
	mdata_data_free(d);
}

static void
changes(void)
{
	static const char *const first[] = { "b", "1", "a", "2", NULL };
	static const char *const second[] = { "b", "3", "c", "", "a", NULL,
		"no", NULL, NULL };
	static const char *const bad[] = { "d", "4", "\x1f", "x", NULL };
	int dir = make_dir();
	struct stat st;

	tap_check_int(mdata_data_update(
			  dir, false, set_all, (void *)(uintptr_t)first, NULL),
	    0);
	check_all(dir, "b=1;a=2;");
	tap_check_int(fstatat(dir, "metadata.json", &st, 0), 0);
	tap_check_int(st.st_mode & 07777, 0600);
	tap_check_int(mdata_data_update(
			  dir, false, set_all, (void *)(uintptr_t)second, NULL),
	    0);
	check_all(dir, "b=3;c=;");
	/* half a change is none */
	tap_check_int(mdata_data_update(
			  dir, false, set_all, (void *)(uintptr_t)bad, NULL),
	    -EINVAL);
	check_all(dir, "b=3;c=;");
	/* a damaged file is not written over */
	put_file(dir, "{\"customer_metadata\": ");
	tap_check_int(mdata_data_update(
			  dir, false, set_all, (void *)(uintptr_t)first, NULL),
	    -EINVAL);
	tap_check_int(fstatat(dir, "metadata.json", &st, 0), 0);
	tap_check_int(st.st_size, 22);
	drop_dir(dir);
}

static void
keeps_what_it_does_not_know(void)
{
	static const char *const kv[] = { "a", "2", NULL };
	int dir = make_dir();
	struct buf b;

	put_file(
	    dir, "{\"x\": [1], \"customer_metadata\": {\"n\": 7, \"a\": 1}}");
	tap_check_int(
	    mdata_data_update(dir, false, set_all, (void *)(uintptr_t)kv, NULL),
	    0);
	buf_init(&b, 4096);
	tap_check_int(fd_read_file(dir, "metadata.json", &b), 0);
	tap_check(strstr(buf_str(&b), "\"x\": [") != NULL);
	tap_check(strstr(buf_str(&b), "\"n\": 7") != NULL);
	tap_check(strstr(buf_str(&b), "\"a\": \"2\"") != NULL);
	buf_fini(&b);
	check_all(dir, "n=7;a=2;");
	drop_dir(dir);
}

static int
leave(void *arg, struct mdata_data *d, struct error *err)
{
	return 1;
}

static void
locks(void)
{
	int dir = make_dir(), lock;
	struct stat st;

	tap_check_int(mdata_data_update(dir, false, leave, NULL, NULL), 0);
	tap_check_int(fstatat(dir, "metadata.json", &st, 0), -1);
	lock = openat(dir, ".lock", O_RDWR | O_CLOEXEC);
	tap_check_int(fd_lock_ofd(lock, true), 0);
	tap_check_int(mdata_data_update(dir, false, leave, NULL, NULL), -EBUSY);
	close(lock);
	tap_check_int(mdata_data_update(dir, true, leave, NULL, NULL), 0);
	drop_dir(dir);
}

/* Written by root, it is the folder's owner's. */
static void
owned(void)
{
	static const char *const kv[] = { "a", "2", NULL };
	int dir = make_dir();
	struct stat st;

	if (geteuid() == 0) {
		tap_check_int(fchown(dir, 12345, 12346), 0);
		tap_check_int(mdata_data_update(dir, false, set_all,
				  (void *)(uintptr_t)kv, NULL),
		    0);
		tap_check_int(fstatat(dir, "metadata.json", &st, 0), 0);
		tap_check_int(st.st_uid, 12345);
		tap_check_int(st.st_gid, 12346);
		tap_check_int(fstatat(dir, ".lock", &st, 0), 0);
		tap_check_int(st.st_uid, 12345);
	}
	drop_dir(dir);
}

/* Somebody's file, linked in there as the lock, is not given away. */
static void
links(void)
{
	int dir = make_dir();
	struct stat st;

	tap_check_int(mkdirat(dir, "x", 0700), 0);
	close(openat(dir, "x/file", O_CREAT | O_WRONLY, 0600));
	tap_check_int(linkat(dir, "x/file", dir, ".lock", 0), 0);
	if (geteuid() == 0)
		tap_check_int(fchown(dir, 12345, 12346), 0);
	tap_check_int(
	    mdata_data_update(dir, false, leave, NULL, NULL), -EINVAL);
	tap_check_int(fstatat(dir, "x/file", &st, 0), 0);
	tap_check_int(st.st_uid, geteuid());
	tap_check_int(unlinkat(dir, "x/file", 0), 0);
	tap_check_int(unlinkat(dir, "x", AT_REMOVEDIR), 0);
	drop_dir(dir);
}

static void
limits(void)
{
	static char big[MDATA_VALUE_MAX + 1];
	struct mdata_data *d = NULL;
	char key[MDATA_KEY_MAX + 2];
	struct error err = ERROR_INIT;
	int dir = make_dir(), rc = 0;

	memset(big, 'x', sizeof(big));
	memset(key, 'k', sizeof(key));
	key[MDATA_KEY_MAX + 1] = '\0';
	tap_check_int(mdata_data_load(dir, &d, NULL), 0);
	tap_check_int(
	    mdata_data_set(d, MDATA_CUSTOMER, key, "", 0, &err), -EINVAL);
	key[MDATA_KEY_MAX] = '\0';
	tap_check_int(mdata_data_set(d, MDATA_CUSTOMER, key, "", 0, &err), 0);
	tap_check_int(mdata_data_set(d, MDATA_CUSTOMER, key, NULL, 0, &err), 0);
	tap_check_int(
	    mdata_data_set(d, MDATA_CUSTOMER, "big", big, sizeof(big), &err),
	    -E2BIG);
	tap_check_int(
	    mdata_data_set(d, MDATA_CUSTOMER, "\xff", "", 0, &err), -EINVAL);
	tap_check_int(
	    mdata_data_set(d, MDATA_CUSTOMER, "v", "\xff", 1, &err), -EINVAL);
	/* of both maps together */
	for (int i = 0; i < MDATA_KEYS_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		rc |= mdata_data_set(d,
		    i % 2 == 0 ? MDATA_CUSTOMER : MDATA_INTERNAL, key, "1", 1,
		    &err);
	}
	tap_check_int(rc, 0);
	tap_check_int(
	    mdata_data_set(d, MDATA_INTERNAL, "more", "", 0, &err), -E2BIG);
	tap_check_int(mdata_data_set(d, MDATA_CUSTOMER, "k0", "2", 1, &err), 0);
	tap_check_int(
	    mdata_data_set(d, MDATA_CUSTOMER, "k2", NULL, 0, &err), 0);
	tap_check_int(
	    mdata_data_set(d, MDATA_INTERNAL, "more", "", 0, &err), 0);
	mdata_data_free(d);
	d = NULL;
	tap_check_int(mdata_data_load(dir, &d, NULL), 0);
	for (int i = 0; i < 4; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		rc = mdata_data_set(d, MDATA_CUSTOMER, key, big,
		    MDATA_VALUE_MAX - strlen(key), &err);
		tap_check_int(rc, 0);
	}
	tap_check_int(
	    mdata_data_set(d, MDATA_INTERNAL, "m", "", 0, &err), -E2BIG);
	tap_check_int(mdata_data_set(d, MDATA_CUSTOMER, "k0", "", 0, &err), 0);
	tap_check_int(mdata_data_set(d, MDATA_INTERNAL, "m", "", 0, &err), 0);
	mdata_data_free(d);
	drop_dir(dir);
}

static void
nul_is_a_byte(void)
{
	struct mdata_data *d = NULL;
	size_t n = 0;
	int dir = make_dir();

	put_file(dir, "{\"customer_metadata\": {\"a\": \"x\\u0000y\"}}");
	tap_check_int(mdata_data_load(dir, &d, NULL), 0);
	tap_check(mdata_data_get(d, MDATA_CUSTOMER, "a", &n) != NULL);
	tap_check_int(n, 3);
	mdata_data_free(d);
	drop_dir(dir);
}

/* Writers that are killed at any moment: old or new, never less. */
static void
killed(void)
{
	static const char *const first[] = { "n", "0", NULL };
	int dir = make_dir(), status;
	struct mdata_data *d = NULL;

	tap_check_int(mdata_data_update(
			  dir, false, set_all, (void *)(uintptr_t)first, NULL),
	    0);
	for (unsigned round = 0; round < 40; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (unsigned i = 0;; i++) {
				char text[16];
				const char *const kv[] = { "n", text, NULL };

				snprintf(text, sizeof(text), "%u", i);
				(void)mdata_data_update(dir, true, set_all,
				    (void *)(uintptr_t)kv, NULL);
			}
		}
		usleep(200 + round * 97);
		kill(pid, SIGKILL);
		tap_check_int(waitpid(pid, &status, 0), pid);
		tap_check_int(mdata_data_load(dir, &d, NULL), 0);
		tap_check(strcmp(get(d, MDATA_CUSTOMER, "n"), "(none)") != 0);
		mdata_data_free(d);
	}
	tap_check_int(mdata_data_update(
			  dir, false, set_all, (void *)(uintptr_t)first, NULL),
	    0);
	drop_dir(dir);
}

static const struct tap_test tests[] = { TAP_TEST(reads), TAP_TEST(refuses),
	TAP_TEST(no_files), TAP_TEST(changes),
	TAP_TEST(keeps_what_it_does_not_know), TAP_TEST(locks), TAP_TEST(owned),
	TAP_TEST(links), TAP_TEST(limits), TAP_TEST(nul_is_a_byte),
	TAP_TEST(killed) };
TAP_MAIN(tests)
