/*
 * A guest's requests over a zone's facts and metadata.json. A line is a letter
 * and its argument: N namespaces, G get, K keys, D delete, "P KEY VALUE" put,
 * and p with a PUT's payload as it is, for the double decoding. Whatever they
 * are: nothing internal but what is listed is given, sdc: names and namespaces
 * stay what they are, and what was put is got.
 */
#include "mdata/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "mdata/frame.h"

#define SECRET "S-E-C-R-E-T"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char json[] =
    "{\"customer_metadata\": {\"user-script\": \"x\", \"sdc:a\": \"" SECRET
    "\"}, \"internal_metadata\": {\"hidden\": \"" SECRET
    "\", \"root_pw\": \"p\", \"foo:bar\": \"f\"}}";
static const char *const fact_names[] = { "sdc:nics", "sdc:other",
	"sdc:internal_metadata_namespaces" };

static int dir;
static struct mdata_keys *keys;

static void
must(bool so)
{
	if (!so)
		abort();
}

/* ---- a zone ---- */

static void
set_namespaces(const char *text)
{
	const char *const values[] = { "[{\"mac\":\"02:08\"}]", SECRET, text };

	must(mdata_keys_facts(keys, fact_names, values, 3) == 0);
}

static void
begin(char *path)
{
	int fd;

	strcpy(path, "/dev/shm/mdata_keys_fuzz.XXXXXX");
	must(mkdtemp(path) != NULL);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, "metadata.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0 && fd_write_all(fd, json, sizeof(json) - 1) == 0);
	close(fd);
	keys = mdata_keys_create("uuid", dir);
	must(keys != NULL);
	set_namespaces("[\"foo\"]");
}

static void
end(const char *path)
{
	mdata_keys_free(keys);
	unlinkat(dir, "metadata.json", 0);
	unlinkat(dir, ".lock", 0);
	close(dir);
	rmdir(path);
}

/* ---- requests ---- */

static void
no_secret(const struct buf *b)
{
	must(b->len == 0 ||
	    memmem(b->data, b->len, SECRET, strlen(SECRET)) == NULL);
}

static int
get(const char *key, struct buf *value)
{
	struct buf why;
	int rc;

	buf_init(&why, 100);
	buf_reset(value);
	rc = mdata_keys_ops.get(keys, key, value, &why);
	no_secret(value);
	no_secret(&why);
	buf_fini(&why);
	return rc;
}

static void
list(struct buf *names)
{
	struct buf why;

	buf_init(&why, 100);
	buf_reset(names);
	must(mdata_keys_ops.keys(keys, names, &why) == 0);
	must(buf_str(names) != NULL &&
	    strncmp((char *)names->data, "sdc:", 4) != 0 &&
	    strstr((char *)names->data, "\nsdc:") == NULL);
	buf_fini(&why);
}

/* What was changed is so; what may not be is not. */
static void
change(const char *key, const char *value, size_t n, struct buf *got)
{
	struct buf why;
	int rc;

	buf_init(&why, 100);
	if (value != NULL)
		rc = mdata_keys_ops.put(keys, key, value, n, &why);
	else
		rc = mdata_keys_ops.del(keys, key, &why);
	must(rc < 0 || strncmp(key, "sdc:", 4) != 0);
	must(rc < 0 || strcmp(key, "operator-script") != 0);
	no_secret(&why);
	buf_fini(&why);
	if (rc < 0)
		return;
	rc = get(key, got);
	if (value == NULL)
		must(rc == -ENOENT);
	else
		must(rc == 0 && got->len == n &&
		    memcmp(got->data, value, n) == 0);
}

/* As it comes from a guest: a frame, in a session. */
static void
put_frame(const char *payload, size_t n)
{
	struct mdata_session *s = mdata_session_create(&mdata_keys_ops, keys);
	const uint8_t *out;
	struct buf line;
	size_t len = 0;

	must(s != NULL);
	buf_init(&line, MDATA_LINE_MAX);
	if (mdata_frame_write(&line, "0123abcd", "PUT", payload, n) == 0) {
		must(
		    mdata_session_input(s, line.data, line.len, 0) == line.len);
		out = mdata_session_output(s, &len);
		must(out != NULL && out[len - 1] == '\n');
	}
	buf_fini(&line);
	mdata_session_free(s);
}

/* A key as the session lets it through. */
static bool
is_key(const char *key)
{
	for (const char *p = key; *p != '\0'; p++)
		if ((uint8_t)*p < 0x20 || *p == 0x7f)
			return false;
	return key[0] != '\0' && strlen(key) <= MDATA_KEY_MAX;
}

static void
request(char letter, char *arg, size_t n, struct buf *b)
{
	char *blank = strchr(arg, ' ');

	if (letter == 'N') {
		set_namespaces(arg);
	} else if (letter == 'K') {
		list(b);
	} else if (letter == 'p') {
		put_frame(arg, n);
	} else if (letter == 'P' && blank != NULL) {
		*blank = '\0';
		if (is_key(arg) && n > (size_t)(blank + 1 - arg))
			change(
			    arg, blank + 1, n - (size_t)(blank + 1 - arg), b);
	} else if (is_key(arg)) {
		if (letter == 'G')
			(void)get(arg, b);
		else if (letter == 'D')
			change(arg, NULL, 0, b);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], *text;
	struct buf b;

	/* what a guest has written it may read */
	if (size == 0 || memmem(data, size, SECRET, strlen(SECRET)) != NULL)
		return 0;
	begin(path);
	buf_init(&b, MDATA_VALUE_MAX);
	while (size > 1) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t n = nl != NULL ? (size_t)(nl - data) : size;

		text = n > 0 ? strndup((const char *)data + 1, n - 1) : NULL;
		if (text != NULL)
			request((char)data[0], text, strlen(text), &b);
		free(text);
		n += nl != NULL;
		data += n;
		size -= n;
	}
	list(&b);
	no_secret(&b);
	buf_fini(&b);
	end(path);
	return 0;
}
