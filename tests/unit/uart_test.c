/*
 * The 16550A by its registers, on a socket pair as its line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "dev/lpc/uart.h"
#include "dev/platform.h"
#include "fake_vm.h"
#include "tap.h"

#define BASE 0x3f8
#define GSI 4

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct vm *vm;
static struct uart *u;
static int peer;

static void
start(void)
{
	struct error err = ERROR_INIT;
	int fd[2];
	char spec[32];

	tap_check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	peer = fd[1];
	vm = fake_vm_create(1 << 20);
	tap_check(vm != NULL);
	snprintf(spec, sizeof(spec), "fd=%d", fd[0]);
	tap_check_int(uart_create(vm, "com1", BASE, GSI, spec, &u, &err), 0);
	close(fd[0]);
}

static void
finish(void)
{
	uart_destroy(u);
	close(peer);
	fake_vm_destroy(vm);
}

static uint8_t
in(unsigned reg)
{
	return (uint8_t)fake_in(vm, (uint16_t)(BASE + reg), 1);
}

static void
out(unsigned reg, unsigned v)
{
	fake_out(vm, (uint16_t)(BASE + reg), 1, v);
}

/* Let the loop do what is to be done within some milliseconds. */
static void
pump(void)
{
	for (int i = 0; i < 4; i++)
		mevent_loop_once(vm->loop, 3);
}

static void
type(const void *data, size_t n)
{
	tap_check_int(write(peer, data, n), (int64_t)n);
	pump();
}

static void
after_reset(void)
{
	static const uint8_t want[8] = { 0x00, 0x00, 0x01, 0x00, 0x00, 0x60,
		0xb0, 0x00 };

	start();
	for (unsigned i = 0; i < 8; i++)
		tap_check_u64(in(i), want[i]);
	tap_check(!fake_irq(vm, GSI));
	/* beside the window nobody answers */
	tap_check_u64(fake_in(vm, BASE + 8, 1), 0xff);
	tap_check_u64(fake_in(vm, 0x2f8, 1), 0xff);
	finish();
}

static void
storage(void)
{
	start();
	out(SCR, 0xa5);
	tap_check_u64(in(SCR), 0xa5);
	out(IER, 0xff);
	tap_check_u64(in(IER), 0x0f);
	out(MCR, 0xff);
	tap_check_u64(in(MCR), 0x1f);
	out(LCR, 0x83);
	out(RBR, 0x0c);
	out(IER, 0x01);
	tap_check_u64(in(RBR), 0x0c);
	tap_check_u64(in(IER), 0x01);
	out(LCR, 0x03);
	tap_check_u64(in(IER), 0x0f);
	tap_check_u64(in(LCR), 0x03);
	/* these are not for writing */
	out(LSR, 0xff);
	tap_check_u64(in(LSR), 0x60);
	finish();
}

/* A wide access is byte accesses at rising ports. */
static void
wide_accesses(void)
{
	start();
	fake_out(vm, BASE + LCR, 2, 0x0803);
	tap_check_u64(in(LCR), 0x03);
	tap_check_u64(in(MCR), 0x08);
	fake_out(vm, BASE + MCR, 4, 0x5affff00);
	tap_check_u64(in(SCR), 0x5a);
	tap_check_u64(fake_in(vm, BASE + LCR, 2), 0x0003);
	tap_check_u64(fake_in(vm, BASE + MSR, 2), 0x5ab0);
	/* one that leaves the window is not ours */
	tap_check_u64(fake_in(vm, BASE + SCR, 2), 0xffff);
	finish();
}

static void
transmits(void)
{
	char got[16];

	start();
	for (const char *p = "hello\n"; *p != '\0'; p++) {
		tap_check_u64(in(LSR)&0x60, 0x60);
		out(RBR, (unsigned)*p);
	}
	pump();
	tap_check_int(read(peer, got, sizeof(got)), 6);
	tap_check_mem(got, "hello\n", 6);
	finish();
}

static void
receives_without_fifo(void)
{
	start();
	type("abc", 3);
	tap_check_u64(in(LSR), 0x61);
	tap_check_u64(in(IIR), 0x01);
	out(IER, 1);
	tap_check_u64(in(IIR), 0x04);
	tap_check_u64(in(RBR), 'a');
	tap_check_u64(in(RBR), 'b');
	tap_check_u64(in(RBR), 'c');
	tap_check_u64(in(LSR), 0x60);
	tap_check_u64(in(RBR), 0);
	tap_check_u64(in(IIR), 0x01);
	finish();
}

static void
fifo_trigger_levels(void)
{
	static const struct {
		uint8_t fcr;
		unsigned level;
	} rows[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };

	for (size_t i = 0; i < 4; i++) {
		start();
		out(IIR, rows[i].fcr);
		out(IER, 1);
		out(MCR, 8);
		type("0123456789abcdef", rows[i].level);
		tap_check_u64(in(IIR), 0xc4);
		in(RBR);
		/* below the level the time-out speaks */
		tap_check_u64(in(IIR), rows[i].level > 1 ? 0xcc : 0xc1);
		tap_check_u64(fake_irq(vm, GSI), rows[i].level > 1);
		for (unsigned n = 1; n < rows[i].level; n++)
			in(RBR);
		tap_check_u64(in(IIR), 0xc1);
		tap_check(!fake_irq(vm, GSI));
		finish();
	}
}

