/*
 * vmadm: say what to do, and with which VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "vmadm.h"

static const struct command_row rows[] = {
#define X(name, fn, vm, usage, help) { name, cmd_##fn, vm, usage, help },
	VMADM_COMMANDS(X)
#undef X
};
static const struct command_table table = { "vmadm", "[-R root]", "", rows,
	ARRAY_LEN(rows) };

int
failed(const struct command *c, const struct error *err)
{
	fprintf(stderr, "vmadm: %s: %s\n", c->row->name, err->text);
	return EXIT_FAILED;
}

int
usage(const struct command *c, const char *why)
{
	return command_usage(&table, c->row, why);
}

int
done(const char *fmt, ...)
{
	va_list ap;

	fputs("Successfully ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_OK;
}

int
print_json(const json_t *v)
{
	if (json_dumpf(v, stdout, JSON_INDENT(2)) == 0 && putchar('\n') >= 0 &&
	    fflush(stdout) == 0)
		return EXIT_OK;
	perror("vmadm: standard output");
	return EXIT_FAILED;
}

/* ---- input ---- */

const char *
file_option(struct command *c, int *status)
{
	const char *file = NULL;
	int opt;

	optind = 0;
	*status = EXIT_OK;
	while ((opt = getopt(c->argc, c->argv, "+f:")) != -1) {
		if (opt != 'f') {
			*status = usage(c, NULL);
			return NULL;
		}
		file = optarg;
	}
	return file;
}

/*
 * Whoever else has the descriptor may have said that it does not block: what
 * comes later is waited for nonetheless.
 */
static int
read_all(int fd, struct buf *b)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	ssize_t n;
	void *p;

	for (;;) {
		p = buf_reserve(b, 65536);
		if (p == NULL)
			return buf_error(b) == -ENOSPC ? -EFBIG : -ENOMEM;
		n = read(fd, p, 65536);
		if (n < 0 && errno == EAGAIN) {
			(void)poll(&in, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		b->len += (size_t)n;
	}
}

int
read_json(struct command *c, const char *file, json_t **ret, int *status)
{
	bool in = file == NULL || strcmp(file, "-") == 0;
	struct error err = ERROR_INIT;
	cleanup_close int fd = -1;
	struct buf b;
	int rc;

	if (in && isatty(STDIN_FILENO)) {
		*status = usage(c,
		    "JSON comes on standard input, which is a terminal; "
		    "or give -f file");
		return -EINVAL;
	}
	fd = in ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
		: open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	buf_init(&b, MANIFEST_MAX + 65536);
	rc = fd < 0 ? -errno : read_all(fd, &b);
	if (rc < 0)
		error_sys(&err, -rc, "%s", in ? "standard input" : file);
	else
		rc = manifest_load(b.data, b.len, ret, &err);
	if (rc < 0 && err.code == EINVAL)
		error_prefix(
		    &err, "%s is no JSON", in ? "standard input" : file);
	if (rc < 0)
		*status = failed(c, &err);
	buf_fini(&b);
	return rc;
}

/* ---- other programs ---- */

int
become(struct command *c, const char *program, const char *const *argv)
{
	struct error err = ERROR_INIT;
	char path[4096], self[4096];
	const char *slash;
	ssize_t n;

	/* beside us where we are installed, or in a folder of its own */
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		*(char *)(uintptr_t)slash = '\0';
		str_format(
		    path, sizeof(path), "%s/../%s/%s", self, program, program);
		execv(path, (char *const *)(uintptr_t)argv);
		str_format(path, sizeof(path), "%s/%s", self, program);
		execv(path, (char *const *)(uintptr_t)argv);
	}
	str_format(path, sizeof(path), "%s/%s", ZHYVE_BINDIR, program);
	execv(path, (char *const *)(uintptr_t)argv);
	execvp(program, (char *const *)(uintptr_t)argv);
	error_sys(&err, errno, "%s", program);
	return failed(c, &err);
}

/* ---- the table ---- */

int
cmd_help(struct command *c)
{
	return command_help(&table, c->argc, c->argv);
}

/*
 * The VM may stand before or behind options ("stop -F uuid", "update uuid -f
 * file"): it is the first word that is neither an option nor an option's value.
 */
static const char *
take_vm(struct command *c)
{
	const char *vm;
	int at = 1;

	while (at < c->argc && c->argv[at][0] == '-' &&
	    strcmp(c->argv[at], "-") != 0)
		at += strcmp(c->argv[at], "-t") == 0 ||
			strcmp(c->argv[at], "-f") == 0
		    ? 2
		    : 1;
	if (at >= c->argc)
		return NULL;
	vm = c->argv[at];
	memmove(&c->argv[at], &c->argv[at + 1],
	    (size_t)(c->argc - at) * sizeof(*c->argv));
	c->argc--;
	return vm;
}

static int
run(struct command *c, const char *root)
{
	struct error err = ERROR_INIT;
	static struct admin a;
	const char *vm = NULL;
	char why[80];
	int status;

	if (c->row->on_one && (vm = take_vm(c)) == NULL) {
		str_format(why, sizeof(why), "Invalid or missing UUID for %s",
		    c->row->name);
		return usage(c, why);
	}
	if (admin_open(root, &a, &err) < 0)
		return failed(c, &err);
	c->admin = &a;
	if (vm != NULL && vm_find(&a, vm, &c->vm, &err) < 0)
		status = failed(c, &err);
	else
		status = c->row->fn(c);
	admin_close(&a);
	return status;
}

int
main(int argc, char **argv)
{
	struct command c = { NULL };
	const char *root = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "+R:h")) != -1) {
		if (opt != 'R')
			return command_refuse(&table, NULL);
		root = optarg;
	}
	c.argc = argc;
	c.argv = argv;
	c.row = command_take(&table, &c.argc, &c.argv);
	if (c.row == NULL)
		return EXIT_USAGE;
	return run(&c, root);
}
