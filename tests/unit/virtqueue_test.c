/*
 * Split virtqueues over a memory of the test's own: the walker with good and
 * hostile rings, wrap-around, notification rules. The test is the driver.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/str.h"
#include "dev/virtio/virtio_impl.h"
#include "tap.h"

/* ---- a memory: RAM, ROM, a hole, RAM, and 4 GiB high up ---- */

#define RAM_SIZE 0x100000
#define ROM_BASE 0x100000
#define RAM2_BASE 0x200000
#define RAM2_SIZE 0x10000
#define HIGH_BASE (UINT64_C(1) << 32)
#define HIGH_SIZE (UINT64_C(1) << 32)

struct vm_mem {
	uint8_t *ram, *ram2, *high;
	uint64_t dirty; /* bytes marked */
};

static struct vm_mem mem;

static void *
in_region(uint64_t base, uint64_t size, uint8_t *host, uint64_t a, uint64_t len)
{
	if (len == 0 || a < base || a - base >= size || len > size - (a - base))
		return NULL;
	return host + (a - base);
}

void *
vm_mem_ram(const struct vm_mem *m, gpa_t gpa, uint64_t len)
{
	void *p;

	p = in_region(0, RAM_SIZE, m->ram, gpa.v, len);
	if (p == NULL)
		p = in_region(RAM2_BASE, RAM2_SIZE, m->ram2, gpa.v, len);
	if (p == NULL)
		p = in_region(HIGH_BASE, HIGH_SIZE, m->high, gpa.v, len);
	return p;
}

void
vm_mem_dirty(struct vm_mem *m, const void *host, uint64_t len)
{
	m->dirty += len;
}

/* ---- the device around the queue ---- */

static char why[200];
static unsigned interrupts;
static bool bus_master;

bool
virtio_may_dma(const struct virtio_dev *vd)
{
	return bus_master;
}

void
virtio_queue_interrupt(struct virtqueue *vq)
{
	interrupts++;
}

void
virtio_vbroken(struct virtio_dev *vd, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	vd->broken = true;
}

/* ---- the driver ---- */

#define QSIZE 8
#define DESC 0x1000
#define AVAIL 0x3000
#define USED 0x4000
#define TABLE 0x8000
#define DATA 0x10000

#define F_NEXT VRING_DESC_F_NEXT
#define F_WRITE VRING_DESC_F_WRITE
#define F_IND VRING_DESC_F_INDIRECT
#define FEAT_IND VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
#define FEAT_EVENT VIRTIO_BIT(VIRTIO_F_EVENT_IDX)

static struct virtio_dev *vd;
static struct virtqueue *vq;
static struct vring_desc *desc, *table;
static struct vring_avail *avail;
static struct vring_used *used;
static struct iovec iov[64];
static struct vq_chain ch;

static uint8_t *
map(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	tap_check(p != MAP_FAILED);
	return p;
}

static void
setup(uint64_t features)
{
	mem.ram = map(RAM_SIZE);
	mem.ram2 = map(RAM2_SIZE);
	mem.high = map(HIGH_SIZE);
	vd = calloc(1, sizeof(*vd) + sizeof(struct virtqueue));
	tap_check(vd != NULL);
	vd->mem = &mem;
	vd->nqueues = 1;
	vq = &vd->vqs[0];
	vq->vd = vd;
	vq->max_size = 16;
	vq->regs = (struct vq_regs){ .size = QSIZE,
		.enable = true,
		.desc = DESC,
		.avail = AVAIL,
		.used = USED };
	desc = (void *)(mem.ram + DESC);
	table = (void *)(mem.ram + TABLE);
	avail = (void *)(mem.ram + AVAIL);
	used = (void *)(mem.ram + USED);
	bus_master = true;
	tap_check_int(vq_start(vq, features), 0);
}

static void
offer(uint16_t head)
{
	avail->ring[avail->idx % QSIZE] = head;
	avail->idx++;
}

static int
pop(void)
{
	return vq_pop(vq, &ch, iov, ARRAY_LEN(iov));
}

/* ---- the table of rings ---- */

struct ring_case {
	const char *name;
	uint16_t head;
	struct vring_desc d[5]; /* the queue's table, from 0 */
	struct vring_desc t[5]; /* the indirect table, at TABLE */
	const char *why; /* NULL: a good one, and then */
	unsigned nread, nwrite, rlen, wlen;
};

