/*
 * virtio-blk and virtio-rnd: what they say of themselves, every request type,
 * requests cut up in every way, requests that are wrong, many at once.
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "dev/virtio/virtio.h"
#include "disk_image.h"
#include "tap.h"
#include "virtio_rig.h"

#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define CFG(field) (r.device + offsetof(struct virtio_blk_config, field))
#define SIZE (1 * MiB)
#define HDR RIG_DATA
#define STATUS (RIG_DATA + 0x800)
#define BUF (RIG_DATA + 0x1000)
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

static struct rig r;

static int
open_disk(const char *opts, struct error *err)
{
	char text[600];

	str_format(text, sizeof(text), "%s%s", disk_image(SIZE), opts);
	return rig_open(&r, "virtio-blk", text, true, err);
}

static void
start(const char *opts, uint64_t features, unsigned queues)
{
	struct error err = ERROR_INIT;

	if (open_disk(opts, &err) != 0)
		tap_fail("%s", err.text);
	tap_check(rig_drive(&r, features, queues, 256));
}

static void
refused(const char *opts, const char *part)
{
	struct error err = ERROR_INIT;

	tap_check(open_disk(opts, &err) < 0);
	tap_check_has(err.text, part);
}

/* ---- requests ---- */

struct seg {
	uint64_t addr;
	uint32_t len;
	bool write;
};

static void
header(uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };

	memcpy(rig_ram(&r, HDR), &h, sizeof(h));
	*rig_ram(&r, STATUS) = 0xee;
}

static void
chain(const struct seg *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		r.q[0].desc[i] = (struct vring_desc){ s[i].addr, s[i].len,
			(uint16_t)((s[i].write ? WRITE : 0) |
			    (i + 1 < n ? NEXT : 0)),
			(uint16_t)(i + 1) };
	rig_offer(&r, 0, 0);
	rig_kick(&r, 0);
}

static uint8_t
wait_status(uint32_t want_len)
{
	struct vring_used_elem u;

	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	tap_check_u64(u.id, 0);
	tap_check_u64(u.len, want_len);
	return *rig_ram(&r, STATUS);
}

/* Header, data if any, status: the usual form. */
static uint8_t
request(uint32_t type, uint64_t sector, uint32_t len, bool to_guest)
{
	const struct seg s[] = { { HDR, 16, false }, { BUF, len, to_guest },
		{ STATUS, 1, true } };
	const struct seg none[] = { s[0], s[2] };

	header(type, sector);
	if (len != 0)
		chain(s, 3);
	else
		chain(none, 2);
	return wait_status(to_guest ? len + 1 : 1);
}

/* ---- what it says of itself ---- */

static uint64_t
has(unsigned bit)
{
	return rig_features(&r) & VIRTIO_BIT(bit);
}

static void
configuration(void)
{
	start(",queues=4,ser=abc", 0, 1);
	tap_check_u64(rig_read(&r, CFG(capacity), 8), SIZE / 512);
	tap_check_u64(rig_read(&r, CFG(capacity) + 4, 4), 0);
	tap_check_u64(rig_read(&r, CFG(seg_max), 4), 126);
	tap_check_u64(rig_read(&r, CFG(blk_size), 4), 512);
	tap_check_u64(rig_read(&r, CFG(num_queues), 2), 4);
	tap_check_u64(rig_read(&r, CFG(max_discard_seg), 4), 16);
	tap_check_u64(rig_read(&r, CFG(max_write_zeroes_seg), 4), 16);
	tap_check_u64(rig_read(&r, CFG(write_zeroes_may_unmap), 1), 1);
	tap_check_u64(rig_read(&r, r.device + 60, 4), 0xffffffff);
	tap_check(has(VIRTIO_BLK_F_MQ) && has(VIRTIO_BLK_F_FLUSH));
	tap_check(has(VIRTIO_BLK_F_DISCARD) && has(VIRTIO_BLK_F_CONFIG_WCE));
	tap_check(!has(VIRTIO_BLK_F_RO) && !has(VIRTIO_BLK_F_SIZE_MAX));
	rig_close(&r);
	start(",ro,sectorsize=512/4096", 0, 1);
	tap_check_u64(rig_read(&r, CFG(physical_block_exp), 1), 3);
	tap_check_u64(rig_read(&r, CFG(min_io_size), 2), 8);
	tap_check(has(VIRTIO_BLK_F_RO) && !has(VIRTIO_BLK_F_DISCARD));
	tap_check(!has(VIRTIO_BLK_F_WRITE_ZEROES) && !has(VIRTIO_BLK_F_MQ));
	rig_close(&r);
	start(",nodelete", 0, 1);
	tap_check(!has(VIRTIO_BLK_F_DISCARD));
	tap_check_u64(rig_read(&r, CFG(write_zeroes_may_unmap), 1), 0);
	rig_close(&r);
}

