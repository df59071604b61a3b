/*
 * System instructions: ports, control and debug registers, descriptor tables,
 * TLB, CPUID, TSC.
 */
#include <sched.h>

#include "vmm/soft/debug.h"
#include "vmm/soft/fpu.h"
#include "vmm/soft/insn.h"
#include "vmm/soft/step.h"
#include "vmm/soft/vm.h"

void
soft_if_changed(struct soft_cpu *cpu)
{
	if (cpu->irq_waiting)
		atomic_fetch_or(&cpu->request, SOFT_REQ_EVENT);
}

/* ---- ports ---- */

bool
soft_io_allowed(struct soft_cpu *cpu, uint16_t port, unsigned size)
{
	unsigned map, bits;

	if (soft_real(cpu) || (!soft_vm86(cpu) && cpu->cpl <= soft_iopl(cpu)))
		return true;
	/* I/O permission bitmap of a 32- or 64-bit TSS */
	if (!(cpu->tr.attr & 8) || cpu->tr.limit < 0x67)
		return false;
	map = (unsigned)soft_sys_read(cpu, cpu->tr.base + 0x66, 2) + port / 8;
	if (map + 1 > cpu->tr.limit)
		return false;
	bits = (unsigned)soft_sys_read(cpu, cpu->tr.base + map, 2);
	return !(bits >> (port & 7) & ((1u << size) - 1));
}

INSN(in)
{
	bool imm = x86_op_class(in, 1) == X86_OC_I;
	uint16_t port = (uint16_t)(imm ? (uint8_t)in->imm : cpu->gpr[X86_RDX]);
	unsigned size = x86_op_bytes(in, 0);
	uint64_t v;

	if (!soft_io_allowed(cpu, port, size))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (unlikely(cpu->io_bps))
		soft_debug_io(cpu, port, size);
	soft_fp_sync(cpu);
	v = cpu->vm->client->pio_read(cpu->vm->machine, port, size);
	if (size == 1)
		*(uint8_t *)&cpu->gpr[X86_RAX] = (uint8_t)v;
	else
		soft_set_reg(cpu, X86_RAX, size, v);
}

INSN(out)
{
	bool imm = x86_op_class(in, 0) == X86_OC_I;
	uint16_t port = (uint16_t)(imm ? (uint8_t)in->imm : cpu->gpr[X86_RDX]);
	unsigned size = x86_op_bytes(in, 1);
	uint64_t v = cpu->gpr[X86_RAX];

	if (!soft_io_allowed(cpu, port, size))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (unlikely(cpu->io_bps))
		soft_debug_io(cpu, port, size);
	if (size < 4)
		v &= size == 1 ? 0xff : 0xffff;
	soft_fp_sync(cpu);
	cpu->vm->client->pio_write(cpu->vm->machine, port, size, (uint32_t)v);
}

/* ---- interrupts and waiting ---- */

INSN(hlt)
{
	soft_need_cpl0(cpu);
	cpu->run_state = VCPU_HALTED;
}

INSN(cli)
{
	if (!soft_real(cpu) && cpu->cpl > soft_iopl(cpu))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->rflags &= ~(uint64_t)X86_FL_IF;
}

INSN(sti)
{
	if (!soft_real(cpu) && cpu->cpl > soft_iopl(cpu))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	/*
	 * The shadow: events are looked at between blocks, and the next
	 * instruction is still in this one, or else lower.c ends the block
	 * with STI and the shadow counts.
	 */
	if (!(cpu->rflags & X86_FL_IF)) {
		cpu->rflags |= X86_FL_IF;
		cpu->sti_at = cpu->base_rip + cpu->cur_off + in->len;
		soft_if_changed(cpu);
	}
}

INSN(pause)
{
	/* A spinning vCPU may wait for one that has no host CPU. */
	if (atomic_load_explicit(&cpu->vm->ncpus, memory_order_relaxed) > 1 &&
	    (++cpu->pauses & 63) == 0)
		sched_yield();
}

/* ---- identification and time ---- */

