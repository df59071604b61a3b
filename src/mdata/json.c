/*
 * Files that an operator, a program or a server that was taken over has
 * written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "mdata/data_impl.h"

/* No link, no FIFO, no more than a file can have to say. */
static int
read_file(int dir, const char *name, struct buf *b)
{
	cleanup_close int fd = openat(dir, name,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;
	void *p;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > b->max)
		return -EFBIG;
	p = buf_reserve(b, (size_t)st.st_size);
	if (p == NULL)
		return buf_error(b);
	n = fd_pread_full(fd, p, (size_t)st.st_size, 0);
	if (n < 0)
		return (int)n;
	b->len += (size_t)n;
	return 0;
}

static int
parse(const struct buf *b, json_t **ret, struct error *err)
{
	json_error_t why;
	json_t *root;

	root = b->len == 0 ? json_object()
			   : json_loadb((const char *)b->data, b->len,
				 JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	if (root == NULL && b->len == 0)
		return error_set(err, ENOMEM, "out of memory");
	if (root == NULL)
		return error_set(err, EINVAL, "line %d, column %d: %.100s",
		    why.line, why.column, why.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return error_set(err, EINVAL, "must be an object");
	}
	*ret = root;
	return 0;
}

int
mdata_json_read(
    int dir, const char *name, size_t max, json_t **ret, struct error *err)
{
	struct buf b;
	int rc;

	buf_init(&b, max);
	rc = read_file(dir, name, &b);
	if (rc < 0)
		error_sys(err, -rc, "%s", name);
	else if ((rc = parse(&b, ret, err)) < 0)
		error_prefix(err, "%s", name);
	buf_fini(&b);
	return rc;
}

json_t *
mdata_json_text(const json_t *v)
{
	char number[48];

	if (json_is_boolean(v))
		return json_string(json_is_true(v) ? "true" : "false");
	if (json_is_integer(v))
		snprintf(number, sizeof(number), "%lld",
		    (long long)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(number, sizeof(number), "%.15g", json_real_value(v));
	else
		return NULL;
	return json_string(number);
}
