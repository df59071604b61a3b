/*
 * AML encoding. Package lengths stand in front of what they count, in one to
 * four bytes; they are put in when a term is closed, and what follows moves.
 */
#include "boot/aml.h"

#include <errno.h>
#include <string.h>

/* ACPI 6.5, 20.3: AML byte stream byte values */
enum {
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_QWORD = 0x0e,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_METHOD = 0x14,
	AML_DUAL = 0x2e,
	AML_MULTI = 0x2f,
	AML_EXT = 0x5b,
	AML_EXT_DEVICE = 0x82,
	AML_IF = 0xa0,
	AML_RETURN = 0xa4,
};

void
aml_init(struct aml *a, struct buf *out)
{
	*a = (struct aml){ .out = out };
}

int
aml_error(const struct aml *a)
{
	if (a->failed != 0)
		return a->failed;
	return a->depth != 0 ? -EINVAL : buf_error(a->out);
}

static void
put(struct aml *a, uint8_t v)
{
	buf_put_u8(a->out, v);
}

static void
begin(struct aml *a)
{
	if (a->depth == AML_MAX_DEPTH) {
		a->failed = -EINVAL;
		return;
	}
	a->open[a->depth++] = a->out->len;
}

/* 20.2.4: bits 6-7 of the first byte count the bytes that follow it. */
static unsigned
encode_length(uint8_t enc[4], size_t body)
{
	unsigned n = 1;
	size_t total;

	if (body + 1 < 0x40) {
		enc[0] = (uint8_t)(body + 1);
		return 1;
	}
	do
		n++;
	while (n < 4 && body + n >= (size_t)1 << (4 + 8 * (n - 1)));
	total = body + n;
	enc[0] = (uint8_t)((n - 1) << 6 | (total & 0xf));
	for (unsigned i = 1; i < n; i++)
		enc[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
	return n;
}

void
aml_end(struct aml *a)
{
	size_t at, body;
	uint8_t enc[4];
	unsigned n;

	if (a->depth == 0) {
		a->failed = -EINVAL;
		return;
	}
	at = a->open[--a->depth];
	body = a->out->len - at;
	n = encode_length(enc, body);
	if (buf_append_zero(a->out, n) < 0)
		return;
	memmove(a->out->data + at + n, a->out->data + at, body);
	memcpy(a->out->data + at, enc, n);
}

static void
put_segment(struct aml *a, const char *seg, size_t len)
{
	char s[4] = { '_', '_', '_', '_' };

	if (len == 0 || len > sizeof(s))
		a->failed = -EINVAL;
	else
		memcpy(s, seg, len);
	buf_append(a->out, s, sizeof(s));
}

void
aml_path(struct aml *a, const char *path)
{
	unsigned count = 1;

	if (*path == '\\') {
		put(a, '\\');
		path++;
	}
	for (const char *p = path; *p != '\0'; p++)
		count += *p == '.';
	if (count == 2)
		put(a, AML_DUAL);
	if (count > 2) {
		put(a, AML_MULTI);
		put(a, (uint8_t)count);
	}
	for (;;) {
		size_t len = strcspn(path, ".");

		put_segment(a, path, len);
		if (path[len] == '\0')
			return;
		path += len + 1;
	}
}

void
aml_scope(struct aml *a, const char *path)
{
	put(a, AML_SCOPE);
	begin(a);
	aml_path(a, path);
}

void
aml_device(struct aml *a, const char *path)
{
	put(a, AML_EXT);
	put(a, AML_EXT_DEVICE);
	begin(a);
	aml_path(a, path);
}

void
aml_package(struct aml *a, unsigned count)
{
	if (count > 0xff)
		a->failed = -EINVAL;
	put(a, AML_PACKAGE);
	begin(a);
	put(a, (uint8_t)count);
}

void
aml_method(struct aml *a, const char *name)
{
	put(a, AML_METHOD);
	begin(a);
	aml_path(a, name);
	put(a, 0); /* no arguments, not serialised */
}

void
aml_if(struct aml *a, const char *path)
{
	put(a, AML_IF);
	begin(a);
	aml_path(a, path);
}

void
aml_return(struct aml *a, const char *path)
{
	put(a, AML_RETURN);
	aml_path(a, path);
}

void
aml_name(struct aml *a, const char *path)
{
	put(a, AML_NAME);
	aml_path(a, path);
}

void
aml_int(struct aml *a, uint64_t v)
{
	if (v <= 1) {
		put(a, (uint8_t)v); /* ZeroOp, OneOp */
	} else if (v <= UINT8_MAX) {
		put(a, AML_BYTE);
		put(a, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		put(a, AML_WORD);
		buf_put_le16(a->out, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		put(a, AML_DWORD);
		buf_put_le32(a->out, (uint32_t)v);
	} else {
		put(a, AML_QWORD);
		buf_put_le64(a->out, v);
	}
}

void
aml_str(struct aml *a, const char *s)
{
	put(a, AML_STRING);
	buf_append(a->out, s, strlen(s) + 1);
}

static unsigned
hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/* 19.6.36: three letters of 5 bits, four hex digits, big-endian. */
void
aml_eisaid(struct aml *a, const char *id)
{
	uint32_t v = 0;

	if (strlen(id) != 7) {
		a->failed = -EINVAL;
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		v = v << 5 | (uint32_t)((id[i] - '@') & 0x1f);
	for (unsigned i = 3; i < 7; i++)
		v = v << 4 | hex_digit(id[i]);
	put(a, AML_DWORD);
	buf_put_be32(a->out, v);
}

void
aml_crs(struct aml *a, const struct buf *crs)
{
	if (buf_error(crs) < 0)
		a->failed = buf_error(crs);
	put(a, AML_BUFFER);
	begin(a);
	aml_int(a, crs->len + 2);
	buf_append(a->out, crs->data, crs->len);
	put(a, 0x79); /* 6.4.2.9 end tag; */
	put(a, 0); /* a checksum of 0 counts as right */
	aml_end(a);
}

/* ---- 6.4: resource data types ---- */

/* 6.4.2.5 I/O port descriptor */
void
crs_io(struct buf *crs, uint16_t base, uint8_t len)
{
	buf_put_u8(crs, 0x47);
	buf_put_u8(crs, 1); /* decodes 16 bits */
	buf_put_le16(crs, base);
	buf_put_le16(crs, base);
	buf_put_u8(crs, 1);
	buf_put_u8(crs, len);
}

/* 6.4.2.1 IRQ descriptor without flags */
void
crs_irq(struct buf *crs, unsigned irq)
{
	buf_put_u8(crs, 0x22);
	buf_put_le16(crs, (uint16_t)(1u << irq));
}

/* 6.4.3.5: address space descriptors, width 2, 4 or 8 bytes */
struct window {
	unsigned tag, width;
	uint8_t type, general, specific;
	uint64_t first, last;
};
enum { WIN_MEM = 0, WIN_IO = 1, WIN_BUS = 2 };
enum { WIN_TAG_DWORD = 0x87, WIN_TAG_WORD = 0x88, WIN_TAG_QWORD = 0x8a };
#define WIN_FIXED 0x0c /* minimum and maximum are fixed */
#define WIN_IO_ENTIRE 0x03 /* ISA and non-ISA addresses */
#define WIN_MEM_RW 0x01 /* read-write, not cached */

static void
put_width(struct buf *crs, unsigned width, uint64_t v)
{
	buf_append(crs, &v, width); /* little-endian as the host */
}

static void
put_window(struct buf *crs, const struct window *w)
{
	buf_put_u8(crs, (uint8_t)w->tag);
	buf_put_le16(crs, (uint16_t)(3 + 5 * w->width));
	buf_put_u8(crs, w->type);
	buf_put_u8(crs, w->general | WIN_FIXED);
	buf_put_u8(crs, w->specific);
	put_width(crs, w->width, 0); /* granularity */
	put_width(crs, w->width, w->first);
	put_width(crs, w->width, w->last);
	put_width(crs, w->width, 0); /* translation */
	put_width(crs, w->width, w->last - w->first + 1);
}

void
crs_bus_window(struct buf *crs, uint8_t first, uint8_t last)
{
	put_window(crs,
	    &(struct window){
		WIN_TAG_WORD, 2, WIN_BUS, CRS_PRODUCED, 0, first, last });
}

void
crs_io_window(struct buf *crs, uint16_t first, uint16_t last)
{
	put_window(crs,
	    &(struct window){ WIN_TAG_WORD, 2, WIN_IO, CRS_PRODUCED,
		WIN_IO_ENTIRE, first, last });
}

void
crs_mem32_window(struct buf *crs, uint32_t first, uint32_t last)
{
	put_window(crs,
	    &(struct window){ WIN_TAG_DWORD, 4, WIN_MEM, CRS_PRODUCED,
		WIN_MEM_RW, first, last });
}

void
crs_mem64(struct buf *crs, enum crs_use use, uint64_t base, uint64_t size)
{
	put_window(crs,
	    &(struct window){ WIN_TAG_QWORD, 8, WIN_MEM, (uint8_t)use,
		WIN_MEM_RW, base, base + size - 1 });
}
