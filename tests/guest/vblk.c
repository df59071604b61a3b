/*
 * virtio-blk: every request type with data checked, MSI-X, event index,
 * indirect descriptors; then a driver that breaks every rule, and after each
 * breach a reset must bring the device back.
 * "ro" on the command line: the disk is read-only.
 */
#include "virtio.h"

#define V_BLK 0x61
#define F_SEG_MAX 2
#define F_RO 5
#define F_FLUSH 9
#define F_MQ 12
#define F_DISCARD 13
#define F_WZ 14
#define F_INDIRECT 28
#define F_EVENT 29
#define BIT(n) (UINT64_C(1) << (n))

struct req_hdr {
	uint32_t type, reserved;
	uint64_t sector;
};
struct range {
	uint64_t sector;
	uint32_t count, flags;
};

static struct vdev d;
static struct vq q;
static uint8_t buf_a[65536] __attribute__((aligned(4096)));
static uint8_t buf_b[65536] __attribute__((aligned(4096)));
static struct req_hdr hdr __attribute__((aligned(16)));
static volatile uint8_t status;
static bool is_ro;

static bool
open_dev(uint64_t features, int vector)
{
	return vdev_open(&d, 2, 0) && vdev_negotiate(&d, features) &&
	    vdev_queue(&d, 0, 64, vector, &q) && (vdev_ready(&d), true);
}

/* One request of three descriptors; returns its status, 0xff on time-out. */
static unsigned
request(uint32_t type, uint64_t sector, void *data, uint32_t len, bool write_to)
{
	struct vring_used_elem u;
	unsigned n = 1;

	hdr.type = type;
	hdr.reserved = 0;
	hdr.sector = sector;
	status = 0xee;
	vq_desc(&q, 0, &hdr, 16, DESC_NEXT, 1);
	if (len != 0) {
		vq_desc(&q, 1, data, len,
		    (uint16_t)(DESC_NEXT | (write_to ? DESC_WRITE : 0)), 2);
		n = 2;
	}
	vq_desc(&q, n, &status, 1, DESC_WRITE, 0);
	vq_add(&q, 0);
	vq_kick(&q);
	if (!vq_wait(&q, PATIENCE, &u))
		return 0xff;
	if (u.id != 0)
		return 0xfe;
	return status;
}

static void
fill(uint8_t *p, uint32_t n, uint32_t seed)
{
	for (; n > 0; n--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = (uint8_t)(seed >> 24);
	}
}

static bool
all_zero(const uint8_t *p, uint32_t n)
{
	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	return n == 0;
}

static void
test_data(void)
{
	uint64_t cap =
	    mmio_read32(d.cfg) | (uint64_t)mmio_read32(d.cfg + 4) << 32;

	ok(cap >= 2048, "capacity %lu sectors", cap);
	if (is_ro) {
		ok((d.features & BIT(F_RO)) != 0, "read-only is offered");
		ok(request(1, 0, buf_a, 512, false) == 1,
		    "writing a read-only disk is an I/O error");
		ok(request(0, 0, buf_a, 512, true) == 0, "reading it works");
		return;
	}
	fill(buf_a, sizeof(buf_a), 1);
	ok(request(1, 8, buf_a, 65536, false) == 0, "write 64 KiB");
	memset(buf_b, 0, sizeof(buf_b));
	ok(request(0, 8, buf_b, 65536, true) == 0, "read it");
	ok(memcmp(buf_a, buf_b, 65536) == 0, "the data is the same");
	ok(request(0, 9, buf_b, 512, true) == 0 &&
		memcmp(buf_a + 512, buf_b, 512) == 0,
	    "one sector in the middle");
	ok(request(4, 0, NULL, 0, false) == 0, "flush");
	memset(buf_b, 0, 32);
	ok(request(8, 0, buf_b, 20, true) == 0 && buf_b[0] != 0,
	    "GET_ID gives a serial (%s)", (char *)buf_b);
	ok(request(0, cap, buf_b, 512, true) == 1, "read past the end fails");
	ok(request(1, cap - 1, buf_b, 1024, false) == 1,
	    "write across the end fails");
	ok(request(0, ~UINT64_C(0) - 1, buf_b, 4096, true) == 1,
	    "sector number that overflows fails");
	ok(request(0x7777, 0, buf_b, 512, true) == 2, "unknown type: UNSUPP");
}