INSN(cpuid)
{
	uint32_t r[4], leaf = (uint32_t)cpu->gpr[X86_RAX];

	soft_step_refuse(cpu, "CPUID");
	cpuid_lookup(cpu->cpuid, leaf, (uint32_t)cpu->gpr[X86_RCX], r);
	if (leaf == 1) {
		r[2] &= ~(1u << 27);
		if (cpu->cr4 & X86_CR4_OSXSAVE)
			r[2] |= 1u << 27;
	} else if (leaf == 0xd)
		soft_xsave_cpuid(cpu, (uint32_t)cpu->gpr[X86_RCX], r);
	cpu->gpr[X86_RAX] = r[0];
	cpu->gpr[X86_RBX] = r[1];
	cpu->gpr[X86_RCX] = r[2];
	cpu->gpr[X86_RDX] = r[3];
}

uint64_t
soft_guest_tsc(struct soft_cpu *cpu)
{
	return soft_host_tsc() + cpu->tsc_offset;
}

INSN(rdtsc)
{
	uint64_t t;

	if ((cpu->cr4 & X86_CR4_TSD) && cpu->cpl != 0)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	t = soft_guest_tsc(cpu);
	cpu->gpr[X86_RAX] = (uint32_t)t;
	cpu->gpr[X86_RDX] = t >> 32;
	if (in->row->mn == X86_MN_RDTSCP)
		cpu->gpr[X86_RCX] = (uint32_t)cpu->tsc_aux;
}

INSN(rdpid)
{
	cpu->gpr[in->rm] = (uint32_t)cpu->tsc_aux;
}

INSN(rdpmc)
{
	soft_raise_error(cpu, X86_EXC_GP, 0);
}

INSN(rdmsr)
{
	uint64_t v;

	soft_need_cpl0(cpu);
	if (!soft_msr_read(cpu, (uint32_t)cpu->gpr[X86_RCX], &v))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->gpr[X86_RAX] = (uint32_t)v;
	cpu->gpr[X86_RDX] = v >> 32;
}

INSN(wrmsr)
{
	uint64_t v = (uint32_t)cpu->gpr[X86_RAX] | cpu->gpr[X86_RDX] << 32;

	soft_need_cpl0(cpu);
	if (!soft_msr_write(cpu, (uint32_t)cpu->gpr[X86_RCX], v))
		soft_raise_error(cpu, X86_EXC_GP, 0);
}

/* ---- control registers ---- */

/* PAE paging is on: the PDPTEs are registers (Intel SDM vol. 3, 4.4.1). */
static bool
pae_paging(const struct soft_cpu *cpu)
{
	return (cpu->cr0 & X86_CR0_PG) && (cpu->cr4 & X86_CR4_PAE) &&
	    !soft_long(cpu);
}

void
soft_write_cr0(struct soft_cpu *cpu, uint64_t v)
{
	uint64_t old = cpu->cr0, change;

	if (v >> 32)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	v = (v &
		(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS |
		    X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_NW |
		    X86_CR0_CD | X86_CR0_PG)) |
	    X86_CR0_ET;
	change = v ^ old;
	if (((v & X86_CR0_PG) && !(v & X86_CR0_PE)) ||
	    ((v & X86_CR0_NW) && !(v & X86_CR0_CD)))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (change & X86_CR0_PG) {
		if (v & X86_CR0_PG) {
			if (cpu->efer & X86_EFER_LME) {
				if (!(cpu->cr4 & X86_CR4_PAE) ||
				    (cpu->seg[X86_CS].attr & X86_ATTR_L))
					soft_raise_error(cpu, X86_EXC_GP, 0);
				cpu->efer |= X86_EFER_LMA;
			} else if ((cpu->cr4 & X86_CR4_PAE) &&
			    !soft_load_pdptes(cpu, cpu->cr3))
				soft_raise_error(cpu, X86_EXC_GP, 0);
		} else {
			if (cpu->mode == 8)
				soft_raise_error(cpu, X86_EXC_GP, 0);
			cpu->efer &= ~(uint64_t)X86_EFER_LMA;
		}
	} else if ((change & (X86_CR0_CD | X86_CR0_NW)) && pae_paging(cpu) &&
	    !soft_load_pdptes(cpu, cpu->cr3))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->cr0 = v;
	soft_fp_recheck(cpu);
	if (change & (X86_CR0_PG | X86_CR0_WP | X86_CR0_PE))
		soft_tlb_flush(cpu, true);
	soft_mode_changed(cpu);
}