#define IND(len)                       \
	{                              \
		TABLE, (len), F_IND, 0 \
	}
#define TOP UINT64_C(0xffffffffffffff00)

static const struct ring_case cases[] = {
	{ "one readable", 0, { { DATA, 16, 0, 0 } }, .nread = 1, .rlen = 16 },
	{ "one writable", 0, { { DATA, 16, F_WRITE, 0 } }, .nwrite = 1,
	    .wlen = 16 },
	{ "read, write", 2,
	    { [2] = { DATA, 16, F_NEXT, 0 }, [0] = { DATA, 5, F_WRITE, 9 } },
	    .nread = 1, .nwrite = 1, .rlen = 16, .wlen = 5 },
	{ "one byte at the end", 0, { { RAM_SIZE - 1, 1, 0, 0 } }, .nread = 1,
	    .rlen = 1 },
	{ "second region", 0, { { RAM2_BASE, RAM2_SIZE, F_WRITE, 0 } },
	    .nwrite = 1, .wlen = RAM2_SIZE },
	{ "indirect", 0, { IND(32) },
	    { { DATA, 16, F_NEXT, 1 }, { DATA, 7, F_WRITE, 0 } }, .nread = 1,
	    .nwrite = 1, .rlen = 16, .wlen = 7 },
	{ "direct, then indirect", 0, { { DATA, 16, F_NEXT, 1 }, IND(16) },
	    { { DATA, 7, F_WRITE, 0 } }, .nread = 1, .nwrite = 1, .rlen = 16,
	    .wlen = 7 },
	{ "an indirect descriptor's WRITE means nothing", 0,
	    { { TABLE, 16, F_IND | F_WRITE, 0 } }, { { DATA, 7, 0, 0 } },
	    .nread = 1, .rlen = 7 },
	{ "4 GiB less one", 0,
	    { { HIGH_BASE, 0x80000000, F_NEXT, 1 },
		{ HIGH_BASE, 0x7fffffff, F_WRITE, 0 } },
	    .nread = 1, .nwrite = 1, .rlen = 0x80000000, .wlen = 0x7fffffff },
	/* hostile */
	{ "head out of range", QSIZE, .why = "index is too large" },
	{ "head far out of range", 0xffff, .why = "index is too large" },
	{ "next out of range", 0, { { DATA, 1, F_NEXT, QSIZE } },
	    .why = "index is too large" },
	{ "next in an indirect table out of range", 0, { IND(32) },
	    { { DATA, 1, F_NEXT, 2 } }, .why = "index is too large" },
	{ "points to itself", 0, { { DATA, 1, F_NEXT, 0 } },
	    .why = "longer than the queue" },
	{ "loop of two", 1, { { DATA, 1, F_NEXT, 1 }, { DATA, 1, F_NEXT, 0 } },
	    .why = "longer than the queue" },
	{ "loop in an indirect table", 0, { IND(32) },
	    { { DATA, 1, F_NEXT, 1 }, { DATA, 1, F_NEXT, 0 } },
	    .why = "longer than the queue" },
	{ "table in a table", 0, { IND(16) }, { IND(16) }, .why = "nests" },
	{ "indirect and next", 0, { { TABLE, 16, F_IND | F_NEXT, 0 } },
	    { { DATA, 7, 0, 0 } }, .why = "follows an indirect" },
	{ "indirect, odd length", 0, { IND(24) }, { { DATA, 7, 0, 0 } },
	    .why = "odd length" },
	{ "indirect, no length", 0, { IND(0) }, { { DATA, 7, 0, 0 } },
	    .why = "odd length" },
	{ "indirect in the hole", 0, { { 0x180000, 16, F_IND, 0 } },
	    .why = "table is not in guest memory" },
	{ "indirect over the end", 0, { { RAM_SIZE - 16, 32, F_IND, 0 } },
	    .why = "table is not in guest memory" },
	{ "indirect in ROM", 0, { { ROM_BASE, 16, F_IND, 0 } },
	    .why = "table is not in guest memory" },
	{ "indirect, huge", 0, { { TABLE, 0xfffffff0, F_IND, 0 } },
	    .why = "table is not in guest memory" },
	{ "empty segment", 0, { { DATA, 0, 0, 0 } }, .why = "empty" },
	{ "in the hole", 0, { { 0x180000, 1, 0, 0 } },
	    .why = "not in guest memory" },
	{ "in ROM", 0, { { ROM_BASE, 16, F_WRITE, 0 } },
	    .why = "not in guest memory" },
	{ "over the end", 0, { { RAM_SIZE - 8, 9, 0, 0 } },
	    .why = "not in guest memory" },
	{ "into the next region", 0,
	    { { RAM_SIZE - 8, RAM2_BASE - RAM_SIZE + 16, 0, 0 } },
	    .why = "not in guest memory" },
	{ "around the address space", 0, { { TOP, 0x200, 0, 0 } },
	    .why = "not in guest memory" },
	{ "length of 4 GiB less one", 0, { { DATA, 0xffffffff, 0, 0 } },
	    .why = "not in guest memory" },
	{ "lengths add up to 4 GiB", 0,
	    { { HIGH_BASE, 0x80000000, F_NEXT, 1 },
		{ HIGH_BASE, 0x80000000, 0, 0 } },
	    .why = "4 GiB" },
	{ "both directions add up to 4 GiB", 0,
	    { { HIGH_BASE, 0x80000000, F_NEXT, 1 },
		{ HIGH_BASE, 0x80000000, F_WRITE, 0 } },
	    .why = "4 GiB" },
	{ "readable after writable", 0,
	    { { DATA, 16, F_WRITE | F_NEXT, 1 }, { DATA, 16, 0, 0 } },
	    .why = "readable segment follows" },
	{ "readable after writable, in a table", 0,
	    { { DATA, 16, F_WRITE | F_NEXT, 1 }, IND(16) },
	    { { DATA, 7, 0, 0 } }, .why = "readable segment follows" },
};

