/*
 * PIT, ACPI PM, keyboard controller and single ports, with a clock that the
 * test turns.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "dev/lpc/clock.h"
#include "dev/lpc/pit.h"
#include "dev/lpc/pm.h"
#include "dev/platform.h"
#include "fake_vm.h"
#include "tap.h"

static struct vm *vm;
static struct platform *pf;
static uint64_t now_ns = 1000 * NS_PER_S;

static uint64_t
mono(void)
{
	return now_ns;
}

static uint64_t
wall(void)
{
	return UINT64_C(1700000000) * NS_PER_S + now_ns;
}

static void
start_clock(bool fake)
{
	const struct platform_config conf = { .fw_cfg = true };
	struct error err = ERROR_INIT;

	vm = fake_vm_create(64 << 20);
	tap_check(vm != NULL);
	if (fake)
		lpc_clock_override(mono, wall);
	tap_check_int(platform_create(vm, &conf, &pf, &err), 0);
}

static void
start(void)
{
	start_clock(true);
}

static void
finish(void)
{
	platform_destroy(pf);
	fake_vm_destroy(vm);
}

static uint8_t
in(uint16_t port)
{
	return (uint8_t)fake_in(vm, port, 1);
}

static void
out(uint16_t port, unsigned v)
{
	fake_out(vm, port, 1, v);
}

/* Let that many ticks of the PIT pass, and a little of the next. */
static void
pit_ticks(uint64_t n)
{
	now_ns += lpc_muldiv(n, NS_PER_S, PIT_HZ) + 1;
}

static void
pit_set(unsigned counter, unsigned control, unsigned count)
{
	out(0x43, counter << 6 | control);
	out((uint16_t)(0x40 + counter), count & 0xff);
	out((uint16_t)(0x40 + counter), count >> 8);
}

static unsigned
pit_count(unsigned counter)
{
	unsigned low;

	out(0x43, counter << 6); /* latch */
	low = in((uint16_t)(0x40 + counter));
	return low | (unsigned)in((uint16_t)(0x40 + counter)) << 8;
}

static uint8_t
pit_status(unsigned counter)
{
	out(0x43, 0xe0 | 2u << counter);
	return in((uint16_t)(0x40 + counter));
}

/* ---- PIT ---- */

static void
pit_one_shot(void)
{
	start();
	out(0x43, 0x30);
	tap_check_u64(pit_status(0), 0x70); /* low, null count */
	out(0x40, 100);
	out(0x40, 0);
	tap_check_u64(pit_status(0), 0x30);
	tap_check_u64(pit_count(0), 100);
	pit_ticks(40);
	tap_check_u64(pit_count(0), 60);
	pit_ticks(60);
	tap_check_u64(pit_count(0), 0);
	tap_check_u64(pit_status(0), 0xb0);
	pit_ticks(10);
	tap_check_u64(pit_count(0), 0xfff6);
	/* the first byte of a new count stops it */
	out(0x40, 5);
	tap_check_u64(pit_status(0), 0x30);
	out(0x40, 1);
	pit_ticks(5);
	tap_check_u64(pit_count(0), 0x100);
	finish();
}

static void
pit_rate(void)
{
	start();
	pit_set(0, 0x34, 1000);
	tap_check_u64(pit_count(0), 1000);
	pit_ticks(999);
	tap_check_u64(pit_count(0), 1);
	tap_check_u64(pit_status(0) & 0x80, 0);
	pit_ticks(1);
	tap_check_u64(pit_count(0), 1000);
	tap_check_u64(pit_status(0), 0xb4);
	pit_set(0, 0x34, 0); /* 65536 */
	tap_check_u64(pit_count(0), 0);
	pit_ticks(1);
	tap_check_u64(pit_count(0), 0xffff);
	pit_set(0, 0x34, 1); /* not allowed, not fatal */
	pit_ticks(7);
	tap_check(pit_count(0) <= 2);
	finish();
}

