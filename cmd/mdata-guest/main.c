/*
 * mdata-get, mdata-put, mdata-list and mdata-delete: a guest's tools to ask its
 * host for metadata. One program for all names, static, for guests of any
 * distribution; it needs nothing but the port and the clock.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "mdata/client.h"
#include "mdata/session.h"
#include "port.h"

#define SECOND UINT64_C(1000000000)
#define CHUNK 16384
#define REOPEN_MS 1000
#define PATIENCE (10 * SECOND) /* then it is said what is waited for */

/* What scripts expect of the originals */
enum status { ST_OK, ST_NOTFOUND, ST_ERROR, ST_USAGE };

static const struct tool {
	const char *name, *args;
	enum mdata_verb verb;
	int min, max; /* arguments */
} tools[] = {
	{ "mdata-get", "[-n] [-d port] [-t seconds] key", MDATA_GET, 1, 1 },
	{ "mdata-put", "[-d port] [-t seconds] key [value]", MDATA_PUT, 1, 2 },
	{ "mdata-list", "[-d port] [-t seconds]", MDATA_KEYS, 0, 0 },
	{ "mdata-delete", "[-d port] [-t seconds] key", MDATA_DELETE, 1, 1 },
};

struct run {
	const struct tool *tool;
	struct mdata_client *client;
	struct port port;
	uint64_t begin, until; /* UINT64_MAX: for as long as it takes */
	bool exact; /* -n */
	bool told;
};

static int
fail(const struct run *r, const char *text)
{
	fprintf(stderr, "%s: %s\n", r->tool->name, text);
	return ST_ERROR;
}

static int
usage(const struct tool *tool, const char *what)
{
	if (what != NULL)
		fprintf(stderr, "%s: %s\n", tool->name, what);
	fprintf(stderr, "usage: %s %s\n", tool->name, tool->args);
	return ST_USAGE;
}

/* ---- the conversation ---- */

/* Signs that there is, or was, nobody at the other end. */
static bool
may_come_back(int code)
{
	return code == ECONNREFUSED || code == ENOENT || code == EIO ||
	    code == EAGAIN;
}

/* First time: what is wrong is wrong. Later it may be the host's restart. */
static int
reopen(struct run *r, struct error *err)
{
	bool first = mdata_client_rounds(r->client) == 0;
	int rc = port_open(&r->port, r->until, err);

	if (rc == 0) {
		mdata_client_start(r->client, port_now());
		return 0;
	}
	if (first ? err->code != ECONNREFUSED : !may_come_back(err->code))
		return rc;
	if (port_now() >= r->until)
		return error_set(
		    err, ETIMEDOUT, "nobody listens on %s", r->port.path);
	poll(NULL, 0, REOPEN_MS);
	return 0;
}

static void
send_some(struct run *r, uint64_t now)
{
	size_t n;
	const uint8_t *p = mdata_client_output(r->client, &n);
	ssize_t rc = p != NULL ? write(r->port.fd, p, n) : 0;

	if (rc > 0)
		mdata_client_sent(r->client, (size_t)rc, now);
	else if (rc == -1 && errno != EAGAIN && errno != EINTR)
		port_close(&r->port);
}

static void
receive_some(struct run *r, uint64_t now)
{
	static uint8_t chunk[CHUNK];
	ssize_t rc = read(r->port.fd, chunk, sizeof(chunk));

	if (rc > 0)
		mdata_client_input(r->client, chunk, (size_t)rc, now);
	else if (rc == 0 || (errno != EAGAIN && errno != EINTR))
		port_close(&r->port);
}

static void
say_patience(struct run *r, uint64_t now)
{
	if (r->told || now - r->begin < PATIENCE)
		return;
	r->told = true;
	fprintf(stderr,
	    "%s: still waiting for the host's metadata service on %s\n",
	    r->tool->name, r->port.path);
}

/* Until something happens, or should. */
static void
step(struct run *r)
{
	struct pollfd pfd = { r->port.fd, POLLIN, 0 };
	uint64_t now = port_now(),
		 at = MIN(mdata_client_deadline(r->client), r->until);
	size_t n;

	if (mdata_client_output(r->client, &n) != NULL)
		pfd.events |= POLLOUT;
	/* rounded up, and not for so long that nothing could be said */
	poll(&pfd, 1, at <= now ? 0 : (int)MIN((at - now) / 1000000 + 1, 5000));
	now = port_now();
	if ((pfd.revents & POLLOUT) != 0)
		send_some(r, now);
	if (r->port.fd != -1 && (pfd.revents & ~POLLOUT) != 0)
		receive_some(r, now);
	mdata_client_tick(r->client, now);
	say_patience(r, now);
}

static int
converse(struct run *r, struct error *err)
{
	unsigned rounds = 0;
	int rc = 0;

	while (rc == 0 && mdata_client_result(r->client) == MDATA_PENDING) {
		if (port_now() >= r->until)
			return error_set(err, ETIMEDOUT,
			    "no answer from the host on %s; is its metadata "
			    "service running?",
			    r->port.path);
		if (r->port.fd == -1)
			rc = reopen(r, err);
		else
			step(r);
		/* Whoever opened it since may have changed its mode. */
		if (rc == 0 && rounds != 0 && r->port.fd != -1 &&
		    mdata_client_rounds(r->client) != rounds)
			rc = port_make_raw(&r->port, err);
		rounds = mdata_client_rounds(r->client);
	}
	return rc;
}