static void
run_case(const struct ring_case *c)
{
	int rc;

	tap_note("%s", c->name);
	memcpy(desc, c->d, sizeof(c->d));
	memcpy(table, c->t, sizeof(c->t));
	why[0] = '\0';
	vd->broken = false;
	offer(c->head);
	rc = pop();
	if (c->why != NULL) {
		tap_check_int(rc, -EPROTO);
		tap_check_has(why, c->why);
		tap_check(vd->broken);
		tap_check_int(pop(), -EPROTO);
		tap_check_int(vq->inuse, 0);
		avail->idx--; /* as if never offered */
		vq->seen_avail = avail->idx;
		return;
	}
	tap_check_str(why, "");
	tap_check_int(rc, 1);
	tap_check_int(ch.head, c->head);
	tap_check_int(ch.nread, c->nread);
	tap_check_int(ch.nwrite, c->nwrite);
	tap_check_u64(ch.read_len, c->rlen);
	tap_check_u64(ch.write_len, c->wlen);
	vq_push(vq, ch.head, 0);
}

static void
rings(void)
{
	setup(FEAT_IND);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		run_case(&cases[i]);
}

static void
segments_have_their_addresses(void)
{
	setup(FEAT_IND);
	desc[3] = (struct vring_desc){ DATA, 16, F_NEXT, 7 };
	desc[7] = (struct vring_desc){ RAM2_BASE + 4, 32, F_NEXT | F_WRITE, 1 };
	desc[1] = (struct vring_desc){ HIGH_BASE + 8, 64, F_WRITE, 0 };
	offer(3);
	tap_check_int(pop(), 1);
	tap_check_int(ch.nread, 1);
	tap_check_int(ch.nwrite, 2);
	tap_check(iov[0].iov_base == mem.ram + DATA && iov[0].iov_len == 16);
	tap_check(iov[1].iov_base == mem.ram2 + 4 && iov[1].iov_len == 32);
	tap_check(iov[2].iov_base == mem.high + 8 && iov[2].iov_len == 64);
}

static void
indirect_must_be_negotiated(void)
{
	setup(0);
	desc[0] = (struct vring_desc)IND(16);
	table[0] = (struct vring_desc){ DATA, 7, 0, 0 };
	offer(0);
	tap_check_int(pop(), -EPROTO);
	tap_check_has(why, "not negotiated");
}

static void
chain_as_long_as_the_queue(void)
{
	setup(0);
	for (unsigned i = 0; i < QSIZE; i++)
		desc[i] =
		    (struct vring_desc){ DATA, 1, F_NEXT, (uint16_t)(i + 1) };
	desc[QSIZE - 1].flags = 0;
	offer(0);
	tap_check_int(pop(), 1);
	tap_check_int(ch.nread, QSIZE);
	vq_unpop(vq);
	/* the device has fewer segments */
	tap_check_int(vq_pop(vq, &ch, iov, QSIZE - 1), -EPROTO);
	tap_check_has(why, "more segments");
}

