/*
 * The local APIC model: register access in both modes, priorities, messages,
 * timer arithmetic with a clock that the test moves.
 */
#include "vmm/soft/lapic.h"

#include <string.h>

#include "tap.h"

struct bench {
	struct lapic *l[4];
	uint64_t tsc, due;
	unsigned eois, ipis, nmis, wakes;
	uint8_t eoi_vector;
	struct lapic_message ipi;
};

static struct bench b;

static void
on_send(void *arg, const struct lapic_message *msg)
{
	b.ipis++;
	b.ipi = *msg;
}

static void
on_wake(void *arg)
{
	b.wakes++;
}

static void
on_nmi(void *arg)
{
	b.nmis++;
}

static void
on_eoi(void *arg, uint8_t vector)
{
	b.eois++;
	b.eoi_vector = vector;
}

static void
on_deadline(void *arg, uint64_t tsc)
{
	if (arg == NULL)
		b.due = tsc;
}

static uint64_t
on_tsc(void *arg)
{
	return b.tsc;
}

static const struct lapic_ops ops = {
	.send = on_send,
	.wake = on_wake,
	.nmi = on_nmi,
	.eoi = on_eoi,
	.deadline = on_deadline,
	.tsc = on_tsc,
};

#define TSC_HZ (LAPIC_TIMER_HZ * 100)

/* Four of them, software-enabled; the first one reports deadlines. */
static void
setup(bool x2apic)
{
	for (unsigned i = 0; i < 4; i++)
		lapic_destroy(b.l[i]);
	memset(&b, 0, sizeof(b));
	b.tsc = 5000;
	b.due = UINT64_MAX;
	for (unsigned i = 0; i < 4; i++) {
		b.l[i] = lapic_create(
		    i, i == 0, x2apic, TSC_HZ, &ops, i == 0 ? NULL : &b);
		if (x2apic)
			lapic_msr_write(b.l[i], 0x80f, 0x1ff);
		else
			lapic_mmio_write(b.l[i], 0xf0, 0x1ff);
	}
}

static uint32_t
rd(unsigned offset)
{
	return lapic_mmio_read(b.l[0], offset);
}

static void
wr(unsigned offset, uint32_t v)
{
	lapic_mmio_write(b.l[0], offset, v);
}

static bool
accepted(struct lapic *l, uint8_t vector, bool level)
{
	unsigned was = b.wakes;

	lapic_accept(l, vector, level);
	return b.wakes != was;
}

static void
reset_values(void)
{
	setup(false);
	lapic_destroy(b.l[0]);
	b.l[0] = lapic_create(3, true, false, TSC_HZ, &ops, NULL);
	tap_check_u64(rd(0x20), 3u << 24);
	tap_check_u64(rd(0x30), 0x00050014);
	tap_check_u64(rd(0xe0), 0xffffffff);
	tap_check_u64(rd(0xf0), 0xff);
	tap_check_u64(rd(0x350), 0x10000);
	tap_check_u64(lapic_base(b.l[0]), 0xfee00900);
	tap_check(lapic_mmio_enabled(b.l[0]));
	/* software-disabled: masks stay set */
	wr(0x350, 0x700);
	tap_check_u64(rd(0x350), 0x10700);
	tap_check(!accepted(b.l[0], 0x40, false));
	/* INIT keeps id and base */
	lapic_set_base(b.l[0], 0xfed00900);
	wr(0xf0, 0x1ff);
	lapic_reset(b.l[0], true);
	tap_check_u64(lapic_base(b.l[0]), 0xfed00900);
	tap_check_u64(rd(0xf0), 0xff);
	tap_check_u64(rd(0x20), 3u << 24);
	lapic_reset(b.l[0], false);
	tap_check_u64(lapic_base(b.l[0]), 0xfee00900);
}

static void
priorities(void)
{
	setup(false);
	tap_check_int(lapic_pending(b.l[0]), -1);
	tap_check_int(lapic_ack(b.l[0]), -1);
	tap_check(accepted(b.l[0], 0x31, false));
	tap_check(!accepted(b.l[0], 0x31, false));
	tap_check(accepted(b.l[0], 0x52, true));
	tap_check_int(lapic_pending(b.l[0]), 0x52);
	tap_check_int(lapic_ack(b.l[0]), 0x52);
	tap_check_u64(rd(0xa0), 0x50);
	tap_check_u64(lapic_priority(b.l[0]), 0x50);
	tap_check_int(lapic_pending(b.l[0]), -1);
	tap_check(accepted(b.l[0], 0x5f, false));
	tap_check_int(lapic_pending(b.l[0]), -1); /* same class */
	tap_check(accepted(b.l[0], 0x60, false));
	tap_check_int(lapic_ack(b.l[0]), 0x60);
	wr(0xb0, 0);
	tap_check_u64(b.eois, 0); /* 0x60 was an edge */
	wr(0xb0, 0);
	tap_check_u64(b.eois, 1);
	tap_check_u64(b.eoi_vector, 0x52);
	tap_check_int(lapic_pending(b.l[0]), 0x5f);
	lapic_set_cr8(b.l[0], 5);
	tap_check_u64(rd(0x80), 0x50);
	tap_check_int(lapic_pending(b.l[0]), -1);
	wr(0x80, 0x4f);
	tap_check_u64(lapic_cr8(b.l[0]), 4);
	tap_check_int(lapic_pending(b.l[0]), 0x5f);
	wr(0xb0, 0); /* nothing in service */
	tap_check_u64(b.eois, 1);
}