static void
pit_square_wave(void)
{
	start();
	pit_set(2, 0x36, 100);
	out(0x61, 1);
	tap_check_u64(pit_count(2), 100);
	tap_check_u64(in(0x61) & 0x20, 0x20);
	pit_ticks(10);
	tap_check_u64(pit_count(2), 80);
	pit_ticks(39);
	tap_check_u64(pit_count(2), 2);
	tap_check_u64(in(0x61) & 0x20, 0x20);
	pit_ticks(1);
	tap_check_u64(pit_count(2), 100);
	tap_check_u64(in(0x61) & 0x20, 0);
	pit_ticks(50);
	tap_check_u64(in(0x61) & 0x20, 0x20);
	finish();
}

/* What kernels calibrate with: counter 2 in mode 0 with its gate. */
static void
pit_gate(void)
{
	start();
	out(0x61, 0);
	pit_set(2, 0x30, 1000);
	pit_ticks(500);
	tap_check_u64(pit_count(2), 1000);
	out(0x61, 1);
	pit_ticks(400);
	tap_check_u64(pit_count(2), 600);
	out(0x61, 0);
	pit_ticks(400);
	tap_check_u64(pit_count(2), 600);
	tap_check_u64(in(0x61) & 0x20, 0);
	out(0x61, 1);
	pit_ticks(600);
	tap_check_u64(in(0x61) & 0x20, 0x20);
	/* mode 1: a rising edge starts it, again and again */
	out(0x61, 0);
	pit_set(2, 0x32, 50);
	tap_check_u64(in(0x61) & 0x20, 0x20);
	out(0x61, 1);
	tap_check_u64(in(0x61) & 0x20, 0);
	pit_ticks(49);
	tap_check_u64(in(0x61) & 0x20, 0);
	out(0x61, 0);
	out(0x61, 1);
	pit_ticks(49);
	tap_check_u64(in(0x61) & 0x20, 0);
	pit_ticks(1);
	tap_check_u64(in(0x61) & 0x20, 0x20);
	finish();
}

/* Low byte first, then the high one. */
static unsigned
pit_read16(void)
{
	unsigned low = in(0x40);

	return low | in(0x40) << 8;
}

static void
pit_access_and_bcd(void)
{
	start();
	out(0x43, 0x14); /* low byte only, mode 2 */
	out(0x40, 200);
	tap_check_u64(in(0x40), 200);
	tap_check_u64(in(0x40), 200);
	out(0x43, 0x24); /* high byte only */
	out(0x40, 2);
	tap_check_u64(in(0x40), 2);
	out(0x43, 0x31); /* BCD, mode 0 */
	out(0x40, 0x34);
	out(0x40, 0x12);
	pit_ticks(35);
	tap_check_u64(pit_count(0), 0x1199);
	pit_ticks(1199);
	tap_check_u64(pit_count(0), 0x0000);
	pit_ticks(1);
	tap_check_u64(pit_count(0), 0x9999);
	/* a latched count stays until it is read, whatever comes */
	pit_set(0, 0x34, 1000);
	out(0x43, 0x00);
	pit_ticks(100);
	out(0x43, 0x00);
	tap_check_u64(pit_read16(), 1000);
	tap_check_u64(pit_read16(), 900);
	/* read back of count and status: status comes first */
	out(0x43, 0xc2);
	tap_check_u64(in(0x40), 0xb4);
	tap_check_u64(pit_read16(), 900);
	tap_check_u64(in(0x43), 0xff);
	finish();
}

static void
pit_interrupts(void)
{
	start_clock(false);
	pit_set(0, 0x30, 1193); /* 1 ms, once */
	for (int i = 0; i < 10; i++)
		mevent_loop_once(vm->loop, 2);
	tap_check_u64(vm->edges[GSI_PIT], 1);
	pit_set(0, 0x34, 1193);
	for (int i = 0; i < 10; i++)
		mevent_loop_once(vm->loop, 2);
	tap_check(vm->edges[GSI_PIT] >= 5);
	out(0x43, 0x30); /* a control word stops it */
	mevent_loop_once(vm->loop, 0);
	vm->edges[GSI_PIT] = 0;
	for (int i = 0; i < 5; i++)
		mevent_loop_once(vm->loop, 2);
	tap_check_u64(vm->edges[GSI_PIT], 0);
	/* not more often than every 200 us */
	pit_set(0, 0x34, 2);
	for (int i = 0; i < 50; i++)
		mevent_loop_once(vm->loop, 1);
	tap_check(vm->edges[GSI_PIT] <= 50);
	finish();
}

