/*
 * The pair of 8259As, through its ports.
 */
#include <errno.h>

#include "base/str.h"
#include "tap.h"
#include "vmm/pic.h"

static struct bus *bus;
static struct pic *pic;
static bool out;
static unsigned mask_changes;

static void
on_out(void *arg, bool level)
{
	tap_check(level != out);
	out = level;
}

static void
on_masks(void *arg)
{
	mask_changes++;
}

static void
outb(uint16_t port, uint8_t v)
{
	tap_check(bus_write(bus, port, 1, v));
}

static uint8_t
inb(uint16_t port)
{
	uint64_t v;

	tap_check(bus_read(bus, port, 1, &v));
	return (uint8_t)v;
}

static void
create(void)
{
	const struct pic_client client = { on_out, on_masks, NULL, NULL };

	tap_check_int(bus_create(0x10000, &bus), 0);
	tap_check_int(pic_create(&client, &pic), 0);
	tap_check_int(pic_attach(pic, bus, NULL), 0);
}

static void
destroy(void)
{
	pic_destroy(pic);
	bus_destroy(bus);
}

/* Vectors 0x30 and 0x38, everything open. */
static void
init(uint8_t icw4)
{
	create();
	outb(0x20, 0x11);
	outb(0x21, 0x30);
	outb(0x21, 0x04);
	outb(0x21, icw4);
	outb(0xa0, 0x11);
	outb(0xa1, 0x38);
	outb(0xa1, 0x02);
	outb(0xa1, icw4);
}

static void
pulse(unsigned irq)
{
	pic_set_line(pic, irq, true);
	pic_set_line(pic, irq, false);
}

static void
after_reset(void)
{
	create();
	tap_check(pic_is_masked(pic));
	pulse(4);
	tap_check(!out);
	tap_check_int(pic_ack(pic), -1);
	tap_check_int(inb(0x21), 0xff);
	destroy();
}

static void
init_sequence(void)
{
	create();
	outb(0x21, 0x55);
	outb(0x20, 0x11);
	tap_check_int(inb(0x21), 0); /* ICW1 clears the mask */
	outb(0x21, 0x37); /* low bits of ICW2 do not count */
	pulse(1);
	tap_check(!out); /* in the middle of it */
	outb(0x21, 0x04);
	outb(0x21, 0x01);
	tap_check(out);
	tap_check_int(pic_ack(pic), 0x31);
	outb(0x21, 0xf0);
	tap_check_int(inb(0x21), 0xf0);
	/* Single, without ICW4: two words. */
	outb(0x20, 0x12);
	outb(0x21, 0x40);
	outb(0x21, 0xfe);
	tap_check_int(inb(0x21), 0xfe);
	destroy();
}

static void
edge(void)
{
	init(1);
	pic_set_line(pic, 3, true);
	tap_check(out);
	tap_check_int(inb(0x20), 0x08); /* IRR */
	tap_check_int(pic_ack(pic), 0x33);
	tap_check(!out);
	tap_check_int(inb(0x20), 0);
	outb(0x20, 0x0b);
	tap_check_int(inb(0x20), 0x08); /* ISR */
	/* The line is still up: no second edge. */
	outb(0x20, 0x20);
	tap_check(!out);
	tap_check_int(inb(0x20), 0);
	pic_set_line(pic, 3, false);
	pic_set_line(pic, 3, true);
	tap_check_int(pic_ack(pic), 0x33);
	destroy();
}

static void
slave(void)
{
	init(1);
	pic_set_line(pic, 12, true);
	tap_check_int(pic_ack(pic), 0x3c);
	tap_check(!out);
	outb(0xa0, 0x0b);
	outb(0x20, 0x0b);
	tap_check_int(inb(0xa0), 0x10);
	tap_check_int(inb(0x20), 0x04);
	pulse(9); /* higher on the slave, but the master serves it */
	tap_check(!out);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	tap_check(out);
	tap_check_int(pic_ack(pic), 0x39);
	destroy();
}

static void
special_fully_nested(void)
{
	init(0x11);
	pulse(12);
	tap_check_int(pic_ack(pic), 0x3c);
	pulse(9);
	tap_check_int(pic_ack(pic), 0x39);
	pulse(13);
	tap_check(!out);
	destroy();
}

static void
priorities(void)
{
	init(1);
	pulse(6);
	pulse(3);
	tap_check_int(pic_ack(pic), 0x33);
	tap_check(!out); /* 6 waits for 3 */
	pulse(1);
	tap_check(out); /* 1 does not */
	tap_check_int(pic_ack(pic), 0x31);
	outb(0x20, 0x20); /* the highest in service: 1 */
	tap_check(!out);
	outb(0x20, 0x63); /* specific: 3 */
	tap_check_int(pic_ack(pic), 0x36);
	destroy();
}

static void
rotation(void)
{
	init(1);
	outb(0x20, 0xc4); /* 4 is the lowest now, 5 the highest */
	pulse(4);
	pulse(5);
	tap_check_int(pic_ack(pic), 0x35);
	outb(0x20, 0xa0); /* EOI, and 5 becomes the lowest */
	pulse(5);
	tap_check_int(pic_ack(pic), 0x34);
	outb(0x20, 0xe4); /* specific EOI of 4, which becomes the lowest */
	tap_check_int(pic_ack(pic), 0x35);
	destroy();
}

static void
auto_eoi(void)
{
	init(3);
	pulse(3);
	tap_check_int(pic_ack(pic), 0x33);
	outb(0x20, 0x0b);
	tap_check_int(inb(0x20), 0);
	outb(0x20, 0x80); /* rotate, too */
	pulse(3);
	tap_check_int(pic_ack(pic), 0x33);
	pulse(3);
	pulse(4);
	tap_check_int(pic_ack(pic), 0x34);
	destroy();
}