static void
errors(void)
{
	setup(false);
	wr(0x370, 0xfe);
	tap_check_u64(rd(0x3f0), 0);
	tap_check_int(lapic_pending(b.l[0]), 0xfe);
	tap_check_u64(rd(0x280), 0);
	wr(0x280, 0);
	tap_check_u64(rd(0x280), 0x80);
	lapic_accept(b.l[0], 7, false);
	wr(0x300, 0x5);
	wr(0x280, 0);
	tap_check_u64(rd(0x280), 0x60);
	wr(0x280, 0);
	tap_check_u64(rd(0x280), 0);
	/* an error entry with an illegal vector ends somewhere */
	wr(0x370, 0x3);
	lapic_accept(b.l[0], 7, false);
}

static void
every_offset(void)
{
	setup(false);
	tap_check_u64(rd(0x34), 0);
	wr(0x84, 0x33);
	tap_check_u64(rd(0x80), 0);
	for (unsigned o = 0; o < 4096; o++) {
		rd(o);
		wr(o, UINT32_MAX);
	}
	setup(true);
	for (unsigned m = 0x6e0; m < 0x900; m++) {
		uint64_t v;

		lapic_msr_read(b.l[0], m, &v);
		lapic_msr_write(b.l[0], m, 0);
		lapic_msr_write(b.l[0], m, UINT64_MAX);
	}
}

static void
x2apic_msrs(void)
{
	uint64_t v = 0;

	setup(false);
	tap_check_int(lapic_msr_read(b.l[0], 0x802, &v), -1);
	tap_check_int(lapic_set_base(b.l[0], 0xfee00400), -1);
	tap_check_int(lapic_set_base(b.l[0], 0xfee00d00), 0);
	tap_check(!lapic_mmio_enabled(b.l[0]));
	tap_check_int(lapic_msr_read(b.l[0], 0x802, &v), 0);
	tap_check_u64(v, 0);
	tap_check_int(lapic_msr_write(b.l[0], 0x802, 0), -1);
	tap_check_int(lapic_msr_write(b.l[0], 0x80b, 1), -1);
	tap_check_int(lapic_msr_write(b.l[0], 0x80b, 0), 0);
	tap_check_int(lapic_msr_read(b.l[0], 0x80b, &v), -1);
	tap_check_int(lapic_msr_read(b.l[0], 0x80e, &v), -1);
	tap_check_int(lapic_msr_read(b.l[0], 0x831, &v), -1);
	tap_check_int(lapic_msr_write(b.l[0], 0x808, 0x100), -1);
	tap_check_int(lapic_msr_write(b.l[0], 0x808, 0x20), 0);
	tap_check_int(lapic_msr_write(b.l[0], 0x83f, 0x45), 0);
	tap_check_int(lapic_pending(b.l[0]), 0x45);
	tap_check_int(
	    lapic_msr_write(b.l[0], 0x830, (UINT64_C(7) << 32) | 0x41), 0);
	tap_check_u64(b.ipis, 1);
	tap_check_u64(b.ipi.dest, 7);
	tap_check(b.ipi.dest_x2apic);
	tap_check_u64(b.ipi.vector, 0x41);
	tap_check_int(lapic_msr_read(b.l[0], 0x830, &v), 0);
	tap_check_u64(v, (UINT64_C(7) << 32) | 0x41);
	/* back is only possible through "disabled" */
	tap_check_int(lapic_set_base(b.l[0], 0xfee00900), -1);
	tap_check_int(lapic_set_base(b.l[0], 0xfee00100), 0);
	tap_check_int(lapic_set_base(b.l[0], 0xfee00d00), -1);
	tap_check_int(lapic_set_base(b.l[0], 0xfee00900), 0);
	tap_check_int(lapic_set_base(b.l[0], UINT64_C(1) << 52), -1);
	tap_check_int(lapic_set_base(b.l[0], 0xfee00901), -1);
}