static void
port_61(void)
{
	uint8_t v;

	start();
	out(0x61, 0xff);
	tap_check_u64(in(0x61) & 0x0f, 0x0f);
	v = in(0x61) & 0x10;
	now_ns += 15085;
	tap_check_u64(in(0x61) & 0x10, v ^ 0x10);
	finish();
}

/* ---- ACPI PM ---- */

#define PM PORT_PMBASE

static void
pm_timer(void)
{
	uint64_t last, v;

	start();
	tap_check_u64(fake_in(vm, PM + 8, 4), 0);
	now_ns += NS_PER_S;
	tap_check_u64(fake_in(vm, PM + 8, 4), PM_TIMER_HZ);
	/* 24 bits; the rest reads zero */
	now_ns += 4 * NS_PER_S;
	tap_check_u64(fake_in(vm, PM + 8, 4), 5 * PM_TIMER_HZ % (1 << 24));
	finish();
	/* the real clock: never backwards */
	lpc_clock_override(NULL, NULL);
	start_clock(false);
	last = fake_in(vm, PM + 8, 4);
	for (int i = 0; i < 10000; i++) {
		v = fake_in(vm, PM + 8, 4);
		tap_check(((v - last) & 0xffffff) < 0x800000);
		last = v;
	}
	finish();
}

static void
pm_power_off(void)
{
	start();
	fake_out(vm, PM + 4, 2, 5 << 10);
	tap_check_u64(vm->stops, 0);
	fake_out(vm, PM + 4, 2, 1 << 10 | 1 << 13); /* S1: not here */
	tap_check_u64(vm->stops, 0);
	fake_out(vm, PM + 5, 1, (5 << 10 | 1 << 13) >> 8);
	tap_check_u64(vm->stops, 1);
	tap_check_u64(vm->reason, VM_STOP_POWEROFF);
	tap_check_str(vm->cause, "guest entered sleep state S5");
	/* SLP_EN reads zero */
	tap_check_u64(fake_in(vm, PM + 4, 2), 5 << 10);
	finish();
	start();
	fake_out(vm, PM + 4, 2, 1 << 13); /* OVMF */
	tap_check_u64(vm->reason, VM_STOP_POWEROFF);
	finish();
}

static void
button_and_sci(void)
{
	start();
	tap_check(!platform_acpi_enabled(pf));
	out(0xb2, PM_ACPI_ENABLE);
	tap_check_u64(fake_in(vm, PM + 4, 2), 1);
	tap_check(!platform_acpi_enabled(pf));
	fake_out(vm, PM + 2, 2, 0xffff);
	tap_check_u64(fake_in(vm, PM + 2, 2), 0x0521);
	tap_check(platform_acpi_enabled(pf));
	tap_check(!fake_irq(vm, GSI_SCI));
	platform_power_button(pf);
	tap_check(fake_irq(vm, GSI_SCI));
	tap_check_u64(fake_in(vm, PM, 2), 0x0100);
	/* status bits clear by writing ones, also byte-wise */
	fake_out(vm, PM, 2, 0x0001);
	tap_check(fake_irq(vm, GSI_SCI));
	fake_out(vm, PM + 1, 1, 0x01);
	tap_check_u64(fake_in(vm, PM, 2), 0);
	tap_check(!fake_irq(vm, GSI_SCI));
	/* ACPI mode off: no SCI */
	platform_power_button(pf);
	out(0xb2, PM_ACPI_DISABLE);
	tap_check(!fake_irq(vm, GSI_SCI));
	tap_check(!platform_acpi_enabled(pf));
	finish();
}

static void
pm_timer_status(void)
{
	start();
	out(0xb2, PM_ACPI_ENABLE);
	fake_out(vm, PM + 2, 2, 1);
	tap_check_u64(fake_in(vm, PM, 2), 0);
	now_ns += 3 * NS_PER_S; /* bit 23 changes after 2.34 s */
	tap_check_u64(fake_in(vm, PM, 4), 0x00010001);
	fake_out(vm, PM, 2, 1);
	tap_check_u64(fake_in(vm, PM, 2), 0);
	tap_check(!fake_irq(vm, GSI_SCI));
	finish();
}