static void
bad_configuration(void)
{
	refused(",queues=17", "queues");
	refused(",queues=0", "queues");
	refused(",ser=123456789012345678901", "at most 20 characters");
	refused(",aoi=threads", "aio");
	refused(",sectorsize=8", "512 or 4096");
}

static void
write_cache_switch(void)
{
	start("", VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE), 1);
	tap_check_u64(rig_read(&r, CFG(wce), 1), 1);
	rig_write(&r, CFG(wce), 2, 0); /* by its width only */
	rig_write(&r, CFG(capacity), 8, 5);
	tap_check_u64(rig_read(&r, CFG(wce), 1), 1);
	tap_check_u64(rig_read(&r, CFG(capacity), 8), SIZE / 512);
	rig_write(&r, CFG(wce), 1, 0);
	tap_check_u64(rig_read(&r, CFG(wce), 1), 0);
	memset(rig_ram(&r, BUF), 0x5a, 1024);
	tap_check_int(request(VIRTIO_BLK_T_OUT, 3, 1024, false), 0);
	tap_check(disk_has(3, 0x5a) && disk_has(4, 0x5a));
	tap_check(rig_drive(&r, 0, 1, 256)); /* and on again by a reset */
	tap_check_u64(rig_read(&r, CFG(wce), 1), 1);
	tap_check_int(request(VIRTIO_BLK_T_OUT, 5, 512, false), 0);
	rig_close(&r);
}

/* ---- good requests ---- */

static void
every_type(const char *opts)
{
	struct virtio_blk_discard_write_zeroes z[2] = { { 100, 2, 0 },
		{ 104, 1, 0 } };

	start(opts,
	    VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD),
	    1);
	tap_check_int(request(VIRTIO_BLK_T_IN, 7, 1024, true), 0);
	disk_check_sector(rig_ram(&r, BUF), 7);
	disk_check_sector(rig_ram(&r, BUF + 512), 8);
	memset(rig_ram(&r, BUF), 0xa5, 512);
	tap_check_int(request(VIRTIO_BLK_T_OUT, 9, 512, false), 0);
	tap_check(disk_has(9, 0xa5) && !disk_has(10, 0xa5));
	tap_check_int(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	memcpy(rig_ram(&r, BUF), z, sizeof(z));
	tap_check_int(
	    request(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(z), false), 0);
	tap_check(disk_has(100, 0) && disk_has(101, 0));
	tap_check(!disk_has(102, 0) && !disk_has(103, 0));
	tap_check(disk_has(104, 0) && !disk_has(105, 0));
	z[0].sector = 200;
	memcpy(rig_ram(&r, BUF), z, sizeof(z[0]));
	tap_check_int(request(VIRTIO_BLK_T_DISCARD, 0, sizeof(z[0]), false), 0);
	tap_check(disk_has(200, 0));
	tap_check_int(request(VIRTIO_BLK_T_IN, SIZE / 512 - 1, 512, true), 0);
	disk_check_sector(rig_ram(&r, BUF), SIZE / 512 - 1);
	rig_close(&r);
}

static void
types_io_uring(void)
{
	every_type("");
}

static void
types_threads(void)
{
	every_type(",aio=threads");
}

static void
types_direct(void)
{
	every_type(",nocache,direct");
}

static void
serial(void)
{
	start(",ser=12345678901234567890", 0, 1);
	tap_check_int(request(VIRTIO_BLK_T_GET_ID, 0, 20, true), 0);
	tap_check_mem(rig_ram(&r, BUF), "12345678901234567890", 20);
	memset(rig_ram(&r, BUF), 0xee, 64);
	tap_check_int(request(VIRTIO_BLK_T_GET_ID, 0, 5, true), 0);
	tap_check_mem(rig_ram(&r, BUF), "12345\xee", 6);
	tap_check_int(request(VIRTIO_BLK_T_GET_ID, 0, 64, true), 0);
	tap_check_int(*rig_ram(&r, BUF + 20), 0xee);
	rig_close(&r);
	start("", 0, 1);
	tap_check_int(request(VIRTIO_BLK_T_GET_ID, 0, 20, true), 0);
	tap_check_mem(rig_ram(&r, BUF), "BHYVE-", 6);
	rig_close(&r);
}

