/*
 * NVMe: what the controller says of itself, every command, commands that are
 * wrong.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "disk_image.h"
#include "nvme_rig.h"
#include "tap.h"

#define SIZE (4 * MiB)
#define LBAS (SIZE / 512)
#define BUF NRIG_BUF
#define LIST (NRIG_BUF + 0x100000)
#define AT(gpa) rig_ram(&n.r, (gpa))
#define CMD(...) ((struct nvme_sqe){ __VA_ARGS__ })
#define ADMIN(...) nrig_do(&n, 0, CMD(__VA_ARGS__))
#define IO(...) nrig_do(&n, 1, CMD(.nsid = 1, __VA_ARGS__))

static struct nrig n;

static int
open_disk(const char *opts, struct error *err)
{
	char text[600];

	str_format(text, sizeof(text), "%s%s", disk_image(SIZE), opts);
	return nrig_open(&n, text, err);
}

/* Enabled, with one queue pair. */
static void
start(const char *opts)
{
	struct error err = ERROR_INIT;

	if (open_disk(opts, &err) != 0)
		tap_fail("%s", err.text);
	tap_check(nrig_enable(&n));
	tap_check(nrig_queue(&n, 1, 16));
}

static void
refused(const char *opts, const char *part)
{
	struct error err = ERROR_INIT;

	tap_check(open_disk(opts, &err) < 0);
	tap_check_has(err.text, part);
}

/* ---- what it says of itself ---- */

static void
says_what_it_is(void)
{
	uint8_t *p;

	start(",ser=SERIAL01,eui64=0x0102030405060708");
	tap_check_u64(rig_cfg_read(&n.r, 8, 4) >> 8, 0x010802);
	tap_check_u64(rig_read(&n.r, NVME_CAP, 8) & 0xffff, 2057);
	tap_check_u64(rig_read(&n.r, NVME_CAP, 8) >> 37 & 0xff, 1);
	tap_check_u64(nrig_reg(&n, NVME_VS), 0x10400);
	tap_check_int(ADMIN(.opcode = 6, .prp1 = BUF, .cdw10 = 1), 0);
	p = AT(BUF);
	tap_check_mem(p + 4, "SERIAL01            ", 20);
	tap_check_mem(p + 24, "bhyve-NVMe    ", 14);
	tap_check_int(p[77], 7);
	tap_check_u64(load_le32(p + 80), 0x10400);
	tap_check_int(p[111], 1);
	tap_check_u64(load_le32(p + 516), 1);
	tap_check_u64(load_le16(p + 520) & 0x8, 0x8);
	tap_check_int(
	    ADMIN(.opcode = 6, .nsid = 1, .prp1 = BUF, .cdw10 = 0), 0);
	tap_check_u64(load_le64(p), LBAS);
	tap_check_int(p[130], 9);
	tap_check_u64(load_be64(p + 120), UINT64_C(0x0102030405060708));
	tap_check_int(ADMIN(.opcode = 6, .prp1 = BUF, .cdw10 = 2), 0);
	tap_check_u64(load_le64(p), 1);
	tap_check_int(
	    ADMIN(.opcode = 6, .nsid = 1, .prp1 = BUF, .cdw10 = 2), 0);
	tap_check_u64(load_le64(p), 0);
	tap_check_int(
	    ADMIN(.opcode = 6, .nsid = 1, .prp1 = BUF, .cdw10 = 3), 0);
	tap_check_u64(load_le32(p), 0x0801);
	tap_check_u64(load_be64(p + 4), UINT64_C(0x0102030405060708));
	nrig_close(&n);
}

static void
has_blocks_of_4096(void)
{
	start(",sectsz=4096");
	tap_check_int(
	    ADMIN(.opcode = 6, .nsid = 1, .prp1 = BUF, .cdw10 = 3), 0);
	tap_check_u64(load_le32(AT(BUF)), 0x1003); /* a UUID */
	tap_check_u64(load_le64(AT(BUF + 20)), 0);
	tap_check_int(
	    ADMIN(.opcode = 6, .nsid = 1, .prp1 = BUF, .cdw10 = 0), 0);
	tap_check_u64(load_le64(AT(BUF)), SIZE / 4096);
	tap_check_int(AT(BUF)[130], 12);
	tap_check_int(IO(.opcode = 2, .prp1 = BUF, .cdw10 = 3), 0);
	disk_check_sector(AT(BUF), 24);
	nrig_close(&n);
}