static void
fifo_control(void)
{
	start();
	/* bits other than 0 are only taken together with it */
	out(IIR, 0xc6);
	tap_check_u64(in(IIR), 0x01);
	out(IIR, 0x01);
	type("0123456789abcdef", 16);
	tap_check_u64(in(LSR), 0x61);
	out(IIR, 0x03);
	tap_check_u64(in(LSR), 0x60);
	type("xy", 2);
	/* switching it off empties it */
	out(IIR, 0x00);
	tap_check_u64(in(LSR), 0x60);
	finish();
}

/* With the receiver goes what waits behind it, and nothing that comes then. */
static void
receiver_reset(void)
{
	static uint8_t sent[8000];

	for (unsigned pumped = 0; pumped < 2; pumped++) {
		start();
		out(IIR, 0x01);
		memset(sent, 'x', sizeof(sent));
		tap_check_int(send(peer, sent, sizeof(sent), 0), sizeof(sent));
		if (pumped)
			pump();
		out(IIR, 0x03);
		pump();
		tap_check_u64(in(LSR), 0x60);
		type("new", 3);
		tap_check_u64(in(RBR), 'n');
		tap_check_u64(in(RBR), 'e');
		tap_check_u64(in(RBR), 'w');
		tap_check_u64(in(LSR), 0x60);
		finish();
	}
}

/* Nothing is lost and nothing overruns, however slow the guest reads. */
static void
input_waits(void)
{
	uint8_t sent[6000];
	size_t at = 0;

	start();
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	out(IIR, 0x01);
	type(sent, sizeof(sent));
	pump();
	for (unsigned idle = 0; at < sizeof(sent) && idle < 100;) {
		uint8_t lsr = in(LSR);

		tap_check_u64(lsr & 0x9e, 0);
		if ((lsr & 1) == 0) {
			idle++;
			pump();
			continue;
		}
		tap_check_u64(in(RBR), sent[at]);
		at++;
		idle = 0;
	}
	tap_check_u64(at, sizeof(sent));
	finish();
}

/*
 * A guest that reads for as long as there is something comes to an end, however
 * much waits: the line is low then, and rises again. (Linux's handler gives up
 * after 512 times 256 bytes.)
 */
static void
input_pauses(void)
{
	static uint8_t sent[100000];
	size_t at = 0, given = 0, run = 0, rises = 0;
	ssize_t n;

	start();
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	out(IIR, 0x01);
	out(MCR, 8);
	out(IER, 1);
	while (at < sizeof(sent)) {
		n = send(
		    peer, sent + given, sizeof(sent) - given, MSG_DONTWAIT);
		given += n > 0 ? (size_t)n : 0;
		mevent_loop_once(vm->loop, run > 0 ? 0 : 100);
		tap_check(fake_irq(vm, GSI) == ((in(LSR)&1) != 0));
		if ((in(LSR)&1) == 0) {
			run = 0;
			continue;
		}
		rises += run == 0;
		tap_check(++run <= 256);
		tap_check_u64(in(RBR), sent[at]);
		at++;
		/* before the loop, which may be late and end the pause */
		if ((in(LSR)&1) == 0)
			run = 0;
	}
	tap_check(rises >= sizeof(sent) / 256);
	finish();
}

/* A full line keeps THRE clear; it comes back with an interrupt. */
static void
output_waits(void)
{
	static uint8_t got[1 << 20];
	size_t sent = 0, taken = 0;
	ssize_t n;

	start();
	out(IIR, 0x01);
	out(MCR, 8);
	out(IER, 2);
	while ((in(LSR)&0x20) != 0 && sent < sizeof(got)) {
		for (int i = 0; i < 16; i++, sent++)
			out(RBR, (unsigned)(sent * 3 + sent / 256) & 0xff);
		if (sent % 512 == 0)
			mevent_loop_once(vm->loop, 0);
	}
	tap_check(sent < sizeof(got));
	tap_check_u64(in(LSR), 0x00);
	tap_check_u64(in(IIR), 0xc1);
	tap_check(!fake_irq(vm, GSI));
	/* more than the FIFO holds is the guest's loss; the rest stays */
	while (taken < sent) {
		n = recv(peer, got + taken, sizeof(got) - taken, MSG_DONTWAIT);
		if (n > 0)
			taken += (size_t)n;
		else
			pump();
	}
	tap_check_u64(taken, sent);
	for (size_t i = 0; i < taken; i++)
		tap_check_u64(got[i], (i * 3 + i / 256) & 0xff);
	tap_check_u64(in(LSR), 0x60);
	tap_check(fake_irq(vm, GSI));
	tap_check_u64(in(IIR), 0xc2);
	tap_check_u64(in(IIR), 0xc1);
	tap_check(!fake_irq(vm, GSI));
	finish();
}

