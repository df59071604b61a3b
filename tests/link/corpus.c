/*
 * Writes the table of frames as seeds of tests/fuzz/guard_fuzz.c, a file a
 * link:
 *
 *	frames_corpus ../tests/fuzz/corpus/guard
 */
#include <err.h>
#include <stdio.h>

#include "frames.h"

struct writer {
	const char *dir;
	FILE *file;
	unsigned links;
};

static void
begin(void *arg, const struct link_spec *spec)
{
	unsigned modes = spec->protect | spec->dynamic << 5 |
	    (spec->vlan != 0) << 8 | (unsigned)spec->any_cid << 9;
	struct writer *w = arg;
	char path[4096];

	snprintf(path, sizeof(path), "%s/link%02u", w->dir, w->links++);
	w->file = fopen(path, "we");
	if (w->file == NULL)
		err(1, "%s", path);
	fputc((int)(modes >> 8), w->file);
	fputc((int)(modes & 0xff), w->file);
}

static void
update(void *arg, const struct link_spec *spec)
{
}

static int
write_frame(void *arg, bool out, const uint8_t *frame, size_t n)
{
	struct writer *w = arg;

	fputc(!out, w->file);
	fputc((int)(n >> 8), w->file);
	fputc((int)(n & 0xff), w->file);
	fwrite(frame, 1, n, w->file);
	return frames_wanted();
}

static void
pass_time(void *arg, unsigned seconds)
{
}

static void
end(void *arg)
{
	if (fclose(((struct writer *)arg)->file) != 0)
		err(1, "%s", ((struct writer *)arg)->dir);
}

int
main(int argc, char **argv)
{
	struct writer w = { .dir = argc > 1 ? argv[1] : "." };
	const struct frames_ops ops = { "corpus", &w, begin, update,
		write_frame, pass_time, end };

	printf("%u frames\n", frames_run(&ops));
	return 0;
}