static void
destinations(void)
{
	struct lapic *l = lapic_create(0x123, false, true, TSC_HZ, &ops, &b);
	uint64_t v = 0;

	tap_check_int(lapic_msr_read(l, 0x80d, &v), 0);
	tap_check_u64(v, 0x00120008);
	tap_check(lapic_match(l, 0x00120009, true, true));
	tap_check(!lapic_match(l, 0x00130008, true, true));
	tap_check(lapic_match(l, 0x123, true, false));
	tap_check(!lapic_match(l, 0x23, false, false));
	tap_check(lapic_match(l, 0xff, false, false));
	tap_check(!lapic_match(l, 0xff, true, false));
	tap_check(lapic_match(l, UINT32_MAX, true, true));
	lapic_destroy(l);

	setup(false);
	tap_check(lapic_match(b.l[2], 2, false, false));
	tap_check(!lapic_match(b.l[2], 1, false, false));
	lapic_mmio_write(b.l[2], 0xd0, 0x04000000);
	tap_check(lapic_match(b.l[2], 0x0c, false, true));
	tap_check(!lapic_match(b.l[2], 0x03, false, true));
	lapic_mmio_write(b.l[2], 0xe0, 0); /* cluster model */
	lapic_mmio_write(b.l[2], 0xd0, 0x22000000);
	tap_check(lapic_match(b.l[2], 0x23, false, true));
	tap_check(!lapic_match(b.l[2], 0x32, false, true));
}

static void
icr_decoding(void)
{
	setup(false);
	wr(0x310, 2u << 24);
	wr(0x300, 0x00004500);
	tap_check_u64(b.ipi.delivery, LAPIC_INIT);
	tap_check_u64(b.ipi.dest, 2);
	tap_check(!b.ipi.dest_x2apic);
	tap_check(b.ipi.assert);
	wr(0x300, 0x00008500);
	tap_check(!b.ipi.assert);
	wr(0x300, 0x0000c500);
	tap_check(b.ipi.assert);
	wr(0x300, 0x00004699);
	tap_check_u64(b.ipi.delivery, LAPIC_SIPI);
	tap_check_u64(b.ipi.vector, 0x99);
	wr(0x300, 0x000c00fc);
	tap_check_u64(b.ipi.shorthand, LAPIC_TO_OTHERS);
	wr(0x300, 0x00040044);
	tap_check_u64(b.ipi.shorthand, LAPIC_TO_SELF);
	tap_check_u64(b.ipis, 6);
	wr(0x300, 0x00040400); /* NMI to self: not valid */
	wr(0x300, 0x00000700);
	tap_check_u64(b.ipis, 6);
	wr(0x310, 0xff000000);
	wr(0x300, 0x00000c00);
	tap_check_u64(b.ipi.delivery, LAPIC_NMI);
	tap_check(b.ipi.logical);
}

static void
level_and_edge(void)
{
	setup(false);
	lapic_accept(b.l[0], 0x31, true);
	tap_check_int(lapic_ack(b.l[0]), 0x31);
	tap_check_u64(rd(0x190), 1u << 0x11);
	wr(0xb0, 0);
	tap_check_u64(b.eoi_vector, 0x31);
	lapic_accept(b.l[0], 0x31, false);
	tap_check_int(lapic_ack(b.l[0]), 0x31);
	wr(0xb0, 0);
	tap_check_u64(b.eois, 1);
}

/* One timer count is 100 TSC ticks here. */
static void
one_shot(void)
{
	setup(false);
	wr(0x3e0, 0xb); /* divide by 1 */
	wr(0x320, 0xef);
	wr(0x380, 1000);
	tap_check_u64(b.due, b.tsc + 100000);
	b.tsc += 40000;
	tap_check_u64(rd(0x390), 600);
	wr(0x3e0, 0x1); /* by 4: the count stays */
	tap_check_u64(rd(0x390), 600);
	tap_check_u64(b.due, b.tsc + 240000);
	b.tsc += 239999;
	lapic_timer(b.l[0]);
	tap_check_int(lapic_pending(b.l[0]), -1);
	b.tsc += 1;
	lapic_timer(b.l[0]);
	tap_check_int(lapic_pending(b.l[0]), 0xef);
	tap_check_u64(rd(0x390), 0);
	tap_check_u64(b.due, UINT64_MAX);
	wr(0x380, 10);
	wr(0x380, 0);
	tap_check_u64(b.due, UINT64_MAX);
	wr(0x3e0, 0xa); /* the largest count: by 128 */
	wr(0x380, UINT32_MAX);
	tap_check_u64(b.due, b.tsc + UINT64_C(0xffffffff) * 12800);
	tap_check_u64(rd(0x390), UINT32_MAX);
}

