/*
 * Placing tables, and telling a firmware how to. The loader's format: 128-byte
 * commands, little-endian (QEMU's hw/acpi/bios-linker-loader describes it).
 */
#include "boot/tables.h"

#include <errno.h>
#include <string.h>

void
tables_init(struct tables *t)
{
	memset(t, 0, sizeof(*t));
}

void
tables_fini(struct tables *t)
{
	for (unsigned i = 0; i < t->nblobs; i++)
		buf_fini(&t->blob[i].data);
	t->nblobs = 0;
}

unsigned
tables_add_blob(struct tables *t, const char *file, enum blob_zone zone,
    uint32_t align, size_t max)
{
	struct blob *b = &t->blob[t->nblobs];

	*b = (struct blob){ .file = file, .zone = zone, .align = align };
	buf_init(&b->data, max);
	return t->nblobs++;
}

struct buf *
tables_data(struct tables *t, unsigned blob)
{
	return &t->blob[blob].data;
}

static void
add_fixup(struct tables *t, const struct fixup *fx)
{
	if (t->nfixups == TABLES_MAX_FIXUPS)
		t->failed = -ENOSPC;
	else
		t->fixup[t->nfixups++] = *fx;
}

void
tables_pointer(struct tables *t, unsigned blob, uint32_t at, uint8_t size,
    unsigned target, uint32_t offset)
{
	struct buf *b = tables_data(t, blob);
	uint64_t v = offset;

	if (at + size > b->len) {
		t->failed = -EINVAL;
		return;
	}
	memcpy(b->data + at, &v, size);
	add_fixup(t,
	    &(struct fixup){ .kind = FIXUP_POINTER,
		.blob = (uint8_t)blob,
		.target = (uint8_t)target,
		.size = size,
		.at = at });
}

void
tables_checksum(
    struct tables *t, unsigned blob, uint32_t at, uint32_t start, uint32_t len)
{
	struct buf *b = tables_data(t, blob);

	if (at >= b->len || start + len > b->len) {
		t->failed = -EINVAL;
		return;
	}
	b->data[at] = 0;
	add_fixup(t,
	    &(struct fixup){ .kind = FIXUP_CHECKSUM,
		.blob = (uint8_t)blob,
		.at = at,
		.start = start,
		.len = len });
}

int
tables_error(const struct tables *t)
{
	for (unsigned i = 0; i < t->nblobs; i++) {
		if (buf_error(&t->blob[i].data) < 0)
			return buf_error(&t->blob[i].data);
	}
	return t->failed;
}

uint8_t
tables_sum(const void *p, size_t n)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	while (n-- > 0)
		sum = (uint8_t)(sum + *byte++);
	return sum;
}

/* Checksums were recorded behind the pointers that they cover. */
void
tables_apply(struct tables *t)
{
	for (unsigned i = 0; i < t->nfixups; i++) {
		const struct fixup *fx = &t->fixup[i];
		uint8_t *data = t->blob[fx->blob].data.data;
		uint64_t v = 0;

		if (fx->kind == FIXUP_POINTER) {
			memcpy(&v, data + fx->at, fx->size);
			v += t->blob[fx->target].gpa;
			memcpy(data + fx->at, &v, fx->size);
			continue;
		}
		data[fx->at] = (uint8_t)(data[fx->at] -
		    tables_sum(data + fx->start, fx->len));
	}
}

#define LOADER_NAME 56

struct loader_command {
	uint32_t command;
	union {
		struct {
			char file[LOADER_NAME];
			uint32_t align;
			uint8_t zone;
		} __attribute__((packed)) allocate;
		struct {
			char file[LOADER_NAME], target[LOADER_NAME];
			uint32_t offset;
			uint8_t size;
		} __attribute__((packed)) pointer;
		struct {
			char file[LOADER_NAME];
			uint32_t offset, start, len;
		} __attribute__((packed)) checksum;
		uint8_t pad[124];
	};
} __attribute__((packed));
enum { LOADER_ALLOCATE = 1, LOADER_POINTER = 2, LOADER_CHECKSUM = 3 };
_Static_assert(sizeof(struct loader_command) == 128, "the format's size");

static void
loader_name(char dst[LOADER_NAME], const char *src)
{
	strncpy(dst, src, LOADER_NAME - 1);
}

static void
put_fixup(const struct tables *t, const struct fixup *fx, struct buf *out)
{
	struct loader_command c = { 0 };

	if (fx->kind == FIXUP_POINTER) {
		c.command = LOADER_POINTER;
		loader_name(c.pointer.file, t->blob[fx->blob].file);
		loader_name(c.pointer.target, t->blob[fx->target].file);
		c.pointer.offset = fx->at;
		c.pointer.size = fx->size;
	} else {
		c.command = LOADER_CHECKSUM;
		loader_name(c.checksum.file, t->blob[fx->blob].file);
		c.checksum.offset = fx->at;
		c.checksum.start = fx->start;
		c.checksum.len = fx->len;
	}
	buf_append(out, &c, sizeof(c));
}

int
tables_loader(const struct tables *t, struct buf *ret)
{
	for (unsigned i = 0; i < t->nblobs; i++) {
		struct loader_command c = { .command = LOADER_ALLOCATE };

		loader_name(c.allocate.file, t->blob[i].file);
		c.allocate.align = t->blob[i].align;
		c.allocate.zone = (uint8_t)t->blob[i].zone;
		buf_append(ret, &c, sizeof(c));
	}
	for (unsigned i = 0; i < t->nfixups; i++)
		put_fixup(t, &t->fixup[i], ret);
	return buf_error(ret);
}
