/*
 * Where the machine's log goes.
 */
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "machine/internal.h"
#include "machine/schema.h"

int
machine_log_hold(
    const struct config_node *root, struct log_config *ret, struct error *err)
{
	/* in the order of the alternatives in the key table */
	static const enum log_level levels[] = { LOG_ERR, LOG_WARN, LOG_INFO,
		LOG_DEBUG };
	uint64_t format, level;
	int rc;

	rc = config_get_uint(root, schema_top_keys, "log.format", &format, err);
	if (rc == 0)
		rc = config_get_uint(
		    root, schema_top_keys, "log.level", &level, err);
	if (rc < 0)
		return rc;
	ret->format = format == 1 ? LOG_JSON : LOG_HUMAN;
	ret->level = levels[level];
	ret->held = -1;
	if (config_get_raw(root, "log.level") == NULL)
		ret->held = fd_memfd("log", 0, 0);
	/* No memory for that: then the lines come at once. */
	log_setup(ret->held >= 0 ? ret->held : STDERR_FILENO, ret->format,
	    ret->level);
	return 0;
}

/* For a terminal that may be raw already. */
static void
write_lines(const char *text, size_t n)
{
	const char *end = isatty(STDERR_FILENO) == 1 ? "\r\n" : "\n";

	while (n > 0) {
		const char *nl = memchr(text, '\n', n);
		size_t len = nl != NULL ? (size_t)(nl - text) : n;

		fd_write_all(STDERR_FILENO, text, len);
		if (nl == NULL)
			return;
		fd_write_all(STDERR_FILENO, end, strlen(end));
		text += len + 1;
		n -= len + 1;
	}
}

void
machine_log_release(struct log_config *log, bool show)
{
	char buf[1024];
	ssize_t n;
	off_t off = 0;

	log_setup(STDERR_FILENO, log->format, log->level);
	while (show && log->held >= 0 &&
	    (n = pread(log->held, buf, sizeof(buf), off)) > 0) {
		write_lines(buf, (size_t)n);
		off += n;
	}
	fd_close(&log->held);
}
