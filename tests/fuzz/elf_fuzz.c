/*
 * ELF planner: whatever the bytes, a plan that was returned stays in the file
 * and in the room, and its segments do not overlap.
 */
#include <stdlib.h>

#include "base/str.h"
#include "boot/boot.h"
#include "boot/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_plan(const struct image_plan *plan, size_t size, uint64_t low_end)
{
	for (unsigned i = 0; i < plan->nsegs; i++) {
		const struct image_seg *s = &plan->seg[i];

		if (s->off > size || s->len > size - s->off ||
		    s->len > s->mem_len || s->gpa < BOOT_KERNEL ||
		    s->gpa > low_end || s->mem_len > low_end - s->gpa ||
		    s->gpa + s->mem_len > plan->end)
			abort();
		for (unsigned j = 0; j < i; j++) {
			const struct image_seg *o = &plan->seg[j];

			if (s->gpa < o->gpa + o->mem_len &&
			    o->gpa < s->gpa + s->mem_len)
				abort();
		}
	}
	if (plan->end > low_end || plan->entry >= plan->end)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_src src = { .name = "fuzz", .size = size, .bytes = data };
	struct image_room room = { 64 * MiB };
	struct image_plan plan;
	struct error err = ERROR_INIT;

	if (data != NULL && elf_plan(&src, &room, &plan, &err) == 0)
		check_plan(&plan, size, room.low_end);
	return 0;
}
