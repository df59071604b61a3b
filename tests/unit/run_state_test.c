/*
 * An engine by itself, without threads of the machine: state in and out,
 * single steps, events in flight.
 */
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "guest.h"
#include "tap.h"

GUEST_ENTRY(spin);
GUEST_ENTRY(spin_open);
GUEST_ENTRY(steps);

#define EXTINT_VECTOR 0x62
#define LAPIC_PPR 0xa0
#define LAPIC_TMCCT 0x390
#define MSR_TSC 0x10
#define MSR_LSTAR 0xc0000082

struct direct {
	struct vm_mem *mem;
	struct engine_vm *vm;
	struct engine_vcpu *vcpu;
	int acks;
};

static uint64_t
no_pio_read(void *m, uint16_t port, unsigned width)
{
	return 0;
}

static void
no_pio_write(void *m, uint16_t port, unsigned width, uint32_t value)
{
}

static uint64_t
no_mmio_read(void *m, gpa_t gpa, unsigned width)
{
	return 0;
}

static void
no_mmio_write(void *m, gpa_t gpa, unsigned width, uint64_t value)
{
}

static void
no_eoi(void *m, uint8_t vector)
{
}

static int
ack(void *m)
{
	struct direct *d = m;

	d->acks++;
	test_engine->extint(d->vm, false);
	return EXTINT_VECTOR;
}

static const struct engine_client client = { no_pio_read, no_pio_write,
	no_mmio_read, no_mmio_write, no_eoi, ack };

/* One vCPU at 'entry' in flat 32-bit mode, or in its reset state (NULL). */
static void
direct_create(struct direct *d, const uint8_t *entry)
{
	const struct vm_mem_config mem = { .size = MiB };
	const struct cpu_topology topo = { 1, 1, 1, 1 };
	struct engine_vm_config vm = {
		.client = &client, .machine = d, .max_vcpus = 1
	};
	static struct cpuid_table supported, tab;
	struct engine_vcpu_config vcpu = { .cpuid = &tab };
	struct error err = ERROR_INIT;
	static struct vcpu_state st;
	uint64_t hz;

	memset(d, 0, sizeof(*d));
	guest_need_engine();
	tap_check_int(vm_mem_create(&mem, &d->mem, &err), 0);
	vm.mem = d->mem;
	tap_check_int(test_engine->cpuid_supported(&supported, &hz, &err), 0);
	tap_check_int(cpuid_make(&supported, &topo, 0, hz, &tab, &err), 0);
	if (test_engine->vm_create(&vm, &d->vm, &err) != 0 ||
	    test_engine->vcpu_create(d->vm, &vcpu, &d->vcpu, &err) != 0)
		tap_fail("%s", err.text);
	if (entry == NULL)
		return;
	tap_check_int(vm_mem_write(d->mem, GPA(GUEST_CODE), guest_base,
			  (size_t)(guest_end - guest_base)),
	    0);
	vcpu_state_reset(&st, 0, true);
	vcpu_state_flat32(&st);
	st.rip = guest_addr(entry);
	store_le32(st.lapic + 0xf0, 0x1ff); /* on, virtual wire */
	store_le32(st.lapic + 0x350, 0x700);
	tap_check_int(test_engine->vcpu_set(d->vcpu, &st), 0);
}

static void
direct_destroy(struct direct *d)
{
	test_engine->vcpu_destroy(d->vcpu);
	test_engine->vm_destroy(d->vm);
	vm_mem_destroy(d->mem);
}

/* What passes by itself or is computed is not compared. */
static void
drop_time(struct vcpu_state *st)
{
	uint32_t i;

	store_le32(st->lapic + LAPIC_TMCCT, 0);
	store_le32(st->lapic + LAPIC_PPR, 0);
	for (i = 0; i < st->nmsrs; i++)
		if (st->msrs[i].index == MSR_TSC)
			st->msrs[i].value = 0;
}

static uint64_t *
find_msr(struct vcpu_state *st, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < st->nmsrs; i++)
		if (st->msrs[i].index == index)
			return &st->msrs[i].value;
	tap_fail("MSR 0x%x is not in the state", index);
}

static void
get(struct direct *d, struct vcpu_state *st)
{
	tap_check_int(test_engine->vcpu_get(d->vcpu, st), 0);
	drop_time(st);
}