static uint64_t
cr4_allowed(struct soft_cpu *cpu)
{
	uint64_t m = X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |
	    X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR |
	    X86_CR4_OSXMMEXCPT;
	uint32_t r[4];

	cpuid_lookup(cpu->cpuid, 7, 0, r);
	if (r[1] & 1u)
		m |= X86_CR4_FSGSBASE;
	if (r[1] >> 7 & 1)
		m |= X86_CR4_SMEP;
	if (r[1] >> 20 & 1)
		m |= X86_CR4_SMAP;
	if (soft_has(cpu, X86_FEAT_XSAVE))
		m |= X86_CR4_OSXSAVE;
	return m;
}

static void
write_cr4(struct soft_cpu *cpu, uint64_t v)
{
	uint64_t change = v ^ cpu->cr4;

	if (v & ~cr4_allowed(cpu))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (soft_long(cpu) && !(v & X86_CR4_PAE))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if ((v & X86_CR4_PAE) && (cpu->cr0 & X86_CR0_PG) && !soft_long(cpu) &&
	    (change &
		(X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP)) &&
	    !soft_load_pdptes(cpu, cpu->cr3))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->cr4 = v;
	soft_fp_recheck(cpu);
	if (change & X86_CR4_DE)
		soft_debug_changed(cpu);
	if (change &
	    (X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_SMEP |
		X86_CR4_SMAP))
		soft_tlb_flush(cpu, true);
	soft_mode_changed(cpu);
}

static void
write_cr3(struct soft_cpu *cpu, uint64_t v)
{
	if (soft_long(cpu)) {
		if (v & (cpu->maxphys_rsvd | UINT64_C(0xfff) << 52))
			soft_raise_error(cpu, X86_EXC_GP, 0);
	} else {
		v = (uint32_t)v;
		if ((cpu->cr0 & X86_CR0_PG) && (cpu->cr4 & X86_CR4_PAE) &&
		    !soft_load_pdptes(cpu, v))
			soft_raise_error(cpu, X86_EXC_GP, 0);
	}
	cpu->cr3 = v;
	soft_tlb_flush(cpu, false);
}

INSN(mov_cr)
{
	unsigned cr = in->reg;
	uint64_t v =
	    cpu->mode == 8 ? cpu->gpr[in->rm] : (uint32_t)cpu->gpr[in->rm];

	if (cr != 0 && cr != 2 && cr != 3 && cr != 4 && cr != 8)
		soft_raise(cpu, X86_EXC_UD);
	soft_need_cpl0(cpu);
	if (x86_op_class(in, 0) == X86_OC_C) {
		switch (cr) {
		case 0:
			soft_write_cr0(cpu, v);
			break;
		case 2:
			cpu->cr2 = v;
			break;
		case 3:
			write_cr3(cpu, v);
			break;
		case 4:
			write_cr4(cpu, v);
			break;
		default:
			if (v > 15)
				soft_raise_error(cpu, X86_EXC_GP, 0);
			lapic_set_cr8(cpu->lapic, (unsigned)v);
			atomic_fetch_or(&cpu->request, SOFT_REQ_EVENT);
			break;
		}
		return;
	}
	v = cr == 0   ? cpu->cr0
	    : cr == 2 ? cpu->cr2
	    : cr == 3 ? cpu->cr3
	    : cr == 4 ? cpu->cr4
		      : lapic_cr8(cpu->lapic);
	cpu->gpr[in->rm] = cpu->mode == 8 ? v : (uint32_t)v;
}

INSN(mov_dr)
{
	unsigned dr = in->reg;
	uint64_t v;

	if (dr > 7)
		soft_raise(cpu, X86_EXC_UD);
	soft_need_cpl0(cpu);
	if ((dr == 4 || dr == 5) && (cpu->cr4 & X86_CR4_DE))
		soft_raise(cpu, X86_EXC_UD);
	if (cpu->dr[7] & SOFT_DR7_GD) {
		cpu->dr[6] |= SOFT_DR6_BD;
		soft_raise(cpu, X86_EXC_DB);
	}
	dr = dr == 4 ? 6 : dr == 5 ? 7 : dr;
	if (x86_op_class(in, 0) != X86_OC_D) {
		v = cpu->dr[dr];
		cpu->gpr[in->rm] = cpu->mode == 8 ? v : (uint32_t)v;
		return;
	}
	v = cpu->mode == 8 ? cpu->gpr[in->rm] : (uint32_t)cpu->gpr[in->rm];
	if (dr >= 6 && v >> 32)
		soft_raise_error(cpu, X86_EXC_GP, 0);
	if (dr == 6)
		v = (v & 0xe00f) | 0xffff0ff0;
	else if (dr == 7)
		v = (v & 0xffff2bff) | 0x400;
	cpu->dr[dr] = v;
	soft_debug_changed(cpu);
}