static void
pm_registers(void)
{
	start();
	fake_out(vm, PM + 0x28, 4, 0x12345678);
	fake_out(vm, PM + 0x2c, 2, 0xabcd);
	tap_check_u64(fake_in(vm, PM + 0x28, 4), 0x12345678);
	tap_check_u64(fake_in(vm, PM + 0x2a, 4), 0xabcd1234);
	tap_check_u64(fake_in(vm, PM + 0x20, 4), 0);
	/* APMC_EN, or SeaBIOS waits for an SMI */
	tap_check_u64(fake_in(vm, PM + 0x30, 4) & 0x20, 0x20);
	fake_out(vm, PM + 0x30, 4, 0xffffffff);
	tap_check_u64(fake_in(vm, PM + 0x30, 4), 0xffffffff);
	tap_check_u64(fake_in(vm, PM + 0x7c, 4), 0);
	tap_check_u64(fake_in(vm, PM + 0x80, 4), 0xffffffff);
	/* the handshake of APM ends by itself */
	out(0xb3, 1);
	tap_check_u64(in(0xb3), 1);
	out(0xb2, 0);
	tap_check_u64(in(0xb3), 0);
	tap_check_u64(in(0xb2), 0);
	for (unsigned off = 0; off < 0x80; off++)
		for (unsigned w = 1; w <= 4; w *= 2) {
			fake_in(vm, (uint16_t)(PM + off), w);
			if (off < 4 || off > 6)
				fake_out(
				    vm, (uint16_t)(PM + off), w, 0xffffffff);
		}
	tap_check_u64(vm->stops, 0);
	finish();
}

static void
pm_moves(void)
{
	struct config_node *root = config_create();
	struct config_node *node = config_make_node(root, "pci.0.31.0");
	struct error err = ERROR_INIT;
	struct pci_bus *pb;

	start();
	tap_check_int(config_set(node, "device", "lpc", &err), 0);
	tap_check_int(pci_bus_create(vm, &pb, &err), 0);
	platform_attach_pci(pf, pb);
	tap_check_int(
	    pci_bus_add(pb, (struct pci_addr){ 0, 31, 0 }, node, &err), 0);
	fake_out(vm, 0xcf8, 4, 0x80000000 | 31 << 11 | 0x40);
	fake_out(vm, 0xcfc, 4, 0xb001);
	tap_check_u64(fake_in(vm, PM + 8, 4), 0xffffffff);
	tap_check(fake_in(vm, 0xb008, 4) != 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0x80000000 | 31 << 11 | 0x44);
	fake_out(vm, 0xcfc, 1, 0);
	tap_check_u64(fake_in(vm, 0xb008, 4), 0xffffffff);
	fake_out(vm, 0xcfc, 1, 0x80);
	tap_check(fake_in(vm, 0xb008, 4) != 0xffffffff);
	/* over the keyboard controller: not decoded, and back */
	fake_out(vm, 0xcf8, 4, 0x80000000 | 31 << 11 | 0x40);
	fake_out(vm, 0xcfc, 4, 0x0001);
	fake_out(vm, 0xcfc, 4, 0x0081);
	tap_check_u64(in(0x92) & 2, 2);
	fake_out(vm, 0xcfc, 4, 0x0601);
	tap_check(fake_in(vm, PM + 8, 4) != 0xffffffff);
	pci_bus_destroy(pb);
	finish();
	config_free(root);
}

/* ---- keyboard controller and ports ---- */

