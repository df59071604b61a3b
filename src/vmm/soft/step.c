/*
 * Single instructions for another engine. KVM's emulator knows a part of the
 * instruction set; where it gives up, one instruction is executed here and KVM
 * goes on.
 *
 * Nothing survives a step: the guest changes its page tables and its code
 * without our seeing it. So the TLB holds what one instruction used, no code is
 * kept, and every store takes the slow path, which tells the owner's dirty log.
 */
#include "vmm/soft/step.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/str.h"
#include "vmm/soft/exec.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"
#include "vmm/soft/run.h"
#include "vmm/soft/vm.h"

#define STEP_CR4_LA57 (UINT64_C(1) << 12)

struct engine_stepper {
	struct soft_vm vm; /* with this one vCPU */
	struct soft_cpu cpu;
	const struct engine_stepped_ops *owner;
	struct engine_vcpu *vcpu; /* the owner's */
	bool used; /* pages are touched at the first step only */
};

/* ---- what differs for a stepper ---- */

void
soft_step_written(struct soft_cpu *cpu, uint64_t pa, unsigned size)
{
	struct engine_stepper *s = cpu->stepper;

	s->owner->written(s->vcpu, GPA(pa), size);
}

uint32_t
soft_step_apic_read(struct soft_cpu *cpu, unsigned offset)
{
	struct engine_stepper *s = cpu->stepper;
	uint32_t v;

	if (s->owner->apic_read(s->vcpu, offset, &v) < 0)
		soft_fail(cpu, "a read of the local APIC's page");
	return v;
}

bool
soft_step_msr(struct soft_cpu *cpu, uint32_t msr, bool write, uint64_t *value)
{
	struct engine_stepper *s = cpu->stepper;

	return s->owner->msr(s->vcpu, msr, write, value) >= 0;
}

/* ---- the local APIC is the owner's; this one holds CR8 and the base ---- */

static void
no_send(void *arg, const struct lapic_message *msg)
{
}

static void
no_event(void *arg)
{
}

static void
no_eoi(void *arg, uint8_t vector)
{
}

static void
no_deadline(void *arg, uint64_t tsc)
{
}

static uint64_t
no_tsc(void *arg)
{
	return 0;
}

static const struct lapic_ops no_lapic = { no_send, no_event, no_event, no_eoi,
	no_deadline, no_tsc };

/* By way of "off": no change of mode is refused then. */
static void
load_apic_base(struct soft_cpu *cpu, uint64_t base)
{
	if (lapic_base(cpu->lapic) == base)
		return;
	lapic_set_base(cpu->lapic, base & ~UINT64_C(0xc00));
	lapic_set_base(cpu->lapic, base & ~UINT64_C(0x400));
	lapic_set_base(cpu->lapic, base);
}

/* ---- MSRs that instructions use by themselves ---- */

static uint64_t *
used_msr(struct soft_cpu *cpu, uint32_t index)
{
	switch (index) {
	case 0x174:
		return &cpu->sysenter_cs;
	case 0x175:
		return &cpu->sysenter_esp;
	case 0x176:
		return &cpu->sysenter_eip;
	case 0xc0000081:
		return &cpu->star;
	case 0xc0000082:
		return &cpu->lstar;
	case 0xc0000083:
		return &cpu->cstar;
	case 0xc0000084:
		return &cpu->sfmask;
	case 0xc0000102:
		return &cpu->kernel_gs_base;
	case 0xc0000103:
		return &cpu->tsc_aux;
	default:
		return NULL;
	}
}

static void
load_msrs(struct soft_cpu *cpu, const struct vcpu_state *st)
{
	uint64_t *p;

	for (uint32_t i = 0; i < st->nmsrs && i < VCPU_STATE_MSRS; i++) {
		p = used_msr(cpu, st->msrs[i].index);
		if (p != NULL)
			*p = st->msrs[i].value;
		else if (st->msrs[i].index == 0x10)
			cpu->tsc_offset = st->msrs[i].value - soft_host_tsc();
	}
}

static void
store_msrs(struct soft_cpu *cpu, struct vcpu_state *st)
{
	const uint64_t *p;

	for (uint32_t i = 0; i < st->nmsrs && i < VCPU_STATE_MSRS; i++) {
		p = used_msr(cpu, st->msrs[i].index);
		if (p != NULL)
			st->msrs[i].value = *p;
	}
}

/* ---- the step ---- */

static void
load(struct soft_cpu *cpu, const struct vcpu_state *st)
{
	if (!cpu->stepper->used)
		soft_tlb_init(cpu);
	cpu->stepper->used = true;
	soft_cpu_set_core(cpu, st);
	cpu->xcr0 = st->xcr0 | 1;
	if (st->xsave_size != 0)
		soft_cpu_set_xsave(cpu, st);
	load_apic_base(cpu, st->apic_base);
	lapic_set_cr8(cpu->lapic, st->cr8 & 15);
	load_msrs(cpu, st);
	/* All entries are listed, so this forgets what the last step used. */
	soft_tlb_flush(cpu, false);
	soft_mode_changed(cpu);
	if ((cpu->cr0 & X86_CR0_PG) && (cpu->cr4 & X86_CR4_PAE) &&
	    !soft_long(cpu))
		soft_load_pdptes(cpu, cpu->cr3);
	cpu->step = true;
	cpu->irq_waiting = false;
	atomic_store(&cpu->request, 0);
}

