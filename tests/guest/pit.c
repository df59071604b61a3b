/*
 * A periodic PIT that nobody listens to, as firmware leaves it behind: its
 * count goes on, and it ticks again as soon as the I/O APIC or the PIC lets it.
 * host.bats counts the monitor's wake-ups between the two lines.
 */
#include "guest.h"

#define V_PIT 0x50
#define V_PIC 0x70
#define V_TIMER 0x52

static void
pic_handler(unsigned v)
{
	outb(0x20, 0x20);
}

static bool
five(void *arg)
{
	return irq_count[(uint64_t)arg] >= 5;
}

static uint16_t
count(void)
{
	uint16_t v;

	outb(0x43, 0);
	v = inb(0x40);
	return (uint16_t)(v | inb(0x40) << 8);
}

static bool
counts(void *arg)
{
	return count() != *(uint16_t *)arg;
}

/* Two seconds in HLT; the local APIC's periodic timer lets it look. */
static void
rest(void)
{
	uint32_t t0 = inl(0x608);

	lapic_write(0x3e0, 0xb);
	lapic_write(0x320, V_TIMER | 0x20000);
	lapic_write(0x380, 2500000);
	while (((inl(0x608) - t0) & 0xffffff) < 2 * 3579545)
		halt_wait();
	lapic_write(0x380, 0);
}

static void
pic_init(void)
{
	outb(0x20, 0x11);
	outb(0x21, V_PIC);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0xa0, 0x11);
	outb(0xa1, V_PIC + 8);
	outb(0xa1, 2);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void
user_main(void)
{
	uint16_t c;

	lapic_enable();
	/* one unmasked pin, as every operating system has */
	ioapic_route(1, 0x40, lapic_id());
	pic_init();
	outb(0x43, 0x34); /* counter 0, mode 2 */
	outb(0x40, 0xa9);
	outb(0x40, 0x04); /* 1193: 1 kHz */
	sti();
	print("# MASKED\n");
	rest();
	print("# AGAIN\n");
	c = count();
	ok(wait_until(counts, &c, PATIENCE) && count() <= 1193,
	    "the count goes on while nobody listens");
	outb(0x20, 0x0a);
	ok(inb(0x20) & 1, "an edge waits in the PIC's IRR");
	ioapic_route(2, V_PIT, lapic_id());
	ok(wait_until(five, (void *)V_PIT, PATIENCE), "ticks by the I/O APIC");
	ioapic_route(2, V_PIT | 0x10000, lapic_id());
	delay_us(20000);
	irq_handler(V_PIC, pic_handler);
	lapic_write(0x350, 0x700);
	outb(0x21, 0xfe);
	ok(wait_until(five, (void *)V_PIC, PATIENCE), "ticks by the PIC");
	outb(0x21, 0xff);
	delay_us(20000);
	irq_count[V_PIC] = 0;
	outb(0x21, 0xfe);
	ok(wait_until(five, (void *)V_PIC, PATIENCE), "and again");
	outb(0x21, 0xff);
	outb(0x43, 0x30);
	tap_done();
}