static void
table_longer_than_the_queue(void)
{
	setup(FEAT_IND);
	/* 16 is the size offered, 8 what the driver made of it */
	for (unsigned i = 0; i < 17; i++)
		table[i] =
		    (struct vring_desc){ DATA, 1, F_NEXT, (uint16_t)(i + 1) };
	table[15].flags = 0;
	desc[0] = (struct vring_desc)IND(17 * 16);
	offer(0);
	tap_check_int(pop(), 1);
	tap_check_int(ch.nread, 16);
	table[15].flags = F_NEXT;
	offer(0);
	tap_check_int(pop(), -EPROTO);
	tap_check_has(why, "longer than the queue");
}

static void
available_index_jumps(void)
{
	setup(0);
	desc[0] = (struct vring_desc){ DATA, 1, 0, 0 };
	avail->idx = QSIZE;
	tap_check_int(pop(), 1);
	vd->broken = false;
	avail->idx = (uint16_t)(1 + QSIZE + 1);
	vq->seen_avail = vq->next_avail;
	tap_check_int(pop(), -EPROTO);
	tap_check_has(why, "jumped from 1 to 10");
	vd->broken = false;
	avail->idx = 0; /* backwards */
	vq->seen_avail = vq->next_avail;
	tap_check_int(pop(), -EPROTO);
}

/* One entry offered again and again must not exhaust the device. */
static void
no_more_requests_than_entries(void)
{
	setup(0);
	desc[0] = (struct vring_desc){ DATA, 1, 0, 0 };
	for (unsigned i = 0; i < QSIZE; i++) {
		offer(0);
		tap_check_int(pop(), 1);
	}
	offer(0);
	tap_check_int(pop(), -EPROTO);
	tap_check_has(why, "more requests than entries");
}

static void
nothing_without_bus_master(void)
{
	setup(0);
	desc[0] = (struct vring_desc){ DATA, 1, 0, 0 };
	offer(0);
	bus_master = false;
	tap_check_int(pop(), 0);
	bus_master = true;
	tap_check_int(pop(), 1);
	bus_master = false;
	vq_push(vq, 0, 0);
	tap_check_int(used->idx, 0);
}

struct start_case {
	uint16_t size;
	uint64_t desc, avail, used;
	int rc;
};

static void
rings_that_cannot_be(void)
{
	static const struct start_case c[] = {
		{ 8, DESC, AVAIL, USED, 0 },
		{ 16, RAM_SIZE - 256, RAM_SIZE - 36, RAM_SIZE - 132, 0 },
		{ 0, DESC, AVAIL, USED, -EINVAL },
		{ 32, DESC, AVAIL, USED, -EINVAL }, /* more than offered */
		{ 12, DESC, AVAIL, USED, -EINVAL },
		{ 8, DESC + 8, AVAIL, USED, -EINVAL },
		{ 8, DESC, AVAIL + 1, USED, -EINVAL },
		{ 8, DESC, AVAIL, USED + 2, -EINVAL },
		{ 16, RAM_SIZE - 240, AVAIL, USED, -EINVAL },
		{ 16, DESC, RAM_SIZE - 34, USED, -EINVAL },
		{ 16, DESC, AVAIL, RAM_SIZE - 128, -EINVAL },
		{ 8, ROM_BASE, AVAIL, USED, -EINVAL },
		{ 8, DESC, 0x180000, USED, -EINVAL },
		{ 8, DESC, AVAIL, UINT64_C(0xfffffffffffffffc), -EINVAL },
	};

	setup(0);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		vq_stop(vq);
		vq->regs = (struct vq_regs){ c[i].size, true, c[i].desc,
			c[i].avail, c[i].used };
		tap_note("case %u", i);
		tap_check_int(vq_start(vq, 0), c[i].rc);
		tap_check(vq_enabled(vq) == (c[i].rc == 0));
	}
	tap_check_int(pop(), 0);
}

/* ---- pushing, wrap-around ---- */