static void
test_discard(void)
{
	struct range *r = (struct range *)buf_b;

	if (is_ro)
		return;
	if (!(d.features & BIT(F_WZ))) {
		skip("write zeroes", "not offered");
	} else {
		r->sector = 16;
		r->count = 8;
		r->flags = 0;
		ok(request(13, 0, r, 16, false) == 0, "write zeroes");
		request(0, 16, buf_b, 8192, true);
		ok(all_zero(buf_b, 4096), "the range reads zero");
		ok(memcmp(buf_b + 4096, buf_a + 8192, 4096) == 0,
		    "what follows is untouched");
		r->sector = ~UINT64_C(0);
		r->count = 0xffffffff;
		r->flags = 0;
		ok(request(13, 0, r, 16, false) != 0, "absurd range refused");
		r->flags = 0xffff;
		r->sector = 0;
		r->count = 1;
		ok(request(13, 0, r, 16, false) == 2, "unknown flags: UNSUPP");
	}
	if (!(d.features & BIT(F_DISCARD))) {
		skip("discard", "not offered");
	} else {
		r->sector = 32;
		r->count = 8;
		r->flags = 0;
		ok(request(11, 0, r, 16, false) == 0, "discard");
	}
}

static bool
irq_came(void *arg)
{
	return irq_count[V_BLK] > *(uint32_t *)arg;
}

static void
test_irq(void)
{
	uint32_t before = irq_count[V_BLK], i;

	for (i = 0; i < 10; i++)
		request(0, i, buf_b, 4096, true);
	ok(wait_until(irq_came, &before, PATIENCE),
	    "MSI-X interrupts came (%u)", irq_count[V_BLK] - before);
}

/* Many at once, in one indirect table each; event index when negotiated. */
static void
test_indirect(void)
{
	static volatile struct vring_desc tab[8][3];
	static struct req_hdr h[8];
	static volatile uint8_t st[8];
	struct vring_used_elem u;
	unsigned i, done = 0;
	bool same = true;

	if (is_ro)
		return;
	for (i = 0; i < 8; i++) {
		h[i].type = 0;
		h[i].sector = 8 + i;
		st[i] = 0xee;
		tab[i][0].addr = (uint64_t)&h[i];
		tab[i][0].len = 16;
		tab[i][0].flags = DESC_NEXT;
		tab[i][0].next = 1;
		tab[i][1].addr = (uint64_t)(buf_b + 512 * i);
		tab[i][1].len = 512;
		tab[i][1].flags = DESC_NEXT | DESC_WRITE;
		tab[i][1].next = 2;
		tab[i][2].addr = (uint64_t)&st[i];
		tab[i][2].len = 1;
		tab[i][2].flags = DESC_WRITE;
		vq_desc(&q, i, &tab[i], 48, DESC_INDIRECT, 0);
		vq_add(&q, (uint16_t)i);
	}
	vq_kick(&q);
	while (done < 8 && vq_wait(&q, PATIENCE, &u))
		done++;
	for (i = 0; i < 8; i++)
		same = same && st[i] == 0;
	ok(done == 8 && same, "8 indirect requests in one kick (%u)", done);
}

struct breach {
	const char *what;
	void (*set)(void);
};

