/*
 * Sources: files, and URLs by libcurl.
 *
 * What comes from a URL is kept in a part file until the image is there. A
 * transfer that breaks goes on with a range request (RFC 9110, 14.2), now or in
 * the next import, under If-Range (13.1.5) with what the server called the file
 * by: its strong ETag, else its time of modification. A server that has
 * neither, or another file by now, sends everything anew.
 */
#include <ctype.h>
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "store/half.h"
#include "store/image_impl.h"

#define TRIES 5 /* without a byte between them */
#define VALIDATOR 256
#define CHUNK (256U << 10)
#define STATE_MAX (64U << 10)
#define IDLE_SECONDS 60L
#define CONNECT_SECONDS 30L

static const char part_end[] = ".part.json";

/* ---- names of sources ---- */

bool
fetch_is_url(const char *source)
{
	return strncasecmp(source, "http://", 7) == 0 ||
	    strncasecmp(source, "https://", 8) == 0;
}

char *
fetch_local(const char *source)
{
	static const char *const hosts[] = { "file://localhost/", "file:///" };
	char *text, *path = NULL;
	int n = 0;

	if (fetch_is_url(source))
		return NULL;
	if (strncasecmp(source, "file:", 5) != 0)
		return strstr(source, "://") == NULL ? alloc_strdup(source)
						     : NULL;
	for (size_t i = 0; i < ARRAY_LEN(hosts) && path == NULL; i++) {
		size_t len = strlen(hosts[i]);

		if (strncasecmp(source, hosts[i], len) != 0)
			continue;
		text = curl_easy_unescape(NULL, source + len - 1, 0, &n);
		if (text != NULL && strlen(text) == (size_t)n)
			path = alloc_strdup(text);
		curl_free(text);
	}
	return path;
}

/* ---- one transfer ---- */

struct transfer {
	struct fetch *f;
	CURL *curl;
	int part; /* the part file */
	uint64_t have; /* bytes in it */
	uint64_t given; /* of those, handed on */
	uint64_t total; /* 0: unknown */
	char validator[VALIDATOR]; /* "" : none */
	/* of the answer that comes in */
	char etag[VALIDATOR], modified[VALIDATOR];
	uint64_t range_at, range_total;
	bool begun; /* its first byte of content came */
	bool broken; /* ours failed, not the server */
	struct error err;
	char said[CURL_ERROR_SIZE];
};

/* "name: value\r\n" of that name: its value, without blanks around it. */
static bool
header(const char *line, size_t n, const char *name, char *buf)
{
	size_t len = strlen(name);

	if (n < len || strncasecmp(line, name, len) != 0)
		return false;
	while (len < n && (line[len] == ' ' || line[len] == '\t'))
		len++;
	while (n > len && isspace((unsigned char)line[n - 1]))
		n--;
	if (str_format(buf, VALIDATOR, "%.*s", (int)MIN(n - len, 1000U),
		line + len) < 0)
		buf[0] =
		    '\0'; /* too long to be kept: as if it were not there */
	return true;
}

/* "bytes 5-9/10", "bytes * /10" (without the blank) */
static void
content_range(struct transfer *t, const char *text)
{
	const char *slash = strchr(text, '/');
	char first[32];

	if (strncmp(text, "bytes ", 6) != 0 || slash == NULL)
		return;
	text += 6;
	str_format(first, sizeof(first), "%.*s",
	    (int)MIN(strcspn(text, "-/"), 24U), text);
	if (str_to_u64(first, 0, INT64_MAX, &t->range_at) < 0)
		t->range_at = UINT64_MAX;
	if (str_to_u64(slash + 1, 0, INT64_MAX, &t->range_total) < 0)
		t->range_total = 0;
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	char text[VALIDATOR];
	size_t n = size * count;

	if (n > 5 && strncmp(line, "HTTP/", 5) == 0) {
		/* of a redirection before: forget it */
		t->etag[0] = t->modified[0] = '\0';
		t->range_at = UINT64_MAX;
		t->range_total = 0;
	} else if (!header(line, n, "ETag:", t->etag) &&
	    !header(line, n, "Last-Modified:", t->modified) &&
	    header(line, n, "Content-Range:", text)) {
		content_range(t, text);
	}
	return n;
}

/* ---- the part ---- */

/* Says what the part's bytes are of; without it they are of no use. */
static int
save_state(struct transfer *t)
{
	char boot[64] = "", *text;
	json_t *j;
	struct buf b;
	int rc;

	buf_init(&b, sizeof(boot) - 1);
	if (fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b) == 0)
		str_format(boot, sizeof(boot), "%.36s", buf_str(&b));
	buf_fini(&b);
	j = json_pack("{s:s, s:s, s:I, s:s}", "source", t->f->url, "validator",
	    t->validator, "total", (json_int_t)t->total, "boot", boot);
	text = j != NULL ? manifest_text(j) : NULL;
	json_decref(j);
	if (text == NULL)
		return error_set(&t->err, ENOMEM, "out of memory");
	rc = fd_write_file_atomic(
	    AT_FDCWD, t->f->state, text, strlen(text), 0600, &t->err);
	free(text);
	return rc;
}