INSN(clts)
{
	soft_need_cpl0(cpu);
	cpu->cr0 &= ~(uint64_t)X86_CR0_TS;
	soft_fp_recheck(cpu);
}

INSN(smsw)
{
	if (in->mod == 3)
		soft_set_reg(cpu, in->rm, in->opsize, cpu->cr0);
	else
		soft_put(cpu, in, 0, cpu->cr0);
}

INSN(lmsw)
{
	uint64_t v;

	soft_need_cpl0(cpu);
	v = soft_get(cpu, in, 0) & 15;
	/* PE can be set, not cleared */
	v |= cpu->cr0 & X86_CR0_PE;
	soft_write_cr0(cpu, (cpu->cr0 & ~UINT64_C(15)) | v);
}

/* ---- descriptor tables ---- */

INSN(lgdt)
{
	struct x86_dtable *t =
	    in->row->mn == X86_MN_LGDT ? &cpu->gdtr : &cpu->idtr;
	unsigned size = cpu->mode == 8 ? 8 : 4;
	uint64_t lin = soft_ea(cpu, in, size + 2, false), base = 0;
	uint16_t limit;

	soft_need_cpl0(cpu);
	limit = soft_read16(cpu, lin);
	soft_read(cpu, lin + 2, &base, size);
	if (cpu->mode != 8 && in->opsize == 2)
		base &= 0xffffff;
	if (cpu->mode == 8 && !soft_canonical(base))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	t->base = base;
	t->limit = limit;
}

INSN(sgdt)
{
	const struct x86_dtable *t =
	    in->row->mn == X86_MN_SGDT ? &cpu->gdtr : &cpu->idtr;
	unsigned size = cpu->mode == 8 ? 8 : 4;
	uint64_t lin = soft_ea(cpu, in, size + 2, true);
	uint8_t img[10];

	memcpy(img, &t->limit, 2);
	memcpy(img + 2, &t->base, 8);
	soft_write(cpu, lin, img, size + 2);
}

static void
need_protected(struct soft_cpu *cpu)
{
	if (soft_real(cpu) || soft_vm86(cpu))
		soft_raise(cpu, X86_EXC_UD);
}

INSN(sldt)
{
	uint16_t sel = in->row->mn == X86_MN_SLDT ? cpu->ldtr.sel : cpu->tr.sel;

	need_protected(cpu);
	soft_put(cpu, in, 0, sel);
}

INSN(lldt)
{
	uint16_t sel;

	need_protected(cpu);
	soft_need_cpl0(cpu);
	sel = (uint16_t)soft_get(cpu, in, 0);
	if (in->row->mn == X86_MN_LLDT)
		soft_load_ldt(cpu, sel);
	else
		soft_load_tr(cpu, sel);
}

static void
put_zf(struct soft_cpu *cpu, bool zf)
{
	cpu->fl = (cpu->fl & (uint16_t)~FL_ZF) | (zf ? FL_ZF : 0);
}

/* System descriptor types that LAR and LSL know. */
static bool
known_system(struct soft_cpu *cpu, unsigned type, bool lsl)
{
	unsigned m = lsl ? 0x0a0e : 0x1a3e;

	if (soft_long(cpu))
		m = lsl ? 0x0a04 : 0x1a04;
	return m >> type & 1;
}

INSN(lar)
{
	bool lsl = in->row->mn == X86_MN_LSL;
	uint64_t desc, high;
	uint32_t attr;
	uint16_t sel;
	unsigned dpl;

	need_protected(cpu);
	sel = (uint16_t)soft_get(cpu, in, 1);
	if (!soft_probe_desc(cpu, sel, &desc, &high)) {
		put_zf(cpu, false);
		return;
	}
	attr = soft_desc_attr(desc);
	dpl = X86_ATTR_DPL(attr);
	if (!(attr & X86_ATTR_S) ? !known_system(cpu, attr & 15, lsl) : false) {
		put_zf(cpu, false);
		return;
	}
	if (!((attr & X86_ATTR_S) && (attr & 12) == 12) &&
	    (cpu->cpl > dpl || (sel & 3u) > dpl)) {
		put_zf(cpu, false);
		return;
	}
	put_zf(cpu, true);
	soft_set_reg(cpu, in->reg, in->opsize,
	    lsl ? soft_desc_limit(desc) : desc >> 32 & 0xf0ff00);
}