/* ---- what came of it ---- */

static int
print_value(struct run *r)
{
	const struct buf *v = mdata_client_value(r->client);
	bool list = r->tool->verb == MDATA_KEYS;
	bool lf = v->len > 0 && v->data[v->len - 1] == '\n';

	if (r->tool->verb != MDATA_GET && !list)
		return ST_OK;
	if (v->len > 0)
		fwrite(v->data, 1, v->len, stdout);
	if (!lf && !r->exact && !(list && v->len == 0))
		putchar('\n');
	if (fflush(stdout) == 0)
		return ST_OK;
	fprintf(stderr, "%s: standard output: %s\n", r->tool->name,
	    strerror(errno));
	return ST_ERROR;
}

static int
print_failure(struct run *r)
{
	const struct buf *v = mdata_client_value(r->client);
	char text[256];
	size_t n = MIN(v->len, sizeof(text) - 1);

	/* It is for a terminal, and not ours. */
	for (size_t i = 0; i < n; i++)
		text[i] = v->data[i] < 0x20 || v->data[i] == 0x7f
		    ? '?'
		    : (char)v->data[i];
	text[n] = '\0';
	fprintf(stderr, "%s: the host refuses%s%s\n", r->tool->name,
	    n > 0 ? ": " : "", text);
	return ST_ERROR;
}

static int
print_result(struct run *r, const char *key)
{
	enum mdata_result result = mdata_client_result(r->client);

	if (result == MDATA_SUCCESS)
		return print_value(r);
	if (result == MDATA_FAILURE)
		return print_failure(r);
	if (result == MDATA_READONLY)
		return fail(r,
		    "this host's metadata can only be read (protocol "
		    "version 1)");
	if (result == MDATA_BROKEN)
		return fail(
		    r, "the host's answer is damaged, or longer than 8 MiB");
	fprintf(stderr, "%s: no metadata for '%s'\n", r->tool->name, key);
	return r->tool->verb == MDATA_GET ? ST_NOTFOUND : ST_ERROR;
}

/* ---- command line ---- */

static const struct tool *
find_tool(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	const char *name = slash != NULL ? slash + 1 : argv0;

	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		if (strcmp(tools[i].name, name) == 0)
			return &tools[i];
	return NULL;
}

static int
read_value(struct buf *value, struct error *err)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		if (buf_append(value, chunk, (size_t)n) < 0)
			break;
	if (n == -1)
		return error_sys(err, errno, "standard input");
	return buf_error(value) == 0 ? 0
				     : error_set(err, E2BIG,
					   "standard input: longer than "
					   "64 KiB, what a value may be");
}

static int
make_client(struct run *r, char **args, int n, struct error *err)
{
	struct buf value;
	int rc = 0;

	buf_init(&value, MDATA_GUEST_VALUE_MAX);
	if (r->tool->verb == MDATA_PUT)
		rc = n < 2 ? read_value(&value, err)
			   : buf_append_str(&value, args[1]);
	if (rc == 0)
		rc = mdata_client_create(r->tool->verb, n > 0 ? args[0] : NULL,
		    value.data, value.len, r->port.serial, &r->client);
	buf_fini(&value);
	return rc;
}

static int
run(struct run *r, const char *path, char **args, int n)
{
	struct error err = ERROR_INIT;
	int rc = port_find(&r->port, path, &err), status;

	if (rc == 0)
		rc = make_client(r, args, n, &err);
	if (rc == -EINVAL && err.code == 0)
		return usage(r->tool,
		    "a key has 1 to 255 bytes, no control characters, and no "
		    "blank at its ends");
	if (rc < 0 && err.code == 0)
		error_set(&err, -rc, "%s",
		    rc == -ENOMEM ? "out of memory"
				  : "a value has at most 64 KiB");
	if (rc == 0)
		rc = converse(r, &err);
	port_close(&r->port);
	status =
	    rc == 0 ? print_result(r, n > 0 ? args[0] : "") : fail(r, err.text);
	mdata_client_free(r->client);
	return status;
}

int
main(int argc, char **argv)
{
	struct run r = { .begin = port_now(), .until = UINT64_MAX };
	const char *path = getenv("MDATA_PORT");
	uint64_t limit;
	int c;

	r.tool = argc > 0 ? find_tool(argv[0]) : NULL;
	if (r.tool == NULL && argc > 1 &&
	    (r.tool = find_tool(argv[1])) != NULL) {
		argc--;
		argv++;
	}
	if (r.tool == NULL) {
		fprintf(stderr,
		    "mdata-guest: call it mdata-get, mdata-put, mdata-list or "
		    "mdata-delete\n");
		return ST_USAGE;
	}
	while ((c = getopt(argc, argv,
		    r.tool->verb == MDATA_GET ? "+nd:t:" : "+d:t:")) != -1) {
		if (c == 'n')
			r.exact = true;
		else if (c == 'd')
			path = optarg;
		else if (c != 't')
			return usage(r.tool, NULL);
		else if (str_to_u64(optarg, 1, 86400, &limit) < 0)
			return usage(r.tool, "-t takes 1 to 86400 seconds");
		else
			r.until = r.begin + limit * SECOND;
	}
	argc -= optind;
	if (argc < r.tool->min || argc > r.tool->max)
		return usage(r.tool, NULL);
	return run(&r, path, argv + optind, argc);
}
