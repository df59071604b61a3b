/*
 * The machine's frame on an engine: tiny guests, one for each thing that can go
 * between a guest and the machine. Interrupts are in run_irq_test.c.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "guest.h"
#include "tap.h"
#include "vmm/vm_impl.h"

GUEST_ENTRY(pio);
GUEST_ENTRY(mmio);
GUEST_ENTRY(triple_fault);
GUEST_ENTRY(halt);
GUEST_ENTRY(spin);
GUEST_ENTRY(doorbell);
GUEST_ENTRY(dirty);
GUEST_ENTRY(msr);
GUEST_ENTRY(isr_gp);
GUEST_ENTRY(x2apic);
GUEST_ENTRY(wild_port);
GUEST_ENTRY(count);

static void
create(struct guest *g, const uint8_t *entry)
{
	const struct vm_config conf = guest_config(1);

	guest_create(g, &conf, entry);
}

static void
port_accesses(void)
{
	static const uint32_t want[] = { 0x44, 0x3344, 0x11223344, 0xcafe, 0xa1,
		0xa2, 0xa3 };
	struct guest g;

	create(&g, guest_pio);
	g.answer = 0xcafe;
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	tap_check_str(vm_stop_cause(g.vm), "the guest asked for it");
	guest_destroy(&g);
}

static uint64_t
mmio_read(void *dev, uint64_t offset, unsigned width)
{
	return 0x1000 * width + offset;
}

static void
mmio_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	uint64_t *seen = dev;

	seen[offset / 4] = value;
}

static const struct bus_ops mmio_ops = { mmio_read, mmio_write };

static void
add_mmio(struct guest *g, uint64_t base, uint64_t *seen)
{
	const struct bus_window win = { "test", base, 16, BUS_WANY, &mmio_ops,
		seen };

	tap_check_int(bus_add(vm_mmio(g->vm), &win, NULL), 0);
}

static void
mmio_accesses(void)
{
	static const uint32_t want[] = { 0x4008, 0xffffffff };
	uint64_t seen[4] = { 0 };
	struct guest g;

	create(&g, guest_mmio);
	add_mmio(&g, 0xe0000000, seen);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, ARRAY_LEN(want));
	tap_check_u64(seen[0], 0x55667788);
	tap_check_u64(seen[1], 0x99);
	guest_destroy(&g);
}

static void
triple_fault(void)
{
	struct guest g;

	create(&g, guest_triple_fault);
	tap_check_int(guest_run(&g), VM_STOP_TRIPLE_FAULT);
	guest_destroy(&g);
}

static void
halt(void)
{
	struct guest g;

	create(&g, guest_halt);
	tap_check_int(guest_run(&g), VM_STOP_HALT);
	guest_destroy(&g);
}

/* An application processor that nobody starts does not keep it alive. */
static void
halt_smp(void)
{
	const struct vm_config conf = guest_config(2);
	struct guest g;

	guest_create(&g, &conf, guest_halt);
	tap_check_int(guest_run(&g), VM_STOP_HALT);
	guest_destroy(&g);
}

static void
strict_io(void)
{
	struct vm_config conf = guest_config(1);
	struct guest g;

	guest_create(&g, &conf, guest_wild_port);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_destroy(&g);
	conf.strict_io = true;
	guest_create(&g, &conf, guest_wild_port);
	tap_check_int(guest_run(&g), VM_STOP_ERROR);
	tap_check_has(vm_stop_cause(g.vm), "0x7777");
	guest_destroy(&g);
}

static void
unknown_msrs(void)
{
	static const uint32_t strict[] = { 0xd };
	static const uint32_t lax[] = { 0x80000000 };
	struct vm_config conf = guest_config(1);
	struct guest g;

	guest_create(&g, &conf, guest_msr);
	guest_set_gate(&g, 13, guest_isr_gp);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, strict, ARRAY_LEN(strict));
	guest_destroy(&g);
	conf.strict_msr = false;
	guest_create(&g, &conf, guest_msr);
	guest_set_gate(&g, 13, guest_isr_gp);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, lax, ARRAY_LEN(lax));
	guest_destroy(&g);
}

static void
x2apic(void)
{
	static const uint32_t want[] = { 0 };
	struct vm_config conf = guest_config(1);
	struct guest g;

	conf.x2apic = true;
	guest_create(&g, &conf, guest_x2apic);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	guest_check_notes(&g, want, 1);
	guest_destroy(&g);
}

static uint64_t
drain(int fd)
{
	uint64_t n = 0;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	return n;
}

static void
ioeventfds(void)
{
	cleanup_close int port = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	cleanup_close int any = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	cleanup_close int five = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	const unsigned pio = ENGINE_IOEVENT_PIO, match = ENGINE_IOEVENT_MATCH;
	uint64_t seen[4] = { 0 };
	struct engine_vm *ev;
	struct guest g;

	create(&g, guest_doorbell);
	add_mmio(&g, 0xe0001000, seen);
	guest_prepare(&g);
	ev = vm_engine(g.vm);
	if (test_engine->ioeventfd(ev, port, 0x600, 2, 0, pio, true) ==
	    -ENOSYS) {
		guest_destroy(&g);
		tap_skip("engine %s has none", test_engine->name);
	}
	tap_check_int(
	    test_engine->ioeventfd(ev, any, 0xe0001000, 0, 0, 0, true), 0);
	tap_check_int(
	    test_engine->ioeventfd(ev, five, 0xe0001004, 4, 5, match, true), 0);
	tap_check_int(vm_run(g.vm), VM_STOP_POWEROFF);
	tap_check_u64(drain(port), 2);
	tap_check_u64(drain(any), 1);
	tap_check_u64(drain(five), 1);
	tap_check_u64(seen[0], 0); /* went to the eventfd */
	tap_check_u64(seen[1], 4); /* the other value did not */
	tap_check_int(
	    test_engine->ioeventfd(ev, port, 0x600, 2, 0, pio, false), 0);
	guest_destroy(&g);
}