static void
can_live_in_memory(void)
{
	struct error err = ERROR_INIT;

	tap_check_int(nrig_open(&n, "ram=2", &err), 0);
	tap_check(nrig_enable(&n) && nrig_queue(&n, 1, 16));
	memset(AT(BUF), 0x5a, 4096);
	tap_check_int(
	    IO(.opcode = 1, .prp1 = BUF, .cdw10 = 4088, .cdw12 = 7), 0);
	memset(AT(BUF), 0, 4096);
	tap_check_int(
	    IO(.opcode = 2, .prp1 = BUF, .cdw10 = 4088, .cdw12 = 7), 0);
	tap_check_int(AT(BUF)[4095], 0x5a);
	tap_check_int(
	    IO(.opcode = 2, .prp1 = BUF, .cdw10 = 4096), NVME_LBA_RANGE);
	nrig_close(&n);
}

static void
refuses_wrong_options(void)
{
	refused(",ser=123456789012345678901", "at most 20");
	refused(",maxq=65", "65");
	refused(",sectsz=1024", "1024");
	refused(",sectorsize=4096,sectsz=512", "sectors of 4096");
	refused(",ram=4", "not both");
}

static void
fails_cleanly_without_memory(void)
{
	struct error err = ERROR_INIT;
	const char *path;
	bool hit = true;

	path = disk_image(SIZE);
	for (unsigned long i = 1; hit; i++) {
		int rc;

		alloc_fail_at(i);
		rc = nrig_open(&n, path, &err);
		hit = alloc_fail_hit();
		alloc_fail_at(0);
		tap_check(rc == 0 || hit);
		if (rc == 0)
			nrig_close(&n);
	}
}

/* ---- data ---- */

static void
reads_and_writes(void)
{
	start("");
	tap_check_int(IO(.opcode = 2, .prp1 = BUF, .cdw10 = 5, .cdw12 = 1), 0);
	disk_check_sector(AT(BUF), 5);
	disk_check_sector(AT(BUF + 512), 6);
	tap_check_u64(n.last.sqhd, 1);
	tap_check_u64(n.last.sqid, 1);
	tap_check(rig_msis_reach(1, 1) >= 1);
	memset(AT(BUF), 0x77, 1024);
	tap_check_int(IO(.opcode = 1, .prp1 = BUF, .cdw10 = 9, .cdw12 = 1), 0);
	tap_check(disk_has(9, 0x77) && disk_has(10, 0x77));
	tap_check(disk_has(11, DISK_FILL(11)));
	tap_check_int(IO(.opcode = 0), 0);
	tap_check_int(nrig_do(&n, 1, CMD(.opcode = 0, .nsid = UINT32_MAX)), 0);
	/* FUA, and without a write cache */
	tap_check_int(
	    IO(.opcode = 1, .prp1 = BUF, .cdw10 = 9, .cdw12 = 1u << 30), 0);
	tap_check_int(ADMIN(.opcode = 9, .cdw10 = 6, .cdw11 = 0), 0);
	tap_check_int(IO(.opcode = 1, .prp1 = BUF, .cdw10 = 9), 0);
	nrig_close(&n);
}

/* From the middle of a page, two pages, a list, a list of two parts. */
static void
follows_prps(void)
{
	static const struct {
		unsigned offset, sectors, list; /* offset of the list's page */
	} rows[] = {
		{ 0, 8, 0 },
		{ 2048, 4, 0 },
		{ 2048, 8, 0 },
		{ 0, 16, 0 },
		{ 0, 17, 0 },
		{ 512, 64, 0 },
		{ 4, 128, 0 },
		{ 0, 1024, 0 },
		{ 3584, 1024, 0 },
		{ 0, 1024, 4096 - 64 },
		{ 0, 1024, 4096 - 8 },
		{ 0, 17, 4096 - 8 },
	};

	start("");
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned bytes = rows[i].sectors * 512, first, entry = 0;
		uint64_t at = LIST + rows[i].list, prp2, page = BUF + 4096;

		tap_context("row %u", i);
		memset(AT(BUF), 0, 0xa0000);
		first = MIN(bytes, 4096 - rows[i].offset);
		prp2 = bytes - first > 4096 ? at : page;
		/* Every second page, so that nothing is joined. */
		for (unsigned left = bytes - MIN(bytes, first); left > 0;) {
			if (at % 4096 == 4088 && left > 4096) {
				entry++;
				store_le64(AT(at), LIST + 0x1000 * entry);
				at = LIST + 0x1000 * entry;
			}
			store_le64(AT(at), page);
			at += 8;
			page += left > 0x40000 ? 0x1000 : 0x2000;
			left -= MIN(left, 4096u);
		}
		tap_check_int(
		    IO(.opcode = 2, .prp1 = BUF + rows[i].offset, .prp2 = prp2,
			.cdw10 = 100, .cdw12 = rows[i].sectors - 1),
		    0);
		if (first >= 512)
			disk_check_sector(AT(BUF + rows[i].offset), 100);
		if (bytes > first && first % 512 == 0)
			disk_check_sector(AT(BUF + 4096), 100 + first / 512);
	}
	nrig_close(&n);
}