static void
indexes_wrap(void)
{
	setup(FEAT_EVENT);
	for (unsigned i = 0; i < QSIZE; i++)
		desc[i] = (struct vring_desc){ DATA + i, 1, F_WRITE, 0 };
	for (unsigned i = 0; i < 3 * 65536 + 5; i++) {
		offer(i % QSIZE);
		tap_check_int(pop(), 1);
		tap_check_int(ch.head, i % QSIZE);
		vq_push(vq, ch.head, i);
		tap_check_int(used->idx, (uint16_t)(i + 1));
		tap_check_u64(used->ring[i % QSIZE].id, i % QSIZE);
		tap_check_u64(used->ring[i % QSIZE].len, i);
	}
	tap_check_int(pop(), 0);
}

static void
unpop_gives_it_again(void)
{
	setup(0);
	desc[4] = (struct vring_desc){ DATA, 1, 0, 0 };
	offer(4);
	tap_check_int(pop(), 1);
	vq_unpop(vq);
	vq_unpop(vq); /* only the last one can be put back */
	tap_check_int(pop(), 1);
	tap_check_int(ch.head, 4);
	vq_push(vq, 4, 0);
	vq_unpop(vq);
	tap_check_int(pop(), 0);
}

static void
pushes_are_bounded_by_pops(void)
{
	setup(0);
	vq_push(vq, 0, 0);
	tap_check_int(used->idx, 0);
	vq_stop(vq);
	vq_push(vq, 0, 0);
	vq_flush(vq);
	vq_unpop(vq);
	tap_check(!vq_want_notify(vq, true));
	tap_check_int(interrupts, 0);
}

static void
writes_are_marked_dirty(void)
{
	setup(0);
	desc[0] = (struct vring_desc){ DATA, 100, F_WRITE, 0 };
	offer(0);
	tap_check_int(pop(), 1);
	tap_check_u64(mem.dirty, 0);
	vq_dirty(vq, iov, ch.nwrite);
	tap_check_u64(mem.dirty, 100);
	vq_push(vq, 0, 100);
	tap_check_u64(mem.dirty, 100 + 8);
	vq_flush(vq); /* the index */
	tap_check_u64(mem.dirty, 100 + 8 + 2);
	vq_want_notify(vq, false);
	tap_check_u64(mem.dirty, 100 + 8 + 2 + 2);
}

/* ---- interrupts and notifications ---- */

static void
push_some(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		offer(0);
		tap_check_int(pop(), 1);
		vq_push(vq, 0, 1);
	}
}

static void
interrupts_by_flag(void)
{
	setup(0);
	desc[0] = (struct vring_desc){ DATA, 1, F_WRITE, 0 };
	vq_flush(vq);
	tap_check_int(interrupts, 0);
	push_some(5);
	vq_flush(vq);
	vq_flush(vq);
	tap_check_int(interrupts, 1);
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	push_some(1);
	vq_flush(vq);
	tap_check_int(interrupts, 1);
	avail->flags = 0;
	vq_flush(vq);
	tap_check_int(interrupts, 1);
}

static void
interrupts_by_event_index(void)
{
	uint16_t *event;

	setup(FEAT_EVENT);
	event = &avail->ring[QSIZE];
	desc[0] = (struct vring_desc){ DATA, 1, F_WRITE, 0 };
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT; /* has no meaning here */
	push_some(1); /* event 0 */
	vq_flush(vq);
	tap_check_int(interrupts, 1);
	push_some(1); /* event 0 is in the past */
	vq_flush(vq);
	tap_check_int(interrupts, 1);
	*event = 4;
	push_some(2); /* 2 and 3 */
	vq_flush(vq);
	tap_check_int(interrupts, 1);
	push_some(1); /* 4 */
	vq_flush(vq);
	tap_check_int(interrupts, 2);
	*event = 7;
	push_some(5); /* 5 to 9, in one flush */
	vq_flush(vq);
	tap_check_int(interrupts, 3);
}