static void
store(struct soft_cpu *cpu, struct vcpu_state *st)
{
	soft_cpu_get_core(cpu, st);
	if (st->xsave_size != 0)
		soft_cpu_get_xsave(cpu, st);
	store_msrs(cpu, st);
	st->run_state = cpu->run_state;
	st->shadow = cpu->shadow || cpu->rip == cpu->sti_at;
	st->nmi_masked = cpu->nmi_masked;
}

static enum engine_step
step(struct engine_stepper *s, struct vcpu_state *st, char *why, size_t size)
{
	struct soft_cpu *cpu = &s->cpu;
	enum engine_exit exit;

	if (st->cr4 & STEP_CR4_LA57) {
		snprintf(why, size, "5-level paging");
		return ENGINE_STEP_CANNOT;
	}
	load(cpu, st);
	exit = soft_cpu_run(cpu);
	if (exit == ENGINE_EXIT_DEBUG) {
		store(cpu, st);
		return ENGINE_STEP_DONE;
	}
	if (exit == ENGINE_EXIT_TRIPLE_FAULT)
		return ENGINE_STEP_TRIPLE_FAULT;
	snprintf(why, size, "%s", cpu->report.reason);
	return ENGINE_STEP_CANNOT;
}

/* ---- making one ---- */

/*
 * The processor that the guest sees is the host's: KVM hides features in CPUID,
 * it does not take them away, and what instructions do without asking CPUID is
 * what the hardware does. So are the rights of these steps.
 */
static struct cpuid_table *
host_cpuid(void)
{
	static const struct {
		uint32_t leaf, subleaves; /* 0: the leaf has none */
	} list[] = { { 0, 0 }, { 1, 0 }, { 7, 1 }, { 0xd, 20 },
		{ 0x80000000, 0 }, { 0x80000001, 0 }, { 0x80000008, 0 } };
	struct cpuid_table *tab = alloc_zero(1, sizeof(*tab));
	struct cpuid_leaf *row;
	uint32_t sub;

	if (tab == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		sub = 0;
		do {
			row = &tab->row[tab->count++];
			row->leaf = list[i].leaf;
			row->subleaf = sub;
			row->has_subleaf = list[i].subleaves != 0;
			__asm__ volatile("cpuid"
					 : "=a"(row->eax), "=b"(row->ebx),
					 "=c"(row->ecx), "=d"(row->edx)
					 : "a"(row->leaf), "c"(sub));
		} while (++sub < list[i].subleaves);
	}
	return tab;
}

static void
stepper_destroy(struct engine_stepper *s)
{
	if (s == NULL)
		return;
	soft_fp_destroy(&s->cpu);
	lapic_destroy(s->cpu.lapic);
	soft_code_destroy(s->cpu.code);
	free((void *)s->cpu.cpuid);
	munmap(s, sizeof(*s));
}

static int
stepper_init(struct engine_stepper *s, const struct engine_stepper_config *conf)
{
	struct soft_cpu *cpu = &s->cpu;

	s->owner = conf->owner;
	s->vcpu = conf->vcpu;
	s->vm.client = conf->client;
	s->vm.machine = conf->machine;
	s->vm.mem = conf->mem;
	soft_vm_map_regions(&s->vm);
	cpu->stepper = s;
	cpu->vm = &s->vm;
	cpu->id = conf->id;
	cpu->exec = &soft_exec_threaded;
	cpu->cpuid = host_cpuid();
	cpu->code = soft_code_create(&s->vm, false);
	cpu->lapic = lapic_create(0, conf->id == 0, false, 1, &no_lapic, s);
	if (cpu->cpuid == NULL || cpu->code == NULL || cpu->lapic == NULL)
		return -ENOMEM;
	soft_cpu_features(cpu);
	return soft_fp_create(cpu);
}

static int
stepper_create(const struct engine_stepper_config *conf,
    struct engine_stepper **ret, struct error *err)
{
	struct engine_stepper *s;
	int rc;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return error_sys(err, ENOMEM, "stepper of vCPU %u", conf->id);
	rc = stepper_init(s, conf);
	if (rc < 0) {
		stepper_destroy(s);
		return error_sys(err, -rc, "stepper of vCPU %u%s", conf->id,
		    rc == -EMFILE ? " (raise ulimit -n)" : "");
	}
	*ret = s;
	return 0;
}

const struct engine_stepper_ops engine_soft_stepper = {
	.create = stepper_create,
	.destroy = stepper_destroy,
	.step = step,
};