static void
zeroes_and_deallocates(void)
{
	struct nvme_range *r;

	start("");
	tap_check_int(IO(.opcode = 8, .cdw10 = 16, .cdw12 = 7), 0);
	tap_check(disk_has(15, DISK_FILL(15)) && disk_has(16, 0));
	tap_check(disk_has(23, 0) && disk_has(24, DISK_FILL(24)));
	tap_check_int(IO(.opcode = 8, .cdw10 = 24, .cdw12 = 7 | 1u << 25), 0);
	tap_check(disk_has(31, 0));
	r = (void *)AT(BUF);
	r[0] = (struct nvme_range){ .start = 64, .length = 64 };
	r[1] = (struct nvme_range){ .start = 70, .length = 0 };
	r[2] = (struct nvme_range){ .start = 256, .length = 64 };
	/* a hint without "deallocate" does nothing */
	tap_check_int(IO(.opcode = 9, .prp1 = BUF, .cdw10 = 2, .cdw11 = 1), 0);
	tap_check(disk_has(64, DISK_FILL(64)));
	tap_check_int(IO(.opcode = 9, .prp1 = BUF, .cdw10 = 2, .cdw11 = 4), 0);
	tap_check(disk_has(64, 0) && disk_has(319, 0));
	tap_check(disk_has(128, DISK_FILL(128)));
	r[1] = (struct nvme_range){ .start = LBAS - 1, .length = 2 };
	tap_check_int(IO(.opcode = 9, .prp1 = BUF, .cdw10 = 1, .cdw11 = 4),
	    NVME_LBA_RANGE);
	nrig_close(&n);
	start(",dsm=disable");
	tap_check_int(IO(.opcode = 9, .prp1 = BUF, .cdw10 = 1, .cdw11 = 4),
	    NVME_INVALID_OPCODE);
	nrig_close(&n);
}

static void
is_read_only(void)
{
	start(",ro");
	tap_check_int(
	    ADMIN(.opcode = 6, .nsid = 1, .prp1 = BUF, .cdw10 = 0), 0);
	tap_check_int(AT(BUF)[99], 1);
	tap_check_int(IO(.opcode = 2, .prp1 = BUF), 0);
	tap_check_int(IO(.opcode = 1, .prp1 = BUF), NVME_WRITE_PROTECTED);
	tap_check_int(IO(.opcode = 8), NVME_WRITE_PROTECTED);
	nrig_close(&n);
}

/* ---- commands that are wrong ---- */