static void
keyboard_controller(void)
{
	start();
	tap_check_u64(in(0x64), 0x10);
	out(0x64, 0xaa);
	tap_check_u64(in(0x64), 0x1d);
	tap_check_u64(in(0x60), 0x55);
	tap_check_u64(in(0x64), 0x1c);
	out(0x64, 0xab);
	tap_check_u64(in(0x60), 0x00);
	out(0x64, 0xa9); /* no mouse */
	tap_check_u64(in(0x60), 0x01);
	out(0x64, 0x60);
	out(0x60, 0x61);
	out(0x64, 0x20);
	tap_check(fake_irq(vm, GSI_KBD));
	tap_check_u64(in(0x60), 0x61);
	tap_check(!fake_irq(vm, GSI_KBD));
	out(0x60, 0xf2);
	tap_check_u64(in(0x60), 0xfa);
	tap_check_u64(in(0x60), 0xab);
	tap_check_u64(in(0x60), 0x83);
	out(0x60, 0xed);
	tap_check_u64(in(0x60), 0xfa);
	out(0x60, 0x07);
	tap_check_u64(in(0x60), 0xfa);
	out(0x60, 0xff);
	tap_check_u64(in(0x60), 0xfa);
	tap_check_u64(in(0x60), 0xaa);
	tap_check_u64(in(0x64) & 1, 0);
	/* answers that nobody fetches are bounded */
	for (int i = 0; i < 100; i++)
		out(0x60, 0xf2);
	for (int i = 0; i < 4; i++)
		in(0x60);
	tap_check_u64(in(0x64) & 1, 0);
	out(0x64, 0xd0);
	tap_check_u64(in(0x60) & 3, 3);
	tap_check_u64(vm->stops, 0);
	finish();
}

static void
resets(void)
{
	start();
	out(0x64, 0xf1);
	tap_check_u64(vm->stops, 0);
	out(0x64, 0xfe);
	tap_check_u64(vm->reason, VM_STOP_RESET);
	tap_check_str(vm->cause, "guest wrote 0xfe to port 0x64");
	finish();
	start();
	out(0x64, 0xd1);
	out(0x60, 0xdf); /* A20 on, no reset */
	tap_check_u64(vm->stops, 0);
	out(0x64, 0xd1);
	out(0x60, 0xde);
	tap_check_str(vm->cause, "guest wrote 0xde to port 0x60");
	finish();
	start();
	tap_check_u64(in(0x92), 2);
	out(0x92, 0);
	tap_check_u64(in(0x92), 2); /* A20 stays on */
	tap_check_u64(vm->stops, 0);
	out(0x92, 3);
	tap_check_u64(vm->stops, 1);
	out(0x92, 3); /* not a rising edge */
	tap_check_u64(vm->stops, 1);
	tap_check_str(vm->cause, "guest wrote 0x03 to port 0x92");
	finish();
}

static void
single_ports(void)
{
	char got[512];
	FILE *f = tmpfile();
	size_t n;

	start();
	log_setup(fileno(f), LOG_HUMAN, LOG_DEBUG);
	out(0x80, 0x42);
	tap_check_u64(in(0x80), 0x42);
	tap_check_u64(in(0x402), 0xe9);
	for (const char *p = "hello firmware\r\nno end"; *p != '\0'; p++)
		out(0x402, (unsigned char)*p);
	rewind(f);
	n = fread(got, 1, sizeof(got) - 1, f);
	got[n] = '\0';
	tap_check_has(got, "firmware: hello firmware\n");
	tap_check(strstr(got, "no end") == NULL);
	/* a guest that talks without end is cut */
	for (int i = 0; i < 100000; i++)
		out(0x402, '\n' * (i % 2) + 'x' * (1 - i % 2));
	fseek(f, 0, SEEK_END);
	tap_check(ftell(f) < 64 * 1024);
	log_setup(2, LOG_HUMAN, LOG_INFO);
	fclose(f);
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(pit_one_shot),
	TAP_TEST(pit_rate),
	TAP_TEST(pit_square_wave),
	TAP_TEST(pit_gate),
	TAP_TEST(pit_access_and_bcd),
	TAP_TEST(pit_interrupts),
	TAP_TEST(port_61),
	TAP_TEST(pm_timer),
	TAP_TEST(pm_power_off),
	TAP_TEST(button_and_sci),
	TAP_TEST(pm_timer_status),
	TAP_TEST(pm_registers),
	TAP_TEST(pm_moves),
	TAP_TEST(keyboard_controller),
	TAP_TEST(resets),
	TAP_TEST(single_ports),
};
TAP_MAIN(tests)