/* 2.7.4: the device must not rely on how a request is cut into segments. */
static void
any_layout(void)
{
	const struct seg one_byte_first[] = { { HDR, 1, false },
		{ HDR + 1, 15, false }, { BUF, 512, true },
		{ STATUS, 1, true } };
	const struct seg status_with_data[] = { { HDR, 16, false },
		{ STATUS - 512, 513, true } };
	const struct seg all_in_pieces[] = { { HDR, 5, false },
		{ HDR + 5, 5, false }, { HDR + 10, 6, false }, { BUF, 1, true },
		{ BUF + 1, 500, true }, { BUF + 501, 11, true },
		{ STATUS, 1, true } };
	const struct seg write_with_header[] = { { HDR, 16 + 512, false },
		{ STATUS, 1, true } };

	start("", 0, 1);
	header(VIRTIO_BLK_T_IN, 11);
	chain(one_byte_first, ARRAY_LEN(one_byte_first));
	tap_check_int(wait_status(513), 0);
	disk_check_sector(rig_ram(&r, BUF), 11);
	header(VIRTIO_BLK_T_IN, 12);
	chain(status_with_data, ARRAY_LEN(status_with_data));
	tap_check_int(wait_status(513), 0);
	disk_check_sector(rig_ram(&r, STATUS - 512), 12);
	header(VIRTIO_BLK_T_IN, 13);
	chain(all_in_pieces, ARRAY_LEN(all_in_pieces));
	tap_check_int(wait_status(513), 0);
	disk_check_sector(rig_ram(&r, BUF), 13);
	header(VIRTIO_BLK_T_OUT, 14);
	memset(rig_ram(&r, HDR + 16), 0x77, 512);
	chain(write_with_header, ARRAY_LEN(write_with_header));
	tap_check_int(wait_status(1), 0);
	tap_check(disk_has(14, 0x77));
	rig_close(&r);
}

/* ---- bad requests ---- */

#define IOERR VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

static void
refused_requests(void)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		bool to_guest;
		uint8_t status;
	} c[] = {
		{ VIRTIO_BLK_T_IN, 0, 511, true, IOERR },
		{ VIRTIO_BLK_T_IN, 0, 513, true, IOERR },
		{ VIRTIO_BLK_T_IN, SIZE / 512, 512, true, IOERR },
		{ VIRTIO_BLK_T_IN, SIZE / 512 - 1, 1024, true, IOERR },
		{ VIRTIO_BLK_T_OUT, SIZE / 512 - 1, 1024, false, IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, true, IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_C(1) << 55, 512, true, IOERR },
		{ VIRTIO_BLK_T_OUT, UINT64_C(1) << 55, 512, false, IOERR },
		{ VIRTIO_BLK_T_IN, (UINT64_C(1) << 55) - 1, 512, true, IOERR },
		{ 99, 0, 512, false, UNSUPP },
		{ VIRTIO_BLK_T_SECURE_ERASE, 0, 16, false, UNSUPP },
		{ UINT32_MAX, 0, 0, false, UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, 0, 0, false, IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, 15, false, IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, 17 * 16, false, IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 0xff0, false, IOERR },
	};

	start("", 0, 1);
	memset(rig_ram(&r, BUF), 0, 0x1000);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		tap_note("case %u", i);
		tap_check_int(
		    request(c[i].type, c[i].sector, c[i].len, c[i].to_guest),
		    c[i].status);
	}
	tap_check_int(rig_status(&r), 15);
	rig_close(&r);
}

static void
refused_ranges(void)
{
	static const struct {
		uint32_t type;
		struct virtio_blk_discard_write_zeroes z;
		uint8_t status;
	} c[] = {
		{ VIRTIO_BLK_T_DISCARD, { 0, 1, 1 }, UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, { 0, 1, 2 }, UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { 0, 1, 2 }, UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { 0, 1, 1 }, 0 },
		{ VIRTIO_BLK_T_DISCARD, { 0, UINT32_MAX, 0 }, IOERR },
		{ VIRTIO_BLK_T_DISCARD, { SIZE / 512, 1, 0 }, IOERR },
		{ VIRTIO_BLK_T_DISCARD, { UINT64_MAX, 1, 0 }, IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { UINT64_C(1) << 55, 1, 0 },
		    IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, { SIZE / 512 - 1, 2, 0 }, IOERR },
	};

	start("", 0, 1);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		tap_note("case %u", i);
		memcpy(rig_ram(&r, BUF), &c[i].z, 16);
		tap_check_int(request(c[i].type, 0, 16, false), c[i].status);
	}
	tap_check_int(rig_status(&r), 15);
	rig_close(&r);
}