#define RAM_END RIG_RAM
static const struct {
	const char *what;
	unsigned want;
	unsigned q;
	struct nvme_sqe c;
} wrong[] = {
	{ "unknown opcode", NVME_INVALID_OPCODE, 1,
	    { .opcode = 0x7f, .nsid = 1 } },
	{ "compare", NVME_INVALID_OPCODE, 1, { .opcode = 5, .nsid = 1 } },
	{ "no namespace", NVME_INVALID_NS, 1, { .opcode = 2, .prp1 = BUF } },
	{ "another namespace", NVME_INVALID_NS, 1,
	    { .opcode = 2, .nsid = 2, .prp1 = BUF } },
	{ "all namespaces", NVME_INVALID_NS, 1,
	    { .opcode = 1, .nsid = UINT32_MAX, .prp1 = BUF } },
	{ "SGL", NVME_INVALID_FIELD, 1,
	    { .opcode = 2, .nsid = 1, .flags = 0x40, .prp1 = BUF } },
	{ "fused", NVME_INVALID_FIELD, 1,
	    { .opcode = 2, .nsid = 1, .flags = 1, .prp1 = BUF } },
	{ "beyond the end", NVME_LBA_RANGE, 1,
	    { .opcode = 2, .nsid = 1, .prp1 = BUF, .cdw10 = LBAS } },
	{ "across the end", NVME_LBA_RANGE, 1,
	    { .opcode = 1,
		.nsid = 1,
		.prp1 = BUF,
		.cdw10 = LBAS - 1,
		.cdw12 = 1 } },
	{ "overflow", NVME_LBA_RANGE, 1,
	    { .opcode = 2,
		.nsid = 1,
		.prp1 = BUF,
		.cdw10 = UINT32_MAX,
		.cdw11 = UINT32_MAX,
		.cdw12 = 7 } },
	{ "more than MDTS", NVME_INVALID_FIELD, 1,
	    { .opcode = 2,
		.nsid = 1,
		.prp1 = BUF,
		.prp2 = LIST,
		.cdw12 = 1024 } },
	{ "PRP1 odd", NVME_PRP_OFFSET, 1,
	    { .opcode = 2, .nsid = 1, .prp1 = BUF + 2 } },
	{ "PRP2 inside a page", NVME_PRP_OFFSET, 1,
	    { .opcode = 2,
		.nsid = 1,
		.prp1 = BUF,
		.prp2 = BUF + 512,
		.cdw12 = 15 } },
	{ "list odd", NVME_PRP_OFFSET, 1,
	    { .opcode = 2,
		.nsid = 1,
		.prp1 = BUF,
		.prp2 = LIST + 4,
		.cdw12 = 63 } },
	{ "entry inside a page", NVME_PRP_OFFSET, 1,
	    { .opcode = 2,
		.nsid = 1,
		.prp1 = BUF,
		.prp2 = LIST + 0x10000,
		.cdw12 = 63 } },
	{ "list leads inside a page", NVME_PRP_OFFSET, 1,
	    { .opcode = 2,
		.nsid = 1,
		.prp1 = BUF,
		.prp2 = LIST + 0x10ff8,
		.cdw12 = 63 } },
	{ "PRP1 not memory", NVME_DATA_TRANSFER, 1,
	    { .opcode = 2, .nsid = 1, .prp1 = RAM_END } },
	{ "PRP1 wraps", NVME_DATA_TRANSFER, 1,
	    { .opcode = 2, .nsid = 1, .prp1 = ~UINT64_C(3) } },
	{ "PRP2 not memory", NVME_DATA_TRANSFER, 1,
	    { .opcode = 1,
		.nsid = 1,
		.prp1 = BUF,
		.prp2 = 0xfee00000,
		.cdw12 = 15 } },
	{ "list not memory", NVME_DATA_TRANSFER, 1,
	    { .opcode = 1,
		.nsid = 1,
		.prp1 = BUF,
		.prp2 = RAM_END,
		.cdw12 = 63 } },
	{ "ranges not memory", NVME_DATA_TRANSFER, 1,
	    { .opcode = 9,
		.nsid = 1,
		.prp1 = RAM_END,
		.cdw10 = 255,
		.cdw11 = 4 } },
	{ "zeroes beyond the end", NVME_LBA_RANGE, 1,
	    { .opcode = 8, .nsid = 1, .cdw10 = LBAS - 1, .cdw12 = 0xffff } },

	{ "unknown admin opcode", NVME_INVALID_OPCODE, 0, { .opcode = 0xc0 } },
	{ "identify: unknown", NVME_INVALID_FIELD, 0,
	    { .opcode = 6, .prp1 = BUF, .cdw10 = 0x77 } },
	{ "identify: namespace 0", NVME_INVALID_NS, 0,
	    { .opcode = 6, .prp1 = BUF } },
	{ "identify: namespace 2", NVME_INVALID_NS, 0,
	    { .opcode = 6, .nsid = 2, .prp1 = BUF } },
	{ "identify: list from the last", NVME_INVALID_NS, 0,
	    { .opcode = 6, .nsid = UINT32_MAX, .prp1 = BUF, .cdw10 = 2 } },
	{ "identify: not memory", NVME_DATA_TRANSFER, 0,
	    { .opcode = 6, .prp1 = RAM_END, .cdw10 = 1 } },
	{ "log: unknown", NVME_LOG_INVALID, 0,
	    { .opcode = 2, .prp1 = BUF, .cdw10 = 0xee } },
	{ "log: too long", NVME_INVALID_FIELD, 0,
	    { .opcode = 2,
		.prp1 = BUF,
		.cdw10 = 0xffff0002,
		.cdw11 = 0xffff } },
	{ "log: odd offset", NVME_INVALID_FIELD, 0,
	    { .opcode = 2, .prp1 = BUF, .cdw10 = 2, .cdw12 = 2 } },
	{ "log: far offset", NVME_INVALID_FIELD, 0,
	    { .opcode = 2, .prp1 = BUF, .cdw10 = 2, .cdw13 = 1 } },
	{ "feature: unknown", NVME_INVALID_FIELD, 0,
	    { .opcode = 10, .cdw10 = 0x77 } },
	{ "set feature: unknown", NVME_INVALID_FIELD, 0,
	    { .opcode = 9, .cdw10 = 0x77 } },
	{ "feature: saved", NVME_NOT_SAVEABLE, 0,
	    { .opcode = 9, .cdw10 = 1u << 31 | 6 } },
	{ "feature: power state 1", NVME_INVALID_FIELD, 0,
	    { .opcode = 9, .cdw10 = 2, .cdw11 = 1 } },
	{ "feature: sensor 3", NVME_INVALID_FIELD, 0,
	    { .opcode = 10, .cdw10 = 4, .cdw11 = 3 << 16 } },
	{ "feature: vector 17", NVME_INVALID_FIELD, 0,
	    { .opcode = 9, .cdw10 = 9, .cdw11 = 17 } },
	{ "feature: queues too late", NVME_SEQUENCE, 0,
	    { .opcode = 9, .cdw10 = 7, .cdw11 = 0x30003 } },
	{ "feature: 65536 queues", NVME_INVALID_FIELD, 0,
	    { .opcode = 9, .cdw10 = 7, .cdw11 = UINT32_MAX } },
	{ "CQ 0", NVME_QID_INVALID, 0,
	    { .opcode = 5, .prp1 = BUF, .cdw10 = 15u << 16, .cdw11 = 3 } },
	{ "CQ 17", NVME_QID_INVALID, 0,
	    { .opcode = 5, .prp1 = BUF, .cdw10 = 15u << 16 | 17, .cdw11 = 3 } },
	{ "CQ 65535", NVME_QID_INVALID, 0,
	    { .opcode = 5,
		.prp1 = BUF,
		.cdw10 = 15u << 16 | 0xffff,
		.cdw11 = 3 } },
	{ "CQ twice", NVME_QID_INVALID, 0,
	    { .opcode = 5, .prp1 = BUF, .cdw10 = 15u << 16 | 1, .cdw11 = 3 } },
	{ "CQ of 1", NVME_QSIZE_INVALID, 0,
	    { .opcode = 5, .prp1 = BUF, .cdw10 = 2, .cdw11 = 3 } },
	{ "CQ of 65536", NVME_QSIZE_INVALID, 0,
	    { .opcode = 5, .prp1 = BUF, .cdw10 = 0xffff0002, .cdw11 = 3 } },
	{ "CQ scattered", NVME_INVALID_FIELD, 0,
	    { .opcode = 5, .prp1 = BUF, .cdw10 = 15u << 16 | 2, .cdw11 = 2 } },
	{ "CQ vector 17", NVME_VECTOR_INVALID, 0,
	    { .opcode = 5,
		.prp1 = BUF,
		.cdw10 = 15u << 16 | 2,
		.cdw11 = 17u << 16 | 3 } },
	{ "CQ not aligned", NVME_PRP_OFFSET, 0,
	    { .opcode = 5,
		.prp1 = BUF + 64,
		.cdw10 = 15u << 16 | 2,
		.cdw11 = 3 } },
	{ "CQ not memory", NVME_DATA_TRANSFER, 0,
	    { .opcode = 5,
		.prp1 = RAM_END - 4096,
		.cdw10 = 2047u << 16 | 2,
		.cdw11 = 3 } },
	{ "SQ without CQ", NVME_CQ_INVALID, 0,
	    { .opcode = 1,
		.prp1 = BUF,
		.cdw10 = 15u << 16 | 2,
		.cdw11 = 2u << 16 | 1 } },
	{ "SQ on CQ 0", NVME_CQ_INVALID, 0,
	    { .opcode = 1, .prp1 = BUF, .cdw10 = 15u << 16 | 2, .cdw11 = 1 } },
	{ "SQ on CQ 65535", NVME_CQ_INVALID, 0,
	    { .opcode = 1,
		.prp1 = BUF,
		.cdw10 = 15u << 16 | 2,
		.cdw11 = 0xffff0001 } },
	{ "SQ twice", NVME_QID_INVALID, 0,
	    { .opcode = 1,
		.prp1 = BUF,
		.cdw10 = 15u << 16 | 1,
		.cdw11 = 1u << 16 | 1 } },
	{ "SQ of 1", NVME_QSIZE_INVALID, 0,
	    { .opcode = 1, .prp1 = BUF, .cdw10 = 2, .cdw11 = 1u << 16 | 1 } },
	{ "SQ not memory", NVME_DATA_TRANSFER, 0,
	    { .opcode = 1,
		.prp1 = RAM_END,
		.cdw10 = 15u << 16 | 2,
		.cdw11 = 1u << 16 | 1 } },
	{ "delete SQ 0", NVME_QID_INVALID, 0, { .opcode = 0 } },
	{ "delete SQ 9", NVME_QID_INVALID, 0, { .opcode = 0, .cdw10 = 9 } },
	{ "delete CQ 0", NVME_QID_INVALID, 0, { .opcode = 4 } },
	{ "delete CQ in use", NVME_QUEUE_DELETION, 0,
	    { .opcode = 4, .cdw10 = 1 } },
	{ "abort in no queue", NVME_INVALID_FIELD, 0,
	    { .opcode = 8, .cdw10 = 77 } },
};

