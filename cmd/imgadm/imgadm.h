/*
 * What the commands of imgadm share.
 */
#ifndef IMGADM_H
#define IMGADM_H

#include "base/buf.h"
#include "base/error.h"
#include "command.h"
#include "store/image.h"

/* name, usage, one line of help */
#define IMGADM_COMMANDS(X)                                                     \
	X(build, "build [-q] [-s MiB] busybox | debian-12",                    \
	    "make an image of Debian, or a small one")                         \
	X(create,                                                              \
	    "create [-n name] [-v version] [-u uuid] [-o os] [-d "             \
	    "description] zone",                                               \
	    "make an image of a stopped zone's boot disk")                     \
	X(delete, "delete image", "remove an image, or what an import left")   \
	X(export, "export [-c none|gzip|xz|zstd] [-q] -o prefix image",        \
	    "write an image and its manifest to files")                        \
	X(get, "get image", "print an image's manifest and sizes as JSON")     \
	X(help, "help [command]", "print the commands, or one's usage")        \
	X(import,                                                              \
	    "import [-q] [-m manifest | [-n name] [-v version] [-u uuid] [-o " \
	    "os] "                                                             \
	    "[-d description] [-s sha256]] file|URL",                          \
	    "take in a disk, raw or packed by gzip, xz or zstd")               \
	X(info, "info image", "print what there is to know of an image")       \
	X(list, "list [-Hj] [-o field,...]", "list the images")                \
	X(verify, "verify [-q] [image ...]", "compare disks with their hashes")

struct command {
	const struct command_row *row;
	const char *root;
	int argc; /* its own, from its name on */
	char **argv;
};

#define X(name, usage, help) int cmd_##name(struct command *c);
IMGADM_COMMANDS(X)
#undef X

/* Print "imgadm: sentence", or the command's usage; the exit status. */
int failed(const struct error *err);
int usage(const struct command *c, const char *why);
int print(struct buf *b);
/* Import with a bar, print what it is; the exit status. */
int bring_in(struct command *c, const struct image_import *what, bool quiet);
/* "1.5 GiB", "512 MiB": at most 16 bytes with its NUL */
void human_size(uint64_t bytes, char *buf, size_t size);

/* ---- progress, on standard error if that is a terminal ---- */

struct bar {
	const char *what;
	uint64_t began, drawn; /* ns */
	bool on, shown;
};
void bar_begin(struct bar *b, const char *what, bool quiet);
void bar_show(void *bar, const struct image_progress *p);
void bar_end(struct bar *b); /* its line is taken away */

#endif