static void
read_only(void)
{
	struct virtio_blk_discard_write_zeroes z = { 0, 1, 0 };

	start(",ro", 0, 1);
	tap_check_int(request(VIRTIO_BLK_T_IN, 0, 512, true), 0);
	tap_check_int(request(VIRTIO_BLK_T_OUT, 0, 512, false), IOERR);
	memcpy(rig_ram(&r, BUF), &z, 16);
	tap_check_int(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false), IOERR);
	tap_check_int(request(VIRTIO_BLK_T_DISCARD, 0, 16, false), UNSUPP);
	tap_check_int(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	tap_check(disk_has(0, 1));
	rig_close(&r);
}

static void
breaks_it(const struct seg *s, unsigned n)
{
	struct vring_used_elem u;

	header(VIRTIO_BLK_T_IN, 0);
	chain(s, n);
	tap_check_int(rig_status_reach(&r, 15 | NEEDS_RESET), 15 | NEEDS_RESET);
	tap_check(!rig_wait(&r, 0, 0, &u));
	tap_check_int(*rig_ram(&r, STATUS), 0xee);
	tap_check(rig_drive(&r, 0, 1, 256));
	tap_check_int(request(VIRTIO_BLK_T_IN, 0, 512, true), 0);
}

static void
no_header_no_status(void)
{
	const struct seg short_header[] = { { HDR, 15, false },
		{ BUF, 512, true }, { STATUS, 1, true } };
	const struct seg no_header[] = { { BUF, 512, true },
		{ STATUS, 1, true } };
	const struct seg no_status[] = { { HDR, 16, false } };
	const struct seg only_readable[] = { { HDR, 16, false },
		{ BUF, 512, false }, { STATUS, 1, false } };

	start("", 0, 1);
	breaks_it(short_header, 3);
	breaks_it(no_header, 2);
	breaks_it(no_status, 1);
	breaks_it(only_readable, 3);
	rig_close(&r);
}

static void
too_many_segments(void)
{
	struct seg s[130];

	start("", 0, 1);
	s[0] = (struct seg){ HDR, 16, false };
	for (unsigned i = 1; i < 129; i++)
		s[i] = (struct seg){ BUF + i * 512, 512, true };
	s[127] = (struct seg){ STATUS, 1, true };
	header(VIRTIO_BLK_T_IN, 0);
	chain(s, 128); /* as many as were promised */
	tap_check_int(wait_status(126 * 512 + 1), 0);
	s[127] = (struct seg){ BUF, 512, true };
	s[128] = (struct seg){ STATUS, 1, true };
	breaks_it(s, 129);
	rig_close(&r);
}

/* ---- many at once ---- */

#define DEEP 85 /* requests of three descriptors in 256 */

static void
deep_offer(unsigned q, unsigned slot, unsigned sector)
{
	uint64_t at = 0x200000 + q * 0x20000 + slot * 0x600;
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN,
		.sector = sector };
	struct vring_desc *d = &r.q[q].desc[slot * 3];
	uint16_t head = (uint16_t)(slot * 3);

	memcpy(rig_ram(&r, at), &h, sizeof(h));
	*rig_ram(&r, at + 16) = 0xee;
	d[0] = (struct vring_desc){ at, 16, NEXT, head + 1 };
	d[1] = (struct vring_desc){ at + 0x200, 512, NEXT | WRITE, head + 2 };
	d[2] = (struct vring_desc){ at + 16, 1, WRITE, 0 };
	rig_offer(&r, q, head);
}

static void
deep_take(unsigned q)
{
	struct vring_used_elem u;
	uint64_t at;

	tap_check(rig_wait(&r, q, RIG_PATIENCE, &u));
	at = 0x200000 + q * 0x20000 + u.id / 3 * 0x600;
	tap_check_int(*rig_ram(&r, at + 16), 0);
	disk_check_sector(
	    rig_ram(&r, at + 0x200), (unsigned)load_le32(rig_ram(&r, at + 8)));
}

/* More than the device has requests for, on all queues. */
static void
deep(const char *opts, uint64_t features, unsigned queues)
{
	start(opts, features, queues);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned q = 0; q < queues; q++) {
			for (unsigned i = 0; i < DEEP; i++)
				deep_offer(q, i,
				    (round * 100 + q * 50 + i) % (SIZE / 512));
			rig_kick(&r, q);
		}
		for (unsigned q = 0; q < queues; q++)
			for (unsigned i = 0; i < DEEP; i++)
				deep_take(q);
	}
	rig_close(&r);
}

#define EVENT VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define MQ VIRTIO_BIT(VIRTIO_BLK_F_MQ)

static void
deep_io_uring(void)
{
	deep(",queues=8", MQ, 8);
}