static void
answers_what_is_wrong(void)
{
	uint64_t errors;

	start("");
	store_le64(AT(LIST + 0x10000), BUF + 512);
	store_le64(AT(LIST + 0x10ff8), LIST + 8);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		struct nvme_sqe c = wrong[i].c;

		tap_context("%s", wrong[i].what);
		c.cid = (uint16_t)(0x4000 + i);
		tap_check_u64(nrig_do(&n, wrong[i].q, c), wrong[i].want);
		tap_check_u64(n.last.cid, c.cid);
		/* and it works on */
		tap_check_int(IO(.opcode = 2, .prp1 = BUF, .cdw10 = i), 0);
		disk_check_sector(AT(BUF), i);
	}
	/* all of it is in the logs */
	tap_check_int(ADMIN(.opcode = 2, .nsid = UINT32_MAX, .prp1 = BUF,
			  .cdw10 = 127u << 16 | 2),
	    0);
	errors = load_le64(AT(BUF + 176));
	tap_check_u64(errors, ARRAY_LEN(wrong));
	tap_check_int(
	    ADMIN(.opcode = 2, .prp1 = BUF, .cdw10 = 255u << 16 | 1), 0);
	tap_check_u64(load_le64(AT(BUF)), errors);
	tap_check_u64(load_le16(AT(BUF + 10)), 0x4000 + errors - 1);
	tap_check_u64(load_le16(AT(BUF + 12)) >> 1, NVME_INVALID_FIELD);
	nrig_close(&n);
}