static void
periodic(void)
{
	uint64_t start;

	setup(false);
	wr(0x3e0, 0xb);
	wr(0x320, 0x200ef);
	wr(0x380, 10000);
	start = b.tsc;
	b.tsc += 1000001;
	lapic_timer(b.l[0]);
	tap_check_int(lapic_pending(b.l[0]), 0xef);
	tap_check_u64(b.due, start + 2000000);
	b.tsc = start + 7300000; /* missed some */
	tap_check_u64(rd(0x390), 7000);
	lapic_timer(b.l[0]);
	tap_check_u64(b.due, start + 8000000);
	tap_check_u64(rd(0x390), 7000);
	/* a period of one count does not keep the thread busy */
	wr(0x380, 1);
	b.tsc += 100;
	lapic_timer(b.l[0]);
	tap_check(b.due > b.tsc + TSC_HZ / 100000);
}

static void
tsc_deadline(void)
{
	uint64_t v = 1;

	setup(false);
	tap_check_int(lapic_msr_write(b.l[0], 0x6e0, 9000), 0);
	tap_check_int(lapic_msr_read(b.l[0], 0x6e0, &v), 0);
	tap_check_u64(v, 0); /* wrong mode */
	wr(0x320, 0x400ef);
	wr(0x380, 5);
	tap_check_u64(rd(0x380), 0);
	lapic_set_tsc_deadline(b.l[0], 9000);
	tap_check_u64(b.due, 9000);
	tap_check_u64(lapic_tsc_deadline(b.l[0]), 9000);
	tap_check_u64(rd(0x390), 0);
	b.tsc = 8999;
	lapic_timer(b.l[0]);
	tap_check_int(lapic_pending(b.l[0]), -1);
	b.tsc = 9000;
	lapic_timer(b.l[0]);
	tap_check_int(lapic_pending(b.l[0]), 0xef);
	tap_check_u64(lapic_tsc_deadline(b.l[0]), 0);
	lapic_set_tsc_deadline(b.l[0], 10000);
	wr(0x320, 0x000ef); /* leaving the mode disarms */
	tap_check_u64(b.due, UINT64_MAX);
}

static void
masked_timer(void)
{
	setup(false);
	wr(0x320, 0x100ef);
	wr(0x380, 5);
	b.tsc += 100000;
	lapic_timer(b.l[0]);
	tap_check_int(lapic_pending(b.l[0]), -1);
	tap_check_u64(b.due, UINT64_MAX);
}

static void
virtual_wire(void)
{
	setup(false);
	tap_check(!lapic_extint_enabled(b.l[0]));
	wr(0x350, 0x700);
	tap_check(lapic_extint_enabled(b.l[0]));
	wr(0x350, 0x10700);
	tap_check(!lapic_extint_enabled(b.l[0]));
	lapic_set_base(b.l[0], 0xfee00100);
	tap_check(lapic_extint_enabled(b.l[0]));
	setup(false);
	wr(0x320, 0x1ef); /* no delivery mode in the timer's entry */
	tap_check_u64(rd(0x320), 0xef);
}

static void
state_round_trip(void)
{
	uint8_t one[1024], two[1024];

	setup(false);
	wr(0x80, 0x30);
	wr(0xd0, 0x02000000);
	wr(0x3e0, 0xb);
	wr(0x320, 0x200ee);
	wr(0x380, 50000);
	wr(0x350, 0x700);
	lapic_accept(b.l[0], 0x91, true);
	lapic_ack(b.l[0]);
	lapic_accept(b.l[0], 0xa1, false);
	b.tsc += 2000000;
	lapic_save(b.l[0], one);
	lapic_reset(b.l[0], false);
	b.tsc += 777777;
	lapic_restore(b.l[0], one);
	lapic_save(b.l[0], two);
	tap_check_mem(two, one, sizeof(one));
	tap_check_u64(b.due, b.tsc + 3000000);
	tap_check_int(lapic_pending(b.l[0]), 0xa1);
	wr(0x320, 0x400ee);
	lapic_save(b.l[0], one);
	lapic_restore(b.l[0], one);
	lapic_set_tsc_deadline(b.l[0], 12345);
	tap_check_u64(b.due, 12345);
	/* a hostile page */
	memset(one, 0xff, sizeof(one));
	lapic_restore(b.l[0], one);
	tap_check_u64(rd(0x20), 0);
	tap_check_u64(rd(0x30), 0x50014);
}

static const struct tap_test tests[] = {
	TAP_TEST(reset_values),
	TAP_TEST(priorities),
	TAP_TEST(errors),
	TAP_TEST(every_offset),
	TAP_TEST(x2apic_msrs),
	TAP_TEST(destinations),
	TAP_TEST(icr_decoding),
	TAP_TEST(level_and_edge),
	TAP_TEST(one_shot),
	TAP_TEST(periodic),
	TAP_TEST(tsc_deadline),
	TAP_TEST(masked_timer),
	TAP_TEST(virtual_wire),
	TAP_TEST(state_round_trip),
};
TAP_MAIN(tests)