static void
dirty_log(void)
{
	static uint64_t bits[4 * 1024 / 4 / 64];
	struct error err = ERROR_INIT;
	struct engine_vm *ev;
	struct guest g;

	create(&g, guest_dirty);
	guest_prepare(&g);
	ev = vm_engine(g.vm);
	tap_check_int(test_engine->dirty_start(ev, &err), 0);
	tap_check_int(vm_run(g.vm), VM_STOP_POWEROFF);
	tap_check_int(test_engine->dirty_get(ev, 0, bits), 0);
	tap_check_u64(bits[0], UINT64_C(0x50000)); /* pages 0x10, 0x12 */
	memset(bits, 0xff, sizeof(bits));
	tap_check_int(test_engine->dirty_get(ev, 0, bits), 0);
	tap_check_u64(bits[0], 0);
	tap_check(test_engine->dirty_get(ev, 1, bits) < 0);
	tap_check_int(test_engine->dirty_stop(ev), 0);
	guest_destroy(&g);
}

static uint64_t stop_time;

static void
stop_now(struct guest *g)
{
	stop_time = mevent_now_ns();
	guest_power_off(g);
}

static void
kick_latency(void)
{
	uint64_t took;
	struct guest g;

	create(&g, guest_spin);
	guest_after_ms(&g, 30, stop_now);
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	took = mevent_now_ns() - stop_time;
	tap_note("a spinning vCPU left after %u us", (unsigned)(took / 1000));
	guest_destroy(&g);
}

struct pauser {
	struct guest *g;
	unsigned rounds;
};

static void *
pause_often(void *arg)
{
	uint32_t before, after, *count;
	struct pauser *p = arg;
	unsigned i;

	count = vm_mem_ram(vm_mem(p->g->vm), GPA(GUEST_DATA), 4);
	for (i = 0; i < 20; i++) {
		tap_check_int(vm_pause(p->g->vm), 0);
		before = __atomic_load_n(count, __ATOMIC_RELAXED);
		usleep(500);
		after = __atomic_load_n(count, __ATOMIC_RELAXED);
		vm_resume(p->g->vm);
		tap_check_u64(after, before);
		/* and goes on */
		while (__atomic_load_n(count, __ATOMIC_RELAXED) == before)
			usleep(200);
	}
	p->rounds = i;
	guest_power_off(p->g);
	return NULL;
}

static void
pause_and_resume(void)
{
	struct guest g;
	struct pauser p = { &g, 0 };
	pthread_t thread;

	create(&g, guest_count);
	guest_prepare(&g);
	tap_check_int(pthread_create(&thread, NULL, pause_often, &p), 0);
	tap_check_int(vm_run(g.vm), VM_STOP_POWEROFF);
	pthread_join(thread, NULL);
	tap_check_u64(p.rounds, 20);
	guest_destroy(&g);
}

/*
 * The main loop pauses the machine while a vCPU is in a device's handler that
 * waits for the main loop, as the reset of a device does.
 */
static atomic_int pausing, reset_done, paused_after;

static void
pause_on_loop(void *arg)
{
	struct guest *g = arg;
	static struct vcpu_state st;

	atomic_store(&pausing, 1);
	tap_check_int(vm_pause(g->vm), 0);
	atomic_store(&paused_after, atomic_load(&reset_done));
	tap_check_int(vm_get_vcpu_state(g->vm, 0, &st), 0);
	vm_resume(g->vm);
}

static void
reset_on_loop(void *arg)
{
	atomic_fetch_add(&reset_done, 1);
}

static void
reset_while_pausing(struct guest *g, uint32_t value)
{
	if (atomic_load(&pausing) != 0)
		return;
	tap_check_int(mevent_call(vm_loop(g->vm), pause_on_loop, g), 0);
	while (atomic_load(&pausing) == 0)
		usleep(1000);
	usleep(20000);
	tap_check_int(mevent_call_wait(vm_loop(g->vm), reset_on_loop, NULL), 0);
}

static void
pause_of_main_loop(void)
{
	struct guest g;

	create(&g, guest_pio);
	g.on_note = reset_while_pausing;
	tap_check_int(guest_run(&g), VM_STOP_POWEROFF);
	tap_check_int(atomic_load(&reset_done), 1);
	/* The handler had come to its end before the pause began. */
	tap_check_int(atomic_load(&paused_after), 1);
	guest_destroy(&g);
}

static const struct tap_test tests[] = {
	TAP_TEST(port_accesses),
	TAP_TEST(mmio_accesses),
	TAP_TEST(triple_fault),
	TAP_TEST(halt),
	TAP_TEST(halt_smp),
	TAP_TEST(strict_io),
	TAP_TEST(unknown_msrs),
	TAP_TEST(x2apic),
	TAP_TEST(ioeventfds),
	TAP_TEST(dirty_log),
	TAP_TEST(kick_latency),
	TAP_TEST(pause_and_resume),
	TAP_TEST(pause_of_main_loop),
};
TAP_MAIN(tests)