INSN(verr)
{
	bool write = in->row->mn == X86_MN_VERW, ok;
	uint64_t desc, high;
	uint32_t attr;
	uint16_t sel;
	unsigned dpl;

	need_protected(cpu);
	sel = (uint16_t)soft_get(cpu, in, 0);
	if (!soft_probe_desc(cpu, sel, &desc, &high)) {
		put_zf(cpu, false);
		return;
	}
	attr = soft_desc_attr(desc);
	dpl = X86_ATTR_DPL(attr);
	ok = attr & X86_ATTR_S;
	if (write)
		ok = ok && (attr & 10) == 2;
	else
		ok = ok && !((attr & 8) && !(attr & 2));
	if ((attr & 12) != 12)
		ok = ok && cpu->cpl <= dpl && (sel & 3u) <= dpl;
	put_zf(cpu, ok);
}

INSN(arpl)
{
	uint64_t d, s;

	need_protected(cpu);
	d = soft_get(cpu, in, 0);
	s = soft_get(cpu, in, 1);
	if ((d & 3) < (s & 3)) {
		soft_put(cpu, in, 0, (d & ~UINT64_C(3)) | (s & 3));
		put_zf(cpu, true);
	} else
		put_zf(cpu, false);
}

/* ---- TLB and caches ---- */

INSN(invlpg)
{
	soft_need_cpl0(cpu);
	soft_step_refuse(cpu, "INVLPG");
	soft_tlb_invlpg(cpu,
	    cpu->mode == 8
		? soft_ea_offset(cpu, in) + cpu->segbase[in->seg]
		: (uint32_t)(soft_ea_offset(cpu, in) + cpu->seg[in->seg].base));
}

INSN(invpcid)
{
	soft_need_cpl0(cpu);
	soft_step_refuse(cpu, "INVPCID");
	soft_tlb_flush(cpu, true);
}

INSN(wbinvd)
{
	soft_need_cpl0(cpu);
}

/* ---- bases ---- */

INSN(swapgs)
{
	uint64_t v = cpu->kernel_gs_base;

	soft_need_cpl0(cpu);
	cpu->kernel_gs_base = cpu->seg[X86_GS].base;
	cpu->seg[X86_GS].base = cpu->segbase[X86_GS] = v;
}

INSN(fsgsbase)
{
	unsigned mn = in->row->mn;
	unsigned seg =
	    mn == X86_MN_RDFSBASE || mn == X86_MN_WRFSBASE ? X86_FS : X86_GS;
	uint64_t v;

	if (!(cpu->cr4 & X86_CR4_FSGSBASE))
		soft_raise(cpu, X86_EXC_UD);
	if (mn == X86_MN_RDFSBASE || mn == X86_MN_RDGSBASE) {
		soft_set_reg(cpu, in->rm, in->opsize, cpu->seg[seg].base);
		return;
	}
	v = soft_reg(cpu, in->rm, in->opsize);
	if (!soft_canonical(v))
		soft_raise_error(cpu, X86_EXC_GP, 0);
	cpu->seg[seg].base = cpu->segbase[seg] = v;
}

INSN(clac)
{
	if (cpu->cpl != 0)
		soft_raise(cpu, X86_EXC_UD);
	if (in->row->mn == X86_MN_STAC)
		cpu->rflags |= X86_FL_AC;
	else
		cpu->rflags &= ~(uint64_t)X86_FL_AC;
	/* All of soft_mode_changed() that AC matters for in ring 0. */
	if (cpu->cr4 & X86_CR4_SMAP) {
		cpu->mmu = in->row->mn == X86_MN_STAC ? SOFT_MMU_KERNEL_AC
						      : SOFT_MMU_KERNEL;
		cpu->tlb = cpu->tlbs[cpu->mmu];
	}
}

/* KVM's hypercall: none is offered, -KVM_ENOSYS. */
INSN(vmcall)
{
	cpu->gpr[X86_RAX] = (uint64_t)-1000;
}