static void
b_loop(void)
{
	vq_desc(&q, 0, &hdr, 16, DESC_NEXT, 1);
	vq_desc(&q, 1, buf_b, 16, DESC_NEXT, 0);
}
static void
b_next(void)
{
	vq_desc(&q, 0, &hdr, 16, DESC_NEXT, 0xffff);
}
static void
b_outside(void)
{
	vq_desc(&q, 0, (void *)UINT64_C(0x7fffffff000), 16, DESC_NEXT, 1);
	vq_desc(&q, 1, &status, 1, DESC_WRITE, 0);
}
static void
b_wrap(void)
{
	vq_desc(&q, 0, &hdr, 16, DESC_NEXT, 1);
	vq_desc(&q, 1, (void *)~UINT64_C(0xfff), 0xffffffff,
	    DESC_WRITE | DESC_NEXT, 2);
	vq_desc(&q, 2, &status, 1, DESC_WRITE, 0);
}
static void
b_mmio(void)
{
	vq_desc(&q, 0, &hdr, 16, DESC_NEXT, 1);
	vq_desc(&q, 1, (void *)UINT64_C(0xfec00000), 512,
	    DESC_WRITE | DESC_NEXT, 2);
	vq_desc(&q, 2, &status, 1, DESC_WRITE, 0);
}
static void
b_order(void)
{
	vq_desc(&q, 0, &status, 1, DESC_WRITE | DESC_NEXT, 1);
	vq_desc(&q, 1, &hdr, 16, 0, 0);
}
static void
b_indirect_out(void)
{
	vq_desc(&q, 0, (void *)UINT64_C(0xfffffff0), 4096, DESC_INDIRECT, 0);
}
static void
b_indirect_len(void)
{
	vq_desc(&q, 0, buf_a, 17, DESC_INDIRECT, 0);
}
static void
b_indirect_nest(void)
{
	volatile struct vring_desc *t = (void *)buf_a;

	t[0].addr = (uint64_t)buf_a;
	t[0].len = 32;
	t[0].flags = DESC_INDIRECT;
	t[0].next = 0;
	vq_desc(&q, 0, buf_a, 32, DESC_INDIRECT, 0);
}
static void
b_indirect_loop(void)
{
	volatile struct vring_desc *t = (void *)buf_a;

	t[0].addr = (uint64_t)buf_b;
	t[0].len = 32;
	t[0].flags = DESC_NEXT;
	t[0].next = 0;
	vq_desc(&q, 0, buf_a, 16, DESC_INDIRECT, 0);
}
static void
b_short(void)
{
	vq_desc(&q, 0, &hdr, 3, DESC_NEXT, 1);
	vq_desc(&q, 1, &status, 1, DESC_WRITE, 0);
}
static void
b_range_len(void)
{
	hdr.type = 13;
	vq_desc(&q, 0, &hdr, 16, DESC_NEXT, 1);
	vq_desc(&q, 1, buf_a, 15, DESC_NEXT, 2);
	vq_desc(&q, 2, &status, 1, DESC_WRITE, 0);
}
static void
b_no_status(void)
{
	hdr.type = 0;
	vq_desc(&q, 0, &hdr, 16, 0, 0);
}
static void
b_avail_jump(void)
{
	b_no_status();
	q.avail[1] = (uint16_t)(q.avail[1] + 1000);
}
static void
b_head(void)
{
	q.avail[2 + (q.next & (q.size - 1))] = 0xfff0;
	q.avail[1] = ++q.next;
}

static const struct breach breaches[] = {
	{ "descriptor loop", b_loop },
	{ "next outside the queue", b_next },
	{ "header outside memory", b_outside },
	{ "address and length wrap around", b_wrap },
	{ "data aimed at MMIO", b_mmio },
	{ "writable before readable", b_order },
	{ "indirect table outside memory", b_indirect_out },
	{ "indirect table of odd length", b_indirect_len },
	{ "nested indirect table", b_indirect_nest },
	{ "loop in an indirect table", b_indirect_loop },
	{ "short header", b_short },
	{ "write-zeroes range of odd length", b_range_len },
	{ "no status byte", b_no_status },
	{ "avail index jumps", b_avail_jump },
	{ "head outside the queue", b_head },
};

