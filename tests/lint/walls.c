/*
 * What docs/zones.md says in numbers about the walls, made from the tables that
 * build them.
 *
 *	walls            prints the lines
 *	walls FILE       TAP: all of them stand in FILE
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "jail/lock.h"
#include "jail/priv_impl.h"

static const char *const roles[] = { "process", "vcpu", "io" };
static const char *const walls[] = { "capability", "user namespace",
	"pid namespace", "network namespace", "IPC namespace", "UTS namespace",
	"mounts", "control group", "Landlock", "seccomp", "process limits",
	"nothing like it" };

/* Rows, and the calls in them that are allowed, each counted once. */
static void
count(struct buf *b, unsigned *ret_rows, unsigned *ret_calls)
{
	char *save = NULL, last[64] = "";

	*ret_rows = *ret_calls = 0;
	for (char *s = strtok_r((char *)b->data, "\n", &save); s != NULL;
	     s = strtok_r(NULL, "\n", &save)) {
		char name[64];

		(*ret_rows)++;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(s, " :"), s);
		if (strstr(s, ": E") == NULL && strcmp(name, last) != 0)
			(*ret_calls)++;
		snprintf(last, sizeof(last), "%s", name);
	}
}

static int
print_roles(struct buf *out)
{
	struct lock_spec spec = { .kvm = false };
	struct buf b;

	if (jail_privs_resolve("all", NULL, 0, &spec.privs, NULL) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		for (int kvm = 0; kvm < 2; kvm++) {
			unsigned rows, calls;

			spec.kvm = kvm != 0;
			buf_init(&b, 65536);
			if (lock_print((enum lock_role)i, &spec, &b) != 0 ||
			    buf_str(&b) == NULL)
				return -1;
			count(&b, &rows, &calls);
			buf_printf(out, "| %s | %s | %u | %u |\n", roles[i],
			    kvm != 0 ? "kvm" : "soft", calls, rows);
			buf_fini(&b);
		}
	return 0;
}

static void
print_walls(struct buf *out, unsigned set)
{
	const char *sep = "| ";

	for (size_t i = 0; i < ARRAY_LEN(walls); i++)
		if ((set & 1U << i) != 0) {
			buf_printf(out, "%s%s", sep, walls[i]);
			sep = ", ";
		}
	buf_append_str(out, " |");
}

/* A line for each set of walls: the privileges behind it. */
static void
print_privs(struct buf *out)
{
	for (size_t i = 0; i < jail_nprivs; i++) {
		size_t first = 0;

		while (jail_privs[first].walls != jail_privs[i].walls)
			first++;
		if (first != i)
			continue;
		print_walls(out, jail_privs[i].walls);
		for (size_t k = i; k < jail_nprivs; k++)
			if (jail_privs[k].walls == jail_privs[i].walls)
				buf_printf(out, " %s", jail_privs[k].name);
		buf_append_str(out, " |\n");
	}
	for (size_t i = 0; i < jail_nprivs; i++)
		if (jail_privs[i].calls != NULL)
			buf_printf(out, "| %s | %s |\n", jail_privs[i].name,
			    jail_privs[i].calls);
}

static int
check(const char *path, struct buf *want)
{
	struct buf doc;
	char *save = NULL;
	unsigned n = 0, missing = 0;

	buf_init(&doc, 1 << 20);
	if (fd_read_file(AT_FDCWD, path, &doc) != 0 || buf_str(&doc) == NULL) {
		printf("Bail out! cannot read %s\n", path);
		return 1;
	}
	for (char *s = strtok_r((char *)want->data, "\n", &save); s != NULL;
	     s = strtok_r(NULL, "\n", &save)) {
		n++;
		if (strstr((char *)doc.data, s) != NULL)
			continue;
		printf("# %s lacks: %s\n", path, s);
		missing++;
	}
	printf("1..1\n%sok 1 - the walls' numbers, %u lines\n",
	    missing != 0 || n == 0 ? "not " : "", n);
	buf_fini(&doc);
	return missing != 0;
}

int
main(int argc, char **argv)
{
	struct buf b;
	int r = 0;

	buf_init(&b, 65536);
	if (print_roles(&b) != 0)
		return 1;
	print_privs(&b);
	if (buf_str(&b) == NULL)
		return 1;
	if (argc > 1)
		r = check(argv[1], &b);
	else
		fputs((char *)b.data, stdout);
	buf_fini(&b);
	return r;
}