static void
thre_interrupt(void)
{
	start();
	out(MCR, 8);
	tap_check(!fake_irq(vm, GSI));
	out(IER, 2);
	tap_check(fake_irq(vm, GSI));
	tap_check_u64(in(IIR), 0x02);
	tap_check(!fake_irq(vm, GSI));
	out(RBR, 'x');
	tap_check(fake_irq(vm, GSI));
	/* a burst makes one edge */
	tap_check_u64(vm->edges[GSI], 2);
	out(RBR, 'y');
	out(RBR, 'z');
	tap_check_u64(vm->edges[GSI], 2);
	/* OUT2 is the gate */
	out(MCR, 0);
	tap_check(!fake_irq(vm, GSI));
	out(MCR, 8);
	tap_check(fake_irq(vm, GSI));
	out(IER, 0);
	tap_check(!fake_irq(vm, GSI));
	finish();
}

static void
interrupt_priorities(void)
{
	start();
	out(IER, 0x0f);
	out(MCR, 0x10);
	in(MSR);
	out(MCR, 0x12); /* CTS changes */
	out(RBR, 'a');
	out(RBR, 'b'); /* without FIFO: overrun */
	tap_check_u64(in(IIR), 0x06);
	tap_check_u64(in(LSR), 0x63);
	tap_check_u64(in(IIR), 0x04);
	tap_check_u64(in(RBR), 'b');
	tap_check_u64(in(IIR), 0x02);
	tap_check_u64(in(IIR), 0x00);
	tap_check_u64(in(MSR), 0x11);
	tap_check_u64(in(IIR), 0x01);
	tap_check(!fake_irq(vm, GSI));
	finish();
}

static void
loopback_lines(void)
{
	static const struct {
		uint8_t mcr, msr;
	} rows[] = { { 0x10, 0x00 }, { 0x11, 0x20 }, { 0x12, 0x10 },
		{ 0x14, 0x40 }, { 0x18, 0x80 }, { 0x1a, 0x90 },
		{ 0x1f, 0xf0 } };

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		out(MCR, rows[i].mcr);
		tap_check_u64(in(MSR)&0xf0, rows[i].msr);
		tap_check_u64(in(MSR)&0x0f, 0);
	}
	/* only the end of RI is an event */
	out(MCR, 0x10);
	in(MSR);
	out(MCR, 0x14);
	tap_check_u64(in(MSR), 0x40);
	out(MCR, 0x10);
	tap_check_u64(in(MSR), 0x04);
	out(MCR, 0);
	tap_check_u64(in(MSR), 0xbb);
	finish();
}

static void
loopback_data(void)
{
	char got[4];

	start();
	out(IIR, 0x01);
	out(MCR, 0x10);
	for (unsigned i = 0; i < 17; i++)
		out(RBR, i);
	tap_check_u64(in(LSR), 0x63); /* its own fault */
	tap_check_u64(in(LSR), 0x61);
	type("z", 1); /* waits outside */
	for (unsigned i = 0; i < 16; i++)
		tap_check_u64(in(RBR), i);
	tap_check_u64(in(LSR), 0x60);
	tap_check_int(recv(peer, got, sizeof(got), MSG_DONTWAIT), -1);
	out(MCR, 0);
	tap_check_u64(in(RBR), 'z');
	finish();
}

static void
ports_and_keys(void)
{
	struct config_node *root = config_create();
	struct error err = ERROR_INIT;
	char *path = NULL;

	tap_check_int(lpc_com_parse(root, "com2", "tcp=1234", &err), 0);
	tap_check(lpc_com_present(root, 1));
	tap_check(!lpc_com_present(root, 0));
	tap_check_int(lpc_com_path(root, 1, &path, &err), 0);
	tap_check_str(path, "tcp=1234");
	str_cleanup_free(&path);
	tap_check_int(lpc_com_parse(root, "com5", "stdio", &err), -EINVAL);
	tap_check_has(err.text, "com1 to com4");
	tap_check_int(lpc_com_parse(root, "com1", "", &err), -EINVAL);
	tap_check_has(err.text, "needs a back end");
	tap_check_u64(lpc_com_ports[0].port, 0x3f8);
	tap_check_u64(lpc_com_ports[3].gsi, 3);
	config_free(root);
}

static const struct tap_test tests[] = {
	TAP_TEST(after_reset),
	TAP_TEST(storage),
	TAP_TEST(wide_accesses),
	TAP_TEST(transmits),
	TAP_TEST(receives_without_fifo),
	TAP_TEST(fifo_trigger_levels),
	TAP_TEST(fifo_control),
	TAP_TEST(receiver_reset),
	TAP_TEST(input_waits),
	TAP_TEST(input_pauses),
	TAP_TEST(output_waits),
	TAP_TEST(thre_interrupt),
	TAP_TEST(interrupt_priorities),
	TAP_TEST(loopback_lines),
	TAP_TEST(loopback_data),
	TAP_TEST(ports_and_keys),
};
TAP_MAIN(tests)