static void
round_trip(void)
{
	static struct vcpu_state a, b;
	struct direct d;
	unsigned i;

	direct_create(&d, guest_spin);
	test_engine->vcpu_kick(d.vcpu);
	tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_KICKED);
	tap_check_int(test_engine->vcpu_get(d.vcpu, &a), 0);
	for (i = 0; i < X86_GPR_COUNT; i++)
		a.gpr[i] = UINT64_C(0x0101010101010101) * (i + 1);
	for (i = 0; i < 256; i++)
		a.xsave[160 + i] = (uint8_t)i; /* XMM0-15 */
	a.xsave[512] |= 2;
	a.dr[0] = 0x1234;
	a.cr2 = 0xabcdef;
	a.rflags |= 0x8d5;
	a.seg[X86_GS].base = 0x4444;
	*find_msr(&a, MSR_LSTAR) = 0x5555;
	store_le32(a.lapic + 0x80, 0x20); /* TPR */
	a.cr8 = 2;
	a.nmi_masked = 1;
	tap_check_int(test_engine->vcpu_set(d.vcpu, &a), 0);
	get(&d, &b);
	drop_time(&a);
	tap_check_mem(&b, &a, sizeof(a));
	direct_destroy(&d);
}

static void
seg_equals(const struct x86_seg *got, const struct x86_seg *want)
{
	tap_check_u64(got->sel, want->sel);
	tap_check_u64(got->base, want->base);
	tap_check_u64(got->limit, want->limit);
	tap_check_u64(got->attr, want->attr);
}

/* The engine's idea of a reset and ours. */
static void
reset_state(void)
{
	static struct vcpu_state its, ours;
	struct direct d;
	unsigned i;

	direct_create(&d, NULL);
	get(&d, &its);
	vcpu_state_reset(&ours, 0, true);
	tap_check_u64(its.rip, ours.rip);
	tap_check_u64(its.rflags, ours.rflags);
	tap_check_u64(its.cr0, ours.cr0);
	tap_check_u64(its.efer, ours.efer);
	tap_check_u64(its.apic_base, ours.apic_base);
	tap_check_u64(its.xcr0, ours.xcr0);
	tap_check_u64(its.dr[6], ours.dr[6]);
	tap_check_u64(its.dr[7], ours.dr[7]);
	for (i = 0; i < X86_SEG_COUNT; i++)
		seg_equals(&its.seg[i], &ours.seg[i]);
	seg_equals(&its.tr, &ours.tr);
	seg_equals(&its.ldtr, &ours.ldtr);
	tap_check_u64(its.gdtr.limit, ours.gdtr.limit);
	tap_check_u64(*find_msr(&its, 0x277), *find_msr(&ours, 0x277));
	tap_check_mem(ours.lapic + 0xe0, its.lapic + 0xe0, 0x20);
	/* And it takes ours. */
	tap_check_int(test_engine->vcpu_set(d.vcpu, &ours), 0);
	ours.run_state = VCPU_UNINITIALIZED;
	tap_check_int(test_engine->vcpu_set(d.vcpu, &ours), 0);
	get(&d, &its);
	tap_check_u64(its.run_state, VCPU_UNINITIALIZED);
	tap_check(test_engine->vcpu_is_dead(d.vcpu));
	direct_destroy(&d);
}

static void
long_mode(void)
{
	static struct vcpu_state st, got;
	struct direct d;

	direct_create(&d, guest_spin);
	vcpu_state_reset(&st, 0, true);
	vcpu_state_flat64(&st, 0x9000);
	tap_check_int(test_engine->vcpu_set(d.vcpu, &st), 0);
	get(&d, &got);
	tap_check_u64(got.efer, 0x500);
	tap_check_u64(got.seg[X86_CS].attr, 0xa09b);
	tap_check_u64(got.seg[X86_CS].sel, 0x10);
	tap_check_u64(got.cr3, 0x9000);
	direct_destroy(&d);
}

static void
single_step(void)
{
	static struct vcpu_state st;
	struct direct d;
	unsigned i;

	direct_create(&d, guest_steps);
	tap_check_int(test_engine->vcpu_single_step(d.vcpu, true), 0);
	for (i = 1; i <= 3; i++) {
		tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_DEBUG);
		get(&d, &st);
		tap_check_u64(st.rip, guest_addr(guest_steps) + i);
		tap_check_u64(st.gpr[X86_RAX], i);
	}
	tap_check_int(test_engine->vcpu_single_step(d.vcpu, false), 0);
	direct_destroy(&d);
}