static void
special_mask(void)
{
	init(1);
	pulse(2 + 1);
	tap_check_int(pic_ack(pic), 0x33);
	pulse(6);
	tap_check(!out);
	outb(0x21, 0x08);
	outb(0x20, 0x68); /* special mask mode: 3 holds nobody back */
	tap_check(out);
	tap_check_int(pic_ack(pic), 0x36);
	outb(0x20, 0x20); /* ends 6, not the masked 3 */
	outb(0x20, 0x0b);
	tap_check_int(inb(0x20), 0x08);
	outb(0x20, 0x48); /* off */
	pulse(6);
	tap_check(!out);
	destroy();
}

static void
level_triggered(void)
{
	init(1);
	outb(0x4d0, 0xff);
	outb(0x4d1, 0xff);
	tap_check_int(inb(0x4d0), 0xf8); /* 0, 1, 2, 8, 13 are edges */
	tap_check_int(inb(0x4d1), 0xde);
	pic_set_line(pic, 5, true);
	tap_check_int(pic_ack(pic), 0x35);
	outb(0x20, 0x20);
	tap_check(out); /* still up */
	tap_check_int(pic_ack(pic), 0x35);
	pic_set_line(pic, 5, false);
	outb(0x20, 0x20);
	tap_check(!out);
	/* Up and down before anybody looked: gone. */
	pic_set_line(pic, 11, true);
	tap_check(out);
	pic_set_line(pic, 11, false);
	tap_check(!out);
	tap_check_int(pic_ack(pic), -1);
	destroy();
}

static void
spurious(void)
{
	init(1);
	tap_check_int(pic_ack(pic), -1);
	tap_check_int(pic_inta(pic), 0x37);
	outb(0x20, 0x0b);
	tap_check_int(inb(0x20), 0); /* not in service */
	/* Nor does a slave's request that went away leave one behind. */
	pulse(12);
	outb(0xa1, 0xff);
	tap_check(!out);
	tap_check_int(pic_inta(pic), 0x37);
	destroy();
}

static void
poll(void)
{
	init(1);
	outb(0x20, 0x0c);
	tap_check_int(inb(0x20), 0);
	pulse(5);
	outb(0x20, 0x0c);
	tap_check_int(inb(0x20), 0x85);
	tap_check(!out);
	outb(0x20, 0x0b);
	tap_check_int(inb(0x20), 0x20);
	destroy();
}

static void
masks(void)
{
	init(1);
	tap_check(!pic_is_masked(pic));
	outb(0x21, 0xfb); /* only the cascade */
	tap_check(!pic_is_masked(pic));
	mask_changes = 0;
	outb(0xa1, 0xff);
	tap_check(pic_is_masked(pic));
	tap_check_u64(mask_changes, 1);
	outb(0x21, 0xff);
	tap_check_u64(mask_changes, 1);
	pulse(3);
	tap_check(!out);
	outb(0x21, 0xf7); /* a masked edge was remembered */
	tap_check(out);
	tap_check_u64(mask_changes, 2);
	pic_set_line(pic, 2, true); /* nobody's, and out of range */
	pic_set_line(pic, 16, true);
	destroy();
}

/* One input in service, one of the slave requested, moved to another pair. */
static void
state(void)
{
	struct pic_state st, again;
	unsigned n;

	init(1);
	outb(0x4d1, 0x02); /* 9 is a level */
	pic_set_line(pic, 3, true);
	tap_check_int(pic_ack(pic), 0x33);
	pic_set_line(pic, 9, true);
	tap_check(out);
	pic_get_state(pic, &st);
	destroy();
	out = false;
	n = mask_changes;
	create();
	tap_check_int(pic_set_state(pic, &st), 0);
	tap_check(out); /* 9 stands above 3 */
	tap_check_u64(mask_changes, n + 1);
	pic_get_state(pic, &again);
	tap_check_mem(&again, &st, sizeof(st));
	pic_set_line(pic, 3, true); /* said again: no edge */
	tap_check_int(pic_ack(pic), 0x39);
	pic_set_line(pic, 9, false);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	tap_check(!out);
	outb(0x20, 0x0b);
	tap_check_u64(inb(0x20), 0x08);
	outb(0x20, 0x20);
	tap_check_int(pic_ack(pic), -1);
	st.chip[1].lowest = 8;
	tap_check_int(pic_set_state(pic, &st), -EINVAL);
	st.chip[1].lowest = 7;
	st.chip[0].icw = 1;
	tap_check_int(pic_set_state(pic, &st), -EINVAL);
	st.chip[0].icw = 0;
	st.chip[0].elcr = 1;
	tap_check_int(pic_set_state(pic, &st), -EINVAL);
	again.version = 0;
	tap_check_int(pic_set_state(pic, &again), -EINVAL);
	destroy();
}

static const struct tap_test tests[] = {
	TAP_TEST(after_reset),
	TAP_TEST(init_sequence),
	TAP_TEST(edge),
	TAP_TEST(slave),
	TAP_TEST(special_fully_nested),
	TAP_TEST(priorities),
	TAP_TEST(rotation),
	TAP_TEST(auto_eoi),
	TAP_TEST(special_mask),
	TAP_TEST(level_triggered),
	TAP_TEST(spurious),
	TAP_TEST(poll),
	TAP_TEST(masks),
	TAP_TEST(state),
};
TAP_MAIN(tests)