static bool
same_boot(const json_t *j)
{
	const char *boot = json_string_value(json_object_get(j, "boot"));
	struct buf b;
	bool same;

	buf_init(&b, 64);
	same = boot != NULL && boot[0] != '\0' &&
	    fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b) ==
		0 &&
	    strncmp(buf_str(&b), boot, strlen(boot)) == 0;
	buf_fini(&b);
	return same;
}

static json_t *
load_state(const char *path)
{
	struct buf b;
	json_t *j = NULL;

	buf_init(&b, STATE_MAX);
	if (fd_read_file(AT_FDCWD, path, &b) == 0)
		j = json_loadb((char *)b.data, b.len, 0, NULL);
	buf_fini(&b);
	return j;
}

/*
 * What an import before left, if it can be of use. Bytes that a host wrote
 * before it was restarted may never have reached the disk: then they are taken
 * only if a hash will judge them.
 */
static void
take_up(struct transfer *t)
{
	json_t *j = load_state(t->f->state);
	const char *url = json_string_value(json_object_get(j, "source"));
	const char *v = json_string_value(json_object_get(j, "validator"));
	struct stat st;

	if (url != NULL && v != NULL && v[0] != '\0' &&
	    strcmp(url, t->f->url) == 0 && fstat(t->part, &st) == 0 &&
	    (t->f->trusted || same_boot(j)) &&
	    str_format(t->validator, sizeof(t->validator), "%s", v) == 0) {
		t->have = (uint64_t)st.st_size;
		t->total =
		    (uint64_t)json_integer_value(json_object_get(j, "total"));
	} else {
		t->validator[0] = '\0';
	}
	json_decref(j);
}

/* The part from its beginning, as far as nobody has seen it. */
static int
give_part(struct transfer *t)
{
	char *chunk = alloc_bytes(CHUNK);
	ssize_t n = 1;
	int rc =
	    chunk == NULL ? error_set(&t->err, ENOMEM, "out of memory") : 0;

	while (rc == 0 && t->given < t->have) {
		n = fd_pread_full(t->part, chunk,
		    MIN(CHUNK, t->have - t->given), (off_t)t->given);
		if (n <= 0)
			rc = error_sys(
			    &t->err, n < 0 ? (int)-n : EIO, "%s", t->f->part);
		else
			rc = t->f->give(t->f->arg, chunk, (size_t)n);
		t->given += n > 0 ? (uint64_t)n : 0;
	}
	free(chunk);
	return rc;
}

/* ---- content ---- */

/* A whole file comes: whatever was there is of another. */
static int
begin_anew(struct transfer *t)
{
	curl_off_t length = -1;

	if (t->given > 0)
		return error_set(&t->err, ESTALE,
		    "it changed while it was fetched; import it again");
	curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	t->total = length > 0 ? (uint64_t)length : 0;
	t->have = 0;
	str_format(t->validator, sizeof(t->validator), "%s",
	    t->etag[0] == '"'        ? t->etag
		: t->etag[0] == '\0' ? t->modified
				     : "");
	if (unlink(t->f->state) != 0 && errno != ENOENT)
		return error_sys(&t->err, errno, "%s", t->f->state);
	if (ftruncate(t->part, 0) != 0)
		return error_sys(&t->err, errno, "%s", t->f->part);
	return t->validator[0] != '\0' ? save_state(t) : 0;
}

static int
go_on(struct transfer *t)
{
	if (t->range_at != t->have ||
	    (t->total != 0 && t->range_total != 0 &&
		t->range_total != t->total))
		return error_set(&t->err, EPROTO,
		    "the server sent another range than it was asked for");
	return give_part(t);
}

static int
begin(struct transfer *t)
{
	long status = 0;
	int rc;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && status != 206)
		return 0; /* an error's page: judged at its end */
	rc = status == 206 ? go_on(t) : begin_anew(t);
	if (rc == 0 && t->total != 0)
		t->f->total(t->f->arg, t->total);
	return rc;
}

static int
keep(struct transfer *t, const char *data, size_t n)
{
	size_t done = 0;
	ssize_t rc;

	while (done < n) {
		rc = pwrite(
		    t->part, data + done, n - done, (off_t)(t->have + done));
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return error_sys(&t->err, rc < 0 ? errno : EIO,
			    "cannot keep what came in %s", t->f->part);
		done += (size_t)rc;
	}
	t->have += n;
	t->given += n;
	return t->f->give(t->f->arg, data, n);
}

