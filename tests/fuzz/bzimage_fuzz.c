/*
 * bzImage planner: whatever the bytes, a plan that was returned stays in the
 * file, in the room and in the zero page.
 */
#include <stdlib.h>

#include "base/str.h"
#include "boot/boot.h"
#include "boot/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_src src = { .name = "fuzz", .size = size, .bytes = data };
	struct image_room room = { 64 * MiB };
	const struct image_seg *s;
	struct image_plan plan;
	struct error err = ERROR_INIT;

	if (data == NULL || bzimage_plan(&src, &room, &plan, &err) < 0)
		return 0;
	s = &plan.seg[0];
	if (plan.nsegs != 1 || s->off > size || s->len > size - s->off ||
	    s->len > s->mem_len || s->gpa < BOOT_KERNEL ||
	    s->mem_len > room.low_end - s->gpa || plan.end > room.low_end ||
	    plan.entry >= s->gpa + s->len ||
	    plan.setup_len > sizeof(plan.setup) ||
	    plan.cmdline_max >= BOOT_CMDLINE_SIZE)
		abort();
	return 0;
}