/* The interrupt waits; a driver that sees all by itself is never told. */
static void
interrupts_held(void)
{
	uint16_t *event;

	setup(FEAT_EVENT);
	event = &avail->ring[QSIZE];
	desc[0] = (struct vring_desc){ DATA, 1, F_WRITE, 0 };
	tap_check(!vq_hold(vq)); /* nothing was pushed */
	push_some(2); /* 0 and 1 */
	tap_check(vq_hold(vq));
	tap_check_int(used->idx, 2);
	*event = 2; /* the driver has seen them, and waits for the next */
	push_some(1); /* 2 */
	tap_check_int(interrupts, 0);
	tap_check(vq_release(vq)); /* 2 is too young */
	tap_check_int(interrupts, 0);
	push_some(1);
	tap_check(!vq_release(vq));
	tap_check_int(interrupts, 1);
	*event = 4;
	tap_check(!vq_release(vq)); /* nothing since */
	push_some(1); /* 4 */
	tap_check(vq_hold(vq));
	*event = 5;
	tap_check(!vq_release(vq));
	tap_check_int(interrupts, 1);
	/* a flush in between takes what waited along */
	push_some(1); /* 5 */
	tap_check(vq_hold(vq));
	vq_flush(vq);
	tap_check_int(interrupts, 2);
	tap_check(!vq_release(vq));
	tap_check_int(interrupts, 2);
}

/* Without event indexes nobody knows what the driver has seen. */
static void
interrupts_not_held_by_flag(void)
{
	setup(0);
	desc[0] = (struct vring_desc){ DATA, 1, F_WRITE, 0 };
	push_some(1);
	tap_check(!vq_hold(vq));
	tap_check_int(interrupts, 1);
}

static void
event_index_wraps(void)
{
	uint16_t *event;

	setup(FEAT_EVENT);
	event = &avail->ring[QSIZE];
	desc[0] = (struct vring_desc){ DATA, 1, F_WRITE, 0 };
	*event = 0xffff;
	for (unsigned i = 0; i < 65535; i++) {
		push_some(1);
		vq_flush(vq);
	}
	tap_check_int(interrupts, 0);
	push_some(1); /* entry 65535 */
	vq_flush(vq);
	tap_check_int(interrupts, 1);
	*event = 1;
	push_some(1); /* 0 */
	vq_flush(vq);
	tap_check_int(interrupts, 1);
	push_some(3); /* 1 to 3 */
	vq_flush(vq);
	tap_check_int(interrupts, 2);
}

static void
notify_flag(void)
{
	setup(0);
	desc[0] = (struct vring_desc){ DATA, 1, F_WRITE, 0 };
	tap_check(!vq_want_notify(vq, false));
	tap_check_int(used->flags, VRING_USED_F_NO_NOTIFY);
	offer(0);
	tap_check(vq_want_notify(vq, true)); /* something is there already */
	tap_check_int(used->flags, 0);
	tap_check_int(pop(), 1);
	tap_check(!vq_want_notify(vq, true));
}

static void
notify_event_index(void)
{
	const uint16_t *event;

	setup(FEAT_EVENT);
	event = (void *)(mem.ram + USED + 4 + QSIZE * 8);
	desc[0] = (struct vring_desc){ DATA, 1, F_WRITE, 0 };
	push_some(3);
	tap_check_int(pop(), 0);
	tap_check_int(*event, 3); /* a plain pop loop asks by itself */
	vq_want_notify(vq, false);
	push_some(2);
	tap_check_int(pop(), 0);
	tap_check_int(*event, 3);
	tap_check_int(used->flags, 0);
	offer(0);
	tap_check(vq_want_notify(vq, true));
	tap_check_int(*event, 5);
	tap_check_int(pop(), 1);
	tap_check(!vq_want_notify(vq, true));
	tap_check_int(*event, 6);
}

static const struct tap_test tests[] = {
	TAP_TEST(rings),
	TAP_TEST(segments_have_their_addresses),
	TAP_TEST(indirect_must_be_negotiated),
	TAP_TEST(chain_as_long_as_the_queue),
	TAP_TEST(table_longer_than_the_queue),
	TAP_TEST(available_index_jumps),
	TAP_TEST(no_more_requests_than_entries),
	TAP_TEST(nothing_without_bus_master),
	TAP_TEST(rings_that_cannot_be),
	TAP_TEST(indexes_wrap),
	TAP_TEST(unpop_gives_it_again),
	TAP_TEST(pushes_are_bounded_by_pops),
	TAP_TEST(writes_are_marked_dirty),
	TAP_TEST(interrupts_by_flag),
	TAP_TEST(interrupts_by_event_index),
	TAP_TEST(interrupts_held),
	TAP_TEST(interrupts_not_held_by_flag),
	TAP_TEST(event_index_wraps),
	TAP_TEST(notify_flag),
	TAP_TEST(notify_event_index),
};
TAP_MAIN(tests)