static size_t
on_content(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count;
	long status = 0;
	int rc = 0;

	if (!t->begun)
		rc = begin(t);
	t->begun = true;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (rc == 0 && (status == 200 || status == 206))
		rc = keep(t, data, n);
	if (rc < 0)
		t->broken = true;
	return rc < 0 ? 0 : n;
}

/* ---- requests ---- */

static void
init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* As curl(1) and openssl have it; the library by itself heeds neither. */
static const char *
own_ca(void)
{
	static const char *const names[] = { "CURL_CA_BUNDLE",
		"SSL_CERT_FILE" };
	const char *file;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		file = secure_getenv(names[i]);
		if (file != NULL && file[0] != '\0')
			return file;
	}
	return NULL;
}

static CURL *
new_request(const char *url, char *said)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CURL *c;

	pthread_once(&once, init_curl);
	c = curl_easy_init();
	if (c == NULL)
		return NULL;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	/* what was asked for by https does not come by less */
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR,
	    strncasecmp(url, "https:", 6) == 0 ? "https" : "http,https");
	if (own_ca() != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, own_ca());
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, IDLE_SECONDS);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)CHUNK);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "zhyve-imgadm");
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, said);
	return c;
}

static const struct {
	CURLcode code;
	int error;
	bool again; /* may be another time */
} failures[] = {
	{ CURLE_PARTIAL_FILE, EIO, true },
	{ CURLE_RECV_ERROR, EIO, true },
	{ CURLE_SEND_ERROR, EIO, true },
	{ CURLE_GOT_NOTHING, EIO, true },
	{ CURLE_OPERATION_TIMEDOUT, ETIMEDOUT, true },
	{ CURLE_COULDNT_CONNECT, ECONNREFUSED, true },
	{ CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH, false },
	{ CURLE_PEER_FAILED_VERIFICATION, EACCES, false },
	{ CURLE_SSL_CACERT_BADFILE, EACCES, false },
	{ CURLE_OUT_OF_MEMORY, ENOMEM, false },
	{ CURLE_URL_MALFORMAT, EINVAL, false },
};

static int
judge(CURLcode code, bool *again)
{
	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		if (failures[i].code == code) {
			*again = failures[i].again;
			return failures[i].error;
		}
	*again = false;
	return EIO;
}

/* What the transfer died of; whose certificate nobody vouches for, what to do.
 */
static void
explain(struct transfer *t, CURLcode code, int error)
{
	static const long issuer[] = { 2, 18, 19, 20, 21 }; /* openssl verify */
	long verdict = 0;
	bool unknown = false;

	if (code == CURLE_PEER_FAILED_VERIFICATION)
		curl_easy_getinfo(t->curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
	for (size_t i = 0; i < ARRAY_LEN(issuer); i++)
		unknown |= verdict == issuer[i];
	(void)error_set(&t->err, error, "%s%s",
	    t->said[0] != '\0' ? t->said : curl_easy_strerror(code),
	    unknown ? "; CURL_CA_BUNDLE=FILE names an authority of your own"
		    : "");
}

static CURLcode
perform(struct transfer *t, struct curl_slist **headers)
{
	char range[32], text[VALIDATOR + 16];

	t->begun = false;
	t->said[0] = '\0';
	curl_easy_setopt(t->curl, CURLOPT_RANGE, NULL);
	curl_slist_free_all(*headers);
	*headers = NULL;
	if (t->have > 0 && t->validator[0] != '\0') {
		str_format(range, sizeof(range), "%ju-", (uintmax_t)t->have);
		str_format(text, sizeof(text), "If-Range: %s", t->validator);
		curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
		*headers = curl_slist_append(NULL, text);
	}
	curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, *headers);
	return curl_easy_perform(t->curl);
}

/* A part that is whole already: there is no range behind it. */
static bool
is_whole(const struct transfer *t, long status)
{
	return status == 416 && t->have > 0 && t->range_total == t->have &&
	    (t->total == 0 || t->total == t->have);
}

/* 0: all is there; 1: try again; else an error. */
static int
attempt(struct transfer *t, struct curl_slist **headers)
{
	uint64_t had = t->have;
	CURLcode code = perform(t, headers);
	bool again = false;
	long status = 0;
	int error;

	if (t->broken)
		return -(t->err.code != 0 ? t->err.code : ECANCELED);
	if (code != CURLE_OK) {
		error = judge(code, &again);
		explain(t, code, error);
		/* without a name for the file there is no going on */
		if (!again || (t->have > 0 && t->validator[0] == '\0') ||
		    (t->have == 0 && code == CURLE_COULDNT_CONNECT))
			return -error;
		return t->have > had ? 2 : 1;
	}
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (is_whole(t, status))
		return give_part(t);
	if (status == 416 && t->given == 0 && t->have > 0) {
		t->have = 0;
		return 1;
	}
	if (status == 404 || status == 410)
		return error_set(&t->err, ENOENT, "HTTP status %ld", status);
	if (status != 200 && status != 206)
		return error_set(&t->err, EIO, "HTTP status %ld", status);
	return t->begun ? 0 : begin(t);
}