static void
deep_threads(void)
{
	deep(",queues=4,aio=threads", MQ | EVENT, 4);
}

static void
deep_direct(void)
{
	deep(",nocache,queues=16", MQ | EVENT, 8);
}

/* Threads end their requests when they are given a processor: no batches. */
static void
one_interrupt_a_batch(void)
{
	struct error err = ERROR_INIT;
	unsigned n;

	if (open_disk(",aio=io_uring", &err) != 0) {
		if (strstr(err.text, "refuses io_uring") != NULL)
			tap_skip("%s", err.text);
		tap_fail("%s", err.text);
	}
	rig_msix(&r);
	tap_check(rig_drive(&r, 0, 1, 256));
	for (unsigned i = 0; i < DEEP; i++)
		deep_offer(0, i, i);
	rig_kick(&r, 0);
	for (unsigned i = 0; i < DEEP; i++)
		deep_take(0);
	tap_check(rig_msis_reach(1, 1) >= 1);
	usleep(20000); /* no more of them */
	n = rig_msis(1);
	tap_note("%u interrupts for %u requests", n, DEEP);
	tap_check(n <= DEEP / 4);
	rig_close(&r);
}

/* ---- building ---- */

/* Whatever is missing, nothing is left behind (ASan and the runner look). */
static void
every_allocation_may_fail(void)
{
	static const char *const opts[] = { ",queues=3", ",aio=threads,ro" };
	struct error err = ERROR_INIT;
	unsigned long n;

	for (unsigned i = 0; i < ARRAY_LEN(opts); i++) {
		for (n = 1;; n++) {
			int rc;

			alloc_fail_at(n);
			rc = open_disk(opts[i], &err);
			alloc_fail_at(0);
			if (rc == 0)
				break;
			tap_check(err.text[0] != '\0');
		}
		tap_note("%lu allocations", n - 1);
		tap_check(rig_drive(&r, 0, 1, 256));
		tap_check_int(request(VIRTIO_BLK_T_IN, 0, 512, true), 0);
		rig_close(&r);
	}
}

/* ---- virtio-rnd ---- */

static unsigned
zeroes(uint64_t at, unsigned n)
{
	unsigned z = 0;

	for (unsigned i = 0; i < n; i++)
		z += *rig_ram(&r, at + i) == 0;
	return z;
}

static void
random_numbers(void)
{
	const struct seg many[] = { { HDR, 16, false }, { BUF, 100, true },
		{ BUF + 200, 1000, true } };
	const struct seg huge[] = { { RIG_DATA, 1 * MiB, true } };
	struct error err = ERROR_INIT;
	struct vring_used_elem u;

	if (rig_open(&r, "virtio-rnd", "", true, &err) != 0)
		tap_fail("%s", err.text);
	tap_check_u64(rig_cfg_read(&r, 0, 4), 0x10441af4);
	tap_check_u64(r.device, 0); /* it has no configuration */
	tap_check(rig_drive(&r, 0, 1, 64));
	chain(many, 3);
	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	tap_check_u64(u.len, 1100);
	tap_check(zeroes(BUF, 100) < 20 && zeroes(BUF + 200, 1000) < 50);
	tap_check_u64(zeroes(BUF + 100, 100), 100);
	tap_check_u64(zeroes(HDR, 16), 16);
	chain(huge, 1); /* bounded */
	tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	tap_check_u64(u.len, 64 * KiB);
	tap_check_u64(zeroes(RIG_DATA + 64 * KiB, 4096), 4096);
	for (unsigned i = 0; i < 40; i++) {
		chain(huge, 1);
		tap_check(rig_wait(&r, 0, RIG_PATIENCE, &u));
	}
	rig_close(&r);
}

static const struct tap_test tests[] = {
	TAP_TEST(configuration),
	TAP_TEST(bad_configuration),
	TAP_TEST(write_cache_switch),
	TAP_TEST(types_io_uring),
	TAP_TEST(types_threads),
	TAP_TEST(types_direct),
	TAP_TEST(serial),
	TAP_TEST(any_layout),
	TAP_TEST(refused_requests),
	TAP_TEST(refused_ranges),
	TAP_TEST(read_only),
	TAP_TEST(no_header_no_status),
	TAP_TEST(too_many_segments),
	TAP_TEST(deep_io_uring),
	TAP_TEST(deep_threads),
	TAP_TEST(deep_direct),
	TAP_TEST(one_interrupt_a_batch),
	TAP_TEST(every_allocation_may_fail),
	TAP_TEST(random_numbers),
};
TAP_MAIN(tests)
