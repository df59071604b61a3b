/*
 * Builds the guests of the machine tests.
 */
#include "guest.h"

#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "tap.h"

static uint64_t
port_read(void *dev, uint64_t offset, unsigned width)
{
	struct guest *g = dev;

	return g->answer;
}

static void
port_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct guest *g = dev;

	pthread_mutex_lock(&g->lock);
	if (g->notes < GUEST_NOTES)
		g->note[g->notes++] = (uint32_t)value;
	pthread_mutex_unlock(&g->lock);
	if (g->on_note != NULL)
		g->on_note(g, (uint32_t)value);
}

static const struct bus_ops port_ops = { port_read, port_write };

static void
stop_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
	struct guest *g = dev;

	vm_stop(g->vm, VM_STOP_POWEROFF, "the guest asked for it");
}

static const struct bus_ops stop_ops = { NULL, stop_write };

uint32_t
guest_addr(const uint8_t *entry)
{
	return (uint32_t)(GUEST_CODE + (entry - guest_base));
}

/* Flat code 0x10 and data 0x18, as vcpu_state_flat32() has them. */
static void
load_gdt(uint8_t *ram, struct vcpu_state *st)
{
	store_le64(ram + GUEST_GDT + 0x10, UINT64_C(0x00cf9b000000ffff));
	store_le64(ram + GUEST_GDT + 0x18, UINT64_C(0x00cf93000000ffff));
	st->gdtr = (struct x86_dtable){ GUEST_GDT, 0x1f, { 0 } };
	st->idtr = (struct x86_dtable){ GUEST_IDT, 256 * 8 - 1, { 0 } };
}

void
guest_set_gate(struct guest *g, unsigned vector, const uint8_t *entry)
{
	uint8_t *gate =
	    vm_mem_ram(vm_mem(g->vm), GPA(GUEST_IDT + vector * 8), 8);
	uint32_t at = guest_addr(entry);

	tap_check(gate != NULL);
	store_le64(gate,
	    (at & 0xffff) | UINT64_C(0x10) << 16 | UINT64_C(0x8e00) << 32 |
		(uint64_t)(at >> 16) << 48);
}

static void
add_ports(struct guest *g)
{
	const struct bus_window note = { "test port", GUEST_PORT, 4, BUS_WANY,
		&port_ops, g };
	const struct bus_window stop = { "stop port", GUEST_STOP_PORT, 1,
		BUS_WANY, &stop_ops, g };

	tap_check_int(bus_add(vm_pio(g->vm), &note, NULL), 0);
	tap_check_int(bus_add(vm_pio(g->vm), &stop, NULL), 0);
}

void
guest_need_engine(void)
{
	struct error err = ERROR_INIT;

	if (test_engine->probe(&err) != 0)
		tap_skip("engine %s: %s", test_engine->name, err.text);
}

struct vm_config
guest_config(unsigned vcpus)
{
	guest_need_engine();
	return (struct vm_config){
		.name = "test",
		.mem = { .size = 4 * MiB },
		.topo = { vcpus, vcpus, 1, 1 },
		.engine = test_engine,
		.strict_msr = true,
	};
}

void
guest_create(
    struct guest *g, const struct vm_config *conf, const uint8_t *entry)
{
	struct error err = ERROR_INIT;
	static struct vcpu_state st;
	uint8_t *ram;

	memset(g, 0, sizeof(*g));
	pthread_mutex_init(&g->lock, NULL);
	if (vm_create(conf, &g->vm, &err) != 0)
		tap_fail("vm_create: %s", err.text);
	ram = vm_mem_ram(vm_mem(g->vm), GPA(0), 4 * MiB);
	tap_check(ram != NULL);
	memcpy(ram + GUEST_CODE, guest_base, (size_t)(guest_end - guest_base));
	vcpu_state_reset(&st, 0, true);
	vcpu_state_flat32(&st);
	load_gdt(ram, &st);
	st.rip = guest_addr(entry);
	st.gpr[X86_RSP] = GUEST_STACK;
	tap_check_int(vm_set_vcpu_state(g->vm, 0, &st), 0);
	add_ports(g);
}

void
guest_prepare(struct guest *g)
{
	struct error err = ERROR_INIT;

	if (vm_prepare(g->vm, &err) != 0)
		tap_fail("vm_prepare: %s", err.text);
}

enum vm_stop
guest_run(struct guest *g)
{
	guest_prepare(g);
	return vm_run(g->vm);
}

static void
after_timer(void *arg, uint64_t expirations)
{
	struct guest *g = arg;

	g->after(g);
}

void
guest_after_ms(struct guest *g, unsigned ms, void (*fn)(struct guest *g))
{
	struct mevent *timer;

	g->after = fn;
	tap_check_int(
	    mevent_add_timer(vm_loop(g->vm), after_timer, g, &timer, NULL), 0);
	tap_check_int(mevent_timer_set(timer, ms * UINT64_C(1000000), 0), 0);
}

void
guest_power_off(struct guest *g)
{
	vm_stop(g->vm, VM_STOP_POWEROFF, "the test's time is over");
}

void
guest_destroy(struct guest *g)
{
	vm_destroy(g->vm);
	pthread_mutex_destroy(&g->lock);
}

void
guest_check_notes(struct guest *g, const uint32_t *want, unsigned n)
{
	unsigned i;

	for (i = 0; i < g->notes && i < n; i++)
		if (g->note[i] != want[i])
			tap_fail("note %u is 0x%x, not 0x%x", i, g->note[i],
			    want[i]);
	tap_check_u64(g->notes, n);
}