static int
attempts(struct transfer *t)
{
	struct curl_slist *headers = NULL;
	int rc = 1, tries = 0;

	while (rc > 0 && tries < TRIES) {
		if (tries > 0)
			(void)poll(NULL, 0, 100 << tries);
		rc = attempt(t, &headers);
		tries = rc == 2 ? 1 : tries + 1;
	}
	curl_slist_free_all(headers);
	return rc > 0 ? -t->err.code : rc;
}

int
fetch_url(struct fetch *f, struct error *err)
{
	struct transfer t = { .f = f, .part = -1 };
	int rc = 0;

	t.part = open(f->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t.part < 0)
		return error_sys(err, errno, "%s", f->part);
	take_up(&t);
	t.curl = new_request(f->url, t.said);
	if (t.curl == NULL) {
		rc = error_set(&t.err, ENOMEM, "out of memory");
	} else {
		curl_easy_setopt(t.curl, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(t.curl, CURLOPT_HEADERDATA, &t);
		curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, on_content);
		curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &t);
		rc = attempts(&t);
		curl_easy_cleanup(t.curl);
	}
	/* what cannot be gone on with is no use to anybody */
	if (rc < 0 && (t.validator[0] == '\0' || t.have == 0)) {
		unlink(f->part);
		unlink(f->state);
	}
	close(t.part);
	if (rc == 0)
		return 0;
	if (t.err.code == 0)
		return error_set(err, -rc, "%s: stopped", f->url);
	return error_set(err, t.err.code, "%s: %s", f->url, t.err.text);
}

/* ---- small texts ---- */

static size_t
on_text(char *data, size_t size, size_t count, void *arg)
{
	return buf_append(arg, data, size * count) == 0 ? size * count : 0;
}

static int
url_text(const char *url, struct buf *b, struct error *err)
{
	char said[CURL_ERROR_SIZE] = "";
	CURL *c = new_request(url, said);
	long status = 0;
	CURLcode code;
	bool again;

	if (c == NULL)
		return error_sys(err, ENOMEM, "%s", url);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_text);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, b);
	code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	if (buf_error(b) != 0)
		return error_set(
		    err, EFBIG, "%s: more than %zu bytes", url, b->max);
	if (code != CURLE_OK)
		return error_set(err, judge(code, &again), "%s: %s", url,
		    said[0] != '\0' ? said : curl_easy_strerror(code));
	if (status != 200)
		return error_set(err, status == 404 ? ENOENT : EIO,
		    "%s: HTTP status %ld", url, status);
	return 0;
}

int
fetch_text(const char *source, struct buf *b, struct error *err)
{
	cleanup_free char *path = fetch_local(source);
	int rc;

	if (fetch_is_url(source))
		return url_text(source, b, err);
	if (path == NULL)
		return error_set(err, EINVAL,
		    "%s: a source is a path, or an http, https or file URL",
		    source);
	rc = fd_read_file(AT_FDCWD, path, b);
	if (rc == -EFBIG)
		return error_set(
		    err, EFBIG, "%s: more than %zu bytes", path, b->max);
	return rc < 0 ? error_sys(err, -rc, "%s", path) : 0;
}

/* ---- parts ---- */

int
fetch_find_part(const char *root, const char *url, char *ret_uuid)
{
	char dir[STORE_PATH], path[STORE_PATH], uuid[IMAGE_UUID_LEN + 1];
	struct dirent *e;
	bool found = false;
	const char *was;
	json_t *j;
	DIR *d;

	if (str_format(dir, sizeof(dir), "%s" IMAGE_FOLDER, root) < 0)
		return -ENOENT;
	d = opendir(dir);
	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		if (strlen(e->d_name) != IMAGE_UUID_LEN + strlen(part_end) ||
		    strcmp(e->d_name + IMAGE_UUID_LEN, part_end) != 0)
			continue;
		str_format(
		    uuid, sizeof(uuid), "%.*s", IMAGE_UUID_LEN, e->d_name);
		if (!image_uuid_ok(uuid) ||
		    image_file(root, uuid, part_end, path, NULL) < 0)
			continue;
		j = load_state(path);
		was = json_string_value(json_object_get(j, "source"));
		found = was != NULL && strcmp(was, url) == 0;
		json_decref(j);
	}
	if (d != NULL)
		closedir(d);
	if (found)
		memcpy(ret_uuid, uuid, sizeof(uuid));
	return found ? 0 : -ENOENT;
}