static void
test_breaches(void)
{
	struct vring_used_elem u;
	unsigned i, s;

	for (i = 0; i < sizeof(breaches) / sizeof(breaches[0]); i++) {
		if (!open_dev(BIT(F_INDIRECT), -1)) {
			ok(false, "%s: device comes back", breaches[i].what);
			return;
		}
		hdr.type = 0;
		hdr.sector = 0;
		breaches[i].set();
		if (breaches[i].set != b_avail_jump &&
		    breaches[i].set != b_head)
			vq_add(&q, 0);
		vq_kick(&q);
		vq_wait(&q, 30, &u);
		s = vdev_status(&d);
		open_dev(BIT(F_INDIRECT), -1);
		ok(request(0, 0, buf_b, 512, true) == 0,
		    "%s: survived (status %x), works after reset",
		    breaches[i].what, s);
	}
}

/* Registers rewritten after DRIVER_OK must not redirect the rings. */
static void
test_rewrite(void)
{
	unsigned off, w;

	open_dev(0, -1);
	for (off = C_QSIZE; off < 56; off++) {
		if (off == C_QENABLE)
			continue;
		mmio_write16(d.common + C_QSEL, 0);
		mmio_write8(d.common + off, 0xff);
	}
	ok(request(0, 0, buf_b, 512, true) == 0,
	    "queue registers rewritten after DRIVER_OK do nothing");
	for (off = 0; off < 4096; off += 4)
		mmio_write32(d.notify_base + off, 0xffffffff);
	ok(request(0, 0, buf_b, 512, true) == 0, "junk notifications too");
	for (w = 0; w < 3; w++) {
		for (off = 0; off < 64; off++) {
			if (off >= C_STATUS - 8 && off <= C_STATUS)
				continue;
			mmio_read8(d.common + off);
			mmio_read16(d.common + off);
			mmio_read32(d.common + off);
			mmio_read64(d.common + off);
		}
	}
	for (off = 0; off < 256; off++) {
		mmio_write8(d.cfg + off, 0xff);
		mmio_write32(d.cfg + off, 0xffffffff);
		mmio_read64(d.cfg + off);
	}
	open_dev(0, -1);
	ok(request(0, 0, buf_b, 512, true) == 0, "works after all that");
}

static void
test_bad_setup(void)
{
	/* rings in a hole, then DRIVER_OK */
	vdev_open(&d, 2, 0);
	vdev_negotiate(&d, 0);
	mmio_write16(d.common + C_QSEL, 0);
	mmio_write32(d.common + C_QDESC, 0xfec00000);
	mmio_write32(d.common + C_QAVAIL, 0xfec01000);
	mmio_write32(d.common + C_QUSED, 0xfffffff0);
	mmio_write32(d.common + C_QUSED + 4, 0xffffffff);
	mmio_write16(d.common + C_QENABLE, 1);
	vdev_ready(&d);
	mmio_write16(d.notify_base, 0);
	delay_us(1000);
	ok(open_dev(0, -1) && request(0, 0, buf_b, 512, true) == 0,
	    "rings outside memory: refused, works after reset");
	/* a feature that was not offered */
	vdev_open(&d, 2, 0);
	mmio_write8(d.common + C_STATUS, 3);
	mmio_write32(d.common + C_GFSEL, 1);
	mmio_write32(d.common + C_GF, 0xffffffff);
	mmio_write8(d.common + C_STATUS, 11);
	ok(!(vdev_status(&d) & 8), "FEATURES_OK is refused for unknown bits");
}

void
user_main(void)
{
	const char *s = cmdline();

	for (; *s != '\0'; s++) {
		if (memcmp(s, "ro", 3) == 0)
			is_ro = true;
	}
	lapic_enable();
	sti();
	if (!ok(open_dev(~(BIT(F_EVENT) | BIT(40) | BIT(33) | BIT(34)), V_BLK),
		"device comes up"))
		tap_done();
	print("# features %lx\n", d.features);
	test_data();
	test_discard();
	test_irq();
	test_indirect();
	ok(open_dev(BIT(F_EVENT) | BIT(F_INDIRECT), V_BLK),
	    "again, with event index");
	test_irq();
	test_indirect();
	test_breaches();
	test_rewrite();
	test_bad_setup();
	tap_done();
}