/* ---- features, logs, events ---- */

static void
keeps_features(void)
{
	static const struct {
		unsigned id;
		uint32_t set, get;
	} rows[] = {
		{ 1, 0x01020307, 0x01020307 },
		{ 4, 330, 330 },
		{ 5, 100, 100 },
		{ 6, 0, 0 },
		{ 8, 0x1234, 0x1234 },
		{ 9, 1u << 16 | 3, 1u << 16 | 3 },
		{ 10, 1, 1 },
		{ 11, 0x300, 0x300 },
	};

	start(",maxq=4");
	tap_check_int(ADMIN(.opcode = 10, .cdw10 = 7), 0);
	tap_check_u64(n.last.result, 0x30003);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		tap_context("feature %u", rows[i].id);
		tap_check_int(ADMIN(.opcode = 9, .cdw10 = rows[i].id,
				  .cdw11 = rows[i].set),
		    0);
		tap_check_int(ADMIN(.opcode = 10, .cdw10 = rows[i].id,
				  .cdw11 = rows[i].id == 9 ? 3 : 0),
		    0);
		tap_check_u64(n.last.result, rows[i].get);
	}
	/* a reset forgets them */
	tap_check(nrig_disable(&n) && nrig_enable(&n));
	tap_check_int(ADMIN(.opcode = 10, .cdw10 = 6), 0);
	tap_check_u64(n.last.result, 1);
	nrig_close(&n);
}

