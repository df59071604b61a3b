/*
 * Frames, links and the wire, put together.
 */
#include "rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "frames.h"
#include "tap.h"

void
need_bpf(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", 4, 4, 1, NULL);

	if (geteuid() != 0)
		tap_skip("root makes taps and loads programs");
	if (fd < 0)
		tap_skip("bpf(2): %s", strerror(-fd));
	close(fd);
}

void
counters(struct link_counters *ret)
{
	struct error err = ERROR_INIT;

	if (link_guard_counters(NAME, ret, &err) < 0)
		tap_fail("%s", err.text);
}

void
spec_of(struct link_spec *spec, const char *words)
{
	if (!frames_link(words, spec))
		tap_fail("'%s'?", words);
}

void
look_at_source(void *arg, const uint8_t *frame, size_t n)
{
	struct seen *s = arg;

	if (n >= 12 && memcmp(frame + 6, frames_me, 6) == 0)
		s->own++;
	else
		s->foreign++;
}