/* A kick before the run is not lost, and is taken once. */
static void
kick_is_sticky(void)
{
	struct direct d;

	direct_create(&d, guest_spin);
	test_engine->vcpu_kick(d.vcpu);
	test_engine->vcpu_kick(d.vcpu);
	tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_KICKED);
	tap_check_int(test_engine->vcpu_single_step(d.vcpu, true), 0);
	tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_DEBUG);
	direct_destroy(&d);
}

/* A vector that the PIC gave away is in the state until it is delivered. */
static void
extint_in_flight(void)
{
	static struct vcpu_state st;
	struct direct d;

	direct_create(&d, guest_spin_open);
	tap_check_int(test_engine->vcpu_single_step(d.vcpu, true), 0);
	/* STI and the instruction in its shadow. */
	tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_DEBUG);
	tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_DEBUG);
	tap_check_int(test_engine->vcpu_single_step(d.vcpu, false), 0);
	test_engine->extint(d.vm, true);
	test_engine->vcpu_kick(d.vcpu);
	tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_KICKED);
	get(&d, &st);
	tap_check_u64(st.int_injected, (uint64_t)d.acks);
	if (d.acks == 0) {
		direct_destroy(&d);
		tap_skip("a kick comes before the PIC here");
	}
	tap_check_u64(st.int_vector, EXTINT_VECTOR);
	get(&d, &st);
	tap_check_u64(st.int_injected, 1);
	direct_destroy(&d);
}

/*
 * An event that was in flight when the state was saved is delivered before the
 * next instruction.
 */
static void
one_in_flight(bool exception)
{
	static struct vcpu_state st;
	uint64_t gate, gdt[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	const uint32_t at = guest_addr(guest_steps);
	struct direct d;

	direct_create(&d, guest_spin);
	gate = (at & 0xffff) | UINT64_C(0x10) << 16 | UINT64_C(0x8e00) << 32 |
	    (uint64_t)(at >> 16) << 48;
	tap_check_int(
	    vm_mem_write(d.mem, GPA(GUEST_IDT + (exception ? 13 : 0x62) * 8),
		&gate, sizeof(gate)),
	    0);
	tap_check_int(vm_mem_write(d.mem, GPA(GUEST_GDT), gdt, sizeof(gdt)), 0);
	tap_check_int(test_engine->vcpu_get(d.vcpu, &st), 0);
	st.gdtr = (struct x86_dtable){ GUEST_GDT, sizeof(gdt) - 1, { 0 } };
	st.idtr = (struct x86_dtable){ GUEST_IDT, 256 * 8 - 1, { 0 } };
	st.gpr[X86_RSP] = GUEST_STACK;
	st.rflags = 0x202;
	st.exc_injected = exception;
	st.int_injected = !exception;
	st.exc_vector = 13;
	st.exc_has_error = 1;
	st.exc_error = 0x5678;
	st.int_vector = 0x62;
	tap_check_int(test_engine->vcpu_set(d.vcpu, &st), 0);
	get(&d, &st);
	tap_check_u64(st.exc_injected, exception);
	tap_check_u64(st.int_injected, !exception);
	tap_check_int(test_engine->vcpu_single_step(d.vcpu, true), 0);
	tap_check_int(test_engine->vcpu_run(d.vcpu), ENGINE_EXIT_DEBUG);
	get(&d, &st);
	tap_check(st.rip >= at && st.rip <= at + 1);
	tap_check_u64(st.gpr[X86_RSP], GUEST_STACK - (exception ? 16 : 12));
	tap_check_u64(st.exc_injected + st.int_injected, 0);
	direct_destroy(&d);
}

static void
interrupt_in_flight(void)
{
	one_in_flight(false);
}

static void
exception_in_flight(void)
{
	one_in_flight(true);
}

static const struct tap_test tests[] = {
	TAP_TEST(round_trip),
	TAP_TEST(reset_state),
	TAP_TEST(long_mode),
	TAP_TEST(single_step),
	TAP_TEST(kick_is_sticky),
	TAP_TEST(extint_in_flight),
	TAP_TEST(interrupt_in_flight),
	TAP_TEST(exception_in_flight),
};
TAP_MAIN(tests)