static void
tells_events(void)
{
	struct nvme_sqe aer = { .opcode = 12 };

	start("");
	for (aer.cid = 100; aer.cid < 104; aer.cid++)
		nrig_put(&n, 0, &aer);
	nrig_ring(&n, 0);
	/* a fifth is too many; one is taken back */
	aer.cid = 104;
	tap_check_u64(nrig_do(&n, 0, aer), NVME_AER_LIMIT);
	nrig_put(&n, 0, &CMD(.opcode = 8, .cid = 7, .cdw10 = 102u << 16));
	nrig_ring(&n, 0);
	tap_check_u64(nrig_wait(&n, 0, RIG_PATIENCE), NVME_ABORTED);
	tap_check_u64(n.last.cid, 102);
	tap_check_u64(nrig_wait(&n, 0, RIG_PATIENCE), 0);
	tap_check_u64(n.last.result, 0);
	/* a doorbell with a wrong value, then one of no queue: one event */
	nrig_doorbell(&n, 1, false, 99);
	tap_check_u64(nrig_wait(&n, 0, RIG_PATIENCE), 0);
	tap_check_u64(n.last.result, 1u << 16 | NVME_EVENT_BAD_VALUE << 8);
	nrig_doorbell(&n, 5, false, 1);
	tap_check_u64(nrig_wait(&n, 0, 50), NRIG_NONE);
	/* until the log was read */
	tap_check_int(ADMIN(.opcode = 2, .prp1 = BUF, .cdw10 = 1), 0);
	nrig_doorbell(&n, 5, false, 1);
	tap_check_u64(nrig_wait(&n, 0, RIG_PATIENCE), 0);
	tap_check_u64(n.last.result, 1u << 16 | NVME_EVENT_BAD_DOORBELL << 8);
	/* the queue works on */
	tap_check_int(IO(.opcode = 2, .prp1 = BUF), 0);
	nrig_close(&n);
}

static void
counts(void)
{
	start("");
	tap_check_int(IO(.opcode = 2, .prp1 = BUF), 0);
	tap_check_int(IO(.opcode = 1, .prp1 = BUF), 0);
	tap_check_int(IO(.opcode = 1, .prp1 = BUF), 0);
	tap_check_int(
	    ADMIN(.opcode = 2, .prp1 = BUF, .cdw10 = 127u << 16 | 2), 0);
	tap_check_u64(load_le16(AT(BUF + 1)), 296);
	tap_check_u64(load_le64(AT(BUF + 32)), 1);
	tap_check_u64(load_le64(AT(BUF + 64)), 1);
	tap_check_u64(load_le64(AT(BUF + 80)), 2);
	/* a part of it, and no byte more */
	memset(AT(BUF), 0xee, 64);
	tap_check_int(
	    ADMIN(.opcode = 2, .prp1 = BUF, .cdw10 = 1u << 16 | 2, .cdw12 = 64),
	    0);
	tap_check_u64(load_le64(AT(BUF)), 1);
	tap_check_int(AT(BUF)[8], 0xee);
	tap_check_int(
	    ADMIN(.opcode = 2, .prp1 = BUF, .cdw10 = 127u << 16 | 3), 0);
	tap_check_int(AT(BUF)[0], 1);
	nrig_close(&n);
}

static const struct tap_test tests[] = {
	TAP_TEST(says_what_it_is),
	TAP_TEST(has_blocks_of_4096),
	TAP_TEST(can_live_in_memory),
	TAP_TEST(refuses_wrong_options),
	TAP_TEST(fails_cleanly_without_memory),
	TAP_TEST(reads_and_writes),
	TAP_TEST(follows_prps),
	TAP_TEST(zeroes_and_deallocates),
	TAP_TEST(is_read_only),
	TAP_TEST(answers_what_is_wrong),
	TAP_TEST(keeps_features),
	TAP_TEST(tells_events),
	TAP_TEST(counts),
};
TAP_MAIN(tests)
